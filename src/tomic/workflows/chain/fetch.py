"""
One option chain, in the eleven steps of the mission, and the chains of several symbols.

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

Steps 2 to 6 are in `setup`, steps 7 to 9 in `ib.option_quotes`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomic import selection, valuation
from tomic.chain import Chain, Fetch
from tomic.errors import (
    DataError,
    DeadlineExceeded,
    RequestFailed,
    SessionLost,
    TomicError,
    ungrouped,
)
from tomic.ib import history
from tomic.ib.history import DailyBar, Series
from tomic.ib.option_quotes import OptionStream, cuts_short
from tomic.models import DataType, OptionQuote, QuoteSource, RowStatus, VolSnapshot
from tomic.selection import Wanted
from tomic.workflows.chain.setup import ChainRequest, KnownContracts, Setup, prepare
from tomic.workflows.progress import counting
from tomic.workflows.volatility.stored import usual_close

_OPTION_IV = "options have IV history"


async def fetch_chain(request: ChainRequest) -> Chain:
    """
    Fetch the chain that *request* describes.

    When its deadline passes, the connection drops for good, or the session is interrupted, the
    chain is returned with what has arrived; ``chain.fetch.complete`` is then false and the
    unfinished rows say why.

    Raises:
        UnknownContract, EmptyChain, MissingSpot, NoMarketData, RequestTimeout, DeadlineExceeded,
        SessionError: Before any option was asked for; see `setup.prepare`.
    """
    session, started = request.session, asyncio.get_running_loop().time()
    sent, retried = session.messages, session.retried
    setup = await prepare(request)
    pairs = _in_order(setup)
    memory = _Memory(request, setup)
    stream = OptionStream(
        session=session,
        underlying=setup.underlying,
        params=setup.params,
        rules=request.settings.chain,
        ids=memory.ids,
        complete=memory.complete,
        eager=request.eager,
        rank=request.rank,
        deadline=request.deadline,
        instead=history_of(request, setup).row,
        on_listed=memory.save,
        on_done=counting(request.watch, request.symbol, len(pairs)),
    )
    outcomes = await stream.quote(pairs)
    await memory.save()
    fetch = Fetch(
        seconds=asyncio.get_running_loop().time() - started,
        messages=session.messages - sent,
        peak_lines=session.limits.peak_lines,
        retried=session.retried - retried,
        complete=not any(map(cuts_short, outcomes)),
    )
    rows = {outcome.item: stream.row(outcome) for outcome in outcomes}
    return await _assembled(request, setup, [rows[pair] for pair in setup.chosen], fetch)


def _in_order(setup: Setup) -> list[Wanted]:
    """Expiry by expiry, nearest to the money first."""
    return [
        pair
        for expiry in setup.chosen.expiries
        for pair in selection.by_moneyness(setup.chosen.of_expiry(expiry), setup.spot.price)
    ]


@dataclass(slots=True)
class _Memory:
    """What is known of the contracts of one chain, and of which expiries it is remembered."""

    request: ChainRequest
    setup: Setup
    ids: dict[Wanted, int] = field(init=False)
    complete: set[dt.date] = field(init=False)
    _saved: set[dt.date] = field(init=False)

    def __post_init__(self) -> None:
        known = self.setup.known
        self.ids, self.complete = dict(known.ids), set(known.complete)
        self._saved = set(known.complete)

    async def save(self) -> None:
        """Remember the contracts of expiries that have become complete."""
        memory, setup = self.request.memory, self.setup
        if memory is None or self.complete <= self._saved:
            return
        complete = set(self.complete)
        ids = {pair: con_id for pair, con_id in self.ids.items() if pair.expiry in complete}
        known = KnownContracts(ids, frozenset(complete))
        await memory.save(setup.underlying, setup.today, setup.listed, setup.params, known)
        self._saved = complete


async def _assembled(
    request: ChainRequest, setup: Setup, rows: Sequence[OptionQuote], fetch: Fetch
) -> Chain:
    """Steps 10 and 11."""
    session, settings = request.session, request.settings
    if request.recorded_spot is not None:
        rows = [_replayed(row) for row in rows]
    chain = Chain.from_quotes(
        rows,
        underlying=setup.underlying,
        spot=setup.spot,
        as_of=session.clock_now(),
        rate=settings.market.rate,
        data_type=_data_type(session.data_type or DataType.LIVE, rows),
        notes=(*session.notes, *setup.chosen.notes),
        multiplier=setup.params.multiplier,
        trading_class=setup.params.trading_class,
        fetch=fetch,
    )
    if request.recorded_spot is None and not setup.is_open:
        chain = await filled(chain, request, setup)
    return valuation.complete(chain, settings.market, settings.chain)


def _replayed(row: OptionQuote) -> OptionQuote:
    if row.quote_source is None:
        return row
    return row.model_copy(update={"quote_source": QuoteSource.REPLAY})


def _data_type(asked: DataType, rows: Sequence[OptionQuote]) -> DataType:
    """What the rows really are, the weakest of them; what was asked for when none has a quote."""
    sources = {row.quote_source for row in rows}
    if QuoteSource.DELAYED in sources:
        return asked if asked is DataType.DELAYED_FROZEN else DataType.DELAYED
    if QuoteSource.FROZEN in sources:
        return DataType.FROZEN
    return DataType.LIVE if QuoteSource.LIVE in sources else asked


# -- a closed market -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LastBars:
    """The options of one chain whose last daily bar is taken instead of a quote."""

    request: ChainRequest
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
            async with asyncio.timeout(self.request.settings.ib.request_timeout_s):
                series, bars = await self._bars(pair, con_id)
        except (RequestFailed, DataError, TimeoutError):
            return None
        return _row(pair, con_id, series, bars[-1]) if bars else None

    async def _bars(self, pair: Wanted, con_id: int) -> tuple[Series, Sequence[DailyBar]]:
        """IB's IV of the option if it has any, which it says once, else the middle of its quote."""
        session = self.request.session
        async with session.limits.named(_OPTION_IV):
            if _OPTION_IV not in session.cache:
                bars = await self._ask(pair, con_id, Series.IMPLIED)
                session.cache[_OPTION_IV] = bool(bars)
                if bars:
                    return Series.IMPLIED, bars
        series = Series.IMPLIED if session.cache[_OPTION_IV] else Series.MIDPOINT
        return series, await self._ask(pair, con_id, series)

    async def _ask(self, pair: Wanted, con_id: int, series: Series) -> Sequence[DailyBar]:
        request, setup = self.request, self.setup
        return await history.option_bars(
            request.session, setup.underlying, setup.params, pair, series, con_id=con_id
        )


