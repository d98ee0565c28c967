"""Tiles of condors, with the same short strikes and similar widths, and bounds of their scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.strategies import scoring
from tomic.strategies.condor_tables import SAME, Spreads, Table, Terms
from tomic.strategies.measures import TAIL

_WIDTHS = np.array([1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 64.5, 128.5])


class Tiles(NamedTuple):
    """Spreads of one short strike and similar widths, a tile each: (t,) unless said otherwise."""

    start: IntArray
    size: IntArray
    short: FloatArray
    credit: FloatArray
    """Largest."""
    least_most: FloatArray
    """Smallest cost that a spread of the tile may come to."""
    rom: FloatArray
    """Largest credit per width."""
    ev: FloatArray
    """Largest EV per width."""
    ev_per_credit: FloatArray
    """Largest; inf where a credit is not positive."""
    narrow: FloatArray
    broad: FloatArray
    inside: FloatArray
    liquidity: FloatArray
    order: IntArray
    """(n,) spreads, tile by tile."""

    @classmethod
    def of(cls, spreads: Spreads, terms: Terms) -> Tiles:
        kind = np.searchsorted(_WIDTHS, spreads.width / np.maximum(_unit(spreads), SAME))
        order = np.lexsort((spreads.width, kind, spreads.short))
        short, kind = spreads.short[order], kind[order]
        new = np.ones(order.size, dtype=np.bool_)
        new[1:] = (np.diff(short) > SAME) | (np.diff(kind) != 0)
        start = np.flatnonzero(new)
        size = np.diff(np.append(start, order.size))
        width, credit = spreads.width[order], spreads.credit[order]
        worth = width * terms.multiplier
        top = np.maximum.reduceat
        return cls(
            start,
            size,
            short[start],
            top(credit, start),
            terms.money * np.minimum.reduceat(width, start),
            top(credit / worth, start),
            top(spreads.ev[order] / worth, start),
            top(_ratio(spreads.ev[order], credit), start),
            np.minimum.reduceat(width, start),
            top(width, start),
            terms.density.probability_below(short[start]),
            top(spreads.liquidity[order], start),
            order,
        )

    def reshaped(self, shape: tuple[int, int]) -> Tiles:
        """The same columns in another shape, to broadcast against the other side's."""
        columns: list[Any] = [column.reshape(shape) for column in self]
        return Tiles(*columns)


def _unit(spreads: Spreads) -> float:
    return float(spreads.width.min(initial=1.0))


def _ratio(ev: FloatArray, credit: FloatArray) -> FloatArray:
    good = credit > 0.0
    return np.where(good, ev / np.where(good, credit, 1.0), np.inf)


def bounds(puts: Tiles, calls: Tiles, terms: Terms, table: Table, slack: float) -> FloatArray:
    """
    What no condor of a pair of tiles can exceed, (put tiles, call tiles); -inf where none exists.

    With r the credit and e the EV per width, return and EV on margin are r / (1 - r) and
    e / (1 - r) where wings are equal and one is charged; where both are charged they are means.
    """
    p, c = puts.reshaped((-1, 1)), calls.reshaped((1, -1))
    score = terms.score
    per_30 = scoring.DAYS / max(terms.dte, 1)
    w_rom, w_pos, w_ev, w_rr = (100.0 * scoring.weights(score)).tolist()
    apart = (p.narrow > c.broad + SAME) | (c.narrow > p.broad + SAME)
    alone = np.maximum(p.rom, c.rom)
    rom = np.where(apart, alone, p.rom + c.rom) if terms.two_spreads else p.rom + c.rom
    rom = np.maximum(rom, 0.0)
    left = np.maximum(1.0 - rom, 0.0)
    best = np.maximum(p.ev, c.ev)
    both = np.maximum(p.ev, 0.0) + np.maximum(c.ev, 0.0)
    if terms.two_spreads:
        both = np.where(apart, best, both)
    with np.errstate(all="ignore"):
        ev = np.where(best > 0.0, np.where(left > 0.0, both / left, np.inf), best)
        gain = per_30 * rom
        total = w_rom * np.where(left > 0.0, gain / (gain + score.rom_half * left), 1.0)
        total += w_ev / (1.0 + np.exp(-per_30 / score.ev_scale * ev))
        ratio = np.maximum(p.ev_per_credit, c.ev_per_credit)
        inside = c.inside - p.inside
        lost = np.maximum(inside - ratio, 0.0) / np.maximum(1.0 - inside, TAIL)
        total += w_rr / (1.0 + lost)
    total += w_pos * _success(p, c, terms, table)
    total *= p.liquidity * c.liquidity
    total += 2.0 * slack
    return np.where(p.short < c.short - SAME, total, -np.inf)


def _success(p: Tiles, c: Tiles, terms: Terms, table: Table) -> FloatArray:
    """The largest probability of success in each pair of tiles."""
    credit = p.credit + c.credit
    reach = credit / terms.money
    above = table.below(c.short + reach)
    above[credit > c.least_most] = 1.0
    under = table.below(p.short - reach)
    under[credit > p.least_most] = 0.0
    return above - under


def pairs(
    puts: Tiles, calls: Tiles, put_tile: IntArray, call_tile: IntArray
) -> tuple[IntArray, IntArray]:
    """All condors of some pairs of tiles, as places in the sorted spreads."""
    high, wide = puts.size[put_tile], calls.size[call_tile]
    count = high * wide
    pair = np.repeat(np.arange(count.size), count)
    within = np.arange(pair.size) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(within, wide[pair])
    return (
        puts.order[puts.start[put_tile][pair] + row],
        calls.order[calls.start[call_tile][pair] + column],
    )
