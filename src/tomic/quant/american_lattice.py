"""
American options on a trinomial lattice: for cash dividends and for double boundaries.

Slower than a boundary and exact to some digits only, but it takes any exercise value. Each option
has its own even grid in log(spot); all options advance together, a step at a time. The last step is
the closed form, which removes the kink of the payoff, and two lattices are extrapolated.

Sources: Kamrad and Ritchken (1991) for the branches; Broadie and Detemple (1996) for the closed
form in the last step and the extrapolation; Hull for escrowed dividends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.quant import black_scholes

STEPS = 400
"""Steps of the finer lattice over the whole life; the coarser one has half of them."""
_WIDTH = 6.5
_OPTIONS_AT_ONCE = 32


class Schedule(NamedTuple):
    """
    Steps backwards from expiry: ``length`` in years, and what spot is worth above its risky part.

    ``escrow`` is the value, at the start of the step, of the dividends still to come; ``last`` the
    same including one that is paid at that moment (a call holder exercises just before it).
    """

    length: FloatArray
    escrow: FloatArray
    last: FloatArray


def put_premium(
    x: FloatArray, tau: float, rate: float, div_yield: float, sigma: FloatArray
) -> FloatArray:
    """Early-exercise premium of puts with strike 1, x = log(spot); NaN where sigma is NaN."""
    spot, unit = np.exp(x), np.ones_like(x)
    known = np.where(sigma > 0.0, sigma, 1e-3)
    value = price(spot, unit, tau, rate, div_yield, known, -unit, ())
    european = black_scholes.price(spot, unit, tau, rate, div_yield, known, False)
    premium = np.maximum(value, 1.0 - spot) - european
    return np.where(np.isnan(sigma), np.nan, np.maximum(premium, 0.0))


def price(
    spot: FloatArray,
    strike: FloatArray,
    tau: float,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    sign: FloatArray,
    payments: Sequence[tuple[float, float]],
) -> FloatArray:
    """
    Value of American options of one expiry on a stock with escrowed cash dividends.

    Args:
        spot: Currency per share, less the present value of the payments.
        strike, sigma, sign: Per option; sign +1 for calls, -1 for puts.
        tau, rate, div_yield: Of the expiry.
        payments: Time in years and amount of each dividend before or at expiry, in order.
    """
    out = np.empty(spot.size)
    schedules = [_schedule(tau, rate, payments, steps) for steps in (STEPS // 2, STEPS)]
    for start in range(0, spot.size, _OPTIONS_AT_ONCE):
        i = slice(start, start + _OPTIONS_AT_ONCE)
        coarse, fine = (
            _roll_back(spot[i], strike[i], rate, div_yield, sigma[i], sign[i], schedule)
            for schedule in schedules
        )
        out[i] = 2.0 * fine - coarse
    return out


def _schedule(
    tau: float, rate: float, payments: Sequence[tuple[float, float]], steps: int
) -> Schedule:
    """Even steps between the ex-dates, so that every ex-date is the start of a step."""
    marks = sorted({0.0, tau, *(time for time, _ in payments if 0.0 < time < tau)}, reverse=True)
    length: list[float] = []
    starts: list[float] = []
    for late, soon in pairwise(marks):
        count = max(2, round(steps * (late - soon) / tau))
        length += [(late - soon) / count] * count
        starts += [late - (late - soon) * (k + 1) / count for k in range(count - 1)] + [soon]
    times = np.array(starts)

    def worth(strictly: bool) -> FloatArray:
        total = np.zeros(times.size)
        for time, amount in payments:
            ahead = time > times if strictly else time >= times
            total += np.where(ahead, amount * np.exp(-rate * (time - times)), 0.0)
        return total

    return Schedule(np.array(length), worth(True), worth(False))


def _roll_back(
    spot: FloatArray,
    strike: FloatArray,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    sign: FloatArray,
    schedule: Schedule,
) -> FloatArray:
    length = schedule.length
    drift = rate - div_yield - 0.5 * sigma * sigma
    spacing = sigma * np.sqrt(3.0 * length.max())
    # A strong drift needs a wider grid spacing to keep all three probabilities positive.
    spacing = np.maximum(spacing, 1.01 * np.abs(drift) * length.max())
    reach = _WIDTH * sigma * np.sqrt(length.sum()) + np.abs(drift) * length.sum()
    half = int(np.ceil(np.max(reach / spacing))) + 1
    grid = spot[:, None] * np.exp(spacing[:, None] * np.arange(-half, half + 1))
    payoff = sign[:, None] * (grid - strike[:, None])
    value = black_scholes.price(
        grid, strike[:, None], length[0], rate, div_yield, sigma[:, None], sign[:, None] > 0.0
    )
    for step, (dt, escrow, last) in enumerate(zip(*schedule, strict=True)):
        if step:
            value = _step_back(value, dt, rate, drift, sigma, spacing)
        best = sign * np.where(sign > 0.0, last, escrow)
        np.maximum(value, payoff + best[:, None], out=value)
    return np.asarray(value[:, half], dtype=np.float64)


def _step_back(
    value: FloatArray,
    dt: float,
    rate: float,
    drift: FloatArray,
    sigma: FloatArray,
    spacing: FloatArray,
) -> FloatArray:
    shift = drift * dt / spacing
    spread = sigma * sigma * dt / (spacing * spacing) + shift * shift
    discount = np.exp(-rate * dt)
    up = (0.5 * discount * (spread + shift))[:, None]
    down = (0.5 * discount * (spread - shift))[:, None]
    stay = (discount * (1.0 - spread))[:, None]
    new: FloatArray = stay * value
    new[:, 1:-1] += up * value[:, 2:] + down * value[:, :-2]
    new[:, 0] = 2.0 * new[:, 1] - new[:, 2]
    new[:, -1] = 2.0 * new[:, -2] - new[:, -3]
    return new
