"""
American options: early exercise, cash dividends, de-Americanised volatility.

Same seven arguments, units and edges as ``black_scholes``. A value is the European value plus the
early-exercise premium, and never less than immediate exercise pays. The first call for an expiry
(time, rate, yield, side) solves its exercise boundary, some milliseconds, and keeps it; after that
an option costs a microsecond. Negative and zero rates are defined.

Options that share time, rate, yield and side share a boundary. Which method applies depends on the
signs, in put form (for a call, rate and yield change places):

- rate <= 0 and yield >= rate: waiting never costs anything, the premium is zero;
- rate >= 0 otherwise: one boundary, ``american_boundary``;
- yield < rate < 0: exercise pays between *two* boundaries (Battauz, De Donno and Sbuelz 2015);
  a trinomial lattice, slower and good to some 1e-5 of spot.

The lattice takes any exercise value, so cash dividends are priced on it as well. Each option has
its own even grid in log(spot); all options advance together, a step at a time. The last step is the
closed form, which removes the kink of the payoff, and two lattices are extrapolated.

A volatility is de-Americanised by taking the premium off the quote and inverting the rest as
European; repeated with secant steps this settles in four or five rounds. What does not settle, in
the money near exercise, is bracketed on the American price itself.

With the standard resolution prices agree with QuantLib's high-precision engine to 1e-6 of spot.

Sources: Kamrad and Ritchken (1991) for the branches of the lattice; Broadie and Detemple (1996) for
the closed form in its last step and the extrapolation; Hull for escrowed dividends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import american_boundary, arguments, black_scholes, implied
from tomic.quant.american_boundary import STANDARD, Resolution, Slopes
from tomic.quant.black_scholes import DAYS_PER_YEAR, Greeks
from tomic.quant.implied import ImpliedVol, Reason
from tomic.quant.labelled import labelled

_ROUNDING = 4e-6
_NO_SPOT = 1e-100
_CORRECTIONS = 4
_ROUNDS = 3
_SETTLED = 1e-5
"""The next secant step would be a hundred times smaller again."""
_NEAR = 1e-3
_BRACKET = (1e-4, 8.0)
_NEWTON_ROUNDS = 60
_NEWTON_SETTLED = 1e-9
_EXACT = 1e-14
_PRICE_NOISE = 1e-6
_VOL_NOISE = 2e-3
_EXERCISE_NOISE = 1e-5
_NEAR_EXERCISE = 1e-3
_BUMP = 1e-3
_NO_GAIN = 1e-11
"""Interest over the whole life, per unit of strike, that is not worth a boundary."""
_STEPS = 400
"""Steps of the finer lattice over the whole life; the coarser one has half of them."""
_WIDTH = 6.5
_OPTIONS_AT_ONCE = 32


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
    tau = np.atleast_1d(arguments.as_floats(dividends.tau, "dividend tau"))
    amount = np.atleast_1d(arguments.as_floats(dividends.amount, "dividend amount"))
    if tau.ndim != 1 or tau.shape != amount.shape:
        raise ValueError(
            f"dividend tau and amount must have one length, got {tau.shape} and {amount.shape}"
        )
    if np.any(np.isnan(tau)) or np.any(np.isnan(amount)):
        raise ValueError("dividend tau and amount must be finite")
    arguments.require(amount >= 0.0, "dividend amount", ">= 0", amount)
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
    until = arguments.as_floats(tau, "tau")
    rates = arguments.as_floats(rate, "rate")
    shape = arguments.common_shape(("tau", "rate"), (until, rates))
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
    spots = arguments.as_floats(spot, "spot")
    until = arguments.as_floats(tau, "tau")
    value = present_value(until, rate, dividends)
    arguments.common_shape(("spot", "tau"), (spots, value))
    with np.errstate(all="ignore"):
        left = 1.0 - value / spots
        rates = -np.log(np.where(left > 0.0, left, np.nan)) / np.maximum(until, 1e-300)
    return np.where(until > 0.0, rates, 0.0 * (spots + value))


@labelled
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

    Arguments, edges and errors as ``black_scholes.price``; ``american_boundary.FINE`` gives nine
    digits. Every distinct (tau, rate, div_yield, side) in the arguments costs one boundary.

    Source: Andersen, Lake and Offengenden (2016), "High performance American option pricing".
    """
    given = (spot, strike, tau, rate, div_yield, sigma, is_call)
    shape, flat = arguments.kernel_arguments(arguments.ARGUMENTS, given)
    spots, strikes, taus, rates, yields, vols, calls = flat
    size = int(np.prod(shape))
    sigmas = np.broadcast_to(vols, size)
    options = _grouped(spots, strikes, taus, rates, yields, calls, size, resolution)
    value = options.premium(sigmas)
    value += black_scholes.price(spots, strikes, taus, rates, yields, vols, calls)
    now = np.where(calls, spots - strikes, strikes - spots)
    # An option due for exercise is worth its intrinsic value up to rounding; make that exact.
    close = np.flatnonzero(value - now < _ROUNDING * options.unit)
    if close.size:
        due = options.take(close).exercised(sigmas[close])
        value[close[due]] = -np.inf
    return np.maximum(value, now).reshape(shape)


