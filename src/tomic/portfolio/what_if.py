"""
What if, of one structure: its P&L by price, volatility and day, by full revaluation.

The figures are those of the stress grid (`tomic.portfolio.stress.revalued`), for one structure and
at prices of its own: strikes, and standard deviations to its first expiry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from tomic._typing import FloatArray
from tomic.errors import DataError, UsageError
from tomic.models.book import Book
from tomic.models.review import StressGrid, Structure
from tomic.models.what_if import WhatIf, WhatIfRow
from tomic.portfolio import stress
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.grouping import UNPATTERNED, Claim, Shapes
from tomic.portfolio.overview import Holdings

MOST_DAYS = 3650
MOST_MOVE = 10.0
"""Fraction by which a price or a volatility may rise; neither falls by more than all of it."""
_WEEK, _FORTNIGHT = 7.0, 14.0
_SIGMAS = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
_YEAR = 365.0
_USUAL_SIGMA = 0.2
"""Of shares alone, for the prices that are shown."""
_LEAST_MOVE = 0.002
"""Prices nearer to each other than this share of the spot are one row, but for a strike."""


@dataclass(frozen=True, slots=True)
class HeldStructure:
    """A structure with the numbers of its legs."""

    structure: Structure
    rows: tuple[ExposureRow, ...]
    currency: str
    """Base currency."""

    @property
    def spot(self) -> float:
        """What moves: the price of the underlying, or its future."""
        return self.rows[0].line.underlying

    @property
    def to_expiry(self) -> float | None:
        """Calendar days to the first expiry, to the minute; None for shares only."""
        taus = [row.line.tau for row in self.rows if row.line.position.is_option]
        return min(taus) * _YEAR if taus else None


def subjects(
    book: Book, claims: Sequence[Claim], structures: Sequence[Structure], own: Shapes = UNPATTERNED
) -> tuple[HeldStructure, ...]:
    """
    Every structure of a review with its legs, in its order.

    Args:
        claims, own: Those that the review was made with.
        structures: Of that review.
    """
    holdings = Holdings.of(book, claims, own)
    legs = [tuple(part) for _, part in groupby(holdings.rows, key=lambda row: row.group)]
    return tuple(
        HeldStructure(structure, rows, book.currency)
        for structure, rows in zip(structures, legs, strict=True)
    )


def find(held: Iterable[HeldStructure], name: str) -> HeldStructure:
    """
    The structure that *name* means: its id, the number of its journal entry, or its symbol.

    Raises:
        UsageError: There is none, or several.
        DataError: One of its legs cannot be valued.
    """
    word, known = name.strip().upper(), list(held)
    entry = word.removeprefix("J").lstrip("-")
    found = (
        [each for each in known if each.structure.id.upper() == word]
        or [each for each in known if _is_entry(each, entry)]
        or [each for each in known if each.structure.symbol == word]
    )
    if len(found) != 1:
        which = [each.structure.id for each in found or known]
        said = ", ".join(which) or "nothing"
        why = f"{name} is {len(found)} structures" if found else f"no structure {name!r} is held"
        raise UsageError(f"{why}; there is {said}")
    (subject,) = found
    lacking = [row.line for row in subject.rows if not row.line.counted]
    if lacking:
        line = lacking[0]
        raise DataError(
            f"{subject.structure.id} cannot be valued: {line.position.contract}: {line.problem}"
        )
    return subject


def _is_entry(subject: HeldStructure, number: str) -> bool:
    return subject.structure.source == "journal" and subject.structure.link == number


def check(move: float, vol: float, days: int) -> None:
    """
    Refuse what cannot be.

    Raises:
        UsageError: The price or volatility falls by all of it or more, rises more than tenfold, or
            the days are negative or more than ten years.
    """
    for name, value in (("the price", move), ("volatility", vol)):
        if not -1.0 < value <= MOST_MOVE:
            raise UsageError(
                f"{name} cannot move by {100.0 * value:+.6g}%; it must be above -100% and at most "
                f"+{MOST_MOVE:.0%}"
            )
    if not 0 <= days <= MOST_DAYS:
        raise UsageError(f"{days} days: must be 0 to {MOST_DAYS}")


def what_if(
    subject: HeldStructure, *, move: float = 0.0, vol: float = 0.0, days: int = 0
) -> WhatIf:
    """
    The P&L of a structure over prices and days, and at one point of them.

    Args:
        move: Of the spot, fraction.
        vol: Relative change of every implied volatility.
        days: Calendar days to pass; what expires meanwhile is worth its payoff.

    Raises:
        UsageError: See `check`.
    """
    check(move, vol, days)
    horizons = _horizons(subject.to_expiry, days)
    named = _moves(subject, move)
    moves = np.array(list(named))
    cells = _revalued(subject, moves, vol, horizons)
    structure = subject.structure
    return WhatIf(
        id=structure.id,
        symbol=structure.symbol,
        strategy=structure.strategy,
        currency=subject.currency,
        spot=subject.spot,
        move=move,
        vol=vol,
        days=days,
        change=float(cells[list(named).index(move), horizons.index(float(days))]),
        pnl=structure.pnl,
        to_expiry=subject.to_expiry,
        horizons=horizons,
        rows=tuple(
            WhatIfRow(
                move=one, price=subject.spot * (1.0 + one), name=name, change=tuple(row.tolist())
            )
            for (one, name), row in zip(named.items(), cells, strict=True)
        ),
        notes=tuple(_notes(subject, days)),
    )


def grid(
    subject: HeldStructure, moves: Sequence[float], vols: Sequence[float], days: Sequence[float]
) -> StressGrid | None:
    """P&L of a structure against now over these moves; None where a leg cannot be valued."""
    if not all(row.line.counted for row in subject.rows):
        return None
    axes = stress.Axes(np.array(moves), np.array(vols), np.array(days))
    (cells,) = stress.revalued(subject.rows, [0] * len(subject.rows), axes)
    if not np.isfinite(cells).all():
        return None
    return stress.grid_of(subject.structure.id, cells, axes)


def _revalued(
    subject: HeldStructure, moves: FloatArray, vol: float, horizons: Sequence[float]
) -> FloatArray:
    """Change against now, (moves, days)."""
    axes = stress.Axes(moves, np.array([vol]), np.array(horizons))
    (cells,) = stress.revalued(subject.rows, [0] * len(subject.rows), axes)
    if not np.isfinite(cells).all():
        raise DataError(f"{subject.structure.id} cannot be valued: a figure of its legs is missing")
    change: FloatArray = cells[:, 0, :]
    return change


def _horizons(to_expiry: float | None, days: int) -> tuple[float, ...]:
    last = math.inf if to_expiry is None else to_expiry
    usual = {day for day in (0.0, _WEEK, _FORTNIGHT) if day < last}
    end = set() if to_expiry is None else {to_expiry}
    return tuple(sorted({*usual, *end, float(days)}))


def _moves(subject: HeldStructure, asked: float) -> dict[float, str]:
    """Moves of the spot to show, ascending, each with what it is."""
    spot, names = subject.spot, {0.0: "spot"}
    strikes = {
        f"{row.line.strike:g}{row.line.position.right}": row.line.strike / spot - 1.0
        for row in subject.rows
        if row.line.position.is_option
    }
    sigma = subject.structure.iv or _USUAL_SIGMA
    days = max(subject.to_expiry or 0.0, _WEEK)
    step = sigma * math.sqrt(days / _YEAR)
    low, high = max(_SIGMAS[0] * step, -0.95), _SIGMAS[-1] * step
    for name, move in strikes.items():
        if low <= move <= high:
            names[move] = f"{names[move]}, {name}" if move in names else name
    for count in _SIGMAS:
        near = min(abs(count * step - move) for move in names)
        if count and count * step > -0.95 and near >= _LEAST_MOVE:
            names[count * step] = f"{count:+g}σ"
    if asked:
        names[asked] = f"{names[asked]}, asked" if asked in names else "asked"
    return dict(sorted(names.items()))


def _notes(subject: HeldStructure, days: int) -> Iterable[str]:
    left = subject.to_expiry
    if left is not None and days > left:
        yield (
            f"its first expiry is in {left:.0f} days: what expires is worth its payoff at the "
            "price of the row"
        )
    stand_ins = sorted(
        {
            row.line.position.contract
            for row in subject.rows
            if row.line.sigma_source not in ("own", "none")
        }
    )
    if stand_ins:
        yield f"another volatility stands in for that of {', '.join(stand_ins)}"
