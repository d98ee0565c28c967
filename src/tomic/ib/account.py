"""
The account: positions, values, executions, and the margin of a trade that is only considered.

A question that gets no whole answer is an error, never an empty account. The what-if question is
the only order message in the program: TWS computes what an order would change and throws it away.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import ib_async

from tomic import dates
from tomic.config import MarketSettings
from tomic.errors import DataError, GatewayRefused, InvalidSymbol, RequestTimeout, UsageError
from tomic.ib import contracts, convert
from tomic.ib.pacing import Priority
from tomic.ib.session import Session
from tomic.journal.executions import Executed
from tomic.models import Underlying, normalize_symbol
from tomic.models.book import AccountSummary, Position
from tomic.models.journal import Contract
from tomic.models.review import WhatIfMargin

_MONEY_TAGS = {
    "NetLiquidation": "net_liquidation",
    "TotalCashValue": "cash",
    "InitMarginReq": "initial_margin",
    "MaintMarginReq": "maintenance_margin",
    "ExcessLiquidity": "excess_liquidity",
    "AvailableFunds": "available_funds",
    "BuyingPower": "buying_power",
    "GrossPositionValue": "gross_position_value",
    "Cushion": "cushion",
}
_LEDGER = "$LEDGER:ALL"
_TAGS = ",".join((*_MONEY_TAGS, _LEDGER))
_BASE = "BASE"
"""How IB writes the base currency in its ledger, beside the row of that currency itself."""
_READ_ONLY = 321

_KINDS = ("STK", "OPT")
_COMMISSIONS_S, _LOOK_S = 2.0, 0.05
"""How long the reports of commissions may take after the last execution."""
_Reported = tuple[ib_async.Contract, ib_async.Execution]


# -- positions -----------------------------------------------------------------------------


async def positions(session: Session, *, timeout_s: float) -> tuple[Position, ...]:
    """
    Every line of every account of this login, also those of quantity 0.

    Raises:
        RequestTimeout: The list did not end in time; it may be longer than what arrived.
        SessionLost: The connection went away.
    """
    used: list[ib_async.Client] = []

    def send(client: ib_async.Client) -> None:
        used.append(client)
        client.reqPositions()

    try:
        rows = await session.ask_named("positions", send, timeout_s=timeout_s)
    finally:
        for client in used:
            _afterwards(session, client.cancelPositions)
    return tuple(to_position(*row) for row in rows)


def to_position(
    account: str, contract: ib_async.Contract, quantity: float, average_cost: float
) -> Position:
    """
    One line as IB sends it. Its average cost holds the multiplier; ours is per share.

    A contract that cannot be read keeps its kind and its local symbol, so that it can be named.
    """
    is_option = contract.secType == "OPT"
    multiplier = _number(contract.multiplier, floor=0.0) or (100.0 if is_option else 1.0)
    cost = convert.number_or_none(float(average_cost))
    right = contract.right[:1].upper() if contract.right else ""
    return Position(
        account=account,
        symbol=contract.symbol.strip().upper().replace(" ", "."),
        sec_type=contract.secType,
        quantity=float(quantity),
        average_cost=None if cost is None else cost / multiplier,
        con_id=contract.conId or None,
        currency=contract.currency or "USD",
        right=("C" if right == "C" else "P") if is_option and right in ("C", "P") else None,
        strike=float(contract.strike) if is_option and contract.strike else None,
        expiry=_expiry(contract) if is_option else None,
        multiplier=multiplier,
        trading_class=contract.tradingClass if is_option else "",
        local_symbol=contract.localSymbol,
    )


def _expiry(contract: ib_async.Contract) -> dt.date | None:
    try:
        return convert.expiry_of(contract)
    except DataError:
        return None


def leg_contract(position: Position) -> ib_async.Contract:
    """The contract of a position, to ask market data for: by its id where that is known."""
    if position.con_id:
        return convert.known_contract(
            position.con_id,
            position.sec_type,
            position.symbol,
            position.currency,
            position.right or "",
        )
    return ib_async.Contract(
        secType=position.sec_type,
        symbol=convert.wire_symbol(position.symbol),
        lastTradeDateOrContractMonth=dates.format_expiry(position.expiry)
        if position.expiry
        else "",
        strike=position.strike or 0.0,
        right=position.right or "",
        multiplier=f"{position.multiplier:g}" if position.is_option else "",
        exchange="SMART",
        currency=position.currency,
        tradingClass=position.trading_class,
    )


async def underlying_of(
    session: Session, position: Position, market: MarketSettings, *, timeout_s: float
) -> Underlying:
    """
    The stock, fund or index behind a position; asked once per symbol and currency.

    Raises:
        UnknownContract, RequestTimeout, SessionLost: As `contracts.resolve_underlying`.
    """
    if position.currency == "USD":
        return await contracts.resolve_underlying(
            session, position.symbol, market, timeout_s=timeout_s
        )
    key = ("underlying", position.symbol, position.currency)
    known = session.cache.get(key)
    if isinstance(known, Underlying):
        return known
    details = await details_of(
        session, leg_contract(position), position.contract, timeout_s=timeout_s
    )
    if position.is_option:
        bare = ib_async.Contract(conId=details.underConId, exchange="SMART")
        details = await details_of(session, bare, position.symbol, timeout_s=timeout_s)
    underlying = convert.to_underlying(details, position.symbol)
    session.cache[key] = underlying
    return underlying


async def details_of(
    session: Session, contract: ib_async.Contract, what: str, *, timeout_s: float
) -> ib_async.ContractDetails:
    """
    The details of one contract; *what* names it in messages.

    Raises:
        UnknownContract, RequestTimeout, SessionLost: No answer, or none such.
        DataError: An empty answer.
    """
    rows = await contracts.details(session, f"contract details of {what}", contract, timeout_s)
    if not rows:
        raise DataError(f"IB gave no contract details of {what}")
    return rows[0]


# -- values --------------------------------------------------------------------------------


async def summaries(session: Session, *, timeout_s: float) -> tuple[AccountSummary, ...]:
    """
    Values of every account of this login, with the exchange rates that IB itself uses.

    Raises:
        RequestTimeout: The answer did not end in time.
        DataError: It ended without naming an account.
        SessionLost: The connection went away.
    """
    sent: list[tuple[ib_async.Client, int]] = []

    def send(client: ib_async.Client, req_id: int) -> None:
        sent.append((client, req_id))
        client.reqAccountSummary(req_id, "All", _TAGS)

    try:
        rows = await session.ask("account values", send, timeout_s=timeout_s)
    finally:
        # It is a subscription, and IB allows two of them.
        for client, req_id in sent:
            _afterwards(session, partial(client.cancelAccountSummary, req_id))
    summaries = to_summaries(rows)
    if not summaries:
        raise DataError("the gateway named no account; is TWS still logging in?")
    return summaries


def to_summaries(rows: Sequence[tuple[str, str, str, str]]) -> tuple[AccountSummary, ...]:
    """Rows of account, tag, value and currency as one summary per account, by name."""
    fields: dict[str, dict[str, Any]] = {}
    for account, tag, text, currency in rows:
        value = _number(text)
        empty: dict[str, Any] = {"account": account, "cash_by_currency": {}, "rates": {}}
        summary = fields.setdefault(account, empty)
        if value is None:
            continue
        if tag in _MONEY_TAGS:
            summary[_MONEY_TAGS[tag]] = value
            if tag == "NetLiquidation" and currency:
                summary["currency"] = currency
        elif tag == "ExchangeRate" and currency not in ("", _BASE):
            summary["rates"][currency] = value
        elif tag in ("CashBalance", "TotalCashBalance") and currency not in ("", _BASE):
            summary["cash_by_currency"][currency] = value
    return tuple(AccountSummary(**fields[name]) for name in sorted(fields))


def _number(text: str, floor: float = -math.inf) -> float | None:
    try:
        return convert.number_or_none(float(text), floor)
    except ValueError:
        return None


def _afterwards(session: Session, message: Callable[[], None]) -> None:
    """
    Post a message that nobody waits for; a connection that is gone needs no cancel.

    Before any later question, because that may be the same one, and IB counts the open ones.
    """
    if session.alive:
        session.limits.pacer.post(message, Priority.URGENT)


# -- executions ----------------------------------------------------------------------------


async def executions(session: Session, *, timeout_s: float) -> tuple[tuple[Executed, ...], int]:
    """
    Executions that the gateway still knows (those of the day, or of the week in TWS).

    Of an execution that was corrected only the correction counts. Commissions are reported apart,
    and not to every client: where none comes within two seconds they are unknown. A row without
    sense is named in the session's notes. Safe to cancel.

    Returns:
        The executions of stocks and options, and how many others were left out.

    Raises:
        RequestTimeout, SessionLost: No whole answer.
        UnreadableAnswer: One of the executions could not be read, such as the zone of its time.

    Source: TWS API, "Executions and Commissions".
    """
    rows = _corrected(await _reported(session, timeout_s))
    executed: list[Executed] = []
    for contract, execution in rows:
        trade = to_executed(contract, execution)
        if trade is not None:
            executed.append(trade)
        elif contract.secType in _KINDS:
            session.note(
                f"execution {execution.execId} of {contract.symbol} left out: "
                f"{execution.shares:g} at {execution.price:g} of {_named(contract)} makes no sense"
            )
    await _wait_for_commissions(session, {trade.exec_id for trade in executed})
    currencies = {execution.execId: contract.currency for contract, execution in rows}
    kept = tuple(
        replace(trade, commission=_commission(session, trade.exec_id, currencies[trade.exec_id]))
        for trade in executed
    )
    return kept, len(rows) - len(kept)


async def _reported(session: Session, timeout_s: float) -> list[_Reported]:
    """What the gateway reports; some leave a question that names no account unanswered."""

    async def ask(account: str = "") -> list[_Reported]:
        wanted = ib_async.ExecutionFilter(acctCode=account)
        return await session.ask(
            "executions",
            lambda client, req_id: client.reqExecutions(req_id, wanted),
            timeout_s=timeout_s,
        )

    try:
        try:
            return await ask()
        except RequestTimeout:
            if not session.accounts:
                raise
        session.note("TWS did not answer the question for all executions; asked by account")
        return [row for account in session.accounts for row in await ask(account)]
    except RequestTimeout as exc:
        raise RequestTimeout(
            "executions",
            timeout_s,
            hint="TWS is known to leave this question unanswered at times, also by account: "
            "restart TWS, or import an activity statement or Flex query (tomic journal import "
            "FILE)",
        ) from exc


def _corrected(rows: Iterable[_Reported]) -> list[_Reported]:
    """Each execution once: a correction has the id of the first, but for what its last dot ends."""
    last: dict[str, _Reported] = {}
    for contract, execution in rows:
        name, dot, number = execution.execId.rpartition(".")
        key = name if dot and number.isdecimal() else execution.execId
        before = last.get(key)
        if before is None or _correction(before[1].execId) <= _correction(execution.execId):
            last[key] = (contract, execution)
    return list(last.values())


def _correction(exec_id: str) -> int:
    number = exec_id.rpartition(".")[2]
    return int(number) if number.isdecimal() else 0


async def _wait_for_commissions(session: Session, exec_ids: Collection[str]) -> None:
    until = asyncio.get_running_loop().time() + _COMMISSIONS_S
    while set(exec_ids) - session.commissions.keys():
        if asyncio.get_running_loop().time() >= until or not session.alive:
            return
        await asyncio.sleep(_LOOK_S)


def _commission(session: Session, exec_id: str, currency: str) -> float | None:
    """The cost of one execution in the currency of its price, None where it is not known so."""
    report = session.commissions.get(exec_id)
    if report is None or report.currency not in ("", currency):
        return None
    return convert.number_or_none(report.commission)


def to_executed(contract: ib_async.Contract, execution: ib_async.Execution) -> Executed | None:
    """One execution as ours; None for anything but stocks and options, or a row without sense."""
    if contract.secType not in _KINDS:
        return None
    size = float(execution.shares)
    if not size > 0.0 or not math.isfinite(execution.price) or execution.price < 0.0:
        return None
    try:
        symbol = normalize_symbol(contract.symbol.replace(" ", "."))
        own = _own_contract(contract)
    except (DataError, InvalidSymbol, ValueError):
        return None
    return Executed(
        exec_id=execution.execId,
        at=_utc(execution.time),
        symbol=symbol,
        contract=own,
        quantity=size if execution.side.upper().startswith("B") else -size,
        price=float(execution.price),
        order=str(execution.permId or ""),
    )


def _named(contract: ib_async.Contract) -> str:
    parts = (contract.secType, contract.localSymbol or contract.symbol)
    return " ".join(part for part in parts if part)


def _own_contract(contract: ib_async.Contract) -> Contract:
    if contract.secType == "STK":
        return Contract(multiplier=1, con_id=contract.conId or None)
    return Contract(
        **convert.to_pair(contract)._asdict(),
        multiplier=int(float(contract.multiplier or 100)),
        con_id=contract.conId or None,
        trading_class=contract.tradingClass,
    )


def _utc(time: dt.datetime) -> dt.datetime:
    """Our decoder gives an aware time; one without a zone is that of New York."""
    return time if time.tzinfo is not None else time.replace(tzinfo=dates.NEW_YORK)


# -- the what-if question ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderLeg:
    """One leg of a combination: signed contracts, or shares; *name* as people write it."""

    contract: ib_async.Contract
    quantity: float
    name: str


async def what_if(
    session: Session, legs: Sequence[OrderLeg], *, account: str, timeout_s: float
) -> WhatIfMargin:
    """
    Ask what a trade would change in the margin of *account*: all legs as one combination.

    Nothing is traded: the order carries IB's what-if flag, with which TWS computes the margin and
    drops the order. The margins of its legs one by one would add up to more than the trade needs.

    Raises:
        UsageError: No legs, a leg without contract id, or quantities that are not whole.
        GatewayRefused: The gateway refuses the order, as TWS does in read-only mode.
        RequestTimeout: No margins came.
        SessionLost: The connection went away.
    """
    contract, action, count = combination(legs)
    order = ib_async.Order(
        action=action, totalQuantity=count, orderType="MKT", account=account, tif="DAY", whatIf=True
    )

    def send(client: ib_async.Client, req_id: int) -> None:
        if not order.whatIf:
            raise AssertionError("an order without its what-if flag must never leave")
        client.placeOrder(req_id, contract, order)

    text = describe(legs)
    try:
        states = await session.ask(
            f"what-if margin of {text}",
            send,
            timeout_s=timeout_s,
            # TWS warns (399, 404, 10349) and computes the margins all the same.
            patient=True,
        )
    except GatewayRefused as exc:
        raise _refused(exc, text) from exc
    return _to_margin(states[-1], account, text)


def combination(legs: Sequence[OrderLeg]) -> tuple[ib_async.Contract, str, float]:
    """
    The one contract, its side, and how many of it, that hold all *legs*.

    One leg is its own contract. Several are a combination (``BAG``) that is bought, with the legs'
    ratios in lowest terms.

    Raises:
        UsageError: No legs, a leg without contract id, or quantities that are not whole.
    """
    if not legs:
        raise UsageError("no legs to ask the margin of")
    for leg in legs:
        if not leg.contract.conId:
            raise UsageError(f"{leg.contract.symbol}: the gateway gave no contract id")
        if not float(leg.quantity).is_integer() or leg.quantity == 0.0:
            raise UsageError(f"{leg.contract.symbol}: {leg.quantity:g} is no whole number of legs")
    first = legs[0].contract
    if len(legs) == 1:
        return first, _side(legs[0].quantity), abs(legs[0].quantity)
    count = reduce(math.gcd, (abs(int(leg.quantity)) for leg in legs))
    parts = [
        ib_async.ComboLeg(
            conId=leg.contract.conId,
            ratio=abs(int(leg.quantity)) // count,
            action=_side(leg.quantity),
            exchange="SMART",
        )
        for leg in legs
    ]
    bag = ib_async.Contract(
        secType="BAG",
        symbol=first.symbol,
        exchange="SMART",
        currency=first.currency,
        comboLegs=parts,
    )
    return bag, "BUY", float(count)


def describe(legs: Sequence[OrderLeg]) -> str:
    """The legs as people write them."""
    return ", ".join(f"{leg.quantity:+g} {leg.name}" for leg in legs)


def _side(quantity: float) -> str:
    return "BUY" if quantity > 0.0 else "SELL"


def _refused(error: GatewayRefused, text: str) -> GatewayRefused:
    read_only = error.error_code == _READ_ONLY and "read-only" in error.text.lower()
    hint = ""
    if read_only:
        hint = (
            "TWS is in read-only mode, which refuses what-if orders as well; for the broker's own "
            "margin clear Configure > API > Settings > Read-Only API, or leave out --ib-margin"
        )
    return GatewayRefused(f"what-if margin of {text}", error.error_code, error.text, hint=hint)


def _to_margin(state: ib_async.OrderState, account: str, text: str) -> WhatIfMargin:
    return WhatIfMargin(
        account=account,
        order=text,
        initial_before=_number(state.initMarginBefore),
        initial_change=_number(state.initMarginChange),
        initial_after=_number(state.initMarginAfter),
        maintenance_change=_number(state.maintMarginChange),
        maintenance_after=_number(state.maintMarginAfter),
        equity_change=_number(state.equityWithLoanChange),
        commission=convert.number_or_none(float(state.commission)),
        currency=state.commissionCurrency,
        warning=state.warningText,
    )
