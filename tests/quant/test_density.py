"""Densities: mass, mean, and the exactness of what is integrated against them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from numpy.testing import assert_allclose
from scipy.special import ndtr

from support.properties import examples
from tomic.quant import density, smile

FORWARD, TAU, SIGMA = 100.0, 30 / 365, 0.25


def black_put(forward, strike, total_vol):
    """Black (1976), undiscounted, written out independently of the package."""
    d1 = np.log(forward / strike) / total_vol + 0.5 * total_vol
    return strike * ndtr(total_vol - d1) - forward * ndtr(-d1)


def skewed_smile(slope=-0.4, curve=1.5, forward=FORWARD, tau=TAU, level=SIGMA):
    """A smile that is quadratic in log-moneyness near the money and levels off far out."""

    def iv(strike):
        k = 0.35 * np.tanh(np.log(np.asarray(strike, dtype=float) / forward) / 0.35)
        return level + slope * k + curve * k * k

    def cdf(price):
        step = 1e-4 * np.asarray(price, dtype=float)
        up, down = np.asarray(price) + step, np.asarray(price) - step
        rise = black_put(forward, up, iv(up) * np.sqrt(tau)) - black_put(
            forward, down, iv(down) * np.sqrt(tau)
        )
        return rise / (2.0 * step)

    return SimpleNamespace(forward=forward, tau=tau, iv=iv, cdf=cdf)


def mixture(skew=0.3):
    """Two lognormals: a density with a long left tail, as an index has."""
    price = np.geomspace(20.0, 300.0, 6001)
    cdf = (1 - skew) * ndtr(np.log(price / 102.0) / 0.05) + skew * ndtr(np.log(price / 95.0) / 0.12)
    return density.from_arrays(price, cdf, tau=TAU, forward=FORWARD)


@given(sigma=st.floats(0.03, 2.0), tau=st.floats(1 / 365, 3.0), forward=st.floats(0.5, 5000.0))
@examples(60)
def test_lognormal_has_mass_one_and_mean_forward(sigma, tau, forward):
    """Mass is 1, the mean is the forward, and no cell has negative probability."""
    found = density.lognormal(forward, tau, sigma)

    price, mass = found.cells()
    assert mass.min() >= 0.0
    assert mass.sum() == pytest.approx(1.0, abs=1e-12)
    assert price @ mass == pytest.approx(forward, rel=1e-10)
    assert found.mean == pytest.approx(forward, rel=1e-10)


def test_lognormal_option_values_are_blacks():
    """Put values of the grid agree with Black (1976) to 1e-6 of the forward."""
    found = density.lognormal(FORWARD, TAU, SIGMA)
    strike = np.linspace(60.0, 150.0, 181)

    value = found.put_value(strike)

    assert_allclose(value, black_put(FORWARD, strike, SIGMA * np.sqrt(TAU)), atol=1e-6 * FORWARD)


@pytest.mark.parametrize("found", [density.lognormal(FORWARD, TAU, SIGMA), mixture()])
def test_put_call_parity_is_exact(found):
    """Call minus put is forward minus strike to rounding, whatever the density."""
    strike = np.linspace(1.0, 400.0, 999)

    gap = found.call_value(strike) - found.put_value(strike)

    assert_allclose(gap, found.forward - strike, atol=1e-10)


def test_partial_expectation_is_the_integral_of_its_cells():
    """E[S; S < x] at the grid is the running sum of cell mass times cell mean."""
    found = mixture()
    price, mass = found.cells()

    _, partial = found.moments_below(found.price[1:][np.diff(found.cdf) > 0])

    assert_allclose(partial, np.cumsum(price * mass), rtol=1e-10)


def test_quantile_inverts_probability():
    """The quantile of P(S < x) is x inside the support."""
    found = mixture()
    price = np.linspace(70.0, 130.0, 300)

    assert_allclose(found.quantile(found.probability_below(price)), price, rtol=1e-9)
    assert np.isnan(found.quantile([-0.1, 1.1, np.nan])).all()


def test_prices_outside_the_grid_have_probability_zero_or_one():
    """At and below zero nothing lies, far above everything does, and NaN stays NaN in silence."""
    found = density.lognormal(FORWARD, TAU, SIGMA)

    below = found.probability_below([-5.0, 0.0, 1e9, np.nan])

    assert_allclose(below[:3], [0.0, 0.0, 1.0])
    assert np.isnan(below[3])
    assert np.isnan(found.put_value(np.nan))
    assert found.put_value(0.0) == 0.0


def test_density_of_a_smile_prices_its_own_options():
    """Puts valued by the density are Black's at the smile's volatility to 1e-6 of the forward."""
    skewed = skewed_smile()
    strike = np.linspace(75.0, 125.0, 101)

    found = density.from_smile(skewed)

    expected = black_put(FORWARD, strike, skewed.iv(strike) * np.sqrt(TAU))
    assert_allclose(found.put_value(strike), expected, atol=1e-6 * FORWARD)
    assert found.mean == pytest.approx(FORWARD, rel=1e-12)


def test_a_view_that_changes_nothing_is_the_market():
    """At the market's volatility and without drift it is the same density."""
    market = mixture()
    strike = np.linspace(70.0, 130.0, 61)

    nearly = density.viewed(market, volatility=1.0 + 1e-12)

    assert density.viewed(market) is market
    assert_allclose(nearly.put_value(strike), market.put_value(strike), atol=1e-8)


