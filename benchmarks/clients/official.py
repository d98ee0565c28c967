"""
What the official client does with a TWS, against a gateway: ``official.py PORT PACKAGE``.

It is written for the ibapi of TWS API 10.50 and 10.51. Every step sends its question and waits for
the callback that ends it; the exit code says whether all came, and whether the client could read
whatever arrived.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ibapi.client import EClient
from ibapi.contract import ComboLeg, Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper

PORT, PACKAGE = int(sys.argv[1]), sys.argv[2]
LIMIT_S = 30.0
GOOD_NEWS = {2104, 2106, 2158}
UNSET = 1.7976931348623157e308


class Complaints(logging.Handler):
    """What the client logs as an error: a message that it cannot read, for one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a text; errors that the gateway has sent are looked at in the steps."""
        if not record.getMessage().startswith("ERROR "):
            self.texts.append(record.getMessage())


class Client(EWrapper, EClient):
    """Writes down every callback under its name, with what it was told."""

    def __init__(self) -> None:
        EClient.__init__(self, wrapper=self)
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        self.req_id = 100

    def __getattribute__(self, name: str) -> Any:
        if name in CALLBACKS:
            calls = object.__getattribute__(self, "calls")
            return lambda *args: calls.setdefault(name, []).append(args)
        return object.__getattribute__(self, name)

    def next_id(self) -> int:
        """A request id of its own for each question."""
        self.req_id += 1
        return self.req_id

    def told(self, name: str, **which: Any) -> list[tuple[Any, ...]]:
        """Calls of a callback; *first* is what its first argument must be."""
        calls = list(self.calls.get(name, ()))
        return [call for call in calls if "first" not in which or call[0] == which["first"]]

    def errors(self, req_id: int) -> list[int]:
        """Codes that were said to a request."""
        return [call[2] for call in self.told("error", first=req_id)]


CALLBACKS = frozenset(
    name for name in dir(EWrapper) if not name.startswith("_") and name != "logAnswer"
)


def wait(condition: Callable[[], Any]) -> Any:
    """What a condition gives, once it gives anything."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


def spy(sec_type: str = "STK", **fields: Any) -> Contract:
    """A contract on SPY."""
    contract = Contract()
    contract.symbol, contract.secType = "SPY", sec_type
    contract.exchange, contract.currency = "SMART", "USD"
    for name, value in fields.items():
        setattr(contract, name, value)
    return contract


def forex() -> Contract:
    """Euros in dollars."""
    return spy("CASH", symbol="EUR", exchange="IDEALPRO")


def details_of(client: Client, contract: Contract) -> list[Any]:
    """Contract details."""
    req_id = client.next_id()
    client.reqContractDetails(req_id, contract)
    wait(lambda: client.told("contractDetailsEnd", first=req_id))
    return [call[1] for call in client.told("contractDetails", first=req_id)]


