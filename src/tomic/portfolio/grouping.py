"""
Puts the legs of a book back together into the strategies that were traded.

Claims come first: your own pins, then the journal's entries. What they leave is matched per
account and symbol. First whole positions: legs whose quantities fit exactly, so that a spread held
five times is not torn apart by one held three times. Then parts of positions, whatever number fits.
Within each of the two, larger strategies come before smaller ones, and among equals the one whose
strikes lie closest. Nothing depends on the order in which the broker lists positions.

What no pattern here knows, of the catalogue or of your own, is recognised by the shape of its
template, in whole positions, before patterns of fewer legs.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial, reduce
from itertools import combinations, product
from typing import Literal

from tomic import dates
from tomic.config import Settings
from tomic.legs import NamedLeg
from tomic.models.book import Position
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.catalogue.shapes import Shape, ShapeLeg, shapes
from tomic.strategies.catalogue.templates import CATALOGUE, own as own_strategies

Slot = tuple[dt.date, str]
"""Day of settlement and trading class: options of one slot settle together."""

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
        in_cash: Whether it is settled in cash, so that shares neither cover nor protect it.
    """

    key: int
    left: float
    unit: float = 1.0
    right: str = ""
    strike: float = 0.0
    slot: Slot = _NO_SLOT
    matchable: bool = True
    in_cash: bool = False

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


def condors(pairs: Sequence[Pair], matches: list[Match]) -> None:
    """A put spread below a call spread, both sold (or both bought), equal widths first."""
    for credit in (True, False):
        puts = [p for p in pairs if p.short.right == "P" and p.is_credit == credit]
        calls = [p for p in pairs if p.short.right == "C" and p.is_credit == credit]
        fitting = [
            (put, call)
            for put, call in product(puts, calls)
            if put.short.slot == call.short.slot and _inner(put) <= _inner(call)
        ]
        fitting.sort(key=lambda spreads: _condor_rank(*spreads))
        for put, call in fitting:
            count = min(put.count, call.count)
            if count:
                put.count -= count
                call.count -= count
                _emit(matches, _condor_name(put, call, credit), count, put, call)


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


def flies_of_pairs(pairs: Sequence[Pair], matches: list[Match]) -> None:
    """Two spreads of one right, one bought and one sold, back to back: butterflies and condors."""
    by_place = sorted(pairs, key=lambda pair: (pair.short.place, pair.long.place))
    for first, second in product(by_place, by_place):
        count = min(first.count, second.count)
        low, high = sorted((first.short.strike, second.short.strike))
        outside = first.long.strike < low and second.long.strike > high
        same = (first.short.slot, first.short.right) == (second.short.slot, second.short.right)
        even = abs(first.width - second.width) <= 1e-9
        if first is second or not count or not same or not outside or not (even or low == high):
            continue
        if first.short.strike > second.short.strike:
            continue
        first.count -= count
        second.count -= count
        name = _fly_name(first.width, second.width) if low == high else "long_condor"
        _emit(matches, name, count, first, second)


def _fly_name(below: float, above: float) -> str:
    return "long_butterfly" if abs(below - above) <= 1e-9 else "broken_wing_butterfly"


def butterflies(equal: Sequence[Lot], double: Sequence[Lot], matches: list[Match]) -> None:
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
            take(matches, name, *((lot, lot.left / low.units) for lot in (low, body, high)))


def _fly_rank(three: tuple[Lot, Lot, Lot]) -> tuple[object, ...]:
    body, low, high = three
    crooked = abs(2.0 * body.strike - low.strike - high.strike) > 1e-9
    return (crooked, high.strike - low.strike, body.place, low.place)


def lizards(pairs: Sequence[Pair], options: Sequence[Lot], matches: list[Match]) -> None:
    """A short put beside a sold call spread."""
    puts = [lot for lot in options if lot.right == "P" and lot.is_short]
    for pair in sorted(pairs, key=lambda spread: spread.short.place):
        if pair.short.right != "C" or not pair.is_credit:
            continue
        for put in puts:
            free = put.units - sum(spread.count for spread in pairs if spread.short is put)
            count = min(pair.count, free)
            fits = put.slot == pair.short.slot and put.strike <= pair.short.strike
            if fits and count > 0.0:
                pair.count -= count
                parts = ((put, -count), (pair.short, -count), (pair.long, count))
                _move(matches, "jade_lizard", parts)


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


