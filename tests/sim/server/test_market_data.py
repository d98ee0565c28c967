"""Market data as a client sees it: what comes, in which order, and what is refused; and bars."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sim.conftest import Probe
from support import virtual_time
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import Advised, NotSubscribed
from tomic.sim.market.model import CLOSED_START, OPEN_START, ModelMarket
from tomic.sim.server.market_data import bars_of, end_of
from tomic.wire.answers import (
    BarRow,
    Error,
    HistoricalData,
    HistoricalUpdate,
    MarketDataType,
    SnapshotEnd,
    TickComputation,
    TickGeneric,
    TickParams,
    TickPrice,
    TickSize,
    TickString,
)
from tomic.wire.requests import (
    CancelHistory,
    CancelMarketData,
    ContractSpec,
    ReqHistory,
    ReqMarketData,
    ReqMarketDataType,
)

STOCK = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
CALL = ContractSpec(
    symbol="SPY",
    sec_type="OPT",
    expiry="20250718",
    strike=600.0,
    right="C",
    exchange="SMART",
    currency="USD",
    trading_class="SPY",
)
PUT = replace(CALL, right="PUT")
OPTION = ContractSpec(con_id=700000002, exchange="SMART")
DAILY = ReqHistory(1, STOCK, False, "", "1 day", "5 D", True, "TRADES", 1)
NOW = datetime(2025, 6, 18, 15, 0, tzinfo=UTC)


async def test_an_option_streams_everything_asked_for(probe):
    """Type, tick parameters, then quotes with sizes, the day, Greeks, volume and open interest."""
    probe.ask(ReqMarketData(1, CALL, generic_ticks="100,101,106"))
    model = await probe.until(TickComputation, tick=13)
    await probe.until(TickSize, tick=28)

    ticks = [one for one in probe.answers if getattr(one, "req_id", 0) == 1]
    assert [type(one) for one in ticks[:2]] == [MarketDataType, TickParams]
    prices = {one.tick: one.price for one in probe.got(TickPrice)}
    assert prices == {1: 6.0, 2: 6.2, 4: 6.1, 6: 6.5, 7: 5.5, 9: 5.9, 14: 5.8}
    sizes = {one.tick: one.size for one in probe.got(TickSize)}
    assert sizes == {0: 10, 3: 12, 5: 1, 8: 345, 27: 1234, 28: 0, 29: 345, 30: 0}
    assert probe.got(TickPrice, tick=1)[0].size == 10
    assert (model.iv, model.delta, model.underlying) == (0.18, 0.52, 600.5)


async def test_a_puts_open_interest_is_on_the_put_tick(probe):
    """Calls and puts are both sent; of a put the call's one is zero."""
    probe.ask(ReqMarketData(1, PUT, generic_ticks="100,101"))
    await probe.until(TickSize, tick=28)

    sizes = {one.tick: one.size for one in probe.got(TickSize)}
    assert (sizes[27], sizes[28], sizes[29], sizes[30]) == (0, 1234, 0, 345)


async def test_an_underlyings_generic_ticks(probe):
    """411, 106 and 456 bring both volatilities and the dividends; 100 and 101 the option totals."""
    probe.ask(ReqMarketData(1, STOCK, generic_ticks="100,101,411,106,456,233,221"))
    dividends = await probe.until(TickString, tick=59)
    await probe.until(TickString, tick=48)

    assert dividends.value == "6.9,7.1,20250620,1.75"
    generics = {one.tick: one.value for one in probe.got(TickGeneric)}
    assert generics == {58: 0.15, 24: 0.17, 49: 0.0}
    sizes = {one.tick: one.size for one in probe.got(TickSize)}
    assert (sizes[27], sizes[28], sizes[29], sizes[30]) == (1000, 2000, 30, 40)
    assert probe.got(TickPrice, tick=37)[0].price == pytest.approx(6.1)


async def test_what_is_missing_has_the_wires_own_sentinels(probe, market):
    """No bid is price -1 with size 0; a model that cannot be computed is -1 and -2."""
    market.without(bid=None, last=None, model=None, bid_model=None)
    probe.ask(ReqMarketData(1, CALL))
    model = await probe.until(TickComputation, tick=13)

    bid = probe.got(TickPrice, tick=1)[0]
    assert (bid.price, bid.size) == (-1.0, 0)
    assert probe.got(TickPrice, tick=4) == []
    assert (model.iv, model.delta, model.gamma, model.price) == (-1.0, -2.0, -2.0, -1.0)


