from __future__ import annotations

import datetime as dt
import math

from tomic.store import NewProposal

DAY = dt.date(2026, 11, 20)
NOW = dt.datetime(2026, 11, 20, 16, 5, tzinfo=dt.UTC)
EXPIRY = dt.date(2026, 12, 18)


def proposal(symbol="SPY", *, score=71.5, expiry=EXPIRY) -> NewProposal:
    return NewProposal(symbol, "iron_condor", expiry, {"score": score, "max_loss": math.inf})


async def test_proposals_are_numbered_through_the_day(store):
    """A second scan of the day goes on counting; another day starts at one."""
    first = await store.scans.save([proposal(), proposal("QQQ")], as_of=NOW, day=DAY)
    second = await store.scans.save([proposal()], as_of=NOW, day=DAY)
    tomorrow = await store.scans.save([proposal()], as_of=NOW, day=DAY + dt.timedelta(days=3))

    assert first.proposal_ids == ("20261120-1", "20261120-2")
    assert second.proposal_ids == ("20261120-3",)
    assert tomorrow.proposal_ids == ("20261123-1",)


async def test_a_proposal_comes_back_as_it_was_made(store):
    """Document and time survive, an unbounded loss too; an unknown id gives nothing."""
    await store.scans.save([proposal("QQQ"), proposal()], as_of=NOW, day=DAY)

    found = await store.scans.proposal("20261120-2")

    assert (found.symbol, found.strategy, found.expiry, found.rank) == (
        "SPY",
        "iron_condor",
        EXPIRY,
        2,
    )
    assert found.as_of == NOW
    assert found.document == {"score": 71.5, "max_loss": math.inf}
    assert found.outcome is None
    assert await store.scans.proposal("20261120-9") is None


async def test_proposals_wait_for_their_outcome_until_it_is_noted(store):
    """An expired proposal is asked for until it is settled, and settled only once."""
    later = EXPIRY + dt.timedelta(days=7)
    await store.scans.save([proposal(), proposal("QQQ", expiry=later)], as_of=NOW, day=DAY)

    assert await store.scans.awaiting(EXPIRY - dt.timedelta(days=1)) == []
    assert [one.id for one in await store.scans.awaiting(EXPIRY)] == ["20261120-1"]

    await store.scans.settle([("20261120-1", {"won": True})], at=NOW)
    await store.scans.settle([("20261120-1", {"won": False})], at=NOW)

    assert await store.scans.awaiting(EXPIRY) == []
    settled = await store.scans.proposals(settled=True)
    assert [one.outcome for one in settled] == [{"won": True}]
    assert [one.symbol for one in await store.scans.proposals(settled=False)] == ["QQQ"]
    assert await store.scans.proposals(since=DAY + dt.timedelta(days=1)) == []


async def test_scans_are_listed_newest_first(store):
    """Each scan names its proposals, best first; one without any is kept as well."""
    await store.scans.save([proposal()], as_of=NOW, day=DAY, document={"symbols": ["SPY"]})
    await store.scans.save([], as_of=NOW, day=DAY, document={"nearest_miss": "roc 9 %"})

    scans = await store.scans.latest()

    assert [scan.proposal_ids for scan in scans] == [(), ("20261120-1",)]
    assert scans[1].document == {"symbols": ["SPY"]}
    assert await store.scans.latest(limit=1) == scans[:1]


async def test_scans_of_the_last_day_are_those_of_one_day(store):
    """Newest first, and none of the day before."""
    days = [dt.date(2026, 11, 19), dt.date(2026, 11, 20), dt.date(2026, 11, 20)]
    at = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
    assert await store.scans.of_last_day() == []
    for number, day in enumerate(days):
        await store.scans.save([], as_of=at, day=day, document={"number": number})

    scans = await store.scans.of_last_day()

    assert [scan.document["number"] for scan in scans] == [2, 1]
