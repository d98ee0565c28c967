"""A day's smile shows the volatility and the skew that it was made from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtr

from tomic.evidence import slices as made
from tomic.evidence.slices import rho_of_skew, slices

SPOT = np.array([100.0, 50.0, 593.9])
DAYS = np.array([30.0, 20.0, 32.0])
IV = np.array([0.25, 0.40, 0.146])
RATE = np.array([0.0, 0.05, 0.042])
SKEW = np.array([0.06, 0.03, 0.13])


def solved(*, is_delta):
    flags = np.full(3, is_delta)
    rho = rho_of_skew(SPOT, DAYS, IV, SKEW, 0.9, is_delta=flags, rate=RATE, div_yield=0.01)
    return slices(SPOT, DAYS, IV, rho, 0.9, rate=RATE, div_yield=0.01)


def test_the_middle_is_the_volatility_at_the_money():
    """At the forward a slice has its own IV."""
    assert_allclose(solved(is_delta=False).iv(np.zeros(3)), IV)


def test_the_skew_comes_back_at_shares_of_the_spot():
    """IV at 85 % less IV at 115 % of the spot is what was asked."""
    found = solved(is_delta=False)

    low, high = np.log(0.85 * SPOT / found.forward), np.log(1.15 * SPOT / found.forward)

    assert_allclose(found.iv(low) - found.iv(high), SKEW, atol=1e-9)


def test_the_skew_comes_back_at_25_delta():
    """IV of the 25-delta put less that of the call is what was asked, where a slice can show it."""
    found = solved(is_delta=True)

    low, high = (found.k_of_delta(np.full(3, delta)) for delta in (0.75, 0.25))

    reachable = np.abs(found.rho) < made.MOST_RHO - 1e-6
    assert reachable.tolist() == [True, True, False]
    assert_allclose((found.iv(low) - found.iv(high))[reachable], SKEW[reachable], atol=1e-9)


def test_a_strike_has_the_delta_it_was_asked_for():
    """N(d1) at the strike of a delta is that delta."""
    found = solved(is_delta=False)
    for delta in (0.05, 0.16, 0.5, 0.84, 0.95):
        k = found.k_of_delta(np.full(3, delta))
        total = np.sqrt(found.total_variance(k))
        assert_allclose(ndtr(-k / total + 0.5 * total), delta, atol=1e-9)


def test_the_kernels_see_the_same_smile():
    """`Smile` of a row has the volatilities of the slice, and no arbitrage."""
    found = solved(is_delta=False)
    for row in range(3):
        smile = found.smile(row)
        k = np.linspace(-0.5, 0.4, 41)
        ours = np.sqrt(found.total_variance(np.tile(k, (3, 1)))[row] / found.tau[row])
        assert_allclose(smile.iv(smile.forward * np.exp(k)), ours)
        assert np.diff(smile.cdf(smile.forward * np.exp(np.linspace(-2, 1, 500)))).min() > -1e-12


def test_spy_of_may_2025_has_the_skew_of_its_chain():
    """13.27 points between 85 and 115 % are 5.0 at 25 delta: findings/evidence.md §0."""
    skew, days, iv = np.array([0.1327]), np.array([32.0]), np.array([0.1572])
    spot, rate = np.array([594.85]), np.array([0.042])

    rho = rho_of_skew(
        spot, days, iv, skew, 0.9, is_delta=np.array([False]), rate=rate, div_yield=0.01
    )
    found = slices(spot, days, iv, rho, 0.9, rate=rate, div_yield=0.01)
    low, high = (found.k_of_delta(np.array([delta])) for delta in (0.75, 0.25))

    assert float((found.iv(low) - found.iv(high))[0]) == pytest.approx(0.050, abs=0.003)


def test_what_is_missing_stays_missing():
    """NaN in any figure gives a rho of NaN, and the neighbours theirs."""
    iv = np.array([0.25, np.nan, 0.146])

    rho = rho_of_skew(
        SPOT, DAYS, iv, SKEW, 0.9, is_delta=np.zeros(3, bool), rate=RATE, div_yield=0.01
    )

    assert np.isnan(rho).tolist() == [False, True, False]
