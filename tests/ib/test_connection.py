"""One reaction for each error code that concerns a session."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from support import virtual_time
from support.simulated import running
from tomic.errors import CompetingSession, SessionLost
from tomic.ib import convert
from tomic.ib.clocks import Farm
from tomic.ib.lines import LineRequest
from tomic.sim.faults import Announce, Silent

SPY = convert.stock_contract("SPY")


async def details(session, timeout_s=5.0):
    """Contract details of SPY."""
    return await session.ask(
        "details",
        lambda client, req_id: client.reqContractDetails(req_id, SPY),
        timeout_s=timeout_s,
    )


def said(session, code: int, text: str = "said") -> None:
    """Let the gateway say *code* to nobody in particular."""
    session._link.callbacks.error(-1, code, text)


def test_100_slows_down_and_asks_again():
    """The question that was lost is asked once more, at 45 a second, after a pause."""

    async def scenario():
        async with running("pacing_strike:at=2") as run:
            began = run.time()
            found = await details(run.session)
            return len(found), run.time() - began, run.session.limits.pacer.rate, run.notes

    found, seconds, rate, notes = virtual_time.run(scenario)
    assert found == 1
    assert 1.5 <= seconds < 2.0
    assert rate == pytest.approx(45.0)
    assert notes == ["the gateway says messages come too fast (100); slowing down"]


def test_100_three_times_ends_the_session():
    """The third strike closes the connection; the session says why, and does not come back."""

    async def scenario():
        async with running("pacing_strike:at=2+4+6") as run:
            with pytest.raises(SessionLost, match="said three times that messages come too fast"):
                for _ in range(9):
                    await details(run.session)
            with pytest.raises(SessionLost, match=r"Lower limits\.messages_per_s"):
                await run.session.reconnect()

    virtual_time.run(scenario)


def test_100_said_to_a_whole_burst_is_one_strike():
    """TWS says 100 to every message over the limit; only later ones show that slowing failed."""

    async def scenario():
        async with running() as run:
            for _ in range(5):
                said(run.session, 100)
            alive_after_a_burst = run.session.alive
            for _ in range(2):
                await asyncio.sleep(2.0)
                said(run.session, 100)
            return alive_after_a_burst, run.session.alive

    assert virtual_time.run(scenario) == (True, False)


def test_a_farm_whose_return_goes_unsaid_is_tried_again():
    """2103 holds subscriptions for 20 s at most; 2108, available upon demand, ends it at once."""

    async def scenario(back: int | None, text: str) -> float:
        async with running() as run:
            said(run.session, 2103, "Market data farm connection is broken:usfarm")
            if back is not None:
                asyncio.get_running_loop().call_later(3.0, said, run.session, back, text)
            began = run.time()
            async with run.session.line(LineRequest("quote", SPY)) as line:
                await asyncio.wait_for(line.changed.wait(), 60.0)
            return run.time() - began

    def seconds(back: int | None, text: str = "") -> float:
        return virtual_time.run(lambda: scenario(back, text))

    assert seconds(None) == pytest.approx(20.1, abs=0.3)
    inactive = "Market data farm connection is inactive but should be available upon demand"
    for text in (f"{inactive}.usfarm", f"{inactive}:usfarm", "Market data farm is OK"):
        assert seconds(2108, text) == pytest.approx(3.1, abs=0.3)
    other = "Market data farm connection is OK:eufarm"
    assert seconds(2104, other) == pytest.approx(20.1, abs=0.3)


def test_100_may_have_lost_a_cancel():
    """Cancels of the last moment are sent again: none of their lines stays open."""

    async def scenario():
        # startApi, three subscriptions, then the first two cancels are lost.
        async with running("pacing_strike:at=5") as run:
            async with AsyncExitStack() as stack:
                for number in range(3):
                    await stack.enter_async_context(run.session.line(LineRequest(f"{number}", SPY)))
                await asyncio.sleep(0.5)
            await asyncio.sleep(3.0)
            return run.gateway.lines_open, run.gateway.codes()[100]

    assert virtual_time.run(scenario) == (0, 1)


def test_101_uses_what_was_served():
    """With five lines free, five are used from then on, however many were refused at once."""

    async def scenario():
        async with running("lines_taken:lines=95") as run:

            async def hold(number: int) -> bool:
                async with run.session.line(LineRequest(f"{number}", SPY)) as line:
                    await asyncio.sleep(1.0)
                    return line.error is not None

            refused = await asyncio.gather(*map(hold, range(20)))
            return sum(refused), run.session.limits.lines.limit, run.notes

    refused, limit, notes = virtual_time.run(scenario)
    assert 1 <= refused <= 3
    assert limit == 5
    assert notes == ["the gateway has no market-data line free (101); using fewer"]


@pytest.mark.parametrize(("lost", "back"), [(1100, 1101), (1100, 1102), (2110, 1102)])
def test_lost_connectivity_is_waited_for(lost, back):
    """While TWS has lost IB nothing is sent and no timeout runs; then what was open is asked."""
    fault = (
        f"connectivity_lost:after=2,code={back},restored_after=30"
        if lost == 1100
        else "server_broken:after=2,restored_after=30"
    )

    async def scenario():
        async with running(fault) as run:
            began = run.time()
            found = await details(run.session, timeout_s=5.0)
            return len(found), run.time() - began, run.gateway.messages, run.notes

    found, seconds, messages, notes = virtual_time.run(scenario)
    assert found == 1
    assert 30.0 <= seconds < 31.0
    assert messages == 3
    assert notes == [
        f"TWS lost its connection to IB ({lost}); waiting until it is back",
        f"TWS is connected to IB again ({back}); asking again what was open",
    ]


@pytest.mark.parametrize(
    ("code", "farm"), [(2103, Farm.MARKET), (2105, Farm.HISTORY), (2157, Farm.DETAILS)]
)
def test_a_broken_farm_stops_its_own_clock(code, farm):
    """The other kinds of request go on, the socket stays, and the farm's return ends it."""

    async def scenario():
        async with running() as run:
            said(run.session, code, "connection is broken:usfarm")
            stopped = [one for one, clock in run.session.clocks.items() if not clock.running]
            said(run.session, code + 1, "connection is OK:cashfarm")
            still = [one for one, clock in run.session.clocks.items() if not clock.running]
            said(run.session, code + 1, "connection is OK:usfarm")
            after = [one for one, clock in run.session.clocks.items() if not clock.running]
            return stopped, still, after, run.session.alive

    assert virtual_time.run(scenario) == ([farm], [farm], [], True)


