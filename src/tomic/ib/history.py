"""
Daily bars from IB: prices, and the 30-day volatilities that it keeps of an underlying.

Every request waits for its turn (`Turns`) so that IB's limits hold over this session and over
whoever shares its ledger. An answer belongs to the request id that asked, so a late bar of one
symbol never lands in another.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

import ib_async

from tomic import dates
from tomic.errors import DataError, GatewayRefused, PacingViolation, RequestFailed
from tomic.ib import convert
from tomic.ib.clocks import Farm
from tomic.ib.session import Session
from tomic.models import OptionParams, Underlying
from tomic.selection import Wanted

Claim = Callable[[str], Awaitable[float]]
"""Notes a request in a ledger that others share; returns 0, or the seconds to wait first."""

_ATTEMPTS = 4
_PAUSE_S = 15.0
"""Wait after the first 162 about pacing, doubled after each further one."""
_MOST_DAYS = 365
"""IB wants longer durations in years."""
_BARS_A_YEAR = 252
_KEY = "history turns"
_OPTION_IV = "options have IV history"


class Series(StrEnum):
    """What a series of daily bars is about, as IB calls it."""

    TRADES = "TRADES"
    MIDPOINT = "MIDPOINT"
    IMPLIED = "OPTION_IMPLIED_VOLATILITY"
    """30-day, annualised fractions; stocks, ETFs and indices only."""
    HISTORICAL = "HISTORICAL_VOLATILITY"
    """30-day, annualised fractions, IB's own estimate."""


class DailyBar(NamedTuple):
    """One trading day; currency per share, or fractions; NaN where IB gives none."""

    day: dt.date
    open: float
    high: float
    low: float
    close: float
    volume: float


