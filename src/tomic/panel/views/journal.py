"""Journal: open trades with their signals; closed, noted, opened and counted from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomic.config.loading import in_home
from tomic.desk import Desk
from tomic.errors import UsageError
from tomic.models import journal as nouns
from tomic.panel.views.view import Panel, TextSheet, View
from tomic.panel.views.what_now import show_what_now
from tomic.panel.widgets.grid import Column, Grid, text_column
from tomic.panel.widgets.lines import Ask, FactLines
from tomic.panel.widgets.plot import Glyphs
from tomic.present import journal as present
from tomic.present.forms import Format
from tomic.present.text import amount, money, number, points, reasons
from tomic.workflows.journal import entries, files, review, statistics, trades
from tomic.workflows.journal.entries import Journal, Recorded
from tomic.workflows.portfolio.review import PROPOSAL_ID

_TONES = {
    nouns.Verdict.ACT: "bold red",
    nouns.Verdict.STALE: "yellow",
    nouns.Verdict.UNJUDGED: "yellow",
}


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One open entry, and what became of its rules once they were judged."""

    id: int
    symbol: str
    strategy: str
    legs: str
    opened: str
    pnl: float | None
    check: nouns.ExitCheck | None = None

    @property
    def verdict(self) -> str:
        """In a word; empty before a check."""
        return self.check.verdict.value if self.check else ""

    @property
    def signal(self) -> str:
        """The first rule that fired, else the first that could not be judged."""
        if self.check is None:
            return ""
        results = [*self.check.signals, *self.check.unjudged]
        more = f" (+{len(results) - 1})" if len(results) > 1 else ""
        return f"{results[0].text}{more}" if results else ""


def rows_of(
    summaries: Sequence[dict[str, Any]], checks: Sequence[nouns.ExitCheck] = ()
) -> list[EntryRow]:
    """A row for each stored summary of an open entry, with its check where there is one."""
    judged = {check.entry_id: check for check in checks}
    rows = []
    for stored in summaries:
        summary, check = stored["summary"], judged.get(stored["id"])
        rows.append(
            EntryRow(
                id=stored["id"],
                symbol=stored["symbol"],
                strategy=stored["strategy"] or "",
                legs=summary.get("legs") or "",
                opened=stored["opened_at"][:10],
                pnl=check.pnl if check and check.pnl is not None else summary.get("pnl"),
                check=check,
            )
        )
    return rows


def _share(row: EntryRow) -> float | None:
    return row.check.share_of_premium if row.check else None


def _dte(row: EntryRow) -> int | None:
    return row.check.dte if row.check else None


def _tone(row: EntryRow) -> str:
    return _TONES.get(row.check.verdict, "green") if row.check else "dim"


COLUMNS: list[Column[Any]] = [
    Column("id", attrgetter("id"), lambda row: f"{row.id}"),
    text_column("sym", "symbol"),
    text_column("strategy", "strategy", lambda name: name.replace("_", " ")),
    Column("dte", _dte, lambda row: "" if _dte(row) is None else f"{_dte(row)}"),
    Column("P&L", attrgetter("pnl"), lambda row: money(row.pnl, 0)),
    Column("%prem", _share, lambda row: points(_share(row), 0)),
    Column("verdict", attrgetter("verdict"), attrgetter("verdict"), style=_tone, left=True),
    text_column("signal", "signal"),
    text_column("opened", "opened"),
    text_column("legs", "legs"),
]


# -- statistics ------------------------------------------------------------------------------

_BAR = 20


def report_text(report: nouns.JournalReport, glyphs: Glyphs) -> Text:
    """Results, groups, calibration and the test of the score."""
    text = Text()
    text.append(
        f"{'':<20}{'n':>5}{'win%':>7}{'mean':>10}{'total':>11}{'PF':>7}{'ROM%':>8}\n", "dim"
    )
    for group in (report.overall, *report.groups):
        text.append(_row(group))
    overall = report.overall
    text.append(f"\nwin rate 95 %: {_span(overall.win_rate, 100.0, 0)}")
    text.append(f"\nexpectancy 95 %: {_span(overall.expectancy, 1.0, 0)}")
    text.append(f"\ndeepest fall: {money(overall.max_drawdown, 0)}")
    for calibration in (report.trades, report.proposals):
        text.append("\n\n").append_text(_calibration(calibration, glyphs))
    test = report.score
    if test.n:
        text.append(f"\n\nscore against outcome, {test.n} proposals: ", "bold")
        text.append(f"correlation {_span(test.correlation, 1.0, 2)}")
        for band in test.bands:
            text.append(
                f"\n{band.grade:>3} {band.n:>5}  came true {_span(band.hit, 100.0, 0)} %, forecast "
                f"{points(band.forecast, 0)} %, result {_span(band.result, 1.0, 0)}"
            )
    for note in report.notes:
        text.append(f"\nnote: {note}", "dim")
    return text


