"""How commands run and end: one loop, one message per error, one exit code."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import sys
from pathlib import Path

import pytest
import typer

from support.command_line import run as run_command
from tomic.cli.options import CommonOptions, GatewayOptions, Invocation
from tomic.cli.running import (
    ProgressLine,
    checked_symbols,
    configure_logging,
    fail,
    open_desk,
    quiet_pipe,
    runs,
    say,
    worst,
)
from tomic.config import LogSettings
from tomic.errors import (
    BadFile,
    ConfigError,
    GatewayUnreachable,
    InvalidSymbol,
    RequestTimeout,
    StoreBusy,
    TomicError,
    UsageError,
)
from tomic.workflows.progress import Event

pytestmark = pytest.mark.usefixtures("home")


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

    async def command(common: CommonOptions) -> int:
        done = asyncio.Event()

        def stop() -> bool:
            asked.append("stop")
            done.set()
            return True

        with common.invocation.stoppable(stop):
            os.kill(os.getpid(), 2)
            async with asyncio.timeout(60.0):
                await done.wait()
        return 3

    assert ended(runs(command)) == 3
    assert asked == ["stop"]


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals")
def test_an_interrupt_with_nothing_to_stop_ends():
    """Ctrl-C ends a command that has nothing to keep."""

    async def command(common: CommonOptions) -> None:
        with common.invocation.stoppable(lambda: False):
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


EVENTS = [
    Event("stage", "SPY", "contract and hours"),
    Event("spot", "SPY", "590.16 (last, live)"),
    Event("note", "", "connection lost; reconnecting"),
    *(Event("count", "SPY", done=done, total=3) for done in (1, 2, 3)),
]


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(events, *, quiet: bool = False) -> None:
    with ProgressLine(quiet=quiet) as progress:
        for event in events:
            progress(event)


def test_lines_where_nobody_watches(capsys):
    """In a pipe each stage is a line, and of the counting only the first."""
    shown(EVENTS)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "SPY: contract and hours",
        "SPY: spot 590.16 (last, live)",
        "note: connection lost; reconnecting",
        "SPY: first of 3 contracts done",
    ]


def test_a_line_per_symbol_where_nobody_watches(capsys):
    """Brief, a pipe gets of each symbol what came of it, and what concerns them all."""
    with ProgressLine(quiet=False, brief=True) as progress:
        for event in [
            Event("stage", "", "2 requests for 1 symbol: 1 s"),
            *EVENTS,
            Event("done", "SPY", "12 trades considered"),
        ]:
            progress(event)

    assert capsys.readouterr().err.splitlines() == [
        "2 requests for 1 symbol: 1 s",
        "note: connection lost; reconnecting",
        "SPY: 12 trades considered",
    ]


@pytest.mark.usefixtures("capsys")
def test_a_terminal_sees_every_step(monkeypatch):
    """Who watches a terminal is told of the way there, brief or not."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    with ProgressLine(quiet=False, brief=True) as progress:
        for event in EVENTS:
            progress(event)

    assert "SPY: contract and hours" in terminal.getvalue()


def test_quiet(capsys):
    """Quiet means nothing at all."""
    shown(EVENTS, quiet=True)

    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("capsys")
def test_a_bar_on_a_terminal(monkeypatch):
    """On a terminal a bar counts, lines stand above it, and it is gone at the end."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    shown(EVENTS)

    text = terminal.getvalue()
    assert "SPY: spot 590.16 (last, live)" in text
    assert "3/3" in text
    assert "first of" not in text
    assert text.endswith("\x1b[2K")


def test_a_line_without_symbol(capsys):
    """A stage of no symbol stands alone."""
    shown([Event("stage", "", "ranking 5 proposals")])

    assert capsys.readouterr().err == "ranking 5 proposals\n"


@pytest.fixture(autouse=True)
def same_logging():
    """The root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def opened(gateway=None, chain=None, **options):
    given = {"demo": True, "quiet": True, **options}
    return open_desk(CommonOptions(**given), gateway, chain=chain or {})[0]


