"""
Every fault of TWS, the market and the network against the real command, and what survives.

``python -m benchmarks.faults`` prints the table and writes docs/faults.md. Each row is one run of
``tomic chain`` in a process of its own against a simulated gateway with that fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks.chain_fetch import gateway

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
HOSTILE = "## Hostile input"
MESSAGES = "## Messages of real gateways"
"""What follows is made by tests/support/wire_messages.py."""
TIMEOUT_S = 30
RULES = ("--monthlies", "1", "--weeklies", "1", "--strike-range", "6")


class Case(NamedTuple):
    """A fault and what it stands for."""

    fault: str
    meaning: str


CASES = (
    Case("", "no fault"),
    Case("silent:share=0.05", "5 % of the options never answer"),
    Case("silent:share=0.2,first_n=1", "20 % answer only when asked again"),
    Case("late:share=0.05,seconds=1.5", "5 % answer 1.5 s late"),
    Case("slow:rate=60000,latency=.25", "a slow link: 60 kB/s, a quarter of a second each way"),
    Case("stalls", "a gateway on a busy machine reads nothing for 60 ms now and then"),
    Case("illegal_ticks", "321: newer TWS refuse generic tick 104"),
    Case("illegal_ticks:ids=106,listed=0", "321 that does not list the legal ticks"),
    Case("no_greeks", "TWS minimised: no Greeks"),
    Case("no_quotes:share=0.1", "10 % have no quote (-1)"),
    Case("pacing_strike:at=20", "error 100: a message is lost"),
    Case("lines_taken:lines=80", "error 101: other programs hold lines"),
    Case("refuse:code=200,strike=590.0", "200: contracts refused as unknown"),
    Case("refuse:code=321,on=details,share=1", "321 on details requests"),
    Case("client_id_in_use:ids=100", "326: the client id is taken"),
    Case("not_subscribed:code=354", "354: no live data, delayed allowed"),
    Case("not_subscribed:code=10089", "10089: no live data"),
    Case("not_subscribed:code=10168", "10168: no live data"),
    Case("not_subscribed:code=10089,repeated=1", "10089 again, then delayed data"),
    Case("not_subscribed:code=10186", "10186: delayed data must be asked for"),
    Case("not_subscribed:code=354,delayed=0,kinds=option", "354 for every option, no data at all"),
    Case("not_subscribed:code=354,strike=590.0", "354 for single contracts only"),
    Case("advised:codes=10089", "10089 beside delayed data"),
    Case("advised:codes=354+10167", "354, then 10167 and delayed data"),
    Case("advised:codes=10186", "10186 beside delayed data"),
    Case("advised:codes=10091,data=live,kinds=option", "10091, and the model all the same"),
    Case("advised:codes=10999,data=live", "a code that nobody knows, beside live data"),
    Case("advised:codes=10999,data=none,kinds=option", "such a code, and no data"),
    Case("partially_subscribed:code=10090", "10090: quotes without Greeks"),
    Case("partially_subscribed:code=10091", "10091: quotes without Greeks"),
    Case("delayed", "10167: delayed instead of live"),
    Case("competing", "10197: a competing session"),
    Case("connectivity_lost:after=40,restored_after=3,code=1101", "1100, then 1101: data lost"),
    Case("connectivity_lost:after=40,restored_after=3,code=1102", "1100, then 1102: data kept"),
    Case("server_broken:after=40,restored_after=3", "2110: TWS lost its server"),
    Case("farm_broken:code=2103,after=40,restored_after=3", "2103: market data farm"),
    Case("farm_broken:code=2157,after=3,restored_after=3", "2157: contract details farm"),
    Case("drop_after:messages=60", "the socket closes in mid-run"),
    Case("restart:after=60,down_for=3", "TWS restarts in mid-run"),
    Case("garble:after=60", "garbage on the wire"),
    Case("truncate:after=60", "a truncated frame"),
    Case("deaf:after=60", "an open socket that no longer answers"),
    Case("no_common_version", "no version of the API in common"),
    Case("newer_server:version=203", "a version above ours"),
    Case("turned_away:code=10141", "10141: the disclaimer of paper accounts"),
    Case("turned_away:code=503", "503: TWS is out of date"),
    Case("not_subscribed:code=354,kinds=stock", "354 for the underlying alone"),
    Case("no_next_valid_id", "nextValidId never comes"),
    Case("no_handshake", "no handshake at all"),
    Case("close_on_connect", "the gateway hangs up at once"),
)


class Survived(NamedTuple):
    """What one run left."""

    code: int
    seconds: float
    rows: Counter[str]
    said: str


def survive(case: Case) -> Survived:
    """Run the command under *case*."""
    faults = (case.fault,) if case.fault else ()
    with tempfile.TemporaryDirectory() as folder, gateway(1, faults, Path(folder)) as port:
        words = [sys.executable, "-m", "tomic", "chain", "SPY", *RULES, "--json", "--no-export"]
        words += ["--port", str(port), "--timeout", str(TIMEOUT_S)]
        began = time.perf_counter()
        done = subprocess.run(
            words,
            cwd=folder,
            env=dict(os.environ, HOME=folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S + 30,
        )
        took = time.perf_counter() - began
    rows: Counter[str] = Counter()
    if done.stdout.strip():
        rows = Counter(row["status"] for row in json.loads(done.stdout)["rows"])
    notes = [line for line in done.stderr.splitlines() if line.startswith(("note:", "{", "tomic:"))]
    return Survived(done.returncode, took, rows, notes[0] if notes else "")


def line(case: Case, one: Survived) -> str:
    """A row of the table."""
    rows = ", ".join(f"{n} {status}" for status, n in one.rows.most_common()) or "none"
    said = one.said.replace("|", "\\|")[:150]
    return (
        f"| `{case.fault or 'none'}` | {case.meaning} | {one.code} | {rows} "
        f"| {one.seconds:.1f} | {said} |"
    )


def main() -> None:
    """Print every case as it ends, then write the page."""
    lines = [
        "# Faults survived\n",
        "Made by `nox -s faults`: each row is one `tomic chain SPY` of 2 expiries against",
        f"the simulated gateway with that fault, `--timeout {TIMEOUT_S}`.\n",
        "| fault | what it stands for | exit | rows by status | seconds | what is said |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in CASES:
        try:
            one = survive(case)
        except subprocess.SubprocessError as exc:
            one = Survived(-1, float("nan"), Counter(), f"not run: {type(exc).__name__}")
        lines.append(line(case, one))
        print(lines[-1])
    page = PAGE.read_text(encoding="utf-8")
    # What others write below stays: hostile input, if it was tried, and messages.
    below = next(head for head in (HOSTILE, MESSAGES) if head in page)
    PAGE.write_text("\n".join(lines) + f"\n\n{below}{page.partition(below)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
