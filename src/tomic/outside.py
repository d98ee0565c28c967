"""
Texts from outside: what they may be here, whoever sent them.

A gateway, a web page or a file can say anything. What enters is text and nothing else: no control
codes for the terminal, no formulas for a spreadsheet, and no more of it than anybody would read.
"""

from __future__ import annotations

import re
from typing import Any

LONGEST = 20_000
"""Letters of a field of a message; a year of trading hours has half of that."""
_DIRECTIONS = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Signs that turn the text around them about, or end a line unseen."""
_CONTROLS = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_DIRECTIONS}\ud800-\udfff]+")
"""Everything of that kind but tabs and line feeds."""
_ESCAPED = re.compile(r"\\u(?:00[01789]|061|20[0-6]|d[89a-f])", re.IGNORECASE)
_FORMULA = re.compile(r"[\t\r]|\s*(?:[=@]|[+-](?=.*[=@|!(]))", re.DOTALL)
"""
How a cell begins that a spreadsheet would run. A sign before a number is none, and our own legs
(``-1 SPY 2026-12-18 560P``) hold nothing that could be called.
"""


def line(text: str, most: int = LONGEST) -> str:
    """*text* on one line, at most so many letters of it, every other sign a blank."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text[: 2 * most])
        text = re.sub(r" {2,}", " ", text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def lines(text: str) -> str:
    """*text* with its tabs and line ends (as ``\\n``), a blank for any other control code."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # A hundred times as quick as looking for each of them.
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _CONTROLS.sub(" ", text)


def may_escape(text: str) -> bool:
    """Whether the JSON in *text* can have control codes in its strings, written as escapes."""
    return _ESCAPED.search(text) is not None


def document(value: Any) -> Any:
    """A JSON document, every text in it as `lines`; at most as deep as it could be read."""
    if isinstance(value, str):
        return lines(value)
    if isinstance(value, list):
        return [document(item) for item in value]
    if isinstance(value, dict):
        return {lines(key): document(item) for key, item in value.items()}
    return value


def cell(value: Any) -> Any:
    """A cell of a CSV file, with an apostrophe before what a spreadsheet would run."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
