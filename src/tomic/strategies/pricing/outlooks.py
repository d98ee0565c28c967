"""What the options of an expiry expect of the underlying, and what we expect beside it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.config import ScoreSettings
from tomic.models import VolSnapshot
from tomic.quant import density, surface
from tomic.quant.density import Density
from tomic.quant.smile import Smile

HALF_SPREADS = 2.0
"""How many half-spreads a smile may miss the market by at the money."""
LEAST_MISS = 0.003
"""Volatility, a fraction, that it may miss the market by however narrow the spread is."""

_HVS = ("hv20", "hv30", "hv60", "hv90", "hv252")


class Forecast(NamedTuple):
    """The expected volatility and its components; fractions, None where unknown."""

    volatility: float | None
    iv30: float | None
    hv: float | None
    note: str

    @property
    def ratio(self) -> float:
        """By how much the market's densities are widened; 1 where either side is unknown."""
        if not (self.volatility and self.iv30):
            return 1.0
        return self.volatility / self.iv30


@dataclass(frozen=True, eq=False)
class Outlook:
    """What the options of one expiry say about the price of the underlying on that day."""

    expiry: dt.date
    dte: int
    tau: float
    forward: float
    discount: float
    rate: float
    """Behind `discount`, continuously compounded, fraction per year."""
    div_yield: float
    """What carries spot to forward at `rate`, fraction per year."""
    smile: Smile
    market: Density
    forecast: Density

    @property
    def atm_iv(self) -> float:
        """Implied volatility at the forward."""
        return float(self.smile.iv(self.forward))

    @cached_property
    def sigma_points(self) -> float:
        """One standard deviation to expiry at the money, currency per share."""
        return self.forward * self.atm_iv * math.sqrt(self.tau)


class NearMoney(NamedTuple):
    """What the market itself says of one expiry: what its smile is held against."""

    strike: FloatArray
    """Of the out-of-the-money quotes that were fitted, (n,)."""
    iv: FloatArray
    """Their volatilities at the mid, fractions."""
    half_spread: FloatArray
    """Half of ask less bid, in volatility, fractions."""
    straddle_strike: float
    """Nearest the forward of those with call and put quoted; NaN without one."""
    straddle: float
    """Mid of call and put there, early exercise taken off, currency per share."""
    straddle_spread: float
    """Ask less bid of both together, currency per share."""


def disagreement(fitted: Smile, law: Density, market: NearMoney) -> str:
    """
    How a smile and its density miss the market at the money; "" where they are usable.

    They fail where `smile_missed` says so, or where the density does not price the straddle at
    the money to within its spread or .3 volatility points.
    """
    missed = smile_missed(fitted, market.strike, market.iv, market.half_spread)
    return missed or _straddle_missed(fitted, law, market)


def smile_missed(fitted: Smile, strike: FloatArray, iv: FloatArray, half_spread: FloatArray) -> str:
    """
    How a smile misses the quotes that it was fitted to, or "".

    It misses them where it is off at the forward by more than the larger of two half-spreads and .3
    points, or at half of the quotes within one standard deviation by more than twice that.
    Where no quotes lie on both sides of the forward nothing confirms it.

    Args:
        strike, iv, half_spread: As in `NearMoney`.
    """
    if not math.isfinite(fitted.miss):
        return f"no smile: no quotes on both sides of the forward {fitted.forward:,.2f}"
    order = np.argsort(strike, kind="stable")
    k = fitted.log_moneyness(strike)[order]
    allowed = np.maximum(HALF_SPREADS * np.nan_to_num(half_spread)[order], LEAST_MISS)
    at_money = float(np.interp(0.0, k, allowed))
    if abs(fitted.miss) > at_money:
        side = "above" if fitted.miss > 0.0 else "below"
        return (
            f"the fitted smile is {100.0 * abs(fitted.miss):.2f} volatility points {side} the "
            f"quotes at the money, more than {100.0 * at_money:.2f}"
        )
    near = np.abs(k) <= float(fitted.iv(fitted.forward)) * math.sqrt(fitted.tau)
    missed = np.abs(fitted.iv(strike) - iv)[order][near]
    if missed.size and np.median(missed / allowed[near]) > 2.0:
        return (
            f"the fitted smile misses half of the quotes within one standard deviation by "
            f"{100.0 * float(np.median(missed)):.2f} volatility points or more"
        )
    return ""


def _straddle_missed(fitted: Smile, law: Density, market: NearMoney) -> str:
    strike = market.straddle_strike
    if not abs(fitted.log_moneyness(strike)) <= float(fitted.iv(strike)) * math.sqrt(fitted.tau):
        return ""
    value = fitted.discount * float(law.call_value(strike) + law.put_value(strike))
    # Vega is per .01 of volatility, and a straddle has that of two options.
    points = 2.0 * 100.0 * LEAST_MISS * float(fitted.vega(strike))
    if abs(value - market.straddle) <= max(market.straddle_spread, points):
        return ""
    return (
        f"the fitted density values the {strike:g} straddle at {value:,.2f}, the market at "
        f"{market.straddle:,.2f} with a spread of {market.straddle_spread:,.2f}"
    )


def expected_volatility(vol: VolSnapshot, smiles: list[Smile], score: ScoreSettings) -> Forecast:
    """
    The forecast volatility: weight x HV + (1 - weight) x IV30, and where both come from.

    IV30 is the snapshot's, else the constant 30-day maturity of the smiles. Without one of the
    two the other stands alone; a density is then left as the market has it.
    """
    iv30 = vol.iv30
    where = "IV30"
    if iv30 is None and smiles:
        at_money = [float(smile.iv(smile.forward)) for smile in smiles]
        drawn = surface.constant_maturity_iv([smile.tau for smile in smiles], at_money)
        iv30, where = (drawn, "IV30 of this chain") if math.isfinite(drawn) else (None, "IV30")
    if score.forecast_hv == "average":
        present = [value for name in _HVS if (value := getattr(vol, name)) is not None]
        hv = sum(present) / len(present) if present else None
        label = f"the mean of {len(present)} HVs"
    else:
        hv, label = vol.hv30, f"HV30 ({vol.sources.get('hv30', 'source unknown')})"
    blended = float(
        density.forecast_volatility(
            math.nan if iv30 is None else iv30,
            [math.nan if hv is None else hv],
            score.forecast_hv_weight,
        )
    )
    volatility = blended if math.isfinite(blended) else None
    if hv is None or iv30 is None or volatility is None:
        lacking = "HV" if hv is None else "IV30"
        return Forecast(
            volatility, iv30, hv, f"{lacking} unknown: the forecast is the market's own density"
        )
    weight = score.forecast_hv_weight
    text = (
        f"forecast volatility {volatility:.1%}: {weight:.0%} of {label} {hv:.1%}, "
        f"{1.0 - weight:.0%} of {where} {iv30:.1%}; the market's densities scaled by "
        f"{volatility / iv30:.2f}"
    )
    return Forecast(volatility, iv30, hv, text)
