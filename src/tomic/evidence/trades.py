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
    """P&L at the expiry; of structures of two expiries it means nothing."""


class Promises(NamedTuple):
    """Figures of the day of entry under one density a day, (n, s)."""

    pos: FloatArray
    ev: FloatArray
    cvar: FloatArray
    """CVaR95, a loss positive."""


class LegValues(NamedTuple):
    """What the smiles of n days say of every leg of every structure: (n, s, k), or (n, 1, 1)."""

    price: FloatArray
    """(n, s, k), currency per share."""
    total_vol: FloatArray
    """(n, s, k)."""
    k: FloatArray
    """(n, s, k), ln(strike / forward of its expiry)."""
    forward: FloatArray
    discount: FloatArray
    tau: FloatArray


def valued(smiles: Slices, far: Slices | None, legs: Legs) -> LegValues:
    """The legs by the smiles of their own expiries."""

    def of_legs(near: FloatArray, later: FloatArray | None) -> FloatArray:
        wide = near[:, None, None]
        return wide if later is None else np.where(legs.is_far, later[:, None, None], wide)

    two = far if legs.is_far.any() else None
    forward = of_legs(smiles.forward, None if two is None else two.forward)
    discount = of_legs(smiles.discount, None if two is None else two.discount)
    tau = of_legs(smiles.tau, None if two is None else two.tau)
    k = np.log(legs.strike / forward)
    variance = smiles.total_variance(k)
    if two is not None:
        variance = np.where(legs.is_far, two.total_variance(k), variance)
    total_vol = np.sqrt(variance)
    unit = black_scholes.undiscounted(forward, legs.strike, total_vol, legs.is_call)
    return LegValues(discount * unit, total_vol, k, forward, discount, tau)


def opened(
    smiles: Slices, legs: Legs, spot: FloatArray, costs: Costs, rules: margin.MarginRules,
    *, far: Slices | None = None,
) -> OpenedTrades:  # fmt: skip
    """
    Price, costs, margin and P&L at expiry of every structure on each of n days.

    Args:
        far: Smiles of the second expiry; structures that need it are NaN without.
    """
    market = valued(smiles, far, legs)
    price, forward, total_vol = market.price, market.forward, market.total_vol
    paid = costs.of(price, legs.quantity)
    credit = -MULTIPLIER * (legs.quantity * price).sum(axis=-1) - paid
    shape = payoff.segments(
        legs.strike, legs.is_call, legs.quantity,
        credit=credit, discount=smiles.discount[:, None], multiplier=MULTIPLIER,
        stock=np.broadcast_to(legs.stock, credit.shape),
        stock_cost=payoff.stock_cost(smiles.forward, smiles.discount)[:, None],
    )  # fmt: skip
    count, kinds, _ = legs.strike.shape
    needed = margin.requirement(
        legs.strike, legs.is_call, legs.quantity, price,
        spot=np.broadcast_to(spot[:, None], (count, kinds)), credit=credit,
        tau=np.broadcast_to(market.tau, legs.strike.shape),
        stock=np.broadcast_to(legs.stock, (count, kinds)),
        multiplier=MULTIPLIER, rules=rules,
    )  # fmt: skip
    d1 = -market.k / total_vol + 0.5 * total_vol
    bump = market.discount * forward * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi) * total_vol
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


def brought(
    smiles: Slices, trades: OpenedTrades, terminal: FloatArray, later: FloatArray | None = None
) -> FloatArray:
    """
    P&L at the first expiry, (n, s), today's money, where the price ended at *terminal* (n,).

    Shares count beside the forward: what they cost to finance is paid, their dividends are had.

    Args:
        later: (n, s) worth of the legs of the second expiry on that day, currency per structure.
    """
    legs = trades.legs
    gap = terminal[:, None, None] - legs.strike
    worth = np.maximum(np.where(legs.is_call, gap, -gap), 0.0)
    worth = np.where(legs.is_far, np.nan if later is None else 0.0, worth)
    paid = MULTIPLIER * (legs.quantity * worth).sum(axis=-1)
    paid = paid + MULTIPLIER * legs.stock * (terminal - smiles.forward)[:, None]
    if later is not None:
        paid = paid + later
    return np.asarray(trades.credit + smiles.discount[:, None] * paid)
