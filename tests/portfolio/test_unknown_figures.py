"""What is not known of a book stays unknown: costs, moves and prices that are missing."""

from __future__ import annotations

import math

import pytest

from made_books import made_book, market, position
from tomic import legs
from tomic.config import Settings
from tomic.portfolio import grouping, overview
from tomic.portfolio.grouping import Claim

SETTINGS = Settings()
NEAR = "2026-12-18"


def held(quantity, cost, **more):
    (leg,) = legs.parse(f"+1 SPY 600C {NEAR}")
    return position(leg).model_copy(update={"quantity": quantity, "average_cost": cost, **more})


@pytest.mark.parametrize(
    ("first", "second", "left", "cost"),
    [
        # Added to: the mean, unknown when one of the two is.
        ((2.0, 1.0), (1.0, 4.0), 3.0, 2.0),
        ((2.0, 1.0), (1.0, None), 3.0, None),
        ((2.0, None), (1.0, 4.0), 3.0, None),
        # Closed in part: what stays cost what it cost; turned round: the newer cost.
        ((3.0, 1.0), (-1.0, 9.0), 2.0, 1.0),
        ((-3.0, 1.0), (2.0, None), -1.0, 1.0),
        ((2.0, 1.0), (-3.0, 9.0), -1.0, 9.0),
    ],
)
def test_cost_of_lines_that_merge(first, second, left, cost):
    """Two lines of one contract have the mean cost, or that of the one that stays."""
    (line,) = grouping.merged([held(*first), held(*second, proposed=True)])

    assert (line.quantity, line.average_cost) == (left, pytest.approx(cost))


def test_claims_name_shares_and_contracts():
    """A claim on shares that are not there says so; an adjusted contract is never meant."""
    (shares,) = legs.parse("+100 SPY")
    (call,) = legs.parse(f"-1 SPY 600C {NEAR}")
    adjusted = held(-1.0, 1.0, multiplier=150.0, trading_class="SPY1")
    claim = Claim("journal", "7", (shares, call))

    assert grouping.is_named(position(shares), shares)
    assert not grouping.is_named(position(call), shares)
    assert not grouping.is_named(adjusted, call)
    found = grouping.group([position(call)], claims=[claim])
    assert "journal 7: +100 SPY shares is not held" in found.notes


def test_shares_of_unknown_cost():
    """Shares without a cost have neither a largest profit nor a largest loss to tell."""
    nowhere = market().model_copy(update={"spot": None})

    (found,) = overview.review(made_book("+100 SPY", markets={"SPY": nowhere}), SETTINGS).structures

    assert (found.max_profit, found.max_loss, found.pnl) == (None, None, None)


def test_short_shares_lose_without_bound():
    """A hundred shares sold at 590 make 59,000 at most, and can lose anything."""
    (found,) = overview.review(made_book("-100 SPY @590"), SETTINGS).structures

    assert (found.max_profit, found.max_loss) == (pytest.approx(59_000.0), math.inf)
