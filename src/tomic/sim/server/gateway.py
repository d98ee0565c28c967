"""
A simulated TWS gateway: a real TCP server that speaks the TWS protocol and keeps IB's limits.

    async with Gateway(market, faults=[Silent(share=0.05)]) as gateway:
        await ib.connectAsync("127.0.0.1", gateway.port, clientId=100)

It never trades: a what-if order gets its margins, any other order is refused with 201 and counted.
Everything it counts can be read while it runs and after it has closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from tomic.sim.faults import Fault
from tomic.sim.market import Market
from tomic.sim.server.connection import Connection
from tomic.sim.server.limits import Limits, Profile, Times
from tomic.sim.server.state import GatewayState
from tomic.wire.framing import MAX_VERSION

_GOODBYE_S = 0.5


class Gateway(GatewayState):
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
        super().__init__(
            market,
            faults=faults,
            seed=seed,
            profile=profile,
            limits=limits,
            read_only=read_only,
            server_version=server_version,
            clock=clock,
            times=times,
        )
        self.host, self.port = host, port
        self._server: asyncio.Server | None = None
        self._restarting: asyncio.Task[None] | None = None

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
