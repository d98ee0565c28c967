"""
Texts from outside: what they may be here, whoever sent them.

A gateway, a web page or a file can say anything. What enters is text and nothing else: no control
codes for the terminal, no formulas for a spreadsheet, and no more of it than anybody would read.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

LONGEST = 20_000
"""Letters of a field of a message; a year of trading hours has half of that."""
LONGEST_LINE = 1 << 20
"""Letters of a row of a table; the widest statement has a thousandth of that."""
_PIECE = 1 << 20
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
    # A hundred times as quick as looking for each of them, and piece by piece as no copy is made.
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    if all(piece.replace("\n", "").replace("\t", "").isprintable() for piece in pieces):
        return text
    return _CONTROLS.sub(" ", text)


def table_lines(text: str, newline: str = "\n") -> Iterator[str]:
    """
    The lines of a table, for a reader of CSV: millions of cells in one of them are no row.

    Raises:
        csv.Error: A line is longer than any of a table.
    """
    for text_line in io.StringIO(text, newline=newline):
        if len(text_line) > LONGEST_LINE:
            raise csv.Error(f"a line of {len(text_line):,} letters")
        yield text_line


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


PACKINGS = "gzip"
"""What a server is told that an answer may be packed as."""
_EITHER_HEADER = 32 + zlib.MAX_WBITS
"""Of gzip or of zlib, whichever is there."""


async def unpacked(pieces: AsyncIterator[bytes], packing: str, most: int) -> bytearray:
    """
    An answer, packed or not, of at most *most* bytes: a little can unpack to very much.

    Args:
        packing: What its header says; empty where it says nothing.

    Raises:
        TooLong: It is longer; no more than that of it was unpacked.
        ValueError: It is packed in a way that nobody asked for, or damaged.
    """
    kind = packing.strip().lower()
    if kind not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise ValueError(f"packed as {line(packing, 40)!r}, which was not asked for")
    opened = None if kind in ("", "identity") else zlib.decompressobj(_EITHER_HEADER)
    body = bytearray()
    async for piece in pieces:
        try:
            body += piece if opened is None else opened.decompress(piece, most + 1 - len(body))
        except zlib.error as exc:
            raise ValueError(f"its packing is damaged ({exc})") from exc
        if len(body) > most:
            raise TooLong(f"longer than {most} bytes")
    if opened is not None and body and not opened.eof:
        raise ValueError("its packing is cut off")
    return body


class TooLong(ValueError):
    """An answer of more bytes than anything that was asked for has."""


def cell(value: Any) -> Any:
    """A cell of a CSV file, with an apostrophe before what a spreadsheet would run."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
