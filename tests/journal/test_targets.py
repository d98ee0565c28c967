"""What is typed to close an entry at its rules."""

from __future__ import annotations

import datetime as dt

import pytest

from support.journal_entries import (
    EXPIRY,
    LATER,
    condor,
    entry,
    mark,
    option,
    shares,
    snapshot,
    trade,
)
from tomic.journal import targets
from tomic.models.journal import ExitRules

RULES = ExitRules(profit_target=0.5, stop=2.0, min_dte=21)


def sold(price: float, contract: str = "211P", *, quantity: int = 1, **more):
    return entry(
        trade("open", 0, option(-quantity, contract, price, **more)), symbol="IWM", rules=RULES
    )


def test_a_credit_is_taken_at_half_and_stopped_at_three_times():
    """3.90 sold, half of it as target, twice as stop: bought back at 1.95, or at 11.70."""
    levels = targets.levels(sold(3.90), None)

    assert (levels.take, levels.stop) == (-1.95, -11.70)
    # 21 days before Friday 20 June 2025.
    assert (levels.last_day, levels.days) == (dt.date(2025, 5, 30), 21)


def test_several_structures_have_one_price():
    """What one types is the price of one of them."""
    levels = targets.levels(sold(3.90, quantity=3), None)

    assert (levels.take, levels.stop, levels.structures) == (-1.95, -11.70, 3)


@pytest.mark.parametrize(("bid", "take"), [(3.00, -1.95), (3.02, -1.93)])
def test_prices_stand_on_the_tick_of_the_quotes(bid, take):
    """A class that is quoted in pennies takes 1.93; another one nickels."""
    seen = snapshot(1, 220.0, [mark("211P", bid, 0.1, bid=bid, ask=bid + 0.10)])

    assert targets.levels(sold(3.86), seen).take == take


def test_a_stop_beyond_the_width_is_none():
    """A spread of 10 sold for 4.00 costs 10 at most: a stop at 12 would never be reached."""
    legs = (option(-1, "560P", 12.0), option(1, "550P", 8.0))
    levels = targets.levels(entry(trade("open", 0, *legs), rules=RULES), None)

    assert (levels.take, levels.stop) == (-2.00, None)


def test_a_condor_has_its_stop_within_the_width():
    """2.35 sold: 1.20 on a nickel, and 7.05 of the 10 that it can cost."""
    levels = targets.levels(condor(2, rules=RULES), None)

    assert (levels.take, levels.stop) == (pytest.approx(-1.15), pytest.approx(-7.05))


def test_a_debit_is_sold():
    """5.00 paid: sold at 7.50; twice the debit cannot be lost."""
    bought = entry(trade("open", 0, option(1, "600C", 5.0)), rules=RULES)
    levels = targets.levels(bought, None)

    assert (levels.take, levels.stop) == (7.50, None)


def test_a_roll_counts_what_it_brought():
    """3.00 sold, bought back at 4.00 and sold for 5.00 later: half of the 4.00 of both."""
    rolled = entry(
        trade("open", 0, option(-1, "560P", 3.0)),
        trade("roll", 3, option(1, "560P", 4.0), option(-1, "560P", 5.0, LATER)),
        rules=RULES,
    )
    levels = targets.levels(rolled, None)

    assert (levels.take, levels.stop) == (-2.00, -12.00)
    assert levels.last_day == LATER - dt.timedelta(days=21)


def test_assigned_shares_have_a_price_of_their_own():
    """A put of 250 sold for 3.00 and assigned: half is won at 248.50, twice is lost at 241."""
    assigned = entry(
        trade("open", 0, option(-1, "250P", 3.0)),
        trade("assign", 3, option(1, "250P", 0.0), shares(100, 250.0)),
        rules=RULES,
    )
    levels = targets.levels(assigned, None)

    assert (levels.take, levels.stop, levels.last_day) == (248.50, 241.00, None)


def test_a_day_off_is_told_as_the_trading_day_before():
    """26 days before 20 June is Memorial Day, after a weekend: Friday 23 May."""
    rules = RULES.model_copy(update={"min_dte": (EXPIRY - dt.date(2025, 5, 26)).days})
    levels = targets.levels(sold(3.90).model_copy(update={"rules": rules}), None)

    assert levels.last_day == dt.date(2025, 5, 23)


def test_rules_that_are_off_give_nothing():
    """Neither prices nor a day."""
    levels = targets.levels(sold(3.90).model_copy(update={"rules": ExitRules()}), None)

    assert (levels.take, levels.stop, levels.last_day) == (None, None, None)
