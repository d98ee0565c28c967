"""Jumps in term structures of known truth: found, sized, and left alone where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from support import recorded_chains, recorded_terms
from tomic.quant import events, surface

WEEKS = np.array([7, 14, 21, 28, 35, 49, 77]) / 365
MONTHS = np.array([20, 48, 83]) / 365


def term(tau, jumps=(), short=0.09, long=0.09, speed=4.0):
    """At-the-money volatilities: variance reverts from *short* to *long*; jumps are (at, J)."""
    tau = np.asarray(tau, dtype=float)
    reverted = -np.expm1(-speed * tau) / speed
    variance = long * (tau - reverted) + short * reverted
    for at, size in jumps:
        variance = variance + size * (tau >= at)
    return np.sqrt(variance / tau)


@pytest.mark.parametrize("tau", [MONTHS, WEEKS])
@pytest.mark.parametrize("day", [3, 22, 47])
def test_a_dated_jump_is_recovered(tau, day):
    """Over a flat diffusive level the size of a jump of 6 % comes out exactly."""
    at = day / 365

    (jump,) = events.dated(tau, term(tau, [(at, 0.06**2)]), [at])

    assert jump.move == pytest.approx(0.06, rel=1e-9)
    assert (jump.after, jump.by) == (at, at)


@pytest.mark.parametrize(("short", "long"), [(0.05, 0.09), (0.12, 0.08)])
def test_a_sloping_term_structure_keeps_its_jump(short, long):
    """Where variance reverts to a mean, either way, the move is still within a tenth."""
    at = 25 / 365

    (jump,) = events.dated(WEEKS, term(WEEKS, [(at, 0.06**2)], short, long), [at])

    assert jump.move == pytest.approx(0.06, rel=0.1)


def test_two_expiries_are_enough_for_a_date():
    """The level before the event carries on to the expiry behind it."""
    tau, at = MONTHS[:2], 30 / 365

    (jump,) = events.dated(tau, term(tau, [(at, 0.05**2)]), [at])

    assert jump.move == pytest.approx(0.05, rel=1e-9)


def test_nothing_is_known_of_events_beyond_the_expiries():
    """Behind the last expiry, in the past, or before the first of only two: no jump."""
    iv = term(MONTHS)

    assert events.dated(MONTHS, iv, [100 / 365]) == ()
    assert events.dated(MONTHS, iv, [-1 / 365]) == ()
    assert events.dated(MONTHS[:2], iv[:2], [5 / 365]) == ()
    assert events.dated([], [], [5 / 365]) == ()


def test_a_jump_is_never_negative():
    """An expiry that is cheap behind the event prices no jump."""
    iv = term(MONTHS) * [1.0, 0.9, 0.95]

    (jump,) = events.dated(MONTHS, iv, [30 / 365])

    assert jump.variance == 0.0


@pytest.mark.parametrize("day", [3, 10, 24, 40])
def test_an_event_without_a_date_is_found_where_it_is(day):
    """It lies between two expiries, and has its size."""
    at = day / 365

    (jump,) = events.recognise(WEEKS, term(WEEKS, [(at, 0.07**2)]))

    assert jump.after < at <= jump.by
    assert jump.by == WEEKS[np.searchsorted(WEEKS, at)]
    assert jump.move == pytest.approx(0.07, rel=0.02)
    assert jump.score > events.THRESHOLD


def test_a_hump_of_three_monthlies_is_an_event():
    """Three expiries are enough where the middle one is expensive."""
    (jump,) = events.recognise(MONTHS, term(MONTHS, [(30 / 365, 0.09**2)]))

    assert (jump.after, jump.by) == (MONTHS[0], MONTHS[1])


@pytest.mark.parametrize("speed", [0.5, 2.0, 6.0, 20.0])
@pytest.mark.parametrize(("short", "long"), [(0.02, 0.06), (0.04, 0.04), (0.09, 0.05), (0.2, 0.06)])
@pytest.mark.parametrize("tau", [MONTHS, WEEKS])
def test_ordinary_term_structures_hold_no_event(tau, short, long, speed):
    """Rising, flat, falling, and after a shock: variance that reverts is no event."""
    assert events.recognise(tau, term(tau, (), short, long, speed)) == ()


def test_quotes_a_little_off_hold_no_event():
    """Errors of one per cent of the volatilities raise an alarm in fewer than one of fifty."""
    rng = np.random.default_rng(7)
    noisy = term(WEEKS, (), 0.05, 0.07) * (1.0 + 0.01 * rng.standard_normal((200, WEEKS.size)))

    assert sum(bool(events.recognise(WEEKS, iv)) for iv in noisy) < 4


def test_two_events_are_told_apart():
    """Each is between its own expiries; the order is that of time."""
    tau = np.array([7, 14, 21, 28, 35, 42, 56, 84, 98, 112]) / 365
    iv = term(tau, [(18 / 365, 0.05**2), (90 / 365, 0.09**2)])

    first, second = events.recognise(tau, iv)

    assert (first.after, first.by) == (tau[1], tau[2])
    assert (second.after, second.by) == (tau[7], tau[8])
    assert (first.move, second.move) == pytest.approx((0.05, 0.09), rel=0.05)


def test_what_a_known_date_explains_is_not_found_again():
    """Only an event between other expiries is news."""
    at, other = 10 / 365, 40 / 365
    iv = term(WEEKS, [(at, 0.07**2), (other, 0.08**2)])

    (jump,) = events.recognise(WEEKS, iv, known=[at])

    assert jump.after < other <= jump.by
    assert jump.move == pytest.approx(0.08, rel=0.05)


def test_two_expiries_recognise_nothing():
    """Nor do three of which one has no volatility."""
    iv = term(MONTHS, [(30 / 365, 0.2**2)])

    assert events.recognise(MONTHS[:2], iv[:2]) == ()
    assert events.recognise(MONTHS, [iv[0], math.nan, iv[2]]) == ()


@pytest.mark.parametrize("day", [23, 29.9, 30.1, 40])
def test_interpolation_puts_the_jump_where_it_belongs(day):
    """Thirty days hold the jump or not, as the date says; a straight line spreads it."""
    at, target = day / 365, 30 / 365
    iv = term(MONTHS, [(at, 0.08**2)])
    jumps = events.dated(MONTHS, iv, [at])

    found = surface.constant_maturity_iv(MONTHS, iv, jumps=jumps)
    without = surface.constant_maturity_iv(MONTHS, iv, jumps=jumps, ex_event=True)

    truth = term([target], [(at, 0.08**2)])[0]
    assert found == pytest.approx(truth, rel=1e-9)
    assert without == pytest.approx(0.3, rel=1e-9)
    assert abs(surface.constant_maturity_iv(MONTHS, iv) / truth - 1.0) > 0.05


def test_a_jump_before_every_expiry_leaves_the_straight_line():
    """Both neighbours of the thirtieth day hold it, and so does the thirtieth day."""
    iv = term(MONTHS, [(5 / 365, 0.08**2)])
    jumps = events.dated(MONTHS, iv, [5 / 365])

    found = surface.constant_maturity_iv(MONTHS, iv, jumps=jumps)

    assert found == pytest.approx(surface.constant_maturity_iv(MONTHS, iv), rel=1e-12)
    assert surface.constant_maturity_iv(MONTHS, iv, jumps=jumps, ex_event=True) == pytest.approx(
        0.3, rel=1e-9
    )


def test_a_jump_of_no_date_is_spread_over_its_days():
    """Between the expiries around it the answer stays the straight line's."""
    iv = term(MONTHS, [(25 / 365, 0.12**2)])
    jumps = events.recognise(MONTHS, iv)

    found = surface.constant_maturity_iv(MONTHS, iv, jumps=jumps)

    assert [(jump.after, jump.by) for jump in jumps] == [(MONTHS[0], MONTHS[1])]
    assert found == pytest.approx(surface.constant_maturity_iv(MONTHS, iv), rel=1e-12)


