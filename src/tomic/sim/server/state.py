"""
What the connections of one gateway share and count, and a client as those who answer it see it.

Everything that is counted here can be read while the gateway runs and after it has closed.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tomic.sim.faults import Fault, Interference, Refuse, Slow, Trouble, Verbatim
from tomic.sim.market import Market
from tomic.sim.server.limits import HistoryMeter, Limits, PeakMeter, Profile, Times, text_of
from tomic.wire.answers import Error
from tomic.wire.framing import MAX_VERSION, MIN_VERSION, frame_fields
from tomic.wire.orders import PlaceOrder
from tomic.wire.protocol import ANSWERS

Handlers = dict[type, tuple[str, Callable[[Any], None]]]
"""By class of a request: the kind under which faults and counters know it, and who answers it."""
ANSWERLESS = "other"
"""The kind of the requests that TWS answers with nothing."""
_KEPT = 5_000
_METERS = 50


@dataclass(frozen=True, slots=True)
class SentError:
    """One error message the gateway has sent."""

    client_id: int | None
    req_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One time that a client went over a limit of IB; what faults do of themselves is none."""

    limit: str
    """``messages``, ``lines``, ``history``, ``summaries`` or ``clients``, as in :class:`Limits`."""
    client_id: int | None
    text: str
    """What happened, with the figures where there are any."""


class GatewayState(ABC):
    """The market, the rules, the faults and the counts that all connections of a gateway share."""

    def __init__(
        self,
        market: Market,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        seed: int = 0,
        profile: Profile | str | None = None,
        limits: Limits | None = None,
        read_only: bool = False,
        server_version: int = MAX_VERSION,
        clock: Callable[[], float] | None = None,
        times: Times | None = None,
    ) -> None:
        if not MIN_VERSION <= server_version <= MAX_VERSION:
            known = f"{MIN_VERSION} to {MAX_VERSION}"
            raise ValueError(f"server_version must be {known}, got {server_version}")
        self.host, self.port = host, port
        self._server: asyncio.Server | None = None
        self._restarting: asyncio.Task[None] | None = None
        self.market = market
        if isinstance(profile, str):
            profile = Profile.named(profile)
        self.profile, self.limits = profile or Profile(), limits or Limits()
        self.read_only, self.server_version = read_only, server_version
        self.times = times or Times()
        self.interference = Interference(faults, seed)
        self.rng = random.Random(seed)
        self.clock = clock or self.time
        self.loop: asyncio.AbstractEventLoop
        self.history_meter = HistoryMeter(self.limits)
        self.details_queues: dict[str, DetailsQueue] = {}
        self.clients: set[Client] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._peaks: deque[PeakMeter] = deque(maxlen=_METERS)
        self._fullest_second = 0
        self._meters: dict[Client, PeakMeter] = {}
        self._open: Counter[str] = Counter()
        self._peak: Counter[str] = Counter()
        self.messages = 0
        """Messages received, the handshake not counted."""
        self.by_kind: Counter[str] = Counter()
        """Messages that were read and not lost, by kind."""
        self.connections = 0
        self.lines_open = 0
        self.peak_lines = 0
        self.leaked = 0
        """Lines open when their client closed the connection."""
        self.orders = 0
        """Orders that were no what-if."""
        self.orders_seen: list[PlaceOrder] = []
        self.what_ifs = 0
        self.details_exact = 0
        self.details_open = 0
        self.history_requests = 0
        self.rows: Counter[str] = Counter()
        """Finished rows, ``quotes`` and ``contract_details``."""
        self.errors: list[SentError] = []
        """The last few thousand errors sent."""
        self.violations: list[Violation] = []
        """The last few thousand times that a client went over a limit."""
        self.unreadable: list[str] = []
        """Why connections were closed whose bytes could not be read."""

    @abstractmethod
    def restart(self, down_for_s: float) -> None:
        """Cut everything, listen to nobody for a while, then come back on the same port."""

    @abstractmethod
    def change_port(self) -> None:
        """Tell every client the port that will serve from now on, and cut it."""

    def time(self) -> float:
        """The loop's clock."""
        return self.loop.time()

    # faults

    def add(self, fault: Fault) -> None:
        """Bring a fault in from now on."""
        self.interference.add(fault)

    def remove(self, fault: Fault) -> None:
        """Take a fault out."""
        self.interference.remove(fault)

    def clear(self) -> None:
        """Take every fault out."""
        self.interference.clear()

    # what tests read

    def peak_messages(self, window_s: float = 1.0) -> int:
        """
        The most messages of one client in any exact window, lost ones included.

        Windows other than a second are known of the last fifty connections only.
        """
        known = self._fullest_second if window_s == 1.0 else 0
        return max(known, *(meter.peak(window_s) for meter in self._peaks), 0)

    def peak(self, kind: str) -> int:
        """The most requests of one kind that were open at once."""
        return self._peak[kind]

    def open(self, kind: str) -> int:
        """Requests of one kind that are open now."""
        return self._open[kind]

    def codes(self) -> Counter[int]:
        """How often each error code was sent."""
        return Counter(error.code for error in self.errors)

    # what connections tell

    def client_ids(self) -> set[int]:
        """Ids of the clients that are connected."""
        return {client.client_id for client in self.clients if client.client_id is not None}

    def joined(self, client: Client) -> None:
        """A client has connected."""
        self.connections += 1
        self.clients.add(client)
        self._empty.clear()
        self._meters[client] = PeakMeter()
        self._peaks.append(self._meters[client])

    def left(self, client: Client, lines: int) -> None:
        """A client has gone with so many lines open; whatever else it left open is closed."""
        self.clients.discard(client)
        meter = self._meters.pop(client, None)
        if meter is not None:
            self._fullest_second = max(self._fullest_second, meter.peak())
        if not client.cut:
            self.leaked += lines
        client.lose_lines()
        for req_id in list(client.open):
            client.end(req_id)
        if not self.clients:
            self._empty.set()

    def arrived(self, client: Client, now: float) -> None:
        """A message has come in."""
        self.messages += 1
        self._meters[client].arrive(now)

    def opened(self, kind: str) -> None:
        """A request was opened."""
        self._open[kind] += 1
        self._peak[kind] = max(self._peak[kind], self._open[kind])

    def ended(self, kind: str) -> None:
        """A request was closed."""
        self._open[kind] -= 1

    def noted(self, client: Client, req_id: int, code: int, text: str) -> None:
        """Record an error; 'farm is OK' notices are dropped."""
        if code not in (2104, 2106, 2158):
            self.errors.append(SentError(client.client_id, req_id, code, text))
            if len(self.errors) > 2 * _KEPT:
                del self.errors[:_KEPT]

    def violated(self, client: Client, limit: str, text: str) -> None:
        """Record that a client went over a limit."""
        self.violations.append(Violation(limit, client.client_id, text))
        if len(self.violations) > 2 * _KEPT:
            del self.violations[:_KEPT]


