"""
The shapes of strategies: each looks for itself among lots, and takes what it finds.

See `tomic.portfolio.matching` for the order in which they are tried.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

Slot = tuple[dt.date, str]
"""Expiry and trading class: options of one slot settle together."""

_NO_SLOT: Slot = (dt.date.max, "")


@dataclass(slots=True)
class Lot:
    """
    What is left of one position.

    Attributes:
        key: Number of the position.
        left: Signed contracts or shares that are not matched yet.
        unit: How many make one leg of a strategy: 100 shares, 1 contract.
        right: ``C`` or ``P``; empty for shares.
        matchable: Whether it may be joined with others at all.
    """

    key: int
    left: float
    unit: float = 1.0
    right: str = ""
    strike: float = 0.0
    slot: Slot = _NO_SLOT
    matchable: bool = True

    @property
    def units(self) -> float:
        """Whole legs that are left, not signed."""
        return abs(self.left) // self.unit

    @property
    def is_short(self) -> bool:
        """Whether what is left was sold."""
        return self.left < 0.0

    @property
    def place(self) -> tuple[object, ...]:
        """Where it stands among others, whatever their order in the book."""
        return (self.slot, self.right, self.strike, self.key)


@dataclass(frozen=True, slots=True)
class Match:
    """A strategy: signed amounts by the key of their lot."""

    strategy: str
    parts: tuple[tuple[int, float], ...]


@dataclass(slots=True)
class Pair:
    """Two legs of one right and expiry that offset each other, held *count* times."""

    short: Lot
    long: Lot
    count: float

    @property
    def is_credit(self) -> bool:
        """Whether the short leg is nearer to the money: the pair was sold."""
        above = self.short.strike > self.long.strike
        return above == (self.short.right == "P")

    @property
    def width(self) -> float:
        """Distance of the strikes, currency per share."""
        return abs(self.short.strike - self.long.strike)


# -- four legs, three legs ---------------------------------------------------------------------


def condors(pairs: Sequence[Pair], found: list[Match]) -> None:
    """A put spread below a call spread, both sold (or both bought), equal widths first."""
    for credit in (True, False):
        puts = [p for p in pairs if p.short.right == "P" and p.is_credit == credit]
        calls = [p for p in pairs if p.short.right == "C" and p.is_credit == credit]
        fitting = [
            (put, call)
            for put, call in product(puts, calls)
            if put.short.slot == call.short.slot and _inner(put) <= _inner(call)
        ]
        fitting.sort(key=lambda two: _condor_rank(*two))
        for put, call in fitting:
            count = min(put.count, call.count)
            if count:
                put.count -= count
                call.count -= count
                _emit(found, _condor_name(put, call, credit), count, put, call)


def _condor_rank(put: Pair, call: Pair) -> tuple[object, ...]:
    uneven = put.count != call.count
    crooked = abs(put.width - call.width) > 1e-9
    return (uneven, crooked, _inner(call) - _inner(put), put.short.place, call.short.place)


def _inner(pair: Pair) -> float:
    """The strike of a spread that lies nearer to the money."""
    strikes = (pair.short.strike, pair.long.strike)
    return max(strikes) if pair.short.right == "P" else min(strikes)


def _condor_name(put: Pair, call: Pair, credit: bool) -> str:
    name = "iron_butterfly" if _inner(put) == _inner(call) else "iron_condor"
    return name if credit else f"reverse_{name}"


def flies_of_pairs(pairs: Sequence[Pair], found: list[Match]) -> None:
    """Two spreads of one right, one bought and one sold, back to back: butterflies and condors."""
    by_place = sorted(pairs, key=lambda pair: (pair.short.place, pair.long.place))
    for one, two in product(by_place, by_place):
        count = min(one.count, two.count)
        low, high = sorted((one.short.strike, two.short.strike))
        outside = one.long.strike < low and two.long.strike > high
        same = (one.short.slot, one.short.right) == (two.short.slot, two.short.right)
        even = abs(one.width - two.width) <= 1e-9
        if one is two or not count or not same or not outside or not (even or low == high):
            continue
        if one.short.strike > two.short.strike:
            continue
        one.count -= count
        two.count -= count
        name = _fly_name(one.width, two.width) if low == high else "long_condor"
        _emit(found, name, count, one, two)


def _fly_name(below: float, above: float) -> str:
    return "long_butterfly" if abs(below - above) <= 1e-9 else "broken_wing_butterfly"


def butterflies(equal: Sequence[Lot], double: Sequence[Lot], found: list[Match]) -> None:
    """1 : 2 : 1 in one right, bought (wings long) or sold, the tightest first."""
    wings: dict[tuple[Slot, str, bool], list[Lot]] = {}
    for lot in equal:
        wings.setdefault((lot.slot, lot.right, lot.is_short), []).append(lot)
    fitting = [
        (body, low, high)
        for body in double
        for low, high in combinations(wings.get((body.slot, body.right, not body.is_short), ()), 2)
        if low.strike < body.strike < high.strike
    ]
    for body, low, high in sorted(fitting, key=_fly_rank):
        if body.left and low.left and high.left:
            name = _fly_name(body.strike - low.strike, high.strike - body.strike)
            if not body.is_short:
                name = "short_butterfly" if name == "long_butterfly" else f"short_{name}"
            take(found, name, *((lot, lot.left / low.units) for lot in (low, body, high)))


def _fly_rank(three: tuple[Lot, Lot, Lot]) -> tuple[object, ...]:
    body, low, high = three
    crooked = abs(2.0 * body.strike - low.strike - high.strike) > 1e-9
    return (crooked, high.strike - low.strike, body.place, low.place)


def lizards(pairs: Sequence[Pair], options: Sequence[Lot], found: list[Match]) -> None:
    """A short put beside a sold call spread."""
    puts = [lot for lot in options if lot.right == "P" and lot.is_short]
    for pair in sorted(pairs, key=lambda one: one.short.place):
        if pair.short.right != "C" or not pair.is_credit:
            continue
        for put in puts:
            free = put.units - sum(one.count for one in pairs if one.short is put)
            count = min(pair.count, free)
            fits = put.slot == pair.short.slot and put.strike <= pair.short.strike
            if fits and count > 0.0:
                pair.count -= count
                _move(
                    found,
                    "jade_lizard",
                    ((put, -count), (pair.short, -count), (pair.long, count)),
                )


# -- two legs ------------------------------------------------------------------------------------


def verticals(lots: Sequence[Lot]) -> list[Pair]:
    """Shorts and longs of one slot and right, paired so that widths are even and small."""
    shorts = [lot for lot in lots if lot.is_short]
    longs = [lot for lot in lots if not lot.is_short]
    sizes = {lot.units for lot in lots}
    if len(sizes) == 1:
        size = sizes.pop()
        return [Pair(short, long, size) for short, long in _closest(shorts, longs)]
    pairs = []
    left = {lot.key: lot.units for lot in lots}
    for short, long in sorted(product(shorts, longs), key=_distance):
        count = min(left[short.key], left[long.key])
        if count:
            left[short.key] -= count
            left[long.key] -= count
            pairs.append(Pair(short, long, count))
    return pairs


def _distance(two: tuple[Lot, Lot]) -> tuple[object, ...]:
    short, long = two
    return (abs(short.strike - long.strike), short.place, long.place)


def _closest(shorts: Sequence[Lot], longs: Sequence[Lot]) -> list[tuple[Lot, Lot]]:
    """
    As many pairs as possible with the least sum of squared distances.

    With squares the best pairing keeps the order of strikes, so a table over both sorted sides
    finds it.
    """
    few, many = (shorts, longs) if len(shorts) <= len(longs) else (longs, shorts)
    few = sorted(few, key=lambda lot: (lot.strike, lot.key))
    many = sorted(many, key=lambda lot: (lot.strike, lot.key))
    best: list[list[float]] = [[0.0] * (len(many) + 1)]
    for row, one in enumerate(few):
        line = [float("inf")] * (len(many) + 1)
        for column in range(row + 1, len(many) - (len(few) - row - 1) + 1):
            gap = one.strike - many[column - 1].strike
            line[column] = min(line[column - 1], best[row][column - 1] + gap * gap)
        best.append(line)
    pairs, column = [], len(many)
    for row in range(len(few), 0, -1):
        while best[row][column - 1] == best[row][column]:
            column -= 1
        one, two = few[row - 1], many[column - 1]
        pairs.append((one, two) if one.is_short else (two, one))
        column -= 1
    return pairs[::-1]


def vertical_name(pair: Pair) -> str:
    """What a pair is called that stands alone."""
    side = "call" if pair.short.right == "C" else "put"
    return f"{'short' if pair.is_credit else 'long'}_{side}_spread"


def ratios(equal: Sequence[Lot], double: Sequence[Lot], found: list[Match]) -> None:
    """1 : 2 in one right and expiry: ratio spreads and backspreads, the tightest first."""
    fitting = [
        (one, two)
        for one, two in product(equal, double)
        if one.is_short != two.is_short
        and (one.slot, one.right) == (two.slot, two.right)
        and (two.strike < one.strike) == (one.right == "P")
    ]
    for one, two in sorted(fitting, key=_distance):
        if one.left and two.left:
            side = "call" if one.right == "C" else "put"
            name = "ratio_spread" if two.is_short else f"{side}_backspread"
            size = one.units
            take(found, name, (one, one.left / size), (two, two.left / size))


def across_expiries(options: Sequence[Lot], found: list[Match]) -> None:
    """Calendars (one strike) before diagonals; sold when the short leg lives longer."""
    fitting = [
        (short, long)
        for short, long in product(options, options)
        if short.is_short
        and not long.is_short
        and short.right == long.right
        and short.slot[0] != long.slot[0]
    ]
    fitting.sort(key=lambda two: (*_distance(two)[:1], two[0].place, two[1].place))
    for short, long in fitting:
        bought = short.slot[0] < long.slot[0]
        kind = "calendar" if short.strike == long.strike else "diagonal"
        name = kind if bought else f"short_{kind}"
        take(found, name, (short, -1.0), (long, 1.0))


def straddles(options: Sequence[Lot], found: list[Match]) -> None:
    """A put and a call of one expiry on the same side."""
    for side in (True, False):
        puts = [lot for lot in options if lot.right == "P" and lot.is_short == side]
        calls = [lot for lot in options if lot.right == "C" and lot.is_short == side]
        fitting = [
            (put, call)
            for put, call in product(puts, calls)
            if put.slot == call.slot and put.strike <= call.strike
        ]
        for put, call in sorted(fitting, key=_distance):
            kind = "straddle" if put.strike == call.strike else "strangle"
            sign = -1.0 if side else 1.0
            take(found, f"{'short' if side else 'long'}_{kind}", (put, sign), (call, sign))


# -- with shares -----------------------------------------------------------------------------------


def collars(options: Sequence[Lot], stock: Sequence[Lot], found: list[Match]) -> None:
    """Shares with a put bought below and a call sold above."""
    calls = [lot for lot in options if lot.right == "C" and lot.is_short]
    puts = [lot for lot in options if lot.right == "P" and not lot.is_short]
    fitting = [
        (put, call)
        for put, call in product(puts, calls)
        if put.slot == call.slot and put.strike <= call.strike
    ]
    for put, call in sorted(fitting, key=_distance):
        for shares in stock:
            if not shares.is_short:
                take(found, "collar", (shares, shares.unit), (put, 1.0), (call, -1.0))


def with_stock(options: Sequence[Lot], stock: Sequence[Lot], found: list[Match]) -> None:
    """Shares that cover a short option, or that a long one protects; the nearest expiry first."""
    for shares in stock:
        if not shares.left:
            continue
        cover, protect = ("P", "C") if shares.is_short else ("C", "P")
        unit = -shares.unit if shares.is_short else shares.unit
        for lot in options:
            if lot.right == cover and lot.is_short:
                name = "covered_call" if cover == "C" else "covered_put"
                take(found, name, (shares, unit), (lot, -1.0))
        for lot in options:
            if lot.right == protect and not lot.is_short:
                name = "protective_put" if protect == "P" else "protective_call"
                take(found, name, (shares, unit), (lot, 1.0))


def single(lot: Lot) -> str:
    """What a lot is called that nothing was joined with."""
    side = "short" if lot.is_short else "long"
    if not lot.matchable:
        return "other"
    if not lot.right:
        return "shares" if side == "long" else "short_shares"
    return f"{side}_{'call' if lot.right == 'C' else 'put'}"


# -- taking ----------------------------------------------------------------------------------------


def take(
    found: list[Match], strategy: str, *ratio: tuple[Lot, float], pair: Pair | None = None
) -> None:
    """Take as many of the structure as are left; *ratio* is each lot's signed amount in one."""
    count = min(abs(lot.left) // abs(amount) for lot, amount in ratio)
    if pair is not None:
        count = min(count, pair.count)
        pair.count = 0.0
    if count and all(lot.left * amount > 0.0 for lot, amount in ratio):
        _move(found, strategy, tuple((lot, amount * count) for lot, amount in ratio))


def _emit(found: list[Match], strategy: str, count: float, one: Pair, two: Pair) -> None:
    parts: dict[int, tuple[Lot, float]] = {}
    for pair in (one, two):
        for lot, amount in ((pair.long, count), (pair.short, -count)):
            held = parts.get(lot.key, (lot, 0.0))[1]
            parts[lot.key] = (lot, held + amount)
    _move(found, strategy, tuple(parts.values()))


def _move(found: list[Match], strategy: str, parts: Sequence[tuple[Lot, float]]) -> None:
    for lot, amount in parts:
        lot.left -= amount
    found.append(Match(strategy, tuple((lot.key, amount) for lot, amount in parts)))


def by_slot_and_right(lots: Iterable[Lot]) -> Iterator[list[Lot]]:
    """Lots of which something is left, those of one expiry and right together."""
    groups: dict[tuple[Slot, str], list[Lot]] = {}
    for lot in lots:
        if lot.left:
            groups.setdefault((lot.slot, lot.right), []).append(lot)
    yield from groups.values()
