"""An event loop whose clock jumps over every wait, so that a minute of protocol takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LONGEST_S = 7200.0


class _Selector(selectors.DefaultSelector):
    """Looks whether anything is ready; instead of waiting it moves the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout != 0:
            if timeout is None:
                raise AssertionError("everything waits, and nothing will ever happen")
            # A little more than asked for, so that rounding never leaves a timer just ahead.
            self.now += timeout + 1e-9
            if self.now >= _LONGEST_S:
                raise AssertionError(f"this scenario has not ended after {_LONGEST_S:.0f} s")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    Sockets of this process work as ever; when nothing is ready, the clock jumps to the next timer.

    Threads are not waited for, so nothing in here may use one.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        # A timer due within the resolution would run without the clock ever reaching it.
        self._clock_resolution = 1e-12

    def time(self) -> float:
        """Seconds since the loop was made, those that were jumped over included."""
        return self._virtual.now

    def stall(self, seconds: float) -> None:
        """Let time pass in which the loop does nothing, as a blocking call would."""
        self._virtual.now += seconds


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run a scenario in virtual time: every wait passes at once, in the right order.

    The gateway and its client must both be of the scenario's own loop, as inside ``async with
    gateway()``. What takes two hours of virtual time is taken to hang.

    Args:
        scenario: A coroutine function without arguments.

    Returns:
        What it returns.

    Raises:
        AssertionError: Everything waits for what nobody will do, or it never ends, or it leaves a
            task behind.
    """
    result: list[T] = []

    async def whole() -> None:
        # The runner writes its task out in full, result included, when it gives SIGINT back.
        result.append(await scenario())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())
        left = [task for task in asyncio.all_tasks(runner.get_loop()) if not task.done()]
        if left:
            raise AssertionError(f"the scenario left tasks behind: {left}")
    return result[0]


def stall(seconds: float) -> None:
    """
    Block the running virtual loop for so long.

    Raises:
        TypeError: The running loop is not a virtual one.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("only a virtual loop can be stalled; see tomic.testing.run")
    loop.stall(seconds)
