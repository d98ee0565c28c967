"""
A program of ib_async alone, tried against the simulated gateway in virtual time.

    python examples/ib_async_alone.py        # no TWS, no pytest, and no second of waiting
"""

from __future__ import annotations

import asyncio

import ib_async

from tomic import testing


async def cheapest_put(port: int) -> tuple[float, float]:
    """The program: the put below 580 with the smallest ask, and that ask."""
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=1)
    try:
        wanted = [
            ib_async.Option("SPY", "20261218", strike, "P", "SMART", tradingClass="SPY")
            for strike in range(560, 580, 5)
        ]
        known = await ib.qualifyContractsAsync(*wanted)
        tickers = await ib.reqTickersAsync(*(c for c in known if isinstance(c, ib_async.Contract)))
    finally:
        ib.disconnect()
    asks = {ticker.contract.strike: ticker.ask for ticker in tickers if ticker.contract}
    ask, strike = min((ask, strike) for strike, ask in asks.items() if ask > 0)
    return strike, ask


async def main() -> None:
    for fault in ("", "no_quotes:strike=560.0", "refuse:code=200,on=contract_details,strike=560"):
        async with testing.gateway([fault] if fault else [], symbols=["SPY"]) as port:
            began = asyncio.get_running_loop().time()
            strike, ask = await cheapest_put(port)
            seconds = asyncio.get_running_loop().time() - began
        port.assert_no_pacing_violations()
        port.assert_no_orders()
        print(f"{strike:g}P at {ask:.2f} · {port.messages} messages · {seconds:.1f} s · {fault}")


if __name__ == "__main__":
    testing.run(main)
