"""Steps 2 to 6 of a chain: underlying, market status, spot, parameters, selection."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tomic import dates, selection
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import (
    DeadlineExceeded,
    MarketClosed,
    MissingSpot,
    NoMarketData,
    RequestTimeout,
    SessionLost,
    UnreadableAnswer,
    ungrouped,
)
from tomic.ib import contracts, quotes
from tomic.ib.quotes import UnderlyingTicks
from tomic.ib.session import Session
from tomic.models import DataType, OptionParams, Spot, SpotSource, Underlying
from tomic.selection import Selection, Wanted
from tomic.workflows.progress import Event, Watcher, ignore

_ATTEMPTS = 5
"""How often the setup is begun again over a new connection."""
_IV_GRACE_S = 1.5
"""What a strike range in sigmas waits for IB's volatility of the underlying."""

A = TypeVar("A")
B = TypeVar("B")

SpotFallback = Callable[[Underlying], Awaitable[Spot | None]]
Chooser = Callable[[OptionParams, float, dt.date, float | None], Selection]
"""Which options to ask for, given the class, the spot, the date and IB's 30-day volatility."""


@dataclass(frozen=True, slots=True)
class KnownContracts:
    """Contract ids of a trading class, and the expiries of which all of them are known."""

    ids: Mapping[Wanted, int]
    complete: frozenset[dt.date]


class ContractMemory(Protocol):
    """Remembers contracts for the rest of the trading day *day*, and the last chain."""

    async def recall(
        self, symbol: str, day: dt.date
    ) -> tuple[Underlying | None, tuple[OptionParams, ...]]:
        """The underlying and the parameters of each of its classes, as far as known."""
        ...

    async def load(self, symbol: str, day: dt.date, trading_class: str) -> KnownContracts:
        """The contracts of one class, as far as known."""
        ...

    async def save(
        self,
        underlying: Underlying,
        day: dt.date,
        listed: tuple[OptionParams, ...],
        params: OptionParams,
        known: KnownContracts,
    ) -> None:
        """Remember the underlying, every class that is *listed*, and contracts of *params*."""
        ...

    async def last_chain(self, symbol: str, trading_class: str) -> Chain | None:
        """The last chain of that class, whatever its age."""
        ...


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """What is wanted of one chain, and with what it is to be had."""

    session: Session
    symbol: str
    settings: Settings
    memory: ContractMemory | None = None
    deadline: float | None = None
    """Time of the running loop."""
    watch: Watcher = ignore
    spot_fallback: SpotFallback | None = None
    recorded_spot: Spot | None = None
    """Of a recorded chain, whose rows are then labelled as replayed."""
    choose: Chooser | None = None
    """Instead of the window in the settings' section ``chain``."""
    eager: bool = True
    """Whether options may be subscribed before it is known that they exist. That saves time, and
    costs as many messages too many as chance will have it."""
    rank: int = 0
    """Place among the chains that share the session; lower ones are quoted first."""

    def tell(self, text: str) -> None:
        """Tell whoever watches which stage begins."""
        self.watch(Event("stage", self.symbol, text))


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that is known before the first option is asked for."""

    underlying: Underlying
    is_open: bool
    """Whether the underlying trades now; false when its hours are unknown."""
    today: dt.date
    """At the exchange."""
    ticks: UnderlyingTicks
    spot: Spot
    listed: tuple[OptionParams, ...]
    params: OptionParams
    chosen: Selection
    known: KnownContracts


async def prepare(order: ChainRequest) -> Setup:
    """
    Do steps 2 to 6, again over a new connection when the first is lost meanwhile.

    Raises:
        UnknownContract: No such symbol.
        EmptyChain: No expiry or strike in the window.
        MissingSpot: No source gave a price of the underlying.
        RequestTimeout, DeadlineExceeded: No answer, or no time left.
        NoMarketData, MarketClosed: Only delayed or frozen data could be had, and are refused.
        SessionError: The gateway was lost for good.
    """
    late = f"{order.symbol}: the deadline passed before the first option was asked for"
    if order.deadline is not None and asyncio.get_running_loop().time() >= order.deadline:
        raise DeadlineExceeded(late)
    try:
        async with asyncio.timeout_at(order.deadline):
            return await order.session.stoppable(_prepare_persistently(order))
    except TimeoutError as exc:
        if order.session.cut_off:
            raise SessionLost(
                f"{order.symbol}: TWS lost its connection to IB and did not get it back in time"
            ) from exc
        raise DeadlineExceeded(late) from exc


async def _prepare_persistently(order: ChainRequest) -> Setup:
    for _ in range(_ATTEMPTS):
        try:
            return await _prepare(order)
        except SessionLost:
            await order.session.reconnect(order.deadline)
    return await _prepare(order)


async def _prepare(order: ChainRequest) -> Setup:
    session, settings = order.session, order.settings
    order.tell("contract and hours")
    underlying, now = await _underlying_and_time(order)
    is_open = dates.is_open(underlying.sessions, now)
    await session.use_data_type(wanted_data_type(session, underlying, now))
    in_sigmas = order.choose is not None or settings.chain.strike_range.endswith("s")
    order.watch(Event("waiting", order.symbol, "spot and expiries"))
    listed, (ticks, refused) = await _both(
        contracts.option_params(session, underlying, timeout_s=settings.ib.params_timeout_s),
        _ticks_or_refusal(order, underlying, _IV_GRACE_S if in_sigmas else 0.0),
    )
    params = selection.choose_params(listed, order.symbol, settings.chain.trading_class)
    today = dates.local_date(now, underlying.time_zone)
    spot = ticks.spot or await _other_spot(order, underlying, params, today, refused)
    told = f"{spot.price:g} ({spot.source.value}, {spot.data_type.value})"
    order.watch(Event("spot", order.symbol, told))
    chosen = _chosen(order, params, spot.price, today, ticks.implied_volatility)
    known = KnownContracts({}, frozenset())
    if order.memory is not None:
        known = await order.memory.load(underlying.symbol, today, params.trading_class)
    return Setup(underlying, is_open, today, ticks, spot, listed, params, chosen, known)


async def _ticks_or_refusal(
    order: ChainRequest, underlying: Underlying, extras_s: float
) -> tuple[UnderlyingTicks, NoMarketData | None]:
    """What the underlying's line gave; an account may have the options and not, say, the index."""
    session, timeout_s = order.session, order.settings.market.spot_timeout_s
    try:
        ticks = await quotes.underlying_ticks(
            session, underlying, timeout_s=timeout_s, extras_s=extras_s
        )
    except NoMarketData as exc:
        if session.realtime_only:
            raise
        return UnderlyingTicks(spot=None), exc
    return ticks, None


