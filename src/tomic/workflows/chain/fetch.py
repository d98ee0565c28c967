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
import operator
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, SupportsIndex

from pydantic import ValidationError

from tomic import dates, errors, selection, valuation
from tomic._keywords import unknown_keyword
from tomic.chain import Chain, Fetch
from tomic.config import ChainSettings, Settings
from tomic.ib.history import LastBars, Series, last_bars
from tomic.ib.option_quotes import OptionStream, cuts_short
from tomic.models import DataType, OptionQuote, QuoteSource, RowStatus, VolSnapshot, major_currency
from tomic.models.documents import first_fault
from tomic.selection import Wanted
from tomic.workflows.chain import setup as preparing
from tomic.workflows.progress import counting
from tomic.workflows.resources import Resources
from tomic.workflows.volatility.stored import usual_close

_RECORDED_SPOT_S = 0.5


async def fetch_chain(request: preparing.ChainRequest) -> Chain:
    """
    Fetch the chain that *request* describes.

    When its deadline passes, the connection drops for good, or the session is interrupted, the
    chain is returned with what has arrived; ``chain.fetch.cut_short`` is then true and the
    unfinished rows say why.

    Raises:
        UnknownContract, EmptyChain, MissingSpot, NoMarketData, RequestTimeout, DeadlineExceeded,
        SessionError: Before any option was asked for; see `setup.prepare`.
    """
    session, started = request.session, asyncio.get_running_loop().time()
    sent, retried = session.messages, session.retried
    setup = await preparing.prepare(request)
    pairs = _in_order(setup)
    ids, complete = dict(setup.known.ids), set(setup.known.complete)
    keep = partial(remember, request, setup, ids, complete, set(complete))
    bars = _last_bars(request, setup)
    stream = OptionStream(
        session=session,
        underlying=setup.underlying,
        params=setup.params,
        rules=request.settings.chain,
        ids=ids,
        complete=complete,
        eager=request.eager,
        rank=request.rank,
        deadline=request.deadline,
        instead=partial(_from_bar, bars) if bars is not None else None,
        on_listed=keep,
        on_done=counting(request.watch, request.symbol, len(pairs)),
    )
    outcomes = await stream.quote(pairs)
    await keep()
    fetch = Fetch(
        seconds=asyncio.get_running_loop().time() - started,
        messages=session.messages - sent,
        peak_lines=session.limits.peak_lines,
        retried=session.retried - retried,
        cut_short=any(map(cuts_short, outcomes)),
    )
    rows = {outcome.item: stream.row(outcome) for outcome in outcomes}
    return await _assembled(request, setup, [rows[pair] for pair in setup.chosen], fetch)


def _of_the_market(setup: preparing.Setup) -> tuple[str, ...]:
    """What the reader must know of a market that is not New York's."""
    underlying, notes = setup.underlying, []
    major, count = major_currency(underlying.currency)
    if count > 1:
        notes.append(
            f"{underlying.symbol} is quoted in {underlying.currency}: {count} make 1 {major}"
        )
    if setup.chosen.expiries:
        notes.append(dates.assumed_hours(underlying, setup.chosen.expiries[-1]))
    if underlying.is_future:
        notes.append(f"options on the future {underlying.local_symbol}, by Black (1976)")
    return tuple(filter(None, notes))


def _in_order(setup: preparing.Setup) -> list[Wanted]:
    """Expiry by expiry, nearest to the money first."""
    return [
        pair
        for expiry in setup.chosen.expiries
        for pair in selection.by_moneyness(setup.chosen.of_expiry(expiry), setup.spot.price)
    ]


async def remember(
    request: preparing.ChainRequest,
    setup: preparing.Setup,
    ids: Mapping[Wanted, int],
    complete: set[dt.date],
    saved: set[dt.date],
) -> None:
    """Remember the contracts of expiries that have become *complete* and are not *saved* yet."""
    if request.memory is None or complete <= saved:
        return
    whole = frozenset(complete)
    known = preparing.KnownContracts(
        {pair: ids[pair] for pair in ids if pair.expiry in whole}, whole
    )
    await request.memory.save(setup.underlying, setup.today, setup.listed, setup.params, known)
    saved |= whole


async def _assembled(
    request: preparing.ChainRequest,
    setup: preparing.Setup,
    rows: Sequence[OptionQuote],
    fetch: Fetch,
) -> Chain:
    """Steps 10 and 11."""
    chain = of_rows(request, setup, rows, fetch)
    if request.recorded_spot is None and not setup.is_open:
        chain = await _filled(chain, request, setup)
    return valuation.complete(chain, request.settings.market, request.settings.chain)


