"""What became of alternatives that were shown: each held to its first expiry, beside holding."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tomic.journal.statistics import CENTS, settle_proposal
from tomic.models.manage import Advice, Move
from tomic.models.moves import MoveKind, MoveRecord


def last_day(advice: Advice) -> dt.date | None:
    """The day by which the outcome of every alternative is known; None where nothing is judged."""
    days = [move.expiry for move in advice.moves if move.expiry is not None]
    return max(days, default=advice.as_of.date() if advice.moves else None)


def settle(
    advice: Advice,
    spots: Mapping[dt.date, float],
    *,
    vol_ratio: Callable[[dt.date], float],
    is_american: bool = True,
) -> dict[str, Any]:
    """
    Results of all alternatives, each traded as it was shown and held to its first expiry.

    Args:
        spots: Price of the underlying at the first expiry of each.
        vol_ratio: How its 30-day volatility changed up to a day, for legs that live on.

    Returns:
        JSON-ready: ``moves``, each with ``kind``, ``rank``, ``expected``, ``result`` of the
        campaign and its ``change`` beside holding; currency.
    """
    results = [
        _result(move, spots, vol_ratio=vol_ratio, is_american=is_american) for move in advice.moves
    ]
    held = next(
        (r for r, move in zip(results, advice.moves, strict=True) if move.kind is MoveKind.HOLD),
        math.nan,
    )
    return {
        "moves": [
            {
                "kind": move.kind.value,
                "rank": move.rank,
                "expected": round(move.ev_change, CENTS),
                "result": result,
                "change": round(result - held, CENTS),
            }
            for move, result in zip(advice.moves, results, strict=True)
        ]
    }


def _result(
    move: Move,
    spots: Mapping[dt.date, float],
    *,
    vol_ratio: Callable[[dt.date], float],
    is_american: bool,
) -> float:
    if move.expiry is None:
        return round(move.net_credit, CENTS)
    settled = settle_proposal(
        move, spots[move.expiry], vol_ratio=vol_ratio(move.expiry), is_american=is_american
    )
    return float(settled["result"])


class EndedAdvice(NamedTuple):
    """One alternative whose outcome is known."""

    position: str
    currency: str
    day: dt.date
    kind: MoveKind
    rank: int
    expected: float
    result: float
    change: float


def compare(ended: Iterable[EndedAdvice]) -> list[MoveRecord]:
    """
    Means by currency and kind, in the order of `MoveKind`.

    Of a position that was looked at several times a day the first time counts; of several
    alternatives of one kind the best ranked.
    """
    first: dict[tuple[str, dt.date, MoveKind], EndedAdvice] = {}
    for alternative in ended:
        key = (alternative.position, alternative.day, alternative.kind)
        if key not in first or alternative.rank < first[key].rank:
            first[key] = alternative
    alike: dict[tuple[str, MoveKind], list[EndedAdvice]] = {}
    for alternative in first.values():
        alike.setdefault((alternative.currency, alternative.kind), []).append(alternative)
    currencies = dict.fromkeys(currency for currency, _ in alike)
    return [
        _record(currency, kind, alike[currency, kind])
        for currency in currencies
        for kind in MoveKind
        if (currency, kind) in alike
    ]


def _record(currency: str, kind: MoveKind, ended: list[EndedAdvice]) -> MoveRecord:
    count = len(ended)
    return MoveRecord(
        kind=kind,
        currency=currency,
        n=count,
        result=math.fsum(alternative.result for alternative in ended) / count,
        change=math.fsum(alternative.change for alternative in ended) / count,
        better=sum(alternative.change > 0.0 for alternative in ended) / count,
        expected=math.fsum(alternative.expected for alternative in ended) / count,
        chosen=sum(alternative.rank == 1 for alternative in ended),
    )
