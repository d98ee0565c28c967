"""Settings of what is asked of the market: chains, underlyings, the web page."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tomic.config.section import Amount, Days, NotEmpty, Seconds, Section, Symbol, Symbols
from tomic.models.market import split_symbol

_STRIKE_RANGE = re.compile(r"(\d+(?:\.\d+)?)([%s]?)")


def _strike_range(value: Any) -> Any:
    """Accept a bare number, which means points; refuse zero and anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = f"{value:g}"
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    match = _STRIKE_RANGE.fullmatch(text)
    if match is None or float(match[1]) == 0.0:
        raise ValueError(f"{value!r} is not a strike range; write 10 (points), 5% or 2s (sigmas)")
    return text


StrikeRange = Annotated[str, BeforeValidator(_strike_range)]
"""How far strikes may lie from spot: points "10", per cent "5%", standard deviations "2s"."""


class ChainRules(TypedDict, total=False):
    """Keywords of `Desk.chain`: those of `ChainSettings`, which says what each means."""

    min_dte: int
    max_dte: int | None
    monthlies: int
    weeklies: int
    expiries: Literal["selected", "all"]
    strike_range: str | float
    min_delta: float
    max_delta: float
    side: Literal["both", "calls", "puts"]
    trading_class: str
    deadline_s: float
    details_timeout_s: float
    open_details_timeout_s: float
    silent_s: float
    quote_timeout_s: float
    retries: int


