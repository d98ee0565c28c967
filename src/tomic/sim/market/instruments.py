"""What the model market knows about an underlying: level, volatility, dividends, options listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from enum import StrEnum
from typing import Any


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
    THIRD_FRIDAYS = "third_fridays"
    """Third Fridays of a year, also where New York is closed and others are not."""
    QUARTERLY = "quarterly"
    """The one third Friday on which the future expires that the options are written on."""
    MONTH_ENDS = "month_ends"
    """Last trading days of the months before the future expires."""


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
    exchanges: tuple[str, ...] = ()
    """Where it is listed; empty for the exchanges of all American options."""
    settles: time | None = None
    """When it is settled on its last day, in the zone of its venue; None for the usual moment."""


@dataclass(frozen=True, slots=True)
class Venue:
    """A place outside the American stock market: its exchange, currency, zone and hours."""

    exchange: str
    currency: str
    zone: str
    """As contract details name it."""
    opens: time
    closes: time
    days: str = "europe"
    """Whose holidays it keeps: ``europe`` or ``new_york``."""
    routed: bool = False
    """Whether SMART answers for the underlying as well."""
    overnight: bool = False
    """Whether a session opens on the evening before."""
    magnifier: int = 1
    """What the price is multiplied by: 100 for shares that are quoted in pence."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One underlying of the model market."""

    symbol: str
    """Its name here; on the wire what stands before an ``@``, or *root*."""
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
    venue: Venue | None = None
    """Where it trades, when that is not in New York."""
    root: str = ""
    """Of a future: the symbol that all of its months share."""
    expires: date | None = None
    """Of a future: its last day."""

    @property
    def is_index(self) -> bool:
        """Whether it is an index: no shares, no bid or ask, European options."""
        return self.sec_type == "IND"

    @property
    def is_future(self) -> bool:
        """Whether it is a future, on which futures options are written."""
        return self.sec_type == "FUT"

    @property
    def ticker(self) -> str:
        """The symbol on the wire."""
        return self.root or self.symbol.partition("@")[0]

    @property
    def currency(self) -> str:
        """What it is quoted in."""
        return self.venue.currency if self.venue else "USD"


_MONTHLY = tuple(range(1, 13))
_FUND = Instrument(symbol="", long_name="", spot=0.0, iv30=0.0, iv_stretch=0.0)
SHARE = replace(
    _FUND,
    primary_exchange="NASDAQ",
    stock_type="COMMON",
    skew=-0.35,
    market_share=0.62,
    ex_months=(2, 5, 8, 11),
    liquidity=0.55,
    price_step=0.05,
    industry="Technology",
    category="Computers",
    subcategory="Computers",
)
_INDEX = replace(
    _FUND,
    sec_type="IND",
    primary_exchange="CBOE",
    stock_type="",
    skew=-0.65,
    market_share=0.98,
    liquidity=0.75,
    price_step=0.10,
    industry="Indices",
    category="Broad Range Equity Index",
    subcategory="*",
)


_AMSTERDAM = Venue("AEB", "EUR", "MET", time(9, 0), time(17, 30), routed=True)
_EURONEXT = replace(_AMSTERDAM, exchange="FTA", routed=False, closes=time(17, 40))
_EUREX = replace(_EURONEXT, exchange="EUREX", closes=time(17, 30))
_LONDON = Venue("LSE", "GBP", "GB-Eire", time(8, 0), time(16, 30), routed=True, magnifier=100)
_CHICAGO = Venue(
    "CME", "USD", "US/Central", time(17, 0), time(16, 0), days="new_york", overnight=True
)
FUTURE_QUARTERS = 2
"""How many quarterly futures of a root are listed."""
_MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}


def listed(
    name: str,
    near: float = 1.0,
    far: float = 5.0,
    *,
    schedule: ExpirySchedule = ExpirySchedule.WEEKLIES,
) -> tuple[OptionClass, ...]:
    """The one class of a share or fund, by the points between its strikes."""
    return (OptionClass(name, schedule, near_step=near, far_step=far),)