async def test_a_line_goes_on_until_it_is_cancelled(market, connect):
    """Updates follow the first quotes, with what the market says by then; none after the cancel."""
    profile = Profile(latency_s=0.0, quotes_s=(0.0, 0.0), greeks_s=(0.0, 0.0), update_s=0.02)
    async with Gateway(market, profile=profile) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqMarketData(1, CALL))
        await probe.until(TickPrice, tick=1)
        market.without(bid=6.05)
        await probe.until(TickPrice, tick=1, price=6.05)
        await probe.until(TickComputation, 3, tick=13)
        probe.ask(CancelMarketData(1))
        await probe.settle()
        count = len(probe.answers)
        await probe.settle()

    assert len(probe.answers) == count + 1


async def test_cancelling_what_is_not_there(probe):
    """The cancel of an unknown id is a 300."""
    probe.ask(CancelMarketData(9))

    assert (await probe.until(Error, code=300)).req_id == 9


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (
            ReqMarketData(1, ContractSpec(symbol="NOPE", sec_type="STK", exchange="SMART")),
            200,
            "No sec",
        ),
        (ReqMarketData(1, ContractSpec(con_id=1, exchange="SMART")), 200, "No security definition"),
        (
            ReqMarketData(
                1, ContractSpec(symbol="SPY", sec_type="OPT", expiry="20250718", exchange="SMART")
            ),
            200,
            "ambiguous",
        ),
        (ReqMarketData(1, ContractSpec(con_id=756733)), 321, "Please enter exchange"),
        (ReqMarketData(1, ContractSpec(con_id=756733, exchange="MOON")), 200, "No security"),
        (
            ReqMarketData(1, ContractSpec(symbol="SPX", sec_type="IND", exchange="SMART")),
            200,
            "No security",
        ),
        (ReqMarketData(1, CALL, generic_ticks="100,104"), 321, "Incorrect generic tick list"),
        (ReqMarketData(1, STOCK, generic_ticks="100,999"), 321, "(STK) are: 100(Option Volume),"),
        (ReqMarketData(1, STOCK, generic_ticks="104"), 321, "411(rthistvol),456/59(IBDividends)"),
        (ReqMarketData(1, STOCK, generic_ticks="600"), 321, "Incorrect generic tick list of 600"),
        (ReqMarketData(1, STOCK, generic_ticks="abc"), 321, "Incorrect generic tick list"),
        (
            ReqMarketData(1, STOCK, generic_ticks="100", snapshot=True),
            321,
            "not applicable to generic ticks",
        ),
        (ReqMarketData(1, STOCK, regulatory=True), 321, "Regulatory"),
    ],
)
async def test_requests_that_cannot_be_right_are_refused(probe, gateway, request_, code, text):
    """Unknown, ambiguous and invalid subscriptions end with an error and take no line."""
    probe.ask(request_)

    error = await probe.until(Error, code=code)
    assert error.req_id == 1
    assert text in error.text
    assert gateway.lines_open == 0


async def test_an_index_is_asked_at_its_own_exchange(probe):
    """SPX at CBOE gives quotes."""
    probe.ask(ReqMarketData(1, ContractSpec(symbol="SPX", sec_type="IND", exchange="CBOE")))

    assert (await probe.until(TickPrice, tick=4)).price == 6.1


async def test_the_line_after_the_last_is_refused(market, connect):
    """With two lines the third is a 101; a cancel makes room."""
    limits = Limits(lines=2)
    async with Gateway(market, profile=Profile.instant(), limits=limits) as gateway:
        probe = await connect(gateway)
        probe.ask(*[ReqMarketData(req_id, STOCK) for req_id in (1, 2, 3)])
        assert (await probe.until(Error, code=101)).req_id == 3
        probe.ask(CancelMarketData(1), ReqMarketData(4, STOCK))
        await probe.until(TickPrice, req_id=4)


async def test_a_whole_snapshot_ends_at_once(probe, gateway):
    """When bid, ask, last and Greeks have come the snapshot is over, its line free."""
    probe.ask(ReqMarketData(1, CALL, snapshot=True))
    await probe.until(SnapshotEnd, req_id=1)

    assert probe.got(TickComputation, tick=13)
    assert gateway.lines_open == 0


