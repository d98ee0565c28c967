"""Daily bars over the session: what arrives, IB's limits, and its refusals."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from support.patient_clock import PatientClock
from tomic.errors import (
    DataError,
    GatewayRefused,
    NoMarketData,
    PacingViolation,
    RequestTimeout,
    UnknownContract,
)
from tomic.ib import contracts, history
from tomic.ib.history import Series, Turns
from tomic.models import Underlying
from tomic.selection import Wanted
from tomic.sim import faults

START = dt.date(2026, 11, 20)


async def underlying(session, settings, symbol) -> Underlying:
    return await contracts.resolve_underlying(session, symbol, settings.market)


def patient(session, per_10_min=55) -> PatientClock:
    """Let the session wait on a clock that takes no time."""
    clock = PatientClock()
    turns = Turns(per_10_min, clock=clock, sleep=clock.sleep)
    history.share_turns(session, turns)
    return clock


async def test_bars_are_those_of_the_market(market, session, settings):
    """Day, prices and volume arrive as the market has them, oldest first."""
    spy = await underlying(session, settings, "SPY")

    found = await history.daily_bars(session, spy, 40)

    truth = market.bars(spy.con_id, "TRADES", 40, market.now())
    assert [tuple(one) for one in found] == [
        (bar.day, bar.open, bar.high, bar.low, bar.close, float(bar.volume)) for bar in truth
    ]
    assert found[-1].day == START


async def test_implied_volatility_is_a_fraction_without_volume(market, session, settings):
    """The 30-day series closes where tick 106 stands now; nothing of it was traded."""
    spy = await underlying(session, settings, "SPY")

    found = await history.daily_bars(session, spy, 5, Series.IMPLIED)

    assert found[-1].close == market.quote(spy.con_id).implied_volatility
    assert all(math.isnan(bar.volume) for bar in found)


async def test_historical_volatility_is_a_series_of_its_own(market, session, settings):
    """IB's own estimate closes where tick 104 stands."""
    spy = await underlying(session, settings, "SPY")

    found = await history.daily_bars(session, spy, 3, Series.HISTORICAL)

    assert found[-1].close == market.quote(spy.con_id).historical_volatility


async def test_an_index_has_no_volume(session, settings):
    """IB's -1 is no volume, not one of minus one."""
    vix = await underlying(session, settings, "VIX")

    (bar,) = await history.daily_bars(session, vix, 1)

    assert bar.close > 0.0
    assert math.isnan(bar.volume)


async def test_an_option_has_midpoints_but_no_volatility_series(session, settings):
    """MIDPOINT bars come for an option; its OPTION_IMPLIED_VOLATILITY is no data, and final."""
    spy = await underlying(session, settings, "SPY")
    (params, *_) = [
        one
        for one in await contracts.option_params(session, spy)
        if one.trading_class == "SPY" and one.exchange == "SMART"
    ]
    strike = min(params.strikes, key=lambda level: abs(level - 590.0))
    pair = Wanted(dt.date(2026, 12, 18), strike, "C")

    middle = await history.option_bars(session, spy, params, pair)
    none = await history.option_bars(session, spy, params, pair, Series.IMPLIED)

    assert [bar.day for bar in middle] == [START]
    assert none == ()


@pytest.mark.parametrize(
    ("days", "text"),
    [(1, "1 D"), (253, "253 D"), (365, "365 D"), (366, "2 Y"), (504, "2 Y"), (505, "3 Y")],
)
def test_long_durations_are_written_in_years(days, text):
    """IB refuses more than 365 days; whole years then cover what was asked for."""
    assert history.duration(days) == text


def test_a_duration_has_days():
    """Nothing is not a duration."""
    with pytest.raises(ValueError, match="days must be >= 1, got 0"):
        history.duration(0)


def test_a_bar_with_a_broken_date_is_named():
    """A date that is none stops the series, and says whose it was."""
    from ib_async import BarData

    with pytest.raises(DataError, match="TRADES of SPY: bar with the date 'soon'"):
        history.to_bars("TRADES of SPY", [BarData(date="soon", close=1.0)])


def test_bars_without_a_close_are_no_bars():
    """IB's -1 and 1.8e308 are no prices; the day is left out, a repeated day counts once."""
    from ib_async import BarData

    rows = [
        BarData(date="20261120", open=9.0, high=9.0, low=9.0, close=-1.0),
        BarData(date="20261119", open=1.7976931348623157e308, high=3.0, low=1.0, close=2.0),
        BarData(date="20261119", open=1.0, high=3.0, low=1.0, close=2.5),
    ]

    (bar,) = history.to_bars("TRADES", rows)

    assert bar[:5] == (dt.date(2026, 11, 19), 1.0, 3.0, 1.0, 2.5)


async def test_a_pacing_refusal_is_waited_for(gateway, session, settings):
    """After a 162 about pacing the same series is asked again, 15 s later at the earliest."""
    clock = patient(session)
    gateway.add(faults.HistoryPacing(times=2))
    spy = await underlying(session, settings, "SPY")

    found = await history.daily_bars(session, spy, 5)

    assert len(found) == 5
    assert gateway.history_requests == 3
    assert clock.passed >= 15.0 + 30.0
    assert any("162" in note for note in session.notes)


async def test_a_pacing_refusal_that_stays_is_an_error(gateway, session, settings):
    """Four refusals end one series; the session goes on."""
    patient(session)
    gateway.add(faults.HistoryPacing(times=4))
    spy = await underlying(session, settings, "SPY")

    with pytest.raises(PacingViolation):
        await history.daily_bars(session, spy, 5)

    assert len(await history.daily_bars(session, spy, 6)) == 6


