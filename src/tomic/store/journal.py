"""Journal entries as documents, with an append-only history of every change to them."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tomic.errors import StoreBusy, StoreError, UsageError
from tomic.store.documents import REMEDY, dump, load, stamp, unstamp
from tomic.store.file import TableGroup

Document: TypeAlias = dict[str, Any]
T = TypeVar("T")

SEARCHED = ("continues", "symbol", "strategy", "status", "opened_at", "closed_at")
"""Keys of an entry that have a column of their own."""
_NUMBERS = 2**63
"""Integers of SQLite end below it."""
_MANAGED = frozenset({"id", "revision", "summary"})
SNAPSHOT = "snapshot "
"""Start of the document keys that hold a snapshot each, so that history grows by one at a time."""
_WHERE = (
    " WHERE (:status IS NULL OR status = :status) AND (:symbol IS NULL OR symbol = :symbol)"
    " AND (:strategy IS NULL OR strategy = :strategy)"
    " AND (:since IS NULL OR opened_at >= :since) ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an entry: the top-level keys that were set, and those that were taken away."""

    entry_id: int
    revision: int
    at: dt.datetime
    event: str
    note: str
    values: Document
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill; *exec_id* is the broker's and unique."""

    exec_id: str
    at: dt.datetime
    symbol: str
    con_id: int | None
    document: Document
    entry_id: int | None = None
    reason: str = ""
    """Why it belongs to no entry; empty where nothing is in its way."""


@dataclass(frozen=True, slots=True)
class Booking:
    """What a broker booked beside the executions: money, or other terms of a contract."""

    booking_id: str
    kind: str
    """cash or change."""
    at: dt.datetime
    account: str
    symbol: str
    document: Document
    reason: str = ""
    """Why it belongs to no entry; empty where nothing is in its way."""


@dataclass(frozen=True, slots=True)
class UnreadRow:
    """A row of a file that is no execution, as it stands there."""

    row_id: str
    at: dt.datetime
    """When it was imported first."""
    source: str
    line: int
    columns: str
    """The line that names its columns."""
    text: str
    reason: str
    exec_id: str | None = None
    """The execution that it turned out to be, once it could be read."""


@dataclass(frozen=True, slots=True)
class Decision:
    """That an execution, or a row, is set aside for good (ignore), or is not (restore)."""

    execution: str
    at: dt.datetime
    decision: str
    who: str
    because: str


