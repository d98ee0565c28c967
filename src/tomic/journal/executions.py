"""
Puts executions of a broker together into trades, and trades into campaigns.

Nobody types a result: what was bought and sold comes from here, or from the trader's own prices.
What is placed and what is not add up to what was executed, contract by contract.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from tomic import dates
from tomic.errors import DataError, TomicError
from tomic.journal import campaign
from tomic.models import journal as nouns

_OF_CONTRACT = tuple(nouns.Contract.model_fields)
_TOGETHER = dt.timedelta(seconds=5)
"""Executions without an order number belong together when they are this close in time."""
_NEAR = dt.timedelta(minutes=1)
"""A statement gives an order one time, its executions may be some seconds apart."""
_CENT = 0.01
_PERIODS = 2
"""In an execution number of IB before its revision: ``0000e0d5.6561b2a1.01`` and ``.01``."""
_DUST = 1e-9
_SPECIAL = math.log(1.2)
"""A strike that changed by less was lowered by a dividend, not by a split."""
_ROUNDED = 2e-3
"""Adjusted strikes are rounded."""
_MOST_CONTRACTS = 1e9
_MOST_PRICE = 1e7
"""Above any price or strike ever listed, in any currency."""
_MOST_MULTIPLIER = 1_000_000
_MOST_MONEY = 1e12
_MOST_RATIO = 10_000.0
_LETTERS = 3
"""Of a currency, as ISO 4217 writes it."""
_YEARS = range(1970, 2200)
Fee: TypeAlias = Callable[[str], float]
"""Commission of a contract in a currency, where the broker reports none."""
ON_FUTURE = "an option on a future ends in that future, which the journal does not follow"
"""Why such an execution belongs to no entry, and is kept aside."""


class Source(StrEnum):
    """Which of a broker's reports an execution comes from."""

    ACTIVITY = "activity statement"
    FLEX = "Flex query"
    TWS = "TWS"


@dataclass(frozen=True, slots=True)
class Executed:
    """
    One execution as a broker reports it.

    What the report does not tell stays empty: no currency, account or multiplier is assumed.
    """

    exec_id: str
    """TWS's execId, Flex's ibExecID; empty where the report has none: see `numbered`."""
    at: dt.datetime
    symbol: str
    contract: nouns.Contract
    """With con_id and trading class where they are told; see *lacks_multiplier*."""
    quantity: float
    """Signed: bought or sold."""
    price: float
    """Currency per share."""
    commission: float | None = None
    """In *currency*, a cost is positive; None where the broker does not report it."""
    order: str = ""
    """Number of the order, shared by the legs of a combination."""
    action: nouns.Action | None = None
    """EXPIRE or ASSIGN where the broker says so."""
    opens: bool | None = None
    """Whether it opens (True) or closes (False); None where the broker says neither, or both."""
    cancels: bool = False
    """Whether the broker takes an earlier execution back with it; the quantity has its sign."""
    account: str = ""
    currency: str = ""
    """Of price and commission."""
    lacks_multiplier: bool = False
    """Whether the report says no multiplier: that of *contract* then means nothing."""
    trade_id: str = ""
    """Flex's tradeID, which a replacement of the trade has too."""
    transaction_id: str = ""
    """Flex's transactionID, which is unique."""
    corrects: tuple[str, ...] = ()
    """
    Numbers (of execution, transaction or trade) of what this takes back, where it cancels, or
    else replaces.
    """
    source: Source | None = None
    on_future: bool = False
    """Whether it is an option on a future."""


def _no_fee(_: str) -> float:
    return 0.0


def fault(report: Executed | nouns.CashFlow | nouns.ContractChange) -> str:
    """Why this cannot have happened, or belongs to no entry; empty where it can."""
    if isinstance(report, nouns.CashFlow):
        return _cash_fault(report) or _moment_fault(report.at)
    if isinstance(report, nouns.ContractChange):
        return _change_fault(report) or _moment_fault(report.at)
    if report.on_future:
        return ON_FUTURE
    return _amount_fault(report) or _moment_fault(report.at) or _contract_fault(report.contract)


def _amount_fault(execution: Executed) -> str:
    paid = execution.commission
    for name, value in (
        ("quantity", execution.quantity), ("price", execution.price), ("commission", paid or 0.0),
    ):  # fmt: skip
        if not math.isfinite(value):
            return f"{name} {value:g} is no number"
    if execution.quantity == 0.0:
        return "a quantity of 0 is no trade"
    if abs(execution.quantity) > _MOST_CONTRACTS or abs(paid or 0.0) > _MOST_CONTRACTS:
        amount = f"a quantity of {execution.quantity:g} at a commission of {paid or 0.0:g}"
        return f"{amount} is beyond reason"
    if execution.price < 0.0:
        return f"a price of {execution.price:g} is below 0"
    strike = execution.contract.strike or 0.0
    if not max(execution.price, strike) <= _MOST_PRICE:
        return f"a price or strike of {max(execution.price, strike):g} is beyond reason"
    return _currency_fault(execution.currency)


def _contract_fault(contract: nouns.Contract) -> str:
    if contract.multiplier > _MOST_MULTIPLIER:
        return f"a multiplier of {contract.multiplier} is beyond reason"
    if contract.con_id is not None and not 0 < contract.con_id < nouns.MOST_NUMBER:
        return f"{contract.con_id} is no contract id"
    if contract.expiry is not None and contract.expiry.year not in _YEARS:
        return f"an expiry of {contract.expiry} is beyond reason"
    return ""


def _cash_fault(flow: nouns.CashFlow) -> str:
    if not math.isfinite(flow.amount):
        return f"amount {flow.amount:g} is no number"
    if flow.amount == 0.0:
        return "an amount of 0 is no payment"
    if abs(flow.amount) > _MOST_MONEY:
        return f"an amount of {flow.amount:g} is beyond reason"
    contract = _contract_fault(flow.contract) if flow.contract is not None else ""
    return contract or _currency_fault(flow.currency)


def _change_fault(change: nouns.ContractChange) -> str:
    ratio = change.ratio
    if ratio is not None and not (
        math.isfinite(ratio) and 1.0 / _MOST_RATIO <= ratio <= _MOST_RATIO
    ):
        return f"a ratio of {ratio:g} is no split"
    if not change.symbol:
        return "it names no symbol"
    contracts = [contract for contract in (change.before, change.after) if contract is not None]
    return next((reason for contract in contracts if (reason := _contract_fault(contract))), "")


def _currency_fault(currency: str) -> str:
    if not currency or (len(currency) == _LETTERS and currency.isascii() and currency.isalpha()):
        return ""
    return f"{currency!r} is no currency such as EUR"


def _moment_fault(at: dt.datetime) -> str:
    return "" if at.year in _YEARS else f"{at.year} is no year to trade in"


