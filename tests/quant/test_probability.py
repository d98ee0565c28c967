"""Probabilities and expectations against fine grids, samples and identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose
from scipy.special import ndtr

from support import recorded_chains
from support.properties import examples
from tomic.quant import american, black_scholes, density, parity, payoff, probability, smile

P, C = False, True
TAU, RATE = 30 / 365, 0.045
MARKET = density.lognormal(100.0, TAU, 0.25)
SPOT, YIELD = 100.0, 0.013
CONDOR = {
    "strike": np.array([85.0, 90.0, 110.0, 115.0]),
    "is_call": np.array([False, False, True, True]),
    "quantity": np.array([1.0, -1.0, -1.0, 1.0]),
}
SHORT_PUT = {
    "spot": SPOT,
    "strike": [90.0],
    "tau": [0.1],
    "rate": RATE,
    "div_yield": YIELD,
    "leg_sigma": [0.2],
    "is_call": [False],
    "quantity": [-1.0],
    "sigma": 0.2,
    "credit": 200.0,
    "target": 100.0,
    "stop": -200.0,
    "multiplier": 100.0,
}


def mixture():
    """A density with a long left tail."""
    price = np.geomspace(20.0, 300.0, 6001)
    cdf = 0.7 * ndtr(np.log(price / 102.0) / 0.05) + 0.3 * ndtr(np.log(price / 95.0) / 0.12)
    return density.from_arrays(price, cdf, tau=TAU, forward=100.0)


def condor(credit=150.0):
    return payoff.segments(
        [90.0, 95.0, 105.0, 110.0], [P, P, C, C], [1, -1, -1, 1], credit=credit, multiplier=100.0
    )


def drawn(found, shape, count=400_000):
    """Equally likely outcomes: P&L at the mid-quantiles of the density."""
    share = (np.arange(count) + 0.5) / count
    return payoff.interpolate(shape, found.quantile(share))


legs = st.lists(
    st.tuples(st.integers(80, 120).map(float), st.booleans(), st.integers(-2, 2).map(float)),
    min_size=4,
    max_size=4,
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


def test_pos_matches_a_fine_grid():
    """PoS of 60 random four-leg trades lies within 5e-5 of a 200,000-point lognormal grid."""
    rng = np.random.default_rng(11)
    strike = rng.integers(80, 120, (60, 4)).astype(float)
    is_call = rng.random((60, 4)) < 0.5
    quantity = rng.integers(-2, 3, (60, 4)).astype(float)
    credit = rng.normal(0.0, 3.0, 60)
    total_vol = 0.25 * np.sqrt(TAU)
    score = np.linspace(-10.0, 10.0, 200_001)
    middle = 0.5 * (score[1:] + score[:-1])
    price = 100.0 * np.exp(total_vol * middle - 0.5 * total_vol**2)
    mass = np.diff(ndtr(score))

    found = probability.pos(MARKET, payoff.segments(strike, is_call, quantity, credit=credit))

    for row in range(60):
        value = credit[row] + payoff.value_at(price, strike[row], is_call[row], quantity[row])
        assert found[row] == pytest.approx(mass @ (value > 1e-9), abs=5e-5)


def test_pos_of_a_condor_is_the_mass_between_its_breakevens():
    """Condor 90/95/105/110 for 1.50: P(93.5 < S < 106.5)."""
    found = probability.pos(MARKET, condor())

    expected = MARKET.probability_below(106.5) - MARKET.probability_below(93.5)
    assert found == pytest.approx(float(expected), abs=1e-14)


@given(legs=legs, credit=st.floats(-20, 20))
@examples(150)
def test_pos_is_a_probability_and_complements_the_mirror(legs, credit):
    """PoS is in [0, 1]; a trade and its mirror cannot win together."""
    market = mixture()
    strike, is_call, quantity = legs

    here = probability.pos(market, payoff.segments(*legs, credit=credit))
    there = probability.pos(market, payoff.segments(strike, is_call, -quantity, credit=-credit))

    assert 0.0 <= here <= 1.0
    assert here + there <= 1.0 + 1e-12


def test_a_trade_that_makes_nothing_does_not_succeed():
    """Credit equal to the width leaves exactly zero below; only the region above wins."""
    spread = payoff.segments([90.0, 95.0], [P, P], [1, -1], credit=500.0, multiplier=100.0)

    found = probability.pos(MARKET, spread)

    assert found == pytest.approx(1.0 - float(MARKET.probability_below(90.0)), abs=1e-14)


@given(legs=legs, credit=st.floats(-20, 20), stock=st.sampled_from([-1.0, 0.0, 1.0]))
@examples(100)
def test_ev_is_credit_plus_the_value_of_the_legs(legs, credit, stock):
    """Integrating the segments equals valuing leg by leg: EV is linear in the legs."""
    market = mixture()
    strike, is_call, quantity = legs
    discount = 0.995

    shape = payoff.segments(*legs, credit=credit, discount=discount, stock=stock, stock_cost=99.0)

    unit = np.where(is_call, market.call_value(strike), market.put_value(strike))
    expected = credit - 99.0 * stock + discount * (quantity @ unit + stock * market.forward)
    assert probability.ev(market, shape) == pytest.approx(expected, abs=1e-8)


def test_ev_at_mid_is_the_sum_of_the_residuals():
    """Under the market density EV at mid is mid less smile, leg by leg, signed by position."""
    market = mixture()
    strike = np.array([88.0, 94.0, 106.0, 112.0])
    is_call = np.array([P, P, C, C])
    quantity = np.array([1.0, -1.0, -1.0, 1.0])
    discount = np.exp(-RATE * TAU)
    smile = discount * np.where(is_call, market.call_value(strike), market.put_value(strike))
    residual = np.array([0.02, -0.01, 0.03, 0.0])
    mid = smile + residual

    credit = -100.0 * float(quantity @ mid)
    shape = payoff.segments(
        strike, is_call, quantity, credit=credit, discount=discount, multiplier=100.0
    )

    found = probability.ev(market, shape)
    assert found == pytest.approx(-100.0 * float(quantity @ residual), abs=1e-9)


def test_ev_at_mid_on_a_recorded_chain():
    """SPY condors at mid: EV is the legs' mid less their smile, to two cents a structure."""
    why = recorded_chains.missing("tomic_ib_SPY_20250519_2026cest.csv")
    if why:
        pytest.skip(why)
    chain = recorded_chains.spy()
    expiry = chain.expiries[0]
    forward = parity.american_forward(
        chain.spot, expiry.strike, expiry.call_mid, expiry.put_mid, chain.rate, expiry.tau
    ).forward
    div_yield = parity.implied_yield(chain.spot, forward, chain.rate, expiry.tau)
    is_call = expiry.strike >= forward
    mid = np.where(is_call, expiry.call_mid, expiry.put_mid)
    iv = american.implied_vol(
        mid, chain.spot, expiry.strike, expiry.tau, chain.rate, div_yield, is_call
    )
    known = np.isfinite(iv)
    discount = float(np.exp(-chain.rate * expiry.tau))
    fitted = smile.fit(
        expiry.strike[known], iv[known], forward=forward, tau=expiry.tau, discount=discount
    )
    rows = np.array([np.searchsorted(expiry.strike, k) for k in (550.0, 560.0, 620.0, 630.0)])
    quantity = np.array([1.0, -1.0, -1.0, 1.0])
    strike, right = expiry.strike[rows], is_call[rows]

    shape = payoff.segments(
        strike, right, quantity, credit=-100.0 * float(quantity @ mid[rows]), discount=discount,
        multiplier=100.0,
    )  # fmt: skip
    found = probability.ev(density.from_smile(fitted), shape)

    residual = mid[rows] - fitted.value(strike, right)
    assert found == pytest.approx(-100.0 * float(quantity @ residual), abs=0.02)


