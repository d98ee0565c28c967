"""How far the gateway has been read: what is answered tells of silence, lag and stalls."""

from __future__ import annotations

import asyncio
import math

import pytest

from support import virtual_time
from support.simulated import running
from tomic.ib.fence import Fence
from tomic.ib.pacing import Pacer


def with_fence(scenario):
    """What *scenario* makes of a fence whose questions for the time only count."""

    async def whole():
        sent = []
        fence = Fence(Pacer(48.0), lambda: sent.append(asyncio.get_running_loop().time()))
        return await scenario(fence, sent)

    return virtual_time.run(whole)


def test_an_answer_shows_what_has_been_read():
    """A line that left later has spoken: everything said before has been read."""

    async def scenario(fence, sent):
        fence.spoke(1.0)
        fence.spoke(0.5)
        return fence.read_up_to, await fence.hears(asyncio.Event(), 0.9, others=False), sent

    assert with_fence(scenario) == (1.0, False, [])


def test_the_time_is_asked_for_where_nothing_else_answers():
    """One question serves all who wait for the same moment."""

    async def scenario(fence, sent):
        await asyncio.sleep(1.0)
        waiting = [fence.hears(asyncio.Event(), 0.9, others=False) for _ in range(20)]
        asyncio.get_running_loop().call_later(2.0, fence.time_told)
        return await asyncio.gather(*waiting), sent

    heard, sent = with_fence(scenario)
    assert heard == [False] * 20
    assert len(sent) == 1


def test_others_may_answer_first():
    """While lines are being opened their first words serve, and the time is not asked for."""

    async def scenario(fence, sent):
        await asyncio.sleep(1.0)
        asyncio.get_running_loop().call_later(0.2, fence.spoke, 0.95)
        return await fence.hears(asyncio.Event(), 0.9, others=True), sent

    assert with_fence(scenario) == (False, [])


def test_what_was_waited_for_ends_the_waiting():
    """What was under way comes before the answer."""

    async def scenario(fence, sent):
        event = asyncio.Event()
        await asyncio.sleep(1.0)
        asyncio.get_running_loop().call_later(3.0, event.set)
        return await fence.hears(event, 1.0, others=False)

    assert with_fence(scenario)


def test_a_gateway_that_tells_no_time_is_not_waited_for_for_ever():
    """After five seconds nothing more is expected."""

    async def scenario(fence, sent):
        await asyncio.sleep(1.0)
        heard = await fence.hears(asyncio.Event(), 0.5, others=False)
        return heard, asyncio.get_running_loop().time()

    heard, at = with_fence(scenario)
    assert not heard
    assert at == pytest.approx(6.0, abs=0.3)


def test_answers_belong_to_the_questions_in_their_order():
    """The first answer proves nothing of what was asked after the first question."""

    async def scenario(fence, sent):
        await asyncio.sleep(1.0)
        fence.ask_time()
        await asyncio.sleep(1.0)
        fence.ask_time()
        fence.time_told()
        first = fence.read_up_to
        fence.time_told()
        return first, fence.read_up_to

    assert with_fence(scenario) == pytest.approx((1.0, 2.0))


def test_a_late_speaker_is_no_slow_link():
    """A line that speaks late raises a question, and only the time tells that the link lags."""

    async def scenario(fence, sent):
        told = []
        fence.on_lag = lambda behind_s, sure: told.append((round(behind_s, 2), sure))
        await asyncio.sleep(1.0)
        fence.spoke(0.98)
        fence.spoke(0.99)
        await asyncio.sleep(1.5)
        fence.spoke(1.0)
        await asyncio.sleep(0.1)
        fence.time_told()
        return told, fence.slow, len(sent)

    told, slow, asked = with_fence(scenario)
    assert told == [(0.0, False), (0.0, False), (0.09, True)]
    assert (slow, asked) == (False, 1)


def test_a_question_that_stays_open_shows_the_lag():
    """The link is behind before the answer is there to say by how much."""

    async def scenario(fence, sent):
        told = []
        fence.on_lag = lambda behind_s, sure: told.append((round(behind_s, 1), sure))
        fence.spoke(-0.02)
        fence.ask_time()
        await asyncio.sleep(0.9)
        fence.check(busy=True)
        early = list(told)
        await asyncio.sleep(1.1)
        fence.check(busy=True)
        return early, told, fence.slow

    early, told, slow = with_fence(scenario)
    assert early == [(0.0, False)]
    assert told[1:] == [(2.0, True)]
    assert slow


@pytest.mark.parametrize(
    ("count", "seconds", "slow", "fitting"),
    [(60_000, 1.0, True, 30), (1_000_000, 1.0, False, 500), (900, 3.0, False, math.inf)],
)
def test_the_rate_of_a_large_answer(count, seconds, slow, fitting):
    """What the gateway had at hand comes as fast as the link is; little of it tells nothing."""

    async def scenario(fence, sent):
        fence.measure(count, seconds)
        return fence.slow, fence.fitting

    assert with_fence(scenario) == (slow, fitting)


def test_a_stall_is_told():
    """A gateway that answers late for once on a quick link had stood still."""

    async def scenario(fence, sent):
        told = []
        fence.on_stall = lambda seconds, ago_s: told.append((round(seconds, 2), round(ago_s, 2)))
        await asyncio.sleep(1.0)
        fence.spoke(0.98)
        await asyncio.sleep(0.12)
        fence.spoke(1.0)
        return told

    assert with_fence(scenario) == [(0.12, 0.02)]


@pytest.mark.parametrize(
    ("fault", "slow", "quick"), [("", False, True), ("slow:rate=1e9,latency=0.25", True, False)]
)
def test_a_session_knows_its_link(fault, slow, quick):
    """Twice a quarter of a second for every answer is slow."""

    async def scenario():
        async with running(*filter(None, [fault])) as run:
            await run.session.now()
            return run.session.slow, run.session.quick

    assert virtual_time.run(scenario) == (slow, quick)
