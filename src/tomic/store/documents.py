"""JSON documents and instants as they are written in the store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from tomic.disk import parse_json
from tomic.errors import StoreError

REMEDY = "tomic store check names what is damaged, and a backup can take the store's place"


def dump(document: Mapping[str, Any]) -> str:
    """Write a document compactly; infinity and NaN are kept as such, dates as ISO text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=_as_text)


def load(text: str) -> dict[str, Any]:
    """
    Read a document back.

    Raises:
        StoreError: It is damaged.
    """
    try:
        document = parse_json(text)
    except (ValueError, TypeError) as exc:
        raise StoreError(f"a stored document is damaged ({exc}); {REMEDY}") from exc
    if not isinstance(document, dict):
        raise StoreError(f"a stored document is no object; {REMEDY}")
    return document


def stamp(at: dt.datetime) -> str:
    """
    Write an instant in UTC, so that text order is time order.

    Raises:
        ValueError: The time has no zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at}: a time without zone is not an instant")
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def unstamp(text: str) -> dt.datetime:
    """Read an instant back, in UTC."""
    return dt.datetime.fromisoformat(text)


def _as_text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
