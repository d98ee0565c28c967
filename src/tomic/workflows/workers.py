"""Processes that share work which only computes: a few jobs at a time, results as they come."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeAlias, TypeVar

from tomic.errors import TomicError

Result = TypeVar("Result")
Job: TypeAlias = tuple[Any, tuple[Any, ...]]
"""A name and the arguments of the work."""
_AHEAD = 2
"""Jobs a process that wait with their data in memory."""


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def spread(
    work: Callable[..., Result],
    jobs: Iterable[Job] | AsyncIterable[Job],
    *,
    processes: int,
    stopped: Callable[[], bool],
) -> AsyncIterator[tuple[Any, Result]]:
    """
    Run *work* with the arguments of each of *jobs*; yields (name, result) in order of completion.

    Few jobs are taken from *jobs* ahead, so what they carry need not fit into memory at once.
    Cancelling ends the processes after the job each is at.

    Args:
        work: A function of a module, as it is found by name elsewhere.
        jobs: A name and arguments each; what they carry may be read when they are asked for.
        processes: With one, a thread of this process does it all.
        stopped: Asked before each job; what runs then is finished and yielded.

    Raises:
        TomicError: A process died, as where memory ran out; or what *work* raises.
    """
    loop, waiting = asyncio.get_running_loop(), _each(jobs)
    running: dict[asyncio.Future[Result], Any] = {}
    with _executor(processes) as pool:
        try:
            while True:
                while len(running) < _AHEAD * processes and not stopped():
                    job = await anext(waiting, None)
                    if job is None:
                        break
                    name, arguments = job
                    try:
                        running[loop.run_in_executor(pool, work, *arguments)] = name
                    except OSError as exc:
                        # Processes are started as jobs come: no memory, no number left, or those
                        # before it ended at once.
                        raise TomicError(
                            f"cannot start a process that computes ({exc}); set "
                            "backtest.processes = 1"
                        ) from exc
                if not running:
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                # In the order in which they were begun, so that the first error is always the same.
                for future in [each for each in running if each in done]:
                    yield running.pop(future), future.result()
        except BrokenProcessPool as exc:
            raise TomicError(
                "a process that computed ended, perhaps for want of memory; set "
                "backtest.processes = 1"
            ) from exc
        finally:
            for future in running:
                future.cancel()
            pool.shutdown(wait=False, cancel_futures=True)


async def _each(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
        return
    for job in jobs:
        yield job


def _executor(processes: int) -> Executor:
    if processes <= 1:
        return ThreadPoolExecutor(1, thread_name_prefix="tomic backtest")
    # A fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_quiet)


def _quiet() -> None:
    """Ctrl-C is for the process that the user sees; what that one's end leaves behind ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Nobody else tells a process that waits for jobs that nobody will send one any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
