"""Prices of the model market hold together, fit every other day's, and thin out at the edges."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from support.model_market import chain, priced, spot, underlying
from tomic.quant import black_scholes
from tomic.sim.market import listings, prices
from tomic.sim.market.instruments import DEMO
from tomic.sim.market.model import OPEN_START, ModelMarket
from tomic.wire.requests import ContractSpec

MISSION = [
    "AAPL", "ASML", "CRM", "DIA", "EWG", "EWJ", "EWZ", "FEZ", "FXI", "GLD", "INDA", "NVDA",
    "QQQ", "RUT", "SPY", "TSLA", "VIX", "XLE", "XLF", "XLV",
]  # fmt: skip


@pytest.fixture(scope="module")
def market():
    return ModelMarket(seed=1)


def test_daily_bars_end_at_the_spot(market):
    """252 trading days of SPY, oldest first, high and low around open and close, last is now."""
    con_id = underlying(market, "SPY").con_id
    bars = market.bars(con_id, "TRADES", 252, market.now())
    quote = market.quote(con_id)

    assert len(bars) == 252
    assert [bar.day for bar in bars] == sorted(bar.day for bar in bars)
    assert all(listings.is_trading_day(bar.day) for bar in bars)
    assert all(bar.low <= min(bar.open, bar.close) for bar in bars)
    assert all(bar.high >= max(bar.open, bar.close) for bar in bars)
    assert bars[-1].day == date(2026, 11, 20)
    assert (bars[-1].close, bars[-2].close) == (quote.last, quote.close)


def test_ten_years_of_bars(market):
    """2,520 bars reach back ten years, with a volatility near the implied one."""
    bars = market.bars(underlying(market, "SPY").con_id, "TRADES", 2520, market.now())
    returns = np.diff(np.log([bar.close for bar in bars]))

    assert bars[0].day < date(2016, 12, 1)
    assert 0.08 < returns.std() * np.sqrt(252) < 0.25


def test_the_volatility_series_end_at_what_the_share_ticks(market):
    """The last IV and HV bars are tick 24 and tick 23; the HV series is that of the closes."""
    con_id = underlying(market, "AAPL").con_id
    iv = market.bars(con_id, "OPTION_IMPLIED_VOLATILITY", 252, market.now())
    hv = market.bars(con_id, "HISTORICAL_VOLATILITY", 252, market.now())
    closes = [bar.close for bar in market.bars(con_id, "TRADES", 31, market.now())]
    quote = market.quote(con_id)

    assert len(iv) == len(hv) == 252
    assert iv[-1].close == quote.implied_volatility
    assert hv[-1].close == quote.historical_volatility
    assert hv[-1].close == pytest.approx(
        np.diff(np.log(closes)).std(ddof=1) * np.sqrt(252), rel=1e-9
    )


def test_ranks_differ_from_symbol_to_symbol(market):
    """Among the mission's symbols some stand high in their year's range and some low."""
    ranks = {}
    for symbol in MISSION:
        con_id = underlying(market, symbol).con_id
        bars = market.bars(con_id, "OPTION_IMPLIED_VOLATILITY", 253, market.now())
        past = [bar.close for bar in bars[:-1]]
        ranks[symbol] = (bars[-1].close - min(past)) / (max(past) - min(past))

    assert sum(rank >= 0.5 for rank in ranks.values()) >= 5
    assert sum(rank < 0.3 for rank in ranks.values()) >= 2
    assert ranks["SPY"] >= 0.5


def test_the_past_is_the_same_tomorrow():
    """A market five days later agrees on every day before, and continues where this one stops."""
    today, later = ModelMarket(3), ModelMarket(3, start=OPEN_START + timedelta(days=5))
    con_id = underlying(today, "QQQ").con_id

    before = today.bars(con_id, "TRADES", 100, today.now())
    after = later.bars(con_id, "TRADES", 103, later.now())

    assert after[:100] == before
    assert [bar.day for bar in after[100:]] == [date(2026, 11, d) for d in (23, 24, 25)]


def test_a_split_rewrites_history():
    """After two for one every close is half of what it was, and so is the spot."""
    before, after = ModelMarket(), ModelMarket(splits={"AAPL": 2.0})
    con_id = underlying(before, "AAPL").con_id
    old = [bar.close for bar in before.bars(con_id, "TRADES", 30, before.now())]
    new = [bar.close for bar in after.bars(con_id, "TRADES", 30, after.now())]

    assert new == pytest.approx([close / 2.0 for close in old], abs=1e-4)
    assert spot(after, "AAPL") == pytest.approx(spot(before, "AAPL") / 2.0, abs=1e-4)


def test_a_newcomer_has_a_short_past(market):
    """NEWC has 23 days of prices and volatility, and no 30-day history of returns."""
    con_id = underlying(market, "NEWC").con_id

    assert len(market.bars(con_id, "TRADES", 252, market.now())) == 23
    assert len(market.bars(con_id, "OPTION_IMPLIED_VOLATILITY", 252, market.now())) == 23
    assert market.bars(con_id, "HISTORICAL_VOLATILITY", 252, market.now()) == []
    assert market.quote(con_id).historical_volatility is None


def test_bars_stop_at_the_end_asked_for(market):
    """An end in the past, before the open of its day, leaves that day out."""
    con_id = underlying(market, "SPY").con_id
    end = listings.moment(date(2026, 6, 22), listings.FULL_CLOSE).replace(hour=9)

    bars = market.bars(con_id, "TRADES", 3, end)

    assert [bar.day for bar in bars] == [date(2026, 6, d) for d in (16, 17, 18)]


def test_options_have_midpoints_and_no_volatility_series(market):
    """MIDPOINT bars of an option end at its value; volatility series of options do not exist."""
    option = market.find(
        ContractSpec(symbol="SPY", sec_type="OPT", expiry="20261218", strike=590.0, right="P")
    )[0]
    bars = market.bars(option.con_id, "MIDPOINT", 5, market.now())

    assert len(bars) == 5
    assert bars[-1].close == pytest.approx(market.quote(option.con_id).model.price, abs=1e-4)
    assert bars[-1].volume == -1
    assert market.bars(option.con_id, "OPTION_IMPLIED_VOLATILITY", 5, market.now()) is None
    assert market.bars(option.con_id, "HISTORICAL_VOLATILITY", 5, market.now()) is None
    assert market.bars(4711, "TRADES", 5, market.now()) is None
    assert market.bars(underlying(market, "SPY").con_id, "FEE_RATE", 5, market.now()) is None


@pytest.mark.parametrize("expiry", [date(2026, 11, 23), date(2026, 12, 18), date(2027, 6, 17)])
def test_index_prices_admit_no_butterfly_or_vertical(market, expiry):
    """Unrounded SPXW calls fall and are convex in strike, puts rise and are convex."""
    board = priced(market, "SPX", "SPXW", expiry)
    n = len(board.strike) // 2
    strike = board.strike[:n]
    call_slope = np.diff(board.fair[:n]) / np.diff(strike)
    put_slope = np.diff(board.fair[n:]) / np.diff(strike)

    assert np.all(call_slope <= 1e-12)
    assert np.all(call_slope >= -1.0)
    assert np.all(put_slope >= -1e-12)
    assert np.diff(call_slope).min() > -1e-9
    assert np.diff(put_slope).min() > -1e-9


def test_index_prices_keep_put_call_parity(market):
    """Unrounded call minus put of SPXW is the discounted forward minus strike."""
    expiry = date(2027, 1, 15)
    board = priced(market, "SPX", "SPXW", expiry)
    n = len(board.strike) // 2
    tau = (listings.moment(expiry, listings.FULL_CLOSE) - OPEN_START) / timedelta(days=365)
    forward = spot(market, "SPX") * np.exp((prices.RATE - 0.0125) * tau)

    gap = board.fair[:n] - board.fair[n:]

    assert gap == pytest.approx(np.exp(-prices.RATE * tau) * (forward - board.strike[:n]), abs=1e-8)


def test_a_later_expiry_is_never_worth_less(market):
    """Calls on SPX at the same strike rise with time (yield below the rate)."""
    days = [date(2026, 11, 27), date(2026, 12, 18), date(2027, 1, 15), date(2027, 6, 17)]
    boards = [priced(market, "SPX", "SPXW", day) for day in days]
    values = []
    for board in boards:
        n = len(board.strike) // 2
        calls = dict(zip(board.strike[:n].tolist(), board.fair[:n].tolist(), strict=True))
        values.append(calls)
    common = set.intersection(*(set(calls) for calls in values))

    assert len(common) > 50
    for strike in common:
        path = [calls[strike] for calls in values]
        assert path == sorted(path)


@pytest.mark.parametrize("symbol", ["SPY", "AAPL", "XLF", "EWG"])
def test_quotes_stand_on_the_tick_around_the_value(market, symbol):
    """There always is an ask, the bid lies a tick below it or more, and the value between them."""
    quotes = chain(market, symbol, "20261218", symbol)
    fine = 0.01
    for option, quote in quotes:
        tick = 0.05 if symbol in ("AAPL", "EWG") and quote.ask > 3.05 else fine
        assert quote.ask is not None
        assert round(quote.ask / fine, 6) == pytest.approx(round(quote.ask / fine))
        if quote.bid is not None:
            assert quote.ask - quote.bid > 0.99 * fine
            assert quote.bid - tick <= quote.model.price <= quote.ask + tick
        assert option.min_tick == fine


def test_the_wings_are_thin(market):
    """Far puts have no bid and little interest; deep calls are quoted wide."""
    price = spot(market, "SPY")
    puts = [(o.strike, q) for o, q in chain(market, "SPY", "20261218", "SPY") if o.right == "P"]
    near = [q for strike, q in puts if abs(strike / price - 1.0) < 0.01]
    far = [q for strike, q in puts if strike < 0.75 * price]
    calls = [(o.strike, q) for o, q in chain(market, "SPY", "20261218", "SPY") if o.right == "C"]
    inside = [q.ask - q.bid for strike, q in calls if strike < 0.8 * price]
    at_money = [q.ask - q.bid for strike, q in calls if abs(strike / price - 1.0) < 0.01]

    assert any(quote.bid is None for quote in far)
    assert np.mean([q.open_interest for q in far]) < 0.3 * np.mean([q.open_interest for q in near])
    assert np.mean([q.volume for q in far]) < 0.2 * np.mean([q.volume for q in near])
    assert np.mean(inside) > 3.0 * np.mean(at_money)


def test_calls_and_puts_differ_a_little_when_live_and_not_when_frozen():
    """Model volatility of call and put: 0.1 to 0.5 points apart on Friday, equal on Saturday."""
    for closed in (False, True):
        market = ModelMarket(closed=closed, symbols=["SPY"])
        options = market.find(
            ContractSpec(symbol="SPY", sec_type="OPT", expiry="20261218", trading_class="SPY")
        )
        iv = {(o.strike, o.right): market.frozen_quote(o.con_id).model.iv for o in options}
        gaps = [iv[o.strike, "P"] - iv[o.strike, "C"] for o in options if o.right == "C"]
        if closed:
            assert set(gaps) == {0.0}
        else:
            assert 0.001 <= min(gaps) <= max(gaps) <= 0.005


def test_skew_is_negative_for_shares_and_positive_for_volatility(market):
    """25-delta puts of SPY cost 3 to 8 points more than calls; on VIX calls cost more."""
    quotes = chain(market, "SPY", "20261218", "SPY")

    def at(delta):
        return min(quotes, key=lambda pair: abs(pair[1].model.delta - delta))[1].model.iv

    vix = {o.strike: q.model.iv for o, q in chain(market, "VIX", "20261215") if o.right == "C"}

    assert 0.03 < at(-0.25) - at(0.25) < 0.08
    assert vix[26.0] > vix[18.0]


def test_dividends_are_ticked_and_priced(market):
    """SPY's next quarterly dividend is in the tick and in every option that outlives it."""
    tick = market.quote(underlying(market, "SPY").con_id).dividends
    past, ahead, day, amount = tick.split(",")
    before = chain(market, "SPY", "20261211", "SPY")[0][1]
    after = chain(market, "SPY", "20270115", "SPY")[0][1]

    assert day == "20261218"
    assert float(ahead) == pytest.approx(4 * float(amount), abs=0.01)
    assert float(past) > 0.0
    assert before.model.pv_dividend == 0.0
    assert after.model.pv_dividend == pytest.approx(float(amount), rel=0.01)
    assert market.quote(underlying(market, "TSLA").con_id).dividends is None
    assert market.quote(underlying(market, "SPX").con_id).dividends is None


