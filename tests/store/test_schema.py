""""""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tomic.errors import SchemaTooNew, StoreError
from tomic.models import VolSnapshot
from tomic.store import Bars, Database, Decision, UnreadRow, schema

FIRST = dt.date(2024, 5, 20)


def original(path, *, prices: int = 4032, stats: int = 16, columns: str = ""):
    """Write a volatility.db as the original made it: sixteen symbols of 252 days."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE PriceHistory (symbol TEXT NOT NULL, date TEXT NOT NULL,"
            f" close REAL NOT NULL, volume INTEGER, atr REAL{columns}, PRIMARY KEY (symbol, date))"
        )
        db.execute(
            "CREATE TABLE VolStats (symbol TEXT NOT NULL, date TEXT NOT NULL, iv REAL, hv30 REAL,"
            " hv60 REAL, hv90 REAL, iv_rank REAL, iv_percentile REAL, PRIMARY KEY (symbol, date))"
        )
        for n in range(prices):
            day = FIRST + dt.timedelta(days=n % 252)
            db.execute(
                "INSERT INTO PriceHistory (symbol, date, close, volume) VALUES (?, ?, ?, ?)",
                (f"S{n // 252}", day.isoformat(), 100.0 + n / 7, n),
            )
        for n in range(stats):
            db.execute(
                "INSERT INTO VolStats VALUES (?, '2025-05-16', NULL, ?, 20.5, NULL, NULL, NULL)",
                (f"S{n}", 18.0 + n),
            )
        db.commit()
    return path


def rows_of(path, table):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY symbol, date").fetchall()


async def test_the_original_imports_without_loss(store, path, tmp_path):
    """All 4032 prices and 16 rows of volatility arrive; a second import adds nothing."""
    file = original(tmp_path / "volatility.db")

    first = await store.import_file(file)
    second = await store.import_file(file)

    assert first.counts["price rows"] == second.counts["price rows"] == 4032
    assert first.counts["volatility rows"] == 16
    assert (first.counts["new bars"], first.counts["new snapshots"]) == (4032, 16)
    assert (second.counts["new bars"], second.counts["new snapshots"]) == (0, 0)
    for table, home in (("PriceHistory", "legacy_price_history"), ("VolStats", "legacy_vol_stats")):
        assert [row[:-1] for row in rows_of(path, home)] == rows_of(file, table)
    bars = await store.history.bars("S1")
    assert bars.close[0] == 100.0 + 252 / 7
    assert np.isnan(bars.high).all()
    assert (await store.history.coverage("S1"))["bars"].close_only == 252
    (snapshot,) = await store.history.snapshots("S3")
    assert snapshot == VolSnapshot(
        symbol="S3",
        as_of=dt.datetime(2025, 5, 16, tzinfo=dt.UTC),
        hv30=0.21,
        hv60=0.205,
        sources={"hv30": "original", "hv60": "original"},
    )


async def test_the_original_in_the_stores_own_place_is_taken_over(path):
    """Pointing the store at the original's file keeps its tables and brings in their rows."""
    original(path)
    before = rows_of(path, "PriceHistory")

    async with Database(path) as store:
        assert len(await store.history.bars("S15")) == 252
        assert len(await store.history.snapshots("S15")) == 1
        again = await store.import_file(path)
        assert (again.counts["price rows"], again.counts["new bars"]) == (4032, 0)

    assert rows_of(path, "PriceHistory") == before


async def test_an_import_never_replaces_what_the_store_knows(store, tmp_path):
    """A full bar of ours is kept where the original has only a close."""
    mine = Bars.from_rows("S0", [(FIRST, 1.0, 2.0, 0.5, 1.5, 10.0)])
    await store.history.save_bars(mine)

    result = await store.import_file(original(tmp_path / "volatility.db", prices=10))

    assert result.counts["new bars"] == 9
    assert (await store.history.bars("S0", until=FIRST)).close.tolist() == [1.5]


