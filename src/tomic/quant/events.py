"""
Jumps that a term structure of implied volatility holds: what an event adds to total variance.

Total variance to maturity t is a diffusive part, whose forward variance reverts to a mean, plus
the jump variance J of each event before t:

    w(t) = theta (t - B(t)) + v0 B(t) + sum J 1[t >= t_e],   B(t) = (1 - exp(-kappa t)) / kappa

Without an event forward variance therefore only rises or only falls with maturity. A hump, or a
front that is higher than any reversion explains, is an event. All parts are fitted by least
squares, none of them negative, over several speeds kappa.

Sources: Dubinsky and Johannes (2006), "Earnings Announcements and Equity Options" (the jump as a
step of total variance); Heston (1993) for the mean-reverting part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant.arguments import same_shape

SPEEDS = (1.0, 4.0, 12.0, 40.0)
"""Mean reversion a year, half-lives of 250, 63, 21 and 6 days; the last is that of a shock."""
SLOPE = 0.6
"""Ordinary difference of short and long variance, as a share of their level, one sigma."""
LEVEL_ERROR = 0.015
"""Of an at-the-money volatility, relative: quotes, and shapes that the model does not know."""
CLOCK_ERROR = 0.25 / 365.0
"""Years by which weekends and holidays put the variance of an expiry out, halved for volatility."""
SHORTEST, LONGEST = 2.0 / 365.0, 0.75
"""Maturities that are read, years: a last day has a rhythm of its own, a later one many events."""
LEAST_IV = 1e-4
"""Below a basis point a volatility is no quote, a fraction."""
THRESHOLD = 9.0
"""By how much a jump must lower the sum of squared errors, in units of their variance: 3 sigma."""
LEAST_EXPIRIES = 3
MOST = 3
"""Events of no known date that are looked for."""

_RIDGE = 1e-12


class VarianceJump(NamedTuple):
    """The variance that one event adds."""

    after: float
    """Years; it lies beyond this maturity. 0 where it may come at any time."""
    by: float
    """Years; the first maturity that holds it. Equal to `after` where its date is known."""
    variance: float
    """Of the log-return, not annualised."""
    error: float
    """Standard error of `variance`."""
    score: float
    """By how much the fit is better with it than without, in units of the errors' variance."""

    @property
    def move(self) -> float:
        """One standard deviation, a fraction."""
        return math.sqrt(self.variance)

    def share(self, tau: Num) -> FloatArray:
        """How much of it lies before *tau*; spread evenly over the days on which it may fall."""
        years = np.asarray(tau, dtype=np.float64)
        if self.by <= self.after:
            return np.where(years >= self.by, 1.0, 0.0)
        return np.clip((years - self.after) / (self.by - self.after), 0.0, 1.0)


class _Fit(NamedTuple):
    """One choice of steps at the speed that fits best."""

    size: FloatArray
    """Long and short variance, then each jump's, (2 + k,)."""
    design: FloatArray
    used: BoolArray
    misfit: float
    """Sum of squared errors in units of their variance, how steep the slope is included."""

    def jump(self, place: int) -> tuple[float, float]:
        """Variance of one jump and its standard error."""
        used = self.used.copy()
        used[2 + place] = True
        within = self.design[:, used]
        at = int(np.count_nonzero(used[: 2 + place]))
        error = math.sqrt(float(np.linalg.pinv(within.T @ within)[at, at]))
        return float(self.size[2 + place]), error


def dated(tau: Num, iv: Num, event: Num) -> tuple[VarianceJump, ...]:
    """
    The jumps of events whose dates are known.

    Args:
        tau, iv: Years to each expiry and its at-the-money volatility, ``(n,)``, any order; NaN
            and expired ones are left out.
        event: Years to each event, ``(m,)``.

    Returns:
        One for each event with an expiry before it (or the present level, if there are two
        expiries or more behind it) and an expiry behind it, in order of date; its variance is 0
        where the expiries price none. Of two events between the same expiries the first gets all.
    """
    years, variance = _levels(tau, iv)
    steps = _steps(years, event)
    if years.size < 2 or not steps:
        return ()
    (fitted,) = _fitted(years, variance, [list(steps)])
    (without,) = _fitted(years, variance, [[]])
    return tuple(
        VarianceJump(at, at, *fitted.jump(place), without.misfit - fitted.misfit)
        for place, at in enumerate(steps.values())
    )


def recognise(
    tau: Num, iv: Num, *, known: Num = (), threshold: float = THRESHOLD
) -> tuple[VarianceJump, ...]:
    """
    Events of no known date that the expiries price, in order of maturity.

    The strongest are taken first, at most three and one for two expiries; then those go that the
    others leave too little for.

    Args:
        tau, iv: As of `dated`; at least three expiries within nine months.
        known: Years to events whose dates are known. Their jumps are fitted too, and what lies
            between the same two expiries is taken for theirs.
        threshold: Lower where an event is to be expected, as of a company that reports each
            quarter.
    """
    years, variance = _levels(tau, iv)
    if years.size < LEAST_EXPIRIES:
        return ()
    fixed = list(_steps(years, known))
    found = _strongest(years, variance, fixed, threshold)
    while found:
        (fit,) = _fitted(years, variance, [[*fixed, *found]])
        noise = max(fit.misfit / max(years.size - len(fixed) - len(found) - 2, 1), 1.0)
        fewer = [[*fixed, *found[:at], *found[at + 1 :]] for at in range(len(found))]
        gains = [(other.misfit - fit.misfit) / noise for other in _fitted(years, variance, fewer)]
        if min(gains) >= threshold:
            break
        del found[int(np.argmin(gains))]
    return tuple(
        VarianceJump(
            float(years[step - 1]) if step else 0.0,
            float(years[step]),
            *fit.jump(len(fixed) + found.index(step)),
            gains[found.index(step)],
        )
        for step in sorted(found)
    )


