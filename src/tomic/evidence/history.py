"""
Daily surface summaries of many symbols, cleaned day by day with nothing but what came before.

A summary is a close, the call IV of the first third-Friday expiry 13 to 48 days out, a skew and how
far the next expiry lies under it. What cannot be believed becomes NaN and is counted; nothing is
filled in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.models.backtest import TradeSource
from tomic.quant import realized

SEAM = np.datetime64("2025-11-24")
"""From this day the skew of the source is of 25 delta, before it of 85 and 115 % of the spot."""
NEAREST_FRONT, FURTHEST_FRONT = 13, 48
"""Days to the expiry that a summary speaks of."""
DAYS_A_YEAR = 365.0
IV_BOUNDS = (0.03, 3.0)
"""Fractions a year; no index traded under the lower, no stock of the data over the upper."""
SPIKE = 0.4
"""A volatility this far in its logarithm from yesterday and from its week is not believed."""
_WEEK = 5
_QUARTER = 91.0
_SPLITS = np.array([1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50])
_SPLIT_SLACK = 0.08
"""How far, in the logarithm, a split may be from its ratio: the market moved that day too."""
_LEAST_BREAK = 0.3
"""A move in the logarithm under this may have happened; a split of 5 for 4 would be missed."""
_IMPOSSIBLE_MOVE = 10.0
"""Daily standard deviations by IV: beyond it the price is of something else, unless IV says so."""
_IV_AGREES = 0.25
"""Change in ln IV from which on the market itself saw something happen."""
_BLANK = np.datetime64("NaT", "D")

Dates = NDArray[np.datetime64]
"""Days, any shape."""


class SurfaceRows(NamedTuple):
    """A table of summaries as it was read: any order, (n,) each; numbers are NaN where blank."""

    symbol: NDArray[Any]
    day: Dates
    """NaT where the date could not be read."""
    close: FloatArray
    """Currency per share."""
    atm_iv: FloatArray
    """Fraction a year."""
    skew: FloatArray
    """Volatility points: 13.27 is .1327 a year."""
    term_m1_m2: FloatArray
    """Volatility points by which the first third-Friday expiry lies over the second."""


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceHistory:
    """One symbol, a row a day, ascending; what was not believed is NaN."""

    symbol: str
    is_etf: bool
    day: Dates
    close: FloatArray
    """As printed that day, currency per share."""
    factor: FloatArray
    """Shares that one of the first day has become by splits: close x factor is continuous."""
    broken: IntArray
    """How often, up to this day, the price was seen to belong to something else."""
    front_iv: FloatArray
    front_days: FloatArray
    next_iv: FloatArray
    next_days: FloatArray
    skew: FloatArray
    """Fraction a year."""
    skew_is_delta: BoolArray
    excluded: dict[str, int] = field(default_factory=dict)
    """What was taken out, by reason."""
    source: TradeSource = "surface"
    """What trades on it stand on."""

    @property
    def has_term(self) -> bool:
        """Whether the second expiry was measured, and is not the first once more."""
        return self.source == "surface"

    @property
    def iv30(self) -> FloatArray:
        """30-day volatility at the money, fraction a year."""
        return self.iv(np.arange(self.day.size), np.full(self.day.size, 30.0))

    def iv(self, at: IntArray, days: FloatArray) -> FloatArray:
        """
        At-the-money volatility of rows *at* for *days* to expiry, broadcast; fraction a year.

        Between the two expiries total variance is linear, before the first the volatility is its.
        NaN beyond the second, and beyond the first where the second is not known.
        """
        front, near = self.front_iv[at], self.front_days[at]
        later, far = self.next_iv[at], self.next_days[at]
        part = (days - near) / (far - near)
        with np.errstate(invalid="ignore"):
            variance = front**2 * near * (1.0 - part) + later**2 * far * part
            between = np.sqrt(variance / np.maximum(days, 1e-9))
        return np.where(days <= near, front, np.where(days <= far, between, np.nan))

    def historical_volatility(self, window: int = 30) -> FloatArray:
        """Close-to-close volatility of *window* returns, splits undone; fraction a year."""
        if self.day.size <= window:
            return np.full(self.day.size, np.nan)
        volatility = realized.close_to_close(self.close * self.factor, window)
        since = np.concatenate((np.full(window, -1), self.broken[:-window]))
        return np.where(self.broken == since, volatility, np.nan)


def clean(
    rows: SurfaceRows, *, stocks: Collection[str] | None = None, etfs: Collection[str] = ()
) -> list[SurfaceHistory]:
    """
    Histories by symbol, sorted, from a table as it was read.

    Args:
        rows: Any order; of two rows of one day the last counts.
        stocks: Symbols with earnings; every other is then a fund.
        etfs: Funds, where *stocks* is not known.

    Source: ../shared/findings/evidence.md §0, with rules that do not look ahead.
    """
    histories = []
    for name in np.unique(rows.symbol):
        chosen = SurfaceRows._make(column[rows.symbol == name] for column in rows)
        is_etf = str(name) not in stocks if stocks is not None else str(name) in etfs
        histories.append(_history(str(name), chosen, is_etf=is_etf))
    return histories


def from_series(
    symbol: str, day: Dates, close: FloatArray, iv30: FloatArray, *, skew: float, is_etf: bool
) -> SurfaceHistory:
    """
    A history of closes and 30-day volatility, cleaned the same way; the skew is an assumption.

    Args:
        day: Ascending, (n,).
        close: Currency per share.
        iv30: Fraction a year, NaN where missing; taken for every expiry up to a quarter.
        skew: Volatility of the 25-delta put less that of the call, fraction a year.
    """
    excluded: dict[str, int] = {}
    close = _believed(close, (close > 0.0) & (close < np.inf), "impossible closes", excluded)
    level = _believed(iv30, _possible(iv30), "impossible IVs", excluded)
    factor, broken = _continuity(close, level, excluded)
    level = _believed(level, ~_spikes(level), "spikes of one day", excluded)
    near, far = np.full(day.size, 30.0), np.full(day.size, _QUARTER)
    return SurfaceHistory(
        symbol, is_etf, day, close, factor, broken, level, near, level, far,
        np.full(day.size, skew), np.ones(day.size, dtype=np.bool_), excluded, "history",
    )  # fmt: skip


def third_fridays(day: Dates, months: int) -> Dates:
    """The third Friday of the month *months* after that of each day."""
    first = (day.astype("datetime64[M]") + months).astype("datetime64[D]")
    # 1 January 1970 was a Thursday: 3 in the count from Monday.
    weekday = (first.astype(np.int64) + 3) % 7
    return np.asarray(first + (4 - weekday) % 7 + 14)


def front_and_next(day: Dates) -> tuple[FloatArray, FloatArray]:
    """Days to the first third Friday that is at least 13 days out, and to the one after it."""
    ahead = np.stack([(third_fridays(day, month) - day).astype(np.int64) for month in range(4)])
    first = np.argmax(ahead >= NEAREST_FRONT, axis=0)
    place = np.arange(day.size)
    return ahead[first, place].astype(float), ahead[first + 1, place].astype(float)


def _history(symbol: str, rows: SurfaceRows, *, is_etf: bool) -> SurfaceHistory:
    rows, excluded = _ordered(rows)
    front_days, next_days = front_and_next(rows.day)
    usable = (rows.close > 0.0) & (rows.close < np.inf)
    close = _believed(rows.close, usable, "impossible closes", excluded)
    front = _believed(rows.atm_iv, _possible(rows.atm_iv), "impossible IVs", excluded)
    factor, broken = _continuity(close, front, excluded)
    front = _believed(front, ~_spikes(front), "spikes of one day", excluded)
    later = front - rows.term_m1_m2 / 100.0
    later = _believed(later, _possible(later), "impossible IVs of the next expiry", excluded)
    skew = rows.skew / 100.0
    skew = _believed(skew, np.abs(skew) < 1.0, "impossible skews", excluded)
    return SurfaceHistory(
        symbol, is_etf, rows.day, close, factor, broken, front, front_days, later, next_days, skew,
        rows.day >= SEAM, excluded,
    )  # fmt: skip


def _ordered(rows: SurfaceRows) -> tuple[SurfaceRows, dict[str, int]]:
    """Rows by day, one a day, with what was left out."""
    dated = ~np.isnat(rows.day)
    kept = SurfaceRows._make(column[dated] for column in rows)
    order = np.argsort(kept.day, kind="stable")
    kept = SurfaceRows._make(column[order] for column in kept)
    last = np.append(kept.day[1:] != kept.day[:-1], np.ones(min(1, kept.day.size), dtype=np.bool_))
    counts = {"rows without a date": int((~dated).sum()), "repeated days": int((~last).sum())}
    counts = {reason: count for reason, count in counts.items() if count}
    return SurfaceRows._make(column[last] for column in kept), counts


def _believed(
    values: FloatArray, good: BoolArray, reason: str, excluded: dict[str, int]
) -> FloatArray:
    """*values* with NaN for what is not *good*, counted unless it was missing already."""
    count = int((~good & ~np.isnan(values)).sum())
    if count:
        excluded[reason] = count
    return np.where(good, values, np.nan)


def _possible(volatility: FloatArray) -> BoolArray:
    return np.asarray((volatility >= IV_BOUNDS[0]) & (volatility <= IV_BOUNDS[1]))


def _spikes(volatility: FloatArray) -> BoolArray:
    """Days that agree neither with the day before nor with the median of the week before."""
    spike = np.zeros(volatility.size, dtype=np.bool_)
    known = np.flatnonzero(~np.isnan(volatility))
    level = np.log(volatility[known])
    if level.size > _WEEK:
        week = np.median(np.lib.stride_tricks.sliding_window_view(level[:-1], _WEEK), axis=1)
        from_week, from_day = level[_WEEK:] - week, np.diff(level)[_WEEK - 1 :]
        spike[known[_WEEK:]] = (np.abs(from_week) > SPIKE) & (np.abs(from_day) > SPIKE)
    return spike


def _continuity(
    close: FloatArray, iv: FloatArray, excluded: dict[str, int]
) -> tuple[FloatArray, IntArray]:
    """
    What one share has become by splits, and how often the series became something else.

    A move is a split where it has the ratio of one and IV did not move with it; a break where it is
    out of all proportion to IV and IV did not move either (a spin-off, another company).
    """
    factor, broken = np.ones(close.size), np.zeros(close.size, dtype=np.int64)
    known = np.flatnonzero(~np.isnan(close))
    moves, vol = np.diff(np.log(close[known])), _last_known(iv)
    for place in np.flatnonzero(np.abs(moves) > _LEAST_BREAK):
        before, now = known[place], known[place + 1]
        move, usual = moves[place], vol[before] / np.sqrt(252.0)
        # Without an IV of the day nobody says that something happened.
        if abs(np.log(iv[now] / vol[before])) > _IV_AGREES or abs(move) < _IMPOSSIBLE_MOVE * usual:
            continue
        ratio = np.sign(move) * np.log(_SPLITS)
        nearest = ratio[np.argmin(np.abs(ratio - move))]
        if abs(nearest - move) < _SPLIT_SLACK:
            factor[now:] *= np.exp(-nearest)
            reason = "splits undone"
        else:
            broken[now:] += 1
            reason = "breaks of the series"
        excluded[reason] = excluded.get(reason, 0) + 1
    return factor, broken


def _last_known(values: FloatArray) -> FloatArray:
    """Each value, or where it is missing the last one before it; NaN before the first."""
    place = np.where(np.isnan(values), -1, np.arange(values.size))
    place = np.maximum.accumulate(place) if place.size else place
    return np.where(place >= 0, values[np.maximum(place, 0)], np.nan)
