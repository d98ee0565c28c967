"""
The early-exercise boundary of one expiry, shared by all its strikes.

Everything here is a put with strike 1; a call is a put with spot and strike, and rate and yield,
exchanged (McDonald and Schroder 1998). For given time, rate and yield the critical price depends on
volatility alone, so it is solved once on a set of volatilities and interpolated: after that an
option costs one small matrix product and a pair of normal probabilities per quadrature point.

Method: the integral equation of Kim (1990) as the fixed point of Andersen, Lake and Offengenden
(2016), "High performance American option pricing", on Chebyshev nodes in the square root of time.
Two departures: their systems A (fast, diverges where drift dominates volatility) and B (slow, does
not) are added with a weight that grows with that ratio, which keeps both properties; and all
integrals run over an angle, time = tau * sin^2, which makes the square roots at both ends smooth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import FloatArray


class Resolution(NamedTuple):
    """How finely a boundary is solved; more of each is slower and more exact."""

    sigmas: int
    """Volatilities at which the boundary is solved."""
    times: int
    """Chebyshev intervals in the square root of time."""
    inner: int
    """Quadrature points of the boundary equation."""
    outer: int
    """Quadrature points of the premium."""
    iterations: int
    """Most fixed-point steps; eight or nine are usual."""


STANDARD = Resolution(sigmas=32, times=12, inner=24, outer=24, iterations=60)
"""Within a millionth of spot of the exact price."""
FINE = Resolution(sigmas=48, times=24, inner=48, outer=48, iterations=80)
"""Nine to ten digits of the premium; about ten times slower."""

BAND_LOW, BAND_HIGH = 0.04, 2.5
"""Band 0; the bands below are as wide in ratio, those above a factor of four each."""
_HIGH_RATIO = 4.0
LOWEST_BAND, HIGHEST_BAND = -2, 3
CACHED_BOUNDARIES = 512

_INV_SQRT_2PI = 0.3989422804014327
_TOLERANCE = 1e-6
_MIXING = 0.5
_BLOCK = 256


class Slopes(NamedTuple):
    """Premium of a put with strike 1 and its derivatives in x = log(spot) and sigma."""

    value: FloatArray
    by_x: FloatArray
    by_xx: FloatArray
    by_sigma: FloatArray


def band_of(sigma: FloatArray) -> FloatArray:
    """Number of the volatility band of each element, as a float."""
    low = np.floor(np.log(sigma / BAND_LOW) / np.log(BAND_HIGH / BAND_LOW))
    high = 1.0 + np.floor(np.log(sigma / BAND_HIGH) / np.log(_HIGH_RATIO))
    return np.asarray(np.where(sigma < BAND_HIGH, low, high), dtype=np.float64)


def band_edges(band: int) -> tuple[float, float]:
    """Lowest and highest volatility of a band."""
    if band > 0:
        return BAND_HIGH * _HIGH_RATIO ** (band - 1), BAND_HIGH * _HIGH_RATIO**band
    ratio = BAND_HIGH / BAND_LOW
    return BAND_LOW * ratio**band, BAND_HIGH * ratio**band


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """
    Critical prices of a put with strike 1, ready to price any strike and volatility of a band.

    ``depth(sigma)`` is log(start / critical price) at the premium's quadrature times, stored as
    Chebyshev coefficients in log(sigma).
    """

    rate: float
    div_yield: float
    log_start: float
    middle: float
    half_width: float
    coefficients: FloatArray
    tau: float
    sine: FloatArray
    sine_weight: FloatArray
    elapsed: FloatArray
    root: FloatArray
    weight_rate: FloatArray
    weight_yield: FloatArray

    def premium(self, x: FloatArray, sigma: FloatArray) -> FloatArray:
        """Value of the right to exercise early, per unit of strike; x = log(spot / strike)."""
        out = np.empty(x.shape)
        for start in range(0, x.size, _BLOCK):
            piece = slice(start, start + _BLOCK)
            depth = self._basis(sigma[piece], derivative=False).T @ self.coefficients
            d, half, _ = self._distance(x[piece], sigma[piece], depth)
            part = ndtr(half - d) @ self.weight_rate
            if self.div_yield != 0.0:
                half += d
                np.negative(half, out=half)
                part -= np.exp(x[piece]) * (ndtr(half) @ self.weight_yield)
            out[piece] = part
        return np.maximum(out, 0.0, out=out)

    def slopes(self, x: FloatArray, sigma: FloatArray) -> Slopes:
        """The premium with its derivatives, analytic under the integral."""
        out = np.empty((4, x.size))
        for start in range(0, x.size, _BLOCK):
            piece = slice(start, start + _BLOCK)
            out[:, piece] = self._slopes(x[piece], sigma[piece])
        return Slopes(*out)

    def deepest(self, sigma: FloatArray) -> FloatArray:
        """Log of today's critical price: at or below it the option is exercised."""
        return self._today(self._basis(sigma, derivative=False).T @ self.coefficients)

    def _today(self, depth: FloatArray) -> FloatArray:
        # The first quadrature points lie a ten-thousandth of the life ahead: a straight line does.
        soon, later = self.elapsed[:2]
        slope = (depth[:, 1] - depth[:, 0]) / (later - soon)
        today: FloatArray = self.log_start - (depth[:, 0] - slope * soon)
        return today

    def _basis(self, sigma: FloatArray, *, derivative: bool) -> FloatArray:
        """Chebyshev polynomials of log(sigma), or their derivatives in sigma, one row each."""
        t = (np.log(sigma) - self.middle) / self.half_width
        count = len(self.coefficients)
        first = np.empty((count, sigma.size))
        first[0] = 1.0
        first[1] = 2.0 * t if derivative else t
        np.multiply(t, 2.0, out=t)
        for k in range(2, count):
            np.multiply(t, first[k - 1], out=first[k])
            first[k] -= first[k - 2]
        if not derivative:
            return first
        out = np.zeros_like(first)
        out[1:] = first[:-1] * np.arange(1, count)[:, None]
        out /= sigma * self.half_width
        return out

    def _distance(
        self, x: FloatArray, sigma: FloatArray, depth: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Middle of d1 and d2, half their gap, and the gap, per option and quadrature point."""
        d = depth + (self.rate - self.div_yield) * self.elapsed
        d += (x - self.log_start)[:, None]
        gap = sigma[:, None] * self.root
        d /= gap
        return d, 0.5 * gap, gap

    def _slopes(self, x: FloatArray, sigma: FloatArray) -> Slopes:
        depth = self._basis(sigma, derivative=False).T @ self.coefficients
        d, half, gap = self._distance(x, sigma, depth)
        d1, d2 = d + half, d - half
        shift = self._basis(sigma, derivative=True).T @ self.coefficients / gap
        spot = np.exp(x)
        below_rate = ndtr(-d2) @ self.weight_rate
        below_yield = spot * (ndtr(-d1) @ self.weight_yield)
        n2 = _INV_SQRT_2PI * np.exp(-0.5 * d2 * d2) * self.weight_rate
        n1 = _INV_SQRT_2PI * np.exp(-0.5 * d1 * d1) * self.weight_yield * spot[:, None]
        by_x = np.sum((n1 - n2) / gap, axis=1) - below_yield
        by_xx = np.sum((n2 * d2 - n1 * d1) / (gap * gap) + 2.0 * n1 / gap, axis=1) - below_yield
        turn = 1.0 / sigma[:, None]
        by_sigma = np.sum(n2 * (d1 * turn - shift) - n1 * (d2 * turn - shift), axis=1)
        more_x, more_xx = self._near_boundary(x, sigma, self._today(depth))
        return Slopes(below_rate - below_yield, by_x + more_x, by_xx + more_xx, by_sigma)

    def _near_boundary(
        self, x: FloatArray, sigma: FloatArray, today: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """
        What the quadrature misses of the first two derivatives next to the boundary.

        There the integrands are narrow peaks at the start of the life. Their leading parts,
        phi(c / s) and c / s^2 phi(c / s) with s = sin(angle), integrate in closed form; this is the
        closed form less its quadrature.
        """
        c = np.maximum((x - today) / (sigma * np.sqrt(self.tau)), 0.0)
        peak = _INV_SQRT_2PI * np.exp(-0.5 * (c[:, None] / self.sine) ** 2)
        tail, density = ndtr(-c), _INV_SQRT_2PI * np.exp(-0.5 * c * c)
        gain = 2.0 * (self.rate - self.div_yield * np.exp(x)) / sigma
        first = density - c * tail - peak @ self.sine_weight
        second = tail - c * (peak @ (self.sine_weight / self.sine**2))
        return -gain * np.sqrt(self.tau) * first, gain / sigma * second


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """Nodes and weights for a life of one year; times scale with tau, roots with its root."""

    root: FloatArray
    past: FloatArray
    back: FloatArray
    weight: FloatArray
    inward: FloatArray
    outer_elapsed: FloatArray
    outer_weight: FloatArray
    outward: FloatArray


@cache
def _mesh(resolution: Resolution) -> _Mesh:
    nodes = np.cos(np.pi * np.arange(resolution.times + 1) / resolution.times)
    root = 0.5 * (1.0 + nodes[:-1])
    angle, weight = _angles(resolution.inner)
    sine, cosine = np.sin(angle), np.cos(angle)
    past = root[:, None] * cosine
    outer, outer_weight = _angles(resolution.outer)
    return _Mesh(
        root=root,
        past=past,
        back=root[:, None] * sine,
        weight=2.0 * (root * root)[:, None] * sine * cosine * weight,
        # The last node is the expiry, where the depth is zero: its column is not needed.
        inward=_interpolation(nodes, 2.0 * past.ravel() - 1.0)[:, :-1],
        outer_elapsed=np.sin(outer) ** 2,
        outer_weight=2.0 * np.sin(outer) * np.cos(outer) * outer_weight,
        outward=_interpolation(nodes, 2.0 * np.cos(outer) - 1.0)[:, :-1],
    )


def _angles(count: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on a quarter turn."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1.0) * np.pi / 4.0, weights * np.pi / 4.0


def _interpolation(nodes: FloatArray, at: FloatArray) -> FloatArray:
    """Barycentric matrix from values on Chebyshev extrema to values at other places."""
    signs = (-1.0) ** np.arange(nodes.size)
    signs[[0, -1]] *= 0.5
    terms = signs / (at[:, None] - nodes)
    return np.asarray(terms / terms.sum(axis=1, keepdims=True), dtype=np.float64)


@lru_cache(maxsize=CACHED_BOUNDARIES)
def solve(
    tau: float, rate: float, div_yield: float, band: int = 0, resolution: Resolution = STANDARD
) -> Boundary:
    """
    The boundary of a put for one expiry and one band of volatilities.

    The last ``CACHED_BOUNDARIES`` results are kept, by exact arguments: a chain pays for its
    boundaries once, until time, rate or yield change. ``solve.cache_clear()`` forgets them.

    Args:
        tau: Years to expiry, positive.
        rate, div_yield: Fractions per year; rate positive, or zero with a negative yield.
        band: Which volatilities, see ``band_edges``.
        resolution: Numbers of nodes.
    """
    mesh = _mesh(resolution)
    low, high = np.log(band_edges(band))
    middle, half_width = 0.5 * (low + high), 0.5 * (high - low)
    order = np.arange(resolution.sigmas)
    angle = np.pi * (order + 0.5) / resolution.sigmas
    sigma = np.exp(middle + half_width * np.cos(angle))
    log_start = min(0.0, float(np.log(rate / div_yield))) if div_yield > 0.0 else 0.0
    with np.errstate(all="ignore"):
        depth = _fixed_point(mesh, tau, rate, div_yield, sigma, log_start, resolution.iterations)
    at_outer = np.sqrt(np.maximum((depth * depth) @ mesh.outward.T, 0.0))
    transform = np.cos(np.outer(order, angle)) * (2.0 / resolution.sigmas)
    transform[0] *= 0.5
    elapsed = tau * mesh.outer_elapsed
    return Boundary(
        rate=rate,
        div_yield=div_yield,
        log_start=log_start,
        middle=float(middle),
        half_width=float(half_width),
        coefficients=transform @ at_outer,
        tau=tau,
        sine=np.sqrt(mesh.outer_elapsed),
        sine_weight=mesh.outer_weight / (2.0 * np.sqrt(mesh.outer_elapsed)),
        elapsed=elapsed,
        root=np.sqrt(elapsed),
        weight_rate=rate * np.exp(-rate * elapsed) * tau * mesh.outer_weight,
        weight_yield=div_yield * np.exp(-div_yield * elapsed) * tau * mesh.outer_weight,
    )


def _fixed_point(
    mesh: _Mesh,
    tau: float,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    log_start: float,
    iterations: int,
) -> FloatArray:
    """Depth of the boundary below its start, log(start / critical), per sigma and time node."""
    drift = rate - div_yield
    root = np.sqrt(tau) * mesh.root
    elapsed = root * root
    shape = (sigma.size, *mesh.past.shape)
    past, back = tau * mesh.past**2, np.sqrt(tau) * mesh.back
    grow_rate = rate * np.exp(rate * past) * tau * mesh.weight
    grow_yield = div_yield * np.exp(div_yield * past) * tau * mesh.weight
    gap = sigma[:, None, None] * back
    own_gap = sigma[:, None] * root
    mixing = _MIXING * np.maximum(drift * root / sigma[:, None], 0.0) ** 2 / own_gap
    depth = _first_depth(sigma, root, rate, div_yield, log_start)
    for _ in range(iterations):
        then = np.sqrt(np.maximum((depth * depth) @ mesh.inward.T, 0.0)).reshape(shape)
        d = then
        d -= depth[:, :, None]
        d += drift * back**2
        d /= gap
        own = (log_start - depth + drift * elapsed) / own_gap
        rate_sides = _both_systems(d - 0.5 * gap, gap, own - 0.5 * own_gap, own_gap, grow_rate)
        yield_sides = _both_systems(d + 0.5 * gap, gap, own + 0.5 * own_gap, own_gap, grow_yield)
        # System A has the density alone above the line and density plus probability below it.
        above = rate_sides[1] + mixing * rate_sides[0]
        below = yield_sides[1] + (1.0 + mixing) * yield_sides[0]
        new = log_start + drift * elapsed - np.log(above / below)
        new = np.clip(np.nan_to_num(new, nan=0.0), 0.5 * depth, 2.0 * depth)
        change = np.max(np.abs(new - depth) / own_gap[:, :1])
        depth = new
        if change < _TOLERANCE:
            break
    return depth


def _both_systems(
    d: FloatArray, gap: FloatArray, own: FloatArray, own_gap: FloatArray, grow: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Probabilities (system B) and densities over their gap (system A), over the past."""
    probability = ndtr(own)
    density = np.exp(-0.5 * own * own) * (_INV_SQRT_2PI / own_gap)
    if np.any(grow):
        probability += np.einsum("sij,ij->si", ndtr(d), grow)
        kernel = np.exp(-0.5 * d * d)
        kernel /= gap
        density += _INV_SQRT_2PI * np.einsum("sij,ij->si", kernel, grow)
    return probability, density


def _first_depth(
    sigma: FloatArray, root: FloatArray, rate: float, div_yield: float, log_start: float
) -> FloatArray:
    """
    The boundary near expiry, no deeper than that of the perpetual option.

    Source: Barles, Burdeau, Romano and Samsoen (1995) for the logarithm when rate > yield.
    """
    tilt = (rate - div_yield) / sigma**2 - 0.5
    power = tilt + np.sqrt(tilt * tilt + 2.0 * rate / sigma**2)
    perpetual = log_start - np.log(power / (power + 1.0))
    near: FloatArray = sigma[:, None] * root
    if rate > div_yield:
        speed = sigma[:, None] / ((rate - div_yield) * root)
        near *= np.sqrt(np.maximum(np.log(speed * speed / (8.0 * np.pi)), 1.0))
    return np.minimum(near, perpetual[:, None])
