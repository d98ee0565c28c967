"""
Pairs of currencies at IDEALPRO: quoted around the clock on weekdays, never as trades.

What the accounts of the model market are worth in their base follows from the same levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from tomic._typing import FloatArray
from tomic.sim.market import Bar, Listing, Quote
from tomic.sim.market.listings import NEW_YORK, generator
from tomic.wire.requests import ContractSpec

PER_DOLLAR = {"USD": 1.0, "EUR": 0.92, "GBP": 0.79, "CHF": 0.88}
"""Units of a currency for one dollar."""
_LEVELS = PER_DOLLAR | {"JPY": 154.2, "AUD": 1.538, "CAD": 1.402, "SEK": 10.93}
_PAIRS = (
    ("EUR", "USD"), ("GBP", "USD"), ("AUD", "USD"), ("USD", "CHF"), ("USD", "JPY"), ("USD", "CAD"),
    ("USD", "SEK"), ("EUR", "GBP"), ("EUR", "CHF"), ("EUR", "JPY"), ("EUR", "SEK"),
)  # fmt: skip
_FIRST_ID = 400_001
"""Below those of shares and options."""
_EXCHANGE = "IDEALPRO"
_NAMES = {
    "EUR": "European Monetary Union Euro", "GBP": "British pound", "AUD": "Australian dollar",
    "USD": "United States dollar",
}  # fmt: skip
_OPENS, _CLOSES = time(17, 15), time(17, 0)
_EPOCH = date(2010, 1, 1)
_DAILY = 0.004
_MARGIN = 0.025
"""Margin of a position as a fraction of its worth."""
_SERIES = frozenset({"MIDPOINT", "BID", "ASK", "BID_ASK"})
_DAYS_KEPT = 6000


@dataclass(frozen=True, slots=True)
class CurrencyPair:
    """One currency priced in another."""

    base: str
    priced_in: str
    con_id: int

    @property
    def level(self) -> float:
        """Units of the second currency for one of the first."""
        return _LEVELS[self.priced_in] / _LEVELS[self.base]

    @property
    def tick(self) -> float:
        """Smallest step of a quote."""
        return 0.005 if self.level > 20.0 else 0.00005

    def rounded(self, value: float) -> float:
        """On the grid of its quotes."""
        return round(round(value / self.tick) * self.tick, 6)

    @property
    def dollars(self) -> float:
        """Dollars for one unit of the first currency."""
        return 1.0 / _LEVELS[self.base]


PAIRS = {
    _FIRST_ID + i: CurrencyPair(base, priced_in, _FIRST_ID + i)
    for i, (base, priced_in) in enumerate(_PAIRS)
}
"""By contract id."""


def find(wanted: ContractSpec, today: date) -> list[Listing]:
    """The pairs that fit; one may be named by its local symbol, ``EUR.USD``, alone."""
    if wanted.con_id:
        pair = PAIRS.get(wanted.con_id)
        return [described(pair, today)] if pair and wanted.sec_type in ("", "CASH") else []
    if wanted.sec_type != "CASH" or wanted.exchange not in ("", _EXCHANGE, "SMART"):
        return []
    names = {(pair.base, pair.priced_in): pair for pair in PAIRS.values()}
    base, _, priced_in = wanted.local_symbol.partition(".")
    asked = (wanted.symbol or base, wanted.currency or priced_in)
    return [
        described(pair, today)
        for name, pair in names.items()
        if all(want in ("", have) for want, have in zip(asked, name, strict=True))
        and wanted.local_symbol in ("", ".".join(name))
        and any(asked)
    ]


def described(pair: CurrencyPair, today: date) -> Listing:
    """The contract details of a pair."""
    name = f"{pair.base}.{pair.priced_in}"
    hours = ";".join(_hours(today))
    return Listing(
        con_id=pair.con_id,
        symbol=pair.base,
        sec_type="CASH",
        exchange=_EXCHANGE,
        currency=pair.priced_in,
        local_symbol=name,
        trading_class=name,
        long_name=_NAMES.get(pair.base, pair.base),
        market_name=name,
        min_tick=pair.tick,
        valid_exchanges=_EXCHANGE,
        trading_hours=hours,
        liquid_hours=hours,
    )


def _hours(today: date) -> Iterator[str]:
    for i in range(6):
        day = today + timedelta(days=i)
        if day.weekday() >= 5:
            if day.weekday() == 5:
                yield f"{day:%Y%m%d}:CLOSED"
            continue
        eve = day - timedelta(days=1)
        yield f"{eve:%Y%m%d}:{_OPENS:%H%M}-{day:%Y%m%d}:{_CLOSES:%H%M}"


def is_open(moment: datetime) -> bool:
    """From Sunday 17:15 to Friday 17:00 in New York, a quarter of an hour a day left out."""
    local = moment.astimezone(NEW_YORK)
    day, clock = local.weekday(), local.time()
    if day == 5 or (day == 4 and clock > _CLOSES) or (day == 6 and clock < _OPENS):
        return False
    return not _CLOSES < clock < _OPENS


def quote(pair: CurrencyPair, moment: datetime, seed: int) -> Quote:
    """Bid and ask half a pip around the middle of the day's bar; a pair has no last price."""
    bar = bars(pair, "MIDPOINT", 2, moment, seed)
    today, before = bar[-1], bar[0]
    return Quote(
        bid=pair.rounded(today.close - pair.tick),
        ask=pair.rounded(today.close + pair.tick),
        bid_size=1_000_000,
        ask_size=2_000_000,
        high=today.high,
        low=today.low,
        close=before.close,
    )


def bars(pair: CurrencyPair, what: str, days: int, end: datetime, seed: int) -> list[Bar]:
    """Daily bars up to *end*, weekdays only."""
    last = end.astimezone(NEW_YORK).date()
    count = min(days, _DAYS_KEPT)
    weekdays = np.arange(np.datetime64(_EPOCH), np.datetime64(last) + 1)
    weekdays = weekdays[np.is_busday(weekdays)]
    shocks = generator(seed, f"forex {pair.base}{pair.priced_in}").standard_normal(12_000)
    first = max(0, len(weekdays) - count)
    closes = [_close(pair, shocks, i) for i in range(first, len(weekdays))]
    opens = [_close(pair, shocks, max(first - 1, 0)), *closes[:-1]]
    shift = {"BID": -1, "ASK": 1}.get(what, 0) * pair.tick
    rows = zip(weekdays[first:].tolist(), opens, closes, strict=True)
    return [
        Bar(
            day,
            pair.rounded(opened + shift),
            pair.rounded(max(opened, close) * 1.001 + shift),
            pair.rounded(min(opened, close) * 0.999 + shift),
            pair.rounded(close + shift),
        )
        for day, opened, close in rows
    ]


def _close(pair: CurrencyPair, shocks: FloatArray, index: int) -> float:
    """The level of a day, moved by the shocks of five days: it never strays from its rate."""
    window = shocks[max(index - 4, 0) : index + 1]
    return float(pair.level * math.exp(_DAILY * float(window.sum())))


def has_series(what: str) -> bool:
    """Whether IB has such bars of a pair: there are no trades."""
    return what in _SERIES


def session(bar: Bar) -> tuple[datetime, datetime]:
    """When the trading day of a bar began and ended."""
    eve = datetime.combine(bar.day - timedelta(days=1), _OPENS, NEW_YORK)
    return eve, datetime.combine(bar.day, _CLOSES, NEW_YORK)


def margin(pair: CurrencyPair, quantity: float) -> float:
    """What holding that much of the first currency ties up, in dollars."""
    return abs(quantity) * pair.dollars * _MARGIN
