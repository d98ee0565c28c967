"""What the account of a simulated gateway holds and has traded, in words of the market."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from tomic.sim.market import Holding, Listing, MarketFill
from tomic.sim.market.model import ModelMarket
from tomic.wire.requests import ContractSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contract:
    """The shares of a symbol, or an option of it where expiry, strike and right are set."""

    expiry: dt.date | None = None
    """The last trading day."""
    strike: float = 0.0
    right: str = ""
    """``C`` or ``P``."""
    trading_class: str = ""
    """Needed where an index lists two classes for one day, such as SPX and SPXW."""


@dataclass(frozen=True, slots=True)
class Position(_Contract):
    """
    A position of a simulated account.

    >>> Position("SPY", 100, average_cost=550.0)
    >>> Position("SPY", -1, expiry=date(2026, 12, 18), strike=580, right="P", average_cost=320.0)

    Args:
        symbol: The underlying's.
        quantity: Signed: long or short.
        average_cost: As IB reports it: currency per share, with the multiplier for an option. None
            takes the present fair value.
        account: Whose it is; empty for the first account.
    """

    symbol: str
    quantity: float
    average_cost: float | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Execution(_Contract):
    """
    A trade of the day, as ``reqExecutions`` reports it.

    Args:
        symbol: The underlying's.
        quantity: Signed: bought or sold.
        price: Currency per share.
        at: When, aware; None is an hour before the market's start.
        commission: In the contract's currency, a cost is positive; None sends no report of it.
        realized: Profit that closed with it, in the contract's currency; None sends none.
        account: Whose it is; empty for the first account.
        exec_id: Empty for one of our own; what follows its last dot counts corrections.
    """

    symbol: str
    quantity: float
    price: float
    at: dt.datetime | None = None
    commission: float | None = None
    realized: float | None = None
    account: str = ""
    exec_id: str = ""
    order_id: int = 0
    perm_id: int = 0
    client_id: int = 0


def holdings(
    market: ModelMarket, positions: Sequence[Position], accounts: Sequence[str]
) -> list[Holding]:
    """
    Positions by contract id.

    Raises:
        ValueError: The market lists no such contract, or several; an account is not one of these.
    """
    return [
        Holding(
            _account(position.account, accounts),
            (listing := _listing(market, position)).con_id,
            position.quantity,
            _cost(market, listing) if position.average_cost is None else position.average_cost,
        )
        for position in positions
    ]


def fills(
    market: ModelMarket, executions: Sequence[Execution], accounts: Sequence[str]
) -> list[MarketFill]:
    """
    Executions by contract id, numbered in their order.

    Raises:
        ValueError: As for positions, or a time has no zone.
    """
    return [
        MarketFill(
            execution.exec_id or f"0000e215.7e571000.{number:02}.01",
            _account(execution.account, accounts),
            _moment(execution, market.start),
            execution.quantity,
            execution.price,
            _listing(market, execution).con_id,
            order_id=execution.order_id,
            perm_id=execution.perm_id,
            client_id=execution.client_id,
            commission=execution.commission,
            realized=execution.realized,
        )
        for number, execution in enumerate(executions, start=1)
    ]


def _account(name: str, accounts: Sequence[str]) -> str:
    if name and name not in accounts:
        raise ValueError(f"no account {name!r}; this login has {', '.join(accounts)}")
    return name or accounts[0]


def _moment(execution: Execution, start: dt.datetime) -> dt.datetime:
    moment = execution.at or start - dt.timedelta(hours=1)
    if moment.tzinfo is None:
        raise ValueError(f"the time of an execution needs a zone, got {moment}")
    return moment


def _listing(market: ModelMarket, wanted: Position | Execution) -> Listing:
    is_option = any((wanted.expiry, wanted.strike, wanted.right))
    if is_option and not all((wanted.expiry, wanted.strike, wanted.right in ("C", "P"))):
        raise ValueError(f"{wanted.symbol}: an option has an expiry, a strike and a right C or P")
    spec = ContractSpec(
        symbol=wanted.symbol,
        sec_type="OPT" if is_option else "STK",
        expiry=f"{wanted.expiry:%Y%m%d}" if wanted.expiry else "",
        strike=wanted.strike,
        right=wanted.right,
        exchange="SMART",
        trading_class=wanted.trading_class,
    )
    listed = _usual(market.find(spec), wanted.symbol)
    if not listed:
        raise ValueError(f"this market lists no {_named(wanted)}")
    if len(listed) > 1:
        classes = ", ".join(sorted({listing.trading_class for listing in listed}))
        raise ValueError(f"{_named(wanted)} is listed as {classes}; name its trading_class")
    return listed[0]


def _usual(listed: Sequence[Listing], symbol: str) -> Sequence[Listing]:
    """What is meant where a contract is listed several times: in dollars, of the class so named."""
    in_dollars = [listing for listing in listed if listing.currency == "USD"] or listed
    own = symbol.replace(" ", "")
    return [listing for listing in in_dollars if listing.trading_class == own] or in_dollars


def _named(wanted: Position | Execution) -> str:
    expiry = f"{wanted.expiry}" if wanted.expiry else ""
    strike = f"{wanted.strike:g}{wanted.right}" if wanted.strike else ""
    of_class = f"of class {wanted.trading_class}" if wanted.trading_class else ""
    return " ".join(filter(None, (wanted.symbol, expiry, strike, of_class)))


def _cost(market: ModelMarket, listing: Listing) -> float:
    return round(market.board.fair(listing.con_id) * float(listing.multiplier or 1), 4)
