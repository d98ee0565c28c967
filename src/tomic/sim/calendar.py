"""
The simulator's own idea of when US option markets trade: holidays, half days, expiries, hours.

Computed from the exchange's published rules rather than from a library, so that a demo starts
without importing one; a test holds it against ``exchange_calendars``.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

NEW_YORK = ZoneInfo("America/New_York")
FULL_CLOSE = time(16, 0)
HALF_CLOSE = time(13, 0)
FIRST_YEAR, LAST_YEAR = 2010, 2032
Days = NDArray[np.datetime64]

_ONE_DAY = timedelta(days=1)
# Days of mourning and of weather, which no rule foretells.
_CLOSURES = (date(2012, 10, 29), date(2012, 10, 30), date(2018, 12, 5), date(2025, 1, 9))
_JUNETEENTH_SINCE = 2022


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The *nth* weekday (Monday 0) of a month; ``nth=-1`` is the last one."""
    if nth > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
    last = (date(year, month, 28) + timedelta(days=4)).replace(day=1) - _ONE_DAY
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, "Astronomical Algorithms", chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _observed(day: date) -> date:
    return day + {5: -_ONE_DAY, 6: _ONE_DAY}.get(day.weekday(), timedelta())


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Weekdays of *year* on which the New York exchanges stay closed."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= _JUNETEENTH_SINCE:
        fixed.append(date(year, 6, 19))
    days = {_observed(day) for day in fixed}
    # A New Year's Day on a Saturday is not made up for: the Friday belongs to the old year's books.
    new_year = date(year, 1, 1)
    if new_year.weekday() != 5:
        days.add(_observed(new_year))
    days |= {
        nth_weekday(year, 1, 0, 3),
        nth_weekday(year, 2, 0, 3),
        easter(year) - timedelta(days=2),
        nth_weekday(year, 5, 0, -1),
        nth_weekday(year, 9, 0, 1),
        nth_weekday(year, 11, 3, 4),
    }
    return frozenset(days | {day for day in _CLOSURES if day.year == year})


@lru_cache(maxsize=64)
def half_days(year: int) -> frozenset[date]:
    """Trading days of *year* that end at 13:00: around 4 July, Thanksgiving and Christmas."""
    days = {nth_weekday(year, 11, 3, 4) + _ONE_DAY, date(year, 12, 24), date(year, 7, 3)}
    # With 4 July on a Saturday or Sunday, 3 July is the holiday itself or an ordinary Friday.
    if date(year, 7, 4).weekday() >= 5:
        days.discard(date(year, 7, 3))
    if year < 2013:
        days.discard(date(year, 7, 3))
    return frozenset(day for day in days if is_trading_day(day))


def is_trading_day(day: date) -> bool:
    """Whether New York trades on that day."""
    return day.weekday() < 5 and day not in holidays(day.year)


def close_time(day: date) -> time:
    """When stocks stop trading on a trading day, New York time."""
    return HALF_CLOSE if day in half_days(day.year) else FULL_CLOSE


def previous_trading_day(day: date) -> date:
    """The last trading day before *day*."""
    day -= _ONE_DAY
    while not is_trading_day(day):
        day -= _ONE_DAY
    return day


def on_or_before(day: date) -> date:
    """*day* itself when it trades, else the trading day before."""
    return day if is_trading_day(day) else previous_trading_day(day)


def on_or_after(day: date) -> date:
    """*day* itself when it trades, else the next trading day."""
    while not is_trading_day(day):
        day += _ONE_DAY
    return day


@lru_cache(maxsize=1)
def trading_days() -> Days:
    """All trading days from 2010 to 2032, as ``datetime64[D]``, ascending."""
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    closed = np.array(sorted(day for year in years for day in holidays(year)), "datetime64[D]")
    every = np.arange(f"{FIRST_YEAR}-01-01", f"{LAST_YEAR + 1}-01-01", dtype="datetime64[D]")
    found: Days = every[np.is_busday(every, holidays=closed)]
    return found


def day_index(day: date) -> int:
    """
    Position in :func:`trading_days` of the last trading day on or before *day*.

    Raises:
        ValueError: The day lies outside 2010 to 2032.
    """
    if not FIRST_YEAR < day.year <= LAST_YEAR:
        raise ValueError(f"the model market knows {FIRST_YEAR + 1} to {LAST_YEAR}, got {day}")
    return int(np.searchsorted(trading_days(), np.datetime64(day), side="right")) - 1


def third_friday(year: int, month: int) -> date:
    """The monthly expiry: the third Friday, or the trading day before when that is a holiday."""
    return on_or_before(nth_weekday(year, month, 4, 3))


def vix_expiry(year: int, month: int) -> date:
    """VIX expiry: thirty days before the third Friday of the next month, a Wednesday."""
    following = date(year + month // 12, month % 12 + 1, 1)
    third = nth_weekday(following.year, following.month, 4, 3)
    return on_or_before(on_or_before(third) - timedelta(days=30))


def months_ahead(day: date, count: int) -> list[tuple[int, int]]:
    """(year, month) of the month of *day* and the following ones, *count* in all."""
    first = day.year * 12 + day.month - 1
    return [((first + i) // 12, (first + i) % 12 + 1) for i in range(count)]


def moment(day: date, at: time) -> datetime:
    """That time of that day in New York, aware."""
    return datetime.combine(day, at, NEW_YORK)
