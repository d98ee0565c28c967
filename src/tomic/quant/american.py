"""
American options: early exercise, cash dividends, de-Americanised volatility.

Same seven arguments, units and edges as ``black_scholes``. A value is the European value plus the
early-exercise premium, and never less than immediate exercise pays. The first call for an expiry
(time, rate, yield, side) solves its exercise boundary, some milliseconds, and keeps it; after that
an option costs a microsecond. Negative and zero rates are defined; see ``american_premium`` for
which method applies when.

With the standard resolution prices agree with QuantLib's high-precision engine to 1e-6 of spot.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, Num
from tomic.quant import _blocks, american_lattice, american_premium, black_scholes
from tomic.quant.american_boundary import FINE, STANDARD, Resolution
from tomic.quant.american_implied import implied_vol, solve
from tomic.quant.black_scholes import DAYS_PER_YEAR, Greeks
from tomic.quant.implied import ImpliedVol, Reason


class Dividends(NamedTuple):
    """
    Known cash dividends of one underlying, in any order.

    ``tau``: years from now to each ex-date; ``amount``: currency per share, not negative.
    """

    tau: Num
    amount: Num


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


def present_value(tau: Num, rate: Num, dividends: Dividends) -> FloatArray:
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


def equivalent_yield(spot: Num, tau: Num, rate: Num, dividends: Dividends) -> FloatArray:
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


__all__ = [
    "FINE",
    "STANDARD",
    "Dividends",
    "Greeks",
    "Resolution",
    "equivalent_yield",
    "greeks",
    "implied_vol",
    "premium",
    "price",
    "price_discrete",
    "solve",
    "solve_discrete",
]

_ROUNDING = 4e-6
_NO_SPOT = 1e-100
_CORRECTIONS = 4


def price(
    spot: Num,
    strike: Num,
    tau: Num,
    rate: Num,
    div_yield: Num,
    sigma: Num,
    is_call: Num,
    *,
    resolution: Resolution = STANDARD,
) -> FloatArray:
    """
    Value of an American option with a continuous dividend yield, currency per share.

    Arguments, edges and errors as ``black_scholes.price``; ``FINE`` gives nine digits. Every
    distinct (tau, rate, div_yield, side) in the arguments costs one boundary.

    Source: Andersen, Lake and Offengenden (2016), "High performance American option pricing".
    """
    shape, (spots, strikes, taus, rates, yields, vols), calls = _blocks.market_arguments(
        spot, strike, tau, rate, div_yield, sigma, is_call
    )
    size = int(np.prod(shape))
    sigmas = np.broadcast_to(vols, size)
    options = american_premium.contracts(
        spots, strikes, taus, rates, yields, calls, size, resolution
    )
    value = options.premium(sigmas)
    value += black_scholes.price(spots, strikes, taus, rates, yields, vols, calls)
    now = np.where(calls, spots - strikes, strikes - spots)
    # An option due for exercise is worth its intrinsic value up to rounding; make that exact.
    close = np.flatnonzero(value - now < _ROUNDING * options.unit)
    if close.size:
        due = options.take(close).exercised(sigmas[close])
        value[close[due]] = -np.inf
    return np.maximum(value, now).reshape(shape)


def premium(
    spot: Num,
    strike: Num,
    tau: Num,
    rate: Num,
    div_yield: Num,
    sigma: Num,
    is_call: Num,
    *,
    resolution: Resolution = STANDARD,
) -> FloatArray:
    """What the right to exercise early adds to the European value, currency per share, >= 0."""
    arguments = (spot, strike, tau, rate, div_yield, sigma, is_call)
    american = price(*arguments, resolution=resolution)
    return np.asarray(american - black_scholes.price(*arguments), dtype=np.float64)


def greeks(
    spot: Num, strike: Num, tau: Num, rate: Num, div_yield: Num, sigma: Num, is_call: Num
) -> Greeks:
    """
    Price, delta, gamma, vega, theta and rho of American options, in the units of ``Greeks``.

    Where exercise is due now the price is the intrinsic value, delta that of the stock position and
    everything else zero; with two boundaries (negative rates) that is only as near as the lattice
    comes. Rho is a difference of premiums over a tiny step in the rate, which solves
    a second boundary per expiry; all others are analytic.
    """
    shape, floats, calls = _blocks.market_arguments(
        spot, strike, tau, rate, div_yield, sigma, is_call
    )
    spots, strikes, taus, rates, yields, vols = floats
    size = int(np.prod(shape))
    sigmas = np.broadcast_to(vols, size)
    group = american_premium.contracts(spots, strikes, taus, rates, yields, calls, size)
    extra = group.slopes(sigmas)
    call = np.broadcast_to(calls, size)
    spots_above = np.maximum(spots, _NO_SPOT)
    with np.errstate(all="ignore"):
        # x falls with spot for calls, whose unit is the spot itself.
        delta = np.where(call, extra.value - extra.by_x, extra.by_x * strikes / spots_above)
        gamma = (extra.by_xx - extra.by_x) * group.unit / spots_above**2
        value = extra.value * group.unit
        theta = rates * value - (rates - yields) * spots * delta - 0.5 * (vols * spots) ** 2 * gamma
    bump = group.rate_bumps()
    bump = bump[:1].reshape(()) if np.all(bump == bump[:1]) and size else bump
    bumped = american_premium.contracts(spots, strikes, taus, rates + bump, yields, calls, size)
    extra_rho = 0.01 * (bumped.premium(sigmas) - value) / np.maximum(bump, 1e-12)
    added = (
        value,
        delta,
        gamma,
        0.01 * extra.by_sigma * group.unit,
        theta / DAYS_PER_YEAR,
        extra_rho,
    )
    european = black_scholes.greeks(spots, strikes, taus, rates, yields, vols, calls)
    out = np.stack([base + more for base, more in zip(european, added, strict=True)])
    sign = np.where(call, 1.0, -1.0)
    now = np.where(call, spots - strikes, strikes - spots)
    due = group.exercised(sigmas)
    # A worthless share stays worthless: its put is exercised where waiting costs interest.
    due |= (spots <= 0.0) & ~call & (now > out[0])
    out[0] = np.maximum(out[0], now)
    out[:, due] = 0.0
    out[0, due], out[1, due] = now[due], sign[due]
    return Greeks(*out.reshape((6, *shape)))


def price_discrete(
    spot: Num, strike: Num, tau: Num, rate: Num, dividends: Dividends, sigma: Num, is_call: Num
) -> FloatArray:
    """
    Value of an American option on a stock that pays known cash dividends: the exact path.

    Escrowed model: what is lognormal with volatility ``sigma`` is the spot less the present value
    of the dividends up to expiry. On a lattice, a millisecond or two an option; good to about
    2e-5 of spot. ``equivalent_yield`` with ``price`` is the fast approximation, which may
    miss a tenth of a volatility point out of the money and more on calls in the money.

    Arguments and edges as ``price``; one rate for all, and no other yield.

    Raises:
        ValueError: As ``price``, for dividends with a negative amount, or if rate is an array.

    Source: Hull, "Options, futures and other derivatives", the chapter on binomial trees.
    """
    shape, (spots, strikes, taus, rates, _, vols), calls = _blocks.market_arguments(
        spot, strike, tau, rate, 0.0, sigma, is_call
    )
    if rates.size != 1:
        raise ValueError(f"rate must be one number, got shape {rates.shape}")
    size = int(np.prod(shape))
    full = [np.broadcast_to(array, size) for array in (spots, strikes, taus, vols)]
    sign = np.broadcast_to(np.where(calls, 1.0, -1.0), size)
    times, amounts = checked(dividends)
    risky = full[0] - present_value(full[2], float(rates), dividends)
    out = black_scholes.price(
        np.maximum(risky, 0.0), full[1], full[2], float(rates), 0.0, full[3], sign > 0.0
    )
    lively = np.flatnonzero((full[2] > 0.0) & (full[3] > 0.0) & (risky > 0.0) & ~np.isnan(out))
    for expiry in np.unique(full[2][lively]):
        i = lively[full[2][lively] == expiry]
        due = times <= expiry
        payments = list(zip(times[due].tolist(), amounts[due].tolist(), strict=True))
        out[i] = american_lattice.price(
            risky[i], full[1][i], float(expiry), float(rates), 0.0, full[3][i], sign[i], payments
        )
    return np.maximum(out, sign * (full[0] - full[1])).reshape(shape)


def solve_discrete(
    price: Num,
    spot: Num,
    strike: Num,
    tau: Num,
    rate: Num,
    dividends: Dividends,
    is_call: Num,
    *,
    exact: bool = False,
) -> ImpliedVol:
    """
    De-Americanised volatility of options on a stock that pays known cash dividends.

    By default the dividends become the equivalent yield of each expiry. With ``exact`` that answer
    is corrected until ``price_discrete`` gives the quote: a few lattices an option, for chains with
    an ex-date before expiry. Reasons as ``solve``; no volatility on the fast path means none here.

    Raises:
        ValueError: As ``solve`` and ``price_discrete``.
    """
    div_yield = equivalent_yield(spot, tau, rate, dividends)
    fast = solve(price, spot, strike, tau, rate, div_yield, is_call)
    if not exact:
        return fast
    quotes = np.asarray(price, dtype=np.float64)
    sigma, good = fast.sigma, fast.reason == Reason.OK
    for _ in range(_CORRECTIONS):
        known = np.where(good, sigma, 0.2)
        value = price_discrete(spot, strike, tau, rate, dividends, known, is_call)
        vega = 100.0 * greeks(spot, strike, tau, rate, div_yield, known, is_call).vega
        with np.errstate(all="ignore"):
            step = np.clip((value - quotes) / vega, -0.3 * known, 0.3 * known)
        sigma = np.where(good, known - step, np.nan)
    reason = np.where(good & ~np.isfinite(sigma), np.int8(Reason.NOT_IDENTIFIABLE), fast.reason)
    return ImpliedVol(sigma, reason)
