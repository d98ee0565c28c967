"""
A smooth curve through points that never overshoots them: piecewise cubic, monotone where they are.

Sources: Fritsch and Carlson (1980), "Monotone Piecewise Cubic Interpolation"; Fritsch and Butland
(1984), "A Method for Constructing Local Monotone Piecewise Cubic Interpolants".
"""

from __future__ import annotations

import numpy as np

from tomic._typing import FloatArray, Num


def interpolate(x: FloatArray, y: FloatArray, at: Num) -> FloatArray:
    """
    Value at *at* of the curve through (x, y); beyond the ends those of the ends.

    Args:
        x: (n,) ascending, no two alike, n >= 1.
        y: (n,).
        at: Any shape.

    Returns:
        The shape of *at*; NaN where it is NaN.
    """
    place = np.clip(np.asarray(at, dtype=np.float64), x[0], x[-1])
    if x.size < 3:
        return np.asarray(np.interp(place, x, y))
    step = np.diff(x)
    secant = np.diff(y) / step
    slope = _slopes(step, secant)
    cell = np.clip(np.searchsorted(x, place, side="right") - 1, 0, x.size - 2)
    h, t = step[cell], (place - x[cell]) / step[cell]
    s = 1.0 - t
    return np.asarray(
        s * s * ((1.0 + 2.0 * t) * y[cell] + t * h * slope[cell])
        + t * t * ((3.0 - 2.0 * t) * y[cell + 1] - s * h * slope[cell + 1])
    )


def _slopes(step: FloatArray, secant: FloatArray) -> FloatArray:
    """Derivative at each point: 0 where the secants turn, else their weighted harmonic mean."""
    slope = np.zeros(step.size + 1)
    left, right = 2.0 * step[1:] + step[:-1], step[1:] + 2.0 * step[:-1]
    same = secant[1:] * secant[:-1] > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (left + right) / (left / secant[:-1] + right / secant[1:])
    slope[1:-1] = np.where(same, mean, 0.0)
    slope[0] = _end(step[0], step[1], secant[0], secant[1])
    slope[-1] = _end(step[-1], step[-2], secant[-1], secant[-2])
    return slope


def _end(near: float, far: float, first: float, second: float) -> float:
    """One-sided derivative by three points, kept from turning back."""
    slope = ((2.0 * near + far) * first - near * second) / (near + far)
    if slope * first <= 0.0:
        return 0.0
    if first * second <= 0.0 and abs(slope) > 3.0 * abs(first):
        return 3.0 * first
    return float(slope)
