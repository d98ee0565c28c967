"""The loop of the suite's scenarios, which is that of `tomic.testing`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from tomic.testing.virtual_time import VirtualLoop, run, stall

__all__ = ["VirtualLoop", "passing", "run", "stall"]


def passing(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a scenario as a whole: its fixtures are made before, in real time."""

    @functools.wraps(test)
    def whole(**given: Any) -> None:
        run(lambda: test(**given))

    return whole
