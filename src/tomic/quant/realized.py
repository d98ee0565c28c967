"""
Volatility that was: estimators, true range, rank and percentile, cones, beta.

Every rolling function takes bars along the last axis, oldest first, and any number of leading
axes (symbols). The result has the same shape: element ``[..., i]`` is computed from the bars up to
and including *i*, so ``[..., -1]`` is today's. Fewer bars than the window, a missing bar inside it
or a price that is not positive give NaN, never a shorter window.

A Series gives a Series with its index. A DataFrame of days by symbols gives one, column by column.
Several of them must share their index: what does not is refused, never matched by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, ParamSpec, TypeVar, overload

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray, Labelled, Num
from tomic.quant import arguments
from tomic.quant.labelled import labelled

P = ParamSpec("P")
R = TypeVar("R")
TRADING_DAYS = 252
"""Trading days in a year, for annualising volatilities."""


def _some_at_a_time(kernel: Callable[P, R]) -> Callable[P, R]:
    """
    Let *kernel*, whose prices come before its window, compute as many series at a time as keep
    what it makes on the way in the cache; each series is computed by itself anyway.
    """
    names = tuple(signature(kernel).parameters)
    prices = names[: names.index("window")]

    @wraps(kernel)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
        bars = {name: np.asarray(given.pop(name)) for name in prices if name in given}
        shapes = {array.shape for array in bars.values()}
        shape = next(iter(shapes), ())
        if len(bars) < len(prices) or len(shapes) > 1 or np.prod(shape) <= arguments.BLOCK:
            return kernel(*args, **kwargs)
        rows = max(1, arguments.BLOCK // shape[-1])
        flat = {name: array.reshape(-1, shape[-1]) for name, array in bars.items()}
        out: Any = np.empty((int(np.prod(shape[:-1])), shape[-1]))
        again: Callable[..., Any] = kernel
        for first in range(0, len(out), rows):
            some = slice(first, first + rows)
            out[some] = again(**{name: array[some] for name, array in flat.items()}, **given)
        result: R = out.reshape(shape)
        return result

    return computed


class Place(NamedTuple):
    """Where a value ranks in its history, and over how many values."""

    value: FloatArray
    n: IntArray


def iv_rank(value: Num, history: Num) -> Place:
    """
    (value - lowest) / (highest - lowest) of the history, a fraction.

    Below 0 or above 1 at a new extreme. *history* excludes today; its NaN days are left out and
    ``n`` counts the rest. NaN where the history is empty or does not move.

    Args:
        value: Today's, shape ``(...)``.
        history: Shape ``(..., days)``, in the unit of *value*; of a DataFrame of days by symbols
            each column is a history.
    """
    today, days, known = _placed(value, history)
    n = known.sum(axis=-1)
    lowest = np.min(days, axis=-1, where=known, initial=np.inf)
    highest = np.max(days, axis=-1, where=known, initial=-np.inf)
    moves = highest > lowest
    span = np.where(moves, highest - lowest, 1.0)
    return Place(np.where(moves, (today - np.where(moves, lowest, 0.0)) / span, np.nan)[()], n)


def iv_percentile(value: Num, history: Num) -> Place:
    """
    Share of the days in the history that were strictly below *value*, a fraction.

    Shapes, missing days and ``n`` as for `iv_rank`; NaN where the history is empty.
    """
    today, days, known = _placed(value, history)
    n = known.sum(axis=-1)
    below = ((days < today[..., None]) & known).sum(axis=-1)
    present = (n > 0) & ~np.isnan(today)
    return Place(np.where(present, below / np.maximum(n, 1), np.nan)[()], n)


@labelled
def rolling_place(
    kind: Callable[[Num, Num], Place],
    series: Num,
    window: int = TRADING_DAYS,
    *,
    least: int | None = None,
) -> Place:
    """
    `iv_rank` or `iv_percentile` of every day in the *window* days before it.

    Args:
        kind: The function to apply.
        series: One value a day, shape ``(..., days)``; NaN where missing.
        least: Days that must be present, *window* when not given.

    Returns:
        Arrays in the shape of *series*; NaN where fewer than *least* earlier days are present.
    """
    _check_window(window, 1)
    values = np.asarray(series, dtype=np.float64)
    padded = np.concatenate([np.full((*values.shape[:-1], window), np.nan), values], axis=-1)
    before = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)[..., :-1, :]
    place, n = kind(values, before)
    return Place(np.where(n >= (window if least is None else least), place, np.nan), n)


def _placed(value: Any, history: Any) -> tuple[FloatArray, FloatArray, BoolArray]:
    columns = getattr(history, "columns", None)
    if columns is not None and hasattr(value, "index") and not columns.equals(value.index):
        raise ValueError("value must have the columns of history as its index")
    days = np.asarray(history if columns is None else history.T, dtype=np.float64)
    if not days.ndim:
        raise ValueError("history must have a last axis of days, got a scalar")
    shape = np.broadcast_shapes(np.shape(value), days.shape[:-1])
    today = np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
    days = np.broadcast_to(days, (*shape, days.shape[-1]))
    return today, days, np.isfinite(days)


WINDOWS = (20, 30, 60, 90, 252)
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class Cones(NamedTuple):
    """Quantiles of rolling volatility, one row a window."""

    window: IntArray
    quantile: FloatArray
    level: FloatArray
    """Fractions, shape ``(..., windows, quantiles)``."""
    last: FloatArray
    """Today's volatility, shape ``(..., windows)``."""
    n: IntArray
    """Rolling values each row was counted over, shape ``(..., windows)``."""


