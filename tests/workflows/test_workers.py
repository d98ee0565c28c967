"""Jobs are shared by a few processes, stopped between jobs, and end as errors that say so."""

from __future__ import annotations

import asyncio
import os
from multiprocessing import spawn

import pytest

from tomic.errors import DataError, TomicError
from tomic.workflows import workers


def doubled(number):
    """What a job does here."""
    return 2 * number


def refused(number):
    """A job that cannot be done."""
    raise DataError(f"{number} is no good")


def ended(_):
    """A process that ends, as one that the system kills."""
    os._exit(3)


async def gathered(work, count, *, processes=1, stopped=lambda: False):
    jobs = ((name, (name,)) for name in range(count))
    return [pair async for pair in workers.spread(work, jobs, processes=processes, stopped=stopped)]


async def test_every_job_is_done_once():
    """Names and results belong together."""
    assert sorted(await gathered(doubled, 7)) == [(n, 2 * n) for n in range(7)]


async def test_processes_do_the_same():
    """Two processes give what one thread gives."""
    assert sorted(await gathered(doubled, 3, processes=2)) == [(0, 0), (1, 2), (2, 4)]


async def test_stopping_keeps_what_runs():
    """What was begun is finished, and nothing is begun after."""
    seen = []
    jobs = ((name, (name,)) for name in range(50))
    async for pair in workers.spread(doubled, jobs, processes=1, stopped=lambda: bool(seen)):
        seen.append(pair)

    assert 1 <= len(seen) <= 3


async def test_an_error_of_a_job_is_raised():
    """As it was."""
    with pytest.raises(DataError, match="0 is no good"):
        await gathered(refused, 2)


async def test_a_process_that_dies_is_named():
    """With what to do about it."""
    with pytest.raises(TomicError, match=r"backtest\.processes = 1"):
        await gathered(ended, 2, processes=2)


async def test_a_process_that_cannot_start_is_named(tmp_path):
    """Nothing of the machine's reason is lost, and what to do about it is said."""
    before = spawn.get_executable()
    spawn.set_executable(tmp_path / "nowhere")
    try:
        with pytest.raises(TomicError, match=r"backtest\.processes = 1"):
            await gathered(doubled, 2, processes=2)
    finally:
        spawn.set_executable(before)


async def test_few_jobs_wait_in_memory():
    """However many there are, jobs are taken as they are needed."""
    taken = 0

    def jobs():
        nonlocal taken
        for name in range(100):
            taken += 1
            yield name, (name,)

    async for _ in workers.spread(doubled, jobs(), processes=1, stopped=lambda: False):
        await asyncio.sleep(0)
        break

    assert taken <= 4
