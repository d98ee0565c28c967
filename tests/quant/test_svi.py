"""The SVI slice itself: formulas, derivatives, and fits that keep their inequalities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support import index_smiles
from support.properties import examples
from tomic.quant import svi

SLICE = np.array([0.0012, -0.018, 0.03, 0.01, 0.06])
"""(a, b rho, b, m, sigma) of a thirty-day index smile: 33 % at -15 %, 19 % at the money."""


def quotes(raw, low=-0.15, high=0.10, count=60):
    k = np.linspace(low, high, count)
    return svi.Quotes(k, svi.derivatives(raw, k)[0], np.ones(count))


def test_derivatives_equal_finite_differences():
    """w' and w'' are the slopes of w and w'."""
    k = np.linspace(-0.5, 0.5, 41)
    step = 1e-6

    _, slope, bend = svi.derivatives(SLICE, k)

    above, below = svi.derivatives(SLICE, k + step), svi.derivatives(SLICE, k - step)
    assert_allclose(slope, (above[0] - below[0]) / (2 * step), rtol=1e-7, atol=1e-10)
    assert_allclose(bend, (above[1] - below[1]) / (2 * step), rtol=1e-6, atol=1e-9)


def test_gradient_equals_finite_differences():
    """Every row of the gradient is the change of w with its parameter."""
    k = np.linspace(-0.3, 0.3, 21)

    rows = svi.gradient(SLICE, k)

    for i in range(5):
        up, down = SLICE.copy(), SLICE.copy()
        up[i] += 1e-7
        down[i] -= 1e-7
        slope = (svi.derivatives(up, k)[0] - svi.derivatives(down, k)[0]) / 2e-7
        assert_allclose(rows[i], slope, rtol=1e-6, atol=1e-8)


def test_fit_recovers_an_exact_slice():
    """Quotes without noise give back the curve they came from."""
    exact = quotes(SLICE)

    found = svi.fit_raw(exact)

    assert_allclose(svi.derivatives(found.raw, exact.k)[0], exact.w, rtol=1e-5)
    assert_allclose(found.raw, SLICE, rtol=0.02, atol=1e-4)


def test_ssvi_has_no_butterfly_arbitrage_at_the_edges_of_its_bounds():
    """Every corner of the three free parameters stays free of butterfly arbitrage."""
    for theta in (-9.0, -4.0, 0.5):
        for rho in (-2.9, 0.0, 2.9):
            for share in (-8.0, 0.0, 12.0):
                raw = svi._ssvi_to_raw(np.array([theta, rho, share]))
                assert svi.is_butterfly_free(raw, 5.0)


@examples(60)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.0, 0.5), level=st.floats(0.001, 0.5))
def test_ssvi_fits_anything_without_arbitrage(seed, spread, level):
    """Whatever the quotes say, the three-parameter slice keeps its density positive."""
    rng = np.random.default_rng(seed)
    k = np.sort(rng.uniform(-0.5, 0.5, 6))
    noisy = svi.Quotes(k, level * np.exp(rng.normal(0, spread, 6)), rng.uniform(0.1, 1.0, 6))

    found = svi.fit_ssvi(noisy)

    assert svi.is_butterfly_free(found.raw, 3.0)


def test_floor_is_respected():
    """With a floor above the quotes the fit settles on the floor."""
    data = quotes(SLICE)
    floor = 1.3 * data.w

    found = svi.fit_raw(data, hinge=svi.floor_hinge(data.k, floor))

    assert np.min(svi.derivatives(found.raw, data.k)[0] / floor) > 0.99


def test_hinge_slopes_equal_finite_differences():
    """The penalty's derivatives are those of its violations."""
    bad = np.array([-0.041, 0.306 * 0.1331, 0.1331, 0.3586, 0.4153])
    wall = svi.butterfly_hinge(1.5, 0.02, 1.0)

    gap = wall.gap(bad)
    every = np.ones(gap.size, dtype=bool)
    rows = wall.slope(bad, every)

    assert gap.max() > 0.0
    for i in (0, 1, 2):
        moved = bad.copy()
        moved[i] += 1e-7
        assert_allclose((wall.gap(moved) - gap) / 1e-7, rows[i], rtol=1e-3, atol=1e-3)


