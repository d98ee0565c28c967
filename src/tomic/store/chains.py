"""The option chains of the day, kept compactly."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tomic.chain import COLUMNS, Chain, Fetch
from tomic.errors import StoreError
from tomic.models import Carry, DataType, Spot, Underlying
from tomic.models.documents import to_document
from tomic.store import documents
from tomic.store.file import TableGroup

_KEEP_S = 86_400.0


class ChainTables(TableGroup):
    """Whole chains by symbol and time."""

    async def save(self, chain: Chain) -> None:
        """
        Keep a chain; one of the same symbol, class and instant is replaced.

        Those of the symbol from more than a day before it go.
        """
        header, columns = _packed(chain)
        at = chain.as_of.timestamp()
        row = (chain.symbol, at, chain.trading_class, len(chain), header, columns)

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO chains"
                " (symbol, as_of, trading_class, options, header, columns)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            db.execute(
                "DELETE FROM chains WHERE symbol = ? AND as_of < ?", (chain.symbol, at - _KEEP_S)
            )

        await self._file.write(work)

    async def load(
        self,
        symbol: str,
        *,
        max_age: dt.timedelta | None = None,
        now: dt.datetime | None = None,
        whole: bool = False,
    ) -> Chain | None:
        """
        Return the newest stored chain of a symbol, None when there is none.

        Its age is ``now - chain.as_of``; with *max_age* an older one counts as none. With *whole*
        one that was cut short, or is a sample, counts as none too, and an earlier one that was not
        is returned: what a deadline, a lost line or a choice left of a chain is kept, and is never
        taken for all of it.

        Raises:
            ValueError: *max_age* without *now*.
        """
        if max_age is not None and now is None:
            raise ValueError("max_age needs now: the store has no clock")
        oldest = (now - max_age).timestamp() if now and max_age is not None else float("-inf")

        def work(db: sqlite3.Connection) -> Chain | None:
            rows = db.execute(
                "SELECT header, columns FROM chains WHERE symbol = ? AND as_of >= ?"
                " ORDER BY as_of DESC",
                (symbol, oldest),
            )
            chains = (_unpacked(*row) for row in rows)
            return next((chain for chain in chains if not (whole and _is_part(chain))), None)

        return await self._file.read(work)


def _is_part(chain: Chain) -> bool:
    return chain.is_cut or chain.fetch.sampled


def _packed(chain: Chain) -> tuple[str, bytes]:
    header = header_of(chain) | {
        "columns": [[name, array.dtype.str] for name, array in chain.columns.items()]
    }
    # Columns of one kind of number side by side compress far better than rows would.
    payload = b"".join(np.ascontiguousarray(array).tobytes() for array in chain.columns.values())
    return json.dumps(header), zlib.compress(payload, 3)


def header_of(chain: Chain) -> dict[str, Any]:
    """All of a chain but its columns, JSON-ready; `chain_of` reads it."""
    zone = getattr(chain.as_of.tzinfo, "key", None)
    return {
        "underlying": to_document(chain.underlying),
        "spot": to_document(chain.spot),
        "as_of": chain.as_of.isoformat(),
        "zone": zone,
        "rate": chain.rate,
        "div_yield": chain.div_yield,
        "carries": [to_document(carry) for carry in chain.carries],
        "data_type": chain.data_type.value,
        "notes": chain.notes,
        "fetch": _fetch_document(chain.fetch),
        "multiplier": chain.multiplier,
        "trading_class": chain.trading_class,
        "rows": len(chain),
    }


def _fetch_document(fetch: Fetch) -> dict[str, Any]:
    """Under ``complete``, as earlier versions read it, stands that it was not cut short."""
    document = asdict(fetch)
    return document | {"complete": not document.pop("cut_short")}


def _fetch(document: dict[str, Any]) -> Fetch:
    values = {name: value for name, value in document.items() if name != "complete"}
    return Fetch(**values, cut_short=not document["complete"])


def _unpacked(header_text: str, packed: bytes) -> Chain:
    try:
        header = documents.load(header_text)
        payload = zlib.decompress(packed)
        return chain_of(header, _columns(header["columns"], header["rows"], payload))
    except (zlib.error, LookupError, TypeError, ValueError, OverflowError) as exc:
        raise StoreError(f"a stored chain is damaged ({exc}); {documents.REMEDY}") from exc


def chain_of(header: dict[str, Any], columns: Mapping[str, NDArray[Any]]) -> Chain:
    """The chain of a header and its columns; those that this version added since are missing."""
    rows = header["rows"]
    whole = {
        name: columns[name] if name in columns else _missing(kind, rows)
        for name, kind in COLUMNS.items()
    }
    as_of = dt.datetime.fromisoformat(header["as_of"])
    if header["zone"]:
        as_of = as_of.astimezone(ZoneInfo(header["zone"]))
    return Chain(
        underlying=Underlying.model_validate_json(json.dumps(header["underlying"])),
        spot=Spot.model_validate_json(json.dumps(header["spot"])),
        as_of=as_of,
        rate=header["rate"],
        # Before carries were stated, 0 stood for a yield that nobody knew.
        div_yield=header["div_yield"] if "carries" in header else header["div_yield"] or None,
        data_type=DataType(header["data_type"]),
        columns=whole,
        notes=tuple(header["notes"]),
        fetch=_fetch(header["fetch"]),
        multiplier=header["multiplier"],
        trading_class=header["trading_class"],
        carries=tuple(
            Carry.model_validate_json(json.dumps(carry)) for carry in header.get("carries", ())
        ),
    )


def _columns(kinds: list[list[str]], rows: int, payload: bytes) -> Mapping[str, NDArray[Any]]:
    """Cut the payload into columns."""
    arrays: dict[str, NDArray[Any]] = {}
    offset = 0
    for name, kind in kinds:
        array = np.frombuffer(payload, dtype=np.dtype(kind), count=rows, offset=offset)
        offset += array.nbytes
        arrays[name] = array
    return arrays


def _missing(kind: str, rows: int) -> NDArray[Any]:
    if kind == "float64":
        return np.full(rows, np.nan)
    if kind.startswith("datetime64"):
        return np.full(rows, np.datetime64("NaT"), dtype=kind)
    return np.zeros(rows, dtype=kind)
