"""
The table of docs/faults.md: what was tried, and how much of it ended badly.

``nox -s fuzz -- … --page`` writes the rows of the kinds that it tried; ``python -m
benchmarks.fuzz.record FILE…`` does so from the JSON of earlier runs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fuzz import (
    clocks,
    command_lines,
    corpora,
    environments,
    files,
    gateways,
    pages,
    signals,
    sizes,
    stores,
    writers,
)

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD = "## Hostile input"
_NEXT = "## Messages of real gateways"
_ABOVE = """\
Made by `nox -s fuzz`, which says of every case how it must end: a documented exit code, one message
for people, no traceback, no control code and no account number on the terminal, its deadline kept
within 2 s, 300 MB at most, no half file, no process left behind, the store sound, and nothing lost
that was said to be written. `--page` writes the rows of what was tried; everything follows from
the seed, and what fails is printed with the command that repeats it. What ended badly is mended
since, and tried by the suite (`tests/corpus`).

| tried | cases | ended badly | command |
| --- | --- | --- | --- |
"""


class _Row(NamedTuple):
    label: str
    kinds: str
    """After ``--kinds``."""
    drawn: bool = True
    """Whether ``--cases`` says how many."""


_ROWS: Mapping[str, _Row] = {
    command_lines.KIND: _Row("command lines", "lines"),
    files.KIND: _Row("mutated files", "files"),
    environments.KIND: _Row("environments, streams, disks, permissions", "environments", False),
    clocks.KIND: _Row("clocks from 1970 to 2200", "clocks", False),
    sizes.KIND: _Row("bombs, devices, pipes, depths and sizes", "sizes", False),
    stores.KIND: _Row("states of a store", "stores", False),
    gateways.KIND: _Row("a hostile gateway", "gateways"),
    pages.KIND: _Row("hostile pages and Flex services", "pages"),
    f"{signals.KIND}: KILL": _Row("kill -9 at random moments", "signals"),
    f"{signals.KIND}: others": _Row("signals at random moments", "signals"),
    writers.KIND: _Row("ten writers at once", "writers"),
    corpora.KIND: _Row("files that once broke something", "corpus", False),
}
"""By the kind of the cases, as the table shows them."""


def rows(document: Mapping[str, Any]) -> dict[str, str]:
    """A line of the table by label, for each kind that a run of the fuzzer tried."""
    tried: dict[str, list[int]] = {}
    parts: dict[str, int] = {}
    for kind in document["kinds"]:
        head = kind["kind"] if kind["kind"] in _ROWS else kind["kind"].partition(":")[0]
        counts = tried.setdefault(head, [0, 0])
        counts[0] += kind["tried"]
        counts[1] += kind["bad"]
        parts[head] = parts.get(head, 0) + 1
    of_option: dict[str, int] = {}
    for head, (cases, _) in tried.items():
        of_option[_ROWS[head].kinds] = of_option.get(_ROWS[head].kinds, 0) + cases
    made = {}
    for head, (cases, bad) in tried.items():
        row = _ROWS[head]
        label = f"{row.label}, {parts[head]} kinds" if parts[head] > 1 else row.label
        number = f" --cases {of_option[row.kinds]} --seed {document['seed']}" if row.drawn else ""
        command = f"`nox -s fuzz -- --kinds {row.kinds}{number}`"
        made[row.label] = f"| {label} | {cases:,} | {bad:,} | {command} |"
    return made


def page(text: str, documents: Iterable[Mapping[str, Any]]) -> str:
    """The page *text* with the rows of *documents*; other rows stay."""
    before, _, messages = text.partition(_NEXT)
    above, _, table = before.partition(HEAD)
    lines = {}
    for row in _ROWS.values():
        kept = re.search(rf"^\| {re.escape(row.label)}(?:, \d+ kinds)? \| .*$", table, re.MULTILINE)
        if kept:
            lines[row.label] = kept[0]
    for document in documents:
        lines |= rows(document)
    ordered = [lines[row.label] for row in _ROWS.values() if row.label in lines]
    section = "\n".join([HEAD, "", _ABOVE + "\n".join(ordered), ""])
    return f"{above.rstrip()}\n\n{section}\n" + (f"{_NEXT}{messages}" if messages else "")


def write(*documents: Mapping[str, Any]) -> None:
    """Write the rows of *documents* into docs/faults.md."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), documents), encoding="utf-8")


if __name__ == "__main__":
    write(*(json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]))
