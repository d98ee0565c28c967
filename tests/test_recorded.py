"""What is read off a recording: its name and its spot."""

from __future__ import annotations

import datetime as dt
import math
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomic import recorded
from tomic.quant import black_scholes

DAY = dt.date(2025, 5, 19)


@pytest.mark.parametrize(
    ("name", "symbol", "moment"),
    [
        ("option_chain_SPY_20250519_202601.csv", "SPY", dt.datetime(2025, 5, 19, 20, 26, 1)),
        ("a/option_chain_BRK.B_20250519_202601_000250.csv", "BRK.B",
         dt.datetime(2025, 5, 19, 20, 26, 1, 250)),
        ("option_chain_BULK_SPY_20250519_2026.csv", "SPY", dt.datetime(2025, 5, 19, 20, 26)),
        ("SPY_20250519_sunday.csv", "SPY", None),
        ("SPY_20250519_2599.csv", "SPY", None),
        ("SPY_20250519_2026xyz.csv", "SPY", None),
    ],
)  # fmt: skip
def test_names(name, symbol, moment):
    """The symbol stands before the day; the time may follow."""
    if moment is not None:
        moment = moment.replace(tzinfo=ZoneInfo("Europe/Amsterdam"))

    assert recorded.parse_file_name(name) == recorded.FileName(symbol, DAY, moment)


def test_zone_in_the_name():
    """20:26 in Amsterdam in May is 18:26 UTC and 14:26 in New York."""
    moments = {
        recorded.parse_file_name(f"SPY_20250519_{text}.csv").moment
        for text in ("2026cest", "1826utc", "1426et", "2026")
    }

    assert moments == {dt.datetime(2025, 5, 19, 18, 26, tzinfo=dt.UTC)}


@pytest.mark.parametrize("name", ["chain.csv", "", "SPY.csv", "spy_20250519.csv"])
def test_names_that_say_nothing(name):
    """Other names say nothing."""
    assert recorded.parse_file_name(name) == recorded.FileName()


def test_impossible_day():
    """An impossible day leaves the symbol."""
    assert recorded.parse_file_name("SPY_20259999.csv") == recorded.FileName("SPY")


@given(
    spot=st.floats(5.0, 5000.0),
    rate=st.floats(0.0, 0.08),
    div_yield=st.floats(0.0, 0.05),
    sigma=st.floats(0.08, 0.6),
)
def test_spot_of_european_prices(spot, rate, div_yield, sigma):
    """From prices without arbitrage parity gives back spot and yield."""
    level = spot * np.linspace(0.9, 1.1, 9)
    strike, tau, is_call = (
        one.ravel() for one in np.meshgrid(level, [0.1, 0.2, 0.4], [True, False])
    )
    is_call = is_call.astype(bool)
    mid = black_scholes.price(spot, strike, tau, rate, div_yield, sigma, is_call)

    found = recorded.parity_spot(tau, strike, is_call, mid, rate)

    assert found is not None
    assert found.spot == pytest.approx(spot, rel=1e-9)
    assert found.div_yield == pytest.approx(div_yield, abs=1e-7)


def test_one_expiry_has_no_yield():
    """With one expiry the forward is drawn back at the rate alone."""
    strike, is_call = np.array([100.0, 100.0]), np.array([True, False])

    found = recorded.parity_spot(np.full(2, 0.5), strike, is_call, np.array([6.0, 4.0]), 0.04)

    assert found is not None
    assert found.spot == pytest.approx(2.0 + 100.0 * math.exp(-0.02))
    assert found.div_yield == 0.0


def test_no_pair_no_spot():
    """Expired options, single sides and missing mids give no spot."""
    strike, is_call = np.array([100.0, 100.0]), np.array([True, False])
    mid = np.array([6.0, 4.0])

    assert recorded.parity_spot(np.zeros(2), strike, is_call, mid, 0.04) is None
    assert recorded.parity_spot(np.ones(2), strike, np.array([True, True]), mid, 0.04) is None
    assert recorded.parity_spot(np.ones(2), strike, is_call, np.array([6.0, np.nan]), 0.04) is None


def test_one_bad_quote_does_not_move_the_forward():
    """The median over the strikes shrugs off a wrong quote."""
    strike = np.arange(96.0, 105.0)
    call, put = np.maximum(101.0 - strike, 0.0) + 3.0, np.maximum(strike - 101.0, 0.0) + 3.0
    call[4] += 40.0

    assert recorded.expiry_forward(strike, call, put, 0.1, 0.0) == pytest.approx(101.0)
