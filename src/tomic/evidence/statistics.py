"""
What a record of trades proves: intervals over months, slopes, calibration.

Trades of one month share its market, and those of neighbouring ones overlap: intervals come from
resampling whole months in circular blocks of two, never from resampling trades. Blocks are few, so
the spread of the draws is too small by a degree of freedom and its tails are Student's: intervals
are stretched about the estimate by what that comes to.

Sources: Politis and Romano (1992), "A Circular Block-Resampling Procedure for Stationary Data";
Brier (1950), "Verification of Forecasts Expressed in Terms of Probability".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from tomic._typing import FloatArray, IntArray
from tomic.evidence.history import Dates

BLOCK_MONTHS = 2
DRAWS = 2000
LEVEL = 0.90
WINSOR = 0.5
"""P&L per margin at which the findings cut what came, so that a few trades make no slope."""


class Interval(NamedTuple):
    """An estimate with its month-block interval."""

    value: float
    low: float
    high: float
    months: int
    """Months that the data fall in; half as many blocks are independent at best."""

    def holds(self, value: float) -> bool:
        """Whether *value* lies inside."""
        return self.low <= value <= self.high


class Bin(NamedTuple):
    """Forecasts of about one size, and what came."""

    said: float
    came: float
    rows: int


def months(day: Dates) -> IntArray:
    """Months since 1970 of each day."""
    return np.asarray(day.astype("datetime64[M]").astype(np.int64))


def interval(
    month: IntArray,
    columns: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """
    A statistic of sums, and where it lies in 90 % of the histories that could have been.

    Args:
        month: (n,) of each row.
        columns: (n, p) summands; rows with a NaN are left out.
        statistic: Maps totals (..., p) to values (...).

    Returns:
        NaN throughout where there is no row; an interval of no width for a single month.
    """
    known = ~np.isnan(columns).any(axis=1)
    place = month[known] - (month[known].min() if known.any() else 0)
    if not known.any():
        return Interval(np.nan, np.nan, np.nan, 0)
    size = int(place.max()) + 1
    sums = np.stack([np.bincount(place, column, size) for column in columns[known].T], axis=-1)
    sums = sums[np.bincount(place, minlength=size) > 0]
    value = float(statistic(sums.sum(axis=0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = statistic(resampled(sums.shape[0], draws, seed) @ sums)
    low, high = np.nanquantile(drawn, [0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0])
    wider = _stretch(sums.shape[0])
    return Interval(
        value, float(value - wider * (value - low)), float(value + wider * (high - value)),
        sums.shape[0],
    )  # fmt: skip


def _stretch(months: int) -> float:
    """How much wider an interval from few blocks is than its draws say."""
    blocks = max(months // BLOCK_MONTHS, 2)
    tail = 0.5 + LEVEL / 2.0
    return float(stdtrit(blocks - 1, tail) / ndtri(tail) * np.sqrt(blocks / (blocks - 1.0)))


def resampled(count: int, draws: int, seed: int) -> FloatArray:
    """How often each of *count* months is in each draw, (draws, count), by circular blocks."""
    generator = np.random.default_rng(seed)
    blocks = -(-count // BLOCK_MONTHS)
    start = generator.integers(0, count, (draws, blocks, 1))
    chosen = (start + np.arange(BLOCK_MONTHS)).reshape(draws, -1)[:, :count] % count
    weight = np.zeros((draws, count))
    np.add.at(weight, (np.arange(draws)[:, None], chosen), 1.0)
    return weight


def mean(month: IntArray, values: FloatArray, *, seed: int = 0) -> Interval:
    """Mean of *values* (n,)."""
    columns = np.stack((values, np.where(np.isnan(values), np.nan, 1.0)), axis=1)
    return interval(month, columns, lambda total: total[..., 0] / total[..., 1], seed=seed)


def regression(month: IntArray, factors: FloatArray, came: FloatArray) -> list[Interval]:
    """
    Ordinary least squares of *came* (n,) on *factors* (n, p), a constant first.

    Returns:
        The constant and p slopes; NaN throughout where the factors do not tell them apart.
    """
    design = np.column_stack((np.ones(came.size), factors))
    width = design.shape[1]
    products = design[:, :, None] * np.column_stack((design, came))[:, None, :]
    columns = products.reshape(came.size, -1)

    def coefficients(total: FloatArray) -> FloatArray:
        table = total.reshape(*total.shape[:-1], width, width + 1)
        return np.asarray(np.linalg.pinv(table[..., :width]) @ table[..., width:])[..., 0]

    return [
        interval(month, columns, partial(_coefficient, coefficients, place))
        for place in range(width)
    ]


def _coefficient(
    coefficients: Callable[[FloatArray], FloatArray], place: int, total: FloatArray
) -> FloatArray:
    return np.asarray(coefficients(total)[..., place])


def slope(
    month: IntArray, promised: FloatArray, came: FloatArray, *, winsor: float = np.inf
) -> Interval:
    """Slope of the line through (promised, came), what came cut at +-*winsor*."""
    return regression(month, promised[:, None], np.clip(came, -winsor, winsor))[1]


def reliability(said: FloatArray, happened: FloatArray, bins: int = 10) -> list[Bin]:
    """Probabilities in *bins* of equal width and how often it happened; empty bins are left out."""
    place = np.clip((said * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, part, bins) for part in (said, happened))
    told, won = sums
    return [
        Bin(float(told[row] / count[row]), float(won[row] / count[row]), int(count[row]))
        for row in np.flatnonzero(count)
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean distance of said and came, weighed by count."""
    total = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.said - each.came) for each in bins) / total if total else np.nan


def brier(said: FloatArray, happened: FloatArray) -> float:
    """Mean squared error of probabilities; .25 is what a coin says."""
    return float(np.mean((said - happened) ** 2)) if said.size else np.nan


def deciles(by: FloatArray, came: FloatArray, count: int = 10) -> list[Bin]:
    """Rows in *count* groups of equal number by a forecast: its mean, what came, how many."""
    order = np.argsort(by, kind="stable")
    groups = (group for group in np.array_split(order, count) if group.size)
    return [Bin(float(by[g].mean()), float(came[g].mean()), int(g.size)) for g in groups]
