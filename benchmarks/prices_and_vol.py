"""History at IB's limits, and volatility of five hundred symbols from the store."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.figures import Limit, Row, Sample, clocked, figure, in_turns
from benchmarks.store import read_s

from tomic import dates
from tomic.config import Settings
from tomic.desk import Desk
from tomic.ib.session import Session
from tomic.sim import Gateway
from tomic.sim.market import listings
from tomic.sim.market.model import ModelMarket
from tomic.store import Bars, Database, VolSeries
from tomic.workflows.volatility import history

ROUNDS = 3
FRIDAY = dt.date(2026, 11, 20)
SYMBOLS = tuple(f"S{number:03d}" for number in range(1, 501))


class _Clock:
    """Seconds since 1970 that also pass, at once, when somebody waits for IB's limit."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    async def sleep(self, seconds: float) -> None:
        until = self() + seconds
        await asyncio.sleep(0)
        self._ahead = max(self._ahead, until - time.time())

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


def run() -> list[Row]:
    """Measure everything once; each result names what is asked and what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(_twenty(Path(folder) / "twenty.db"))
        rows.append(asyncio.run(_hundred(Path(folder) / "hundred.db")))
        rows.append(asyncio.run(_from_the_store(Path(folder) / "five_hundred.db")))
    return rows


async def _twenty(path: Path) -> list[Row]:
    """The default symbols from an empty store, again, and on the next day."""
    clock, names = _Clock(), Settings().market.symbols
    first = await _updated(path, names, clock)
    again = await _updated(path, names, clock)
    clock.forward(86_400.0)
    evening = listings.moment(FRIDAY, dt.time(17))
    (looked,) = in_turns(clocked(partial(_last_days, path, names)))
    nothing_new = Limit("the last days from plain sqlite3", looked.median)
    later = await _updated(path, names, clock, lambda: ModelMarket(start=evening))
    return [
        _row("prices: 20 symbols x 252 days from empty", "< 30 s, 40 requests", *first),
        _row("prices: the same once more", "0 requests", *again, nothing_new),
        _row("prices: the next day", "< 15 s", *later),
    ]


async def _hundred(path: Path) -> Row:
    """Two hundred requests; what the limit makes one wait for passes at once."""
    clock = _Clock()
    began = clock()
    _, requests = await _updated(
        path, SYMBOLS[:100], clock, lambda: ModelMarket(universe="synthetic")
    )
    minutes = (clock() - began) / 60.0
    # Sixty requests in any ten minutes: after the first sixty, ten minutes for each sixty more.
    floor = Limit("60 requests in 10 minutes", 10.0 * ((requests - 1) // 60))
    name = f"prices: 100 symbols, {requests} requests, IB's clock"
    return figure(name, Sample((minutes,)), "min", asked="30 min", limit=floor)


async def _updated(
    path: Path,
    symbols: tuple[str, ...],
    clock: _Clock,
    market: Callable[[], ModelMarket] = ModelMarket,
) -> tuple[float, int]:
    """Seconds and requests of one run against a gateway with all its limits and delays."""
    settings = Settings()
    async with Gateway(market(), clock=clock) as gateway, Database(path) as store:
        ib = settings.ib.model_copy(update={"port": gateway.port})
        async with Session(ib, settings.limits) as session:

            async def opened() -> Session:
                return session

            began = time.perf_counter()
            run = await history.update(
                opened, store, symbols, settings, clock=clock, sleep=clock.sleep
            )
            assert not run.errors, run.errors[0]
            return time.perf_counter() - began, gateway.history_requests


def _last_days(path: Path, symbols: Sequence[str]) -> list[tuple[int]]:
    """What has to be known of each symbol to see that nothing is missing."""
    db = sqlite3.connect(path)
    try:
        return [
            db.execute(f"SELECT MAX(day) FROM {table} WHERE symbol = ?", (symbol,)).fetchone()
            for symbol in symbols
            for table in ("bars", "iv_history")
        ]
    finally:
        db.close()


def _row(name: str, asked: str, seconds: float, requests: int, without: Limit | None = None) -> Row:
    """
    A row of one run.

    Args:
        without: The limit of a run that asks for nothing; the others have IB's.
    """
    # IB takes fifty messages of a client in a second, whatever they ask for.
    floor = Limit(f"{requests} requests at 50/s", requests / 50.0) if requests else without
    return figure(f"{name}, {requests} requests", Sample((seconds,)), "s", asked=asked, limit=floor)


async def _from_the_store(path: Path) -> Row:
    """`vol --stored` of 500 symbols, the store as it was left by `prices`."""
    last = FRIDAY - dt.timedelta(days=1)
    days = np.array(dates.trading_days(last - dt.timedelta(days=3652), last), "datetime64[D]")
    random = np.random.default_rng(1)
    async with Database(path) as store:
        for symbol in SYMBOLS:
            close = 100.0 * np.exp(np.cumsum(0.01 * random.standard_normal(days.size)))
            bars = Bars(symbol, days, close, 1.01 * close, 0.99 * close, close, 1e4 * close)
            await store.history.save_bars(bars)
            levels = random.uniform(0.1, 0.6, days.size)
            await store.history.save_iv(VolSeries(symbol, "ib30", days, levels))
    settings = Settings.model_validate({"store": {"path": path}, "web": {"enabled": False}})
    async with Desk(settings) as desk:
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            reports = await desk.vols(SYMBOLS, stored=True)
            seconds.append(time.perf_counter() - began)
    assert all(one.snapshot.iv_days == 252 for one in reports)
    (disk,) = in_turns(lambda: read_s(path) * 252 / days.size)
    return figure(
        "vol: 500 symbols from the store",
        Sample(tuple(seconds)),
        "s",
        asked="< 2 s",
        limit=Limit("a year's share of the file read", disk.median),
    )
