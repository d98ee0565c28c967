"""
A chain as one would write it with ib_async and nothing else, in two ways, as whole programs.

``python -m benchmarks.plain_chain WAY PORT RATE PATIENCE_S`` reads the options from stdin, as JSON
rows of expiry, strike and right, and prints what it got.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

import ib_async

LINES = 90
STREAM_S = 10.0
"""How long an option is given to send its bid and its Greeks, waiting to be asked included."""
CHUNK = 50


def complete(ticker: ib_async.Ticker) -> bool:
    """Whether it holds what a row of a chain needs."""
    return ticker.modelGreeks is not None and ticker.bid > 0


async def qualified(ib: ib_async.IB, wanted: list[ib_async.Option]) -> list[ib_async.Contract]:
    """Those that exist."""
    found = await ib.qualifyContractsAsync(*wanted)
    return [one for one in found if isinstance(one, ib_async.Contract) and one.conId]


async def tickers(ib: ib_async.IB, wanted: list[ib_async.Option]) -> int:
    """Qualify all, then snapshots in chunks."""
    found = await qualified(ib, wanted)
    done = 0
    for start in range(0, len(found), CHUNK):
        got = await ib.reqTickersAsync(*found[start : start + CHUNK])
        done += sum(map(complete, got))
    return done


async def stream(ib: ib_async.IB, wanted: list[ib_async.Option]) -> int:
    """Qualify all, then stream each under a semaphore until it has bid and Greeks."""
    gate = asyncio.Semaphore(LINES)

    async def one(contract: ib_async.Contract) -> bool:
        async with gate:
            ticker = ib.reqMktData(contract, "100,101,106")
            for _ in range(round(STREAM_S / 0.1)):
                if complete(ticker):
                    break
                await asyncio.sleep(0.1)
            ib.cancelMktData(contract)
            return complete(ticker)

    done = sum(await asyncio.gather(*map(one, await qualified(ib, wanted))))
    await ib.reqCurrentTimeAsync()
    return done


WAYS: dict[str, Callable[[ib_async.IB, list[ib_async.Option]], Awaitable[int]]] = {
    "tickers": tickers,
    "stream": stream,
}


async def main(way: str, port: int, rate: int, patience_s: float) -> None:
    """Print how many rows are complete, why there are no more, and how many messages were lost."""
    wanted = [
        ib_async.Option("SPY", expiry, strike, right, "SMART", "100", "USD", tradingClass="SPY")
        for expiry, strike, right in json.load(sys.stdin)
    ]
    ib, lost = ib_async.IB(), 0

    def count(request: int, code: int, *_: object) -> None:
        nonlocal lost
        lost += code == 100

    ib.errorEvent += count
    ib.client.MaxRequests = rate
    done, why = 0, ""
    try:
        async with asyncio.timeout(patience_s):
            await ib.connectAsync("127.0.0.1", port, clientId=11)
            done = await WAYS[way](ib, wanted)
    except TimeoutError:
        why = f"still waiting after {patience_s:g} s"
    except ConnectionError as exc:
        why = f"disconnected: {exc}"
    ib.disconnect()
    print(json.dumps({"complete": done, "gave_up": why, "lost": lost}))


if __name__ == "__main__":
    way, port, rate, patience_s = sys.argv[1:]
    asyncio.run(main(way, int(port), int(rate), float(patience_s)))
