"""
The forms of a result: a table for people; JSON, NDJSON and CSV for machines.

A missing number is null, or an empty cell. `emit` is the only place that asks which form is wanted.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from tomic import outside

NOT_ADVICE = "Not advice; nothing is sent to the broker"


class Format(StrEnum):
    """How a result is printed on stdout."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def emit(
    format: Format,
    *,
    table: Callable[[], str],
    json: Callable[[], str],
    ndjson: Callable[[], str],
    csv: Callable[[], str],
) -> str:
    """A result in *format*; only that form of it is made."""
    forms = {Format.TABLE: table, Format.JSON: json, Format.NDJSON: ndjson, Format.CSV: csv}
    return forms[format]()


def emit_rows(
    format: Format,
    rows: Sequence[Mapping[str, Any]],
    table: Callable[[], str],
    *,
    schema: str,
    name: str,
    **more: Any,
) -> str:
    """
    A result that is a row per item: as lines, as CSV, or as the list *name* of a document.

    Args:
        more: What else the document says.
    """
    return emit(
        format,
        table=table,
        json=lambda: to_json({"schema": schema, **more, name: list(rows)}),
        ndjson=lambda: to_ndjson(rows),
        csv=lambda: to_csv(list(map(flat, rows))),
    )


def emit_single(
    format: Format, table: Callable[[], str], document: Callable[[], Mapping[str, Any]]
) -> str:
    """A result that is one thing: its document whole, in a line, or as the only row of CSV."""
    return emit(
        format,
        table=table,
        json=lambda: to_json(document()),
        ndjson=lambda: to_ndjson([document()]),
        csv=lambda: to_csv([flat(document())]),
    )


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose cells hold text and numbers alone: words of a list, JSON of what is deeper."""
    return {key: _cell(value) for key, value in row.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, dict | list | tuple) for item in value)
        return json.dumps(_plain(value)) if nested else " ".join(map(str, value))
    return json.dumps(_plain(value)) if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    # Here, as models are slow to import and a table needs none.
    from tomic.models.documents import plain

    return plain(value)


def to_json(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """One document, indented; what JSON has no form for, such as a path, as its text."""
    return _dumped(document, indent=2) + "\n"


def to_ndjson(rows: Iterable[Mapping[str, Any]]) -> str:
    """A row per line."""
    return "".join(f"{_dumped(row)}\n" for row in rows)


def _dumped(value: Any, indent: int | None = None) -> str:
    whole = _plain(value)
    return json.dumps(whole, indent=indent, ensure_ascii=False, allow_nan=False, default=str)


def to_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> str:
    """A row per line under *names*, or under those of the first row; empty without either."""
    out = io.StringIO()
    columns = list(names) or list(rows[0] if rows else ())
    if columns:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        plain = (_plain(row) for row in rows)
        writer.writerows({key: outside.cell(cell) for key, cell in row.items()} for row in plain)
    return out.getvalue()
