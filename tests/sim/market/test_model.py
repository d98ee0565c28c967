"""The model market as a whole: its clock, its hours, and that its prices never move."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from support.model_market import spot, underlying
from tomic.sim.market import instruments, listings
from tomic.sim.market.instruments import DEMO
from tomic.sim.market.model import CLOSED_START, OPEN_START, ModelMarket
from tomic.wire.requests import ContractSpec


@pytest.fixture(scope="module")
def market():
    return ModelMarket(seed=1)


def test_the_500_more_are_there_when_asked_for():
    """A synthetic universe names 500 more symbols and builds each when it is first quoted."""
    market = ModelMarket(500, universe="synthetic")  # a seed of its own: such are shared

    assert len(market.symbols) == len(DEMO) + 500
    assert market.built == ()
    assert spot(market, "S500") > 0.0
    assert market.built == ("S500",)


def test_ids_mean_the_same_contract_in_every_market():
    """A contract id survives another seed, another universe and another day."""
    wanted = {"expiry": "20261218", "strike": 240.0, "right": "P"}
    markets = (
        ModelMarket(1),
        ModelMarket(2, universe="synthetic"),
        ModelMarket(1, symbols=["AAPL"]),
        ModelMarket(1, start=OPEN_START + timedelta(days=5)),
    )

    ids = {
        market.find(ContractSpec(symbol="AAPL", sec_type="OPT", **wanted))[0].con_id
        for market in markets
    }

    assert len(ids) == 1


def test_hours_are_written_as_ib_writes_them(market):
    """Six days with closed ones named; a half day ends at 13:00; index options trade at night."""
    spy = underlying(market, "SPY")
    thanksgiving = ModelMarket(start=OPEN_START + timedelta(days=4), symbols=["SPY", "SPX"])
    later = underlying(thanksgiving, "SPY")
    option = thanksgiving.find(
        ContractSpec(symbol="SPX", sec_type="OPT", expiry="20261218", right="C")
    )[0]

    assert spy.time_zone_id == "US/Eastern"
    assert spy.liquid_hours.startswith("20261120:0930-20261120:1600;20261121:CLOSED;")
    assert "20261126:CLOSED;20261127:0930-20261127:1300" in later.liquid_hours
    assert "20261124:2015-20261125:0925;20261125:0930-20261125:1700" in option.trading_hours
    assert option.liquid_hours.startswith("20261124:0930-20261124:1615")


@pytest.mark.parametrize(
    ("moment", "share", "fund_option"),
    [
        (datetime(2026, 11, 20, 9, 29), False, False),
        (datetime(2026, 11, 20, 9, 30), True, True),
        (datetime(2026, 11, 20, 16, 10), False, True),
        (datetime(2026, 11, 26, 12, 0), False, False),
        (datetime(2026, 11, 27, 12, 59), True, True),
        (datetime(2026, 11, 27, 13, 20), False, False),
        (datetime(2026, 11, 21, 12, 0), False, False),
    ],
)
def test_open_and_closed(moment, share, fund_option):
    """Options of funds trade a quarter of an hour longer; half days and holidays are known."""
    market = ModelMarket(start=moment.replace(tzinfo=listings.NEW_YORK), symbols=["SPY"])
    option = market.find(
        ContractSpec(
            symbol="SPY", sec_type="OPT", expiry="20261218", right="C", trading_class="SPY"
        )
    )[0]

    assert market.is_open(underlying(market, "SPY").con_id) is share
    assert market.is_open(option.con_id) is fund_option
    assert market.is_open(99) is False


def test_the_clock_is_the_markets_own():
    """Time starts on a fixed Friday afternoon and runs as fast as it is told to."""
    ticks = iter([100.0, 100.0, 110.0])
    market = ModelMarket(speed=60.0, monotonic=lambda: next(ticks))

    assert market.now() == datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    assert market.now() == datetime(2026, 11, 20, 20, 10, tzinfo=UTC)


def test_a_start_that_cannot_be_is_refused():
    """No zone, a year outside the calendar, an unknown universe or symbol: each is named."""
    with pytest.raises(ValueError, match="time zone"):
        ModelMarket(start=datetime(2026, 11, 20, 15, 0))
    with pytest.raises(ValueError, match="2011 to 2032"):
        ModelMarket(start=datetime(1999, 11, 20, 15, 0, tzinfo=UTC))
    with pytest.raises(ValueError, match="demo or synthetic"):
        ModelMarket(universe="all")
    with pytest.raises(ValueError, match="not in this universe: NONE"):
        ModelMarket(symbols=["SPY", "NONE"])
    with pytest.raises(ValueError, match="1 to 900"):
        instruments.synthetic(0)


def test_a_closed_market_has_last_values_only_for_those_who_ask_for_them():
    """On Saturday live data have no bid, ask or Greeks; frozen data have Friday's."""
    market = ModelMarket(closed=True, symbols=["SPY"], monotonic=lambda: 0.0)
    share = underlying(market, "SPY").con_id
    option = market.find(
        ContractSpec(symbol="SPY", sec_type="OPT", expiry="20261218", strike=590.0, right="P")
    )[0].con_id

    assert market.now() == CLOSED_START.astimezone(UTC)
    assert market.quote(share).bid is None
    assert market.quote(option).bid is None
    assert market.quote(option).model is None
    assert market.frozen_quote(share).bid is not None
    assert market.frozen_quote(option).model is not None
    assert market.frozen_quote(option).bid is not None


