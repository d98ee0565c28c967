"""`store restore`: a backup takes the store's place, and nothing that was there is lost."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sqlite3
import sys
from contextlib import closing

import pytest

from tomic.errors import StoreError
from tomic.store import Database

NOW = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)
ENTRY = {"symbol": "SPY", "strategy": "short_put", "status": "open", "opened_at": NOW.isoformat()}


async def plan(path, text):
    """A store with an entry whose plan says *text*."""
    async with Database(path) as store:
        await store.journal.save({**ENTRY, "plan": text}, event="opened", at=NOW)


async def plans(path):
    async with Database(path) as store:
        return [one.get("plan") for one in await store.journal.load_all()]


@pytest.fixture
async def saved(path, tmp_path):
    """A backup with one entry of a store that has two by now."""
    await plan(path, "first")
    async with Database(path) as store:
        await store.backup(tmp_path / "copy.db")
    await plan(path, "second")
    return tmp_path / "copy.db"


async def test_a_backup_takes_the_stores_place(path, saved):
    """The store is what the backup holds, the former one lies beside it, and both are whole."""
    done = await Database(path).restore(saved)

    assert done.lost == ("journal entries (1)",)
    assert await plans(path) == ["first"]
    assert done.aside is not None
    assert await plans(done.aside) == ["first", "second"]
    async with Database(path) as store:
        # It is a store again, which no later backup may replace.
        with pytest.raises(StoreError, match="itself"):
            await store.backup(path)
    assert [one for one in path.parent.iterdir() if one.name.endswith(".part")] == []


async def test_where_there_is_no_store_it_becomes_one(tmp_path, saved):
    """A restore on a new computer makes the folder, its owner's alone."""
    other = tmp_path / "new" / "x.db"

    done = await Database(other).restore(saved)

    assert (done.aside, done.lost) == (None, ())
    assert await plans(other) == ["first"]
    assert os.name == "nt" or other.parent.stat().st_mode & 0o077 == 0


async def test_a_damaged_store_is_kept_too(path, saved):
    """What cannot be read is set aside as it is, its log with it."""
    content = b"SQLite format 3\0" + os.urandom(4096)
    path.write_bytes(content)
    path.with_name(f"{path.name}-wal").write_bytes(b"log")

    done = await Database(path).restore(saved)

    assert await plans(path) == ["first"]
    assert done.aside is not None and done.aside.read_bytes() == content
    assert done.aside.with_name(f"{done.aside.name}-wal").read_bytes() == b"log"


def forged(copy):
    with closing(sqlite3.connect(copy)) as db:
        db.execute("DROP TRIGGER entries_revised")
        db.execute("UPDATE entries SET document = json_set(document, '$.plan', 'x')")
        db.commit()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda copy: copy.write_bytes(copy.read_bytes()[:5000]),
            "cannot be read as a backup|sound",
        ),
        (lambda copy: copy.write_text("no store"), "cannot be read as a backup"),
        (lambda copy: copy.unlink(), "no such backup"),
        (forged, "is not sound: trigger entries_revised is missing.*and 1 more"),
    ],
)
async def test_what_is_no_sound_backup_replaces_nothing(path, saved, spoil, message):
    """The store stays as it is, to the byte, and nothing is left beside it."""
    spoil(saved)
    before = {one.name: one.read_bytes() for one in path.parent.iterdir()}

    with pytest.raises(StoreError, match=message):
        await Database(path).restore(saved)

    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == before


async def test_a_store_in_use_is_not_replaced(path, saved):
    """Another program that has it open would go on writing into a file that nobody finds."""
    async with Database(path) as store:
        await store.journal.load_all()

        with pytest.raises(StoreError, match="another program has it open"):
            await Database(path).restore(saved)

        assert len(await store.journal.load_all()) == 2
    assert await plans(path) == ["first", "second"]


RESTORER = """
import asyncio, sys
from tomic.store import Database

async def main():
    print("ready", flush=True)
    while True:
        await Database(sys.argv[1]).restore(sys.argv[2])

asyncio.run(main())
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL does not exist on Windows")
async def test_killed_at_any_moment_there_is_a_whole_store(path, saved):
    """It is the former one or the restored one, and store check says that it is sound."""
    for turn in range(5):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RESTORER, str(path), str(saved)), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(0.003 + 0.011 * turn)
        process.kill()
        await process.wait()
        async with Database(path) as store:
            assert await store.check() == []
            assert len(await store.journal.load_all()) in (1, 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
async def test_what_is_no_file_is_not_replaced(saved, tmp_path):
    """A pipe, a folder or a device in the store's place was not meant to become a store."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    for name in ("pipe", "folder"):
        with pytest.raises(StoreError, match="is a folder or a device"):
            await Database(tmp_path / name).restore(saved)

    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "folder").is_dir()
