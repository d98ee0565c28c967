"""The steps in which orders can be typed."""

from __future__ import annotations

import pytest

from support.made_proposals import leg
from tomic.strategies.ticks import DIME, NICKEL, PENNY, Tick, tick_of


@pytest.mark.parametrize(
    ("quotes", "size"),
    [
        ([(1.00, 1.10), (0.55, 0.60)], NICKEL),
        ([(1.00, 1.10), (0.55, 0.58)], PENNY),
        ([(4.00, 4.20), (5.10, 5.30)], NICKEL),  # a combination, whatever its legs cost
        ([(4.00, 4.20)], DIME),
        ([(4.00, 4.15)], NICKEL),
        ([(4.00, 4.11)], PENNY),
        ([(2.00, 2.20)], NICKEL),
        ([(0.0, 0.05), (0.20, 0.25)], NICKEL),
        ([(None, None), (None, None)], NICKEL),
    ],
)
def test_the_tick_is_what_the_legs_are_quoted_in(quotes, size):
    """Pennies need a quote in pennies; a nickel can be typed for every combination."""
    legs = [
        leg(1, 100.0 + n, "P", bid=bid, ask=ask, price=bid or 1.0)
        if bid is not None
        else leg(1, 100.0 + n, "P").model_copy(update={"bid": None, "ask": None})
        for n, (bid, ask) in enumerate(quotes)
    ]

    assert tick_of(legs).size == size


def test_shares_have_no_say():
    """The price of a covered call's shares is not one of its options."""
    shares = leg(100, 1.0, "C", bid=312.37, ask=312.41).model_copy(
        update={"sec_type": "STK", "strike": None, "right": None, "expiry": None}
    )

    assert tick_of([leg(-1, 320.0, "C", bid=2.0, ask=2.1), shares]).size == NICKEL


@pytest.mark.parametrize(
    ("credit", "size", "limit"),
    [
        (0.545, NICKEL, 0.55),
        (0.545, PENNY, 0.55),
        (0.51, NICKEL, 0.50),
        (0.525, NICKEL, 0.55),
        (-0.545, PENNY, -0.54),
        (-7.225, NICKEL, -7.20),
        (-7.23, NICKEL, -7.25),
        (4.15, DIME, 4.20),
        (0.0, NICKEL, 0.0),
        (0.02, NICKEL, 0.0),
    ],
)
def test_limits_are_on_the_tick(credit, size, limit):
    """The nearest one; between two, what the trader is better off with."""
    assert Tick(size, "").nearest(credit) == pytest.approx(limit, abs=1e-12)
