"""Numbers and tables as plain text, without anything slow to import."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomic.figures import Figure


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


class PlainTable:
    """
    Columns of text: the first one and those without a title left, the others right.

    Rich lays out five hundred rows in most of a second; nothing here wraps or needs colour.
    """

    def __init__(self, *titles: str, left: Collection[int] = (0,)) -> None:
        self._rows: list[tuple[str, ...]] = [titles]
        self._left = {*left, *(at for at, title in enumerate(titles) if not title)}

    def add_row(self, *cells: str) -> None:
        """Add a row of as many cells as there are titles."""
        self._rows.append(cells)

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

    def text(self, keep: Sequence[int] | None = None) -> str:
        """The table, a line a row; only the columns *keep*."""
        kept = range(len(self._rows[0])) if keep is None else keep
        columns = [[row[at] for row in self._rows] for at in kept]
        widths = [max(map(len, cells)) for cells in columns]
        padded = [
            [cell.ljust(width) if at in self._left else cell.rjust(width) for cell in cells]
            for at, cells, width in zip(kept, columns, widths, strict=True)
        ]
        return "".join("  ".join(line).rstrip() + "\n" for line in zip(*padded, strict=True))
