"""One option at a time: what is wanted, how long for, and what its row says then."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

import virtual_time
from simulated import OPTION, quote, running, settings, spy
from simulated import WANTED as PAIR
from tomic.errors import GatewayRefused, MissingSpot, NoMarketData, UnknownContract
from tomic.ib import contracts, convert, quotes
from tomic.ib.patience import Patience
from tomic.models import DataType, QuoteSource, RowStatus, SpotSource
from tomic.selection import Wanted
from tomic.sim.faults import (
    Delayed,
    Late,
    LinesTaken,
    NoGreeks,
    NoQuotes,
    NotSubscribed,
    PartiallySubscribed,
    Refuse,
    Silent,
)


def test_a_live_option_is_complete():
    """Bid, ask, IV, all Greeks, volume and open interest, within their latencies."""
    row, seconds, _, _ = quote()

    assert row.status == RowStatus.OK
    assert None not in (row.bid, row.ask, row.iv, row.delta, row.gamma, row.vega, row.theta)
    assert row.volume is not None and row.open_interest is not None
    assert (row.quote_source, row.greeks_source) == (QuoteSource.LIVE, "ib")
    assert row.quoted_at is not None
    assert seconds < 1.5


def test_a_silent_option_is_asked_once_more():
    """After a second without any message a fresh id is tried, and then it is a timeout."""
    row, seconds, gateway, _ = quote(Silent(**OPTION))

    assert (row.status, row.quote_source, row.quoted_at) == (RowStatus.TIMEOUT, None, None)
    assert gateway.by_kind["market_data"] == 2
    assert seconds == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(("retries", "asked"), [(0, 1), (1, 2), (3, 4)])
def test_how_often_is_a_setting(retries, asked):
    """`chain.retries` further attempts, each with an id of its own."""
    row, _, gateway, _ = quote(Silent(**OPTION), rules={"retries": retries})

    assert row.status == RowStatus.TIMEOUT
    assert gateway.by_kind["market_data"] == asked


def test_a_forgotten_option_comes_at_the_second_attempt():
    """The gateway lost the first subscription: the second one brings everything."""
    row, seconds, gateway, _ = quote(Silent(**OPTION, first_n=1))

    assert row.status == RowStatus.OK
    assert gateway.by_kind["market_data"] == 2
    assert seconds < 3.0


def test_a_late_option_is_still_taken():
    """A first line that speaks after the second was asked for is as good as that one."""
    row, seconds, gateway, _ = quote(Late(**OPTION, seconds=1.2, first_n=1))

    assert row.status == RowStatus.OK
    assert gateway.by_kind["cancel_market_data"] == 2
    assert seconds < 3.0


def test_without_a_spare_line_the_first_gives_way():
    """When every spare line is taken, the silent one is cancelled and asked again itself."""

    async def scenario():
        given = settings()
        async with running(Silent(**OPTION, first_n=1), given=given) as run:
            underlying, params = await spy(run.session)
            spare = run.session.limits.second_lines
            while not spare.full:
                await spare.enter()
            contract = convert.option_contract(underlying, params, PAIR)
            row = await quotes.option_quote(
                run.session, "one option", contract, PAIR, given.chain, Patience(1.0)
            )
            return row.status, run.session.retried, run.gateway.by_kind["market_data"]

    assert virtual_time.run(scenario) == (RowStatus.OK, 1, 2)


def test_not_computed_greeks_are_missing():
    """A model tick of -1 and -2 gives a quote without IV and Greeks, not with those numbers."""
    row, _, _, _ = quote(NoGreeks(**OPTION, sentinel=True))

    assert (row.status, row.greeks_source) == (RowStatus.NO_GREEKS, "none")
    assert (row.iv, row.delta, row.vega, row.theta) == (None, None, None, None)
    assert row.bid is not None


def test_missing_greeks_end_with_the_quote_timeout():
    """Quotes without a model are taken as they are after three seconds."""
    row, seconds, gateway, _ = quote(NoGreeks(**OPTION))

    assert row.status == RowStatus.NO_GREEKS
    assert seconds == pytest.approx(3.0, abs=0.1)
    assert gateway.by_kind["market_data"] == 1


def test_twenty_options_without_greeks_are_reason_enough():
    """Then nobody waits three seconds any more, and the user is told why there are none."""
    patience = Patience(1.0, without_greeks=19)
    row, _, _, notes = quote(NoGreeks(**OPTION), patience=patience)
    _, seconds, _, _ = quote(NoGreeks(**OPTION), patience=patience)

    assert row.status == RowStatus.NO_GREEKS
    assert seconds == pytest.approx(1.3, abs=0.1)
    assert notes[0].startswith("IB sends quotes without Greeks, as when the main window of TWS")
    quote(patience=patience)
    assert patience.without_greeks == 0


def test_no_quote_is_said_as_such():
    """Bid and ask of -1: IB says that there is none, which is an answer and no timeout."""
    row, seconds, gateway, _ = quote(NoQuotes(**OPTION))

    assert (row.status, row.bid, row.ask, row.quote_source) == (
        RowStatus.NO_QUOTE,
        None,
        None,
        None,
    )
    assert row.quoted_at is not None
    assert seconds < 2.0
    assert gateway.by_kind["market_data"] == 1


@pytest.mark.parametrize("code", [10090, 10091])
def test_a_partial_subscription_has_quotes(code):
    """The data keep flowing beside the error, and nobody waits for Greeks."""
    row, seconds, gateway, _ = quote(PartiallySubscribed(**OPTION, code=code))

    assert row.status == RowStatus.NO_GREEKS
    assert row.bid is not None
    assert seconds < 1.6
    assert gateway.codes()[code] == 1


@pytest.mark.parametrize("code", [354, 10089, 10168])
def test_not_subscribed_falls_back_to_delayed(code):
    """Once per session the data type changes to delayed; the row says so."""
    row, _, gateway, notes = quote(NotSubscribed(**OPTION, code=code))

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)
    assert gateway.by_kind["market_data_type"] == 2
    assert notes == [
        f"live data are not subscribed ({code}); asking for delayed data. "
        "Subscribe in Client Portal > Settings > Market Data Subscriptions"
    ]


def test_not_subscribed_at_all():
    """Without delayed data either the row says that the subscription is missing."""
    row, _, gateway, _ = quote(NotSubscribed(**OPTION, delayed=False))

    assert (row.status, row.bid) == (RowStatus.NOT_SUBSCRIBED, None)
    assert gateway.codes()[354] == 2


def test_frozen_falls_back_to_delayed_frozen():
    """In a closed market the fallback of type 2 is type 4."""
    row, _, _, _ = quote(NotSubscribed(**OPTION), market_type=DataType.FROZEN, closed=True)

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)


def test_delayed_data_that_nobody_asked_for_are_labelled():
    """10167: the gateway shows delayed data instead; the line says so, and the row as well."""
    row, _, _, _ = quote(Delayed(**OPTION))

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)


def test_real_time_only_refuses_delayed_data():
    """Then a delayed row is no row."""
    row, _, _, _ = quote(Delayed(**OPTION), session={"realtime_only": True})

    assert (row.status, row.bid) == (RowStatus.NOT_SUBSCRIBED, None)


def test_an_unknown_option_is_told_apart():
    """200 is final, and costs neither a line nor a second attempt."""
    with pytest.raises(UnknownContract):
        quote(pair=Wanted(dt.date(2026, 12, 18), 590.5, "C"))


def test_another_refusal_is_final():
    """321 ends the option at once; its reason is told."""
    with pytest.raises(GatewayRefused) as caught:
        quote(Refuse(**OPTION, code=321))

    assert caught.value.error_code == 321


def test_an_illegal_generic_tick_costs_only_what_it_gives():
    """321 once: the option is asked again without generic ticks, and has quotes and Greeks."""
    row, _, _, _ = quote(Refuse(**OPTION, code=321, times=1))

    assert (row.status, row.greeks_source) == (RowStatus.OK, "ib")
    assert row.bid is not None


def test_no_free_line_is_not_the_options_fault():
    """101: it waits and asks again until there is one."""

    async def scenario():
        given, taken = settings(), LinesTaken(lines=100)
        async with running(given=given) as run:
            underlying, params = await spy(run.session)
            run.gateway.add(taken)
            asyncio.get_running_loop().call_later(5.0, run.gateway.remove, taken)
            contract = convert.option_contract(underlying, params, PAIR)
            row = await quotes.option_quote(
                run.session, "one option", contract, PAIR, given.chain, Patience(1.0)
            )
            return row.status, run.gateway.codes()[101]

    status, refused = virtual_time.run(scenario)
    assert status == RowStatus.OK
    assert refused > 5


def test_values_of_an_earlier_subscription_never_show():
    """ib_async keeps one ticker per contract for ever; a new line here starts empty."""

    async def scenario():
        given = settings()
        async with running(given=given) as run:
            underlying, params = await spy(run.session)
            contract = convert.option_contract(underlying, params, PAIR)

            async def once():
                return await quotes.option_quote(
                    run.session, "one option", contract, PAIR, given.chain, Patience(0.5)
                )

            first = await once()
            run.gateway.add(Silent(**OPTION))
            return first, await once()

    first, second = virtual_time.run(scenario)
    assert first.status == RowStatus.OK
    assert (second.status, second.bid, second.iv) == (RowStatus.TIMEOUT, None, None)


# -- the underlying --------------------------------------------------------------------------


def spot(*faults, symbol="SPY", timeout_s=4.0, session=None, **options):
    """The spot of a symbol, and the seconds it took."""

    async def scenario():
        async with running(*faults, session=session, **options) as run:
            found = await contracts.resolve_underlying(run.session, symbol, settings().market)
            if options.get("closed"):
                await run.session.use_data_type(DataType.FROZEN)
            began = run.time()
            price = await quotes.spot(run.session, found, timeout_s=timeout_s)
            return price, run.time() - began

    return virtual_time.run(scenario)


def test_the_last_price_is_the_spot():
    """Fact 5: the last trade, as soon as it is there."""
    price, seconds = spot()

    assert (price.source, price.data_type) == (SpotSource.LAST, DataType.LIVE)
    assert price.price == pytest.approx(590, abs=20)
    assert seconds < 0.5


def test_an_index_has_a_spot():
    """An index trades nowhere, and has a last value all the same."""
    price, _ = spot(symbol="SPX")

    assert price.price > 1000.0


def test_a_closed_market_has_a_frozen_spot():
    """Type 2 gives the last price of the session that is over."""
    price, _ = spot(closed=True)

    assert (price.source, price.data_type) == (SpotSource.LAST, DataType.FROZEN)


def test_a_silent_underlying_is_missed():
    """After its timeout there is no spot, and the message says for how long was waited."""
    with pytest.raises(MissingSpot, match="no price of SPY within 2 s"):
        spot(Silent(symbol="SPY"), timeout_s=2.0)


def test_an_unsubscribed_underlying_is_delayed():
    """354 on the stock: delayed data, once, with their own tick numbers."""
    price, _ = spot(NotSubscribed(symbol="SPY"))

    assert price.data_type is DataType.DELAYED


def test_real_time_only_refuses_a_delayed_spot():
    """The refusal is an error of its own, with the gateway's code."""
    with pytest.raises(NoMarketData) as caught:
        spot(NotSubscribed(symbol="SPY"), session={"realtime_only": True})
    assert caught.value.error_code == 354

    with pytest.raises(NoMarketData, match="delayed data instead of live ones"):
        spot(Delayed(symbol="SPY"), session={"realtime_only": True})


