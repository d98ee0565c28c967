"""
Probabilities and expectations of structures under any density.

P&L is what `Segments` hold: at the first expiry, in today's money. The same functions serve one
expiry, where they are exact, and several, where the segments are a revaluation. Which density is
passed decides what the figure means: the market's own (`density.from_smile`), a view of it
(`density.viewed`), a lognormal or one of your own.

Questions about the path (will a price be touched, will the target come before the stop) rest on one
stated model, a geometric Brownian motion with constant volatility and drift rate - div_yield. Touch
is watched continuously, target and stop once a day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr

from tomic._typing import BoolArray, FloatArray, Num
from tomic.quant import arguments
from tomic.quant.density import Density, joined
from tomic.quant.payoff import NOTHING, Segments, crossings, nodes_first

_CELLS = 1000
_FEW_NODES = 16
_MOST_STEPS = 60
_TRIM = 1e-9
_PATH_CELLS = 1201
_IMAGES = 12
_WIDEST = 2.5  # standard deviations per distance between barriers; at 2.5, e^-30 stays inside
_DAYS_A_YEAR = 365.0
_TINY = 1e-300


def pos(density: Density, shape: Segments) -> FloatArray:
    """
    Probability of success, P(P&L > 0), per structure.

    Exact on the segments: only the prices where P&L changes sign enter. A trade that makes exactly
    nothing over a range of prices does not succeed there.

    Returns:
        (...) in [0, 1]; NaN where the segments are NaN.
    """
    node, value, slope = nodes_first(shape)
    place, price, upward = crossings(node, value, slope)
    below = density.probability_below(price)
    count = slope.size
    change = np.bincount(place % max(count, 1), np.where(upward, -below, below), count)
    # From the top down: what holds far above, corrected at every change of sign.
    wins = (slope > 0.0) | ((slope == 0.0) & (value[-1] > NOTHING))
    chance = np.clip(change[:count] + wins, 0.0, 1.0)
    return np.where(_broken(value, slope), np.nan, chance).reshape(shape.slope.shape)


def ev(density: Density, shape: Segments) -> FloatArray:
    """
    Expected P&L, currency per structure, today's money; NaN where the segments are NaN.

    For legs of one expiry it equals credit + discount x the sum of quantity x option value under
    the density, to rounding.
    """
    node, value, slope = nodes_first(shape)
    below, partial = density.moments_below(node)
    mass, moment = np.diff(below, axis=0), np.diff(partial, axis=0)
    rise = _slopes(node, value)
    total = (value[:-1] * mass + rise * (moment - node[:-1] * mass)).sum(axis=0)
    over = 1.0 - below[-1]
    total += value[-1] * over + slope * (density.mean - partial[-1] - node[-1] * over)
    return np.asarray(total, dtype=np.float64).reshape(shape.slope.shape)


def cvar(
    density: Density, shape: Segments, level: float = 0.95, *, near: FloatArray | None = None
) -> FloatArray:
    """
    Conditional value at risk: the mean loss of the worst 1 - level of outcomes.

    Args:
        density: Of the price at the first expiry.
        shape: P&L there.
        level: In (0, 1).
        near: (...) about the P&L that 1 - level of outcomes fall below, as `quantiles` gives it,
            where a search for it costs too much: what it is off by counts only squared.

    Returns:
        (...) currency per structure, a loss positive; negative for a trade that cannot lose there.

    Raises:
        ValueError: level is outside (0, 1).

    Source: Rockafellar and Uryasev (2000): min over a of a + E[(L - a)+] / (1 - level).
    """
    _check_level(level)
    bounded = _bounded(density, shape)
    # The formula is at its minimum there: an error of the level counts only squared.
    worst = _level_at(bounded, 1.0 - level, settled=1e-10) if near is None else near.reshape(-1)
    _, shortfall = _shortfall(bounded, worst)
    loss = shortfall / (1.0 - level) - worst
    return np.where(np.isnan(bounded.value[0]), np.nan, loss).reshape(shape.slope.shape)


def quantiles(density: Density, shape: Segments, share: float, *, points: int = 800) -> FloatArray:
    """
    About the P&L that *share* of outcomes fall below, from as many prices of equal probability.

    Returns:
        (...) currency per structure.
    """
    price = density.quantile((np.arange(points) + 0.5) / points)
    count = shape.node.shape[-1]
    node, value = shape.node.reshape(-1, count), shape.value.reshape(-1, count)
    profit = np.array([np.interp(price, *pair) for pair in zip(node, value, strict=True)])
    above = np.maximum(price - node[:, -1:], 0.0) * shape.slope.reshape(-1, 1)
    place = min(int(share * points), points - 1)
    found = np.partition(profit + above, place, axis=1)[:, place]
    return np.asarray(found.reshape(shape.slope.shape))


class Shortfall(NamedTuple):
    """How often P&L falls below a level, and by how much on average over all outcomes."""

    probability: FloatArray
    """(...) P(P&L < level)."""
    mean: FloatArray
    """(...) E[max(level - P&L, 0)], currency per structure."""


def shortfall(density: Density, shape: Segments, level: float = 0.0) -> Shortfall:
    """
    Probability and mean size of falling below *level*; NaN where the segments are NaN.

    Mean over probability is a lower bound of CVaR at any level whose tail holds all of the losses.
    """
    bounded = _bounded(density, shape)
    below, mean = _shortfall(bounded, np.full(shape.slope.size, level))
    broken = np.isnan(bounded.value[0])
    lead = shape.slope.shape
    return Shortfall(
        np.where(broken, np.nan, below).reshape(lead), np.where(broken, np.nan, mean).reshape(lead)
    )


def profit_quantile(density: Density, shape: Segments, level: float = 0.95) -> FloatArray:
    """
    P&L that is not exceeded with probability *level*, currency per structure.

    Stands in for the maximum profit of structures whose profit has no bound.

    Raises:
        ValueError: level is outside (0, 1).
    """
    _check_level(level)
    bounded = _bounded(density, shape)
    quantile = _level_at(bounded, level)
    return np.where(np.isnan(bounded.value[0]), np.nan, quantile).reshape(shape.slope.shape)


def kelly(density: Density, shape: Segments, margin: Num, cap: float = 0.25) -> FloatArray:
    """
    Fraction of capital to commit as margin so that the mean log of wealth grows fastest.

    The whole distribution counts, not two outcomes: f maximises E[ln(1 + f P&L / margin)].

    Args:
        density, shape: The distribution and the P&L.
        margin: (...) currency per structure that f = 1 would put at stake.
        cap: Largest fraction ever returned.

    Returns:
        (...) in [0, cap]; 0 where the expected P&L is not positive; NaN where margin is not > 0.
        Outcomes in tails with less than 1e-9 of the mass are left out.

    Raises:
        ValueError: cap is outside (0, 1].

    Source: Kelly (1956), "A New Interpretation of Information Rate".
    """
    if not 0.0 < cap <= 1.0:
        raise ValueError(f"cap must be in (0, 1], got {cap:g}")
    stake = np.broadcast_to(np.asarray(margin, dtype=np.float64), shape.slope.shape).reshape(-1)
    price, mass = _thinned(density)
    node, value, slope = nodes_first(shape)
    out = np.full(stake.size, np.nan)
    for row in np.flatnonzero((stake > 0.0) & ~_broken(value, slope)):
        gain = np.interp(price, node[:, row], value[:, row])
        gain += slope[row] * np.maximum(price - node[-1, row], 0.0)
        out[row] = _best_fraction(gain / stake[row], mass, cap)
    return out.reshape(shape.slope.shape)


def kelly_binary(win_probability: Num, win_over_loss: Num) -> FloatArray:
    """
    Kelly's fraction for a bet with two outcomes, p - (1 - p) / b, uncapped; for comparison only.

    A structure has more than two outcomes: booking every loss as the maximum one misstates it.
    """
    chance = np.asarray(win_probability, dtype=np.float64)
    odds = np.asarray(win_over_loss, dtype=np.float64)
    return np.where(odds > 0.0, chance - (1.0 - chance) / np.where(odds > 0.0, odds, 1.0), np.nan)


class _Bounded(NamedTuple):
    """Segments cut at the top of the density's support, with the moments at every node."""

    density: Density
    node: FloatArray
    value: FloatArray
    rise: FloatArray
    below: FloatArray
    partial: FloatArray


