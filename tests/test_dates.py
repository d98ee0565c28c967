"""Dates: zones, hours, expiries, years to expiry, trading days."""

from __future__ import annotations

import datetime as dt
import re
from importlib.metadata import version
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from packaging.version import Version

from support import closed_days
from tomic import dates
from tomic.errors import DataError
from tomic.models import TradingSession, Underlying

NEW_YORK = ZoneInfo("America/New_York")
SPY = Underlying(symbol="SPY", con_id=756733)
SPX = Underlying(symbol="SPX", con_id=416904, sec_type="IND", time_zone="America/Chicago")
YEAR = dt.timedelta(days=365)


def new_york(text: str) -> dt.datetime:
    """A wall time in New York."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("US/Eastern", "America/New_York"),
        ("EST", "America/New_York"),
        ("EST5EDT", "America/New_York"),
        ("EST (Eastern Standard Time)", "America/New_York"),
        ("JST (Japan Standard Time)", "Asia/Tokyo"),
        ("US/Central", "America/Chicago"),
        ("CST", "America/Chicago"),
        ("MET", "Europe/Amsterdam"),
        ("GB", "Europe/London"),
        ("Asia/Hong_Kong", "Asia/Hong_Kong"),
    ],
)
def test_zone_names(name, expected):
    """Names as IB writes them stand for the exchange's civil time, with its summer time."""
    assert dates.zone(name).key == expected


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "America"])
def test_unknown_zone_is_an_error(name):
    """An unknown zone is never quietly read as another one."""
    with pytest.raises(DataError, match="time zone"):
        dates.zone(name)


def test_local_date_is_the_exchange_date():
    """01:00 in Amsterdam on Thursday is still Wednesday in New York."""
    moment = dt.datetime(2025, 6, 19, 1, 0, tzinfo=ZoneInfo("Europe/Amsterdam"))

    assert dates.local_date(moment, "US/Eastern") == dt.date(2025, 6, 18)


@pytest.mark.parametrize(
    ("clock", "is_open"),
    [("09:29:59", False), ("09:30", True), ("16:00", True), ("16:00:59", True), ("16:01", False)],
)
@pytest.mark.parametrize("text", ["20250618:0930-20250618:1600", "20250618:0930-1600"])
def test_regular_hours(text, clock, is_open):
    """Open from 09:30:00 up to the end of the minute 16:00, in both of IB's formats."""
    sessions = dates.parse_hours(text, "America/New_York")

    assert dates.is_open(sessions, new_york(f"2025-06-18T{clock}")) is is_open


def test_closed_day_has_no_session():
    """CLOSED is a day without session; the next opening is the day after."""
    text = "20250618:0930-20250618:1600;20250619:CLOSED;20250620:0930-20250620:1600"
    sessions = dates.parse_hours(text, "US/Eastern")

    assert not dates.is_open(sessions, new_york("2025-06-19T12:00"))
    assert dates.session_on(sessions, dt.date(2025, 6, 19)) is None
    assert dates.next_open(sessions, new_york("2025-06-18T17:00")) == new_york("2025-06-20T09:30")
    assert dates.next_open(sessions, new_york("2025-06-20T10:00")) is None


def test_half_day_ends_at_thirteen():
    """The day after Thanksgiving closes at 13:00."""
    sessions = dates.parse_hours("20251128:0930-20251128:1300", "US/Eastern")

    assert dates.is_open(sessions, new_york("2025-11-28T13:00"))
    assert not dates.is_open(sessions, new_york("2025-11-28T13:01"))


