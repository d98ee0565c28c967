"""
The shape of a strategy: which of its ascending strikes each leg stands on, derived from its legs.

By its shape a strategy is recognised where it was not searched: in legs that somebody wrote and in
the positions of a book. Nothing is declared for that beyond the template.
"""

from __future__ import annotations

from typing import NamedTuple

from tomic.strategies.catalogue.leg_rules import (
    PUT,
    Above,
    AtTheMoney,
    Below,
    DeltaBand,
    LegRule,
    Mirror,
    Moneyness,
    Right,
    SameStrike,
    Slot,
    Template,
)

_STEP = 1e-3
"""How far a strike moves that lies anywhere above or below another: less than bands lie apart."""


class ShapeLeg(NamedTuple):
    """One option: which of the ascending strikes, how many, which right, which expiry."""

    place: int
    quantity: int
    right: Right
    slot: Slot = "near"


class Shape(NamedTuple):
    """The options of a strategy over ascending strikes, and lots of shares."""

    legs: tuple[ShapeLeg, ...]
    stock: int = 0

    @property
    def strikes(self) -> int:
        """How many different strikes it has."""
        return max(leg.place for leg in self.legs) + 1

    @property
    def has_far(self) -> bool:
        """Whether it has a second expiry."""
        return any(leg.slot == "far" for leg in self.legs)


def shape(template: Template) -> Shape:
    """
    The shape of a template as declared; of one searched on both sides also `mirrored` has one.

    Strikes that are chosen by delta or moneyness ascend as these say; the others stand next to the
    leg that they are measured from, on its side.
    """
    level: dict[str, float] = {}
    for leg in template.order:
        level[leg.name] = _level(leg, level)
    ladder = sorted({round(value, 9) for value in level.values()})
    legs = (
        ShapeLeg(ladder.index(round(level[leg.name], 9)), leg.quantity, leg.right, leg.slot)
        for leg in template.legs
    )
    return Shape(tuple(sorted(legs, key=lambda leg: leg.place)), template.stock)


def shapes(template: Template) -> tuple[Shape, ...]:
    """
    The shape of each variant: of a strategy searched on both sides its mirror image, too.

    The image lists its legs in the order of the original, so from the highest strike down.
    """
    first, *images = (shape(variant) for variant in template.variants)
    return (first, *(image._replace(legs=_descending(image.legs)) for image in images))


def _descending(legs: tuple[ShapeLeg, ...]) -> tuple[ShapeLeg, ...]:
    return tuple(sorted(legs, key=lambda leg: -leg.place))


def _level(leg: LegRule, level: dict[str, float]) -> float:
    """A number that ascends with the strike: less the call's delta at it, roughly."""
    match leg.pick:
        case DeltaBand(low, high):
            delta = 0.5 * (low + high)
            return -(1.0 + delta) if leg.right == PUT else -delta
        case Moneyness(low, high):
            return -0.5 + 0.5 * (low + high - 2.0)
        case AtTheMoney():
            return -0.5
        case SameStrike(other):
            return level[other]
        case Mirror(other, about):
            return 2.0 * level[about] - level[other]
        case Below(other):
            return level[other] - _STEP
        case Above(other):
            return level[other] + _STEP
