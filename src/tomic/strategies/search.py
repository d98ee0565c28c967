"""The search of one chain: every candidate judged, the best of each strategy and expiry found."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import ScoreSettings
from tomic.models import NearestMiss, Refusal, RuleCount
from tomic.strategies import candidates, measures, rules, scoring
from tomic.strategies.board import Board
from tomic.strategies.candidates import Candidates, Expiries
from tomic.strategies.leg_rules import Template
from tomic.strategies.measures import Batch, Measures
from tomic.strategies.rules import Rule, Verdict

FIRST_ROUND = 4
"""Candidates of a group whose tail is computed before the first bound is known."""
ALL = 1_000_000_000
"""Keeps every candidate."""
ROUNDING = 1e-9
"""Scores this close may change places by rounding; a bound must not decide between them."""

Group: TypeAlias = tuple[str, dt.date]
"""Strategy and first expiry: of each group the ranking shows one trade."""


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


@dataclass(slots=True)
class Near:
    """The candidate that came nearest to passing a rule."""

    others: int
    """Other rules that it fails."""
    distance: float
    observed: float
    rule: Rule
    template: Template
    expiries: Expiries
    rows: tuple[int, ...]


@dataclass(slots=True)
class Tally:
    """How many candidates were looked at, and what became of those that were refused."""

    considered: int = 0
    passed: Counter[Group] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    rules: dict[str, Rule] = field(default_factory=dict)
    nearest: dict[str, Near] = field(default_factory=dict)

    def note(self, batch: Batch, verdicts: Sequence[Verdict]) -> BoolArray:
        """Count the refusals of a batch; returns which rows fail nothing."""
        first, fails = rules.first_failures(verdicts, len(batch))
        counts = np.bincount(first + 1, minlength=len(verdicts) + 1)[1:]
        for place, verdict in enumerate(verdicts):
            name = verdict.rule.name
            self.rules.setdefault(name, verdict.rule)
            self.refused[name] += int(counts[place])
            self._approach(batch, verdict, fails)
        return np.asarray(fails == 0, dtype=np.bool_)

    def _approach(self, batch: Batch, verdict: Verdict, fails: IntArray) -> None:
        failed = np.flatnonzero((verdict.miss > 0.0) & np.isfinite(verdict.miss))
        if failed.size == 0:
            return
        best = failed[np.lexsort((verdict.miss[failed], fails[failed]))[0]]
        others, distance = int(fails[best]) - 1, float(verdict.miss[best])
        held = self.nearest.get(verdict.rule.name)
        if held is None or (others, distance) < (held.others, held.distance):
            member = batch.members[int(batch.group[best])]
            self.nearest[verdict.rule.name] = Near(
                others,
                distance,
                float(verdict.observed[best]),
                verdict.rule,
                member.template,
                batch.expiries,
                tuple(batch.row[best, : len(member.template.legs)].tolist()),
            )

    def counts(self) -> tuple[RuleCount, ...]:
        """Rules that refused something, most first."""
        found = [
            RuleCount(rule=name, kind=self.rules[name].kind, count=count)
            for name, count in self.refused.items()
            if count
        ]
        return tuple(sorted(found, key=lambda one: (-one.count, one.rule)))


class Found(NamedTuple):
    """What the search of one chain gave."""

    hits: tuple[Hit, ...]
    """The best of every group and variant, best first."""
    tally: Tally


def search(board: Board, templates: Sequence[Template], *, keep: int = 1) -> Found:
    """
    Judge every candidate of *templates* on one chain and keep the best of each group.

    Exact: a candidate is passed over without its CVaR only where a bound proves that *keep*
    others of its group score higher.

    Args:
        board: The chain, from `board.prepare`.
        templates: What to look for.
        keep: How many of each strategy, variant and pair of expiries to return.
    """
    tally, hits = Tally(), []
    leg_verdicts = rules.judge_rows(board)
    for batch in batches(board, templates):
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
    for pair in sorted(members, key=lambda one: (one[0], one[1] or dt.date.min)):
        yield Batch.of(members[pair])


def _search_batch(
    batch: Batch, board: Board, leg_verdicts: Sequence[Verdict], tally: Tally, keep: int
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
    for place, count in enumerate(np.bincount(batch.group, minlength=len(batch.members))):
        tally.passed[(batch.members[place].template.name, batch.expiries[0])] += int(count)
    return best(batch, figures, board, keep) if len(batch) else []


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
        rows = waiting[: done[place]]
        found = [hit_of(batch, figures, board, int(row), float(tail[row]), score) for row in rows]
        hits += sorted(found, key=Hit.key)[:keep]
    return hits


def _next(
    waiting: IntArray,
    bound: FloatArray,
    exact: dict[int, float],
    done: int,
    size: int,
    keep: int,
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
) -> scoring.Figures:
    return scoring.Figures(
        figures.profit,
        figures.margin,
        figures.pos,
        figures.ev,
        tail_loss,
        figures.liquidity,
        float(board.outlooks[batch.expiries[0]].dte),
    )


def hit_of(
    batch: Batch,
    figures: Measures,
    board: Board,
    row: int,
    tail_loss: float,
    score: ScoreSettings,
) -> Hit:
    """Row *row* of a measured batch with its exact score."""
    one = _figures(figures.take(np.array([row])), board, batch, np.array([tail_loss]))
    member = batch.members[int(batch.group[row])]
    return Hit(
        board=board,
        template=member.template,
        expiries=batch.expiries,
        rows=tuple(batch.row[row, : len(member.template.legs)].tolist()),
        score=float(scoring.total(one, score)[0]),
        components=scoring.components(one, score)[:, 0],
        liquidity=float(figures.liquidity[row]),
        ev=float(figures.ev[row]),
        margin=float(figures.margin[row]),
        tail_loss=tail_loss,
    )


def near_misses(tally: Tally, board: Board) -> tuple[NearestMiss, ...]:
    """The nearest misses as models, in the order of their rules' names."""
    found = []
    for name in sorted(tally.nearest):
        near = tally.nearest[name]
        found.append(
            NearestMiss(
                **refusal(near.rule, near.observed, board, near.template, near.rows).model_dump(),
                distance=near.distance,
                only_rule=near.others == 0,
            )
        )
    return tuple(found)


def refusal(
    rule: Rule, observed: float, board: Board, template: Template, rows: Sequence[int]
) -> Refusal:
    """One rule's refusal of one trade."""
    return Refusal(
        rule=rule.name,
        kind=rule.kind,
        symbol=board.chain.symbol,
        strategy=template.name,
        trade=trade_text(board, template, rows),
        observed=observed if math.isfinite(observed) else None,
        limit=rule.limit if math.isfinite(rule.limit) else None,
        message=rule.message(observed),
    )


def trade_text(board: Board, template: Template, rows: Sequence[int]) -> str:
    """A trade in a line: strategy, strikes in the order of its legs, expiries."""
    chain = board.chain
    strikes = "/".join(
        f"{chain['strike'][row]:g}{leg.right}" for row, leg in zip(rows, template.legs, strict=True)
    )
    days = "/".join(sorted({str(chain["expiry"][row]) for row in rows}))
    return f"{template.name} {strikes} {days}"