def test_ev_at_mid_of_short_american_legs_adds_their_premium():
    """A mid holds the early-exercise premium; sold, that premium is part of the EV at expiry."""
    market = mixture()
    discount = np.exp(-RATE * TAU)
    european = discount * float(market.put_value(105.0))
    premium, residual = 0.07, 0.01

    credit = 100.0 * (european + premium + residual)
    shape = payoff.segments([105.0], [P], [-1], credit=credit, discount=discount, multiplier=100.0)

    assert probability.ev(market, shape) == pytest.approx(100.0 * (premium + residual), abs=1e-9)


def test_stock_bought_at_spot_has_no_expected_profit():
    """Shares with dividends and financing earn nothing under the market density."""
    market = mixture()
    discount = np.exp(-RATE * TAU)
    cost = payoff.stock_cost(market.forward, discount)

    shape = payoff.segments(
        [0.0], [C], [0], stock=1.0, stock_cost=cost, discount=discount, multiplier=100.0
    )

    assert probability.ev(market, shape) == pytest.approx(0.0, abs=1e-9)


def test_equal_volatility_gives_both_densities_the_same_ev():
    """When a view has the market's volatility, no trade has an edge of its own."""
    market = mixture()
    same = density.viewed(market, volatility=1.0 + 1e-13)
    rng = np.random.default_rng(5)
    strike = rng.integers(80, 120, (200, 4)).astype(float)
    shape = payoff.segments(strike, rng.random((200, 4)) < 0.5, rng.integers(-2, 3, (200, 4)))

    assert_allclose(probability.ev(same, shape), probability.ev(market, shape), atol=1e-8)