class Turns:
    """
    When the next request for bars may leave: 60 in ten minutes, none twice within 15 s.

    Source: IB, "Historical Data Limitations".

    Args:
        per_10_min: Requests in ten minutes that are used; IB allows 60.
        recent: Requests of earlier runs, key to time of *clock*.
        claim: Asks and notes in a ledger that other runs share; its answer is obeyed as well.
        clock, sleep: Seconds since 1970, and how to wait for some to pass.
    """

    WINDOW_S = 600.0
    SAME_S = 15.0

    def __init__(
        self,
        per_10_min: int,
        *,
        recent: Mapping[str, float] | None = None,
        claim: Claim | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_10_min, self._claim = per_10_min, claim
        self._last: dict[str, float] = dict(recent or {})
        self._times: deque[float] = deque(sorted(self._last.values()))
        self.clock, self.rest = clock, sleep

    async def take(self, key: str) -> None:
        """Return when the request *key* may leave, and count it. Safe to cancel."""
        if (wait_s := self.book(key)) > 0.0:
            await self.rest(wait_s)
        while self._claim is not None and (wait_s := await self._claim(key)) > 0.0:
            await self.rest(wait_s)

    def book(self, key: str) -> float:
        """Reserve the next moment for the request *key*; return how many seconds to wait."""
        now = self.clock()
        while self._times and self._times[0] <= now - self.WINDOW_S:
            self._times.popleft()
        at = max(self._free_at(self._times, now), self._last.get(key, -math.inf) + self.SAME_S)
        self._last[key] = at
        self._times.append(at)
        return at - now

    def seconds_for(self, requests: int) -> float:
        """How long it takes until *requests* further ones may have left."""
        now = self.clock()
        times = [at for at in self._times if at > now - self.WINDOW_S]
        for _ in range(requests):
            times.append(self._free_at(times, now))
        return max(times[-1] - now, 0.0) if times and requests else 0.0

    def _free_at(self, times: Sequence[float], now: float) -> float:
        """When the window has room for one more after *times*."""
        if len(times) < self._per_10_min:
            return now
        return max(now, times[-self._per_10_min] + self.WINDOW_S)


def turns_of(session: Session) -> Turns:
    """The turns of *session*: those shared with `share_turns`, else its own."""
    known = session.cache.get(_KEY)
    if isinstance(known, Turns):
        return known
    turns = Turns(session.limit_settings.history_per_10_min)
    session.cache[_KEY] = turns
    return turns


def share_turns(session: Session, turns: Turns) -> None:
    """Let every request for bars over *session* wait for *turns*."""
    session.cache[_KEY] = turns


async def daily_bars(
    session: Session,
    underlying: Underlying,
    days: int,
    series: Series = Series.TRADES,
    *,
    timeout_s: float | None = None,
) -> tuple[DailyBar, ...]:
    """
    Daily bars of the last *days* sessions, oldest first; regular hours, splits adjusted by IB.

    A session that is still under way is the last bar. Empty when IB has none.

    Raises:
        PacingViolation: IB kept saying that we ask too fast, after waiting for it.
        RequestTimeout, GatewayRefused, SessionLost: No answer.
        DataError: A bar that cannot be read.
    """
    contract = convert.underlying_contract(underlying)
    what = f"{series.value} of {underlying.symbol}"
    return await bars(session, what, contract, series, days, timeout_s=timeout_s)


async def option_bars(
    session: Session,
    underlying: Underlying,
    params: OptionParams,
    pair: Wanted,
    series: Series = Series.MIDPOINT,
    days: int = 1,
    *,
    con_id: int = 0,
    timeout_s: float | None = None,
) -> tuple[DailyBar, ...]:
    """As `daily_bars`, of one option, by default the middle between its bid and ask."""
    contract = convert.option_contract(underlying, params, pair, con_id)
    what = f"{series.value} of {underlying.symbol} {pair.expiry} {pair.strike:g}{pair.right}"
    return await bars(session, what, contract, series, days, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class LastBars:
    """The last daily bars of some options, for a market that is closed."""

    session: Session
    underlying: Underlying
    params: OptionParams
    pairs: frozenset[Wanted]
    """The options that are asked; there is none of any other."""

    async def of(self, pair: Wanted, con_id: int) -> tuple[Series, DailyBar] | None:
        """
        The last bar of *pair*, and what it is of; None when it has none, or is not to be asked.

        Raises:
            SessionLost: The connection went away.
        """
        if pair not in self.pairs:
            return None
        try:
            async with asyncio.timeout(self.session.settings.request_timeout_s):
                series, rows = await self._bars(pair, con_id)
        except (RequestFailed, DataError, TimeoutError):
            return None
        return (series, rows[-1]) if rows else None

    async def _bars(self, pair: Wanted, con_id: int) -> tuple[Series, Sequence[DailyBar]]:
        """IB's IV of the option if it has any, which it says once, else the middle of its quote."""
        session = self.session
        ask = partial(option_bars, session, self.underlying, self.params, pair, con_id=con_id)
        async with session.limits.named(_OPTION_IV):
            if _OPTION_IV not in session.cache:
                rows = await ask(Series.IMPLIED)
                session.cache[_OPTION_IV] = bool(rows)
                if rows:
                    return Series.IMPLIED, rows
        series = Series.IMPLIED if session.cache[_OPTION_IV] else Series.MIDPOINT
        return series, await ask(series)


def last_bars(
    session: Session,
    underlying: Underlying,
    params: OptionParams,
    pairs: Sequence[Wanted],
    most: int,
) -> LastBars:
    """The bars of the first *most* of *pairs*, or of as many as IB's limit lets through at once."""
    turns = turns_of(session)
    # One more than that: the question whether options have an IV history at all.
    free = next((n for n in range(most, 0, -1) if turns.seconds_for(n + 1) <= 0.0), 0)
    return LastBars(session, underlying, params, frozenset(pairs[:free]))


async def bars(
    session: Session,
    what: str,
    contract: ib_async.Contract,
    series: Series,
    days: int,
    *,
    timeout_s: float | None = None,
) -> tuple[DailyBar, ...]:
    """As `daily_bars`, of any contract; *what* names it in messages."""
    turns, span = turns_of(session), duration(days)
    key = ":".join(
        (str(contract.conId or _described(contract)), contract.exchange, series.value, span)
    )
    async with session.limits.history:
        for attempt in range(_ATTEMPTS):
            await session.clocks[Farm.HISTORY].wait_running()
            await turns.take(key)
            try:
                rows = await _ask(session, what, contract, series, span, timeout_s)
            except PacingViolation:
                if attempt == _ATTEMPTS - 1:
                    raise
                pause_s = _PAUSE_S * 2**attempt
                session.note(f"IB says history is asked too fast (162); waiting {pause_s:g} s")
                await turns.rest(pause_s)
            except GatewayRefused as exc:
                if _has_none(exc):
                    return ()
                raise
            else:
                kept = to_bars(what, rows)
                if len(kept) < len({row.date for row in rows}):
                    odd = len({row.date for row in rows}) - len(kept)
                    session.note(f"{what}: {odd} bars left out without a price that can be one")
                return kept
    raise AssertionError("unreachable")


async def _ask(
    session: Session,
    what: str,
    contract: ib_async.Contract,
    series: Series,
    span: str,
    timeout_s: float | None,
) -> list[Any]:
    def send(client: ib_async.Client, req_id: int) -> None:
        # Empty end: now. Regular hours, dates as text, no updates.
        client.reqHistoricalData(
            req_id, contract, "", span, "1 day", series.value, True, 1, False, []
        )

    return await session.ask(
        what,
        send,
        timeout_s=timeout_s or session.settings.history_timeout_s,
        farm=Farm.HISTORY,
        cancel=lambda client, req_id: client.cancelHistoricalData(req_id),
    )


def duration(days: int) -> str:
    """
    How IB writes *days* daily bars: ``252 D``, and whole years beyond 365.

    Raises:
        ValueError: Fewer than one day.
    """
    if days < 1:
        raise ValueError(f"days must be >= 1, got {days}")
    return f"{days} D" if days <= _MOST_DAYS else f"{math.ceil(days / _BARS_A_YEAR)} Y"


def to_bars(what: str, rows: Sequence[ib_async.BarData]) -> tuple[DailyBar, ...]:
    """
    IB's bars as ours, by day, each day once; bars without a close are left out.

    Raises:
        DataError: A date that is none.
    """
    bars = {}
    for row in rows:
        try:
            day = dates.parse_expiry(str(row.date))
        except DataError as exc:
            raise DataError(f"{what}: bar with the date {row.date!r}") from exc
        number = partial(_number, floor=0.0)
        close = number(row.close)
        if not math.isnan(close):
            bars[day] = DailyBar(
                day, number(row.open), number(row.high), number(row.low), close, _size(row.volume)
            )
    return tuple(bars[day] for day in sorted(bars))


def _number(value: float, *, floor: float) -> float:
    number = convert.price_or_none(float(value))
    return math.nan if number is None or not number > floor else number


def _size(value: float) -> float:
    """A volume of -1 means that there is none, as for an index."""
    volume = convert.number_or_none(float(value))
    return math.nan if volume is None or volume < 0.0 else volume


_NO_BARS = ("no data", "no historical market data for")
"""How IB says with 162 that it has no bars, of a share and of an index."""


def _has_none(error: GatewayRefused) -> bool:
    return error.error_code == 162 and any(words in error.text.lower() for words in _NO_BARS)


def _described(contract: ib_async.Contract) -> str:
    return (
        f"{contract.symbol} {contract.lastTradeDateOrContractMonth} "
        f"{contract.strike:g}{contract.right}"
    )
