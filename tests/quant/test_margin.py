"""Strategy margin: published figures, exact losses of spreads, and what it never undercuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from numpy.testing import assert_allclose

from support.properties import examples
from tomic.quant import margin, payoff

P, C = False, True


def of(*legs, spot=100.0, **options):
    """Margin of legs (quantity, strike, right, price)."""
    quantity, strike, right, price = (list(column) for column in zip(*legs, strict=True))
    return margin.requirement(strike, right, quantity, price, spot=spot, **options)


def max_loss(*legs):
    quantity, strike, right, price = (np.array(column) for column in zip(*legs, strict=True))
    credit = -100.0 * float(quantity @ price)
    shape = payoff.segments(strike, right, quantity, credit=credit, multiplier=100.0)
    assert shape.slope >= 0.0
    # Not cut off at zero: random prices hold arbitrage, whose worst outcome is a profit.
    return -float(shape.value.min())


@pytest.mark.parametrize(
    ("legs", "options", "requirement", "net"),
    [
        # Cboe/NYSE launch sheet of portfolio margin, IBM at 97.73 and SPX at 1451.19.
        ([(-100, 100, P, 3.18)], {"spot": 97.73}, None, 195_460),
        ([(-100, 100, C, 1.68)], {"spot": 97.73}, None, 172_760),
        ([(-100, 1460, P, 22.55)], {"spot": 1451.19, "broad_index": True}, None, 2_176_785),
        ([(-100, 1460, C, 21.66)], {"spot": 1451.19, "broad_index": True}, None, 2_088_685),
        ([(100, 95, C, 4.53), (-100, 105, C, 0.4)], {"spot": 97.73}, 0, 41_300),
        ([(100, 95, P, 1.02)], {"spot": 97.73, "stock": 100.0}, 488_650, 498_850),
        (
            [(100, 95, P, 1.02), (-100, 105, C, 0.4)],
            {"spot": 97.73, "stock": 100.0},
            488_650,
            494_850,
        ),
        # The sheet prints 48,500 for this straddle; 31,800 + 16,800 is 48,600.
        ([(100, 100, P, 3.18), (100, 100, C, 1.68)], {"spot": 97.73}, 0, 48_600),
        # Cboe's calculator: 3,400 before and 3,280 after the proceeds.
        ([(-1, 200, P, 1.2)], {"spot": 209.0}, 3_400, 3_280),
        # A broker's example of a short butterfly: three inner widths.
        ([(-3, 75, P, 1.5), (6, 80, P, 4.0), (-3, 85, P, 6.0)], {"spot": 80.0}, 1_500, None),
    ],
)
def test_published_margins(legs, options, requirement, net):
    """Requirements printed by exchanges and brokers come out to the dollar."""
    found = of(*legs, **options)

    if requirement is not None:
        assert found.requirement == pytest.approx(requirement, abs=1.0)
    if net is not None:
        assert found.net == pytest.approx(net, abs=1.0)


def test_condor_of_unequal_wings():
    """Wings of 5 and 7: two spreads at IB, the wider wing alone by setting."""
    legs = [(1, 90, P, 0.5), (-1, 95, P, 1.2), (-1, 105, C, 1.8), (1, 112, C, 0.5)]

    two = of(*legs)
    wider = of(*legs, rules=margin.MarginRules(unequal_condor="wider"))

    assert (two.requirement, two.net) == (pytest.approx(1200.0), pytest.approx(1000.0))
    assert (wider.requirement, wider.net) == (pytest.approx(700.0), pytest.approx(500.0))


def test_condor_of_equal_wings_pays_one_side():
    """Fact of the original: 90/95/105/110 for 2.00 takes 300; requirement 500."""
    found = of((1, 90, P, 0.5), (-1, 95, P, 1.5), (-1, 105, C, 1.5), (1, 110, C, 0.5))

    assert found.requirement == pytest.approx(500.0)
    assert found.net == pytest.approx(300.0)


def test_condor_and_an_extra_spread():
    """One put spread and two call spreads of one width are a condor and a spread: two widths."""
    found = of((1, 90, P, 0.5), (-1, 95, P, 1.5), (-2, 105, C, 1.5), (2, 110, C, 0.5))

    assert found.requirement == pytest.approx(1000.0)


def test_condor_whose_short_strikes_cross_pays_both_sides():
    """With the short put above the short call both sides can lose at once."""
    found = of((1, 100, P, 3.0), (-1, 110, P, 10.0), (-1, 90, C, 10.0), (1, 100, C, 3.0))

    assert found.requirement == pytest.approx(2000.0)


def test_short_put_cash_secured_and_on_margin():
    """Naked 95 put for 1.50: 9,350 in a cash account, about a fifth of that under Reg-T."""
    cash = of((-1, 95, P, 1.5), rules=margin.MarginRules(cash_account=True))
    reg_t = of((-1, 95, P, 1.5))

    assert cash.net == pytest.approx(9_350.0)
    assert reg_t.net == pytest.approx(1_500.0)
    assert reg_t.requirement == pytest.approx(1_650.0)


def test_cash_account_cannot_hold_naked_calls_or_short_shares():
    """What a cash account may not hold costs infinity; a covered call costs its shares."""
    cash = margin.MarginRules(cash_account=True)

    assert of((-1, 105, C, 1.0), rules=cash).net == np.inf
    assert of((1, 105, C, 1.0), stock=-1.0, rules=cash).net == np.inf
    assert of((-1, 105, C, 1.0), stock=1.0, rules=cash).net == pytest.approx(9_900.0)


def test_brokers_floor_for_cheap_naked_options():
    """A floor of 2.50 a share replaces 10 % of a low strike: premium + 250 per contract."""
    rules = margin.MarginRules(naked_floor=2.5)

    assert of((-1, 5, P, 0.1), spot=8.0, rules=rules).requirement == pytest.approx(260.0)
    assert of((-1, 5, P, 0.1), spot=8.0).requirement == pytest.approx(60.0)


def test_put_far_out_of_the_money_uses_ten_percent_of_the_strike():
    """IB's rule on an 80 stock and a 70 put: premium + max(600, 700)."""
    found = of((-1, 70, P, 0.8), spot=80.0)

    assert found.requirement == pytest.approx(780.0)


