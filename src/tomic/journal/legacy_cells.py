"""Cells of the original's ``journal.json``: numbers, per cents and days as people typed them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

from tomic import dates
from tomic.errors import BadFile, DataError

_DAY_FIRST = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", re.ASCII)
_NOON = dt.time(12, 0)
_PERCENT_FROM = 1.5
"""A volatility above this is per cents: an IV of 150 % is rarer than one of 1.5 % is impossible."""


def text_of(document: Mapping[str, Any], name: str) -> str:
    """A field as text, empty where it is missing."""
    value = document.get(name)
    return "" if value is None else str(value).strip()


def number_of(value: object) -> float | None:
    """A number, also one written as text or with a decimal comma; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%").replace(",", "."))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def percent_of(value: object) -> float | None:
    """Per cents as a fraction."""
    number = number_of(value)
    return None if number is None else round(number / 100.0, 9)


def volatility_of(value: object) -> float | None:
    """A volatility as a fraction; later versions of the original wrote some as fractions."""
    number = number_of(value)
    if number is None or number <= 0.0:
        return None
    return round(number / 100.0, 9) if number > _PERCENT_FROM else number


def rank_of(value: object) -> float | None:
    """A rank or percentile as a fraction; from 0 to 1 it is one already."""
    number = number_of(value)
    if number is None:
        return None
    return round(number / 100.0, 9) if abs(number) > 1.0 else number


def moment_of(value: object, name: str) -> dt.datetime:
    """Noon in New York of a day; a time of its own is kept."""
    text = str(value or "").strip()
    found = _DAY_FIRST.fullmatch(text)
    try:
        if found is not None:
            day = dt.date(int(found[3]), int(found[2]), int(found[1]))
        elif len(text) > len("2025-05-19") and not text.isdigit():
            moment = dt.datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=dates.NEW_YORK)
        else:
            day = dates.parse_expiry(text)
    except (ValueError, DataError) as exc:
        raise BadFile(f"{name} {text!r} is not a date such as 2025-05-19") from exc
    return dt.datetime.combine(day, _NOON, dates.NEW_YORK)
