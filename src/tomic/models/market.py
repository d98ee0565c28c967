"""Market nouns: an underlying, its spot, option parameters, an option's row, volatility."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tomic.errors import InvalidSymbol, UsageError

_SYMBOL = re.compile(
    r"[A-Z0-9]{1,12}(?:\.[A-Z0-9]{1,4})?(?:@[A-Z][A-Z0-9]{1,11}(?:\.[A-Z]{2})?)?", re.ASCII
)

MINOR_UNITS: Mapping[str, tuple[str, int]] = {
    "GBX": ("GBP", 100),
    "GBp": ("GBP", 100),
    "ZAC": ("ZAR", 100),
    "ILA": ("ILS", 100),
    "USX": ("USD", 100),
}
"""Hundredths in which something is quoted, pence before all: the currency, how many make one."""


_US_CONTRACT = 100


class Model(BaseModel):
    """A frozen border model that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class DataType(StrEnum):
    """What kind of market data the gateway confirmed (IB types 1 to 4)."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    DELAYED_FROZEN = "delayed_frozen"


class SpotSource(StrEnum):
    """Where the price of the underlying comes from, best first."""

    LAST = "last"
    MID = "mid"
    CLOSE = "close"
    MODEL = "model"
    """The underlying price inside an option's model computation."""
    PARITY = "parity"
    WEB = "web"


class RowStatus(StrEnum):
    """What became of one requested contract."""

    OK = "ok"
    """Bid and ask, and IV and Greeks from IB or from our own model."""
    NO_QUOTE = "no_quote"
    """IB answered that there is no bid or no ask."""
    NO_GREEKS = "no_greeks"
    """Quoted, but neither IB nor our model could give IV and Greeks."""
    DELTA_OUT_OF_RANGE = "delta_out_of_range"
    UNKNOWN_CONTRACT = "unknown_contract"
    """Not listed."""
    NOT_SUBSCRIBED = "not_subscribed"
    TIMEOUT = "timeout"
    LOST = "lost"
    """The connection went away before it was finished."""

    @property
    def is_final(self) -> bool:
        """Whether asking again cannot be expected to give more."""
        return self not in (RowStatus.NOT_SUBSCRIBED, RowStatus.TIMEOUT, RowStatus.LOST)


class QuoteSource(StrEnum):
    """Where a row's bid and ask come from."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    CLOSE = "close"
    HISTORY = "history"
    STORED = "stored"
    REPLAY = "replay"
    MODEL = "model"
    """No quote at all: priced by the local model."""


class ExerciseStyle(StrEnum):
    """When an option may be exercised."""

    AMERICAN = "american"
    EUROPEAN = "european"


class IndexClass(NamedTuple):
    """How the options of one trading class on an index are settled; all of them in cash."""

    symbol: str
    """The index."""
    at_open: bool = False
    """On opening prices, the trading day after the last one on which they trade."""
    style: ExerciseStyle = ExerciseStyle.EUROPEAN
    settles: dt.time | None = None
    """When the settlement value is known, exchange time, where that is not the close of trading."""
    multiplier: int = 100
    """Currency per point of the index."""


INDEX_CLASSES: Mapping[str, IndexClass] = {
    "SPX": IndexClass("SPX", at_open=True),
    "SPXW": IndexClass("SPX"),
    "XSP": IndexClass("XSP"),
    "NDX": IndexClass("NDX", at_open=True),
    "NDXP": IndexClass("NDX"),
    "NQX": IndexClass("NQX"),
    "XND": IndexClass("XND"),
    "RUT": IndexClass("RUT", at_open=True),
    "RUTW": IndexClass("RUT"),
    "MRUT": IndexClass("MRUT"),
    "DJX": IndexClass("DJX", at_open=True),
    "VIX": IndexClass("VIX", at_open=True),
    "VIXW": IndexClass("VIX", at_open=True),
    "OEX": IndexClass("OEX", style=ExerciseStyle.AMERICAN),
    "XEO": IndexClass("XEO"),
    "EOE": IndexClass("EOE", settles=dt.time(16)),
    "OESX": IndexClass("ESTX50", settles=dt.time(12), multiplier=10),
    "ODAX": IndexClass("DAX", settles=dt.time(13), multiplier=5),
    "ODXS": IndexClass("DAX", settles=dt.time(13), multiplier=1),
}
"""
Trading class to its terms. Weeklies share their index, under a class of their own: a class that is
not here has the terms of its index where all of those agree.

