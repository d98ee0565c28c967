"""What the gateway says of accounts, positions and orders, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tomic.wire.answers import ANSWERS
from tomic.wire.layout import UNSET, OnWire


@ANSWERS.message(3)
@dataclass(frozen=True, slots=True)
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


@ANSWERS.message(6, version="2")
@dataclass(frozen=True, slots=True)
class AccountValue:
    """One value of a subscribed account."""

    tag: str
    value: str
    currency: str
    account: str


@ANSWERS.message(7, version="8")
@dataclass(frozen=True, slots=True)
class PortfolioValue:
    """One position of a subscribed account, valued."""

    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    strike: float
    right: str
    multiplier: str
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    position: float
    price: float
    value: float
    average_cost: float
    unrealized: float
    realized: float
    account: str


@ANSWERS.message(8, version="1")
@dataclass(frozen=True, slots=True)
class AccountTime:
    """When the account values were true, HH:MM."""

    time: str


@ANSWERS.message(11)
@dataclass(frozen=True, slots=True)
class ExecutionData:
    """One execution."""

    req_id: int
    order_id: int
    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    strike: float
    right: str
    multiplier: str
    exchange: str
    currency: str
    local_symbol: str
    trading_class: str
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


@ANSWERS.message(53, version="1")
@dataclass(frozen=True, slots=True)
class OpenOrderEnd:
    """No further open orders."""


@ANSWERS.message(54, version="1")
@dataclass(frozen=True, slots=True)
class AccountDownloadEnd:
    """The first picture of an account is complete."""

    account: str


@ANSWERS.message(55, version="1")
@dataclass(frozen=True, slots=True)
class ExecutionsEnd:
    """No further executions."""

    req_id: int


@ANSWERS.message(59, version="1")
@dataclass(frozen=True, slots=True)
class CommissionReport:
    """What one execution cost; it carries no request id."""

    exec_id: str
    commission: float
    currency: str
    realized: float = UNSET
    """Unset for what only opened a position."""
    yield_: float = UNSET
    yield_day: str = ""


@ANSWERS.message(61, version="3")
@dataclass(frozen=True, slots=True)
class PositionData:
    """One position."""

    account: str
    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    strike: float
    right: str
    multiplier: str
    exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    position: float
    average_cost: float


@ANSWERS.message(62, version="1")
@dataclass(frozen=True, slots=True)
class PositionEnd:
    """No further positions for now."""


@ANSWERS.message(63, version="1")
@dataclass(frozen=True, slots=True)
class SummaryValue:
    """One value of an account summary."""

    req_id: int
    account: str
    tag: str
    value: str
    currency: str


@ANSWERS.message(64, version="1")
@dataclass(frozen=True, slots=True)
class SummaryEnd:
    """The first picture of an account summary is complete."""

    req_id: int


@ANSWERS.message(71, version="1")
@dataclass(frozen=True, slots=True)
class PositionMulti:
    """One position of one account or model."""

    req_id: int
    account: str
    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    strike: float
    right: str
    multiplier: str
    exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    position: float
    average_cost: float
    model: str


@ANSWERS.message(72, version="1")
@dataclass(frozen=True, slots=True)
class PositionMultiEnd:
    """No further positions of that account."""

    req_id: int


@ANSWERS.message(73, version="1")
@dataclass(frozen=True, slots=True)
class AccountMulti:
    """One value of one account or model."""

    req_id: int
    account: str
    model: str
    tag: str
    value: str
    currency: str


@ANSWERS.message(74, version="1")
@dataclass(frozen=True, slots=True)
class AccountMultiEnd:
    """The first picture of that account is complete."""

    req_id: int


@ANSWERS.message(94)
@dataclass(frozen=True, slots=True)
class PnL:
    """Profit and loss of an account."""

    req_id: int
    daily: float = UNSET
    unrealized: float = 0.0
    realized: float = 0.0


@ANSWERS.message(102)
@dataclass(frozen=True, slots=True)
class CompletedOrdersEnd:
    """No further completed orders."""
