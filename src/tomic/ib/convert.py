"""
ib_async objects and wire values into ours; the only file that knows IB's sentinels.

IB writes "none" as price -1 (or a price with size 0), "not computed" as -1 for volatility and
price and -2 for the Greeks, and "unset" as 1.8e308. Here they become ``None``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

import ib_async

from tomic import dates, outside
from tomic.config.market import ListingName, MarketSettings
from tomic.errors import DataError
from tomic.models import (
    MINOR_UNITS,
    DataType,
    OptionParams,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Underlying,
    major_currency,
    split_symbol,
)
from tomic.selection import Wanted

_DATA_TYPES = {
    1: DataType.LIVE,
    2: DataType.FROZEN,
    3: DataType.DELAYED,
    4: DataType.DELAYED_FROZEN,
}
_PRICES = {1: "bid", 2: "ask", 4: "last", 9: "close", 66: "bid", 67: "ask", 68: "last", 75: "close"}
_SIZES = {8: "volume", 74: "volume"}
_BY_RIGHT = {
    27: ("open_interest", "C"),
    28: ("open_interest", "P"),
    29: ("volume", "C"),
    30: ("volume", "P"),
}
_MODEL_TICKS = (13, 83)
_BID_TICKS, _ASK_TICKS = (10, 80), (11, 81)
_HISTORICAL_VOLATILITY, _IMPLIED_VOLATILITY = frozenset({23, 58}), 24
"""Historical volatility is number 58 where it came with generic tick 411 instead of 104."""
_DIVIDENDS = 59
_UNSET = 1e15
"""IB writes 1.8e308; no amount, size or figure of an account comes near this."""
_MOST_STRIKE, _MOST_PRICE = 1e7, 1e8
"""Currency per share: nothing that is quoted costs so much in any currency."""
_MOST_IV = 100.0
"""Of a year: beyond, no price of an option moves with it."""
_MOST_LETTERS = 200
_QUARTER_S, _CLOCKS_S = 900, 180.0
# EUREX: C OESX 20231215 4325 M.
_DATED_SYMBOL = re.compile(r"[CP] \w+ +(\d{8}) .*", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4})-?(\d{2})-?(\d{2})(-|[ T]+)(\d{1,2}):(\d{2}):(\d{2})(?:\.\d*)?\s*(.*)", re.ASCII
)


class ModelGreeks(NamedTuple):
    """IV and Greeks as IB's model gives them; None where not computed."""

    iv: float | None
    delta: float | None
    gamma: float | None
    vega: float | None
    theta: float | None
    underlying: float | None

    @property
    def complete(self) -> bool:
        """Whether IV and all four Greeks are there."""
        return None not in self[:5]