def _strongest(
    years: FloatArray, variance: FloatArray, fixed: Sequence[int], threshold: float
) -> list[int]:
    """Steps beside the *fixed* ones that could be jumps, the one that explains most first."""
    found: list[int] = []
    misfit = _fitted(years, variance, [fixed])[0].misfit
    while len(found) < min(MOST, (years.size - 1) // 2, years.size - 1 - len(fixed)):
        taken = [*fixed, *found]
        # Behind the last expiry nothing tells a jump from a steeper slope.
        left = [step for step in range(years.size - 1) if step not in taken]
        if not left:
            break
        fits = _fitted(years, variance, [[*taken, step] for step in left])
        best = min(range(len(left)), key=lambda at: fits[at].misfit)
        if misfit - fits[best].misfit < threshold:
            break
        found.append(left[best])
        misfit = fits[best].misfit
    return found


def _levels(tau: Num, iv: Num) -> tuple[FloatArray, FloatArray]:
    """Rising maturities and their total variances, those that are read."""
    years, vol = same_shape(tau=tau, iv=iv)
    read = (years >= SHORTEST) & (years <= LONGEST) & (vol >= LEAST_IV) & np.isfinite(vol)
    years, at = np.unique(years[read], return_index=True)
    return years, vol[read][at] ** 2 * years


def _steps(years: FloatArray, event: Num) -> dict[int, float]:
    """Place of the first expiry that holds an event, to the years to the event."""
    steps: dict[int, float] = {}
    for at in np.sort(np.asarray(event, dtype=np.float64).ravel()).tolist():
        step = int(np.searchsorted(years, at))
        between = 0 < step < years.size or (step == 0 and years.size >= LEAST_EXPIRIES)
        # Each expiry says one thing; the diffusive level takes one of them.
        if at > 0.0 and between and len(steps) < years.size - 1:
            steps.setdefault(step, at)
    return steps


def _fitted(
    years: FloatArray, variance: FloatArray, choices: Sequence[Sequence[int]]
) -> list[_Fit]:
    """The fit of each choice of steps, all of one number, at its best speed."""
    steps = np.array(choices, dtype=np.int64).reshape(len(choices), -1)
    relative = 2.0 * np.hypot(LEVEL_ERROR, CLOCK_ERROR / years)
    design = _design(years, steps) / (relative * variance)[:, None]
    slope = np.zeros((*design.shape[:2], 1, design.shape[-1]))
    slope[..., 0, :2] = np.array([-1.0, 1.0]) / (SLOPE * float(np.median(variance / years)))
    design = np.concatenate([design, slope], axis=2)
    wanted = np.append(1.0 / relative, 0.0)
    size, used = _not_negative(design, wanted)
    misfit = np.sum((np.einsum("csnp,csp->csn", design, size) - wanted) ** 2, axis=-1)
    best = np.argmin(misfit, axis=1)
    return [
        _Fit(size[i, at], design[i, at], used[i, at], float(misfit[i, at]))
        for i, at in enumerate(best.tolist())
    ]


def _design(years: FloatArray, steps: IntArray) -> FloatArray:
    """Total variance of one unit of each part, (choices, speeds, n, 2 + k)."""
    speed = np.array(SPEEDS)[:, None]
    short = -np.expm1(-speed * years) / speed
    jumps = np.arange(years.size)[:, None] >= steps[:, None, None, :]
    shape = (len(steps), len(SPEEDS), years.size)
    diffusive = np.broadcast_to(np.stack([years - short, short], axis=-1), (*shape, 2))
    return np.concatenate([diffusive, np.broadcast_to(jumps, (*shape, steps.shape[1]))], axis=-1)


def _not_negative(design: FloatArray, wanted: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Least squares without negative sizes: the most negative column goes until none is left."""
    scale = np.linalg.norm(design, axis=-2)
    columns = design / scale[..., None, :]
    # Columns of length one; the ridge decides between two that say the same.
    gram = np.swapaxes(columns, -1, -2) @ columns + _RIDGE * np.eye(columns.shape[-1])
    right = np.einsum("csnp,n->csp", columns, wanted)
    used = np.ones(right.shape, dtype=np.bool_)
    while True:
        # A column that went is replaced by one of its own that wants nothing.
        both = used[..., :, None] & used[..., None, :]
        system = np.where(both, gram, np.where(used, 0.0, 1.0)[..., None] * np.eye(used.shape[-1]))
        size = np.linalg.solve(system, np.where(used, right, 0.0)[..., None])[..., 0]
        lowest = np.argmin(size, axis=-1)[..., None]
        negative = np.take_along_axis(size, lowest, -1) < 0.0
        if not negative.any():
            return size / scale, used
        np.put_along_axis(used, lowest, np.take_along_axis(used, lowest, -1) & ~negative, -1)