def test_no_line_for_the_underlying():
    """101 is tried again within the spot's own patience, and then there is no spot."""
    with pytest.raises((GatewayRefused, MissingSpot)):
        spot(LinesTaken(lines=100), timeout_s=1.0)


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

    assert quotes._best_price(found) == (price, source)


def test_nothing_is_no_price():
    """Only -1 all over is no spot at all."""
    found = convert.Ticks()
    for number in (1, 2, 4, 9):
        found.price(number, -1.0, 0)

    assert quotes._best_price(found) is None


def test_volatilities_of_an_underlying():
    """One line gives the 30-day volatilities and the dividends besides the price."""

    async def scenario():
        async with running() as run:
            found = await contracts.resolve_underlying(run.session, "SPY", settings().market)
            return await quotes.underlying_ticks(run.session, found, timeout_s=4.0, extras_s=1.5)

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
            return await quotes.spot_from_options(run.session, found, params, today, timeout_s=4.0)

    price = virtual_time.run(scenario)
    assert price == pytest.approx(spot()[0].price, rel=0.002)
    assert virtual_time.run(lambda: scenario(Silent())) is None
    assert virtual_time.run(lambda: scenario("lines_taken:lines=100")) is None


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (DataType.LIVE, QuoteSource.LIVE),
        (DataType.FROZEN, QuoteSource.FROZEN),
        (DataType.DELAYED, QuoteSource.DELAYED),
        (DataType.DELAYED_FROZEN, QuoteSource.DELAYED),
    ],
)
def test_labels_of_data_types(kind, label):
    """Every data type has the label under which its rows are shown."""
    assert quotes.quote_source(kind) is label
