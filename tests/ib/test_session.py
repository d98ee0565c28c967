"""A session asks, waits no longer than it must, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from contextlib import AsyncExitStack
from zoneinfo import ZoneInfo

import pytest

from support import virtual_time
from support.simulated import another_time, gateway_with, running, settings
from tomic.errors import (
    ClientIdInUse,
    CompetingSession,
    DeadlineExceeded,
    GatewayRefused,
    GatewayUnreachable,
    IncompatibleVersion,
    PacingViolation,
    RequestTimeout,
    SessionLost,
    UnknownContract,
    UnreadableAnswer,
)
from tomic.ib import convert
from tomic.ib.connection import restart_hint
from tomic.ib.lines import LineRequest
from tomic.ib.pacing import Priority
from tomic.ib.session import Session
from tomic.models import DataType
from tomic.sim.faults import (
    ClientIdInUse as IdsTaken,
    Deaf,
    Delay,
    DropAfter,
    Late,
    PortChanged,
    Refuse,
    Silent,
)
from tomic.wire.framing import frame_fields

NEW_YORK = ZoneInfo("America/New_York")


def refused(*faults, deadline=None, error=GatewayUnreachable, **options) -> tuple[str, float]:
    """Why no session opens on a gateway with these faults, and after how many seconds."""

    async def scenario():
        loop = asyncio.get_running_loop()
        async with gateway_with(*faults, **options) as gateway:
            given, began = settings(ib={"port": gateway.port}), loop.time()
            with pytest.raises(error) as caught:
                async with Session(given.ib, given.limits, deadline=deadline):
                    pass
            return str(caught.value), loop.time() - began

    return virtual_time.run(scenario)


def test_a_taken_id_moves_on_at_once():
    """326 costs milliseconds, not the timeout that ib_async alone would wait."""

    async def scenario():
        async with running(IdsTaken(ids=(100, 101))) as run:
            return run.session.client_id, run.notes, run.time(), run.gateway.codes()[326]

    client_id, notes, seconds, said = virtual_time.run(scenario)
    assert (client_id, said) == (102, 2)
    assert notes == [f"client id {n} is in use; trying the next one" for n in (100, 101)]
    assert seconds < 0.5


def test_all_ids_taken():
    """After the last id the message names the range and the way out."""
    text, seconds = refused(IdsTaken(ids=tuple(range(100, 132))), error=ClientIdInUse)

    assert text.startswith("client ids 100 to 131 are all in use at 127.0.0.1:")
    assert text.endswith("close another program, or pass --client-id")
    assert seconds < 5.0


def test_no_listener():
    """A closed port is said at once, with what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def scenario():
        given = settings(ib={"port": port, "reset_window": another_time()})
        async with Session(given.ib, given.limits):
            pass

    with pytest.raises(GatewayUnreachable) as caught:
        virtual_time.run(scenario)
    assert str(caught.value) == (
        f"no gateway at 127.0.0.1:{port}; start TWS or IB Gateway and enable its API, "
        "or pass --demo"
    )


def test_an_unknown_host():
    """A host that does not resolve is named."""

    async def scenario():
        given = settings(ib={"host": "256.0.0.1", "connect_timeout_s": 2.0})
        async with Session(given.ib, given.limits):
            pass

    with pytest.raises(GatewayUnreachable, match=r"cannot reach 256\.0\.0\.1:7497.*check host"):
        asyncio.run(scenario())


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "x" * 300, ".invalid", "a..b"])
def test_no_name_of_a_host(host):
    """What cannot even be asked for is named as well."""

    async def scenario():
        given = settings(ib={"host": host, "connect_timeout_s": 2.0})
        async with Session(given.ib, given.limits):
            pass

    with pytest.raises(GatewayUnreachable, match="can be no name of a computer"):
        asyncio.run(scenario())


def test_no_handshake():
    """A server that says nothing is no gateway."""
    text, seconds = refused("no_handshake")

    assert "does not answer the API handshake within 10 s" in text
    assert seconds == pytest.approx(10.0, abs=0.5)


def test_never_ready():
    """Without nextValidId no request may leave; TWS may still be logging in."""
    text, seconds = refused("no_next_valid_id")

    assert "never sent nextValidId within 10 s; is TWS still logging in" in text
    assert seconds == pytest.approx(10.0, abs=0.5)


def test_the_deadline_shortens_the_patience():
    """With three seconds left nobody waits ten."""
    text, seconds = refused("no_next_valid_id", deadline=3.0)

    assert "within 3 s" in text
    assert seconds == pytest.approx(3.0, abs=0.3)


def test_closed_at_once():
    """A gateway that does not trust this computer closes the socket without a word."""
    text, seconds = refused("close_on_connect")

    assert "closed the connection at once; does TWS trust this computer" in text
    assert seconds < 0.5


