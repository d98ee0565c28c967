"""The store's tables as numbered migrations, and what brings a file up to date."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from tomic.errors import SchemaTooNew, StoreError
from tomic.models import VolSnapshot
from tomic.models.documents import finite, to_text
from tomic.models.market import impossible
from tomic.store.documents import dump

TABLES = ("PriceHistory", "VolStats")
"""Tables of the original's database."""

KEPT_AS = {
    "PriceHistory": ("legacy_price_history", ("symbol", "date", "close", "volume", "atr")),
    "VolStats": (
        "legacy_vol_stats",
        ("symbol", "date", "iv", "hv30", "hv60", "hv90", "iv_rank", "iv_percentile"),
    ),
}
"""Where each table is kept word for word, and its columns; others go into ``extra`` as JSON."""

_EPOCH = dt.date(1970, 1, 1)


class Copied(NamedTuple):
    """How many rows an import read, and how many of them were new to the store's own tables."""

    price_rows: int = 0
    stat_rows: int = 0
    new_bars: int = 0
    new_snapshots: int = 0
    undated: int = 0
    """Rows whose date could not be read: kept word for word, used nowhere."""


def has_tables(db: sqlite3.Connection) -> bool:
    """Whether an open SQLite file holds a table of the original."""
    return any(_columns(db, table) for table in TABLES)


def adopt(db: sqlite3.Connection) -> None:
    """Take over the original's rows when the store's own file is the original's."""
    copy(db, db)


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> Copied:
    """
    Copy every row of the original inside the caller's transaction; doing it again adds nothing.

    Each row is kept word for word. Closes also become daily bars without high and low, historical
    volatilities (percent there) snapshots; what the store knows already is never replaced. The
    original's rank and percentile compared implied with historical volatility, and its ``iv`` was
    that of the first expiry, so neither mixes with ours.
    """
    prices = _keep(source, target, "PriceHistory")
    stats = _keep(source, target, "VolStats")
    bars = [row for row in map(_bar, prices) if row]
    snapshots = [row for row in map(_snapshot, stats) if row]
    before = target.total_changes
    target.executemany(
        "INSERT OR IGNORE INTO bars (symbol, day, close, volume) VALUES (?, ?, ?, ?)", bars
    )
    between = target.total_changes
    target.executemany("INSERT OR IGNORE INTO vol_snapshots VALUES (?, ?, ?, ?)", snapshots)
    return Copied(
        price_rows=len(prices),
        stat_rows=len(stats),
        new_bars=between - before,
        new_snapshots=target.total_changes - between,
        undated=sum(_day(row[1]) is None for row in (*prices, *stats)),
    )


def _keep(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str
) -> list[tuple[Any, ...]]:
    present = {name.lower(): name for name in _columns(source, table)}
    if not present:
        return []
    home, names = KEPT_AS[table]
    extra = [name for lower, name in present.items() if lower not in names]
    chosen = [quoted(present[name]) if name in present else "NULL" for name in names]
    query = ", ".join([*chosen, *map(quoted, extra)])
    rows = source.execute(f"SELECT {query} FROM {quoted(table)}").fetchall()
    size = len(names)
    kept = [
        (*row[:size], dump(dict(zip(extra, row[size:], strict=True))) if extra else None)
        for row in rows
    ]
    marks = ", ".join("?" * (size + 1))
    target.executemany(f"INSERT OR REPLACE INTO {home} VALUES ({marks})", kept)
    return [row[:size] for row in rows]


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({quoted(table)})")]


def quoted(name: str) -> str:
    """The name of a table or column, which another program may have chosen, for a statement."""
    return '"' + name.replace('"', '""') + '"'


def _bar(row: Sequence[Any]) -> tuple[Any, ...] | None:
    symbol, date, close, volume, *_ = row
    day = _day(date)
    value = _number(close)
    if day is None or value is None:
        return None
    return str(symbol), (day - _EPOCH).days, value, _number(volume)


