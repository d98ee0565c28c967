"""
What stored series say about volatility: estimators, true range, place in the past. No network.

Series are laid on the exchange's trading days, so that a missing day is seen as one: a window
that holds a gap, or that the series does not fill, gives no number but a reason.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._typing import FloatArray
from tomic.models import TradingSession
from tomic.models.documents import finite
from tomic.quant import realized, surface
from tomic.store import Bars, Coverage, SmileDay, VolSeries

SeriesName: TypeAlias = Literal["bars", "ib30", "ib_hv30"]

_SETTLED = dt.timedelta(hours=1)
"""How long after the close a day that is still missing is taken for one that IB does not have."""


@dataclass(frozen=True, slots=True)
class Need:
    """One series that is not up to date."""

    symbol: str
    series: SeriesName
    since: dt.date
    """First day to ask for; a stored one when only the end is missing."""
    whole: bool
    """Whether nothing that is stored reaches back far enough."""


def last_complete_day(now: dt.datetime, sessions: Sequence[TradingSession] = ()) -> dt.date:
    """
    The last day whose session is over at *now*.

    By IB's hours where they reach that day (half days and sudden closures), else by New York's
    calendar.
    """
    today = now.astimezone(dates.NEW_YORK).date()
    known = dates.session_on(sessions, today)
    reaches = bool(sessions) and today <= max(session.closes.date() for session in sessions)
    if known is not None and now > known.closes:
        return today
    if not reaches and dates.is_trading_day(today) and now > usual_close(today):
        return today
    return dates.trading_days(today - dt.timedelta(days=14), today - dt.timedelta(days=1))[-1]


def session_day(now: dt.datetime, sessions: Sequence[TradingSession] = ()) -> dt.date:
    """
    The last day on which trading has begun, by IB's hours where they say so.

    Without them: today from 09:30 New York time on, else the trading day before.
    """
    begun = [session for session in sessions if session.opens <= now]
    local = now.astimezone(dates.NEW_YORK)
    if begun and begun[-1].closes.date() == local.date():
        return local.date()
    today = local.date() if local.time() >= dt.time(9, 30) else local.date() - dt.timedelta(days=1)
    return dates.trading_days(today - dt.timedelta(days=14), today)[-1]


def usual_close(day: dt.date) -> dt.datetime:
    """When New York closes on a trading day."""
    at = dt.time(13, 0) if dates.half_days(day, day) else dt.time(16, 0)
    return dt.datetime.combine(day, at, dates.NEW_YORK)


def need_of(
    symbol: str,
    series: SeriesName,
    known: Coverage | None,
    *,
    last_day: dt.date,
    first_day: dt.date,
    force: bool = False,
) -> Need | None:
    """
    What to ask for so that *series* reaches from *first_day* to *last_day*; None when it does.

    Days that IB was asked for and did not give are not asked for again: a new listing has no
    past, and a symbol without options no implied volatility.
    """
    whole = Need(symbol, series, first_day, True)
    if force or known is None or known.asked_from is None or known.asked_from > first_day:
        return whole
    if known.last is not None and known.last >= last_day:
        return None
    if known.fetched_at is not None and known.fetched_at >= usual_close(last_day) + _SETTLED:
        return None
    return whole if known.last is None else Need(symbol, series, known.last, False)


def first_day_of(last_day: dt.date, days: int) -> dt.date:
    """The trading day *days* before *last_day*."""
    reach = dt.timedelta(days=math.ceil(days * 1.5) + 15)
    return dates.trading_days(last_day - reach, last_day)[-days - 1]


WINDOWS = realized.WINDOWS
ESTIMATORS: Mapping[str, Callable[[Mapping[str, FloatArray], int], FloatArray]] = {
    "close_to_close": lambda bars, n: realized.close_to_close(bars["close"], n),
    "ewma": lambda bars, n: realized.ewma(bars["close"], n),
    "parkinson": lambda bars, n: realized.parkinson(bars["high"], bars["low"], n),
    "garman_klass": lambda bars, n: realized.garman_klass(*_ohlc(bars), n),
    "rogers_satchell": lambda bars, n: realized.rogers_satchell(*_ohlc(bars), n),
    "yang_zhang": lambda bars, n: realized.yang_zhang(*_ohlc(bars), n),
}
"""Estimators of realised volatility by name; each takes bars and a window."""

BARS_NEEDED = max(WINDOWS) + 1
"""Closes behind the longest window of returns."""
ATR_DAYS = 14

_FIELDS = ("open", "high", "low", "close")
_Ohlc: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _ohlc(bars: Mapping[str, FloatArray]) -> _Ohlc:
    return bars["open"], bars["high"], bars["low"], bars["close"]


@dataclass(frozen=True, slots=True)
class Realised:
    """Volatility that was, of one symbol, over its last stored bars."""

    last_day: dt.date | None = None
    close: float | None = None
    hv: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Estimator to window to fraction; only what could be computed."""
    atr14: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    """``hv20`` … ``hv252`` and ``atr14`` to why they are absent."""
    warnings: tuple[str, ...] = ()
    """Estimators for which close-to-close stands in, and why."""


