"""Promises come from the scan's kernels, outcomes from the closing price alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tomic.evidence import trades
from tomic.evidence.slices import slices
from tomic.evidence.structures import NAMES, STRUCTURES, legs
from tomic.quant import density, payoff
from tomic.quant.margin import MarginRules

SPOT = np.array([100.0, 40.0, 594.0])


@pytest.fixture(scope="module")
def smiles():
    """Three days of unlike smiles."""
    return slices(
        SPOT, np.full(3, 30.0), np.array([0.2, 0.9, 0.15]), np.array([-0.6, 0.2, -0.5]), 0.8,
        rate=np.array([0.0, 0.05, 0.042]), div_yield=0.01,
    )  # fmt: skip


@pytest.fixture(scope="module")
def opened(smiles):
    """The thirteen structures on those days."""
    return trades.opened(smiles, legs(smiles), SPOT, trades.Costs(), MarginRules())


def test_entry_costs_three_per_cent_a_leg_at_least_two_cents():
    """A leg of 5.00 costs 15 and the commission, one of .10 two dollars and the commission."""
    costs = trades.Costs().of(np.array([5.0, 0.10]), np.array([-1.0, 2.0]))

    assert costs == pytest.approx(15.65 + 2 * 2.65)


def test_the_market_expects_nothing_but_the_costs(smiles, opened):
    """Under the density of the smile that priced them trades are worth what they cost."""
    told = trades.promises(smiles, opened)

    assert_allclose(told.ev, -opened.costs, atol=1e-3 * 100.0)


def test_pos_and_cvar_are_what_sampling_gives(smiles, opened):
    """200,000 prices drawn from the day's density win as often and lose as much."""
    told = trades.promises(smiles, opened)
    uniform = (np.arange(200_000) + 0.5) / 200_000
    for row in range(3):
        price = density.from_smile(smiles.smile(row)).quantile(uniform)
        shape = payoff.Segments(*(part[row] for part in opened.shape))
        gain = payoff.interpolate(shape, price)
        worst = -np.sort(gain, axis=1)[:, :10_000].mean(axis=1)
        assert_allclose(told.pos[row], (gain > 0.0).mean(axis=1), atol=1e-3)
        assert_allclose(told.cvar[row], worst, rtol=2e-3, atol=0.1)


def test_margin_is_width_or_the_brokers_share(opened):
    """A spread ties up its width less the credit, a short put the broker's percentage of 100."""
    spread, naked = NAMES.index("put spread 30/15"), NAMES.index("short put 20")
    strike = opened.legs.strike

    width = 100.0 * (strike[:, spread, 0] - strike[:, spread, 1])
    out = np.maximum(SPOT - strike[:, naked, 0], 0.0)
    share = np.maximum(0.20 * SPOT - out, 0.10 * strike[:, naked, 0])

    assert_allclose(opened.net_margin[:, spread], width - opened.credit[:, spread])
    due = 100.0 * (share + opened.price[:, naked, 0])
    assert_allclose(opened.net_margin[:, naked], due - opened.credit[:, naked])


def test_what_came_is_the_payoff(smiles, opened):
    """P&L at any closing price is that of the segments which the promises were read from."""
    terminal = np.array([88.0, 55.0, 600.0])

    came = trades.brought(smiles, opened, terminal)

    for row, price in enumerate(terminal):
        shape = payoff.Segments(*(part[row] for part in opened.shape))
        assert_allclose(came[row], payoff.interpolate(shape, [price])[:, 0], atol=1e-8)


def test_vega_is_the_change_of_value(smiles, opened):
    """Values at volatilities a thousandth higher and lower differ by it, strikes unchanged."""
    free = trades.Costs(0.0, 0.0, 0.0)
    down, up = (
        trades.opened(
            smiles._replace(theta=smiles.theta * ratio**2), opened.legs, SPOT, free, MarginRules()
        ).credit
        for ratio in (0.999, 1.001)
    )

    # What is received for the legs is what it costs to have them.
    assert_allclose((down - up) / 0.002, opened.vega, rtol=1e-4, atol=1e-3)


def test_another_density_gives_other_promises(smiles, opened):
    """A wider law of the same mean costs short volatility and pays long."""
    told = trades.promises(smiles, opened)

    wide = trades.promises(smiles, opened, lambda _, law: density.viewed(law, volatility=1.2))

    short, long = NAMES.index("straddle"), NAMES.index("put backspread")
    assert (wide.ev[:, short] < told.ev[:, short]).all()
    assert (wide.ev[:, long] > told.ev[:, long]).all()
    assert len(STRUCTURES) == told.ev.shape[1]
