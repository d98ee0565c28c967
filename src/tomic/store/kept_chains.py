"""
A chain a symbol and day, kept for months: only what the market quoted, in a few kilobytes.

Kept are the options with a quote of their own: bid, ask, IV, delta, volume, open interest, status,
where quote and Greeks came from, and the second of the quote. Identifiers, last prices and the
other Greeks are not: the first are asked for anew, the others follow from these. Prices, strikes
and counts come back exactly, IV and delta to four decimals.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.chain import COLUMNS, Chain
from tomic.errors import StoreError
from tomic.models import QuoteSource
from tomic.store import documents
from tomic.store.chains import chain_of, header_of
from tomic.store.file import TableGroup

OFF = dt.timedelta(0)
"""The time for which chains are kept where they are not."""

_QUOTED = (
    QuoteSource.LIVE, QuoteSource.FROZEN, QuoteSource.DELAYED, QuoteSource.REPLAY,
)  # fmt: skip
"""Sources of a quote that the market made that day."""
_LEAST_SHARE = 0.75
"""Of the options of an earlier chain that a later one of the day must have to take its place."""
_MOST_ROWS = 100_000
_FORM = 1
"""Of the packing; another is another version's."""
MOST_BYTES = 40_000
"""Of one chain; above it the latest expiries are left out, which a scan does not use."""
_EXACT = ("strike", "bid", "ask", "volume", "open_interest")
_SCALES = (1.0, 100.0, 1e4, 1e6)
"""Numbers times the first of these that makes them all whole are kept as integers."""
_ROUNDED = ("iv", "delta")
_ROUNDED_SCALE = 1e4
_MOST_WHOLE = 2.0**40
_NAMED = ("status", "quote_source", "greeks_source")


class KeptDay(NamedTuple):
    """A chain that is kept, without its options."""

    symbol: str
    day: dt.date
    trading_class: str
    options: int
    whole: bool
    """Whether all was asked for and answered: not a sample, and not cut short."""


class KeptChainTables(TableGroup):
    """Chains of many days, one a symbol, day and trading class."""

    async def save(self, chain: Chain, *, day: dt.date, keep: dt.timedelta) -> bool:
        """
        Keep the quotes of *chain* as those of the trading *day*; whether they were.

        A later chain of the day replaces an earlier one, unless it has far fewer options or is
        only a part where the other was whole. Chains of any symbol from more than *keep* before
        the day go. Nothing happens where *keep* is zero, or nothing was quoted.
        """
        quoted = chain.where(_is_quoted(chain)) if keep > OFF else chain.where(_none(chain))
        if not len(quoted):
            return False
        whole = not (chain.is_cut or chain.fetch.sampled)
        quoted, header, columns = _within_size(quoted)
        key = (chain.symbol, day.isoformat(), chain.trading_class)
        at, count = chain.as_of.timestamp(), len(quoted)

        def work(db: sqlite3.Connection) -> bool:
            # The chain of the day itself stays, however short the time is.
            db.execute("DELETE FROM kept_chains WHERE day < ?", ((day - keep).isoformat(),))
            there = db.execute(
                "SELECT as_of, options, whole FROM kept_chains"
                " WHERE symbol = ? AND day = ? AND trading_class = ?",
                key,
            ).fetchone()
            if there is not None and not _replaces(at, count, whole, there):
                return False
            db.execute(
                "INSERT OR REPLACE INTO kept_chains VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, at, count, whole, header, columns),
            )
            return True

        return await self._file.write(work)

    async def days(
        self,
        symbol: str | None = None,
        *,
        first: dt.date | None = None,
        last: dt.date | None = None,
    ) -> list[KeptDay]:
        """What is kept, by symbol and day; of all symbols where none is named."""
        rows = await self._rows(
            "SELECT symbol, day, trading_class, options, whole FROM kept_chains"
            " WHERE (:symbol IS NULL OR symbol = :symbol) AND day >= :first AND day <= :last"
            " ORDER BY symbol, day, trading_class",
            {
                "symbol": symbol,
                "first": (first or dt.date.min).isoformat(),
                "last": (last or dt.date.max).isoformat(),
            },
        )
        return [
            KeptDay(name, dt.date.fromisoformat(day), trading_class, options, bool(whole))
            for name, day, trading_class, options, whole in rows
        ]

    async def load(
        self, symbol: str, day: dt.date, *, trading_class: str | None = None
    ) -> Chain | None:
        """
        The chain of a symbol on a day, None when none is kept; of several classes the largest.

        Raises:
            StoreError: It is damaged.
        """
        rows = await self._rows(
            "SELECT header, columns FROM kept_chains WHERE symbol = :symbol AND day = :day"
            " AND (:class IS NULL OR trading_class = :class) ORDER BY options DESC LIMIT 1",
            {"symbol": symbol, "day": day.isoformat(), "class": trading_class},
        )
        return unpacked(symbol, day, *rows[0]) if rows else None

    async def prune(self, before: dt.date) -> int:
        """Delete the chains of the days before; how many there were."""
        if not await self._rows("SELECT 1 FROM kept_chains LIMIT 1"):
            return 0  # Where there is no store, none is made.
        return await self._write_rows(
            "DELETE FROM kept_chains WHERE day < ?", [(before.isoformat(),)]
        )


