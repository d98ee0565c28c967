"""
Puts executions of a broker together into trades, and trades into campaigns.

Nobody types a result: what was bought and sold comes from here, or from the trader's own prices.
What is placed and what is not add up to what was executed, contract by contract.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tomic import dates
from tomic.errors import DataError, TomicError
from tomic.journal import campaign
from tomic.models import journal as nouns

_TOGETHER = dt.timedelta(seconds=5)
"""Executions without an order number belong together when they are this close in time."""
_NEAR = dt.timedelta(minutes=1)
"""A statement gives an order one time, its executions may be some seconds apart."""
_CENT = 0.01
_PERIODS = 2
"""In an execution number of IB before its revision: ``0000e0d5.6561b2a1.01`` and ``.01``."""
_DUST = 1e-9
_MOST_CONTRACTS = 1e9
_MOST_PRICE = 1e7
"""Above any price or strike ever listed, in any currency."""
_MOST_MULTIPLIER = 1_000_000
_MOST_MONEY = 1e12
_MOST_RATIO = 10_000.0
_LETTERS = 3
"""Of a currency, as ISO 4217 writes it."""
_YEARS = range(1970, 2200)


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


def fault(report: Executed | nouns.CashFlow | nouns.ContractChange) -> str:
    """Why this cannot have happened; empty where it can."""
    if isinstance(report, nouns.CashFlow):
        return _cash_fault(report) or _moment_fault(report.at)
    if isinstance(report, nouns.ContractChange):
        return _change_fault(report) or _moment_fault(report.at)
    return _amount_fault(report) or _contract_fault(report.contract) or _moment_fault(report.at)


def _amount_fault(execution: Executed) -> str:
    paid = execution.commission
    numbers = {"quantity": execution.quantity, "price": execution.price, "commission": paid or 0.0}
    odd = [name for name, value in numbers.items() if not math.isfinite(value)]
    if odd:
        return f"{odd[0]} {numbers[odd[0]]:g} is no number"
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
    """opened, closed, rolled, adjusted, expired, assigned, or confirmed (was typed before)."""
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


@dataclass(frozen=True, slots=True)
class _OrderPart:
    """Executions of one contract in one order, on one side."""

    fill: nouns.Fill
    opens: bool | None
    """False for what can only take something back."""
    cancels: bool

    @property
    def exec_ids(self) -> tuple[str, ...]:
        return tuple(self.fill.exec_id.split())


# -- into trades -------------------------------------------------------------------------------


def to_trades(
    executions: Iterable[Executed], *, commission: float = 0.0
) -> list[tuple[str, nouns.Trade]]:
    """
    Put executions together, order by order, in order of time; returns symbol and trade.

    Partial fills of one contract become one fill at the mean price. Where the broker reports no
    commission, *commission* per contract is taken.
    """
    return [
        (group[0].symbol, _trade(group, [part.fill for part in _parts(group, commission)]))
        for group in _by_order(executions)
    ]


def _by_order(executions: Iterable[Executed]) -> list[list[Executed]]:
    groups: list[list[Executed]] = []
    last: dict[tuple[object, ...], list[Executed]] = {}
    for execution in sorted(executions, key=lambda each: each.at):
        name: tuple[object, ...] = (execution.symbol, execution.action, execution.order)
        if execution.order:
            name = (*name, _day(execution.at))
        group = last.get(name)
        if group is None or not (execution.order or execution.at - group[-1].at <= _TOGETHER):
            group = last[name] = []
            groups.append(group)
        group.append(execution)
    return groups


def _trade(group: Sequence[Executed], fills: Sequence[nouns.Fill]) -> nouns.Trade:
    return nouns.Trade(
        at=group[0].at,
        action=group[0].action or nouns.Action.OPEN,
        fills=tuple(fills),
        structures=campaign.count_structures(fills),
    )


def _parts(group: Sequence[Executed], commission: float) -> list[_OrderPart]:
    by_side: dict[tuple[object, ...], list[Executed]] = {}
    for execution in group:
        # Shares that are assigned at two strikes come at two prices.
        is_delivered = execution.contract.is_stock and execution.action is nouns.Action.ASSIGN
        price = round(execution.price, 6) if is_delivered else None
        name = (
            execution.contract.key,
            execution.quantity > 0.0,
            _opens(execution),
            execution.cancels,
            price,
        )
        by_side.setdefault(name, []).append(execution)
    return [
        _OrderPart(_fill(side, commission), _opens(side[0]), side[0].cancels)
        for side in by_side.values()
    ]


def _opens(execution: Executed) -> bool | None:
    is_end = execution.action in campaign.ENDS and not execution.contract.is_stock
    return False if is_end or execution.cancels else execution.opens


def _fill(executions: Sequence[Executed], commission: float) -> nouns.Fill:
    quantity = math.fsum(execution.quantity for execution in executions)
    value = math.fsum(execution.quantity * execution.price for execution in executions)
    paid = sum(
        (0.0 if execution.contract.is_stock else commission * abs(execution.quantity))
        if execution.commission is None
        else execution.commission
        for execution in executions
    )
    return nouns.Fill(
        **executions[0].contract.model_dump(),
        quantity=quantity,
        price=round(value / quantity, 9),
        commission=round(paid, 6),
        exec_id=" ".join(execution.exec_id for execution in executions),
    )


# -- into campaigns ----------------------------------------------------------------------------


def place(
    executions: Iterable[Executed],
    entries: Sequence[nouns.JournalEntry],
    *,
    commission: float = 0.0,
) -> list[PlacedOrder]:
    """
    Find the campaign of each trade: what closes or rolls legs of open entries belongs to them.

    A trade that somebody typed before the broker reported it (same day, same legs, no execution
    numbers) is confirmed, with the broker's prices. One order may close legs of several entries.
    What opens legs beside those it closes is a roll; what else opens legs is an entry of its own.
    What closes, expires or is assigned without being held is set apart: it opens nothing. Ask with
    unlinked executions only.

    Returns:
        One per order, in order of time; a later one sees the entries as the earlier ones left them.
    """
    book = _OpenEntries(entries)
    orders: list[PlacedOrder] = []
    waiting = list(executions)
    while waiting:
        tried = [_tried(group, book, commission) for group in _by_order(waiting)]
        apart = {number for order in tried for each in order.unplaced for number in each.exec_ids}
        waiting = [execution for execution in waiting if execution.exec_id in apart]
        if not any(order.placed for order in tried):
            return [*orders, *tried]
        # A close may come before its opening in the same second: try once more.
        orders += [replace(order, unplaced=()) for order in tried if order.placed]
    return orders


def _tried(group: Sequence[Executed], book: _OpenEntries, commission: float) -> PlacedOrder:
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


class _OpenEntries:
    """Entries by number, as the orders placed so far left them."""

    def __init__(self, entries: Iterable[nouns.JournalEntry] = ()) -> None:
        self._entries: dict[int, nouns.JournalEntry] = {}
        self._of_symbol: dict[str, dict[int, None]] = {}
        for number, entry in enumerate(entries):
            self.keep(number, entry)

    def keep(self, number: int, entry: nouns.JournalEntry) -> None:
        self._entries[number] = entry
        self._of_symbol.setdefault(entry.symbol, {})[number] = None

    def of(self, symbol: str) -> list[tuple[int, nouns.JournalEntry]]:
        return [(number, self._entries[number]) for number in self._of_symbol.get(symbol, ())]

    @property
    def next_number(self) -> int:
        return len(self._entries)


@dataclass(slots=True)
class _Share:
    """What one entry gets of an order."""

    entry: nouns.JournalEntry
    closing: list[nouns.Fill]
    opening: list[nouns.Fill]


def _placed(group: Sequence[Executed], book: _OpenEntries, commission: float) -> PlacedOrder:
    symbol, parts = group[0].symbol, _parts(group, commission)
    trade = _trade(group, [part.fill for part in parts])
    entries = dict(book.of(symbol))
    placed: list[Placed] = []
    typed = None if any(part.cancels for part in parts) else _typed(trade, entries)
    if typed is not None:
        number, entry = typed
        placed = [Placed(number, entry, _ids(trade.fills), "confirmed", trade.fills)]
        return PlacedOrder(tuple(placed))
    parts, confirmed = _typed_ends(trade, parts, entries)
    for number, entry, fills in confirmed:
        entries[number] = entry
        placed.append(Placed(number, entry, _ids(fills), "confirmed", fills))
    parts, unplaced = _without_unheld(trade, parts, entries)
    shares, parts, undelivered = _distribute(trade, parts, entries)
    for number, share in shares.items():
        fills = (*share.closing, *share.opening)
        action, how = _action(trade, share.closing, fills)
        entry = campaign.with_trade(entries[number], _part(trade, fills, action))
        placed.append(Placed(number, entry, _ids(fills), how, fills))
    if parts:
        fills = tuple(part.fill for part in parts)
        own = _part(trade, fills, nouns.Action.OPEN)
        entry = nouns.JournalEntry(symbol=symbol, opened_at=trade.at, trades=(own,))
        placed.append(Placed(book.next_number, entry, _ids(fills), "opened", fills))
    order = PlacedOrder(tuple(placed), (*unplaced, *undelivered))
    _check_conserved(group, order)
    return order


def _check_conserved(group: Sequence[Executed], order: PlacedOrder) -> None:
    """Placed and unplaced come to what was executed, contract by contract."""
    apart = {number for refused in order.unplaced for number in refused.exec_ids}
    expected = _amounts(execution for execution in group if execution.exec_id not in apart)
    actual = _amounts(fill for placed in order.placed for fill in placed.fills)
    for key in expected.keys() | actual.keys():
        gap = expected.get(key, 0.0) - actual.get(key, 0.0)
        if abs(gap) > _DUST * max(1.0, abs(expected.get(key, 0.0))):
            raise DataError(f"{gap:+g} of {key} would be lost; please report this")


def _amounts(fills: Iterable[nouns.Fill | Executed]) -> dict[nouns.ContractKey, float]:
    total: dict[nouns.ContractKey, float] = {}
    for fill in fills:
        key = fill.contract.key if isinstance(fill, Executed) else fill.key
        total[key] = total.get(key, 0.0) + fill.quantity
    return total


# -- typed before ------------------------------------------------------------------------------


def _typed(
    trade: nouns.Trade, entries: Mapping[int, nouns.JournalEntry]
) -> tuple[int, nouns.JournalEntry] | None:
    """The entry in which somebody typed this very trade, with the broker's fills in its place."""
    traded = _amounts(trade.fills)
    for number, entry in entries.items():
        for index, own in enumerate(entry.trades):
            if _is_typed_on(own, trade) and _amounts(own.fills) == traded:
                return number, _confirmed(entry, index, trade.fills)
    return None