async def test_other_refusals_are_errors(gateway, session, settings):
    """A 200 is what it says."""
    gateway.add(faults.Refuse(on="history", code=200))
    spy = await underlying(session, settings, "SPY")

    with pytest.raises(UnknownContract):
        await history.daily_bars(session, spy, 5)


@pytest.mark.parametrize(
    "text",
    [
        "HMDS query returned no data: AAPL@SMART Trades",
        "No data of type EODChart is available for the exchange 'BEST'",
        "No historical market data for SPX/IND@CBOE Last 1800",
    ],
)
async def test_no_bars_are_none(gateway, session, settings, text):
    """In whichever words 162 says that IB has none, that is an answer."""
    gateway.add(faults.Refuse(on="history", code=162, text=text))
    spy = await underlying(session, settings, "SPY")

    assert await history.daily_bars(session, spy, 5) == ()


@pytest.mark.parametrize(
    ("code", "text", "error", "remedy"),
    [
        (162, "Trading TWS session is connected from a different IP address", GatewayRefused,
         "log out of Client Portal, the phone and any other TWS"),
        (420, "Trading TWS session is connected from a different IP address", GatewayRefused,
         "log out of Client Portal"),
        (162, "No market data permissions for NYSE STK", NoMarketData, "subscribe to that"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_to_do(gateway, session, settings, code, text, error, remedy):
    """Another login and a missing subscription look alike by their code, and not by their words."""
    gateway.add(faults.Refuse(on="history", code=code, text=text))
    spy = await underlying(session, settings, "SPY")

    with pytest.raises(error) as caught:
        await history.daily_bars(session, spy, 5)

    assert text in str(caught.value)
    assert remedy in str(caught.value)


async def test_a_late_bar_lands_nowhere(gateway, market, session, settings):
    """Bars of one symbol that come after its timeout never reach the next request."""
    gateway.add(faults.Late(on="history", symbol="SPY", seconds=0.03))
    gateway.add(faults.Late(on="history", symbol="QQQ", seconds=0.04))
    spy, qqq = [await underlying(session, settings, name) for name in ("SPY", "QQQ")]

    with pytest.raises(RequestTimeout):
        await history.daily_bars(session, spy, 5, timeout_s=0.01)
    found = await history.daily_bars(session, qqq, 3)

    truth = [bar.close for bar in market.bars(qqq.con_id, "TRADES", 3, market.now())]
    assert [bar.close for bar in found] == truth


async def test_a_timed_out_request_is_cancelled(gateway, session, settings):
    """The gateway does not go on working for nobody."""
    gateway.add(faults.Silent(on="history"))
    spy = await underlying(session, settings, "SPY")

    with pytest.raises(RequestTimeout):
        await history.daily_bars(session, spy, 5, timeout_s=0.02)
    await session.now()

    assert gateway.by_kind["cancel_history"] == 1


async def test_never_more_than_the_limit_in_ten_minutes():
    """The fifty-sixth request waits until the first is ten minutes old."""
    clock = PatientClock()
    turns = Turns(55, clock=clock, sleep=clock.sleep)

    for number in range(56):
        await turns.take(f"series {number}")

    assert clock.waits == [600.0]


async def test_earlier_runs_count():
    """What was asked before this run takes its place in the ten minutes."""
    clock = PatientClock()
    recent = {f"old {number}": clock() - 100.0 for number in range(55)}
    turns = Turns(55, recent=recent, clock=clock, sleep=clock.sleep)

    expected = turns.seconds_for(1)
    await turns.take("new")

    assert clock.waits == [500.0]
    assert expected == 500.0


async def test_an_identical_request_waits_fifteen_seconds():
    """IB counts the same request within 15 s as a violation."""
    clock = PatientClock()
    turns = Turns(55, clock=clock, sleep=clock.sleep)

    await turns.take("same")
    await turns.take("same")

    assert clock.waits == [15.0]


async def test_a_shared_ledger_has_the_last_word():
    """What another run asked meanwhile is waited for, as long as the ledger says."""
    clock, answers = PatientClock(), [7.0, 3.0, 0.0]

    async def claim(_: str) -> float:
        return answers.pop(0)

    await Turns(55, claim=claim, clock=clock, sleep=clock.sleep).take("series")

    assert clock.waits == [7.0, 3.0]
    assert answers == []


def test_history_keeps_sixty_in_ten_minutes():
    """IB, "Historical Data Limitations": the request after a full window waits for its end."""
    now = [1000.0]
    turns = Turns(3, clock=lambda: now[0])

    waits = [turns.book(f"{n}") for n in range(4)]

    assert waits == [0.0, 0.0, 0.0, 600.0]
    assert turns.seconds_for(3) == 1200.0


def test_history_asks_nothing_twice_in_fifteen_seconds():
    """An identical request waits, another does not."""
    now = [0.0]
    turns = Turns(60, clock=lambda: now[0])

    assert turns.book("SPY") == 0.0
    now[0] = 5.0
    assert turns.book("SPY") == 10.0
    assert turns.book("QQQ") == 0.0


def test_history_remembers_earlier_runs():
    """Requests of another run count until they are ten minutes old."""
    now = [700.0]
    recent = {"a": 50.0, "b": 150.0, "c": 650.0}
    turns = Turns(2, recent=recent, clock=lambda: now[0])

    assert turns.seconds_for(1) == 50.0
    assert turns.book("d") == 50.0
    assert Turns(2, clock=lambda: now[0]).seconds_for(2) == 0.0
