"""Structures with several expiries, revalued at the first one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tomic.quant import (
    black_scholes,
    density,
    later_expiries,
    payoff,
    probability,
    smile as svi_smile,
)

NEAR, LEFT, RATE, YIELD, SIGMA = 30 / 365, 35 / 365, 0.045, 0.013, 0.25
FIRST = density.lognormal(100.0, NEAR, SIGMA)


def smile(forward, tau, slope=-0.3):
    return SimpleNamespace(
        forward=forward,
        tau=tau,
        discount=float(np.exp(-RATE * tau)),
        iv=lambda strike: SIGMA + slope * np.tanh(np.log(np.asarray(strike) / forward)),
    )


def calendar(debit=120.0, right=True, american=True):
    later = later_expiries.flat(LEFT, RATE, YIELD, SIGMA, american=american)
    return later_expiries.segments(
        [100.0, 100.0], [right, right], [-1, 1], [0, 1], [later],
        grid=later_expiries.grid(FIRST), credit=-debit, multiplier=100.0,
    )  # fmt: skip


def test_later_value_is_black_scholes():
    """With one volatility the table gives Black-Scholes to 2e-6 of the price."""
    later = later_expiries.flat(LEFT, RATE, YIELD, SIGMA, american=False)
    price = np.linspace(50.0, 160.0, 500)

    for right in (True, False):
        expected = black_scholes.price(price, 100.0, LEFT, RATE, YIELD, SIGMA, right)
        assert_allclose(later.value(price, 100.0, right), expected, atol=2e-4)


def test_smile_moves_with_the_price():
    """Sticky moneyness: the volatility used is today's at the same ln(K / forward)."""
    near, far = smile(100.0, NEAR), smile(100.3, NEAR + LEFT)
    later = later_expiries.from_smiles(near, far, american=False)

    price = 92.0
    forward = price * 100.3 / 100.0
    sigma = far.iv(far.forward * 100.0 / forward)
    discount = far.discount / near.discount
    expected = discount * black_scholes.undiscounted(forward, 100.0, sigma * np.sqrt(LEFT), True)
    assert later.value(price, 100.0, True) == pytest.approx(float(expected), abs=2e-4)


@pytest.mark.parametrize("right", [True, False])
def test_calendar_cannot_lose_more_than_its_debit(right):
    """Bought for 1.20 it loses at most 120, is best at its strike and has two breakevens."""
    shape = calendar(right=right)

    found = payoff.profile(shape)

    assert found.max_loss == pytest.approx(120.0, abs=1e-6)
    best = later_expiries.flat(LEFT, RATE, YIELD, SIGMA).value(100.0, 100.0, right)
    assert found.max_profit == pytest.approx(100.0 * float(best) - 120.0, abs=0.02)
    low, high = found.breakevens[:2]
    assert low < 100.0 < high
    assert np.isnan(found.breakevens[2:]).all()


def test_calendar_breakevens_are_zeros_of_the_revaluation():
    """P&L at the breakevens is nil within a cent per share."""
    found = payoff.profile(calendar())
    price = found.breakevens[:2]

    worth = later_expiries.value_at_first_expiry(
        price, [100.0, 100.0], [True, True], [-1, 1], [0, 1],
        [later_expiries.flat(LEFT, RATE, YIELD, SIGMA)],
    )  # fmt: skip

    assert_allclose(worth - 1.20, 0.0, atol=0.01)


def test_calendar_probabilities_match_samples():
    """PoS, EV and CVaR of a calendar agree with 200,000 revalued outcomes."""
    shape = calendar()
    later = later_expiries.flat(LEFT, RATE, YIELD, SIGMA)
    price = FIRST.quantile((np.arange(200_000) + 0.5) / 200_000)
    value = 100.0 * (later.value(price, 100.0, True) - np.maximum(price - 100.0, 0.0)) - 120.0

    assert probability.pos(FIRST, shape) == pytest.approx((value > 0).mean(), abs=2e-4)
    assert probability.ev(FIRST, shape) == pytest.approx(value.mean(), abs=0.05)
    worst = -np.sort(value)[:10_000].mean()
    assert probability.cvar(FIRST, shape) == pytest.approx(worst, abs=0.1)


def test_flat_volatility_calendar_is_fairly_priced_by_its_density():
    """Under one volatility the EV of a European calendar at its model price is nil."""
    tau = np.array([NEAR, NEAR + LEFT])
    spot = 100.0 * np.exp(-(RATE - YIELD) * NEAR)
    unit = black_scholes.price(spot, 100.0, tau, RATE, YIELD, SIGMA, True)
    later = later_expiries.flat(LEFT, RATE, YIELD, SIGMA, american=False)

    shape = later_expiries.segments(
        [100.0, 100.0], [True, True], [-1, 1], [0, 1], [later],
        grid=later_expiries.grid(FIRST), credit=-100.0 * (unit[1] - unit[0]),
        discount=float(np.exp(-RATE * NEAR)), multiplier=100.0,
    )  # fmt: skip

    assert probability.ev(FIRST, shape) == pytest.approx(0.0, abs=0.05)


