"""The stress grid as a heat map: P&L over moves of the spot and of volatility."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widget import Widget

from tomic.models.review import StressGrid

_CELL = 6
_LABEL = 6
_FAINT, _FULL = 28, 150
"""Brightness of the colour of the smallest and of the largest amount."""


def short(value: float) -> str:
    """An amount with its sign in at most six letters: -85, +2.1k, -14k, +1.2M."""
    size = abs(value)
    for limit, unit, factor in ((999.5, "", 1.0), (999_500.0, "k", 1e3), (1e15, "M", 1e6)):
        if size < limit:
            scaled = value / factor
            decimals = 1 if unit and abs(scaled) < 99.95 else 0
            text = f"{scaled:+.{decimals}f}{unit}"
            return "0" if text in ("+0", "-0") else text
    return "inf" if value > 0 else "-inf"


def nearest(moves: Sequence[float], shown: Sequence[float], count: int) -> list[int]:
    """Places of the moves nearest to *shown*; the middle ones where only *count* fit."""
    places = sorted({min(range(len(moves)), key=lambda i: abs(moves[i] - one)) for one in shown})
    excess = max(len(places) - max(count, 1), 0)
    return places[excess - excess // 2 : len(places) - excess // 2]


def drawn(grid: StressGrid, day: int, shown: Sequence[float], width: int) -> Text:
    """One day of the grid, a row for each change of volatility; *day* is a place in its days."""
    columns = nearest(grid.spot_moves, shown, (width - _LABEL) // _CELL)
    largest = max((abs(row[day]) for cells in grid.pnl for row in cells), default=0.0) or 1.0
    after = grid.days[day]
    when = "now" if after == 0 else f"in {after} days"
    title = f"{when}: {grid.name}"
    text = Text(f"{title[:width]}\n", style="bold", no_wrap=True)
    text.append(f"{'vol':<{_LABEL}}", "dim")
    text.append("".join(f"{grid.spot_moves[i]:>+{_CELL}.0%}" for i in columns), "dim")
    for row in reversed(range(len(grid.vol_moves))):
        text.append(f"\n{grid.vol_moves[row]:<+{_LABEL}.0%}", "dim")
        for i in columns:
            value = grid.pnl[i][row][day]
            text.append(f"{short(value):>{_CELL}}", _colour(value / largest))
    return text


def _colour(share: float) -> str:
    """White on red or green, the brighter the larger; the sign is in the text as well."""
    depth = round(_FAINT + min(abs(share), 1.0) ** 0.5 * (_FULL - _FAINT))
    red, green = (depth, 20) if share < 0.0 else (20, depth)
    return f"rgb(255,255,255) on rgb({red},{green},20)"


class HeatMap(Widget):
    """A stress grid; other days and other symbols can be chosen."""

    def __init__(self) -> None:
        super().__init__(id="stress")
        self._grids: Sequence[StressGrid] = ()
        self._shown: Sequence[float] = ()
        self._grid = self._day = 0

    def show(self, grids: Sequence[StressGrid], shown: Sequence[float]) -> None:
        """Draw other grids, at these moves of the spot."""
        self._grids, self._shown = grids, shown
        self._grid = min(self._grid, max(len(grids) - 1, 0))
        self._day = min(self._day, len(grids[0].days) - 1 if grids else 0)
        self.refresh()

    def turn_day(self) -> None:
        """The next day of the grid."""
        if self._grids:
            self._day = (self._day + 1) % len(self._grids[self._grid].days)
            self.refresh()

    def turn_grid(self) -> None:
        """The book, then symbol after symbol."""
        if self._grids:
            self._grid = (self._grid + 1) % len(self._grids)
            self.refresh()

    def render(self) -> Text:
        """The heat map, as wide as the space it has."""
        if not self._grids:
            return Text("nothing to stress", "dim")
        grid = self._grids[self._grid]
        return drawn(grid, min(self._day, len(grid.days) - 1), self._shown, self.size.width)
