"""A position as its management sees it, whether the journal keeps it or only the book shows it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tomic.journal import campaign
from tomic.models import Structure
from tomic.models.book import Position
from tomic.models.exits import ExitRules
from tomic.models.journal import Action, ContractKey, Held, JournalEntry, Trade
from tomic.models.review import HeldLeg


@dataclass(frozen=True, slots=True)
class Standing:
    """What is held in one idea, and what it has brought in so far; money in currency."""

    id: str
    symbol: str
    strategy: str
    legs: tuple[Held, ...]
    rules: ExitRules
    received: float | None
    """Cash of the campaign after commissions, shares included; None where it is not known."""
    premium: float | None = None
    """Net premium, what targets and stops are multiples of."""
    opened: Mapping[ContractKey, float] | None = None
    """Average price at which each contract was opened, currency per share, where it is known."""
    rolls: int = 0
    entry_id: int | None = None
    currency: str = ""
    account: str = ""
    contracts: str = ""
    """`Structure.contracts`; empty of an entry, whose number outlives the book."""
    problem: str = ""
    """Why it cannot be judged; *legs* are then those that could."""

    @property
    def lasting(self) -> str:
        """A name that no other position shifts."""
        return self.contracts or self.id

    @property
    def options(self) -> tuple[Held, ...]:
        """What is held without its shares."""
        return tuple(leg for leg in self.legs if not leg.is_stock)

    @property
    def shares(self) -> float:
        """Signed."""
        return math.fsum(leg.quantity * leg.multiplier for leg in self.legs if leg.is_stock)


def of_entry(entry: JournalEntry) -> Standing:
    """The position of an open journal entry."""
    legs = campaign.held(entry)
    received = math.fsum(map(campaign.cash, entry.trades)) + campaign.booked(entry)
    received -= campaign.commissions(entry)
    return Standing(
        id=str(entry.id),
        symbol=entry.symbol,
        strategy=entry.strategy,
        legs=legs,
        rules=entry.rules,
        # A commission that nobody told is no number, and neither is the sum.
        received=received if math.isfinite(received) else None,
        premium=campaign.premium(entry),
        opened=_opened(entry, legs),
        rolls=sum(trade.action is Action.ROLL for trade in entry.trades),
        entry_id=entry.id,
        currency=entry.currency,
        account=entry.account,
    )


def _opened(entry: JournalEntry, legs: tuple[Held, ...]) -> dict[ContractKey, float]:
    """
    Average price of the fills that opened each leg.

    The legs of a trade that has a net price share the difference to their mids; without mids
    their own prices are not known, unless there is one leg.
    """
    prices: dict[ContractKey, float] = {}
    for leg in legs:
        same = [
            (fill.quantity, price)
            for trade in entry.trades
            for fill, price in zip(trade.fills, _prices(trade), strict=True)
            if campaign.is_same(fill, leg) and fill.quantity * leg.quantity > 0.0
        ]
        known = [(quantity, price) for quantity, price in same if price is not None]
        if same and len(known) == len(same):
            total = math.fsum(quantity for quantity, _ in known)
            prices[leg.key] = math.fsum(q * price for q, price in known) / total
    return prices


def _prices(trade: Trade) -> list[float | None]:
    own = [fill.price for fill in trade.fills]
    if trade.price is None or None not in own:
        return own
    if len(trade.fills) == 1:
        return [abs(trade.price)]
    mids = [fill.mid for fill in trade.fills]
    weight = math.fsum(abs(fill.quantity) * fill.multiplier for fill in trade.fills)
    known = [mid for mid in mids if mid is not None]
    if len(known) < len(mids):
        return own
    at_mid = -math.fsum(
        fill.quantity * fill.multiplier * mid for fill, mid in zip(trade.fills, known, strict=True)
    )
    # What was given beside the mids, spread evenly over the contracts.
    given = (at_mid - campaign.cash(trade)) / weight
    return [
        mid + math.copysign(given, fill.quantity)
        for fill, mid in zip(trade.fills, known, strict=True)
    ]


def of_structure(
    structure: Structure, rules: ExitRules, positions: Mapping[str, Position] | None = None
) -> Standing:
    """
    The position of a structure of the book; its cost is known where that of each leg is.

    Args:
        positions: Of the book, by `Position.contract`: they know the class of an option, and what
            is neither an option nor shares. None takes all legs for what they look like.
    """
    known = positions or {}
    problems = [_problem(leg, known.get(leg.contract)) for leg in structure.legs]
    sound = [leg for leg, why in zip(structure.legs, problems, strict=True) if not why]
    legs = tuple(_held(leg, known.get(leg.contract)) for leg in sound)
    opened = {
        leg.key: part.cost for leg, part in zip(legs, sound, strict=True) if part.cost is not None
    }
    options = [leg for leg in legs if not leg.is_stock]
    return Standing(
        id=structure.id,
        symbol=structure.symbol,
        strategy=structure.strategy,
        legs=legs,
        rules=rules,
        received=_received(legs, opened),
        premium=_received(options, opened) if options else None,
        opened=opened,
        currency=structure.currency,
        account=structure.account,
        contracts=structure.contracts,
        problem="; ".join(filter(None, problems)),
    )


def _problem(leg: HeldLeg, position: Position | None) -> str:
    """Why a leg is nothing that can be managed; empty where it is."""
    if position is not None and not (position.is_option or position.is_stock):
        return f"{leg.contract} is neither an option nor shares: look at it in TWS"
    if position is not None and position.is_adjusted:
        return f"{leg.contract}: {leg.problem or 'an adjusted contract'}"
    if leg.right is not None and leg.quantity != round(leg.quantity):
        return f"{leg.contract}: {leg.quantity:g} contracts are no whole number"
    return ""


def _held(leg: HeldLeg, position: Position | None) -> Held:
    return Held(
        expiry=leg.expiry,
        strike=leg.strike,
        right=leg.right,
        multiplier=int(leg.multiplier) if leg.right else 1,
        con_id=leg.con_id,
        trading_class=position.trading_class if position is not None and leg.right else "",
        quantity=leg.quantity,
    )


def _received(legs: Sequence[Held], opened: Mapping[ContractKey, float]) -> float | None:
    if any(leg.key not in opened for leg in legs):
        return None
    return -math.fsum(leg.quantity * leg.multiplier * opened[leg.key] for leg in legs)


def after(legs: tuple[Held, ...], trade: tuple[Held, ...]) -> tuple[Held, ...]:
    """What is held after *trade*; contracts that come to nothing are left out."""
    left = list(legs)
    for bought in trade:
        place = next((n for n, leg in enumerate(left) if campaign.is_same(leg, bought)), None)
        if place is None:
            left.append(bought)
        else:
            quantity = left[place].quantity + bought.quantity
            left[place] = left[place].model_copy(update={"quantity": quantity})
    return tuple(leg for leg in left if abs(leg.quantity) > campaign.DUST)


def expired(standing: Standing, today: dt.date) -> tuple[Held, ...]:
    """Options still on record whose day of settlement is past."""
    return tuple(
        leg
        for leg in standing.options
        if leg.expiry is not None and campaign.settlement_day(standing.symbol, leg) < today
    )
