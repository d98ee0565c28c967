"""The price of an underlying: its own line, the ladder of its prices, and its options."""

from __future__ import annotations

import datetime as dt

import pytest

from support import virtual_time
from support.simulated import running, settings, spy
from tomic.errors import GatewayRefused, MissingSpot, NoMarketData
from tomic.ib import contracts, convert, spot
from tomic.ib.lines import LineRequest
from tomic.ib.spot import spot_from_options, spot_of, underlying_ticks
from tomic.models import DataType, SpotSource
from tomic.sim.faults import Delayed, IllegalTicks, LinesTaken, NotSubscribed, Silent


def price_of(*faults, symbol="SPY", timeout_s=4.0, session=None, **options):
    """The spot of a symbol, and the seconds it took."""

    async def scenario():
        async with running(*faults, session=session, **options) as run:
            found = await contracts.resolve_underlying(run.session, symbol, settings().market)
            if options.get("closed"):
                await run.session.use_data_type(DataType.FROZEN)
            began = run.time()
            price = await spot_of(run.session, found, timeout_s=timeout_s)
            return price, run.time() - began

    return virtual_time.run(scenario)


def test_the_last_price_is_the_spot():
    """Fact 5: the last trade, as soon as it is there."""
    price, seconds = price_of()

    assert (price.source, price.data_type) == (SpotSource.LAST, DataType.LIVE)
    assert price.price == pytest.approx(590, abs=20)
    assert seconds < 0.5


def test_an_index_has_a_spot():
    """An index trades nowhere, and has a last value all the same."""
    price, _ = price_of(symbol="SPX")

    assert price.price > 1000.0


def test_a_closed_market_has_a_frozen_spot():
    """Type 2 gives the last price of the session that is over."""
    price, _ = price_of(closed=True)

    assert (price.source, price.data_type) == (SpotSource.LAST, DataType.FROZEN)


def test_a_silent_underlying_is_missed():
    """After its timeout there is no spot, and the message says for how long was waited."""
    with pytest.raises(MissingSpot, match="no price of SPY within 2 s"):
        price_of(Silent(symbol="SPY"), timeout_s=2.0)


def test_an_unsubscribed_underlying_is_delayed():
    """354 on the stock: delayed data, once, with their own tick numbers."""
    price, _ = price_of(NotSubscribed(symbol="SPY"))

    assert price.data_type is DataType.DELAYED


def test_real_time_only_refuses_a_delayed_spot():
    """The refusal is an error of its own, with the gateway's code."""
    with pytest.raises(NoMarketData) as caught:
        price_of(NotSubscribed(symbol="SPY"), session={"realtime_only": True})
    assert caught.value.error_code == 354

    with pytest.raises(NoMarketData, match="delayed data instead of live ones"):
        price_of(Delayed(symbol="SPY"), session={"realtime_only": True})


def test_no_line_for_the_underlying():
    """101 is tried again within the spot's own patience, and then there is no spot."""
    with pytest.raises((GatewayRefused, MissingSpot)):
        price_of(LinesTaken(lines=100), timeout_s=1.0)


@pytest.mark.parametrize(
    ("ticks", "price", "source"),
    [
        ({4: 600.5, 1: 600.0, 2: 601.0, 9: 598.0}, 600.5, SpotSource.LAST),
        ({4: -1.0, 1: 600.0, 2: 601.0, 9: 598.0}, 600.5, SpotSource.MID),
        ({4: 0.0, 9: 598.0}, 598.0, SpotSource.CLOSE),
        ({1: 600.0, 2: -1.0, 9: 598.0}, 598.0, SpotSource.CLOSE),
        ({1: 601.0, 2: 600.0, 9: 598.0}, 598.0, SpotSource.CLOSE),
        ({68: 600.5}, 600.5, SpotSource.LAST),
        ({75: 598.0}, 598.0, SpotSource.CLOSE),
    ],
)
def test_the_ladder_of_prices(ticks, price, source):
    """Last, then mid, then close; -1, 0 and crossed quotes are never a spot."""
    found = convert.Ticks()
    for number, value in ticks.items():
        found.price(number, value, 1)

    assert spot._best_price(found) == (price, source)