def test_strangle_pays_the_larger_side_and_the_other_premium():
    """95/105 strangle on 100: put and call need 15 beside the premium; the dearer premium stays."""
    found = of((-1, 95, P, 1.2), (-1, 105, C, 1.5))

    assert found.requirement == pytest.approx(100.0 * (15.0 + 1.5 + 1.2))
    assert found.net == pytest.approx(1_500.0)


def test_calendars_and_diagonals():
    """Long ones cost debit and adverse strikes; a short calendar is naked in its far leg."""
    long = of((-1, 100, C, 3.0), (1, 100, C, 4.2), tau=[0.1, 0.2])
    diagonal = of((-1, 100, P, 3.0), (1, 95, P, 2.2), tau=[0.1, 0.2])
    short = of((1, 100, C, 3.0), (-1, 100, C, 4.2), tau=[0.1, 0.2])

    assert (long.requirement, long.net) == (0.0, pytest.approx(120.0))
    assert (diagonal.requirement, diagonal.net) == (500.0, pytest.approx(420.0))
    assert short.requirement == pytest.approx(100.0 * (20.0 + 4.2))


def test_ratio_and_backspread():
    """A 1x2 call ratio holds one naked call; a 1x2 put backspread loses at most 450."""
    ratio = of((1, 100, C, 3.0), (-2, 105, C, 1.2))
    back = of((-1, 100, P, 3.0), (2, 95, P, 1.25))

    assert ratio.requirement == pytest.approx(100.0 * (1.2 + 15.0))
    assert back.net == pytest.approx(450.0)


