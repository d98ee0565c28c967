"""
Scan: the best trades over many symbols, ranked; each opens with all that speaks for it.

One proposal: payoff, figures, parts of the score, legs, and what was refused beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Label, Static

from tomic import errors
from tomic.desk import Desk
from tomic.models import Leg, Proposal, ScanResult, TradeReview
from tomic.panel.views.journal import JournalView
from tomic.panel.views.view import Panel, Sheet, TextSheet, View
from tomic.panel.widgets.grid import Column, Grid, number_column, text_column
from tomic.panel.widgets.lines import Ask, FactLines, LineInput
from tomic.panel.widgets.pictures import Pictures
from tomic.panel.widgets.plot import Canvas, Glyphs, framed, span_of
from tomic.panel.widgets.quick import QuickRow
from tomic.present.proposal import legs_text, review_text, source_text
from tomic.present.scan import explanation, similar_count
from tomic.present.text import amount, money, number, points
from tomic.store.documents import read_as

_MOST_FIGURES = 32
_LOST = {
    error.code
    for error in (
        errors.SessionError,
        errors.GatewayUnreachable,
        errors.ClientIdInUse,
        errors.CompetingSession,
        errors.SessionLost,
    )
}


COLUMNS: list[Column[Any]] = [
    number_column("#", "rank", 0),
    text_column("sym", "symbol"),
    text_column("strategy", "strategy", lambda name: name.replace("_", " ")),
    number_column("dte", "dte", 0),
    number_column("credit", "credit", 0, signed=True),
    Column("loss", attrgetter("max_loss"), lambda row: money(-row.max_loss, 0)),
    number_column("PoS", "pos", 0, 100.0),
    number_column("EV", "ev", 0, signed=True),
    number_column("score", "score", 1),
    text_column("", "grade"),
    number_column("ROM30", "rom_30d", 1, 100.0),
    number_column("margin", "margin", 0),
    text_column("id", "id"),
]


class ScanView(View):
    """The best trades over many symbols, ranked."""

    label = "Scan"
    waits_for_input = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "What", key_display="/"),
        Binding("x", "refused", "Refused"),
        Binding("w", "why_not", "Why not"),
    ]

    _result: ScanResult | None = None

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.top = LineInput("5", id="top", width=5)
        self.symbols = LineInput(id="symbols", hint="those of the settings", width=24)
        self.strategies = LineInput(id="strategies", hint="all", width=24)
        self.table = Grid(COLUMNS, key=_name, id="ranking")
        self.pictures = Pictures(id="trade-picture")
        self.trade = FactLines(id="trade", rows=3)

    def body(self) -> ComposeResult:
        """What is scanned, the ranking, and the trade under the cursor with its payoff."""
        with QuickRow(classes="filters"):
            yield Label("top")
            yield self.top
            yield Label("symbols")
            yield self.symbols
            yield Label("strategies")
            yield self.strategies
        yield self.table
        yield self.pictures
        yield self.trade

    def first_look(self) -> None:
        """Show the last scan that is stored; another is made when it is asked for."""
        self.recall(last_scan, lambda result: self.show(result, stored=True), self._wait)

    def _wait(self) -> None:
        if self._result is None:
            super().first_look()

    # -- what is asked for -----------------------------------------------------------------

    def _names_in(self, line: LineInput) -> list[str]:
        return line.value.replace(",", " ").split()

    @property
    def _top(self) -> int | None:
        text = self.top.value.strip()
        return int(text) if text.isdigit() and int(text) > 0 else None

    def command(self) -> str:
        """The equivalent command."""
        strategies = ",".join(self._names_in(self.strategies))
        words: list[object] = ["scan", *(symbol.upper() for symbol in self._names_in(self.symbols))]
        words += ["--top", self._top] if self._top else []
        words += ["--strategy", strategies] if strategies else []
        return self.panel.source.command(*words)

    def action_load(self) -> None:
        """Scan."""
        symbols = self._names_in(self.symbols) or list(self.panel.symbols)
        strategies = [
            strategy.replace("-", "_") for strategy in self._names_in(self.strategies)
        ] or None
        top = self._top

        async def ask(desk: Desk) -> ScanResult:
            return await desk.scan(symbols, top=top, strategies=strategies)

        self.request(f"scanning {len(symbols)} symbols", ask, self.show)

    # -- what is shown ---------------------------------------------------------------------

    def show(self, result: ScanResult, *, stored: bool = False) -> None:
        """Fill the ranking."""
        lost = next((outcome for outcome in result.failed if outcome.error_code in _LOST), None)
        if lost is not None and not stored:
            self.panel.set_banner(lost.error)
        self._result = result
        self.mark_age(result.as_of, stored=stored)
        self.table.fill(result.proposals)
        refused = sorted(result.rejected, key=lambda refusal: -refusal.count)[:3]
        parts = [
            self._age,
            f"partial: {result.partial_text}" if result.partial else "",
            f"{result.considered:,} considered, {result.passed:,} passed",
            "refused " + ", ".join(f"{refusal.rule} {refusal.count:,}" for refusal in refused)
            if refused
            else "",
        ]
        if not result.proposals:
            parts.insert(0, "nothing today (x says why)")
            self.trade.show([])
            self.pictures.show((), self.panel.glyphs)
        self.show_status(self.panel.joined(parts))

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Show legs and score of the trade under the cursor."""
        proposal: Proposal = message.row
        count = similar_count(proposal)
        more = f"{count} like it" if count else ""
        legs = self.panel.joined([f"{proposal.symbol} {legs_text(proposal)}", more])
        self.trade.show([legs, score_text(proposal).plain, *proposal.notes[:1]])
        self.pictures.show(
            [partial(payoff_text, proposal), partial(figures_text, proposal)], self.panel.glyphs
        )

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Open the proposal."""
        if self._result is not None:
            self.app.push_screen(ProposalSheet(message.row, self._result))

    def action_refused(self) -> None:
        """Show what was refused, and how near the nearest came."""
        if self._result is not None:
            command = f"{self.command()} --explain"
            self.app.push_screen(TextSheet("Refused", explanation(self._result), command))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep the command in step."""
        event.stop()
        self.show_command()

    # -- why not ---------------------------------------------------------------------------

    def action_why_not(self) -> None:
        """Ask which rule refuses a given trade."""
        pointed: Proposal | None = self.table.pointed
        symbol = pointed.symbol if pointed else (self.panel.symbols or ("SPY",))[0]
        trade = pointed.trade if pointed else "short_put_spread 560/550 2026-12-18"
        questions = [("symbol", symbol), ("trade", trade)]
        self.app.push_screen(Ask("Why not this trade?", questions), self._judge)

    def _judge(self, answer: tuple[str, ...] | None) -> None:
        if answer is None:
            return
        symbol, trade = answer[0].strip().upper(), answer[1].strip()

        async def ask(desk: Desk) -> TradeReview:
            return await desk.why_not(symbol, trade)

        def show(review: TradeReview) -> None:
            command = self.panel.source.command("why-not", symbol, trade)
            self.app.push_screen(TextSheet(f"{symbol} {trade}", review_text(review), command))

        self.request(f"{symbol}: judging {trade}", ask, show)


