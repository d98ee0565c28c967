"""How a command runs: one event loop, one place where errors become messages and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn, ParamSpec

import typer

from tomic.errors import TomicError, UsageError
from tomic.masking import named_here

_log = logging.getLogger(__name__)

P = ParamSpec("P")

INTERRUPTED = 130
UNEXPECTED = 1
LOOKS_DONE = frozenset({0, 3, 10})
"""Codes with which a command says that what it wrote can be used."""
_WORST_FIRST = (1, 4, 6, 5, 7, 2, 3, 10, 0)
_stop: list[Callable[[], bool]] = []
_waiting: ContextVar[list[Coroutine[Any, Any, int | None]] | None] = ContextVar(
    "waiting", default=None
)


def worst(codes: list[int]) -> int:
    """The exit code that several outcomes end with."""
    return next((code for code in _WORST_FIRST if code in codes), 0)


def runs(command: Callable[P, Coroutine[Any, Any, int | None]]) -> Callable[P, None]:
    """
    Turn a coroutine into a command; its return value is the exit code.

    A `TomicError` becomes one message on stderr and its exit code. Ctrl-C stops what is being
    fetched, so that what is there is still written; a second one ends at once.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _check_text(kwargs)
        waiting = _waiting.get()
        if waiting is not None:
            waiting.append(command(*args, **kwargs))
            return
        as_json = bool(kwargs.get("as_json")) or str(kwargs.get("format")) in ("json", "ndjson")
        with quiet_pipe():
            try:
                with of_the_system():
                    code = asyncio.run(_interruptible(command(*args, **kwargs)))
            except TomicError as exc:
                fail(exc, as_json=as_json)
            except (KeyboardInterrupt, asyncio.CancelledError):
                typer.echo("interrupted", err=True)
                raise typer.Exit(INTERRUPTED) from None
            raise typer.Exit(code or 0)

    return run


def _check_text(options: Mapping[str, object]) -> None:
    """Refuse bytes that are no UTF-8 in what is stored and printed; paths may have them."""
    for name, value in options.items():
        for word in value if isinstance(value, list | tuple) else (value,):
            if isinstance(word, str) and not _is_text(word):
                shown = word.encode("utf-8", "backslashreplace").decode()
                raise UsageError(f"{name} {shown}: not UTF-8; type it again")


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def hosted() -> Iterator[list[Coroutine[Any, Any, int | None]]]:
    """While inside, a command is not run but put in this list, for a loop that already runs."""
    commands: list[Coroutine[Any, Any, int | None]] = []
    token = _waiting.set(commands)
    try:
        yield commands
    finally:
        _waiting.reset(token)


def postponed() -> list[Coroutine[Any, Any, int | None]] | None:
    """The list of `hosted` that commands are put in; None where they run at once."""
    return _waiting.get()


def say(error: TomicError, *, as_json: bool = False) -> None:
    """Say on stderr what went wrong and what to do, account numbers shortened."""
    message = named_here.text(str(error))
    if as_json:
        document = {"code": error.code, "message": message, "retryable": error.retryable}
        typer.echo(json.dumps({"error": document}, ensure_ascii=False), err=True)
    else:
        typer.echo(f"tomic: {message}", err=True)


def fail(error: TomicError, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong and end with the error's exit code."""
    say(error, as_json=as_json)
    raise typer.Exit(error.exit_code)


@contextlib.contextmanager
def of_the_system() -> Iterator[None]:
    """Make an error of what the operating system refused, and nobody inside has explained."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        if exc.errno is None:
            # No refusal but a mistake of ours, such as a timeout that nobody waited for.
            raise
        _log.debug("refused by the operating system", exc_info=exc)
        where = f"{exc.filename}: " if exc.filename else ""
        raise TomicError(
            f"{where}{(exc.strerror or str(exc)).lower()}; look whether it can be read and "
            "written, and whether the disk has room"
        ) from exc


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """Let ``tomic … | head`` end without a traceback when the reader has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would complain again.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


@contextlib.contextmanager
def stoppable(stop: Callable[[], bool]) -> Iterator[None]:
    """While inside, the first Ctrl-C calls *stop*; when that returns False, the command ends."""
    _stop.append(stop)
    try:
        yield
    finally:
        _stop.remove(stop)


async def _interruptible(main: Coroutine[Any, Any, int | None]) -> int | None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def on_interrupt() -> None:
        if not (_stop and _stop[-1]()):
            task.cancel()

    try:
        loop.add_signal_handler(signal.SIGINT, on_interrupt)
    except NotImplementedError:  # Windows: signals reach Python between two loop turns
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(on_interrupt))
    return await main
