"""
What the model market knows about each underlying: level, volatility, dividends, options listed.

Levels are of the right order for late 2026 and invented beyond that; nothing here is a quotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum


class Schedule(StrEnum):
    """Which expiries a trading class lists."""

    DAILIES = "dailies"
    """Every weekday of two weeks, Fridays of nine, monthlies of a year, quarter ends, LEAPS."""
    DAILY_ONLY = "daily_only"
    """The same with PM settlement beside an AM class: third Fridays included."""
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
    schedule: Schedule
    multiplier: str = "100"
    near_step: float = 1.0
    """Points between strikes near the money, within two months."""
    far_step: float = 5.0
    """Points between strikes in the wings and beyond two months."""
    odd: float = 0.0
    """Added to every strike: adjusted contracts have strikes that no grid has."""
    am_settled: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
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


def _fund(
    symbol: str,
    long_name: str,
    spot: float,
    iv30: float,
    stretch: float,
    schedule: Schedule = Schedule.WEEKLIES,
    steps: tuple[float, float] = (1.0, 5.0),
    **more: object,
) -> Profile:
    name = symbol.replace(" ", "")
    classes = (OptionClass(name, schedule, near_step=steps[0], far_step=steps[1]),)
    profile = Profile(symbol, long_name, spot, iv30, stretch, classes)
    return replace(profile, **more)  # type: ignore[arg-type]


def _share(
    symbol: str,
    long_name: str,
    spot: float,
    iv30: float,
    stretch: float,
    steps: tuple[float, float] = (2.5, 5.0),
    **more: object,
) -> Profile:
    base: dict[str, object] = {
        "primary_exchange": "NASDAQ",
        "stock_type": "COMMON",
        "skew": -0.35,
        "market_share": 0.62,
        "ex_months": (2, 5, 8, 11),
        "liquidity": 0.55,
        "price_step": 0.05,
        "industry": "Technology",
        "category": "Computers",
        "subcategory": "Computers",
    }
    return _fund(symbol, long_name, spot, iv30, stretch, steps=steps, **(base | more))


def _index(
    symbol: str,
    long_name: str,
    spot: float,
    iv30: float,
    stretch: float,
    classes: tuple[OptionClass, ...],
    **more: object,
) -> Profile:
    base: dict[str, object] = {
        "sec_type": "IND",
        "primary_exchange": "CBOE",
        "stock_type": "",
        "skew": -0.7,
        "market_share": 0.98,
        "liquidity": 0.75,
        "price_step": 0.10,
        "industry": "Indices",
        "category": "Broad Range Equity Index",
        "subcategory": "*",
    }
    profile = Profile(symbol, long_name, spot, iv30, stretch, classes)
    return replace(profile, **(base | more))  # type: ignore[arg-type]


def _am_pm(root: str, weekly: str, near: float, far: float) -> tuple[OptionClass, ...]:
    return (
        OptionClass(root, Schedule.MONTHLIES, near_step=near, far_step=far, am_settled=True),
        OptionClass(weekly, Schedule.DAILY_ONLY, near_step=near, far_step=far),
    )


_SPY_CLASSES = (
    OptionClass("SPY", Schedule.DAILIES),
    OptionClass("2SPY", Schedule.ADJUSTED, near_step=5.0, odd=0.78),
    OptionClass("SPY7", Schedule.ADJUSTED, multiplier="10", near_step=5.0),
)
_VIX_CLASSES = (
    OptionClass("VIX", Schedule.VIX_MONTHLIES, near_step=0.5, far_step=1.0, am_settled=True),
    OptionClass("VIXW", Schedule.VIX_WEEKLIES, near_step=0.5, far_step=1.0, am_settled=True),
)
_PENNY = {"price_step": 0.01}
_EUROPE = {"market_share": 0.72}

DEMO: tuple[Profile, ...] = (
    _fund(
        "SPY",
        "SPDR S&P 500 ETF TRUST",
        601.37,
        0.172,
        1.1,
        market_share=0.985,
        div_yield=0.0125,
    ),
    _fund(
        "QQQ",
        "INVESCO QQQ TRUST SERIES 1",
        523.64,
        0.214,
        0.8,
        Schedule.DAILIES,
        primary_exchange="NASDAQ",
        market_share=0.95,
        div_yield=0.0055,
        liquidity=0.95,
    ),
    _fund(
        "IWM",
        "ISHARES RUSSELL 2000 ETF",
        231.42,
        0.236,
        1.4,
        Schedule.DAILIES,
        div_yield=0.012,
        liquidity=0.9,
        market_share=0.88,
    ),
    _fund(
        "DIA",
        "SPDR DJIA TRUST",
        438.28,
        0.152,
        0.2,
        market_share=0.94,
        div_yield=0.016,
        liquidity=0.5,
        ex_months=tuple(range(1, 13)),
        price_step=0.05,
    ),
    _share(
        "AAPL",
        "APPLE INC",
        243.18,
        0.262,
        0.6,
        div_yield=0.0042,
        liquidity=0.8,
        earnings=date(2027, 1, 28),
        earnings_move=0.038,
    ),
    _share(
        "TSLA",
        "TESLA INC",
        352.66,
        0.585,
        1.2,
        liquidity=0.8,
        skew=-0.12,
        market_share=0.5,
        earnings=date(2027, 1, 27),
        earnings_move=0.085,
        industry="Consumer, Cyclical",
        category="Auto Manufacturers",
        subcategory="Auto-Cars/Light Trucks",
    ),
    _share(
        "MSFT",
        "MICROSOFT CORP",
        428.91,
        0.231,
        0.4,
        div_yield=0.0078,
        liquidity=0.7,
        earnings=date(2027, 1, 26),
        earnings_move=0.042,
        category="Software",
        subcategory="Applications Software",
    ),
    _share(
        "NVDA",
        "NVIDIA CORP",
        178.43,
        0.482,
        -0.9,
        div_yield=0.0002,
        liquidity=0.85,
        skew=-0.25,
        earnings=date(2027, 2, 24),
        earnings_move=0.072,
        category="Semiconductors",
        subcategory="Electronic Compo-Semicon",
    ),
    _share(
        "ASML",
        "ASML HOLDING NV-NY REG SHS",
        1012.55,
        0.345,
        0.1,
        (10.0, 20.0),
        div_yield=0.008,
        liquidity=0.3,
        stock_type="NY REG SHRS",
        earnings=date(2027, 1, 27),
        earnings_move=0.055,
        category="Semiconductors",
        subcategory="Semiconductor Equipment",
    ),
    _share(
        "CRM",
        "SALESFORCE INC",
        318.24,
        0.405,
        1.0,
        primary_exchange="NYSE",
        div_yield=0.005,
        liquidity=0.4,
        earnings=date(2026, 12, 2),
        earnings_move=0.07,
        category="Software",
        subcategory="Enterprise Software/Serv",
    ),
    _fund(
        "EWG",
        "ISHARES MSCI GERMANY ETF",
        41.83,
        0.182,
        -0.4,
        steps=(0.5, 1.0),
        div_yield=0.022,
        ex_months=(6, 12),
        liquidity=0.15,
        price_step=0.05,
        **_EUROPE,
    ),
    _fund(
        "EWJ",
        "ISHARES MSCI JAPAN ETF",
        78.36,
        0.168,
        0.3,
        steps=(0.5, 1.0),
        div_yield=0.021,
        ex_months=(6, 12),
        liquidity=0.2,
        price_step=0.05,
        market_share=0.66,
    ),
    _fund(
        "EWZ",
        "ISHARES MSCI BRAZIL ETF",
        32.17,
        0.272,
        0.9,
        steps=(0.5, 1.0),
        div_yield=0.062,
        ex_months=(6, 12),
        liquidity=0.45,
        market_share=0.5,
        skew=-0.4,
    ),
    _fund(
        "FEZ",
        "SPDR EURO STOXX 50 ETF",
        61.72,
        0.174,
        -0.2,
        steps=(0.5, 1.0),
        div_yield=0.026,
        liquidity=0.2,
        price_step=0.05,
        **_EUROPE,
    ),
    _fund(
        "FXI",
        "ISHARES CHINA LARGE-CAP ETF",
        38.46,
        0.292,
        -1.1,
        steps=(0.5, 1.0),
        div_yield=0.019,
        ex_months=(6, 12),
        liquidity=0.5,
        market_share=0.4,
        skew=0.05,
    ),
    _fund(
        "GLD",
        "SPDR GOLD SHARES",
        382.74,
        0.218,
        1.3,
        liquidity=0.7,
        market_share=0.08,
        skew=0.15,
        category="Commodity Fund",
        subcategory="Commodity Fund",
    ),
    _fund(
        "INDA",
        "ISHARES MSCI INDIA ETF",
        53.61,
        0.148,
        -0.6,
        steps=(0.5, 1.0),
        div_yield=0.007,
        ex_months=(6, 12),
        liquidity=0.15,
        price_step=0.05,
        market_share=0.48,
    ),
    _fund(
        "TLT",
        "ISHARES 20+ YEAR TREASURY BOND ETF",
        89.52,
        0.132,
        0.2,
        steps=(0.5, 1.0),
        primary_exchange="NASDAQ",
        div_yield=0.043,
        ex_months=tuple(range(1, 13)),
        liquidity=0.75,
        market_share=-0.12,
        skew=-0.05,
        category="Debt Fund",
        subcategory="Debt Fund",
    ),
    _fund(
        "XLE",
        "ENERGY SELECT SECTOR SPDR FUND",
        91.37,
        0.243,
        0.7,
        steps=(0.5, 1.0),
        div_yield=0.033,
        liquidity=0.55,
        market_share=0.55,
        skew=-0.4,
    ),
    _fund(
        "XLF",
        "FINANCIAL SELECT SECTOR SPDR FUND",
        53.28,
        0.188,
        0.9,
        steps=(0.5, 1.0),
        div_yield=0.0145,
        liquidity=0.65,
        market_share=0.82,
    ),
    _fund(
        "XLV",
        "HEALTH CARE SELECT SECTOR SPDR FUND",
        147.93,
        0.163,
        -1.2,
        steps=(1.0, 5.0),
        div_yield=0.017,
        liquidity=0.35,
        market_share=0.7,
        price_step=0.05,
    ),
    _share(
        "BRK B",
        "BERKSHIRE HATHAWAY INC-CL B",
        497.62,
        0.176,
        -0.3,
        primary_exchange="NYSE",
        liquidity=0.45,
        skew=-0.45,
        market_share=0.74,
        industry="Financial",
        category="Insurance",
        subcategory="Reinsurance",
    ),
    _share(
        "NEWC",
        "NEWCOMER HOLDINGS INC",
        27.84,
        0.64,
        0.0,
        (1.0, 2.5),
        liquidity=0.2,
        market_share=0.4,
        listed=date(2026, 10, 8),
    ),
    _index("SPX", "S&P 500 INDEX", 6024.8, 0.170, 1.1, _am_pm("SPX", "SPXW", 5.0, 25.0)),
    _index("XSP", "MINI-SPX INDEX", 602.48, 0.170, 1.1, _am_pm("XSPAM", "XSP", 1.0, 5.0)[1:]),
    _index(
        "NDX",
        "NASDAQ 100 INDEX",
        21486.3,
        0.212,
        0.8,
        _am_pm("NDX", "NDXP", 25.0, 100.0),
        primary_exchange="NASDAQ",
        market_share=0.95,
    ),
    _index(
        "RUT",
        "RUSSELL 2000 INDEX",
        2332.6,
        0.234,
        1.4,
        _am_pm("RUT", "RUTW", 5.0, 25.0),
        primary_exchange="RUSSELL",
        market_share=0.88,
    ),
    _index(
        "VIX",
        "CBOE VOLATILITY INDEX",
        17.9,
        0.92,
        0.2,
        _VIX_CLASSES,
        skew=0.6,
        market_share=-0.75,
        slope=-0.35,
        price_step=0.05,
        category="Volatility Index",
    ),
)
"""The demo: everything that documentation and tests name, and the mission's default symbols."""