def _row(group: nouns.Statistics) -> str:
    return (
        f"{group.label.replace('_', ' '):<20.20}{group.n:>5}"
        f"{points(group.win_rate.value, 0):>7}"
        f"{money(group.expectancy.value, 0):>10}"
        f"{money(group.total, 0):>11}"
        f"{' ' + amount(group.profit_factor, 2):>7}"
        f"{points(group.rom):>8}\n"
    )


def _calibration(calibration: nouns.Calibration, glyphs: Glyphs) -> Text:
    text = Text()
    text.append(
        f"{calibration.what}: {calibration.n} forecasts, {calibration.clusters} independent", "bold"
    )
    if not calibration.n:
        return text
    text.append(
        f"\nBrier {_span(calibration.brier, 1.0, 3)}, "
        f"skill {money(calibration.skill, 2)}, bias "
        f"{_span(calibration.bias, 100.0, 1)} points"
    )
    for band in calibration.bins:
        if band.n:
            hit = 0.0 if band.hit.value is None else band.hit.value
            bar = glyphs.shades[-1] * round(_BAR * hit)
            text.append(
                f"\n{points(band.low, 0):>4}-{points(band.high, 0):<4}{band.n:>5}  said "
                f"{points(band.forecast, 0):>3}%  came {points(band.hit.value, 0):>3}%  {bar}"
            )
    return text


def _span(interval: nouns.Interval, factor: float, decimals: int) -> str:
    if interval.value is None:
        return "too few"
    low, high = (number(value, decimals, factor) for value in (interval.low, interval.high))
    around = f" ({low} to {high})" if low and high else ""
    return f"{number(interval.value, decimals, factor)}{around}"


