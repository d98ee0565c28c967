"""Open entries against the market: exit signals, snapshots, and where their P&L came from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tomic import dates
from tomic.errors import TomicError
from tomic.journal import attribution, campaign, exits, reading, targets
from tomic.models import Underlying, VolSnapshot, journal as nouns
from tomic.models.frames import Framed, row_of
from tomic.store import Dividend
from tomic.workflows.journal.entries import Journal, change, load_open, with_snapshot
from tomic.workflows.journal.market import LegMarket, QuotedVix, read_markets

_RECENT = dt.timedelta(days=4)
_AHEAD = dt.timedelta(days=400)
"""How far ahead dates of earnings and dividends are looked up."""


@dataclass(frozen=True, slots=True)
class CheckRun(Framed):
    """What a check found, and the symbols that could not be quoted."""

    checks: tuple[nouns.ExitCheck, ...]
    errors: Mapping[str, TomicError]
    as_of: dt.datetime

    def _framed(self) -> Iterable[Any]:
        for check in self.checks:
            fired = "; ".join(signal.rule for signal in check.signals)
            yield {**row_of(check), "fired": fired}

    @property
    def fired(self) -> bool:
        """Whether a rule of any entry fired."""
        return any(check.verdict is nouns.Verdict.ACT for check in self.checks)

    @property
    def lack_earnings(self) -> tuple[str, ...]:
        """Symbols that may report earnings, of which no date is known and a rule asks for one."""
        return tuple(sorted({check.symbol for check in self.checks if check.lacks_earnings}))

    @property
    def is_partial(self) -> bool:
        """Whether an entry could not be judged."""
        return any(check.verdict is nouns.Verdict.UNJUDGED for check in self.checks)


@dataclass(frozen=True, slots=True)
class Attributed:
    """The P&L of one entry accounted for, since entry and since yesterday."""

    entry: nouns.JournalEntry
    since_entry: nouns.Attribution | None
    since_yesterday: nouns.Attribution | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Around:
    """What is stored of a symbol beside its quotes."""

    vol: VolSnapshot | None
    earnings: dt.date | None
    dividend: Dividend | None
    underlying: Underlying


# -- check -------------------------------------------------------------------------------------


async def check(journal: Journal, ids: Sequence[int] = (), *, keep: bool = True) -> CheckRun:
    """
    Judge the exit rules of every open entry, or of the named ones, on fresh marks.

    What cannot be quoted is judged on what is known without quotes, and said. With *keep* a
    snapshot of each day stays with its entry, for the attribution since yesterday; of a recording
    none is kept.
    """
    entries = [entry for entry in await load_open(journal, ids) if entry.is_open]
    markets = await _markets(journal, entries)
    return await judged(journal, entries, markets, keep=keep)


async def judged(
    journal: Journal,
    entries: Sequence[nouns.JournalEntry],
    markets: Mapping[str, LegMarket | TomicError],
    *,
    keep: bool,
) -> CheckRun:
    """As `check`, of open entries on markets that were quoted already, by symbol."""
    now = await _moment(journal, markets)
    around = await _around(journal, {entry.symbol for entry in entries}, _day(now))
    checks = []
    for entry in entries:
        market = markets.get(entry.symbol)
        marked = _snapshot(entry, market)
        checks.append(_checked(entry, marked, market, around[entry.symbol], now))
        if keep and journal.source != "replay" and marked is not None:
            await _keep_daily(journal, entry, marked)
    errors = {name: answer for name, answer in markets.items() if isinstance(answer, TomicError)}
    return CheckRun(tuple(checks), errors, now)


async def _markets(
    journal: Journal, entries: Sequence[nouns.JournalEntry]
) -> dict[str, LegMarket | TomicError]:
    contracts: dict[str, list[nouns.Contract]] = {}
    for entry in entries:
        legs = campaign.held(entry)
        if legs:
            # Shares alone are marked too: without a price of theirs no P&L is known.
            options = [leg for leg in legs if not leg.is_stock]
            contracts.setdefault(entry.symbol, []).extend(options)
    if journal.fetch is None:
        return {}
    return await read_markets(
        contracts,
        fetch=journal.fetch,
        store=journal.store,
        settings=journal.settings,
        vix=QuotedVix.of(journal),
    )


async def _moment(journal: Journal, markets: Mapping[str, LegMarket | TomicError]) -> dt.datetime:
    """The time of the marks; the clock's where there are none."""
    times = [market.chain.as_of for market in markets.values() if isinstance(market, LegMarket)]
    return max(times) if times else await journal.clock()


def _snapshot(
    entry: nouns.JournalEntry, market: LegMarket | TomicError | None
) -> nouns.Snapshot | None:
    if not isinstance(market, LegMarket):
        return None
    legs = campaign.held(entry)
    marked = reading.snapshot(market.board, legs, legs, market.vol)
    return marked.model_copy(update={"at": campaign.not_before(entry, marked.at)})


