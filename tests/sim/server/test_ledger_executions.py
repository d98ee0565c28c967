"""Executions of the day: which rows come, in which form, and what ib_async makes of them."""

from __future__ import annotations

from datetime import UTC, datetime

import ib_async
import pytest

from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import BlankFilterIgnored, OrderWarned
from tomic.sim.market import Listing, MarketFill
from tomic.sim.market.model import ModelMarket
from tomic.wire.answers import CommissionReport, ExecutionData, ExecutionsEnd
from tomic.wire.requests import ContractSpec, ReqExecutions

AT = datetime(2026, 11, 20, 19, 31, 2, tzinfo=UTC)
SPY = ModelMarket(1).find(ContractSpec(symbol="SPY", sec_type="STK"))[0]
BOUGHT = MarketFill("1.01", "DU1234567", AT, 100.0, 590.5, SPY.con_id, client_id=7, commission=1.0)
FUTURE = MarketFill("2.01", "DU1234567", AT, -1.0, 5900.25, contract=Listing(5, "ES", "FUT", "CME"))
"""Of a contract that the market does not list, and whose commission nobody is told."""


@pytest.fixture
async def gateway():
    """A gateway of an account that has traded today."""
    fills = (BOUGHT, FUTURE)
    async with Gateway(
        ModelMarket(1, fills=fills), profile=Profile.instant(), limits=Limits().unpaced()
    ) as running:
        yield running


async def test_a_row_and_its_commission(probe):
    """The row, then its report, which carries no request id; the end comes last."""
    probe.ask(ReqExecutions(3))
    await probe.until(ExecutionsEnd, req_id=3)

    first, second = probe.got(ExecutionData)
    assert (first.side, first.shares, first.price) == ("BOT", 100.0, 590.5)
    assert (first.contract.symbol, first.contract.right) == ("SPY", "?")
    assert first.time == "20261120 14:31:02 US/Eastern"
    assert (second.contract.symbol, second.contract.sec_type, second.side) == ("ES", "FUT", "SLD")
    (report,) = probe.got(CommissionReport)
    assert (report.exec_id, report.commission, report.currency) == ("1.01", 1.0, "USD")
    order = [type(one) for one in probe.answers if not hasattr(one, "epoch")][-4:]
    assert order == [ExecutionData, CommissionReport, ExecutionData, ExecutionsEnd]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, 2), ({"client_id": 7}, 1), ({"account": "DU1234567"}, 2), ({"account": "DU7"}, 0),
        ({"symbol": "ES"}, 1), ({"sec_type": "STK"}, 1), ({"side": "SELL"}, 1),
        ({"exchange": "CME"}, 0),
    ],
    ids=str,
)  # fmt: skip
async def test_the_filter_is_kept_to(probe, asked, found):
    """An empty field means every execution."""
    probe.ask(ReqExecutions(3, **asked))
    await probe.until(ExecutionsEnd, req_id=3)

    assert len(probe.got(ExecutionData)) == found


async def test_a_blank_filter_that_is_ignored(probe, gateway):
    """A filter that names anything is answered."""
    gateway.add(BlankFilterIgnored())
    probe.ask(ReqExecutions(3), ReqExecutions(4, account="DU1234567"))
    await probe.until(ExecutionsEnd, req_id=4)

    assert {one.req_id for one in probe.got(ExecutionData)} == {4}


async def test_ib_async_reads_them(gateway):
    """The client that the program is built on, with its own wrapper, sees the same fill."""
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=9, raiseSyncErrors=True)
    try:
        fills = await ib.reqExecutionsAsync()
    finally:
        ib.disconnect()

    (one,) = [fill for fill in fills if fill.contract.symbol == "SPY"]
    assert (one.execution.shares, one.execution.price) == (100.0, 590.5)
    assert one.execution.time == AT


async def test_what_if_warnings_and_margins(gateway):
    """ib_async gets the warnings on its error event, and the margins all the same."""
    gateway.add(OrderWarned(codes=(399, 404)))
    ib = ib_async.IB()
    seen = []
    ib.errorEvent += lambda _, code, *more: seen.append(code)
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=9)
    try:
        (stock,) = await ib.qualifyContractsAsync(ib_async.Stock("SPY", "SMART", "USD"))
        state = await ib.whatIfOrderAsync(stock, ib_async.MarketOrder("BUY", 1))
    finally:
        ib.disconnect()

    assert seen[-2:] == [399, 404]
    assert 0.0 < float(state.initMarginChange) < 1e6