@dataclass(frozen=True, slots=True)
class WindowStanding:
    """Where one value stands in the window of trading days before it."""

    value: float
    day: dt.date
    rank: float | None = None
    percentile: float | None = None
    n: int = 0
    window: int = realized.TRADING_DAYS
    reason: str = ""
    """Why rank and percentile are absent."""

    @property
    def is_short(self) -> bool:
        """Whether days of the window are missing."""
        return self.n < self.window


# -- realised volatility -------------------------------------------------------------------


def realised(symbols: Sequence[str], stored: Mapping[str, Bars]) -> dict[str, Realised]:
    """Estimators, ATR and reasons for all *symbols* at once, each over its own last bars."""
    ends = [series.date[-1].item() for series in stored.values() if len(series)]
    calendar = _calendar(ends, BARS_NEEDED)
    known = [symbol for symbol in symbols if len(stored.get(symbol, ()))]
    pasts = {symbol: _nothing(symbol) for symbol in symbols}
    if not known:
        return pasts
    shape = (len(known), BARS_NEEDED)
    bars = {name: np.full(shape, np.nan) for name in _FIELDS}
    for row, symbol in enumerate(known):
        own = stored[symbol]
        at, chosen = _places(own.date, calendar, BARS_NEEDED)
        for name in _FIELDS:
            bars[name][row, at] = getattr(own, name)[chosen]
    # An estimator reads its window and the bar before it, so nothing older is handed over.
    levels = {
        (name, window): estimate({k: v[:, -window - 1 :] for k, v in bars.items()}, window)[:, -1]
        for name, estimate in ESTIMATORS.items()
        for window in WINDOWS
    }
    raw = levels
    levels = {key: _guarded(key, levels) for key in levels}
    atr = realized.atr_wilder(bars["high"], bars["low"], bars["close"], ATR_DAYS)[:, -1]
    for row, symbol in enumerate(known):
        own = stored[symbol]
        close = bars["close"][row]
        pasts[symbol] = Realised(
            last_day=own.date[-1].item(),
            close=float(own.close[-1]),
            hv={
                name: {
                    window: float(levels[name, window][row])
                    for window in WINDOWS
                    if math.isfinite(levels[name, window][row])
                }
                for name in ESTIMATORS
            },
            atr14=finite(atr[row]),
            missing=_reasons(own, close, calendar, atr[row], bars["high"][row]),
            warnings=_stand_ins(row, raw, levels),
        )
    return pasts


_FROM_RANGES = ("parkinson", "garman_klass", "rogers_satchell", "yang_zhang")
_Levels: TypeAlias = Mapping[tuple[str, int], FloatArray]


def _guarded(key: tuple[str, int], levels: _Levels) -> FloatArray:
    """One estimator over one window, by symbol, without what a bad tick makes of it."""
    name, window = key
    if name not in _FROM_RANGES:
        return levels[key]
    return realized.guarded(levels[key], levels["close_to_close", window])


def _stand_ins(row: int, raw: _Levels, kept: _Levels) -> tuple[str, ...]:
    """What one symbol's estimators from highs and lows gave where they are not believed."""
    texts = []
    for name in _FROM_RANGES:
        over = [n for n in WINDOWS if raw[name, n][row] > kept[name, n][row]]
        if over:
            ratio = max(float(raw[name, n][row] / kept[name, n][row]) for n in over)
            texts.append(
                f"{name.replace('_', ' ')} over {', '.join(map(str, over))} days is {ratio:.1f} "
                "times close to close, which stands in: look for a wrong high or low"
            )
    return tuple(texts)


