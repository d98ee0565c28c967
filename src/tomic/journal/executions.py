"""
Executions of a broker, put together into the trades that they were, and trades into campaigns.

Nobody types a result: what was bought and sold comes from here, or from the trader's own prices.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tomic.journal import campaign
from tomic.models.journal import (
    Action,
    Contract,
    ContractKey,
    Fill,
    JournalEntry,
    Trade,
)

_TOGETHER = dt.timedelta(seconds=5)
"""Executions without an order number belong together when they are this close in time."""


@dataclass(frozen=True, slots=True)
class Executed:
    """One execution as a broker reports it."""

    exec_id: str
    at: dt.datetime
    symbol: str
    contract: Contract
    quantity: float
    """Signed: bought or sold."""
    price: float
    """Currency per share."""
    commission: float | None = None
    """A cost is positive; None where the broker did not say."""
    order: str = ""
    """Number of the order, shared by the legs of a combination."""
    action: Action | None = None
    """EXPIRE or ASSIGN where the broker says so."""


@dataclass(frozen=True, slots=True)
class Placed:
    """
    What became of the executions of one order.

    *entry* is the whole entry afterwards; *number* its place among those given, or beyond them.
    """

    number: int
    entry: JournalEntry
    exec_ids: tuple[str, ...]
    how: str
    """opened, closed, rolled, adjusted, expired, assigned, or confirmed (was typed before)."""


def to_trades(
    executions: Iterable[Executed], *, commission: float = 0.0
) -> list[tuple[str, Trade]]:
    """
    Put executions together, order by order, in order of time; returns symbol and trade.

    Partial fills of one contract become one fill at the mean price. Where the broker said no
    commission, *commission* per contract is taken.
    """
    ordered = sorted(executions, key=lambda one: one.at)
    groups: list[list[Executed]] = []
    for one in ordered:
        group = next((found for found in reversed(groups) if _same_order(found, one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return [(group[0].symbol, _trade(group, commission)) for group in groups]


def _same_order(group: Sequence[Executed], one: Executed) -> bool:
    last = group[-1]
    if last.symbol != one.symbol or last.action is not one.action:
        return False
    if one.order or last.order:
        return one.order == last.order and one.at.date() == last.at.date()
    return one.at - last.at <= _TOGETHER


def _trade(group: Sequence[Executed], commission: float) -> Trade:
    by_contract: dict[tuple[ContractKey, bool], list[Executed]] = {}
    for one in group:
        by_contract.setdefault((one.contract.key, one.quantity > 0.0), []).append(one)
    fills = tuple(_fill(found, commission) for found in by_contract.values())
    return Trade(
        at=group[0].at,
        action=group[0].action or Action.OPEN,
        fills=fills,
        structures=campaign.count_structures(fills),
    )


def _fill(found: Sequence[Executed], commission: float) -> Fill:
    quantity = sum(one.quantity for one in found)
    value = sum(one.quantity * one.price for one in found)
    paid = sum(
        (0.0 if one.contract.is_stock else commission * abs(one.quantity))
        if one.commission is None
        else one.commission
        for one in found
    )
    return Fill(
        **found[0].contract.model_dump(),
        quantity=quantity,
        price=round(value / quantity, 9),
        commission=round(paid, 6),
        exec_id=" ".join(one.exec_id for one in found),
    )


# -- into campaigns ----------------------------------------------------------------------------


def place(
    executions: Iterable[Executed], entries: Sequence[JournalEntry], *, commission: float = 0.0
) -> list[Placed]:
    """
    Find the campaign of each trade: what closes or rolls legs of an open entry belongs to it.

    A trade that somebody typed before the broker reported it (same day, same legs, no execution
    numbers) is confirmed, with the broker's prices. What opens legs beside those it closes is a
    roll; what belongs nowhere opens an entry of its own. Ask with unlinked executions only.

    Returns:
        One per trade, in order of time; a later one sees the entries as the earlier ones left them.
    """
    known = dict(enumerate(entries))
    placed = []
    for symbol, trade in to_trades(executions, commission=commission):
        for found in _place(symbol, trade, known):
            number, entry, how, ids = found
            known[number] = entry
            placed.append(Placed(number, entry, ids, how))
    return placed


def _place(
    symbol: str, trade: Trade, known: Mapping[int, JournalEntry]
) -> Iterable[tuple[int, JournalEntry, str, tuple[str, ...]]]:
    ids = _ids(trade.fills)
    typed = _typed(symbol, trade, known)
    if typed is not None:
        number, entry = typed
        return [(number, entry, "confirmed", ids)]
    rest = list(trade.fills)
    found = []
    for number, entry in _candidates(symbol, trade, known):
        closing, rest = _closing(entry, rest)
        if not closing:
            continue
        fills = (*closing, *rest) if _belongs(rest, closing) else tuple(closing)
        rest = [fill for fill in rest if fill not in fills]
        action, how = _action(trade, closing, fills)
        part = _part(trade, fills, action)
        found.append((number, campaign.with_trade(entry, part), how, _ids(fills)))
    if rest:
        number = max(known, default=-1) + 1
        part = _part(trade, tuple(rest), Action.OPEN)
        entry = JournalEntry(symbol=symbol, opened_at=trade.at, trades=(part,))
        found.append((number, entry, "opened", _ids(rest)))
    return found


def _typed(
    symbol: str, trade: Trade, known: Mapping[int, JournalEntry]
) -> tuple[int, JournalEntry] | None:
    """The entry in which somebody typed this very trade, with the broker's fills in its place."""
    wanted = _amounts(trade.fills)
    for number, entry in known.items():
        if entry.symbol != symbol:
            continue
        for index, own in enumerate(entry.trades):
            unconfirmed = not any(fill.exec_id for fill in own.fills)
            if unconfirmed and own.at.date() == trade.at.date() and _amounts(own.fills) == wanted:
                mids = {fill.key: fill.mid for fill in own.fills}
                fills = tuple(
                    fill.model_copy(update={"mid": mids.get(fill.key)}) for fill in trade.fills
                )
                sure = own.model_copy(update={"fills": fills, "price": None})
                trades = (*entry.trades[:index], sure, *entry.trades[index + 1 :])
                return number, entry.model_copy(update={"trades": trades})
    return None


