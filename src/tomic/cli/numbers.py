"""Numbers as text, without anything slow to import."""

from __future__ import annotations

import math


def number(value: float | None, decimals: int, factor: float = 1.0) -> str:
    """A number with fixed decimals and thousands separators; an empty text when missing."""
    if value is None or math.isnan(value):
        return ""
    return f"{value * factor:,.{decimals}f}"


def money(value: float | None, decimals: int = 2) -> str:
    """Signed currency; an unbounded amount as a word, an empty text when missing."""
    if value is None:
        return ""
    return "unbounded" if math.isinf(value) else f"{value:+,.{decimals}f}"


def amount(value: float | None, decimals: int = 0) -> str:
    """Currency without a sign, for what cannot be negative; else as `money`."""
    return "unbounded" if value is not None and math.isinf(value) else number(value, decimals)


def per_cent(value: float | None, decimals: int = 0) -> str:
    """A fraction as a percentage; an empty text when missing."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{decimals}%}"