def _nothing(symbol: str) -> Realised:
    text = f"no bars stored; run tomic prices {symbol}"
    return Realised(missing=dict.fromkeys((*(f"hv{n}" for n in WINDOWS), "atr14"), text))


def _reasons(
    own: Bars, close: FloatArray, calendar: NDArray[np.datetime64], atr: float, high: FloatArray
) -> dict[str, str]:
    """Why each window over *close*, laid on trading days, gives no number."""
    reasons = {}
    first = f"{own.date[0]}"
    for window in WINDOWS:
        if gap := _gap(close[-window - 1 :]):
            have = min(len(own), window + 1)
            end = int(np.searchsorted(calendar, own.date[-1]))
            day = calendar[end - gap + 1]
            short = day < own.date[0]
            reasons[f"hv{window}"] = (
                f"{have} of {window + 1} closes stored, since {first}"
                if short
                else f"no bar stored for {day}"
            )
    if not math.isfinite(atr):
        lacking = not np.isfinite(high[-ATR_DAYS:]).all() and np.isfinite(close[-ATR_DAYS:]).all()
        reasons["atr14"] = (
            "highs and lows are not stored for the last 14 days"
            if lacking
            else f"{min(len(own), ATR_DAYS)} of {ATR_DAYS} unbroken bars stored, since {first}"
        )
    return reasons


def _gap(values: FloatArray) -> int:
    """How many places from the end the latest missing value stands; 0 when none is missing."""
    absent = np.flatnonzero(~np.isfinite(values))
    return int(values.size - absent[-1]) if absent.size else 0


# -- place in the past ---------------------------------------------------------------------


def placed(
    values: Mapping[str, tuple[float, dt.date]],
    stored: Mapping[str, VolSeries],
    *,
    window: int = realized.TRADING_DAYS,
    least: int = 60,
) -> dict[str, WindowStanding]:
    """
    Rank and percentile of today's value in the *window* trading days before it, by symbol.

    Args:
        values: Today's value and the trading day it belongs to; that day and later ones are no
            history.
        stored: The same series, of earlier days.
        least: Fewer days than this give no number.
    """
    known = {symbol: at for symbol, at in values.items() if len(stored.get(symbol, ()))}
    standings = {
        symbol: _place(value, day, math.nan, math.nan, 0, window, least)
        for symbol, (value, day) in values.items()
    }
    if not known:
        return standings
    calendar = _calendar([day for _, day in known.values()], window)
    history = np.full((len(known), window), np.nan)
    for row, (symbol, (_, day)) in enumerate(known.items()):
        own, today = stored[symbol], np.datetime64(day, "D")
        earlier = own.date < today
        end = int(np.searchsorted(calendar, today)) - 1
        at, chosen = _places(own.date[earlier], calendar, window, end)
        history[row, at] = own.value[earlier][chosen]
    value = np.array([value for value, _ in known.values()])
    rank, n = realized.iv_rank(value, history)
    percentile, _ = realized.iv_percentile(value, history)
    for row, (symbol, (level, day)) in enumerate(known.items()):
        standings[symbol] = _place(
            level, day, rank[row], percentile[row], int(n[row]), window, least
        )
    return standings


def _place(
    value: float, day: dt.date, rank: float, percentile: float, n: int, window: int, least: int
) -> WindowStanding:
    if n < least:
        return WindowStanding(
            value, day, n=n, window=window, reason=f"{n} of at least {least} days stored"
        )
    reason = "" if math.isfinite(rank) else f"IV did not move in the {n} days stored"
    return WindowStanding(value, day, finite(rank), finite(percentile), n, window, reason)


# -- day by day ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PastDay:
    """One stored day; fractions, currency per share, None where unknown."""

    day: dt.date
    close: float | None = None
    hv30: float | None = None
    hv60: float | None = None
    hv90: float | None = None
    atr14: float | None = None
    iv30: float | None = None
    """IB's."""
    iv_rank: float | None = None
    iv_percentile: float | None = None
    chain_iv30: float | None = None
    """Of our own chains."""
    expected_move: float | None = None
    """One standard deviation over 30 days, of `close` and `iv30`."""
    skew: float | None = None
    """This and the terms are of the chain of the day, where one was taken."""
    term_m1_m2: float | None = None
    term_m1_m3: float | None = None