@dataclass(slots=True)
class Ticks:
    """
    What one subscription has received so far.

    A field is in ``answered`` once IB spoke about it, also when it said that there is none.
    """

    right: str = ""
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    close: float | None = None
    volume: int | None = None
    open_interest: int | None = None
    model: ModelGreeks | None = None
    at_bid: ModelGreeks | None = None
    at_ask: ModelGreeks | None = None
    historical_volatility: float | None = None
    implied_volatility: float | None = None
    dividends: str | None = None
    data_type: DataType | None = None
    answered: set[str] = field(default_factory=set)
    on_change: Callable[[], None] = lambda: None

    @property
    def silent(self) -> bool:
        """Whether nothing at all arrived."""
        return not self.answered

    @property
    def quoted(self) -> bool:
        """Whether IB spoke about both bid and ask."""
        return "bid" in self.answered and "ask" in self.answered

    @property
    def between(self) -> ModelGreeks | None:
        """
        Mean of what IB computes from bid and from ask, where its model gives nothing.

        One side alone is off by half the spread, and the last trade by its age.
        """
        if self.at_bid is None or self.at_ask is None:
            return None
        pairs = zip(self.at_bid, self.at_ask, strict=True)
        return ModelGreeks(*(_mean(low, high) for low, high in pairs))

    @property
    def mid(self) -> float | None:
        """Mean of bid and ask when both are there."""
        if self.bid is None or self.ask is None:
            return None
        return 0.5 * (self.bid + self.ask)

    def price(self, tick_type: int, price: float, size: float) -> None:
        """Take a price tick."""
        name = _PRICES.get(tick_type)
        if name is None:
            return
        value = price_or_none(price)
        if name in ("bid", "ask") and value is not None and value == 0.0 and size == 0.0:
            value = None
        self._set(name, value)

    def size(self, tick_type: int, size: float) -> None:
        """Take a size tick; of the pairs for calls and puts only the own side counts."""
        if tick_type in _SIZES:
            self._set(_SIZES[tick_type], _count(size))
        elif tick_type in _BY_RIGHT:
            name, right = _BY_RIGHT[tick_type]
            if right == self.right:
                self._set(name, _count(size))

    def generic(self, tick_type: int, value: float) -> None:
        """Take a generic tick: 30-day volatilities of an underlying."""
        if tick_type in _HISTORICAL_VOLATILITY:
            self._set("historical_volatility", number_or_none(value, floor=0.0))
        elif tick_type == _IMPLIED_VOLATILITY:
            self._set("implied_volatility", number_or_none(value, floor=0.0))

    def text(self, tick_type: int, value: str) -> None:
        """Take a string tick: the dividends of an underlying."""
        if tick_type == _DIVIDENDS:
            self._set("dividends", value)

    def computation(
        self,
        tick_type: int,
        iv: float,
        delta: float,
        gamma: float,
        vega: float,
        theta: float,
        underlying: float,
    ) -> None:
        """Take an option computation; IB's own model is preferred over those of bid and ask."""
        greeks = ModelGreeks(
            iv=number_or_none(iv, floor=0.0) if iv <= _MOST_IV else None,
            delta=_greek(delta),
            gamma=_greek(gamma),
            vega=_greek(vega),
            theta=_greek(theta),
            underlying=price_or_none(underlying) or None,
        )
        if tick_type in _MODEL_TICKS:
            if self.model is None or greeks.complete or not self.model.complete:
                self._set("model", greeks)
        elif tick_type in _BID_TICKS and greeks.complete:
            self._set("at_bid", greeks)
        elif tick_type in _ASK_TICKS and greeks.complete:
            self._set("at_ask", greeks)

    def kind(self, data_type: int) -> None:
        """Take the confirmation of the market data type."""
        self._set("data_type", _DATA_TYPES.get(data_type))

    def alive(self) -> None:
        """Take a message that carries no number, but proves that the line is served."""
        self.answered.add("alive")
        self.on_change()

    def _set(self, name: str, value: object) -> None:
        setattr(self, name, value)
        self.answered.add(name)
        self.on_change()


