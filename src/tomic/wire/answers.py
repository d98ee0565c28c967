"""
What the gateway says: of contracts and prices, of accounts, positions and orders.

Each frozen dataclass is one message; the order of its fields is the order on the wire. Sizes are
whole numbers, because clients of server version 157 read them as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from tomic.wire.layout import UNSET, MessageTable, Numbered, OnWire, message

ANSWERS = MessageTable()


@message(ANSWERS, 1, version="6")
class TickPrice:
    """A price with its size; price -1 says that there is none."""

    req_id: int
    tick: int
    price: float
    size: int = 0
    attributes: int = 0


@message(ANSWERS, 2, version="6")
class TickSize:
    """A size, a volume or an open interest."""

    req_id: int
    tick: int
    size: int


@message(ANSWERS, 4, version="2")
class Error:
    """A code with its text; request id -1 concerns the whole connection."""

    req_id: int
    code: int
    text: str
    advanced: Annotated[str, OnWire(since=166)] = ""


@message(ANSWERS, 9, version="1")
class NextValidId:
    """The first order id that is free; the session is ready."""

    order_id: int


@dataclass(frozen=True, slots=True)
class TagValue:
    """A named text."""

    tag: str
    value: str


@message(ANSWERS, 10, version="8", version_until=164)
class ContractData:
    """One row of contract details."""

    req_id: int
    symbol: str
    sec_type: str
    last_trade: str
    """YYYYMMDD, for options with the time of the last trade and the zone behind it."""
    strike: float
    right: str
    exchange: str
    currency: str
    local_symbol: str
    market_name: str
    trading_class: str
    con_id: int
    min_tick: float
    size_multiplier: Annotated[int, OnWire(until=164)] = 100
    multiplier: str = ""
    order_types: str = ""
    valid_exchanges: str = ""
    price_magnifier: int = 1
    under_con_id: int = 0
    long_name: str = ""
    primary_exchange: str = ""
    contract_month: str = ""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    time_zone_id: str = ""
    trading_hours: str = ""
    liquid_hours: str = ""
    ev_rule: str = ""
    ev_multiplier: int = 0
    security_ids: tuple[TagValue, ...] = ()
    aggregation_group: int = 1
    under_symbol: str = ""
    under_sec_type: str = ""
    market_rules: str = ""
    real_expiry: str = ""
    stock_type: str = ""
    suggested_increment_163: Annotated[float, OnWire(since=163, until=164)] = 100.0
    min_size: Annotated[float, OnWire(since=164)] = 1.0
    size_increment: Annotated[float, OnWire(since=164)] = 1.0
    suggested_increment: Annotated[float, OnWire(since=164)] = 100.0


@message(ANSWERS, 15, version="1")
class ManagedAccounts:
    """The accounts of this login, joined by commas."""

    accounts: str


@dataclass(frozen=True, slots=True)
class BarRow:
    """One bar."""

    day: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    average: float
    count: int


@message(ANSWERS, 17)
class HistoricalData:
    """All bars of one request."""

    req_id: int
    start: str
    end: str
    bars: tuple[BarRow, ...]


@message(ANSWERS, 21)
class TickComputation:
    """IV and Greeks; -1 (iv, price, dividend, underlying) or -2 (Greeks) is not computed."""

    req_id: int
    tick: int
    basis: int = 1
    """0: on returns; 1: on prices."""
    iv: float = -1.0
    delta: float = -2.0
    price: float = -1.0
    pv_dividend: float = -1.0
    gamma: float = -2.0
    vega: float = -2.0
    theta: float = -2.0
    underlying: float = -1.0


@message(ANSWERS, 45, version="6")
class TickGeneric:
    """A number of a generic tick."""

    req_id: int
    tick: int
    value: float


@message(ANSWERS, 46, version="6")
class TickString:
    """A text of a generic tick."""

    req_id: int
    tick: int
    value: str


@message(ANSWERS, 49, version="1")
class CurrentTime:
    """The gateway's clock, seconds since 1970."""

    epoch: int


@message(ANSWERS, 52, version="1")
class ContractDataEnd(Numbered):
    """No further contract details."""


@message(ANSWERS, 57, version="1")
class SnapshotEnd(Numbered):
    """A snapshot is complete, or its time is up."""


@message(ANSWERS, 58, version="1")
class MarketDataType:
    """Which type of market data a subscription gets: 1 to 4."""

    req_id: int
    data_type: int


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """Expiries and strikes of one trading class at one exchange, each a union over the other."""

    exchange: str
    under_con_id: int
    trading_class: str
    multiplier: str
    expiries: tuple[str, ...]
    """YYYYMMDD."""
    strikes: tuple[float, ...]


