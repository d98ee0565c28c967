"""
Legs as people write them, read into one form and written back.

Three ways to write are understood, mixed as one likes::

    short_put_spread 560/550 2025-06-20 x2
    -1 SPY 2026-12-18 580P, +1 SPY 2026-12-18 570P          (or: -580P +570P 2026-12-18)
    -1 SPY261218P00580000 @1.25, +100 SPY

Signs are those of the holder: ``+`` or ``buy`` is long, ``-`` or ``sell`` is short.
"""

from __future__ import annotations

from tomic.legs.leg import SHARES_PER_CONTRACT, NamedLeg, NamedTrade, Right
from tomic.legs.shapes import STRATEGIES
from tomic.legs.trade_text import parse, read, write

__all__ = [
    "SHARES_PER_CONTRACT",
    "STRATEGIES",
    "NamedLeg",
    "NamedTrade",
    "Right",
    "parse",
    "read",
    "write",
]
