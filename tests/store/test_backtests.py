from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing

NOW = dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC)


async def test_variants_are_counted_once(store):
    """Another variant is another look, the same again is not, and reading counts nothing."""
    assert await store.backtests.tried(["SPY"]) == 0
    assert await store.backtests.note(["a"], ["SPY", "QQQ"], at=NOW) == 1
    assert await store.backtests.note(["a"], ["SPY"], at=NOW) == 1
    assert await store.backtests.note(["b", "c"], ["SPY"], at=NOW, facts={"every": "week"}) == 3

    assert await store.backtests.tried(["SPY"]) == 3
    assert await store.backtests.tried(["QQQ", "IWM"]) == 1
    assert await store.backtests.tried(["IWM"]) == 0


async def test_a_document_of_another_make_counts_for_nothing(store, path):
    """Symbols that are not a list of names are nobody's, and nothing breaks."""
    await store.backtests.note(["a"], ["SPY"], at=NOW)
    for text in ('{"symbols": 7}', '{"symbols": [["SPY"]]}', "{}"):
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE backtests SET document = ?", (text,))
            db.commit()

        assert await store.backtests.tried(["SPY"]) == 0
