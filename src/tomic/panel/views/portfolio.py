"""Portfolio: the strategies that are held, their Greeks, the stress grid, and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar, TypeAlias

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from tomic.desk import Desk
from tomic.errors import TomicError
from tomic.masking import masked
from tomic.models.review import Alert, BookReview, Severity, StressGrid, Structure
from tomic.models.what_if import WhatIf
from tomic.panel.views.view import Panel, TextSheet, View
from tomic.panel.views.what_if import WhatIfSheet
from tomic.panel.views.what_now import name_of, show_what_now
from tomic.panel.widgets.grid import Column, Grid, number_column, text_column
from tomic.panel.widgets.lines import Ask, FactLines
from tomic.panel.widgets.pictures import Pictures
from tomic.panel.widgets.plot import Canvas, Glyphs, framed, span_of
from tomic.panel.widgets.quick import QuickRow
from tomic.portfolio import what_if
from tomic.present import portfolio as present
from tomic.present.text import amount, money, number, per_cent, points
from tomic.workflows.portfolio.review import PortfolioReview

Structures: TypeAlias = tuple[what_if.HeldStructure, ...]

_STYLES = {Severity.ALARM: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
_MARKS = {Severity.ALARM: "!!", Severity.WARNING: "! ", Severity.INFO: "  "}


def totals(review: BookReview) -> list[list[str]]:
    """The book in two lines."""
    total, greeks = review.totals, review.totals.greeks
    worst = total.worst
    beta = total.beta
    return [
        [
            f"net {number(review.net_liquidation, 0)} {review.currency}",
            f"P&L {_or_unknown(money(total.pnl, 0), total.pnl_unknown)}",
            f"margin {_or_unknown(number(total.margin, 0), total.margin_unknown)}"
            + ("" if total.margin_share is None else f" ({per_cent(total.margin_share)})"),
            f"worst {money(worst.pnl, 0)} ({per_cent(total.worst_share, 1)})" if worst else "",
        ],
        [
            f"delta$ {money(greeks.delta_value, 0)}",
            f"gamma$/1% {money(greeks.gamma_value, 0)}",
            f"vega {money(greeks.vega, 1)}",
            f"theta {money(greeks.theta, 1)}/day",
            f"{beta.benchmark} delta {money(beta.delta, 0)}" if beta else "",
        ],
    ]


def _or_unknown(text: str, unknown: Sequence[str]) -> str:
    """A total; where a part of it is unknown, of which structures."""
    return text or (f"? ({', '.join(unknown)})" if unknown else "")


def alerts_text(alerts: Sequence[Alert], *, advice: bool = False) -> Text:
    """A line for each alert, the urgent ones marked and first."""
    order = {Severity.ALARM: 0, Severity.WARNING: 1, Severity.INFO: 2}
    text = Text()
    for place, alert in enumerate(sorted(alerts, key=lambda alert: order[alert.severity])):
        text.append("\n" if place else "")
        scope = "" if alert.message.startswith(alert.scope) else f"{alert.scope} "
        text.append(f"{_MARKS[alert.severity]}{scope}{alert.message}", _STYLES[alert.severity])
        if advice:
            text.append(f"\n     {alert.advice}", "dim")
    return text


def structure_text(structure: Structure, review: BookReview) -> Text:
    """Legs and figures of one strategy, and the alerts about it."""
    text = Text()
    for leg in structure.legs:
        text.append(
            f"{leg.quantity:+g} {leg.contract:<26} cost {number(leg.cost):>9}  now "
            f"{number(leg.price):>9} ({leg.price_source})  IV% {points(leg.iv):>5}  "
            f"delta {number(leg.delta):>6}{f'  {leg.problem}' if leg.problem else ''}\n"
        )
    rows = [
        ("credit", money(structure.credit, 2)),
        ("P&L", money(structure.pnl, 2)),
        ("max profit", money(structure.max_profit, 0)),
        ("max loss", amount(structure.max_loss)),
        ("margin", f"{amount(structure.margin)}, net {amount(structure.margin_net)}"),
        ("ROM%", points(structure.rom)),
        ("theta/margin%", f"{points(structure.theta_margin, 2)} a day"),
        (
            "opened",
            f"{structure.opened or 'unknown'}{' or before' if structure.days_at_least else ''}",
        ),
        ("grouped by", f"{structure.source} {structure.link}".strip()),
    ]
    for name, value in rows:
        text.append(f"\n{name:<15}", "dim").append(value)
    for note in structure.notes:
        text.append(f"\nnote: {note}", "dim")
    own = [alert for alert in review.alerts if alert.scope == structure.id]
    text.append("\n\n").append_text(alerts_text(own, advice=True))
    for risk in review.assignments:
        if risk.structure == structure.id:
            text.append(f"\nassignment: {risk.message}", "yellow")
    return text


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
    places = sorted({min(range(len(moves)), key=lambda i: abs(moves[i] - move)) for move in shown})
    excess = max(len(places) - max(count, 1), 0)
    return places[excess - excess // 2 : len(places) - excess // 2]


def stress_text(grid: StressGrid, day: int, shown: Sequence[float], width: int) -> Text:
    """One day of the grid, a row for each change of volatility; *day* is a place in its days."""
    columns = nearest(grid.spot_moves, shown, (width - _LABEL) // _CELL)
    largest = max((abs(row[day]) for cells in grid.pnl for row in cells), default=0.0) or 1.0
    after = grid.days[day]
    when = "now" if after == 0 else f"in {after} days"
    title = f"{when}: {grid.name}"
    text = Text(no_wrap=True).append(f"{title[:width]}\n", "bold")
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


_CURVES = ("dim", "cyan", "yellow", "green")
"""Styles of the days of a picture, the last of them that of the expiry."""


def what_if_text(asked: WhatIf, width: int, height: int, glyphs: Glyphs) -> Text:
    """P&L of a structure by price, a line for each of its days."""
    title = Text(no_wrap=True).append(f"{asked.id}: P&L by price", "bold")
    if width < 24 or height < 7 or len(asked.rows) < 2:
        return title.append("\nno room for the picture", "dim")
    price = [row.price for row in asked.rows]
    so_far = asked.pnl or 0.0
    styles = (*_CURVES[: len(asked.horizons) - 1], _CURVES[-1])
    lines = [[so_far + row.change[at] for row in asked.rows] for at in range(len(asked.horizons))]
    x = span_of(price, margin=0.0)
    y = span_of([value for line in lines for value in line] + [0.0], margin=0.08)
    ticks = money(y.high, 0), money(y.low, 0)
    canvas = Canvas(width - len(max(ticks, key=len)) - 1, height - 4, x, y, glyphs)
    canvas.level(0.0, "dim")
    canvas.upright(asked.spot, "dim")
    for line, style in zip(lines, styles, strict=True):
        canvas.curve(price, line, style)
    feet = (f"{price[0]:.5g}", f"{price[-1]:.5g}")
    spot = (asked.spot, f"spot {asked.spot:,.2f}")
    key = Text("\n", no_wrap=True)
    for day, style in zip(asked.horizons, styles, strict=True):
        key.append("now  " if day == 0.0 else f"{day:.0f} days  ", style)
    return (
        title.append("\n")
        .append_text(framed(canvas, ticks=ticks, feet=feet, mark=spot))
        .append_text(key)
    )


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
        return stress_text(grid, min(self._day, len(grid.days) - 1), self._shown, self.size.width)


def _tone(row: Structure) -> str:
    return "" if row.pnl is None else "red" if row.pnl < 0 else "green"


COLUMNS: list[Column[Any]] = [
    text_column("id", "id"),
    Column(
        "strategy",
        attrgetter("strategy"),
        lambda row: f"{row.quantity:g}x {row.strategy.replace('_', ' ')}",
        left=True,
    ),
    number_column("dte", "dte", 0),
    Column("P&L", attrgetter("pnl"), lambda row: money(row.pnl, 0), style=_tone),
    number_column("%max", "profit_share", 0, 100.0),
    number_column("delta$", "greeks.delta_value", 0, signed=True),
    number_column("theta", "greeks.theta", 1, signed=True),
    number_column("vega", "greeks.vega", 1, signed=True),
    number_column("margin", "margin", 0),
    number_column("gamma$", "greeks.gamma_value", 0, signed=True),
    number_column("ROM%", "rom", 1, 100.0),
    number_column("IV%", "iv", 1, 100.0),
    number_column("days", "days_in_trade", 0),
    text_column("account", "account", masked),
]


class PortfolioView(View):
    """What is held: strategies, Greeks, stress and alerts."""

    label = "Portfolio"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "day", "Day"),
        Binding("y", "grid", "Symbol"),
        Binding("a", "alerts", "Alerts"),
        Binding("w", "consider", "With"),
        Binding("n", "what_now", "What now"),
        Binding("i", "what_if", "What if"),
        Binding("l", "last", "Last"),
    ]

    _words: tuple[object, ...] = ("portfolio",)
    _review: BookReview | None = None
    _view: PortfolioReview | None = None

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.totals = FactLines(id="totals", rows=2)
        self.table = Grid(COLUMNS, key=attrgetter("id"), id="structures")
        self.stress = HeatMap()
        self.pictures = Pictures(id="structure")
        self.alerts = Static("", markup=False, id="alert-text")
        self._held: Structures | None = None

    def body(self) -> ComposeResult:
        """Totals, structures, then the stress grid beside the P&L of one of them and the alerts."""
        yield self.totals
        yield self.table
        with QuickRow(classes="lower"):
            yield self.stress
            yield self.pictures
            with VerticalScroll(id="alerts"):
                yield self.alerts

    def first_look(self) -> None:
        """Show the book that was saved last, then read the account."""

        async def ask(desk: Desk) -> PortfolioReview:
            return await desk.portfolio(last=True, each_symbol=True)

        self.recall(ask, lambda view: self.show(view, stored=True), self.action_load)

    # -- what is asked for -----------------------------------------------------------------

    def action_load(self) -> None:
        """Read positions and account values from the gateway."""
        self._words = ("portfolio", "--stress")

        async def ask(desk: Desk) -> PortfolioReview:
            return await desk.portfolio(each_symbol=True)

        self.request("reading the account", ask, self.show)

    def action_last(self) -> None:
        """Review the book that was saved last; nobody is asked."""
        self._words = ("portfolio", "--last", "--stress")

        async def ask(desk: Desk) -> PortfolioReview:
            return await desk.portfolio(last=True, each_symbol=True)

        def show(view: PortfolioReview) -> None:
            self.show(view, stored=True)

        self.request("reading the last saved book", ask, show, online=False)

    def action_consider(self) -> None:
        """Put a trade beside the book."""
        questions = [("a proposal's id, or legs", "")]
        note = "for example 20261120-3, or: SPY -1 560P +1 550P 2026-12-18"
        self.app.push_screen(Ask("What would a trade change?", questions, note=note), self._put)

    def _put(self, answer: tuple[str, ...] | None) -> None:
        if not answer or not answer[0].strip():
            return
        trade = answer[0].strip()
        self._words = ("portfolio", "--with", trade)

        async def ask(desk: Desk) -> PortfolioReview:
            return await desk.portfolio(trade, each_symbol=True)

        def show(view: PortfolioReview) -> None:
            self.show(view)
            if view.considered is not None:
                text = present.considered_text(view.review, view.considered)
                self.app.push_screen(TextSheet(f"With {trade}", text, self.command()))

        self.request(f"reading the account, with {trade}", ask, show)

    # -- what is shown ---------------------------------------------------------------------

    def show(self, view: PortfolioReview, *, stored: bool = False) -> None:
        """Show a review."""
        review = view.review
        self._review, self._view, self._held = review, view, None
        self.mark_age(review.as_of, stored=stored)
        self.table.fill(review.structures)
        self.totals.show([self.panel.joined(line) for line in totals(review)])
        grids = [*([review.stress] if review.stress else []), *review.stress_by_symbol]
        self.stress.show(grids, self.panel.settings.portfolio.stress.shown_spots)
        urgent = [alert for alert in review.alerts if alert.severity is not Severity.INFO]
        text = alerts_text(urgent) if urgent else Text("no warnings (a: all notes)", "dim")
        self.alerts.update(text)
        parts = [
            self._age or f"{review.as_of:%Y-%m-%d %H:%M} UTC",
            review.data_type.value if review.data_type else "",
            f"{len(review.structures)} strategies",
            f"{len(review.alerts)} alerts, {len(urgent)} urgent",
            f"{len(review.gaps)} not wholly in the figures" if review.gaps else "",
        ]
        self.show_status(self.panel.joined(parts))

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Draw the P&L of the structure under the cursor by price and day."""
        view, structure = self._view, message.row
        if view is None or view.book is None:
            return
        work, known = self.panel.background, self._held

        async def draw() -> None:
            held, asked = await work.compute(_valued, view, known, structure.id)
            if view is self._view:
                self._held = held
                self.pictures.show([partial(what_if_text, asked)], self.panel.glyphs)

        self.pictures.show((), self.panel.glyphs)
        self.aside(draw)

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Show legs and notes of the chosen strategy."""
        if self._review is not None:
            structure: Structure = message.row
            text = structure_text(structure, self._review)
            self.app.push_screen(
                TextSheet(f"{structure.id} {structure.strategy}", text, self.command())
            )

    def action_what_if(self) -> None:
        """What the chosen strategy would bring if the market moved; nobody is asked."""
        structure, view = self.table.pointed, self._view
        if structure is None or view is None:
            return
        try:
            held = self._held or _structures(view)
            subject = what_if.find(held, structure.id)
        except TomicError as exc:
            self.show_status(str(exc), failed=True)
            return
        self.app.push_screen(WhatIfSheet(subject, last="--last" in self._words))

    def action_what_now(self) -> None:
        """Show what can be done with the chosen strategy, the best first."""
        structure = self.table.pointed
        if structure is not None:
            show_what_now(self, name_of(structure))

    def action_day(self) -> None:
        """The stress grid at its next day."""
        self.stress.turn_day()

    def action_grid(self) -> None:
        """The stress grid of the next symbol."""
        self.stress.turn_grid()

    def action_alerts(self) -> None:
        """Show every alert with its advice, and what the figures lack."""
        if self._review is not None:
            text = alerts_text(self._review.alerts, advice=True)
            for gap in self._review.gaps:
                text.append(f"\nnot in the figures ({gap.missing}): {gap.name}: {gap.reason}")
            for note in self._review.notes:
                text.append(f"\nnote: {note}", "dim")
            self.app.push_screen(TextSheet("Alerts", text, self.command()))


def _structures(view: PortfolioReview) -> Structures:
    return what_if.subjects(view.book, view.claims, view.review.structures, view.own)


def _valued(
    view: PortfolioReview, known: Structures | None, name: str
) -> tuple[Structures, WhatIf]:
    """All structures, and P&L of the named one; takes a while, so not on the panel's loop."""
    held = known or _structures(view)
    return held, what_if.what_if(what_if.find(held, name))
