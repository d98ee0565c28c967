from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing

import pytest

from tomic.errors import StoreError
from tomic.store import FollowedRow, NewProposal

DAY = dt.date(2026, 11, 20)
AT = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)


async def a_proposal(store) -> str:
    scan = await store.scans.save(
        [NewProposal("SPY", "iron_condor", DAY, {"pos": 0.8})], as_of=AT, day=DAY
    )
    return scan.proposal_ids[0]


async def test_the_end_of_a_proposal_is_never_revised(store):
    """What is open goes on, what ended stays, and an older state replaces nothing."""
    name = await a_proposal(store)
    later = DAY + dt.timedelta(days=3)
    states = [
        FollowedRow(name, DAY, None, '{"n": 1}'),
        FollowedRow(name, later, None, '{"n": 2}'),
        FollowedRow(name, DAY, None, '{"n": 3}'),
        FollowedRow(name, later, later, '{"n": 4}'),
        FollowedRow(name, later + dt.timedelta(days=1), None, '{"n": 5}'),
    ]

    seen = []
    for state in states:
        await store.followed.save([state])
        seen.append((await store.followed.documents())[name]["n"])

    assert seen == [1, 2, 2, 4, 4]
    assert await store.check() == []


async def test_a_damaged_document_is_an_error(store, path):
    """It is named by the check, and never read as something else."""
    await store.followed.save([FollowedRow(await a_proposal(store), DAY, None, "{}")])
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE followed SET document = 'not JSON'")
        db.commit()

    with pytest.raises(StoreError, match="damaged"):
        await store.followed.documents()
    (problem,) = await store.check()
    assert problem.startswith("followed row 1")
