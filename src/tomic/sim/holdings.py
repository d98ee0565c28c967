"""
What the demo account holds: a handful of structures that an option seller would recognise.

Declared by distance from the money in standard deviations, so that the book suits any seed and day.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """One holding in words; a share line has no right."""

    symbol: str
    quantity: float
    right: str = ""
    sigmas: float = 0.0
    """Strike above (positive) or below the forward, in standard deviations of the expiry."""
    month: int = 0
    """0 is the first monthly at least 20 days away, 1 the one after."""
    paid: float = 1.0
    """Average cost over the present fair value."""


DEMO_BOOK = (
    # Iron condor.
    Planned("SPY", 1, "P", -1.9, paid=1.25),
    Planned("SPY", -1, "P", -1.3, paid=1.35),
    Planned("SPY", -1, "C", 1.1, paid=1.2),
    Planned("SPY", 1, "C", 1.6, paid=1.15),
    # Short put.
    Planned("IWM", -1, "P", -1.0, paid=1.5),
    # Covered call.
    Planned("AAPL", 100, paid=0.91),
    Planned("AAPL", -1, "C", 0.9, paid=0.8),
    # Calendar.
    Planned("QQQ", -1, "P", 0.0, paid=1.1),
    Planned("QQQ", 1, "P", 0.0, month=1, paid=1.03),
    # Short put spread, twice.
    Planned("MSFT", -2, "P", -0.8, paid=1.15),
    Planned("MSFT", 2, "P", -1.3, paid=1.1),
    # Shares.
    Planned("XLF", 200, paid=0.95),
    Planned("TLT", 50, paid=1.06),
)
