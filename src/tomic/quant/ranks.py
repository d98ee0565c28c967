"""
Where a value stands in its history: rank and percentile, of today and of every day.

`tomic.quant.realized` gives these out under its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, FloatLike, IntArray
from tomic.quant._windows import TRADING_DAYS, check_window


class Place(NamedTuple):
    """Where a value stands in its history, and over how many values that was counted."""

    value: FloatArray
    n: IntArray


def iv_rank(value: FloatLike, history: FloatLike) -> Place:
    """
    (value - lowest) / (highest - lowest) of the history, a fraction.

    Below 0 or above 1 at a new extreme. *history* excludes today; its NaN days are left out and
    ``n`` counts the rest. NaN where the history is empty or does not move.

    Args:
        value: Today's, shape ``(...)``.
        history: Shape ``(..., days)``, in the unit of *value*.
    """
    today, days, known = _placed(value, history)
    n = known.sum(axis=-1)
    lowest = np.min(days, axis=-1, where=known, initial=np.inf)
    highest = np.max(days, axis=-1, where=known, initial=-np.inf)
    moves = highest > lowest
    span = np.where(moves, highest - lowest, 1.0)
    return Place(np.where(moves, (today - np.where(moves, lowest, 0.0)) / span, np.nan)[()], n)


def iv_percentile(value: FloatLike, history: FloatLike) -> Place:
    """
    Share of the days in the history that were strictly below *value*, a fraction.

    Shapes, missing days and ``n`` as for `iv_rank`; NaN where the history is empty.
    """
    today, days, known = _placed(value, history)
    n = known.sum(axis=-1)
    below = ((days < today[..., None]) & known).sum(axis=-1)
    present = (n > 0) & ~np.isnan(today)
    return Place(np.where(present, below / np.maximum(n, 1), np.nan)[()], n)


def rolling_place(
    kind: Callable[[FloatLike, FloatLike], Place],
    series: FloatLike,
    window: int = TRADING_DAYS,
    *,
    least: int | None = None,
) -> Place:
    """
    `iv_rank` or `iv_percentile` of every day in the *window* days before it.

    Args:
        kind: The function to apply.
        series: One value a day, shape ``(..., days)``; NaN where missing.
        least: Days that must be present, *window* when not given.

    Returns:
        Arrays in the shape of *series*; NaN where fewer than *least* earlier days are present.
    """
    check_window(window, 1)
    values = np.asarray(series, dtype=np.float64)
    padded = np.concatenate([np.full((*values.shape[:-1], window), np.nan), values], axis=-1)
    before = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)[..., :-1, :]
    place, n = kind(values, before)
    return Place(np.where(n >= (window if least is None else least), place, np.nan), n)


def _placed(value: FloatLike, history: FloatLike) -> tuple[FloatArray, FloatArray, BoolArray]:
    days = np.asarray(history, dtype=np.float64)
    if not days.ndim:
        raise ValueError("history must have a last axis of days, got a scalar")
    shape = np.broadcast_shapes(np.shape(value), days.shape[:-1])
    today = np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
    days = np.broadcast_to(days, (*shape, days.shape[-1]))
    return today, days, np.isfinite(days)
