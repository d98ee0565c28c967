"""
What a client can ask, as frozen dataclasses: the messages from client to gateway.

Each class is one message; the order of its fields is the order on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from tomic.wire.layout import MessageTable, Numbered, OnWire, message

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


@message(REQUESTS, 1, version="11")
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


@message(REQUESTS, 2, version="2")
class CancelMarketData(Numbered):
    """End of a stream."""


@message(REQUESTS, 4, version="1")
class CancelOrder:
    """Withdraw an order."""

    order_id: int
    time: Annotated[str, OnWire(since=169)] = ""


@message(REQUESTS, 5, version="1")
class ReqOpenOrders:
    """Open orders of this client."""


@message(REQUESTS, 6, version="2")
class ReqAccountUpdates:
    """Values and portfolio of one account."""

    subscribe: bool
    account: str = ""


@message(REQUESTS, 7, version="3")
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


@message(REQUESTS, 8, version="1")
class ReqIds:
    """The next valid order id."""

    count: int = 1


@message(REQUESTS, 9, version="8")
class ReqContractDetails:
    """Every contract that fits a description."""

    req_id: int
    contract: ContractSpec
    include_expired: bool = False
    sec_id_type: str = ""
    sec_id: str = ""
    issuer_id: Annotated[str, OnWire(since=176)] = ""


@message(REQUESTS, 14, version="1")
class SetLogLevel:
    """How much TWS logs."""

    level: int


@message(REQUESTS, 15, version="1")
class ReqAutoOpenOrders:
    """Bind manual orders to client 0."""

    bind: bool


@message(REQUESTS, 16, version="1")
class ReqAllOpenOrders:
    """Open orders of every client."""


@message(REQUESTS, 17, version="1")
class ReqManagedAccounts:
    """The accounts of this login."""


@message(REQUESTS, 20)
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


@message(REQUESTS, 25, version="1")
class CancelHistory(Numbered):
    """Stop a request for bars."""


@message(REQUESTS, 49, version="1")
class ReqCurrentTime:
    """The gateway's clock."""


@message(REQUESTS, 58, version="1")
class GlobalCancel:
    """Withdraw every order."""


@message(REQUESTS, 59, version="1")
class ReqMarketDataType:
    """Live (1), frozen (2), delayed (3) or delayed-frozen (4) from now on."""

    data_type: int


@message(REQUESTS, 61, version="1")
class ReqPositions:
    """Positions of every account."""


@message(REQUESTS, 62, version="1")
class ReqAccountSummary:
    """Chosen values of every account."""

    req_id: int
    group: str
    tags: str


@message(REQUESTS, 63, version="1")
class CancelAccountSummary(Numbered):
    """End of an account summary."""


@message(REQUESTS, 64, version="1")
class CancelPositions:
    """End of position updates."""


@message(REQUESTS, 71, version="2")
class StartApi:
    """The client's number; the first message after the handshake."""

    client_id: int
    capabilities: str = ""


@message(REQUESTS, 74, version="1")
class ReqPositionsMulti:
    """Positions of one account or model."""

    req_id: int
    account: str
    model: str = ""


@message(REQUESTS, 75, version="1")
class CancelPositionsMulti(Numbered):
    """End of position updates of one account."""


@message(REQUESTS, 76, version="1")
class ReqAccountUpdatesMulti:
    """Values of one account or model."""

    req_id: int
    account: str
    model: str = ""
    ledger: bool = False


@message(REQUESTS, 77, version="1")
class CancelAccountUpdatesMulti(Numbered):
    """End of account updates of one account."""


@message(REQUESTS, 78)
class ReqOptionParams:
    """Expiries and strikes of an underlying."""

    req_id: int
    symbol: str
    exchange: str
    sec_type: str
    con_id: int


@message(REQUESTS, 81)
class ReqMatchingSymbols:
    """Contracts whose symbol resembles a text."""

    req_id: int
    pattern: str


@message(REQUESTS, 91)
class ReqMarketRule:
    """Price increments."""

    rule_id: int


@message(REQUESTS, 92)
class ReqPnL:
    """Profit and loss of an account."""

    req_id: int
    account: str
    model: str = ""


@message(REQUESTS, 93)
class CancelPnL(Numbered):
    """End of profit and loss."""


@message(REQUESTS, 99)
class ReqCompletedOrders:
    """Orders that are done."""

    api_only: bool


@message(REQUESTS, 104)
class ReqUserInfo(Numbered):
    """White branding of the login."""


@message(REQUESTS, 24, version="1")
class ReqScannerParameters:
    """What scanners can look for, as XML."""


@message(REQUESTS, 50, version="3")
class ReqRealTimeBars:
    """Bars of five seconds, as they are made."""

    req_id: int
    contract: ContractSpec
    bar_size: int = 5
    what: str = "TRADES"
    regular_hours: bool = False
    options: str = ""


@message(REQUESTS, 51, version="1")
class CancelRealTimeBars(Numbered):
    """End of real-time bars."""


@message(REQUESTS, 54, version="3")
class ReqImpliedVolatility:
    """The volatility that a price of an option implies."""

    req_id: int
    contract: ContractSpec
    option_price: float
    under_price: float
    options: str = ""
    """Some clients write how many there are before them; none are ever served."""


@message(REQUESTS, 55, version="3")
class ReqOptionPrice:
    """The price of an option at a volatility."""

    req_id: int
    contract: ContractSpec
    volatility: float
    under_price: float
    options: str = ""
    """Some clients write how many there are before them; none are ever served."""


@message(REQUESTS, 56, version="1")
class CancelImpliedVolatility(Numbered):
    """End of a calculation of a volatility."""


@message(REQUESTS, 57, version="1")
class CancelOptionPrice(Numbered):
    """End of a calculation of a price."""


@message(REQUESTS, 79)
class ReqSoftDollarTiers(Numbered):
    """Commission arrangements of advisors."""


@message(REQUESTS, 80)
class ReqFamilyCodes:
    """The family of accounts that each account belongs to."""


@message(REQUESTS, 82)
class ReqDepthExchanges:
    """Exchanges that give market depth."""


@message(REQUESTS, 83)
class ReqSmartComponents:
    """The exchanges behind the letters of a best bid and offer."""

    req_id: int
    bbo_exchange: str


@message(REQUESTS, 85)
class ReqNewsProviders:
    """Providers of news that this login may read."""


@message(REQUESTS, 87)
class ReqHeadTimestamp:
    """The first moment of a contract's history."""

    req_id: int
    contract: ContractSpec
    include_expired: bool
    regular_hours: bool
    what: str
    date_format: int


@message(REQUESTS, 90)
class CancelHeadTimestamp(Numbered):
    """Stop a request for the beginning of a history."""


@message(REQUESTS, 94)
class ReqPnLSingle:
    """Profit and loss of one position."""

    req_id: int
    account: str
    model: str
    con_id: int


@message(REQUESTS, 95)
class CancelPnLSingle(Numbered):
    """End of profit and loss of one position."""


@message(REQUESTS, 97)
class ReqTickByTick:
    """Every trade or quote as it happens: Last, AllLast, BidAsk or MidPoint."""

    req_id: int
    contract: ContractSpec
    kind: str
    count: int = 0
    ignore_size: bool = False


@message(REQUESTS, 98)
class CancelTickByTick(Numbered):
    """End of tick-by-tick data."""


@message(REQUESTS, 100)
class ReqEventFilters(Numbered):
    """What Wall Street Horizon's calendar can be asked (wshMetaData)."""


@message(REQUESTS, 101)
class CancelEventFilters(Numbered):
    """Stop that question."""
