"""
Steps 2 to 6 of a chain: underlying, market status, spot, parameters, selection.

Contracts that were asked for earlier on the same trading day are remembered.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from tomic import dates, errors, selection
from tomic.chain import Chain
from tomic.config import Settings
from tomic.ib import contracts
from tomic.ib.session import CUT_OFF, Session
from tomic.ib.spot import UnderlyingTicks, ticks_by_other_means, underlying_ticks
from tomic.models import DataType, OptionParams, Spot, SpotSource, Underlying
from tomic.selection import Selection, Wanted
from tomic.store import Database, StoredContract
from tomic.workflows.progress import Event, Watcher, ignore
from tomic.workflows.resources import Resources

_IV_GRACE_S = 1.5
"""What a strike range in sigmas waits for IB's volatility of the underlying."""

A = TypeVar("A")
B = TypeVar("B")

SpotFallback = Callable[[Underlying], Awaitable[Spot | None]]
Chooser = Callable[[OptionParams, float, dt.date, float | None], Selection]
"""Which options to ask for, given the class, the spot, the date and IB's 30-day volatility."""
Fetch = Callable[[str, Settings, Chooser], Awaitable[Chain]]
"""Gives the chain of a symbol with the options that a chooser picks."""


@dataclass(frozen=True, slots=True)
class KnownContracts:
    """Contract ids of a trading class, and the expiries of which all of them are known."""

    ids: Mapping[Wanted, int] = field(default_factory=dict)
    complete: frozenset[dt.date] = frozenset()


class ContractMemory:
    """
    Contracts in the store, for the rest of the trading day, and the last chain.

    Contract details change only overnight, so what was asked today need not be asked again. A store
    that cannot be used costs the memory and nothing else: *note* is told, and the chain goes on.
    """

    def __init__(self, database: Database, note: Callable[[str], None]) -> None:
        self._database, self._note = database, note

    async def recall(
        self, symbol: str, day: dt.date
    ) -> tuple[Underlying | None, tuple[OptionParams, ...]]:
        """The underlying and its option parameters as they were asked on *day*."""
        try:
            underlying = await self._database.contracts.underlying(symbol, day)
            params = await self._database.contracts.option_params(symbol, day)
        except errors.StoreError as exc:
            self._forgets(exc)
            return None, ()
        return underlying, tuple(params)

    async def load(self, symbol: str, day: dt.date, trading_class: str) -> KnownContracts:
        """The contracts of one class that were asked for on *day*."""
        key = (symbol, day, trading_class)
        try:
            known = await self._database.contracts.load(*key)
            complete = await self._database.contracts.complete_expiries(*key)
        except errors.StoreError as exc:
            self._forgets(exc)
            return KnownContracts()
        ids = {Wanted(c.expiry, c.strike, c.right): c.con_id for c in known}
        return KnownContracts(ids, complete)

    async def save(
        self,
        underlying: Underlying,
        day: dt.date,
        listed: tuple[OptionParams, ...],
        params: OptionParams,
        known: KnownContracts,
    ) -> None:
        """Remember the underlying, each class that is listed, and what is known of *params*."""
        symbol = underlying.symbol
        rows = [
            StoredContract(con_id, *pair, multiplier=params.multiplier)
            for pair, con_id in known.ids.items()
        ]
        try:
            await self._database.contracts.save_underlying(underlying, day)
            for name in sorted({f"{row.trading_class}:{row.multiplier}" for row in listed}):
                # Of the exchanges that list a class, the one that is chosen when it is asked for.
                best = selection.choose_params(listed, symbol, name)
                await self._database.contracts.save_option_params(symbol, day, best)
            await self._database.contracts.save(
                symbol, day, params.key, rows, complete=known.complete
            )
        except errors.StoreError as exc:
            self._forgets(exc)

    async def last_chain(self, symbol: str, trading_class: str) -> Chain | None:
        """The last whole chain that was stored, else the last one, if it is of that class."""
        try:
            chain = await self._database.chains.load(symbol, whole=True)
            chain = chain or await self._database.chains.load(symbol)
        except errors.StoreError as exc:
            self._note(f"the last chain cannot be read: {exc}")
            return None
        return chain if chain is not None and chain.trading_class == trading_class else None

    def _forgets(self, error: errors.StoreError) -> None:
        self._note(f"contracts are not remembered: {error}")


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """What is wanted of one chain, and with what it is to be had."""

    session: Session
    symbol: str
    settings: Settings
    memory: ContractMemory | None = None
    deadline: float | None = None
    """Time of the running loop; what has arrived by then is the chain."""
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


async def prepare(request: ChainRequest) -> Setup:
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
    late = f"{request.symbol}: the deadline passed before the first option was asked for"
    if request.deadline is not None and asyncio.get_running_loop().time() >= request.deadline:
        raise errors.DeadlineExceeded(late)
    try:
        async with asyncio.timeout_at(request.deadline):
            return await request.session.persistently(
                partial(_prepare, request), deadline=request.deadline
            )
    except TimeoutError as exc:
        if request.session.cut_off:
            raise errors.SessionLost(f"{request.symbol}: {CUT_OFF}") from exc
        raise errors.DeadlineExceeded(late) from exc


