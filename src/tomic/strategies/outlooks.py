"""What the options of an expiry expect of the underlying, and what we expect beside it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tomic.config import ScoreSettings
from tomic.models import VolSnapshot
from tomic.quant import density, surface
from tomic.quant.density import Density
from tomic.quant.smile import Smile

_HVS = ("hv20", "hv30", "hv60", "hv90", "hv252")


class Forecast(NamedTuple):
    """The volatility that is expected, and what it is made of; fractions, None where unknown."""

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
    div_yield: float
    """What carries spot to forward, fraction per year."""
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


def expected_volatility(vol: VolSnapshot, smiles: list[Smile], score: ScoreSettings) -> Forecast:
    """
    The forecast volatility: weight x HV + (1 - weight) x IV30, and where both come from.

    IV30 is the snapshot's, else the constant 30-day maturity of the smiles. Without one of the
    two the other stands alone; a density is then left as the market has it.
    """
    iv30 = vol.iv30
    where = "IV30"
    if iv30 is None and smiles:
        at_money = [float(one.iv(one.forward)) for one in smiles]
        drawn = surface.constant_maturity_iv([one.tau for one in smiles], at_money)
        iv30, where = (drawn, "IV30 of this chain") if math.isfinite(drawn) else (None, "IV30")
    if score.forecast_hv == "average":
        present = [value for name in _HVS if (value := getattr(vol, name)) is not None]
        hv = sum(present) / len(present) if present else None
        label = f"the mean of {len(present)} HVs"
    else:
        hv, label = vol.hv30, f"HV30 ({vol.sources.get('hv30', 'source unknown')})"
    found = float(
        density.forecast_volatility(
            math.nan if iv30 is None else iv30,
            [math.nan if hv is None else hv],
            score.forecast_hv_weight,
        )
    )
    volatility = found if math.isfinite(found) else None
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
