"""Legs from the name of a strategy with its strikes and expiries."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from tomic.errors import UsageError
from tomic.legs.leg import SHARES_PER_CONTRACT, NamedLeg, Right
from tomic.legs.shapes import SHAPES, TWO_EXPIRIES
from tomic.legs.words import DAY, TIMES, day_of, symbol_of

_STRIKES = re.compile(r"\d+(?:\.\d+)?[CP]?(?:/\d+(?:\.\d+)?[CP]?)*", re.ASCII)


def read_strategy(strategy: str, words: Sequence[str], symbol: str | None) -> tuple[NamedLeg, ...]:
    """
    Read the legs of *strategy* from the other words of its part; *symbol* if they name none.

    Raises:
        UsageError: A word cannot be read, or strikes, expiries or the symbol do not fit.
    """
    strikes: list[float] = []
    letters: set[str] = set()
    days: list[dt.date] = []
    count = 1
    for word in words:
        if _are_days(word):
            days += [day_of(one) for one in word.split("/")]
        elif (times := TIMES.fullmatch(word)) is not None:
            count = int(times[1] or times[2])
        elif _STRIKES.fullmatch(word):
            for one in word.split("/"):
                letters |= set(one) & {"C", "P"}
                strikes.append(float(one.rstrip("CP")))
        elif word in ("CALL", "CALLS", "PUT", "PUTS"):
            letters.add(word[0])
        else:
            symbol = symbol_of(word)
    if symbol is None:
        raise UsageError(f"{strategy}: name the symbol, as in SPY {strategy} …")
    if count == 0:
        raise UsageError(f"{strategy}: x0 is no trade")
    if strategy in TWO_EXPIRIES:
        return _over_two(strategy, symbol, strikes, letters, days, count)
    return _shaped(strategy, symbol, strikes, letters, days, count)


def _shaped(
    strategy: str,
    symbol: str,
    strikes: Sequence[float],
    letters: set[str],
    days: Sequence[dt.date],
    count: int,
) -> tuple[NamedLeg, ...]:
    shape = SHAPES[strategy]
    levels = sorted(set(strikes))
    needed = max(part.place for part in shape.parts) + 1
    if len(levels) != needed:
        raise UsageError(
            f"{strategy} needs {needed} different strikes joined by /, got {len(levels)}"
        )
    if len(set(days)) != 1:
        raise UsageError(f"{strategy} needs one expiry such as 2026-12-18, got {len(days)}")
    right = _letter(strategy, letters, any(part.right == "?" for part in shape.parts))
    if shape.mirror and right == "P":
        levels.reverse()
    stock = [NamedLeg(symbol, shape.lots * SHARES_PER_CONTRACT * count)] if shape.lots else []
    options = [
        NamedLeg(
            symbol,
            float(part.amount * count),
            right if part.right == "?" else part.right,
            levels[part.place],
            days[0],
        )
        for part in shape.parts
    ]
    return (*stock, *options)


def _over_two(
    strategy: str,
    symbol: str,
    strikes: Sequence[float],
    letters: set[str],
    days: Sequence[dt.date],
    count: int,
) -> tuple[NamedLeg, ...]:
    """Short the near expiry, long the far one; a diagonal's strikes stand in that order."""
    if len(set(days)) != 2:
        raise UsageError(f"{strategy} needs two expiries such as 2026-11-20/2026-12-18")
    wanted = 1 if strategy == "calendar" else 2
    if len(set(strikes)) != wanted:
        raise UsageError(f"{strategy} needs {wanted} different strikes, got {len(set(strikes))}")
    right = _letter(strategy, letters, True)
    near_first = days[0] < days[-1]
    near, far = (strikes[0], strikes[-1]) if near_first else (strikes[-1], strikes[0])
    return (
        NamedLeg(symbol, -float(count), right, near, min(days)),
        NamedLeg(symbol, float(count), right, far, max(days)),
    )


def _letter(strategy: str, letters: set[str], needed: bool) -> Right:
    if not needed:
        return ""
    if letters == {"C"}:
        return "C"
    if letters == {"P"}:
        return "P"
    raise UsageError(f"{strategy}: say calls or puts behind the strikes, as in 560/550P")


def _are_days(word: str) -> bool:
    return all(DAY.fullmatch(one) for one in word.split("/"))
