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

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import FloatArray


class Resolution(NamedTuple):
    """How finely a boundary is solved; more of each is slower and more exact."""

    sigmas: int
    """Volatilities of a band at which the boundary is solved."""
    times: int
    """Chebyshev intervals in the square root of time."""
    inner: int
    """Quadrature points of the boundary equation."""
    outer: int
    """Quadrature points of the premium."""
    iterations: int
    """Most fixed-point steps; seven or eight are usual."""
    tolerance: float
    """Largest last step, in standard deviations over the life; what is left is a fifth of it."""


STANDARD = Resolution(sigmas=12, times=8, inner=8, outer=14, iterations=60, tolerance=1e-6)
"""Within a millionth of spot of the exact price; the premium's quadrature decides."""
AMPLE = Resolution(sigmas=16, times=12, inner=24, outer=32, iterations=60, tolerance=1e-6)
"""The same where `STANDARD` does not reach: long lives, large rates, odd volatilities."""
FINE = Resolution(sigmas=24, times=24, inner=32, outer=48, iterations=80, tolerance=1e-8)
"""Nine to ten digits of the premium; about ten times slower."""

BAND_LOW, BAND_RATIO = 0.1, 5.0
"""Band 0 begins at the first and is as wide in ratio as the second."""
BAND_HIGH = 2.5
"""From here bands are a factor of four wide each."""
_HIGH_BAND, _HIGH_RATIO = 2, 4.0
LOWEST_BAND, HIGHEST_BAND = -6, 4
CACHED_BOUNDARIES = 1024

_LOWEST_PLAIN, _MOST_VARIANCE, _MOST_INTEREST = -1, 10.0, 0.15
"""Lowest band, and variance and interest over the whole life, up to which `STANDARD` suffices."""

_INV_SQRT_2PI = 0.3989422804014327
_MIXING = 0.5
_BLOCK = 512
CLUSTERING = 0.85
"""How much the nodes of the premium gather at today, where its integrand is narrow; 0 is not."""


class Slopes(NamedTuple):
    """Premium of a put with strike 1 and its derivatives in x = log(spot) and sigma."""

    value: FloatArray
    by_x: FloatArray
    by_xx: FloatArray
    by_sigma: FloatArray


def band_of(sigma: FloatArray) -> FloatArray:
    """Number of the volatility band of each element, as a float."""
    low = np.floor(np.log(sigma / BAND_LOW) / np.log(BAND_RATIO))
    high = _HIGH_BAND + np.floor(np.log(sigma / BAND_HIGH) / np.log(_HIGH_RATIO))
    return np.asarray(np.where(sigma < BAND_HIGH, low, high), dtype=np.float64)


