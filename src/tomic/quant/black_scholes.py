"""
European options with a continuous dividend yield: price and five Greeks, vectorised.

All kernels take ``spot, strike, tau, rate, div_yield, sigma, is_call`` in that order; the arguments
broadcast, and the result has the broadcast shape (a 0-d array for scalars). Prices are currency per
share, rates and volatility fractions per year, ``tau`` years (act/365).

Edges, the same in every function here:

- ``tau <= 0`` is expired: intrinsic value, delta of the payoff, every other Greek zero;
- ``sigma == 0`` is the deterministic limit: discounted intrinsic value of the forward;
- a NaN or infinite input gives NaN at that element;
- ``spot < 0``, ``strike <= 0`` or ``sigma < 0`` raises ``ValueError`` with the index.

Options on a future are those of Black (1976): its price as ``spot`` and the rate as ``div_yield``,
because it costs nothing to hold. Delta and gamma are then per 1.00 of the future. Rho moves the
rate alone; that of a future moves both, and is ``-0.01 * tau * price``.

Source: Merton (1973), "Theory of rational option pricing"; Black (1976), "The pricing of commodity
contracts".
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import FloatArray, Num
from tomic.quant import arguments
from tomic.quant.labelled import labelled

DAYS_PER_YEAR = 365.0
_INV_SQRT_2PI = 0.3989422804014327
_TINY = 1e-300


class Greeks(NamedTuple):
    """
    Price and sensitivities of one unit of the underlying, each with the broadcast shape.

    ``delta`` and ``gamma`` per 1.00 of spot, ``vega`` per 0.01 of volatility, ``theta`` per
    calendar day that passes, ``rho`` per 0.01 of the rate.
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray


@labelled
def price(
    spot: Num, strike: Num, tau: Num, rate: Num, div_yield: Num, sigma: Num, is_call: Num
) -> FloatArray:
    """
    Value of a European option with a continuous dividend yield.

    Args:
        spot, strike: Currency per share; strike positive, spot zero allowed.
        tau: Years to expiry (act/365). Zero or less gives the intrinsic value.
        rate, div_yield: Continuously compounded, fraction per year, any sign.
        sigma: Volatility, fraction per square-root year. Zero is allowed.
        is_call: True, 1, "C" or "call" for calls; False, 0, "P" or "put" for puts.

    Returns:
        Currency per share; NaN wherever an input is NaN or infinite.

    Raises:
        ValueError: An inequality above fails, or the shapes do not broadcast.

    Source: Merton (1973).
    """
    given = (spot, strike, tau, rate, div_yield, sigma, is_call)
    shape, flat = arguments.kernel_arguments(arguments.ARGUMENTS, given)
    size = prod(shape)
    out = np.empty(size)
    with np.errstate(all="ignore"):
        for piece, arrays in arguments.blocks(flat, size):
            out[piece] = _terms(arrays).value
    return out.reshape(shape)


@labelled
def greeks(
    spot: Num, strike: Num, tau: Num, rate: Num, div_yield: Num, sigma: Num, is_call: Num
) -> Greeks:
    """
    Price, delta, gamma, vega, theta and rho in one pass; arguments and errors as ``price``.

    Expired options have the delta of their payoff (a half exactly at the strike) and no other
    Greek. With zero volatility gamma is zero, theta and rho are those of the forward payoff, and
    vega is its limit from above: zero, except exactly at the forward.

    Source: the closed forms, for example Haug (2007), "The complete guide to option pricing
    formulas", chapter 2.
    """
    given = (spot, strike, tau, rate, div_yield, sigma, is_call)
    shape, flat = arguments.kernel_arguments(arguments.ARGUMENTS, given)
    size = prod(shape)
    out = np.empty((6, size))
    with np.errstate(all="ignore"):
        for piece, arrays in arguments.blocks(flat, size):
            _fill_greeks(out[:, piece], arrays)
    return Greeks(*out.reshape((6, *shape)))