def _am_pm(root: str, weekly: str, near: float, far: float) -> tuple[OptionClass, ...]:
    return (
        OptionClass(root, ExpirySchedule.MONTHLIES, near_step=near, far_step=far, am_settled=True),
        OptionClass(weekly, ExpirySchedule.DAILIES, near_step=near, far_step=far),
    )


def _at(
    exchange: str, name: str, multiplier: str, near: float, far: float, settles: time | None = None
) -> OptionClass:
    """The third Fridays of a class that one exchange lists."""
    schedule = ExpirySchedule.THIRD_FRIDAYS
    return OptionClass(
        name, schedule, multiplier, near, far, exchanges=(exchange,), settles=settles
    )


_EOE_CLASSES = (
    _at("FTA", "EOE", "100", 5.0, 10.0, time(16, 0)),
    replace(_at("FTA", "AX1", "100", 5.0, 10.0, time(16, 0)), schedule=ExpirySchedule.ADJUSTED),
)
_ASML_CLASSES = (
    _at("EUREX", "ASM", "100", 10.0, 20.0),
    _at("EUREX", "ASM2", "10", 10.0, 20.0),
    _at("FTA", "AS9C", "100", 10.0, 20.0),
)
_ESTX_CLASSES = (_at("EUREX", "OESX", "10", 25.0, 50.0, time(12, 0)),)
_DAX_CLASSES = (
    _at("EUREX", "ODAX", "5", 50.0, 100.0, time(13, 0)),
    _at("EUREX", "ODXS", "1", 50.0, 100.0, time(13, 0)),
)
_ES_CLASSES = (
    OptionClass(
        "ES", ExpirySchedule.QUARTERLY, "50", 5.0, 25.0, exchanges=("CME",), settles=time(8, 30)
    ),
    OptionClass(
        "EW", ExpirySchedule.MONTH_ENDS, "50", 5.0, 25.0, exchanges=("CME",), settles=time(15, 0)
    ),
)
_SPY_CLASSES = (
    OptionClass("SPY", ExpirySchedule.DAILIES),
    OptionClass("2SPY", ExpirySchedule.ADJUSTED, near_step=5.0, odd=0.78),
    OptionClass("SPY7", ExpirySchedule.ADJUSTED, multiplier="10", near_step=5.0),
)
_VIX_CLASSES = (
    OptionClass("VIX", ExpirySchedule.VIX_MONTHLIES, near_step=0.5, far_step=1.0, am_settled=True),
    OptionClass("VIXW", ExpirySchedule.VIX_WEEKLIES, near_step=0.5, far_step=1.0, am_settled=True),
)


def _row(
    kind: Instrument,
    symbol: str,
    long_name: str,
    spot: float,
    iv30: float,
    iv_stretch: float,
    classes: tuple[OptionClass, ...],
    **others: Any,
) -> Instrument:
    """One instrument of the table: its own figures, and whatever sets it apart from its *kind*."""
    own: dict[str, Any] = {"spot": spot, "iv30": iv30, "iv_stretch": iv_stretch, "classes": classes}
    return replace(kind, symbol=symbol, long_name=long_name, **own, **others)


