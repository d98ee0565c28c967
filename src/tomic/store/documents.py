"""JSON documents and instants as they are written in the store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from tomic.disk import parse_json
from tomic.errors import StoreError
from tomic.models.documents import first_fault

Read = TypeVar("Read", bound=BaseModel)

REMEDY = "tomic store check names what is damaged, and a backup can take the store's place"


def dump(document: Mapping[str, Any]) -> str:
    """Write a document compactly; infinity and NaN are kept as such, dates as ISO text."""
    return _ENCODER.encode(document)


def load(text: str) -> dict[str, Any]:
    """
    Read a document back.

    Raises:
        StoreError: It is damaged.
    """
    try:
        document = _parsed(text)
    except (ValueError, TypeError) as exc:
        raise StoreError(f"a stored document is damaged ({exc}); {REMEDY}") from exc
    if not isinstance(document, dict):
        raise StoreError(f"a stored document is no object; {REMEDY}")
    return document


def _parsed(text: str) -> Any:
    try:
        # Twice as quick as the library's own; what it refuses, such as 200 levels, that one judges.
        return from_json(text)
    except (ValueError, TypeError):
        return parse_json(text)


def read_as(kind: type[Read], document: Mapping[str, Any] | str, what: str = "") -> Read:
    """
    Read a document, or its text, back as a model; *what* names it in messages.

    Raises:
        StoreError: It is damaged, or of a version that wrote other fields.
    """
    try:
        if isinstance(document, str):
            return kind.model_validate_json(document)
        return kind.model_validate(document)
    # Of a document that is none, validators that look into it fail in ways of their own.
    except (ValueError, LookupError, TypeError, ArithmeticError) as exc:
        fault = first_fault(exc) if isinstance(exc, ValidationError) else str(exc)
        name = what or f"a stored {kind.__name__}"
        raise StoreError(
            f"{name} cannot be read ({fault}): it is damaged, or another version saved it; {REMEDY}"
        ) from exc


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
    """
    Read an instant back, in UTC.

    Raises:
        StoreError: It is none.
    """
    try:
        return dt.datetime.fromisoformat(text)
    except (ValueError, TypeError) as exc:
        raise StoreError(f"a stored time is damaged ({exc}); {REMEDY}") from exc


def to_day(text: str) -> dt.date:
    """
    Read a day back.

    Raises:
        StoreError: It is none.
    """
    try:
        return dt.date.fromisoformat(text)
    except (ValueError, TypeError) as exc:
        raise StoreError(f"a stored day is damaged ({exc}); {REMEDY}") from exc


def _as_text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_as_text)
