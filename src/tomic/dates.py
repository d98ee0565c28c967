"""Expiries, years to expiry, trading hours and trading days, always in the exchange's zone."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tomic import _closed_days
from tomic.errors import DataError
from tomic.models import TradingSession, Underlying

YEAR_SECONDS = 365 * 24 * 3600.0
"""Seconds in the year of every tau (act/365)."""

NEW_YORK = ZoneInfo("America/New_York")

AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"})
"""Classes of index options that settle on the opening prices of their expiry (Cboe)."""

# IB writes zones as Java does, in the time of a login also in words. The short ones mean the
# exchange's civil time with its summer time, while the tz database, where it has the name at all,
# reads them as a fixed offset.
_IB_ZONES = {
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "EST5EDT": "America/New_York",
    "US/Eastern": "America/New_York",
    "CST": "America/Chicago",
    "CDT": "America/Chicago",
    "CST6CDT": "America/Chicago",
    "CTT": "America/Chicago",
    "US/Central": "America/Chicago",
    "MST": "America/Denver",
    "MST7MDT": "America/Denver",
    "US/Mountain": "America/Denver",
    "PST": "America/Los_Angeles",
    "PST8PDT": "America/Los_Angeles",
    "US/Pacific": "America/Los_Angeles",
    "GMT": "Europe/London",
    "BST": "Europe/London",
    "GB": "Europe/London",
    "GB-Eire": "Europe/London",
    "MET": "Europe/Amsterdam",
    "CET": "Europe/Amsterdam",
    "EET": "Europe/Helsinki",
    "JST": "Asia/Tokyo",
    "Japan": "Asia/Tokyo",
    "HKT": "Asia/Hong_Kong",
    "Hongkong": "Asia/Hong_Kong",
    "IST": "Asia/Kolkata",
    "Asia/Calcutta": "Asia/Kolkata",
    "SGT": "Asia/Singapore",
    "Singapore": "Asia/Singapore",
    "KST": "Asia/Seoul",
    "ROK": "Asia/Seoul",
    "AET": "Australia/Sydney",
    "AEST": "Australia/Sydney",
    "Australia/NSW": "Australia/Sydney",
    "Israel": "Asia/Jerusalem",
    "CEST": "Europe/Amsterdam",
    "MEST": "Europe/Amsterdam",
    "MESZ": "Europe/Amsterdam",
    "MEZ": "Europe/Amsterdam",
    "WET": "Europe/Lisbon",
    "WEST": "Europe/Lisbon",
    "EEST": "Europe/Helsinki",
    "MSK": "Europe/Moscow",
    "AEDT": "Australia/Sydney",
    "NZST": "Pacific/Auckland",
    "NZDT": "Pacific/Auckland",
    "Z": "UTC",
    "Coordinated Universal Time": "UTC",
    "Eastern Standard Time": "America/New_York",
    "Eastern Daylight Time": "America/New_York",
    "Central Standard Time": "America/Chicago",
    "Central Daylight Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver",
    "Mountain Daylight Time": "America/Denver",
    "Pacific Standard Time": "America/Los_Angeles",
    "Pacific Daylight Time": "America/Los_Angeles",
    "Greenwich Mean Time": "Europe/London",
    "British Summer Time": "Europe/London",
    "Western European Time": "Europe/Lisbon",
    "Western European Standard Time": "Europe/Lisbon",
    "Western European Summer Time": "Europe/Lisbon",
    "Central European Time": "Europe/Amsterdam",
    "Central European Standard Time": "Europe/Amsterdam",
    "Central European Summer Time": "Europe/Amsterdam",
    "Middle Europe Time": "Europe/Amsterdam",
    "Middle Europe Summer Time": "Europe/Amsterdam",
    "Eastern European Time": "Europe/Helsinki",
    "Eastern European Standard Time": "Europe/Helsinki",
    "Eastern European Summer Time": "Europe/Helsinki",
    "Japan Standard Time": "Asia/Tokyo",
    "Hong Kong Time": "Asia/Hong_Kong",
    "Hong Kong Standard Time": "Asia/Hong_Kong",
    "China Standard Time": "Asia/Shanghai",
    "India Standard Time": "Asia/Kolkata",
    "Singapore Time": "Asia/Singapore",
    "Singapore Standard Time": "Asia/Singapore",
    "Korean Standard Time": "Asia/Seoul",
    "Korea Standard Time": "Asia/Seoul",
    "Israel Standard Time": "Asia/Jerusalem",
    "Israel Daylight Time": "Asia/Jerusalem",
    "Australian Eastern Standard Time": "Australia/Sydney",
    "Australian Eastern Daylight Time": "Australia/Sydney",
    "New Zealand Standard Time": "Pacific/Auckland",
    "New Zealand Daylight Time": "Pacific/Auckland",
}

_PM_CLOSE = dt.time(16, 0)
_AM_OPEN = dt.time(9, 30)
_HALF_DAY_CLOSE = dt.time(13, 0)
_EXPIRY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[ T-].*)?", re.ASCII)
_END = re.compile(r"(?:(?:(\d{4})?(\d{2})(\d{2})):)?(\d{2})(\d{2})", re.ASCII)


@lru_cache(maxsize=64)
def zone(time_zone_id: str) -> ZoneInfo:
    """
    Return the zone behind a name as IB writes it: ``US/Eastern``, ``EST (Eastern Standard Time)``.

    Raises:
        DataError: Unknown. There is no fallback: a wrong zone would make wrong dates.
    """
    name = time_zone_id.partition("(")[0].strip()
    try:
        return ZoneInfo(_IB_ZONES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise DataError(
            f"time zone {time_zone_id!r} is unknown; install tzdata, or report the name"
        ) from exc


def local_date(moment: dt.datetime, time_zone: str) -> dt.date:
    """Return the calendar day of an aware *moment* in *time_zone*."""
    return moment.astimezone(zone(time_zone)).date()


def parse_hours(text: str, time_zone: str) -> tuple[TradingSession, ...]:
    """
    Read IB's ``liquidHours`` or ``tradingHours`` into sessions, ascending.

    Days are separated by ``;``. A day is ``YYYYMMDD:HHMM-YYYYMMDD:HHMM``, the older
    ``YYYYMMDD:HHMM-HHMM,HHMM-HHMM``, or ``YYYYMMDD:CLOSED``, which gives no session. In the older
    form a close before its open belongs to a session that opened on the evening before, as the
    day named is the trading day; ``HHMM-MMDD:HHMM`` names the day of the close. A piece that
    cannot be read gives no session, so that one odd day does not cost the others: no session
    at all means that the hours are unknown or all closed.

    Raises:
        DataError: The zone is unknown.

    Source: TWS API, ContractDetails.
    """
    where = zone(time_zone)
    sessions = []
    for piece in text.split(";"):
        day_text, _, spans = piece.strip().partition(":")
        for span in spans.split(","):
            session = _parse_span(day_text, span.strip(), where)
            if session is not None:
                sessions.append(session)
    return tuple(sorted(sessions, key=lambda one: one.opens))


def _parse_span(day_text: str, span: str, where: ZoneInfo) -> TradingSession | None:
    start_text, _, end_text = span.partition("-")
    end = _END.fullmatch(end_text)
    if end is None:
        return None
    year, month, day, hour, minute = end.groups()
    try:
        opens = dt.datetime.strptime(f"{day_text}:{start_text}", "%Y%m%d:%H%M")
        closes = opens.replace(hour=0, minute=0)
        if month:
            closes = closes.replace(int(year or opens.year), int(month), int(day))
            if not year and closes.date() < opens.date():
                closes = closes.replace(year=opens.year + 1)
        # 2400 is how some exchanges write the end of their day.
        closes += dt.timedelta(hours=int(hour), minutes=int(minute))
    except ValueError:
        return None
    if closes <= opens and not month:
        opens -= dt.timedelta(days=1)
    if int(hour) > 24 or int(minute) > 59 or closes <= opens:
        return None
    return TradingSession(opens=opens.replace(tzinfo=where), closes=closes.replace(tzinfo=where))


def is_open(sessions: Sequence[TradingSession], moment: dt.datetime) -> bool:
    """
    Whether *moment* lies inside a session; the whole minute of the close counts as open.

    With a close of 16:00, 16:00:59 is open and 16:01:00 is closed.
    """
    minute = moment.replace(second=0, microsecond=0)
    return any(one.opens <= minute <= one.closes for one in sessions)


def next_open(sessions: Sequence[TradingSession], moment: dt.datetime) -> dt.datetime | None:
    """Return the first opening after *moment*; None when the sessions do not reach that far."""
    return min((one.opens for one in sessions if one.opens > moment), default=None)


def session_on(sessions: Sequence[TradingSession], day: dt.date) -> TradingSession | None:
    """Return the session that closes on *day*, the last one of several; None when there is none."""
    closing = [one for one in sessions if one.closes.date() == day]
    return max(closing, key=lambda one: one.closes, default=None)


def expiry_moment(
    expiry: dt.date, *, underlying: Underlying, trading_class: str = ""
) -> dt.datetime:
    """
    Return when an option's value is settled on its last day.

    American underlyings: 16:00 New York, or the close of a half day, from the underlying's own
    hours when they reach that day and from the exchange's rules when not. Classes that settle on
    the opening (`AM_SETTLED`): 09:30. Elsewhere: the session's close, 16:00 local when unknown.
    """
    if _settles_at_open(underlying, trading_class):
        return dt.datetime.combine(expiry, _AM_OPEN, NEW_YORK)
    session = session_on(underlying.sessions, expiry)
    if underlying.currency != "USD":
        close = dt.datetime.combine(expiry, _PM_CLOSE, zone(underlying.time_zone))
        return session.closes if session else close
    usual = dt.datetime.combine(expiry, _PM_CLOSE, NEW_YORK)
    if session is not None:
        # Funds and indices may be quoted until 16:15 or later; their options settle at 16:00.
        return min(session.closes, usual)
    return dt.datetime.combine(expiry, _HALF_DAY_CLOSE, NEW_YORK) if _is_half(expiry) else usual


def _settles_at_open(underlying: Underlying, trading_class: str) -> bool:
    if underlying.sec_type != "IND":
        return False
    return trading_class in AM_SETTLED if trading_class else underlying.symbol == "VIX"


def years_to_expiry(
    as_of: dt.datetime, expiry: dt.date, *, underlying: Underlying, trading_class: str = ""
) -> float:
    """
    Return the years (act/365) from *as_of* to the minute the expiry is settled; 0 from then on.

    See `expiry_moment` for that minute.
    """
    settled = expiry_moment(expiry, underlying=underlying, trading_class=trading_class)
    # In UTC: two times of one zone subtract as wall clocks, an hour off across a clock change.
    left = settled.astimezone(dt.UTC) - as_of.astimezone(dt.UTC)
    return max(left.total_seconds(), 0.0) / YEAR_SECONDS


def parse_expiry(text: str) -> dt.date:
    """
    Read ``20250718``, ``2025-07-18`` or IB's ``20250718 16:00:00 US/Eastern``.

    Raises:
        DataError: Not such a date.
    """
    match = _EXPIRY.fullmatch(text.strip())
    try:
        if match is not None:
            return dt.date(*map(int, match.groups()))
    except ValueError:
        pass
    raise DataError(f"{text!r} is not an expiry; write it as 20250718 or 2025-07-18")


def format_expiry(expiry: dt.date) -> str:
    """Write an expiry as IB does: ``20250718``."""
    return f"{expiry:%Y%m%d}"


def third_friday(year: int, month: int) -> dt.date:
    """Return the third Friday of a month: the Friday with day 15 to 21."""
    fifteenth = dt.date(year, month, 15)
    return fifteenth + dt.timedelta(days=(4 - fifteenth.weekday()) % 7)


def is_third_friday(day: dt.date) -> bool:
    """Whether *day* is the third Friday of its month."""
    return day == third_friday(day.year, day.month)


def is_monthly(day: dt.date, listed: Collection[dt.date]) -> bool:
    """
    Whether *day* is the standard monthly expiry among the *listed* ones.

    The third Friday or, when that is not listed because the exchange is closed (Good Friday,
    Juneteenth), the day before.
    """
    friday = third_friday(day.year, day.month)
    return day == friday or (day == friday - dt.timedelta(days=1) and friday not in listed)


def is_closed_friday(day: dt.date) -> bool:
    """
    Whether *day* is a Friday on which New York is closed by rule, so that weeklies move.

    Good Friday, New Year's Day, Juneteenth (since 2022), Independence Day and Christmas with the
    days they are observed on. New Year's Day on a Saturday is not observed (NYSE rule 7.2).
    """
    if day.weekday() != 4:
        return False
    named = {(1, 1), (7, 3), (7, 4), (12, 24), (12, 25)}
    if day.year >= 2022:
        named |= {(6, 18), (6, 19)}
    return (day.month, day.day) in named or day == _easter(day.year) - dt.timedelta(days=2)


def _easter(year: int) -> dt.date:
    """Easter Sunday (Gregorian calendar, the algorithm of Butcher's Ecclesiastical Calendar)."""
    golden, (century, of_century) = year % 19, divmod(year, 100)
    leap, rest = divmod(century, 4)
    moon = (19 * golden + century - leap - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * rest + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (golden + 11 * moon + 22 * week) // 451
    month, day = divmod(moon + week - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)


def _is_half(day: dt.date) -> bool:
    """Whether New York closes at 13:00 by rule, without loading the calendar for one expiry."""
    if day.month == 11:  # the day after Thanksgiving, the fourth Thursday
        return day.weekday() == 4 and 23 <= day.day <= 29
    eve = (day.month, day.day) in ((7, 3), (12, 24))
    # On a Friday both are the observed holiday itself.
    return eve and day.weekday() < 4


@lru_cache(maxsize=8)
def _calendar(first_year: int, last_year: int) -> tuple[tuple[dt.date, ...], tuple[dt.date, ...]]:
    """Trading days and half days of New York, ascending."""
    if first_year >= _closed_days.FIRST_YEAR and last_year <= _closed_days.LAST_YEAR:
        return _tabled(first_year, last_year)
    import exchange_calendars

    with warnings.catch_warnings():
        # Its 4.13 calls what pandas 3.1 announces to change; the result is right today.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar(
            "XNYS", start=f"{first_year}-01-01", end=f"{last_year}-12-31"
        )
    return (
        tuple(one.date() for one in calendar.sessions),
        tuple(one.date() for one in calendar.early_closes),
    )


def _tabled(first_year: int, last_year: int) -> tuple[tuple[dt.date, ...], tuple[dt.date, ...]]:
    """The same from the table of closed days, without the library and the half second it costs."""
    first, last = dt.date(first_year, 1, 1), dt.date(last_year, 12, 31)
    closed = {parse_expiry(word) for word in _closed_days.CLOSED.split()}
    days = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
    half = [parse_expiry(word) for word in _closed_days.HALF.split()]
    trading = tuple(day for day in days if day.weekday() < 5 and day not in closed)
    return trading, _between(half, first, last)


def _between(days: Sequence[dt.date], start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
    return tuple(days[bisect_left(days, start) : bisect_right(days, end)])


def _decades(start: dt.date, end: dt.date) -> tuple[int, int]:
    # Whole decades, so that a few calendars serve every request.
    return start.year // 10 * 10, end.year // 10 * 10 + 9


def trading_days(start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
    """Return the days New York trades from *start* to *end*, both included, ascending."""
    return _between(_calendar(*_decades(start, max(start, end)))[0], start, end)


def is_trading_day(day: dt.date) -> bool:
    """Whether New York trades on *day*, half days included."""
    return bool(trading_days(day, day))


def half_days(start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
    """Return the days from *start* to *end* on which New York closes early, ascending."""
    return _between(_calendar(*_decades(start, max(start, end)))[1], start, end)
