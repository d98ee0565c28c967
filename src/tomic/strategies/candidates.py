"""Every trade of a chain that satisfies a template, as arrays: a row each, a column a leg."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.strategies.catalogue import leg_rules
from tomic.strategies.pricing.board import Board

Expiries: TypeAlias = tuple[dt.date, dt.date | None]
"""Near and far expiry; far is None where all legs share one."""

# Strikes are decimal fractions: 0.1 + 0.2 must not push one out of a range.
EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Candidates:
    """Trades of one template variant and one pair of expiries."""

    template: leg_rules.Template
    expiries: Expiries
    row: NDArray[np.int64]
    """(n, k) rows of the chain, columns in the order of ``template.legs``."""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def quantity(self) -> FloatArray:
        """(k,) signed contracts."""
        return np.array([leg.quantity for leg in self.template.legs], dtype=np.float64)

    @property
    def is_call(self) -> BoolArray:
        """(k,) True for calls."""
        return np.array([leg.right == "C" for leg in self.template.legs])

    @property
    def is_far(self) -> BoolArray:
        """(k,) True for legs of the far expiry."""
        return np.array([leg.slot == "far" for leg in self.template.legs])


def expiries(template: leg_rules.Template, board: Board) -> list[Expiries]:
    """Pairs of expiries with an outlook that fit the template's days, ascending."""
    near = [outlook for outlook in board.outlooks.values() if within(template.dte, outlook.dte)]
    if template.gap is None:
        return [(outlook.expiry, None) for outlook in near]
    return [
        (outlook.expiry, other.expiry)
        for outlook in near
        for other in board.outlooks.values()
        if other.dte > outlook.dte and within(template.gap, other.dte - outlook.dte)
    ]


def within(days: tuple[int, int], dte: int) -> bool:
    """Whether *dte* lies in the range, both ends included."""
    return days[0] <= dte <= days[1]


def build(template: leg_rules.Template, board: Board, pair: Expiries) -> Candidates:
    """
    All combinations of listed options that satisfy *template* at these expiries.

    Nothing is sampled and nothing judged: options without a price are included, so that the rules
    can count them. An option without a delta is in no delta band. Puts lie below calls, or, where
    the template ties a put to a call by `SameStrike`, not above them. Rows come in ascending
    order of strikes, leg by leg in the order in which the template can be resolved.
    """
    column: dict[str, IntArray] = {}
    count = 1
    for leg in template.order:
        rows = board.side(expiry_of(leg, pair), leg.right)
        parent, chosen = _chosen(leg, template, board, rows, column, count, pair)
        column = {name: rows_so_far[parent] for name, rows_so_far in column.items()}
        column[leg.name], count = chosen, chosen.size
    legs = [column[leg.name] for leg in template.legs]
    row = np.stack(legs, axis=1) if legs else np.empty((0, 0), dtype=np.int64)
    return Candidates(template, pair, row[_lawful(template, board.strike[row], column, board)])


def expiry_of(leg: leg_rules.LegRule, pair: Expiries) -> dt.date:
    """The expiry of one leg."""
    near, far = pair
    if leg.slot == "near":
        return near
    assert far is not None
    return far


def _chosen(
    leg: leg_rules.LegRule,
    template: leg_rules.Template,
    board: Board,
    rows: IntArray,
    column: dict[str, IntArray],
    count: int,
    pair: Expiries,
) -> tuple[IntArray, IntArray]:
    """Which partial trade each extension belongs to, and the row that extends it."""
    pick = leg.pick
    strike = board.strike[rows]
    if isinstance(pick, (leg_rules.DeltaBand, leg_rules.Moneyness, leg_rules.AtTheMoney)):
        free = np.flatnonzero(free_choice(pick, board, rows, expiry_of(leg, pair)))
        return np.repeat(np.arange(count), free.size), np.tile(rows[free], count)
    if isinstance(pick, (leg_rules.SameStrike, leg_rules.Mirror)):
        goal = board.strike[column[pick.leg]]
        if isinstance(pick, leg_rules.Mirror):
            goal = 2.0 * board.strike[column[pick.about]] - goal
        first = np.searchsorted(strike, goal - EDGE)
        last = np.searchsorted(strike, goal + EDGE, side="right")
    else:
        unit = board.outlooks[expiry_of(leg, pair)].sigma_points
        first, last = _offset_range(pick, strike, board.strike[column[pick.leg]], unit)
    width = np.maximum(last - first, 0)
    parent = np.repeat(np.arange(count), width)
    start = np.repeat(first - np.concatenate(([0], np.cumsum(width)[:-1])), width)
    return parent, rows[start + np.arange(parent.size)]


