"""
Find the best trades of a few symbols.

    python examples/scan.py             # the demo market, no TWS
    python examples/scan.py --live      # your TWS or IB Gateway, as tomic.toml says
"""

from __future__ import annotations

import asyncio
import sys

import tomic


async def main(*, demo: bool) -> None:
    async with tomic.Desk(demo=demo) as desk:
        result = await desk.scan(["SPY", "QQQ"], top=5)

    for p in result.proposals:
        breakevens = ", ".join(f"{level:.2f}" for level in p.breakevens)
        print(f"{p.score:5.1f}  {p.symbol:5} {p.trade:55} breakevens {breakevens}")
    print(f"{result.considered:,} trades looked at")


if __name__ == "__main__":
    asyncio.run(main(demo="--live" not in sys.argv))
