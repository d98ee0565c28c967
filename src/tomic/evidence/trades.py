"""
What structures promise on the day they are opened, and what they bring at expiry.

Promises are computed by the program's own kernels under the market's density of the day; money is
currency per structure of one contract a leg, costs of entry included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.evidence.slices import Slices
from tomic.evidence.structures import Legs
from tomic.quant import black_scholes, density as densities, margin, payoff, probability
from tomic.quant.density import Density

MULTIPLIER = 100.0


class Costs(NamedTuple):
    """What a trade pays beside the value of its options, at entry and again when closed early."""

    share: float = 0.03
    """Of each option's price, to the market."""
    least: float = 0.02
    """At least this, currency per share of each option."""
    commission: float = 0.65
    """Currency per contract."""

    def of(self, price: FloatArray, quantity: FloatArray) -> FloatArray:
        """Currency per structure: legs on the last axis are added up."""
        slip = MULTIPLIER * np.maximum(self.least, self.share * price) + self.commission
        return np.asarray((np.abs(quantity) * slip).sum(axis=-1))


class OpenedTrades(NamedTuple):
    """Structures on the day of entry: (n, s), or (n, s, k) by leg."""

    legs: Legs
    price: FloatArray
    """(n, s, k) values of the smile, currency per share."""
    credit: FloatArray
    """Premium received less costs; negative for a debit."""
    costs: FloatArray
    net_margin: FloatArray
    """Requirement less the credit."""
    vega: FloatArray
    """dEV / d ln sigma at unchanged strikes: what one is wrong by if volatility is."""
    shape: payoff.Segments


class Promises(NamedTuple):
    """Figures of the day of entry under one density a day, (n, s)."""

    pos: FloatArray
    ev: FloatArray
    cvar: FloatArray
    """CVaR95, a loss positive."""


def opened(
    smiles: Slices, legs: Legs, spot: FloatArray, costs: Costs, rules: margin.MarginRules
) -> OpenedTrades:
    """Price, costs, margin and P&L at expiry of every structure on each of n days."""
    forward, tau = smiles.forward[:, None, None], smiles.tau[:, None, None]
    sigma = smiles.iv(legs.k)
    total_vol = sigma * np.sqrt(tau)
    unit = black_scholes.undiscounted(forward, legs.strike, total_vol, legs.is_call)
    discount = smiles.discount[:, None, None]
    price = discount * unit
    paid = costs.of(price, legs.quantity)
    credit = -MULTIPLIER * (legs.quantity * price).sum(axis=-1) - paid
    shape = payoff.segments(
        legs.strike, legs.is_call, legs.quantity,
        credit=credit, discount=smiles.discount[:, None], multiplier=MULTIPLIER,
    )  # fmt: skip
    count, kinds, _ = legs.strike.shape
    needed = margin.requirement(
        legs.strike, legs.is_call, legs.quantity, price,
        spot=np.broadcast_to(spot[:, None], (count, kinds)), credit=credit,
        multiplier=MULTIPLIER, rules=rules,
    )  # fmt: skip
    d1 = -legs.k / total_vol + 0.5 * total_vol
    bump = discount * forward * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi) * total_vol
    vega = MULTIPLIER * (legs.quantity * bump).sum(axis=-1)
    return OpenedTrades(legs, price, credit, paid, needed.net, vega, shape)


def promises(
    smiles: Slices, trades: OpenedTrades, of_day: Callable[[int, Density], Density] | None = None,
    *, points: int = densities.POINTS,
) -> Promises:  # fmt: skip
    """
    PoS, EV and CVaR95 of every structure, by the kernels of the scan.

    Args:
        of_day: The density to use, given the row of the day and the market's; None is the market's.
        points: Of each density.
    """
    figures = np.full((3, *trades.credit.shape), np.nan)
    for row in range(trades.credit.shape[0]):
        density = densities.from_smile(smiles.smile(row), points=points)
        if of_day is not None:
            density = of_day(row, density)
        shape = payoff.Segments(*(part[row] for part in trades.shape))
        figures[0, row] = probability.pos(density, shape)
        figures[1, row] = probability.ev(density, shape)
        figures[2, row] = probability.cvar(density, shape)
    return Promises(*figures)


def brought(smiles: Slices, trades: OpenedTrades, terminal: FloatArray) -> FloatArray:
    """P&L at expiry, (n, s), today's money, where the price ended at *terminal* (n,)."""
    gap = terminal[:, None, None] - trades.legs.strike
    worth = np.maximum(np.where(trades.legs.is_call, gap, -gap), 0.0)
    paid = MULTIPLIER * (trades.legs.quantity * worth).sum(axis=-1)
    return np.asarray(trades.credit + smiles.discount[:, None] * paid)
