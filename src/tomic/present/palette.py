"""
Colours by meaning: what gains, what loses, what warns, what matters less. The only place of them.

A colour never says anything alone: a loss has its minus, a warning its word. Whether there are
colours is up to the screen that text goes to (`tomic.cli.screen`), so that no function hands that
on: outside `on` everything is plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Tone(StrEnum):
    """What a piece of text means, and how a terminal shows it (SGR, ECMA-48)."""

    TITLE = "1"
    GAIN = "32"
    LOSS = "31"
    WARNING = "33"
    MUTED = "2"


class Toned(str):
    """A text with a meaning: as long as the text, so that columns can be measured."""

    tone: Tone

    def __new__(cls, text: str, tone: Tone) -> Toned:
        toned = super().__new__(cls, text)
        toned.tone = tone
        return toned


_SGR = re.compile(r"\x1b\[[\d;]*m")
_ON: ContextVar[bool] = ContextVar("tomic.colours", default=False)


@contextmanager
def on(wanted: bool = True) -> Iterator[None]:
    """Inside, text is painted if *wanted*; tasks and threads that begin there paint too."""
    token = _ON.set(wanted)
    try:
        yield
    finally:
        _ON.reset(token)


def painted(text: str, tone: Tone) -> str:
    """*text* in its colour, or as it is where there are none."""
    return f"\x1b[{tone.value}m{text}\x1b[0m" if text and _ON.get() else text


def by_sign(text: str) -> str:
    """A signed number as gain or loss; what is nothing, or no number, stays plain."""
    if text.startswith("+"):
        return Toned(text, Tone.GAIN)
    return Toned(text, Tone.LOSS) if text[:1] == "-" and text[1:2].isdigit() else text


def plain(text: str) -> str:
    """*text* without any colour."""
    return _SGR.sub("", text)
