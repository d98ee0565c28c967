"""
Calendars of earnings and dividends as they are downloaded, each row an event or a reason.

Recognised by their columns, or by the names in their JSON: a table of one's own (symbol, date),
Alpha Vantage, EODHD, Finnhub, Nasdaq, yfinance. What a row says beyond symbol and day is not read.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomic import outside
from tomic.errors import BadFile, InvalidSymbol
from tomic.models import normalize_symbol
from tomic.store.calendar import Dividend, Earnings

KINDS = (
    "the original's volatility.db, daily surfaces (CSV with symbol, date, close, atm_iv, skew and "
    "term_m1_m2, or iv_daily_summary), "
    "a calendar of earnings (CSV with symbol and date, or as Alpha "
    "Vantage, EODHD, Finnhub, Nasdaq and yfinance give it) or a CSV of dividends "
    "(symbol, ex_date, amount)"
)

_SYMBOL = ("symbol", "ticker", "symbool", "code")
_AMOUNT = ("amount", "dividend", "dividend_amount", "cash_amount")
_EX_DATE = ("ex_date", "exdate", "ex_dividend_date", "ex_div_date", "date", "day")
_REPORT = (
    "reportdate", "report_date", "earnings_date", "earnings", "next_earnings", "event_start_date",
    "startdatetime", "date", "day",
)  # fmt: skip
"""The first that is there: EODHD and Alpha Vantage have the end of the quarter beside it."""
_NO_DATE = ("", "-", "--", "n/a", "na", "nan", "nat", "none", "null", "tbd", "tba", "0000-00-00")
_YEARS = (1900, 2199)
"""Others stand for a day that is not known."""
_WRITTEN = ("%b %d, %Y", "%B %d, %Y", "%a, %b %d, %Y", "%d %b %Y", "%d-%b-%Y")
"""Days with a month in letters, which cannot be mistaken for one another."""
_ROWS = ("earningsCalendar", "earnings", "rows")
"""Under which name Finnhub, EODHD and Nasdaq have their rows."""


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """What a calendar holds."""

    events: tuple[Earnings, ...] | tuple[Dividend, ...]
    left_out: tuple[str, ...] = ()
    """Each row that says nothing usable: where it stands, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    symbol: str
    day: str
    amount: str | None = None
    """None in a calendar of earnings."""


def parse(path: Path, content: bytes) -> CalendarFile:
    """
    Read a calendar; separators ``,``, ``;`` and tab, dates ISO, 20260115 or with a month's name.

    A row that cannot be read is left out and named.

    Raises:
        BadFile: Not such a file, or no row of it can be read; the first fault is named.
    """
    try:
        # Excel of the Mac ends lines with \r alone.
        text = re.sub(r"\r\n?", "\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8; it can be {KINDS}") from exc
    rows = list(_json_rows(path, text) if text.lstrip()[:1] in ("{", "[") else _rows(path, text))
    if not rows:
        raise BadFile(f"{path}: no rows in it")
    events: list[Any] = []
    left_out = []
    for row in rows:
        try:
            events.append(_event(row))
        except (InvalidSymbol, ValueError) as exc:
            left_out.append(f"{row.where}: {exc!s:.200}")
    if not events:
        raise BadFile(left_out[0])
    return CalendarFile(tuple(events), tuple(left_out))


def _rows(path: Path, text: str) -> Iterator[_Row]:
    head = text.partition("\n")[0]
    reader = csv.reader(outside.table_lines(text), delimiter=max(",;\t", key=head.count))
    try:
        rows = list(reader)
    except csv.Error as exc:
        raise BadFile(f"{path}:{reader.line_num}: no CSV ({exc})") from exc
    names = [_name(cell) for cell in rows[0]] if rows else []
    symbol, amount = _place(names, _SYMBOL), _place(names, _AMOUNT)
    day = _place(names, _EX_DATE if amount is not None else _REPORT)
    alone = _symbol_of(path) if symbol is None and "earnings_date" in names else ""
    if day is None or (symbol is None and not alone):
        begins = f', it begins "{head:.60}"' if head.strip() else ""
        raise BadFile(f"{path}: columns not recognised{begins}; it can be {KINDS}")
    for number, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            yield _Row(
                f"{path}:{number}",
                alone if symbol is None else _cell(row, symbol),
                _cell(row, day),
                None if amount is None else _cell(row, amount),
            )


