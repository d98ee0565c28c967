"""Accounts, positions, what-if margins, and the orders that are never taken."""

from __future__ import annotations

import pytest

from tomic.sim import Gateway, Profile
from tomic.wire.answers import (
    AccountDownloadEnd,
    AccountMulti,
    AccountMultiEnd,
    AccountTime,
    AccountValue,
    CompletedOrdersEnd,
    CurrentTime,
    Error,
    ExecutionsEnd,
    ManagedAccounts,
    NextValidId,
    OpenOrderEnd,
    OrderStatus,
    PnL,
    PortfolioValue,
    PositionData,
    PositionEnd,
    PositionMulti,
    PositionMultiEnd,
    SummaryEnd,
    SummaryValue,
    UserInfo,
)
from tomic.wire.orders import OrderComboLeg, PlaceOrder, WhatIfOrder
from tomic.wire.requests import (
    CancelAccountSummary,
    CancelAccountUpdatesMulti,
    CancelOrder,
    CancelPnL,
    CancelPositions,
    CancelPositionsMulti,
    ContractSpec,
    GlobalCancel,
    ReqAccountSummary,
    ReqAccountUpdates,
    ReqAccountUpdatesMulti,
    ReqAllOpenOrders,
    ReqAutoOpenOrders,
    ReqCompletedOrders,
    ReqCurrentTime,
    ReqExecutions,
    ReqIds,
    ReqManagedAccounts,
    ReqOpenOrders,
    ReqPnL,
    ReqPositions,
    ReqPositionsMulti,
    ReqUserInfo,
    SetLogLevel,
)

BETWEEN = (*("",) * 31, *("",) * 7, *("",) * 4, *("",) * 4, "0", "", "")


def _order(contract: ContractSpec, *, what_if: bool, **more: object) -> PlaceOrder:
    return PlaceOrder(9, contract, "SELL", 1.0, what_if=what_if, between=BETWEEN, **more)


async def test_positions_come_with_an_empty_exchange(probe):
    """A share and a short option, then the end."""
    probe.ask(ReqPositions())
    await probe.until(PositionEnd)

    stock, option = probe.got(PositionData)
    assert (stock.contract.symbol, stock.contract.exchange) == ("SPY", "")
    assert (stock.position, stock.average_cost) == (100.0, 590.0)
    assert (option.contract.sec_type, option.contract.expiry) == ("OPT", "20250718")
    assert (option.contract.multiplier, option.position) == ("100", -2.0)


async def test_an_account_summary_gives_the_tags_asked_for(probe):
    """Tags by name, $LEDGER for the cash of a currency; the end comes after them."""
    probe.ask(ReqAccountSummary(1, "All", "NetLiquidation,$LEDGER:USD"))
    await probe.until(SummaryEnd, req_id=1)

    assert [(one.account, one.tag, one.value) for one in probe.got(SummaryValue)] == [
        ("DU12345", "NetLiquidation", "100000.00"),
        ("DU12345", "CashBalance", "50000.00"),
    ]


async def test_two_account_summaries_at_once(probe):
    """The third is a 322 until one is cancelled; another group is refused."""
    probe.ask(*[ReqAccountSummary(req_id, "All", "NetLiquidation") for req_id in (1, 2, 3)])
    assert "Maximum number of account summary" in (await probe.until(Error, code=322)).text

    probe.ask(CancelAccountSummary(1), ReqAccountSummary(4, "All", "NetLiquidation"))
    await probe.until(SummaryEnd, req_id=4)
    probe.ask(CancelAccountSummary(1), CancelAccountSummary(2), ReqAccountSummary(5, "Few", "x"))
    assert (await probe.until(Error, code=300)).req_id == 1
    assert (await probe.until(Error, code=321)).req_id == 5


async def test_account_updates_value_the_portfolio(probe):
    """Values, positions at their mid, the time, the end."""
    probe.ask(ReqAccountUpdates(True, "DU12345"))
    await probe.until(AccountDownloadEnd)

    assert ("NetLiquidation", "100000.00") in [
        (one.tag, one.value) for one in probe.got(AccountValue)
    ]
    stock, option = probe.got(PortfolioValue)
    assert (stock.price, stock.value) == (pytest.approx(6.1), pytest.approx(610.0))
    assert (option.value, option.unrealized) == (pytest.approx(-1220.0), pytest.approx(80.0))
    assert probe.got(AccountTime)[0].time == "15:00"
    probe.ask(ReqAccountUpdates(False, "DU12345"), ReqAccountUpdates(True, "DU99999"))
    assert "Invalid account code 'DU99999'" in (await probe.until(Error, code=321)).text


