"""
What a campaign holds and what it brought in, computed from its trades and never typed.

An entry is one campaign: opening, adjustments, rolls, partial closes, assignment and expiry are
trades of it, so it has one result. Money is in currency; cash received is positive.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tomic import dates
from tomic.errors import UsageError
from tomic.models import journal as nouns

_EITHER = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""A comma before three digits: of thousands in one language, of decimals in another."""
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3}(?:,\d{3})+(?:\.\d*)?|,\d{3}\.\d*)", re.ASCII)
DUST = 1e-9
"""Contracts below which a position counts as flat."""

ENDS = frozenset({nouns.Action.CLOSE, nouns.Action.EXPIRE, nouns.Action.ASSIGN})
"""Actions that may only lessen the options held."""


class Worth(NamedTuple):
    """What a campaign is worth at some moment; currency."""

    cash: float
    """Received less paid in all trades and bookings, before commissions."""
    commissions: float
    value: float | None
    """Of what is held, at the marks given; None where a mark is missing."""
    pnl: float | None
    """cash + value - commissions; None where value is."""
    missing: tuple[str, ...]
    """Held contracts without a mark."""


def cash(trade: nouns.Trade) -> float:
    """What a trade brought in, before commissions; negative when it was paid for."""
    if trade.price is not None:
        return trade.price * trade.structures * structure_multiplier(trade.fills)
    return _received(trade.fills)


def _received(fills: Iterable[nouns.Fill]) -> float:
    """What fills brought in at their own prices; those without one are part of a net price."""
    return sum(
        -fill.quantity * fill.multiplier * fill.price for fill in fills if fill.price is not None
    )


def booked(entry: nouns.JournalEntry) -> float:
    """Dividends, interest and settlements in cash so far; negative when more was paid."""
    return math.fsum(flow.amount for flow in entry.flows)


def option_cash(trade: nouns.Trade) -> float | None:
    """The same of the options alone; None when a net price covers shares without their price."""
    stock = [fill for fill in trade.fills if fill.is_stock]
    if any(fill.price is None for fill in stock):
        return None
    return cash(trade) - _received(stock)


def commissions(entry: nouns.JournalEntry) -> float:
    """Every commission so far, as a positive cost."""
    return math.fsum(fill.commission for trade in entry.trades for fill in trade.fills)


def structure_multiplier(fills: Iterable[nouns.Contract]) -> int:
    """Shares per contract of the options, 1 when there are only shares."""
    return next((fill.multiplier for fill in fills if not fill.is_stock), 1)


def count_structures(fills: Sequence[nouns.Held | nouns.Fill]) -> int:
    """How many of the smallest whole structure there are: 2 for ``-2 560P, +2 550P``."""
    amounts = [abs(fill.quantity) for fill in fills if not fill.is_stock]
    if not amounts:
        return 1
    if any(amount != round(amount) for amount in amounts):
        return 1
    return math.gcd(*(round(amount) for amount in amounts))


def held(entry: nouns.JournalEntry, until: dt.datetime | None = None) -> tuple[nouns.Held, ...]:
    """
    Contracts still held after the trades up to and including *until*, in order of appearance.

    Quantities of the same contract are summed; those that come to nothing are left out.
    """
    trades = entry.trades
    if until is not None and any(trade.at > until for trade in trades):
        return _sum(trade for trade in trades if trade.at <= until)
    place = id(trades) // 16 % len(_HELD)
    known, legs = _HELD[place]
    if known is not trades:
        legs = _sum(trades)
        _HELD[place] = trades, legs
    return legs


_HELD: list[tuple[tuple[nouns.Trade, ...], tuple[nouns.Held, ...]]] = [((), ())] * 512
"""
What trades leave, at a place that follows from where they stand in memory.

Trades never change, and placing thousands of orders asks for the same ones again and again. They
are kept beside the answer, so that no others can be taken for them; threads that write at one place
cost each other an answer and nothing else.
"""


@dataclass(slots=True)
class _Running:
    """What has been bought and sold of one contract so far."""

    first: nouns.Contract
    con_id: int | None
    trading_class: str
    quantity: float

    def is_of(self, fill: nouns.Contract) -> bool:
        """Whether a fill under the same terms is of the same contract."""
        if self.con_id is not None and fill.con_id is not None and self.con_id != fill.con_id:
            return False
        return nouns.is_one_class(self.trading_class, fill.trading_class)

    def held(self) -> nouns.Held:
        first = self.first
        return nouns.Held.of_checked(
            {
                "expiry": first.expiry,
                "strike": first.strike,
                "right": first.right,
                "multiplier": first.multiplier,
                "con_id": self.con_id,
                "trading_class": self.trading_class,
                "quantity": self.quantity,
            }
        )


