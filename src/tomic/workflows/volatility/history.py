"""
Bring stored bars and implied volatility up to date: ask for what is missing, and nothing else.

Two series per symbol: daily bars, and IB's 30-day implied volatility. Asked for are the trading
days after the last stored one, with that one once more: when its value has changed, IB has
rewritten the past (a split), and the whole series is fetched again. Each series is stored as it
arrives, so a run that is cut short goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from tomic import dates
from tomic.config import Settings
from tomic.errors import DataError, DeadlineExceeded, TomicError
from tomic.ib import contracts, history
from tomic.ib.history import DailyBar, Series, Turns
from tomic.ib.session import Session
from tomic.models import Underlying
from tomic.models.frames import Framed
from tomic.store import Bars, Database, VolSeries
from tomic.workflows.progress import Event, Watcher, counted, counting, ignore
from tomic.workflows.volatility import stored
from tomic.workflows.volatility.stored import Need, SeriesName

_PRICE_CHANGE = 0.005
"""A stored close that now differs by more, as a fraction of it, was rewritten by IB."""
_VOL_CHANGE = 0.005
"""The same for a volatility, in volatility: half a point."""
_SECONDS_EACH = 0.5
"""What a request takes, for the estimate; six are open at once."""


@dataclass(slots=True)
class SymbolHistory:
    """What became of one symbol."""

    symbol: str
    added: dict[SeriesName, int] = field(default_factory=dict)
    """Days that are new, by series that was asked for."""
    asked: int = 0
    """Requests sent."""
    replaced: list[str] = field(default_factory=list)
    """Why a whole series was thrown away and fetched again."""
    rows: int = 0
    """Bars stored now."""
    iv_rows: int = 0
    last: dt.date | None = None
    """Last stored bar."""
    error: TomicError | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will ask for, and how long the limits make it take."""

    requests: int
    symbols: int
    seconds: float
    done_at: dt.datetime
    """Local time."""


@dataclass(frozen=True, slots=True)
class HistoryRun(Framed):
    """What a run did."""

    symbols: tuple[SymbolHistory, ...]
    plan: Plan | None
    """None when nothing had to be asked."""
    seconds: float = 0.0

    def _framed(self) -> Iterable[Any]:
        return self.symbols

    @property
    def errors(self) -> tuple[TomicError, ...]:
        """What went wrong, by symbol in order."""
        return tuple(result.error for result in self.symbols if result.error is not None)