async def _prepare(request: ChainRequest) -> Setup:
    session, settings = request.session, request.settings
    request.tell("contract and hours")
    underlying, now = await _underlying_and_time(request)
    is_open = dates.is_open(underlying.sessions, now)
    await session.use_data_type(wanted_data_type(session, underlying, now))
    request.watch(Event("waiting", request.symbol, "spot and expiries"))
    listed, (ticks, refused) = await _both(
        contracts.option_params(session, underlying, timeout_s=settings.ib.params_timeout_s),
        _ticks_or_refusal(request, underlying),
    )
    params = selection.choose_params(
        listed,
        request.symbol,
        settings.market.trading_class(request.symbol, settings.chain.trading_class),
        ticker=underlying.ib_symbol,
    )
    today = dates.local_date(now, underlying.time_zone)
    sigma = ticks.implied_volatility
    if ticks.spot is not None:
        spot = ticks.spot
    else:
        ticks, spot, sigma = await _other_spot(request, underlying, params, today, refused)
    text = f"{spot.price:g} ({spot.source.value}, {spot.data_type.value})"
    request.watch(Event("spot", request.symbol, text))
    chosen = _chosen(request, params, spot.price, today, sigma)
    known = KnownContracts()
    if request.memory is not None:
        known = await request.memory.load(underlying.symbol, today, params.key)
    return Setup(underlying, is_open, today, ticks, spot, listed, params, chosen, known)


def _iv_grace_s(request: ChainRequest) -> float:
    """How long IB's volatility of the underlying is waited for beside its price."""
    in_sigmas = request.choose is not None or request.settings.chain.strike_range.endswith("s")
    return _IV_GRACE_S if in_sigmas else 0.0


async def _ticks_or_refusal(
    request: ChainRequest, underlying: Underlying
) -> tuple[UnderlyingTicks, errors.NoMarketData | None]:
    """What the underlying's line gave; an account may have the options and not, say, the index."""
    try:
        ticks = await underlying_ticks(
            request.session,
            underlying,
            timeout_s=request.settings.market.spot_timeout_s,
            extras_s=_iv_grace_s(request),
            delayed=False,
        )
    except errors.NoMarketData as exc:
        return UnderlyingTicks(spot=None), exc
    return ticks, None


def _chosen(
    request: ChainRequest, params: OptionParams, spot: float, today: dt.date, sigma: float | None
) -> Selection:
    if request.choose is not None:
        return request.choose(params, spot, today, sigma)
    return selection.choose(params, spot, today, request.settings.chain, sigma=sigma)


async def _underlying_and_time(request: ChainRequest) -> tuple[Underlying, dt.datetime]:
    session, settings = request.session, request.settings
    if request.memory is not None:
        # The gateway's clock says which day it is; nothing is asked that today was answered.
        day = dates.local_date(await _time(session), str(dates.NEW_YORK))
        remembered = await request.memory.recall(request.symbol, day)
        contracts.remember(session, request.symbol, *remembered)
    return await _both(
        contracts.resolve_underlying(
            session, request.symbol, settings.market, timeout_s=settings.ib.request_timeout_s
        ),
        _time(session),
    )


async def _time(session: Session) -> dt.datetime:
    """The gateway's time; ours when it serves questions and does not answer this one."""
    try:
        return await session.now()
    except (errors.RequestTimeout, errors.UnreadableAnswer):
        session.note("the gateway does not tell the time; that of this computer is taken")
        return session.clock_now()


async def _both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Run two questions at once; the first failure is raised as it is."""
    with errors.ungrouped():
        async with asyncio.TaskGroup() as group:
            first_task, second_task = group.create_task(first), group.create_task(second)
    return first_task.result(), second_task.result()


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
        raise errors.MarketClosed(
            f"the market of {underlying.symbol} is closed{until}; "
            "leave out realtime_only (--realtime-only) to take frozen quotes"
        )
    return DataType.LIVE


async def _other_spot(
    request: ChainRequest,
    underlying: Underlying,
    params: OptionParams,
    today: dt.date,
    refused: errors.NoMarketData | None,
) -> tuple[UnderlyingTicks, Spot, float | None]:
    """
    Steps down the ladder: its options, live; its own line, delayed; its options then; the web page.

    Returns:
        What the underlying's line gave, the spot, and a volatility of the underlying if any is
        known.

    Raises:
        NoMarketData: The underlying was *refused*, and nothing else gives a price either.
        MissingSpot: No source gave a price.
    """
    session, ticks, sigma = request.session, UnderlyingTicks(spot=None), None
    if request.recorded_spot is not None:
        data_type = session.data_type or DataType.LIVE
        return ticks, request.recorded_spot.model_copy(update={"data_type": data_type}), None
    market, problem = request.settings.market, refused
    try:
        ticks, sigma = await ticks_by_other_means(
            session,
            underlying,
            params,
            today,
            refused,
            rate=market.rate_of(underlying.currency),
            timeout_s=market.spot_timeout_s,
            extras_s=_iv_grace_s(request),
        )
    except errors.NoMarketData as exc:
        problem = exc
    if ticks.spot is not None:
        return ticks, ticks.spot, sigma
    if request.spot_fallback is not None and not (refused is not None and session.realtime_only):
        spot = await request.spot_fallback(underlying)
        if spot is not None:
            return ticks, spot, None
    raise problem or errors.MissingSpot(
        f"no source gave a price of {underlying.symbol}: neither its own quote, nor an option, "
        "nor the web page; is it traded now, and subscribed?"
    )


def web_spot_of(resources: Resources) -> SpotFallback:
    """What gives a price when the gateway has none: a public page, or what was recorded of it."""

    async def recorded(underlying: Underlying) -> Spot | None:
        return resources.stand_in.web_spots.get(underlying.symbol) if resources.stand_in else None

    async def visited(underlying: Underlying) -> Spot | None:
        if not underlying.is_american_listing:
            return None  # the page of that symbol is another share's, in dollars
        visits = resources.visits()
        page = await visits.page(underlying.symbol) if visits is not None else None
        if page is None or page.spot_price is None:
            return None
        return Spot(
            price=page.spot_price,
            source=SpotSource.WEB,
            data_type=DataType.DELAYED,
            as_of=page.fetched_at,
        )

    return recorded if resources.origin.simulated else visited
