"""The five trades of a week that a ranking puts first, and five that nothing chose."""

from __future__ import annotations

import numpy as np

from tomic._typing import FloatArray, IntArray

FIVE = 5
MOST_OF_A_SYMBOL, MOST_OF_A_STRUCTURE = 2, 3


def top(
    score: FloatArray, week: IntArray, symbol: IntArray, structure: IntArray, *, count: int = FIVE
) -> IntArray:
    """
    Rows chosen week by week, best first: at most two of a symbol and three of a structure.

    Args:
        score: (n,); a row whose score is NaN is never chosen.
        week, symbol, structure: (n,) numbers that tell them apart.

    Returns:
        Indices, week by week; of equal scores the earlier row goes first.
    """
    known = np.flatnonzero(~np.isnan(score))
    order = known[np.lexsort((known, -score[known], week[known]))]
    edges = np.flatnonzero(np.diff(week[order])) + 1
    chosen = [_few(group, symbol, structure, count) for group in np.split(order, edges)]
    return np.array([row for few in chosen for row in few], dtype=np.int64)


def at_random(
    week: IntArray, symbol: IntArray, structure: IntArray, *, seed: int, count: int = FIVE
) -> IntArray:
    """As `top` by a score that means nothing."""
    score = np.random.default_rng(seed).random(week.size)
    return top(score, week, symbol, structure, count=count)


def by_week(rows: IntArray, week: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Weeks that *rows* fall in, ascending, and the mean of *values* (n,) in each."""
    weeks, place = np.unique(week[rows], return_inverse=True)
    total = np.bincount(place, values[rows], weeks.size)
    return weeks, total / np.bincount(place, minlength=weeks.size)


def _few(ordered: IntArray, symbol: IntArray, structure: IntArray, count: int) -> list[int]:
    """The first *count* of *ordered* that leave room for other symbols and structures."""
    few: list[int] = []
    used: dict[tuple[str, int], int] = {}
    for row in ordered.tolist():
        one, other = ("symbol", int(symbol[row])), ("structure", int(structure[row]))
        if used.get(one, 0) == MOST_OF_A_SYMBOL or used.get(other, 0) == MOST_OF_A_STRUCTURE:
            continue
        few.append(row)
        used[one], used[other] = used.get(one, 0) + 1, used.get(other, 0) + 1
        if len(few) == count:
            break
    return few
