"""Cases of odd surroundings: charsets, zones, streams, limits, permissions, disks, folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.fuzz.cases import Case, Command, Conditions

KIND = "environments"

_LOOKING = (
    "chain SPY --demo --no-export",
    "portfolio --demo",
    "scan SPY --demo --strategy iron_condor --no-export",
    "journal list --all",
    "explain delta",
    "strategies",
    "vol SPY --stored --demo",
    "config show",
)
_WRITING = (
    "chain SPY --demo",
    "portfolio --demo",
    "journal note 1 more",
    "journal export --out out.json",
    "report journal --html out.html --demo",
    "record out.jsonl chain SPY --demo",
    "store backup out.db",
    "store restore copy.db",
    "store check",
    "config set chain.min_dte 20",
    "store import earnings.csv",
    "prices QQQ --demo",
    "run morning --demo",
)
_CHARSETS: tuple[Mapping[str, str | None], ...] = (
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp437"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANG": "", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)
_VARIABLES: tuple[tuple[str, Mapping[str, str | None]], ...] = (
    ("no HOME", {"HOME": None}),
    ("HOME is nowhere", {"HOME": "/nowhere/at/all"}),
    ("HOME is empty", {"HOME": ""}),
    ("TZ of Kiritimati", {"TZ": "Pacific/Kiritimati"}),
    ("TZ is nonsense", {"TZ": "Mars/Olympus_Mons"}),
    ("TZ is a path", {"TZ": ":/etc/passwd"}),
    ("no PATH, no LANG", {"PATH": None, "LANG": None}),
    ("TMPDIR is nowhere", {"TMPDIR": "/nowhere"}),
    ("XDG_CONFIG_HOME is a file", {"XDG_CONFIG_HOME": "tomic.toml"}),
    ("dumb terminal", {"TERM": "dumb", "COLUMNS": "1", "NO_COLOR": "1"}),
    ("zero columns", {"COLUMNS": "0", "LINES": "-1", "FORCE_COLOR": "1"}),
    ("optimised", {"PYTHONOPTIMIZE": "2"}),
    ("a setting that is none", {"TOMIC_CHAIN__MIN_DTE": "many"}),
    ("a setting without end", {"TOMIC_CHAIN__DEADLINE_S": "inf"}),
    ("a section that is none", {"TOMIC_CHAIN": "{"}),
    ("a nested setting", {"TOMIC_PORTFOLIO__ALERTS__BOOK_DELTA": "nan"}),
    ("a setting no UTF-8", {"TOMIC_STORE__PATH": "\udcff.db"}),
    ("a settings file nowhere", {"TOMIC_CONFIG": "missing.toml"}),
    ("a settings file that is a folder", {"TOMIC_CONFIG": "data"}),
    ("the store is a folder", {"TOMIC_STORE__PATH": "folder"}),
    ("the store is below a file", {"TOMIC_STORE__PATH": "tomic.toml/x.db"}),
    ("the store's name is too long", {"TOMIC_STORE__PATH": "a" * 300 + ".db"}),
    ("the log is a folder", {"TOMIC_LOG__FILE": "folder"}),
    ("the log is below a file", {"TOMIC_LOG__FILE": "tomic.toml/x.log"}),
    ("exports are a file", {"TOMIC_EXPORT__DIR": "tomic.toml"}),
    ("the saved book is a folder", {"TOMIC_PORTFOLIO__SNAPSHOT": "folder"}),
)
_STREAMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("stdout closed", {"stdout": "closed"}),
    ("stderr closed", {"stderr": "closed"}),
    ("both closed", {"stdout": "closed", "stderr": "closed"}),
    ("stdout full", {"stdout": "full"}),
    ("stderr full", {"stderr": "full"}),
    ("stdout deserted", {"stdout": "deserted"}),
    ("stderr deserted", {"stderr": "deserted"}),
)
_MODES: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("nothing may be written", {".": 0o555, "data": 0o555}),
    ("data may not be entered", {"data": 0}),
    ("data may be listed alone", {"data": 0o400}),
    ("stores may be read alone", {"data/demo.db": 0o444, "data/volatility.db": 0o444}),
    (
        "read-only stores in a read-only folder",
        {"data": 0o555, "data/demo.db": 0o444, "data/volatility.db": 0o444},
    ),
    ("stores may not be read", {"data/demo.db": 0, "data/volatility.db": 0}),
    ("settings may not be read", {"tomic.toml": 0}),
    ("the saved books may not be written", {"data/portfolio-demo.json": 0o444, "data": 0o555}),
    ("pins may not be read", {"pins.json": 0}),
    ("lock may not be read", {"data/demo.db.prices.lock": 0}),
)


def cases() -> Iterator[Case]:
    """Every case; there are no random ones."""
    for env in _CHARSETS:
        label = " ".join(f"{name}={value}" for name, value in env.items())
        for line in _LOOKING:
            yield _case(f"{label}: {line}", line, own_process=True, env=env)
    for label, env in _VARIABLES:
        for line in (_LOOKING[0], _LOOKING[3], *_WRITING[1:3], *_WRITING[11:]):
            anew = any(name.startswith("PYTHON") for name in env)
            yield _case(f"{label}: {line}", line, own_process=anew, env=env)
    for label, streams in _STREAMS:
        for line in (*_LOOKING[:4], "journal export", "chain SPY --demo --no-export --json"):
            yield _case(f"{label}: {line}", line, own_process=True, **streams)
    for size in (0, 1, 8_192, 200_000):
        for line in (*_WRITING, "journal list"):
            yield _case(f"files of {size} bytes: {line}", line, limits={"FSIZE": size})
    for count in (16, 40):
        for line in (_LOOKING[0], _LOOKING[3], _WRITING[2]):
            yield _case(f"{count} descriptors: {line}", line, limits={"NOFILE": count})
    for label, modes in _MODES:
        for line in (*_WRITING, "journal list", "vol SPY --stored --demo"):
            yield _case(f"{label}: {line}", line, modes=modes)
    for free in (0, 4_096, 40_000):
        for line in (*_WRITING, "journal list"):
            yield _case(f"disk with {free} bytes free: {line}", line, disk=free)
    for line in ("chain SPY --demo", "journal list", "run morning --demo", "config show"):
        yield _case(f"deleted folder: {line}", line, own_process=True, cwd="deleted")
        yield _case(f"below a file: {line}", f"{line} --config tomic.toml/x")


def _case(name: str, line: str, *, own_process: bool = False, **surroundings: Any) -> Case:
    return Case(
        kind=KIND,
        name=name,
        commands=(Command(tuple(line.split())),),
        own_process=own_process,
        conditions=Conditions(**surroundings),
    )
