"""
Put-call parity: the forward and the discount factor that options imply, and how tidy quotes are.

C - P = D (F - K) is a straight line in the strike: its slope is the discount factor, the strike
where it crosses zero the forward. A forward is good from a few pairs; a discount factor takes some
sixty strikes, or several expiries together (`pooled_rates`), and European options: the slope of
American prices mixes in early exercise and implies rates that are some per cent off.

Parity holds for European prices. American ones carry early-exercise premiums, on puts where rates
are positive and on calls where dividends are near; `american_forward` takes them off.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, Num
from tomic.quant.arguments import same_shape

PARITY_RATE = 0.05
"""Rate of `parity_deviation` only: the one that the files it is compared with were made at."""
PARITY_PAIRS = 11
PARITY_WIDTH = 0.02
"""Pairs further than this from the money, as a share of it, count only up to `LEAST_PAIRS`."""
LEAST_PAIRS = 3

LEAST_LINE = 8
"""Pairs below which the scatter around a line says nothing about its slope."""
LINE_WING = 0.12
"""
Least time value of a pair on the line, as a share of that at the money: 0.119 is what an option of
delta .1 (or .9) keeps under a normal distribution.
"""
_HUBER = 1.345
"""Standard deviations beyond which a residual counts less (Huber); 95 % efficient when normal."""
_HUBER_ROUNDS = 3

CURVE_SPREAD = 0.005
"""How far rates of very different maturities lie apart, a fraction a year."""
CURVE_REACH = 1.5
"""Distance in the logarithm of time over which rates are alike: a factor of 4.5."""
CURVE_NUGGET = 0.0003
"""Error of an expiry's rate that its own scatter does not show, a fraction a year."""
_ODD = 2.0
"""Standard errors off its neighbours from which an expiry's rate is trusted less."""


class ParityForward(NamedTuple):
    """A forward from put-call parity."""

    forward: float
    """Currency per share; NaN without a pair."""
    error: float
    """Standard error of the median over the pairs; NaN with fewer than two."""
    n: int
    """Pairs of call and put used."""


def forward_from_parity(
    strike: Num, call_mid: Num, put_mid: Num, rate: float, tau: float, *, pairs: int = PARITY_PAIRS
) -> ParityForward:
    """
    Median of strike + e^(rate tau) (call - put) over the pairs nearest the money.

    For European prices. Near the money American ones err by cents over weeks, by some tenths over
    months: `american_forward`.

    Args:
        strike, call_mid, put_mid: Currency per share, one shape; a pair with a NaN or a negative
            price does not count.
        rate: Continuously compounded, fraction per year.
        tau: Years to expiry.
        pairs: How many strikes nearest the forward are used.

    Source: Stoll (1969), "The Relationship Between Put and Call Option Prices".
    """
    k, call, put = same_shape(strike=strike, call_mid=call_mid, put_mid=put_mid)
    quoted = (k > 0.0) & (call >= 0.0) & (put >= 0.0) & np.isfinite(k + call + put)
    if not quoted.any() or not math.isfinite(rate * tau):
        return ParityForward(math.nan, math.nan, 0)
    k, forward = k[quoted], (k + math.exp(rate * tau) * (call - put))[quoted]
    # The median over all strikes is good enough to say where the money is.
    away = np.abs(k / np.median(forward) - 1.0)
    near = np.argsort(away, kind="stable")[:pairs]
    # Where strikes lie far apart, further ones would bring in early exercise.
    chosen = forward[near[(away[near] <= PARITY_WIDTH) | (np.arange(near.size) < LEAST_PAIRS)]]
    return _median_forward(chosen)


def _median_forward(forward: FloatArray) -> ParityForward:
    centre = float(np.median(forward))
    scatter = 1.4826 * float(np.median(np.abs(forward - centre)))
    n = int(forward.size)
    # The median of normal errors is sqrt(pi / 2) less efficient than their mean.
    error = math.sqrt(0.5 * math.pi / n) * scatter if n > 1 else math.nan
    return ParityForward(centre, error, n)


IV_WING = 0.2
"""Least delta, without sign, of an option whose price says where the forward is."""
_HALVINGS = 60


