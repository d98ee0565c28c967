"""JSON, NDJSON and CSV: what machines read. A missing number is null, or an empty cell."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """How a result is printed on stdout."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def to_json(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """One document, indented; what JSON has no form for, such as a path, as its text."""
    from tomic.models.documents import plain

    whole = plain(document)
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def to_ndjson(rows: Iterable[Mapping[str, Any]]) -> str:
    """A row per line."""
    from tomic.models.documents import plain

    return "".join(
        json.dumps(plain(row), ensure_ascii=False, allow_nan=False, default=str) + "\n"
        for row in rows
    )


def to_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> str:
    """A row per line under *names*, or under those of the first row; empty without either."""
    from tomic.models.documents import plain

    out = io.StringIO()
    columns = list(names) or list(rows[0] if rows else ())
    if columns:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain(row) for row in rows)
    return out.getvalue()