class Beta(NamedTuple):
    """Slope of an asset's returns on the market's, with its standard error."""

    beta: FloatArray
    error: FloatArray
    n: IntArray
    shrunk: FloatArray


@overload
def daily_log_returns(close: Labelled) -> Labelled: ...


@overload
def daily_log_returns(close: Num) -> FloatArray: ...


@labelled
def daily_log_returns(close: Any) -> Any:
    """
    ln(close / previous close), in the shape of *close*.

    The first element has no predecessor and is NaN, as is a return next to a missing bar.
    """
    (log_price,) = _log_bars(close)
    result = np.full(log_price.shape, np.nan)
    result[..., 1:] = np.diff(log_price, axis=-1)
    return result


@overload
def close_to_close(
    close: Labelled, window: int, *, periods: float = ..., shorter: bool = ...
) -> Labelled: ...


@overload
def close_to_close(
    close: Num, window: int, *, periods: float = ..., shorter: bool = ...
) -> FloatArray: ...


@labelled
@_some_at_a_time
def close_to_close(
    close: Any, window: int, *, periods: float = TRADING_DAYS, shorter: bool = False
) -> Any:
    """
    Sample standard deviation (n - 1) of the last *window* log returns, annualised.

    Args:
        close: Prices, ``(..., bars)``.
        window: Returns used, >= 2; the first value stands at bar *window*.
        periods: Returns a year.
        shorter: Use whatever is there (two returns at least) at the start of the series, as the
            program that TOMIC succeeds did. For comparing with its numbers only.

    Returns:
        Fractions per square-root year.
    """
    _check_window(window, 2)
    returns = daily_log_returns(close)
    count = np.full(returns.shape[-1], float(window))
    total, squares = _window_sum(returns, window), _window_sum(returns**2, window)
    head = min(window, returns.shape[-1])
    if shorter and head > 2:
        total[..., 2:head] = np.cumsum(returns[..., 1:head], axis=-1)[..., 1:]
        squares[..., 2:head] = np.cumsum(returns[..., 1:head] ** 2, axis=-1)[..., 1:]
        count[2:head] = np.arange(2, head)
    variance = np.maximum(squares - total**2 / count, 0.0) / (count - 1.0)
    return np.asarray(np.sqrt(variance * periods))