def undiscounted(forward: Num, strike: Num, total_vol: Num, is_call: Num) -> FloatArray:
    """
    Black's formula without the discount factor.

    Args:
        forward, strike: Currency per share; strike positive, forward zero allowed.
        total_vol: sigma * sqrt(tau), dimensionless. Zero gives the intrinsic value.
        is_call: True, 1, "C" or "call" for calls; False, 0, "P" or "put" for puts.

    Returns:
        Expected payoff at expiry, currency per share; NaN wherever an input is NaN or infinite.

    Raises:
        ValueError: ``forward >= 0``, ``strike > 0`` or ``total_vol >= 0`` fails.

    Source: Black (1976).
    """
    names = ("forward", "strike", "total_vol", "is_call")
    shape, flat = arguments.kernel_arguments(names, (forward, strike, total_vol, is_call))
    zero, unit = np.zeros(()), np.ones(())
    size = prod(shape)
    out = np.empty(size)
    with np.errstate(all="ignore"):
        for piece, (fwd, strikes, vol, call) in arguments.blocks(flat, size):
            out[piece] = _terms((fwd, strikes, unit, zero, zero, vol, call)).value
    return out.reshape(shape)


class _Terms(NamedTuple):
    """What price and Greeks share; ``sign`` is +1 for calls and -1 for puts."""

    value: FloatArray
    sign: FloatArray
    carry: FloatArray
    root: FloatArray
    total_vol: FloatArray
    d1: FloatArray
    hit_spot: FloatArray
    owed: FloatArray
    """Present value of the strike where it is paid: times P(exercise), without the sign."""
    tau: FloatArray


def _terms(arrays: Sequence[arguments.AnyArray]) -> _Terms:
    spot, strike, tau, rate, div_yield, sigma, is_call = arrays
    tau = np.maximum(tau, 0.0)
    root = np.sqrt(tau)
    total_vol = sigma * root
    carry = np.exp(-div_yield * tau)
    pv_spot = spot * carry
    pv_strike = strike * np.exp(-rate * tau)
    # The floor turns "no volatility left" into d1 = +-inf, or 0 at the kink: both limits are right.
    d1 = np.log(pv_spot / pv_strike)
    d1 /= np.maximum(total_vol, _TINY)
    d1 += 0.5 * total_vol
    # In bytes: choosing between two floats takes three times as long.
    sign = (2 * is_call.astype(np.int8) - 1).astype(np.float64)
    hit_spot = ndtr(sign * d1)
    owed = d1 - total_vol
    owed *= sign
    owed = ndtr(owed)
    owed *= pv_strike
    value = pv_spot * hit_spot
    value -= owed
    value *= sign
    # Far out of the money the difference of two rounded terms may fall a hair below zero.
    value = np.maximum(value, 0.0)
    return _Terms(value, sign, carry, root, total_vol, d1, hit_spot, owed, tau)


def _fill_greeks(out: FloatArray, arrays: list[arguments.AnyArray]) -> None:
    spot, _, _, rate, div_yield, sigma, _ = arrays
    t = _terms(arrays)
    density = t.d1 * t.d1
    density *= -0.5
    density = np.exp(density)
    density *= _INV_SQRT_2PI * t.carry
    price_, delta, gamma, vega, theta, rho = out
    price_[...] = t.value
    slope = spot * density
    np.divide(density, np.maximum(spot * t.total_vol, _TINY), out=gamma)
    np.multiply(slope, 0.01 * t.root, out=vega)
    signed_strike = t.sign * t.owed
    np.multiply(signed_strike, 0.01 * t.tau, out=rho)
    signed_spot = t.sign * t.hit_spot
    np.multiply(signed_spot, t.carry, out=delta)
    # A day's share of every term; rates are mostly one number.
    signed_strike *= rate / DAYS_PER_YEAR
    np.multiply(delta, div_yield / DAYS_PER_YEAR * spot, out=theta)
    theta -= signed_strike
    slope *= sigma * (0.5 / DAYS_PER_YEAR)
    slope /= np.maximum(t.root, _TINY)
    theta -= slope
    _settle_edges(out, t)


def _settle_edges(out: FloatArray, t: _Terms) -> None:
    """What the closed forms leave open, where there is any of it: most blocks have none."""
    if not arguments.everywhere(t.total_vol > 0.0):
        out[2] = np.where(t.total_vol > 0.0, out[2], 0.0 * t.total_vol)
        # Only with no time left is there no theta: zero volatility has that of the payoff.
        out[4] = np.where(t.tau > 0.0, out[4], 0.0 * t.value)
    if not arguments.everywhere(np.isfinite(t.value)):
        out[1:] += 0.0 * t.value  # NaN where the price is NaN
