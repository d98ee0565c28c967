"""The store beside plain sqlite3: inserts, ten years of 500 symbols, and reading them in bulk."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tomic.store import Bars, Database, VolSeries

SYMBOLS = tuple(f"S{number:03d}" for number in range(500))
DAYS = 2520
_NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
_PLAIN_TABLE = """
CREATE TABLE bars (
    symbol TEXT NOT NULL, day INTEGER NOT NULL,
    open REAL, high REAL, low REAL, close REAL NOT NULL, volume REAL,
    PRIMARY KEY (symbol, day)
) STRICT, WITHOUT ROWID
"""


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        bars = [_bars(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
        ratio = _insert_ratio(Path(folder), bars[:80])
        return [ratio, *asyncio.run(_ten_years(Path(folder), bars)), asyncio.run(_appended(folder))]


def _bars(symbol: str, seed: int, days: int = DAYS) -> Bars:
    random = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(random.normal(0.0, 0.015, days))), 2)
    spread = np.round(close * random.uniform(0.002, 0.02, days), 2)
    date = np.busday_offset("2016-01-04", np.arange(days))
    volume = np.floor(random.uniform(1e5, 1e8, days))
    return Bars(symbol, date, close - spread / 2, close + spread, close - spread, close, volume)


def _volatility(symbol: str, seed: int, days: int = DAYS) -> VolSeries:
    random = np.random.default_rng(seed)
    date = np.busday_offset("2016-01-04", np.arange(days))
    return VolSeries(symbol, "ib30", date, random.uniform(0.1, 0.6, days))


def _rows(bars: Bars) -> list[tuple[Any, ...]]:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    days = bars.date.astype("int64").tolist()
    names = [bars.symbol] * len(days)
    return list(zip(names, days, *(column.tolist() for column in columns), strict=True))


def _insert_ratio(folder: Path, bars: list[Bars]) -> dict[str, Any]:
    """Best of five, taken in turns, so that both see the same machine."""
    rows = [row for one in bars for row in _rows(one)]
    ours, plain = [], []
    for turn in range(5):
        plain.append(_plain_insert(folder / f"plain{turn}.db", rows))
        ours.append(asyncio.run(_our_insert(folder / f"ours{turn}.db", bars)))
    return {
        "name": "store: insert, share of plain executemany",
        "asked": ">= 0.7",
        "measured": round(min(plain) / min(ours), 2),
        "rows_per_s": round(len(rows) / min(ours)),
        "plain_rows_per_s": round(len(rows) / min(plain)),
    }


def _plain_insert(path: Path, rows: list[tuple[Any, ...]]) -> float:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(_PLAIN_TABLE)
    start = time.perf_counter()
    db.execute("BEGIN")
    db.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    db.execute("COMMIT")
    seconds = time.perf_counter() - start
    db.close()
    return seconds


async def _our_insert(path: Path, bars: list[Bars]) -> float:
    async with Database(path) as db:
        await db.record_event("SPY", _NOW, "opened", "")
        start = time.perf_counter()
        await db.save_bars(*bars)
        return time.perf_counter() - start


async def _ten_years(folder: Path, bars: list[Bars]) -> list[dict[str, Any]]:
    path = folder / "ten_years.db"
    async with Database(path) as db:
        for seed, one in enumerate(bars):
            await db.save_bars(one)
            await db.save_iv(_volatility(one.symbol, seed))
        start = time.perf_counter()
        closes = await db.load_many_bars(SYMBOLS, days=253)
        levels = await db.load_many_iv(SYMBOLS, "ib30", days=253)
        seconds = time.perf_counter() - start
    found = sum(map(len, closes.values())) + sum(map(len, levels.values()))
    return [
        _size("store: 500 symbols x 10 years of bars and IV", path),
        {
            "name": "store: read what vol needs of 500 symbols",
            "asked": "<= 2 s",
            "measured": f"{seconds:.2f} s",
            "rows": found,
        },
    ]


async def _appended(folder: str) -> dict[str, Any]:
    """The same amount written in the order of time: a quarter of every symbol at a time."""
    path = Path(folder) / "appended.db"
    quarter = 63
    bars = [_bars(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
    levels = [_volatility(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
    async with Database(path) as db:
        for first in range(0, DAYS, quarter):
            part = slice(first, first + quarter)
            await db.save_bars(*(_part(one, part) for one in bars))
            await db.save_iv(
                *(VolSeries(o.symbol, o.kind, o.date[part], o.value[part]) for o in levels)
            )
    return _size("store: the same, written quarter by quarter", path)


def _part(bars: Bars, part: slice) -> Bars:
    fields = (bars.date, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars(bars.symbol, *(field[part] for field in fields))


def _size(name: str, path: Path) -> dict[str, Any]:
    return {
        "name": name,
        "asked": "<= 150 MB",
        "measured": f"{path.stat().st_size / 1e6:.0f} MB",
        "rows": 2 * len(SYMBOLS) * DAYS,
    }


if __name__ == "__main__":
    for result in run():
        print(result)
