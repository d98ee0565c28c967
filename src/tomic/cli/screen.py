"""
What the stream of the result can show: how wide it is, and whether it has colours.

``COLUMNS`` says how wide where nobody can be asked. ``NO_COLOR`` (https://no-color.org) takes the
colours away, ``FORCE_COLOR`` (https://force-color.org) gives them to a pipe; both count when they
are not empty, and the first before the second.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tomic.present import palette, text

_USUAL = (100, 24)


def width() -> int | None:
    """Letters a line of stdout: of the terminal, else by ``COLUMNS``, else as many as wanted."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size(_USUAL).columns
    return None


def has_colours() -> bool:
    """Whether text on stdout may be coloured."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def shown() -> Iterator[None]:
    """Inside, what `tomic.present` makes fits stdout and has the colours that it can show."""
    with palette.on(has_colours()), text.fitted_to(width()):
        yield
