"""
Which alternative is best: by the exit rules where one fired, else by score, and holding wins ties.

Where a rule fired, the alternatives that do what it asks for come first, best score on top. Else
the score decides; but what beats holding by score alone, while its expected value lies within the
error of that of holding, is a tie, and a tie costs nothing to leave alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tomic.models.journal import ExitSignal
from tomic.models.manage import Move
from tomic.models.moves import MoveKind

_CLOSE = frozenset({MoveKind.CLOSE})
_LESS = frozenset({MoveKind.CLOSE, MoveKind.PART})
_CLOSE_OR_ROLL = frozenset(
    {
        MoveKind.CLOSE, MoveKind.ROLL, MoveKind.ROLL_DELTA, MoveKind.TESTED_OUT,
        MoveKind.KEEP_LONG,
    }
)  # fmt: skip
_DEFEND = _CLOSE_OR_ROLL | {MoveKind.TESTED_AWAY}

_CENT = 0.01
"""Differences of less are none."""

ANSWERS: Mapping[str, frozenset[MoveKind]] = {
    "stop": _CLOSE,
    "profit_target": _CLOSE,
    "min_dte": _CLOSE_OR_ROLL,
    "max_days_in_trade": _CLOSE,
    "short_delta": _DEFEND,
    "short_strike_breached": _DEFEND,
    "spot_below": _CLOSE,
    "spot_above": _CLOSE,
    "iv_rank_below": _CLOSE,
    "iv_rise": _LESS,
    "earnings_days": _CLOSE,
    "dividend_days": _CLOSE_OR_ROLL,
    "negative_ev": _CLOSE,
}
"""What does what each rule of `journal.exits` asks for."""


def answers(signals: Iterable[ExitSignal]) -> frozenset[MoveKind]:
    """
    What all fired rules allow; where they share nothing, what the most urgent of them does.

    Empty where none fired. *signals* come most urgent first.
    """
    wanted = [ANSWERS[signal.rule] for signal in signals if signal.fired]
    if not wanted:
        return frozenset()
    return frozenset.intersection(*wanted) or wanted[0]


def ranked(moves: Sequence[Move], signals: Sequence[ExitSignal]) -> tuple[Move, ...]:
    """*moves* with rank and reason, best first; holding is among them."""
    fired = [signal for signal in signals if signal.fired]
    allowed = answers(fired)
    by_score = sorted(moves, key=lambda move: (-move.score, -move.ev, move.text))
    first = [move for move in by_score if move.kind in allowed]
    rest = [move for move in by_score if move.kind not in allowed]
    hold = next(move for move in moves if move.kind is MoveKind.HOLD)
    order = first + _holding_first(rest, hold)
    return tuple(
        move.model_copy(
            update={
                "rank": place,
                "by_rule": move.kind in allowed,
                "reason": _reason(move, hold, fired, allowed, is_best=place == 1),
            }
        )
        for place, move in enumerate(order, 1)
    )


def is_tie(move: Move) -> bool:
    """Whether its expected value lies within the error of that of holding."""
    return abs(move.ev_change) <= max(move.ev_error, _CENT)


def _holding_first(by_score: Sequence[Move], hold: Move) -> list[Move]:
    above = [move for move in by_score if move.score > hold.score]
    better = [move for move in above if not is_tie(move)]
    others = [move for move in by_score if move not in better and move is not hold]
    return [*better, hold, *others]


def _reason(
    move: Move,
    hold: Move,
    fired: Sequence[ExitSignal],
    allowed: frozenset[MoveKind],
    *,
    is_best: bool,
) -> str:
    if move.kind in allowed:
        rules = "; ".join(f"{signal.rule}: {signal.text}" for signal in fired)
        costs = move.spread_cost + move.commission
        return f"{rules}; by your rule, for {costs:.2f} of costs"
    if move.kind is MoveKind.HOLD:
        if fired:
            return f"against your rule {fired[0].rule}"
        return "no rule fired, and nothing is better by more than its error" if is_best else ""
    beside = f"EV {move.ev_change:+.0f} ± {move.ev_error:.0f} beside holding"
    if move.score <= hold.score:
        return f"{beside}, score {move.score:.1f} under {hold.score:.1f}"
    if is_tie(move):
        return f"{beside}: a tie, and holding wins it"
    return f"{beside}, score {move.score:.1f} over {hold.score:.1f}"