def free_choice(
    pick: leg_rules.DeltaBand | leg_rules.Moneyness | leg_rules.AtTheMoney,
    board: Board,
    rows: IntArray,
    expiry: dt.date,
) -> BoolArray:
    """Which of *rows* a pick takes that refers to no other leg."""
    strike = board.strike[rows]
    if isinstance(pick, leg_rules.DeltaBand):
        delta = board.delta[rows]
        return np.asarray((delta >= pick.low) & (delta <= pick.high), dtype=np.bool_)
    if isinstance(pick, leg_rules.Moneyness):
        low, high = pick.low * board.spot - EDGE, pick.high * board.spot + EDGE
        return np.asarray((strike >= low) & (strike <= high), dtype=np.bool_)
    chosen = np.zeros(rows.size, dtype=np.bool_)
    away = np.abs(strike - board.outlooks[expiry].forward)
    chosen[np.argsort(away, kind="stable")[: pick.nearest]] = True
    return chosen


def still(
    template: leg_rules.Template, board: Board, pair: Expiries, row: NDArray[np.int64]
) -> BoolArray:
    """Which trades of *template*, (n, k) rows of the chain, `build` would give on *board*."""
    keep = np.ones(len(row), dtype=np.bool_)
    column = {leg.name: row[:, place] for place, leg in enumerate(template.legs)}
    for leg in template.legs:
        pick, expiry = leg.pick, expiry_of(leg, pair)
        if isinstance(pick, (leg_rules.SameStrike, leg_rules.Mirror)):
            continue  # strikes are what they were
        side = board.side(expiry, leg.right)
        strike = board.strike[side]
        place = np.searchsorted(side, column[leg.name])
        if isinstance(pick, (leg_rules.Below, leg_rules.Above)):
            unit = board.outlooks[expiry].sigma_points
            first, last = _offset_range(pick, strike, board.strike[column[pick.leg]], unit)
            keep &= (place >= first) & (place < last)
        else:
            keep &= free_choice(pick, board, side, expiry)[place]
    return keep


def _offset_range(
    pick: leg_rules.Below | leg_rules.Above,
    strike: FloatArray,
    origin: FloatArray,
    sigma_points: float,
) -> tuple[IntArray, IntArray]:
    """First and one past the last place in *strike* for each origin."""
    low, high = pick.range
    if pick.unit == "strikes":
        if isinstance(pick, leg_rules.Above):
            base = np.searchsorted(strike, origin + EDGE, side="right")
            first, last = base + int(low) - 1, base + int(high)
        else:
            base = np.searchsorted(strike, origin - EDGE)
            first, last = base - int(high), base - int(low) + 1
        return np.clip(first, 0, strike.size), np.clip(last, 0, strike.size)
    unit = sigma_points if pick.unit == "sigmas" else 1.0
    near, far = low * unit - EDGE, high * unit + EDGE
    # A distance of 0 would be the other leg itself.
    near = max(near, EDGE)
    if isinstance(pick, leg_rules.Above):
        return (
            np.searchsorted(strike, origin + near),
            np.searchsorted(strike, origin + far, side="right"),
        )
    return (
        np.searchsorted(strike, origin - far),
        np.searchsorted(strike, origin - near, side="right"),
    )


def _lawful(
    template: leg_rules.Template, strike: FloatArray, column: dict[str, IntArray], board: Board
) -> BoolArray:
    """Puts below calls where the template has both, and its conditions on widths."""
    keep = np.ones(len(strike), dtype=np.bool_)
    calls = [leg.right == "C" for leg in template.legs]
    if any(calls) and not all(calls):
        top = strike[:, [not call for call in calls]].max(axis=1)
        bottom = strike[:, calls].min(axis=1)
        tied = any(
            isinstance(leg.pick, leg_rules.SameStrike)
            and template.leg(leg.pick.leg).right != leg.right
            for leg in template.legs
        )
        keep &= (top <= bottom + EDGE) if tied else (top < bottom - EDGE)
    for rule in template.wider:
        about = board.strike[column[rule.about]]
        outer = np.abs(board.strike[column[rule.leg]] - about)
        inner = np.abs(board.strike[column[rule.than]] - about)
        keep &= outer > inner + EDGE
    return keep
