"""
All iron condors of an expiry: every put spread with every call spread above it.

A condor's credit, expected value and the logarithm of its liquidity are sums over its two spreads,
its margin a choice between their widths; its probability of success needs the distribution at two
breakevens, read off a table. So millions are scored from tables of a few thousand spreads. CVaR has
no such table: it is computed only where its lower bound leaves the condor a chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import ScoreSettings
from tomic.quant import payoff, probability
from tomic.quant.density import Density
from tomic.quant.payoff import Segments
from tomic.strategies import candidates, rules, scoring
from tomic.strategies.candidates import EDGE, Candidates, Expiries
from tomic.strategies.catalogue.leg_rules import (
    Above,
    AtTheMoney,
    Below,
    DeltaBand,
    LegRule,
    Moneyness,
    Template,
)
from tomic.strategies.measures import TAIL, Batch, Measures
from tomic.strategies.pricing.board import Board
from tomic.strategies.rules import RuleVerdict, Tally

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


BLOCK = 8192
"""Condors scored at once: their temporaries stay in the second-level cache."""
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
    """How many condors were scored."""
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

    def best(self, keep: int, *, judge: Judge | None = None) -> Top:
        """
        The *keep* best condors by score before fit; ties stand in the order of their strikes.

        Condors without positive credit and margin are passed over.

        Args:
            keep: How many.
            judge: Rules; every condor must pass when there are none.
        """
        race = _Race(max(min(keep, len(self)), 1), self)
        for put, call in self._blocks():
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
            strike, calls, quantity, credit=credit, discount=scale, multiplier=self.terms.multiplier
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
        """Keep what may still be among the best of a block, and raise the bar."""
        self.scored += block.bound.size
        put, call = np.broadcast_arrays(put, call)
        put, call = put.reshape(-1), call.reshape(-1)
        block = Block(*(column.reshape(-1) for column in block))
        hopeful = block.bound >= self.least
        if judge is not None:
            hopeful &= judge(put, call, block)
        near = np.flatnonzero(hopeful)
        # Without credit and margin there is neither a return nor a risk.
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


SPARE = 4
"""Condors kept beyond those asked for, so that rounding cannot decide who is among them."""


@dataclass(frozen=True, slots=True)
class Wings:
    """The legs of a condor by their parts."""

    short_put: LegRule
    long_put: LegRule
    short_call: LegRule
    long_call: LegRule


def wings(template: Template) -> Wings | None:
    """
    The four legs, if *template* is a put credit spread and a call credit spread and no more.

    Only then do condors split into two independent choices: single contracts of one expiry, long
    legs measured from their short ones, short ones from nothing.
    """
    if template.gap is not None or template.stock or template.wider or len(template.legs) != 4:
        return None
    legs = {(leg.right, leg.quantity): leg for leg in template.legs}
    if set(legs) != {("P", -1), ("P", 1), ("C", -1), ("C", 1)}:
        return None
    wing_legs = Wings(legs["P", -1], legs["P", 1], legs["C", -1], legs["C", 1])
    below, above = wing_legs.long_put.pick, wing_legs.long_call.pick
    free = (DeltaBand, Moneyness, AtTheMoney)
    tied = (
        isinstance(below, Below)
        and below.leg == wing_legs.short_put.name
        and isinstance(above, Above)
        and above.leg == wing_legs.short_call.name
    )
    chosen = isinstance(wing_legs.short_put.pick, free) and isinstance(
        wing_legs.short_call.pick, free
    )
    return wing_legs if tied and chosen else None


def best_condors(
    template: Template,
    board: Board,
    pair: Expiries,
    legs: Wings,
    leg_verdicts: Sequence[RuleVerdict],
    tally: Tally,
    keep: int,
) -> Candidates:
    """The condors among which the *keep* best are; all are counted, judged and scored."""
    sides = [
        _Spread.build(template, (legs.short_put, legs.long_put), board, pair, leg_verdicts),
        _Spread.build(template, (legs.short_call, legs.long_call), board, pair, leg_verdicts),
    ]
    _count_legs(template, board, pair, legs, sides, leg_verdicts, tally)
    puts, calls = (side.passing(board, pair) for side in sides)
    first = board.outlooks[pair[0]]
    lot = float(board.chain.multiplier)
    two_spreads = board.settings.margin.unequal_condor == "two_spreads"
    terms = CondorTerms(
        first.forecast, board.settings.score, first.dte, lot * first.discount, lot, two_spreads
    )
    search = Search(puts, calls, terms)
    if len(search) == 0:
        return Candidates(template, pair, np.empty((0, 4), dtype=np.int64))
    judge = _Judge(template, board, pair, legs, search, tally)
    top = search.best(keep + SPARE, judge=judge)
    row = _rows(template, legs, search.puts.row[top.put], search.calls.row[top.call])
    return Candidates(template, pair, row)


def _rows(template: Template, legs: Wings, put: IntArray, call: IntArray) -> IntArray:
    """Rows of condors in the order of the template's legs, from (n, 2) rows of their spreads."""
    column = {
        legs.short_put.name: put[:, 0],
        legs.long_put.name: put[:, 1],
        legs.short_call.name: call[:, 0],
        legs.long_call.name: call[:, 1],
    }
    return np.stack([column[leg.name] for leg in template.legs], axis=1)


