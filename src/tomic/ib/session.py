"""
The session: one gateway, one message budget, every error code with one reaction.

All awaiting on the gateway happens here: :meth:`Session.ask` for questions, :meth:`Session.line`
for market data, :meth:`Session.fan_out` for many at once. A lost connection fails what is open
with :class:`SessionLost`; :meth:`Session.reconnect` opens a new one for what is unfinished.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import ib_async

from tomic.config import IbSettings, LimitsSettings
from tomic.errors import (
    ClientIdInUse,
    CompetingSession,
    DeadlineExceeded,
    RequestFailed,
    RequestTimeout,
    SessionError,
    SessionLost,
)
from tomic.ib.callbacks import Interrupted, Line, Request
from tomic.ib.clocks import BROKEN, RESTORED, Farm, StoppableClock
from tomic.ib.link import RESTART_HINT, Link
from tomic.ib.pacing import LineGate, Priority, RequestLimits, Slot
from tomic.models import DataType

_log = logging.getLogger(__name__)

T = TypeVar("T")
Item = TypeVar("Item")

_TYPE_NUMBERS = {
    DataType.LIVE: 1,
    DataType.FROZEN: 2,
    DataType.DELAYED: 3,
    DataType.DELAYED_FROZEN: 4,
}
_PROBE_TIMEOUT_S = 5.0
_PROBE_AFTER_BUSY_S = 2.0
"""Silence, while something is open, after which the gateway is asked for a sign of life."""
_RECONNECT_WAITS_S = (2.0, 5.0, 10.0, 30.0, 60.0)
_CAREFUL_RATE = 45.0
"""Messages per second after the gateway said 100 once."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, T]):
    """What became of one item of :meth:`Session.fan_out`."""

    item: Item
    value: T | None = None
    error: RequestFailed | SessionError | None = None