@dataclass(frozen=True, slots=True)
class Placed:
    """
    A part of the executions of one order, and the entry it went to.

    *entry* is the whole entry afterwards; *number* its place among those given, or beyond them.
    """

    number: int
    entry: nouns.JournalEntry
    exec_ids: tuple[str, ...]
    how: str
    """opened, closed, rolled, expired, assigned, converted, or confirmed (was typed before)."""
    fills: tuple[nouns.Fill, ...] = ()
    """What went there."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Executions that belong nowhere yet, and why."""

    exec_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """What became of the executions of one order, each of them placed whole or not at all."""

    placed: tuple[Placed, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()


# -- into trades -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OrderPart:
    """Executions of one contract in one order, on one side."""

    fill: nouns.Fill
    opens: bool | None
    """False for what can only take something back."""
    cancels: bool
    delivered_for: nouns.Contract | None = None
    """Of shares: the option whose trade number comes right before theirs."""

    @property
    def exec_ids(self) -> tuple[str, ...]:
        return tuple(self.fill.exec_id.split())


def to_trades(
    executions: Iterable[Executed], *, commission: Fee = _no_fee
) -> list[tuple[str, nouns.Trade]]:
    """
    Put executions together, order by order, in order of time; returns symbol and trade.

    Partial fills of one contract become one fill at the mean price. Where the broker reports no
    commission, that of *commission* per contract is taken.
    """
    return [
        (group[0].symbol, _trade(group, [part.fill for part in _parts(group, commission)]))
        for group in _by_order(executions)
    ]


def _by_order(executions: Iterable[Executed]) -> list[list[Executed]]:
    """
    Executions of one order; what has none belongs together when it came at one time.

    What expires or is assigned has a number of its own a row: there the evening counts.
    """
    groups: list[list[Executed]] = []
    last: dict[tuple[object, ...], list[Executed]] = {}
    for execution in sorted(executions, key=lambda each: each.at):
        order = "" if execution.action in campaign.ENDS else execution.order
        day = _day(execution.at) if order else None
        owner = (execution.account, execution.currency, execution.symbol)
        name: tuple[object, ...] = (*owner, execution.action, order, day)
        group = last.get(name)
        if group is None or not (order or execution.at - group[-1].at <= _TOGETHER):
            group = last[name] = []
            groups.append(group)
        group.append(execution)
    return groups


def _trade(group: Sequence[Executed], fills: Sequence[nouns.Fill]) -> nouns.Trade:
    first = group[0]
    return nouns.Trade(
        at=first.at,
        action=first.action or nouns.Action.OPEN,
        fills=tuple(fills),
        structures=campaign.count_structures(fills),
        order="" if first.action in campaign.ENDS else first.order,
    )


def _parts(group: Sequence[Executed], commission: Fee) -> list[_OrderPart]:
    delivered_for = _paired(group)
    by_side: dict[tuple[object, ...], list[Executed]] = {}
    for execution in group:
        # Shares that are assigned at two strikes come at two prices.
        is_delivered = execution.contract.is_stock and execution.action is nouns.Action.ASSIGN
        option = delivered_for.get(execution.exec_id)
        name = (
            execution.contract.key,
            execution.contract.con_id,
            execution.quantity > 0.0,
            _opens(execution),
            execution.cancels,
            round(execution.price, 6) if is_delivered else None,
            option.key if option is not None else None,
        )
        by_side.setdefault(name, []).append(execution)
    return [
        _OrderPart(
            _fill(side, commission),
            _opens(side[0]),
            side[0].cancels,
            delivered_for.get(side[0].exec_id),
        )
        for side in by_side.values()
    ]


def _paired(group: Sequence[Executed]) -> dict[str, nouns.Contract]:
    """By number of a share row, the option whose exercise it is: its trade number is one less."""
    if group[0].action is not nouns.Action.ASSIGN:
        return {}
    options = {
        int(execution.trade_id): execution.contract
        for execution in group
        if not execution.contract.is_stock and execution.trade_id.isdecimal()
    }
    pairs = {
        execution.exec_id: options.get(int(execution.trade_id) - 1)
        for execution in group
        if execution.contract.is_stock and execution.trade_id.isdecimal()
    }
    return {number: option for number, option in pairs.items() if option is not None}


def _opens(execution: Executed) -> bool | None:
    is_end = execution.action in campaign.ENDS and not execution.contract.is_stock
    return False if is_end or execution.cancels else execution.opens


def _fill(executions: Sequence[Executed], commission: Fee) -> nouns.Fill:
    first = executions[0]
    quantity = math.fsum(execution.quantity for execution in executions)
    value = math.fsum(execution.quantity * execution.price for execution in executions)
    paid = sum(
        (
            0.0
            if execution.contract.is_stock
            else commission(first.currency) * abs(execution.quantity)
        )
        if execution.commission is None
        else execution.commission
        for execution in executions
    )
    # What `fault` lets through is a fill, and so is the sum of one side.
    return nouns.Fill.of_checked(
        {
            **{name: getattr(first.contract, name) for name in _OF_CONTRACT},
            "quantity": quantity,
            "price": float(first.price) if len(executions) == 1 else round(value / quantity, 9),
            "commission": round(paid, 6),
            "mid": None,
            "exec_id": " ".join(execution.exec_id for execution in executions),
            "account": first.account,
            "currency": first.currency,
        }
    )


# -- into campaigns ----------------------------------------------------------------------------


def place(
    executions: Iterable[Executed],
    entries: Sequence[nouns.JournalEntry],
    *,
    changes: Sequence[nouns.ContractChange] = (),
    commission: Fee = _no_fee,
) -> list[PlacedOrder]:
    """
    Find the campaign of each trade: what closes or rolls legs of open entries belongs to them.

    A trade that somebody typed before the broker reported it (same day, same legs, no execution
    numbers) is confirmed, with the broker's prices. One order may close legs of several entries:
    the oldest that can take all of it, else as many as it takes, oldest first. What opens legs
    beside those it closes is a roll; what else opens legs is an entry of its own, or goes to that
    of its order. An entry belongs to one account and one currency. What closes, expires or is
    assigned without being held is set apart: it opens nothing. Ask with unlinked executions only.

    Args:
        executions: What is to be placed, in any order.
        entries: The journal.
        changes: Corporate actions, applied to what was held at their moment.
        commission: Of a contract in a currency, where the broker reports none.

    Returns:
        One per order, in order of time; a later one sees the entries as the earlier ones left them.

    Raises:
        DataError: Placed and unplaced would not come to what was executed.
    """
    book = _Book(entries, changes)
    orders: list[PlacedOrder] = []
    given = list(executions)
    waiting = given
    while waiting:
        tried = [_tried(group, book, commission) for group in _by_order(waiting)]
        apart = {number for order in tried for each in order.unplaced for number in each.exec_ids}
        if len(apart) == len(waiting) or not apart:
            orders += tried
            break
        # A close may come before its opening in the same second: try once more.
        orders += [replace(order, unplaced=()) for order in tried if order.placed]
        waiting = [execution for execution in waiting if execution.exec_id in apart]
    orders += book.convert_rest()
    _check_all(given, orders)
    return orders


def _check_all(executions: Sequence[Executed], orders: Sequence[PlacedOrder]) -> None:
    """Every execution is placed or waits, once; `_check_conserved` counts what was placed."""
    placed = {number for order in orders for part in order.placed for number in part.exec_ids}
    waiting = [number for order in orders for part in order.unplaced for number in part.exec_ids]
    given = {execution.exec_id for execution in executions}
    if placed | set(waiting) != given or len(waiting) + len(placed) != len(given):
        lost = sorted(given ^ (placed | set(waiting))) or sorted(placed & set(waiting))
        raise DataError(f"execution {', '.join(lost[:3])} would be lost; please report this")


def _tried(group: Sequence[Executed], book: _Book, commission: Fee) -> PlacedOrder:
    try:
        order = _placed(group, book, commission)
    # One order never costs another: what its placement raises is the reason it waits.
    except Exception as exc:
        reason = str(exc) if isinstance(exc, TomicError) else f"{type(exc).__name__}: {exc}"
        return PlacedOrder(
            unplaced=(Unplaced(tuple(execution.exec_id for execution in group), reason),)
        )
    for placed in order.placed:
        book.keep(placed.number, placed.entry)
    return order


_Terms: TypeAlias = tuple[object, ...]
_NOBODY: Mapping[int, None] = {}


class _Book:
    """Entries by number, as the orders placed so far left them, and who holds what."""

    def __init__(
        self,
        entries: Iterable[nouns.JournalEntry] = (),
        changes: Sequence[nouns.ContractChange] = (),
    ) -> None:
        self.entries: dict[int, nouns.JournalEntry] = {}
        self.legs: dict[int, tuple[nouns.Held, ...]] = {}
        """What open entries hold."""
        self._holders: dict[_Terms, dict[int, None]] = {}
        self._of_id: dict[int, dict[int, None]] = {}
        self._of_order: dict[tuple[str, str], int] = {}
        self._typed: dict[tuple[str, dt.date], dict[int, None]] = {}
        self._changes: dict[str, list[nouns.ContractChange]] = {}
        for change in sorted(changes, key=lambda each: each.at, reverse=True):
            self._changes.setdefault(change.symbol, []).append(change)
        for number, entry in enumerate(entries):
            self.keep(number, entry)

    def keep(self, number: int, entry: nouns.JournalEntry) -> None:
        for leg in self.legs.pop(number, ()):
            self._holders[_terms(entry.symbol, leg)].pop(number, None)
            if leg.con_id is not None:
                self._of_id[leg.con_id].pop(number, None)
        self.entries[number] = entry
        for trade in entry.trades:
            if not all(fill.exec_id for fill in trade.fills):
                self._typed.setdefault((entry.symbol, _day(trade.at)), {})[number] = None
        if not entry.is_open:
            return
        legs = self.legs[number] = campaign.held(entry)
        for leg in legs:
            self._holders.setdefault(_terms(entry.symbol, leg), {})[number] = None
            if leg.con_id is not None:
                self._of_id.setdefault(leg.con_id, {})[number] = None
        for trade in entry.trades:
            if trade.order:
                self._of_order[entry.symbol, trade.order] = number

    @property
    def next_number(self) -> int:
        return len(self.entries)

    def holding(self, group: Sequence[Executed]) -> dict[int, nouns.JournalEntry]:
        """Entries of the owner, open then, that hold any contract of these, oldest first."""
        first = group[0]
        numbers: dict[int, None] = {}
        for execution in group:
            contract = execution.contract
            for terms in _all_terms(first.symbol, contract):
                numbers |= self._holders.get(terms, _NOBODY)
            if contract.con_id is not None:
                numbers |= self._of_id.get(contract.con_id, _NOBODY)
        return self._owned(numbers, first) if numbers else {}

    def typed(self, group: Sequence[Executed]) -> dict[int, nouns.JournalEntry]:
        """Entries of the owner with trades of that day that no execution confirms."""
        first = group[0]
        numbers = self._typed.get((first.symbol, _day(first.at)), _NOBODY) if self._typed else ()
        return self._owned(numbers, first, is_open=False) if numbers else {}

    def of_order(self, group: Sequence[Executed]) -> tuple[int, nouns.JournalEntry] | None:
        """The open entry that an earlier part of the order went to."""
        first = group[0]
        number = self._of_order.get((first.symbol, first.order)) if first.order else None
        if number is None or not self._owned({number: None}, first):
            return None
        return number, self.entries[number]

    def _owned(
        self, numbers: Iterable[int], execution: Executed, *, is_open: bool = True
    ) -> dict[int, nouns.JournalEntry]:
        owned = [
            (entry.opened_at, number, entry)
            for number in numbers
            if _is_owner(entry := self.entries[number], execution)
            and (not is_open or (entry.is_open and entry.opened_at <= execution.at))
        ]
        return {number: entry for _, number, entry in sorted(owned, key=lambda each: each[:2])}

    # -- corporate actions

    def convert_until(self, symbol: str, at: dt.datetime) -> list[Placed]:
        """Apply the corporate actions of a symbol up to a moment."""
        changes, converted = self._changes.get(symbol, []), []
        while changes and changes[-1].at <= at:
            converted += self._convert(changes.pop())
        return converted

    def convert_rest(self) -> list[PlacedOrder]:
        """Apply what is left of them: nothing was traded since."""
        converted = [self.convert_until(symbol, _LAST) for symbol in self._changes]
        return [PlacedOrder(tuple(placed)) for placed in converted if placed]

    def _convert(self, change: nouns.ContractChange) -> list[Placed]:
        placed = []
        for number in list(self.legs):
            entry = self.entries[number]
            is_other = change.account and entry.account not in ("", change.account)
            is_told = any(trade.note.startswith(_note(change)) for trade in entry.trades)
            if entry.symbol != change.symbol or is_other or is_told:
                continue
            legs = [leg for leg in campaign.held(entry, change.at) if _is_meant(change, leg)]
            for leg in legs:
                after, quantity = _converted(change, leg)
                if after is not None and entry.opened_at <= change.at:
                    note = f"{_note(change)}: {leg.quantity:+g} {leg.name} is {quantity:+g} "
                    entry = campaign.converted(
                        entry, leg, after, quantity, at=change.at, note=note + after.name
                    )
            if entry is not self.entries[number]:
                self.keep(number, entry)
                placed.append(Placed(number, entry, (), "converted"))
        return placed


_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def _terms(symbol: str, contract: nouns.Contract) -> _Terms:
    return (symbol, *contract.terms[:3])


def _all_terms(symbol: str, contract: nouns.Contract) -> Collection[_Terms]:
    """Terms by every day that may name a contract: of its last trading, and of its settlement."""
    terms = _terms(symbol, contract)
    name = contract.trading_class or symbol
    if contract.expiry is None or not dates.settles_at_open(name):
        return (terms,)
    days = (
        day_of(contract.expiry, trading_class=name)
        for day_of in (dates.settlement_day, dates.last_trading_day)
    )
    return {terms, *((symbol, day, contract.strike, contract.right) for day in days)}


def _is_owner(entry: nouns.JournalEntry, execution: Executed) -> bool:
    """Whether an entry may be of the account and currency of an execution: unknown is any."""
    accounts = {entry.account, execution.account} - {""}
    currencies = {entry.currency, execution.currency} - {""}
    return len(accounts) < 2 and len(currencies) < 2


def _owned_by(entry: nouns.JournalEntry, execution: Executed) -> nouns.JournalEntry:
    """The entry with the account and currency that a report tells of it."""
    told = {
        "account": entry.account or execution.account,
        "currency": entry.currency or execution.currency,
    }
    if (told["account"], told["currency"]) == (entry.account, entry.currency):
        return entry
    return entry.model_copy(update=told)


# -- contracts under other terms ---------------------------------------------------------------


def _note(change: nouns.ContractChange) -> str:
    ratio = f" {change.ratio:g} for 1" if change.ratio is not None else ""
    return f"{change.kind.value}{ratio} of {change.at:%Y-%m-%d}"


def _is_meant(change: nouns.ContractChange, leg: nouns.Held) -> bool:
    return change.before is None or campaign.is_same(change.before, leg)


def _converted(
    change: nouns.ContractChange, leg: nouns.Held
) -> tuple[nouns.Contract | None, float]:
    """What a leg is after a change, and how many; None where that is not told."""
    if change.after is not None:
        return change.after, leg.quantity * (_contracts_ratio(leg, change.after) or 1.0)
    ratio = change.ratio
    if change.kind is not nouns.ChangeKind.SPLIT or ratio is None:
        return None, leg.quantity
    if leg.is_stock:
        return leg, leg.quantity * ratio
    if leg.strike is None or ratio < 1.0 or ratio != round(ratio):
        # Such options go on at their strike and deliver another number of shares.
        return None, leg.quantity
    contract = leg.model_copy(update={"strike": round(leg.strike / ratio, 4)})
    return contract, leg.quantity * ratio


def _contracts_ratio(before: nouns.Contract, after: nouns.Contract) -> float | None:
    """
    New contracts for an old one when its terms change; None where that cannot be told.

    A split leaves strike times shares of all contracts together as it was; a special dividend
    lowers the strike a little and leaves the number of contracts.
    """
    if before.strike is None or after.strike is None:
        return 1.0 if before.is_stock and after.is_stock else None
    ratio = before.strike * before.multiplier / (after.strike * after.multiplier)
    if abs(math.log(ratio)) < _SPECIAL:
        return 1.0
    for numerator, denominator in ((round(ratio), 1), (1, round(1.0 / ratio))):
        if numerator and denominator and abs(ratio * denominator / numerator - 1.0) < _ROUNDED:
            return numerator / denominator
    return None


def _identified(
    group: Sequence[Executed], book: _Book
) -> tuple[list[Executed], list[Placed], list[Unplaced]]:
    """
    Executions under the terms by which their contracts are held.

    One contract id under other terms is a contract after a corporate action: what is held of it is
    converted first.
    """
    converted = book.convert_until(group[0].symbol, group[0].at)
    known: list[Executed] = []
    unknown: dict[str, list[str]] = {}
    for execution in group:
        holders = book.holding([execution])
        if not holders and not execution.lacks_multiplier:
            known.append(execution)
            continue
        legs = [(number, leg) for number in holders for leg in book.legs[number]]
        contract = execution.contract
        same = [(number, leg) for number, leg in legs if campaign.is_same(leg, contract)]
        alike = [leg for _, leg in same]
        if not alike and execution.lacks_multiplier:
            alike = [leg for _, leg in legs if leg.key[:3] == contract.key[:3]]
        if execution.lacks_multiplier and not contract.is_stock and not alike:
            unknown.setdefault(contract.name, []).append(execution.exec_id)
            continue
        moved = [
            (number, leg)
            for number, leg in same
            if (leg.strike, leg.right) != (contract.strike, contract.right)
            and not execution.lacks_multiplier
        ]
        for number, leg in moved:
            converted.append(_move(book, number, leg, execution))
        if not moved and alike and not contract.is_stock:
            update = {name: getattr(alike[0], name) for name in ("expiry", "strike", "multiplier")}
            update["trading_class"] = alike[0].trading_class or contract.trading_class
            update["con_id"] = alike[0].con_id if contract.con_id is None else contract.con_id
            if any(value != getattr(contract, name) for name, value in update.items()):
                execution = replace(execution, contract=contract.model_copy(update=update))
        if execution.lacks_multiplier:
            execution = replace(execution, lacks_multiplier=False)
        known.append(execution)
    unplaced = [
        Unplaced(tuple(ids), f"the report does not say the multiplier of {group[0].symbol} {name}; "
                 "export it with the section of financial instruments, or as a Flex query")
        for name, ids in unknown.items()
    ]  # fmt: skip
    return known, converted, unplaced


def _move(book: _Book, number: int, leg: nouns.Held, execution: Executed) -> Placed:
    """Convert what an entry holds of a contract to the terms that an execution has."""
    contract = execution.contract
    ratio = _contracts_ratio(leg, contract)
    if ratio is None:
        raise DataError(
            f"{leg.quantity:+g} {leg.name} of {execution.symbol} is {contract.name} now, "
            "and how many of them is not told; import the corporate action"
        )
    kind = "special dividend" if ratio == 1.0 else f"split {ratio:g} for 1"
    quantity = leg.quantity * ratio
    note = f"{kind} by {execution.at:%Y-%m-%d}: {leg.quantity:+g} {leg.name} is {quantity:+g} "
    entry = campaign.converted(
        book.entries[number], leg, contract, quantity, at=execution.at, note=note + contract.name
    )
    book.keep(number, entry)
    return Placed(number, entry, (), "converted")


@dataclass(slots=True)
class _Share:
    """What one entry gets of an order."""

    entry: nouns.JournalEntry
    closing: list[nouns.Fill]
    opening: list[nouns.Fill]


def _placed(group: Sequence[Executed], book: _Book, commission: Fee) -> PlacedOrder:
    group, converted, unknown = _identified(group, book)
    if not group:
        return PlacedOrder(tuple(converted), tuple(unknown))
    parts = _parts(group, commission)
    trade = _trade(group, [part.fill for part in parts])
    placed = list(converted)
    typed = book.typed(group)
    whole = None if any(part.cancels for part in parts) else _typed(trade, typed)
    if whole is not None:
        number, entry = whole
        entry = _owned_by(entry, group[0])
        placed.append(Placed(number, entry, _ids(trade.fills), "confirmed", trade.fills))
        return PlacedOrder(tuple(placed), tuple(unknown))
    parts, confirmed = _typed_ends(trade, parts, typed)
    entries = book.holding(group)
    for number, entry, fills in confirmed:
        entry = _owned_by(entry, group[0])
        if number in entries:
            entries[number] = entry
        placed.append(Placed(number, entry, _ids(fills), "confirmed", fills))
    parts, unplaced = _without_unheld(trade, parts, entries)
    shares, parts, undelivered = _distribute(trade, parts, entries)
    for number, share in shares.items():
        fills = (*share.closing, *share.opening)
        action, how = _action(trade, share.closing, fills)
        entry = campaign.with_trade(entries[number], _part(trade, fills, action))
        placed.append(Placed(number, _owned_by(entry, group[0]), _ids(fills), how, fills))
    if parts:
        placed.append(_opened(group, trade, tuple(part.fill for part in parts), book, shares))
    order = PlacedOrder(tuple(placed), (*unknown, *unplaced, *undelivered))
    _check_conserved(group, order)
    return order


def _opened(
    group: Sequence[Executed],
    trade: nouns.Trade,
    fills: tuple[nouns.Fill, ...],
    book: _Book,
    shares: Mapping[int, _Share],
) -> Placed:
    """What opens legs: an entry of its own, or more of the contracts that its order opened."""
    begun = book.of_order(group)
    if (
        begun is not None
        and begun[0] not in shares
        and trade.action is nouns.Action.OPEN
        and all(campaign.held_of(book.legs[begun[0]], fill) * fill.quantity > 0.0 for fill in fills)
    ):
        number, entry = begun
        more = _part(trade, fills, nouns.Action.ADJUST)
        entry = _owned_by(campaign.with_trade(entry, more), group[0])
        return Placed(number, entry, _ids(fills), "opened", fills)
    own = _part(trade, fills, nouns.Action.OPEN)
    entry = nouns.JournalEntry(
        symbol=group[0].symbol,
        account=group[0].account,
        currency=group[0].currency,
        opened_at=trade.at,
        trades=(own,),
        context=nouns.NO_CONTEXT,
    )
    return Placed(book.next_number, entry, _ids(fills), "opened", fills)


def _check_conserved(group: Sequence[Executed], order: PlacedOrder) -> None:
    """Placed and unplaced come to what was executed, contract by contract."""
    apart = {number for refused in order.unplaced for number in refused.exec_ids}
    expected = _amounts(execution for execution in group if execution.exec_id not in apart)
    actual = _amounts(fill for placed in order.placed for fill in placed.fills)
    for key in expected.keys() | actual.keys():
        gap = expected.get(key, 0.0) - actual.get(key, 0.0)
        if abs(gap) > _DUST * max(1.0, abs(expected.get(key, 0.0))):
            raise DataError(f"{gap:+g} of {key} would be lost; please report this")


def _amounts(fills: Iterable[nouns.Fill | Executed]) -> dict[_Terms, float]:
    """Quantities by account, currency and contract."""
    total: dict[_Terms, float] = {}
    for fill in fills:
        contract = fill.contract if isinstance(fill, Executed) else fill
        name = "" if contract.is_stock else contract.trading_class
        key = (fill.account, fill.currency, contract.terms, name)
        total[key] = total.get(key, 0.0) + fill.quantity
    return total


# -- typed before ------------------------------------------------------------------------------


def _typed(
    trade: nouns.Trade, entries: Mapping[int, nouns.JournalEntry]
) -> tuple[int, nouns.JournalEntry] | None:
    """The entry in which somebody typed this very trade, with the broker's fills in its place."""
    for number, entry in entries.items():
        for index, own in enumerate(entry.trades):
            if _is_typed_on(own, trade) and _are_alike(own.fills, trade.fills):
                return number, _confirmed(entry, index, trade.fills)
    return None


def _are_alike(typed: Sequence[nouns.Fill], fills: Sequence[nouns.Fill]) -> bool:
    """Whether two trades are of the same contracts and quantities."""
    total: list[tuple[nouns.Fill, float]] = []
    for fill, sign in [*((fill, 1.0) for fill in typed), *((fill, -1.0) for fill in fills)]:
        place = next((n for n, (own, _) in enumerate(total) if campaign.is_same(own, fill)), None)
        if place is None:
            total.append((fill, sign * fill.quantity))
        else:
            own, quantity = total[place]
            total[place] = own, quantity + sign * fill.quantity
    return all(abs(quantity) <= _DUST for _, quantity in total)


def _is_typed_on(own: nouns.Trade, trade: nouns.Trade) -> bool:
    is_confirmed = any(fill.exec_id for fill in own.fills)
    is_typed = not is_confirmed and own.action is not nouns.Action.CONVERT
    return is_typed and _day(own.at) == _day(trade.at)


@lru_cache(maxsize=4096)
def _day(at: dt.datetime) -> dt.date:
    return at.astimezone(dates.NEW_YORK).date()


def _confirmed(
    entry: nouns.JournalEntry, index: int, fills: Sequence[nouns.Fill]
) -> nouns.JournalEntry:
    own = entry.trades[index]
    sure = tuple(fill.model_copy(update={"mid": _mid_of(fill, own.fills)}) for fill in fills)
    trade = own.model_copy(update={"fills": sure, "price": None})
    trades = (*entry.trades[:index], trade, *entry.trades[index + 1 :])
    return entry.model_copy(update={"trades": trades})


def _mid_of(fill: nouns.Fill, typed: Sequence[nouns.Fill]) -> float | None:
    return next((own.mid for own in typed if campaign.is_same(own, fill)), None)


def _typed_ends(
    trade: nouns.Trade, parts: Sequence[_OrderPart], entries: Mapping[int, nouns.JournalEntry]
) -> tuple[list[_OrderPart], list[tuple[int, nouns.JournalEntry, tuple[nouns.Fill, ...]]]]:
    """Typed closings, expiries and assignments that are each a part of what the broker reports."""
    left, confirmed = list(parts), []
    for number, entry in entries.items():
        for index, own in enumerate(entry.trades):
            if own.action not in campaign.ENDS or not _is_typed_on(own, trade):
                continue
            taken, rest = _take(left, own.fills)
            if taken:
                left, entry = rest, _confirmed(entry, index, taken)
                confirmed.append((number, entry, tuple(taken)))
    return left, confirmed


def _take(
    parts: Sequence[_OrderPart], wanted: Sequence[nouns.Fill]
) -> tuple[list[nouns.Fill], list[_OrderPart]]:
    """Fills of the parts that come to the *wanted* ones, and what is left; none if they do not."""
    left, taken = list(parts), []
    for fill in wanted:
        fits = [
            (abs((part.fill.price or 0.0) - (fill.price or 0.0)) if fill.is_stock else 0.0, place)
            for place, part in enumerate(left)
            if campaign.is_same(part.fill, fill)
            and not part.cancels
            and part.fill.quantity * fill.quantity > 0.0
            and abs(part.fill.quantity) >= abs(fill.quantity) - _DUST
        ]
        if not fits:
            return [], list(parts)
        _, place = min(fits)
        matched, rest = _split(left[place], abs(fill.quantity))
        taken.append(matched)
        left[place : place + 1] = rest
    return taken, left


# -- closed here and there ---------------------------------------------------------------------


def _without_unheld(
    trade: nouns.Trade, parts: Sequence[_OrderPart], entries: Mapping[int, nouns.JournalEntry]
) -> tuple[list[_OrderPart], list[Unplaced]]:
    """
    Parts that the open entries can take, and those that close more than all of them hold.

    The shares of an assignment go with its option.
    """
    if not any(_only_closes(trade, part) for part in parts):
        return list(parts), []
    legs = [leg for entry in entries.values() for leg in campaign.held(entry)]
    used: Counter[tuple[nouns.ContractKey, bool]] = Counter()
    kept, apart = [], []
    # What can only close is served first.
    for part in sorted(parts, key=lambda part: not _only_closes(trade, part)):
        fill = part.fill
        name = (fill.key, fill.quantity < 0.0)
        owned = math.fsum(
            abs(leg.quantity)
            for leg in legs
            if leg.quantity * fill.quantity < 0.0 and campaign.is_same(leg, fill)
        )
        owned -= used[name]
        if not _only_closes(trade, part) or abs(fill.quantity) <= owned + _DUST:
            if part.opens is not True:
                used[name] += abs(fill.quantity)  # type: ignore[assignment]
            kept.append(part)
        else:
            apart.append((part, max(owned, 0.0)))
    unplaced = []
    for part, amount in apart:
        delivered = [other for other in kept if _is_delivery(other, part.fill)]
        if trade.action is nouns.Action.ASSIGN:
            kept = [other for other in kept if other not in delivered]
        else:
            delivered = []
        ids = (*part.exec_ids, *(number for other in delivered for number in other.exec_ids))
        unplaced.append(Unplaced(ids, _unheld(trade, part, amount)))
    # What can only close is served first: `_close` takes from the end.
    kept.sort(key=lambda part: _only_closes(trade, part))
    return kept, unplaced


def _only_closes(trade: nouns.Trade, part: _OrderPart) -> bool:
    # Delivered shares are placed together with their options.
    return part.opens is False and not (trade.action is nouns.Action.ASSIGN and part.fill.is_stock)


def _unheld(trade: nouns.Trade, part: _OrderPart, amount: float) -> str:
    fill = part.fill
    what = f"{fill.quantity:+g} {fill.name}"
    holds = f"of which open entries hold {amount:g}" if amount else "which no open entry holds"
    if part.cancels:
        return f"{what} takes an execution back that is not known here"
    words = {nouns.Action.EXPIRE: "expired", nouns.Action.ASSIGN: "assigned"}
    return f"{what} is {words.get(trade.action, 'closed')}, {holds}; import what opened it"


def _distribute(
    trade: nouns.Trade, parts: Sequence[_OrderPart], entries: Mapping[int, nouns.JournalEntry]
) -> tuple[dict[int, _Share], list[_OrderPart], list[Unplaced]]:
    """
    What each open entry gets; what opens an entry of its own; and shares that belong nowhere.

    Entries take back what they hold: the oldest that can take all of it, then those with most such
    legs. What replaces it by another contract goes with it.
    """
    shares: dict[int, _Share] = {}
    is_delivery = trade.action is nouns.Action.ASSIGN
    stock = [part for part in parts if is_delivery and part.fill.is_stock]
    rest = [part for part in parts if not (is_delivery and part.fill.is_stock)]
    rest = _close(trade, rest, entries, shares)
    if is_delivery:
        stock = _deliver(stock, entries, shares)
        stock = _close(trade, stock, entries, shares)
        apart = [
            Unplaced(part.exec_ids, f"{part.fill.quantity:+g} shares of {trade.at:%Y-%m-%d} are "
                     "delivered, which no open entry holds; import what bought them")
            for part in stock
            if part.opens is False
        ]  # fmt: skip
        return shares, [*rest, *(part for part in stock if part.opens is not False)], apart
    closed = [fill for share in shares.values() for fill in share.closing]
    flips = any(campaign.is_same(part.fill, fill) for part in rest for fill in closed)
    if not shares or flips:
        return shares, rest, []
    for part in rest:
        _replaced(part.fill, shares).opening.append(part.fill)
    return shares, [], []


def _close(
    trade: nouns.Trade,
    parts: Sequence[_OrderPart],
    entries: Mapping[int, nouns.JournalEntry],
    shares: dict[int, _Share],
) -> list[_OrderPart]:
    """Give each open entry the parts that take back what it holds; returns what is left."""
    left = list(parts)
    closers = [part.fill for part in left if part.opens is not True]
    for number, entry in _candidates(closers, entries):
        legs = campaign.held(entry)
        taken: Counter[nouns.ContractKey] = Counter()
        for place in reversed(range(len(left))):
            part = left[place]
            quantity = campaign.held_of(legs, part.fill) + taken[part.fill.key]
            if part.opens is True or quantity * part.fill.quantity >= 0.0:
                continue
            size = min(abs(quantity), abs(part.fill.quantity))
            closing, rest = _split(part, size)
            taken[closing.key] += closing.quantity  # type: ignore[assignment]
            shares.setdefault(number, _Share(entry, [], [])).closing.insert(0, closing)
            left[place : place + 1] = rest
    return left


def _candidates(
    fills: Sequence[nouns.Fill], entries: Mapping[int, nouns.JournalEntry]
) -> list[tuple[int, nouns.JournalEntry]]:
    """
    Entries that hold legs which the fills take back, in the order in which they are asked.

    First those that can take the whole order, then those with most such legs, the oldest first.
    """
    ranked = []
    for number, entry in entries.items():
        owned = campaign.held(entry)
        takes = [-campaign.held_of(owned, fill) / fill.quantity for fill in fills]
        hits = sum(share > _DUST for share in takes)
        if hits:
            is_whole = all(share >= 1.0 - _DUST for share in takes)
            ranked.append((not is_whole, -hits, entry.opened_at, number, entry))
    return [(number, entry) for *_, number, entry in sorted(ranked, key=lambda each: each[:4])]


def _split(part: _OrderPart, size: float) -> tuple[nouns.Fill, list[_OrderPart]]:
    """*size* contracts of a part, and what is left of it."""
    fill = part.fill
    if size >= abs(fill.quantity) - _DUST:
        return fill, []
    share = size / abs(fill.quantity)
    split_off = fill.model_copy(
        update={
            "quantity": math.copysign(size, fill.quantity),
            "commission": round(fill.commission * share, 6),
        }
    )
    rest = fill.model_copy(
        update={
            "quantity": fill.quantity - split_off.quantity,
            "commission": round(fill.commission - split_off.commission, 6),
        }
    )
    return split_off, [replace(part, fill=rest)]


def _replaced(fill: nouns.Fill, shares: Mapping[int, _Share]) -> _Share:
    """The share whose closing legs a new one replaces: of its right, and as many, if there is."""

    def distance(share: _Share) -> tuple[bool, bool]:
        alike = [closing for closing in share.closing if closing.right == fill.right]
        return not alike, all(abs(closing.quantity) != abs(fill.quantity) for closing in alike)

    return min(shares.values(), key=distance)


# -- delivery ----------------------------------------------------------------------------------


def _is_delivery(part: _OrderPart, option: nouns.Fill) -> bool:
    """
    Whether shares come from, or go for, an exercised option.

    By the number of the trade where the report has one, else by the strike and the right side.
    """
    shares = part.fill
    if not shares.is_stock or option.strike is None or shares.price is None:
        return False
    if part.delivered_for is not None:
        return campaign.is_same(part.delivered_for, option)
    return abs(shares.price - option.strike) < 0.005 and shares.quantity * _delivered(option) > 0.0


def _delivered(option: nouns.Fill) -> float:
    """Shares that change hands when this takes an option away by exercise."""
    return option.quantity * option.multiplier * (-1.0 if option.is_call else 1.0)


def _deliver(
    parts: Sequence[_OrderPart],
    entries: Mapping[int, nouns.JournalEntry],
    shares: dict[int, _Share],
) -> list[_OrderPart]:
    """
    Give the shares of an assignment to the entries whose options were assigned.

    First at the strike; then, where one entry alone was assigned, whatever is left: an adjusted
    contract delivers otherwise. Shares that another entry holds are left for it.
    """
    left = list(parts)
    assigned = list(shares.items())
    for number, share in assigned:
        for option in [fill for fill in share.closing if not fill.is_stock]:
            wanted = abs(_delivered(option))
            for place in reversed(range(len(left))):
                part = left[place]
                if wanted <= _DUST or not _is_delivery(part, option):
                    continue
                if _are_held_elsewhere(part, number, entries) or _are_older(part, entries):
                    continue
                delivered, rest = _split(part, min(wanted, abs(part.fill.quantity)))
                wanted -= abs(delivered.quantity)
                share.opening.append(delivered)
                left[place : place + 1] = rest
    if len(assigned) == 1:
        number, share = assigned[0]
        own = [
            part
            for part in left
            if not _are_held_elsewhere(part, number, entries) and not _are_older(part, entries)
        ]
        share.opening += [part.fill for part in own]
        left = [part for part in left if part not in own]
    return left


def _are_older(part: _OrderPart, entries: Mapping[int, nouns.JournalEntry]) -> bool:
    """Whether shares go that were there before anything that was imported."""
    if part.opens is not False:
        return False
    held = math.fsum(
        max(-campaign.held_of(campaign.held(entry), part.fill) * part.fill.quantity, 0.0)
        for entry in entries.values()
    )
    return held <= _DUST


def _are_held_elsewhere(
    part: _OrderPart, number: int, entries: Mapping[int, nouns.JournalEntry]
) -> bool:
    """Whether shares that go are held by other entries alone."""
    if part.opens is True:
        return False

    def takes(entry: nouns.JournalEntry) -> bool:
        return entry.is_open and any(
            leg.is_stock and leg.quantity * part.fill.quantity < 0.0 for leg in campaign.held(entry)
        )

    others = (entry for other, entry in entries.items() if other != number)
    return not takes(entries[number]) and any(takes(entry) for entry in others)


def _action(
    trade: nouns.Trade, closing: Sequence[nouns.Fill], fills: Sequence[nouns.Fill]
) -> tuple[nouns.Action, str]:
    if trade.action is nouns.Action.EXPIRE:
        return nouns.Action.EXPIRE, "expired"
    if trade.action is nouns.Action.ASSIGN:
        return nouns.Action.ASSIGN, "assigned"
    if len(fills) > len(closing):
        return nouns.Action.ROLL, "rolled"
    return nouns.Action.CLOSE, "closed"


def _part(trade: nouns.Trade, fills: tuple[nouns.Fill, ...], action: nouns.Action) -> nouns.Trade:
    return trade.model_copy(
        update={"fills": fills, "action": action, "structures": campaign.count_structures(fills)}
    )


def as_part_of(trade: nouns.Trade, entry: nouns.JournalEntry) -> nouns.Trade:
    """A trade named after what it does to an entry: it closes, rolls or adjusts."""
    if trade.action in campaign.ENDS:
        return trade
    owned = {leg.key: leg.quantity for leg in campaign.held(entry)}
    closing = [fill for fill in trade.fills if owned.get(fill.key, 0.0) * fill.quantity < 0.0]
    action = nouns.Action.ROLL if closing else nouns.Action.ADJUST
    if len(closing) == len(trade.fills):
        action = nouns.Action.CLOSE
    return trade.model_copy(update={"action": action})


def _ids(fills: Iterable[nouns.Fill]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(number for fill in fills for number in fill.exec_id.split()))


# -- numbers of executions ---------------------------------------------------------------------


def numbered(executions: Iterable[Executed]) -> list[Executed]:
    """
    Executions with a number each.

    One that came without gets its own content as number, counted among its equals: the same file
    always gives the same numbers.
    """
    counts: Counter[object] = Counter()
    given: dict[str, Executed] = {}
    result = []
    every = list(executions)
    numbers = [_number_of(execution) for execution in every]
    is_counted = not all(numbers)
    for execution, number in zip(every, numbers, strict=True):
        if is_counted:
            same = (
                execution.account,
                execution.at,
                execution.symbol,
                execution.contract.key,
                execution.quantity,
                execution.price,
            )
            place = counts[same]
            counts[same] += 1
        if not number:
            number = (
                f"{execution.at:%Y%m%dT%H%M%S}|{execution.symbol}|{execution.contract.name}|"
                f"{execution.quantity:g}|{execution.price:g}|{place}"
            ).replace(" ", "_")
            if execution.account:
                number = f"{execution.account}|{number}"
        elif (other := given.get(number)) is not None and _is_another(execution, other):
            # A replacement has the trade number of what it replaces.
            number = f"{number}/{execution.transaction_id}"
        given.setdefault(number, execution)
        own = execution if number == execution.exec_id else replace(execution, exec_id=number)
        result.append(own)
    return result


def _number_of(execution: Executed) -> str:
    """What the broker numbers it with; without blanks, which stand between numbers in a row."""
    told = execution.exec_id or execution.trade_id or execution.transaction_id
    return "_".join(told.split())


def _is_another(execution: Executed, other: Executed) -> bool:
    ids = {execution.transaction_id, other.transaction_id} - {""}
    return len(ids) > 1 and not execution.exec_id


def corrections(ids: Iterable[str]) -> dict[str, str]:
    """
    Numbers of executions that a later one of the same puts right: older to newest.

    IB's numbers of one execution differ only in the digits after the last of four periods
    (TWS API, "Execution").
    """
    revisions: dict[str, list[str]] = {}
    for number in ids:
        base, _, revision = number.rpartition(".")
        if base.count(".") == _PERIODS and revision.isascii() and revision.isdigit():
            revisions.setdefault(base, []).append(number)
    newest = {base: max(numbers, key=_revision) for base, numbers in revisions.items()}
    return {
        number: newest[base]
        for base, numbers in revisions.items()
        for number in numbers
        if number != newest[base]
    }


def _revision(number: str) -> int:
    return int(number.rpartition(".")[2])


def taken_back(executions: Sequence[Executed]) -> list[tuple[Executed, Executed]]:
    """
    Cancellations with the executions they take back, as far as both are among these.

    By the numbers that a cancellation names; where it names none by what it says of the trade.
    """
    pairs = []
    left = {place: execution for place, execution in enumerate(executions) if not execution.cancels}
    by_terms: dict[tuple[object, ...], list[int]] = {}
    for place, execution in left.items():
        by_terms.setdefault(_terms(execution.symbol, execution.contract), []).append(place)
    for cancel in (execution for execution in executions if execution.cancels):
        fits = [
            (not _is_named(cancel, left[place]), left[place].quantity != -cancel.quantity,
             left[place].at, place)
            for place in by_terms.get(_terms(cancel.symbol, cancel.contract), ())
            if place in left and _is_taken_back(cancel, left[place])
        ]  # fmt: skip
        if fits:
            pairs.append((cancel, left.pop(min(fits)[-1])))
    return pairs


def _is_named(cancel: Executed, execution: Executed) -> bool:
    return not {execution.transaction_id, execution.exec_id, ""}.isdisjoint(cancel.corrects)


def _is_taken_back(cancel: Executed, execution: Executed) -> bool:
    if cancel.account and execution.account and cancel.account != execution.account:
        return False
    if _is_named(cancel, execution):
        return True
    is_alike = (
        campaign.is_same(execution.contract, cancel.contract)
        and abs(execution.quantity) == abs(cancel.quantity)
        and abs(execution.price - cancel.price) < 0.5 * _CENT
        and execution.at <= cancel.at
    )
    is_told = not cancel.corrects or execution.trade_id in cancel.corrects
    return is_alike and (is_told or not execution.trade_id)


def without_corrected(executions: Sequence[Executed]) -> tuple[list[Executed], dict[str, str]]:
    """
    Executions that count, and why others do not, by number.

    A cancellation and what it takes back come to nothing, a correction counts in place of what it
    corrects. What the broker charged for a trade that it booked anew stays with the new booking.
    """
    aside: dict[str, str] = {}
    newer = corrections(execution.exec_id for execution in executions)
    by_id: dict[str, Executed] = {}
    for execution in executions:
        for number in (execution.trade_id, execution.transaction_id, execution.exec_id):
            if number and not execution.cancels:
                by_id.setdefault(number, execution)
    carried: dict[str, float] = {}
    for cancel, original in taken_back(executions):
        aside[original.exec_id] = f"taken back by {cancel.exec_id}"
        aside[cancel.exec_id] = f"takes {original.exec_id} back"
        again = newer.get(original.exec_id) or _booked_anew(executions, cancel, original)
        if again is not None:
            paid = (original.commission or 0.0) + (cancel.commission or 0.0)
            carried[again] = carried.get(again, 0.0) + paid
    for number, newest in newer.items():
        aside.setdefault(number, f"put right by {newest}")
    for execution in executions:
        for number in execution.corrects if not execution.cancels else ():
            old = by_id.get(number)
            if old is not None and old.exec_id != execution.exec_id:
                aside.setdefault(old.exec_id, f"put right by {execution.exec_id}")
    kept = [
        replace(execution, commission=(execution.commission or 0.0) + carried[execution.exec_id])
        if execution.exec_id in carried
        else execution
        for execution in executions
        if execution.exec_id not in aside
    ]
    return kept, aside


def _booked_anew(
    executions: Sequence[Executed], cancel: Executed, original: Executed
) -> str | None:
    """The number of the booking that replaces a cancelled one: it has the same trade number."""
    if not original.trade_id:
        return None
    return next(
        (
            execution.exec_id
            for execution in executions
            if execution.trade_id == original.trade_id
            and not execution.cancels
            and execution.exec_id != original.exec_id
            and campaign.is_same(execution.contract, original.contract)
        ),
        None,
    )


def enriched(execution: Executed, other: Executed) -> Executed:
    """An execution with what another report of it tells beside."""
    names = ("order", "action", "opens", "account", "currency", "trade_id", "transaction_id",
             "corrects", "source", "commission")  # fmt: skip
    told = {
        name: value
        for name in names
        if getattr(execution, name) in (None, "", ())
        and (value := getattr(other, name)) not in (None, "", ())
    }
    contract, its = execution.contract, other.contract
    terms: dict[str, object] = {}
    if contract.con_id is None and its.con_id is not None:
        terms["con_id"] = its.con_id
    if not contract.trading_class and its.trading_class:
        terms["trading_class"] = its.trading_class
    if execution.lacks_multiplier and not other.lacks_multiplier:
        terms["multiplier"] = its.multiplier
        told["lacks_multiplier"] = False
    if terms:
        told["contract"] = contract.model_copy(update=terms)
    return replace(execution, **told) if told else execution


# -- entries made anew -------------------------------------------------------------------------


def carried_over(
    released: Sequence[nouns.JournalEntry], made: Sequence[nouns.JournalEntry]
) -> list[nouns.JournalEntry]:
    """
    Entries that were placed anew, in the place of those they were before.

    The entry that its opening executions belong to gives number, notes, rules and marks; one whose
    executions went elsewhere is cancelled and says so.
    """
    openings = {number: place for place, entry in enumerate(made) for number in _opening(entry)}
    result: list[nouns.JournalEntry] = []
    used: set[int] = set()
    for entry in released:
        places = [openings[number] for number in _opening(entry) if number in openings]
        place = next((place for place in places if place not in used), None)
        if place is None:
            result.append(entry.model_copy(update={
                "status": nouns.EntryStatus.CANCELLED, "trades": (), "flows": (),
                "closed_at": None, "snapshots": (),
            }))  # fmt: skip
            continue
        used.add(place)
        names = ("account", "currency", "opened_at", "closed_at", "status", "trades")
        update = {name: getattr(made[place], name) for name in names}
        result.append(entry.model_copy(update=update))
    return result + [entry for place, entry in enumerate(made) if place not in used]


def _opening(entry: nouns.JournalEntry) -> list[str]:
    fills = entry.trades[0].fills if entry.trades else ()
    return list(_ids(fills))


# -- money beside trades -----------------------------------------------------------------------

_HELD_BEFORE = dt.timedelta(days=75)
"""A dividend is paid weeks after the day that decides who gets it."""
_SETTLES_WITHIN = dt.timedelta(days=5)


def book_cash(
    flows: Iterable[nouns.CashFlow], entries: Sequence[nouns.JournalEntry]
) -> tuple[dict[int, nouns.JournalEntry], dict[str, str]]:
    """
    Give each dividend, payment of interest and settlement in cash to the entries it belongs to.

    Several that share it get their part by what they held, to the cent, and the parts come to the
    whole.

    Returns:
        Changed entries by their place, and by number why a payment belongs to none.
    """
    changed: dict[int, nouns.JournalEntry] = {}
    reasons: dict[str, str] = {}
    of_symbol: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        of_symbol.setdefault(entry.symbol, []).append(place)
    for flow in sorted(flows, key=lambda each: (each.at, each.id)):
        weights = {
            place: weight
            for place in of_symbol.get(flow.symbol, ())
            if (weight := _claim(flow, changed.get(place, entries[place]))) > 0.0
        }
        if not weights:
            what = f"{flow.kind.value} {flow.amount:+.2f} {flow.currency}".rstrip()
            whose = f"of {flow.symbol}: no entry" if flow.symbol else "of the account: no entry"
            reasons[flow.id] = f"{what} {whose} held what it is for"
            continue
        for place, amount in _shared(flow.amount, weights).items():
            entry = changed.get(place, entries[place])
            part = flow.model_copy(update={"amount": amount})
            changed[place] = entry.model_copy(update={"flows": (*entry.flows, part)})
    return changed, reasons


def _claim(flow: nouns.CashFlow, entry: nouns.JournalEntry) -> float:
    """How much of what a payment is for an entry held; 0 for none."""
    accounts = {flow.account, entry.account} - {""}
    currencies = {flow.currency, entry.currency} - {""}
    is_other = len(accounts) > 1 or len(currencies) > 1 or entry.opened_at > flow.at
    if is_other or entry.status is nouns.EntryStatus.CANCELLED:
        return 0.0
    if flow.kind is nouns.CashKind.SETTLEMENT:
        return _settled_options(flow, entry)
    if entry.closed_at is not None and flow.at - entry.closed_at > _HELD_BEFORE:
        return 0.0
    recent = (trade.at for trade in reversed(entry.trades) if trade.at <= flow.at)
    before = (at - dt.timedelta(microseconds=1) for at in recent if flow.at - at <= _HELD_BEFORE)
    moments = [flow.at, *before]
    for moment in moments:
        shares = math.fsum(leg.quantity for leg in campaign.held(entry, moment) if leg.is_stock)
        if shares and (shares > 0.0) is _is_for_long(flow):
            return abs(shares)
    return 0.0


def _is_for_long(flow: nouns.CashFlow) -> bool:
    """Whether whoever holds shares gets or pays it, and not who is short of them."""
    if flow.kind in (nouns.CashKind.DIVIDEND, nouns.CashKind.IN_LIEU):
        return flow.amount > 0.0
    return flow.kind is nouns.CashKind.WITHHOLDING


def _settled_options(flow: nouns.CashFlow, entry: nouns.JournalEntry) -> float:
    return math.fsum(
        abs(fill.quantity)
        for trade in entry.trades
        if trade.action in (nouns.Action.ASSIGN, nouns.Action.EXPIRE)
        and abs(trade.at - flow.at) <= _SETTLES_WITHIN
        and not any(other.is_stock for other in trade.fills)
        for fill in trade.fills
        if flow.contract is None or campaign.is_same(fill, flow.contract)
    )


def _shared(amount: float, weights: Mapping[int, float]) -> dict[int, float]:
    """An amount by weight, each part in cents, and the parts come to the whole."""
    total, parts, running, given = math.fsum(weights.values()), {}, 0.0, 0.0
    for place, weight in weights.items():
        running += weight
        upto = amount if running >= total - _DUST else round(amount * running / total, 2)
        parts[place] = round(upto - given, 6)
        given = upto
    return {place: part for place, part in parts.items() if part}


# -- one trade by two roads --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Executions of one contract and side that another report may show as one row."""

    first: dt.datetime
    last: dt.datetime
    quantity: float
    value: float
    ids: frozenset[str]
    account: str


def told_before(new: Sequence[Executed], known: Sequence[Executed]) -> dict[str, str]:
    """
    New executions that a report of another kind already contains, each with the known number.

    Statements know no execution numbers, orders have one of their own: there a trade is the same
    when contract, quantity, price and time are, its parts taken together or one by one.
    """
    known_as: dict[str, str] = {}
    kinds = {_kind(execution.exec_id) for execution in known}
    for kind in {_kind(execution.exec_id) for execution in new}:
        if not kinds - {kind}:
            continue
        fresh = _bundles(execution for execution in new if _kind(execution.exec_id) == kind)
        others = _bundles(
            execution
            for execution in known
            if _kind(execution.exec_id) != kind and _side(execution) in fresh
        )
        pairs = [
            (_apart(bundle, other), sorted(bundle.ids), sorted(other.ids))
            for name, bundles in fresh.items()
            for bundle in bundles
            for other in others.get(name, ())
            if _is_same(bundle, other)
        ]
        used: set[str] = set()
        for _, ids, known_ids in sorted(pairs):
            if used.isdisjoint(ids) and used.isdisjoint(known_ids):
                used.update(ids, known_ids)
                known_as |= dict.fromkeys(ids, known_ids[0])
    return known_as


def _kind(number: str) -> str:
    """Whose number it is: a statement's (made up here), a trade's or an execution's."""
    return "statement" if "|" in number else "trade" if number.isdigit() else "execution"


def _bundles(executions: Iterable[Executed]) -> dict[tuple[object, ...], list[_Bundle]]:
    """By contract and side: each execution, those of one second, and those of one order."""
    groups: dict[tuple[object, ...], dict[object, list[Executed]]] = {}
    for execution in executions:
        name = _side(execution)
        bundles = groups.setdefault(name, {})
        bundles.setdefault(execution.exec_id, []).append(execution)
        bundles.setdefault(execution.at.astimezone(dt.UTC).replace(microsecond=0), []).append(
            execution
        )
        if execution.order:
            bundles.setdefault((execution.order, _day(execution.at)), []).append(execution)
    return {name: list({_bundle(parts) for parts in of.values()}) for name, of in groups.items()}


def _side(execution: Executed) -> tuple[object, ...]:
    """Contract and side, by what every report tells of it."""
    terms = _terms(execution.symbol, execution.contract)
    return (*terms, execution.quantity > 0.0, execution.cancels)


def _bundle(executions: Sequence[Executed]) -> _Bundle:
    return _Bundle(
        min(execution.at for execution in executions),
        max(execution.at for execution in executions),
        round(math.fsum(execution.quantity for execution in executions), 6),
        round(math.fsum(execution.quantity * execution.price for execution in executions), 6),
        frozenset(execution.exec_id for execution in executions),
        executions[0].account,
    )


def _is_same(bundle: _Bundle, other: _Bundle) -> bool:
    return (
        len({bundle.account, other.account} - {""}) < 2
        and bundle.quantity == other.quantity
        and abs(bundle.value - other.value) <= 0.5 * _CENT * abs(bundle.quantity)
        and _apart(bundle, other) <= _NEAR
    )


def _apart(bundle: _Bundle, other: _Bundle) -> dt.timedelta:
    return max(bundle.first - other.last, other.first - bundle.last, dt.timedelta(0))
