"""The store as text and as a document: what is in it, and whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tomic.cli.machine_forms import to_json

if TYPE_CHECKING:
    from tomic.store import StoreInfo


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
