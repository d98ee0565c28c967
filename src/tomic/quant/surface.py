"""
What one chain says about the whole surface: ATM levels, skew, term structure, expected moves, and
variance without a model, the price of a strip of out-of-the-money options.

Volatilities are fractions, total variance is iv^2 tau, maturities are interpolated linearly in
total variance, but for the jumps of events. A quote that is missing, and a quantity that the
quotes do not determine, is NaN.

Sources: Cboe (2022), "Cboe Volatility Index Mathematics Methodology"; Demeterfi, Derman, Kamal and
Zou (1999), "More Than You Ever Wanted to Know About Volatility Swaps".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import FloatArray, Num
from tomic.quant.arguments import same_shape

if TYPE_CHECKING:
    from tomic.quant.events import VarianceJump
    from tomic.quant.smile import Smile

SKEW_DELTA = 0.25
SKEW_DAYS = 30
THIRTY_DAYS = 30.0 / 365.0
MINUTES_A_DAY = 1440.0
MINUTES_A_YEAR = 365.0 * MINUTES_A_DAY
MINUTES_30_DAYS = 30.0 * MINUTES_A_DAY


class TermStructure(NamedTuple):
    """First expiry's volatility less the second's and the third's, fractions."""

    m1_m2: float
    m1_m3: float


class ExpectedMove(NamedTuple):
    """The move to expiry that a density expects, currency per share."""

    sigma: float
    """Standard deviation of the underlying at expiry."""
    mean_absolute: float
    """Mean distance from the forward, what the at-the-forward straddle costs undiscounted."""
    lower: float
    """Price below which it ends with 15.87 %: one standard deviation down, were it normal."""
    upper: float
    """Price above which it ends with 15.87 %."""


class ModelFree(NamedTuple):
    """Model-free variance of one expiry."""

    variance: float
    """Per year, a fraction; NaN where the strip has fewer than two options a side or no centre."""
    k0: float
    """First strike at or below the forward."""
    puts: int
    """Options used below `k0`."""
    calls: int
    """Options used above `k0`."""


def atm_iv(strike: Num, iv: Num, forward: float) -> float:
    """
    Implied volatility at the forward, linear in variance between the two strikes around it.

    Volatilities of a call and a put at one strike are averaged. NaN where the quotes do not
    enclose the forward.
    """
    k, vol = same_shape(strike=strike, iv=iv)
    known = (k > 0.0) & (vol > 0.0) & np.isfinite(k + vol)
    if not (known.any() and forward > 0.0):
        return math.nan
    at, group = np.unique(k[known], return_inverse=True)
    variance = (np.bincount(group, vol[known]) / np.bincount(group)) ** 2
    if not at[0] <= forward <= at[-1]:
        return math.nan
    return math.sqrt(float(np.interp(math.log(forward), np.log(at), variance)))


def constant_maturity_iv(
    tau: Num,
    iv: Num,
    target: float = THIRTY_DAYS,
    *,
    jumps: Sequence[VarianceJump] = (),
    ex_event: bool = False,
) -> float:
    """
    Volatility at a maturity between the listed ones, linear in total variance.

    The variance of a jump does not grow with time: it is taken off both neighbours, and put back
    where the event lies before *target*. One whose date is not known is spread evenly over the
    days on which it may fall.

    Args:
        tau: Years to each expiry, any order.
        iv: At-the-money volatility of each; NaN and expired ones are left out.
        target: Years, 30 days by default.
        jumps: As `tomic.quant.events` finds them in the same volatilities.
        ex_event: Leave the jumps out of the answer.

    Returns:
        A fraction. Beyond the listed maturities the nearest one's volatility, as long as that is
        at least half and at most twice the target; NaN further out, and where the jumps hold more
        variance than there is.
    """
    years, vol = same_shape(tau=tau, iv=iv)
    known = (years > 0.0) & (vol > 0.0) & np.isfinite(years + vol)
    if not (known.any() and target > 0.0):
        return math.nan
    order = np.argsort(years[known])
    years, vol = years[known][order], vol[known][order]
    variance, extra = vol**2 * years, 0.0
    for jump in jumps:
        variance = variance - jump.variance * jump.share(years)
        extra += 0.0 if ex_event else jump.variance * float(jump.share(target))
    if years[0] <= target <= years[-1]:
        return _annual(float(np.interp(target, years, variance)) + extra, target)
    nearest = 0 if target < years[0] else -1
    if not 0.5 * target <= years[nearest] <= 2.0 * target:
        return math.nan
    if not jumps:
        return float(vol[nearest])
    return _annual(float(variance[nearest] / years[nearest]) * target + extra, target)