async def test_a_snapshot_without_a_trade_ends_when_its_time_is_up(probe, market, gateway):
    """A missing last keeps the snapshot, and its line, open until the limit."""
    market.without(last=None)
    probe.ask(ReqMarketData(1, CALL, snapshot=True))
    await probe.until(TickComputation, tick=13)
    await probe.settle()
    assert (gateway.lines_open, probe.got(SnapshotEnd)) == (1, [])

    await probe.until(SnapshotEnd, req_id=1)
    assert gateway.lines_open == 0


@pytest.mark.parametrize(
    ("asked", "is_open", "told", "bid", "greeks"),
    [
        (1, True, 1, 6.0, True),
        (2, True, 1, 6.0, True),
        (3, True, 1, 6.0, True),
        (4, True, 1, 6.0, True),
        (1, False, 1, -1.0, False),
        (2, False, 2, 6.0, True),
        (3, False, 1, -1.0, False),
        (4, False, 2, 6.0, True),
    ],
)
async def test_data_types_of_a_subscriber(probe, market, asked, is_open, told, bid, greeks):
    """A live entitlement wins over delayed; a closed market shows its last values to 2 and 4."""
    market.open = is_open
    probe.ask(ReqMarketDataType(asked), ReqMarketData(1, CALL, generic_ticks="101"))
    await probe.until(TickSize, tick=28)
    await probe.until(TickPrice, tick=9)
    await probe.settle()

    assert probe.got(MarketDataType)[0].data_type == told
    assert probe.got(TickPrice, tick=1)[0].price == bid
    assert bool(probe.got(TickComputation, tick=13)) is greeks


@pytest.mark.parametrize(
    ("asked", "is_open", "told"), [(3, True, 3), (4, True, 3), (3, False, 3), (4, False, 4)]
)
async def test_delayed_data_have_numbers_of_their_own(gateway, probe, market, asked, is_open, told):
    """Without subscription types 3 and 4 bring 10167 and ticks 66 to 76 and 80 to 83."""
    gateway.add(NotSubscribed())
    market.open = is_open
    probe.ask(ReqMarketDataType(asked), ReqMarketData(1, CALL))
    await probe.until(TickPrice, tick=75)
    await probe.settle()

    assert probe.codes() == [10167]
    assert probe.got(MarketDataType)[0].data_type == told
    assert {one.tick for one in probe.got(TickPrice)} == {66, 67, 68, 72, 73, 75, 76}
    assert {one.tick for one in probe.got(TickSize)} == {69, 70, 71, 74}
    computed = {one.tick for one in probe.got(TickComputation)}
    assert computed == (set() if not is_open and told == 3 else {80, 81, 83})


async def test_an_unknown_data_type_is_refused(probe):
    """Type 5 does not exist."""
    probe.ask(ReqMarketDataType(5))

    assert "Invalid market data type" in (await probe.until(Error, code=321)).text


# codes that end nothing


@pytest.mark.parametrize(
    ("data", "asked", "closed", "given"),
    [("live", 1, False, 1), ("delayed", 1, False, 3), ("delayed", 4, True, 4)],
)
async def test_codes_before_data_that_come(probe, gateway, market, data, asked, closed, given):
    """Each is said to the line first; then the data that the fault names."""
    market.open = not closed
    gateway.add(Advised(codes=(354, 10167), data=data))
    probe.ask(ReqMarketDataType(asked), ReqMarketData(1, CALL))
    await probe.until(TickPrice)

    said = [one for one in probe.answers if getattr(one, "req_id", 0) == 1]
    assert [one.code for one in said[:2]] == [354, 10167]
    assert said[2] == MarketDataType(1, given)


async def test_a_code_without_data_leaves_the_line_open(probe, gateway):
    """It counts until it is cancelled, and nothing comes."""
    gateway.add(Advised(codes=(10999,), data="none", after_s=0.01))
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(Error, code=10999)

    assert gateway.lines_open == 1
    assert probe.got(TickPrice) == []
    probe.ask(CancelMarketData(1), CancelMarketData(1))
    await probe.until(Error, code=300)
    assert gateway.lines_open == 0