@pytest.mark.parametrize(
    ("text", "opens", "closes"),
    [
        ("20250610:1700-20250611:1600", "2025-06-10T17:00", "2025-06-11T16:00"),
        ("20250610:1700-0611:2000", "2025-06-10T17:00", "2025-06-11T20:00"),
        ("20251231:1700-0101:1600", "2025-12-31T17:00", "2026-01-01T16:00"),
        # The day named in the old format is the trading day: Monday's session opens on Sunday.
        ("20250616:1715-1700", "2025-06-15T17:15", "2025-06-16T17:00"),
        ("20250616:0000-2400", "2025-06-16T00:00", "2025-06-17T00:00"),
    ],
)
def test_sessions_over_midnight(text, opens, closes):
    """A session may cross midnight, and the turn of the year."""
    assert dates.parse_hours(text, "US/Eastern") == (
        TradingSession(opens=new_york(opens), closes=new_york(closes)),
    )


def test_two_sessions_in_a_day():
    """The old format lists a day's sessions after commas."""
    sessions = dates.parse_hours("20250618:0930-1600,1630-2000", "US/Eastern")

    assert [one.closes.hour for one in sessions] == [16, 20]
    assert not dates.is_open(sessions, new_york("2025-06-18T16:15"))
    assert dates.session_on(sessions, dt.date(2025, 6, 18)) == sessions[1]


def test_hours_follow_summer_time():
    """09:30 is 14:30 UTC in winter and 13:30 UTC in summer."""
    text = "20250307:0930-20250307:1600;20250310:0930-20250310:1600"

    winter, summer = dates.parse_hours(text, "EST")

    assert winter.opens.astimezone(dt.UTC).hour == 14
    assert summer.opens.astimezone(dt.UTC).hour == 13


@pytest.mark.parametrize(
    "piece",
    ["", "nonsense", "20250618:", "20250699:0930-1600", "20250618:0930", "20250618:2560-1600",
     "20250618:0930-20250617:1600", "20250618:0930-9999", "20250618:0930-20251399:1600"],
)  # fmt: skip
def test_unreadable_piece_costs_only_itself(piece):
    """A piece that cannot be read gives no session and leaves the others intact."""
    sessions = dates.parse_hours(f"{piece};20250620:0930-20250620:1600", "US/Eastern")

    assert [one.closes for one in sessions] == [new_york("2025-06-20T16:00")]


@given(st.text(alphabet="0123456789:-;,CLOSED ", max_size=60))
def test_any_hours_text_is_survived(text):
    """Whatever the text, sessions come back in order and close after they open."""
    sessions = dates.parse_hours(text, "US/Eastern")

    assert all(one.opens < one.closes for one in sessions)
    assert sorted(sessions, key=lambda one: one.opens) == list(sessions)


def test_years_to_the_minute():
    """One year before the close is exactly 1; the minute counts."""
    expiry = dt.date(2026, 6, 18)
    as_of = new_york("2025-06-18T16:00")

    assert dates.years_to_expiry(as_of, expiry, underlying=SPY) == 1.0
    later = dates.years_to_expiry(as_of + dt.timedelta(minutes=1), expiry, underlying=SPY)
    assert later == pytest.approx(1.0 - 1.0 / (365 * 24 * 60), rel=1e-12)


def test_years_count_real_time_over_a_clock_change():
    """From 9 to 10 March 2025, 16:00 to 16:00, is 24 hours; from the 8th to the 9th it is 23."""
    before = dates.years_to_expiry(
        new_york("2025-03-08T16:00"), dt.date(2025, 3, 9), underlying=SPY
    )
    after = dates.years_to_expiry(
        new_york("2025-03-09T16:00"), dt.date(2025, 3, 10), underlying=SPY
    )

    assert before * dates.YEAR_SECONDS == pytest.approx(23 * 3600)
    assert after * dates.YEAR_SECONDS == pytest.approx(24 * 3600)


def test_years_are_never_negative():
    """At the close and after it nothing is left."""
    for clock in ("16:00", "18:00"):
        as_of = new_york(f"2025-06-20T{clock}")
        assert dates.years_to_expiry(as_of, dt.date(2025, 6, 20), underlying=SPY) == 0.0


