"""
Distribution of the underlying's price at one expiry, ready for exact payoff integrals.

Between two grid points the log-return is uniform, so probabilities, partial means and option values
of a `Density` are closed forms of one and the same distribution: an expected value computed leg by
leg equals the one computed over the whole payoff to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from tomic._typing import FloatArray, IntArray, Num

POINTS = 4001
"""Grid points unless told otherwise: 0.005 standard deviations apart over ±10."""

_REACHES = (10.0, 14.0, 20.0, 28.0, 40.0, 56.0, 80.0)
_TAIL_MASS = 1e-9
_TINY = 1e-300


class VolatilityCurve(Protocol):
    """The volatilities of one expiry, strike by strike."""

    @property
    def forward(self) -> float:
        """Forward price, currency per share."""

    @property
    def tau(self) -> float:
        """Years to expiry."""

    def iv(self, strike: Num, /) -> FloatArray:
        """Implied volatility at a strike."""


class SmileLike(VolatilityCurve, Protocol):
    """What a density needs of a fitted smile: forward, time and the distribution it implies."""

    def cdf(self, price: Num, /) -> FloatArray:
        """Risk-neutral P(S < price)."""


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """
    Distribution of the terminal price on a log-uniform grid.

    Args:
        price: (m,) ascending, evenly spaced in the logarithm, m >= 3, currency per share.
        cdf: (m,) P(S < price), from 0 to 1, never falling.
        forward: Mean of the distribution; must agree with the grid to 1e-6 relative.
        tau: Years to expiry.

    Raises:
        ValueError: The grid is not a distribution with mean `forward`; builders make one that is.
    """

    price: FloatArray
    cdf: FloatArray
    forward: float
    tau: float
    mean_log: float = field(init=False)
    """Mean of ln S."""
    std_log: float = field(init=False)
    """Standard deviation of ln S over the whole period; divide by sqrt(tau) for a volatility."""
    _log_low: float = field(init=False, repr=False)
    _per_step: float = field(init=False, repr=False)
    _mass: FloatArray = field(init=False, repr=False)
    _intensity: FloatArray = field(init=False, repr=False)
    _offset: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        price = np.ascontiguousarray(self.price, dtype=np.float64)
        cdf = np.ascontiguousarray(self.cdf, dtype=np.float64)
        _check_grid(price, cdf, self.forward, self.tau)
        self._settle(price, cdf)

    @classmethod
    def _built(cls, price: FloatArray, cdf: FloatArray, forward: float, tau: float) -> Density:
        """A density on a grid that its builder made even and rising: that is not checked again."""
        _check_terms(forward, tau)
        if not (price[0] > 0.0 and price[-1] < np.inf and np.all(price[1:] > price[:-1])):
            raise ValueError("price must be > 0, finite and strictly ascending")
        law = object.__new__(cls)
        object.__setattr__(law, "forward", forward)
        object.__setattr__(law, "tau", tau)
        law._settle(price, cdf)
        return law

    def _settle(self, price: FloatArray, cdf: FloatArray) -> None:
        step = float(np.log(price[-1] / price[0])) / (price.size - 1)
        mass = np.diff(cdf)
        # Uniform in ln S: dF = intensity dS/S inside a cell, so E[S; S < x] is linear in x there.
        intensity = mass / step
        partial = np.zeros(price.size)
        np.cumsum(intensity * np.diff(price), out=partial[1:])
        if not abs(partial[-1] / self.forward - 1.0) < 1e-6:
            raise ValueError(f"mean must equal forward {self.forward:g}, got {partial[-1]:g}")
        log_low = float(np.log(price[0]))
        middle = np.arange(0.5, mass.size)
        mean = float(mass @ middle)
        middle -= mean
        middle *= middle
        variance = step * step * (float(mass @ middle) + 1.0 / 12.0)
        for name, value in (
            ("price", price),
            ("cdf", cdf),
            ("mean_log", log_low + step * mean),
            ("std_log", float(np.sqrt(variance))),
            ("_log_low", log_low),
            ("_per_step", 1.0 / step),
            ("_mass", mass),
            ("_intensity", intensity),
            ("_offset", partial[:-1] - intensity * price[:-1]),
        ):
            object.__setattr__(self, name, value)
        for array in (price, cdf, mass, intensity, self._offset):
            array.setflags(write=False)

    @property
    def mean(self) -> float:
        """Mean price by integration: `forward` to 1e-6 relative, to rounding if built here."""
        return float(self._offset[-1] + self._intensity[-1] * self.price[-1])

    @property
    def volatility(self) -> float:
        """Standard deviation of the log-return per square-root year, as a fraction."""
        return self.std_log / float(np.sqrt(self.tau))

    @property
    def volatility_at_money(self) -> float:
        """Volatility at which Black (1976) gives this density's option struck at the forward."""
        share = float(self.put_value(self.forward)) / self.forward
        return 2.0 * float(ndtri(0.5 * (1.0 + share))) / float(np.sqrt(self.tau))

    def probability_below(self, price: Num) -> FloatArray:
        """P(S < price), any shape; 0 at and below zero, NaN where *price* is NaN."""
        place, cell = self._locate(np.asarray(price, dtype=np.float64))
        below: FloatArray = self.cdf.take(cell, mode="clip") + (place - cell) * self._mass.take(
            cell, mode="clip"
        )
        return below

    def moments_below(self, price: Num) -> tuple[FloatArray, FloatArray]:
        """P(S < price) and E[S; S < price] in one pass, for integrals of piecewise linear P&L."""
        price = np.asarray(price, dtype=np.float64)
        place, cell = self._locate(price)
        below = self.cdf.take(cell, mode="clip") + (place - cell) * self._mass.take(
            cell, mode="clip"
        )
        inside = np.clip(price, self.price[0], self.price[-1])
        partial = self._offset.take(cell, mode="clip") + inside * self._intensity.take(
            cell, mode="clip"
        )
        return below, partial

    def put_value(self, strike: Num) -> FloatArray:
        """E[max(K - S, 0)], undiscounted, currency per share."""
        strike = np.asarray(strike, dtype=np.float64)
        below, partial = self.moments_below(strike)
        return np.maximum(strike * below - partial, 0.0)

    def call_value(self, strike: Num) -> FloatArray:
        """E[max(S - K, 0)], undiscounted, currency per share; parity with `put_value` is exact."""
        strike = np.asarray(strike, dtype=np.float64)
        return np.maximum(self.put_value(strike) + (self.forward - strike), 0.0)

    def quantile(self, probability: Num) -> FloatArray:
        """Price below which *probability* of the mass lies; NaN outside [0, 1]."""
        wanted = np.asarray(probability, dtype=np.float64)
        cell = np.clip(np.searchsorted(self.cdf, wanted, side="right") - 1, 0, self._mass.size - 1)
        mass = self._mass[cell]
        share = np.where(mass > 0.0, (wanted - self.cdf[cell]) / np.where(mass > 0.0, mass, 1.0), 0)
        log_price = self._log_low + (cell + np.clip(share, 0.0, 1.0)) / self._per_step
        legal = (wanted >= 0.0) & (wanted <= 1.0)
        return np.where(legal, np.exp(log_price), np.nan)

    def cells(self) -> tuple[FloatArray, FloatArray]:
        """Mean price and probability of every grid cell with mass, for quadrature of smooth P&L."""
        occupied = self._mass > 0.0
        mass = self._mass[occupied]
        mean = self._intensity[occupied] * np.diff(self.price)[occupied] / mass
        return mean, mass

    def _locate(self, price: FloatArray) -> tuple[FloatArray, IntArray]:
        """Position on the grid in steps, and the cell that holds it."""
        place = (np.log(np.maximum(price, _TINY)) - self._log_low) * self._per_step
        place = np.clip(place, 0.0, float(self._mass.size))
        with np.errstate(invalid="ignore"):
            cell = place.astype(np.int64)
        return place, np.minimum(cell, self._mass.size - 1)