class JournalTables(TableGroup):
    """
    Journal entries. Nothing is ever deleted; every change is kept.

    An entry is a JSON document. Its keys ``symbol``, ``strategy``, ``status``, ``opened_at``,
    ``closed_at`` and ``continues`` (the id of an earlier entry) can be searched by; ``id`` and
    ``revision`` are given by the store; ``summary`` is a small computed document for lists and
    statistics, outside the history.
    """

    async def save(
        self, document: Mapping[str, Any], *, event: str, at: dt.datetime, note: str = ""
    ) -> int:
        """
        Write one entry and return its id.

        Without ``id`` a new number is given, one above the highest; an ``id`` that does not exist
        is taken as it is. An existing entry is changed only if its ``revision`` is still the one
        that was read.

        Raises:
            StoreBusy: Another run changed the entry in the meantime.
        """
        (entry_id,) = await self.save_all([document], event=event, at=at, note=note)
        return entry_id

    async def save_all(
        self, documents: Iterable[Mapping[str, Any]], *, event: str, at: dt.datetime, note: str = ""
    ) -> list[int]:
        """Write many entries in one transaction, all or none; see `save`."""
        kept = list(documents)
        mark = (stamp(at), event, note)
        return await self._file.write(
            lambda db: [_put(db, document, mark)[0] for document in kept], durable=True
        )

    async def change(
        self,
        entry_id: int,
        change: Callable[[Document], Mapping[str, Any]],
        *,
        event: str,
        at: dt.datetime,
        note: str = "",
    ) -> Document:
        """
        Read, change and write one entry inside one transaction; return it as written.

        Two runs that do this at the same moment both keep their change. *change* is a pure function
        that runs on the store's thread.

        Raises:
            UsageError: There is no such entry.
        """
        mark = (stamp(at), event, note)

        def work(db: sqlite3.Connection) -> Document:
            entry = _get(db, entry_id)
            if entry is None:
                raise UsageError(f"no journal entry {entry_id}; tomic journal list shows them")
            _put(db, {**change(dict(entry)), "id": entry_id, "revision": entry["revision"]}, mark)
            changed = _get(db, entry_id)
            assert changed is not None
            return changed

        return await self._file.write(work, durable=True)

    async def load(self, entry_id: int) -> Document | None:
        """Return one entry, None when there is none."""
        return await self._file.read(lambda db: _get(db, entry_id))

    async def load_all(
        self, status: str | None = None, *, symbol: str | None = None, strategy: str | None = None
    ) -> list[Document]:
        """Return whole entries by id."""
        rows = await self._entries("id, revision, summary, document", status, symbol, strategy)
        return [entry(*row) for row in rows]

    async def summaries(
        self,
        status: str | None = None,
        *,
        symbol: str | None = None,
        strategy: str | None = None,
        since: dt.date | None = None,
    ) -> list[Document]:
        """
        Return the searchable keys and ``summary`` of entries by id: quick for thousands.

        *since* compares with ``opened_at``.
        """
        keys = ("id", "revision", *SEARCHED)
        columns = f"{', '.join(keys)}, summary"
        rows = await self._entries(columns, status, symbol, strategy, since)
        return [
            {**dict(zip(keys, row[:-1], strict=True)), "summary": load(row[-1])} for row in rows
        ]

    async def _entries(
        self,
        columns: str,
        status: str | None,
        symbol: str | None,
        strategy: str | None,
        since: dt.date | None = None,
    ) -> list[Any]:
        day = since.isoformat() if since else None
        values = {"status": status, "symbol": symbol, "strategy": strategy, "since": day}
        return await self._rows(f"SELECT {columns} FROM entries" + _WHERE, values)

    async def changes(self, entry_id: int) -> list[Change]:
        """Return every change of an entry, oldest first; the first holds all its keys."""
        if not 0 <= entry_id < _NUMBERS:
            return []
        rows = await self._rows(
            "SELECT entry_id, revision, at, event, note, changed FROM journal_history"
            " WHERE entry_id = ? ORDER BY revision",
            (entry_id,),
        )
        return [change_of(*row) for row in rows]

    async def save_executions(self, executions: Iterable[Execution]) -> int:
        """Add fills that are not known yet; return how many were new."""
        rows = [
            (fill.exec_id, fill.entry_id, stamp(fill.at), fill.symbol, fill.con_id,
             dump(fill.document), fill.reason)
            for fill in executions
        ]  # fmt: skip
        return await self._write_rows(
            "INSERT OR IGNORE INTO executions"
            " (exec_id, entry_id, at, symbol, con_id, document, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
            durable=True,
        )

    async def link_executions(self, exec_ids: Iterable[str], entry_id: int) -> None:
        """Say which entry fills belong to."""
        rows = [(entry_id, exec_id) for exec_id in exec_ids]
        await self._file.write(lambda db: _link(db, rows), durable=True)

    async def place_executions(
        self,
        parts: Sequence[tuple[Mapping[str, Any], Sequence[str]]],
        *,
        event: str,
        at: dt.datetime,
        released: Sequence[str] = (),
        note: str = "",
    ) -> list[tuple[int, int]] | None:
        """
        Write entries with the fills that go to each, in one transaction.

        Args:
            parts: Documents of entries, each with the numbers of its fills.
            event, note: What the history says of the change.
            at: When it was.
            released: Fills that were in an entry and go where the parts say, or nowhere.

        Returns:
            Number and revision of each entry; None, and nothing is written, when another run has
            placed one of the fills in the meantime.

        Raises:
            StoreBusy: Another run changed one of the entries in the meantime.
        """
        kept = [(dict(document), list(exec_ids)) for document, exec_ids in parts]
        mark = (stamp(at), event, note)
        freed = set(released)

        def work(db: sqlite3.Connection) -> list[tuple[int, int]] | None:
            ids = {number for _, exec_ids in kept for number in exec_ids} - freed
            if any(_is_linked(db, number) for number in ids):
                return None
            _link(db, [(None, number) for number in released])
            places = [_put(db, document, mark) for document, _ in kept]
            of_each = zip(places, (exec_ids for _, exec_ids in kept), strict=True)
            _link(db, [(number, name) for (number, _), names in of_each for name in names])
            return places

        return await self._file.write(work, durable=True)

    async def rewrite_executions(self, executions: Iterable[Execution]) -> None:
        """Replace what is known of fills by what more reports tell of them."""
        rows = [(fill.con_id, dump(fill.document), fill.exec_id) for fill in executions]
        await self._write_rows(
            "UPDATE executions SET con_id = ?, document = ? WHERE exec_id = ?", rows, durable=True
        )

    async def edited(self) -> set[int]:
        """Return the entries whose trades somebody wrote or changed by hand."""
        rows = await self._rows(
            "SELECT DISTINCT entry_id FROM journal_history WHERE event != 'executions'"
            " AND json_extract(changed, '$.set.trades') IS NOT NULL"
        )
        return {number for (number,) in rows}

    async def save_bookings(self, bookings: Iterable[Booking]) -> int:
        """Add bookings that are not known yet; return how many were new."""
        rows = [
            (own.booking_id, own.kind, stamp(own.at), own.account, own.symbol, dump(own.document),
             own.reason)
            for own in bookings
        ]  # fmt: skip
        return await self._write_rows(
            "INSERT OR IGNORE INTO bookings"
            " (booking_id, kind, at, account, symbol, document, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
            durable=True,
        )

    async def explain_bookings(self, reasons: Mapping[str, str]) -> None:
        """Say why bookings belong to no entry; an empty reason says that nothing is in the way."""
        rows = [(reason, number, reason) for number, reason in reasons.items()]
        await self._write_rows(
            "UPDATE bookings SET reason = ? WHERE booking_id = ? AND reason != ?", rows
        )

    async def bookings(self) -> list[Booking]:
        """Return every booking by time."""
        rows = await self._rows(
            "SELECT booking_id, kind, at, account, symbol, document, reason FROM bookings"
            " ORDER BY at, booking_id"
        )
        return [
            Booking(number, kind, unstamp(at), account, symbol, load(text), reason)
            for number, kind, at, account, symbol, text, reason in rows
        ]

    async def explain_executions(self, reasons: Mapping[str, str]) -> None:
        """Say why fills belong to no entry; an empty reason says that nothing is in their way."""
        rows = [(reason, exec_id, reason) for exec_id, reason in reasons.items()]
        await self._write_rows(
            "UPDATE executions SET reason = ?"
            " WHERE exec_id = ? AND entry_id IS NULL AND reason != ?",
            rows,
        )

    async def executions(
        self, *, entry_id: int | None = None, unlinked: bool = False
    ) -> list[Execution]:
        """Return fills by time: all, those of one entry, or those of none."""
        return await self.each_execution(lambda fill: fill, entry_id=entry_id, unlinked=unlinked)

    async def each_execution(
        self, read: Callable[[Execution], T], *, entry_id: int | None = None, unlinked: bool = False
    ) -> list[T]:
        """
        Return what a pure function makes of each fill; see `executions`.

        It runs on the store's thread, so that tens of thousands never stand in memory as documents.
        """

        def work(db: sqlite3.Connection) -> list[T]:
            rows = db.execute(
                "SELECT exec_id, at, symbol, con_id, document, entry_id, reason FROM executions"
                " WHERE (:entry IS NULL OR entry_id = :entry)"
                " AND (NOT :unlinked OR entry_id IS NULL) ORDER BY at, exec_id",
                {"entry": entry_id, "unlinked": unlinked},
            )
            return [
                read(Execution(exec_id, unstamp(at), symbol, con_id, load(text), linked, reason))
                for exec_id, at, symbol, con_id, text, linked, reason in rows
            ]

        return await self._file.read(work)

    async def links(self) -> dict[str, int | None]:
        """Return the entry of each fill, None where it belongs to none."""
        return dict(await self._rows("SELECT exec_id, entry_id FROM executions"))

    async def save_unread_rows(self, rows: Iterable[UnreadRow]) -> int:
        """Keep rows that are no executions; return how many were not known yet."""
        values = [
            (row.row_id, stamp(row.at), row.source, row.line, row.columns, row.text, row.reason)
            for row in rows
        ]
        return await self._write_rows(
            "INSERT OR IGNORE INTO unread_rows"
            " (row_id, at, source, line, columns, text, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
            durable=True,
        )

    async def resolve_unread_rows(self, exec_ids: Mapping[str, str]) -> None:
        """Say which executions rows have turned out to be."""
        rows = [(exec_id, row_id) for row_id, exec_id in exec_ids.items()]
        await self._write_rows(
            "UPDATE unread_rows SET exec_id = ? WHERE row_id = ?", rows, durable=True
        )

    async def unread_rows(self) -> list[UnreadRow]:
        """Return rows that are no executions, in the order of their imports."""
        rows = await self._rows(
            "SELECT row_id, at, source, line, columns, text, reason, exec_id"
            " FROM unread_rows WHERE exec_id IS NULL ORDER BY at, source, line, row_id"
        )
        return [UnreadRow(row_id, unstamp(at), *more) for row_id, at, *more in rows]

    async def save_decisions(self, decisions: Iterable[Decision]) -> None:
        """Add decisions on executions or rows; the last one on each holds."""
        rows = [
            (made.execution, stamp(made.at), made.decision, made.who, made.because)
            for made in decisions
        ]
        await self._write_rows(
            "INSERT INTO execution_decisions (execution, at, decision, who, because)"
            " VALUES (?, ?, ?, ?, ?)",
            rows,
            durable=True,
        )

    async def decisions(self) -> dict[str, list[Decision]]:
        """Return every decision by execution or row, oldest first."""
        rows = await self._rows(
            "SELECT execution, at, decision, who, because FROM execution_decisions ORDER BY id"
        )
        by_execution: dict[str, list[Decision]] = {}
        for execution, at, *more in rows:
            by_execution.setdefault(execution, []).append(Decision(execution, unstamp(at), *more))
        return by_execution


