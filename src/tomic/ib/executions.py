"""Today's executions, as TWS reports them: what was really bought and sold."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import ib_async

from tomic import dates
from tomic.errors import DataError, InvalidSymbol, RequestTimeout
from tomic.ib import convert
from tomic.ib.session import Session
from tomic.journal.executions import Executed
from tomic.models import normalize_symbol
from tomic.models.journal import Contract

_Reported = tuple[ib_async.Contract, ib_async.Execution]

_KINDS = ("STK", "OPT")
_COMMISSIONS_S, _LOOK_S = 2.0, 0.05
"""How long the reports of commissions may take after the last execution."""


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
    try:
        return await _ask(session, ib_async.ExecutionFilter(), timeout_s)
    except RequestTimeout as exc:
        if not session.accounts:
            raise _unanswered(timeout_s) from exc
    session.note("TWS did not answer the question for all executions; asked by account")
    rows: list[_Reported] = []
    try:
        for account in session.accounts:
            named = ib_async.ExecutionFilter(acctCode=account)
            rows += await _ask(session, named, timeout_s)
    except RequestTimeout as exc:
        raise _unanswered(timeout_s) from exc
    return rows


async def _ask(
    session: Session, wanted: ib_async.ExecutionFilter, timeout_s: float
) -> list[_Reported]:
    parts: list[Any] = await session.ask(
        "executions",
        lambda client, req_id: client.reqExecutions(req_id, wanted),
        timeout_s=timeout_s,
    )
    return parts


def _unanswered(timeout_s: float) -> RequestTimeout:
    return RequestTimeout(
        "executions",
        timeout_s,
        hint="TWS is known to leave this question unanswered at times, also by account: restart "
        "TWS, or import an activity statement or Flex query (tomic journal import FILE)",
    )


def _corrected(rows: Iterable[_Reported]) -> list[_Reported]:
    """Each execution once: a correction has the id of the first, but for what its last dot ends."""
    last: dict[str, _Reported] = {}
    for contract, execution in rows:
        name, dot, number = execution.execId.rpartition(".")
        key = name if dot and number.isdecimal() else execution.execId
        before = last.get(key)
        if before is None or _number(before[1].execId) <= _number(execution.execId):
            last[key] = (contract, execution)
    return list(last.values())


def _number(exec_id: str) -> int:
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
        own = _contract(contract)
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


def _contract(contract: ib_async.Contract) -> Contract:
    if contract.secType == "STK":
        return Contract(multiplier=1, con_id=contract.conId or None)
    return Contract(
        expiry=dates.parse_expiry(contract.lastTradeDateOrContractMonth),
        strike=float(contract.strike),
        right="C" if contract.right.upper().startswith("C") else "P",
        multiplier=int(float(contract.multiplier or 100)),
        con_id=contract.conId or None,
        trading_class=contract.tradingClass,
    )


def _utc(time: dt.datetime) -> dt.datetime:
    """Our decoder gives an aware time; one without a zone is that of New York."""
    return time if time.tzinfo is not None else time.replace(tzinfo=dates.NEW_YORK)