def forward_from_volatility(
    strike: Num, mid: Num, iv: Num, is_call: Num, rate: float, tau: float
) -> ParityForward:
    """
    Forward at which Black's formula gives the prices of European options at known volatilities.

    For one side alone, where somebody who knew the forward, such as IB's model, gave volatilities:
    prices and volatilities together tell which one that was. Median over the options that move
    with it, deltas of `IV_WING` and more; a price that no forward gives does not count.

    Args:
        strike, mid, iv, is_call: One shape; currency per share and fractions, ``is_call`` bool.
        rate: Continuously compounded, fraction per year.
        tau: Years to expiry.

    Source: Black (1976), solved by bisection for the forward.
    """
    # Here and not above: scipy takes 0.3 s to import, and plain parity does without.
    from scipy.special import ndtr

    k, price, sigma, right = same_shape(strike=strike, mid=mid, iv=iv, is_call=is_call)
    known = (k > 0.0) & (price > 0.0) & (sigma > 0.0) & np.isfinite(k + price + sigma)
    if not known.any() or not (tau > 0.0 and math.isfinite(rate)):
        return ParityForward(math.nan, math.nan, 0)
    k, call = k[known], right[known] > 0.0
    total, sign = sigma[known] * math.sqrt(tau), np.where(call, 1.0, -1.0)
    target = price[known] * math.exp(rate * tau) / k
    # A forward of e to the 700 times the strike is none, and the next one has no number.
    high = np.minimum(8.0 * total + 2.0, 700.0)
    low = -high
    for _ in range(_HALVINGS):
        x = 0.5 * (low + high)
        d1 = x / total + 0.5 * total
        value = sign * (np.exp(x) * ndtr(sign * d1) - ndtr(sign * (d1 - total)))
        # A call rises with the forward, a put falls.
        above = (value > target) == call
        low, high = np.where(above, low, x), np.where(above, x, high)
    moves = (ndtr(sign * d1) >= IV_WING) & (np.abs(value - target) <= 1e-9 * (1.0 + target))
    forward = (k * np.exp(x))[moves]
    return _median_forward(forward) if forward.size else ParityForward(math.nan, math.nan, 0)


class ParityLine(NamedTuple):
    """Discount factor and forward of one expiry from the line through C - P."""

    discount: float
    """Value today of one unit of currency at expiry; NaN where the pairs do not determine it."""
    error: float
    """Standard error of `discount`, from the scatter around the line."""
    forward: float
    """Where the line crosses zero, currency per share."""
    n: int
    """Pairs of call and put on the line."""

    def rate(self, tau: float) -> tuple[float, float]:
        """
        Rate over *tau* years, continuously compounded, and its standard error; fractions a year.

        NaN where there is no discount factor or no time is left.
        """
        if not (self.discount > 0.0 and tau > 0.0):
            return math.nan, math.nan
        return -math.log(self.discount) / tau, self.error / self.discount / tau


_NO_LINE = ParityLine(math.nan, math.nan, math.nan, 0)


