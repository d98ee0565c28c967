"""What covers what: margin of legs that must be paired, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tomic.quant import margin

P, C = False, True
CASH = margin.MarginRules(cash_account=True)
WIDER = margin.MarginRules(unequal_condor="wider")


def required(*legs, spot=100.0, **options):
    """Requirement of legs (quantity, strike, right, price)."""
    quantity, strike, right, price = (list(column) for column in zip(*legs, strict=True))
    return float(
        margin.requirement(strike, right, quantity, price, spot=spot, **options).requirement
    )


# A naked unit at a spot of 100: 95 put 15 + premium, 90 put 10, 105 call 15, 110 call 10.
PUT_95, PUT_90, CALL_105, CALL_110 = (95, P, 1.2), (90, P, 0.6), (105, C, 1.5), (110, C, 0.8)


@pytest.mark.parametrize(
    ("legs", "per_share"),
    [
        # One strangle, 16.5 + 1.2, and a put alone, 16.2.
        ([(-2, *PUT_95), (-1, *CALL_105)], 17.7 + 16.2),
        ([(-1, *PUT_95), (-3, *CALL_105)], 17.7 + 2 * 16.5),
        # The put is the dearer side: 17.0, plus the call's premium.
        ([(-1, 95, P, 2.0), (-1, *CALL_105)], 17.0 + 1.5),
        # Dearest with dearest: 105 with 95, 110 with 90.
        ([(-1, *PUT_90), (-1, *PUT_95), (-1, *CALL_110), (-1, *CALL_105)], 17.7 + 10.8 + 0.6),
        # The second 95 put outweighs the 110 call; the 90 put is left alone.
        (
            [(-1, *PUT_90), (-2, *PUT_95), (-1, *CALL_110), (-1, *CALL_105)],
            17.7 + 16.2 + 0.8 + 10.6,
        ),
        # Three calls: one with each put, one alone.
        ([(-1, *PUT_90), (-1, *PUT_95), (-3, *CALL_105)], 17.7 + 16.5 + 0.6 + 16.5),
        # The one put goes with the dearer call; with the cheaper it would take 33.5.
        ([(-1, *PUT_95), (-1, *CALL_110), (-1, *CALL_105)], 17.7 + 10.8),
        ([(-1, *CALL_105), (-1, *PUT_90), (-1, *PUT_95)], 17.7 + 10.6),
        # Puts alone, and calls alone.
        ([(-1, *PUT_90), (-1, *PUT_95)], 16.2 + 10.6),
        ([(-2, *CALL_110), (-1, *CALL_105)], 2 * 10.8 + 16.5),
    ],
)
def test_strangles_of_naked_legs(legs, per_share):
    """A call and a put share the larger requirement; the other side adds its premium alone."""
    assert required(*legs) == pytest.approx(100.0 * per_share)


def test_one_of_several_shorts_is_covered():
    """A long 110 call covers the 105 at 5, dearer naked than the 115, which stays naked."""
    legs = [(1, *CALL_110), (-1, *CALL_105), (-1, 115, C, 0.4)]

    assert required(*legs) == pytest.approx(100.0 * (5.0 + 10.0 + 0.4))
    assert required((1, 90, P, 0.6), (-1, *PUT_95), (-1, 85, P, 0.3)) == pytest.approx(
        100.0 * (5.0 + 8.5 + 0.3)
    )


def test_half_a_long_covers_half_a_short():
    """Half a 115 call saves more under the 105 than under the 110: half of it stays naked."""
    legs = [(0.5, 115, C, 0.4), (-1, *CALL_105), (-1, *CALL_110)]

    assert required(*legs) == pytest.approx(100.0 * (0.5 * 10.0 + 0.5 * 16.5 + 10.8))


def test_both_rights_of_a_structure_are_paired_apart():
    """
    A 95/90 put spread (5) beside two short calls of which one is covered at 10, the other naked.

    An unused leg beside them, of either right, is no cover.
    """
    legs = [(1, *PUT_90), (-1, *PUT_95), (-1, *CALL_105), (-1, *CALL_110), (1, 115, C, 0.4)]
    unused = [(0, 100, P, 1.0), (0, 100, C, 1.0)]

    assert required(*legs) == pytest.approx(100.0 * (5.0 + 10.0 + 10.8))
    assert required(*legs, *unused) == pytest.approx(100.0 * (5.0 + 10.0 + 10.8))
    assert required(*unused, *legs, rules=WIDER) == pytest.approx(100.0 * (10.0 + 10.8))


def test_cash_account_pays_every_short_put():
    """Two naked puts cost both strikes, a covered one its width; a naked call cannot be held."""
    assert required((-1, *PUT_90), (-1, *PUT_95), rules=CASH) == 18_500.0
    assert required((-1, *PUT_95), (1, 90, P, 0.5), rules=CASH) == pytest.approx(500.0)
    assert required((-1, *PUT_90), (-1, *PUT_95), (-1, *CALL_105), rules=CASH) == np.inf
    assert required((-1, *PUT_95), (-1, *CALL_105), stock=1.0, rules=CASH) == 19_500.0


@pytest.mark.parametrize(
    ("legs", "tau", "per_share"),
    [
        # 105 under 110 costs 5, 100 under 100 nothing; crosswise it would be 10.
        ([(-1, 100, C, 3.0), (-1, 105, C, 2.0), (1, 110, C, 2.2), (1, 100, C, 5.0)], "eell", 5.0),
        ([(-1, 100, P, 3.0), (-1, 95, P, 2.0), (1, 90, P, 2.2), (1, 100, P, 5.0)], "eell", 5.0),
        # One long for two shorts: a diagonal of 5 and a naked call of 23.
        ([(-2, 100, C, 3.0), (1, 105, C, 2.5)], "el", 5.0 + 23.0),
        ([(-2, 100, P, 3.0), (1, 95, P, 2.5)], "el", 5.0 + 23.0),
        # Of two longs the one at the better strike covers.
        ([(-1, 100, C, 3.0), (1, 110, C, 1.0), (1, 105, C, 2.5)], "ell", 5.0),
        # A long to spare, of either expiry, costs nothing more.
        ([(-1, 100, C, 3.0), (2, 105, C, 2.5)], "el", 5.0),
        ([(-1, 100, C, 3.0), (1, 105, C, 2.5), (1, 105, C, 1.0)], "ele", 5.0),
        # A diagonal whose long has the better strike costs nothing.
        ([(-1, 100, C, 3.0), (1, 95, C, 7.0)], "el", 0.0),
        ([(-1, 100, P, 3.0), (1, 105, P, 7.0)], "el", 0.0),
        # The long expires first: both are naked.
        ([(-1, 100, C, 3.0), (-1, 105, C, 2.0), (1, 100, C, 1.0)], "lle", 23.0 + 17.0),
        # A put spread in one month and a call spread in the other: no condor.
        ([(1, *PUT_90), (-1, *PUT_95), (-1, *CALL_105), (1, *CALL_110)], "eell", 10.0),
        # The same beside each other in one month: a condor.
        ([(1, *PUT_90), (-1, *PUT_95), (-1, *CALL_105), (1, *CALL_110)], "llll", 5.0),
        # A double calendar costs no strikes.
        ([(-1, *PUT_95), (1, 95, P, 2.0), (-1, *CALL_105), (1, 105, C, 2.0)], "elel", 0.0),
        # An early 100 under two late longs, and a late spread beside it.
        ([(-1, 100, C, 3.0), (1, 100, C, 4.0), (-1, 105, C, 2.5), (1, 110, C, 1.0)], "elll", 5.0),
    ],
)
def test_expiries(legs, tau, per_share):
    """A long leg covers shorts of its own expiry (l, e) or an earlier one, at the least cost."""
    when = [{"e": 0.1, "l": 0.2}[letter] for letter in tau]

    assert required(*legs, tau=when) == pytest.approx(100.0 * per_share)


@pytest.mark.parametrize(
    ("legs", "stock", "per_share"),
    [
        # Shares cover calls, and nothing else; short shares cover puts.
        ([(-1, *CALL_105)], 1.0, 50.0),
        ([(-1, *PUT_95)], 1.0, 50.0 + 16.2),
        ([(-1, *PUT_95)], -1.0, 50.0),
        ([(-1, *CALL_105)], -1.0, 50.0 + 16.5),
        # Half the calls by shares, half by a long: one spread of 5.
        ([(-2, *CALL_105), (1, *CALL_110)], 1.0, 50.0 + 5.0),
        ([(-2, *PUT_95), (1, *PUT_90)], -1.0, 50.0 + 5.0),
        # More shares than calls: the long is not needed.
        ([(-1, *CALL_105), (1, *CALL_110)], 3.0, 150.0),
        # Of several shorts the shares save the dearest.
        ([(-1, *CALL_105), (-1, *CALL_110)], 1.0, 50.0 + 10.8),
        ([(-1, *PUT_90), (-1, *PUT_95)], -1.0, 50.0 + 10.6),
        ([(-1, *PUT_90), (-1, *PUT_95)], 1.0, 50.0 + 16.2 + 10.6),
        ([(-1, *CALL_105), (-1, *CALL_110)], -1.0, 50.0 + 16.5 + 10.8),
        # Half a contract's shares leave half a call.
        ([(-1, *CALL_105)], 0.5, 25.0 + 0.5 * 16.5),
    ],
)
def test_shares_that_cover(legs, stock, per_share):
    """Shares stand beside the long legs as a cover free of charge; they cost half their value."""
    assert required(*legs, stock=stock) == pytest.approx(100.0 * per_share)


@pytest.mark.parametrize(
    ("legs", "two_spreads", "wider"),
    [
        # Two narrow put spreads and a wide call spread cost as much in sum, not each.
        ([(2, *PUT_90), (-2, *PUT_95), (-1, *CALL_105), (1, 115, C, 0.4)], 20.0, 10.0),
        # Half the units on one side of the same width: the larger side.
        ([(2, *PUT_90), (-2, *PUT_95), (-1, *CALL_105), (1, *CALL_110)], 10.0, 10.0),
        # A long to spare on one side, and half a unit on one side: still the width of one.
        ([(2, *PUT_90), (-1, *PUT_95), (-1, *CALL_105), (1, *CALL_110)], 5.0, 5.0),
        ([(0.5, *PUT_90), (-0.5, *PUT_95), (-1, *CALL_105), (1, *CALL_110)], 5.0, 5.0),
        # Half a spread; and one with half of its long.
        ([(-0.5, *CALL_105), (0.5, *CALL_110)], 2.5, 2.5),
        ([(-1, *CALL_105), (0.5, *CALL_110)], 2.5 + 8.25, 2.5 + 8.25),
        ([(-1, *PUT_95), (0.5, *PUT_90)], 2.5 + 8.1, 2.5 + 8.1),
        # Short strikes that cross by 7 of 10: both sides, or what they can lose together.
        ([(1, 95, P, 1.0), (-1, 100, P, 3.0), (-1, 93, C, 8.0), (1, 98, C, 4.0)], 10.0, 7.0),
        # They cross all the way.
        ([(1, 100, P, 3.0), (-1, 110, P, 9.0), (-1, 90, C, 9.0), (1, 100, C, 3.0)], 20.0, 20.0),
        # A fly: they meet.
        ([(1, 95, P, 1.0), (-1, 100, P, 3.0), (-1, 100, C, 3.0), (1, 105, C, 1.0)], 5.0, 5.0),
        # A spread on one side only.
        ([(1, *PUT_90), (-1, *PUT_95)], 5.0, 5.0),
        ([(-1, *CALL_105), (1, *CALL_110)], 5.0, 5.0),
        # Unequal wings beside a naked put on the same side.
        (
            [(1, *PUT_90), (-2, *PUT_95), (-1, *CALL_105), (1, 112, C, 0.4)],
            5.0 + 7.0 + 16.2,
            7.0 + 16.2,
        ),
    ],
)
def test_condors(legs, two_spreads, wider):
    """Both sides, unless their widths are equal and only one can lose; by setting, the wider."""
    assert required(*legs) == pytest.approx(100.0 * two_spreads)
    assert required(*legs, rules=WIDER) == pytest.approx(100.0 * wider)


@pytest.mark.parametrize("name", ["strike", "is_call", "quantity", "price", "tau"])
def test_any_argument_may_bring_the_axis_of_legs(name):
    """One of the arguments with an axis of its own is enough, the others may be plain numbers."""
    given = {"strike": 95.0, "is_call": P, "quantity": -1, "price": 1.2, "tau": 0.1}
    given[name] = [given[name], given[name]]

    assert margin.requirement(**given, spot=100.0).requirement == pytest.approx(3_240.0)


def test_condors_of_a_batch_have_expiries_of_their_own():
    """A condor is one whatever expires beside it in the batch, and beside a leg it has not."""
    strike, right = np.array([90.0, 95.0, 105.0, 110.0, 100.0]), np.array([P, P, C, C, C])
    quantity = np.array([[1, -1, -1, 1, 0], [1, -1, -1, 1, 0], [2, -2, -1, 1, 0]])
    tau = np.array([[0.1] * 4 + [0.0], [0.2] * 4 + [0.0], [0.1, 0.1, 0.2, 0.2, 0.0]])

    for rules in (None, WIDER):
        found = margin.requirement(strike, right, quantity, 1.0, spot=100.0, tau=tau, rules=rules)
        assert found.requirement == pytest.approx([500.0, 500.0, 1_500.0])


def test_every_argument_may_differ_by_structure():
    """Spots, shares, multipliers, indices and credits of a grid of structures are their own."""
    strike = np.array([[[95.0], [95.0]], [[105.0], [105.0]]])
    right = np.array([[[P], [P]], [[C], [C]]])
    spot = np.array([[100.0, 110.0], [100.0, 110.0]])
    index = np.array([[False, False], [True, False]])
    given = {"spot": spot, "stock": [[0.0, 0.0], [0.0, 1.0]], "broad_index": index}

    found = margin.requirement(
        strike, right, -1, 2.0, multiplier=[[100, 10], [100, 100]], credit=[[1, 2], [3, 4]], **given
    )

    # 2 + 20 - 5; 2 + max(22 - 15, 9.5); 2 + max(15 - 5, 10); half of 110, covered.
    expected = np.array([[1_700.0, 115.0], [1_200.0, 5_500.0]])
    assert found.requirement == pytest.approx(expected)
    assert found.net == pytest.approx(expected - [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    "change",
    [
        {"strike": [90.0, np.inf]},
        {"quantity": [1.0, -np.inf]},
        {"quantity": [1.0, np.nan]},
        {"price": [0.5, -0.01]},
        {"strike": [90.0, -95.0]},
        {"tau": [0.1, np.nan]},
        {"spot": np.nan},
        {"spot": -1.0},
        {"stock": np.nan},
        {"stock": np.inf},
    ],
)
def test_impossible_figures_make_one_row_nan(change):
    """Infinite, missing or negative figures have no margin, and leave the row beside them."""
    row = {"strike": [90.0, 95.0], "quantity": [1.0, -1.0], "price": [0.5, 1.5]}
    row |= {"tau": [0.1, 0.1], "spot": 100.0, "stock": 0.0}
    both = {name: np.array([value, (row | change)[name]]) for name, value in row.items()}

    found = margin.requirement(
        both.pop("strike"), P, both.pop("quantity"), both.pop("price"), **both
    )

    assert found.requirement[0] == pytest.approx(500.0)
    assert np.isnan(found.requirement[1])
    assert np.isnan(found.net[1])


def test_unused_legs_may_hold_anything():
    """Of a leg with quantity 0 neither strike, price nor expiry is read."""
    found = margin.requirement(
        [90.0, 95.0, -7.0], P, [1, -1, 0], [0.5, 1.5, np.nan], spot=100.0, tau=[0.1, 0.1, np.nan]
    )

    assert found.requirement == pytest.approx(500.0)
    assert found.net == pytest.approx(400.0)


def test_shares_held_and_sold_short_have_shares_of_their_own():
    """Half a unit of shares takes .4 of its value when held, .3 when sold short."""
    rules = margin.MarginRules(stock=0.4, stock_short=0.3)

    assert required((0, 100, C, 0.0), stock=0.5, rules=rules) == pytest.approx(2_000.0)
    assert required((0, 100, C, 0.0), stock=-0.5, rules=rules) == pytest.approx(1_500.0)


def test_prices_below_one_are_prices():
    """A .50 put of a share at .80, naked: premium .05 and the floor of a tenth of the strike."""
    assert required((-1, 0.5, P, 0.05), spot=0.8) == pytest.approx(100.0 * (0.05 + 0.05))


def test_rules_hold_their_bounds():
    """0 and 1 are percentages, more, less and NaN are not; what is said names the rule."""
    names = ("equity", "broad_index", "minimum", "stock", "stock_short")
    assert margin.MarginRules(**dict.fromkeys(names, 0.0), naked_floor=0.0)
    assert margin.MarginRules(**dict.fromkeys(names, 1.0))
    for name in names:
        for value in (-0.01, 1.01, np.nan):
            with pytest.raises(ValueError) as bad:
                margin.MarginRules(**{name: value})
            assert str(bad.value) == f"{name} must be in [0, 1], got {value:g}"
    with pytest.raises(ValueError) as floor:
        margin.MarginRules(naked_floor=np.nan)
    with pytest.raises(ValueError) as condor:
        margin.MarginRules(unequal_condor="both")

    assert str(floor.value) == "naked_floor must be >= 0, got nan"
    assert str(condor.value) == "unequal_condor must be two_spreads or wider, got 'both'"


def test_impossible_shapes_are_told():
    """Which argument has which shape is said."""
    with pytest.raises(ValueError) as shapes:
        margin.requirement([90.0, 95.0], [P, P, P], [1, -1], [1.0, 2.0], spot=100.0)
    with pytest.raises(ValueError) as scalar:
        margin.requirement(90.0, P, 1, 1.0, spot=100.0)

    assert str(shapes.value) == (
        "strike, is_call, quantity, price and tau must share a shape, "
        "got (2,), (3,), (2,), (2,), ()"
    )
    assert str(scalar.value) == (
        "legs must have an axis of their own: shape (k,) or (n, k), got a scalar"
    )
