"""What is held: positions, marks, accounts and what is known about their markets."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, model_validator

from tomic.models.market import (
    INDEX_CLASSES,
    DataType,
    Marked,
    Model,
    Spot,
    Underlying,
    major_currency,
    settles_in_cash,
)

_DIGITS_AT_AN_END = re.compile(r"\d*([A-Z.]+?)\d*", re.ASCII)
_US_CONTRACT = 100.0
_NEW_YORK = ZoneInfo("America/New_York")

MOST_LOG_RETURN = 20.0
"""No price becomes five hundred million times as much in a day."""
LogReturn = Annotated[float, Field(ge=-MOST_LOG_RETURN, le=MOST_LOG_RETURN)]


class Position(Model):
    """One line of an account, as the broker reports it."""

    account: str
    symbol: str
    """Of the underlying, as TOMIC writes it."""
    sec_type: str
    """``STK``, ``OPT``, or whatever else the broker holds."""
    quantity: float
    """Signed: contracts, or shares."""
    average_cost: float | None = None
    """Currency per share, multiplier taken out; positive also for what was sold."""
    con_id: int | None = None
    currency: str = "USD"
    right: Literal["C", "P"] | None = None
    strike: float | None = None
    expiry: dt.date | None = None
    multiplier: float = 1.0
    """Shares per contract."""
    exchange: str = ""
    """Where its quotes come from; empty for SMART."""
    trading_class: str = ""
    local_symbol: str = ""
    first_seen: dt.date | None = None
    """Day of the first saved book that held this contract without a break."""
    proposed: bool = False
    """Not held: part of a trade that is being considered."""

    @property
    def is_option(self) -> bool:
        """Whether it is an option with right, strike and expiry, on a future too."""
        kind = self.sec_type in ("OPT", "FOP")
        return kind and None not in (self.right, self.strike, self.expiry)

    @property
    def is_on_future(self) -> bool:
        """Whether it is an option on a future, whose margin no rule of TOMIC knows."""
        return self.sec_type == "FOP"

    @property
    def is_stock(self) -> bool:
        """Whether it is shares of a stock or fund."""
        return self.sec_type == "STK"

    @property
    def settles_in_cash(self) -> bool:
        """Whether it is an option on an index, as far as its names tell: no shares."""
        if self.currency != "USD":
            # A share abroad may be called like an American index.
            terms = INDEX_CLASSES.get(self.trading_class)
            return terms is not None and terms.settles is not None
        return settles_in_cash(self.symbol, self.trading_class)

    @property
    def is_adjusted(self) -> bool:
        """
        Whether a corporate action changed what a contract delivers.

        A US contract of other than 100 shares, or a class such as ``2SPY`` or ``GOOG1``. Its
        Greeks and its payoff do not follow from the price of one share.
        """
        if self.sec_type != "OPT":
            return False
        if self.currency == "USD" and self.multiplier != _US_CONTRACT:
            return True
        if not self.trading_class or self.trading_class == self.symbol:
            return False
        bare = _DIGITS_AT_AN_END.fullmatch(self.trading_class)
        return bare is not None and bare[1] == self.symbol.replace(".", "")

    @property
    def contract(self) -> str:
        """The contract in words, the same for every line of it: ``SPY 2026-12-18 580P``."""
        if self.is_option:
            odd_class = self.trading_class not in ("", self.symbol)
            suffix = f" {self.trading_class}" if odd_class else ""
            return f"{self.symbol} {self.expiry} {self.strike:.10g}{self.right}{suffix}"
        if self.is_stock:
            return f"{self.symbol} shares"
        name = self.local_symbol or self.symbol
        return f"{name} {self.sec_type}{f' {self.con_id}' if self.con_id else ''}"


class Mark(Marked):
    """The market's figures for one contract; per share, None where unknown."""

    price_source: Literal["mid", "ask", "last", "close", "model", "parity", "web", "none"] = "none"
    """``ask``: half of it, as nobody bids. ``model``: from a volatility that is not its own."""
    greeks_source: Literal["ib", "local", "none"] = "none"
    forward: float | None = None
    """Of its expiry, currency per share; None where the options held imply none."""
    forward_source: Literal["parity", "volatility", "spot", "future", "none"] = "none"
    """As in `Carry`."""
    rate: float | None = None
    """To its expiry, fraction a year; None: `Book.interest`."""
    on_forward: bool = False
    """Whether delta and gamma are per 1.00 of `forward`, as those of a volatility index."""
    problem: str = ""
    """Why there is no quote; empty where there is one."""
    unfinished: bool = False
    """Whether asking again may give more: no answer in time, not subscribed, or a lost line."""