def test_an_underlying_sums_its_options(market):
    """Open interest and volume of the share are the sums over every listed option."""
    quote = market.quote(underlying(market, "XLF").con_id)
    options = [
        market.quote(option.con_id)
        for option in market.find(ContractSpec(symbol="XLF", sec_type="OPT", right="P"))
    ]

    assert quote.put_open_interest == sum(option.open_interest for option in options)
    assert quote.put_volume == sum(option.volume for option in options)


def test_an_index_has_no_bid(market):
    """SPX and VIX tick a last price; VIX stands near the 30-day volatility of SPX."""
    spx = market.quote(underlying(market, "SPX").con_id)
    vix = market.quote(underlying(market, "VIX").con_id)

    assert (spx.bid, spx.ask, vix.bid) == (None, None, None)
    assert vix.last == pytest.approx(105.0 * spx.implied_volatility, rel=0.01)


def test_noise_is_even(market):
    """Hashed numbers are uniform: mean a half, variance a twelfth, no correlation of streams."""
    ids = np.arange(20_000, dtype=np.int64) * 2
    one, two = prices.noise(ids, 1, 1), prices.noise(ids, 1, 2)

    assert one.mean() == pytest.approx(0.5, abs=0.01)
    assert one.var() == pytest.approx(1 / 12, abs=0.005)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.02


