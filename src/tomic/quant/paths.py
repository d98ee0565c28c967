"""
Paths of a price that end as the market's densities say, and what exits make of a structure on them.

One Brownian motion B runs in the variance of the densities ("business time"): between expiries
their variance of the log-return grows linearly in calendar time. From the expiry before to the
next one the price is the mean of the next one's price given B, as in Bass's martingale, corrected
so that it has the density of the earlier one there: at every expiry the law is the market's, in
between it is a martingale up to that correction. The mean is the forward on every day.

On the way options are valued at today's smile of their expiry at unchanged moneyness
(sticky moneyness), as in `tomic.quant.later_expiries`, and time values are scaled, strike by strike
and day by day, so that their mean over the paths is today's price: an exit on a day that is known
beforehand then earns nothing and loses nothing but its costs. On days that the price chooses a
smile that moves with it is no martingale on these paths, and would earn or lose up to some per cent
of the margin. Closing at the market's value is worth nothing on average in any market without
arbitrage (optional stopping), so what is left is taken off every path alike.

Everything is tabulated over the standard score of B, so that a path's value is a table lookup.
Points are those of a rank-1 lattice under a few random shifts with a fixed seed: the same input
gives the same answer, and the scatter between shifts is its standard error.

Sources: Bass (1983), "Skorokhod imbedding via stochastic integrals"; Backhoff-Veraguas, Beiglbock,
Huesmann and Kallblad (2020), "Martingale Benamou-Brenier"; Cools, Kuo and Nuyens (2006),
"Constructing embedded lattice rules for multivariate integration".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tomic._typing import FloatArray, IntArray, Num
from tomic.quant.density import Density

REACH = 6.0
"""Standard scores beyond which a path stays at the edge: two in 10^9 would leave."""
NODES = 257
"""Scores at which prices and values are tabulated."""
PATHS = 32_768
SHIFTS = 8
"""Random shifts of the lattice; each has a share of the paths."""
TAIL = 0.05

_SEED = 20
_WIDE = 8.5
_WIDE_NODES = 1025
_QUADRATURE = 32
_MOST_SCALE = 10.0
_NO_TIME = 1e-10
_STOP, _TARGET, _OPEN, _MIXED = range(4)
# exod2_base2_m20_CKN: good in every pair of dimensions for 2^10 to 2^20 points.
_GENERATOR = (
    1, 182667, 469891, 498753, 110745, 446247, 250185, 118627, 245333, 283199, 408519, 391023,
    246327, 126539, 399185, 461527, 300343, 69681, 516695, 436179, 106383, 238523, 413283, 70841,
    47719, 300129, 113029, 123925, 410745, 211325, 17489, 511893, 40767, 186077, 519471, 255369,
    101819, 243573, 66189, 152143, 503455, 113217, 132603, 463967, 297717, 157383, 224015, 502917,
    36237, 94049, 170665, 79397, 123963, 223451, 323871, 303633, 98567, 318855, 494245, 477137,
    177975, 64483, 26695, 88779,
)  # fmt: skip


class MoneynessSmile(Protocol):
    """What a value on the way needs of a fitted smile."""

    @property
    def forward(self) -> float:
        """Forward price, currency per share."""

    @property
    def tau(self) -> float:
        """Years to expiry."""

    @property
    def discount(self) -> float:
        """Value today of one unit of currency at expiry."""

    def total_variance(self, log_moneyness: Num, /) -> FloatArray:
        """Variance to expiry at ln(strike / forward)."""


def score() -> FloatArray:
    """The scores of all tables, (m,)."""
    return np.linspace(-REACH, REACH, NODES)


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """
    Law of the price on some days, as a function of the standard score of B.

    Attributes:
        tau: (d,) years from now, ascending.
        variance: (d,) variance of B, which is that of the log-return.
        forward: (d,) mean price, currency per share.
        price: (d, m) price at each of `score`, rising.
    """

    tau: FloatArray
    variance: FloatArray
    forward: FloatArray
    price: FloatArray

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean of a table (..., d, m) that is smooth in the score: (..., d)."""
        return np.asarray(values @ _weights())

    def mean_above(self, strike: float, growth: FloatArray) -> FloatArray:
        """E[max(growth S - strike, 0)] on each day, (d,); growth (d,)."""
        price = growth[:, None] * self.price
        plain = np.maximum(price - strike, 0.0) @ _weights()
        place = (price < strike).sum(axis=1)
        inside = np.flatnonzero((place > 0) & (place < NODES))
        low = price[inside, place[inside] - 1]
        rise = price[inside, place[inside]] - low
        share = (strike - low) / np.where(rise > 0.0, rise, 1.0)
        # What the trapezoid rule adds for a kink within a cell (Euler and Maclaurin).
        weight = 0.5 * (_weights()[place[inside] - 1] + _weights()[place[inside]])
        plain[inside] -= weight * rise * (0.5 * share * (1.0 - share) - 1.0 / 12.0)
        return np.asarray(plain)