def test_equal_volatility_gives_a_spy_put_spread_no_edge():
    """A lognormal sees $27 in a fair SPY 560/550 put spread; the rescaled market sees nothing."""
    skewed = skewed_smile(slope=-0.9, curve=2.0, forward=596.0, level=0.17)
    market = density.from_smile(skewed)
    flat = density.lognormal(market.forward, TAU, market.volatility)

    def spread(d):
        return 100.0 * (d.put_value(560.0) - d.put_value(550.0))

    same = density.viewed(market, volatility=1.0)
    assert spread(same) == pytest.approx(spread(market), abs=1e-9)
    assert abs(spread(flat) - spread(market)) > 5.0


@given(
    a=st.floats(0.0, 0.01),
    b=st.floats(0.01, 0.2),
    rho=st.floats(-0.9, 0.5),
    sigma=st.floats(0.05, 0.5),
)
@examples(40)
def test_density_of_a_fitted_slice_is_a_distribution(a, b, rho, sigma):
    """Densities of SVI slices have mass 1 and mean F, and price the slice's own puts."""
    slice_ = smile.Smile(FORWARD, TAU, 0.997, a=a, b=b, rho=rho, m=0.0, sigma=sigma)
    assume(smile.butterfly(slice_, np.linspace(-3.0, 3.0, 601)).min() > 0.0)
    strike = np.linspace(70.0, 130.0, 61)

    found = density.from_smile(slice_)

    assert found.mean == pytest.approx(FORWARD, rel=1e-10)
    assert np.all(np.diff(found.cdf) >= 0.0)
    assert found.cdf[-1] == 1.0
    value = 0.997 * found.put_value(strike)
    assert_allclose(value, slice_.value(strike, False), atol=2e-6 * FORWARD)


@given(ratio=st.floats(0.3, 3.0), drift=st.floats(-0.5, 0.5))
@examples(30)
def test_a_view_keeps_the_shape(ratio, drift):
    """It has the volatility asked for, its mean where the drift takes it, and the same skewness."""
    market = mixture()

    found = density.viewed(market, volatility=ratio, drift=drift)

    assert found.volatility == pytest.approx(market.volatility * ratio, rel=1e-9)
    assert found.mean == pytest.approx(market.forward * np.exp(drift * TAU), rel=1e-12)
    score = (np.log(found.price) - found.mean_log) / found.std_log
    assert_allclose(score, (np.log(market.price) - market.mean_log) / market.std_log, atol=1e-9)


