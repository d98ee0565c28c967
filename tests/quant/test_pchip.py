"""The curve through points: that of scipy, and never beyond them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import PchipInterpolator

from tomic.quant import pchip


@pytest.mark.parametrize("seed", range(8))
def test_the_curve_is_that_of_scipy(seed):
    """Between random points it is scipy's PchipInterpolator to the last digits."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-3.0, 3.0, 4 + seed))
    y = rng.normal(0.0, 1.0, x.size)
    at = np.linspace(x[0], x[-1], 201)

    assert_allclose(pchip.interpolate(x, y, at), PchipInterpolator(x, y)(at), atol=1e-13)


def test_beyond_the_ends_the_ends_hold():
    """Nothing is extrapolated, and what is not a number stays none."""
    x, y = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 4.0])

    value = pchip.interpolate(x, y, np.array([-9.0, 9.0, np.nan]))

    assert_allclose(value, [2.0, 4.0, np.nan])


def test_few_points_give_a_line():
    """Through one point the curve is flat, through two straight."""
    assert pchip.interpolate(np.array([1.0]), np.array([7.0]), 3.0) == 7.0
    assert pchip.interpolate(np.array([0.0, 2.0]), np.array([0.0, 4.0]), 0.5) == 1.0
