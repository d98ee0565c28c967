"""Rows of a pool stay together, whatever is taken from it or put below it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from support import walked
from tomic.evidence import pool as pools


@pytest.fixture(scope="module")
def found():
    """A short walk."""
    return walked.walked(walked.table(120))


def test_taken_rows_keep_their_text(found):
    """Text, outcome and promise of a row are those of the row it came from."""
    rows = np.flatnonzero(found.pool.rank > 0)[::3]
    few = found.pool.take(rows)

    assert few.size == rows.size
    assert [few.text(place) for place in range(few.size)] == [found.pool.text(row) for row in rows]
    assert_array_equal(few.managed.gross, found.pool.managed.gross[rows])


def test_joined_pools_are_one_below_the_other(found):
    """Texts and marks of the second follow those of the first."""
    one, two = found.pool.take(np.arange(5)), found.pool.take(np.arange(5, 12))
    day = one.day[0].item()
    both = pools.joined([one, pools.replace(two, marks={2: [(day, 1.0)]})])

    assert both.size == 12
    assert [both.text(row) for row in range(12)] == [found.pool.text(row) for row in range(12)]
    assert both.marks == {7: [(day, 1.0)]}


def test_a_trade_reads_as_its_legs(found):
    """Strategy, strikes with their rights, and expiry."""
    row = int(np.flatnonzero(found.pool.strategy == "iron_condor")[0])
    words = found.pool.text(row).split()

    assert words[0] == "iron_condor"
    assert [leg[-1] for leg in words[1].split("/")] == ["P", "P", "C", "C"]
    assert words[2] == str(found.pool.day[row] + 30)