def _amounts(fills: Iterable[Fill]) -> dict[ContractKey, float]:
    total: dict[ContractKey, float] = {}
    for fill in fills:
        total[fill.key] = total.get(fill.key, 0.0) + fill.quantity
    return total


def _candidates(
    symbol: str, trade: Trade, known: Mapping[int, JournalEntry]
) -> list[tuple[int, JournalEntry]]:
    """Open entries that hold legs which the trade takes back, those with most such legs first."""
    found = []
    for number, entry in known.items():
        if entry.symbol != symbol or not entry.is_open or entry.opened_at > trade.at:
            continue
        owned = _held(entry)
        legs = sum(owned.get(fill.key, 0.0) * fill.quantity < 0.0 for fill in trade.fills)
        if legs:
            found.append((-legs, number, entry))
    return [(number, entry) for _, number, entry in sorted(found, key=lambda one: one[:2])]


def _held(entry: JournalEntry) -> dict[ContractKey, float]:
    return {leg.key: leg.quantity for leg in campaign.held(entry)}


def _closing(entry: JournalEntry, fills: Sequence[Fill]) -> tuple[list[Fill], list[Fill]]:
    """Parts of the fills that take back what the entry holds, and what is left of them."""
    owned = _held(entry)
    taken, left = [], []
    for fill in fills:
        quantity = owned.get(fill.key, 0.0)
        if quantity * fill.quantity >= 0.0:
            left.append(fill)
            continue
        size = min(abs(quantity), abs(fill.quantity))
        owned[fill.key] = quantity + (size if fill.quantity > 0.0 else -size)
        part = size / abs(fill.quantity)
        taken.append(_share(fill, part))
        if part < 1.0:
            left.append(_share(fill, 1.0 - part))
    return taken, left


def _share(fill: Fill, part: float) -> Fill:
    return fill.model_copy(
        update={
            "quantity": fill.quantity * part,
            "commission": round(fill.commission * part, 6),
        }
    )


def _belongs(rest: Sequence[Fill], closing: Sequence[Fill]) -> bool:
    """Whether what is opened in the same order replaces what is closed: another contract."""
    closed = {fill.key for fill in closing}
    return bool(rest) and not any(fill.key in closed for fill in rest)


def _action(trade: Trade, closing: Sequence[Fill], fills: Sequence[Fill]) -> tuple[Action, str]:
    if trade.action is Action.EXPIRE:
        return Action.EXPIRE, "expired"
    if trade.action is Action.ASSIGN:
        return Action.ASSIGN, "assigned"
    if len(fills) > len(closing):
        return Action.ROLL, "rolled"
    return Action.CLOSE, "closed"


def _part(trade: Trade, fills: tuple[Fill, ...], action: Action) -> Trade:
    return trade.model_copy(
        update={
            "fills": fills,
            "action": action,
            "structures": campaign.count_structures(fills),
        }
    )


def as_part_of(trade: Trade, entry: JournalEntry) -> Trade:
    """A trade named after what it does to an entry: it closes, rolls or adjusts."""
    if trade.action in campaign.ENDS:
        return trade
    owned = _held(entry)
    closing = [fill for fill in trade.fills if owned.get(fill.key, 0.0) * fill.quantity < 0.0]
    action = Action.ROLL if closing else Action.ADJUST
    if len(closing) == len(trade.fills):
        action = Action.CLOSE
    return trade.model_copy(update={"action": action})


def _ids(fills: Iterable[Fill]) -> tuple[str, ...]:
    return tuple(one for fill in fills for one in fill.exec_id.split())


def with_number(executed: Executed, times_seen: int) -> Executed:
    """An execution number for files that have none: what it says, and which of its equals it is."""
    if executed.exec_id:
        return executed
    text = (
        f"{executed.at:%Y%m%dT%H%M%S}|{executed.symbol}|{executed.contract.name}|"
        f"{executed.quantity:g}|{executed.price:g}|{times_seen}"
    ).replace(" ", "_")
    return replace(executed, exec_id=text)
