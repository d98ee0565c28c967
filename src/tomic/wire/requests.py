"""
What a client can ask, as frozen dataclasses: the messages from client to gateway.

Each class is one message; the order of its fields is the order on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from tomic.wire.layout import MessageTable, OnWire

REQUESTS = MessageTable()


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """A contract as a request describes it; zero and empty are open."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: float = 0.0
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


@dataclass(frozen=True, slots=True)
class ComboLeg:
    """One leg of a combination in a data request."""

    con_id: int
    ratio: int
    action: str
    exchange: str


@dataclass(frozen=True, slots=True)
class DeltaNeutral:
    """The hedge that a delta-neutral combination names."""

    con_id: int
    delta: float
    price: float


def _is_bag(so_far: dict[str, Any]) -> bool:
    return bool(so_far["contract"].sec_type == "BAG")


def _has_hedge(so_far: dict[str, Any]) -> bool:
    return bool(so_far["delta_neutral"])


@REQUESTS.message(1, version="11")
@dataclass(frozen=True, slots=True)
class ReqMarketData:
    """Stream or snapshot of one contract."""

    req_id: int
    contract: ContractSpec
    legs: Annotated[tuple[ComboLeg, ...], OnWire(when=_is_bag)] = ()
    delta_neutral: bool = False
    hedge: Annotated[DeltaNeutral | None, OnWire(when=_has_hedge)] = None
    generic_ticks: str = ""
    snapshot: bool = False
    regulatory: bool = False
    options: str = ""


@REQUESTS.message(2, version="2")
@dataclass(frozen=True, slots=True)
class CancelMarketData:
    """End of a stream."""

    req_id: int


@REQUESTS.message(4, version="1")
@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Withdraw an order."""

    order_id: int
    time: Annotated[str, OnWire(since=169)] = ""


@REQUESTS.message(5, version="1")
@dataclass(frozen=True, slots=True)
class ReqOpenOrders:
    """Open orders of this client."""


@REQUESTS.message(6, version="2")
@dataclass(frozen=True, slots=True)
class ReqAccountUpdates:
    """Values and portfolio of one account."""

    subscribe: bool
    account: str = ""


@REQUESTS.message(7, version="3")
@dataclass(frozen=True, slots=True)
class ReqExecutions:
    """Today's executions."""

    req_id: int
    client_id: int = 0
    account: str = ""
    time: str = ""
    symbol: str = ""
    sec_type: str = ""
    exchange: str = ""
    side: str = ""


@REQUESTS.message(8, version="1")
@dataclass(frozen=True, slots=True)
class ReqIds:
    """The next valid order id."""

    count: int = 1


@REQUESTS.message(9, version="8")
@dataclass(frozen=True, slots=True)
class ReqContractDetails:
    """Every contract that fits a description."""

    req_id: int
    contract: ContractSpec
    include_expired: bool = False
    sec_id_type: str = ""
    sec_id: str = ""
    issuer_id: Annotated[str, OnWire(since=176)] = ""


@REQUESTS.message(14, version="1")
@dataclass(frozen=True, slots=True)
class SetLogLevel:
    """How much TWS logs."""

    level: int


@REQUESTS.message(15, version="1")
@dataclass(frozen=True, slots=True)
class ReqAutoOpenOrders:
    """Bind manual orders to client 0."""

    bind: bool


@REQUESTS.message(16, version="1")
@dataclass(frozen=True, slots=True)
class ReqAllOpenOrders:
    """Open orders of every client."""


@REQUESTS.message(17, version="1")
@dataclass(frozen=True, slots=True)
class ReqManagedAccounts:
    """The accounts of this login."""


@REQUESTS.message(20)
@dataclass(frozen=True, slots=True)
class ReqHistory:
    """Historical bars."""

    req_id: int
    contract: ContractSpec
    include_expired: bool
    end: str
    bar_size: str
    duration: str
    regular_hours: bool
    what: str
    date_format: int
    legs: Annotated[tuple[ComboLeg, ...], OnWire(when=_is_bag)] = ()
    keep_up_to_date: bool = False
    options: str = ""


@REQUESTS.message(25, version="1")
@dataclass(frozen=True, slots=True)
class CancelHistory:
    """Stop a request for bars."""

    req_id: int


@REQUESTS.message(49, version="1")
@dataclass(frozen=True, slots=True)
class ReqCurrentTime:
    """The gateway's clock."""


@REQUESTS.message(58, version="1")
@dataclass(frozen=True, slots=True)
class GlobalCancel:
    """Withdraw every order."""


@REQUESTS.message(59, version="1")
@dataclass(frozen=True, slots=True)
class ReqMarketDataType:
    """Live (1), frozen (2), delayed (3) or delayed-frozen (4) from now on."""

    data_type: int


@REQUESTS.message(61, version="1")
@dataclass(frozen=True, slots=True)
class ReqPositions:
    """Positions of every account."""


@REQUESTS.message(62, version="1")
@dataclass(frozen=True, slots=True)
class ReqAccountSummary:
    """Chosen values of every account."""

    req_id: int
    group: str
    tags: str


@REQUESTS.message(63, version="1")
@dataclass(frozen=True, slots=True)
class CancelAccountSummary:
    """End of an account summary."""

    req_id: int


@REQUESTS.message(64, version="1")
@dataclass(frozen=True, slots=True)
class CancelPositions:
    """End of position updates."""


@REQUESTS.message(71, version="2")
@dataclass(frozen=True, slots=True)
class StartApi:
    """The client's number; the first message after the handshake."""

    client_id: int
    capabilities: str = ""


@REQUESTS.message(74, version="1")
@dataclass(frozen=True, slots=True)
class ReqPositionsMulti:
    """Positions of one account or model."""

    req_id: int
    account: str
    model: str = ""


@REQUESTS.message(75, version="1")
@dataclass(frozen=True, slots=True)
class CancelPositionsMulti:
    """End of position updates of one account."""

    req_id: int


@REQUESTS.message(76, version="1")
@dataclass(frozen=True, slots=True)
class ReqAccountUpdatesMulti:
    """Values of one account or model."""

    req_id: int
    account: str
    model: str = ""
    ledger: bool = False


@REQUESTS.message(77, version="1")
@dataclass(frozen=True, slots=True)
class CancelAccountUpdatesMulti:
    """End of account updates of one account."""

    req_id: int


@REQUESTS.message(78)
@dataclass(frozen=True, slots=True)
class ReqOptionParams:
    """Expiries and strikes of an underlying."""

    req_id: int
    symbol: str
    exchange: str
    sec_type: str
    con_id: int


@REQUESTS.message(81)
@dataclass(frozen=True, slots=True)
class ReqMatchingSymbols:
    """Contracts whose symbol resembles a text."""

    req_id: int
    pattern: str


@REQUESTS.message(91)
@dataclass(frozen=True, slots=True)
class ReqMarketRule:
    """Price increments."""

    rule_id: int


@REQUESTS.message(92)
@dataclass(frozen=True, slots=True)
class ReqPnL:
    """Profit and loss of an account."""

    req_id: int
    account: str
    model: str = ""


@REQUESTS.message(93)
@dataclass(frozen=True, slots=True)
class CancelPnL:
    """End of profit and loss."""

    req_id: int


@REQUESTS.message(99)
@dataclass(frozen=True, slots=True)
class ReqCompletedOrders:
    """Orders that are done."""

    api_only: bool


@REQUESTS.message(104)
@dataclass(frozen=True, slots=True)
class ReqUserInfo:
    """White branding of the login."""

    req_id: int