def of_rows(
    request: preparing.ChainRequest,
    setup: preparing.Setup,
    rows: Sequence[OptionQuote],
    fetch: Fetch,
) -> Chain:
    """Step 10: the chain of *rows*, with what is to be said of its market."""
    session, settings = request.session, request.settings
    if request.recorded_spot is not None:
        rows = [_replayed(row) for row in rows]
    chain = Chain.from_quotes(
        rows,
        underlying=setup.underlying,
        spot=setup.spot,
        as_of=session.clock_now(),
        rate=settings.market.rate_of(setup.underlying.currency),
        div_yield=setup.ticks.dividend_yield,
        data_type=_data_type(session.data_type or DataType.LIVE, rows),
        notes=(*session.notes, *setup.chosen.notes, *_of_the_market(setup)),
        multiplier=setup.params.multiplier,
        trading_class=setup.params.trading_class,
        fetch=fetch,
    )
    if chain.unknown_expiries:
        days = ", ".join(map(str, chain.unknown_expiries))
        note = f"listed, but the gateway knows no contract of them, so counted as missing: {days}"
        chain = replace(chain, notes=(*chain.notes, note))
    return chain


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


def _last_bars(request: preparing.ChainRequest, setup: preparing.Setup) -> LastBars | None:
    """
    The options to ask bars for: none unless the market is closed and the settings want it.

    At most `market.historical_contracts`, those nearest the money of each expiry.
    """
    market = request.settings.market
    wanted = market.use_historical_iv_when_closed and not setup.is_open
    if not wanted or request.recorded_spot is not None:
        return None
    by_expiry = [
        selection.by_moneyness(setup.chosen.of_expiry(expiry), setup.spot.price)
        for expiry in setup.chosen.expiries
    ]
    ranked = sorted((rank, pair) for pairs in by_expiry for rank, pair in enumerate(pairs))
    return last_bars(
        request.session,
        setup.underlying,
        setup.params,
        [pair for _, pair in ranked],
        market.historical_contracts,
    )


async def _from_bar(bars: LastBars, pair: Wanted, con_id: int) -> OptionQuote | None:
    """The row of *pair* from its last daily bar; None when it is not to be asked, or has none."""
    latest = await bars.of(pair, con_id)
    if latest is None:
        return None
    series, bar = latest
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


async def _filled(chain: Chain, request: preparing.ChainRequest, setup: preparing.Setup) -> Chain:
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
    error: errors.TomicError | None = None


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
        except errors.TomicError as exc:
            outcome = ChainOutcome(symbol, error=exc)
        outcomes[symbol] = outcome
        if on_done is not None:
            on_done(outcome)

    unique = list(dict.fromkeys(symbols))
    with errors.ungrouped():
        async with asyncio.TaskGroup() as group:
            for place, symbol in enumerate(unique):
                group.create_task(run(symbol, place), name=f"tomic chain {symbol}")
    return [outcomes[symbol] for symbol in unique]


def cut_short(chain: Chain) -> errors.TomicError:
    """Why a part of *chain* is missing, as the error that would have been raised for all of it."""
    statuses = chain.unanswered
    text = f"{chain.symbol}: {chain.cut}"
    if RowStatus.LOST in statuses:
        # Single options that were refused are lost over a line that stands.
        return errors.SessionLost(text) if chain.fetch.cut_short else errors.RequestFailed(text)
    if RowStatus.TIMEOUT in statuses or chain.fetch.cut_short:
        return errors.DeadlineExceeded(text)
    return errors.DataError(text)


# -- with what a desk holds open ---------------------------------------------------------------


async def fetch(
    resources: Resources,
    symbol: str,
    settings: Settings,
    deadline: float,
    choose: preparing.Chooser | None = None,
    *,
    keep: bool = True,
    rank: int = 0,
) -> tuple[Chain, VolSnapshot | None]:
    """
    One chain, and the figures beside it when it is kept in the store.

    Args:
        settings: Those of *resources*, or with rules of their own.
        choose: Picks the options instead of the rules of *settings*.
        keep: Whether it may stand for the chain of the day.
        rank: Place among several that are fetched at once.
    """
    request = await request_for(resources, symbol, settings, deadline, choose, rank=rank)
    chain = await fetch_chain(request)
    if resources.recording is not None:
        resources.recording.note_spot(symbol, chain.spot)
    return chain, await _remembered(resources, chain) if keep else None


