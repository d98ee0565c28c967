"""Pairs of currencies: found by either name, quoted around the clock, never traded."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from tomic.sim.market import forex
from tomic.sim.market.listings import NEW_YORK
from tomic.sim.market.model import ModelMarket
from tomic.wire.requests import ContractSpec

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"symbol": "EUR", "currency": "USD"}, ["EUR.USD"]),
        ({"local_symbol": "EUR.USD"}, ["EUR.USD"]),
        ({"symbol": "USD"}, ["USD.CHF", "USD.JPY", "USD.CAD", "USD.SEK"]),
        ({"symbol": "EUR", "currency": "USD", "exchange": "NYSE"}, []),
        ({"symbol": "USD", "currency": "EUR"}, []),
        ({}, []),
    ],
)
def test_a_pair_is_found_by_its_currencies(wanted, names):
    """Symbol and currency, or the local symbol alone; nothing else."""
    found = forex.find(ContractSpec(sec_type="CASH", **wanted), TODAY)

    assert [pair.local_symbol for pair in found] == names
    for pair in found:
        assert forex.find(ContractSpec(con_id=pair.con_id), TODAY) == [pair]
        assert pair.valid_exchanges == "IDEALPRO"


@pytest.mark.parametrize(
    ("day", "clock", "is_open"),
    [(20, "16:59", True), (20, "17:01", False), (21, "12:00", False), (22, "17:14", False),
     (22, "17:16", True), (23, "03:00", True), (23, "17:10", False)],
)  # fmt: skip
def test_pairs_trade_around_the_clock_on_weekdays(day, clock, is_open):
    """From Sunday 17:15 to Friday 17:00 with a pause of a quarter of an hour a day."""
    moment = datetime.fromisoformat(f"2026-11-{day}T{clock}").replace(tzinfo=NEW_YORK)

    assert forex.is_open(moment) is is_open


def test_quotes_stay_near_the_rates_of_the_accounts():
    """Bid below ask, both on the grid, no last price; the close is yesterday's."""
    market = ModelMarket(3)
    for pair in forex.PAIRS.values():
        quote = market.quote(pair.con_id)
        assert quote.last is None
        assert quote.bid < quote.ask
        assert quote.bid == pytest.approx(pair.level, rel=0.04)
        assert quote.low <= quote.bid + pair.tick <= quote.high
        assert market.bars(pair.con_id, "MIDPOINT", 2, market.now())[0].close == quote.close


def test_there_are_bars_of_quotes_and_none_of_trades():
    """On weekdays; hours of them begin on the evening before."""
    market = ModelMarket(1)
    euro = next(iter(forex.PAIRS))

    assert market.bars(euro, "TRADES", 5, market.now()) is None
    assert [bar.day.isoformat() for bar in market.bars(euro, "BID", 2, market.now())] == [
        "2026-11-19", "2026-11-20",
    ]  # fmt: skip
    assert f"{market.intraday(euro, 'ASK', 3600, 1, market.now())[0].at:%d %H:%M}" == "19 17:15"


def test_an_order_of_currencies_ties_up_margin_in_the_base():
    """A fortieth of its worth; beside anything else it cannot be ordered."""
    market = ModelMarket(1, currency="EUR")
    euro = next(iter(forex.PAIRS))
    spy = market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id

    assert market.whatif_margin("DU1234567", [(euro, 20_000.0)]) == (500.0, 500.0)
    assert market.whatif_margin("DU1234567", [(euro, 20_000.0), (spy, 1.0)]) is None
