"""The strategies with which a trade can be written, as options over ascending strikes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple


class Part(NamedTuple):
    """One option of a named strategy: which of the ascending strikes, how many, which right."""

    place: int
    amount: int
    right: Literal["C", "P", "?"]
    """"?" is the letter written behind a strike."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a strategy is written: its options over ascending strikes, and its shares."""

    parts: tuple[Part, ...]
    lots: int = 0
    """Hundreds of shares."""
    mirror: bool = False
    """Whether puts stand the other way round than calls."""


def _shape(*parts: tuple[int, int, Literal["C", "P", "?"]], lots: int = 0) -> Shape:
    return Shape(tuple(Part(*part) for part in parts), lots)


SHAPES = {
    "short_put": _shape((0, -1, "P")),
    "naked_put": _shape((0, -1, "P")),
    "cash_secured_put": _shape((0, -1, "P")),
    "short_call": _shape((0, -1, "C")),
    "naked_call": _shape((0, -1, "C")),
    "long_put": _shape((0, 1, "P")),
    "long_call": _shape((0, 1, "C")),
    "covered_call": _shape((0, -1, "C"), lots=1),
    "protective_put": _shape((0, 1, "P"), lots=1),
    "collar": _shape((0, 1, "P"), (1, -1, "C"), lots=1),
    "short_put_spread": _shape((0, 1, "P"), (1, -1, "P")),
    "short_call_spread": _shape((0, -1, "C"), (1, 1, "C")),
    "long_put_spread": _shape((0, -1, "P"), (1, 1, "P")),
    "long_call_spread": _shape((0, 1, "C"), (1, -1, "C")),
    "short_strangle": _shape((0, -1, "P"), (1, -1, "C")),
    "long_strangle": _shape((0, 1, "P"), (1, 1, "C")),
    "short_straddle": _shape((0, -1, "P"), (0, -1, "C")),
    "long_straddle": _shape((0, 1, "P"), (0, 1, "C")),
    "jade_lizard": _shape((0, -1, "P"), (1, -1, "C"), (2, 1, "C")),
    "iron_condor": _shape((0, 1, "P"), (1, -1, "P"), (2, -1, "C"), (3, 1, "C")),
    "iron_butterfly": _shape((0, 1, "P"), (1, -1, "P"), (1, -1, "C"), (2, 1, "C")),
    "atm_iron_butterfly": _shape((0, 1, "P"), (1, -1, "P"), (1, -1, "C"), (2, 1, "C")),
    "long_butterfly": _shape((0, 1, "?"), (1, -2, "?"), (2, 1, "?")),
    "broken_wing_butterfly": _shape((0, 1, "?"), (1, -2, "?"), (2, 1, "?")),
    "ratio_spread": replace(_shape((0, 1, "?"), (1, -2, "?")), mirror=True),
    "backspread": replace(_shape((0, -1, "?"), (1, 2, "?")), mirror=True),
    "put_ratio_spread": _shape((0, -2, "P"), (1, 1, "P")),
    "call_ratio_spread": _shape((0, 1, "C"), (1, -2, "C")),
    "put_backspread": _shape((0, 2, "P"), (1, -1, "P")),
    "call_backspread": _shape((0, -1, "C"), (1, 2, "C")),
}
"""Strategies of one expiry by name."""

TWO_EXPIRIES = ("calendar", "diagonal")
"""Strategies that sell a near expiry and hold a far one."""

STRATEGIES = (*SHAPES, *TWO_EXPIRIES)
"""Names with which a trade can be written."""
