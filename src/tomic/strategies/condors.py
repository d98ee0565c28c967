"""
All iron condors of an expiry: every put spread with every call spread above it.

A condor's credit, expected value and the logarithm of its liquidity are sums over its two spreads,
its margin a choice between their widths; its probability of success needs the distribution at two
breakevens, read off a table. So millions are scored from tables of a few thousand spreads. CVaR has
no such table: it is computed only where a lower bound of it leaves the condor a chance.

With *prune* whole tiles of condors, with the same short strikes and similar widths, are left out
where even their best spreads together could not reach the best that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.quant import payoff, probability
from tomic.quant.payoff import Segments
from tomic.strategies import scoring
from tomic.strategies.condor_tables import SAME, CondorTerms, Side, Spreads, SpreadTable
from tomic.strategies.condor_tiles import Tiles, bounds, children, products
from tomic.strategies.measures import TAIL

BLOCK = 8192
"""Condors scored at once: their temporaries stay in the second-level cache."""
TILES = 1024
"""Pairs of tiles looked at before the bar is raised again."""
_SLACK = 1e-6
"""What rounding may do to a score, in points, beside the error of the table."""


class Block(NamedTuple):
    """Condors with their figures, all of one shape; money in currency per structure."""

    credit: FloatArray
    ev: FloatArray
    requirement: FloatArray
    margin: FloatArray
    pos: FloatArray
    liquidity: FloatArray
    bound: FloatArray
    """Not below the score."""


class Top(NamedTuple):
    """The best condors, best first, (m,) each."""

    put: IntArray
    """Place in the sorted put spreads."""
    call: IntArray
    score: FloatArray
    scored: int
    """How many condors were scored; fewer than there are only where tiles were left out."""
    tails: int
    """For how many of them CVaR was computed."""


Judge = Callable[[IntArray, IntArray, Block], BoolArray]
"""Which condors pass the rules; called with places in the sorted spreads and their figures."""


class Search:
    """The spreads of one expiry as tables, ready to be searched."""

    def __init__(self, puts: Spreads, calls: Spreads, terms: CondorTerms) -> None:
        self.puts, self.calls, self.terms = puts.sorted(), calls.sorted(), terms
        self._first = np.searchsorted(self.calls.short, self.puts.short + SAME, side="right")
        low = float((self.puts.short - self.puts.width).min(initial=np.inf))
        high = float((self.calls.short + self.calls.width).max(initial=-np.inf))
        self._table = SpreadTable(terms.density, low, max(low, high)) if len(self) else None
        self._put_side = Side.of(self.puts, terms)
        self._call_side = Side.of(self.calls, terms)

    def __len__(self) -> int:
        """Condors in all: those with the short put below the short call."""
        return int((len(self.calls) - self._first).sum())

    def best(self, keep: int, *, prune: bool = False, judge: Judge | None = None) -> Top:
        """
        The *keep* best condors by score before fit; ties stand in the order of their strikes.

        Condors without positive credit and margin are passed over.

        Args:
            keep: How many.
            prune: Leave out tiles that provably hold none of them. *judge* then sees fewer.
            judge: Rules; every condor must pass when there are none.
        """
        race = _Race(max(min(keep, len(self)), 1), self)
        for put, call in self._tiles(race) if prune else self._blocks():
            block = self._score(put, call)
            race.enter(put, call, block, judge)
        return race.finish()

    def _blocks(self) -> Iterator[tuple[IntArray, IntArray]]:
        """All condors in pieces: a column of put spreads with a row of call spreads."""
        start = 0
        total = len(self.calls)
        while start < len(self.puts):
            first = int(self._first[start])
            # Put spreads of one short strike share the call spreads they go with.
            end = int(np.searchsorted(self._first, first, side="right"))
            if first < total:
                high = max(1, BLOCK // (total - first))
                for row in range(start, end, high):
                    rows = np.arange(row, min(row + high, end))[:, None]
                    for column in range(first, total, BLOCK):
                        yield rows, np.arange(column, min(column + BLOCK, total))[None, :]
            start = end

    def _tiles(self, race: _Race) -> Iterator[tuple[IntArray, IntArray]]:
        """Condors of the tiles that may hold one of the best, the most promising tiles first."""
        if self._table is None:
            return
        large = [Tiles.of(side, self.terms, fine=False) for side in (self.puts, self.calls)]
        small = [Tiles.of(side, self.terms, fine=True) for side in (self.puts, self.calls)]
        put, call = np.nonzero(large[0].short[:, None] < large[1].short[None, :] - SAME)
        for some_put, some_call in self._promising(large, put, call, race, TILES):
            pairs = products(
                *children(large[0], small[0], some_put), *children(large[1], small[1], some_call)
            )
            for fine_put, fine_call in self._promising(small, *pairs, race, TILES):
                sizes = small[0].size[fine_put] * small[1].size[fine_call]
                cuts = np.searchsorted(np.cumsum(sizes), np.arange(BLOCK, sizes.sum(), BLOCK))
                for p, c in zip(np.split(fine_put, cuts), np.split(fine_call, cuts), strict=True):
                    if p.size:
                        yield products(
                            small[0].start[p],
                            small[0].size[p],
                            small[1].start[c],
                            small[1].size[c],
                        )

    def _promising(
        self, tiles: list[Tiles], put: IntArray, call: IntArray, race: _Race, size: int
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Pairs of tiles whose bound leaves them a chance, best bounds first, *size* at a time."""
        assert self._table is not None
        puts, calls = tiles[0].take(put), tiles[1].take(call)
        bound = bounds(puts, calls, self.terms, self._table, self.slack)
        near = np.flatnonzero(bound >= race.least)
        near = near[np.argsort(-bound[near], kind="stable")]
        for first in range(0, near.size, size):
            some = near[first : first + size]
            some = some[bound[some] >= race.least]
            if some.size:
                yield put[some], call[some]

    def _score(self, put: IntArray, call: IntArray) -> Block:
        """Figures of condors; indices broadcast against each other."""
        p, c, terms = self._put_side.take(put), self._call_side.take(call), self.terms
        assert self._table is not None
        credit = p.credit + c.credit
        wide = np.maximum(p.width, c.width)
        if terms.two_spreads:
            unequal = np.abs(p.width - c.width) > SAME * (1.0 + wide)
            requirement = np.where(unequal, p.width + c.width, wide)
        else:
            requirement = wide
        requirement = requirement * terms.multiplier
        margin = requirement - credit
        ev = p.ev + c.ev
        pos = self._success(p, c, credit)
        liquidity = p.liquidity * c.liquidity
        bound = self._bound(credit, margin, ev, pos, c.inside - p.inside) * liquidity
        return Block(credit, ev, requirement, margin, pos, liquidity, bound)

    def _success(self, p: Side, c: Side, credit: FloatArray) -> FloatArray:
        """P(P&L > 0): between the breakevens, or beyond a wing that the credit pays for."""
        assert self._table is not None
        reach = credit / self.terms.money
        above: FloatArray = self._table.below(c.short + reach)
        beyond = credit > c.most
        if beyond.any():
            above[beyond] = 1.0
        under = self._table.below(p.short - reach)
        beyond = credit > p.most
        if beyond.any():
            under[beyond] = 0.0
        above -= under
        return above

    def _bound(
        self,
        credit: FloatArray,
        margin: FloatArray,
        ev: FloatArray,
        pos: FloatArray,
        inside: FloatArray,
    ) -> FloatArray:
        """The score per liquidity with CVaR at its lower bound."""
        score = self.terms.score
        per_30 = scoring.DAYS / max(self.terms.dte, 1)
        w_rom, w_pos, w_ev, w_rr = (100.0 * scoring.weights(score)).tolist()
        with np.errstate(all="ignore"):
            gain = per_30 * credit
            total: FloatArray = w_rom * gain / (np.abs(gain) + score.rom_half * margin)
            total += w_pos * pos
            total += w_ev / (1.0 + np.exp(ev / margin * (-per_30 / score.ev_scale)))
            # E[loss] = E[gain] - EV, and between the short strikes the gain is the whole credit.
            lost = credit * inside
            lost -= ev
            np.maximum(lost, 0.0, out=lost)
            lost /= np.maximum(1.0 - pos, TAIL)
            total += w_rr * credit / (credit + lost)
        return total

    @property
    def slack(self) -> float:
        """How far a computed bound may be below the true one, in points."""
        assert self._table is not None
        # Both ends of PoS, and its part in the bound of CVaR, whose denominator is >= TAIL.
        return _SLACK + 100.0 * (2.0 + 0.5 / TAIL) * self._table.error

    def tail_bound(self, put: IntArray, call: IntArray, credit: FloatArray) -> FloatArray:
        """CVaR95 of the loss is at least this: what the wings alone lose of the worst 5 %."""
        p, c = self._put_side.take(put), self._call_side.take(call)
        left, right = np.maximum(p.most - credit, 0.0), np.maximum(c.most - credit, 0.0)
        larger = np.where(left >= right, p.beyond, c.beyond)
        smaller = np.where(left >= right, c.beyond, p.beyond)
        first = np.minimum(larger, TAIL)
        second = np.minimum(smaller, TAIL - first)
        lost: FloatArray = first * np.maximum(left, right) + second * np.minimum(left, right)
        return lost / TAIL

    def segments(self, put: IntArray, call: IntArray, credit: FloatArray) -> Segments:
        """P&L of condors at expiry, in today's money."""
        p, c = self.puts.take(put), self.calls.take(call)
        strike = np.stack((p.short - p.width, p.short, c.short, c.short + c.width), axis=1)
        calls, quantity = np.array([False, False, True, True]), np.array([1.0, -1.0, -1.0, 1.0])
        scale = self.terms.money / self.terms.multiplier
        return payoff.segments(
            strike,
            calls,
            quantity,
            credit=credit,
            discount=scale,
            multiplier=self.terms.multiplier,
        )