def test_before_the_first_expiry_the_jump_has_its_day():
    """An expiry of 40 days whose event is on the 35th says less of 30 days than its volatility."""
    tau = np.array([40, 75, 103]) / 365
    iv = term(tau, [(35 / 365, 0.08**2)])
    jumps = events.dated(tau, iv, [35 / 365])

    assert surface.constant_maturity_iv(tau, iv, jumps=jumps) == pytest.approx(0.3, rel=1e-9)


def test_jumps_larger_than_all_variance_give_no_volatility():
    """A remainder below zero is NaN."""
    jump = events.VarianceJump(1 / 365, 1 / 365, 1.0, 0.1, 9.0)

    assert math.isnan(
        surface.constant_maturity_iv(MONTHS, term(MONTHS), jumps=[jump], ex_event=True)
    )


@given(
    st.lists(st.floats(0.0, 1.0), max_size=9),
    st.lists(st.one_of(st.floats(0.0, 5.0), st.just(math.nan)), min_size=9, max_size=9),
    st.lists(st.floats(-0.1, 1.0), max_size=6),
)
def test_whatever_the_expiries_say_there_is_an_answer(tau, iv, dates):
    """Any volatilities, any number of events: jumps are finite, not negative and in order."""
    iv = iv[: len(tau)]

    known = events.dated(tau, iv, dates)
    found = events.recognise(tau, iv, known=dates, threshold=0.1)

    for jump in (*known, *found):
        assert 0.0 <= jump.variance < math.inf
        assert 0.0 <= jump.error < math.inf
        assert 0.0 <= jump.after <= jump.by
    assert [jump.by for jump in known] == sorted(jump.by for jump in known)
    assert [jump.by for jump in found] == sorted(jump.by for jump in found)


