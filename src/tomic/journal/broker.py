"""
Trades in the CSV files of Interactive Brokers: activity statements and Flex queries.

An activity statement is recognised by its section ``Trades``, a Flex query by its columns. Read
are

- activity: DataDiscriminator, Asset Category, Symbol, Date/Time, Quantity, T. Price, Comm/Fee and
  Code;
- Flex: AssetClass, UnderlyingSymbol or Symbol, Expiry, Strike, Put/Call, Multiplier, Conid,
  DateTime (or TradeDate and TradeTime), Quantity, TradePrice, IBCommission, IBExecID or TradeID,
  IBOrderID, Open/CloseIndicator, Notes/Codes, TransactionType and LevelOfDetail.

Times are those of New York, as the statements say. Currencies, futures and anything else that is
neither a stock nor an option of one is counted and left out. A row that is not an execution is
returned unchanged, with the reason; it costs no other row.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from pydantic import ValidationError

from tomic import dates
from tomic.errors import BadFile, InvalidSymbol, TomicError
from tomic.journal.executions import Executed, fault, numbered
from tomic.models import normalize_symbol
from tomic.models.documents import first_fault
from tomic.models.journal import Action, CashFlow, Contract, ContractChange

COLUMNS = (
    "an activity statement (section Trades) or a Flex query of trades with Symbol, DateTime, "
    "Quantity and TradePrice"
)

_OPTION = re.compile(
    r"(\S+(?:\s\S+)?)\s+(\d{1,2}[A-Z]{3}\d{2})\s+(\d+(?:\.\d+)?)\s+([CP])", re.ASCII
)
_LISTED = re.compile(r"\s*\d{6}[CP]\d{8}$", re.ASCII)
"""End of the symbol of a listed option: expiry, right and strike."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TIME = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[,;T ]+(\d{1,2}):?(\d{2}):?(\d{2})?)?", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"([-+]?\d{1,3}(?:,\d{3})+)(\.\d*)?", re.ASCII)
_LINES = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row as it stands in its file."""

    line: int
    columns: str
    """The line that names its columns: both together can be read again."""
    text: str
    reason: str = ""
    """Why it is not an execution; empty where it is one."""


@dataclass(frozen=True, slots=True)
class BrokerFile:
    """What a file holds."""

    kind: str
    executions: tuple[Executed, ...]
    left_out: int
    """Rows of other kinds of assets."""
    odd: tuple[FileRow, ...] = ()
    """Rows that are not executions."""
    rows: tuple[FileRow, ...] = ()
    """The row of each execution."""
    other_levels: Mapping[str, int] = field(default_factory=dict)
    """Rows that repeat others, in parts or in sum, by their level of detail."""
    cash_flows: tuple[CashFlow, ...] = ()
    contract_changes: tuple[ContractChange, ...] = ()


class _Line(NamedTuple):
    """One line of a file, and the line that names its columns."""

    number: int
    text: str
    row: list[str]
    heading: str


class _Refused(ValueError):
    """A row cannot be an execution."""


def parse(name: str, text: str) -> BrokerFile:
    """
    Read the executions of a broker's CSV; *name* is put in front of what is wrong.

    Raises:
        BadFile: No such file.
    """
    lines = _LINES.split(text.lstrip("\ufeff"))
    separator = max(",;\t", key=lines[0].count)
    rows = list(_rows(lines, separator))
    if any(line.row[:2] == ["Trades", "Header"] for line in rows):
        return _read("IB activity statement", _activity(rows, separator))
    columns = _places(rows[0].row) if rows else {}
    if not {"symbol", "quantity", "tradeprice"} <= columns.keys():
        raise BadFile(f"{name}: no trades in it; it can be {COLUMNS}")
    return _read("IB Flex query", _flex(rows, columns, separator))


def _rows(lines: Sequence[str], separator: str) -> Iterator[_Line]:
    """Line by line, so that an odd quotation mark costs its own line and no other."""
    heading = lines[0]
    for number, text in enumerate(lines, start=1):
        try:
            row = next(csv.reader([text], delimiter=separator), [])
        except csv.Error:
            # A cell beyond the reader's limit; without its quotation marks it is still a row.
            row = [cell.strip('"') for cell in text.split(separator)]
        if row[:2] == ["Trades", "Header"]:
            heading = text
        yield _Line(number, text, row, heading)


@dataclass(slots=True)
class _Found:
    """A row of a stock or an option, and how it is read."""

    line: _Line
    level: str
    read: Callable[[], Executed] | None
    """None for a row of another kind of asset."""


def _read(kind: str, rows: Iterable[_Found]) -> BrokerFile:
    """
    Executions of one level of detail: of orders and their parts only one may count.

    The levels are in order of preference: see `_LEVELS`.
    """
    kept = list(rows)
    levels = {line.level for line in kept if line.read is not None}
    level = next((level for level in _LEVELS[kind] if level in levels), None)
    executions, places = [], []
    odd: list[FileRow] = []
    others: Counter[str] = Counter()
    left_out = 0
    for line in kept:
        if line.level not in (level, ""):
            others[line.level] += line.read is not None
        elif line.read is None:
            left_out += 1
        else:
            try:
                executions.append(_sound(line.read()))
                places.append(_row(line.line))
            except ValidationError as exc:
                odd.append(_row(line.line, first_fault(exc)))
            # Whatever a row says, it is kept with its reason and the others are read.
            except (TomicError, ValueError, ArithmeticError) as exc:
                odd.append(_row(line.line, str(exc)))
    return BrokerFile(
        kind, tuple(numbered(executions)), left_out, tuple(odd), tuple(places), dict(+others)
    )


_LEVELS = {
    # Below each order its executions may be listed again.
    "IB activity statement": ("Order", "Trade"),
    "IB Flex query": ("EXECUTION", "ORDER"),
}


def _row(line: _Line, reason: str = "") -> FileRow:
    return FileRow(line.number, line.heading, line.text, reason)


def _sound(execution: Executed) -> Executed:
    if reason := fault(execution):
        raise _Refused(reason)
    return execution


# -- activity statement ------------------------------------------------------------------------


def _activity(rows: Sequence[_Line], separator: str) -> Iterator[_Found]:
    columns: dict[str, int] = {}
    for line in rows:
        row = line.row
        if row[:1] != ["Trades"] or len(row) < 3:
            continue
        if row[1] == "Header":
            columns = _places(row)
            continue
        if row[1] != "Data":
            continue
        cells = _Cells(row, columns, separator)
        # The company that holds them may be named behind: "Stocks - Held with …".
        category = cells.text("assetcategory").partition(" - ")[0].strip()
        read = None
        if category in ("Stocks", "Equity and Index Options"):
            read = partial(_activity_row, cells, is_option=category != "Stocks")
        yield _Found(line, cells.text("datadiscriminator"), read)


def _activity_row(cells: _Cells, *, is_option: bool) -> Executed:
    symbol, contract = cells.text("symbol"), Contract(multiplier=1)
    if is_option:
        match = _OPTION.fullmatch(symbol.upper())
        if match is None:
            raise _Refused(f"{_short(symbol)!r} is no option such as SPY 20JUN25 560 P")
        symbol, day, strike, right = match.groups()
        contract = _contract(_worded_day(day), float(strike), right, 100, None)
    fee = cells.number("commfee", None)
    codes = _marks(cells.text("code"))
    quantity = cells.required("quantity")
    return Executed(
        exec_id="",
        at=cells.moment("datetime"),
        symbol=_symbol(symbol),
        contract=contract,
        quantity=quantity,
        price=cells.required("tprice"),
        commission=None if fee is None else -fee,
        action=_action(codes),
        opens=_opens(codes),
        cancels="Ca" in codes,
    )


def _worded_day(text: str) -> dt.date:
    try:
        return dt.date(2000 + int(text[-2:]), _MONTHS.index(text[-5:-2]) + 1, int(text[:-5]))
    except ValueError as exc:
        raise _Refused(f"{_short(text)!r} is no expiry such as 20JUN25") from exc


# -- Flex query --------------------------------------------------------------------------------


def _flex(rows: Sequence[_Line], columns: Mapping[str, int], separator: str) -> Iterator[_Found]:
    for line in rows[1:]:
        cells = _Cells(line.row, columns, separator)
        is_heading = (cells.text("symbol"), cells.text("quantity")) == ("Symbol", "Quantity")
        if is_heading or not any(cell.strip() for cell in line.row):
            continue
        kind = cells.text("assetclass") or ("OPT" if cells.text("putcall") else "STK")
        read = None
        if kind in ("OPT", "STK"):
            read = partial(_flex_row, cells, is_option=kind == "OPT")
        yield _Found(line, cells.text("levelofdetail"), read)


def _flex_row(cells: _Cells, *, is_option: bool) -> Executed:
    con_id = cells.whole("conid", 0) or None
    contract = Contract(multiplier=1, con_id=con_id)
    if is_option:
        contract = _contract(
            dates.parse_expiry(cells.text("expiry")),
            cells.required("strike"),
            cells.text("putcall")[:1].upper(),
            cells.whole("multiplier", 100),
            con_id,
        )
    side, codes = cells.text("buysell").upper(), _marks(cells.text("notescodes"))
    cancels = "(CA" in side or "Ca" in codes or cells.text("transactiontype") == "TradeCancel"
    quantity = cells.required("quantity")
    if side.startswith(("BUY", "SELL")):
        # What a cancelled row takes back has the other sign.
        buys = side.startswith("BUY") is not cancels
        quantity = abs(quantity) if buys else -abs(quantity)
    fee = cells.number("ibcommission", None)
    symbol = cells.text("symbol")
    if is_option:
        symbol = cells.text("underlyingsymbol") or _LISTED.sub("", symbol)
    return Executed(
        exec_id=cells.text("ibexecid") or cells.text("tradeid"),
        at=cells.moment("datetime" if cells.text("datetime") else "tradedate"),
        symbol=_symbol(symbol),
        contract=contract,
        quantity=quantity,
        price=cells.required("tradeprice"),
        commission=None if fee is None else -fee,
        order=cells.text("ibbrorderid") or cells.text("iborderid"),
        action=_action(codes),
        opens=_opens(_marks(cells.text("opencloseindicator")) or codes),
        cancels=cancels,
    )


# -- cells -------------------------------------------------------------------------------------


def _plain(cell: str) -> str:
    return re.sub(r"[^a-z]", "", cell.lower())


def _places(row: Sequence[str]) -> dict[str, int]:
    return {_plain(cell): place for place, cell in enumerate(row)}


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _marks(codes: str) -> set[str]:
    return {mark for mark in re.split(r"[;,\s]+", codes) if mark}


def _action(marks: set[str]) -> Action | None:
    if "Ep" in marks:
        return Action.EXPIRE
    return Action.ASSIGN if marks & {"A", "Ex", "GEA"} else None


def _opens(marks: set[str]) -> bool | None:
    """Whether a row opens (True) or closes (False); None where it does both or nothing is said."""
    return None if ("O" in marks) == ("C" in marks) else "O" in marks


def _symbol(text: str) -> str:
    try:
        return normalize_symbol(text.strip().replace(" ", "."))
    except InvalidSymbol as exc:
        raise _Refused(str(exc)) from exc


def _contract(
    expiry: dt.date, strike: float, right: str, multiplier: int, con_id: int | None
) -> Contract:
    try:
        return Contract.model_validate(
            {
                "expiry": expiry,
                "strike": strike,
                "right": right,
                "multiplier": multiplier,
                "con_id": con_id,
            }
        )
    except ValidationError as exc:
        raise _Refused(f"{strike:g}{right} {expiry} is no option ({first_fault(exc)})") from exc


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row by the plain names of its columns."""

    row: Sequence[str]
    columns: Mapping[str, int]
    separator: str

    def text(self, name: str) -> str:
        place = self.columns.get(name)
        return self.row[place].strip() if place is not None and place < len(self.row) else ""

    def number(self, name: str, default: float | None) -> float | None:
        text = self.text(name)
        if not text:
            return default
        plain = self._plain_number(text)
        if not _NUMBER.fullmatch(plain):
            raise _Refused(f"{name} {_short(text)!r} is no number")
        return float(plain)

    def _plain_number(self, text: str) -> str:
        """Without the commas between thousands; where the columns are not parted by commas, a
        comma alone is the decimal one, as a spreadsheet in much of Europe writes it."""
        if self.separator != "," and text.count(",") == 1 and "." not in text.partition(",")[2]:
            return text.replace(".", "").replace(",", ".")
        match = _GROUPED.fullmatch(text)
        return match[1].replace(",", "") + (match[2] or "") if match else text

    def whole(self, name: str, default: int) -> int:
        value = self.number(name, None)
        if value is None or value == 0.0:
            return default
        if value != value // 1.0:
            raise _Refused(f"{name} {_short(self.text(name))!r} is no whole number")
        return int(value)

    def required(self, name: str) -> float:
        value = self.number(name, None)
        if value is None:
            raise _Refused(f"{name} is missing")
        return value

    def moment(self, name: str) -> dt.datetime:
        text = self.text(name)
        if name == "tradedate" and (time := self.text("tradetime")):
            text = f"{text} {time}"
        match = _TIME.fullmatch(text)
        try:
            if match is not None:
                year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
                return dt.datetime(year, month, day, hour, minute, second, tzinfo=dates.NEW_YORK)
        except ValueError:
            pass
        raise _Refused(f"{_short(text)!r} is no time such as 2025-05-19, 10:31:02")
