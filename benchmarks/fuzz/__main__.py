"""
Fuzz TOMIC: ``python -m benchmarks.fuzz [--seed N] [--minutes M] [--kinds …] [--workers N]``.

``--cases 500 lines=20000`` says how many of each drawn kind are tried, instead of for how long.

Prints what was tried and what went wrong, writes the same as JSON and a reproduction file for each
distinct cause, and ends with 1 where there is any. ``--replay FILE`` runs reproductions again; with
``--cases`` new ones are tried after them, in the same process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.fuzz import (
    cases,
    clocks,
    command_lines,
    corpora,
    environments,
    files,
    gateways,
    pages,
    processes,
    record,
    signals,
    sizes,
    specimens,
    stores,
    writers,
)
from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.judge import Fault
from benchmarks.fuzz.shrinking import shrink
from benchmarks.fuzz.trials import Trials, Verdict

KINDS = (
    "corpus", "environments", "clocks", "stores", "sizes", "lines", "files", "gateways", "pages",
    "signals", "writers",
)  # fmt: skip


_TELL_EVERY_S = 60.0


@dataclass(slots=True)
class Finding:
    """Every fault of one cause."""

    fault: Fault
    case: Case
    times: int = 1
    file: str = ""
    """Where its reproduction was written."""


@dataclass(slots=True)
class Tally:
    """What was tried and what was found."""

    tried: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    """Kind of case to the reason, the last one of several."""
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> list[Finding]:
        """Count a verdict; return the causes that are new."""
        kind = verdict.case.kind
        if verdict.skipped:
            self.skipped[kind] = verdict.skipped
            return []
        self.tried[kind] += 1
        self.bad[kind] += bool(verdict.faults)
        new: list[Finding] = []
        for fault in verdict.faults:
            if fault.cause in self.findings:
                self.findings[fault.cause].times += 1
            else:
                new.append(Finding(fault, verdict.case))
                self.findings[fault.cause] = new[-1]
        return new

    def table(self) -> str:
        """Kinds with their counts, then causes with theirs."""
        width = max(map(len, [*self.tried, "kind"]))
        rows = [f"{'kind':{width}}  tried    bad"]
        for kind in sorted(self.tried):
            rows.append(f"{kind:{width}}  {self.tried[kind]:5d}  {self.bad[kind]:5d}")
        rows.append(f"{'all':{width}}  {self.tried.total():5d}  {self.bad.total():5d}")
        rows += [f"skipped: {kind}: {why}" for kind, why in sorted(self.skipped.items())]
        for found in sorted(self.findings.values(), key=lambda one: -one.times):
            rows.append(f"{found.times:5d}  {found.fault.what}: {found.fault.cause}  {found.file}")
        return "\n".join(rows)

    def document(self, **more: Any) -> dict[str, Any]:
        """The same as JSON."""
        return {
            **more,
            "kinds": [
                {"kind": kind, "tried": self.tried[kind], "bad": self.bad[kind]}
                for kind in sorted(self.tried)
            ],
            "skipped": self.skipped,
            "causes": [
                {
                    "what": found.fault.what,
                    "cause": found.fault.cause,
                    "where": found.fault.where,
                    "times": found.times,
                    "case": found.case.name,
                    "commands": [list(one.words) for one in found.case.commands],
                    "detail": found.fault.detail,
                    "reproduction": found.file,
                }
                for found in self.findings.values()
            ],
        }


def main(words: Sequence[str] | None = None) -> int:
    """Try cases until the time is up; return 1 where any ended badly."""
    given = _arguments(words)
    base = processes.warm()
    if processes.is_root() and not processes.may_be_started_by_nobody():
        print("as root: commands in forks run as nobody, those started anew as root", flush=True)
    again = [(path, cases.read(path)[0]) for path in _files(given.replay or ())]
    is_drawn = not again or bool(given.cases)
    needed = is_drawn or any(not case.bare for _, case in again)
    code = 0
    with tempfile.TemporaryDirectory(prefix="tomic-fuzz-") as name:
        prepared = _prepared(Path(name).resolve()) if needed else None
        with contextlib.closing(Trials(prepared, base, given.deadline)) as trials:
            if again:
                code = replay(again, trials, given.json)
            return max(code, search(given, trials)) if is_drawn else code


def search(given: argparse.Namespace, trials: Trials) -> int:
    """Try what is fixed and what is drawn, and tell; return 1 where any ended badly."""
    tally = Tally()
    began = said = time.monotonic()
    try:
        for verdict in _tried(given, trials, began):
            _tell(tally.add(verdict), given, trials, tally)
            if time.monotonic() - said > _TELL_EVERY_S:
                said = time.monotonic()
                counts = f"{tally.tried.total()} tried, {tally.bad.total()} bad"
                print(f"{(said - began) / 60:.0f} min: {counts}", flush=True)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    if "clocks" in given.kinds and clocks.absent():
        tally.skipped[clocks.KIND] = clocks.absent()
    for absent in corpora.absent() if "corpus" in given.kinds else ():
        tally.skipped[f"corpus: {absent}"] = f"no {absent} in {corpora.SHARED.name}"
    print(tally.table())
    minutes = round((time.monotonic() - began) / 60, 1)
    document = tally.document(seed=given.seed, minutes=minutes, python=sys.version.split()[0])
    given.out.mkdir(parents=True, exist_ok=True)
    to = given.out / "fuzz.json" if given.replay else given.json or given.out / "fuzz.json"
    to.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    if given.page:
        record.write(document)
    return 1 if tally.findings else 0


def _files(paths: Sequence[Path]) -> list[Path]:
    """*paths*, of folders every reproduction in them."""
    return [
        one for path in paths for one in (sorted(path.glob("*.json")) if path.is_dir() else [path])
    ]


def replay(again: Sequence[tuple[Path, Case]], trials: Trials, to: Path | None = None) -> int:
    """Run reproductions *again*; return 1 where any ended badly."""
    results: list[dict[str, Any]] = []
    for path, case in again:
        verdict = trials.attempt(case)
        causes = [fault.cause for fault in verdict.faults]
        print(f"{path.name}: {verdict.skipped or '; '.join(causes) or 'ended well'}")
        if to is None:
            for fault in verdict.faults:
                print(f"  {fault.what} at {fault.where or '?'}\n{fault.detail}")
        results.append({"file": path.name, "causes": causes, "skipped": verdict.skipped})
    if to is not None:
        to.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 1 if any(one["causes"] for one in results) else 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="everything random follows from it")
    parser.add_argument("--minutes", type=float, default=5.0, help="for what is drawn")
    parser.add_argument(
        "--cases",
        nargs="+",
        type=_count,
        default=(),
        metavar="[KIND=]N",
        help="of each drawn kind, or KIND=N, instead of minutes",
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first drawn case")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: fuzz.json in --out")
    parser.add_argument("--page", action="store_true", help="write the table of docs/faults.md")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="of every command")
    parser.add_argument("--no-shrink", action="store_true", help="keep reproductions as found")
    return parser.parse_args(words)


def _count(typed: str) -> tuple[str, int]:
    kind, _, number = typed.rpartition("=")
    if kind and kind not in KINDS:
        raise argparse.ArgumentTypeError(f"no kind {kind}")
    return kind, int(number)


def _prepared(folder: Path) -> Path:
    home, temporary = folder / "home", folder / "tmp"
    folder.chmod(0o755)
    for made in (home, temporary, folder / "matplotlib"):
        made.mkdir()
        made.chmod(0o777)
    specimens.prepare(home, temporary)
    return home


def _tell(new: Sequence[Finding], given: argparse.Namespace, trials: Trials, tally: Tally) -> None:
    """Print new causes and write a small reproduction of each."""
    for finding in new:
        fault = finding.fault
        if not given.no_shrink and fault.what != "hang":

            def fails(case: Case, cause: str = fault.cause) -> bool:
                return any(one.cause == cause for one in trials.attempt(case).faults)

            finding.case = shrink(finding.case, fails, prepared=trials.prepared)
        number = len([one for one in tally.findings.values() if one.file]) + 1
        slug = "".join(letter if letter.isalnum() else "_" for letter in fault.cause)[:70]
        path = given.out / f"{number:03d}_{slug}.json"
        cases.write(path, finding.case, cause=fault.cause, where=fault.where, detail=fault.detail)
        finding.file = str(path)
        line = " ; ".join(" ".join(one.words)[:200] for one in finding.case.commands)
        print(f"{fault.what}: {fault.cause} [{fault.where}]\n    tomic {line!a}")
        print(f"    again: python -m benchmarks.fuzz --replay {path}", flush=True)


# -- trying ------------------------------------------------------------------------------------


def _tried(given: argparse.Namespace, trials: Trials, began: float) -> Iterator[Verdict]:
    """Verdicts as they come: fixed cases first, then drawn ones of each kind in turn."""
    workers = max(1, given.workers)
    if workers == 1:
        yield from _work(given, trials, began, 0, 1)
        return
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    hands = [
        context.Process(target=_hand, args=(results, given, trials, began, one, workers))
        for one in range(workers)
    ]
    for hand in hands:
        hand.start()
    try:
        working = workers
        while working:
            verdict = results.get()
            if verdict is None:
                working -= 1
            elif isinstance(verdict, str):
                raise RuntimeError(f"the fuzzer itself: {verdict}")
            else:
                yield verdict
    finally:
        for hand in hands:
            hand.terminate()
            hand.join()


def _hand(
    results: Any, given: argparse.Namespace, trials: Trials, began: float, one: int, workers: int
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for verdict in _work(given, trials, began, one, workers):
            results.put(verdict)
    except Exception:
        results.put(traceback.format_exc())
    finally:
        trials.close()
        results.put(None)


def _work(
    given: argparse.Namespace, trials: Trials, began: float, one: int, workers: int
) -> Iterator[Verdict]:
    """The share of worker *one*: every so-many-th case, so that a case never depends on speed."""
    assert trials.prepared is not None
    known = specimens.proposals(trials.prepared)
    fixed: list[Case] = []
    if "corpus" in given.kinds:
        fixed += corpora.ours()
        fixed += corpora.robustness(known) if "robustness" not in corpora.absent() else ()
        fixed += corpora.brokers() if "broker" not in corpora.absent() else ()
    if "environments" in given.kinds:
        fixed += environments.cases()
    if "clocks" in given.kinds and not clocks.absent():
        fixed += clocks.cases(trials.prepared)
    if "stores" in given.kinds:
        fixed += stores.cases(trials.prepared)
    for case in fixed[one::workers]:
        yield trials.attempt(case)
    # One at a time: each is as large as it can be.
    for number in range(one, sizes.count() if "sizes" in given.kinds else 0, workers):
        yield trials.attempt(sizes.case(given.seed, number, known))
    counts = dict(given.cases)
    makers = _makers(given, trials.prepared, known)
    started = time.monotonic()
    for number in count(given.first + one, workers):
        over = time.monotonic() - started > given.minutes * 60
        asked = {
            kind: make
            for kind, make in makers.items()
            if (number - given.first < counts.get(kind, counts.get("", 0)) if counts else not over)
        }
        if not asked:
            return
        for make in asked.values():
            yield trials.attempt(make(number))


def _makers(
    given: argparse.Namespace, prepared: Path, known: list[str]
) -> dict[str, Callable[[int], Case]]:
    """What draws a case of each kind that is asked for, by its number."""
    makers: dict[str, Callable[[int], Case]] = {
        "lines": lambda number: command_lines.case(given.seed, number, known),
        "files": lambda number: files.case(given.seed, number, prepared, known),
        "gateways": lambda number: gateways.case(given.seed, number),
        "pages": lambda number: pages.case(given.seed, number),
        "signals": lambda number: signals.case(given.seed, number),
        "writers": lambda number: writers.case(given.seed, number),
    }
    return {kind: make for kind, make in makers.items() if kind in given.kinds}


if __name__ == "__main__":
    # Nothing of the surroundings reaches a case, and a case's folder must be left by then.
    os.umask(0o022)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