async def test_every_start_up_request_has_an_end(probe):
    """Whatever a client asks first is answered or ended, never left open."""
    probe.ask(
        ReqOpenOrders(),
        ReqAllOpenOrders(),
        ReqCompletedOrders(False),
        ReqExecutions(1),
        ReqAccountUpdatesMulti(2, "DU12345"),
        ReqAccountUpdatesMulti(3, "DU99999"),
        ReqPositionsMulti(4, "DU12345"),
        ReqPnL(5, "DU12345"),
        ReqUserInfo(6),
        ReqIds(1),
        ReqManagedAccounts(),
        ReqCurrentTime(),
    )
    await probe.until(OpenOrderEnd, 2)
    await probe.until(CompletedOrdersEnd)
    await probe.until(ExecutionsEnd, req_id=1)
    await probe.until(AccountMultiEnd, req_id=2)
    await probe.until(Error, code=321, req_id=3)
    await probe.until(PositionMultiEnd, req_id=4)
    await probe.until(PnL, req_id=5)
    await probe.until(UserInfo, req_id=6)
    await probe.until(NextValidId, 2)
    await probe.until(ManagedAccounts, 2)

    assert (await probe.until(CurrentTime)).epoch == 1750258800
    assert len(probe.got(AccountMulti)) == 5
    assert len(probe.got(PositionMulti)) == 2


async def test_some_messages_are_taken_without_a_word(probe):
    """Cancels of lists, the log level and the binding of orders have no answer at TWS either."""
    probe.ask(
        CancelPositions(),
        CancelPositionsMulti(1),
        CancelAccountUpdatesMulti(1),
        CancelPnL(1),
        SetLogLevel(5),
        ReqAutoOpenOrders(True),
        GlobalCancel(),
    )
    await probe.settle()

    assert probe.codes() == []


@pytest.mark.parametrize(
    "contract",
    [ContractSpec(con_id=756733, exchange="SMART"), ContractSpec(symbol="SPY", sec_type="STK")],
)
async def test_no_order_is_ever_taken(probe, gateway, contract):
    """Anything but a what-if is refused with 201, counted and kept."""
    order = _order(contract, what_if=False)
    probe.ask(order)

    assert (await probe.until(Error, code=201)).req_id == 9
    assert (gateway.orders, gateway.orders_seen) == (1, [order])


async def test_a_what_if_is_answered_twice(probe, gateway):
    """First with margins that are not computed yet, then with margins; then its status."""
    legs = (
        OrderComboLeg(700000002, 1, "BUY", "SMART"),
        OrderComboLeg(700000004, 2, "SELL", "SMART"),
    )
    combo = ContractSpec(symbol="SPY", sec_type="BAG", exchange="SMART", currency="USD")
    probe.ask(_order(combo, what_if=True, legs=legs))
    await probe.until(OrderStatus, order_id=9)

    assert len(probe.got(WhatIfOrder)) == 2
    assert (gateway.orders, gateway.what_ifs) == (0, 1)


@pytest.mark.parametrize(
    ("contract", "margin", "code"),
    [
        (ContractSpec(con_id=1, exchange="SMART"), (1.0, 1.0), 200),
        (ContractSpec(con_id=756733, exchange="SMART"), None, 201),
        (ContractSpec(symbol="SPY", sec_type="BAG", exchange="SMART"), (1.0, 1.0), 200),
        (ContractSpec(symbol="SPY", sec_type="STK"), (1.0, 1.0), 321),
    ],
)
async def test_a_what_if_that_cannot_be_computed(probe, market, contract, margin, code):
    """Unknown, or a combination without legs: 200; no exchange: 321; no margin: 201."""
    market.margin = margin
    probe.ask(_order(contract, what_if=True))

    assert (await probe.until(Error, code=code)).req_id == 9


async def test_a_read_only_gateway_refuses_what_ifs_too(market, connect):
    """321, and nothing else."""
    async with Gateway(market, profile=Profile.instant(), read_only=True) as gateway:
        probe = await connect(gateway)
        probe.ask(_order(ContractSpec(con_id=756733), what_if=True))
        assert "Read-Only" in (await probe.until(Error, code=321)).text
        await probe.settle()

    assert probe.got(WhatIfOrder) == []


async def test_cancelling_an_order_that_is_not_there(probe):
    """There is never an order to cancel."""
    probe.ask(CancelOrder(3))

    assert (await probe.until(Error, code=10147)).req_id == 3
