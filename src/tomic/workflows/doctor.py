"""
A ladder of checks from the socket to option data, each with the fix for its failure.

The ladder stops at the first rung without which the next cannot stand.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum

from tomic import dates
from tomic.config import Settings
from tomic.errors import (
    ClientIdInUse,
    CompetingSession,
    GatewayUnreachable,
    NoMarketData,
    RequestFailed,
    SessionError,
    TomicError,
)
from tomic.ib import contracts, convert, quotes
from tomic.ib.session import Session
from tomic.ib.tap import Tap
from tomic.models import DataType, Underlying
from tomic.selection import Wanted, choose_params
from tomic.workflows.chain import wanted_data_type

_DRIFT_S = 5.0
_PROBE_SYMBOL = "SPY"


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One rung of the ladder."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""
    exit_code: int = 0


def masked(account: str) -> str:
    """An account number of which only the kind and the last digits can be read."""
    return f"{account[:2]}***{account[-3:]}" if len(account) > 5 else "***"


async def examine(
    settings: Settings,
    *,
    pace: float | None = None,
    simulated: bool = False,
    tap: Tap | None = None,
) -> AsyncIterator[Check]:
    """
    Climb the ladder, yielding each check as it ends.

    A *simulated* market has a clock of its own, so drift means nothing there.
    """
    ib = settings.ib
    socket = await _socket(ib.host, ib.port, ib.connect_timeout_s)
    yield socket
    if socket.verdict is Verdict.FAIL:
        return
    async with AsyncExitStack() as stack:
        try:
            session = await stack.enter_async_context(Session(ib, settings.limits, pace=pace, tap=tap))
        except SessionError as exc:
            yield _no_handshake(exc)
            return
        yield _handshake(session, ib.client_id)
        yield _account(session)
        async for check in _data(session, settings, simulated=simulated):
            yield check
        yield _pacing(session)


async def _socket(host: str, port: int, timeout_s: float) -> Check:
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as exc:
        reason = "refuses connections" if isinstance(exc, ConnectionRefusedError) else str(exc)
        if isinstance(exc, TimeoutError):
            reason = f"does not answer within {timeout_s:g} s"
        return Check(
            "socket",
            Verdict.FAIL,
            f"{host}:{port} {reason}",
            "start TWS or IB Gateway; in TWS: File > Global Configuration > API > Settings, tick "
            "'Enable ActiveX and Socket Clients'; ports: TWS 7497 paper, 7496 live; IB Gateway "
            "4002, 4001; or try --demo",
            exit_code=4,
        )
    writer.close()
    took = (asyncio.get_running_loop().time() - started) * 1000.0
    return Check("socket", Verdict.OK, f"{host}:{port} open, {took:.0f} ms")


def _no_handshake(error: SessionError) -> Check:
    fixes: dict[type[SessionError], str] = {
        ClientIdInUse: "close the other program, or pass another --client-id",
        GatewayUnreachable: "finish the login in TWS, close its dialogs, and trust this computer "
        "under API > Settings > Trusted IPs",
    }
    fix = next((text for kind, text in fixes.items() if isinstance(error, kind)), "try again")
    return Check("handshake", Verdict.FAIL, str(error), fix, exit_code=error.exit_code)


def _handshake(session: Session, first_id: int) -> Check:
    taken = "" if session.client_id == first_id else f" ({first_id} was in use)"
    return Check(
        "handshake",
        Verdict.OK,
        f"server version {session.server_version}, client id {session.client_id}{taken}",
    )


def _account(session: Session) -> Check:
    names = ", ".join(masked(one) for one in session.accounts) or "none named"
    paper = all(one.startswith("D") for one in session.accounts)
    kind = "paper" if paper and session.accounts else "live"
    return Check("account", Verdict.OK, f"{names} ({kind}); TOMIC sends no orders")


async def _data(session: Session, settings: Settings, *, simulated: bool) -> AsyncIterator[Check]:
    try:
        now = await session.now()
    except TomicError as exc:
        yield _failed("clock", exc, "restart TWS: it accepts connections but does not answer")
        return
    yield _clock(session, now, simulated=simulated)
    try:
        spy = await contracts.resolve_underlying(session, _PROBE_SYMBOL, settings.market)
    except TomicError as exc:
        yield _failed("contract details", exc, "wait until TWS shows its data farms as connected")
        return
    yield _market(spy, now)
    await session.use_data_type(wanted_data_type(session, spy, now))
    stock = await _stock(session, spy, settings)
    yield stock
    if stock.verdict is not Verdict.FAIL:
        yield await _option(session, spy, settings, now)


def _clock(session: Session, now: dt.datetime, *, simulated: bool) -> Check:
    if simulated:
        return Check("clock", Verdict.OK, f"{now:%Y-%m-%d %H:%M} UTC, the simulated market's own")
    drift = (session.clock_drift or dt.timedelta()).total_seconds()
    if abs(drift) <= _DRIFT_S:
        return Check("clock", Verdict.OK, f"drift {drift:+.1f} s against the gateway")
    return Check(
        "clock",
        Verdict.WARN,
        f"drift {drift:+.0f} s against the gateway",
        "let the system set its clock from the network; TOMIC uses the gateway's meanwhile",
    )


def _market(spy: Underlying, now: dt.datetime) -> Check:
    if not spy.sessions:
        return Check("market", Verdict.WARN, "the gateway gave no trading hours", "frozen data")
    if dates.is_open(spy.sessions, now):
        return Check("market", Verdict.OK, f"{spy.symbol} is open")
    opens = dates.next_open(spy.sessions, now)
    when = (
        f"; opens {opens.astimezone():%a %d %b %H:%M %Z} (in {_span(opens - now)})" if opens else ""
    )
    return Check("market", Verdict.WARN, f"{spy.symbol} is closed{when}", "frozen data are shown")


def _span(wait: dt.timedelta) -> str:
    hours, rest = divmod(int(wait.total_seconds()), 3600)
    return f"{hours} h {rest // 60} m"


async def _stock(session: Session, spy: Underlying, settings: Settings) -> Check:
    name = f"stock data {spy.symbol}"
    try:
        spot = await quotes.spot(session, spy, timeout_s=settings.market.spot_timeout_s)
    except TomicError as exc:
        return _failed(name, exc, _data_fix(exc))
    delayed = spot.data_type in (DataType.DELAYED, DataType.DELAYED_FROZEN)
    return Check(
        name,
        Verdict.WARN if delayed else Verdict.OK,
        f"{spot.price:.2f} ({spot.source.value}, {spot.data_type.value})",
        _data_fix(None) if delayed else "",
    )


async def _option(session: Session, spy: Underlying, settings: Settings, now: dt.datetime) -> Check:
    name = f"option data {spy.symbol}"
    try:
        listed = await contracts.option_params(session, spy)
        params = choose_params(listed, spy.symbol)
        price = (await quotes.spot(session, spy)).price
        ahead = [day for day in params.expiries if (day - now.date()).days >= 7]
        strike = min(params.strikes, key=lambda one: abs(one - price))
        pair = Wanted(ahead[0], strike, "P")
        contract = convert.option_contract(spy, params, pair)
        row = await quotes.option_quote(
            session,
            contracts.describe(spy.symbol, pair),
            contract,
            pair,
            settings.chain,
            quotes.Patience(settings.chain.silent_s),
        )
    except TomicError as exc:
        return _failed(name, exc, _data_fix(exc))
    if row.status == "not_subscribed":
        return Check(name, Verdict.FAIL, "not subscribed", _data_fix(None), exit_code=5)
    if row.iv is None:
        return Check(
            name,
            Verdict.WARN,
            f"{row.status.value}: bid {row.bid}, ask {row.ask}, no Greeks from IB",
            "restore the main window of TWS (minimised it computes no Greeks); own IV and Greeks "
            "are used meanwhile",
        )
    return Check(
        name, Verdict.OK, f"bid {row.bid}, ask {row.ask}, IV {row.iv:.1%} ({row.quote_source})"
    )


def _data_fix(error: TomicError | None) -> str:
    if isinstance(error, CompetingSession):
        return "log out of the other session (phone, web, another TWS) or use its data"
    if error is None or isinstance(error, NoMarketData):
        return (
            "subscribe in Client Portal > Settings > Market Data: US Securities Snapshot bundle "
            "for stocks, OPRA (US Options Exchanges) for options; delayed data are used meanwhile"
        )
    if isinstance(error, RequestFailed):
        return "wait for the data farms in TWS (lower right), then run doctor again"
    return "run doctor again"


def _failed(name: str, error: TomicError, fix: str) -> Check:
    return Check(name, Verdict.FAIL, str(error), fix, exit_code=error.exit_code)


def _pacing(session: Session) -> Check:
    limits = session.limit_settings
    return Check(
        "pacing",
        Verdict.OK,
        f"{session.messages} messages used; limits {limits.messages_per_s:g} a second of IB's 50, "
        f"{limits.lines} lines of 100",
    )
