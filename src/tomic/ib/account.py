"""
The account: positions, values, executions, and the margin of a trade that is only considered.

A question that gets no whole answer is an error, never an empty account. The what-if question is
the only order message in the program: TWS computes what an order would change and throws it away.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
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
from tomic.journal.executions import Executed, Source
from tomic.models import Underlying, major_currency, normalize_symbol, split_symbol
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
_WORTH = "NetLiquidation"
_OF_THE_LOGIN = frozenset({"", "All"})
"""How IB names the account of rows that are those of all accounts together."""
_BASE = "BASE"
"""How IB writes the base currency in its ledger, beside the row of that currency itself."""
_READ_ONLY = 321

_MOST_HELD = 1e9
"""Shares or contracts."""
_ODD = "?"
_NO_TICKER = re.compile(r"[^A-Z0-9.-]|^[.-]", re.ASCII)
_LONGEST_SYMBOL = 24
_KINDS = ("STK", "OPT")
_READ_KINDS = (*_KINDS, "FOP")
"""Kinds of executions that are read; those of futures options belong to no entry, and are named."""
_OPTIONS = ("OPT", "FOP")
_AMERICAN = "USD"
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
    return tuple(_sound(session, rows))


def _sound(
    session: Session, rows: Iterable[tuple[str, ib_async.Contract, float, float]]
) -> Iterator[Position]:
    """The rows that can be positions; of the others, and of odd symbols, a note."""
    for row in rows:
        position = to_position(*row)
        if not abs(position.quantity) <= _MOST_HELD:
            session.note(
                f"a position of {position.quantity:g} {position.contract} left out: no account "
                "holds so many"
            )
            continue
        if _ODD in position.symbol:
            session.note(
                f"position {position.contract}: {row[1].symbol!r} is not a ticker symbol; it is "
                "known by its contract id alone"
            )
        yield position


def to_position(
    account: str, contract: ib_async.Contract, quantity: float, average_cost: float
) -> Position:
    """
    One line as IB sends it. Its average cost holds the multiplier; ours is per share.

    A contract that cannot be read keeps its kind and its local symbol, so that it can be named;
    what no ticker symbol has is written as a question mark.
    """
    size = _number(contract.multiplier, floor=0.0)
    # An option whose size is not told cannot be valued, and its cost not be read.
    sizeless = contract.secType in _OPTIONS and size is None
    is_option = contract.secType in _OPTIONS and not sizeless
    multiplier = size or 1.0
    cost = None if sizeless else convert.number_or_none(float(average_cost))
    right, strike = contract.right[:1].upper(), float(contract.strike)
    return Position(
        account=account,
        symbol=_ticker(contract.symbol),
        sec_type=contract.secType,
        quantity=float(quantity),
        average_cost=None if cost is None else cost / multiplier,
        con_id=contract.conId or None,
        currency=contract.currency,
        right=("C" if right == "C" else "P") if is_option and right in ("C", "P") else None,
        strike=strike if is_option and convert.is_strike(strike) else None,
        expiry=_expiry(contract) if is_option else None,
        multiplier=multiplier,
        trading_class=contract.tradingClass if is_option else "",
        local_symbol=contract.localSymbol,
    )


def _ticker(symbol: str) -> str:
    """A symbol as typed ones are checked; every sign that none of them has is replaced."""
    ticker = symbol.strip().upper().replace(" ", ".")
    try:
        return normalize_symbol(ticker)
    except InvalidSymbol:
        return _NO_TICKER.sub(_ODD, ticker[:_LONGEST_SYMBOL])


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
            position.exchange or "SMART",
            position.right or "",
        )
    return ib_async.Contract(
        secType=position.sec_type,
        symbol=convert.wire_symbol(split_symbol(position.symbol)[0]),
        lastTradeDateOrContractMonth=dates.format_expiry(position.expiry)
        if position.expiry
        else "",
        strike=position.strike or 0.0,
        right=position.right or "",
        multiplier=f"{position.multiplier:g}" if position.is_option else "",
        exchange=position.exchange or "SMART",
        currency=major_currency(position.currency)[0],
        tradingClass=position.trading_class,
    )


async def underlying_of(
    session: Session, position: Position, market: MarketSettings, *, timeout_s: float
) -> Underlying:
    """
    The stock, fund, index or future behind a position that is `named`; asked once per symbol.

    Raises:
        UnknownContract, RequestTimeout, SessionLost: As `contracts.resolve_underlying`.
    """
    return await contracts.resolve_underlying(session, position.symbol, market, timeout_s=timeout_s)


async def named(
    session: Session, positions: Sequence[Position], market: MarketSettings, *, timeout_s: float
) -> tuple[Position, ...]:
    """
    *positions*, those of other markets under the name of their listing: ASML in euros is ASML@AEB.

    IB lists a position without its exchange, and with a symbol that other listings share; its id
    tells both. What is quoted in pence has its cost in pence as well. One whose id tells nothing is
    named after its currency (``ASML@EUR``), so that it is never taken for the American share.
    """
    abroad = [
        position
        for position in positions
        if position.sec_type in ("STK", *_OPTIONS)
        and (position.currency != _AMERICAN or position.sec_type == "FOP")
    ]

    async def ask(position: Position) -> Position:
        return await _as_listed(session, position, market, timeout_s)

    result: dict[int, Position] = {}
    for position, outcome in zip(abroad, await session.fan_out(abroad, ask), strict=True):
        if outcome.value is None:
            session.note(f"{position.contract} in {position.currency}: {outcome.error}")
        spare = f"{position.symbol}@{position.currency}" if position.currency else position.symbol
        result[id(position)] = outcome.value or position.model_copy(update={"symbol": spare})
    return tuple(result.get(id(position), position) for position in positions)


async def _as_listed(
    session: Session, position: Position, market: MarketSettings, timeout_s: float
) -> Position:
    own = await details_of(
        session, ib_async.Contract(conId=position.con_id or 0), position.contract,
        timeout_s=timeout_s,
    )  # fmt: skip
    under = own
    if position.sec_type in _OPTIONS:
        bare = ib_async.Contract(conId=own.underConId)
        under = await details_of(session, bare, position.symbol, timeout_s=timeout_s)
    symbol = convert.listing_symbol(under, market)
    underlying = contracts.read_underlying(session, under, symbol)
    session.cache.setdefault(("underlying", symbol), underlying)
    exchange = own.contract.exchange if own.contract else ""
    count = major_currency(convert.quote_currency(position.currency, own.priceMagnifier))[1]
    cost = position.average_cost
    return position.model_copy(
        update={
            "symbol": symbol,
            "exchange": "" if exchange == "SMART" else exchange,
            "currency": convert.quote_currency(position.currency, own.priceMagnifier),
            "average_cost": None if cost is None else cost * count,
        }
    )


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
    summaries = to_summaries(rows, session.accounts)
    if not summaries:
        raise DataError("the gateway named no account; is TWS still logging in?")
    return summaries


def to_summaries(
    rows: Sequence[tuple[str, str, str, str]], managed: Collection[str] = ()
) -> tuple[AccountSummary, ...]:
    """
    Rows of account, tag, value and currency as one summary per account, by name.

    Rows of the ledger name the account ``All``: rates and cash of the whole login. So do rows of
    anything that is not one of the *managed* accounts and states no net liquidation. The rates hold
    for every account; the cash is known to be an account's only where it is the only one.

    Source: TWS API, "Account summary": ``$LEDGER`` tags.
    """
    of_account: dict[str, dict[str, Any]] = {}
    for account, tag, text, currency in rows:
        summary = of_account.setdefault(
            account, {"account": account, "cash_by_currency": {}, "rates": {}}
        )
        value = _number(text)
        if value is None:
            continue
        if tag in _MONEY_TAGS:
            summary[_MONEY_TAGS[tag]] = value
            if currency not in ("", _BASE) and (tag == _WORTH or "currency" not in summary):
                summary["currency"] = currency
        elif tag == "ExchangeRate" and currency not in ("", _BASE):
            summary["rates"][currency] = value
        elif tag in ("CashBalance", "TotalCashBalance") and currency not in ("", _BASE):
            summary["cash_by_currency"][currency] = value
    login = [
        name
        for name, summary in of_account.items()
        if name in _OF_THE_LOGIN or (managed and name not in managed and not _is_account(summary))
    ]
    shared = [of_account.pop(name) for name in login]
    for summary in of_account.values():
        for ledger in shared:
            base = summary.setdefault("currency", _base_of(ledger["rates"]))
            rates = _in_base(ledger["rates"], base)
            summary["rates"] = rates | summary["rates"]
            if len(of_account) == 1:
                summary["cash_by_currency"] = (
                    ledger["cash_by_currency"] | summary["cash_by_currency"]
                )
    return tuple(
        AccountSummary(**{key: value for key, value in of_account[name].items() if value != ""})
        for name in sorted(of_account)
    )


def _base_of(rates: dict[str, float]) -> str:
    """The one currency that counts as it is; empty where that is not clear."""
    at_par = [currency for currency, rate in rates.items() if rate == 1.0]
    return at_par[0] if len(at_par) == 1 else ""


def _is_account(summary: dict[str, Any]) -> bool:
    return "net_liquidation" in summary


def _in_base(rates: dict[str, float], base: str) -> dict[str, float]:
    """The login's rates in the base currency of one account, which need not be the login's."""
    own = rates.get(base, 1.0)
    if own == 1.0:
        return rates
    return {currency: rate / own for currency, rate in rates.items()} if own > 0.0 else {}


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


async def executions(
    session: Session, *, timeout_s: float, market: MarketSettings | None = None
) -> tuple[tuple[Executed, ...], int]:
    """
    Executions that the gateway still knows (those of the day, or of the week in TWS).

    Of an execution that was corrected only the correction counts. Commissions are reported apart,
    and not to every client: where none comes within two seconds they are unknown. A row without
    sense is named in the session's notes. Safe to cancel.

    Args:
        market: Names of listings abroad (``ASML@AEB``); those of the defaults where not given.

    Returns:
        The executions of stocks and options, on futures too, and how many others were left out.

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
        elif contract.secType in _READ_KINDS:
            session.note(
                f"execution {execution.execId} of {contract.symbol} left out: "
                f"{execution.shares:g} at {execution.price:g} of {_named(contract)} makes no sense"
            )
    await _wait_for_commissions(session, {trade.exec_id for trade in executed})
    currencies = {execution.execId: contract.currency for contract, execution in rows}
    names = await _names_abroad(session, rows, market or MarketSettings(), timeout_s)
    kept = tuple(
        replace(
            trade,
            symbol=names.get(trade.exec_id, trade.symbol),
            commission=_commission(session, trade.exec_id, currencies[trade.exec_id]),
        )
        for trade in executed
    )
    return kept, len(rows) - len(kept)


