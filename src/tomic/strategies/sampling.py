"""Which few options of a window are asked first: enough for a smile, spreads and interest."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from tomic.config import ScanSettings
from tomic.selection import Wanted
from tomic.strategies.windows import roundness

FURTHEST = (-2.2, 1.8)
"""Standard deviations from spot between which strikes are sampled, puts below and calls above."""
_ROUND_WITHIN = 0.3
"""Share of a step within which a rounder strike is taken instead of the nearest."""
_WHOLE = 2.5
"""Samples that a window may hold and is then asked for whole."""
COARSE_STRIKES = 5
COARSE_DAYS = (30, 45)
"""Days to expiry near which the two expiries of a coarse pass lie."""
COARSE_PAIRS = (20, 30, 50)
"""The same where strategies of two expiries are sought: from 20 days on, the second 20 later."""
COARSE_FROM = 8
"""Symbols from which on a coarse pass over them pays."""


def sample(
    options: Iterable[Wanted],
    spot: float,
    today: dt.date,
    sigma: float,
    strikes: int,
    *,
    whole: float = _WHOLE,
) -> tuple[Wanted, ...]:
    """
    A sparse sample of each expiry, in the order of *options*.

    Of each expiry *strikes* options in even steps from -2.2 to 1.8 standard deviations, puts below
    the spot and calls above it, the roundest strike within .3 steps, and call and put at the
    money. An expiry that holds at most *whole* times its sample is taken whole.

    Args:
        options: Those of the windows that are listed, expiry by expiry.
        spot: Currency per share.
        sigma: At-the-money volatility, fraction.
        strikes: Strikes of an expiry, at least 5.
    """
    chosen: list[Wanted] = []
    for expiry, group in groupby(options, key=lambda option: option.expiry):
        listed = list(group)
        deviation = sigma * math.sqrt(max((expiry - today).days, 1) / 365.0)
        few = _of_expiry(listed, spot, deviation, strikes)
        chosen += listed if len(listed) <= whole * len(few) else sorted(few)
    return tuple(chosen)


def coarse(
    options: Iterable[Wanted],
    spot: float,
    today: dt.date,
    sigma: float,
    strikes: int,
    *,
    pairs: bool = False,
) -> tuple[Wanted, ...]:
    """
    Five strikes and the pair at the money of the two expiries nearest to 30 and 45 days.

    With *pairs*, of those nearest to 20, 30 and 50 days: no calendar fits between 30 and 45. They
    are among those of `sample` with as many *strikes*, so that nothing is asked twice.
    """
    listed = list(options)
    days = sorted({option.expiry for option in listed})
    goals = COARSE_PAIRS if pairs else COARSE_DAYS
    near = {min(days, key=lambda day: abs((day - today).days - wanted)) for wanted in goals}
    chosen: list[Wanted] = []
    for expiry in sorted(near):
        of_expiry = [option for option in listed if option.expiry == expiry]
        deviation = sigma * math.sqrt(max((expiry - today).days, 1) / 365.0)
        places = [round(place * (strikes - 1) / (COARSE_STRIKES - 1))
                  for place in range(COARSE_STRIKES)]  # fmt: skip
        chosen += sorted(_of_expiry(of_expiry, spot, deviation, strikes, places))
    return tuple(chosen)


def _of_expiry(
    listed: Sequence[Wanted],
    spot: float,
    deviation: float,
    strikes: int,
    places: Sequence[int] | None = None,
) -> set[Wanted]:
    low, high = FURTHEST
    step = (high - low) / (strikes - 1)
    sides: Mapping[str, list[Wanted]] = {
        right: [option for option in listed if option.right == right] for right in "CP"
    }
    chosen: set[Wanted] = set()
    for place in range(strikes) if places is None else places:
        goal = low + place * step
        side = sides["P" if goal < 0.0 else "C"]
        if side:
            chosen.add(_roundest(side, spot, deviation, goal, _ROUND_WITHIN * step))
    return chosen | _pair(sides, spot)


def _roundest(
    side: Sequence[Wanted], spot: float, deviation: float, goal: float, reach: float
) -> Wanted:
    """The roundest strike within *reach* of *goal*, else the nearest; in standard deviations."""

    def away(option: Wanted) -> float:
        return abs(math.log(option.strike / spot) / deviation - goal)

    near = [option for option in side if away(option) <= reach]
    if not near:
        return min(side, key=away)
    return min(near, key=lambda option: (-roundness(option.strike), away(option)))


def _pair(sides: Mapping[str, list[Wanted]], spot: float) -> set[Wanted]:
    """Call and put of the strike nearest the spot that has both; none where no strike has."""
    common = {option.strike for option in sides["C"]} & {option.strike for option in sides["P"]}
    if not common:
        return set()
    nearest = min(common, key=lambda strike: (abs(strike - spot), strike))
    return {option for side in sides.values() for option in side if option.strike == nearest}


_SETUP = 6
"""Messages of a symbol before its first option."""
_COARSE_EXPIRY = 1 + 2 * (COARSE_STRIKES + 1)
"""Messages of an expiry of the coarse pass: its details, five strikes and a pair."""
_EXPIRIES, _EXPIRIES_OF_PAIRS = 5, 7
"""Expiries that the windows of a seller hold of one symbol, and those of all strategies."""
_RUNNING = 0.5
"""Share of symbols that stay after a coarse pass."""
_LEGS = 6
"""Options of a symbol that are asked for in rounds and at the end."""


def expected_messages(symbols: int, scan: ScanSettings, *, pairs: bool = False) -> int:
    """
    About how many messages a scan of so many symbols takes by ``scan.method``.

    Args:
        pairs: Whether strategies of two expiries are sought.
    """
    expiries = _EXPIRIES_OF_PAIRS if pairs else _EXPIRIES
    if scan.method != "sampled":
        return symbols * (_SETUP + expiries + 2 * scan.max_contracts)
    rest = expiries * (1 + 2 * (scan.sample + 1)) + 2 * _LEGS
    if symbols < COARSE_FROM:
        return symbols * (_SETUP + rest)
    few = _COARSE_EXPIRY * len(COARSE_PAIRS if pairs else COARSE_DAYS)
    return round(symbols * (_SETUP + few + _RUNNING * rest))
