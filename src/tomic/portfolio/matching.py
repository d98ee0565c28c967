"""
Which legs of one account and symbol form which strategies.

Works on lots, the bare numbers of positions. See `tomic.portfolio.grouping`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tomic.portfolio import patterns
from tomic.portfolio.patterns import Lot, Match


def match(lots: Sequence[Lot]) -> list[Match]:
    """
    Match everything that is left in *lots*; what fits nothing is a strategy of its own.

    Of the ways to go about it, the one that explains the book with the fewest structures wins, then
    the one in which the fewest of them are naked.
    """
    ordered = sorted((lot for lot in lots if lot.left), key=lambda lot: lot.place)
    best = _united(_matched(ordered, _PLANS[0]))
    for plan in _PLANS[1:]:
        if not _naked(best):
            break
        best = min(best, _united(_matched(ordered, plan)), key=_burden)
    return best


def _matched(ordered: Sequence[Lot], plan: Sequence[_Pass]) -> list[Match]:
    lots = [replace(lot) for lot in ordered]
    usable = [lot for lot in lots if lot.matchable]
    found: list[Match] = []
    for work in plan:
        work(usable, found)
    for lot in lots:
        if lot.left:
            found.append(Match(patterns.single(lot), ((lot.key, lot.left),)))
    return found


def _burden(matches: Sequence[Match]) -> tuple[int, int]:
    return (len(matches), _naked(matches))


def _naked(matches: Iterable[Match]) -> int:
    """Structures in which nothing covers a short option."""
    return sum(one.strategy in _NAKED for one in matches)


def _united(found: Iterable[Match]) -> list[Match]:
    """The same strategy on the same contracts is one match."""
    sums: dict[tuple[str, tuple[int, ...]], list[float]] = {}
    for one in found:
        parts = sorted(one.parts)
        name = (one.strategy, tuple(key for key, _ in parts))
        amounts = sums.setdefault(name, [0.0] * len(parts))
        for place, (_, amount) in enumerate(parts):
            amounts[place] += amount
    return [
        Match(strategy, tuple(zip(keys, amounts, strict=True)))
        for (strategy, keys), amounts in sums.items()
    ]


# -- the two passes ----------------------------------------------------------------------------


def _exact(lots: Sequence[Lot], found: list[Match]) -> None:
    """Strategies that use up all of each of their options, strangles before covered calls."""
    _whole(lots, found, shares_last=True)


def _exact_covered(lots: Sequence[Lot], found: list[Match]) -> None:
    """As `_exact`, but shares cover calls before those can be half of a strangle."""
    _whole(lots, found, shares_last=False)


def _whole(lots: Sequence[Lot], found: list[Match], *, shares_last: bool) -> None:
    """Largest quantities first: shares then cover what they can cover wholly."""
    sizes = sorted({lot.units for lot in lots if lot.right}, reverse=True)
    for size in sizes:
        equal = [lot for lot in lots if lot.right and lot.units == size]
        double = [lot for lot in lots if lot.right and lot.units == 2.0 * size]
        patterns.butterflies(equal, double, found)
        patterns.ratios(equal, double, found)
    for size in sizes:
        equal = [lot for lot in lots if lot.right and lot.units == size]
        stock = [lot for lot in lots if not lot.right and lot.units >= size]
        _build(equal, stock, found, shares_last=shares_last)


def _exact_spreads(lots: Sequence[Lot], found: list[Match]) -> None:
    """As `_exact`, but only what leaves no short option naked."""
    for size in sorted({lot.units for lot in lots if lot.right}, reverse=True):
        equal = [lot for lot in lots if lot.right and lot.units == size]
        double = [lot for lot in lots if lot.right and lot.units == 2.0 * size]
        patterns.butterflies(equal, double, found)
        _spreads([lot for lot in equal if lot.left], found)


def _partial(lots: Sequence[Lot], found: list[Match]) -> None:
    """Whatever number of contracts still fits together."""
    options = [lot for lot in lots if lot.right]
    stock = [lot for lot in lots if not lot.right]
    _build(options, stock, found)


def _build(
    options: Sequence[Lot],
    stock: Sequence[Lot],
    found: list[Match],
    *,
    shares_last: bool = False,
) -> None:
    """One pass from the larger strategies to the smaller."""
    options = [lot for lot in options if lot.left]
    _spreads(options, found, lizards=True)
    patterns.collars(options, stock, found)
    patterns.across_expiries(options, found)
    if shares_last:
        patterns.straddles(options, found)
        patterns.with_stock(options, stock, found)
    else:
        patterns.with_stock(options, stock, found)
        patterns.straddles(options, found)


def _spreads(options: Sequence[Lot], found: list[Match], *, lizards: bool = False) -> None:
    pairs = [
        pair for group in patterns.by_slot_and_right(options) for pair in patterns.verticals(group)
    ]
    patterns.condors(pairs, found)
    patterns.flies_of_pairs(pairs, found)
    if lizards:
        patterns.lizards(pairs, options, found)
    for pair in pairs:
        if pair.count:
            patterns.take(
                found, patterns.vertical_name(pair), (pair.long, 1.0), (pair.short, -1.0), pair=pair
            )


_Pass = Callable[[Sequence[Lot], list[Match]], None]
_PLANS: tuple[tuple[_Pass, ...], ...] = (
    (_exact, _partial),
    (_exact_covered, _partial),
    (_exact_spreads, _partial),
    (_partial,),
)
_NAKED = frozenset(
    {
        "jade_lizard",
        "ratio_spread",
        "short_call",
        "short_put",
        "short_straddle",
        "short_strangle",
    }
)
