"""Daily bars, volatility series and snapshots, and how complete they are."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomic._typing import FloatArray
from tomic.errors import StoreError
from tomic.models import VolSnapshot, several
from tomic.models.documents import finite, to_text
from tomic.models.frames import to_html
from tomic.models.market import impossible
from tomic.store import documents
from tomic.store.documents import REMEDY
from tomic.store.file import T, TableGroup

if TYPE_CHECKING:
    import pandas as pd

_KEEP_S = 86_400.0
_CLOCK_S = 60.0
"""Requests further in the future are of a clock that has been set back; nobody waits for those."""


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


def _note_requests(db: sqlite3.Connection, key: str, at: float) -> None:
    db.execute("DELETE FROM history_requests WHERE at < ?", (at - _KEEP_S,))
    db.execute("INSERT INTO history_requests (at, key) VALUES (?, ?)", (at, key))


IvKind: TypeAlias = Literal["ib30", "chain30", "ib_hv30"]
"""IB's 30-day implied volatility, that of our own chains, and IB's historical volatility."""

DayArray: TypeAlias = NDArray[np.datetime64]

_LAST_DAYS = """
    FROM json_each(:symbols) AS wanted CROSS JOIN {table} AS t
    ON t.symbol = wanted.value {extra} AND t.day <= :until AND t.day >= (
        SELECT min(day) FROM (
            SELECT day FROM {table} AS t WHERE t.symbol = wanted.value {extra}
            AND t.day <= :until ORDER BY day DESC LIMIT :days
        )
    )
    ORDER BY t.symbol, t.day
"""


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """
    Daily bars of one symbol, ascending; currency per share, NaN where a field is unknown.

    Raises:
        ValueError: Lengths differ, a day occurs twice or out of order, or a close is missing.
    """

    symbol: str
    date: DayArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __post_init__(self) -> None:
        _check(self.symbol, self.date, self.close, self.open, self.high, self.low, self.volume)

    def __len__(self) -> int:
        return len(self.date)

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame of the caller's own: open, high, low, close and volume, indexed by day."""
        import pandas as pd

        names = ("open", "high", "low", "close", "volume")
        columns = {name: getattr(self, name).copy() for name in names}
        return pd.DataFrame(columns, index=pd.DatetimeIndex(self.date, name="date"))

    def _repr_html_(self) -> str:
        return to_html(self.to_frame(), self.symbol)

    @classmethod
    def from_rows(cls, symbol: str, rows: Iterable[Sequence[Any]]) -> Bars:
        """Build from rows of day, open, high, low, close and volume, in any order."""
        columns = list(zip(*sorted(rows, key=itemgetter(0)), strict=True)) or [()] * 6
        day, *fields = columns
        return cls(symbol, np.array(day, dtype="datetime64[D]"), *map(_floats, fields))


@dataclass(frozen=True, slots=True, eq=False)
class VolSeries:
    """
    One volatility per day of one symbol and kind, ascending; fractions per square-root year.

    Raises:
        ValueError: Lengths differ, a day occurs twice or out of order, or a value is missing.
    """

    symbol: str
    kind: IvKind
    date: DayArray
    value: FloatArray

    def __post_init__(self) -> None:
        _check(f"{self.symbol} {self.kind}", self.date, self.value)

    def __len__(self) -> int:
        return len(self.date)

    def to_series(self) -> pd.Series[float]:
        """A Series of the caller's own, indexed by day; fractions."""
        import pandas as pd

        return pd.Series(
            self.value.copy(), index=pd.DatetimeIndex(self.date, name="date"), name=self.symbol
        )

    def to_frame(self) -> pd.DataFrame:
        """`to_series` as a DataFrame of one column, which is called as the kind: ``ib30``."""
        return self.to_series().to_frame(self.kind)

    def _repr_html_(self) -> str:
        return to_html(self.to_frame(), self.symbol)

    @classmethod
    def from_rows(cls, symbol: str, kind: IvKind, rows: Iterable[Sequence[Any]]) -> VolSeries:
        """Build from rows of day and value, in any order."""
        day, value = list(zip(*sorted(rows, key=itemgetter(0)), strict=True)) or [(), ()]
        return cls(symbol, kind, np.array(day, dtype="datetime64[D]"), _floats(value))


