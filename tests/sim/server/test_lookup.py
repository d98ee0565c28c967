"""Contract details and option parameters: what exists, and how long it takes to say so."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tomic.sim import Gateway, Profile
from tomic.sim.server import lookup
from tomic.wire.answers import (
    ContractData,
    ContractDataEnd,
    Error,
    MarketRule,
    MatchingSymbols,
    OptionParameters,
    OptionParamsEnd,
)
from tomic.wire.requests import (
    ContractSpec,
    ReqContractDetails,
    ReqHistory,
    ReqMarketData,
    ReqMarketRule,
    ReqMatchingSymbols,
    ReqOptionParams,
)

DAILY = ReqHistory(1, ContractSpec(), False, "", "1 day", "5 D", True, "TRADES", 1)
STOCK = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")


def _option(expiry: str = "20250718", strike: float = 0.0, right: str = "") -> ContractSpec:
    return ContractSpec(0, "SPY", "OPT", expiry, strike, right, exchange="SMART", currency="USD")


async def test_a_stock_is_one_row(probe, gateway):
    """Details of SPY carry its id, its hours and its name."""
    probe.ask(ReqContractDetails(1, STOCK))
    await probe.until(ContractDataEnd, req_id=1)

    (row,) = probe.got(ContractData)
    assert (row.con_id, row.long_name, row.time_zone_id) == (
        756733,
        "SPDR S&P 500 ETF TRUST",
        "US/Eastern",
    )
    assert row.liquid_hours == "20250618:0930-20250618:1600;20250619:CLOSED"
    assert (gateway.details_exact, gateway.details_open) == (1, 0)


@pytest.mark.parametrize(
    ("contract", "rows", "open_ended"),
    [
        (_option("20250718", 600.0, "C"), 1, False),
        (_option("20250718", 600.0, "PUT"), 1, False),
        (ContractSpec(con_id=700000002), 1, False),
        (_option("20250718", 600.0), 2, True),
        (_option("20250718", 0.0, "C"), 11, True),
        (_option("20250718"), 22, True),
        (_option("202507"), 22, True),
        (_option(""), 44, True),
    ],
)
async def test_open_fields_bring_every_contract_that_fits(
    probe, gateway, contract, rows, open_ended
):
    """An expiry, strike or right left open is answered by all, and counted as an open request."""
    probe.ask(ReqContractDetails(1, contract))
    await probe.until(ContractDataEnd, req_id=1)

    assert len(probe.got(ContractData)) == rows
    assert (gateway.details_exact, gateway.details_open) == (not open_ended, open_ended)


@pytest.mark.parametrize(
    "contract",
    [
        ContractSpec(symbol="NOPE", sec_type="STK"),
        ContractSpec(con_id=1),
        _option("20250719", 600.0, "C"),
        _option("20250718", 600.0, "X"),
        _option("2025071", 600.0, "C"),
        _option("2025", 600.0, "C"),
    ],
)
async def test_what_does_not_exist_is_a_200(probe, contract):
    """An unknown contract ends its request with 200."""
    probe.ask(ReqContractDetails(1, contract))

    assert (await probe.until(Error, code=200)).req_id == 1
    assert probe.got(ContractDataEnd) == []


@pytest.mark.parametrize("version", [150, 163, 164, 178])
async def test_each_option_of_an_expiry_has_a_row_of_its_own(market, gateway, version):
    """What is written once for all options of an expiry is what each of them would have alone."""
    client = SimpleNamespace(gateway=gateway, version=version)
    listings = [*lookup.find(market, _option("202507")), *market.find(STOCK)]
    rows = lookup.DetailsRows(client, 7, listings)

    told = [tuple(rows.fields(listing)) for listing in listings]

    assert len(set(told)) == 23
    assert told == [
        tuple(lookup.DetailsRows(client, 7, listings).fields(listing)) for listing in listings
    ]


@pytest.mark.parametrize("sec_type", ["", "SHARE"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda contract: ReqContractDetails(1, contract),
        lambda contract: ReqMarketData(1, contract),
        lambda contract: replace(DAILY, contract=contract),
    ],
)
async def test_a_description_needs_a_security_type(probe, ask, sec_type):
    """Without an id or a known security type every kind of request is a 321."""
    probe.ask(ask(ContractSpec(symbol="SPY", sec_type=sec_type, exchange="SMART")))

    error = await probe.until(Error, code=321)
    assert (error.req_id, "valid security type" in error.text) == (1, True)


async def test_open_requests_of_one_symbol_wait_for_each_other(market, connect):
    """They are served in order, one at a time; exact ones overtake them."""
    profile = Profile(latency_s=0.0, details_open_s=(0.01, 0.01), details_rows_per_s=2200.0)
    async with Gateway(market, profile=profile) as gateway:
        probe = await connect(gateway)
        probe.ask(
            ReqContractDetails(1, _option("20250718")),
            ReqContractDetails(2, _option("20250815")),
            ReqContractDetails(3, _option("20250815", 600.0, "C")),
        )
        await probe.until(ContractDataEnd, req_id=2)

    ended = [one.req_id for one in probe.got(ContractDataEnd)]
    assert ended == [3, 1, 2]
    order = [one.req_id for one in probe.got(ContractData)]
    assert order == [3] + [1] * 22 + [2] * 22
    assert gateway.peak("contract_details") == 3


async def test_a_client_that_leaves_does_not_hold_up_the_others(market, connect):
    """An open request whose client has gone gives its turn to the next."""
    profile = Profile(latency_s=0.0, details_open_s=(0.02, 0.02))
    async with Gateway(market, profile=profile) as gateway:
        first, second = await connect(gateway, 1), await connect(gateway, 2)
        first.ask(*[ReqContractDetails(req_id, _option()) for req_id in range(1, 4)])
        await first.settle()
        second.ask(ReqContractDetails(1, _option()))
        await first.close()
        await second.until(ContractDataEnd)

        assert gateway.open("contract_details") == 0


async def test_option_parameters_come_per_exchange_and_class(probe):
    """Every row carries expiries and strikes; the end comes last."""
    probe.ask(ReqOptionParams(1, "SPY", "", "STK", 756733))
    await probe.until(OptionParamsEnd, req_id=1)

    rows = [message.row for message in probe.got(OptionParameters)]
    assert [(row.exchange, row.trading_class, row.multiplier) for row in rows] == [
        ("CBOE", "SPY", "100"),
        ("SMART", "SPY", "100"),
    ]
    assert rows[0].expiries == ("20250718", "20250815")
    assert len(rows[0].strikes) == 11


async def test_a_named_exchange_gives_an_empty_chain(probe):
    """futFopExchange='SMART' is answered by the end alone, without an error."""
    probe.ask(ReqOptionParams(1, "SPY", "SMART", "STK", 756733))
    await probe.until(OptionParamsEnd, req_id=1)

    assert probe.got(OptionParameters) == []
    assert probe.codes() == []


@pytest.mark.parametrize(("con_id", "code"), [(0, 321), (1, 200)])
async def test_option_parameters_need_the_underlyings_id(probe, con_id, code):
    """Id 0 is a validation error, an unknown one a 200."""
    probe.ask(ReqOptionParams(1, "SPY", "", "STK", con_id))

    assert (await probe.until(Error, code=code)).req_id == 1


async def test_matching_symbols_and_market_rules(probe):
    """A symbol finds its share; a rule gives a price step."""
    probe.ask(ReqMatchingSymbols(1, "spy"), ReqMatchingSymbols(2, "zzz"), ReqMarketRule(26))
    await probe.until(MarketRule, rule_id=26)

    assert [row.symbol for row in probe.got(MatchingSymbols, req_id=1)[0].rows] == ["SPY"]
    assert probe.got(MatchingSymbols, req_id=2)[0].rows == ()


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("US/Eastern", "20250718 16:00:00 US/Eastern"),
        ("UTC", "20250718 20:00:00 UTC"),
        ("Asia/Shanghai", "20250719 04:00:00 Asia/Shanghai"),
    ],
)
async def test_a_near_expiry_is_told_in_the_zone_of_the_login(probe, gateway, zone, expected):
    """In Asia the close of a Friday is a Saturday; the OCC symbol and the real date know better."""
    gateway.times = replace(gateway.times, zone=zone)
    probe.ask(ReqContractDetails(1, _option("20250718", 600.0, "C")))
    await probe.until(ContractDataEnd, req_id=1)

    (row,) = probe.got(ContractData)
    assert (row.last_trade, row.real_expiry) == (expected, "20250718")
    assert row.local_symbol == "SPY   250718C00600000"


async def test_an_id_beside_another_day_is_refused(probe, gateway):
    """478 names both days; the id alone is served, and so is the id with its own day."""
    for number, expiry in enumerate(("20250718", "", "20250719"), start=1):
        contract = replace(_option(expiry), con_id=700000002)
        probe.ask(ReqMarketData(number, contract, "", False, False))
    await probe.until(Error, req_id=3)

    (error,) = [error for error in probe.got(Error) if error.req_id > 0]
    assert (error.req_id, error.code) == (3, 478)
    assert "requested expiry 20250719, in contract 20250718" in error.text