@pytest.mark.parametrize(
    ("underlying", "trading_class", "day", "expected"),
    [
        (SPY, "SPY", "2025-06-20", "2025-06-20T16:00"),
        (SPX, "SPXW", "2025-06-20", "2025-06-20T16:00"),
        (SPX, "", "2025-06-20", "2025-06-20T16:00"),
        (SPX, "SPX", "2025-06-20", "2025-06-20T09:30"),
        # Juneteenth was the Thursday, so that Wednesday was the last day of trading.
        (SPX, "SPX", "2025-06-18", "2025-06-20T09:30"),
        (SPX, "SPXW", "2025-06-18", "2025-06-18T16:00"),
        (SPX.model_copy(update={"symbol": "VIX"}), "", "2025-06-17", "2025-06-18T09:30"),
        (SPX.model_copy(update={"symbol": "VIX"}), "", "2025-06-18", "2025-06-18T09:30"),
        (SPX.model_copy(update={"symbol": "DJX"}), "DJX", "2026-12-17", "2026-12-18T09:30"),
        # A share may be called like an index; it does not settle like one.
        (SPY.model_copy(update={"symbol": "NDX"}), "NDX", "2025-06-20", "2025-06-20T16:00"),
        (SPY.model_copy(update={"symbol": "NDX"}), "NDX", "2026-12-17", "2026-12-17T16:00"),
    ],
)
def test_settlement_by_class(underlying, trading_class, day, expected):
    """Shares and PM classes settle at 16:00 of their day, AM classes at the next opening."""
    moment = dates.expiry_moment(
        dt.date.fromisoformat(day), underlying=underlying, trading_class=trading_class
    )

    assert moment == new_york(expected)


@pytest.mark.parametrize(
    ("trading_class", "last_day", "settled"),
    [
        ("SPX", "2020-01-16", "2020-01-17"),
        ("SPX", "2023-12-14", "2023-12-15"),
        ("NDX", "2026-12-17", "2026-12-18"),
        ("RUT", "2026-12-17", "2026-12-18"),
        # Good Friday, and Juneteenth kept on a Friday: settled on Thursday.
        ("SPX", "2025-04-16", "2025-04-17"),
        ("DJX", "2027-06-16", "2027-06-17"),
        ("VIX", "2023-06-20", "2023-06-21"),
        ("VIXW", "2024-01-23", "2024-01-24"),
        # The Friday 30 days later is a holiday, so that Tuesday settles; in 2008 after a long
        # weekend. A Wednesday that is a holiday itself does the same.
        ("VIX", "2025-03-17", "2025-03-18"),
        ("VIX", "2008-02-15", "2008-02-19"),
        ("VIXW", "2026-11-23", "2026-11-24"),
        ("VIXW", "2018-07-02", "2018-07-03"),
        ("SPXW", "2026-12-17", "2026-12-17"),
        ("NDXP", "2026-12-18", "2026-12-18"),
        ("OEX", "2026-12-18", "2026-12-18"),
        ("XSP", "2026-12-17", "2026-12-17"),
    ],
)
def test_either_day_names_the_same_settlement(trading_class, last_day, settled):
    """IB's last day of trading and a file's day of settlement give the same two days."""
    days = [dt.date.fromisoformat(text) for text in (last_day, settled)]

    of_class = {"trading_class": trading_class}
    assert [dates.settlement_day(day, **of_class) for day in days] == [days[1]] * 2
    assert [dates.last_trading_day(day, **of_class) for day in days] == [days[0]] * 2


def test_every_standard_expiry_is_told_from_its_last_trading_day():
    """Over forty years no AM class has a day that is both: what trades last, and what settles."""
    first = dt.date(2000, 1, 1)
    trading = dates.trading_days(first, dt.date(2039, 12, 31))

    for trading_class in ("SPX", "VIX"):
        standard = [
            day
            for day in trading
            if dates.is_monthly(day, (), trading_class=trading_class)
            and dates.settlement_day(day, trading_class=trading_class) == day
        ]
        assert len(standard) == 40 * 12
        last = [dates.last_trading_day(day, trading_class=trading_class) for day in standard]
        assert [trading[trading.index(day) + 1] for day in last] == standard
        assert [dates.settlement_day(day, trading_class=trading_class) for day in last] == standard