# -- one proposal --------------------------------------------------------------------------


def payoff_text(proposal: Proposal, width: int, height: int, glyphs: Glyphs) -> Text:
    """The plot as text of *width* x *height* cells; too small a space gives nothing."""
    known = [point for point in proposal.curve if math.isfinite(point.profit)]
    title = Text(no_wrap=True).append("P&L at the first expiry", "bold")
    if width < 24 or height < 7 or len(known) < 2:
        return title.append("\nno payoff to draw", "dim")
    price = [point.price for point in known]
    profit = [point.profit for point in known]
    x, y = span_of(price, margin=0.0), span_of([*profit, 0.0], margin=0.08)
    ticks = money(y.high, 0), money(y.low, 0)
    canvas = Canvas(width - len(max(ticks, key=len)) - 1, height - 4, x, y, glyphs)
    canvas.level(0.0, "dim")
    canvas.upright(proposal.spot, "dim")
    # Lines are drawn first and the colours of each side after, so that they meet at zero.
    canvas.curve(price, profit, "green")
    canvas.curve(*_below(price, profit), "red")
    for breakeven in proposal.breakevens:
        canvas.sign(breakeven, 0.0, glyphs.point, "yellow")
    feet = (f"{price[0]:.5g}", f"{price[-1]:.5g}")
    spot = (proposal.spot, f"spot {proposal.spot:,.2f}")
    breakevens = ", ".join(f"{level:,.2f}" for level in proposal.breakevens) or "none"
    key = Text(f"\n{glyphs.point} breakevens {breakevens}", "dim")
    return (
        title.append("\n")
        .append_text(framed(canvas, ticks=ticks, feet=feet, mark=spot))
        .append_text(key)
    )


