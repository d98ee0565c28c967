"""
What a strategy is: legs and how their strikes are chosen, days, gates; as declarations.

A gate is a condition on the volatility of a symbol, written as people write it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from tomic.models import Side, VolSnapshot

Right: TypeAlias = Literal["C", "P"]
Slot: TypeAlias = Literal["near", "far"]
Range: TypeAlias = tuple[float, float]

CALL: Right = "C"
PUT: Right = "P"


@dataclass(frozen=True, slots=True)
class DeltaBand:
    """Strikes whose delta lies in [low, high]; puts have negative deltas."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Moneyness:
    """Strikes from low to high times the spot."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtTheMoney:
    """The listed strikes nearest to the forward, this many of them."""

    nearest: int = 1


@dataclass(frozen=True, slots=True)
class Offset:
    """
    Strikes at a distance from another leg's, both ends included; exactly one unit is given.

    One sigma is forward x at-the-money IV x sqrt(years) of the leg's own expiry; ``strikes``
    counts listed strikes.
    """

    leg: str
    sigmas: Range | None = None
    points: Range | None = None
    strikes: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        given = [unit for unit in (self.sigmas, self.points, self.strikes) if unit is not None]
        if len(given) != 1:
            raise ValueError("an offset is given in exactly one of sigmas, points or strikes")
        if not 0 <= given[0][0] <= given[0][1]:
            raise ValueError(f"an offset must ascend from 0 up, got {given[0]}")

    @property
    def unit(self) -> str:
        """Name of the unit that is given."""
        return "sigmas" if self.sigmas else "points" if self.points else "strikes"

    @property
    def range(self) -> Range:
        """The distance in that unit."""
        given = self.sigmas or self.points or self.strikes
        assert given is not None
        return (float(given[0]), float(given[1]))


class Below(Offset):
    """Strikes below another leg's."""


class Above(Offset):
    """Strikes above another leg's."""


@dataclass(frozen=True, slots=True)
class SameStrike:
    """The strike of another leg."""

    leg: str


@dataclass(frozen=True, slots=True)
class Mirror:
    """The strike as far from *about* as *leg* is, on its other side."""

    leg: str
    about: str


Pick: TypeAlias = DeltaBand | Moneyness | AtTheMoney | Below | Above | SameStrike | Mirror


@dataclass(frozen=True, slots=True)
class LegRule:
    """One option leg: its name, right, signed quantity, how its strike is chosen, which expiry."""

    name: str
    right: Right
    quantity: int
    pick: Pick
    slot: Slot = "near"


@dataclass(frozen=True, slots=True)
class Wider:
    """A condition on strikes: *leg* is further from *about* than *than* is."""

    leg: str
    than: str
    about: str


GATE_FIGURES: Mapping[str, str] = {
    "iv_rank": "place of IV30 between the lowest and highest of the year",
    "iv_percentile": "share of the year's days with a lower IV30",
    "iv30": "30-day implied volatility, fraction",
    "hv20": "historical volatility over 20 days, fraction",
    "hv30": "historical volatility over 30 days, fraction",
    "hv60": "historical volatility over 60 days, fraction",
    "hv90": "historical volatility over 90 days, fraction",
    "hv252": "historical volatility over 252 days, fraction",
    "iv_minus_hv": "IV30 less HV30, fraction",
    "skew": "IV of the 25-delta call less that of the 25-delta put, fraction",
    "term_m1_m2": "IV of the first expiry less that of the second, fraction",
    "term_m1_m3": "IV of the first expiry less that of the third, fraction",
    "vix": "VIX, index points",
    "days_to_earnings": "calendar days to the next earnings",
}
"""What a gate may ask about."""

