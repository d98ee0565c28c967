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

Steps 2 to 6 are in `chain_setup`; what a closed market needs besides is in `closed_market`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tomic import selection, substitutes, valuation
from tomic.chain import Chain, Fetch
from tomic.config import Settings
from tomic.errors import (
    DataError,
    DeadlineExceeded,
    RequestFailed,
    RequestTimeout,
    SessionError,
    SessionLost,
    UnknownContract,
)
from tomic.ib import contracts, convert, history, quotes
from tomic.ib.clocks import Farm
from tomic.ib.history import DailyBar, Series
from tomic.ib.pacing import Announced
from tomic.ib.quotes import Patience
from tomic.ib.session import Outcome, Session
from tomic.models import DataType, OptionQuote, QuoteSource, RowStatus, Spot
from tomic.selection import Wanted
from tomic.workflows.chain.setup import (
    ChainRequest,
    Chooser,
    ContractMemory,
    KnownContracts,
    Setup,
    SpotFallback,
    prepare,
    wanted_data_type,
)
from tomic.workflows.progress import Event, Watcher, ignore
from tomic.workflows.volatility.stored import usual_close

_OPTION_IV = "options have IV history"


@dataclass(frozen=True, slots=True)
class LastBars:
    """The options of one chain whose last daily bar is taken instead of a quote."""

    order: ChainRequest
    setup: Setup
    pairs: frozenset[Wanted]

    async def row(self, pair: Wanted, con_id: int) -> OptionQuote | None:
        """
        The row of *pair* from its bar; None when it is not one of these, or has no bar.

        Raises:
            SessionLost: The connection went away.
        """
        if pair not in self.pairs:
            return None
        try:
            async with asyncio.timeout(self.order.settings.ib.request_timeout_s):
                series, bars = await self._bars(pair, con_id)
        except (RequestFailed, DataError, TimeoutError):
            return None
        return _row(pair, con_id, series, bars[-1]) if bars else None

    async def _bars(self, pair: Wanted, con_id: int) -> tuple[Series, Sequence[DailyBar]]:
        """IB's IV of the option if it has any, which it says once, else the middle of its quote."""
        session = self.order.session
        async with session.limits.named(_OPTION_IV):
            if _OPTION_IV not in session.cache:
                bars = await self._ask(pair, con_id, Series.IMPLIED)
                session.cache[_OPTION_IV] = bool(bars)
                if bars:
                    return Series.IMPLIED, bars
        series = Series.IMPLIED if session.cache[_OPTION_IV] else Series.MIDPOINT
        return series, await self._ask(pair, con_id, series)

    async def _ask(self, pair: Wanted, con_id: int, series: Series) -> Sequence[DailyBar]:
        order, setup = self.order, self.setup
        return await history.option_bars(
            order.session, setup.underlying, setup.params, pair, series, con_id=con_id
        )


def history_of(order: ChainRequest, setup: Setup) -> LastBars:
    """
    The options to ask bars for: none unless the market is closed and the settings want it.

    At most `market.historical_contracts`, and no more than IB's limit lets through at once; those
    nearest the money of each expiry.
    """
    market = order.settings.market
    wanted = market.use_historical_iv_when_closed and not setup.is_open
    if not wanted or order.recorded_spot is not None:
        return LastBars(order, setup, frozenset())
    turns = history.turns_of(order.session)
    most = market.historical_contracts
    # One more than that: the question whether options have an IV history at all.
    free = next((n for n in range(most, 0, -1) if turns.seconds_for(n + 1) <= 0.0), 0)
    ranked = sorted(
        (rank, pair.expiry, pair)
        for expiry in setup.chosen.expiries
        for rank, pair in enumerate(
            selection.by_moneyness(setup.chosen.of_expiry(expiry), setup.spot.price)
        )
    )
    return LastBars(order, setup, frozenset(pair for _, _, pair in ranked[:free]))


