"""Earnings dates and dividends, from the gateway and from files of the user, who is right."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from tomic.models import several
from tomic.store.file import TableGroup

EarningsSource: TypeAlias = Literal["csv", "web"]
DividendSource: TypeAlias = Literal["csv", "tick456"]

_SAME_EVENT = dt.timedelta(days=20)
"""Two sources mean the same event when their days are closer than this."""
_MOVED = {"earnings": dt.timedelta(days=20), "dividends": dt.timedelta(days=6)}
"""How far one source may move an event; some funds pay every week."""


@dataclass(frozen=True, slots=True)
class Earnings:
    """A day on which a company reports."""

    symbol: str
    day: dt.date
    source: EarningsSource


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash dividend; *amount* in currency per share."""

    symbol: str
    day: dt.date
    """The ex-dividend day."""
    amount: float
    source: DividendSource


_Event = TypeVar("_Event", Earnings, Dividend)


class CalendarTables(TableGroup):
    """Earnings and dividends by symbol."""

    async def save_earnings(self, earnings: Iterable[Earnings]) -> None:
        """
        Keep earnings dates.

        What the same source said before about the same time is replaced: a moved date leaves no
        second one behind.
        """
        rows = [(event.symbol, event.day.isoformat(), event.source) for event in earnings]

        def work(db: sqlite3.Connection) -> None:
            _forget(db, "earnings", rows)
            db.executemany("INSERT OR REPLACE INTO earnings VALUES (?, ?, ?)", rows)

        await self._file.write(work)

    async def save_dividends(self, dividends: Iterable[Dividend]) -> None:
        """Keep dividends; what the same source said before about the same time is replaced."""
        rows = [
            (dividend.symbol, dividend.day.isoformat(), dividend.source, dividend.amount)
            for dividend in dividends
        ]

        def work(db: sqlite3.Connection) -> None:
            _forget(db, "dividends", [row[:3] for row in rows])
            db.executemany("INSERT OR REPLACE INTO dividends VALUES (?, ?, ?, ?)", rows)

        await self._file.write(work)

    async def earnings(
        self, symbols: Iterable[str], *, since: dt.date, until: dt.date | None = None
    ) -> dict[str, list[Earnings]]:
        """Return the earnings dates of each symbol in order of day; a CSV date replaces another."""
        rows = await self._events("symbol, day, source", "earnings", symbols, since, until)
        events = [
            Earnings(symbol, dt.date.fromisoformat(day), *rest) for symbol, day, *rest in rows
        ]
        return _preferred(events, since, until or dt.date.max)

    async def dividends(
        self, symbols: Iterable[str], *, since: dt.date, until: dt.date | None = None
    ) -> dict[str, list[Dividend]]:
        """Return the dividends of each symbol by ex-day; one from a CSV replaces another's."""
        rows = await self._events("symbol, day, amount, source", "dividends", symbols, since, until)
        events = [
            Dividend(symbol, dt.date.fromisoformat(day), *rest) for symbol, day, *rest in rows
        ]
        return _preferred(events, since, until or dt.date.max)

    async def _events(
        self,
        columns: str,
        table: str,
        symbols: Iterable[str],
        since: dt.date,
        until: dt.date | None,
    ) -> list[Any]:
        # Wider than asked: a CSV row just outside the window may replace one inside it.
        values = (
            json.dumps(several(symbols)),
            _moved(since, -_SAME_EVENT),
            _moved(until or dt.date.max, _SAME_EVENT),
        )
        rows: list[Any] = await self._file.read(
            lambda db: db.execute(
                f"SELECT {columns} FROM {table} WHERE symbol IN (SELECT value FROM json_each(?))"
                " AND day BETWEEN ? AND ? ORDER BY symbol, day",
                values,
            ).fetchall()
        )
        return rows


def _moved(day: dt.date, span: dt.timedelta) -> str:
    """*day* plus *span*, as text; the first or last day where there is none so early or late."""
    try:
        return (day + span).isoformat()
    except OverflowError:
        return (dt.date.max if span > dt.timedelta() else dt.date.min).isoformat()


def _forget(db: sqlite3.Connection, table: str, rows: Sequence[tuple[str, str, str]]) -> None:
    moved = _MOVED[table]
    for symbol, day, source in rows:
        near = dt.date.fromisoformat(day)
        db.execute(
            f"DELETE FROM {table} WHERE symbol = ? AND source = ? AND day > ? AND day < ?",
            (symbol, source, _moved(near, -moved), _moved(near, moved)),
        )


def _preferred(events: list[_Event], since: dt.date, until: dt.date) -> dict[str, list[_Event]]:
    own = [event for event in events if event.source == "csv"]
    kept: dict[str, list[_Event]] = {}
    for event in events:
        overruled = event.source != "csv" and any(
            mine.symbol == event.symbol and abs(mine.day - event.day) < _SAME_EVENT for mine in own
        )
        if not overruled and since <= event.day <= until:
            kept.setdefault(event.symbol, []).append(event)
    return kept
