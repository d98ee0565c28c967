"""Today's executions, as TWS reports them: what was really bought and sold."""

from __future__ import annotations

import datetime as dt
import math

import ib_async

from tomic import dates
from tomic.errors import DataError, InvalidSymbol
from tomic.ib.session import Session
from tomic.journal.executions import Executed
from tomic.models import normalize_symbol
from tomic.models.journal import Contract


async def executions(session: Session, *, timeout_s: float) -> tuple[tuple[Executed, ...], int]:
    """
    Executions that the gateway still knows (those of the day, or of the week in TWS).

    TWS reports commissions apart and not at once, so they are unknown here.

    Returns:
        The executions of stocks and options, and how many of other instruments were left out.

    Raises:
        RequestTimeout, SessionLost: No whole answer.
    """
    parts = await session.ask(
        "executions",
        lambda client, req_id: client.reqExecutions(req_id, ib_async.ExecutionFilter()),
        timeout_s=timeout_s,
    )
    found = [to_executed(contract, execution) for contract, execution in parts]
    kept = tuple(one for one in found if one is not None)
    return kept, len(found) - len(kept)


def to_executed(contract: ib_async.Contract, execution: ib_async.Execution) -> Executed | None:
    """One execution as ours; None for anything but stocks and options, or a row without sense."""
    if contract.secType not in ("STK", "OPT"):
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
    """ib_async gives an aware time; one without a zone is that of New York."""
    return time if time.tzinfo is not None else time.replace(tzinfo=dates.NEW_YORK)
