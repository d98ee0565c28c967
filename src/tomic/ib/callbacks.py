"""
What ib_async's decoder calls: each message goes to the request or the line that asked for it.

``ib_async.Client`` takes any wrapper object with the callbacks of IB's EWrapper. Ours keeps one
entry per request id, so a late answer can never reach another request, a fresh subscription
never shows old values, and an error ends exactly what it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import ib_async

from tomic.errors import GatewayRefused, NoMarketData, PacingViolation, UnknownContract
from tomic.ib.clocks import Farm
from tomic.ib.convert import Ticks
from tomic.masking import named_here

_log = logging.getLogger(__name__)

NOT_SUBSCRIBED = frozenset({354, 10089, 10168})
PARTLY_SUBSCRIBED = frozenset({10090, 10091})
NOTES = frozenset({300, 366, 2104, 2106, 2107, 2108, 2119, 2150, 2158, 2174, 10167})
"""Codes that end nothing."""
OF_THE_SESSION = frozenset({100, 101, 320, 502, 504, 505, 1100, 1101, 1102, 1300, 2110, 10197})
"""Codes that concern the whole session, whichever request they are said to."""
OF_NO_REQUEST = OF_THE_SESSION - {101, 320}
"""Those that say nothing about the request itself."""


class Interrupted(Exception):
    """The request must be asked again: the gateway lost it, through no fault of its own."""


class Request:
    """One open question: parts arrive, then an end or an error."""

    __slots__ = ("done", "farm", "on_part", "parts", "req_id", "sent_at", "what")

    def __init__(
        self,
        req_id: int,
        what: str,
        on_part: Callable[[Any], None] | None = None,
        farm: Farm | None = None,
    ) -> None:
        self.req_id, self.what, self.on_part, self.farm = req_id, what, on_part, farm
        self.parts: list[Any] = []
        self.done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.sent_at: float | None = None

    def part(self, item: Any) -> None:
        """Take one part of the answer."""
        self.parts.append(item)
        if self.on_part is not None:
            self.on_part(item)

    def end(self) -> None:
        """The answer is whole."""
        if not self.done.done():
            self.done.set_result(self.parts)

    def fail(self, error: Exception) -> None:
        """The answer will not come."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # nobody may be waiting any more


class Line:
    """One market-data subscription and what it received."""

    __slots__ = ("changed", "error", "no_greeks", "req_id", "sent_at", "ticks", "what")

    def __init__(self, req_id: int, what: str, right: str = "") -> None:
        self.req_id, self.what = req_id, what
        self.changed = asyncio.Event()
        self.ticks = Ticks(right=right, on_change=self.changed.set)
        self.error: Exception | None = None
        self.no_greeks = False
        self.sent_at: float | None = None

    def fail(self, error: Exception) -> None:
        """The line is dead, or must be opened again."""
        self.error = error
        self.changed.set()


def refusal(what: str, code: int, text: str) -> GatewayRefused:
    """The exception for an error code of the gateway."""
    if code == 200:
        return UnknownContract(what, code, text)
    if code in NOT_SUBSCRIBED or code in PARTLY_SUBSCRIBED:
        return NoMarketData(what, code, text)
    if code == 100 or (code == 162 and "pacing" in text.lower()):
        return PacingViolation(what, code, text)
    return GatewayRefused(what, code, text)


