"""Files that can be taken into the store, recognised by what is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tomic.disk import beginning, read_bytes
from tomic.errors import BadFile
from tomic.store import schema
from tomic.store.calendar import CalendarTables, Dividend, Earnings
from tomic.store.calendar_files import KINDS, parse
from tomic.store.file import StoreFile

_SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found: the kind of file and a count of rows by what they are."""

    kind: str
    counts: Mapping[str, int]
    left_out: tuple[str, ...] = ()
    """Rows that could not be read, each with its place and reason; they are in no count."""
    cleaned: tuple[str, ...] = ()
    """What is kept as it is and left aside where it is used: reasons with their counts."""


async def import_file(store: StoreFile, calendar: CalendarTables, path: Path) -> Imported:
    """Import a file, whatever of the known kinds it is."""
    try:
        if beginning(path, len(_SQLITE)) == _SQLITE:
            return await _import_legacy(store, path)
        content = read_bytes(path)
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    calendar_file = parse(path, content)
    events = calendar_file.events
    dividends = [event for event in events if isinstance(event, Dividend)]
    earnings = [event for event in events if isinstance(event, Earnings)]
    if dividends:
        await calendar.save_dividends(dividends)
        return Imported("dividends", {"dividends": len(dividends)}, calendar_file.left_out)
    await calendar.save_earnings(earnings)
    return Imported("earnings", {"earnings dates": len(earnings)}, calendar_file.left_out)


async def _import_legacy(store: StoreFile, path: Path) -> Imported:
    """The original's ``volatility.db`` (PriceHistory and VolStats), without loss."""

    def work(db: sqlite3.Connection) -> schema.Copied:
        address = f"{path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True)) as source:
                _check_legacy(path, source)
                return schema.copy(source, db)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
            raise BadFile(f"{path}: {exc}; a SQLite file was expected") from exc

    copied = await store.write(work)
    return Imported(
        "volatility.db of the original",
        {
            "price rows": copied.price_rows,
            "volatility rows": copied.stat_rows,
            "new bars": copied.new_bars,
            "new snapshots": copied.new_snapshots,
            "rows without a readable date": copied.undated,
        },
    )


def _check_legacy(path: Path, source: sqlite3.Connection) -> None:
    if schema.has_tables(source):
        return
    (application,) = source.execute("PRAGMA application_id").fetchone()
    if application == schema.APPLICATION_ID:
        raise BadFile(f"{path}: a store of TOMIC itself; point store.path at it to use it")
    raise BadFile(f"{path}: a SQLite file without PriceHistory and VolStats; it can be {KINDS}")