async def _names_abroad(
    session: Session, rows: Sequence[_Reported], market: MarketSettings, timeout_s: float
) -> dict[str, str]:
    """By execution, the listing of what was traded abroad: ASML in euros is not ASML."""
    abroad = [row for row in rows if row[0].currency != _AMERICAN and row[0].secType in _KINDS]
    positions = [to_position("", contract, 1.0, 0.0) for contract, _ in abroad]
    listed = await named(session, positions, market, timeout_s=timeout_s)
    return {
        execution.execId: position.symbol
        for (_, execution), position in zip(abroad, listed, strict=True)
    }


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
    """One execution as ours; None for all but stocks and options, or a row without sense."""
    if contract.secType not in _READ_KINDS:
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
        account=execution.acctNumber,
        currency=contract.currency,
        lacks_multiplier=not own.is_stock and not contract.multiplier,
        source=Source.TWS,
        on_future=contract.secType == "FOP",
    )


def _named(contract: ib_async.Contract) -> str:
    parts = (contract.secType, contract.localSymbol or contract.symbol)
    return " ".join(part for part in parts if part)


def _own_contract(contract: ib_async.Contract) -> Contract:
    if contract.secType == "STK":
        return Contract(multiplier=1, con_id=contract.conId or None)
    return Contract(
        **convert.to_pair(contract)._asdict(),
        multiplier=int(float(contract.multiplier)),
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

    Its transmit flag stays set. Of an order without it TWS sends no open order, which is what the
    margins come in; and should the what-if flag ever be missed, an order that is held in TWS, with
    a button to send it, is no better than one refused.

    Raises:
        UsageError: No legs, a leg without contract id, or quantities that are not whole.
        GatewayRefused: The gateway refuses the order, as TWS does in read-only mode.
        RequestTimeout: No margins came.
        SessionLost: The connection went away.

    Source: TWS API, "Checking margin changes"; rust-ibapi, docs/wire-facts/orders.md, "transmit
    absent means held" (paper gateway, server 220).
    """
    contract, action, count = combination(legs)
    order = ib_async.Order(
        action=action, totalQuantity=count, orderType="MKT", account=account, tif="DAY", whatIf=True
    )

    def send(client: ib_async.Client, req_id: int) -> None:
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
            exchange=leg.contract.exchange,
        )
        for leg in legs
    ]
    bag = ib_async.Contract(
        secType="BAG",
        symbol=first.symbol,
        exchange=first.exchange,
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