def _annual(variance: float, tau: float) -> float:
    """Volatility of a total variance; NaN of a negative one."""
    return math.sqrt(variance / tau) if variance >= 0.0 else math.nan


def forward_variance(tau: Num, iv: Num) -> FloatArray:
    """
    Variance a year between each expiry and the next: (w2 - w1) / (tau2 - tau1), w = iv^2 tau.

    Args:
        tau, iv: Rising maturities and their volatilities, ``(n,)``.

    Returns:
        ``(n - 1,)``; negative where total variance falls, which is calendar arbitrage. NaN where
        a maturity does not rise.
    """
    years, vol = same_shape(tau=tau, iv=iv)
    step = np.diff(years)
    rises = step > 0.0
    return np.where(rises, np.diff(vol**2 * years) / np.where(rises, step, 1.0), np.nan)


def delta_iv(delta: Num, iv: Num, target: float) -> float:
    """
    Volatility at a delta, linear in delta between the two quotes around it.

    Args:
        delta: Of each option, whatever its convention; calls positive, puts negative.
        iv: Fractions.
        target: 0.25 for the 25-delta call, -0.25 for the put. Only deltas of its sign count.

    Returns:
        NaN where the quotes do not enclose the target.
    """
    d, vol = same_shape(delta=delta, iv=iv)
    known = (np.sign(d) == np.sign(target)) & (vol > 0.0) & np.isfinite(vol)
    if not known.any():
        return math.nan
    order = np.argsort(d[known])
    at, vol = d[known][order], vol[known][order]
    return float(np.interp(target, at, vol, left=math.nan, right=math.nan))


def nearest_expiry(dte: Num, days: float = SKEW_DAYS) -> float:
    """The days to expiry nearest *days*, the earlier of two; NaN where there is none."""
    listed = np.asarray(dte, dtype=np.float64).ravel()
    listed = np.unique(listed[np.isfinite(listed)])
    return float(listed[np.argmin(np.abs(listed - days))]) if listed.size else math.nan


def skew(
    dte: Num, delta: Num, iv: Num, *, target: float = SKEW_DELTA, days: float = SKEW_DAYS
) -> float:
    """
    IV(25-delta call) - IV(25-delta put) at the expiry nearest thirty days.

    Args:
        dte, delta, iv: One element an option; calls have positive deltas, puts negative.

    Returns:
        A fraction, negative on indices. Expiries whose quotes do not enclose both deltas are
        passed over; NaN where none does.
    """
    t, d, vol = same_shape(dte=dte, delta=delta, iv=iv)
    listed = np.unique(t[np.isfinite(t)])
    for expiry in listed[np.argsort(np.abs(listed - days), kind="stable")]:
        rows = t == expiry
        gap = delta_iv(d[rows], vol[rows], target) - delta_iv(d[rows], vol[rows], -target)
        if math.isfinite(gap):
            return gap
    return math.nan


def smile_delta_iv(smile: Smile, delta: float) -> float:
    """
    Volatility of a fitted smile at a forward delta: N(d1) for calls, N(d1) - 1 for puts.

    NaN for a delta outside (-1, 1) or zero.
    """
    if not 0.0 < abs(delta) < 1.0:
        return math.nan
    hit = delta if delta > 0.0 else 1.0 + delta
    # N(d1) falls with the strike, from one at zero to zero at infinity.
    low, high = -5.0, 5.0
    for _ in range(60):
        k = 0.5 * (low + high)
        total_vol = math.sqrt(float(smile.total_variance(k)))
        low, high = (k, high) if ndtr(-k / total_vol + 0.5 * total_vol) > hit else (low, k)
    return float(smile.iv(smile.forward * math.exp(0.5 * (low + high))))


def smile_skew(smile: Smile, target: float = SKEW_DELTA) -> float:
    """IV(25-delta call) - IV(25-delta put) of a fitted smile, a fraction."""
    return smile_delta_iv(smile, target) - smile_delta_iv(smile, -target)


def mean_atm_iv(strike: Num, iv: Num, spot: float, window: float = 5.0) -> float:
    """
    Mean volatility of all options, calls and puts, within *window* currency units of spot.

    The level that `term_structure` compares; NaN where no such option has one.
    """
    k, vol = same_shape(strike=strike, iv=iv)
    near = (np.abs(k - spot) <= window) & np.isfinite(vol)
    return float(vol[near].mean()) if near.any() else math.nan


