"""What the options of an expiry expect of the underlying, and what the user expects beside it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, Num
from tomic.errors import UsageError
from tomic.models import VolSnapshot
from tomic.quant import density, realized, surface
from tomic.quant.density import Density
from tomic.quant.events import VarianceJump
from tomic.quant.smile import Smile

HALF_SPREADS = 2.0
"""How many half-spreads a smile may miss the market by at the money."""
LEAST_MISS = 0.003
"""Volatility, a fraction, that it may miss the market by however narrow the spread is."""

BUMP = 0.02
"""Relative change of volatility either way by which its effect on an expected value is taken."""


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
    view: Density | None = None
    """The market's as the user's own view has it; None where there is none."""
    trust: float = 0.0
    """How far the ranking goes by the view, in [0, 1]."""
    is_own: bool = False
    """Whether the view is a density that was given, not what the settings make of the market's."""

    @cached_property
    def market(self) -> Density:
        """What `smile` implies of the price on that day."""
        return density.from_smile(self.smile)

    @cached_property
    def ranked(self) -> Density:
        """The density under which trades are ranked: the market's, unless a view is trusted."""
        if self.view is None or self.trust == 0.0:
            return self.market
        return density.mixture(self.market, self.view, self.trust)

    @cached_property
    def bumped(self) -> tuple[Density, Density]:
        """`ranked` with its volatility lower and higher by `BUMP`."""
        low, high = (density.viewed(self.ranked, volatility=1.0 + s * BUMP) for s in (-1.0, 1.0))
        return low, high

    def knowing(self, market: Density) -> Outlook:
        """This outlook with the density of its smile, which was computed to confirm it."""
        self.__dict__["market"] = market
        return self

    def forget(self) -> None:
        """Let go the densities that can be computed again."""
        for name in ("market", "ranked", "bumped"):
            self.__dict__.pop(name, None)

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


Densities = Mapping[dt.date, Density | Num]
"""By expiry a density, or prices of the underlying on that day, each equally likely."""


def with_own(
    outlooks: Mapping[dt.date, Outlook], densities: Densities, trust: float
) -> dict[dt.date, Outlook]:
    """
    The outlooks of those expiries that *densities* speak of, with these as the view.

    Args:
        trust: How far the ranking goes by them, in (0, 1].

    Raises:
        UsageError: No such expiry, no density, or one that is not of prices of this underlying.
    """
    changed = {}
    for day, given in densities.items():
        outlook = _outlook_of(day, outlooks)
        own = replace(outlook, view=_own(outlook, given), trust=trust, is_own=True)
        changed[day] = own.knowing(outlook.market)
    return changed


def _outlook_of(day: dt.date, outlooks: Mapping[dt.date, Outlook]) -> Outlook:
    if day not in outlooks:
        known = ", ".join(map(str, outlooks)) or "none"
        raise UsageError(f"densities: {day!r:.40} is no expiry that can be searched: {known}")
    return outlooks[day]


def _own(outlook: Outlook, given: Density | Num) -> Density:
    try:
        own = given if isinstance(given, Density) else density.from_samples(given, tau=outlook.tau)
    except (TypeError, ValueError) as exc:
        raise UsageError(f"densities, {outlook.expiry}: {exc}") from exc
    if not 1.0 / _FAR < own.forward / outlook.forward < _FAR:
        raise UsageError(
            f"densities, {outlook.expiry}: the mean is {own.forward:g} where the forward is "
            f"{outlook.forward:g}; give prices of the underlying, not returns"
        )
    if abs(own.tau - outlook.tau) > _DAY:
        raise UsageError(
            f"densities, {outlook.expiry}: made for {own.tau:.4f} years where there are "
            f"{outlook.tau:.4f}; give tau={outlook.tau:.6f}"
        )
    return own


_FAR = 3.0
"""Times the forward at which a mean is that of something else."""
_DAY = 1.5 / 365.0
"""Years by which the time of a density may differ, a day and a half."""


def thirty_day_iv(expiries: Iterable[Outlook], jumps: Sequence[VarianceJump] = ()) -> float | None:
    """The constant 30-day maturity, each event on its day; None without an expiry near."""
    levels = [(outlook.tau, outlook.atm_iv) for outlook in expiries]
    if not levels:
        return None
    tau, at_money = zip(*levels, strict=True)
    drawn = surface.constant_maturity_iv(tau, at_money, jumps=jumps)
    return drawn if math.isfinite(drawn) else None


def history_note(vol: VolSnapshot, iv30: float | None) -> str:
    """
    What to think of an HV30 that is far from IV30; "" where they agree, or either is unknown.

    They agree where the one is within what realised volatility usually is of the other.
    """
    if not (iv30 and vol.hv30):
        return ""
    expected = realized.expected_from_iv(iv30)
    if expected.low <= vol.hv30 <= expected.high:
        return ""
    return (
        f"HV30 {vol.hv30:.1%} is far from IV30 {iv30:.1%}; such a difference has not told what "
        f"came: expected is {expected.volatility:.1%}, mostly {expected.low:.1%} to "
        f"{expected.high:.1%}"
    )
