"""
The one judge over every case: how a command may end, and what it may leave behind.

A fault has a cause: for a traceback the type of the exception and the innermost line of TOMIC that
it came through, for anything else what was wrong. Faults of one cause are one finding.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import signal
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.fuzz import processes
from benchmarks.fuzz.cases import USUAL, Case, Command, Conditions
from benchmarks.fuzz.processes import Outcome

DOCUMENTED = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 10, 130})
"""Exit codes that the README names."""
MOST_GROWTH = 170 << 20
"""Bytes of memory beyond those of the program at rest, which has some 130 MB: 300 MB in all."""
LATE_S = 2.0
"""Seconds by which a command may overrun its ``--timeout``."""
_SILENT = frozenset({0, 10})
"""Codes that need no message: done, and done with a check that fired."""
_SEVERAL = frozenset({"run", "record", "import", "check", "doctor", "prices", "vol", "chain"})
"""Commands that may report several faults, one for each thing they were given."""
_WRITES = (
    ("--html", 1), ("--out", 1), ("store backup", 0), ("record", 0), ("config init", 0),
    ("config set", 0),
)  # fmt: skip
"""Options and commands after which a path is named that is to be written."""

_FRAME = re.compile(r'File "[^"]*?(?:src|site-packages)/tomic/([^"]+)", line (\d+), in (\S+)')
_STACK = re.compile(r'File "[^"]*?(?:src|site-packages)/tomic/([^"]+)", line (\d+) in (\S+)')
_RAISED = re.compile(
    r"^[\s|]*([\w.]*(?:Error|\.error|Exception|Exit|Group|Interrupt|Iteration|Warning)\w*)"
    r"(?::|$| \()",
    re.MULTILINE,
)
_TRACES = ("Traceback (most recent call last)", "Exception Group Traceback", "Fatal Python error")
_NOISE = (
    "Exception ignored in",
    "never retrieved",
    "was never awaited",
    "Task was destroyed",
    "Event loop is closed",
    "ResourceWarning: unclosed",
)
_WARNING = re.compile(r"^(\S+?)/?([^/\s]+\.py):(\d+): (\w*Warning): (.*)$", re.MULTILINE)
_MESSAGE = re.compile(
    r'^(?:tomic: (?!partial: |not told)|Error: |Aborted|\{"error").*$', re.MULTILINE
)
"""What sums up the missing parts stands beside the reason of each, as does what was not told."""
_GREETING = re.compile(r"^tomic \d[\w.]*: .*$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What is printed for FORCE_COLOR."""
_SQLITE = b"SQLite format 3\x00"
_LEFTOVER = re.compile(r"(?:\.tmp|\.part|\.partial|~)$")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not be."""

    what: str
    """``traceback``, ``exit code``, ``hang`` and so on."""
    cause: str
    """The same for two faults that one change would mend; without line numbers."""
    where: str = ""
    """File and line of TOMIC, where there is one."""
    detail: str = ""


# -- how a command ended ------------------------------------------------------------------------


def of_outcome(
    command: Command, outcome: Outcome, conditions: Conditions = USUAL
) -> Iterator[Fault]:
    """What is wrong with the way one command ended."""
    if outcome.interrupted and outcome.code == -getattr(signal, f"SIG{command.signal}"):
        # What a signal ends that nobody can or need catch.
        return
    text = f"{outcome.stdout}\n{outcome.stderr}"
    if outcome.stderr.startswith("fuzz: not started"):
        raise RuntimeError(outcome.stderr)
    if outcome.hung:
        where = innermost(outcome.stderr, _STACK)
        yield Fault("hang", f"hang in {_nameless(where)}", where, _tail(outcome.stderr, 30))
        return
    if outcome.strays:
        yield Fault("process left", "process left behind", detail=" ".join(command.words[:2]))
    if outcome.interrupted and "Exception ignored in" in text and "\nKeyboardInterrupt" in text:
        # Python itself loses a Ctrl-C that comes while it is called from C.
        pass
    elif any(sign in text for sign in _TRACES):
        raised, where = raised_in(text)
        yield Fault("traceback", f"{raised} in {_nameless(where)}", where, _tail(text, 12))
    elif noise := next((sign for sign in _NOISE if sign in text), ""):
        yield Fault("noise", f"{noise} ({raised_in(text)[0]})", detail=_around(text, noise))
    elif warned := _WARNING.search(text):
        folder, file, line, kind, said = warned.groups()
        home = folder.rpartition("/tomic/")[2] or folder.rpartition("/")[2]
        yield Fault("warning", f"{kind} in {home}/{file}: {said[:60]}", f"{home}/{file}:{line}")
    elif fault := _of_code(command, outcome, heard=conditions.stderr == "read"):
        yield fault
    if conditions.env.get("FORCE_COLOR"):
        text = _COLOUR.sub("", text)
    if "\x1b" in text or "\x9b" in text or "\u202e" in text:
        yield Fault(
            "control code", f"{named(command)} printed a control code", detail=_tail(text, 4)
        )
    if number := _account_in(command, text):
        yield Fault("account", f"{named(command)} printed an account number", detail=number)
    if (asked := processes.own_deadline(command.words)) and outcome.seconds > asked + LATE_S:
        took = f"{outcome.seconds:.1f} s where --timeout says {asked:g} s"
        yield Fault("deadline", f"{named(command)} overran its deadline", detail=took)
    if outcome.grown > MOST_GROWTH:
        grown = f"{outcome.grown >> 20} MB above the program at rest"
        yield Fault("memory", f"memory of {named(command)}", detail=grown)


def _of_code(command: Command, outcome: Outcome, *, heard: bool) -> Fault | None:
    code, name = outcome.code, named(command)
    said = _tail(outcome.stderr or outcome.stdout, 4)
    if code < 0:
        return Fault("signal", f"{name} ended by signal {-code}", detail=said)
    if code not in DOCUMENTED:
        return Fault("exit code", f"{name} ended with {code}", detail=said)
    if command.codes and code not in command.codes:
        allowed = ", ".join(map(str, command.codes))
        fault = f"{name} ended with {code} where {allowed} is right"
        return Fault("later command", fault, detail=said)
    if code in _SILENT or code == 130 or not heard:
        return None
    errors = _MESSAGE.findall(_GREETING.sub("", outcome.stderr))
    if not outcome.stderr.strip() and not outcome.stdout.strip():
        return Fault("no message", f"{name} ended with {code} and said nothing")
    is_partial = "tomic: partial: " in outcome.stderr
    if (
        not (errors or is_partial)
        and code in (2, 4, 6, 7)
        and not _SEVERAL & set(command.words[:2])
    ):
        return Fault("no message", f"{name} ended with {code} without a reason", detail=said)
    told = [error.rpartition(": ")[2] for error in errors]
    if len(told) > len(set(told)) and "run" not in command.words:
        return Fault("several messages", f"{name} gave a reason twice", detail=said)
    if len(errors) > 1 and not _SEVERAL & set(command.words):
        return Fault("several messages", f"{name} gave {len(errors)} messages", detail=said)
    return None


_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])(?:DU|U)\d{7}(?![A-Za-z0-9])")
_MAY_TELL = frozenset({"--show-accounts", "export", "config"})


def _account_in(command: Command, text: str) -> str:
    """An account number in full, where nobody asked for it or typed it."""
    if not _MAY_TELL.isdisjoint(command.words):
        return ""
    typed = " ".join(command.words)
    return next((each for each in _ACCOUNT.findall(text) if each not in typed), "")


def raised_in(text: str) -> tuple[str, str]:
    """Type of the last exception of a text, and the innermost line of TOMIC above it."""
    frames = list(_FRAME.finditer(text))
    after = frames[-1].end() if frames else 0
    raised = _RAISED.search(text, after) or _RAISED.search(text)
    parts = raised.group(1).split(".") if raised else ["exception"]
    # `zlib.error` and `_csv.Error` say nothing without their module.
    name = ".".join(parts[-2 if parts[-1].lower() == "error" else -1 :])
    return name, innermost(text, _FRAME)


def innermost(text: str, pattern: re.Pattern[str]) -> str:
    """The innermost line of TOMIC in the last traceback, or of the stack of a hang."""
    frames = pattern.findall(text)
    if not frames:
        return "no line of tomic"
    # A traceback ends with the innermost line, the stack of a hang begins with it.
    file, line, function = frames[0] if pattern is _STACK else frames[-1]
    return f"{file}:{line} {function}"


def _nameless(where: str) -> str:
    """A place without its line number, which changes with every edit above it."""
    return re.sub(r":\d+ ", " ", where)


def named(command: Command) -> str:
    """The command without its options and arguments."""
    words = command.words
    groups = {"journal", "store", "config", "report", "strategies"}
    return " ".join(words[: 2 if words and words[0] in groups else 1])


def _tail(text: str, lines: int) -> str:
    return "\n".join(line[:400] for line in text.strip().splitlines()[-lines:])


def _around(text: str, sign: str) -> str:
    at = text.index(sign)
    return text[max(0, at - 200) : at + 800]


# -- what a command left ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry of a folder at one moment."""

    form: str
    """``file``, ``folder``, ``link`` or ``device``."""
    print: str = ""
    """A digest of a file's content, the target of a link."""
    size: int = -1
    """Bytes of a file; what has none or one is to SQLite a new database."""
    is_store: bool = False


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a SQLite file held at one moment."""

    sound: bool
    rows: Mapping[str, int]
    """Rows by table, of the tables from which nothing is ever removed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder at one moment."""

    entries: Mapping[str, Seen]
    stores: Mapping[str, StoreFacts]


def signature(path: Path) -> tuple[int, ...]:
    """What changes with everything that is done to *path*; of a folder its form alone."""
    seen = path.lstat()
    if stat.S_ISDIR(seen.st_mode):
        return seen.st_mode, seen.st_uid
    times = seen.st_mtime_ns, seen.st_ctime_ns
    return seen.st_mode, seen.st_uid, seen.st_ino, seen.st_size, *times


def signatures(root: Path) -> dict[str, tuple[int, ...]]:
    """Signatures of everything below *root*, but for caches."""
    names = (path for path in root.rglob("*") if path.relative_to(root).parts[0] != "matplotlib")
    return {str(path.relative_to(root)): signature(path) for path in names}


@dataclass(slots=True)
class Looks:
    """What was seen of files before: they are read again only where they were touched."""

    _entries: dict[str, tuple[tuple[int, ...], Seen]] = field(default_factory=dict)
    _facts: dict[tuple[str, ...], StoreFacts] = field(default_factory=dict)
    """Of a store by the digests of it and its logs."""

    def snapshot(self, home: Path) -> Snapshot:
        """Look at everything below *home*."""
        entries = {str(path.relative_to(home)): self._seen(path) for path in home.rglob("*")}
        stores = {
            name: self._of_store(home / name, entries, name)
            for name, seen in entries.items()
            if seen.is_store
        }
        return Snapshot(dict(sorted(entries.items())), stores)

    def _seen(self, path: Path) -> Seen:
        now, before = signature(path), self._entries.get(str(path))
        if before is None or before[0] != now:
            before = now, _look(path)
            self._entries[str(path)] = before
        return before[1]

    def _of_store(self, path: Path, entries: Mapping[str, Seen], name: str) -> StoreFacts:
        parts = (name, f"{name}-wal", f"{name}-journal")
        key = tuple(entries[part].print if part in entries else "" for part in parts)
        if key not in self._facts:
            self._facts[key] = _store_facts(path)
        return self._facts[key]


def snapshot(home: Path) -> Snapshot:
    """Look at everything below *home*, once."""
    return Looks().snapshot(home)


def _look(path: Path) -> Seen:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return Seen("link", str(path.readlink()))
    if stat.S_ISDIR(mode):
        return Seen("folder")
    if not stat.S_ISREG(mode):
        return Seen("device")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Seen("file", digest, len(content), content.startswith(_SQLITE))


def _store_facts(path: Path) -> StoreFacts:
    kept = ("entries", "journal_history", "executions", "scans", "proposals", "bars")
    rows: dict[str, int] = {}
    try:
        # A copy with its log: SQLite tidies up what it opens, and the program's turn comes later.
        with tempfile.TemporaryDirectory() as folder, closing(_copy_of(path, folder)) as db:
            sound = db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            for table in kept:
                try:
                    (rows[table],) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
                except sqlite3.OperationalError:
                    continue
    except (sqlite3.Error, UnicodeDecodeError):
        sound = False
    return StoreFacts(sound, rows)


def _copy_of(path: Path, folder: str) -> sqlite3.Connection:
    for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")):
        if part.is_file():
            shutil.copyfile(part, Path(folder) / part.name)
    return sqlite3.connect(Path(folder) / path.name, timeout=5.0)


def of_folder(case: Case, before: Snapshot, after: Snapshot, home: Path) -> Iterator[Fault]:
    """What a case left that it must not, and what it lost that was there before."""
    targets = _targets(case.commands)
    # What a link that was named leads to was meant as well.
    for name, was in before.entries.items():
        if was.form == "link" and Path(name).name in targets:
            targets.add(Path(was.print).name)
    commands = " && ".join(named(one) for one in case.commands)
    for name, was in before.entries.items():
        now = after.entries.get(name)
        if now == was or was.form == "folder" or 0 <= was.size < 2:
            continue
        if was.form == "device" or (was.form == "link" and now is not None):
            # Even where it was named: what is behind it was meant.
            yield Fault("damage", f"{commands} replaced a {was.form}", detail=f"{name}: {now}")
        elif Path(name).name in targets:
            continue
        elif name not in before.stores and not _is_written(name):
            verb = "removed" if now is None else "changed"
            yield Fault("damage", f"{commands} {verb} a file of the user", detail=name)
        elif now is None and not name.endswith(("-wal", "-shm", "-journal")):
            yield Fault("damage", f"{commands} removed {Path(name).suffix}", detail=name)
    for name, facts in before.stores.items():
        left = after.stores.get(name)
        if left is None:
            if Path(name).name not in targets and name in after.entries:
                yield Fault("store", f"{commands}: a store is one no more", detail=name)
            continue
        if facts.sound and not left.sound:
            yield Fault("store", f"{commands}: the store is not sound", detail=name)
        lost = [table for table, rows in facts.rows.items() if left.rows.get(table, 0) < rows]
        if lost and Path(name).name not in targets:
            yield Fault("store", f"{commands}: rows lost from {', '.join(lost)}", detail=name)
    for name in sorted(after.entries.keys() - before.entries.keys()):
        path = home / name
        if after.entries[name].form != "file":
            continue
        if _LEFTOVER.search(name) and path.name not in targets:
            # A killed process cannot tidy up; the name begins with a dot.
            if path.name.startswith(".") and any(one.signal == "KILL" for one in case.commands):
                continue
            yield Fault("half file", f"{commands} left a temporary file", detail=name)
        elif path.suffix in (".html", ".log") and (
            told := _ACCOUNT.search(path.read_text("utf-8", "replace"))
        ):
            cause = f"{commands} wrote an account number"
            yield Fault("account", cause, detail=f"{name}: {told[0]}")
        elif path.name not in targets and (fault := half_written(path)):
            cause = f"{commands} left half a file {path.suffix}"
            yield Fault("half file", cause, detail=f"{name}: {fault}")


_STORES = {True: "data/demo.db", False: "data/volatility.db"}


def of_promises(case: Case, outcomes: Sequence[Outcome], home: Path) -> Iterator[Fault]:
    """Notes of which a command said that they are written, and that are not there."""
    if any(one.words[:2] == ("store", "restore") for one in case.commands):
        return
    for demo, store in _STORES.items():
        promised = {
            command.words[3]
            for command, outcome in zip(case.commands, outcomes, strict=True)
            if command.words[:2] == ("journal", "note")
            and len(command.words) > 3
            and outcome.code == 0
            and ("--demo" in command.words) is demo
        }
        if not promised or case.conditions.env.get("TOMIC_STORE__PATH"):
            continue
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                closing(_copy_of(home / store, folder)) as db,
            ):
                written = db.execute("SELECT note || changed FROM journal_history").fetchall()
        except sqlite3.Error:
            continue
        text = "\n".join(str(row) for (row,) in written)
        for note in promised:
            if note not in text:
                yield Fault("lost", "journal note said that it was written", detail=note)


def changed_stores(case: Case, before: Snapshot, after: Snapshot) -> list[str]:
    """Stores that the program made or changed, for `tomic store check`; no damaged ones."""
    if any(name in before.stores for name in case.files):
        # What was odd before is odd in a copy too.
        return []
    return [
        name
        for name in after.stores
        if before.entries.get(name) != after.entries[name] and name not in case.files
    ]


def half_written(path: Path) -> str:
    """Why a new file is not whole, or nothing."""
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix in (".jsonl", ".gz"):
            text = gzip.decompress(content) if path.suffix == ".gz" else content
            for line in text.splitlines():
                json.loads(line)
        elif path.suffix == ".html" and not content.rstrip().endswith(b"</html>"):
            return "no end of the page"
        elif path.suffix == ".csv" and not content.endswith(b"\n"):
            return "no end of the last line"
    except (ValueError, RecursionError, OSError, EOFError) as exc:
        return str(exc)
    return ""


def _targets(commands: Sequence[Command]) -> set[str]:
    """Names of files that the commands were told to write."""
    names: set[str] = set()
    for command in commands:
        words = list(command.words)
        typed = " ".join(words[:2])
        if any(not takes and typed.startswith(sign) for sign, takes in _WRITES):
            names |= {Path(word).name for word in words} | {"tomic.toml", "config.toml"}
        if typed == "store restore":
            names |= {"volatility.db", "demo.db"}
        for sign, takes in _WRITES:
            for word, value in pairwise(words):
                if takes and word == sign:
                    names.add(Path(value).name)
    return names


def _is_written(name: str) -> bool:
    """Whether the program writes such a file of its own accord."""
    first = name.partition("/")[0]
    written = first in ("exports", "logs", "reports", ".cache", ".config")
    return written or bool(re.search(r"portfolio[^/]*\.json$|\.lock$|-wal$|-shm$|-journal$", name))
