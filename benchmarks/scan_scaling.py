"""
The scan over 20, 100 and 500 symbols: contracts, candidates, seconds, memory, messages.

The gateway runs in a process of its own, on the demo market and 500 made-up symbols, with the
delays of the demo and without IB's limit on messages, which is stated beside instead. The store
holds a year of bars and volatilities, as it does after `tomic prices`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.figures import GREEKS, Limit, Row, Sample, clocked, elementary, fact, figure

from tomic.config import Settings
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market.model import ModelMarket
from tomic.store import Bars, Database, VolSeries
from tomic.wire.requests import ContractSpec
from tomic.workflows.resources import Origin, Resources
from tomic.workflows.scan import search
from tomic.workflows.stand_in import StandIn
from tomic.workflows.volatility.measure import VIX

COUNTS = (20, 100, 500)
RUNS = {20: 2, 100: 1, 500: 1}
"""How often each is repeated; the largest takes minutes."""
DAYS = 300
IB_MESSAGES_PER_S = 50.0
TICK = b"1\x006\x001001\x001\x00532.15\x0012\x000\x00"
"""A message as most are that come in: one price of one option."""


def run(counts: tuple[int, ...] = COUNTS) -> list[Row]:
    """A row for each number of symbols and figure, and how they grow."""
    with tempfile.TemporaryDirectory() as folder, serving() as port:
        store = Path(folder) / "store.db"
        asyncio.run(fill(store, names(max(counts))))
        found = {
            count: [scanned(count, port, store) for _ in range(RUNS.get(count, 1))]
            for count in counts
        }
    rows = [row for count, runs in found.items() for row in _rows(count, runs)]
    middle = {count: runs[0] for count, runs in found.items()}
    pairs = [(len(names(count)), one) for count, one in middle.items()]
    for key, what in (("seconds", "seconds"), ("cpu", "processor seconds"), ("rss", "memory")):
        power = exponent([size for size, _ in pairs], [one[key] for _, one in pairs])
        rows.append(fact(f"scan: growth of {what} with symbols", f"symbols ^ {power:.2f}"))
    return rows


def exponent(sizes: list[int], costs: list[float]) -> float:
    """The power of size that cost grows with: slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def names(count: int) -> list[str]:
    """The default symbols, then made-up ones."""
    known = list(Settings().market.symbols)
    return [*known, *(f"S{number:03d}" for number in range(1, 501))][:count]


def _rows(count: int, runs: list[dict[str, Any]]) -> list[Row]:
    def sample(key: str) -> Sample:
        return Sample(tuple(one[key] for one in runs))

    first, name = runs[0], f"scan: {count} symbols"
    counted = f"{first['contracts']:,} contracts, {first['considered']:,} candidates"
    budget = first["messages"] / IB_MESSAGES_PER_S
    return [
        fact(name, f"{counted}, {first['messages']:,} messages, {first['failed']} failed"),
        figure(
            f"{name}, wall",
            sample("seconds"),
            "s",
            limit=Limit(f"IB's {IB_MESSAGES_PER_S:g} messages/s", budget),
            messages=first["messages"],
        ),
        figure(
            f"{name}, processor",
            sample("cpu"),
            "s",
            limit=_least_work(first["received"], first["contracts"]),
        ),
        figure(
            f"{name}, peak memory",
            sample("rss"),
            "MB",
            limit=Limit("the same process with nothing fetched", first["empty_rss"]),
        ),
    ]


def _least_work(received: int, contracts: int) -> Limit:
    """Every message that comes in becomes fields, every contract has its Greeks."""
    split = clocked(lambda: TICK.decode().split("\0"), number=10_000)
    reading = received * min(split() for _ in range(20))
    formulas = elementary(**GREEKS, scale=1e-9, items=contracts)
    what = f"{received:,} messages split, the formulas a contract"
    return Limit(what, reading + formulas.value)