def _row(pair: Wanted, con_id: int, series: Series, bar: DailyBar) -> OptionQuote:
    is_iv = series is Series.IMPLIED
    return OptionQuote(
        con_id=con_id or None,
        expiry=pair.expiry,
        dte=0,
        strike=pair.strike,
        right=pair.right,
        close=None if is_iv else bar.close,
        iv=bar.close if is_iv else None,
        status=RowStatus.NO_GREEKS,
        quote_source=QuoteSource.HISTORY,
        quoted_at=usual_close(bar.day),
    )


async def filled(chain: Chain, order: ChainRequest, setup: Setup) -> Chain:
    """*chain* with IV from bars, then stored quotes, then the local model where there is none."""
    chain = substitutes.with_historical_iv(chain)
    if order.memory is not None and substitutes.lacks_quotes(chain).any():
        stored = await order.memory.last_chain(chain.symbol, chain.trading_class)
        if stored is not None:
            chain = substitutes.with_stored(chain, stored)
    chain = valuation.with_local_greeks(chain)
    return substitutes.with_model(chain, setup.ticks.implied_volatility)


_DIRECT = 64
"""Options of the first expiry that are subscribed by description, without waiting for their
details. The gateway answers open details requests one at a time, in 0.5 to 1.4 s each; asking
those of the first expiry last keeps them ahead of the subscriptions all the way. The nearest
expiry lists nearly every strike, so few of these are refused."""
_BORED_S, _AT_ONCE = 0.5, 24
"""After so many seconds without anything to send, so many more options are subscribed in that way:
half a second of messages."""
_IDS_S = 3.0
"""How long the ids of an expiry that is quoted already are waited for at the end."""
_UNANSWERED = (DeadlineExceeded, RequestTimeout)
_IDLE_ROUNDS = 3
"""Connections in a row that may be lost without having brought a single row."""


@dataclass(slots=True)
class _Job:
    """One chain while its options are quoted."""

    order: ChainRequest
    setup: Setup
    patience: Patience
    history: LastBars
    stop_at: float | None
    """When quoting ends, so that what is open can still be cancelled before the deadline."""
    ids: dict[Wanted, int] = field(default_factory=dict)
    complete: set[dt.date] = field(default_factory=set)
    remembered: set[dt.date] = field(default_factory=set)
    """Expiries whose contracts are in the memory."""
    rows: dict[Wanted, OptionQuote] = field(default_factory=dict)
    errors: dict[Wanted, Exception] = field(default_factory=dict)

    @property
    def session(self) -> Session:
        return self.order.session

    @property
    def symbol(self) -> str:
        return self.order.symbol

    @property
    def was_cut_short(self) -> bool:
        return any(map(_cuts_short, self.errors.values()))


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
    choose: Chooser | None = None,
    eager: bool = True,
    rank: int = 0,
) -> Chain:
    """
    Fetch the chain of *symbol*, which must be a valid symbol, over *session*.

    *deadline* is a time of the running loop. When it passes, the line drops for good, or the
    session is interrupted, the chain is returned with what has arrived; ``chain.fetch.complete``
    is then false and the unfinished rows say why. *recorded_spot* belongs to a recorded chain,
    whose rows are then labelled ``replay``. *choose* picks the options instead of the window in
    the settings. *eager* subscribes options before it is known that they exist. Of several chains
    that share the session, those of lower *rank* are quoted first.

    Raises:
        UnknownContract, EmptyChain, MissingSpot, NoMarketData, RequestTimeout, DeadlineExceeded,
        SessionError: Before any option was asked for; see `chain_setup.prepare`.
    """
    started = asyncio.get_running_loop().time()
    sent, retried = session.messages, session.retried
    order = ChainRequest(
        session,
        symbol,
        settings,
        memory,
        deadline,
        watch,
        spot_fallback,
        recorded_spot,
        choose,
        eager,
        rank,
    )
    setup = await prepare(order)
    job = _Job(
        order,
        setup,
        Patience(settings.chain.silent_s),
        history_of(order, setup),
        stop_at=_stop_at(session, deadline),
        ids=dict(setup.known.ids),
        complete=set(setup.known.complete),
        remembered=set(setup.known.complete),
    )
    await _quote_all(job)
    await _remember(job)
    fetch = Fetch(
        seconds=asyncio.get_running_loop().time() - started,
        messages=session.messages - sent,
        peak_lines=session.limits.peak_lines,
        retried=session.retried - retried,
        complete=not job.was_cut_short,
    )
    return await _finished(job, fetch)


