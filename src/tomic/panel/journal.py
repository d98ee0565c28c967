"""Journal: open trades with their signals; closed, noted, opened and counted from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomic.config.loading import in_home
from tomic.desk import Desk
from tomic.errors import UsageError
from tomic.models.journal import JournalReport, Verdict
from tomic.panel.entry import Ask
from tomic.panel.facts import FactLines
from tomic.panel.grid import Grid
from tomic.panel.journal_rows import COLUMNS, EntryRow, rows_of
from tomic.panel.journal_text import entry_text, report_text
from tomic.panel.text_sheet import TextSheet
from tomic.panel.view import View

if TYPE_CHECKING:
    from tomic.workflows.journal import Recorded
    from tomic.workflows.journal_files import ImportedJournal
    from tomic.workflows.journal_review import CheckRun


class JournalView(View):
    """Open trades."""

    label = "Journal"
    name_of_body = "#entries"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "Add"),
        Binding("c", "close", "Close"),
        Binding("n", "note", "Note"),
        Binding("t", "statistics", "Stats"),
        Binding("m", "snapshot", "Mark"),
        Binding("i", "import", "Import"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._words: tuple[object, ...] = ("check",)

    def body(self) -> ComposeResult:
        """The entries, and the signals of the one under the cursor."""
        yield Grid(COLUMNS, key=lambda row: f"{row.id}", id="entries")
        yield FactLines(id="signals", rows=6)

    def typed(self) -> str:
        """The equivalent command."""
        return self.panel.typed("journal", *self._words)

    @property
    def _pointed(self) -> EntryRow | None:
        row: EntryRow | None = self.query_one("#entries", Grid).pointed
        return row

    # -- check -----------------------------------------------------------------------------

    def action_load(self) -> None:
        """Judge the exit rules of every open entry; what is stored is shown meanwhile."""
        self._words = ("check",)

        self.work("reading the journal", _stored, self._check, online=False)

    def _check(self, rows: list[EntryRow]) -> None:
        self.query_one("#entries", Grid).fill(rows)
        if not rows:
            self.query_one("#signals", FactLines).show([])
            self.say("no open trades; a adds one, i imports")
            return

        async def judge(desk: Desk) -> tuple[list[EntryRow], CheckRun]:
            from tomic.workflows import journal_review

            journal = await desk.journal()
            checked = await journal_review.check(journal)
            return rows_of(await journal.store.load_summaries("open"), checked.checks), checked

        self.work(f"judging {len(rows)} open trades", judge, lambda found: self.show(*found))

    def show(self, rows: list[EntryRow], checked: CheckRun | None = None) -> None:
        """Show open entries and what became of their rules."""
        self.query_one("#entries", Grid).fill(rows)
        fired = sum(row.verdict == Verdict.ACT for row in rows)
        parts = [f"{len(rows)} open", f"{fired} to act on" if fired else "nothing to act on"]
        if checked is not None:
            self.tell_lost(checked.errors.values())
            parts.append(f"{checked.as_of:%Y-%m-%d %H:%M} UTC")
            parts += [f"{symbol}: {error}" for symbol, error in checked.errors.items()]
        self.say(self.panel.joined(parts))

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Show the signals of the entry under the cursor."""
        row: EntryRow = message.row
        lines = [self.panel.joined([f"{row.id} {row.symbol}", row.strategy, row.legs])]
        if row.check is not None:
            lines += [f"! {one.text}: {one.advice}" for one in row.check.signals]
            lines += [f"? {one.rule}: {one.text}" for one in row.check.unjudged]
            lines += row.check.notes
        self.query_one("#signals", FactLines).show(lines)

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Show the whole entry, with its history."""
        number_ = message.row.id
        self._words = ("show", number_)

        async def ask(desk: Desk) -> Any:
            from tomic.workflows import journal

            found = await desk.journal(offline=True)
            return await journal.load(found, number_), await journal.history(found, number_)

        def show(found: Any) -> None:
            text = entry_text(*found)
            self.panel.push_screen(TextSheet(f"Journal entry {number_}", text, self.typed()))

        self.work(f"reading entry {number_}", ask, show, online=False)

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
                self._close(row.id, *(one.strip() for one in answer))

        title = f"Close {row.id} {row.symbol} {row.strategy}"
        self.panel.push_screen(Ask(title, questions, note=row.legs), answered)

    def _close(self, number_: int, price: str, structures: str, note: str) -> None:
        if structures and not structures.isdigit():
            self.say(f"structures {structures!r}: write a whole number", failed=True)
            return
        self._words = ("close", number_)
        self._words += ("--price", price) if price else ()
        self._words += ("--structures", structures) if structures else ()
        self._words += ("--note", note) if note else ()
        count = int(structures) if structures else None

        async def ask(desk: Desk) -> Recorded:
            from tomic.workflows import journal_trades

            wish = journal_trades.Wish(price=price or None, note=note)
            return await journal_trades.close(await desk.journal(), number_, wish, structures=count)

        self.work(f"closing {number_}", ask, self._recorded, online=not price)

    def _recorded(self, found: Recorded) -> None:
        entry = found.entry
        told = self.panel.joined([f"entry {entry.id} is {entry.status.value}", *found.notes])
        self._reload(told)

    def _reload(self, told: str) -> None:
        """Show the stored entries again, and what was done."""
        words = self._words

        def show(rows: list[EntryRow]) -> None:
            self.query_one("#entries", Grid).fill(rows)
            self.say(told)

        self.work("reading the journal", _stored, show, online=False)
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
        self.panel.push_screen(Ask(title, [("text", "")]), answered)

    def _note(self, number_: int, text: str) -> None:
        self._words = ("note", number_, text)

        async def ask(desk: Desk) -> object:
            from tomic.workflows import journal

            return await journal.add_note(await desk.journal(offline=True), number_, text)

        told = f"noted with entry {number_}"
        self.work(f"noting {number_}", ask, lambda _: self._reload(told), online=False)

    def action_snapshot(self) -> None:
        """Keep what is quoted now of every open entry."""
        self._words = ("snapshot",)

        async def ask(desk: Desk) -> list[str]:
            from tomic.workflows import journal_review

            taken = await journal_review.snapshot(await desk.journal())
            problems = [f"{one.entry.id}: {one.problem}" for one in taken if one.problem]
            return [f"{len(taken) - len(problems)} marked", *problems]

        self.work("marking", ask, lambda lines: self._reload(self.panel.joined(lines)))

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
                self._add(*(one.strip() for one in answer))

        self.panel.push_screen(Ask("New journal entry", questions, note=note), answered)

    def _add(self, legs: str, price: str, structures: str, plan: str) -> None:
        if not structures.isdigit() or int(structures) < 1:
            self.say(f"structures {structures!r}: write a whole number", failed=True)
            return
        count = int(structures)
        self._words = ("add", *_words_of(legs))
        self._words += ("--price", price) if price else ()
        self._words += ("--quantity", count) if count > 1 else ()
        self._words += ("--plan", plan) if plan else ()

        async def ask(desk: Desk) -> Recorded:
            from tomic.workflows import journal_opening, journal_trades

            journal = await desk.journal()
            draft = await _draft(journal, legs, count)
            wish = journal_trades.Wish(price=price or None)
            return await journal_opening.add(journal, draft, wish, journal_opening.Words(plan=plan))

        self.work(f"recording {legs}", ask, self._recorded)

    def action_import(self) -> None:
        """Take in the executions of TWS, or a file."""

        def answered(answer: tuple[str, ...] | None) -> None:
            if answer is not None:
                self._import(answer[0].strip())

        questions = [("file; empty: the executions that TWS still knows", "")]
        note = "journal.json of the original, a Flex query, or an export of this journal"
        self.panel.push_screen(Ask("Import into the journal", questions, note=note), answered)

    def _import(self, file: str) -> None:
        self._words = ("import", file or "--tws")
        path = Path(file)

        async def ask(desk: Desk) -> ImportedJournal:
            from tomic.workflows import journal_files

            journal = await desk.journal()
            if not file:
                return await journal_files.import_from_tws(journal)
            return await journal_files.import_file(journal, in_home(path))

        def told(found: ImportedJournal) -> None:
            counts = f"{len(found.added)} new, {len(found.changed)} changed, {found.known} known"
            self._reload(self.panel.joined([f"{found.kind}: {counts}", *found.notes]))

        self.work(f"importing {file or 'from TWS'}", ask, told, online=not file)

    # -- statistics ------------------------------------------------------------------------

    def action_statistics(self) -> None:
        """Show how the closed trades did, and how honest the probabilities were."""
        self._words = ("stats", "--by", "strategy")

        async def ask(desk: Desk) -> JournalReport:
            from tomic.workflows import journal_statistics

            journal = await desk.journal(offline=True)
            return await journal_statistics.report(journal, by="strategy")

        def show(report: JournalReport) -> None:
            text = report_text(report, self.panel.glyphs)
            self.panel.push_screen(TextSheet("Statistics", text, self.typed()))

        self.work("counting", ask, show, online=False)


async def _stored(desk: Desk) -> list[EntryRow]:
    """Open entries as they are in the store."""
    journal = await desk.journal(offline=True)
    return rows_of(await journal.store.load_summaries("open"))


async def _draft(journal: Any, text: str, count: int) -> Any:
    """The legs that *text* names, whatever of the three ways it is written in."""
    from tomic.workflows import journal_opening
    from tomic.workflows.review import PROPOSAL_ID

    words = text.split()
    if PROPOSAL_ID.fullmatch(text):
        return await journal_opening.from_proposal(journal.store, text, quantity=count)
    if words and all(one.isdigit() for one in words):
        if count != 1:
            raise UsageError("positions are taken as they are held; leave structures at 1")
        return await journal_opening.from_positions(journal, [int(one) for one in words])
    return journal_opening.from_text(text, quantity=count)


def _words_of(text: str) -> tuple[object, ...]:
    from tomic.workflows.review import PROPOSAL_ID

    if PROPOSAL_ID.fullmatch(text):
        return ("--from", text)
    if text and all(one.isdigit() for one in text.split()):
        return ("--position", ",".join(text.split()))
    return (text,)
