"""Stress grids, historical tails and known events."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support.made_books import AS_OF, RATE, made_book, market
from support.properties import examples
from tomic import dates
from tomic.config import Settings
from tomic.portfolio import overview, stress
from tomic.portfolio.overview import Holdings
from tomic.quant import american, black_scholes

SETTINGS = Settings()
NEAR, FAR = "2026-12-18", "2027-01-15"
BOOKS = {
    "condor": f"SPY iron_condor 560/570/630/640 {NEAR}",
    "calendar": f"SPY calendar 600P {NEAR}/{FAR}",
    "covered": f"SPY covered_call 620 {NEAR} x2",
    "strangle": f"SPY short_strangle 560/640 {NEAR}",
}


@pytest.mark.parametrize("text", BOOKS.values(), ids=BOOKS)
def test_centre_is_exactly_nothing(text):
    """Where nothing moves nothing is made or lost, to the last bit, in every grid."""
    found = overview.review(made_book(text), SETTINGS, each_symbol=True)

    for grid in (found.stress, *found.stress_by_symbol):
        spot, vol, day = (axis.index(0.0) for axis in (grid.spot_moves, grid.vol_moves, grid.days))
        assert grid.pnl[spot][vol][day] == 0.0
        assert grid.worst.pnl == min(c for plane in grid.pnl for row in plane for c in row)


def direct(book, move, vol_move, days):
    """P&L of a cell, each option priced anew."""
    total = 0.0
    for one in book.positions:
        spot = book.markets[one.symbol].spot.price
        if one.is_stock:
            total += one.quantity * spot * move
            continue
        info = book.markets[one.symbol]
        tau = dates.years_to_expiry(AS_OF, one.expiry, underlying=info.underlying)
        kernel = black_scholes if info.underlying.settles_in_cash else american
        sigma, is_call = book.marks[one.contract].iv, np.array(one.right == "C")
        now = kernel.price(spot, one.strike, tau, RATE, 0.0, sigma, is_call)
        then = kernel.price(
            spot * (1 + move), one.strike, max(tau - days / 365.0, 0.0), RATE, 0.0,
            sigma * (1 + vol_move), is_call,
        )  # fmt: skip
        total += one.quantity * one.multiplier * float(then - now)
    return total


@pytest.mark.parametrize("text", BOOKS.values(), ids=BOOKS)
def test_cells_agree_with_pricing_every_option_anew(text):
    """A hundred random cells, within a cent a share of full American pricing."""
    book = made_book(text)
    grid = overview.review(book, SETTINGS).stress
    rng = np.random.default_rng(3)
    shares = sum(abs(one.quantity) * one.multiplier for one in book.positions)

    for _ in range(100):
        a, b, c = (rng.integers(len(x)) for x in (grid.spot_moves, grid.vol_moves, grid.days))
        expected = direct(book, grid.spot_moves[a], grid.vol_moves[b], grid.days[c])
        assert grid.pnl[a][b][c] == pytest.approx(expected, abs=0.01 * shares)


def test_monte_carlo_agrees_with_the_value_now():
    """European options revalued at 20,000 simulated prices a week on average to today's value."""
    index = {"SPX": market("SPX", 6000.0, sec_type="IND")}
    book = made_book(f"SPX iron_condor 5600/5700/6300/6400 {NEAR}", markets=index)
    rows = Holdings.of(book).rows
    days, sigma, rng = 7.0, 0.2, np.random.default_rng(11)
    time = days / 365.0
    half = rng.standard_normal(10_000)
    draw = np.concatenate((half, -half))
    price = np.exp((RATE - 0.5 * sigma**2) * time + sigma * np.sqrt(time) * draw)
    axes = stress.Axes(price - 1.0, np.zeros(1), np.array([days]))

    pnl = stress.revalued(rows, [0] * len(rows), axes)[0, :, 0, 0]
    now = sum(row.line.price * row.quantity * 100.0 for row in rows)
    expected = now * np.exp(RATE * time) - now

    error = pnl.std() / np.sqrt(half.size)
    assert pnl.mean() == pytest.approx(expected, abs=4.0 * error)


