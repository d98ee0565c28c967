"""
`tomic chain` beside two ways written plainly with ib_async, on the strict gateway.

The gateway runs in a process of its own with 20 ms latency, Greeks after 0.3 to 1.2 s and details
throttled as IB does. Every program is timed as a whole process, from start to exit; the plain ones
get the options they need handed to them. Ours and theirs take turns, a seed at a time.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ib_async
from benchmarks.figures import Limit, Peer, Row, Sample, fact, figure

SEEDS = (1, 2, 3)
FAULTS = ((), ("silent:share=0.05",), ("late:share=0.05,seconds=1.5",))
FIVE = ("SPY", "QQQ", "IWM", "AAPL", "TSLA")
WAYS = {"tickers": "qualify + reqTickers", "stream": "qualify + stream, semaphore"}
RATES = (45, 30, 20)
"""Messages a second of ib_async's own throttle: its default and, where that loses some, less."""
PATIENCE_S = 50.0
MESSAGES_PER_S = 50.0
GATEWAY_LOG = "gateway.txt"
_LISTENING = re.compile(r"listening on [\d.]+:(\d+)")
_FULLEST = re.compile(r"at most (\d+) in a second")
_ROOT = Path(__file__).parents[1]


@dataclass
class Fetched:
    """Runs of our command: seconds, the chains of the last run, and what the gateways said."""

    walls: list[float] = field(default_factory=list)
    chains: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@dataclass
class Plain:
    """Runs of a plain way."""

    rate: int = RATES[0]
    walls: list[float] = field(default_factory=list)
    complete: list[int] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    """Of runs that did not end: seed, rate, messages lost, and why."""

    @property
    def hopeless(self) -> bool:
        """Whether no rate is left to try."""
        return len(self.given_up) == len(RATES)


def run() -> list[Row]:
    """Ours and the plain ways, then ours with faults, then five symbols."""
    ours, plain = Fetched(), {way: Plain() for way in WAYS}
    for seed in SEEDS:
        fetched(ours, seed, ())
        for way, runs in plain.items():
            attempt(runs, way, seed, ours.chains[0])
    rows = [_ours("SPY, no fault", ours, 2.0), *_beside(ours, plain)]
    for faults in FAULTS[1:]:
        runs = Fetched()
        for seed in SEEDS:
            fetched(runs, seed, faults)
        rows.append(_ours(f"SPY, {faults[0]}", runs, 2.0))
    five = Fetched()
    for seed in SEEDS:
        fetched(five, seed, (), FIVE)
    return [*rows, _ours(" ".join(FIVE), five, 2.5)]


def _ours(name: str, runs: Fetched, apart_s: float) -> Row:
    """
    A row of our command.

    Args:
        apart_s: Seconds that are granted beside those of the messages.
    """
    limit = _budget(runs)
    peaks = [int(one) for line in runs.said for one in _FULLEST.findall(line)]
    fullest = f", at most {max(peaks)} messages in a second" if peaks else ""
    return figure(
        f"chain: {name}{fullest}",
        Sample(tuple(runs.walls)),
        "s",
        asked=f"<= {1.05 * limit.value + apart_s:.1f} s, <= 50 messages/s",
        limit=limit,
        rows=dict(_statuses(runs)),
        gateway=runs.said,
    )


def _statuses(runs: Fetched) -> Counter[str]:
    return Counter(row["status"] for chain in runs.chains for row in chain["rows"])


def _budget(runs: Fetched) -> Limit:
    """The messages that the chains need, at IB's pace."""
    counts = _statuses(runs)
    existing = counts.total() - counts["unknown_contract"]
    expiries = sum(len({row["expiry"] for row in chain["rows"]}) for chain in runs.chains)
    messages = expiries + 2 * existing + 3 + 4 * len(runs.chains)
    return Limit(f"{messages} messages at 50/s", messages / MESSAGES_PER_S)


def _beside(ours: Fetched, plain: dict[str, Plain]) -> list[Row]:
    rows: list[Row] = []
    for way, runs in plain.items():
        name = f"chain: SPY beside {WAYS[way]}"
        rows += [fact(f"{name}: gave up", text) for text in runs.given_up]
        if runs.walls:
            rows_had = "/".join(map(str, runs.complete))
            peer = f"ib_async {ib_async.__version__} at {runs.rate}/s, {rows_had} rows complete"
            row = figure(
                name,
                Sample(tuple(ours.walls)),
                "s",
                peer=Peer(peer, Sample(tuple(runs.walls))),
                limit=_budget(ours),
            )
            rows.append(row)
    return rows


# -- running ----------------------------------------------------------------------------------


def fetched(
    runs: Fetched, seed: int, faults: Sequence[str], symbols: Sequence[str] = ("SPY",)
) -> None:
    """Run our command once more."""
    with tempfile.TemporaryDirectory() as folder:
        with gateway(seed, faults, Path(folder)) as port:
            began = time.perf_counter()
            text = fetch(port, Path(folder), symbols)
            runs.walls.append(time.perf_counter() - began)
        said = (Path(folder) / GATEWAY_LOG).read_text(encoding="utf-8")
    found = json.loads(text)
    runs.chains = found if isinstance(found, list) else [found]
    runs.said += [line for line in said.splitlines() if line.startswith("served ")]


def attempt(runs: Plain, way: str, seed: int, chain: dict[str, Any]) -> None:
    """
    Run a plain program once more, with fewer messages a second where it did not end.

    A way that did not end at the lowest rate is not tried again.
    """
    if runs.hopeless:
        return
    rows = chain["rows"]
    wanted = [[row["expiry"].replace("-", ""), row["strike"], row["right"]] for row in rows]
    for rate in [rate for rate in RATES if rate <= runs.rate]:
        runs.rate = rate
        with tempfile.TemporaryDirectory() as folder, gateway(seed, (), Path(folder)) as port:
            words = [way, str(port), str(rate), str(PATIENCE_S)]
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.plain_chain", *words],
                input=json.dumps(wanted),
                cwd=_ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            took = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{way}: {done.stderr.strip()[-500:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if not found["gave_up"]:
            runs.walls.append(took)
            runs.complete.append(found["complete"])
            return
        runs.given_up.append(
            f"seed {seed}, {rate}/s: {found['lost']} messages lost, {found['gave_up']}"
        )


@contextmanager
def gateway(seed: int, faults: Sequence[str], folder: Path) -> Iterator[int]:
    """The simulated gateway in a process of its own, which keeps its log in *folder*; its port."""
    log = folder / GATEWAY_LOG
    words = [sys.executable, "-m", "tomic", "gateway", "--port", "0", "--seed", str(seed)]
    for fault in faults:
        words += ["--fault", fault]
    with log.open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(words, stderr=said, stdout=subprocess.DEVNULL)
        try:
            while (found := _LISTENING.search(log.read_text(encoding="utf-8"))) is None:
                if process.poll() is not None:
                    raise RuntimeError(f"the gateway ended: {log.read_text(encoding='utf-8')}")
                time.sleep(0.05)
            yield int(found.group(1))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def fetch(port: int, home: Path, symbols: Sequence[str]) -> str:
    """Our command as a whole process, in an empty home; its JSON."""
    words = ["chain", *symbols, "--dte", "15", "--json", "--port", str(port)]
    done = subprocess.run(
        [sys.executable, "-m", "tomic", *words],
        cwd=home,
        env=dict(os.environ, HOME=str(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