def _is_typed_on(own: nouns.Trade, trade: nouns.Trade) -> bool:
    is_confirmed = any(fill.exec_id for fill in own.fills)
    return not is_confirmed and _day(own.at) == _day(trade.at)


def _day(at: dt.datetime) -> dt.date:
    return at.astimezone(dates.NEW_YORK).date()


def _confirmed(
    entry: nouns.JournalEntry, index: int, fills: Sequence[nouns.Fill]
) -> nouns.JournalEntry:
    own = entry.trades[index]
    mids = {fill.key: fill.mid for fill in own.fills}
    sure = tuple(fill.model_copy(update={"mid": mids.get(fill.key)}) for fill in fills)
    trade = own.model_copy(update={"fills": sure, "price": None})
    trades = (*entry.trades[:index], trade, *entry.trades[index + 1 :])
    return entry.model_copy(update={"trades": trades})


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
            if part.fill.key == fill.key
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
    owned: Counter[tuple[nouns.ContractKey, bool]] = Counter()
    for entry in _open_at(trade, entries).values():
        for leg in campaign.held(entry):
            owned[leg.key, leg.quantity > 0.0] += abs(leg.quantity)  # type: ignore[assignment]
    kept, apart = [], []
    for part in parts:
        fill = part.fill
        name = (fill.key, fill.quantity < 0.0)
        if not _only_closes(trade, part) or abs(fill.quantity) <= owned[name] + _DUST:
            if part.opens is not True:
                owned[name] -= abs(fill.quantity)  # type: ignore[assignment]
            kept.append(part)
        else:
            apart.append((part, max(owned[name], 0)))
    unplaced = []
    for part, amount in apart:
        delivered = [other for other in kept if _is_delivery(other.fill, part.fill)]
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


