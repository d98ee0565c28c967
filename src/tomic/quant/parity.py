"""
Put-call parity: the forward that the options imply, its dividend yield, and how tidy quotes are.

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
    centre = float(np.median(chosen))
    scatter = 1.4826 * float(np.median(np.abs(chosen - centre)))
    n = int(chosen.size)
    # The median of normal errors is sqrt(pi / 2) less efficient than their mean.
    error = math.sqrt(0.5 * math.pi / n) * scatter if n > 1 else math.nan
    return ParityForward(centre, error, n)


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
