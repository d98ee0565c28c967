"""Paths that end as the market's densities say, and what exits make of a structure on them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from scipy.special import ndtr

from tomic.quant import black_scholes, density, paths, probability, smile
from tomic.quant.paths import ExitPlan

RATE, YIELD, SPOT = 0.045, 0.013, 100.0
DAYS = np.arange(1.0, 46.0)


def forward(tau):
    return SPOT * np.exp((RATE - YIELD) * np.asarray(tau))


def discount(tau):
    return np.exp(-RATE * np.asarray(tau))


def skewed(days, *, level=0.22, slope=-0.3, bend=0.5):
    """A smile with the skew of an index."""
    tau = days / 365
    strike = np.linspace(70.0, 130.0, 61)
    k = np.log(strike / forward(tau)) / math.sqrt(tau / 0.1)
    vol = level + slope * k + bend * k**2
    return smile.fit(strike, vol, forward=float(forward(tau)), tau=tau, discount=discount(tau))


def flat(days, vol=0.25):
    tau = days / 365
    return smile.flat(vol, forward=float(forward(tau)), tau=tau, discount=float(discount(tau)))


SMILES = [skewed(10, level=0.30), skewed(24), skewed(45, level=0.24)]
"""A first expiry that is dearer than the next ones, as before an event."""
DENSITIES = [density.from_smile(each) for each in SMILES]
LAW = paths.law(SPOT, DENSITIES, DAYS / 365)
PATHS = paths.simulate(LAW)
EVERY = np.arange(paths.PATHS)
CONDOR = ((85.0, False, 1.0), (90.0, False, -1.0), (108.0, True, -1.0), (112.0, True, 1.0))


def plan(law, fitted, legs, *, target=0.5, stop=2.0, last=23, cost=4.0):
    """A structure of 100 shares a contract at the values of its smile, closed at shares of it."""
    carry = discount(law.tau)
    worth = 100.0 * sum(
        amount * paths.option_values(law, fitted, strike, call, discount=carry)
        for strike, call, amount in legs
    )
    credit = -100.0 * sum(amount * float(fitted.value(k, call)) for k, call, amount in legs)
    return ExitPlan(
        watched=credit + worth,
        gain=credit + carry[:, None] * worth,
        cost=carry * cost,
        hold=0.0,
        target=target * abs(credit),
        stop=-stop * abs(credit),
        last=last,
        expires=last == len(carry) - 1,
    )


@pytest.mark.parametrize("number", range(3))
def test_the_law_at_every_expiry_is_the_markets_density(number):
    """At each expiry on the way a path's price has the quantiles of that expiry's density."""
    day = int(np.flatnonzero(np.isclose(LAW.tau, DENSITIES[number].tau))[0])
    share = np.linspace(0.005, 0.995, 199)

    simulated = np.quantile(PATHS.at(LAW.price, day, EVERY), share)

    exact = DENSITIES[number].quantile(ndtr(paths.score()))
    assert_allclose(LAW.price[day], exact, rtol=2e-5)
    below = DENSITIES[number].probability_below(simulated)
    assert_allclose(below, share, atol=3e-3)


def test_the_mean_of_every_day_is_the_forward():
    """Discounted with carry, the price is worth as much on every day: the mean is the forward."""
    means = [PATHS.at(LAW.price, day, EVERY).mean() for day in range(DAYS.size)]

    assert_allclose(LAW.forward, forward(LAW.tau), rtol=1e-6)
    assert_allclose(means, LAW.forward, rtol=1e-4)


def test_the_price_has_no_drift_that_the_past_could_tell():
    """Until the first expiry what follows a rise or a fall has the forward as its mean."""
    law = paths.law(SPOT, DENSITIES[:1], np.arange(1.0, 11.0) / 365)
    drawn = paths.simulate(law)
    early = drawn.at(law.price, 3, EVERY) / law.forward[3]
    late = drawn.at(law.price, 9, EVERY) / law.forward[9]

    parts = np.array_split(np.argsort(early), 20)

    drift = np.array([late[part].mean() / early[part].mean() - 1.0 for part in parts])
    error = np.array([late[part].std() / math.sqrt(part.size) for part in parts])
    assert np.all(np.abs(drift) < 4.0 * error)


def test_variance_between_expiries_is_theirs():
    """Between two expiries the variance of the log-return grows from the one's to the other's."""
    tau = [10 / 365, 17 / 365, 24 / 365]

    law = paths.law(SPOT, DENSITIES, tau)

    first, second = DENSITIES[0].std_log ** 2, DENSITIES[1].std_log ** 2
    assert_allclose(law.variance, [first, 0.5 * (first + second), second], rtol=1e-12)


def test_options_mean_what_they_cost_today():
    """On every day an option's discounted mean is its value today, with any skew."""
    carry = discount(LAW.tau)

    for strike, call in ((80.0, False), (95.0, False), (100.0, True), (112.0, True)):
        value = paths.option_values(LAW, SMILES[2], strike, call, discount=carry)

        assert_allclose(carry * LAW.mean(value), float(SMILES[2].value(strike, call)), atol=1.5e-3)


