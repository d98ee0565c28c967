"""
The raw SVI parametrisation of total variance, and its fit to one expiry.

    w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)),   k = ln(strike / forward)

Inside this module a slice is the array ``(a, d, c, m, sigma)`` with c = b and d = b rho: in a, d
and c the curve is linear.

Sources: Gatheral (2004), "A Parsimonious Arbitrage-Free Implied Volatility Parameterization";
Gatheral and Jacquier (2014), "Arbitrage-Free SVI Volatility Surfaces"; De Marco and Martini
(2009), "Quasi-Explicit Calibration of Gatheral's SVI Model".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.linalg.lapack import dposv

from tomic._typing import BoolArray, FloatArray

WING_LIMIT = 1.4
"""
Steepest wing allowed in total variance. Lee (2004) allows 2, but above 1.4 the tails of the density
no longer vanish within the prices that a float can hold.
"""
HUBER = 1.345
"""Residuals beyond this many standard deviations count linearly: 95 % efficient if all are good."""
HINGE_WEIGHT = 30.0
"""How much more a violated inequality counts than the heaviest quote."""
LEAST_VARIANCE = 1e-8
"""Least total variance of a fitted slice, at its lowest point."""
GRID_POINTS = 141
_STEPS = np.linspace(-1.0, 1.0, GRID_POINTS)
GRID_START_M = np.array([0.15, 0.35, 0.5, 0.65, 0.85])
GRID_START_SIGMA = np.array([0.04, 0.12, 0.35, 1.0])

TRIAL_STEPS = 2
"""Steps from each start before the lower one is followed."""
FURTHEST_START = 2.0
"""Distances from the quotes, in that of the nearest start, beyond which a start is not tried."""
_FLATTEST = 1e-7
"""Least slope of a wing: its logarithm must be finite."""

Gap: TypeAlias = Callable[[FloatArray], FloatArray]
"""Slice → how far each inequality is violated: positive where it is, zero or less elsewhere."""
Slope: TypeAlias = Callable[[FloatArray, BoolArray], FloatArray]
"""Slice, inequalities → derivatives of those gaps in the slice, ``(5, chosen)``."""


class Hinge(NamedTuple):
    """Inequalities that a fit respects, by a penalty on the squares of the violations."""

    gap: Gap
    slope: Slope
    size: int
    """How many inequalities."""


class Quotes(NamedTuple):
    """What a slice is fitted to."""

    k: FloatArray
    """Log-moneyness."""
    w: FloatArray
    """Total variance."""
    q: FloatArray
    """Weight of a residual in total variance; only ratios matter."""


class Family(NamedTuple):
    """The slices a fit chooses from."""

    raw: Callable[[FloatArray], FloatArray]
    """Free parameters → slice."""
    turn: Callable[[FloatArray], FloatArray]
    """Derivatives of the slice in the free parameters, (5, p)."""


class Box(NamedTuple):
    """Bounds of the free parameters."""

    low: FloatArray
    high: FloatArray

    def within(self, x: FloatArray) -> FloatArray:
        """The nearest parameters inside."""
        return np.minimum(np.maximum(x, self.low), self.high)

    def holds(self, x: FloatArray) -> bool:
        """Whether *x* lies inside and on no bound."""
        ends = zip(self.low.tolist(), x.tolist(), self.high.tolist(), strict=True)
        return all(low < at < high for low, at, high in ends)


SSVI_BOX = Box(np.array([-40.0, -3.0, -12.0]), np.array([5.0, 3.0, 12.0]))
"""Of ln theta, atanh rho and the logit of phi's share of its bound."""


class SliceFit(NamedTuple):
    """A fitted slice."""

    raw: FloatArray
    covariance: FloatArray
    """Of the five raw numbers; NaN when there are no more quotes than parameters."""
    trust: FloatArray
    """Huber weight of every quote, 1 where it was believed in full."""
    loss: float = math.nan
    """Sum of the absolute weighted residuals, and of the inequalities' violations."""


def variance(raw: FloatArray, k: FloatArray) -> FloatArray:
    """w at log-moneyness *k*."""
    a, d, c, m, sigma = raw.tolist()
    y = k - m
    return np.asarray(a + d * y + c * np.sqrt(y * y + sigma * sigma))


