"""Progress on stderr: a bar on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io
import sys

import pytest

from tomic.cli.progress import ProgressLine
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
