"""The stored days of one symbol: closes and volatilities, with a line of the closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget

from tomic.desk import Desk
from tomic.panel.views.sheet import Sheet
from tomic.panel.widgets.glyphs import Glyphs, number
from tomic.panel.widgets.grid import Column, Grid
from tomic.panel.widgets.plot import Canvas, Span, framed, span_of

if TYPE_CHECKING:
    from tomic.workflows.volatility.stored import PastDay


DAYS = 60

_FIGURES = (
    ("close", "close", 2, 1.0),
    ("HV30", "hv30", 1, 100.0),
    ("HV60", "hv60", 1, 100.0),
    ("HV90", "hv90", 1, 100.0),
    ("ATR14", "atr14", 2, 1.0),
    ("IV30", "iv30", 1, 100.0),
    ("rank", "iv_rank", 0, 100.0),
    ("pct", "iv_percentile", 0, 100.0),
    ("own IV30", "chain_iv30", 1, 100.0),
)


def _figure(title: str, field: str, decimals: int, factor: float) -> Column[Any]:
    read: Callable[[PastDay], Any] = attrgetter(field)
    return Column(title, read, lambda row: number(read(row), decimals, factor))


COLUMNS: list[Column[Any]] = [
    Column("day", attrgetter("day"), lambda row: f"{row.day}", left=True),
    *(_figure(*one) for one in _FIGURES),
]


def drawn(days: Sequence[PastDay], width: int, height: int, glyphs: Glyphs) -> Text:
    """IV30 and HV30 over the stored days."""
    series = {"IV30": ("cyan", [one.iv30 for one in days])}
    series["HV30"] = ("yellow", [one.hv30 for one in days])
    values = [value for _, line in series.values() for value in line if value is not None]
    if width < 20 or height < 5 or len(values) < 2:
        return Text("")
    y = span_of(values)
    ticks = number(y.high, 1, 100.0), number(y.low, 1, 100.0)
    across = Span(0.0, max(len(days) - 1.0, 1.0))
    canvas = Canvas(width - len(max(ticks, key=len)) - 2, height - 3, across, y, glyphs)
    for style, line in series.values():
        known = [float("nan") if value is None else value for value in line]
        canvas.curve([float(at) for at in range(len(known))], known, style)
    title = Text("IV30", style="cyan").append("  HV30", "yellow").append("  per cent\n", "dim")
    return title.append_text(
        framed(canvas, ticks=ticks, feet=(f"{days[0].day}", f"{days[-1].day}"))
    )


class DaysPlot(Widget):
    """IV30 and HV30 over time."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="days-plot")
        self._glyphs = glyphs
        self._days: Sequence[PastDay] = ()

    def show(self, days: Sequence[PastDay]) -> None:
        """Draw other days."""
        self._days = days
        self.refresh()

    def render(self) -> Text:
        """The plot, as large as the space it has."""
        return drawn(self._days, self.size.width, self.size.height, self._glyphs)


class HistorySheet(Sheet):
    """Stored days, the last one on top."""

    def __init__(self, symbol: str, days: Sequence[PastDay] | None = None) -> None:
        super().__init__(f"{symbol}: stored days")
        self._symbol, self._given = symbol, days

    def body(self) -> ComposeResult:
        """Plot and table."""
        yield DaysPlot(self.panel.glyphs)
        yield Grid(COLUMNS, key=lambda row: f"{row.day}", id="days")

    def typed(self) -> str:
        """The equivalent command."""
        return self.panel.typed("vol", self._symbol, "--history", "--days", DAYS)

    def on_mount(self) -> None:
        """Show the days that were given, or read them."""
        if self._given is not None:
            self.show(self._given)
            return

        async def ask(desk: Desk) -> list[PastDay]:
            return await desk.vol_history(self._symbol, DAYS)

        self.work(ask, self.show, online=False)

    def show(self, days: Sequence[PastDay]) -> None:
        """Fill table and plot."""
        self.query_one(DaysPlot).show(days)
        self.query_one("#days", Grid).fill(list(reversed(days)))
        self.query_one("#days").focus()
        if not days:
            self.say(f"nothing stored; tomic prices {self._symbol} fetches it")