class AccountSummary(Model):
    """Values of one account in its base currency; None where the broker gave none."""

    account: str
    currency: str = "USD"
    net_liquidation: float | None = None
    cash: float | None = None
    initial_margin: float | None = None
    maintenance_margin: float | None = None
    excess_liquidity: float | None = None
    available_funds: float | None = None
    buying_power: float | None = None
    gross_position_value: float | None = None
    cushion: float | None = None
    """Excess liquidity as a fraction of net liquidation."""
    cash_by_currency: dict[str, float] = Field(default_factory=dict)
    rates: dict[str, float] = Field(default_factory=dict)
    """Base currency for one unit of each currency."""


class SymbolMarket(Model):
    """What is known about one underlying; None where unknown."""

    symbol: str
    underlying: Underlying | None = None
    spot: Spot | None = None
    div_yield: float | None = None
    """
    Continuous, from the dividends of the next twelve months; None where IB told none.

    Older books have 0 for that. What is revalued then takes 0, unless its options imply a forward.
    """
    iv30: float | None = None
    hv30: float | None = None
    iv_rank: float | None = None
    skew: float | None = None
    next_earnings: dt.date | None = None
    earnings_move: float | None = None
    """Expected move over earnings, fraction of the price, either way."""
    next_dividend: dt.date | None = None
    """Ex-dividend day."""
    dividend_amount: float | None = None
    """Currency per share."""
    sector: str | None = None


class Book(Model):
    """
    Everything a review of the portfolio needs, at one moment.

    A saved book gives the same review as the session it was read in.
    """

    version: Literal["tomic.book/1"] = "tomic.book/1"
    as_of: AwareDatetime
    currency: str = "USD"
    """Base currency of all totals."""
    accounts: tuple[AccountSummary, ...] = ()
    positions: tuple[Position, ...] = ()
    marks: dict[str, Mark] = Field(default_factory=dict)
    """By `Position.contract`."""
    markets: dict[str, SymbolMarket] = Field(default_factory=dict)
    rates: dict[str, float] = Field(default_factory=dict)
    """Base currency for one unit of each currency, as the broker says it."""
    interest: float = 0.045
    """Continuously compounded, fraction per year, of currencies without one of their own."""
    interest_rates: dict[str, float] = Field(default_factory=dict)
    """The same by currency."""
    data_type: DataType | None = None
    benchmark: str = "SPY"
    return_days: tuple[dt.date, ...] = ()
    returns: dict[str, tuple[LogReturn | None, ...]] = Field(default_factory=dict)
    """Daily log returns by symbol, one for each of *return_days*."""
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _a_return_a_day(self) -> Book:
        for symbol, values in self.returns.items():
            if len(values) != len(self.return_days):
                raise ValueError(
                    f"returns of {symbol}: {len(values)} for {len(self.return_days)} return_days"
                )
        return self

    @property
    def today(self) -> dt.date:
        """The day at the exchange."""
        return self.as_of.astimezone(_NEW_YORK).date()

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Contracts held for which asking again may give more."""
        contracts = {position.contract for position in self.positions}
        return tuple(
            sorted(
                name for name, mark in self.marks.items() if mark.unfinished and name in contracts
            )
        )

    @property
    def net_liquidation(self) -> float | None:
        """Of all accounts together, base currency; None where one of them is unknown."""
        total = 0.0
        for account in self.accounts:
            rate = self.rate_of(account.currency)
            if account.net_liquidation is None or rate is None:
                return None
            total += account.net_liquidation * rate
        return total if self.accounts else None

    def interest_of(self, currency: str) -> float:
        """Interest in a currency, continuously compounded, fraction per year."""
        return self.interest_rates.get(currency, self.interest)

    def rate_of(self, currency: str) -> float | None:
        """
        Base currency for one unit of *currency*; None where the broker gave none.

        Of pence (GBX) it is a hundredth of that of pounds.
        """
        major, count = major_currency(currency)
        rate = 1.0 if major == self.currency else self.rates.get(major)
        return None if rate is None else rate / count