def _is_quoted(chain: Chain) -> BoolArray:
    has_side = np.isfinite(chain["bid"]) | np.isfinite(chain["ask"])
    return np.asarray(has_side & np.isin(chain["quote_source"], [s.value for s in _QUOTED]))


def _none(chain: Chain) -> BoolArray:
    return np.zeros(len(chain), dtype=bool)


def _replaces(at: float, count: int, whole: bool, there: tuple[float, int, int]) -> bool:
    if whole != bool(there[2]):
        return whole
    return at >= there[0] and count >= _LEAST_SHARE * there[1]


def _within_size(chain: Chain) -> tuple[Chain, str, bytes]:
    """A chain and what is kept of it: the expiries from the first on that fit."""
    header, columns = packed(chain)
    while (size := len(header.encode()) + len(columns)) > MOST_BYTES and len(chain.expiries) > 1:
        share = MOST_BYTES / size
        ends = np.searchsorted(chain["expiry"], chain["expiry"], side="right")
        fits = ends <= share * len(chain)
        last = chain["expiry"][fits].max() if fits.any() else np.datetime64(chain.expiries[0])
        last = min(last, np.datetime64(chain.expiries[-2]))
        chain = replace(
            chain.where(np.asarray(chain["expiry"] <= last)),
            notes=(*chain.notes, f"kept up to {last}: later expiries take too much room"),
        )
        header, columns = packed(chain)
    return chain, header, columns


# -- packing -------------------------------------------------------------------------------


def packed(chain: Chain) -> tuple[str, bytes]:
    """Header and compressed columns of *chain*; see the module for what is kept."""
    # Prices change little from strike to strike of one right.
    order = np.lexsort((chain["strike"], chain["right"], chain["expiry"]))
    column = {name: array[order] for name, array in chain.columns.items()}
    expiries, first = np.unique(column["expiry"], return_index=True)
    parts: list[bytes] = []
    kinds: list[list[Any]] = []
    as_of = np.datetime64(chain.as_of.astimezone(dt.UTC).replace(tzinfo=None), "s")
    age = (as_of - column["quoted_at"].astype("datetime64[s]")).astype(np.float64)
    age[np.isnat(column["quoted_at"])] = np.nan
    both = _scale(np.concatenate((column["bid"], column["ask"])))
    scales = {name: _scale(column[name]) for name in _EXACT} | {"bid": both, "ask": both}
    numbers = {
        **{name: (column[name], scales[name]) for name in _EXACT},
        **{name: (column[name], _ROUNDED_SCALE) for name in _ROUNDED},
        "age": (age, 1.0),
    }
    for name, (values, scale) in numbers.items():
        # A spread takes less room than an ask.
        base = _whole(column["bid"], scale) if name == "ask" else None
        width, payload = _numbers(values, scale, base)
        kinds.append([name, scale, width])
        parts.append(payload)
    names: dict[str, list[str]] = {}
    places = np.searchsorted(expiries, column["expiry"])
    parts += [places.astype("<u2").tobytes(), (column["right"] == "C").astype("u1").tobytes()]
    for name in _NAMED:
        words, code = np.unique(column[name], return_inverse=True)
        names[name] = words.tolist()
        parts.append(code.astype("u1").tobytes())
    header = header_of(chain) | {
        "form": _FORM,
        "numbers": kinds,
        "names": names,
        "expiries": [
            [str(day), int(column["dte"][at]), float(column["tau"][at])]
            for day, at in zip(expiries, first.tolist(), strict=True)
        ],
    }
    return documents.dump(header), zlib.compress(b"".join(parts), 9)


def _scale(values: FloatArray) -> float:
    """The first scale that makes every number whole; 0 where none does."""
    known = values[np.isfinite(values)]
    for scale in _SCALES:
        whole = np.rint(known * scale)
        if np.all(np.abs(whole) < _MOST_WHOLE) and np.array_equal(whole / scale, known):
            return scale
    return 0.0


def _whole(values: FloatArray, scale: float) -> IntArray:
    return np.rint(np.where(np.isfinite(values), values, 0.0) * scale).astype(np.int64)


