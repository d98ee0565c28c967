"""
Random command lines, made from the program's own tree of commands.

Commands and options are found by looking, so that a new one is tried without a word here. Only
`PLAUSIBLE` knows names: sensible values, without which most lines would end at the first check.
"""

from __future__ import annotations

import datetime as dt
import enum
import random
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any

import typer.main
from benchmarks.fuzz.cases import Case, Command, Conditions

KIND = "command lines"
_OWN_PROCESS_EVERY = 101
"""One line in so many is started as people do, with the interpreter's own start."""
_DEMO_SHARE = 0.2
"""Of the lines that can: with a market they take ten times as long as without one."""
_SERVES_S = 0.8
"""Seconds after which a command that serves for ever gets Ctrl-C."""
SERVERS = frozenset({"gateway", "panel"})

NUMBERS = (
    "0", "-1", "1", "-0.0", "0.5", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "1e5",
    "9" * 30, "9223372036854775808", "-9223372036854775809", "2147483648", "0x10", "1_000",
    "\u0663", "", " ", "1,5", "1.5.5", "--5", "+1", "1/2", "½", "1e", "None", "true", "65536",
    "100000000", "1" * 5000,
)  # fmt: skip
MOMENTS = (
    "0001-01-01", "9999-12-31", "9999-12-31T23:59:59", "2026-02-30", "99999-01-01", "-1", "",
    "2026-11-20T25:61", "2026-11-20T15:00+99:00", "2026-11-20T15:00+14:00", "20261120", "now",
    "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-12:00", "1970-01-01", "2038-01-19T03:14:08",
    "2026-03-08T02:30", "2026-W47-5", "2026-11-20T15:00:00.123456789", "12/18/2026", "tomorrow",
    "2026-11-20", "2026-11-20T15:00", "2026-11-02T10:00", "2025-05-19T16:00",
)  # fmt: skip
TEXTS = (
    "", " ", ",", ",,", "SPY,", ",SPY", "-", "--", "-x", "a b", "\t", "\n", "\r", "é", "ß",
    "\u0130", "💥", "\u202e", "\ufeff", "\x1b[31mred", "\x1b]0;pwn\x07", "\x7f", "\udcff",
    "\udce9t\udce9", "[/red]", "[bold]", "%s%n", "{0}", "{date}", "$HOME", "`id`", "'", '"', "\\",
    "*", "?", "=", "a=b", "=1", "a=", "x=nan", "../../etc/passwd", "'; DROP TABLE entries;--",
    "null", "None", "CON", "NUL", "=cmd|'/c calc'!A0", "a" * 300, "A" * 13, "x" * 100_000,
    "SPY " * 200, "0", "-1", "1e999", "nan", "\u2028", "all", "/", "1:2:3", ":", "5:", ":5",
    "60:15", "-.5:2",
)  # fmt: skip
PATHS = (
    "", " ", ".", "..", "folder", "data", "missing", "missing/x", "a" * 300, "x/" * 900 + "x", "~",
    "~nobody/x", "tomic.toml", "tomic.toml/x", "unreadable.txt", "unreadable.txt/x", "u.txt",
    "chain.csv", "chain.json", "book.json", "session.jsonl", "session.jsonl.gz", "flex.csv",
    "activity.csv", "own.json", "original.json", "original.db", "earnings.csv", "dividends.csv",
    "sectors.csv", "pins.json", "data/volatility.db", "data/demo.db", "link.csv", "loop",
    "dangling", "device", "fifo", "copy.db", "new.html", "new/er/file.json", "closed/x", "closed",
    "é\u0301.csv",
    "\udcff.csv", "a\nb.csv", "-", "--", "new", "file:///etc/passwd", "data/demo.db.prices.lock",
)  # fmt: skip
OUTSIDE = ("/", "/dev/null", "/dev/full", "/dev/stdin", "/proc/self/environ", "/etc", "/nowhere/x")
"""Paths that only a process without privileges may be given."""
HOSTS = (
    "", " ", "127.0.0.1", "::1", "[::1]", "localhost", "no.such.host.invalid",
    "a" * 64 + ".invalid", "..", ".invalid", "é.invalid", "127.0.0.1\n", "\udcff", "127.0.0.1:7497",
    "x" * 300,
)  # fmt: skip
"""Never a name that somebody has: no machine but this one is asked."""
_PORTS = ("1", "0", "-1", "65535", "65536", "1e3", "", "x", "9" * 30)
"""Never one that TWS may listen on."""
_TIMEOUTS = ("0.1", "1", "3", "0", "-1", "nan", "inf", "1e308", "1e-9", "", "x")

