"""Calendars as services and people write them; a row that says nothing is named, not lost."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from tomic.errors import BadFile
from tomic.store import Dividend, Earnings
from tomic.store.calendar_files import parse

ALPHA_VANTAGE = """\
symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay
AAPL,APPLE INC,2026-01-29,2025-12-31,2.65,USD,post-market
BRK-B,BERKSHIRE HATHAWAY INC,2026-02-28,2025-12-31,,USD,pre-market
"""
EODHD = {
    "type": "Earnings",
    "symbols": "AAPL.US",
    "earnings": [
        {
            "code": "AAPL.US", "report_date": "2026-01-29", "date": "2025-12-31",
            "before_after_market": "AfterMarket", "currency": "USD", "actual": None,
        },
        {"code": "BRK-B.US", "report_date": "2026-02-28", "date": "2025-12-31"},
    ],
}  # fmt: skip
EODHD_CSV = """\
Code,Report_Date,Date,Before_After_Market,Currency,Actual
AAPL.US,2026-01-29,2025-12-31,AfterMarket,USD,
BRK-B.US,2026-02-28,2025-12-31,BeforeMarket,USD,
"""
FINNHUB = {
    "earningsCalendar": [
        {"date": "2026-01-29", "epsActual": None, "hour": "amc", "quarter": 4, "symbol": "AAPL"},
        {"date": "2026-02-28", "epsActual": None, "hour": "bmo", "quarter": 4, "symbol": "BRK.B"},
    ]
}
OWN = "symbol;earnings\naapl;Jan 29, 2026\nBRK/B;20260228\n"
CALENDARS = Path("calendar")
APPLE = Earnings("AAPL", dt.date(2026, 1, 29), "csv")
BOTH = (APPLE, Earnings("BRK.B", dt.date(2026, 2, 28), "csv"))


def read(text, name="calendar"):
    return parse(Path(name), (text if isinstance(text, str) else json.dumps(text)).encode())


@pytest.mark.parametrize(
    "text",
    [ALPHA_VANTAGE, EODHD, EODHD_CSV, FINNHUB, OWN, EODHD["earnings"]],
    ids=["alpha vantage", "eodhd", "eodhd csv", "finnhub", "own", "rows alone"],
)
def test_services_agree(text):
    """The day of the report and not the end of the quarter, the symbol as TOMIC writes it."""
    found = read(text)

    assert found.events == BOTH
    assert found.left_out == ()


def test_nasdaq_is_of_one_day():
    """Its rows have no date: the file says it, or is called by it."""
    row = {"symbol": "AAPL", "time": "time-after-hours", "epsForecast": "$2.65"}

    said = read({"data": {"asOf": "Thu, Jan 29, 2026", "rows": [row]}, "message": None})
    called = read({"data": {"rows": [row]}}, "nasdaq-2026-01-29.json")

    assert said.events == called.events == (APPLE,)
    with pytest.raises(BadFile, match="name the file by its day"):
        read({"data": {"rows": [row]}})
    with pytest.raises(BadFile, match="no rows in it"):
        read({"data": {"asOf": "Sat, Jan 31, 2026", "rows": None}})


def test_yfinance_is_of_one_symbol():
    """Its table names no symbol; the file is called by it."""
    table = "Earnings Date,EPS Estimate,Reported EPS\n2026-01-29 16:00:00-05:00,2.65,\n"

    assert read(table, "AAPL.csv").events == (APPLE,)
    assert read(table, "folder/aapl_earnings.csv").events == (APPLE,)
    with pytest.raises(BadFile, match="'2026\\?' is not a ticker"):
        read(table, "2026?.csv")


def test_yfinance_calendar():
    """The one over many symbols has them in a column."""
    table = "Symbol,Company,Event Start Date,Timing\nAAPL,Apple,2026-01-29 21:00:00+00:00,AMC\n"

    assert read(table).events == (APPLE,)


def test_rows_that_say_nothing_are_named():
    """Each is left out with its line and reason; the others are taken."""
    found = read(
        "symbol,reportDate\nAAPL,2026-01-29\nMSFT,\nNVDA,TBD\nGO OG,2026-01-29\nXOM,1/2/2026\n"
        "KO,0001-01-01\nIBM\n\nBRK-B,2026-02-28\n"
    )

    assert found.events == BOTH
    places = [fault.partition(": ")[0] for fault in found.left_out]
    assert places == [f"calendar:{line}" for line in (3, 4, 5, 6, 7, 8)]
    assert [fault.partition(": ")[2].split(";")[0] for fault in found.left_out] == [
        "no date",
        "no date",
        "'GO OG' is not a ticker symbol: a share class comes after a dot",
        "Invalid isoformat string: '1/2/2026'",
        "0001-01-01 cannot be the day of an event",
        "fewer columns than the header",
    ]


def test_rows_of_json_are_named_by_their_number():
    """The second row has no date."""
    rows = [{"symbol": "AAPL", "date": "2026-01-29"}, {"symbol": "MSFT", "date": None}]

    found = read({"earningsCalendar": rows})

    assert found.events == (APPLE,)
    assert found.left_out == ("calendar, row 2: no date",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"Information": "our standard limit is 25 requests per day"}, "but a message: our stand"),
        ({"data": None, "message": "Something went wrong"}, "but a message: Something went"),
        ("Thank you for using Alpha Vantage!\n", 'begins "Thank you for using Alpha Vantage!"'),
        ({"earningsCalendar": []}, "no rows in it"),
        ({"rows": "none"}, "tomic journal import"),
        ([{"symbol": "SPY", "TradeID": "1"}], "tomic journal import"),
        ([1, 2], "tomic journal import"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("symbol,reportDate\nAAPL,\nMSFT,\n", "calendar:2: no date"),
    ],
)
def test_what_is_no_calendar_says_why(text, message):
    """A service past its quota is quoted; a file without one usable row names its first fault."""
    with pytest.raises(BadFile) as refused:
        read(text)

    assert message in str(refused.value)


def test_dividends_keep_their_amounts():
    """A column of amounts makes a calendar one of ex-days; a bad amount is one row's."""
    table = "ticker,ex-date,amount\nSPY,2026-12-18,1.95\nQQQ,2026-12-21,-1\nIWM,2026-12-16,x\n"

    found = read(table)

    assert found.events == (Dividend("SPY", dt.date(2026, 12, 18), 1.95, "csv"),)
    assert [fault.partition(": ")[2] for fault in found.left_out] == [
        "an amount must be >= 0, got -1",
        "could not convert string to float: 'x'",
    ]
