"""
A ladder of checks from the socket to option data, each with the fix for its failure.

The ladder stops at the first rung without which the next cannot stand. What the gateway said
about itself meanwhile is explained at the end, and the store is looked at in any case.

A remedy says what a fault means and what to do about it, in the words of a person at the screen.
Source of the codes: IB, "Message Codes" of the TWS API; see also `tomic.ib.reactions`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from tomic import dates, errors
from tomic.config import Settings
from tomic.errors import TomicError
from tomic.ib import contracts, convert
from tomic.ib.callbacks import is_routine
from tomic.ib.link import Tap
from tomic.ib.option_quotes import Patience, option_quote
from tomic.ib.session import Session
from tomic.ib.spot import spot_of
from tomic.masking import masked
from tomic.models import DataType, OptionQuote, RowStatus, Spot, Underlying
from tomic.selection import Wanted, choose_params
from tomic.store import Database
from tomic.store.file import is_there
from tomic.wire.framing import FrameReader, WireError, kind_of, split_fields
from tomic.workflows.chain.setup import wanted_data_type


@dataclass(frozen=True, slots=True)
class Remedy:
    """Why something fails, and the next step."""

    cause: str
    fix: str


START_TWS = Remedy(
    "TWS or IB Gateway does not run, or its API is off, or it uses another port",
    "start it; in TWS only (the API of IB Gateway is always on): File > Global Configuration > API "
    "> Settings, tick 'Enable ActiveX and Socket Clients'; ports: TWS 7497 paper, 7496 live; IB "
    "Gateway 4002, 4001 (--port); or try --demo",
)
NOT_TRUSTED = Remedy(
    "TWS closes connections from this computer",
    "API > Settings > Trusted IPs: add this computer, or untick 'Allow connections from localhost "
    "only'; if that changes nothing, this TWS needs a newer API client: update TOMIC, or use an "
    "older TWS",
)
_DISCLAIMER = Remedy(
    "a paper account serves no program before its disclaimer is accepted",
    "accept it in the window of TWS or IB Gateway, which shows it after each start; then run "
    "doctor again",
)
_OUTDATED = Remedy(
    "IB ends the support of this TWS or IB Gateway", "update TWS or IB Gateway to a newer version"
)
_NO_COMMON_VERSION = Remedy(
    "TWS and TOMIC know no version of the API in common",
    "update the older of the two; until then a TWS or IB Gateway of the other's age serves",
)
NO_HANDSHAKE = Remedy(
    "something listens, but it does not speak the API protocol, or TWS hangs",
    "check the port; if it is the right one, restart TWS",
)
NOT_READY = Remedy(
    "TWS is not logged in yet, or one of its dialogs waits for an answer",
    "finish the login and close every dialog, then run doctor again",
)
NOT_SUBSCRIBED = Remedy(
    "the account has no live market data for this; delayed data are used meanwhile",
    "Client Portal > Settings > Market Data Subscriptions: 'US Securities Snapshot and Futures "
    "Value Bundle' for stocks, 'OPRA (US Options Exchanges)' for options; for a paper account, "
    "share the live account's data",
)
PARTLY_SUBSCRIBED = Remedy(
    "a part of the data is not subscribed: quotes come, IB's Greeks do not",
    "subscribe to the underlying as well as to OPRA; own IV and Greeks are used meanwhile",
)
MINIMISED = Remedy(
    "TWS computes no Greeks while its main window is minimised",
    "restore the main window of TWS; own IV and Greeks are used meanwhile",
)
_COMPETING = Remedy(
    "another login of this user holds the live market data",
    "log out on the phone, the web or the other TWS, or run TOMIC against that one; switch off a "
    "VPN",
)
_IDS_TAKEN = Remedy(
    "other programs use every client id that may be tried",
    "close one of them, or pass another --client-id",
)
_LOST = Remedy("the connection to TWS broke", "see whether TWS restarts; then run doctor again")
_NO_ANSWER = Remedy(
    "TWS accepts connections but does not answer",
    "see whether TWS shows its data farms as connected (lower right); else restart it",
)
_NO_PRICE = Remedy(
    "the underlying has no quote while its market is closed",
    "run doctor again while the market is open",
)
_NO_PRICE_OPEN = Remedy(
    "the market is open, and TWS sends no quote of the underlying",
    "look whether TWS itself shows one, and its data farms as connected (lower right); else "
    "restart it",
)
_NO_OPTIONS = Remedy(
    "TWS lists no options: it may still be loading, or the account may not trade options",
    "look whether TWS itself shows an option chain of SPY; then run doctor again",
)
_NO_QUOTE = Remedy(
    "nobody quotes this option while its market is closed",
    "run doctor again while the market is open",
)
_NO_QUOTE_OPEN = Remedy(
    "the market is open, and nobody quotes this option, or IB was too slow",
    "look whether TWS itself shows a quote of it; if it does, run doctor again",
)
_NO_HOURS = Remedy("IB sometimes leaves them out", "nothing to do: frozen data are shown")
_CLOSED = Remedy(
    "outside the trading hours of the exchange",
    "nothing to do: the last session's data are shown, marked frozen",
)
_CLOCK = Remedy(
    "this computer's clock or that of TWS's computer is wrong",
    "let the system set its clock from the network; TOMIC uses the gateway's meanwhile",
)
_SAID = Remedy("TWS says it of its own accord", "see what TWS itself shows; it may be no fault")
_AGAIN = Remedy("not known", "run doctor again with -vv, or send a recording: tomic record")
_CONNECTIVITY = Remedy(
    "TWS has lost its connection to IB's servers",
    "check the internet connection of TWS and wait; IB restarts its servers between 00:15 and "
    "01:45 New York time",
)
_PACING = Remedy(
    "messages came faster than IB's 50 a second; perhaps another program uses this TWS too",
    "lower limits.messages_per_s, or stop the other program",
)
_LINES = Remedy(
    "all market-data lines are taken, by the windows of TWS or by other programs",
    "close watchlists and option chains in TWS, or lower limits.lines",
)


def _farm(kind: str) -> Remedy:
    return Remedy(
        f"IB's {kind} farm is broken; the connection itself is fine",
        "wait: such requests are held until IB says that it is back, for 20 s at most",
    )


BY_CODE: dict[int, Remedy] = {
    100: _PACING,
    101: _LINES,
    162: Remedy("IB has no bars for this, or they were asked too fast", "wait a minute"),
    321: Remedy("TWS refuses the request as it is written", "update TWS or IB Gateway"),
    326: _IDS_TAKEN,
    354: NOT_SUBSCRIBED,
    502: START_TWS,
    503: _OUTDATED,
    504: START_TWS,
    1100: _CONNECTIVITY,
    1300: Remedy("the port of TWS was changed", "set ib.port to the new one"),
    2103: _farm("market data"),
    2105: _farm("historical data"),
    2110: _CONNECTIVITY,
    2157: _farm("contract details"),
    2172: _OUTDATED,
    10089: NOT_SUBSCRIBED,
    10090: PARTLY_SUBSCRIBED,
    10091: PARTLY_SUBSCRIBED,
    10141: _DISCLAIMER,
    10167: NOT_SUBSCRIBED,
    10168: NOT_SUBSCRIBED,
    10186: NOT_SUBSCRIBED,
    10197: _COMPETING,
}
"""Codes that concern more than one request."""

CURED_BY: dict[int, frozenset[int]] = {
    1100: frozenset({1101, 1102}),
    2103: frozenset({2104, 2108}),
    2105: frozenset({2106, 2107}),
    2110: frozenset({1101, 1102}),
    2157: frozenset({2158}),
}
"""Codes that say that a fault is over."""


def remedy_of_code(code: int, text: str) -> Remedy | None:
    """What to do about a code that TWS said in these words; None where nothing is known of it."""
    if "different ip address" in text.lower():
        return _COMPETING
    if code == 162 and "permissions" in text.lower():
        return NOT_SUBSCRIBED
    return BY_CODE.get(code)


def remedy_of(error: TomicError) -> Remedy:
    """What to do about *error*."""
    if isinstance(error, errors.GatewayRefused):
        remedy = remedy_of_code(error.error_code, error.text)
        if remedy is not None:
            return remedy
    kinds: tuple[tuple[type[TomicError], Remedy], ...] = (
        (errors.CompetingSession, _COMPETING),
        (errors.ClientIdInUse, _IDS_TAKEN),
        (errors.NoMarketData, NOT_SUBSCRIBED),
        (errors.SessionLost, _LOST),
        (errors.RequestTimeout, _NO_ANSWER),
        (errors.MissingSpot, _NO_PRICE),
        (errors.DataError, _NO_OPTIONS),
    )
    return next((fix for kind, fix in kinds if isinstance(error, kind)), _AGAIN)


_ERROR = 4


class Overheard:
    """
    A tap that notes codes with their texts and passes everything on.

    Args:
        other: A further tap, for a recording.
    """

    def __init__(self, other: Tap | None = None) -> None:
        self.codes: dict[int, str] = {}
        """The last text of each code."""
        self.of_itself: set[int] = set()
        """Codes that were said to no request, and are none of the usual ones."""
        self.greeted = False
        """Whether the gateway has sent anything."""
        self.was_closed = False
        """Whether the gateway, not we, ended a connection."""
        self.opened_at: float | None = None
        """When the first connection stood, by `time.monotonic`."""
        self._other = other
        self._frames = FrameReader()

    @property
    def uncured(self) -> dict[int, str]:
        """Codes of faults whose end has not been announced."""
        codes = list(self.codes)
        return {
            code: text
            for at, (code, text) in enumerate(self.codes.items())
            if not CURED_BY.get(code, frozenset()) & set(codes[at:])
        }

    def sent(self, data: bytes) -> None:
        """Pass on; a new connection starts a new stream."""
        if data.startswith(b"API\0"):
            self._frames = FrameReader()
            self.opened_at = self.opened_at or time.monotonic()
        if self._other is not None:
            self._other.sent(data)

    def received(self, data: bytes) -> None:
        """Note codes, and pass on."""
        if self._other is not None:
            self._other.received(data)
        if not data:
            self.was_closed = True
            return
        self.greeted = True
        try:
            for payload in self._frames.feed(data):
                self._note(payload)
        except WireError:
            # The session finds out by itself that nothing can be read any more.
            self._frames = FrameReader()

    def _note(self, payload: bytes) -> None:
        try:
            fields = split_fields(payload)
        except WireError:
            return
        if kind_of(fields) == _ERROR and len(fields) > 4 and fields[3].isdecimal():
            code = int(fields[3])
            self.codes.pop(code, None)
            self.codes[code] = fields[4]
            if fields[2].startswith("-") and not is_routine(code, fields[4]):
                self.of_itself.add(code)


_DRIFT_S = 5.0
_CUT_OFF = (1100, 2110)
"""What is not answered after these is lost, whatever request it was."""
_PROBE_SYMBOL = "SPY"
_PROBE_DAYS = 7
_GRACE_S = 2.0
"""Longer than a request's own timeout: the clock of a request stands still while IB is away."""

