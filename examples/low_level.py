"""
Your own limits and your own composition: a session, a contract, its bars.

    python examples/low_level.py        # the simulated gateway, no TWS
    python examples/low_level.py --live # your TWS or IB Gateway, as tomic.toml says
"""

from __future__ import annotations

import asyncio
import sys

import tomic
from tomic.ib import Session, contracts, history
from tomic.sim import Gateway
from tomic.sim.market.model import ModelMarket


async def show(settings: tomic.Settings) -> None:
    async with Session(settings.ib, settings.limits) as session:
        spy = await contracts.resolve_underlying(session, "SPY", settings.market)
        bars = await history.daily_bars(session, spy, days=252)
    print(f"{spy.symbol} on {spy.primary_exchange}: {len(bars)} bars to {bars[-1].day}")
    print(f"last close {bars[-1].close:.2f}")


async def main(*, live: bool) -> None:
    settings = tomic.load_settings()
    if live:
        await show(settings)
        return
    async with Gateway(ModelMarket(seed=1)) as gateway:
        await show(tomic.load_settings(ib={"host": "127.0.0.1", "port": gateway.port}))


if __name__ == "__main__":
    asyncio.run(main(live="--live" in sys.argv))