def _numbers(values: FloatArray, scale: float, base: IntArray | None) -> tuple[int, bytes]:
    """
    Which are missing, then the others: differences in planes of bytes, or plain if unscaled.

    Args:
        base: What is subtracted first.
    """
    missing = ~np.isfinite(values)
    lacks = np.packbits(missing).tobytes()
    if scale == 0.0:
        return 0, lacks + np.where(missing, 0.0, values).astype("<f8").tobytes()
    whole = _whole(values, scale)
    step = np.diff(whole if base is None else whole - base, prepend=0)
    # Small steps either way become small numbers without sign.
    code = ((step << 1) ^ (step >> 63)).astype("<u8")
    width = max(1, (int(code.max(initial=0)).bit_length() + 7) // 8)
    planes = code.view(np.uint8).reshape(-1, 8)[:, :width].T
    return width, lacks + np.ascontiguousarray(planes).tobytes()


def unpacked(symbol: str, day: dt.date, header_text: str, columns: bytes) -> Chain:
    """
    The chain of a header and compressed columns.

    Raises:
        StoreError: Either is damaged.
    """
    try:
        return _chain(documents.load(header_text), columns)
    except (
        StoreError, zlib.error, LookupError, TypeError, ValueError, ArithmeticError, AttributeError,
    ) as exc:  # fmt: skip
        raise StoreError(
            f"the kept chain of {symbol} on {day} is damaged ({exc}); {documents.REMEDY}"
        ) from exc


def _chain(header: dict[str, Any], columns: bytes) -> Chain:
    if header["form"] != _FORM:
        raise ValueError(f"form {header['form']!r} is not one that this version reads")
    rows = header["rows"]
    if type(rows) is not int or not 0 < rows <= _MOST_ROWS:
        raise ValueError(f"{rows!r} is not a number of options")
    kinds = [(str(name), float(scale), int(width)) for name, scale, width in header["numbers"]]
    if any(not 0 <= width <= 8 for _, _, width in kinds):
        raise ValueError("a number cannot be that wide")
    sizes = [-(-rows // 8) + rows * (width or 8) for _, _, width in kinds]
    size = sum(sizes) + rows * (3 + len(_NAMED))
    reader = zlib.decompressobj()
    payload = memoryview(reader.decompress(columns, size + 1))
    if len(payload) != size or not reader.eof or reader.unused_data:
        raise ValueError(f"{len(payload)} bytes of columns instead of {size}")
    arrays: dict[str, NDArray[Any]] = {}
    for (name, scale, width), length in zip(kinds, sizes, strict=True):
        base = _whole(arrays["bid"], scale) if name == "ask" else None
        arrays[name] = _numbers_of(payload[:length], rows, scale, width, base)
        payload = payload[length:]
    return chain_of(header, arrays | _labels(header, payload, rows, arrays.pop("age")))


def _numbers_of(
    part: memoryview, rows: int, scale: float, width: int, base: IntArray | None
) -> FloatArray:
    split = -(-rows // 8)
    missing = np.unpackbits(np.frombuffer(part[:split], np.uint8), count=rows).astype(bool)
    if width == 0:
        return np.where(missing, np.nan, np.frombuffer(part[split:], "<f8"))
    code = np.zeros((rows, 8), np.uint8)
    code[:, :width] = np.frombuffer(part[split:], np.uint8).reshape(width, rows).T
    number = code.view("<u8")[:, 0]
    step = (number >> np.uint64(1)).astype(np.int64) ^ -(number & np.uint64(1)).astype(np.int64)
    whole = np.cumsum(step)
    return np.where(missing, np.nan, (whole if base is None else whole + base) / scale)


def _labels(
    header: Mapping[str, Any], payload: memoryview, rows: int, age: FloatArray
) -> dict[str, NDArray[Any]]:
    """Columns of words and times."""
    place = np.frombuffer(payload[: 2 * rows], "<u2")
    is_call = np.frombuffer(payload[2 * rows : 3 * rows], np.uint8)
    expiries: Sequence[Sequence[Any]] = header["expiries"]
    arrays: dict[str, NDArray[Any]] = {
        "expiry": np.array([day for day, _, _ in expiries], dtype="datetime64[D]")[place],
        "dte": np.array([days for _, days, _ in expiries], dtype=np.int64)[place],
        "tau": np.array([years for _, _, years in expiries], dtype=np.float64)[place],
        "right": np.where(is_call == 1, "C", "P"),
    }
    as_of = dt.datetime.fromisoformat(header["as_of"]).astimezone(dt.UTC).replace(tzinfo=None)
    known = np.isfinite(age)
    seconds = np.where(known, age, 0.0).astype("timedelta64[s]")
    at = np.datetime64(as_of, "s") - seconds
    arrays["quoted_at"] = np.where(known, at, np.datetime64("NaT")).astype(COLUMNS["quoted_at"])
    for number, name in enumerate(_NAMED, 3):
        code = np.frombuffer(payload[number * rows : (number + 1) * rows], np.uint8)
        arrays[name] = np.array(header["names"][name], dtype=COLUMNS[name])[code]
    return arrays


def damaged(db: sqlite3.Connection) -> Iterator[str]:
    """What cannot be read of the kept chains, a line each."""
    rows = db.execute("SELECT symbol, day, header, columns FROM kept_chains")
    for symbol, day, header, columns in rows:
        try:
            json.loads(header)
        except ValueError:
            continue  # Named already, as a document that is no JSON.
        try:
            unpacked(symbol, dt.date.fromisoformat(day), header, columns)
        except (StoreError, ValueError) as exc:
            yield str(exc).removesuffix(f"; {documents.REMEDY}")
