"""The five trades of a week that a ranking puts first, and five that nothing chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, IntArray

FIVE = 5
MOST_OF_A_SYMBOL, MOST_OF_A_STRUCTURE = 2, 3


class TopLimits(NamedTuple):
    """How many are chosen of a week, and of what."""

    most: int = FIVE
    of_symbol: int = MOST_OF_A_SYMBOL
    of_structure: int = MOST_OF_A_STRUCTURE


OF_THE_FINDINGS = TopLimits()


def top(
    score: FloatArray, week: IntArray, symbol: IntArray, structure: IntArray,
    *, limits: TopLimits = OF_THE_FINDINGS, thesis: IntArray | None = None,
) -> IntArray:  # fmt: skip
    """
    Rows chosen week by week, best first, within *limits*.

    Args:
        score: (n,); a row whose score is NaN is never chosen.
        week, symbol, structure: (n,) numbers that tell them apart.
        thesis: (n,) the same; no two of one are chosen of a week.

    Returns:
        Indices, week by week; of equal scores the earlier row goes first.
    """
    known = np.flatnonzero(~np.isnan(score))
    order = known[np.lexsort((known, -score[known], week[known]))]
    edges = np.flatnonzero(np.diff(week[order])) + 1
    kinds = [(symbol, limits.of_symbol), (structure, limits.of_structure)]
    if thesis is not None:
        kinds.append((thesis, 1))
    chosen = [_few(group, kinds, limits.most) for group in np.split(order, edges)]
    return np.array([row for few in chosen for row in few], dtype=np.int64)


def at_random(
    week: IntArray, symbol: IntArray, structure: IntArray,
    *, seed: int, limits: TopLimits = OF_THE_FINDINGS, thesis: IntArray | None = None,
) -> IntArray:  # fmt: skip
    """As `top` by a score that means nothing."""
    score = np.random.default_rng(seed).random(week.size)
    return top(score, week, symbol, structure, limits=limits, thesis=thesis)


def by_week(rows: IntArray, week: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Weeks that *rows* fall in, ascending, and the mean of *values* (n,) in each."""
    weeks, place = np.unique(week[rows], return_inverse=True)
    total = np.bincount(place, values[rows], weeks.size)
    return weeks, total / np.bincount(place, minlength=weeks.size)


def _few(ordered: IntArray, kinds: Sequence[tuple[IntArray, int]], count: int) -> list[int]:
    """The first *count* of *ordered* that leave room for others of each kind."""
    few: list[int] = []
    used: list[Counter[int]] = [Counter() for _ in kinds]
    most = [limit for _, limit in kinds]
    columns = [kind[ordered].tolist() for kind, _ in kinds]
    for row, *own in zip(ordered.tolist(), *columns, strict=True):
        if any(seen[each] >= limit for seen, each, limit in zip(used, own, most, strict=True)):
            continue
        few.append(row)
        for seen, each in zip(used, own, strict=True):
            seen[each] += 1
        if len(few) == count:
            break
    return few
