"""The simulator's trading calendar against the published one."""

from __future__ import annotations

from datetime import date, time

import numpy as np
import pytest

from tomic.sim.market import listings

# The library's own deprecations are not ours to fail on.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_trading_days_are_the_exchanges_own():
    """Every session of 2012 to 2027 is that of exchange_calendars' XNYS, and no other."""
    xcals = pytest.importorskip("exchange_calendars")
    sessions = xcals.get_calendar("XNYS", start="2012-01-01", end="2027-12-31").sessions

    ours = listings.trading_days()
    ours = ours[(ours >= np.datetime64("2012-01-01")) & (ours <= np.datetime64("2027-12-31"))]

    assert set(ours.astype(str)) == {day.strftime("%Y-%m-%d") for day in sessions}


def test_half_days_are_the_exchanges_own():
    """Early closes from 2014 on agree with exchange_calendars."""
    xcals = pytest.importorskip("exchange_calendars")
    theirs = xcals.get_calendar("XNYS", start="2014-01-01", end="2027-12-31").early_closes

    ours = {day for year in range(2014, 2028) for day in listings.half_days(year)}

    assert ours == {day.date() for day in theirs}


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        ((2026, 12), date(2026, 12, 18)),
        ((2027, 6), date(2027, 6, 17)),
        ((2019, 4), date(2019, 4, 18)),
    ],
    ids=["a plain Friday", "Juneteenth observed", "Good Friday"],
)
def test_a_monthly_moves_before_a_holiday(month, expected):
    """The third Friday, or the Thursday before when the exchange is closed."""
    assert listings.third_friday(*month) == expected


def test_the_day_after_thanksgiving_ends_at_one():
    """27 November 2026 closes at 13:00."""
    assert listings.close_time(date(2026, 11, 27)) == time(13, 0)


def test_vix_expires_on_a_wednesday_thirty_days_before_the_next_monthly():
    """Cboe's list: 16 December 2026 and 20 January 2027."""
    assert listings.vix_expiry(2026, 12) == date(2026, 12, 16)
    assert listings.vix_expiry(2027, 1) == date(2027, 1, 20)


def test_days_outside_the_calendar_are_refused():
    """A market in 1999 says which years are known."""
    with pytest.raises(ValueError, match="2011 to 2032"):
        listings.day_index(date(1999, 5, 3))
