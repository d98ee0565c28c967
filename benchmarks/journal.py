"""A journal of 10,000 entries: list and statistics, in this process and as commands."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.figures import Limit, Row, Sample, clocked, figure, in_turns
from benchmarks.store import written_s

from tomic.cli.options import Format
from tomic.config import Settings
from tomic.models.journal import Action, Context, EntryStatus, Fill, JournalEntry, Trade
from tomic.present import journal
from tomic.store import Database
from tomic.workflows.journal import entries as journals, statistics
from tomic.workflows.journal.entries import Journal

ENTRIES = 10_000
RUNS = 5
_STRATEGIES = ("short_put_spread", "iron_condor", "naked_put", "calendar")
_SYMBOLS = ("SPY", "QQQ", "IWM", "AAPL", "NVDA", "TSLA", "XLE", "GLD")
_START = dt.datetime(2019, 1, 2, 16, 0, tzinfo=dt.UTC)


def run() -> list[Row]:
    """Rows of the table of benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        rows, reading = asyncio.run(_measured(path))
        return [*rows, *_commands(Path(folder), path, reading)]


async def _measured(path: Path) -> tuple[list[Row], Sample]:
    """Rows of this process, and how long the documents take to read."""
    async with Database(path) as store:

        async def clock() -> dt.datetime:
            return dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)

        book = Journal(store, Settings(), clock=clock)
        documents = [journals.to_document(_entry(number)) for number in range(ENTRIES)]
        began = time.perf_counter()
        await store.journal.save_all(documents, event="import", at=await clock())
        filled = Sample((time.perf_counter() - began,))

        async def loaded() -> None:
            await store.journal.load_all()

        async def listed() -> None:
            journal.listing(await journals.listing(book), Format.TABLE)

        async def counted() -> None:
            found = await statistics.report(book, by="strategy")
            journal.report(found, Format.TABLE)

        reading = await _sample(loaded)
        shown, sums = await _sample(listed), await _sample(counted)
        size = sum(map(_size, path.parent.glob(f"{path.name}*")))
        (disk,) = in_turns(lambda: written_s(path.with_name("as-many-bytes"), size))
        floor = Limit("reading their documents", reading.median)
        rows = [
            figure(
                "journal: write 10,000 entries",
                filled,
                "s",
                limit=Limit("the same bytes written and synced", disk.median),
            ),
            figure("journal: list 10,000", shown, "s", asked="<= 0.5 s", limit=floor),
            figure("journal: stats --by strategy", sums, "s", asked="<= 1 s", limit=floor),
        ]
        return rows, reading


def _size(file: Path) -> int:
    return file.stat().st_size


async def _sample(work: Callable[[], Awaitable[None]]) -> Sample:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return Sample(tuple(times))


def _commands(folder: Path, path: Path, reading: Sample) -> list[Row]:
    (folder / "tomic.toml").write_text(f'[store]\npath = "{path}"\n', encoding="utf-8")
    nothing = [sys.executable, "-c", "pass"]
    (bare,) = in_turns(clocked(lambda: subprocess.run(nothing, check=True)))
    floor = Limit("python -c pass, and reading their documents", bare.median + reading.median)
    rows = []
    for words in (("list", "--all"), ("stats", "--by", "strategy")):
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "tomic", "journal", *words],
                cwd=folder, check=True, capture_output=True,
            )  # fmt: skip
            times.append(time.perf_counter() - began)
        name = f"journal: tomic journal {' '.join(words)}, start included"
        rows.append(figure(name, Sample(tuple(times)), "s", limit=floor))
    return rows


def _entry(number: int) -> JournalEntry:
    """A spread, closed or (the last hundred) open, with a forecast."""
    dice = random.Random(number)
    opened = _START + dt.timedelta(hours=6 * number)
    expiry = (opened + dt.timedelta(days=35)).date()
    credit, back = dice.uniform(0.8, 2.5), dice.uniform(0.0, 4.0)
    trades = [_trade(opened, Action.OPEN, -1, credit, expiry)]
    is_open = number >= ENTRIES - 100
    closed = opened + dt.timedelta(days=dice.randint(3, 30))
    if not is_open:
        trades.append(_trade(closed, Action.CLOSE, 1, -back, expiry))
    return JournalEntry(
        symbol=dice.choice(_SYMBOLS),
        strategy=dice.choice(_STRATEGIES),
        status=EntryStatus.OPEN if is_open else EntryStatus.CLOSED,
        opened_at=opened,
        closed_at=None if is_open else closed,
        trades=tuple(trades),
        context=Context(pos=dice.uniform(0.55, 0.9), margin=850.0, grade=dice.choice("ABCD")),
    )


def _trade(at: dt.datetime, action: Action, sign: int, price: float, expiry: dt.date) -> Trade:
    fills = (
        Fill(expiry=expiry, strike=560.0, right="P", quantity=sign, commission=0.65),
        Fill(expiry=expiry, strike=550.0, right="P", quantity=-sign, commission=0.65),
    )
    return Trade(at=at, action=action, fills=fills, price=round(price, 2))
