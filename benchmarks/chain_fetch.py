"""
`tomic chain SPY --dte 15` beside two ways written plainly with ib_async, on the strict gateway.

The gateway runs in a process of its own with 20 ms latency, Greeks after 0.3 to 1.2 s and details
throttled as IB does. Ours is timed as a whole process, from start to exit; the plain ways from
before they connect to after they have closed, with the options they need handed to them.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ib_async

from tomic.export import load_chain

SEEDS = (1, 2, 3)
FAULTS = ((), ("silent:share=0.05",), ("late:share=0.05,seconds=1.5",))
PLAIN_LINES = 90
_LISTENING = re.compile(r"listening on [\d.]+:(\d+)")


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    rows = [_ours(faults) for faults in FAULTS]
    with tempfile.TemporaryDirectory() as folder, gateway(SEEDS[0], ()) as port:
        wanted = options_of(port, Path(folder))
        for name, way in (("qualify + reqTickers", tickers), ("qualify + stream", stream)):
            took, complete = asyncio.run(way(port, wanted))
            rows.append(
                {
                    "name": f"chain: plain ib_async, {name}",
                    "measured": f"{took:.1f} s, {complete} of {len(wanted)} complete",
                    "peer": f"ib_async {ib_async.__version__}",
                }
            )
    return rows


def _ours(faults: tuple[str, ...]) -> dict[str, Any]:
    walls, counts, peaks = [], {}, []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder, gateway(seed, faults, Path(folder)) as port:
            began = time.perf_counter()
            fetch(port, Path(folder))
            walls.append(time.perf_counter() - began)
            chain = load_chain(next(Path(folder).glob("exports/*/option_chain_*.csv")))
            counts = chain.counts
        peaks.append(
            (Path(folder).parent / f"gateway-{seed}-{os.getpid()}.txt").read_text(encoding="utf-8")
        )
    existing = sum(n for status, n in counts.items() if status != "unknown_contract")
    bound = 1.05 * (7 + 2 * existing + 7) / 50 + 2.0
    return {
        "name": f"chain: ours, {faults[0] if faults else 'no fault'}",
        "asked": f"<= {bound:.1f} s, median of three seeds, and <= 50 messages in any second",
        "measured": f"{statistics.median(walls):.2f} s",
        "walls": [round(wall, 2) for wall in walls],
        "ratio_to_floor": round(statistics.median(walls) / ((14 + 2 * existing) / 50), 2),
        "rows": counts,
        "gateway": [text.strip().splitlines()[-1] for text in peaks if text.strip()],
    }


@contextmanager
def gateway(seed: int, faults: tuple[str, ...], log: Path | None = None) -> Iterator[int]:
    """The simulated gateway in a process of its own."""
    words = [sys.executable, "-m", "tomic", "gateway", "--port", "0", "--seed", str(seed)]
    for fault in faults:
        words += ["--fault", fault]
    output = (log or Path(tempfile.gettempdir())).parent / f"gateway-{seed}-{os.getpid()}.txt"
    with output.open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(words, stderr=said, stdout=subprocess.DEVNULL)
        try:
            while (found := _LISTENING.search(output.read_text(encoding="utf-8"))) is None:
                time.sleep(0.05)
            yield int(found.group(1))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)


def fetch(port: int, folder: Path) -> None:
    """Our command as a whole process, in an empty home."""
    words = [sys.executable, "-m", "tomic", "chain", "SPY", "--dte", "15", "--port", str(port)]
    home = dict(os.environ, HOME=str(folder))
    subprocess.run(words, cwd=folder, env=home, capture_output=True, check=False)


def options_of(port: int, folder: Path) -> list[ib_async.Contract]:
    """The options that a chain of the defaults wants, as a plain program would describe them."""
    fetch(port, folder)
    chain = load_chain(next(folder.glob("exports/*/option_chain_*.csv")))
    return [
        ib_async.Option(
            "SPY",
            f"{row.expiry:%Y%m%d}",
            row.strike,
            row.right,
            "SMART",
            "100",
            "USD",
            tradingClass="SPY",
        )
        for row in chain.rows()
    ]


async def tickers(port: int, wanted: list[ib_async.Contract]) -> tuple[float, int]:
    """Qualify all, then snapshots in chunks of 50."""
    began, ib = time.perf_counter(), ib_async.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=11)
    found = [one for one in await ib.qualifyContractsAsync(*wanted) if one is not None]
    complete = 0
    for start in range(0, len(found), 50):
        got = await ib.reqTickersAsync(*found[start : start + 50])
        complete += sum(one.modelGreeks is not None and one.bid > 0 for one in got)
    ib.disconnect()
    return time.perf_counter() - began, complete


async def stream(port: int, wanted: list[ib_async.Contract]) -> tuple[float, int]:
    """Qualify all, then stream each under a semaphore until it has bid and Greeks."""
    began, ib = time.perf_counter(), ib_async.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=12)
    found = [one for one in await ib.qualifyContractsAsync(*wanted) if one is not None]
    gate = asyncio.Semaphore(PLAIN_LINES)

    async def one(contract: ib_async.Contract) -> bool:
        async with gate:
            ticker = ib.reqMktData(contract, "100,101,106")
            for _ in range(30):
                if ticker.modelGreeks is not None and ticker.bid > 0:
                    break
                await asyncio.sleep(0.1)
            ib.cancelMktData(contract)
            return ticker.modelGreeks is not None and ticker.bid > 0

    complete = sum(await asyncio.gather(*map(one, found)))
    await ib.reqCurrentTimeAsync()
    ib.disconnect()
    return time.perf_counter() - began, complete
