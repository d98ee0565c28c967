"""Tickets of trades: the limit on its tick, and the price that closes at the profit target."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from tomic.models import Leg, Proposal, Ticket, TicketLeg
from tomic.models.exits import ExitRules
from tomic.strategies.ticks import tick_of


class ValuedLeg(Protocol):
    """What has a value at expiry: a leg of a ticket, or one that is held."""

    @property
    def expiry(self) -> dt.date | None: ...
    @property
    def strike(self) -> float | None: ...
    @property
    def quantity(self) -> float: ...
    @property
    def multiplier(self) -> int: ...
    @property
    def is_call(self) -> bool: ...
    @property
    def is_stock(self) -> bool: ...


def can_be_worth(legs: Sequence[ValuedLeg], value: float) -> bool:
    """
    Whether *legs* can come to *value* at their expiry, currency: no spread beyond its width.

    True where they have several expiries, as what is left of one has no bound then.
    """
    days = {leg.expiry for leg in legs if leg.expiry is not None}
    calls = sum(leg.quantity * leg.multiplier for leg in legs if leg.is_call or leg.is_stock)
    if len(days) != 1 or (calls < 0.0 and value < 0.0) or (calls > 0.0 and value > 0.0):
        return True
    strikes = [leg.strike for leg in legs if leg.strike is not None]
    worth = [_worth(legs, price) for price in (0.0, *strikes)]
    return min(worth) <= value <= max(worth)


def _worth(legs: Sequence[ValuedLeg], price: float) -> float:
    """At expiry with the underlying at *price*, currency."""
    total = 0.0
    for leg in legs:
        inside = price
        if leg.strike is not None:
            inside = max(price - leg.strike if leg.is_call else leg.strike - price, 0.0)
        total += leg.quantity * leg.multiplier * inside
    return total


def of_proposal(proposal: Proposal, rules: ExitRules | None = None, *, quantity: int = 1) -> Ticket:
    """
    The ticket that opens a proposal, at mid on the tick.

    Args:
        rules: Whose profit target closes it; None leaves the closing order out.
        quantity: Structures.
    """
    tick = tick_of(proposal.legs)
    lot = proposal.multiplier
    mid = proposal.credit_mid / lot
    legs = tuple(_leg(leg, proposal) for leg in proposal.legs)
    price = tick.nearest(mid)
    return Ticket(
        symbol=proposal.symbol,
        currency=proposal.currency,
        strategy=proposal.strategy,
        legs=legs,
        quantity=quantity,
        price=price,
        mid=mid,
        natural=proposal.credit_natural / lot,
        tick=tick.size,
        tick_reason=tick.because,
        target=None if rules is None else _target(proposal, legs, price, rules),
        label=proposal.id or proposal.trade,
    )


def _leg(leg: Leg, proposal: Proposal) -> TicketLeg:
    return ticket_leg(
        leg,
        symbol=proposal.symbol,
        trading_class=proposal.trading_class,
        multiplier=proposal.multiplier,
        currency=proposal.currency,
        spot=proposal.spot,
    )


def ticket_leg(
    leg: Leg,
    *,
    symbol: str,
    trading_class: str,
    multiplier: int,
    currency: str,
    spot: float,
    units: int = 1,
) -> TicketLeg:
    """A leg of a trade as one of a ticket of so many *units*."""
    is_stock = leg.sec_type == "STK"
    return TicketLeg(
        symbol=symbol,
        sec_type=leg.sec_type,
        right=leg.right,
        expiry=leg.expiry,
        strike=leg.strike,
        trading_class="" if is_stock else trading_class,
        multiplier=1 if is_stock else multiplier,
        currency=currency,
        con_id=leg.con_id,
        quantity=leg.quantity // units,
        price=spot if is_stock else leg.price,
    )


def _target(
    proposal: Proposal, legs: Sequence[TicketLeg], price: float, rules: ExitRules
) -> float | None:
    """On its own tick: one option has a finer one below 3.00."""
    closing = target_price(legs, price, rules)
    if closing is None:
        return None
    then = [leg.model_copy(update={"price": abs(closing)}) for leg in proposal.legs]
    return tick_of(then).nearest(closing) or None


def target_price(legs: Sequence[TicketLeg], price: float, rules: ExitRules) -> float | None:
    """
    Where the options of *legs*, entered at *price*, are closed at the profit target.

    Per share of one unit, received > 0 and paid < 0, on no tick; commissions are left out. None
    where the rule is off, nothing was received or paid, or the options cannot come to that: a
    spread is never worth more than its width.
    """
    target, _ = rules.levels(price)
    if target is None:
        return None
    closing = target - price
    options = [leg for leg in legs if not leg.is_stock]
    lot = next((leg.multiplier for leg in options), 1)
    # A credit is bought back and a debit sold; what nobody would pay is no order.
    if closing * price >= 0.0 or not can_be_worth(options, closing * lot):
        return None
    return closing
