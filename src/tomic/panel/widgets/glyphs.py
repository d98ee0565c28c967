"""Signs that a terminal may not have, and how numbers are written in the panel."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from tomic.models.documents import UNLIMITED


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What separators, marks and plots are drawn with."""

    braille: bool
    """Whether a cell of a plot can show eight dots."""
    point: str
    line: str
    cross: str
    vertical: str
    horizontal: str
    corner: str
    bullet: str
    either_way: str
    shades: str
    """From nothing to everything."""


UNICODE = Glyphs(True, "●", "·", "×", "│", "─", "└", "·", "±", " ░▒▓█")
ASCII = Glyphs(False, "o", ".", "x", "|", "-", "+", "-", "+-", " .:*#")


def glyphs_for(encoding: str | None) -> Glyphs:
    """All signs where the terminal speaks UTF-8, plain letters elsewhere."""
    return UNICODE if "utf" in (encoding or "").lower() else ASCII


def glyphs_here() -> Glyphs:
    """Those that this process can print; Textual draws on stderr."""
    return glyphs_for(getattr(sys.__stderr__, "encoding", None))


def number(
    value: float | None, decimals: int = 2, factor: float = 1.0, *, signed: bool = False
) -> str:
    """A number with fixed decimals and thousands separators; empty when missing."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value * factor:{'+' if signed else ''},.{decimals}f}"
    # "-0.0" reads as a loss that is none.
    return (
        text.replace("-", "+" if signed else "", 1) if float(text.replace(",", "")) == 0 else text
    )


def money(value: float | None, decimals: int = 0) -> str:
    """Signed currency; an unbounded amount as a word, empty when missing."""
    if value is not None and math.isinf(value):
        return UNLIMITED
    return number(value, decimals, signed=True)


def amount(value: float | None, decimals: int = 0) -> str:
    """What cannot be negative, without a sign; else as `money`."""
    return money(value, decimals).removeprefix("+")


def per_cent(value: float | None, decimals: int = 1, *, signed: bool = False) -> str:
    """A fraction in per cent, without the sign; empty when missing."""
    return number(value, decimals, 100.0, signed=signed)
