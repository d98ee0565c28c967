"""A ticket: an order as one types it elsewhere. Nothing of it is sent."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from tomic.models.market import Model

TicketKind = Literal["open", "close", "roll"]


class TicketLeg(Model):
    """One contract of a ticket, or shares, whose right, strike and expiry are None."""

    symbol: str
    """Of the underlying, as TOMIC writes it."""
    sec_type: Literal["OPT", "FOP", "STK"] = "OPT"
    right: Literal["C", "P"] | None = None
    expiry: dt.date | None = None
    """The last day on which it trades, by which IB names it, or the day of its settlement."""
    strike: float | None = None
    """Currency per share."""
    trading_class: str = ""
    """Empty where it is not known: SPX, settled at the open, is not SPXW."""
    multiplier: int = Field(default=100, gt=0)
    """Shares per contract; 1 for shares."""
    exchange: str = "SMART"
    currency: str = "USD"
    con_id: int | None = None
    quantity: int
    """Of one unit, signed: contracts or shares to buy > 0, to sell < 0."""
    price: float | None = None
    """Currency per share, middle of the market; None where it is not known."""

    @property
    def is_stock(self) -> bool:
        """Whether these are shares."""
        return self.sec_type == "STK"

    @property
    def is_call(self) -> bool:
        """Whether it is a call; False for puts and shares."""
        return self.right == "C"


class Ticket(Model):
    """
    One combination at a limit: to open, to close or to roll. Prices are per share of one unit.

    Received is > 0, paid < 0. Those of a ticket with shares are of its options alone, as the
    shares may be held already; `with_shares` is of all in one order.
    """

    symbol: str
    currency: str = "USD"
    strategy: str = ""
    legs: tuple[TicketLeg, ...] = Field(min_length=1)
    quantity: int = Field(default=1, gt=0)
    """Units."""
    price: float | None = None
    """The limit, on its tick; None where no leg has a price."""
    mid: float | None = None
    natural: float | None = None
    """Sold at the bid, bought at the ask."""
    tick: float = Field(default=0.05, gt=0.0)
    """The step of the limit, currency per share."""
    tick_reason: str = ""
    """Why that step, in words."""
    kind: TicketKind = "open"
    target: float | None = None
    """At which the same unit is closed at the profit target; None without one."""
    label: str = ""
    """What it is of: the id of a proposal, or the alternative of an entry, in words."""

    @property
    def options(self) -> tuple[TicketLeg, ...]:
        """Its legs but for shares."""
        return tuple(leg for leg in self.legs if not leg.is_stock)

    @property
    def shares(self) -> int:
        """Signed shares of one unit."""
        return sum(leg.quantity for leg in self.legs if leg.is_stock)

    @property
    def multiplier(self) -> int:
        """Shares per contract of its options; 1 where it has none."""
        return next((leg.multiplier for leg in self.options), 1)

    @property
    def with_shares(self) -> float | None:
        """Mid of options and shares in one order; None without shares or their price."""
        stock = [leg for leg in self.legs if leg.is_stock]
        if not stock or self.mid is None or any(leg.price is None for leg in stock):
            return None
        paid = sum(leg.quantity * (leg.price or 0.0) for leg in stock)
        return self.mid - paid / self.multiplier
