"""An event loop whose clock jumps over every wait, so that a minute of protocol takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_LONGEST_S = 7200.0


class _Selector(selectors.DefaultSelector):
    """Looks whether anything is ready; instead of waiting it moves the clock."""

    now = 0.0
    threads = 0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout != 0 and self.threads:
            return super().select(None)
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

    While a thread does what it was given, as by `asyncio.to_thread`, the clock stands still. Of
    other threads it knows nothing but what `stand_still_for` says.
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

    def stand_still_for(self, result: asyncio.Future[T]) -> asyncio.Future[T]:
        """Let no time pass until *result* is there, which a thread will bring."""
        self._virtual.threads += 1
        result.add_done_callback(self._arrived)
        return result

    def _arrived(self, _: asyncio.Future[Any]) -> None:
        self._virtual.threads -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Give a thread or a process something to do, for which the clock stands still."""
        return self.stand_still_for(super().run_in_executor(executor, func, *args))

    async def shutdown_default_executor(self, *limits: Any) -> None:
        """Wait for the threads, however long it takes."""
        self._virtual.threads += 1
        try:
            await super().shutdown_default_executor(*limits)
        finally:
            self._virtual.threads -= 1


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
