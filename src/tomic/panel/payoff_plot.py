"""The payoff of a proposal at its first expiry: profit and loss over the price."""

from __future__ import annotations

import math

from rich.text import Text
from textual.widget import Widget

from tomic.models import Proposal
from tomic.panel.glyphs import Glyphs, number
from tomic.panel.plot import Canvas, framed, span_of


def drawn(proposal: Proposal, width: int, height: int, glyphs: Glyphs) -> Text:
    """The plot as text of *width* x *height* cells; too small a space gives nothing."""
    points = [one for one in proposal.curve if math.isfinite(one.profit)]
    title = Text("P&L at the first expiry", style="bold", no_wrap=True)
    if width < 24 or height < 7 or len(points) < 2:
        return title.append("\nno payoff to draw", "dim")
    price = [one.price for one in points]
    profit = [one.profit for one in points]
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
    breakevens = ", ".join(f"{one:,.2f}" for one in proposal.breakevens) or "none"
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
        return drawn(self._proposal, self.size.width, self.size.height, self._glyphs)