# fmt: off
DEMO: tuple[Instrument, ...] = (
    _row(_FUND, "SPY", "SPDR S&P 500 ETF TRUST", 601.37, 0.172, 1.1, _SPY_CLASSES,
         div_yield=0.0125, market_share=0.985),
    _row(_FUND, "QQQ", "INVESCO QQQ TRUST SERIES 1", 523.64, 0.214, 0.8,
         listed("QQQ", schedule=ExpirySchedule.DAILIES), primary_exchange="NASDAQ",
         div_yield=0.0055, market_share=0.95, liquidity=0.95),
    _row(_FUND, "IWM", "ISHARES RUSSELL 2000 ETF", 231.42, 0.236, 1.4,
         listed("IWM", schedule=ExpirySchedule.DAILIES), div_yield=0.012, market_share=0.88,
         liquidity=0.9),
    _row(_FUND, "DIA", "SPDR DJIA TRUST", 438.28, 0.152, 0.2, listed("DIA"), div_yield=0.016,
         ex_months=_MONTHLY, market_share=0.94, liquidity=0.5, price_step=0.05),
    _row(SHARE, "AAPL", "APPLE INC", 243.18, 0.262, 0.6, listed("AAPL", 2.5, 5.0),
         div_yield=0.0042, earnings=date(2027, 1, 28), earnings_move=0.038, liquidity=0.8),
    _row(SHARE, "TSLA", "TESLA INC", 352.66, 0.585, 1.2, listed("TSLA", 2.5, 5.0), skew=-0.12,
         market_share=0.5, earnings=date(2027, 1, 27), earnings_move=0.085, liquidity=0.8,
         industry="Consumer, Cyclical", category="Auto Manufacturers",
         subcategory="Auto-Cars/Light Trucks"),
    _row(SHARE, "MSFT", "MICROSOFT CORP", 428.91, 0.231, 0.4, listed("MSFT", 2.5, 5.0),
         div_yield=0.0078, earnings=date(2027, 1, 26), earnings_move=0.042, liquidity=0.7,
         category="Software", subcategory="Applications Software"),
    _row(SHARE, "NVDA", "NVIDIA CORP", 178.43, 0.482, -0.9, listed("NVDA", 2.5, 5.0),
         div_yield=0.0002, skew=-0.25, earnings=date(2027, 2, 24), earnings_move=0.072,
         liquidity=0.85, category="Semiconductors", subcategory="Electronic Compo-Semicon"),
    _row(SHARE, "ASML", "ASML HOLDING NV-NY REG SHS", 1012.55, 0.345, 0.1,
         listed("ASML", 10.0, 20.0), stock_type="NY REG SHRS", div_yield=0.008,
         earnings=date(2027, 1, 27), earnings_move=0.055, liquidity=0.3, category="Semiconductors",
         subcategory="Semiconductor Equipment"),
    _row(SHARE, "CRM", "SALESFORCE INC", 318.24, 0.405, 1.0, listed("CRM", 2.5, 5.0),
         primary_exchange="NYSE", div_yield=0.005, earnings=date(2026, 12, 2), earnings_move=0.07,
         liquidity=0.4, category="Software", subcategory="Enterprise Software/Serv"),
    _row(_FUND, "EWG", "ISHARES MSCI GERMANY ETF", 41.83, 0.182, -0.4, listed("EWG", 0.5, 1.0),
         div_yield=0.022, ex_months=(6, 12), market_share=0.72, liquidity=0.15, price_step=0.05),
    _row(_FUND, "EWJ", "ISHARES MSCI JAPAN ETF", 78.36, 0.168, 0.3, listed("EWJ", 0.5, 1.0),
         div_yield=0.021, ex_months=(6, 12), market_share=0.66, liquidity=0.2, price_step=0.05),
    _row(_FUND, "EWZ", "ISHARES MSCI BRAZIL ETF", 32.17, 0.272, 0.9, listed("EWZ", 0.5, 1.0),
         div_yield=0.062, ex_months=(6, 12), skew=-0.4, market_share=0.5, liquidity=0.45),
    _row(_FUND, "FEZ", "SPDR EURO STOXX 50 ETF", 61.72, 0.174, -0.2, listed("FEZ", 0.5, 1.0),
         div_yield=0.026, market_share=0.72, liquidity=0.2, price_step=0.05),
    _row(_FUND, "FXI", "ISHARES CHINA LARGE-CAP ETF", 38.46, 0.292, -1.1, listed("FXI", 0.5, 1.0),
         div_yield=0.019, ex_months=(6, 12), skew=0.05, market_share=0.4, liquidity=0.5),
    _row(_FUND, "GLD", "SPDR GOLD SHARES", 382.74, 0.218, 1.3, listed("GLD"), skew=0.15,
         market_share=0.08, liquidity=0.7, category="Commodity Fund", subcategory="Commodity Fund"),
    _row(_FUND, "INDA", "ISHARES MSCI INDIA ETF", 53.61, 0.148, -0.6, listed("INDA", 0.5, 1.0),
         div_yield=0.007, ex_months=(6, 12), market_share=0.48, liquidity=0.15, price_step=0.05),
    _row(_FUND, "TLT", "ISHARES 20+ YEAR TREASURY BOND ETF", 89.52, 0.132, 0.2,
         listed("TLT", 0.5, 1.0), primary_exchange="NASDAQ", div_yield=0.043, ex_months=_MONTHLY,
         skew=-0.05, market_share=-0.12, liquidity=0.75, category="Debt Fund",
         subcategory="Debt Fund"),
    _row(_FUND, "XLE", "ENERGY SELECT SECTOR SPDR FUND", 91.37, 0.243, 0.7,
         listed("XLE", 0.5, 1.0), div_yield=0.033, skew=-0.4, market_share=0.55, liquidity=0.55),
    _row(_FUND, "XLF", "FINANCIAL SELECT SECTOR SPDR FUND", 53.28, 0.188, 0.9,
         listed("XLF", 0.5, 1.0), div_yield=0.0145, market_share=0.82, liquidity=0.65),
    _row(_FUND, "XLV", "HEALTH CARE SELECT SECTOR SPDR FUND", 147.93, 0.163, -1.2, listed("XLV"),
         div_yield=0.017, market_share=0.7, liquidity=0.35, price_step=0.05),
    _row(SHARE, "BRK B", "BERKSHIRE HATHAWAY INC-CL B", 497.62, 0.176, -0.3,
         listed("BRKB", 2.5, 5.0), primary_exchange="NYSE", skew=-0.45, market_share=0.74,
         liquidity=0.45, industry="Financial", category="Insurance", subcategory="Reinsurance"),
    _row(SHARE, "NEWC", "NEWCOMER HOLDINGS INC", 27.84, 0.64, 0.0, listed("NEWC", 1.0, 2.5),
         market_share=0.4, liquidity=0.2, listed=date(2026, 10, 21)),
    _row(_INDEX, "SPX", "S&P 500 INDEX", 6024.8, 0.17, 1.1, _am_pm("SPX", "SPXW", 5.0, 25.0)),
    _row(_INDEX, "XSP", "MINI-SPX INDEX", 602.48, 0.17, 1.1,
         (OptionClass("XSP", ExpirySchedule.DAILIES),)),
    _row(_INDEX, "NDX", "NASDAQ 100 INDEX", 21486.3, 0.212, 0.8,
         _am_pm("NDX", "NDXP", 25.0, 100.0), primary_exchange="NASDAQ", market_share=0.95),
    _row(_INDEX, "RUT", "RUSSELL 2000 INDEX", 2332.6, 0.234, 1.4, _am_pm("RUT", "RUTW", 5.0, 25.0),
         primary_exchange="RUSSELL", market_share=0.88),
    _row(_INDEX, "VIX", "CBOE VOLATILITY INDEX", 17.9, 0.92, 0.2, _VIX_CLASSES, skew=0.6,
         market_share=-0.75, slope=-0.35, price_step=0.05, category="Volatility Index"),
    _row(_INDEX, "EOE", "AEX INDEX", 962.4, 0.158, 0.3, _EOE_CLASSES, primary_exchange="FTA",
         venue=_EURONEXT, market_share=0.75, liquidity=0.35, price_step=0.05),
    _row(_INDEX, "ESTX50", "Dow Jones Euro STOXX50", 5668.2, 0.169, 0.2, _ESTX_CLASSES,
         primary_exchange="EUREX", venue=_EUREX, market_share=0.78, liquidity=0.6),
    _row(_INDEX, "DAX", "DAX Performance Index", 24012.5, 0.178, 0.2, _DAX_CLASSES,
         primary_exchange="EUREX", venue=_EUREX, market_share=0.76, liquidity=0.5),
    _row(SHARE, "ASML@AEB", "ASML HOLDING NV", 918.4, 0.338, 0.1, _ASML_CLASSES,
         primary_exchange="AEB", venue=_AMSTERDAM, div_yield=0.008, liquidity=0.3,
         category="Semiconductors", subcategory="Semiconductor Equipment"),
    _row(SHARE, "VOD@LSE", "VODAFONE GROUP PLC", 92.4, 0.262, 0.1,
         (_at("ICEEU", "VOD", "1000", 2.0, 4.0),), primary_exchange="LSE", venue=_LONDON,
         div_yield=0.042, ex_months=(6, 11), liquidity=0.2, category="Telecommunications"),
    _row(_INDEX, "ES", "E-mini S&P 500", 6041.25, 0.171, 1.1, _ES_CLASSES, sec_type="FUT",
         primary_exchange="CME", venue=_CHICAGO, root="ES", liquidity=0.8, price_step=0.05),
    _row(SHARE, "AMZN", "AMAZON.COM INC", 221.34, 0.318, 0.5, listed("AMZN", 2.5, 5.0),
         earnings=date(2027, 2, 4), earnings_move=0.06, liquidity=0.75,
         industry="Communications", category="Internet", subcategory="E-Commerce/Products"),
)
# fmt: on
"""The demo: everything that documentation and tests name, and the mission's default symbols."""


