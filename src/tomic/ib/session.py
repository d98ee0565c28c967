"""
The session: one gateway, one message budget, for as long as it is needed.

All awaiting on the gateway happens through it: :meth:`Session.ask` for questions,
:meth:`Session.line` for market data, :meth:`Session.fan_out` for many at once. A lost connection
fails what is open with :class:`SessionLost`; :meth:`Session.reconnect` opens a new one for what is
unfinished.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Self, TypeVar

import ib_async

from tomic import errors, outside
from tomic.config import IbSettings, LimitsSettings
from tomic.ib import convert
from tomic.ib.callbacks import Garbled, Interrupted, MarketDataLine, Request
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.connection import Dialer, Liveness, Reactions
from tomic.ib.fan_out import Outcome, fan_out, until_stopped
from tomic.ib.lines import LineRequest, Lines
from tomic.ib.link import Link, Tap
from tomic.ib.pacing import LineGate, Priority, RequestLimits, Slot
from tomic.models import DataType

_log = logging.getLogger(__name__)

_SEVERAL = 3
"""Lines that must agree while others have not been heard yet."""


class Rights:
    """What a session has learned: how many options were served live, and how many were refused."""

    def __init__(self) -> None:
        self.served = 0
        self.refused = 0

    def lacking(self, awaited: int) -> bool | None:
        """
        Whether most lines are refused; None while *awaited* others may still tell otherwise.

        IB refuses single contracts for reasons of their own, and that says nothing of the rest.
        """
        refused_more = self.refused > self.served
        if awaited == 0 or (self.refused >= _SEVERAL and refused_more):
            return refused_more
        return None if refused_more or self.served < _SEVERAL else False


Send = Callable[[ib_async.Client, int], None]

ANSWERED_BY: dict[int, frozenset[int]] = {
    3: frozenset({5}),  # the margins of a what-if order
    7: frozenset({11, 55, 59}),  # executions
    9: frozenset({10, 18, 52}),  # contract details
    20: frozenset({17}),  # bars
    49: frozenset({49}),  # the time
    61: frozenset({61, 62}),  # positions
    62: frozenset({63, 64}),  # account values
    78: frozenset({75, 76}),  # option parameters
    81: frozenset({79}),  # symbols
    96: frozenset({96, 97, 98}),  # historical ticks
}
"""Numbers of the messages that answer each kind of question."""
_FIRST_S, _LAST_S = 631_152_000, 3_250_368_000
"""The years 1990 to 2072, in seconds since 1970: TWS is younger, and no option lasts so long."""
_MOST_NOTES, _LONGEST_NOTE = 200, 1_000
_GARBLED = 3
"""How often an answer among which something made no sense is asked for."""

T = TypeVar("T")
Item = TypeVar("Item")

_FENCE_S = 0.5
"""How long to wait for the answer that shows that every cancel has arrived."""
_CLOSING_S = 1.0
"""How long beyond the deadline of a command its lines may take to close."""
_CLOSINGS = 3
"""How often cancels are sent that the gateway has lost while the session was closing."""
_LAST_ANSWER_S = 3.0
"""How much longer it is waited for on a slow link."""
_IDLE_ROUNDS = 3
"""Connections in a row that may be lost without having finished a single item."""
_ATTEMPTS = 5
"""How often one job is begun again over a new connection."""
_DELAYED_SHOWN = 10167
_DELAYED = {DataType.LIVE: DataType.DELAYED, DataType.FROZEN: DataType.DELAYED_FROZEN}
"""What may be asked for instead when the account lacks the rights."""
CUT_OFF = "TWS lost its connection to IB and did not get it back in time"


class Session:
    """
    A connection to TWS or IB Gateway.

    ``async with Session(settings.ib, settings.limits) as session:`` connects, waits for
    ``nextValidId``, and on leaving cancels every line and closes the socket. Nothing it sends
    can be an order.

    Args:
        ib, limits: Sections of the settings.
        on_note: Called with each new text of :attr:`notes`.
        tap: Told of every byte that passes, for a recording.
        realtime_only: Never fall back to delayed data.
        pace: Messages a second instead of the settings', for a gateway without IB's limit.
        deadline: Time of the running loop to which connecting, reconnecting and closing keep;
            None for a session that lives as long as it is needed.

    Raises:
        GatewayUnreachable, ClientIdInUse: On entering.
    """

    def __init__(
        self,
        ib: IbSettings,
        limits: LimitsSettings,
        *,
        on_note: Callable[[str], None] | None = None,
        tap: Tap | None = None,
        realtime_only: bool = False,
        pace: float | None = None,
        deadline: float | None = None,
    ) -> None:
        self.settings = ib
        self.limit_settings = limits
        self.realtime_only = realtime_only
        self.notes: list[str] = []
        self.data_type: DataType | None = None
        self.retried = 0
        """Options that were asked a second time."""
        self.cache: dict[object, object] = {}
        """What was resolved on this session: underlyings and parameters by key."""
        self.rights = Rights()
        """Whether live data of options may be had, as far as lines have shown."""
        self._on_note = on_note or (lambda text: None)
        self._tap = tap
        self._pace = pace
        self.deadline = deadline
        self._stop = asyncio.Event()
        self._reconnecting: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._clock_offset: dt.timedelta | None = None

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.limits = RequestLimits(self.limit_settings, pace=self._pace)
        self._reactions = Reactions(self.limits, self.note)
        self._liveness = Liveness(
            lambda: self._link, self._ask_time, self._reactions, self.limit_settings.liveness_s
        )
        self._dialer = Dialer(
            self.settings,
            self._reactions,
            self.clock_now,
            self._liveness.hear,
            self._tap,
            refused_ticks=self.cache,
        )
        self._link, self._lines = await self._dialer.dial(self.deadline)
        self._watcher = self._loop.create_task(self._liveness.watch(), name="tomic liveness")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel every open line, wait until the gateway has seen it, and close the socket."""
        for task in (self._watcher, self._reconnecting):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1.0)
        try:
            if self._link.alive:
                async with asyncio.timeout_at(self._closed_by):
                    await self._drain()
            else:
                await self._lines.abandon()
        except (errors.RequestFailed, errors.SessionError, TimeoutError) as exc:
            _log.debug("closing without the fence: %s", exc)
        finally:
            self._dialer.tell_unreadable()
            self.limits.pacer.clear()
            self._reactions.forget()
            self._link.callbacks.fail_all(errors.SessionLost("the session was closed"))
            await self._link.close()

    @property
    def _closed_by(self) -> float | None:
        """When a session with a deadline closes its socket, whatever is still being sent to it."""
        if self.deadline is None:
            return None
        return max(self.deadline, self._loop.time()) + _CLOSING_S

    async def _drain(self) -> None:
        pacer = self.limits.pacer
        self._reactions.fatal = None
        self._lines.cancel_all()
        pacer.release()
        for _ in range(_CLOSINGS):
            async with asyncio.timeout(max(self.closing_s, pacer.takes_s) + 2.0 * _FENCE_S):
                await pacer.wait_idle()
                # An answer proves that the gateway has handled every cancel before it.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_FENCE_S + self._link_s):
                        await self._link.fence.passed(self._loop.time())
            # Not so when it has lost some meanwhile (100): they wait to be sent once more.
            if pacer.idle:
                break

    @property
    def closing_s(self) -> float:
        """How long the cancels of all lines take at most, and on a slow link their way."""
        return self.limit_settings.lines / self.limits.pacer.rate + self._link_s

    @property
    def _link_s(self) -> float:
        return min(2.0 * self._link.fence.lag_s, _LAST_ANSWER_S) if self.slow else 0.0

    async def reconnect(self, deadline: float | None = None) -> None:
        """
        Open a new connection after :class:`SessionLost`; concurrent callers share one attempt.

        Waits as long between attempts as the settings say, up to *deadline*, a time of the
        running loop. Safe to cancel; :meth:`interrupt` ends it.

        Raises:
            SessionError: The session must not be used any more, or no attempt succeeded in time.
        """
        if self._reactions.fatal is not None:
            raise self._reactions.fatal
        if self._link.alive:
            return
        if self._reconnecting is None or self._reconnecting.done():
            self._reconnecting = self._loop.create_task(self._reconnect(), name="tomic reconnect")
            # Whoever waited may have left when it fails.
            self._reconnecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout_at(deadline):
                await until_stopped(asyncio.shield(self._reconnecting), self._stop)
        except TimeoutError as exc:
            raise errors.SessionLost(
                "no new connection before the deadline" + self._dialer.hint
            ) from exc

    async def _reconnect(self) -> None:
        await self._lines.abandon()
        await self._link.close()
        known = self._link.fence
        self._link, self._lines = await self._dialer.redial(self.deadline)
        self._link.fence.inherit(known)
        if self.data_type is not None:
            self._send_data_type(self.data_type)

    def interrupt(self) -> None:
        """End what runs in :meth:`fan_out` or :meth:`stoppable` now; what is there is kept."""
        self._stop.set()

    # -- facts -----------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the connection is up."""
        return self._link.alive

    @property
    def slow(self) -> bool:
        """Whether the link to the gateway is slow: what is not needed should not be asked for."""
        return self._link.fence.slow

    @property
    def rate_known(self) -> bool:
        """Whether it could be told how much the link carries."""
        return self._link.fence.rate is not None

    @property
    def read_up_to(self) -> float:
        """When the newest message left whose answer has been read, on the loop's clock."""
        return self._link.fence.read_up_to

    @property
    def quick(self) -> bool:
        """Whether the gateway has answered at once until just now."""
        return self._link.fence.quick

    @property
    def lag_s(self) -> float:
        """How long an answer is under way just now."""
        return self._link.fence.lag_s

    @property
    def received(self) -> int:
        """Bytes that have come over the connection that is up now."""
        return self._link.received

    def measure(self, count: int, seconds: float) -> None:
        """
        Note that *count* bytes, which the gateway had ready, took *seconds* to come.

        A thin link carries few lines, and its gate opens no more than those from the start.
        """
        fence = self._link.fence
        fence.measure(count, seconds)
        self.limits.lines.fit(fence.fitting)

    @property
    def cut_off(self) -> bool:
        """Whether TWS has lost its connection to IB, and has not said that it is back."""
        return self._reactions.cut_off

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`interrupt` was called."""
        return self._stop.is_set()

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
        """Messages sent so far, and those that are about to leave."""
        return self.limits.pacer.sent + self.limits.pacer.waiting

    @property
    def clocks(self) -> dict[Farm, StoppableClock]:
        """The clock by which each kind of request measures its patience."""
        return self._reactions.clocks

    @property
    def unreadable(self) -> Counter[str]:
        """Messages that could not be decoded, by name, over all connections."""
        return self._dialer.unreadable

    @property
    def lines_awaited(self) -> int:
        """Market-data lines of which more may be heard, those that are still to be opened too."""
        lines = self._link.callbacks.lines.values()
        return sum(not line.parting for line in lines) + self.limits.lines.coming

    @property
    def commissions(self) -> dict[str, ib_async.CommissionReport]:
        """Reports of what executions cost, by execution id, as far as they have come."""
        return self._link.callbacks.commissions

    @property
    def clock_drift(self) -> dt.timedelta | None:
        """How far the gateway's clock is ahead of ours, once :meth:`now` was asked."""
        return self._clock_offset

    async def now(self) -> dt.datetime:
        """
        The gateway's time, UTC; asked once, then counted on.

        One that no clock has told yet, or will for long, is not taken: ours is, with a note.

        Raises:
            RequestTimeout, SessionLost: It does not tell.
        """
        if self._clock_offset is None:
            seconds = await self._ask_time(self.settings.request_timeout_s)
            self._clock_offset = dt.timedelta()
            if _FIRST_S <= seconds < _LAST_S:
                theirs = dt.datetime.fromtimestamp(seconds, dt.UTC)
                self._clock_offset = theirs - dt.datetime.now(dt.UTC)
            else:
                self.note(
                    f"the gateway's clock says {seconds}, which is no time; that of this computer "
                    "is used"
                )
        return self.clock_now()

    def clock_now(self) -> dt.datetime:
        """As :meth:`now`, without asking: the local clock until the gateway's is known."""
        return dt.datetime.now(dt.UTC) + (self._clock_offset or dt.timedelta())

    def note(self, text: str) -> None:
        """
        Tell the user something that is not an error; each text is told once.

        A gateway that never ends talking is cut short after 200 of them.
        """
        text = outside.line(text, _LONGEST_NOTE)
        if text in self.notes or len(self.notes) > _MOST_NOTES:
            return
        if len(self.notes) == _MOST_NOTES:
            text = f"more than {_MOST_NOTES} notes; the others are left out"
        _log.info("%s", text)
        self.notes.append(text)
        self._on_note(text)

    # -- questions -------------------------------------------------------------------------

    async def ask(
        self,
        what: str,
        send: Send,
        *,
        timeout_s: float,
        gates: Sequence[asyncio.Semaphore] = (),
        farm: Farm = Farm.DETAILS,
        priority: Priority = Priority.URGENT,
        on_part: Callable[[Any], None] | None = None,
        cancel: Send | None = None,
        patient: bool = False,
    ) -> list[Any]:
        """
        Ask one question and return the parts of its answer. Every question goes through here.

        *send* gets the client and a fresh request id. The timeout starts when the message
        leaves, and stands still while the gateway says that it cannot serve; *cancel* is sent
        when it runs out. Safe to cancel: the permits of *gates* are returned, and the answer, if
        it still comes, is ignored.

        A code of which nobody knows that it ends a question does so when nothing follows it
        within two seconds, or, if *patient*, within the whole *timeout_s*.

        Raises:
            RequestTimeout: No whole answer within *timeout_s*.
            UnreadableAnswer: A message of the answer makes no sense.
            GatewayRefused: The gateway answered with an error code.
            SessionLost: The connection went away; other requests fail too.
        """
        clock = self.clocks[farm]

        async def attempt() -> list[Any]:
            self._working_link()
            await clock.wait_running()
            link = self._working_link()
            request = Request(link.next_id(), what, on_part, farm, patient)
            link.callbacks.requests[request.req_id] = request
            slot = self._post(link, request, partial(send, link.client, request.req_id), priority)
            try:
                await self._sent(slot)
                if await clock.wait_for(request.done, clock.now() + timeout_s):
                    return request.done.result()
            finally:
                slot.withdraw()
                link.callbacks.requests.pop(request.req_id, None)
                unwanted = request.sent_at and not request.done.done() and link.alive
                if cancel is not None and unwanted:
                    message = link.send(partial(cancel, link.client, request.req_id))
                    self.limits.pacer.post(message, Priority.CANCEL)
            raise request.reason or errors.RequestTimeout(what, timeout_s)

        async with AsyncExitStack() as stack:
            for gate in gates:
                await stack.enter_async_context(gate)
            return await _until_whole(what, attempt)

    async def ask_named(
        self, name: str, send: Callable[[ib_async.Client], None], *, timeout_s: float
    ) -> list[Any]:
        """As :meth:`ask`, for the few answers that carry no request id; one at a time per name."""

        async def attempt() -> list[Any]:
            link, request = self._working_link(), Request(-1, name)
            link.callbacks.named[name] = request
            try:
                return await self._unnumbered(link, request, partial(send, link.client), timeout_s)
            finally:
                link.callbacks.named.pop(name, None)

        async with self.limits.named(name):
            return await _until_whole(name, attempt)

    async def _ask_time(self, timeout_s: float) -> int:
        """The gateway's clock; every answer serves all who wait, so a probe never queues."""
        link, request = self._working_link(), Request(-1, "current time")
        link.callbacks.time_requests.append(request)
        try:
            answer = await self._unnumbered(link, request, link.fence.ask_time, timeout_s)
        finally:
            if request in link.callbacks.time_requests:
                link.callbacks.time_requests.remove(request)
        return int(answer[0])

    async def _unnumbered(
        self, link: Link, request: Request, message: Callable[[], None], timeout_s: float
    ) -> list[Any]:
        slot = self._post(link, request, message, Priority.URGENT)
        try:
            await self._sent(slot)
            await asyncio.wait({request.done}, timeout=timeout_s)
        finally:
            slot.withdraw()
        if not request.done.done():
            raise request.reason or errors.RequestTimeout(request.what, timeout_s)
        return request.done.result()

    def _post(
        self, link: Link, request: Request, message: Callable[[], None], priority: Priority
    ) -> Slot:
        """Send *message* in its turn, and note which messages answer it."""

        def send() -> None:
            message()
            request.sent_at = self._loop.time()
            request.messages = ANSWERED_BY.get(link.last_kind, frozenset())

        return self.limits.pacer.post(link.send(send), priority)

    async def _sent(self, slot: Slot) -> float:
        try:
            return await slot.sent
        except ConnectionError as exc:
            self._working_link()
            raise errors.SessionLost("connection lost before the request left") from exc

    def _working_link(self) -> Link:
        if self._reactions.fatal is not None:
            raise self._reactions.fatal
        if not self._link.alive:
            why = str(self._link.lost_by or "not connected")
            raise errors.SessionLost(why.removesuffix(self._dialer.hint) + self._dialer.hint)
        return self._link

    # -- market data -----------------------------------------------------------------------

    async def use_data_type(self, data_type: DataType) -> None:
        """Ask for this kind of market data from now on; no message when it is in force."""
        if data_type != self.data_type:
            self.data_type = data_type
            self._send_data_type(data_type)

    async def fall_back_to_delayed(self, error: errors.NoMarketData, *, of: str = "") -> bool:
        """
        Ask for delayed data from now on; False when that was done or is not allowed.

        The gateway goes on to send live data where the account has them. *of* names the symbol of
        which alone it is known that it has none. Lines that have waited in vain until now end.
        """
        delayed = _DELAYED.get(self.data_type or DataType.LIVE)
        if delayed is None or self.realtime_only:
            return False
        self.note(
            f"live data{of and f' of {of}'} are not subscribed ({error.error_code}); asking for "
            "delayed data. "
            "Subscribe in Client Portal > Settings > Market Data Subscriptions"
        )
        await self.use_data_type(delayed)
        self._link.callbacks.settle_doubts()
        return True

    def refuse_delayed(self, what: str, data_type: DataType | None) -> None:
        """
        Check *data_type*, which the gateway says it gave for *what*.

        Raises:
            NoMarketData: It is not live, and only live data are wanted.
        """
        if self.realtime_only and data_type not in (None, DataType.LIVE):
            text = f"{data_type.value} data instead of live ones"
            raise errors.NoMarketData(what, _DELAYED_SHOWN, text)

    def _send_data_type(self, data_type: DataType) -> None:
        number = convert.data_type_number(data_type)
        message = partial(self._link.client.reqMarketDataType, number)
        self.limits.pacer.post(self._link.send(message), Priority.URGENT)

    @asynccontextmanager
    async def line(
        self, request: LineRequest, *, gate: LineGate | None = None
    ) -> AsyncIterator[MarketDataLine]:
        """
        Hold one streaming subscription; on leaving it is cancelled, whatever happened.

        The permit of *gate* (the session's lines by default) is kept until the cancel has left.

        Raises:
            SessionLost: The connection went away.
        """
        gate = gate or self.limits.lines
        line = None
        while line is None:
            lines = await self._with_permit(gate, request.rank)
            try:
                line = await lines.subscribe(request, gate)
            except ConnectionError as exc:
                self._working_link()
                raise errors.SessionLost("connection lost before the request left") from exc
        try:
            yield line
        finally:
            lines.close(line, gate)

    async def _with_permit(self, gate: LineGate, rank: int) -> Lines:
        """Enter *gate* and return the lines of the link that is up then."""
        await gate.enter(rank)
        try:
            await self.clocks[Farm.MARKET].wait_running()
            self._working_link()
        except BaseException:
            gate.leave()
            raise
        return self._lines

    # -- many at once ----------------------------------------------------------------------

    async def fan_out(
        self,
        items: Sequence[Item],
        worker: Callable[[Item], Awaitable[T]],
        *,
        deadline: float | None = None,
        on_done: Callable[[Outcome[Item, T]], None] | None = None,
        resume: bool = False,
    ) -> list[Outcome[Item, T]]:
        """
        As `fan_out.fan_out`, stopped by :meth:`interrupt` as well.

        With *resume*, what a lost connection leaves unfinished is done over a new one.
        """
        run = partial(fan_out, worker=worker, stop=self._stop, deadline=deadline, on_done=on_done)
        return await (self.resumed(items, run, deadline=deadline) if resume else run(items))

    async def resumed(
        self,
        items: Sequence[Item],
        run: Callable[[Sequence[Item]], Awaitable[list[Outcome[Item, T]]]],
        *,
        deadline: float | None = None,
    ) -> list[Outcome[Item, T]]:
        """
        *run* all items, and what a lost connection left unfinished again over a new one.

        Ends when nothing is left, no new connection can be had by *deadline*, a time of the loop,
        or so many in a row were lost without having finished a single item. Returns an outcome per
        item, in order.
        """
        outcomes: dict[int, Outcome[Item, T]] = {}
        pending, idle = list(range(len(items))), 0
        while pending and idle < _IDLE_ROUNDS:
            outcomes.update(
                zip(pending, await run([items[place] for place in pending]), strict=True)
            )
            lost = [
                place for place in pending if isinstance(outcomes[place].error, errors.SessionLost)
            ]
            idle = idle + 1 if len(lost) == len(pending) else 0
            pending = lost
            if not pending or self.interrupted:
                break
            try:
                await self.reconnect(deadline)
            except (errors.SessionError, errors.DeadlineExceeded):
                break
        return [outcomes[place] for place in range(len(items))]

    async def stoppable(self, job: Awaitable[T]) -> T:
        """
        Await *job*, unless :meth:`interrupt` comes first.

        Raises:
            DeadlineExceeded: It was interrupted; *job* is cancelled.
        """
        return await until_stopped(job, self._stop)

    async def persistently(
        self, job: Callable[[], Awaitable[T]], *, deadline: float | None = None
    ) -> T:
        """
        As :meth:`stoppable`, begun again over a new connection when the first is lost meanwhile.

        Raises:
            SessionLost: That happened too often, or no new connection was had by *deadline*.
            DeadlineExceeded: It was interrupted.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self.stoppable(job())
            except errors.SessionLost:
                await self.reconnect(deadline)
        return await self.stoppable(job())

    async def hears(self, event: asyncio.Event, overdue_s: float = 0.0) -> bool:
        """
        Wait for *event*, which is *overdue_s* late; False once it cannot be under way any more.

        That is when all has been read that the gateway had said by the time it was due. Safe to
        cancel.

        Raises:
            SessionLost: The gateway says nothing at all any more.
        """
        moment = self._loop.time() - overdue_s
        fence = self._working_link().fence
        if fence.read_up_to >= moment:
            return False
        await self._liveness.confirm()
        if event.is_set():
            return True
        return await fence.hears(event, moment, others=self.limits.lines.coming > 0)


async def _until_whole(what: str, attempt: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
    """
    The answer of the first *attempt* of which nothing got lost.

    Raises:
        UnreadableAnswer: Something among it made no sense, again and again.
    """
    garbled = 0
    while True:
        try:
            return await attempt()
        except Interrupted as exc:
            if isinstance(exc, Garbled):
                garbled += 1
                if garbled == _GARBLED:
                    raise errors.UnreadableAnswer(what, "garbage", "again and again") from exc
            _log.info("%s: asked again", what)