def _below(price: list[float], profit: list[float]) -> tuple[list[float], list[float]]:
    """The parts of the line under zero, cut where they cross it; gaps between them."""
    across: list[float] = []
    down: list[float] = []
    for index, (x, y) in enumerate(zip(price, profit, strict=True)):
        if index and (profit[index - 1] < 0.0) != (y < 0.0):
            before = profit[index - 1]
            share = before / (before - y) if before != y else 0.0
            across.append(price[index - 1] + share * (x - price[index - 1]))
            down.append(0.0)
        across.append(x)
        down.append(y if y < 0.0 else math.nan)
    return across, down


def figures_text(proposal: Proposal, width: int, height: int, glyphs: Glyphs) -> Text:
    """As many of the figures as there is room for."""
    text = Text(no_wrap=True)
    for name, value in figures(proposal, glyphs.either_way)[:height]:
        text.append(f"{name:<12}", "dim").append(f"{value}\n")
    text.right_crop(1)
    return text


def _name(proposal: Proposal) -> str:
    return f"{proposal.id} {proposal.symbol} {proposal.trade}"


async def last_scan(desk: Desk) -> ScanResult | None:
    """The scan that was stored last, with its proposals; None where there is none."""
    store = await desk.store()
    for kept in await store.scans.latest(limit=1):
        result = read_as(ScanResult, {**kept.document, "proposals": ()}, f"scan {kept.id}")
        proposals = [await desk.proposal(name) for name in kept.proposal_ids]
        return result.model_copy(update={"proposals": tuple(proposals)})
    return None


def contract(leg: Leg) -> str:
    """What a leg is, without its quantity."""
    return "shares" if leg.sec_type == "STK" else f"{leg.strike:g}{leg.right} {leg.expiry}"


LEGS: list[Column[Any]] = [
    Column("qty", attrgetter("quantity"), lambda leg: f"{leg.quantity:+d}"),
    Column("contract", attrgetter("text"), contract, left=True),
    number_column("bid", "bid"),
    number_column("ask", "ask"),
    number_column("price", "price"),
    number_column("model", "value"),
    number_column("IV%", "iv", 1, 100.0),
    number_column("delta", "delta"),
    number_column("theta", "theta", 3),
    text_column("from", "price_source", source_text),
]


def figures(proposal: Proposal, either_way: str) -> list[tuple[str, str]]:
    """Name and text of each figure."""
    error = "" if proposal.edge_error is None else f" {either_way}{number(proposal.edge_error)}"
    view = proposal.view
    own = f"PoS {points(view.pos)}  EV {money(view.ev, 2)}" if view is not None else ""
    ev_error = "" if proposal.ev_error is None else f" {either_way}{number(proposal.ev_error)}"
    return [
        ("credit", f"{money(proposal.credit, 2)}  mid {money(proposal.credit_mid, 2)}"),
        ("profit/loss", f"{money(proposal.max_profit, 0)} / {money(-proposal.max_loss, 0)}"),
        ("margin", amount(proposal.margin)),
        ("ROM%", f"{points(proposal.rom)}  30 d {points(proposal.rom_30d)}"),
        ("PoS%", points(proposal.pos)),
        ("EV", money(proposal.ev, 2) + ev_error),
        *([("your view", own)] if own else []),
        ("CVaR95", money(-proposal.cvar95, 0)),
        ("touch%", points(proposal.touch)),
        ("edge", f"{money(proposal.edge, 2)}{error}"),
        ("delta", f"{proposal.delta:+.1f} sh  gamma {proposal.gamma:+.2f}"),
        ("theta", f"{proposal.theta:+.1f}/day  vega {proposal.vega:+.1f}"),
        ("IV rank", points(proposal.iv_rank, 0) or "unknown"),
        *_more_figures(proposal, either_way),
    ]


