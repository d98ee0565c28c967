"""
Reading tables of daily volatility surfaces: a row a symbol and day, columns in any order.

Also the original program's ``iv_daily_summary``, a JSON file a symbol, with the closes that it kept
in ``spot_prices`` beside it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomic import outside
from tomic.disk import beginning, parse_json, read_text
from tomic.errors import BadFile
from tomic.evidence.history import Dates, SurfaceRows
from tomic.files.reading import ABSENT

COLUMNS = ("symbol", "date", "close", "atm_iv", "skew", "term_m1_m2")
"""Needed; others are left alone. `SurfaceRows` says what they hold."""


_MARK, _HEAD = b"atm_iv", 65536
"""What is in the first bytes of every table of surfaces."""
_MOST_FRACTION = 3.0
"""No market is at 300 % in the middle of its days."""
CLOSES = "spot_prices"
"""Folder beside ``iv_daily_summary`` in which the original kept closes, a file a symbol."""


def is_surface(path: Path) -> bool:
    """Whether a file, or a folder of them, is of surfaces; only its beginning is looked at."""
    try:
        if path.is_dir():
            return any(is_surface(each) for each in sorted(path.glob("*.json")))
        return _MARK in beginning(path, _HEAD).lower()
    except OSError:
        return False


def read_surface(path: Path) -> SurfaceRows:
    """
    Read a CSV of daily surfaces such as ``symbol,date,close,atm_iv,skew,term_m1_m2``.

    Dates are ISO or 20250519; a blank or ``nan`` cell is a missing number, a blank date a missing
    day. Rows may stand in any order and repeat; nothing is judged here. A folder, or a file that
    ends in ``.json``, is the original's ``iv_daily_summary``; where no closes lie beside it they
    are missing.

    Raises:
        BadFile: It cannot be read, lacks a column or rows, or a cell is neither blank nor what its
            column holds; the line is named. Or its volatilities are in per cent.
    """
    is_json = path.is_dir() or path.suffix.lower() == ".json"
    rows = _summaries(path) if is_json else _table(path)
    known = rows.atm_iv[np.isfinite(rows.atm_iv)]
    if known.size and np.median(known) > _MOST_FRACTION:
        raise BadFile(
            f"{path}: atm_iv seems to be in per cent (half of it is above "
            f"{np.median(known):.3g}); fractions are wanted, such as 0.25"
        )
    return rows


def _table(path: Path) -> SurfaceRows:
    text = _text(path)
    symbols: list[str] = []
    days: list[str] = []
    numbers: list[tuple[float, ...]] = []
    for where, (symbol, day, *cells) in _rows(path, text):
        if not symbol.strip():
            raise BadFile(f"{where}: no symbol")
        symbols.append(symbol.strip().upper())
        days.append(_day(where, day))
        numbers.append(tuple(_number(where, cell) for cell in cells))
    if not symbols:
        raise BadFile(f"{path}: no rows below the header")
    table = np.array(numbers, dtype=np.float64)
    dates: Dates = np.array(days, dtype="datetime64[D]")
    return SurfaceRows(np.array(symbols), dates, *table.T)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8") from exc


def _summaries(path: Path) -> SurfaceRows:
    """The original's summaries: of a folder every symbol, of a file the symbol that it names."""
    paths = sorted(path.glob("*.json")) if path.is_dir() else [path]
    table: list[tuple[str, str, float, float, float, float]] = []
    for each in paths:
        symbol = each.stem.upper()
        closes = _closes(each.parent.parent / CLOSES / each.name)
        for where, row in _records(each):
            day = _day(where, str(row.get("date") or ""))
            own = _figure(where, row, "close") if "close" in row else closes.get(day, math.nan)
            iv, skew, term = (_figure(where, row, name) for name in COLUMNS[3:])
            table.append((symbol, day, own, iv, skew, term))
    if not table:
        raise BadFile(f"{path}: no summaries in it; a folder needs a file SYMBOL.json a symbol")
    symbols, days, *columns = zip(*table, strict=True)
    dates: Dates = np.array(days, dtype="datetime64[D]")
    return SurfaceRows(np.array(symbols), dates, *np.array(columns, dtype=np.float64))


def _closes(path: Path) -> dict[str, float]:
    """Closes by day, none where there is no such file; the last row of a day counts."""
    if not path.exists():
        return {}
    return {
        _day(where, str(row.get("date") or "")): _figure(where, row, "close")
        for where, row in _records(path)
    }


def _records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each record of a JSON file stands, and the record."""
    try:
        found = parse_json(_text(path))
    except ValueError as exc:
        raise BadFile(f"{path}: no JSON ({exc!s:.80})") from exc
    if not isinstance(found, list):
        raise BadFile(f"{path}: a list of days was expected")
    for place, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise BadFile(f"{path}: record {place} is no table of figures")
        yield f"{path}: record {place}", row


def _figure(where: str, row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadFile(f"{where}: {name} {value!r:.40} is no number")
    return _number(where, str(value))


def _rows(path: Path, text: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Where each row stands, and its cells in the order of `COLUMNS`."""
    reader = csv.reader(outside.table_lines(text), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        lacking = [name for name in COLUMNS if name not in header]
        if lacking:
            raise BadFile(
                f"{path}: no column {', '.join(lacking)}; needed are {', '.join(COLUMNS)}"
            )
        places = [header.index(name) for name in COLUMNS]
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            where = f"{path}:{reader.line_num}"
            if len(row) != len(header):
                raise BadFile(f"{where}: {len(row)} cells where the header has {len(header)}")
            yield where, [row[place] for place in places]
    except csv.Error as exc:
        raise BadFile(f"{path}:{reader.line_num}: no CSV ({exc})") from exc


def _day(where: str, cell: str) -> str:
    plain = cell.strip()
    if plain.lower() in ABSENT | {"nat"}:
        return "NaT"
    if len(plain) == 8 and plain.isdigit():
        plain = f"{plain[:4]}-{plain[4:6]}-{plain[6:]}"
    try:
        return str(np.datetime64(plain[:10], "D"))
    except ValueError as exc:
        raise BadFile(f"{where}: {cell!r:.40} is no date") from exc


def _number(where: str, cell: str) -> float:
    plain = cell.strip()
    if plain.lower() in ABSENT:
        return math.nan
    try:
        return float(plain)
    except ValueError as exc:
        raise BadFile(f"{where}: {cell!r:.40} is no number") from exc