@pytest.mark.parametrize("symbol", ["SPY", "AAPL", "XLF"])
def test_shares_are_exercised_early(market, symbol):
    """American options are never worth less than exercise, and deep puts exactly that."""
    price = spot(market, symbol)
    for expiry in (date(2026, 12, 18), date(2027, 6, 17)):
        board = priced(market, symbol, symbol, expiry)
        side = np.where(board.is_call, 1.0, -1.0)
        inside = side * (price - board.strike)

        assert np.all(board.fair >= inside - 1e-12)
        assert np.all(board.premium >= 0.0)
        assert board.fair[-1] == pytest.approx(inside[-1])
        assert board.delta[-1] == -1.0


def test_an_index_is_not_exercised_early(market):
    """Deep SPXW puts trade below intrinsic value while the rate is positive."""
    board = priced(market, "SPX", "SPXW", date(2026, 12, 18))

    assert np.all(board.premium == 0.0)
    assert board.fair[-1] < board.strike[-1] - spot(market, "SPX")


def test_early_exercise_opens_no_butterfly(market):
    """Unrounded American prices stay convex in strike to a thousandth of a tick."""
    board = priced(market, "SPY", "SPY", date(2026, 12, 18))
    n = len(board.strike) // 2
    for side in (board.fair[:n], board.fair[n:]):
        slope = np.diff(side) / np.diff(board.strike[:n])

        assert np.diff(slope).min() > -2e-5