Source: Cboe and Nasdaq, product specifications; Euronext, AEX options (the mean of 15:30 to 16:00);
Eurex, final settlement (EURO STOXX 50: the mean of 11:50 to 12:00; DAX: the auction from 13:00).
"""


def settles_in_cash(symbol: str, trading_class: str = "", *, indices: Collection[str] = ()) -> bool:
    """
    Whether options are settled in cash, by their names alone; `Underlying.settles_in_cash` knows.

    Args:
        indices: Symbols of further indices, as of ``[market.indices]``.
    """
    symbols = {terms.symbol for terms in INDEX_CLASSES.values()}
    return symbol in symbols or symbol in indices or INDEX_CLASSES.get(trading_class) is not None


class TradingSession(Model):
    """One span in which the contract trades; the close counts as open, as it does at IB."""

    opens: AwareDatetime
    closes: AwareDatetime


def _is_fund(stock_type: str) -> bool:
    return stock_type in ("ETF", "ETN", "ETC", "ETP", "ETMF") or "FUND" in stock_type


class Underlying(Model):
    """A stock, ETF, index or future on which options are listed."""

    symbol: str
    """As people write it: BRK.B, or ASML@AEB for a listing at an exchange of its own."""
    con_id: int
    sec_type: Literal["STK", "IND", "FUT"] = "STK"
    exchange: str = "SMART"
    primary_exchange: str = ""
    currency: str = "USD"
    """Of its quotes; GBX where those are pence."""
    ticker: str = ""
    """What IB calls it, where that is not the symbol up to its ``@``: EOE for AEX."""
    local_symbol: str = ""
    """Of a future: the month that is meant, ESZ6."""
    expiry: dt.date | None = None
    """Of a future: its last day."""
    name: str = ""
    stock_type: str = ""
    """Of shares, as IB calls it: COMMON, ADR, ETF; empty where it was not told."""
    time_zone: str = "America/New_York"
    sessions: tuple[TradingSession, ...] = ()
    """Liquid hours of the coming days, as far as the gateway gave them."""

    @property
    def is_future(self) -> bool:
        """Whether it is a future, whose price is a forward: it costs nothing to hold."""
        return self.sec_type == "FUT"

    @property
    def ib_symbol(self) -> str:
        """What IB calls it."""
        return self.ticker or split_symbol(self.symbol)[0]

    @property
    def is_american_listing(self) -> bool:
        """Whether it is quoted in dollars in New York, which is what web pages mean by a symbol."""
        return self.currency == "USD" and "@" not in self.symbol and not self.is_future

    @property
    def reports_earnings(self) -> bool | None:
        """Whether it is a company: funds, indices and futures have no earnings; None if unknown."""
        if self.sec_type != "STK":
            return False
        if self.stock_type:
            return not _is_fund(self.stock_type)
        # Of chains that were kept without the type; IB's names of funds end in what they are.
        return False if {"ETF", "ETN"} & set(self.name.upper().split()) else None

    @property
    def settles_in_cash(self) -> bool:
        """Whether its options are settled in cash, as those of an index are: no shares move."""
        return self.sec_type == "IND"

    @property
    def exercise_style(self) -> ExerciseStyle:
        """Of the options that bear its own name; see `exercise_style_of`."""
        return self.exercise_style_of(self.symbol)

    def exercise_style_of(self, trading_class: str) -> ExerciseStyle:
        """
        When options of a class may be exercised: those of an index, but for OEX, at the end.

        Options on futures are valued as if they were European, by Black (1976): where they may be
        exercised early, as the quarterly ones of ES, that is worth next to nothing.
        """
        if self.is_future:
            return ExerciseStyle.EUROPEAN
        if not self.settles_in_cash:
            return ExerciseStyle.AMERICAN
        terms = INDEX_CLASSES.get(trading_class or self.symbol)
        return terms.style if terms is not None else ExerciseStyle.EUROPEAN


VOLATILITY_INDICES = frozenset(
    [
        "VIX",
        "VIXW",
        "VIX1D",
        "VIX9D",
        "VIX3M",
        "VXST",
        "VXN",
        "RVX",
        "VXD",
        "VVIX",
        "OVX",
        "GVZ",
        "EVZ",
        "VXEEM",
        "VXEWZ",
        "VXAPL",
        "V2TX",
        "VSTOXX",
        "VDAX",
        "V1X",
        "VNKY",
        "VHSI",
        "INDIAVIX",
    ]
)
"""
Indices that nobody can hold or carry: their options follow the future of the expiry, not the spot.

