"""A table of models: columns say how a row is read, sorted and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from tomic.figures import Figure
from tomic.panel.widgets.quick import filtered
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


_PADDING = 1
"""Cells at either side of a text."""
_FIRST, _SLICE = 120, 240
"""Rows that are written at once when others come, and that are written at a time after that."""
_SLICE_EVERY_S = 0.02


class _GridLine(NamedTuple):
    """What is written of one row, a text and a style for each column."""

    texts: tuple[str, ...]
    styles: tuple[str, ...]


class _Looks(NamedTuple):
    """Styles of the empty space, the titles and the row under the cursor."""

    base: Style
    head: Style
    cursor: Style


_NO_LOOKS = _Looks(Style(), Style(), Style())


class Grid(ScrollView, Generic[Row], can_focus=True):
    """
    Rows that can be sorted by any column; the cursor stays on its row when they change.

    Rows are drawn as they come into sight, and where others come only the lines that differ are
    drawn again: a table of a thousand options costs as much as one of a screenful.

    Args:
        columns: What is shown.
        key: What identifies a row.
    """

    # A table of Textual's own draws each cell by itself, at ten times the cost of these lines.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "end(-1)", "First", show=False),
        Binding("end", "end(1)", "Last", show=False),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort back", show=False),
        Binding("o", "turn", "Turn", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--head", "grid--cursor"}

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
        super().__init__(id=id)
        self._specs, self._key = list(columns), key
        self._given: list[Row] = []
        self._shown: list[Row] = []
        self._written: dict[str, tuple[Row, _GridLine]] = {}
        self._strips: dict[tuple[int, Style, bool], Strip] = {}
        self._looks = _NO_LOOKS
        self._slicing: Timer | None = None
        self.cursor_row = 0
        self.sorted_by: int | None = None
        self.descending = False
        self._widths = [len(title) for title in self._titles()]

    def on_mount(self) -> None:
        """Take the room that the rows need, if some came before."""
        self._measure()
        self._write_on()
        self._point()

    # -- rows ------------------------------------------------------------------------------

    @property
    def rows_shown(self) -> list[Row]:
        """Rows in the order on the screen."""
        return list(self._shown)

    @property
    def row_count(self) -> int:
        """How many there are."""
        return len(self._shown)

    @property
    def pointed(self) -> Row | None:
        """The row under the cursor."""
        return self._shown[self.cursor_row] if 0 <= self.cursor_row < len(self._shown) else None

    def fill(self, rows: Sequence[Row]) -> None:
        """Show *rows* instead; cursor and scroll position stay where they can."""
        self._given = list(rows)
        keys = {self._key(row) for row in rows}
        self._written = {key: known for key, known in self._written.items() if key in keys}
        self._refill(self.pointed)

    def _refill(self, before: Row | None) -> None:
        drawn = [self._known(row) for row in self._shown]
        self._shown = self._ordered()
        place = 0
        if before is not None:
            wanted = self._key(before)
            place = next((i for i, row in enumerate(self._shown) if self._key(row) == wanted), 0)
        old, self.cursor_row = self.cursor_row, place
        for row in self._shown[:_FIRST]:
            self._line(row)
        changed = {old, place, *self._changed(drawn)}
        self._measure()
        self._draw(changed)
        self._write_on()
        self._point()

    def _known(self, row: Row) -> _GridLine | None:
        _, line = self._written.get(self._key(row), (None, None))
        return line

    def _changed(self, drawn: Sequence[_GridLine | None]) -> Iterator[int]:
        """Places whose line is not the one that was drawn there."""
        for place in range(max(len(drawn), len(self._shown))):
            inside = place < len(drawn) and place < len(self._shown)
            if not inside or drawn[place] != self._known(self._shown[place]):
                yield place

    def _ordered(self) -> list[Row]:
        if self.sorted_by is None:
            return list(self._given)
        read = self._specs[self.sorted_by].value
        known = [row for row in self._given if not _is_missing(read(row))]
        missing = [row for row in self._given if _is_missing(read(row))]
        return sorted(known, key=read, reverse=self.descending) + missing

    # -- what is written -------------------------------------------------------------------

    def _line(self, row: Row) -> _GridLine:
        """What is written of a row; of one that was written before the same."""
        key = self._key(row)
        before = self._written.get(key)
        if before is not None and before[0] is row:
            return before[1]
        line = _GridLine(
            tuple(spec.text(row) for spec in self._specs),
            tuple(spec.style(row) if spec.style else "" for spec in self._specs),
        )
        self._written[key] = (row, line)
        return line

    def _write_on(self) -> None:
        """Write the rows out of sight a slice at a time, so that no key waits for them."""
        if self._slicing is None and len(self._shown) > _FIRST and self.is_attached:
            self._slicing = self.set_interval(_SLICE_EVERY_S, self._write_slice)

    def _write_slice(self) -> None:
        todo = [row for row in self._shown if self._is_new(row)]
        for row in todo[:_SLICE]:
            self._line(row)
        if len(todo) <= _SLICE and self._slicing is not None:
            self._slicing.stop()
            self._slicing = None
        self._measure()

    def _is_new(self, row: Row) -> bool:
        before = self._written.get(self._key(row))
        return before is None or before[0] is not row

    def _titles(self) -> list[str]:
        mark = "v" if self.descending else "^"
        return [
            spec.title + (mark if index == self.sorted_by else "")
            for index, spec in enumerate(self._specs)
        ]

    def _measure(self) -> None:
        """Make the columns as wide as what is written in them."""
        columns = zip(*(line.texts for _, line in self._written.values()), strict=True)
        widths = [len(title) for title in self._titles()]
        for place, texts in enumerate(columns):
            widths[place] = max(widths[place], *map(cell_len, texts))
        if widths != self._widths:
            self._widths = widths
            self._strips.clear()
            self.refresh()
        size = Size(sum(widths) + 2 * _PADDING * len(widths), len(self._shown) + 1)
        if size != self.virtual_size and self.is_attached:
            self.virtual_size = size

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Rows, titles and a scrollbar, where the table is as high as what it shows."""
        return len(self._shown) + 2

    # -- drawing ---------------------------------------------------------------------------

    def _draw(self, places: Iterable[int]) -> None:
        """Draw some rows again."""
        stale = set(places)
        self._strips = {at: strip for at, strip in self._strips.items() if at[0] not in stale}
        if not self.is_attached:
            return
        first, height = self.scroll_offset.y, self.size.height
        seen = [place - first + 1 for place in stale if 0 <= place - first < height - 1]
        if seen:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in seen))

    def render_lines(self, crop: Region) -> list[Strip]:
        """The titles, which stay, and below them the rows that are in sight."""
        # Behind each style is a walk up to the screen, so they are looked up once for all lines.
        names = ("grid--head", "grid--cursor")
        self._looks = _Looks(self.rich_style, *map(self.get_component_rich_style, names))
        across, down = self.scroll_offset
        strips = [
            self._head() if y == 0 else self._row(y - 1 + down) for y in range(crop.y, crop.bottom)
        ]
        first, last = across + crop.x, across + crop.right
        return filtered(
            self, [strip.crop_extend(first, last, self._looks.base) for strip in strips]
        )

    def _head(self) -> Strip:
        return self._strip(self._titles(), [""] * len(self._specs), self._looks.head)

    def _row(self, place: int) -> Strip:
        if not 0 <= place < len(self._shown):
            return Strip([])
        under = place == self.cursor_row
        look = self._looks.cursor if under else self._looks.base
        known = self._strips.get((place, look, under))
        if known is None:
            texts, styles = self._line(self._shown[place])
            # The colours of the cursor are made to be read; others on them are not.
            known = self._strip(texts, [""] * len(texts) if under else styles, look)
            self._strips[(place, look, under)] = known
        return known

    def _strip(self, texts: Sequence[str], styles: Sequence[str], look: Style) -> Strip:
        """One line; neighbours of one style are one segment."""
        segments: list[Segment] = []
        run, before = "", ""
        for spec, text, style, width in zip(self._specs, texts, styles, self._widths, strict=True):
            if style != before:
                segments.append(Segment(run, _look(look, before)))
                run, before = "", style
            gap = " " * (width - cell_len(text))
            run += f" {text}{gap} " if spec.left else f" {gap}{text} "
        segments.append(Segment(run, _look(look, before)))
        return Strip(segment for segment in segments if segment.text)

    # -- cursor ----------------------------------------------------------------------------

    def move_cursor(self, row: int) -> None:
        """Put the cursor on a row, and that row in sight."""
        if not self._shown:
            return
        old, self.cursor_row = self.cursor_row, min(max(row, 0), len(self._shown) - 1)
        height = max(self.scrollable_content_region.height - 1, 1)
        first = min(max(self.scroll_offset.y, self.cursor_row - height + 1), self.cursor_row)
        if first != self.scroll_offset.y:
            self.scroll_to(y=first, animate=False)
        if old != self.cursor_row:
            self._draw((old, self.cursor_row))
            self._point()

    def action_move(self, rows: int) -> None:
        """Move the cursor up or down."""
        self.move_cursor(self.cursor_row + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what is in sight."""
        self.move_cursor(self.cursor_row + pages * max(self.size.height - 2, 1))

    def action_end(self, side: int) -> None:
        """Move the cursor to the first or the last row."""
        self.move_cursor(0 if side < 0 else len(self._shown) - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.pointed is not None:
            self.post_message(self.Opened(self, self.pointed))

    def on_click(self, event: events.Click) -> None:
        """A title sorts, a row takes the cursor, and the row that has it opens."""
        event.stop()
        row = event.y - 1 + self.scroll_offset.y
        if event.y == 0:
            self._sort_at(event.x + self.scroll_offset.x)
        elif row == self.cursor_row:
            self.action_open()
        elif row < len(self._shown):
            self.move_cursor(row)

    def _sort_at(self, across: int) -> None:
        """Sort by the column of a cell; a second time turns the order round."""
        for index, width in enumerate(self._widths):
            across -= width + 2 * _PADDING
            if across < 0:
                again = index == self.sorted_by
                self.sort_by(index, descending=again and not self.descending)
                return

    # -- order -----------------------------------------------------------------------------

    def sort_by(self, index: int | None, *, descending: bool = False) -> None:
        """Sort by a column; None restores the order in which the rows came."""
        before = self.pointed
        self.sorted_by, self.descending = index, descending
        self._refill(before)
        self.refresh()

    def action_sort(self, step: int) -> None:
        """Sort by the next column, or the one before; after the last, as the rows came."""
        places = [None, *range(len(self._specs))]
        at = places.index(self.sorted_by)
        self.sort_by(places[(at + step) % len(places)])

    def action_turn(self) -> None:
        """Turn the order round."""
        self.sort_by(
            0 if self.sorted_by is None else self.sorted_by, descending=not self.descending
        )

    def _point(self) -> None:
        if self.pointed is not None and self.is_attached:
            self.post_message(self.Pointed(self, self.pointed))


@lru_cache(maxsize=256)
def _look(look: Style, name: str) -> Style:
    return look + Style.parse(name) if name else look


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
