"""Whatever happens to a line, its permit comes back and the gateway hears of its end."""

from __future__ import annotations

import asyncio
import random

import pytest

from support import virtual_time
from support.simulated import running, settings
from tomic.errors import SessionLost
from tomic.ib import convert
from tomic.ib.callbacks import Interrupted
from tomic.ib.lines import LineRequest
from tomic.sim.faults import LateTicks, Silent

SPY = convert.stock_contract("SPY")
SLOW = settings(limits={"lines": 2, "messages_per_s": 10.0})


async def hold(session, seconds: float, started=None) -> None:
    """Hold one line for so long."""
    async with session.line(LineRequest("quote", SPY)):
        if started is not None:
            started.set()
        await asyncio.sleep(seconds)


async def settled(run) -> tuple[int, int, int]:
    """Lines open at the gateway, permits taken, and lines that wait for ticks."""
    await run.session.limits.pacer.wait_idle()
    await asyncio.sleep(0.2)
    limits = run.session.limits
    return run.gateway.lines_open, limits.lines.open, len(run.session._link.callbacks.lines)


CLEAN = (0, 0, 0)


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.099, 0.1, 0.101, 0.15, 0.25, 0.5, 0.9])
def test_a_cancelled_task_leaves_no_line(after_s):
    """Before its gate, queued, sent, ticking or being cancelled: nothing stays behind."""

    async def scenario():
        async with running(given=SLOW) as run:
            tasks = [asyncio.create_task(hold(run.session, 0.3)) for _ in range(4)]
            await asyncio.sleep(after_s)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return await settled(run)

    assert virtual_time.run(scenario) == CLEAN


@pytest.mark.parametrize("seed", range(8))
def test_cancelling_at_random_leaves_no_line(seed):
    """Forty lines over five permits, cancelled at random moments."""
    rng = random.Random(seed)

    async def scenario():
        async with running(given=settings(limits={"lines": 5})) as run:
            tasks = [asyncio.create_task(hold(run.session, rng.uniform(0, 1))) for _ in range(40)]
            for task in rng.sample(tasks, 30):
                await asyncio.sleep(rng.uniform(0.0, 0.1))
                task.cancel()
            await asyncio.wait(tasks)
            return await settled(run), run.gateway.peak_lines

    clean, peak = virtual_time.run(scenario)
    assert clean == CLEAN
    assert peak <= 5


def test_the_permit_comes_back_with_the_cancel():
    """Until its cancel has left, a line counts at the gateway, and so it does here."""

    async def scenario():
        async with running(given=SLOW) as run:
            await asyncio.gather(*(hold(run.session, 0.5) for _ in range(10)))
            await run.session.limits.pacer.wait_idle()
            await asyncio.sleep(0.1)
            return run.gateway.peak_lines

    assert virtual_time.run(scenario) == 2


@pytest.mark.parametrize(("code", "cancels"), [(200, 0), (321, 0), (354, 1), (10999, 1)])
def test_what_was_never_opened_needs_no_cancel(code, cancels):
    """200 and 321 say that there is no such line; any other code leaves that open."""

    async def scenario():
        async with running(f"refuse:code={code}") as run:
            async with run.session.line(LineRequest("quote", SPY)) as line:
                await line.changed.wait()
            return await settled(run), run.gateway.by_kind["cancel_market_data"]

    assert virtual_time.run(scenario) == (CLEAN, cancels)


def test_lines_of_advisory_codes_do_not_add_up():
    """A hundred and fifty lines to which something is said, and data never come: none is left."""

    async def scenario():
        async with running("advised:codes=10089,data=none") as run:
            await asyncio.gather(*(hold(run.session, 0.1) for _ in range(150)))
            clean = await settled(run)
            return clean, run.gateway.codes()[101]

    assert virtual_time.run(scenario) == (CLEAN, 0)


def test_an_interrupted_line_is_cancelled():
    """After an outage nobody knows whether the gateway still has the line."""

    async def scenario():
        async with running() as run:
            async with run.session.line(LineRequest("quote", SPY)) as line:
                await asyncio.sleep(0.1)
                line.fail(Interrupted())
            return await settled(run), run.gateway.by_kind["cancel_market_data"]

    assert virtual_time.run(scenario) == (CLEAN, 1)


