"""
A simulated TWS gateway: a real TCP server that speaks the TWS protocol and keeps IB's limits.

    async with Gateway(market, faults=[Silent(share=0.05)]) as gateway:
        await ib.connectAsync("127.0.0.1", gateway.port, clientId=100)

It never trades: a what-if order gets its margins, any other order is refused with 201 and counted.
Everything it counts can be read while it runs and after it has closed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tomic.sim.faults import Fault
from tomic.sim.faults.interference import Interference
from tomic.sim.market import Market
from tomic.sim.market.fills import Times
from tomic.sim.server.connection import Connection
from tomic.sim.server.limits import HistoryMeter, Limits, PeakMeter, Profile
from tomic.sim.server.lookup import Throttle
from tomic.wire.framing import MAX_VERSION, MIN_VERSION
from tomic.wire.orders import PlaceOrder

_KEPT = 5_000
_METERS = 50
_GOODBYE_S = 0.5


@dataclass(frozen=True, slots=True)
class SaidError:
    """One error message the gateway has sent."""

    client_id: int | None
    req_id: int
    code: int
    text: str


class Gateway:
    """
    An asyncio server on one market.

    Args:
        market: Where contracts, quotes, bars and the account come from.
        host, port: Where to listen; port 0 takes a free one, see :attr:`port`.
        faults: What goes wrong.
        seed: Of the delays and of the contracts that a share of faults hits.
        profile: How fast it answers.
        limits: What it allows.
        read_only: Refuse even what-if orders, as TWS does with its read-only setting.
        server_version: The highest server version it offers, 157 to 178.
        clock: Seconds for the ten-minute history limit; the loop's clock by default.
        times: The login's time zone, and the form in which times are written.

    Raises:
        ValueError: The server version is not one of those.
        OSError: The port is taken (on entering the context).
    """

    def __init__(
        self,
        market: Market,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        seed: int = 0,
        profile: Profile | None = None,
        limits: Limits | None = None,
        read_only: bool = False,
        server_version: int = MAX_VERSION,
        clock: Callable[[], float] | None = None,
        times: Times | None = None,
    ) -> None:
        if not MIN_VERSION <= server_version <= MAX_VERSION:
            known = f"{MIN_VERSION} to {MAX_VERSION}"
            raise ValueError(f"server_version must be {known}, got {server_version}")
        self.market, self.host, self.port = market, host, port
        self.profile, self.limits = profile or Profile(), limits or Limits()
        self.read_only, self.server_version = read_only, server_version
        self.times = times or Times()
        self.interference = Interference(faults, seed)
        self.rng = random.Random(seed)
        self.clock = clock or self.time
        self.history_meter = HistoryMeter(self.limits)
        self.throttles: dict[str, Throttle] = {}
        self.clients: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.loop: asyncio.AbstractEventLoop
        self._server: asyncio.Server | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._peaks: deque[PeakMeter] = deque(maxlen=_METERS)
        self._fullest_second = 0
        self._meters: dict[Connection, PeakMeter] = {}
        self._open: Counter[str] = Counter()
        self._peak: Counter[str] = Counter()
        self._reset_counts()

    def _reset_counts(self) -> None:
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
        self.errors: list[SaidError] = []
        """What was said with an error code, the last few thousand."""
        self.unreadable: list[str] = []
        """Why connections were closed whose bytes could not be read."""

    # running

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        """How often each error code was said."""
        return Counter(error.code for error in self.errors)

    # what connections tell

    def client_ids(self) -> set[int]:
        """Ids of the clients that are connected."""
        return {one.client_id for one in self.clients if one.client_id is not None}

    def joined(self, client: Connection) -> None:
        """A client has connected."""
        self.connections += 1
        self.clients.add(client)
        self._empty.clear()
        self._meters[client] = PeakMeter()
        self._peaks.append(self._meters[client])

    def left(self, client: Connection) -> None:
        """A client has gone; whatever it left open is closed."""
        self.clients.discard(client)
        meter = self._meters.pop(client, None)
        if meter is not None:
            self._fullest_second = max(self._fullest_second, meter.peak())
        if not client.cut:
            self.leaked += len(client.lines)
        client.lines.lose_all()
        for req_id in list(client.open):
            client.end(req_id)
        if not self.clients:
            self._empty.set()

    def arrived(self, client: Connection, now: float) -> None:
        """A message has come in."""
        self.messages += 1
        self._meters[client].arrive(now)

    def counted(self, kind: str) -> None:
        """A message was read."""
        self.by_kind[kind] += 1

    def opened(self, kind: str) -> None:
        """A request was opened."""
        self._open[kind] += 1
        self._peak[kind] = max(self._peak[kind], self._open[kind])

    def ended(self, kind: str) -> None:
        """A request was closed."""
        self._open[kind] -= 1

    def line_opened(self) -> None:
        """A market-data line was opened."""
        self.lines_open += 1
        self.peak_lines = max(self.peak_lines, self.lines_open)

    def line_closed(self) -> None:
        """A market-data line was closed."""
        self.lines_open -= 1

    def noted(self, client: Connection, req_id: int, code: int, text: str) -> None:
        """An error was said; the farms' good news is not kept."""
        if code not in (2104, 2106, 2158):
            self.errors.append(SaidError(client.client_id, req_id, code, text))
            if len(self.errors) > 2 * _KEPT:
                del self.errors[:_KEPT]
