"""All candidates of a backtest, whatever they were found on: a row each, choice and outcome."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings
from tomic.evidence import walk
from tomic.evidence.candidates import Looked
from tomic.evidence.choice import Choice
from tomic.evidence.history import Dates
from tomic.evidence.managed import REASONS
from tomic.evidence.structures import StandardStructure
from tomic.models.backtest import TradeSource
from tomic.strategies.catalogue.leg_rules import Template


class Endings(NamedTuple):
    """How trades ended, (n,) each; money in currency per structure."""

    gross: FloatArray
    """P&L at the middle of the market before all costs; NaN where it is not known."""
    leaving: FloatArray
    """What closing cost."""
    other_leaving: FloatArray
    closed: Dates
    reason: NDArray[Any]
    move: FloatArray
    """Return of the underlying meanwhile, fraction."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Candidates, (n,) each."""

    symbol: NDArray[Any]
    strategy: NDArray[Any]
    side: NDArray[Any]
    source: NDArray[Any]
    day: Dates
    expiry: Dates
    rank: IntArray
    """Place in the ranking of its day, from 1; 0 of those that were not chosen."""
    passed: BoolArray
    """Gates and rules."""
    score: FloatArray
    credit: FloatArray
    """After costs of entry."""
    costs: FloatArray
    other_costs: FloatArray
    margin: FloatArray
    cvar: FloatArray
    pos: FloatArray
    ev: FloatArray
    ev_market: FloatArray
    iv30: FloatArray
    iv_percentile: FloatArray
    earnings: Dates
    """The next report; NaT where none is known."""
    unmarked: IntArray
    unknown: NDArray[Any]
    """Why holding has no outcome; empty where it has."""
    held: Endings
    managed: Endings
    text: Callable[[int], str]
    """A row's trade in a line."""
    marks: Mapping[int, Sequence[tuple[dt.date, float]]] = field(default_factory=dict)
    """By row, P&L at the middle of the market on the evenings of its life, where it was marked."""

    @property
    def size(self) -> int:
        """Candidates."""
        return int(self.day.size)

    def ended(self, run: str) -> Endings:
        """How trades ended, held or managed."""
        return self.held if run == "hold" else self.managed

    def pnl(self, run: str) -> FloatArray:
        """P&L after all costs, (n,)."""
        ended = self.ended(run)
        return ended.gross - self.costs - ended.leaving

    def take(self, rows: IntArray) -> Pool:
        """The chosen rows, in their order."""
        parts: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Endings):
                parts[each.name] = Endings._make(part[rows] for part in value)
            elif isinstance(value, np.ndarray):
                parts[each.name] = value[rows]
        places = rows.tolist()
        marks = {new: self.marks[old] for new, old in enumerate(places) if old in self.marks}
        return replace(self, **parts, marks=marks, text=lambda row: self.text(places[row]))


def joined(pools: Sequence[Pool]) -> Pool:
    """Several pools one below the other."""
    first = pools[0]
    parts: dict[str, Any] = {}
    for each in fields(first):
        values = [getattr(pool, each.name) for pool in pools]
        if isinstance(values[0], Endings):
            parts[each.name] = Endings._make(map(np.concatenate, zip(*values, strict=True)))
        elif isinstance(values[0], np.ndarray):
            parts[each.name] = np.concatenate(values)
    starts = np.cumsum([0, *(pool.size for pool in pools)])
    marks = {
        int(start) + row: kept
        for start, pool in zip(starts, pools, strict=False)
        for row, kept in pool.marks.items()
    }

    def text(row: int) -> str:
        place = int(np.searchsorted(starts, row, side="right")) - 1
        return pools[place].text(row - int(starts[place]))

    return replace(first, **parts, marks=marks, text=text)


def modelled(
    looked: Looked, choice: Choice, structures: Sequence[StandardStructure],
    templates: Mapping[str, Template], settings: Settings, sources: Mapping[str, TradeSource],
) -> Pool:  # fmt: skip
    """
    The pool of a walk over modelled smiles, (m x s) rows, structures within days.

    Args:
        sources: What each symbol stands on.
    """
    count, kinds = choice.rank.shape
    days = np.repeat(looked.day, kinds)
    expiry = days + settings.backtest.days
    chosen = [templates[structure.name] for structure in structures]

    def by_day(column: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(column, kinds)

    def by_structure(values: Sequence[str]) -> NDArray[Any]:
        return np.tile(np.array(values, dtype=object), count)

    def text(row: int) -> str:
        day, place = divmod(row, kinds)
        legs = structures[place].legs
        strikes = "/".join(
            f"{strike:.2f}{'C' if leg.is_call else 'P'}"
            for leg, strike in zip(legs, looked.strike[day, place].tolist(), strict=False)
        )
        later = days[row] + int(np.nan_to_num(looked.far_days[day]))
        when = f"{expiry[row]}/{later}" if structures[place].has_far else f"{expiry[row]}"
        return f"{chosen[place].name} {strikes} {when}"

    flat = {name: getattr(looked, name).reshape(-1) for name in (
        "credit", "costs", "other_costs", "margin", "tail", "pos", "ev", "ranked_ev", "held",
        "managed", "days", "leaving", "other_leaving", "exit_move", "unmarked", "final",
        "other_final",
    )}  # fmt: skip
    move = by_day(looked.move)
    reason = np.array(REASONS, dtype=object)[looked.reason.reshape(-1)]
    held_on = reason == REASONS[0]
    return Pool(
        symbol=by_day(looked.symbol),
        strategy=by_structure([template.name for template in chosen]),
        side=by_structure([template.side for template in chosen]),
        source=by_day(np.array([sources[name] for name in looked.symbol.tolist()], dtype=object)),
        day=days,
        expiry=expiry,
        rank=choice.rank.reshape(-1),
        passed=choice.passed.reshape(-1),
        score=choice.score.reshape(-1),
        credit=flat["credit"],
        costs=flat["costs"],
        other_costs=flat["other_costs"],
        margin=flat["margin"],
        cvar=flat["tail"],
        pos=looked.ranked_pos.reshape(-1),
        ev=flat["ranked_ev"],
        ev_market=flat["ev"],
        iv30=by_day(looked.iv30),
        iv_percentile=by_day(looked.iv_percentile),
        earnings=by_day(looked.earnings),
        unmarked=flat["unmarked"],
        unknown=np.array(walk.UNKNOWN, dtype=object)[by_day(looked.unknown)],
        held=Endings(
            flat["held"], flat["final"], flat["other_final"], expiry,
            np.full(count * kinds, REASONS[0], dtype=object), move,
        ),
        managed=Endings(
            flat["managed"], flat["leaving"], flat["other_leaving"],
            np.where(held_on, expiry, days + flat["days"].astype(np.int64)), reason,
            np.where(held_on, move, flat["exit_move"]),
        ),
        text=text,
    )  # fmt: skip