@overload
def ewma(close: Labelled, window: int, *, decay: float = ..., periods: float = ...) -> Labelled: ...


@overload
def ewma(close: Num, window: int, *, decay: float = ..., periods: float = ...) -> FloatArray: ...


@labelled
@_some_at_a_time
def ewma(close: Any, window: int, *, decay: float = 0.94, periods: float = TRADING_DAYS) -> Any:
    """
    Volatility from squared log returns whose weights fall by *decay* a day, annualised.

    The weights run over the last *window* returns and add up to one; the mean is taken as zero.

    Returns:
        Fractions per square-root year; the first value stands at bar *window*.

    Source: RiskMetrics Technical Document, 4th edition (1996), decay 0.94 for daily returns.
    """
    _check_window(window, 1)
    if not 0.0 < decay <= 1.0:
        raise ValueError(f"decay must lie in (0, 1], got {decay:g}")
    weights = window if decay == 1.0 else (1.0 - decay**window) / (1.0 - decay)
    squares = daily_log_returns(close) ** 2
    return np.sqrt(_window_sum(squares, window, decay) / weights * periods)


@labelled
@_some_at_a_time
def parkinson(high: Num, low: Num, window: int, *, periods: float = TRADING_DAYS) -> FloatArray:
    """
    Volatility from the daily range, sum ln(H/L)^2 / (4 n ln 2), annualised.

    Blind to overnight gaps, so below close-to-close where prices jump between sessions.

    Source: Parkinson (1980), "The Extreme Value Method for Estimating the Variance".
    """
    log_high, log_low = _log_bars(high, low)
    return _annualised(
        (_not_negative(log_high - log_low)) ** 2 / (4.0 * np.log(2.0)), window, periods
    )


@labelled
@_some_at_a_time
def garman_klass(
    open: Num, high: Num, low: Num, close: Num, window: int, *, periods: float = TRADING_DAYS
) -> FloatArray:
    """
    Volatility from mean[ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2], annualised.

    Source: Garman and Klass (1980), "On the Estimation of Security Price Volatilities".
    """
    log_open, log_high, log_low, log_close = _log_bars(open, high, low, close)
    spread = _not_negative(log_high - log_low)
    day = 0.5 * spread**2 - (2.0 * np.log(2.0) - 1.0) * (log_close - log_open) ** 2
    return _annualised(day, window, periods)


@labelled
@_some_at_a_time
def rogers_satchell(
    open: Num, high: Num, low: Num, close: Num, window: int, *, periods: float = TRADING_DAYS
) -> FloatArray:
    """
    Volatility from mean[ln(H/O) ln(H/C) + ln(L/O) ln(L/C)], annualised; right under drift.

    Source: Rogers and Satchell (1991), "Estimating Variance from High, Low and Closing Prices".
    """
    return _annualised(_rogers_satchell_day(*_log_bars(open, high, low, close)), window, periods)


@labelled
@_some_at_a_time
def yang_zhang(
    open: Num, high: Num, low: Num, close: Num, window: int, *, periods: float = TRADING_DAYS
) -> FloatArray:
    """
    Overnight variance + k x open-to-close variance + (1 - k) x Rogers-Satchell, annualised.

    Sees gaps and is unbiased under drift. Needs the close before the first bar of the window, so
    the first value stands at bar *window*; k = 0.34 / (1.34 + (n + 1) / (n - 1)).

    Source: Yang and Zhang (2000), "Drift Independent Volatility Estimation".
    """
    _check_window(window, 2)
    log_open, log_high, log_low, log_close = _log_bars(open, high, low, close)
    overnight = np.full(log_open.shape, np.nan)
    overnight[..., 1:] = log_open[..., 1:] - log_close[..., :-1]
    day = _rogers_satchell_day(log_open, log_high, log_low, log_close)
    k = yang_zhang_weight(window)
    variance = (
        _sample_variance(overnight, window)
        + k * _sample_variance(log_close - log_open, window)
        + (1.0 - k) * _window_sum(day, window) / window
    )
    return np.sqrt(np.maximum(variance, 0.0) * periods)


