"""One client of the simulated gateway: its bytes, its pace, its open requests, its faults."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from tomic.sim import faults
from tomic.sim.faults.interference import Subject
from tomic.sim.faults.trouble import Trouble
from tomic.sim.server.ledger import Ledger
from tomic.sim.server.limits import MessageMeter, text_of
from tomic.sim.server.lines import Subscriptions
from tomic.sim.server.lookup import Lookup, subject_of
from tomic.sim.server.series import BarAnswers
from tomic.wire import requests
from tomic.wire.answers import Error, ManagedAccounts, NextValidId
from tomic.wire.framing import Hello, RequestStream, WireError, frame_fields
from tomic.wire.orders import PlaceOrder
from tomic.wire.protocol import ANSWERS, REQUESTS

if TYPE_CHECKING:
    from tomic.sim.server.gateway import Gateway


KINDS: dict[type, str] = {
    requests.ReqMarketData: "market_data",
    requests.CancelMarketData: "cancel_market_data",
    requests.ReqContractDetails: "contract_details",
    requests.ReqOptionParams: "option_params",
    requests.ReqHistory: "history",
    requests.CancelHistory: "cancel_history",
    requests.ReqPositions: "positions",
    requests.ReqPositionsMulti: "positions",
    requests.ReqAccountSummary: "account_summary",
    requests.CancelAccountSummary: "cancel_account_summary",
    requests.ReqAccountUpdates: "account_updates",
    requests.ReqAccountUpdatesMulti: "account_updates",
    requests.ReqCurrentTime: "current_time",
    requests.ReqMarketDataType: "market_data_type",
    requests.ReqMatchingSymbols: "matching_symbols",
    requests.ReqMarketRule: "market_rule",
    requests.ReqOpenOrders: "open_orders",
    requests.ReqAllOpenOrders: "open_orders",
    requests.ReqCompletedOrders: "completed_orders",
    requests.ReqExecutions: "executions",
    requests.ReqPnL: "pnl",
    requests.ReqManagedAccounts: "managed_accounts",
    requests.ReqIds: "ids",
    requests.ReqUserInfo: "user_info",
    requests.StartApi: "start_api",
    PlaceOrder: "place_order",
}
"""The name under which faults and counters know a message; the rest have no answer, ``other``."""

_LAST_KNOWN = 104
"""The highest request id of server version 178, served here or not."""


class Connection(asyncio.Protocol):
    """Reads messages, keeps the rules that hold for all of them, and hands them on."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.version = 0
        self.client_id: int | None = None
        self.data_type = 1
        self.received = 0
        self.started = False
        self.closed = False
        self.cut = False
        """The gateway, not the client, ended the connection."""
        self.open: dict[int, str] = {}
        """Request ids that wait for an answer or stream, with their kind."""
        self.on_close: list[Callable[[], None]] = []
        """Called when the connection has ended."""
        self.trouble = Trouble(self)
        self._stream = RequestStream()
        self._meter = MessageMeter(gateway.limits.messages_per_s, gateway.limits.strikes)
        self._inbox: deque[tuple[float, object]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._out = bytearray()
        self._flushing = False
        self._transport: asyncio.Transport | None = None
        self.lines = Subscriptions(self)
        self._handlers: dict[type, Callable[[Any], None]] = {
            requests.StartApi: self._start,
            requests.ReqMarketDataType: self._set_data_type,
        }
        for part in (self.lines, Lookup(self), BarAnswers(self), Ledger(self)):
            self._handlers.update(part.handlers())

    # the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self.gateway.joined(self)
        closing = self.gateway.interference.of(faults.CloseOnConnect)
        unwanted = any(self.gateway.interference.strike(one, one.times) for one in closing)
        if unwanted or len(self.gateway.clients) > self.gateway.limits.clients:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was cut."""
        self.closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.gateway.left(self)
        for call in self.on_close:
            call()
        self.on_close.clear()

    def drop(self) -> None:
        """Cut the connection, after what was written has left."""
        if not self.closed and not self.cut:
            self._flush()
            self.cut = True
            if self._transport is not None:
                self._transport.close()

    def abort(self) -> None:
        """Cut the connection at once; what was not sent is lost."""
        self.cut = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.cut:
            return
        try:
            for item in self._stream.feed(data):
                if isinstance(item, Hello):
                    self._greet(item)
                else:
                    self._arrived(item)
        except WireError as exc:
            self.gateway.unreadable.append(str(exc))
            self.drop()

    # the handshake

    def _greet(self, hello: Hello) -> None:
        agreed = hello.negotiate(highest=self.gateway.server_version)
        if agreed is None:
            self.gateway.unreadable.append(f"no common version with {hello}")
            self.drop()
            return
        self.version = agreed
        if not self.gateway.interference.of(faults.NoHandshake):
            stamp = self.gateway.times.greeting(self.gateway.market.now())
            self.write(frame_fields((str(agreed), stamp)))

    def _start(self, request: requests.StartApi) -> None:
        held = self.gateway.interference.of(faults.ClientIdInUse)
        taken = any(request.client_id in fault.ids for fault in held)
        if taken or request.client_id in self.gateway.client_ids():
            self.error(-1, 326)
            self.drop()
            return
        if self.started:
            self.error(-1, 501)
            return
        self.client_id, self.started = request.client_id, True
        accounts = ",".join(self.gateway.market.book().accounts)
        self.send(ManagedAccounts(accounts))
        if not self.gateway.interference.of(faults.NoNextValidId):
            self.send(NextValidId(1))
        for code in (2104, 2106, 2158):
            self.error(-1, code)

    def _set_data_type(self, request: requests.ReqMarketDataType) -> None:
        if request.data_type in (1, 2, 3, 4):
            self.data_type = request.data_type
        else:
            self.error(-1, 321, f"Invalid market data type {request.data_type}")

    # messages in

    def _arrived(self, parts: tuple[str, ...]) -> None:
        if self.cut or not self.version:
            return
        now = self.gateway.time()
        self.received += 1
        self.gateway.arrived(self, now)
        self.trouble.after_message(self.received)
        if self.cut or self._lost_to_pace(now) or self.trouble.deaf:
            return
        request = self._read(parts)
        if request is None:
            return
        kind = KINDS.get(type(request), "other")
        self.gateway.counted(kind)
        delays = self.gateway.interference.of(faults.Delay)
        delay = sum(fault.seconds for fault in delays if fault.on in ("", kind))
        if delay:
            self.later(self.gateway.profile.latency_s + delay, self._handle, request)
            return
        self._inbox.append((now + self.gateway.profile.latency_s, request))
        if len(self._inbox) == 1:
            self.later(self.gateway.profile.latency_s, self._pump)

    def _pump(self) -> None:
        now = self.gateway.time()
        while self._inbox and self._inbox[0][0] <= now + 1e-6:
            _, request = self._inbox.popleft()
            self._handle(request)
        if self._inbox:
            self.later(max(self._inbox[0][0] - now, 0.0), self._pump)

    def _lost_to_pace(self, now: float) -> bool:
        rate = self._meter.arrive(now)
        strikes = self.gateway.interference.of(faults.PacingStrike)
        if rate is None and any(self.received in fault.at for fault in strikes):
            self._meter.strike(now)
            rate = (self.gateway.limits.messages_per_s or 50) + 1
        if rate is None:
            return False
        self.error(-1, 100, self.gateway.limits.messages_per_s or 50, rate, self._meter.strikes)
        if self._meter.out:
            self.drop()
        return True

    def _read(self, parts: tuple[str, ...]) -> object | None:
        try:
            return REQUESTS.decode(parts, self.version)
        except WireError as exc:
            ident = int(parts[0]) if parts and parts[0].isdecimal() else -1
            if ident in REQUESTS.ids():
                self.error(_request_id(parts, ident), 320, exc)
            else:
                self.error(_request_id(parts, ident), 505)
            return None

    def _handle(self, request: object) -> None:
        if self.cut or self.closed:
            return
        if not self.started and not isinstance(request, requests.StartApi):
            self.error(-1, 504)
            return
        kind = KINDS.get(type(request), "other")
        if self.trouble.holds(kind):
            return
        if kind not in ("market_data", "start_api") and self._interfered(kind, request):
            return
        self._dispatch(request)

    def _dispatch(self, request: object) -> None:
        self._handlers[type(request)](request)

    def _interfered(self, kind: str, request: object) -> bool:
        interference = self.gateway.interference
        subject = subject_of(self.gateway.market, request) if interference.any() else Subject()
        if interference.aimed(faults.Silent, kind, subject):
            return True
        refused = interference.aimed(faults.Refuse, kind, subject)
        if refused is not None:
            ident = getattr(request, "req_id", getattr(request, "order_id", -1))
            self.error(ident, refused.code, "refused on purpose")
            return True
        late = interference.aimed(faults.Late, kind, subject)
        if late is not None:
            self.later(late.seconds, self._dispatch, request)
            return True
        return False

    # messages out

    def send(self, answer: object) -> None:
        """Send one message, unless a fault keeps it back."""
        if not self.closed and not self.cut and not self.trouble.mute:
            self.write(ANSWERS.encode(answer, self.version))

    def send_all(self, answers: Iterator[object] | Sequence[object]) -> None:
        """Send several messages in order."""
        for answer in answers:
            self.send(answer)

    def error(self, req_id: int, code: int, *details: object, text: str = "") -> None:
        """Send an error in TWS's words, or in others for the same code, and note it."""
        text = text or text_of(code, *details)
        self.gateway.noted(self, req_id, code, text)
        self.send(Error(req_id, code, text))

    def write(self, data: bytes) -> None:
        """Put bytes in line; they leave once per turn of the loop."""
        self._out += self.trouble.spoil(data)
        if not self._flushing:
            self._flushing = True
            self.gateway.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._out and self._transport is not None and not self.cut and not self.closed:
            self._transport.write(bytes(self._out))
        self._out.clear()

    # open requests and time

    def begin(self, req_id: int, kind: str) -> bool:
        """Open a request; False, after error 322, when the id is in use."""
        if req_id in self.open:
            self.error(req_id, 322, "Duplicate ticker id")
            return False
        self.open[req_id] = kind
        self.gateway.opened(kind)
        return True

    def end(self, req_id: int) -> bool:
        """Close a request; False when there is none of that id."""
        kind = self.open.pop(req_id, None)
        if kind is None:
            return False
        self.gateway.ended(kind)
        return True

    def later(self, delay_s: float, call: Callable[..., None], *args: Any) -> None:
        """Call after *delay_s* seconds, unless the connection has ended by then."""
        if self.closed:
            return
        timer: asyncio.TimerHandle

        def fire() -> None:
            self._timers.discard(timer)
            if not self.closed:
                call(*args)

        timer = self.gateway.loop.call_later(delay_s, fire)
        self._timers.add(timer)

    def draw(self, span: tuple[float, float]) -> float:
        """A delay between two bounds."""
        return self.gateway.rng.uniform(*span) if span[1] > 0.0 else 0.0


def _request_id(parts: Sequence[str], ident: int) -> int:
    """The request id of a message that cannot be read: where its layout usually has it."""
    if not 1 <= ident <= _LAST_KNOWN:
        return -1
    place = 2 if ident <= 77 and ident not in (3, 20, 22) else 1
    text = parts[place] if len(parts) > place else ""
    return int(text) if text.isdecimal() and len(text) < 10 else -1
