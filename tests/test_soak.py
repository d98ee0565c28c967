"""Two hundred chains in one process under random faults: nothing grows, nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import tracemalloc

import pytest

from support import virtual_time
from support.simulated import gateway_with, settings
from tomic.errors import TomicError
from tomic.ib.session import Session
from tomic.sim import faults
from tomic.workflows.chain.fetch import fetch_chain
from tomic.workflows.chain.setup import ChainRequest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

CHAINS, WARM = 200, 20
RULES = {"monthlies": 1, "weeklies": 1, "strike_range": "1.5"}
FAULTS = (
    "silent:share=0.1",
    "silent:share=0.3,first_n=1",
    "late:share=0.2,seconds=1.5",
    "no_greeks:share=0.3",
    "no_quotes:share=0.2",
    "refuse:code=321,share=0.1",
    "not_subscribed:share=0.2",
    "late_ticks:seconds=0.3",
    "pacing_strike:at=12",
    "lines_taken:lines=95",
    "drop_after:messages=20",
    "drop_after_rows:rows=4",
    "connectivity_lost:after=15",
    "connectivity_lost:after=15,code=1101",
    "farm_broken:after=15",
    "garble:after=15,whole_frame=true",
    "restart:after=25,down_for=1",
)


def test_two_hundred_chains_under_random_faults():
    """Memory within a tenth of what it was after twenty, no task or line left, the pace kept."""
    rng = random.Random(1)

    async def scenario():
        given, sizes, rows = settings(chain=RULES), [], 0
        clock = asyncio.get_running_loop().time
        async with gateway_with() as gateway:
            ib = given.ib.model_copy(update={"port": gateway.port})
            for number in range(CHAINS):
                gateway.clear()
                for text in rng.sample(FAULTS, rng.choice((0, 1, 1, 2))):
                    gateway.add(faults.parse(text))
                deadline = clock() + 30.0
                try:
                    async with Session(ib, given.limits, deadline=deadline) as session:
                        chain = await fetch_chain(
                            ChainRequest(session, "SPY", given, deadline=deadline)
                        )
                        rows += len(chain)
                except TomicError:
                    pass
                await asyncio.sleep(2.0)
                assert clock() <= deadline + 4.0
                assert len(asyncio.all_tasks()) == 1
                if number >= WARM:
                    gc.collect()
                    sizes.append(tracemalloc.get_traced_memory()[0])
            return sizes, rows, gateway.leaked, gateway.client_ids(), gateway.peak_messages()

    # pytest keeps every log record until the test ends, which is growth of its own.
    logging.disable(logging.CRITICAL)
    tracemalloc.start()
    try:
        sizes, rows, leaked, clients, peak = virtual_time.run(scenario)
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)

    early, late = sorted(sizes[:20])[10], sorted(sizes[-20:])[10]
    print(f"\n{rows} rows; memory {early / 1e6:.1f} MB, then {late / 1e6:.1f} MB; peak {peak}/s")
    assert late == pytest.approx(early, rel=0.1)
    assert (leaked, clients) == (0, set())
    assert peak <= 50