@pytest.mark.parametrize(
    ("local_symbol", "expected"),
    [
        ("SPX   261218P05950000", dt.date(2026, 12, 18)),
        ("VIX   230621C00017000", dt.date(2023, 6, 21)),
        ("GOOG1 270115C00100000", dt.date(2027, 1, 15)),
        ("SPX 261218P05950000", dt.date(2026, 12, 18)),
        ("SPX   261399P05950000", None),
        ("C OESX 20231215 4325 M", None),
        ("SPY", None),
        ("", None),
    ],
)
def test_day_of_an_occ_symbol(local_symbol, expected):
    """An OCC symbol holds the day of settlement; other texts hold none that is read."""
    assert dates.occ_expiry(local_symbol) == expected


def test_occ_symbol_decides():
    """The OCC symbol gives day and class, whatever day and however little stands beside it."""
    by_symbol = dates.expiry_moment(
        dt.date(2026, 12, 17), underlying=SPX, local_symbol="SPX   261218P05950000"
    )
    # Under an Asian login a Friday reads as Saturday.
    saturday = dates.expiry_moment(
        dt.date(2023, 6, 24), underlying=SPY, local_symbol="SPY   230623P00400000"
    )

    assert by_symbol == new_york("2026-12-18T09:30")
    assert saturday == new_york("2023-06-23T16:00")


@pytest.mark.parametrize(
    ("clock", "days"), [("2026-12-16T15:00", 1.7708333), ("2026-12-17T11:00", 0.9375)]
)
def test_years_of_an_am_class_reach_the_next_opening(clock, days):
    """On the Wednesday and Thursday before its settlement an SPX option has 1.77 and .94 days."""
    left = dates.years_to_expiry(
        new_york(clock), dt.date(2026, 12, 17), underlying=SPX, trading_class="SPX"
    )

    assert left * 365.0 == pytest.approx(days)


def test_days_to_expiry_reach_the_settlement():
    """On its last trading day an AM option still has a day, a PM option none."""
    thursday = dt.date(2026, 12, 17)

    assert dates.days_to_expiry(thursday, thursday, trading_class="SPX") == 1
    assert dates.days_to_expiry(thursday, thursday, trading_class="SPXW") == 0
    assert dates.days_to_expiry(thursday, thursday, symbol="VIX") == 1


@pytest.mark.parametrize("day", [dt.date(2025, 7, 3), dt.date(2025, 11, 28), dt.date(2025, 12, 24)])
def test_half_day_expiry(day):
    """An expiry on a half day settles at 13:00, also when the gateway's hours end before it."""
    assert dates.expiry_moment(day, underlying=SPY).hour == 13


def test_own_hours_of_the_expiry_day():
    """The underlying's hours set the close, but never later than 16:00."""
    hours = "20250620:0930-20250620:1230;20250627:0930-20250627:1615"
    spy = SPY.model_copy(update={"sessions": dates.parse_hours(hours, "US/Eastern")})

    assert dates.expiry_moment(dt.date(2025, 6, 20), underlying=spy) == new_york("2025-06-20T12:30")
    assert dates.expiry_moment(dt.date(2025, 6, 27), underlying=spy) == new_york("2025-06-27T16:00")


def test_expiry_elsewhere_closes_in_its_own_zone():
    """An underlying outside the dollar settles at its own exchange's close."""
    asml = Underlying(symbol="ASML", con_id=1, currency="EUR", time_zone="MET")
    hours = dates.parse_hours("20250620:0900-20250620:1730", "MET")

    assert dates.expiry_moment(dt.date(2025, 6, 20), underlying=asml).tzinfo == ZoneInfo(
        "Europe/Amsterdam"
    )
    known = asml.model_copy(update={"sessions": hours})
    assert dates.expiry_moment(dt.date(2025, 6, 20), underlying=known).hour == 17


