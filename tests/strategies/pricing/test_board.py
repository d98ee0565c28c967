"""The ladder of prices; early-exercise premiums against the pricer they stand in for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tomic.models import PriceSource
from tomic.quant import american
from tomic.strategies.pricing import board
from tomic.strategies.pricing.board import SOURCES, ladder

NAN = np.nan


@pytest.mark.parametrize("days", [7, 30, 90])
@pytest.mark.parametrize("is_call", [True, False])
def test_premiums_are_those_of_the_pricer(days, is_call):
    """Within half a cent a share at a spot of 500, in and out of the money."""
    strike = np.linspace(400.0, 600.0, 41)
    tau, sigma = np.full(41, days / 365), np.full(41, 0.2)

    found = board.premiums(500.0, strike, tau, 0.045, 0.0125, sigma, np.full(41, is_call))

    exact = american.premium(500.0, strike, days / 365, 0.045, 0.0125, 0.2, is_call)
    assert_allclose(found, exact, atol=0.005)


def prices(bid, ask, close=NAN, parity=NAN, model=NAN):
    columns = (np.array([x], dtype=float) for x in (bid, ask, close, parity, model))
    found = ladder(*columns, max_spread=0.25, max_spread_points=0.10)
    return float(found.price[0]), SOURCES[found.source[0]], float(found.half_spread[0])


def test_rungs():
    """Bid 1.0 and ask 1.1 give 1.05; without a bid parity, then the model, then the close."""
    assert prices(1.0, 1.1, 2.0, 3.0, 4.0)[:2] == (1.05, PriceSource.TRUE)
    assert prices(0.0, 1.1, 2.0, 3.0, 4.0)[:2] == (3.0, PriceSource.PARITY)
    assert prices(NAN, 1.1, 2.0, NAN, 4.0)[:2] == (4.0, PriceSource.MODEL)
    assert prices(NAN, NAN, 2.0)[:2] == (2.0, PriceSource.CLOSE)


def test_crossed_quotes_are_none():
    """An ask below the bid is no market."""
    assert prices(1.2, 1.1, model=1.0)[1] is PriceSource.MODEL


def test_no_price():
    """Where no rung holds there is none, and a negative parity price is none."""
    found = ladder(
        np.array([NAN]), np.array([NAN]), np.array([NAN]), np.array([-0.1]), np.array([NAN]),
        max_spread=0.25, max_spread_points=0.10,
    )  # fmt: skip
    assert np.isnan(found.price[0])
    assert found.source[0] == -1


def test_half_spread():
    """Known sides give it, a bid of zero too; else the widest that rules accept is charged."""
    assert_allclose(prices(1.0, 1.1)[2], 0.05)
    assert_allclose(prices(0.0, 0.1, model=0.04)[2], 0.05)
    assert_allclose(prices(NAN, 1.1, model=4.0)[2], 0.5)
    assert_allclose(prices(NAN, NAN, close=0.1)[2], 0.05)
