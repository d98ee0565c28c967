"""Small files that once broke something: ours of ``tests/corpus``, and others where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fuzz import cases, files
from benchmarks.fuzz.cases import Case, Command
from benchmarks.fuzz.specimens import SPECIMENS, Specimen

KIND = "corpus"
ROOT = Path(__file__).parents[2]
OURS = ROOT / "tests" / "corpus"
SHARED = Path(os.environ.get("TOMIC_CASES", ROOT.parent / "shared" / "cases"))

_BY_PREFIX = {
    "activity": "broker's statement",
    "book": "saved book",
    "chain": "chain CSV",
    "config": "settings",
    "dividends": "dividends",
    "earnings": "earnings",
    "flex": "broker's Flex query",
    "journal": "original's journal",
    "orig_chain": "chain CSV of the original",
    "orig_db": "original's database",
    "original_journal": "original's journal",
    "own_json": "own journal",
    "pins": "pins",
    "sectors": "sectors",
    "session": "session",
    "session_gz": "session, compressed",
    "store": "store",
    "store_demo": "store of a demo",
    "toml": "settings",
    "universe": "universe",
}
"""What the beginning of a file's name says of its kind; the longest that fits counts."""


def ours() -> Iterator[Case]:
    """The reproductions of ``tests/corpus``."""
    for path in sorted(OURS.glob("*.json")):
        case, _ = cases.read(path)
        yield case


def robustness(proposals: list[str], folder: Path | None = None) -> Iterator[Case]:
    """Every file of the shared corpus with every command that reads its kind."""
    for path in sorted((folder or SHARED / "robustness").iterdir()):
        specimen = _specimen(path.name)
        if specimen is None:
            continue
        for reader in specimen.readers:
            yield Case(
                kind=f"{KIND}: robustness",
                name=f"{path.name}: {' '.join(reader[:2])}",
                commands=files.commands(specimen, reader, proposals),
                files={specimen.path: path.read_bytes()},
            )


def brokers(folder: Path | None = None) -> Iterator[Case]:
    """Every broker's file twice and a good one after it, all of them in turn, and saved books."""
    names = sorted((folder or SHARED / "broker").iterdir())
    tables = {path.name: path.read_bytes() for path in names if path.suffix == ".csv"}
    after = (
        Command(("journal", "import", "afterwards.csv"), codes=(0,)),
        Command(("journal", "list", "--all"), codes=(0,)),
    )
    for name, table in tables.items():
        again = Command(("journal", "import", name))
        yield Case(f"{KIND}: brokers", name, (again, again, *after), {name: table})
    for label, order in (("in turn", list(tables)), ("in reverse", list(reversed(tables)))):
        commands = [Command(("journal", "import", name)) for name in order for _ in range(2)]
        yield Case(f"{KIND}: brokers", f"all {label}", (*commands, *after), tables)
    for path in names:
        if path.suffix == ".json":
            for more in ((), ("--json",), ("--stress",)):
                yield Case(
                    f"{KIND}: brokers",
                    f"{path.name} {' '.join(more)}".strip(),
                    (Command(("portfolio", "--file", "book.json", *more)),),
                    {"book.json": path.read_bytes()},
                )


def absent() -> list[str]:
    """Which shared corpora are not here."""
    return [name for name in ("robustness", "broker") if not (SHARED / name).is_dir()]


def _specimen(name: str) -> Specimen | None:
    fitting = [prefix for prefix in _BY_PREFIX if name.startswith(f"{prefix}_")]
    if not fitting:
        return None
    kind = _BY_PREFIX[max(fitting, key=len)]
    return next(one for one in SPECIMENS if one.kind == kind)