def test_flat_smile_is_black_and_scholes():
    """With one volatility the values on the way are those of Black and Scholes."""
    fitted, tau = flat(45), np.array([1.0, 20.0, 44.0]) / 365
    law = paths.law(SPOT, [density.from_smile(fitted)], tau)

    value = paths.option_values(law, fitted, 95.0, False, discount=discount(tau))

    exact = black_scholes.price(
        law.price, 95.0, (fitted.tau - tau)[:, None], RATE, YIELD, 0.25, False
    )
    middle = slice(40, -40)
    assert_allclose(value[:, middle], exact[:, middle], atol=4e-3)


def test_american_values_are_not_below_exercise():
    """A put in the money is worth what exercise pays that day, if it may be exercised."""
    carry = discount(LAW.tau)

    value = paths.option_values(LAW, SMILES[2], 110.0, False, discount=carry, american=True)

    assert np.all(value >= 110.0 - LAW.price)


@pytest.mark.parametrize(("target", "stop"), [(0.5, 2.0), (0.25, 1.0), (0.8, 0.5)])
def test_against_an_exact_markov_chain(target, stop):
    """Of a condor in Black's world: target before stop as an exact chain of daily moves has it."""
    fitted = flat(45)
    law = paths.law(SPOT, [density.from_smile(fitted)], DAYS / 365)
    given = plan(law, fitted, CONDOR, target=target, stop=stop, last=44, cost=0.0)

    result = paths.outcome(given, paths.simulate(law), DAYS)

    strike, call, amount = (np.array(part) for part in zip(*CONDOR, strict=True))
    credit = given.target / target
    exact = probability.target_before_stop(
        SPOT, strike, np.full(4, fitted.tau), RATE, YIELD, np.full(4, 0.25), call, amount,
        sigma=0.25, credit=credit, target=given.target, stop=given.stop, multiplier=100.0,
    )  # fmt: skip
    # The chain closes at a target on the last day too, where here options expire.
    early = probability.target_before_stop(
        SPOT, strike, np.full(4, fitted.tau), RATE, YIELD, np.full(4, 0.25), call, amount,
        sigma=0.25, credit=credit, target=given.target, stop=given.stop, multiplier=100.0,
        horizon=44 / 365,
    )  # fmt: skip
    assert early.target <= exact.target
    assert result.p_target == pytest.approx(early.target, abs=0.004)
    assert result.p_stop == pytest.approx(early.stop, abs=0.004)


def test_without_exits_it_is_held_to_expiry():
    """With exits off nothing is closed, nothing paid, and EV is that of holding."""
    given = plan(LAW, SMILES[2], CONDOR, target=math.inf, stop=math.inf, last=44)

    result = paths.outcome(given, PATHS, DAYS)

    assert (result.p_expiry, result.held) == (1.0, 45.0)
    assert result.ev == pytest.approx(0.0, abs=0.5)
    assert result.ev_error == 0.0


def test_exits_cost_what_closing_costs():
    """On average an exit at the market's value brings what holding does, less its costs."""
    given = plan(LAW, SMILES[2], CONDOR, cost=4.0)
    free = dataclasses.replace(given, cost=np.zeros(DAYS.size))

    closed, unpaid = (paths.outcome(each, PATHS, DAYS) for each in (given, free))

    assert unpaid.ev == pytest.approx(given.hold, abs=1e-9)
    assert closed.ev == pytest.approx(-4.0, abs=0.02)
    assert closed.p_expiry == 0.0


