from __future__ import annotations

import sqlite3

import pytest

from tomic.errors import SchemaTooNew, StoreError
from tomic.store import Bars, Database, schema

ONE_BAR = Bars.from_rows("SPY", [("2026-01-02", 1.0, 2.0, 0.5, 1.5, 100.0)])


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


async def test_a_migration_that_fails_leaves_no_trace(path):
    """Tables and version number of one migration come together or not at all."""
    path.parent.mkdir()
    db = plain(path)
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("CREATE TABLE option_params (in_the_way)")

    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        schema.migrate(db, "store.db")

    names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema")]
    assert (names, schema.version_of(db)) == (["option_params"], 0)
    db.close()
