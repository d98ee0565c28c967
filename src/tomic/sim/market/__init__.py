"""
What the gateway asks of whatever stands behind it: contracts, quotes, bars, accounts, a clock.

The gateway knows the wire; a market knows numbers. Both the seeded model market and a recorded
chain implement :class:`Market`. Missing numbers are ``None``; the wire's own sentinels (-1, -2,
1.8e308) belong to the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Protocol, runtime_checkable

from tomic import _lazy
from tomic.wire.answers import ParameterRow
from tomic.wire.requests import ContractSpec

_lazy.offer(__name__, modules="account model")


@lru_cache(maxsize=1024)
def day_text(day: date) -> str:
    """*day* as YYYYMMDD; hundreds of options share one."""
    return f"{day:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class Listing:
    """One contract as contract details describe it."""

    con_id: int
    symbol: str
    sec_type: str
    """STK, IND, FUT, OPT, FOP or CASH."""
    exchange: str = "SMART"
    primary_exchange: str = ""
    currency: str = "USD"
    local_symbol: str = ""
    trading_class: str = ""
    expiry: date | None = None
    strike: float = 0.0
    right: str = ""
    """C, P, or empty."""
    multiplier: str = ""
    long_name: str = ""
    market_name: str = ""
    min_tick: float = 0.01
    valid_exchanges: str = "SMART"
    time_zone_id: str = "US/Eastern"
    trading_hours: str = ""
    liquid_hours: str = ""
    under_con_id: int = 0
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    stock_type: str = ""
    last_trade_time: str = ""
    """HH:MM:SS in the exchange's zone, options only."""
    magnifier: int = 1
    """What its prices are multiplied by, in quotes only: 100 where they are pence."""
    settled: date | None = None
    """Day of its settlement, which its OCC symbol holds; *expiry* is its last trading day."""

    @property
    def expiry_text(self) -> str:
        """YYYYMMDD; empty for what does not expire."""
        return day_text(self.expiry) if self.expiry else ""

    @property
    def is_option(self) -> bool:
        """Whether it is an option, on a future too."""
        return self.sec_type in ("OPT", "FOP")


@dataclass(frozen=True, slots=True)
class Computation:
    """IV and Greeks of an option, as ticks 10-13 carry them; vega per 0.01, theta per day."""

    iv: float | None = None
    delta: float | None = None
    price: float | None = None
    pv_dividend: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    underlying: float | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Everything one contract can tick right now. Fractions for volatilities."""

    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    close: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    last_size: int | None = None
    volume: int | None = None
    open_interest: int | None = None
    """Of an option itself."""
    model: Computation | None = None
    bid_model: Computation | None = None
    ask_model: Computation | None = None
    last_model: Computation | None = None
    historical_volatility: float | None = None
    """30-day, of an underlying (tick 23)."""
    implied_volatility: float | None = None
    """30-day, of an underlying (tick 24)."""
    call_open_interest: int | None = None
    """Summed over the options of an underlying (tick 27)."""
    put_open_interest: int | None = None
    call_volume: int | None = None
    put_volume: int | None = None
    dividends: str | None = None
    """Tick 59: past and next 12 months, next date YYYYMMDD, next amount, joined by commas."""

    def without_greeks(self) -> Quote:
        """The same quote without computations."""
        return replace(self, model=None, bid_model=None, ask_model=None, last_model=None)

    def blinded(self) -> Quote:
        """The quote of a closed market as type 1 shows it: no bid, no ask, nothing computed."""
        blank = self.without_greeks()
        return replace(blank, bid=None, ask=None, bid_size=None, ask_size=None, last_size=None)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, of a day unless *at* is set; prices per share, fractions for volatilities."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: int = -1
    average: float = -1.0
    count: int = -1
    at: datetime | None = None
    """When a bar of less than a day began, aware."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One position of one account."""

    account: str
    con_id: int
    quantity: float
    average_cost: float
    """Per share for stock; per contract (multiplier included) for options, as IB reports it."""


@dataclass(frozen=True, slots=True)
class MarketFill:
    """One execution of the day."""

    exec_id: str
    """What follows its last dot counts corrections."""
    account: str
    at: datetime
    """Aware."""
    quantity: float
    """Signed: bought or sold."""
    price: float
    """Currency per share."""
    con_id: int = 0
    contract: Listing | None = None
    """Of what this market does not list, such as a future or a combination as a whole."""
    exchange: str = "CBOE"
    order_id: int = 0
    perm_id: int = 0
    client_id: int = 0
    commission: float | None = None
    """A cost is positive; None where this client gets no report."""
    commission_currency: str = ""
    """Empty for the contract's own."""
    realized: float | None = None
    reported_s: float = 0.0
    """Seconds from the end of the list to the report of the commission; 0 right after the row,
    below 0 before it."""
    time_text: str = ""
    """The time as it is sent, instead of *at* in the form of the gateway."""


@dataclass(frozen=True, slots=True)
class AccountBook:
    """Accounts, their values, their positions and the executions of the day."""

    accounts: tuple[str, ...]
    values: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """account -> tag -> (value, currency)."""
    holdings: tuple[Holding, ...] = ()
    fills: tuple[MarketFill, ...] = ()
    ledger: dict[str, dict[str, str]] = field(default_factory=dict)
    """currency -> tag -> value of all accounts together; ``BASE`` is their total."""


class Market(Protocol):
    """The numbers behind a simulated gateway."""

    def now(self) -> datetime:
        """The market's own time, aware, in UTC."""

    def is_open(self, con_id: int) -> bool:
        """Whether the contract's liquid hours hold now."""

    def find(self, wanted: ContractSpec) -> Sequence[Listing]:
        """All contracts that fit; an empty or zero field is open, and con_id alone is enough."""

    def parameters(self, symbol: str, under_con_id: int) -> Sequence[ParameterRow]:
        """Option parameters of an underlying, several exchanges and classes; empty when unknown."""

    def quote(self, con_id: int) -> Quote | None:
        """Everything that contract can tick now; None when the contract is unknown."""

    def frozen_quote(self, con_id: int) -> Quote | None:
        """What types 2 and 4 show: the last session's values while closed, else the quote."""

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> Sequence[Bar] | None:
        """Daily bars of *days* sessions up to *end*, oldest first; None where IB has none."""

    def accounts(self) -> Sequence[str]:
        """The accounts of the login, which every client is told before it asks for anything."""

    def book(self) -> AccountBook:
        """Accounts, values and positions."""

    def whatif_margin(
        self, account: str, legs: Sequence[tuple[int, float]]
    ) -> tuple[float, float] | None:
        """Change of initial and maintenance margin for (con_id, signed quantity) legs."""


@runtime_checkable
class Intraday(Protocol):
    """A market that knows what happened within a day."""

    def intraday(
        self, con_id: int, what: str, size_s: int, days: int, end: datetime
    ) -> Sequence[Bar] | None:
        """Bars of *size_s* seconds of *days* sessions up to *end*; None where IB has none."""


@runtime_checkable
class Calculating(Protocol):
    """A market that can compute what an option would cost, or the volatility behind a price."""

    def calculate(
        self, con_id: int, under_price: float, *, price: float | None, volatility: float | None
    ) -> Computation | None:
        """From a price or a volatility; None for what is no option, or cannot cost that."""
