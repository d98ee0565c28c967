"""Earnings dates and dividends, from the gateway and from files of the user, who is right."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from tomic.models import several
from tomic.store import documents
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
        await self._save("earnings", "?, ?, ?", rows)

    async def save_dividends(self, dividends: Iterable[Dividend]) -> None:
        """Keep dividends; what the same source said before about the same time is replaced."""
        rows = [
            (event.symbol, event.day.isoformat(), event.source, event.amount) for event in dividends
        ]
        await self._save("dividends", "?, ?, ?, ?", rows)

    async def earnings(
        self, symbols: Iterable[str], *, since: dt.date, until: dt.date | None = None
    ) -> dict[str, list[Earnings]]:
        """Return the earnings dates of each symbol in order of day; a CSV date replaces another."""
        return await self._events(Earnings, "earnings", "source", symbols, since, until)

    async def dividends(
        self, symbols: Iterable[str], *, since: dt.date, until: dt.date | None = None
    ) -> dict[str, list[Dividend]]:
        """Return the dividends of each symbol by ex-day; one from a CSV replaces another's."""
        return await self._events(Dividend, "dividends", "amount, source", symbols, since, until)

    async def _save(self, table: str, marks: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def work(db: sqlite3.Connection) -> None:
            _forget(db, table, rows)
            db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)

        await self._file.write(work)

    async def _events(
        self,
        kind: type[_Event],
        table: str,
        columns: str,
        symbols: Iterable[str],
        since: dt.date,
        until: dt.date | None,
    ) -> dict[str, list[_Event]]:
        last = until or dt.date.max
        # Wider than asked: a CSV row just outside the window may replace one inside it.
        rows = await self._rows(
            f"SELECT symbol, day, {columns} FROM {table}"
            " WHERE symbol IN (SELECT value FROM json_each(?))"
            " AND day BETWEEN ? AND ? ORDER BY symbol, day",
            (json.dumps(several(symbols)), _moved(since, -_SAME_EVENT), _moved(last, _SAME_EVENT)),
        )
        events = [kind(symbol, documents.to_day(day), *more) for symbol, day, *more in rows]
        return _preferred(events, since, last)


def _moved(day: dt.date, span: dt.timedelta) -> str:
    """*day* plus *span*, as text; the first or last day where there is none so early or late."""
    try:
        return (day + span).isoformat()
    except OverflowError:
        return (dt.date.max if span > dt.timedelta() else dt.date.min).isoformat()


def _forget(db: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    moved = _MOVED[table]
    for symbol, day, source, *_ in rows:
        near = documents.to_day(day)
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