def _name(cell: str) -> str:
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _cell(row: Sequence[str], place: int) -> str:
    # A row that ends early is left out, by a cell that nobody can write.
    return row[place] if place < len(row) else "\0"


def _symbol_of(path: Path) -> str:
    """What a table of yfinance is of, which only its name can tell: ``AAPL.csv``."""
    return re.split(r"[_ ]", path.stem)[0]


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadFile(f"{path}: no JSON ({exc}); it can be {KINDS}") from exc
    found = _objects(document)
    if found is None:
        raise BadFile(_no_calendar(path, document))
    day = _day_of(document, path)
    for number, row in enumerate(found, start=1):
        fields = {_name(str(name)): value for name, value in row.items()}
        symbol = next(fields[name] for name in _SYMBOL if name in fields)
        when = next((fields[name] or "" for name in _REPORT if name in fields), day)
        if when is None:
            raise BadFile(
                f"{path}: its rows have no date; name the file by its day, nasdaq-2026-01-28.json"
            )
        yield _Row(f"{path}, row {number}", str(symbol), str(when))


def _objects(document: Any) -> list[Mapping[str, Any]] | None:
    """The rows of a calendar in JSON; None where it is no calendar."""
    needed: tuple[Sequence[str], ...]
    if isinstance(document, Mapping):
        inner = document.get("data")
        holder = inner if isinstance(inner, Mapping) else document
        name = next((name for name in _ROWS if name in holder), None)
        # Of a day on which nobody reports Nasdaq says null.
        document = (holder[name] or []) if name is not None else None
        needed = (_SYMBOL,)
    else:
        needed = (_SYMBOL, _REPORT)
    if not isinstance(document, list):
        return None
    for row in document:
        if not isinstance(row, Mapping):
            return None
        names = {_name(str(name)) for name in row}
        if any(names.isdisjoint(one_of) for one_of in needed):
            return None
    return document


def _day_of(document: Any, path: Path) -> str | None:
    """The day that a whole calendar of Nasdaq is of, by what it says or how it is called."""
    inner = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    if inner.get("asOf"):
        return str(inner["asOf"])
    match = re.search(r"\d{4}-\d\d-\d\d", path.name)
    return match[0] if match else None


def _no_calendar(path: Path, document: Any) -> str:
    """What is wrong; a service past its quota answers with a sentence instead of rows."""
    if isinstance(document, Mapping):
        for name in ("Information", "Note", "Error Message", "message", "error"):
            if isinstance(document.get(name), str):
                return f"{path}: no calendar, but a message: {document[name]:.200}"
    return (
        f"{path}: JSON; a journal is imported with tomic journal import {path.name}, "
        f"here it can be {KINDS}"
    )


def _event(row: _Row) -> Earnings | Dividend:
    """
    The event of a row.

    Raises:
        InvalidSymbol, ValueError: It says none.
    """
    if "\0" in (row.symbol, row.day, row.amount):
        raise ValueError("fewer columns than the header")
    symbol, day = _share(row.symbol), _day(row.day)
    if row.amount is None:
        return Earnings(symbol, day, "csv")
    value = float(row.amount.strip().replace(",", "."))
    if not math.isfinite(value) or value < 0.0:
        raise ValueError(f"an amount must be >= 0, got {row.amount}")
    return Dividend(symbol, day, value, "csv")


def _share(text: str) -> str:
    """The symbol, without the country that EODHD adds, its class after a dot."""
    name = text.strip().upper().removesuffix(".US")
    return normalize_symbol(re.sub(r"(?<=[A-Z])[-/](?=[A-Z]$)", ".", name))


def _day(text: str) -> dt.date:
    written = text.strip()
    if written.lower() in _NO_DATE:
        raise ValueError("no date")
    day = next((day for day in _readings(written) if day is not None), None)
    if day is None:
        day = dt.date.fromisoformat(written[:10])
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise ValueError(f"{day} cannot be the day of an event")
    return day


def _readings(text: str) -> Iterable[dt.date | None]:
    for form in _WRITTEN:
        try:
            yield dt.datetime.strptime(text, form).date()
        except ValueError:
            yield None