def synthetic(count: int = 500) -> tuple[Instrument, ...]:
    """
    *count* made-up shares ``S001``, ``S002``, …, different from each other but always the same.

    Raises:
        ValueError: Fewer than 1 or more than 900.
    """
    if not 1 <= count <= 900:
        raise ValueError(f"a synthetic universe has 1 to 900 symbols, got {count}")
    return tuple(_synthetic_share(i) for i in range(1, count + 1))


def _synthetic_share(number: int) -> Instrument:
    # The golden ratio spreads the numbers 1..n evenly over the unit interval, whatever n is.
    first, second, third = ((number * step) % 1.0 for step in (0.618034, 0.414214, 0.732051))
    spot = round(12.0 * 40.0**first + 0.37, 2)
    steps = (0.5, 1.0) if spot < 40 else (1.0, 2.5) if spot < 100 else (2.5, 5.0)
    symbol = f"S{number:03d}"
    return _row(
        SHARE,
        symbol,
        f"SYNTHETIC COMPANY {number}",
        spot,
        0.16 + 0.5 * second,
        2.6 * third - 1.1,
        listed(symbol, *steps),
        primary_exchange="NYSE",
        div_yield=0.03 * third if number % 3 else 0.0,
        liquidity=0.15 + 0.6 * second,
        market_share=0.3 + 0.5 * first,
    )


