"""The money of structures: credit, P&L, largest profit and loss, margin."""

from __future__ import annotations

import math

import pytest

from support.made_books import made_book, market
from tomic import legs
from tomic.config import Settings
from tomic.portfolio import overview
from tomic.portfolio.grouping import Claim

SETTINGS = Settings()
NEAR, FAR = "2026-12-18", "2027-01-15"


def only(text, **more):
    (one,) = overview.review(made_book(text, **more), SETTINGS).structures
    return one


def test_put_spread_held_twice():
    """95/90 sold for 1.50, twice: 300 to win, 700 to lose, margin 1,000 less the credit."""
    one = only(f"-2 SPY 95P {NEAR} @2.00, +2 SPY 90P {NEAR} @0.50", spots={"SPY": 100.0})

    assert (one.strategy, one.quantity) == ("short_put_spread", 2.0)
    assert (one.credit, one.cost) == (pytest.approx(300.0), pytest.approx(-300.0))
    assert (one.max_profit, one.max_loss) == (pytest.approx(300.0), pytest.approx(700.0))
    assert (one.margin, one.margin_net) == (pytest.approx(1000.0), pytest.approx(700.0))
    assert one.rom == pytest.approx(one.pnl / 700.0)
    assert one.profit_share == pytest.approx(one.pnl / 300.0)


def test_margin_is_no_premium():
    """A short put of IWM style takes Reg-T margin, not the 120 it brought in."""
    one = only(f"-1 SPY 95P {NEAR} @1.20", spots={"SPY": 100.0})

    # 20 % of 100 less 5 out of the money, plus the price now (Cboe).
    price = one.legs[0].price
    assert one.margin == pytest.approx(100.0 * (price + 15.0))
    assert one.margin_net == pytest.approx(one.margin - 120.0)


def test_unequal_condor_pays_for_both_sides():
    """IB margins a condor with wings of 10 and 20 as two spreads."""
    even = only(f"SPY iron_condor 560/570/630/640 {NEAR}")
    odd = only(f"SPY iron_condor 550/570/630/640 {NEAR}")

    assert (even.margin, odd.margin) == (pytest.approx(1000.0), pytest.approx(3000.0))


def test_covered_call_counts_its_shares():
    """Bought at 590 and called at 620 for 5: at most 35 a share, and the outlay to lose."""
    one = only(f"+100 SPY @590, -1 SPY 620C {NEAR} @5")

    assert one.strategy == "covered_call"
    assert (one.max_profit, one.max_loss) == (pytest.approx(3500.0), pytest.approx(58_500.0))
    assert one.cost == pytest.approx(58_500.0)


def test_calendar_loses_at_most_its_debit():
    """Revalued at the first expiry a calendar wins near its strike and loses its debit far away."""
    one = only(f"-1 SPY 600P {NEAR} @10, +1 SPY 600P {FAR} @14")

    assert one.strategy == "calendar" and one.credit == pytest.approx(-400.0)
    assert one.max_loss == pytest.approx(400.0, abs=15.0)
    assert 300.0 < one.max_profit < 1500.0
    assert (one.margin, one.margin_net) == (0.0, pytest.approx(400.0))


def test_naked_call_is_unbounded():
    """A short call can lose anything; in a cash account it may not be held at all."""
    text = f"-1 SPY 650C {NEAR} @2"
    one = only(text)
    cash = SETTINGS.model_copy(
        update={"account": SETTINGS.account.model_copy(update={"margin": "cash"})}
    )
    (refused,) = overview.review(made_book(text), cash).structures

    assert one.max_loss == math.inf and math.isfinite(one.margin)
    assert refused.margin == math.inf


def test_pnl_is_against_the_middle_with_the_multiplier():
    """Sold at 3 and now at its mark: (3 - mark) x 100 x 2."""
    one = only(f"-2 SPY 560P {NEAR} @3")

    assert one.pnl == pytest.approx((3.0 - one.legs[0].price) * 200.0)


def test_unknown_cost_makes_unknown_figures():
    """Without a cost there is no credit, no P&L and no return; margin and Greeks stay."""
    book = made_book(f"-1 SPY 560P {NEAR}")
    bare = tuple(one.model_copy(update={"average_cost": None}) for one in book.positions)
    (one,) = overview.review(book.model_copy(update={"positions": bare}), SETTINGS).structures

    assert (one.credit, one.pnl, one.rom, one.margin_net) == (None, None, None, None)
    assert one.margin > 0.0 and one.greeks.theta > 0.0


def test_days_in_trade():
    """From the journal when it knows, else at least since the first saved book."""
    book = made_book(f"-1 SPY 560P {NEAR}, -1 SPY 640C {NEAR}")
    day = book.today.replace(day=3)
    seen = tuple(one.model_copy(update={"first_seen": day}) for one in book.positions)
    book = book.model_copy(update={"positions": seen})
    link = Claim("journal", "9", legs.parse(f"SPY -560P -640C {NEAR}"), opened=day.replace(day=1))

    (guessed,) = overview.review(book, SETTINGS).structures
    (known,) = overview.review(book, SETTINGS, claims=[link]).structures

    assert (guessed.days_in_trade, guessed.days_at_least) == (17, True)
    assert (known.days_in_trade, known.days_at_least, known.link) == (19, False, "9")


def test_index_options_have_broad_margin():
    """15 % instead of 20 % for a broad index, and no early exercise."""
    index = {"SPX": market("SPX", 6000.0, sec_type="IND")}
    one = only(f"-1 SPX 5700P {NEAR} @20", markets=index)

    price = one.legs[0].price
    assert one.margin == pytest.approx(100.0 * (price + max(0.15 * 6000 - 300, 570.0)))


def test_a_trade_that_is_considered_leaves_the_book_exactly_as_it_was():
    """Adding and removing gives the same book; adding and adding the opposite the same review."""
    book = made_book(f"SPY iron_condor 560/570/630/640 {NEAR}, +100 SPY")
    trade = legs.parse(f"SPY short_put_spread 550/560 {NEAR} x2")
    opposite = [
        type(one)(one.symbol, -one.quantity, one.right, one.strike, one.expiry) for one in trade
    ]
    with_it = overview.with_legs(book, trade)

    assert overview.without_considered(with_it) == book
    both = overview.with_legs(with_it, opposite)
    assert overview.review(both, SETTINGS) == overview.review(book, SETTINGS)
    assert overview.review(with_it, SETTINGS) != overview.review(book, SETTINGS)


def test_a_considered_trade_costs_its_present_price():
    """Entered now it has made nothing yet, also when the book holds some of it already."""
    book = made_book(f"-1 SPY 560P {NEAR} @9, +1 SPY 550P {NEAR} @7")
    alone = overview.with_legs(
        book.model_copy(update={"positions": ()}), legs.parse(f"SPY -560P +550P {NEAR}")
    )
    (one,) = overview.review(alone, SETTINGS).structures

    assert one.pnl == pytest.approx(0.0)
    together = overview.review(
        overview.with_legs(book, legs.parse(f"SPY -560P +550P {NEAR}")), SETTINGS
    )
    assert [x.quantity for x in together.structures] == [2.0]
    assert together.totals.pnl == pytest.approx(overview.review(book, SETTINGS).totals.pnl)