def _open_at(
    trade: nouns.Trade, entries: Mapping[int, nouns.JournalEntry]
) -> dict[int, nouns.JournalEntry]:
    return {
        number: entry
        for number, entry in entries.items()
        if entry.is_open and entry.opened_at <= trade.at
    }


def _distribute(
    trade: nouns.Trade, parts: Sequence[_OrderPart], entries: Mapping[int, nouns.JournalEntry]
) -> tuple[dict[int, _Share], list[_OrderPart], list[Unplaced]]:
    """
    What each open entry gets; what opens an entry of its own; and shares that belong nowhere.

    Entries take back what they hold, those with most such legs first. What replaces it by another
    contract goes with it.
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
            Unplaced(part.exec_ids, f"{part.fill.quantity:+g} shares are delivered for an option "
                     "that no open entry holds; import what opened it")
            for part in stock
            if part.opens is False
        ]  # fmt: skip
        return shares, [*rest, *(part for part in stock if part.opens is not False)], apart
    closed = {fill.key for share in shares.values() for fill in share.closing}
    if not shares or any(part.fill.key in closed for part in rest):
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
    for number, entry in _candidates(trade, closers, entries):
        owned = {leg.key: leg.quantity for leg in campaign.held(entry)}
        for place in reversed(range(len(left))):
            part = left[place]
            quantity = owned.get(part.fill.key, 0.0)
            if part.opens is True or quantity * part.fill.quantity >= 0.0:
                continue
            size = min(abs(quantity), abs(part.fill.quantity))
            closing, rest = _split(part, size)
            owned[closing.key] = quantity + closing.quantity
            shares.setdefault(number, _Share(entry, [], [])).closing.insert(0, closing)
            left[place : place + 1] = rest
    return left


def _candidates(
    trade: nouns.Trade, fills: Sequence[nouns.Fill], entries: Mapping[int, nouns.JournalEntry]
) -> list[tuple[int, nouns.JournalEntry]]:
    """Open entries that hold legs which the fills take back, those with most such legs first."""
    ranked = []
    for number, entry in _open_at(trade, entries).items():
        owned = {leg.key: leg.quantity for leg in campaign.held(entry)}
        legs = sum(owned.get(fill.key, 0.0) * fill.quantity < 0.0 for fill in fills)
        if legs:
            ranked.append((-legs, number, entry))
    return [(number, entry) for _, number, entry in sorted(ranked, key=lambda each: each[:2])]


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


def _is_delivery(shares: nouns.Fill, option: nouns.Fill) -> bool:
    """Whether shares come from, or go for, an exercised option: its strike, and the right side."""
    if not shares.is_stock or option.strike is None or shares.price is None:
        return False
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
                if wanted <= _DUST or not _is_delivery(part.fill, option):
                    continue
                if _are_held_elsewhere(part, number, entries):
                    continue
                delivered, rest = _split(part, min(wanted, abs(part.fill.quantity)))
                wanted -= abs(delivered.quantity)
                share.opening.append(delivered)
                left[place : place + 1] = rest
    if len(assigned) == 1:
        number, share = assigned[0]
        own = [part for part in left if not _are_held_elsewhere(part, number, entries)]
        share.opening += [part.fill for part in own]
        left = [part for part in left if part not in own]
    return left


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
    result = []
    for execution in executions:
        same = (
            execution.at,
            execution.symbol,
            execution.contract.key,
            execution.quantity,
            execution.price,
        )
        # Numbers are kept in a row, with blanks between them.
        number = "_".join(execution.exec_id.split())
        if not number:
            number = (
                f"{execution.at:%Y%m%dT%H%M%S}|{execution.symbol}|{execution.contract.name}|"
                f"{execution.quantity:g}|{execution.price:g}|{counts[same]}"
            ).replace(" ", "_")
        result.append(replace(execution, exec_id=number))
        counts[same] += 1
    return result


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
    """Cancellations with the executions they take back, as far as both are among these."""
    pairs = []
    left = [execution for execution in executions if not execution.cancels]
    for cancel in (execution for execution in executions if execution.cancels):
        fits = [
            (execution.quantity != -cancel.quantity, execution.at, place)
            for place, execution in enumerate(left)
            if (execution.symbol, execution.contract.key) == (cancel.symbol, cancel.contract.key)
            and abs(execution.quantity) == abs(cancel.quantity)
            and abs(execution.price - cancel.price) < 0.5 * _CENT
            and execution.at <= cancel.at
        ]
        if fits:
            pairs.append((cancel, left.pop(min(fits)[2])))
    return pairs


# -- one trade by two roads --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Executions of one contract and side that another report may show as one row."""

    first: dt.datetime
    last: dt.datetime
    quantity: float
    value: float
    ids: frozenset[str]


