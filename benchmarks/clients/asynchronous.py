"""
What ib_insync and ib_async do with a TWS, against a gateway: ``asynchronous.py PORT PACKAGE``.

The last steps are those of the tests that both packages ship for a live TWS: the what-if of an
order for currencies, the 321 for a contract without exchange, hourly bars of AMZN and TSLA, the
account summary. Every step has a time limit; the exit code says whether all were right.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import sys
import time
from typing import Any

PORT, PACKAGE = int(sys.argv[1]), sys.argv[2]
api: Any = importlib.import_module(PACKAGE)
LIMIT_S = 30.0
HOURS = {"AMZN", "TSLA"}


def need(condition: Any, what: str) -> None:
    """Stop the step where something is not so."""
    if not condition:
        raise AssertionError(what)


async def until(condition: Any) -> None:
    """Wait until something has come; clients differ in what they tell of it, so it is polled."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def underlying(ib: Any) -> Any:
    """SPY, qualified."""
    (stock,) = await ib.qualifyContractsAsync(api.Stock("SPY", "SMART", "USD"))
    return stock


async def option(ib: Any) -> Any:
    """A call of SPY near the money, found as clients find one."""
    stock = await underlying(ib)
    chains = await ib.reqSecDefOptParamsAsync("SPY", "", "STK", stock.conId)
    chain = next(one for one in chains if (one.exchange, one.tradingClass) == ("SMART", "SPY"))
    expiry = sorted(chain.expirations)[4]
    wanted = api.Option("SPY", expiry, 0.0, "C", "SMART", tradingClass="SPY", currency="USD")
    rows = await ib.reqContractDetailsAsync(wanted)
    need(len(rows) > 20, "few options")
    return rows[len(rows) // 2].contract


async def details(ib: Any) -> str:
    """Contract details, with a time in the login's zone."""
    contract = await option(ib)
    (row,) = await ib.reqContractDetailsAsync(contract)
    need(row.underSymbol == "SPY", "underlying")
    need(contract.lastTradeDateOrContractMonth[:2] == "20", "expiry")
    return f"{contract.localSymbol} until {row.lastTradeTime} {row.timeZoneId}"


async def ticks(ib: Any) -> str:
    """Quote, Greeks and open interest of an option; venue and time of its last trade."""
    contract = await option(ib)
    ticker = ib.reqMktData(contract, "100,101,106")
    await until(lambda: ticker.modelGreeks and not math.isnan(ticker.callOpenInterest))
    ib.cancelMktData(contract)
    need(ticker.modelGreeks.impliedVol > 0.0, "volatility")
    need(ticker.bid > 0.0 and ticker.bidExchange, "bid and its exchange")
    return f"{ticker.bid} {ticker.ask} {ticker.modelGreeks.impliedVol:.4f} {ticker.bidExchange}"


async def tick_by_tick(ib: Any) -> str:
    """Trades, and quotes, as they happen."""
    stock = await underlying(ib)
    said = []
    for kind, field in (("Last", "price"), ("BidAsk", "bidPrice"), ("MidPoint", "midPoint")):
        ticker = ib.reqTickByTickData(stock, kind)
        found: list[float] = []
        while not found:
            await asyncio.sleep(0.02)
            found = [getattr(tick, field) for tick in ticker.tickByTicks if hasattr(tick, field)]
        ib.cancelTickByTickData(stock, kind)
        said.append(f"{found[-1]:.3f}")
    return " ".join(said)


async def real_time_bars(ib: Any) -> str:
    """Five seconds of trading."""
    bars = ib.reqRealTimeBars(await underlying(ib), 5, "MIDPOINT", False)
    await until(lambda: bars)
    ib.cancelRealTimeBars(bars)
    return f"{bars[0].time} {bars[0].close:.3f}"


async def calculations(ib: Any) -> str:
    """The price at a volatility, and the volatility behind that price."""
    contract = await option(ib)
    under = contract.strike * 1.01
    priced = await ib.calculateOptionPriceAsync(contract, 0.2, under)
    implied = await ib.calculateImpliedVolatilityAsync(contract, priced.optPrice, under)
    need(abs(implied.impliedVol - 0.2) < 1e-4, f"volatility {implied.impliedVol}")
    return f"{priced.optPrice:.4f} {implied.impliedVol:.6f}"


async def history(ib: Any) -> str:
    """Daily, weekly and one-minute bars."""
    stock = await underlying(ib)
    counts = []
    for duration, size in (("1 Y", "1 day"), ("1 Y", "1 week"), ("1 D", "1 min")):
        bars = await ib.reqHistoricalDataAsync(stock, "", duration, size, "TRADES", True)
        need(bars, f"no bars of {size}")
        counts.append(len(bars))
    return f"{counts[0]} days, {counts[1]} weeks, {counts[2]} minutes"


async def bars_kept_up_to_date(ib: Any) -> str:
    """The last bar of a minute goes on until it is cancelled."""
    bars = await ib.reqHistoricalDataAsync(
        await underlying(ib), "", "1 D", "1 min", "MIDPOINT", True, keepUpToDate=True
    )
    updates: list[bool] = []
    bars.updateEvent += lambda _, is_new: updates.append(is_new)
    before = len(bars)
    await until(lambda: len(updates) > 1)
    ib.cancelHistoricalData(bars)
    need(len(bars) == before + sum(updates), "bars")
    return f"{len(updates)} updates, last {bars[-1].date} {bars[-1].close:.3f}"


async def reference(ib: Any) -> str:
    """What TWS knows beside prices."""
    stock = await underlying(ib)
    head = await ib.reqHeadTimeStampAsync(stock, "TRADES", True, 1)
    xml = await ib.reqScannerParametersAsync()
    need("<ScanTypeList>" in xml, "scanner parameters")
    need(await ib.reqNewsProvidersAsync(), "news providers")
    need(await ib.reqSmartComponentsAsync("9c0001"), "smart components")
    need(await ib.reqMktDepthExchangesAsync(), "depth exchanges")
    need(await ib.reqMatchingSymbolsAsync("SP"), "matching symbols")
    return f"history since {head}"


async def account(ib: Any) -> str:
    """Positions, portfolio, values, and profit and loss."""
    await ib.reqPositionsAsync()
    (name,) = ib.managedAccounts()
    need(len(ib.portfolio()) == len(ib.positions()), "portfolio")
    need("SMART" not in {one.contract.primaryExchange for one in ib.portfolio()}, "SMART")
    ib.reqPnL(name)
    await until(lambda: not math.isnan(ib.pnl(name)[0].unrealizedPnL))
    return f"{len(ib.positions())} positions of {name}"


async def executions(ib: Any) -> str:
    """The day's executions and what they cost."""
    fills = await ib.reqExecutionsAsync()
    await until(lambda: sum(1 for fill in ib.fills() if fill.commissionReport.execId) >= 4)
    need(any(fill.execution.execId.endswith(".02") for fill in fills), "correction")
    return f"{len(fills)} rows, first at {fills[0].execution.time}"


async def what_if_of_currencies(ib: Any) -> str:
    """Live test: an order for currencies that need not be qualified has a commission."""
    state = await ib.whatIfOrderAsync(api.Forex("EURUSD"), api.MarketOrder("BUY", 20_000))
    commission = float(state.commission)
    # ib_insync takes the first of the two answers, in which nothing is computed yet.
    unset = PACKAGE == "ib_insync" and commission > 1e300
    need(unset or 0.0 < commission < 100.0, f"commission {commission}")
    return f"commission {commission}"


async def error_of_a_bad_contract(ib: Any) -> str:
    """
    Live test: a contract without exchange is a 321, which is raised where that is wished.

    ib_async 2 takes a 321 for a warning and goes on waiting, so there it is only heard.
    """
    ib.RaiseRequestErrors = True
    heard: list[int] = []
    ib.errorEvent += lambda _, code, *rest: heard.append(code)
    asking = asyncio.ensure_future(
        ib.whatIfOrderAsync(api.Stock("XXX"), api.MarketOrder("BUY", 100))
    )
    await until(lambda: heard)
    if PACKAGE == "ib_async":
        asking.cancel()
    (raised,) = await asyncio.gather(asking, return_exceptions=True)
    ib.RaiseRequestErrors = False
    need(heard == [321], f"codes {heard}")
    need(isinstance(raised, BaseException), "nothing was raised")
    return f"321, {type(raised).__name__}"


async def hourly_bars(ib: Any) -> str:
    """Live test: two months of hours of two shares, as a table."""
    counts = []
    for symbol in sorted(HOURS):
        contract = api.Stock(symbol, "SMART", "USD")
        await ib.qualifyContractsAsync(contract)
        bars = await ib.reqHistoricalDataAsync(contract, "", "60 D", "1 hour", "TRADES", True)
        need(len(bars) > 300, f"{len(bars)} bars of {symbol}")
        times = [bar.date for bar in bars]
        need(times == sorted(set(times)), "times")
        counts.append(len(bars))
    return f"{counts} bars, last of {times[-1]}"


async def account_summary(ib: Any) -> str:
    """Live test: there are values; those of the ledger stand under All."""
    values = await ib.accountSummaryAsync()
    need(all(value.account and value.tag for value in values), "rows without a name")
    names = {value.account for value in values}
    need({"All"} < names, f"accounts {names}")
    return f"{len(values)} rows of {sorted(names)}"


STEPS = (
    details, ticks, tick_by_tick, real_time_bars, calculations, history, bars_kept_up_to_date,
    reference, account, executions, what_if_of_currencies, error_of_a_bad_contract, hourly_bars,
    account_summary,
)  # fmt: skip


async def main() -> int:
    """Connect, take every step, hang up; how many steps failed."""
    ib, failed = api.IB(), 0
    await ib.connectAsync("127.0.0.1", PORT, clientId=41, timeout=LIMIT_S)
    for step in STEPS:
        began, name = time.monotonic(), step.__name__.replace("_", " ")
        try:
            said = await asyncio.wait_for(step(ib), LIMIT_S)
        except Exception as exc:  # whatever goes wrong in a step is its result
            failed += 1
            said = f"FAILED: {type(exc).__name__} {exc}"
        print(f"{name:<26}{time.monotonic() - began:6.2f} s  {said}", flush=True)
    ib.disconnect()
    return failed


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main()), 1))