def _distance(pair: tuple[Lot, Lot]) -> tuple[object, ...]:
    short, long = pair
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
    for row, fewer_lot in enumerate(few):
        line = [float("inf")] * (len(many) + 1)
        for column in range(row + 1, len(many) - (len(few) - row - 1) + 1):
            gap = fewer_lot.strike - many[column - 1].strike
            line[column] = min(line[column - 1], best[row][column - 1] + gap * gap)
        best.append(line)
    pairs, column = [], len(many)
    for row in range(len(few), 0, -1):
        while best[row][column - 1] == best[row][column]:
            column -= 1
        fewer_lot, other_lot = few[row - 1], many[column - 1]
        pairs.append((fewer_lot, other_lot) if fewer_lot.is_short else (other_lot, fewer_lot))
        column -= 1
    return pairs[::-1]


def vertical_name(pair: Pair) -> str:
    """Name of a pair that is a structure by itself."""
    side = "call" if pair.short.right == "C" else "put"
    return f"{'short' if pair.is_credit else 'long'}_{side}_spread"


def ratios(equal: Sequence[Lot], double: Sequence[Lot], matches: list[Match]) -> None:
    """1 : 2 in one right and expiry: ratio spreads and backspreads, the tightest first."""
    fitting = [
        (lot, doubled)
        for lot, doubled in product(equal, double)
        if lot.is_short != doubled.is_short
        and (lot.slot, lot.right) == (doubled.slot, doubled.right)
        and (doubled.strike < lot.strike) == (lot.right == "P")
    ]
    for lot, doubled in sorted(fitting, key=_distance):
        if lot.left and doubled.left:
            side = "call" if lot.right == "C" else "put"
            name = "ratio_spread" if doubled.is_short else f"{side}_backspread"
            size = lot.units
            take(matches, name, (lot, lot.left / size), (doubled, doubled.left / size))


def across_expiries(options: Sequence[Lot], matches: list[Match]) -> None:
    """
    Calendars (one strike) before diagonals; sold when the short leg lives longer.

    Two classes of an index that are settled within a day, as SPX and SPXW of one last trading day
    are, make none: what lies between them is a night, not a month.
    """
    fitting = [
        (short, long)
        for short, long in product(options, options)
        if short.is_short
        and not long.is_short
        and short.right == long.right
        and abs((short.slot[0] - long.slot[0]).days) >= (1 if short.slot[1] == long.slot[1] else 2)
    ]
    fitting.sort(key=lambda lots: (*_distance(lots)[:1], lots[0].place, lots[1].place))
    for short, long in fitting:
        bought = short.slot[0] < long.slot[0]
        kind = "calendar" if short.strike == long.strike else "diagonal"
        name = kind if bought else f"short_{kind}"
        take(matches, name, (short, -1.0), (long, 1.0))


def straddles(options: Sequence[Lot], matches: list[Match]) -> None:
    """A put and a call of one expiry on the same side."""
    for side in (True, False):
        puts = [lot for lot in options if lot.right == "P" and lot.is_short == side]
        calls = [lot for lot in options if lot.right == "C" and lot.is_short == side]
        for put, call in _puts_below_calls(puts, calls):
            kind = "straddle" if put.strike == call.strike else "strangle"
            sign = -1.0 if side else 1.0
            take(matches, f"{'short' if side else 'long'}_{kind}", (put, sign), (call, sign))


def _puts_below_calls(puts: Sequence[Lot], calls: Sequence[Lot]) -> list[tuple[Lot, Lot]]:
    """Pairs of one slot with the put at or below the call, the closest strikes first."""
    fitting = [
        (put, call)
        for put, call in product(puts, calls)
        if put.slot == call.slot and put.strike <= call.strike
    ]
    return sorted(fitting, key=_distance)


# -- with shares -----------------------------------------------------------------------------------


