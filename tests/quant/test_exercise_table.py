"""Interpolated early-exercise premiums against the solved ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import polynomial
from numpy.testing import assert_allclose

from tomic.quant import american, black_scholes, exercise_table


def premium(table, x, tau, sigma):
    """Premium per unit of strike at x = log(spot / strike), and where exercise is due."""
    terms = table.terms(np.array([[tau]]), np.array([[sigma]]))
    place = x * terms.rise[0, 0, 0] + terms.shift[0, 0, 0]
    value = polynomial.polyval(np.clip(place, -1.0, 1.0), terms.coefficient[:, 0, 0, 0])
    return value, place <= -1.0


@pytest.mark.parametrize(("rate", "div_yield"), [(0.045, 0.0), (0.045, 0.013), (0.02, 0.06)])
@pytest.mark.parametrize("tau", [3 / 365, 30 / 365, 0.5, 1.5])
@pytest.mark.parametrize("sigma", [0.08, 0.2, 0.9])
def test_premium_matches_the_solved_one(rate, div_yield, tau, sigma):
    """American puts on a strike of 500 come out within half a cent at every price."""
    table = exercise_table.build((1 / 365, 1.5), rate, div_yield, (0.05, 1.2))
    spot = 500.0 * np.exp(np.linspace(-0.4, 0.4, 161))

    value, exercised = premium(table, np.log(spot / 500.0), tau, sigma)

    european = black_scholes.price(spot, 500.0, tau, rate, div_yield, sigma, False)
    payoff = np.maximum(500.0 - spot, 0.0)
    found = np.where(exercised, payoff, np.maximum(european + 500.0 * value, payoff))
    exact = american.price(spot, 500.0, tau, rate, div_yield, sigma, False)
    assert_allclose(found, exact, atol=0.005)


@pytest.mark.parametrize(("rate", "div_yield"), [(0.0, 0.0), (-0.01, 0.0), (0.0, 0.03)])
def test_no_table_where_exercise_never_pays(rate, div_yield):
    """Without a positive rate a put is never exercised early, unless its yield is negative."""
    assert exercise_table.build((0.1, 0.5), rate, div_yield, (0.1, 0.4)) is None


def test_premium_fades_with_the_last_hours():
    """Within a quarter of a day of the end the premium shrinks with the time left, to nothing."""
    table = exercise_table.build((0.0, 0.5), 0.045, 0.0, (0.1, 0.4))

    late, _ = premium(table, 0.0, exercise_table.LEAST_LIFE, 0.2)
    later, _ = premium(table, 0.0, 0.5 * exercise_table.LEAST_LIFE, 0.2)
    over, _ = premium(table, 0.0, 0.0, 0.2)

    assert later == pytest.approx(0.5 * late)
    assert over == 0.0
