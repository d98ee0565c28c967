"""
How cost grows with contracts, candidates, positions, executions and stored days, at three sizes
each; symbols are in scan_scaling.

The exponent is the slope of a straight line through the logarithms: 1 means proportional.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks import portfolio
from benchmarks.figures import (
    GREEKS,
    Limit,
    Row,
    Sample,
    burnt,
    clocked,
    elementary,
    fact,
    figure,
    in_turns,
)
from benchmarks.scan_scaling import exponent
from benchmarks.scan_search import all_ranked, condors

from tomic import dates
from tomic.config import Settings
from tomic.desk import Desk
from tomic.journal import broker
from tomic.portfolio import overview
from tomic.store import Bars, Database, VolSeries
from tomic.strategies import propose
from tomic.strategies.pricing import board
from tomic.workflows.journal import executions
from tomic.workflows.journal.entries import Journal

# The maker of random chains lives with the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import random_chains

STRIKES = (20, 40, 80)
EXPIRIES = (2, 4, 8)
SEARCHED = (40, 70, 120)
POSITIONS = (250, 500, 1000)
EXECUTIONS = (1000, 2000, 4000)
STORED_DAYS = (504, 1260, 2520)
STORED_SYMBOLS = 20
ROUNDS = 3
_FIRST_DAY = 31
_APART = 2
"""So that every expiry lies in the windows of the strategies."""


class Case(NamedTuple):
    """A piece of work of some size."""

    size: int
    work: Callable[[], object]
    least: Limit


def run() -> list[Row]:
    """A row for each size, and the exponent under them."""
    settings = Settings()

    def chain(strikes: int, expiries: int) -> random_chains.Chain:
        days = tuple(_FIRST_DAY + _APART * n for n in range(expiries))
        return random_chains.chain(1, days=days, strikes=strikes, gaps=False)

    wider = [chain(strikes, 2) for strikes in STRIKES]
    longer = [chain(20, expiries) for expiries in EXPIRIES]
    vol = random_chains.snapshot(wider[0])
    searches = [condors(strikes) for strikes in SEARCHED]
    return [
        *_grown(
            "contracts (more strikes): chain prepared",
            "contracts",
            [_of_chain(one, partial(board.prepare, one, vol, settings)) for one in wider],
        ),
        *_grown(
            "contracts (more strikes): searched whole",
            "contracts",
            [_of_chain(one, partial(propose.evaluate, one, vol, settings)) for one in wider],
        ),
        *_grown(
            "contracts (more expiries): searched whole",
            "contracts",
            [_of_chain(one, partial(propose.evaluate, one, vol, settings)) for one in longer],
        ),
        *_grown(
            "candidates: condors scored exactly",
            "candidates",
            [Case(len(one), partial(one.best, 5), all_ranked(one, scale=1e-6)) for one in searches],
        ),
        *_candidates(wider, vol, settings),
        *_grown(
            "positions: the book whole",
            "positions",
            [_of_book(portfolio.large_book(count), settings) for count in POSITIONS],
        ),
        *_grown(
            "executions: a statement of new contracts imported",
            "executions",
            [_of_statement(count) for count in EXECUTIONS],
        ),
        *_stored(),
    ]


def _of_book(book: portfolio.Book, settings: Settings) -> Case:
    """Every position is worth something else in every cell of the grid."""
    cells = 41 * 9 * 5 * len(book.positions)
    least = elementary("one product a cell", scale=1e-6, items=cells, multiply=1)
    return Case(len(book.positions), partial(overview.review, book, settings), least)


# -- the journal ---------------------------------------------------------------------------------

FIRST = dt.datetime(2024, 1, 8, 15, tzinfo=dt.UTC)
HEADINGS = (
    "ClientAccountID,CurrencyPrimary,AssetClass,Symbol,Conid,UnderlyingSymbol,Multiplier,Strike,"
    "Expiry,Put/Call,TradeID,DateTime,Quantity,TradePrice,IBCommission,Open/CloseIndicator,"
    "Buy/Sell,IBExecID,IBOrderID,TransactionID,Notes/Codes,LevelOfDetail\n"
)


def statement(count: int) -> str:
    """*count* executions of a Flex query: spreads on forty symbols, each opened and closed."""
    rows = [HEADINGS]
    for order in range(count // 4):
        opened = FIRST + dt.timedelta(hours=3 * order)
        expiry = (opened + dt.timedelta(days=35)).date()
        for closing in (False, True):
            at = opened + dt.timedelta(days=21 * closing)
            for leg, sign in enumerate((-1, 1)):
                number = 4 * order + 2 * closing + leg
                name, strike = f"S{order % 40:02d}", 100 - 5 * leg
                occ = f"{name:<6}{expiry:%y%m%d}P{strike * 1000:08d}"
                way = -sign if closing else sign
                rows.append(
                    f"U1,USD,OPT,{occ},{10_000 + 2 * order + leg},{name},100,{strike},"
                    f"{expiry:%Y%m%d},P,{500_000 + number},{at:%Y%m%d;%H%M%S},{way},"
                    f"{1.5 - leg},-0.65,{'C' if closing else 'O'},{'BUY' if way > 0 else 'SELL'},"
                    f"0000e0d5.{number:08d}.01.01,{2 * order + closing},{700_000 + number},,"
                    "EXECUTION\n"
                )
    return "".join(rows)


def _of_statement(count: int) -> Case:
    text = statement(count)
    least = clocked(lambda: [line.split(",") for line in text.splitlines()], scale=1e3)
    return Case(
        count, lambda: asyncio.run(_imported(text, count)), Limit("its cells split", least())
    )


async def _imported(text: str, count: int) -> None:
    """Into an empty store each time."""

    async def clock() -> dt.datetime:
        return dt.datetime(2026, 11, 20, 20, tzinfo=dt.UTC)

    with tempfile.TemporaryDirectory() as folder:
        async with Database(Path(folder) / "store.db") as store:
            journal = Journal(store, Settings(), clock=clock)
            taken = await executions.take_file(journal, "flex.csv", broker.parse("x", text, {}))
            assert len(taken.added) == count // 4, taken.notes


# -- the store -----------------------------------------------------------------------------------


def _stored() -> list[Row]:
    """Days written, and what `vol --stored` needs of them read."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{days}.db" for days in STORED_DAYS]
        written = [
            Case(days * STORED_SYMBOLS, partial(_write, path, days), _bytes(days))
            for path, days in zip(paths, STORED_DAYS, strict=True)
        ]
        rows = _grown(
            f"stored days: bars and IV of {STORED_SYMBOLS} symbols written", "days", written
        )
        read = [
            case._replace(work=partial(_vols, path))
            for case, path in zip(written, paths, strict=True)
        ]
        return rows + _grown("stored days: vol from the store", "days", read)


