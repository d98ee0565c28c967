"""
How fast we may talk to the gateway: one message pacer and the gates of a session.

IB takes 50 messages a second of all kinds together, and 100 market-data lines; every subscribe
and every cancel is one message (IB "Order Limitations", "Requesting Watchlist Data"). All
messages of a session pass one :class:`Pacer`, so priorities, cancellation and timeouts can start
at the moment a message really leaves.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from itertools import count

from tomic.config import LimitsSettings

_CATCH_UP_S = 0.003
"""How late a slot may be and still keep the schedule; a longer stall moves all later slots."""
CAREFUL_RATE = 45.0
"""Messages a second after the gateway said 100, or after a stall."""
_STALL_S, _CAREFUL_S = 0.02, 2.0
"""After a message that was so late, the careful rate for a while. A machine that stalls us also
stalls a gateway on it, which then reads several messages at once: 45 a second may bunch for 89 ms
before 50 are counted in one second, 48 for 21 ms only."""
_BUSY_S = 5.0
"""The careful rate for so long after a stall of the gateway: the next may show nothing, as when
only cancels are sent, to which nothing is answered."""
_BUSY_CANCELS_S, _AGAIN_S = 60.0, 2.0
"""The careful rate for cancels alone, so long after the gateway stood still once more, some seconds
after it first did: one stall at the beginning is its start, several are a busy machine. A gateway
that stands still while it is sent nothing that it answers shows it to nobody, whatever is counted
here. At 48 messages a second it may stand still for 41 ms before 50 are read in one second, at 45
for 111 ms."""
_MOST, _SECOND_S = 49, 1.002
"""Messages that may reach the gateway within a second, and that second with some room."""
_IB_RATE = 50.5
"""IB's limit, with room for rounding."""
_LOWERED = 60
"""Who allows fewer lines than this needs the others elsewhere, so none are taken at the end."""


_BEHIND_S = 1.0
"""An answer that comes so much later than at best: more ticks are sent than the link carries."""
_FEWEST, _MORE = 4.0, 2.0
"""Lines that any link carries, and how many more are tried while it keeps up."""


class Priority(IntEnum):
    """Which message goes first when several wait; lower is sooner."""

    URGENT = 0
    """Requests about the underlying, contract details, second attempts."""
    SUBSCRIBE = 1
    CANCEL = 2
    """Last, so that cancels at the end of a run hide the answers still under way."""


class Slot:
    """A message waiting for its turn; :attr:`sent` ends when it left, or never will."""

    __slots__ = ("_send", "fired_at", "sent")

    def __init__(self, send: Callable[[], None], sent: asyncio.Future[float]) -> None:
        self._send: Callable[[], None] | None = send
        self.sent = sent
        self.fired_at: float | None = None
        """When the message left. The future alone cannot tell a task cancelled meanwhile."""

    @property
    def waiting(self) -> bool:
        """Whether the message has neither left nor been withdrawn."""
        return self._send is not None

    def withdraw(self, error: Exception | None = None) -> None:
        """Forget the message if it has not left yet; *error* goes to whoever waits for it."""
        if self._send is not None and error is not None and not self.sent.done():
            self.sent.set_exception(error)
            self.sent.exception()  # nobody may be waiting
        self._send = None

    def fire(self, now: float) -> bool:
        """Send the message and tell whoever waits for it; False when it could not leave."""
        send, self._send = self._send, None
        if send is None:
            return False
        try:
            send()
        except ConnectionError as exc:
            if not self.sent.done():
                self.sent.set_exception(exc)
                self.sent.exception()
            return False
        self.fired_at = now
        if not self.sent.done():
            self.sent.set_result(now)
        return True


