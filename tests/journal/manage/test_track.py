"""What alternatives came to, by the machinery that settles proposals."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from support.journal_entries import EXPIRY, LATER
from support.managed_positions import assigned, attacked_put, calendar, judge
from tomic.journal.manage import track
from tomic.models.documents import to_document
from tomic.models.manage import Advice
from tomic.models.moves import MoveKind

DAY = dt.date(2025, 6, 2)


def advice_of(script, **market) -> Advice:
    case = judge(*script(), **market)
    return Advice(
        id="1",
        symbol="SPY",
        strategy=case.entry.strategy,
        as_of=case.board.chain.as_of,
        moves=case.moves,
        refused=case.refused,
    )


def by_kind(outcome) -> dict[str, dict]:
    return {one["kind"]: one for one in reversed(outcome["moves"])}


def test_every_alternative_is_settled_at_its_own_expiry():
    """Closing brought its cash, holding the payoff at the first expiry, the roll at the later."""
    advice = advice_of(attacked_put)
    moves = {move.kind: move for move in advice.moves}

    outcome = track.settle(advice, {EXPIRY: 580.0, LATER: 600.0}, vol_ratio=lambda _: 1.0)

    ended = by_kind(outcome)
    assert ended["close"]["result"] == pytest.approx(moves[MoveKind.CLOSE].net_credit, abs=0.01)
    assert ended["hold"]["result"] == pytest.approx(1000.0 - 2000.0, abs=10.0)
    assert ended["roll out"]["result"] == pytest.approx(moves[MoveKind.ROLL].net_credit, abs=0.01)
    change = ended["close"]["result"] - ended["hold"]["result"]
    assert ended["close"]["change"] == pytest.approx(change, abs=0.01)
    assert ended["hold"]["change"] == 0.0


def test_shares_are_settled_at_the_price_of_the_day():
    """Shares taken at 590 for a put of 5.00: what they rise beyond their forward is gained."""
    advice = advice_of(assigned)
    hold = advice.hold
    assert hold is not None and hold.expiry is not None

    ended = by_kind(track.settle(advice, {hold.expiry: 600.0}, vol_ratio=lambda _: 1.0))

    risen = math.exp(-hold.rate * hold.tau) * (600.0 - hold.forward)
    assert ended["hold"]["result"] == pytest.approx(500.0 + 100 * (575.0 - 590.0 + risen), abs=0.01)


def test_later_legs_are_valued():
    """A calendar held to its front keeps what its back is worth."""
    advice = advice_of(calendar)
    days = {move.expiry for move in advice.moves} - {None}

    ended = by_kind(track.settle(advice, dict.fromkeys(days, 595.0), vol_ratio=lambda _: 1.0))

    assert ended["hold"]["result"] > 300.0


def test_last_day():
    """All is known when the last first expiry is past."""
    assert track.last_day(advice_of(attacked_put)) == LATER
    nothing = Advice(
        id="1", symbol="SPY", strategy="", as_of=dt.datetime(2025, 6, 2, tzinfo=dt.UTC)
    )
    assert track.last_day(nothing) is None


def test_advice_is_read_back_as_it_was_written():
    """A document of the store gives the same alternatives."""
    advice = advice_of(attacked_put, targets=True)

    assert Advice.model_validate(to_document(advice)) == advice
    assert advice.hold is not None and advice.hold.kind is MoveKind.HOLD
    assert advice.best == advice.moves[0]


def ended(
    kind: MoveKind, change: float, *, day=DAY, rank=1, position="1", currency="USD"
) -> track.EndedAdvice:
    return track.EndedAdvice(
        position, currency, day, kind, rank, expected=-5.0, result=100.0, change=change
    )


def test_comparison_counts_a_position_once_a_day():
    """The first look of a day, of a kind its best ranked; means and shares over these."""
    looks = [
        ended(MoveKind.ROLL, 10.0, rank=3),
        ended(MoveKind.ROLL, 50.0, rank=2),
        ended(MoveKind.ROLL, -90.0, rank=2),
        ended(MoveKind.ROLL, -20.0, day=DAY + dt.timedelta(days=1)),
        ended(MoveKind.CLOSE, 4.0),
    ]

    close, roll = track.compare(looks)

    assert (close.kind, close.n, close.change, close.better) == (MoveKind.CLOSE, 1, 4.0, 1.0)
    assert (roll.n, roll.change, roll.better, roll.chosen) == (2, 15.0, 0.5, 1)
    assert roll.expected == -5.0


def test_currencies_are_compared_apart():
    """Euros and dollars make no mean."""
    looks = [ended(MoveKind.CLOSE, 4.0), ended(MoveKind.CLOSE, 100.0, position="2", currency="EUR")]

    assert [(each.currency, each.n, each.change) for each in track.compare(looks)] == [
        ("USD", 1, 4.0), ("EUR", 1, 100.0)
    ]  # fmt: skip
