"""What the ranking asks of a portfolio: how well a trade fits beside what is held already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tomic._typing import BoolArray, FloatArray

NO_BOOK = "no portfolio known: fit counts 1"


class PortfolioFit(NamedTuple):
    """How a trade fits."""

    factor: float
    """F in (0, 1], by which the score is multiplied."""
    note: str = ""
    """What it does to the book, in words."""


@dataclass(frozen=True, eq=False)
class Prospect:
    """One trade as a portfolio sees it: legs as columns (k,), figures per structure."""

    symbol: str
    strategy: str
    spot: float
    rate: float
    div_yield: FloatArray
    """(k,) fraction per year, of each leg's expiry."""
    strike: FloatArray
    tau: FloatArray
    iv: FloatArray
    is_call: BoolArray
    quantity: FloatArray
    """(k,) signed contracts."""
    shares: float
    """Signed shares of the underlying."""
    multiplier: int
    is_american: bool
    delta: float
    """Shares."""
    gamma: float
    vega: float
    theta: float
    margin: float
    """Currency that the trade takes from excess liquidity."""


class FitModel(Protocol):
    """A book that can say how trades would fit it."""

    def fits(self, trades: Sequence[Prospect]) -> Sequence[PortfolioFit]:
        """A `Fit` for each of *trades*, in their order."""