OWN_WORDS = [
    ("turned_away", GatewayUnreachable,
     "Paper trading disclaimer must first be accepted for API connection.' (10141); accept the "
     "disclaimer in the window"),
    ("turned_away:in_use=1", GatewayUnreachable, "(10141); accept the disclaimer"),
    ("turned_away:closes=0", GatewayUnreachable, "(10141); accept the disclaimer"),
    ("turned_away:code=503", IncompatibleVersion,
     "'The TWS is out of date and must be upgraded.' (503); update TWS"),
    ("turned_away:code=507", GatewayUnreachable, "closed the connection and says 'Error 507'"),
    ("newer_server:version=203", IncompatibleVersion,
     "speaks version 203 of the API, and TOMIC knows 157 to 178: this TWS needs a newer API "
     "client; update TOMIC"),
    ("newer_server:version=179", IncompatibleVersion, "this TWS needs a newer API client"),
    ("no_common_version", GatewayUnreachable, "If it does, this TWS needs a newer API client"),
    ("no_common_version:greeted=1", GatewayUnreachable,
     "after the handshake, without a word; does TWS show a dialog? If it does not, this TWS needs "
     "a newer API client"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "error", "said"), OWN_WORDS, ids=[row[0] for row in OWN_WORDS])
def test_a_gateway_that_turns_us_away_is_quoted(fault, error, said):
    """What it says itself comes first, and at once."""
    text, seconds = refused(fault, error=error)

    assert said in text
    assert seconds < 0.5


