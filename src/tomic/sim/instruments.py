"""What the model market knows about an underlying: level, volatility, dividends, options listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class ExpirySchedule(StrEnum):
    """Which expiries a trading class lists."""

    DAILIES = "dailies"
    """Every weekday of two weeks, Fridays of nine, monthlies of a year, quarter ends, LEAPS."""
    WEEKLIES = "weeklies"
    """Fridays of nine weeks, four monthlies, the quarterly cycle, January LEAPS."""
    MONTHLIES = "monthlies"
    """Third Fridays of a year and two Decembers."""
    VIX_MONTHLIES = "vix_monthlies"
    VIX_WEEKLIES = "vix_weeklies"
    ADJUSTED = "adjusted"
    """Two monthlies that a corporate action left behind."""


@dataclass(frozen=True, slots=True)
class OptionClass:
    """One trading class of an underlying."""

    name: str
    schedule: ExpirySchedule
    multiplier: str = "100"
    near_step: float = 1.0
    """Points between strikes near the money, within two months."""
    far_step: float = 5.0
    """Points between strikes in the wings and beyond two months."""
    odd: float = 0.0
    """Added to every strike: adjusted contracts have strikes that no grid has."""
    am_settled: bool = False


@dataclass(frozen=True, slots=True)
class Instrument:
    """One underlying of the model market."""

    symbol: str
    long_name: str
    spot: float
    iv30: float
    """30-day implied volatility on the anchor day, a fraction."""
    iv_stretch: float
    """How far that lies above its usual level, in standard deviations; drives the IV rank."""
    classes: tuple[OptionClass, ...] = ()
    sec_type: str = "STK"
    primary_exchange: str = "ARCA"
    stock_type: str = "ETF"
    div_yield: float = 0.0
    ex_months: tuple[int, ...] = (3, 6, 9, 12)
    skew: float = -0.65
    """Correlation parameter of the smile: negative where puts cost more."""
    market_share: float = 0.85
    """Correlation of daily returns with the market's own factor."""
    slope: float = 0.03
    """Long-run minus present volatility; negative where the term structure is inverted."""
    earnings: date | None = None
    earnings_move: float = 0.0
    """Standard deviation of the move on that day, a fraction."""
    liquidity: float = 1.0
    """1 for SPY; spreads widen and sizes shrink as it falls."""
    price_step: float = 0.01
    """Tick of its options from 3.00 up; below it they trade in pennies or nickels accordingly."""
    industry: str = "Funds"
    category: str = "Equity Fund"
    subcategory: str = "Equity Fund"
    listed: date | None = None
    """First trading day, where history is short."""

    @property
    def is_index(self) -> bool:
        """Whether it is an index: no shares, no bid or ask, European options."""
        return self.sec_type == "IND"
