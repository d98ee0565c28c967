"""One leg as somebody named it, and the legs of a trade."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, NamedTuple

Right = Literal["C", "P", ""]

SHARES_PER_CONTRACT = 100.0


@dataclass(frozen=True, slots=True)
class NamedLeg:
    """
    One leg as somebody named it; nothing says that it is listed.

    Attributes:
        symbol: Of the underlying, as TOMIC writes it.
        quantity: Signed contracts; shares where *right* is empty.
        right: ``C`` or ``P``; empty for shares.
        strike, expiry: None for shares.
        price: Currency per share that was named with it, None when none was.
    """

    symbol: str
    quantity: float
    right: Right = ""
    strike: float | None = None
    expiry: dt.date | None = None
    price: float | None = None

    @property
    def is_stock(self) -> bool:
        """Whether these are shares."""
        return not self.right


class NamedTrade(NamedTuple):
    """Legs, and the strategy when the text named one."""

    legs: tuple[NamedLeg, ...]
    strategy: str | None