async def test_advice_of_one_kind_of_contract(probe, gateway):
    """Shares are spared where only options are named."""
    gateway.add(Advised(kinds="option"))
    probe.ask(ReqMarketData(1, STOCK), ReqMarketData(2, CALL))
    await probe.until(Error, req_id=2)
    await probe.until(TickPrice, req_id=1)

    assert [one.req_id for one in probe.got(Error, code=10089)] == [2]


async def test_a_refusal_that_is_repeated_before_delayed_data(probe, gateway):
    """Live data are refused; under type 3 the same code is said, then 10167, then data."""
    gateway.add(NotSubscribed(code=10089, repeated=True))
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(Error, req_id=1)
    assert gateway.lines_open == 0
    probe.ask(ReqMarketDataType(3), ReqMarketData(2, CALL))
    await probe.until(TickPrice, req_id=2)

    assert [one.code for one in probe.got(Error, req_id=2)] == [10089, 10167]


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
        ({"what": "BID_ASK", "keep_up_to_date": True}, 321, "updates of BID_ASK"),
        ({"bar_size": "1 secs", "keep_up_to_date": True}, 321, "updates of 1 secs"),
        ({"date_format": 3}, 321, "Invalid date format"),
        ({"bar_size": "1 hour"}, 162, "returned no data"),
    ],
)
async def test_bars_that_cannot_be_right_are_refused(probe, gateway, changes, code, text):
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


# -- bars that are kept up to date -------------------------------------------------------------


def _kept_for(seconds: float, request: ReqHistory, **market):
    """First answer and updates of a request that is kept up to date for so long."""

    async def scenario():
        clock = asyncio.get_running_loop().time
        model = ModelMarket(1, monotonic=clock, **market)
        limits = Limits().unpaced()
        async with Gateway(model, profile=Profile.instant(), limits=limits) as gateway:
            probe = await Probe.open(gateway)
            try:
                probe.ask(replace(request, keep_up_to_date=True))
                await asyncio.sleep(seconds)
                probe.ask(CancelHistory(1))
                await asyncio.sleep(20.0)
                await probe.settle()
                assert gateway.open("history") == 0
            finally:
                await probe.close()
        (first,) = probe.got(HistoricalData)
        return first.bars, probe.got(HistoricalUpdate)

    return virtual_time.run(scenario)


def _rows(updates):
    return [
        BarRow(one.day, one.open, one.high, one.low, one.close, one.volume, one.average, one.count)
        for one in updates
    ]


def test_bars_are_kept_up_to_date_until_they_are_cancelled():
    """Every five seconds the last bar has grown; a new one begins when the old one is whole."""
    minutes = replace(DAILY, bar_size="1 min", duration="1 D")
    first, updates = _kept_for(130.0, minutes)
    longer, _ = _kept_for(1.0, minutes, start=OPEN_START + timedelta(seconds=150))

    made = list(dict.fromkeys(update.day for update in updates))
    last = {row.day: row for row in _rows(updates)}
    assert 25 <= len(updates) <= 30
    assert [day[9:17] for day in (first[-1].day, *made)] == [
        "14:59:00", "15:00:00", "15:01:00", "15:02:00",
    ]  # fmt: skip
    assert all(later.volume >= earlier.volume for earlier, later in pairwise(updates)
               if earlier.day == later.day)  # fmt: skip
    # A bar that is over is what a later request gets of it.
    whole = {bar.day: bar for bar in longer}
    assert [last[day] for day in made[:-1]] == [whole[day] for day in made[:-1]]


@pytest.mark.parametrize("size", ["1 day", "1 week", "1 month"])
def test_the_bar_of_today_has_not_seen_the_evening(size):
    """Days and longer are kept up to date as well: their last bar grows with today's trading."""
    first, updates = _kept_for(300.0, replace(DAILY, bar_size=size, duration="1 Y"))

    assert {update.day for update in updates} == {first[-1].day}
    assert updates[-1].volume > updates[0].volume > first[-1].volume


def test_a_closed_market_has_no_updates():
    """Nothing changes, so nothing is told."""
    first, updates = _kept_for(
        60.0, replace(DAILY, bar_size="1 min", duration="1 D"), start=CLOSED_START
    )

    assert first and updates == []
