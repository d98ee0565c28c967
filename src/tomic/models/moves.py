"""What alternatives for a position are called, and how those that were shown ended."""

from __future__ import annotations

from enum import StrEnum

from tomic.models.market import Model


class MoveKind(StrEnum):
    """What an alternative does with a position."""

    HOLD = "hold"
    CLOSE = "close"
    PART = "take part off"
    ROLL = "roll out"
    """To a later expiry at the same strikes."""
    ROLL_DELTA = "roll out by delta"
    """To a later expiry, at the deltas of now where they are no larger than the set one."""
    TESTED_OUT = "roll the tested side out"
    TESTED_AWAY = "roll the tested side away"
    UNTESTED_IN = "roll the untested side in"
    IRON_FLY = "go to an iron fly"
    ASSIGNMENT = "take assignment"
    """And write the call."""
    WRITE = "write against it"
    """An option sold against shares or a long option that are held alone."""
    KEEP_LONG = "close the short, keep the long"

    @property
    def is_roll(self) -> bool:
        """Whether it takes back options and sells others."""
        return self in _ROLLS


_ROLLS = frozenset(
    {
        MoveKind.ROLL, MoveKind.ROLL_DELTA, MoveKind.TESTED_OUT, MoveKind.TESTED_AWAY,
        MoveKind.UNTESTED_IN, MoveKind.IRON_FLY,
    }
)  # fmt: skip


class MoveRecord(Model):
    """How the alternatives of one kind ended, beside holding the same positions; currency."""

    kind: MoveKind
    currency: str = ""
    """Of the money; empty where the positions do not say it."""
    n: int
    """Shown on so many positions and days, of which the outcome is known."""
    result: float
    """Mean result of the campaign with it."""
    change: float
    """Mean of its result less that of holding."""
    better: float
    """Share of them that ended better than holding."""
    expected: float
    """Mean of the change that was expected."""
    chosen: int
    """How often it stood first."""


class EndedMoves(Model):
    """How the alternatives that were shown ended."""

    records: tuple[MoveRecord, ...] = ()
    settled: int = 0
    """Looks at a position whose alternatives have all ended."""
    waiting: int = 0
    """Looks of which something is not known yet."""
    unpriced: tuple[str, ...] = ()
    """Symbols whose price at an expiry is not stored."""