@labelled
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


@labelled
def greeks(
    spot: Num,
    strike: Num,
    tau: Num,
    rate: Num,
    div_yield: Num,
    sigma: Num,
    is_call: Num,
    *,
    with_rho: bool = True,
) -> Greeks:
    """
    Price, delta, gamma, vega, theta and rho of American options, in the units of ``Greeks``.

    Where exercise is due now the price is the intrinsic value, delta that of the stock position and
    everything else zero; with two boundaries (negative rates) that is only as near as the lattice
    comes. Rho is a difference of premiums over a tiny step in the rate, which solves
    a second boundary per expiry; all others are analytic. Without *with_rho* it is NaN, at half
    the cost of a new expiry.
    """
    given = (spot, strike, tau, rate, div_yield, sigma, is_call)
    shape, flat = arguments.kernel_arguments(arguments.ARGUMENTS, given)
    spots, strikes, taus, rates, yields, vols, calls = flat
    size = int(np.prod(shape))
    sigmas = np.broadcast_to(vols, size)
    group = _grouped(spots, strikes, taus, rates, yields, calls, size)
    extra = group.slopes(sigmas)
    call = np.broadcast_to(calls, size)
    spots_above = np.maximum(spots, _NO_SPOT)
    with np.errstate(all="ignore"):
        # x falls with spot for calls, whose unit is the spot itself.
        delta = np.where(call, extra.value - extra.by_x, extra.by_x * strikes / spots_above)
        gamma = (extra.by_xx - extra.by_x) * group.unit / spots_above**2
        value = extra.value * group.unit
        theta = rates * value - (rates - yields) * spots * delta - 0.5 * (vols * spots) ** 2 * gamma
    extra_rho = np.full(size, np.nan)
    if with_rho:
        bump = group.rate_bumps()
        bump = bump[:1].reshape(()) if np.all(bump == bump[:1]) and size else bump
        bumped = _grouped(spots, strikes, taus, rates + bump, yields, calls, size)
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
    if not with_rho:
        out[5] = np.nan
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
    given = (spot, strike, tau, rate, 0.0, sigma, is_call)
    shape, flat = arguments.kernel_arguments(arguments.ARGUMENTS, given)
    spots, strikes, taus, rates, _, vols, calls = flat
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
        out[i] = _lattice_value(
            risky[i], full[1][i], float(expiry), float(rates), 0.0, full[3][i], sign[i], payments
        )
    value: FloatArray = np.maximum(out, sign * (full[0] - full[1])).reshape(shape)
    return value


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
    Volatility at which the American price of each option is its quote, or why there is none.

    Best taken from out-of-the-money quotes. In the money near the exercise boundary the price
    hardly moves with volatility: where an error of a millionth of spot would move the answer by
    more than 0.2 %, or the quote is within 1e-5 of spot of immediate exercise, it is NaN with
    ``NOT_IDENTIFIABLE``: both are less than a tick on a liquid name.

    Arguments, shapes and errors as ``implied.solve``; the price bounds are the American ones, with
    immediate exercise as a floor.
    """
    given = (price, spot, strike, tau, rate, div_yield, is_call)
    names = arguments.QUOTE_ARGUMENTS
    arrays: list[arguments.AnyArray] = [
        arguments.as_floats(value, name) for value, name in zip(given[:-1], names, strict=False)
    ]
    arrays.append(arguments.as_calls(is_call))
    shape = arguments.common_shape(names, arrays)
    flat = [arguments.flat(array, shape) for array in arrays]
    with np.errstate(all="ignore"):
        sigma, reason = _Quotes(flat[:-1], flat[-1], int(np.prod(shape))).solve()
    return ImpliedVol(sigma.reshape(shape), reason.reshape(shape))


class _Quotes:
    """Flat quotes, their bounds and their premiums."""

    def __init__(
        self,
        floats: list[FloatArray],
        calls: BoolArray,
        size: int,
        contracts: _Contracts | None = None,
    ) -> None:
        self.floats, self.calls, self.size = floats, calls, size
        price, spot, strike, tau, rate, div_yield = floats
        self.market = (spot, strike, tau, rate, div_yield)
        self.contracts = contracts or _grouped(*self.market, calls, size)
        self.target = np.broadcast_to(price, size)
        now = np.where(calls, spot - strike, strike - spot)
        self.now = np.broadcast_to(np.maximum(now, 0.0), size)

    def take(self, where: IntArray) -> _Quotes:
        """The quotes at places *where*, (m,), as a problem of their own."""
        floats = [array[where] if array.ndim else array for array in self.floats]
        calls = self.calls[where] if self.calls.ndim else self.calls
        return _Quotes(floats, calls, where.size, self.contracts.take(where))

    def solve(self) -> tuple[FloatArray, NDArray[np.int8]]:
        """Annual volatility, NaN where there is none, and the `Reason`; (size,) each."""
        reason = self._bounds()
        sigma = np.full(self.size, np.nan)
        left = np.flatnonzero(reason == Reason.OK)
        part = self if left.size == self.size else self.take(left)
        sigma[left], settled = part._rounds()
        stubborn = left[~settled]
        if stubborn.size:
            sigma[stubborn] = self.take(stubborn)._newton()
        inside = left[self.now[left] > 0.0]
        if inside.size:
            blurred = self.take(inside)._blurred(sigma[inside])
            reason[inside[blurred]] = Reason.NOT_IDENTIFIABLE
        reason[(reason == Reason.OK) & ~np.isfinite(sigma)] = Reason.NOT_IDENTIFIABLE
        return np.where(reason == Reason.OK, sigma, np.nan), reason

    def _bounds(self) -> NDArray[np.int8]:
        spot, strike, tau, rate, div_yield = self.market
        pv_spot, pv_strike = spot * np.exp(-div_yield * tau), strike * np.exp(-rate * tau)
        european = np.where(self.calls, pv_spot - pv_strike, pv_strike - pv_spot)
        floor = np.maximum(self.now, european)
        ceiling = np.where(self.calls, np.maximum(spot, pv_spot), np.maximum(strike, pv_strike))
        missing = ~np.isfinite(self.target + pv_spot + pv_strike) | (spot <= 0.0) | (strike <= 0.0)
        slack = 1e-12 * spot * (floor > 0.0)
        cases = {
            Reason.MISSING: missing,
            Reason.EXPIRED: tau <= 0.0,
            Reason.BELOW_INTRINSIC: (self.target < floor - slack) | (self.target <= 0.0),
            Reason.ABOVE_MAXIMUM: self.target >= ceiling,
            Reason.NOT_IDENTIFIABLE: self.target <= floor + slack,
        }
        masks = [np.broadcast_to(mask, self.size) for mask in cases.values()]
        return np.select(masks, [int(reason) for reason in cases], 0).astype(np.int8)

    def _european_vol(self, premium: FloatArray | float) -> FloatArray:
        spot, strike, tau, rate, div_yield = self.market
        left = self.target - premium
        return implied.implied_vol(left, spot, strike, tau, rate, div_yield, self.calls)

    def _rounds(self) -> tuple[FloatArray, BoolArray]:
        """Premium off, invert, repeat; secant steps on the difference that is left."""
        old = self._european_vol(0.0)
        old_miss = self._european_vol(self.contracts.premium(old)) - old
        sigma = old + old_miss
        settled = np.abs(old_miss) <= _SETTLED * sigma
        part, rows = self, np.arange(self.size)
        for _ in range(_ROUNDS):
            left = np.flatnonzero(~settled[rows] & np.isfinite(sigma[rows]))
            if not left.size:
                break
            part, rows = part.take(left), rows[left]
            old, old_miss, now = old[left], old_miss[left], sigma[rows]
            miss = part._european_vol(part.contracts.premium(now)) - now
            step = -miss * (now - old) / (miss - old_miss)
            step = np.where(miss == old_miss, miss, step)
            # A short step alone may come from a wrong slope; the miss itself must be small too.
            settled[rows] = (np.abs(step) <= _SETTLED * now) & (np.abs(miss) <= _NEAR * now)
            sigma[rows] = np.where(now + step > 0.0, now + step, np.nan)
            old, old_miss = now, miss
        return sigma, settled

    def _newton(self) -> FloatArray:
        """
        Newton steps on the American price from above, halving when one leaves the bracket.

        The European volatility of the quote is an upper bound: the premium is not negative.
        """
        result = np.full(self.size, np.nan)
        part, rows = self, np.arange(self.size)
        sigma = self._european_vol(0.0)
        sigma = np.where(np.isfinite(sigma), sigma, _BRACKET[1])
        low, high = np.full(self.size, _BRACKET[0]), sigma * (1.0 + 1e-6)
        for _ in range(_NEWTON_ROUNDS):
            value, vega = part._value_and_vega(sigma)
            miss = value - part.target
            low, high = np.where(miss <= 0.0, sigma, low), np.where(miss > 0.0, sigma, high)
            new = sigma - miss / vega
            new = np.where((new > low) & (new < high), new, np.sqrt(low * high))
            # Vega shrinks towards the exercise boundary: what is blurred above the root is lost.
            close = value - part.now <= _NEAR_EXERCISE * part.market[0]
            hopeless = (miss > 0.0) & close & (part.now > 0.0) & part._flat(sigma, vega)
            exact = np.abs(miss) <= _EXACT * value
            done = exact | hopeless | (np.abs(new - sigma) <= _NEWTON_SETTLED * sigma)
            # A bracket that closed without a root never had one: the price is out of reach.
            reached = np.abs(miss) <= _PRICE_NOISE * part.market[0]
            answer = np.where(exact | hopeless, sigma, np.where(reached, new, np.nan))
            result[rows[done]] = answer[done]
            left = np.flatnonzero(~done)
            if not left.size:
                break
            part, rows = part.take(left), rows[left]
            sigma, low, high = new[left], low[left], high[left]
        return result

    def _value_and_vega(self, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
        spot, strike, tau, rate, div_yield = self.market
        european = black_scholes.greeks(spot, strike, tau, rate, div_yield, sigma, self.calls)
        extra, by_sigma = self.contracts.value_and_vega(sigma)
        value = european.price + extra * self.contracts.unit
        vega = 100.0 * european.vega + by_sigma * self.contracts.unit
        return np.maximum(value, self.now), vega

    def _blurred(self, sigma: FloatArray) -> BoolArray:
        """Where the price is too flat in volatility for the answer to mean anything."""
        known = np.where(np.isfinite(sigma), sigma, 1.0)
        _, vega = self._value_and_vega(known)
        barely: BoolArray = self.target - self.now <= _EXERCISE_NOISE * self.market[0]
        return barely | self._flat(known, vega) | self.contracts.exercised(known)

    def _flat(self, sigma: FloatArray, vega: FloatArray) -> BoolArray:
        return np.asarray(_PRICE_NOISE * self.market[0] > _VOL_NOISE * sigma * vega)


class _Method(Enum):
    NONE = "none"
    BOUNDARY = "boundary"
    LATTICE = "lattice"


_RATE_BUMPS = {_Method.NONE: 0.0, _Method.BOUNDARY: 2e-6, _Method.LATTICE: 5e-4}
"""As small as rounding allows on a boundary, as wide as the noise demands on a lattice."""


class _TermGroup(NamedTuple):
    """Options with one boundary; ``rate`` and ``div_yield`` in put form."""

    members: IntArray
    tau: float
    rate: float
    div_yield: float
    method: _Method


@dataclass(frozen=True, slots=True, eq=False)
class _Contracts:
    """
    Flat contracts in put form: log-moneyness ``x`` and the price of one ``unit`` of strike.

    ``x`` and ``unit`` are log(spot / strike) and strike for puts, log(strike / spot) and spot for
    calls. Elements with a NaN, without time or without a positive price belong to no group; their
    premium is zero, and the European value carries the NaN.
    """

    x: FloatArray
    unit: FloatArray
    groups: list[_TermGroup] = field(repr=False)
    resolution: Resolution = STANDARD

    def take(self, where: IntArray) -> _Contracts:
        """The elements at *where* (ascending), still in their groups."""
        place = np.full(self.x.size, -1)
        place[where] = np.arange(where.size)
        kept = [(group, place[group.members]) for group in self.groups]
        groups = [group._replace(members=at[at >= 0]) for group, at in kept if np.any(at >= 0)]
        return _Contracts(self.x[where], self.unit[where], groups, self.resolution)

    def premium(self, sigma: FloatArray) -> FloatArray:
        """Currency per share, never negative; NaN where sigma is NaN."""
        out = np.zeros(self.x.size)
        with np.errstate(all="ignore"):
            for group in self.groups:
                if group.method is not _Method.NONE:
                    i = group.members
                    out[i] = self.unit[i] * self._group_premium(group, self.x[i], sigma[i])
        return out

    def slopes(self, sigma: FloatArray) -> Slopes:
        """Premium per unit of strike with its derivatives, zero where nothing is to be gained."""
        out = np.zeros((4, self.x.size))
        with np.errstate(all="ignore"):
            for group in self.groups:
                i = group.members
                if group.method is _Method.BOUNDARY:
                    out[:, i] = self._boundary_slopes(group, self.x[i], sigma[i])
                elif group.method is _Method.LATTICE:
                    out[:, i] = self._bumped_slopes(group, self.x[i], sigma[i])
        return Slopes(*out)

    def rate_bumps(self) -> FloatArray:
        """How far to move the rate for a difference of premiums; zero where there is none."""
        out = np.zeros(self.x.size)
        for group in self.groups:
            out[group.members] = _RATE_BUMPS[group.method]
        return out

    def exercised(self, sigma: FloatArray) -> BoolArray:
        """Where holding on is worth nothing: spot at or beyond today's critical price."""
        out = np.zeros(self.x.size, dtype=np.bool_)
        with np.errstate(all="ignore"):
            for group in self.groups:
                if group.method is _Method.BOUNDARY:
                    i = group.members
                    out[i] = self._group_exercised(group, self.x[i], sigma[i])
        return out

    def _group_exercised(self, group: _TermGroup, x: FloatArray, sigma: FloatArray) -> BoolArray:
        def beyond(part: FloatArray, vol: FloatArray, band: int) -> FloatArray:
            return (part <= self._table(group, band).deepest(vol)).astype(np.float64)

        calm = (sigma < _smallest_sigma()) & (x < min(0.0, _log_ratio(group)))
        due: BoolArray = calm | (_by_band(beyond, x, sigma, rows=1)[0] > 0.0)
        return due

    def _table(self, group: _TermGroup, band: int) -> american_boundary.Boundary:
        return american_boundary.solve(
            group.tau, group.rate, group.div_yield, band, self.resolution
        )

    def _group_premium(self, group: _TermGroup, x: FloatArray, sigma: FloatArray) -> FloatArray:
        if group.method is _Method.LATTICE:
            return _lattice_premium(x, group.tau, group.rate, group.div_yield, sigma)

        def from_boundary(part: FloatArray, vol: FloatArray, band: int) -> FloatArray:
            return self._table(group, band).premium(part, vol)

        value: FloatArray = _by_band(from_boundary, x, sigma, rows=1)[0]
        calm = sigma < _smallest_sigma()
        if np.any(calm):
            value[calm] = _riskless_premium(group, x[calm])
        return value

    def _boundary_slopes(self, group: _TermGroup, x: FloatArray, sigma: FloatArray) -> FloatArray:
        def from_boundary(part: FloatArray, vol: FloatArray, band: int) -> FloatArray:
            return np.stack(self._table(group, band).slopes(part, vol))

        out = _by_band(from_boundary, x, sigma, rows=4)
        calm = sigma < _smallest_sigma()
        if np.any(calm):
            up, at, down = (
                _riskless_premium(group, x[calm] + shift) for shift in (_BUMP, 0.0, -_BUMP)
            )
            out[:, calm] = at, (up - down) / (2.0 * _BUMP), 0.0 * at, 0.0 * at
        return out

    def value_and_vega(self, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The first and the last of `slopes`, without the work of the others."""
        out = np.zeros((2, self.x.size))
        with np.errstate(all="ignore"):
            for group in self.groups:
                i = group.members
                if group.method is _Method.BOUNDARY:
                    out[:, i] = self._boundary_vega(group, self.x[i], sigma[i])
                elif group.method is _Method.LATTICE:
                    out[:, i] = self._bumped_slopes(group, self.x[i], sigma[i])[[0, 3]]
        return out[0], out[1]

    def _boundary_vega(self, group: _TermGroup, x: FloatArray, sigma: FloatArray) -> FloatArray:
        def from_boundary(part: FloatArray, vol: FloatArray, band: int) -> FloatArray:
            return np.stack(self._table(group, band).value_and_vega(part, vol))

        out = _by_band(from_boundary, x, sigma, rows=2)
        calm = sigma < _smallest_sigma()
        if np.any(calm):
            out[0, calm] = _riskless_premium(group, x[calm])
        return out

    def _bumped_slopes(self, group: _TermGroup, x: FloatArray, sigma: FloatArray) -> FloatArray:
        """Central differences, as wide as the lattice is coarse."""
        wide = np.maximum(0.1 * sigma * np.sqrt(group.tau), _BUMP)
        at, up, down, more, less = (
            self._group_premium(group, x + a * wide, sigma * (1.0 + b))
            for a, b in ((0, 0), (1, 0), (-1, 0), (0, 0.02), (0, -0.02))
        )
        return np.stack(
            [
                at,
                (up - down) / (2.0 * wide),
                (up - 2.0 * at + down) / (wide * wide),
                (more - less) / (0.04 * np.maximum(sigma, 1e-300)),
            ]
        )


def _grouped(
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    div_yield: FloatArray,
    is_call: BoolArray,
    size: int,
    resolution: Resolution = STANDARD,
) -> _Contracts:
    """Put *size* flat options, or scalars that stand for all, in put form and group them."""
    spots, strikes = np.broadcast_to(spot, size), np.broadcast_to(strike, size)
    unit = np.where(is_call, spots, strikes)
    with np.errstate(all="ignore"):
        x = np.log(np.where(is_call, strikes, spots) / unit)
    usable = np.isfinite(x) & np.isfinite(rate + div_yield) & (tau > 0.0)
    members = np.flatnonzero(usable)
    varying = [key for key in (tau, rate, div_yield, is_call) if key.ndim]
    if varying and members.size:
        picked = [key[members] for key in varying]
        order = np.lexsort(picked)
        members = members[order]
        differs = np.zeros(members.size - 1, dtype=np.bool_)
        for key in picked:
            differs |= np.diff(key[order]) != 0
        parts = np.split(members, np.flatnonzero(differs) + 1)
    else:
        parts = [members] if members.size else []
    groups = [_group(part, tau, rate, div_yield, is_call) for part in parts]
    return _Contracts(x=x, unit=unit, groups=groups, resolution=resolution)


def _group(
    members: IntArray, tau: FloatArray, rate: FloatArray, div_yield: FloatArray, is_call: BoolArray
) -> _TermGroup:
    first = members[0]
    time, own, other = (float(k[first] if k.ndim else k) for k in (tau, rate, div_yield))
    if bool(is_call[first] if is_call.ndim else is_call):
        own, other = other, own
    gain = max(own, 0.0) + max(-other, 0.0)
    if (own <= 0.0 and other >= own) or gain * time < _NO_GAIN:
        method = _Method.NONE
    elif own < 0.0:
        method = _Method.LATTICE
    else:
        method = _Method.BOUNDARY
    return _TermGroup(members, time, own, other, method)


def _smallest_sigma() -> float:
    """Below this the underlying moves less than a millionth part: treat it as riskless."""
    return american_boundary.band_edges(american_boundary.LOWEST_BAND)[0]


def _by_band(
    evaluate: Callable[[FloatArray, FloatArray, int], FloatArray],
    x: FloatArray,
    sigma: FloatArray,
    *,
    rows: int,
) -> FloatArray:
    """
    Call *evaluate* once per band of volatilities, with its number.

    NaN for NaN, zero below the lowest band.

    Volatilities above the highest band, 16,000 %, count as that.
    """
    lowest, highest = american_boundary.LOWEST_BAND, american_boundary.HIGHEST_BAND
    if sigma.size:
        least, most = american_boundary.band_of(np.array([sigma.min(), sigma.max()]))
        if least == most and lowest <= least <= highest:
            return np.reshape(evaluate(x, sigma, int(least)), (rows, x.size))
    out = np.zeros((rows, x.size)) + 0.0 * sigma
    sigma = np.minimum(sigma, american_boundary.band_edges(highest)[1])
    band = np.minimum(american_boundary.band_of(sigma), highest)
    for number in np.unique(band[np.isfinite(band)]):
        if number >= lowest:
            i = np.flatnonzero(band == number)
            out[:, i] = np.reshape(evaluate(x[i], sigma[i], int(number)), (rows, i.size))
    return out


def _log_ratio(group: _TermGroup) -> float:
    """Log of rate over yield, above which (in spot) waiting pays; infinite if it never does."""
    return float(np.log(group.rate / group.div_yield)) if group.div_yield > 0.0 else np.inf


def _riskless_premium(group: _TermGroup, x: FloatArray) -> FloatArray:
    """Without volatility: the best moment to exercise, less the value at expiry."""
    tau, rate, div_yield = group.tau, group.rate, group.div_yield

    def at(time: FloatArray | float) -> FloatArray:
        return np.asarray(np.exp(-rate * time) - np.exp(x - div_yield * time), dtype=np.float64)

    with np.errstate(all="ignore"):
        best = (np.log(np.divide(div_yield, rate)) + x) / np.subtract(div_yield, rate)
    between = at(np.where((best > 0.0) & (best < tau), best, 0.0))
    expiry = np.maximum(at(tau), 0.0)
    best_value: FloatArray = np.maximum.reduce([at(0.0), between, expiry])
    return best_value - expiry


class _Schedule(NamedTuple):
    """
    Steps backwards from expiry: ``length`` in years, and what spot is worth above its risky part.

    ``escrow`` is the value, at the start of the step, of the dividends still to come; ``last`` the
    same including one that is paid at that moment (a call holder exercises just before it).
    """

    length: FloatArray
    escrow: FloatArray
    last: FloatArray


def _lattice_premium(
    x: FloatArray, tau: float, rate: float, div_yield: float, sigma: FloatArray
) -> FloatArray:
    """Early-exercise premium of puts with strike 1, x = log(spot); NaN where sigma is NaN."""
    spot, unit = np.exp(x), np.ones_like(x)
    known = np.where(sigma > 0.0, sigma, 1e-3)
    value = _lattice_value(spot, unit, tau, rate, div_yield, known, -unit, ())
    european = black_scholes.price(spot, unit, tau, rate, div_yield, known, False)
    premium = np.maximum(value, 1.0 - spot) - european
    return np.where(np.isnan(sigma), np.nan, np.maximum(premium, 0.0))


def _lattice_value(
    spot: FloatArray,
    strike: FloatArray,
    tau: float,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    sign: FloatArray,
    payments: Sequence[tuple[float, float]],
) -> FloatArray:
    """
    Value of American options of one expiry on a stock with escrowed cash dividends.

    Args:
        spot: Currency per share, less the present value of the payments.
        strike, sigma, sign: Per option; sign +1 for calls, -1 for puts.
        tau, rate, div_yield: Of the expiry.
        payments: Time in years and amount of each dividend before or at expiry, in order.
    """
    out = np.empty(spot.size)
    schedules = [_schedule(tau, rate, payments, steps) for steps in (_STEPS // 2, _STEPS)]
    for start in range(0, spot.size, _OPTIONS_AT_ONCE):
        i = slice(start, start + _OPTIONS_AT_ONCE)
        coarse, fine = (
            _roll_back(spot[i], strike[i], rate, div_yield, sigma[i], sign[i], schedule)
            for schedule in schedules
        )
        out[i] = 2.0 * fine - coarse
    return out


def _schedule(
    tau: float, rate: float, payments: Sequence[tuple[float, float]], steps: int
) -> _Schedule:
    """Even steps between the ex-dates, so that every ex-date is the start of a step."""
    marks = sorted({0.0, tau, *(time for time, _ in payments if 0.0 < time < tau)}, reverse=True)
    length: list[float] = []
    starts: list[float] = []
    for late, soon in pairwise(marks):
        count = max(2, round(steps * (late - soon) / tau))
        length += [(late - soon) / count] * count
        starts += [late - (late - soon) * (k + 1) / count for k in range(count - 1)] + [soon]
    times = np.array(starts)

    def worth(strictly: bool) -> FloatArray:
        total = np.zeros(times.size)
        for time, amount in payments:
            ahead = time > times if strictly else time >= times
            total += np.where(ahead, amount * np.exp(-rate * (time - times)), 0.0)
        return total

    return _Schedule(np.array(length), worth(True), worth(False))


def _roll_back(
    spot: FloatArray,
    strike: FloatArray,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    sign: FloatArray,
    schedule: _Schedule,
) -> FloatArray:
    length = schedule.length
    drift = rate - div_yield - 0.5 * sigma * sigma
    spacing = sigma * np.sqrt(3.0 * length.max())
    # A strong drift needs a wider grid spacing to keep all three probabilities positive.
    spacing = np.maximum(spacing, 1.01 * np.abs(drift) * length.max())
    reach = _WIDTH * sigma * np.sqrt(length.sum()) + np.abs(drift) * length.sum()
    half = int(np.ceil(np.max(reach / spacing))) + 1
    grid = spot[:, None] * np.exp(spacing[:, None] * np.arange(-half, half + 1))
    payoff = sign[:, None] * (grid - strike[:, None])
    value = black_scholes.price(
        grid, strike[:, None], length[0], rate, div_yield, sigma[:, None], sign[:, None] > 0.0
    )
    for step, (dt, escrow, last) in enumerate(zip(*schedule, strict=True)):
        if step:
            value = _step_back(value, dt, rate, drift, sigma, spacing)
        best = sign * np.where(sign > 0.0, last, escrow)
        np.maximum(value, payoff + best[:, None], out=value)
    return np.asarray(value[:, half], dtype=np.float64)


def _step_back(
    value: FloatArray,
    dt: float,
    rate: float,
    drift: FloatArray,
    sigma: FloatArray,
    spacing: FloatArray,
) -> FloatArray:
    shift = drift * dt / spacing
    spread = sigma * sigma * dt / (spacing * spacing) + shift * shift
    discount = np.exp(-rate * dt)
    up = (0.5 * discount * (spread + shift))[:, None]
    down = (0.5 * discount * (spread - shift))[:, None]
    stay = (discount * (1.0 - spread))[:, None]
    new: FloatArray = stay * value
    new[:, 1:-1] += up * value[:, 2:] + down * value[:, :-2]
    new[:, 0] = 2.0 * new[:, 1] - new[:, 2]
    new[:, -1] = 2.0 * new[:, -2] - new[:, -3]
    return new