def band_edges(band: int) -> tuple[float, float]:
    """Lowest and highest volatility of a band."""
    if band >= _HIGH_BAND:
        above = band - _HIGH_BAND
        return BAND_HIGH * _HIGH_RATIO**above, BAND_HIGH * _HIGH_RATIO ** (above + 1)
    return BAND_LOW * BAND_RATIO**band, BAND_LOW * BAND_RATIO ** (band + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """
    Critical prices of a put with strike 1, ready to price any strike and volatility of a band.

    log(start / critical price) at the premium's quadrature times is a sum of Chebyshev polynomials
    in log(sigma). So d1 and d2 at those times are linear in the polynomials, in x = log(spot) and
    in sigma squared, all over sigma: `coefficients` (sigmas + 2, 2 outer) turns these into -d2 and
    -d1.
    """

    rate: float
    div_yield: float
    middle: float
    half_width: float
    coefficients: FloatArray
    today: FloatArray
    """(sigmas,) coefficients of the log of today's critical price."""
    tau: float
    sine: FloatArray
    sine_weight: FloatArray
    root: FloatArray
    weight_rate: FloatArray
    weight_yield: FloatArray

    def premium(self, x: FloatArray, sigma: FloatArray) -> FloatArray:
        """Value of the right to exercise early, per unit of strike; x = log(spot / strike)."""
        out = np.empty(x.shape)
        outer = self.root.size
        # Without a yield there is nothing to lose, and half of it is not needed.
        used = self.coefficients if self.div_yield != 0.0 else self.coefficients[:, :outer]
        for start in range(0, x.size, _BLOCK):
            piece = slice(start, start + _BLOCK)
            beyond = self._terms(x[piece], sigma[piece], self._basis(sigma[piece])).T @ used
            ndtr(beyond, out=beyond)
            part = beyond[:, :outer] @ self.weight_rate
            if self.div_yield != 0.0:
                part -= np.exp(x[piece]) * (beyond[:, outer:] @ self.weight_yield)
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
        return np.asarray(self.today @ self._basis(sigma), dtype=np.float64)

    def _basis(self, sigma: FloatArray) -> FloatArray:
        """Chebyshev polynomials of log(sigma), one row each."""
        t = np.log(sigma)
        t -= self.middle
        t /= self.half_width
        return _chebyshev(t, t, self.today.size)

    def _basis_slope(self, sigma: FloatArray) -> FloatArray:
        """Their derivatives in sigma: n times the polynomial of the second kind before."""
        t = (np.log(sigma) - self.middle) / self.half_width
        out = np.zeros((self.today.size, sigma.size))
        out[1:] = _chebyshev(t, 2.0 * t, self.today.size - 1)
        out *= np.arange(self.today.size)[:, None]
        out /= sigma * self.half_width
        return out

    def _terms(self, x: FloatArray, sigma: FloatArray, basis: FloatArray) -> FloatArray:
        """What d1 and d2 are linear in, (sigmas + 2, n)."""
        terms = np.empty((len(basis) + 2, x.size))
        np.divide(basis, sigma, out=terms[:-2])
        np.divide(x, sigma, out=terms[-2])
        terms[-1] = sigma
        return terms

    def value_and_vega(self, x: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The premium and its derivative in sigma alone, at half the cost of all slopes."""
        out = np.empty((2, x.size))
        for start in range(0, x.size, _BLOCK):
            piece = slice(start, start + _BLOCK)
            integrals = self._integrals(x[piece], sigma[piece])
            out[0, piece] = integrals.below_rate - integrals.below_yield
            out[1, piece] = self._by_sigma(sigma[piece], integrals)
        return out[0], out[1]

    def _integrals(self, x: FloatArray, sigma: FloatArray) -> _Integrals:
        basis, outer = self._basis(sigma), self.root.size
        beyond = self._terms(x, sigma, basis).T @ self.coefficients
        density = beyond * beyond
        density *= -0.5
        np.exp(density, out=density)
        density *= _INV_SQRT_2PI
        spot, chance = np.exp(x), ndtr(beyond)
        return _Integrals(
            basis,
            d1=-beyond[:, outer:],
            d2=-beyond[:, :outer],
            n1=density[:, outer:] * (self.weight_yield * spot[:, None]),
            n2=density[:, :outer] * self.weight_rate,
            below_rate=chance[:, :outer] @ self.weight_rate,
            below_yield=spot * (chance[:, outer:] @ self.weight_yield),
        )

    def _by_sigma(self, sigma: FloatArray, i: _Integrals) -> FloatArray:
        shift = self._basis_slope(sigma).T @ self.coefficients[:-2, : self.root.size]
        slope = i.n2 * (i.d1 + shift)
        slope -= i.n1 * (i.d2 + shift)
        return np.asarray(slope.sum(axis=1) / sigma, dtype=np.float64)

    def _slopes(self, x: FloatArray, sigma: FloatArray) -> Slopes:
        i = self._integrals(x, sigma)
        ungap = (1.0 / sigma)[:, None] / self.root
        by_x = np.sum((i.n1 - i.n2) * ungap, axis=1) - i.below_yield
        curve = ((i.n2 * i.d2 - i.n1 * i.d1) * ungap + 2.0 * i.n1) * ungap
        by_xx = curve.sum(axis=1) - i.below_yield
        more_x, more_xx = self._near_boundary(x, sigma, self.today @ i.basis)
        value = i.below_rate - i.below_yield
        return Slopes(value, by_x + more_x, by_xx + more_xx, self._by_sigma(sigma, i))

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


class _Integrals(NamedTuple):
    """At options and quadrature points d1, d2 and the weighted densities; and their sums."""

    basis: FloatArray
    d1: FloatArray
    d2: FloatArray
    n1: FloatArray
    n2: FloatArray
    below_rate: FloatArray
    below_yield: FloatArray


def _chebyshev(t: FloatArray, first: FloatArray, count: int) -> FloatArray:
    """Polynomials of degree 0 to *count* - 1 at t, one row each; the kind is that of the first."""
    rows = np.empty((count, t.size))
    rows[0] = 1.0
    rows[1] = first
    twice = 2.0 * t
    for k in range(2, count):
        np.multiply(twice, rows[k - 1], out=rows[k])
        rows[k] -= rows[k - 2]
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """
    Nodes and weights for a life of one year; times scale with tau, roots with its root.

    The last column of `back` is the expiry: what the equation holds outside its integrals.
    """

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
    nodes = time_nodes(resolution)
    root = nodes[:-1]
    angle, weight = quarter_turn(resolution.inner, 0.0)
    sine, cosine = np.sin(angle), np.cos(angle)
    past = root[:, None] * cosine
    outer, outer_weight = quarter_turn(resolution.outer)
    return _Mesh(
        root=root,
        past=past,
        back=root[:, None] * np.append(sine, 1.0),
        weight=2.0 * (root * root)[:, None] * sine * cosine * weight,
        # The last node is the expiry, where the depth is zero: its column is not needed.
        inward=interpolation(nodes, past.ravel())[:, :-1].T,
        outer_elapsed=np.sin(outer) ** 2,
        outer_weight=2.0 * np.sin(outer) * np.cos(outer) * outer_weight,
        outward=interpolation(nodes, np.cos(outer))[:, :-1].T,
    )


def time_nodes(resolution: Resolution) -> FloatArray:
    """Square roots of the lives of a boundary, of its longest, falling to zero: (times + 1,)."""
    nodes = np.cos(np.pi * np.arange(resolution.times + 1) / resolution.times)
    return np.asarray(0.5 * (1.0 + nodes), dtype=np.float64)


def quarter_turn(count: int, clustering: float = CLUSTERING) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on a quarter turn, gathered at its start."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    share, turn = 0.5 * (nodes + 1.0), 0.5 * np.pi
    angle = turn * share * (1.0 - clustering + clustering * share)
    return angle, 0.5 * turn * weights * (1.0 - clustering + 2.0 * clustering * share)


def interpolation(nodes: FloatArray, at: FloatArray) -> FloatArray:
    """Barycentric matrix (m, n) from values on Chebyshev extrema (n,) to values at others (m,)."""
    signs = (-1.0) ** np.arange(nodes.size)
    signs[[0, -1]] *= 0.5
    distance = at[:, None] - nodes
    hit = np.abs(distance) < 1e-14
    terms = signs / np.where(hit, 1.0, distance)
    terms /= terms.sum(axis=1, keepdims=True)
    return np.where(hit.any(axis=1, keepdims=True), hit.astype(np.float64), terms)


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
        resolution: Numbers of nodes; `AMPLE` takes the place of `STANDARD` where that is needed.
    """
    if resolution == STANDARD and not _is_plain(tau, rate, div_yield, band):
        resolution = AMPLE
    mesh, turn = _mesh(resolution), _transform(resolution.sigmas)
    low, high = np.log(band_edges(band))
    middle, half_width = 0.5 * (low + high), 0.5 * (high - low)
    sigma = np.exp(middle + half_width * turn.nodes)
    square = squared_depth(tau, rate, div_yield, sigma, resolution)
    coefficients = turn.matrix @ np.sqrt(np.maximum(square @ mesh.outward, 0.0))
    log_start = start(rate, div_yield)
    elapsed = tau * mesh.outer_elapsed
    root = np.sqrt(elapsed)
    # The first quadrature points lie so near today that a straight line leads there.
    slope = (coefficients[:, 1] - coefficients[:, 0]) / (elapsed[1] - elapsed[0])
    today = slope * elapsed[0] - coefficients[:, 0]
    today[0] += log_start
    coefficients[0] += (rate - div_yield) * elapsed - log_start
    ahead = np.vstack((coefficients / root, 1.0 / root))
    half = 0.5 * root
    return Boundary(
        rate=rate,
        div_yield=div_yield,
        middle=float(middle),
        half_width=float(half_width),
        coefficients=np.hstack((np.vstack((-ahead, half)), np.vstack((-ahead, -half)))),
        today=today,
        tau=tau,
        sine=np.sqrt(mesh.outer_elapsed),
        sine_weight=mesh.outer_weight / (2.0 * np.sqrt(mesh.outer_elapsed)),
        root=root,
        weight_rate=rate * np.exp(-rate * elapsed) * tau * mesh.outer_weight,
        weight_yield=div_yield * np.exp(-div_yield * elapsed) * tau * mesh.outer_weight,
    )


def _is_plain(tau: float, rate: float, div_yield: float, band: int) -> bool:
    variance = tau * band_edges(band)[1] ** 2
    interest = tau * max(abs(rate), abs(div_yield), abs(rate - div_yield))
    return band >= _LOWEST_PLAIN and variance <= _MOST_VARIANCE and interest <= _MOST_INTEREST


class _Transform(NamedTuple):
    """Chebyshev nodes on [-1, 1], and the matrix from values there to coefficients."""

    nodes: FloatArray
    matrix: FloatArray


@cache
def _transform(count: int) -> _Transform:
    order = np.arange(count)
    angle = np.pi * (order + 0.5) / count
    matrix = np.cos(np.outer(order, angle)) * (2.0 / count)
    matrix[0] *= 0.5
    return _Transform(np.cos(angle), matrix)


def start(rate: float, div_yield: float) -> float:
    """Log of the critical price of a put with strike 1 at its expiry."""
    if div_yield <= 0.0:
        return 0.0
    return min(0.0, math.log(rate / div_yield))


def squared_depth(
    tau: float, rate: float, div_yield: float, sigma: FloatArray, resolution: Resolution
) -> FloatArray:
    """
    Square of log(start / critical price), (s, times), at the `time_nodes` but the last.

    It is smooth in the root of time and in log(sigma), and zero at expiry.

    Args:
        tau: Years to expiry, positive: the longest life.
        rate, div_yield: As in `solve`.
        sigma: (s,) volatilities, positive.
    """
    with np.errstate(all="ignore"):
        depth = _Equation(_mesh(resolution), tau, rate, div_yield, sigma).solve(
            resolution.iterations, resolution.tolerance
        )
    return depth * depth


class _Equation:
    """The boundary equation at given volatilities, as a step from one boundary to the next."""

    def __init__(
        self, mesh: _Mesh, tau: float, rate: float, div_yield: float, sigma: FloatArray
    ) -> None:
        drift, log_start = rate - div_yield, start(rate, div_yield)
        root, back = math.sqrt(tau) * mesh.root, math.sqrt(tau) * mesh.back
        past, weight = tau * mesh.past**2, tau * mesh.weight
        gap = sigma[:, None, None] * back
        self.inward = mesh.inward
        self.first = _first_depth(sigma, root, rate, div_yield, log_start)
        self.own_gap = sigma[:, None] * root
        self.ungap, self.half_gap = 1.0 / gap, 0.5 * gap
        # What a depth at its own time is added to, over the past and at the expiry.
        self.carried = np.broadcast_to(drift * back**2, gap.shape).copy()
        self.carried[:, :, -1] += log_start
        self.level = log_start + drift * root * root
        self.mixing = _MIXING * np.maximum(drift * root / sigma[:, None], 0.0) ** 2 / self.own_gap
        self.of_rate = self._side(rate, past, weight)
        self.of_yield = self._side(div_yield, past, weight)

    def _side(self, rate: float, past: FloatArray, weight: FloatArray) -> _Side:
        """Weights of one side's places; one that earns nothing has the expiry alone."""
        grow = np.ones((len(past), past.shape[1] + 1))
        grow[:, :-1] = rate * np.exp(rate * past) * weight
        places = slice(None) if rate != 0.0 else slice(-1, None)
        grow, ungap = grow[:, places], self.ungap[:, :, places]
        return _Side(places, grow, _INV_SQRT_2PI * grow * ungap, self.half_gap[:, :, places])

    def solve(self, iterations: int, tolerance: float) -> FloatArray:
        """Depth of the boundary below its start, log(start / critical), per sigma and time."""
        depth = self.first
        for _ in range(iterations):
            new = self._step(depth)
            change = np.max(np.abs(new - depth) / self.own_gap[:, :1])
            depth = new
            if change < tolerance:
                break
        return depth

    def _step(self, depth: FloatArray) -> FloatArray:
        d = self.carried - depth[:, :, None]
        then = np.maximum((depth * depth) @ self.inward, 0.0)
        d[:, :, :-1] += np.sqrt(then, out=then).reshape(*depth.shape, -1)
        d *= self.ungap
        above = self._both_systems(self.of_rate, d, -1.0, self.mixing)
        # System A has the density alone above the line and density plus probability below it.
        below = self._both_systems(self.of_yield, d, 1.0, 1.0 + self.mixing)
        new = np.fmax(self.level - np.log(above / below), 0.5 * depth)
        return np.asarray(np.minimum(new, 2.0 * depth), dtype=np.float64)

    def _both_systems(
        self, side: _Side, middle: FloatArray, sign: float, mixing: FloatArray
    ) -> FloatArray:
        """Densities over their gap (system A) and, times *mixing*, probabilities (system B)."""
        d = middle[:, :, side.places] + sign * side.half_gap
        both: FloatArray = np.einsum("sij,ij->si", ndtr(d), side.grow)
        both *= mixing
        d *= d
        d *= -0.5
        np.exp(d, out=d)
        both += np.einsum("sij,sij->si", d, side.density)
        return both


class _Side(NamedTuple):
    """The places that rate or yield has in the equation, (s, times, n), and their weights."""

    places: slice
    grow: FloatArray
    density: FloatArray
    half_gap: FloatArray


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