def change_of(entry_id: int, revision: int, at: str, event: str, note: str, changed: str) -> Change:
    """
    A change from its row.

    Raises:
        StoreError: It is damaged.
    """
    body = load(changed)
    try:
        values, removed = dict(body["set"]), tuple(body["unset"])
        moment = unstamp(at)
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError(
            f"journal entry {entry_id}: change {revision} is damaged ({exc}); {REMEDY}"
        ) from exc
    return Change(entry_id, revision, moment, event, note, values, removed)


def contradiction(changes: Sequence[Change], stored: Document, columns: Mapping[str, Any]) -> str:
    """
    What an entry says otherwise than its history does; empty where they agree.

    Args:
        changes: Every change of it, oldest first.
        stored: As it is handed out.
        columns: What it is searched by, as the table has it.
    """
    told = {key: value for key, value in replay(changes).items() if key not in _MANAGED}
    document = {key: value for key, value in stored.items() if key not in _MANAGED}
    differing = {key for key in told.keys() | document if told.get(key) != document.get(key)}
    differing |= {key for key in SEARCHED if columns[key] != document.get(key)}
    return ", ".join(sorted(differing))


def replay(changes: Iterable[Change], *, revision: int | None = None) -> Document:
    """Rebuild an entry from its history as it was at *revision*, the last by default."""
    document: Document = {}
    for change in changes:
        if revision is not None and change.revision > revision:
            break
        document = {
            "id": change.entry_id,
            "revision": change.revision,
            **{key: value for key, value in document.items() if key not in _MANAGED},
            **change.values,
        }
        for key in change.removed:
            document.pop(key, None)
    return document


