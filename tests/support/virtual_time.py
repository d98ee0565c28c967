"""The loop of the suite's scenarios: that of `tomic.testing`, and stores that it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from tomic.store.file import Worker
from tomic.testing.virtual_time import VirtualLoop, run, stall

__all__ = ["THROUGHOUT", "VirtualLoop", "passing", "run", "stall", "with_stores"]

THROUGHOUT = [pytest.mark.virtual_time, pytest.mark.usefixtures("stores_in_virtual_time")]
"""For ``pytestmark``: coroutines of this file, and their fixtures, run in virtual time."""


class _Requests:
    """What a store's thread is asked; a virtual clock stands still until it has answered."""

    def __init__(self, requests: Any) -> None:
        self._requests, self.get = requests, requests.get

    def put_nowait(self, request: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        answer, _ = request
        if answer is not None and isinstance(loop := answer.get_loop(), VirtualLoop):
            loop.stand_still_for(answer)
        self._requests.put_nowait(request)


@contextlib.contextmanager
def with_stores() -> Iterator[None]:
    """Let virtual loops wait for the threads of stores that are opened meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        made = Worker.__init__

        def make(self: Worker, *given: Any) -> None:
            made(self, *given)
            # The thread is made with its queue, so this goes in while that is no thread's yet.
            self._tx = _Requests(self._tx)

        patch.setattr(Worker, "__init__", make)
        yield


def passing(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a scenario as a whole: its fixtures are made before, in real time."""

    @functools.wraps(test)
    def whole(**given: Any) -> None:
        run(lambda: test(**given))

    return whole
