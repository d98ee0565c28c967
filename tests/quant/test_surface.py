"""Levels, skew, term structure and expected moves read from a chain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tomic.quant import smile, surface

NAN = math.nan
RATE, TAU = 0.03, 30 / 365
SMILE = smile.Smile(500.0, 30 / 365, 0.996, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)


def test_atm_iv_lies_between_its_neighbours():
    """Linear in variance and log strike; call and put at a strike are averaged."""
    forward = math.sqrt(95.0 * 105.0)

    found = surface.atm_iv([105.0, 95.0, 95.0, 200.0], [0.2, 0.29, 0.31, 9.0], forward)

    assert found == pytest.approx(math.sqrt((0.2**2 + 0.3**2) / 2), rel=1e-12)


def test_atm_iv_needs_strikes_on_both_sides():
    """No extrapolation to a forward outside the quotes."""
    assert math.isnan(surface.atm_iv([100.0, 105.0], [0.2, 0.2], 99.0))
    assert math.isnan(surface.atm_iv([100.0, 105.0], [0.2, NAN], 103.0))
    assert math.isnan(surface.atm_iv([], [], 100.0))
    assert surface.atm_iv([100.0], [0.2], 100.0) == pytest.approx(0.2)


def test_constant_maturity_is_linear_in_total_variance():
    """Between 20 and 40 days the variance to day 30 is the mean of both."""
    tau = np.array([40.0, 20.0]) / 365

    found = surface.constant_maturity_iv(tau, [0.2, 0.3])

    assert found == pytest.approx(math.sqrt((0.3**2 * 20 + 0.2**2 * 40) / 2 / 30), rel=1e-12)


def test_constant_maturity_stays_near_the_listed_expiries():
    """Up to a factor of two outside the nearest volatility holds; beyond it there is no answer."""
    assert surface.constant_maturity_iv([45 / 365], [0.2]) == 0.2
    assert surface.constant_maturity_iv([16 / 365, 8 / 365], [0.2, 0.5]) == 0.2
    assert math.isnan(surface.constant_maturity_iv([61 / 365], [0.2]))
    assert math.isnan(surface.constant_maturity_iv([14 / 365], [0.2]))
    assert math.isnan(surface.constant_maturity_iv([], []))
    assert surface.constant_maturity_iv([NAN, 30 / 365, 0.0], [0.4, 0.2, 0.3]) == 0.2


def test_forward_variance_adds_up():
    """The variance up to the second date is the first's plus the forward's."""
    tau = np.array([0.1, 0.25, 0.2, 0.2])
    iv = np.array([0.3, 0.25, 0.2, 0.2])

    forward = surface.forward_variance(tau, iv)

    assert 0.1 * 0.09 + 0.15 * forward[0] == pytest.approx(0.25 * 0.0625, rel=1e-12)
    assert np.isnan(forward[1:]).all()
    assert surface.forward_variance([0.1, 0.2], [0.4, 0.2])[0] < 0  # calendar arbitrage shows


def test_delta_iv_interpolates_between_deltas():
    """Only quotes of the target's side count; outside them there is no answer."""
    delta = [0.4, 0.2, -0.4, -0.2, 0.0]
    iv = [0.20, 0.16, 0.22, 0.30, 0.5]

    assert surface.delta_iv(delta, iv, 0.25) == pytest.approx(0.17)
    assert surface.delta_iv(delta, iv, -0.25) == pytest.approx(0.28)
    assert math.isnan(surface.delta_iv(delta, iv, 0.1))
    assert math.isnan(surface.delta_iv([], [], 0.25))


def test_skew_is_call_less_put_nearest_thirty_days():
    """The expiry at 28 days decides; where its wings are missing the next nearest does."""
    dte = np.repeat([10, 28, 45], 4)
    delta = np.tile([0.4, 0.2, -0.4, -0.2], 3)
    iv = np.array([9, 9, 9, 9, 0.20, 0.16, 0.22, 0.30, 0.3, 0.3, 0.35, 0.35])

    assert surface.skew(dte, delta, iv) == pytest.approx(0.17 - 0.28)
    iv[5] = NAN
    assert surface.skew(dte, delta, iv) == pytest.approx(-0.05)
    assert math.isnan(surface.skew(dte[:2], delta[:2], iv[:2]))
    assert surface.nearest_expiry([45, 25, 35]) == 25
    assert math.isnan(surface.nearest_expiry([]))


def test_skew_of_a_smile_equals_that_of_its_quotes():
    """Quotes read off a smile have its skew, negative as on an index."""
    strike = np.linspace(420.0, 560.0, 200)
    iv = SMILE.iv(strike)
    root = iv * math.sqrt(SMILE.tau)
    d1 = np.log(SMILE.forward / strike) / root + root / 2
    hit = 0.5 * np.array([math.erfc(-x / math.sqrt(2)) for x in d1])
    delta = np.concatenate([hit, hit - 1.0])

    quoted = surface.skew(np.full(400, 30), delta, np.tile(iv, 2))

    assert quoted == pytest.approx(surface.smile_skew(SMILE), abs=1e-5)
    assert quoted < -0.01
    assert math.isnan(surface.smile_delta_iv(SMILE, 0.0))
    assert math.isnan(surface.smile_delta_iv(SMILE, -1.0))


