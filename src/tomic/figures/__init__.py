"""
Every figure that the program shows: title, unit, decimals, definition, caveat, worked example.

`find` looks one up by name, alias or the heading of its column; tables take theirs from `columns`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from tomic.errors import UsageError
from tomic.figures import book, chain, trades, volatility
from tomic.figures.figure import Definition, Figure

__all__ = ["ALL", "Definition", "Figure", "columns", "find"]

_GROUPS = (chain.DEFINITIONS, volatility.DEFINITIONS, trades.DEFINITIONS, book.DEFINITIONS)

ALL: Mapping[str, Definition] = MappingProxyType(
    {definition.name: definition for group in _GROUPS for definition in group}
)
"""Definitions by name: chain, volatility, trades, book and journal."""


_PLAIN = (
    Figure(name="spot", title="price of the underlying", unit="currency per share", label="spot"),
    Figure(name="close", title="closing price", unit="currency per share", label="close"),
    Figure(name="bid", title="bid", unit="currency per share"),
    Figure(name="ask", title="ask", unit="currency per share"),
    Figure(name="open_interest", title="open interest", unit="contracts", short="OI", decimals=0),
    Figure(name="volume", title="volume", unit="contracts of today", short="vol", decimals=0),
    Figure(
        name="iv_days",
        title="days of IV behind rank and percentile",
        unit="trading days",
        label="days",
        short="n",
        decimals=0,
    ),
)
"""What the market says by itself; nothing is computed, so there is nothing to explain."""

_VARIANTS = {
    **{f"hv{days}": ("hv", f"HV{days}") for days in (20, 30, 60, 90, 252)},
    "chain_iv30": ("iv30", "own IV30"),
    "rom_30d": ("rom", "ROM/30d"),
}
"""Fields that share a definition: its name, and their own heading."""

_COLUMNS: Mapping[str, Figure] = {
    **ALL,
    **{figure.name: figure for figure in _PLAIN},
    **{
        field: replace(ALL[name], name=field, label=label, short="")
        for field, (name, label) in _VARIANTS.items()
    },
}


def columns(fields: str) -> tuple[Figure, ...]:
    """
    How the fields named in *fields*, apart by blanks, are headed and written.

    Raises:
        KeyError: One of them is described nowhere.
    """
    return tuple(_COLUMNS[field] for field in fields.split())


def plain(text: str) -> str:
    """*text* without what people write in different ways: case, blanks, hyphens, slashes."""
    return re.sub(r"[\s_/-]", "", text).lower()


_BY_ALIAS = {
    plain(alias): definition
    for definition in ALL.values()
    for alias in (definition.name, *definition.aliases)
}


def find(text: str) -> Definition:
    """
    The definition called *text*, whatever its case; ``IV rank`` and ``iv-rank`` are ``iv_rank``.

    Raises:
        UsageError: No such metric; the message suggests similar ones.
    """
    wanted = plain(text)
    if wanted in _BY_ALIAS:
        return _BY_ALIAS[wanted]
    near = difflib.get_close_matches(wanted, _BY_ALIAS, n=3, cutoff=0.5)
    names = dict.fromkeys(_BY_ALIAS[alias].name for alias in near)
    hint = f"did you mean {' or '.join(names)}?" if near else "tomic explain lists all of them"
    raise UsageError(f"no metric called {text!r}; {hint}")
