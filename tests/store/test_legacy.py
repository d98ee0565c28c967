from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing

import numpy as np

from tomic.models import VolSnapshot
from tomic.store import Bars, Database

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
    bars = await store.load_bars("S1")
    assert bars.close[0] == 100.0 + 252 / 7
    assert np.isnan(bars.high).all()
    assert (await store.coverage("S1"))["bars"].close_only == 252
    (snapshot,) = await store.load_snapshots("S3")
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
        assert len(await store.load_bars("S15")) == 252
        assert len(await store.load_snapshots("S15")) == 1
        again = await store.import_file(path)
        assert (again.counts["price rows"], again.counts["new bars"]) == (4032, 0)

    assert rows_of(path, "PriceHistory") == before


async def test_an_import_never_replaces_what_the_store_knows(store, tmp_path):
    """A full bar of ours is kept where the original has only a close."""
    mine = Bars.from_rows("S0", [(FIRST, 1.0, 2.0, 0.5, 1.5, 10.0)])
    await store.save_bars(mine)

    result = await store.import_legacy(original(tmp_path / "volatility.db", prices=10))

    assert result.counts["new bars"] == 9
    assert (await store.load_bars("S0", until=FIRST)).close.tolist() == [1.5]


async def test_unknown_columns_and_dates_are_kept(store, path, tmp_path):
    """A column we do not know and a date that is none stay word for word."""
    file = original(tmp_path / "volatility.db", prices=2, stats=0, columns=", source TEXT")
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE PriceHistory SET source = 'polygon'")
        db.execute("INSERT INTO PriceHistory VALUES ('S0', 'gisteren', 5.0, 'veel', 1.5, NULL)")
        db.commit()

    result = await store.import_legacy(file)

    assert result.counts["rows without a readable date"] == 1
    assert result.counts["new bars"] == 2
    kept = rows_of(path, "legacy_price_history")
    assert kept[0][-1] == '{"source":"polygon"}'
    assert kept[-1] == ("S0", "gisteren", 5.0, "veel", 1.5, '{"source":null}')