Source: Cboe, VIX options FAQ; Eurex, VSTOXX.
"""


class Carry(Model):
    """
    What leads from the price of today to one expiry: its forward and its discount factor.

    The options themselves imply both where they are quoted on both sides; each says where it
    comes from.
    """

    expiry: dt.date
    forward: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    """Currency per share; None where nothing implies it, and then nothing is computed from it."""
    forward_source: Literal["parity", "volatility", "spot", "future", "none"] = "none"
    """
    ``parity``: of pairs of call and put. ``volatility``: of options on one side, the one that IB's
    volatilities of them belong to. ``spot``: carried at `rate` less a known yield.
    ``future``: the price of the future that the options are on.
    """
    forward_error: float | None = None
    """Standard error of the median over the pairs; None with fewer than two."""
    pairs: int = 0
    """Pairs that the forward was drawn from."""
    rate: float = Field(allow_inf_nan=False)
    """Continuously compounded to the expiry, fraction a year."""
    rate_source: Literal["parity", "curve", "settings"] = "settings"
    """
    ``parity``: of this expiry's own options. ``curve``: mostly of the other expiries'.
    ``settings``: ``market.rate``, as nothing implies it, or the options are American.
    """
    rate_error: float | None = None
    """Standard error of `rate`; None for that of the settings."""
    discount: float = Field(gt=0.0, allow_inf_nan=False)
    """Value today of one unit of currency at the expiry."""


class OptionParams(Model):
    """Expiries and strikes of exactly one trading class: unions, so not every pair is listed."""

    @property
    def key(self) -> str:
        """Its class, with the multiplier where that is not the usual one: several may share it."""
        usual = self.multiplier == _US_CONTRACT
        return self.trading_class if usual else f"{self.trading_class}:{self.multiplier}"

    exchange: str
    trading_class: str
    multiplier: int
    """Shares per contract."""
    expiries: tuple[dt.date, ...]
    strikes: tuple[float, ...]
    """Currency per share, ascending."""


class Spot(Model):
    """The price of the underlying and where it comes from."""

    price: float
    source: SpotSource
    data_type: DataType = DataType.LIVE
    as_of: AwareDatetime


class Marked(Model):
    """Figures of one contract as it was quoted, per share held long; None where one is missing."""

    price: float | None = None
    """Currency, the middle of bid and ask or what stands in for it."""
    bid: float | None = None
    ask: float | None = None
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    """Per 0.01 of volatility."""
    theta: float | None = None
    """Per calendar day."""
    quoted_at: AwareDatetime | None = None


class OptionQuote(Model):
    """One option of a chain; None where a number is missing."""

    con_id: int | None = None
    expiry: dt.date
    dte: int
    strike: float
    right: Literal["C", "P"]
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    close: float | None = None
    iv: float | None = None
    """Fraction per square-root year."""
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    """Per 0.01 of volatility."""
    theta: float | None = None
    """Per calendar day."""
    volume: int | None = None
    open_interest: int | None = None
    parity_deviation: float | None = None
    status: RowStatus
    quote_source: QuoteSource | None = None
    greeks_source: Literal["ib", "local", "none"] = "none"
    quoted_at: AwareDatetime | None = None


_MOST_VOLATILITY = 5.0
_MOST_REALISED = 10.0
"""Twenty days of a short squeeze have realised 6.4 (GME, January 2021)."""
_RANGES = {
    **dict.fromkeys(("hv20", "hv30", "hv60", "hv90", "hv252"), (0.0, _MOST_REALISED)),
    "iv30": (0.0, _MOST_VOLATILITY),
    # No VIX has been below 8.5 points, or above 90.
    "vix": (0.0, 8.5),
    # At a new extreme the rank leaves [0, 1]: the VIX of 5 February 2018 had a rank of 4.1.
    "iv_rank": (-2.0, 4.5),
    "iv_percentile": (0.0, 1.0),
    "skew": (-1.0, 1.0),
    "term_m1_m2": (-2.0, 2.0),
    "term_m1_m3": (-2.0, 2.0),
}
"""Lowest and highest value that a figure can have; what lies beyond is a percentage or an error."""
_NEVER_ZERO = ("iv30", "vix")


def impossible(name: str, value: float) -> str:
    """Why a figure of `VolSnapshot` cannot be *value*; an empty text where it can."""
    if name not in _RANGES:
        return ""
    low, high = _RANGES[name]
    if low <= value <= high and not (value == 0.0 and name in _NEVER_ZERO):
        return ""
    if low <= value / 100.0 <= high and abs(value) > 1.0:
        return f"a fraction: {value / 100.0:g}, not {value:g}"
    return f"{value:g} is impossible: it lies between {low:g} and {high:g}"


class VolSnapshot(Model):
    """
    Volatility figures of one symbol; fractions, None where unknown.

    Raises:
        ValidationError: A figure is impossible, as an IV rank of 60 is, which is written 0.6.
    """

    symbol: str
    as_of: AwareDatetime
    currency: str | None = None
    """Of `spot`, `atr14` and moves, as prices are quoted: GBX for pence."""
    spot: float | None = None
    hv20: float | None = None
    hv30: float | None = None
    hv60: float | None = None
    hv90: float | None = None
    hv252: float | None = None
    iv30: float | None = None
    iv_rank: float | None = None
    """Place of today between the lowest and highest of the window; may leave [0, 1]."""
    iv_percentile: float | None = None
    iv_days: int | None = None
    """Days of IV history behind rank and percentile."""
    iv_series: Literal["ib30", "chain30"] | None = None
    """Whose history: IB's 30-day IV, or that of our own chains."""
    iv_window: int | None = None
    """Trading days that the history should hold."""
    vix: float | None = None
    atr14: float | None = None
    """Currency per share, Wilder."""
    skew: float | None = None
    """IV of the 25-delta call minus IV of the 25-delta put, nearest 30 days."""
    term_m1_m2: float | None = None
    """First minus second expiry: positive means backwardation."""
    term_m1_m3: float | None = None
    next_earnings: dt.date | None = None
    next_dividend: dt.date | None = None
    dividend_amount: float | None = None
    sources: dict[str, str] = {}
    """Field to where it comes from: ib, store, chain or web."""
    ages: dict[str, AwareDatetime] = {}
    """Field to the time it was observed."""
    missing: dict[str, str] = {}
    """Field to the reason why it is unknown."""
    notes: tuple[str, ...] = ()

    @field_validator(*_RANGES)
    @classmethod
    def _possible(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None or math.isnan(value):
            return None
        if info.field_name is not None and (fault := impossible(info.field_name, value)):
            raise ValueError(fault)
        return value

    @property
    def iv_hv(self) -> float | None:
        """Implied less close-to-close volatility, both over thirty days; vol fraction."""
        return None if self.iv30 is None or self.hv30 is None else self.iv30 - self.hv30


def normalize_symbol(text: str) -> str:
    """
    Return the symbol as TOMIC writes it: upper case, a share class after a dot (``BRK.B``).

    A listing at an exchange of its own has that after an ``@``: ``ASML@AEB``, ``ES@CME``.

    Raises:
        InvalidSymbol: Empty, or characters that no ticker has.
    """
    if not isinstance(text, str):
        raise InvalidSymbol(f"{text!r} is not a ticker symbol: it is one text, as in 'SPY'")
    symbol = re.sub(r"\s*@\s*", "@", text.strip().upper())
    if _SYMBOL.fullmatch(symbol):
        return symbol
    hint = "use letters and digits, with a share class after a dot as in BRK.B"
    dotted = re.sub(r"[ /_-]+", ".", symbol.lstrip("/"))
    if symbol.startswith("/"):
        root = dotted if _SYMBOL.fullmatch(dotted) else "ES"
        raise InvalidSymbol(
            f"{text!r} is not a ticker symbol: a future has its exchange after an @, as in "
            f"{root}@CME"
        )
    if _SYMBOL.fullmatch(dotted) and "." in dotted:
        hint = f"a share class comes after a dot; did you mean {dotted}?"
    raise InvalidSymbol(f"{text!r} is not a ticker symbol: {hint}")


def split_symbol(symbol: str) -> tuple[str, str]:
    """The name and the exchange of a symbol; the exchange is empty where none is written."""
    ticker, _, exchange = symbol.partition("@")
    return ticker, exchange


def major_currency(currency: str) -> tuple[str, int]:
    """
    The currency that an account knows, and how many units of *currency* make one of it.

    ``GBX`` is a hundredth of GBP; one without a name of its own is written ``JPY/100``.
    """
    name, _, count = currency.partition("/")
    return (name, int(count)) if count.isdecimal() else MINOR_UNITS.get(currency, (currency, 1))


def several(given: str | Iterable[str], what: str = "symbols") -> list[str]:
    """
    Names that were given one by one, or as one text: a single name, or several by commas.

    A text is a sequence of letters, so ``"SPY"`` would else be taken for S, P and Y.

    Args:
        what: What they are names of.

    Raises:
        UsageError: Neither a text nor anything that holds several.
    """
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    if not isinstance(given, Iterable):
        raise UsageError(f"{what} are a text, or a list of texts, got {given!r:.60}")
    return list(given)


def normalize_symbols(given: str | Iterable[str]) -> list[str]:
    """
    Symbols as TOMIC writes them, of one text with commas or of several texts.

    Raises:
        InvalidSymbol: One of them is none; see `normalize_symbol`.
    """
    return [normalize_symbol(symbol) for symbol in several(given)]