async def request_for(
    resources: Resources,
    symbol: str,
    settings: Settings,
    deadline: float,
    choose: preparing.Chooser | None = None,
    *,
    rank: int = 0,
) -> preparing.ChainRequest:
    """
    What is asked of the session for one chain; arguments as of `fetch`.

    Raises:
        SessionError: The gateway cannot be reached.
    """
    session = await resources.session(symbol)
    recorded_spot = resources.stand_in.recorded_spot if resources.stand_in else None
    if recorded_spot is not None:
        settings = _less_patient(settings)
    # A recording must hold the contracts too, so it takes none from the store.
    forgetful = resources.origin.simulated or resources.recording is not None
    memory = None if forgetful else preparing.ContractMemory(await resources.store(), session.note)
    return preparing.ChainRequest(
        session,
        symbol,
        settings,
        memory=memory,
        deadline=deadline,
        watch=resources.watch,
        spot_fallback=preparing.web_spot_of(resources),
        recorded_spot=recorded_spot,
        choose=choose,
        # The same seed is to give the same document, its count of messages included.
        eager=resources.origin.paced or not resources.origin.demo,
        rank=rank,
    )


async def fetch_all(
    resources: Resources,
    symbols: Sequence[str],
    settings: Settings,
    *,
    deadline: float | None = None,
    on_done: Callable[[ChainOutcome], None] | None = None,
) -> list[ChainOutcome]:
    """
    The chains of *symbols* at once, within one deadline; an outcome per symbol, in order.

    Args:
        deadline: That of the call this is a part of; a call of its own takes one.

    Raises:
        UsageError: Several symbols of one recording.
        SessionError: The gateway cannot be reached.
    """
    if resources.origin.replay is not None and len(set(symbols)) > 1:
        raise errors.UsageError("a recording holds one symbol; name one")
    if not symbols:
        resources.waive_deadline()
        return []
    until = resources.take_deadline(settings.chain.deadline_s) if deadline is None else deadline
    await resources.session(symbols[0])
    return await fetch_chains(
        lambda symbol, place: fetch(resources, symbol, settings, until, rank=place),
        symbols,
        on_done=on_done,
    )


def with_rules(
    settings: Settings,
    dte: int | tuple[int, int | None] | str | None,
    delta: tuple[float, float] | str | None,
    rules: Mapping[str, Any],
) -> Settings:
    """
    Settings with another section ``chain``.

    Raises:
        UsageError: A key is unknown or a value cannot be right; the message says which is meant.
    """
    known = ("dte", "delta", *ChainSettings.model_fields)
    for name in rules:
        if name not in known:
            raise errors.UsageError(unknown_keyword("chain", name, known))
    changes = dict(rules)
    if isinstance(dte, SupportsIndex):
        changes["min_dte"], changes["max_dte"] = operator.index(dte), None
    elif isinstance(dte, str):
        changes["min_dte"], changes["max_dte"] = selection.parse_dte(dte)
    elif dte is not None:
        changes["min_dte"], changes["max_dte"] = _ends(dte, "dte", "15, (15, 60) or '15:60'")
    if isinstance(delta, str):
        changes["min_delta"], changes["max_delta"] = selection.parse_delta(delta)
    elif delta is not None:
        ends = _ends(delta, "delta", "(-0.8, 0.8) or '-0.8:0.8'")
        changes["min_delta"], changes["max_delta"] = ends
    if not changes:
        return settings
    try:
        chain = ChainSettings.model_validate({**settings.chain.model_dump(), **changes})
    except ValidationError as exc:
        raise errors.UsageError(first_fault(exc)) from exc
    return settings.model_copy(update={"chain": chain})


def _ends(given: Any, name: str, form: str) -> tuple[Any, Any]:
    """Both ends of a range."""
    try:
        low, high = given
    except (TypeError, ValueError):
        raise errors.UsageError(f"{name}={given!r}: write {form}") from None
    return low, high


async def _remembered(resources: Resources, chain: Chain) -> VolSnapshot | None:
    """The figures beside *chain*; None when the store cannot be used, which costs no chain."""
    # It imports scipy: 0.3 s, for which a chain that is not kept need not wait.
    from tomic.workflows.volatility.measure import remember_chain

    try:
        return await remember_chain(await resources.store(), chain, resources.settings)
    except errors.StoreError as exc:
        resources.note(f"{exc}; volatility history left out")
        return None


def _less_patient(settings: Settings) -> Settings:
    """A recorded chain of which the price is known has no quote of the underlying to wait for."""
    patience_s = min(_RECORDED_SPOT_S, settings.market.spot_timeout_s)
    market = settings.market.model_copy(update={"spot_timeout_s": patience_s})
    return settings.model_copy(update={"market": market})
