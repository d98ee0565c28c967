"""
Fetch a chain and look at it.

    python examples/chain.py            # the demo market, no TWS
    python examples/chain.py --live     # your TWS or IB Gateway, as tomic.toml says
"""

from __future__ import annotations

import asyncio
import sys

import tomic


async def main(*, demo: bool) -> None:
    async with tomic.Desk(demo=demo) as desk:  # reads tomic.toml; connects on first need
        chain = await desk.chain("SPY", dte=15, strike_range="2s")

    puts = chain.frame.query("right == 'P' and -0.3 < delta < -0.2")
    print(f"{chain.symbol} {chain.spot.price:.2f}, {chain.completeness:.0%} complete")
    print(puts[["expiry", "strike", "bid", "ask", "iv", "delta"]].to_string(index=False))


if __name__ == "__main__":
    asyncio.run(main(demo="--live" not in sys.argv))