def discount_from_parity(
    strike: Num, call_mid: Num, put_mid: Num, spread: Num | None = None
) -> ParityLine:
    """
    Fit C - P = D (F - K) to one expiry of European options, wrong quotes counting little.

    Only for European options: early exercise bends the line of American ones. The line uses
    pairs with the time value of a delta between .1 and .9, as judged by the straddle at the money;
    weights are Huber's, from the median slope between strikes half the sample apart.

    Args:
        strike, call_mid, put_mid: Currency per share, one shape, any order; the mids of quotes of
            one moment with a bid and an ask. Pairs with a NaN or a price that is not positive are
            left out.
        spread: Ask less bid of call and put together; weights are its inverse square, at least
            that of half the median. None weighs all pairs alike.

    Returns:
        NaN and the pairs counted where there are fewer than `LEAST_LINE`, or the slope is not
        positive. An expiry below a month or with fewer than sixty strikes gives a discount factor
        with an error that is too large to use alone: see `error`, and `pooled_rates`.

    Source: Stoll (1969); Huber (1964), "Robust Estimation of a Location Parameter"; Theil (1950),
    "A rank-invariant method of linear and polynomial regression analysis", the incomplete method.
    """
    k, call, put = same_shape(strike=strike, call_mid=call_mid, put_mid=put_mid)
    width = np.ones(k.shape) if spread is None else same_shape(strike=strike, spread=spread)[1]
    # A NaN fails every comparison; infinity does not.
    quoted = (k > 0.0) & (call > 0.0) & (put > 0.0) & (width >= 0.0)
    quoted &= k + call + put + width < np.inf
    k, gap, time_value, width = (x[quoted] for x in (k, call - put, np.minimum(call, put), width))
    if k.size < LEAST_LINE:
        return _NO_LINE._replace(n=k.size)
    used = time_value >= LINE_WING * time_value[np.abs(gap).argmin()]
    k, gap, width = k[used], gap[used], width[used]
    if (k[1:] < k[:-1]).any():
        order = k.argsort(kind="stable")
        k, gap, width = k[order], gap[order], width[order]
    if k.size < LEAST_LINE or not k[-1] > k[0]:
        return _NO_LINE._replace(n=k.size)
    # Centred: strikes are large next to their differences.
    origin = float(k[k.size // 2])
    slope, crossing, error = _huber_line(k - origin, gap, _line_weights(width))
    if not slope < 0.0:
        return _NO_LINE._replace(n=k.size)
    return ParityLine(-slope, error, origin - crossing / slope, k.size)


def _line_weights(width: FloatArray) -> FloatArray:
    """Inverse squares of *width* relative to its median, of which half is the least that counts."""
    middle = _middle(width)
    if not middle > 0.0:
        return np.ones(width.shape)
    relative = np.maximum(width / middle, 0.5)
    return np.asarray(1.0 / (relative * relative))


def _middle(x: FloatArray) -> float:
    """The upper median; numpy's own takes five times as long for the few elements of an expiry."""
    half = x.size // 2
    return float(np.partition(x, half)[half])


def _huber_line(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[float, float, float]:
    """Slope, value at x = 0, and standard error of the slope, by Huber's weights; x ascending."""
    half = x.size // 2
    run = x[half:] - x[: x.size - half]
    rise = y[half:] - y[: y.size - half]
    slope = _middle(rise / run) if (run > 0.0).all() else float(np.polyfit(x, y, 1)[0])
    at_zero = _middle(y - slope * x)
    root, scale, spread_square = np.sqrt(weight), 0.0, math.nan
    for _ in range(_HUBER_ROUNDS):
        residual = np.abs(y - at_zero - slope * x) * root
        scale = 1.4826 * _middle(residual)
        share = weight
        if scale > 0.0:
            limit = _HUBER * scale
            share = weight * (limit / np.maximum(residual, limit))
        total = float(share.sum())
        x_mean, y_mean = float(share @ x) / total, float(share @ y) / total
        off = x - x_mean
        pull = share * off
        spread_square = float(pull @ off)
        slope = float(pull @ y) / spread_square
        at_zero = y_mean - slope * x_mean
    # The scatter of a line through n points is that of n - 2.
    return slope, at_zero, scale * math.sqrt(x.size / (x.size - 2.0) / spread_square)


class PooledRates(NamedTuple):
    """Rates of a curve through several expiries, fractions a year, with their standard errors."""

    rate: FloatArray
    error: FloatArray


def pooled_rates(tau: Num, rate: Num, error: Num) -> PooledRates:
    """
    One curve through the rates of all expiries, read off at each of them.

    A sure rate stays nearly where it is, an unsure one is drawn to its neighbours in the logarithm
    of time, and an expiry without any takes the curve's: kriging with an unknown mean. A rate
    that its neighbours contradict is trusted less, whatever its own error says.

    Args:
        tau: Years to each expiry, (n,), any order; expired ones get NaN.
        rate, error: Of each, as `ParityLine.rate` gives them; NaN where there is none.

    Returns:
        (n,) each; NaN everywhere without a single rate.

    Source: Matheron (1963), "Principles of geostatistics"; Rasmussen and Williams (2006),
    "Gaussian Processes for Machine Learning", chapter 2 and section 5.4.2.
    """
    years, given, own = same_shape(tau=tau, rate=rate, error=error)
    nothing = np.full(years.shape, np.nan)
    alive = years > 0.0
    known = alive & np.isfinite(given) & (own >= 0.0) & np.isfinite(own)
    if not known.any():
        return PooledRates(nothing, nothing)
    at, source = np.log(years[alive]), np.log(years[known])
    value, noise = given[known], own[known] ** 2 + CURVE_NUGGET**2
    near = _likeness(source, source)
    for _ in range(3):
        inverse = np.linalg.inv(near + np.diag(noise))
        row = inverse.sum(axis=0)
        mean = float(row @ value) / float(row.sum())
        weights = inverse @ (value - mean)
        # What each misses of what the others say of it, in standard errors.
        missed = np.abs(weights) / np.sqrt(np.diag(inverse))
        noise = noise * np.maximum(missed / _ODD, 1.0) ** 2
    across = _likeness(at, source)
    unexplained = CURVE_SPREAD**2 - np.einsum("ij,jk,ik->i", across, inverse, across)
    of_mean = (1.0 - across @ row) ** 2 / float(row.sum())
    curve, sure = nothing.copy(), nothing.copy()
    curve[alive] = mean + across @ weights
    sure[alive] = np.sqrt(np.maximum(unexplained + of_mean, 0.0))
    return PooledRates(curve, sure)


def _likeness(one: FloatArray, other: FloatArray) -> FloatArray:
    """Covariance of rates at two sets of log times."""
    apart = (one[:, None] - other[None, :]) / CURVE_REACH
    return np.asarray(CURVE_SPREAD**2 * np.exp(-0.5 * apart * apart))


def american_forward(
    spot: float,
    strike: Num,
    call_mid: Num,
    put_mid: Num,
    rate: float,
    tau: float,
    *,
    pairs: int = PARITY_PAIRS,
    rounds: int = 2,
) -> ParityForward:
    """
    Forward from put-call parity of American options, their early-exercise premiums taken off.

    Each round finds the yield that the forward implies, the volatility of every pair from its
    out-of-the-money side, and with both the premiums of call and put; two rounds settle to a cent.

    Args:
        spot: Currency per share, of the same moment as the quotes.
        strike, call_mid, put_mid, rate, tau, pairs: As in `forward_from_parity`.
        rounds: Zero gives `forward_from_parity`.

    Returns:
        The European answer where spot is missing or no volatility can be found.
    """
    # Here and not above: scipy takes 0.3 s to import, and plain parity does without.
    from tomic.quant import american

    k, call, put = same_shape(strike=strike, call_mid=call_mid, put_mid=put_mid)
    implied = forward_from_parity(k, call, put, rate, tau, pairs=pairs)
    for _ in range(rounds):
        div_yield = implied_yield(spot, implied.forward, rate, tau)
        if not math.isfinite(div_yield):
            return implied
        # Only strikes near the money can be chosen: no boundary for the rest.
        near = np.argsort(np.abs(k - implied.forward), kind="stable")[: 2 * pairs]
        near = near[(call[near] >= 0.0) & (put[near] >= 0.0) & (k[near] > 0.0)]
        at = k[near]
        above = at >= implied.forward
        price = np.where(above, call[near], put[near])
        sigma = american.implied_vol(price, spot, at, tau, rate, div_yield, above)
        known = np.isfinite(sigma)
        if not known.any():
            return implied
        market = (spot, at[known], tau, rate, div_yield, sigma[known])
        european_call = call[near][known] - american.premium(*market, True)
        european_put = put[near][known] - american.premium(*market, False)
        implied = forward_from_parity(
            at[known], european_call, european_put, rate, tau, pairs=pairs
        )
    return implied


def implied_yield(spot: float, forward: float, rate: float, tau: float) -> float:
    """
    Continuous dividend yield that carries *spot* to *forward*: rate - ln(forward / spot) / tau.

    A fraction per year; NaN where an input is NaN or not positive (rate may be).
    """
    if not (spot > 0.0 and forward > 0.0 and tau > 0.0):
        return math.nan
    return rate - math.log(forward / spot) / tau


def parity_deviation(
    call_mid: Num, put_mid: Num, spot: Num, strike: Num, dte: Num, rate: float = PARITY_RATE
) -> FloatArray:
    """
    |(call - put) - (spot - strike e^(-rate days / 365))|, rounded to four decimals.

    A measure of how tidy the quotes are, not of arbitrage: dividends are left out and the sign is
    lost, as in the files it is compared with. Days below zero count as zero.

    Returns:
        Currency per share, broadcast; NaN where a price is NaN or negative.
    """
    call, put, s, k, days = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (call_mid, put_mid, spot, strike, dte))
    )
    carried = k * np.exp(-rate * np.maximum(days, 0.0) / 365.0)
    off = np.where((call >= 0.0) & (put >= 0.0), np.abs((call - put) - (s - carried)), np.nan)
    # Python's round is exact in decimals; numpy's scales and can differ in the last one.
    return np.array([round(x, 4) for x in off.ravel().tolist()]).reshape(off.shape)


def average_parity_deviation(deviation: Num, dte: Num) -> float:
    """
    Mean of `parity_deviation` over the first expiry alone, rounded to four decimals.

    NaN where that expiry has no pair of quotes, whatever the later ones have.
    """
    off, days = same_shape(deviation=deviation, dte=dte)
    if not np.isfinite(days).any():
        return math.nan
    first = off[(days == np.nanmin(days)) & np.isfinite(off)]
    return round(float(first.mean()), 4) if first.size else math.nan
