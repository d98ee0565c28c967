"""
One option chain, in the eleven steps of the mission.

    1  symbol            checked before any connection (models.normalize_symbol)
    2  market status     hours and zone from the contract details, the time from the gateway
    3  spot              the underlying's own line; further sources when it is silent
    4  underlying        contract id and primary exchange: the same request as step 2
    5  parameters        expiries and strikes of exactly one trading class
    6  selection         pure: which expiries and strikes
    7  contracts         one open details request per expiry, or remembered from earlier today
    8  quotes            each option is subscribed as soon as it is known to exist
    9  completion        bid, ask, IV, Greeks, volume, open interest; silent ones once more
    10 rows              one per wanted option, whatever became of it
    11 what is computed  local IV and Greeks, parity, term structure (valuation)
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tomic import dates, selection, valuation
from tomic.chain import Chain, Fetch
from tomic.config import Settings
from tomic.errors import (
    DataError,
    DeadlineExceeded,
    MissingSpot,
    RequestFailed,
    RequestTimeout,
    SessionError,
    SessionLost,
    UnknownContract,
)
from tomic.ib import contracts, convert, quotes
from tomic.ib.quotes import Patience, UnderlyingTicks
from tomic.ib.session import Outcome, Session
from tomic.models import (
    DataType,
    OptionParams,
    OptionQuote,
    QuoteSource,
    Spot,
    SpotSource,
    Underlying,
)
from tomic.selection import Selection, Wanted
from tomic.workflows.progress import Event, Watcher, ignore

_DIRECT = 64
"""Options of the first expiry that are subscribed by full description, without waiting for its
details. The gateway answers open details requests one at a time, in 0.5 to 1.4 s each; asking
those of the first expiry last keeps them ahead of the subscriptions all the way. The nearest
expiry lists nearly every strike, so few of these are refused."""

A = TypeVar("A")
B = TypeVar("B")

SpotFallback = Callable[[Underlying], Awaitable[Spot | None]]


class ContractMemory(Protocol):
    """Remembers contracts for the rest of the trading day *day*."""

    async def recall(
        self, symbol: str, day: dt.date
    ) -> tuple[Underlying | None, tuple[OptionParams, ...]]:
        """The underlying and its option parameters, as far as known."""
        ...

    async def load(
        self, underlying: Underlying, day: dt.date, trading_class: str
    ) -> dict[Wanted, int]:
        """Contract ids; an expiry that is present is complete."""
        ...

    async def save(
        self,
        underlying: Underlying,
        day: dt.date,
        params: OptionParams,
        found: dict[Wanted, int],
        complete: set[dt.date],
    ) -> None:
        """Remember complete expiries."""
        ...


@dataclass(slots=True)
class _Job:
    """One chain while it is being fetched."""

    session: Session
    settings: Settings
    underlying: Underlying
    ticks: UnderlyingTicks
    spot: Spot
    params: OptionParams
    chosen: Selection
    today: dt.date
    known: dict[Wanted, int]
    deadline: float | None
    watch: Watcher
    patience: Patience
    rows: dict[Wanted, OptionQuote] = field(default_factory=dict)
    errors: dict[Wanted, Exception] = field(default_factory=dict)
    complete_expiries: set[dt.date] = field(default_factory=set)


async def fetch_chain(
    session: Session,
    symbol: str,
    settings: Settings,
    *,
    memory: ContractMemory | None = None,
    deadline: float | None = None,
    watch: Watcher = ignore,
    spot_fallback: SpotFallback | None = None,
    recorded_spot: Spot | None = None,
) -> Chain:
    """
    Fetch the chain of *symbol*, which must be a valid symbol, over *session*.

    *deadline* is a time of the running loop. When it passes, the line drops for good, or the
    session is interrupted, the chain is returned with what has arrived; ``chain.fetch.complete``
    is then false and the unfinished rows say why. *recorded_spot* belongs to a recorded chain,
    whose rows are then labelled ``replay``.

    Raises:
        UnknownContract: No such symbol.
        EmptyChain: No expiry or strike in the window.
        MissingSpot: No source gave a price of the underlying.
        RequestTimeout, DeadlineExceeded: No answer before any option was asked for.
        SessionError: The gateway was lost before any option was asked for.
    """
    started, sent = asyncio.get_running_loop().time(), session.messages
    try:
        async with asyncio.timeout_at(deadline):
            job = await _prepare_again(
                session, symbol, settings, memory, deadline, watch, spot_fallback, recorded_spot
            )
    except TimeoutError as exc:
        raise DeadlineExceeded(
            f"{symbol}: the deadline passed before the first option was asked for"
        ) from exc
    await _quote_all(job)
    if memory is not None and job.complete_expiries:
        found = {pair: i for pair, i in job.known.items() if pair.expiry in job.complete_expiries}
        await memory.save(job.underlying, job.today, job.params, found, job.complete_expiries)
    rows = _rows(job, is_replay=recorded_spot is not None)
    chain = Chain.from_quotes(
        rows,
        underlying=job.underlying,
        spot=job.spot,
        as_of=session.clock_now(),
        rate=settings.market.rate,
        data_type=session.data_type,
        notes=tuple(session.notes),
        multiplier=job.params.multiplier,
        trading_class=job.params.trading_class,
        fetch=Fetch(
            seconds=asyncio.get_running_loop().time() - started,
            messages=session.messages - sent,
            peak_lines=session.limits.peak_lines,
            retried=session.retried,
            complete=not any(
                isinstance(error, (DeadlineExceeded, SessionError)) for error in job.errors.values()
            ),
        ),
    )
    return valuation.complete(chain, settings.market, settings.chain)


# -- steps 2 to 6 ----------------------------------------------------------------------------


async def _prepare_again(
    session: Session,
    symbol: str,
    settings: Settings,
    memory: ContractMemory | None,
    deadline: float | None,
    watch: Watcher,
    spot_fallback: SpotFallback | None,
    recorded_spot: Spot | None,
) -> _Job:
    """Prepare, and once more over a new connection when the first one is lost meanwhile."""
    try:
        return await _prepare(
            session, symbol, settings, memory, deadline, watch, spot_fallback, recorded_spot
        )
    except SessionLost:
        await session.reconnect(deadline)
        return await _prepare(
            session, symbol, settings, memory, deadline, watch, spot_fallback, recorded_spot
        )


async def _prepare(
    session: Session,
    symbol: str,
    settings: Settings,
    memory: ContractMemory | None,
    deadline: float | None,
    watch: Watcher,
    spot_fallback: SpotFallback | None,
    recorded_spot: Spot | None,
) -> _Job:
    watch(Event("stage", symbol, "contract and hours"))
    if memory is not None:
        day = dates.local_date(session.clock_now(), str(dates.NEW_YORK))
        contracts.remember(session, symbol, *await memory.recall(symbol, day))
    underlying, now = await _both(
        contracts.resolve_underlying(
            session, symbol, settings.market, timeout_s=settings.ib.request_timeout_s
        ),
        session.now(),
    )
    await session.use_data_type(wanted_data_type(session, underlying, now))
    needs_sigma = settings.chain.strike_range.endswith("s")
    ticks, listed = await _both(
        quotes.underlying_ticks(
            session,
            underlying,
            timeout_s=settings.market.spot_timeout_s,
            extras_s=1.5 if needs_sigma else 0.0,
        ),
        contracts.option_params(session, underlying, timeout_s=settings.ib.params_timeout_s),
    )
    params = selection.choose_params(listed, symbol, settings.chain.trading_class)
    spot = (
        ticks.spot
        or _as_served(session, recorded_spot)
        or await _fallback_spot(session, underlying, params, settings, spot_fallback, now)
    )
    watch(Event("spot", symbol, f"{spot.price:g} ({spot.source.value}, {spot.data_type.value})"))
    today = dates.local_date(now, underlying.time_zone)
    chosen = selection.choose(
        params,
        spot.price,
        today,
        settings.chain,
        sigma=ticks.implied_volatility,
    )
    return _Job(
        session=session,
        settings=settings,
        underlying=underlying,
        ticks=ticks,
        spot=spot,
        params=params,
        chosen=chosen,
        today=today,
        known=await memory.load(underlying, today, params.trading_class) if memory else {},
        deadline=deadline,
        watch=watch,
        patience=Patience(settings.chain.silent_s),
    )


def _as_served(session: Session, spot: Spot | None) -> Spot | None:
    """A recorded spot with the data type under which its chain is served."""
    if spot is None or session.data_type is None:
        return spot
    return spot.model_copy(update={"data_type": session.data_type})


async def _both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Run two questions at once; the first failure is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            one, two = group.create_task(first), group.create_task(second)
    except* (RequestFailed, SessionError, DataError) as errors:
        raise errors.exceptions[0] from None
    return one.result(), two.result()


def wanted_data_type(session: Session, underlying: Underlying, now: dt.datetime) -> DataType:
    """
    Live while the underlying trades, frozen while it does not, or when its hours are unknown.

    What the session fell back to because live data are not subscribed stays in force.
    """
    if session.data_type in (DataType.DELAYED, DataType.DELAYED_FROZEN):
        return session.data_type
    is_open = bool(underlying.sessions) and dates.is_open(underlying.sessions, now)
    return DataType.LIVE if is_open else DataType.FROZEN


async def _fallback_spot(
    session: Session,
    underlying: Underlying,
    params: OptionParams,
    settings: Settings,
    spot_fallback: SpotFallback | None,
    now: dt.datetime,
) -> Spot:
    """Steps down the ladder: the underlying price of an option's model, then the web page."""
    price = await quotes.spot_from_options(
        session,
        underlying,
        params,
        dates.local_date(now, underlying.time_zone),
        timeout_s=settings.market.spot_timeout_s,
    )
    if price is not None:
        return Spot(
            price=price,
            source=SpotSource.MODEL,
            data_type=session.data_type or DataType.LIVE,
            as_of=session.clock_now(),
        )
    if spot_fallback is not None and (found := await spot_fallback(underlying)) is not None:
        return found
    raise MissingSpot(
        f"no source gave a price of {underlying.symbol}: neither its own quote, nor an option, "
        "nor the web page; is it traded now, and subscribed?"
    )


