"""
Questions about the path: will a price be touched, will the target come before the stop.

Both rest on one stated model, a geometric Brownian motion with constant volatility and drift
rate - div_yield. Touch is watched continuously, target and stop once a day.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr

from tomic._typing import BoolArray, FloatArray, Num
from tomic.quant import black_scholes
from tomic.quant.arguments import as_calls

_CELLS = 1201
_IMAGES = 12
_WIDEST = 2.5  # standard deviations per distance between barriers; at 2.5, e^-30 stays inside
_DAYS = 365.0


class BeforeStop(NamedTuple):
    """Probabilities that the target comes first, the stop comes first, or neither is met."""

    target: float
    stop: float
    neither: float


def touch(spot: Num, level: Num, tau: Num, rate: Num, div_yield: Num, sigma: Num) -> FloatArray:
    """
    Probability that the price touches *level* at any moment before *tau*.

    Model: geometric Brownian motion, drift rate - div_yield, watched continuously. Watched once a
    day it is lower by a few points for levels near the spot. Arguments broadcast.

    Args:
        spot, level: Currency per share, positive.
        tau: Years; zero or less leaves only a level at the spot.
        rate, div_yield: Continuously compounded, fraction per year.
        sigma: Fraction per square-root year; zero moves along the forward.

    Returns:
        In [0, 1]; 1 where the level is the spot, 0 for a level at or below zero, NaN where an input
        is NaN, infinite or the spot is not positive.

    Source: reflection principle with drift; Shreve (2004), "Stochastic Calculus for Finance II".
    """
    arguments = (spot, level, tau, rate, div_yield, sigma)
    start, goal, years, r, q, vol = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in arguments)
    )
    total = start + goal + years + r + q + vol
    legal = np.isfinite(total) & (start > 0.0) & (vol >= 0.0)
    years = np.where(legal, np.maximum(years, 0.0), 0.0)
    spread = np.where(legal, vol, 0.0) * np.sqrt(years)
    random = spread > 0.0
    distance = np.log(np.where(legal & (goal > 0.0), goal, 1.0) / np.where(legal, start, 1.0))
    side = np.where(distance > 0.0, 1.0, -1.0)
    scale = np.where(random, spread, 1.0)
    drift = np.where(legal, r - q, 0.0) * years - 0.5 * spread * spread
    straight = ndtr(side * (drift - distance) / scale)
    # exp(2 mu b / sigma^2) alone may overflow where the probability beside it underflows.
    reflected = 2.0 * drift * distance / (scale * scale) + log_ndtr(
        -side * (drift + distance) / scale
    )
    chance = np.clip(straight + np.exp(np.minimum(reflected, 0.0)), 0.0, 1.0)
    certain = (side * (drift - distance) >= 0.0) & (side * distance > 0.0)
    result = np.where(random, chance, certain.astype(np.float64))
    result = np.where(distance == 0.0, 1.0, result)
    return np.where(legal, np.where(goal > 0.0, result, 0.0), np.nan)


def touch_either(
    spot: Num, low: Num, high: Num, tau: Num, rate: Num, div_yield: Num, sigma: Num
) -> FloatArray:
    """
    Probability that the price touches *low* or *high* at any moment before *tau*.

    Model and arguments as `touch`; less than the sum of the two single probabilities, because a
    path may touch both. Arguments broadcast.

    Returns:
        In [0, 1]; 1 where the spot is not strictly between the two, NaN where an input is NaN, the
        spot, low or time is not positive, or sigma is not.

    Source: method of images between two barriers; Ikeda and Kunitomo (1992).
    """
    arguments = (spot, low, high, tau, rate, div_yield, sigma)
    start, under, over, years, r, q, vol = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in arguments)
    )
    legal = np.isfinite(start + under + over + years + r + q + vol)
    legal &= (start > 0.0) & (under > 0.0) & (years > 0.0) & (vol > 0.0)
    between = legal & (under < start) & (start < over)
    start, under, over = (
        np.where(between, array, stand)
        for array, stand in ((start, 1.0), (under, 0.5), (over, 2.0))
    )
    spread = np.where(between, vol, 1.0) * np.sqrt(np.where(between, years, 1.0))
    bottom, top = np.log(under / start) / spread, np.log(over / start) / spread
    drift = np.where(between, (r - q) * years / spread, 0.0) - 0.5 * spread
    stay = np.zeros(start.shape)
    for image in range(-_IMAGES, _IMAGES + 1):
        shift = 2.0 * image * (top - bottom)
        for source, sign in ((shift, 1.0), (2.0 * top - shift, -1.0)):
            inside = ndtr(top - source - drift) - ndtr(bottom - source - drift)
            stay += sign * np.exp(np.minimum(drift * source, 600.0)) * inside
    # Between walls this close the images no longer converge, and nothing stays.
    stay = np.where(top - bottom < 1.0 / _WIDEST, 0.0, np.clip(stay, 0.0, 1.0))
    return np.where(legal, np.where(between, 1.0 - stay, 1.0), np.nan)


def target_before_stop(
    spot: float,
    strike: Num,
    tau: Num,
    rate: float,
    div_yield: float,
    leg_sigma: Num,
    is_call: Num,
    quantity: Num,
    *,
    sigma: float,
    credit: float,
    target: float,
    stop: float,
    stock: float = 0.0,
    stock_cost: float = 0.0,
    multiplier: float = 1.0,
    horizon: float | None = None,
) -> BeforeStop:
    """
    Probability that one structure's P&L reaches a target before it falls to a stop.

    Model: the price follows a geometric Brownian motion with drift rate - div_yield and volatility
    *sigma*; every calendar day the legs are valued by Black-Scholes at their own unchanged
    volatilities (sticky strike), and the trade is closed at the first day on which credit + value
    reaches the target or the stop. A Markov chain over 1,201 prices, exact transitions.

    Args:
        spot, rate, div_yield: As in every kernel.
        strike, tau, leg_sigma, is_call, quantity: (k,) legs; tau may differ per leg.
        sigma: Volatility of the path, for example the forecast's.
        credit: Premium received less costs, currency per structure.
        target: P&L to close at, currency per structure.
        stop: P&L to close at on the other side, below *target*; usually negative.
        stock: Shares per share of multiplier; stock_cost: currency paid per share.
        multiplier: Shares per contract.
        horizon: Years after which the trade is left; None is the first expiry of a used leg.

    Returns:
        Three probabilities that add up to 1. NaN where an input is NaN.

    Raises:
        ValueError: stop is not below target, the legs do not share a shape, or sigma or the horizon
            is not positive.
    """
    legs = _Legs.of(strike, tau, leg_sigma, is_call, quantity)
    if horizon is None:
        horizon = float(legs.tau.min()) if legs.tau.size else 0.0
    years = horizon
    numbers = (spot, rate, div_yield, sigma, credit, target, stop, stock, stock_cost, years)
    if not (np.all(np.isfinite(numbers)) and legs.finite()):
        return BeforeStop(np.nan, np.nan, np.nan)
    if not stop < target:
        raise ValueError(f"stop must be < target, got {stop:g} and {target:g}")
    if not (sigma > 0.0 and years > 0.0 and spot > 0.0):
        raise ValueError(f"sigma, spot and time must be > 0, got {sigma:g}, {spot:g} and {years:g}")
    days = max(1, round(years * _DAYS))
    step = years / days
    chain = _Chain.of(sigma * np.sqrt(years), (rate - div_yield - 0.5 * sigma**2) * step, days)
    price = spot * np.exp(chain.edge)
    won = lost = 0.0
    mass = chain.first
    for day in range(1, days + 1):
        if day > 1:
            mass = np.convolve(mass, chain.kernel, mode="same")
        value = legs.value(price, day * step, rate, div_yield)
        share = stock * (price * np.exp(div_yield * day * step) - stock_cost)
        gain = credit + multiplier * (value + share)
        up, down = _share_above(gain, target), _share_above(-gain, -stop)
        won += float(mass @ up)
        lost += float(mass @ down)
        mass = mass * np.maximum(1.0 - up - down, 0.0)
    return BeforeStop(won, lost, max(0.0, 1.0 - won - lost))


class _Legs(NamedTuple):
    """The used legs of one structure, each (k,)."""

    strike: FloatArray
    tau: FloatArray
    sigma: FloatArray
    is_call: BoolArray
    quantity: FloatArray

    @classmethod
    def of(cls, strike: Num, tau: Num, sigma: Num, is_call: Num, quantity: Num) -> _Legs:
        """Legs that broadcast to (k,), without those of quantity 0; ValueError for other shapes."""
        numbers = (strike, tau, sigma, quantity)
        arrays = [*(np.asarray(value, dtype=np.float64) for value in numbers), as_calls(is_call)]
        try:
            level, years, vol, amount, call = np.broadcast_arrays(*arrays)
        except ValueError:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"legs must share shape (k,), got {shapes}") from None
        if level.ndim != 1:
            raise ValueError(f"legs must have shape (k,), got {level.shape}")
        used = amount != 0.0
        return cls(level[used], years[used], vol[used], call[used], amount[used])

    def finite(self) -> bool:
        """Whether every number of every leg is finite."""
        numbers = np.concatenate((self.strike, self.tau, self.sigma, self.quantity))
        return bool(np.all(np.isfinite(numbers)))

    def value(self, price: FloatArray, elapsed: float, rate: float, div_yield: float) -> FloatArray:
        """Value of all legs at every price, currency per share."""
        # The last day is the expiry itself, whatever rounding says of the difference.
        left = np.where(self.tau - elapsed < 1e-9, 0.0, self.tau - elapsed)
        unit = black_scholes.price(
            price, self.strike[:, None], left[:, None], rate, div_yield,
            self.sigma[:, None], self.is_call[:, None],
        )  # fmt: skip
        return np.asarray(self.quantity @ unit, dtype=np.float64)


class _Chain(NamedTuple):
    """Log-price cells: edges (m + 1,), mass after the first day (m,), one day's kernel."""

    edge: FloatArray
    first: FloatArray
    kernel: FloatArray

    @classmethod
    def of(cls, spread: float, drift: float, days: int) -> _Chain:
        """Cells over six standard deviations of the whole period, and exact one-day moves."""
        reach = 6.0 * spread + abs(drift) * days
        edge = np.linspace(-reach, reach, _CELLS + 1)
        width = edge[1] - edge[0]
        daily = spread / np.sqrt(days)
        first = np.diff(ndtr((edge - drift) / daily))
        half = min(_CELLS // 2, int(np.ceil((8.0 * daily + abs(drift)) / width)) + 1)
        # From a point uniform in one cell into another: second difference of the integrated normal.
        score = (np.arange(-half - 1, half + 2) * width - drift) / daily
        integral = daily * (score * ndtr(score) + np.exp(-0.5 * score**2) / np.sqrt(2.0 * np.pi))
        return cls(edge, first, np.diff(integral, 2) / width)


def _share_above(gain: FloatArray, level: float) -> FloatArray:
    """Share of each cell in which P&L, linear between edges, is at or above *level*."""
    left, right = gain[:-1], gain[1:]
    low, high = np.minimum(left, right), np.maximum(left, right)
    flat = high - low <= 0.0
    # A cell that is flat but for rounding gives a quotient beyond any float; it is clipped.
    with np.errstate(over="ignore"):
        part = (high - level) / np.where(flat, 1.0, high - low)
    return np.where(flat, high >= level, np.clip(part, 0.0, 1.0)).astype(np.float64)
