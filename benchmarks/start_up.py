"""How long each command takes to say its help, beside ``import typer`` in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

RUNS = 5
COMMANDS = (
    ("--help",),
    ("chain", "--help"),
    ("scan", "--help"),
    ("portfolio", "--help"),
    ("journal", "--help"),
    ("config", "path"),
)


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    floor = seconds("-c", "import typer")
    rows = [{"name": "start: python -c 'import typer'", "measured": f"{floor * 1e3:.0f} ms"}]
    for words in COMMANDS:
        took = seconds("-m", "tomic", *words)
        rows.append(
            {
                "name": f"start: tomic {' '.join(words)}",
                "asked": "<= 3 x import typer for --help",
                "measured": f"{took * 1e3:.0f} ms",
                "ratio": round(took / floor, 2),
            }
        )
    return rows


def seconds(*words: str) -> float:
    """Median wall time of a fresh Python with these arguments."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True, check=False)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
