"""
Trades in the CSV files of Interactive Brokers: activity statements and Flex queries.

An activity statement is recognised by its section ``Trades``, a Flex query by its columns. Read
are

- activity: DataDiscriminator, Asset Category, Symbol, Date/Time, Quantity, T. Price, Comm/Fee and
  Code;
- Flex: AssetClass, UnderlyingSymbol or Symbol, Expiry, Strike, Put/Call, Multiplier, Conid,
  DateTime (or TradeDate and TradeTime), Quantity, TradePrice, IBCommission, IBExecID or TradeID,
  IBOrderID, Notes/Codes and LevelOfDetail.

Times are those of New York, as the statements say. Currencies, futures and anything else that is
neither a stock nor an option of one is counted and left out.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from tomic import dates
from tomic.errors import BadFile, DataError, InvalidSymbol
from tomic.journal.executions import Executed, with_number
from tomic.models import normalize_symbol
from tomic.models.journal import Action, Contract

COLUMNS = (
    "an activity statement (section Trades) or a Flex query of trades with Symbol, DateTime, "
    "Quantity and TradePrice"
)

_OPTION = re.compile(r"(\S+)\s+(\d{1,2}[A-Z]{3}\d{2})\s+(\d+(?:\.\d+)?)\s+([CP])", re.ASCII)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TIME = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[,;T ]+(\d{1,2}):?(\d{2}):?(\d{2})?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BrokerFile:
    """What a file holds."""

    kind: str
    executions: tuple[Executed, ...]
    left_out: int
    """Rows of other kinds of assets."""


def parse(name: str, text: str) -> BrokerFile:
    """
    Read the executions of a broker's CSV; *name* is put in front of what is wrong.

    Raises:
        BadFile: No such file, with the line at fault.
    """
    head = text.lstrip("\ufeff").partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=separator))
    sections = [row for row in rows if row[:2] == ["Trades", "Header"]]
    if sections:
        return _numbered("IB activity statement", *_activity(name, rows))
    columns = {_plain(cell): place for place, cell in enumerate(rows[0])} if rows else {}
    if not {"symbol", "quantity", "tradeprice"} <= columns.keys():
        raise BadFile(f"{name}: no trades in it; it can be {COLUMNS}")
    return _numbered("IB Flex query", *_flex(name, rows, columns))


def _numbered(kind: str, executions: Sequence[Executed], left_out: int) -> BrokerFile:
    seen: Counter[object] = Counter()
    numbered = []
    for one in executions:
        same = (one.at, one.symbol, one.contract.key, one.quantity, one.price)
        numbered.append(with_number(one, seen[same]))
        seen[same] += 1
    return BrokerFile(kind, tuple(numbered), left_out)


# -- activity statement ------------------------------------------------------------------------


def _activity(name: str, rows: Sequence[Sequence[str]]) -> tuple[list[Executed], int]:
    found: list[Executed] = []
    left_out = 0
    columns: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if row[:1] != ["Trades"] or len(row) < 3:
            continue
        if row[1] == "Header":
            columns = {_plain(cell): place for place, cell in enumerate(row)}
            continue
        cells = _Cells(f"{name}:{number}", row, columns)
        # Below each order its executions may be listed again.
        if row[1] != "Data" or cells.text("datadiscriminator") not in ("Order", ""):
            continue
        category = cells.text("assetcategory")
        if category in ("Stocks", "Equity and Index Options"):
            found.append(_activity_row(cells, is_option=category != "Stocks"))
        else:
            left_out += 1
    return found, left_out


def _activity_row(cells: _Cells, *, is_option: bool) -> Executed:
    symbol, contract = cells.text("symbol"), Contract(multiplier=1)
    if is_option:
        match = _OPTION.fullmatch(symbol.upper())
        if match is None:
            raise BadFile(f"{cells.where}: {symbol!r} is no option such as SPY 20JUN25 560 P")
        symbol, day, strike, right = match.groups()
        contract = cells.contract(_worded_day(cells.where, day), float(strike), right, 100, None)
    fee = cells.number("commfee", None)
    return Executed(
        exec_id="",
        at=cells.moment("datetime"),
        symbol=cells.symbol(symbol),
        contract=contract,
        quantity=cells.required("quantity"),
        price=cells.required("tprice"),
        commission=None if fee is None else -fee,
        action=_action(cells.text("code")),
    )


def _worded_day(where: str, text: str) -> dt.date:
    try:
        return dt.date(2000 + int(text[-2:]), _MONTHS.index(text[-5:-2]) + 1, int(text[:-5]))
    except ValueError as exc:
        raise BadFile(f"{where}: {text!r} is no expiry such as 20JUN25") from exc


# -- Flex query --------------------------------------------------------------------------------


def _flex(
    name: str, rows: Sequence[Sequence[str]], columns: Mapping[str, int]
) -> tuple[list[Executed], int]:
    found: list[Executed] = []
    left_out = 0
    for number, row in enumerate(rows[1:], start=2):
        cells = _Cells(f"{name}:{number}", row, columns)
        if not any(cell.strip() for cell in row) or cells.text("symbol") in ("", "Symbol"):
            continue
        if cells.text("levelofdetail") not in ("", "EXECUTION"):
            continue
        kind = cells.text("assetclass") or ("OPT" if cells.text("putcall") else "STK")
        if kind in ("OPT", "STK"):
            found.append(_flex_row(cells, is_option=kind == "OPT"))
        else:
            left_out += 1
    return found, left_out


def _flex_row(cells: _Cells, *, is_option: bool) -> Executed:
    con_id = int(cells.number("conid", 0.0) or 0) or None
    contract = Contract(multiplier=1, con_id=con_id)
    if is_option:
        contract = cells.contract(
            dates.parse_expiry(cells.text("expiry")),
            cells.required("strike"),
            cells.text("putcall")[:1].upper(),
            int(cells.number("multiplier", 100.0) or 100),
            con_id,
        )
    quantity = cells.required("quantity")
    side = cells.text("buysell").upper()
    if side.startswith(("BUY", "SELL")):
        quantity = abs(quantity) if side.startswith("BUY") else -abs(quantity)
    fee = cells.number("ibcommission", None)
    name = cells.text("underlyingsymbol") if is_option else ""
    return Executed(
        exec_id=cells.text("ibexecid") or cells.text("tradeid"),
        at=cells.moment("datetime" if cells.text("datetime") else "tradedate"),
        symbol=cells.symbol(name or cells.text("symbol").split()[0]),
        contract=contract,
        quantity=quantity,
        price=cells.required("tradeprice"),
        commission=None if fee is None else -fee,
        order=cells.text("ibbrorderid") or cells.text("iborderid"),
        action=_action(cells.text("notescodes")),
    )


# -- cells -------------------------------------------------------------------------------------


def _plain(cell: str) -> str:
    return re.sub(r"[^a-z]", "", cell.lower())


def _action(codes: str) -> Action | None:
    marks = set(re.split(r"[;,\s]+", codes))
    if "Ep" in marks:
        return Action.EXPIRE
    return Action.ASSIGN if marks & {"A", "Ex", "GEA"} else None


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row by the plain names of its columns."""

    where: str
    row: Sequence[str]
    columns: Mapping[str, int]

    def text(self, name: str) -> str:
        place = self.columns.get(name)
        return self.row[place].strip() if place is not None and place < len(self.row) else ""

    def number(self, name: str, default: float | None) -> float | None:
        text = self.text(name)
        if not text:
            return default
        try:
            return float(text.replace(",", ""))
        except ValueError as exc:
            raise BadFile(f"{self.where}: {name} {text!r} is no number") from exc

    def required(self, name: str) -> float:
        value = self.number(name, None)
        if value is None:
            raise BadFile(f"{self.where}: {name} is missing")
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
        raise BadFile(f"{self.where}: {text!r} is no time such as 2025-05-19, 10:31:02")

    def symbol(self, text: str) -> str:
        try:
            return normalize_symbol(text.replace(" ", "."))
        except InvalidSymbol as exc:
            raise BadFile(f"{self.where}: {exc}") from exc

    def contract(
        self, expiry: dt.date, strike: float, right: str, multiplier: int, con_id: int | None
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
        except (ValidationError, DataError) as exc:
            raise BadFile(f"{self.where}: {strike:g}{right} {expiry} is no option") from exc