# -- steps 7 to 9 ----------------------------------------------------------------------------


async def _quote_all(job: _Job) -> None:
    """Quote every wanted option; reconnect for what is unfinished while time is left."""
    pending = _in_order(job)
    while pending:
        for outcome in await _quote_once(job, pending):
            if outcome.value is not None:
                job.rows[outcome.item] = outcome.value
                job.errors.pop(outcome.item, None)
            elif outcome.error is not None:
                job.errors[outcome.item] = outcome.error
        pending = [pair for pair in pending if isinstance(job.errors.get(pair), SessionLost)]
        if not pending or job.session.interrupted:
            return
        try:
            await job.session.reconnect(job.deadline)
        except SessionError:
            return


def _in_order(job: _Job) -> list[Wanted]:
    """Expiry by expiry, nearest to the money first."""
    return [
        pair
        for expiry in job.chosen.expiries
        for pair in selection.by_moneyness(job.chosen.of_expiry(expiry), job.spot.price)
    ]


async def _quote_once(job: _Job, pairs: Sequence[Wanted]) -> list[Outcome[Wanted, OptionQuote]]:
    session, rules = job.session, job.settings.chain
    listings = contracts.Listings(session, job.underlying, job.params, pairs, rules, job.known)
    direct = _direct(listings, pairs)
    counted = len(job.rows)
    total = counted + len(pairs)

    async def quote(pair: Wanted) -> OptionQuote:
        if pair in direct and not listings.is_known(pair):
            con_id = 0
        else:
            try:
                con_id = await listings.con_id(pair)
            except RequestFailed:
                job.patience.unasked -= 1
                raise
        contract = convert.option_contract(job.underlying, job.params, pair, con_id)
        what = contracts.describe(job.underlying.symbol, pair)
        try:
            return await quotes.option_quote(session, what, contract, pair, rules, job.patience)
        except UnknownContract:
            listings.unlisted(pair)
            raise

    def count(_: object) -> None:
        nonlocal counted
        counted += 1
        job.watch(Event("count", job.underlying.symbol, done=counted, total=total))

    job.patience.unasked = len(pairs)
    loading = asyncio.create_task(listings.load(), name="tomic contract details")
    try:
        outcomes = await session.fan_out(pairs, quote, deadline=job.deadline, on_done=count)
        if all(outcome.error is None or not _cut_short(outcome.error) for outcome in outcomes):
            # The details of a directly asked expiry may still be under way, for its ids.
            await asyncio.wait({loading}, timeout=rules.details_timeout_s)
    finally:
        loading.cancel()
        await asyncio.wait({loading}, timeout=1.0)
    job.known = listings.found
    job.complete_expiries |= listings.complete
    return outcomes


def _direct(listings: contracts.Listings, pairs: Sequence[Wanted]) -> frozenset[Wanted]:
    first = listings.missing_expiries[:1]
    return frozenset([pair for pair in pairs if pair.expiry in first][:_DIRECT])


def _cut_short(error: Exception) -> bool:
    return isinstance(error, (DeadlineExceeded, SessionError))


# -- step 10 ---------------------------------------------------------------------------------


def _rows(job: _Job, *, is_replay: bool) -> Iterable[OptionQuote]:
    for pair in job.chosen:
        row = job.rows.get(pair) or _failed(job, pair)
        if row.con_id is None and pair in job.known:
            row = row.model_copy(update={"con_id": job.known[pair]})
        if is_replay and row.quote_source is not None:
            row = row.model_copy(update={"quote_source": QuoteSource.REPLAY})
        yield row


def _failed(job: _Job, pair: Wanted) -> OptionQuote:
    error = job.errors.get(pair) or RequestTimeout(
        contracts.describe(job.underlying.symbol, pair), job.settings.chain.quote_timeout_s
    )
    return quotes.unfinished(pair, error, con_id=job.known.get(pair))


__all__ = ["ContractMemory", "fetch_chain", "wanted_data_type"]
