"""
Intervals that know how little is known: Wilson for shares, bootstrap over clusters for the rest.

Trades of one symbol and expiry share one outcome, so clusters are drawn, never single trades.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tomic._typing import FloatArray, IntArray
from tomic.models.journal import Interval

Z95 = 1.959963984540054
"""Standard normal quantile of 97.5 %."""

_SEED = 20260720
_CHUNK = 250_000
"""Drawn clusters worked on at once."""
_MOST = 16_000_000
"""Drawn clusters in all; beyond that there are fewer resamples."""
_FEWEST = 200


def wilson(hits: int, n: int, z: float = Z95) -> Interval:
    """
    Share of hits with Wilson's interval; nothing where n is 0.

    Source: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if n == 0:
        return Interval()
    share = hits / n
    scale = 1.0 / (1.0 + z * z / n)
    middle = scale * (share + z * z / (2.0 * n))
    half = scale * z * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == n else middle + half
    return Interval(value=share, low=low, high=high)


def clusters(keys: Sequence[Hashable]) -> IntArray:
    """Number of the cluster that each key belongs to, from 0 in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def resampled_sums(cluster: IntArray, columns: FloatArray, draws: int) -> FloatArray:
    """
    Sums of columns over clusters drawn with replacement, as many as there are.

    Args:
        cluster: (n,) number of the cluster of each row.
        columns: (n, k) what is summed.
        draws: Resamples; over very many clusters fewer, which then suffice.

    Returns:
        (draws, k); the same every time.

    Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap".
    """
    count = int(cluster.max(initial=-1)) + 1
    if count == 0:
        return np.zeros((draws, columns.shape[1]))
    per_cluster = np.zeros((count, columns.shape[1]))
    np.add.at(per_cluster, cluster, columns)
    times = _times_drawn(count, min(draws, max(_FEWEST, _MOST // count)))
    # Single precision: the product reads the whole table, and an interval needs three digits.
    sums: FloatArray = (times @ per_cluster.astype(np.float32)).astype(np.float64)
    return sums


@lru_cache(maxsize=2)
def _times_drawn(count: int, draws: int) -> NDArray[np.float32]:
    """How often each of *count* clusters is drawn in each of *draws* resamples, (draws, count)."""
    rng = np.random.default_rng(_SEED)
    out = np.empty((draws, count), dtype=np.float32)
    rows = max(1, _CHUNK // count)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        drawn = rng.integers(0, count, (size, count))
        drawn += np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count)
        out[start : start + size] = times.reshape(size, count)
    out.setflags(write=False)
    return out


def interval(value: float | None, samples: FloatArray, *, count: int) -> Interval:
    """
    A value with the middle 95 % of its resamples; no interval from fewer than two clusters.
    """
    known = samples[np.isfinite(samples)]
    if value is None or not math.isfinite(value):
        return Interval()
    if count < 2 or known.size == 0:
        return Interval(value=value)
    low, high = np.percentile(known, (2.5, 97.5))
    return Interval(value=value, low=float(low), high=float(high))


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, NaN where bottom is 0."""
    good = bottom != 0.0
    return np.where(good, top / np.where(good, bottom, 1.0), np.nan)
