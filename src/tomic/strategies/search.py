"""The search of one chain: every candidate judged, the best of each strategy and expiry found."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import ScoreSettings
from tomic.quant import payoff, probability
from tomic.quant.density import Density
from tomic.quant.payoff import Segments
from tomic.strategies import candidates, measures, rules, scoring
from tomic.strategies.candidates import EDGE, Candidates, Expiries
from tomic.strategies.catalogue import leg_rules
from tomic.strategies.measures import TAIL, Batch, Measures
from tomic.strategies.pricing.board import Board
from tomic.strategies.rules import CandidateGroup, RuleVerdict, Tally
from tomic.strategies.scoring import PortfolioFit

FIRST_ROUND = 8
"""Candidates of a group whose tail is computed before the first bound is known."""
MEASURED = 4096
"""Candidates whose figures are computed at once."""
PROMISING = 512
"""Candidates that are measured first of those with a ceiling."""
OFF = 1e-4
"""What rounding may do to a ceiling, in points."""
ALL = 1_000_000_000
"""Keeps every candidate."""
ROUNDING = 1e-9
"""Scores this close may change places by rounding; a bound must not decide between them."""


@dataclass(frozen=True, eq=False)
class Hit:
    """One candidate that passed every rule, with its exact score before fit."""

    board: Board = field(repr=False)
    template: leg_rules.Template
    expiries: Expiries
    rows: tuple[int, ...]
    """Rows of the chain in the order of ``template.legs``."""
    score: float
    components: FloatArray
    """Unweighted, in the order of `scoring.names`."""
    liquidity: float
    ev: float
    margin: float
    tail_loss: float

    @property
    def group(self) -> CandidateGroup:
        """Strategy, side and first expiry."""
        return CandidateGroup(self.template.name, self.template.side, self.expiries[0])

    @cached_property
    def legs(self) -> tuple[tuple[str, float, str, int], ...]:
        """Expiry, strike, right and quantity of each leg."""
        chain = self.board.chain
        return tuple(
            (str(chain["expiry"][row]), float(chain["strike"][row]), leg.right, leg.quantity)
            for row, leg in zip(self.rows, self.template.legs, strict=True)
        )

    def key(self, score: float | None = None) -> tuple[object, ...]:
        """Sorts best first: score, expected value, less margin, then the legs."""
        value = self.score if score is None else score
        return (-value, *self._among_equals)

    @cached_property
    def _among_equals(self) -> tuple[object, ...]:
        """What sorts those of one score; a ranking is walked down again and again."""
        names = (self.board.chain.symbol, self.template.name)
        return (-self.ev, self.margin, *names, self.legs)


class Contender(NamedTuple):
    """A candidate with its fit, and what the walk down the ranking takes from its score."""

    hit: Hit
    fit: PortfolioFit = PortfolioFit()
    penalty: float = 0.0
    """Share of the score taken for a correlation."""
    correlated: str = ""
    """With which chosen symbol; empty without."""

    @property
    def score(self) -> float:
        """After everything."""
        return self.hit.score * self.fit.factor * (1.0 - self.penalty)

    @property
    def key(self) -> tuple[object, ...]:
        """Sorts best first; see `Hit.key`."""
        return self.hit.key(self.score)

    @property
    def symbol(self) -> str:
        """Of the underlying."""
        return self.hit.board.chain.symbol

    @property
    def group(self) -> CandidateGroup:
        """Of the candidate."""
        return self.hit.group

    def charged(self, penalty: float, other: str) -> Contender:
        """It with what a correlation with *other* costs."""
        return self._replace(penalty=penalty, correlated=other)


class SearchResult(NamedTuple):
    """Result of the search of one chain."""

    hits: tuple[Hit, ...]
    """The best of every group and variant, best first."""
    tally: Tally


def search(board: Board, templates: Sequence[leg_rules.Template], *, keep: int = 1) -> SearchResult:
    """
    Judge every candidate of *templates* on one chain and keep the best of each group.

    Exact: CVaR of a candidate is skipped only where a bound proves that *keep* others of its
    group score higher.

    Args:
        board: The chain, from `board.prepare`.
        templates: What to look for.
        keep: How many of each strategy, variant and pair of expiries to return.
    """
    tally, hits = Tally(), []
    leg_verdicts = rules.judge_rows(board)
    fast = not (_is_original(board) or _needs_each_condor(board))
    others = []
    for template in templates:
        legs = wings(template) if fast else None
        if legs is None:
            others.append(template)
            continue
        for pair in candidates.expiries(template, board):
            condors = _Condors(template, board, pair, legs, leg_verdicts, tally).best(keep)
            if len(condors):
                batch = Batch.of([condors])
                hits += best(batch, measures.measure(batch, board), board, keep).hits
    for batch in batches(board, others):
        hits += _search_batch(batch, board, leg_verdicts, tally, keep)
    return SearchResult(tuple(sorted(hits, key=Hit.key)), tally)


def seek(
    board: Board, templates: Sequence[leg_rules.Template], *, keep: int = 1
) -> tuple[Hit, ...]:
    """
    The hits of `search`, for those who do not ask what became of all others.

    Of strategies that lose on one side alone only those are measured that may be among the best.
    """
    one_sided: list[leg_rules.Template] = []
    others: list[leg_rules.Template] = []
    simple = not (_is_original(board) or _needs_each_condor(board))
    for template in templates:
        (one_sided if simple and _falls_alone(template) else others).append(template)
    found, leg_verdicts = list(search(board, others, keep=keep).hits), rules.judge_rows(board)
    for variant in (variant for template in one_sided for variant in template.variants):
        for pair in candidates.expiries(variant, board):
            built = candidates.build(variant, board, pair)
            if len(built):
                found += _promising(Batch.of([built]), board, leg_verdicts, keep)
    return tuple(sorted(found, key=Hit.key))


def _falls_alone(template: leg_rules.Template) -> bool:
    """Whether it loses only below the put it sells, where it passes its own rules."""
    puts = [leg.quantity for leg in template.legs if leg.right == "P"]
    plain = template.gap is None and not template.stock
    return plain and template.no_upside_loss and puts == [-1]


def _promising(
    batch: Batch, board: Board, leg_verdicts: Sequence[RuleVerdict], keep: int
) -> list[Hit]:
    """The *keep* best of candidates of `_falls_alone`, highest ceilings first."""
    legal = np.all([verdict.miss <= 0.0 for verdict in leg_verdicts], axis=0)
    batch = batch.take(np.all(legal[batch.row] | (batch.quantity == 0.0), axis=1))
    ceiling = _ceilings(batch, board)
    # A figure that is missing refuses.
    order = np.argsort(-ceiling, kind="stable")[: np.count_nonzero(~np.isnan(ceiling))]
    hits: list[Hit] = []
    done, size = 0, max(PROMISING, keep)
    while done < order.size:
        if len(hits) == keep and ceiling[order[done]] < hits[-1].score - OFF:
            break
        part = batch.take(order[done : done + size])
        passed = _passing(part, board, leg_verdicts, Tally())
        if passed is not None and len(passed[0]):
            hits = sorted((*hits, *best(*passed, board, keep).hits), key=Hit.key)[:keep]
        done, size = done + size, 2 * size
    return hits


def _ceilings(batch: Batch, board: Board) -> FloatArray:
    """
    Not below the scores, by `OFF`, of those of `_falls_alone` that pass the rules; (n,).

    All of their losses are of the put sold, below its breakeven: what they lose on average and in
    the worst 5 % are moments of the density.
    """
    first, law = board.outlooks[batch.expiries[0]], board.outlooks[batch.expiries[0]].market
    credit = measures.credits(batch, board)[0]
    money = float(board.chain.multiplier) * first.discount
    put = np.where((batch.quantity < 0.0) & ~batch.is_call, batch.legs(board.strike), 0.0)
    breakeven = np.maximum(put.sum(axis=1) - np.maximum(credit, 0.0) / money, 0.0)
    chance, mean = law.probability_below(breakeven), money * law.put_value(breakeven)
    at = law.quantile(TAIL)
    worst = money * (breakeven - law.moments_below(at)[1] / TAIL)
    tail = np.where(chance > TAIL, worst, mean / TAIL)
    ev = measures.expected(batch, board, credit) - measures.distrusted(batch, board)
    if board.settings.score.robust:
        ev = ev - measures.robust_cost(measures.slope_of_legs(batch, board))
    liquidity = measures.geometric_liquidity(batch, board)
    of_all = scoring.ScoreFigures(1.0 - chance, ev, tail, liquidity)
    return scoring.total(of_all, board.settings.score)


def among(board: Board, hits: Iterable[Hit], *, keep: int = ALL) -> tuple[Hit, ...]:
    """
    Trades found on an earlier board of the same rows, judged again on this one, best first.

    Args:
        board: Of the same options in the same order.
        hits: What was found; those that fail a rule now are left out.
        keep: How many of each strategy, variant and pair of expiries to return.
    """
    members: dict[Expiries, dict[int, tuple[leg_rules.Template, list[tuple[int, ...]]]]] = {}
    for hit in hits:
        of_pair = members.setdefault(hit.expiries, {})
        of_pair.setdefault(id(hit.template), (hit.template, []))[1].append(hit.rows)
    leg_verdicts, tally, found = rules.judge_rows(board), Tally(), []
    for pair, of_pair in members.items():
        if pair[0] in board.outlooks and (pair[1] is None or pair[1] in board.outlooks):
            built = []
            for template, trades in of_pair.values():
                rows = np.array(trades, dtype=np.int64)
                rows = rows[candidates.still(template, board, pair, rows)]
                built.append(Candidates(template, pair, rows))
            found += _search_batch(Batch.of(built), board, leg_verdicts, tally, keep)
    return tuple(sorted(found, key=Hit.key))


def batches(board: Board, templates: Sequence[leg_rules.Template]) -> Iterator[Batch]:
    """All candidates, those of one pair of expiries together: they share their densities."""
    members: dict[Expiries, list[Candidates]] = {}
    for template in templates:
        for variant in template.variants:
            for pair in candidates.expiries(variant, board):
                built = candidates.build(variant, board, pair)
                if len(built):
                    members.setdefault(pair, []).append(built)
    for pair in sorted(members, key=lambda expiries: (expiries[0], expiries[1] or dt.date.min)):
        yield Batch.of(members[pair])


def _search_batch(
    batch: Batch, board: Board, leg_verdicts: Sequence[RuleVerdict], tally: Tally, keep: int
) -> list[Hit]:
    tally.considered += len(batch)
    passed = _passing(batch, board, leg_verdicts, tally)
    if passed is None:
        return []
    batch, figures = passed
    least = board.settings.scan.min_risk_reward
    if least is not None and len(batch):
        tail = _tail(batch, figures, board, np.arange(len(batch)))
        passing = tally.note(batch, [rules.risk_reward(figures.profit, tail, least)])
        batch, figures = batch.take(passing), figures.take(passing)
    if _is_original(board) and len(batch):
        return _original(batch, figures, board, tally, keep)
    _count(batch, tally)
    if len(batch) == 0:
        return []
    found = best(batch, figures, board, keep)
    _stand(batch, found.scores, tally)
    return found.hits


def _passing(
    batch: Batch, board: Board, leg_verdicts: Sequence[RuleVerdict], tally: Tally
) -> tuple[Batch, Measures] | None:
    """The rows that pass the rules on legs and on whole trades, with their figures."""
    parts: list[tuple[Batch, Measures]] = []
    # No temporary leaves the cache.
    for first in range(0, max(len(batch), 1), MEASURED):
        part = batch.take(slice(first, first + MEASURED))
        part = part.take(tally.note(part, rules.judge_legs(part, leg_verdicts)))
        if len(part):
            figures = measures.measure(part, board)
            passing = tally.note(part, rules.judge(part, figures, board))
            parts.append((part.take(passing), figures.take(passing)))
    if len(parts) <= 1:
        return parts[0] if parts else None
    return Batch.joined([part for part, _ in parts]), Measures.joined([part for _, part in parts])


def _needs_each_condor(board: Board) -> bool:
    """Whether a rule or the ranking takes of every condor what the tables of spreads lack."""
    rule = board.settings.scan.min_risk_reward is not None
    viewed = any(outlook.ranked is not outlook.market for outlook in board.outlooks.values())
    return rule or viewed


def _is_original(board: Board) -> bool:
    return board.settings.score.definition == "original"


def _count(batch: Batch, tally: Tally) -> None:
    for place, count in enumerate(np.bincount(batch.group, minlength=len(batch.members))):
        template = batch.members[place].template
        tally.passed[CandidateGroup(template.name, template.side, batch.expiries[0])] += int(count)


def _stand(batch: Batch, scores: FloatArray, tally: Tally) -> None:
    """Note how candidates that passed score, before fit."""
    for place, member in enumerate(batch.members):
        of_member = scores[batch.group == place]
        if of_member.size:
            tally.rank(member.template.name, scoring.counted(of_member))


def _original(batch: Batch, figures: Measures, board: Board, tally: Tally, keep: int) -> list[Hit]:
    """The best rows of each group by the original program's score."""
    scored = scoring.figures(batch, board)
    passing = tally.note(batch, [rules.original(scored.ev, scoring.original_score(scored))])
    batch, figures = batch.take(passing), figures.take(passing)
    _count(batch, tally)
    tail = _tail(batch, figures, board, np.arange(len(batch)))
    hits = hits_of(batch, figures, board, np.arange(len(batch)), tail)
    _stand(batch, np.array([hit.score for hit in hits]), tally)
    groups: dict[int, list[Hit]] = {}
    for row, hit in enumerate(hits):
        groups.setdefault(int(batch.group[row]), []).append(hit)
    return [hit for group in groups.values() for hit in sorted(group, key=Hit.key)[:keep]]