class DetailsQueue:
    """Open-ended details requests of one symbol: one at a time, first come first served."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[Callable[[], None]], bool]] = deque()
        self._busy = False

    def put(self, job: Callable[[Callable[[], None]], bool]) -> None:
        """
        Run *job* when its turn comes.

        A job is passed the function to call when it is done, and returns whether it has started;
        when its client has gone it returns False, and the next job gets its turn.
        """
        self._waiting.append(job)
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = False
        while self._waiting and not self._busy:
            self._busy = self._waiting.popleft()(self._next)


_SEGMENT = 1460
"""Bytes that travel together."""


class SlowLink:
    """
    The way of bytes to one client over a link that is slower than the gateway writes.

    Args:
        deliver: Hands bytes to the client.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, slow: Slow, deliver: Callable[[bytes], None]
    ) -> None:
        self._loop, self._slow, self._deliver = loop, slow, deliver
        self._segments: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._when_empty: Callable[[], None] | None = None

    @property
    def waiting(self) -> int:
        """Bytes that have not left yet."""
        return round(max(self._free_at - self._loop.time(), 0.0) * self._slow.rate)

    @property
    def jammed(self) -> bool:
        """Whether so much waits that lines are not updated."""
        return 0 < self._slow.buffer < self.waiting

    def send(self, data: bytes) -> None:
        """Put bytes behind those that wait."""
        for start in range(0, len(data), _SEGMENT):
            segment = data[start : start + _SEGMENT]
            begin = max(self._free_at, self._loop.time())
            self._free_at = begin + len(segment) / self._slow.rate
            self._segments.append((self._free_at + self._slow.latency, segment))
        self._arm()

    def close(self, hang_up: Callable[[], None]) -> None:
        """Call *hang_up* behind the last byte."""
        self._when_empty = hang_up
        self._arm()

    def stop(self) -> None:
        """Forget what is under way."""
        self._segments.clear()
        self._when_empty = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None:
            due = self._segments[0][0] if self._segments else self._loop.time()
            self._timer = self._loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now = self._loop.time() + 1e-6
        while self._segments and self._segments[0][0] <= now:
            self._deliver(self._segments.popleft()[1])
        if self._segments:
            self._arm()
        elif self._when_empty is not None:
            self._when_empty()


