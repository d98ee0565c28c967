"""Looking after the store: what is in it, whether it is sound, and a copy of it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import platform
import re
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tomic import disk
from tomic.errors import StoreError
from tomic.models.documents import first_fault
from tomic.store import journal, kept_chains, schema
from tomic.store.file import BUSY, StoreFile, code_of, is_there

_DOCUMENTS = (
    ("underlyings", "document"),
    ("option_params", "document"),
    ("vol_snapshots", "document"),
    ("chains", "header"),
    ("kept_chains", "header"),
    ("followed", "document"),
    ("backtests", "document"),
    ("scans", "document"),
    ("proposals", "document"),
    ("advice", "document"),
    ("entries", "document"),
    ("entries", "summary"),
    ("journal_history", "changed"),
    ("executions", "document"),
)

BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database, and takes for its own by the name."""
BACKUP = "backup"
"""Row of the table runs that only a copy has."""
_HEADER = 100
_ROLLBACK_JOURNAL = 1
"""Read version in a SQLite header of a file without a write-ahead log."""
IRREPLACEABLE = (
    ("journal entries", "SELECT entry_id, revision, at, event, changed FROM journal_history"),
    ("executions", "SELECT exec_id FROM executions"),
    ("proposals", "SELECT id FROM proposals"),
)
"""What no gateway tells a second time: what it is called, and what makes it what it is."""


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One kind of daily series over all symbols."""

    series: str
    symbols: int
    rows: int
    first: dt.date
    last: dt.date


@dataclass(frozen=True, slots=True)
class KeptInfo:
    """The chains that are kept for months, over all symbols."""

    chains: int
    symbols: int
    first: dt.date
    last: dt.date
    size: int
    """Bytes."""
    largest: int
    """Bytes of the largest."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What is in the store."""

    path: Path
    exists: bool
    size: int
    """Bytes, the write-ahead log included."""
    schema_version: int
    sqlite_version: str
    tables: Mapping[str, int]
    """Table to number of rows."""
    series: tuple[SeriesInfo, ...]
    kept: KeptInfo | None = None
    """None where no chain is kept."""


async def info(store: StoreFile) -> StoreInfo:
    """Sizes, counts and coverage of *store*."""
    exists = is_there(store.path)
    tables, series, kept, version = await store.read(
        lambda db: (_counts(db), _series(db), _kept(db), schema.version_of(db))
    )
    return StoreInfo(
        path=store.path,
        exists=exists,
        size=sum(_sizes(store.path)),
        schema_version=version if exists else 0,
        sqlite_version=sqlite3.sqlite_version,
        tables=tables,
        series=series,
        kept=kept,
    )


async def backup(store: StoreFile, target: Path) -> int:
    """Copy *store* to *target* while it is in use; the size in bytes."""
    target = _real_target(store.path, target)
    return await store.outside_transaction(lambda db: _back_up(db, target))


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Blame *target* for what goes wrong inside, and not the store."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        raise StoreError(
            f"{target}: cannot be written ({exc}); look whether file and folder can be written "
            "and the disk has room"
        ) from exc
    except OSError as exc:
        raise StoreError(f"{target}: cannot be written ({exc.strerror or exc})") from exc


def _real_target(path: Path, target: Path) -> Path:
    """*target* with its links followed; an error where nothing of ours may be put."""
    if not is_there(path):
        raise StoreError(f"{path}: no store there yet; tomic prices makes one")
    try:
        real = target.resolve()
    except (OSError, RuntimeError) as exc:
        raise StoreError(f"{target}: cannot be followed ({exc}); name another file") from exc
    if real.name.endswith(BESIDE):
        raise StoreError(
            f"{target}: SQLite keeps files of that name beside a database; name another file"
        )
    with _writing(target):
        if not os.path.lexists(real):
            return real
        if real.samefile(path) or not real.is_file():
            raise StoreError(
                f"{target}: is the store itself, a folder or a device; name another file"
            )
    return real


def _back_up(db: sqlite3.Connection, target: Path) -> int:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    # The moment that is copied, held by a first read, is the one that the copy is compared with.
    db.execute("BEGIN")
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if os.path.lexists(target):
            _check_replaceable(db, target)
        with _writing(target):
            try:
                disk.make_folder(target.parent, private=True)
                disk.make_private(part)
                _copy(db, part)
                digest, size = _digest(part), part.stat().st_size
                free(target)
                if target.exists():
                    part.chmod(stat.S_IMODE(target.stat().st_mode))
                part.replace(target)
            finally:
                for suffix in ("", *BESIDE):
                    Path(f"{part}{suffix}").unlink(missing_ok=True)
            written = _digest(target)
        if written != digest or _found_in(target) != _found_by(db):
            raise StoreError(
                f"{target}: does not hold what was copied; another program writes there, so name "
                "another file"
            )
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
    return size


