"""
Implied volatility of European options: vectorised, to machine precision, never an exception per
element.

Where no volatility explains the price the answer is NaN and ``solve`` says why.

Method: the out-of-the-money time value is divided by the geometric mean of discounted spot and
strike, which leaves two numbers, the normalised price and the log-moneyness x. A table inverts
Bachelier's formula, an expansion turns that normal volatility into a lognormal one, and Householder
steps of third order on the logarithm of the price finish: one for most options, more only where the
last step was not small. The price is written with the scaled complementary error function, so
nothing underflows far out of the money.

Sources: Jaeckel (2015), "Let's be rational", for the normalisation and the objective; Hagan,
Kumar, Lesniewski and Woodward (2002), "Managing smile risk", for normal to lognormal.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import arguments
from tomic.quant.labelled import labelled


class Reason(IntEnum):
    """Why a volatility is missing."""

    OK = 0
    BELOW_INTRINSIC = 1
    """The price has no time value: it is at or below the discounted intrinsic value."""
    ABOVE_MAXIMUM = 2
    """The price is at or above what any volatility can give: spot for calls, strike for puts."""
    EXPIRED = 3
    MISSING = 4
    """An input is NaN or infinite, or spot or strike is not positive."""
    NOT_IDENTIFIABLE = 5
    """The price hardly depends on volatility: rounding, or early exercise, decides the answer."""


class ImpliedVol(NamedTuple):
    """``sigma``: fraction per square-root year, NaN where none; ``reason``: int8 of ``Reason``."""

    sigma: FloatArray
    reason: NDArray[np.int8]


@labelled
def implied_vol(
    price: Num, spot: Num, strike: Num, tau: Num, rate: Num, div_yield: Num, is_call: Num
) -> FloatArray:
    """The volatility of ``solve`` alone: a fraction per square-root year, NaN where none."""
    return solve(price, spot, strike, tau, rate, div_yield, is_call).sigma


def solve(
    price: Num, spot: Num, strike: Num, tau: Num, rate: Num, div_yield: Num, is_call: Num
) -> ImpliedVol:
    """
    Black-Scholes volatility that explains each price, or the reason why there is none.

    Out of the money the relative error stays below 1e-12 to eight standard deviations. In the
    money it is what the rounding of the price leaves of the time value.

    Args:
        price, spot, strike: Currency per share.
        tau: Years to expiry (act/365).
        rate, div_yield: Continuously compounded, fraction per year, any sign.
        is_call: True, 1, "C" or "call" for calls; False, 0, "P" or "put" for puts.

    Returns:
        Volatility and reason, both with the broadcast shape. Impossible elements (negative prices,
        strikes of zero, NaN) get NaN and their reason; they never raise or warn.

    Raises:
        ValueError: The shapes do not broadcast, or an argument is not a number.
    """
    given = (price, spot, strike, tau, rate, div_yield, is_call)
    shape, flat = arguments.kernel_arguments(arguments.QUOTE_ARGUMENTS, given, checked=False)
    size = prod(shape)
    sigma, reason = np.empty(size), np.zeros(size, dtype=np.int8)
    unfinished: list[_Unfinished] = []
    with np.errstate(all="ignore"):
        for piece, arrays in arguments.blocks(flat, size):
            sigma[piece], rest = _first_pass(piece.start, reason[piece], arrays)
            unfinished.append(rest)
        _finish(sigma, unfinished)
    reason[np.isnan(sigma) & (reason == Reason.OK)] = Reason.NOT_IDENTIFIABLE
    return ImpliedVol(sigma.reshape(shape), reason.reshape(shape))


_EPS = float(np.finfo(np.float64).eps)
_INV_SQRT2 = 0.7071067811865476
_INV_SQRT_2PI = 0.3989422804014327
_SQRT_2_OVER_PI = 0.7978845608028654
_CONVERGED = 1e-3
"""A third-order step of this relative size leaves an error of its fourth power."""
_NARROW = 0.04
"""Below this total volatility the difference of two error functions cancels; use its series."""
_MAX_TOTAL_VOL = 16.0
_MAX_STEPS = 24


class _Unfinished(NamedTuple):
    """Elements for which one step was not enough; ``target`` is a log of price or of room left."""

    where: IntArray
    x: FloatArray
    total: FloatArray
    target: FloatArray
    high: BoolArray
    root: FloatArray


def _first_pass(
    start: int, reason: NDArray[np.int8], arrays: Sequence[arguments.AnyArray]
) -> tuple[FloatArray, _Unfinished]:
    price, spot, strike, tau, rate, div_yield, is_call = arrays
    pv_spot = spot * np.exp(-div_yield * tau)
    pv_strike = strike * np.exp(-rate * tau)
    gap = pv_spot - pv_strike
    intrinsic = np.maximum(np.where(is_call, gap, -gap), 0.0)
    time_value = np.broadcast_to(price - intrinsic, reason.shape)
    ceiling = np.minimum(pv_spot, pv_strike)
    # Not the log of the discounted quotient: near the money its roundings would show.
    x = np.broadcast_to(np.abs(np.log(spot / strike) + (rate - div_yield) * tau), reason.shape)
    # In the money a time value of a few units in the last place of the price is rounding.
    solvable = (time_value > 4.0 * _EPS * intrinsic) & (time_value < ceiling) & (tau > 0.0)
    solvable &= x < np.inf
    if not np.all(solvable):
        _explain(reason, solvable, x, time_value, ceiling, tau)

    scale = 1.0 / np.sqrt(pv_spot * pv_strike)
    beta = time_value * scale
    log_beta = np.log(beta)
    total = _guess(x, beta, log_beta, np.abs(gap) * scale)
    stepped = _first_step(x, total, log_beta, ceiling * scale)
    high = 2.0 * time_value > ceiling
    good = np.abs(stepped - total) <= _CONVERGED * total
    good &= stepped > _NARROW
    good &= ~high
    root = np.sqrt(tau)
    sigma = np.where(solvable, stepped / root, np.nan)
    pending = np.flatnonzero(solvable & ~good)
    target = np.where(high, (ceiling - time_value) * scale, beta)[pending]
    first, second, is_high = total[pending], stepped[pending], high[pending]
    # A second step starts from the first one, unless that one went astray.
    astray = is_high | ~(np.abs(second - first) < 0.5 * first)
    rest = _Unfinished(
        where=pending + start,
        x=x[pending],
        total=np.where(astray, first, second),
        target=np.log(target),
        high=is_high,
        root=np.broadcast_to(root, reason.shape)[pending],
    )
    return sigma, rest


def _finish(sigma: FloatArray, unfinished: list[_Unfinished]) -> None:
    """Refine what is left of all blocks together: a call on few elements is all overhead."""
    if not any(part.where.size for part in unfinished):
        return
    rest = _Unfinished(*(np.concatenate(field) for field in zip(*unfinished, strict=True)))
    fields: list[arguments.AnyArray] = list(rest)
    for _, (where, x, total, target, high, root) in arguments.blocks(fields, rest.where.size):
        sigma[where] = _refine(x, total, target, high) / root


def _explain(
    reason: NDArray[np.int8],
    solvable: BoolArray,
    x: FloatArray,
    time_value: FloatArray,
    ceiling: FloatArray,
    tau: FloatArray,
) -> None:
    """Fill in the reason of every element that has no solution; the first that applies wins."""
    cases = (
        (~(np.isfinite(x) & np.isfinite(time_value)), Reason.MISSING),
        (tau <= 0.0, Reason.EXPIRED),
        (time_value <= 0.0, Reason.BELOW_INTRINSIC),
        (time_value >= ceiling, Reason.ABOVE_MAXIMUM),
    )
    why = np.select(
        [case for case, _ in cases], [int(r) for _, r in cases], Reason.NOT_IDENTIFIABLE
    )
    reason[...] = np.where(solvable, 0, why)


_TABLE_LOW, _TABLE_HIGH, _TABLE_NODES = -760.0, 12.0, 16384
_TABLE_PER_UNIT = (_TABLE_NODES - 1) / (_TABLE_HIGH - _TABLE_LOW)


@cache
def _bachelier_table() -> tuple[FloatArray, FloatArray]:
    """
    Nodes and differences of log(normal volatility / time value) against the log of
    time value / distance to the strike, on an even grid.
    """
    y = np.exp(np.linspace(np.log(1e-7), np.log(60.0), 40_000))
    mills = np.sqrt(0.5 * np.pi) * erfcx(y * _INV_SQRT2)
    log_ratio = -0.5 * y * y + np.log((1.0 - y * mills) / (np.sqrt(2.0 * np.pi) * y))
    grid = np.linspace(_TABLE_LOW, _TABLE_HIGH, _TABLE_NODES)
    nodes = -np.interp(grid, log_ratio[::-1], np.log(y[::-1])) - grid
    return nodes, np.append(np.diff(nodes), 0.0)


def _guess(
    x: FloatArray, beta: FloatArray, log_beta: FloatArray, distance: FloatArray
) -> FloatArray:
    """Total volatility from Bachelier's formula, corrected to lognormal, to a percent or so."""
    nodes, differences = _bachelier_table()
    place = log_beta - np.log(distance)
    place -= _TABLE_LOW
    place *= _TABLE_PER_UNIT
    # Written so that NaN, too, ends inside the table.
    place = np.fmin(np.fmax(place, 0.0), _TABLE_NODES - 1.0)
    index: IntArray = place.astype(np.int64)
    place -= index
    place *= differences.take(index)
    place += nodes.take(index)
    np.exp(place, out=place)
    place *= beta
    # x / distance is 1 at the money, where both vanish and their quotient is rounding.
    place *= (x + 1e-8) / (distance + 1e-8)
    square = place * place
    place *= 1.0 + square * (
        (1.0 - np.minimum(x * x / 120.0, 0.5)) / 24.0 + square * (29.0 / 5760.0)
    )
    # No price that a double can hold lies more than forty standard deviations out of the money.
    np.maximum(place, x / 40.0, out=place)
    np.maximum(place, 1e-12, out=place)
    return np.minimum(place, _MAX_TOTAL_VOL, out=place)


