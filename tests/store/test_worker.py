from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from tomic.store import Bars, Database
from tomic.store.worker import Worker

ONE_BAR = Bars.from_rows("SPY", [("2026-01-02", 1.0, 2.0, 0.5, 1.5, 100.0)])


def others() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one is not threading.main_thread()]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_cancelling_at_any_moment_leaves_no_thread(path, turns):
    """However early or late a run is cancelled, its thread ends and its file is closed."""
    before = set(others())

    async def use() -> None:
        async with Database(path) as store, store.run_lock("prices"):
            while True:
                await store.save_bars(ONE_BAR)

    using = asyncio.create_task(use())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using

    for thread in set(others()) - before:
        thread.join(timeout=5)
    assert set(others()) <= before


async def test_a_connection_that_cannot_be_opened_leaves_no_thread(tmp_path):
    """The error of opening comes out, after the thread has been told to end."""
    before = set(others())

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await Worker.open(lambda: sqlite3.connect(tmp_path))

    for thread in set(others()) - before:
        thread.join(timeout=5)
    assert set(others()) <= before


async def test_a_function_runs_whole(path):
    """What is handed over runs on one thread with the plain connection, in order."""
    worker = await Worker.open(lambda: sqlite3.connect(":memory:"))
    seen = [await worker.call(lambda _: threading.get_ident()) for _ in range(3)]
    found = await worker.call(lambda db: db.execute("SELECT 1").fetchone())
    await worker.stop_within(5)

    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()
    assert found == (1,)


async def test_a_statement_that_never_ends_is_interrupted():
    """Closing waits only so long for what is running; its caller hears of the interruption."""
    begun = threading.Event()
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT i FROM n) SELECT count(*) FROM n"
    )

    def run(db: sqlite3.Connection) -> object:
        db.create_function("begun", 0, begun.set)
        return db.execute(endless).fetchone()

    worker = await Worker.open(lambda: sqlite3.connect(":memory:"))
    running = asyncio.create_task(worker.call(run))
    assert await asyncio.to_thread(begun.wait, 30)
    await worker.stop_within(0.01)

    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await running


async def test_closing_finishes_also_when_it_is_cancelled():
    """Who is cancelled while closing still leaves a closed connection behind."""
    worker = await Worker.open(lambda: sqlite3.connect(":memory:"))

    closing = asyncio.create_task(worker.stop_within(5))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    with pytest.raises(ValueError, match="no active connection"):
        await worker.call(lambda db: db.execute("SELECT 1"))