class Best(NamedTuple):
    """The best rows of each group of a batch, and how all of them score."""

    hits: list[Hit]
    scores: FloatArray
    """(n,) exact of those that might have been among the best; of others an upper bound."""


def best(batch: Batch, figures: Measures, board: Board, keep: int) -> Best:
    """The *keep* best rows of each group of a batch whose rows all passed the rules."""
    score = board.settings.score
    low, high = measures.tail_loss_bounds(figures)
    # The less a trade risks the better, but what it loses on average weighs less on more risk.
    lenient = np.where(figures.ranked_ev > 0.0, low, high)
    bound = scoring.total(_figures(figures, lenient), score)
    # Best bounds first within each group.
    order = np.lexsort((-bound, batch.group))
    starts = np.searchsorted(batch.group[order], np.arange(len(batch.members) + 1))
    queue = [order[first:last] for first, last in itertools.pairwise(starts)]
    exact, tail = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
    size = max(keep, FIRST_ROUND)
    done = [0] * len(queue)
    while True:
        chosen = [
            _next(waiting, bound, exact, done[place], size, keep)
            for place, waiting in enumerate(queue)
        ]
        rows = np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
        if rows.size == 0:
            break
        done = [before + part.size for before, part in zip(done, chosen, strict=True)]
        tail[rows] = _tail(batch, figures, board, rows)
        part = _figures(figures.take(rows), tail[rows])
        exact[rows] = scoring.total(part, score)
        bound[rows] = exact[rows]
        size *= 4
    hits: list[Hit] = []
    for place, waiting in enumerate(queue):
        rows = waiting[: done[place]]
        kept = rows[exact[rows] >= _last(exact[rows], keep)]
        ranked = hits_of(batch, figures, board, kept, tail[kept])
        hits += sorted(ranked, key=Hit.key)[:keep]
    return Best(hits, bound)