def test_book_moves_by_beta_and_symbols_by_themselves():
    """With an assumed beta of 1 the book is the sum of its symbols; drivers add up to the worst."""
    book = made_book(f"-1 SPY 560P {NEAR}, -1 QQQ 280P {NEAR}, +100 QQQ", spots={"QQQ": 300.0})
    found = overview.review(book, SETTINGS, each_symbol=True)

    parts = sum(np.array(one.pnl) for one in found.stress_by_symbol)
    assert_allclose(np.array(found.stress.pnl), parts, atol=1e-9)
    assert sum(one.pnl for one in found.stress.drivers) == pytest.approx(found.stress.worst.pnl)
    assert found.stress.drivers[0].pnl == min(one.pnl for one in found.stress.drivers)


def test_spot_of_now_and_not_of_entry():
    """The same option entered at any price has the same grid."""
    cheap, dear = (made_book(f"-1 SPY 560P {NEAR} @{cost}") for cost in (0.5, 30))

    one, two = (overview.review(book, SETTINGS).stress.pnl for book in (cheap, dear))
    assert one == two


# -- tails --------------------------------------------------------------------------------------


def with_returns(book, **series):
    size = len(next(iter(series.values())))
    days = tuple(dt.date(2025, 1, 1) + dt.timedelta(days=n) for n in range(size))
    return book.model_copy(update={"return_days": days, "returns": series})


def test_tail_of_shares_is_that_of_their_returns():
    """For shares alone VaR is the quantile of their losses and CVaR the mean beyond it."""
    returns = np.random.default_rng(5).normal(0.0, 0.01, 200)
    book = with_returns(made_book("+100 SPY"), SPY=tuple(returns))
    found = overview.review(book, SETTINGS).tail

    loss = -100 * 600.0 * np.expm1(returns)
    var = np.quantile(loss, 0.95)
    assert found.value_at_risk == pytest.approx(var)
    assert found.cvar == pytest.approx(loss[loss >= var].mean())
    assert found.worst == pytest.approx(loss.max())
    assert found.worst_day == book.return_days[int(np.argmax(loss))]
    assert (found.days, found.diversification) == (200, pytest.approx(1.0))


def test_diversification_of_two_independent_halves():
    """Two equal and uncorrelated positions diversify by the square root of two."""
    x = np.tile([0.01, 0.01, -0.01, -0.01], 25)
    y = np.tile([0.01, -0.01, 0.01, -0.01], 25)
    book = with_returns(
        made_book("+100 SPY, +200 QQQ", spots={"QQQ": 300.0}),
        SPY=tuple(np.log1p(x)), QQQ=tuple(np.log1p(y)),
    )  # fmt: skip

    assert overview.review(book, SETTINGS).tail.diversification == pytest.approx(np.sqrt(2.0))


def test_days_on_which_a_symbol_did_not_move_are_left_out():
    """Only days with returns of every symbol count, and symbols without any are named."""
    x = np.random.default_rng(2).normal(0.0, 0.01, 100)
    holes = tuple(None if n < 20 else float(v) for n, v in enumerate(x))
    book = with_returns(
        made_book("+100 SPY, +200 QQQ, +10 XLF", spots={"QQQ": 300.0, "XLF": 40.0}),
        SPY=tuple(x), QQQ=holes,
    )  # fmt: skip
    found = overview.review(book, SETTINGS).tail

    assert (found.days, found.symbols, found.without) == (80, 2, ("XLF",))


def test_a_return_that_cannot_be_is_no_day():
    """A saved book can say anything; it is left out, without a warning on the terminal."""
    x = np.random.default_rng(2).normal(0.0, 0.01, 100).tolist()
    book = with_returns(made_book("+100 SPY"), SPY=(*x, 1e308, -1e308, 40.0, math.inf))

    assert overview.review(book, SETTINGS).tail.days == 100


def test_too_few_days_give_no_tail():
    """Fifty-nine days say too little."""
    book = with_returns(made_book("+100 SPY"), SPY=(0.01,) * 59)

    assert overview.review(book, SETTINGS).tail is None


# -- events ---------------------------------------------------------------------------------------


def test_earnings_move_both_ways():
    """A straddle sold loses on either side of a known move."""
    info = market("SPY", 600.0, next_earnings=dt.date(2026, 12, 1), earnings_move=0.08)
    book = made_book(f"SPY short_straddle 600 {NEAR}", markets={"SPY": info})
    (found,) = overview.review(book, SETTINGS).jumps

    assert (found.kind, found.move) == ("earnings", 0.08)
    assert found.up < 0.0 and found.down < 0.0


