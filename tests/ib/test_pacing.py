"""One message at a time, in order of urgency, and never more than IB takes."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from support import virtual_time
from support.virtual_time import stall
from tomic.config import LimitsSettings
from tomic.ib.pacing import LineGate, Pacer, Priority, RequestLimits


def most_in_a_second(times: list[float]) -> int:
    """The most messages in any half-open second."""
    return max(sum(1 for t in times if start <= t < start + 1.0) for start in times)


def sent_times(rate: float, count: int, *, stalls: dict[int, float] | None = None) -> list[float]:
    """When each of *count* messages leaves; after some of them the loop stalls."""

    async def scenario() -> list[float]:
        loop, times = asyncio.get_running_loop(), []
        pacer = Pacer(rate)

        def send() -> None:
            times.append(loop.time())
            if stalls and len(times) in stalls:
                stall(stalls[len(times)])

        for _ in range(count):
            pacer.post(send, Priority.SUBSCRIBE)
        await pacer.wait_idle()
        return times

    return virtual_time.run(scenario)


def test_messages_are_spread_evenly():
    """48 a second means one every 1/48 s, without drift."""
    times = sent_times(48.0, 200)

    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == pytest.approx([1 / 48] * 199, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_the_limit_after_stalls(seed):
    """With 200 ms stalls at random places no exact second holds more than 49 messages at 48/s."""
    rng = random.Random(seed)
    stalls = {rng.randrange(1, 300): rng.choice((0.004, 0.02, 0.2, 0.2, 1.5)) for _ in range(30)}

    times = sent_times(48.0, 300, stalls=stalls)

    assert len(times) == 300
    assert most_in_a_second(times) <= 49


def test_small_lateness_does_not_slow_the_pace():
    """Two milliseconds of lateness at every message cost nothing in the long run."""
    times = sent_times(48.0, 480, stalls=dict.fromkeys(range(1, 480), 0.002))

    assert times[-1] - times[0] == pytest.approx(479 / 48, rel=0.002)


def test_a_stall_makes_careful_for_a_while():
    """After a stall of 100 ms two seconds go at 45 a second, since the gateway may lag too."""
    times = sent_times(48.0, 300, stalls={100: 0.1})

    after = [one - times[100] for one in times[101:]]
    assert sum(one <= 1.99 for one in after) == pytest.approx(45 * 2, abs=1)
    late = [b - a for a, b in itertools.pairwise(times[200:])]
    assert late == pytest.approx([1 / 48] * len(late), rel=1e-3)


def test_a_free_pace_has_nothing_to_be_careful_of():
    """Towards a gateway without IB's limit, as in a demo, a stall slows nothing down."""
    times = sent_times(1000.0, 400, stalls={100: 0.1})

    assert times[-1] - times[100] == pytest.approx(0.299, abs=1e-3)


def test_an_idle_pacer_is_not_late():
    """What is posted after a pause leaves at once, and the next keeps the usual distance."""

    async def scenario() -> list[float]:
        pacer, times = Pacer(48.0), []
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(5.0)
        for _ in range(3):
            pacer.post(lambda: times.append(clock()), Priority.URGENT)
        await pacer.wait_idle()
        return times

    first, second, third = virtual_time.run(scenario)
    assert first == pytest.approx(5.0, abs=1e-6)
    assert (second - first, third - second) == pytest.approx((1 / 48, 1 / 48), rel=1e-3)


def test_nothing_is_caught_up():
    """After a stall of a second the next messages keep their distance."""
    times = sent_times(50.0, 40, stalls={20: 1.0})

    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) >= 0.0199


def test_the_urgent_go_first():
    """Whatever the order of posting: urgent, then subscribe, then cancel; equals in order."""

    async def scenario() -> list[str]:
        pacer, sent = Pacer(1000.0), []
        for name, priority in (
            ("cancel 1", Priority.CANCEL),
            ("subscribe 1", Priority.SUBSCRIBE),
            ("cancel 2", Priority.CANCEL),
            ("urgent", Priority.URGENT),
            ("subscribe 2", Priority.SUBSCRIBE),
        ):
            pacer.post(lambda name=name: sent.append(name), priority)
        await pacer.wait_idle()
        return sent

    assert virtual_time.run(scenario) == [
        "urgent",
        "subscribe 1",
        "subscribe 2",
        "cancel 1",
        "cancel 2",
    ]