def _snapshot(row: Sequence[Any]) -> tuple[str, ...] | None:
    symbol, date, _, *percents = row
    day = _day(date)
    fractions = {
        name: value / 100.0
        for name, cell in zip(("hv30", "hv60", "hv90"), percents, strict=False)
        if (value := _number(cell)) is not None and not impossible(name, value / 100.0)
    }
    if day is None or not fractions:
        return None
    as_of = dt.datetime.combine(day, dt.time(), dt.UTC)
    snapshot = VolSnapshot(
        symbol=str(symbol),
        as_of=as_of,
        hv30=fractions.get("hv30"),
        hv60=fractions.get("hv60"),
        hv90=fractions.get("hv90"),
        sources=dict.fromkeys(fractions, "original"),
    )
    text = to_text(snapshot, exclude_defaults=True)
    return snapshot.symbol, day.isoformat(), as_of.isoformat(), text


def _number(cell: object) -> float | None:
    return finite(cell) if isinstance(cell, int | float) else None


def _day(cell: object) -> dt.date | None:
    for text in _day_texts(str(cell).strip()):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            continue
    return None


def _day_texts(text: str) -> Iterator[str]:
    yield text
    yield text[:10]


_MOST = 1e7
_NAMES = ("expiry", "strike", "right")


def heal_journal(db: sqlite3.Connection) -> None:
    """
    Say of executions why they can have been no trade, and take outdated figures out of summaries.

    Executions were stored before anybody looked at them, and one with a quantity of 0 ended every
    later import. Marks of before the last trade stayed in lists beside the legs of after it.
    """
    rows = db.execute("SELECT exec_id, document FROM executions WHERE entry_id IS NULL").fetchall()
    for exec_id, text in rows:
        if reason := _fault(text):
            db.execute("UPDATE executions SET reason = ? WHERE exec_id = ?", (reason, exec_id))
    entries = db.execute(
        "SELECT id, summary, document FROM entries WHERE status = 'open'"
    ).fetchall()
    for entry_id, summary, document in entries:
        if (kept := _current(summary, document)) is not None:
            db.execute("UPDATE entries SET summary = ? WHERE id = ?", (kept, entry_id))


