"""What is not known of a book stays unknown: costs, moves and prices that are missing."""

from __future__ import annotations

import math

import pytest

from support.made_books import made_book, market, position
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


def without_cost(text, symbol, **more):
    """A book in which nobody says what the positions of *symbol* cost."""
    book = made_book(text, **more)
    bare = tuple(
        one.model_copy(update={"average_cost": None}) if one.symbol == symbol else one
        for one in book.positions
    )
    return book.model_copy(update={"positions": bare})


BOTH = f"-1 SPY 560P {NEAR} @3, +1 SPY 550P {NEAR} @2; -1 QQQ 480P {NEAR}"


def test_totals_of_unknown_costs():
    """A net margin and a P&L of which a part is unknown are unknown, and the part is named."""
    found = overview.review(without_cost(BOTH, "QQQ", spots={"QQQ": 500.0}), SETTINGS)
    spread, put = sorted(found.structures, key=lambda one: one.margin_net is None)

    totals = found.totals

    assert totals.margin == totals.margin_known == pytest.approx(spread.margin + put.margin)
    assert (totals.margin_net, totals.margin_unknown) == (None, (put.id,))
    assert (totals.pnl, totals.pnl_unknown) == (None, (put.id,))
    assert totals.pnl_known == pytest.approx(spread.pnl)


def test_totals_of_a_book_of_unknown_costs():
    """Nothing known is unknown, and not nothing."""
    found = overview.review(without_cost(f"-1 SPY 560P {NEAR}", "SPY"), SETTINGS)

    assert found.totals.margin > 0.0
    assert (found.totals.margin_net, found.totals.margin_unknown) == (None, ("SPY-1",))
    assert (found.totals.pnl, found.totals.pnl_known) == (None, None)


def test_totals_of_unknown_margins():
    """Without quotes a margin is unknown: of the book, of its symbol, and its share."""
    book = made_book(BOTH, spots={"QQQ": 500.0})
    silent = {name: mark for name, mark in book.marks.items() if "QQQ" not in name}
    found = overview.review(book.model_copy(update={"marks": silent}), SETTINGS)

    totals, shares = found.totals, {(one.kind, one.name): one for one in found.concentration}

    assert (totals.margin, totals.margin_net, totals.margin_share) == (None, None, None)
    assert totals.margin_known == pytest.approx(1000.0)
    assert totals.margin_unknown == ("QQQ-1",)
    unknown, known = shares["symbol", "QQQ"], shares["symbol", "SPY"]
    assert (unknown.margin, unknown.share, unknown.margin_unknown) == (None, None, ("QQQ-1",))
    assert (known.margin, known.share) == (pytest.approx(1000.0), 1.0)


def test_nothing_held_takes_no_margin():
    """An empty book has a margin, which is 0, and no P&L."""
    totals = overview.review(made_book(), SETTINGS).totals

    assert (totals.margin, totals.margin_net, totals.margin_unknown) == (0.0, 0.0, ())
    assert (totals.pnl, totals.pnl_known) == (None, None)


def test_margin_known_in_part_still_warns():
    """What is known alone takes more than half of net liquidation: the rest can only add to it."""
    book = made_book(f"-3 SPY 590P {NEAR} @9; -1 QQQ 480P {NEAR}", spots={"QQQ": 500.0}, net=50_000)
    silent = {name: mark for name, mark in book.marks.items() if "QQQ" not in name}
    found = overview.review(book.model_copy(update={"marks": silent}), SETTINGS)

    (alert,) = [one for one in found.alerts if one.rule == "margin_share"]
    assert alert.value == pytest.approx(found.totals.margin_known / 50_000)
    assert "at least" in alert.message
