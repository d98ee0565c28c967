"""Executions as TWS reports them become ours."""

from __future__ import annotations

import datetime as dt

import ib_async
import pytest

from tomic.ib import executions

AT = dt.datetime(2025, 5, 19, 14, 31, 2, tzinfo=dt.UTC)


def option(**changes: object) -> ib_async.Contract:
    values = {
        "secType": "OPT", "conId": 712345, "symbol": "SPY", "right": "P", "strike": 560.0,
        "lastTradeDateOrContractMonth": "20250620", "multiplier": "100", "tradingClass": "SPY",
        **changes,
    }  # fmt: skip
    return ib_async.Contract(**values)


def execution(**changes: object) -> ib_async.Execution:
    values = {
        "execId": "0001.1", "time": AT, "side": "SLD", "shares": 2.0, "price": 2.35, "permId": 88,
        **changes,
    }  # fmt: skip
    return ib_async.Execution(**values)


def test_an_option_sold():
    """Side and size become a signed quantity; the order's permanent number keeps legs together."""
    found = executions.to_executed(option(), execution())

    assert (found.exec_id, found.symbol, found.quantity, found.price) == ("0001.1", "SPY", -2, 2.35)
    assert (found.contract.name, found.contract.con_id) == ("560P 2025-06-20", 712345)
    assert (found.at, found.order, found.commission) == (AT, "88", None)


def test_shares_bought():
    """A share class is written with a dot; a share is one share."""
    stock = ib_async.Contract(secType="STK", conId=5, symbol="BRK B")

    found = executions.to_executed(stock, execution(side="BOT", shares=100.0, permId=0))

    assert (found.symbol, found.quantity, found.order) == ("BRK.B", 100.0, "")
    assert found.contract.is_stock
    assert found.contract.multiplier == 1


@pytest.mark.parametrize(
    ("contract", "given"),
    [
        (option(secType="BAG"), execution()),
        (option(secType="FUT"), execution()),
        (option(strike=0.0), execution()),
        (option(lastTradeDateOrContractMonth="soon"), execution()),
        (option(), execution(shares=0.0)),
        (option(), execution(price=float("nan"))),
    ],
)
def test_what_is_no_fill_of_a_stock_or_option(contract, given):
    """Combinations, other instruments and rows without sense are left out."""
    assert executions.to_executed(contract, given) is None


def test_a_time_without_a_zone_is_new_york():
    """Old gateways send times without a zone."""
    found = executions.to_executed(option(), execution(time=dt.datetime(2025, 5, 19, 10, 31)))

    assert found.at.utcoffset() == dt.timedelta(hours=-4)


async def test_a_gateway_without_executions(session):
    """No executions today is an answer, not an error."""
    assert await executions.executions(session, timeout_s=5.0) == ((), 0)