def collars(options: Sequence[Lot], stock: Sequence[Lot], matches: list[Match]) -> None:
    """Shares with a put bought below and a call sold above."""
    calls = [lot for lot in options if lot.right == "C" and lot.is_short]
    puts = [lot for lot in options if lot.right == "P" and not lot.is_short]
    for put, call in _puts_below_calls(puts, calls):
        for shares in stock:
            if not shares.is_short and not put.in_cash:
                take(matches, "collar", (shares, shares.unit), (put, 1.0), (call, -1.0))


def with_stock(options: Sequence[Lot], stock: Sequence[Lot], matches: list[Match]) -> None:
    """Shares that cover a short option, or that a long one protects; the nearest expiry first."""
    options = [lot for lot in options if not lot.in_cash]
    for shares in stock:
        if not shares.left:
            continue
        cover, protect = ("P", "C") if shares.is_short else ("C", "P")
        unit = -shares.unit if shares.is_short else shares.unit
        for lot in options:
            if lot.right == cover and lot.is_short:
                name = "covered_call" if cover == "C" else "covered_put"
                take(matches, name, (shares, unit), (lot, -1.0))
        for lot in options:
            if lot.right == protect and not lot.is_short:
                name = "protective_put" if protect == "P" else "protective_call"
                take(matches, name, (shares, unit), (lot, 1.0))


def single(lot: Lot) -> str:
    """Name of a lot that was not joined with any other."""
    side = "short" if lot.is_short else "long"
    if not lot.matchable:
        return "other"
    if not lot.right:
        return "shares" if side == "long" else "short_shares"
    return f"{side}_{'call' if lot.right == 'C' else 'put'}"


# -- by shape --------------------------------------------------------------------------------------

Shapes = tuple[tuple[str, Shape], ...]
"""Strategies by name that no pattern above makes, each with its shape."""


def unpatterned(templates: Iterable[Template]) -> Shapes:
    """Names and shapes of those *templates* whose legs the patterns do not put together."""
    return tuple(
        (template.name, form)
        for template in sorted(templates, key=lambda each: -len(each.legs))
        for form in shapes(template)
        if not _has_pattern(form)
    )


def known_to(settings: Settings) -> Shapes:
    """As `unpatterned`, of every strategy of the settings; of the catalogue where none is added."""
    if not settings.strategies:
        return UNPATTERNED
    return unpatterned({**CATALOGUE, **own_strategies(settings)}.values())


@lru_cache(maxsize=512)
def _has_pattern(form: Shape) -> bool:
    near, far = dt.date(2000, 1, 21), dt.date(2000, 2, 18)
    lots = [
        Lot(
            key,
            float(leg.quantity),
            right=leg.right,
            # Uneven gaps, as of strikes that somebody chose.
            strike=100.0 + 10.0 * leg.place + leg.place**2,
            slot=(far if leg.slot == "far" else near, ""),
        )
        for key, leg in enumerate(form.legs)
    ]
    if form.stock:
        lots.append(Lot(-1, 100.0 * form.stock, unit=100.0))
    return len(_by_pattern(lots)) == 1


def shaped(lots: Sequence[Lot], name: str, form: Shape, matches: list[Match]) -> None:
    """Every structure of *form* that whole positions make up, the tightest strikes first."""
    fitting = [
        (chosen, count)
        for first in _standing_for(form.legs[0], lots)
        if (count := first.units / abs(form.legs[0].quantity)).is_integer()
        for chosen in _completed(form, (first,), lots, count)
    ]
    fitting.sort(key=lambda found: (_span(found[0]), [lot.place for lot in found[0]]))
    amounts = [float(leg.quantity) for leg in form.legs]
    for chosen, count in fitting:
        parts = list(zip(chosen, amounts, strict=True))
        if any(lot.left != amount * count for lot, amount in parts):
            continue
        if form.stock:
            shares = [lot for lot in lots if not lot.right and lot.left >= lot.unit * count]
            if not shares or any(lot.in_cash for lot in chosen):
                continue
            parts.append((shares[0], shares[0].unit * form.stock))
        take(matches, name, *parts)


