"""
Every metric that the program shows: definition, unit, formula, source, caveat, worked example.

`find` looks one up by name, alias or the title of its column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType

from tomic.errors import UsageError
from tomic.figures import book, chain, trades, volatility
from tomic.figures.figure import Definition

__all__ = ["ALL", "Definition", "find"]

_GROUPS = (chain.DEFINITIONS, volatility.DEFINITIONS, trades.DEFINITIONS, book.DEFINITIONS)

ALL: Mapping[str, Definition] = MappingProxyType(
    {one.name: one for group in _GROUPS for one in group}
)
"""Definitions by name: chain, volatility, trades, book and journal."""


def plain(text: str) -> str:
    """*text* without what people write in different ways: case, blanks, hyphens, slashes."""
    return re.sub(r"[\s_/-]", "", text).lower()


_BY_ALIAS = {plain(alias): one for one in ALL.values() for alias in (one.name, *one.aliases)}


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
    names = dict.fromkeys(_BY_ALIAS[one].name for one in near)
    hint = f"did you mean {' or '.join(names)}?" if near else "tomic explain lists all of them"
    raise UsageError(f"no metric called {text!r}; {hint}")
