"""The surface behind the model market leaves nothing to arbitrage."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tomic.sim.market import smiles
from tomic.sim.market.instruments import DEMO


@pytest.mark.parametrize("symbol", [instrument.symbol for instrument in DEMO])
def test_variance_has_no_calendar_arbitrage(symbol):
    """Total variance at the same moneyness never falls with time, at any moneyness."""
    instrument = next(i for i in DEMO if i.symbol == symbol)
    surface = smiles.Surface.of(instrument, instrument.iv30, date(2026, 11, 20))
    moneyness = np.linspace(-1.2, 1.2, 97)
    taus = np.concatenate((np.arange(1, 130) / 365.0, np.linspace(0.4, 2.8, 40)))

    variance = np.array([tau * surface.sigma(moneyness, tau) ** 2 for tau in taus])

    assert np.all(np.diff(variance, axis=0) > -1e-15)


@pytest.mark.parametrize("symbol", [instrument.symbol for instrument in DEMO])
def test_smiles_have_no_butterfly_arbitrage(symbol):
    """The density that each smile implies is positive (Gatheral's g over a fine grid)."""
    instrument = next(i for i in DEMO if i.symbol == symbol)
    surface = smiles.Surface.of(instrument, instrument.iv30, date(2026, 11, 20))
    k = np.linspace(-1.0, 1.0, 4001)
    step = k[1] - k[0]
    for tau in (1 / 365, 7 / 365, 28 / 365, 0.5, 2.0):
        w = tau * surface.sigma(k, tau) ** 2
        first, second = np.gradient(w, step), np.gradient(np.gradient(w, step), step)
        g = (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2

        assert g[3:-3].min() > 0.0