def derivatives(raw: FloatArray, k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """w, w' and w'' at log-moneyness *k*."""
    a, d, c, m, sigma = raw.tolist()
    y = k - m
    root = np.sqrt(y * y + sigma * sigma)
    slope = y / root
    return a + d * y + c * root, d + c * slope, c * (1.0 - slope * slope) / root


def durrleman(k: FloatArray, w: FloatArray, dw: FloatArray, ddw: FloatArray) -> FloatArray:
    """
    g = (1 - k w'/2w)^2 - w'^2/4 (1/w + 1/4) + w''/2; the density is g times a positive number.

    Source: Gatheral and Jacquier (2014), equation 2.1.
    """
    relative, quarter = dw / w, 0.25 * dw
    first = 1.0 - 0.5 * (k * relative)
    return np.asarray(first * first - quarter * (relative + quarter) + 0.5 * ddw)


def arbitrage_grid(raw: FloatArray, reach: float) -> FloatArray:
    """Log-moneyness from -reach to reach around m, densest where the curve bends."""
    return np.asarray(raw[3] + _around(float(raw[4]), reach)[0])


def _around(sigma: float, reach: float) -> tuple[FloatArray, FloatArray]:
    """`arbitrage_grid` less m, and its square roots: sigma times sinh and cosh of equal steps."""
    grown = np.exp(math.asinh(max(reach, sigma) / sigma) * _STEPS)
    grown *= 0.5 * sigma
    return grown - grown[::-1], grown + grown[::-1]


def _on_grid(raw: FloatArray, reach: float) -> FloatArray:
    """Durrleman's g on the arbitrage grid."""
    a, d, c, m, sigma = raw.tolist()
    y, root = _around(sigma, reach)
    # As `durrleman`, in place: a fit comes here at every trial of a step.
    w, dw = c * root, y / root
    w += d * y
    w += a
    dw *= c
    dw += d
    relative = dw / w
    dw *= 0.25
    y += m
    y *= relative
    y *= -0.5
    y += 1.0
    y *= y
    relative += dw
    relative *= dw
    y -= relative
    bend = root * root
    bend *= root
    y += np.divide(0.5 * c * sigma * sigma, bend, out=bend)
    return y


def is_butterfly_free(raw: FloatArray, reach: float) -> bool:
    """Whether w > 0, g >= 0 on the grid and no wing is steeper than `WING_LIMIT`."""
    a, d, c, _, sigma = raw.tolist()
    if c + abs(d) > WING_LIMIT * (1.0 + 1e-12) or a + sigma * math.sqrt(max(c * c - d * d, 0)) <= 0:
        return False
    return bool(_on_grid(raw, reach).min() >= 0.0)


def gradient(raw: FloatArray, k: FloatArray) -> FloatArray:
    """Derivatives of w(k) in a, d, c, m, sigma; shape ``(5, quotes)``."""
    y = k - raw[3]
    return _gradient(raw, y, np.sqrt(y * y + raw[4] * raw[4]), np.ones(k.size))


def fit_raw(
    quotes: Quotes, begin: Sequence[FloatArray] | None = None, hinge: Hinge | None = None
) -> SliceFit:
    """
    Raw SVI by Levenberg-Marquardt with Huber weights.

    Args:
        begin: Slices to begin at, `starts` unless given. Where there are several, the descent
            goes on where it is lower after some steps.
        hinge: Inequalities to respect, by a penalty.
    """
    problem, box = _Problem(quotes, Family(_wings_to_raw, _wings_turn), hinge), _wings_box(quotes)
    slices = starts(quotes) if begin is None else begin
    points = [problem.at(box.within(_raw_to_wings(raw))) for raw in slices]
    nearest = min(map(problem.distance, points))
    # A start much further from the quotes than another leads to no better place.
    points = [point for point in points if problem.distance(point) <= FURTHEST_START * nearest]
    if len(points) > 1:
        points = [_tried(problem, point, box) for point in points]
    return problem.fit(_converged(problem, min(points, key=problem.distance), box))


def starts(quotes: Quotes) -> list[FloatArray]:
    """Slices to begin at: the SSVI slice of `rough_ssvi`, and the best legal one of a grid."""
    legal = _grid_start(quotes)
    return [rough_ssvi(quotes)] if legal is None else [rough_ssvi(quotes), legal]


def rough_ssvi(quotes: Quotes) -> FloatArray:
    """An SSVI slice after some steps: without butterfly arbitrage, and not far from the quotes."""
    problem = _Problem(quotes, Family(_ssvi_to_raw, _ssvi_turn), None)
    nearer = min((problem.at(x) for x in _ssvi_starts(quotes)), key=problem.distance)
    return _tried(problem, nearer, SSVI_BOX).raw


def fit_ssvi(quotes: Quotes, hinge: Hinge | None = None) -> SliceFit:
    """
    The three-parameter SSVI slice, free of butterfly arbitrage by construction.

    w = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)) with theta phi (1 + |rho|) < 4
    and theta phi^2 (1 + |rho|) <= 4, held by fitting phi as a share of its bound.

    Source: Gatheral and Jacquier (2014), theorem 4.2 and corollary 4.1.
    """
    problem = _Problem(quotes, Family(_ssvi_to_raw, _ssvi_turn), hinge)
    points = [_tried(problem, problem.at(x), SSVI_BOX) for x in _ssvi_starts(quotes)]
    return problem.fit(_converged(problem, min(points, key=problem.distance), SSVI_BOX))


def butterfly_hinge(reach: float, margin: float, unit: float) -> Hinge:
    """
    Inequalities g >= margin on the grid, for `fit_raw`.

    Args:
        unit: Total variance that one unit of g counts for.
    """

    def gap(raw: FloatArray) -> FloatArray:
        violated: FloatArray = margin - _on_grid(raw, reach)
        violated *= unit
        return violated

    def slope(raw: FloatArray, chosen: BoolArray) -> FloatArray:
        y, root = _around(float(raw[4]), reach)
        return -unit * _durrleman_gradient(raw, y[chosen], root[chosen])

    return Hinge(gap, slope, GRID_POINTS)


def _durrleman_gradient(raw: FloatArray, y: FloatArray, root: FloatArray) -> FloatArray:
    """Derivatives of g by a, d, c, m and sigma at fixed log-moneyness; shape ``(5, quotes)``."""
    a, d, c, m, sigma = raw.tolist()
    slope, sharp = y / root, sigma * sigma / (root * root)
    inverse = 1.0 / (a + d * y + c * root)
    dw = d + c * slope
    relative = dw * inverse
    first = (y + m) * inverse
    first *= 1.0 - 0.5 * (y + m) * relative
    # g by w, by w' and, times one over the root, by w'', which is c sharp / root.
    rows = _gradient(raw, y, root, relative * (first + 0.25 * relative))
    by_slope = -first - 0.5 * (relative + 0.25 * dw)
    bend = 0.5 * sharp / root
    rows[1] += by_slope
    rows[2] += by_slope * slope + bend
    by_slope *= sharp
    rows[3] += (c / root) * (3.0 * slope * bend - by_slope)
    rows[4] += (c / sigma) * (bend * (2.0 - 3.0 * sharp) - by_slope * slope)
    return rows


def floor_hinge(k: FloatArray, floor: FloatArray) -> Hinge:
    """Inequalities w(k) >= floor: total variance may not fall from one expiry to the next."""

    return Hinge(
        lambda raw: floor - variance(raw, k), lambda raw, chosen: -gradient(raw, k[chosen]), k.size
    )


def both(first: Hinge, second: Hinge) -> Hinge:
    """Both sets of inequalities."""

    def slope(raw: FloatArray, chosen: BoolArray) -> FloatArray:
        ends = first.size
        rows = first.slope(raw, chosen[:ends]), second.slope(raw, chosen[ends:])
        return np.concatenate(rows, axis=1)

    def gap(raw: FloatArray) -> FloatArray:
        return np.concatenate((first.gap(raw), second.gap(raw)))

    return Hinge(gap, slope, first.size + second.size)


def _wings_to_raw(x: FloatArray) -> FloatArray:
    """
    The slice whose least variance is x[0], whose wings rise by exp(x[1]) towards low strikes and
    exp(x[2]) towards high ones, around m = x[3] with sigma = exp(x[4]).
    """
    least, lower, upper, m, log_sigma = x.tolist()
    put, call, sigma = math.exp(lower), math.exp(upper), math.exp(log_sigma)
    lowest = sigma * math.sqrt(put * call)
    return np.array([least - lowest, 0.5 * (call - put), 0.5 * (call + put), m, sigma])


def _wings_turn(x: FloatArray) -> FloatArray:
    """Derivatives of `_wings_to_raw`, shape ``(5, 5)``."""
    _, lower, upper, _, log_sigma = x.tolist()
    put, call, sigma = 0.5 * math.exp(lower), 0.5 * math.exp(upper), math.exp(log_sigma)
    lowest = 2.0 * sigma * math.sqrt(put * call)
    return np.array(
        [
            [1.0, -0.5 * lowest, -0.5 * lowest, 0.0, -lowest],
            [0.0, -put, call, 0.0, 0.0],
            [0.0, put, call, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, sigma],
        ]
    )


def _raw_to_wings(raw: FloatArray) -> FloatArray:
    """The inverse of `_wings_to_raw`; a flat wing becomes one that rises very little."""
    a, d, c, m, sigma = raw.tolist()
    put, call = max(c - d, _FLATTEST), max(c + d, _FLATTEST)
    least = a + sigma * math.sqrt(put * call)
    return np.array([least, math.log(put), math.log(call), m, math.log(sigma)])


def _wings_box(quotes: Quotes) -> Box:
    """
    Positive, convex, no wing steeper than Lee's bound, and a bend within reach of the quotes.

    In a, d and c that region is not a box, and pulling a step back into it by moving one of them
    leaves the descent direction.
    """
    low, high = float(quotes.k.min()), float(quotes.k.max())
    width = max(high - low, 1e-6)
    # A bend much sharper than the strikes are apart is not in the quotes.
    sharpest = math.log(width * max(0.005, 0.3 / quotes.k.size))
    flattest, steepest = math.log(_FLATTEST), math.log(WING_LIMIT)
    return Box(
        np.array([LEAST_VARIANCE, flattest, flattest, low - width, sharpest]),
        np.array([math.inf, steepest, steepest, high + width, math.log(3.0 * width)]),
    )


def _ssvi_starts(quotes: Quotes) -> tuple[FloatArray, FloatArray]:
    """Parameters of a smile that falls with the strike and of one that rises a little."""
    theta = max(float(quotes.w[int(np.argmin(np.abs(quotes.k)))]), 1e-8)
    level = math.log(theta)
    return np.array([level, math.atanh(-0.5), 0.0]), np.array([level, math.atanh(0.3), -2.0])


def _ssvi_to_raw(x: FloatArray) -> FloatArray:
    theta, rho, phi, _, _ = _ssvi(x)
    c = 0.5 * theta * phi
    flat = 1.0 - rho * rho
    return np.array([0.5 * theta * flat, rho * c, c, -rho / phi, math.sqrt(flat) / phi])


def _ssvi_turn(x: FloatArray) -> FloatArray:
    """Derivatives of `_ssvi_to_raw`, shape ``(5, 3)``."""
    theta, rho, phi, share, power = _ssvi(x)
    c, flat = 0.5 * theta * phi, 1.0 - rho * rho
    root = math.sqrt(flat)
    # d ln phi by the three parameters; rho moves with its own parameter by `flat`.
    by_theta, by_rho = -power, -power * math.copysign(flat, rho) / (1.0 + abs(rho))
    by_share = 1.0 - share
    slope = c * (1.0 + by_theta), c * by_rho, c * by_share
    m, sigma = -rho / phi, root / phi
    return np.array(
        [
            [0.5 * theta * flat, -theta * rho * flat, 0.0],
            [rho * slope[0], rho * slope[1] + c * flat, rho * slope[2]],
            slope,
            [-m * by_theta, -m * by_rho - flat / phi, -m * by_share],
            [-sigma * by_theta, -sigma * by_rho - rho * sigma, -sigma * by_share],
        ]
    )


def _ssvi(x: FloatArray) -> tuple[float, float, float, float, float]:
    """theta, rho, phi, phi's share of its bound, and minus the power of theta in that bound."""
    log_theta, artanh_rho, logit = x.tolist()
    theta, rho = math.exp(log_theta), math.tanh(artanh_rho)
    tilt = theta * (1.0 + abs(rho))
    share = 1.0 / (1.0 + math.exp(-logit))
    steepest, curved = 2.0 * WING_LIMIT / tilt, 2.0 / math.sqrt(tilt)
    power = 1.0 if steepest < curved else 0.5
    return theta, rho, share * min(steepest, curved), share, power


def _gradient(raw: FloatArray, y: FloatArray, root: FloatArray, q: FloatArray) -> FloatArray:
    """Derivatives of w in a, d, c, m, sigma, times *q*; shape ``(5, quotes)``."""
    _, d, c, _, sigma = raw.tolist()
    rows = np.empty((5, y.size))
    rows[0] = q
    np.multiply(y, q, out=rows[1])
    np.multiply(root, q, out=rows[2])
    inverse = (-c) * q / root
    np.multiply(inverse, y, out=rows[3])
    rows[3] -= d * q
    np.multiply(inverse, -sigma, out=rows[4])
    return rows


def _grid_start(quotes: Quotes) -> FloatArray | None:
    """
    The best of the linear least-squares fits over a small grid of m and sigma.

    None where each of them bends the wrong way or falls below zero: a descent that begins at such
    a slice, lifted until it is legal, begins far above the quotes.
    """
    k, w, q = quotes
    low = k.min()
    width = k.max() - low
    m = np.repeat(low + width * GRID_START_M, GRID_START_SIGMA.size)[:, None]
    sigma = np.tile(width * GRID_START_SIGMA, GRID_START_M.size)[:, None]
    y = k - m
    basis = np.stack([np.broadcast_to(q, y.shape), y * q, np.sqrt(y * y + sigma * sigma) * q], 1)
    wq = w * q
    normal = basis @ basis.transpose(0, 2, 1)
    # A ridge keeps nearly straight bases solvable; it is far below the weight of one quote.
    normal += 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    linear = np.linalg.solve(normal, (basis @ wq)[..., None])
    rest = wq - (linear.transpose(0, 2, 1) @ basis)[:, 0]
    a, d, c = linear[..., 0].T
    convex = (c > 0.0) & (np.abs(d) < c)
    lowest = a + sigma[:, 0] * np.sqrt(np.where(convex, c * c - d * d, 0.0))
    legal = convex & (lowest > LEAST_VARIANCE)
    if not legal.any():
        return None
    # Absolute residuals, so that a wrong quote does not choose the start.
    i = int(np.argmin(np.where(legal, np.abs(rest).sum(axis=1), np.inf)))
    return np.array([a[i], d[i], c[i], m[i, 0], sigma[i, 0]])


def _tried(problem: _Problem, start: _Point, box: Box) -> _Point:
    """Where some steps lead."""
    return _descend(problem, start, problem.scale(start.rest), box, steps=TRIAL_STEPS)


def _converged(problem: _Problem, point: _Point, box: Box) -> _Point:
    """
    Huber loss in units of the median absolute residual, minimised by damped Gauss-Newton steps.

    The unit is fixed during a descent and taken again after it, at most twice. Following the
    median at every step would polish one half of the quotes at the cost of the other.
    """
    scale = problem.scale(point.rest)
    steps = 20 if problem.hinge else 40
    for _ in range(3):
        point = _descend(problem, point, scale, box, steps=steps)
        before, scale = scale, problem.scale(point.rest)
        if scale > 0.8 * before:
            break
    return point


def _descend(problem: _Problem, point: _Point, scale: float, box: Box, *, steps: int) -> _Point:
    """Levenberg-Marquardt at one unit of the loss, until two steps in a row gain little."""
    damping, calm = 1e-3, 0
    loss = problem.loss(point, scale)
    for _ in range(steps):
        curvature, downhill = problem.normal(point, scale)
        _hold(curvature, downhill, point.x, box)
        for _ in range(8):
            step = _damped(curvature, downhill, damping)
            trial = problem.at(box.within(point.x + step))
            next_loss = problem.loss(trial, scale)
            if next_loss < loss:
                break
            damping *= 6.0
        else:
            return point
        gain, point, loss = loss - next_loss, trial, next_loss
        damping = max(damping / 8.0, 1e-9)
        calm = calm + 1 if gain <= 1e-3 * loss else 0
        if calm == 2:
            return point
    return point


def _hold(curvature: FloatArray, downhill: FloatArray, x: FloatArray, box: Box) -> None:
    """Take out of a step, in place, the parameters that would leave the box by it."""
    if box.holds(x):
        return
    stuck = ((x <= box.low) & (downhill < 0.0)) | ((x >= box.high) & (downhill > 0.0))
    if stuck.any():
        curvature[stuck] = 0.0
        curvature[:, stuck] = 0.0
        curvature[stuck, stuck] = 1.0
        downhill[stuck] = 0.0


class _Point(NamedTuple):
    """One trial of the fit."""

    x: FloatArray
    raw: FloatArray
    y: FloatArray
    root: FloatArray
    rest: FloatArray
    """Weighted residuals."""
    gap: FloatArray
    """Violations of the hinge, weighted."""


class _Problem:
    """Residuals, loss and normal equations of one fit."""

    def __init__(self, quotes: Quotes, family: Family, hinge: Hinge | None) -> None:
        self.k, self.q = quotes.k, quotes.q
        self.wq = quotes.w * quotes.q
        self.family, self.hinge = family, hinge
        self.force = HINGE_WEIGHT * float(self.q.max()) if hinge else 0.0
        self.least_scale = 1e-9 * float(np.abs(self.wq).max()) + 1e-300

    def at(self, x: FloatArray) -> _Point:
        """Everything that the steps need at parameters *x* of the family."""
        raw = self.family.raw(x)
        a, d, c, m, sigma = raw.tolist()
        y = self.k - m
        root = np.sqrt(y * y + sigma * sigma)
        rest = (a + d * y + c * root) * self.q - self.wq
        if self.hinge is None:
            return _Point(x, raw, y, root, rest, _NO_GAP)
        gap = self.hinge.gap(raw)
        gap *= self.force
        return _Point(x, raw, y, root, rest, np.maximum(gap, 0.0, out=gap))

    def scale(self, rest: FloatArray) -> float:
        """Robust size of the residuals: 1.4826 times their median, and never zero."""
        size = np.abs(rest)
        size.partition(size.size // 2)
        return max(1.4826 * float(size[size.size // 2]), self.least_scale)

    def loss(self, point: _Point, scale: float) -> float:
        """Huber's loss with the squared hinge, in units of *scale* squared."""
        size = np.abs(point.rest)
        capped = np.minimum(size, HUBER * scale)
        size -= 0.5 * capped
        loss = float(capped.dot(size))
        if self.hinge:
            loss += 0.5 * float(point.gap.dot(point.gap))
        return loss / scale**2

    def trust(self, point: _Point, scale: float) -> FloatArray:
        """Huber's weight of each residual, (n,)."""
        size = np.abs(point.rest)
        return np.asarray(HUBER * scale / np.maximum(size, HUBER * scale, out=size))

    def rows(self, point: _Point) -> FloatArray:
        """Derivatives of the residuals by the parameters of the family, (p, n)."""
        rows = _gradient(point.raw, point.y, point.root, self.q)
        return np.asarray(self.family.turn(point.x).T.dot(rows))

    def normal(self, point: _Point, scale: float) -> tuple[FloatArray, FloatArray]:
        """Normal equations of one step: curvature (p, p) and downhill direction (p,)."""
        rows = self.rows(point)
        weighted = rows * self.trust(point, scale)
        curvature, downhill = weighted.dot(rows.T), weighted.dot(-point.rest)
        if self.hinge and (violated := point.gap > 0.0).any():
            lean = self.family.turn(point.x).T.dot(self.hinge.slope(point.raw, violated))
            lean *= self.force
            curvature += lean.dot(lean.T)
            downhill -= lean.dot(point.gap[violated])
        return curvature, downhill

    def distance(self, point: _Point) -> float:
        """Sum of the absolute residuals and violations: what tells two slices apart."""
        return float(np.abs(point.rest).sum() + point.gap.sum())

    def fit(self, point: _Point) -> SliceFit:
        """The slice of *point*, with its errors."""
        trust = self.trust(point, self.scale(point.rest))
        return SliceFit(point.raw, self.covariance(point, trust), trust, self.distance(point))

    def covariance(self, point: _Point, trust: FloatArray) -> FloatArray:
        """Of the raw parameters, from the curvature of the loss and the robust scatter."""
        rows = self.rows(point)
        free = self.k.size - rows.shape[0]
        if free <= 0:
            return np.full((5, 5), np.nan)
        # A median over few residuals says little, so the plain mean square joins in.
        square = float((trust * point.rest) @ point.rest) / free
        variance = max(self.scale(point.rest) ** 2, square)
        matrix = (rows * trust) @ rows.T
        size = np.sqrt(matrix.diagonal())
        # A straight slice does not know its m and sigma; their rows are zero.
        size = np.where(size > 0.0, size, 1.0)
        matrix /= size[:, None] * size
        matrix += 1e-12 * np.eye(size.size)
        _, inverse, _ = dposv(matrix, np.eye(size.size))
        inverse = np.asarray(variance * inverse / (size[:, None] * size))
        turn = self.family.turn(point.x)
        return np.asarray(turn @ inverse @ turn.T)


_NO_GAP = np.zeros(0)


def _damped(curvature: FloatArray, downhill: FloatArray, damping: float) -> FloatArray:
    matrix = curvature.copy()
    diagonal = matrix.reshape(-1)[:: downhill.size + 1]
    diagonal *= 1.0 + damping
    diagonal += 1e-14 * max(diagonal.tolist()) + 1e-300
    step: FloatArray
    # Symmetric, so that its transpose is itself in the order that LAPACK reads without a copy.
    _, step, info = dposv(matrix.T, downhill, overwrite_a=True)
    return step if info == 0 else downhill / (curvature.diagonal() * (1.0 + damping) + 1e-300)
