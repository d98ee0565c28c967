"""A table of models: columns say how a row is read, sorted and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Generic, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from tomic.figures import Figure
from tomic.present.text import number

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column: its title, what it sorts by, and what it shows."""

    title: str
    value: Callable[[Row], Any]
    text: Callable[[Row], str]
    style: Callable[[Row], str] | None = None
    left: bool = False


def text_column(title: str, field: str, write: Callable[[Any], str] = str) -> Column[Any]:
    """A column of texts, empty where there is none; *field* may lead through dots."""
    read: Callable[[Any], Any] = attrgetter(field)

    def text(row: Any) -> str:
        value = read(row)
        return "" if value is None else write(value)

    return Column(title, read, text, left=True)


def number_column(
    title: str, field: str, decimals: int = 2, factor: float = 1.0, *, signed: bool = False
) -> Column[Any]:
    """A column of numbers; *field* may lead through dots."""
    read: Callable[[Any], Any] = attrgetter(field)
    return Column(title, read, lambda row: number(read(row), decimals, factor, signed=signed))


def figure_column(figure: Figure, *, within: str = "", title: str = "") -> Column[Any]:
    """A column headed and written as that figure is everywhere, with *title* over it if given."""
    return number_column(
        title or figure.narrow,
        f"{within}{figure.name}",
        figure.decimals,
        figure.factor,
        signed=figure.is_signed,
    )


class Grid(DataTable[Text], Generic[Row]):
    """
    Rows that can be sorted by any column; the cursor stays on its row when they change.

    Args:
        columns: What is shown.
        key: What identifies a row.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort by the column before", show=False),
        Binding("o", "turn", "Turn the order round", show=False),
    ]

    class Opened(Message):
        """A row was chosen with enter."""

        def __init__(self, grid: Grid[Any], row: Any) -> None:
            super().__init__()
            self.grid, self.row = grid, row

    class Pointed(Message):
        """The cursor came to another row."""

        def __init__(self, grid: Grid[Any], row: Any) -> None:
            super().__init__()
            self.grid, self.row = grid, row

    def __init__(
        self, columns: Sequence[Column[Row]], *, key: Callable[[Row], str], id: str
    ) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, id=id)
        self._specs, self._key = list(columns), key
        self._given: list[Row] = []
        self._shown: list[Row] = []
        self.sorted_by: int | None = None
        self.descending = False

    def on_mount(self) -> None:
        """Make the columns."""
        self._head()

    def _head(self) -> None:
        self.clear(columns=True)
        for index, spec in enumerate(self._specs):
            mark = ("v" if self.descending else "^") if index == self.sorted_by else ""
            label = Text(spec.title + mark, justify="left" if spec.left else "right")
            self.add_column(label, key=str(index))

    @property
    def rows_shown(self) -> list[Row]:
        """Rows in the order on the screen."""
        return list(self._shown)

    @property
    def pointed(self) -> Row | None:
        """The row under the cursor."""
        return self._shown[self.cursor_row] if 0 <= self.cursor_row < len(self._shown) else None

    def fill(self, rows: Sequence[Row]) -> None:
        """Show *rows* instead; cursor and scroll position stay where they can."""
        self._given = list(rows)
        self._refill(self.pointed)

    def _refill(self, before: Row | None) -> None:
        at = self.scroll_y
        self._shown = self._ordered()
        self.clear()
        for row in self._shown:
            self.add_row(*self._cells(row), key=self._key(row))
        if before is not None:
            wanted = self._key(before)
            place = next((i for i, row in enumerate(self._shown) if self._key(row) == wanted), 0)
            self.move_cursor(row=place, scroll=False)
            self.scroll_to(y=at, animate=False)
        self._point()

    def _cells(self, row: Row) -> list[Text]:
        return [
            Text(
                spec.text(row),
                style=spec.style(row) if spec.style else "",
                justify="left" if spec.left else "right",
                no_wrap=True,
            )
            for spec in self._specs
        ]

    def _ordered(self) -> list[Row]:
        if self.sorted_by is None:
            return list(self._given)
        read = self._specs[self.sorted_by].value
        known = [row for row in self._given if not _is_missing(read(row))]
        missing = [row for row in self._given if _is_missing(read(row))]
        return sorted(known, key=read, reverse=self.descending) + missing

    def sort_by(self, index: int | None, *, descending: bool = False) -> None:
        """Sort by a column; None restores the order in which the rows came."""
        before = self.pointed
        self.sorted_by, self.descending = index, descending
        self._head()
        self._refill(before)

    def action_sort(self, step: int) -> None:
        """Sort by the next column; after the last one, as the rows came."""
        places = [None, *range(len(self._specs))]
        at = places.index(self.sorted_by)
        self.sort_by(places[(at + step) % len(places)])

    def action_turn(self) -> None:
        """Turn the order round."""
        self.sort_by(
            0 if self.sorted_by is None else self.sorted_by, descending=not self.descending
        )

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column whose title was clicked; a second click turns it round."""
        event.stop()
        again = event.column_index == self.sorted_by
        self.sort_by(event.column_index, descending=again and not self.descending)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Say which row was chosen."""
        event.stop()
        if self.pointed is not None:
            self.post_message(self.Opened(self, self.pointed))

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Say where the cursor is."""
        event.stop()
        self._point()

    def _point(self) -> None:
        if self.pointed is not None:
            self.post_message(self.Pointed(self, self.pointed))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
