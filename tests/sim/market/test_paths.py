"""Daily history: prices and volatility that fit each other and every other day's market."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from support.model_market import spot, underlying
from tomic.sim.market import listings
from tomic.sim.market.model import OPEN_START, ModelMarket
from tomic.wire.requests import ContractSpec

MISSION = [
    "AAPL",
    "ASML",
    "CRM",
    "DIA",
    "EWG",
    "EWJ",
    "EWZ",
    "FEZ",
    "FXI",
    "GLD",
    "INDA",
    "NVDA",
    "QQQ",
    "RUT",
    "SPY",
    "TSLA",
    "VIX",
    "XLE",
    "XLF",
    "XLV",
]


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