def test_more_events_than_expiries():
    """As many as there are expiries less one are sized, the first ones."""
    at = np.array([10, 30, 60]) / 365

    jumps = events.dated(MONTHS, term(MONTHS), at)

    assert [jump.by for jump in jumps] == at[:2].tolist()


@pytest.fixture(scope="module")
def recorded():
    """Every tenth day of 20 symbols, 2018 to 2025, whose reports are known."""
    for name in (recorded_terms.SURFACE, recorded_terms.EARNINGS):
        if why := recorded_chains.missing(name):
            pytest.skip(why)
    return list(recorded_terms.days(every=10))


def test_funds_raise_few_alarms(recorded):
    """Of recorded term structures of funds fewer than one in a hundred holds an event."""
    funds = [day for day in recorded if day.symbol in recorded_terms.FUNDS]

    alarms = [bool(events.recognise(day.tau, day.iv)) for day in funds]

    assert len(funds) > 900
    assert np.mean(alarms) < 0.01


@pytest.mark.parametrize(("threshold", "least"), [(events.THRESHOLD, 0.25), (4.0, 0.55)])
def test_reports_between_two_monthlies_are_recognised(recorded, threshold, least):
    """A third at three sigma and most at two, and hardly any in another place."""
    between = [day for day in recorded if day.places == (1,)]

    right, wrong = [], []
    for day in between:
        jumps = events.recognise(day.tau, day.iv, threshold=threshold)
        right.append(bool(jumps) and jumps[0].by == day.tau[1])
        wrong.append(bool(jumps) and jumps[0].by != day.tau[1])

    assert np.mean(right) > least
    assert np.mean(wrong) < 0.02


@pytest.mark.parametrize("place", [1, 2])
def test_a_maturity_held_out_is_met_better(recorded, place):
    """Between the first and third monthly the jump on its day errs less than a straight line."""
    errors = []
    for day in recorded:
        if day.places == (place,):
            tau, iv = day.tau[[0, 2]], day.iv[[0, 2]]
            straight = surface.constant_maturity_iv(tau, iv, day.tau[1])
            jumps = events.dated(tau, iv, day.reports)
            put = surface.constant_maturity_iv(tau, iv, day.tau[1], jumps=jumps)
            errors.append(np.log([straight / day.iv[1], put / day.iv[1]]))

    mean, rms = np.mean(errors, axis=0), np.sqrt(np.mean(np.square(errors), axis=0))

    assert abs(mean[1]) < 0.5 * abs(mean[0])
    assert rms[1] < 0.95 * rms[0]


def test_google_before_its_report():
    """On 24 December 2015 the week to 29 January holds a jump of some seven per cent."""
    if why := recorded_chains.missing("lean_GOOG_20151224_eod_chain.csv"):
        pytest.skip(why)
    chain = recorded_chains.goog()
    tau, iv = [], []
    for expiry in chain.expiries:
        near = np.argmin(np.abs(expiry.strike - chain.spot))
        straddle = float(expiry.call_mid[near] + expiry.put_mid[near])
        tau.append(expiry.tau)
        iv.append(straddle / chain.spot * math.sqrt(math.pi / 2.0 / expiry.tau))

    strongest = max(events.recognise(tau, iv), key=lambda jump: jump.score)

    assert [round(365 * at) for at in (strongest.after, strongest.by)] == [29, 36]
    assert strongest.move == pytest.approx(0.07, abs=0.015)
