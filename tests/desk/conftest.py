"""Which loop the tests of desks run in, and what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from support import virtual_time


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A virtual one for what is marked so, and else the usual one."""
    del config
    if item.get_closest_marker("virtual_time") is not None:
        return {"virtual": virtual_time.VirtualLoop}
    return {"usual": asyncio.new_event_loop}


@pytest.fixture
def stores_in_virtual_time() -> Iterator[None]:
    """Virtual loops wait for the threads of stores."""
    with virtual_time.with_stores():
        yield