def term_structure(iv: Num) -> TermStructure:
    """
    First expiry's volatility less the second's and the third's; positive is backwardation.

    Args:
        iv: One level an expiry, earliest first, from `mean_atm_iv`. The expiries are those of the
            chain, weeklies included, whatever months they fall in.

    Returns:
        Fractions; NaN where an expiry is missing.
    """
    level = [*np.asarray(iv, dtype=np.float64).ravel()[:3].tolist(), *[math.nan] * 3]
    return TermStructure(level[0] - level[1], level[0] - level[2])


def expected_move_iv(spot: Num, iv: Num, dte: Num) -> FloatArray:
    """One standard deviation, spot iv sqrt(dte / 365), currency per share, broadcast."""
    s, vol, days = (np.asarray(x, dtype=np.float64) for x in (spot, iv, dte))
    return np.asarray(s * vol * np.sqrt(np.where(days >= 0.0, days, np.nan) / 365.0))


def expected_move_straddle(strike: Num, call_mid: Num, put_mid: Num, forward: float) -> float:
    """
    Price of the straddle at the forward, interpolated between the two strikes around it.

    The mean absolute move, about 0.8 standard deviations; no factor is applied. Where one side of
    a pair is not quoted the strike is left out; NaN where the strikes do not enclose the forward.
    """
    k, call, put = same_shape(strike=strike, call_mid=call_mid, put_mid=put_mid)
    quoted = (call >= 0.0) & (put >= 0.0) & np.isfinite(k + call + put)
    if not quoted.any():
        return math.nan
    order = np.argsort(k[quoted])
    k, call, put = (x[quoted][order] for x in (k, call, put))
    return float(np.interp(forward, k, call + put, left=math.nan, right=math.nan))


def expected_move_density(smile: Smile) -> ExpectedMove:
    """Standard deviation, mean absolute move and the central 68.27 % under a fitted smile."""
    undiscounted = 1.0 / smile.discount
    straddle = smile.value(smile.forward, True) + smile.value(smile.forward, False)
    lower, upper = smile.quantile([ndtr(-1.0), ndtr(1.0)])
    # The variance is twice the area under the out-of-the-money values, from put to call.
    k = np.linspace(-12.0, 12.0, 2401) * math.sqrt(float(smile.total_variance(0.0)))
    at = smile.forward * np.exp(k)
    side = smile.value(at, at > smile.forward) * at
    variance = 2.0 * undiscounted * float(np.trapezoid(side, k))
    return ExpectedMove(
        math.sqrt(variance), float(undiscounted * straddle), float(lower), float(upper)
    )


def model_free_variance(
    strike: Num,
    call_bid: Num,
    call_ask: Num,
    put_bid: Num,
    put_ask: Num,
    *,
    forward: float,
    rate: float,
    tau: float,
) -> ModelFree:
    """
    Cboe's variance of one expiry, 2/T sum dK/K^2 e^(RT) Q(K) - (F/K0 - 1)^2 / T.

    Going out from K0 an option without a bid is left out, and after two in a row nothing further
    out counts. At K0 the mids of call and put are averaged. dK is half the distance between the
    neighbours that are used, at the ends the distance to the one neighbour.

    Args:
        strike: Currency per share, one row a strike, any order.
        call_bid, call_ask, put_bid, put_ask: NaN or a bid of zero or less means no bid.
        forward: From put-call parity at the strike where call and put are closest.
        rate: Continuously compounded to this expiry.
        tau: Years, from minutes: minutes / 525,600.

    Raises:
        ValueError: Shapes differ, or forward or tau is not positive.
    """
    given = (strike, call_bid, call_ask, put_bid, put_ask)
    rows = [np.asarray(x, dtype=np.float64) for x in given]
    if len({x.shape for x in rows}) != 1 or rows[0].ndim != 1:
        raise ValueError(f"arguments must have one shape (strikes,), got {[x.shape for x in rows]}")
    for name, number in (("forward", forward), ("tau", tau)):
        if not number > 0.0:
            raise ValueError(f"{name} must be > 0, got {number:g}")
    order = np.argsort(rows[0])
    k, cb, ca, pb, pa = (x[order] for x in rows)
    below = np.flatnonzero(k <= forward)
    if not below.size:
        return ModelFree(math.nan, math.nan, 0, 0)
    centre = int(below[-1])
    puts = _going_out(pb, pa, range(centre - 1, -1, -1))
    calls = _going_out(cb, ca, range(centre + 1, k.size))
    middle = 0.25 * (cb[centre] + ca[centre] + pb[centre] + pa[centre])
    k0 = float(k[centre])
    if min(len(puts), len(calls)) < 2 or not math.isfinite(middle):
        return ModelFree(math.nan, k0, len(puts), len(calls))
    used = np.array([*reversed(puts), centre, *calls])
    mid = np.where(used < centre, 0.5 * (pb + pa)[used], 0.5 * (cb + ca)[used])
    mid[len(puts)] = middle
    gap = np.gradient(k[used], np.arange(used.size))
    strip = float(np.sum(gap / k[used] ** 2 * mid)) * math.exp(rate * tau)
    variance = (2.0 * strip - (forward / k0 - 1.0) ** 2) / tau
    return ModelFree(variance, k0, len(puts), len(calls))


