"""
The same trades with exits: half of the credit as a target, twice of it as a stop, once a day.

Every day until expiry the legs are valued on that day's own surface for the days that are left;
leaving pays costs like entering. A day without a surface is a day without an exit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.evidence.history import History
from tomic.evidence.slices import slices
from tomic.evidence.trades import MULTIPLIER, Costs, Opened
from tomic.quant import black_scholes


class Exits(NamedTuple):
    """When a trade is closed before its expiry, as shares of the credit received at mid."""

    target: float = 0.5
    stop: float = 2.0


class Closed(NamedTuple):
    """How managed trades ended, (n, s)."""

    pnl: FloatArray
    """Currency per structure, costs of entry and exit included."""
    days: FloatArray
    """Calendar days held."""


class Surfaces(NamedTuple):
    """What every day of a history is valued with."""

    history: History
    rho: FloatArray
    """(m,) of each day."""
    rate: FloatArray
    """(m,)."""
    psi: float
    div_yield: float


def managed(
    surfaces: Surfaces, at: IntArray, days: int, trades: Opened, held: FloatArray,
    chosen: BoolArray, costs: Costs, exits: Exits,
) -> Closed:  # fmt: skip
    """
    P&L with exits of the trades opened on rows *at*.

    Args:
        at: (n,) rows of entry.
        days: Calendar days from entry to expiry.
        held: (n, s) P&L of holding to the expiry, for what is never closed.
        chosen: (s,) the structures that have exits; the others are held.
    """
    history = surfaces.history
    expiry = history.day[at] + days
    mid = trades.credit + trades.costs
    open_ = np.broadcast_to(chosen, mid.shape) & (mid > 0.0)
    pnl, kept = held.copy(), np.full(mid.shape, float(days))
    for step in range(1, days):
        row = np.minimum(at + step, history.day.size - 1)
        alive = (at + step < history.day.size) & (history.day[row] < expiry)
        alive &= history.broken[row] == history.broken[at]
        if not (open_ & alive[:, None]).any():
            break
        gain, leaving = _marked(surfaces, at, row, expiry, trades, costs)
        hit = (gain >= exits.target * mid) | (gain <= -exits.stop * mid)
        out = open_ & alive[:, None] & hit
        pnl[out] = (gain - trades.costs - leaving)[out]
        since = (history.day[row] - history.day[at]).astype(float)
        kept[out] = np.broadcast_to(since[:, None], kept.shape)[out]
        open_ = open_ & ~out
    return Closed(pnl, kept)


def _marked(
    surfaces: Surfaces, at: IntArray, row: IntArray, expiry: np.ndarray, trades: Opened,
    costs: Costs,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """P&L at mid prices of day *row*, and what leaving costs, (n, s); NaN without a surface."""
    history = surfaces.history
    left = np.maximum((expiry - history.day[row]).astype(float), 1.0)
    # In shares of the day of entry: a split changes neither the trade nor its strikes' meaning.
    spot = history.close[row] * history.factor[row] / history.factor[at]
    smile = slices(
        spot, left, history.iv(row, left), surfaces.rho[row], surfaces.psi,
        rate=surfaces.rate[row], div_yield=surfaces.div_yield,
    )  # fmt: skip
    forward = smile.forward[:, None, None]
    k = np.log(trades.legs.strike / forward)
    total_vol = smile.iv(k) * np.sqrt(smile.tau[:, None, None])
    price = smile.discount[:, None, None] * black_scholes.undiscounted(
        forward, trades.legs.strike, total_vol, trades.legs.is_call
    )
    quantity = trades.legs.quantity
    worth = MULTIPLIER * (quantity * price).sum(axis=-1)
    return trades.credit + trades.costs + worth, costs.of(price, quantity)