def test_jade_lizard_is_a_naked_put_and_a_call_spread():
    """Naked 95 put (15 + premium) and a 5-wide call spread add up."""
    found = of((-1, 95, P, 1.5), (-1, 105, C, 1.6), (1, 110, C, 0.6))

    assert found.requirement == pytest.approx(100.0 * (1.5 + 15.0 + 5.0))


def test_shares_cover_calls_and_short_shares_cover_puts():
    """A covered call costs half its shares; so do short shares with a short put."""
    covered = of((-1, 105, C, 1.5), stock=1.0)
    partly = of((-2, 105, C, 1.5), stock=1.0)
    short = of((-1, 95, P, 1.5), stock=-1.0)

    assert covered.requirement == pytest.approx(5_000.0)
    assert partly.requirement == pytest.approx(5_000.0 + 1_650.0)
    assert short.requirement == pytest.approx(5_000.0)


def test_shares_held_and_sold_short_have_shares_of_their_own():
    """House rates of 30 % and 75 % ask 3,000 of a hundred shares held and 7,500 of them short."""
    rules = margin.MarginRules(stock=0.30, stock_short=0.75)

    held = of((1, 105, C, 0.0), stock=1.0, rules=rules)
    short = of((1, 105, C, 0.0), stock=-1.0, rules=rules)

    assert held.requirement == pytest.approx(3_000.0)
    assert short.requirement == pytest.approx(7_500.0)


def test_synthetic_long_is_a_naked_put():
    """Long call, short put: the put is naked and the call paid for."""
    found = of((1, 100, C, 3.0), (-1, 100, P, 2.6))

    assert found.requirement == pytest.approx(100.0 * (2.6 + 20.0))
    assert found.net == pytest.approx(100.0 * (20.0 + 3.0))


STRIKES = st.lists(st.integers(60, 140).map(float), min_size=4, max_size=4, unique=True).map(sorted)
PRICES = st.lists(st.floats(0.0, 10.0), min_size=4, max_size=4)


@given(strikes=STRIKES, prices=PRICES, right=st.booleans(), sign=st.sampled_from([-1, 1]))
@examples(100)
def test_vertical_takes_its_max_loss(strikes, prices, right, sign):
    """Net margin of a vertical is its maximum loss, credit or debit."""
    low, high = strikes[:2]
    cheap, dear = sorted(prices[:2])
    near, far = (high, low) if right == P else (low, high)
    legs = [(sign, near, right, dear), (-sign, far, right, cheap)]

    assert of(*legs).net == pytest.approx(max_loss(*legs), abs=1e-6)


@given(
    middle=st.integers(90, 110).map(float), gap=st.integers(0, 10).map(float),
    wing=st.integers(1, 20).map(float), prices=PRICES,
)  # fmt: skip
@examples(100)
def test_equal_wing_condor_and_fly_take_their_max_loss(middle, gap, wing, prices):
    """Net margin of an equal-wing condor (gap > 0) or fly (gap 0) is its maximum loss."""
    cheap, dear = np.array(prices[:2]) / 10.0, np.array(prices[2:]) / 10.0
    legs = [
        (1, middle - gap - wing, P, cheap[0]),
        (-1, middle - gap, P, cheap[0] + dear[0] * wing / 3.0),
        (-1, middle + gap, C, cheap[1] + dear[1] * wing / 3.0),
        (1, middle + gap + wing, C, cheap[1]),
    ]

    assert of(*legs).net == pytest.approx(max_loss(*legs), abs=1e-6)


