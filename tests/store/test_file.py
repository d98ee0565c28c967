from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading

import numpy as np
import pytest

from tomic.errors import StoreBusy, StoreError
from tomic.store import Bars, Database
from tomic.store.file import Worker

HOLDER = """
import asyncio, sys
from tomic.store import Database

async def hold():
    async with Database(sys.argv[1]) as db, db.run_lock("prices"):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(hold())
"""
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
                await store.history.save_bars(ONE_BAR)

    using = asyncio.create_task(use())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using

    for thread in set(others()) - before:
        thread.join(timeout=60)
    assert set(others()) <= before


async def test_a_connection_that_cannot_be_opened_leaves_no_thread(tmp_path):
    """The error of opening comes out, after the thread has been told to end."""
    before = set(others())

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await Worker.open(lambda: sqlite3.connect(tmp_path))

    for thread in set(others()) - before:
        thread.join(timeout=60)
    assert set(others()) <= before


async def test_a_function_runs_whole(path):
    """What is handed over runs on one thread with the plain connection, in order."""
    worker = await Worker.open(lambda: sqlite3.connect(":memory:"))
    seen = [await worker.call(lambda _: threading.get_ident()) for _ in range(3)]
    found = await worker.call(lambda db: db.execute("SELECT 1").fetchone())
    await worker.stop_within(60)

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

    closing = asyncio.create_task(worker.stop_within(60))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    with pytest.raises(ValueError, match="no active connection"):
        await worker.call(lambda db: db.execute("SELECT 1"))


def plain(path):
    return sqlite3.connect(path, isolation_level=None)


@pytest.mark.parametrize("damage", ["header", "middle"])
async def test_a_damaged_file_is_named_and_kept(path, damage):
    """Damage is reported with file and remedy, and not a byte of the file is changed."""
    async with Database(path) as store:
        await store.history.save_bars(Bars("SPY", np.datetime64("1990-01-01") + np.arange(4000),
                                   *[np.ones(4000)] * 5))  # fmt: skip
    content = bytearray(path.read_bytes())
    where = slice(0, 100) if damage == "header" else slice(4096, len(content) - 4096)
    content[where] = b"\xa5" * len(content[where])
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"store\.db: damaged .* backup"):
        async with Database(path) as store:
            await store.history.bars("SPY")

    assert path.read_bytes() == bytes(content)


async def test_a_write_waits_for_another_program_only_so_long(path):
    """While another program writes, ours waits for the stated time and then says so."""
    async with Database(path, busy_timeout_s=0.05) as store:
        await store.history.save_bars(ONE_BAR)
        other = plain(path)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusy, match=r"0\.05 s") as caught:
            await store.history.save_bars(ONE_BAR)
        other.execute("ROLLBACK")
        other.close()

        assert caught.value.exit_code == 7
        assert await store.history.save_bars(ONE_BAR) == 0


async def test_cancelling_a_write_leaves_it_whole_or_undone(path):
    """A cancelled caller never leaves half a transaction, and the store stays usable."""
    many = Bars("SPY", np.datetime64("1970-01-01") + np.arange(20000), *[np.ones(20000)] * 5)
    async with Database(path) as store:
        await store.history.save_bars(ONE_BAR)
        writing = asyncio.create_task(store.history.save_bars(many))
        await asyncio.sleep(0.005)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

        assert len(await store.history.bars("SPY")) in (1, 20001)


async def test_stores_open_at_once_make_one_schema(path):
    """Several runs that start on an empty folder at the same moment all succeed."""

    async def write(number: int) -> None:
        async with Database(path) as store:
            await store.history.save_bars(
                Bars.from_rows(f"S{number}", [("2026-01-02", *[1.0] * 5)])
            )

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(write(number))

    async with Database(path) as store:
        assert len(await store.history.many_bars([f"S{n}" for n in range(6)])) == 6


async def test_an_operation_takes_only_so_long(path):
    """What is not done within its time is given up, undone, and the store stays usable."""
    many = Bars("SPY", np.datetime64("1970-01-01") + np.arange(30000), *[np.ones(30000)] * 5)
    async with Database(path) as store:
        await store.history.save_bars(ONE_BAR)
        store.operation_timeout_s = 0.001
        with pytest.raises(StoreBusy, match=r"not done within 0\.001 s"):
            await store.history.save_bars(many)
        store.operation_timeout_s = 30.0

        assert len(await store.history.bars("SPY")) in (1, 30000)


async def test_a_closed_store_stays_closed(path):
    """Using a store outside its block is a mistake that is told, not a file left open."""
    store = Database(path)
    with pytest.raises(RuntimeError, match="not open"):
        await store.history.bars("SPY")
    async with store:
        await store.history.save_bars(ONE_BAR)
    await store.close()

    with pytest.raises(RuntimeError, match="not open"):
        await store.history.bars("SPY")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """A file where the folder should be is a StoreError with the setting to change."""
    (tmp_path / "data").write_text("a file")

    with pytest.raises(StoreError, match=r"set store\.path to a folder you own"):
        async with Database(tmp_path / "data" / "store.db") as store:
            await store.history.save_bars(ONE_BAR)


@pytest.mark.parametrize("target", ["gone.db", "store.db"])
async def test_a_link_that_leads_nowhere_is_no_empty_store(tmp_path, target):
    """A dangling link and a link to itself are errors, not a store without entries."""
    path = tmp_path / "store.db"
    path.symlink_to(tmp_path / target)

    with pytest.raises(StoreError, match=r"store\.db: .*set store\.path"):
        async with Database(path):
            pass


async def test_a_folder_in_the_files_place_is_named(tmp_path):
    """A store whose path is a folder cannot be opened, and the message says so."""
    with pytest.raises(StoreError, match="unable to open database file"):
        async with Database(tmp_path):
            pass


async def test_a_missing_table_is_named_with_a_remedy(path):
    """A file of ours that has lost a table says which, and what tells more."""
    async with Database(path) as store:
        await store.history.save_bars(ONE_BAR)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE bars")

        with pytest.raises(StoreError, match="no such table: bars; tomic store check tells"):
            await store.history.bars("SPY")


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
async def test_a_new_store_is_its_owners_alone(tmp_path):
    """So are its folder, its log, its locks and its backups."""
    path = tmp_path / "data" / "x.db"

    async with Database(path) as store, store.run_lock("prices"):
        await store.history.save_bars(ONE_BAR)
        await store.backup(tmp_path / "copy.db")
        made = [path.parent, *path.parent.iterdir(), tmp_path / "copy.db"]
        modes = {one.name: one.stat().st_mode & 0o077 for one in made}

    assert modes.keys() >= {"data", "x.db", "x.db-wal", "x.db-shm", "x.db.prices.lock", "copy.db"}
    assert set(modes.values()) == {0}
