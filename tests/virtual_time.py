"""An event loop whose clock jumps over every wait, so that a minute of protocol takes no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LONGEST_S = 7200.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    Sockets of this process work as ever; when nothing is ready, the clock jumps to the next timer.

    Threads are not waited for, so nothing in here may use one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def stall(self, seconds: float) -> None:
        """Let time pass in which the loop does nothing, as a blocking call would."""
        self._now += seconds

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            # What a socket brought before the next timer comes first.
            self._process_events(self._selector.select(0))
            if not self._ready:
                self._now = max(self._now, self._scheduled[0].when())
        assert self._now < _LONGEST_S, "this scenario never ends"
        super()._run_once()


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a scenario in virtual time; whatever it leaves behind is an error."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        found = runner.run(scenario())
        left = [task for task in asyncio.all_tasks(runner.get_loop()) if not task.done()]
        assert left == []
        return found


def stall(seconds: float) -> None:
    """Block the running virtual loop for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.stall(seconds)