def fields_of(document: Mapping[str, Any]) -> Document:
    """What the model of an entry is made from: no summary, and its snapshots in one list."""
    fields = {key: value for key, value in document.items() if not key.startswith(SNAPSHOT)}
    fields.pop("summary", None)
    shots = [document[key] for key in sorted(document) if key.startswith(SNAPSHOT)]
    return {**fields, "snapshots": shots}


def _link(db: sqlite3.Connection, rows: Iterable[tuple[int | None, str]]) -> None:
    db.executemany("UPDATE executions SET entry_id = ?, reason = '' WHERE exec_id = ?", rows)


def _is_linked(db: sqlite3.Connection, exec_id: str) -> bool:
    row = db.execute("SELECT entry_id FROM executions WHERE exec_id = ?", (exec_id,)).fetchone()
    return row is not None and row[0] is not None


def _get(db: sqlite3.Connection, entry_id: int) -> Document | None:
    if not 0 <= entry_id < _NUMBERS:
        return None
    row = db.execute(
        "SELECT id, revision, summary, document FROM entries WHERE id = ?", (entry_id,)
    ).fetchone()
    return entry(*row) if row else None


def entry(entry_id: int, revision: int, summary: str, text: str) -> Document:
    """An entry as it is handed out, from its row."""
    return {"id": entry_id, "revision": revision, **load(text), "summary": load(summary)}


