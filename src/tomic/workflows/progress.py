"""What a workflow tells whoever watches it: one small event at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Event:
    """One step forward."""

    kind: Literal["stage", "waiting", "spot", "count", "note"]
    """``waiting`` is the stage in which the gateway takes longest before the first option."""
    symbol: str
    text: str = ""
    done: int = 0
    total: int = 0


Watcher: TypeAlias = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Watch nothing."""


def counting(watch: Watcher, symbol: str, total: int, text: str = "") -> Callable[[object], None]:
    """A function that tells *watch*, at each call, that one more of *total* is done."""
    numbers = count(1)
    return lambda _: watch(Event("count", symbol, text, next(numbers), total))
