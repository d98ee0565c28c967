"""Cboe's model-free variance: its rules on strips, and its agreement with a smile."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomic.quant import model_free, smile

RATE, TAU = 0.03, 30 / 365


def chain(of, low=40.0, high=200.0, step=0.5):
    """Bid and ask one tenth of a cent around a smile's values, calls first."""
    strike = np.arange(low, high + step / 2, step)
    call, put = of.value(strike, True), of.value(strike, False)
    return strike, call - 5e-4, call + 5e-4, put - 5e-4, put + 5e-4


def variance(quotes, **change):
    return model_free.model_free_variance(
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
    found = model_free.vix_index(0.04, 0.09, near_minutes=43_200, next_minutes=53_280)

    assert found == pytest.approx(0.2, rel=1e-12)


def test_index_of_missing_expiries_is_missing():
    """NaN variances and maturities that do not rise give no index."""
    assert math.isnan(model_free.vix_index(math.nan, 0.04, near_minutes=1e4, next_minutes=5e4))
    assert math.isnan(model_free.vix_index(0.04, 0.04, near_minutes=5e4, next_minutes=5e4))


def test_replication_with_few_strikes_lies_above():
    """Straight lines lie above the log contract, so a coarse strip costs more than a fine one."""
    flat = smile.flat(0.25, forward=100.0, tau=TAU, discount=math.exp(-RATE * TAU))

    def fair(step):
        below, above = np.arange(60.0, 100.1, step), np.arange(100.0, 150.1, step)
        return model_free.derman_variance(
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
        model_free.derman_variance(
            [90.0, 95.0], [1.0, 2.0], [100.0, 105.0], [2.0, 1.0],
            spot=100.0, rate=0.0, div_yield=0.0, tau=1.0,
        )  # fmt: skip
