"""Recorded term structures, three monthly expiries a day, with the days on which firms reported."""

from __future__ import annotations

import bisect
import csv
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from support.recorded_chains import DATA

SURFACE, EARNINGS = "surface_daily_20_symbols.csv", "earnings_20_symbols.csv"
FUNDS = frozenset(["SPY", "QQQ", "IWM", "GLD", "TLT", "XLF", "EEM"])
_QUARTER = 110
"""Days; a longer gap between two reports means that one is not in the file."""
_KNOWN_UNTIL = dt.date(2025, 10, 1)
"""Later days lack reports that are not yet in the file."""


class Day(NamedTuple):
    """At-the-money volatility of three expiries at one close, and what lies between them."""

    symbol: str
    day: dt.date
    close: float
    tau: np.ndarray
    iv: np.ndarray
    reports: tuple[float, ...]
    """Years to each report before the last expiry, from the open of its day."""

    @property
    def places(self) -> tuple[int, ...]:
        """The first expiry that holds each report."""
        return tuple(sorted({int(np.searchsorted(self.tau, at)) for at in self.reports}))


def days(every: int = 1) -> Iterator[Day]:
    """
    Every day, or each *every*-th of a symbol, whose reports are all known; funds have none.

    The file says the volatility of the first third Friday at least 13 days out, and what the next
    two differ from it. Days with a volatility below 2 or above 300 per cent are left out.
    """
    earnings = _earnings()
    count: dict[str, int] = defaultdict(int)
    with (DATA / SURFACE).open(newline="") as file:
        for row in csv.DictReader(file):
            symbol, day = row["symbol"], dt.date.fromisoformat(row["date"])
            count[symbol] += 1
            if count[symbol] % every or not _is_covered(symbol, day, earnings[symbol]):
                continue
            found = _read(row, day, earnings[symbol])
            if found is not None:
                yield found


def _earnings() -> dict[str, list[dt.date]]:
    found: dict[str, list[dt.date]] = defaultdict(list)
    with (DATA / EARNINGS).open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["symbol"]].append(dt.date.fromisoformat(row["earnings"]))
    return defaultdict(list, {symbol: sorted(reports) for symbol, reports in found.items()})


def _is_covered(symbol: str, day: dt.date, reports: list[dt.date]) -> bool:
    if symbol in FUNDS:
        return True
    later = bisect.bisect_left(reports, day)
    if not 0 < later < len(reports) or day >= _KNOWN_UNTIL:
        return False
    return (reports[later] - reports[later - 1]).days <= _QUARTER


def _read(row: dict[str, str], day: dt.date, reports: list[dt.date]) -> Day | None:
    try:
        first, second, third = (float(row[c]) for c in ("atm_iv", "term_m1_m2", "term_m1_m3"))
        close = float(row["close"])
    except ValueError:
        return None
    iv = np.array([first, first - second / 100.0, first - third / 100.0])
    if not ((iv > 0.02) & (iv < 3.0)).all():
        return None
    tau = np.array([(expiry - day).days for expiry in _monthlies(day)]) / 365.0
    years = tuple(((report - day).days - 0.25) / 365.0 for report in reports if report > day)
    return Day(row["symbol"], day, close, tau, iv, tuple(at for at in years if at <= tau[-1]))


def _monthlies(day: dt.date) -> list[dt.date]:
    found: list[dt.date] = []
    year, month = day.year, day.month
    while len(found) < 3:
        first = dt.date(year, month, 1)
        friday = first + dt.timedelta(days=(4 - first.weekday()) % 7 + 14)
        if (friday - day).days >= 13:
            found.append(friday)
        year, month = year + month // 12, month % 12 + 1
    return found