_GATE = re.compile(
    r"\s*(?:abs\(\s*(?P<inner>\w+)\s*\)|(?P<name>\w+))\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<limit>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*",
    re.ASCII,
)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition, such as ``iv_rank >= 0.5`` or ``abs(skew) <= 0.08``."""

    name: str
    sign: str
    limit: float
    absolute: bool = False

    def __str__(self) -> str:
        name = f"abs({self.name})" if self.absolute else self.name
        return f"{name} {self.sign} {self.limit:g}"

    def observed(self, vol: VolSnapshot) -> float | None:
        """The number that is compared; None where the snapshot does not have it."""
        value = figure(vol, self.name)
        return abs(value) if self.absolute and value is not None else value

    def holds(self, value: float) -> bool:
        """Whether *value* satisfies the condition."""
        return _COMPARE[self.sign](value, self.limit)


def parse_gate(text: str) -> Gate:
    """
    Read a condition.

    Raises:
        ValueError: Not of the form ``name >= number`` or ``abs(name) <= number``, or the name is
            not one of `GATE_FIGURES`.
    """
    match = _GATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no gate; write it as in iv_rank >= 0.5 or abs(skew) <= 0.08")
    name = match["inner"] or match["name"]
    if name not in GATE_FIGURES:
        raise ValueError(f"{text!r}: {name} is unknown; gates know {', '.join(GATE_FIGURES)}")
    return Gate(name, match["sign"], float(match["limit"]), absolute=match["inner"] is not None)


def figure(vol: VolSnapshot, name: str) -> float | None:
    """The figure of *vol* that gates call *name*; None where it is unknown."""
    if name == "iv_minus_hv":
        return None if vol.iv30 is None or vol.hv30 is None else vol.iv30 - vol.hv30
    if name == "days_to_earnings":
        return days_to_earnings(vol)
    value: float | None = getattr(vol, name)
    # Snapshots hold the index as a fraction; people write it in points.
    return round(100.0 * value, 9) if name == "vix" and value is not None else value


def days_to_earnings(vol: VolSnapshot) -> float | None:
    """Calendar days from the snapshot to the next earnings; None where unknown or past."""
    if vol.next_earnings is None:
        return None
    days = (vol.next_earnings - vol.as_of.date()).days
    return float(days) if days >= 0 else None


@dataclass(frozen=True)
class Template:
    """A strategy: everything by which its trades are found on a chain."""

    name: str
    outlook: str
    """When to use it, in a few words."""
    side: Side
    legs: tuple[LegRule, ...]
    dte: tuple[int, int]
    """Calendar days to the near expiry, both ends included."""
    gap: tuple[int, int] | None = None
    """Days from the near to the far expiry; None where all legs share one expiry."""
    gates: tuple[str, ...] = ()
    stock: int = 0
    """Lots of shares, one lot as many as a contract delivers."""
    credit_required: bool = False
    """Refuse trades whose executable credit is not positive."""
    no_upside_loss: bool = False
    """Refuse trades that can lose when the underlying rises."""
    cash_secured: bool = False
    """Measured against the whole strike in cash, whatever the account."""
    both_sides: bool = False
    """Also searched with calls and puts exchanged."""
    wider: tuple[Wider, ...] = ()
    enabled: bool = True

    def __post_init__(self) -> None:
        known = [leg.name for leg in self.legs]
        if len(set(known)) < len(known):
            raise ValueError(f"{self.name}: two legs have the same name")
        for low, high in (self.dte, self.gap or (0, 0)):
            if not 0 <= low <= high:
                raise ValueError(f"{self.name}: days must ascend from 0 up, got {low} to {high}")
        if (self.gap is None) == any(leg.slot == "far" for leg in self.legs):
            raise ValueError(f"{self.name}: a gap belongs to far legs, and they to a gap")
        _ = self.order, self.conditions

    @cached_property
    def conditions(self) -> tuple[Gate, ...]:
        """The gates, read."""
        return tuple(parse_gate(text) for text in self.gates)

    @cached_property
    def order(self) -> tuple[LegRule, ...]:
        """The legs in an order in which each comes after those it refers to."""
        done: dict[str, LegRule] = {}
        rest = list(self.legs)
        while rest:
            ready = [leg for leg in rest if all(name in done for name in references(leg.pick))]
            if not ready:
                names = ", ".join(leg.name for leg in rest)
                raise ValueError(f"{self.name}: legs refer to each other or to no leg: {names}")
            done |= {leg.name: leg for leg in ready}
            rest = [leg for leg in rest if leg.name not in done]
        return tuple(done.values())

    @property
    def undefined_risk(self) -> bool:
        """Whether a rise of the underlying can cost without bound: more calls sold than held."""
        calls = sum(leg.quantity for leg in self.legs if leg.right == CALL)
        return calls + self.stock < 0

    @property
    def naked_put(self) -> bool:
        """Whether puts are sold that no put held covers."""
        return sum(leg.quantity for leg in self.legs if leg.right == PUT) < 0

    @property
    def receives_credit(self) -> bool:
        """Whether it is entered to be paid: it must be, or every option in it is sold."""
        return self.credit_required or all(leg.quantity < 0 for leg in self.legs)

    @property
    def has_width(self) -> bool:
        """Whether options held cover those sold, so that strikes alone bound what it can lose."""
        net = dict.fromkeys((CALL, PUT), 0)
        for leg in self.legs:
            net[leg.right] += leg.quantity
        return self.gap is None and self.stock == 0 and min(net.values()) >= 0

    @property
    def variants(self) -> tuple[Template, ...]:
        """The template, and where both sides count the one with calls and puts exchanged."""
        return (self, mirrored(self)) if self.both_sides else (self,)

    def leg(self, name: str) -> LegRule:
        """The leg of that name; KeyError where there is none."""
        return next(leg for leg in self.legs if leg.name == name)


def references(pick: Pick) -> tuple[str, ...]:
    """Names of the legs by which *pick* is measured."""
    if isinstance(pick, Mirror):
        return (pick.leg, pick.about)
    if isinstance(pick, (Below, Above, SameStrike)):
        return (pick.leg,)
    return ()


def mirrored(template: Template) -> Template:
    """The template with calls and puts, above and below, bullish and bearish exchanged."""
    sides: Mapping[Side, Side] = {"bullish": "bearish", "bearish": "bullish", "neutral": "neutral"}
    legs = tuple(
        replace(
            leg,
            name=_swapped(leg.name),
            right=PUT if leg.right == CALL else CALL,
            pick=_mirrored_pick(leg.pick),
        )
        for leg in template.legs
    )
    wider = tuple(
        Wider(_swapped(rule.leg), _swapped(rule.than), _swapped(rule.about))
        for rule in template.wider
    )
    return replace(template, side=sides[template.side], legs=legs, wider=wider)


def _swapped(name: str) -> str:
    other = {"put": "call", "call": "put"}
    return "_".join(other.get(word, word) for word in name.split("_"))


def _mirrored_pick(pick: Pick) -> Pick:
    match pick:
        case DeltaBand(low, high):
            return DeltaBand(-high, -low)
        case Moneyness(low, high):
            return Moneyness(2.0 - high, 2.0 - low)
        case Below(leg, sigmas, points, strikes):
            return Above(_swapped(leg), sigmas, points, strikes)
        case Above(leg, sigmas, points, strikes):
            return Below(_swapped(leg), sigmas, points, strikes)
        case SameStrike(leg):
            return SameStrike(_swapped(leg))
        case Mirror(leg, about):
            return Mirror(_swapped(leg), _swapped(about))
        case _:
            return pick
