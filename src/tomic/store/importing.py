"""Files that can be taken into the store, recognised by what is in them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tomic.disk import read_bytes
from tomic.errors import BadFile, InvalidSymbol
from tomic.models import normalize_symbol
from tomic.store import schema
from tomic.store.calendar import CalendarTables, Dividend, Earnings
from tomic.store.file import StoreFile

KINDS = (
    "the original's volatility.db, a CSV of earnings (symbol, date) or of dividends "
    "(symbol, ex_date, amount)"
)

_SQLITE = b"SQLite format 3\x00"
_SYMBOL = ("symbol", "ticker", "symbool")
_AMOUNT = ("amount", "dividend", "dividend_amount", "cash_amount")
_EX_DATE = ("ex_date", "exdate", "ex_dividend_date", "ex_div_date", "date", "day")
_REPORT = ("reportdate", "report_date", "earnings_date", "earnings", "next_earnings", "date", "day")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found: the kind of file and a count of rows by what they are."""

    kind: str
    counts: Mapping[str, int]


async def import_file(store: StoreFile, calendar: CalendarTables, path: Path) -> Imported:
    """Import a file, whatever of the known kinds it is."""
    content = _read(path)
    if content.startswith(_SQLITE):
        return await _import_legacy(store, path)
    if content[:1] in (b"{", b"["):
        raise BadFile(
            f"{path}: JSON; a journal is imported with tomic journal import {path.name}, "
            f"here it can be {KINDS}"
        )
    table = parse(path, content)
    if isinstance(table[0], Dividend):
        dividends = [row for row in table if isinstance(row, Dividend)]
        await calendar.save_dividends(dividends)
        return Imported("dividends", {"dividends": len(dividends)})
    earnings = [row for row in table if isinstance(row, Earnings)]
    await calendar.save_earnings(earnings)
    return Imported("earnings", {"earnings dates": len(earnings)})


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


_YEARS = (1900, 2199)
"""Others stand for a day that is not known."""


def parse(path: Path, content: bytes) -> Sequence[Earnings | Dividend]:
    """
    Read a CSV of earnings or dividends; separators ``,``, ``;`` and tab, dates ISO or 20260115.

    Raises:
        BadFile: Not such a CSV, with the line at fault.
    """
    try:
        # Excel of the Mac ends lines with \r alone.
        text = re.sub(r"\r\n?", "\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8; it can be {KINDS}") from exc
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        rows = list(reader)
    except csv.Error as exc:
        raise BadFile(f"{path}:{reader.line_num}: no CSV ({exc})") from exc
    names = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in rows[0]] if rows else []
    symbol, amount = _place(names, _SYMBOL), _place(names, _AMOUNT)
    day = _place(names, _EX_DATE if amount is not None else _REPORT)
    if symbol is None or day is None:
        raise BadFile(f"{path}: columns not recognised; it can be {KINDS}")
    events: list[Earnings | Dividend] = []
    for number, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            events.append(_parsed(f"{path}:{number}", row, symbol, day, amount))
    if not events:
        raise BadFile(f"{path}: no rows below the header")
    return events


def _parsed(
    where: str, row: Sequence[str], symbol: int, day: int, amount: int | None
) -> Earnings | Dividend:
    try:
        name = normalize_symbol(row[symbol])
        date = dt.date.fromisoformat(row[day].strip()[:10])
        if not _YEARS[0] <= date.year <= _YEARS[1]:
            raise ValueError(f"{date} cannot be the day of an event")
        if amount is None:
            return Earnings(name, date, "csv")
        value = float(row[amount].strip().replace(",", "."))
    except (InvalidSymbol, ValueError) as exc:
        raise BadFile(f"{where}: {exc}") from exc
    except IndexError as exc:
        raise BadFile(f"{where}: fewer columns than the header") from exc
    if not math.isfinite(value) or value < 0.0:
        raise BadFile(f"{where}: an amount must be >= 0, got {row[amount]}")
    return Dividend(name, date, value, "csv")


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _read(path: Path, size: int = -1) -> bytes:
    try:
        if size < 0:
            return read_bytes(path)
        with path.open("rb") as file:
            return file.read(size)
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc


def _check_legacy(path: Path, source: sqlite3.Connection) -> None:
    if schema.has_tables(source):
        return
    (application,) = source.execute("PRAGMA application_id").fetchone()
    if application == schema.APPLICATION_ID:
        raise BadFile(f"{path}: a store of TOMIC itself; point store.path at it to use it")
    raise BadFile(f"{path}: a SQLite file without PriceHistory and VolStats; it can be {KINDS}")