class Session:
    """
    A connection to TWS or IB Gateway, for as long as it is needed.

    ``async with Session(settings.ib, settings.limits) as session:`` connects, waits for
    ``nextValidId``, and on leaving cancels every line and closes the socket. Nothing it sends
    can be an order.

    Args:
        ib, limits: Sections of the settings.
        on_note: Called with each new text of :attr:`notes`.
        on_bytes: Called with everything that is received, for a recording.
        realtime_only: Never fall back to delayed data.
        pace: Messages a second instead of the settings', for a gateway without IB's limit.

    Raises:
        GatewayUnreachable, ClientIdInUse: On entering.
    """

    def __init__(
        self,
        ib: IbSettings,
        limits: LimitsSettings,
        *,
        on_note: Callable[[str], None] | None = None,
        on_bytes: Callable[[bytes], None] | None = None,
        realtime_only: bool = False,
        pace: float | None = None,
    ) -> None:
        self.settings = ib
        self.limit_settings = limits
        self._on_note = on_note or (lambda text: None)
        self._on_bytes = on_bytes
        self.notes: list[str] = []
        self.data_type: DataType | None = None
        self.delayed = False
        self.realtime_only = realtime_only
        self._pace = pace
        self.retried = 0
        self.competing: str | None = None
        self.interrupted = False
        self._stop = asyncio.Event()
        self._strikes = 0
        self._reconnecting: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._fatal: SessionError | None = None
        self._recent_cancels: list[tuple[float, int]] = []
        self._clock_offset: dt.timedelta | None = None
        self._data_at = 0.0
        self.cache: dict[object, object] = {}
        """What was resolved on this session: underlyings and parameters by key."""

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.limits = RequestLimits(self.limit_settings, pace=self._pace)
        self.clocks = {farm: StoppableClock(self._loop.time) for farm in Farm}
        self._link = await self._connect(self.settings.connect_timeout_s)
        self._watcher = self._loop.create_task(self._watch(), name="tomic liveness")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel every open line, wait until the gateway has seen it, and close the socket."""
        for task in (self._watcher, self._reconnecting):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1.0)
        if self._link.alive:
            self._fatal = None
            try:
                await self._drain()
            except (RequestFailed, SessionError, TimeoutError) as exc:
                _log.debug("closing without the fence: %s", exc)
        self.limits.pacer.clear()
        self._link.callbacks.fail_all(SessionLost("the session was closed"))
        await self._link.close()

    async def _drain(self) -> None:
        callbacks, pacer = self._link.callbacks, self.limits.pacer
        for line in list(callbacks.lines.values()):
            self._cancel(line, self._link, None)
        pacer.release()
        async with asyncio.timeout(self.limit_settings.lines / pacer.rate + 2.0):
            await pacer.wait_idle()
        # The answer proves that the gateway has handled every cancel before it.
        await self._ask_time(timeout_s=2.0)

    async def _connect(self, timeout_s: float) -> Link:
        first, last = self.settings.client_id, self.settings.last_client_id
        for client_id in range(first, max(first, last) + 1):
            link = Link(
                self.limits.pacer,
                on_error=self._on_error,
                on_data=self._on_data,
                on_lost=self._on_lost,
            )
            if self._on_bytes is not None:
                link.client.conn.hasData += self._on_bytes
            try:
                await link.open(self.settings.host, self.settings.port, client_id, timeout_s)
            except ClientIdInUse:
                await link.close()
                self.note(f"client id {client_id} is in use; trying the next one")
                continue
            except BaseException:
                await link.close()
                raise
            self._data_at = self._loop.time()
            link.callbacks.on_late_tick = self._on_late_tick
            return link
        raise ClientIdInUse(
            f"client ids {first} to {last} are all in use at "
            f"{self.settings.host}:{self.settings.port}; close another program, or pass --client-id"
        )

    async def reconnect(self, deadline: float | None = None) -> None:
        """
        Open a new connection after :class:`SessionLost`; concurrent callers share one attempt.

        Waits 2, 5, 10 … s between attempts. *deadline* is a time of the running loop.

        Raises:
            SessionLost: Not reconnected before *deadline*.
        """
        if self._link.alive:
            return
        if self._fatal is not None:
            raise self._fatal
        if self._reconnecting is None or self._reconnecting.done():
            self._reconnecting = self._loop.create_task(self._reconnect(), name="tomic reconnect")
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(self._reconnecting)
        except TimeoutError as exc:
            raise SessionLost(f"no new connection before the deadline; {RESTART_HINT}") from exc

    async def _reconnect(self) -> None:
        self.note("connection lost; reconnecting")
        await self._link.close()
        error: SessionError = SessionLost("connection lost")
        for wait_s in _RECONNECT_WAITS_S:
            await asyncio.sleep(wait_s)
            self.limits.pacer.clear()
            for clock in self.clocks.values():
                for reason in ("connectivity", "probe", *Farm):
                    clock.start(str(reason))
            try:
                self._link = await self._connect(self.settings.connect_timeout_s)
            except SessionError as exc:
                error = exc
                continue
            self.note(f"reconnected with client id {self._link.client_id}")
            if self.data_type is not None:
                self._send_data_type(self.data_type)
            return
        raise SessionLost(f"no new connection after {len(_RECONNECT_WAITS_S)} attempts: {error}")

    def interrupt(self) -> None:
        """End every running :meth:`fan_out` now; what it has is kept."""
        self.interrupted = True
        self._stop.set()

    # -- facts -----------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the connection is up."""
        return self._link.alive

    @property
    def client_id(self) -> int:
        """The id under which the gateway knows us."""
        return self._link.client_id

    @property
    def server_version(self) -> int:
        """The agreed protocol version."""
        return self._link.server_version

    @property
    def accounts(self) -> tuple[str, ...]:
        """Accounts of this login."""
        return self._link.callbacks.accounts

    @property
    def messages(self) -> int:
        """Messages sent so far."""
        return self.limits.pacer.sent

    async def now(self) -> dt.datetime:
        """The gateway's time, UTC; asked once, then counted on."""
        if self._clock_offset is None:
            seconds = await self._ask_time(self.settings.connect_timeout_s)
            theirs = dt.datetime.fromtimestamp(seconds, dt.UTC)
            self._clock_offset = theirs - self._local_now()
        return self._local_now() + self._clock_offset

    def clock_now(self) -> dt.datetime:
        """As :meth:`now`, without asking: the local clock until the gateway's is known."""
        return self._local_now() + (self._clock_offset or dt.timedelta())

    @property
    def clock_drift(self) -> dt.timedelta | None:
        """How far the gateway's clock is ahead of ours, once :meth:`now` was asked."""
        return self._clock_offset

    def _local_now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    # -- questions -------------------------------------------------------------------------

    async def ask(
        self,
        what: str,
        send: Callable[[ib_async.Client, int], None],
        *,
        timeout_s: float,
        gates: Sequence[asyncio.Semaphore] = (),
        farm: Farm = Farm.DETAILS,
        priority: Priority = Priority.URGENT,
        on_part: Callable[[Any], None] | None = None,
        cancel: Callable[[ib_async.Client, int], None] | None = None,
    ) -> list[Any]:
        """
        Ask one question and return the parts of its answer. Every question goes through here.

        *send* gets the client and a fresh request id. The timeout starts when the message
        leaves, and stands still while the gateway says that it cannot serve. Safe to cancel: the
        permit is returned, and the answer, if it still comes, is ignored.

        Raises:
            RequestTimeout: No whole answer within *timeout_s*.
            GatewayRefused: The gateway answered with an error code.
            SessionLost: The connection went away; other requests fail too.
        """
        if not gates:
            return await self._ask(what, send, timeout_s, farm, priority, on_part, cancel)
        async with gates[0]:
            return await self.ask(
                what,
                send,
                timeout_s=timeout_s,
                gates=gates[1:],
                farm=farm,
                priority=priority,
                on_part=on_part,
                cancel=cancel,
            )

    async def _ask(
        self,
        what: str,
        send: Callable[[ib_async.Client, int], None],
        timeout_s: float,
        farm: Farm,
        priority: Priority,
        on_part: Callable[[Any], None] | None,
        cancel: Callable[[ib_async.Client, int], None] | None,
    ) -> list[Any]:
        clock = self.clocks[farm]
        while True:
            self._check_alive()
            await clock.wait_running()
            link = self._link
            request = Request(link.next_id(), what, on_part)
            link.callbacks.requests[request.req_id] = request
            slot = self._post(link, partial(send, link.client, request.req_id), priority)
            try:
                request.sent_at = await self._sent(slot)
                if not await clock.wait_for(request.done, clock.now() + timeout_s):
                    if cancel is not None and link.alive:
                        self._post(
                            link, partial(cancel, link.client, request.req_id), Priority.CANCEL
                        )
                    raise RequestTimeout(what, timeout_s)
                return request.done.result()
            except Interrupted:
                _log.info("%s: asked again", what)
            finally:
                slot.withdraw()
                link.callbacks.requests.pop(request.req_id, None)

    async def ask_named(
        self,
        name: str,
        send: Callable[[ib_async.Client], None],
        *,
        timeout_s: float,
    ) -> list[Any]:
        """As :meth:`ask`, for the few answers that carry no request id; one at a time per name."""
        async with self.limits.named(name):
            self._check_alive()
            link = self._link
            request = Request(-1, name)
            link.callbacks.named[name] = request
            slot = self._post(link, lambda: send(link.client), Priority.URGENT)
            try:
                request.sent_at = await self._sent(slot)
                await asyncio.wait({request.done}, timeout=timeout_s)
                if not request.done.done():
                    raise RequestTimeout(name, timeout_s)
                return request.done.result()
            finally:
                slot.withdraw()
                link.callbacks.named.pop(name, None)

    async def _ask_time(self, timeout_s: float) -> int:
        answer = await self.ask_named(
            "current time", lambda client: client.reqCurrentTime(), timeout_s=timeout_s
        )
        return int(answer[0])

    async def _sent(self, slot: Slot) -> float:
        try:
            return await slot.sent
        except ConnectionError as exc:
            if self._fatal is not None:
                raise self._fatal from exc
            raise SessionLost("connection lost before the request left") from exc

    def _post(self, link: Link, message: Callable[[], None], priority: Priority) -> Slot:
        return self.limits.pacer.post(link.send(message), priority)

    def _check_alive(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if not self._link.alive:
            raise SessionLost(f"not connected; {RESTART_HINT}")

    # -- market data -----------------------------------------------------------------------

    async def use_data_type(self, data_type: DataType) -> None:
        """Ask for this kind of market data from now on; no message when it is in force."""
        if data_type != self.data_type:
            self.data_type = data_type
            self._send_data_type(data_type)

    def _send_data_type(self, data_type: DataType) -> None:
        number, link = _TYPE_NUMBERS[data_type], self._link
        self._post(link, lambda: link.client.reqMarketDataType(number), Priority.URGENT)

    @asynccontextmanager
    async def line(
        self,
        what: str,
        contract: ib_async.Contract,
        generic_ticks: str,
        *,
        gate: LineGate | None = None,
        priority: Priority = Priority.SUBSCRIBE,
    ) -> AsyncIterator[Line]:
        """
        Hold one streaming subscription; on leaving it is cancelled, whatever happened.

        The permit of *gate* (the session's lines by default) is kept until the cancel has left.

        Raises:
            SessionLost: The connection went away.
        """
        gate = gate or self.limits.lines
        await gate.enter()
        link, line, slot = self._link, None, None
        try:
            await self.clocks[Farm.MARKET].wait_running()
            self._check_alive()
            link = self._link
            line = Line(link.next_id(), what, contract.right)
            link.callbacks.lines[line.req_id] = line
            slot = self._post(
                link,
                lambda: link.client.reqMktData(
                    line.req_id, contract, generic_ticks, False, False, []
                ),
                priority,
            )
            line.sent_at = await self._sent(slot)
            yield line
        finally:
            if line is None or slot is None or slot.fired_at is None or not _open_at_gateway(line):
                if slot is not None:
                    slot.withdraw()
                if line is not None:
                    link.callbacks.lines.pop(line.req_id, None)
                gate.leave()
            else:
                self._cancel(line, link, gate)

    def _cancel(self, line: Line, link: Link, gate: LineGate | None) -> None:
        link.callbacks.lines.pop(line.req_id, None)
        if not link.alive:
            if gate is not None:
                gate.leave()
            return
        # Until the cancel has left, ticks are not late.
        link.callbacks.closed_lines[line.req_id] = math.inf

        def send() -> None:
            try:
                link.client.cancelMktData(line.req_id)
                self._recent_cancels.append((self._loop.time(), line.req_id))
                del self._recent_cancels[:-20]
            finally:
                link.callbacks.closed_lines[line.req_id] = self._loop.time()

        slot = self._post(link, send, Priority.CANCEL)
        if gate is not None:
            # Also when the cancel never leaves because the socket is gone: then no line is open.
            slot.sent.add_done_callback(lambda _: gate.leave())

    def _on_late_tick(self, req_id: int) -> None:
        link, now = self._link, self._loop.time()
        if now - link.callbacks.closed_lines.get(req_id, math.inf) > 0.5:
            # The cancel was lost (the gateway drops messages beyond its limit): cancel again.
            link.callbacks.closed_lines[req_id] = math.inf
            self._cancel_again(link, req_id)

    def _cancel_again(self, link: Link, req_id: int) -> None:
        def send() -> None:
            link.client.cancelMktData(req_id)
            link.callbacks.closed_lines[req_id] = self._loop.time()

        self._post(link, send, Priority.CANCEL)

    # -- many at once ----------------------------------------------------------------------

    async def fan_out(
        self,
        items: Sequence[Item],
        worker: Callable[[Item], Awaitable[T]],
        *,
        deadline: float | None = None,
        on_done: Callable[[Outcome[Item, T]], None] | None = None,
    ) -> list[Outcome[Item, T]]:
        """
        Run *worker* for every item; return one :class:`Outcome` per item, in order, always.

        A failed request is a value in its own slot. When the connection is lost, the loop's time
        *deadline* passes, or :meth:`interrupt` is called, the rest is stopped, what arrived is
        kept and the unfinished slots carry the reason. Bugs and the caller's own cancellation
        propagate, and leave no task behind.
        """
        outcomes: list[Outcome[Item, T] | None] = [None] * len(items)

        async def run(index: int, item: Item) -> None:
            try:
                outcome = Outcome(item, value=await worker(item))
            except RequestFailed as exc:
                outcome = Outcome(item, error=exc)
            outcomes[index] = outcome
            if on_done is not None:
                on_done(outcome)

        reason: RequestFailed | SessionError = DeadlineExceeded("stopped")
        try:
            async with asyncio.timeout_at(deadline):
                await self._run_group([run(index, item) for index, item in enumerate(items)])
        except TimeoutError:
            reason = DeadlineExceeded("the deadline passed before an answer came")
        except SessionError as exc:
            reason = exc
        except _Stopped:
            reason = DeadlineExceeded("interrupted")
        return [
            outcome if outcome is not None else Outcome(items[index], error=reason)
            for index, outcome in enumerate(outcomes)
        ]

    async def _run_group(self, jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run all *jobs*; raise the one reason for which the group was stopped."""
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._until_stopped())
                tasks = [group.create_task(job) for job in jobs]
                if tasks:
                    await asyncio.wait(tasks)
                watch.cancel()
        except BaseExceptionGroup as group_error:
            reasons, rest = group_error.split((SessionError, _Stopped))
            if rest is not None or reasons is None:
                raise
            raise next(_leaves(reasons)) from None

    async def _until_stopped(self) -> None:
        await self._stop.wait()
        raise _Stopped

    # -- what the gateway says by itself -----------------------------------------------------

    def note(self, text: str) -> None:
        """Tell the user something that is no error; each text is kept once."""
        _log.info("%s", text)
        if text not in self.notes:
            self.notes.append(text)
        self._on_note(text)

    def _on_data(self) -> None:
        self._data_at = self._loop.time()

    def _on_lost(self) -> None:
        self.limits.pacer.clear()

    def _on_error(self, code: int, text: str) -> None:
        if code == 100:
            self._on_too_fast(text)
        elif code == 101:
            self.limits.lines.shrink(10)
            self.note("the gateway has no market-data line free (101); using fewer")
        elif code in (1100, 2110):
            self.limits.pacer.hold()
            self._stop_clocks("connectivity")
            self.note(f"TWS lost its connection to IB ({code}); waiting. {RESTART_HINT}")
        elif code in (1101, 1102):
            self._on_restored(code)
        elif code == 10197:
            self.competing = (
                "another session of this user holds the live market data (10197); "
                "log out there, or use its own session, then run again"
            )
            self._fatal = CompetingSession(self.competing)
            self._link.callbacks.fail_all(self._fatal)
        elif code in BROKEN:
            farm = BROKEN[code]
            self.clocks[farm].stop(str(farm))
            self.note(f"IB's {farm} farm is broken ({code}); holding such requests")
        elif code in RESTORED:
            farm = RESTORED[code]
            if not self.clocks[farm].running:
                self.clocks[farm].start(str(farm))
                self.note(f"IB's {farm} farm is back ({code})")
        elif code == 1300:
            self._link.lose(SessionLost(f"TWS changed its port: {text}"))
        elif code == 10167:
            self.delayed = True
        elif code in (502, 504):
            self._link.lose(SessionLost(f"not connected ({code}): {text}"))
        elif code in (320, 505):
            self.note(f"the gateway did not understand a message ({code}): {text}")

    def _on_too_fast(self, text: str) -> None:
        self._strikes += 1
        if self._strikes >= 3:
            self._fatal = SessionLost(
                "the gateway said three times that messages come too fast (100); "
                "is another program using this TWS? Lower limits.messages_per_s"
            )
            self._link.lose(self._fatal)
            return
        self.note("the gateway says messages come too fast (100); slowing down")
        self.limits.pacer.slow_down(_CAREFUL_RATE, pause_s=1.5)
        now, link = self._loop.time(), self._link
        # Its victim is unknown. A lost question is asked again, a lost subscribe is found by its
        # silence, and a lost cancel would leak its line: cancel the latest ones again (300 is
        # harmless).
        for request in list(link.callbacks.requests.values()):
            if request.sent_at is not None and now - request.sent_at < 1.0 and not request.parts:
                request.fail(Interrupted())
        for at, req_id in self._recent_cancels:
            if now - at < 0.3:
                self._cancel_again(link, req_id)
        self._recent_cancels.clear()

    def _on_restored(self, code: int) -> None:
        self.note(
            "TWS is connected to IB again"
            + ("; asking again what was open" if code == 1101 else "")
            + f" ({code})"
        )
        for request in list(self._link.callbacks.requests.values()):
            if request.sent_at is not None:
                request.fail(Interrupted())
        for line in list(self._link.callbacks.lines.values()):
            line.fail(Interrupted())
        self._start_clocks("connectivity")
        self.limits.pacer.release()

    def _stop_clocks(self, reason: str) -> None:
        for clock in self.clocks.values():
            clock.stop(reason)

    def _start_clocks(self, reason: str) -> None:
        for clock in self.clocks.values():
            clock.start(reason)

    async def _watch(self) -> None:
        """Ask for a sign of life after silence; a deaf connection is declared lost."""
        while True:
            busy = bool(self._link.callbacks.requests or self._link.callbacks.lines)
            patience = _PROBE_AFTER_BUSY_S if busy else self.limit_settings.liveness_s
            quiet = self._loop.time() - self._data_at
            if not self._link.alive or quiet < patience or self.limits.pacer.held:
                await asyncio.sleep(max(patience - quiet, 0.25) if self._link.alive else 0.5)
                continue
            self._stop_clocks("probe")
            try:
                await self._ask_time(_PROBE_TIMEOUT_S)
            except RequestTimeout:
                self._link.lose(
                    SessionLost(f"the gateway went silent for {quiet + _PROBE_TIMEOUT_S:.0f} s")
                )
            except SessionError as exc:
                _log.debug("no sign of life: %s", exc)
            finally:
                self._start_clocks("probe")


def _open_at_gateway(line: Line) -> bool:
    """Whether the gateway may still count *line*; a refused one it never opened."""
    return line.error is None or isinstance(line.error, (Interrupted, SessionError))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


class _Stopped(Exception):
    """:meth:`Session.interrupt` was called."""
