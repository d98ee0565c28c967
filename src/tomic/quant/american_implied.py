"""
De-Americanised volatility: the European volatility whose American price is the quote.

The premium is taken off the quote and the rest inverted as European; repeated with secant steps
this settles in four or five rounds. What does not settle, in the money near exercise, is
bracketed on the American price itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import _blocks, american_premium, black_scholes, implied
from tomic.quant.american_premium import Contracts
from tomic.quant.implied import ImpliedVol, Reason
from tomic.quant.rights import as_calls

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
    given = (price, spot, strike, tau, rate, div_yield)
    names = _blocks.QUOTE_ARGUMENTS
    floats = [_blocks.as_floats(value, name) for value, name in zip(given, names, strict=False)]
    calls = as_calls(is_call)
    shape = _blocks.common_shape(names, [*floats, calls])
    size = int(np.prod(shape))
    flat = [_blocks.flat(array, shape) for array in floats]
    with np.errstate(all="ignore"):
        quotes = _Quotes(flat, _blocks.flat(calls, shape), size)
        sigma, reason = quotes.solve()
    return ImpliedVol(sigma.reshape(shape), reason.reshape(shape))


class _Quotes:
    """Flat quotes, their bounds and their premiums."""

    def __init__(
        self,
        floats: list[FloatArray],
        calls: BoolArray,
        size: int,
        contracts: Contracts | None = None,
    ) -> None:
        self.floats, self.calls, self.size = floats, calls, size
        price, spot, strike, tau, rate, div_yield = floats
        self.market = (spot, strike, tau, rate, div_yield)
        self.contracts = contracts or american_premium.contracts(*self.market, calls, size)
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
        extra = self.contracts.slopes(sigma)
        value = european.price + extra.value * self.contracts.unit
        vega = 100.0 * european.vega + extra.by_sigma * self.contracts.unit
        return np.maximum(value, self.now), vega

    def _blurred(self, sigma: FloatArray) -> BoolArray:
        """Where the price is too flat in volatility for the answer to mean anything."""
        known = np.where(np.isfinite(sigma), sigma, 1.0)
        _, vega = self._value_and_vega(known)
        barely: BoolArray = self.target - self.now <= _EXERCISE_NOISE * self.market[0]
        return barely | self._flat(known, vega) | self.contracts.exercised(known)

    def _flat(self, sigma: FloatArray, vega: FloatArray) -> BoolArray:
        return np.asarray(_PRICE_NOISE * self.market[0] > _VOL_NOISE * sigma * vega)
