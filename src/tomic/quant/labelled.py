"""
Columns of pandas in, columns of pandas out, for kernels that take and give plain arrays.

pandas is not imported here: what has an ``index`` and ``to_numpy`` is a column, and what has
``columns`` besides is a table of days by symbols, each column of which is a series of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def labelled(kernel: Callable[P, R]) -> Callable[P, R]:
    """
    Let *kernel* take Series and DataFrames, and give its result the index that they share.

    Of a DataFrame each column is computed by itself. A result with several fields has each of them
    labelled; one that does not run along the index stays as it is. Arrays and numbers beside them
    count by position.

    Raises:
        ValueError: Two of them do not share their index or columns, so that rows of one would meet
            other rows of the other.
    """
    names = tuple(signature(kernel).parameters)

    @wraps(kernel)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        if not any(map(_is_labelled, args)) and not any(map(_is_labelled, kwargs.values())):
            return kernel(*args, **kwargs)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        like = _shared({name: value for name, value in given.items() if _is_labelled(value)})
        plain: Any = [_plain(value) for value in args]
        plain_named: Any = {name: _plain(value) for name, value in kwargs.items()}
        result: R = _again(kernel(*plain, **plain_named), like)
        return result

    return computed


def _is_labelled(value: object) -> bool:
    return hasattr(value, "to_numpy") and hasattr(value, "index")


def _shared(given: Mapping[str, Any]) -> Any:
    """The widest of the labelled arguments, whose labels all others have."""
    (first, one), *others = given.items()
    for name, other in others:
        if not other.index.equals(one.index):
            raise ValueError(
                f"{first} and {name} have different indexes; align them first, as by "
                "pandas.concat([...], axis=1, join='inner')"
            )
    tables = {name: value for name, value in given.items() if hasattr(value, "columns")}
    if not tables:
        return one
    (first, table), *others = tables.items()
    for name, other in others:
        if not other.columns.equals(table.columns):
            raise ValueError(f"{first} and {name} have different columns; give both the same")
    return table


def _plain(value: Any) -> Any:
    if not _is_labelled(value):
        return value
    return value.to_numpy().T if hasattr(value, "columns") else value.to_numpy()


def _again(result: Any, like: Any) -> Any:
    """*result* with the labels of *like*, field by field."""
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(_again(field, like) for field in result))
    is_table = hasattr(like, "columns")
    shape = (len(like.columns), len(like)) if is_table else (len(like),)
    if not isinstance(result, np.ndarray) or result.shape != shape:
        return result
    if is_table:
        return type(like)(result.T, index=like.index, columns=like.columns)
    return type(like)(result, index=like.index, name=like.name)
