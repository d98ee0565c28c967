"""Numbers as text, without anything slow to import."""

from __future__ import annotations

import math


def number(value: float | None, decimals: int, factor: float = 1.0) -> str:
    """A number with fixed decimals and thousands separators; an empty text when missing."""
    if value is None or math.isnan(value):
        return ""
    return f"{value * factor:,.{decimals}f}"
