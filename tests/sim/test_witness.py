"""Two clients that know nothing of this gateway: ib_async, and IB's own library."""

from __future__ import annotations

import asyncio

import ib_async
import pytest

VERSIONS = (157, 158, 159, 160, 162, 163, 164, 166, 169, 170, 176, 177, 178)


async def _connected(gateway, **options):
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=7, raiseSyncErrors=True, **options)
    return ib


@pytest.mark.parametrize("version", VERSIONS)
async def test_ib_async_starts_up_and_reads_everything(gateway, caplog, version):
    """ib_async with default settings gets every start-up answer, details, chains, ticks, bars."""
    gateway.server_version = version

    ib = await _connected(gateway)
    try:
        assert ib.client.serverVersion() == version
        assert [(p.contract.symbol, p.position) for p in ib.positions()] == [
            ("SPY", 100.0),
            ("SPY", -2.0),
        ]
        assert {v.tag for v in ib.accountValues()} >= {"NetLiquidation", "CashBalance"}

        stock = ib_async.Stock("SPY", "SMART", "USD")
        (details,) = await ib.reqContractDetailsAsync(stock)
        assert (details.contract.conId, details.stockType) == (756733, "ETF")
        assert details.longName == "SPDR S&P 500 ETF TRUST"
        wild = ib_async.Option("SPY", "20250718", 0.0, "", "SMART", currency="USD")
        rows = await ib.reqContractDetailsAsync(wild)
        assert len(rows) == 22
        assert rows[0].lastTradeTime == "16:00:00"
        assert rows[0].contract.lastTradeDateOrContractMonth == "20250718"

        chains = await ib.reqSecDefOptParamsAsync("SPY", "", "STK", 756733)
        assert [chain.exchange for chain in chains] == ["CBOE", "SMART"]
        assert chains[0].strikes[0] == 595.0

        option = rows[0].contract
        ticker = ib.reqMktData(option, "100,101,106")
        await _until(lambda: ticker.modelGreeks and ticker.callOpenInterest)
        assert (ticker.bid, ticker.ask, ticker.bidSize) == (6.0, 6.2, 10)
        assert ticker.modelGreeks.impliedVol == 0.18
        assert (ticker.callOpenInterest, ticker.putOpenInterest) == (1234, 0)
        ib.cancelMktData(option)

        bars = await ib.reqHistoricalDataAsync(
            stock_of(details), "", "5 D", "1 day", "TRADES", True
        )
        assert len(bars) == 5
        assert bars[-1].date.isoformat() == "2025-06-18"

        summary = await ib.accountSummaryAsync()
        assert ("NetLiquidation", "100000.00") in {(v.tag, v.value) for v in summary}

        state = await ib.whatIfOrderAsync(option, ib_async.MarketOrder("SELL", 1))
        assert (float(state.initMarginChange), float(state.maintMarginChange)) == (500.0, 400.0)
    finally:
        ib.disconnect()

    # ib_async keeps no trade for a what-if, and says so when its order status comes.
    complaints = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert [one for one in complaints if not one.startswith("orderStatus: No order")] == []
    assert (gateway.orders, gateway.lines_open, gateway.leaked) == (0, 0, 0)


def stock_of(details):
    contract = details.contract
    contract.exchange = "SMART"
    return contract


async def _until(condition):
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")
