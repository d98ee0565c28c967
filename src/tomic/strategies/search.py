"""The search of one chain: every candidate judged, the best of each strategy and expiry found."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.strategies import candidates, measures, rules, scoring
from tomic.strategies.candidates import Candidates, Expiries
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.condors import best_condors, wings
from tomic.strategies.measures import Batch, Measures
from tomic.strategies.pricing.board import Board
from tomic.strategies.rules import Group, RuleVerdict, Tally

FIRST_ROUND = 8
"""Candidates of a group whose tail is computed before the first bound is known."""
ALL = 1_000_000_000
"""Keeps every candidate."""
ROUNDING = 1e-9
"""Scores this close may change places by rounding; a bound must not decide between them."""


@dataclass(frozen=True, eq=False)
class Hit:
    """One candidate that passed every rule, with its exact score before fit."""

    board: Board = field(repr=False)
    template: Template
    expiries: Expiries
    rows: tuple[int, ...]
    """Rows of the chain in the order of ``template.legs``."""
    score: float
    components: FloatArray
    """(4,) unweighted, in the order of `scoring.NAMES`."""
    liquidity: float
    ev: float
    margin: float
    tail_loss: float

    @property
    def group(self) -> Group:
        """Strategy and first expiry."""
        return (self.template.name, self.expiries[0])

    @property
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
        names = (self.board.chain.symbol, self.template.name)
        return (-value, -self.ev, self.margin, *names, self.legs)


class Found(NamedTuple):
    """Result of the search of one chain."""

    hits: tuple[Hit, ...]
    """The best of every group and variant, best first."""
    tally: Tally


def search(board: Board, templates: Sequence[Template], *, keep: int = 1) -> Found:
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
    # CVaR of every condor would be needed to judge by it.
    fast = board.settings.scan.min_risk_reward is None and not _is_original(board)
    split = {template.name: wings(template) for template in templates if fast}
    for template in templates:
        legs = split.get(template.name)
        if legs is None:
            continue
        for pair in candidates.expiries(template, board):
            condors = best_condors(template, board, pair, legs, leg_verdicts, tally, keep)
            if len(condors):
                batch = Batch.of([condors])
                hits += best(batch, measures.measure(batch, board), board, keep)
    for batch in batches(board, [each for each in templates if not split.get(each.name)]):
        hits += _search_batch(batch, board, leg_verdicts, tally, keep)
    return Found(tuple(sorted(hits, key=Hit.key)), tally)


def batches(board: Board, templates: Sequence[Template]) -> Iterator[Batch]:
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
    batch = batch.take(tally.note(batch, rules.judge_legs(batch, leg_verdicts)))
    if len(batch) == 0:
        return []
    figures = measures.measure(batch, board)
    passing = tally.note(batch, rules.judge(batch, figures, board))
    batch, figures = batch.take(passing), figures.take(passing)
    least = board.settings.scan.min_risk_reward
    if least is not None and len(batch):
        tail = _tail(batch, figures, board, np.arange(len(batch)))
        passing = tally.note(batch, [rules.risk_reward(figures.profit, tail, least)])
        batch, figures = batch.take(passing), figures.take(passing)
    if _is_original(board) and len(batch):
        return _original(batch, figures, board, tally, keep)
    _count(batch, tally)
    return best(batch, figures, board, keep) if len(batch) else []


def _is_original(board: Board) -> bool:
    return board.settings.score.definition == "original"


def _count(batch: Batch, tally: Tally) -> None:
    for place, count in enumerate(np.bincount(batch.group, minlength=len(batch.members))):
        tally.passed[(batch.members[place].template.name, batch.expiries[0])] += int(count)


def _original(batch: Batch, figures: Measures, board: Board, tally: Tally, keep: int) -> list[Hit]:
    """The best rows of each group by the original program's score."""
    scored = scoring.figures(batch, board)
    passing = tally.note(batch, [rules.original(scored.ev, scoring.original_score(scored))])
    batch, figures = batch.take(passing), figures.take(passing)
    _count(batch, tally)
    tail = _tail(batch, figures, board, np.arange(len(batch)))
    hits = hits_of(batch, figures, board, np.arange(len(batch)), tail)
    groups: dict[int, list[Hit]] = {}
    for row, hit in enumerate(hits):
        groups.setdefault(int(batch.group[row]), []).append(hit)
    return [
        hit
        for hits_of_group in groups.values()
        for hit in sorted(hits_of_group, key=Hit.key)[:keep]
    ]