def _sum(trades: Iterable[nouns.Trade]) -> tuple[nouns.Held, ...]:
    total: dict[tuple[object, ...], list[_Running]] = {}
    for trade in trades:
        for fill in trade.fills:
            alike = total.setdefault(fill.terms, [])
            running = next((own for own in alike if own.is_of(fill)), None)
            if running is None:
                alike.append(_Running(fill, fill.con_id, fill.trading_class, fill.quantity))
                continue
            running.quantity += fill.quantity
            running.trading_class = running.trading_class or fill.trading_class
            if running.con_id is None:
                running.con_id = fill.con_id
    return tuple(
        running.held()
        for alike in total.values()
        for running in alike
        if abs(running.quantity) > DUST
    )


def _is_like(key: nouns.ContractKey, other: nouns.ContractKey) -> bool:
    """
    Whether two can be one contract, by whichever of its days each is named.

    TWS names SPX by its last trading day, people by that of its settlement: see `dates`.
    """
    if key[1:4] != other[1:4]:
        return False
    if key.expiry == other.expiry or key.expiry is None or other.expiry is None:
        return key.is_like(other)
    name = key.trading_class or other.trading_class
    if not dates.settles_at_open(name):
        return False
    days = {dates.settlement_day(day, trading_class=name) for day in (key.expiry, other.expiry)}
    return len(days) == 1 and key.is_like(other._replace(expiry=key.expiry))


def is_same(contract: nouns.Contract, other: nouns.Contract) -> bool:
    """
    Whether two are one contract of an underlying.

    By contract id where both have one, else by terms: a class that is not known may be any, and an
    option that settles at the open has two days that name it.
    """
    if contract.con_id is not None and other.con_id is not None:
        return contract.con_id == other.con_id
    return _is_like(contract.key, other.key)


def held_of(legs: Iterable[nouns.Held], contract: nouns.Contract) -> float:
    """How much of a contract is among the legs; negative when short."""
    return math.fsum(leg.quantity for leg in legs if is_same(leg, contract))


def worth(entry: nouns.JournalEntry, marks: Mapping[nouns.ContractKey, float | None]) -> Worth:
    """Cash, costs and P&L with what is held valued at *marks* (currency per share)."""
    received = math.fsum(map(cash, entry.trades)) + booked(entry)
    costs = commissions(entry)
    legs = held(entry)
    value = value_at(legs, marks)
    if value is None:
        missing = tuple(leg.name for leg in legs if nouns.price_of(marks, leg.key) is None)
        return Worth(received, costs, None, None, missing)
    return Worth(received, costs, value, received + value - costs, ())


def value_at(
    legs: Iterable[nouns.Held | nouns.Fill], marks: Mapping[nouns.ContractKey, float | None]
) -> float | None:
    """Value of *legs* at *marks* (currency per share), in currency; None where one is missing."""
    total = []
    for leg in legs:
        price = nouns.price_of(marks, leg.key)
        if price is None:
            return None
        total.append(leg.quantity * leg.multiplier * price)
    return math.fsum(total)


def option_pnl(
    entry: nouns.JournalEntry, marks: Mapping[nouns.ContractKey, float | None]
) -> float | None:
    """
    P&L of the options alone, after all commissions; None where a mark or a price is missing.

    Shares that were bought beside them would drown the premium; see `pnl_against_premium`.
    """
    received = _option_cash_of(entry.trades)
    value = value_at([leg for leg in held(entry) if not leg.is_stock], marks)
    if received is None or value is None:
        return None
    return received + value - commissions(entry) + _settled(entry)


def pnl_against_premium(
    entry: nouns.JournalEntry, marks: Mapping[nouns.ContractKey, float | None]
) -> float | None:
    """
    What exit rules measure against the premium, after all commissions, currency.

    Of the options alone; once shares were assigned, of everything: they are what became of the
    options. None where anything held has no mark, or a price is missing.
    """
    pnl = worth(entry, marks).pnl
    if pnl is None or _has_delivered(entry):
        return pnl
    return option_pnl(entry, marks)