def _mean(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else 0.5 * (low + high)


def data_type_number(data_type: DataType) -> int:
    """How the wire writes a data type."""
    return next(number for number, kind in _DATA_TYPES.items() if kind is data_type)


def number_or_none(value: float, floor: float = -_UNSET) -> float | None:
    """Return *value*, or None when it is NaN, unset (1.8e308) or not above *floor*."""
    return value if math.isfinite(value) and abs(value) < _UNSET and value > floor else None


def price_or_none(price: float) -> float | None:
    """Return *price*, or None for IB's "none" (-1) and for anything that cannot be a price."""
    return price if math.isfinite(price) and 0.0 <= price <= _MOST_PRICE else None


def is_strike(strike: float) -> bool:
    """Whether an option can have that strike, currency per share."""
    return math.isfinite(strike) and 0.0 < strike <= _MOST_STRIKE


def _count(size: float) -> int | None:
    return int(size) if math.isfinite(size) and 0.0 <= size < _UNSET else None


def _greek(value: float) -> float | None:
    # -2 is "not computed"; ib_async lets it through for vega and theta. No per-share Greek of one
    # contract is exactly -2.0, except a theta, which a real model never rounds to it.
    return None if value == -2.0 else number_or_none(value)


def to_moment(text: str, login_zone: dt.tzinfo | None) -> dt.datetime:
    """
    A time as TWS writes it, in UTC.

    ``20231214-20:57:37`` is UTC, ``20251104 15:13:24 MET`` names its zone, and without either it is
    that of the login; whole numbers are seconds since 1970. Which of them comes is a setting of
    TWS.

    Raises:
        DataError: It is no time, its zone is unknown, or the login's is needed and not known.

    Source: TWS API, "Execution"; ib_async #188, ib_insync #671.
    """
    if text.isdecimal() and len(text) >= 9:
        return dt.datetime.fromtimestamp(int(text), dt.UTC)
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise DataError(f"{text!r} is no time")
    between, name = match[4], match[8]
    try:
        local = _wall_time(match)
    except ValueError as exc:
        raise DataError(f"{text!r} is no time: {exc}") from exc
    zone: dt.tzinfo | None
    if name:
        try:
            zone = dates.zone(name)
        except DataError as exc:
            raise DataError(f"{text!r}: {exc}") from exc
    elif between == "-":
        zone = dt.UTC
    else:
        zone = login_zone
    if zone is None:
        raise DataError(f"{text!r} is in the login's time zone, which the gateway has not told")
    return local.replace(tzinfo=zone).astimezone(dt.UTC)


def to_login_zone(text: str, now: dt.datetime) -> dt.tzinfo | None:
    """
    The login's zone from the time at which TWS greets, ``20230518 13:10:12 EST``.

    Where its name is unknown, as in a language of its own, the zone is as far from UTC as that time
    is from *now*; None when that is no quarter of an hour, because the clocks differ.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        return None
    name = match[8]
    try:
        local = _wall_time(match)
        return dates.zone(name) if name else None
    except ValueError:
        return None
    except DataError:
        ahead_s = (local.replace(tzinfo=dt.UTC) - now).total_seconds()
        quarters = round(ahead_s / _QUARTER_S)
        near = abs(ahead_s - quarters * _QUARTER_S) < _CLOCKS_S and -48 <= quarters <= 56
        return dt.timezone(dt.timedelta(seconds=quarters * _QUARTER_S)) if near else None


def _wall_time(match: re.Match[str]) -> dt.datetime:
    year, month, day, hour, minute, second = (int(match[at]) for at in (1, 2, 3, 5, 6, 7))
    return dt.datetime(year, month, day, hour, minute, second)


def to_underlying(details: ib_async.ContractDetails, symbol: str) -> Underlying:
    """Contract details of a stock or index as our model."""
    contract = details.contract
    if contract is None:
        raise ValueError(f"contract details of {symbol} hold no contract")
    sec_type: Literal["STK", "IND", "FUT"] = "STK"
    if contract.secType in ("IND", "FUT"):
        sec_type = "IND" if contract.secType == "IND" else "FUT"
    venues = details.validExchanges.split(",")
    routed = sec_type == "STK" and ("SMART" in venues or not contract.exchange)
    ticker = contract.symbol.strip().replace(" ", ".")
    return Underlying(
        symbol=symbol,
        con_id=contract.conId,
        sec_type=sec_type,
        exchange="SMART" if routed else contract.exchange,
        primary_exchange=contract.primaryExchange,
        currency=quote_currency(contract.currency, details.priceMagnifier),
        ticker=ticker if ticker and ticker != split_symbol(symbol)[0] else "",
        local_symbol=contract.localSymbol if sec_type == "FUT" else "",
        expiry=last_day(details) if sec_type == "FUT" and _is_dated(details) else None,
        # ib_async has resolved what looks like an escape in it, after our gate.
        name=outside.line(details.longName, _MOST_LETTERS),
        stock_type=details.stockType.strip().upper() if sec_type == "STK" else "",
        time_zone=dates.zone(details.timeZoneId).key if details.timeZoneId else "America/New_York",
        sessions=dates.parse_hours(
            details.liquidHours or details.tradingHours, details.timeZoneId or "US/Eastern"
        ),
    )


def to_params(chain: ib_async.OptionChain) -> OptionParams | None:
    """
    One row of option parameters as our model; None when it cannot be used.

    Expiries and strikes that are none are left out of it.
    """
    try:
        multiplier = int(float(chain.multiplier))
    except ValueError:
        return None
    if multiplier <= 0:
        return None
    return OptionParams(
        exchange=chain.exchange,
        trading_class=chain.tradingClass,
        multiplier=multiplier,
        expiries=tuple(sorted(_expiries(chain.expirations))),
        strikes=tuple(sorted(filter(is_strike, map(float, chain.strikes)))),
    )


def _expiries(texts: Iterable[str]) -> Iterator[dt.date]:
    for text in texts:
        with contextlib.suppress(DataError):
            yield dates.parse_expiry(text)


def expiry_of(contract: ib_async.Contract) -> dt.date:
    """
    The last trading day of an option, by which IB names it.

    Its local symbol tells it where that can be read: the date beside it is, near the end, that of
    the login's zone, in which a Friday's close may be a Saturday. A date with a time and a zone is
    taken in New York's.

    Raises:
        DataError: Neither holds a day.

    Source: ib_insync #605 and #693, ib_async #203.
    """
    settled = dates.occ_expiry(contract.localSymbol)
    if settled is not None:
        return dates.last_trading_day(
            settled, trading_class=contract.tradingClass, local_symbol=contract.localSymbol
        )
    text = contract.lastTradeDateOrContractMonth.strip()
    dated = _DATED_SYMBOL.fullmatch(contract.localSymbol.strip())
    if dated is not None:
        return dates.parse_expiry(dated[1])
    moment = _MOMENT.fullmatch(text)
    if moment is not None and moment[8]:
        return dates.local_date(to_moment(text, None), "America/New_York")
    day = dates.parse_expiry(text)
    # Nothing trades last on a Saturday: that is where a login in Asia sees Friday's close.
    return day - dt.timedelta(days=max(day.weekday() - 4, 0))


def to_pair(contract: ib_async.Contract) -> Wanted:
    """
    Expiry, strike and right of an option contract; see `expiry_of`.

    Raises:
        DataError: One of them is none.
    """
    if not is_strike(float(contract.strike)):
        raise DataError(f"{contract.symbol}: a strike of {contract.strike:g} is none")
    return Wanted(
        expiry_of(contract),
        float(contract.strike),
        "C" if contract.right.upper().startswith("C") else "P",
    )


def wire_symbol(symbol: str) -> str:
    """The symbol as IB writes it: a blank before a share class."""
    return symbol.replace(".", " ")


def stock_contract(symbol: str) -> ib_async.Contract:
    """A US stock or ETF by symbol."""
    return next(listing_contracts(ListingName(symbol, "SMART", "USD", ("STK",))))


def listing_contracts(listing: ListingName) -> Iterator[ib_async.Contract]:
    """What a name can mean, the likeliest first; of a future its root, then one month of it."""
    for sec_type in listing.sec_types:
        blank = partial(
            ib_async.Contract,
            secType=sec_type,
            exchange=listing.exchange,
            currency=listing.currency,
        )
        yield blank(symbol=wire_symbol(listing.ticker))
        if sec_type == "FUT":
            yield blank(localSymbol=listing.ticker)


def quote_currency(currency: str, magnifier: int) -> str:
    """
    What quotes are in: the hundredth of *currency* where IB magnifies them, GBX for pence.

    IB calls the currency of London's shares GBP and quotes them in pence, with a magnifier of 100.
    """
    if magnifier in (0, 1):
        return currency
    for name, (major, count) in MINOR_UNITS.items():
        if (major, count) == (currency, magnifier):
            return name
    return f"{currency}/{magnifier}"


def listing_symbol(details: ib_async.ContractDetails, market: MarketSettings) -> str:
    """How a stock, index or future is called here: American shares by their symbol alone."""
    contract = details.contract
    assert contract is not None
    ticker = contract.symbol.strip().upper().replace(" ", ".")
    if contract.secType == "FUT":
        return f"{contract.localSymbol.strip().upper()}@{contract.exchange}"
    exchange = contract.primaryExchange or contract.exchange
    if contract.currency == "USD" and (contract.secType == "STK" or ticker in market.indices):
        return ticker
    return market.name_of(ticker, exchange, contract.secType)


def _is_dated(details: ib_async.ContractDetails) -> bool:
    contract = details.contract
    return contract is not None and bool(contract.lastTradeDateOrContractMonth)


def last_day(details: ib_async.ContractDetails) -> dt.date:
    """The last day on which a future trades."""
    contract = details.contract
    assert contract is not None
    return dates.parse_expiry(contract.lastTradeDateOrContractMonth)


def underlying_contract(underlying: Underlying) -> ib_async.Contract:
    """The contract of a resolved underlying."""
    return ib_async.Contract(
        secType=underlying.sec_type,
        conId=underlying.con_id,
        symbol=wire_symbol(underlying.ib_symbol),
        exchange=underlying.exchange,
        primaryExchange=underlying.primary_exchange if underlying.sec_type == "STK" else "",
        currency=major_currency(underlying.currency)[0],
    )


def option_contract(
    underlying: Underlying, params: OptionParams, pair: Wanted, con_id: int = 0
) -> ib_async.Contract:
    """One option by its id, else fully described; see `known_contract`."""
    if con_id:
        kind = "FOP" if underlying.is_future else "OPT"
        return known_contract(
            con_id, kind, underlying.ib_symbol, underlying.currency, params.exchange, pair.right
        )
    contract = open_option_contract(underlying, params, pair.expiry, pair.right)
    contract.strike = pair.strike
    return contract


def known_contract(
    con_id: int, sec_type: str, symbol: str, currency: str, exchange: str = "SMART", right: str = ""
) -> ib_async.Contract:
    """
    A contract by its id.

    Nothing is said beside it that may change or differ from what IB holds: a date of another zone
    is refused with 478. An option's right tells which of its ticks are its own open interest.
    """
    return ib_async.Contract(
        right=right,
        secType=sec_type,
        conId=con_id,
        symbol=wire_symbol(split_symbol(symbol)[0]),
        exchange=exchange,
        currency=major_currency(currency)[0],
    )


def open_option_contract(
    underlying: Underlying, params: OptionParams, expiry: dt.date, right: str = ""
) -> ib_async.Contract:
    """All strikes of one expiry: strike, and right unless given, are left open."""
    return ib_async.Contract(
        secType="FOP" if underlying.is_future else "OPT",
        symbol=wire_symbol(underlying.ib_symbol),
        lastTradeDateOrContractMonth=dates.format_expiry(expiry),
        right=right,
        multiplier=str(params.multiplier),
        exchange=params.exchange,
        currency=major_currency(underlying.currency)[0],
        tradingClass=params.trading_class,
    )


def to_quote(
    pair: Wanted,
    ticks: Ticks,
    *,
    con_id: int | None,
    source: QuoteSource,
    quoted_at: dt.datetime | None,
    status: RowStatus | None = None,
) -> OptionQuote:
    """
    One row from what a subscription received; the status follows from the ticks unless given.

    Greeks come whole or not at all: half a model tick is no model tick.
    """
    greeks = ticks.model if ticks.model is not None and ticks.model.complete else ticks.between
    if status is None:
        status = _status(ticks, greeks)
    has_quote = ticks.bid is not None or ticks.ask is not None
    return OptionQuote(
        con_id=con_id,
        expiry=pair.expiry,
        dte=0,
        strike=pair.strike,
        right=pair.right,
        bid=ticks.bid,
        ask=ticks.ask,
        last=ticks.last if ticks.last else None,
        close=ticks.close if ticks.close else None,
        **{name: getattr(greeks, name, None) for name in ("iv", "delta", "gamma", "vega", "theta")},
        volume=ticks.volume,
        open_interest=ticks.open_interest,
        status=status,
        quote_source=source if has_quote else None,
        greeks_source="ib" if greeks else "none",
        quoted_at=quoted_at,
    )


def _status(ticks: Ticks, greeks: ModelGreeks | None) -> RowStatus:
    if not ticks.quoted:
        return RowStatus.TIMEOUT
    if ticks.bid is None or ticks.ask is None:
        return RowStatus.NO_QUOTE
    return RowStatus.OK if greeks else RowStatus.NO_GREEKS