def _last(scores: FloatArray, keep: int) -> float:
    """The score of the last of the *keep* best; -inf where there are fewer."""
    known = scores[np.isfinite(scores)]
    if known.size < keep:
        return -math.inf
    return float(np.partition(known, known.size - keep)[-keep])


def _next(
    waiting: IntArray, bound: FloatArray, exact: FloatArray, done: int, size: int, keep: int
) -> IntArray:
    """Rows to compute next: as many as *size*, none that provably cannot be among the best."""
    least = _last(exact[waiting[:done]], keep)
    ahead = waiting[done : done + size]
    return ahead[bound[ahead] >= least - ROUNDING]


def _tail(batch: Batch, figures: Measures, board: Board, rows: IntArray) -> FloatArray:
    below = np.stack((figures.loss_chance[rows], figures.mean_loss[rows]))
    return measures.tail_loss(batch.take(rows), board, figures.credit[rows], below)


def _figures(figures: Measures, tail_loss: FloatArray) -> scoring.ScoreFigures:
    return scoring.ScoreFigures(figures.ranked_pos, figures.ranked_ev, tail_loss, figures.liquidity)


def hits_of(
    batch: Batch, figures: Measures, board: Board, rows: IntArray, tail_loss: FloatArray
) -> list[Hit]:
    """
    *rows* of a measured batch with their exact scores, by the definition that is set.

    *tail_loss* is given in the order of *rows*.
    """
    if _is_original(board):
        scored = scoring.figures(batch.take(rows), board)
        score, parts = scoring.original_score(scored), scoring.original_components(scored)
        liquidity = np.ones(len(rows))
    else:
        figures_of_rows = _figures(figures.take(rows), tail_loss)
        score = scoring.total(figures_of_rows, board.settings.score)
        parts = scoring.components(figures_of_rows, board.settings.score)
        liquidity = figures.liquidity[rows]
    trades = [batch.trade(row) for row in rows.tolist()]
    return [
        Hit(
            board=board,
            template=trades[place][0],
            expiries=batch.expiries,
            rows=trades[place][1],
            score=float(score[place]),
            components=parts[:, place],
            liquidity=float(liquidity[place]),
            ev=float(figures.ev[row]),
            margin=float(figures.margin[row]),
            tail_loss=float(tail_loss[place]),
        )
        for place, row in enumerate(rows.tolist())
    ]