def vix_index(
    near_variance: float,
    next_variance: float,
    *,
    near_minutes: float,
    next_minutes: float,
    target_minutes: float = MINUTES_30_DAYS,
) -> float:
    """
    Volatility over thirty days from two expiries' variances, linear in variance times time.

    Args:
        near_variance, next_variance: Per year, from `model_free_variance`.
        near_minutes, next_minutes: To each settlement; the target may lie outside them.

    Returns:
        A fraction (the published index divided by 100); NaN where an input is NaN, the maturities
        do not rise or the interpolated variance is negative.

    Source: Cboe (2022), "Cboe Volatility Index Mathematics Methodology".
    """
    if not 0.0 < near_minutes < next_minutes:
        return math.nan
    share = (next_minutes - target_minutes) / (next_minutes - near_minutes)
    near = near_minutes / MINUTES_A_YEAR * near_variance * share
    later = next_minutes / MINUTES_A_YEAR * next_variance * (1.0 - share)
    variance = (near + later) * MINUTES_A_YEAR / target_minutes
    return math.sqrt(variance) if variance >= 0.0 else math.nan


def derman_variance(
    put_strike: Num,
    put_price: Num,
    call_strike: Num,
    call_price: Num,
    *,
    spot: float,
    rate: float,
    div_yield: float,
    tau: float,
) -> float:
    """
    Fair variance of a swap replicated with the listed strikes only.

    The log contract is replaced by straight lines between the strikes, which lie above it: the
    answer exceeds the continuous strip's, and tails beyond the last strikes are left out.

    Args:
        put_strike, call_strike: Currency per share; they share exactly one strike, the boundary.
        put_price, call_price: European, currency per share.

    Returns:
        Variance per year.

    Raises:
        ValueError: The highest put strike is not the lowest call strike.

    Source: Demeterfi, Derman, Kamal and Zou (1999), appendix A.
    """
    below, puts = _sorted(put_strike, put_price)
    above, calls = _sorted(call_strike, call_price)
    if not (below.size > 1 and above.size > 1 and below[-1] == above[0]):
        raise ValueError("highest put strike must equal the lowest call strike, with one beyond")
    boundary = float(above[0])
    portfolio = _log_weights(above, boundary) @ calls[:-1]
    portfolio += _log_weights(below[::-1], boundary) @ puts[:0:-1]
    carry = (rate - div_yield) * tau
    ahead = spot * math.exp(carry) / boundary
    fixed = carry - (ahead - 1.0) - math.log(boundary / spot)
    return (2.0 * fixed + math.exp(rate * tau) * float(portfolio)) / tau


def _going_out(bid: FloatArray, ask: FloatArray, rows: Iterable[int]) -> list[int]:
    """Rows with a bid, in order, up to two in a row without one."""
    used: list[int] = []
    silent = 0
    for i in rows:
        if bid[i] > 0.0 and ask[i] >= bid[i]:
            used.append(i)
            silent = 0
        else:
            silent += 1
        if silent == 2:
            break
    return used


def _sorted(strike: Num, price: Num) -> tuple[FloatArray, FloatArray]:
    k = np.asarray(strike, dtype=np.float64)
    order = np.argsort(k)
    return k[order], np.asarray(price, dtype=np.float64)[order]


def _log_weights(strike: FloatArray, boundary: float) -> FloatArray:
    """Options to hold at each strike but the last, going out from the boundary."""
    # 2 ((K - B) / B - ln(K / B)): the log contract less its tangent at the boundary.
    payoff = 2.0 * ((strike - boundary) / boundary - np.log(strike / boundary))
    slope = np.diff(payoff) / np.abs(np.diff(strike))
    return np.diff(slope, prepend=0.0)
