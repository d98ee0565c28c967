"""
Measure TOMIC beside its peers: ``python -m benchmarks [PART …] [--json FILE] [--page]``.

Parts: chain, quant, scan, store, portfolio, start, panel, growth, evidence, backtest, manage; all
of them without arguments. Each row holds a median with its range, the peer that was measured in
turns with it, and a stated limit. A part that fails says so, the others go on, and the exit code
is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Row, elementary_ns, markdown

PARTS = {
    "chain": ("chain_fetch",),
    "quant": ("quant_options", "quant_volatility", "quant_structures"),
    "scan": ("scan_search", "scan_messages", "scan_scaling"),
    "store": ("store", "prices_and_vol", "journal"),
    "portfolio": ("portfolio",),
    "start": ("start_up",),
    "panel": ("panel_latency",),
    "growth": ("growth",),
    "evidence": ("evidence",),
    "backtest": ("backtest",),
    "manage": ("manage",),
}
PATIENCE_S = 1800
"""After this a module is given up."""
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> int:
    """Run the chosen parts, print each table as it comes, write JSON and page where asked."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all when left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here as well")
    parser.add_argument(
        "--page", action="store_true", help="put the tables into docs/performance.md as well"
    )
    chosen = parser.parse_args()
    about = machine()
    print(" · ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    rows: list[Row] = []
    began = time.perf_counter()
    for part in chosen.part or PARTS:
        for name in PARTS[part]:
            rows += measured(part, name)
            # After every module, so that a run that is cut off leaves what it had.
            if chosen.json:
                document = {"machine": about, "rows": rows}
                text = json.dumps(document, indent=2, default=str) + "\n"
                chosen.json.write_text(text, encoding="utf-8")
    about["minutes"] = f"{(time.perf_counter() - began) / 60:.0f}"
    failed = [row["name"] for row in rows if "failed" in row]
    if chosen.page:
        write_page(PAGE, page(rows, about))
    print(f"{len(rows)} figures in {about['minutes']} min", file=sys.stderr)
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return 1 if failed else 0


def machine() -> dict[str, str]:
    """What the figures belong to."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "np.exp": f"{elementary_ns()['exp']:.2f} ns",
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def measured(part: str, module: str) -> list[Row]:
    """The rows of one module; one that says ``failed`` when it cannot be measured."""
    began = time.perf_counter()
    print(f"\n{part}: {module}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = [sys.executable, "-m", "benchmarks.alone", module, str(file)]
        # A process of its own: no part sees the memory, the caches or the end of another.
        with subprocess.Popen(words, cwd=ROOT, start_new_session=True) as process:
            try:
                code = process.wait(PATIENCE_S)
                reason = "" if code == 0 else f"ended with exit code {code}; see above"
            except subprocess.TimeoutExpired:
                stop(process)
                reason = f"not done within {PATIENCE_S} s"
        rows: list[Row] = [{"name": f"{part}: {module}", "failed": reason}]
        if not reason:
            rows = json.loads(file.read_text(encoding="utf-8"))
    for row in rows:
        if "failed" in row:
            print(f"failed: {row['name']}: {row['failed']}", flush=True)
    print(f"({module}: {time.perf_counter() - began:.0f} s)", flush=True)
    return [{"part": part, **row} for row in rows]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and, where the system can, all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.kill()


def page(rows: list[Row], about: dict[str, str]) -> str:
    """The tables of a page, a part at a time."""
    parts = list(dict.fromkeys(row["part"] for row in rows))
    words = " ".join(parts) if set(parts) != set(PARTS) else ""
    command = f"`nox -s bench -- {words} --page`".replace("  ", " ")
    facts = " · ".join(f"{key} {value}" for key, value in about.items())
    tables = [
        f"### {part}\n\n{markdown([row for row in rows if row['part'] == part])}" for part in parts
    ]
    return "\n\n".join([f"Made by {command}: {facts}.", *tables])


def write_page(file: Path, text: str) -> None:
    """Put *text* between the markers of *file*."""
    old = file.read_text(encoding="utf-8")
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
