"""Two clients that know nothing of this gateway: ib_async, and IB's own library."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import ib_async
import pytest
from ibapi import contract as official_contract, order as official_order
from ibapi.client import EClient
from ibapi.execution import ExecutionFilter
from ibapi.wrapper import EWrapper

from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market.model import ModelMarket

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
        assert rows[0].lastTradeTime == "20:00:00"  # the login's zone is UTC
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
    for _ in range(12_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


class Official(EWrapper, EClient):
    """IB's own client; every callback is written down under its name."""

    def __init__(self) -> None:
        EClient.__init__(self, wrapper=self)
        self.seen: dict[str, list[tuple[Any, ...]]] = {}
        self.failures: list[BaseException] = []

    def __getattribute__(self, name: str) -> Any:
        if name in _WATCHED:
            seen = object.__getattribute__(self, "seen")
            return lambda *args: seen.setdefault(name, []).append(args)
        return object.__getattribute__(self, name)

    def run_and_note(self) -> None:
        try:
            self.run()
        except BaseException as exc:
            self.failures.append(exc)


_CALLBACKS = """
    error nextValidId managedAccounts contractDetails contractDetailsEnd tickPrice tickSize
    securityDefinitionOptionParameter securityDefinitionOptionParameterEnd tickString tickGeneric
    tickOptionComputation tickReqParams marketDataType historicalData historicalDataEnd position
    positionEnd accountSummary accountSummaryEnd tickSnapshotEnd currentTime updateAccountValue
    updatePortfolio accountDownloadEnd openOrder orderStatus openOrderEnd execDetailsEnd
    completedOrdersEnd symbolSamples connectionClosed
"""
_WATCHED = frozenset(_CALLBACKS.split())


def _volatilities(official):
    """Generic ticks but for the one that says whether trading is halted."""
    return sorted(tick for tick in official.seen.get("tickGeneric", ()) if tick[1] != 49)


def _described(expiry="", strike=0.0, right="", sec_type="STK"):
    contract = official_contract.Contract()
    contract.symbol, contract.secType, contract.currency = "SPY", sec_type, "USD"
    contract.exchange = "SMART"
    contract.lastTradeDateOrContractMonth, contract.strike, contract.right = expiry, strike, right
    return contract


@pytest.fixture
async def official(gateway, caplog):
    """The official client, connected, with its reader in a thread of its own."""
    caplog.set_level(logging.INFO, "ibapi.client")
    client = Official()
    await asyncio.to_thread(client.connect, "127.0.0.1", gateway.port, 11)
    thread = threading.Thread(target=client.run_and_note)
    thread.start()
    await _until(lambda: "nextValidId" in client.seen)
    yield client
    client.disconnect()
    await asyncio.to_thread(thread.join, 5)
    assert client.failures == []
    assert "BadMessage" not in caplog.text


async def test_official_client_reads_definitions(official, gateway):
    """IB's own client reads contract details and option parameters without a decode error."""
    official.reqContractDetails(1, _described())
    official.reqContractDetails(2, _described("20250718", sec_type="OPT"))
    official.reqSecDefOptParams(3, "SPY", "", "STK", 756733)
    official.reqMatchingSymbols(4, "SPY")
    await _until(lambda: "securityDefinitionOptionParameterEnd" in official.seen)
    await _until(lambda: len(official.seen.get("contractDetailsEnd", ())) == 2)
    await _until(lambda: "symbolSamples" in official.seen)

    assert official.serverVersion() == 157
    stock, *options = [details for _, details in official.seen["contractDetails"]]
    assert (stock.contract.conId, stock.longName) == (756733, "SPDR S&P 500 ETF TRUST")
    assert (stock.stockType, stock.liquidHours[:8]) == ("ETF", "20250618")
    assert len(options) == 22
    assert (options[0].contract.strike, options[0].lastTradeTime) == (595.0, "20:00:00")
    assert options[0].realExpirationDate == "20250718"
    exchange, _, _, multiplier, expiries, strikes = official.seen[
        "securityDefinitionOptionParameter"
    ][0][1:]
    assert (exchange, multiplier, len(expiries), len(strikes)) == ("CBOE", "100", 2, 11)
    assert {code for _, code, _ in official.seen["error"]} <= {2104, 2106, 2158}


async def test_official_client_reads_ticks(official, gateway):
    """IB's own client reads price, size, generic, string and computation ticks."""
    official.reqMarketDataType(1)
    official.reqMktData(1, _described(), "100,101,106,411,456", False, False, [])
    call = _described("20250718", 600.0, "C", "OPT")
    official.reqMktData(2, call, "100,101,106", False, False, [])
    official.reqMktData(3, call, "", True, False, [])
    await _until(lambda: "tickOptionComputation" in official.seen and "tickString" in official.seen)
    await _until(lambda: len(_volatilities(official)) == 2)
    await _until(lambda: "tickSnapshotEnd" in official.seen)
    await _until(lambda: (2, 27, 1234) in official.seen["tickSize"])

    prices = {(req, tick, price) for req, tick, price, _ in official.seen["tickPrice"]}
    assert {(1, 1, 6.0), (2, 2, 6.2), (2, 4, 6.1), (2, 9, 5.9)} <= prices
    assert {(2, 27, 1234), (2, 28, 0), (2, 29, 345), (2, 30, 0)} <= set(official.seen["tickSize"])
    assert _volatilities(official) == [(1, 24, 0.17), (1, 58, 0.15)]
    assert (1, 59, "6.9,7.1,20250620,1.75") in official.seen["tickString"]
    assert {(2, 32, "WXI"), (2, 33, "IXW")} <= set(official.seen["tickString"])
    models = [tick for tick in official.seen["tickOptionComputation"] if tick[:2] == (2, 13)]
    assert models[0][3:] == (0.18, 0.52, 6.1, 0.4, 0.02, 0.55, -0.21, 600.5)
    assert (2, 1) in official.seen["marketDataType"]
    official.cancelMktData(1)
    official.cancelMktData(2)
    await _until(lambda: gateway.lines_open == 0)
    assert {code for _, code, _ in official.seen["error"]} <= {2104, 2106, 2158}


