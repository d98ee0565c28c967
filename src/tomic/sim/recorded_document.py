"""Recorded chains in JSON: documents of the schema ``tomic.chain/1``, alone or in an array."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tomic.bounded import parse_json, read_text
from tomic.errors import BadFile
from tomic.sim.recording import Recording, Row

_SCHEMA = "tomic.chain/1"
_NUMBERS = (
    "bid", "ask", "last", "close", "iv", "delta", "gamma", "vega", "theta", "volume",
    "open_interest",
)  # fmt: skip


def is_document(path: Path) -> bool:
    """
    Whether a file begins as JSON does.

    Raises:
        BadFile: The file cannot be read.
    """
    try:
        with path.open("rb") if path.is_file() else io.BytesIO() as file:
            start = file.read(64)
        path.stat()
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist; check the path of the recorded chain") from None
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror}; check its permissions") from exc
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def read_document(path: Path, symbol: str | None = None) -> Recording:
    """
    Read the chain of *symbol*, or the only one, from a JSON file.

    Raises:
        BadFile: Damaged, another schema, without options, or several symbols and none named.
    """
    try:
        content = parse_json(read_text(path))
    except (OSError, ValueError) as exc:
        raise BadFile(f"{path} is damaged or cut short ({exc}); export the chain again") from exc
    documents = content if isinstance(content, list) else [content]
    try:
        chosen = _choose(path, documents, symbol)
        return _recording(chosen)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise BadFile(f"{path} is no chain of schema {_SCHEMA}: {exc!r}") from exc


def _choose(path: Path, documents: list[Any], symbol: str | None) -> Mapping[str, Any]:
    chains = {one["meta"]["symbol"]: one for one in documents if one["schema"] == _SCHEMA}
    if symbol in chains:
        return dict(chains[symbol])
    if len(chains) == 1 and symbol is None:
        return dict(next(iter(chains.values())))
    held = ", ".join(sorted(chains)) or f"no document of schema {_SCHEMA}"
    raise BadFile(f"{path} holds {held}; name one of them")


def _recording(document: Mapping[str, Any]) -> Recording:
    meta = document["meta"]
    rows = {}
    for entry in document["rows"]:
        if entry["status"] == "unknown_contract":
            continue
        numbers = {name: _number(entry[name]) for name in _NUMBERS}
        day, right = date.fromisoformat(entry["expiry"]), str(entry["right"])
        row = Row(expiry=day, strike=float(entry["strike"]), right=right, **numbers)
        rows[row.expiry, row.strike, row.right] = row
    if not rows:
        raise ValueError("no option in it")
    return Recording(
        rows=tuple(rows[key] for key in sorted(rows)),
        spot=_number(meta["spot"]),
        as_of=datetime.fromisoformat(meta["as_of"]),
        symbol=str(meta["symbol"]),
        trading_class=str(meta.get("trading_class") or ""),
    )


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None