# -- iron condors ---------------------------------------------------------------------------------
#
# Every put spread with every call spread above it. A condor's credit, expected value and the
# logarithm of its liquidity are sums over its two spreads, its margin a choice between their
# widths; its probability of success needs the distribution at two breakevens, read off a table. So
# millions are scored from tables of a few thousand spreads. CVaR has no such table: it is computed
# only where its lower bound leaves the condor a chance.

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
    mean: FloatArray
    """Mean P&L of the spread alone under the market's density."""
    ev: FloatArray
    """The same, residuals of its legs believed as far as their quotes are sure."""
    slope: FloatArray
    """d `mean` / d ln sigma; 0 where the score does not ask, see `measures.volatility_slope`."""
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
            self.short[rows], self.width[rows], self.credit[rows], self.mean[rows],
            self.ev[rows], self.slope[rows], self.liquidity[rows], self.row[rows], self.is_call,
        )  # fmt: skip

    def sorted(self) -> Spreads:
        """By short strike, then width."""
        return self.take(np.lexsort((self.width, self.short)))


class CondorTerms(NamedTuple):
    """What all condors of an expiry share."""

    density: Density
    score: ScoreSettings
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
        place: FloatArray = price - self.low
        place *= self.per_step
        np.clip(place, 0.0, self.nodes, out=place)
        cell = place.astype(np.intp)
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
    mean: FloatArray
    ev: FloatArray
    slope: FloatArray
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
        most, beyond = terms.money * spreads.width + _DUST, 1.0 - wing if call else wing
        money = (spreads.credit, spreads.mean, spreads.ev, spreads.slope)
        return cls(spreads.short, spreads.width, *money, spreads.liquidity, inside, most, beyond)

    def take(self, rows: IntArray) -> Side:
        """The spreads at *rows*, in their order."""
        return Side(*(column.take(rows) for column in self))

    def down(self, rows: slice) -> Side:
        """As views, (n, 1)."""
        return Side(*(column[rows, None] for column in self))

    def across(self, rows: slice) -> Side:
        """As views, (1, n)."""
        return Side(*(column[None, rows] for column in self))


BLOCK = 16384
"""Condors scored at once: fewer cost calls, more the cache."""
CROWD = 16384
"""Condors that may wait for their CVaR before those without a chance are sorted out."""
TRIED = 2
"""Condors whose score is then computed, for each one asked for."""
_SLACK = 1e-6
"""What rounding may do to a score, in points, beside the error of the table."""


class Block(NamedTuple):
    """Condors with their figures, all of one shape; money in currency per structure."""

    credit: FloatArray
    mean: FloatArray
    """Of P&L at the executable credit."""
    ev: FloatArray
    """What the score takes."""
    requirement: FloatArray
    margin: FloatArray
    pos: FloatArray
    liquidity: FloatArray
    bound: FloatArray
    """Not below the score."""

    def take(self, rows: IntArray | BoolArray | slice) -> Block:
        """The chosen condors, in their order."""
        return Block(*(column[rows] for column in self))


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
    recounted: IntArray
    """Of those, the scores less the bounds by which they were counted; see `scoring.counted`."""


class Runners(NamedTuple):
    """Condors picked one by one, (n,) each."""

    put: IntArray
    """Place in the sorted put spreads."""
    call: IntArray
    block: Block

    def take(self, rows: IntArray | BoolArray) -> Runners:
        """The chosen condors, in their order."""
        return Runners(self.put[rows], self.call[rows], self.block.take(rows))

    @classmethod
    def joined(cls, parts: Sequence[Runners]) -> Runners:
        """One below the other."""
        blocks = zip(*(part.block for part in parts), strict=True)
        return cls(
            np.concatenate([part.put for part in parts]),
            np.concatenate([part.call for part in parts]),
            Block(*map(np.concatenate, blocks)),
        )