class SmileDay(NamedTuple):
    """What the chain of one day said of the smile and the terms; fractions, None where unknown."""

    day: dt.date
    skew: float | None
    term_m1_m2: float | None
    term_m1_m3: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is stored of one series (``bars`` or a kind of volatility) of one symbol."""

    symbol: str
    series: str
    rows: int
    first: dt.date | None
    last: dt.date | None
    fetched_at: dt.datetime | None
    """When the gateway was last asked, None when it never was."""
    asked_from: dt.date | None
    """Earliest day ever asked for: before it nothing is known, after it nothing is missing."""
    close_only: int = 0
    """Bars without a high or low, as the original kept them."""


class HistoryTables(TableGroup):
    """Daily bars and volatility series per symbol, events that changed them, and snapshots."""

    async def save_bars(
        self,
        *series: Bars,
        fetched_at: dt.datetime | None = None,
        asked_from: dt.date | None = None,
    ) -> int:
        """
        Add or replace daily bars in one transaction; return how many days are new.

        Args:
            series: Bars of any number of symbols.
            fetched_at: When the gateway was asked for them, remembered per symbol.
            asked_from: First day that was asked for.
        """
        return await self._file.write(
            lambda db: sum(_put_bars(db, bars, fetched_at, asked_from) for bars in series)
        )

    async def bars(
        self, symbol: str, *, days: int | None = None, until: dt.date | None = None
    ) -> Bars:
        """Return the last *days* bars up to and including *until*, all by default."""
        by_symbol = await self.many_bars([symbol], days=days, until=until)
        return by_symbol.get(symbol) or Bars.from_rows(symbol, ())

    async def many_bars(
        self, symbols: Iterable[str], *, days: int | None = None, until: dt.date | None = None
    ) -> dict[str, Bars]:
        """Return the bars of many symbols in one query; symbols without any are absent."""
        query = "SELECT t.symbol, t.day, open, high, low, close, volume" + _LAST_DAYS.format(
            table="bars", extra=""
        )
        wanted = _wanted(symbols, days, until)
        rows = await self._rows(query, wanted)
        by_symbol = {}
        for symbol, group in _by_symbol(rows):
            _, day, *fields = zip(*group, strict=True)
            by_symbol[symbol] = _sound(Bars, symbol, _to_days(day), *map(_floats, fields))
        return by_symbol

    async def save_iv(
        self,
        *series: VolSeries,
        fetched_at: dt.datetime | None = None,
        asked_from: dt.date | None = None,
    ) -> int:
        """Add or replace daily volatilities in one transaction; return how many days are new."""
        return await self._file.write(
            lambda db: sum(
                _put_iv(db, volatilities, fetched_at, asked_from) for volatilities in series
            )
        )

    async def iv(
        self, symbol: str, kind: IvKind, *, days: int | None = None, until: dt.date | None = None
    ) -> VolSeries:
        """Return the last *days* volatilities up to and including *until*, all by default."""
        by_symbol = await self.many_iv([symbol], kind, days=days, until=until)
        return by_symbol.get(symbol) or VolSeries.from_rows(symbol, kind, ())

    async def many_iv(
        self,
        symbols: Iterable[str],
        kind: IvKind,
        *,
        days: int | None = None,
        until: dt.date | None = None,
    ) -> dict[str, VolSeries]:
        """Return one kind of volatility of many symbols in one query; those without are absent."""
        query = "SELECT t.symbol, t.day, t.value" + _LAST_DAYS.format(
            table="iv_history", extra="AND t.kind = :kind"
        )
        wanted = {**_wanted(symbols, days, until), "kind": kind}
        rows = await self._rows(query, wanted)
        by_symbol = {}
        for symbol, group in _by_symbol(rows):
            _, day, value = zip(*group, strict=True)
            by_symbol[symbol] = _sound(VolSeries, symbol, kind, _to_days(day), _floats(value))
        return by_symbol

    async def replace(
        self,
        series: Bars | VolSeries,
        *,
        at: dt.datetime,
        reason: str,
        asked_from: dt.date | None = None,
    ) -> None:
        """
        Throw a stored series away and write this one, noting the event, in one transaction.

        For a split: IB rewrites the past, so old and new rows must never stand side by side.
        """

        def work(db: sqlite3.Connection) -> None:
            if isinstance(series, Bars):
                db.execute("DELETE FROM bars WHERE symbol = ?", (series.symbol,))
                _put_bars(db, series, at, asked_from)
            else:
                key = (series.symbol, series.kind)
                db.execute("DELETE FROM iv_history WHERE symbol = ? AND kind = ?", key)
                _put_iv(db, series, at, asked_from)
            _note(db, at, series.symbol, "replaced", reason)

        await self._file.write(work)

    async def events(self, symbol: str | None = None) -> list[tuple[dt.datetime, str, str, str]]:
        """Return time, symbol, kind and detail of each event, oldest first."""
        rows = await self._rows(
            "SELECT at, symbol, kind, detail FROM events"
            " WHERE :symbol IS NULL OR symbol = :symbol ORDER BY at, id",
            {"symbol": symbol},
        )
        return [(documents.unstamp(at), *rest) for at, *rest in rows]

    async def note(self, symbol: str, kind: str, detail: str, *, at: dt.datetime) -> None:
        """Add to `events`."""
        await self._file.write(lambda db: _note(db, at, symbol, kind, detail))

    async def coverage(self, symbol: str) -> dict[str, Coverage]:
        """Return what is stored of one symbol, by series (``bars``, ``ib30``, …)."""
        return (await self.coverages([symbol])).get(symbol, {})

    async def coverages(
        self, symbols: Iterable[str] | None = None
    ) -> dict[str, dict[str, Coverage]]:
        """Return what is stored of many symbols (all by default), by symbol and series."""
        names = None if symbols is None else json.dumps(several(symbols))
        rows = await self._rows(_COVERAGE, {"symbols": names})
        coverages: dict[str, dict[str, Coverage]] = {}
        for symbol, series, count, first, last, close_only, fetched_at, asked_from in rows:
            coverages.setdefault(symbol, {})[series] = Coverage(
                symbol,
                series,
                count,
                _to_date(first),
                _to_date(last),
                documents.unstamp(fetched_at) if fetched_at else None,
                documents.to_day(asked_from) if asked_from else None,
                close_only,
            )
        return coverages

    async def save_snapshots(self, *snapshots: VolSnapshot, day: dt.date | None = None) -> None:
        """Keep the snapshots of a trading day (that of ``as_of`` by default), the last of each."""
        rows = [
            (
                snapshot.symbol,
                (day or snapshot.as_of.date()).isoformat(),
                snapshot.as_of.isoformat(),
                to_text(snapshot, exclude_defaults=True),
            )
            for snapshot in snapshots
        ]
        await self._write_rows("INSERT OR REPLACE INTO vol_snapshots VALUES (?, ?, ?, ?)", rows)

    async def snapshots(self, symbol: str, *, days: int | None = None) -> list[VolSnapshot]:
        """Return the last *days* snapshots, one a day, oldest first; all by default."""
        rows = await self._rows(
            "SELECT document FROM vol_snapshots WHERE symbol = ? ORDER BY day DESC LIMIT ?",
            (symbol, -1 if days is None else days),
        )
        return [_snapshot(text) for (text,) in reversed(rows)]

    async def latest_snapshots(self, symbols: Iterable[str]) -> dict[str, VolSnapshot]:
        """Return the newest snapshot of each symbol that has one."""
        rows = await self._rows(
            "SELECT symbol, max(day), document FROM vol_snapshots"
            " WHERE symbol IN (SELECT value FROM json_each(?)) GROUP BY symbol",
            (json.dumps(several(symbols)),),
        )
        return {symbol: _snapshot(text) for symbol, _, text in rows}

    async def smiles(self, symbol: str, *, days: int | None = None) -> list[SmileDay]:
        """
        Return skew and terms of the last *days* snapshots with a chain of their own, oldest first.

        A snapshot without a chain of its own repeats what an earlier one said; that is no new day.
        """
        own = ", ".join(
            f"CASE document ->> '$.sources.{name}' WHEN 'chain' THEN document ->> '$.{name}' END"
            for name in SmileDay._fields[1:]
        )
        rows = await self._rows(
            f"SELECT day, {own} FROM vol_snapshots WHERE symbol = ? ORDER BY day DESC LIMIT ?",
            (symbol, -1 if days is None else days),
        )
        smiles = [
            SmileDay(documents.to_day(day), *map(finite, values)) for day, *values in reversed(rows)
        ]
        return [smile for smile in smiles if smile[1:] != (None, None, None)]

    # -- requests to the gateway -----------------------------------------------------------

    async def recent_requests(self, since: dt.datetime) -> list[tuple[dt.datetime, str]]:
        """Return time and key of each request at or after *since*, oldest first."""
        rows = await self._rows(
            "SELECT at, key FROM history_requests WHERE at >= ? ORDER BY at, id",
            (since.timestamp(),),
        )
        return [(dt.datetime.fromtimestamp(at, dt.UTC), key) for at, key in rows]

    async def claim_request(
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
                _note_requests(db, key, now)
            return max(wait, 0.0)

        return dt.timedelta(seconds=await self._file.write(work))


def _snapshot(text: str) -> VolSnapshot:
    """A stored snapshot; a figure that an earlier version kept, and that cannot be, is missing."""
    document = documents.load(text)
    faults = {
        name: fault
        for name, value in document.items()
        if isinstance(value, float | int) and (fault := impossible(name, float(value)))
    }
    if not faults:
        return documents.read_as(VolSnapshot, text)
    kept = {name: value for name, value in document.items() if name not in faults}
    kept["missing"] = {**faults, **kept.get("missing", {})}
    return documents.read_as(VolSnapshot, json.dumps(kept))


_COVERAGE = """
    WITH stored AS (
        SELECT symbol, 'bars' AS series, count(*) AS count, min(day) AS first, max(day) AS last,
            sum(high IS NULL OR low IS NULL) AS close_only
        FROM bars WHERE :symbols IS NULL OR symbol IN (SELECT value FROM json_each(:symbols))
        GROUP BY symbol
        UNION ALL
        SELECT symbol, kind, count(*), min(day), max(day), 0
        FROM iv_history WHERE :symbols IS NULL OR symbol IN (SELECT value FROM json_each(:symbols))
        GROUP BY symbol, kind
    ), asked AS (
        SELECT * FROM fetches
        WHERE :symbols IS NULL OR symbol IN (SELECT value FROM json_each(:symbols))
    )
    SELECT symbol, series, coalesce(count, 0), first, last, coalesce(close_only, 0),
        fetched_at, asked_from
    FROM stored FULL JOIN asked USING (symbol, series) ORDER BY symbol, series
