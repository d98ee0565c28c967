"""Short ways to write journal entries in tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from tomic.journal import campaign
from tomic.models.journal import Action, Fill, JournalEntry, LegMark, Snapshot, Trade

OPENED = dt.datetime(2025, 5, 19, 15, 0, tzinfo=dt.UTC)
EXPIRY = dt.date(2025, 6, 20)
LATER = dt.date(2025, 7, 18)
CONDOR = (("560P", -1), ("550P", 1), ("620C", -1), ("630C", 1))
"""Strikes and signs of a sold condor."""


def at(days: float) -> dt.datetime:
    """A moment so many days after opening."""
    return OPENED + dt.timedelta(days=days)


def option(
    quantity: float,
    contract: str,
    price: float | None = None,
    expiry: dt.date = EXPIRY,
    **more: Any,
) -> Fill:
    """A fill of one option: ``option(-1, "560P", 2.35)``."""
    return Fill(
        expiry=expiry,
        strike=float(contract[:-1]),
        right=contract[-1],
        quantity=quantity,
        price=price,
        **more,
    )


def shares(quantity: float, price: float, **more: Any) -> Fill:
    """A fill of shares."""
    return Fill(multiplier=1, quantity=quantity, price=price, **more)


def trade(action: str, day: float, *fills: Fill, **more: Any) -> Trade:
    """A trade some days after opening."""
    return Trade(
        at=at(day),
        action=Action(action),
        fills=fills,
        structures=campaign.count_structures(fills),
        **more,
    )


def entry(*trades: Trade, **more: Any) -> JournalEntry:
    """An entry after these trades, the first of which opens it."""
    start = JournalEntry(**{"symbol": "SPY", "opened_at": trades[0].at, **more})
    start = start.model_copy(update={"trades": trades[:1]})
    for one in trades[1:]:
        start = campaign.with_trade(start, one)
    return start


def condor(quantity: int = 1, credit: float = 2.35, **more: Any) -> JournalEntry:
    """A condor sold for a credit, known only as a net price."""
    fills = [option(sign * quantity, name) for name, sign in CONDOR]
    opening = trade("open", 0, *fills, price=credit)
    return entry(opening, strategy="iron_condor", **more)


def mark(contract: str, price: float, tau: float, expiry: dt.date = EXPIRY, **more: Any) -> LegMark:
    """The mark of one option."""
    return LegMark(
        expiry=expiry, strike=float(contract[:-1]), right=contract[-1], price=price, tau=tau, **more
    )


def snapshot(day: float, spot: float, marks: Sequence[LegMark], **more: Any) -> Snapshot:
    """What was seen some days after opening."""
    return Snapshot(at=at(day), spot=spot, legs=tuple(marks), **more)
