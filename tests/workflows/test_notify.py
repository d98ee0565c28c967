"""The trader told over many runs: exactly once per change, whatever the server does."""

from __future__ import annotations

import asyncio
import datetime as dt
import random

import pytest

from support.made_books import made_book
from support.message_server import SECRET, serving
from tomic import notices
from tomic.config import Settings
from tomic.config.notify import NotifySettings
from tomic.errors import ConfigError
from tomic.models.notices import Notice, Observation
from tomic.portfolio import overview
from tomic.store import Database
from tomic.workflows import notify

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)


@pytest.fixture
def server(monkeypatch):
    """A service that takes whatever it is sent, at the address of the settings."""
    with serving() as own:
        monkeypatch.setenv("TOMIC_NOTIFY_URLS", own.url)
        yield own


@pytest.fixture
async def store(tmp_path):
    async with Database(tmp_path / "t.db") as database:
        yield database


def look(*names: str) -> Observation:
    return Observation(
        notices=tuple(
            Notice(kind="alert", key=f"alert:{name}", text=f"{name}: 120, limit 100")
            for name in names
        ),
        covers=("alert:",),
    )


def lines(server) -> list[str]:
    return [line for message in server.messages for line in message["message"].splitlines()]


async def test_a_thousand_checks_tell_each_change_once(server, store):
    """Signals come and go at random; the server hears of each as often as it comes."""
    draw, before, expected = random.Random(1), set(), []
    names = [f"rule{n}" for n in range(8)]
    for _ in range(1000):
        # Most checks see what the last one saw.
        now = before ^ {draw.choice(names)} if draw.random() < 0.1 else set(before)
        expected += [f"{name}: 120, limit 100" for name in now - before]
        told = await notify.tell(store, Settings(), [look(*sorted(now))], at=AT)
        assert told.said == len(now - before)
        before = now

    assert len(expected) > 30
    assert lines(server) == expected


async def test_what_changes_elsewhere_tells_nothing_twice(server, store):
    """A position keeps its alerts while others of its symbol come, go, and shift its number."""
    kept = "-2 SPY 2026-12-18 640P @9.00"
    books = [
        kept,
        f"-1 SPY 2026-11-27 500P @9.00, {kept}",
        f"-1 SPY 2026-11-27 500P @9.00, +100 SPY @590, {kept}",
        f"{kept}, -1 SPY 2027-01-15 500P @9.00",
    ]
    numbers, said = [], []
    for text in books:
        review = overview.review(made_book(text), Settings())
        (own,) = (one for one in review.structures if "640P" in one.contracts)
        numbers.append(own.id)
        seen = notices.of_book(review, whole=True)
        own_only = [one for one in seen.notices if "640P" in one.key]
        said.append(len(own_only))
        look = seen.model_copy(update={"notices": tuple(own_only)})
        await notify.tell(store, Settings(), [look], at=AT)

    assert len(set(numbers)) > 1
    assert min(said) >= 2
    assert len(server.messages) == 1


async def test_a_server_that_is_down_hears_it_later(server, store):
    """What was not taken is told by the next run, once; nothing is raised."""
    server.status = 500
    failed = await notify.tell(store, Settings(), [look("vega")], at=AT)
    server.status = 200
    later = await notify.tell(store, Settings(), [look("vega")], at=AT)
    again = await notify.tell(store, Settings(), [look("vega")], at=AT)

    assert (failed.said, failed.waiting, later.said, again.said) == (0, 1, 1, 0)
    assert failed.problems[0].startswith("not told by json: not accepted")
    assert (later.text, again.text) == ("told 1 by json", "")
    assert lines(server) == ["vega: 120, limit 100"]


async def test_one_of_two_services_is_enough(server, store, monkeypatch):
    """Who has heard it does not hear it again because another service is down."""
    with serving() as down:
        down.status = 503
        monkeypatch.setenv("TOMIC_NOTIFY_URLS", f"{down.url} {server.url}")

        first = await notify.tell(store, Settings(), [look("vega")], at=AT)
        await notify.tell(store, Settings(), [look("vega")], at=AT)

    assert first.said == 1 and len(first.problems) == 1
    assert len(server.messages) == 1


async def test_the_night_is_told_in_one_message(server, store):
    """Nothing in the quiet hours; after them everything at once, by whatever looks next."""
    settings = Settings(notify=NotifySettings(quiet="22:00-07:00", time_zone="Europe/Amsterdam"))
    night = dt.datetime(2026, 11, 20, 23, 0, tzinfo=dt.UTC)

    held = await notify.tell(store, settings, [look("vega", "gamma")], at=night)
    told = await notify.tell(
        store, settings, [Observation(covers=("exit:",))], at=night + dt.timedelta(hours=8)
    )

    assert (held.said, held.text) == (0, "2 to tell later")
    assert told.said == 2
    (message,) = server.messages
    assert message["title"] == "TOMIC: 2 alerts"


async def test_accounts_leave_shortened(server, store):
    """A message passes through the hands of others."""
    seen = Observation(notices=(Notice(kind="alert", key="alert:a", text="account U1234567"),))

    await notify.tell(store, Settings(), [seen], at=AT)

    assert lines(server) == ["account U***567"]


async def test_the_store_holds_no_address(server, store, tmp_path):
    """Nothing of where it was sent is kept."""
    await notify.tell(store, Settings(), [look("vega")], at=AT)

    await store.close()

    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir())


async def test_two_runs_at_once_tell_it_once(server, store, tmp_path):
    """The second waits for the first, and then has nothing to say."""
    async with Database(tmp_path / "t.db") as other:
        both = await asyncio.gather(
            *(notify.tell(each, Settings(), [look("vega")], at=AT) for each in (store, other))
        )

    assert sorted(told.said for told in both) == [0, 1]
    assert len(server.messages) == 1


async def test_what_another_version_kept_is_no_obstacle(server, store):
    """A notice that cannot be read is told again if it still holds."""
    await store.notices.keep([("alert:vega", {"kind": "of a later version"})])

    told = await notify.tell(store, Settings(), [look("vega")], at=AT)

    assert told.said == 1
    assert [each["key"] for each in await store.notices.kept()] == ["alert:vega"]


async def test_without_an_address_it_is_said(store, monkeypatch):
    """What was seen is not lost: nothing is kept as told."""
    monkeypatch.delenv("TOMIC_NOTIFY_URLS", raising=False)

    with pytest.raises(ConfigError, match="no address to notify"):
        await notify.tell(store, Settings(), [look("vega")], at=AT)

    assert await store.notices.kept() == []