class JournalView(View):
    """Open trades and their signals."""

    label = "Journal"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "Add"),
        Binding("c", "close", "Close"),
        Binding("n", "note", "Note"),
        Binding("w", "what_now", "What now"),
        Binding("t", "statistics", "Stats"),
        Binding("m", "snapshot", "Mark"),
        Binding("i", "import", "Import"),
    ]

    _words: tuple[object, ...] = ("journal", "check")

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.table = Grid(COLUMNS, key=lambda row: f"{row.id}", id="entries")
        self.signals = FactLines(id="signals", rows=6)

    def body(self) -> ComposeResult:
        """The entries, and the signals of the one under the cursor."""
        yield self.table
        yield self.signals

    @property
    def _pointed(self) -> EntryRow | None:
        row: EntryRow | None = self.table.pointed
        return row

    # -- check -----------------------------------------------------------------------------

    def action_load(self) -> None:
        """Judge the exit rules of every open entry; what is stored is shown meanwhile."""
        self._words = ("journal", "check")
        self.request("reading the journal", _stored, self._check, online=False)

    def _check(self, rows: list[EntryRow]) -> None:
        self.table.fill(rows)
        if not rows:
            self.signals.show([])
            self.show_status("no open trades; a adds one, i imports")
            return

        async def judge(desk: Desk) -> tuple[list[EntryRow], review.CheckRun]:
            journal = await desk.journal()
            checked = await review.check(journal)
            return rows_of(await journal.store.journal.summaries("open"), checked.checks), checked

        self.request(f"judging {len(rows)} open trades", judge, lambda judged: self.show(*judged))

    def show(self, rows: list[EntryRow], checked: review.CheckRun | None = None) -> None:
        """Show open entries and what became of their rules."""
        self.table.fill(rows)
        fired = sum(row.verdict == nouns.Verdict.ACT for row in rows)
        parts = [f"{len(rows)} open", f"{fired} to act on" if fired else "nothing to act on"]
        if checked is not None:
            self.show_lost(checked.errors.values())
            parts.append(f"{checked.as_of:%Y-%m-%d %H:%M} UTC")
            parts += reasons(checked.errors.items())
            parts += present.check_notes(checked)
        self.show_status(self.panel.joined(parts))

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Show the signals of the entry under the cursor."""
        row: EntryRow = message.row
        lines = [self.panel.joined([f"{row.id} {row.symbol}", row.strategy, row.legs])]
        if row.check is not None:
            lines += [text for text in (present.levels_text(row.check),) if text]
            lines += [f"! {signal.text}: {signal.advice}" for signal in row.check.signals]
            lines += [f"? {rule.rule}: {rule.text}" for rule in row.check.unjudged]
            lines += row.check.notes
        self.signals.show(lines)

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Show the whole entry, with its history."""
        entry_id = message.row.id
        self._words = ("journal", "show", entry_id)

        async def ask(desk: Desk) -> str:
            journal = await desk.journal(offline=True)
            entry = await entries.load(journal, entry_id)
            changes = await entries.history(journal, entry_id)
            history = present.history(changes, Format.TABLE)
            return f"{present.whole(entry)}\nhistory\n{history}"

        def show(text: str) -> None:
            self.app.push_screen(TextSheet(f"Journal entry {entry_id}", text, self.command()))

        self.request(f"reading entry {entry_id}", ask, show, online=False)

    def action_what_now(self) -> None:
        """Show what can be done with the entry under the cursor, the best first."""
        row = self._pointed
        if row is None:
            return
        self._words = ("manage", row.id)
        show_what_now(self, f"{row.id}")

    # -- changes ---------------------------------------------------------------------------

    def action_close(self) -> None:
        """Close the entry under the cursor."""
        row = self._pointed
        if row is None:
            return
        questions = [
            ("price per share: + received, - paid; empty: the market's", ""),
            ("structures; empty: all", ""),
            ("note", ""),
        ]

        def answered(answer: tuple[str, ...] | None) -> None:
            if answer is not None:
                self._close(row.id, *(text.strip() for text in answer))

        title = f"Close {row.id} {row.symbol} {row.strategy}"
        self.app.push_screen(Ask(title, questions, note=row.legs), answered)

    def _close(self, entry_id: int, price: str, structures: str, note: str) -> None:
        if structures and not structures.isdigit():
            self.show_status(f"structures {structures!r}: write a whole number", failed=True)
            return
        self._words = ("journal", "close", entry_id)
        self._words += ("--price", price) if price else ()
        self._words += ("--structures", structures) if structures else ()
        self._words += ("--note", note) if note else ()
        count = int(structures) if structures else None

        async def ask(desk: Desk) -> Recorded:
            ticket = trades.TradeTicket(price=price or None, note=note)
            return await trades.close(await desk.journal(), entry_id, ticket, structures=count)

        self.request(f"closing {entry_id}", ask, self._recorded, online=not price)

    def _recorded(self, recorded: Recorded) -> None:
        entry = recorded.entry
        self._reload(f"entry {entry.id} is {entry.status.value}", *recorded.notes)

    def _reload(self, *results: str) -> None:
        """Show the stored entries again, and what was done."""
        words = self._words

        def show(rows: list[EntryRow]) -> None:
            self.table.fill(rows)
            self.show_status(self.panel.joined(results))

        self.request("reading the journal", _stored, show, online=False)
        self._words = words

    def action_note(self) -> None:
        """Add a note to the entry under the cursor."""
        row = self._pointed
        if row is None:
            return

        def answered(answer: tuple[str, ...] | None) -> None:
            if answer and answer[0].strip():
                self._note(row.id, answer[0].strip())

        title = f"Note to {row.id} {row.symbol} {row.strategy}"
        self.app.push_screen(Ask(title, [("text", "")]), answered)

    def _note(self, entry_id: int, text: str) -> None:
        self._words = ("journal", "note", entry_id, text)

        async def ask(desk: Desk) -> object:
            return await entries.add_note(await desk.journal(offline=True), entry_id, text)

        def show(_: object) -> None:
            self._reload(f"noted with entry {entry_id}")

        self.request(f"noting {entry_id}", ask, show, online=False)

    def action_snapshot(self) -> None:
        """Keep what is quoted now of every open entry."""
        self._words = ("journal", "snapshot")

        async def ask(desk: Desk) -> list[str]:
            taken = await review.snapshot(await desk.journal())
            problems = [f"{mark.entry.id}: {mark.problem}" for mark in taken if mark.problem]
            return [f"{len(taken) - len(problems)} marked", *problems]

        self.request("marking", ask, lambda lines: self._reload(*lines))

    def action_add(self) -> None:
        """Open an entry."""
        self.add("")

    def add(self, legs: str) -> None:
        """Ask for what is needed of a new entry; *legs* may be a proposal's id."""
        questions = [
            ("legs with their symbol, a proposal's id, or contract ids of positions", legs),
            ("price per share: + received, - paid; empty: the market's", ""),
            ("structures", "1"),
            ("plan", ""),
        ]
        note = "for example: SPY -1 560P +1 550P 2026-12-18; 20261120-3; 5012001 5012002"

        def answered(answer: tuple[str, ...] | None) -> None:
            if answer and answer[0].strip():
                self._add(*(text.strip() for text in answer))

        self.app.push_screen(Ask("New journal entry", questions, note=note), answered)

    def _add(self, legs: str, price: str, structures: str, plan: str) -> None:
        if not structures.isdigit() or int(structures) < 1:
            self.show_status(f"structures {structures!r}: write a whole number", failed=True)
            return
        count = int(structures)
        self._words = ("journal", "add", *_words_of(legs))
        self._words += ("--price", price) if price else ()
        self._words += ("--quantity", count) if count > 1 else ()
        self._words += ("--plan", plan) if plan else ()

        async def ask(desk: Desk) -> Recorded:
            journal = await desk.journal()
            draft = await _draft(journal, legs, count)
            ticket = trades.TradeTicket(price=price or None)
            return await trades.add(journal, draft, ticket, trades.EntryNotes(plan=plan))

        self.request(f"recording {legs}", ask, self._recorded)

    def action_import(self) -> None:
        """Take in the executions of TWS, or a file."""

        def answered(answer: tuple[str, ...] | None) -> None:
            if answer is not None:
                self._import(answer[0].strip())

        questions = [("file; empty: the executions that TWS still knows", "")]
        note = "journal.json of the original, a Flex query, or an export of this journal"
        self.app.push_screen(Ask("Import into the journal", questions, note=note), answered)

    def _import(self, file: str) -> None:
        self._words = ("journal", "import", file or "--tws")
        path = Path(file)

        async def ask(desk: Desk) -> files.ImportedJournal:
            journal = await desk.journal()
            if not file:
                return await files.import_from_tws(journal)
            return await files.import_file(journal, in_home(path))

        def show(imported: files.ImportedJournal) -> None:
            added, changed = len(imported.added), len(imported.changed)
            counts = f"{added} new, {changed} changed, {imported.known} known"
            self._reload(f"{imported.kind}: {counts}", *imported.notes)

        self.request(f"importing {file or 'from TWS'}", ask, show, online=not file)

    # -- statistics ------------------------------------------------------------------------

    def action_statistics(self) -> None:
        """Show how the closed trades did, and how honest the probabilities were."""
        self._words = ("journal", "stats", "--by", "strategy")

        async def ask(desk: Desk) -> nouns.JournalReport:
            journal = await desk.journal(offline=True)
            return await statistics.report(journal, by="strategy")

        def show(report: nouns.JournalReport) -> None:
            text = report_text(report, self.panel.glyphs)
            self.app.push_screen(TextSheet("Statistics", text, self.command()))

        self.request("counting", ask, show, online=False)


async def _stored(desk: Desk) -> list[EntryRow]:
    """Open entries as they are in the store."""
    journal = await desk.journal(offline=True)
    return rows_of(await journal.store.journal.summaries("open"))


async def _draft(journal: Journal, text: str, count: int) -> trades.Draft:
    """The legs that *text* names, whatever of the three ways it is written in."""
    words = text.split()
    if PROPOSAL_ID.fullmatch(text):
        return await trades.from_proposal(journal, text, quantity=count)
    if words and all(word.isdigit() for word in words):
        if count != 1:
            raise UsageError("positions are taken as they are held; leave structures at 1")
        return await trades.from_positions(journal, [int(word) for word in words])
    return trades.from_text(text, quantity=count, settings=journal.settings)


def _words_of(text: str) -> tuple[object, ...]:
    if PROPOSAL_ID.fullmatch(text):
        return ("--from", text)
    if text and all(word.isdigit() for word in text.split()):
        return ("--position", ",".join(text.split()))
    return (text,)
