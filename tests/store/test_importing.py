from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tomic.errors import BadFile
from tomic.models import VolSnapshot
from tomic.store import Bars, Database, Dividend, Earnings

FIRST = dt.date(2024, 5, 20)
TODAY = dt.date(2026, 11, 20)


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


async def test_files_are_recognised_by_what_is_in_them(store, tmp_path):
    """A CSV with an amount is dividends, one without is earnings, whatever the file is called."""
    earnings = tmp_path / "a.txt"
    earnings.write_text("\ufeffSymbol;Report Date\naapl;2027-01-28\n\nBRK.B;20270220\n", "utf-8")
    dividends = tmp_path / "b.txt"
    dividends.write_text("ticker;ex-date;amount\nSPY;2026-12-18;1,95\n")

    first = await store.import_file(earnings)
    second = await store.import_file(dividends)

    assert (first.kind, second.kind) == ("earnings", "dividends")
    assert await store.load_earnings(["AAPL", "BRK.B"], since=TODAY) == {
        "AAPL": [Earnings("AAPL", dt.date(2027, 1, 28), "csv")],
        "BRK.B": [Earnings("BRK.B", dt.date(2027, 2, 20), "csv")],
    }
    assert await store.load_dividends(["SPY"], since=TODAY) == {
        "SPY": [Dividend("SPY", dt.date(2026, 12, 18), 1.95, "csv")]
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "columns not recognised"),
        (b"name,colour\nSPY,blue\n", "it can be the original's volatility.db"),
        (b"symbol,date\n", "no rows"),
        (b"symbol,date\nSPY,someday\n", ":2: Invalid isoformat"),
        (b"symbol,date\nSPY\n", ":2: fewer columns"),
        (b"symbol,date\nS P Y,2026-01-01\n", ":2: 'S P Y' is not a ticker"),
        (b"symbol,date,amount\nSPY,2026-01-01,-3\n", ":2: an amount must be >= 0"),
        (b"symbol,date,amount\nSPY,2026-01-01,nan\n", ":2: an amount must be >= 0"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b'[{"TradeID": "1"}]', "tomic journal import"),
        (b"SQLite format 3\x00 and then nonsense", "a SQLite file was expected"),
    ],
)
async def test_an_unknown_file_is_refused_with_the_kinds(store, path, tmp_path, content, message):
    """The refusal says what was expected, and where a line is wrong, which one."""
    file = tmp_path / "file"
    file.write_bytes(content)

    with pytest.raises(BadFile, match="(?s)" + message.replace("(", r"\(")):
        await store.import_file(file)


async def test_other_databases_are_refused(store, tmp_path):
    """Neither a store of ours nor a file of another program passes for the original."""
    async with Database(tmp_path / "own.db") as own:
        await own.record_event("SPY", dt.datetime.now(dt.UTC), "test", "")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE bookmarks (url)")

    with pytest.raises(BadFile, match="a store of TOMIC itself"):
        await store.import_file(tmp_path / "own.db")
    with pytest.raises(BadFile, match="without PriceHistory"):
        await store.import_file(tmp_path / "other.db")
    with pytest.raises(BadFile, match="no such file"):
        await store.import_file(tmp_path / "absent.db")
