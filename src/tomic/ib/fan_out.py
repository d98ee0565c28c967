"""Many requests at once: one outcome per item, in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tomic.errors import DeadlineExceeded, RequestFailed, SessionError, TomicError, leaves

T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, T]):
    """What became of one item."""

    item: Item
    value: T | None = None
    error: RequestFailed | SessionError | None = None


class Interrupt(Exception):
    """Whoever runs the program wants to stop and keep what is there."""


async def fan_out(
    items: Sequence[Item],
    worker: Callable[[Item], Awaitable[T]],
    *,
    stop: asyncio.Event,
    deadline: float | None = None,
    on_done: Callable[[Outcome[Item, T]], None] | None = None,
) -> list[Outcome[Item, T]]:
    """
    Run *worker* for every item at once; return an outcome per item, in order, always.

    A failed request is a value in its own slot. When the connection is lost, the loop's time
    *deadline* passes, or *stop* is set, the rest is stopped, what arrived is kept and the
    unfinished slots carry the reason. Other errors, such as one of the store, and the caller's own
    cancellation propagate, and leave no task behind.
    """
    outcomes: list[Outcome[Item, T] | None] = [None] * len(items)

    async def run(index: int, item: Item) -> None:
        try:
            outcome: Outcome[Item, T] = Outcome(item, value=await worker(item))
        except RequestFailed as exc:
            outcome = Outcome(item, error=exc)
        outcomes[index] = outcome
        if on_done is not None:
            on_done(outcome)

    reason: RequestFailed | SessionError = DeadlineExceeded("stopped")
    try:
        async with asyncio.timeout_at(deadline):
            await _run_all([run(index, item) for index, item in enumerate(items)], stop)
    except TimeoutError:
        reason = DeadlineExceeded("the deadline passed before an answer came")
    except SessionError as exc:
        reason = exc
    except Interrupt:
        reason = DeadlineExceeded("interrupted")
    return [
        outcome if outcome is not None else Outcome(items[index], error=reason)
        for index, outcome in enumerate(outcomes)
    ]


async def until_stopped(job: Awaitable[T], stop: asyncio.Event) -> T:
    """
    Await *job*, unless *stop* is set first; then it is cancelled.

    Raises:
        DeadlineExceeded: It was stopped.
    """
    running = asyncio.ensure_future(job)
    watch = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise DeadlineExceeded("interrupted")
        return running.result()
    finally:
        pending = {task for task in (running, watch) if not task.done()}
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)


async def _run_all(jobs: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all *jobs*; raise the one reason for which the group was stopped."""
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_raise_when(stop))
            tasks = [group.create_task(job) for job in jobs]
            if tasks:
                await asyncio.wait(tasks)
            watch.cancel()
    except BaseExceptionGroup as errors:
        reasons, bugs = errors.split((TomicError, Interrupt))
        if bugs is not None or reasons is None:
            raise
        raise next(leaves(reasons)) from None


async def _raise_when(stop: asyncio.Event) -> None:
    await stop.wait()
    raise Interrupt
