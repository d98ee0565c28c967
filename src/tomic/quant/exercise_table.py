"""
Early-exercise premiums of many options of one underlying at once, by interpolation.

The critical price of a put with strike 1 depends on volatility and time to expiry alone, so one
solved boundary serves every expiry and every shorter life. Between the critical price and five
standard deviations above it the premium is a smooth function of where one stands: it is computed on
a few Chebyshev nodes in that coordinate and in log(sigma), and read off as a polynomial. Below the
critical price an option is worth what exercise pays, and no premium is needed.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr

from tomic._typing import FloatArray
from tomic.quant import american_boundary
from tomic.quant.american_boundary import Resolution

RESOLUTION = Resolution(sigmas=12, times=7, inner=10, outer=14, iterations=5, tolerance=1e-5)
"""A tenth of the work of a price, a tenth of a cent off at a spot of 500."""
REACH = 5.0
"""Standard deviations above the critical price beyond which the premium counts as zero."""
DEGREE = 10
"""Degree of the polynomial across that reach."""

LEAST_LIFE = 0.25 / 365.0
"""Shortest time to expiry, in years, that gets a boundary of its own."""

_QUADRATURE = 10
_LEAST_SIGMA = 1e-3


class Terms(NamedTuple):
    """
    Premium of options at some volatility and time, ready to evaluate at any price.

    With x = log(spot / strike) of the put, ``u = x * rise + shift`` runs from -1 at the critical
    price to +1 at the end of the reach, and the premium per unit of strike is the polynomial in u.

    Attributes:
        rise, shift: (...) the coordinate.
        coefficient: (DEGREE + 1, ...) of ascending powers of u.
    """

    rise: FloatArray
    shift: FloatArray
    coefficient: FloatArray

    def take(self, rows: slice) -> Terms:
        """The terms of some options."""
        return Terms(self.rise[rows], self.shift[rows], self.coefficient[:, rows])


class PremiumTable(NamedTuple):
    """Premiums of a put with strike 1, as Chebyshev coefficients in root time and log(sigma)."""

    time: _Axis
    vol: _Axis
    critical: FloatArray
    """(t, s): log of the critical price."""
    premium: FloatArray
    """(t, s, DEGREE + 1): coefficients of the polynomial."""

    def terms(self, tau: FloatArray, sigma: FloatArray) -> Terms:
        """
        Terms of options (p,) at several volatilities (p, v) and several times (p, d).

        Times and volatilities beyond those of the table are taken at its edge; under the shortest
        life it solves, a quarter of a day, the premium fades in proportion to time.

        Returns:
            Terms of shape (p, v, d).
        """
        life = np.maximum(tau, LEAST_LIFE)
        vols = np.maximum(sigma, _LEAST_SIGMA)
        by_time, by_vol = self.time.basis(np.sqrt(life)), self.vol.basis(np.log(vols))
        shape = (*by_time.shape[:2], *self.premium.shape[1:])
        at_time = (by_time @ self.premium.reshape(len(self.premium), -1)).reshape(shape)
        at_time *= (np.minimum(tau, LEAST_LIFE) / LEAST_LIFE)[:, :, None, None]
        # (p, 1, v, s) @ (p, d, s, k) = (p, d, v, k)
        coefficient = (by_vol[:, None] @ at_time).transpose(3, 0, 2, 1)
        critical = by_vol @ (by_time @ self.critical).transpose(0, 2, 1)
        rise = 2.0 / (REACH * vols[:, :, None] * np.sqrt(life)[:, None, :])
        return Terms(rise, -1.0 - critical * rise, np.ascontiguousarray(coefficient))


class _Axis(NamedTuple):
    """An interval and its Chebyshev nodes."""

    middle: float
    half_width: float
    size: int

    @classmethod
    def over(cls, low: float, high: float, size: int) -> _Axis:
        """*size* nodes on [*low*, *high*]; an interval that is a point is given a width."""
        return cls(0.5 * (low + high), max(0.5 * (high - low), 1e-6), size)

    @property
    def nodes(self) -> FloatArray:
        """Chebyshev nodes inside the interval, (size,)."""
        return np.asarray(self.middle + self.half_width * np.cos(self._angles()))

    def basis(self, value: FloatArray) -> FloatArray:
        """Chebyshev polynomials at values (...): (..., size)."""
        place = np.clip((value - self.middle) / self.half_width, -1.0, 1.0)
        return np.asarray(chebyshev.chebvander(place, self.size - 1), dtype=np.float64)

    def transform(self) -> FloatArray:
        """Matrix (size, size) from values at the nodes to coefficients."""
        matrix: FloatArray = np.cos(np.outer(np.arange(self.size), self._angles()))
        matrix *= 2.0 / self.size
        matrix[0] *= 0.5
        return matrix

    def _angles(self) -> FloatArray:
        return np.pi * (np.arange(self.size) + 0.5) / self.size


@lru_cache(maxsize=256)
def build(
    tau: tuple[float, float], rate: float, div_yield: float, sigma: tuple[float, float]
) -> PremiumTable | None:
    """
    Premiums of puts for all times and all volatilities between two; the last 256 are kept.

    Args:
        tau: Shortest and longest time to expiry, years.
        rate, div_yield: Of the put; a call is the put with the two exchanged.
        sigma: Least and largest volatility.

    Returns:
        The table, or None where early exercise is never worth it: rate not positive, unless it is
        zero with a negative yield.
    """
    if not (rate > 0.0 or (rate == 0.0 and div_yield < 0.0)) or not tau[1] > 0.0:
        return None
    low, high = np.log(np.maximum(sigma, _LEAST_SIGMA))
    vol = _Axis.over(low, high, int(np.clip(5 + np.ceil(3.0 * (high - low)), 6, 24)))
    short, long = np.sqrt(np.maximum(tau, LEAST_LIFE))
    time = _Axis.over(short, long, int(np.clip(3 + np.ceil(3.0 * np.log(long / short)), 4, 14)))
    lives, vols = time.nodes**2, np.exp(vol.nodes)
    critical, premium = _premiums(lives, rate, div_yield, vols)
    from_time, from_vol = time.transform(), vol.transform()
    return PremiumTable(
        time,
        vol,
        from_time @ critical @ from_vol.T,
        np.tensordot(from_time, from_vol @ premium, axes=1),
    )


def _premiums(
    tau: FloatArray, rate: float, div_yield: float, sigma: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log critical price (t, s) and polynomial coefficients of the premium (t, s, d)."""
    rule, longest = _rule(), float(tau.max())
    square = american_boundary.squared_depth(longest, rate, div_yield, sigma, RESOLUTION)
    log_start = american_boundary.start(rate, div_yield)
    share = np.sqrt(tau / longest)
    at = np.concatenate((share[:, None] * rule.left, share[:, None]), axis=1)
    nodes = american_boundary.time_nodes(RESOLUTION)
    # At expiry, the last of the nodes, the boundary is at its start.
    onto = american_boundary.interpolation(nodes, at.ravel())[:, :-1].T
    depth = np.sqrt(np.maximum(square @ onto, 0.0)).reshape(sigma.size, *at.shape)
    critical = log_start - depth[:, :, -1].T
    pay = np.empty((tau.size, sigma.size, rule.share.size))
    for row, (life, low) in enumerate(zip(tau, critical, strict=True)):
        elapsed = life * rule.elapsed
        weight = life * rule.weight
        gap = (sigma[:, None] * np.sqrt(elapsed))[:, None, :]
        x = low[:, None] + (REACH * sigma * np.sqrt(life))[:, None] * rule.share
        d = (depth[:, row, :-1] + (rate - div_yield) * elapsed - log_start)[:, None, :] / gap
        d = d + x[:, :, None] / gap
        half = 0.5 * gap
        pay[row] = ndtr(half - d) @ (rate * np.exp(-rate * elapsed) * weight)
        if div_yield != 0.0:
            give = div_yield * np.exp(-div_yield * elapsed) * weight
            # Where the exponential has no number any more the probability is none.
            pay[row] -= np.exp(np.minimum(x, 700.0)) * (ndtr(-half - d) @ give)
    return critical, pay @ rule.polynomial


class _Rule(NamedTuple):
    """Quadrature over time and nodes across the reach, for a life of one year."""

    elapsed: FloatArray
    left: FloatArray
    weight: FloatArray
    share: FloatArray
    polynomial: FloatArray


@cache
def _rule() -> _Rule:
    angle, weights = american_boundary.quarter_turn(_QUADRATURE)
    sine, cosine = np.sin(angle), np.cos(angle)
    place = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    return _Rule(
        elapsed=sine**2,
        left=cosine,
        weight=2.0 * sine * cosine * weights,
        share=0.5 * (place + 1.0),
        polynomial=np.linalg.inv(np.vander(place, increasing=True)).T,
    )
