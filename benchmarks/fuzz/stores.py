"""Cases of a store in an odd state, each with commands that read it and commands that write."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.fuzz.cases import Case, Command, Conditions

KIND = "stores"
_STORE = "data/volatility.db"
_COMMANDS = (
    ("journal", "list", "--all"), ("journal", "note", "1", "more"), ("store", "check"),
    ("store", "info"), ("store", "backup", "copy.db"), ("journal", "import", "flex.csv"),
    ("store", "restore", "copy.db"),
)  # fmt: skip
_STATEMENTS = (
    "PRAGMA user_version = 0", "PRAGMA user_version = 3", "PRAGMA user_version = -1",
    "PRAGMA user_version = 99", "PRAGMA application_id = 0", "PRAGMA application_id = 7",
    "DROP TABLE entries", "DROP TABLE journal_history", "DROP TABLE executions", "DROP TABLE runs",
    "DROP TABLE bars", "DROP TRIGGER entries_revised",
    "DROP TRIGGER journal_history_update_refused",
    "DROP TRIGGER entries_revised; UPDATE entries SET document = '{'",
    "DROP TRIGGER entries_revised; UPDATE entries SET document = '[]'",
    "DROP TRIGGER entries_revised; UPDATE entries SET document = '{\"trades\": 7}'",
    "UPDATE entries SET summary = 'x'", "UPDATE entries SET status = 'odd'",
    "UPDATE entries SET opened_at = 'whenever', symbol = NULL",
    "DROP TRIGGER journal_history_update_refused; UPDATE journal_history SET changed = '{}'",
    "DROP TRIGGER journal_history_update_refused; UPDATE journal_history SET at = 'never'",
    "INSERT INTO executions VALUES ('x', NULL, 'never', '', NULL, '{}', '')",
    "INSERT INTO executions VALUES ('y', 99, '2026-11-20', 'SPY', 1, 'x', '')",
    "CREATE TABLE more (x)", "CREATE VIEW odd AS SELECT * FROM absent",
    "CREATE TRIGGER slow AFTER INSERT ON journal_history BEGIN DELETE FROM runs; END",
    "CREATE TRIGGER no BEFORE INSERT ON journal_history BEGIN SELECT raise(ABORT, 'no'); END",
    "ALTER TABLE entries RENAME TO former", "ALTER TABLE runs ADD COLUMN more TEXT",
    "PRAGMA journal_mode = DELETE", "PRAGMA encoding", "DELETE FROM runs",
    "INSERT INTO runs VALUES ('backup', 1, 'x', 'x')",
)  # fmt: skip
_DAMAGES = {
    "text that is not UTF-8": "CAST(x'63ff' AS TEXT)",
    "bytes": "x'00ff'",
    "an infinite number": "9e999",
    "a text": "'x'",
}
"""What stands in every column of a table that lets it in."""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_READERS = (
    ("journal", "list", "--all"), ("journal", "show", "1"), ("journal", "note", "1", "more"),
    ("journal", "history", "1"), ("journal", "executions"), ("journal", "export"),
    ("journal", "import", "flex.csv"), ("journal", "stats"), ("store", "check"),
    ("store", "info"), ("store", "backup", "copy.db"), ("vol", "SPY", "QQQ", "--stored"),
    ("vol", "SPY", "--history"), ("report", "day", "--html", "out.html"),
    ("scan", "SPY", "--demo", "--no-export"), ("prices", "SPY", "--demo"), ("doctor",),
)  # fmt: skip
_APART = 5
"""Every so many of them read one damage; the next ones the next."""


def cases(prepared: Path) -> Iterator[Case]:
    """Every state with every command; there are no random ones."""
    content = (prepared / _STORE).read_bytes()
    for statement in _STATEMENTS:
        changed = _after(content, statement)
        yield from _each(statement[:100], {_STORE: changed})
    yield from _damaged(content)
    for label, files in (
        ("empty", {_STORE: b""}),
        ("one byte", {_STORE: b"x"}),
        ("a header alone", {_STORE: content[:100]}),
        ("cut in half", {_STORE: content[: len(content) // 2]}),
        ("text", {_STORE: b"symbol,date\n" * 400}),
        ("a log of garbage", {f"{_STORE}-wal": b"\xff" * 5000}),
        ("an index of garbage", {f"{_STORE}-shm": b"\xff" * 32768}),
        ("a journal of garbage", {f"{_STORE}-journal": b"\xff" * 5000}),
        ("locks of garbage", {f"{_STORE}.prices.lock": b"x" * 99, f"{_STORE}.run.lock": b"\0"}),
        ("another program's", {_STORE: _foreign()}),
    ):
        yield from _each(label, files)
    for label, links in (
        ("a dangling link", {_STORE: "nowhere/x.db"}),
        ("a loop", {_STORE: "volatility.db"}),
        ("a link to a folder", {_STORE: "../folder"}),
        ("a link to text", {_STORE: "../u.txt"}),
    ):
        yield from _each(label, {}, links)
    for label, path in (
        ("below a file", "u.txt/x.db"),
        ("a folder", "folder"),
        ("a device", "device"),
    ):
        yield from _each(label, {}, conditions=Conditions(env={"TOMIC_STORE__PATH": path}))
    for label, modes in (
        ("read-only", {_STORE: 0o444}),
        ("in a read-only folder", {"data": 0o555}),
        ("not to be read", {_STORE: 0}),
    ):
        yield from _each(label, {}, conditions=Conditions(modes=modes))


def _damaged(content: bytes) -> Iterator[Case]:
    """Every column with something in it that nobody writes, read by commands in turn."""
    columns = [(name, column) for name, every in _filled(content).items() for column in every]
    damages = itertools.product(columns, _DAMAGES.items())
    for turn, ((table, column), (label, value)) in enumerate(damages):
        changed = _overwritten(content, table, column, value)
        for words in _READERS[turn % _APART :: _APART]:
            yield _case(f"{table}.{column} holds {label}", words, {_STORE: changed})


def _each(
    label: str,
    files: dict[str, bytes],
    links: dict[str, str] | None = None,
    conditions: Conditions | None = None,
) -> Iterator[Case]:
    for words in _COMMANDS:
        yield _case(label, words, files, links, conditions)


def _case(
    label: str,
    words: tuple[str, ...],
    files: dict[str, bytes],
    links: dict[str, str] | None = None,
    conditions: Conditions | None = None,
) -> Case:
    return Case(
        kind=KIND,
        name=f"{label}: {' '.join(words)}",
        commands=(Command(words),),
        files=files,
        links=links or {},
        conditions=conditions or Conditions(),
    )


def _filled(content: bytes) -> dict[str, list[str]]:
    """The columns of each table that has rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as db:
            names = [name for (name,) in db.execute(_TABLES)]
            return {
                name: [column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")]
                for name in names
                if db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            }


def _after(content: bytes, statements: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as db:
            db.executescript(statements)
            db.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


def _overwritten(content: bytes, table: str, column: str, value: str) -> bytes:
    """A store with *value* in a column where that lets it in, its triggers as they were."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(content)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            triggers = db.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in triggers:
                db.execute(f"DROP TRIGGER {name}")
            with suppress(sqlite3.IntegrityError):
                db.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}")
            for _, statement in triggers:
                db.execute(statement)
            db.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


def _foreign() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE bookmarks (url)")
            db.commit()
        return path.read_bytes()