# SPY is alone in having an adjusted and a small class beside its own.
DEMO = (replace(DEMO[0], classes=_SPY_CLASSES), *DEMO[1:])


def synthetic(count: int = 500) -> tuple[Profile, ...]:
    """
    *count* made-up shares ``S001``, ``S002``, …, different from each other but always the same.

    Raises:
        ValueError: Fewer than 1 or more than 900.
    """
    if not 1 <= count <= 900:
        raise ValueError(f"a synthetic universe has 1 to 900 symbols, got {count}")
    return tuple(_synthetic_share(i) for i in range(1, count + 1))


def _synthetic_share(number: int) -> Profile:
    # The golden ratio spreads the numbers 1..n evenly over the unit interval, whatever n is.
    first, second, third = ((number * step) % 1.0 for step in (0.618034, 0.414214, 0.732051))
    spot = round(12.0 * 40.0**first + 0.37, 2)
    steps = (0.5, 1.0) if spot < 40 else (1.0, 2.5) if spot < 100 else (2.5, 5.0)
    return _share(
        f"S{number:03d}",
        f"SYNTHETIC COMPANY {number}",
        spot,
        0.16 + 0.5 * second,
        2.6 * third - 1.1,
        steps,
        primary_exchange="NYSE",
        div_yield=0.03 * third if number % 3 else 0.0,
        liquidity=0.15 + 0.6 * second,
        market_share=0.3 + 0.5 * first,
    )


def select(universe: str | Sequence[Profile], symbols: Sequence[str] | None) -> tuple[Profile, ...]:
    """
    The profiles a market is built on: ``demo``, ``synthetic`` (demo plus 500), or those given.

    Raises:
        ValueError: The name of the universe, or one of *symbols*, is not known.
    """
    named = {"demo": lambda: DEMO, "synthetic": lambda: DEMO + synthetic()}
    if isinstance(universe, str):
        if universe not in named:
            raise ValueError(f"universe is demo or synthetic, got {universe!r}")
        profiles = named[universe]()
    else:
        profiles = tuple(universe)
    if symbols is None:
        return profiles
    by_symbol = {profile.symbol: profile for profile in profiles}
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        raise ValueError(f"not in this universe: {', '.join(missing)}")
    return tuple(by_symbol[symbol] for symbol in symbols)
