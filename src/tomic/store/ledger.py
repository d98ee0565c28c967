"""The last history requests of every run, so that all of them keep the gateway's limit together."""

from __future__ import annotations

import datetime as dt
import sqlite3

from tomic.store.connection import StoreFile

_KEEP_S = 86_400.0
_CLOCK_S = 60.0
"""Requests further in the future are of a clock that has been set back; nobody waits for those."""


class LedgerTable(StoreFile):
    """History requests by time."""

    async def recent_history_requests(self, since: dt.datetime) -> list[tuple[dt.datetime, str]]:
        """Return time and key of each request at or after *since*, oldest first."""
        rows = await self._read(
            lambda db: db.execute(
                "SELECT at, key FROM history_requests WHERE at >= ? ORDER BY at, id",
                (since.timestamp(),),
            ).fetchall()
        )
        return [(dt.datetime.fromtimestamp(at, dt.UTC), key) for at, key in rows]

    async def claim_history_request(
        self,
        key: str,
        at: dt.datetime,
        *,
        most: int = 55,
        window: dt.timedelta = dt.timedelta(minutes=10),
        identical: dt.timedelta = dt.timedelta(seconds=15),
    ) -> dt.timedelta:
        """
        Note the request if the limits allow it at *at*, else tell how long to wait.

        Requests older than a day are forgotten.
        Looking and noting are one transaction, so two runs never take the same last place.

        Returns:
            Zero when it may be sent now and is noted; else how long to wait before asking again.

        Source: IB, "Historical Data Limitations": 60 requests in ten minutes, identical ones not
        within 15 seconds.
        """
        now = at.timestamp()

        def work(db: sqlite3.Connection) -> float:
            wait = max(
                _until_free(db, now, window.total_seconds(), most),
                _until_other(db, key, now, identical.total_seconds()),
            )
            if wait <= 0.0:
                _note(db, key, now)
            return max(wait, 0.0)

        return dt.timedelta(seconds=await self._write(work))


def _until_free(db: sqlite3.Connection, now: float, window: float, most: int) -> float:
    """Seconds until the request that fills the window leaves it."""
    row = db.execute(
        "SELECT at FROM history_requests WHERE at > ? AND at < ? ORDER BY at DESC LIMIT 1 OFFSET ?",
        (now - window, now + _CLOCK_S, most - 1),
    ).fetchone()
    return row[0] + window - now if row else 0.0


def _until_other(db: sqlite3.Connection, key: str, now: float, identical: float) -> float:
    (last,) = db.execute(
        "SELECT max(at) FROM history_requests WHERE key = ? AND at > ? AND at < ?",
        (key, now - identical, now + _CLOCK_S),
    ).fetchone()
    return 0.0 if last is None else last + identical - now


def _note(db: sqlite3.Connection, key: str, at: float) -> None:
    db.execute("DELETE FROM history_requests WHERE at < ?", (at - _KEEP_S,))
    db.execute("INSERT INTO history_requests (at, key) VALUES (?, ?)", (at, key))
