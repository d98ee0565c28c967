"""Legs grouped back into the strategies that were traded."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from support.made_books import position as made_position
from support.properties import examples
from tomic import legs
from tomic.models.book import Position
from tomic.portfolio import grouping
from tomic.portfolio.grouping import Claim, GroupLeg

NEAR, FAR = dt.date(2026, 12, 18), dt.date(2027, 1, 15)


def held(text, account="DU1", symbol="SPY", **more):
    """Positions from the text of their legs."""
    return [position(leg, account, **more) for leg in legs.parse(text, symbol)]


def position(leg, account="DU1", **more):
    option = {"sec_type": "STK", "multiplier": 1.0}
    if not leg.is_stock:
        option = {
            "sec_type": "OPT",
            "multiplier": 100.0,
            "right": leg.right,
            "strike": leg.strike,
            "expiry": leg.expiry,
            "trading_class": leg.symbol,
        }
    fields = {**option, "average_cost": leg.price or 1.0, **more}
    return Position(account=account, symbol=leg.symbol, quantity=leg.quantity, **fields)


def summary(result):
    """Strategy, symbol, and contracts with amounts, of each group."""
    return sorted(
        (
            one.strategy,
            one.symbol,
            tuple(sorted((x.position.contract, x.quantity) for x in one.legs)),
        )
        for one in result.groups
    )


def found(text, **more):
    positions = grouping.merged(held(text, **more))
    return [(one.strategy, one.quantity) for one in grouping.group(positions).groups]


# -- strategies by name --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "iron_condor 550/560/620/630", "iron_condor 540/560/620/630",
        "iron_butterfly 550/600/650", "jade_lizard 550/620/630", "short_put_spread 550/560",
        "short_call_spread 620/630", "long_put_spread 550/560", "long_call_spread 620/630",
        "short_strangle 550/620", "short_straddle 600", "long_strangle 550/620",
        "long_straddle 600", "long_butterfly 550/560/570P", "broken_wing_butterfly 540/560/570P",
        "ratio_spread 560/550P", "ratio_spread 620/630C", "put_backspread 550/560",
        "call_backspread 620/630", "covered_call 620", "protective_put 550", "collar 550/620",
        "short_put 550", "short_call 620", "long_put 550", "long_call 620",
    ],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 3])
def test_strategies_are_recognised(text, count):
    """Every strategy that can be written is found again, at any number."""
    name = text.split()[0]

    assert found(f"{text} 2026-12-18 x{count}") == [(name, count)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-1 2026-12-18 560P, +1 2027-01-15 560P", "calendar"),
        ("+1 2026-12-18 560P, -1 2027-01-15 560P", "short_calendar"),
        ("-1 2026-12-18 560P, +1 2027-01-15 555P", "diagonal"),
        ("+1 2026-12-18 550C, -1 560C, -1 570C, +1 580C", "long_condor"),
        ("-1 2026-12-18 550P, +1 560P, +1 620C, -1 630C", "reverse_iron_condor"),
        ("-1 2026-12-18 550P, +2 560P, -1 570P", "short_butterfly"),
        ("-100 SPY, -1 2026-12-18 550P", "covered_put"),
    ],
)
def test_strategies_over_expiries_and_the_rarer_ones(text, name):
    """Calendars stay together, and sold versions carry their own name."""
    assert found(text) == [(name, 1)]


def test_quantities_keep_strategies_apart():
    """A condor held twice and a spread held three times in one expiry are not torn apart."""
    book = "-2 560P 2026-12-18, +2 550P, -2 620C, +2 630C, -3 565P, +3 555P"

    assert sorted(found(book)) == [("iron_condor", 2), ("short_put_spread", 3)]


def test_partial_overlap_leaves_the_rest_single():
    """Of three long puts beside a condor held twice one is left over."""
    book = "-2 560P 2026-12-18, +3 550P, -2 620C, +2 630C"

    assert sorted(found(book)) == [("iron_condor", 2), ("long_put", 1)]


def test_even_widths_are_preferred():
    """Two spreads of ten points, rather than one of five inside one of fifteen."""
    book = grouping.merged(held("-560P +550P -555P +545P 2026-12-18"))

    assert summary(grouping.group(book)) == summary(
        grouping.group(held("-560P +550P 2026-12-18 x1") + held("-555P +545P 2026-12-18"))
    )
    widths = [
        abs(one.legs[0].position.strike - one.legs[1].position.strike)
        for one in grouping.group(book).groups
    ]
    assert widths == [10.0, 10.0]


def test_two_hundred_and_fifty_shares_cover_two_calls():
    """What no call uses stays as shares."""
    assert sorted(found("+250 SPY, -2 2026-12-18 620C")) == [("covered_call", 2), ("shares", 1)]


# -- what the broker may list ----------------------------------------------------------------


def test_same_contract_nets_and_zero_is_kept_to_be_named():
    """Plus one and minus one of a contract are no position, but not forgotten either."""
    lines = grouping.merged(held("+1 2026-12-18 560P, -1 550P, -1 560P"))

    assert [(one.contract, one.quantity) for one in lines] == [
        ("SPY 2026-12-18 550P", -1), ("SPY 2026-12-18 560P", 0),
    ]  # fmt: skip
    assert [one.strategy for one in grouping.group(lines).groups] == ["short_put"]


def test_accounts_are_not_mixed():
    """A long put in one account covers nothing in another."""
    book = held("-1 2026-12-18 560P", account="A") + held("+1 2026-12-18 550P", account="B")

    names = [(one.account, one.strategy) for one in grouping.group(book).groups]
    assert names == [("A", "short_put"), ("B", "long_put")]


def test_adjusted_fractional_and_foreign_lines_stay_alone():
    """Nothing is joined with a contract whose payoff is not known."""
    book = [
        *held("+1 2026-12-18 550P"),
        *held("-1 2026-12-18 560P", trading_class="2SPY"),
        *held("-0.5 2026-12-18 570P"),
        Position(account="DU1", symbol="ES", sec_type="FUT", quantity=1, local_symbol="ESZ6"),
    ]

    assert sorted(one.strategy for one in grouping.group(book).groups) == [
        "long_put", "other", "other", "other",
    ]  # fmt: skip


def test_short_put_covered_by_cash_is_named_so():
    """560 x 100 of cash cover one short put, not two."""
    one, two = held("-1 2026-12-18 560P"), held("-2 2026-12-18 560P")

    names = [grouping.group(book, cash={"DU1": 60_000.0}).groups[0].strategy for book in (one, two)]
    assert names == ["cash_secured_put", "short_put"]


# -- claims --------------------------------------------------------------------------------


def test_spreads_of_different_trades_stay_apart():
    """Two spreads of one expiry, linked to two entries, are not one condor."""
    book = held("-560P +550P -620C +630C 2026-12-18")
    links = [
        Claim("journal", "7", legs.parse("-560P +550P 2026-12-18", "SPY"), opened=NEAR),
        Claim("journal", "8", legs.parse("-620C +630C 2026-12-18", "SPY")),
    ]

    result = grouping.group(book, claims=links)

    assert [(one.link, one.strategy) for one in result.groups] == [
        ("8", "short_call_spread"), ("7", "short_put_spread"),
    ]  # fmt: skip
    assert {one.link: one.opened for one in result.groups} == {"7": NEAR, "8": None}


def test_pins_win_over_the_journal():
    """What you pinned is yours, whatever the journal or the matching would say."""
    book = held("-560P +550P 2026-12-18")
    everything = legs.parse("-560P +550P 2026-12-18", "SPY")
    claims = [Claim("journal", "7", everything), Claim("pin", "hedge", everything[1:])]

    result = grouping.group(book, claims=claims)

    assert [(one.source, one.strategy) for one in result.groups] == [
        ("pin", "long_put"), ("journal", "short_put"),
    ]  # fmt: skip
    assert result.notes == ("journal 7: +1 SPY 2026-12-18 550P is not held",)


def test_a_claim_takes_no_more_than_it_says():
    """Of five spreads a pin names two; the other three are matched."""
    book = held("-5 560P 2026-12-18, +5 550P")
    pin = Claim("pin", "mine", legs.parse("-2 560P 2026-12-18, +2 550P", "SPY"))

    result = grouping.group(book, claims=[pin])

    assert sorted((one.source, one.quantity) for one in result.groups) == [
        ("match", 3), ("pin", 2),
    ]  # fmt: skip


# -- generated books ---------------------------------------------------------------------------

SHAPES = (
    "iron_condor", "iron_butterfly", "jade_lizard", "short_put_spread", "short_call_spread",
    "long_put_spread", "long_call_spread", "short_strangle", "short_straddle", "long_strangle",
    "long_straddle", "long_butterfly", "broken_wing_butterfly", "ratio_spread", "put_backspread",
    "call_backspread", "covered_call", "collar", "calendar", "diagonal",
)  # fmt: skip
STRIKES = {
    "iron_condor": 4, "iron_butterfly": 3, "jade_lizard": 3, "long_butterfly": 3,
    "broken_wing_butterfly": 3, "short_straddle": 1, "long_straddle": 1, "covered_call": 1,
    "calendar": 1,
}  # fmt: skip
OF_ONE_RIGHT = ("long_butterfly", "broken_wing_butterfly", "ratio_spread", "calendar", "diagonal")


def written(shape, base, right, count, symbol):
    """One strategy on strikes of its own, as text."""
    needed = STRIKES.get(shape, 2)
    steps = (0.0, 1.0, 4.0) if shape == "broken_wing_butterfly" else (0.0, 1.0, 2.0, 3.0)
    strikes = "/".join(f"{base + step:g}" for step in steps[:needed])
    letter = right if shape in OF_ONE_RIGHT else ""
    days = f"{NEAR}/{FAR}" if shape in ("calendar", "diagonal") else f"{NEAR}"
    return f"{symbol} {shape} {strikes}{letter} {days} x{count}"


@st.composite
def books(draw):
    """
    1 to 12 strategies on two symbols, in one expiry or two, each on strikes of its own.

    Numbers of one symbol are odd and differ, so that only one reading uses every leg whole. Single
    options are left out: they would rightly be joined with what is naked or bare beside them.
    """
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=12))
    counts = draw(st.permutations([2 * n + 1 for n in range(12)]))
    bases = draw(st.permutations([100 + 10 * n for n in range(12)]))
    rights = draw(st.lists(st.sampled_from("CP"), min_size=12, max_size=12))
    symbols = draw(st.lists(st.sampled_from(["SPY", "QQQ"]), min_size=12, max_size=12))
    return [
        (shape, written(shape, *rest))
        for shape, *rest in zip(shapes, bases, rights, counts, symbols, strict=False)
    ]


@given(books(), st.randoms(use_true_random=False))
@examples(150)
def test_generated_books_are_recovered(book, rng: random.Random):
    """Strategies come back exactly, whatever the order of the broker's lines."""
    truth = []
    positions = []
    for shape, text in book:
        mine = held(text)
        truth.append((shape, mine[0].symbol, tuple(sorted((x.contract, x.quantity) for x in mine))))
        positions += mine
    rng.shuffle(positions)

    result = grouping.group(grouping.merged(positions))

    assert summary(result) == sorted(truth)


