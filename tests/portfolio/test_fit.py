"""How trades fit a book."""

from __future__ import annotations

import numpy as np
import pytest

from support import random_chains
from support.made_books import AS_OF, RATE, made_book, market
from tomic import dates, legs
from tomic.config import Settings
from tomic.models.book import AccountSummary
from tomic.portfolio import fit, overview
from tomic.portfolio.fit import BookFit
from tomic.strategies import propose
from tomic.strategies.scoring import FitModel, Prospect

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


def test_no_trades_have_no_fit():
    """Where nothing passed the rules there is nothing to fit, whatever is held."""
    for text in ("", f"-1 SPY 560P {NEAR}", "+100 SPY @590"):
        assert list(BookFit(made_book(text), SETTINGS).fits([])) == []


def test_trades_of_shares_alone():
    """Shares have no legs to revalue; they fit by what their price does."""
    model = BookFit(made_book(f"-1 SPY 560P {NEAR}"), SETTINGS)
    shares = prospect("+100 SPY", margin=30_000.0)

    (alone,) = model.fits([shares])
    (among, _) = model.fits([shares, prospect(f"SPY -1 560P {NEAR}", margin=7000.0)])

    assert alone == among and 0.0 < alone.factor < 1.0


@pytest.mark.parametrize("rules", [{"min_ev": 1e6}, {"max_loss": 1.0}])
def test_a_symbol_without_a_passing_trade(rules):
    """With a book too a chain of which every trade is refused is searched to its end."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=15, gaps=False)
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.36)
    settings = SETTINGS.model_copy(update={"scan": SETTINGS.scan.model_copy(update=rules)})
    book = BookFit(made_book(f"-1 SPY 560P {NEAR}"), settings)

    found = propose.propose(chain, vol, settings=settings, book=book)

    assert found.proposals == () and found.considered > 0
    assert found.nearest_misses


def test_margin_that_is_unknown_counts_in_no_fit():
    """What a trade adds is known beside what is unknown; of one without a price it is not."""
    book = made_book(f"-1 SPY 560P {NEAR} @3; -1 QQQ 480P {NEAR}", spots={"QQQ": 500.0})
    bare = tuple(
        one.model_copy(update={"average_cost": None}) if one.symbol == "QQQ" else one
        for one in book.positions
    )
    book = book.model_copy(update={"positions": bare})
    before = overview.review(book, SETTINGS)
    after = overview.with_legs(book, legs.parse(f"-1 SPY 540P {NEAR} @2"))
    priceless = overview.with_legs(book, legs.parse(f"-1 IWM 200P {NEAR} @2"))

    known = fit.change("x", before, overview.review(after, SETTINGS))
    unknown = fit.change("x", before, overview.review(priceless, SETTINGS))

    assert before.totals.margin_net is None
    assert known.margin > 0.0 and 0.0 < known.fit < 1.0
    assert unknown.margin is None and unknown.fit == 1.0
    assert unknown.notes == ("what it adds to the margin is unknown: fit counts 1",)
    assert (
        BookFit(book, SETTINGS).fits([prospect(f"SPY -1 560P {NEAR}", margin=7000.0)])[0].factor < 1
    )