def test_nothing_is_no_price():
    """Only -1 all over is no spot at all."""
    found = convert.Ticks()
    for number in (1, 2, 4, 9):
        found.price(number, -1.0, 0)

    assert spot._best_price(found) is None


def test_volatilities_of_an_underlying():
    """One line gives the 30-day volatilities and the dividends besides the price."""

    async def scenario():
        async with running() as run:
            found = await contracts.resolve_underlying(run.session, "SPY", settings().market)
            return await underlying_ticks(run.session, found, timeout_s=4.0, extras_s=1.5)

    ticks = virtual_time.run(scenario)
    assert 0.05 < ticks.implied_volatility < 1.0
    assert 0.05 < ticks.historical_volatility < 1.0
    assert ticks.dividends is None or len(ticks.dividends.split(",")) == 4


def test_options_know_the_price_of_their_underlying():
    """Tick 13 carries the price that IB's model used: the spot when the stock itself is mute."""

    async def scenario(*faults):
        async with running(*faults) as run:
            found, params = await spy(run.session)
            today = dt.date(2026, 11, 20)
            return await spot_from_options(
                run.session, found, params, today, rate=0.045, timeout_s=4.0
            )

    seen = virtual_time.run(scenario)
    assert seen.spot.source is SpotSource.MODEL
    assert seen.spot.price == pytest.approx(price_of()[0].price, rel=0.002)
    assert 0.05 < seen.sigma < 1.0
    assert virtual_time.run(lambda: scenario(Silent())) is None
    assert virtual_time.run(lambda: scenario("lines_taken:lines=100")) is None


@pytest.mark.parametrize("symbol", ["SPY", "SPX"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("ids", [(), (104,), (104, 411), (104, 456), (456,), (106,)])
def test_a_refused_generic_tick_costs_that_tick_only(symbol, listed, ids):
    """Whatever a TWS does not know is left out; 411 serves where 104 is refused."""

    async def scenario():
        faults = [IllegalTicks(ids, listed)] if ids else []
        async with running(*faults) as run:
            found = await contracts.resolve_underlying(run.session, symbol, settings().market)
            got = await underlying_ticks(run.session, found, timeout_s=4.0, extras_s=2.0)
            refused = run.gateway.codes()[321]
            await underlying_ticks(run.session, found, timeout_s=4.0, extras_s=2.0)
            return got, refused, run.gateway.codes()[321]

    got, refused, altogether = virtual_time.run(scenario)
    asked = {106, 411} if symbol == "SPX" else {106, 411, 456}
    found = listed or len(asked.intersection(ids)) < 2
    assert got.spot is not None
    assert (got.historical_volatility is not None) == (found and ids != (104, 411))
    assert (got.implied_volatility is not None) == (found and 106 not in ids)
    assert (got.dividends is not None) == (found and 456 not in ids and symbol == "SPY")
    assert refused <= (1 if listed else 6)
    assert altogether == refused


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "Error validating request.-'bW' : cause - Incorrect generic tick list of "
            "100,101,104,106,456.  Legal ones for (STK) are: 100(Option Volume),101(Option Open "
            "Interest),105(Average Opt Volume),106(impvolat),411(rthistvol),456/59(IBDividends)",
            "100,101,411,106,456",
        ),
        ("Incorrect generic tick list of 100, 101, 104, 106, 456", "100,101,411,106,456"),
        ("Incorrect generic tick list of 100,101,106,456. Legal ones for (STK) are: 100,"
         "512(hvolrt30 (per-underlying)),106(impvolat)", "100,106"),
        ("Incorrect generic tick list of 100. Legal ones for (STK) are: 100,106", ""),
        ("Incorrect generic tick list of .", ""),
        ("Please enter exchange", ""),
    ],
)  # fmt: skip
def test_what_a_321_leaves(text, left):
    """The legal ones as TWS lists them, in each of its forms."""
    request = LineRequest("quote", convert.stock_contract("SPY"), spot.UNDERLYING_TICKS)

    reduced = request.without_refused(GatewayRefused("quote", 321, text), {})

    assert reduced is not None
    assert reduced.generic_ticks == left
