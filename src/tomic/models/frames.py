"""
Results as DataFrames: a row each, plain values in the columns, and a table in a notebook.

pandas is imported when the first frame is asked for. A frame belongs to whoever asked: each call
makes a new one, and nothing done to it is seen here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_PLAIN = (str, int, float, bool, dt.date, dt.timedelta)
_MOST_ROWS = 40


class Framed:
    """A result that `to_frame` gives as a DataFrame, and a notebook shows as a table."""

    __slots__ = ()

    def _framed(self) -> Iterable[Any]:
        """What the rows are made of: models, dataclasses or mappings."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """
        The rows as a DataFrame of the caller's own; columns are the fields of their class.

        Fractions stay fractions and money stays in its currency, as in the fields. A missing number
        is NaN, an amount without a bound infinite, a day a ``datetime64``. Fields of a part have
        its name before theirs (``greeks_delta``); what holds several values is left out, but for
        texts, which are joined.
        """
        return frame_of(self._framed())

    def _repr_html_(self) -> str:
        return to_html(self.to_frame(), self._heading())

    def _heading(self) -> str:
        return ""


class OneRow(Framed):
    """A result that is one row, by itself and among others."""

    __slots__ = ()

    def _row(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def _framed(self) -> Iterable[Any]:
        return (self._row(),)


class Rows(list[T], Framed):
    """A list of results, which gives all of them as one DataFrame."""

    __slots__ = ()

    def _framed(self) -> Iterable[Any]:
        return self


def frame_of(items: Iterable[Any]) -> pd.DataFrame:
    """A new DataFrame with a row for each of *items*: models, dataclasses or mappings."""
    import pandas as pd

    frame = pd.DataFrame([row_of(item) for item in items])
    for name in frame.columns:
        column = frame[name]
        known = column.dropna()
        if known.empty:
            frame[name] = math.nan
        elif column.dtype == object and all(isinstance(value, dt.date) for value in known):
            aware = any(isinstance(value, dt.datetime) and value.tzinfo for value in known)
            frame[name] = pd.to_datetime(column, utc=aware)
    return frame


def row_of(item: Any, before: str = "") -> dict[str, Any]:
    """The plain values of a model, dataclass or mapping by name, those of its parts among them."""
    if isinstance(item, OneRow):
        item = item._row()
    row: dict[str, Any] = {}
    for name, value, is_part in _fields(item):
        if isinstance(value, Enum):
            row[before + name] = value.value
        elif isinstance(value, _PLAIN) or (value is None and not is_part):
            row[before + name] = value
        elif isinstance(value, BaseException):
            row[before + name] = str(value)
        elif isinstance(value, tuple | list) and all(isinstance(text, str) for text in value):
            row[before + name] = "; ".join(value)
        elif isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
            row |= row_of(value, f"{before}{name}_")
    return row


def _fields(item: Any) -> Iterable[tuple[str, Any, bool]]:
    """Name and value of each field, and whether it holds a part with fields of its own."""
    if isinstance(item, BaseModel):
        for name, info in type(item).model_fields.items():
            yield name, getattr(item, name), _has_fields(info.annotation)
    elif dataclasses.is_dataclass(item):
        for field in dataclasses.fields(item):
            yield field.name, getattr(item, field.name), False
    elif isinstance(item, Mapping):
        for name, value in item.items():
            yield str(name), value, False
    else:
        yield "value", item, False


def _has_fields(annotation: Any) -> bool:
    kinds = (annotation, *get_args(annotation))
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)


def to_html(frame: pd.DataFrame, heading: str = "") -> str:
    """A table for a notebook, numbers short and what is missing a dash."""
    table: str = frame.to_html(
        max_rows=_MOST_ROWS, na_rep="–", float_format=lambda value: f"{value:,.4g}", border=0
    )
    return f"<p><b>{escape(heading)}</b></p>{table}" if heading else table
