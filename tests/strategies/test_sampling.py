"""Which options are asked first: few, round, on both sides, and a pair at the money."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from tomic.config import ScanSettings
from tomic.selection import Wanted
from tomic.strategies import sampling

TODAY = dt.date(2026, 11, 20)
SPOT, SIGMA = 600.0, 0.16
WEEKS = tuple(TODAY + dt.timedelta(days=days) for days in (28, 35, 42, 49, 56))


def listed(step=1.0, low=450, high=750, days=WEEKS):
    """Calls and puts of evenly listed strikes, expiry by expiry."""
    strikes = [low + step * place for place in range(int((high - low) / step) + 1)]
    return [
        Wanted(day, strike, right) for day in days for strike in strikes for right in ("C", "P")
    ]


def sampled(options, strikes=7):
    return sampling.sample(options, SPOT, TODAY, SIGMA, strikes)


def place(option):
    """Standard deviations from spot."""
    years = (option.expiry - TODAY).days / 365.0
    return math.log(option.strike / SPOT) / (SIGMA * math.sqrt(years))


def test_seven_strikes_and_a_pair_of_each_expiry():
    """Puts reach 2.2 deviations down, calls 1.8 up, and the money has both."""
    few = sampled(listed())

    for day in WEEKS:
        of_day = [one for one in few if one.expiry == day]
        assert 7 <= len(of_day) <= 9
        assert {one.right for one in of_day if one.strike == SPOT} == {"C", "P"}
        places = sorted(map(place, of_day))
        assert -2.4 < places[0] < -2.0 and 1.6 < places[-1] < 2.0
        assert all((one.right == "P") == (one.strike < SPOT) for one in of_day
                   if one.strike != SPOT)  # fmt: skip


def test_the_roundest_strike_near_a_step_is_taken():
    """Of one-point strikes nearly all that are chosen are fives, and most tens."""
    few = {one.strike for one in sampled(listed(), 9)}

    assert all(strike % 5 == 0 for strike in few)
    assert sum(strike % 10 == 0 for strike in few) > len(few) / 2


def test_a_small_window_is_taken_whole():
    """An expiry with at most two and a half samples is asked for in full, a larger one is not."""
    small = listed(step=15.0, low=540, high=660, days=WEEKS[:1])
    large = listed(days=WEEKS[1:2])

    few = sampled([*small, *large])

    assert set(small) <= set(few)
    assert len(few) - len(small) < len(large) / 10


def test_the_coarse_pass_is_part_of_the_sample():
    """Two expiries near 30 and 45 days, of which nothing is asked twice afterwards."""
    for strikes in (5, 7, 9, 12):
        coarse = sampling.coarse(listed(), SPOT, TODAY, SIGMA, strikes)

        assert {one.expiry for one in coarse} == {WEEKS[0], WEEKS[2]}
        assert len(coarse) <= 2 * 7
        assert set(coarse) <= set(sampled(listed(), strikes))


def test_a_coarse_pass_for_two_expiries_holds_a_pair_of_them():
    """A calendar needs its second expiry 20 days after a first of 20 to 40 days on."""
    weeks = tuple(TODAY + dt.timedelta(days=days) for days in (21, 28, 35, 42, 49, 56, 91))
    options = listed(days=weeks)

    coarse = sampling.coarse(options, SPOT, TODAY, SIGMA, 7, pairs=True)

    days = [(day - TODAY).days for day in sorted({one.expiry for one in coarse})]
    assert days == [21, 28, 49]
    assert set(coarse) <= set(sampled(options))


def test_a_side_that_is_not_listed_is_left_out():
    """With puts alone there is neither a pair nor a call, and no error."""
    puts = [one for one in listed() if one.right == "P"]

    assert {one.right for one in sampled(puts)} == {"P"}


def test_messages_are_foretold_by_method():
    """Twenty symbols take a fifth of the messages when sampled."""
    few = sampling.expected_messages(20, ScanSettings())
    thinned = sampling.expected_messages(20, ScanSettings(method="thinned"))

    assert 1000 < few < 2000
    assert thinned > 5 * few


@pytest.mark.parametrize(("pairs", "measured"), [(False, 1567), (True, 2217)])
def test_messages_are_foretold_within_a_fifth_on_the_demo_market(pairs, measured):
    """Measured as sent by `tomic scan --demo`, seed 1: the seller's strategies, and all."""
    foretold = sampling.expected_messages(20, ScanSettings(), pairs=pairs)

    assert foretold == pytest.approx(measured, rel=0.2)