def received_against_premium(entry: nouns.JournalEntry) -> float | None:
    """`pnl_against_premium` before what is held and before commissions; None where not known."""
    if _has_delivered(entry):
        return math.fsum(map(cash, entry.trades)) + booked(entry)
    received = _option_cash_of(entry.trades)
    return None if received is None else received + _settled(entry)


def counted(entry: nouns.JournalEntry) -> tuple[nouns.Held, ...]:
    """What is held and measured against the premium: the options, and assigned shares."""
    legs = held(entry)
    if _has_delivered(entry):
        return legs
    return tuple(leg for leg in legs if not leg.is_stock)


def has_shares(legs: Iterable[nouns.Contract]) -> bool:
    """Whether shares are among the legs."""
    return any(leg.is_stock for leg in legs)


def _settled(entry: nouns.JournalEntry) -> float:
    """What options brought in by a settlement in cash."""
    kind = nouns.CashKind.SETTLEMENT
    return math.fsum(flow.amount for flow in entry.flows if flow.kind is kind)


def converted(
    entry: nouns.JournalEntry,
    leg: nouns.Held,
    after: nouns.Contract,
    quantity: float,
    *,
    at: dt.datetime,
    note: str,
) -> nouns.JournalEntry:
    """The entry with *quantity* of one contract in place of a leg, for nothing; *note* says why."""
    identity = leg.model_dump(exclude={"quantity"})
    taken = nouns.Fill(**identity, quantity=-leg.quantity, price=0.0)
    given = nouns.Fill(
        **after.model_dump(include=set(nouns.Contract.model_fields)), quantity=quantity, price=0.0
    )
    fills: tuple[nouns.Fill, ...] = (taken, given)
    if leg.is_stock:
        # Shares have no terms: there are more of them, or fewer.
        fills = (taken.model_copy(update={"quantity": quantity - leg.quantity}),)
    return with_trade(
        entry, nouns.Trade(at=at, action=nouns.Action.CONVERT, fills=fills, note=note)
    )


def _has_delivered(entry: nouns.JournalEntry) -> bool:
    """Whether an exercise or an assignment moved shares."""
    return any(
        fill.is_stock
        for trade in entry.trades
        if trade.action is nouns.Action.ASSIGN
        for fill in trade.fills
    )


def _option_cash_of(trades: Iterable[nouns.Trade]) -> float | None:
    """Sum of `option_cash`; None where one is unknown."""
    parts = [option_cash(trade) for trade in trades]
    known = [part for part in parts if part is not None]
    return math.fsum(known) if len(known) == len(parts) else None


def premium(entry: nouns.JournalEntry) -> float | None:
    """
    Net premium of the trades that opened, adjusted or rolled: credit > 0, debit < 0, in currency.

    What profit targets and stops are multiples of. Partial closes do not change it; None where the
    options' share of a price is unknown, or nothing was opened.
    """
    opened = [
        trade
        for trade in entry.trades
        if trade.action not in ENDS and trade.action is not nouns.Action.CONVERT
    ]
    return _option_cash_of(opened) if opened else None


def slippage(entry: nouns.JournalEntry) -> float | None:
    """Cost against the middle of the market in all trades; None where no mid is known."""
    given = []
    for trade in entry.trades:
        mids = [
            -fill.quantity * fill.multiplier * fill.mid
            for fill in trade.fills
            if fill.mid is not None
        ]
        if len(mids) == len(trade.fills):
            given.append(sum(mids) - cash(trade))
    return math.fsum(given) if given else None


def result(entry: nouns.JournalEntry) -> float | None:
    """
    Result of a closed campaign after commissions; None while it is open or was cancelled.

    An entry from another program without usable prices keeps the result stated there.
    """
    if entry.status is not nouns.EntryStatus.CLOSED:
        return None
    if entry.trades and not held(entry):
        return math.fsum(map(cash, entry.trades)) + booked(entry) - commissions(entry)
    return entry.stated.result if entry.stated else None


def first_expiry(entry: nouns.JournalEntry) -> dt.date | None:
    """Next expiry among the options held, or among those first opened when nothing is held."""
    legs: Sequence[nouns.Contract] = held(entry)
    if not legs and entry.trades:
        legs = entry.trades[0].fills
    return min((leg.expiry for leg in legs if leg.expiry is not None), default=None)


def days_left(entry: nouns.JournalEntry, day: dt.date) -> int | None:
    """Calendar days until the first of the options held is settled; None without options."""
    settled = [settlement_day(entry.symbol, leg) for leg in held(entry) if leg.expiry is not None]
    return (min(settled) - day).days if settled else None


