"""What each option of a chain costs: its own quotes, or the next best thing, with its source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray
from tomic.models import PriceSource

SOURCES = (PriceSource.TRUE, PriceSource.PARITY, PriceSource.MODEL, PriceSource.CLOSE)
"""The ladder; codes in arrays are places in it, -1 where there is no price."""

_TICK = 1e-9


class Prices(NamedTuple):
    """Prices of all rows, (m,), currency per share."""

    price: FloatArray
    """NaN where nothing on the ladder gives one."""
    source: NDArray[np.int8]
    """Place in `SOURCES`, -1 without a price."""
    half_spread: FloatArray
    """Half of ask less bid; where a side is missing, the widest that the rules would accept."""


def is_quoted(bid: FloatArray, ask: FloatArray) -> BoolArray:
    """Whether bid and ask make a market: both there, the bid positive, not crossed."""
    return np.asarray((bid > 0.0) & (ask >= bid) & np.isfinite(ask), dtype=np.bool_)


def ladder(
    bid: FloatArray,
    ask: FloatArray,
    close: FloatArray,
    parity: FloatArray,
    model: FloatArray,
    *,
    max_spread: float,
    max_spread_points: float,
) -> Prices:
    """
    Price every row on the first rung that holds: mid, put-call parity, the smile, the close.

    Args:
        bid, ask, close: As quoted; NaN where missing.
        parity: What the other right at the same strike implies; NaN without its own quotes.
        model: Value at the smile; NaN where its expiry has none.
        max_spread, max_spread_points: Widest spread accepted, as a share of the price and in
            points; charged where bid or ask is missing.
    """
    rungs = (
        np.where(is_quoted(bid, ask), 0.5 * (bid + ask), np.nan),
        np.where(parity > _TICK, parity, np.nan),
        np.where(model > _TICK, model, np.nan),
        np.where(close > 0.0, close, np.nan),
    )
    price = np.full(bid.shape, np.nan)
    source = np.full(bid.shape, -1, dtype=np.int8)
    for place, rung in enumerate(rungs):
        fills = np.isnan(price) & np.isfinite(rung)
        price[fills], source[fills] = rung[fills], place
    known = (bid >= 0.0) & (ask >= bid) & np.isfinite(ask)
    widest = np.maximum(max_spread * price, max_spread_points)
    half = 0.5 * np.where(known, ask - bid, widest)
    return Prices(price, source, half)
