"""A scenario in virtual time: hours pass at once, in the right order, and a hang is an error."""

from __future__ import annotations

import asyncio
import time

import pytest

from tomic import testing
from tomic.testing import virtual_time


def test_waits_pass_at_once_and_in_order():
    """An hour and a half of waiting keeps its order and its length."""

    async def scenario():
        loop, order = asyncio.get_running_loop(), []

        async def wait(seconds):
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(wait(3600.0), wait(1.0), wait(1800.0))
        virtual_time.stall(1800.0)
        return order, loop.time()

    assert testing.run(scenario) == ([1.0, 1800.0, 3600.0], pytest.approx(5400.0))


def test_who_waits_for_nobody_is_told():
    """A real loop would hang."""

    async def scenario():
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="nothing will ever happen"):
        testing.run(scenario)


def test_what_goes_on_for_two_hours_never_ends():
    """A loop of polls is told from a long wait."""

    async def scenario():
        for _ in range(1_000):
            await asyncio.sleep(60.0)

    with pytest.raises(AssertionError, match="has not ended after 7200 s"):
        testing.run(scenario)


async def test_a_usual_loop_cannot_be_stalled():
    """A test that forgot `run` is told so."""
    with pytest.raises(TypeError, match=r"see tomic\.testing\.run"):
        virtual_time.stall(1.0)


def test_the_clock_stands_still_while_a_thread_works():
    """However long it takes, no time-out of the scenario passes; afterwards waits pass at once."""

    async def scenario():
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.05)
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(3600.0)
        return before, asyncio.get_running_loop().time()

    before, after = testing.run(scenario)

    assert before < 0.001
    assert after == pytest.approx(3600.0)