class ChainSettings(Section):
    """Which options of a symbol are fetched, and how long that may take."""

    min_dte: Days = 15
    """Fewest calendar days to expiry."""
    max_dte: Days | None = None
    """Most calendar days to expiry, or "none"."""
    monthlies: int = Field(default=3, ge=0, le=100)
    """Third-Friday expiries to take, nearest first."""
    weeklies: int = Field(default=4, ge=0, le=100)
    """Expiries of other weeks to take, nearest first."""
    expiries: Literal["selected", "all"] = "selected"
    """"selected": monthlies and weeklies; "all": dailies and quarter ends as well."""
    strike_range: StrikeRange = "10"
    """Distance from spot: points "10", per cent "5%" or standard deviations "2s"."""
    min_delta: float = Field(default=-0.8, ge=-1.0, le=1.0)
    """Options below this delta are marked and left out of the CSV."""
    max_delta: float = Field(default=0.8, ge=-1.0, le=1.0)
    """Options above this delta are marked and left out of the CSV."""
    side: Literal["both", "calls", "puts"] = "both"
    """Which rights to fetch."""
    trading_class: str = Field(default="", pattern=r"^[A-Za-z0-9. ]*(:[0-9]+)?$")
    """Trading class, for example SPX instead of SPXW; empty: the usual one.
    Where several multipliers share a class, the one that is meant after a colon: ASM:100."""
    deadline_s: Seconds = 600.0
    """Seconds for the whole command, all its symbols together; what has come by then is kept."""
    details_timeout_s: Seconds = 10.0
    """Seconds for the details of one option."""
    open_details_timeout_s: Seconds = 30.0
    """Seconds for the details of a whole expiry."""
    silent_s: Seconds = 1.0
    """Seconds after which an option that says nothing at all is asked again."""
    quote_timeout_s: Seconds = 3.0
    """Seconds after which an option that answered in part is taken as it is."""
    retries: int = Field(default=1, ge=0, le=10)
    """How often a silent or incomplete option is asked again."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        if self.max_dte is not None and self.max_dte < self.min_dte:
            raise ValueError(
                f"max_dte must be >= min_dte, got {self.max_dte} with min_dte {self.min_dte}"
            )
        if self.max_delta <= self.min_delta:
            raise ValueError(
                f"max_delta must be > min_delta, got {self.max_delta:g} "
                f"with min_delta {self.min_delta:g}"
            )
        if self.expiries == "selected" and self.monthlies + self.weeklies == 0:
            raise ValueError("monthlies and weeklies are both 0, so there is no expiry to select")
        return self


DEFAULT_SYMBOLS = (
    "AAPL", "ASML", "CRM", "DIA", "EWG", "EWJ", "EWZ", "FEZ", "FXI", "GLD",
    "INDA", "NVDA", "QQQ", "RUT", "SPY", "TSLA", "VIX", "XLE", "XLF", "XLV",
)  # fmt: skip
DEFAULT_INDICES = {
    "SPX": "CBOE", "XSP": "CBOE", "OEX": "CBOE", "XEO": "CBOE", "DJX": "CBOE", "VIX": "CBOE",
    "NDX": "NASDAQ", "NQX": "NASDAQ", "XND": "NASDAQ", "RUT": "RUSSELL", "MRUT": "RUSSELL",
    "AEX": "EOE@FTA", "EOE": "FTA", "ESTX50": "EUREX", "DAX": "EUREX",
}  # fmt: skip
_FUTURES = ("CME", "CBOT", "NYMEX", "COMEX", "GLOBEX", "ECBOT", "CFE", "ICEUS", "SGX", "OSE.JPN")
_DERIVATIVES = ("EUREX", "DTB", "FTA", "MONEP", "MATIF", "IDEM", "MEFFRV", "OMS", "ICEEU", "HKFE")
"""Exchanges where an underlying can only be an index or a future: shares trade elsewhere."""
_LISTING = re.compile(
    r"(?:(?P<ticker>[A-Z0-9.]{1,12})@)?(?P<exchange>[A-Z][A-Z0-9.]{1,14})"
    r"(?: (?P<currency>[A-Z]{3}))?"
)
SecType = Literal["STK", "IND", "FUT"]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class ListingName(NamedTuple):
    """What a symbol means at IB."""

    ticker: str
    exchange: str
    """Where it is asked for; SMART for American shares."""
    currency: str
    """Empty where its exchange tells it."""
    sec_types: tuple[SecType, ...]
    """What it can be, the likeliest first."""


def _listing(value: str) -> str:
    text = " ".join(value.upper().split())
    if _LISTING.fullmatch(text) is None:
        raise ValueError(
            f"{value!r} is not a listing; write its exchange (EUREX), its symbol and exchange "
            "(EOE@FTA), or its currency as well (VUSA@LSE USD)"
        )
    return text


Listing = Annotated[str, AfterValidator(_listing)]


def _with_default_indices(value: Any) -> Any:
    if isinstance(value, dict):
        return DEFAULT_INDICES | {str(key).strip().upper(): name for key, name in value.items()}
    return value


class MarketSettings(Section):
    """Underlyings, rates, and what to do when the market is closed."""

    symbols: Annotated[Symbols, NotEmpty] = DEFAULT_SYMBOLS
    """Symbols of `scan`, `vol`, `prices` and the panel when none are given."""
    indices: Annotated[dict[Symbol, Listing], BeforeValidator(_with_default_indices)] = (
        DEFAULT_INDICES
    )
    """Symbols that are indices, with their exchange, or with IB's symbol and exchange (EOE@FTA);
    yours are added to these."""
    listings: dict[Symbol, Listing] = Field(default_factory=dict)
    """Names of your own for shares and futures elsewhere: ADYEN = "ADYEN@AEB". Any command takes
    ADYEN@AEB as well. A currency may follow where one exchange lists several: "VUSA@LSE USD"."""
    classes: dict[Symbol, str] = Field(default_factory=dict)
    """Trading class of a symbol that has several, as `chain.trading_class`: "ASML@AEB" = "ASM"."""
    rate: float = Field(default=0.045, gt=-0.1, lt=1.0)
    """Interest rate where options imply none, continuously compounded, fraction a year."""
    rates: dict[Currency, Annotated[float, Field(gt=-0.1, lt=1.0)]] = Field(default_factory=dict)
    """The same of other currencies than the dollar: EUR = 0.02. One without takes `market.rate`,
    and says so."""
    parity_rate: float = Field(default=0.05, gt=-0.1, lt=1.0)
    """Interest rate of the column ParityDeviation alone, as in the original program."""
    spot_timeout_s: Seconds = 4.0
    """Seconds to wait for a price of the underlying before the next source is tried."""
    realtime_only: bool = False
    """Refuse delayed and frozen data instead of labelling them."""
    use_historical_iv_when_closed: bool = False
    """In a closed market take daily bars of each option instead of frozen quotes."""
    greeks_only_if_open: bool = False
    """Leave Greeks empty while the market is closed."""
    historical_contracts: int = Field(default=40, ge=0, le=1000)
    """Most options per symbol to ask history for, nearest the money first."""
    term_strike_window: Amount = 5.0
    """Options within this many points of spot give an expiry's IV in the term structure."""
    history_days: int = Field(default=252, ge=1, le=7560)
    """Trading days of bars and implied volatility that `prices` keeps."""
    rank_days: int = Field(default=252, ge=20, le=2520)
    """Trading days over which IV rank and percentile are taken, today excluded."""
    rank_min_days: int = Field(default=60, ge=2, le=2520)
    """Days that must be present before an IV rank or percentile is shown at all."""

    def listing(self, symbol: str) -> ListingName:
        """What *symbol* means: an index or listing of the settings, or what its exchange tells."""
        ticker, exchange = split_symbol(symbol)
        if not exchange and symbol in self.indices:
            return _read(symbol, self.indices[symbol], ("IND",))
        if not exchange and symbol in self.listings:
            return _read(symbol, self.listings[symbol], None)
        if not exchange:
            return ListingName(ticker, "SMART", "USD", ("STK",))
        for name, value in self.indices.items():
            known = _read(name, value, ("IND",))
            if (known.ticker, known.exchange) == (ticker, exchange):
                return known
        return ListingName(ticker, exchange, "", _sec_types(exchange))

    def rate_of(self, currency: str) -> float:
        """The interest rate of a currency where options imply none: its own, else the dollar's."""
        return self.rates.get(currency, self.rate)

    def knows_rate(self, currency: str) -> bool:
        """Whether `rate_of` is meant for *currency*."""
        return currency in ("", "USD") or currency in self.rates

    def is_american(self, symbol: str) -> bool:
        """Whether a symbol means an American share or index, as far as the settings tell."""
        listing = self.listing(symbol)
        return listing.exchange in ("SMART", "CBOE", "NASDAQ", "RUSSELL", "NYSE", "AMEX", "PHLX")

    def name_of(self, ticker: str, exchange: str, sec_type: str) -> str:
        """How a listing is called here: by the settings' name, else with its exchange."""
        table: Mapping[str, str] = self.indices if sec_type == "IND" else self.listings
        for name, value in table.items():
            if _read(name, value, None)[:2] == (ticker, exchange):
                return name
        return f"{ticker}@{exchange}"

    def trading_class(self, symbol: str, asked: str = "") -> str:
        """The class asked for, else the one that the settings give *symbol*; empty for neither."""
        return asked or self.classes.get(symbol, "")