def history_of(request: ChainRequest, setup: Setup) -> LastBars:
    """
    The options to ask bars for: none unless the market is closed and the settings want it.

    At most `market.historical_contracts`, and no more than IB's limit lets through at once; those
    nearest the money of each expiry.
    """
    market = request.settings.market
    wanted = market.use_historical_iv_when_closed and not setup.is_open
    if not wanted or request.recorded_spot is not None:
        return LastBars(request, setup, frozenset())
    turns = history.turns_of(request.session)
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
    return LastBars(request, setup, frozenset(pair for _, _, pair in ranked[:free]))


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


async def filled(chain: Chain, request: ChainRequest, setup: Setup) -> Chain:
    """*chain* with IV from bars, then stored quotes, then the local model where there is none."""
    chain = valuation.with_historical_iv(chain)
    if request.memory is not None and valuation.lacks_quotes(chain).any():
        stored = await request.memory.last_chain(chain.symbol, chain.trading_class)
        if stored is not None:
            chain = valuation.with_stored(chain, stored)
    chain = valuation.with_local_greeks(chain)
    return valuation.with_model(chain, setup.ticks.implied_volatility)


# -- several chains --------------------------------------------------------------------------

FetchOne = Callable[[str, int], Coroutine[Any, Any, tuple[Chain, VolSnapshot | None]]]
"""Fetches one symbol, which has a place among the others."""


@dataclass(frozen=True, slots=True)
class ChainOutcome:
    """What became of one symbol."""

    symbol: str
    chain: Chain | None = None
    snapshot: VolSnapshot | None = None
    """What the chain and the store say of its volatility."""
    error: TomicError | None = None


async def fetch_chains(
    fetch: FetchOne,
    symbols: Sequence[str],
    *,
    on_done: Callable[[ChainOutcome], None] | None = None,
) -> list[ChainOutcome]:
    """
    Run *fetch* for all *symbols* at once; return an outcome per symbol, in order.

    The messages of all share the session's pacer, so several symbols take the time of their
    summed messages, never of their summed time-outs; the first is whole first. *on_done* is
    called as each finishes. One failing symbol never stops the others.
    """
    outcomes: dict[str, ChainOutcome] = {}

    async def run(symbol: str, place: int) -> None:
        try:
            chain, snapshot = await fetch(symbol, place)
            outcome = ChainOutcome(symbol, chain=chain, snapshot=snapshot)
        except TomicError as exc:
            outcome = ChainOutcome(symbol, error=exc)
        outcomes[symbol] = outcome
        if on_done is not None:
            on_done(outcome)

    unique = list(dict.fromkeys(symbols))
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for place, symbol in enumerate(unique):
                group.create_task(run(symbol, place), name=f"tomic chain {symbol}")
    return [outcomes[symbol] for symbol in unique]


def cut_short(chain: Chain) -> TomicError:
    """Why a part of *chain* is missing, as the error that would have been raised for all of it."""
    statuses = chain.unanswered
    text = f"{chain.symbol}: {chain.cut}"
    if RowStatus.LOST in statuses:
        # Single options that were refused are lost over a line that stands.
        return RequestFailed(text) if chain.fetch.complete else SessionLost(text)
    if RowStatus.TIMEOUT in statuses or not chain.fetch.complete:
        return DeadlineExceeded(text)
    return DataError(text)
