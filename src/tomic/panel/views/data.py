"""Data: what the store covers and holds of one symbol, fresh prices, and how good a CSV is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomic.config.loading import in_home
from tomic.desk import Desk
from tomic.files.quality import CsvQuality, check_file
from tomic.panel.views.history import HistorySheet
from tomic.panel.views.view import Panel, View
from tomic.panel.widgets.grid import Column, Grid, text_column
from tomic.panel.widgets.lines import Ask, FactLines
from tomic.present.store import megabytes
from tomic.store import Coverage, StoreInfo
from tomic.workflows.volatility.history import HistoryRun


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of one symbol."""

    symbol: str
    series: str
    count: int
    first: dt.date | None
    last: dt.date | None
    fetched_at: dt.datetime | None


COLUMNS: list[Column[Any]] = [
    text_column("symbol", "symbol"),
    text_column("series", "series"),
    Column("days", attrgetter("count"), lambda row: f"{row.count:,}"),
    text_column("first", "first"),
    text_column("last", "last"),
    text_column("fetched (UTC)", "fetched_at", "{:%Y-%m-%d %H:%M}".format),
]


def rows_of(covered: dict[str, dict[str, Coverage]]) -> list[SeriesRow]:
    """A row for each symbol and series."""
    return [
        SeriesRow(symbol, series, coverage.rows, coverage.first, coverage.last, coverage.fetched_at)
        for symbol, by_series in sorted(covered.items())
        for series, coverage in sorted(by_series.items())
    ]


class DataView(View):
    """What the store holds, and files."""

    label = "Data"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "prices", "Prices"),
        Binding("f", "file", "CSV"),
        Binding("k", "check", "Check"),
        Binding("h", "history", "History"),
    ]

    _words: tuple[object, ...] = ("store", "info")
    _file = ""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.table = Grid(COLUMNS, key=lambda row: f"{row.symbol} {row.series}", id="coverage")
        self.outcome = FactLines(id="outcome", rows=5)

    def body(self) -> ComposeResult:
        """Coverage, and what the last action found."""
        yield self.table
        yield self.outcome

    def action_load(self) -> None:
        """Read what the store covers."""
        self._words = ("store", "info")

        async def ask(desk: Desk) -> tuple[StoreInfo, list[SeriesRow]]:
            store = await desk.store()
            return await store.info(), rows_of(await store.history.coverages())

        self.request("reading the store", ask, lambda stored: self.show(*stored), online=False)

    def show(self, info: StoreInfo, rows: list[SeriesRow]) -> None:
        """Fill the table and say how large the store is."""
        self.table.fill(rows)
        if not info.exists:
            text = "no store yet; p fetches prices"
        else:
            text = self.panel.joined(
                [
                    megabytes(info.size),
                    f"schema {info.schema_version}",
                    *(f"{count:,} {name}" for name, count in info.tables.items() if count),
                ]
            )
        self.outcome.show([f"{info.path}", text])

    # -- prices ----------------------------------------------------------------------------

    def action_prices(self) -> None:
        """Bring bars and implied volatility of the default symbols up to date."""
        self._words = ("prices",)
        symbols = self.panel.symbols

        async def ask(desk: Desk) -> tuple[HistoryRun, list[SeriesRow]]:
            run = await desk.prices(symbols)
            return run, rows_of(await (await desk.store()).history.coverages())

        self.request(f"prices of {len(symbols)} symbols", ask, lambda run: self.fetched(*run))

    def fetched(self, run: HistoryRun, rows: list[SeriesRow]) -> None:
        """Show what a run brought."""
        self.show_lost(run.errors)
        self.table.fill(rows)
        added = sum(sum(symbol.added.values()) for symbol in run.symbols)
        asked = sum(symbol.asked for symbol in run.symbols)
        self.show_status(
            self.panel.joined(
                [
                    f"{len(run.symbols)} symbols",
                    f"{asked} requests" if run.plan is not None else "nothing was asked",
                    f"{added:,} days added",
                    f"{run.seconds:.1f} s",
                    f"{len(run.errors)} failed" if run.errors else "",
                ]
            )
        )
        self.outcome.show([f"{error}" for error in run.errors[:5]])

    # -- files and soundness ---------------------------------------------------------------

    def action_file(self) -> None:
        """Ask for a CSV file and count what is usable in it."""
        first = self._file or f"{self.panel.settings.export.dir}"
        self.app.push_screen(Ask("Quality of an exported chain", [("file", first)]), self._judge)

    def _judge(self, answer: tuple[str, ...] | None) -> None:
        if not answer or not answer[0].strip():
            return
        self._file = answer[0].strip()
        self._words = ("store", "check", self._file)
        file = Path(self._file)
        background = self.panel.background

        async def ask(_: Desk) -> CsvQuality:
            return await background.compute(check_file, in_home(file))

        self.request(f"reading {file.name}", ask, self.judged, online=False)

    def judged(self, quality: CsvQuality) -> None:
        """Show the quality of a file."""
        wrong = [f"{count} {what}" for what, count in quality.wrong.items()]
        empty = [f"{count} {what}" for what, count in quality.empty.items()]
        lines = [
            f"{Path(self._file).name}: quality {quality.quality:.1%}",
            self.panel.joined(
                [
                    f"{quality.total} rows",
                    f"{quality.complete} complete",
                    f"{quality.valid} valid",
                    f"{len(quality.expiries)} expiries",
                ]
            ),
            f"wrong: {', '.join(wrong) or 'nothing'}",
            f"empty: {', '.join(empty) or 'nothing'}",
            f"no column {', '.join(quality.absent)}" if quality.absent else "",
        ]
        self.outcome.show([line for line in lines if line])

    def action_check(self) -> None:
        """Look for damage in the store."""
        self._words = ("store", "check")

        async def ask(desk: Desk) -> list[str]:
            return await (await desk.store()).check()

        self.request("checking the store", ask, self.checked, online=False)

    def checked(self, problems: list[str]) -> None:
        """Show what is wrong with the store."""
        self.outcome.show(problems[:5] or ["the store is sound"])

    def action_history(self) -> None:
        """Show the stored days of the symbol under the cursor."""
        row = self.table.pointed
        if row is not None:
            self.app.push_screen(HistorySheet(row.symbol))
