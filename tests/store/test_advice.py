"""Alternatives that were shown are kept, and settled once."""

from __future__ import annotations

import datetime as dt

import pytest

from tomic.store import Database, NewAdvice

AT = dt.datetime(2025, 6, 2, 15, 0, tzinfo=dt.UTC)
EXPIRY = dt.date(2025, 6, 20)


@pytest.fixture
async def store(tmp_path):
    async with Database(tmp_path / "store.db") as db:
        yield db


def shown(position: str, symbol: str = "SPY", expiry: dt.date = EXPIRY) -> NewAdvice:
    return NewAdvice(position, 1, symbol, expiry, AT, {"id": position})


async def test_what_was_shown_is_read_back(store):
    """Oldest first, with its document, and by symbol."""
    await store.advice.save([shown("1"), shown("XLF-1", "XLF")], day=AT.date())

    every = await store.advice.all()

    assert [one.position for one in every] == ["1", "XLF-1"]
    assert (every[0].document, every[0].outcome, every[0].as_of) == ({"id": "1"}, None, AT)
    assert [one.position for one in await store.advice.all(symbol="XLF")] == ["XLF-1"]


async def test_a_first_outcome_is_never_overwritten(store):
    """What has expired waits until it is settled, once."""
    await store.advice.save([shown("1"), shown("2", expiry=EXPIRY.replace(day=27))], day=AT.date())

    assert await store.advice.awaiting(EXPIRY.replace(day=19)) == []
    (waiting,) = await store.advice.awaiting(EXPIRY)
    await store.advice.settle([(waiting.id, {"moves": []})], at=AT)
    await store.advice.settle([(waiting.id, {"moves": [1]})], at=AT)

    assert await store.advice.awaiting(EXPIRY) == []
    (settled,) = await store.advice.all(settled=True)
    assert settled.outcome == {"moves": []}
    assert [one.position for one in await store.advice.all(settled=False)] == ["2"]
