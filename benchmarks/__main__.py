"""
Measure TOMIC beside its peers: ``python -m benchmarks [PART …] [--json FILE]``.

Parts: quant, chain, scan, portfolio, store, start, panel; all of them without arguments. Each row
says what is asked and what was measured on this machine, in this run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

PARTS = {
    "quant": ("quant_options", "quant_volatility", "quant_structures"),
    "chain": ("chain_fetch",),
    "scan": ("scan_search", "scan_scaling"),
    "store": ("store", "prices_and_vol", "journal"),
    "start": ("start_up",),
    "panel": ("panel_latency",),
}
FIRST = ("name", "asked", "measured")

Row = dict[str, Any]


def main() -> None:
    """Run the chosen parts and print a table, then JSON where asked."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all when left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here as well")
    chosen = parser.parse_args()
    print(
        f"python {platform.python_version()} · {platform.machine()} · {time.strftime('%Y-%m-%d')}"
    )
    rows: list[Row] = []
    for part in chosen.part or PARTS:
        for name in PARTS[part]:
            rows += measured(name)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2, default=str) + "\n", encoding="utf-8")


def measured(module: str) -> list[Row]:
    """The rows of one module, printed as they come."""
    began = time.perf_counter()
    if importlib.util.find_spec(f"benchmarks.{module}") is None:
        rows: list[Row] = [{"name": module, "skipped": "not part of this checkout"}]
    else:
        rows = importlib.import_module(f"benchmarks.{module}").run()
    for row in rows:
        print(text(row))
    print(f"  ({module}: {time.perf_counter() - began:.0f} s)", file=sys.stderr)
    return rows


def text(row: Row) -> str:
    """One row as a line for people."""
    if "skipped" in row:
        return f"{row['name']:<58} skipped: {row['skipped']}"
    rest = " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in row.items()
        if key not in FIRST
    )
    line = f"{row['name']:<58} {row.get('measured', '')}"
    if row.get("asked"):
        line += f"  (asked {row['asked']})"
    return f"{line}  {rest}".rstrip()


if __name__ == "__main__":
    main()
