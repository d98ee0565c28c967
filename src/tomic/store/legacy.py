"""The original's ``volatility.db``: its rows, kept as they are and put where they belong."""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tomic.models import VolSnapshot
from tomic.models.documents import to_text
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
    chosen = [f'"{present[name]}"' if name in present else "NULL" for name in names]
    query = ", ".join([*chosen, *(f'"{name}"' for name in extra)])
    rows = source.execute(f'SELECT {query} FROM "{table}"').fetchall()
    size = len(names)
    kept = [
        (*row[:size], dump(dict(zip(extra, row[size:], strict=True))) if extra else None)
        for row in rows
    ]
    marks = ", ".join("?" * (size + 1))
    target.executemany(f"INSERT OR REPLACE INTO {home} VALUES ({marks})", kept)
    return [row[:size] for row in rows]


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]


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
    found = {
        name: value / 100.0
        for name, cell in zip(("hv30", "hv60", "hv90"), percents, strict=False)
        if (value := _number(cell)) is not None and not impossible(name, value / 100.0)
    }
    if day is None or not found:
        return None
    as_of = dt.datetime.combine(day, dt.time(), dt.UTC)
    snapshot = VolSnapshot(
        symbol=str(symbol),
        as_of=as_of,
        hv30=found.get("hv30"),
        hv60=found.get("hv60"),
        hv90=found.get("hv90"),
        sources=dict.fromkeys(found, "original"),
    )
    text = to_text(snapshot, exclude_defaults=True)
    return snapshot.symbol, day.isoformat(), as_of.isoformat(), text


def _number(cell: object) -> float | None:
    if not isinstance(cell, int | float) or not math.isfinite(cell):
        return None
    return float(cell)


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