def _chosen(
    order: ChainRequest, params: OptionParams, spot: float, today: dt.date, sigma: float | None
) -> Selection:
    if order.choose is not None:
        return order.choose(params, spot, today, sigma)
    return selection.choose(params, spot, today, order.settings.chain, sigma=sigma)


async def _underlying_and_time(order: ChainRequest) -> tuple[Underlying, dt.datetime]:
    session, settings = order.session, order.settings
    if order.memory is not None:
        # The gateway's clock says which day it is; nothing is asked that today was answered.
        day = dates.local_date(await _time(session), str(dates.NEW_YORK))
        remembered = await order.memory.recall(order.symbol, day)
        contracts.remember(session, order.symbol, *remembered)
    return await _both(
        contracts.resolve_underlying(
            session, order.symbol, settings.market, timeout_s=settings.ib.request_timeout_s
        ),
        _time(session),
    )


async def _time(session: Session) -> dt.datetime:
    """The gateway's time; ours when it serves questions and does not answer this one."""
    try:
        return await session.now()
    except (RequestTimeout, UnreadableAnswer):
        session.note("the gateway does not tell the time; that of this computer is taken")
        return session.clock_now()


async def _both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Run two questions at once; the first failure is raised as it is."""
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            one, two = group.create_task(first), group.create_task(second)
    return one.result(), two.result()


def wanted_data_type(session: Session, underlying: Underlying, now: dt.datetime) -> DataType:
    """
    Live while the underlying trades, frozen while it does not, or when its hours are unknown.

    What the session fell back to stays in force: delayed, because live data are not subscribed,
    or frozen, because another symbol is closed; frozen is live for symbols that trade.

    Raises:
        MarketClosed: Only live data are wanted, and the hours say that there are none.
    """
    if session.data_type is not None and session.data_type is not DataType.LIVE:
        return session.data_type
    is_open = dates.is_open(underlying.sessions, now)
    if not session.realtime_only:
        return DataType.LIVE if is_open else DataType.FROZEN
    if underlying.sessions and not is_open:
        opens = dates.next_open(underlying.sessions, now)
        until = f" until {opens:%a %Y-%m-%d %H:%M %Z}" if opens is not None else ""
        raise MarketClosed(
            f"the market of {underlying.symbol} is closed{until}; "
            "leave out --realtime-only to take frozen quotes"
        )
    return DataType.LIVE


async def _other_spot(
    order: ChainRequest,
    underlying: Underlying,
    params: OptionParams,
    today: dt.date,
    refused: NoMarketData | None,
) -> Spot:
    """
    Steps down the ladder: the underlying price of an option's model, then the web page.

    Raises:
        NoMarketData: The underlying was *refused*, and its options give no price either.
        MissingSpot: No source gave a price.
    """
    session = order.session
    data_type = session.data_type or DataType.LIVE
    if order.recorded_spot is not None:
        return order.recorded_spot.model_copy(update={"data_type": data_type})
    price = await quotes.spot_from_options(
        session, underlying, params, today, timeout_s=order.settings.market.spot_timeout_s
    )
    if price is not None:
        return Spot(
            price=price, source=SpotSource.MODEL, data_type=data_type, as_of=session.clock_now()
        )
    if refused is not None:
        raise refused
    fallback = order.spot_fallback
    if fallback is not None and (found := await fallback(underlying)) is not None:
        return found
    raise MissingSpot(
        f"no source gave a price of {underlying.symbol}: neither its own quote, nor an option, "
        "nor the web page; is it traded now, and subscribed?"
    )