def test_mean_atm_iv_takes_the_window_only():
    """Options more than five from spot do not count."""
    strike = [594.0, 595.0, 600.0, 605.0, 606.0, 600.0]
    iv = [9.0, 0.2, 0.3, 0.4, 9.0, NAN]

    assert surface.mean_atm_iv(strike, iv, 600.0) == pytest.approx(0.3)
    assert surface.mean_atm_iv(strike, iv, 600.0, window=0.5) == pytest.approx(0.3)
    assert math.isnan(surface.mean_atm_iv(strike, iv, 700.0))


def test_term_structure_of_the_original():
    """Levels .20, .22, .25 give -2.0 and -5.0 points; one expiry gives neither."""
    found = surface.term_structure([0.20, 0.22, 0.25])

    assert [round(100 * x, 2) for x in found] == [-2.0, -5.0]
    assert all(math.isnan(x) for x in surface.term_structure([0.20]))
    assert all(math.isnan(x) for x in surface.term_structure([]))
    assert math.isnan(surface.term_structure([0.2, 0.22]).m1_m3)


def test_expected_moves_agree_for_a_lognormal():
    """Straddle and mean absolute move are .798 of one standard deviation, to second order."""
    flat = smile.flat(0.2, forward=100.0, tau=0.1)
    strike = np.array([95.0, 99.0, 101.0, 105.0])
    one = float(surface.expected_move_iv(100.0, 0.2, 36.5))

    straddle = surface.expected_move_straddle(
        strike, flat.value(strike, True), flat.value(strike, False), 100.0
    )
    density = surface.expected_move_density(flat)

    assert one == pytest.approx(100 * 0.2 * math.sqrt(0.1), rel=1e-12)
    # The variance of a lognormal is F^2 (e^w - 1).
    assert density.sigma == pytest.approx(100 * math.sqrt(math.expm1(0.004)), rel=1e-5)
    assert density.mean_absolute == pytest.approx(one * math.sqrt(2 / math.pi), rel=1e-3)
    assert straddle == pytest.approx(density.mean_absolute, rel=0.02)
    assert density.lower == pytest.approx(100 * math.exp(-0.002 - math.sqrt(0.004)), rel=1e-9)
    assert density.upper == pytest.approx(100 * math.exp(-0.002 + math.sqrt(0.004)), rel=1e-9)


def test_expected_move_of_a_smile_is_its_standard_deviation():
    """The strip of option values gives the standard deviation that the density gives."""
    price = np.linspace(1.0, 1500.0, 300_001)
    density = SMILE.density(price)

    found = surface.expected_move_density(SMILE)

    deviation = price - SMILE.forward
    assert found.sigma == pytest.approx(
        math.sqrt(np.trapezoid(density * deviation**2, price)), rel=1e-4
    )
    assert found.mean_absolute == pytest.approx(
        np.trapezoid(density * np.abs(deviation), price), rel=1e-4
    )


def test_straddle_needs_both_sides_around_the_forward():
    """One-sided pairs are left out; a forward outside the strikes has no straddle."""
    assert math.isnan(surface.expected_move_straddle([100.0], [2.0], [NAN], 100.0))
    assert math.isnan(surface.expected_move_straddle([100.0, 101.0], [2.0] * 2, [1.0] * 2, 102.0))
    assert surface.expected_move_straddle([99.0, 101.0], [4.0, 3.0], [3.0, 5.0], 100.0) == 7.5


def test_negative_days_have_no_expected_move():
    """An expired option gives NaN, not a root of a negative number."""
    assert_allclose(surface.expected_move_iv(425.0, 0.55, [6, -1]), [29.9696, NAN], atol=1e-4)


def test_unequal_shapes_are_refused():
    """The error names the arguments and their shapes."""
    with pytest.raises(ValueError, match=r"one shape, got strike \(2,\), iv \(1,\)"):
        surface.atm_iv([1.0, 2.0], [0.2], 1.0)


def chain(of, low=40.0, high=200.0, step=0.5):
    """Bid and ask one tenth of a cent around a smile's values, calls first."""
    strike = np.arange(low, high + step / 2, step)
    call, put = of.value(strike, True), of.value(strike, False)
    return strike, call - 5e-4, call + 5e-4, put - 5e-4, put + 5e-4


def variance(quotes, **change):
    return surface.model_free_variance(
        *quotes, **({"forward": 100.0, "rate": RATE, "tau": TAU} | change)
    )


