"""Numbers and tables as plain text, without anything slow to import."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomic.figures import Figure


def _unlimited() -> str:
    # Here, as models are slow to import and hardly any number needs the word.
    from tomic.models.documents import UNLIMITED

    return UNLIMITED


def number(value: float | None, decimals: int, factor: float = 1.0) -> str:
    """
    A number with fixed decimals and thousands separators.

    An empty text when missing, a word where there is no bound.
    """
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return _unlimited()
    return f"{value * factor:,.{decimals}f}"


def figure_text(figure: Figure, value: float | None) -> str:
    """*value* as tables write that figure, with a plus where it is signed and positive."""
    text = number(value, figure.decimals, figure.factor)
    return f"+{text}" if figure.is_signed and value is not None and value > 0 else text


def money(value: float | None, decimals: int = 2) -> str:
    """Signed currency; an unbounded amount as a word, an empty text when missing."""
    if value is None or math.isnan(value):
        return ""
    return _unlimited() if math.isinf(value) else f"{value:+,.{decimals}f}"


def amount(value: float | None, decimals: int = 0) -> str:
    """Currency without a sign, for what cannot be negative; else as `money`."""
    return number(value, decimals)


def per_cent(value: float | None, decimals: int = 0) -> str:
    """A fraction as a percentage; an empty text when missing."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{decimals}%}"


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
