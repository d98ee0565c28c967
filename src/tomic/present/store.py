"""The store as text and as a document: what is in it, and whether it is sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomic.files.quality import CsvQuality
from tomic.present.forms import to_json

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


def as_text(found: Sequence[tuple[Path, CsvQuality]]) -> str:
    """A block of lines per file."""
    return "".join(f"{line}\n" for file, one in found for line in _block(file, one))


def as_json(found: Sequence[tuple[Path, CsvQuality]]) -> str:
    """One document for all files."""
    document = {"schema": "tomic.quality/1", "files": [_entry(file, one) for file, one in found]}
    return to_json(document)


def _block(file: Path, one: CsvQuality) -> list[str]:
    span = f"{one.expiries[0]} to {one.expiries[-1]}" if one.expiries else "none"
    lines = [
        f"{file}: quality {one.quality:.1%}",
        f"  {'rows':<28} {one.total:>7}",
        f"  {'complete':<28} {one.complete:>7}",
        f"  {'valid':<28} {one.valid:>7}",
        f"  {'expiries':<28} {len(one.expiries):>7}  {span}",
    ]
    lines += [f"  {_WORDS[name]:<28} {count:>7}" for name, count in one.wrong.items()]
    lines += [f"  {f'empty {name}':<28} {count:>7}" for name, count in one.empty.items()]
    if one.absent:
        lines.append(f"  no column {', '.join(one.absent)}")
    return lines


def _entry(file: Path, one: CsvQuality) -> dict[str, Any]:
    return {
        "file": str(file),
        "quality": one.quality,
        "total": one.total,
        "complete": one.complete,
        "valid": one.valid,
        "expiries": [day.isoformat() for day in one.expiries],
        "wrong": dict(one.wrong),
        "empty": dict(one.empty),
        "absent": list(one.absent),
    }


def info(found: StoreInfo, *, as_json: bool) -> str:
    """Size, version, rows per table and the span of each series."""
    return _document(found) if as_json else "\n".join(_lines(found)) + "\n"


def problems(found: list[str], *, as_json: bool) -> str:
    """What is wrong, one line each; nothing when it is sound."""
    if as_json:
        return to_json({"schema": "tomic.check/1", "problems": found})
    return "".join(f"{line}\n" for line in found)


def verdict(path: Path, found: list[str]) -> str:
    """What was found, in one line."""
    if found:
        return f"{path}: {len(found)} wrong; put a backup in its place"
    return f"{path}: {'sound' if path.exists() else 'no store there yet'}"


def megabytes(size: int) -> str:
    """A number of bytes."""
    return f"{size / 1e6:.1f} MB"


def _document(found: StoreInfo) -> str:
    return to_json(
        {
            "schema": "tomic.store/1",
            "path": str(found.path),
            "exists": found.exists,
            "bytes": found.size,
            "schema_version": found.schema_version,
            "sqlite_version": found.sqlite_version,
            "tables": dict(found.tables),
            "series": [
                {
                    "series": one.series,
                    "symbols": one.symbols,
                    "rows": one.rows,
                    "first": one.first.isoformat(),
                    "last": one.last.isoformat(),
                }
                for one in found.series
            ],
        }
    )


def _lines(found: StoreInfo) -> list[str]:
    if not found.exists:
        return [f"{found.path}: no store yet; tomic prices makes one"]
    series = [
        f"  {one.series:<22} {one.rows:>10} rows, {one.symbols} symbols, {one.first} to {one.last}"
        for one in found.series
    ]
    tables = [f"  {name:<22} {count:>10} rows" for name, count in found.tables.items() if count]
    return [
        f"{found.path}: {megabytes(found.size)}, schema {found.schema_version}, "
        f"SQLite {found.sqlite_version}",
        *(["series", *series] if series else []),
        *(["tables", *tables] if tables else ["  nothing stored yet"]),
    ]
