"""
Expiries, years to expiry, trading hours and trading days, always in the exchange's zone.

An expiry is the day by which a contract is named. At IB that is the last day on which it trades;
most files name the day on which it is settled. The two differ for classes that settle on opening
prices, by one trading day: `settlement_day` gives the latter for either.
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tomic.errors import DataError
from tomic.models import INDEX_CLASSES, Position, TradingSession, Underlying

YEAR_SECONDS = 365 * 24 * 3600.0
"""Seconds in the year of every tau (act/365)."""

NEW_YORK = ZoneInfo("America/New_York")

EQUITY_FUTURES = frozenset({"ES", "MES", "NQ", "MNQ", "RTY", "M2K", "YM", "MYM", "EMD"})
"""Futures on American indices whose quarterly options settle on the opening, as they do (CME)."""

AM_SETTLED = frozenset(name for name, terms in INDEX_CLASSES.items() if terms.at_open)
"""Classes of index options that settle on opening prices, the day after they last trade (Cboe)."""

_ON_WEDNESDAYS = frozenset(name for name in AM_SETTLED if INDEX_CLASSES[name].symbol == "VIX")
_OWN_NAME_ONLY = frozenset({"VIX", "DJX"})
"""Indices of which every class settles on the opening, so that the index alone tells it."""

# IB writes zones as Java does, in the time of a login also in words. The short ones mean the
# exchange's civil time with its summer time, while the tz database, where it has the name at all,
# reads them as a fixed offset.
_IB_NAMES = {
    "America/New_York": (
        "EST, EDT, EST5EDT, US/Eastern, Eastern Standard Time, Eastern Daylight Time"
    ),
    "America/Chicago": (
        "CST, CDT, CST6CDT, CTT, US/Central, Central Standard Time, Central Daylight Time"
    ),
    "America/Denver": "MST, MST7MDT, US/Mountain, Mountain Standard Time, Mountain Daylight Time",
    "America/Los_Angeles": "PST, PST8PDT, US/Pacific, Pacific Standard Time, Pacific Daylight Time",
    "Europe/London": "GMT, BST, GB, GB-Eire, Greenwich Mean Time, British Summer Time",
    "Europe/Amsterdam": (
        "MET, CET, CEST, MEST, MESZ, MEZ, Central European Time, Central European Standard Time, "
        "Central European Summer Time, Middle Europe Time, Middle Europe Summer Time"
    ),
    "Europe/Helsinki": (
        "EET, EEST, Eastern European Time, Eastern European Standard Time, "
        "Eastern European Summer Time"
    ),
    "Asia/Tokyo": "JST, Japan, Japan Standard Time",
    "Asia/Hong_Kong": "HKT, Hongkong, Hong Kong Time, Hong Kong Standard Time",
    "Asia/Kolkata": "IST, Asia/Calcutta, India Standard Time",
    "Asia/Singapore": "SGT, Singapore, Singapore Time, Singapore Standard Time",
    "Asia/Seoul": "KST, ROK, Korean Standard Time, Korea Standard Time",
    "Australia/Sydney": (
        "AET, AEST, Australia/NSW, AEDT, Australian Eastern Standard Time, "
        "Australian Eastern Daylight Time"
    ),
    "Asia/Jerusalem": "Israel, Israel Standard Time, Israel Daylight Time",
    "Europe/Lisbon": (
        "WET, WEST, Western European Time, Western European Standard Time, "
        "Western European Summer Time"
    ),
    "Europe/Moscow": "MSK",
    "Pacific/Auckland": "NZST, NZDT, New Zealand Standard Time, New Zealand Daylight Time",
    "UTC": "Z, Coordinated Universal Time",
    "Asia/Shanghai": "China Standard Time",
}
_IB_ZONES = {name: zone for zone, names in _IB_NAMES.items() for name in names.split(", ")}

_PM_CLOSE = dt.time(16, 0)
_AM_OPEN = dt.time(9, 30)
_HALF_DAY_CLOSE = dt.time(13, 0)
_EXPIRY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[ T-].*)?", re.ASCII)
_OCC = re.compile(r"([A-Z0-9]{1,6}) *(\d{6})[CP]\d{8}", re.ASCII)
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
    return tuple(sorted(sessions, key=lambda session: session.opens))


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
    return any(session.opens <= minute <= session.closes for session in sessions)


def next_open(sessions: Sequence[TradingSession], moment: dt.datetime) -> dt.datetime | None:
    """Return the first opening after *moment*; None when the sessions do not reach that far."""
    opening = (session.opens for session in sessions)
    return min((opens for opens in opening if opens > moment), default=None)


def session_on(sessions: Sequence[TradingSession], day: dt.date) -> TradingSession | None:
    """Return the session that closes on *day*, the last one of several; None when there is none."""
    closing = [session for session in sessions if session.closes.date() == day]
    return max(closing, key=lambda session: session.closes, default=None)


def occ_expiry(local_symbol: str) -> dt.date | None:
    """
    Return the day in an option's OCC symbol, ``SPX   261218P05950000``: that of its settlement.

    None for any other text: exchanges outside the United States write their own.
    """
    match = _OCC.fullmatch(local_symbol.strip())
    try:
        return _short_day(match[2]) if match else None
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _short_day(text: str) -> dt.date:
    """The day of six digits; a chain names each of its few thousands of times."""
    return dt.datetime.strptime(text, "%y%m%d").date()


def settles_at_open(trading_class: str, *, symbol: str = "", local_symbol: str = "") -> bool:
    """
    Whether an index's options of a class settle on opening prices.

    Without a class its OCC symbol tells it; without that too, the index, where all of its classes
    agree: options on SPX are then taken for SPXW, the class that is meant where none is named.
    """
    return _class_of(trading_class, symbol, local_symbol) in AM_SETTLED


def _class_of(trading_class: str, symbol: str, local_symbol: str) -> str:
    if trading_class:
        return trading_class
    match = _OCC.fullmatch(local_symbol.strip())
    if match is not None:
        return match[1]
    return symbol if symbol in _OWN_NAME_ONLY else ""


def settlement_day(
    expiry: dt.date, *, trading_class: str = "", symbol: str = "", local_symbol: str = ""
) -> dt.date:
    """
    Return the day on which an option's value is settled.

    Args:
        expiry: The day that names it: the last one on which it trades, as IB writes it, or that of
            its settlement.
        trading_class, symbol, local_symbol: Its class, its index and its OCC symbol, as far as
            known; see `settles_at_open`.

    The OCC symbol holds the day. Without one the calendar of the class tells which of both days is
    meant: SPX, NDX, RUT and DJX settle on the third Friday, VIX on the Wednesday 30 days before a
    Friday; where that is no trading day, on the one before. An expiry that fits neither is taken
    for a last trading day, unless it is a Friday, or a Wednesday of VIX.

    Source: Cboe, product specifications.
    """
    of_symbol = occ_expiry(local_symbol)
    if of_symbol is not None:
        return of_symbol
    name = _class_of(trading_class, symbol, local_symbol)
    if name not in AM_SETTLED:
        return expiry
    days = _standard_settlements(expiry, name)
    if expiry in days:
        return expiry
    for day in days:
        if _trading_day_before(day) == expiry:
            return day
    if expiry.weekday() == (2 if name in _ON_WEDNESDAYS else 4):
        return expiry
    return _trading_day_after(expiry)


def settlement_of(position: Position) -> dt.date | None:
    """Return the day on which an option held is settled; None for what does not expire."""
    if position.expiry is None:
        return None
    return settlement_day(
        position.expiry,
        trading_class=position.trading_class,
        symbol=position.symbol,
        local_symbol=position.local_symbol,
    )


def last_trading_day(
    expiry: dt.date, *, trading_class: str = "", symbol: str = "", local_symbol: str = ""
) -> dt.date:
    """Return the last day on which an option trades, by which IB names it; see `settlement_day`."""
    named = {"trading_class": trading_class, "symbol": symbol, "local_symbol": local_symbol}
    day = settlement_day(expiry, **named)
    return _trading_day_before(day) if settles_at_open(**named) else day


def _standard_settlements(near: dt.date, trading_class: str) -> tuple[dt.date, ...]:
    """Days on which a class settles on the opening: of this month, or of this week and the next."""
    if trading_class not in _ON_WEDNESDAYS:
        return (_or_before(third_friday(near.year, near.month)),)
    wednesday = near + dt.timedelta(days=2 - near.weekday())
    return tuple(map(_vix_settlement, (wednesday, wednesday + dt.timedelta(days=7))))


def _vix_settlement(wednesday: dt.date) -> dt.date:
    if is_holiday(wednesday) or is_holiday(wednesday + dt.timedelta(days=30)):
        return _trading_day_before(wednesday)
    return wednesday


def _or_before(day: dt.date) -> dt.date:
    return _trading_day_before(day) if is_holiday(day) else day


def _trading_day_before(day: dt.date) -> dt.date:
    return _step(day, -1)


def _trading_day_after(day: dt.date) -> dt.date:
    return _step(day, 1)


def _step(day: dt.date, direction: int) -> dt.date:
    day += dt.timedelta(days=direction)
    while day.weekday() > 4 or is_holiday(day):
        day += dt.timedelta(days=direction)
    return day


def expiry_moment(
    expiry: dt.date, *, underlying: Underlying, trading_class: str = "", local_symbol: str = ""
) -> dt.datetime:
    """
    Return when an option's value is settled.

    American underlyings: 16:00 New York, or the close of a half day, from the underlying's own
    hours when they reach that day and from the exchange's rules when not. Classes of an index that
    settle on the opening (`AM_SETTLED`): 09:30 on their `settlement_day`, the trading day after the
    last one on which they trade. Elsewhere: the time of the class where it has one (EURO STOXX 50
    at 12:00), else the session's close, and beyond the known hours that of the latest known day.
    Options on index futures: the quarterly ones at 09:30 New York time, the others at 16:00.
    """
    if underlying.sec_type == "IND":
        named = {
            "trading_class": trading_class,
            "symbol": underlying.symbol,
            "local_symbol": local_symbol,
        }
        day = settlement_day(expiry, **named)
        if settles_at_open(**named):
            return dt.datetime.combine(day, _AM_OPEN, NEW_YORK)
        at = _own_time(trading_class, underlying.ib_symbol)
        if at is not None:
            return dt.datetime.combine(day, at, zone(underlying.time_zone))
    else:
        day = settlement_day(expiry, local_symbol=local_symbol)
    if underlying.is_future and underlying.ib_symbol in EQUITY_FUTURES:
        # The quarterly class settles on the opening of its future's last day, the others at 16:00.
        at_open = trading_class == underlying.ib_symbol or day == underlying.expiry
        return dt.datetime.combine(day, _AM_OPEN if at_open else _PM_CLOSE, NEW_YORK)
    return closing_moment(day, underlying=underlying)


def _own_time(trading_class: str, index: str) -> dt.time | None:
    """When a class settles by rules of its own, or else all classes of its index."""
    terms = INDEX_CLASSES.get(trading_class)
    if terms is not None:
        return terms.settles
    times = {terms.settles for terms in INDEX_CLASSES.values() if terms.symbol == index}
    return times.pop() if len(times) == 1 else None


def closing_moment(day: dt.date, *, underlying: Underlying) -> dt.datetime:
    """Return when options on *underlying* stop trading on *day*; see `expiry_moment`."""
    session = session_on(underlying.sessions, day)
    if not keeps_new_york_hours(underlying):
        close = dt.datetime.combine(day, usual_close(underlying), zone(underlying.time_zone))
        return session.closes if session else close
    usual = dt.datetime.combine(day, _PM_CLOSE, NEW_YORK)
    if session is not None:
        # Funds and indices may be quoted until 16:15 or later; their options settle at 16:00.
        return min(session.closes, usual)
    early = dt.datetime.combine(day, _HALF_DAY_CLOSE, NEW_YORK)
    return early if day in _table()[2] else usual


def keeps_new_york_hours(underlying: Underlying) -> bool:
    """
    Whether the table of New York's trading days holds for it, as for all that trades in dollars.

    Not its zone tells: Cboe's indices have Chicago's.
    """
    return underlying.currency == "USD"


def usual_close(underlying: Underlying) -> dt.time:
    """When its latest known session closes, exchange time; 16:00 where none is known."""
    where = zone(underlying.time_zone)
    closes = [session.closes.astimezone(where) for session in underlying.sessions]
    return max(closes).time() if closes else _PM_CLOSE


def assumed_hours(underlying: Underlying, day: dt.date) -> str:
    """
    What is taken for granted about trading up to *day*, in words; empty where it is known.

    The table of closed days is New York's. Elsewhere the contract's own hours are used, and IB
    gives those of some days only.
    """
    known = max((session.closes for session in underlying.sessions), default=None)
    if keeps_new_york_hours(underlying) or (known is not None and known.date() >= day):
        return ""
    where = underlying.primary_exchange or underlying.exchange
    until = f"after {known:%Y-%m-%d}" if known is not None else "on all days"
    close = usual_close(underlying)
    return (
        f"{until} the days of {where} are not known: every weekday is taken for a trading day that "
        f"closes at {close:%H:%M} {underlying.time_zone}"
    )


def years_to_expiry(
    as_of: dt.datetime,
    expiry: dt.date,
    *,
    underlying: Underlying,
    trading_class: str = "",
    local_symbol: str = "",
) -> float:
    """
    Return the years (act/365) from *as_of* to the minute the expiry is settled; 0 from then on.

    See `expiry_moment` for that minute.
    """
    settled = expiry_moment(
        expiry, underlying=underlying, trading_class=trading_class, local_symbol=local_symbol
    )
    return years_until(as_of, settled)


def years_until(as_of: dt.datetime, moment: dt.datetime) -> float:
    """Return the years (act/365) from *as_of* to *moment*; 0 from then on."""
    # In UTC: two times of one zone subtract as wall clocks, an hour off across a clock change.
    left = moment.astimezone(dt.UTC) - as_of.astimezone(dt.UTC)
    return max(left.total_seconds(), 0.0) / YEAR_SECONDS


def days_to_expiry(
    today: dt.date,
    expiry: dt.date,
    *,
    trading_class: str = "",
    symbol: str = "",
    local_symbol: str = "",
) -> int:
    """Return the calendar days from *today* to the `settlement_day`; negative after it."""
    day = settlement_day(
        expiry, trading_class=trading_class, symbol=symbol, local_symbol=local_symbol
    )
    return (day - today).days


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


def is_monthly(day: dt.date, listed: Collection[dt.date], *, trading_class: str = "") -> bool:
    """
    Whether *day* is the standard monthly expiry among the *listed* ones.

    The third Friday or, when that is not listed because the exchange is closed (Good Friday,
    Juneteenth), the day before. Of classes that settle on the opening the day of settlement counts,
    by whichever day they are listed; VIX's monthlies are those 30 days before a third Friday.
    """
    if trading_class not in AM_SETTLED:
        friday = third_friday(day.year, day.month)
        return day == friday or (day == friday - dt.timedelta(days=1) and friday not in listed)
    settled = settlement_day(day, trading_class=trading_class)
    if trading_class not in _ON_WEDNESDAYS:
        return settled == _or_before(third_friday(settled.year, settled.month))
    wednesday = settled + dt.timedelta(days=2 - settled.weekday())
    is_wednesdays = settled == _vix_settlement(wednesday)
    return is_wednesdays and is_third_friday(wednesday + dt.timedelta(days=30))


@cache
def _table() -> tuple[range, frozenset[dt.date], tuple[dt.date, ...]]:
    """What `closed_days.txt` knows: its years, the weekdays closed, the half days ascending."""
    text = Path(__file__).with_name("closed_days.txt").read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    closed: list[dt.date] = []
    half: list[dt.date] = []
    for line in lines:
        year, (all_day, _, early) = line[:4], line[4:].partition("|")
        closed += [parse_expiry(year + word) for word in all_day.split()]
        half += [parse_expiry(year + word) for word in early.split()]
    return range(int(lines[0][:4]), int(lines[-1][:4]) + 1), frozenset(closed), tuple(half)


def is_holiday(day: dt.date) -> bool:
    """
    Whether New York is closed on *day* although it is no weekend.

    False for years that the table does not know, so that a far expiry has its usual hours.
    """
    return day in _table()[1]


def _check_known(start: dt.date, end: dt.date) -> None:
    years, _, _ = _table()
    for day in (start, end):
        if day.year not in years:
            raise DataError(
                f"{day}: the trading days of New York are known from {years[0]} to {years[-1]}; "
                "correct the date"
            )


@lru_cache(maxsize=64)
def trading_days(start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
    """
    Return the days New York trades from *start* to *end*, both included, ascending.

    Raises:
        DataError: Either lies in a year that the table of closed days does not know.
    """
    _check_known(start, end)
    days = map(dt.date.fromordinal, range(start.toordinal(), end.toordinal() + 1))
    return tuple(day for day in days if day.weekday() < 5 and not is_holiday(day))


def is_trading_day(day: dt.date) -> bool:
    """
    Whether New York trades on *day*, half days included.

    Raises:
        DataError: The table of closed days does not know its year.
    """
    _check_known(day, day)
    return day.weekday() < 5 and not is_holiday(day)


def half_days(start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
    """
    Return the days from *start* to *end* on which New York closes early, ascending.

    Raises:
        DataError: Either lies in a year that the table of closed days does not know.
    """
    _check_known(start, end)
    _, _, half = _table()
    return half[bisect_left(half, start) : bisect_right(half, end)]