class Client(ABC):
    """One client of the gateway: messages to it, its open requests, its timers and its faults."""

    def __init__(self, gateway: GatewayState) -> None:
        self.gateway = gateway
        self.version = 0
        self.client_id: int | None = None
        self.data_type = 1
        self.closed = False
        self.cut = False
        """The gateway, not the client, ended the connection."""
        self.open: dict[int, str] = {}
        """Request ids that wait for an answer or stream, with their kind."""
        self.on_close: list[Callable[[], None]] = []
        """Called when the connection has ended."""
        self.trouble = Trouble(self)
        self._timers: set[asyncio.TimerHandle] = set()
        self._out = bytearray()
        self._flushing = False
        self._transport: asyncio.Transport | None = None
        self._slow_link: SlowLink | None = None

    @property
    def interference(self) -> Interference:
        """The faults in force."""
        return self.gateway.interference

    @abstractmethod
    def lose_lines(self) -> None:
        """Drop every market-data line without telling the client."""

    def restart(self, down_for_s: float) -> None:
        """Have the whole gateway cut everything and come back on the same port."""
        self.gateway.restart(down_for_s)

    def change_port(self) -> None:
        """Have the whole gateway move to another port."""
        self.gateway.change_port()

    def drop(self) -> None:
        """Cut the connection, after what was written has left."""
        if not self.closed and not self.cut:
            self._flush()
            self.cut = True
            if self._slow_link is not None:
                self._slow_link.close(self._hang_up)
            else:
                self._hang_up()

    def abort(self) -> None:
        """Cut the connection at once; what was not sent is lost."""
        self.cut = True
        if self._slow_link is not None:
            self._slow_link.stop()
        if self._transport is not None:
            self._transport.abort()

    # messages out

    def send(self, answer: object) -> None:
        """Send one message, unless a fault keeps it back."""
        if self._speaks:
            self.write(ANSWERS.encode(answer, self.version))

    def send_fields(self, fields: Sequence[str]) -> None:
        """Send one message that is in fields already, unless a fault keeps it back."""
        if self._speaks:
            self.write(frame_fields(fields))

    @property
    def _speaks(self) -> bool:
        return not self.closed and not self.cut and not self.trouble.mute

    def send_all(self, answers: Iterator[object] | Sequence[object]) -> None:
        """Send several messages in order."""
        for answer in answers:
            self.send(answer)

    def error(self, req_id: int, code: int, *details: object, text: str = "") -> None:
        """Send an error in TWS's words, or in others for the same code, and note it."""
        text = text or text_of(code, *details)
        self.gateway.noted(self, req_id, code, text)
        self.send(Error(req_id, code, text))

    def refuse(self, req_id: int, fault: Refuse) -> None:
        """Refuse a request as *fault* says."""
        self.error(req_id, fault.code, "refused on purpose", text=fault.text)

    def repeat(self, req_id: int, fault: Verbatim) -> bool:
        """Send the messages of a fault; tell whether the usual answer follows."""
        for message in fault.fields(req_id):
            self.write(frame_fields(message))
        return fault.first

    def row_done(self, of: str) -> None:
        """A row of ``quotes`` or ``contract_details`` has been sent."""
        self.gateway.rows[of] += 1
        self.trouble.row_done(of)

    def write(self, data: bytes) -> None:
        """Put bytes in line; they leave once per turn of the loop."""
        self._out += self.trouble.spoil(data)
        if not self._flushing:
            self._flushing = True
            self.gateway.loop.call_soon(self._flush)

    @property
    def delay_s(self) -> float:
        """How long a message of the client is under way on a slow link."""
        return max((fault.latency for fault in self.interference.of(Slow)), default=0.0)

    @property
    def jammed(self) -> bool:
        """Whether the link is so slow that lines are not updated now."""
        return self._slow_link is not None and self._slow_link.jammed

    def _flush(self) -> None:
        self._flushing = False
        if self._out and self._transport is not None and not self.cut and not self.closed:
            self._link_out()(bytes(self._out))
        self._out.clear()

    def _link_out(self) -> Callable[[bytes], None]:
        """The way out: that of a slow link once there was such a fault, so that order is kept."""
        slow = self.interference.of(Slow)
        if self._slow_link is None and slow:
            self._slow_link = SlowLink(self.gateway.loop, slow[0], self._hand_over)
        return self._hand_over if self._slow_link is None else self._slow_link.send

    def _hand_over(self, data: bytes) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

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
        """Close a request; False when no request has that id."""
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
