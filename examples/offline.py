"""
Rank trades of an exported chain with weights of your own: no network, no event loop.

    python examples/offline.py exports/20261120/option_chain_SPY_20261120_200500_000000.csv
    python examples/offline.py          # exports a chain of the demo market first
"""

from __future__ import annotations

import sys
from pathlib import Path

import tomic


def main(file: Path) -> None:
    chain = tomic.load_chain(file)
    vol = tomic.VolSnapshot(symbol=chain.symbol, as_of=chain.as_of, iv30=0.17, iv_rank=0.6)

    best = tomic.propose(
        chain, vol, strategies=["iron_condor"], weights=tomic.ScoreWeights(pos=0.5, ev=0.5)
    )

    for p in best.proposals:
        print(f"{p.score:5.1f}  {p.trade:45} credit {p.credit:8.2f}  PoS {p.pos:.0%}")


def exported() -> Path:
    """A chain of the demo market as `tomic chain` exports it."""
    import asyncio
    import datetime as dt

    from tomic import files

    async def fetch() -> tomic.Chain:
        async with tomic.Desk(demo=True) as desk:
            return await desk.chain("SPY", strike_range="2s")

    return files.write_chain(
        asyncio.run(fetch()), Path("exports"), stamp=dt.datetime.now().astimezone()
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else exported())
