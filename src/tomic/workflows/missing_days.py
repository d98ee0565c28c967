"""Which trading days a stored series lacks, by IB's hours and the exchange's calendar. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tomic import dates
from tomic.models import TradingSession
from tomic.store import Coverage

SeriesName: TypeAlias = Literal["bars", "ib30", "ib_hv30"]

_SETTLED = dt.timedelta(hours=1)
"""How long after the close a day that is still missing is taken for one that IB does not have."""


@dataclass(frozen=True, slots=True)
class Need:
    """One series that is not up to date."""

    symbol: str
    series: SeriesName
    since: dt.date
    """First day to ask for; a stored one when only the end is missing."""
    whole: bool
    """Whether nothing that is stored reaches back far enough."""


def last_complete_day(now: dt.datetime, sessions: Sequence[TradingSession] = ()) -> dt.date:
    """
    The last day whose session is over at *now*.

    By IB's hours where they reach that day (half days and sudden closures), else by New York's
    calendar.
    """
    today = now.astimezone(dates.NEW_YORK).date()
    known = dates.session_on(sessions, today)
    reaches = bool(sessions) and today <= max(one.closes.date() for one in sessions)
    if known is not None and now > known.closes:
        return today
    if not reaches and dates.is_trading_day(today) and now > usual_close(today):
        return today
    return dates.trading_days(today - dt.timedelta(days=14), today - dt.timedelta(days=1))[-1]


def session_day(now: dt.datetime, sessions: Sequence[TradingSession] = ()) -> dt.date:
    """
    The last day on which trading has begun, by IB's hours where they say so.

    Without them: today from 09:30 New York time on, else the trading day before.
    """
    begun = [one for one in sessions if one.opens <= now]
    local = now.astimezone(dates.NEW_YORK)
    if begun and begun[-1].closes.date() == local.date():
        return local.date()
    today = local.date() if local.time() >= dt.time(9, 30) else local.date() - dt.timedelta(days=1)
    return dates.trading_days(today - dt.timedelta(days=14), today)[-1]


def usual_close(day: dt.date) -> dt.datetime:
    """When New York closes on a trading day."""
    at = dt.time(13, 0) if dates.half_days(day, day) else dt.time(16, 0)
    return dt.datetime.combine(day, at, dates.NEW_YORK)


def need_of(
    symbol: str,
    series: SeriesName,
    known: Coverage | None,
    *,
    last_day: dt.date,
    first_day: dt.date,
    force: bool = False,
) -> Need | None:
    """
    What to ask for so that *series* reaches from *first_day* to *last_day*; None when it does.

    Days that IB was asked for and did not give are not asked for again: a new listing has no
    past, and a symbol without options no implied volatility.
    """
    whole = Need(symbol, series, first_day, True)
    if force or known is None or known.asked_from is None or known.asked_from > first_day:
        return whole
    if known.last is not None and known.last >= last_day:
        return None
    if known.fetched_at is not None and known.fetched_at >= usual_close(last_day) + _SETTLED:
        return None
    return whole if known.last is None else Need(symbol, series, known.last, False)


def first_day_of(last_day: dt.date, days: int) -> dt.date:
    """The trading day *days* before *last_day*."""
    reach = dt.timedelta(days=math.ceil(days * 1.5) + 15)
    return dates.trading_days(last_day - reach, last_day)[-days - 1]
