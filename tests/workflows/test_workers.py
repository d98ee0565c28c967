"""Jobs are shared by a few processes, stopped between jobs, and end as errors that say so."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from multiprocessing import resource_tracker, spawn
from pathlib import Path

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
    # Begun with the right executable: one for the whole process, which outlives this test.
    resource_tracker.ensure_running()
    before = spawn.get_executable()
    spawn.set_executable(tmp_path / "nowhere")
    try:
        with pytest.raises(TomicError, match=r"backtest\.processes = 1"):
            await gathered(doubled, 2, processes=2)
    finally:
        spawn.set_executable(before)


ALONE = """
import asyncio, sys
sys.path[:0] = {paths!r}
from tomic.workflows import workers
import test_workers

async def main():
    jobs = ((name, (name,)) for name in range(99))
    async for _, pid in workers.spread(
        test_workers.waited, jobs, processes=2, stopped=lambda: False
    ):
        print(pid, flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def waited(_):
    """A job that takes a moment, and which process did it."""
    time.sleep(0.04)
    return os.getpid()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed elsewhere")
def test_killing_the_program_leaves_no_process_behind(tmp_path):
    """What waits for jobs ends when nobody is left to send any."""
    script = tmp_path / "alone.py"
    script.write_text(ALONE.format(paths=[str(Path(__file__).parent)]))
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        pids = {int(run.stdout.readline())}
        run.kill()
    deadline = time.monotonic() + 60.0
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not any(is_running(pid) for pid in pids)


def is_running(pid):
    """Whether a process is there and not merely unclaimed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