def law(spot: float, densities: Sequence[Density], tau: Num) -> Law:
    """
    The law of the price on days up to the last of *densities*.

    Args:
        spot: Price now, currency per share.
        densities: Of expiries, ascending in tau. One whose variance is not below that of the next
            is passed over; the last one always counts.
        tau: (d,) years from now, ascending, positive, none after the last density.

    Raises:
        ValueError: There is no density, or a day lies outside their time.
    """
    days = np.atleast_1d(np.asarray(tau, dtype=np.float64))
    if not densities:
        raise ValueError("a law needs at least one density")
    pillars = _rising(densities)
    end = pillars[-1].tau
    if not (np.all(days > 0.0) and np.all(np.diff(days) > 0.0) and days[-1] <= end * (1 + 1e-12)):
        raise ValueError(f"tau must ascend within (0, {end:g}], got {days.min():g} to {days[-1]:g}")
    time = np.array([0.0, *(pillar.tau for pillar in pillars)])
    spread = np.array([0.0, *(pillar.std_log**2 for pillar in pillars)])
    level = np.log([spot, *(pillar.forward for pillar in pillars)])
    variance = np.interp(days, time, spread)
    forward = np.exp(np.interp(days, time, level))
    segment = np.minimum(np.searchsorted(time, days * (1.0 - 1e-12)), len(pillars)) - 1
    price = np.empty((days.size, NODES))
    for number, pillar in enumerate(pillars):
        rows = np.flatnonzero(segment == number)
        if rows.size:
            before = pillars[number - 1] if number else None
            price[rows] = _between(before, pillar, variance[rows])
    price *= (forward / (price @ _weights()))[:, None]
    return Law(days, variance, forward, price)


def _rising(densities: Sequence[Density]) -> list[Density]:
    """Those whose variance rises to the last one's."""
    kept = [densities[-1]]
    for density in reversed(densities[:-1]):
        if density.std_log < kept[0].std_log and density.tau < kept[0].tau:
            kept.insert(0, density)
    return kept


def _between(before: Density | None, after: Density, variance: FloatArray) -> FloatArray:
    """Prices (rows, m) on days with that variance, before means are put on the forward."""
    total = after.std_log**2
    table = after.quantile(ndtr(_wide_score()))
    price = np.stack([_expected(table, value / total) for value in variance])
    # At the expiry itself there is nothing to average: the density's own prices.
    price[variance >= total * (1.0 - 1e-12)] = after.quantile(ndtr(score()))
    if before is None:
        return price
    start = before.std_log**2
    gap = np.log(before.quantile(ndtr(score())) / _expected(table, start / total))
    left = (total - variance) / (total - start)
    return np.asarray(np.maximum.accumulate(price * np.exp(left[:, None] * gap), axis=1))


def _wide_score() -> FloatArray:
    return np.linspace(-_WIDE, _WIDE, _WIDE_NODES)


def _expected(table: FloatArray, share: float) -> FloatArray:
    """Mean of the price at an expiry given the score after a share of its variance, (m,)."""
    node, weight = _hermite()
    place = np.sqrt(share) * score()[:, None] + np.sqrt(max(1.0 - share, 0.0)) * node
    return np.asarray(np.interp(place, _wide_score(), table) @ weight)


@lru_cache(maxsize=1)
def _hermite() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights for means over a standard normal."""
    node, weight = np.polynomial.hermite_e.hermegauss(_QUADRATURE)
    return node, weight / weight.sum()


@lru_cache(maxsize=1)
def _weights() -> FloatArray:
    """Normal weights of the scores, (m,), adding up to 1."""
    weight = np.exp(-0.5 * score() ** 2)
    weight /= weight.sum()
    weight.setflags(write=False)
    return weight


def option_values(
    law: Law,
    smile: MoneynessSmile,
    strike: float,
    is_call: bool,
    *,
    discount: FloatArray,
    american: bool = False,
) -> FloatArray:
    """
    Value of one option on every day of a law, (d, m), currency per share of that day.

    Args:
        smile: Of its expiry, today's; days after it are not looked at.
        discount: (d,) discount factor from now to each day.
        american: Never below what exercise pays.

    Returns:
        At its expiry the payoff. Before, Black's value at today's volatility of the same moneyness,
        time value scaled so that the mean is today's value carried to that day.
    """
    ahead = smile.forward / law.forward
    forward = ahead[:, None] * law.price
    sign = 1.0 if is_call else -1.0
    time = (smile.tau - law.tau) / smile.tau
    exercised = np.maximum(sign * (forward - strike), 0.0)
    live = np.flatnonzero(time > _NO_TIME)
    value = exercised.copy()
    if live.size:
        extra = _time_values(smile, strike, forward[live], time[live])
        today = _today(smile, strike)
        kept = law.mean_above(strike, ahead)[live]
        scale = _scales(today - kept, extra @ _weights(), smile.forward)
        value[live] += scale[:, None] * extra
    value *= (smile.discount / discount)[:, None]
    if american:
        np.maximum(value, np.maximum(sign * (law.price - strike), 0.0), out=value)
    return value


def _time_values(
    smile: MoneynessSmile, strike: float, forward: FloatArray, time: FloatArray
) -> FloatArray:
    """Undiscounted value above what is certain, (d, m), at a share of today's variance."""
    k = np.log(strike / forward)
    total_vol = np.sqrt(smile.total_variance(k) * time[:, None])
    d1 = 0.5 * total_vol - k / total_vol
    call = forward * ndtr(d1) - strike * ndtr(d1 - total_vol)
    return np.maximum(call - np.maximum(forward - strike, 0.0), 0.0)


