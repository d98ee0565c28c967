"""
Names in a store, read without opening it for work: what a shell may offer after Tab.

Nothing is created or migrated; a store that cannot be read has no names.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_WAIT_S = 0.2


# From each symbol straight to the next one: DISTINCT would read every bar.
_SYMBOLS = """
    WITH RECURSIVE stored (symbol) AS (
        SELECT min(symbol) FROM bars
        UNION ALL
        SELECT (SELECT min(symbol) FROM bars WHERE symbol > stored.symbol)
        FROM stored WHERE stored.symbol IS NOT NULL
    )
    SELECT symbol FROM stored WHERE symbol IS NOT NULL
    UNION SELECT symbol FROM vol_snapshots UNION SELECT symbol FROM underlyings ORDER BY 1
"""


def symbols(path: Path) -> list[str]:
    """Symbols with stored prices, volatility or contracts, sorted."""
    return [name for (name,) in _rows(path, _SYMBOLS)]


def proposals(path: Path, *, most: int = 50) -> list[tuple[str, str]]:
    """Ids of saved proposals, newest first, each with its symbol and strategy."""
    return [
        (name, f"{symbol} {strategy}, {expiry}")
        for name, symbol, strategy, expiry in _rows(
            path,
            "SELECT id, symbol, strategy, expiry FROM proposals"
            f" ORDER BY day DESC, number DESC LIMIT {most:d}",
        )
    ]


def entries(path: Path, *, most: int = 50) -> list[tuple[str, str]]:
    """Numbers of journal entries, newest first, each with its symbol, strategy and status."""
    return [
        (str(number), f"{symbol} {strategy} {status}")
        for number, symbol, strategy, status in _rows(
            path,
            f"SELECT id, symbol, strategy, status FROM entries ORDER BY id DESC LIMIT {most:d}",
        )
    ]


def _rows(path: Path, query: str) -> list[tuple[str, ...]]:
    try:
        if not path.is_file():
            return []
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)
        ) as db:
            return db.execute(query).fetchall()
    except (sqlite3.Error, OSError, RuntimeError):
        return []
