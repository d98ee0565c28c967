"""Early-exercise premiums of a chain against the pricer they stand in for."""

from __future__ import annotations

import numpy as np
import pytest

from tomic.quant import american
from tomic.strategies.pricing import board


@pytest.mark.parametrize("days", [7, 30, 90])
@pytest.mark.parametrize("is_call", [True, False])
def test_premiums_are_those_of_the_pricer(days, is_call):
    """Within half a cent a share at a spot of 500, in and out of the money."""
    strike = np.linspace(400.0, 600.0, 41)
    tau, sigma = np.full(41, days / 365), np.full(41, 0.2)

    found = board.premiums(500.0, strike, tau, 0.045, 0.0125, sigma, np.full(41, is_call))

    exact = american.premium(500.0, strike, days / 365, 0.045, 0.0125, 0.2, is_call)
    np.testing.assert_allclose(found, exact, atol=0.005)
