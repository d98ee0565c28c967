"""From a board to condor tables and back: which spreads there are, and which rules they fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.strategies import candidates, rules
from tomic.strategies.board import Board
from tomic.strategies.candidates import EDGE, Candidates, Expiries
from tomic.strategies.condor_tables import CondorTerms, Spreads
from tomic.strategies.condors import Block, Search
from tomic.strategies.leg_rules import (
    Above,
    AtTheMoney,
    Below,
    DeltaBand,
    LegRule,
    Moneyness,
    Template,
)
from tomic.strategies.measures import Batch, Measures
from tomic.strategies.rules import RuleVerdict
from tomic.strategies.tally import Tally

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
    found = Wings(legs["P", -1], legs["P", 1], legs["C", -1], legs["C", 1])
    below, above = found.long_put.pick, found.long_call.pick
    free = (DeltaBand, Moneyness, AtTheMoney)
    tied = (
        isinstance(below, Below)
        and below.leg == found.short_put.name
        and isinstance(above, Above)
        and above.leg == found.short_call.name
    )
    chosen = isinstance(found.short_put.pick, free) and isinstance(found.short_call.pick, free)
    return found if tied and chosen else None


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
    two = board.settings.margin.unequal_condor == "two_spreads"
    terms = CondorTerms(
        first.forecast, board.settings.score, first.dte, lot * first.discount, lot, two
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
        found
        for place in range(len(leg_verdicts))
        for found in (_nearest(puts, calls, place), _nearest(calls, puts, place))
        if found is not None
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
        for one in order.tolist():
            if side.is_call:
                partner = wanted[other.short[wanted] < side.short[one] - EDGE]
            else:
                partner = wanted[other.short[wanted] > side.short[one] + EDGE]
            if partner.size:
                best = int(partner[np.argmin(other.fails[partner])])
                return (best, one) if side.is_call else (one, best)
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