def settlement_day(symbol: str, option: nouns.Contract) -> dt.date:
    """The day on which an option of *symbol* is settled; see `dates.settlement_day`."""
    assert option.expiry is not None
    return dates.settlement_day(option.expiry, trading_class=option.trading_class, symbol=symbol)


def opening_expiry(entry: nouns.JournalEntry) -> dt.date | None:
    """First expiry of the opening trade: when the forecast made at entry can be judged."""
    fills = entry.trades[0].fills if entry.trades else ()
    return min((fill.expiry for fill in fills if fill.expiry is not None), default=None)


def days_in_trade(entry: nouns.JournalEntry, day: dt.date) -> int:
    """Calendar days from opening to *day*, or to the close when that was earlier."""
    last = entry.closed_at.date() if entry.closed_at is not None else day
    return (min(last, day) - entry.opened_at.date()).days


def not_before(entry: nouns.JournalEntry, at: dt.datetime) -> dt.datetime:
    """A moment, but not before the last trade: clocks of gateways and computers differ."""
    return max(at, entry.opened_at, *(trade.at for trade in entry.trades))


# -- making trades -----------------------------------------------------------------------------


def with_trade(entry: nouns.JournalEntry, trade: nouns.Trade) -> nouns.JournalEntry:
    """
    The entry with one more trade; closed when nothing is held any more.

    Raises:
        UsageError: The entry is closed, the trade precedes it, or it would close more than is held.
    """
    if not entry.is_open:
        raise UsageError(f"journal entry {entry.id} is {entry.status.value}; nothing can be traded")
    if trade.at < entry.opened_at:
        raise UsageError(f"{trade.at:%Y-%m-%d %H:%M} is before the entry was opened")
    if trade.action in ENDS:
        _check_lessens(entry, trade)
    trades = tuple(sorted((*entry.trades, trade), key=lambda each: each.at))
    changed = entry.model_copy(update={"trades": trades})
    if held(changed):
        return changed
    return changed.model_copy(
        update={"status": nouns.EntryStatus.CLOSED, "closed_at": trades[-1].at}
    )


def _check_lessens(entry: nouns.JournalEntry, trade: nouns.Trade) -> None:
    legs = held(entry)
    for fill in trade.fills:
        if fill.is_stock and trade.action is nouns.Action.ASSIGN:
            continue
        quantity = held_of(legs, fill)
        if quantity * fill.quantity >= 0.0 or abs(fill.quantity) > abs(quantity) + DUST:
            raise UsageError(
                f"{fill.quantity:+g} {fill.name} cannot close {quantity:+g} that is held; "
                "tomic journal roll opens legs"
            )


def closing_fills(
    legs: Iterable[nouns.Held],
    *,
    share: float = 1.0,
    prices: Mapping[nouns.ContractKey, float] | None = None,
    commission: float = 0.0,
) -> tuple[nouns.Fill, ...]:
    """
    Fills that take back *share* of what is held; *commission* is currency per contract.

    Raises:
        UsageError: The share does not give whole contracts.
    """
    fills = []
    for leg in legs:
        quantity = -leg.quantity * share
        if not leg.is_stock and abs(quantity - round(quantity)) > 1e-6:
            raise UsageError(f"{leg.quantity:+g} {leg.name} cannot be closed by {share:.0%}")
        contracts = 0.0 if leg.is_stock else abs(quantity)
        fills.append(
            nouns.Fill(
                **leg.model_dump(exclude={"quantity"}),
                quantity=quantity if leg.is_stock else float(round(quantity)),
                price=(prices or {}).get(leg.key),
                commission=commission * contracts,
            )
        )
    return tuple(fills)


