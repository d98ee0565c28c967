"""How good an exported chain is: the rows of a CSV file counted, and what is wrong with them."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tomic import dates
from tomic.errors import DataError
from tomic.files.reading import ABSENT, read_chain_text, table_rows

MEASURED = ("bid", "ask", "iv", "delta", "gamma", "vega", "theta")
"""Columns that a complete row fills, beside expiry, type and strike."""

_KEY = ("expiry", "right", "strike")
_RIGHTS = frozenset({"C", "P", "CALL", "PUT"})


@dataclass(frozen=True, slots=True)
class CsvQuality:
    """What one file holds. A row can have several things wrong with it."""

    total: int
    complete: int
    """Rows in which no cell of `MEASURED` is empty, nor expiry, type and strike."""
    valid: int
    """Complete rows with nothing wrong in them, and no repetition of an earlier one."""
    expiries: tuple[dt.date, ...]
    """Distinct expiries, ascending."""
    wrong: Mapping[str, int] = field(default_factory=dict)
    """What is wrong to number of rows, without zeros; see `check_csv`."""
    empty: Mapping[str, int] = field(default_factory=dict)
    """Column to number of empty cells, only those with some."""
    absent: tuple[str, ...] = ()
    """Columns of `MEASURED` that the file does not have; no row is complete then."""

    @property
    def quality(self) -> float:
        """valid / total, a fraction; 0 for a file without rows."""
        return self.valid / self.total if self.total else 0.0


def check_csv(text: str, where: str = "the text") -> CsvQuality:
    """
    Count what is usable and what is wrong in the CSV file of a chain, whoever wrote it.

    Wrong are ``minus_one`` (a bid or ask of -1, the gateway's word for no quote), ``bid`` and
    ``ask`` (another negative, or no number), ``crossed`` (bid above ask), ``strike`` (not a
    positive number), ``expiry``, ``type``, ``delta`` (outside [-1, 1]), ``number`` (any other
    column of `MEASURED` that is no number), ``duplicate`` (expiry, strike and type were there
    before) and ``damaged`` (more or fewer cells than the header).

    Raises:
        BadFile: The text is not CSV, or lacks expiry, type or strike; *where* begins the message.
    """
    rows = table_rows(where, text)
    _, header = next(rows)
    tally = _Tally()
    for _, row in rows:
        tally.count(header, row)
    return tally.result(tuple(name for name in MEASURED if name not in header))


def check_file(path: Path | str) -> CsvQuality:
    """
    As `check_csv`, for a file.

    Raises:
        BadFile: It cannot be read, or is not text or not an option chain.
    """
    return check_csv(read_chain_text(Path(path)), str(path))


class _Tally:
    """Counts, row by row."""

    def __init__(self) -> None:
        self.total = self.complete = self.valid = 0
        self.expiries: set[dt.date] = set()
        self.wrong: Counter[str] = Counter()
        self.empty: Counter[str] = Counter()
        self.contracts: set[tuple[str, float, str]] = set()

    def count(self, header: list[str], row: list[str]) -> None:
        """Take one row."""
        self.total += 1
        if len(row) != len(header):
            self.wrong["damaged"] += 1
            return
        cells = {name: _text(cell) for name, cell in zip(header, row, strict=True)}
        blank = [name for name in (*_KEY, *MEASURED) if not cells.get(name)]
        faults = {fault for name in MEASURED if (fault := _fault(name, cells.get(name, "")))}
        faults |= self._faults_of_contract(cells)
        bid, ask = _number(cells.get("bid", "")), _number(cells.get("ask", ""))
        if bid is not None and ask is not None and bid > ask >= 0.0:
            faults.add("crossed")
        self.empty.update(name for name in blank if name in cells)
        self.wrong.update(faults)
        self.complete += not blank
        self.valid += not blank and not faults

    def _faults_of_contract(self, cells: Mapping[str, str]) -> set[str]:
        faults = set()
        try:
            expiry = dates.parse_expiry(cells["expiry"]) if cells["expiry"] else None
        except (DataError, ValueError):
            expiry = None
            faults.add("expiry")
        strike, right = _number(cells["strike"]), cells["right"].upper()
        if cells["strike"] and (strike is None or strike <= 0.0):
            faults.add("strike")
        if right and right not in _RIGHTS:
            faults.add("type")
        if expiry is not None:
            self.expiries.add(expiry)
            key = (expiry.isoformat(), strike or math.nan, right[:1])
            if key in self.contracts:
                faults.add("duplicate")
            self.contracts.add(key)
        return faults

    def result(self, absent: tuple[str, ...]) -> CsvQuality:
        """What was counted."""
        return CsvQuality(
            total=self.total,
            complete=self.complete,
            valid=self.valid,
            expiries=tuple(sorted(self.expiries)),
            wrong=dict(sorted(self.wrong.items())),
            empty={name: self.empty[name] for name in (*_KEY, *MEASURED) if self.empty[name]},
            absent=absent,
        )


def _fault(name: str, text: str) -> str:
    """What is wrong with one cell, empty where nothing is."""
    if not text:
        return ""
    value = _number(text)
    if name in ("bid", "ask"):
        if value == -1.0:
            return "minus_one"
        return name if value is None or value < 0.0 else ""
    if name == "delta":
        return "delta" if value is None or abs(value) > 1.0 else ""
    return "number" if value is None else ""


def _text(cell: str) -> str:
    plain = cell.strip()
    return "" if plain.lower() in ABSENT else plain


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
