from __future__ import annotations

import asyncio
import sys

import pytest

from tomic.errors import StoreBusy, StoreError
from tomic.store import Database

HOLDER = """
import asyncio, sys
from tomic.store import Database

async def hold():
    async with Database(sys.argv[1]) as db, db.run_lock("prices"):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(hold())
"""


async def test_a_run_lock_is_exclusive(path):
    """Two runs of one name exclude each other; other names and later runs do not wait."""
    async with Database(path) as one, Database(path) as two:
        async with one.run_lock("prices"):
            with pytest.raises(StoreBusy, match=r"'prices' \(process \d+ .* after 0 s"):
                async with two.run_lock("prices", wait_s=0):
                    pass
            async with two.run_lock("scan", wait_s=0):
                pass
        async with two.run_lock("prices", wait_s=0):
            pass


async def test_a_run_lock_ends_with_its_process(path):
    """A killed process leaves no lock behind."""
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert await holder.stdout.readline() == b"held\n"
    async with Database(path) as store:
        with pytest.raises(StoreBusy):
            async with store.run_lock("prices", wait_s=0):
                pass
        holder.kill()
        await holder.wait()
        async with store.run_lock("prices", wait_s=0):
            pass


async def test_a_waiting_run_gets_the_lock_when_it_is_free(path):
    """A run that waits goes on as soon as the other one has finished."""
    order = []

    async def second(store: Database) -> None:
        async with store.run_lock("prices", wait_s=30):
            order.append("second")

    async with Database(path) as one, Database(path) as two:
        async with one.run_lock("prices"):
            waiting = asyncio.create_task(second(two))
            await asyncio.sleep(0.05)
            order.append("first")
        await waiting

    assert order == ["first", "second"]


async def test_a_cancelled_wait_leaves_no_lock(path):
    """A run that was cancelled while it waited never holds the lock afterwards."""

    async def wait(store: Database) -> None:
        async with store.run_lock("prices", wait_s=30):
            raise AssertionError("the lock was not free")

    async with Database(path) as one, Database(path) as two:
        async with one.run_lock("prices"):
            waiting = asyncio.create_task(wait(two))
            await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with one.run_lock("prices", wait_s=0):
            pass


async def test_a_lock_that_cannot_be_made_is_said(path):
    """A folder in the place of the lock file is named in the error."""
    (path.parent / f"{path.name}.prices.lock").mkdir(parents=True)

    async with Database(path) as store:
        with pytest.raises(StoreError, match=r"prices\.lock: cannot be locked"):
            async with store.run_lock("prices"):
                pass