def test_huber_keeps_wrong_quotes_out():
    """Three quotes wrong by a quarter move the fitted curve by less than a tenth of a point."""
    data = quotes(SLICE)
    wrong = data.w.copy()
    wrong[[7, 30, 51]] *= np.array([1.25, 0.75, 1.25]) ** 2

    found = svi.fit_raw(data._replace(w=wrong))

    tau = 30 / 365
    error = np.sqrt(svi.derivatives(found.raw, data.k)[0] / tau) - np.sqrt(data.w / tau)
    assert np.max(np.abs(error)) < 0.001
    assert found.trust[[7, 30, 51]].max() < 0.2


def test_covariance_is_unknown_without_degrees_of_freedom():
    """As many quotes as parameters leave nothing to measure the scatter by."""
    assert np.isnan(svi.fit_ssvi(quotes(SLICE, count=3)).covariance).all()
    assert np.isfinite(svi.fit_ssvi(quotes(SLICE, count=6)).covariance).all()


@pytest.mark.parametrize("raw", [[-0.1, 0.0, 0.1, 0.0, 0.1], [0.1, 0.0, 1.5, 0.0, 0.1]])
def test_negative_variance_and_steep_wings_are_arbitrage(raw):
    """A slice below zero and one steeper than Lee's bound are refused without a warning."""
    assert not svi.is_butterfly_free(np.array(raw), 1.0)


@pytest.mark.parametrize(
    ("family", "box", "size"),
    [(svi._wings_to_raw, svi._wings_box(quotes(SLICE)), 5), (svi._ssvi_to_raw, svi.SSVI_BOX, 3)],
)
def test_turns_equal_finite_differences(family, box, size):
    """The derivatives of a slice in the free parameters are the slopes of the slice."""
    turn = {5: svi._wings_turn, 3: svi._ssvi_turn}[size]
    rng = np.random.default_rng(1)
    for _ in range(50):
        x = rng.uniform(np.maximum(box.low, -4.0), np.minimum(box.high, 2.0))

        rows = turn(x)

        for i in range(size):
            up, down = x.copy(), x.copy()
            up[i] += 1e-6
            down[i] -= 1e-6
            slope = (family(up) - family(down)) / 2e-6
            assert_allclose(rows[:, i], slope, rtol=1e-5, atol=1e-8)


def test_wings_and_raw_are_one_slice():
    """A slice written by its least variance and its wings is the slice it was."""
    assert_allclose(svi._wings_to_raw(svi._raw_to_wings(SLICE)), SLICE, rtol=1e-12)


def test_every_start_is_legal():
    """Each descent begins at a slice that is positive and convex, or there is no such start."""
    for drawn in index_smiles.draw(100, 7):
        k = np.log(drawn.strike / drawn.forward)
        given_quotes = svi.Quotes(k, drawn.iv**2 * drawn.tau, np.ones(k.size))

        starts = svi.starts(given_quotes)

        assert starts
        for a, d, c, _, sigma in starts:
            assert c > abs(d)
            assert a + sigma * np.sqrt(c * c - d * d) > 0.0


def test_density_signs_are_one_formula():
    """On the arbitrage grid g is Durrleman's, and its derivatives are its slopes in the slice."""
    k = svi.arbitrage_grid(SLICE, 0.8)
    y = k - SLICE[3]

    rows = svi._durrleman_gradient(SLICE, y, np.sqrt(y * y + SLICE[4] ** 2))

    assert_allclose(
        svi._on_grid(SLICE, 0.8), svi.durrleman(k, *svi.derivatives(SLICE, k)), atol=1e-12
    )
    for i in range(5):
        up, down = SLICE.copy(), SLICE.copy()
        up[i] += 1e-7
        down[i] -= 1e-7
        above, below = (svi.durrleman(k, *svi.derivatives(raw, k)) for raw in (up, down))
        assert_allclose(rows[i], (above - below) / 2e-7, rtol=1e-5, atol=1e-5)
