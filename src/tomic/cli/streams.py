"""
The standard streams, made so that writing to them never ends a command.

Letters that the stream's charset lacks are written otherwise; a closed stream takes everything; a
full disk is remembered and said once the command has done its work.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import TextIO, cast

_HANDLER = "tomic.spelled"
_PLAIN = str.maketrans(
    {
        "·": "-", "…": "~", "→": ">", "›": ">", "≥": ">", "≤": "<", "×": "x", "–": "-", "—": "-",
        "Δ": "D", "Γ": "G", "Θ": "T", "ν": "v", "σ": "s", "√": "v", "−": "-", "±": "~",
        "├": "|", "└": "`", "│": "|", "─": "-", "█": "#",
        "▓": "#", "▒": "+", "░": ".", "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{NO-BREAK SPACE}": " ",
    }
)  # fmt: skip
"""One letter for one letter, so that columns stay straight."""
_WAIT_S = 60.0


def prepare() -> None:
    """Put safe streams in the place of those that the process was given."""
    _open_closed()
    codecs.register_error(_HANDLER, _spelled)
    sys.stdin = sys.stdin or _nothing(0, "r")
    sys.stdout = _safe(sys.stdout or _nothing(1, "w"), _OUTPUT)
    sys.stderr = _safe(sys.stderr or _nothing(2, "w"), _Steady(), line_by_line=True)


def take_problem() -> str:
    """Why stdout lost something since this was asked last; empty where nothing was lost."""
    problem, _OUTPUT.problem = _OUTPUT.problem, None
    if problem is None:
        return ""
    return f"the output cannot be written ({problem.strerror or problem}); it is not whole"


def _open_closed() -> None:
    """Otherwise the next file that is opened gets the number of a stream, and its output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _nothing(number: int, mode: str) -> TextIO:
    return cast(TextIO, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """A stand-in for letters that cannot be encoded: as JSON escapes in JSON, plain elsewhere."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    if error.object.lstrip()[:1] in ("{", "["):
        units = letters.encode("utf-16-be", "surrogatepass")
        pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
        return "".join(f"\\u{pair}" for pair in pairs), error.end
    plain = letters.translate(_PLAIN)
    return "".join(letter if letter.isascii() else "?" for letter in plain), error.end


class _Steady(io.RawIOBase):
    """
    The raw stream below, whose errors are kept for later.

    A reader that has gone is still told at once, so that nothing is made for nobody.
    """

    def __init__(self) -> None:
        self._raw: io.RawIOBase | None = None
        self._owner: TextIO | None = None
        self._is_deaf = False
        self.problem: OSError | None = None
        """The first thing that went wrong since it was taken away."""

    def over(self, stream: TextIO, raw: io.RawIOBase) -> None:
        """Write to *raw*, which is below *stream*, from now on."""
        self._raw, self.problem = raw, None
        # Without an owner it would be closed.
        self._owner = stream

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._raw is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw is not None and self._raw.isatty()

    def write(self, data: object) -> int:
        piece = memoryview(data).cast("B")  # type: ignore[arg-type]
        if self._raw is None or self._is_deaf:
            return len(piece)
        try:
            while (count := self._raw.write(piece)) is None:
                # Somebody else made the stream one that does not wait.
                if not select.select([], [self._raw], [], _WAIT_S)[1]:
                    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        except OSError as exc:
            if self is _OUTPUT and _is_gone(exc):
                # Python flushes once more at its exit, which would complain again.
                self._is_deaf = True
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from exc
            self.problem = self.problem or exc
            return len(piece)
        return count


def _is_gone(error: OSError) -> bool:
    on_windows = sys.platform == "win32" and error.errno == errno.EINVAL
    return isinstance(error, BrokenPipeError) or on_windows


_OUTPUT = _Steady()


def _safe(stream: TextIO, steady: _Steady, *, line_by_line: bool = False) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    # With PYTHONUNBUFFERED there is no buffer between, and half a write would be lost.
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.RawIOBase):
        return stream
    if stream.isatty():
        stream.reconfigure(errors=_HANDLER)
        return stream
    steady.over(stream, raw)
    return io.TextIOWrapper(
        io.BufferedWriter(steady),
        encoding=stream.encoding,
        errors=_HANDLER,
        line_buffering=line_by_line,
    )
