"""
Plots made of characters: eight dots to a cell where the terminal has them, letters elsewhere.

Pure: numbers in, text out.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.text import Text


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What separators, marks and plots are drawn with."""

    braille: bool
    """Whether a cell of a plot can show eight dots."""
    point: str
    line: str
    cross: str
    vertical: str
    horizontal: str
    corner: str
    bullet: str
    either_way: str
    shades: str
    """From nothing to everything."""
    heights: str = " .-=*#"
    """The same for a letter of a line that shows how something went."""

    def spark(self, share: float) -> str:
        """A letter as high as *share* is between 0 and 1; blank where it is missing."""
        if not math.isfinite(share):
            return " "
        steps = self.heights[1:]
        return steps[min(max(int(share * len(steps)), 0), len(steps) - 1)]

    def shown(self, text: str) -> str:
        """*text* in letters that the terminal has."""
        return text if self.braille else text.translate(_SPELLED)


_SPELLED = str.maketrans(
    {
        "·": "-",
        "±": "+-",
        "×": "x",
        "≥": ">=",
        "█": "#",
        "Δ": "delta",
        "Γ": "gamma",
        "Θ": "theta",
        "σ": "sd",
    }
)
"""What tables and sentences are made of beyond ASCII."""
UNICODE = Glyphs(True, "●", "·", "×", "│", "─", "└", "·", "±", " ░▒▓█", " ▁▂▃▄▅▆▇█")
ASCII = Glyphs(False, "o", ".", "x", "|", "-", "+", "-", "+-", " .:*#")


def glyphs_for(encoding: str | None) -> Glyphs:
    """All signs where the terminal speaks UTF-8, plain letters elsewhere."""
    return UNICODE if "utf" in (encoding or "").lower() else ASCII


def glyphs_here() -> Glyphs:
    """Those that this process can print; Textual draws on stderr."""
    return glyphs_for(getattr(sys.__stderr__, "encoding", None))


_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a Braille cell, by row and column."""
_BLANK = 0x2800
_ACROSS, _DOWN = 2, 4


@dataclass(frozen=True, slots=True)
class Span:
    """What an axis covers."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where *value* lies, 0 at the low end and 1 at the high one."""
        return (value - self.low) / (self.high - self.low)


def span_of(values: Sequence[float], *, margin: float = 0.05) -> Span:
    """A span around all finite values; of one value or none a span around it or 0."""
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    if low == high:
        room = abs(low) * 0.1 or 1.0
    else:
        room = (high - low) * margin
    return Span(low - room, high + room)


@dataclass
class Canvas:
    """
    Cells to draw in; later strokes lie over earlier ones.

    Args:
        width, height: Cells.
        x, y: What the axes cover.
    """

    width: int
    height: int
    x: Span
    y: Span
    glyphs: Glyphs
    _signs: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    _bits: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Column and row of a point; None outside."""
        return self._dot(x, y, 1, 1)

    def sign(self, x: float, y: float, sign: str, style: str) -> None:
        """Put one character."""
        where = self.cell(x, y)
        if where is not None:
            self._signs[where] = (sign, style)

    def upright(self, x: float, style: str) -> None:
        """A line from top to bottom."""
        for row in range(self.height):
            where = self.cell(x, self._level(row))
            if where is not None:
                self._signs[(where[0], row)] = (self.glyphs.vertical, style)

    def level(self, y: float, style: str) -> None:
        """A line from left to right."""
        where = self.cell(self.x.low, y)
        for column in range(self.width if where is not None else 0):
            assert where is not None
            self._signs.setdefault((column, where[1]), (self.glyphs.horizontal, style))

    def curve(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """Join the points; gaps where a value is missing."""
        across, down = (_ACROSS, _DOWN) if self.glyphs.braille else (1, 1)
        before: tuple[int, int] | None = None
        for point in zip(x, y, strict=True):
            dot = self._dot(*point, across, down)
            for column, row in _between(before, dot):
                self._stroke(column, row, style)
            before = dot

    def _stroke(self, column: int, row: int, style: str) -> None:
        if not self.glyphs.braille:
            self._signs[(column, row)] = ("*", style)
            return
        where = (column // _ACROSS, row // _DOWN)
        bits, _ = self._bits.get(where, (0, ""))
        self._bits[where] = (bits | _DOTS[row % _DOWN][column % _ACROSS], style)

    def _level(self, row: int) -> float:
        return self.y.high - (row + 0.5) / self.height * (self.y.high - self.y.low)

    def _dot(self, x: float, y: float, across: int, down: int) -> tuple[int, int] | None:
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        right, up = self.x.share(x), self.y.share(y)
        if not (0.0 <= right <= 1.0 and 0.0 <= up <= 1.0):
            return None
        columns, rows = self.width * across, self.height * down
        return min(int(right * columns), columns - 1), min(int((1.0 - up) * rows), rows - 1)

    def text(self) -> Text:
        """All rows, top first."""
        text = Text(no_wrap=True)
        for row in range(self.height):
            if row:
                text.append("\n")
            # Neighbours of one style together: a terminal's text costs by its parts.
            run, before = "", ""
            for column in range(self.width):
                sign, style = self._at((column, row))
                if style != before and run:
                    text.append(run, before)
                    run = ""
                run, before = run + sign, style
            text.append(run, before)
        return text

    def _at(self, where: tuple[int, int]) -> tuple[str, str]:
        if where in self._bits:
            bits, style = self._bits[where]
            if where not in self._signs or self._signs[where][0] in "─│·":
                return chr(_BLANK + bits), style
        return self._signs.get(where, (" ", ""))


def _between(before: tuple[int, int] | None, here: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Every dot on the straight way from *before*, which is left out, to *here*."""
    if here is None:
        return []
    if before is None:
        return [here]
    across, down = here[0] - before[0], here[1] - before[1]
    steps = max(abs(across), abs(down), 1)
    return [
        (before[0] + round(across * i / steps), before[1] + round(down * i / steps))
        for i in range(1, steps + 1)
    ]


def framed(
    canvas: Canvas,
    *,
    ticks: tuple[str, str],
    feet: tuple[str, str],
    mark: tuple[float, str] | None = None,
) -> Text:
    """
    The canvas with its axes.

    Args:
        ticks: Labels of the top and the bottom of the upright axis.
        feet: Labels under the two ends of the other one.
        mark: A place on it between them, and its label; left out where there is no room.
    """
    glyphs, room = canvas.glyphs, max(len(tick) for tick in ticks)
    text = Text(no_wrap=True)
    for row, line in enumerate(canvas.text().split("\n", allow_blank=True)):
        label = ticks[0] if row == 0 else ticks[1] if row == canvas.height - 1 else ""
        text.append(f"{label:>{room}}", "dim").append(glyphs.vertical, "dim")
        text.append_text(line).append("\n")
    text.append(" " * room + glyphs.corner + glyphs.horizontal * canvas.width + "\n", "dim")
    return text.append(" " * (room + 1) + _foot(canvas, feet, mark), "dim")


def _foot(canvas: Canvas, feet: tuple[str, str], mark: tuple[float, str] | None) -> str:
    left, right = feet
    line = left + right.rjust(canvas.width - len(left))
    if mark is None:
        return line
    place, label = mark
    first, last = len(left) + 1, canvas.width - len(right) - 1 - len(label)
    if last < first:
        return line
    start = round(canvas.x.share(place) * canvas.width - len(label) / 2)
    start = min(max(start, first), last)
    return line[:start] + label + line[start + len(label) :]
