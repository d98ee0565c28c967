"""
Full revaluation of a book over spot x volatility x days.

Every cell is priced, none is a Taylor expansion: European values in closed form, the early-exercise
premium of American options from `tomic.quant.exercise_table`. Blocks of a few positions keep the
work in cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import exercise_table
from tomic.quant.arguments import as_calls, as_flags

_BLOCK = 4
_DAYS = 365.0
_EXPIRED = 1e-12  # years; an option this close to its end is worth its payoff to 1e-6 of spot
_LEAST_PRICE = 1e-6  # of the spot now; a crash of more than all of it stops there
_LEAST_SPREAD = 1e-9  # sigma x sqrt(time) that is told from nothing


def stress_grid(
    spot: Num,
    strike: Num,
    tau: Num,
    rate: Num,
    div_yield: Num,
    sigma: Num,
    is_call: Num,
    *,
    quantity: Num,
    multiplier: Num = 100.0,
    is_american: Num = True,
    is_stock: Num = False,
    beta: Num = 1.0,
    group: Num | None = None,
    spot_moves: Num,
    vol_moves: Num,
    days: Num,
) -> FloatArray:
    """
    P&L of positions if spot, volatility and time moved, against their value now.

    Args:
        spot, strike, tau, rate, div_yield, sigma, is_call: (p,) or broadcast to it, house units.
        quantity: Signed contracts, or shares where *is_stock*.
        multiplier: Shares per contract; 1 for shares.
        is_american: Whether the option may be exercised early.
        is_stock: Shares: linear in the spot, the option arguments are ignored.
        beta: Each position's spot moves by beta x move, for stresses in terms of an index.
        group: (p,) index of the group a position belongs to, from 0; None puts all in one.
        spot_moves: (a,) relative moves of the spot, -0.2 for -20 %.
        vol_moves: (b,) relative moves of the volatility, 1.0 doubles it.
        days: (c,) calendar days to pass; beyond its expiry an option is worth its payoff at the
            spot of the cell.

    Returns:
        (groups, a, b, c) currency. The cell without any move is exactly 0. NaN in every cell of a
        group that holds a position which cannot be valued: an input NaN or infinite, a spot or
        strike not positive, a negative volatility.

    Raises:
        ValueError: Shapes do not broadcast, a move is below -1, days are negative, or a group index
            is.
    """
    axes = _Axes.of(spot_moves, vol_moves, days)
    numbers = (spot, strike, tau, rate, div_yield, sigma, quantity, multiplier, beta)
    book = _ValuedBook.of(numbers, (is_call, is_american, is_stock))
    member = np.zeros(book.spot.size, dtype=np.int64) if group is None else np.asarray(group)
    if member.shape != book.spot.shape or np.any(member < 0):
        raise ValueError(f"group must hold {book.spot.size} indices >= 0, got {member.shape}")
    # The spot last while working: the longest axis belongs in the innermost loop.
    spots, vols, times = axes.shape
    total = np.zeros((int(member.max(initial=0)) + 1, vols, times, spots))
    for rows in np.flatnonzero(book.is_stock | ~book.legal)[:, None]:
        total[member[rows[0]]] += _linear(book.take(rows), axes)
    wide = axes.with_now()
    for rows, terms in _shelves(book, wide):
        for start in range(0, rows.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            part = book.take(rows[block])
            profit = _values(part, wide, terms.take(block) if terms else None)
            profit -= profit[(slice(None), *wide.centre())][:, None, None, None]
            profit *= (part.quantity * part.multiplier)[:, None, None, None]
            for row, index in enumerate(member[rows[block]]):
                total[index] += profit[row, :vols, :times, :spots]
    return np.ascontiguousarray(np.moveaxis(total, -1, 1))


class _Axes(NamedTuple):
    """Moves along the three axes of the grid."""

    spot: FloatArray
    vol: FloatArray
    days: FloatArray

    @classmethod
    def of(cls, spot_moves: Num, vol_moves: Num, days: Num) -> _Axes:
        """Fractions of spot and volatility and days ahead; ValueError for what cannot be."""
        axes = cls(*(np.asarray(axis, dtype=np.float64) for axis in (spot_moves, vol_moves, days)))
        for name, axis, least in zip(
            ("spot_moves", "vol_moves", "days"), axes, (-1.0, -1.0, 0.0), strict=True
        ):
            if axis.ndim != 1 or not np.all(np.isfinite(axis)) or np.any(axis < least):
                raise ValueError(f"{name} must be one-dimensional, finite and >= {least:g}")
        return axes

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many moves of spot, of volatility, and days."""
        return self.spot.size, self.vol.size, self.days.size

    def with_now(self) -> _Axes:
        """The same axes, each with a zero at its end unless it has one."""
        return _Axes(*(axis if np.any(axis == 0.0) else np.append(axis, 0.0) for axis in self))

    def centre(self) -> tuple[int, int, int]:
        """Cell (vol, days, spot) where nothing has moved; the axes must hold their zeros."""
        spot, vol, days = (int(np.flatnonzero(axis == 0.0)[0]) for axis in self)
        return vol, days, spot