# -- the other processes ----------------------------------------------------------------------


@contextmanager
def serving() -> Iterator[int]:
    """The gateway in a process of its own; its port."""
    words = [sys.executable, "-m", "benchmarks.scan_scaling", "serve"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        assert one.stdin is not None
        try:
            yield int(one.stdout.readline())
        finally:
            one.stdin.close()


async def serve() -> None:
    """Serve until stdin closes."""
    market = ModelMarket(universe="synthetic")
    limits = dataclasses.replace(Limits().unpaced(), history_per_10min=None)
    async with Gateway(market, profile=Profile.demo(), limits=limits) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def scanned(count: int, port: int, store: Path) -> dict[str, Any]:
    """What a scan in a process of its own says about itself."""
    words = ["scan", str(count), str(port), str(store)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scan_scaling", *words],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def scan(count: int, port: int, store: Path) -> dict[str, Any]:
    """One scan over the desk's own way, and what it took."""
    # A chain that an earlier run left would be used instead of a new one.
    settings = Settings.model_validate(
        {
            "scan": {"max_chain_age": "0s", "method": "thinned"},
            "chain": {"deadline_s": 1800},
            "web": {"enabled": False},
        }
    )
    held = Resources(settings, Origin(demo=True), simulated_store=store)
    held.stand_in = StandIn(_Served(port))  # type: ignore[arg-type]
    wanted, empty = names(count), peak_mb()
    held.open()
    began, burnt = time.perf_counter(), time.process_time()
    try:
        result = await search(held, wanted, {})
        seconds, cpu = time.perf_counter() - began, time.process_time() - burnt
        session = await held.session()
        messages = session.messages
        received = session._link.client.connectionStats().numMsgRecv
        chains = [await (await held.store()).chains.load(name) for name in wanted]
    finally:
        await held.close()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "rss": peak_mb(),
        "empty_rss": empty,
        "messages": messages,
        "received": received,
        "contracts": sum(len(chain.frame) for chain in chains if chain is not None),
        "considered": sum(one.considered for one in result.outcomes),
        "failed": sum(not one.ok for one in result.outcomes),
    }


@dataclasses.dataclass(frozen=True)
class _Served:
    """A gateway that another process runs."""

    port: int


def peak_mb() -> float:
    """The most memory this process has had; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells begins with what the parent had.
        (line,) = re.findall(
            r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii"), re.MULTILINE
        )
        return int(line) / 1e3
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


async def fill(path: Path, symbols: list[str]) -> None:
    """A year of the market's own bars and volatilities, which `prices` finds complete."""
    market = ModelMarket(universe="synthetic")
    async with Database(path) as store:
        for symbol in [*symbols, VIX]:
            con_id = (
                market.find(ContractSpec(symbol=symbol, sec_type="STK"))
                or market.find(ContractSpec(symbol=symbol, sec_type="IND"))
            )[0].con_id
            bars = market.bars(con_id, "TRADES", DAYS, market.now())
            levels = market.bars(con_id, "OPTION_IMPLIED_VOLATILITY", DAYS, market.now())
            asked = {"fetched_at": market.now(), "asked_from": bars[0].day if bars else None}
            await store.history.save_bars(_bars(symbol, bars or ()), **asked)
            await store.history.save_iv(_levels(symbol, levels or ()), **asked)


def _bars(symbol: str, bars: Any) -> Bars:
    days = np.array([bar.day for bar in bars], "datetime64[D]")
    columns = ("open", "high", "low", "close", "volume")
    return Bars(
        symbol, days, *(np.array([getattr(bar, name) for bar in bars], float) for name in columns)
    )


def _levels(symbol: str, bars: Any) -> VolSeries:
    days = np.array([bar.day for bar in bars], "datetime64[D]")
    return VolSeries(symbol, "ib30", days, np.array([bar.close for bar in bars], float))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        print(json.dumps(asyncio.run(scan(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))))
