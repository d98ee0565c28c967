"""Reading tables of daily volatility surfaces: a row a symbol and day, columns in any order."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tomic.disk import read_text
from tomic.errors import BadFile
from tomic.evidence.history import Dates, SurfaceRows
from tomic.files.reading import ABSENT

COLUMNS = ("symbol", "date", "close", "atm_iv", "skew", "term_m1_m2")
"""Needed; others are left alone. `SurfaceRows` says what they hold."""


def read_surface(path: Path) -> SurfaceRows:
    """
    Read a CSV of daily surfaces such as ``symbol,date,close,atm_iv,skew,term_m1_m2``.

    Dates are ISO or 20250519; a blank or ``nan`` cell is a missing number, a blank date a missing
    day. Rows may stand in any order and repeat; nothing is judged here.

    Raises:
        BadFile: It cannot be read, lacks a column or rows, or a cell is neither blank nor what its
            column holds; the line is named.
    """
    try:
        text = read_text(path)
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8") from exc
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


def _rows(path: Path, text: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Where each row stands, and its cells in the order of `COLUMNS`."""
    reader = csv.reader(io.StringIO(text), strict=True)
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