@pytest.mark.parametrize(
    "shape",
    [
        condor(),
        payoff.segments([100.0], [C], [1], credit=-300.0, multiplier=100.0),
        payoff.segments([95.0, 105.0], [P, C], [-1, -1], credit=250.0, multiplier=100.0),
        payoff.segments([95.0, 100.0], [P, P], [2, -1], credit=50.0, multiplier=100.0),
    ],
)
def test_cvar_and_quantile_match_samples(shape):
    """CVaR95 and the 95 % profit agree with 400,000 equally likely outcomes."""
    market = mixture()
    outcome = np.sort(drawn(market, shape))

    worst = -outcome[: outcome.size // 20].mean()
    assert probability.cvar(market, shape) == pytest.approx(worst, rel=1e-4, abs=0.05)
    best = probability.profit_quantile(market, shape)
    assert best == pytest.approx(np.quantile(outcome, 0.95), rel=1e-3, abs=0.05)


@given(legs=legs, credit=st.floats(-20, 20))
@examples(60)
def test_cvar_is_at_least_the_mean_loss_and_at_most_the_worst(legs, credit):
    """Mean loss <= CVaR95 <= maximum loss."""
    market = mixture()
    shape = payoff.segments(*legs, credit=credit)

    found = probability.cvar(market, shape)

    assert found >= -probability.ev(market, shape) - 1e-6
    worst = min(float(payoff.interpolate(shape, market.price).min()), float(shape.value.min()))
    assert found <= -worst + 1e-6


def test_kelly_maximises_the_mean_log():
    """The fraction found beats its neighbours in mean log wealth, over the whole density."""
    market = density.lognormal(100.0, TAU, 0.18)
    shape = condor(credit=215.0)
    gain = drawn(market, shape, 100_000) / 285.0

    found = float(probability.kelly(market, shape, 285.0, cap=1.0))

    def growth(fraction):
        return np.log1p(fraction * gain).mean()

    assert 0.0 < found < 1.0
    assert growth(found) > growth(found - 0.01)
    assert growth(found) > growth(found + 0.01)


def test_kelly_is_capped_and_never_negative():
    """No edge means nothing, a great edge means a quarter, no margin means no answer."""
    assert probability.kelly(MARKET, condor(credit=50.0), 450.0) == 0.0
    assert probability.kelly(MARKET, condor(credit=490.0), 10.0) == 0.25
    assert np.isnan(probability.kelly(MARKET, condor(), 0.0))


def test_binary_kelly_overstates_a_condor():
    """Two outcomes are not the whole density: the textbook fraction differs from the exact one."""
    market = density.lognormal(100.0, TAU, 0.18)
    shape = condor(credit=215.0)
    chance = probability.pos(market, shape)

    exact = float(probability.kelly(market, shape, 285.0, cap=1.0))
    binary = float(probability.kelly_binary(chance, 215.0 / 285.0))

    assert abs(binary - exact) > 0.02


def test_batches_equal_single_structures():
    """Every figure of a batch equals that of its rows taken alone."""
    rng = np.random.default_rng(2)
    strike = rng.integers(85, 115, (50, 4)).astype(float)
    is_call = rng.random((50, 4)) < 0.5
    quantity = rng.integers(-2, 3, (50, 4)).astype(float)
    batch = payoff.segments(strike, is_call, quantity, credit=1.0)

    for row in (0, 21, 49):
        one = payoff.segments(strike[row], is_call[row], quantity[row], credit=1.0)
        for measure in (
            probability.pos,
            probability.ev,
            probability.cvar,
            probability.profit_quantile,
        ):
            assert_allclose(measure(MARKET, batch)[row], measure(MARKET, one), atol=1e-9)


def test_nan_structures_give_nan_and_empty_batches_nothing():
    """One bad row answers NaN without a warning and leaves the others; no rows give no rows."""
    shape = payoff.segments([[95.0], [np.nan]], P, [[-1], [-1]], credit=[1.0, 1.0])
    empty = payoff.segments(np.empty((0, 2)), np.empty((0, 2), bool), np.empty((0, 2)))

    for measure in (probability.pos, probability.ev, probability.cvar, probability.profit_quantile):
        assert np.isnan(measure(MARKET, shape)).tolist() == [False, True]
        assert measure(MARKET, empty).shape == (0,)
    assert np.isnan(probability.kelly(MARKET, shape, [5.0, 5.0])).tolist() == [False, True]


@pytest.mark.parametrize("level", [0.0, 1.0, np.nan])
def test_levels_outside_the_unit_interval_are_refused(level):
    """CVaR and quantile levels must lie strictly between 0 and 1."""
    with pytest.raises(ValueError, match="level must be in"):
        probability.cvar(MARKET, condor(), level)
    with pytest.raises(ValueError, match="cap must be in"):
        probability.kelly(MARKET, condor(), 1.0, cap=level if level != 1.0 else 1.5)


def simulated(legs, tau, leg_sigma, *, sigma, credit, target, stop, seed=1, paths=200_000):
    """200,000 paths with daily steps; P&L read off a fine table of each day's values."""
    rng = np.random.default_rng(seed)
    days = round(tau.min() * 365)
    step = tau.min() / days
    price = np.full(paths, SPOT)
    state = np.zeros(paths, dtype=int)
    for day in range(1, days + 1):
        move = sigma * np.sqrt(step) * rng.standard_normal(paths)
        price *= np.exp((RATE - YIELD - 0.5 * sigma**2) * step + move)
        table = np.linspace(price.min() * 0.999, price.max() * 1.001, 4001)
        left = np.maximum(tau - day * step, 0.0)
        left[left < 1e-9] = 0.0
        unit = black_scholes.price(
            table, legs["strike"][:, None], left[:, None], RATE, YIELD, leg_sigma[:, None],
            legs["is_call"][:, None],
        )  # fmt: skip
        gain = np.interp(price, table, credit + 100.0 * (legs["quantity"] @ unit))
        open_ = state == 0
        state[open_ & (gain >= target)] = 1
        state[open_ & (gain <= stop)] = 2
    return (state == 1).mean(), (state == 2).mean()


@pytest.mark.parametrize(
    ("tau", "sigma", "target", "stop"),
    [
        (np.full(4, 30 / 365), 0.25, 0.5, -1.0),
        (np.full(4, 45 / 365), 0.20, 0.5, -2.0),
        (np.full(4, 7 / 365), 0.35, 0.8, -0.5),
    ],
)
def test_condor_target_before_stop_matches_simulation(tau, sigma, target, stop):
    """Within 0.5 points of 200,000 simulated paths with daily steps."""
    leg_sigma = np.array([0.29, 0.27, 0.23, 0.22])
    unit = black_scholes.price(
        SPOT, CONDOR["strike"], tau, RATE, YIELD, leg_sigma, CONDOR["is_call"]
    )
    credit = -100.0 * float(CONDOR["quantity"] @ unit)
    plan = {"sigma": sigma, "credit": credit, "target": target * credit, "stop": stop * credit}

    found = probability.target_before_stop(
        SPOT, CONDOR["strike"], tau, RATE, YIELD, leg_sigma, CONDOR["is_call"], CONDOR["quantity"],
        multiplier=100.0, **plan,
    )  # fmt: skip

    won, lost = simulated(CONDOR, tau, leg_sigma, **plan)
    assert found.target == pytest.approx(won, abs=0.005)
    assert found.stop == pytest.approx(lost, abs=0.005)
    assert sum(found) == pytest.approx(1.0, abs=1e-9)


def test_calendar_target_before_stop_matches_simulation():
    """A calendar, judged until its first expiry, agrees with simulation within 0.5 points."""
    legs = {
        "strike": np.array([100.0, 100.0]),
        "is_call": np.array([True, True]),
        "quantity": np.array([-1.0, 1.0]),
    }
    tau, leg_sigma = np.array([28 / 365, 63 / 365]), np.array([0.24, 0.23])
    unit = black_scholes.price(SPOT, legs["strike"], tau, RATE, YIELD, leg_sigma, legs["is_call"])
    credit = -100.0 * float(legs["quantity"] @ unit)
    plan = {"sigma": 0.22, "credit": credit, "target": -0.25 * credit, "stop": 0.5 * credit}

    found = probability.target_before_stop(
        SPOT, legs["strike"], tau, RATE, YIELD, leg_sigma, legs["is_call"], legs["quantity"],
        multiplier=100.0, **plan,
    )  # fmt: skip

    won, lost = simulated(legs, tau, leg_sigma, **plan)
    assert found.target == pytest.approx(won, abs=0.005)
    assert found.stop == pytest.approx(lost, abs=0.005)


def test_touch_matches_a_walk_with_steps_that_shrink():
    """Simulated hits, with the discreteness correction of Broadie et al. (1997), agree."""
    rng = np.random.default_rng(4)
    tau, sigma, steps = 0.25, 0.3, 400
    dt = tau / steps
    path = np.cumsum(
        (RATE - YIELD - 0.5 * sigma**2) * dt
        + sigma * np.sqrt(dt) * rng.standard_normal((20_000, steps)),
        axis=1,
    )
    top, bottom = SPOT * np.exp(path.max(axis=1)), SPOT * np.exp(path.min(axis=1))
    shift = np.exp(0.5826 * sigma * np.sqrt(dt))

    up = probability.touch(SPOT, 112.0, tau, RATE, YIELD, sigma)
    down = probability.touch(SPOT, 90.0, tau, RATE, YIELD, sigma)

    assert up == pytest.approx((top >= 112.0 / shift).mean(), abs=0.012)
    assert down == pytest.approx((bottom <= 90.0 * shift).mean(), abs=0.012)


@given(
    level=st.floats(50.0, 200.0), sigma=st.floats(0.05, 1.5), tau=st.floats(0.005, 2.0),
    rate=st.floats(-0.05, 0.15),
)  # fmt: skip
@examples(150)
def test_touch_is_at_least_the_chance_to_end_beyond(level, sigma, tau, rate):
    """Ending beyond a level implies having touched it; touch is in [0, 1]."""
    found = float(probability.touch(SPOT, level, tau, rate, 0.0, sigma))

    total = sigma * np.sqrt(tau)
    score = (np.log(level / SPOT) - (rate - 0.5 * sigma**2) * tau) / total
    beyond = float(ndtr(-score if level > SPOT else score))
    assert beyond - 1e-9 <= found <= 1.0


@given(
    low=st.floats(50.0, 99.0), high=st.floats(101.0, 200.0), sigma=st.floats(0.05, 1.5),
    tau=st.floats(0.005, 2.0), rate=st.floats(-0.05, 0.15),
)  # fmt: skip
@examples(150)
def test_either_of_two_levels_is_between_the_larger_and_the_sum(low, high, sigma, tau, rate):
    """max(P(low), P(high)) <= P(either) <= P(low) + P(high)."""
    down, up = (float(probability.touch(SPOT, at, tau, rate, 0.0, sigma)) for at in (low, high))

    found = float(probability.touch_either(SPOT, low, high, tau, rate, 0.0, sigma))

    assert max(down, up) - 1e-9 <= found <= min(1.0, down + up) + 1e-9


def test_either_of_two_levels_matches_a_walk():
    """Simulated paths that leave 92..112, with the discreteness correction, agree."""
    rng = np.random.default_rng(8)
    tau, sigma, steps = 0.25, 0.3, 400
    dt = tau / steps
    move = (RATE - YIELD - 0.5 * sigma**2) * dt
    path = np.cumsum(move + sigma * np.sqrt(dt) * rng.standard_normal((20_000, steps)), axis=1)
    shift = 0.5826 * sigma * np.sqrt(dt)
    left = (path.max(axis=1) >= np.log(1.12) - shift) | (path.min(axis=1) <= np.log(0.92) + shift)

    found = probability.touch_either(SPOT, 92.0, 112.0, tau, RATE, YIELD, sigma)

    assert found == pytest.approx(left.mean(), abs=0.012)


def test_either_of_two_levels_at_its_edges():
    """Outside the two levels 1; between walls that nearly meet 1; NaN and no time give NaN."""
    low, high = [90.0, 101.0, 99.999, np.nan], [100.0, 110.0, 100.001, 110.0]

    found = probability.touch_either(SPOT, low, high, 0.1, RATE, YIELD, 0.2)

    assert_allclose(found[:3], 1.0)
    assert np.isnan(found[3])
    assert np.isnan(probability.touch_either(SPOT, 90.0, 110.0, 0.0, RATE, YIELD, 0.2))


def test_touch_at_its_edges():
    """At the spot 1, at zero 0; without volatility the forward path decides; NaN gives NaN."""
    found = probability.touch(SPOT, [100.0, 0.0, -3.0, np.nan], 0.1, RATE, YIELD, 0.2)
    still = probability.touch(SPOT, [101.0, 104.0, 99.0], 1.0, RATE, YIELD, 0.0)
    expired = probability.touch(SPOT, [100.0, 101.0], 0.0, RATE, YIELD, 0.2)

    assert_allclose(found[:3], [1.0, 0.0, 0.0])
    assert np.isnan(found[3])
    assert_allclose(still, [1.0, 0.0, 0.0])
    assert_allclose(expired, [1.0, 0.0])
    assert np.isnan(probability.touch(-1.0, 100.0, 0.1, RATE, YIELD, 0.2))


def test_a_plan_that_is_met_at_once_or_never():
    """A target already reached wins everything; a stop and target out of reach leave neither."""
    sure = probability.target_before_stop(**{**SHORT_PUT, "target": -5000.0, "stop": -6000.0})
    never = probability.target_before_stop(**{**SHORT_PUT, "target": 20_001.0, "stop": -1e7})

    assert sure.target == pytest.approx(1.0, abs=1e-6)
    assert never.neither == pytest.approx(1.0, abs=1e-6)


def test_bad_plans_are_refused_or_nan():
    """A stop above the target is refused; a NaN volatility answers NaN."""
    with pytest.raises(ValueError, match="stop must be < target"):
        probability.target_before_stop(**{**SHORT_PUT, "stop": 150.0})
    with pytest.raises(ValueError, match="must be > 0"):
        probability.target_before_stop(**{**SHORT_PUT, "sigma": 0.0})
    with pytest.raises(ValueError, match="shape"):
        probability.target_before_stop(
            **{**SHORT_PUT, "strike": [90.0, 95.0], "tau": [0.1, 0.1, 0.1]}
        )
    assert np.isnan(probability.target_before_stop(**{**SHORT_PUT, "leg_sigma": [np.nan]}).target)
