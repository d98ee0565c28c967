"""
Payoff of structures with several expiries: the later legs revalued at the first expiry.

When the first leg expires the others still have time value. It is read off today's smile of the
later expiry at unchanged moneyness (sticky moneyness): an option struck at K is then worth Black's
value at the volatility that the smile shows today at the same ln(K / forward).

On its own that is not an arbitrage-free model: the mean of the revaluation differs from today's
price, by a fifth of a calendar's debit on an index, and that would pass for expected profit. Given
the market's density, time values are therefore scaled, strike by strike, so that their mean is
today's price.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import arguments, black_scholes
from tomic.quant.density import Density, VolatilityCurve, joined
from tomic.quant.payoff import Segments

_NODES = 8193
_SCALES = 65
_CELLS = 300
_SCALE_REACH = 5.0  # at-the-money standard deviations of the later expiry
_MOST_SCALE = 3.0
_TINY = 1e-300
_BLOCK = 64  # structures whose grids stay in the second-level cache


class DiscountedSmile(VolatilityCurve, Protocol):
    """What a later expiry needs of a fitted smile."""

    @property
    def discount(self) -> float:
        """Discount factor to expiry."""


@dataclass(frozen=True, slots=True, eq=False)
class LaterExpiry:
    """
    Value of options that outlive the first expiry, as a function of the price on that day.

    Attributes:
        tau: Years left at the first expiry.
        growth: Forward to this expiry per unit of the price at the first one.
        discount: Discount factor over the years left.
        american: Value is never below what exercise pays on that day. This keeps the textbook
            property that a calendar cannot lose more than its debit; for cash-settled European
            options the true floor is a little lower.
        reach: Time value is zero where |ln(K / forward)| exceeds it.
        time_value: (m,) Black's out-of-the-money value per unit of forward, evenly spaced in
            ln(K / forward) over ±reach.
        scale: (s,) factors on the time value, evenly spaced in the logarithm of strike over today's
            forward to this expiry, over ±scale_reach; the ends hold beyond. All 1 unless the
            market's density was given.
        forward: Today's forward to this expiry, by which strikes find their factor.
    """

    tau: float
    growth: float
    discount: float
    american: bool
    reach: float
    time_value: FloatArray
    scale_reach: float = 1.0
    scale: FloatArray = field(default_factory=lambda: np.ones(2))
    forward: float = 1.0

    def value(self, price: Num, strike: Num, is_call: Num) -> FloatArray:
        """Value at the first expiry, currency per share; arguments broadcast."""
        price = np.asarray(price, dtype=np.float64)
        strike = np.asarray(strike, dtype=np.float64)
        forward = np.maximum(price * self.growth, _TINY)
        sign = np.where(arguments.as_calls(is_call), 1.0, -1.0)
        level = np.maximum(strike, _TINY)
        extra = forward * _interpolated(self.time_value, self.reach, np.log(level / forward))
        extra = extra * _interpolated(self.scale, self.scale_reach, np.log(level / self.forward))
        worth = self.discount * (np.maximum(sign * (forward - strike), 0.0) + extra)
        floor = np.maximum(sign * (price - strike), 0.0) if self.american else 0.0
        return np.asarray(np.maximum(worth, floor), dtype=np.float64)


def _interpolated(table: FloatArray, reach: float, place: FloatArray) -> FloatArray:
    """Values of a table that is evenly spaced over ±reach; its ends hold beyond."""
    place = (place + reach) * ((table.size - 1) / (2.0 * reach))
    place = np.clip(place, 0.0, float(table.size - 1))
    with np.errstate(invalid="ignore"):
        cell = np.minimum(place.astype(np.int64), table.size - 2)
    left = table.take(cell, mode="clip")
    value: FloatArray = left + (place - cell) * (table.take(cell + 1, mode="clip") - left)
    return value


def from_smiles(
    first: DiscountedSmile,
    later: DiscountedSmile,
    *,
    american: bool = True,
    market: Density | None = None,
) -> LaterExpiry:
    """
    A later expiry from today's two smiles: forwards and discounts give carry between the expiries.

    With *market*, the market's density at the first expiry, time values are scaled by strike so
    that the mean value under it is what the later smile says today (before the floor of American
    options): an expected value is then never made by the revaluation itself.

    Raises:
        ValueError: The later smile does not expire after the first.
    """

    def volatility(log_moneyness: FloatArray) -> FloatArray:
        return np.asarray(later.iv(later.forward * np.exp(log_moneyness)), dtype=np.float64)

    expiry = _tabulated(
        later.tau - first.tau,
        later.forward / first.forward,
        later.discount / first.discount,
        volatility,
        american=american,
    )
    return expiry if market is None else _scaled(expiry, later, market)


def _scaled(later: LaterExpiry, smile: DiscountedSmile, market: Density) -> LaterExpiry:
    """Time values scaled so that under *market* every strike has the mean that it costs today."""
    at_money = float(np.asarray(smile.iv(smile.forward))) * float(np.sqrt(smile.tau))
    reach = _SCALE_REACH * at_money
    strike = smile.forward * np.exp(np.linspace(-reach, reach, _SCALES))
    total_vol = np.asarray(smile.iv(strike)) * np.sqrt(smile.tau)
    today = black_scholes.undiscounted(smile.forward, strike, total_vol, True)
    kept = later.growth * market.call_value(strike / later.growth)
    price, mass = joined(*market.cells(), _CELLS)
    plain = replace(later, american=False, discount=1.0)
    calls = plain.value(price, strike[:, None], True)
    extra = (calls - np.maximum(later.growth * price - strike[:, None], 0.0)) @ mass
    # Far out both are negligible, and their ratio means nothing.
    solid = extra > 1e-7 * smile.forward
    ratio = np.where(solid, (today - kept) / np.where(solid, extra, 1.0), np.nan)
    known = np.flatnonzero(solid)
    if known.size == 0:
        return later
    ratio = np.interp(np.arange(strike.size), known, ratio[known])
    scale = np.clip(ratio, 0.0, _MOST_SCALE)
    scale.setflags(write=False)
    return replace(later, scale=scale, scale_reach=reach, forward=smile.forward)


def flat(
    tau: float, rate: float, div_yield: float, sigma: float, *, american: bool = True
) -> LaterExpiry:
    """
    A later expiry *tau* years after the first, with one volatility for every strike.

    Raises:
        ValueError: tau or sigma is not positive and finite.
    """
    if not 0.0 < sigma < np.inf:
        raise ValueError(f"sigma must be > 0 and finite, got {sigma:g}")
    growth, discount = float(np.exp((rate - div_yield) * tau)), float(np.exp(-rate * tau))
    return _tabulated(tau, growth, discount, lambda k: np.full_like(k, sigma), american=american)


def grid(density: Density) -> FloatArray:
    """
    Prices at which to revalue: zero, every 0.025 standard deviations to ±4, coarser to ±10.

    The strikes of a structure's own first expiry are added per structure, so kinks stay exact.
    """
    near = np.linspace(-4.0, 4.0, 321)
    far = np.arange(4.5, 10.5, 0.5)
    score = np.concatenate((-far[::-1], near, far))
    price = np.exp(density.mean_log + density.std_log * score)
    return np.concatenate(([0.0], price))


def value_at_first_expiry(
    price: Num,
    strike: Num,
    is_call: Num,
    quantity: Num,
    expiry: Num,
    later: Sequence[LaterExpiry],
    *,
    stock: Num = 0.0,
) -> FloatArray:
    """
    What all legs are worth when the first of them expires, before any premium.

    Args:
        price: (g,) prices of the underlying that day.
        strike, is_call, quantity: (..., k) legs; quantity signed, 0 for unused.
        expiry: (..., k) 0 for legs that expire that day, j for those of ``later[j - 1]``.
        later: The later expiries.
        stock: (...) shares per share of multiplier.

    Returns:
        (..., g) currency per share.

    Raises:
        ValueError: Shapes differ, or an expiry index is outside 0..len(later).
    """
    legs, lead = _legs(strike, is_call, quantity, expiry, len(later))
    price = np.asarray(price, dtype=np.float64)
    worth = _worth(np.broadcast_to(price, (legs.strike.shape[0], price.size)), legs, later)
    shares = np.broadcast_to(np.asarray(stock, dtype=np.float64), lead)
    total: FloatArray = worth.reshape(*lead, price.size) + shares[..., None] * price
    return total


def segments(
    strike: Num,
    is_call: Num,
    quantity: Num,
    expiry: Num,
    later: Sequence[LaterExpiry],
    *,
    grid: FloatArray,
    credit: Num = 0.0,
    discount: Num = 1.0,
    stock: Num = 0.0,
    stock_cost: Num = 0.0,
    multiplier: Num = 1.0,
) -> Segments:
    """
    P&L at the first expiry of structures that have later legs, on *grid* and their own strikes.

    Arguments are those of `tomic.quant.payoff.segments` and `value_at_first_expiry`; *grid* comes
    from `grid`. Above the grid P&L runs on with the slope of all calls and shares, as if every
    leg expired: a long calendar is bounded there, a short one is not called unbounded for a carry
    of pennies.

    Raises:
        ValueError: Shapes differ, an expiry index is out of range, or the grid does not ascend.
    """
    legs, lead = _legs(strike, is_call, quantity, expiry, len(later))
    if grid.ndim != 1 or grid.size < 2 or not np.all(np.diff(grid) > 0.0):
        raise ValueError("grid must be one-dimensional and strictly ascending")
    size = legs.strike.shape[0]
    shares = arguments.per_structure(stock, lead)
    contract = np.asarray(multiplier, dtype=np.float64)
    scale = arguments.per_structure(np.asarray(discount, dtype=np.float64) * contract, lead)
    share_cost = arguments.per_structure(np.asarray(stock_cost) * contract, lead)
    start = arguments.per_structure(credit, lead) - share_cost * shares
    # A strike of a later leg is not a kink on that day; it repeats the first grid point instead.
    kink = np.where((legs.slot == 0) & (legs.quantity != 0.0), legs.strike, grid[0])
    node = np.sort(np.concatenate((np.broadcast_to(grid, (size, grid.size)), kink), axis=1))
    value = np.empty_like(node)
    for first in range(0, size, _BLOCK):
        rows = slice(first, first + _BLOCK)
        worth = _worth(node[rows], legs.block(rows), later)
        worth += shares[rows, None] * node[rows]
        value[rows] = start[rows, None] + scale[rows, None] * worth
    upward = scale * (np.where(legs.is_call, legs.quantity, 0.0).sum(axis=1) + shares)
    shape = (*lead, node.shape[1])
    return Segments(node.reshape(shape), value.reshape(shape), upward.reshape(lead))


class _Legs(NamedTuple):
    """Legs of a batch, each (n, k); an unused leg has strike 0 and belongs to the first expiry."""

    strike: FloatArray
    is_call: BoolArray
    quantity: FloatArray
    slot: IntArray

    def block(self, rows: slice) -> _Legs:
        """The legs of structures *rows*."""
        return _Legs(self.strike[rows], self.is_call[rows], self.quantity[rows], self.slot[rows])


def _worth(price: FloatArray, legs: _Legs, later: Sequence[LaterExpiry]) -> FloatArray:
    """Value of the legs, (n, g), at prices (n, g)."""
    total = np.zeros(price.shape)
    for leg in range(legs.strike.shape[1]):
        used, slot = legs.quantity[:, leg] != 0.0, legs.slot[:, leg]
        for index in np.unique(slot[used]):
            rows = np.flatnonzero(used & (slot == index))
            level, call = legs.strike[rows, leg, None], legs.is_call[rows, leg, None]
            at = price if rows.size == price.shape[0] else price[rows]
            if index == 0:
                unit = np.maximum(np.where(call, at - level, level - at), 0.0)
            else:
                unit = later[int(index) - 1].value(at, level, call)
            total[rows] += legs.quantity[rows, leg, None] * unit
    return total


def _tabulated(
    tau: float,
    growth: float,
    discount: float,
    volatility: Callable[[FloatArray], FloatArray],
    *,
    american: bool,
) -> LaterExpiry:
    if not 0.0 < tau < np.inf:
        raise ValueError(f"a later expiry must come after the first, got tau {tau:g} between them")
    at_money = float(volatility(np.zeros(1))[0]) * np.sqrt(tau)
    reach = float(np.clip(12.0 * at_money, 0.1, 4.0))
    log_moneyness = np.linspace(-reach, reach, _NODES)
    total_vol = volatility(log_moneyness) * np.sqrt(tau)
    time_value = black_scholes.undiscounted(
        1.0, np.exp(log_moneyness), total_vol, log_moneyness > 0.0
    )
    time_value.setflags(write=False)
    return LaterExpiry(tau, growth, discount, american, reach, time_value)


def _legs(
    strike: Num, is_call: Num, quantity: Num, expiry: Num, later: int
) -> tuple[_Legs, tuple[int, ...]]:
    """Legs of one shape as (n, k), and the leading shape that n replaces."""
    slot = np.asarray(expiry, dtype=np.int64)
    level, call, amount, slot = arguments.legs(
        strike=strike, is_call=is_call, quantity=quantity, expiry=slot
    )
    shape = level.shape
    unused = amount == 0.0
    slot = np.where(unused, 0, slot.astype(np.int64))
    if np.any((slot < 0) | (slot > later)):
        raise ValueError(f"expiry must be in 0..{later}, got {slot.min()}..{slot.max()}")
    level = np.where(unused, 0.0, level)
    if np.any(level < 0.0):
        raise ValueError(f"strike must be >= 0, got {level.min():g}")
    lead = shape[:-1]
    flat_shape = (int(np.prod(lead, dtype=np.int64)), shape[-1])
    return _Legs(
        level.reshape(flat_shape),
        call.reshape(flat_shape),
        amount.reshape(flat_shape),
        slot.reshape(flat_shape),
    ), lead