def _standing_for(leg: ShapeLeg, lots: Sequence[Lot]) -> list[Lot]:
    return [lot for lot in lots if lot.right == leg.right and lot.left * leg.quantity > 0.0]


def _completed(
    form: Shape, chosen: tuple[Lot, ...], lots: Sequence[Lot], count: float
) -> Iterator[tuple[Lot, ...]]:
    """All ways to go on from the lots of the first legs to those of all."""
    if len(chosen) == len(form.legs):
        yield chosen
        return
    leg = form.legs[len(chosen)]
    for lot in _standing_for(leg, lots):
        in_size = lot.left == leg.quantity * count and lot not in chosen
        if in_size and _suits(lot, leg, chosen, form):
            yield from _completed(form, (*chosen, lot), lots, count)


def _suits(lot: Lot, leg: ShapeLeg, chosen: Sequence[Lot], form: Shape) -> bool:
    """Whether strike and expiry stand to those of the legs before as the shape says."""
    for other, lot_of_other in zip(form.legs, chosen, strict=False):
        gap = lot.strike - lot_of_other.strike
        place = leg.place - other.place
        if (gap > 0.0) - (gap < 0.0) != (place > 0) - (place < 0):
            return False
        later = lot.slot[0] > lot_of_other.slot[0]
        earlier = lot.slot[0] < lot_of_other.slot[0]
        if leg.slot == other.slot and lot.slot != lot_of_other.slot:
            return False
        if leg.slot != other.slot and not (later if leg.slot == "far" else earlier):
            return False
    return True


def _span(chosen: Sequence[Lot]) -> float:
    strikes = [lot.strike for lot in chosen]
    return max(strikes) - min(strikes)


# -- taking ----------------------------------------------------------------------------------------


