"""
Legs of a book put back together into the strategies that somebody traded.

Claims come first: your own pins, then the journal's entries. What they leave is matched per
account and symbol. First whole positions: legs whose quantities fit exactly, so that a spread held
five times is not torn apart by one held three times. Then parts of positions, whatever number fits.
Within each of the two, larger strategies come before smaller ones, and among equals the one whose
strikes lie closest. Nothing depends on the order in which the broker lists positions.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

from tomic.legs import NamedLeg
from tomic.models.book import Position
from tomic.portfolio import matching
from tomic.portfolio.patterns import Lot, Match

_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Legs that belong together because somebody says so.

    Attributes:
        source: ``pin`` (yours, taken first) or ``journal``.
        name: Of the pin, or of the journal entry.
        legs: What it holds; of what the book lacks nothing is made up.
        strategy: Its name there; None takes the name that the legs have.
        account: Only in this one; None takes the first account that holds such legs.
        opened: Day of entry, for the days in trade.
    """

    source: Literal["pin", "journal"]
    name: str
    legs: tuple[NamedLeg, ...]
    strategy: str | None = None
    account: str | None = None
    opened: dt.date | None = None


@dataclass(frozen=True, slots=True)
class GroupLeg:
    """A part of a position: how many of its contracts or shares, signed."""

    position: Position
    quantity: float


@dataclass(frozen=True, slots=True)
class Group:
    """Legs that form one strategy."""

    strategy: str
    symbol: str
    account: str
    legs: tuple[GroupLeg, ...]
    source: Literal["pin", "journal", "match"] = "match"
    link: str = ""
    opened: dt.date | None = None

    @property
    def quantity(self) -> float:
        """How many times the structure is held: what divides every leg; 1 for shares alone."""
        if all(leg.position.is_stock for leg in self.legs):
            return 1.0
        sizes = [abs(leg.quantity) / _unit(leg.position) for leg in self.legs]
        if not all(size.is_integer() for size in sizes):
            return 1.0
        return float(reduce(math.gcd, (int(size) for size in sizes)))


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every leg of the book in exactly one group, and what the claims asked for in vain."""

    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pool:
    """What is left of the positions of one account and symbol."""

    lots: list[Lot]
    positions: dict[int, Position] = field(default_factory=dict)


def group(
    positions: Iterable[Position],
    *,
    claims: Sequence[Claim] = (),
    cash: dict[str, float] | None = None,
) -> Grouping:
    """
    Group *positions* into strategies; each contract ends up in exactly one place.

    Args:
        positions: Merged ones: each contract once per account (`merged`).
        claims: Pins win over journal entries; within each, the order given counts.
        cash: Free cash per account; short puts that it covers are called cash-secured.

    Returns:
        Groups by symbol, account, first expiry and strategy.
    """
    pools = _pools(positions)
    groups: list[Group] = []
    notes: list[str] = []
    ordered = sorted(enumerate(claims), key=lambda one: (one[1].source != "pin", one[0]))
    for _, claim in ordered:
        taken, lacking = _claimed(claim, pools)
        groups += taken
        notes += lacking
    left = dict(cash or {})
    for (account, symbol), pool in pools.items():
        for match in matching.match(pool.lots):
            legs = tuple(GroupLeg(pool.positions[one], amount) for one, amount in match.parts)
            strategy = _with_cash(match, legs, account, left)
            groups.append(Group(strategy, symbol, account, legs))
    return Grouping(tuple(sorted(groups, key=_order)), tuple(notes))


def name_of(legs: Sequence[GroupLeg]) -> str:
    """The strategy that these legs form together, ``custom`` when it has no name."""
    lots = [_lot(number, leg.position, leg.quantity) for number, leg in enumerate(legs)]
    matches = matching.match(lots)
    return matches[0].strategy if len(matches) == 1 else "custom"


def is_named(position: Position, leg: NamedLeg) -> bool:
    """Whether *leg* means this position's contract; an adjusted one is never meant."""
    if leg.symbol != position.symbol or position.is_adjusted:
        return False
    if leg.is_stock:
        return position.is_stock
    key = (position.right, position.strike, position.expiry)
    return position.is_option and key == (leg.right, leg.strike, leg.expiry)


def merged(positions: Iterable[Position]) -> tuple[Position, ...]:
    """
    Lines of one contract and account added up, in the order of contracts.

    A line that is considered (`Position.proposed`) merges into the one that is held. What comes
    to zero stays as a line of quantity 0, so that it can be named, unless a proposal closed it.
    The cost of a closing line is not mixed into that of what stays.
    """
    found: dict[tuple[str, str, str], list[Position]] = {}
    for one in positions:
        found.setdefault((one.symbol, one.account, one.contract), []).append(one)
    result = []
    for key in sorted(found):
        lines = sorted(found[key], key=lambda one: (one.proposed, -abs(one.quantity), one.quantity))
        line = reduce(_sum, lines)
        closed_by_proposal = line.quantity == 0.0 and any(one.proposed for one in lines)
        if not closed_by_proposal:
            result.append(line)
    return tuple(result)