def test_legs_of_the_first_expiry_alone_are_the_exact_payoff():
    """Without later legs the sampled segments equal the exact ones."""
    strike, right, quantity = [90.0, 95.0, 105.0, 110.0], [0, 0, 1, 1], [1, -1, -1, 1]

    exact = payoff.segments(strike, right, quantity, credit=2.0)
    sampled = later_expiries.segments(
        strike, right, quantity, 0, [], grid=later_expiries.grid(FIRST), credit=2.0
    )

    price = np.linspace(0.0, 200.0, 333)
    assert_allclose(
        payoff.interpolate(sampled, price), payoff.interpolate(exact, price), atol=1e-10
    )
    assert probability.pos(FIRST, sampled) == pytest.approx(float(probability.pos(FIRST, exact)))


def test_mixed_batches_equal_their_rows():
    """Rows whose legs sit in different slots may share a batch."""
    later = [
        later_expiries.flat(LEFT, RATE, YIELD, SIGMA),
        later_expiries.flat(2 * LEFT, RATE, YIELD, 0.22),
    ]
    grid = later_expiries.grid(FIRST)
    strike = np.array([[100.0, 100.0, 0.0], [95.0, 100.0, 105.0], [100.0, 110.0, np.nan]])
    right = np.array([[True, True, True], [False, True, True], [True, True, True]])
    quantity = np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 2.0], [-1.0, 1.0, 0.0]])
    slot = np.array([[0, 1, 0], [2, 0, 1], [1, 2, 9]])

    batch = later_expiries.segments(strike, right, quantity, slot, later, grid=grid, credit=1.0)

    for row in range(3):
        one = later_expiries.segments(
            strike[row], right[row], quantity[row], slot[row], later, grid=grid, credit=1.0
        )
        assert_allclose(batch.value[row], one.value, atol=1e-12)


def test_wrong_expiries_are_refused():
    """An expiry index beyond the list, or a later expiry that is not later, says so."""
    grid = later_expiries.grid(FIRST)
    with pytest.raises(ValueError, match=r"expiry must be in 0\.\.0"):
        later_expiries.segments([100.0], [True], [1], [1], [], grid=grid)
    with pytest.raises(ValueError, match="must come after"):
        later_expiries.from_smiles(smile(100.0, 0.2), smile(100.0, 0.1))
    with pytest.raises(ValueError, match="sigma must be > 0"):
        later_expiries.flat(LEFT, RATE, YIELD, np.nan)
    with pytest.raises(ValueError, match="ascending"):
        later_expiries.segments([100.0], [True], [1], [0], [], grid=grid[::-1])


@pytest.mark.parametrize("right", [True, False])
def test_no_expected_value_out_of_revaluation(right):
    """Given the market's density, every later option has the mean value that it costs today."""
    near, far = (
        svi_smile.Smile(100.0 * np.exp((RATE - YIELD) * tau), tau, float(np.exp(-RATE * tau)),
                        a=0.2 * w, b=0.15 * w, rho=-0.6, m=0.0, sigma=2.0 * float(np.sqrt(w)))
        for tau, w in ((NEAR, SIGMA**2 * NEAR), (NEAR + LEFT, SIGMA**2 * (NEAR + LEFT)))
    )  # fmt: skip
    market = density.from_smile(near)
    strike = np.linspace(80.0, 120.0, 9)
    later = later_expiries.from_smiles(near, far, american=False, market=market)

    price, mass = market.cells()
    mean = near.discount * later.value(price, strike[:, None], right) @ mass

    assert_allclose(mean, far.value(strike, right), rtol=2e-3, atol=2e-4)
    plain = later_expiries.from_smiles(near, far, american=False)
    off = near.discount * plain.value(price, strike[:, None], right) @ mass - mean
    assert np.abs(off).max() > 0.01


def test_shortfall_of_a_spread():
    """P(P&L < 0) and the mean loss complement PoS and EV: E[P&L] = E[gain] - E[loss]."""
    shape = payoff.segments([90.0, 95.0], [False, False], [1, -1], credit=1.0)

    below = probability.shortfall(FIRST, shape)

    grid = np.linspace(1e-6, 1.0 - 1e-6, 400_001)
    profit = payoff.interpolate(shape, FIRST.quantile(grid))
    assert below.probability == pytest.approx(1.0 - probability.pos(FIRST, shape), abs=1e-12)
    assert below.mean == pytest.approx(np.maximum(-profit, 0.0).mean(), abs=1e-5)