def test_a_day_that_is_known_beforehand_earns_nothing_by_itself():
    """Closed by time alone, P&L has mean 0 without any correction of the paths."""
    given = plan(LAW, SMILES[2], CONDOR, target=math.inf, stop=math.inf)

    gain = PATHS.at(given.gain, given.last, EVERY)

    assert gain.mean() == pytest.approx(0.0, abs=0.3)


def test_exits_cut_the_tail():
    """The worst 5 % of a condor that is closed in time lose less than of one that is held."""
    managed = paths.outcome(plan(LAW, SMILES[2], CONDOR), PATHS, DAYS)
    held = paths.outcome(
        plan(LAW, SMILES[2], CONDOR, target=math.inf, stop=math.inf, last=44), PATHS, DAYS
    )

    assert held.tail < managed.tail < 0.0


def test_a_stop_comes_before_a_target_and_both_before_time():
    """Where all of them close a trade on one day it counts as the stop, then as the target."""
    given = plan(LAW, SMILES[2], CONDOR, last=0)
    always = np.full(LAW.price.shape, 1.0)

    both = paths.outcome(dataclasses.replace(given, target=-1e9, breach=always), PATHS, DAYS)
    target = paths.outcome(dataclasses.replace(given, target=-1e9), PATHS, DAYS)
    time = paths.outcome(dataclasses.replace(given, target=1e9, stop=-1e9), PATHS, DAYS)

    assert (both.p_stop, target.p_target, time.p_time) == (1.0, 1.0, 1.0)


def test_the_same_input_gives_the_same_answer():
    """There is no chance in it: two runs agree in every bit."""
    given = plan(LAW, SMILES[2], CONDOR)

    first, second = (paths.outcome(given, paths.simulate(LAW), DAYS) for _ in range(2))

    assert first == second


@settings(max_examples=25, deadline=None)
@given(
    low=st.floats(0.05, 0.95),
    rise=st.floats(0.0, 0.5),
    stop=st.floats(0.2, 4.0),
    last=st.integers(0, 44),
)
def test_a_farther_target_is_reached_less_often(low, rise, stop, last):
    """P(target) never rises with the target, and the four probabilities add up to 1."""
    near = paths.outcome(
        plan(LAW, SMILES[2], CONDOR, target=low, stop=stop, last=last), PATHS, DAYS
    )
    far = paths.outcome(
        plan(LAW, SMILES[2], CONDOR, target=low + rise, stop=stop, last=last), PATHS, DAYS
    )

    assert far.p_target <= near.p_target
    for result in (near, far):
        ends = (result.p_target, result.p_stop, result.p_time, result.p_expiry)
        assert math.fsum(ends) == pytest.approx(1.0, abs=1e-12)
        assert result.tail <= result.ev
        assert 1.0 <= result.held <= 45.0


def test_a_density_out_of_order_is_passed_over():
    """An earlier expiry with more variance than the next one does not make the paths turn back."""
    wild = density.lognormal(float(forward(20 / 365)), 20 / 365, 0.9)

    law = paths.law(SPOT, [wild, DENSITIES[2]], DAYS / 365)

    assert_allclose(law.price, paths.law(SPOT, DENSITIES[2:], DAYS / 365).price)


@pytest.mark.parametrize(
    ("densities", "tau", "message"),
    [
        ([], [0.1], "at least one density"),
        (DENSITIES, [0.0, 0.1], "must ascend"),
        (DENSITIES, [0.05, 0.04], "must ascend"),
        (DENSITIES, [0.05, 0.2], "must ascend"),
    ],
)
def test_days_must_lie_before_the_last_expiry(densities, tau, message):
    """Days that do not ascend, or that no density reaches, are refused."""
    with pytest.raises(ValueError, match=message):
        paths.law(SPOT, densities, tau)


def test_more_days_than_the_lattice_has_dimensions():
    """Over 120 days the mean is still the forward, and the variance the density's."""
    far = density.lognormal(float(forward(120 / 365)), 120 / 365, 0.3)
    law = paths.law(SPOT, [far], np.arange(1.0, 121.0) / 365)

    end = paths.simulate(law).at(law.price, 119, EVERY)

    assert end.mean() == pytest.approx(far.forward, rel=1e-3)
    assert np.log(end).std() == pytest.approx(far.std_log, rel=1e-2)


def test_every_shift_has_as_many_paths():
    """A number of paths that the shifts cannot share evenly is refused."""
    with pytest.raises(ValueError, match="multiple of 8"):
        paths.simulate(LAW, paths=1001)
