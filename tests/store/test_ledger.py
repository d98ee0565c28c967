from __future__ import annotations

import datetime as dt

from tomic.store import Database

NOW = dt.datetime(2026, 11, 20, 21, 5, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


async def test_two_runs_keep_the_limit_together(path):
    """The request that would be one too many waits until the oldest leaves the window."""
    async with Database(path) as one, Database(path) as two:
        for n in range(6):
            store = (one, two)[n % 2]
            assert not await store.claim_history_request(f"bars {n}", after(n), most=6)

        wait = await two.claim_history_request("bars 6", after(10), most=6)

        assert wait == dt.timedelta(seconds=590)
        assert await one.claim_history_request("bars 6", after(599.9), most=6)
        assert not await one.claim_history_request("bars 6", after(600), most=6)


async def test_an_identical_request_waits_fifteen_seconds(store):
    """The same question is not asked again within 15 s, by whichever run; another may."""
    assert not await store.claim_history_request("SPY bars", NOW)

    assert await store.claim_history_request("SPY bars", after(5)) == dt.timedelta(seconds=10)
    assert not await store.claim_history_request("QQQ bars", after(5))
    assert not await store.claim_history_request("SPY bars", after(15))


async def test_requests_are_remembered_for_a_day(store):
    """What was asked lately can be listed; what is older than a day goes by itself."""
    await store.claim_history_request("old", NOW - dt.timedelta(days=2))
    await store.claim_history_request("SPY bars", NOW)
    await store.claim_history_request("SPY iv", after(1))

    assert await store.recent_history_requests(after(0.5)) == [(after(1), "SPY iv")]
    assert len(await store.recent_history_requests(NOW - dt.timedelta(days=9))) == 2


async def test_a_clock_set_back_blocks_nobody(store):
    """A request noted an hour in the future does not make this one wait for it."""
    await store.claim_history_request("SPY bars", after(3600))

    assert not await store.claim_history_request("SPY bars", NOW, most=1)
