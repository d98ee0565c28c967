"""Getting a connection, or a clear word why there is none."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from zoneinfo import ZoneInfo

import pytest

import virtual_time
from simulated import gateway_with, running, settings
from tomic.errors import ClientIdInUse, GatewayUnreachable, SessionLost
from tomic.ib.dialer import restart_hint
from tomic.ib.session import Session
from tomic.sim.faults import ClientIdInUse as IdsTaken
from tomic.sim.faults import DropAfter, PortChanged

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
        given = settings(ib={"port": port})
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