class _Race:
    """The condors that may still be among the best."""

    def __init__(self, keep: int, search: Search) -> None:
        self.keep, self.search = keep, search
        self.least = -np.inf
        """No condor whose bound is lower can be among the best."""
        self.scored = 0
        self._floor = np.full(keep, -np.inf)
        self._put: list[IntArray] = []
        self._call: list[IntArray] = []
        self._block: list[Block] = []

    def enter(self, put: IntArray, call: IntArray, block: Block, judge: Judge | None) -> None:
        """Keep of a block what the bound leaves a chance, and raise the bar."""
        self.scored += block.bound.size
        put, call = np.broadcast_arrays(put, call)
        put, call = put.reshape(-1), call.reshape(-1)
        block = Block(*(column.reshape(-1) for column in block))
        hopeful = block.bound >= self.least
        if judge is not None:
            hopeful &= judge(put, call, block)
        near = np.flatnonzero(hopeful)
        # Neither a return nor a risk can be told without credit and margin.
        near = near[(block.credit[near] > 0.0) & (block.margin[near] > 0.0)]
        if near.size == 0:
            return
        kept = Block(*(column[near] for column in block))
        self._put.append(put[near])
        self._call.append(call[near])
        self._block.append(kept)
        self._raise(kept, self._put[-1], self._call[-1])

    def _raise(self, kept: Block, put: IntArray, call: IntArray) -> None:
        search = self.search
        weight = 100.0 * float(scoring.weights(search.terms.score)[3])
        wide = np.maximum(search.puts.width[put], search.calls.width[call])
        most = np.maximum(search.terms.money * wide - kept.credit, 0.0)
        p, c = search._put_side.take(put), search._call_side.take(call)
        with np.errstate(all="ignore"):
            lost = np.maximum(kept.credit * (c.inside - p.inside) - kept.ev, 0.0)
            lost /= np.maximum(1.0 - kept.pos, TAIL)
            ratio = kept.credit / (kept.credit + most) - kept.credit / (kept.credit + lost)
        floor = kept.bound + weight * kept.liquidity * ratio
        both = np.concatenate((self._floor, floor[np.isfinite(floor)]))
        self._floor = np.partition(both, both.size - self.keep)[-self.keep :]
        self.least = float(self._floor.min()) - 2.0 * search.slack

    def finish(self) -> Top:
        """CVaR where it can matter, best bounds first, and the exact order."""
        if not self._put:
            nothing = np.empty(0, dtype=np.int64)
            return Top(nothing, nothing, np.empty(0), self.scored, 0)
        put, call = np.concatenate(self._put), np.concatenate(self._call)
        block = Block(*(np.concatenate(column) for column in zip(*self._block, strict=True)))
        near = np.flatnonzero(block.bound >= self.least)
        put, call = put[near], call[near]
        block = Block(*(column[near] for column in block))
        bound = np.minimum(block.bound, self._sharper(put, call, block))
        order = np.lexsort((call, put, -bound))
        put, call, bound = put[order], call[order], bound[order]
        block = Block(*(column[order] for column in block))
        score = np.full(put.size, np.nan)
        done, size, least = 0, 4 * self.keep, -np.inf
        while done < put.size and bound[done] >= least:
            stop = min(done + size, put.size)
            rows = slice(done, stop)
            part = Block(*(column[rows] for column in block))
            score[rows] = self._exact(put[rows], call[rows], part)
            done, size = stop, 4 * size
            known = score[:done][np.isfinite(score[:done])]
            if known.size >= self.keep:
                least = float(np.partition(known, known.size - self.keep)[-self.keep])
                least -= 2.0 * self.search.slack
        best = np.lexsort((call[:done], put[:done], -score[:done]))[: self.keep]
        return Top(put[best], call[best], score[best], self.scored, done)

    def _sharper(self, put: IntArray, call: IntArray, block: Block) -> FloatArray:
        """The bound with CVaR at what the wings alone lose."""
        search = self.search
        tail = search.tail_bound(put, call, block.credit)
        sharper: FloatArray = self._with_tail(block, tail) + search.slack
        return sharper

    def _exact(self, put: IntArray, call: IntArray, block: Block) -> FloatArray:
        """Scores with CVaR, PoS and EV from the distribution itself, no table."""
        search, density = self.search, self.search.terms.density
        form = search.segments(put, call, block.credit)
        below = probability.shortfall(density, form)
        tail = below.mean / TAIL
        often = np.flatnonzero(below.probability > TAIL)
        if often.size:
            part = search.segments(put[often], call[often], block.credit[often])
            tail[often] = probability.cvar(density, part, 1.0 - TAIL)
        exact = block._replace(pos=probability.pos(density, form), ev=probability.ev(density, form))
        return self._with_tail(exact, tail)

    def _with_tail(self, block: Block, tail: FloatArray) -> FloatArray:
        terms = self.search.terms
        figures = scoring.ScoreFigures(
            block.credit, block.margin, block.pos, block.ev, tail, block.liquidity, terms.dte
        )
        return scoring.total(figures, terms.score)