class _ValuedBook(NamedTuple):
    """Positions as columns (p,); those that cannot be valued hold harmless numbers."""

    spot: FloatArray
    strike: FloatArray
    tau: FloatArray
    rate: FloatArray
    div_yield: FloatArray
    sigma: FloatArray
    quantity: FloatArray
    multiplier: FloatArray
    beta: FloatArray
    is_call: BoolArray
    is_american: BoolArray
    is_stock: BoolArray
    legal: BoolArray

    @classmethod
    def of(cls, numbers: tuple[Num, ...], flags: tuple[Num, ...]) -> _ValuedBook:
        """
        Columns (p,) of a book, in the order of `stress_grid`'s arguments.

        What cannot be valued is marked and given harmless numbers; ValueError for other shapes.
        """
        floats = [np.asarray(value, dtype=np.float64) for value in numbers]
        is_call, is_american, is_stock = flags
        shares = as_flags(is_stock, "is_stock")
        if shares.any():
            # Shares have no right, and whatever stands in its place is ignored.
            given = np.asarray(is_call, dtype=object)
            is_call = np.where(shares, False, given)
        bools = [as_calls(is_call), as_flags(is_american, "is_american"), shares]
        try:
            shape = np.broadcast_shapes((1,), *(array.shape for array in (*floats, *bools)))
        except ValueError:
            shapes = ", ".join(str(array.shape) for array in (*floats, *bools))
            raise ValueError(f"positions must share shape (p,), got {shapes}") from None
        if len(shape) != 1:
            raise ValueError(f"positions must have shape (p,), got {shape}")
        columns = [np.broadcast_to(array, shape) for array in floats]
        call, american, stock = (np.broadcast_to(array, shape) for array in bools)
        spot, strike, tau, rate, div_yield, sigma, quantity, multiplier, beta = columns
        priced = np.isfinite(strike + tau + rate + div_yield + sigma)
        priced &= (strike > 0.0) & (sigma >= 0.0)
        legal = np.isfinite(spot + quantity + multiplier + beta) & (spot > 0.0)
        legal &= priced | stock
        safe = legal & ~stock
        return cls(
            np.where(legal, spot, 1.0), np.where(safe, strike, 1.0), np.where(safe, tau, 0.0),
            np.where(safe, rate, 0.0), np.where(safe, div_yield, 0.0), np.where(safe, sigma, 0.1),
            np.where(legal, quantity, 0.0), np.where(legal, multiplier, 0.0),
            np.where(legal, beta, 0.0), call, american & safe, stock, legal,
        )  # fmt: skip

    def take(self, rows: IntArray) -> _ValuedBook:
        """The positions *rows*."""
        return _ValuedBook._make(column[rows] for column in self)


def _linear(position: _ValuedBook, axes: _Axes) -> FloatArray:
    """P&L of one position in shares, (a,); NaN for a position that cannot be valued."""
    if not position.legal[0]:
        return np.full(axes.spot.size, np.nan)
    move = np.maximum(position.beta[0] * axes.spot, -1.0)
    worth: FloatArray = position.quantity[0] * position.multiplier[0] * position.spot[0] * move
    return worth


