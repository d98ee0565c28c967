"""What a workflow tells whoever watches it: one small event at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Event:
    """One step forward."""

    kind: Literal["stage", "spot", "count", "note"]
    symbol: str
    text: str = ""
    done: int = 0
    total: int = 0


THINKING = "spot and expiries"
"""The stage in which the gateway answers what takes it longest before the first option."""

Watcher: TypeAlias = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Watch nothing."""
