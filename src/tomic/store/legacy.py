"""The original's ``volatility.db``: its rows, kept as they are and put where they belong."""

from __future__ import annotations

TABLES = ("PriceHistory", "VolStats")
"""Tables of the original's database."""
