"""
Variance without a model: the price of a strip of out-of-the-money options.

Sources: Cboe (2022), "Cboe Volatility Index Mathematics Methodology"; Demeterfi, Derman, Kamal and
Zou (1999), "More Than You Ever Wanted to Know About Volatility Swaps".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, Num

MINUTES_A_DAY = 1440.0
MINUTES_A_YEAR = 365.0 * MINUTES_A_DAY
MINUTES_30_DAYS = 30.0 * MINUTES_A_DAY


class ModelFree(NamedTuple):
    """Model-free variance of one expiry."""

    variance: float
    """Per year, a fraction; NaN where the strip has fewer than two options a side or no centre."""
    k0: float
    """First strike at or below the forward."""
    puts: int
    """Options used below `k0`."""
    calls: int
    """Options used above `k0`."""


def model_free_variance(
    strike: Num,
    call_bid: Num,
    call_ask: Num,
    put_bid: Num,
    put_ask: Num,
    *,
    forward: float,
    rate: float,
    tau: float,
) -> ModelFree:
    """
    Cboe's variance of one expiry, 2/T sum dK/K^2 e^(RT) Q(K) - (F/K0 - 1)^2 / T.

    Going out from K0 an option without a bid is left out, and after two in a row nothing further
    out counts. At K0 the mids of call and put are averaged. dK is half the distance between the
    neighbours that are used, at the ends the distance to the one neighbour.

    Args:
        strike: Currency per share, one row a strike, any order.
        call_bid, call_ask, put_bid, put_ask: NaN or a bid of zero or less means no bid.
        forward: From put-call parity at the strike where call and put are closest.
        rate: Continuously compounded to this expiry.
        tau: Years, from minutes: minutes / 525,600.

    Raises:
        ValueError: Shapes differ, or forward or tau is not positive.
    """
    given = (strike, call_bid, call_ask, put_bid, put_ask)
    rows = [np.asarray(x, dtype=np.float64) for x in given]
    if len({x.shape for x in rows}) != 1 or rows[0].ndim != 1:
        raise ValueError(f"arguments must have one shape (strikes,), got {[x.shape for x in rows]}")
    for name, number in (("forward", forward), ("tau", tau)):
        if not number > 0.0:
            raise ValueError(f"{name} must be > 0, got {number:g}")
    order = np.argsort(rows[0])
    k, cb, ca, pb, pa = (x[order] for x in rows)
    below = np.flatnonzero(k <= forward)
    if not below.size:
        return ModelFree(math.nan, math.nan, 0, 0)
    centre = int(below[-1])
    puts = _going_out(pb, pa, range(centre - 1, -1, -1))
    calls = _going_out(cb, ca, range(centre + 1, k.size))
    middle = 0.25 * (cb[centre] + ca[centre] + pb[centre] + pa[centre])
    k0 = float(k[centre])
    if min(len(puts), len(calls)) < 2 or not math.isfinite(middle):
        return ModelFree(math.nan, k0, len(puts), len(calls))
    used = np.array([*reversed(puts), centre, *calls])
    mid = np.where(used < centre, 0.5 * (pb + pa)[used], 0.5 * (cb + ca)[used])
    mid[len(puts)] = middle
    gap = np.gradient(k[used], np.arange(used.size))
    strip = float(np.sum(gap / k[used] ** 2 * mid)) * math.exp(rate * tau)
    variance = (2.0 * strip - (forward / k0 - 1.0) ** 2) / tau
    return ModelFree(variance, k0, len(puts), len(calls))


def vix_index(
    near_variance: float,
    next_variance: float,
    *,
    near_minutes: float,
    next_minutes: float,
    target_minutes: float = MINUTES_30_DAYS,
) -> float:
    """
    Volatility over thirty days from two expiries' variances, linear in variance times time.

    Args:
        near_variance, next_variance: Per year, from `model_free_variance`.
        near_minutes, next_minutes: To each settlement; the target may lie outside them.

    Returns:
        A fraction (the published index divided by 100); NaN where an input is NaN, the maturities
        do not rise or the interpolated variance is negative.

    Source: Cboe (2022), "Cboe Volatility Index Mathematics Methodology".
    """
    if not 0.0 < near_minutes < next_minutes:
        return math.nan
    share = (next_minutes - target_minutes) / (next_minutes - near_minutes)
    near = near_minutes / MINUTES_A_YEAR * near_variance * share
    later = next_minutes / MINUTES_A_YEAR * next_variance * (1.0 - share)
    variance = (near + later) * MINUTES_A_YEAR / target_minutes
    return math.sqrt(variance) if variance >= 0.0 else math.nan


def derman_variance(
    put_strike: Num,
    put_price: Num,
    call_strike: Num,
    call_price: Num,
    *,
    spot: float,
    rate: float,
    div_yield: float,
    tau: float,
) -> float:
    """
    Fair variance of a swap replicated with the listed strikes only.

    The log contract is replaced by straight lines between the strikes, which lie above it: the
    answer exceeds the continuous strip's, and tails beyond the last strikes are left out.

    Args:
        put_strike, call_strike: Currency per share; they share exactly one strike, the boundary.
        put_price, call_price: European, currency per share.

    Returns:
        Variance per year.

    Raises:
        ValueError: The highest put strike is not the lowest call strike.

    Source: Demeterfi, Derman, Kamal and Zou (1999), appendix A.
    """
    below, puts = _sorted(put_strike, put_price)
    above, calls = _sorted(call_strike, call_price)
    if not (below.size > 1 and above.size > 1 and below[-1] == above[0]):
        raise ValueError("highest put strike must equal the lowest call strike, with one beyond")
    boundary = float(above[0])
    portfolio = _log_weights(above, boundary) @ calls[:-1]
    portfolio += _log_weights(below[::-1], boundary) @ puts[:0:-1]
    carry = (rate - div_yield) * tau
    ahead = spot * math.exp(carry) / boundary
    fixed = carry - (ahead - 1.0) - math.log(boundary / spot)
    return (2.0 * fixed + math.exp(rate * tau) * float(portfolio)) / tau


def _going_out(bid: FloatArray, ask: FloatArray, rows: Iterable[int]) -> list[int]:
    """Rows with a bid, in order, up to two in a row without one."""
    used: list[int] = []
    silent = 0
    for i in rows:
        if bid[i] > 0.0 and ask[i] >= bid[i]:
            used.append(i)
            silent = 0
        else:
            silent += 1
        if silent == 2:
            break
    return used


def _sorted(strike: Num, price: Num) -> tuple[FloatArray, FloatArray]:
    k = np.asarray(strike, dtype=np.float64)
    order = np.argsort(k)
    return k[order], np.asarray(price, dtype=np.float64)[order]


def _log_weights(strike: FloatArray, boundary: float) -> FloatArray:
    """Options to hold at each strike but the last, going out from the boundary."""
    # 2 ((K - B) / B - ln(K / B)): the log contract less its tangent at the boundary.
    payoff = 2.0 * ((strike - boundary) / boundary - np.log(strike / boundary))
    slope = np.diff(payoff) / np.abs(np.diff(strike))
    return np.diff(slope, prepend=0.0)
