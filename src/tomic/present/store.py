"""The store as text and as a document: what is in it, and whether it is sound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomic.files.quality import CsvQuality
from tomic.present.forms import Format, emit, emit_rows, to_csv, to_json, to_ndjson

if TYPE_CHECKING:
    from tomic.store import StoreInfo


_WORDS = {
    "ask": "ask negative or no number",
    "bid": "bid negative or no number",
    "crossed": "bid above ask",
    "damaged": "wrong number of cells",
    "delta": "delta outside [-1, 1]",
    "duplicate": "contract repeated",
    "expiry": "expiry not a date",
    "minus_one": "bid or ask of -1",
    "number": "IV or Greek no number",
    "strike": "strike not a price",
    "type": "neither call nor put",
}


def quality(judged: Sequence[tuple[Path, CsvQuality]], format: Format = Format.TABLE) -> str:
    """How good files are: a block of lines per file, or a row."""
    rows = [_entry(file, found) for file, found in judged]
    return emit_rows(format, rows, lambda: _blocks(judged), schema="tomic.quality/1", name="files")


def _blocks(judged: Sequence[tuple[Path, CsvQuality]]) -> str:
    return "".join(f"{line}\n" for file, rows in judged for line in _block(file, rows))


def _block(file: Path, rows: CsvQuality) -> list[str]:
    span = f"{rows.expiries[0]} to {rows.expiries[-1]}" if rows.expiries else "none"
    lines = [
        f"{file}: quality {rows.quality:.1%}",
        f"  {'rows':<28} {rows.total:>7}",
        f"  {'complete':<28} {rows.complete:>7}",
        f"  {'valid':<28} {rows.valid:>7}",
        f"  {'expiries':<28} {len(rows.expiries):>7}  {span}",
    ]
    lines += [f"  {_WORDS[name]:<28} {count:>7}" for name, count in rows.wrong.items()]
    lines += [f"  {f'empty {name}':<28} {count:>7}" for name, count in rows.empty.items()]
    if rows.absent:
        lines.append(f"  no column {', '.join(rows.absent)}")
    return lines


def _entry(file: Path, rows: CsvQuality) -> dict[str, Any]:
    return {
        "file": str(file),
        "quality": rows.quality,
        "total": rows.total,
        "complete": rows.complete,
        "valid": rows.valid,
        "expiries": [day.isoformat() for day in rows.expiries],
        "wrong": dict(rows.wrong),
        "empty": dict(rows.empty),
        "absent": list(rows.absent),
    }


def info(store: StoreInfo, format: Format = Format.TABLE) -> str:
    """Size, version, rows per table and the span of each series; a row each of the last two."""
    return emit(
        format,
        table=lambda: "\n".join(_lines(store)) + "\n",
        json=lambda: _document(store),
        ndjson=lambda: to_ndjson(_rows(store)),
        csv=lambda: to_csv(_rows(store), ["kind", "name", "rows", "symbols", "first", "last"]),
    )


def _rows(store: StoreInfo) -> list[dict[str, Any]]:
    spans = [
        {
            "kind": "series",
            "name": span.series,
            "rows": span.rows,
            "symbols": span.symbols,
            "first": span.first.isoformat(),
            "last": span.last.isoformat(),
        }
        for span in store.series
    ]
    tables = store.tables.items()
    return [*spans, *({"kind": "table", "name": name, "rows": rows} for name, rows in tables)]


def problems(errors: list[str], format: Format = Format.TABLE) -> str:
    """What is wrong, one line each; nothing when it is sound."""
    rows = [{"problem": error} for error in errors]
    return emit(
        format,
        table=lambda: "".join(f"{line}\n" for line in errors),
        json=lambda: to_json({"schema": "tomic.check/1", "problems": errors}),
        ndjson=lambda: to_ndjson(rows),
        csv=lambda: to_csv(rows, ["problem"]),
    )


def verdict(path: Path, errors: list[str]) -> str:
    """Whether the store is sound, in one line."""
    if errors:
        return f"{path}: {len(errors)} wrong; put a backup in its place"
    return f"{path}: {'sound' if path.exists() else 'no store there yet'}"


def megabytes(size: int) -> str:
    """A number of bytes."""
    return f"{size / 1e6:.1f} MB"


def kilobytes(size: int) -> str:
    """A small number of bytes."""
    return f"{size / 1e3:,.1f} kB"


def pruned(path: Path, count: int, before: dt.date | None) -> str:
    """How many kept chains went."""
    what = f"kept chain{'' if count == 1 else 's'}"
    since = "" if before is None else f" from before {before}"
    return f"{path}: {count} {what}{since} deleted"


def _document(store: StoreInfo) -> str:
    return to_json(
        {
            "schema": "tomic.store/1",
            "path": str(store.path),
            "exists": store.exists,
            "bytes": store.size,
            "schema_version": store.schema_version,
            "sqlite_version": store.sqlite_version,
            "tables": dict(store.tables),
            "series": [
                {
                    "series": span.series,
                    "symbols": span.symbols,
                    "rows": span.rows,
                    "first": span.first.isoformat(),
                    "last": span.last.isoformat(),
                }
                for span in store.series
            ],
            "kept_chains": None if store.kept is None else asdict(store.kept),
        }
    )


def _lines(store: StoreInfo) -> list[str]:
    if not store.exists:
        return [f"{store.path}: no store yet; tomic prices makes one"]
    spans = [
        f"  {span.series:<22} {span.rows:>10} rows, {span.symbols} symbols, "
        f"{span.first} to {span.last}"
        for span in store.series
    ]
    tables = [f"  {name:<22} {count:>10} rows" for name, count in store.tables.items() if count]
    if store.kept is not None:
        kept = store.kept
        spans.append(
            f"  {'kept chains':<22} {kept.chains:>10} of {kept.symbols} symbols, {kept.first} to "
            f"{kept.last}, {kilobytes(kept.size)}, the largest {kilobytes(kept.largest)}"
        )
    return [
        f"{store.path}: {megabytes(store.size)}, schema {store.schema_version}, "
        f"SQLite {store.sqlite_version}",
        *(["series", *spans] if spans else []),
        *(["tables", *tables] if tables else ["  nothing stored yet"]),
    ]