@pytest.mark.parametrize(
    "text", ["20250718", "2025-07-18", " 20250718 ", "20250718 16:00:00 US/Eastern",
             "20250718-16:00:00", "2025-07-18T16:00:00-04:00"],
)  # fmt: skip
def test_expiry_spellings(text):
    """Every spelling of a day is the same expiry."""
    assert dates.parse_expiry(text) == dt.date(2025, 7, 18)


@pytest.mark.parametrize("text", ["", "202507", "20250732", "18-07-2025", "2025071", "soon"])
def test_no_expiry(text):
    """What is no date is refused."""
    with pytest.raises(DataError, match="is not an expiry"):
        dates.parse_expiry(text)


@given(st.dates(min_value=dt.date(1990, 1, 1), max_value=dt.date(2200, 1, 1)))
def test_expiry_round_trip(day):
    """Written and read back, an expiry is the same day."""
    assert dates.parse_expiry(dates.format_expiry(day)) == day


@pytest.mark.parametrize(
    ("day", "expected"),
    [(dt.date(2025, 8, 15), True), (dt.date(2025, 8, 22), False), (dt.date(2025, 6, 19), False)],
)
def test_third_friday(day, expected):
    """The third Friday is the Friday with day 15 to 21."""
    assert dates.is_third_friday(day) is expected


def test_monthly_moves_off_a_holiday():
    """In June 2027 the third Friday is a holiday, so Thursday the 17th is the monthly."""
    thursday, friday = dt.date(2027, 6, 17), dt.date(2027, 6, 18)

    assert dates.is_monthly(thursday, {thursday})
    assert not dates.is_monthly(thursday, {thursday, friday})
    assert dates.is_monthly(friday, {thursday, friday})


@pytest.mark.parametrize(
    ("trading_class", "day", "expected"),
    [
        ("SPX", dt.date(2026, 12, 17), True),
        ("SPX", dt.date(2026, 12, 18), True),
        ("SPX", dt.date(2025, 4, 16), True),
        ("SPXW", dt.date(2026, 12, 17), False),
        ("VIX", dt.date(2023, 6, 20), True),
        ("VIX", dt.date(2025, 3, 17), True),
        ("VIXW", dt.date(2024, 1, 23), False),
    ],
)
def test_monthly_by_the_day_of_settlement(trading_class, day, expected):
    """A class that settles on the opening has its monthlies under the day before them."""
    listed = {day, dt.date(2026, 12, 18)}

    assert dates.is_monthly(day, listed, trading_class=trading_class) is expected


def test_trading_days_of_a_holiday_week():
    """Juneteenth 2025 was a Thursday; the weekend is closed anyway."""
    days = dates.trading_days(dt.date(2025, 6, 16), dt.date(2025, 6, 22))

    assert [one.day for one in days] == [16, 17, 18, 20]
    assert not dates.is_trading_day(dt.date(2025, 6, 19))
    assert dates.trading_days(dt.date(2025, 6, 22), dt.date(2025, 6, 16)) == ()


def test_closed_days_are_those_of_the_calendar():
    """The table is that of exchange_calendars; `python tests/support/closed_days.py` writes it."""
    made_with = re.search(r"exchange_calendars ([\d.]+),", closed_days.FILE.read_text())[1]
    if Version(version("exchange_calendars")) < Version(made_with):
        pytest.skip(f"older than the exchange_calendars {made_with} that the table was made with")
    closed, half = closed_days.calendar()

    years, known, early = dates._table()
    assert (years[0], years[-1]) == (closed_days.FIRST_YEAR, closed_days.LAST_YEAR)
    assert (sorted(known), list(early)) == (closed, half)


