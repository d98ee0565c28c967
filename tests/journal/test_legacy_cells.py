"""Cells of the original's journal as people typed them."""

from __future__ import annotations

import pytest

from tomic.journal.legacy_cells import number_of, percent_of, rank_of, volatility_of


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (1.5, 1.5),
        ("1,5", 1.5),
        (" 45.2% ", 45.2),
        ("", None),
        ("n/a", None),
        ("nan", None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_numbers(cell, number):
    """A number may be text, with a decimal comma or a per-cent sign; the rest is none."""
    assert number_of(cell) == number
    assert percent_of(cell) == (None if number is None else pytest.approx(number / 100.0))


@pytest.mark.parametrize(
    ("cell", "sigma"),
    [(18.5, 0.185), (0.185, 0.185), (1.5, 1.5), (0, None), (-3, None), ("", None)],
)
def test_volatilities(cell, sigma):
    """Above 1.5 it is per cents, up to there a fraction; nothing or less is no volatility."""
    assert volatility_of(cell) == sigma


@pytest.mark.parametrize(("cell", "rank"), [(45.2, 0.452), (0.45, 0.45), (1, 1.0), ("?", None)])
def test_ranks(cell, rank):
    """Up to 1 a rank is a fraction, above it per cents."""
    assert rank_of(cell) == rank