class Pacer:
    """
    Spreads messages evenly: slots are absolute, 1/rate apart, and are never caught up.

    A pacer that sleeps 1/rate after each message runs some 5 % slow; one that catches up after a
    stall breaks the limit. This one keeps its schedule over the event loop's usual lateness of a
    few milliseconds, and starts a new schedule after anything longer.

    What counts is when the gateway reads a message. One that stands still on a busy machine reads
    several at once, so those that it has answered too late are counted together.

    Args:
        rate: Messages per second; TWS takes at most 50.
        clock: Seconds, monotonic; the running loop's clock by default.
    """

    def __init__(self, rate: float, clock: Callable[[], float] | None = None) -> None:
        if not rate > 0.0:
            raise ValueError(f"rate must be > 0 messages a second, got {rate:g}")
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._interval = 1.0 / rate
        self._queue: list[tuple[int, int, int, Slot]] = []
        self._order = count()
        self._next = 0.0
        self._careful_until = 0.0
        self._busy_until = 0.0
        self._stalled_at = -math.inf
        self._arrivals: deque[float] = deque(maxlen=_MOST)
        """When the gateway has read the last messages, as far as we know."""
        self._wanted_at = 0.0
        """Since when something waits that may leave."""
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = 0.0
        self._held = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.sent = 0

    @property
    def rate(self) -> float:
        """Messages per second now allowed."""
        return 1.0 / self._interval

    @property
    def waiting(self) -> int:
        """How many messages wait for their turn."""
        return sum(slot.waiting for *_, slot in self._queue)

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return self._idle.is_set()

    @property
    def held(self) -> bool:
        """Whether nothing may leave just now."""
        return self._held

    @property
    def takes_s(self) -> float:
        """How long it takes until all that waits has left."""
        pause_s = max(self._paused_until - self._clock(), 0.0)
        return pause_s + self.waiting * max(self._interval, 1.0 / CAREFUL_RATE)

    async def wait_idle(self) -> None:
        """Return when nothing waits. Safe to cancel."""
        await self._idle.wait()

    def post(self, send: Callable[[], None], priority: Priority, rank: int = 0) -> Slot:
        """Queue *send*: by priority, then by *rank*, then first come first served."""
        slot = Slot(send, self._loop.create_future())
        if not self._queue:
            self._wanted_at = self._clock()
        heapq.heappush(self._queue, (priority, rank, next(self._order), slot))
        self._idle.clear()
        self._arm()
        return slot

    def note_sent(self) -> None:
        """Count a message that left past the pacer, and let its slot pass."""
        self.sent += 1
        self._arrivals.append(self._clock())
        self._next = max(self._next, self._clock()) + self._interval

    def slow_down(self, rate: float, pause_s: float) -> None:
        """Send nothing for *pause_s*, then at most *rate* messages a second."""
        self._interval = max(self._interval, 1.0 / rate)
        self._paused_until = max(self._paused_until, self._clock() + pause_s)
        self._arm()

    def bunched(self, seconds: float, ago_s: float = 0.0) -> None:
        """
        Note that the gateway had stood still for *seconds*, and read on *ago_s* ago.

        What was sent to it meanwhile has then been read all at once.
        """
        read_at = self._clock() - ago_s
        for place, sent_at in enumerate(self._arrivals):
            if read_at - seconds <= sent_at < read_at:
                self._arrivals[place] = read_at
        if self.rate <= _IB_RATE:
            self._careful_until = max(self._careful_until, self._clock() + _BUSY_S)
            self._note_stall(self._clock())
        self._next = max(self._next, self._allowed_at)
        self._arm()

    def _note_stall(self, now: float) -> None:
        if now - self._stalled_at > _BUSY_CANCELS_S:
            self._stalled_at = now
        elif now - self._stalled_at >= _AGAIN_S:
            self._busy_until = now + _BUSY_CANCELS_S

    @property
    def _allowed_at(self) -> float:
        """When the next message may reach the gateway without being one too many in its second."""
        if self.rate > _IB_RATE or len(self._arrivals) < _MOST:
            return 0.0
        return self._arrivals[0] + _SECOND_S

    def hold(self) -> None:
        """Send nothing until :meth:`release`."""
        self._held = True
        self._disarm()

    def release(self) -> None:
        """Go on after :meth:`hold`."""
        self._held = False
        self._wanted_at = self._clock()
        self._arm()

    def clear(self) -> None:
        """Forget everything that waits."""
        queue, self._queue = self._queue, []
        for *_, slot in queue:
            slot.withdraw(ConnectionError("socket closed"))
        self._disarm()
        self._held = False
        self._idle.set()

    def _arm(self) -> None:
        if self._held or not self._queue:
            return
        self._disarm()
        due = max(self._next, self._paused_until, self._clock())
        self._timer = self._loop.call_at(self._loop.time() + due - self._clock(), self._turn)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = None
        now = self._clock()
        while self._queue:
            *_, slot = heapq.heappop(self._queue)
            if slot.waiting and slot.fire(now):
                self._arrivals.append(now)
                self._next = max(self._after(now), self._allowed_at)
                self.sent += 1
                break
        if self._queue:
            self._arm()
        else:
            self._idle.set()

    def _after(self, now: float) -> float:
        """When the next message may leave, if one leaves *now*."""
        late = now - max(self._next, self._paused_until, self._wanted_at)
        # A gateway without IB's limit, as in a demo, has nothing to be careful of.
        if late > _STALL_S and self.rate <= _IB_RATE:
            self._careful_until = max(self._careful_until, now + _CAREFUL_S)
        only_cancels = bool(self._queue) and self._queue[0][0] == Priority.CANCEL
        is_careful = now < (self._busy_until if only_cancels else self._careful_until)
        careful = 1.0 / CAREFUL_RATE if is_careful else 0.0
        base = self._next if now - self._next <= _CATCH_UP_S else now
        return base + max(self._interval, careful)


