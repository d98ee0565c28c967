"""Daily volatility surfaces that were imported, as they were read: what a backtest walks over."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tomic.store.file import TableGroup

if TYPE_CHECKING:
    from tomic.evidence.history import SurfaceRows

_COLUMNS = "close, atm_iv, skew, term_m1_m2"


class SurfaceTables(TableGroup):
    """Summaries of a symbol and day; units as in `SurfaceRows`, nothing judged."""

    async def save(self, rows: SurfaceRows) -> int:
        """
        Keep *rows*, those of the same symbol and day replaced; how many days are new.

        Of two rows of a day the last counts. Rows without a date are left out.
        """
        dated = ~np.isnat(rows.day)
        day = rows.day[dated].astype("datetime64[D]").astype(np.int64).tolist()
        numbers = [_cells(column[dated]) for column in rows[2:]]
        table = list(zip(rows.symbol[dated].tolist(), day, *numbers, strict=True))

        def work(db: sqlite3.Connection) -> int:
            before = _count(db)
            db.executemany(
                f"INSERT OR REPLACE INTO surfaces (symbol, day, {_COLUMNS})"
                " VALUES (?, ?, ?, ?, ?, ?)",
                table,
            )
            return _count(db) - before

        return await self._file.write(work)

    async def load(self, symbols: Iterable[str]) -> SurfaceRows:
        """The rows of *symbols* by symbol and day; none of those that were never imported."""
        # Here, as a store is opened by every command and hardly any walks over surfaces.
        from tomic.evidence.history import SurfaceRows

        rows = await self._rows(
            f"SELECT symbol, day, {_COLUMNS} FROM surfaces"
            " WHERE symbol IN (SELECT value FROM json_each(?)) ORDER BY symbol, day",
            (json.dumps(sorted(set(symbols))),),
        )
        names, days, *columns = zip(*rows, strict=True) if rows else ((),) * 6
        return SurfaceRows(
            np.array(names, dtype=str),
            np.array(days, dtype=np.int64).astype("datetime64[D]"),
            *(np.array(column, dtype=np.float64) for column in columns),
        )


def _cells(column: np.ndarray) -> list[float | None]:
    """What SQLite keeps of numbers: nothing where one is missing."""
    return [value if value == value else None for value in column.tolist()]


def _count(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM surfaces").fetchone()
    return int(count)