_LEGS = (
    "short_put_spread SPY 560/550 2026-12-18", "short_put SPY 560 2026-12-18",
    "-1 SPY 2026-12-18 560P", "-1 SPY 2026-12-18 560P, +1 SPY 2026-12-18 550P",
    "iron_condor SPY 550/560/620/630 2026-12-18", "-1 SPY 2026-12-18 620C, +100 SPY",
    "short_strangle SPY 560/620 2026-12-18", "calendar SPY 590 2026-12-18/2027-01-15",
    "-1 SPY 2026-12-18 1e308P", "-99999999999 SPY 2026-12-18 560P", "+0 SPY 2026-12-18 560P",
    "short_put SPY 0 2026-12-18", "short_put SPY nan 2026-12-18", "short_put SPY 560 0001-01-01",
    "short_put_spread SPY 550/550 2026-12-18", "-1 SPY 2020-01-17 300P", "SPY261218P00560000",
)  # fmt: skip
PLAUSIBLE: dict[str, tuple[str, ...]] = {
    "symbol": ("SPY", "QQQ", "spy", "BRK.B", "SPX", "VIX", "NOSUCH"),
    "symbols": ("SPY", "QQQ", "spy", "XLF", "SPX", "NOSUCH", "SPY,QQQ"),
    "legs": _LEGS, "trade": _LEGS, "with_": _LEGS,
    "entry": ("1", "2", "3", "99"), "entries": ("1", "2", "3", "99"), "continues": ("1", "3"),
    "key": (
        "chain.min_dte", "ib.port", "store.path", "market.symbols", "scan.max_loss", "web.enabled",
        "score.weights.pos", "jobs.morning.run", "portfolio.pins", "strategies.iron_condor.dte",
        "log.level", "export.dir",
    ),
    "value": ("20", "none", "true", "[1, 2]", "x", "SPY,QQQ", "0.5", "data/other.db"),
    "metric": ("delta", "pos", "iv_rank", "ev", "margin"),
    "name": ("iron_condor", "short_put", "morning", "odd"),
    "strategy": ("iron_condor", "short_put", "short_put_spread", "short_strangle", "calendar"),
    "strike_range": ("3", "2%", "1s"), "delta": ("-0.8:0.8", ":0.5"), "dte": ("15", "15:60"),
    "rule": ("stop=2.5", "min_dte=none", "profit_target=0.5", "spot_below=nan", "stop=1e400"),
    "price": ("1.5", "0.4", "2.35,1.10", "-1.5", "1e308"),
    "leg": ("560P=1.2", "550P=0.4"), "position": ("1", "560P=712345"), "to": ("2027-01-15",),
    "strikes": ("555/545", "560/550"), "assigned": ("560P",), "spot": ("550", "600"),
    "sets": ("plan=x", "strategy=short_put", "symbol=QQQ", "quantity=2", "tags=a,b"),
    "fault": ("silent:share=0.5", "no_greeks", "drop_after:messages=9"), "status": ("open", "all"),
    "by": ("strategy", "symbol", "expiry", "month", "grade"), "form": ("json", "csv", "fills"),
    "expiries": ("selected", "all"), "side": ("both", "calls", "puts"), "score": ("original",),
    "execution": ("0001.1", "none"), "trading_class": ("SPY", "SPXW"),
}  # fmt: skip
"""By name of the parameter: values that lead on."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option or argument as the program declares it."""

    name: str
    flag: str
    """How it is typed; empty for an argument."""
    type: str
    """``switch``, ``number``, ``path``, ``moment``, ``choice`` or ``text``."""
    choices: tuple[str, ...] = ()
    required: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class CommandForm:
    """A command as the program declares it."""

    words: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def has_demo(self) -> bool:
        return any(one.flag == "--demo" for one in self.parameters)


@cache
def tree() -> tuple[CommandForm, ...]:
    """Every command of the program with everything it can be given."""
    from tomic.cli.app import app

    return tuple(sorted(_walk(typer.main.get_command(app), ()), key=lambda one: one.words))


def _walk(group: Any, above: tuple[str, ...]) -> Iterator[CommandForm]:
    for name, command in group.commands.items():
        words = (*above, name)
        if hasattr(command, "commands"):
            yield from _walk(command, words)
            if not getattr(command, "invoke_without_command", False):
                continue
        given = [one for one in command.params if one.name != "help"]
        yield CommandForm(words, tuple(_parameter(one) for one in given))


def _parameter(declared: Any) -> Parameter:
    is_argument = declared.param_type_name == "argument"
    form, choices = _type(declared)
    return Parameter(
        name=declared.name,
        flag="" if is_argument else max(declared.opts, key=len),
        type=form,
        choices=choices,
        required=declared.required,
        multiple=bool(getattr(declared, "multiple", False)) or declared.nargs == -1,
    )


def _type(declared: Any) -> tuple[str, tuple[str, ...]]:
    if getattr(declared, "is_flag", False) or getattr(declared, "count", False):
        return "switch", ()
    described = getattr(declared, "type_descriptor", None)
    if described is None:  # versions of typer that say types as click does, by a name
        if choices := tuple(map(str, getattr(declared.type, "choices", ()))):
            return "choice", choices
        named = declared.type.name
        return next((form for sign, form in _CLICK.items() if sign in named), "text"), ()
    plain = _plain(described.annotation)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return "choice", tuple(str(one.value) for one in plain)
    return _NAMES.get(plain, "text"), ()