def _stop_at(session: Session, deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - asyncio.get_running_loop().time()
    return deadline - min(session.closing_s, 0.1 * max(left, 0.0))


# -- steps 7 to 9 ----------------------------------------------------------------------------


async def _quote_all(job: _Job) -> None:
    """Quote every wanted option; reconnect for what is unfinished while time is left."""
    pending, idle = _in_order(job.setup), 0
    while pending and idle < _IDLE_ROUNDS:
        had = len(job.rows)
        for outcome in await _quote_once(job, pending):
            if outcome.value is not None:
                job.rows[outcome.item] = outcome.value
                job.errors.pop(outcome.item, None)
            elif outcome.error is not None:
                job.errors[outcome.item] = outcome.error
        idle = idle + 1 if len(job.rows) == had else 0
        pending = [pair for pair in pending if isinstance(job.errors.get(pair), SessionLost)]
        if not pending or job.session.interrupted:
            break
        try:
            await job.session.reconnect(job.stop_at)
        except (SessionError, DeadlineExceeded):
            break
    _say_why(job)


def _say_why(job: _Job) -> None:
    """Tell once why options are missing."""
    if job.session.cut_off:
        lost_by = SessionLost("TWS lost its connection to IB and did not get it back in time")
        job.errors = {
            pair: lost_by if isinstance(error, _UNANSWERED) else error
            for pair, error in job.errors.items()
        }
    lost = next((error for error in job.errors.values() if isinstance(error, SessionError)), None)
    if lost is not None:
        job.session.note(str(lost))


def _in_order(setup: Setup) -> list[Wanted]:
    """Expiry by expiry, nearest to the money first."""
    return [
        pair
        for expiry in setup.chosen.expiries
        for pair in selection.by_moneyness(setup.chosen.of_expiry(expiry), setup.spot.price)
    ]


async def _quote_once(job: _Job, pairs: Sequence[Wanted]) -> list[Outcome[Wanted, OptionQuote]]:
    """Quote *pairs* over the connection that is up now; ids that become known are kept."""
    setup, rules = job.setup, job.order.settings.chain
    listings = contracts.Listings(
        job.session, setup.underlying, setup.params, pairs, rules, job.ids, job.complete
    )
    if listings.missing_expiries and job.order.eager:
        listings.release(_DIRECT, listings.missing_expiries[0])
    done, total = len(job.rows), len(job.rows) + len(pairs)

    async def quote(pair: Wanted) -> OptionQuote:
        return await _quote(job, listings, pair, coming)

    def count(_: object) -> None:
        nonlocal done
        done += 1
        job.order.watch(Event("count", job.symbol, done=done, total=total))

    coming = job.session.limits.lines.announce(len(pairs))
    loading = asyncio.create_task(_load(job, listings), name="tomic contract details")
    hurrying = asyncio.create_task(_keep_busy(job, listings, loading), name="tomic hurry")
    try:
        outcomes = await job.session.fan_out(pairs, quote, deadline=job.stop_at, on_done=count)
        if not any(
            outcome.error is not None and _cuts_short(outcome.error) for outcome in outcomes
        ):
            # The details of an expiry that was subscribed directly may still be under way.
            await asyncio.wait({loading}, timeout=_IDS_S)
    finally:
        coming.settle_all()
        for task in (loading, hurrying):
            task.cancel()
        await asyncio.wait({loading, hurrying}, timeout=1.0)
        _learn(job, listings)
    return outcomes


async def _load(job: _Job, listings: contracts.Listings) -> None:
    """Learn which options exist, and remember it while the last of them are quoted."""
    await listings.load()
    _learn(job, listings)
    await _remember(job)


def _learn(job: _Job, listings: contracts.Listings) -> None:
    job.ids.update(listings.found)
    job.complete |= listings.complete


async def _keep_busy(job: _Job, listings: contracts.Listings, loading: asyncio.Task[None]) -> None:
    """
    Subscribe by description what waits for its details while there is nothing else to send.

    However slow the gateway is with the details, or if it never gives them, quotes go on.
    """
    limits, clock = job.session.limits, job.session.clocks[Farm.MARKET]
    while not loading.done():
        await limits.pacer.wait_idle()
        await asyncio.wait({loading}, timeout=_BORED_S)
        idle = limits.pacer.idle and not limits.lines.full and clock.running
        if idle and job.order.eager:
            listings.release(_AT_ONCE)


async def _quote(
    job: _Job, listings: contracts.Listings, pair: Wanted, coming: Announced
) -> OptionQuote:
    """One row: from its bar where the market is closed and that is wanted, else quoted."""
    setup = job.setup
    try:
        con_id = await listings.con_id(pair)
    except RequestFailed:
        coming.settle_one()
        raise
    row = await job.history.row(pair, con_id)
    if row is not None:
        coming.settle_one()
        return row
    contract = convert.option_contract(setup.underlying, setup.params, pair, con_id)
    what = contracts.describe(job.symbol, pair)
    try:
        return await quotes.option_quote(
            job.session,
            what,
            contract,
            pair,
            job.order.settings.chain,
            job.patience,
            coming.settle_one,
            job.order.rank,
        )
    except UnknownContract:
        listings.unlisted(pair)
        raise


def _cuts_short(error: Exception) -> bool:
    return isinstance(error, (DeadlineExceeded, SessionError))


async def _remember(job: _Job) -> None:
    memory, setup = job.order.memory, job.setup
    if memory is None or job.complete <= job.remembered:
        return
    complete = set(job.complete)
    ids = {pair: con_id for pair, con_id in job.ids.items() if pair.expiry in complete}
    known = KnownContracts(ids, frozenset(complete))
    await memory.save(setup.underlying, setup.today, setup.listed, setup.params, known)
    job.remembered = complete


# -- steps 10 and 11 -------------------------------------------------------------------------


async def _finished(job: _Job, fetch: Fetch) -> Chain:
    session, setup, settings = job.session, job.setup, job.order.settings
    rows = list(_rows(job))
    chain = Chain.from_quotes(
        rows,
        underlying=setup.underlying,
        spot=setup.spot,
        as_of=session.clock_now(),
        rate=settings.market.rate,
        data_type=_data_type(job, rows),
        notes=(*session.notes, *job.setup.chosen.notes),
        multiplier=setup.params.multiplier,
        trading_class=setup.params.trading_class,
        fetch=fetch,
    )
    if job.order.recorded_spot is None and not setup.is_open:
        chain = await filled(chain, job.order, setup)
    return valuation.complete(chain, settings.market, settings.chain)


def _rows(job: _Job) -> Iterator[OptionQuote]:
    for pair in job.setup.chosen:
        row = job.rows.get(pair) or _failed(job, pair)
        if row.con_id is None and pair in job.ids and row.status != RowStatus.UNKNOWN_CONTRACT:
            row = row.model_copy(update={"con_id": job.ids[pair]})
        if job.order.recorded_spot is not None and row.quote_source is not None:
            row = row.model_copy(update={"quote_source": QuoteSource.REPLAY})
        yield row


def _failed(job: _Job, pair: Wanted) -> OptionQuote:
    what, patience_s = (
        contracts.describe(job.symbol, pair),
        job.order.settings.chain.quote_timeout_s,
    )
    error = job.errors.get(pair) or RequestTimeout(what, patience_s)
    return quotes.unfinished(pair, error, con_id=job.ids.get(pair))


def _data_type(job: _Job, rows: Sequence[OptionQuote]) -> DataType:
    """What the rows really are, the weakest of them; what was asked for when none has a quote."""
    asked = job.session.data_type or DataType.LIVE
    sources = {row.quote_source for row in rows}
    if QuoteSource.DELAYED in sources:
        return asked if asked is DataType.DELAYED_FROZEN else DataType.DELAYED
    if QuoteSource.FROZEN in sources:
        return DataType.FROZEN
    return DataType.LIVE if QuoteSource.LIVE in sources else asked


__all__ = ["ContractMemory", "fetch_chain", "wanted_data_type"]
