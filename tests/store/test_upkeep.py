from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tomic.errors import StoreError
from tomic.store import Bars, Database, VolSeries, schema

NOW = dt.datetime(2026, 11, 20, 21, 5, tzinfo=dt.UTC)


def bars_of(symbol: str, count: int) -> Bars:
    return Bars(symbol, np.datetime64("2020-01-01") + np.arange(count), *[np.ones(count)] * 5)


async def test_info_counts_what_is_there(store, path):
    """Size, version, rows per table, and the span of each series over all symbols."""
    await store.save_bars(bars_of("SPY", 10), bars_of("QQQ", 4))
    await store.save_iv(VolSeries.from_rows("SPY", "ib30", [("2026-11-20", 0.2)]))

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
    await store.save_bars(bars_of("SPY", 10))
    await store.save_entry({"symbol": "SPY"}, event="opened", at=NOW)

    assert await store.check() == []


async def test_check_names_each_thing_that_is_wrong(store, path):
    """A lost table, an unreadable document, a gap in the journal and a dangling reference."""
    await store.save_entry({"symbol": "SPY"}, event="opened", at=NOW)
    await store.save_scan([], as_of=NOW, day=NOW.date())
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE chains")
        db.execute("UPDATE scans SET document = '{'")
        db.execute("UPDATE entries SET revision = 3")
        db.execute("INSERT INTO executions VALUES ('1', 9, '2026-11-20', 'SPY', NULL, '{}', '')")
        db.commit()

    problems = "\n".join(await store.check())

    assert "table chains is missing" in problems
    assert "scans row 1: document is no JSON" in problems
    assert "journal entry 1: revision 3, but 1 changes" in problems
    assert "executions row None: what it refers to in entries is missing" in problems


async def test_check_finds_a_damaged_page(path):
    """A page that was overwritten is found by SQLite's own check or refused on reading."""
    async with Database(path) as store:
        await store.save_bars(bars_of("SPY", 20000))
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
    await store.save_bars(bars_of("SPY", 500))
    target = tmp_path / "copies" / "monday.db"

    size = await store.backup(target)

    assert size == target.stat().st_size
    assert [file.name for file in target.parent.iterdir()] == ["monday.db"]
    async with Database(target) as copy:
        assert await copy.check() == []
        assert len(await copy.load_bars("SPY")) == 500


async def test_a_backup_while_others_write_is_one_moment(path, tmp_path):
    """Each transaction of the writer is in the copy as a whole or not at all."""
    symbols = ("SPY", "QQQ", "IWM")
    target = tmp_path / "copy.db"
    async with Database(path) as reader, Database(path) as writer:
        await writer.save_bars(*(bars_of(symbol, 100) for symbol in symbols))

        async def write() -> None:
            for count in range(101, 140):
                await writer.save_bars(*(bars_of(symbol, count) for symbol in symbols))

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for _ in range(3):
                await reader.backup(target)
                async with Database(target) as copy:
                    found = await copy.load_many_bars(symbols)
                assert len({len(bars) for bars in found.values()}) == 1


async def test_a_backup_never_replaces_something_else(store, path, tmp_path):
    """Only a former backup is replaced: not a file of another kind, nor the store itself."""
    other = tmp_path / "thesis.txt"
    other.write_text("three years of work")
    with pytest.raises(StoreError, match="no store there yet"):
        await store.backup(other)
    await store.save_bars(bars_of("SPY", 5))

    with pytest.raises(StoreError, match="is no backup"):
        await store.backup(other)
    with pytest.raises(StoreError, match="the store itself"):
        await store.backup(path)
    with pytest.raises(StoreError, match="cannot be written"):
        await store.backup(other / "below.db")
    await store.backup(tmp_path / "copy.db")
    await store.backup(tmp_path / "copy.db")

    assert other.read_text() == "three years of work"
