"""One outcome per item, in order, whatever happens on the way."""

from __future__ import annotations

import asyncio

import pytest

from support import virtual_time
from tomic.errors import DeadlineExceeded, RequestTimeout, SessionLost, StoreError
from tomic.ib.fan_out import fan_out, until_stopped


async def wait_and_tell(item: float) -> str:
    await asyncio.sleep(abs(item))
    if item < 0.0:
        raise RequestTimeout(f"item {item:g}", 1.0)
    return f"{item:g} s"


def test_outcomes_keep_the_order_of_items():
    """Results come by item, not by time; a failed request is a value in its own slot."""

    async def scenario():
        told = []
        found = await fan_out(
            [0.3, -0.1, 0.2],
            wait_and_tell,
            stop=asyncio.Event(),
            on_done=lambda outcome: told.append(outcome.item),
        )
        return found, told

    found, told = virtual_time.run(scenario)
    assert [one.item for one in found] == [0.3, -0.1, 0.2]
    assert [one.value for one in found] == ["0.3 s", None, "0.2 s"]
    assert isinstance(found[1].error, RequestTimeout)
    assert told == [-0.1, 0.2, 0.3]


def test_the_deadline_keeps_what_arrived():
    """What is unfinished at the deadline says so, and is stopped."""

    async def scenario():
        deadline = asyncio.get_running_loop().time() + 1.0
        return await fan_out([0.5, 5.0], wait_and_tell, stop=asyncio.Event(), deadline=deadline)

    first, second = virtual_time.run(scenario)
    assert first.value == "0.5 s"
    assert isinstance(second.error, DeadlineExceeded)


def test_a_lost_session_ends_the_group():
    """The first sign that the connection is gone stops the others, with that reason."""

    async def work(item: float) -> str:
        if item == 0.5:
            await asyncio.sleep(item)
            raise SessionLost("the gateway closed the connection")
        return await wait_and_tell(item)

    async def scenario():
        return await fan_out([0.2, 0.5, 9.0], work, stop=asyncio.Event())

    found = virtual_time.run(scenario)
    assert [one.value for one in found] == ["0.2 s", None, None]
    assert [str(one.error) for one in found[1:]] == ["the gateway closed the connection"] * 2


def test_an_interrupt_keeps_what_arrived():
    """Ctrl-C ends the waiting and nothing else."""

    async def scenario():
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, stop.set)
        return await fan_out([0.5, 5.0], wait_and_tell, stop=stop)

    first, second = virtual_time.run(scenario)
    assert first.value == "0.5 s"
    assert str(second.error) == "interrupted"


def test_a_bug_propagates():
    """An error that is nobody's fault but ours is not swallowed, and leaves no task."""

    async def work(item: int) -> None:
        if item:
            raise ZeroDivisionError
        await asyncio.sleep(60.0)

    async def scenario():
        with pytest.raises(ExceptionGroup) as caught:
            await fan_out([0, 1], work, stop=asyncio.Event())
        return caught.value.exceptions, len(asyncio.all_tasks())

    errors, tasks = virtual_time.run(scenario)
    assert [type(one) for one in errors] == [ZeroDivisionError]
    assert tasks == 1


def test_cancelling_the_caller_leaves_no_task():
    """Whoever cancels gets the cancellation back, and every worker has ended."""

    async def scenario():
        ended = []

        async def work(item: int) -> None:
            try:
                await asyncio.sleep(60.0)
            finally:
                ended.append(item)

        task = asyncio.create_task(fan_out(range(3), work, stop=asyncio.Event()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sorted(ended), len(asyncio.all_tasks())

    assert virtual_time.run(scenario) == ([0, 1, 2], 1)


def test_nothing_to_do_is_done():
    """No items, no outcomes, no waiting."""

    async def scenario():
        return await fan_out([], wait_and_tell, stop=asyncio.Event())

    assert virtual_time.run(scenario) == []


def test_a_job_can_be_stopped():
    """Stopping raises what the caller can report, and cancels the job."""

    async def scenario():
        stop, ended = asyncio.Event(), []

        async def job() -> None:
            try:
                await asyncio.sleep(60.0)
            finally:
                ended.append(True)

        asyncio.get_running_loop().call_later(1.0, stop.set)
        with pytest.raises(DeadlineExceeded, match="interrupted"):
            await until_stopped(job(), stop)
        return ended, await until_stopped(wait_and_tell(0.5), asyncio.Event())

    assert virtual_time.run(scenario) == ([True], "0.5 s")


async def test_an_error_that_is_no_outcome_comes_as_it_is():
    """A worker that cannot write the store ends the whole run with that error, not a group."""

    async def worker(item):
        if item == 2:
            raise StoreError("the disk is full")
        await asyncio.Event().wait()

    with pytest.raises(StoreError, match="the disk is full"):
        await fan_out([1, 2, 3], worker, deadline=None, stop=asyncio.Event())
