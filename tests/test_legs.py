"""Legs as people write them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from tomic import legs
from tomic.errors import UsageError
from tomic.legs import NamedLeg

JUNE = dt.date(2025, 6, 20)
DECEMBER = dt.date(2026, 12, 18)


def test_strategy_by_name_in_either_order_of_strikes():
    """A short put spread sells the higher strike, however the two are written."""
    expected = (NamedLeg("SPY", 2, "P", 550.0, JUNE), NamedLeg("SPY", -2, "P", 560.0, JUNE))

    assert legs.parse("short_put_spread 560/550 2025-06-20 x2", "SPY") == expected
    assert legs.parse("SPY short-put-spread 550/560 20250620 2x") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iron_condor 550/560/620/630", [(1, 550, "P"), (-1, 560, "P"), (-1, 620, "C"),
                                         (1, 630, "C")]),
        ("iron_butterfly 550/600/600/650", [(1, 550, "P"), (-1, 600, "P"), (-1, 600, "C"),
                                            (1, 650, "C")]),
        ("ratio_spread 560/550P", [(1, 560, "P"), (-2, 550, "P")]),
        ("ratio_spread 560/570 calls", [(1, 560, "C"), (-2, 570, "C")]),
        ("put_backspread 560/550", [(2, 550, "P"), (-1, 560, "P")]),
        ("long_butterfly 90/100/110C", [(1, 90, "C"), (-2, 100, "C"), (1, 110, "C")]),
        ("covered_call 620", [(100, None, ""), (-1, 620, "C")]),
        ("jade_lizard 550/620/630", [(-1, 550, "P"), (-1, 620, "C"), (1, 630, "C")]),
    ],
)  # fmt: skip
def test_shapes_of_strategies(text, expected):
    """Each named strategy stands for its textbook legs."""
    found = legs.read(f"{text} 2025-06-20", "SPY")

    assert [(leg.quantity, leg.strike, leg.right) for leg in found.legs] == expected
    assert found.strategy == text.split()[0]


def test_calendar_and_diagonal_sell_the_near_expiry():
    """Strikes of a diagonal belong to the expiries in the order in which both are written."""
    calendar = legs.parse("SPY calendar 580P 2026-12-18/2025-06-20")
    diagonal = legs.parse("SPY diagonal 570/580C 2025-06-20/2026-12-18")

    assert calendar == (
        NamedLeg("SPY", -1, "P", 580.0, JUNE),
        NamedLeg("SPY", 1, "P", 580.0, DECEMBER),
    )
    assert diagonal == (
        NamedLeg("SPY", -1, "C", 570.0, JUNE),
        NamedLeg("SPY", 1, "C", 580.0, DECEMBER),
    )


@pytest.mark.parametrize(
    "text",
    [
        "-1 SPY 2026-12-18 580P, +1 570P",
        "-1 SPY 2026-12-18 580P +1 SPY 2026-12-18 570P",
        "-580P +570P 2026-12-18",
        "sell 1 SPY 18DEC26 580P; buy 570P",
        "SPY -1x580P +1x570P 20261218",
        "-1 SPY   261218P00580000, +1 SPY261218P00570000",
        "sell 1 SPY 2026-12-18 580 put, buy 1 SPY 2026-12-18 570 put",
    ],
)
def test_ways_to_write_a_spread(text):
    """Signs, words, dates and OCC symbols lead to the same legs."""
    assert legs.parse(text, "SPY") == (
        NamedLeg("SPY", -1, "P", 580.0, DECEMBER),
        NamedLeg("SPY", 1, "P", 570.0, DECEMBER),
    )


def test_shares_and_prices():
    """Shares need no strike; a price stands behind an @."""
    stock, call = legs.parse("+100 XLF @38.2, -1 XLF 2026-12-18 40C @0.55")

    assert stock == NamedLeg("XLF", 100, price=38.2)
    assert call == NamedLeg("XLF", -1, "C", 40.0, DECEMBER, 0.55)


def test_strategies_and_legs_may_be_mixed():
    """Commas part a named strategy from the legs beside it; the whole then has no name."""
    found = legs.read("SPY short_put_spread 560/570 2026-12-18 x2, +100 SPY")

    assert [leg.quantity for leg in found.legs] == [2, -2, 100]
    assert found.strategy is None


def test_trailing_times_multiplies_everything():
    """x3 at the end trebles every leg."""
    assert [leg.quantity for leg in legs.parse("SPY -580P +570P 2026-12-18 x3")] == [-3, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no legs"),
        ("short_put_spred 560/550 2025-06-20", "did you mean short_put_spread"),
        ("SPY short_put_spread 560 2025-06-20", "needs 2 different strikes"),
        ("SPY short_put 0 2025-06-20", "a strike must be a price above zero"),
        ("SPY short_put_spread 560/0 2025-06-20", "a strike must be a price above zero"),
        ("SPY calendar 0 2025-06-20/2025-07-18", "a strike must be a price above zero"),
        (f"SPY short_put {'9' * 400} 2025-06-20", "a strike must be a price above zero"),
        ("SPY short_put_spread 560/550", "needs one expiry"),
        ("SPY calendar 560 2025-06-20/2026-12-18", "say calls or puts"),
        ("SPY long_butterfly 90/100/110 2025-06-20", "say calls or puts"),
        ("short_put_spread 560/550 2025-06-20", "name the symbol"),
        ("SPY 2025-06-20 560P", "write + or -"),
        ("-1 SPY 560P", "name the expiry"),
        ("-1 SPY 2025-13-40 560P", "is not an expiry"),
        ("-0 SPY 2025-06-20 560P", "0 contracts"),
        ("-1 SPY 2025-06-20 560", "C or P"),
        ("-1 SPY ??? 560P", "cannot read"),
    ],
)
def test_refusals_say_what_is_missing(text, said):
    """What cannot be read is named, with the way to write it."""
    with pytest.raises(UsageError, match=said.replace("?", r"\?").replace("+", r"\+")):
        legs.parse(text)


options = st.builds(
    NamedLeg,
    symbol=st.sampled_from(["SPY", "BRK.B", "AAPL"]),
    quantity=st.integers(-20, 20).filter(bool).map(float),
    right=st.sampled_from(["C", "P"]),
    strike=st.integers(1, 20000).map(lambda n: n / 4.0),
    expiry=st.dates(dt.date(2024, 1, 1), dt.date(2030, 12, 31)),
    price=st.one_of(st.none(), st.integers(1, 5000).map(lambda n: n / 100.0)),
)
shares = st.builds(
    NamedLeg, symbol=st.sampled_from(["SPY", "BRK.B"]), quantity=st.sampled_from([100.0, -250.0])
)


@given(st.lists(options | shares, min_size=1, max_size=6))
def test_written_legs_read_back(some):
    """Writing and reading are inverse."""
    assert legs.parse(legs.write(some)) == tuple(some)


@pytest.mark.parametrize(
    "text",
    [
        "-1 IWM 2026-12-18 211P@3.05",
        "-1 IWM 2026-12-18 211P @3.05",
        "IWM -211P@3.05 2026-12-18",
        "-1 IWM261218P00211000@3.05",
    ],
)
def test_a_price_stands_behind_its_leg_with_or_without_a_blank(text):
    """``211P@3.05`` is what people write."""
    (leg,) = legs.parse(text)

    assert (leg.strike, leg.right, leg.price) == (211.0, "P", 3.05)


def test_a_listing_keeps_its_exchange():
    """An ``@`` before letters is an exchange, not a price."""
    (leg,) = legs.parse("-1 ASML@AEB 2026-12-18 700P@3.05")

    assert (leg.symbol, leg.price) == ("ASML@AEB", 3.05)
