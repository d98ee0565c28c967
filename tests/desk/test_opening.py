"""A desk opened and closed by hand, and processes that end although nobody closed it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from conftest import settings_in
from tomic.config import StoreSettings
from tomic.desk import Desk
from tomic.errors import ConfigError, UsageError

RULES = {"monthlies": 1, "weeklies": 1, "strike_range": "2"}
ENDS_WITHIN_S = 120.0
"""A process that hangs is ended by the test; one that ends takes a few seconds."""


@pytest.fixture
def given(tmp_path):
    return settings_in(tmp_path, chain=RULES)


def ended(body, folder, **more):
    """A script with *body* in a process of its own, which must end by itself."""
    script = "import asyncio, tomic\n" + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )


async def test_open_and_close_by_hand(given):
    """What `async with` does may be done in two calls, each of them twice."""
    desk = Desk(given, demo=True)
    assert await desk.open() is desk
    await desk.open()

    chain = await desk.chain("SPY")

    assert chain.completeness == 1.0 and desk.has_session
    await desk.close()
    await desk.close()
    assert not desk.has_session


async def test_opened_again(given):
    """A desk that was closed may be opened again, with another gateway behind it."""
    desk = Desk(given, demo=True)
    async with desk:
        first = (await desk.session()).server_version
    async with desk:
        assert (await desk.session()).server_version == first
        assert (await desk.chain("SPY")).completeness == 1.0


async def test_closing_what_was_never_opened(given, tmp_path):
    """It changes nothing, and writes no recording."""
    desk = Desk(given, demo=True, record=tmp_path / "session.jsonl")

    await desk.close()

    assert not (tmp_path / "session.jsonl").exists()


@pytest.mark.parametrize(
    "ask",
    [
        lambda desk: desk.chain("SPY"),
        lambda desk: desk.chains(["SPY"]),
        lambda desk: desk.scan("SPY"),
        lambda desk: desk.prices("SPY"),
        lambda desk: desk.vol("SPY"),
        lambda desk: desk.vol_history("SPY"),
        lambda desk: desk.why_not("SPY", "short_put_spread 560/550 2026-12-18"),
        lambda desk: desk.proposal("20261120-1"),
        lambda desk: desk.portfolio(),
        lambda desk: desk.journal(),
        lambda desk: desk.session(),
        lambda desk: desk.store(),
        lambda desk: anext(desk.examine()),
    ],
)
@pytest.mark.parametrize("closed", [False, True])
async def test_nothing_is_asked_of_a_desk_that_is_not_open(given, ask, closed):
    """Whatever is asked, the sentence says how to open it; nothing is opened on the way."""
    desk = Desk(given, demo=True)
    if closed:
        async with desk:
            pass

    with pytest.raises(UsageError, match=r"the desk is not open; .* await desk\.open\(\)"):
        await ask(desk)

    assert not desk.has_session


async def test_a_shared_desk_is_opened_too(given):
    """A desk over another one's connection says the same, and leaves that one open."""
    async with Desk(given, demo=True) as host:
        guest = host.sharing(given)
        with pytest.raises(UsageError, match="the desk is not open"):
            await guest.store()
        async with guest:
            assert await guest.session() is await host.session()

        assert (await host.chain("SPY")).completeness == 1.0


@pytest.mark.parametrize("store", ["", ", store={'path': 'mine.db'}"])
@pytest.mark.parametrize("end", ["", "raise RuntimeError('on the way')", "raise SystemExit(3)"])
def test_a_process_ends_although_the_desk_is_open(tmp_path, store, end):
    """With a session and a store open nobody waits: neither after the script nor an error in it."""
    found = ended(
        f"""
        async def main():
            desk = await tomic.Desk(demo=True{store}).open()
            await desk.prices("SPY")
            await desk.session()
            print("asked", flush=True)
            {end or "pass"}

        asyncio.run(main())
        """,
        tmp_path,
    )

    assert "asked" in found.stdout, found.stderr
    assert found.returncode == {"": 0, "raise SystemExit(3)": 3}.get(end, 1)
    assert ("RuntimeError: on the way" in found.stderr) == ("RuntimeError" in end)
    if store:
        with sqlite3.connect(tmp_path / "mine.db") as db:
            assert db.execute("SELECT count(*) FROM bars").fetchone()[0] > 200


