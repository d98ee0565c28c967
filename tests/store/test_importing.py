from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing

import pytest

from tomic.errors import BadFile
from tomic.store import Database, Dividend, Earnings

TODAY = dt.date(2026, 11, 20)


async def test_files_are_recognised_by_what_is_in_them(store, tmp_path):
    """A CSV with an amount is dividends, one without is earnings, whatever the file is called."""
    earnings = tmp_path / "a.txt"
    earnings.write_text("\ufeffSymbol;Report Date\naapl;2027-01-28\n\nBRK.B;20270220\n", "utf-8")
    dividends = tmp_path / "b.txt"
    dividends.write_text("ticker;ex-date;amount\nSPY;2026-12-18;1,95\n")

    first = await store.import_file(earnings)
    second = await store.import_file(dividends)

    assert (first.kind, second.kind) == ("earnings", "dividends")
    assert await store.calendar.earnings(["AAPL", "BRK.B"], since=TODAY) == {
        "AAPL": [Earnings("AAPL", dt.date(2027, 1, 28), "csv")],
        "BRK.B": [Earnings("BRK.B", dt.date(2027, 2, 20), "csv")],
    }
    assert await store.calendar.dividends(["SPY"], since=TODAY) == {
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


async def test_names_of_columns_are_names(store, tmp_path):
    """A column that another program called oddly is kept, and never part of a statement."""
    odd = 'x" FROM sqlite_master; --'
    quoted = odd.replace('"', '""')
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        db.execute(f'CREATE TABLE PriceHistory (symbol, date, close REAL, "{quoted}")')
        db.execute("INSERT INTO PriceHistory VALUES ('SPY', '2026-11-19', 590.0, 'more')")
        db.commit()

    found = await store.import_file(tmp_path / "old.db")

    assert found.counts
    assert (await store.history.coverage("SPY")).keys()


async def test_other_databases_are_refused(store, tmp_path):
    """Neither a store of ours nor a file of another program passes for the original."""
    async with Database(tmp_path / "own.db") as own:
        await own.calendar.save_earnings([])
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE bookmarks (url)")

    with pytest.raises(BadFile, match="a store of TOMIC itself"):
        await store.import_file(tmp_path / "own.db")
    with pytest.raises(BadFile, match="without PriceHistory"):
        await store.import_file(tmp_path / "other.db")
    with pytest.raises(BadFile, match="no such file"):
        await store.import_file(tmp_path / "absent.db")
