"""Vertical spreads of one expiry as tables from which condors are scored by addition."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import ScoreSettings
from tomic.quant.density import Density

LEAST_NODES, MOST_NODES = 16384, 1 << 18
"""Nodes of the table of the distribution, linear in price between them."""
SAME = 1e-9
"""Widths and strikes this close are equal."""
_DUST = 1e-8


@dataclass(frozen=True, eq=False)
class Spreads:
    """
    Credit spreads of one side, (n,), sorted by short strike, then width.

    Money in currency per structure, widths and strikes in currency per share.
    """

    short: FloatArray
    """Strike of the leg sold."""
    width: FloatArray
    credit: FloatArray
    """Executable."""
    ev: FloatArray
    """Mean P&L of the spread alone under the forecast density."""
    liquidity: FloatArray
    """Fourth root of the product of the legs' liquidities."""
    row: IntArray
    """(n, 2) rows of the chain: sold, bought."""
    is_call: bool

    def __len__(self) -> int:
        return self.short.size

    def take(self, rows: IntArray | BoolArray | slice) -> Spreads:
        """The chosen spreads, in their order."""
        return Spreads(
            self.short[rows],
            self.width[rows],
            self.credit[rows],
            self.ev[rows],
            self.liquidity[rows],
            self.row[rows],
            self.is_call,
        )

    def sorted(self) -> Spreads:
        """By short strike, then width."""
        return self.take(np.lexsort((self.width, self.short)))


class CondorTerms(NamedTuple):
    """What all condors of an expiry share."""

    density: Density
    score: ScoreSettings
    dte: int
    money: float
    """Discounted currency per point: discount x multiplier."""
    multiplier: float
    two_spreads: bool
    """Whether unequal wings are margined as two spreads."""


class SpreadTable:
    """
    The distribution on an even grid of prices from *low* to *high*.

    ``error`` is the largest distance between the distribution and its chords.
    """

    def __init__(self, density: Density, low: float, high: float) -> None:
        span = max(high - low, SAME)
        # A step no wider than a cell of the density meets at most two of them.
        inside = (density.price[1:] >= low) & (density.price[:-1] <= high)
        cell = float(np.diff(density.price)[inside].min(initial=span))
        nodes = 2 ** math.ceil(math.log2(max(span / cell, 1.0)))
        nodes = min(max(nodes, LEAST_NODES), MOST_NODES)
        self.low, self.per_step, self.nodes = low, nodes / span, nodes
        self.value = density.probability_below(np.linspace(low, low + span, nodes + 1))
        self.step = np.append(np.diff(self.value), 0.0)
        self.error = _chord_error(density, span / nodes)

    def below(self, price: FloatArray) -> FloatArray:
        """P(S < price), off by at most `error` inside the grid."""
        place: FloatArray = (price - self.low) * self.per_step
        np.clip(place, 0.0, self.nodes, out=place)
        cell = place.astype(np.int32)
        place -= cell
        place *= self.step.take(cell)
        place += self.value.take(cell)
        return place


def _chord_error(density: Density, step: float) -> float:
    """
    How far a distribution may be from its chord over *step*.

    A function whose slope stays between two numbers differs from its chord by at most a quarter of
    the step times their difference; a step meets as many cells of the density as it is wide.
    """
    slope = np.diff(density.cdf) / np.diff(np.log(density.price))
    high, low = slope / density.price[:-1], slope / density.price[1:]
    pair = np.maximum(high[1:], high[:-1]) - np.minimum(low[1:], low[:-1])
    met = max(1.0, math.ceil(step / float(np.diff(density.price).min())))
    return 0.25 * step * float(pair.max(initial=0.0)) * met


class Side(NamedTuple):
    """One side's spreads in the form in which condors are scored."""

    short: FloatArray
    width: FloatArray
    credit: FloatArray
    ev: FloatArray
    liquidity: FloatArray
    inside: FloatArray
    """P(S < short strike)."""
    most: FloatArray
    """What the spread can cost, discounted; a larger credit leaves no breakeven on its side."""
    beyond: FloatArray
    """Probability of ending beyond the long strike."""

    @classmethod
    def of(cls, spreads: Spreads, terms: CondorTerms) -> Side:
        """The columns of *spreads*, (n,) each, under the density of *terms*."""
        inside = terms.density.probability_below(spreads.short)
        call = spreads.is_call
        end = spreads.short + (spreads.width if call else -spreads.width)
        wing = terms.density.probability_below(end)
        return cls(
            spreads.short,
            spreads.width,
            spreads.credit,
            spreads.ev,
            spreads.liquidity,
            inside,
            terms.money * spreads.width + _DUST,
            1.0 - wing if call else wing,
        )

    def take(self, rows: IntArray) -> Side:
        """The spreads at *rows*, in their order."""
        return Side(*(column.take(rows) for column in self))
