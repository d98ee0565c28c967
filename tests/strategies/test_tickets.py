"""Tickets of proposals: the limit on its tick, and the closing price at the target."""

from __future__ import annotations

import datetime as dt

import pytest

from support.made_proposals import bare, calendar, leg, whole
from tomic.models import ExitRules, Ticket, TicketLeg
from tomic.strategies import tickets
from tomic.strategies.ticks import PENNY

HALF = ExitRules(profit_target=0.5)
DAY = dt.date(2026, 12, 18)


def legs(*options, multiplier=100) -> tuple[TicketLeg, ...]:
    """Options as ``(quantity, strike, right)``."""
    return tuple(
        TicketLeg(
            symbol="SPY", quantity=quantity, strike=strike, right=right, expiry=DAY,
            multiplier=multiplier,
        )
        for quantity, strike, right in options
    )  # fmt: skip


def test_a_credit_is_bought_back_at_half_of_it():
    """A condor sold at .55 takes half of it when it is bought at .27 on pennies."""
    ticket = tickets.of_proposal(whole(), HALF)

    assert (ticket.price, ticket.target, ticket.tick) == (0.55, -0.27, PENNY)
    assert (ticket.mid, ticket.natural) == (pytest.approx(0.545), pytest.approx(0.30))
    assert ticket.label == "20261120-1"
    assert [leg.quantity for leg in ticket.legs] == [1, -1, -1, 1]


def test_a_debit_is_sold_at_half_more():
    """A calendar bought at 7.20 is sold at 10.80: over two expiries that has no bound."""
    ticket = tickets.of_proposal(calendar(), HALF)

    assert (ticket.price, ticket.target) == (-7.20, pytest.approx(10.80))


def test_no_target_beyond_the_width():
    """A spread 10 wide that cost 7 is never sold at 10.50; one that cost 6 is, at 9."""
    spread = legs((1, 560.0, "C"), (-1, 570.0, "C"))

    assert tickets.target_price(spread, -7.0, HALF) is None
    assert tickets.target_price(spread, -6.0, HALF) == 9.0


@pytest.mark.parametrize("rules", [ExitRules(), ExitRules(profit_target=1.0)])
def test_no_closing_order_without_something_to_pay(rules):
    """Where the rule is off there is none, nor where the target is all of the credit."""
    assert tickets.target_price(legs((-1, 560.0, "P")), 1.2, rules) is None


def test_prices_of_a_mini_contract_are_per_share():
    """What 10 shares bring is divided by 10, and the width counts per share too."""
    made = bare(multiplier=10, credit_mid=5.45, credit_natural=3.0)

    assert tickets.of_proposal(made).price == 0.55
    small = legs((1, 560.0, "C"), (-1, 570.0, "C"), multiplier=10)
    assert tickets.target_price(small, -6.0, HALF) == 9.0


def test_shares_have_the_price_of_the_spot():
    """A covered call's ticket has 100 shares; its price is of the call, the whole is beside it."""
    call = leg(-1, 600.0, "C", bid=4.0, ask=4.1)
    gone = {"sec_type": "STK", "quantity": 100, "right": None, "strike": None, "expiry": None}
    shares = call.model_copy(update=gone)
    made = bare(legs=(call, shares), credit_mid=405.0, strategy="covered_call")

    ticket = tickets.of_proposal(made, HALF)

    assert (ticket.shares, ticket.multiplier) == (100, 100)
    assert ticket.with_shares == pytest.approx(4.05 - 590.0)
    assert (ticket.tick, ticket.target) == (0.1, -2.05), "below 3.00 on nickels"


def test_a_ticket_has_legs():
    """One without any is refused."""
    with pytest.raises(ValueError, match="legs"):
        Ticket(symbol="SPY", legs=())