def _sec_types(exchange: str) -> tuple[SecType, ...]:
    if exchange in _FUTURES:
        return ("FUT", "IND")
    return ("IND", "FUT") if exchange in _DERIVATIVES else ("STK", "IND")


def _read(name: str, value: str, sec_types: tuple[SecType, ...] | None) -> ListingName:
    match = _LISTING.fullmatch(value)
    assert match is not None, f"{value} was validated"
    ticker, exchange = match["ticker"] or split_symbol(name)[0], match["exchange"]
    return ListingName(ticker, exchange, match["currency"] or "", sec_types or _sec_types(exchange))


_GAP = r"(?:<[^>]*>|[^\d<%-]){0,60}?"
"""From a label to its number: tags and a little text, but no other number and no sign."""
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BLANK = r"(?:\s|&nbsp;)*"


def _percent(*labels: str) -> tuple[str, ...]:
    return tuple(rf"\b{label}{_GAP}{_NUMBER}\s*%" for label in labels)


def _plain(*labels: str) -> tuple[str, ...]:
    return tuple(rf"\b{label}{_GAP}{_NUMBER}(?![\d.]*\s*%)" for label in labels)


WEB_FIELDS = (
    "spot_price", "implied_volatility", "iv_rank", "iv_percentile", "hv30",
    "skew", "atr14", "vix", "term_m1_m2", "term_m1_m3",
)  # fmt: skip
DEFAULT_PATTERNS: dict[str, tuple[str, ...]] = {
    "spot_price": (r'"lastPrice"\s*:\s*"?(\d+(?:\.\d+)?)', *_plain(rf"Last{_BLANK}Price")),
    "implied_volatility": _percent(rf"Implied{_BLANK}Volatility"),
    "iv_rank": _percent(rf"IV{_BLANK}Rank"),
    "iv_percentile": _percent(rf"IV{_BLANK}(?:Percentile|Pctl)"),
    "hv30": _percent(
        rf"30-Day{_BLANK}Historical{_BLANK}Volatility",
        rf"HV{_BLANK}30",
        rf"Historic{_BLANK}Volatility",
        r"HV:",
    ),
    "skew": _percent(r"Skew"),
    "atr14": _plain(
        rf"ATR{_BLANK}\(14\)", rf"ATR{_BLANK}14", rf"Average{_BLANK}True{_BLANK}Range{_BLANK}\(14\)"
    ),
    "vix": _plain(r"VIX:"),
    "term_m1_m2": (),
    "term_m1_m3": (),
}