BAD_TICK = 1.6
"""Volatility from highs and lows per close to close above which a bad tick is suspected."""


@labelled
def guarded(ranged: Num, closes: Num) -> FloatArray:
    """
    *ranged*, with *closes* in its place wherever it is more than `BAD_TICK` times as large.

    One wrong high or low enters an estimator that reads ranges (Parkinson to Yang-Zhang) squared,
    and close-to-close volatility not at all.

    Args:
        ranged, closes: (...) of the same days, fractions; NaN where missing.
    """
    value, plain = np.asarray(ranged, dtype=np.float64), np.asarray(closes, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(value > BAD_TICK * plain, plain, value)


class ExpectedVolatility(NamedTuple):
    """What volatility will probably be, and between what it stays two times out of three."""

    volatility: float
    low: float
    high: float


EXPECTED_SHARE = 0.94
"""Realised volatility of the next 30 days per IV30, exp of its mean logarithm."""
EXPECTED_RANGE = (0.75, 1.33)
"""One standard deviation (.28) of that logarithm either way, as factors."""


def expected_from_iv(iv30: float) -> ExpectedVolatility:
    """
    Realised volatility to expect of the next 30 days where options say *iv30*; fractions.

    Historical volatility adds nothing to it: given IV30 its coefficient is .05 in logarithms, and
    over SPY 1998-2021 zero. The typical month stays under IV30, the mean square does not (1.03).

    Source: 32,613 weeks of 174 symbols, 2022-2025; see docs/evidence.md.
    """
    middle = EXPECTED_SHARE * iv30
    low, high = EXPECTED_RANGE
    return ExpectedVolatility(middle, low * middle, high * middle)


def yang_zhang_weight(window: int) -> float:
    """Weight k of the open-to-close variance that minimises Yang and Zhang's error."""
    return 0.34 / (1.34 + (window + 1.0) / (window - 1.0))


def standard_error(volatility: Num, window: int) -> FloatArray:
    """Standard error of a close-to-close volatility, sigma / sqrt(2 n), as for normal returns."""
    _check_window(window, 1)
    return np.asarray(np.asarray(volatility, dtype=np.float64) / np.sqrt(2.0 * window))


@labelled
def true_range(high: Num, low: Num, close: Num) -> FloatArray:
    """
    max(H - L, |H - previous close|, |L - previous close|), currency per share.

    The first bar has no previous close and gives H - L.
    """
    high, low, close = _bars(high, low, close)
    result = high - low
    before = close[..., :-1]
    gap = np.maximum(np.abs(high[..., 1:] - before), np.abs(low[..., 1:] - before))
    result[..., 1:] = np.maximum(result[..., 1:], gap)
    return result


@labelled
def atr_wilder(high: Num, low: Num, close: Num, window: int = 14) -> FloatArray:
    """
    Average true range after Wilder: mean of the first *window*, then (13 ATR + TR) / 14.

    After a missing bar the average starts again, *window* true ranges later.

    Returns:
        Currency per share; the first value stands at bar *window* - 1.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    _check_window(window, 1)
    ranges = true_range(high, low, close)
    result = np.full(ranges.shape, np.nan)
    seed = _window_sum(ranges, window) / window
    level = np.full(ranges.shape[:-1], np.nan)
    for i in range(window - 1, ranges.shape[-1]):
        rolled = level + (ranges[..., i] - level) / window
        level = np.where(np.isnan(rolled), seed[..., i], rolled)
        result[..., i] = level
    return result


@labelled
def atr_simple(
    high: Num, low: Num, close: Num, window: int = 14, *, shorter: bool = False
) -> FloatArray:
    """
    Plain mean of the last *window* true ranges that have a previous close.

    Args:
        shorter: Use the true ranges there are at the start of the series (one at least), as the
            program that TOMIC succeeds did.

    Returns:
        Currency per share; the first value stands at bar *window*.
    """
    _check_window(window, 1)
    ranges = true_range(high, low, close)
    ranges[..., :1] = np.nan
    result = _window_sum(ranges, window) / window
    head = min(window, ranges.shape[-1])
    if shorter and head > 1:
        result[..., 1:head] = np.cumsum(ranges[..., 1:head], axis=-1) / np.arange(1, head)
    return result


def cones(
    estimate: Callable[[int], FloatArray],
    *,
    windows: Sequence[int] = WINDOWS,
    quantiles: Sequence[float] = QUANTILES,
) -> Cones:
    """
    Quantiles of rolling volatility for several windows, and where today's stands.

    Args:
        estimate: Rolling volatility for a window: ``partial(close_to_close, close)``.
        windows: Bars; a window longer than the history gives a row of NaN.
        quantiles: Fractions in [0, 1], interpolated linearly.

    Source: Burghardt and Lane (1990), "How to Tell if Options Are Cheap".
    """
    rolling = [np.asarray(estimate(window), dtype=np.float64) for window in windows]
    # A missing bar in front does not change a quantile, and gives an empty history a last bar.
    rolling = [_after_nothing(series) for series in rolling]
    levels = [_quantiles(series, quantiles) for series in rolling]
    return Cones(
        window=np.asarray(windows, dtype=np.int64),
        quantile=np.asarray(quantiles, dtype=np.float64),
        level=np.stack(levels, axis=-2),
        last=np.stack([series[..., -1] for series in rolling], axis=-1),
        n=np.stack([np.isfinite(series).sum(axis=-1) for series in rolling], axis=-1),
    )


@labelled
def beta(
    asset: Num,
    market: Num,
    window: int = TRADING_DAYS,
    *,
    least: int | None = None,
    prior: float = 1.0,
    prior_error: float = 0.4,
) -> Beta:
    """
    Least-squares slope of an asset's returns on the market's over the last *window* returns.

    Args:
        asset: Log returns, shape ``(..., days)``; NaN where missing.
        market: Log returns of the same days, broadcast against *asset*.
        least: Pairs that must be present in the window, *window* when not given.
        prior, prior_error: Centre and width of the betas of all stocks, for the shrinking.

    Returns:
        ``beta`` and its standard ``error``, pairs used ``n``, and ``shrunk``: the two betas
        weighted by the inverse of their squared errors. NaN with fewer than *least* pairs or a
        market that did not move.

    Source: Vasicek (1973), "A Note on Using Cross-Sectional Information in Bayesian Estimation".
    """
    _check_window(window, 3)
    pair = np.broadcast_arrays(
        np.asarray(asset, dtype=np.float64)[..., -window:],
        np.asarray(market, dtype=np.float64)[..., -window:],
    )
    known = np.isfinite(pair[0]) & np.isfinite(pair[1])
    n = known.sum(axis=-1)
    enough = n >= max(3, window if least is None else least)
    y, x = (np.where(known, side, 0.0) for side in pair)
    count = np.maximum(n, 1)
    y = np.where(known, y - (y.sum(axis=-1) / count)[..., None], 0.0)
    x = np.where(known, x - (x.sum(axis=-1) / count)[..., None], 0.0)
    spread = (x * x).sum(axis=-1)
    enough &= spread > 0.0
    slope = (x * y).sum(axis=-1) / np.where(enough, spread, 1.0)
    rest = ((y - slope[..., None] * x) ** 2).sum(axis=-1)
    error = np.sqrt(rest / np.maximum(n - 2, 1) / np.where(enough, spread, 1.0))
    # Written without dividing by the error, which is zero for an asset that is the market.
    shrunk = (slope * prior_error**2 + prior * error**2) / (prior_error**2 + error**2)
    slope, error, shrunk = (np.where(enough, v, np.nan)[()] for v in (slope, error, shrunk))
    return Beta(slope, error, n, shrunk)


def _not_negative(log_range: FloatArray) -> FloatArray:
    """A bar whose high lies below its low is a broken bar, not a range."""
    return np.where(log_range >= 0.0, log_range, np.nan)


def _rogers_satchell_day(
    log_open: FloatArray, log_high: FloatArray, log_low: FloatArray, log_close: FloatArray
) -> FloatArray:
    upper = (log_high - log_open) * (log_high - log_close)
    lower = (log_low - log_open) * (log_low - log_close)
    return np.where(log_high >= log_low, upper + lower, np.nan)


def _annualised(day: FloatArray, window: int, periods: float) -> FloatArray:
    _check_window(window, 1)
    # Garman-Klass can fall below zero on a bar that opens and closes at opposite ends.
    return np.sqrt(np.maximum(_window_sum(day, window) / window, 0.0) * periods)


def _after_nothing(series: FloatArray) -> FloatArray:
    return np.concatenate((np.full((*series.shape[:-1], 1), np.nan), series), axis=-1)


def _quantiles(series: FloatArray, quantiles: Sequence[float]) -> FloatArray:
    """Quantiles along the last axis that leave NaN out and never warn about having only NaN."""
    known = np.isfinite(series)
    ordered = np.sort(np.where(known, series, np.inf), axis=-1)
    n = known.sum(axis=-1)[..., None]
    at = np.asarray(quantiles, dtype=np.float64) * np.maximum(n - 1, 0)
    below = np.floor(at).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    low = np.where(n > 0, np.take_along_axis(ordered, below, axis=-1), 0.0)
    high = np.where(n > 0, np.take_along_axis(ordered, above, axis=-1), 0.0)
    return np.where(n > 0, low + (at - below) * (high - low), np.nan)


def _check_window(window: int, least: int) -> None:
    """Reject a window that is too short for its estimator."""
    if window < least:
        raise ValueError(f"window must be >= {least}, got {window}")


def _bars(*prices: Num) -> tuple[FloatArray, ...]:
    """Prices as float arrays of one shape, anything but a positive number as NaN."""
    arrays = [np.asarray(price, dtype=np.float64) for price in prices]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or not arrays[0].ndim:
        raise ValueError(f"bars must have one common shape (..., bars), got {sorted(shapes)}")
    return tuple(np.where(np.isfinite(array) & (array > 0.0), array, np.nan) for array in arrays)


def _log_bars(*prices: Num) -> tuple[FloatArray, ...]:
    """Natural logarithms of `_bars`."""
    return tuple(np.log(price) for price in _bars(*prices))


def _window_sum(values: FloatArray, window: int, decay: float = 1.0) -> FloatArray:
    """
    Sum over the last *window* values, each *decay* times lighter than the one after it.

    Doubles the span log2(window) times. Unlike a difference of running totals this keeps a NaN
    inside its own windows and adds no rounding from days long gone.
    """
    result = np.full(values.shape, np.nan)
    size = values.shape[-1]
    if size < window:
        return result
    # Element j of `reach` covers `span` values from j on, of `total` the newest `done` from j on.
    reach, total = values, values
    span, done = 1, 0
    while True:
        if window & span:
            older = decay**done * reach[..., : size - done - span + 1]
            total = total[..., span:] + older if done else older
            done += span
        if done == window:
            break
        reach = reach[..., span:] + decay**span * reach[..., :-span]
        span *= 2
    result[..., window - 1 :] = total
    return result


def _sample_variance(values: FloatArray, window: int) -> FloatArray:
    """Variance (n - 1) of the last *window* values."""
    total, squares = _window_sum(values, window), _window_sum(values**2, window)
    return np.maximum(squares - total**2 / window, 0.0) / (window - 1.0)
