"""Early-exercise premiums of a whole chain, by interpolation in tables that symbols share."""

from __future__ import annotations

import numpy as np

from tomic._typing import BoolArray, FloatArray
from tomic.quant import black_scholes, exercise_table

PREMIUM_YIELD_STEP = 0.0025
PREMIUM_TAU = (2.0 / 365.0, 2.5)
PREMIUM_SIGMA = (0.05, 2.0)
"""What the tables of early-exercise premiums span; beyond it their edges hold."""


def premiums(
    spot: float,
    strike: FloatArray,
    tau: FloatArray,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    is_call: BoolArray,
) -> FloatArray:
    """
    Early-exercise premiums of American options by interpolation, currency per share, (n,).

    One table a side serves all expiries; yields are rounded to a quarter of a per cent, so that
    symbols share tables. Good to a tenth of a cent at a spot of 500, next to that rounding.
    """
    near = round(div_yield / PREMIUM_YIELD_STEP) * PREMIUM_YIELD_STEP
    premium = np.zeros(strike.shape)
    for call in (False, True):
        side = np.flatnonzero(is_call == call)
        # A call is the put with rate and yield, price and strike exchanged.
        early, late = (near, rate) if call else (rate, near)
        table = exercise_table.build(PREMIUM_TAU, early, late, PREMIUM_SIGMA) if side.size else None
        if table is None:
            continue
        k, years, vol = strike[side], tau[side], sigma[side]
        terms = table.terms(years[:, None], vol[:, None])
        log_ratio = np.log(spot / k)
        place = (-log_ratio if call else log_ratio) * terms.rise[:, 0, 0] + terms.shift[:, 0, 0]
        power, found = np.clip(place, -1.0, 1.0), np.zeros(side.size)
        for coefficient in terms.coefficient[::-1, :, 0, 0]:
            found = found * power + coefficient
        found *= spot if call else k
        due = np.flatnonzero(place <= -1.0)
        if due.size:
            european = black_scholes.price(spot, k[due], years[due], rate, near, vol[due], call)
            found[due] = np.maximum(spot - k[due] if call else k[due] - spot, 0.0) - european
        premium[side] = np.maximum(found, 0.0)
    return premium
