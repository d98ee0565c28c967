"""
What a page shows of a JSON document: facts, tables, notes and pictures, each by JSON pointer.

A page holds no numbers of its own: every cell says where in the document its value is (RFC 6901),
so a page cannot differ from its JSON.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tomic.models.documents import UNLIMITED, flag_of
from tomic.present.proposal import source_text
from tomic.present.text import number

Kind: TypeAlias = Literal[
    "text", "words", "money", "cents", "pnl", "price", "share", "share0", "ratio", "number",
    "whole", "day", "time", "list", "source",
]  # fmt: skip
"""How a value is written; see `FORMATS`."""

MISSING = "–"


@dataclass(frozen=True, slots=True)
class FigureColumn:
    """One figure: its heading, where it is below its row, how it is written, what it means."""

    label: str
    at: str
    kind: Kind = "text"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The objects of a list, one a row."""

    at: str
    """Pointer to the list."""
    columns: tuple[FigureColumn, ...]
    caption: str = ""
    empty: str = ""
    """Said instead where the list is empty."""


@dataclass(frozen=True, slots=True)
class FigureGrid:
    """Figures of one object, side by side."""

    at: str
    columns: tuple[FigureColumn, ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    """A list of sentences."""

    at: str
    kind: Literal["note", "alarm", "order"] = "note"
    """``order`` is what somebody types, as it stands."""


@dataclass(frozen=True, slots=True)
class SvgPicture:
    """A picture as SVG text."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side where there is room."""

    figures: tuple[SvgPicture, ...]


@dataclass(frozen=True, slots=True)
class Sliders:
    """
    One structure under three sliders; without a script the table stands alone.

    The object at *at* has ``moves``, ``vols`` and ``horizons``, and ``cells`` by volatility, move
    and horizon; the table shows the cells of the volatility as it is.
    """

    at: str
    table: FigureTable
    """Its rows are the moves; its first two columns say which, the others are the horizons."""
    is_open: bool = False


Part: TypeAlias = FigureTable | FigureGrid | Sentences | SvgPicture | Gallery | Sliders


@dataclass(frozen=True, slots=True)
class ReportSection:
    """Parts under a heading."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A whole report."""

    title: str
    document: Mapping[str, Any]
    """JSON-ready: what the page shows and embeds."""
    head: tuple[FigureColumn, ...]
    """Data time, source and quality, on top; pointers from the root."""
    sections: tuple[ReportSection, ...] = field(default=())
    partial: str = ""
    """What asking again may add, in a line; empty when all that was asked for is there."""


def resolve(document: Any, pointer: str) -> Any:
    """
    The value at a JSON pointer; None where an object on the way is None.

    Raises:
        KeyError, IndexError: There is nothing at *pointer*.
    """
    value = document
    for part in pointer.split("/")[1:]:
        if value is None:
            return None
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list | tuple) else value[key]
    return value


def written(value: Any, kind: Kind) -> str:
    """*value* as people read it; a dash where there is none."""
    if value is None or value == "" or value == []:
        return MISSING
    if kind in _NUMERIC:
        if not isinstance(value, int | float):
            return str(value)
        return UNLIMITED if math.isinf(value) else FORMATS[kind](value).replace("-", "−")
    return FORMATS[kind](value)


def cell(document: Any, pointer: str, kind: Kind) -> str:
    """The value at *pointer* as people read it; a word where its flag says that it has no bound."""
    value = resolve(document, pointer)
    if value is None:
        above, _, name = pointer.rpartition("/")
        beside = resolve(document, above)
        if isinstance(beside, Mapping) and beside.get(flag_of(name)) is False:
            return UNLIMITED
    return written(value, kind)


def is_numeric(kind: Kind) -> bool:
    """Whether values of *kind* are numbers, set flush right."""
    return kind in _NUMERIC


def _day(value: Any) -> str:
    return str(value)[:10]


def _time(value: Any) -> str:
    moment = dt.datetime.fromisoformat(str(value))
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _words(value: Any) -> str:
    # A date must not be broken at the end of a line.
    return re.sub(r"(?<=\d)-(?=\d)", "\u2011", str(value).replace("_", " "))


_NUMERIC: frozenset[str] = frozenset(
    {"money", "cents", "pnl", "price", "share", "share0", "ratio", "number", "whole"}
)

FORMATS: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "words": _words,
    "money": lambda value: number(value, 0),
    "cents": number,
    "pnl": number,
    "price": lambda value: f"{value:z,.6g}",
    "share": lambda value: f"{number(value, 1, 100.0)} %",
    "share0": lambda value: f"{number(value, 0, 100.0)} %",
    "ratio": number,
    "number": lambda value: number(value, 1),
    "whole": lambda value: number(value, 0),
    "day": _day,
    "time": _time,
    "source": source_text,
    "list": lambda value: ", ".join(
        number(item) if isinstance(item, float) else str(item) for item in value
    ),
}
"""Kind to how it is written; fractions become per cents, money has a separator of thousands."""
