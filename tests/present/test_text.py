"""Numbers as text: the same for commands, panel and report."""

from __future__ import annotations

import math

import pytest

from tomic.present.text import PlainTable, fitted_to, folded, money, number, points, reasons


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (None, {}, ""),
        (math.nan, {}, ""),
        (0.0, {}, "0.00"),
        (0.1834, {"decimals": 1, "factor": 100.0}, "18.3"),
        (12345.678, {}, "12,345.68"),
        (-0.305, {}, "-0.30"),
        (-0.001, {}, "0.00"),
        (-0.001, {"signed": True}, "0.00"),
        (0.001, {"signed": True}, "0.00"),
        (0.0415, {"decimals": 1, "factor": 100.0, "signed": True}, "+4.2"),
        (-1000.0, {"decimals": 0, "signed": True}, "-1,000"),
        (math.inf, {"signed": True}, "unlimited"),
    ],
)
def test_numbers(value, options, text):
    """Fixed decimals and thousands separators; what is missing is empty, nothing has no sign."""
    assert number(value, **options) == text


def test_money_and_per_cents():
    """Money has its sign; a fraction is written times a hundred."""
    assert [money(1234.5), money(-0.5, 1), money(None)] == ["+1,234.50", "-0.5", ""]
    assert points(0.0415) == "4.2"


def test_a_shared_reason_is_told_once():
    """What several things share stands behind all their names, and a name stands once."""
    given = [("A", "no TWS"), ("B", "B has no options"), ("A1", "no TWS"), ("F", "Filled up")]

    assert reasons(given) == ["A, A1: no TWS", "B has no options", "F: Filled up"]


def wide() -> PlainTable:
    table = PlainTable("id", "strategy", "P&L", "why", left=(0, 1, 3), drops=("strategy", "none"))
    table.add_row("SPY-1", "iron condor", "+77", "no rule fired, and nothing beats holding")
    return table


def test_a_narrow_screen_folds_the_last_column_and_then_drops():
    """What there is no room for is named; without a screen a table is as wide as it is."""
    with fitted_to(60):
        folded_only = wide().text()
    with fitted_to(34):
        dropped = wide().text()

    assert max(map(len, wide().text().splitlines())) > 60
    assert max(map(len, folded_only.splitlines())) <= 60
    assert "strategy" in folded_only
    assert max(map(len, dropped.splitlines())) <= 34
    assert dropped.splitlines()[-1] == "no room for:  strategy"
    assert "iron condor" not in dropped


def test_a_long_line_folds_under_its_text():
    """Past its label, at a point between two facts or a blank; no word is broken."""
    line = "entry    spot 590.16 · IV 17.1% · rank 87%"
    with fitted_to(30):
        text = folded(line)

    assert text.splitlines() == ["entry    spot 590.16 ·", "         IV 17.1% · rank 87%"]
    assert folded(line) == line