async def _around(journal: Journal, symbols: set[str], day: dt.date) -> dict[str, _Around]:
    store = journal.store
    vols = await store.history.latest_snapshots(symbols)
    earnings = await store.calendar.earnings(symbols, since=day, until=day + _AHEAD)
    dividends = await store.calendar.dividends(symbols, since=day, until=day + _AHEAD)
    return {
        symbol: _Around(
            vols.get(symbol),
            earnings[symbol][0].day if earnings.get(symbol) else None,
            dividends[symbol][0] if dividends.get(symbol) else None,
            await store.contracts.underlying(symbol, day) or await journal.known_underlying(symbol),
        )
        for symbol in symbols
    }


def _checked(
    entry: nouns.JournalEntry,
    marked: nouns.Snapshot | None,
    market: LegMarket | TomicError | None,
    around: _Around,
    now: dt.datetime,
) -> nouns.ExitCheck:
    quoted = market if isinstance(market, LegMarket) else None
    observed = _observed(entry, marked, quoted, around, now)
    signals = exits.evaluate(entry.rules, observed)
    notes = []
    if isinstance(market, TomicError):
        notes.append(f"no marks: {market}")
    elif market is None and observed.missing:
        notes.append("no marks: nobody was asked")
    elif observed.missing:
        notes.append(f"no quote of {', '.join(observed.missing)}")
    notes += [text for text in (observed.stale, reading.delay(marked) if marked else "") if text]
    underlying = quoted.chain.underlying if quoted else around.underlying
    asks_earnings = entry.rules.earnings_days is not None and observed.earnings is None
    return nouns.ExitCheck(
        entry_id=entry.id,
        symbol=entry.symbol,
        strategy=entry.strategy,
        verdict=exits.verdict(signals, observed),
        signals=tuple(signal for signal in signals if signal.fired),
        unjudged=tuple(signal for signal in signals if not signal.fired),
        notes=tuple(notes),
        as_of=now,
        pnl=campaign.worth(entry, marked.prices).pnl if marked else None,
        share_of_premium=exits.share_of_premium(observed),
        dte=observed.dte,
        levels=targets.levels(entry, marked),
        lacks_earnings=asks_earnings and underlying.reports_earnings is not False,
    )


def _observed(
    entry: nouns.JournalEntry,
    marked: nouns.Snapshot | None,
    market: LegMarket | None,
    around: _Around,
    now: dt.datetime,
) -> exits.Observed:
    day = _day(now)
    legs = campaign.held(entry)
    options = [leg for leg in legs if not leg.is_stock]
    marks = marked.prices if marked else {}
    vol = market.vol if market else around.vol
    earnings, ex_dividend, dividend = _events(vol, around)
    return exits.Observed(
        day=day,
        opened=_day(entry.opened_at),
        dte=campaign.days_left(entry, day),
        pnl=campaign.pnl_against_premium(entry, marks),
        premium=campaign.premium(entry),
        at_stake=_at_stake(legs, marked),
        spot=marked.spot if marked else None,
        shorts=_shorts(options, marked),
        iv=vol.iv30 if vol and market else None,
        iv_at_entry=entry.context.iv,
        iv_rank=vol.iv_rank if vol and _is_recent(vol, now) else None,
        earnings=earnings,
        ex_dividend=ex_dividend,
        dividend=dividend,
        ev=_ev_of_holding(legs, marked, market),
        missing=tuple(leg.name for leg in legs if nouns.price_of(marks, leg.key) is None),
        stale=reading.staleness(marked, legs) if marked else "",
    )


def _at_stake(legs: Sequence[nouns.Held], marked: nouns.Snapshot | None) -> float | None:
    worth = reading.value_now(legs, marked) if marked else None
    return None if worth is None else abs(worth)


def _is_recent(vol: VolSnapshot, now: dt.datetime) -> bool:
    """Whether a stored snapshot still says how volatility stands: a long weekend old at most."""
    return now - vol.as_of <= _RECENT


def _events(
    vol: VolSnapshot | None, around: _Around
) -> tuple[dt.date | None, dt.date | None, float | None]:
    """Next report, next ex-day and its amount: the store's calendar, else the last snapshot."""
    earnings = around.earnings or (vol.next_earnings if vol else None)
    if around.dividend is not None:
        return earnings, around.dividend.day, around.dividend.amount
    if vol is not None:
        return earnings, vol.next_dividend, vol.dividend_amount
    return earnings, None, None