def _today(smile: MoneynessSmile, strike: float) -> float:
    """Undiscounted value of a call today."""
    k = np.log(strike / smile.forward)
    vol = np.sqrt(smile.total_variance(k))
    d1 = 0.5 * vol - k / vol
    return float(smile.forward * ndtr(d1) - strike * ndtr(d1 - vol))


def _scales(wanted: FloatArray, mean: FloatArray, forward: float) -> FloatArray:
    """Factors on time values; 1 where these are nothing that could be scaled."""
    solid = mean > 1e-9 * forward
    ratio = wanted / np.where(solid, mean, 1.0)
    return np.where(solid, np.clip(ratio, 0.0, _MOST_SCALE), 1.0)


class Paths(NamedTuple):
    """Where every path is on every day: a cell of `score`, and how far into it; (d, n) each."""

    cell: IntArray
    share: NDArray[np.float32]

    def at(self, table: FloatArray, day: Num, path: IntArray) -> FloatArray:
        """Values of a table (d, m) on a day, or a day for each path, linear in the score."""
        place = path + np.asarray(day) * self.cell.shape[1]
        cell = self.cell.reshape(-1).take(place) + np.asarray(day) * table.shape[1]
        flat = table.reshape(-1)
        low = flat.take(cell)
        cell += 1
        value: FloatArray = flat.take(cell)
        value -= low
        value *= self.share.reshape(-1).take(place)
        value += low
        return value


def simulate(law: Law, *, paths: int = PATHS, seed: int = _SEED) -> Paths:
    """
    Paths of a law: a lattice under `SHIFTS` random shifts, by principal components.

    Args:
        paths: A multiple of `SHIFTS`; best a power of two.

    Returns:
        The first ``paths / SHIFTS`` are those of the first shift, and so on.
    """
    spread = np.minimum.outer(law.variance, law.variance)
    size, direction = np.linalg.eigh(spread)
    factor = direction[:, ::-1] * np.sqrt(np.maximum(size[::-1], 0.0))
    factor /= np.sqrt(law.variance)[:, None]
    # Single precision: a path is then placed to a ten-thousandth of a cell.
    place = factor.astype(np.float32) @ _normals(law.tau.size, paths, seed)
    place += np.float32(REACH)
    place *= np.float32((NODES - 1) / (2.0 * REACH))
    np.clip(place, 0.0, NODES - 1.001, out=place)
    cell = place.astype(np.int64)
    place -= cell
    return Paths(cell, place)


@lru_cache(maxsize=16)
def _normals(days: int, paths: int, seed: int) -> NDArray[np.float32]:
    """Standard normals, (days, paths), nearly evenly spread in the first dimensions."""
    rng = np.random.default_rng(seed)
    each = paths // SHIFTS
    if each * SHIFTS != paths:
        raise ValueError(f"paths must be a multiple of {SHIFTS}, got {paths}")
    good = min(days, len(_GENERATOR))
    step = np.array(_GENERATOR[:good], dtype=np.int64)[:, None] * np.arange(each)
    lattice = (step % each) / each
    uniform = np.concatenate([(lattice + rng.random((good, 1))) % 1.0 for _ in range(SHIFTS)], 1)
    if days > good:
        # Principal components that far out hardly move a path.
        uniform = np.concatenate((uniform, rng.random((days - good, paths))))
    # A lattice has points at 0, of which there is no normal.
    normal: NDArray[np.float32] = ndtri(np.clip(uniform, 1e-12, 1.0 - 1e-12)).astype(np.float32)
    normal.setflags(write=False)
    return normal


