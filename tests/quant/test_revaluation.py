"""The stress grid against full revaluation, cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support.properties import examples
from tomic.quant import american, black_scholes, revaluation

AXES = {
    "spot_moves": np.linspace(-0.2, 0.2, 41).round(3),
    "vol_moves": np.array([-0.5, -0.35, -0.2, -0.1, 0.0, 0.2, 0.4, 0.7, 1.0]),
    "days": np.array([0.0, 1.0, 5.0, 10.0, 20.0]),
}
CENTRE = (20, 4, 0)


def positions(count, seed, spot=500.0):
    """Options around the money over a year and a half, on an underlying of 500 or as asked."""
    rng = np.random.default_rng(seed)
    return {
        "spot": np.full(count, spot),
        "strike": np.round(spot * np.exp(rng.normal(0.0, 0.1, count))),
        "tau": rng.choice([9, 21, 35, 63, 126, 252, 540], count) / 365,
        "rate": 0.045,
        "div_yield": rng.choice([0.0, 0.013, 0.03], count),
        "sigma": rng.uniform(0.12, 0.6, count),
        "is_call": rng.random(count) < 0.5,
    }


def revalued(price, book, axes=AXES):
    """P&L of each position per share by pricing every cell with *price*."""
    columns = {
        name: np.broadcast_to(value, book["spot"].shape)[:, None, None, None]
        for name, value in book.items()
    }
    now = price(*columns.values())
    moved = {
        **columns,
        "spot": columns["spot"] * (1.0 + axes["spot_moves"][:, None, None]),
        "sigma": columns["sigma"] * (1.0 + axes["vol_moves"][:, None]),
        "tau": np.maximum(columns["tau"] - axes["days"] / 365.0, 0.0),
    }
    return price(*moved.values()) - now


@pytest.mark.parametrize("seed", [1, 2])
def test_american_book_is_within_half_a_cent_of_full_revaluation(seed):
    """Every cell of every position on a 500 underlying lies within 0.5 cent a share."""
    book = positions(30, seed)

    found = revaluation.stress_grid(
        **book, quantity=1.0, multiplier=1.0, group=np.arange(30), **AXES
    )

    assert_allclose(found, revalued(american.price, book), atol=0.005)


def test_european_book_is_exact():
    """European options are priced in closed form in every cell."""
    book = positions(20, 3)

    found = revaluation.stress_grid(
        **book, quantity=1.0, multiplier=1.0, is_american=False, group=np.arange(20), **AXES
    )

    assert_allclose(found, revalued(black_scholes.price, book), atol=1e-8)


@pytest.mark.parametrize(
    ("rate", "div_yield"), [(0.0, 0.0), (-0.01, 0.02), (0.0, -0.02), (0.10, 0.0), (0.02, 0.08)]
)
def test_unusual_rates_follow_full_revaluation(rate, div_yield):
    """Zero, negative and high rates and yields stay within a cent a share."""
    book = {**positions(8, 4), "rate": rate, "div_yield": np.full(8, div_yield)}

    found = revaluation.stress_grid(
        **book, quantity=1.0, multiplier=1.0, group=np.arange(8), **AXES
    )

    assert_allclose(found, revalued(american.price, book), atol=0.01)


@given(seed=st.integers(0, 10_000), american_style=st.booleans())
@examples(15)
def test_the_centre_is_exactly_zero(seed, american_style):
    """Nothing moved means nothing gained, to the last bit, for any book."""
    book = positions(6, seed, spot=100.0)

    found = revaluation.stress_grid(
        **book, quantity=np.arange(-3, 3), is_american=american_style, **AXES
    )

    assert found[(0, *CENTRE)] == 0.0
    assert np.isfinite(found).all()


def test_a_grid_without_the_centre_is_measured_from_it():
    """Leaving out the unmoved cell changes no other cell by more than a cent a contract."""
    book = positions(5, 7)
    part = {"spot_moves": [-0.1, 0.1], "vol_moves": [0.4], "days": [5.0, 10.0]}

    whole = revaluation.stress_grid(**book, quantity=1.0, **AXES)
    found = revaluation.stress_grid(**book, quantity=1.0, **part)

    assert found.shape == (1, 2, 1, 2)
    assert_allclose(found[0], whole[0][np.ix_([10, 30], [6], [2, 3])], atol=0.01)


def test_groups_add_up_and_quantities_scale():
    """Groups sum to the book; ten contracts are ten times one; the multiplier counts."""
    book = positions(12, 8)
    quantity = np.tile([1.0, -2.0, 3.0], 4)
    group = np.arange(12) % 4

    parts = revaluation.stress_grid(**book, quantity=quantity, group=group, **AXES)
    whole = revaluation.stress_grid(**book, quantity=10.0 * quantity, multiplier=10.0, **AXES)

    assert parts.shape == (4, 41, 9, 5)
    assert_allclose(parts.sum(axis=0), whole[0], atol=1e-6)


def test_shares_are_linear_and_feel_nothing_else():
    """100 shares at 50 gain 50 per per cent, whatever volatility and time do; beta scales."""
    found = revaluation.stress_grid(
        50.0, np.nan, np.nan, np.nan, np.nan, np.nan, False,
        quantity=[100.0, 100.0], multiplier=1.0, is_stock=True, beta=[1.0, 1.5], group=[0, 1],
        **AXES,
    )  # fmt: skip

    expected = 5000.0 * AXES["spot_moves"]
    assert_allclose(found[0], np.broadcast_to(expected[:, None, None], (41, 9, 5)))
    assert_allclose(found[1], 1.5 * found[0])


def test_beta_moves_options_further():
    """An option of beta 2 at an index move of 5 % is where one of beta 1 is at 10 %."""
    book = positions(3, 9)

    once = revaluation.stress_grid(**book, quantity=1.0, **AXES)
    twice = revaluation.stress_grid(**book, quantity=1.0, beta=2.0, **AXES)

    assert_allclose(twice[0, 25], once[0, 30], atol=1e-6)


def test_expired_options_are_worth_their_payoff():
    """Beyond the expiry each cell holds the payoff at its spot."""
    axes = {**AXES, "days": np.array([0.0, 30.0])}
    value_now = float(american.price(100.0, 105.0, 9 / 365, 0.045, 0.0, 0.3, False))

    found = revaluation.stress_grid(
        100.0, 105.0, 9 / 365, 0.045, 0.0, 0.3, False, quantity=1.0, multiplier=1.0, **axes
    )

    payoff = np.maximum(105.0 - 100.0 * (1.0 + AXES["spot_moves"]), 0.0)
    assert_allclose(found[0, :, :, 1] + value_now, np.repeat(payoff[:, None], 9, 1), atol=2e-3)


def test_volatility_and_spot_may_vanish():
    """A spot or volatility that falls by all of itself is priced without a warning."""
    found = revaluation.stress_grid(
        100.0, [95.0, 105.0], 0.2, 0.045, 0.01, 0.3, [False, True], quantity=1.0,
        spot_moves=[-1.0, 0.0], vol_moves=[-1.0, 0.0], days=[0.0],
    )  # fmt: skip

    assert np.isfinite(found).all()
    # The dead spot leaves the put its strike, exercised at once.
    put = float(american.price(100.0, 95.0, 0.2, 0.045, 0.01, 0.3, False))
    call = float(american.price(100.0, 105.0, 0.2, 0.045, 0.01, 0.3, True))
    assert found[0, 0, 1, 0] == pytest.approx(100.0 * (95.0 - put - call), abs=0.5)


@pytest.mark.parametrize(
    "bad", [{"sigma": np.nan}, {"spot": 0.0}, {"strike": -5.0}, {"quantity": np.inf}]
)
def test_what_cannot_be_valued_makes_its_own_group_nan(bad):
    """A bad position poisons its group, visibly, and no other."""
    book = {**positions(3, 10), "quantity": np.ones(3)}
    for name, value in bad.items():
        book[name] = np.array([*book[name][:2], value])

    found = revaluation.stress_grid(**book, group=[0, 0, 1], **AXES)

    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_no_positions_lose_nothing():
    """An empty book is one group of zeros."""
    none = np.empty(0)

    found = revaluation.stress_grid(
        none, none, none, none, none, none, none.astype(bool), quantity=none, **AXES
    )

    assert_allclose(found, np.zeros((1, 41, 9, 5)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spot_moves": [-1.5]}, "spot_moves must be"),
        ({"vol_moves": [np.nan]}, "vol_moves must be"),
        ({"days": [-1.0]}, "days must be"),
        ({"group": [0, 1]}, "group must hold 3"),
        ({"group": [0, -1, 0]}, "indices >= 0"),
        ({"quantity": np.ones(4)}, "share shape"),
    ],
)
def test_impossible_grids_are_refused(change, words):
    """Each refusal names the argument and its limit."""
    with pytest.raises(ValueError, match=words):
        revaluation.stress_grid(**{**positions(3, 1), "quantity": 1.0, **AXES, **change})