def test_options_go_before_the_file():
    """An option that was given changes its key; one that was not leaves the file's value."""
    Path("tomic.toml").write_text("[ib]\nport = 4002\nclient_id = 7\n", encoding="utf-8")

    desk = opened(GatewayOptions(port=4001))

    assert (desk.settings.ib.port, desk.settings.ib.client_id) == (4001, 7)


def test_errors_come_before_anything_is_opened(capsys):
    """A wrong option or file is refused without a word of connecting."""
    with pytest.raises(ConfigError):
        opened(chain={"monthlies": -1}, quiet=False)
    with pytest.raises(ConfigError):
        opened(config=Path("nowhere.toml"), quiet=False)

    assert capsys.readouterr().err == ""


def test_demo_and_replay_exclude_each_other():
    """A demo is no replay."""
    with pytest.raises(UsageError, match="exclude each other"):
        opened(replay=Path("x.csv"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "demo market, without IB's message limit"),
        ({"paced": True}, "demo market, at IB's pace"),
        ({"demo": False, "replay": Path("x.csv")}, "replaying x.csv"),
        ({"demo": False}, "connecting to 127.0.0.1:7497"),
    ],
)
def test_the_first_line(options, says, capsys):
    """Before anything slow happens, stderr says what is about to."""
    opened(quiet=False, **options)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(says)


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({}, logging.WARNING),
        ({"verbose": 1}, logging.INFO),
        ({"verbose": 2}, logging.DEBUG),
        ({"quiet": True, "verbose": 2}, logging.ERROR),
    ],
)
def test_log_levels(options, level):
    """The file's level holds unless -v, -vv or -q say otherwise."""
    settings = LogSettings(level="WARNING")

    configure_logging(settings, **{"verbose": 0, "quiet": False, **options})

    assert logging.getLogger().level == level


def test_log_file(tmp_path):
    """A log file is made with its folder, and gets what is logged."""
    file = tmp_path / "logs" / "tomic.log"

    configure_logging(LogSettings(level="INFO", file=file), verbose=0, quiet=False)
    logging.getLogger("tomic.test").info("something happened")

    assert "INFO tomic.test: something happened" in file.read_text(encoding="utf-8")


def test_symbols_are_checked():
    """Symbols are trimmed and upper-cased; a wrong one is refused."""
    assert checked_symbols([" spy ", "brk.b"]) == ["SPY", "BRK.B"]
    with pytest.raises(InvalidSymbol, match="SP Y"):
        checked_symbols(["SPY", "SP Y"])


def test_recording_reaches_the_desk(tmp_path):
    """A desk of a recorded invocation records; another one does not."""
    recording = Invocation(record=tmp_path / "bug.jsonl", words="chain SPY")

    assert opened(invocation=recording).record == tmp_path / "bug.jsonl"
    assert opened().record is None


@pytest.mark.parametrize(
    "words",
    [
        ("report", "portfolio", "--html"),
        ("report", "day", "--html"),
        ("backtest", "--html"),
        ("journal", "export", "--out"),
        ("show", "20261120-1", "--ticket"),
        ("scan", "SPY", "--out"),
        ("vol", "SPY", "--out"),
        ("chain", "SPY", "--out"),
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_refused_first(words, tmp_path):
    """Nobody is asked, nothing is computed, for a result that has no place."""
    (tmp_path / "plain").touch()

    done = run_command(*words, tmp_path / "plain" / "x.html")

    assert done.exit_code in (2, 5)
    assert "cannot be written" in done.stderr or "can be written to" in done.stderr
    assert "no gateway" not in done.stderr


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\x07", "\u202eevil", "a\rb"])
def test_a_control_code_is_refused_and_not_repeated(text):
    """What is typed is stored and printed later, where a terminal would act upon it."""
    done = run_command("journal", "note", "1", text)

    assert done.exit_code == 2
    assert "holds a control code" in done.stderr
    assert text not in done.stderr