@given(
    middle=st.integers(90, 110).map(float), wing=st.integers(1, 20).map(float),
    right=st.booleans(), debit=st.floats(0.0, 1.0),
)  # fmt: skip
@examples(60)
def test_long_butterfly_takes_its_debit(middle, wing, right, debit):
    """A long butterfly has no requirement; net is the debit, which is its maximum loss."""
    legs = [
        (1, middle - wing, right, 5.0 + debit),
        (-2, middle, right, 5.0),
        (1, middle + wing, right, 5.0),
    ]

    found = of(*legs)

    assert found.requirement == 0.0
    assert found.net == pytest.approx(max_loss(*legs), abs=1e-6)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-2, 2), st.integers(80, 120).map(float), st.booleans(), st.floats(0.0, 8.0)
        ),
        min_size=5, max_size=5,
    ),
    wider=st.booleans(),
)  # fmt: skip
@examples(150)
def test_defined_risk_never_takes_less_than_it_can_lose(rows, wider):
    """Where longs cover all shorts of a right, net margin is at least the maximum loss."""
    for right in (P, C):
        assume(sum(row[0] for row in rows if row[2] == right) >= 0)
    rules = margin.MarginRules(unequal_condor="wider" if wider else "two_spreads")

    assert of(*rows, rules=rules).net >= max_loss(*rows) - 1e-6


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-2, 2), st.integers(80, 120).map(float), st.booleans(),
            st.floats(0.0, 8.0), st.sampled_from([0.1, 0.2]),
        ),
        min_size=4, max_size=4,
    ),
    stock=st.sampled_from([-1.0, 0.0, 1.0]),
    order=st.permutations(range(4)),
)  # fmt: skip
@examples(100)
def test_order_of_legs_changes_nothing(rows, stock, order):
    """Any permutation of the legs, paired or in closed form, has the same margin."""
    tau = np.array([row[4] for row in rows])
    legs = [row[:4] for row in rows]

    straight = of(*legs, tau=tau, stock=stock)
    mixed = of(*(legs[i] for i in order), tau=tau[list(order)], stock=stock)

    assert mixed.requirement == pytest.approx(float(straight.requirement), abs=1e-6)
    assert mixed.net == pytest.approx(float(straight.net), abs=1e-6)


@given(scale=st.integers(2, 200))
@examples(20)
def test_margin_is_proportional_to_size(scale):
    """N structures take N times the margin, whichever way the legs are paired."""
    legs = [
        (2, 95, P, 1.0),
        (-3, 100, P, 2.5),
        (-1, 105, C, 1.5),
        (-2, 110, C, 0.8),
        (1, 115, C, 0.3),
    ]

    one, many = of(*legs), of(*((scale * q, k, r, p) for q, k, r, p in legs))

    assert many.requirement == pytest.approx(scale * float(one.requirement), rel=1e-9)


def test_two_expiries_of_spreads_are_paired_within_their_own():
    """A put spread in each of two months: both widths, no naked leg."""
    found = of(
        (1, 90, P, 0.5), (-1, 95, P, 1.5), (1, 85, P, 0.8), (-1, 95, P, 2.0),
        tau=[0.1, 0.1, 0.2, 0.2],
    )  # fmt: skip

    assert found.requirement == pytest.approx(1_500.0)


def test_long_legs_to_spare_lower_a_spread():
    """A butterfly beside a calendar is still margined as a butterfly."""
    fly = [(1, 95, C, 6.0), (-2, 100, C, 3.0), (1, 105, C, 1.2)]
    calendar = [(-1, 110, C, 0.5), (1, 110, C, 1.4)]

    found = of(*fly, *calendar, tau=[0.1, 0.1, 0.1, 0.1, 0.2])

    assert found.requirement == pytest.approx(0.0, abs=1e-6)