def test_a_broken_details_farm_is_waited_for():
    """2157: the question lost in the outage is asked again when the farm is back."""

    async def scenario():
        async with running("farm_broken:code=2157,after=2,restored_after=20") as run:
            began = run.time()
            await details(run.session)
            return run.time() - began

    assert 20.0 <= virtual_time.run(scenario) < 21.0


def test_a_farm_of_another_continent_stops_nothing():
    """TWS announces every farm; options on US shares do not need the one for currencies."""

    async def scenario():
        async with running() as run:
            said(run.session, 2103, "Market data farm connection is broken:cashfarm")
            return all(clock.running for clock in run.session.clocks.values()), run.notes

    assert virtual_time.run(scenario) == (True, [])


@pytest.mark.parametrize(("code", "after"), [(2172, 1), (2172, 3), (10999, 1), (10999, 3)])
def test_what_tws_says_to_nobody_is_handed_on(code, after):
    """That it will not be supported any longer, or anything new, in its own words and once."""

    async def scenario():
        async with running(Announce(code=code, after=after)) as run:
            for _ in range(3):
                await details(run.session)
            return run.notes

    (note,) = virtual_time.run(scenario)
    words = {2172: "1019.2, needs to be upgraded, as it will be desupported", 10999: "Error 10999"}
    assert note.startswith("the gateway says: ")
    assert words[code] in note
    assert note.endswith(f"({code})")


@pytest.mark.parametrize("code", [2104, 2106, 2107, 2108, 2119, 2150, 2158, 2174, 10167])
def test_information_changes_nothing(code):
    """Notes of the gateway end nothing, and nobody is bothered with them."""

    async def scenario():
        async with running(Announce(code=code, after=2)) as run:
            found = await details(run.session)
            return len(found), run.session.alive, run.notes

    assert virtual_time.run(scenario) == (1, True, [])


@pytest.mark.parametrize("code", [502, 504])
def test_not_connected_is_a_lost_connection(code):
    """Whatever request it is said to, the whole connection is gone."""

    async def scenario():
        async with running(Silent(on="contract_details")) as run:
            run.session._loop.call_later(0.5, said, run.session, code, "Not connected")
            with pytest.raises(SessionLost, match=f"not connected \\({code}\\)"):
                await details(run.session)
            await run.session.reconnect()
            return run.session.alive

    assert virtual_time.run(scenario)


@pytest.mark.parametrize("code", [320, 505])
def test_a_message_that_was_not_understood_is_told(code):
    """That is a bug or another version of the protocol: the user gets to know."""

    async def scenario():
        async with running() as run:
            said(run.session, code, "Error reading request")
            return run.notes

    (note,) = virtual_time.run(scenario)
    assert note.startswith(f"the gateway did not understand a message ({code})")


def test_10197_is_said_once_and_clearly():
    """Everything open fails with the same sentence, which says what to do."""

    async def scenario():
        async with running(Silent(on="contract_details")) as run:
            run.session._loop.call_later(0.5, said, run.session, 10197, "competing")
            with pytest.raises(CompetingSession) as caught:
                await details(run.session)
            return str(caught.value)

    assert virtual_time.run(scenario) == (
        "another session of this user holds the live market data (10197); "
        "log out there, or use its own session, then run again"
    )
