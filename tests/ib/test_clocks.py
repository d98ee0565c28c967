"""Time that stands still while the gateway cannot serve."""

from __future__ import annotations

import asyncio

import pytest

from support import virtual_time
from tomic.ib.clocks import StoppableClock, matters


def clock() -> StoppableClock:
    return StoppableClock(asyncio.get_running_loop().time)


def test_stopped_time_does_not_count():
    """Three seconds of outage are missing from the clock."""

    async def scenario() -> list[float]:
        one, seen = clock(), []
        await asyncio.sleep(1.0)
        one.stop("farm")
        await asyncio.sleep(3.0)
        seen.append(one.now())
        one.start("farm")
        await asyncio.sleep(0.5)
        return [*seen, one.now()]

    assert virtual_time.run(scenario) == pytest.approx([1.0, 1.5])


def test_every_reason_must_end():
    """Two outages that overlap stop the clock from the first's begin to the last's end."""

    async def scenario() -> float:
        one = clock()
        one.stop("connectivity")
        await asyncio.sleep(1.0)
        one.stop("farm")
        one.start("connectivity")
        assert not one.running
        assert one.stopped_by("farm") and not one.stopped_by("connectivity")
        await asyncio.sleep(1.0)
        one.start("unheard of")
        one.start("farm")
        assert one.running
        return one.now()

    assert virtual_time.run(scenario) == 0.0


def test_a_wait_does_not_run_out_while_stopped():
    """Two seconds of patience and an outage of ten end after twelve."""

    async def scenario() -> tuple[bool, float]:
        loop, one = asyncio.get_running_loop(), clock()
        loop.call_later(1.0, one.stop, "farm")
        loop.call_later(11.0, one.start, "farm")
        happened = await one.wait_for(asyncio.Event(), 2.0)
        return happened, loop.time()

    happened, at = virtual_time.run(scenario)
    assert not happened
    assert at == pytest.approx(12.0, abs=0.3)


@pytest.mark.parametrize("kind", ["event", "future"])
def test_a_wait_ends_with_its_event(kind):
    """Whatever is waited for ends the wait at once, also while the clock stands."""

    async def scenario() -> tuple[bool, float]:
        loop, one = asyncio.get_running_loop(), clock()
        thing = asyncio.Event() if kind == "event" else loop.create_future()
        happen = thing.set if kind == "event" else lambda: thing.set_result(None)
        one.stop("farm")
        loop.call_later(0.4, happen)
        return await one.wait_for(thing, 100.0), loop.time()

    assert virtual_time.run(scenario) == (True, pytest.approx(0.4))


def test_restart_forgets_all_reasons():
    """A new connection begins with a running clock."""

    async def scenario() -> bool:
        one = clock()
        one.stop("connectivity")
        one.stop("farm")
        one.restart()
        await one.wait_running()
        return one.running

    assert virtual_time.run(scenario)


@pytest.mark.parametrize(
    ("farm", "needed"),
    [
        ("usfarm", True),
        ("usfarm.nj", True),
        ("usopt", True),
        ("ushmds", True),
        ("secdefil", True),
        ("", True),
        ("cashfarm", False),
        ("eufarm", False),
        ("hfarm", False),
        ("usfuture", False),
        ("usbond", False),
    ],
)
def test_only_farms_of_us_options_are_waited_for(farm, needed):
    """TWS announces the farms of every continent; a broken one in Hong Kong stops nobody."""
    assert matters(farm) is needed


def test_a_stall_of_ours_counts_for_nobody():
    """Half a second in which this process stood still is missing from the patience of all."""

    async def scenario() -> tuple[list[bool], float]:
        loop, one, answer = asyncio.get_running_loop(), clock(), asyncio.Event()
        # The answer is due in time, but the stall delays it as much as the timers.
        loop.call_later(0.9, virtual_time.stall, 0.5)
        loop.call_later(1.2, answer.set)
        waits = [one.wait_for(answer, 1.0), one.wait_for(asyncio.Event(), 1.0)]
        heard = await asyncio.gather(*waits)
        return heard, loop.time()

    heard, ended = virtual_time.run(scenario)

    assert heard == [True, False]
    assert ended == pytest.approx(1.8, abs=0.01)
