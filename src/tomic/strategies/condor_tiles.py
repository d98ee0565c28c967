"""
Tiles of condors: on both sides spreads of one short strike and similar widths, and their bounds.

Tiles come in two sizes. A large one that may hold a good condor is cut into small ones, and only
the condors of those small tiles that still may are scored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.strategies import scoring
from tomic.strategies.condor_tables import SAME, CondorTerms, Spreads, SpreadTable
from tomic.strategies.measures import TAIL

_FINE = np.array([1.5, 2.5, 3.5, 4.5, 6.5, 8.5, 11.5, 16.5, 23.5, 32.5, 45.5, 64.5, 128.5])
_COARSE = np.array([2.5, 6.5, 16.5, 45.5])
"""Widths at which tiles are cut, in the narrowest width there is; the coarse cuts are fine ones."""


class Tiles(NamedTuple):
    """Runs of spreads sorted by short strike and width, a tile each, (t,)."""

    start: IntArray
    size: IntArray
    short: FloatArray
    inside: FloatArray
    """P(S < short strike)."""
    narrow: FloatArray
    broad: FloatArray
    credit: FloatArray
    """Largest."""
    least_credit: FloatArray
    ev: FloatArray
    """Largest."""
    rom: FloatArray
    """Largest credit per width."""
    ev_per_width: FloatArray
    ev_per_credit: FloatArray
    """Largest; inf where a credit is not positive."""
    liquidity: FloatArray

    @classmethod
    def of(cls, spreads: Spreads, terms: CondorTerms, *, fine: bool) -> Tiles:
        """Tiles of spreads that are sorted."""
        width, credit = spreads.width, spreads.credit
        unit = max(float(width.min(initial=np.inf)), SAME)
        kind = np.searchsorted(_FINE if fine else _COARSE, width / unit)
        new = np.ones(width.size, dtype=np.bool_)
        new[1:] = (np.diff(spreads.short) > SAME) | (np.diff(kind) != 0)
        start = np.flatnonzero(new)
        worth = width * terms.multiplier
        most, least = np.maximum.reduceat, np.minimum.reduceat
        paid = credit > 0.0
        per_credit = np.where(paid, spreads.ev / np.where(paid, credit, 1.0), np.inf)
        return cls(
            start,
            np.diff(np.append(start, width.size)),
            spreads.short[start],
            terms.density.probability_below(spreads.short[start]),
            least(width, start),
            most(width, start),
            most(credit, start),
            least(credit, start),
            most(spreads.ev, start),
            most(credit / worth, start),
            most(spreads.ev / worth, start),
            most(per_credit, start),
            most(spreads.liquidity, start),
        )

    def take(self, rows: IntArray) -> Tiles:
        """The chosen tiles."""
        columns: list[Any] = [column.take(rows) for column in self]
        return Tiles(*columns)


def bounds(p: Tiles, c: Tiles, terms: CondorTerms, table: SpreadTable, slack: float) -> FloatArray:
    """
    What no condor of a put tile with the call tile beside it can exceed, (t,).

    Every part is bounded on its own, return and expected value in two ways. By widths: with r the
    credit and e the EV per width they are r / (1 - r) and e / (1 - r) where wings are equal and one
    is charged, and means of the sides' where both are. By amounts: the largest credit or EV over
    the least margin.
    """
    score, per_30 = terms.score, scoring.DAYS / max(terms.dte, 1)
    w_rom, w_pos, w_ev, w_rr = (100.0 * scoring.weights(score)).tolist()
    apart = (p.narrow > c.broad + SAME) | (c.narrow > p.broad + SAME)
    apart &= terms.two_spreads
    credit, least_credit, ev = p.credit + c.credit, p.least_credit + c.least_credit, p.ev + c.ev
    wide = np.maximum(p.narrow, c.narrow)
    margin = terms.multiplier * np.where(apart, p.narrow + c.narrow, wide) - credit
    most_margin = terms.multiplier * (p.broad + c.broad) - least_credit
    with np.errstate(all="ignore"):
        share = np.where(apart, np.maximum(p.rom, c.rom), p.rom + c.rom)
        share = np.maximum(share, 0.0)
        rom = np.where(share < 1.0, share / (1.0 - share), np.inf)
        rom = np.minimum(rom, np.where(margin > 0.0, np.maximum(credit, 0.0) / margin, np.inf))
        gain = per_30 * rom
        total: FloatArray = w_rom * np.where(np.isinf(gain), 1.0, gain / (gain + score.rom_half))
        value = np.minimum(
            _ev_by_width(p, c, apart, share),
            np.where(ev > 0.0, np.where(margin > 0.0, ev / margin, np.inf), ev / most_margin),
        )
        total += w_ev / (1.0 + np.exp(-per_30 / score.ev_scale * value))
        ratio = np.maximum(p.ev_per_credit, c.ev_per_credit)
        whole = np.where(least_credit > 0.0, ev / least_credit, np.inf)
        ratio = np.minimum(ratio, np.where(ev > 0.0, whole, ev / credit))
        inside = c.inside - p.inside
        total += w_rr / (1.0 + np.maximum(inside - ratio, 0.0) / np.maximum(1.0 - inside, TAIL))
    total += w_pos * _success(p, c, credit, terms, table)
    total *= p.liquidity * c.liquidity
    return total + 2.0 * slack


def _ev_by_width(p: Tiles, c: Tiles, apart: Any, share: FloatArray) -> FloatArray:
    best = np.maximum(p.ev_per_width, c.ev_per_width)
    both = np.maximum(p.ev_per_width, 0.0) + np.maximum(c.ev_per_width, 0.0)
    both = np.where(apart, best, both)
    # A loss weighs most where no credit lessens the margin, a gain where most of it does.
    per_margin = np.where(share < 1.0, both / (1.0 - share), np.inf)
    return np.where(best > 0.0, per_margin, best)


def _success(
    p: Tiles, c: Tiles, credit: FloatArray, terms: CondorTerms, table: SpreadTable
) -> FloatArray:
    """The largest probability of success in each pair of tiles."""
    reach = credit / terms.money
    above = table.below(c.short + reach)
    above[credit > terms.money * c.narrow] = 1.0
    under = table.below(p.short - reach)
    under[credit > terms.money * p.narrow] = 0.0
    return above - under


def children(large: Tiles, small: Tiles, tile: IntArray) -> tuple[IntArray, IntArray]:
    """First small tile of each large one, and how many it is cut into."""
    first = np.searchsorted(small.start, large.start[tile])
    last = np.searchsorted(small.start, large.start[tile] + large.size[tile])
    return first, last - first


def products(
    first: IntArray, count: IntArray, other: IntArray, others: IntArray
) -> tuple[IntArray, IntArray]:
    """All pairs of ``first .. first + count`` with ``other .. other + others``, row after row."""
    each = count * others
    pair = np.repeat(np.arange(each.size), each)
    within = np.arange(pair.size) - np.repeat(np.cumsum(each) - each, each)
    row, column = np.divmod(within, others[pair])
    return first[pair] + row, other[pair] + column
