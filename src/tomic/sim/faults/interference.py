"""Which fault hits which request: the counting behind the faults, which are only data."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tomic.sim.faults import Aimed, Fault


@dataclass(frozen=True, slots=True)
class Subject:
    """The contract a request is about, as far as it is known; all empty when it is about none."""

    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: float = 0.0
    right: str = ""


_UNANSWERED = frozenset({"market_data_type", "other"})

F = TypeVar("F", bound=Fault)
A = TypeVar("A", bound=Aimed)


class Interference:
    """The faults in force, and how often each has struck."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._faults: list[Fault] = list(faults)
        self._seed = seed
        self._struck: Counter[Fault] = Counter()
        self._per_subject: Counter[tuple[Fault, str, Subject]] = Counter()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, fault: Fault) -> None:
        """Bring a fault in, with a fresh count."""
        self._struck.pop(fault, None)
        self._faults.append(fault)

    def remove(self, fault: Fault) -> None:
        """Take a fault out."""
        self._faults.remove(fault)

    def clear(self) -> None:
        """Take every fault out."""
        self._faults.clear()

    def any(self) -> bool:
        """Whether there is any fault at all."""
        return bool(self._faults)

    def of(self, kind: type[F]) -> list[F]:
        """Faults of one class, in the order they were given."""
        return [fault for fault in self._faults if isinstance(fault, kind)]

    def strike(self, fault: Fault, times: int | None = None) -> bool:
        """Count one use of a fault; False when it has been used *times* times already."""
        if times is not None and self._struck[fault] >= times:
            return False
        self._struck[fault] += 1
        return True

    def aimed(self, kind: type[A], on: str, subject: Subject) -> A | None:
        """The first fault of that class that hits this request; the hit is counted."""
        for fault in self.of(kind):
            if self._hits(fault, on, subject):
                return fault
        return None

    def _hits(self, fault: Aimed, on: str, subject: Subject) -> bool:
        if not self._fits(fault, on, subject) or not self._drawn(fault, subject):
            return False
        key = (fault, on, subject)
        if fault.first_n is not None and self._per_subject[key] >= fault.first_n:
            return False
        if not self.strike(fault, fault.times):
            return False
        if fault.first_n is not None:
            self._per_subject[key] += 1
        return True

    @staticmethod
    def _fits(fault: Aimed, on: str, subject: Subject) -> bool:
        # "Every kind" means every kind that waits for an answer.
        any_kind = fault.on == "" and not on.startswith("cancel") and on not in _UNANSWERED
        return (
            (any_kind or fault.on == on)
            and fault.symbol in ("", subject.symbol)
            and fault.expiry.replace("-", "") in ("", subject.expiry)
            and fault.strike in (0.0, subject.strike)
            and fault.right in ("", subject.right)
        )

    def _drawn(self, fault: Aimed, subject: Subject) -> bool:
        if fault.share >= 1.0:
            return True
        if subject.sec_type in ("STK", "IND"):
            return False
        key = f"{self._seed}|{type(fault).__name__}|{subject}"
        return random.Random(key).random() < fault.share