def everything(market, order):
    """JSON of some quotes and parameters, asked for in a given order."""
    symbols = ["SPY", "AAPL", "SPX", "EWG"]
    order.shuffle(symbols)
    found = {}
    for symbol in symbols:
        con_id = underlying(market, symbol).con_id
        options = list(market.find(ContractSpec(symbol=symbol, sec_type="OPT", expiry="20261218")))
        order.shuffle(options)
        for option in options[:400]:
            market.quote(option.con_id)
        found[symbol] = [asdict(row) for row in market.parameters(symbol, con_id)]
        for option in sorted(options, key=lambda o: o.con_id)[:40]:
            found[str(option.con_id)] = asdict(market.quote(option.con_id))
        found[f"{symbol} quote"] = asdict(market.quote(con_id))
    return json.dumps(found, sort_keys=True)


def test_the_same_seed_gives_the_same_bytes_in_any_order():
    """Two markets asked in different orders, one an hour later, say the same; another seed not."""
    first = everything(ModelMarket(7), random.Random(1))
    late = iter([0.0])
    second = everything(ModelMarket(7, monotonic=lambda: next(late, 1800.0)), random.Random(2))
    other = everything(ModelMarket(8), random.Random(1))

    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("symbol", "sec_type", "exchange", "currency", "classes"),
    [
        ("EOE", "IND", "FTA", "EUR", {("FTA", "EOE", "100"), ("FTA", "AX1", "100")}),
        ("ESTX50", "IND", "EUREX", "EUR", {("EUREX", "OESX", "10")}),
        ("DAX", "IND", "EUREX", "EUR", {("EUREX", "ODAX", "5"), ("EUREX", "ODXS", "1")}),
        (
            "ASML", "STK", "AEB", "EUR",
            {("EUREX", "ASM", "100"), ("EUREX", "ASM2", "10"), ("FTA", "AS9C", "100")},
        ),
        ("VOD", "STK", "LSE", "GBP", {("ICEEU", "VOD", "1000")}),
    ],
)  # fmt: skip
def test_what_trades_elsewhere_is_listed_there(symbol, sec_type, exchange, currency, classes):
    """Its exchange lists it, in its currency, and each class of options at its own exchange."""
    market = ModelMarket(1)
    (listing,) = market.find(ContractSpec(symbol=symbol, sec_type=sec_type, exchange=exchange))

    assert listing.currency == currency
    rows = market.parameters(symbol, listing.con_id)
    assert {(row.exchange, row.trading_class, row.multiplier) for row in rows} == classes


def test_smart_does_not_know_what_only_its_exchange_lists():
    """Neither an index abroad, nor its options, nor a future is found at SMART."""
    market = ModelMarket(1)

    for symbol, sec_type in (("EOE", "IND"), ("EOE", "OPT"), ("ES", "FUT"), ("ES", "FOP")):
        assert not market.find(ContractSpec(symbol=symbol, sec_type=sec_type, exchange="SMART"))
    months = market.find(ContractSpec(symbol="ES", sec_type="FUT", exchange="CME"))
    assert [listing.local_symbol for listing in months] == ["ESZ6", "ESH7"]