class Callbacks:
    """
    The wrapper of one connection.

    Args:
        on_error: Called with (code, text) for every message that belongs to no single request,
            and for those that concern the session as well.
        on_packet: Called after the messages of each packet were handled.
    """

    def __init__(self, on_error: Callable[[int, str], None], on_packet: Callable[[], None]) -> None:
        self._on_error, self._on_packet = on_error, on_packet
        self.requests: dict[int, Request] = {}
        self.named: dict[str, Request] = {}
        self.time_requests: list[Request] = []
        self.lines: dict[int, Line] = {}
        self.closed_lines: dict[int, float] = {}
        self.on_late_tick: Callable[[int], None] = lambda req_id: None
        self.on_close: Callable[[], None] = lambda: None
        self.accounts: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Callable[..., None]:
        # EWrapper has about a hundred callbacks; those that nobody here asked for are ignored.
        if name.startswith("_"):
            raise AttributeError(name)
        return _ignore

    # -- the connection ------------------------------------------------------------------

    def tcpDataArrived(self) -> None:
        """Bytes came in; whether they hold a message is seen afterwards."""

    def tcpDataProcessed(self) -> None:
        """All messages of a packet are handled."""
        self._on_packet()

    def managedAccounts(self, accounts: str) -> None:
        """The accounts of this login, joined by commas."""
        self.accounts = tuple(one for one in accounts.split(",") if one)
        named_here.learn(self.accounts)

    def setEventsDone(self) -> None:
        """ib_async's client is about to report a closed socket."""

    def connectionClosed(self) -> None:
        """The socket went away."""
        self.on_close()

    def fail_all(self, error: Exception) -> None:
        """End every open request and line with *error*."""
        for request in [*self.requests.values(), *self.named.values(), *self.time_requests]:
            request.fail(error)
        for line in list(self.lines.values()):
            line.fail(error)

    def error(self, req_id: int, code: int, text: str, _advanced: str = "") -> None:
        """An error, a warning or a note of the gateway."""
        _log.debug("gateway says %s (request %s): %s", code, req_id, text)
        line, request = self.lines.get(req_id), self.requests.get(req_id)
        unasked = line is None and request is None and req_id not in self.closed_lines
        if code not in NOTES and code not in OF_NO_REQUEST and not 2100 <= code < 2200:
            self._refuse(line, request, code, text)
        if unasked or code in OF_THE_SESSION:
            self._on_error(code, text)

    def _refuse(self, line: Line | None, request: Request | None, code: int, text: str) -> None:
        if line is not None and code in PARTLY_SUBSCRIBED:
            line.no_greeks = True
            line.changed.set()
        elif line is not None:
            line.fail(refusal(line.what, code, text))
        elif request is not None:
            # 321 is only a "warning" to ib_async, and would leave the request open for ever.
            request.fail(refusal(request.what, code, text))

    # -- answers to requests -------------------------------------------------------------

    def currentTime(self, seconds: int) -> None:
        """The gateway's clock, epoch seconds."""
        waiting, self.time_requests = self.time_requests, []
        for request in waiting:
            request.part(seconds)
            request.end()

    def contractDetails(self, req_id: int, details: ib_async.ContractDetails) -> None:
        """One contract of a details request."""
        self._part(req_id, details)

    def contractDetailsEnd(self, req_id: int) -> None:
        """A details request is answered."""
        self._end(req_id)

    def securityDefinitionOptionParameter(
        self,
        req_id: int,
        exchange: str,
        under_con_id: int,
        trading_class: str,
        multiplier: str,
        expirations: list[str],
        strikes: list[float],
    ) -> None:
        """Option parameters of one exchange and trading class."""
        self._part(
            req_id,
            ib_async.OptionChain(
                exchange, under_con_id, trading_class, multiplier, expirations, strikes
            ),
        )

    def securityDefinitionOptionParameterEnd(self, req_id: int) -> None:
        """Option parameters are complete."""
        self._end(req_id)

    def historicalData(self, req_id: int, bar: ib_async.BarData) -> None:
        """One bar."""
        self._part(req_id, bar)

    def historicalDataEnd(self, req_id: int, _start: str, _end: str) -> None:
        """All bars have come."""
        self._end(req_id)

    def position(
        self, account: str, contract: ib_async.Contract, quantity: float, average_cost: float
    ) -> None:
        """One position."""
        if "positions" in self.named:
            self.named["positions"].part((account, contract, quantity, average_cost))

    def positionEnd(self) -> None:
        """All positions have come."""
        if "positions" in self.named:
            self.named["positions"].end()

    def accountSummary(
        self, req_id: int, account: str, tag: str, value: str, currency: str
    ) -> None:
        """One account value."""
        self._part(req_id, (account, tag, value, currency))

    def accountSummaryEnd(self, req_id: int) -> None:
        """All account values have come."""
        self._end(req_id)

    def openOrder(
        self,
        order_id: int,
        contract: ib_async.Contract,
        order: ib_async.Order,
        state: ib_async.OrderState,
    ) -> None:
        """The answer to a what-if; IB sends it twice, the first without margins."""
        if order.whatIf and order_id in self.requests:
            self._part(order_id, state)
            if state.initMarginChange not in ("", "1.7976931348623157E308"):
                self._end(order_id)

    def execDetails(
        self, req_id: int, contract: ib_async.Contract, execution: ib_async.Execution
    ) -> None:
        """One execution of the day."""
        self._part(req_id, (contract, execution))

    def execDetailsEnd(self, req_id: int) -> None:
        """All executions have come."""
        self._end(req_id)

    def symbolSamples(self, req_id: int, descriptions: list[ib_async.ContractDescription]) -> None:
        """Symbols that resemble the one asked for."""
        for description in descriptions:
            self._part(req_id, description)
        self._end(req_id)

    # -- ticks ---------------------------------------------------------------------------

    def priceSizeTick(self, req_id: int, tick_type: int, price: float, size: float) -> None:
        """A price, with its size where it has one."""
        if (line := self._line(req_id)) is not None:
            line.ticks.price(tick_type, price, size)

    def tickSize(self, req_id: int, tick_type: int, size: float) -> None:
        """A size, a volume or an open interest."""
        if (line := self._line(req_id)) is not None:
            line.ticks.size(tick_type, size)

    def tickGeneric(self, req_id: int, tick_type: int, value: float) -> None:
        """A number without a unit of its own."""
        if (line := self._line(req_id)) is not None:
            line.ticks.generic(tick_type, value)

    def tickString(self, req_id: int, tick_type: int, value: str) -> None:
        """A text."""
        if (line := self._line(req_id)) is not None:
            line.ticks.text(tick_type, value)

    def tickOptionComputation(
        self,
        req_id: int,
        tick_type: int,
        _attribute: int,
        iv: float,
        delta: float,
        _price: float,
        _pv_dividend: float,
        gamma: float,
        vega: float,
        theta: float,
        underlying: float,
    ) -> None:
        """IV and Greeks."""
        if (line := self._line(req_id)) is not None:
            line.ticks.computation(tick_type, iv, delta, gamma, vega, theta, underlying)

    def marketDataType(self, req_id: int, kind: int) -> None:
        """The data type of this line."""
        if (line := self._line(req_id)) is not None:
            line.ticks.kind(kind)

    def tickReqParams(self, req_id: int, _tick: float, _exchanges: str, _rights: int) -> None:
        """The line is served."""
        if (line := self._line(req_id)) is not None:
            line.ticks.alive()

    def _line(self, req_id: int) -> Line | None:
        line = self.lines.get(req_id)
        if line is None and req_id in self.closed_lines:
            self.on_late_tick(req_id)
        return line

    def _part(self, req_id: int, item: Any) -> None:
        if (request := self.requests.get(req_id)) is not None:
            request.part(item)

    def _end(self, req_id: int) -> None:
        if (request := self.requests.get(req_id)) is not None:
            request.end()


def _ignore(*_: Any, **__: Any) -> None:
    """Callbacks nobody asked for."""
