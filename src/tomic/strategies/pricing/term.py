"""The events that the expiries of one chain price, with their days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tomic.quant import events
from tomic.quant.events import VarianceJump

THRESHOLD_TO_BE_EXPECTED = 4.0
"""For a company whose next report has no known date: one comes every quarter."""
_OPEN = 0.25
"""Days before the close of its day at which an event is taken to have happened."""
_AT_LEAST = 0.05
"""Days until an event of today."""


class PricedEvent(NamedTuple):
    """One event that total variance holds."""

    after: dt.date | None
    """It comes on a later day than this expiry; None where it may come at any time."""
    by: dt.date
    """The first expiry that holds it, or its own day where that is known."""
    jump: VarianceJump

    @property
    def is_dated(self) -> bool:
        """Whether its day is known."""
        return self.jump.after == self.jump.by

    @property
    def when(self) -> str:
        """Its day, or the days that it lies between, in words."""
        if self.is_dated:
            return f"on {in_words(self.by)}"
        if self.after is None:
            return f"before {in_words(self.by)}"
        return f"between {in_words(self.after)} and {in_words(self.by)}"

    @property
    def is_priced(self) -> bool:
        """Whether its variance exceeds its standard error."""
        return self.jump.variance > self.jump.error


class Level(NamedTuple):
    """What one expiry says at the money."""

    tau: float
    """Years."""
    iv: float
    """At the forward; NaN where unknown."""


def priced_events(
    today: dt.date,
    levels: Mapping[dt.date, Level],
    *,
    dates: Iterable[dt.date] = (),
    is_expected: bool = False,
) -> tuple[PricedEvent, ...]:
    """
    The events that *levels* hold, those on known *dates* first.

    An expiry holds an event of its own day. Reports after the close on the day of an expiry are
    rare, as most expiries are on Fridays.

    Args:
        today: The day that *levels* are of.
        dates: Days of events; those before *today* are left out.
        is_expected: An event without a date is likely, so less evidence is enough.
    """
    tau = [level.tau for level in levels.values()]
    iv = [level.iv for level in levels.values()]
    at = {_years(day, today): day for day in sorted(set(dates)) if day >= today}
    expiry = {level.tau: day for day, level in levels.items()}
    threshold = THRESHOLD_TO_BE_EXPECTED if is_expected and not at else events.THRESHOLD
    known = [PricedEvent(None, at[jump.by], jump) for jump in events.dated(tau, iv, list(at))]
    found = [
        PricedEvent(expiry.get(jump.after), expiry[jump.by], jump)
        for jump in events.recognise(tau, iv, known=list(at), threshold=threshold)
    ]
    return (*known, *found)


def in_words(day: dt.date) -> str:
    """Day and month, ``18 Dec``."""
    return f"{day.day} {day:%b}"


def _years(day: dt.date, today: dt.date) -> float:
    return max((day - today).days - _OPEN, _AT_LEAST) / 365.0