def by_day(
    bars: Bars,
    ib_iv: VolSeries,
    chain_iv: VolSeries,
    days: int,
    *,
    smiles: Sequence[SmileDay] = (),
    window: int = realized.TRADING_DAYS,
    least: int = 60,
) -> list[PastDay]:
    """The last *days* trading days on which anything is stored, oldest first."""
    ends = [series.date[-1].item() for series in (bars, ib_iv, chain_iv) if len(series)]
    ends += [smile.day for smile in smiles[-1:]]
    width = days + max(window, BARS_NEEDED)
    calendar = _calendar([max(ends)], width) if ends else _calendar([], width)
    if not len(calendar):
        return []
    row = {name: np.full(calendar.size, np.nan) for name in ("high", "low", "close", "ib", "own")}
    for name, date, values in (
        *((name, bars.date, getattr(bars, name)) for name in ("high", "low", "close")),
        ("ib", ib_iv.date, ib_iv.value),
        ("own", chain_iv.date, chain_iv.value),
    ):
        at, chosen = _places(date, calendar, calendar.size, calendar.size - 1)
        row[name][at] = values[chosen]
    columns = {
        **_laid(smiles, calendar),
        "close": row["close"],
        **{f"hv{n}": realized.close_to_close(row["close"], n) for n in (30, 60, 90)},
        "atr14": realized.atr_wilder(row["high"], row["low"], row["close"], ATR_DAYS),
        "iv30": row["ib"],
        "iv_rank": realized.rolling_place(realized.iv_rank, row["ib"], window, least=least).value,
        "iv_percentile": realized.rolling_place(
            realized.iv_percentile, row["ib"], window, least=least
        ).value,
        "chain_iv30": row["own"],
        "expected_move": surface.expected_move_iv(row["close"], row["ib"], 30),
    }
    stored = np.isfinite([columns[name] for name in _STORED]).any(axis=0)
    return [
        PastDay(calendar[at].item(), **{name: finite(v[at]) for name, v in columns.items()})
        for at in np.flatnonzero(stored)[-days:]
    ]


_STORED = ("close", "iv30", "chain_iv30", *SmileDay._fields[1:])
"""Columns that make a day one of which something is stored; the others follow from these."""


def _laid(smiles: Sequence[SmileDay], calendar: NDArray[np.datetime64]) -> dict[str, FloatArray]:
    """Skew and terms on the days of *calendar*, NaN where no chain was taken."""
    day = np.array([smile.day for smile in smiles], dtype="datetime64[D]")
    at, chosen = _places(day, calendar, calendar.size, calendar.size - 1)
    columns = {}
    for name in SmileDay._fields[1:]:
        values = np.array([getattr(smile, name) for smile in smiles], dtype=np.float64)
        columns[name] = np.full(calendar.size, np.nan)
        columns[name][at] = values[chosen]
    return columns


def with_gaps(days: Sequence[PastDay]) -> list[PastDay]:
    """*days* and an empty one for each trading day between them of which nothing is stored."""
    if not days:
        return []
    by_date = {past.day: past for past in days}
    every = {*dates.trading_days(days[0].day, days[-1].day), *by_date}
    return [by_date.get(day) or PastDay(day) for day in sorted(every)]


# -- trading days --------------------------------------------------------------------------


def _calendar(ends: Sequence[dt.date], width: int) -> NDArray[np.datetime64]:
    """Every trading day from *width* before the first of *ends* to the last of them."""
    if not ends:
        return np.array([], dtype="datetime64[D]")
    first = min(ends) - dt.timedelta(days=round(1.5 * width) + 15)
    return np.array(dates.trading_days(first, max(ends)), dtype="datetime64[D]")


def _places(
    day: NDArray[np.datetime64],
    calendar: NDArray[np.datetime64],
    width: int,
    end: int | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """
    Columns of a row of *width* trading days for the elements of *day*, and which of them fit.

    The row ends at position *end* of *calendar*, by default at the last day itself.
    """
    if not len(day):
        return np.array([], dtype=np.intp), np.zeros(0, dtype=bool)
    at = np.searchsorted(calendar, day)
    on = calendar[np.minimum(at, calendar.size - 1)] == day
    if end is None:
        end = int(at[on][-1]) if on.any() else 0
    column = at - end + width - 1
    fits = on & (column >= 0) & (column < width)
    return column[fits], fits
