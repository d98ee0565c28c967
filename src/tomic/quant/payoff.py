"""
Profit and loss of option structures as piecewise linear functions of the underlying's price.

A batch of structures has its legs on the last axis: shape (n, k), a leg that is not used has
quantity 0; one structure is (k,). `Segments` is the common currency: exact for legs of one expiry,
sampled by revaluation at the first one for several (`tomic.quant.later_expiries`). Everything else
(max profit and loss, breakevens, probabilities, expectations) reads segments.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import arguments

NOTHING = 1e-8
"""P&L, in currency, up to which a trade counts as having made nothing: it is only rounding."""

_BLOCK = 2048  # rows whose nodes and values stay in the first-level cache


class Segments(NamedTuple):
    """
    P&L of structures between nodes, linear from one node to the next.

    Attributes:
        node: (..., s) prices of the underlying, ascending, the first one 0; may repeat.
        value: (..., s) P&L at each node, currency per structure, today's money.
        slope: (...) P&L per unit of price above the last node.
    """

    node: FloatArray
    value: FloatArray
    slope: FloatArray


class PayoffProfile(NamedTuple):
    """
    What a payoff diagram shows.

    Attributes:
        max_profit: (...) currency per structure; inf where unbounded; negative if it cannot win.
        max_loss: (...) currency per structure, >= 0; inf where unbounded.
        breakevens: (..., s) prices where the profit region begins or ends, ascending, NaN-padded.
        value_at_zero: (...) P&L if the underlying goes to nothing.
        slope_up: (...) P&L per unit of price far above; 0 where the upper tail is flat.
    """

    max_profit: FloatArray
    max_loss: FloatArray
    breakevens: FloatArray
    value_at_zero: FloatArray
    slope_up: FloatArray


def value_at(
    price: Num, strike: Num, is_call: Num, quantity: Num, *, stock: Num = 0.0
) -> FloatArray:
    """
    What the legs are worth at their common expiry, before any premium.

    Args:
        price: (g,) prices of the underlying at expiry.
        strike, is_call, quantity: (..., k) legs; quantity signed, 0 for unused.
        stock: (...) shares held per share of multiplier (1 is one share a contract's share).

    Returns:
        (..., g) currency per share; NaN where a used leg has a NaN.
    """
    strike, is_call, quantity, lead = _legs(strike, is_call, quantity)
    price = np.asarray(price, dtype=np.float64)
    shares = np.broadcast_to(np.asarray(stock, dtype=np.float64), lead)
    total: FloatArray = shares[..., None] * price
    for leg in range(strike.shape[-1]):
        gap = price - strike[..., leg, None]
        side = np.where(is_call[..., leg, None], gap, -gap)
        total = total + quantity[..., leg, None] * np.maximum(side, 0.0)
    return total


def segments(
    strike: Num,
    is_call: Num,
    quantity: Num,
    *,
    credit: Num = 0.0,
    discount: Num = 1.0,
    stock: Num = 0.0,
    stock_cost: Num = 0.0,
    multiplier: Num = 1.0,
) -> Segments:
    """
    P&L at expiry of structures whose legs share one expiry: credit plus discounted payoff, exact.

    Args:
        strike, is_call, quantity: (..., k) legs; quantity signed, 0 for unused.
        credit: (...) option premium received less costs, currency per structure; < 0 is a debit.
        discount: Discount factor to the expiry; 1 gives the textbook diagram in expiry money.
        stock: (...) shares per share of multiplier, signed.
        stock_cost: (...) what a share costs net of dividends, currency per share: see `stock_cost`.
        multiplier: Shares per contract; 1 leaves everything per share.

    Returns:
        Segments with k + 1 nodes. Values are NaN where a used leg or a price is NaN.

    Raises:
        ValueError: Legs do not share a shape, or a used strike is negative.
    """
    strike, is_call, quantity, lead = _legs(strike, is_call, quantity)
    size, count = prod(lead), strike.shape[-1]
    shares = np.asarray(stock, dtype=np.float64)
    contract = np.asarray(multiplier, dtype=np.float64)
    outlay = np.asarray(stock_cost, dtype=np.float64) * shares * contract
    batch = _Batch(
        # Legs first: each leg of the whole batch is then one contiguous row.
        level=np.ascontiguousarray(strike.reshape(size, count).T),
        call=np.ascontiguousarray(is_call.reshape(size, count).T),
        amount=np.ascontiguousarray(quantity.reshape(size, count).T),
        shares=arguments.per_structure(shares, lead),
        scale=arguments.per_structure(np.asarray(discount, dtype=np.float64) * contract, lead),
        start=arguments.per_structure(np.asarray(credit, dtype=np.float64) - outlay, lead),
    )
    node = np.zeros((count + 1, size))
    value = np.empty((count + 1, size))
    slope = np.empty(size)
    for first in range(0, size, _BLOCK):
        rows = slice(first, first + _BLOCK)
        _fill(batch, rows, node[:, rows], value[:, rows], slope[rows])
    return Segments(
        _nodes_last(node.reshape(count + 1, *lead)),
        _nodes_last(value.reshape(count + 1, *lead)),
        slope.reshape(lead),
    )


def stock_cost(forward: Num, discount: Num) -> FloatArray:
    """
    Net cost of a share bought at the spot: its price less the present value of its dividends.

    That is discount x forward, because the forward holds exactly the dividends and the financing to
    the expiry. A share bought at another price costs that price less (spot - discount x forward).
    """
    return np.asarray(discount, dtype=np.float64) * np.asarray(forward, dtype=np.float64)


def profile(shape: Segments) -> PayoffProfile:
    """
    Max profit, max loss, breakevens and tails of structures.

    Extremes of a piecewise linear function are at its nodes, so no price is sampled.
    """
    max_profit, max_loss = extremes(shape)
    return PayoffProfile(
        max_profit=max_profit,
        max_loss=max_loss,
        breakevens=_breakevens(shape),
        value_at_zero=shape.value[..., 0],
        slope_up=shape.slope,
    )


def extremes(shape: Segments) -> tuple[FloatArray, FloatArray]:
    """Max profit and max loss alone, as in `PayoffProfile`; (...) each."""
    top, bottom = shape.value.max(axis=-1), shape.value.min(axis=-1)
    return (
        np.where(shape.slope > 0.0, np.inf, top),
        np.where(shape.slope < 0.0, np.inf, np.maximum(-bottom, 0.0)),
    )


def interpolate(shape: Segments, price: Num) -> FloatArray:
    """P&L at prices (g,) shared by all structures: (..., g), currency per structure."""
    price = np.asarray(price, dtype=np.float64)
    lead = shape.slope.shape
    count = shape.node.shape[-1]
    node = shape.node.reshape(-1, count)
    value = shape.value.reshape(-1, count)
    slope = shape.slope.reshape(-1)
    out = np.empty((slope.size, price.size))
    for row in range(slope.size):
        above = np.maximum(price - node[row, -1], 0.0)
        out[row] = np.interp(price, node[row], value[row]) + slope[row] * above
    return out.reshape(*lead, price.size)


def crossings(
    node: FloatArray, value: FloatArray, slope: FloatArray, level: FloatArray | None = None
) -> tuple[IntArray, FloatArray, BoolArray]:
    """
    Where P&L passes *level* (n,), None for the edge of profit; nodes first: (s, n), slope (n,).

    Returns:
        Flat index of (segment, structure) in an (s, n) array, the price of the crossing, and
        whether P&L rises there. The last segment runs from the last node upwards.
    """
    count, width = node.shape
    above = value > (NOTHING if level is None else level)
    rise = (slope > 0.0) | ((slope == 0.0) & above[-1])
    turn = np.empty((count, width), dtype=np.bool_)
    np.not_equal(above[1:], above[:-1], out=turn[:-1])
    np.not_equal(rise, above[-1], out=turn[-1])
    place = np.flatnonzero(turn)
    inner = place[: np.searchsorted(place, (count - 1) * width)]
    tail = place[inner.size :] - (count - 1) * width
    flat_node, flat_value = node.reshape(-1), value.reshape(-1)
    aim = np.zeros(width) if level is None else level
    left, right = flat_node[inner], flat_node[inner + width]
    gain, other = flat_value[inner], flat_value[inner + width]
    goal = aim[inner % width]
    share = np.clip((goal - gain) / (other - gain), 0.0, 1.0)
    price = np.empty(place.size)
    price[: inner.size] = left + share * (right - left)
    run = (aim[tail] - value[-1, tail]) / slope[tail]
    price[inner.size :] = node[-1, tail] + np.maximum(run, 0.0)
    upward = np.empty(place.size, dtype=np.bool_)
    upward[: inner.size] = other > gain
    upward[inner.size :] = slope[tail] > 0.0
    return place, price, upward


def nodes_first(shape: Segments) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Node (s, n), value (s, n) and slope (n,): the layout in which batches are computed."""
    return _nodes_first(shape.node), _nodes_first(shape.value), shape.slope.reshape(-1)


def _nodes_first(array: FloatArray) -> FloatArray:
    # Of one structure nodes and values need not have as many axes as each other.
    last = array.ndim - 1
    return np.ascontiguousarray(array.transpose((last, *range(last))).reshape(array.shape[-1], -1))


def _nodes_last(array: FloatArray) -> FloatArray:
    """(s, ...) as (..., s); for one structure a twentieth of the time of ``np.moveaxis``."""
    return array.transpose((*range(1, array.ndim), 0))


def _breakevens(shape: Segments) -> FloatArray:
    node, value, slope = nodes_first(shape)
    place, price, _ = crossings(node, value, slope)
    breakevens = np.full(node.size, np.nan)
    breakevens[place] = price
    # NaN sorts last, which is the padding we promise.
    return np.sort(breakevens.reshape(node.shape).T, axis=-1).reshape(shape.node.shape)


class _Batch(NamedTuple):
    """Legs first, (k, n); the rest (n,). The arguments of `segments` in the layout of the work."""

    level: FloatArray
    call: BoolArray
    amount: FloatArray
    shares: FloatArray
    scale: FloatArray
    start: FloatArray


def _fill(
    batch: _Batch, rows: slice, node: FloatArray, value: FloatArray, slope: FloatArray
) -> None:
    """Nodes, values and upper slopes of a block of structures, written in place."""
    level, amount = batch.level[:, rows], batch.amount[:, rows]
    _sorted_into(node[1:], level)
    # q max(K - x, 0) = q max(x - K, 0) + q (K - x): puts become calls plus one straight line.
    put = np.where(batch.call[:, rows], 0.0, amount)
    line = batch.shares[rows] - put.sum(axis=0)
    np.multiply(line, node, out=value)
    value += (put * level).sum(axis=0)
    gap = np.empty_like(node)
    for leg in range(level.shape[0]):
        np.subtract(node, level[leg], out=gap)
        np.maximum(gap, 0.0, out=gap)
        gap *= amount[leg]
        value += gap
    value *= batch.scale[rows]
    value += batch.start[rows]
    rise = line + amount.sum(axis=0)
    # Fractional quantities that cancel leave dust, and dust would make a loss unbounded.
    slope[...] = np.where(np.abs(rise) < 1e-12, 0.0, rise) * batch.scale[rows]


def _legs(
    strike: Num, is_call: Num, quantity: Num
) -> tuple[FloatArray, BoolArray, FloatArray, tuple[int, ...]]:
    """Legs as arrays of one shape; an unused leg gets strike 0 so that it adds nothing anywhere."""
    strike, is_call, quantity = arguments.legs(strike=strike, is_call=is_call, quantity=quantity)
    strike = np.where(quantity == 0.0, 0.0, strike)
    if np.any(strike < 0.0):
        raise ValueError(f"strike must be >= 0, got {strike.min():g}")
    return strike, is_call, quantity, strike.shape[:-1]


def _sorted_into(out: FloatArray, rows: FloatArray) -> None:
    """Sort k rows elementwise; a transposition network beats np.sort on axes this short."""
    out[...] = rows
    for turn in range(out.shape[0]):
        for low in range(turn % 2, out.shape[0] - 1, 2):
            smaller = np.minimum(out[low], out[low + 1])
            np.maximum(out[low], out[low + 1], out=out[low + 1])
            out[low] = smaller
