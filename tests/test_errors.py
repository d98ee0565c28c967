"""Errors of tasks that ran together come out one by one."""

from __future__ import annotations

import asyncio

import pytest

from tomic.errors import BadFile, SessionLost, TomicError, ungrouped


async def fail(error):
    raise error


async def together(*errors):
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for error in errors:
                group.create_task(fail(error))


async def test_an_error_of_ours_leaves_its_group():
    """Who waits for tasks sees the first error itself, and no group."""
    with pytest.raises(SessionLost, match="gone") as caught:
        await together(SessionLost("gone"), BadFile("odd"))

    assert caught.value.__cause__ is None


async def test_groups_within_groups():
    """However deep it happened."""

    async def outer():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(BadFile("odd")))

    with pytest.raises(BadFile, match="odd"), ungrouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(outer())


async def test_a_mistake_of_the_program_stays_in_its_group():
    """Nothing hides what nobody expected."""
    with pytest.raises(BaseExceptionGroup) as caught:
        await together(LookupError("bug"), BadFile("odd"))

    assert {type(one) for one in caught.value.exceptions} == {LookupError, BadFile}
    assert not isinstance(caught.value, TomicError)
