"""JSON, NDJSON and CSV: what machines read. A number that JSON does not know is an error."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def to_json(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """One document, indented; what JSON has no form for, such as a path, as its text."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def to_ndjson(rows: Iterable[Mapping[str, Any]]) -> str:
    """A row per line."""
    return "".join(
        json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) + "\n" for row in rows
    )


def to_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> str:
    """A row per line under *names*, or under those of the first row; empty without either."""
    out = io.StringIO()
    columns = list(names) or list(rows[0] if rows else ())
    if columns:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()