def _legs(batch: Batch, row: int) -> tuple[int, ...]:
    count = len(batch.members[int(batch.group[row])].template.legs)
    return tuple(batch.row[row, :count].tolist())


def best(batch: Batch, figures: Measures, board: Board, keep: int) -> list[Hit]:
    """The *keep* best rows of each group of a batch whose rows all passed the rules."""
    score = board.settings.score
    bound = scoring.total(_figures(figures, board, batch, measures.tail_loss_bound(figures)), score)
    # Best bounds first within each group.
    order = np.lexsort((-bound, batch.group))
    starts = np.searchsorted(batch.group[order], np.arange(len(batch.members) + 1))
    queue = [order[first:last] for first, last in itertools.pairwise(starts)]
    exact: dict[int, float] = {}
    tail = np.full(len(batch), np.nan)
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
        part = _figures(figures.take(rows), board, batch, tail[rows])
        exact |= dict(zip(rows.tolist(), scoring.total(part, score).tolist(), strict=True))
        size *= 4
    hits: list[Hit] = []
    for place, waiting in enumerate(queue):
        rows = waiting[: done[place]].tolist()
        known = sorted((exact[row] for row in rows), reverse=True)
        least = known[min(keep, len(known)) - 1] if known else -math.inf
        kept = np.array([row for row in rows if exact[row] >= least], dtype=np.int64)
        ranked = hits_of(batch, figures, board, kept, tail[kept])
        hits += sorted(ranked, key=Hit.key)[:keep]
    return hits


def _next(
    waiting: IntArray, bound: FloatArray, exact: dict[int, float], done: int, size: int, keep: int
) -> IntArray:
    """Rows to compute next: as many as *size*, none that provably cannot be among the best."""
    known = sorted((exact[int(row)] for row in waiting[:done]), reverse=True)
    least = known[keep - 1] if len(known) >= keep else -math.inf
    ahead = waiting[done : done + size]
    return ahead[bound[ahead] >= least - ROUNDING]


def _tail(batch: Batch, figures: Measures, board: Board, rows: IntArray) -> FloatArray:
    below = np.stack((figures.loss_chance[rows], figures.mean_loss[rows]))
    return measures.tail_loss(batch.take(rows), board, figures.credit[rows], below)


def _figures(
    figures: Measures, board: Board, batch: Batch, tail_loss: FloatArray
) -> scoring.ScoreFigures:
    return scoring.ScoreFigures(
        figures.profit,
        figures.margin,
        figures.pos,
        figures.ev,
        tail_loss,
        figures.liquidity,
        float(board.outlooks[batch.expiries[0]].dte),
    )


def hit_of(batch: Batch, figures: Measures, board: Board, row: int, tail_loss: float) -> Hit:
    """Row *row* of a measured batch with its exact score, by the definition that is set."""
    return hits_of(batch, figures, board, np.array([row]), np.array([tail_loss]))[0]


def hits_of(
    batch: Batch, figures: Measures, board: Board, rows: IntArray, tail_loss: FloatArray
) -> list[Hit]:
    """As `hit_of` for each of *rows*, whose *tail_loss* is given in their order."""
    if _is_original(board):
        scored = scoring.figures(batch.take(rows), board)
        score, parts = scoring.original_score(scored), scoring.original_components(scored)
        liquidity = np.ones(len(rows))
    else:
        figures_of_rows = _figures(figures.take(rows), board, batch, tail_loss)
        score = scoring.total(figures_of_rows, board.settings.score)
        parts = scoring.components(figures_of_rows, board.settings.score)
        liquidity = figures.liquidity[rows]
    return [
        Hit(
            board=board,
            template=batch.members[int(batch.group[row])].template,
            expiries=batch.expiries,
            rows=_legs(batch, row),
            score=float(score[place]),
            components=parts[:, place],
            liquidity=float(liquidity[place]),
            ev=float(figures.ev[row]),
            margin=float(figures.margin[row]),
            tail_loss=float(tail_loss[place]),
        )
        for place, row in enumerate(rows.tolist())
    ]