T = TypeVar("T")


class CheckVerdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One rung of the ladder."""

    name: str
    verdict: CheckVerdict
    found: str
    cause: str = ""
    fix: str = ""
    exit_code: int = 0


class _Broken(Exception):
    """A rung without which the next cannot stand."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.found)
        self.check = check


async def examine(
    settings: Settings,
    *,
    pace: float | None = None,
    simulated: bool = False,
    tap: Tap | None = None,
) -> AsyncIterator[Check]:
    """
    Climb the ladder, yielding each check as it ends.

    Args:
        settings: Whose gateway and store are looked at.
        pace: Messages a second, for a gateway without IB's limit.
        simulated: A simulated market has a clock of its own, so drift means nothing there.
        tap: Told of every byte, for a recording.
    """
    ladder = _Ladder(settings, pace, simulated, Overheard(tap))
    async for check in ladder.climb():
        yield check
    if not simulated:
        yield await _database(settings)


@dataclass(slots=True)
class _Ladder:
    settings: Settings
    pace: float | None
    simulated: bool
    heard: Overheard
    explained: set[int] = field(default_factory=set)

    async def climb(self) -> AsyncIterator[Check]:
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            try:
                session = await self._connect(stack)
                yield self._socket(began)
                yield self._handshake(session)
                yield _account(session)
                async for check in self._data(session):
                    yield check
                yield _pacing(session)
            except _Broken as exc:
                if exc.check.name == "handshake":
                    yield self._socket(began)
                yield exc.check
            for code, text in self.heard.uncured.items():
                remedy = remedy_of_code(code, text)
                if remedy is None and code in self.heard.of_itself:
                    remedy = _SAID
                if remedy is not None and code not in self.explained:
                    yield _warning("the gateway says", f"{code}: {text}", remedy)

    async def _connect(self, stack: AsyncExitStack) -> Session:
        """
        Connect once: TWS asks its user about every connection from a computer it does not trust.

        Raises:
            _Broken: At the socket, or at the handshake.
        """
        try:
            return await stack.enter_async_context(
                Session(self.settings.ib, self.settings.limits, pace=self.pace, tap=self.heard)
            )
        except errors.SessionError as exc:
            if self.heard.opened_at is None:
                raise _Broken(self._no_socket(exc)) from exc
            self.explained.add(326)
            raise _Broken(_failed("handshake", exc, self._handshake_remedy(exc))) from exc

    def _handshake_remedy(self, error: errors.SessionError) -> Remedy:
        said = [code for code in (10141, 503) if code in self.heard.codes]
        self.explained.update(said)
        if said:
            return BY_CODE[said[0]]
        if isinstance(error, errors.IncompatibleVersion):
            return _NO_COMMON_VERSION
        if not isinstance(error, errors.GatewayUnreachable):
            return remedy_of(error)
        if self.heard.was_closed:
            return NOT_TRUSTED
        return NOT_READY if self.heard.greeted else NO_HANDSHAKE

    def _no_socket(self, error: BaseException) -> Check:
        ib, reason = self.settings.ib, ""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConnectionRefusedError):
                reason = "refuses connections"
            elif isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
                reason = reason or cause.strerror or str(cause)
            cause = cause.__cause__
        reason = reason or f"does not answer within {ib.connect_timeout_s:g} s"
        finding, fix = f"{ib.host}:{ib.port} {reason}", START_TWS
        return Check("socket", CheckVerdict.FAIL, finding, fix.cause, fix.fix, 4)

    def _socket(self, began: float) -> Check:
        ib, opened_at = self.settings.ib, self.heard.opened_at
        took = "" if opened_at is None else f", {(opened_at - began) * 1000.0:.0f} ms"
        return _fine("socket", f"{ib.host}:{ib.port} open{took}")

    def _handshake(self, session: Session) -> Check:
        first = self.settings.ib.client_id
        taken = "" if session.client_id == first else f" ({first} was in use)"
        self.explained.add(326)
        finding = f"server version {session.server_version}, client id {session.client_id}{taken}"
        return _fine("handshake", finding)

    async def _data(self, session: Session) -> AsyncIterator[Check]:
        now = await self._step("clock", session.now())
        yield self._clock(session, now)
        market, timeout_s = self.settings.market, self.settings.ib.request_timeout_s
        details = contracts.resolve_underlying(session, _PROBE_SYMBOL, market, timeout_s=timeout_s)
        spy = await self._step("contract details", details)
        yield _market(spy, now)
        await session.use_data_type(wanted_data_type(session, spy, now))
        is_open = dates.is_open(spy.sessions, now)
        name, spot = f"stock data {spy.symbol}", None
        try:
            spot = await self._step(name, spot_of(session, spy, timeout_s=market.spot_timeout_s))
            yield self._stock(name, spot)
        except _Broken as exc:
            error = exc.__cause__
            if isinstance(error, errors.MissingSpot) and is_open and not self._of_gateway:
                remedy = _NO_PRICE_OPEN
                yield replace(exc.check, cause=remedy.cause, fix=remedy.fix)
            else:
                yield exc.check
            if not isinstance(error, (errors.MissingSpot, errors.NoMarketData)) or self._of_gateway:
                return
        name = f"option data {spy.symbol}"
        row = await self._step(name, self._option_row(session, spy, spot, now))
        yield self._option(name, row, _NO_QUOTE_OPEN if is_open else _NO_QUOTE)

    @property
    def _of_gateway(self) -> bool:
        """Whether the gateway has reported a fault of its own that nothing has cured."""
        return any(code in CURED_BY for code in self.heard.uncured)

    async def _step(self, name: str, job: Awaitable[T]) -> T:
        """
        Do one thing that the next rungs need.

        Raises:
            _Broken: It failed, or did not end in time.
        """
        ib, chain = self.settings.ib, self.settings.chain
        limit_s = max(ib.request_timeout_s, ib.params_timeout_s + chain.quote_timeout_s) + _GRACE_S
        try:
            async with asyncio.timeout(limit_s):
                return await job
        except TimeoutError as exc:
            error = errors.RequestTimeout(name, limit_s)
            raise _Broken(self._explained(name, error)) from exc
        except TomicError as exc:
            raise _Broken(self._explained(name, exc)) from exc

    def _explained(self, name: str, error: TomicError) -> Check:
        """The failure, with what the gateway reported about itself as its cause."""
        remedy = remedy_of(error)
        of_error = getattr(error, "error_code", 0)
        texts = {of_error: getattr(error, "text", ""), **self.heard.uncured}
        for code, text in texts.items():
            if (known := remedy_of_code(code, text)) is not None:
                self.explained |= {of_error, code}
                remedy = known
                if code in _CUT_OFF:
                    error = errors.SessionLost(str(error))
                if str(code) not in str(error):
                    return _failed(name, error, remedy, f" ({code}: {self.heard.codes[code]})")
                break
        return _failed(name, error, remedy)

    def _clock(self, session: Session, now: dt.datetime) -> Check:
        if self.simulated:
            return _fine("clock", f"{now:%Y-%m-%d %H:%M} UTC, the simulated market's own")
        drift = (session.clock_drift or dt.timedelta()).total_seconds()
        if abs(drift) <= _DRIFT_S:
            return _fine("clock", f"drift {drift:+.1f} s against the gateway")
        return _warning("clock", f"drift {drift:+.0f} s against the gateway", _CLOCK)

    def _stock(self, name: str, spot: Spot) -> Check:
        finding = f"{spot.price:.2f} ({spot.source.value}, {spot.data_type.value})"
        if spot.data_type not in (DataType.DELAYED, DataType.DELAYED_FROZEN):
            return _fine(name, finding)
        self.explained |= {354, 10089, 10167, 10168, 10186}
        return _warning(name, finding, NOT_SUBSCRIBED)

    async def _option_row(
        self, session: Session, spy: Underlying, spot: Spot | None, now: dt.datetime
    ) -> OptionQuote:
        timeout_s = self.settings.ib.params_timeout_s
        listed = await contracts.option_params(session, spy, timeout_s=timeout_s)
        params = choose_params(listed, spy.symbol)
        ahead = [day for day in params.expiries if (day - now.date()).days >= _PROBE_DAYS]
        # Without a price of the underlying the middle of the strikes is the best guess.
        near = spot.price if spot is not None else params.strikes[len(params.strikes) // 2]
        # A round strike exists in every expiry.
        strike = min(params.strikes, key=lambda k: (k % 10.0 != 0.0, abs(k - near)))
        pair = Wanted(ahead[0], strike, "P")
        contract = convert.option_contract(spy, params, pair)
        rules = self.settings.chain
        what = contracts.describe(spy.symbol, pair)
        patience = Patience(rules.silent_s)
        return await option_quote(session, what, contract, pair, rules, patience)

    def _option(self, name: str, row: OptionQuote, unquoted: Remedy) -> Check:
        if row.status is RowStatus.NOT_SUBSCRIBED:
            self.explained |= {354, 10089, 10168, 10186}
            remedy = NOT_SUBSCRIBED
            return Check(name, CheckVerdict.FAIL, "not subscribed", remedy.cause, remedy.fix, 5)
        if row.bid is None and row.ask is None:
            seen = "" if row.iv is None else f"; IV {row.iv:.1%} from IB's model"
            return _warning(name, f"{row.status.value}: no quote came{seen}", unquoted)
        quote = f"bid {_number(row.bid)}, ask {_number(row.ask)}"
        if row.iv is None:
            partly = {10090, 10091} & set(self.heard.codes)
            self.explained |= partly
            remedy = PARTLY_SUBSCRIBED if partly else MINIMISED
            codes = f" ({', '.join(map(str, sorted(partly)))})" if partly else ""
            return _warning(name, f"{quote}, no Greeks from IB{codes}", remedy)
        finding = f"{quote}, IV {row.iv:.1%} ({row.quote_source})"
        if row.bid is None or row.ask is None:
            return _warning(name, finding, unquoted)
        return _fine(name, finding)


def _number(price: float | None) -> str:
    return "none" if price is None else f"{price:g}"


def _fine(name: str, finding: str) -> Check:
    return Check(name, CheckVerdict.OK, finding)


def _warning(name: str, finding: str, remedy: Remedy) -> Check:
    return Check(name, CheckVerdict.WARN, finding, remedy.cause, remedy.fix)


def _account(session: Session) -> Check:
    names = ", ".join(masked(account) for account in session.accounts) or "none named"
    paper = all(account.startswith("D") for account in session.accounts)
    kind = "paper" if paper and session.accounts else "live"
    finding = f"{names} ({kind}); TOMIC sends no orders, so 'Read-Only API' may stay ticked"
    return _fine("account", finding)


def _market(spy: Underlying, now: dt.datetime) -> Check:
    if not spy.sessions:
        return _warning("market", f"the gateway gave no trading hours of {spy.symbol}", _NO_HOURS)
    if dates.is_open(spy.sessions, now):
        return _fine("market", f"{spy.symbol} is open")
    opens = dates.next_open(spy.sessions, now)
    when = (
        f"; opens {opens.astimezone():%a %d %b %H:%M %Z} (in {_span(opens - now)})" if opens else ""
    )
    return _warning("market", f"{spy.symbol} is closed{when}", _CLOSED)


def _span(wait: dt.timedelta) -> str:
    hours, rest = divmod(int(wait.total_seconds()), 3600)
    return f"{hours} h {rest // 60} m"


def _failed(name: str, error: TomicError, remedy: Remedy, more: str = "") -> Check:
    finding = f"{error}{more}"
    return Check(name, CheckVerdict.FAIL, finding, remedy.cause, remedy.fix, error.exit_code)


def _pacing(session: Session) -> Check:
    limits = session.limit_settings
    return _fine(
        "pacing",
        f"{session.messages} messages used; limits {limits.messages_per_s:g} a second of IB's 50, "
        f"{limits.lines} lines of 100",
    )


async def _database(settings: Settings) -> Check:
    path = settings.store.path
    try:
        if not is_there(path):
            finding = f"{path}: none yet"
            return Check(
                "database", CheckVerdict.OK, finding, "", "tomic prices fills it with bars and IV"
            )
        async with Database(path, busy_timeout_s=settings.store.lock_wait_s) as store:
            info = await store.info()
    except errors.StoreError as exc:
        fix = "tomic store check says what is wrong; a backup can take its place"
        return Check("database", CheckVerdict.FAIL, str(exc), "", fix, exc.exit_code)
    series = [
        f"{kept.series} of {kept.symbols} symbols to {kept.last.isoformat()}"
        for kept in info.series
    ]
    coverage = "; ".join(series) or "no bars or IV yet"
    finding = f"{path}: {info.size / 1e6:.1f} MB, schema {info.schema_version}; {coverage}"
    fix = "" if series else "tomic prices fills it"
    return Check("database", CheckVerdict.OK if series else CheckVerdict.WARN, finding, "", fix)
