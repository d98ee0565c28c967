"""
The commands of the pages, run: against the demo, in a small world, in an order that makes sense.

A page says `tomic manage 31`; here there is an entry 1. What stands for what is in `STANDS_FOR`,
which codes are right besides 0 in `CODES`, and what takes long in `SLOW`, for `nox -s soak`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from support import made_surfaces
from support.clean_home import write
from support.command_line import TREE, Finished, run

WORLD = (
    '[chain]\nmonthlies = 1\nweeklies = 1\nstrike_range = "1%"\n'
    '[market]\nsymbols = ["SPY", "QQQ"]\n'
    '[scan]\nstrategies = ["short_put_spread"]\ntop = 3\nmethod = "thinned"\nmax_contracts = 40\n'
    "[backtest]\nwarm_up = 40\nprocesses = 1\nrandom_draws = 2\n"
    '[jobs.morning]\nrun = ["vol --stored", "journal list"]\n'
)
"""Settings of that world."""
STANDS_FOR = {
    "manage 31": "manage 1",
    "recorded.csv --as-of 2025-05-19T20:26": "spy.csv",
    "row-1f0c2a9b3d": "row-0000000000",
}
"""What is written in a page, and what is typed here instead."""
CODES = {
    "journal import --flex": 2,  # there is no token
    "notify test": 2,  # and no service
    "journal executions --ignore": 2,  # nor such a row
}
"""Commands that end with another code than 0, and with which."""
MAY_END = {
    # Holding, which may be the second best, has nothing to type.
    "manage 31 --pick 2 --ticket": {2},
    "journal check": {10},
    "portfolio": {3, 10},
    "vol": {3},
    "prices": {3},
}
"""Codes beside 0 that say something about the market, and not about the command."""
SLOW = ("manage  ", "manage --offline", "report day", "report portfolio")
"""Beginnings of lines that take seconds."""
ORDER = (
    *("config", "strategies", "explain", "doctor", "prices", "chain", "vol", "scan", "show"),
    *("why-not", "journal add SPY", "journal add", "journal list", "journal show", "journal check"),
    *("journal snapshot", "journal attribute", "journal note", "journal correct", "journal roll"),
    *("journal history", "journal link", "journal executions", "journal export", "journal import"),
    *("journal stats", "manage", "portfolio", "report", "backtest", "run", "notify", "store"),
    "journal close",
)
"""Commands in the order in which a user comes to them."""


def typed(line: str) -> list[str]:
    """The words of a line of a page as they are typed here, without ``tomic``."""
    for written, here in STANDS_FOR.items():
        line = line.replace(written, here)
    words = shlex.split(line, comments=True)[1:]
    known = {name for each in command_of(words).params for name in each.opts}
    if "--demo" in known and not {"--demo", "--replay"} & set(words):
        words.append("--demo")
    return words


def command_of(words: list[str]):
    """The command that *words* begin with."""
    command, rest = TREE, list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    return command


def in_order(lines: Iterable[str]) -> list[str]:
    """*lines* in the order of `ORDER`, alike ones as they come."""

    def place(line: str) -> int:
        bare = line.removeprefix("tomic ").replace('"', "")
        return next(n for n, start in enumerate(ORDER) if bare.startswith(start))

    return sorted(lines, key=place)


def is_slow(line: str) -> bool:
    """Whether it takes seconds."""
    return line.removeprefix("tomic ").startswith(SLOW)


def make_world() -> None:
    """The settings and files that the pages speak of, in this folder."""
    write("tomic.toml", WORLD)
    write("other.toml", WORLD + "[score.weights]\npos = 0.4\nev = 0.6\n")
    write("symbols.txt", "SPY\n")
    write("surface.csv", surface())
    chain = run("chain", "SPY", "--demo", "--dte", "15", "--format", "csv", "-q")
    write("spy.csv", chain.stdout)
    run("prices", "--demo", "-q")
    run("scan", "--demo", "-q")
    run("journal", "add", "SPY short_put_spread 560/550 2026-12-18", "--price", "1.10", "--demo")
    run("journal", "export", "--out", "journal.json", "--demo")


def surface() -> str:
    """A year of daily surfaces of two symbols, as `tomic backtest` reads them."""
    names = "symbol,date,close,atm_iv,skew,term_m1_m2"
    table = made_surfaces.rows(("SPY", "QQQ"), 120, first="2022-01-03")
    lines = (",".join(map(str, cells)) for cells in zip(*table, strict=True))
    return "\n".join((names, *lines)) + "\n"


def ended(line: str, result: Finished) -> str:
    """What is wrong with how *line* ended; nothing where it ended as it should."""
    bare = line.removeprefix("tomic ")
    right = next((code for start, code in CODES.items() if bare.startswith(start)), 0)
    also = next((codes for start, codes in MAY_END.items() if bare.startswith(start)), set())
    if result.exit_code == right or (right == 0 and result.exit_code in also):
        return ""
    last = "".join(result.stderr.splitlines()[-1:])
    return f"{line}: {result.exit_code}, {last}"


def problems(lines: Iterable[str]) -> Iterator[str]:
    """Run *lines* in a world of their own; say which end otherwise than they should."""
    make_world()
    once = {tuple(typed(line)): line for line in lines}
    for line in in_order(once.values()):
        if said := ended(line, run(*typed(line))):
            yield said
