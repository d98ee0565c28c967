"""What a definition of a metric says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric, as `tomic explain` prints it; its example is executed by a test."""

    name: str
    title: str
    meaning: str
    unit: str
    """As the program computes; tables print volatilities and ranks in per cent."""
    formula: str
    source: str
    caveat: str
    kernel: str
    """Dotted name of the function that computes it."""
    example: str
    """A Python expression over the modules of `tomic.quant` and its neighbours."""
    result: float
    """What the example gives."""
    aliases: tuple[str, ...] = ()