def _first_step(
    x: FloatArray, total: FloatArray, log_beta: FloatArray, root_ratio: FloatArray
) -> FloatArray:
    """
    The low step in plain normal probabilities, half the cost of the scaled ones.

    ``root_ratio`` is exp(-x/2). Loses a few digits for tiny volatilities and underflows beyond 37
    standard deviations; ``_refine`` takes both.
    """
    a = x / total
    t = 0.5 * total
    price = ndtr(t - a)
    price *= root_ratio
    price -= ndtr(-t - a) / root_ratio
    slope = np.exp(-0.5 * (a * a + t * t))
    slope *= _INV_SQRT_2PI
    slope /= price
    np.log(price, out=price)
    price -= log_beta
    return _householder(a, t, total, price, slope)


def _low_step(x: FloatArray, total: FloatArray, log_beta: FloatArray) -> FloatArray:
    """One step on the log price, for prices in the lower half of their range."""
    a = x / total
    t = 0.5 * total
    width = erfcx((a - t) * _INV_SQRT2)
    width -= erfcx((a + t) * _INV_SQRT2)
    return _bounded_step(a, t, total, width, _SQRT_2_OVER_PI / width, log_beta)


def _high_step(x: FloatArray, total: FloatArray, log_room: FloatArray) -> FloatArray:
    """The same for the distance to the largest possible price, where the price itself saturates."""
    a = x / total
    t = 0.5 * total
    width = erfcx((t - a) * _INV_SQRT2)
    width += erfcx((t + a) * _INV_SQRT2)
    return _bounded_step(a, t, total, width, -_SQRT_2_OVER_PI / width, log_room)


