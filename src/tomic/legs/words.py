"""The words of which legs are written: their order, days, symbols, and what cannot be read."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Sequence

from tomic import dates
from tomic.errors import DataError, InvalidSymbol, UsageError
from tomic.legs.shapes import STRATEGIES
from tomic.models import normalize_symbol

OCC = re.compile(r"([A-Z]{1,6}\d?)\s*(\d{6})([CP])(\d{8})", re.ASCII)
TIMES = re.compile(r"X(\d+)|(\d+)X", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}|20\d{6}|\d{1,2}[A-Z]{3}(?:20)?\d{2}", re.ASCII)
_WORDED_DAY = re.compile(r"(\d{1,2})([A-Z]{3})(?:20)?(\d{2})", re.ASCII)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def split_words(text: str) -> list[str]:
    """Words in upper case; a comma or semicolon is a word of its own, strategies keep theirs."""
    upper = OCC.sub(lambda found: "".join(found.groups()), text.upper())
    return re.findall(r"[,;]|[^\s,;]+", upper.replace(";", ","))


def split_parts(words: Sequence[str]) -> list[list[str]]:
    """Words between commas."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == ",":
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def strategy_name(word: str) -> str:
    """A word as names of strategies are written."""
    return word.lower().replace("-", "_")


def day_of(word: str) -> dt.date:
    """The expiry that a word means: ``2026-12-18``, ``20261218`` or ``18DEC26``."""
    worded = _WORDED_DAY.fullmatch(word)
    try:
        if worded is not None:
            day, month, year = worded.groups()
            return dt.date(2000 + int(year), _MONTHS.index(month) + 1, int(day))
        return dates.parse_expiry(word)
    except (ValueError, DataError) as exc:
        raise UsageError(f"{word!r} is not an expiry; write it as 2026-12-18") from exc


def symbol_of(word: str) -> str:
    """The symbol that a word is, or a `UsageError` that says what it may have been."""
    try:
        return normalize_symbol(word)
    except InvalidSymbol as exc:
        raise unreadable(word) from exc


def unreadable(word: str) -> UsageError:
    """What to raise about a word, with the strategy whose name it resembles."""
    near = difflib.get_close_matches(word.lower(), STRATEGIES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ', as in "-1 SPY 2026-12-18 580P"'
    return UsageError(f"cannot read {word!r} in a list of legs{hint}")
