"""Trades as text: read in any of the three ways, and written in one."""

from __future__ import annotations

from collections.abc import Iterable

from tomic.errors import UsageError
from tomic.legs.by_leg import read_listed
from tomic.legs.by_strategy import read_strategy
from tomic.legs.leg import NamedLeg, NamedTrade
from tomic.legs.shapes import STRATEGIES
from tomic.legs.words import split_parts, split_words, strategy_name


def parse(text: str, symbol: str | None = None) -> tuple[NamedLeg, ...]:
    """
    Read the legs of one trade; *symbol* is that of legs which name none.

    Raises:
        UsageError: A word cannot be read, or a sign, strike, expiry or symbol is missing; the
            message says which and how to write it.
    """
    return read(text, symbol).legs


def read(text: str, symbol: str | None = None) -> NamedTrade:
    """
    Read one trade: as `parse`, with the strategy that the text names.

    Raises:
        UsageError: See `parse`.
    """
    words = split_words(text)
    if not words:
        raise UsageError('no legs; write them as in "-1 SPY 2026-12-18 580P, +1 570P"')
    found: list[NamedLeg] = []
    plain: list[str] = []
    names: list[str] = []
    for part in split_parts(words):
        named = next((word for word in part if strategy_name(word) in STRATEGIES), None)
        if named is None:
            plain += [*part, ","]
            continue
        names.append(strategy_name(named))
        rest = [word for word in part if word != named]
        found += read_strategy(names[-1], rest, symbol)
    if plain:
        found += read_listed(plain[:-1], symbol or (found[0].symbol if found else None))
    return NamedTrade(tuple(found), names[0] if len(names) == 1 and not plain else None)


def write(legs: Iterable[NamedLeg]) -> str:
    """Legs as text that `parse` reads back."""
    return ", ".join(_written(leg) for leg in legs)


def _written(leg: NamedLeg) -> str:
    price = "" if leg.price is None else f" @{leg.price:g}"
    if leg.strike is None or leg.expiry is None:
        return f"{leg.quantity:+.10g} {leg.symbol} shares{price}"
    option = f"{leg.expiry.isoformat()} {leg.strike:.10g}{leg.right}"
    return f"{leg.quantity:+.10g} {leg.symbol} {option}{price}"
