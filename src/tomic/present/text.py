"""Numbers and tables as plain text, without anything slow to import."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import TYPE_CHECKING

from tomic import outside
from tomic.present.forms import Format, emit, emit_single, to_csv, to_json, to_ndjson
from tomic.present.palette import Tone, Toned, painted

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
_LABEL = re.compile(r"\s*(?:\S+ )*?\S*\s{2,}|\s*")
_WIDTH: ContextVar[int | None] = ContextVar("tomic.width", default=None)


@contextmanager
def fitted_to(width: int | None) -> Iterator[None]:
    """Inside, tables and long lines fit into *width* letters; without one they are as they are."""
    token = _WIDTH.set(width)
    try:
        yield
    finally:
        _WIDTH.reset(token)


def reasons(given: Iterable[tuple[str, object]]) -> list[str]:
    """Lines of *given*, what is concerned and why; a reason that several share is told once."""
    concerned: dict[str, list[str]] = {}
    for name, reason in given:
        concerned.setdefault(str(reason), []).append(name)
    return [
        # Many errors name what they concern themselves.
        reason if re.match(rf"{re.escape(names[0])}\b", reason) else f"{', '.join(names)}: {reason}"
        for reason, names in concerned.items()
    ]


def folded(text: str) -> str:
    """Lines no longer than the screen, each folded under where its text begins, past its label."""
    width = _WIDTH.get()
    if width is None:
        return text
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    label = _LABEL.match(line)
    start = len(label[0]) if label and len(label[0]) <= width // 3 else 0
    head, rest = line[:start], line[start:]
    room = max(width - start, _LEAST_ROOM)
    # A short fact stays whole, and the point after it at the end of its line.
    facts = [
        fact if len(fact) > room // 2 else fact.replace(" ", "\xa0") for fact in rest.split(" · ")
    ]
    parts = textwrap.wrap(
        "\xa0· ".join(facts), room, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(
        f"{head if place == 0 else ' ' * start}{part}" for place, part in enumerate(parts)
    ).replace("\xa0", " ")


class PlainTable:
    """
    Columns of text: the first one and those without a title left, the others right.

    Rich lays out five hundred rows in most of a second. A cell that is `Toned` has its colour.
    """

    def __init__(
        self, *titles: str, left: Collection[int] = (0,), drops: Sequence[str] = ()
    ) -> None:
        """
        Args:
            titles: Of the columns.
            left: Columns whose text begins at their left.
            drops: Titles of columns that give way to a narrow screen, the least important first.
        """
        self._rows: list[tuple[str, ...]] = [titles]
        self._left = {*left, *(at for at, title in enumerate(titles) if not title)}
        self._drops = [title for title in drops if title in titles]

    def add_row(self, *cells: str) -> None:
        """Add a row of as many cells as there are titles."""
        self._rows.append(tuple(map(_line, cells)))

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

    def text(self, keep: Sequence[int] | None = None, *, width: int | None = None) -> str:
        """
        The table, a line a row; what a narrow screen has no room for is named below it.

        Args:
            keep: Only these columns.
            width: Where the last column is folded, if that leaves it some room; by default that
                of the screen (`fitted_to`), where a last column of text folds.
        """
        # By column: a journal has ten thousand rows, and a table fourteen columns.
        columns = list(zip(*self._rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        kept, hidden = (list(keep), []) if keep is not None else self._that_fit(widths)
        sizes = [widths[at] for at in kept]
        start = sum(sizes[:-1]) + 2 * (len(sizes) - 1)
        screen = _WIDTH.get() if width is None and kept[-1] in self._left else width
        room = sizes[-1] if screen is None else max(screen - start, _LEAST_ROOM)
        *cells, last = (columns[at] for at in kept)
        wrapped = {
            number: textwrap.wrap(cell, room) or [""]
            for number, cell in enumerate(last)
            if len(cell) > room
        }
        first = [wrapped[at][0] if at in wrapped else cell for at, cell in enumerate(last)]
        padded = [
            _padded(column, size, at in self._left)
            for at, column, size in zip(kept, [*cells, first], sizes, strict=True)
        ]
        lines = []
        for number, row in enumerate(zip(*padded, strict=True)):
            lines.append("  ".join(row).rstrip())
            if number in wrapped:
                lines += [f"{'':{start}}{text}" for text in wrapped[number][1:]]
        lines[0] = painted(lines[0], Tone.TITLE)
        if hidden:
            named = folded(f"no room for:  {', '.join(hidden)}")
            lines += [painted(line, Tone.MUTED) for line in named.split("\n")]
        return "\n".join(lines) + "\n"

    def _that_fit(self, widths: Sequence[int]) -> tuple[list[int], list[str]]:
        """The columns that the screen has room for, and the titles of the others."""
        width = _WIDTH.get()
        titles, sizes = self._rows[0], list(widths)
        if len(titles) - 1 in self._left:
            sizes[-1] = min(sizes[-1], _LEAST_ROOM)
        kept, hidden = list(range(len(titles))), []
        for title in self._drops:
            if width is None or sum(sizes[at] + 2 for at in kept) - 2 <= width:
                break
            kept.remove(titles.index(title))
            hidden.append(title)
        return kept, hidden


def _line(cell: str) -> str:
    """One line of text, with its meaning if it has one."""
    plain = outside.line(cell)
    if plain is cell:
        return cell
    return Toned(plain, cell.tone) if isinstance(cell, Toned) else plain


def _padded(cells: Iterable[str], size: int, is_left: bool) -> list[str]:
    """*cells* of a column as wide as it is, those with a colour in it."""
    padded = []
    for cell in cells:
        if isinstance(cell, Toned):
            room, text = " " * (size - len(cell)), painted(cell, cell.tone)
            padded.append(f"{text}{room}" if is_left else f"{room}{text}")
        else:
            padded.append(cell.ljust(size) if is_left else cell.rjust(size))
    return padded


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