@message(ANSWERS, 75)
class OptionParameters:
    """A row of option parameters."""

    req_id: int
    row: ParameterRow


@message(ANSWERS, 76)
class OptionParamsEnd(Numbered):
    """No further option parameters."""


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """One contract that resembles a text."""

    con_id: int
    symbol: str
    sec_type: str
    primary_exchange: str
    currency: str
    derivatives: tuple[str, ...]
    description: Annotated[str, OnWire(since=176)] = ""
    issuer_id: Annotated[str, OnWire(since=176)] = ""


@message(ANSWERS, 79)
class MatchingSymbols:
    """Contracts that resemble a text."""

    req_id: int
    rows: tuple[SymbolRow, ...]


@message(ANSWERS, 81)
class TickParams:
    """Tick size and exchange map of a subscription."""

    req_id: int
    min_tick: float
    bbo_exchange: str
    snapshot_permissions: int


@dataclass(frozen=True, slots=True)
class PriceStep:
    """Price increment from a price upwards."""

    low: float
    increment: float


@message(ANSWERS, 93)
class MarketRule:
    """Price increments of a rule."""

    rule_id: int
    steps: tuple[PriceStep, ...]


@message(ANSWERS, 107)
class UserInfo:
    """White branding of the login."""

    req_id: int
    branding: str = ""


@message(ANSWERS, 3)
class OrderStatus:
    """Where an order stands."""

    order_id: int
    status: str
    filled: float = 0.0
    remaining: float = 0.0
    average_price: float = 0.0
    perm_id: int = 0
    parent_id: int = 0
    last_price: float = 0.0
    client_id: int = 0
    why_held: str = ""
    market_cap_price: float = 0.0


@message(ANSWERS, 6, version="2")
class AccountValue:
    """One value of a subscribed account."""

    tag: str
    value: str
    currency: str
    account: str


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A contract as positions and executions describe it."""

    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    strike: float
    right: str
    multiplier: str
    exchange: str
    """Of a portfolio value: the primary one."""
    currency: str
    local_symbol: str
    trading_class: str


@message(ANSWERS, 7, version="8")
class PortfolioValue:
    """One position of a subscribed account, valued."""

    contract: ContractRow
    position: float
    price: float
    value: float
    average_cost: float
    unrealized: float
    realized: float
    account: str


@message(ANSWERS, 8, version="1")
class AccountTime:
    """When the account values were true, HH:MM."""

    time: str


@message(ANSWERS, 11)
class ExecutionData:
    """One execution."""

    req_id: int
    order_id: int
    contract: ContractRow
    exec_id: str
    time: str
    account: str
    executed_at: str
    """Where it was executed."""
    side: str
    """BOT or SLD."""
    shares: float
    price: float
    perm_id: int = 0
    client_id: int = 0
    liquidation: int = 0
    cumulative: float = 0.0
    average: float = 0.0
    reference: str = ""
    ev_rule: str = ""
    ev_multiplier: str = ""
    model_code: str = ""
    last_liquidity: int = 2
    price_pending: Annotated[bool, OnWire(since=178)] = False


@message(ANSWERS, 53, version="1")
class OpenOrderEnd:
    """No further open orders."""


@message(ANSWERS, 54, version="1")
class AccountDownloadEnd:
    """The first picture of an account is complete."""

    account: str


@message(ANSWERS, 55, version="1")
class ExecutionsEnd(Numbered):
    """No further executions."""


@message(ANSWERS, 59, version="1")
class CommissionReport:
    """What one execution cost; it carries no request id."""

    exec_id: str
    commission: float
    currency: str
    realized: float = UNSET
    """Unset for what only opened a position."""
    yield_: float = UNSET
    yield_day: str = ""


@message(ANSWERS, 61, version="3")
class PositionData:
    """One position."""

    account: str
    contract: ContractRow
    position: float
    average_cost: float


@message(ANSWERS, 62, version="1")
class PositionEnd:
    """No further positions for now."""


@message(ANSWERS, 63, version="1")
class SummaryValue:
    """One value of an account summary."""

    req_id: int
    account: str
    tag: str
    value: str
    currency: str


@message(ANSWERS, 64, version="1")
class SummaryEnd(Numbered):
    """The first picture of an account summary is complete."""


@message(ANSWERS, 71, version="1")
class PositionMulti:
    """One position of one account or model."""

    req_id: int
    account: str
    contract: ContractRow
    position: float
    average_cost: float
    model: str


@message(ANSWERS, 72, version="1")
class PositionMultiEnd(Numbered):
    """No further positions of that account."""


@message(ANSWERS, 73, version="1")
class AccountMulti:
    """One value of one account or model."""

    req_id: int
    account: str
    model: str
    tag: str
    value: str
    currency: str


@message(ANSWERS, 74, version="1")
class AccountMultiEnd(Numbered):
    """The first picture of that account is complete."""


@message(ANSWERS, 94)
class PnL:
    """Profit and loss of an account."""

    req_id: int
    daily: float = UNSET
    unrealized: float = 0.0
    realized: float = 0.0


@message(ANSWERS, 102)
class CompletedOrdersEnd:
    """No further completed orders."""


@message(ANSWERS, 19, version="1")
class ScannerParameters:
    """What scanners can look for."""

    xml: str


@message(ANSWERS, 50, version="3")
class RealTimeBar:
    """Five seconds of trading."""

    req_id: int
    epoch: int
    """When it began, seconds since 1970."""
    open: float
    high: float
    low: float
    close: float
    volume: int = -1
    average: float = -1.0
    count: int = -1


@dataclass(frozen=True, slots=True)
class SoftDollarTier:
    """One commission arrangement."""

    name: str
    value: str
    display_name: str


@message(ANSWERS, 77)
class SoftDollarTiers:
    """Commission arrangements of advisors; none for anybody else."""

    req_id: int
    tiers: tuple[SoftDollarTier, ...] = ()


@dataclass(frozen=True, slots=True)
class FamilyCode:
    """The family of one account; ``*`` is every account, no code is none."""

    account: str
    code: str


@message(ANSWERS, 78)
class FamilyCodes:
    """The families of the accounts of this login."""

    rows: tuple[FamilyCode, ...]


@dataclass(frozen=True, slots=True)
class DepthExchange:
    """An exchange that gives market depth."""

    exchange: str
    sec_type: str
    listing_exchange: str = ""
    service: str = "Deep"
    """Deep or Deep2."""
    aggregation_group: int = 2147483647
    """The largest whole number where there is none."""


@message(ANSWERS, 80)
class DepthExchanges:
    """The exchanges that give market depth."""

    rows: tuple[DepthExchange, ...]


@dataclass(frozen=True, slots=True)
class SmartComponent:
    """An exchange with its place in a bit mask and its letter in exchange ticks."""

    bit: int
    exchange: str
    letter: str


@message(ANSWERS, 82)
class SmartComponents:
    """What the letters of exchange ticks mean."""

    req_id: int
    rows: tuple[SmartComponent, ...]


@dataclass(frozen=True, slots=True)
class NewsProvider:
    """A provider of news."""

    code: str
    name: str


@message(ANSWERS, 85)
class NewsProviders:
    """The providers that this login may read."""

    rows: tuple[NewsProvider, ...]


@message(ANSWERS, 88)
class HeadTimestamp:
    """When a contract's history begins."""

    req_id: int
    time: str


