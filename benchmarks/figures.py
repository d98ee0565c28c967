"""What a figure is: a median with its spread, a peer measured in turns with it, a stated limit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtr

Row = dict[str, Any]

ROUNDS = 5
REFERENCE_EXP_NS = 1.3
"""Nanoseconds an element of np.exp on the core that the absolute figures are asked for."""


@dataclass(frozen=True)
class Sample:
    """Repetitions of one measurement."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of them."""
        return statistics.median(self.values)

    def times(self, factor: float) -> Sample:
        """The same in another unit."""
        return Sample(tuple(value * factor for value in self.values))

    def fields(self, prefix: str = "") -> Row:
        """Median, least, most and number, for a row."""
        return {
            f"{prefix}median": self.median,
            f"{prefix}low": min(self.values),
            f"{prefix}high": max(self.values),
            f"{prefix}runs": len(self.values),
        }


@dataclass(frozen=True)
class Peer:
    """What a user would take instead, as measured in the same run; its version in the name."""

    name: str
    sample: Sample


@dataclass(frozen=True)
class Limit:
    """What no implementation can go beyond, in the unit of the figure."""

    what: str
    value: float


def figure(
    name: str,
    sample: Sample,
    unit: str,
    *,
    asked: str = "",
    peer: Peer | None = None,
    limit: Limit | None = None,
    more_is_better: bool = False,
    **further: Any,
) -> Row:
    """
    A row of the table. Ratios above 1 mean: faster than the peer, and that far from the limit.

    Args:
        asked: What an issue asks, if any does.
        more_is_better: The figure is a rate, not a time or a size.
        **further: Kept in the JSON.
    """
    row: Row = {"name": name, "asked": asked, "unit": unit, **sample.fields()}
    if peer is not None:
        ratio = peer.sample.median / sample.median
        row |= {"peer": peer.name, **peer.sample.fields("peer_")}
        row["ratio"] = 1.0 / ratio if more_is_better else ratio
    if limit is not None:
        distance = sample.median / limit.value if limit.value else float("nan")
        row |= {"limit": limit.what, "limit_value": limit.value}
        row["to_limit"] = 1.0 / distance if more_is_better else distance
    return row | further


def fact(name: str, measured: str, asked: str = "", **further: Any) -> Row:
    """A row that does not repeat: a count, an error, an answer."""
    return {"name": name, "asked": asked, "measured": measured, **further}


def in_turns(*works: Callable[[], float], rounds: int = ROUNDS) -> list[Sample]:
    """
    A sample of each work, one after the other in every round, so that all see the same machine.

    Args:
        *works: Each does its work once and returns what it measured.
    """
    found: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for values, work in zip(found, works, strict=True):
            values.append(work())
    return [Sample(tuple(values)) for values in found]


def clocked(
    work: Callable[[], object], *, number: int = 1, each: int = 1, scale: float = 1.0
) -> Callable[[], float]:
    """
    *work* as `in_turns` takes it: wall time of *number* calls.

    Args:
        each: Items in a call; the time is that of one.
        scale: From seconds to the unit wanted.
    """

    def once() -> float:
        began = time.perf_counter()
        for _ in range(number):
            work()
        return (time.perf_counter() - began) / (number * each) * scale

    return once


def burnt(work: Callable[[], object], *, scale: float = 1.0) -> Callable[[], float]:
    """*work* as `in_turns` takes it: processor time of a call."""

    def once() -> float:
        began = time.process_time()
        work()
        return (time.process_time() - began) * scale

    return once


# -- what the processor can do ----------------------------------------------------------------


@cache
def elementary_ns() -> dict[str, float]:
    """Nanoseconds an element of the functions that formulas are made of, best of twenty rounds."""
    x = np.linspace(0.1, 1.0, 2048)
    out = np.empty_like(x)
    functions: dict[str, Callable[[], object]] = {
        "exp": lambda: np.exp(x, out=out),
        "log": lambda: np.log(x, out=out),
        "sqrt": lambda: np.sqrt(x, out=out),
        "ndtr": lambda: ndtr(x, out=out),
        "multiply": lambda: np.multiply(x, x, out=out),
    }
    return {
        name: min(clocked(work, number=100, each=x.size, scale=1e9)() for _ in range(20))
        for name, work in functions.items()
    }


def elementary(what: str, *, scale: float = 1e-3, items: float = 1.0, **counts: float) -> Limit:
    """
    The time of the elementary functions alone that one item needs, by themselves in the cache.

    Args:
        what: Whose they are.
        scale: From nanoseconds to the unit wanted; microseconds by default.
        items: How many items the figure is of.
        **counts: How often each function is needed.
    """
    costs = elementary_ns()
    value = sum(costs[name] * count for name, count in counts.items()) * items * scale
    needed = ", ".join(f"{count:g} {name}" for name, count in counts.items())
    return Limit(f"{what}: {needed}", value)


PRICE = {"what": "the formula once", "log": 1, "sqrt": 1, "exp": 2, "ndtr": 2}
"""Elementary functions that one European price needs; no solver can do with fewer."""
GREEKS = {"what": "the formulas", "log": 1, "sqrt": 1, "exp": 3, "ndtr": 2}


def slower() -> float:
    """How much slower this core is than the one that absolute figures are asked for."""
    return max(1.0, elementary_ns()["exp"] / REFERENCE_EXP_NS)


def asked_here(value: float, unit: str, words: str = "", *, more_is_better: bool = False) -> str:
    """What is asked, and what that is on a core as slow as this one."""
    sign, here = (">=", value / slower()) if more_is_better else ("<=", value * slower())
    return f"{sign} {value:g} {unit} at exp {REFERENCE_EXP_NS} ns (here {here:.3g}){words}"


# -- tables -----------------------------------------------------------------------------------

HEADINGS = ("figure", "TOMIC", "asked", "peer", "its figure", "ratio", "limit", "x limit")


def cells(row: Row) -> tuple[str, ...]:
    """A row as texts under `HEADINGS`."""
    for key in ("failed", "skipped"):
        if key in row:
            return (row["name"], f"{key}: {row[key]}", *("",) * 6)
    ours = str(row["measured"]) if "measured" in row else spread(row)
    peer, limit = ("", "", ""), ("", "")
    if "peer" in row:
        peer = (row["peer"], spread(row, "peer_"), number(row["ratio"]))
    if "limit" in row:
        limit = (f"{row['limit']} = {number(row['limit_value'])}", number(row["to_limit"]))
    return (row["name"], ours, row.get("asked", ""), *peer, *limit)


def spread(row: Row, prefix: str = "") -> str:
    """Median and range, with the unit."""
    values = [number(row[f"{prefix}{key}"]) for key in ("median", "low", "high")]
    return f"{values[0]} [{values[1]}-{values[2]}] {row['unit']}"


def number(value: float) -> str:
    """Three digits, without exponents where people read."""
    if value == 0.0 or not np.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{digits}f}" if digits < 6 else f"{value:.2e}"


def aligned(rows: Sequence[Row]) -> str:
    """The rows as a table for a terminal."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table for a page."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, rows)]
    return "\n".join(
        "| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines
    )
