"""The store beside plain sqlite3: inserts, ten years of 500 symbols, and reading them in bulk."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.figures import Limit, Peer, Row, Sample, figure, in_turns

from tomic.store import Bars, Database, VolSeries

SYMBOLS = tuple(f"S{number:03d}" for number in range(500))
DAYS = 2520
ROUNDS = 5
_NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
_PLAIN_TABLE = """
CREATE TABLE bars (
    symbol TEXT NOT NULL, day INTEGER NOT NULL,
    open REAL, high REAL, low REAL, close REAL NOT NULL, volume REAL,
    PRIMARY KEY (symbol, day)
) STRICT, WITHOUT ROWID
"""


def run() -> list[Row]:
    """Measure everything once; each row names what is asked and what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        bars = [_bars(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
        inserted = _inserted(Path(folder), bars[:80])
        return [
            inserted,
            *asyncio.run(_ten_years(Path(folder), bars)),
            asyncio.run(_appended(folder)),
        ]


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


def _inserted(folder: Path, bars: list[Bars]) -> Row:
    """Rows a second into empty files, ours and plain SQL in turns, and what the disk can take."""
    rows = [row for one in bars for row in _rows(one)]
    files = (folder / f"{number}.db" for number in range(100))
    ours, plain, disk = in_turns(
        lambda: len(rows) / asyncio.run(_our_insert(next(files), bars)),
        lambda: len(rows) / _plain_insert(next(files), rows),
        lambda: len(rows) / written_s(next(files), _bytes_of(folder)),
    )
    return figure(
        "store: insert of daily bars",
        ours,
        "rows/s",
        asked=">= 0.7 of plain sqlite3",
        peer=Peer(f"sqlite3 {sqlite3.sqlite_version} executemany", plain),
        limit=Limit("the same bytes written and synced", disk.median),
        more_is_better=True,
    )


def _bytes_of(folder: Path) -> int:
    """The size of the file that our first insert left."""
    return (folder / "0.db").stat().st_size


def written_s(path: Path, size: int) -> float:
    """Seconds for that many bytes to reach the disk, one after the other."""
    block = os.urandom(1 << 20)
    start = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(max(1, size >> 20)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - start


def read_s(path: Path) -> float:
    """Seconds to have all bytes of a file that was used just now."""
    block = bytearray(1 << 20)
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass
    return time.perf_counter() - start


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
        await db.calendar.save_earnings([])
        start = time.perf_counter()
        await db.history.save_bars(*bars)
        return time.perf_counter() - start


async def _ten_years(folder: Path, bars: list[Bars]) -> list[dict[str, Any]]:
    path = folder / "ten_years.db"
    async with Database(path) as db:
        for seed, one in enumerate(bars):
            await db.history.save_bars(one)
            await db.history.save_iv(_volatility(one.symbol, seed))
        ours, plain, disk = [], [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            closes = await db.history.many_bars(SYMBOLS, days=253)
            levels = await db.history.many_iv(SYMBOLS, "ib30", days=253)
            ours.append(time.perf_counter() - start)
            plain.append(_plain_read(path))
            disk.append(read_s(path))
    found = sum(map(len, closes.values())) + sum(map(len, levels.values()))
    share = found / (2 * len(SYMBOLS) * DAYS)
    return [
        _size("store: 500 symbols x 10 years of bars and IV", path),
        figure(
            "store: read what vol needs of 500 symbols",
            Sample(tuple(ours)),
            "s",
            asked="<= 2 s",
            peer=Peer(f"sqlite3 {sqlite3.sqlite_version}, as tuples", Sample(tuple(plain))),
            limit=Limit("as large a share of the file read", share * Sample(tuple(disk)).median),
            rows=found,
        ),
    ]


def _plain_read(path: Path) -> float:
    """Seconds to have the same rows as tuples, a query for each symbol and series."""
    db = sqlite3.connect(path)
    wanted = (
        "SELECT * FROM bars WHERE symbol = ?",
        "SELECT * FROM iv_history WHERE kind = 'ib30' AND symbol = ?",
    )
    start = time.perf_counter()
    for symbol in SYMBOLS:
        for query in wanted:
            db.execute(f"{query} ORDER BY day DESC LIMIT 253", (symbol,)).fetchall()
    seconds = time.perf_counter() - start
    db.close()
    return seconds


async def _appended(folder: str) -> dict[str, Any]:
    """The same amount written in the order of time: a quarter of every symbol at a time."""
    path = Path(folder) / "appended.db"
    quarter = 63
    bars = [_bars(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
    levels = [_volatility(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
    async with Database(path) as db:
        for first in range(0, DAYS, quarter):
            part = slice(first, first + quarter)
            await db.history.save_bars(*(_part(one, part) for one in bars))
            await db.history.save_iv(
                *(VolSeries(o.symbol, o.kind, o.date[part], o.value[part]) for o in levels)
            )
    return _size("store: the same, written quarter by quarter", path)


def _part(bars: Bars, part: slice) -> Bars:
    fields = (bars.date, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars(bars.symbol, *(field[part] for field in fields))


def _size(name: str, path: Path) -> Row:
    rows = 2 * len(SYMBOLS) * DAYS
    # A day and five prices of a bar, a day and a level: nothing shorter holds them.
    least = len(SYMBOLS) * DAYS * (6 + 2) * 4 / 1e6
    return figure(
        name,
        Sample((path.stat().st_size / 1e6,)),
        "MB",
        asked="<= 150 MB",
        limit=Limit("four bytes a number", least),
        rows=rows,
    )
