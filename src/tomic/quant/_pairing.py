"""
The cheapest way to cover short legs: a transport problem, small and solved exactly.

Short legs are covered by long ones at a cost per pair; what no long leg can cover stays naked.
"""

from __future__ import annotations

import numpy as np

from tomic._typing import FloatArray


def cover(
    short: FloatArray, long: FloatArray, cost: FloatArray, naked: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """
    Cover as much as possible of the short amounts, at the least total cost.

    Args:
        short: (i,) amounts to cover, > 0.
        long: (j,) amounts that can cover, > 0.
        cost: (i, j) cost of covering one unit, >= 0; inf where the pair is not allowed.
        naked: (i,) cost of leaving one unit uncovered; inf where that is not allowed.

    Returns:
        Covered amounts (i, j), and what stays naked (i,). Ties are broken towards earlier legs, so
        sorted input gives one answer.
    """
    pairs = np.argwhere(np.isfinite(cost) & (long > 0.0))
    if pairs.size == 0:
        return np.zeros(cost.shape), short.copy()
    # Here and not above: the module costs 0.1 s to import and most structures never need it.
    from scipy.optimize import linprog

    saved = np.where(np.isfinite(naked), naked, 0.0)[pairs[:, 0]]
    price = cost[pairs[:, 0], pairs[:, 1]] - saved
    # A reward larger than any cost: covering comes before saving.
    reward = 2.0 * (np.abs(price).max() + 1.0) * (short.size + long.size)
    tie = 1e-9 * np.arange(price.size)
    rows = np.zeros((short.size + long.size, price.size))
    rows[pairs[:, 0], np.arange(price.size)] = 1.0
    rows[short.size + pairs[:, 1], np.arange(price.size)] = 1.0
    answer = linprog(
        price + tie - reward, A_ub=rows, b_ub=np.concatenate((short, long)), method="highs-ds"
    )
    flow = np.zeros(cost.shape)
    flow[pairs[:, 0], pairs[:, 1]] = np.round(np.asarray(answer.x, dtype=np.float64), 9)
    return flow, np.maximum(short - flow.sum(axis=1), 0.0)
