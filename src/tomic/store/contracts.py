"""What the gateway said today about an underlying and its options, so that it is asked once."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tomic.models import OptionParams, Underlying
from tomic.models.documents import to_text
from tomic.store import documents
from tomic.store.file import TableGroup

_KEEP_DAYS = 7


class StoredContract(NamedTuple):
    """One listed option of a trading class."""

    con_id: int
    expiry: dt.date
    strike: float
    right: Literal["C", "P"]
    multiplier: int = 100
    exchange: str = "SMART"
    local_symbol: str = ""


class ContractTables(TableGroup):
    """Underlyings, option parameters and option contracts, per trading day."""

    async def save_underlying(self, underlying: Underlying, day: dt.date) -> None:
        """Remember the resolved underlying for one trading day."""
        row = (underlying.symbol, day.isoformat(), to_text(underlying))
        await self._write_rows("INSERT OR REPLACE INTO underlyings VALUES (?, ?, ?)", [row])

    async def underlying(self, symbol: str, day: dt.date) -> Underlying | None:
        """Return the underlying as it was resolved that day, None when it was not."""
        rows = await self._rows(
            "SELECT document FROM underlyings WHERE symbol = ? AND day = ?",
            (symbol, day.isoformat()),
        )
        return documents.read_as(Underlying, rows[0][0]) if rows else None

    async def latest_underlyings(self, symbols: Iterable[str]) -> dict[str, Underlying]:
        """The underlyings as they were resolved last; those that never were are absent."""
        rows = await self._rows(
            "SELECT symbol, document, max(day) FROM underlyings"
            " WHERE symbol IN (SELECT value FROM json_each(?)) GROUP BY symbol",
            (json.dumps(sorted(set(symbols))),),
        )
        return {symbol: documents.read_as(Underlying, text) for symbol, text, _ in rows}

    async def save_option_params(self, symbol: str, day: dt.date, params: OptionParams) -> None:
        """Remember expiries and strikes of one trading class for one trading day."""
        row = (symbol, day.isoformat(), params.key, to_text(params))
        await self._write_rows("INSERT OR REPLACE INTO option_params VALUES (?, ?, ?, ?)", [row])

    async def option_params(self, symbol: str, day: dt.date) -> list[OptionParams]:
        """Return every trading class remembered for that day, by name."""
        rows = await self._rows(
            "SELECT document FROM option_params WHERE symbol = ? AND day = ?"
            " ORDER BY trading_class",
            (symbol, day.isoformat()),
        )
        return [documents.read_as(OptionParams, text) for (text,) in rows]

    async def save(
        self,
        symbol: str,
        day: dt.date,
        trading_class: str,
        contracts: Iterable[StoredContract],
        *,
        complete: Iterable[dt.date] = (),
    ) -> None:
        """
        Add contracts to those known for one trading day; what is older than a week goes.

        Args:
            symbol: The underlying.
            day: Trading day at the exchange.
            trading_class: The class that all of them belong to.
            contracts: Known contracts; one that is known already is replaced.
            complete: Expiries of which every listed contract is now known, also when there is none.
        """
        key = (symbol, day.isoformat(), trading_class)
        rows = [
            (*key, c.expiry.isoformat(), c.strike, c.right, c.con_id, c.multiplier, c.exchange,
             c.local_symbol)
            for c in contracts
        ]  # fmt: skip
        listed = [(*key, expiry.isoformat()) for expiry in complete]
        before = (day - dt.timedelta(days=_KEEP_DAYS)).isoformat()

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT OR REPLACE INTO contracts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
            db.executemany("INSERT OR REPLACE INTO listed_expiries VALUES (?, ?, ?, ?)", listed)
            _purge(db, before, symbol)

        await self._file.write(work)

    async def load(self, symbol: str, day: dt.date, trading_class: str) -> list[StoredContract]:
        """Return the contracts known for that day, by expiry, strike and right."""
        rows = await self._rows(
            'SELECT con_id, expiry, strike, "right", multiplier, exchange, local_symbol'
            " FROM contracts WHERE symbol = ? AND day = ? AND trading_class = ?"
            ' ORDER BY expiry, strike, "right"',
            (symbol, day.isoformat(), trading_class),
        )
        return [
            StoredContract(con_id, documents.to_day(expiry), *rest)
            for con_id, expiry, *rest in rows
        ]

    async def complete_expiries(
        self, symbol: str, day: dt.date, trading_class: str
    ) -> frozenset[dt.date]:
        """Return the expiries of which every listed contract is known for that day."""
        rows = await self._rows(
            "SELECT expiry FROM listed_expiries WHERE symbol = ? AND day = ? AND trading_class = ?",
            (symbol, day.isoformat(), trading_class),
        )
        return frozenset(documents.to_day(text) for (text,) in rows)


def _purge(db: sqlite3.Connection, before: str, symbol: str) -> None:
    for table in ("contracts", "listed_expiries", "option_params", "underlyings"):
        db.execute(f"DELETE FROM {table} WHERE symbol = ? AND day < ?", (symbol, before))