@dataclass(frozen=True, slots=True, eq=False)
class ExitPlan:
    """
    When a structure is closed, and what that brings; tables (d, m), currency per structure.

    Attributes:
        watched: P&L that target and stop look at.
        gain: P&L in today's money if it is closed that day, before what closing costs.
        cost: (d,) what closing costs, in today's money; not paid at an expiry.
        hold: Mean P&L if nothing is closed before the expiry, in today's money.
        target: Closes at *watched* >= target; inf for never.
        stop: Closes at *watched* <= stop; -inf for never.
        last: Day on which whatever is left is closed.
        expires: Whether that day is the expiry, where nothing closes it but time.
        breach: Closes where this is >= 0, beside the stop; None for never.
    """

    watched: FloatArray
    gain: FloatArray
    cost: FloatArray
    hold: float
    target: float
    stop: float
    last: int
    expires: bool
    breach: FloatArray | None = None


class PathOutcome(NamedTuple):
    """What a plan brings: probabilities that add up to 1, means, and the worst 5 %."""

    p_target: float
    p_stop: float
    p_time: float
    p_expiry: float
    held: float
    """Mean of the days' *length* until it is closed."""
    ev: float
    ev_error: float
    """Standard error of `ev`: how the shifts of the lattice differ."""
    tail: float
    """Mean of the worst 5 %."""


def outcome(plan: ExitPlan, paths: Paths, length: FloatArray) -> PathOutcome:
    """
    Run a plan over paths: each is closed on the first day on which something closes it.

    Where a day brings several reasons, a stop counts before a target, and that before time.

    Args:
        length: (d,) what each day counts for in `Outcome.held`, such as calendar days from now.
    """
    count = paths.cell.shape[1]
    day = np.full(count, plan.last)
    alive = np.arange(count)
    states = _states(plan)
    closed = np.zeros(_OPEN)
    for today in range(plan.last + (not plan.expires)):
        state = states[today].take(paths.cell[today].take(alive))
        mixed = np.flatnonzero(state == _MIXED)
        state[mixed] = _judged(plan, paths, today, alive[mixed])
        closed += np.bincount(state, minlength=_OPEN + 1)[:_OPEN]
        leaves = state != _OPEN
        day[alive[leaves]] = today
        alive = alive[~leaves]
        if alive.size == 0:
            break
    left = alive.size / count
    gain, cost = _gains(plan, paths, day, alive)
    net = gain - cost
    means = cost.reshape(SHIFTS, -1).mean(axis=1)
    worst = max(1, round(TAIL * count))
    return PathOutcome(
        p_stop=float(closed[_STOP] / count),
        p_target=float(closed[_TARGET] / count),
        p_time=0.0 if plan.expires else left,
        p_expiry=left if plan.expires else 0.0,
        held=float(length[day].mean()),
        ev=float(net.mean()),
        ev_error=float(means.std(ddof=1) / np.sqrt(SHIFTS)),
        tail=float(np.partition(net, worst - 1)[:worst].mean()),
    )


def _states(plan: ExitPlan) -> NDArray[np.int8]:
    """What a path anywhere in each cell does, (d, m - 1); mixed where it depends on the place."""
    low = np.minimum(plan.watched[:, :-1], plan.watched[:, 1:])
    high = np.maximum(plan.watched[:, :-1], plan.watched[:, 1:])
    stopped, untouched = high <= plan.stop, low > plan.stop
    if plan.breach is not None:
        stopped |= np.minimum(plan.breach[:, :-1], plan.breach[:, 1:]) >= 0.0
        untouched &= np.maximum(plan.breach[:, :-1], plan.breach[:, 1:]) < 0.0
    state = np.full(low.shape, _MIXED, dtype=np.int8)
    state[stopped] = _STOP
    state[untouched & (low >= plan.target)] = _TARGET
    state[untouched & (high < plan.target)] = _OPEN
    return state


def _judged(plan: ExitPlan, paths: Paths, day: int, path: IntArray) -> NDArray[np.int8]:
    """What some paths do on one day, looked at one by one."""
    value = paths.at(plan.watched, day, path)
    stopped = value <= plan.stop
    if plan.breach is not None:
        stopped |= paths.at(plan.breach, day, path) >= 0.0
    state = np.where(value >= plan.target, _TARGET, _OPEN)
    return np.where(stopped, _STOP, state).astype(np.int8)


def _gains(
    plan: ExitPlan, paths: Paths, day: IntArray, alive: IntArray
) -> tuple[FloatArray, FloatArray]:
    """P&L and closing costs of every path, (n,); the mean P&L is that of holding."""
    gain = paths.at(plan.gain, day, np.arange(day.size))
    gain += plan.hold - gain.mean()
    cost = plan.cost[day]
    if plan.expires:
        cost[alive] = 0.0
    return gain, cost