async def test_unknown_columns_and_dates_are_kept(store, path, tmp_path):
    """A column we do not know and a date that is none stay word for word."""
    file = original(tmp_path / "volatility.db", prices=2, stats=0, columns=", source TEXT")
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE PriceHistory SET source = 'polygon'")
        db.execute("INSERT INTO PriceHistory VALUES ('S0', 'gisteren', 5.0, 'veel', 1.5, NULL)")
        db.commit()

    result = await store.import_file(file)

    assert result.counts["rows without a readable date"] == 1
    assert result.counts["new bars"] == 2
    kept = rows_of(path, "legacy_price_history")
    assert kept[0][-1] == '{"source":"polygon"}'
    assert kept[-1] == ("S0", "gisteren", 5.0, "veel", 1.5, '{"source":null}')


NOW = dt.datetime(2026, 11, 20, 16, 5, tzinfo=dt.UTC)
BEFORE = 7
"""Schema of the program that stored executions before it looked at them."""
OPTION = {"expiry": "2025-06-20", "strike": 560.0, "right": "P", "multiplier": 100}


def execution(quantity: float = -1.0, price: float = 3.1, **contract: object) -> dict:
    return {
        "contract": {**OPTION, **contract},
        "quantity": quantity,
        "price": price,
        "commission": 0.65,
        "order": "1",
        "action": None,
    }


POISON = {
    "none": execution(0.0),
    "nan": execution(math.nan),
    "infinite": execution(-math.inf),
    "negative": execution(price=-3.1),
    "priceless": execution(price=math.nan),
    "absurd": execution(strike=1e308),
    "empty": {},
}
FILL = {**OPTION, "quantity": -1.0, "price": 3.0}


def old_store(path, executions=(), entries=()):
    """A file as the earlier program wrote it."""
    path.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    for number in range(1, BEFORE + 1):
        schema._apply(db, number)
    for exec_id, document, entry in executions:
        db.execute(
            "INSERT INTO executions VALUES (?, ?, ?, 'SPY', NULL, ?)",
            (exec_id, entry, "2025-05-19T14:30:00.000000+00:00", json.dumps(document)),
        )
    for number, (summary, document) in enumerate(entries, start=1):
        db.execute(
            "INSERT INTO entries VALUES (?, 1, NULL, 'SPY', 'x', 'open', '2025', NULL, ?, ?)",
            (number, json.dumps(summary), json.dumps(document)),
        )
    db.close()


async def test_executions_that_are_none_get_their_reason(path):
    """Each says why it waits; sound ones, and those in an entry, say nothing."""
    rows = [(name, document, None) for name, document in POISON.items()]
    old_store(path, [*rows, ("sound", execution(), None)])

    async with Database(path) as store:
        reasons = {one.exec_id: one.reason for one in await store.journal.executions(unlinked=True)}

    assert reasons.pop("sound") == ""
    assert set(reasons) == set(POISON)
    assert all(reasons.values())
    assert reasons["none"] == "a quantity of 0 is no trade"


async def test_marks_of_before_the_last_trade_leave_the_list(path):
    """After an assignment the P&L, the expiry and the legs of before are told by no summary."""
    opened = {"at": "2025-05-19T15:00:00Z", "fills": [FILL]}
    assigned = {
        "at": "2025-05-29T11:00:00-04:00",
        "fills": [{**FILL, "quantity": 1.0}, {"multiplier": 1, "quantity": 100.0, "price": 560.0}],
    }
    summary = {"pnl": 106.35, "pnl_at": "2025-05-29T14:59:00+00:00", "expiry": "2025-06-20"}
    later = {**summary, "pnl_at": "2025-05-29T15:01:00+00:00"}
    trades = {"trades": [opened, assigned]}
    old_store(path, entries=[
        (summary, trades), (later, trades), (summary, {"trades": [opened]}),
    ])  # fmt: skip

    async with Database(path) as store:
        found = [one["summary"] for one in await store.journal.summaries()]

    assert found[0] == {"legs_changed": True}
    assert found[1] == {"pnl": 106.35, "pnl_at": later["pnl_at"], "legs_changed": True}
    assert found[2] == summary


