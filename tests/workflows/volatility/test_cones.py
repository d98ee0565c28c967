"""Expected-move cones: what a day expected of the next thirty, and what came of it."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import numpy as np
import pytest

from tomic import dates
from tomic.workflows.volatility.cones import every_cone, move_cones, move_record
from tomic.workflows.volatility.stored import PastDay

DAYS = dates.trading_days(dt.date(2026, 1, 5), dt.date(2026, 6, 30))
MONTH = math.sqrt(30 / 365)


def flat(close: float = 100.0, iv30: float | None = 0.2) -> list[PastDay]:
    return [PastDay(day, close, iv30=iv30) for day in DAYS]


def test_a_cone_is_one_standard_deviation_of_calendar_days():
    """100 x 20 % x sqrt(30 / 365) at its end, and the root of the time before."""
    cone = every_cone(flat())[0]

    assert cone.ends == DAYS[0] + dt.timedelta(days=30)
    assert cone.move == pytest.approx(20.0 * MONTH)
    assert cone.reach([0, 7.5, 30]) == pytest.approx([0.0, 10.0 * MONTH, 20.0 * MONTH])


def test_cones_that_are_drawn_do_not_overlap_and_end_with_the_last_day():
    """The last is open; each earlier one ends before the next begins."""
    cones = move_cones(flat())

    assert cones[-1].day == DAYS[-1]
    assert cones[-1].outcome is None
    assert all(cone.ends <= later.day for cone, later in itertools.pairwise(cones))
    assert [cone.outcome for cone in cones[:-1]] == [100.0] * (len(cones) - 1)


def test_an_outcome_is_the_close_thirty_days_later_in_expected_moves():
    """From 100 to 110, where 5.73 was expected, is 1.74 of it."""
    days = flat()
    end = every_cone(days)[0].ends
    risen = [PastDay(past.day, 110.0 if past.day >= end else 100.0, iv30=0.2) for past in days]

    assert every_cone(risen)[0].sigmas == pytest.approx(10.0 / (20.0 * MONTH))


def test_a_gap_around_the_end_leaves_the_outcome_unknown():
    """A close of a week earlier is not what came of it."""
    days = flat()
    end = every_cone(days)[0].ends
    week = dt.timedelta(days=7)
    holed = [past for past in days if not end - week < past.day <= end]

    first = every_cone(holed)[0]

    assert (first.outcome, first.sigmas) == (None, None)


def test_days_without_an_implied_volatility_open_no_cone():
    """Nothing is filled in from the days around them."""
    assert every_cone(flat(iv30=None)) == []
    assert move_cones([]) == []
    assert move_record([]).share is None


def test_normal_moves_stay_inside_two_times_out_of_three():
    """Of ten thousand simulated days some 68 % end within one expected move."""
    daily = np.random.default_rng(3).normal(0.0, 0.2 / math.sqrt(365), 10_000)
    close = 100.0 * np.exp(np.cumsum(daily))
    first = dt.date(2000, 1, 1)
    days = [
        PastDay(first + dt.timedelta(days=place), float(price), iv30=0.2)
        for place, price in enumerate(close)
    ]

    record = move_record(days)

    assert record.n == 10_000 - 30
    assert record.apart == 9_999 // 30
    assert record.share == pytest.approx(0.683, abs=0.04)
