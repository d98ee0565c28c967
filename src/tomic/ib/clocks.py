"""Clocks that stop while the gateway cannot serve a kind of request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any


class Farm(StrEnum):
    """The data farms of IB whose loss is announced one by one."""

    MARKET = "market data"
    HISTORY = "history"
    DETAILS = "contract details"


_OURS = ("us", "secdef")
_NOT_OURS = ("usbond", "usfuture")


def matters(farm: str) -> bool:
    """
    Whether options on US underlyings need the farm of that name, such as ``usfarm.nj``.

    IB announces farms of other markets and continents in the same way; nobody waits for those.
    """
    return not farm or (farm.startswith(_OURS) and not farm.startswith(_NOT_OURS))


BROKEN = {2103: Farm.MARKET, 2105: Farm.HISTORY, 2157: Farm.DETAILS}
RESTORED = {
    2104: Farm.MARKET,
    2106: Farm.HISTORY,
    2107: Farm.HISTORY,  # inactive, but available upon demand
    2108: Farm.MARKET,
    2158: Farm.DETAILS,
}


_LOOK_S = 0.25
"""Polling interval while the clock is stopped."""
_STALL_S = 0.05
"""A timer that comes so much too late shows that this process stood still."""


class StoppableClock:
    """
    Seconds that pass only while nothing stops the clock.

    Timeouts measured with it do not run out while TWS has lost IB, or a farm is broken, nor while
    this process itself stood still: what arrived meanwhile is heard before anybody gives up.
    """

    def __init__(self, base: Callable[[], float]) -> None:
        self._base = base
        self._lost = 0.0
        self._stalled_until = 0.0
        self._stopped_at: float | None = None
        self._reasons: set[str] = set()
        self._running = asyncio.Event()
        self._running.set()

    @property
    def running(self) -> bool:
        """Whether time passes."""
        return self._stopped_at is None

    def stopped_by(self, reason: str) -> bool:
        """Whether *reason* is one of those for which no time passes."""
        return reason in self._reasons

    def now(self) -> float:
        """Seconds, without those for which the clock was stopped."""
        at = self._base() if self._stopped_at is None else self._stopped_at
        return at - self._lost

    def stop(self, reason: str) -> None:
        """Stop for *reason*; several reasons must all end."""
        self._reasons.add(reason)
        if self._stopped_at is None:
            self._stopped_at = self._base()
            self._running.clear()

    def start(self, reason: str) -> None:
        """*reason* is over."""
        self._reasons.discard(reason)
        if not self._reasons and self._stopped_at is not None:
            self._lost += self._base() - self._stopped_at
            self._stopped_at = None
            self._running.set()

    def restart(self) -> None:
        """No reason holds any more."""
        for reason in list(self._reasons):
            self.start(reason)

    async def wait_running(self) -> None:
        """Return at once while time passes, else when it passes again. Safe to cancel."""
        await self._running.wait()

    async def wait_for(self, event: asyncio.Event | asyncio.Future[Any], until: float) -> bool:
        """
        Wait until *event* happens or this clock shows *until*; tell whether it happened.

        Safe to cancel.
        """
        while True:
            done = event.is_set() if isinstance(event, asyncio.Event) else event.done()
            if done:
                return True
            left = until - self.now()
            if left <= 0.0:
                return False
            # A stopped clock can only be left by the event or by starting again: look often.
            pause = left if self.running else _LOOK_S
            due = self._base() + pause
            if not await happens(event, pause):
                self._forgive(due, pause)

    def _forgive(self, due: float, pause_s: float) -> None:
        """
        Leave out a stall that a timer *due* came too late for; it counts once for all timers.

        When it began nobody knows: taken is as long before the timer as after it.
        """
        began, now = max(due, self._stalled_until), self._base()
        late = now - began
        if self.running and late > _STALL_S:
            self._lost += late + min(late, pause_s)
            self._stalled_until = now


async def happens(event: asyncio.Event | asyncio.Future[Any], timeout_s: float) -> bool:
    """Wait for *event*; False when it did not come within *timeout_s*. Safe to cancel."""
    try:
        async with asyncio.timeout(timeout_s):
            if isinstance(event, asyncio.Event):
                await event.wait()
            else:
                await asyncio.wait({event})
    except TimeoutError:
        return False
    return True
