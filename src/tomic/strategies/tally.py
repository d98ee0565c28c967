"""What became of the candidates: counts per rule, and the one that came nearest to passing it."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tomic._typing import BoolArray, IntArray
from tomic.models import NearestMiss, Refusal, RuleCount
from tomic.strategies import rules
from tomic.strategies.board import Board
from tomic.strategies.candidates import Expiries
from tomic.strategies.leg_rules import Template
from tomic.strategies.measures import Batch
from tomic.strategies.rules import Rule, RuleVerdict

Group: TypeAlias = tuple[str, dt.date]
"""Strategy and first expiry: of each group the ranking shows one trade."""


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

    def note(self, batch: Batch, verdicts: Sequence[RuleVerdict]) -> BoolArray:
        """Count the refusals of a batch; returns which rows fail nothing."""
        first, fails = rules.first_failures(verdicts, len(batch))
        counts = np.bincount(first + 1, minlength=len(verdicts) + 1)[1:]
        for place, verdict in enumerate(verdicts):
            self.count(verdict.rule, int(counts[place]))
            self._approach(batch, verdict, fails)
        return np.asarray(fails == 0, dtype=np.bool_)

    def count(self, rule: Rule, refused: int) -> None:
        """Add to the refusals of a rule."""
        self.rules.setdefault(rule.name, rule)
        self.refused[rule.name] += refused

    def approach(self, batch: Batch, verdicts: Sequence[RuleVerdict]) -> None:
        """Look for nearest misses in a batch that is counted elsewhere."""
        _, fails = rules.first_failures(verdicts, len(batch))
        for verdict in verdicts:
            self._approach(batch, verdict, fails)

    def _approach(self, batch: Batch, verdict: RuleVerdict, fails: IntArray) -> None:
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
        observed=None if math.isnan(observed) or observed == -math.inf else observed,
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