"""


def _sound(series: Callable[..., T], *parts: Any) -> T:
    """A series of what is stored; it was checked before, so what is odd now is damage."""
    try:
        return series(*parts)
    except ValueError as exc:
        raise StoreError(f"the stored {exc}; {REMEDY}") from exc


def _check(name: str, date: DayArray, *fields: FloatArray) -> None:
    if any(len(field) != len(date) for field in fields):
        raise ValueError(f"{name}: columns differ in length")
    if (np.diff(date.astype("int64")) <= 0).any():
        raise ValueError(f"{name}: days must ascend, each once")
    if not np.isfinite(fields[0]).all():
        raise ValueError(f"{name}: a day without its value is no day; leave it out")


def _put_bars(
    db: sqlite3.Connection, bars: Bars, fetched_at: dt.datetime | None, asked_from: dt.date | None
) -> int:
    numbers = _to_numbers(bars.date)
    rows = zip(
        repeat(bars.symbol),
        numbers,
        bars.open.tolist(),
        bars.high.tolist(),
        bars.low.tolist(),
        bars.close.tolist(),
        bars.volume.tolist(),
        strict=False,
    )
    known = _known(db, "bars WHERE symbol = ?", (bars.symbol,), numbers)
    db.executemany("INSERT OR REPLACE INTO bars VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    _note_fetch(db, bars.symbol, "bars", fetched_at, asked_from)
    return len(numbers) - known


def _put_iv(
    db: sqlite3.Connection,
    series: VolSeries,
    fetched_at: dt.datetime | None,
    asked_from: dt.date | None,
) -> int:
    key = (series.symbol, series.kind)
    numbers = _to_numbers(series.date)
    known = _known(db, "iv_history WHERE symbol = ? AND kind = ?", key, numbers)
    rows = zip(
        repeat(series.symbol), repeat(series.kind), numbers, series.value.tolist(), strict=False
    )
    db.executemany("INSERT OR REPLACE INTO iv_history VALUES (?, ?, ?, ?)", rows)
    _note_fetch(db, series.symbol, series.kind, fetched_at, asked_from)
    return len(numbers) - known


def _known(db: sqlite3.Connection, where: str, key: tuple[str, ...], numbers: Sequence[int]) -> int:
    """Return how many of these days are stored already."""
    if not numbers:
        return 0
    rows = db.execute(
        f"SELECT day FROM {where} AND day BETWEEN ? AND ?", (*key, numbers[0], numbers[-1])
    )
    return len({day for (day,) in rows}.intersection(numbers))


def _note_fetch(
    db: sqlite3.Connection,
    symbol: str,
    series: str,
    fetched_at: dt.datetime | None,
    asked_from: dt.date | None,
) -> None:
    if fetched_at is None:
        return
    first = asked_from.isoformat() if asked_from else None
    db.execute(
        "INSERT INTO fetches VALUES (?, ?, ?, ?) ON CONFLICT (symbol, series) DO UPDATE SET"
        " fetched_at = excluded.fetched_at,"
        " asked_from = coalesce(min(asked_from, excluded.asked_from), asked_from,"
        " excluded.asked_from)",
        (symbol, series, fetched_at.isoformat(), first),
    )


def _note(db: sqlite3.Connection, at: dt.datetime, symbol: str, kind: str, detail: str) -> None:
    db.execute(
        "INSERT INTO events (at, symbol, kind, detail) VALUES (?, ?, ?, ?)",
        (at.astimezone(dt.UTC).isoformat(), symbol, kind, detail),
    )


def _wanted(symbols: Iterable[str], days: int | None, until: dt.date | None) -> dict[str, Any]:
    last = np.datetime64(until or dt.date.max, "D").astype("int64")
    return {
        "symbols": json.dumps(sorted(set(several(symbols)))),
        "days": -1 if days is None else days,
        "until": int(last),
    }


def _by_symbol(rows: list[Any]) -> Iterator[tuple[str, Iterator[Any]]]:
    return groupby(rows, key=itemgetter(0))


def _floats(values: Sequence[Any]) -> FloatArray:
    return np.array(values, dtype="float64")


def _to_days(numbers: Sequence[int]) -> DayArray:
    return np.array(numbers, dtype="int64").astype("datetime64[D]")


def _to_numbers(date: DayArray) -> list[int]:
    numbers: list[int] = date.astype("datetime64[D]").astype("int64").tolist()
    return numbers


def _to_date(number: int | None) -> dt.date | None:
    return None if number is None else dt.date(1970, 1, 1) + dt.timedelta(days=number)
