"""
How the kernels take their arguments: rights as people write them, numbers broadcast and checked,
all of it cut into blocks that fit the cache.

numpy treats every text but the empty one as true, and NaN too: a column of "C" and "P" would be a
column of calls. And a ufunc over a million elements streams every temporary through memory; over
some ten thousand they stay in the second-level cache, and what a call costs by itself hardly
counts. Scalars are never expanded: a rate that is one number costs nothing per option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, Num

AnyArray: TypeAlias = NDArray[Any]
"""Float or boolean: code that only moves data works with either."""

BLOCK = 12_288
"""
Elements per block: 96 kilobytes a temporary, so that the few in use stay in the second-level cache
and none reaches the 128 kilobytes from which the allocator maps fresh pages.
"""

ARGUMENTS = ("spot", "strike", "tau", "rate", "div_yield", "sigma", "is_call")
_NOT_NEGATIVE = frozenset({"spot", "forward", "sigma", "total_vol"})
QUOTE_ARGUMENTS = ("price", "spot", "strike", "tau", "rate", "div_yield", "is_call")
_CALLS = {"C": True, "CALL": True, "P": False, "PUT": False}


def as_calls(value: Num, name: str = "is_call") -> BoolArray:
    """
    Which of these are calls: true or false, 1 or 0, C or P, call or put, in any case.

    Arrays of numpy, lists, and the columns of pandas are taken alike; the shape is kept.

    Raises:
        ValueError: Anything else, a missing value included; it names the first and its index.
    """
    return _booleans(value, name, "C or P, call or put, true or false", rights=True)


def as_flags(value: Num, name: str) -> BoolArray:
    """
    True or false, 1 or 0, as booleans of the same shape.

    Raises:
        ValueError: Anything else, a missing value included; it names the first and its index.
    """
    return _booleans(value, name, "true or false", rights=False)


def _booleans(value: Num, name: str, allowed: str, *, rights: bool) -> BoolArray:
    if isinstance(value, np.ma.MaskedArray):
        # What is masked is missing; without this numpy would take what lies below the mask.
        below = value.data.astype(object)
        below[np.ma.getmaskarray(value)] = None
        value = below
    try:
        array = np.asarray(value)
    except ValueError as exc:
        raise ValueError(f"{name} must be {allowed}, got {value!r:.60}") from exc
    if array.dtype.kind == "b":
        return np.asarray(array, dtype=np.bool_)
    if array.dtype.kind in "iuf":
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            raise _refusal(name, allowed, array, wrong)
        return np.asarray(array == 1)
    if array.size == 0:
        return np.zeros(array.shape, dtype=np.bool_)
    # Few different values in many rows: each is read once.
    known: dict[Any, bool | None] = {}
    flat = array.ravel().tolist()
    read = [
        known[each] if each in known else known.setdefault(each, _read(each, rights=rights))
        for each in map(_hashable, flat)
    ]
    wrong = np.array([each is None for each in read]).reshape(array.shape)
    if wrong.any():
        raise _refusal(name, allowed, array, wrong)
    return np.array(read, dtype=np.bool_).reshape(array.shape)


def _hashable(value: object) -> object:
    # 1, 1.0 and True are one key and mean the same; what has no hash is not a right.
    return value if isinstance(value, str | bytes | bool | int | float | np.generic) else None


def _read(value: object, *, rights: bool) -> bool | None:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        return _CALLS.get(value.upper()) if rights else None
    if isinstance(value, bool | np.bool_ | int | float | np.number) and value in (0, 1):
        return bool(value)
    return None


def _refusal(name: str, allowed: str, array: np.ndarray[Any, Any], wrong: BoolArray) -> ValueError:
    if array.ndim == 0:
        return ValueError(f"{name} must be {allowed}, got {array.item()!r:.60}")
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), array.shape))
    at = where[0] if len(where) == 1 else where
    given = array[where]
    shown = given.item() if isinstance(given, np.generic) else given
    return ValueError(f"{name} must be {allowed}, got {shown!r:.60} at index {at}")


def same_shape(**given: Num) -> tuple[FloatArray, ...]:
    """The arguments as flat float64 arrays; a ``ValueError`` names them where shapes differ."""
    arrays = {name: np.asarray(x, dtype=np.float64) for name, x in given.items()}
    if len({x.shape for x in arrays.values()}) != 1:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
        raise ValueError(f"arguments must have one shape, got {shapes}")
    return tuple(np.atleast_1d(x).ravel() for x in arrays.values())


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
    return floats if everywhere(finite) else np.where(finite, floats, np.nan)


def everywhere(condition: BoolArray) -> bool:
    """Whether it holds for every element; for few of them a fifth of the time of ``np.all``."""
    return bool(condition if condition.ndim == 0 else condition.all())


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
    array = np.asarray(value, dtype=np.float64)
    return (array if array.shape == lead else np.broadcast_to(array, lead)).reshape(-1)


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
    if everywhere(condition):
        return
    wrong = ~(condition | np.isnan(values))
    if not np.any(wrong):
        return
    if values.ndim == 0:
        raise ValueError(f"{name} must be {inequality}, got {float(values):g}")
    where = np.unravel_index(int(np.argmax(wrong)), values.shape)
    index = where[0] if len(where) == 1 else tuple(int(i) for i in where)
    raise ValueError(f"{name} must be {inequality}, got {float(values[where]):g} at index {index}")


def kernel_arguments(
    names: Sequence[str], given: Sequence[Num], *, checked: bool = True
) -> tuple[tuple[int, ...], list[AnyArray]]:
    """
    The shape that *given* broadcasts to and each of them flat: numbers, and the rights last.

    Args:
        checked: Whether infinite elements become NaN and the bounds of each name are checked.

    Raises:
        ValueError: A bound fails, an argument is not a number, or the shapes do not broadcast.
    """
    read = as_floats if checked else as_numbers
    arrays: list[AnyArray] = [read(x, name) for x, name in zip(given[:-1], names, strict=False)]
    arrays.append(as_calls(given[-1]))
    shape = common_shape(names, arrays)
    if checked:
        for name, array in zip(names, arrays, strict=True):
            if name in _NOT_NEGATIVE:
                require(array >= 0.0, name, ">= 0", array)
            elif name == "strike":
                require(array > 0.0, name, "> 0", array)
    return shape, [flat(array, shape) for array in arrays]


def legs(**given: Num) -> list[AnyArray]:
    """
    Legs broadcast to one shape (..., k), rights as booleans and all else as float64.

    Raises:
        ValueError: They do not share a shape, or have no axis of legs.
    """
    arrays: list[AnyArray] = [
        as_calls(value) if name == "is_call" else np.asarray(value, dtype=np.float64)
        for name, value in given.items()
    ]
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        *most, last = given
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"{', '.join(most)} and {last} must share a shape, got {shapes}") from None
    if not shape:
        raise ValueError("legs must have an axis of their own: shape (k,) or (n, k), got a scalar")
    return [array if array.shape == shape else np.broadcast_to(array, shape) for array in arrays]
