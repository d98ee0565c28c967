"""
The score of the original program, to compare with: its definitions, kept as they were.

PoS is one less the mean absolute delta of the short legs, expected value a bet with two outcomes,
margin the largest loss at mid prices (a short put's whole strike), return on it not annualised, and
every part is clipped, so that good trades tie. Its risk-reward part rises with max loss per max
profit, although less of it is better. `tomic.strategies.scoring` is what TOMIC ranks by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.quant import payoff
from tomic.strategies.board import Board
from tomic.strategies.measures import Batch
from tomic.strategies.scoring import ORIGINAL_WEIGHTS

SCENARIOS = {
    "iron_butterfly": 0.0,
    "put_backspread": -0.15,
    "calendar": 0.02,
    "naked_put": 0.05,
    "ratio_spread": 0.10,
    "short_put_spread": 0.03,
    "short_call_spread": -0.03,
}
"""Move of the underlying whose payoff stands for the profit of a trade that pays a debit."""


class OriginalFigures(NamedTuple):
    """The original's figures, (n,) each; currency per structure."""

    max_profit: FloatArray
    max_loss: FloatArray
    """Negative, as it wrote it; -inf where unbounded."""
    margin: FloatArray
    pos: FloatArray
    """Fraction."""
    ev: FloatArray


def success(delta: FloatArray, quantity: FloatArray) -> FloatArray:
    """1 - mean |delta| of the short legs; (n, k) each to (n,), NaN without a short leg."""
    short = quantity < 0.0
    count = short.sum(axis=1)
    total = np.where(short, np.abs(delta), 0.0).sum(axis=1)
    return np.where(count > 0, 1.0 - total / np.maximum(count, 1), np.nan)


def expected(pos: FloatArray, max_profit: FloatArray, max_loss: FloatArray) -> FloatArray:
    """pos x max_profit + (1 - pos) x max_loss, the loss negative."""
    return np.asarray(pos * max_profit + (1.0 - pos) * max_loss)


def components(figures: OriginalFigures) -> FloatArray:
    """Clipped, unweighted: ROM / 20 %, (PoS - 50 %) / 50 %, EV / 10 % of margin, risk-reward."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rom = figures.max_profit / figures.margin
        ev = figures.ev / figures.margin
        ratio = -figures.max_loss / figures.max_profit
    return np.stack(
        (
            np.clip(rom / 0.20, 0.0, 1.0),
            np.clip((figures.pos - 0.5) / 0.5, 0.0, 1.0),
            np.clip(ev / 0.10, 0.0, 1.0),
            risk_reward(ratio),
        )
    )


def risk_reward(ratio: FloatArray) -> FloatArray:
    """Its part for max loss per max profit: 0 up to 1, .85 at 3, 1 from 8 on."""
    middle = 0.85 * ((np.clip(ratio, 1.0, 3.0) - 1.0) / 2.0) ** 0.7
    above = 0.15 * np.log1p(np.clip(ratio, 3.0, 8.0) - 3.0) / np.log(6.0)
    return np.where(ratio <= 1.0, 0.0, middle + above)


def total(figures: OriginalFigures) -> FloatArray:
    """The score, 0 to 100; NaN where it refuses: unbounded or no loss, or a negative EV."""
    parts = components(figures)
    score = 100.0 * np.clip(np.array(ORIGINAL_WEIGHTS) @ parts, 0.0, 1.0)
    bounded = np.isfinite(figures.max_loss) & (figures.margin > 0.0)
    return np.where(bounded & (figures.ev >= 0.0), score, np.nan)


def structure(
    strike: FloatArray,
    is_call: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    quantity: FloatArray,
    credit: FloatArray,
    *,
    stock: FloatArray | float = 0.0,
    spot: float = 0.0,
    multiplier: float = 100.0,
) -> tuple[FloatArray, FloatArray]:
    """
    Largest profit and loss (negative) of structures of one expiry at mid, undiscounted.

    Args:
        strike, is_call, quantity: (n, k) legs.
        credit: (n,) currency per structure, negative for a debit.
        stock: (n,) shares per share of multiplier, bought at *spot*.
    """
    form = payoff.segments(
        strike,
        is_call,
        quantity,
        credit=credit,
        stock=stock,
        stock_cost=spot,
        multiplier=multiplier,
    )
    profile = payoff.profile(form)
    return profile.max_profit, -profile.max_loss


def figures(batch: Batch, board: Board) -> OriginalFigures:
    """The original's figures of a batch, at mid and without costs."""
    lot = float(board.chain.multiplier)
    credit = -lot * (batch.quantity * batch.legs(board.price)).sum(axis=1)
    pos = success(batch.legs(board.delta), batch.quantity)
    if batch.expiries[1] is not None:
        # Of several expiries it knew only that a calendar cannot lose more than its debit.
        profit, loss = np.full(len(batch), np.nan), np.where(credit < 0.0, credit, -np.inf)
    else:
        profit, loss = structure(
            batch.legs(board.strike),
            batch.is_call,
            batch.quantity,
            credit,
            stock=batch.stock,
            spot=board.spot,
            multiplier=lot,
        )
    profit = np.where(credit > 0.0, np.minimum(credit, np.nan_to_num(profit, nan=np.inf)), profit)
    for place, member in enumerate(batch.members):
        move = SCENARIOS.get(member.template.name)
        if move is not None:
            rows = np.flatnonzero((batch.group == place) & (credit <= 0.0))
            profit[rows] = np.abs(_at_scenario(batch.take(rows), board, credit[rows], move))
    return OriginalFigures(profit, loss, -loss, pos, expected(pos, profit, loss))


def _at_scenario(batch: Batch, board: Board, credit: FloatArray, move: float) -> FloatArray:
    """P&L at expiry if the underlying moved by *move*; later legs at their time value of today."""
    price = board.spot * (1.0 + move)
    strike, lot = batch.legs(board.strike), float(board.chain.multiplier)
    worth = np.maximum(np.where(batch.is_call, price - strike, strike - price), 0.0)
    near, far = batch.expiries
    if far is not None:
        far_worth = board.later(near, far).value(np.array(price), strike, batch.is_call)
        worth = np.where(batch.is_far, far_worth, worth)
    return np.asarray(credit + lot * (batch.quantity * worth).sum(axis=1))