def _url(value: str) -> str:
    fields = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
    if fields != {"symbol"} or not value.startswith(("https://", "http://")):
        raise ValueError(f"{value!r} must be a web address with {{symbol}} in it and no other")
    return value


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value, re.IGNORECASE | re.DOTALL).groups
    except re.error as exc:
        raise ValueError(f"{value!r} is not a regular expression: {exc}") from exc
    if groups != 1:
        raise ValueError(f"{value!r} must have one group, the number, got {groups}")
    return value


def _with_default_patterns(value: Any) -> Any:
    return DEFAULT_PATTERNS | value if isinstance(value, dict) else value


class WebSettings(Section):
    """The public page that is read when the gateway has no spot or no IV rank."""

    enabled: bool = True
    """Whether a page may be read at all."""
    url: Annotated[str, AfterValidator(_url)] = (
        "https://www.barchart.com/etfs-funds/quotes/{symbol}/volatility-charts"
    )
    """Address of the page; {symbol} is replaced."""
    attempts: int = Field(default=2, ge=1, le=5)
    """How often the page is asked for in all."""
    timeout_s: Seconds = 10.0
    """Seconds per attempt."""
    pause_s: float = Field(default=1.0, ge=0.0, le=60.0)
    """Seconds between attempts."""
    user_agent: str = Field(default="Mozilla/5.0", min_length=1)
    """How the program introduces itself to the site."""
    patterns: Annotated[
        dict[str, tuple[Annotated[str, AfterValidator(_pattern)], ...]],
        BeforeValidator(_with_default_patterns),
    ] = DEFAULT_PATTERNS
    """Regular expressions per field, tried in order on the page's source; the first group is
    the number, per cents as printed. Fields that you name replace the default of that field."""

    @model_validator(mode="after")
    def _fields_exist(self) -> Self:
        for name in self.patterns:
            if name not in WEB_FIELDS:
                raise ValueError(
                    f"patterns.{name}: no such field; there are {', '.join(WEB_FIELDS)}"
                )
        return self