def test_withdrawn_messages_never_leave():
    """A withdrawn message is not sent, costs no slot, and tells whoever waits for it."""

    async def scenario() -> tuple[list[int], int]:
        pacer, sent = Pacer(100.0), []
        slots = [pacer.post(lambda n=n: sent.append(n), Priority.SUBSCRIBE) for n in range(4)]
        slots[1].withdraw(ConnectionError("gone"))
        await pacer.wait_idle()
        with pytest.raises(ConnectionError, match="gone"):
            await slots[1].sent
        return sent, pacer.sent

    assert virtual_time.run(scenario) == ([0, 2, 3], 3)


def test_a_slot_tells_when_its_message_left():
    """Timeouts can start at the moment of sending, not of queueing."""

    async def scenario() -> list[float]:
        pacer = Pacer(10.0)
        slots = [pacer.post(lambda: None, Priority.SUBSCRIBE) for _ in range(3)]
        return [await slot.sent for slot in slots]

    assert virtual_time.run(scenario) == pytest.approx([0.0, 0.1, 0.2])


def test_a_dead_socket_costs_no_slot():
    """A message that cannot leave fails for its own sender, and the next leaves at once."""

    async def scenario() -> float:
        loop, pacer = asyncio.get_running_loop(), Pacer(1.0)

        def broken() -> None:
            raise ConnectionError("socket closed")

        first = pacer.post(broken, Priority.URGENT)
        second = pacer.post(lambda: None, Priority.URGENT)
        await second.sent
        with pytest.raises(ConnectionError):
            await first.sent
        assert pacer.sent == 1
        return loop.time()

    assert virtual_time.run(scenario) == 0.0


def test_holding_sends_nothing():
    """A held pacer keeps everything until it is released."""

    async def scenario() -> tuple[list[float], bool]:
        loop, pacer, times = asyncio.get_running_loop(), Pacer(10.0), []
        pacer.hold()
        for _ in range(2):
            pacer.post(lambda: times.append(loop.time()), Priority.URGENT)
        await asyncio.sleep(5.0)
        held = times == [] and pacer.held and not pacer.idle
        pacer.release()
        await pacer.wait_idle()
        return times, held

    times, held = virtual_time.run(scenario)
    assert held
    assert times == pytest.approx([5.0, 5.1])


def test_slowing_down_pauses_and_stays_slow():
    """After the gateway has complained nothing leaves for the pause, and then at the lower rate."""

    async def scenario() -> list[float]:
        loop, pacer, times = asyncio.get_running_loop(), Pacer(50.0), []
        pacer.slow_down(40.0, pause_s=1.5)
        pacer.slow_down(48.0, pause_s=0.1)
        for _ in range(3):
            pacer.post(lambda: times.append(loop.time()), Priority.URGENT)
        await pacer.wait_idle()
        return times

    assert virtual_time.run(scenario) == pytest.approx([1.5, 1.525, 1.55])


def test_clearing_forgets_what_waits():
    """A lost connection withdraws every message, and the pacer is idle again."""

    async def scenario() -> int:
        pacer = Pacer(1.0)
        pacer.hold()
        slots = [pacer.post(lambda: None, Priority.CANCEL) for _ in range(5)]
        pacer.clear()
        await pacer.wait_idle()
        failed = [slot for slot in slots if isinstance(slot.sent.exception(), ConnectionError)]
        assert not pacer.held
        return len(failed)

    assert virtual_time.run(scenario) == 5


def test_messages_past_the_pacer_count():
    """What the handshake sends by itself takes a slot as well."""

    async def scenario() -> tuple[float, int]:
        pacer = Pacer(10.0)
        pacer.note_sent()
        return await pacer.post(lambda: None, Priority.URGENT).sent, pacer.sent

    assert virtual_time.run(scenario) == (pytest.approx(0.1), 2)


def test_a_rate_must_be_positive():
    """Zero messages a second would wait for ever."""

    async def scenario() -> None:
        with pytest.raises(ValueError, match="rate must be > 0"):
            Pacer(0.0)

    virtual_time.run(scenario)


# -- lines -----------------------------------------------------------------------------------


async def test_the_gate_admits_in_order():
    """Who waits longest for a line gets the next one."""
    gate, entered = LineGate(1), []

    async def visit(name: int) -> None:
        await gate.enter()
        entered.append(name)
        await asyncio.sleep(0)
        gate.leave()

    await asyncio.gather(*(visit(name) for name in range(5)))

    assert entered == [0, 1, 2, 3, 4]
    assert (gate.open, gate.peak, gate.full) == (0, 1, False)


