"""
Flex queries of Interactive Brokers: their rows, whatever file they stand in.

A row is known by its columns, not by the name of its section: trades (of an activity query or of
trade confirmations), exercises and expiries (OptionEAE), bookings of cash, corporate actions,
transfers, and descriptions of instruments. Columns of CSV and attributes of XML have nearly the
same names; both are read by the plain ones.

Executions count where there are any, orders where there are none. A row of OptionEAE repeats one
of the trades with the same tradeID; where there is none it counts itself. The settlement of an
option in cash stands there only. Times without a zone are New York's.

Source: PyPI ibflex 1.1; Interactive Brokers, "Flex Web Service" and "Reporting Reference".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from tomic import dates
from tomic.journal.broker import activity, cells
from tomic.journal.broker.cells import Cells, Habits, Refused
from tomic.journal.broker.rows import (
    EVENING,
    BrokerFile,
    FileRow,
    Reader,
    Reported,
    Stored,
    drained,
    on_future,
)
from tomic.journal.executions import Executed, Source
from tomic.models.journal import Action, CashFlow, CashKind, ChangeKind, Contract, ContractChange

KIND = "IB Flex query"
_LEVELS = ("EXECUTION", "ORDER")
LEVEL_OF_TAG = {
    "Lot": "CLOSED_LOT", "Order": "ORDER", "SymbolSummary": "SYMBOL_SUMMARY",
    "AssetSummary": "ASSET_SUMMARY", "WashSale": "WASH_SALE",
}  # fmt: skip
"""Elements among the trades that are not executions, with the level that they are of."""

# The first name is that of messages; the others are those of CSV, XML and trade confirmations.
ACCOUNT = ("clientaccountid", "accountid", "account")
CURRENCY = ("currencyprimary", "currency")
ASSET = ("assetclass", "assetcategory")
QUANTITY = ("quantity",)
PRICE = ("tradeprice", "price")
COMMISSION = ("ibcommission", "commission", "commtax", "commisionsandtax", "commissionsandtax")
COMMISSION_CURRENCY = ("ibcommissioncurrency", "commissioncurrency")
CODES = ("notescodes", "notes", "codes", "code")
MOMENT = ("datetime", "tradedatetime")
TRADE_DAY = ("tradedate", "date", "reportdate")
TRADE_TIME = ("tradetime",)
EXEC_ID = ("ibexecid", "execid")
ORDER = ("ibbrorderid", "iborderid", "orderid")
LEVEL = ("levelofdetail",)
KINDS = ("transactiontype", "type")
IDS = (*EXEC_ID, "tradeid", "transactionid")
_NUMBERS = (*QUANTITY, *PRICE, *COMMISSION, "proceeds", "strike", "amount")
_DAYS = (*MOMENT, *TRADE_DAY, "expiry", "settledatetarget", "settledate", "orderplacementtime")

_TRADES = frozenset({"trades", "tradeconfirms"})
_EXERCISES = frozenset({"assignment", "exercise", "expiration", "buy", "sell", "cash settlement"})
"""Kinds of rows of OptionEAE."""
_ENDS: Mapping[str, Action] = {
    "assignment": Action.ASSIGN, "exercise": Action.ASSIGN, "expiration": Action.EXPIRE,
    "buy": Action.ASSIGN, "sell": Action.ASSIGN,
}  # fmt: skip
_CASH: tuple[tuple[str, CashKind], ...] = (
    ("payment in lieu", CashKind.IN_LIEU),
    ("withholding", CashKind.WITHHOLDING),
    ("dividend", CashKind.DIVIDEND),
    ("interest", CashKind.INTEREST),
    ("cash settlement", CashKind.SETTLEMENT),
    ("fee", CashKind.FEE),
    ("commission", CashKind.FEE),
)
"""Beginnings and parts of the types of bookings."""
_CHANGES: Mapping[str, ChangeKind] = {
    "FS": ChangeKind.SPLIT, "RS": ChangeKind.SPLIT, "SD": ChangeKind.SPLIT,
    "HD": ChangeKind.SPLIT, "IC": ChangeKind.SYMBOL, "CS": ChangeKind.SPLIT,
}  # fmt: skip
_STANDARD = 100
_NEAR = dt.timedelta(days=5)
"""Holidays and all, no further apart are the last day of trading and that of settlement."""


@dataclass(slots=True)
class Row:
    """A row of any section, with its place in the file."""

    own: Cells
    place: Callable[[str], FileRow]
    """The row as it is kept, with a reason."""
    section: str = ""
    """Name or code of its section; empty where the file has none."""
    account: str = ""
    """Of the block that it stands in."""
    level: str = ""
    """Where its element tells it."""

    def by(self, habits: Habits) -> Row:
        """The same row, read as its file writes."""
        own = Cells(self.own.row, self.own.columns, habits)
        return Row(own, self.place, self.section, self.account, self.level)


def plain(label: str) -> str:
    """A column or attribute without case, blanks and signs."""
    return "".join(letter for letter in label.lower() if letter.isalnum())


def is_heading(names: Iterable[str]) -> bool:
    """Whether these are the names of columns, of any section."""
    return len(set(names) & _HEADINGS) >= 2


_HEADINGS = frozenset(
    {
        *ACCOUNT, *CURRENCY, *ASSET, *QUANTITY, *PRICE, *MOMENT, *TRADE_DAY, *KINDS, "symbol",
        "conid", "description", "amount", "putcall", "multiplier", "strike", "expiry",
    }
)  # fmt: skip


@dataclass(slots=True)
class _Instruments:
    """What SecuritiesInfo and the trades themselves tell of contracts."""

    told: dict[str, int] = field(default_factory=dict)
    """By contract id, and by symbol."""
    multipliers: activity.Multipliers = field(default_factory=activity.Multipliers)


def read(
    rows: Iterable[Row],
    separator: str,
    *,
    kind: str = KIND,
    notes: Iterable[str] = (),
    stored: Mapping[str, Stored] | None = None,
) -> BrokerFile:
    """
    What the rows hold.

    Args:
        separator: Between the columns of a CSV; empty for XML.
        notes: What the file itself said.
        stored: Executions that are known: a row that tells nothing else is not read.
    """
    given = list(rows)
    habits = _habits(given, separator)
    if habits != Habits():
        given = [row.by(habits) for row in given]
    reader = Reader(_LEVELS, stored)
    reader.notes.update(dict.fromkeys(notes))
    instruments = _Instruments()
    by_kind: dict[str, list[Row]] = {}
    for row in given:
        by_kind.setdefault(_kind(row), []).append(row)
    given.clear()
    for row in by_kind.pop("instrument", ()):
        _learn(row.own, instruments)
    trades = by_kind.pop("trade", [])
    _learn_from_proceeds(trades, instruments)
    reader.take(_reported(row, instruments, reader) for row in drained(trades))
    _exercises(by_kind.pop("exercise", []), instruments, reader)
    for row in by_kind.pop("cash", ()):
        if row.own.text(*LEVEL).upper() == "SUMMARY":
            reader.levels["SUMMARY"] += 1
        else:
            _keep(reader, row, partial(_cash, row))
    for row in by_kind.pop("change", ()):
        change = reader.attempt(partial(_change, row), row.place)
        if change is not None:
            reader.changes.append(change)
    for name, others in by_kind.items():
        reader.others[name] += len(others)
    return reader.file(kind)


def _habits(rows: Iterable[Row], separator: str) -> Habits:
    numbers: dict[str, None] = {}
    days: dict[str, None] = {}
    listed: dict[tuple[str, str], None] = {}
    columns: Mapping[str, int] = {}
    named: list[str] = []
    for row in rows:
        own = row.own
        if separator not in (",", ""):
            numbers.update(dict.fromkeys(own.text(name) for name in _NUMBERS))
        if own.columns is not columns:
            columns = own.columns
            named = [name for name in _DAYS if name in columns]
        for name in named:
            if (text := own.text(name)) and not text.isdecimal() and ("/" in text or "-" in text):
                days[text] = None
        if (expiry := own.text("expiry")) and not expiry.isdecimal():
            listed[own.text("symbol"), expiry] = None
    return Habits.of(separator=separator, numbers=numbers, days=days, listed=listed)


def _kind(row: Row) -> str:
    """Trade, exercise, cash, change, instrument, or the name of its section."""
    own, columns = row.own, row.own.columns
    kind = own.text(*KINDS).lower()
    has_price = any(name in columns for name in PRICE)
    if row.section.lower() in ("openpositions", "post"):
        return row.section
    if kind in _EXERCISES and "buysell" not in columns:
        return "exercise"
    if "actiondescription" in columns or row.section.lower() == "corporateactions":
        return "change"
    if (
        "quantity" in columns
        and has_price
        and (any(name in columns for name in (*MOMENT, *TRADE_DAY)) or row.level)
    ):
        return "trade"
    if row.level or row.section.lower() in _TRADES:
        return "trade"
    if "amount" in columns and "type" in columns and "quantity" not in columns:
        return "cash"
    if own.text("type") in _CHANGES and "quantity" in columns:
        return "change"
    if "conid" in columns and "multiplier" in columns and "quantity" not in columns:
        return "instrument"
    return row.section or "other sections"


# -- trades --------------------------------------------------------------------------------------


def _reported(row: Row, instruments: _Instruments, reader: Reader) -> Reported:
    own = row.own
    asset = _asset(own)
    account = _account(row)
    read_row: Callable[[], Executed | None] | None = on_future if asset == "FOP" else None
    if asset in ("OPT", "STK"):
        read_row = partial(_trade, row, account, instruments, reader, is_option=asset == "OPT")
    group = (account, asset, own.text("conid") or own.text("symbol"))
    return Reported(row.place, _level(row), group, read_row, asset)


def _level(row: Row) -> str:
    """Its level of detail; without such a column what it is numbered by tells an execution."""
    own = row.own
    level = own.text(*LEVEL).upper() or row.level
    if level or not any(name in own.columns for name in IDS):
        return level
    return "EXECUTION" if own.text(*IDS) else "ORDER" if own.text(*ORDER) else ""


def _asset(own: Cells) -> str:
    asset = own.text(*ASSET).upper()
    if asset:
        return asset
    symbol = own.text("symbol")
    if own.text("putcall") or cells.option_name(symbol) is not None:
        return "OPT"
    is_pair = len(symbol) == 7 and symbol[3] == "." and symbol.replace(".", "").isalpha()
    return "CASH" if is_pair else "STK"


def _account(row: Row) -> str:
    return activity.account_of(row.own.text(*ACCOUNT)) or row.account


def _trade(
    row: Row, account: str, instruments: _Instruments, reader: Reader, *, is_option: bool
) -> Executed | None:
    """What a row of the trades tells; None where all of it is stored already."""
    own = row.own
    codes = cells.marks(own.text(*CODES))
    kind, action = own.text("transactiontype"), cells.action(codes)
    quantity, cancels = _quantity(own, codes, kind)
    number = own.text(*EXEC_ID)
    known = reader.stored.get(number) if action is None and not cancels else None
    if known is not None and _tells_nothing_new(own, known, account, quantity):
        reader.recognise(number)
        return None
    contract, symbol, told = _contract(own, instruments, reader, is_option=is_option)
    price = own.required(*PRICE)
    activity.check_proceeds(quantity, price, told, own.number("proceeds"))
    currency = own.text(*CURRENCY)
    opens = cells.opens(cells.marks(own.text("opencloseindicator")) or codes)
    return Executed(
        exec_id=number,
        at=_moment(own, action),
        symbol=symbol,
        contract=contract,
        quantity=quantity,
        price=price,
        commission=_commission(own, currency, reader),
        # A booking is no order: its number there is that of the transaction.
        order="" if kind == "BookTrade" else own.text(*ORDER),
        action=action,
        opens=opens,
        cancels=cancels,
        account=account,
        currency=currency,
        lacks_multiplier=told is None,
        trade_id=own.text("tradeid"),
        transaction_id=own.text("transactionid"),
        corrects=_originals(own),
        source=Source.FLEX,
    )


def _quantity(own: Cells, codes: frozenset[str], kind: str) -> tuple[float, bool]:
    """Signed, and whether the row takes an earlier execution back."""
    side, quantity = own.text("buysell").upper(), own.required(*QUANTITY)
    cancels = "(CA" in side or "Ca" in codes or kind == "TradeCancel"
    if side.startswith(("BUY", "SELL")):
        # What a cancelled row takes back has the other sign.
        buys = side.startswith("BUY") is not cancels
        quantity = abs(quantity) if buys else -abs(quantity)
    return quantity, cancels


def _originals(own: Cells) -> tuple[str, ...]:
    """Numbers of what a row takes back or replaces."""
    numbers = (own.text("origtransactionid"), own.text("origtradeid"))
    return tuple(number for number in numbers if number and number != "0")


_TELLING: Mapping[str, tuple[str, ...]] = {
    "order": ORDER, "opens": ("opencloseindicator", *CODES), "account": ACCOUNT,
    "currency": CURRENCY, "trade_id": ("tradeid",), "transaction_id": ("transactionid",),
    "commission": COMMISSION,
}  # fmt: skip
"""Columns that tell what a stored execution may lack."""


def _tells_nothing_new(own: Cells, known: Stored, account: str, quantity: float) -> bool:
    return (
        (known.con_id, known.quantity) == (own.whole("conid"), quantity)
        and known.price == own.number(*PRICE)
        and account in ("", known.account)
        and not any(own.text(*_TELLING[name]) for name in known.lacks)
        and not _originals(own)
    )


def _contract(
    own: Cells, instruments: _Instruments, reader: Reader, *, is_option: bool
) -> tuple[Contract, str, int | None]:
    """The contract, its underlying, and its multiplier where the file tells one."""
    con_id = own.whole("conid")
    symbol = own.text("symbol")
    if not is_option:
        return cells.contract(None, None, None, 1, con_id, ""), cells.symbol(symbol), 1
    name = cells.option_name(symbol) or cells.option_name(own.text("description"))
    right = own.text("putcall")[:1].upper() or (name.right if name else "")
    strike = own.number("strike")
    if strike is None:
        strike = name.strike if name else own.required("strike")
    expiry = _expiry(own, name)
    told = _multiplier(own, name, symbol, instruments, reader)
    root = name.underlying if name else symbol
    return (
        cells.contract(
            expiry, strike, right, told or 1, con_id, name.trading_class if name else ""
        ),
        cells.symbol(own.text("underlyingsymbol") or root),
        told,
    )


def _expiry(own: Cells, name: cells.OptionName | None) -> dt.date:
    """The last day of trading; a query may tell it, or the day of settlement."""
    text = own.text("expiry")
    if text:
        try:
            day = own.habits.day(text)
        except Refused as exc:
            reason = str(exc).replace("is no time such as 2025-05-19, 10:31:02", "is not an expiry")
            raise Refused(f"expiry {reason}") from exc
        if name is None or not name.is_class:
            return day
        last = dates.last_trading_day(day, trading_class=name.root)
        if abs(last - name.expiry) > _NEAR:
            raise Refused(f"{text!r} is not an expiry of {own.text('symbol')}")
        return last
    if name is None:
        raise Refused("expiry is missing")
    return name.expiry


def _multiplier(
    own: Cells,
    name: cells.OptionName | None,
    symbol: str,
    instruments: _Instruments,
    reader: Reader,
) -> int | None:
    told = own.whole("multiplier")
    if told is not None:
        return told
    key = own.text("conid") or symbol
    root = name.root if name else symbol
    currency = own.text(*CURRENCY)
    told = instruments.told.get(key) or instruments.multipliers.get(key, f"{root} {currency}")
    if told is None and currency == "USD" and name is not None and not root[-1:].isdigit():
        reader.notes[
            f"no multiplier of {root} in the file: {_STANDARD}, as of any American option that was "
            "never adjusted"
        ] = None
        return _STANDARD
    return told


def _ratio(own: Cells) -> float | None:
    quantity, price, proceeds = own.number(*QUANTITY), own.number(*PRICE), own.number("proceeds")
    return abs(proceeds / (quantity * price)) if quantity and price and proceeds else None


def _learn(own: Cells, instruments: _Instruments) -> None:
    try:
        multiplier = own.whole("multiplier")
    except Refused:
        return
    if multiplier is not None:
        for key in (own.text("conid"), own.text("symbol")):
            if key:
                instruments.told.setdefault(key, multiplier)


def _learn_from_proceeds(rows: Iterable[Row], instruments: _Instruments) -> None:
    for row in rows:
        own = row.own
        if own.text("multiplier") or _asset(own) != "OPT":
            continue
        try:
            multiplier = activity.whole_ratio(_ratio(own))
        except Refused:
            continue
        symbol = own.text("symbol")
        name = cells.option_name(symbol)
        if multiplier is not None:
            root = f"{name.root if name else symbol} {own.text(*CURRENCY)}"
            instruments.multipliers.add(own.text("conid") or symbol, root, multiplier)


def _moment(own: Cells, action: Action | None = None) -> dt.datetime:
    text = own.text(*MOMENT)
    if not text:
        text = " ".join(part for part in (own.text(*TRADE_DAY), own.text(*TRADE_TIME)) if part)
    elif not own.habits.has_time(text) and (time := own.text(*TRADE_TIME)):
        text = f"{text} {time}"
    if action is not None and not own.habits.has_time(text):
        return dt.datetime.combine(own.habits.day(text), EVENING, dates.NEW_YORK)
    return own.habits.moment(text)


def _commission(own: Cells, currency: str, reader: Reader) -> float | None:
    fee = own.number(*COMMISSION)
    paid_in = own.text(*COMMISSION_CURRENCY)
    if fee and paid_in and currency and paid_in != currency:
        reader.notes[
            f"commissions in {paid_in} on trades in {currency} are not counted: their rate is not "
            "in the file"
        ] = None
        return None
    return None if fee is None else 0.0 - fee


# -- exercises -----------------------------------------------------------------------------------


def _exercises(rows: Iterable[Row], instruments: _Instruments, reader: Reader) -> None:
    """Rows of OptionEAE: cash of settlements, and what no row of the trades tells."""
    known = {
        number for execution in reader.executions for number in (execution.trade_id,) if number
    }
    alike = {_likeness(execution) for execution in reader.executions if execution.action}
    option: Executed | None = None
    repeated = 0
    for row in rows:
        kind = row.own.text(*KINDS).lower()
        if kind == "cash settlement":
            _keep(reader, row, partial(_settlement, row, instruments, reader, option))
            continue
        asset = _asset(row.own)
        if asset == "FOP":
            reader.attempt(on_future, row.place)
            continue
        if asset not in ("OPT", "STK"):
            reader.assets[asset] += 1
            continue
        execution = reader.attempt(
            partial(_exercise, row, instruments, reader, is_option=asset == "OPT"), row.place
        )
        if execution is None:
            continue
        option = execution if asset == "OPT" else option
        if execution.trade_id in known or _likeness(execution) in alike:
            repeated += 1
            continue
        reader.executions.append(execution)
        reader.rows.append(row.place(""))
    if repeated:
        reader.levels["OptionEAE"] += repeated


def _likeness(execution: Executed) -> tuple[object, ...]:
    return (
        execution.account,
        execution.symbol,
        execution.contract.key,
        execution.quantity,
        execution.at.astimezone(dates.NEW_YORK).date(),
    )


def _exercise(row: Row, instruments: _Instruments, reader: Reader, *, is_option: bool) -> Executed:
    own = row.own
    contract, symbol, told = _contract(own, instruments, reader, is_option=is_option)
    action = _ENDS[own.text(*KINDS).lower()]
    currency = own.text(*CURRENCY)
    return Executed(
        exec_id="",
        at=_moment(own, action),
        symbol=symbol,
        contract=contract,
        quantity=own.required(*QUANTITY),
        price=own.number(*PRICE) or 0.0 if is_option else own.required(*PRICE),
        commission=_commission(own, currency, reader),
        action=action,
        opens=False if is_option else None,
        account=_account(row),
        currency=currency,
        lacks_multiplier=told is None,
        trade_id=own.text("tradeid"),
        source=Source.FLEX,
    )


def _settlement(
    row: Row, instruments: _Instruments, reader: Reader, option: Executed | None
) -> CashFlow:
    own = row.own
    contract: Contract | None = None
    symbol = own.text("underlyingsymbol") or own.text("symbol")
    if _asset(own) == "OPT" and (own.text("strike") or cells.option_name(own.text("symbol"))):
        contract, symbol, _ = _contract(own, instruments, reader, is_option=True)
    elif option is not None:
        # The row of the option stands above that of its cash.
        contract, symbol = option.contract, option.symbol
    return CashFlow(
        id=own.text("transactionid", "tradeid"),
        at=_moment(own, Action.ASSIGN),
        kind=CashKind.SETTLEMENT,
        amount=own.required("proceeds", "amount", "realizedpnl"),
        currency=own.text(*CURRENCY),
        account=_account(row),
        symbol=cells.symbol(symbol),
        contract=contract,
        trade_id=option.trade_id if option is not None else own.text("tradeid"),
        text=own.text("description") or own.text(*KINDS),
        source=KIND,
    )


# -- cash and corporate actions ------------------------------------------------------------------


def _keep(reader: Reader, row: Row, read_flow: Callable[[], CashFlow]) -> None:
    flow = reader.attempt(read_flow, row.place)
    if flow is not None:
        reader.flows.append(flow)
        reader.flow_rows.append(row.place(""))


def _cash(row: Row) -> CashFlow:
    own = row.own
    text = own.text("type").lower()
    kind = next((kind for word, kind in _CASH if word in text), CashKind.OTHER)
    asset, symbol = _asset(own), own.text("symbol")
    if asset == "OPT":
        symbol = own.text("underlyingsymbol") or symbol
    return CashFlow(
        id=own.text("transactionid", "tradeid"),
        at=_moment(own, Action.EXPIRE),
        kind=kind,
        amount=own.required("amount"),
        currency=own.text(*CURRENCY),
        account=_account(row),
        symbol=cells.symbol(symbol) if symbol else "",
        trade_id=own.text("tradeid"),
        text=own.text("description") or own.text("type"),
        source=KIND,
    )


def _change(row: Row) -> ContractChange | None:
    own = row.own
    if "Ca" in cells.marks(own.text(*CODES)):
        return None
    text = own.text("actiondescription", "description")
    kind, ratio = activity.change_of(text)
    kind = _CHANGES.get(own.text("type").upper(), kind)
    symbol = own.text("underlyingsymbol") or own.text("symbol")
    name = cells.option_name(own.text("symbol"))
    return ContractChange(
        id=own.text("transactionid", "actionid"),
        at=_moment(own, Action.EXPIRE),
        kind=kind,
        symbol=cells.symbol(
            name.underlying if name and not own.text("underlyingsymbol") else symbol
        ),
        account=_account(row),
        ratio=ratio,
        text=text,
        source=KIND,
    )


def lacking(names: Iterable[str]) -> Iterator[str]:
    """Columns without which no trade can be read, as IB's pages call them."""
    there = set(names)
    for name, alternatives in (
        ("Symbol", ("symbol",)),
        ("Quantity", QUANTITY),
        ("TradePrice", PRICE),
        ("DateTime", (*MOMENT, *TRADE_DAY)),
    ):
        if not there & set(alternatives):
            yield name
