"""The money of structures: credit, P&L, largest profit and loss, margin."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from support.made_books import made_book, market
from tomic import legs
from tomic.config import Settings
from tomic.models.book import Mark, Position
from tomic.portfolio import grouping, overview
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
    # 95 less the credit of 1.50; what it takes to close is the credit less the P&L so far.
    assert one.breakevens == (pytest.approx(93.50),)
    assert one.to_close == pytest.approx(300.0 - one.pnl)
    sold = next(leg for leg in one.legs if leg.quantity < 0.0)
    assert (one.spot, one.short_delta) == (100.0, sold.delta)
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
    assert one.breakevens == (pytest.approx(585.0),)
    call = next(leg for leg in one.legs if leg.right)
    assert one.to_close == pytest.approx(100.0 * call.price)


def test_calendar_loses_at_most_its_debit():
    """Revalued at the first expiry a calendar wins near its strike and loses its debit far away."""
    one = only(f"-1 SPY 600P {NEAR} @10, +1 SPY 600P {FAR} @14")

    assert one.strategy == "calendar" and one.credit == pytest.approx(-400.0)
    assert one.max_loss == pytest.approx(400.0, abs=15.0)
    assert 300.0 < one.max_profit < 1500.0
    assert one.breakevens == ()
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


# -- index options ---------------------------------------------------------------------------

THURSDAY = dt.datetime(2026, 12, 17, 16, 0, tzinfo=dt.UTC)


def index_option(text, trading_class, settled, *, price, sigma=0.16, **more):
    """A position as IB lists it, and its mark."""
    (leg,) = legs.parse(text)
    position = Position(
        account="DU1",
        symbol=leg.symbol,
        sec_type="OPT",
        quantity=leg.quantity,
        average_cost=price,
        right=leg.right,
        strike=leg.strike,
        expiry=leg.expiry,
        multiplier=100.0,
        trading_class=trading_class,
        local_symbol=f"{trading_class:<6}{settled}{leg.right}{round(leg.strike * 1000):08d}",
        **more,
    )
    return position, Mark(price=price, price_source="mid", iv=sigma, greeks_source="none")


def index_book(*options, spot=6000.0, symbol="SPX", as_of=THURSDAY, markets=None):
    known = {symbol: market(symbol, spot, sec_type="IND")} if markets is None else markets
    return made_book(
        positions=[position for position, _ in options],
        marks={position.contract: mark for position, mark in options},
        markets=known,
        as_of=as_of,
    )


def test_an_am_option_lives_until_the_opening_after_its_last_trading_day():
    """On its last Thursday an SPX spread has Greeks, margin and stress, and one day left."""
    book = index_book(
        index_option("-2 SPX 5950P 2026-12-17", "SPX", "261218", price=8.2),
        index_option("+2 SPX 5900P 2026-12-17", "SPX", "261218", price=3.1),
    )

    result = overview.review(book, SETTINGS)

    (spread,) = result.structures
    assert (spread.strategy, spread.dte, result.gaps) == ("short_put_spread", 1, ())
    assert spread.margin == pytest.approx(10_000.0)
    assert spread.greeks.theta > 0.0
    assert result.stress.worst.pnl < -5000.0


@pytest.mark.parametrize("local_symbol", ["VIX   230621C00017000", ""])
@pytest.mark.parametrize("known", [True, False])
def test_vix_lives_on_its_tuesday(local_symbol, known):
    """With and without an OCC symbol, and whether or not anybody asked what VIX is."""
    position, mark = index_option("-5 VIX 17C 2023-06-20", "VIX", "230621", price=0.15, sigma=1.2)
    position = position.model_copy(update={"local_symbol": local_symbol})
    as_of = dt.datetime(2023, 6, 20, 15, tzinfo=dt.UTC)
    spot = market("VIX", 13.9, sec_type="IND")
    markets = {"VIX": spot if known else spot.model_copy(update={"underlying": None})}

    book = index_book((position, mark), as_of=as_of, markets=markets)
    later = book.model_copy(update={"as_of": as_of + dt.timedelta(hours=23)})

    assert [one.dte for one in overview.review(book, SETTINGS).structures] == [1]
    assert [gap.reason for gap in overview.review(later, SETTINGS).gaps] == [
        "expired 2023-06-21, still listed"
    ]


def test_two_classes_of_one_day_have_their_own_end():
    """SPX and SPXW of one last trading day are two structures, a night apart."""
    book = index_book(
        index_option("-1 SPX 5950P 2026-12-17", "SPX", "261218", price=38.0),
        index_option("+1 SPX 5950P 2026-12-17", "SPXW", "261217", price=34.0),
        as_of=dt.datetime(2026, 12, 10, 16, tzinfo=dt.UTC),
    )

    result = overview.review(book, SETTINGS)

    assert {one.strategy: one.dte for one in result.structures} == {"short_put": 8, "long_put": 7}


@pytest.mark.parametrize("symbol", ["VIX", "RUT", "SPX", "XSP", "DJX"])
def test_shares_never_cover_what_is_settled_in_cash(symbol):
    """Shares of that very name beside a short call and a long put of the index stay shares."""
    shares = Position(
        account="DU1", symbol=symbol, sec_type="STK", quantity=100.0, average_cost=100.0
    )
    options = [
        Position(
            account="DU1", symbol=symbol, sec_type="OPT", quantity=quantity, average_cost=1.0,
            right=right, strike=strike, expiry=dt.date(2026, 12, 18), multiplier=100.0,
            trading_class=symbol,
        )
        for right, strike, quantity in (("C", 110.0, -1.0), ("P", 90.0, 1.0))
    ]  # fmt: skip

    names = {group.strategy for group in grouping.group([shares, *options]).groups}

    assert names == {"shares", "short_call", "long_put"}
