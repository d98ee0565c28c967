"""
Expected-move cones over stored days: what each expected, and what came of it. No network.

A cone opens at a day's close and widens with the root of the calendar days: close ± close x IV30 x
√(days / 365), the expected move that `tomic vol` prints as EM30, and twice that. It is that day's
IV30 alone, without the term structure, skew, drift or later news.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tomic._typing import FloatArray, Num
from tomic.quant import surface
from tomic.workflows.volatility.stored import PastDay

HORIZON = 30
"""Calendar days that a cone is long: those of IV30."""
NORMAL_SHARE = 0.6827
"""Of moves that stay within one standard deviation, were they normal."""
_LATEST = dt.timedelta(days=4)
"""How long before the end of a cone its last close may be: a long weekend."""


@dataclass(frozen=True, slots=True)
class MoveCone:
    """The expected move of one day and, once it is over, what came; currency per share."""

    day: dt.date
    close: float
    iv30: float
    """Fraction per square-root year."""
    ends: dt.date
    move: float
    """One standard deviation at its end."""
    outcome: float | None = None
    """Close at its end; None while it is open, and where none is stored near it."""

    @property
    def sigmas(self) -> float | None:
        """How many expected moves the price has gone, signed; None without an outcome."""
        return None if self.outcome is None else (self.outcome - self.close) / self.move

    def reach(self, days: Num) -> FloatArray:
        """One standard deviation after *days* calendar days, in the shape of *days*."""
        return surface.expected_move_iv(self.close, self.iv30, days)


@dataclass(frozen=True, slots=True)
class ConeRecord:
    """How often the price stayed inside the expected move, over every day that has an outcome."""

    n: int
    """Days; their cones overlap, so they are far from independent."""
    inside: int
    horizon: int = HORIZON
    apart: int = 0
    """How many of them follow one another without overlapping."""

    @property
    def share(self) -> float | None:
        """Fraction that stayed inside; None without a day."""
        return self.inside / self.n if self.n else None


def every_cone(days: Sequence[PastDay], *, horizon: int = HORIZON) -> list[MoveCone]:
    """
    The cone of every one of *days* with a close and an IV30, oldest first.

    Args:
        days: Stored days, oldest first, as `tomic.Desk.vol_history` gives them.
        horizon: Calendar days.
    """
    closes = {past.day: past.close for past in days if past.close is not None}
    known = list(closes)

    def outcome(ends: dt.date) -> float | None:
        place = bisect_right(known, ends) - 1
        if not known or known[-1] < ends or ends - known[place] > _LATEST:
            return None
        return closes[known[place]]

    return [
        MoveCone(
            past.day,
            past.close,
            past.iv30,
            ends := past.day + dt.timedelta(days=horizon),
            float(surface.expected_move_iv(past.close, past.iv30, horizon)),
            outcome(ends),
        )
        for past in days
        if past.close is not None and past.iv30
    ]


def move_cones(days: Sequence[PastDay], *, horizon: int = HORIZON) -> list[MoveCone]:
    """
    The cone of the last day, and of earlier ones those that end before the next begins.

    Args, order and unit as for `every_cone`.
    """
    chosen: list[MoveCone] = []
    for cone in reversed(every_cone(days, horizon=horizon)):
        if not chosen or cone.ends <= chosen[-1].day:
            chosen.append(cone)
    return chosen[::-1]


def move_record(days: Sequence[PastDay], *, horizon: int = HORIZON) -> ConeRecord:
    """How often the close *horizon* calendar days later lay within one expected move."""
    ended = [
        abs(cone.sigmas) for cone in every_cone(days, horizon=horizon) if cone.sigmas is not None
    ]
    apart = [cone for cone in move_cones(days, horizon=horizon) if cone.outcome is not None]
    return ConeRecord(len(ended), sum(size <= 1.0 for size in ended), horizon, len(apart))
