"""Entry gates: a condition on the volatility of a symbol, written as people write it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tomic.models import VolSnapshot

NAMES: Mapping[str, str] = {
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
    "vix": "VIX, index points as the snapshot has them",
    "days_to_earnings": "calendar days to the next earnings",
}
"""What a gate may ask about."""

_GATE = re.compile(
    r"\s*(?:abs\(\s*(?P<inner>\w+)\s*\)|(?P<name>\w+))\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<limit>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*",
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
            not one of `NAMES`.
    """
    match = _GATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no gate; write it as in iv_rank >= 0.5 or abs(skew) <= 0.08")
    name = match["inner"] or match["name"]
    if name not in NAMES:
        raise ValueError(f"{text!r}: {name} is unknown; gates know {', '.join(NAMES)}")
    return Gate(name, match["sign"], float(match["limit"]), absolute=match["inner"] is not None)


def figure(vol: VolSnapshot, name: str) -> float | None:
    """The figure of *vol* that gates call *name*; None where it is unknown."""
    if name == "iv_minus_hv":
        return None if vol.iv30 is None or vol.hv30 is None else vol.iv30 - vol.hv30
    if name == "days_to_earnings":
        return days_to_earnings(vol)
    value: float | None = getattr(vol, name)
    return value


def days_to_earnings(vol: VolSnapshot) -> float | None:
    """Calendar days from the snapshot to the next earnings; None where unknown or past."""
    if vol.next_earnings is None:
        return None
    days = (vol.next_earnings - vol.as_of.date()).days
    return float(days) if days >= 0 else None
