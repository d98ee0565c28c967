"""The desk in its thread: work, progress, cancelling, renewing and closing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from conftest import settings_in
from tomic.desk import Desk
from tomic.errors import SessionError, UsageError
from tomic.panel.background import Background, LinkState
from tomic.sim import Gateway, Limits, Profile
from tomic.workflows.progress import Event


@pytest.fixture
async def background(panel_settings):
    made = Background(lambda watch: Desk(panel_settings, demo=True, watch=watch))
    yield made
    await made.close()


async def test_work_runs_on_a_thread_of_its_own(background):
    """The panel's loop stays free, whatever the desk computes."""

    async def where(_: Desk) -> str:
        return threading.current_thread().name

    assert await background.run(where) == "tomic desk"
    assert threading.current_thread().name != "tomic desk"


async def test_errors_come_back_to_who_asked(background):
    """A TomicError of the desk is raised where the work was asked for."""

    async def refuse(desk: Desk) -> object:
        return await desk.chain("SPY", strike_range="many")

    with pytest.raises(UsageError, match="strike_range"):
        await background.run(refuse)


async def test_events_go_to_the_work_they_belong_to(background):
    """Two chains at once: each watcher hears of its own symbol only."""
    heard: dict[str, list[Event]] = {"SPY": [], "QQQ": []}
    chains = (
        background.run(lambda desk, one=one: desk.chain(one), watch=heard[one].append)
        for one in heard
    )

    await asyncio.gather(*chains)

    for symbol, events in heard.items():
        assert {event.symbol for event in events if event.kind == "count"} == {symbol}


async def test_cancelled_work_ends_on_the_desk_too(background):
    """Cancelling reaches the other thread; the desk stays usable."""
    began, ended = threading.Event(), threading.Event()

    async def wait(_: Desk) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    job = asyncio.create_task(background.run(wait, online=False))
    await asyncio.to_thread(began.wait)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job

    assert await asyncio.to_thread(ended.wait, 60.0)
    assert (await background.run(lambda desk: desk.chain("SPY"))).symbol == "SPY"


async def test_a_deadline_is_not_the_life_of_the_panel(background):
    """Each chain has its own deadline, however long the panel has been open."""

    async def state(desk: Desk) -> float | None:
        return desk._resources._deadline

    assert await background.run(state, online=False) is None


async def test_closing_ends_the_work_and_the_thread(panel_settings):
    """What runs is cancelled, later work is refused, and closing twice is fine."""
    background = Background(lambda watch: Desk(panel_settings, demo=True, watch=watch))
    began = threading.Event()

    async def wait(_: Desk) -> None:
        began.set()
        await asyncio.Event().wait()

    job = asyncio.create_task(background.run(wait, online=False))
    await asyncio.to_thread(began.wait)
    await background.close()
    await background.close()

    with pytest.raises(asyncio.CancelledError):
        await job
    with pytest.raises(SessionError, match="closing"):
        await background.run(wait)
    assert [one for one in threading.enumerate() if one.name == "tomic desk"] == []


async def test_a_lost_session_is_renewed_by_the_next_work(tmp_path, market):
    """After the gateway came back, the next request has a connection again."""
    gateway = Gateway(market, profile=Profile.instant(), limits=Limits().unpaced())
    async with gateway:
        ib = {"port": gateway.port, "reconnect_pauses_s": (0.02,)}
        settings = settings_in(tmp_path, ib=ib, chain={"strike_range": "3", "monthlies": 1})
        background = Background(lambda watch: Desk(settings, watch=watch))
        await background.run(lambda desk: desk.session())
        assert (await background.connection()).alive

        for client in list(gateway.clients):
            client.abort()
        for _ in range(6_000):
            if not (await background.connection()).alive:
                break
            await asyncio.sleep(0.01)
        lost = await background.connection()
        chain = await background.run(lambda desk: desk.chain("SPY"))

        assert lost == LinkState(opened=True, alive=False, client_id=lost.client_id)
        assert chain.completeness > 0.9
        assert (await background.connection()).alive
        await background.close()


async def test_the_demo_has_the_store_of_the_command_line(make_panel, panel_settings):
    """What commands with --demo kept is in the panel, and what the panel keeps stays."""
    panel = make_panel()

    async def place(desk: Desk) -> Path:
        return (await desk.store()).path

    try:
        assert await panel.background.run(place, online=False) == panel_settings.store.demo_path
    finally:
        await panel.background.close()