def _sum(held: Position, more: Position) -> Position:
    quantity = held.quantity + more.quantity
    cost = held.average_cost
    if held.quantity * more.quantity > 0.0:
        cost = None
        if held.average_cost is not None and more.average_cost is not None:
            paid = held.average_cost * held.quantity + more.average_cost * more.quantity
            cost = paid / quantity
    elif held.quantity * quantity < 0.0 or held.quantity == 0.0:
        cost = more.average_cost
    return held.model_copy(
        update={
            "quantity": quantity,
            "average_cost": cost,
            "con_id": held.con_id if held.con_id is not None else more.con_id,
            "proposed": held.proposed and more.proposed,
        }
    )


# -- pools -----------------------------------------------------------------------------------


def _pools(positions: Iterable[Position]) -> dict[tuple[str, str], _Pool]:
    pools: dict[tuple[str, str], _Pool] = {}
    ordered = sorted(positions, key=lambda one: (one.symbol, one.account, one.contract))
    for number, one in enumerate(ordered):
        if one.quantity == 0.0:
            continue
        pool = pools.setdefault((one.account, one.symbol), _Pool([]))
        pool.lots.append(_lot(number, one, one.quantity))
        pool.positions[number] = one
    return pools


def _lot(number: int, position: Position, quantity: float) -> Lot:
    if position.is_stock:
        return Lot(number, quantity, 100.0)
    matchable = position.is_option and not position.is_adjusted and quantity.is_integer()
    if not matchable or position.strike is None or position.expiry is None:
        return Lot(number, quantity, matchable=False)
    return Lot(
        number,
        quantity,
        1.0,
        position.right or "",
        position.strike,
        (position.expiry, position.trading_class),
    )


def _unit(position: Position) -> float:
    return 100.0 if position.is_stock else 1.0


def _order(one: Group) -> tuple[str, str, dt.date, str, str]:
    days = [leg.position.expiry for leg in one.legs if leg.position.expiry is not None]
    first = min(days, default=dt.date.max)
    text = " ".join(f"{leg.position.contract} {leg.quantity:g}" for leg in one.legs)
    return (one.symbol, one.account, first, one.strategy, text)


# -- claims ----------------------------------------------------------------------------------


def _claimed(claim: Claim, pools: dict[tuple[str, str], _Pool]) -> tuple[list[Group], list[str]]:
    """Take the legs of *claim* out of the pools, as far as they are held."""
    notes = []
    account = claim.account or _account_of(claim, pools)
    taken: dict[str, list[GroupLeg]] = {}
    for leg in claim.legs:
        found, missing = _take(leg, pools.get((account, leg.symbol)))
        if found:
            taken.setdefault(leg.symbol, []).extend(found)
        if abs(missing) > _NOTHING:
            notes.append(f"{claim.source} {claim.name}: {missing:+g} {_text(leg)} is not held")
    groups = [
        Group(
            claim.strategy or name_of(legs),
            symbol,
            account,
            tuple(legs),
            claim.source,
            claim.name,
            claim.opened,
        )
        for symbol, legs in taken.items()
    ]
    return groups, notes


def _account_of(claim: Claim, pools: dict[tuple[str, str], _Pool]) -> str:
    """The account that holds most of the claim's legs, the first by name among equals."""
    held: dict[str, int] = {}
    for (account, _), pool in pools.items():
        for leg in claim.legs:
            if any(is_named(pool.positions[x.key], leg) for x in pool.lots):
                held[account] = held.get(account, 0) + 1
    return min(held, key=lambda name: (-held[name], name), default="")


def _take(leg: NamedLeg, pool: _Pool | None) -> tuple[list[GroupLeg], float]:
    wanted, found = leg.quantity, []
    for lot in pool.lots if pool else ():
        position = pool.positions[lot.key] if pool else None
        if position is None or not is_named(position, leg) or lot.left * wanted <= 0.0:
            continue
        amount = math.copysign(min(abs(lot.left), abs(wanted)), wanted)
        lot.left -= amount
        wanted -= amount
        found.append(GroupLeg(position, amount))
    return found, wanted


def _text(leg: NamedLeg) -> str:
    if leg.strike is None:
        return f"{leg.symbol} shares"
    return f"{leg.symbol} {leg.expiry} {leg.strike:g}{leg.right}"


def _with_cash(match: Match, legs: Sequence[GroupLeg], account: str, cash: dict[str, float]) -> str:
    if match.strategy != "short_put":
        return match.strategy
    (leg,) = legs
    if leg.position.strike is None:
        return match.strategy
    needed = abs(leg.quantity) * leg.position.strike * leg.position.multiplier
    if needed > cash.get(account, 0.0):
        return match.strategy
    cash[account] -= needed
    return "cash_secured_put"
