"""What one structure would make or lose if price, volatility and time moved."""

from __future__ import annotations

from typing import Any

from tomic._drawing import draw
from tomic.models.market import Model


class WhatIfRow(Model):
    """One price of the underlying."""

    move: float
    """Of the spot, fraction."""
    price: float
    name: str = ""
    """What the price is: a strike, the spot, what was asked."""
    change: tuple[float, ...]
    """P&L against now at each of the days, base currency."""


class WhatIf(Model):
    """P&L of one structure by price and day, at one change of volatility; base currency."""

    id: str
    symbol: str
    strategy: str
    currency: str
    spot: float
    """Price that the moves are of; of a volatility index its future."""
    move: float
    vol: float
    """Relative change of every implied volatility."""
    days: int
    change: float
    """P&L against now if all three happened."""
    pnl: float | None = None
    """From entry until now; None where it is not known."""
    to_expiry: float | None = None
    """Calendar days to the first expiry; None for shares only."""
    horizons: tuple[float, ...]
    """Days of the rows: now, in a week, in two, what was asked, and at the first expiry."""
    rows: tuple[WhatIfRow, ...]
    """Ascending in price."""
    notes: tuple[str, ...] = ()

    def plot(self, **options: Any) -> Any:
        """
        Draw P&L over the price, now, later and at the first expiry.

        Returns matplotlib axes; needs matplotlib, the extra ``plot``.
        """
        return draw("what_if", self, **options)

    @property
    def then(self) -> float | None:
        """P&L from entry, if all three happened; None where that until now is not known."""
        return None if self.pnl is None else self.pnl + self.change
