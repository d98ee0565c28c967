"""How commands run and end: one loop, one message per error, one exit code."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
import typer

from tomic.cli.running import fail, quiet_pipe, runs, say, stoppable, worst
from tomic.errors import (
    BadFile,
    ConfigError,
    GatewayUnreachable,
    RequestTimeout,
    StoreBusy,
    TomicError,
)


def ended(command, *args, **kwargs) -> int:
    """The exit code of a command."""
    with pytest.raises(typer.Exit) as caught:
        command(*args, **kwargs)
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 10], 10),
        ([3, 10], 3),
        ([7, 3], 7),
        ([5, 7], 5),
        ([6, 5], 6),
        ([4, 6], 4),
        ([4, 1], 1),
    ],
)
def test_the_worst_code_wins(codes, code):
    """Of several outcomes 1 is worst, then 4, 6, 5, 7, 3 and 10."""
    assert worst(codes) == code


def test_the_return_value_is_the_exit_code():
    """A command returns its exit code; nothing means 0."""

    async def with_code(code: int | None) -> int | None:
        return code

    assert ended(runs(with_code), 3) == 3
    assert ended(runs(with_code), None) == 0


@pytest.mark.parametrize(
    "error",
    [
        TomicError("odd"),
        ConfigError("tomic.toml: no"),
        GatewayUnreachable("no gateway at x:1"),
        BadFile("x.csv is no chain"),
        RequestTimeout("time", 2.0),
        StoreBusy("another run holds it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_become_a_line_and_a_code(error, capsys):
    """Each error of the tree ends with its own code, and its message stands on stderr alone."""

    async def command() -> None:
        raise error

    code = ended(runs(command))

    out, err = capsys.readouterr()
    assert code == type(error).exit_code
    assert (out, err) == ("", f"tomic: {error}\n")


@pytest.mark.parametrize("options", [{"as_json": True}, {"format": "json"}, {"format": "ndjson"}])
def test_errors_are_objects_where_data_are(options, capsys):
    """A command that prints JSON says its error as JSON, still on stderr."""

    async def command(**_: object) -> None:
        raise RequestTimeout("option parameters of SPY", 20.0)

    code = ended(runs(command), **options)

    out, err = capsys.readouterr()
    assert (code, out) == (6, "")
    assert json.loads(err) == {
        "error": {
            "code": "ib.timeout",
            "message": "option parameters of SPY: no answer within 20 s",
            "retryable": True,
        }
    }


def test_a_cancelled_command_is_interrupted(capsys):
    """A command that is cancelled ends with 130 and without a traceback."""

    async def command() -> None:
        raise asyncio.CancelledError

    assert ended(runs(command)) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_bugs_are_not_hidden():
    """What is no error of ours passes as it is."""

    async def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs(command)()


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals")
def test_the_first_interrupt_stops_what_runs():
    """Ctrl-C calls the innermost stopper; the command then ends as it wants."""
    asked = []

    async def command() -> int:
        done = asyncio.Event()

        def stop() -> bool:
            asked.append("stop")
            done.set()
            return True

        with stoppable(stop):
            os.kill(os.getpid(), 2)
            async with asyncio.timeout(5.0):
                await done.wait()
        return 3

    assert ended(runs(command)) == 3
    assert asked == ["stop"]


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals")
def test_an_interrupt_with_nothing_to_stop_ends():
    """Ctrl-C ends a command that has nothing to keep."""

    async def command() -> None:
        with stoppable(lambda: False):
            os.kill(os.getpid(), 2)
            await asyncio.Event().wait()

    assert ended(runs(command)) == 130


def test_a_reader_that_left_is_no_error(monkeypatch):
    """Writing into a pipe that nobody reads ends quietly, with exit code 0."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(typer.Exit) as caught, quiet_pipe():
            print("x" * 100_000)
        monkeypatch.undo()

    assert caught.value.exit_code == 0


def test_say_and_fail(capsys):
    """Saying goes on, failing ends; the words are the same."""
    say(BadFile("x is damaged"))
    with pytest.raises(typer.Exit):
        fail(BadFile("x is damaged"))

    assert capsys.readouterr().err == "tomic: x is damaged\n" * 2
