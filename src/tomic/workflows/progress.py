"""What a workflow tells whoever watches it: one small event at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Event:
    """One step forward."""

    kind: Literal["stage", "waiting", "spot", "count", "note", "done"]
    """
    ``waiting`` is the stage in which the gateway takes longest before the first option; ``done``
    says what came of a symbol, once.
    """
    symbol: str
    text: str = ""
    done: int = 0
    total: int = 0


Watcher: TypeAlias = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Watch nothing."""


def counted(count: int, noun: str) -> str:
    """``1 request``, ``2 requests``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counting(watch: Watcher, symbol: str, total: int, text: str = "") -> Callable[[object], None]:
    """A function that tells *watch*, at each call, that one more of *total* is done."""
    numbers = count(1)
    return lambda _: watch(Event("count", symbol, text, next(numbers), total))
