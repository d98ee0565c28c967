"""
Bars as clean arrays, and sums over a rolling window.

Shared by the estimators of realized volatility; bars run along the last axis, oldest first.
"""

from __future__ import annotations

import numpy as np

from tomic._typing import FloatArray, FloatLike

TRADING_DAYS = 252
"""In a year: what volatilities are annualised with."""


def check_window(window: int, least: int) -> None:
    """Refuse a window too short for its estimator."""
    if window < least:
        raise ValueError(f"window must be >= {least}, got {window}")


def bars(*prices: FloatLike) -> tuple[FloatArray, ...]:
    """Prices as float arrays of one shape, anything but a positive number as NaN."""
    arrays = [np.asarray(price, dtype=np.float64) for price in prices]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or not arrays[0].ndim:
        raise ValueError(f"bars must have one common shape (..., bars), got {sorted(shapes)}")
    return tuple(np.where(np.isfinite(array) & (array > 0.0), array, np.nan) for array in arrays)


def log_bars(*prices: FloatLike) -> tuple[FloatArray, ...]:
    """Natural logarithms of `bars`."""
    return tuple(np.log(price) for price in bars(*prices))


def window_sum(values: FloatArray, window: int, decay: float = 1.0) -> FloatArray:
    """
    Sum over the last *window* values, each *decay* times lighter than the one after it.

    Doubles the span log2(window) times. Unlike a difference of running totals this keeps a NaN
    inside its own windows and adds no rounding from days long gone.
    """
    result = np.full(values.shape, np.nan)
    size = values.shape[-1]
    if size < window:
        return result
    # Element j of `reach` covers `span` values from j on, of `total` the newest `done` from j on.
    reach, total = values, values
    span, done = 1, 0
    while True:
        if window & span:
            older = decay**done * reach[..., : size - done - span + 1]
            total = total[..., span:] + older if done else older
            done += span
        if done == window:
            break
        reach = reach[..., span:] + decay**span * reach[..., :-span]
        span *= 2
    result[..., window - 1 :] = total
    return result


def sample_variance(values: FloatArray, window: int) -> FloatArray:
    """Variance (n - 1) of the last *window* values."""
    total, squares = window_sum(values, window), window_sum(values**2, window)
    return np.maximum(squares - total**2 / window, 0.0) / (window - 1.0)
