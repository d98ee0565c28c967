"""Looking after the store: what is in it, whether it is sound, and a copy of it."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tomic.errors import StoreError
from tomic.store import schema
from tomic.store.connection import StoreFile

_DOCUMENTS = (
    ("underlyings", "document"),
    ("option_params", "document"),
    ("vol_snapshots", "document"),
    ("chains", "header"),
    ("scans", "document"),
    ("proposals", "document"),
    ("entries", "document"),
    ("entries", "summary"),
    ("journal_history", "changed"),
    ("executions", "document"),
)


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One kind of daily series over all symbols."""

    series: str
    symbols: int
    rows: int
    first: dt.date
    last: dt.date


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


class UpkeepTables(StoreFile):
    """Information, checks and backups."""

    async def info(self) -> StoreInfo:
        """Return sizes, counts and coverage."""
        exists = self.path.exists()
        tables, series, version = await self._read(
            lambda db: (_counts(db), _series(db), schema.version_of(db))
        )
        return StoreInfo(
            path=self.path,
            exists=exists,
            size=sum(_sizes(self.path)),
            schema_version=version if exists else 0,
            sqlite_version=sqlite3.sqlite_version,
            tables=tables,
            series=series,
        )

    async def check(self) -> list[str]:
        """
        Return what is wrong with the file, one line each; nothing when it is sound.

        Looks at SQLite's own integrity, the tables of this schema version, references between
        tables, and whether every document can be read.
        """
        return await self._read(lambda db: list(_problems(db)))

    async def backup(self, target: Path | str) -> int:
        """
        Copy the store to *target* while it is in use; return the size in bytes.

        The copy is one consistent moment, is checked, and appears under its name only when it is
        whole; an earlier backup of that name is replaced.

        Raises:
            StoreError: There is no store yet, or *target* is the store itself, is something else
                than a store, or cannot be written.
        """
        target = Path(target)
        _check_target(self.path, target)
        connection = await self._connected(create=False)
        try:
            return await self._run(connection, lambda db: _copy(db, target))
        except OSError as exc:
            raise StoreError(f"{target}: cannot be written ({exc.strerror})") from exc


def _check_target(path: Path, target: Path) -> None:
    if not path.exists():
        raise StoreError(f"{path}: no store there yet; tomic prices makes one")
    if not target.exists():
        return
    if target.is_dir() or target.samefile(path):
        raise StoreError(f"{target}: is the store itself or a folder; name another file")
    try:
        with closing(sqlite3.connect(f"{target.absolute().as_uri()}?mode=ro", uri=True)) as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError:
        application = 0
    if application != schema.APPLICATION_ID:
        raise StoreError(f"{target}: exists and is no backup of a store; name another file")


def _copy(db: sqlite3.Connection, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            db.backup(copy)
            # One file without a log beside it can be moved and mailed as it is.
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"the copy is not sound ({verdict}); run tomic store check")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        size = part.stat().st_size
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size


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


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    return {
        name: int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
        for name in _tables(db)
    }


def _series(db: sqlite3.Connection) -> tuple[SeriesInfo, ...]:
    rows = db.execute(
        "SELECT 'bars', count(DISTINCT symbol), count(*), min(day), max(day) FROM bars"
        " HAVING count(*) > 0 UNION ALL"
        " SELECT kind, count(DISTINCT symbol), count(*), min(day), max(day)"
        " FROM iv_history GROUP BY kind"
    )
    day = dt.date(1970, 1, 1)
    return tuple(
        SeriesInfo(name, symbols, count, day + dt.timedelta(first), day + dt.timedelta(last))
        for name, symbols, count, first, last in rows
    )


def _problems(db: sqlite3.Connection) -> Iterator[str]:
    found = [line for (line,) in db.execute("PRAGMA integrity_check(20)") if line != "ok"]
    yield from found
    if found:
        return
    missing = schema.tables_of(schema.LATEST) - set(_tables(db))
    yield from (f"table {name} is missing" for name in sorted(missing))
    for table, rowid, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {rowid}: what it refers to in {parent} is missing"
    for table, column in _DOCUMENTS:
        if table not in missing:
            yield from _unreadable(db, table, column)
    if not missing & {"entries", "journal_history"}:
        yield from _journal_problems(db)


def _unreadable(db: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    for number, (text,) in enumerate(db.execute(f"SELECT {column} FROM {table}"), start=1):
        try:
            json.loads(text)
        except ValueError as exc:
            yield f"{table} row {number}: {column} is no JSON ({exc})"


def _journal_problems(db: sqlite3.Connection) -> Iterator[str]:
    rows = db.execute(
        "SELECT entries.id, entries.revision, count(changes.revision) FROM entries"
        " LEFT JOIN journal_history AS changes ON changes.entry_id = entries.id"
        " GROUP BY entries.id HAVING count(changes.revision) != entries.revision"
    )
    for entry_id, revision, count in rows:
        yield f"journal entry {entry_id}: revision {revision}, but {count} changes in its history"