@message(ANSWERS, 90)
class HistoricalUpdate:
    """The bar that is being made, of a request that is kept up to date."""

    req_id: int
    count: int
    day: str
    open: float
    close: float
    high: float
    low: float
    average: float
    volume: int


@message(ANSWERS, 95)
class PnLSingle:
    """Profit and loss of one position."""

    req_id: int
    position: float
    daily: float = UNSET
    unrealized: float = UNSET
    realized: float = UNSET
    value: float = UNSET


def _is_trade(so_far: dict[str, Any]) -> bool:
    return so_far["kind"] in (1, 2)


def _is_quote(so_far: dict[str, Any]) -> bool:
    return bool(so_far["kind"] == 3)


def _is_midpoint(so_far: dict[str, Any]) -> bool:
    return bool(so_far["kind"] == 4)


@message(ANSWERS, 99)
class TickByTick:
    """One trade (1: Last, 2: AllLast), quote (3) or midpoint (4)."""

    req_id: int
    kind: int
    epoch: int
    price: Annotated[float, OnWire(when=_is_trade)] = 0.0
    size: Annotated[int, OnWire(when=_is_trade)] = 0
    trade_mask: Annotated[int, OnWire(when=_is_trade)] = 0
    exchange: Annotated[str, OnWire(when=_is_trade)] = ""
    conditions: Annotated[str, OnWire(when=_is_trade)] = ""
    bid: Annotated[float, OnWire(when=_is_quote)] = 0.0
    ask: Annotated[float, OnWire(when=_is_quote)] = 0.0
    bid_size: Annotated[int, OnWire(when=_is_quote)] = 0
    ask_size: Annotated[int, OnWire(when=_is_quote)] = 0
    quote_mask: Annotated[int, OnWire(when=_is_quote)] = 0
    midpoint: Annotated[float, OnWire(when=_is_midpoint)] = 0.0
