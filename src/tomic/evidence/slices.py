"""
One smile a day from three numbers: volatility at the money, skew, and a fixed width of the wings.

    w(k) = theta / 2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)),   phi = psi / sqrt(theta)

theta is total variance at the money, rho is solved from the skew, psi was calibrated once on real
chains. The centre is data, the wings are a model.

Source: Gatheral and Jacquier (2014), "Arbitrage-Free SVI Volatility Surfaces".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from tomic._typing import BoolArray, FloatArray
from tomic.quant.smile import Smile

PSI_ETF, PSI_STOCK = 0.9, 0.6
"""phi x sqrt(theta): calibrated on chains of SPY and XLF, and on the 25-delta skews of stocks."""
MOST_RHO = 0.95
"""Beyond it a skew is more than such a slice can show, and is cut."""
PUT_SIDE, CALL_SIDE = 0.85, 1.15
"""Strikes, as shares of the spot, between which the skew is measured before the seam."""
SKEW_DELTA = 0.25
_HALVINGS = 40


class Slices(NamedTuple):
    """Smiles of n days, (n,) each."""

    forward: FloatArray
    """Currency per share."""
    tau: FloatArray
    """Years."""
    discount: FloatArray
    theta: FloatArray
    """Total variance at the money."""
    rho: FloatArray
    phi: FloatArray

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Variance to expiry at ln(strike / forward), (n,) or (n, ...)."""
        more = (slice(None), *(None,) * (k.ndim - 1))
        theta, rho, phi = self.theta[more], self.rho[more], self.phi[more]
        turn = phi * k
        return 0.5 * theta * (1.0 + rho * turn + np.sqrt((turn + rho) ** 2 + 1.0 - rho * rho))

    def iv(self, k: FloatArray) -> FloatArray:
        """Volatility at ln(strike / forward), fraction a year."""
        more = (slice(None), *(None,) * (k.ndim - 1))
        return np.asarray(np.sqrt(self.total_variance(k) / self.tau[more]))

    def k_of_delta(self, delta: FloatArray) -> FloatArray:
        """ln(strike / forward) at which a call has this delta N(d1), (n,) for (n,)."""
        score = ndtri(delta)

        def too_high(k: FloatArray) -> BoolArray:
            total_vol = np.sqrt(self.total_variance(k))
            return np.asarray(-k / total_vol + 0.5 * total_vol < score)

        reach = 12.0 * np.sqrt(self.theta) + 0.5
        return _halved(too_high, -reach, reach)

    def smile(self, row: int) -> Smile:
        """The slice of one day as the kernels take it."""
        theta, rho, phi = (float(part[row]) for part in (self.theta, self.rho, self.phi))
        flat = 1.0 - rho * rho
        return Smile(
            forward=float(self.forward[row]),
            tau=float(self.tau[row]),
            discount=float(self.discount[row]),
            a=0.5 * theta * flat,
            b=0.5 * theta * phi,
            rho=rho,
            m=-rho / phi,
            sigma=np.sqrt(flat) / phi,
            kind="ssvi",
        )


def slices(
    spot: FloatArray, days: FloatArray, iv: FloatArray, rho: FloatArray, psi: float | FloatArray,
    *, rate: FloatArray, div_yield: float,
) -> Slices:  # fmt: skip
    """
    Smiles for *days* to expiry, (n,) each.

    Args:
        spot: Currency per share.
        days: Calendar days, positive.
        iv: At the money, fraction a year.
        rho: As `rho_of_skew` gives it; the same at every expiry of a day.
        psi: phi x sqrt(theta), of the day or of all.
        rate, div_yield: Continuously compounded, fraction a year.
    """
    tau = days / 365.0
    theta = iv**2 * tau
    phi = psi / np.sqrt(theta)
    forward = spot * np.exp((rate - div_yield) * tau)
    return Slices(forward, tau, np.exp(-rate * tau), theta, rho, phi)


def rho_of_skew(
    spot: FloatArray, days: FloatArray, iv: FloatArray, skew: FloatArray, psi: float,
    *, is_delta: BoolArray, rate: FloatArray, div_yield: float,
) -> FloatArray:  # fmt: skip
    """
    The rho at which a slice shows *skew*, (n,); within +-`MOST_RHO`, NaN where a figure is.

    Args:
        days, iv: Of the expiry that the skew was measured at.
        skew: Volatility of the put less that of the call, fraction a year.
        is_delta: Measured at 25 delta; otherwise at 85 and 115 % of the spot.
    """

    found = np.full(spot.shape, np.nan)
    known = ~np.isnan(spot + iv + skew + days + rate)
    for by_delta, chosen in ((False, known & ~is_delta), (True, known & is_delta)):
        if not chosen.any():
            continue
        day = _SkewDay(
            spot[chosen], days[chosen], iv[chosen], rate[chosen], skew[chosen], psi, div_yield
        )
        edge = np.full(int(chosen.sum()), MOST_RHO)
        found[chosen] = _halved(day.flatter_by_delta if by_delta else day.flatter, -edge, edge)
    return found


class _SkewDay(NamedTuple):
    """What a skew was measured on, (n,) each, and whether a rho gives less of it."""

    spot: FloatArray
    days: FloatArray
    iv: FloatArray
    rate: FloatArray
    skew: FloatArray
    psi: float
    div_yield: float

    def flatter(self, rho: FloatArray) -> BoolArray:
        """Whether the smile of this rho shows less than the skew, at shares of the spot."""
        smile = self._slices(rho)
        low = np.log(PUT_SIDE * self.spot / smile.forward)
        high = np.log(CALL_SIDE * self.spot / smile.forward)
        return np.asarray(smile.iv(low) - smile.iv(high) < self.skew)

    def flatter_by_delta(self, rho: FloatArray) -> BoolArray:
        """Whether the smile of this rho shows less than the skew, at 25 delta."""
        smile = self._slices(rho)
        quarter = np.full(rho.shape, SKEW_DELTA)
        low, high = smile.k_of_delta(1.0 - quarter), smile.k_of_delta(quarter)
        return np.asarray(smile.iv(low) - smile.iv(high) < self.skew)

    def _slices(self, rho: FloatArray) -> Slices:
        return slices(
            self.spot, self.days, self.iv, rho, self.psi, rate=self.rate, div_yield=self.div_yield
        )


def _halved(
    too_high: Callable[[FloatArray], BoolArray], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Where *too_high* turns true between *low* and *high*, by halving."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        over = too_high(middle)
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.asarray(0.5 * (low + high))
