from __future__ import annotations

import asyncio
import datetime as dt
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from tomic.errors import StoreError
from tomic.store import Bars, Database, VolSeries, schema
from tomic.store.journal import SNAPSHOT

NOW = dt.datetime(2026, 11, 20, 21, 5, tzinfo=dt.UTC)
ENTRY = {"symbol": "SPY", "opened_at": NOW.isoformat()}


def bars_of(symbol: str, count: int) -> Bars:
    return Bars(symbol, np.datetime64("2020-01-01") + np.arange(count), *[np.ones(count)] * 5)


async def test_info_counts_what_is_there(store, path):
    """Size, version, rows per table, and the span of each series over all symbols."""
    await store.history.save_bars(bars_of("SPY", 10), bars_of("QQQ", 4))
    await store.history.save_iv(VolSeries.from_rows("SPY", "ib30", [("2026-11-20", 0.2)]))

    info = await store.info()

    assert info.exists
    assert info.schema_version == schema.LATEST
    assert info.size >= path.stat().st_size
    assert set(info.tables) == schema.tables_of(schema.LATEST)
    assert info.tables["bars"] == 14
    bars, levels = info.series
    assert (bars.series, bars.symbols, bars.rows) == ("bars", 2, 14)
    assert (bars.first, bars.last) == (dt.date(2020, 1, 1), dt.date(2020, 1, 10))
    assert (levels.series, levels.first) == ("ib30", dt.date(2026, 11, 20))


async def test_info_of_no_store_makes_none(store, path):
    """A store that does not exist yet is told to be empty and is still not there."""
    info = await store.info()

    assert (info.exists, info.size, info.schema_version, info.series) == (False, 0, 0, ())
    assert not path.exists()


async def test_a_sound_store_has_no_problems(store):
    """A file that only TOMIC wrote passes every check."""
    await store.history.save_bars(bars_of("SPY", 10))
    await store.journal.save(ENTRY, event="opened", at=NOW)

    assert await store.check() == []


async def test_check_names_an_entry_that_cannot_be_read_as_one(store):
    """A document may be JSON and still be no entry: the journal would stumble over it later."""
    await store.journal.save(ENTRY, event="opened", at=NOW)
    shot = {f"{SNAPSHOT}2026-11-20": {"at": "whenever"}}
    await store.journal.save({"symbol": "SPY", "opened_at": "whenever"}, event="x", at=NOW)
    await store.journal.save({**ENTRY, **shot}, event="x", at=NOW)

    first, second = await store.check()

    assert first.startswith("journal entry 2 cannot be read: opened_at: ")
    assert second.startswith("journal entry 3 cannot be read: snapshots.0.")


async def test_check_names_each_thing_that_is_wrong(store, path):
    """A lost table, an unreadable document, a gap in the journal and a dangling reference."""
    await store.journal.save(ENTRY, event="opened", at=NOW)
    await store.scans.save([], as_of=NOW, day=NOW.date())
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE chains")
        db.execute("UPDATE scans SET document = '{'")
        db.execute("DROP TRIGGER entries_revised")
        db.execute("UPDATE entries SET revision = 3")
        db.execute("INSERT INTO executions VALUES ('1', 9, '2026-11-20', 'SPY', NULL, '{}', '')")
        db.commit()

    problems = "\n".join(await store.check())

    assert "table chains is missing" in problems
    assert "scans row 1: document is no JSON" in problems
    assert "journal entry 1: revision 3, but 1 changes" in problems
    assert "trigger entries_revised is missing" in problems
    assert "executions row None: what it refers to in entries is missing" in problems


FORGED = (
    "INSERT OR REPLACE INTO journal_history VALUES (1, 1, 1, '2020', 'opened', '', '{}')",
    "REPLACE INTO journal_history (entry_id, revision, at, event, note, changed)"
    " VALUES (1, 1, '2020', 'opened', '', '{}')",
    "REPLACE INTO entries VALUES (1, 9, NULL, 'QQQ', 'x', 'open', '', NULL, '{}', '{}')",
    "UPDATE entries SET document = '{}'",
    "UPDATE entries SET id = 7",
    "DELETE FROM entries",
    "REPLACE INTO execution_decisions VALUES (1, 'e1', '2020', 'restore', 'me', '')",
)


@pytest.mark.parametrize("statement", FORGED, ids=lambda text: text[:50])
async def test_history_cannot_be_forged(store, path, statement):
    """No statement from outside changes what was written once, REPLACE included."""
    await store.journal.save(ENTRY, event="opened", at=NOW)
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO execution_decisions VALUES (1, 'e1', '2021', 'ignore', 'me', '')")
        db.commit()
        before = list(db.iterdump())

        with pytest.raises(sqlite3.IntegrityError, match=r"only grows|is a revision"):
            db.execute(statement)

        assert list(db.iterdump()) == before
    assert await store.check() == []


