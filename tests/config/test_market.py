"""Settings of the market: strike ranges and what the web patterns read."""

from __future__ import annotations

import re

import pytest

from tomic.config import ChainSettings, WebSettings


@pytest.mark.parametrize(
    ("given", "kept"), [("10", "10"), (7, "7"), (2.5, "2.5"), (" 5% ", "5%"), ("1.5S", "1.5s")]
)
def test_strike_ranges(given, kept):
    """Points, per cents and sigmas, in one spelling each."""
    assert ChainSettings(strike_range=given).strike_range == kept


@pytest.mark.parametrize("given", ["0", "-5", "5 points", "", "%", "1e3", "2s5"])
def test_wrong_strike_ranges_are_refused(given):
    """Zero, negative and wordy ranges are refused."""
    with pytest.raises(ValueError, match="strike"):
        ChainSettings(strike_range=given)


def read(field: str, page: str) -> float | None:
    for pattern in WebSettings().patterns[field]:
        found = re.search(pattern, page, re.IGNORECASE | re.DOTALL)
        if found:
            return float(found[1])
    return None


@pytest.mark.parametrize(
    ("field", "page", "value"),
    [
        ("iv_rank", "IV &nbsp;Rank:</span> <span><strong>45.2%", 45.2),
        ("implied_volatility", "Implied Volatility:</span> x <strong>18.5%", 18.5),
        ("iv_percentile", "IV Pctl:</span> <strong>60%", 60.0),
        ("iv_percentile", "IV Percentile</td><td class='w-3'>60.5 %", 60.5),
        ("spot_price", '{"lastPrice": 601.2}', 601.2),
        ("skew", "Skew -2.5%", -2.5),
        ("atr14", "ATR (14) 7.1", 7.1),
        ("hv30", "Historic Volatility 15.3%", 15.3),
        ("hv30", "Historic&nbsp;Volatility:</span><strong>15.3%", 15.3),
        ("vix", "VIX futures fell 3.2 % in 2024; VIX:</span><span><strong>17.24</strong>", 17.24),
        ("vix", "VIX futures fell 3.2 % in 2024", None),
        ("vix", "VIX: up 4.1%", None),
        ("iv_rank", "IV Rank: N/A</span> and later, elsewhere on the page, up 12 of 45.2%", None),
        ("term_m1_m2", "M1-M2 -1.2%", None),
    ],
)
def test_patterns_find_their_number_and_no_other(field, page, value):
    """The labels of the page give their own number; unrelated text gives none."""
    assert read(field, page) == value


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"url": "https://example.org/"}, "must be a web address with {symbol}"),
        ({"patterns": {"skew": ["(x"]}}, "is not a regular expression"),
        ({"patterns": {"skew": ["x"]}}, "must have one group"),
        ({"patterns": {"colour": ["(x)"]}}, "no such field"),
    ],
)
def test_wrong_web_settings_are_refused(given, reason):
    """An address without symbol, and patterns that cannot give a number, are refused."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        WebSettings(**given)
