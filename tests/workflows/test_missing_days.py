"""Which trading days are over, and what a stored series lacks."""

from __future__ import annotations

import datetime as dt

import pytest

from tomic import dates
from tomic.store import Coverage
from tomic.workflows.missing_days import (
    Need,
    first_day_of,
    last_complete_day,
    need_of,
    session_day,
)

FRIDAY = dt.date(2026, 11, 20)
THURSDAY, SATURDAY = FRIDAY - dt.timedelta(days=1), FRIDAY + dt.timedelta(days=1)
HOURS = "20261120:0930-20261120:1600;20261121:CLOSED;20261123:0930-20261123:1600"


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dates.NEW_YORK)


def known(**fields) -> Coverage:
    """A whole year of bars, up to Thursday."""
    usual = {
        "symbol": "SPY",
        "series": "bars",
        "rows": 253,
        "first": dt.date(2025, 11, 18),
        "last": THURSDAY,
        "fetched_at": at(THURSDAY, 17),
        "asked_from": dt.date(2025, 11, 18),
    }
    return Coverage(**{**usual, **fields})


def need(coverage: Coverage | None, last=THURSDAY, **options) -> Need | None:
    first = first_day_of(last, 252)
    return need_of("SPY", "bars", coverage, last_day=last, first_day=first, **options)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (at(FRIDAY, 9), THURSDAY),
        (at(FRIDAY, 16), THURSDAY),
        (at(FRIDAY, 16, 1), FRIDAY),
        (at(SATURDAY, 12), FRIDAY),
        (at(dt.date(2026, 11, 26), 18), dt.date(2026, 11, 25)),
        (at(dt.date(2026, 11, 27), 13, 1), dt.date(2026, 11, 27)),
    ],
)
def test_the_calendar_says_which_day_is_over(moment, day):
    """Weekends, Thanksgiving and the half day after it; the close itself counts as open."""
    assert last_complete_day(moment) == day


@pytest.mark.parametrize("text", [HOURS, ""])
def test_ibs_hours_agree_with_the_calendar_on_usual_days(text):
    """At noon Thursday is the last whole day, in the evening Friday, whoever is asked."""
    sessions = dates.parse_hours(text, "US/Eastern")

    assert last_complete_day(at(FRIDAY, 12), sessions) == THURSDAY
    assert last_complete_day(at(FRIDAY, 17), sessions) == FRIDAY
    assert last_complete_day(at(SATURDAY, 12), sessions) == FRIDAY


def test_ibs_hours_win_over_the_calendar():
    """An early close and a closure that no calendar foresaw are IB's to tell."""
    early = dates.parse_hours("20261120:0930-20261120:1100", "US/Eastern")
    closed = dates.parse_hours("20261120:CLOSED;20261123:0930-20261123:1600", "US/Eastern")

    assert last_complete_day(at(FRIDAY, 11, 30), early) == FRIDAY
    assert last_complete_day(at(FRIDAY, 18), closed) == THURSDAY


def test_the_session_of_a_moment():
    """Before the opening and at weekends the last session is still the day before."""
    sessions = dates.parse_hours(HOURS, "US/Eastern")

    assert session_day(at(FRIDAY, 9)) == THURSDAY
    assert session_day(at(FRIDAY, 9, 30)) == FRIDAY
    assert session_day(at(FRIDAY, 9, 30), sessions) == FRIDAY
    assert session_day(at(SATURDAY, 12), sessions) == FRIDAY


def test_days_are_counted_back_over_holidays():
    """252 trading days before 19 November 2026 is 18 November 2025."""
    assert first_day_of(THURSDAY, 252) == dt.date(2025, 11, 18)
    assert len(dates.trading_days(first_day_of(THURSDAY, 252), THURSDAY)) == 253


def test_a_complete_series_needs_nothing():
    """Bars from the first to the last wanted day are enough."""
    assert need(known()) is None


def test_an_unknown_series_is_needed_whole():
    """Never asked for, imported, or not reaching far enough."""
    whole = Need("SPY", "bars", dt.date(2025, 11, 18), True)

    assert need(None) == whole
    assert need(known(asked_from=None)) == whole
    assert need(known(asked_from=dt.date(2026, 1, 2))) == whole
    assert need(known(), force=True) == whole


def test_a_missing_end_overlaps_one_day():
    """What follows the last stored day is asked for together with it."""
    assert need(known(), last=FRIDAY) == Need("SPY", "bars", THURSDAY, False)


def test_what_ib_does_not_have_is_not_asked_again_that_day():
    """An hour after the close IB's answer of nothing stands; within the hour it may still come."""
    answered = known(last=None, rows=0, fetched_at=at(THURSDAY, 17))
    too_early = known(last=None, rows=0, fetched_at=at(THURSDAY, 16, 30))

    assert need(answered) is None
    assert need(too_early) == Need("SPY", "bars", dt.date(2025, 11, 18), True)