def test_a_lognormal_view_is_lognormal():
    """A lognormal market at .9 of its volatility and 2 % of drift is the lognormal of those."""
    market = density.lognormal(FORWARD, TAU, SIGMA)
    strike = np.linspace(80.0, 120.0, 41)

    found = density.viewed(market, volatility=0.9, drift=0.02)

    expected = density.lognormal(FORWARD * np.exp(0.02 * TAU), TAU, 0.9 * SIGMA)
    assert_allclose(found.put_value(strike), expected.put_value(strike), atol=1e-9 * FORWARD)


@given(share=st.floats(0.01, 0.99))
@examples(20)
def test_expectations_of_a_mixture_are_mixed(share):
    """Probabilities and option values are the weighted ones, to the width of a cell."""
    market, view = mixture(), density.viewed(mixture(), volatility=0.7, drift=0.3)
    strike = np.linspace(60.0, 140.0, 81)

    found = density.mixture(market, view, share)

    below = (1.0 - share) * market.probability_below(strike) + share * view.probability_below(
        strike
    )
    value = (1.0 - share) * market.put_value(strike) + share * view.put_value(strike)
    assert_allclose(found.probability_below(strike), below, atol=1e-5)
    assert_allclose(found.put_value(strike), value, atol=1e-6 * FORWARD)


def test_a_mixture_of_one_is_that_one():
    """Nothing of the other, or nothing but it."""
    market, view = mixture(), density.viewed(mixture(), volatility=0.7)

    assert density.mixture(market, view, 0.0) is market
    assert density.mixture(market, view, 1.0) is view


def test_probabilities_may_be_counts():
    """A cdf that runs from 3 to 1,003 is that from 0 to 1."""
    price = np.linspace(80.0, 120.0, 41)
    share = np.linspace(0.0, 1.0, 41)

    counts = density.from_arrays(price, 3.0 + 1000.0 * share, tau=TAU)

    same = density.from_arrays(price, share, tau=TAU)
    assert_allclose(counts.cdf, same.cdf, atol=1e-12)
    assert counts.mean == pytest.approx(same.mean)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: density.lognormal(-1.0, TAU, SIGMA), "forward must be > 0"),
        (lambda: density.lognormal(100.0, 0.0, SIGMA), "tau must be > 0"),
        (lambda: density.lognormal(100.0, TAU, np.nan), "sigma must be > 0"),
        (lambda: density.viewed(mixture(), volatility=0.0), "volatility must be > 0"),
        (lambda: density.viewed(mixture(), drift=np.nan), "drift must be finite"),
        (lambda: density.from_arrays([1.0, 3.0, 2.0], [0.0, 0.5, 1.0], tau=TAU), "ascending"),
        (lambda: density.from_arrays([1.0, 2.0], [1.0, 0.5], tau=TAU), "never fall"),
        (lambda: density.from_arrays([1.0, 2.0], [0.0, 0.5, 1.0], tau=TAU), "share shape"),
        (lambda: density.mixture(mixture(), mixture(), 1.5), "share must be in"),
        (
            lambda: density.Density(np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.5, 1.0]), 9.0, 1.0),
            "mean must equal forward",
        ),
        (
            lambda: density.Density(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 1.0]), 2.0, 1.0),
            "evenly spaced",
        ),
    ],
)
def test_impossible_distributions_are_refused(build, words):
    """Each refusal states the inequality that failed."""
    with pytest.raises(ValueError, match=words):
        build()


def test_samples_keep_their_mean_and_quantiles():
    """A density of a million lognormal draws has their median and, moved, the asked mean."""
    rng = np.random.default_rng(7)
    drawn = FORWARD * np.exp(0.07 * rng.standard_normal(100_000) - 0.5 * 0.07**2)

    found = density.from_samples(drawn, tau=TAU)
    moved = density.from_samples(drawn, tau=TAU, forward=101.0)

    assert found.mean == pytest.approx(drawn.mean(), rel=1e-4)
    assert found.quantile(0.5) == pytest.approx(np.median(drawn), rel=2e-4)
    assert moved.mean == pytest.approx(101.0, rel=1e-12)