any_leg = st.builds(
    legs.NamedLeg,
    symbol=st.just("SPY"),
    quantity=st.integers(-4, 4).filter(bool).map(float),
    right=st.sampled_from(["C", "P"]),
    strike=st.integers(0, 8).map(lambda n: 500.0 + 5.0 * n),
    expiry=st.sampled_from([NEAR, FAR]),
)
any_shares = st.builds(
    legs.NamedLeg, symbol=st.just("SPY"), quantity=st.sampled_from([-150.0, 100.0, 300.0])
)


@given(st.lists(any_leg | any_shares, max_size=14), st.randoms(use_true_random=False))
@examples(150)
def test_any_book_is_a_partition_that_order_does_not_change(some, rng: random.Random):
    """Every contract is in the groups exactly once; shuffling and regrouping change nothing."""
    positions = list(grouping.merged(position(leg) for leg in some))
    result = grouping.group(positions)

    total: Counter[str] = Counter()
    for one in result.groups:
        for leg in one.legs:
            total[leg.position.contract] += leg.quantity
    assert total == {one.contract: one.quantity for one in positions if one.quantity}
    rng.shuffle(positions)
    assert summary(grouping.group(positions)) == summary(result)
    for one in result.groups:
        assert grouping.name_of(one.legs) == one.strategy


