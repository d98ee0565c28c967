"""A simulated gateway that listens while a test runs: in the test's own loop, or in a thread."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

from tomic.chain import Chain
from tomic.sim import faults
from tomic.sim.faults import Fault
from tomic.sim.market import Market
from tomic.sim.market.account import PAPER_ACCOUNT
from tomic.sim.market.forex import PER_DOLLAR
from tomic.sim.market.model import ModelMarket
from tomic.sim.replay.chain import Replay
from tomic.sim.replay.recordings import read_session
from tomic.sim.replay.session import SessionReplay
from tomic.sim.server.gateway import Gateway
from tomic.sim.server.limits import Limits, Profile
from tomic.sim.server.state import SentError, Violation
from tomic.testing import accounts as accounting
from tomic.wire.framing import MAX_VERSION
from tomic.wire.orders import PlaceOrder
from tomic.workflows.stand_in import recorded_chain

Pace = Literal["tws", "quick", "instant"]
"""How fast answers come: as those of TWS, quick enough to wait for, or at once."""

T = TypeVar("T")
_LONGEST_S = 60.0
"""What starting or closing takes at most, unless it hangs."""
_TURNS = 5
"""Of a loop, in which it hears what has happened on its sockets."""
_PACES: dict[str, Callable[[], Profile]] = {
    "tws": Profile,
    "quick": Profile.demo,
    "instant": Profile.instant,
}
Call = Callable[[Callable[[], None]], None]
"""Runs something in the loop of the server, and returns when it is done."""


class GatewayPort(int):
    """
    The port of a simulated gateway, to be used as a number, and what the gateway was told.

    Everything can be read while the gateway runs and after it has closed.

    Attributes:
        gateway: The gateway itself, with every counter it has.
    """

    gateway: Gateway
    _call: Call

    def __new__(cls, gateway: Gateway, call: Call) -> Self:
        """The present port of *gateway*."""
        self = super().__new__(cls, gateway.port)
        self.gateway, self._call = gateway, call
        return self

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.gateway.host

    @property
    def port(self) -> int:
        """The port as it is now; another one after the fault ``port_changed``."""
        return self.gateway.port

    @property
    def messages(self) -> int:
        """Messages received so far, of all clients."""
        return self.gateway.messages

    @property
    def requests(self) -> Counter[str]:
        """Messages that were read, by kind: ``market_data``, ``contract_details``, ``history``."""
        return Counter(self.gateway.by_kind)

    @property
    def errors(self) -> list[SentError]:
        """Errors sent so far, oldest first; notes that a farm is fine are left out."""
        return list(self.gateway.errors)

    @property
    def codes(self) -> Counter[int]:
        """How often each error code was sent."""
        return self.gateway.codes()

    @property
    def orders(self) -> list[PlaceOrder]:
        """Orders that were attempted; every one was refused with 201. What-ifs are none."""
        return list(self.gateway.orders_seen)

    @property
    def violations(self) -> list[Violation]:
        """Each time that a client went over a limit of IB, oldest first."""
        return list(self.gateway.violations)

    @property
    def lines_open(self) -> int:
        """Market-data lines that are open now."""
        return self.gateway.lines_open

    @property
    def lines_leaked(self) -> int:
        """Lines that were open when their client closed its connection."""
        return self.gateway.leaked

    def assert_no_pacing_violations(self) -> None:
        """
        Fail the test if a client went over a limit of IB.

        Raises:
            AssertionError: It did; the message names each limit, how often, and the first case.
        """
        violations = self.violations
        if not violations:
            return
        counts = Counter(violation.limit for violation in violations)
        said = ", ".join(f"{count} × {limit}" for limit, count in counts.items())
        raise AssertionError(f"over IB's limits: {said}; first: {violations[0].text}")

    def assert_no_orders(self) -> None:
        """
        Fail the test if a client attempted an order; questions what-if are allowed.

        Raises:
            AssertionError: It did; the message names the first order.
        """
        if not (orders := self.orders):
            return
        first = orders[0]
        named = f"{first.action} {first.quantity:g} {first.contract.symbol}".strip()
        raise AssertionError(f"{len(orders)} orders were attempted; first: {named}")

    def add(self, fault: Fault | str) -> None:
        """
        Bring a fault in from now on.

        Raises:
            UsageError: The text names no fault, or a setting that it has not.
        """
        parsed = _fault(fault)
        self._call(lambda: self.gateway.add(parsed))

    def clear(self) -> None:
        """Take every fault out."""
        self._call(self.gateway.clear)

    def drop(self) -> None:
        """Cut every connection; who connects again is welcome."""

        def cut() -> None:
            for client in list(self.gateway.clients):
                client.drop()

        self._call(cut)

    def restart(self, down_for_s: float = 0.5) -> None:
        """Cut every connection and listen to nobody for so many seconds, as TWS does at night."""
        self._call(lambda: self.gateway.restart(down_for_s))


class ReplayPort(int):
    """
    The port of a gateway that repeats a recorded session, to be used as a number.

    Attributes:
        server: The server itself.
    """

    server: SessionReplay

    def __new__(cls, server: SessionReplay) -> Self:
        """The present port of *server*."""
        self = super().__new__(cls, server.port)
        self.server = server
        return self

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    @property
    def unknown(self) -> list[tuple[str, ...]]:
        """Requests that the recording does not hold, as their fields; each was refused."""
        return list(self.server.refused)


Clock = Callable[[], float]
PortT = TypeVar("PortT", bound=int)


class Serving(Generic[PortT]):
    """
    A gateway that listens for as long as its context lasts; made by :func:`gateway`.

    ``async with`` runs it in the loop that runs, ``with`` in a thread of its own, for a program
    that blocks or has a process to itself. Leaving either cuts every client. It can be entered
    again, and begins anew then.

    Cancelling the body of ``async with`` closes it as well.
    """

    def __init__(self, make: Callable[[Clock], Any], port_of: Callable[[Any, Call], PortT]) -> None:
        self._make, self._port_of = make, port_of
        self._server: Any = None
        self._thread: _LoopThread | None = None

    async def __aenter__(self) -> PortT:
        self._server = self._make(asyncio.get_running_loop().time)
        await self._server.__aenter__()
        return self._port_of(self._server, lambda do: do())

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        # Who has hung up already shall be heard, with what it left open.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await self._server.__aexit__(None, None, None)

    def __enter__(self) -> PortT:
        self._thread = thread = _LoopThread()
        try:
            self._server = self._make(thread.loop.time)
            thread.run(self._server.__aenter__())
        except BaseException:
            thread.stop()
            raise
        return self._port_of(self._server, thread.call)

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            return
        try:
            self._thread.run(self._close())
        finally:
            self._thread.stop()
            self._thread = None


class _LoopThread:
    """A thread with an event loop; whoever made it stops it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # A test that is interrupted must be able to end without it.
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="tomic gateway", daemon=True
        )
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(_LONGEST_S)

    def call(self, do: Callable[[], None]) -> None:
        """Run *do* there; at once where the loop has gone already."""

        async def called() -> None:
            do()

        if self.loop.is_closed():
            do()
        else:
            self.run(called())

    def stop(self) -> None:
        """End the loop and the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_LONGEST_S)
        self.loop.close()


def gateway(
    faults: Iterable[Fault | str] = (),
    *,
    symbols: Sequence[str] | str | None = None,
    seed: int = 1,
    start: dt.datetime | None = None,
    closed: bool = False,
    accounts: Sequence[str] = (PAPER_ACCOUNT,),
    currency: str = "USD",
    positions: Sequence[accounting.Position] | None = None,
    executions: Sequence[accounting.Execution] | None = None,
    values: Mapping[str, float] | None = None,
    chain: Chain | Path | str | None = None,
    pace: Pace = "quick",
    tidy: bool = False,
    limits: Limits | None = None,
    read_only: bool = False,
    server_version: int = MAX_VERSION,
    priced: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Serving[GatewayPort]:
    """
    A simulated TWS gateway on a seeded market of shares, funds, indices and their options.

    It speaks the TWS protocol over TCP and keeps IB's limits as they are: 50 messages a second,
    100 market-data lines, 60 requests for bars in ten minutes. Orders are refused with 201.

    Args:
        faults: What goes wrong, as objects of :mod:`tomic.testing.faults` or as ``tomic gateway
            --fault`` names them: ``"silent:share=0.05"``.
        symbols: Keep only these of the demo market; ``"SPY,QQQ"`` are two. None keeps them all.
        seed: Prices, delays and the contracts that a share of faults hits follow from it.
        start: The market's time when it begins, aware; None is a Friday, 15:00 in New York.
        closed: Begin on the Saturday after instead, when nothing trades.
        accounts: Account numbers of the login.
        currency: Base currency of the accounts: USD, EUR, GBP or CHF.
        positions: What the accounts hold; None is the demo's book, ``()`` nothing.
        executions: Trades of the day; None are those behind the demo's book, if it is held.
        values: Values of the accounts by their tag, such as ``{"NetLiquidation": 50_000}``, instead
            of those that follow from the positions.
        chain: A recorded chain (a :class:`tomic.Chain`, or its file as CSV or JSON) instead of the
            market: exactly its quotes, at its moment.
        pace: How fast answers come.
        tidy: Leave out the warts of TWS, such as advisory codes beside data.
        limits: Other limits, as ``Limits().unpaced()`` for a program that has no pacer yet.
        read_only: Refuse what-if orders too, as TWS does with its read-only setting.
        server_version: The highest version of the protocol that it offers, 157 to 178.
        priced: Price every option of *symbols* before listening, some two seconds of CPU a symbol
            and process, so that no request waits for it. Else each expiry is priced when it is
            first asked for, in a twentieth of a second in which nothing is read.
        host, port: Where to listen; port 0 takes a free one.

    Returns:
        A context manager, for ``async with`` and for ``with``; its value is the port.

    Raises:
        UsageError: A text names no fault, or a setting that it has not.
        BadFile: The file of the chain cannot be used (on entering, as are those below).
        ValueError: A symbol, currency, account, contract, time, tag or version cannot be, or shapes
            the market beside a recorded chain.
        OSError: The port is taken.
    """
    broken = [_fault(fault) for fault in ([faults] if isinstance(faults, str) else faults)]
    if currency not in PER_DOLLAR:
        raise ValueError(f"currency cannot be {currency!r}; one of {', '.join(PER_DOLLAR)}")
    if pace not in _PACES:
        raise ValueError(f"pace must be one of {', '.join(_PACES)}, got {pace!r}")
    kept = [name.strip() for name in symbols.split(",")] if isinstance(symbols, str) else symbols
    if chain is not None:
        _refuse_beside_chain(
            symbols=symbols, start=start, closed=closed or None, positions=positions,
            executions=executions, values=values, priced=priced or None,
            accounts=None if tuple(accounts) == (PAPER_ACCOUNT,) else accounts,
            currency=None if currency == "USD" else currency,
        )  # fmt: skip
    profile = _PACES[pace]().tidied() if tidy else _PACES[pace]()

    def market(clock: Clock, **held: Any) -> ModelMarket:
        return ModelMarket(
            seed, start=start, closed=closed, monotonic=clock, symbols=kept,
            accounts=accounts, currency=currency, values=values, **held,
        )  # fmt: skip

    def make(clock: Clock) -> Gateway:
        behind: Market
        if chain is not None:
            behind = _recorded(chain)
        else:
            behind = _with_account(market, clock, accounts, positions, executions)
            _check_tags(behind, values or {})
            if priced:
                for _ in behind.price_ahead():
                    pass
        return Gateway(
            behind, host=host, port=port, faults=broken, seed=seed, profile=profile,
            limits=limits, read_only=read_only, server_version=server_version,
        )  # fmt: skip

    return Serving(make, GatewayPort)


def replay(
    path: Path | str, *, speed: float = 10.0, host: str = "127.0.0.1", port: int = 0
) -> Serving[ReplayPort]:
    """
    A gateway that repeats a session, as ``tomic record`` writes it, message by message.

    What the recording does not hold is refused and counted; what was met with silence is met with
    silence. A recorded *chain* is served by ``gateway(chain=...)``.

    Args:
        path: The recording.
        speed: How many times faster than recorded answers come.
        host, port: Where to listen; port 0 takes a free one.

    Raises:
        BadFile: Missing, damaged, cut short, or not a recorded session.
        OSError: The port is taken (on entering).
    """
    recorded = read_session(Path(path))
    return Serving(
        lambda _: SessionReplay(recorded, host=host, port=port, speed=speed),
        lambda server, _: ReplayPort(server),
    )


def _fault(fault: Fault | str) -> Fault:
    return faults.parse(fault) if isinstance(fault, str) else fault


def _refuse_beside_chain(**given: object) -> None:
    if named := [name for name, value in given.items() if value is not None]:
        raise ValueError(f"a recorded chain has its own market and account; leave out {named[0]}")


def _recorded(chain: Chain | Path | str) -> Replay:
    return Replay(chain) if isinstance(chain, Chain) else recorded_chain(Path(chain), None, None)[0]


def _with_account(
    make: Callable[..., ModelMarket],
    clock: Clock,
    accounts: Sequence[str],
    positions: Sequence[accounting.Position] | None,
    executions: Sequence[accounting.Execution] | None,
) -> ModelMarket:
    """The market with an account of the caller's own, whose contracts a market must name first."""
    listed = make(clock)
    given: dict[str, Any] = {}
    if positions is not None:
        given["holdings"] = accounting.holdings(listed, positions, accounts)
    if executions is not None:
        given["fills"] = accounting.fills(listed, executions, accounts)
    return make(clock, **given) if given else listed


def _check_tags(market: Market, values: Mapping[str, float]) -> None:
    known = set(ModelMarket(symbols=()).book().values[PAPER_ACCOUNT]) if values else set()
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"no account value {unknown[0]!r}; known: {', '.join(sorted(known))}")
