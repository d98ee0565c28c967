"""Numbers and tables as plain text, without anything slow to import."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tomic import outside
from tomic.present.forms import Format, emit, emit_single, to_csv, to_json, to_ndjson

if TYPE_CHECKING:
    from tomic.figures import Definition, Figure


def number(
    value: float | None, decimals: int = 2, factor: float = 1.0, *, signed: bool = False
) -> str:
    """
    A number with fixed decimals and thousands separators.

    An empty text when missing, a word where there is no bound. What rounds to nothing has no sign:
    "-0.0" reads as a loss that is none.
    """
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        # Here, as models are slow to import and hardly any number needs the word.
        from tomic.models.documents import UNLIMITED

        return UNLIMITED
    text = f"{value * factor:z,.{decimals}f}"
    return f"+{text}" if signed and value > 0 and text.strip("0.") else text


def figure_text(figure: Figure, value: float | None) -> str:
    """*value* as tables write that figure, with a plus where it is signed and positive."""
    return number(value, figure.decimals, figure.factor, signed=figure.is_signed)


def money(value: float | None, decimals: int = 2) -> str:
    """Currency with its sign; else as `number`."""
    return number(value, decimals, signed=True)


def amount(value: float | None, decimals: int = 0) -> str:
    """Currency without a plus, for what cannot be negative; else as `number`."""
    return number(value, decimals)


def points(value: float | None, decimals: int = 1) -> str:
    """A fraction in per cent, for what says "%" in its title; else as `number`."""
    return number(value, decimals, 100.0)


def per_cent(value: float | None, decimals: int = 0) -> str:
    """A fraction as a percentage; an empty text when missing or without a bound."""
    return "" if value is None or not math.isfinite(value) else f"{value:z.{decimals}%}"


_LEAST_ROOM = 20
"""Letters of a column that is folded."""


class PlainTable:
    """
    Columns of text: the first one and those without a title left, the others right.

    Rich lays out five hundred rows in most of a second; nothing here needs colour.
    """

    def __init__(self, *titles: str, left: Collection[int] = (0,)) -> None:
        self._rows: list[tuple[str, ...]] = [titles]
        self._left = {*left, *(at for at, title in enumerate(titles) if not title)}

    def add_row(self, *cells: str) -> None:
        """Add a row of as many cells as there are titles."""
        self._rows.append(tuple(map(outside.line, cells)))

    def fitting(self, width: int | None, droppable: Sequence[str]) -> tuple[list[int], int]:
        """The columns that fit into *width* when the *droppable* go first; how many do not."""
        titles = list(self._rows[0])
        sizes = [max(len(row[at]) for row in self._rows) + 2 for at in range(len(titles))]
        keep = list(range(len(titles)))
        for title in droppable:
            if width is None or sum(sizes[at] for at in keep) - 2 <= width:
                break
            keep.remove(titles.index(title))
        return keep, len(titles) - len(keep)

    def text(
        self, keep: Sequence[int] | None = None, *, width: int | None = None, bold: bool = False
    ) -> str:
        """
        The table, a line a row.

        Args:
            keep: Only these columns.
            width: Where the last column is folded, if that leaves it some room.
            bold: Whether the titles are.
        """
        kept = range(len(self._rows[0])) if keep is None else keep
        sizes = [max(len(row[at]) for row in self._rows) for at in kept]
        start = sum(sizes[:-1]) + 2 * (len(sizes) - 1)
        room = sizes[-1] if width is None else max(width - start, _LEAST_ROOM)
        lines = []
        for row in self._rows:
            *cells, last = (row[at] for at in kept)
            first, *more = textwrap.wrap(last, room) if len(last) > room else [last]
            padded = (
                cell.ljust(size) if at in self._left else cell.rjust(size)
                for at, cell, size in zip(kept, [*cells, first], sizes, strict=True)
            )
            lines += ["  ".join(padded).rstrip(), *(f"{'':{start}}{text}" for text in more)]
        if bold:
            lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
        return "\n".join(lines) + "\n"


# -- definitions ---------------------------------------------------------------------------


def definition(metric: Definition, format: Format = Format.TABLE) -> str:
    """Everything about one metric."""
    return emit_single(format, lambda: _definition(metric), lambda: asdict(metric))


def _definition(metric: Definition) -> str:
    lines = [
        f"{metric.name}  {metric.title}",
        f"  {metric.meaning}",
        f"  unit     {metric.unit}",
        f"  formula  {metric.formula}",
        f"  source   {metric.source}",
        f"  caveat   {metric.caveat}",
        f"  kernel   {metric.kernel}",
        f"  example  {metric.example}",
        f"           = {metric.result:.10g}",
    ]
    return "\n".join(lines) + "\n"


def definitions_table(every: Mapping[str, Definition], format: Format = Format.TABLE) -> str:
    """All metrics by subject."""
    rows = {name: asdict(metric) for name, metric in every.items()}
    return emit(
        format,
        table=lambda: _definitions(every),
        json=lambda: to_json(rows),
        ndjson=lambda: to_ndjson(rows.values()),
        csv=lambda: to_csv(list(rows.values())),
    )


def _definitions(every: Mapping[str, Definition]) -> str:
    table = PlainTable("metric", "", "unit", left=(0, 1, 2))
    for metric in every.values():
        table.add_row(metric.name, metric.title, metric.unit)
    return table.text()