async def test_the_gate_admits_by_rank():
    """Of those who wait, the lowest rank goes first; who gave up is passed over."""
    gate, entered = LineGate(1), []
    await gate.enter()

    async def visit(name: str, rank: int) -> None:
        await gate.enter(rank)
        entered.append(name)
        gate.leave()

    places = [("c", 2), ("a", 0), ("gone", 0), ("d", 2), ("b", 1)]
    visits = {name: asyncio.create_task(visit(name, rank)) for name, rank in places}
    await asyncio.sleep(0)
    visits["gone"].cancel()
    await asyncio.wait({visits["gone"]})
    gate.leave()
    await asyncio.wait(visits.values())

    assert entered == ["a", "b", "c", "d"]
    assert (gate.open, gate.full) == (0, False)


@pytest.mark.parametrize("turns", range(4))
async def test_cancelling_a_waiter_loses_no_line(turns):
    """Cancelled before, at or after its turn: the line is there for the next."""
    gate = LineGate(1)
    await gate.enter()
    waiter = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    if turns >= 2:
        gate.leave()
    if turns % 2:
        await asyncio.sleep(0)

    waiter.cancel()
    await asyncio.wait({waiter})

    if turns < 2:
        gate.leave()
    if not waiter.cancelled():
        gate.leave()
    assert gate.open == 0
    await asyncio.wait_for(gate.enter(), 60.0)


async def test_a_shrunk_gate_holds_at_once():
    """Free permits are gone immediately, taken ones as they come back."""
    gate = LineGate(60)
    for _ in range(7):
        await gate.enter()

    gate.shrink_to(5)

    assert gate.full
    gate.leave()
    gate.leave()
    assert gate.full
    gate.leave()
    assert not gate.full
    gate.shrink_to(50)
    assert gate.limit == 5
    gate.shrink_to(0)
    assert gate.limit == 1


async def test_the_last_lines_are_opened_at_once():
    """Once no more lines are to come than the reserve holds, all of them are let in."""
    gate = LineGate(2, reserve=3)
    coming, entered = gate.announce(5), []

    async def visit(name: int) -> None:
        await gate.enter()
        entered.append(name)

    visits = [asyncio.create_task(visit(name)) for name in range(5)]
    await asyncio.sleep(0)
    assert entered == [0, 1]
    coming.settle_one()
    await asyncio.sleep(0)
    assert entered == [0, 1]
    coming.settle_one()
    await asyncio.wait(visits)

    assert entered == [0, 1, 2, 3, 4]
    assert (gate.open, gate.peak) == (5, 5)
    coming.settle_all()
    assert gate.coming == 0
    assert gate.full


async def test_who_lowers_the_lines_keeps_them_low():
    """Fewer than 60 lines stay as many to the end, 60 grow to 85 and never beyond 90."""
    for lines, most in ((20, 20), (60, 85), (90, 90)):
        limits = RequestLimits(LimitsSettings(lines=lines))
        together = limits.lines.limit + limits.lines.reserve + limits.second_lines.limit
        assert together == most


async def test_lines_leave_room_for_tws():
    """Lines for first and for second attempts together are as many as configured."""
    for lines in (1, 60, 85, 90):
        limits = RequestLimits(LimitsSettings(lines=lines))
        assert limits.lines.limit + limits.second_lines.limit == lines
        assert limits.lines.limit >= 1


async def test_gates_are_per_symbol_and_name():
    """Open details requests of one symbol share a gate, those of others do not."""
    limits = RequestLimits(LimitsSettings(open_details_per_symbol=1))

    assert limits.open_details("SPY") is limits.open_details("SPY")
    assert limits.open_details("SPY") is not limits.open_details("QQQ")
    assert limits.named("positions") is limits.named("positions")


async def fitted(*steps: tuple[float, bool]) -> LineGate:
    """A gate of 60 lines, all open, after answers that came so late."""
    gate = LineGate(60, reserve=25)
    for _ in range(60):
        await gate.enter()
    for behind_s, sure in steps:
        gate.follow(behind_s, sure=sure)
        await asyncio.sleep(1.1)
    return gate


def room(*steps: tuple[float, bool]) -> int:
    """How many lines such a gate lets be open."""

    async def scenario() -> int:
        gate = await fitted(*steps)
        for _ in range(60):
            gate.leave()
        count = 0
        while not gate.full:
            await gate.enter()
            count += 1
        return count

    return virtual_time.run(scenario)