def _shorts(
    options: Sequence[nouns.Held], marked: nouns.Snapshot | None
) -> tuple[exits.ShortLeg, ...]:
    shorts = []
    for leg in options:
        if leg.quantity < 0.0 and leg.strike is not None and leg.expiry is not None:
            mark = (marked.mark(leg.key) if marked else None) or nouns.LegMark()
            short = exits.ShortLeg(leg.name, leg.strike, leg.is_call, leg.expiry)
            shorts.append(replace(short, delta=mark.delta, price=mark.price))
    return tuple(shorts)


def _ev_of_holding(
    legs: Sequence[nouns.Held], marked: nouns.Snapshot | None, market: LegMarket | None
) -> float | None:
    """Mean P&L from here to the next expiry: as if taken for what closing brings now."""
    if marked is None or market is None:
        return None
    currency = market.chain.underlying.currency
    proceeds = reading.closing(legs, marked, market.board.settings.costs, currency)
    if proceeds is None:
        return None
    expected = reading.expect(market.board, legs, -proceeds)
    return expected.ev if expected else None


async def _keep_daily(journal: Journal, entry: nouns.JournalEntry, marked: nouns.Snapshot) -> None:
    """One snapshot a day of the same legs, the first with every mark; `snapshot` takes more."""
    worth = campaign.worth(entry, marked.prices)
    if worth.pnl is None or entry.id is None:
        return
    last = entry.trades[-1].at
    if any(
        _day(snapshot.at) == _day(marked.at)
        and snapshot.at >= last
        and campaign.worth(entry, snapshot.prices).pnl is not None
        for snapshot in entry.snapshots
    ):
        return
    await change(journal, entry.id, partial(with_snapshot, snapshot=marked), event="snapshot")


def _day(at: dt.datetime) -> dt.date:
    return at.astimezone(dates.NEW_YORK).date()


# -- snapshots ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry with its newest snapshot, or why there is none."""

    entry: nouns.JournalEntry
    snapshot: nouns.Snapshot | None
    problem: str = ""
    error: TomicError | None = None


async def snapshot(journal: Journal, ids: Sequence[int] = (), *, note: str = "") -> list[Taken]:
    """Keep what is quoted now of every open entry, or of the named ones."""
    entries = [entry for entry in await load_open(journal, ids) if entry.is_open]
    markets = await _markets(journal, entries)
    taken = []
    for entry in entries:
        market = markets.get(entry.symbol)
        marked = _snapshot(entry, market)
        if marked is None or entry.id is None:
            problem = str(market) if market is not None else "there is nothing to quote"
            error = market if isinstance(market, TomicError) else None
            taken.append(Taken(entry, None, problem, error))
            continue
        work = partial(with_snapshot, snapshot=marked, note=note)
        kept = await change(journal, entry.id, work, event="snapshot")
        newest = next(snapshot for snapshot in kept.snapshots if snapshot.at == marked.at)
        lacking = campaign.worth(kept, newest.prices).missing
        taken.append(Taken(kept, newest, f"no quote of {', '.join(lacking)}" if lacking else ""))
    return taken


# -- attribution -------------------------------------------------------------------------------


async def attribute(journal: Journal, ids: Sequence[int] = ()) -> list[Attributed]:
    """
    Account for the P&L of open entries, or of the named ones, up to now or to the last snapshot.

    Since entry needs marks taken then, since yesterday a snapshot of an earlier day.
    """
    entries = await load_open(journal, ids)
    markets = await _markets(journal, [entry for entry in entries if entry.is_open])
    attributed = []
    for entry in entries:
        market = markets.get(entry.symbol) if entry.is_open else None
        marked = _snapshot(entry, market)
        notes = [f"no marks: {market}"] if isinstance(market, TomicError) else []
        attributed.append(_attributed(entry, marked, notes))
    return attributed


def _attributed(
    entry: nouns.JournalEntry, marked: nouns.Snapshot | None, notes: list[str]
) -> Attributed:
    path = [*entry.snapshots, *((marked,) if marked is not None else ())]
    path = [snapshot for snapshot in path if snapshot.legs or not _has_options(entry, snapshot)]
    if not path:
        return Attributed(entry, None, None, (*notes, "no snapshot with marks is stored"))
    last = path[-1]
    since_entry = since_yesterday = None
    if attribution.entry_snapshot(entry) is None:
        notes.append("no marks were taken at entry")
    else:
        since_entry = attribution.attribute(entry, path, from_start=True)
    before = attribution.since_yesterday(entry, _day(last.at))
    if before is None:
        notes.append("no snapshot of an earlier day")
    else:
        since_yesterday = attribution.attribute(entry, [before, last])
    if not entry.is_open and last.at < (entry.closed_at or last.at):
        notes.append(f"the last marks are of {last.at:%Y-%m-%d %H:%M} UTC")
    return Attributed(entry, since_entry, since_yesterday, tuple(notes))


def _has_options(entry: nouns.JournalEntry, marked: nouns.Snapshot) -> bool:
    return any(not leg.is_stock for leg in campaign.held(entry, marked.at))