def _chosen(put: slice, call: slice, block: Block, chosen: BoolArray) -> Runners:
    """Those of a block of all *put* with all *call* where *chosen*, (puts, calls)."""
    rows = np.flatnonzero(chosen)
    width = call.stop - call.start
    picked = Block(*(column.reshape(-1)[rows] for column in block))
    return Runners(put.start + rows // width, call.start + rows % width, picked)


class Judge(Protocol):
    """Rules on condors, which may be judged later than they are met."""

    def surely_pass(self, put: slice, call: slice, block: Block) -> BoolArray:
        """Which condors of a block pass, (puts, calls); the doubtful ones are put aside."""
        ...

    def late(self, *, last: bool = False) -> Runners | None:
        """Those put aside that pass, when there are many of them or these are the *last*."""
        ...


class CondorSearch:
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
            block = self._score(self._put_side.down(put), self._call_side.across(call))
            race.scored += block.bound.size
            passed = (block.credit > 0.0) & (block.margin > 0.0)
            if judge is not None:
                passed &= judge.surely_pass(put, call, block)
                race.enter(judge.late())
            passed &= block.bound >= race.least
            if passed.any():
                race.enter(_chosen(put, call, block, passed))
        if judge is not None:
            race.enter(judge.late(last=True))
        return race.finish()

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """All condors in pieces: some put spreads, each with the same call spreads."""
        start = 0
        total = len(self.calls)
        while start < len(self.puts):
            first = int(self._first[start])
            # Put spreads of one short strike share the call spreads they go with.
            end = int(np.searchsorted(self._first, first, side="right"))
            if first < total:
                high = max(1, BLOCK // (total - first))
                for row in range(start, end, high):
                    rows = slice(row, min(row + high, end))
                    for column in range(first, total, BLOCK):
                        yield rows, slice(column, min(column + BLOCK, total))
            start = end

    def _score(self, p: Side, c: Side) -> Block:
        """Figures of condors of puts and calls that broadcast against each other."""
        terms = self.terms
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
        mean, ev, liquidity = p.mean + c.mean, p.ev + c.ev, p.liquidity * c.liquidity
        if terms.score.robust:
            ev -= measures.robust_cost(p.slope + c.slope)
        pos = self._success(p, c, credit)
        block = Block(credit, mean, ev, requirement, margin, pos, liquidity, pos)
        # A loss on average weighs least on the most that can be at risk.
        tail = self._tail(block, terms.money * wide, c.inside - p.inside, least=ev > 0.0)
        return block._replace(bound=self._points(block, tail))

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

    def _tail(
        self, block: Block, widest: FloatArray, inside: FloatArray, *, least: BoolArray
    ) -> FloatArray:
        """
        What CVaR95 is not below where *least*, and not above elsewhere, whatever the table's error.

        See `measures.tail_loss_bounds`; *inside* is the chance to end between the short strikes.
        """
        assert self._table is not None
        off = 2.0 * self._table.error
        lose = 1.0 + off - block.pos
        np.maximum(lose, TAIL, out=lose)
        # E[loss] = E[gain] - E[P&L]; the gain is the whole credit between the short strikes, and
        # no more than that where the condor wins at all.
        lost: FloatArray = np.where(least, inside, block.pos + off)
        lost *= block.credit
        lost -= block.mean
        np.maximum(lost, 0.0, out=lost)
        lost /= np.where(least, lose, TAIL)
        return np.minimum(lost, np.maximum(widest - block.credit, 0.0), out=lost)

    def _points(self, block: Block, tail: FloatArray) -> FloatArray:
        """The score of condors with a given CVaR95."""
        score = self.terms.score
        w_pos, w_ev = (100.0 * scoring.weights(score)).tolist()
        with np.errstate(all="ignore"):
            part: FloatArray = block.ev / tail
            part *= -1.0 / score.ev_scale
            np.exp(part, out=part)
        part += 1.0
        np.divide(w_ev, part, out=part)
        part += w_pos * block.pos
        part *= block.liquidity
        return part

    @property
    def slack(self) -> float:
        """How far a computed bound may be below the true one, in points."""
        assert self._table is not None
        return _SLACK + 100.0 * 2.0 * self._table.error

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

    def __init__(self, keep: int, search: CondorSearch) -> None:
        self.keep, self.search = keep, search
        self.least = -np.inf
        """No condor whose bound is lower can be among the best."""
        self.scored = 0
        self._floor = np.full(keep, -np.inf)
        self._waiting: list[Runners] = []
        self._count, self._room = 0, CROWD

    def enter(self, runners: Runners | None) -> None:
        """Keep condors that may be among the best, and raise the bar."""
        if runners is None or runners.put.size == 0:
            return
        self._waiting.append(runners)
        self._count += runners.put.size
        self._raise(runners)
        if self._count > self._room:
            self._thin()

    def _raise(self, runners: Runners) -> None:
        """The bar from bounds below the scores, which tables give."""
        search, (put, call, block) = self.search, runners
        wide = np.maximum(search.puts.width[put], search.calls.width[call])
        inside = search._call_side.inside[call] - search._put_side.inside[put]
        tail = search._tail(block, search.terms.money * wide, inside, least=block.ev <= 0.0)
        floor = search._points(block, tail)
        both = np.concatenate((self._floor, floor[np.isfinite(floor)]))
        self._floor = np.partition(both, both.size - self.keep)[-self.keep :]
        self._set_bar(float(self._floor.min()))

    def _set_bar(self, least: float) -> None:
        self.least = max(self.least, least - 2.0 * self.search.slack)

    def _thin(self) -> None:
        """Leave out who has no chance; exact scores of the most promising tell who has."""
        runners = self._near(Runners.joined(self._waiting))
        first = np.argsort(-runners.block.bound, kind="stable")[: TRIED * self.keep]
        score = self._exact(runners.take(first))
        score = score[np.isfinite(score)]
        if score.size >= self.keep:
            self._set_bar(float(np.partition(score, score.size - self.keep)[-self.keep]))
            runners = self._near(runners)
        self._waiting, self._count = [runners], runners.put.size
        self._room = CROWD + 2 * self._count

    def _near(self, runners: Runners) -> Runners:
        return runners.take(np.flatnonzero(runners.block.bound >= self.least))

    def finish(self) -> Top:
        """CVaR where it can matter, best bounds first, and the exact order."""
        if not self._waiting:
            nothing = np.empty(0, dtype=np.int64)
            none = np.zeros(scoring.BINS, dtype=np.int64)
            return Top(nothing, nothing, np.empty(0), self.scored, 0, none)
        runners = self._near(Runners.joined(self._waiting))
        bound = np.minimum(runners.block.bound, self._sharper(*runners))
        order = np.lexsort((runners.call, runners.put, -bound))
        bound, (put, call, block) = bound[order], runners.take(order)
        score = np.full(put.size, np.nan)
        done, size, least = 0, 4 * self.keep, -np.inf
        while done < put.size and bound[done] >= least:
            rows = slice(done, min(done + size, put.size))
            score[rows] = self._exact(Runners(put[rows], call[rows], block.take(rows)))
            done, size = rows.stop, 4 * size
            known = score[:done][np.isfinite(score[:done])]
            if known.size >= self.keep:
                least = float(np.partition(known, known.size - self.keep)[-self.keep])
                least -= 2.0 * self.search.slack
        best = np.lexsort((call[:done], put[:done], -score[:done]))[: self.keep]
        recounted = scoring.counted(score[:done]) - scoring.counted(block.bound[:done])
        return Top(put[best], call[best], score[best], self.scored, done, recounted)

    def _sharper(self, put: IntArray, call: IntArray, block: Block) -> FloatArray:
        """The bound of those that win on average, with CVaR at what the wings alone lose."""
        search = self.search
        tail = search.tail_bound(put, call, block.credit)
        sharper: FloatArray = search._points(block, tail) + search.slack
        return np.where(block.ev > 0.0, sharper, np.inf)

    def _exact(self, runners: Runners) -> FloatArray:
        """Scores with CVaR, PoS and EV from the distribution itself, no table."""
        put, call, block = runners
        search, density = self.search, self.search.terms.density
        form = search.segments(put, call, block.credit)
        below = probability.shortfall(density, form)
        tail = below.mean / TAIL
        often = np.flatnonzero(below.probability > TAIL)
        if often.size:
            part = search.segments(put[often], call[often], block.credit[often])
            tail[often] = probability.cvar(density, part, 1.0 - TAIL)
        ev = probability.ev(density, form) + block.ev - block.mean
        figures = scoring.ScoreFigures(probability.pos(density, form), ev, tail, block.liquidity)
        return scoring.total(figures, self.search.terms.score)


SPARE = 4
"""Condors kept beyond those asked for, so that rounding cannot decide who is among them."""


class Wings(NamedTuple):
    """The legs of a condor by their parts."""

    short_put: leg_rules.LegRule
    long_put: leg_rules.LegRule
    short_call: leg_rules.LegRule
    long_call: leg_rules.LegRule


def wings(template: leg_rules.Template) -> Wings | None:
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
    four = Wings(legs["P", -1], legs["P", 1], legs["C", -1], legs["C", 1])
    below, above = four.long_put.pick, four.long_call.pick
    tied = (
        isinstance(below, leg_rules.Below)
        and below.leg == four.short_put.name
        and isinstance(above, leg_rules.Above)
        and above.leg == four.short_call.name
    )
    free = (leg_rules.DeltaBand, leg_rules.Moneyness, leg_rules.AtTheMoney)
    chosen = isinstance(four.short_put.pick, free) and isinstance(four.short_call.pick, free)
    return four if tied and chosen else None


class _LegQuotes(NamedTuple):
    """What spreads, or the condors of them, are quoted at; currency per structure."""

    credit_mid: FloatArray
    credit_natural: FloatArray
    cost: FloatArray
    """What entry takes off the credit at mid."""
    commission: float

    @property
    def crossing(self) -> FloatArray:
        """All half-spreads together."""
        return self.credit_mid - self.credit_natural

    def part(self, rows: slice) -> _LegQuotes:
        """The chosen ones."""
        money = (self.credit_mid[rows], self.credit_natural[rows], self.cost[rows])
        return _LegQuotes(*money, self.commission)

    @classmethod
    def of(cls, spreads: Spreads, board: Board) -> _LegQuotes:
        """Those of *spreads*, (n,) each."""
        lot = float(board.chain.multiplier)
        mid = lot * (board.price[spreads.row] * (1.0, -1.0)).sum(axis=1)
        crossing = lot * board.prices.half_spread[spreads.row].sum(axis=1)
        commission = 2.0 * board.settings.costs.commission_of(board.chain.underlying.currency)
        return cls(mid, mid - crossing, mid - spreads.credit, commission)


@dataclass(frozen=True, eq=False)
class _Judged:
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


class _Condors:
    """The condors of one expiry: counted, judged, and the best of them found."""

    def __init__(
        self,
        template: leg_rules.Template,
        board: Board,
        pair: Expiries,
        legs: Wings,
        leg_verdicts: Sequence[RuleVerdict],
        tally: Tally,
    ) -> None:
        self.template, self.board, self.pair, self.legs = template, board, pair, legs
        self.leg_verdicts, self.tally = leg_verdicts, tally
        scan = board.settings.scan
        optional = (scan.min_credit, scan.min_rom, scan.min_pos, scan.min_ev, scan.max_loss)
        self._always = (
            any(limit is not None for limit in optional)
            or template.no_upside_loss
            or rules.closes_at_once(template, board, pair)
            or (scan.expire_before_earnings and board.vol.next_earnings is not None)
        )
        """Whether a rule is on that `surely_pass` does not know."""
        self._aside: list[Runners] = []
        self._waiting = 0
        self._nearest_share = -np.inf
        """The largest share of its width that a condor refused for that alone brings."""

    def best(self, keep: int) -> Candidates:
        """The condors among which the *keep* best are; all are counted, judged and scored."""
        legs, board, first = self.legs, self.board, self.board.outlooks[self.pair[0]]
        puts = self._judged_side(legs.short_put, legs.long_put)
        calls = self._judged_side(legs.short_call, legs.long_call)
        self._count_legs(puts, calls)
        lot = float(board.chain.multiplier)
        two_spreads = board.settings.margin.unequal_condor == "two_spreads"
        terms = CondorTerms(
            first.market, board.settings.score, lot * first.discount, lot, two_spreads
        )
        self.search = CondorSearch(self._passing(puts), self._passing(calls), terms)
        if len(self.search) == 0:
            return Candidates(self.template, self.pair, np.empty((0, 4), dtype=np.int64))
        self._put_quotes = _LegQuotes.of(self.search.puts, board)
        self._call_quotes = _LegQuotes.of(self.search.calls, board)
        top = self.search.best(keep + SPARE, judge=self)
        self.tally.rank(self.template.name, top.recounted)
        return self._candidates(self.search.puts.row[top.put], self.search.calls.row[top.call])

    def _candidates(self, put: IntArray, call: IntArray) -> Candidates:
        """Condors from (n, 2) rows of their spreads, columns in the order of the template."""
        columns = (put[:, 0], put[:, 1], call[:, 0], call[:, 1])
        column = {leg.name: rows for leg, rows in zip(self.legs, columns, strict=True)}
        row = np.stack([column[leg.name] for leg in self.template.legs], axis=1)
        return Candidates(self.template, self.pair, row)

    def _judged_side(self, sold: leg_rules.LegRule, bought: leg_rules.LegRule) -> _Judged:
        part = replace(self.template, legs=(sold, bought))
        built = candidates.build(part, self.board, self.pair)
        verdicts = rules.judge_legs(Batch.of([built]), self.leg_verdicts)
        first, fails = rules.first_failures(verdicts, len(built))
        return _Judged(
            built.row,
            self.board.strike[built.row[:, 0]],
            np.where(first < 0, len(verdicts), first),
            fails,
            np.array([verdict.miss for verdict in verdicts]),
            sold.right == "C",
        )

    def _passing(self, side: _Judged) -> Spreads:
        """The spreads that no leg rule refuses, as tables."""
        board, row = self.board, side.row[side.fails == 0]
        costs, lot = board.settings.costs, float(board.chain.multiplier)
        first = board.outlooks[self.pair[0]]
        price, half, liquidity = (
            board.price[row],
            board.prices.half_spread[row],
            board.liquidity[row],
        )
        strike = board.strike[row]
        credit = lot * (price[:, 0] - price[:, 1] - costs.slippage * half.sum(axis=1))
        credit -= 2.0 * costs.commission_of(board.chain.underlying.currency)
        value = first.market.call_value if side.is_call else first.market.put_value
        owed = lot * first.discount * (value(strike[:, 0]) - value(strike[:, 1]))
        slope = np.zeros(len(row))
        if board.settings.score.robust:
            slope = lot * (board.volatility_slope[row[:, 1]] - board.volatility_slope[row[:, 0]])
        doubted = lot * (board.doubted[row[:, 0]] - board.doubted[row[:, 1]])
        return Spreads(
            strike[:, 0],
            np.abs(strike[:, 0] - strike[:, 1]),
            credit,
            credit - owed,
            credit - owed - doubted,
            slope,
            np.sqrt(np.sqrt(liquidity[:, 0] * liquidity[:, 1])),
            row,
            side.is_call,
        )

    def _count_legs(self, puts: _Judged, calls: _Judged) -> None:
        """Count all condors and those that a leg rule refuses, without forming them."""
        places = range(len(self.leg_verdicts))
        # Condors whose first refusal comes at rule r or later: both spreads pass all before it.
        last = [
            _pairs(puts.short[puts.first >= place], calls.short[calls.first >= place])
            for place in range(len(places) + 1)
        ]
        self.tally.considered += last[0]
        for place, verdict in enumerate(self.leg_verdicts):
            self.tally.count(verdict.rule, last[place] - last[place + 1])
        nearest = [
            pair
            for place in places
            for pair in (_nearest(puts, calls, place), _nearest(calls, puts, place))
            if pair is not None
        ]
        if nearest:
            put, call = (np.array(rows) for rows in zip(*nearest, strict=True))
            batch = Batch.of([self._candidates(puts.row[put], calls.row[call])])
            self.tally.approach(batch, rules.judge_legs(batch, self.leg_verdicts))

    def surely_pass(self, put: slice, call: slice, block: Block) -> BoolArray:
        """
        Which condors are clearly within every limit; the others are judged rule by rule.

        Judging millions that pass would take three times as long as scoring them. Those that bring
        too little for their width, and fail nothing else, are counted at once.
        """
        passed = np.zeros(block.credit.shape, dtype=np.bool_)
        doubtful = ~passed
        if not self._always:
            passed = self._within_limits(put, call, block)
            doubtful = ~passed
            least = self.board.settings.scan.min_credit_share
            if least is not None:
                passed, doubtful = self._by_share(put, call, block, passed, least)
        if doubtful.any():
            self._aside.append(_chosen(put, call, block, doubtful))
            self._waiting += self._aside[-1].put.size
        self._pass(block.bound if passed.all() else block.bound[passed])
        return passed

    def _pass(self, bounds: FloatArray) -> None:
        """Count condors that pass by their *bounds*."""
        self.tally.passed[CandidateGroup(self.template.name, self.template.side, self.pair[0])] += (
            bounds.size
        )
        self.tally.rank(self.template.name, scoring.counted(bounds))

    def _within_limits(self, put: slice, call: slice, block: Block) -> BoolArray:
        """Which condors of a block keep every rule but that on the share of the width."""
        scan = self.board.settings.scan
        puts, calls = (
            side.part(rows) for side, rows in ((self._put_quotes, put), (self._call_quotes, call))
        )
        within: BoolArray = (block.credit > 0.0) & (block.margin > 0.0)
        if scan.max_cost_share is not None:
            part = scan.max_cost_share - EDGE
            over = [side.cost - part * side.credit_mid for side in (puts, calls)]
            within &= over[0][:, None] + over[1] <= 0.0
        if scan.max_spread_share is not None or scan.natural_sign:
            within &= puts.credit_natural[:, None] + calls.credit_natural > EDGE
        if scan.max_spread_share is not None:
            part = 0.5 * (scan.max_spread_share - EDGE)
            over = [side.crossing - part * side.credit_mid for side in (puts, calls)]
            within &= over[0][:, None] + over[1] <= 0.0
        return within

    def _by_share(
        self, put: slice, call: slice, block: Block, within: BoolArray, least: float
    ) -> tuple[BoolArray, BoolArray]:
        """Of those *within* every other limit which surely pass, and of all which are doubtful."""
        lot = self.search.terms.multiplier
        wide = np.maximum(self.search.puts.width[put, None], self.search.calls.width[call])
        share = block.credit + (self._put_quotes.commission + self._call_quotes.commission)
        share /= lot * wide
        passed = within & (share >= least + EDGE)
        refused = np.flatnonzero(within & (share < least - EDGE))
        doubtful = ~passed
        if refused.size:
            of_refused = share.reshape(-1)[refused]
            # Who comes nearest is told in full, so these are judged like the doubtful ones.
            self._nearest_share = max(self._nearest_share, float(of_refused.max()))
            far = refused[of_refused < self._nearest_share - EDGE]
            self.tally.refused["min_credit_share"] += far.size
            doubtful.reshape(-1)[far] = False
        return passed, doubtful

    def late(self, *, last: bool = False) -> Runners | None:
        """Judge those put aside, when they are worth the calls; returns which pass."""
        if not self._aside or (not last and self._waiting < BLOCK):
            return None
        runners, self._aside, self._waiting = Runners.joined(self._aside), [], 0
        rows = self.search.puts.row[runners.put], self.search.calls.row[runners.call]
        batch = Batch.of([self._candidates(*rows)])
        verdicts = rules.judge(batch, self._measures(*runners), self.board)
        runners = runners.take(self.tally.note(batch, verdicts))
        self._pass(runners.block.bound)
        block = runners.block
        # Without credit and margin there is neither a return nor a risk.
        return runners.take((block.credit > 0.0) & (block.margin > 0.0))

    def _measures(self, put: IntArray, call: IntArray, block: Block) -> Measures:
        money, lot = self.search.terms.money, self.search.terms.multiplier
        width = self.search.calls.width[call]
        lost = lot * np.maximum(self.search.puts.width[put], width) - block.credit
        unused = np.zeros(block.credit.size)
        puts, calls = self._put_quotes, self._call_quotes
        return Measures(
            credit=block.credit,
            credit_mid=puts.credit_mid[put] + calls.credit_mid[call],
            credit_natural=puts.credit_natural[put] + calls.credit_natural[call],
            commission=np.full(block.credit.size, puts.commission + calls.commission),
            max_profit=block.credit,
            max_loss=np.maximum(lost, 0.0),
            loss_today=np.maximum(money / lot * (lost + block.credit) - block.credit, 0.0),
            profit=block.credit,
            requirement=block.requirement,
            margin=block.margin,
            pos=block.pos,
            ev=self.search.puts.ev[put] + self.search.calls.ev[call],
            ranked_pos=block.pos,
            ranked_ev=block.ev,
            loss_chance=1.0 - block.pos,
            mean_loss=unused,
            upside=block.credit - money * width,
            liquidity=block.liquidity,
        )


def _pairs(put: FloatArray, call: FloatArray) -> int:
    """How many pairs have the put below the call."""
    ordered = np.sort(call)
    below = np.searchsorted(ordered, put + EDGE, side="right")
    return int((ordered.size - below).sum())


def _nearest(side: _Judged, other: _Judged, place: int) -> tuple[int, int] | None:
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