def test_a_process_ends_with_a_loop_that_nobody_closed(tmp_path):
    """As in a notebook, whose loop runs until the process ends."""
    found = ended(
        """
        loop = asyncio.new_event_loop()
        desk = loop.run_until_complete(tomic.Desk(demo=True).open())
        loop.run_until_complete(desk.store())
        loop.run_until_complete(desk.prices("SPY"))
        print("asked", flush=True)
        """,
        tmp_path,
    )

    assert (found.returncode, found.stdout) == (0, "asked\n"), found.stderr


def test_a_process_ends_that_was_told_to_open_first(tmp_path):
    """Forgetting to open is an error with its remedy, and the process ends with it."""
    found = ended("asyncio.run(tomic.Desk(demo=True).vol('SPY'))", tmp_path)

    assert found.returncode == 1
    assert "UsageError: the desk is not open" in found.stderr


async def test_a_demo_keeps_its_store_where_it_is_told(tmp_path, monkeypatch):
    """`store` is honoured in a demo, in either form, and the file outlives the desk."""
    monkeypatch.chdir(tmp_path)
    for place, store in (("one.db", {"path": "one.db"}), ("two.db", StoreSettings(path="two.db"))):
        async with Desk(demo=True, store=store, chain=RULES) as desk:
            await desk.prices("SPY")
            assert (await desk.store()).path.name == place

        async with Desk(demo=True, store=store) as desk:
            assert len(await (await desk.store()).history.bars("SPY")) > 200
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("path", ["data/volatility.db", "./data/../data/volatility.db"])
async def test_a_demo_leaves_the_real_store_alone(tmp_path, monkeypatch, path):
    """Prices of the demo market in the store of real data would be believed for ever."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=r"is the store of real data; .*demo\.db"):
        Desk(demo=True, store={"path": path})


async def test_a_demo_without_a_place_has_a_store_while_it_runs(tmp_path, monkeypatch):
    """Another key of that section gives no place."""
    monkeypatch.chdir(tmp_path)

    async with Desk(demo=True, store={"lock_wait_s": 3.0}) as desk:
        place = (await desk.store()).path
        assert desk.settings.store.lock_wait_s == 3.0
    assert not place.exists() and tmp_path not in place.parents


def test_one_store_and_one_set_of_settings(given, tmp_path):
    """What would be ignored is refused."""
    with pytest.raises(UsageError, match="give the store of a demo once"):
        Desk(demo=True, store={"path": "a.db"}, demo_store=tmp_path / "b.db")
    with pytest.raises(UsageError, match="ib beside settings"):
        Desk(given, ib={"port": 4002})
    with pytest.raises(UsageError, match="config beside settings"):
        Desk(given, config=tmp_path / "tomic.toml")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"port": 4001}, r"argument port=4001: .*write ib=\{'port': 4001\}"),
        ({"store": "x.db"}, r"argument store='x\.db': .*store=\{'path': \.\.\.\}"),
        ({"chain": 15}, r"argument chain=15: a section takes its keys by name"),
        ({"ibb": {"port": 1}}, r"argument ibb: no section .*did you mean ib\?"),
        ({"nonsense": 1}, r"argument nonsense: no section of the settings, which are "),
        ({"ib": {"prot": 1}}, r"\[ib\] prot: unknown key; did you mean port\?"),
    ],
)
def test_arguments_that_are_no_sections(more, text):
    """Each is answered with how to write it."""
    with pytest.raises(ConfigError, match=text):
        Desk(demo=True, **more)
