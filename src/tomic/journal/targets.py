"""
Where the exit rules of an entry close it: prices as one types them, and the day.

Commissions are left out, as for whoever takes half of a credit of 3.90 at 1.95; the check of the
rules counts them, so that it comes a few cents later.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

from tomic import dates
from tomic.journal import campaign
from tomic.models import Leg, PriceSource
from tomic.models.journal import ExitLevels, Held, JournalEntry, LegMark, Snapshot
from tomic.strategies.tickets import can_be_worth
from tomic.strategies.ticks import PENNY, Tick, tick_of


def levels(entry: JournalEntry, marked: Snapshot | None) -> ExitLevels | None:
    """
    Prices and day at which the rules close what is held; None where nothing is.

    Args:
        marked: Quotes of the legs, which tell the tick; None takes the usual one.
    """
    legs = campaign.counted(entry)
    if not legs:
        return None
    last = _last_day(entry)
    if (premium := campaign.premium(entry)) is None or not premium:
        return ExitLevels(last_day=last, days=entry.rules.min_dte)
    size = _size(legs)
    received = campaign.received_against_premium(entry)

    def price(share: float | None) -> float | None:
        """Of one structure, where the P&L is that share of the premium."""
        if share is None or received is None:
            return None
        value = share * abs(premium) - received
        # A credit is bought back and a debit sold; what nobody would pay is no order.
        is_order = campaign.has_shares(legs) or value * premium < 0.0
        if not is_order or not can_be_worth(legs, value):
            return None
        return _tick(legs, marked, abs(value / size)).nearest(value / size) or None

    stop = entry.rules.stop
    return ExitLevels(
        take=price(entry.rules.profit_target),
        stop=price(None if stop is None else -stop),
        structures=round(size / campaign.structure_multiplier(legs)),
        last_day=last,
        days=entry.rules.min_dte,
    )


def _last_day(entry: JournalEntry) -> dt.date | None:
    """The trading day on which too few days are left; earlier where that is a day off."""
    settled = [
        campaign.settlement_day(entry.symbol, leg)
        for leg in campaign.held(entry)
        if leg.expiry is not None
    ]
    if not settled or entry.rules.min_dte is None:
        return None
    day = min(settled) - dt.timedelta(days=entry.rules.min_dte)
    while not dates.is_trading_day(day):
        day -= dt.timedelta(days=1)
    return day


def _size(legs: Sequence[Held]) -> float:
    """What a price per share of one structure is multiplied by; of shares alone, their number."""
    options = [leg for leg in legs if not leg.is_stock]
    if not options:
        return math.fsum(abs(leg.quantity) for leg in legs)
    return float(campaign.count_structures(options) * campaign.structure_multiplier(options))


def _tick(legs: Sequence[Held], marked: Snapshot | None, price: float) -> Tick:
    """The step of an order at *price*: one option has a finer one below 3.00."""
    if all(leg.is_stock for leg in legs):
        return Tick(PENNY, "of shares")
    quoted = []
    for leg in legs:
        if not leg.is_stock:
            mark = (marked.mark(leg.key) if marked else None) or LegMark()
            quoted.append(
                Leg(
                    name=leg.name,
                    quantity=round(leg.quantity),
                    price=price,
                    price_source=PriceSource.TRUE,
                    bid=mark.bid,
                    ask=mark.ask,
                )
            )
    return tick_of(quoted)