def _more_figures(proposal: Proposal, either_way: str) -> Iterator[tuple[str, str]]:
    """Those that not every proposal has."""
    managed, view, size = proposal.managed, proposal.view, proposal.size
    if managed is not None:
        chance = f"{points(managed.p_target)}  {managed.days:.0f} days held"
        yield "P(target)%", chance
        yield "EV managed", f"{money(managed.ev, 2)} {either_way}{number(managed.ev_error)}"
    if view is not None:
        yield "your view", f"PoS% {points(view.pos)}  EV {money(view.ev, 2)}"
    if size is not None:
        yield "how many", f"{size.contracts}, by {size.limited_by}"
    for event in proposal.events:
        yield "event", event.text


def score_text(proposal: Proposal) -> Text:
    """The parts of the score, which add up to it."""
    text = Text().append(f"score {proposal.score:.1f} {proposal.grade.value} = ", "bold")
    for part in proposal.printed_parts():
        text.append(f"{part.name} ", "dim").append(f"{part.points:+.1f}  ", _tone(part.points))
    return text


def _tone(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else ""


class ProposalSheet(Sheet):
    """
    A proposal, whole.

    Args:
        proposal: What was found.
        result: The scan that found it, for what it refused.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "refresh", "Quote anew"),
        Binding("j", "journal", "To journal"),
    ]

    def __init__(self, proposal: Proposal, result: ScanResult) -> None:
        super().__init__(f"{proposal.id} {proposal.symbol} {proposal.trade}".strip())
        self._proposal, self._result = proposal, result
        self.payoff = Pictures(id="payoff")
        # Nobody can ask again for what is not kept.
        self._words = ("show", proposal.id) if proposal.id else ()

    def body(self) -> ComposeResult:
        """Payoff beside the figures, then score, legs and refusals."""
        proposal = self._proposal
        with VerticalScroll(id="proposal"):
            with QuickRow(classes="upper"):
                yield Static(self._figures(proposal), id="figures", markup=False)
                yield self.payoff
            yield Static(score_text(proposal), id="score", markup=False)
            grid: Grid[Leg] = Grid(LEGS, key=attrgetter("text"), id="legs")
            grid.styles.height = len(proposal.legs) + 2
            yield grid
            yield Static(self._notes(proposal), id="notes", markup=False)
            refusals = explanation(self._result, symbol=proposal.symbol)
            yield Static(self.panel.glyphs.shown(refusals), markup=False)

    def on_mount(self) -> None:
        """Fill in the legs."""
        self._draw(self._proposal)
        self.query_one("#proposal").focus()

    def _draw(self, proposal: Proposal) -> None:
        self.payoff.show([partial(payoff_text, proposal)], self.panel.glyphs)
        self.query_one("#legs", Grid).fill(proposal.legs)

    def _figures(self, proposal: Proposal) -> Text:
        return figures_text(proposal, 0, _MOST_FIGURES, self.panel.glyphs)

    def _notes(self, proposal: Proposal) -> Text:
        like = (
            f"{proposal.alternatives} others like it passed every rule"
            if proposal.alternatives
            else ""
        )
        return Text("\n".join([*(f"note: {note}" for note in proposal.notes), like]).strip(), "dim")

    # -- again -----------------------------------------------------------------------------

    def action_refresh(self) -> None:
        """Quote the legs again and judge the trade anew."""
        old = self._proposal

        async def ask(desk: Desk) -> TradeReview:
            return await desk.refreshed(old)

        self.request("quoting the legs again", ask, self.reviewed)

    def reviewed(self, review: TradeReview) -> None:
        """Show the figures of now."""
        new = review.proposal
        refused = "; ".join(refusal.message for refusal in review.refusals)
        if new is None:
            self.show_status(refused or "its figures cannot be had", failed=True)
            return
        change = f"score {self._proposal.score:.1f} then, {new.score:.1f} now"
        self.query_one("#figures", Static).update(self._figures(new))
        self.query_one("#score", Static).update(score_text(new))
        self._draw(new)
        self.show_status(f"refused now: {refused}" if refused else change, failed=bool(refused))

    def action_journal(self) -> None:
        """Record that the trade was done."""
        if not self._proposal.id:
            self.show_status(
                "found in a recording, and not kept: the journal cannot take it", failed=True
            )
            return
        self.dismiss(None)
        self.panel.front(JournalView).add(self._proposal.id)
