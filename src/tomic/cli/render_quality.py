"""The quality of exported files as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tomic.cli.machine_forms import to_json
from tomic.quality import CsvQuality

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