def test_the_shown_volatility_reprices_the_option():
    """On a closed market the value follows from the shown volatility, forward and rate."""
    market = ModelMarket(closed=True, symbols=["SPX"])
    board = priced(market, "SPX", "SPXW", date(2026, 12, 18))
    tau = (
        listings.moment(date(2026, 12, 18), listings.FULL_CLOSE)
        - listings.moment(date(2026, 11, 20), listings.FULL_CLOSE)
    ) / timedelta(days=365)

    again = black_scholes.price(
        spot(market, "SPX"), board.strike, tau, prices.RATE, 0.0125, board.sigma, board.is_call
    )

    assert board.fair == pytest.approx(again, abs=1e-9)


@pytest.mark.parametrize("symbol", [instrument.symbol for instrument in DEMO])
def test_variance_has_no_calendar_arbitrage(symbol):
    """Total variance at the same moneyness never falls with time, at any moneyness."""
    instrument = next(i for i in DEMO if i.symbol == symbol)
    surface = prices.Surface.of(instrument, instrument.iv30, date(2026, 11, 20))
    moneyness = np.linspace(-1.2, 1.2, 97)
    taus = np.concatenate((np.arange(1, 130) / 365.0, np.linspace(0.4, 2.8, 40)))

    variance = np.array([tau * surface.sigma(moneyness, tau) ** 2 for tau in taus])

    assert np.all(np.diff(variance, axis=0) > -1e-15)


@pytest.mark.parametrize("symbol", [instrument.symbol for instrument in DEMO])
def test_smiles_have_no_butterfly_arbitrage(symbol):
    """The density that each smile implies is positive (Gatheral's g over a fine grid)."""
    instrument = next(i for i in DEMO if i.symbol == symbol)
    surface = prices.Surface.of(instrument, instrument.iv30, date(2026, 11, 20))
    k = np.linspace(-1.0, 1.0, 4001)
    step = k[1] - k[0]
    for tau in (1 / 365, 7 / 365, 28 / 365, 0.5, 2.0):
        w = tau * surface.sigma(k, tau) ** 2
        first, second = np.gradient(w, step), np.gradient(np.gradient(w, step), step)
        g = (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2

        assert g[3:-3].min() > 0.0
