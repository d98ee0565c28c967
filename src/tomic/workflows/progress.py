"""What a workflow tells whoever watches it: one small event at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
