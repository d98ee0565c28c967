"""Scan: the best trades over many symbols, ranked; each opens with all that speaks for it."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from tomic.desk import Desk
from tomic.errors import (
    ClientIdInUse,
    CompetingSession,
    GatewayUnreachable,
    SessionError,
    SessionLost,
)
from tomic.models import Leg, Proposal, ScanResult, TradeReview
from tomic.panel.views.proposal import ProposalSheet, refusals_text, score_text
from tomic.panel.views.view import TextSheet, View
from tomic.panel.widgets.entry import Ask, LineInput
from tomic.panel.widgets.glyphs import money, number, per_cent
from tomic.panel.widgets.grid import Column, Grid
from tomic.panel.widgets.lines import FactLines

_LOST = {
    error.code
    for error in (SessionError, GatewayUnreachable, ClientIdInUse, CompetingSession, SessionLost)
}


def legs_of(proposal: Proposal) -> str:
    """All legs in short."""
    return " ".join(_short(leg) for leg in proposal.legs)


def _short(leg: Leg) -> str:
    return f"{leg.quantity:+d}{'sh' if leg.sec_type == 'STK' else f' {leg.strike:g}{leg.right}'}"


def _money(title: str, field: str) -> Column[Any]:
    read: Callable[[Proposal], float] = attrgetter(field)
    return Column(title, read, lambda row: money(read(row)))


COLUMNS: list[Column[Any]] = [
    Column("#", attrgetter("rank"), lambda row: f"{row.rank}"),
    Column("sym", attrgetter("symbol"), attrgetter("symbol"), left=True),
    Column(
        "strategy", attrgetter("strategy"), lambda row: row.strategy.replace("_", " "), left=True
    ),
    Column("dte", attrgetter("dte"), lambda row: f"{row.dte}"),
    _money("credit", "credit"),
    Column("loss", attrgetter("max_loss"), lambda row: money(-row.max_loss)),
    Column("PoS", attrgetter("pos"), lambda row: per_cent(row.pos, 0)),
    _money("EV", "ev"),
    Column("score", attrgetter("score"), lambda row: number(row.score, 1)),
    Column("", attrgetter("grade"), lambda row: row.grade.value, left=True),
    Column("ROM30", attrgetter("rom_30d"), lambda row: per_cent(row.rom_30d)),
    Column("margin", attrgetter("margin"), lambda row: money(row.margin).lstrip("+")),
    Column("id", attrgetter("id"), attrgetter("id"), left=True),
]


class ScanView(View):
    """The ranking."""

    label = "Scan"
    name_of_body = "#ranking"
    loads_on_first_sight = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "What", key_display="/"),
        Binding("x", "refused", "Refused"),
        Binding("w", "why_not", "Why not"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._result: ScanResult | None = None

    def body(self) -> ComposeResult:
        """What is scanned, the ranking, and the trade under the cursor."""
        with Horizontal(classes="filters"):
            yield Label("top")
            yield LineInput("5", id="top", width=5)
            yield Label("symbols")
            yield LineInput(id="symbols", hint="those of the settings", width=24)
            yield Label("strategies")
            yield LineInput(id="strategies", hint="all", width=24)
        yield Grid(COLUMNS, key=lambda row: f"{row.id} {row.symbol} {row.trade}", id="ranking")
        yield FactLines(id="trade", rows=3)

    # -- what is asked for -----------------------------------------------------------------

    def _words(self, name: str) -> list[str]:
        return self.query_one(f"#{name}", LineInput).value.replace(",", " ").split()

    @property
    def _top(self) -> int | None:
        text = self.query_one("#top", LineInput).value.strip()
        return int(text) if text.isdigit() and int(text) > 0 else None

    def typed(self) -> str:
        """The equivalent command."""
        strategies = ",".join(self._words("strategies"))
        words: list[object] = ["scan", *(symbol.upper() for symbol in self._words("symbols"))]
        words += ["--top", self._top] if self._top else []
        words += ["--strategy", strategies] if strategies else []
        return self.panel.typed(*words)

    def action_load(self) -> None:
        """Scan."""
        symbols = self._words("symbols") or list(self.panel.symbols)
        strategies = [strategy.replace("-", "_") for strategy in self._words("strategies")] or None
        top = self._top

        async def ask(desk: Desk) -> ScanResult:
            return await desk.scan(symbols, top=top, strategies=strategies)

        self.work(f"scanning {len(symbols)} symbols", ask, self.show)

    # -- what is shown ---------------------------------------------------------------------

    def show(self, result: ScanResult) -> None:
        """Fill the ranking."""
        lost = next((outcome for outcome in result.failed if outcome.error_code in _LOST), None)
        if lost is not None:
            self.panel.lost(lost.error)
        self._result = result
        self.query_one("#ranking", Grid).fill(result.proposals)
        refused = sorted(result.rejected, key=lambda refusal: -refusal.count)[:3]
        parts = [
            f"partial: {result.partial_text}" if result.partial else "",
            f"{result.considered:,} considered, {result.passed:,} passed",
            "refused " + ", ".join(f"{refusal.rule} {refusal.count:,}" for refusal in refused)
            if refused
            else "",
        ]
        if not result.proposals:
            parts.insert(0, "nothing qualifies (x says why)")
            self.query_one("#trade", FactLines).show([])
        self.say(self.panel.joined(parts))

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Show legs and score of the trade under the cursor."""
        proposal: Proposal = message.row
        more = f"+{proposal.alternatives} like it" if proposal.alternatives else ""
        legs = self.panel.joined([f"{proposal.symbol} {legs_of(proposal)} {proposal.expiry}", more])
        self.query_one("#trade", FactLines).show(
            [legs, score_text(proposal).plain, *proposal.notes[:1]]
        )

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Open the proposal."""
        if self._result is not None:
            self.app.push_screen(ProposalSheet(message.row, self._result))

    def action_refused(self) -> None:
        """Show what was refused, and how near the nearest came."""
        if self._result is not None:
            command = f"{self.typed()} --explain"
            self.app.push_screen(TextSheet("Refused", refusals_text(self._result), command))

    def action_filter(self) -> None:
        """Go to what is scanned."""
        self.query_one("#top", LineInput).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep the command in step."""
        event.stop()
        self.show_command()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Scan."""
        event.stop()
        self.focus_body()
        self.action_load()

    # -- why not ---------------------------------------------------------------------------

    def action_why_not(self) -> None:
        """Ask which rule refuses a given trade."""
        pointed: Proposal | None = self.query_one("#ranking", Grid).pointed
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
            typed = self.panel.typed("why-not", symbol, trade)
            self.app.push_screen(TextSheet(f"{symbol} {trade}", review_text(review), typed))

        self.work(f"{symbol}: judging {trade}", ask, show)


def review_text(review: TradeReview) -> str:
    """Which rules refused a given trade, or its place when none did."""
    place = f", place {review.place} of its kind" if review.place else ""
    lines = [f"accepted{place}" if review.accepted else "refused"]
    for refusal in review.refusals:
        lines.append(
            f"{'no data' if refusal.kind == 'no_data' else refusal.rule}: {refusal.message}"
        )
    if review.proposal is not None:
        proposal = review.proposal
        lines += ["", score_text(proposal).plain]
        lines.append(
            f"credit {money(proposal.credit, 2)}, loss {money(-proposal.max_loss)}, "
            f"PoS {per_cent(proposal.pos)}%, EV {money(proposal.ev, 2)}"
        )
    if review.better is not None:
        lines.append(f"better: {review.better.trade}, score {review.better.score:.1f}")
    return "\n".join(lines)