async def test_official_client_reads_bars_and_account(official):
    """IB's own client reads daily bars, positions, summary, updates and the clock."""
    official.reqHistoricalData(1, _described(), "", "5 D", "1 day", "TRADES", 1, 1, False, [])
    official.reqPositions()
    official.reqAccountSummary(2, "All", "NetLiquidation,$LEDGER")
    official.reqAccountUpdates(True, "DU12345")
    official.reqCurrentTime()
    official.reqOpenOrders()
    official.reqExecutions(3, ExecutionFilter())
    official.reqCompletedOrders(False)
    for name in ("historicalDataEnd", "positionEnd", "accountSummaryEnd", "accountDownloadEnd"):
        await _until(lambda name=name: name in official.seen)
    for name in ("currentTime", "openOrderEnd", "execDetailsEnd", "completedOrdersEnd"):
        await _until(lambda name=name: name in official.seen)

    bars = [bar for _, bar in official.seen["historicalData"]]
    assert [bar.date for bar in bars][-1] == "20250618"
    assert (bars[0].open, bars[0].volume, bars[0].barCount) == (1.0, 1000, 10)
    positions = [(c.symbol, size, cost) for _, c, size, cost in official.seen["position"]]
    assert positions == [("SPY", 100.0, 590.0), ("SPY", -2.0, 650.0)]
    summary = {(tag, value) for _, _, tag, value, _ in official.seen["accountSummary"]}
    assert summary == {("NetLiquidation", "100000.00"), ("CashBalance", "50000.00")}
    assert len(official.seen["updatePortfolio"]) == 2
    assert official.seen["currentTime"][0] == (1750258800,)


async def test_official_client_reads_what_if_of_a_combo(official, gateway):
    """IB's own client reads both answers to a what-if: margins unset first, then real."""
    contract = _described(sec_type="BAG")
    contract.comboLegs = []
    for con_id, action in ((700000002, "BUY"), (700000004, "SELL")):
        leg = official_contract.ComboLeg()
        leg.conId, leg.ratio, leg.action, leg.exchange = con_id, 1, action, "SMART"
        contract.comboLegs.append(leg)
    order = official_order.Order()
    order.action, order.totalQuantity, order.orderType = "BUY", 1, "LMT"
    order.lmtPrice, order.whatIf = 1.25, True
    official.placeOrder(1, contract, order)
    await _until(lambda: "orderStatus" in official.seen)

    first, second = [state for *_, state in official.seen["openOrder"]]
    assert first.initMarginChange == "1.7976931348623157E308"
    assert (float(second.initMarginChange), float(second.maintMarginAfter)) == (500.0, 1200.0)
    _, combo, sent, _ = official.seen["openOrder"][1]
    assert [(leg.conId, leg.action) for leg in combo.comboLegs] == [
        (700000002, "BUY"),
        (700000004, "SELL"),
    ]
    assert (sent.whatIf, sent.action, sent.lmtPrice) == (True, "BUY", 1.25)
    assert (gateway.orders, gateway.what_ifs) == (0, 1)


@pytest.mark.parametrize(
    ("contract", "chain_class"),
    [
        (ib_async.Stock("SPY", "SMART", "USD"), "SPY"),
        (ib_async.Stock("BRK B", "SMART", "USD"), "BRKB"),
        (ib_async.Index("SPX", "CBOE", "USD"), "SPXW"),
    ],
    ids=["SPY", "BRK B", "SPX"],
)
async def test_ib_async_walks_the_model_market(caplog, contract, chain_class):
    """Underlying, parameters, one whole expiry, quotes and bars of the seeded market, no error."""
    limits = Limits().unpaced()
    async with Gateway(ModelMarket(seed=1), profile=Profile.instant(), limits=limits) as gateway:
        ib = await _connected(gateway)
        try:
            (underlying,) = await ib.qualifyContractsAsync(contract)
            chains = await ib.reqSecDefOptParamsAsync(
                underlying.symbol, "", underlying.secType, underlying.conId
            )
            chain = next(
                one
                for one in chains
                if one.exchange in ("SMART", "CBOE") and one.tradingClass == chain_class
            )
            expiry = sorted(chain.expirations)[3]
            wild = ib_async.Option(underlying.symbol, expiry, 0.0, "C", "SMART", currency="USD")
            wild.tradingClass = chain_class
            rows = await ib.reqContractDetailsAsync(wild)
            assert len(rows) > 20
            assert {row.underSecType for row in rows} == {underlying.secType}
            assert {row.contract.strike for row in rows} <= set(chain.strikes)

            option = rows[len(rows) // 2].contract
            option.exchange = "SMART"
            ticker = ib.reqMktData(option, "100,101,106")
            await _until(lambda: ticker.modelGreeks and ticker.callOpenInterest >= 0)
            assert ticker.modelGreeks.undPrice > 0.0
            ib.cancelMktData(option)
            for what in ("TRADES", "OPTION_IMPLIED_VOLATILITY"):
                bars = await ib.reqHistoricalDataAsync(
                    underlying, "", "1 Y", "1 day", what, useRTH=True
                )
                assert len(bars) == 252
        finally:
            ib.disconnect()

    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
