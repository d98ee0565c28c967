"""The price steps in which an order can be typed, and the limit nearest to a price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.models import Leg

PENNY, NICKEL, DIME = 0.01, 0.05, 0.10
_DUST = 1e-6
DIME_FROM = 3.0
"""Premium, currency per share, from which one option is priced in the coarser of its two steps."""


class Tick(NamedTuple):
    """The step of an order's limit, currency per share, and where it comes from."""

    size: float
    because: str

    def nearest(self, credit: float) -> float:
        """The limit nearest to *credit* (< 0 for a debit), half a step in the trader's favour."""
        steps = math.floor(round(credit / self.size, 6) + 0.5)
        return round(steps * self.size, 2) + 0.0


def tick_of(legs: Sequence[Leg]) -> Tick:
    """
    The step in which an order of *legs* can be typed; shares among them do not count.

    Pennies where a quote of a leg stands between two nickels. Else nickels, which every American
    class takes for a combination, and for one option of 3.00 or more dimes, unless it is quoted in
    nickels.

    Source: Cboe Rule 5.4 (minimum increments of simple and complex orders).
    """
    options = [leg for leg in legs if leg.sec_type == "OPT"]
    quotes = [price for leg in options for price in (leg.bid, leg.ask) if price]
    if any(_is_between(price, NICKEL) for price in quotes):
        return Tick(PENNY, "as its legs are quoted")
    expensive = len(options) == 1 and options[0].price >= DIME_FROM
    if expensive and not any(_is_between(price, DIME) for price in quotes):
        return Tick(DIME, "as it is quoted" if quotes else "usual from 3.00")
    return Tick(NICKEL, "as its legs are quoted" if quotes else "usual without quotes")


def step_of(quotes: FloatArray) -> float:
    """The coarsest of dime, nickel and penny that divides all *quotes*; a penny without any."""
    for step in (DIME, NICKEL):
        if quotes.size and np.abs(quotes / step - np.round(quotes / step)).max() < _DUST:
            return step
    return PENNY


def _is_between(price: float, step: float) -> bool:
    steps = price / step
    return abs(steps - round(steps)) > _DUST