def _bytes(days: int) -> Limit:
    """Six columns of bars and one of volatilities."""
    what = "a number copied"
    return elementary(what, scale=1e-6, items=7 * days * STORED_SYMBOLS, multiply=1)


def _write(path: Path, count: int) -> None:
    path.unlink(missing_ok=True)
    asyncio.run(_written(path, count))


async def _written(path: Path, count: int) -> None:
    last = dt.date(2026, 11, 19)
    calendar = dates.trading_days(last - dt.timedelta(days=4000), last)
    days = np.array(calendar[-count:], "datetime64[D]")
    random = np.random.default_rng(1)
    async with Database(path) as store:
        for number in range(STORED_SYMBOLS):
            close = 100.0 * np.exp(np.cumsum(0.01 * random.standard_normal(count)))
            bars = Bars(
                f"S{number:03d}", days, close, 1.01 * close, 0.99 * close, close, 1e4 * close
            )
            await store.history.save_bars(bars)
            levels = VolSeries(bars.symbol, "ib30", days, random.uniform(0.1, 0.6, count))
            await store.history.save_iv(levels)


def _vols(path: Path) -> None:
    asyncio.run(_read(path))


async def _read(path: Path) -> None:
    settings = Settings.model_validate({"store": {"path": path}, "web": {"enabled": False}})
    async with Desk(settings) as desk:
        await desk.vols([f"S{number:03d}" for number in range(STORED_SYMBOLS)], stored=True)


def _of_chain(chain: random_chains.Chain, work: Callable[[], object]) -> Case:
    """Whatever is done with a chain, every contract has its Greeks."""
    least = elementary(**GREEKS, scale=1e-6, items=len(chain))
    return Case(len(chain), work, least)


def _grown(name: str, of: str, cases: list[Case]) -> list[Row]:
    for case in cases:
        case.work()
    samples = in_turns(*(burnt(case.work, scale=1e3) for case in cases), rounds=ROUNDS)
    sizes = [case.size for case in cases]
    return [
        *(
            figure(
                f"growth with {name}, {case.size:,}",
                sample,
                "ms",
                limit=case.least,
                per=_each(sample, case.size),
            )
            for case, sample in zip(cases, samples, strict=True)
        ),
        _power(name, of, sizes, [sample.median for sample in samples]),
    ]


def _each(sample: Sample, size: int) -> float:
    """Microseconds a piece."""
    return sample.median * 1e3 / size


def _power(name: str, of: str, sizes: list[int], costs: list[float]) -> Row:
    power = exponent(sizes, costs)
    return fact(f"growth with {name}: exponent", f"{of} ^ {power:.2f}", exponent=power)


def _candidates(
    chains: list[random_chains.Chain], vol: random_chains.VolSnapshot, settings: Settings
) -> list[Row]:
    """How many candidates a chain gives, which is why its cost grows as it does."""
    found = [propose.evaluate(one, vol, settings).considered for one in chains]
    if not all(found):
        raise ValueError("a chain gives no candidate: its expiries lie in no strategy's window")
    sizes = [len(one) for one in chains]
    counted = ", ".join(f"{n:,} of {size}" for n, size in zip(found, sizes, strict=True))
    name = "candidates in a chain, two expiries"
    power = exponent(sizes, [float(n) for n in found])
    return [fact(f"growth of {name}", f"{counted}: contracts ^ {power:.2f}", exponent=power)]