class LineGate:
    """
    How many market-data lines may be open; it can shrink when the gateway says 101.

    The permit of a line is given back when its *cancel has left*, because until then the line
    counts at the gateway. Whoever is going to open many lines announces them; once no more are
    to come than *reserve*, all of them are let in. The last answers then have the time of as many
    more cancels to arrive.
    """

    def __init__(self, lines: int, reserve: int = 0) -> None:
        self.limit = lines
        self.reserve = reserve
        self._fitting = math.inf
        """How many lines the link can carry, once it has shown that it cannot carry them all."""
        self._halved_at = -math.inf
        self.open = 0
        self.peak = 0
        self.coming = 0
        """Lines that were announced and are still to be opened."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @property
    def full(self) -> bool:
        """Whether the next :meth:`enter` would wait."""
        return bool(self._waiting) or self.open >= self._room

    @property
    def _room(self) -> int:
        if self._fitting < self.limit:
            return int(self._fitting)
        return self.limit + (self.reserve if 0 < self.coming <= self.reserve else 0)

    def announce(self, lines: int) -> Announced:
        """Tell that so many lines are going to be opened."""
        self.coming += lines
        return Announced(self, lines)

    def withdraw(self, lines: int) -> None:
        """So many announced lines were opened, or are not needed."""
        self.coming -= lines
        self._admit()

    async def enter(self, rank: int = 0) -> None:
        """Wait for a free line, by *rank*, then first come first served. Safe to cancel."""
        if not self.full:
            self._count_in()
            return
        turn = asyncio.get_running_loop().create_future()
        place = (rank, next(self._order), turn)
        heapq.heappush(self._waiting, place)
        try:
            await turn  # whoever ends it has counted us in
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()
            elif place in self._waiting:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
            raise

    def leave(self) -> None:
        """Give a line back."""
        self.open -= 1
        self._admit()

    def follow(self, behind_s: float, *, sure: bool) -> None:
        """
        Follow the lag of the link: half as many lines once it is behind, a few more while not.

        Args:
            behind_s: How much later than at best an answer has come.
            sure: Whether that tells of the link, and not of whoever answered.
        """
        now = asyncio.get_running_loop().time()
        if behind_s > _BEHIND_S and sure:
            if now - self._halved_at > _BEHIND_S:
                self._halved_at = now
                self.fit(min(self._fitting, self.open, self.limit) / 2.0)
        elif behind_s < 0.5 * _BEHIND_S and self._fitting < self.limit:
            self._fitting += _MORE if sure else _MORE / 8.0
            self._admit()

    def fit(self, lines: float) -> None:
        """Open no more than *lines* until the link has shown that it carries more."""
        self._fitting = max(lines, _FEWEST)

    def shrink_to(self, lines: int) -> None:
        """Allow at most *lines* from now on, but never fewer than one, nor more than before."""
        self.limit = min(self.limit, max(lines, 1))
        self.reserve = 0

    def _admit(self) -> None:
        while self._waiting and self.open < self._room:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._count_in()
                turn.set_result(None)

    def _count_in(self) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)


class Announced:
    """Lines that one run is still going to open at a gate."""

    __slots__ = ("_gate", "_left")

    def __init__(self, gate: LineGate, lines: int) -> None:
        self._gate, self._left = gate, lines

    def settle_one(self) -> None:
        """One of them was opened, or is not needed after all."""
        self._settle(1)

    def settle_all(self) -> None:
        """No further one will be opened."""
        self._settle(self._left)

    def _settle(self, lines: int) -> None:
        lines = min(lines, self._left)
        self._left -= lines
        self._gate.withdraw(lines)


class RequestLimits:
    """The pacer and the gates of one session; never shared between sessions."""

    def __init__(
        self,
        limits: LimitsSettings,
        clock: Callable[[], float] | None = None,
        pace: float | None = None,
    ) -> None:
        self.settings = limits
        self.pacer = Pacer(pace or limits.messages_per_s, clock)
        # Second attempts have a few lines of their own, so that they never queue behind contracts
        # that have not been asked once.
        spare = limits.lines // 10
        at_end = limits.lines_at_end if limits.lines >= _LOWERED else limits.lines
        self.lines = LineGate(limits.lines - spare, reserve=max(at_end - limits.lines, 0))
        self.second_lines = LineGate(spare)
        self.details = asyncio.Semaphore(limits.details_at_once)
        self.history = asyncio.Semaphore(limits.history_at_once)
        self._open_details: dict[str, asyncio.Semaphore] = {}
        self._named: dict[str, asyncio.Lock] = {}

    def open_details(self, symbol: str) -> asyncio.Semaphore:
        """Gate for details requests that leave strike or right open, per symbol."""
        if symbol not in self._open_details:
            self._open_details[symbol] = asyncio.Semaphore(self.settings.open_details_per_symbol)
        return self._open_details[symbol]

    def named(self, name: str) -> asyncio.Lock:
        """Lock for a request whose answer carries no id, so only one can be open."""
        return self._named.setdefault(name, asyncio.Lock())

    def follow(self, behind_s: float, sure: bool) -> None:
        """Keep no more lines open than the link can carry; see :meth:`LineGate.follow`."""
        self.lines.follow(behind_s, sure=sure)

    @property
    def peak_lines(self) -> int:
        """Most lines that were open at once."""
        return self.lines.peak + self.second_lines.peak
