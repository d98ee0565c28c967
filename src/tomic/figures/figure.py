"""What a figure is called, how it is written, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How every table heads and writes one figure."""

    name: str
    """The field that holds it."""
    title: str
    unit: str
    """As the program computes; tables print volatilities and ranks in per cent."""
    label: str = ""
    """Its heading; the title where it has no other."""
    short: str = ""
    """Its heading where room is scarce; the label where it has no other."""
    decimals: int = 2
    """Of what is printed, which is *factor* times the figure."""
    factor: float = 1.0
    suffix: str = ""
    """What follows the number where the heading does not say it."""
    is_signed: bool = False
    """A plus stands before what is positive."""

    @property
    def heading(self) -> str:
        """Over a column."""
        return self.label or self.title

    @property
    def narrow(self) -> str:
        """Over a narrow column."""
        return self.short or self.heading


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Figure):
    """One metric, as `tomic explain` prints it; its example is executed by a test."""

    meaning: str
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