async def test_what_is_known_is_not_replaced(store, path):
    """A fill that stands in the store stays as it was first told."""
    await store.journal.save(ENTRY, event="opened", at=NOW)
    with closing(sqlite3.connect(path)) as db:
        row = "('e1', 1, '2026-11-20', 'SPY', NULL, '{}', '')"
        db.execute(f"INSERT INTO executions VALUES {row}")
        db.execute("REPLACE INTO executions VALUES ('e1', NULL, '2020', 'QQQ', NULL, '{1}', 'x')")
        db.commit()

        assert db.execute("SELECT entry_id, symbol FROM executions").fetchall() == [(1, "SPY")]


async def test_check_holds_entries_to_their_history(store, path):
    """What was changed behind the journal's back is named by its keys."""
    await store.journal.save(ENTRY, event="opened", at=NOW)
    await store.journal.save({**ENTRY, "plan": "a"}, event="opened", at=NOW)
    assert await store.check() == []
    with closing(sqlite3.connect(path)) as db:
        (trigger,) = db.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'entries_revised'"
        ).fetchone()
        db.execute("DROP TRIGGER entries_revised")
        db.execute("UPDATE entries SET symbol = 'QQQ' WHERE id = 1")
        db.execute("UPDATE entries SET document = json_set(document, '$.plan', 'b') WHERE id = 2")
        db.execute(trigger)
        db.commit()

    assert await store.check() == [
        "journal entry 1: its history says otherwise (symbol)",
        "journal entry 2: its history says otherwise (plan)",
    ]


async def test_check_finds_a_damaged_page(path):
    """A page that was overwritten is found by SQLite's own check or refused on reading."""
    async with Database(path) as store:
        await store.history.save_bars(bars_of("SPY", 20000))
    content = bytearray(path.read_bytes())
    content[-40960:-8192] = b"\x5a" * 32768
    path.write_bytes(content)

    async with Database(path) as store:
        try:
            found = await store.check()
        except StoreError as exc:
            found = [str(exc)]

    assert found


async def test_a_backup_is_a_whole_store(store, tmp_path):
    """The copy is one file that opens, passes the check and holds the same rows."""
    await store.history.save_bars(bars_of("SPY", 500))
    target = tmp_path / "copies" / "monday.db"

    size = await store.backup(target)

    assert size == target.stat().st_size
    assert [file.name for file in target.parent.iterdir()] == ["monday.db"]
    async with Database(target) as copy:
        assert await copy.check() == []
        assert len(await copy.history.bars("SPY")) == 500


async def test_a_backup_while_others_write_is_one_moment(path, tmp_path):
    """Each transaction of the writer is in the copy as a whole or not at all."""
    symbols = ("SPY", "QQQ", "IWM")
    target = tmp_path / "copy.db"
    async with Database(path) as reader, Database(path) as writer:
        await writer.history.save_bars(*(bars_of(symbol, 100) for symbol in symbols))

        async def write() -> None:
            for count in range(101, 140):
                await writer.history.save_bars(*(bars_of(symbol, count) for symbol in symbols))

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for _ in range(3):
                await reader.backup(target)
                async with Database(target) as copy:
                    found = await copy.history.many_bars(symbols)
                assert len({len(bars) for bars in found.values()}) == 1


async def test_a_backup_never_replaces_something_else(store, path, tmp_path):
    """Only a former backup is replaced: not a file of another kind, nor the store itself."""
    other = tmp_path / "thesis.txt"
    other.write_text("three years of work")
    with pytest.raises(StoreError, match="no store there yet"):
        await store.backup(other)
    await store.history.save_bars(bars_of("SPY", 5))

    with pytest.raises(StoreError, match="is no backup"):
        await store.backup(other)
    with pytest.raises(StoreError, match="the store itself"):
        await store.backup(path)
    with pytest.raises(StoreError, match="cannot be written"):
        await store.backup(other / "below.db")
    await store.backup(tmp_path / "copy.db")
    await store.backup(tmp_path / "copy.db")

    assert other.read_text() == "three years of work"


# -- what lies where a backup goes ---------------------------------------------------------

KILLED_WHILE_OPEN = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA wal_autocheckpoint = 0")
db.execute("INSERT INTO events (at, symbol, kind, detail) VALUES ('now', 'SPY', 'seen', '')")
os.kill(os.getpid(), 9)
"""


async def run_python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own."""
    line = [sys.executable, "-c", code, *map(str, words)]
    return await asyncio.to_thread(
        subprocess.run, line, capture_output=True, text=True, check=False
    )


async def entries_in(path) -> int:
    async with Database(path) as copy:
        assert await copy.check() == []
        return len(await copy.journal.load_all())


async def grow(store, count: int) -> None:
    for _ in range(count):
        await store.journal.save(ENTRY, event="opened", at=NOW)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is killed like this here")
