"""Payoffs: exact at their kinks for any legs of one expiry."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from support.properties import examples
from tomic.quant import payoff

P, C = False, True


def structures(legs=4):
    """Strategy: strikes, rights and small signed quantities of up to *legs* legs."""
    leg = st.tuples(st.integers(80, 120).map(float), st.booleans(), st.integers(-2, 2).map(float))
    return st.lists(leg, min_size=legs, max_size=legs).map(
        lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True))
    )


def test_short_put_spread_of_the_original():
    """95/90 for 1.50: profit 150, loss 350, breakeven 93.50 (the original's own example)."""
    found = payoff.profile(
        payoff.segments([90.0, 95.0], [P, P], [1, -1], credit=150.0, multiplier=100.0)
    )

    assert found.max_profit == 150.0
    assert found.max_loss == 350.0
    assert_allclose(found.breakevens, [93.5, np.nan, np.nan])


def test_iron_condor_of_the_original():
    """90/95/105/110 for 2.00: profit 200, loss 300, breakevens 93 and 107."""
    shape = payoff.segments(
        [90.0, 95.0, 105.0, 110.0], [P, P, C, C], [1, -1, -1, 1], credit=200.0, multiplier=100.0
    )

    found = payoff.profile(shape)

    assert (found.max_profit, found.max_loss) == (200.0, 300.0)
    assert_allclose(found.breakevens[:2], [93.0, 107.0])
    assert np.isnan(found.breakevens[2:]).all()


def test_put_backspread_of_the_original():
    """Short one 100 put, long two 95 puts for .50: the worst loss, 450, is at 95."""
    shape = payoff.segments([95.0, 100.0], [P, P], [2, -1], credit=50.0, multiplier=100.0)

    found = payoff.profile(shape)

    assert found.max_loss == 450.0
    assert found.value_at_zero == 9050.0
    assert_allclose(found.breakevens[:2], [90.5, 99.5])


def test_net_short_calls_lose_without_bound():
    """A 1:2 call ratio has an infinite loss and a tail that falls by one contract per point."""
    found = payoff.profile(
        payoff.segments([100.0, 105.0], [C, C], [1, -2], credit=-50.0, multiplier=100.0)
    )

    assert found.max_loss == np.inf
    assert found.slope_up == -100.0
    assert found.max_profit == 450.0
    assert_allclose(found.breakevens[:2], [100.5, 109.5])


def test_half_a_call_gains_and_loses_without_bound():
    """Any slope above the last strike, also of half a unit, decides: long wins, short loses."""
    long = payoff.profile(payoff.segments([100.0], [C], [0.5], credit=-2.0))
    short = payoff.profile(payoff.segments([100.0], [C], [-0.5], credit=2.0))

    assert (long.max_profit, long.max_loss) == (np.inf, 2.0)
    assert (short.max_profit, short.max_loss) == (2.0, np.inf)
    assert (long.breakevens[0], short.breakevens[0]) == (104.0, 104.0)


def test_a_trade_that_cannot_lose_has_no_loss():
    """A spread sold for more than its width makes at least .50: its largest loss is nothing."""
    found = payoff.profile(payoff.segments([90.0, 95.0], [P, P], [1, -1], credit=5.5))

    assert (found.max_profit, found.max_loss) == (5.5, 0.0)


def test_covered_call_counts_the_share():
    """Share at 98, short 100 call for 2: best 400, breakeven 96, worst 9,600 at zero."""
    found = payoff.profile(
        payoff.segments(
            [100.0], [C], [-1], credit=200.0, stock=1.0, stock_cost=98.0, multiplier=100.0
        )
    )

    assert found.max_profit == pytest.approx(400.0)
    assert found.max_loss == pytest.approx(9600.0)
    assert_allclose(found.breakevens[0], 96.0)


def test_share_bought_at_spot_costs_discounted_forward():
    """Holding a share to the expiry nets discount x (S - forward): dividends and financing in."""
    cost = payoff.stock_cost(101.0, 0.99)

    shape = payoff.segments([0.0], [C], [0], stock=1.0, stock_cost=cost, discount=0.99)

    assert payoff.interpolate(shape, [101.0, 111.0]) == pytest.approx([0.0, 9.9])


@given(legs=structures(), credit=st.floats(-20, 20), stock=st.sampled_from([-1.0, 0.0, 1.0]))
@examples(150)
def test_segments_are_the_payoff_everywhere(legs, credit, stock):
    """Interpolating the segments gives the same P&L as adding up the legs, between and beyond."""
    price = np.linspace(0.0, 260.0, 521)

    shape = payoff.segments(*legs, credit=credit, discount=0.98, stock=stock)

    direct = credit + 0.98 * payoff.value_at(price, *legs, stock=stock)
    assert_allclose(payoff.interpolate(shape, price), direct, atol=1e-9)


@given(legs=structures(), credit=st.floats(-20, 20))
@examples(150)
def test_profile_agrees_with_a_fine_grid(legs, credit):
    """Extremes bound a fine grid and are reached on it; P&L changes sign at the breakevens."""
    credit = round(credit, 2) + 0.003
    price = np.arange(0.0, 20_000.0, 0.125)
    value = credit + payoff.value_at(price, *legs)

    found = payoff.profile(payoff.segments(*legs, credit=credit))

    if np.isfinite(found.max_profit):
        assert found.max_profit == pytest.approx(value.max(), abs=1e-9)
    else:
        assert value[-1] > value[-2]
    if np.isfinite(found.max_loss):
        assert found.max_loss == pytest.approx(max(-value.min(), 0.0), abs=1e-9)
    else:
        assert value[-1] < value[-2]
    turns = np.count_nonzero(np.diff(value > 0.0))
    points = found.breakevens[~np.isnan(found.breakevens)]
    assert np.count_nonzero(points < price[-1]) == turns
    assert_allclose(credit + payoff.value_at(points, *legs), 0.0, atol=1e-6)


def test_batches_equal_single_structures():
    """A batch of shape (n, k) gives row by row what single structures give."""
    rng = np.random.default_rng(3)
    strike = rng.integers(80, 120, (5000, 4)).astype(float)
    is_call = rng.random((5000, 4)) < 0.5
    quantity = rng.integers(-2, 3, (5000, 4)).astype(float)
    credit = rng.normal(0, 3, 5000)

    batch = payoff.profile(payoff.segments(strike, is_call, quantity, credit=credit))

    for row in (0, 17, 2047, 2048, 4999):
        one = payoff.profile(
            payoff.segments(strike[row], is_call[row], quantity[row], credit=credit[row])
        )
        assert_allclose(batch.breakevens[row], one.breakevens, atol=1e-12)
        assert batch.max_loss[row] == pytest.approx(one.max_loss)
        assert batch.max_profit[row] == pytest.approx(one.max_profit)


def test_every_argument_may_differ_by_structure():
    """Structures with prices, shares and multipliers of their own equal them one by one."""
    strike = np.array([[[90.0, 95.0], [95.0, 105.0]], [[100.0, 80.0], [110.0, 100.0]]])
    right = np.array([[[P, P], [P, C]], [[C, P], [C, C]]])
    quantity = np.array([[[1, -1], [-1, -1]], [[-1, 2], [1, -2]]])
    own = {
        "credit": np.array([[1.5, 2.0], [-0.5, 0.25]]),
        "discount": np.array([[0.99, 0.98], [0.97, 0.96]]),
        "stock": np.array([[0.0, 1.0], [-1.0, 0.5]]),
        "stock_cost": np.array([[100.0, 99.0], [98.0, 97.0]]),
        "multiplier": np.array([[100.0, 10.0], [1.0, 50.0]]),
    }
    price = np.array([0.0, 88.0, 97.0, 103.0, 130.0])

    batch = payoff.segments(strike, right, quantity, **own)
    worth = payoff.value_at(price, strike, right, quantity, stock=own["stock"])

    assert payoff.interpolate(batch, price).shape == (2, 2, 5)
    for at in np.ndindex(2, 2):
        legs = (strike[at], right[at], quantity[at])
        mine = {name: value[at] for name, value in own.items()}
        one = payoff.segments(*legs, **mine)
        assert_allclose(batch.node[at], one.node)
        assert_allclose(batch.value[at], one.value)
        assert batch.slope[at] == one.slope
        held = mine["credit"] - mine["stock"] * mine["multiplier"] * mine["stock_cost"]
        expected = held + mine["discount"] * mine["multiplier"] * worth[at]
        assert_allclose(payoff.interpolate(batch, price)[at], expected)
        assert_allclose(worth[at], payoff.value_at(price, *legs, stock=mine["stock"]))


def test_worth_at_expiry_by_hand():
    """Two long 90 puts, a short 100 call and half a share: 45 + 20 at 80, 60 - 20 at 120."""
    worth = payoff.value_at([80.0, 95.0, 120.0], [90.0, 100.0], [P, C], [2, -1], stock=0.5)

    assert worth.tolist() == [60.0, 47.5, 40.0]
    assert payoff.value_at([80.0], [90.0], [P], [2]).tolist() == [20.0]


def test_nodes_ascend_whatever_the_order_of_legs():
    """Every order of six strikes gives the same ascending nodes, from 0 on."""
    strike = np.array(list(permutations([80.0, 85.0, 90.0, 95.0, 100.0, 105.0])))

    shape = payoff.segments(strike, C, np.ones(strike.shape))

    assert (shape.node == [0.0, 80.0, 85.0, 90.0, 95.0, 100.0, 105.0]).all()


def test_a_share_costs_nothing_unless_it_is_said():
    """A share beside a short 100 call for 2 is worth 2 at zero and 102 from the strike on."""
    shape = payoff.segments([100.0], [C], [-1], credit=2.0, stock=1.0)

    assert shape.value.tolist() == [2.0, 102.0]
    assert shape.slope == 0.0


def test_fractions_that_cancel_leave_a_flat_tail():
    """.1 + .2 - .3 calls lose nothing far above; half a call, and a billionth, still gain."""
    flat = payoff.segments([90.0, 95.0, 100.0], C, [0.1, 0.2, -0.3])
    half = payoff.segments([90.0, 95.0], C, [1.0, -0.5])
    thin = payoff.segments([90.0, 95.0], C, [1.0, -1.0 + 1e-9])

    assert flat.slope == 0.0
    assert half.slope == 0.5
    assert thin.slope == pytest.approx(1e-9)


def test_rounding_is_no_profit():
    """A gain of 1e-8, which is only rounding, has no breakevens; twice that has one."""
    dust = payoff.profile(payoff.segments([100.0], [C], [-1], credit=payoff.NOTHING))
    gain = payoff.profile(payoff.segments([100.0], [C], [-1], credit=2.0 * payoff.NOTHING))

    assert np.isnan(dust.breakevens).all()
    assert gain.breakevens[0] == pytest.approx(100.0)


def test_crossings_of_a_level():
    """
    A short 100 put and two long 110 calls for 5 pass 0 at 95, 15 at 115 and -45 at 50, upwards.

    The flat part between the strikes meets 5 without passing it; that happens at 110.
    """
    shape = payoff.segments([100.0, 110.0], [P, C], [-1, 2], credit=5.0)
    node, value, slope = payoff.nodes_first(payoff.Segments(*(part[None] for part in shape)))

    def passed(level):
        place, price, upward = payoff.crossings(node, value, slope, np.array([level]))
        return place.tolist(), price.tolist(), upward.tolist()

    assert passed(0.0) == ([0], [95.0], [True])
    assert passed(15.0) == ([2], [115.0], [True])
    assert passed(-45.0) == ([0], [50.0], [True])
    assert passed(-100.0) == ([], [], [])
    assert passed(5.0) == ([2], [110.0], [True])


def test_crossings_of_a_batch_have_levels_of_their_own():
    """A long 100 call for 4 and a short one: 1 and -2 are passed at 105 up and at 106 down."""
    shape = payoff.segments([[100.0], [100.0]], C, [[1], [-1]], credit=[-4.0, 4.0])

    place, price, upward = payoff.crossings(*payoff.nodes_first(shape), np.array([1.0, -2.0]))

    # Two nodes and two structures: the last segment of each is the second row of places.
    assert place.tolist() == [2, 3]
    assert price.tolist() == [105.0, 106.0]
    assert upward.tolist() == [True, False]
    assert upward.dtype == np.bool_


def test_crossing_stays_between_its_nodes():
    """A node that is off zero by rounding is the breakeven itself, not a point beside it."""
    node, slope = np.array([[50.0], [100.0]]), np.zeros(1)

    leave = payoff.crossings(node, np.array([[5e-9], [10.0]]), slope)
    reach = payoff.crossings(node, np.array([[10.0], [5e-9]]), slope)

    assert leave[1].tolist() == [50.0]
    assert reach[1].tolist() == [100.0]


def test_unused_legs_may_hold_nan_and_used_ones_spread_it():
    """A NaN strike of quantity 0 is ignored; of a used leg it makes that structure NaN alone."""
    strike = np.array([[95.0, np.nan], [95.0, np.nan]])

    shape = payoff.segments(strike, P, [[-1, 0], [-1, 1]], credit=1.0)

    assert not np.isnan(shape.value[0]).any()
    assert np.isnan(shape.value[1]).all()
    assert np.isnan(payoff.profile(shape).max_loss[1])


def test_no_structures_give_no_rows():
    """An empty batch passes through with its shape."""
    shape = payoff.segments(np.empty((0, 4)), np.empty((0, 4), bool), np.empty((0, 4)))

    assert payoff.profile(shape).breakevens.shape == (0, 5)


def test_wrong_shapes_and_strikes_are_refused():
    """Legs of different shapes and negative strikes say so."""
    with pytest.raises(ValueError) as shapes:
        payoff.segments([90.0, 95.0], [P, P, P], [1, -1])
    with pytest.raises(ValueError) as scalar:
        payoff.segments(90.0, P, 1.0)
    with pytest.raises(ValueError) as negative:
        payoff.segments([95.0, -5.0, -2.5], [P, P, P], [1, 1, 1])

    assert str(shapes.value) == (
        "strike, is_call and quantity must share a shape, got (2,), (3,), (2,)"
    )
    assert str(scalar.value) == (
        "legs must have an axis of their own: shape (k,) or (n, k), got a scalar"
    )
    assert str(negative.value) == "strike must be >= 0, got -5"
    assert payoff.segments([-5.0, 95.0], [P, P], [0, 1]).node.tolist() == [0.0, 0.0, 95.0]


def test_one_structure_among_batches_of_values():
    """Nodes of one structure and values of a batch of one are read alike."""
    alone = payoff.Segments(np.array([0.0, 590.0]), np.array([-900.0, 1000.0]), np.array(0.0))
    batch = alone._replace(value=alone.value[None])

    for mine, other in zip(payoff.nodes_first(alone), payoff.nodes_first(batch), strict=True):
        assert_array_equal(mine, other)