def _narrow_step(x: FloatArray, total: FloatArray, log_beta: FloatArray) -> FloatArray:
    """The low step with the difference of the two error functions as a Taylor series in total/2."""
    a = x / total
    t = 0.5 * total
    mills = erfcx(a * _INV_SQRT2) / _SQRT_2_OVER_PI
    square = t * t
    y1 = 1.0 - a * mills
    y2 = mills - a * y1
    y3 = 2.0 * y1 - a * y2
    y4 = 3.0 * y2 - a * y3
    y5 = 4.0 * y3 - a * y4
    y6 = 5.0 * y4 - a * y5
    y7 = 6.0 * y5 - a * y6
    series = y1 + square * (y3 / 6.0 + square * (y5 / 120.0 + square * (y7 / 5040.0)))
    width = 2.0 * _SQRT_2_OVER_PI * t * series
    return _bounded_step(a, t, total, width, _SQRT_2_OVER_PI / width, log_beta)


def _bounded_step(
    a: FloatArray,
    t: FloatArray,
    total: FloatArray,
    width: FloatArray,
    slope: FloatArray,
    log_target: FloatArray,
) -> FloatArray:
    """``width`` is twice the price over exp(-(a^2 + t^2) / 2)."""
    miss = np.log(0.5 * width) - 0.5 * (a * a + t * t) - log_target
    # A guess far off may throw the step anywhere; a factor of three either way keeps it in reach.
    return np.clip(_householder(a, t, total, miss, slope), total / 3.0, 3.0 * total)


def _householder(
    a: FloatArray, t: FloatArray, total: FloatArray, miss: FloatArray, slope: FloatArray
) -> FloatArray:
    """
    Third-order step in the total volatility.

    ``miss`` is log(price) - log(target), ``slope`` the derivative of log(price); the higher
    derivatives follow from it and from a = x/total, t = total/2.
    """
    aa = a * a
    second = aa - t * t
    second /= total
    third = second * second
    third -= 3.0 * aa / (total * total) + 0.25
    third += slope * (2.0 * slope - 3.0 * second)
    second -= slope
    newton = miss / slope
    third *= newton
    third /= -6.0
    third += second
    third *= newton
    np.subtract(1.0, third, out=third)
    second *= newton
    second *= -0.5
    second += 1.0
    second *= newton
    second /= third
    return np.subtract(total, second, out=second)


def _refine(x: FloatArray, total: FloatArray, target: FloatArray, high: BoolArray) -> FloatArray:
    """Step until the last step was small; each element uses the form that suits its price."""
    result = total.copy()
    left = np.arange(total.size)
    for _ in range(_MAX_STEPS):
        narrow = ~high & (total < _NARROW)
        new = np.empty_like(total)
        for step, mask in (
            (_high_step, high),
            (_narrow_step, narrow),
            (_low_step, ~(high | narrow)),
        ):
            if np.any(mask):
                new[mask] = step(x[mask], total[mask], target[mask])
        result[left] = new
        more = np.abs(new - total) > _CONVERGED * total
        if not np.any(more):
            break
        left, high = left[more], high[more]
        x, total, target = x[more], new[more], target[more]
    return result
