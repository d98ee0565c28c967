"""Streams other than lines, and calculations: what every TWS serves, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market.model import ModelMarket
from tomic.wire.answers import Error, RealTimeBar, TickByTick, TickComputation
from tomic.wire.requests import (
    CancelImpliedVolatility,
    CancelRealTimeBars,
    CancelTickByTick,
    ContractSpec,
    ReqImpliedVolatility,
    ReqOptionPrice,
    ReqRealTimeBars,
    ReqTickByTick,
)

SPY = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
CALL = ContractSpec(
    symbol="SPY", sec_type="OPT", expiry="20261218", strike=600.0, right="C", exchange="SMART",
    trading_class="SPY",
)  # fmt: skip
XSP = replace(CALL, symbol="XSP", trading_class="XSP")


@pytest.fixture
def market():
    """The model market, whose options can be calculated."""
    return ModelMarket(1)


@pytest.mark.parametrize(
    ("kind", "number", "fields"),
    [("Last", 1, ("price", "size")), ("AllLast", 2, ("price", "exchange")),
     ("BidAsk", 3, ("bid", "ask", "bid_size")), ("MidPoint", 4, ("midpoint",))],
)  # fmt: skip
async def test_ticks_come_one_by_one_until_they_are_cancelled(probe, gateway, kind, number, fields):
    """Each kind has its number and fields of its own; a cancel frees the id."""
    probe.ask(ReqTickByTick(3, SPY, kind))

    tick = await probe.until(TickByTick, 2, req_id=3)

    assert tick.kind == number
    assert all(getattr(tick, name) for name in fields)
    probe.ask(CancelTickByTick(3))
    await probe.settle()
    assert gateway.open("tick_by_tick") == 0
    probe.ask(CancelTickByTick(3))
    assert (await probe.until(Error, code=300)).req_id == 3


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ReqTickByTick(3, SPY, "Nothing"), 321),
        (ReqTickByTick(3, replace(SPY, symbol="NONE"), "Last"), 200),
        (ReqRealTimeBars(3, SPY, what="YIELD"), 321),
        (ReqOptionPrice(3, CALL, 0.0, 600.0), 321),
        (ReqOptionPrice(3, SPY, 0.2, 600.0), 321),
        (ReqImpliedVolatility(3, CALL, 1e5, 600.0), 321),
        (ReqImpliedVolatility(3, replace(CALL, strike=600.5), 5.0, 600.0), 200),
    ],
)
async def test_what_cannot_be_streamed_or_calculated_is_refused(probe, gateway, request_, code):
    """An error ends the question, and its id is free again."""
    probe.ask(request_)

    assert (await probe.until(Error, code=code)).req_id == 3
    assert gateway.open("tick_by_tick") == gateway.open("calculation") == 0


async def test_tick_by_tick_has_a_limit_of_its_own(probe, gateway):
    """The sixth at once is refused with 10190."""
    probe.ask(*(ReqTickByTick(number, SPY, "BidAsk") for number in range(3, 9)))

    assert (await probe.until(Error, code=10190)).req_id == 8
    assert gateway.open("tick_by_tick") == 5


async def test_bars_come_every_five_seconds(connect):
    """They begin on whole five seconds; trades have a volume, quotes have none."""
    market = ModelMarket(1, speed=50.0)
    limits = Limits().unpaced()
    async with Gateway(market, profile=Profile.instant(), limits=limits) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqRealTimeBars(3, SPY), ReqRealTimeBars(4, SPY, what="BID"))

        async def bar(req_id: int) -> RealTimeBar:
            while not (bars := probe.got(RealTimeBar, req_id=req_id)):
                await probe.settle()
            return bars[0]

        trades, bids = await bar(3), await bar(4)
        probe.ask(CancelRealTimeBars(3), CancelRealTimeBars(4))
        await probe.settle()
        assert gateway.open("real_time_bars") == 0

    assert trades.volume > 0 and bids.volume == -1
    assert trades.low <= trades.close <= trades.high and bids.close < trades.close


@pytest.mark.parametrize("contract", [CALL, replace(CALL, right="P"), XSP])
async def test_price_and_volatility_are_each_others_inverse(probe, contract):
    """The volatility of the price at a volatility is that one; the answer is tick 53."""
    under = 600.0 * 1.01
    probe.ask(ReqOptionPrice(3, contract, 0.21, under))
    priced = await probe.until(TickComputation, req_id=3)
    probe.ask(ReqImpliedVolatility(4, contract, priced.price, under))
    implied = await probe.until(TickComputation, req_id=4)

    assert (priced.tick, implied.tick) == (53, 53)
    assert implied.iv == pytest.approx(0.21, abs=1e-5)
    assert implied.underlying == under
    assert abs(implied.delta) < 1.0 and implied.vega > 0.0
    probe.ask(CancelImpliedVolatility(4), ReqImpliedVolatility(4, contract, priced.price, under))
    await probe.until(TickComputation, 2, req_id=4)