def test_batches_equal_single_structures():
    """A mixed batch gives row by row what single structures give."""
    rng = np.random.default_rng(9)
    strike = rng.integers(85, 115, (60, 4)).astype(float)
    right = rng.random((60, 4)) < 0.5
    quantity = rng.integers(-2, 3, (60, 4)).astype(float)
    price = rng.uniform(0.0, 6.0, (60, 4))
    tau = rng.choice([0.1, 0.2], (60, 4))
    stock = rng.choice([-1.0, 0.0, 1.0], 60)

    batch = margin.requirement(strike, right, quantity, price, spot=100.0, tau=tau, stock=stock)

    for row in range(60):
        one = margin.requirement(
            strike[row], right[row], quantity[row], price[row],
            spot=100.0, tau=tau[row], stock=stock[row],
        )  # fmt: skip
        assert_allclose(batch.requirement[row], one.requirement, atol=1e-6)
        assert_allclose(batch.net[row], one.net, atol=1e-6)


def test_credit_of_the_trade_may_differ_from_the_marks():
    """The executable credit, given, decides net; the marks still decide the requirement."""
    found = of((-1, 95, P, 1.5), credit=140.0)

    assert found.requirement == pytest.approx(1_650.0)
    assert found.net == pytest.approx(1_510.0)


def test_bad_rows_are_nan_and_leave_the_others():
    """Zero strikes, negative prices, NaN and a bad spot answer NaN without a warning."""
    strike = [[95.0], [0.0], [95.0], [np.nan], [95.0], [95.0]]
    price = [[1.5], [1.5], [-0.1], [1.5], [np.nan], [1.5]]
    quantity = [[-1], [-1], [-1], [-1], [-1], [0]]

    found = margin.requirement(strike, P, quantity, price, spot=100.0)
    spots = margin.requirement([[95.0], [95.0]], P, [[-1], [-1]], [[1.5], [1.5]], spot=[100.0, 0.0])

    assert np.isnan(found.net).tolist() == [False, True, True, True, True, False]
    assert found.net[5] == 0.0
    assert np.isnan(spots.net).tolist() == [False, True]


def test_spread_without_a_quote_still_has_a_requirement():
    """Width needs no price; net does."""
    found = of((1, 90, P, np.nan), (-1, 95, P, 1.5))

    assert found.requirement == pytest.approx(500.0)
    assert np.isnan(found.net)


def test_no_structures_have_no_margin():
    """An empty batch passes through."""
    empty = np.empty((0, 3))

    assert margin.requirement(empty, empty, empty, empty, spot=100.0).net.shape == (0,)


def test_impossible_rules_and_shapes_are_refused():
    """Percentages, floor, condor rule and shapes say which inequality failed."""
    with pytest.raises(ValueError, match=r"equity must be in \[0, 1\]"):
        margin.MarginRules(equity=20.0)
    with pytest.raises(ValueError, match="naked_floor must be >= 0"):
        margin.MarginRules(naked_floor=-1.0)
    with pytest.raises(ValueError, match="two_spreads or wider"):
        margin.MarginRules(unequal_condor="both")
    with pytest.raises(ValueError, match="share a shape"):
        margin.requirement([90.0, 95.0], [P, P, P], [1, -1], [1.0, 2.0], spot=100.0)
    with pytest.raises(ValueError, match="axis of their own"):
        margin.requirement(90.0, P, 1, 1.0, spot=100.0)


def test_a_large_batch_is_each_structure_by_itself():
    """More structures than a block holds, of any legs, cost what each costs alone."""
    rng = np.random.default_rng(6)
    count = 5_000
    strike = rng.integers(80, 120, (count, 4)).astype(float)
    is_call, quantity = rng.random((count, 4)) < 0.5, rng.choice([-1.0, 0.0, 1.0], (count, 4))
    price, spot = rng.uniform(0.1, 3.0, (count, 4)), rng.uniform(90.0, 110.0, count)

    together = margin.requirement(strike, is_call, quantity, price, spot=spot)

    for row in (0, 1, 4095, 4096, 4999):
        alone = margin.requirement(
            strike[row], is_call[row], quantity[row], price[row], spot=spot[row]
        )
        assert together.requirement[row] == alone.requirement
        assert together.net[row] == alone.net
