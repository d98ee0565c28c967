"""Numbers as text: the same for commands, panel and report."""

from __future__ import annotations

import math

import pytest

from tomic.present.text import money, number, points


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
