"""
What happened within a day: bars of minutes and hours that add up to the daily ones.

A day's path is drawn once on a grid of five seconds, from its contract and date, so that bars of
every size agree: it begins at the open, ends at the close, and touches high and low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby

import numpy as np

from tomic._typing import FloatArray
from tomic.sim.market import Bar
from tomic.sim.market.listings import generator

GRID_S = 5
Session = Callable[[Bar], tuple[datetime, datetime]]
"""When the session of a daily bar began and ended."""


@lru_cache(maxsize=256)
def day_path(name: str, bar: Bar, steps: int) -> FloatArray:
    """Prices of *steps* + 1 moments of a day, from its open to its close within its range."""
    rng = generator(bar.day.toordinal(), f"intraday {name}")
    at = np.linspace(0.0, 1.0, steps + 1)
    walk = np.concatenate(([0.0], np.cumsum(rng.standard_normal(steps))))
    noise = (walk - at * walk[-1]) / np.sqrt(steps)
    path = bar.open + (bar.close - bar.open) * at + 0.7 * (bar.high - bar.low) * noise
    inner = path[1:-1]
    if len(inner) > 1:
        inner[np.argmax(inner)], inner[np.argmin(inner)] = bar.high, bar.low
    return np.asarray(np.clip(path, bar.low, bar.high))


def bars_within(
    name: str, daily: Iterable[Bar], size_s: int, session: Session, end: datetime
) -> list[Bar]:
    """
    The bars of *size_s* seconds of those days that began before *end*, oldest first.

    They lie on multiples of their size since midnight, so that the first of a session may be
    shorter; the last is cut off at *end*.
    """
    bars: list[Bar] = []
    for day in daily:
        opens, closes = session(day)
        if opens < end:
            bars.extend(_of_day(name, day, size_s, opens, closes, min(end, closes)))
    return bars


def _of_day(
    name: str, day: Bar, size_s: int, opens: datetime, closes: datetime, end: datetime
) -> Iterable[Bar]:
    length_s = (closes - opens).total_seconds()
    path = day_path(name, day, round(length_s / GRID_S))
    grid = np.arange(len(path)) * float(GRID_S)
    since_midnight = opens.hour * 3600 + opens.minute * 60 + opens.second
    first = -(since_midnight % size_s)
    known_s = (end - opens).total_seconds()
    for start in np.arange(first, known_s, size_s).tolist():
        low_s, high_s = max(start, 0.0), min(start + size_s, known_s)
        inside = path[(grid > low_s) & (grid < high_s)]
        edges = np.interp((low_s, high_s), grid, path)
        prices = np.concatenate((edges[:1], inside, edges[1:]))
        opened, high, low, close = (
            round(float(x), 4) for x in (prices[0], prices.max(), prices.min(), prices[-1])
        )
        traded = day.volume >= 0
        part = (high_s - low_s) / length_s
        yield Bar(
            day.day,
            opened,
            high,
            low,
            close,
            round(day.volume * part) if traded else -1,
            round((opened + high + low + close) / 4.0, 3) if traded else -1.0,
            round(day.count * part) + 1 if traded else -1,
            at=opens + timedelta(seconds=low_s),
        )


def merged(daily: Sequence[Bar], size: str) -> list[Bar]:
    """Weekly or monthly bars from daily ones, each with the day on which it began."""
    if size not in ("1 week", "1 month"):
        raise ValueError(f"days are merged into weeks or months, got {size!r}")

    def period(bar: Bar) -> tuple[int, int]:
        return bar.day.isocalendar()[:2] if size == "1 week" else (bar.day.year, bar.day.month)

    groups = (list(group) for _, group in groupby(daily, key=period))
    return [
        replace(
            days[0],
            high=max(day.high for day in days),
            low=min(day.low for day in days),
            close=days[-1].close,
            volume=sum(day.volume for day in days) if days[0].volume >= 0 else -1,
            count=sum(day.count for day in days) if days[0].count >= 0 else -1,
        )
        for days in groups
    ]
