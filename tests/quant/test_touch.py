"""Touch and target-before-stop against simulation and closed limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose
from scipy.special import ndtr

from support.properties import examples
from tomic.quant import black_scholes, touch

SPOT, RATE, YIELD = 100.0, 0.045, 0.013
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

    found = touch.target_before_stop(
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

    found = touch.target_before_stop(
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

    up = touch.touch(SPOT, 112.0, tau, RATE, YIELD, sigma)
    down = touch.touch(SPOT, 90.0, tau, RATE, YIELD, sigma)

    assert up == pytest.approx((top >= 112.0 / shift).mean(), abs=0.012)
    assert down == pytest.approx((bottom <= 90.0 * shift).mean(), abs=0.012)


@given(
    level=st.floats(50.0, 200.0), sigma=st.floats(0.05, 1.5), tau=st.floats(0.005, 2.0),
    rate=st.floats(-0.05, 0.15),
)  # fmt: skip
@examples(150)
def test_touch_is_at_least_the_chance_to_end_beyond(level, sigma, tau, rate):
    """Ending beyond a level implies having touched it; touch is in [0, 1]."""
    found = float(touch.touch(SPOT, level, tau, rate, 0.0, sigma))

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
    down, up = (float(touch.touch(SPOT, at, tau, rate, 0.0, sigma)) for at in (low, high))

    found = float(touch.touch_either(SPOT, low, high, tau, rate, 0.0, sigma))

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

    found = touch.touch_either(SPOT, 92.0, 112.0, tau, RATE, YIELD, sigma)

    assert found == pytest.approx(left.mean(), abs=0.012)


def test_either_of_two_levels_at_its_edges():
    """Outside the two levels 1; between walls that nearly meet 1; NaN and no time give NaN."""
    low, high = [90.0, 101.0, 99.999, np.nan], [100.0, 110.0, 100.001, 110.0]

    found = touch.touch_either(SPOT, low, high, 0.1, RATE, YIELD, 0.2)

    assert_allclose(found[:3], 1.0)
    assert np.isnan(found[3])
    assert np.isnan(touch.touch_either(SPOT, 90.0, 110.0, 0.0, RATE, YIELD, 0.2))


def test_touch_at_its_edges():
    """At the spot 1, at zero 0; without volatility the forward path decides; NaN gives NaN."""
    found = touch.touch(SPOT, [100.0, 0.0, -3.0, np.nan], 0.1, RATE, YIELD, 0.2)
    still = touch.touch(SPOT, [101.0, 104.0, 99.0], 1.0, RATE, YIELD, 0.0)
    expired = touch.touch(SPOT, [100.0, 101.0], 0.0, RATE, YIELD, 0.2)

    assert_allclose(found[:3], [1.0, 0.0, 0.0])
    assert np.isnan(found[3])
    assert_allclose(still, [1.0, 0.0, 0.0])
    assert_allclose(expired, [1.0, 0.0])
    assert np.isnan(touch.touch(-1.0, 100.0, 0.1, RATE, YIELD, 0.2))


def test_a_plan_that_is_met_at_once_or_never():
    """A target already reached wins everything; a stop and target out of reach leave neither."""
    sure = touch.target_before_stop(**{**SHORT_PUT, "target": -5000.0, "stop": -6000.0})
    never = touch.target_before_stop(**{**SHORT_PUT, "target": 20_001.0, "stop": -1e7})

    assert sure.target == pytest.approx(1.0, abs=1e-6)
    assert never.neither == pytest.approx(1.0, abs=1e-6)


def test_bad_plans_are_refused_or_nan():
    """A stop above the target is refused; a NaN volatility answers NaN."""
    with pytest.raises(ValueError, match="stop must be < target"):
        touch.target_before_stop(**{**SHORT_PUT, "stop": 150.0})
    with pytest.raises(ValueError, match="must be > 0"):
        touch.target_before_stop(**{**SHORT_PUT, "sigma": 0.0})
    with pytest.raises(ValueError, match="shape"):
        touch.target_before_stop(**{**SHORT_PUT, "strike": [90.0, 95.0], "tau": [0.1, 0.1, 0.1]})
    assert np.isnan(touch.target_before_stop(**{**SHORT_PUT, "leg_sigma": [np.nan]}).target)