def dated(instruments: Sequence[Instrument], today: date) -> tuple[Instrument, ...]:
    """The same instruments on a day: of a future's root the quarters that are listed then."""
    result: list[Instrument] = []
    for instrument in instruments:
        is_root = instrument.is_future and instrument.expires is None
        result += _quarters(instrument, today) if is_root else [instrument]
    return tuple(result)


def _quarters(root: Instrument, today: date) -> list[Instrument]:
    futures: list[Instrument] = []
    month = today.year * 12 + today.month - 1
    while len(futures) < FUTURE_QUARTERS:
        year, number = month // 12, month % 12 + 1
        fifteenth = date(year, number, 15)
        day = fifteenth.replace(day=15 + (4 - fifteenth.weekday()) % 7)
        if number in _MONTH_CODES and day >= today:
            symbol = f"{root.symbol}{_MONTH_CODES[number]}{year % 10}"
            # A later quarter costs the carry of three months more.
            spot = round(root.spot * (1.0 + 0.008 * len(futures)) * 4.0) / 4.0
            futures.append(replace(root, symbol=symbol, expires=day, spot=spot))
        month += 1
    return futures


def select(
    universe: str | Sequence[Instrument], symbols: Sequence[str] | None
) -> tuple[Instrument, ...]:
    """
    The instruments a market is built on: ``demo``, ``synthetic`` (demo plus 500), or those given.

    Raises:
        ValueError: The name of the universe, or one of *symbols*, is not known.
    """
    if universe == "demo":
        instruments = DEMO
    elif universe == "synthetic":
        instruments = DEMO + synthetic()
    elif isinstance(universe, str):
        raise ValueError(f"universe is demo or synthetic, got {universe!r}")
    else:
        instruments = tuple(universe)
    if symbols is None:
        return instruments
    by_symbol = {instrument.symbol: instrument for instrument in instruments}
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        raise ValueError(f"not in this universe: {', '.join(missing)}")
    return tuple(by_symbol[symbol] for symbol in symbols)
