"""Five a week: the best that leave room for others."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from tomic.evidence import ranking

SYMBOL = np.repeat(np.arange(4), 6)
STRUCTURE = np.tile(np.arange(6), 4)
WEEK = np.zeros(24, dtype=np.int64)


def test_the_best_go_first():
    """The first chosen has the highest score."""
    score = np.random.default_rng(0).random(24)

    chosen = ranking.top(score, WEEK, SYMBOL, STRUCTURE)

    assert chosen[0] == np.argmax(score)
    assert chosen.size == 5
    assert (np.diff(score[chosen]) < 0.0).all()


def test_at_most_two_of_a_symbol_and_three_of_a_structure():
    """A symbol with the six best scores gives two of them; a structure that leads gives three."""
    by_symbol = np.where(SYMBOL == 2, 1.0, 0.5) + np.arange(24) * 1e-3
    by_structure = np.where(STRUCTURE == 1, 1.0, 0.5) + np.arange(24) * 1e-3

    first = ranking.top(by_symbol, WEEK, SYMBOL, STRUCTURE)
    second = ranking.top(by_structure, WEEK, SYMBOL, STRUCTURE)

    assert (SYMBOL[first] == 2).sum() == 2
    assert (STRUCTURE[second] == 1).sum() == 3


def test_every_week_has_its_own():
    """Weeks do not share limits, in whatever order the rows stand."""
    week = np.concatenate((WEEK + 7, WEEK))
    score = np.random.default_rng(1).random(48)

    chosen = ranking.top(score, week, np.tile(SYMBOL, 2), np.tile(STRUCTURE, 2))

    assert_array_equal(week[chosen], [0] * 5 + [7] * 5)


def test_what_has_no_score_is_never_chosen():
    """Rows of NaN are left out; with none left nothing is chosen."""
    score = np.where(np.arange(24) < 3, 1.0, np.nan)

    assert ranking.top(score, WEEK, SYMBOL, STRUCTURE).tolist() == [0, 1]
    assert ranking.top(np.full(24, np.nan), WEEK, SYMBOL, STRUCTURE).size == 0


def test_chance_is_seeded():
    """The same seed chooses the same five, another one others."""
    one, again, other = (
        ranking.at_random(WEEK, SYMBOL, STRUCTURE, seed=seed) for seed in (3, 3, 4)
    )

    assert_array_equal(one, again)
    assert one.tolist() != other.tolist()


def test_a_week_is_the_mean_of_its_trades():
    """By week, ascending."""
    weeks, mean = ranking.by_week(
        np.array([0, 1, 3]), np.array([9, 9, 9, 2]), np.array([1.0, 3.0, 5.0, 7.0])
    )

    assert weeks.tolist() == [2, 9]
    assert_allclose(mean, [7.0, 2.0])