async def update(
    open_session: Callable[[], Awaitable[Session]],
    store: Database,
    symbols: Sequence[str],
    settings: Settings,
    *,
    now: dt.datetime | None = None,
    days: int | None = None,
    series: Sequence[SeriesName] = ("bars", "ib30"),
    force: bool = False,
    deadline: float | None = None,
    watch: Watcher = ignore,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> HistoryRun:
    """
    Bring the series of *symbols* up to date; nothing is connected when nothing is missing.

    Args:
        open_session: Gives the session, called on first need.
        now: The time by which days are complete, the gateway's when not given.
        days: Trading days to keep, with the one before them (returns need it).
        series: What to bring up to date; ``ib_hv30`` is IB's own historical volatility.
        force: Ask for whole series, whatever is stored.
        deadline: Time of the running loop; what is stored by then is kept.
        clock, sleep: Seconds since 1970 and how to wait, for IB's limit on requests.

    Raises:
        SessionError: The gateway cannot be reached.
        DeadlineExceeded: The deadline passed before it told the time.
        StoreError: The store cannot be used.
    """
    started = clock()
    job = _Job(store, settings, days or settings.market.history_days, series, force, watch)
    unique = list(dict.fromkeys(symbols))
    results = {symbol: SymbolHistory(symbol) for symbol in unique}
    needs = await job.needs(unique, now or await _their_time(open_session, deadline))
    plan = None
    if needs:
        # Whatever the local clock says, the gateway's time decides.
        theirs = await _their_time(open_session, deadline)
        if now is not None and stored.last_complete_day(theirs) != stored.last_complete_day(now):
            needs = await job.needs(unique, theirs)
    if needs:
        session = await open_session()
        turns = await _shared_turns(session, store, settings, clock, sleep)
        plan = announced(needs, turns, settings, watch)
        await _fetch_all(session, job, needs, results, deadline)
    await _count(store, results)
    return HistoryRun(tuple(results[symbol] for symbol in unique), plan, clock() - started)


async def _their_time(
    open_session: Callable[[], Awaitable[Session]], deadline: float | None
) -> dt.datetime:
    try:
        async with asyncio.timeout_at(deadline):
            return await (await open_session()).now()
    except TimeoutError as exc:
        raise DeadlineExceeded("the deadline passed before the gateway told the time") from exc


def announced(needs: Sequence[Need], turns: Turns, settings: Settings, watch: Watcher) -> Plan:
    """Estimate when *needs* will have been met, and say so."""
    count = len(needs)
    work_s = _SECONDS_EACH * math.ceil(count / settings.limits.history_at_once)
    seconds = max(turns.seconds_for(count), 0.0) + work_s
    done_at = dt.datetime.fromtimestamp(turns.clock() + seconds).astimezone()
    plan = Plan(count, len({need.symbol for need in needs}), seconds, done_at)
    limit = settings.limits.history_per_10_min
    reason = f", at most {limit} in ten minutes" if seconds >= 60.0 else ""
    watch(
        Event(
            "stage",
            "",
            f"{counted(count, 'request')} for {counted(plan.symbols, 'symbol')}{reason}: "
            f"{_span(seconds)}, done by about {done_at:%H:%M:%S}",
        )
    )
    return plan


def _span(seconds: float) -> str:
    return f"{seconds / 60.0:.0f} min" if seconds >= 90.0 else f"{math.ceil(seconds)} s"


# -- fetching ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    """What one run is to do."""

    store: Database
    settings: Settings
    days: int
    series: Sequence[SeriesName]
    force: bool
    watch: Watcher

    async def needs(self, symbols: Sequence[str], now: dt.datetime) -> list[Need]:
        """Everything missing by the calendar, bars first."""
        coverages = await self.store.history.coverages(symbols)
        last = stored.last_complete_day(now)
        missing = partial(
            stored.need_of,
            last_day=last,
            first_day=stored.first_day_of(last, self.days),
            force=self.force,
        )
        needs = [
            missing(symbol, series, coverages.get(symbol, {}).get(series))
            for symbol in symbols
            for series in self.series
        ]
        return [need for need in needs if need is not None]


async def _shared_turns(
    session: Session,
    store: Database,
    settings: Settings,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Turns:
    """Turns that count what earlier runs asked, and what others ask meanwhile."""
    limit = settings.limits.history_per_10_min

    def moment() -> dt.datetime:
        return dt.datetime.fromtimestamp(clock(), dt.UTC)

    async def claim(key: str) -> float:
        wait = await store.history.claim_request(key, moment(), most=limit)
        return wait.total_seconds()

    earlier = await store.history.recent_requests(moment() - dt.timedelta(minutes=10))
    # Numbered, so that two requests with one key count twice.
    recent = {f"{key}#{number}": at.timestamp() for number, (at, key) in enumerate(earlier)}
    turns = Turns(limit, recent=recent, claim=claim, clock=clock, sleep=sleep)
    history.share_turns(session, turns)
    return turns


async def _fetch_all(
    session: Session,
    job: _Job,
    needs: Sequence[Need],
    results: Mapping[str, SymbolHistory],
    deadline: float | None,
) -> None:
    open_series = Counter(need.symbol for need in needs)
    count = counting(job.watch, "history", len(needs), "series")

    async def fetch(need: Need) -> None:
        result = results[need.symbol]
        try:
            await _fetch(session, job, need, result)
        except DataError as exc:
            result.error = exc
        open_series[need.symbol] -= 1
        if not open_series[need.symbol]:
            job.watch(Event("stage", need.symbol, _summary(result)))
        count(need)

    for outcome in await session.fan_out(needs, fetch, deadline=deadline, resume=True):
        result = results[outcome.item.symbol]
        result.error = outcome.error or result.error


async def _fetch(session: Session, job: _Job, need: Need, result: SymbolHistory) -> None:
    """Ask for one series and store what is complete of it."""
    underlying = await _underlying(session, job, need.symbol)
    now = session.clock_now()
    last = stored.last_complete_day(now, underlying.sessions)
    if not need.whole and need.since >= last:
        return  # IB's hours say that the missing day is no trading day
    rows = await _ask(session, need, underlying, last, result)
    problem = await _rewritten(job.store, need, rows)
    if problem:
        since = min(need.since, await _first_stored(job, need, last))
        if since < need.since or not need.whole:
            need = replace(need, since=since, whole=True)
            rows = await _ask(session, need, underlying, last, result)
    await _save(job.store, need, rows, now, problem, result)


async def _underlying(session: Session, job: _Job, symbol: str) -> Underlying:
    """The contract, asked once for both series, and not at all when it was asked today."""
    async with session.limits.named(f"contract of {symbol}"):
        day = dates.local_date(session.clock_now(), str(dates.NEW_YORK))
        contracts.remember(session, symbol, await job.store.contracts.underlying(symbol, day), ())
        is_new = ("underlying", symbol) not in session.cache
        timeout_s = job.settings.ib.request_timeout_s
        underlying = await contracts.resolve_underlying(
            session, symbol, job.settings.market, timeout_s=timeout_s
        )
        if is_new:
            await job.store.contracts.save_underlying(underlying, day)
        return underlying


async def _ask(
    session: Session, need: Need, underlying: Underlying, last: dt.date, result: SymbolHistory
) -> list[DailyBar]:
    """The complete days from the one asked for to *last*."""
    today = session.clock_now().astimezone(dates.NEW_YORK).date()
    until = max(today, last)
    count = len(dates.trading_days(need.since, until))
    if not dates.keeps_new_york_hours(underlying):
        # Its holidays are not known: a bar for every weekday is never too few.
        count = int(np.busday_count(need.since, until + dt.timedelta(days=1)))
    kinds = {"bars": Series.TRADES, "ib30": Series.IMPLIED, "ib_hv30": Series.HISTORICAL}
    result.asked += 1
    rows = await history.daily_bars(session, underlying, count, kinds[need.series])
    return [row for row in rows if need.since <= row.day <= last]


async def _rewritten(store: Database, need: Need, rows: Sequence[DailyBar]) -> str:
    """How what is stored differs from what IB says now of the first common day; empty if not."""
    if not rows:
        return ""
    first, known = rows[0], await _value_on(store, need, rows[0].day)
    if known is None:
        return "" if need.whole else "the last stored day is missing from IB's answer"
    if need.series == "bars":
        changed = abs(first.close / known - 1.0) > _PRICE_CHANGE
    else:
        changed = abs(first.close - known) > _VOL_CHANGE
    if not changed:
        return ""
    return f"{need.series}: {first.day} was {known:g}, IB now says {first.close:g}"


async def _value_on(store: Database, need: Need, day: dt.date) -> float | None:
    if need.series == "bars":
        bars = await store.history.bars(need.symbol, days=1, until=day)
        date, value = bars.date, bars.close
    else:
        series = await store.history.iv(need.symbol, need.series, days=1, until=day)
        date, value = series.date, series.value
    return float(value[-1]) if len(date) and date[-1].item() == day else None


async def _first_stored(job: _Job, need: Need, last: dt.date) -> dt.date:
    known = (await job.store.history.coverage(need.symbol)).get(need.series)
    needed = stored.first_day_of(last, job.days)
    return min(known.first, needed) if known is not None and known.first else needed


async def _save(
    store: Database,
    need: Need,
    rows: Sequence[DailyBar],
    now: dt.datetime,
    problem: str,
    result: SymbolHistory,
) -> None:
    series = _series(need, rows)
    asked_from = need.since if need.whole else None
    if problem and rows:
        await store.history.replace(series, at=now, reason=problem, asked_from=asked_from)
        result.replaced.append(problem)
        result.added[need.series] = len(rows)
    elif isinstance(series, Bars):
        result.added[need.series] = await store.history.save_bars(
            series, fetched_at=now, asked_from=asked_from
        )
    else:
        result.added[need.series] = await store.history.save_iv(
            series, fetched_at=now, asked_from=asked_from
        )


def _series(need: Need, rows: Iterable[DailyBar]) -> Bars | VolSeries:
    if need.series == "bars":
        return Bars.from_rows(need.symbol, rows)
    return VolSeries.from_rows(need.symbol, need.series, [(row.day, row.close) for row in rows])


def _summary(result: SymbolHistory) -> str:
    names = {"bars": "bars", "ib30": "days of IV", "ib_hv30": "days of IB's HV"}
    text = ", ".join(f"+{count} {names[series]}" for series, count in result.added.items())
    again = "; fetched again: " + "; ".join(result.replaced) if result.replaced else ""
    return f"{text or 'nothing new'}{again}"


async def _count(store: Database, results: Mapping[str, SymbolHistory]) -> None:
    for symbol, known in (await store.history.coverages(list(results))).items():
        if symbol in results:
            bars, iv = known.get("bars"), known.get("ib30")
            results[symbol].rows = bars.rows if bars else 0
            results[symbol].iv_rows = iv.rows if iv else 0
            results[symbol].last = bars.last if bars else None
