"""Files beside the portfolio: the saved book, your pins, and sectors."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tomic import legs, outside
from tomic.config import Settings
from tomic.dates import parse_expiry
from tomic.disk import parse_foreign_json, read_bytes, read_text, write_text
from tomic.errors import BadFile, DataError, InvalidSymbol, UsageError
from tomic.models import normalize_symbol
from tomic.models.book import Book
from tomic.models.documents import first_fault, to_text
from tomic.portfolio.grouping import Claim
from tomic.strategies.catalogue.leg_rules import Template


def load_pins(path: Path, own: Mapping[str, Template] | None = None) -> list[Claim]:
    """
    Your own grouping: a JSON list of objects with name and legs, and what else you want to say.

    ``[{"name": "wheel", "legs": "-1 IWM 2026-12-18 190P, +100 IWM", "strategy": "wheel"}]``;
    account and opened (a date) may be given too. Legs are written as for ``--with``.

    Args:
        own: Strategies beyond the catalogue's that legs may be written by.

    Raises:
        BadFile: Not such a file.
    """
    try:
        rows = parse_foreign_json(read_text(path))
        if not isinstance(rows, list):
            raise BadFile("pins are a list of objects with name and legs")
        return [_pin(row, own) for row in rows]
    except (OSError, ValueError) as exc:
        raise BadFile(f"{path}: pins cannot be read: {exc}") from exc
    except (KeyError, TypeError, AttributeError) as exc:
        raise BadFile(f"{path}: each pin needs name and legs, got {exc}") from exc
    except (UsageError, DataError) as exc:
        raise BadFile(f"{path}: {exc}") from exc


def _pin(row: dict[str, Any], own: Mapping[str, Template] | None) -> Claim:
    known = {"name", "legs", "strategy", "account", "opened"}
    if odd := set(row) - known:
        raise BadFile(
            f"unknown key {sorted(odd)[0]!r} in a pin; known are {', '.join(sorted(known))}"
        )
    opened = row.get("opened")
    return Claim(
        "pin",
        str(row["name"]),
        legs.parse(row["legs"], own=own),
        strategy=row.get("strategy"),
        account=row.get("account"),
        opened=parse_expiry(opened) if opened else None,
    )


def load_sectors(path: Path) -> dict[str, str]:
    """
    Sector by symbol from a CSV file with the columns symbol and sector.

    Raises:
        BadFile: Not such a file.
    """
    try:
        rows = list(csv.DictReader(outside.table_lines(read_text(path))))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise BadFile(f"{path}: sectors cannot be read: {exc}") from exc
    names = [{(key or "").strip().lower(): value for key, value in row.items()} for row in rows]
    if not names or not {"symbol", "sector"} <= set(names[0]):
        raise BadFile(f"{path}: sectors need the columns symbol and sector")
    sectors: dict[str, str] = {}
    for number, row in enumerate(names, start=2):
        try:
            symbol = normalize_symbol(row["symbol"] or "")
        except InvalidSymbol as exc:
            raise BadFile(f"{path}:{number}: {exc}") from exc
        if not (sector := (row["sector"] or "").strip()):
            raise BadFile(f"{path}:{number}: {symbol} has no sector; write one or drop the line")
        sectors[symbol] = sector
    return sectors


def snapshot_path(settings: Settings, *, simulated: bool) -> Path:
    """Where books are saved; those of a demo or replay beside it, never over a real one."""
    path = settings.portfolio.snapshot
    return path.with_name(f"{path.stem}-demo{path.suffix}") if simulated else path


def check_saved(settings: Settings) -> None:
    """
    Tell where the last book is, where there is that of the demo alone.

    Raises:
        BadFile: Only the demo has saved one.
    """
    path, of_demo = (snapshot_path(settings, simulated=simulated) for simulated in (False, True))
    if of_demo.exists() and not path.exists():
        raise BadFile(
            f"{path}: no saved portfolio there; that of the demo is shown with --demo, or run "
            "tomic portfolio first"
        )


def save_book(book: Book, path: Path) -> Path:
    """
    Write *book* as JSON.

    Raises:
        BadFile: The folder cannot be written.
    """
    return write_text(path, to_text(book, indent=1) + "\n", private=True)


def load_book(path: Path) -> Book:
    """
    A book that `save_book` wrote.

    Raises:
        BadFile: There is no such file, or it is no saved book.
    """
    try:
        return Book.model_validate_json(read_bytes(path))
    except FileNotFoundError as exc:
        raise BadFile(f"{path}: no saved portfolio there; run tomic portfolio first") from exc
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except ValidationError as exc:
        raise BadFile(f"{path} is no saved portfolio: {first_fault(exc)}") from exc


def last_book(path: Path) -> Book | None:
    """The last saved book, None where there is none that can be read."""
    try:
        return load_book(path)
    except BadFile:
        return None
