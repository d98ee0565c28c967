"""Several pictures in one space: beside and below each other, as many as it has room for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from rich.text import Text
from textual.widget import Widget

from tomic.panel.widgets.plot import UNICODE, Glyphs

Picture: TypeAlias = Callable[[int, int, Glyphs], Text]
"""Draws itself in cells across and down."""

_WIDTH, _HEIGHT = 36, 9
"""Fewest cells of a picture that has others beside or below it."""
_GAP = 2
_PROPORTION = 4.0
"""Cells across for one down of a picture that is good to look at."""


def arranged(
    pictures: Sequence[Picture],
    width: int,
    height: int,
    glyphs: Glyphs,
    *,
    least: tuple[int, int] = (_WIDTH, _HEIGHT),
) -> Text:
    """
    *pictures* in rows as text of *width* x *height* cells; those without room are left out.

    Args:
        least: Fewest cells across and down of a picture that is not alone.
    """
    text = Text(no_wrap=True)
    if not pictures or width < 1 or height < 1:
        return text
    across, down = _shape(len(pictures), width, height, least)
    for row in range(down):
        ends = height * (row + 1) // down - height * row // down
        own = pictures[row * across : (row + 1) * across]
        room = (width - _GAP * (len(own) - 1)) // len(own)
        drawn = [draw(room, ends, glyphs).split("\n", allow_blank=True) for draw in own]
        for line in range(ends):
            for place, lines in enumerate(drawn):
                part = lines[line] if line < len(lines) else Text()
                part.truncate(room)
                if place < len(drawn) - 1:
                    part.append(" " * (room + _GAP - part.cell_len))
                text.append_text(part)
            text.append("\n")
    text.right_crop(1)
    return text


def _shape(count: int, width: int, height: int, least: tuple[int, int]) -> tuple[int, int]:
    """How many beside and below each other: all, if there is room, in the best proportions."""
    most = max((width + _GAP) // (least[0] + _GAP), 1)
    rows = max(height // least[1], 1)

    def badness(across: int) -> tuple[int, float]:
        down = min(rows, -(-count // across))
        proportion = (width / across) / (height / down)
        return max(count - across * down, 0), abs(math.log(proportion / _PROPORTION))

    across = min(range(1, min(most, count) + 1), key=badness)
    return across, min(rows, -(-count // across))


class Pictures(Widget):
    """
    Pictures of what the table beside them shows.

    Args:
        least: Fewest cells across and down of a picture that is not alone.
    """

    def __init__(self, *, id: str, least: tuple[int, int] = (_WIDTH, _HEIGHT)) -> None:
        super().__init__(id=id)
        self._pictures: tuple[Picture, ...] = ()
        self._least, self._glyphs = least, UNICODE
        self._drawn: tuple[int, int, Text] | None = None

    def show(self, pictures: Sequence[Picture], glyphs: Glyphs) -> None:
        """Draw others."""
        self._pictures, self._glyphs, self._drawn = tuple(pictures), glyphs, None
        self.refresh()

    def render(self) -> Text:
        """All of them; drawn anew only where they or their space are others."""
        width, height = self.size
        if self._drawn is None or self._drawn[:2] != (width, height):
            drawn = arranged(self._pictures, width, height, self._glyphs, least=self._least)
            self._drawn = (width, height, drawn)
        return self._drawn[2]
