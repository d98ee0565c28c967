"""
How the kernels take their arguments: broadcast, checked, and cut into blocks that fit the cache.

A ufunc over a million elements streams every temporary through memory; over a couple of thousand
elements they stay in the first two cache levels. Scalars are never expanded: a rate that is one
number costs nothing per option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, Num
from tomic.quant.rights import as_calls


def same_shape(**given: Num) -> tuple[FloatArray, ...]:
    """The arguments as flat float64 arrays; a ``ValueError`` names them where shapes differ."""
    arrays = {name: np.asarray(x, dtype=np.float64) for name, x in given.items()}
    if len({x.shape for x in arrays.values()}) != 1:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
        raise ValueError(f"arguments must have one shape, got {shapes}")
    return tuple(np.atleast_1d(x).ravel() for x in arrays.values())


TRADING_DAYS = 252
"""Trading days in a year, for annualising volatilities."""


def check_window(window: int, least: int) -> None:
    """Reject a window that is too short for its estimator."""
    if window < least:
        raise ValueError(f"window must be >= {least}, got {window}")


def bars(*prices: Num) -> tuple[FloatArray, ...]:
    """Prices as float arrays of one shape, anything but a positive number as NaN."""
    arrays = [np.asarray(price, dtype=np.float64) for price in prices]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or not arrays[0].ndim:
        raise ValueError(f"bars must have one common shape (..., bars), got {sorted(shapes)}")
    return tuple(np.where(np.isfinite(array) & (array > 0.0), array, np.nan) for array in arrays)


def log_bars(*prices: Num) -> tuple[FloatArray, ...]:
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


AnyArray: TypeAlias = NDArray[Any]
"""Float or boolean: code that only moves data works with either."""

BLOCK = 2048
"""Elements per block: sixteen kilobytes a temporary."""

ARGUMENTS = ("spot", "strike", "tau", "rate", "div_yield", "sigma", "is_call")
QUOTE_ARGUMENTS = ("price", "spot", "strike", "tau", "rate", "div_yield", "is_call")


def as_numbers(value: Num, name: str) -> FloatArray:
    """The argument as float64; a ``ValueError`` names what is not a number."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{name} must be numbers, got {value!r:.60}") from exc


def as_floats(value: Num, name: str) -> FloatArray:
    """The argument as float64 with NaN for infinite elements."""
    floats = as_numbers(value, name)
    finite = np.isfinite(floats)
    return floats if np.all(finite) else np.where(finite, floats, np.nan)


def common_shape(names: Sequence[str], arrays: Sequence[AnyArray]) -> tuple[int, ...]:
    """
    The shape all arguments broadcast to.

    Raises:
        ValueError: They do not broadcast; the message lists the shapes.
    """
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        shapes = ", ".join(f"{n} {a.shape}" for n, a in zip(names, arrays, strict=True) if a.ndim)
        raise ValueError(f"shapes do not broadcast: {shapes}") from None


def flat(array: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """One element stays one element, everything else becomes a contiguous vector of *shape*."""
    if array.size == 1:
        return array.reshape(())
    if array.shape == shape:
        return array.reshape(-1)
    return np.broadcast_to(array, shape).reshape(-1)


def per_structure(value: Num, lead: tuple[int, ...]) -> FloatArray:
    """One float64 per structure: *value* broadcast to the shape *lead*, as a vector."""
    return np.broadcast_to(np.asarray(value, dtype=np.float64), lead).reshape(-1)


def blocks(arrays: Sequence[AnyArray], size: int) -> Iterator[tuple[slice, list[AnyArray]]]:
    """Cut flattened arguments into pieces of at most ``BLOCK`` elements; scalars pass through."""
    for start in range(0, size, BLOCK):
        piece = slice(start, min(start + BLOCK, size))
        yield piece, [array[piece] if array.ndim else array for array in arrays]


def require(condition: BoolArray, name: str, inequality: str, values: FloatArray) -> None:
    """
    Check an inequality for every value that is not NaN.

    Raises:
        ValueError: For example ``sigma must be >= 0, got -0.2 at index 17``.
    """
    if np.all(condition):
        return
    wrong = ~(condition | np.isnan(values))
    if not np.any(wrong):
        return
    if values.ndim == 0:
        raise ValueError(f"{name} must be {inequality}, got {float(values):g}")
    where = np.unravel_index(int(np.argmax(wrong)), values.shape)
    index = where[0] if len(where) == 1 else tuple(int(i) for i in where)
    raise ValueError(f"{name} must be {inequality}, got {float(values[where]):g} at index {index}")


def market_arguments(
    spot: Num, strike: Num, tau: Num, rate: Num, div_yield: Num, sigma: Num, is_call: Num
) -> tuple[tuple[int, ...], list[FloatArray], BoolArray]:
    """
    Check the seven arguments of a pricing kernel and flatten them.

    Raises:
        ValueError: ``spot >= 0``, ``strike > 0`` or ``sigma >= 0`` fails, or the shapes do not
            broadcast.
    """
    given = (spot, strike, tau, rate, div_yield, sigma)
    floats = [as_floats(value, name) for value, name in zip(given, ARGUMENTS, strict=False)]
    calls = as_calls(is_call)
    shape = common_shape(ARGUMENTS, [*floats, calls])
    require(floats[0] >= 0.0, "spot", ">= 0", floats[0])
    require(floats[1] > 0.0, "strike", "> 0", floats[1])
    require(floats[5] >= 0.0, "sigma", ">= 0", floats[5])
    return shape, [flat(array, shape) for array in floats], flat(calls, shape)