@given(st.lists(any_leg, min_size=1, max_size=10), st.lists(any_leg, min_size=1, max_size=4))
@examples(100)
def test_adding_and_taking_away_gives_the_book_back(some, more):
    """A considered trade and its opposite leave the merged book exactly as it was."""
    book = [position(leg) for leg in some]
    proposal = [position(leg, proposed=True) for leg in more]
    opposite = [one.model_copy(update={"quantity": -one.quantity}) for one in proposal]

    before = [one for one in grouping.merged(book) if one.quantity]
    after = [one for one in grouping.merged(book + proposal + opposite) if one.quantity]

    assert after == before


def test_name_of_odd_legs():
    """Legs that form no single strategy are custom."""
    book = held("-560P +550P 2026-12-18, +1 2027-01-15 700C")

    assert grouping.name_of([GroupLeg(one, one.quantity) for one in book]) == "custom"


@pytest.mark.parametrize("held_as", ["2026-12-17", "2026-12-18"])
@pytest.mark.parametrize("named", ["2026-12-17", "2026-12-18"])
def test_an_index_option_is_named_by_either_of_its_days(held_as, named):
    """Last trading day or settlement, in the position or in the leg: it is one contract."""
    (held,) = legs.parse(f"-1 SPX 5800P {held_as}")
    (leg,) = legs.parse(f"-1 SPX 5800P {named}")
    line = made_position(held)

    assert grouping.is_named(line.model_copy(update={"trading_class": "SPX"}), leg)
    assert grouping.is_named(line.model_copy(update={"trading_class": "SPXW"}), leg) is (
        held_as == named
    )
