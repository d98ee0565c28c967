"""What stdout can show: width and colours, as the environment says."""

from __future__ import annotations

import io
import sys

import pytest

from tomic.cli import screen


class Stream(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing of the surroundings counts."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "is_terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_go_where_they_are_wanted(monkeypatch, variables, is_terminal, coloured):
    """A terminal has them, a pipe not; NO_COLOR comes before FORCE_COLOR, empty is not set."""
    monkeypatch.setattr(sys, "stdout", Stream(is_terminal))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert screen.has_colours() is coloured


def test_a_pipe_has_room_for_everything(monkeypatch):
    """Unless COLUMNS says how wide the reader is."""
    monkeypatch.setattr(sys, "stdout", Stream(False))
    assert screen.width() is None

    monkeypatch.setenv("COLUMNS", "72")
    assert screen.width() == 72