def _copy(db: sqlite3.Connection, part: Path) -> None:
    with closing(sqlite3.connect(part, isolation_level=None)) as copy:
        db.backup(copy)
        # One file without a log beside it can be moved and mailed as it is.
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, strftime('%Y-%m-%d %H:%M UTC', 'now'))",
            (BACKUP, os.getpid(), platform.node()),
        )
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"the copy is not sound ({verdict}); run tomic store check")
    with part.open("rb+") as file:
        os.fsync(file.fileno())


def _check_replaceable(db: sqlite3.Connection, target: Path) -> None:
    """Refuse to replace what is no backup of this store, or is no longer only that."""
    try:
        with target.open("rb") as file:
            header = file.read(_HEADER)
    except OSError as exc:
        raise StoreError(f"{target}: cannot be read ({exc.strerror or exc})") from exc
    is_database = header.startswith(b"SQLite format 3\0") and len(header) == _HEADER
    if not is_database or int.from_bytes(header[68:72]) != schema.APPLICATION_ID:
        raise StoreError(f"{target}: exists and is no backup of a store; name another file")
    address = f"{target.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=0.0)) as old:
            marked = (BACKUP.encode(),) in keys(old, "SELECT name FROM runs")
            lost = [name for name, query in IRREPLACEABLE if keys(old, query) - keys(db, query)]
    except sqlite3.DatabaseError as exc:
        if code_of(exc) in BUSY:
            raise _in_use(target) from exc
        raise StoreError(
            f"{target}: cannot be read as a backup ({exc}); move it away, or name another file"
        ) from exc
    # Backups had no mark once; a store that somebody works with keeps a write-ahead log.
    if not marked and header[18] != _ROLLBACK_JOURNAL:
        raise StoreError(f"{target}: is a store in its own right, no backup; name another file")
    if lost:
        raise StoreError(
            f"{target}: holds {' and '.join(lost)} that {_path_of(db)} does not; "
            "it is no earlier backup of this store, so name another file"
        )


def _in_use(target: Path) -> StoreError:
    return StoreError(f"{target}: another program has it open; close that, or name another file")


def free(target: Path) -> None:
    """Leave nothing beside *target* that SQLite would take for a log of the file to come."""
    if target.exists():
        with closing(sqlite3.connect(target, timeout=0.0, isolation_level=None)) as old:
            try:
                # What its log holds is put into it, and the log goes; only who is alone can.
                old.execute("PRAGMA journal_mode = DELETE")
                old.execute("BEGIN EXCLUSIVE")
                old.execute("ROLLBACK")
            except sqlite3.OperationalError as exc:
                if code_of(exc) in BUSY:
                    raise _in_use(target) from exc
                raise
    for suffix in BESIDE:
        Path(f"{target}{suffix}").unlink(missing_ok=True)


def keys(db: sqlite3.Connection, query: str) -> set[tuple[object, ...]]:
    """What *query* finds, its texts as bytes: one that is not UTF-8 can be compared as well."""
    (table,) = re.findall(r"FROM (\w+)", query)
    # A backup of an earlier version lacks tables.
    if table not in _tables(db):
        return set()
    usual, db.text_factory = db.text_factory, bytes
    try:
        return set(db.execute(query))
    finally:
        db.text_factory = usual


def _path_of(db: sqlite3.Connection) -> str:
    return str(db.execute("PRAGMA database_list").fetchone()[2])


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()


def _found_in(target: Path) -> dict[str, int]:
    """What somebody finds who opens the copy under its name."""
    try:
        with closing(sqlite3.connect(target, timeout=0.0, isolation_level=None)) as copy:
            return _found_by(copy)
    except sqlite3.DatabaseError as exc:
        raise StoreError(f"{target}: cannot be opened again ({exc}); name another file") from exc


def _found_by(db: sqlite3.Connection) -> dict[str, int]:
    counts = _counts(db)
    del counts["runs"]
    (revisions,) = db.execute("SELECT total(revision) FROM entries").fetchone()
    return counts | {"user_version": schema.version_of(db), "revisions": int(revisions)}


def _sizes(path: Path) -> Iterator[int]:
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            yield file.stat().st_size


def _tables(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " ORDER BY name"
    )
    return [name for (name,) in rows]


