"""Market: the volatility of the default symbols in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomic import figures
from tomic.desk import Desk
from tomic.panel.views.chain import ChainView
from tomic.panel.views.data import HistorySheet
from tomic.panel.views.view import View
from tomic.panel.widgets.grid import Column, Grid, figure_column, number_column, text_column
from tomic.panel.widgets.lines import FactLines
from tomic.present.text import number
from tomic.workflows.volatility.measure import VolReport

_FIGURES = figures.columns(
    "spot iv30 iv_rank iv_percentile hv30 iv_hv skew term_m1_m2 term_m1_m3 "
    "hv20 hv60 hv90 hv252 atr14 iv_days"
)
"""The first ones fit on a narrow screen."""


COLUMNS: list[Column[Any]] = [
    text_column("symbol", "symbol"),
    *(figure_column(figure, within="snapshot.") for figure in _FIGURES),
    number_column("EM30", "expected_move", 2),
    text_column("earnings", "snapshot.next_earnings"),
    text_column("ex-div", "snapshot.next_dividend"),
]


class MarketView(View):
    """A row of figures for each default symbol."""

    label = "Market"
    name_of_body = "#volatility"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "chains", "With skew"),
        Binding("t", "stored", "Stored"),
        Binding("h", "history", "History"),
    ]

    _words: tuple[object, ...] = ("vol",)

    def body(self) -> ComposeResult:
        """The table, and what is known of the symbol under the cursor."""
        yield Grid(COLUMNS, key=attrgetter("symbol"), id="volatility")
        yield FactLines(id="about", rows=2)

    def action_load(self) -> None:
        """Ask the gateway, and what is stored."""
        self._measure()

    def action_chains(self) -> None:
        """With the chain of the day of every symbol: skew and term structure."""
        self._measure("--chain")

    def action_stored(self) -> None:
        """From the store alone."""
        self._measure("--stored")

    def _measure(self, *options: str) -> None:
        self._words = ("vol", *options)
        symbols = self.panel.symbols
        chain, stored = "--chain" in options, "--stored" in options

        async def ask(desk: Desk) -> list[VolReport]:
            return await desk.vols(symbols, chain=chain, stored=stored)

        self.request(f"measuring {len(symbols)} symbols", ask, self.show, online=not stored)

    def show(self, reports: Sequence[VolReport]) -> None:
        """Fill the table."""
        self.show_lost(report.error for report in reports)
        self.query_one("#volatility", Grid).fill(reports)
        vix = next(
            (report.snapshot.vix for report in reports if report.snapshot.vix is not None), None
        )
        failed = [report.symbol for report in reports if report.error is not None]
        parts = [f"VIX {number(vix, 2, 100.0)}" if vix is not None else ""]
        parts += [f"{reports[0].snapshot.as_of:%Y-%m-%d %H:%M} UTC" if reports else ""]
        parts += [f"{len(failed)} not whole: {', '.join(failed[:4])}" if failed else ""]
        self.show_status(self.panel.joined(parts))

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Say where the figures of the symbol come from, and what is missing."""
        report: VolReport = message.row
        snapshot = report.snapshot
        sources, reasons = _names_by(snapshot.sources), _names_by(snapshot.missing)
        known = [f"{source}: {names}" for source, names in sorted(sources.items())]
        missing = [f"no {names}: {reason}" for reason, names in reasons.items()]
        self.query_one("#about", FactLines).show(
            [self.panel.joined(known), self.panel.joined(missing)]
        )

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Open the chain of the chosen symbol."""
        self.panel.front(ChainView).open(message.row.symbol)

    def action_history(self) -> None:
        """Show the stored days of the symbol under the cursor."""
        report = self.query_one("#volatility", Grid).pointed
        if report is not None:
            self.app.push_screen(HistorySheet(report.symbol))


def _names_by(values: Mapping[str, str]) -> dict[str, str]:
    """Each value, and the names that have it."""
    names: dict[str, list[str]] = {}
    for name, value in values.items():
        names.setdefault(value, []).append(name)
    return {value: ", ".join(group) for value, group in names.items()}
