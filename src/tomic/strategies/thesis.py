"""One thesis, one row: trades of a symbol that want the same of it by the same week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tomic.models import Alternative, Side
from tomic.strategies import measures
from tomic.strategies.candidates import Candidates
from tomic.strategies.measures import Batch
from tomic.strategies.rules import CandidateGroup, trade_text
from tomic.strategies.search import Contender, Hit

SHOWN = 3
"""Alternatives that a proposal carries."""
APART = 0.5
"""Standard deviations to the first expiry by which a strike makes another choice of a trade."""


class Thesis(NamedTuple):
    """What a trade wants of its underlying."""

    symbol: str
    side: Side
    year: int
    week: int
    """ISO week of the first expiry, of the ISO year."""


def of(hit: Hit) -> Thesis:
    """The thesis of a candidate."""
    return named(hit.board.chain.symbol, hit.group)


def named(symbol: str, group: CandidateGroup) -> Thesis:
    """The thesis of a symbol's candidates of one group."""
    year, week, _ = group.expiry.isocalendar()
    return Thesis(symbol, group.side, year, week)


def others(hit: Hit, passed: Mapping[CandidateGroup, int]) -> int:
    """How many other candidates of its symbol, which *passed* counts, have the thesis of *hit*."""
    own = of(hit)
    return sum(count for group, count in passed.items() if named(own.symbol, group) == own) - 1


def alternatives(
    chosen: Contender, contenders: Iterable[Contender], *, most: int = SHOWN
) -> tuple[Alternative, ...]:
    """The figures of `runners_up`."""
    return tuple(map(_described, runners_up(chosen, contenders, most=most)))


def runners_up(
    chosen: Contender, contenders: Iterable[Contender], *, most: int = SHOWN
) -> list[Contender]:
    """
    The best other trades of the thesis of *chosen*, best first, each one another choice.

    Another choice is another strategy, or a strike `APART` from those of all that come before it.
    """
    thesis = of(chosen.hit)
    kept = [chosen.hit]
    same = (contender for contender in contenders if of(contender.hit) == thesis)
    found: list[Contender] = []
    for contender in sorted(same, key=lambda each: each.key):
        if len(found) == most:
            break
        if all(is_another_choice(contender.hit, hit) for hit in kept):
            kept.append(contender.hit)
            found.append(contender)
    return found


def is_another_choice(hit: Hit, other: Hit) -> bool:
    """Whether two candidates of one symbol differ in more than a strike next door."""
    if _kind(hit) != _kind(other):
        return True
    unit = hit.board.outlooks[hit.expiries[0]].sigma_points
    apart = np.abs(_strikes(hit) - _strikes(other))
    return bool((apart >= APART * unit).any())


def _kind(hit: Hit) -> tuple[str, Sequence[str]]:
    """The strategy, of mirrored ones also the rights; a short put is one, secured or not."""
    name = "naked_put" if hit.template.name == "cash_secured_put" else hit.template.name
    return name, [leg.right for leg in hit.template.legs]


def _strikes(hit: Hit) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(hit.board.strike[list(hit.rows)])


def _described(contender: Contender) -> Alternative:
    hit = contender.hit
    row = np.array([hit.rows], dtype=np.int64)
    batch = Batch.of([Candidates(hit.template, hit.expiries, row)])
    figures = measures.measure(batch, hit.board)
    return Alternative(
        strategy=hit.template.name,
        trade=trade_text(hit.board, hit.template, hit.rows),
        expiry=hit.expiries[0],
        credit=float(figures.credit[0] + figures.commission[0]),
        pos=float(figures.pos[0]),
        ev=hit.ev,
        margin=hit.margin,
        score=contender.score,
    )
