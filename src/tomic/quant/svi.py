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
from collections.abc import Callable
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
    turn: Callable[[FloatArray], FloatArray] | None
    """Derivatives of the slice in the free parameters; None where they are the slice itself."""


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


def derivatives(raw: FloatArray, k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """w, w' and w'' at log-moneyness *k*."""
    a, d, c, m, sigma = raw
    y = k - m
    root = np.sqrt(y * y + sigma * sigma)
    slope = y / root
    return a + d * y + c * root, d + c * slope, c * (1.0 - slope * slope) / root


def durrleman(k: FloatArray, w: FloatArray, dw: FloatArray, ddw: FloatArray) -> FloatArray:
    """
    g = (1 - k w'/2w)^2 - w'^2/4 (1/w + 1/4) + w''/2; the density is g times a positive number.

    Source: Gatheral and Jacquier (2014), equation 2.1.
    """
    first = 1.0 - 0.5 * k * dw / w
    return np.asarray(first * first - 0.25 * dw * dw * (1.0 / w + 0.25) + 0.5 * ddw)


def arbitrage_grid(raw: FloatArray, reach: float) -> FloatArray:
    """Log-moneyness from -reach to reach around m, densest where the curve bends."""
    sigma = raw[4]
    end = math.asinh(max(reach, sigma) / sigma)
    return np.asarray(raw[3] + sigma * np.sinh(np.linspace(-end, end, GRID_POINTS)))


def is_butterfly_free(raw: FloatArray, reach: float) -> bool:
    """Whether w > 0, g >= 0 on the grid and no wing is steeper than `WING_LIMIT`."""
    a, d, c, _, sigma = raw
    if c + abs(d) > WING_LIMIT * (1.0 + 1e-12) or a + sigma * math.sqrt(max(c * c - d * d, 0)) <= 0:
        return False
    k = arbitrage_grid(raw, reach)
    return bool(durrleman(k, *derivatives(raw, k)).min() >= 0.0)


def gradient(raw: FloatArray, k: FloatArray) -> FloatArray:
    """Derivatives of w(k) in a, d, c, m, sigma; shape ``(5, quotes)``."""
    y = k - raw[3]
    return _gradient(raw, y, np.sqrt(y * y + raw[4] * raw[4]))


def fit_raw(
    quotes: Quotes, start: FloatArray | None = None, hinge: Hinge | None = None
) -> SliceFit:
    """
    Raw SVI by Levenberg-Marquardt with Huber weights.

    Args:
        start: Slice to begin at. Without it the descent begins at the SSVI slice and at the best
            legal slice of a grid of m and sigma, and goes on where it is lower after some steps.
        hinge: Inequalities to respect, by a penalty.
    """
    problem, box = _Problem(quotes, Family(_wings_to_raw, _wings_turn), hinge), _wings_box(quotes)
    starts = _starts(quotes) if start is None else [start]
    points = [problem.at(box.within(_raw_to_wings(raw))) for raw in starts]
    nearest = min(map(problem.distance, points))
    # A start much further from the quotes than another leads to no better place.
    points = [point for point in points if problem.distance(point) <= FURTHEST_START * nearest]
    if len(points) > 1:
        points = [_tried(problem, point, box) for point in points]
    return problem.fit(_converged(problem, min(points, key=problem.distance), box))


def fit_ssvi(quotes: Quotes, hinge: Hinge | None = None) -> SliceFit:
    """
    The three-parameter SSVI slice, free of butterfly arbitrage by construction.

    w = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)) with theta phi (1 + |rho|) < 4
    and theta phi^2 (1 + |rho|) <= 4, held by fitting phi as a share of its bound.

    Source: Gatheral and Jacquier (2014), theorem 4.2 and corollary 4.1.
    """
    problem = _Problem(quotes, Family(_ssvi_to_raw, _ssvi_turn), hinge)
    points = [_converged(problem, problem.at(x), SSVI_BOX) for x in _ssvi_starts(quotes)]
    return problem.fit(min(points, key=problem.distance))


def butterfly_hinge(reach: float, margin: float, unit: float) -> Hinge:
    """
    Inequalities g >= margin on the grid, for `fit_raw`.

    Args:
        unit: Total variance that one unit of g counts for.
    """

    def g_at(raw: FloatArray, k: FloatArray) -> FloatArray:
        return durrleman(k, *derivatives(raw, k))

    def gap(raw: FloatArray) -> FloatArray:
        return unit * (margin - g_at(raw, arbitrage_grid(raw, reach)))

    def slope(raw: FloatArray, chosen: BoolArray) -> FloatArray:
        k = arbitrage_grid(raw, reach)[chosen]
        rows, g = np.empty((5, k.size)), g_at(raw, k)
        for i in range(5):
            moved = raw.copy()
            move = 1e-6 * max(abs(moved[i]), 1e-3)
            moved[i] += move
            rows[i] = (g - g_at(moved, k)) * (unit / move)
        return rows

    return Hinge(gap, slope)


def floor_hinge(k: FloatArray, floor: FloatArray) -> Hinge:
    """Inequalities w(k) >= floor: total variance may not fall from one expiry to the next."""

    return Hinge(
        lambda raw: floor - derivatives(raw, k)[0], lambda raw, chosen: -gradient(raw, k[chosen])
    )


def both(first: Hinge, second: Hinge) -> Hinge:
    """Both sets of inequalities."""

    def slope(raw: FloatArray, chosen: BoolArray) -> FloatArray:
        ends = first.gap(raw).size
        rows = first.slope(raw, chosen[:ends]), second.slope(raw, chosen[ends:])
        return np.concatenate(rows, axis=1)

    return Hinge(lambda raw: np.concatenate([first.gap(raw), second.gap(raw)]), slope)


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


def _gradient(raw: FloatArray, y: FloatArray, root: FloatArray) -> FloatArray:
    _, d, c, _, sigma = raw.tolist()
    rows = np.empty((5, y.size))
    rows[0] = 1.0
    rows[1] = y
    rows[2] = root
    inverse = c / root
    rows[3] = -d - inverse * y
    rows[4] = sigma * inverse
    return rows


def _starts(quotes: Quotes) -> list[FloatArray]:
    """Slices to begin at: SSVI, roughly fitted, and the best legal slice of a grid."""
    problem = _Problem(quotes, Family(_ssvi_to_raw, _ssvi_turn), None)
    nearer = min((problem.at(x) for x in _ssvi_starts(quotes)), key=problem.distance)
    starts = [_tried(problem, nearer, SSVI_BOX).raw]
    if (legal := _grid_start(quotes)) is not None:
        starts.append(legal)
    return starts


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
    trust, loss = problem.loss(point, scale)
    for _ in range(steps):
        curvature, downhill = problem.normal(point, trust)
        _hold(curvature, downhill, point.x, box)
        for _ in range(8):
            step = _damped(curvature, downhill, damping)
            trial = problem.at(box.within(point.x + step))
            next_trust, next_loss = problem.loss(trial, scale)
            if next_loss < loss:
                break
            damping *= 6.0
        else:
            return point
        gain, point, trust, loss = loss - next_loss, trial, next_trust, next_loss
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
        gap = self.force * np.maximum(self.hinge.gap(raw), 0.0) if self.hinge else _NO_GAP
        return _Point(x, raw, y, root, rest, gap)

    def scale(self, rest: FloatArray) -> float:
        """Robust size of the residuals: 1.4826 times their median, and never zero."""
        size = np.abs(rest)
        size.partition(size.size // 2)
        return max(1.4826 * float(size[size.size // 2]), self.least_scale)

    def loss(self, point: _Point, scale: float) -> tuple[FloatArray, float]:
        """Weight of each residual, (n,), and the loss: Huber's with the squared hinge."""
        trust, loss = _huber(point.rest, scale)
        if self.hinge:
            loss += 0.5 * float(point.gap @ point.gap) / scale**2
        return trust, loss

    def rows(self, point: _Point) -> FloatArray:
        """Derivatives of the residuals by the parameters of the family, (p, n)."""
        rows = _gradient(point.raw, point.y, point.root)
        rows *= self.q
        return rows if self.family.turn is None else self.family.turn(point.x).T @ rows

    def normal(self, point: _Point, trust: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Normal equations of one step: curvature (p, p) and downhill direction (p,)."""
        rows = self.rows(point)
        weighted = rows * trust
        curvature, downhill = weighted @ rows.T, -(weighted @ point.rest)
        violated = point.gap > 0.0
        if self.hinge and violated.any():
            lean = self.force * self.hinge.slope(point.raw, violated)
            if self.family.turn is not None:
                lean = self.family.turn(point.x).T @ lean
            curvature += lean @ lean.T
            downhill -= lean @ point.gap[violated]
        return curvature, downhill

    def distance(self, point: _Point) -> float:
        """Sum of the absolute residuals and violations: what tells two slices apart."""
        return float(np.abs(point.rest).sum() + point.gap.sum())

    def fit(self, point: _Point) -> SliceFit:
        """The slice of *point*, with its errors."""
        trust = _huber(point.rest, self.scale(point.rest))[0]
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
        if self.family.turn is None:
            return inverse
        turn = self.family.turn(point.x)
        return np.asarray(turn @ inverse @ turn.T)


_NO_GAP = np.zeros(0)


def _damped(curvature: FloatArray, downhill: FloatArray, damping: float) -> FloatArray:
    matrix = curvature.copy()
    diagonal = matrix.diagonal() * (1.0 + damping)
    matrix.flat[:: diagonal.size + 1] = diagonal + 1e-14 * diagonal.max() + 1e-300
    step: FloatArray
    _, step, info = dposv(matrix, downhill)
    return step if info == 0 else downhill / (diagonal + 1e-300)


def _huber(rest: FloatArray, scale: float) -> tuple[FloatArray, float]:
    size = np.abs(rest) / scale
    trust = HUBER / np.maximum(size, HUBER)
    share = trust * size
    return trust, float(share @ (size - 0.5 * share))