def told_before(new: Sequence[Executed], known: Sequence[Executed]) -> dict[str, str]:
    """
    New executions that a report of another kind already contains, each with the known number.

    Statements know no execution numbers, orders have one of their own: there a trade is the same
    when contract, quantity, price and time are, its parts taken together or one by one.
    """
    known_as: dict[str, str] = {}
    for kind in {_kind(execution.exec_id) for execution in new}:
        fresh = _bundles(execution for execution in new if _kind(execution.exec_id) == kind)
        others = _bundles(execution for execution in known if _kind(execution.exec_id) != kind)
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
        name = (
            execution.symbol,
            execution.contract.key,
            execution.quantity > 0.0,
            execution.cancels,
        )
        bundles = groups.setdefault(name, {})
        bundles.setdefault(execution.exec_id, []).append(execution)
        bundles.setdefault(execution.at.astimezone(dt.UTC).replace(microsecond=0), []).append(
            execution
        )
        if execution.order:
            bundles.setdefault((execution.order, _day(execution.at)), []).append(execution)
    return {name: list({_bundle(parts) for parts in of.values()}) for name, of in groups.items()}


def _bundle(executions: Sequence[Executed]) -> _Bundle:
    return _Bundle(
        min(execution.at for execution in executions),
        max(execution.at for execution in executions),
        round(math.fsum(execution.quantity for execution in executions), 6),
        round(math.fsum(execution.quantity * execution.price for execution in executions), 6),
        frozenset(execution.exec_id for execution in executions),
    )


def _is_same(bundle: _Bundle, other: _Bundle) -> bool:
    return (
        bundle.quantity == other.quantity
        and abs(bundle.value - other.value) <= 0.5 * _CENT * abs(bundle.quantity)
        and _apart(bundle, other) <= _NEAR
    )


def _apart(bundle: _Bundle, other: _Bundle) -> dt.timedelta:
    return max(bundle.first - other.last, other.first - bundle.last, dt.timedelta(0))