def option_of(client: Client) -> Any:
    """Details of a call of SPY near the money, by its option parameters."""
    (stock,) = details_of(client, spy())
    req_id = client.next_id()
    client.reqSecDefOptParams(req_id, "SPY", "", "STK", stock.contract.conId)
    wait(lambda: client.told("securityDefinitionOptionParameterEnd", first=req_id))
    rows = client.told("securityDefinitionOptionParameter", first=req_id)
    row = next(call for call in rows if (call[1], call[3]) == ("SMART", "SPY"))
    expiry = sorted(row[5])[4]
    wanted = spy("OPT", lastTradeDateOrContractMonth=expiry, right="C", tradingClass="SPY")
    found = details_of(client, wanted)
    return found[len(found) // 2]


def details(client: Client) -> str:
    """Contract details, with the time of the last trade."""
    row = option_of(client)
    assert row.underSymbol == "SPY"
    return f"{row.contract.localSymbol} until {row.lastTradeTime}"


def ticks(client: Client) -> str:
    """Quote, Greeks, open interest, venue and time of an option."""
    contract, req_id = option_of(client).contract, client.next_id()
    client.reqMktData(req_id, contract, "100,101,106", False, False, [])
    for name, tick in (("tickPrice", 1), ("tickOptionComputation", 13), ("tickSize", 27),
                       ("tickString", 45), ("tickString", 32), ("tickGeneric", 49)):  # fmt: skip
        wait(lambda n=name, t=tick: [c for c in client.told(n, first=req_id) if c[1] == t])
    client.cancelMktData(req_id)
    bid = next(call[2] for call in client.told("tickPrice", first=req_id) if call[1] == 1)
    return f"bid {bid}"


def illegal_tick(client: Client) -> str:
    """A generic tick that is not legal refuses the line and names those that are."""
    req_id = client.next_id()
    client.reqMktData(req_id, spy(), "104,106", False, False, [])
    wait(lambda: client.errors(req_id))
    text = client.told("error", first=req_id)[0][3]
    assert "411(rthistvol)" in text, text
    return text[:90]


def tick_by_tick(client: Client) -> str:
    """Trades, quotes and midpoints."""
    pairs = (("Last", "AllLast"), ("BidAsk", "BidAsk"), ("MidPoint", "MidPoint"))
    for kind, name in pairs:
        req_id = client.next_id()
        client.reqTickByTickData(req_id, spy(), kind, 0, False)
        wait(lambda n=name, r=req_id: client.told(f"tickByTick{n}", first=r))
        client.cancelTickByTickData(req_id)
    return "3 kinds"


def real_time_bars(client: Client) -> str:
    """Five seconds of trading."""
    req_id = client.next_id()
    client.reqRealTimeBars(req_id, spy(), 5, "TRADES", False, [])
    bar = wait(lambda: client.told("realtimeBar", first=req_id))[0]
    client.cancelRealTimeBars(req_id)
    return f"close {bar[5]}"


def calculations(client: Client) -> str:
    """The price at a volatility, and the volatility behind that price."""
    contract, req_id = option_of(client).contract, client.next_id()
    under = contract.strike * 1.01
    client.calculateOptionPrice(req_id, contract, 0.2, under, [])
    price = wait(lambda: client.told("tickOptionComputation", first=req_id))[0][5]
    client.cancelCalculateOptionPrice(req_id)
    req_id = client.next_id()
    client.calculateImpliedVolatility(req_id, contract, price, under, [])
    implied = wait(lambda: client.told("tickOptionComputation", first=req_id))[0][3]
    client.cancelCalculateImpliedVolatility(req_id)
    assert abs(implied - 0.2) < 1e-4, implied
    return f"{price:.4f} {implied:.6f}"


def history(client: Client) -> str:
    """Bars of days and minutes, and what grows; none of trades in currencies."""
    counts = []
    for duration, size in (("1 Y", "1 day"), ("1 D", "1 min")):
        req_id = client.next_id()
        client.reqHistoricalData(req_id, spy(), "", duration, size, "TRADES", 1, 1, False, [])
        wait(lambda r=req_id: client.told("historicalDataEnd", first=r))
        counts.append(len(client.told("historicalData", first=req_id)))
    req_id = client.next_id()
    client.reqHistoricalData(req_id, forex(), "", "1 D", "1 hour", "TRADES", 1, 1, False, [])
    assert wait(lambda: client.errors(req_id)) == [162]
    req_id = client.next_id()
    client.reqHistoricalData(req_id, spy(), "", "1 D", "1 min", "MIDPOINT", 1, 1, True, [])
    wait(lambda: client.told("historicalDataUpdate", first=req_id))
    client.cancelHistoricalData(req_id)
    return f"{counts[0]} days, {counts[1]} minutes"


def reference(client: Client) -> str:
    """What TWS knows beside prices."""
    req_id = client.next_id()
    client.reqHeadTimeStamp(req_id, spy(), "TRADES", 1, 1)
    head = wait(lambda: client.told("headTimestamp", first=req_id))[0][1]
    for ask, name in (
        (client.reqScannerParameters, "scannerParameters"),
        (client.reqNewsProviders, "newsProviders"),
        (client.reqFamilyCodes, "familyCodes"),
        (client.reqMktDepthExchanges, "mktDepthExchanges"),
        (client.reqCurrentTime, "currentTime"),
    ):
        ask()
        wait(lambda n=name: client.told(n))
    req_id = client.next_id()
    client.reqSmartComponents(req_id, "9c0001")
    wait(lambda: client.told("smartComponents", first=req_id))
    return f"history since {head}"


def account(client: Client) -> str:
    """Positions, portfolio and values; the ledger stands under All."""
    client.reqPositions()
    wait(lambda: client.told("positionEnd"))
    client.reqAccountUpdates(True, "DU1234567")
    wait(lambda: client.told("accountDownloadEnd"))
    req_id = client.next_id()
    client.reqAccountSummary(req_id, "All", "NetLiquidation,$LEDGER:ALL")
    wait(lambda: client.told("accountSummaryEnd", first=req_id))
    client.cancelAccountSummary(req_id)
    names = {call[1] for call in client.told("accountSummary", first=req_id)}
    assert names == {"DU1234567", "All"}, names
    venues = {call[0].primaryExchange for call in client.told("updatePortfolio")}
    assert "SMART" not in venues, venues
    return f"{len(client.told('position'))} positions, at {sorted(venues)}"


def executions(client: Client) -> str:
    """The day's executions, a correction among them, and their commissions."""
    req_id = client.next_id()
    client.reqExecutions(req_id, ExecutionFilter())
    wait(lambda: client.told("execDetailsEnd", first=req_id))
    name = "commissionAndFeesReport"
    wait(lambda: len(client.told(name)) >= 4)
    ids = [call[2].execId for call in client.told("execDetails", first=req_id)]
    assert any(text.endswith(".02") for text in ids), ids
    return f"{len(ids)} rows"


def what_if(client: Client) -> str:
    """Margins of a combination and of currencies; 321 for a contract without exchange."""
    row = option_of(client).contract
    bag, leg = spy("BAG"), ComboLeg()
    leg.conId, leg.ratio, leg.action, leg.exchange = row.conId, 1, "SELL", "SMART"
    bag.comboLegs = [leg]
    changes = []
    for contract, quantity in ((bag, 2), (forex(), 20_000)):
        order_id = client.next_id()
        client.placeOrder(order_id, contract, order(quantity))
        wait(lambda i=order_id: len(client.told("openOrder", first=i)) == 2)
        state = client.told("openOrder", first=order_id)[1][3]
        changes.append(float(state.initMarginChange))
    assert all(0.0 < change < UNSET for change in changes), changes
    order_id = client.next_id()
    client.placeOrder(order_id, spy(exchange=""), order(100))
    assert wait(lambda: client.errors(order_id)) == [321]
    return f"margins {changes}"


def order(quantity: int) -> Order:
    """An order that TWS only thinks about."""
    order = Order()
    order.action, order.orderType, order.totalQuantity = "BUY", "LMT", quantity
    order.lmtPrice, order.tif, order.whatIf = 1.1, "DAY", True
    return order


STEPS = (
    details, ticks, illegal_tick, tick_by_tick, real_time_bars, calculations, history, reference,
    account, executions, what_if,
)  # fmt: skip


def main() -> int:
    """Connect, take every step, hang up; whether anything failed."""
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    client, failed = Client(), 0
    client.connect("127.0.0.1", PORT, 42)
    reader = threading.Thread(target=client.run, daemon=True)
    reader.start()
    wait(lambda: client.told("nextValidId"))
    print(f"{PACKAGE} speaks version {client.serverVersion()}")
    for step in STEPS:
        began = time.monotonic()
        try:
            said = step(client)
        except Exception as exc:  # whatever goes wrong in a step is its result
            failed += 1
            said = f"FAILED: {type(exc).__name__} {exc}"
        print(f"{step.__name__:<18}{time.monotonic() - began:6.2f} s  {said}", flush=True)
    client.disconnect()
    reader.join(LIMIT_S)
    for text in complaints.texts:
        print(f"the client complained: {text}")
    return int(bool(failed or complaints.texts or reader.is_alive()))


if __name__ == "__main__":
    sys.exit(main())
