from __future__ import annotations

import asyncio
import sqlite3
import sys

import numpy as np
import pytest

from tomic.errors import SchemaTooNew, StoreBusy, StoreError
from tomic.store import Bars, Database, schema

ONE_BAR = Bars.from_rows("SPY", [("2026-01-02", 1.0, 2.0, 0.5, 1.5, 100.0)])

HOLDER = """
import asyncio, sys
from tomic.store import Database

async def hold():
    async with Database(sys.argv[1]) as db, db.run_lock("prices"):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(hold())
"""


def plain(path):
    return sqlite3.connect(path, isolation_level=None)


async def test_migrating_again_changes_nothing(path):
    """Opening an up-to-date file leaves its schema and version as they are."""
    async with Database(path) as db:
        await db.save_bars(ONE_BAR)
    with_first = path.read_bytes()

    async with Database(path) as db:
        assert len(await db.load_bars("SPY")) == 1

    assert path.read_bytes() == with_first


@pytest.mark.parametrize("version", range(schema.LATEST))
async def test_an_older_file_is_brought_up_to_date(path, version):
    """From every earlier version the rest of the migrations is applied."""
    path.parent.mkdir()
    db = plain(path)
    for number in range(1, version + 1):
        schema._apply(db, number)
    db.close()

    async with Database(path) as store:
        await store.save_bars(ONE_BAR)

    db = plain(path)
    assert schema.version_of(db) == schema.LATEST
    db.close()


async def test_a_newer_file_is_refused(path):
    """A file of a later version is neither read nor written."""
    async with Database(path) as db:
        await db.save_bars(ONE_BAR)
    db = plain(path)
    db.execute(f"PRAGMA user_version = {schema.LATEST + 1}")
    db.close()

    with pytest.raises(SchemaTooNew, match="upgrade TOMIC"):
        async with Database(path):
            pass


async def test_a_file_of_another_program_is_left_alone(path):
    """A SQLite file with tables that are not ours is never given ours."""
    path.parent.mkdir()
    db = plain(path)
    db.execute("CREATE TABLE bookmarks (url)")
    db.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="another program"):
        async with Database(path) as store:
            await store.save_bars(ONE_BAR)

    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["header", "middle"])
async def test_a_damaged_file_is_named_and_kept(path, damage):
    """Damage is reported with file and remedy, and not a byte of the file is changed."""
    async with Database(path) as store:
        await store.save_bars(Bars("SPY", np.datetime64("1990-01-01") + np.arange(4000),
                                   *[np.ones(4000)] * 5))  # fmt: skip
    content = bytearray(path.read_bytes())
    where = slice(0, 100) if damage == "header" else slice(4096, len(content) - 4096)
    content[where] = b"\xa5" * len(content[where])
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"store\.db: damaged .* backup"):
        async with Database(path) as store:
            await store.load_bars("SPY")

    assert path.read_bytes() == bytes(content)


async def test_a_write_waits_for_another_program_only_so_long(path):
    """While another program writes, ours waits for the stated time and then says so."""
    async with Database(path, busy_timeout_s=0.05) as store:
        await store.save_bars(ONE_BAR)
        other = plain(path)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusy, match=r"0\.05 s") as caught:
            await store.save_bars(ONE_BAR)
        other.execute("ROLLBACK")
        other.close()

        assert caught.value.exit_code == 7
        assert await store.save_bars(ONE_BAR) == 0


async def test_cancelling_a_write_leaves_it_whole_or_undone(path):
    """A cancelled caller never leaves half a transaction, and the store stays usable."""
    many = Bars("SPY", np.datetime64("1970-01-01") + np.arange(20000), *[np.ones(20000)] * 5)
    async with Database(path) as store:
        await store.save_bars(ONE_BAR)
        writing = asyncio.create_task(store.save_bars(many))
        await asyncio.sleep(0.005)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

        assert len(await store.load_bars("SPY")) in (1, 20001)


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


async def test_stores_open_at_once_make_one_schema(path):
    """Several runs that start on an empty folder at the same moment all succeed."""

    async def write(number: int) -> None:
        async with Database(path) as store:
            await store.save_bars(Bars.from_rows(f"S{number}", [("2026-01-02", *[1.0] * 5)]))

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(write(number))

    async with Database(path) as store:
        assert len(await store.load_many_bars([f"S{n}" for n in range(6)])) == 6
