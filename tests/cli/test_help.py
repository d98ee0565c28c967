"""What --help prints: every command in a group, every summary whole, options by what they do."""

from __future__ import annotations

import re

import pytest
import typer.main

from support.command_line import run
from tomic.cli import help
from tomic.cli.app import command_line


def commands(group=None, above=()):
    """Every command and group, with the words that name it."""
    group = group or typer.main.get_command(command_line())
    for name, command in group.commands.items():
        yield (*above, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))


EVERY = dict(commands())


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_summary_fits_on_its_line(words):
    """At 80 columns nothing is cut, and nothing is folded."""
    longest = max(len(other[-1]) for other in EVERY if other[:-1] == words[:-1])

    assert 0 < len(help.summary(EVERY[words].help)) <= 78 - longest - 4


def test_every_command_has_a_group():
    """Market, trades, book, journal and setup, in that order, and none beside them."""
    text = run("--help").stdout

    heads = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":")]
    assert heads == ["Options", "Market", "Trades", "Book", "Journal", "Setup"]
    for name in (words[0] for words in EVERY if len(words) == 1):
        assert text.count(f"\n  {name} ") == 1
    assert "Commands:" not in run("journal", "--help").stdout
    assert "..." not in text.split("Market:")[1]


def test_many_options_stand_in_groups():
    """Those of the command itself first, then what many commands share."""
    text = run("chain", "--help").stdout

    heads = [line.removesuffix(":") for line in text.splitlines() if re.fullmatch(r"\w+:", line)]
    assert heads == ["Arguments", "Options", "Output", "Data", "Gateway", "Program"]
    assert "<int" not in text
    assert "--monthlies N " in text


def test_few_options_stand_together():
    """Five lines need no headings."""
    text = run("explain", "--help").stdout

    heads = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == ["Arguments:", "Options:"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Add a note.", "Add a note"),
        ("Add a\nnote. It has\na date.\n\nMore.", "Add a note"),
        ("", ""),
    ],
)
def test_a_summary_is_the_first_sentence(text, first):
    """Whole, on one line, without its full stop."""
    assert help.summary(text) == first