def settlement(
    legs: Iterable[nouns.Held], *, expired_by: dt.date, spot: float, in_cash: bool
) -> dict[nouns.Action, tuple[nouns.Fill, ...]]:
    """
    What happens to options that have expired by a day, at the price of the underlying.

    Worthless ones expire. The others are exercised or assigned: shares change hands at the strike,
    or with *in_cash* (index options) the intrinsic value does.
    """
    gone: list[nouns.Fill] = []
    exercised: list[nouns.Fill] = []
    for leg in legs:
        if leg.expiry is None or leg.strike is None or leg.expiry > expired_by:
            continue
        sign = 1.0 if leg.is_call else -1.0
        inside = max(sign * (spot - leg.strike), 0.0)
        contract = leg.model_dump(exclude={"quantity"})
        price = inside if in_cash else 0.0
        option = nouns.Fill(**contract, quantity=-leg.quantity, price=price, mid=price)
        if inside == 0.0:
            gone.append(option)
            continue
        exercised.append(option)
        if not in_cash:
            shares = sign * leg.quantity * leg.multiplier
            exercised.append(
                nouns.Fill(multiplier=1, quantity=shares, price=leg.strike, mid=leg.strike)
            )
    fills_by_action = {nouns.Action.EXPIRE: tuple(gone), nouns.Action.ASSIGN: tuple(exercised)}
    return {action: fills for action, fills in fills_by_action.items() if fills}


def exercise(
    leg: nouns.Held, contracts: float, *, index_level: float | None = None
) -> tuple[nouns.Fill, ...]:
    """
    Early exercise or assignment of *contracts* of one option: it goes, shares come at strike.

    With *index_level* what it is worth there is paid in cash, and no shares come.
    """
    if leg.strike is None:
        raise UsageError("shares cannot be assigned; name an option")
    if not 0.0 < contracts <= abs(leg.quantity):
        raise UsageError(f"{contracts:g} contracts cannot be assigned of {leg.quantity:+g}")
    sign = 1.0 if leg.is_call else -1.0
    taken = math.copysign(contracts, leg.quantity)
    contract = leg.model_dump(exclude={"quantity"})
    if index_level is not None:
        inside = max(sign * (index_level - leg.strike), 0.0)
        return (nouns.Fill(**contract, quantity=-taken, price=inside, mid=inside),)
    return (
        nouns.Fill(**contract, quantity=-taken, price=0.0),
        nouns.Fill(multiplier=1, quantity=sign * taken * leg.multiplier, price=leg.strike),
    )


def signed_price(
    text: str, legs: Sequence[nouns.Held | nouns.Fill], *, market: float | None = None
) -> float:
    """
    Read what one structure trades for: received > 0, paid < 0, currency per share.

    A sign in front settles it. Without one the structure itself tells where it can: what can only
    pay out is bought, what can only cost is sold. Else the *market* does, what the middle of its
    quotes would bring in, where one of both is clearly nearer to it.

    Raises:
        UsageError: Not a number, or a structure that may be worth either.
    """
    value = plain_price(text)
    if value == 0.0 or text.strip()[0] in "+-":
        return value
    sides = _sides(legs)
    if sides == {1}:
        return -value
    if sides == {-1}:
        return value
    if market is not None and 3.0 * abs(market) >= value:
        return math.copysign(value, market)
    raise UsageError(
        f"price {text}: these legs could be bought or sold for that; write +{value:g} for received "
        f"or -{value:g} for paid, on the command line --price=+{value:g}"
    )


def plain_price(text: str) -> float:
    """
    A price as people write it: 2.35, 2,35 or 1,250.50.

    Raises:
        UsageError: No number, or one that is 1.25 to some and 1250 to others.
    """
    bare = text.strip()
    if _EITHER.fullmatch(bare):
        whole, as_decimal = bare.replace(",", ""), bare.replace(",", ".")
        raise UsageError(f"price {text}: write {whole} or {as_decimal}, for it could be either")
    if _GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    try:
        value = float(bare.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"price {text}: write what one structure trades for, such as 2.35")
    return value


def _sides(legs: Sequence[nouns.Held | nouns.Fill]) -> set[int]:
    """Signs of what the legs pay as if all expired at once, and of the time value of later ones."""
    strikes = sorted({leg.strike for leg in legs if leg.strike is not None})
    top = 2.0 * (strikes[-1] if strikes else 1.0) + 1.0
    values = []
    for price in (0.0, *strikes, top):
        total = 0.0
        for leg in legs:
            if leg.strike is None:
                total += leg.quantity * price / structure_multiplier(legs)
            else:
                sign = 1.0 if leg.is_call else -1.0
                total += leg.quantity * max(sign * (price - leg.strike), 0.0)
        values.append(total)
    days = sorted({leg.expiry for leg in legs if leg.expiry is not None})
    if len(days) > 1:
        # What a calendar keeps: positive when the later expiry is held long.
        values.append(sum(leg.quantity for leg in legs if leg.expiry == days[-1]))
    return {int(math.copysign(1.0, value)) for value in values if abs(value) > DUST}
