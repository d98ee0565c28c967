"""How trades fit a book."""

from __future__ import annotations

import numpy as np
import pytest

from made_books import AS_OF, RATE, made_book, market
from tomic import dates, legs
from tomic.config import Settings
from tomic.models.book import AccountSummary
from tomic.portfolio import fit, overview
from tomic.portfolio.fit import BookFit
from tomic.strategies.fit import FitModel, Prospect

SETTINGS = Settings()
NEAR = "2026-12-18"


def prospect(text, price=600.0, margin=0.0):
    """The same trade as a scan would show it."""
    trade = legs.parse(text)
    after = overview.with_legs(
        made_book(spots={trade[0].symbol: price}).model_copy(update={"accounts": ()}), trade
    )
    (symbol,) = {leg.symbol for leg in trade}
    options = [leg for leg in trade if not leg.is_stock]
    rows = made_book(text, spots={symbol: price})
    greeks = overview.review(rows, SETTINGS).totals.greeks
    info = after.markets[symbol]
    return Prospect(
        symbol=symbol,
        strategy="any",
        spot=price,
        rate=RATE,
        div_yield=np.zeros(len(options)),
        strike=np.array([leg.strike for leg in options]),
        tau=np.array(
            [dates.years_to_expiry(AS_OF, x.expiry, underlying=info.underlying) for x in options]
        ),
        iv=np.full(len(options), 0.2),
        is_call=np.array([leg.right == "C" for leg in options]),
        quantity=np.array([leg.quantity for leg in options]),
        shares=sum(leg.quantity for leg in trade if leg.is_stock),
        multiplier=100,
        is_american=True,
        delta=greeks.delta,
        gamma=greeks.gamma,
        vega=greeks.vega,
        theta=greeks.theta,
        margin=margin,
    )


def test_it_is_a_fit_model():
    """A scan can ask it, and gets a fit per trade in order."""
    model: FitModel = BookFit(made_book(f"-1 SPY 560P {NEAR}"), SETTINGS)
    some = [prospect(f"SPY -{n} 560P {NEAR}", margin=n * 7000.0) for n in (1, 2, 3)]
    found = model.fits(some)

    factors = [one.factor for one in found]
    assert factors == sorted(factors, reverse=True) and all(0.0 < f < 1.0 for f in factors)
    assert [BookFit(made_book(f"-1 SPY 560P {NEAR}"), SETTINGS).fits([x])[0] for x in some] == (
        list(found)
    )


def test_more_of_the_same_costs_and_a_hedge_does_not():
    """A second short put beside ten burdens the book; a long put relieves it."""
    model = BookFit(made_book(f"-10 SPY 560P {NEAR}"), SETTINGS)
    more, hedge = model.fits(
        [
            prospect(f"SPY -1 560P {NEAR}", margin=7000.0),
            prospect(f"SPY +1 560P {NEAR}", margin=0.0),
        ]
    )

    assert more.factor < 1.0 and hedge.factor == 1.0
    assert "worst cell" in more.note and "margin +7.0%" in more.note


def test_agrees_with_the_whole_review_of_the_book_with_the_trade():
    """The quick path, on a part of the grid, gives the factor of both reviews to a thousandth."""
    text = f"SPY short_strangle 540/660 {NEAR}"
    book = made_book(f"-2 SPY 560P {NEAR}, +300 SPY, -3 SPY 640C {NEAR}")
    marks = made_book(text).marks
    book = book.model_copy(update={"marks": {**marks, **book.marks}})
    before = overview.review(book, SETTINGS)
    with_it = overview.review(overview.with_legs(book, legs.parse(text)), SETTINGS)
    change = fit.change(text, before, with_it)

    (quick,) = BookFit(book, SETTINGS).fits([prospect(text, margin=change.margin)])
    assert quick.factor == pytest.approx(change.fit, abs=1e-3)
    assert change.worst == pytest.approx(with_it.stress.worst.pnl - before.stress.worst.pnl)


def test_a_trade_of_two_percent_strain():
    """The formula by hand: a mean burden of 5 % of net liquidation halves the score."""
    before = fit._State(0.0, 0.0, 0.0, 0.0, 0.0)
    after = fit._State(delta=0.0, gamma=0.0, vega=0.0, margin=12_500.0, worst=-12_500.0)

    assert fit.factor_of(before, after, 100_000.0) == pytest.approx(0.5)


def test_unknown_net_liquidation_counts_one():
    """Without knowing what the account is worth nothing can be said, and that is said."""
    book = made_book(f"-1 SPY 560P {NEAR}")
    book = book.model_copy(update={"accounts": (AccountSummary(account="DU1"),)})
    (found,) = BookFit(book, SETTINGS).fits([prospect(f"SPY -1 560P {NEAR}")])

    assert found.factor == 1.0 and "unknown" in found.note


def test_shares_and_other_symbols_count():
    """A covered call on a symbol that is not held moves with its assumed beta."""
    book = made_book("+100 SPY", markets={"QQQ": market("QQQ", 300.0)})
    trade = prospect(f"QQQ covered_call 310 {NEAR}", price=300.0, margin=15_000.0)
    (found,) = BookFit(book, SETTINGS).fits([trade])

    assert 0.0 < found.factor < 1.0


def test_proposals_in_the_book_are_left_out():
    """A book that already carries a considered trade is judged without it."""
    book = made_book(f"-1 SPY 560P {NEAR}")
    with_it = overview.with_legs(book, legs.parse(f"SPY -5 560P {NEAR}"))
    trade = prospect(f"SPY -1 550P {NEAR}", margin=6000.0)

    assert BookFit(with_it, SETTINGS).fits([trade]) == BookFit(book, SETTINGS).fits([trade])
