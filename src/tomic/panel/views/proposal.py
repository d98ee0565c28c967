"""One proposal: payoff, figures, parts of the score, legs, and what was refused beside it."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from tomic.desk import Desk
from tomic.models import Leg, Proposal, ScanResult, TradeReview
from tomic.panel.views.view import Sheet
from tomic.panel.widgets.glyphs import Glyphs, money, number, per_cent
from tomic.panel.widgets.grid import Column, Grid
from tomic.panel.widgets.plot import Canvas, framed, span_of


def refusals_text(result: ScanResult, *, symbol: str | None = None) -> Text:
    """
    Every rule with what it refused and its nearest miss, then the strategies that were gated.

    With *symbol* nearest misses and gates of that symbol only.
    """
    text = Text()
    text.append(f"{result.considered:,} considered, {result.passed:,} passed\n", "bold")
    misses = {
        one.rule: one for one in reversed(result.nearest_misses) if symbol in (None, one.symbol)
    }
    for count in result.rejected:
        kind = "" if count.kind == "rule" else " (no data)"
        text.append(f"{count.rule:<22}{count.count:>9,}{kind}\n")
        if count.rule in misses:
            miss = misses[count.rule]
            text.append(f"  nearest: {miss.symbol} {miss.trade}: {miss.message}\n", "dim")
    gated: dict[tuple[str, str], list[str]] = {}
    for one in result.gated:
        if symbol in (None, one.symbol):
            gated.setdefault((one.symbol, one.message), []).append(one.strategy)
    for (name, message), strategies in gated.items():
        text.append(f"gated {name}: {message} ({', '.join(strategies)})\n", "dim")
    for outcome in result.outcomes:
        if symbol in (None, outcome.symbol):
            for note in (*outcome.notes, outcome.error):
                if note:
                    text.append(f"{outcome.symbol}: {note}\n", "" if outcome.ok else "red")
    text.right_crop(1)
    return text


def payoff_text(proposal: Proposal, width: int, height: int, glyphs: Glyphs) -> Text:
    """The plot as text of *width* x *height* cells; too small a space gives nothing."""
    points = [point for point in proposal.curve if math.isfinite(point.profit)]
    title = Text("P&L at the first expiry", style="bold", no_wrap=True)
    if width < 24 or height < 7 or len(points) < 2:
        return title.append("\nno payoff to draw", "dim")
    price = [point.price for point in points]
    profit = [point.profit for point in points]
    x, y = span_of(price, margin=0.0), span_of([*profit, 0.0], margin=0.08)
    ticks = number(y.high, 0, signed=True), number(y.low, 0, signed=True)
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


class PayoffPlot(Widget):
    """The payoff of one proposal."""

    def __init__(self, proposal: Proposal, glyphs: Glyphs) -> None:
        super().__init__(id="payoff")
        self._proposal, self._glyphs = proposal, glyphs

    def show(self, proposal: Proposal) -> None:
        """Draw another proposal."""
        self._proposal = proposal
        self.refresh()

    def render(self) -> Text:
        """The plot, as large as the space it has."""
        return payoff_text(self._proposal, self.size.width, self.size.height, self._glyphs)


def contract(leg: Leg) -> str:
    """What a leg is, without its quantity."""
    return "shares" if leg.sec_type == "STK" else f"{leg.strike:g}{leg.right} {leg.expiry}"


LEGS: list[Column[Any]] = [
    Column("qty", attrgetter("quantity"), lambda leg: f"{leg.quantity:+d}"),
    Column("contract", attrgetter("text"), contract, left=True),
    Column("bid", attrgetter("bid"), lambda leg: number(leg.bid)),
    Column("ask", attrgetter("ask"), lambda leg: number(leg.ask)),
    Column("price", attrgetter("price"), lambda leg: number(leg.price)),
    Column("model", attrgetter("value"), lambda leg: number(leg.value)),
    Column("IV%", attrgetter("iv"), lambda leg: per_cent(leg.iv)),
    Column("delta", attrgetter("delta"), lambda leg: number(leg.delta)),
    Column("theta", attrgetter("theta"), lambda leg: number(leg.theta, 3)),
    Column("from", attrgetter("price_source"), lambda leg: leg.price_source.value, left=True),
]


def figures(proposal: Proposal, either_way: str) -> list[tuple[str, str]]:
    """Name and text of each figure."""
    error = "" if proposal.edge_error is None else f" {either_way}{number(proposal.edge_error)}"
    return [
        ("credit", f"{money(proposal.credit, 2)}  mid {money(proposal.credit_mid, 2)}"),
        ("profit/loss", f"{money(proposal.max_profit)} / {money(-proposal.max_loss)}"),
        ("margin", money(proposal.margin).lstrip("+")),
        ("ROM%", f"{per_cent(proposal.rom)}  30 d {per_cent(proposal.rom_30d)}"),
        ("PoS%", f"{per_cent(proposal.pos)}  market {per_cent(proposal.pos_market)}"),
        ("EV", f"{money(proposal.ev, 2)}  market {money(proposal.ev_market, 2)}"),
        ("CVaR95", money(-proposal.cvar95)),
        ("touch%", per_cent(proposal.touch)),
        ("edge", f"{money(proposal.edge, 2)}{error}"),
        ("delta", f"{proposal.delta:+.1f} sh  gamma {proposal.gamma:+.2f}"),
        ("theta", f"{proposal.theta:+.1f}/day  vega {proposal.vega:+.1f}"),
        ("IV rank", f"{per_cent(proposal.iv_rank, 0) or 'unknown'}  HV% {per_cent(proposal.hv)}"),
    ]


def score_text(proposal: Proposal) -> Text:
    """The parts of the score, which add up to it."""
    text = Text(f"score {proposal.score:.1f} {proposal.grade.value} = ", style="bold")
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

    def body(self) -> ComposeResult:
        """Payoff beside the figures, then score, legs and refusals."""
        proposal = self._proposal
        with VerticalScroll(id="proposal"):
            with Horizontal(classes="upper"):
                yield Static(self._figures(proposal), id="figures", markup=False)
                yield PayoffPlot(proposal, self.panel.glyphs)
            yield Static(score_text(proposal), id="score", markup=False)
            grid: Grid[Leg] = Grid(LEGS, key=attrgetter("text"), id="legs")
            grid.styles.height = len(proposal.legs) + 2
            yield grid
            yield Static(self._notes(proposal), id="notes", markup=False)
            yield Static(refusals_text(self._result, symbol=proposal.symbol), markup=False)

    def on_mount(self) -> None:
        """Fill in the legs."""
        self.query_one("#legs", Grid).fill(self._proposal.legs)
        self.query_one("#proposal").focus()

    def typed(self) -> str:
        """The equivalent command; none for what is not kept."""
        return self.panel.typed("show", self._proposal.id) if self._proposal.id else ""

    def _figures(self, proposal: Proposal) -> Text:
        text = Text(no_wrap=True)
        for name, value in figures(proposal, self.panel.glyphs.either_way):
            text.append(f"{name:<12}", "dim").append(f"{value}\n")
        text.right_crop(1)
        return text

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

        self.work("quoting the legs again", ask, self.reviewed)

    def reviewed(self, review: TradeReview) -> None:
        """Show the figures of now."""
        new = review.proposal
        refused = "; ".join(refusal.message for refusal in review.refusals)
        if new is None:
            self.say(refused or "its figures cannot be had", failed=True)
            return
        change = f"score {self._proposal.score:.1f} then, {new.score:.1f} now"
        self.query_one("#figures", Static).update(self._figures(new))
        self.query_one("#score", Static).update(score_text(new))
        self.query_one(PayoffPlot).show(new)
        self.query_one("#legs", Grid).fill(new.legs)
        self.say(f"refused now: {refused}" if refused else change, failed=bool(refused))

    def action_journal(self) -> None:
        """Record that the trade was done."""
        if not self._proposal.id:
            self.say("found in a recording, and not kept: the journal cannot take it", failed=True)
            return
        self.dismiss(None)
        self.panel.open_entry(self._proposal.id)