def test_a_quick_link_has_all_lines():
    """While answers come at once nothing is taken away; what only may be late takes nothing."""
    assert room() == room((0.0, True), (0.9, True), (5.0, False)) == 60


def test_a_link_that_is_behind_loses_half_its_lines():
    """Half of those open with each second of lag, down to four."""
    assert room((1.5, True)) == 30
    assert room((1.5, True), (1.5, True)) == 15
    assert room(*[(9.0, True)] * 9) == 4


def test_a_link_that_keeps_up_gets_a_few_more():
    """Two for each answer that is sure, a quarter for any other, up to all of them."""
    halved = (1.5, True)
    assert room(halved, *[(0.1, True)] * 3) == 36
    assert room(halved, *[(0.1, False)] * 8) == 32
    assert room(halved, (0.7, True)) == 30
    assert room(halved, *[(0.1, True)] * 40) == 60


def test_a_thin_link_begins_with_few_lines():
    """What its rate cannot carry is not opened, nor are there more at the end."""

    async def scenario() -> tuple[bool, bool]:
        gate = LineGate(60, reserve=25)
        gate.fit(30.0)
        gate.announce(31)
        for _ in range(29):
            await gate.enter()
        before = gate.full
        await gate.enter()
        return before, gate.full

    assert virtual_time.run(scenario) == (False, True)


@pytest.mark.parametrize("stalled_s", [0.05, 0.1, 0.2, 0.4])
def test_what_a_stalled_gateway_reads_at_once_counts_at_once(stalled_s):
    """Told of a stall, the pacer leaves room in the second in which it ended."""

    async def scenario() -> list[float]:
        loop, sent = asyncio.get_running_loop(), list[float]()
        pacer = Pacer(48.0)
        for _ in range(150):
            pacer.post(lambda: sent.append(loop.time()), Priority.SUBSCRIBE)
        await asyncio.sleep(1.2)
        pacer.bunched(stalled_s)
        await pacer.wait_idle()
        return sent

    sent = virtual_time.run(scenario)
    read = [1.2 if 1.2 - stalled_s <= at < 1.2 else at for at in sent]
    assert most_in_a_second(read) <= 50
    assert most_in_a_second([at for at in sent if at > 1.2]) <= 46


def test_a_free_pace_knows_no_stalls():
    """A gateway without IB's limit may read as many at once as it likes."""

    async def scenario() -> float:
        loop, pacer = asyncio.get_running_loop(), Pacer(5000.0)
        for _ in range(500):
            pacer.post(lambda: None, Priority.SUBSCRIBE)
        await asyncio.sleep(0.05)
        pacer.bunched(0.05)
        await pacer.wait_idle()
        return loop.time()

    assert virtual_time.run(scenario) < 0.2


@pytest.mark.parametrize("stalled_s", [0.03, 0.08, 0.11])
def test_cancels_alone_are_careful_on_a_busy_machine(stalled_s):
    """After two stalls, one that nothing shows still lets no more than 50 be read in a second."""

    async def scenario() -> list[float]:
        loop, sent = asyncio.get_running_loop(), []
        pacer = Pacer(48.0)
        pacer.bunched(0.1)
        await asyncio.sleep(3.0)
        pacer.bunched(0.1)
        await asyncio.sleep(17.0)
        for _ in range(150):
            pacer.post(lambda: sent.append(loop.time()), Priority.CANCEL)
        await pacer.wait_idle()
        return sent

    sent = virtual_time.run(scenario)
    for goes_on in (21.0, 21.007, 21.5):
        read = [goes_on if goes_on - stalled_s <= at < goes_on else at for at in sent]
        assert most_in_a_second(read) <= 50


@pytest.mark.parametrize(
    ("priority", "again_s", "after_s"),
    [(Priority.SUBSCRIBE, 3.0, 20.0), (Priority.CANCEL, 3.0, 70.0), (Priority.CANCEL, 0.5, 20.0)],
)
def test_what_is_answered_and_a_quiet_machine_keep_the_pace(priority, again_s, after_s):
    """A stall shows in late answers, those of its start or of a minute ago tell nothing of now."""

    async def scenario() -> float:
        pacer = Pacer(48.0)
        pacer.bunched(0.1)
        await asyncio.sleep(again_s)
        pacer.bunched(0.1)
        await asyncio.sleep(after_s - again_s)
        for _ in range(97):
            pacer.post(lambda: None, priority)
        await pacer.wait_idle()
        return asyncio.get_running_loop().time() - after_s

    assert virtual_time.run(scenario) == pytest.approx(2.0, rel=0.01)
