"""
Which contracts exist on a day: expiries, strikes, ids, hours, descriptions, and the search.

A contract id is packed from class, expiry, strike and right, so that it means the same contract
in every market of this model, on every day, without a table.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tomic._typing import FloatArray, IntArray
from tomic.sim.market import Listing, day_text
from tomic.sim.market.instruments import DEMO, ExpirySchedule, Instrument, OptionClass, Venue, dated
from tomic.wire.answers import ParameterRow
from tomic.wire.requests import ContractSpec

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


@lru_cache(maxsize=64)
def european_holidays(year: int) -> frozenset[date]:
    """Weekdays of *year* on which Euronext, Eurex and Xetra all stay closed."""
    sunday = easter(year)
    return frozenset(
        {
            date(year, 1, 1),
            sunday - timedelta(days=2),
            sunday + _ONE_DAY,
            date(year, 5, 1),
            date(year, 12, 25),
            date(year, 12, 26),
        }
    )


def trades_on(venue: Venue | None, day: date) -> bool:
    """Whether a venue, None for New York, trades on that day."""
    if venue is None or venue.days == "new_york":
        return is_trading_day(day)
    return day.weekday() < 5 and day not in european_holidays(day.year)


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
    days: Days = every[np.is_busday(every, holidays=closed)]
    return days


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
    return _vix_settlement(third - timedelta(days=30))


def _vix_settlement(wednesday: date) -> date:
    """That Wednesday, or the trading day before when it or the Friday 30 days on is a holiday."""
    if is_trading_day(wednesday) and is_trading_day(wednesday + timedelta(days=30)):
        return wednesday
    return previous_trading_day(wednesday)


def months_ahead(day: date, count: int) -> list[tuple[int, int]]:
    """(year, month) of the month of *day* and the following ones, *count* in all."""
    first = day.year * 12 + day.month - 1
    return [((first + i) // 12, (first + i) % 12 + 1) for i in range(count)]


def moment(day: date, at: time) -> datetime:
    """That time of that day in New York, aware."""
    return datetime.combine(day, at, NEW_YORK)


_VENUES = (
    "SMART,AMEX,BATS,BOX,CBOE,CBOE2,EDGX,EMERALD,GEMINI,IBUSOPT,ISE,MEMX,MERCURY,MIAX,NASDAQBX,"
    "NASDAQOM,PEARL,PHLX,PSE,SAPPHIRE"
)
EXCHANGES = _VENUES.split(",")
"""Where options of shares and funds trade."""

INDEX_EXCHANGES = ["SMART", "CBOE", "IBUSOPT"]
_STOCK_EXCHANGES = "SMART,AMEX,NYSE,CBOE,PHLX,ISE,CHX,ARCA,NASDAQ,DRCTEDGE,BEX,BATS,EDGEA,BYX,IEX"

_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P"}
_OPEN_RIGHTS = frozenset({"", "?", "0"})
_FRIDAYS, _DAILY_SPAN = 9, timedelta(days=14)
_NEAR_DAYS = 60
_LEAPS_DAYS = 250
# 2 to the 31st is split into class (10 bits), expiry (10), strike (10) and right (1).
_SLOTS = 1024
_EPOCH = date(2020, 1, 1)
_BLOCK = _SLOTS * _SLOTS * 2
_FUTURE_BLOCK = 70
_SYNTHETIC_BLOCK, _OTHER_BLOCK, _LAST_BLOCK = 100, 1001, _SLOTS - 1
_UNDERLYING_BASE = 500_000


def _european_expiries(today: date) -> list[date]:
    """Third Fridays of a year, or the day before one that is a holiday."""
    days = []
    for year, month in months_ahead(today, 13):
        day = nth_weekday(year, month, 4, 3)
        days.append(day - _ONE_DAY if day in european_holidays(year) else day)
    return [day for day in days if day >= today][:12]


def _future_expiries(rule: OptionClass, today: date, last: date | None) -> list[date]:
    """Of options on a future: its own last day, or the month ends that come before it."""
    if last is None:
        return []
    if rule.schedule is ExpirySchedule.QUARTERLY:
        return [last] if last >= today else []
    ends = [
        previous_trading_day(date(year + month // 12, month % 12 + 1, 1))
        for year, month in months_ahead(today, 7)
    ]
    # A month end belongs to the first future that is still alive then.
    return [day for day in ends if today <= day <= last and (last - day).days < 92]


def expiries(rule: OptionClass, today: date, last: date | None = None) -> list[date]:
    """
    The expiries that *rule* lists on *today*, ascending; the day itself is one of them.

    Args:
        last: Of options on a future: its last day.
    """
    if rule.schedule in (ExpirySchedule.QUARTERLY, ExpirySchedule.MONTH_ENDS):
        return _future_expiries(rule, today, last)
    if rule.schedule is ExpirySchedule.THIRD_FRIDAYS:
        return _european_expiries(today)
    if rule.schedule is ExpirySchedule.VIX_MONTHLIES:
        months = months_ahead(today, 9)
        return [day for day in (vix_expiry(*m) for m in months) if day >= today]
    if rule.schedule is ExpirySchedule.VIX_WEEKLIES:
        return _vix_weeklies(today)
    monthly = [third_friday(*m) for m in months_ahead(today, 34)]
    monthly = [day for day in monthly if day >= today]
    if rule.schedule is ExpirySchedule.ADJUSTED:
        return monthly[1:3]
    if rule.schedule is ExpirySchedule.MONTHLIES:
        return monthly[:12] + [day for day in monthly[12:] if day.month == 12]
    if rule.schedule is ExpirySchedule.WEEKLIES:
        cycle = [day for day in monthly[2:12] if day.month % 3 == 0]
        leaps = [day for day in monthly[3:] if day.month == 1][:2]
        return sorted({*monthly[:4], *cycle, *leaps, *_fridays(today)})
    leaps = [day for day in monthly[12:] if day.month in (1, 6, 12)]
    return sorted({*monthly[:12], *leaps, *_fridays(today), *_dailies(today), *_quarters(today)})


def _fridays(today: date) -> list[date]:
    first = today + timedelta(days=(4 - today.weekday()) % 7)
    weeks = [on_or_before(first + timedelta(days=7 * i)) for i in range(_FRIDAYS)]
    return [day for day in weeks if day >= today]


def _dailies(today: date) -> list[date]:
    span = range(_DAILY_SPAN.days + 1)
    return [day for i in span if is_trading_day(day := today + timedelta(days=i))]


def _quarters(today: date) -> list[date]:
    """Last trading days of the next four calendar quarters."""
    ends = [
        previous_trading_day(date(year + month // 12, month % 12 + 1, 1))
        for year, month in months_ahead(today, 13)
        if month % 3 == 0
    ]
    return [day for day in ends if day >= today][:4]


def _vix_weeklies(today: date) -> list[date]:
    """Wednesdays of six weeks that are no monthly."""
    first = today + timedelta(days=(2 - today.weekday()) % 7)
    weeks = [_vix_settlement(first + timedelta(days=7 * i)) for i in range(6)]
    monthly = {vix_expiry(*m) for m in months_ahead(today, 3)}
    return [day for day in weeks if day >= today and day not in monthly]


def strikes(rule: OptionClass, spot: float, dte: int, iv30: float) -> list[float]:
    """
    The strikes that one expiry lists, ascending.

    Fine steps near the money within two months, coarse ones in the wings and beyond; a far expiry
    has a subset of a near one's strikes, which is why the union over expiries promises too much.
    """
    reach = min(0.65, max(0.3, 2.2 * iv30))
    near = reach / 2.0
    low, high = spot * (1.0 - reach), spot * (1.0 + min(reach, 0.45 + 0.1 * reach))
    if rule.schedule is ExpirySchedule.ADJUSTED:
        low, high = spot * 0.85, spot * 1.15
    # The window is laid on a coarse grid, so that it does not wander with every cent of spot.
    step = rule.far_step * (2.0 if dte > _LEAPS_DAYS else 1.0)
    low, high = max(step, math.floor(low / step) * step), math.ceil(high / step) * step
    grid = {low + step * i for i in range(round((high - low) / step) + 1)}
    if dte <= _NEAR_DAYS and rule.near_step < rule.far_step:
        first = math.ceil(spot * (1.0 - near) / rule.far_step) * rule.far_step
        last = math.floor(spot * (1.0 + near) / rule.far_step) * rule.far_step
        count = round((last - first) / rule.near_step)
        grid |= {first + rule.near_step * i for i in range(count + 1)}
    return sorted(round(strike + rule.odd, 4) for strike in grid)


@lru_cache(maxsize=1)
def _known_blocks() -> dict[tuple[str, str], int]:
    names = [(p.symbol, rule.name) for p in DEMO for rule in p.classes]
    return {name: number for number, name in enumerate(names, start=1)}


class Numbering:
    """Contract ids of the underlyings and options of one universe."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._blocks: dict[tuple[str, str], int] = {}
        self._classes: dict[int, tuple[Instrument, OptionClass]] = {}
        self._underlyings: dict[int, Instrument] = {}
        self._ids: dict[str, int] = {}
        other = _OTHER_BLOCK
        for instrument in instruments:
            for rule in instrument.classes:
                name = (instrument.symbol, rule.name)
                block = (
                    _known_blocks().get(name)
                    or _synthetic_block(instrument.symbol)
                    or _future_block(instrument, rule)
                )
                if not block:
                    block, other = other, other + 1
                if block > _LAST_BLOCK:
                    raise ValueError("a universe holds at most 22 option classes of its own")
                self._blocks[name] = block
                self._classes[block] = (instrument, rule)
            first = self._blocks[instrument.symbol, instrument.classes[0].name]
            con_id = _UNDERLYING_BASE + 13 * first
            self._ids[instrument.symbol] = con_id
            self._underlyings[con_id] = instrument

    def underlying_id(self, symbol: str) -> int:
        """Contract id of an underlying of this universe."""
        return self._ids[symbol]

    def underlying(self, con_id: int) -> Instrument | None:
        """The underlying with that id, if any."""
        return self._underlyings.get(con_id)

    def pack(self, symbol: str, rule: OptionClass, expiry: date, strike: float, right: str) -> int:
        """Contract id of an option."""
        day = (expiry - _EPOCH).days % _SLOTS
        level = round((strike - rule.odd) / _finest(rule)) % _SLOTS
        block = self._blocks[symbol, rule.name]
        return ((block * _SLOTS + day) * _SLOTS + level) * 2 + (right == "P")

    def pack_all(
        self, symbol: str, rule: OptionClass, expiry: date, strike: FloatArray
    ) -> IntArray:
        """Contract ids of all calls of an expiry, then of all its puts."""
        first = self.pack(symbol, rule, expiry, rule.odd, "C")
        level = np.round((strike - rule.odd) / _finest(rule)).astype(np.int64) % _SLOTS
        calls = first + 2 * level
        return np.concatenate((calls, calls + 1))

    def option_class(self, con_id: int) -> tuple[Instrument, OptionClass] | None:
        """Underlying and class of an option's id, if it can be one."""
        return self._classes.get(con_id // _BLOCK)

    def expiry(self, con_id: int, today: date) -> date:
        """Expiry of an option's id: the first day from *today* on that its bits can mean."""
        day = con_id % _BLOCK // (2 * _SLOTS)
        return today + timedelta(days=(day - (today - _EPOCH).days) % _SLOTS)


def _finest(rule: OptionClass) -> float:
    return math.gcd(round(rule.near_step * 100), round(rule.far_step * 100)) / 100.0


def _future_block(instrument: Instrument, rule: OptionClass) -> int:
    """One of 24 blocks for the classes of a future, by its quarter; 0 for anything else."""
    if instrument.expires is None:
        return 0
    quarter = (instrument.expires.year * 4 + instrument.expires.month // 3) % 12
    return _FUTURE_BLOCK + 2 * quarter + instrument.classes.index(rule)


def _synthetic_block(symbol: str) -> int:
    number = symbol[1:]
    known = symbol.startswith("S") and len(symbol) == 4 and number.isdigit() and int(number)
    return _SYNTHETIC_BLOCK + int(number) if known and int(number) <= 900 else 0


def settlement(rule: OptionClass, expiry: date, venue: Venue | None = None) -> datetime:
    """When an option stops living: the close of its expiry, or the morning when AM-settled."""
    if venue is not None:
        at = rule.settles or venue.closes
        return datetime.combine(expiry, at, zone_of(venue)).astimezone(NEW_YORK)
    if rule.am_settled:
        return moment(expiry, time(9, 30))
    return moment(expiry, close_time(expiry))


def last_trading_day(rule: OptionClass, expiry: date) -> date:
    """The day by which the gateway names an expiry: AM-settled ones trade up to the day before."""
    return previous_trading_day(expiry) if rule.am_settled else expiry


_ZONES = {"MET": "Europe/Amsterdam", "GB-Eire": "Europe/London", "US/Central": "America/Chicago"}


def zone_of(venue: Venue) -> ZoneInfo:
    """The zone behind the name that contract details give."""
    return ZoneInfo(_ZONES.get(venue.zone, venue.zone))


def venue_session(venue: Venue, day: date) -> tuple[datetime, datetime]:
    """Start and end of the session that belongs to a trading day."""
    zone = zone_of(venue)
    evening = day - _ONE_DAY if venue.overnight else day
    opens = datetime.combine(evening, venue.opens, zone)
    return opens, datetime.combine(day, venue.closes, zone)


def venue_hours(venue: Venue, today: date, days: int = 6) -> str:
    """Sessions of a venue as contract details show them, in its own zone."""
    parts = []
    for i in range(days):
        day = today + timedelta(days=i)
        if trades_on(venue, day):
            opens, closes = venue_session(venue, day)
            parts.append(f"{opens:%Y%m%d:%H%M}-{closes:%Y%m%d:%H%M}")
        else:
            parts.append(f"{day:%Y%m%d}:CLOSED")
    return ";".join(parts)


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening and closing times of a trading day; *night* opens the evening before."""

    opens: time
    closes: time
    night: time | None = None


STOCK_LIQUID = Hours(time(9, 30), time(16, 0))
STOCK_ALL = Hours(time(4, 0), time(20, 0))
FUND_OPTION = Hours(time(9, 30), time(16, 15))
INDEX_ALL = Hours(time(9, 30), time(17, 0), night=time(20, 15))


def liquid(instrument: Instrument, *, option: bool) -> Hours:
    """The hours in which a contract trades in earnest."""
    late = instrument.is_index or (option and instrument.stock_type == "ETF")
    return FUND_OPTION if late else STOCK_LIQUID


def session(hours: Hours, day: date) -> tuple[datetime, datetime]:
    """Start and end of one trading day's session, shortened on a half day."""
    cut = hours.closes
    if day in half_days(day.year):
        shift = datetime.combine(day, FULL_CLOSE) - datetime.combine(day, time(13, 0))
        cut = (datetime.combine(day, cut) - shift).time() if cut < time(18) else time(17, 0)
    return moment(day, hours.opens), moment(day, cut)


@lru_cache(maxsize=64)
def hours_text(hours: Hours, today: date, days: int = 6) -> str:
    """Sessions of *days* calendar days as contract details show them."""
    parts = []
    for i in range(days):
        day = today + timedelta(days=i)
        if not is_trading_day(day):
            # A holiday's evening may already belong to the next day's session.
            if hours.night is None or not is_trading_day(day + timedelta(days=1)):
                parts.append(f"{day:%Y%m%d}:CLOSED")
            continue
        opens, closes = session(hours, day)
        if hours.night is not None:
            eve = moment(day - timedelta(days=1), hours.night)
            parts.append(f"{eve:%Y%m%d:%H%M}-{day:%Y%m%d}:0925")
        parts.append(f"{opens:%Y%m%d:%H%M}-{closes:%Y%m%d:%H%M}")
    return ";".join(parts)


def _abroad(instrument: Instrument, con_id: int, venue: Venue, today: date) -> Listing:
    """The contract details of what does not trade in New York."""
    hours = venue_hours(venue, today)
    stock = instrument.sec_type == "STK"
    return Listing(
        con_id=con_id,
        symbol=instrument.ticker,
        sec_type=instrument.sec_type,
        exchange="SMART" if venue.routed else venue.exchange,
        primary_exchange=venue.exchange if stock else "",
        currency=venue.currency,
        local_symbol=instrument.symbol.partition("@")[0],
        trading_class=instrument.ticker if instrument.is_future else "",
        expiry=instrument.expires,
        multiplier=instrument.classes[0].multiplier if instrument.is_future else "",
        long_name=instrument.long_name,
        market_name=instrument.ticker,
        valid_exchanges=f"SMART,{venue.exchange}" if venue.routed else venue.exchange,
        time_zone_id=venue.zone,
        trading_hours=hours,
        liquid_hours=hours,
        industry=instrument.industry,
        category=instrument.category,
        subcategory=instrument.subcategory,
        stock_type=instrument.stock_type,
        magnifier=venue.magnifier,
    )


def describe_underlying(instrument: Instrument, con_id: int, today: date) -> Listing:
    """The contract details of a share, a fund or an index."""
    if instrument.venue is not None:
        return _abroad(instrument, con_id, instrument.venue, today)
    index = instrument.is_index
    return Listing(
        con_id=con_id,
        symbol=instrument.symbol,
        sec_type=instrument.sec_type,
        exchange=instrument.primary_exchange if index else "SMART",
        primary_exchange="" if index else instrument.primary_exchange,
        local_symbol=instrument.symbol,
        trading_class="" if index else instrument.symbol,
        long_name=instrument.long_name,
        market_name=instrument.symbol.replace(" ", ""),
        valid_exchanges=instrument.primary_exchange if index else _STOCK_EXCHANGES,
        trading_hours=hours_text(INDEX_ALL if index else STOCK_ALL, today),
        liquid_hours=hours_text(liquid(instrument, option=False), today),
        industry=instrument.industry,
        category=instrument.category,
        subcategory=instrument.subcategory,
        stock_type=instrument.stock_type,
    )


def option_template(
    instrument: Instrument, rule: OptionClass, expiry: date, under_con_id: int, today: date
) -> Listing:
    """
    What the options of one class have in common that settle on the day *expiry*.

    The gateway names them by the last day on which they trade; see `last_trading_day`.
    """
    venue = instrument.venue
    if venue is not None:
        text = venue_hours(venue, today)
        local = settlement(rule, expiry, venue).astimezone(zone_of(venue))
        return Listing(
            con_id=0,
            symbol=instrument.ticker,
            sec_type="FOP" if instrument.is_future else "OPT",
            exchange=rule.exchanges[0],
            currency=venue.currency,
            trading_class=rule.name,
            expiry=expiry,
            multiplier=rule.multiplier,
            long_name=instrument.long_name,
            market_name=rule.name,
            min_tick=instrument.price_step,
            valid_exchanges=",".join(rule.exchanges),
            time_zone_id=venue.zone,
            trading_hours=text,
            liquid_hours=text,
            under_con_id=under_con_id,
            last_trade_time=f"{local:%H:%M:%S}",
            magnifier=venue.magnifier,
        )
    hours = liquid(instrument, option=True)
    last_day = last_trading_day(rule, expiry)
    closes = hours.closes if rule.am_settled else close_time(last_day)
    return Listing(
        con_id=0,
        symbol=instrument.symbol,
        sec_type="OPT",
        trading_class=rule.name,
        expiry=last_day,
        settled=expiry,
        multiplier=rule.multiplier,
        long_name=instrument.long_name,
        market_name=rule.name,
        min_tick=0.01 if instrument.price_step <= 0.05 else 0.05,
        valid_exchanges=",".join(INDEX_EXCHANGES if instrument.is_index else EXCHANGES),
        trading_hours=hours_text(INDEX_ALL if instrument.is_index else hours, today),
        liquid_hours=hours_text(hours, today),
        under_con_id=under_con_id,
        last_trade_time=f"{closes:%H:%M:%S}",
    )


def described(template: Listing, con_id: int, strike: float, right: str) -> Listing:
    """One option of *template*, with its OCC symbol."""
    if template.currency != "USD":
        # Exchanges outside the United States have no OCC symbol.
        code = f"{right} {template.trading_class} {template.expiry:%Y%m%d} {strike:g} M"
        return replace(template, con_id=con_id, strike=strike, right=right, local_symbol=code)
    if template.sec_type == "FOP":
        month = "FGHJKMNQUVXZ"[template.expiry.month - 1] if template.expiry else ""
        code = f"{template.trading_class}{month}{template.expiry:%y} {right}{strike:g}"[:20]
        return replace(template, con_id=con_id, strike=strike, right=right, local_symbol=code)
    root = f"{template.trading_class:<6}{template.settled:%y%m%d}"
    code = f"{root}{right}{round(strike * 1000):08d}"
    return replace(template, con_id=con_id, strike=strike, right=right, local_symbol=code)


def has_class(wanted: ContractSpec, rule: OptionClass) -> bool:
    """Whether options of that class can be meant."""
    of_class = wanted.trading_class in ("", rule.name)
    return of_class and wanted.multiplier in ("", rule.multiplier)


def has_expiry(wanted: ContractSpec, expiry: date) -> bool:
    """Whether options of that expiry can be meant, by its day or by its month."""
    return day_text(expiry).startswith(wanted.expiry)


def is_meant(wanted: ContractSpec, option: Listing) -> bool:
    """Whether the option fits in all that makes it that option; empty or zero is open."""
    right = "" if wanted.right in _OPEN_RIGHTS else _RIGHTS.get(wanted.right.upper(), wanted.right)
    return (
        right in ("", option.right)
        and wanted.strike in (0.0, option.strike)
        and wanted.local_symbol in ("", option.local_symbol)
        and wanted.trading_class in ("", option.trading_class)
        and wanted.multiplier in ("", option.multiplier)
        and option.expiry is not None
        and has_expiry(wanted, option.expiry)
    )


def reachable(wanted: ContractSpec, listing: Listing) -> bool:
    """Whether the contract trades where and in what it is wanted; an empty word is open."""
    if wanted.currency not in ("", listing.currency):
        return False
    if wanted.exchange and wanted.exchange not in listing.valid_exchanges.split(","):
        return False
    # Options have no primary exchange; what a client fills in there is not looked at. Of a share
    # any venue helps to tell it from others of its name, SMART does not.
    if listing.is_option:
        return True
    venues = {"", listing.primary_exchange, *listing.valid_exchanges.split(",")} - {"SMART"}
    return wanted.primary_exchange in venues


def is_open(hours: Hours, local: datetime) -> bool:
    """Whether *local*, New York time, lies in that day's session, both ends included."""
    if not is_trading_day(local.date()):
        return False
    opens, closes = session(hours, local.date())
    return opens <= local <= closes


def venue_is_open(venue: Venue, moment_: datetime) -> bool:
    """Whether a session of *venue* is on."""
    local = moment_.astimezone(zone_of(venue))
    for day in (local.date(), local.date() + _ONE_DAY):
        opens, closes = venue_session(venue, day)
        if trades_on(venue, day) and opens <= local <= closes:
            return True
    return False


def generator(seed: int, name: str) -> np.random.Generator:
    """A stream of random numbers that depends on *seed* and *name* only."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


class Catalogue:
    """
    Every contract of some instruments, described when first asked for.

    Args:
        now: Options that have stopped living by then are not listed.
        level: Spot and 30-day volatility of an instrument, which decide its strikes.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        now: datetime,
        level: Callable[[Instrument], tuple[float, float]],
        seed: int,
    ) -> None:
        listed = dated(instruments, now.date())
        self._instruments = {instrument.symbol: instrument for instrument in listed}
        self._numbers = Numbering(listed)
        self._now, self._today = now, now.date()
        self._level, self._seed = level, seed
        self._expiries: dict[tuple[OptionClass, str], list[date]] = {}
        self._strikes: dict[tuple[str, str, date], list[float]] = {}
        self._listed: dict[tuple[str, str, date], dict[int, tuple[float, str]]] = {}
        self._described: dict[tuple[str, str, date], dict[int, Listing]] = {}
        self._at_strike: dict[tuple[str, str, date], dict[float, list[Listing]]] = {}

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Every underlying, of a future's root the quarters that are listed."""
        return tuple(self._instruments.values())

    def instrument(self, symbol: str) -> Instrument | None:
        """The instrument of a symbol, if it is part of the market."""
        return self._instruments.get(symbol)

    def underlying_of(self, con_id: int) -> Instrument | None:
        """The instrument whose own contract has that id."""
        return self._numbers.underlying(con_id)

    def underlying_id(self, symbol: str) -> int:
        """Contract id of an underlying."""
        return self._numbers.underlying_id(symbol)

    def option_class(self, con_id: int) -> tuple[Instrument, OptionClass, date] | None:
        """Underlying, class and day of settlement of an option that exists, else None."""
        kind = self._numbers.option_class(con_id)
        if kind is None:
            return None
        instrument, rule = kind
        expiry = self._numbers.expiry(con_id, self._today)
        if expiry not in self.expiries(rule, instrument):
            return None
        return (*kind, expiry) if con_id in self._options(instrument, rule, expiry) else None

    def expiries(self, rule: OptionClass, instrument: Instrument | None = None) -> list[date]:
        """
        Expiries of a class that still live, by the day of their settlement.

        Args:
            instrument: Its underlying, needed where that does not trade in New York.
        """
        venue = instrument.venue if instrument else None
        key = (rule, instrument.symbol if instrument and venue else "")
        living = self._expiries.get(key)
        if living is None:
            days = expiries(rule, self._today, instrument.expires if instrument else None)
            living = [day for day in days if settlement(rule, day, venue) > self._now]
            self._expiries[key] = living
        return living

    def options(
        self, instrument: Instrument, rule: OptionClass, expiry: date
    ) -> dict[int, Listing]:
        """All options of one class and expiry by id; call before put, strikes ascending."""
        key = (instrument.symbol, rule.name, expiry)
        options = self._described.get(key)
        if options is None:
            template = self._template(instrument, rule, expiry)
            options = {
                con_id: described(template, con_id, strike, right)
                for con_id, (strike, right) in self._options(instrument, rule, expiry).items()
            }
            self._described[key] = options
        return options

    def _options(
        self, instrument: Instrument, rule: OptionClass, expiry: date
    ) -> dict[int, tuple[float, str]]:
        """Strike and right of the same options by id, which takes a tenth of describing them."""
        key = (instrument.symbol, rule.name, expiry)
        sides_by_id = self._listed.get(key)
        if sides_by_id is None:
            grid = self.strikes(instrument, rule, expiry)
            ids = self.ids(instrument, rule, expiry, np.array(grid)).tolist()
            sides = zip(grid, ids[: len(grid)], ids[len(grid) :], strict=True)
            sides_by_id = {
                con_id: (strike, right)
                for strike, call, put in sides
                for con_id, right in ((call, "C"), (put, "P"))
            }
            self._listed[key] = sides_by_id
        return sides_by_id

    def _template(self, instrument: Instrument, rule: OptionClass, expiry: date) -> Listing:
        under = self.underlying_id(instrument.symbol)
        return option_template(instrument, rule, expiry, under, self._today)

    def strikes(self, instrument: Instrument, rule: OptionClass, expiry: date) -> list[float]:
        """Strikes of one class and expiry, ascending."""
        key = (instrument.symbol, rule.name, expiry)
        ladder = self._strikes.get(key)
        if ladder is None:
            spot, iv30 = self._level(instrument)
            ladder = strikes(rule, spot, (expiry - self._today).days, iv30)
            self._strikes[key] = ladder
        return ladder

    def ids(
        self, instrument: Instrument, rule: OptionClass, expiry: date, strike: FloatArray
    ) -> IntArray:
        """Contract ids of the calls of an expiry, then of its puts."""
        return self._numbers.pack_all(instrument.symbol, rule, expiry, strike)

    def listing(self, con_id: int) -> Listing | None:
        """The contract with that id."""
        instrument = self.underlying_of(con_id)
        if instrument is not None:
            return describe_underlying(instrument, con_id, self._today)
        kind = self.option_class(con_id)
        if kind is None:
            return None
        instrument, rule, expiry = kind
        options = self._described.get((instrument.symbol, rule.name, expiry))
        if options is not None:
            return options[con_id]
        # Most ids are of a few contracts that are held; their neighbours need no description.
        strike, right = self._options(*kind)[con_id]
        return described(self._template(*kind), con_id, strike, right)

    def underlyings(self, wanted: ContractSpec) -> list[Listing]:
        """The share, fund or index of that name, if there is one of that type."""
        described = (
            describe_underlying(named, self.underlying_id(named.symbol), self._today)
            for named in self._instruments.values()
            if named.sec_type == wanted.sec_type
            and (wanted.symbol or wanted.local_symbol)
            and wanted.symbol in ("", named.ticker)
        )
        return [
            listing
            for listing in described
            if wanted.local_symbol in ("", listing.local_symbol)
            and listing.expiry_text.startswith(wanted.expiry)
        ]

    def matching(self, wanted: ContractSpec) -> Iterator[Listing]:
        """The options that fit; an OCC symbol alone will do."""
        symbol = wanted.symbol
        is_future = wanted.sec_type == "FOP"
        owners = [
            owner
            for owner in self._instruments.values()
            if owner.ticker == symbol and owner.is_future == is_future
        ]
        if not symbol and wanted.local_symbol:
            root = wanted.local_symbol[:6].strip()
            owners = [p for p in self._instruments.values() if root in {c.name for c in p.classes}]
        for owner in owners:
            for rule in owner.classes:
                if not has_class(wanted, rule):
                    continue
                for expiry in self.expiries(rule, owner):
                    if has_expiry(wanted, last_trading_day(rule, expiry)):
                        options = self._nearly(owner, rule, expiry, wanted.strike)
                        yield from (option for option in options if is_meant(wanted, option))

    def _nearly(
        self, instrument: Instrument, rule: OptionClass, expiry: date, strike: float
    ) -> Collection[Listing]:
        """Options of one class and expiry at *strike*; all of them where it is zero, thus open."""
        options = self.options(instrument, rule, expiry).values()
        if strike == 0.0:
            return options
        key = (instrument.symbol, rule.name, expiry)
        if key not in self._at_strike:
            by_strike: dict[float, list[Listing]] = {}
            for option in options:
                by_strike.setdefault(option.strike, []).append(option)
            self._at_strike[key] = by_strike
        return self._at_strike[key].get(strike, ())

    def parameters(self, instrument: Instrument) -> list[ParameterRow]:
        """Rows per exchange and class, shuffled, strikes the union over expiries, shuffled too."""
        rng = generator(self._seed, f"parameters {instrument.symbol}")
        con_id = self.underlying_id(instrument.symbol)
        rows = []
        for rule in instrument.classes:
            days = self.expiries(rule, instrument)
            if not days:
                continue
            union = sorted({k for day in days for k in self.strikes(instrument, rule, day)})
            strikes = tuple(union[i] for i in rng.permutation(len(union)))
            named = [last_trading_day(rule, day) for day in days]
            texts = tuple(f"{named[i]:%Y%m%d}" for i in rng.permutation(len(days)))
            for exchange in self._exchanges(instrument, rule):
                rows.append(
                    ParameterRow(exchange, con_id, rule.name, rule.multiplier, texts, strikes)
                )
        return [rows[i] for i in rng.permutation(len(rows))]

    @staticmethod
    def _exchanges(instrument: Instrument, rule: OptionClass) -> Sequence[str]:
        if rule.exchanges:
            return rule.exchanges
        if instrument.is_index:
            return INDEX_EXCHANGES
        # Adjusted contracts never reach the newest venues.
        return EXCHANGES[:-1] if rule.odd else EXCHANGES
