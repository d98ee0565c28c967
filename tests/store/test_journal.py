from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from support.properties import examples
from tomic.errors import StoreBusy, UsageError
from tomic.store import Database, Execution, replay

NOW = dt.datetime(2026, 11, 20, 16, 5, tzinfo=dt.UTC)

CONDOR = {
    "symbol": "SPY",
    "strategy": "iron_condor",
    "status": "open",
    "opened_at": "2026-11-20T16:00:00+00:00",
    "legs": [{"strike": 560.0, "right": "P", "quantity": -2}],
    "max_loss": math.inf,
    "reason": "IV rank 64 %; rijke volatiliteit",
    "Onbekend veld": {"blijft": True},
}

APPENDER = """
import asyncio, datetime as dt, sys
from tomic.store import Database

async def append(path, name, count):
    async with Database(path) as db:
        for n in range(count):
            await db.journal.change(
                1,
                lambda e: {**e, "notes": [*e["notes"], f"{name}{n}"]},
                event="note",
                at=dt.datetime.now(dt.UTC),
            )

asyncio.run(append(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""

documents = st.dictionaries(
    st.sampled_from(["symbol", "status", "strategy", "plan", "reden", "tags"]),
    st.one_of(st.text(max_size=8), st.none()),
    max_size=6,
)


async def save(store, document=CONDOR, event="opened", **more) -> int:
    return await store.journal.save({**document, **more}, event=event, at=NOW)


async def test_an_entry_survives_reopening(path):
    """Every key comes back, unknown ones and an unbounded loss included."""
    async with Database(path) as store:
        number = await save(store, summary={"result": None})

    async with Database(path) as store:
        found = await store.journal.load(number)

    assert found == {"id": 1, "revision": 1, **CONDOR, "summary": {"result": None}}


async def test_numbers_continue_after_those_of_an_import(store):
    """An entry keeps the number it came with; the next one is one above the highest."""
    await store.journal.save_all(
        [{**CONDOR, "id": 4, "continues": 17}, {**CONDOR, "id": 17}], event="imported", at=NOW
    )

    assert await save(store) == 18
    assert [entry["id"] for entry in await store.journal.load_all()] == [4, 17, 18]


async def test_every_change_is_kept(store):
    """The history has what was set and taken away, and rebuilds each earlier state."""
    number = await save(store)
    first = await store.journal.load(number)

    def close(entry):
        del entry["reason"]
        return {**entry, "status": "closed", "closed_at": "2026-12-10T20:00:00+00:00"}

    last = await store.journal.change(number, close, event="close", at=NOW, note="target reached")
    changes = await store.journal.changes(number)

    assert [(change.revision, change.event) for change in changes] == [(1, "opened"), (2, "close")]
    assert changes[1].values == {"status": "closed", "closed_at": "2026-12-10T20:00:00+00:00"}
    assert changes[1].removed == ("reason",)
    assert changes[1].note == "target reached"
    last.pop("summary"), first.pop("summary")
    assert replay(changes) == last
    assert replay(changes, revision=1) == first


@given(st.lists(documents, min_size=1, max_size=5))
@examples(15)
def test_the_history_rebuilds_any_entry(versions):
    """Whatever an entry becomes, its history ends at what is stored."""

    async def write():
        with tempfile.TemporaryDirectory() as folder:
            async with Database(Path(folder) / "store.db") as store:
                number = await store.journal.save(versions[0], event="opened", at=NOW)
                for one in versions[1:]:
                    await store.journal.change(number, lambda _, one=one: one, event="edit", at=NOW)
                return await store.journal.load(number), await store.journal.changes(number)

    entry, changes = asyncio.run(write())

    entry.pop("summary")
    assert entry == replay(changes) == {"id": 1, "revision": len(versions), **versions[-1]}


async def test_a_stale_entry_is_not_written(store):
    """Who read an entry before another changed it cannot overwrite that change."""
    number = await save(store)
    stale = await store.journal.load(number)
    await store.journal.change(number, lambda entry: {**entry, "plan": "hold"}, event="e", at=NOW)

    with pytest.raises(StoreBusy, match="journal entry 1 was changed by another run"):
        await store.journal.save({**stale, "plan": "sell"}, event="edit", at=NOW)

    assert (await store.journal.load(number))["plan"] == "hold"


async def test_many_entries_are_written_all_or_none(store):
    """One entry that cannot be written takes the others of its batch with it."""
    with pytest.raises(TypeError, match="object cannot be written"):
        await store.journal.save_all([CONDOR, {"legs": object()}], event="imported", at=NOW)

    assert await store.journal.load_all() == []


async def test_changing_an_unknown_entry_is_a_mistake_of_the_user(store):
    """An unknown number is told with the command that shows the known ones."""
    with pytest.raises(UsageError, match="no journal entry 7; tomic journal list"):
        await store.journal.change(7, dict, event="note", at=NOW)


async def test_entries_are_found_by_their_keys(store):
    """Status, symbol, strategy and day select whole entries and summaries alike."""
    await save(store, summary={"result": 120.0})
    await save(store, symbol="QQQ", status="closed", opened_at="2026-01-05T16:00:00+00:00")

    assert [e["symbol"] for e in await store.journal.load_all("open")] == ["SPY"]
    assert [e["symbol"] for e in await store.journal.load_all(symbol="QQQ")] == ["QQQ"]
    assert len(await store.journal.load_all(strategy="iron_condor")) == 2
    found = await store.journal.summaries(since=dt.date(2026, 11, 1))
    assert [(e["id"], e["status"], e["summary"]) for e in found] == [(1, "open", {"result": 120.0})]


async def test_nothing_of_the_journal_can_be_deleted(store, path):
    """The file itself refuses to lose an entry or to rewrite its history."""
    await save(store)
    db = sqlite3.connect(path)

    for statement in (
        "DELETE FROM entries",
        "DELETE FROM journal_history",
        "UPDATE journal_history SET note = 'never happened'",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            db.execute(statement)
    db.close()


async def test_two_processes_lose_nothing_of_each_other(path):
    """Two programs that add notes to one entry at the same time both keep all of theirs."""
    async with Database(path) as store:
        await store.journal.save({**CONDOR, "notes": []}, event="opened", at=NOW)
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", APPENDER, path, name, "20")
        for name in "ab"
    ]
    assert [await writer.wait() for writer in writers] == [0, 0]

    async with Database(path) as store:
        entry = await store.journal.load(1)
        changes = await store.journal.changes(1)

    assert sorted(entry["notes"]) == sorted(f"{name}{n}" for name in "ab" for n in range(20))
    assert [change.revision for change in changes] == list(range(1, 42))


async def test_a_fill_is_counted_once(store):
    """The broker's execution id is unique; a second import of the same fills adds nothing."""
    number = await save(store)
    fills = [
        Execution(f"0001.{n}", NOW + dt.timedelta(seconds=n), "SPY", 100 + n, {"price": 1.2})
        for n in range(3)
    ]

    assert await store.journal.save_executions(fills) == 3
    assert await store.journal.save_executions(fills) == 0
    await store.journal.link_executions(["0001.1"], number)

    assert [one.exec_id for one in await store.journal.executions(unlinked=True)] == [
        "0001.0",
        "0001.2",
    ]
    (linked,) = await store.journal.executions(entry_id=number)
    assert (linked.entry_id, linked.at, linked.document) == (number, fills[1].at, {"price": 1.2})


async def test_a_document_keeps_dates_as_text(store):
    """Dates may be handed over as such and come back as ISO text, as JSON would have them."""
    number = await save(store, expiry=dt.date(2026, 12, 18))

    entry = await store.journal.load(number)

    assert entry["expiry"] == "2026-12-18"
    assert json.loads(json.dumps(entry)) == entry