def test_the_table_reaches_back_before_the_crash():
    """1987 is known as well: Monday 19 October was a trading day, Labor Day was none."""
    assert dates.is_trading_day(dt.date(1987, 10, 19))
    assert not dates.is_trading_day(dt.date(1987, 9, 7))


@pytest.mark.parametrize("day", [dt.date(1969, 12, 31), dt.date(2070, 1, 2)])
def test_years_outside_the_table_are_refused(day):
    """What the table does not know is an error that names its years, and no guess."""
    for ask in (dates.is_trading_day, lambda day: dates.trading_days(day, day)):
        with pytest.raises(DataError, match="known from 1970 to 2069"):
            ask(day)
    with pytest.raises(DataError, match="known from 1970 to 2069"):
        dates.half_days(dt.date(2000, 1, 1), dt.date(2070, 1, 1))


def test_a_far_expiry_settles_at_the_usual_close():
    """An expiry beyond the table is still settled, at 16:00."""
    assert dates.expiry_moment(dt.date(2101, 11, 25), underlying=SPY).hour == 16


def test_closed_fridays_match_the_calendar():
    """A Friday is a holiday where the exchange's calendar has no session."""
    first, last = dt.date(2010, 1, 1), dt.date(2034, 12, 31)
    trading = set(dates.trading_days(first, last))

    fridays = [first + dt.timedelta(days=7 * week) for week in range((last - first).days // 7)]
    assert [day for day in fridays if dates.is_holiday(day)] == [
        day for day in fridays if day not in trading
    ]
    assert not dates.is_holiday(dt.date(2025, 7, 3))


def test_half_days_settle_early():
    """Every half day of the calendar settles at 13:00, every other trading day at 16:00."""
    first, last = dt.date(2013, 1, 1), dt.date(2034, 12, 31)
    half = dates.half_days(first, last)

    early = [
        day
        for day in dates.trading_days(first, last)
        if dates.expiry_moment(day, underlying=SPY).hour == 13
    ]
    assert early == list(half)


AEX = Underlying(
    symbol="AEX",
    con_id=9,
    sec_type="IND",
    exchange="FTA",
    currency="EUR",
    ticker="EOE",
    time_zone="Europe/Amsterdam",
    sessions=dates.parse_hours("20261120:0900-20261120:1740;20261121:CLOSED", "MET"),
)


@pytest.mark.parametrize(
    ("changes", "trading_class", "clock"),
    [
        ({}, "EOE", "16:00"),
        ({}, "AX1", "16:00"),
        ({"symbol": "ESTX50", "ticker": ""}, "OESX", "12:00"),
        ({"symbol": "ESTX50", "ticker": ""}, "OES2", "12:00"),
        ({"symbol": "DAX", "ticker": ""}, "ODXS", "13:00"),
        ({"symbol": "OMXS30", "ticker": ""}, "OMXS30", "17:40"),
        ({"symbol": "ASML@AEB", "ticker": "", "sec_type": "STK"}, "ASM", "17:40"),
    ],
)
def test_settlement_abroad(changes, trading_class, clock):
    """A class has its own clock, else its index has, else the close of its known hours."""
    underlying = AEX.model_copy(update=changes)
    moment = dates.expiry_moment(
        dt.date(2027, 1, 15), underlying=underlying, trading_class=trading_class
    )

    assert moment == dt.datetime.combine(
        dt.date(2027, 1, 15), dt.time.fromisoformat(clock), ZoneInfo("Europe/Amsterdam")
    )


def test_hours_that_are_assumed_are_said():
    """Within the known hours nothing is assumed, beyond them their close, and of SPY nothing."""
    assert dates.assumed_hours(AEX, dt.date(2026, 11, 20)) == ""
    assert dates.assumed_hours(AEX, dt.date(2026, 12, 18)) == (
        "after 2026-11-20 the days of FTA are not known: every weekday is taken for a trading day "
        "that closes at 17:40 Europe/Amsterdam"
    )
    assert dates.assumed_hours(SPY, dt.date(2027, 12, 18)) == ""
