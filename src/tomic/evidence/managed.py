"""
The same trades with exits: half of the credit as a target, twice of it as a stop, once a day.

Every day until expiry the legs are valued on that day's own surface for the days that are left;
leaving pays costs like entering. A day without a surface is a day without an exit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.evidence.history import SurfaceHistory
from tomic.evidence.slices import slices
from tomic.evidence.trades import MULTIPLIER, Costs, OpenedTrades
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

    history: SurfaceHistory
    rho: FloatArray
    """(m,) of each day."""
    rate: FloatArray
    """(m,)."""
    psi: float
    div_yield: float


class ExitBounds(NamedTuple):
    """When trades are left before their expiry: (s,) or (n, s) each, NaN for a rule that is off."""

    target: FloatArray
    """Share of the premium, received or paid, as a profit."""
    stop: FloatArray
    """The same as a loss."""
    min_dte: FloatArray
    """Calendar days to the expiry."""
    max_days: FloatArray
    """Calendar days held."""
    earnings_days: FloatArray
    """Calendar days to the next report."""
    breach: BoolArray
    """Whether a price beyond a sold strike closes it."""


REASONS = ("expiry", "stop", "short_strike_breached", "earnings_days", "min_dte", "profit_target",
           "max_days_in_trade")  # fmt: skip
"""Why a trade ended, the most urgent first as in `tomic.journal.exits`."""


class Followed(NamedTuple):
    """How trades ended, (n, s)."""

    gross: FloatArray
    """Currency per structure at the middle of the market, without any costs."""
    days: FloatArray
    """Calendar days held."""
    reason: IntArray
    """Place in `REASONS`."""
    leaving: FloatArray
    """(levels of costs, n, s): what closing costs; nothing at the expiry."""
    spot: FloatArray
    """Of the day of closing, in shares of the day of entry; NaN of those held to the expiry."""
    unmarked: IntArray
    """Days with a close but without a surface, while it was open."""


def followed(
    surfaces: Surfaces, at: IntArray, days: int, trades: OpenedTrades, held: FloatArray,
    plan: ExitBounds, costs: Sequence[Costs], *, start: FloatArray, premium: FloatArray,
    to_earnings: FloatArray | None = None,
) -> Followed:  # fmt: skip
    """
    What came of trades opened on rows *at*, judged once a day until their expiry.

    Args:
        at: (n,) rows of entry.
        days: Calendar days from entry to expiry.
        held: (n, s) what holding to the expiry brought without costs, for what is never closed.
        plan: The exits.
        costs: Levels of costs of leaving.
        start: (n, s) P&L that exits are judged on while the legs are worth nothing: the credit.
        premium: (n, s) that target and stop are shares of, either sign; 0 for neither.
        to_earnings: (n,) days from entry to the next report, NaN where none is known.
    """
    history, shape = surfaces.history, trades.credit.shape
    expiry, size = history.day[at] + days, np.abs(premium)
    mid = trades.credit + trades.costs
    report = np.full(at.size, np.nan) if to_earnings is None else to_earnings
    open_ = np.ones(shape, dtype=np.bool_)
    gross, kept, reason = held.copy(), np.full(shape, float(days)), np.zeros(shape, dtype=np.int64)
    leaving, spot = np.zeros((len(costs), *shape)), np.full(shape, np.nan)
    unmarked = np.zeros(shape, dtype=np.int64)
    for step in range(1, days):
        row = np.minimum(at + step, history.day.size - 1)
        alive = (at + step < history.day.size) & (history.day[row] < expiry)
        alive &= history.broken[row] == history.broken[at]
        live = open_ & alive[:, None]
        if not live.any():
            if not (at + step < history.day.size).any():
                break
            continue
        worth, paid, price = _marked(surfaces, at, row, expiry, trades, costs)
        since = (history.day[row] - history.day[at]).astype(float)[:, None]
        marked = ~np.isnan(worth)
        unmarked += live & ~marked & ~np.isnan(price)[:, None]
        share = np.where(size > 0.0, (start + worth) / np.where(size > 0.0, size, 1.0), np.nan)
        beyond = _beyond(trades, price) & plan.breach
        near = report[:, None] - since
        with np.errstate(invalid="ignore"):
            fired = np.stack((
                share <= -plan.stop, beyond, (near >= 0.0) & (near <= plan.earnings_days),
                days - since <= plan.min_dte + 0.0 * share, share >= plan.target,
                since >= plan.max_days + 0.0 * share,
            ))  # fmt: skip
        out = live & marked & fired.any(axis=0)
        reason[out] = (np.argmax(fired, axis=0) + 1)[out]
        gross[out] = (mid + worth)[out]
        kept[out] = np.broadcast_to(since, shape)[out]
        spot[out] = np.broadcast_to(price[:, None], shape)[out]
        leaving[:, out] = paid[:, out]
        open_ = open_ & ~out
    return Followed(gross, kept, reason, leaving, spot, unmarked)


def managed(
    surfaces: Surfaces, at: IntArray, days: int, trades: OpenedTrades, held: FloatArray,
    chosen: BoolArray, costs: Costs, exits: Exits,
) -> Closed:  # fmt: skip
    """
    P&L with exits of the trades opened on rows *at*, of those that receive a credit.

    Args:
        at: (n,) rows of entry.
        days: Calendar days from entry to expiry.
        held: (n, s) P&L of holding to the expiry, for what is never closed.
        chosen: (s,) the structures that have exits; the others are held.
    """
    mid = trades.credit + trades.costs
    off = np.full(mid.shape, np.nan)
    has_exits = np.broadcast_to(chosen, mid.shape) & (mid > 0.0)
    plan = ExitBounds(
        np.where(has_exits, exits.target, np.nan), np.where(has_exits, exits.stop, np.nan),
        off, off, off, np.zeros(mid.shape, dtype=np.bool_),
    )  # fmt: skip
    came = followed(
        surfaces, at, days, trades, held + trades.costs, plan, [costs], start=mid, premium=mid
    )
    return Closed(came.gross - trades.costs - came.leaving[0], came.days)


def _beyond(trades: OpenedTrades, price: FloatArray) -> BoolArray:
    """Whether a day's price is beyond a sold strike, (n, s)."""
    gap = price[:, None, None] - trades.legs.strike
    inside = np.where(trades.legs.is_call, gap, -gap) > 0.0
    return np.asarray((inside & (trades.legs.quantity < 0.0)).any(axis=-1))


def _marked(
    surfaces: Surfaces, at: IntArray, row: IntArray, expiry: np.ndarray, trades: OpenedTrades,
    costs: Sequence[Costs],
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """
    Worth of the legs at mid on day *row* (n, s), what leaving costs by level, the price (n,).

    NaN without a surface.
    """
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
    return worth, np.stack([each.of(price, quantity) for each in costs]), spot