def _shelves(book: _ValuedBook, axes: _Axes) -> list[tuple[IntArray, exercise_table.Terms | None]]:
    """Options that share a rate and yield, with their early-exercise terms on the grid."""
    option = book.legal & ~book.is_stock
    # As a put: of a call, rate and yield change places.
    early = np.where(book.is_call, book.div_yield, book.rate)
    late = np.where(book.is_call, book.rate, book.div_yield)
    pairs, which = np.unique(np.stack((early, late), axis=1), axis=0, return_inverse=True)
    plain = [np.flatnonzero(option & ~book.is_american)]
    shelves: list[tuple[IntArray, exercise_table.Terms | None]] = []
    for index, (rate, div_yield) in enumerate(pairs):
        rows = np.flatnonzero(option & book.is_american & (which.reshape(-1) == index))
        if rows.size == 0:
            continue
        part = book.take(rows)
        sigma, left = _vols(part, axes), _left(part, axes)
        table = exercise_table.build(
            (float(left.min()), float(left.max())),
            float(rate),
            float(div_yield),
            (float(sigma.min()), float(sigma.max())),
        )
        if table is None:
            plain.append(rows)
        else:
            shelves.append((rows, table.terms(left, sigma)))
    return [*shelves, (np.concatenate(plain), None)]


def _vols(part: _ValuedBook, axes: _Axes) -> FloatArray:
    return part.sigma[:, None] * (1.0 + axes.vol)


def _left(part: _ValuedBook, axes: _Axes) -> FloatArray:
    return np.maximum(part.tau[:, None] - axes.days / _DAYS, _EXPIRED)


def _values(part: _ValuedBook, axes: _Axes, terms: exercise_table.Terms | None) -> FloatArray:
    """Value of every position in every cell, (p, vol, days, spot), currency per share."""
    price = part.spot[:, None] * (1.0 + part.beta[:, None] * axes.spot)
    price = np.maximum(price, _LEAST_PRICE * part.spot[:, None])
    sign, strike = np.where(part.is_call, 1.0, -1.0)[:, None], part.strike[:, None]
    left, rate, div_yield = _left(part, axes), part.rate[:, None], part.div_yield[:, None]
    log_ratio = np.log(price / strike)
    drift = ((rate - div_yield) * left)[:, None]
    spread = np.sqrt(left)[:, None] * _vols(part, axes)[:, :, None]
    spread = np.maximum(spread, _LEAST_SPREAD)
    signs = sign[:, :, None]
    d = (signs / spread)[..., None] * log_ratio[:, None, None]
    d += (signs * (drift / spread + 0.5 * spread))[..., None]
    value = ndtr(d)
    value *= (sign * price)[:, None, None]
    value *= np.exp(-div_yield * left)[:, None, :, None]
    d -= (signs * spread)[..., None]
    discounted = ndtr(d, out=d)
    discounted *= (sign * strike * np.exp(-rate * left))[:, None, :, None]
    value -= discounted
    if terms is None:
        return value
    payoff = np.maximum(sign * (price - strike), 0.0)
    unit = np.where(sign > 0.0, price, strike)
    return _with_premium(value, payoff, unit, -sign * log_ratio, terms, scratch=d)


def _with_premium(
    value: FloatArray,
    payoff: FloatArray,
    unit: FloatArray,
    x: FloatArray,
    terms: exercise_table.Terms,
    *,
    scratch: FloatArray,
) -> FloatArray:
    """
    American from European values: the premium above the critical price, the payoff below it.

    *payoff*, *unit* (what the premium is per) and *x* are (p, spot).
    """
    place = np.multiply(x[:, None, None], terms.rise[..., None], out=scratch)
    place += terms.shift[..., None]
    exercised = place <= -1.0
    np.clip(place, -1.0, 1.0, out=place)
    coefficient = terms.coefficient[..., None]
    premium = place * coefficient[-1]
    for power in coefficient[-2:0:-1]:
        premium += power
        premium *= place
    premium += coefficient[0]
    premium *= unit[:, None, None]
    value += premium
    np.maximum(value, payoff[:, None, None], out=value)
    np.copyto(value, payoff[:, None, None], where=exercised)
    return value
