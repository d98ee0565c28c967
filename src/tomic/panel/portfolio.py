"""Portfolio: the strategies that are held, their Greeks, the stress grid, and alerts."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from tomic.desk import Desk
from tomic.models.review import BookReview, Severity, Structure
from tomic.panel.entry import Ask
from tomic.panel.facts import FactLines
from tomic.panel.glyphs import number, per_cent
from tomic.panel.grid import Column, Grid
from tomic.panel.heat_map import HeatMap
from tomic.panel.portfolio_text import alerts_text, considered_text, structure_text, totals
from tomic.panel.text_sheet import TextSheet
from tomic.panel.view import View

if TYPE_CHECKING:
    from tomic.workflows.review import PortfolioView


def _money(title: str, field: str) -> Column[Any]:
    read: Callable[[Structure], float | None] = attrgetter(field)
    return Column(title, read, lambda row: number(read(row), 0, signed=True))


def _tone(row: Structure) -> str:
    return "" if row.pnl is None else "red" if row.pnl < 0 else "green"


COLUMNS: list[Column[Any]] = [
    Column("id", attrgetter("id"), attrgetter("id"), left=True),
    Column(
        "strategy",
        attrgetter("strategy"),
        lambda row: f"{row.quantity:g}x {row.strategy.replace('_', ' ')}",
        left=True,
    ),
    Column("dte", attrgetter("dte"), lambda row: f"{'' if row.dte is None else row.dte}"),
    Column(
        "P&L",
        attrgetter("pnl"),
        lambda row: number(row.pnl, 0, signed=True),
        style=_tone,
    ),
    Column("%max", attrgetter("profit_share"), lambda row: per_cent(row.profit_share, 0)),
    _money("delta$", "greeks.delta_value"),
    Column(
        "theta", attrgetter("greeks.theta"), lambda row: number(row.greeks.theta, 1, signed=True)
    ),
    Column("vega", attrgetter("greeks.vega"), lambda row: number(row.greeks.vega, 1, signed=True)),
    Column("margin", attrgetter("margin"), lambda row: number(row.margin, 0)),
    _money("gamma$", "greeks.gamma_value"),
    Column("ROM%", attrgetter("rom"), lambda row: per_cent(row.rom)),
    Column("IV%", attrgetter("iv"), lambda row: per_cent(row.iv)),
    Column(
        "days",
        attrgetter("days_in_trade"),
        lambda row: "" if row.days_in_trade is None else f"{row.days_in_trade}",
    ),
    Column("account", attrgetter("account"), lambda row: f"***{row.account[-3:]}", left=True),
]


class PortfolioPage(View):
    """What is held."""

    label = "Portfolio"
    name_of_body = "#structures"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "day", "Day"),
        Binding("y", "grid", "Symbol"),
        Binding("a", "alerts", "Alerts"),
        Binding("w", "consider", "With"),
        Binding("l", "last", "Last"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._review: BookReview | None = None
        self._options: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        """Totals, structures, then the stress grid beside the alerts."""
        yield FactLines(id="totals", rows=2)
        yield Grid(COLUMNS, key=attrgetter("id"), id="structures")
        with Horizontal(classes="lower"):
            yield HeatMap()
            with VerticalScroll(id="alerts"):
                yield Static("", markup=False, id="alert-text")

    def typed(self) -> str:
        """The equivalent command."""
        return self.panel.typed("portfolio", *self._options)

    # -- what is asked for -----------------------------------------------------------------

    def action_load(self) -> None:
        """Read positions and account values from the gateway."""
        self._options = ("--stress",)

        async def ask(desk: Desk) -> PortfolioView:
            return await desk.portfolio(each_symbol=True)

        self.work("reading the account", ask, self.show)

    def action_last(self) -> None:
        """Review the book that was saved last; nobody is asked."""
        self._options = ("--last", "--stress")

        async def ask(desk: Desk) -> PortfolioView:
            return await desk.portfolio(last=True, each_symbol=True)

        self.work("reading the last saved book", ask, self.show, online=False)

    def action_consider(self) -> None:
        """Put a trade beside the book."""
        questions = [("a proposal's id, or legs", "")]
        note = "for example 20261120-3, or: SPY -1 560P +1 550P 2026-12-18"
        self.panel.push_screen(Ask("What would a trade change?", questions, note=note), self._put)

    def _put(self, answer: tuple[str, ...] | None) -> None:
        if not answer or not answer[0].strip():
            return
        trade = answer[0].strip()
        self._options = ("--with", trade)

        async def ask(desk: Desk) -> PortfolioView:
            return await desk.portfolio(trade, each_symbol=True)

        def show(view: PortfolioView) -> None:
            self.show(view)
            if view.considered is not None:
                text = considered_text(view.considered, view.review.currency)
                self.panel.push_screen(TextSheet(f"With {trade}", text, self.typed()))

        self.work(f"reading the account, with {trade}", ask, show)

    # -- what is shown ---------------------------------------------------------------------

    def show(self, view: PortfolioView) -> None:
        """Show a review."""
        review = view.review
        self._review = review
        self.query_one("#structures", Grid).fill(review.structures)
        self.query_one("#totals", FactLines).show(
            [self.panel.joined(one) for one in totals(review)]
        )
        grids = [*([review.stress] if review.stress else []), *review.stress_by_symbol]
        self.query_one(HeatMap).show(grids, self.panel.settings.portfolio.stress.shown_spots)
        urgent = [one for one in review.alerts if one.severity is not Severity.INFO]
        text = alerts_text(urgent) if urgent else Text("no warnings (a: all notes)", "dim")
        self.query_one("#alert-text", Static).update(text)
        parts = [
            f"{review.as_of:%Y-%m-%d %H:%M} UTC",
            review.data_type.value if review.data_type else "",
            f"{len(review.structures)} strategies",
            f"{len(review.alerts)} alerts, {len(urgent)} urgent",
            f"{len(review.gaps)} not wholly in the figures" if review.gaps else "",
        ]
        self.say(self.panel.joined(parts))

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Show legs and notes of the chosen strategy."""
        if self._review is not None:
            one: Structure = message.row
            text = structure_text(one, self._review)
            self.panel.push_screen(TextSheet(f"{one.id} {one.strategy}", text, self.typed()))

    def action_day(self) -> None:
        """The stress grid at its next day."""
        self.query_one(HeatMap).turn_day()

    def action_grid(self) -> None:
        """The stress grid of the next symbol."""
        self.query_one(HeatMap).turn_grid()

    def action_alerts(self) -> None:
        """Show every alert with its advice, and what the figures lack."""
        if self._review is not None:
            text = alerts_text(self._review.alerts, advice=True)
            for gap in self._review.gaps:
                text.append(f"\nnot in the figures ({gap.missing}): {gap.name}: {gap.reason}")
            for note in self._review.notes:
                text.append(f"\nnote: {note}", "dim")
            self.panel.push_screen(TextSheet("Alerts", text, self.typed()))
