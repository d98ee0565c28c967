"""
A simulated TWS gateway: a real TCP server that speaks the TWS protocol and keeps IB's limits.

    async with Gateway(market, faults=[Silent(share=0.05)]) as gateway:
        await ib.connectAsync("127.0.0.1", gateway.port, clientId=100)

It never trades: a what-if order gets its margins, any other order is refused with 201 and counted.
Everything it counts can be read while it runs and after it has closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Self, cast

from tomic.sim import faults
from tomic.sim.faults import Subject
from tomic.sim.server.ledger import Ledger
from tomic.sim.server.limits import MessageMeter
from tomic.sim.server.lookup import Lookup, subject_of
from tomic.sim.server.market_data import BarAnswers, Subscriptions
from tomic.sim.server.reference_data import ReferenceData
from tomic.sim.server.state import Client, GatewayState, Handlers
from tomic.sim.server.streams import Streams
from tomic.wire import requests
from tomic.wire.answers import ManagedAccounts, NextValidId
from tomic.wire.framing import Hello, RequestStream, WireError, frame_fields
from tomic.wire.protocol import REQUESTS

_GOODBYE_S = 0.5
_LAST_KNOWN = 104
"""The highest request id of server version 178, served here or not."""


class Gateway(GatewayState):
    """
    An asyncio server on one market.

    Args:
        market: Where contracts, quotes, bars and the account come from.
        host, port: Where to listen; port 0 takes a free one, see :attr:`port`.
        faults: What goes wrong.
        seed: Of the delays and of the contracts that a share of faults hits.
        profile: How it speaks and how fast: ``reality`` (the default) has the warts of TWS,
            ``tidy`` has none and is for what must be the same to the byte; or a :class:`Profile`.
        limits: What it allows.
        read_only: Refuse even what-if orders, as TWS does with its read-only setting.
        server_version: The highest server version it offers, 157 to 178.
        clock: Seconds for the ten-minute history limit; the loop's clock by default.
        times: The login's time zone, and the form in which times are written.

    Raises:
        ValueError: The server version or the profile is not one of those.
        OSError: The port is taken (on entering the context).
    """

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _listen(self) -> None:
        self._server = await self.loop.create_server(lambda: Connection(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
            self._restarting = None
        await self._stop()

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for client in list(self.clients):
            client.drop()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._empty.wait()
        except TimeoutError:
            # A client that reads nothing would keep its connection for ever.
            for client in list(self.clients):
                client.abort()
        await server.wait_closed()
        await self._empty.wait()

    def restart(self, down_for_s: float) -> None:
        """Cut everything, listen to nobody for a while, then come back on the same port."""
        if self._restarting is None or self._restarting.done():
            self._restarting = self.loop.create_task(self._restart(down_for_s))

    async def _restart(self, down_for_s: float) -> None:
        await self._stop()
        await asyncio.sleep(down_for_s)
        await self._listen()

    def change_port(self) -> None:
        """Tell every client the port that will serve from now on, and cut it."""
        if self._restarting is None or self._restarting.done():
            self._restarting = self.loop.create_task(self._change_port())

    async def _change_port(self) -> None:
        server = self._server
        self.port = 0
        await self._listen()
        for client in list(self.clients):
            client.error(-1, 1300, self.port)
            client.drop()
        if server is not None:
            server.close()


class Connection(Client, asyncio.Protocol):
    """Reads messages, keeps the rules that hold for all of them, and hands them on."""

    def __init__(self, gateway: GatewayState) -> None:
        super().__init__(gateway)
        self.received = 0
        self.started = False
        self._stream = RequestStream()
        self._unread = bytearray()
        self._meter = MessageMeter(gateway.limits.messages_per_s, gateway.limits.strikes)
        self._inbox: deque[tuple[float, object]] = deque()
        self._lines = Subscriptions(self)
        self._handlers: Handlers = {
            requests.StartApi: ("start_api", self._start),
            requests.ReqMarketDataType: ("market_data_type", self._set_data_type),
        }
        for part in (
            self._lines,
            Lookup(self),
            BarAnswers(self),
            Streams(self),
            ReferenceData(self),
            Ledger(self),
        ):
            self._handlers.update(part.handlers())

    def lose_lines(self) -> None:
        """Drop every market-data line without telling the client."""
        self._lines.lose_all()

    # the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self.gateway.joined(self)
        closing = self.interference.of(faults.CloseOnConnect)
        unwanted = any(self.interference.strike(fault, fault.times) for fault in closing)
        allowed = self.gateway.limits.clients
        if len(self.gateway.clients) > allowed:
            self.gateway.violated(self, "clients", f"more than {allowed} clients at once")
        if unwanted or len(self.gateway.clients) > allowed:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was cut."""
        self.closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._slow_link is not None:
            self._slow_link.stop()
        self.gateway.left(self, len(self._lines))
        for call in self.on_close:
            call()
        self.on_close.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        stalls = self.interference.of(faults.Stalls)
        left_s = max((fault.left_s(self.gateway.time()) for fault in stalls), default=0.0)
        if self._unread or left_s > 0.0:
            if not self._unread:
                self.later(left_s + 1e-6, self._read_on)
            self._unread += data
        else:
            self._take(data)

    def _read_on(self) -> None:
        data = bytes(self._unread)
        self._unread.clear()
        self._take(data)

    def _take(self, data: bytes) -> None:
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
        if not self.interference.of(faults.NoHandshake):
            self._greet_with(agreed)

    def _greet_with(self, version: int) -> None:
        refusal = self.interference.of(faults.NoCommonVersion)
        for newer in self.interference.of(faults.NewerServer):
            version = newer.version
        if not refusal or any(fault.greeted for fault in refusal):
            stamp = self.gateway.times.greeting(self.gateway.market.now())
            self.write(frame_fields((str(version), stamp)))
        if refusal:
            self.drop()

    def _start(self, request: requests.StartApi) -> None:
        in_use = self.interference.of(faults.ClientIdInUse)
        taken = any(request.client_id in fault.ids for fault in in_use)
        if taken or request.client_id in self.gateway.client_ids():
            self.error(-1, 326)
            self.drop()
            return
        if self.started:
            self.error(-1, 501)
            return
        for refusal in self.interference.of(faults.TurnedAway):
            self.error(-1, refusal.code)
            if refusal.in_use:
                self.error(-1, 326)
            if refusal.closes:
                self.drop()
            return
        self.client_id, self.started = request.client_id, True
        accounts = ",".join(self.gateway.market.accounts())
        self.send(ManagedAccounts(accounts))
        if not self.interference.of(faults.NoNextValidId):
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
        kind, _ = self._handlers[type(request)]
        self.gateway.by_kind[kind] += 1
        delays = self.interference.of(faults.Delay)
        delay = sum(fault.seconds for fault in delays if fault.on in ("", kind))
        latency_s = self.gateway.profile.latency_s + self.delay_s
        if delay:
            self.later(latency_s + delay, self._handle, request)
            return
        self._inbox.append((now + latency_s, request))
        if len(self._inbox) == 1:
            self.later(latency_s, self._pump)

    def _pump(self) -> None:
        now = self.gateway.time()
        while self._inbox and self._inbox[0][0] <= now + 1e-6:
            _, request = self._inbox.popleft()
            self._handle(request)
        if self._inbox:
            self.later(max(self._inbox[0][0] - now, 0.0), self._pump)

    def _lost_to_pace(self, now: float) -> bool:
        rate = self._meter.arrive(now)
        if rate is not None:
            most = self._meter.limit
            self.gateway.violated(self, "messages", f"{rate} messages in a second, {most} allowed")
        strikes = self.interference.of(faults.PacingStrike)
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
        kind, answer = self._handlers[type(request)]
        if self.trouble.holds(kind):
            return
        if kind in ("market_data", "start_api") or not self._interfered(kind, request):
            answer(request)

    def _interfered(self, kind: str, request: object) -> bool:
        interference = self.interference
        subject = subject_of(self.gateway.market, request) if interference.any() else Subject()
        if interference.aimed(faults.Silent, kind, subject):
            return True
        refused = interference.aimed(faults.Refuse, kind, subject)
        if refused is not None:
            ident = getattr(request, "req_id", getattr(request, "order_id", -1))
            self.refuse(ident, refused)
            return True
        verbatim = interference.aimed(faults.Verbatim, kind, subject)
        if verbatim is not None:
            ident = getattr(request, "req_id", getattr(request, "order_id", -1))
            if not self.repeat(ident, verbatim):
                return True
        late = interference.aimed(faults.Late, kind, subject)
        if late is not None:
            self.later(late.seconds, self._handlers[type(request)][1], request)
            return True
        return False


def _request_id(parts: Sequence[str], ident: int) -> int:
    """The request id of a message that cannot be read: where its layout usually has it."""
    if not 1 <= ident <= _LAST_KNOWN:
        return -1
    place = 2 if ident <= 77 and ident not in (3, 20, 22) else 1
    text = parts[place] if len(parts) > place else ""
    return int(text) if text.isdecimal() and len(text) < 10 else -1
