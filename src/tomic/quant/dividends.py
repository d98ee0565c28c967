"""Cash dividends: their present value, and the continuous yield that stands in for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tomic._typing import ArrayLike, FloatArray
from tomic.quant import _blocks


class Dividends(NamedTuple):
    """
    Known cash dividends of one underlying, in any order.

    ``tau``: years from now to each ex-date; ``amount``: currency per share, not negative.
    """

    tau: ArrayLike
    amount: ArrayLike


def checked(dividends: Dividends) -> tuple[FloatArray, FloatArray]:
    """
    Times and amounts as vectors, in order of time, without those that are past.

    Raises:
        ValueError: Lengths differ, or an amount is negative or not a number.
    """
    tau = np.atleast_1d(_blocks.as_floats(dividends.tau, "dividend tau"))
    amount = np.atleast_1d(_blocks.as_floats(dividends.amount, "dividend amount"))
    if tau.ndim != 1 or tau.shape != amount.shape:
        raise ValueError(
            f"dividend tau and amount must have one length, got {tau.shape} and {amount.shape}"
        )
    if np.any(np.isnan(tau)) or np.any(np.isnan(amount)):
        raise ValueError("dividend tau and amount must be finite")
    _blocks.require(amount >= 0.0, "dividend amount", ">= 0", amount)
    order = np.argsort(tau, kind="stable")
    coming = order[tau[order] > 0.0]
    return tau[coming], amount[coming]


def present_value(tau: ArrayLike, rate: ArrayLike, dividends: Dividends) -> FloatArray:
    """
    Value today of the dividends with an ex-date in (0, tau], currency per share.

    Args:
        tau: Years to the expiry that ends the count, any shape.
        rate: Continuously compounded, fraction per year.
    """
    times, amounts = checked(dividends)
    until = _blocks.as_floats(tau, "tau")
    rates = _blocks.as_floats(rate, "rate")
    shape = _blocks.common_shape(("tau", "rate"), (until, rates))
    total = np.zeros(shape) + 0.0 * (until + rates)
    for time, amount in zip(times, amounts, strict=True):
        total += np.where(until >= time, amount * np.exp(-rates * time), 0.0)
    return total


def equivalent_yield(
    spot: ArrayLike, tau: ArrayLike, rate: ArrayLike, dividends: Dividends
) -> FloatArray:
    """
    The continuous yield that gives each expiry the forward its cash dividends give.

    European values are then those of the escrowed-dividend model; early exercise is only
    approximated, see ``american.price_discrete``.

    Args:
        spot: Currency per share.
        tau: Years to expiry; the yield of an expired option is zero.
        rate: Continuously compounded, fraction per year.
        dividends: The ex-dates and amounts; those after the expiry do not count.

    Returns:
        Fraction per year with the broadcast shape; NaN where the dividends are worth the spot.
    """
    spots = _blocks.as_floats(spot, "spot")
    until = _blocks.as_floats(tau, "tau")
    value = present_value(until, rate, dividends)
    _blocks.common_shape(("spot", "tau"), (spots, value))
    with np.errstate(all="ignore"):
        left = 1.0 - value / spots
        rates = -np.log(np.where(left > 0.0, left, np.nan)) / np.maximum(until, 1e-300)
    return np.where(until > 0.0, rates, 0.0 * (spots + value))
