"""Market: the volatility of the default symbols, with the months behind the one pointed at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomic import figures
from tomic.desk import Desk
from tomic.panel.views.chain import ChainView
from tomic.panel.views.history import HistorySheet, histories, pictures_of, sparkline
from tomic.panel.views.view import Panel, View
from tomic.panel.widgets.grid import Column, Grid, figure_column, number_column, text_column
from tomic.panel.widgets.lines import FactLines
from tomic.panel.widgets.pictures import Pictures
from tomic.present.text import number
from tomic.workflows.portfolio.files import last_book, snapshot_path
from tomic.workflows.volatility.measure import VolReport
from tomic.workflows.volatility.stored import PastDay


@dataclass(frozen=True, slots=True)
class MarketRow:
    """A symbol's figures, and how its IV rank went."""

    report: VolReport
    rank_line: str = ""

    @property
    def symbol(self) -> str:
        """Of the underlying."""
        return self.report.symbol


_FIGURES = figures.columns("spot iv30 iv_rank")
_MORE = figures.columns(
    "iv_percentile hv30 iv_hv skew term_m1_m2 term_m1_m3 hv20 hv60 hv90 hv252 atr14 iv_days"
)
"""The first ones fit on a narrow screen."""


COLUMNS: list[Column[Any]] = [
    text_column("symbol", "symbol"),
    *(figure_column(figure, within="report.snapshot.") for figure in _FIGURES),
    text_column("rank 6m", "rank_line"),
    *(figure_column(figure, within="report.snapshot.") for figure in _MORE),
    number_column("EM30", "report.expected_move", 2),
    text_column("earnings", "report.snapshot.next_earnings"),
    text_column("ex-div", "report.snapshot.next_dividend"),
]


class MarketView(View):
    """The volatility of the default symbols, and the months behind each."""

    label = "Market"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "chains", "With skew"),
        Binding("t", "stored", "Stored"),
        Binding("h", "history", "History"),
        Binding("g", "pictures", "Pictures"),
    ]

    _words: tuple[object, ...] = ("vol",)

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.table = Grid(COLUMNS, key=attrgetter("symbol"), id="volatility")
        self.pictures = Pictures(id="past")
        self.about = FactLines(id="about", rows=2)
        self._reports: list[VolReport] = []
        self._past: dict[str, list[PastDay]] = {}

    def body(self) -> ComposeResult:
        """The table, the months behind the symbol under the cursor, and what is known of it."""
        yield self.table
        yield self.pictures
        yield self.about

    def first_look(self) -> None:
        """Show what is stored, then ask."""
        symbols = self.panel.symbols

        async def ask(desk: Desk) -> tuple[tuple[str, ...], list[VolReport]]:
            held = await self.panel.background.compute(held_symbols, desk)
            return held, await desk.vols(symbols, stored=True)

        def show(stored: tuple[tuple[str, ...], list[VolReport]]) -> None:
            self.panel.held, reports = stored
            if any(report.snapshot.iv30 is not None for report in reports):
                self.show(reports, stored=True)
                self._look_back()

        self.recall(ask, show, self.action_load)

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

        def show(reports: list[VolReport]) -> None:
            self.show(reports, stored=stored)
            self._look_back()

        self.request(f"measuring {len(symbols)} symbols", ask, show, online=not stored)

    def show(self, reports: Sequence[VolReport], *, stored: bool = False) -> None:
        """Fill the table; the months behind it follow."""
        self.show_lost(report.error for report in reports)
        self._reports = self.panel.held_first(reports, attrgetter("symbol"))
        self._fill()
        vix = next(
            (report.snapshot.vix for report in reports if report.snapshot.vix is not None), None
        )
        failed = [report.symbol for report in reports if report.error is not None]
        parts = [f"VIX {number(vix, 2, 100.0)}" if vix is not None else ""]
        if reports:
            at = reports[0].snapshot.as_of
            self.mark_age(at, stored=stored)
            parts += [self._age or f"{at:%Y-%m-%d %H:%M} UTC"]
        parts += [f"{len(failed)} not whole: {', '.join(failed[:4])}" if failed else ""]
        self.show_status(self.panel.joined(parts))

    def _fill(self) -> None:
        glyphs = self.panel.glyphs
        self.table.fill(
            [
                MarketRow(report, sparkline(self._past.get(report.symbol, ()), glyphs))
                for report in self._reports
            ]
        )

    def _look_back(self) -> None:
        """Read the months behind every symbol, the one under the cursor first."""
        row = self.table.pointed
        first = row.symbol if row else ""
        symbols = sorted((report.symbol for report in self._reports), key=lambda one: one != first)

        async def read() -> None:
            self.look_back(
                await self.panel.background.run(lambda desk: histories(desk, symbols), online=False)
            )

        self.aside(read)

    def look_back(self, past: dict[str, list[PastDay]]) -> None:
        """Show other months."""
        self._past = past
        self._fill()

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Draw the months behind a symbol; say where its figures come from, and what is missing."""
        report: VolReport = message.row.report
        snapshot = report.snapshot
        sources, reasons = _names_by(snapshot.sources), _names_by(snapshot.missing)
        known = [f"{source}: {names}" for source, names in sorted(sources.items())]
        missing = [f"no {names}: {reason}" for reason, names in reasons.items()]
        self.about.show([self.panel.joined(known), self.panel.joined(missing)])
        self.pictures.show(pictures_of(self._past.get(report.symbol, ())), self.panel.glyphs)

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Open the chain of the chosen symbol."""
        self.panel.front(ChainView).open(message.row.symbol)

    def action_pictures(self) -> None:
        """Show or hide the pictures."""
        self.pictures.display = not self.pictures.display

    def action_history(self) -> None:
        """Show the stored days of the symbol under the cursor."""
        row = self.table.pointed
        if row is not None:
            self.app.push_screen(HistorySheet(row.symbol))


def held_symbols(desk: Desk) -> tuple[str, ...]:
    """Symbols of the last saved book, those with the most positions first."""
    book = last_book(snapshot_path(desk.settings, simulated=desk.simulated))
    if book is None:
        return ()
    count = Counter(position.symbol for position in book.positions)
    return tuple(sorted(count, key=lambda symbol: (-count[symbol], symbol)))


def _names_by(values: Mapping[str, str]) -> dict[str, str]:
    """Each value, and the names that have it."""
    names: dict[str, list[str]] = {}
    for name, value in values.items():
        names.setdefault(value, []).append(name)
    return {value: ", ".join(group) for value, group in names.items()}
