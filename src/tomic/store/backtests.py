"""Backtests that were run: how many variants were tried, so that nobody takes luck for skill."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tomic.store.documents import dump, load, stamp
from tomic.store.file import TableGroup


class BacktestTables(TableGroup):
    """Runs of `tomic backtest`, without their results."""

    async def note(
        self,
        variants: Sequence[str],
        symbols: Iterable[str],
        *,
        at: dt.datetime,
        facts: Mapping[str, Any] | None = None,
    ) -> int:
        """
        Note the *variants* of one run and return how many were tried so far over these symbols.

        The same variant again is not another look. One that was tried over other symbols alone is
        not counted; one that shares a symbol is.

        Args:
            variants: A text for each that is equal for equal settings and ways of running.
            facts: What else is worth keeping, JSON-ready.
        """
        looked_at = set(symbols)
        document = dump({"symbols": sorted(looked_at), **(facts or {})})
        rows = [(stamp(at), variant, document) for variant in variants]

        def work(db: sqlite3.Connection) -> int:
            db.executemany("INSERT INTO backtests (at, variant, document) VALUES (?, ?, ?)", rows)
            return _tried(db, looked_at)

        return await self._file.write(work)

    async def tried(self, symbols: Iterable[str]) -> int:
        """How many variants were tried so far over these symbols."""
        looked_at = set(symbols)
        return await self._file.read(lambda db: _tried(db, looked_at))


def _tried(db: sqlite3.Connection, symbols: set[str]) -> int:
    rows = db.execute("SELECT variant, document FROM backtests")
    return len({name for name, text in rows if symbols & _looked_at(text)})


def _looked_at(text: str) -> set[str]:
    """The symbols of a run; none where the document is of another make."""
    told = load(text).get("symbols")
    return {name for name in told if isinstance(name, str)} if isinstance(told, list) else set()
