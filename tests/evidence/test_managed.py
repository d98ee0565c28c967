"""Exits happen on the first day on which the mark reaches them, and cost what entries cost."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support import made_surfaces
from tomic.evidence import trades
from tomic.evidence.history import clean
from tomic.evidence.managed import Exits, Surfaces, managed
from tomic.evidence.slices import rho_of_skew, slices
from tomic.evidence.structures import STRUCTURES, legs
from tomic.quant.margin import MarginRules

CHOSEN = STRUCTURES[:5]
COSTS = trades.Costs()
HAS_EXITS = np.array([structure.managed for structure in CHOSEN])


def opened_on(table, row, *, exits):
    """The first five structures on one row of a table: held at 0, and with exits."""
    (history,) = clean(table)
    rate = np.full(history.day.size, 0.02)
    rho = rho_of_skew(
        history.close, history.front_days, history.front_iv, history.skew, 0.6,
        is_delta=history.skew_is_delta, rate=rate, div_yield=0.01,
    )  # fmt: skip
    at = np.array([row])
    smile = slices(
        history.close[at], np.array([30.0]), history.iv(at, np.array([30.0])), rho[at], 0.6,
        rate=rate[at], div_yield=0.01,
    )  # fmt: skip
    opened = trades.opened(smile, legs(smile, CHOSEN), history.close[at], COSTS, MarginRules())
    surfaces = Surfaces(history, rho, rate, 0.6, 0.01)
    held = np.full((1, len(CHOSEN)), -1234.0)
    return opened, managed(surfaces, at, 30, opened, held, HAS_EXITS, COSTS, exits)


@pytest.fixture
def calm():
    """A price that stands still at an unchanged volatility."""
    table = made_surfaces.rows(days=120)
    table.close[:], table.atm_iv[:], table.term_m1_m2[:] = 100.0, 0.3, 0.0
    return table


def test_a_still_market_pays_half_of_the_credit(calm):
    """The target is met before the expiry, and the P&L is it less both costs, or a bit more."""
    opened, closed = opened_on(calm, 50, exits=Exits())
    mid = opened.credit + opened.costs

    assert (closed.days < 30.0).all()
    gross = closed.pnl + opened.costs
    assert (gross > 0.3 * mid).all()
    assert (gross < mid).all()


def test_a_crash_stops_the_short_put(calm):
    """The day after a fall of 20 % is the last, and the loss is more than twice the credit."""
    calm.close[55:] = 80.0
    opened, closed = opened_on(calm, 50, exits=Exits())
    put = 4

    assert closed.days[0, put] == 7.0
    assert closed.pnl[0, put] < -2.0 * (opened.credit + opened.costs)[0, put]


def test_without_exits_trades_are_held(calm):
    """Targets and stops that cannot be met leave what holding brought."""
    _, closed = opened_on(calm, 50, exits=Exits(target=99.0, stop=99.0))

    assert_array_equal(closed.pnl, -1234.0)
    assert_array_equal(closed.days, 30.0)


def test_a_split_is_no_move(calm):
    """Closes divided by four two weeks in change neither day nor P&L of any exit."""
    _, plain = opened_on(calm, 50, exits=Exits())
    calm.close[55:] /= 4.0

    _, split = opened_on(calm, 50, exits=Exits())

    assert_allclose(split.pnl, plain.pnl)
    assert_allclose(split.days, plain.days)


def test_a_day_without_a_surface_is_a_day_without_an_exit(calm):
    """Where volatility is missing until the end, everything is held."""
    calm.atm_iv[51:] = np.nan
    _, closed = opened_on(calm, 50, exits=Exits())

    assert_array_equal(closed.pnl, -1234.0)
