"""Cases of files too large, too deep or no files at all, in the place of each that is read."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from functools import cache

from benchmarks.fuzz import files
from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.specimens import SPECIMENS

KIND = "sizes"
_LINKS = ("fifo", "device", "/dev/zero", "/dev/full", "/dev/tty", "/proc/self/mem", "folder")
_DEEP = 200_000


def count() -> int:
    """How many there are."""
    return len(SPECIMENS) * (len(_LINKS) + len(_CONTENTS))


def case(seed: int, number: int, proposals: list[str]) -> Case:
    """Case *number* of *seed*: every kind of file as everything that it must not be."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    specimen = SPECIMENS[number % len(SPECIMENS)]
    turn = number // len(SPECIMENS) % (len(_LINKS) + len(_CONTENTS))
    made = {}
    links = {}
    if turn < len(_LINKS):
        depth = specimen.path.count("/")
        goal = _LINKS[turn]
        links = {specimen.path: goal if goal.startswith("/") else "../" * depth + goal}
        how = f"a link to {goal}"
    else:
        how = sorted(_CONTENTS)[turn - len(_LINKS)]
        packed = specimen.path.endswith(".gz") and how != "a bomb"
        made = {specimen.path: _content(how, packed)}
    commands = files.commands(specimen, draw.choice(specimen.readers), proposals)
    return Case(KIND, f"{specimen.kind}: {how}", commands[:1], made, links)


_CONTENTS: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: gzip.compress(bytes(200 << 20), 1),
    "deep JSON": lambda: b"[" * _DEEP + b"]" * _DEEP,
    "deep objects": lambda: b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "deep TOML": lambda: b"a = " + b"[" * _DEEP + b"]" * _DEEP + b"\n",
    "dotted TOML": lambda: b".".join([b"a"] * _DEEP) + b" = 1\n",
    "deep XML": lambda: b"<FlexQueryResponse>" + b"<a>" * _DEEP,
    "seventy MB": lambda: b"x" * (70 << 20),
    "commas": lambda: b"," * (8 << 20),
    "lines": lambda: b"SPY,1\n" * (2 << 20),
    "digits": lambda: b"9" * (1 << 20),
    "zeros": lambda: bytes(66 << 20),
}


@cache
def _content(how: str, packed: bool) -> bytes:
    content = _CONTENTS[how]()
    return gzip.compress(content, 1) if packed else content