def take(
    matches: list[Match], strategy: str, *ratio: tuple[Lot, float], pair: Pair | None = None
) -> None:
    """Take as many of the structure as are left; *ratio* is each lot's signed amount in one."""
    count = min(abs(lot.left) // abs(amount) for lot, amount in ratio)
    if pair is not None:
        count = min(count, pair.count)
        pair.count = 0.0
    if count and all(lot.left * amount > 0.0 for lot, amount in ratio):
        _move(matches, strategy, tuple((lot, amount * count) for lot, amount in ratio))


def _emit(matches: list[Match], strategy: str, count: float, first: Pair, second: Pair) -> None:
    parts: dict[int, tuple[Lot, float]] = {}
    for pair in (first, second):
        for lot, amount in ((pair.long, count), (pair.short, -count)):
            before = parts.get(lot.key, (lot, 0.0))[1]
            parts[lot.key] = (lot, before + amount)
    _move(matches, strategy, tuple(parts.values()))


def _move(matches: list[Match], strategy: str, parts: Sequence[tuple[Lot, float]]) -> None:
    for lot, amount in parts:
        lot.left -= amount
    matches.append(Match(strategy, tuple((lot.key, amount) for lot, amount in parts)))


def by_slot_and_right(lots: Iterable[Lot]) -> Iterator[list[Lot]]:
    """Lots with something left, grouped by expiry and right."""
    groups: dict[tuple[Slot, str], list[Lot]] = {}
    for lot in lots:
        if lot.left:
            groups.setdefault((lot.slot, lot.right), []).append(lot)
    yield from groups.values()


def match_lots(lots: Sequence[Lot], own: Shapes = ()) -> list[Match]:
    """
    Match everything left in *lots*; what fits nothing becomes a strategy of its own.

    What whole positions form of *own* comes before what the patterns would make of fewer legs. Of
    several plans for the rest the one that explains the book with the fewest structures wins, then
    the one with the fewest naked ones.
    """
    ordered = sorted((lot for lot in lots if lot.left), key=lambda lot: lot.place)
    matches: list[Match] = []
    for name, form in own:
        made: list[Match] = []
        size = len(form.legs) + (form.stock > 0)
        larger = [match for match in _by_pattern(ordered) if len(match.parts) >= size]
        shaped([lot for lot in _without(ordered, larger) if lot.matchable], name, form, made)
        ordered = _without(ordered, made)
        matches += made
    return [*matches, *_by_pattern(ordered)]


def _without(lots: Sequence[Lot], matches: Sequence[Match]) -> list[Lot]:
    """What *matches* leave of the lots, which stay as they are."""
    taken = dict.fromkeys((lot.key for lot in lots), 0.0)
    for key, amount in (part for match in matches for part in match.parts):
        taken[key] += amount
    return [
        replace(lot, left=lot.left - taken[lot.key])
        for lot in lots
        if lot.left - taken[lot.key] != 0.0
    ]


def _by_pattern(ordered: Sequence[Lot]) -> list[Match]:
    best = _united(_matched(ordered, _PLANS[0]))
    for plan in _PLANS[1:]:
        if not _naked(best):
            break
        best = min(best, _united(_matched(ordered, plan)), key=_burden)
    return best


def _matched(ordered: Sequence[Lot], plan: Sequence[_Pass]) -> list[Match]:
    lots = [replace(lot) for lot in ordered]
    usable = [lot for lot in lots if lot.matchable]
    matches: list[Match] = []
    for work in plan:
        work(usable, matches)
    for lot in lots:
        if lot.left:
            matches.append(Match(single(lot), ((lot.key, lot.left),)))
    return matches


def _burden(matches: Sequence[Match]) -> tuple[int, int]:
    return (len(matches), _naked(matches))


def _naked(matches: Iterable[Match]) -> int:
    """Structures in which nothing covers a short option."""
    return sum(match.strategy in _NAKED for match in matches)


def _united(matches: Iterable[Match]) -> list[Match]:
    """The same strategy on the same contracts is one match."""
    sums: dict[tuple[str, tuple[int, ...]], list[float]] = {}
    for match in matches:
        parts = sorted(match.parts)
        name = (match.strategy, tuple(key for key, _ in parts))
        amounts = sums.setdefault(name, [0.0] * len(parts))
        for place, (_, amount) in enumerate(parts):
            amounts[place] += amount
    return [
        Match(strategy, tuple(zip(keys, amounts, strict=True)))
        for (strategy, keys), amounts in sums.items()
    ]


# -- the two passes ----------------------------------------------------------------------------


def _whole(lots: Sequence[Lot], matches: list[Match], *, shares_last: bool) -> None:
    """
    Strategies that use up all of each of their options.

    Largest quantities first: shares then cover what they can cover wholly. With *shares_last*
    strangles come before covered calls.
    """
    sizes = sorted({lot.units for lot in lots if lot.right}, reverse=True)
    for size in sizes:
        equal = [lot for lot in lots if lot.right and lot.units == size]
        double = [lot for lot in lots if lot.right and lot.units == 2.0 * size]
        butterflies(equal, double, matches)
        ratios(equal, double, matches)
    for size in sizes:
        equal = [lot for lot in lots if lot.right and lot.units == size]
        stock = [lot for lot in lots if not lot.right and lot.units >= size]
        _build(equal, stock, matches, shares_last=shares_last)


def _exact_spreads(lots: Sequence[Lot], matches: list[Match]) -> None:
    """As `_whole`, but only where no short option is left naked."""
    for size in sorted({lot.units for lot in lots if lot.right}, reverse=True):
        equal = [lot for lot in lots if lot.right and lot.units == size]
        double = [lot for lot in lots if lot.right and lot.units == 2.0 * size]
        butterflies(equal, double, matches)
        _spreads([lot for lot in equal if lot.left], matches)


def _partial(lots: Sequence[Lot], matches: list[Match]) -> None:
    """Whatever number of contracts still fits together."""
    options = [lot for lot in lots if lot.right]
    stock = [lot for lot in lots if not lot.right]
    _build(options, stock, matches)


def _build(
    options: Sequence[Lot], stock: Sequence[Lot], matches: list[Match], *, shares_last: bool = False
) -> None:
    """One pass from the larger strategies to the smaller."""
    options = [lot for lot in options if lot.left]
    _spreads(options, matches, with_lizards=True)
    collars(options, stock, matches)
    across_expiries(options, matches)
    if shares_last:
        straddles(options, matches)
    with_stock(options, stock, matches)
    if not shares_last:
        straddles(options, matches)


def _spreads(options: Sequence[Lot], matches: list[Match], *, with_lizards: bool = False) -> None:
    pairs = [pair for group in by_slot_and_right(options) for pair in verticals(group)]
    condors(pairs, matches)
    flies_of_pairs(pairs, matches)
    if with_lizards:
        lizards(pairs, options, matches)
    for pair in pairs:
        if pair.count:
            take(matches, vertical_name(pair), (pair.long, 1.0), (pair.short, -1.0), pair=pair)


_Pass = Callable[[Sequence[Lot], list[Match]], None]
_PLANS: tuple[tuple[_Pass, ...], ...] = (
    (partial(_whole, shares_last=True), _partial),
    (partial(_whole, shares_last=False), _partial),
    (_exact_spreads, _partial),
    (_partial,),
)
_NAKED = frozenset(
    {"jade_lizard", "ratio_spread", "short_call", "short_put", "short_straddle", "short_strangle"}
)


UNPATTERNED = unpatterned(CATALOGUE.values())
"""Strategies of the catalogue that are recognised by their shape alone."""


_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Legs that the trader or the journal says belong together.

    Attributes:
        source: ``pin`` (yours, taken first) or ``journal``.
        name: Of the pin, or of the journal entry.
        legs: What it holds; legs that the book lacks are not made up.
        strategy: Its name there; None takes the name that the legs have.
        account: Only in this one; None takes the first account that holds such legs.
        opened: Day of entry, for the days in trade.
    """

    source: Literal["pin", "journal"]
    name: str
    legs: tuple[NamedLeg, ...]
    strategy: str | None = None
    account: str | None = None
    opened: dt.date | None = None


@dataclass(frozen=True, slots=True)
class GroupLeg:
    """A part of a position: how many of its contracts or shares, signed."""

    position: Position
    quantity: float


@dataclass(frozen=True, slots=True)
class Group:
    """Legs that form one strategy."""

    strategy: str
    symbol: str
    account: str
    legs: tuple[GroupLeg, ...]
    source: Literal["pin", "journal", "match"] = "match"
    link: str = ""
    opened: dt.date | None = None

    @property
    def quantity(self) -> float:
        """How many times the structure is held: what divides every leg; 1 for shares alone."""
        if all(leg.position.is_stock for leg in self.legs):
            return 1.0
        unit = _shares_per_contract(leg.position for leg in self.legs)
        sizes = [abs(leg.quantity) / (unit if leg.position.is_stock else 1.0) for leg in self.legs]
        if not all(size.is_integer() for size in sizes):
            return 1.0
        return float(reduce(math.gcd, (int(size) for size in sizes)))


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every leg of the book in exactly one group, and claimed legs that are not held."""

    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _PositionLot(Lot):
    """What is left of a position of one account and symbol, with the position."""

    position: Position = field(kw_only=True)


_Pools = dict[tuple[str, str], list[_PositionLot]]
"""Lots by account and symbol."""


def group(
    positions: Iterable[Position],
    *,
    claims: Sequence[Claim] = (),
    cash: dict[str, float] | None = None,
    rate_of: Callable[[str], float | None] = lambda currency: 1.0,
    own: Shapes = UNPATTERNED,
) -> Grouping:
    """
    Group *positions* into strategies; each contract ends up in exactly one place.

    Args:
        positions: Merged ones: each contract once per account (`merged`).
        claims: Pins win over journal entries; within each, the order given counts.
        cash: Free cash per account; short puts that it covers are called cash-secured.
        rate_of: What one unit of a currency is in that of *cash*; None where it is not known.
        own: Strategies that no pattern makes, as `unpatterned` gives them.

    Returns:
        Groups by symbol, account, first expiry and strategy.
    """
    pools = _pools(positions)
    groups: list[Group] = []
    notes: list[str] = []
    for claim in sorted(claims, key=lambda claim: claim.source != "pin"):
        taken, lacking = _claimed(claim, pools, own)
        groups += taken
        notes += lacking
    left = dict(cash or {})
    for (account, symbol), lots in pools.items():
        position_of = {lot.key: lot.position for lot in lots}
        for match in match_lots(lots, own):
            legs = tuple(GroupLeg(position_of[key], amount) for key, amount in match.parts)
            strategy = _with_cash(match, legs, account, left, rate_of)
            groups.append(Group(strategy, symbol, account, legs))
    return Grouping(tuple(sorted(groups, key=_order)), tuple(notes))


def name_of(legs: Sequence[GroupLeg], own: Shapes = UNPATTERNED) -> str:
    """The strategy that these legs form together, ``custom`` when it has no name."""
    unit = _shares_per_contract(leg.position for leg in legs)
    lots = [_lot(number, leg.position, leg.quantity, unit) for number, leg in enumerate(legs)]
    matches = match_lots(lots, own)
    return matches[0].strategy if len(matches) == 1 else "custom"


def is_named(position: Position, leg: NamedLeg) -> bool:
    """Whether *leg* means this position's contract; an adjusted one is never meant."""
    if leg.symbol != position.symbol or position.is_adjusted:
        return False
    if leg.is_stock:
        return position.is_stock
    if not position.is_option or (position.right, position.strike) != (leg.right, leg.strike):
        return False
    if leg.expiry is None or leg.expiry == position.expiry:
        return leg.expiry == position.expiry
    # SPX (AM) is listed under its last trading day, and written by the day of its settlement.
    settled = dates.settlement_day(
        leg.expiry, trading_class=position.trading_class, symbol=position.symbol
    )
    return settled == dates.settlement_of(position)


def merged(positions: Iterable[Position]) -> tuple[Position, ...]:
    """
    Lines of one contract and account added up, in the order of contracts.

    A line that is considered (`Position.proposed`) merges into the one that is held. What comes
    to zero stays as a line of quantity 0, so that it can be named, unless a proposal closed it.
    The cost of a closing line is not mixed into that of what stays.
    """
    by_contract: dict[tuple[str, str, str], list[Position]] = {}
    for position in positions:
        by_contract.setdefault((position.symbol, position.account, position.contract), []).append(
            position
        )
    result = []
    for _, same in sorted(by_contract.items()):
        same.sort(key=lambda line: (line.proposed, -abs(line.quantity), line.quantity))
        line = reduce(_sum, same)
        closed_by_proposal = line.quantity == 0.0 and any(part.proposed for part in same)
        if not closed_by_proposal:
            result.append(line)
    return tuple(result)


def _sum(first: Position, more: Position) -> Position:
    quantity = first.quantity + more.quantity
    cost = first.average_cost
    if first.quantity * more.quantity > 0.0:
        cost = None
        if first.average_cost is not None and more.average_cost is not None:
            paid = first.average_cost * first.quantity + more.average_cost * more.quantity
            cost = paid / quantity
    elif first.quantity * quantity < 0.0 or first.quantity == 0.0:
        cost = more.average_cost
    return first.model_copy(
        update={
            "quantity": quantity,
            "average_cost": cost,
            "con_id": first.con_id if first.con_id is not None else more.con_id,
            "proposed": first.proposed and more.proposed,
        }
    )


# -- pools -----------------------------------------------------------------------------------


def _pools(positions: Iterable[Position]) -> _Pools:
    pools: _Pools = {}
    ordered = sorted(
        positions, key=lambda position: (position.symbol, position.account, position.contract)
    )
    owned: dict[tuple[str, str], list[Position]] = {}
    for position in ordered:
        owned.setdefault((position.account, position.symbol), []).append(position)
    units = {key: _shares_per_contract(same) for key, same in owned.items()}
    for number, position in enumerate(ordered):
        if position.quantity != 0.0:
            unit = units[position.account, position.symbol]
            lot = _lot(number, position, position.quantity, unit)
            pools.setdefault((position.account, position.symbol), []).append(lot)
    return pools


def _lot(number: int, position: Position, quantity: float, unit: float) -> _PositionLot:
    if position.is_stock:
        return _PositionLot(number, quantity, unit, position=position)
    matchable = position.is_option and not position.is_adjusted and quantity.is_integer()
    # Contracts of another size cover, and are covered by, other numbers of shares.
    matchable = matchable and position.multiplier == unit
    if not matchable or position.strike is None or position.expiry is None:
        return _PositionLot(number, quantity, matchable=False, position=position)
    settled = dates.settlement_of(position) or position.expiry
    slot = (settled, position.trading_class)
    right, strike = position.right or "", position.strike
    in_cash = position.settles_in_cash
    return _PositionLot(
        number, quantity, 1.0, right, strike, slot, in_cash=in_cash, position=position
    )


_SHARES_PER_LOT = 100.0
"""Shares that one contract would deliver where none is held that tells."""


def _shares_per_contract(positions: Iterable[Position]) -> float:
    """Shares that one contract of a symbol delivers; of several sizes, the commonest."""
    sizes: Counter[float] = Counter()
    for position in positions:
        if position.is_option and not position.is_adjusted:
            sizes[position.multiplier] += 1
    return max(sizes, key=lambda size: (sizes[size], size), default=_SHARES_PER_LOT)


def _order(group: Group) -> tuple[str, str, dt.date, str, str]:
    days = [leg.position.expiry for leg in group.legs if leg.position.expiry is not None]
    first = min(days, default=dt.date.max)
    text = " ".join(f"{leg.position.contract} {leg.quantity:g}" for leg in group.legs)
    return (group.symbol, group.account, first, group.strategy, text)


# -- claims ----------------------------------------------------------------------------------


def _claimed(claim: Claim, pools: _Pools, own: Shapes) -> tuple[list[Group], list[str]]:
    """Take the legs of *claim* out of the pools, as far as they are held."""
    notes = []
    account = claim.account or _account_of(claim, pools)
    taken: dict[str, list[GroupLeg]] = {}
    for leg in claim.legs:
        parts, missing = _take(leg, pools.get((account, leg.symbol), ()))
        if parts:
            taken.setdefault(leg.symbol, []).extend(parts)
        if abs(missing) > _NOTHING:
            notes.append(f"{claim.source} {claim.name}: {missing:+g} {_text(leg)} is not held")
    origin = (claim.source, claim.name, claim.opened)
    groups = [
        Group(claim.strategy or name_of(legs, own), symbol, account, tuple(legs), *origin)
        for symbol, legs in taken.items()
    ]
    return groups, notes


def _account_of(claim: Claim, pools: _Pools) -> str:
    """The account that holds most of the claim's legs, the first by name among equals."""
    counts: dict[str, int] = {}
    for (account, _), lots in pools.items():
        for leg in claim.legs:
            if any(is_named(lot.position, leg) for lot in lots):
                counts[account] = counts.get(account, 0) + 1
    return min(counts, key=lambda name: (-counts[name], name), default="")


def _take(leg: NamedLeg, lots: Iterable[_PositionLot]) -> tuple[list[GroupLeg], float]:
    wanted, parts = leg.quantity, []
    # An expiry that is listed under that very day is meant before one that only settles on it.
    for lot in sorted(lots, key=lambda lot: lot.position.expiry != leg.expiry):
        if is_named(lot.position, leg) and lot.left * wanted > 0.0:
            amount = math.copysign(min(abs(lot.left), abs(wanted)), wanted)
            lot.left -= amount
            wanted -= amount
            parts.append(GroupLeg(lot.position, amount))
    return parts, wanted


def _text(leg: NamedLeg) -> str:
    if leg.strike is None:
        return f"{leg.symbol} shares"
    return f"{leg.symbol} {leg.expiry} {leg.strike:g}{leg.right}"


def _with_cash(
    match: Match,
    legs: Sequence[GroupLeg],
    account: str,
    cash: dict[str, float],
    rate_of: Callable[[str], float | None],
) -> str:
    leg = legs[0]
    rate = rate_of(leg.position.currency)
    if leg.position.is_on_future or rate is None:
        return match.strategy
    if match.strategy != "short_put" or leg.position.strike is None:
        return match.strategy
    needed = abs(leg.quantity) * leg.position.strike * leg.position.multiplier * rate
    if needed > cash.get(account, 0.0):
        return match.strategy
    cash[account] -= needed
    return "cash_secured_put"
