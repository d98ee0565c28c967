"""Bars within a day: they add up to the day, whatever their size."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tomic.sim.market import Bar
from tomic.sim.market.intraday import bars_within, merged
from tomic.sim.market.listings import FUND_OPTION, STOCK_LIQUID, session
from tomic.sim.market.model import ModelMarket
from tomic.wire.requests import ContractSpec

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def market():
    return ModelMarket(1, monotonic=lambda: 0.0)


@pytest.fixture(scope="module")
def spy(market):
    return market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id


@pytest.mark.parametrize("size_s", [30, 60, 300, 1800, 3600])
def test_bars_add_up_to_the_day(market, spy, size_s):
    """First open, last close, highest high and lowest low are those of the daily bar."""
    day = market.bars(spy, "TRADES", 2, NOW)[0]

    bars = [bar for bar in market.intraday(spy, "TRADES", size_s, 2, NOW) if bar.day == day.day]

    assert (bars[0].open, bars[-1].close) == (day.open, day.close)
    assert (max(bar.high for bar in bars), min(bar.low for bar in bars)) == (day.high, day.low)
    assert sum(bar.volume for bar in bars) == pytest.approx(day.volume, rel=1e-4)
    assert all(bar.low <= min(bar.open, bar.close) <= bar.high for bar in bars)


def test_minutes_add_up_to_hours(market, spy):
    """One path underlies all sizes."""
    minutes = market.intraday(spy, "TRADES", 60, 1, NOW)
    hours = market.intraday(spy, "TRADES", 3600, 1, NOW)

    for hour in hours[:-1]:
        inside = [bar for bar in minutes if hour.at <= bar.at and bar.at.hour == hour.at.hour]
        assert max(bar.high for bar in inside) == hour.high
        assert inside[-1].close == hour.close


def test_bars_lie_on_whole_hours_and_end_now(market, spy):
    """The first hour is half a one; nothing of the future is told."""
    bars = market.intraday(spy, "TRADES", 3600, 1, NOW)

    assert [f"{bar.at:%H:%M}" for bar in bars] == [
        "09:30", "10:00", "11:00", "12:00", "13:00", "14:00",
    ]  # fmt: skip
    assert market.intraday(spy, "TRADES", 3600, 1, NOW.replace(hour=15))[-1].at.hour == 9


def test_a_day_of_half_length_has_fewer_bars():
    """The session decides."""
    half = Bar(datetime(2025, 11, 28).date(), 10.0, 12.0, 9.0, 11.0)
    end = datetime(2026, 1, 1, tzinfo=UTC)

    counts = [
        len(bars_within("x", [half], 900, lambda bar, hours=hours: session(hours, bar.day), end))
        for hours in (STOCK_LIQUID, FUND_OPTION)
    ]

    assert counts == [14, 15]


def test_no_minutes_of_a_volatility(market, spy):
    """IB has daily bars of them only."""
    assert market.intraday(spy, "OPTION_IMPLIED_VOLATILITY", 60, 1, NOW) is None


def test_weeks_and_months_are_made_of_days(market, spy):
    """Each begins on its first trading day."""
    days = market.bars(spy, "TRADES", 60, NOW)
    for size, span in (("1 week", 5), ("1 month", 23)):
        bars = merged(days, size)
        assert bars[0].open == days[0].open and bars[-1].close == days[-1].close
        assert sum(bar.volume for bar in bars) == sum(day.volume for day in days)
        assert 60 / span <= len(bars) <= 60 / span + 3
    with pytest.raises(ValueError, match="weeks or months"):
        merged(days, "1 year")