@dataclass(frozen=True, eq=False)
class _Spread:
    """One side's spreads with what the leg rules say of them."""

    row: IntArray
    """(n, 2) rows of the chain: sold, bought."""
    short: FloatArray
    first: IntArray
    """(n,) place of the first leg rule that refuses it, the number of rules where none does."""
    fails: IntArray
    miss: FloatArray
    """(rules, n)."""
    is_call: bool

    @classmethod
    def build(
        cls,
        template: Template,
        legs: tuple[LegRule, LegRule],
        board: Board,
        pair: Expiries,
        leg_verdicts: Sequence[RuleVerdict],
    ) -> _Spread:
        part = replace(template, legs=legs)
        built = candidates.build(part, board, pair)
        verdicts = rules.judge_legs(Batch.of([built]), leg_verdicts)
        first, fails = rules.first_failures(verdicts, len(built))
        return cls(
            built.row,
            board.strike[built.row[:, 0]],
            np.where(first < 0, len(verdicts), first),
            fails,
            np.array([verdict.miss for verdict in verdicts]),
            legs[0].right == "C",
        )

    def passing(self, board: Board, pair: Expiries) -> Spreads:
        """The spreads that no leg rule refuses, as tables."""
        row = self.row[self.fails == 0]
        costs, lot = board.settings.costs, float(board.chain.multiplier)
        first = board.outlooks[pair[0]]
        price, half, liquidity = board.price[row], board.prices.half_spread[row], None
        liquidity = board.liquidity[row]
        strike = board.strike[row]
        credit = lot * (price[:, 0] - price[:, 1] - costs.slippage * half.sum(axis=1))
        credit -= 2.0 * costs.commission
        value = first.forecast.call_value if self.is_call else first.forecast.put_value
        owed = lot * first.discount * (value(strike[:, 0]) - value(strike[:, 1]))
        return Spreads(
            strike[:, 0],
            np.abs(strike[:, 0] - strike[:, 1]),
            credit,
            credit - owed,
            np.sqrt(np.sqrt(liquidity[:, 0] * liquidity[:, 1])),
            row,
            self.is_call,
        )