@pytest.mark.parametrize(("answer", "said"), [
    (frame_fields(["4", "2", "-1", "503", "The TWS is out of date and must be upgraded."]),
     "says 'The TWS is out of date and must be upgraded.' (503)"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not in the API protocol; is the port that of TWS?"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "not in the API protocol; is the port that of TWS?"),
], ids=["error", "http", "ssh"])  # fmt: skip
def test_an_answer_that_is_no_greeting(answer, said):
    """An error in its place is quoted, and another program is not taken for TWS."""

    async def answering(reader, writer):
        await reader.read(4)
        writer.write(answer)
        writer.close()

    async def scenario():
        async with await asyncio.start_server(answering, "127.0.0.1", 0) as server:
            given = settings(ib={"port": server.sockets[0].getsockname()[1]})
            with pytest.raises(GatewayUnreachable) as caught:
                async with Session(given.ib, given.limits):
                    pass
            return str(caught.value)

    assert said in asyncio.run(scenario())


def test_a_disclaimer_is_no_client_id():
    """TWS says that the id is in use as well, and no other id is tried."""

    async def scenario():
        async with gateway_with("turned_away:in_use=1") as gateway:
            given = settings(ib={"port": gateway.port})
            with pytest.raises(GatewayUnreachable):
                async with Session(given.ib, given.limits):
                    pass
            return gateway.connections

    assert virtual_time.run(scenario) == 1


def test_a_gateway_that_is_slow_to_say_why():
    """What it said before it fell silent is in the message, instead of a guess."""
    text, _ = refused("turned_away:code=507,closes=0")

    assert "is not ready: 'Error 507' (507)" in text


def test_a_message_names_the_nightly_restart():
    """In the window in which IB restarts its servers the message says so."""
    at = dt.datetime(2026, 11, 20, 0, 30, tzinfo=NEW_YORK)

    assert restart_hint(at, "00:15-01:45") == (
        "; IB restarts its servers between 00:15-01:45 New York time"
    )


@pytest.mark.parametrize(
    ("clock", "window", "inside"),
    [
        ("00:14", "00:15-01:45", False),
        ("00:15", "00:15-01:45", True),
        ("01:45", "00:15-01:45", True),
        ("01:46", "00:15-01:45", False),
        ("23:50", "23:45-00:45", True),
        ("00:45", "23:45-00:45", True),
        ("12:00", "23:45-00:45", False),
    ],
)
def test_the_window_may_cross_midnight(clock, window, inside):
    """Both ends are inside; 23:45 to 00:45 spans the night."""
    time = dt.time.fromisoformat(clock)
    at = dt.datetime.combine(dt.date(2026, 11, 20), time, NEW_YORK)

    assert bool(restart_hint(at.astimezone(dt.UTC), window)) is inside


def test_a_drop_at_night_names_the_restart():
    """A connection lost at 00:30 New York time says why, and comes back."""

    async def scenario():
        night = dt.datetime(2026, 11, 20, 0, 30, tzinfo=NEW_YORK)
        async with running(DropAfter(messages=3), start=night) as run:
            await run.session.now()
            with pytest.raises(SessionLost):
                for _ in range(5):
                    await run.session.ask_named(
                        "positions", lambda client: client.reqPositions(), timeout_s=5.0
                    )
            await run.session.reconnect()
            return run.notes, run.session.alive

    notes, alive = virtual_time.run(scenario)
    assert notes[0] == (
        "connection lost; reconnecting; IB restarts its servers between 00:15-01:45 New York time"
    )
    assert alive


def test_reconnecting_waits_longer_each_time():
    """Attempts come 2, 5 and 10 s after one another, then every 10 s up to the deadline."""

    async def scenario():
        async with running("restart:after=2,down_for=24", session={"deadline": 60.0}) as run:
            with pytest.raises(SessionLost):
                await run.session.now()
            lost_at = run.time()
            await run.session.reconnect(60.0)
            return run.time() - lost_at, run.notes[-1]

    waited, note = virtual_time.run(scenario)
    assert waited == pytest.approx(2.0 + 5.0 + 10.0 + 10.0, abs=0.5)
    assert note == "reconnected with client id 100 at attempt 4"


def test_without_a_deadline_it_gives_up_after_the_listed_attempts():
    """A gateway that stays away is said to be gone, with what the last attempt met."""

    async def scenario():
        async with running("restart:after=2,down_for=9999") as run:
            with pytest.raises(SessionLost):
                await run.session.now()
            with pytest.raises(SessionLost, match="no new one made: no gateway at"):
                await run.session.reconnect()
            return run.time()

    assert virtual_time.run(scenario) == pytest.approx(17.0, abs=0.5)


def test_no_attempt_begins_after_the_deadline():
    """Where the next pause does not fit any more, waiting has no point."""

    async def scenario():
        async with running("restart:after=2,down_for=9999", session={"deadline": 4.0}) as run:
            with pytest.raises(SessionLost):
                await run.session.now()
            with pytest.raises(SessionLost):
                await run.session.reconnect(4.0)
            return run.time()

    assert virtual_time.run(scenario) < 4.2


def test_callers_share_one_attempt():
    """Ten symbols that lose the connection make one new one."""

    async def scenario():
        async with running("restart:after=2,down_for=1") as run:
            with pytest.raises(SessionLost):
                await run.session.now()
            await asyncio.gather(*(run.session.reconnect() for _ in range(10)))
            return run.gateway.connections

    assert virtual_time.run(scenario) == 2


def test_it_follows_tws_to_its_new_port():
    """1300 names the port that serves from now on."""

    async def scenario():
        async with running(PortChanged(after=2)) as run:
            before = run.gateway.port
            with pytest.raises(SessionLost, match="1300"):
                await run.session.now()
            await run.session.reconnect()
            return run.gateway.port != before, run.session.alive

    assert virtual_time.run(scenario) == (True, True)


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
                async with run.session.line(LineRequest("quote", SPY)):
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
                await stack.enter_async_context(
                    run.session.line(LineRequest(f"line {number}", SPY))
                )
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
            async with run.session.line(LineRequest("quote", SPY)) as line:
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


def test_what_is_lost_is_resumed():
    """A fan-out that resumes finishes over new connections, in order, and asks nothing twice."""

    async def scenario(resume):
        async with running("drop_after:messages=6,times=3") as run:

            async def work(number):
                await ask_details(run.session, timeout_s=10.0)
                return number

            outcomes = await run.session.fan_out(range(8), work, resume=resume)
            return [outcome.value for outcome in outcomes], run.gateway.connections

    assert virtual_time.run(lambda: scenario(True))[0] == list(range(8))
    values, connections = virtual_time.run(lambda: scenario(False))
    assert None in values
    assert connections == 1


def test_resuming_ends_when_nothing_comes_of_it():
    """Three connections that are lost without a single answer are enough."""

    async def scenario():
        async with running("drop_after:messages=3,times=50") as run:

            async def work(_):
                await ask_details(run.session, timeout_s=10.0)
                await ask_details(run.session, timeout_s=10.0)
                await ask_details(run.session, timeout_s=10.0)

            outcomes = await run.session.fan_out([1, 2], work, deadline=300.0, resume=True)
            return [type(outcome.error) for outcome in outcomes], run.gateway.connections

    errors, connections = virtual_time.run(scenario)
    assert errors == [SessionLost] * 2
    assert connections <= 4


@pytest.mark.parametrize(("times", "finished"), [(1, True), (5, True), (50, False)])
def test_one_job_is_begun_again(times, finished):
    """Five connections may be lost while one job is done; then it is given up."""

    async def scenario():
        async with running(f"drop_after:messages=3,times={times}") as run:
            began = 0

            async def job():
                nonlocal began
                began += 1
                for _ in range(3):
                    await ask_details(run.session, timeout_s=10.0)

            try:
                await run.session.persistently(job, deadline=600.0)
            except SessionLost:
                return began, False
            return began, True

    assert virtual_time.run(scenario) == (min(times, 5) + 1, finished)


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
