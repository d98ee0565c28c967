"""
How far we have read what the gateway said: silence means something only from there on.

TWS handles messages in the order in which they come, and what it says stands in one queue. So once
the answer to a message has been read, everything has that was said before it: whoever was asked
earlier and is still silent had not spoken by then, however slow the link is. Nearly every answer
serves as such a fence and costs nothing; where none is to come, the time is asked for.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from tomic.ib.clocks import happens
from tomic.ib.pacing import Pacer, Priority, Slot

_SLOW_S = 0.3
"""An answer that takes so long at best comes over a slow link."""
_BEHIND_S = 1.0
"""So much later than at best: more is being sent to us than the link takes."""
_LOOKS_BEHIND_S = 0.2
"""Something that answers so late may be slow itself; the time tells whether the link is."""
_STALL_S, _SEVERAL = 0.045, 3
_LONGER = 3.0
"""Answers that come so much later than at best show that the gateway had stood still."""
_NATURAL_S = 0.3
"""How long an answer to somebody else is waited for before the time is asked for."""
_AGAIN_S = 0.25
"""How long after one question for the time the next may follow while the first is under way."""
_FRESH_S = 2.0
"""How long it holds that a link is quick."""
_STALE_S = 1.0
"""Nothing newer was answered for so long, while lines are being opened: the link may be behind."""
_THIN = 100_000.0
"""Bytes a second: the details of all options of an expiry would take such a link a second."""
_ENOUGH = 4_000
"""Bytes from which a rate can be told."""
_BYTES_A_LINE = 2_000.0
"""What one open line brings in a second."""
_UNANSWERED_S = 5.0
"""After so long, a time that is not told is not waited for any more."""


class Fence:
    """
    The fence of one link.

    Args:
        pacer: Through which the time is asked for.
        ask_time: Sends that question; raises ``ConnectionError`` when the link is gone.
    """

    def __init__(self, pacer: Pacer, ask_time: Callable[[], None]) -> None:
        self._pacer, self._send = pacer, ask_time
        self._clock = asyncio.get_running_loop().time
        self.read_up_to = -1.0
        """When the newest message left whose answer has been read, on the loop's clock."""
        self.lag_s = 0.0
        """How long the newest answer took to come."""
        self.least_s = 0.0
        """How long the quickest one took; 0 while none has come."""
        self.on_lag: Callable[[float, bool], None] = lambda behind_s, sure: None
        """Called with how far behind the link is, and whether that is sure: a line that is slow
        to speak looks the same as a slow link, while the time is always told at once."""
        self.rate: float | None = None
        """Bytes a second that the link carries, where that could be told."""
        self.on_stall: Callable[[float, float], None] = lambda seconds, ago_s: None
        """Called when the gateway has stood still: for how long, and how long ago it went on."""
        self._suspects = 0
        self._asked: deque[float] = deque()
        self._asked_at = 0.0
        self._told_at = -math.inf
        """When the lag was told last."""
        self._overdue_s = 0.0
        """How much longer than at best the time is under way that was asked for first."""
        self._queued: Slot | None = None
        self._waiters: list[tuple[float, asyncio.Event]] = []
        self._lossy = False

    @property
    def behind_s(self) -> float:
        """How much longer the newest answer took than the quickest."""
        return self.lag_s - self.least_s

    @property
    def slow(self) -> bool:
        """Whether the link is slow: what need not be sent to us should not be asked for."""
        thin = self.rate is not None and self.rate < _THIN
        behind_s = max(self.behind_s, self._overdue_s)
        return thin or self.least_s > _SLOW_S or behind_s > _BEHIND_S

    @property
    def quick(self) -> bool:
        """Whether answers came at once until just now: nothing can be under way for long."""
        fresh = self._clock() - self._told_at < _FRESH_S
        return fresh and max(self.lag_s, self._overdue_s) < _LOOKS_BEHIND_S

    @property
    def fitting(self) -> float:
        """How many lines the link carries, as far as that can be told beforehand."""
        return math.inf if self.rate is None else self.rate / _BYTES_A_LINE

    def inherit(self, other: Fence) -> None:
        """Take over what *other* has learned of the way to the same gateway."""
        self.rate, self.least_s, self.lag_s = other.rate, other.least_s, other.least_s

    def measure(self, count: int, seconds: float) -> None:
        """So many bytes of an answer that the gateway gave at once came within *seconds*."""
        if count > _ENOUGH and seconds > 0.0:
            self.rate = count / seconds

    def check(self, *, busy: bool) -> None:
        """
        Look whether the link is behind, although nothing that would tell has come.

        Args:
            busy: Whether lines are being opened, whose first words should have come.
        """
        now = self._clock()
        if self._asked:
            self._overdue_s = now - self._asked[0] - self.least_s
            if self._overdue_s > _BEHIND_S:
                self.on_lag(self._overdue_s, True)
        elif busy and now - max(self.read_up_to, self._asked_at) > _STALE_S:
            self.ask()

    def ask_time(self) -> None:
        """Send the question for the time now; raises ``ConnectionError`` on a dead link."""
        self._send()
        self._asked_at = self._clock()
        self._asked.append(self._asked_at)

    def time_told(self) -> None:
        """The time was told; answers come in the order of the questions."""
        if self._asked:
            self._answered(self._asked.popleft(), prompt=True, sure=True)

    def message_lost(self) -> None:
        """The gateway says that it has lost a message, and does not say which."""
        self._lossy = True

    def spoke(self, sent_at: float) -> None:
        """A line that was opened at *sent_at* spoke for the first time."""
        self._answered(sent_at, prompt=True, sure=False)

    def replied(self, sent_at: float) -> None:
        """A question that left at *sent_at* has an answer, which may have taken long to find."""
        self._answered(sent_at, prompt=False, sure=False)

    def _answered(self, sent_at: float, *, prompt: bool, sure: bool) -> None:
        # Somebody who answers after a later question was answered was slow, and not the link.
        if sent_at <= self.read_up_to:
            return
        before, self.read_up_to = self.read_up_to, sent_at
        for moment, event in self._waiters:
            if sent_at >= moment:
                event.set()
        lag_s = self._clock() - sent_at
        if not prompt:
            return
        self.least_s = min(lag_s, self.least_s or lag_s)
        self._overdue_s = 0.0
        self._look_for_stall(lag_s - self.least_s, sent_at - before)
        if sure or lag_s - self.least_s < _LOOKS_BEHIND_S:
            self.lag_s, self._told_at = lag_s, self._clock()
            self.on_lag(self.behind_s, sure)
        else:
            self.ask()

    def _look_for_stall(self, behind_s: float, gap_s: float) -> None:
        """
        Tell of a gateway that answered late for once, on a link that is quick otherwise.

        Of those that answer much later, one may have been slow itself, and several are not. The
        stall has lasted at least as long as the answer was late, and may have begun just after the
        message before, *gap_s* earlier, was read in time.
        """
        self._suspects = self._suspects + 1 if behind_s >= _LOOKS_BEHIND_S else 0
        is_stall = behind_s < _LOOKS_BEHIND_S or self._suspects == _SEVERAL
        if is_stall and _STALL_S < behind_s < _BEHIND_S and not self.slow:
            self.on_stall(min(behind_s + gap_s, _LONGER * behind_s), self.least_s)

    def ask(self) -> None:
        """Ask for the time, unless that is under way."""
        if not self._asked:
            self._ask(self._clock())

    def _ask(self, moment: float, *, shared: bool = True) -> None:
        """
        Ask for the time, unless a question that left after *moment* is under way.

        One that left just before it is waited for first: many moments then share the next one.
        """
        waits = self._queued is not None and self._queued.waiting
        just_asked = self._asked and self._clock() - self._asked_at < max(_AGAIN_S, self.lag_s / 4)
        if waits or (shared and just_asked) or any(asked_at >= moment for asked_at in self._asked):
            return
        self._queued = self._pacer.post(self.ask_time, Priority.URGENT)

    async def passed(self, moment: float) -> bool:
        """Whether all is read that was said up to *moment*; it is asked for at once."""
        self._ask(moment, shared=False)
        return not await self.hears(asyncio.Event(), moment, others=False) and (
            self.read_up_to >= moment
        )

    async def hears(self, event: asyncio.Event, moment: float, *, others: bool) -> bool:
        """
        Wait for *event*; False once all was read that was said up to *moment*, whatever it was.

        Args:
            moment: Time of the loop, not in the future.
            others: Whether others are being asked too, whose answers serve as well.

        False as well when the gateway does not even tell the time. Safe to cancel.
        """
        began = self._clock()
        give_up_at = began + max(_UNANSWERED_S, 3.0 * self.lag_s)
        ask_at = began + (_NATURAL_S + self.lag_s if others else 0.0)
        waiter = (moment, event)
        self._waiters.append(waiter)
        try:
            while self.read_up_to < moment:
                now = self._clock()
                if now >= give_up_at:
                    if self._lossy and self._asked:
                        self._asked.popleft()
                    return False
                if now >= ask_at:
                    self._ask(moment)
                due = ask_at if now < ask_at else min(now + _AGAIN_S, give_up_at)
                if await happens(event, due - now):
                    # Set by the fence as well, once it has passed.
                    return self.read_up_to < moment
            return False
        finally:
            self._waiters.remove(waiter)
