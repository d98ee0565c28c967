"""
What to do with fifty positions: messages to TWS, and processor time of computing.

Positions of five kinds on the demo market, some under attack; messages are counted by the session,
beyond those of its opening and of the book.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Row, fact

from tomic.desk import Desk
from tomic.workflows.journal import entries as journals

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.many_positions import entries

MOST_MESSAGES, MOST_SECONDS = 2_700, 2.0


async def measured(count: int) -> list[Row]:
    """Messages; seconds of CPU of smiles and judging, and of all with the simulated gateway."""
    with tempfile.TemporaryDirectory() as folder:
        async with Desk(demo=True, demo_store=Path(folder) / "demo.db") as desk:
            journal = await desk.journal()
            for entry in entries(count, list(desk.settings.market.symbols)):
                await journals.save(journal, entry, event="open")
            # The book is read first: it is not part of what managing asks.
            await desk.manage("SPY", keep=False)
            session = await desk.session()
            before, began = session.messages, time.process_time()
            run = await desk.manage(keep=False)
            whole = time.process_time() - began
            messages = session.messages - before
    tried = sum(len(one.moves) + len(one.refused) for one in run.advice)
    judged = sum(len(one.moves) for one in run.advice)
    label = f"manage: {len(run.advice)} positions, {tried} alternatives tried, {judged} judged"
    return [
        fact(f"{label}: messages", f"{messages:,}", f"<= {MOST_MESSAGES:,}"),
        fact(f"{label}: computing", f"{run.computing_s:.2f} s", f"<= {MOST_SECONDS:g} s"),
        fact(f"{label}: all, gateway in the same process", f"{whole:.2f} s"),
    ]


def run() -> list[Row]:
    """The rows of the page."""
    return asyncio.run(measured(50))


def main() -> int:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=50)
    for row in asyncio.run(measured(parser.parse_args().positions)):
        print(row["name"], row["measured"], row["asked"], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
