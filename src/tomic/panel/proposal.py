"""One proposal: payoff, figures, parts of the score, legs, and what was refused beside it."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from tomic.desk import Desk
from tomic.models import Leg, Proposal, ScanResult, TradeReview
from tomic.panel.glyphs import money, number, per_cent
from tomic.panel.grid import Column, Grid
from tomic.panel.payoff_plot import PayoffPlot
from tomic.panel.refusals import refusals_text
from tomic.panel.sheet import Sheet


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


def figures(one: Proposal, either_way: str) -> list[tuple[str, str]]:
    """Name and text of each figure."""
    error = "" if one.edge_error is None else f" {either_way}{number(one.edge_error)}"
    return [
        ("credit", f"{money(one.credit, 2)}  mid {money(one.credit_mid, 2)}"),
        ("profit/loss", f"{money(one.max_profit)} / {money(-one.max_loss)}"),
        ("margin", money(one.margin).lstrip("+")),
        ("ROM%", f"{per_cent(one.rom)}  30 d {per_cent(one.rom_30d)}"),
        ("PoS%", f"{per_cent(one.pos)}  market {per_cent(one.pos_market)}"),
        ("EV", f"{money(one.ev, 2)}  market {money(one.ev_market, 2)}"),
        ("CVaR95", money(-one.cvar95)),
        ("touch%", per_cent(one.touch)),
        ("edge", f"{money(one.edge, 2)}{error}"),
        ("delta", f"{one.delta:+.1f} sh  gamma {one.gamma:+.2f}"),
        ("theta", f"{one.theta:+.1f}/day  vega {one.vega:+.1f}"),
        ("IV rank", f"{per_cent(one.iv_rank, 0) or 'unknown'}  HV% {per_cent(one.hv)}"),
    ]


def score_text(one: Proposal) -> Text:
    """The parts of the score, which add up to it."""
    text = Text(f"score {one.score:.1f} {one.grade.value} = ", style="bold")
    for part in one.printed_parts():
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
        one = self._proposal
        with VerticalScroll(id="proposal"):
            with Horizontal(classes="upper"):
                yield Static(self._figures(one), id="figures", markup=False)
                yield PayoffPlot(one, self.panel.glyphs)
            yield Static(score_text(one), id="score", markup=False)
            grid: Grid[Leg] = Grid(LEGS, key=attrgetter("text"), id="legs")
            grid.styles.height = len(one.legs) + 2
            yield grid
            yield Static(self._notes(one), id="notes", markup=False)
            yield Static(refusals_text(self._result, symbol=one.symbol), markup=False)

    def on_mount(self) -> None:
        """Fill in the legs."""
        self.query_one("#legs", Grid).fill(self._proposal.legs)
        self.query_one("#proposal").focus()

    def typed(self) -> str:
        """The equivalent command; none for what is not kept."""
        return self.panel.typed("show", self._proposal.id) if self._proposal.id else ""

    def _figures(self, one: Proposal) -> Text:
        text = Text(no_wrap=True)
        for name, value in figures(one, self.panel.glyphs.either_way):
            text.append(f"{name:<12}", "dim").append(f"{value}\n")
        text.right_crop(1)
        return text

    def _notes(self, one: Proposal) -> Text:
        like = f"{one.like_it} others like it passed every rule" if one.like_it else ""
        return Text("\n".join([*(f"note: {note}" for note in one.notes), like]).strip(), "dim")

    # -- again -----------------------------------------------------------------------------

    def action_refresh(self) -> None:
        """Quote the legs again and judge the trade anew."""
        old = self._proposal

        async def ask(desk: Desk) -> TradeReview:
            return await desk.refreshed(old)

        self.say("quoting the legs again")
        self.work(ask, self.reviewed)

    def reviewed(self, review: TradeReview) -> None:
        """Show the figures of now."""
        new = review.proposal
        refused = "; ".join(one.message for one in review.refusals)
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