def test_a_lost_connection_returns_every_permit():
    """Also those whose cancel could never leave."""

    async def scenario():
        async with running(given=SLOW) as run:
            tasks = [asyncio.create_task(hold(run.session, 5.0)) for _ in range(6)]
            await asyncio.sleep(0.5)
            for client in list(run.gateway.clients):
                client.drop()
            await asyncio.sleep(10.0)
            await asyncio.wait(tasks)
            errors = {type(task.exception()) for task in tasks}
            await run.session.reconnect()
            await hold(run.session, 0.1)
            return errors, await settled(run)

    errors, clean = virtual_time.run(scenario)
    assert errors == {SessionLost, type(None)}
    assert clean == CLEAN


def test_lines_of_a_deaf_connection_are_given_up():
    """What can no longer be understood is cancelled all the same before the socket closes."""

    async def scenario():
        async with running("truncate:after=4") as run:
            tasks = [asyncio.create_task(hold(run.session, 60.0)) for _ in range(3)]
            await asyncio.sleep(12.0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await run.session.reconnect()
            return run.gateway.leaked, run.gateway.by_kind["cancel_market_data"]

    assert virtual_time.run(scenario) == (0, 3)


def test_ticks_after_a_cancel_are_answered_by_another():
    """A line that goes on ticking was never cancelled: the message got lost."""

    async def scenario():
        async with running(LateTicks(seconds=2.0)) as run:
            await hold(run.session, 0.5)
            await asyncio.sleep(5.0)
            return run.gateway.by_kind["cancel_market_data"], await settled(run)

    cancels, clean = virtual_time.run(scenario)
    assert 2 <= cancels <= 5
    assert clean == CLEAN


def test_old_lines_are_forgotten():
    """A session that runs for days does not remember every line it ever had."""

    async def scenario():
        async with running(limits=None, session={"pace": 5000.0}) as run:
            for _ in range(41):
                await asyncio.gather(*(hold(run.session, 0.0) for _ in range(50)))
            return len(run.session._link.callbacks.closed_lines)

    assert virtual_time.run(scenario) <= 2001


def test_nobody_waits_for_a_gate_of_silent_lines():
    """A task cancelled while others hold every line gives its place to the next."""

    async def scenario():
        async with running(Silent(), given=SLOW) as run:
            tasks = [asyncio.create_task(hold(run.session, 2.0)) for _ in range(3)]
            await asyncio.sleep(0.5)
            tasks[2].cancel()
            last, started = asyncio.Event(), run.time()
            tasks.append(asyncio.create_task(hold(run.session, 0.1, last)))
            await last.wait()
            waited = run.time() - started
            await asyncio.wait(tasks)
            return waited

    assert virtual_time.run(scenario) < 2.5


def test_ticks_that_were_under_way_are_no_lost_cancel():
    """On a link with a backlog they come long after the cancel, which is not sent again."""

    async def scenario():
        async with running("slow:rate=2000,latency=0.25") as run:
            await asyncio.gather(*(hold(run.session, 3.0) for _ in range(10)))
            await asyncio.sleep(20.0)
            return run.gateway.by_kind["cancel_market_data"], run.gateway.codes()[300]

    assert virtual_time.run(scenario) == (10, 0)


def test_ticks_count_until_the_cancel_has_left():
    """While it waits for its turn they cost nothing."""

    async def scenario():
        async with running(given=settings(limits={"messages_per_s": 10.0})) as run:
            async with run.session.line(LineRequest("quote", SPY)) as line:
                pass
            run.session.limits.pacer.hold()
            await asyncio.sleep(0.5)
            parting = (line.ticks.bid is not None, line.gone)
            run.session.limits.pacer.release()
            await run.session.limits.pacer.wait_idle()
            await asyncio.sleep(0.0)
            bid, line.ticks.bid = line.ticks.bid, None
            await asyncio.sleep(3.0)
            return parting, bid is not None, line.gone, line.ticks.bid

    assert virtual_time.run(scenario) == ((True, False), True, True, None)
