"""Historical bars: legal series, durations, ends, pacing and cancelling."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tomic.sim import Gateway, Limits, Profile
from tomic.sim.server.series import bars_of, end_of
from tomic.wire.answers import Error, HistoricalData
from tomic.wire.requests import CancelHistory, ContractSpec, ReqHistory

STOCK = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
OPTION = ContractSpec(con_id=700000002, exchange="SMART")
DAILY = ReqHistory(1, STOCK, False, "", "1 day", "5 D", True, "TRADES", 1)
NOW = datetime(2025, 6, 18, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "what", ["TRADES", "MIDPOINT", "BID_ASK", "OPTION_IMPLIED_VOLATILITY", "HISTORICAL_VOLATILITY"]
)
async def test_a_share_has_every_series(probe, what):
    """Daily bars come oldest first, the day of the request last."""
    probe.ask(replace(DAILY, what=what))
    history = await probe.until(HistoricalData, req_id=1)

    assert [bar.day for bar in history.bars] == [f"202506{day}" for day in range(14, 19)]
    assert history.bars[0].open == 1.0


@pytest.mark.parametrize("what", ["OPTION_IMPLIED_VOLATILITY", "HISTORICAL_VOLATILITY"])
async def test_an_option_has_no_volatility_series(probe, what):
    """IB keeps volatility history for shares and indices only: 162, no data."""
    probe.ask(replace(DAILY, contract=OPTION, what=what))

    error = await probe.until(Error, code=162)
    assert "returned no data" in error.text
    assert "pacing" not in error.text


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        (
            {"contract": ContractSpec(symbol="NOPE", sec_type="STK", exchange="SMART")},
            200,
            "No sec",
        ),
        ({"contract": ContractSpec(con_id=756733)}, 321, "Please enter exchange"),
        ({"bar_size": "1 jiffy"}, 321, "Invalid bar size"),
        ({"what": "GOSSIP"}, 321, "Invalid historical data type"),
        ({"duration": "5 X"}, 321, "Invalid duration"),
        ({"duration": "400 D"}, 321, "must be made in years"),
        ({"end": "yesterday"}, 321, "Invalid end date"),
        ({"end": "20250601 16:00:00 US/Eastern", "what": "ADJUSTED_LAST"}, 321, "adjusted last"),
        ({"end": "20250601 16:00:00", "keep_up_to_date": True}, 321, "keepUpToDate"),
        ({"date_format": 3}, 321, "Invalid date format"),
        ({"bar_size": "1 hour"}, 162, "returned no data"),
    ],
)
async def test_requests_that_cannot_be_right_are_refused(probe, gateway, changes, code, text):
    """Each rule of IB's validation has its own sentence."""
    probe.ask(replace(DAILY, **changes))

    error = await probe.until(Error, code=code)
    assert (error.req_id, text in error.text) == (1, True)
    assert gateway.open("history") == 0


@pytest.mark.parametrize(
    ("duration", "bars"),
    [("1 D", 1), ("252 D", 252), ("2 W", 10), ("1 M", 21), ("1 Y", 252), ("86400 S", 1)],
)
def test_durations_are_counted_in_sessions(duration, bars):
    """A year is 252 daily bars."""
    assert bars_of(duration) == bars


@pytest.mark.parametrize("duration", ["", "D", "0 D", "90000 S", "-1 D", "1.5 Y"])
def test_durations_that_are_none(duration):
    """What is no duration is named."""
    assert bars_of(duration) == f"Invalid duration: {duration}"


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("", "US/Eastern", NOW),
        ("20250602-21:00:00", "US/Eastern", datetime(2025, 6, 2, 21, tzinfo=UTC)),
        ("20250602 16:00:00 US/Eastern", "UTC", datetime(2025, 6, 2, 20, tzinfo=UTC)),
        ("20250602 16:00:00", "US/Eastern", datetime(2025, 6, 2, 20, tzinfo=UTC)),
        ("20251302 16:00:00", "US/Eastern", None),
        ("20250602 16:00:00 Mars/Olympus", "US/Eastern", None),
        ("June", "US/Eastern", None),
    ],
)
def test_ends_are_read_in_every_form(text, zone, expected):
    """A dash means UTC, a name its zone, nothing the exchange's; empty is now."""
    assert end_of(text, NOW, zone) == expected


async def test_identical_requests_within_fifteen_seconds_are_refused(market, connect):
    """The second one gets 162 about pacing; when the clock has moved on it is answered."""
    now = [0.0]
    async with Gateway(market, profile=Profile.instant(), clock=lambda: now[0]) as gateway:
        probe = await connect(gateway)
        probe.ask(DAILY)
        await probe.until(HistoricalData)
        probe.ask(DAILY)
        assert "pacing violation" in (await probe.until(Error, code=162)).text
        now[0] = 15.0
        probe.ask(DAILY)
        await probe.until(HistoricalData, 2)

    assert gateway.history_requests == 3


async def test_too_many_open_requests_for_bars(market, connect):
    """With room for two the third is refused while they are open."""
    profile = Profile(latency_s=0.0, history_s=(0.02, 0.02))
    async with Gateway(market, profile=profile, limits=Limits(history_open=2)) as gateway:
        probe = await connect(gateway)
        for req_id in (1, 2, 3):
            probe.ask(replace(DAILY, req_id=req_id, duration=f"{req_id} D"))
        assert (await probe.until(Error, code=162)).req_id == 3
        await probe.until(HistoricalData, 2)


async def test_open_requests_for_bars_are_counted_over_all_clients(market, connect):
    """What one client has open takes the room of the other."""
    profile = Profile(latency_s=0.0, history_s=(0.04, 0.04))
    async with Gateway(market, profile=profile, limits=Limits(history_open=1)) as gateway:
        first, second = await connect(gateway), await connect(gateway, 2)
        first.ask(DAILY)
        await first.settle()
        second.ask(replace(DAILY, duration="7 D"))
        assert (await second.until(Error, code=162)).req_id == 1


async def test_a_cancelled_request_is_confirmed_and_not_answered(market, connect):
    """The cancel brings a 162 of its own; cancelling again brings 366."""
    async with Gateway(market, profile=Profile(latency_s=0.0, history_s=(0.02, 0.02))) as gateway:
        probe = await connect(gateway)
        probe.ask(DAILY, CancelHistory(1), CancelHistory(1))
        await probe.until(Error, code=366)
        assert "cancelled: 1" in probe.got(Error, code=162)[0].text
        assert gateway.open("history") == 0
