"""
Calls and puts as people write them, and flags: what every kernel takes where it says `is_call`.

numpy treats every text but the empty one as true, and NaN too: a column of "C" and "P" would be a
column of calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tomic._typing import BoolArray, Num

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
