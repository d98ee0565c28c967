"""What was told is kept whole."""

from __future__ import annotations


async def test_all_are_replaced_in_their_order(store):
    """What is kept now stands in the place of what was, in the order given."""
    await store.notices.keep([("b", {"n": 1}), ("a", {"n": 2})])
    await store.notices.keep([("c", {"n": 3}), ("a", {"n": 2})])

    assert await store.notices.kept() == [{"n": 3}, {"n": 2}]


async def test_nothing_is_kept_at_first(store):
    """A new store has told nothing."""
    assert await store.notices.kept() == []