def _triggers(db: sqlite3.Connection) -> list[str]:
    rows = db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    return [name for (name,) in rows]


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    return {
        name: int(db.execute(f"SELECT count(*) FROM {schema.quoted(name)}").fetchone()[0])
        for name in _tables(db)
    }


def _series(db: sqlite3.Connection) -> tuple[SeriesInfo, ...]:
    rows = db.execute(
        "SELECT 'bars', count(DISTINCT symbol), count(*), min(day), max(day) FROM bars"
        " HAVING count(*) > 0 UNION ALL"
        " SELECT kind, count(DISTINCT symbol), count(*), min(day), max(day)"
        " FROM iv_history GROUP BY kind UNION ALL"
        " SELECT 'surfaces', count(DISTINCT symbol), count(*), min(day), max(day) FROM surfaces"
        " HAVING count(*) > 0"
    )
    day = dt.date(1970, 1, 1)
    return tuple(
        SeriesInfo(name, symbols, count, day + dt.timedelta(first), day + dt.timedelta(last))
        for name, symbols, count, first, last in rows
    )


def _kept(db: sqlite3.Connection) -> KeptInfo | None:
    size = "length(header) + length(columns)"
    count, symbols, first, last, total, largest = db.execute(
        "SELECT count(*), count(DISTINCT symbol), min(day), max(day),"
        f" total({size}), max({size}) FROM kept_chains"
    ).fetchone()
    if not count:
        return None
    day = dt.date.fromisoformat
    return KeptInfo(count, symbols, day(first), day(last), int(total), largest)


def problems(db: sqlite3.Connection) -> Iterator[str]:
    problems = [line for (line,) in db.execute("PRAGMA integrity_check(20)") if line != "ok"]
    yield from problems
    if problems:
        return
    missing = schema.tables_of(schema.LATEST) - set(_tables(db))
    yield from (f"table {name} is missing" for name in sorted(missing))
    yield from (
        f"trigger {name} is missing, which keeps the journal from being changed unseen"
        for name in sorted(schema.triggers_of(schema.LATEST) - set(_triggers(db)))
    )
    for table, rowid, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {rowid}: what it refers to in {parent} is missing"
    for table, column in _DOCUMENTS:
        if table not in missing:
            yield from _unreadable(db, table, column)
    if "kept_chains" not in missing:
        yield from kept_chains.damaged(db)
    if not missing & {"entries", "journal_history"}:
        yield from _journal_problems(db)


def _unreadable(db: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    for number, (text,) in enumerate(db.execute(f"SELECT {column} FROM {table}"), start=1):
        try:
            json.loads(text)
        except ValueError as exc:
            yield f"{table} row {number}: {column} is no JSON ({exc})"


def _journal_problems(db: sqlite3.Connection) -> Iterator[str]:
    # Makes the models of the whole journal, which nothing else here needs.
    from tomic.models.journal import JournalEntry

    for row in db.execute("SELECT id, revision, summary, document FROM entries"):
        try:
            JournalEntry.model_validate(journal.fields_of(journal.entry(*row)))
        except ValidationError as exc:
            yield f"journal entry {row[0]} cannot be read: {first_fault(exc)}"
        except StoreError:
            pass  # Named already, as a document that is no JSON.
    rows = db.execute(
        "SELECT entries.id, entries.revision, count(changes.revision) FROM entries"
        " LEFT JOIN journal_history AS changes ON changes.entry_id = entries.id"
        " GROUP BY entries.id HAVING count(changes.revision) != entries.revision"
    )
    for entry_id, revision, count in rows:
        yield f"journal entry {entry_id}: revision {revision}, but {count} changes in its history"
    yield from _contradictions(db)


def _contradictions(db: sqlite3.Connection) -> Iterator[str]:
    """Entries that are not what their history makes of them."""
    changes: dict[int, list[journal.Change]] = {}
    rows = db.execute(
        "SELECT entry_id, revision, at, event, note, changed FROM journal_history"
        " ORDER BY entry_id, revision"
    )
    for row in rows:
        try:
            changes.setdefault(row[0], []).append(journal.change_of(*row))
        except StoreError as exc:
            yield str(exc)
    names = ", ".join(journal.SEARCHED)
    for entry_id, revision, summary, document, *cells in db.execute(
        f"SELECT id, revision, summary, document, {names} FROM entries"
    ):
        try:
            stored = journal.entry(entry_id, revision, summary, document)
        except StoreError:
            continue  # Named already, as a document that is no JSON.
        columns = dict(zip(journal.SEARCHED, cells, strict=True))
        if odd := journal.contradiction(changes.get(entry_id, []), stored, columns):
            yield f"journal entry {entry_id}: its history says otherwise ({odd})"