def _bounded(density: Density, shape: Segments) -> _Bounded:
    node, value, slope = nodes_first(shape)
    last = np.maximum(node[-1], density.price[-1])
    end = value[-1] + slope * (last - node[-1])
    node, value = np.vstack((node, last)), np.vstack((value, end))
    below, partial = density.moments_below(node)
    return _Bounded(density, node, value, _slopes(node, value), below, partial)


def _level_at(bounded: _Bounded, share: float, *, settled: float = 1e-11) -> FloatArray:
    """P&L below which *share* of the probability lies; (n,)."""
    low, high = bounded.value.min(axis=0), bounded.value.max(axis=0)
    if bounded.value.shape[0] <= _FEW_NODES:
        low, high = _between_plateaus(bounded, share, low, high)
    return _root(lambda level: _shortfall(bounded, level)[0] - share, low, high, settled)


def _between_plateaus(
    bounded: _Bounded, share: float, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """
    The bracket narrowed to where the distribution of P&L has no atoms, or to the atom itself.

    A flat segment puts the mass of all its prices on one P&L, and no root finder is fast there.
    """
    flat = (bounded.rise == 0.0) & (np.diff(bounded.below, axis=0) > 0.0)
    for segment in np.flatnonzero(flat.any(axis=1)):
        level = np.where(flat[segment], bounded.value[segment], low)
        # Plateaus meant to be equal differ by rounding: both belong to the atom.
        under = _shortfall(bounded, level - NOTHING)[0]
        over = _shortfall(bounded, level + NOTHING)[0]
        is_flat = flat[segment]
        low = np.where(is_flat & (over < share), np.maximum(low, level), low)
        high = np.where(is_flat & (under >= share), np.minimum(high, level), high)
        settled = is_flat & (under < share) & (over >= share)
        low, high = np.where(settled, level, low), np.where(settled, level, high)
    return low, high


def _root(
    function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray, settled: float
) -> FloatArray:
    """
    Where rising functions pass zero, to *settled* of the bracket from *low* to *high*; (n,).

    Of the two ends of the last bracket it is the one at which the function is not negative.

    Source: Chandrupatla (1997), "A new hybrid quadratic/bisection algorithm".
    """
    tolerance = settled * (high - low) + 1e-300
    first, second = low, high
    at_first, at_second = np.full(low.shape, -1.0), np.ones(low.shape)
    part = np.full(low.shape, 0.5)
    with np.errstate(all="ignore"):
        for _ in range(_MOST_STEPS):
            new = first + part * (second - first)
            at_new = function(new)
            same = (at_new < 0.0) == (at_first < 0.0)
            third = np.where(same, first, second)
            at_third = np.where(same, at_first, at_second)
            second = np.where(same, second, first)
            at_second = np.where(same, at_second, at_first)
            first, at_first = new, at_new
            width = np.abs(second - first)
            if np.all((width <= 2.0 * tolerance) | np.isnan(width)):
                break
            place = (first - second) / (third - second)
            level = (at_first - at_second) / (at_third - at_second)
            curved = (level**2 < place) & ((1.0 - level) ** 2 < 1.0 - place)
            inverse = at_first / (at_second - at_first) * at_third / (at_second - at_third)
            inverse += (
                (third - first)
                / (second - first)
                * (at_first / (at_third - at_first))
                * (at_second / (at_third - at_second))
            )
            part = np.where(curved & np.isfinite(inverse), inverse, 0.5)
            edge = np.where(width > 0.0, tolerance / width, 0.5)
            part = np.clip(part, np.minimum(edge, 0.5), np.maximum(1.0 - edge, 0.5))
    return np.where(at_first >= 0.0, first, second)


def _shortfall(bounded: _Bounded, level: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(P&L < level) and E[(level - P&L)+], exact on the segments; (n,)."""
    density, node, value, rise, below, partial = bounded
    under = value < level
    left, right = under[:-1], under[1:]
    cut = np.flatnonzero(left != right)
    count = level.size
    start, gain = node[:-1].reshape(-1)[cut], value[:-1].reshape(-1)[cut]
    steep = rise.reshape(-1)[cut]
    price = start + np.where(steep != 0.0, (level[cut % max(count, 1)] - gain), 0.0) / np.where(
        steep != 0.0, steep, 1.0
    )
    at, moment = density.moments_below(price)
    edge_below, edge_partial = below[:-1].copy(), partial[:-1].copy()
    edge_below.reshape(-1)[cut], edge_partial.reshape(-1)[cut] = at, moment
    mass = np.where(right, below[1:], edge_below) - np.where(left, below[:-1], edge_below)
    part = np.where(right, partial[1:], edge_partial) - np.where(left, partial[:-1], edge_partial)
    short = (level - value[:-1]) * mass - rise * (part - node[:-1] * mass)
    return mass.sum(axis=0), short.sum(axis=0)


def _slopes(node: FloatArray, value: FloatArray) -> FloatArray:
    """P&L per unit of price inside each segment; 0 for one without width."""
    width = np.diff(node, axis=0)
    wide = width > 0.0
    return np.where(wide, np.diff(value, axis=0) / np.where(wide, width, 1.0), 0.0)


def _broken(value: FloatArray, slope: FloatArray) -> BoolArray:
    return np.asarray(np.isnan(value[0]) | np.isnan(slope), dtype=np.bool_)


def _thinned(density: Density) -> tuple[FloatArray, FloatArray]:
    """About a thousand cells with their mean price, tails under the trim left out."""
    price, mass = density.cells()
    total = np.cumsum(mass)
    kept = (total > _TRIM) & (total - mass < 1.0 - _TRIM)
    mean, mass = joined(price[kept], mass[kept], _CELLS)
    return mean, mass / mass.sum()


def _best_fraction(gain: FloatArray, mass: FloatArray, cap: float) -> float:
    """argmax over [0, cap] of E ln(1 + f gain): the zero of a falling derivative."""
    if float(mass @ gain) <= 0.0:
        return 0.0
    worst = -float(gain.min())
    low, high = 0.0, min(cap, (1.0 - 1e-12) / worst if worst > 0.0 else cap)
    if high == cap and float(mass @ (gain / (1.0 + cap * gain))) >= 0.0:
        return cap
    for _ in range(40):
        middle = 0.5 * (low + high)
        if float(mass @ (gain / (1.0 + middle * gain))) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level:g}")


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
        sigma: Volatility of the path, for example that of the market's density.
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
    days = max(1, round(years * _DAYS_A_YEAR))
    step = years / days
    chain = _Chain.of(sigma * np.sqrt(years), (rate - div_yield - 0.5 * sigma**2) * step, days)
    price = spot * np.exp(chain.edge)
    worth = legs.over(price, rate, div_yield)
    won = lost = 0.0
    mass = chain.first
    for day in range(1, days + 1):
        if day > 1:
            mass = np.convolve(mass, chain.kernel, mode="same")
        share = stock * (price * np.exp(div_yield * day * step) - stock_cost)
        gain = credit + multiplier * (worth(day * step) + share)
        up, down = _shares_beyond(gain, target, stop)
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
        level, years, vol, amount, call = arguments.legs(
            strike=strike, tau=tau, sigma=sigma, quantity=quantity, is_call=is_call
        )
        if level.ndim != 1:
            raise ValueError(f"legs must have shape (k,), got {level.shape}")
        used = amount != 0.0
        return cls(level[used], years[used], vol[used], call[used], amount[used])

    def finite(self) -> bool:
        """Whether every number of every leg is finite."""
        numbers = np.concatenate((self.strike, self.tau, self.sigma, self.quantity))
        return bool(np.all(np.isfinite(numbers)))

    def over(
        self, price: FloatArray, rate: float, div_yield: float
    ) -> Callable[[float], FloatArray]:
        """
        Years passed → value of all legs at every price, (m,), currency per share.

        Merton's formula with what does not change from day to day taken once: the logarithms.
        """
        sign = np.where(self.is_call, 1.0, -1.0)
        amount = self.quantity * sign
        log_moneyness = sign[:, None] * np.log(price / self.strike[:, None])

        def worth(elapsed: float) -> FloatArray:
            # The last day is the expiry itself, whatever rounding says of the difference.
            left = np.where(self.tau - elapsed < 1e-9, 0.0, self.tau - elapsed)
            total_vol = sign * self.sigma * np.sqrt(left)
            score = log_moneyness + (sign * (rate - div_yield) * left)[:, None]
            score /= np.maximum(np.abs(total_vol), _TINY)[:, None]
            score += 0.5 * total_vol[:, None]
            held = (amount * np.exp(-div_yield * left)).dot(ndtr(score))
            score -= total_vol[:, None]
            owed = (amount * self.strike * np.exp(-rate * left)).dot(ndtr(score))
            return np.asarray(price * held - owed)

        return worth


class _Chain(NamedTuple):
    """Log-price cells: edges (m + 1,), mass after the first day (m,), one day's kernel."""

    edge: FloatArray
    first: FloatArray
    kernel: FloatArray

    @classmethod
    def of(cls, spread: float, drift: float, days: int) -> _Chain:
        """Cells over six standard deviations of the whole period, and exact one-day moves."""
        reach = 6.0 * spread + abs(drift) * days
        edge = np.linspace(-reach, reach, _PATH_CELLS + 1)
        width = edge[1] - edge[0]
        daily = spread / np.sqrt(days)
        first = np.diff(ndtr((edge - drift) / daily))
        half = min(_PATH_CELLS // 2, int(np.ceil((8.0 * daily + abs(drift)) / width)) + 1)
        # From a point uniform in one cell into another: second difference of the integrated normal.
        score = (np.arange(-half - 1, half + 2) * width - drift) / daily
        integral = daily * (score * ndtr(score) + np.exp(-0.5 * score**2) / np.sqrt(2.0 * np.pi))
        return cls(edge, first, np.diff(integral, 2) / width)


def _shares_beyond(gain: FloatArray, target: float, stop: float) -> tuple[FloatArray, FloatArray]:
    """Share of each cell in which P&L, linear between edges, has met *target*, and *stop*."""
    left, right = gain[:-1], gain[1:]
    low, high = np.minimum(left, right), np.maximum(left, right)
    width = high - low
    flat = width <= 0.0
    width[flat] = 1.0
    # A cell that is flat but for rounding gives a quotient beyond any float; it is clipped.
    with np.errstate(over="ignore"):
        up, down = (high - target) / width, (stop - low) / width
    up[flat], down[flat] = high[flat] >= target, low[flat] <= stop
    return np.minimum(np.maximum(up, 0.0), 1.0), np.minimum(np.maximum(down, 0.0), 1.0)