def test_a_flat_smile_has_its_own_variance():
    """A dense strip of one volatility gives that volatility squared."""
    flat = smile.flat(0.25, forward=100.0, tau=TAU, discount=math.exp(-RATE * TAU))

    found = variance(chain(flat))

    assert found.variance == pytest.approx(0.0625, rel=2e-3)
    assert found.k0 == 100.0


def test_the_centre_lies_at_or_below_the_forward():
    """A forward between strikes takes the lower one, and the correction pays for the gap."""
    flat = smile.flat(0.25, forward=100.4, tau=TAU, discount=math.exp(-RATE * TAU))

    found = variance(chain(flat), forward=100.4)

    assert found.k0 == 100.0
    assert found.variance == pytest.approx(0.0625, rel=2e-3)


def test_two_zero_bids_end_the_strip():
    """One missing bid is stepped over; after two in a row nothing further out counts."""
    strike = np.arange(80.0, 121.0)
    put_bid, call_bid = np.full(41, 1.0), np.full(41, 1.0)
    put_bid[[15, 10, 9]] = 0.0  # 95, and 90 with 89: 91 to 94 and 96 to 99 stay
    call_bid[[25, 30, 31]] = [math.nan, 0.0, -1.0]  # 105, and 110 with 111

    found = variance((strike, call_bid, call_bid + 0.1, put_bid, put_bid + 0.1))

    assert (found.puts, found.calls) == (8, 8)


def test_intervals_run_between_the_included_strikes():
    """Leaving a strike out widens its neighbours' intervals."""
    strike = np.array([90.0, 95.0, 100.0, 105.0, 110.0, 115.0])
    bid = np.array([0.5, 1.0, 2.0, 1.0, 0.0, 0.2])

    found = variance((strike, bid, bid, bid, bid), rate=0.0, tau=1.0)

    width = [5.0, 5.0, 5.0, 7.5, 10.0]
    used = [0, 1, 2, 3, 5]
    expected = 2 * sum(w / strike[i] ** 2 * bid[i] for w, i in zip(width, used, strict=True))
    assert found.variance == pytest.approx(expected, rel=1e-12)


def test_a_strip_without_wings_is_missing():
    """Fewer than two options on a side, or no quote at the centre, give no variance."""
    strike, one = np.array([95.0, 100.0, 105.0]), np.ones(3)
    assert math.isnan(variance((strike, one, one, one, one)).variance)
    assert math.isnan(variance((strike + 50, one, one, one, one)).k0)
    five = np.array([90.0, 95.0, 100.0, 105.0, 110.0])
    gap = np.array([1.0, 1.0, math.nan, 1.0, 1.0])
    assert math.isnan(variance((five, gap, gap, gap, gap)).variance)


def test_impossible_strips_are_refused():
    """The error names the inequality that failed."""
    one = np.ones(3)
    with pytest.raises(ValueError, match="tau must be > 0, got 0"):
        variance((one, one, one, one, one), tau=0.0)
    with pytest.raises(ValueError, match="forward must be > 0, got nan"):
        variance((one, one, one, one, one), forward=math.nan)
    with pytest.raises(ValueError, match="one shape"):
        variance((one, one, one, one, np.ones(2)))


def test_index_at_thirty_days_is_that_expiry():
    """When an expiry lies at 30 days exactly, the other has no weight."""
    found = surface.vix_index(0.04, 0.09, near_minutes=43_200, next_minutes=53_280)

    assert found == pytest.approx(0.2, rel=1e-12)


def test_index_of_missing_expiries_is_missing():
    """NaN variances and maturities that do not rise give no index."""
    assert math.isnan(surface.vix_index(math.nan, 0.04, near_minutes=1e4, next_minutes=5e4))
    assert math.isnan(surface.vix_index(0.04, 0.04, near_minutes=5e4, next_minutes=5e4))


def test_replication_with_few_strikes_lies_above():
    """Straight lines lie above the log contract, so a coarse strip costs more than a fine one."""
    flat = smile.flat(0.25, forward=100.0, tau=TAU, discount=math.exp(-RATE * TAU))

    def fair(step):
        below, above = np.arange(60.0, 100.1, step), np.arange(100.0, 150.1, step)
        return surface.derman_variance(
            below,
            flat.value(below, False),
            above,
            flat.value(above, True),
            spot=100.0 * math.exp(-RATE * TAU),
            rate=RATE,
            div_yield=0.0,
            tau=TAU,
        )

    assert fair(10.0) > fair(5.0) > fair(0.5) > 0.0625
    assert fair(0.5) == pytest.approx(0.0625, rel=2e-3)


def test_replication_needs_a_shared_boundary():
    """Puts and calls must meet at one strike."""
    with pytest.raises(ValueError, match="highest put strike must equal the lowest call strike"):
        surface.derman_variance(
            [90.0, 95.0], [1.0, 2.0], [100.0, 105.0], [2.0, 1.0],
            spot=100.0, rate=0.0, div_yield=0.0, tau=1.0,
        )  # fmt: skip