def _count_legs(
    template: Template,
    board: Board,
    pair: Expiries,
    legs: Wings,
    sides: Sequence[_Spread],
    leg_verdicts: Sequence[RuleVerdict],
    tally: Tally,
) -> None:
    """Count all condors and those that a leg rule refuses, without forming them."""
    puts, calls = sides
    # Condors whose first refusal comes at rule r or later: pairs of spreads that pass all before.
    last = [
        _pairs(puts.short[puts.first >= place], calls.short[calls.first >= place])
        for place in range(len(leg_verdicts) + 1)
    ]
    tally.considered += last[0]
    for place, verdict in enumerate(leg_verdicts):
        tally.count(verdict.rule, last[place] - last[place + 1])
    near = [
        near_pair
        for place in range(len(leg_verdicts))
        for near_pair in (_nearest(puts, calls, place), _nearest(calls, puts, place))
        if near_pair is not None
    ]
    if near:
        put, call = (np.array(rows) for rows in zip(*near, strict=True))
        row = _rows(template, legs, puts.row[put], calls.row[call])
        batch = Batch.of([Candidates(template, pair, row)])
        tally.approach(batch, rules.judge_legs(batch, leg_verdicts))


def _pairs(put: FloatArray, call: FloatArray) -> int:
    """How many pairs have the put below the call."""
    ordered = np.sort(call)
    below = np.searchsorted(ordered, put + EDGE, side="right")
    return int((ordered.size - below).sum())


def _nearest(side: _Spread, other: _Spread, place: int) -> tuple[int, int] | None:
    """The spread of *side* nearest to passing a rule, with a partner that passes all if any."""
    miss = side.miss[place]
    failed = np.flatnonzero((miss > 0.0) & np.isfinite(miss))
    if failed.size == 0 or other.short.size == 0:
        return None
    order = failed[np.lexsort((miss[failed], side.fails[failed]))]
    for wanted in (np.flatnonzero(other.fails == 0), np.arange(other.short.size)):
        for row in order.tolist():
            if side.is_call:
                partner = wanted[other.short[wanted] < side.short[row] - EDGE]
            else:
                partner = wanted[other.short[wanted] > side.short[row] + EDGE]
            if partner.size:
                best = int(partner[np.argmin(other.fails[partner])])
                return (best, row) if side.is_call else (row, best)
    return None


class _Judge:
    """The rules on whole trades for blocks of condors; counts what they refuse."""

    def __init__(
        self,
        template: Template,
        board: Board,
        pair: Expiries,
        legs: Wings,
        search: Search,
        tally: Tally,
    ) -> None:
        self._template, self._board, self._pair = template, board, pair
        self._legs, self._search, self._tally = legs, search, tally
        scan = board.settings.scan
        optional = (scan.min_credit, scan.min_rom, scan.min_pos, scan.min_ev, scan.max_loss)
        self._always = any(limit is not None for limit in optional) or (
            scan.expire_before_earnings and board.vol.next_earnings is not None
        )

    def __call__(self, put: IntArray, call: IntArray, block: Block) -> BoolArray:
        """Which condors of a block pass."""
        sound = (block.credit > 0.0) & (block.margin > 0.0)
        group = (self._template.name, self._pair[0])
        if not self._always and sound.all():
            self._tally.passed[group] += sound.size
            return sound
        puts, calls = self._search.puts, self._search.calls
        row = _rows(self._template, self._legs, puts.row[put], calls.row[call])
        batch = Batch.of([Candidates(self._template, self._pair, row)])
        verdicts = rules.judge(batch, self._measures(put, call, block), self._board)
        passed = self._tally.note(batch, verdicts)
        self._tally.passed[group] += int(passed.sum())
        return passed

    def _measures(self, put: IntArray, call: IntArray, block: Block) -> Measures:
        search = self._search
        wide = np.maximum(search.puts.width[put], search.calls.width[call])
        lost = np.maximum(search.terms.money * wide - block.credit, 0.0)
        unused = np.zeros(block.credit.size)
        return Measures(
            credit=block.credit,
            credit_mid=unused,
            commission=unused,
            max_profit=block.credit,
            max_loss=lost,
            profit=block.credit,
            requirement=block.requirement,
            margin=block.margin,
            pos=block.pos,
            ev=block.ev,
            loss_chance=1.0 - block.pos,
            mean_loss=unused,
            upside=block.credit - np.maximum(search.terms.money * search.calls.width[call], 0.0),
            liquidity=block.liquidity,
        )
