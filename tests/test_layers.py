"""Imports only point down, and foreign packages are known in one place each."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests import house

import tomic

SOURCE = Path(tomic.__file__).parent

FLOORS = {
    "_drawing": 0,
    "_keywords": 0,
    "_lazy": 0,
    "_typing": 0,
    "_version": 0,
    "errors": 0,
    "masking": 0,
    "outside": 0,
    "disk": 1,
    "quant": 1,
    "config": 2,
    "dates": 2,
    "figures": 2,
    "models": 2,
    "wire": 2,
    "chain": 3,
    "evidence": 3,
    "journal": 3,
    "legs": 3,
    "notices": 3,
    "portfolio": 3,
    "selection": 3,
    "strategies": 3,
    "valuation": 3,
    "files": 4,
    "flex": 4,
    "ib": 4,
    "notify": 4,
    "sim": 4,
    "store": 4,
    "web": 4,
    "workflows": 5,
    "desk": 6,
    "testing": 6,
    "present": 7,
    "report": 7,
    "cli": 8,
    "panel": 8,
}

PEERS = {
    ("cli", "panel"),  # the command that opens the panel
    ("config", "models"),
    ("dates", "models"),
    ("evidence", "chain"),
    ("evidence", "strategies"),  # the scan's own gates, rules, score and walk
    ("journal", "selection"),  # which expiry to roll to
    ("journal", "strategies"),  # marks and what to expect of the legs of an entry
    ("legs", "strategies"),  # the shapes of the catalogue, by name
    ("portfolio", "legs"),
    ("portfolio", "strategies"),  # how a trade fits the book
    ("report", "present"),  # numbers as text
    ("strategies", "chain"),
    ("strategies", "selection"),
    ("strategies", "valuation"),  # forwards and discount factors
    ("valuation", "chain"),
}
"""Who may import whom on one floor."""

ONLY_IN = {
    "aiosqlite": {"store"},
    "apprise": {"notify"},
    "httpx": {"flex", "web"},
    "ib_async": {"ib"},
    "matplotlib": {"report"},
    "pytest": {"testing"},
    "rich": {"cli", "panel"},
    "selectolax": {"web"},
    "sqlite3": {"store"},
    "textual": {"panel"},
    "typer": {"cli"},
}

NEVER_IN_KERNELS = {"asyncio", "datetime", "logging", "pandas", "pydantic", "time"}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part(path: Path) -> str:
    """The top-level part of the package that a file belongs to."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@cache
def imported(path: Path) -> set[str]:
    """Every module a file imports, with or without running it; the name of each as written."""
    found = set()
    for node in house.imports(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module and node.level == 0:
            found.add(node.module)
            if node.module == "tomic":
                found |= {f"tomic.{alias.name}" for alias in node.names}
    return found


def test_imports_point_down():
    """A module imports only from floors below its own, or from its own part."""
    wrong = []
    for path in modules():
        here = part(path)
        if here in ("__init__", "__main__"):
            continue
        for name in imported(path):
            there = name.split(".")[1] if name.startswith("tomic.") else here
            if there not in FLOORS or there == here or (here, there) in PEERS:
                continue
            if FLOORS[there] >= FLOORS[here]:
                wrong.append(f"{path.relative_to(SOURCE)} (floor {FLOORS[here]}): {name}")

    assert wrong == []


def test_foreign_packages_stay_where_they_belong():
    """ib_async, sqlite, typer and the like are imported by one part of the package each."""
    wrong = []
    for path in modules():
        here = part(path)
        for name in imported(path):
            package = name.split(".")[0]
            foreign = here not in ONLY_IN.get(package, {here})
            slow = package in NEVER_IN_KERNELS or name == "scipy.stats"
            if foreign or (here == "quant" and slow):
                wrong.append(f"{path.relative_to(SOURCE)}: {name}")

    assert wrong == []


def test_every_part_has_a_floor():
    """A new top-level module must be given a floor before it can be imported."""
    parts = {part(path) for path in modules()} - {"__init__", "__main__"}

    assert parts <= set(FLOORS), "give it its floor in FLOORS of this file"


def test_edges_do_not_import_each_other():
    """The simulator stays an independent witness, and no edge leans on another."""
    edges = {name for name, floor in FLOORS.items() if floor == 4}

    for path in modules():
        here = part(path)
        if here in edges:
            others = {name.split(".")[1] for name in imported(path) if name.startswith("tomic.")}
            assert not others & (edges - {here})
