"""Kill a writing process again and again: the store opens, is sound, and has lost nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tomic.store import Bars, Database, Execution, VolSeries

ROWS = 400
"""Bars in each transaction: some thousands of bytes, so that a kill often falls inside one."""
_NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


async def write_for_ever(path: Path, first: int) -> None:
    """Write transaction after transaction and tell each one that is finished."""
    async with Database(path) as db:
        number = first
        while True:
            bars = _bars(number)
            await db.history.save_bars(bars)
            print("bars", number, flush=True)
            await db.history.save_iv(VolSeries(bars.symbol, "ib30", bars.date, bars.close / 100.0))
            print("iv", number, flush=True)
            entry = {"id": number, "symbol": bars.symbol, "opened_at": _NOW.isoformat()}
            entry["plan"] = "x" * 2000
            await db.journal.save(entry, event="opened", at=_NOW)
            await db.journal.change(
                number, lambda old: {**old, "status": "closed"}, event="close", at=_NOW
            )
            print("entry", number, flush=True)
            await db.journal.save_executions([Execution(f"e{number}", _NOW, bars.symbol, None, {})])
            print("fill", number, flush=True)
            number += 1


async def kill_often(path: Path, kills: int, *, seed: int = 1) -> dict[str, Any]:
    """Start, kill and check a writer *kills* times on one file; raise where anything is lost."""
    chance = random.Random(seed)
    finished: set[tuple[str, int]] = set()
    start = time.perf_counter()
    for _ in range(kills):
        first = 1 + max((number for _, number in finished), default=0)
        finished |= await _killed_writer(path, first, chance.uniform(0.0, 0.12))
        await _check(path, finished)
    return {
        "name": "store: kill -9 during writes",
        "asked": "sound, nothing finished lost",
        "measured": f"{kills} kills, {len(finished)} transactions, none lost",
        "seconds": round(time.perf_counter() - start, 1),
    }


async def _killed_writer(path: Path, first: int, after_s: float) -> set[tuple[str, int]]:
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "write", str(path), str(first)), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    lines = [await writer.stdout.readline()]
    try:
        async with asyncio.timeout(after_s):
            while True:
                lines.append(await writer.stdout.readline())
    except TimeoutError:
        writer.kill()
    lines += (await writer.stdout.read()).splitlines(keepends=True)
    await writer.wait()
    # A line that the kill cut off was not reported as finished.
    reported = [line.split() for line in lines if line.endswith(b"\n")]
    if not reported:
        raise AssertionError("the writer ended by itself before its first transaction")
    return {(kind.decode(), int(number)) for kind, number in reported}


async def _check(path: Path, finished: set[tuple[str, int]]) -> None:
    async with Database(path) as db:
        problems = await db.check()
        covered = await db.history.coverages()
        entries = {entry["id"]: entry for entry in await db.journal.load_all()}
        fills = {fill.exec_id for fill in await db.journal.executions()}
    wrong = [
        f"{symbol} {name}: {series.rows} rows of a transaction of {ROWS}"
        for symbol, by_series in covered.items()
        for name, series in by_series.items()
        if series.rows != ROWS
    ]
    present = {("bars", _number(symbol)) for symbol, series in covered.items() if "bars" in series}
    present |= {("iv", _number(symbol)) for symbol, series in covered.items() if "ib30" in series}
    present |= {("entry", n) for n, entry in entries.items() if entry.get("status") == "closed"}
    present |= {("fill", int(fill[1:])) for fill in fills}
    wrong += [f"lost: {kind} {number}" for kind, number in sorted(finished - present)]
    if problems or wrong:
        raise AssertionError("; ".join([*problems, *wrong]))


def _bars(number: int) -> Bars:
    close = np.random.default_rng(number).uniform(10.0, 500.0, ROWS)
    date = np.datetime64("2020-01-01") + np.arange(ROWS)
    return Bars(f"S{number}", date, close, close, close, close, close)


def _number(symbol: str) -> int:
    return int(symbol[1:])


def run(kills: int = 50) -> list[dict[str, Any]]:
    """Kill a writer fifty times; part of ``nox -s soak``."""
    with tempfile.TemporaryDirectory() as folder:
        return [asyncio.run(kill_often(Path(folder) / "store.db", kills))]


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        asyncio.run(write_for_ever(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        print(run()[0])
