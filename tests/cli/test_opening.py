"""From options to a desk: settings, the first line, logging."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest

from tomic.cli import opening
from tomic.cli.opening import ProgressLine
from tomic.config import LogSettings
from tomic.errors import ConfigError, InvalidSymbol, UsageError
from tomic.workflows.progress import Event

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


pytestmark = pytest.mark.usefixtures("home")


def opened(**options):
    given = {"config": None, "demo": True, "replay": None, "quiet": True, **options}
    return opening.desk(**given)[0]


def test_options_go_before_the_file():
    """An option that was given changes its key; one that was not leaves the file's value."""
    Path("tomic.toml").write_text("[ib]\nport = 4002\nclient_id = 7\n", encoding="utf-8")

    desk = opened(ib={"port": 4001, "client_id": None})

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

    opening.configure_logging(settings, **{"verbose": 0, "quiet": False, **options})

    assert logging.getLogger().level == level


def test_log_file(tmp_path):
    """A log file is made with its folder, and gets what is logged."""
    file = tmp_path / "logs" / "tomic.log"

    opening.configure_logging(LogSettings(level="INFO", file=file), verbose=0, quiet=False)
    logging.getLogger("tomic.test").info("something happened")

    assert "INFO tomic.test: something happened" in file.read_text(encoding="utf-8")


def test_symbols_are_checked():
    """Symbols are trimmed and upper-cased; a wrong one is refused."""
    assert opening.checked_symbols([" spy ", "brk.b"]) == ["SPY", "BRK.B"]
    with pytest.raises(InvalidSymbol, match="SP Y"):
        opening.checked_symbols(["SPY", "SP Y"])


def test_recording_reaches_the_desk(tmp_path):
    """Inside `recording` a desk records; outside it does not."""
    with opening.recording(tmp_path / "bug.jsonl", "chain SPY"):
        inside = opened()

    assert inside.record == tmp_path / "bug.jsonl"
    assert opened().record is None
