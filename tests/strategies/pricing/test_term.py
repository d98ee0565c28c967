"""Which expiries price an event, told with their days."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from tomic.strategies.pricing import term
from tomic.strategies.pricing.term import Level

TODAY = dt.date(2026, 11, 20)
DAYS = (14, 21, 28, 35, 56)


def levels(jumps=(), days=DAYS):
    """30 % without events; jumps are (day, move)."""
    found = {}
    for dte in days:
        variance = 0.09 * dte / 365 + sum(move**2 for day, move in jumps if day <= dte)
        found[TODAY + dt.timedelta(dte)] = Level(dte / 365, math.sqrt(variance / (dte / 365)))
    return found


def after(days):
    return TODAY + dt.timedelta(days)


def test_an_event_lies_between_two_expiries():
    """Without a date it is known to the days between the expiries around it."""
    (event,) = term.priced_events(TODAY, levels([(24, 0.06)]))

    assert (event.after, event.by) == (after(21), after(28))
    assert not event.is_dated
    assert event.jump.move == pytest.approx(0.06, rel=1e-6)


def test_an_event_before_every_expiry_may_come_at_any_time():
    """Nothing bounds it on the near side."""
    (event,) = term.priced_events(TODAY, levels([(3, 0.09)]))

    assert (event.after, event.by) == (None, after(14))


@pytest.mark.parametrize("day", [0, 3, 14, 24, 28])
def test_a_date_names_its_event(day):
    """Its jump is sized and not found again; the expiry of its own day holds it, as does today."""
    (event,) = term.priced_events(TODAY, levels([(day, 0.06)]), dates=[after(day)])

    assert event.is_dated
    assert event.is_priced
    assert (event.after, event.by) == (None, after(day))
    assert event.jump.move == pytest.approx(0.06, rel=1e-6)


def test_a_date_that_no_expiry_prices():
    """A known event without a jump is there, and said not to be priced."""
    (event,) = term.priced_events(TODAY, levels(), dates=[after(24)])

    assert event.is_dated
    assert not event.is_priced


def test_dates_of_the_past_and_beyond_say_nothing():
    """Neither yesterday's report nor that of next year belongs to these expiries."""
    assert term.priced_events(TODAY, levels(), dates=[after(-1), after(300)]) == ()


def test_where_a_report_is_due_less_is_enough():
    """A jump of 2.5 sigma is nothing on an index and an event of a company."""
    small = levels([(24, 0.03)])

    assert term.priced_events(TODAY, small) == ()
    (event,) = term.priced_events(TODAY, small, is_expected=True)
    assert (event.after, event.by) == (after(21), after(28))