def _fault(text: str) -> str:
    """Why an execution can have been no trade; empty for one that may have been."""
    try:
        document = json.loads(text)
        quantity, price = float(document["quantity"]), float(document["price"])
        strike = float(document["contract"].get("strike") or 0.0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it cannot be read"
    if not math.isfinite(quantity) or quantity == 0.0:
        return f"a quantity of {quantity:g} is no trade"
    if not 0.0 <= price <= _MOST:
        return f"a price of {price:g} is none"
    if not 0.0 <= strike <= _MOST:
        return f"a strike of {strike:g} is none"
    return ""


def _current(summary_text: str, document_text: str) -> str | None:
    """The summary without what the last trade outdated; None where nothing is outdated."""
    try:
        summary, document = json.loads(summary_text), json.loads(document_text)
        trades = document.get("trades") or []
        last = max((dt.datetime.fromisoformat(trade["at"]) for trade in trades), default=None)
        marked = summary.get("pnl_at")
        outdated = last and marked and dt.datetime.fromisoformat(marked) < last
        legs = _legs(trades)
        changed = len(trades) > 1 and legs != _legs(trades[:1])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    before = dict(summary)
    if outdated:
        summary.pop("pnl", None)
        summary.pop("pnl_at", None)
    if changed:
        summary["legs_changed"] = True
    if legs and not any(right for _, _, right, _ in legs):
        summary.pop("expiry", None)
        summary.pop("settles", None)
    return None if summary == before else json.dumps(summary, separators=(",", ":"))


def _legs(trades: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Contracts that are held after the trades."""
    total: dict[tuple[Any, ...], float] = {}
    for trade in trades:
        for fill in trade["fills"]:
            key = tuple(fill.get(name) for name in _NAMES)
            key = (*key, fill.get("multiplier", 100) if fill.get("right") else None)
            total[key] = total.get(key, 0.0) + fill["quantity"]
    return {key for key, quantity in total.items() if abs(quantity) > 1e-9}


APPLICATION_ID = 0x544F4D43
"""Marks a SQLite file as ours ("TOMC"), so that another program's file is never altered."""

Step: TypeAlias = str | Callable[[sqlite3.Connection], None]

_CONTRACTS: tuple[Step, ...] = (
    """
    CREATE TABLE underlyings (
        symbol TEXT NOT NULL, day TEXT NOT NULL, document TEXT NOT NULL,
        PRIMARY KEY (symbol, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE option_params (
        symbol TEXT NOT NULL, day TEXT NOT NULL, trading_class TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (symbol, day, trading_class)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE contracts (
        symbol TEXT NOT NULL, day TEXT NOT NULL, trading_class TEXT NOT NULL,
        expiry TEXT NOT NULL, strike REAL NOT NULL,
        "right" TEXT NOT NULL CHECK ("right" IN ('C', 'P')),
        con_id INTEGER NOT NULL, multiplier INTEGER NOT NULL,
        exchange TEXT NOT NULL, local_symbol TEXT NOT NULL,
        PRIMARY KEY (symbol, day, trading_class, expiry, strike, "right")
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE listed_expiries (
        symbol TEXT NOT NULL, day TEXT NOT NULL, trading_class TEXT NOT NULL, expiry TEXT NOT NULL,
        PRIMARY KEY (symbol, day, trading_class, expiry)
    ) STRICT, WITHOUT ROWID
    """,
)

# Days of the two large tables are days since 1970-01-01: a third of the file's size, and numpy's
# own datetime64[D] without parsing. The views show them as ISO dates.
_HISTORY: tuple[Step, ...] = (
    """
    CREATE TABLE bars (
        symbol TEXT NOT NULL, day INTEGER NOT NULL,
        open REAL, high REAL, low REAL, close REAL NOT NULL, volume REAL,
        PRIMARY KEY (symbol, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE iv_history (
        symbol TEXT NOT NULL, kind TEXT NOT NULL, day INTEGER NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (symbol, kind, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE fetches (
        symbol TEXT NOT NULL, series TEXT NOT NULL, fetched_at TEXT NOT NULL, asked_from TEXT,
        PRIMARY KEY (symbol, series)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, symbol TEXT NOT NULL,
        kind TEXT NOT NULL, detail TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX events_by_symbol ON events (symbol, at)",
    """
    CREATE TABLE vol_snapshots (
        symbol TEXT NOT NULL, day TEXT NOT NULL, as_of TEXT NOT NULL, document TEXT NOT NULL,
        PRIMARY KEY (symbol, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE history_requests (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX history_requests_by_time ON history_requests (at)",
    """
    CREATE VIEW dated_bars AS
    SELECT symbol, date(day * 86400, 'unixepoch') AS date, open, high, low, close, volume FROM bars
    """,
    """
    CREATE VIEW dated_iv AS
    SELECT symbol, kind, date(day * 86400, 'unixepoch') AS date, value FROM iv_history
    """,
    """
    CREATE TABLE runs (
        name TEXT NOT NULL PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL,
        since TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)

_CHAINS: tuple[Step, ...] = (
    """
    CREATE TABLE chains (
        id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, as_of REAL NOT NULL,
        trading_class TEXT NOT NULL, options INTEGER NOT NULL,
        header TEXT NOT NULL, columns BLOB NOT NULL,
        UNIQUE (symbol, as_of, trading_class)
    ) STRICT
    """,
)

_SCANS: tuple[Step, ...] = (
    """
    CREATE TABLE scans (
        id INTEGER PRIMARY KEY, day TEXT NOT NULL, as_of TEXT NOT NULL, document TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE proposals (
        id TEXT NOT NULL PRIMARY KEY, scan_id INTEGER NOT NULL REFERENCES scans (id),
        day TEXT NOT NULL, number INTEGER NOT NULL, rank INTEGER NOT NULL,
        symbol TEXT NOT NULL, strategy TEXT NOT NULL, expiry TEXT NOT NULL, as_of TEXT NOT NULL,
        document TEXT NOT NULL, outcome TEXT, settled_at TEXT,
        UNIQUE (day, number)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX proposals_by_scan ON proposals (scan_id, rank)",
    "CREATE INDEX proposals_awaiting ON proposals (expiry) WHERE outcome IS NULL",
)

_JOURNAL: tuple[Step, ...] = (
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY, revision INTEGER NOT NULL,
        continues INTEGER REFERENCES entries (id) DEFERRABLE INITIALLY DEFERRED,
        symbol TEXT, strategy TEXT, status TEXT, opened_at TEXT, closed_at TEXT,
        summary TEXT NOT NULL, document TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX entries_by_status ON entries (status)",
    """
    CREATE TABLE journal_history (
        id INTEGER PRIMARY KEY, entry_id INTEGER NOT NULL REFERENCES entries (id),
        revision INTEGER NOT NULL, at TEXT NOT NULL, event TEXT NOT NULL, note TEXT NOT NULL,
        changed TEXT NOT NULL,
        UNIQUE (entry_id, revision)
    ) STRICT
    """,
    """
    CREATE TABLE executions (
        exec_id TEXT NOT NULL PRIMARY KEY, entry_id INTEGER REFERENCES entries (id),
        at TEXT NOT NULL, symbol TEXT NOT NULL, con_id INTEGER, document TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX executions_by_entry ON executions (entry_id)",
    *(
        f"CREATE TRIGGER {table}_{verb.lower()}_refused BEFORE {verb} ON {table}"
        " BEGIN SELECT raise(ABORT, 'the journal only grows'); END"
        for table, verb in (
            ("entries", "DELETE"),
            ("journal_history", "DELETE"),
            ("journal_history", "UPDATE"),
            ("executions", "DELETE"),
        )
    ),
)

_CALENDAR: tuple[Step, ...] = (
    """
    CREATE TABLE earnings (
        symbol TEXT NOT NULL, day TEXT NOT NULL, source TEXT NOT NULL,
        PRIMARY KEY (symbol, day, source)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE dividends (
        symbol TEXT NOT NULL, day TEXT NOT NULL, source TEXT NOT NULL, amount REAL NOT NULL,
        PRIMARY KEY (symbol, day, source)
    ) STRICT, WITHOUT ROWID
    """,
)

# ANY keeps a cell of the original as it is, also where its type is not what the column promised.
_LEGACY: tuple[Step, ...] = (
    """
    CREATE TABLE legacy_price_history (
        symbol TEXT NOT NULL, date TEXT NOT NULL, close ANY, volume ANY, atr ANY, extra TEXT,
        PRIMARY KEY (symbol, date)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE legacy_vol_stats (
        symbol TEXT NOT NULL, date TEXT NOT NULL, iv ANY, hv30 ANY, hv60 ANY, hv90 ANY,
        iv_rank ANY, iv_percentile ANY, extra TEXT,
        PRIMARY KEY (symbol, date)
    ) STRICT, WITHOUT ROWID
    """,
    adopt,
)

_ASIDE: tuple[Step, ...] = (
    "ALTER TABLE executions ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE unread_rows (
        row_id TEXT NOT NULL PRIMARY KEY, at TEXT NOT NULL, source TEXT NOT NULL,
        line INTEGER NOT NULL, columns TEXT NOT NULL, text TEXT NOT NULL, reason TEXT NOT NULL,
        exec_id TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE execution_decisions (
        id INTEGER PRIMARY KEY, execution TEXT NOT NULL, at TEXT NOT NULL,
        decision TEXT NOT NULL CHECK (decision IN ('ignore', 'restore')),
        who TEXT NOT NULL, because TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX execution_decisions_by_execution ON execution_decisions (execution)",
    *(
        f"CREATE TRIGGER {table}_{verb.lower()}_refused BEFORE {verb} ON {table}"
        " BEGIN SELECT raise(ABORT, 'the journal only grows'); END"
        for table, verb in (
            ("unread_rows", "DELETE"),
            ("execution_decisions", "DELETE"),
            ("execution_decisions", "UPDATE"),
        )
    ),
    heal_journal,
)

_BOOKINGS: tuple[Step, ...] = (
    """
    CREATE TABLE bookings (
        booking_id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('cash', 'change')),
        at TEXT NOT NULL, account TEXT NOT NULL, symbol TEXT NOT NULL, document TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TRIGGER bookings_delete_refused BEFORE DELETE ON bookings"
    " BEGIN SELECT raise(ABORT, 'the journal only grows'); END",
)

_NOTICES: tuple[Step, ...] = (
    """
    CREATE TABLE notices (
        place INTEGER NOT NULL PRIMARY KEY, key TEXT NOT NULL UNIQUE, document TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)

_RECORD: tuple[Step, ...] = (
    """
    CREATE TABLE kept_chains (
        symbol TEXT NOT NULL, day TEXT NOT NULL, trading_class TEXT NOT NULL,
        as_of REAL NOT NULL, options INTEGER NOT NULL, whole INTEGER NOT NULL,
        header TEXT NOT NULL, columns BLOB NOT NULL,
        PRIMARY KEY (symbol, day, trading_class)
    ) STRICT
    """,
    "CREATE INDEX kept_chains_by_day ON kept_chains (day)",
    """
    CREATE TABLE followed (
        proposal_id TEXT NOT NULL PRIMARY KEY REFERENCES proposals (id),
        until TEXT NOT NULL, ended TEXT, document TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE backtests (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, variant TEXT NOT NULL, document TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX backtests_by_variant ON backtests (variant)",
)

_ADVICE: tuple[Step, ...] = (
    """
    CREATE TABLE advice (
        id INTEGER PRIMARY KEY, day TEXT NOT NULL, as_of TEXT NOT NULL, position TEXT NOT NULL,
        entry_id INTEGER, symbol TEXT NOT NULL, expiry TEXT NOT NULL, document TEXT NOT NULL,
        outcome TEXT, settled_at TEXT
    ) STRICT
    """,
    "CREATE INDEX advice_by_expiry ON advice (expiry) WHERE outcome IS NULL",
    "CREATE INDEX advice_by_position ON advice (position, as_of)",
)

_SURFACES: tuple[Step, ...] = (
    """
    CREATE TABLE surfaces (
        symbol TEXT NOT NULL, day INTEGER NOT NULL,
        close REAL, atm_iv REAL, skew REAL, term_m1_m2 REAL,
        PRIMARY KEY (symbol, day)
    ) STRICT, WITHOUT ROWID
    """,
)

# REPLACE deletes what it replaces without asking the triggers for that; they see it come.
_GUARDS: tuple[tuple[str, str], ...] = (
    *(
        (
            table,
            f"CREATE TRIGGER {table}_replace_refused BEFORE INSERT ON {table}"
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"
            " BEGIN SELECT raise(ABORT, 'the journal only grows'); END",
        )
        for table, same in (
            ("entries", "id = NEW.id"),
            (
                "journal_history",
                "id = NEW.id OR (entry_id = NEW.entry_id AND revision = NEW.revision)",
            ),
            ("execution_decisions", "id = NEW.id"),
        )
    ),
    # Of these one that is known is left out, as INSERT OR IGNORE wants it.
    *(
        (
            table,
            f"CREATE TRIGGER {table}_replace_ignored BEFORE INSERT ON {table}"
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"
            " BEGIN SELECT raise(IGNORE); END",
        )
        for table, key in (
            ("executions", "exec_id"),
            ("bookings", "booking_id"),
            ("unread_rows", "row_id"),
        )
    ),
    (
        "entries",
        "CREATE TRIGGER entries_revised BEFORE UPDATE OF id, revision, document ON entries"
        " WHEN NEW.id != OLD.id OR NEW.revision != OLD.revision + 1"
        " BEGIN SELECT raise(ABORT, 'a change of an entry is a revision'); END",
    ),
)
"""Table and trigger: what keeps the journal from being changed unseen, beyond earlier triggers."""


def guard(db: sqlite3.Connection) -> None:
    """Give the journal its triggers, and back those of earlier versions that somebody dropped."""
    former = [step for step in (*_JOURNAL, *_ASIDE, *_BOOKINGS) if isinstance(step, str)]
    known = [(match[1], match[0]) for step in former if (match := _ON_TABLE.match(step))]
    for table, trigger in (*known, *_GUARDS):
        # `store check` names a table that is missing, and must get that far.
        if _columns(db, table):
            db.execute(trigger.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS"))


_ON_TABLE = re.compile(r"CREATE TRIGGER \w+ BEFORE \w+ ON (\w+).*", re.DOTALL)

MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    _CONTRACTS,
    _HISTORY,
    _CHAINS,
    _SCANS,
    _JOURNAL,
    _CALENDAR,
    _LEGACY,
    _ASIDE,
    _BOOKINGS,
    _NOTICES,
    _RECORD,
    _ADVICE,
    (guard,),
    _SURFACES,
)
"""Migration n brings a file from ``user_version`` n - 1 to n. Released ones never change."""

LATEST = len(MIGRATIONS)
_GUARDED = 1 + next(number for number, steps in enumerate(MIGRATIONS) if guard in steps)


def tables_of(version: int) -> frozenset[str]:
    """Return the names of the tables that a file of *version* has."""
    steps = [step for steps in MIGRATIONS[:version] for step in steps if isinstance(step, str)]
    created = (re.match(r"\s*CREATE TABLE (\w+)", step) for step in steps)
    return frozenset(match[1] for match in created if match)


def triggers_of(version: int) -> frozenset[str]:
    """Return the names of the triggers that a file of *version* has."""
    steps = [step for steps in MIGRATIONS[:version] for step in steps if isinstance(step, str)]
    if version >= _GUARDED:
        steps += [trigger for _, trigger in _GUARDS]
    created = (re.match(r"\s*CREATE TRIGGER (\w+)", step) for step in steps)
    return frozenset(match[1] for match in created if match)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version of an open file; 0 for an empty one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """
    Bring an open file up to date; a no-op when it already is.

    All migrations and their number are one transaction, so an interrupted one leaves no trace. A
    file of the original TOMIC (tables PriceHistory and VolStats, no version) is accepted and kept.

    Raises:
        SchemaTooNew: The file was written by a newer version.
        StoreError: The file belongs to another program.
    """
    connection.execute("BEGIN")
    try:
        # In one transaction: another run may be creating the same file at this moment.
        version = version_of(connection)
        _check_ours(connection, name, version)
    finally:
        # On a full disk SQLite has rolled back by itself, and the reason must not be hidden.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if version > LATEST:
        raise SchemaTooNew(
            f"{name}: written by a newer TOMIC (schema {version}, this one knows {LATEST}); "
            "upgrade TOMIC, or point store.path at another file"
        )
    if version < LATEST:
        _apply(connection, LATEST)


def fill_stand_in(connection: sqlite3.Connection) -> None:
    """Give a database in memory the tables of a new file, as a copy of one that was migrated."""
    if hasattr(connection, "deserialize"):
        connection.deserialize(_new())
    else:
        # A SQLite that was built without it.
        migrate(connection, ":memory:")


@functools.cache
def _new() -> bytes:
    """A store that holds nothing; made once for all that stand in for a file in this process."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        migrate(empty, ":memory:")
        return empty.serialize()


def _apply(connection: sqlite3.Connection, upto: int) -> None:
    """Apply what the file lacks in one transaction: it is the disk that takes long over each."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been first while we waited for the lock.
        for number in range(version_of(connection) + 1, upto + 1):
            for step in MIGRATIONS[number - 1]:
                if isinstance(step, str):
                    connection.execute(step)
                else:
                    step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {max(upto, version_of(connection))}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_ours(connection: sqlite3.Connection, name: str, version: int) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION_ID:
        return
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    known = {table.lower() for table in TABLES}
    foreign = sorted(table for (table,) in tables if table.lower() not in known)
    if application or version or foreign:
        raise StoreError(
            f"{name}: a SQLite file of another program; point store.path at another file"
        )
