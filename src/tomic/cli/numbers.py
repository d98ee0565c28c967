"""Numbers as text, without anything slow to import."""

from __future__ import annotations

import math


def _unlimited() -> str:
    # Here, as models are slow to import and hardly any number needs the word.
    from tomic.models.documents import UNLIMITED

    return UNLIMITED


def number(value: float | None, decimals: int, factor: float = 1.0) -> str:
    """
    A number with fixed decimals and thousands separators.

    An empty text when missing, a word where there is no bound.
    """
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return _unlimited()
    return f"{value * factor:,.{decimals}f}"


def money(value: float | None, decimals: int = 2) -> str:
    """Signed currency; an unbounded amount as a word, an empty text when missing."""
    if value is None or math.isnan(value):
        return ""
    return _unlimited() if math.isinf(value) else f"{value:+,.{decimals}f}"


def amount(value: float | None, decimals: int = 0) -> str:
    """Currency without a sign, for what cannot be negative; else as `money`."""
    return number(value, decimals)


def per_cent(value: float | None, decimals: int = 0) -> str:
    """A fraction as a percentage; an empty text when missing."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{decimals}%}"