def _put(
    db: sqlite3.Connection, document: Mapping[str, Any], mark: tuple[str, str, str]
) -> tuple[int, int]:
    """Write an entry; its number and revision."""
    # Through JSON first, so that what is compared is what will be read back.
    text = dump({key: value for key, value in document.items() if key not in _MANAGED})
    body = load(text)
    entry_id = document.get("id")
    if entry_id is None:
        (entry_id,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM entries").fetchone()
    stored = _get(db, entry_id)
    if stored is not None and stored["revision"] != document.get("revision"):
        raise StoreBusy(
            f"journal entry {entry_id} was changed by another run in the meantime; "
            "repeat the command"
        )
    revision = stored["revision"] + 1 if stored else 1
    columns = (revision, *(body.get(key) for key in SEARCHED),
               dump(document.get("summary") or {}), text)  # fmt: skip
    if stored is None:
        changed = f'{{"set":{text},"unset":[]}}'
        db.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (entry_id, *columns)
        )
    else:
        changed = dump(_changes(stored, body))
        db.execute(
            "UPDATE entries SET revision = ?, continues = ?, symbol = ?, strategy = ?, status = ?,"
            " opened_at = ?, closed_at = ?, summary = ?, document = ? WHERE id = ?",
            (*columns, entry_id),
        )
    db.execute(
        "INSERT INTO journal_history (entry_id, revision, at, event, note, changed)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (entry_id, revision, *mark, changed),
    )
    return int(entry_id), revision


def _changes(stored: Document, body: Document) -> Document:
    """What the history keeps of a change: the keys that are set, and those that are taken away."""
    known = {key: value for key, value in stored.items() if key not in _MANAGED}
    return {
        "set": {key: body[key] for key in body if key not in known or known[key] != body[key]},
        "unset": sorted(known.keys() - body.keys()),
    }