async def test_rows_and_decisions_only_grow(path, store):
    """Neither can be deleted, and what was decided cannot be written over."""
    row = UnreadRow("row-1", NOW, "x.csv", 2, "Symbol", "SPY", "quantity is missing")
    assert await store.journal.save_unread_rows([row, row]) == 1
    assert await store.journal.save_unread_rows([row]) == 0
    decisions = [Decision("row-1", NOW, word, "anna", "why") for word in ("ignore", "restore")]
    await store.journal.save_decisions(decisions)

    assert await store.journal.unread_rows() == [row]
    assert await store.journal.decisions() == {"row-1": decisions}
    db = sqlite3.connect(path)
    for statement in (
        "DELETE FROM unread_rows",
        "DELETE FROM execution_decisions",
        "UPDATE execution_decisions SET who = 'nobody'",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            db.execute(statement)
    db.close()
    await store.journal.resolve_unread_rows({"row-1": "e1"})
    assert await store.journal.unread_rows() == []


async def test_an_execution_is_placed_once(store):
    """Of two runs that place one execution the second writes nothing."""
    from tomic.store import Execution

    await store.journal.save_executions([Execution("e1", NOW, "SPY", None, execution())])
    parts = [({"symbol": "SPY"}, ["e1"])]

    first = await store.journal.place_executions(parts, event="executions", at=NOW)
    second = await store.journal.place_executions(parts, event="executions", at=NOW)

    assert (first, second) == ([(1, 1)], None)
    assert len(await store.journal.load_all()) == 1


ONE_BAR = Bars.from_rows("SPY", [("2026-01-02", 1.0, 2.0, 0.5, 1.5, 100.0)])


def plain(path):
    return sqlite3.connect(path, isolation_level=None)


def test_a_new_file_waits_for_the_disk_but_once():
    """All migrations are one transaction: each of their own took a hundred milliseconds in all."""
    statements: list[str] = []
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.set_trace_callback(statements.append)
        schema.migrate(db, "new")

        assert schema.version_of(db) == schema.LATEST
    assert statements.count("COMMIT") == 1


def test_a_migration_that_fails_leaves_what_was_there():
    """Nothing of the steps before it stays, nor their number."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema._apply(db, 3)
        before = db.execute("SELECT name FROM sqlite_schema").fetchall()
        # A table of its name is in the way of a later step.
        db.execute("CREATE TABLE surfaces (symbol TEXT)")

        with pytest.raises(sqlite3.OperationalError, match="surfaces already exists"):
            schema.migrate(db, "in the way")

        db.execute("DROP TABLE surfaces")
        assert schema.version_of(db) == 3
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == before


async def test_migrating_again_changes_nothing(path):
    """Opening an up-to-date file leaves its schema and version as they are."""
    async with Database(path) as db:
        await db.history.save_bars(ONE_BAR)
    with_first = path.read_bytes()

    async with Database(path) as db:
        assert len(await db.history.bars("SPY")) == 1

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
        await store.history.save_bars(ONE_BAR)

    db = plain(path)
    assert schema.version_of(db) == schema.LATEST
    db.close()


async def test_a_newer_file_is_refused(path):
    """A file of a later version is neither read nor written."""
    async with Database(path) as db:
        await db.history.save_bars(ONE_BAR)
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
            await store.history.save_bars(ONE_BAR)

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


async def test_triggers_that_somebody_dropped_come_back(path):
    """What guards the journal is made anew with the migration that adds to it."""
    path.parent.mkdir()
    db = plain(path)
    for number in range(1, schema._GUARDED):
        schema._apply(db, number)
    db.execute("DROP TRIGGER entries_delete_refused")
    db.close()

    async with Database(path) as store:
        assert await store.check() == []

    db = plain(path)
    made = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    assert made == schema.triggers_of(schema.LATEST)
    db.close()


def test_what_stands_in_for_a_file_is_a_new_one():
    """A copy in memory has the tables, rules and numbers of a file that was migrated."""

    def told(fill):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            fill(db)
            names = ("application_id", "user_version")
            numbers = [db.execute(f"PRAGMA {name}").fetchone() for name in names]
            rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
            return numbers, rows.fetchall()

    migrated = told(lambda db: schema.migrate(db, "new"))

    assert told(schema.fill_stand_in) == told(schema.fill_stand_in) == migrated
    assert len(migrated[1]) > 60