def joined(price: FloatArray, mass: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """The cells of a density joined to about *count*: mean price and probability of each."""
    edge = np.arange(0, mass.size, max(1, mass.size // count))
    total = np.add.reduceat(mass, edge)
    return np.add.reduceat(price * mass, edge) / total, total


def from_smile(smile: SmileLike, *, points: int = POINTS) -> Density:
    """
    Risk-neutral density of a fitted smile.

    The grid reaches as far as the smile has mass, at least 10 standard deviations at the money;
    what is left outside, and any fall of the smile's CDF, is removed and the mean put on the
    forward. *points* are those of 20 standard deviations.

    Raises:
        ValueError: The smile has no finite positive volatility at the money.

    Source: Breeden and Litzenberger (1978).
    """
    total_vol = float(np.asarray(smile.iv(smile.forward))) * np.sqrt(smile.tau)
    if not 0.0 < total_vol < np.inf:
        raise ValueError(f"total volatility at the money must be > 0, got {total_vol:g}")
    # exp(±600) is the widest price ratio whose products stay finite.
    reach = np.minimum(np.array(_REACHES) * total_vol, 600.0)
    low = np.asarray(smile.cdf(smile.forward * np.exp(-reach)))
    high = 1.0 - np.asarray(smile.cdf(smile.forward * np.exp(reach)))
    left = reach[_first_below(low, _TAIL_MASS)]
    # Far up, the mean would miss price times mass.
    right = reach[_first_below(high * np.exp(reach), _TAIL_MASS)]
    # Fat tails lengthen the grid; they must not coarsen its middle.
    count = int(np.ceil((left + right) / (20.0 * total_vol) * (points - 1))) + 1
    price = smile.forward * np.exp(np.linspace(-left, right, count))
    return _normalised(price, np.asarray(smile.cdf(price)), smile.forward, smile.tau)


def lognormal(forward: float, tau: float, sigma: float, *, points: int = POINTS) -> Density:
    """
    Lognormal density with mean *forward* and volatility *sigma* per square-root year.

    Raises:
        ValueError: forward, tau or sigma is not positive and finite.

    Source: Black (1976).
    """
    for name, value in (("forward", forward), ("tau", tau), ("sigma", sigma)):
        if not 0.0 < value < np.inf:
            raise ValueError(f"{name} must be > 0 and finite, got {value:g}")
    total_vol = sigma * float(np.sqrt(tau))
    score = np.linspace(-10.0, 10.0, points)
    price = forward * np.exp(total_vol * score - 0.5 * total_vol**2)
    return _normalised(price, ndtr(score), forward, tau)


def from_arrays(
    price: Num, cdf: Num, *, tau: float, forward: float | None = None, points: int = POINTS
) -> Density:
    """
    Density of your own: P(S < price) at ascending prices, linear in ln S between them.

    Args:
        price: (j,) strictly ascending, positive; need not be evenly spaced.
        cdf: (j,) never falling; scaled so that it runs from 0 to 1.
        tau: Years to expiry.
        forward: Mean to move the distribution to; None keeps its own mean.

    Raises:
        ValueError: Prices or probabilities are not ascending, not finite, or too few.
    """
    price = np.asarray(price, dtype=np.float64)
    cdf = np.asarray(cdf, dtype=np.float64)
    if price.ndim != 1 or price.shape != cdf.shape or price.size < 2:
        raise ValueError(f"price and cdf must share shape (j >= 2,): {price.shape}, {cdf.shape}")
    if not (np.all(np.isfinite(price)) and np.all(np.diff(price) > 0.0) and price[0] > 0.0):
        raise ValueError("price must be > 0, finite and strictly ascending")
    if not (np.all(np.diff(cdf) >= 0.0) and 0.0 < cdf[-1] - cdf[0] < np.inf):
        raise ValueError("cdf must never fall and must rise somewhere")
    log_price, below = np.log(price), (cdf - cdf[0]) / (cdf[-1] - cdf[0])
    grid = np.linspace(log_price[0], log_price[-1], points)
    return _normalised(np.exp(grid), np.interp(grid, log_price, below), forward, tau)


def from_samples(
    sample: Num, *, tau: float, forward: float | None = None, points: int = POINTS
) -> Density:
    """
    Density of terminal prices that were drawn or observed, each equally likely.

    Between sorted samples the mass is spread evenly in ln S. *forward* moves the mean; None keeps
    it.

    Raises:
        ValueError: Fewer than two different samples, or one that is not positive and finite.
    """
    ordered = np.sort(np.asarray(sample, dtype=np.float64).ravel())
    if ordered.size == 0 or not (ordered[0] > 0.0 and np.isfinite(ordered[-1])):
        raise ValueError("samples must be > 0 and finite")
    price, first, count = np.unique(ordered, return_index=True, return_counts=True)
    if price.size < 2:
        raise ValueError(f"samples must hold >= 2 different prices, got {price.size}")
    middle_rank = (first + 0.5 * count) / ordered.size
    return from_arrays(price, middle_rank, tau=tau, forward=forward, points=points)


def viewed(market: Density, *, volatility: float = 1.0, drift: float = 0.0) -> Density:
    """
    The market's density as a view of your own would have it, its shape kept.

    Distances from the mean of the log-price are multiplied by *volatility*, skew and tails with
    them, and the mean price moved to forward x exp(drift x tau).

    Args:
        market: Usually of a smile.
        volatility: Times the market's, positive; 0.9 for a tenth less.
        drift: Of the forward, continuously compounded, fraction per year.

    Returns:
        The market density itself where the view changes nothing.

    Raises:
        ValueError: *volatility* is not positive and finite, or *drift* not finite.
    """
    if not 0.0 < volatility < np.inf:
        raise ValueError(f"volatility must be > 0 and finite, got {volatility:g}")
    if not np.isfinite(drift):
        raise ValueError(f"drift must be finite, got {drift:g}")
    if volatility == 1.0 and drift == 0.0:
        return market
    price = market.forward * np.exp((np.log(market.price) - market.mean_log) * volatility)
    mean = market.forward * float(np.exp(drift * market.tau))
    return _normalised(price, market.cdf, mean, market.tau)


def mixture(first: Density, second: Density, share: float) -> Density:
    """
    The density under which every expectation is (1 - *share*) that of *first* + *share* x *second*.

    On a grid over both, as fine as the finer of the two.

    Raises:
        ValueError: *share* is outside [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must be in [0, 1], got {share:g}")
    if share in (0.0, 1.0) or first is second:
        return second if share == 1.0 else first
    logs = [np.log(law.price) for law in (first, second)]
    low, high = min(log[0] for log in logs), max(log[-1] for log in logs)
    step = min(float(log[1] - log[0]) for log in logs)
    price = np.exp(np.linspace(low, high, int(np.ceil((high - low) / step)) + 1))
    below = [law.probability_below(price) for law in (first, second)]
    mean = (1.0 - share) * first.forward + share * second.forward
    return _normalised(price, (1.0 - share) * below[0] + share * below[1], mean, first.tau)


def _normalised(price: FloatArray, cdf: FloatArray, forward: float | None, tau: float) -> Density:
    """A legal density from a log-uniform grid: monotone, mass one, mean on the forward."""
    rising = np.maximum.accumulate(np.minimum(np.maximum(cdf, 0.0), 1.0))
    rising -= rising[0]
    span = rising[-1]
    if not span > 0.0:
        raise ValueError("the distribution must have mass inside its grid")
    rising /= span
    step = np.log(price[-1] / price[0]) / (price.size - 1)
    mean = float(np.diff(rising) @ np.diff(price)) / step
    target = mean if forward is None else forward
    return Density._built(price * (target / mean), rising, target, tau)


def _check_grid(price: FloatArray, cdf: FloatArray, forward: float, tau: float) -> None:
    if price.ndim != 1 or price.shape != cdf.shape or price.size < 3:
        raise ValueError(f"price and cdf must share shape (m >= 3,): {price.shape}, {cdf.shape}")
    if not (np.all(np.isfinite(price)) and price[0] > 0.0 and np.all(np.diff(price) > 0.0)):
        raise ValueError("price must be > 0, finite and strictly ascending")
    steps = np.diff(np.log(price))
    if np.ptp(steps) > 1e-6 * steps.mean() + 1e-12:
        raise ValueError("price must be evenly spaced in its logarithm; else use from_arrays")
    if not (np.all(np.diff(cdf) >= 0.0) and cdf[0] == 0.0 and cdf[-1] == 1.0):
        raise ValueError("cdf must run from 0 to 1 and never fall")
    _check_terms(forward, tau)


def _check_terms(forward: float, tau: float) -> None:
    if not (0.0 < forward < np.inf and 0.0 < tau < np.inf):
        raise ValueError(f"forward and tau must be > 0 and finite, got {forward:g} and {tau:g}")


def _first_below(tail: FloatArray, limit: float) -> int:
    """Index of the first tail mass under *limit*, or the last index if none is."""
    small = np.flatnonzero(tail < limit)
    return int(small[0]) if small.size else tail.size - 1