async def test_a_log_of_the_earlier_backup_is_not_taken_for_one_of_the_new(store, tmp_path):
    """A process that was killed while it had the old backup open leaves a log; it goes."""
    target = tmp_path / "b.db"
    await grow(store, 1)
    await store.backup(target)
    await run_python(KILLED_WHILE_OPEN, target)
    assert (tmp_path / "b.db-wal").stat().st_size > 0
    await grow(store, 6)

    await store.backup(target)

    assert sorted(file.name for file in tmp_path.glob("*b.db*")) == ["b.db"]
    assert await entries_in(target) == 7


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
async def test_a_log_without_its_database_goes(store, tmp_path, suffix):
    """The old backup was deleted and its log forgotten: SQLite would take it for the new one's."""
    target, log = tmp_path / "b.db", tmp_path / f"b.db{suffix}"
    await grow(store, 1)
    log.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" * 512)

    await store.backup(target)

    assert not log.exists()
    assert await entries_in(target) == 1


async def test_a_backup_that_somebody_has_open_is_not_replaced(store, tmp_path):
    """Idle, reading or writing: who has the old backup open would mix its log into the new one."""
    target = tmp_path / "b.db"
    await grow(store, 1)
    await store.backup(target)
    before = target.read_bytes()
    await grow(store, 1)

    async with Database(target):
        with pytest.raises(StoreError, match="another program has it open"):
            await store.backup(target)
    with closing(sqlite3.connect(target, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program has it open"):
            await store.backup(target)

    assert await entries_in(target) == 1
    assert len(before) == target.stat().st_size
    await store.backup(target)
    assert await entries_in(target) == 2


async def test_a_store_in_its_own_right_is_never_replaced(store, tmp_path):
    """Another account's store, with or without entries, keeps its place, closed as it is."""
    await grow(store, 2)
    other = tmp_path / "demo.db"
    async with Database(other) as live:
        await live.history.save_bars(bars_of("QQQ", 9))

    with pytest.raises(StoreError, match="a store in its own right"):
        await store.backup(other)
    link = tmp_path / "link.db"
    link.symlink_to(other)
    with pytest.raises(StoreError, match="a store in its own right"):
        await store.backup(link)

    async with Database(other) as live:
        assert len(await live.history.bars("QQQ")) == 9


async def test_a_backup_of_another_store_is_not_replaced(store, tmp_path):
    """What this store does not hold would be gone: the entries of another one, or later ones."""
    target = tmp_path / "b.db"
    async with Database(tmp_path / "other.db") as other:
        await grow(other, 1)
        await other.journal.save({**ENTRY, "symbol": "IWM"}, event="opened", at=NOW)
        await other.backup(target)
    await grow(store, 3)

    with pytest.raises(StoreError, match=r"journal entries that .* does not"):
        await store.backup(target)

    assert await entries_in(target) == 2


async def test_the_store_is_known_behind_links(store, path, tmp_path):
    """A link to the store, soft or hard, and its logs' names are the store itself."""
    await grow(store, 1)
    soft, hard = tmp_path / "soft.db", tmp_path / "hard.db"
    soft.symlink_to(path)
    hard.hardlink_to(path)

    for target in (soft, hard, path.parent / ".." / path.parent.name / path.name):
        with pytest.raises(StoreError, match="the store itself"):
            await store.backup(target)
    for suffix in ("-wal", "-shm", "-journal"):
        with pytest.raises(StoreError, match="name another file"):
            await store.backup(path.with_name(path.name + suffix))
    await grow(store, 1)

    assert await store.check() == []


async def test_a_link_is_followed(store, tmp_path):
    """The file that a link leads to is written; the link stays one."""
    await grow(store, 1)
    (tmp_path / "disk").mkdir()
    link = tmp_path / "b.db"
    link.symlink_to(tmp_path / "disk" / "monday.db")

    await store.backup(link)

    assert link.is_symlink()
    assert await entries_in(tmp_path / "disk" / "monday.db") == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no device files")
async def test_a_device_is_no_place_for_a_backup(store, tmp_path):
    """A pipe is neither waited for nor replaced."""
    await grow(store, 1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(StoreError, match="a device"):
        await store.backup(pipe)

    assert stat.S_ISFIFO(pipe.stat().st_mode)


LIMITED = """
import asyncio, resource, sys
from tomic.errors import StoreError
from tomic.store import Database

async def main():
    async with Database(sys.argv[1]) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096 * 5, resource.RLIM_INFINITY))
        try:
            await store.backup(sys.argv[2])
        except StoreError as exc:
            print(exc)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
async def test_a_full_disk_leaves_the_old_backup(path, tmp_path):
    """No room for the copy: the message names it, the old one opens, nothing half is left."""
    target = tmp_path / "b.db"
    async with Database(path) as store:
        await grow(store, 1)
        await store.backup(target)
        before = target.read_bytes()
        await store.history.save_bars(bars_of("SPY", 3000))

    done = await run_python(LIMITED, path, target)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{target}: cannot be written")
    assert target.read_bytes() == before
    assert [file.name for file in tmp_path.glob("*b.db*")] == ["b.db"]
