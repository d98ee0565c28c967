"""What TWS knows beside prices: it answers each of these instead of refusing them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tomic.sim.market.model import ModelMarket
from tomic.wire import answers, requests
from tomic.wire.answers import Error, HeadTimestamp
from tomic.wire.requests import ContractSpec, ReqHeadTimestamp

SPY = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART")
NEWCOMER = ContractSpec(symbol="NEWC", sec_type="STK", exchange="SMART")


@pytest.fixture
def market():
    """The model market, in which a share has been listed lately."""
    return ModelMarket(1)


@pytest.mark.parametrize(
    ("contract", "form", "time"),
    [(SPY, 1, "20100104-14:30:00"), (NEWCOMER, 1, "20261021-13:30:00"),
     (NEWCOMER, 2, "1792589400")],
)  # fmt: skip
async def test_a_history_begins_when_its_first_bar_opened(probe, contract, form, time):
    """In UTC, or in seconds since 1970."""
    probe.ask(ReqHeadTimestamp(3, contract, False, True, "TRADES", form))

    assert (await probe.until(HeadTimestamp, req_id=3)).time == time


@pytest.mark.parametrize(
    ("what", "contract", "code", "text"),
    [
        ("YIELD", SPY, 321, "Invalid historical data type"),
        ("TRADES", ContractSpec(symbol="SPY", sec_type="STK"), 321, "Please enter exchange"),
        ("TRADES", ContractSpec(symbol="EUR", sec_type="CASH", currency="USD",
                                exchange="IDEALPRO"), 162, "No head time stamp"),
    ],
)  # fmt: skip
async def test_no_beginning_of_what_has_no_history(probe, what, contract, code, text):
    """The refusal says why, and the id is free again."""
    probe.ask(ReqHeadTimestamp(3, contract, False, True, what, 1))

    assert text in (await probe.until(Error, code=code, req_id=3)).text


async def test_lists_that_never_change(probe):
    """News providers, families, components, venues with depth, scanners, tiers."""
    probe.ask(
        requests.ReqNewsProviders(), requests.ReqFamilyCodes(), requests.ReqDepthExchanges(),
        requests.ReqSmartComponents(3, "9c0001"), requests.ReqSoftDollarTiers(4),
        requests.ReqScannerParameters(),
    )  # fmt: skip

    assert {row.code for row in (await probe.until(answers.NewsProviders)).rows} >= {"BRFG"}
    families = await probe.until(answers.FamilyCodes)
    assert [row.account for row in families.rows] == ["DU1234567"]
    assert {row.sec_type for row in (await probe.until(answers.DepthExchanges)).rows} >= {"STK"}
    components = await probe.until(answers.SmartComponents, req_id=3)
    assert [row.bit for row in components.rows] == list(range(len(components.rows)))
    assert (await probe.until(answers.SoftDollarTiers, req_id=4)).tiers == ()
    scanners = ElementTree.fromstring((await probe.until(answers.ScannerParameters)).xml)
    assert scanners.findall("ScanTypeList/ScanType/scanCode")


async def test_the_calendar_of_events_costs_extra(probe):
    """10276, as in most logins."""
    probe.ask(requests.ReqEventFilters(3))

    assert (await probe.until(Error, code=10276)).req_id == 3