_NAMES: dict[Any, str] = {
    int: "number", float: "number", Path: "path", dt.datetime: "moment", dt.date: "moment",
}  # fmt: skip


_CLICK = {
    "integer": "number", "float": "number", "entry": "number", "path": "path", "file": "path",
    "directory": "path", "moment": "moment", "expiry": "moment",
}  # fmt: skip


def _plain(annotation: Any) -> Any:
    """The type inside ``Annotated``, ``| None`` and ``list``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated or origin in (list, tuple):
        return _plain(typing.get_args(annotation)[0])
    if origin in (UnionType, typing.Union):
        return _plain(next(one for one in typing.get_args(annotation) if one is not type(None)))
    return annotation


def case(seed: int, number: int, proposals: Sequence[str]) -> Case:
    """Case *number* of *seed*: commands in turn, everything else drawn."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    forms = tree()
    form = forms[number % len(forms)]
    own_process = number % _OWN_PROCESS_EVERY == 0
    words = command_line(form, draw, proposals, inside=own_process)
    if form.words == ("record",) and draw.random() < 0.8:
        other = draw.choice([one for one in forms if one.words[0] not in SERVERS])
        words = [*words[:2], *command_line(other, draw, proposals, inside=own_process)]
    serves = SERVERS & {form.words[0]} or SERVERS & set(words)
    # Python itself, before a line of ours, answers Ctrl-C with a traceback.
    wait = 5.0 * _SERVES_S if own_process else _SERVES_S
    return Case(
        kind=KIND,
        name=f"{seed}/{KIND}/{number}",
        commands=(Command(tuple(words), interrupt_after_s=wait if serves else None),),
        own_process=own_process,
        conditions=Conditions(modes={"unreadable.txt": 0, "folder": 0}),
    )


def command_line(
    form: CommandForm, draw: random.Random, proposals: Sequence[str], *, inside: bool = False
) -> list[str]:
    """A command with a few of its options; *inside* keeps paths within the folder."""
    hostile = draw.choice((0, 1, 1, 1, 2, 3))
    chosen = [one for one in form.parameters if one.required]
    optional = [one for one in form.parameters if not one.required and one.flag != "--demo"]
    chosen += draw.sample(optional, min(len(optional), draw.choice((0, 1, 1, 2, 2, 3, 5))))
    odd = set(draw.sample(range(len(chosen)), min(len(chosen), hostile)))
    options: list[str] = []
    arguments: list[str] = []
    for place, parameter in enumerate(chosen):
        for _ in range(draw.choice((1, 1, 2, 3)) if parameter.multiple else 1):
            value = _value(parameter, draw, proposals, hostile=place in odd, inside=inside)
            if parameter.type == "switch":
                options.append(parameter.flag)
            elif parameter.flag:
                options += [parameter.flag, value]
            else:
                arguments.append(value)
    if form.has_demo and draw.random() < _DEMO_SHARE:
        options.append("--demo")
    if form.words == ("gateway",) and draw.random() < 0.8:
        options.append("--instant")
    return [*form.words, *arguments, *options]


def _value(
    parameter: Parameter,
    draw: random.Random,
    proposals: Sequence[str],
    *,
    hostile: bool,
    inside: bool,
) -> str:
    safe: dict[str, tuple[str, ...]] = {"host": HOSTS, "port": _PORTS, "timeout": _TIMEOUTS}
    if parameter.name in safe:
        return draw.choice(safe[parameter.name])
    plausible = PLAUSIBLE.get(parameter.name, ())
    if parameter.name in ("proposal", "from_", "from_id"):
        plausible = tuple(proposals) or ("none",)
    outside = () if inside else OUTSIDE
    pool: tuple[str, ...] = {
        "number": NUMBERS,
        "path": (*PATHS, *outside),
        "moment": MOMENTS,
        "choice": (*parameter.choices, *TEXTS),
        "text": (*TEXTS, *NUMBERS, *MOMENTS),
    }.get(parameter.type, TEXTS)
    if hostile:
        # A word that means something elsewhere is odd as well, and goes deeper than nonsense.
        if draw.random() < 0.2:
            return draw.choice(draw.choice(list(PLAUSIBLE.values())))
        return draw.choice(pool)
    if plausible:
        return draw.choice(plausible)
    sensible: tuple[str, ...] = {
        "number": ("1", "2", "5", "20", "100", "0.5"),
        "path": ("tomic.toml", "chain.csv", "u.txt", "new.json", "book.json", "flex.csv", "new"),
        "moment": MOMENTS[-4:],
        "choice": parameter.choices,
    }.get(parameter.type, ("x", "1", "SPY"))
    return draw.choice(sensible or ("x",))
