"""What a recorded chain does not say about itself: its symbol, its time and its spot."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from tomic._typing import BoolArray, FloatArray

PAIRS_PER_EXPIRY = 9
"""Strikes nearest to the money that give an expiry's forward."""

_NAMED = re.compile(
    r"(?:^|_)(?P<symbol>[A-Z0-9]{1,12}(?:\.[A-Z0-9]{1,4})?)_(?P<day>\d{8})(?!\d)"
    r"(?:_(?P<time>\d{4}(?:\d\d)?)(?P<zone>[a-z]{2,4})?(?:_(?P<micros>\d{6}))?(?!\w))?",
    re.ASCII,
)
# Zones are not part of the original's names, and its author lives in the Netherlands.
_HOME = "Europe/Amsterdam"
_ZONES = {
    "utc": "UTC",
    "gmt": "UTC",
    "est": "America/New_York",
    "edt": "America/New_York",
    "et": "America/New_York",
    "cet": _HOME,
    "cest": _HOME,
}


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a chain file says; None where it says nothing."""

    symbol: str | None = None
    day: dt.date | None = None
    moment: dt.datetime | None = None
    """Aware."""


def parse_file_name(name: str) -> FileName:
    """
    Read symbol and time from names such as ``option_chain_SPY_20250519_202601_000000.csv``.

    A zone may follow the time (``_2026utc``), else it is Amsterdam's; a name without time, or
    with a zone that is unknown, gives only the day.
    """
    stem = name.rpartition("/")[2].rpartition("\\")[2]
    match = _NAMED.search(stem.rpartition(".")[0] or stem)
    if match is None:
        return FileName()
    symbol = match["symbol"]
    try:
        day = dt.datetime.strptime(match["day"], "%Y%m%d").date()
    except ValueError:
        return FileName(symbol)
    if match["time"] is None:
        return FileName(symbol, day)
    text = match["time"].ljust(6, "0") + (match["micros"] or "").ljust(6, "0")
    try:
        clock = dt.datetime.strptime(text, "%H%M%S%f").time()
    except ValueError:
        return FileName(symbol, day)
    where = _ZONES.get(match["zone"]) if match["zone"] else _HOME
    if where is None:
        return FileName(symbol, day)
    return FileName(symbol, day, dt.datetime.combine(day, clock, ZoneInfo(where)))


def expiry_forward(
    strike: FloatArray, call_mid: FloatArray, put_mid: FloatArray, tau: float, rate: float
) -> float:
    """
    Forward of one expiry: the median of ``K + exp(r tau) (C - P)`` over strikes near the money.

    Near the money is where call and put cost about the same; there early exercise hardly counts
    and quotes are tightest. NaN without a strike at which both are quoted.
    """
    both = np.isfinite(call_mid) & np.isfinite(put_mid)
    if not both.any():
        return math.nan
    difference = call_mid[both] - put_mid[both]
    nearest = np.argsort(np.abs(difference), kind="stable")[:PAIRS_PER_EXPIRY]
    forward = strike[both][nearest] + math.exp(rate * tau) * difference[nearest]
    return float(np.median(forward))


@dataclass(frozen=True, slots=True)
class ParitySpot:
    """Spot behind a set of option quotes, and the yield that leads from it to the forwards."""

    spot: float
    """Currency per share."""
    div_yield: float
    """Continuously compounded, fraction per year."""


def parity_spot(
    tau: FloatArray,
    strike: FloatArray,
    is_call: BoolArray,
    mid: FloatArray,
    rate: float,
) -> ParitySpot | None:
    """
    Draw the two nearest parity forwards back to today: ``ln F`` is a line in time.

    Args:
        tau: Years to expiry per option; options of one expiry share theirs. Not above 0 is
            left out.
        strike, mid: Currency per share; NaN mids are left out.
        is_call: True for calls.
        rate: Continuously compounded, fraction per year.

    Returns:
        None without any pair; with one expiry the yield is 0.

    Source: put-call parity, Stoll (1969).
    """
    forwards: list[tuple[float, float]] = []
    for years in np.unique(tau[tau > 0.0]):
        calls, puts = (tau == years) & is_call, (tau == years) & ~is_call
        common, at_call, at_put = np.intersect1d(strike[calls], strike[puts], return_indices=True)
        forward = expiry_forward(common, mid[calls][at_call], mid[puts][at_put], float(years), rate)
        if forward > 0.0:
            forwards.append((float(years), forward))
        if len(forwards) == 2:
            break
    if not forwards:
        return None
    near_tau, near = forwards[0]
    if len(forwards) == 1:
        return ParitySpot(near * math.exp(-rate * near_tau), 0.0)
    far_tau, far = forwards[1]
    growth = math.log(far / near) / (far_tau - near_tau)
    return ParitySpot(near * math.exp(-growth * near_tau), rate - growth)
