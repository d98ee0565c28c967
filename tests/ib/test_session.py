"""A session asks, waits no longer than it must, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack

import pytest

import virtual_time
from simulated import running, settings
from tomic.errors import (
    CompetingSession,
    DeadlineExceeded,
    GatewayRefused,
    PacingViolation,
    RequestTimeout,
    SessionLost,
    UnknownContract,
    UnreadableAnswer,
)
from tomic.ib import convert
from tomic.ib.pacing import Priority
from tomic.models import DataType
from tomic.sim.faults import Deaf, Delay, Late, Refuse, Silent
from tomic.sim.wire import frame_fields

SPY = convert.stock_contract("SPY")
SILENT_DETAILS = Silent(on="contract_details")


async def ask_details(session, *, contract=SPY, timeout_s=5.0, **options):
    """Contract details of one contract."""
    return await session.ask(
        "details",
        lambda client, req_id: client.reqContractDetails(req_id, contract),
        timeout_s=timeout_s,
        **options,
    )


def test_an_answer_comes_back_whole():
    """The parts of an answer are returned, and handed on one by one as they come."""

    async def scenario():
        async with running() as run:
            parts = []
            found = await ask_details(run.session, on_part=parts.append)
            return found == parts, found[0].contract.conId, run.session.accounts

    same, con_id, accounts = virtual_time.run(scenario)
    assert same and con_id > 0
    assert accounts == ("DU1234567",)


def test_an_unanswered_question_ends():
    """ib_async alone would wait for ever."""

    async def scenario():
        async with running(SILENT_DETAILS) as run:
            began = run.time()
            with pytest.raises(RequestTimeout, match="details: no answer within 5 s"):
                await ask_details(run.session)
            return run.time() - began

    assert virtual_time.run(scenario) == pytest.approx(5.0, abs=0.1)


def test_the_timeout_starts_when_the_message_leaves():
    """A question that waits three seconds for its turn still has its whole second."""

    async def scenario():
        async with running(limits=None, session={"pace": 10.0}) as run:
            began = run.time()
            for _ in range(30):
                run.session.limits.pacer.post(lambda: None, Priority.URGENT)
            await ask_details(run.session, timeout_s=1.0)
            return run.time() - began

    assert virtual_time.run(scenario) > 2.9


def test_a_validation_error_ends_the_question():
    """321 is only a warning to ib_async, which would leave the request open."""

    async def scenario():
        async with running(Refuse(on="contract_details", code=321)) as run:
            began = run.time()
            with pytest.raises(GatewayRefused) as caught:
                await ask_details(run.session)
            return caught.value.error_code, run.time() - began

    code, seconds = virtual_time.run(scenario)
    assert code == 321
    assert seconds < 0.2


@pytest.mark.parametrize(
    ("code", "error"),
    [(200, UnknownContract), (162, GatewayRefused), (322, GatewayRefused), (320, GatewayRefused)],
)
def test_refusals_have_their_own_class(code, error):
    """Each code ends the question with its meaning, at once."""

    async def scenario():
        async with running(Refuse(on="contract_details", code=code)) as run:
            with pytest.raises(error) as caught:
                await ask_details(run.session)
            return caught.value.error_code

    assert virtual_time.run(scenario) == code


def test_a_pacing_refusal_of_history_is_told_apart():
    """162 means many things; its text says which."""

    async def scenario():
        async with running("history_pacing") as run:
            with pytest.raises(PacingViolation):
                await run.session.ask(
                    "bars",
                    lambda client, req_id: client.reqHistoricalData(
                        req_id, SPY, "", "1 D", "1 day", "TRADES", True, 1, False, []
                    ),
                    timeout_s=5.0,
                )

    virtual_time.run(scenario)


def test_a_late_answer_reaches_nobody_else():
    """The answer to a question that was given up does not fall into the next one."""

    async def scenario():
        async with running(Delay(seconds=2.0, on="contract_details")) as run:
            with pytest.raises(RequestTimeout):
                await ask_details(run.session, timeout_s=1.0)
            run.gateway.clear()
            found = await ask_details(run.session, contract=convert.stock_contract("QQQ"))
            await asyncio.sleep(3.0)
            return [one.contract.symbol for one in found]

    assert virtual_time.run(scenario) == ["QQQ"]


def test_cancelling_a_question_returns_its_permit():
    """Whoever is cancelled while waiting holds up nobody after it."""

    async def scenario():
        async with running(SILENT_DETAILS) as run:
            gate = asyncio.Semaphore(1)
            asked = [asyncio.create_task(ask_details(run.session, gates=(gate,))) for _ in range(3)]
            await asyncio.sleep(0.5)
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            run.gateway.clear()
            await ask_details(run.session, gates=(gate,))
            return gate.locked()

    assert virtual_time.run(scenario) is False


def test_a_question_given_up_is_withdrawn_at_the_gateway():
    """Bars that nobody waits for any more are cancelled, so that their place is free."""

    async def scenario():
        async with running(Silent(on="history")) as run:
            with pytest.raises(RequestTimeout):
                await run.session.ask(
                    "bars",
                    lambda client, req_id: client.reqHistoricalData(
                        req_id, SPY, "", "1 D", "1 day", "TRADES", True, 1, False, []
                    ),
                    timeout_s=1.0,
                    cancel=lambda client, req_id: client.cancelHistoricalData(req_id),
                )
            await asyncio.sleep(0.5)
            return run.gateway.by_kind["cancel_history"]

    assert virtual_time.run(scenario) == 1


def test_a_dropped_connection_fails_what_is_open():
    """Every open question learns at once that the connection is gone."""

    async def scenario():
        async with running(SILENT_DETAILS) as run:
            asked = [asyncio.create_task(ask_details(run.session)) for _ in range(3)]
            await asyncio.sleep(0.5)
            began = run.time()
            for client in list(run.gateway.clients):
                client.drop()
            await asyncio.wait(asked)
            errors = [type(task.exception()) for task in asked]
            with pytest.raises(SessionLost):
                await ask_details(run.session)
            return errors, run.time() - began

    errors, seconds = virtual_time.run(scenario)
    assert errors == [SessionLost] * 3
    assert seconds < 0.2


def test_a_deaf_connection_is_found():
    """A gateway that says nothing more is declared lost within ten seconds, not at a timeout."""

    async def scenario():
        async with running(Deaf(after=3)) as run:
            await run.session.now()
            began = run.time()
            with pytest.raises(SessionLost, match="went silent for"):
                await ask_details(run.session, timeout_s=120.0)
            return run.time() - began

    assert virtual_time.run(scenario) < 10.0


@pytest.mark.parametrize("fault", ["garble:after=3", "truncate:after=3"])
def test_a_stream_out_of_step_is_found(fault):
    """After half a frame bytes keep coming and never make a message again."""

    async def scenario():
        async with running(fault) as run:
            with pytest.raises(SessionLost, match="went silent for"):
                async with run.session.line("quote", SPY, ""):
                    for _ in range(20):
                        await asyncio.sleep(1.0)
                        await run.session.now()
                        await ask_details(run.session, timeout_s=60.0)
            return run.time()

    assert virtual_time.run(scenario) < 20.0


def test_one_garbled_message_costs_no_answer():
    """What it was a part of cannot be told, so what was open is asked again, and that is told."""

    async def scenario():
        async with running("garble:after=2,whole_frame=true") as run:
            found = [len(await ask_details(run.session)) for _ in range(3)]
            return found, run.session.unreadable.total(), run.notes

    found, unreadable, notes = virtual_time.run(scenario)
    assert found == [1, 1, 1]
    assert unreadable == 1
    assert notes[0].startswith("a message of the gateway cannot be read: ")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (["10", "{id}", "SPY", "OPT"], "contractDetails"),
        (["10", "x", "SPY", "OPT"], "contractDetails"),
        (["52", "1", "x"], "contractDetailsEnd"),
    ],
)
def test_a_message_without_sense_fails_its_question(fields, told):
    """By the request id where that can be read, else the open question of that kind."""

    async def scenario():
        async with running("silent:on=contract_details") as run:
            asking = asyncio.create_task(ask_details(run.session))
            await asyncio.sleep(0.5)
            (request,) = run.session._link.callbacks.requests.values()
            connection = next(iter(run.gateway.clients))
            whole = [field.replace("{id}", str(request.req_id)) for field in fields]
            connection.write(frame_fields(whole))
            await asyncio.sleep(0.1)
            connection.write(frame_fields(["52", "1", str(request.req_id)]))
            with pytest.raises(UnreadableAnswer) as caught:
                await asking
            return str(caught.value), run.session.unreadable

    text, unreadable = virtual_time.run(scenario)
    assert f"the gateway's answer cannot be read: {told}: " in text
    assert unreadable == {told: 1}


def test_a_message_of_another_kind_fails_nothing():
    """It is counted and told; the question that is open goes on."""

    async def scenario():
        async with running() as run:
            asking = asyncio.create_task(ask_details(run.session))
            await asyncio.sleep(0.0)
            connection = next(iter(run.gateway.clients))
            for _ in range(3):
                connection.write(frame_fields(["58", "1", "DU1234567", "3"]))
            connection.write(frame_fields(["7", "8", "nobody asked for this"]))
            connection.write(frame_fields(["199", "1"]))
            return len(await asking), run.session.unreadable, run.notes

    found, unreadable, notes = virtual_time.run(scenario)
    assert found == 1
    assert unreadable == {"marketDataType": 3, "message 199": 1}
    assert "marketDataType" in notes[0] and "message 199" in notes[1]
    assert notes[2:] == [
        "4 messages of the gateway cannot be read: marketDataType 3, message 199 1"
    ]
    assert "1234567" not in str(notes)


def test_an_advisory_code_to_a_question_ends_it_only_if_nothing_follows():
    """A code that nobody knows is judged after two seconds, by whether any part came."""

    async def scenario(code, answer):
        details = {"on": "contract_details"}
        async with running(Late(**details, seconds=1.0) if answer else Silent(**details)) as run:
            asking = asyncio.create_task(ask_details(run.session))
            await asyncio.sleep(0.5)
            (request,) = run.session._link.callbacks.requests.values()
            next(iter(run.gateway.clients)).error(request.req_id, code)
            began = run.time()
            try:
                return len(await asking), run.time() - began
            except GatewayRefused as exc:
                return exc.error_code, run.time() - began

    assert virtual_time.run(lambda: scenario(10999, True))[0] == 1
    code, seconds = virtual_time.run(lambda: scenario(10999, False))
    assert (code, round(seconds)) == (10999, 2)
    code, seconds = virtual_time.run(lambda: scenario(321, False))
    assert (code, round(seconds)) == (321, 0)


def test_an_idle_session_is_watched_as_well():
    """Ten seconds of silence are answered by a question for the time."""

    async def scenario():
        async with running() as run:
            await asyncio.sleep(25.0)
            return run.gateway.by_kind["current_time"], run.session.alive

    asked, alive = virtual_time.run(scenario)
    assert alive and asked == 2


def test_the_gateway_clock_is_asked_once():
    """Later calls count on from the first answer."""

    async def scenario():
        async with running() as run:
            first, second = await run.session.now(), await run.session.now()
            drift = run.session.clock_drift
            return first, second, drift, run.gateway.by_kind["current_time"]

    first, second, drift, asked = virtual_time.run(scenario)
    assert first.tzinfo is not None and second >= first
    assert isinstance(drift, dt.timedelta)
    assert asked == 1


def test_a_data_type_is_set_once():
    """The same type again costs no message; a new connection sets it again."""

    async def scenario():
        async with running("drop_after:messages=6") as run:
            for _ in range(3):
                await run.session.use_data_type(DataType.FROZEN)
            await run.session.now()
            before = run.gateway.by_kind["market_data_type"]
            with pytest.raises(SessionLost):
                for _ in range(9):
                    await ask_details(run.session)
            await run.session.reconnect()
            await ask_details(run.session)
            return before, run.gateway.by_kind["market_data_type"]

    assert virtual_time.run(scenario) == (1, 2)


def test_closing_cancels_every_line():
    """Lines that are still open at the end are cancelled before the socket closes."""

    async def scenario():
        async with running() as run, AsyncExitStack() as stack:
            for number in range(5):
                await stack.enter_async_context(run.session.line(f"line {number}", SPY, ""))
            await asyncio.sleep(0.2)
            opened = run.gateway.lines_open
            await run.session.close()
            await asyncio.sleep(0.1)
            return opened, run.gateway.lines_open, run.gateway.leaked, run.gateway.client_ids()

    assert virtual_time.run(scenario) == (5, 0, 0, set())


def test_closing_a_deaf_connection_takes_a_second():
    """Nobody waits for the answer of a gateway that does not hear."""

    async def scenario():
        async with running("deaf:after=2") as run:
            loop = run.session._loop
            began = run.time()
            await run.session.close()
            return loop.time() - began

    assert virtual_time.run(scenario) < 1.5


def test_a_competing_session_is_fatal():
    """10197: whatever is asked afterwards says the same, clearly."""

    async def scenario():
        async with running("competing") as run:
            async with run.session.line("quote", SPY, "") as line:
                await asyncio.wait_for(line.changed.wait(), 2.0)
                error = line.error
            with pytest.raises(CompetingSession, match="log out there"):
                await ask_details(run.session)
            with pytest.raises(CompetingSession):
                await run.session.reconnect()
            return error

    assert isinstance(virtual_time.run(scenario), CompetingSession)


def test_an_interrupt_ends_what_is_stoppable():
    """Ctrl-C while a question is open is noticed at once."""

    async def scenario():
        async with running(SILENT_DETAILS) as run:
            run.session._loop.call_later(1.0, run.session.interrupt)
            began = run.time()
            with pytest.raises(DeadlineExceeded, match="interrupted"):
                await run.session.stoppable(ask_details(run.session, timeout_s=60.0))
            return run.time() - began, run.session.interrupted

    assert virtual_time.run(scenario) == (pytest.approx(1.0, abs=0.1), True)


def test_an_interrupt_ends_reconnecting():
    """Nobody has to sit out the pauses between attempts."""

    async def scenario():
        async with running("restart:after=2,down_for=999", session={"deadline": 300.0}) as run:
            with pytest.raises(SessionLost):
                await run.session.now()
            run.session._loop.call_later(3.0, run.session.interrupt)
            began = run.time()
            with pytest.raises(DeadlineExceeded):
                await run.session.reconnect(300.0)
            return run.time() - began

    assert virtual_time.run(scenario) == pytest.approx(3.0, abs=0.2)


def test_notes_are_told_once():
    """The same text twice reaches the user once."""

    async def scenario():
        async with running() as run:
            run.session.note("delayed data")
            run.session.note("delayed data")
            return run.notes, run.session.notes

    assert virtual_time.run(scenario) == (["delayed data"], ["delayed data"])


def test_messages_are_counted():
    """startApi counts, as it does for the gateway."""

    async def scenario():
        async with running() as run:
            await ask_details(run.session)
            await run.session.now()
            return run.session.messages, run.gateway.messages, run.session.server_version

    assert virtual_time.run(scenario) == (3, 3, 178)


def test_settings_may_forbid_further_ids():
    """`last_client_id` below `client_id` means: this id or none."""
    given = settings(ib={"client_id": 7, "last_client_id": 1})

    async def scenario():
        async with running(given=given) as run:
            return run.session.client_id

    assert virtual_time.run(scenario) == 7
