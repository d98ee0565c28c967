"""What TWS says that a tidy gateway leaves out: the warts, each beside its absence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tomic.errors import UsageError
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import Advised, parse
from tomic.sim.market.model import ModelMarket
from tomic.sim.server.limits import Manner, Times
from tomic.wire.answers import (
    AccountDownloadEnd,
    ContractData,
    Error,
    HistoricalData,
    PortfolioValue,
    SummaryEnd,
    SummaryValue,
    TickGeneric,
    TickPrice,
    TickSize,
    TickString,
)
from tomic.wire.orders import PlaceOrder, WhatIfOrder
from tomic.wire.requests import (
    ContractSpec,
    ReqAccountSummary,
    ReqAccountUpdates,
    ReqContractDetails,
    ReqHistory,
    ReqMarketData,
)

SPY = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
CALL = ContractSpec(
    symbol="SPY", sec_type="OPT", expiry="20261218", strike=600.0, right="C", exchange="SMART",
    trading_class="SPY",
)  # fmt: skip
EURO = ContractSpec(symbol="EUR", sec_type="CASH", exchange="IDEALPRO", currency="USD")
HOURS = ReqHistory(1, SPY, False, "", "1 hour", "2 D", True, "TRADES", 1)
BETWEEN = (*[""] * 7, *[""] * 23, "", *[""] * 6, "", *[""] * 4, *[""] * 4, "", "", "")


def gateway_of(manner: str, *, market: ModelMarket | None = None, **more) -> Gateway:
    behind = market or ModelMarket(1)
    behind.book()  # priced before anybody waits for it
    profile = replace(Profile.instant(), manner=Manner(manner))
    return Gateway(behind, profile=profile, limits=Limits().unpaced(), **more)


@pytest.fixture(params=["reality", "tidy"])
async def gateway(request):
    """One gateway of each manner."""
    async with gateway_of(request.param) as running:
        yield running


def test_reality_is_the_default():
    """Unless tidiness is asked for, by name or by profile; the speed is the same."""
    assert Gateway(ModelMarket(1)).profile == Profile()
    assert Profile().is_real and Profile.instant().is_real and Profile.demo().is_real
    assert Gateway(ModelMarket(1), profile="tidy").profile == Profile().tidied()
    with pytest.raises(ValueError, match="neat"):
        Gateway(ModelMarket(1), profile="neat")


async def test_the_ledger_stands_under_all(probe, gateway):
    """In reality rates and cash are of the whole login, currency by currency and in the base."""
    probe.ask(ReqAccountSummary(1, "All", "NetLiquidation,$LEDGER:ALL"))
    await probe.until(SummaryEnd, req_id=1)

    rows = probe.got(SummaryValue)
    ledger = [row for row in rows if row.account == "All"]
    assert {row.account for row in rows if row.tag == "NetLiquidation"} == {"DU1234567"}
    if gateway.profile.is_real:
        assert {row.currency for row in ledger} == {"BASE", "USD"}
        assert ("RealCurrency", "BASE") in {(row.tag, row.value) for row in ledger}
    else:
        assert ledger == []


@pytest.mark.parametrize(("tags", "currencies"), [("$LEDGER", ["BASE"]), ("$LEDGER:EUR", ["EUR"])])
async def test_the_ledger_of_one_currency(connect, tags, currencies):
    """Without a currency it is the base; a named one comes alone."""
    async with gateway_of("reality", market=ModelMarket(1, currency="EUR")) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqAccountSummary(1, "All", tags))
        await probe.until(SummaryEnd, req_id=1)

    assert sorted({row.currency for row in probe.got(SummaryValue)}) == currencies


@pytest.mark.parametrize(
    ("zone", "text"),
    [("Europe/Zurich", "20261218 22:00:00 Europe/Zurich"), ("JST", "20261219 06:00:00 JST")],
)
async def test_the_last_trade_is_given_in_the_zone_of_the_login(connect, zone, text):
    """Far in the east it is the next day; tidily it is that of the exchange."""
    for manner, expected in (("reality", text), ("tidy", "20261218 16:00:00 US/Eastern")):
        async with gateway_of(manner, times=Times(zone=zone)) as gateway:
            probe = await connect(gateway)
            probe.ask(ReqContractDetails(1, CALL))
            assert (await probe.until(ContractData, req_id=1)).last_trade == expected


async def test_venues_and_times_come_beside_quotes(probe, gateway):
    """Of options too: where bid and ask are from, when it last traded, whether it is halted."""
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(TickPrice, tick=4)
    await probe.settle()

    texts = {tick.tick for tick in probe.got(TickString)}
    assert texts == ({32, 33, 45, 84} if gateway.profile.is_real else set())
    assert [(tick.tick, tick.value) for tick in probe.got(TickGeneric)] == (
        [(49, 0.0)] if gateway.profile.is_real else []
    )


async def test_odd_lots_are_served_when_asked_for(probe):
    """Ticks 105 to 110 of generic 787: a better price, for less than a round lot."""
    probe.ask(ReqMarketData(1, SPY, generic_ticks="787"))
    await probe.until(TickString, tick=110)

    prices = {tick.tick: tick.price for tick in probe.got(TickPrice)}
    assert prices[1] < prices[105] <= prices[106] < prices[2]
    assert {tick.tick for tick in probe.got(TickSize)} >= {107, 108}
    assert {tick.tick for tick in probe.got(TickString)} >= {109, 110}


async def test_the_old_historical_volatility_refuses_the_line(probe, gateway):
    """Newer TWS lists 411 instead of 104; one illegal id refuses the whole subscription."""
    probe.ask(ReqMarketData(1, SPY, generic_ticks="104,106"))
    if gateway.profile.is_real:
        text = (await probe.until(Error, code=321)).text
        assert "411(rthistvol),456/59(IBDividends)" in text and "104(" not in text
        assert gateway.lines_open == 0
    else:
        assert (await probe.until(TickGeneric, tick=23)).value > 0.0


async def test_positions_are_valued_at_a_venue(probe):
    """Never at SMART: options at one of theirs, shares where they are listed."""
    probe.ask(ReqAccountUpdates(True, "DU1234567"))
    await probe.until(AccountDownloadEnd)

    rows = [row.contract for row in probe.got(PortfolioValue)]
    assert {row.exchange for row in rows if row.sec_type == "OPT"} == {"AMEX"}
    assert {row.exchange for row in rows if row.sec_type == "STK"} == {"ARCA", "NASDAQ"}


@pytest.mark.parametrize(
    ("contract", "closed", "codes"),
    [
        (SPY, False, []),
        (SPY, True, [399]),
        (replace(SPY, exchange="ARCA"), False, [10311]),
        (replace(CALL, exchange="CBOE"), True, [10311, 399]),
        (EURO, False, []),
    ],
)
async def test_an_order_is_warned_about_before_its_margins(connect, contract, closed, codes):
    """Outside hours and directly routed; the margins come all the same, tidily without a word."""
    for manner, expected in (("reality", codes), ("tidy", [])):
        async with gateway_of(manner, market=ModelMarket(1, closed=closed)) as gateway:
            probe = await connect(gateway)
            order = PlaceOrder(9, contract, "BUY", 100.0, what_if=True, between=BETWEEN)
            probe.ask(order)
            await probe.until(WhatIfOrder, 2)
            assert probe.codes() == expected


async def test_bars_of_an_hour_carry_their_moment(probe):
    """In the zone of the contract, or as seconds since 1970."""
    probe.ask(HOURS, replace(HOURS, req_id=2, duration="1 D", date_format=2))
    first = (await probe.until(HistoricalData, req_id=1)).bars
    second = (await probe.until(HistoricalData, req_id=2)).bars

    assert first[0].day == "20261119 09:30:00 US/Eastern"
    assert second[-1].day == "1795204800"
    assert len(first) == 7 + 7


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        (replace(HOURS, bar_size="1 min", duration="3600 S"), 60),
        (replace(HOURS, bar_size="1 week", duration="1 Y"), 53),
        (replace(HOURS, bar_size="1 month", duration="1 Y"), 13),
        (replace(HOURS, contract=EURO, what="MIDPOINT", duration="1 D"), 23),
    ],
)
async def test_bars_of_every_size(probe, request_, count):
    """Minutes, weeks and months of shares, hours of currencies."""
    probe.ask(request_)

    assert len((await probe.until(HistoricalData, req_id=1)).bars) == count


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (replace(HOURS, what="OPTION_IMPLIED_VOLATILITY"),
         "HMDS query returned no data: SPY@SMART Option_Implied_Volatility"),
        (replace(HOURS, contract=EURO), "No historical market data for EUR/CASH@IDEALPRO Last 1d"),
    ],
)  # fmt: skip
async def test_no_bars_in_the_words_of_tws(probe, request_, text):
    """A series that IB does not have."""
    probe.ask(request_)

    assert (await probe.until(Error, code=162)).text.endswith(text)


@pytest.mark.parametrize("code", [2188, 10999])
async def test_bars_may_follow_an_advisory_code(connect, code):
    """As with 2188, about up-to-the-second data."""
    fault = parse(f"advised:on=history,codes={code},data=live")
    async with gateway_of("reality", faults=[fault]) as gateway:
        probe = await connect(gateway)
        probe.ask(HOURS)
        await probe.until(HistoricalData, req_id=1)
        assert probe.codes() == [code]


def test_data_after_an_advisory_code_are_live_delayed_or_none():
    """Nothing else can follow."""
    assert Advised(data="none").data == "none"
    with pytest.raises(UsageError, match="live, delayed or none"):
        Advised(data="some")
