"""
A volatility surface free of static arbitrage, and the forward it sits on.

Surface SVI with a power-law slope, Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility
surfaces": no butterfly arbitrage while ``eta * (1 + |rho|) <= 2``, no calendar arbitrage while the
at-the-money variance rises with time. Total variance is a mean-reverting short variance integrated,
plus the variance of an earnings move once its day has passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from tomic._typing import FloatArray
from tomic.sim.market import listings
from tomic.sim.market.instruments import Instrument

RATE = 0.045
"""Continuously compounded, all maturities."""

YEAR_DAYS = 365.0
_REVERSION = 4.0
_THIRTY_DAYS = 30.0 / YEAR_DAYS
_STEEPNESS = 0.75
# Far volatility leans towards its usual level: a stretched one slopes down.
_PULL = 0.1


def years(start: datetime, end: datetime) -> float:
    """Years from *start* to *end*, act/365, never negative."""
    return max((end - start).total_seconds() / 86_400.0, 0.0) / YEAR_DAYS


@dataclass(frozen=True, slots=True)
class CashDividend:
    """One cash dividend."""

    ex_day: date
    amount: float


def dividends(instrument: Instrument, spot: float, first: date, last: date) -> list[CashDividend]:
    """Cash dividends with an ex-day in (*first*, *last*], oldest first."""
    if not instrument.div_yield:
        return []
    amount = round(spot * instrument.div_yield / len(instrument.ex_months), 3)
    dividends_paid = []
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    for year, month in listings.months_ahead(first, months):
        if month not in instrument.ex_months:
            continue
        # Funds that pay quarterly go ex on the third Friday, monthly ones on the first day.
        if len(instrument.ex_months) == 12:
            day = listings.on_or_after(date(year, month, 1))
        elif instrument.stock_type == "ETF":
            day = listings.on_or_after(listings.nth_weekday(year, month, 4, 3))
        else:
            day = listings.on_or_after(date(year, month, 9))
        if first < day <= last:
            dividends_paid.append(CashDividend(day, amount))
    return dividends_paid


@dataclass(frozen=True, slots=True)
class Carry:
    """Forward and what it is made of, for one expiry."""

    forward: float
    div_yield: float
    """The continuous yield that gives the same forward."""
    pv_dividend: float


def carry(instrument: Instrument, spot: float, now: datetime, expiry: datetime) -> Carry:
    """Forward of *expiry* with the cash dividends in between; an index pays continuously."""
    tau = years(now, expiry)
    if instrument.is_index:
        # The volatility index has no carry at all; the others pay a steady yield.
        div_yield = RATE if instrument.symbol == "VIX" else 0.0125
        return Carry(spot * float(np.exp((RATE - div_yield) * tau)), div_yield, 0.0)
    paid = dividends(instrument, spot, now.date(), expiry.date())
    present = sum(
        d.amount * float(np.exp(-RATE * (d.ex_day - now.date()).days / YEAR_DAYS)) for d in paid
    )
    forward = (spot - present) * float(np.exp(RATE * tau))
    div_yield = RATE - float(np.log(forward / spot)) / tau if tau > 0.0 else 0.0
    return Carry(forward, div_yield, present)


@dataclass(frozen=True, slots=True)
class Surface:
    """Total variance of one underlying over log moneyness and time."""

    short_variance: float
    long_variance: float
    rho: float
    eta: float
    event_day: date | None
    event_variance: float
    today: date

    @classmethod
    def of(cls, instrument: Instrument, iv30: float, today: date) -> Surface:
        """The surface whose 30-day at-the-money volatility is *iv30*."""
        usual = iv30 * float(np.exp(-_PULL * instrument.iv_stretch))
        long_vol = max(usual + instrument.slope * min(1.0, iv30 / 0.2), 0.35 * iv30)
        eta = min(_STEEPNESS, 1.98 / (1.0 + abs(instrument.skew)))
        event = instrument.earnings
        ahead = event is not None and event >= today
        jump = instrument.earnings_move**2 if ahead else 0.0
        target, far = iv30 * iv30 * _THIRTY_DAYS, long_vol * long_vol
        soon = ahead and event is not None and event < today + timedelta(days=30)
        calm = max(target - jump, 0.3 * target) if soon else target
        short = far + (calm - far * _THIRTY_DAYS) / _ramp(_THIRTY_DAYS)
        return cls(max(short, 0.05 * far), far, instrument.skew, eta, event, jump, today)

    def at_the_money(self, tau: float) -> float:
        """Total variance at the forward; rises with *tau*, zero at zero."""
        theta = self.long_variance * tau + (self.short_variance - self.long_variance) * _ramp(tau)
        end = self.today + timedelta(days=tau * YEAR_DAYS)
        passed = self.event_day is not None and end > self.event_day
        return theta + (self.event_variance if passed else 0.0)

    def sigma(self, log_moneyness: FloatArray, tau: float) -> FloatArray:
        """
        Implied volatility, a fraction.

        Args:
            log_moneyness: log(strike / forward).
            tau: Years to expiry, positive.
        """
        theta = self.at_the_money(tau)
        phi = self.eta / np.sqrt(theta * (1.0 + theta))
        scaled = phi * log_moneyness
        root = np.sqrt((scaled + self.rho) ** 2 + 1.0 - self.rho**2)
        variance = 0.5 * theta * (1.0 + self.rho * scaled + root)
        return np.asarray(np.sqrt(variance / tau))


def _ramp(tau: float) -> float:
    """Integral of exp(-reversion * t) from 0 to *tau*."""
    return (1.0 - float(np.exp(-_REVERSION * tau))) / _REVERSION
