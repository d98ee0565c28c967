"""
The table ``tomic/closed_days.txt``, made from exchange_calendars.

``python tests/support/closed_days.py`` writes it anew; a test holds it against the calendar.
"""

from __future__ import annotations

import datetime as dt
import warnings
from importlib.metadata import version
from pathlib import Path

import exchange_calendars

import tomic

FILE = Path(tomic.__file__).parent / "closed_days.txt"
FIRST_YEAR, LAST_YEAR = 1970, 2069


def calendar() -> tuple[list[dt.date], list[dt.date]]:
    """Weekdays on which New York is closed, and days on which it closes early."""
    first, last = dt.date(FIRST_YEAR, 1, 1), dt.date(LAST_YEAR, 12, 31)
    with warnings.catch_warnings():
        # Its 4.13 calls what pandas 3.1 announces to change; the result is right today.
        warnings.simplefilter("ignore", DeprecationWarning)
        exchange = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    open_days = {day.date() for day in exchange.sessions}
    days = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
    closed = [day for day in days if day.weekday() < 5 and day not in open_days]
    return closed, [day.date() for day in exchange.early_closes]


def text() -> str:
    """The whole file."""
    closed, half = calendar()
    years = (
        " ".join([f"{year}", *_of(year, closed), "|", *_of(year, half)])
        for year in range(FIRST_YEAR, LAST_YEAR + 1)
    )
    made_with = version("exchange_calendars")
    return f"""\
# Weekdays on which New York does not trade | and days that end at 13:00, a line a year.
# Taken from exchange_calendars {made_with}, which the program itself does not need.
# `python tests/support/closed_days.py` makes this file.
""" + "\n".join((*years, ""))


def _of(year: int, days: list[dt.date]) -> list[str]:
    return [f"{day:%m%d}" for day in days if day.year == year]


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