def test_events_after_the_last_expiry_do_not_concern_the_book():
    """Earnings in February are no jump for options of December."""
    info = market("SPY", 600.0, next_earnings=dt.date(2027, 2, 1), earnings_move=0.08)

    assert overview.review(
        made_book(f"-1 SPY 560P {NEAR}", markets={"SPY": info}), SETTINGS
    ).jumps == ()  # fmt: skip


def test_dividend_of_shares_comes_back():
    """Shares fall by the dividend and receive it: nothing is lost."""
    info = market("SPY", 600.0, next_dividend=dt.date(2026, 12, 15), dividend_amount=1.8)
    (found,) = overview.review(made_book("+100 SPY", markets={"SPY": info}), SETTINGS).jumps

    assert found.down == pytest.approx(0.0, abs=1e-9) and found.up is None


def test_unknown_size_of_earnings_is_said():
    """Without a known move three ordinary days stand for it, and the note says so."""
    info = market("SPY", 600.0, next_earnings=dt.date(2026, 12, 1), hv30=0.252)
    book = made_book(f"SPY short_straddle 600 {NEAR}", markets={"SPY": info})
    (found,) = overview.review(book, SETTINGS).jumps

    assert found.move == pytest.approx(3 * 0.252 / np.sqrt(252)) and "unknown" in found.note


def test_small_moves_agree_with_the_greeks():
    """
    Spot +2 % and volatility +5 % of itself: delta, gamma, and vega for the one point that is.

    20 % times 1.05 is 21 %: one point, so vega counts once; the original counted a hundredth of it.
    """
    book = made_book(f"-1 SPY 600P {FAR}, -1 SPY 600C {FAR}")
    rows = Holdings.of(book).rows
    axes = stress.Axes(np.array([0.0, 0.02]), np.array([0.0, 0.05]), np.zeros(1))
    pnl = stress.revalued(rows, [0] * len(rows), axes)[0, :, :, 0]
    greeks = overview.review(book, SETTINGS).totals.greeks

    assert pnl[0, 1] == pytest.approx(greeks.vega * 1.0, rel=0.02)
    shift = 600.0 * 0.02
    quadratic = greeks.delta * shift + 0.5 * greeks.gamma * shift**2
    assert pnl[1, 0] == pytest.approx(quadratic, rel=0.05)


@given(st.permutations(range(12)))
@examples(20)
def test_order_of_positions_changes_nothing(order):
    """The whole review is the same whatever the order of the broker's lines."""
    book = made_book(
        f"-1 SPY 560P {NEAR}, +1 550P, -1 640C, +1 650C, -2 QQQ 280P {NEAR}, +2 QQQ 270P, +150 QQQ,"
        f" -1 QQQ 320C {NEAR}, -1 SPY 600P {NEAR}, +1 SPY 600P {FAR}, +100 SPY, -1 SPY 500P {FAR}",
        spots={"QQQ": 300.0},
    )
    mixed = tuple(book.positions[place] for place in order)

    assert overview.review(book.model_copy(update={"positions": mixed}), SETTINGS) == (
        overview.review(book, SETTINGS)
    )


# -- what is taken for granted ------------------------------------------------------------------


def _said(book):
    return [note for note in overview.review(book, SETTINGS).notes if "told no dividends" in note]


def test_a_yield_that_nobody_told_is_said():
    """Options are revalued as if their shares paid none: that is named, symbol by symbol, once."""
    text = f"-1 SPY 590P {NEAR}; -1 QQQ 480P {NEAR}; -1 IWM 200P {NEAR}; +100 TLT"
    told = market("IWM", 210.0).model_copy(update={"div_yield": 0.0})
    book = made_book(text, spots={"QQQ": 500.0, "TLT": 90.0}, markets={"IWM": told})

    (note,) = _said(book)

    assert note.startswith("QQQ, SPY: IB told no dividends")
    assert "as if none were paid" in note


def test_a_forward_of_the_options_themselves_says_the_yield():
    """Where a pair implies it there is nothing to take for granted."""
    book = made_book(f"-1 SPY 590P {NEAR}")
    marks = {
        name: mark.model_copy(update={"forward": 598.0, "forward_source": "parity"})
        for name, mark in book.marks.items()
    }

    assert _said(book.model_copy(update={"marks": marks})) == []
