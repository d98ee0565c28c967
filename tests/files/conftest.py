"""A small chain with every kind of row."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tomic.chain import Chain, Fetch
from tomic.models import OptionQuote, QuoteSource, RowStatus, Spot, SpotSource, Underlying

AS_OF = dt.datetime(2025, 6, 18, 14, 26, 1, 5, tzinfo=ZoneInfo("America/New_York"))
JULY, AUGUST = dt.date(2025, 7, 18), dt.date(2025, 8, 15)


def option(expiry, strike, right, status=RowStatus.OK, **fields) -> OptionQuote:
    """One row as the gateway would give it."""
    known = {
        "con_id": int(strike) * 10 + (right == "P"),
        "bid": 6.05,
        "ask": 6.15,
        "last": 6.1,
        "close": 5.9,
        "iv": 0.172345678901,
        "delta": 0.5123456789 if right == "C" else -0.4876543211,
        "gamma": 0.0123456789,
        "vega": 0.68123456789,
        "theta": -0.17123456789,
        "volume": 310,
        "open_interest": 1234,
        "parity_deviation": 0.0312345,
        "quote_source": QuoteSource.LIVE,
        "greeks_source": "ib",
        "quoted_at": AS_OF - dt.timedelta(seconds=2),
    } | fields
    return OptionQuote(expiry=expiry, dte=0, strike=strike, right=right, status=status, **known)


NOTHING = dict.fromkeys(
    ("con_id", "bid", "ask", "last", "close", "iv", "delta", "gamma", "vega", "theta", "volume",
     "open_interest", "parity_deviation", "quote_source", "quoted_at")
) | {"greeks_source": "none"}  # fmt: skip


@pytest.fixture
def chain() -> Chain:
    """Two expiries of BRK.B: complete rows, gaps, and rows that stay out of the CSV."""
    rows = [
        option(JULY, 600.0, "C"),
        option(JULY, 600.0, "P"),
        option(JULY, 602.5, "C", bid=None, status=RowStatus.NO_QUOTE),
        option(JULY, 602.5, "P", delta=-0.9, status=RowStatus.DELTA_OUT_OF_RANGE),
        option(JULY, 605.0, "C", status=RowStatus.UNKNOWN_CONTRACT, **NOTHING),
        option(AUGUST, 600.0, "C", parity_deviation=0.9),
        option(AUGUST, 600.0, "P", status=RowStatus.TIMEOUT, **NOTHING),
    ]
    return Chain.from_quotes(
        rows,
        underlying=Underlying(
            symbol="BRK.B",
            con_id=72063691,
            primary_exchange="NYSE",
            name="BERKSHIRE HATHAWAY",
            stock_type="COMMON",
        ),
        spot=Spot(price=600.5, source=SpotSource.LAST, as_of=AS_OF),
        as_of=AS_OF,
        rate=0.045,
        div_yield=0.0123,
        notes=("a note",),
        fetch=Fetch(seconds=4.0, messages=30, cut_short=True),
        trading_class="BRKB",
    )


@pytest.fixture
def real_data() -> Path:
    """The folder of recorded chains."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("TOMIC_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip("no recorded chains: set TOMIC_REAL_DATA to their folder")
    return folder
