"""The commands that the panel names exist, with just the options that it gives them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from support.command_line import TREE
from tomic.panel.source import KNOWS, PanelSource

OPTIONS = {"--demo", "--paced", "--replay", "--config"}
COMMANDS = [
    ("vol",),
    ("vol", "--chain"),
    ("vol", "--stored"),
    ("vol", "SPY", "--history", "--days", 60),
    ("chain", "SPY", "--dte", "15:60", "--delta", "-0.5:0.5"),
    ("scan", "SPY", "QQQ", "--top", 5, "--strategy", "iron_condor,short_put_spread", "--explain"),
    ("show", "20261120-1"),
    ("why-not", "SPY", "short_put_spread 560/550 2026-12-18"),
    ("portfolio", "--stress"),
    ("portfolio", "--last", "--stress"),
    ("portfolio", "--with", "SPY -1 560P +1 550P 2026-12-18"),
    ("journal", "check"),
    ("journal", "show", 3),
    ("journal", "close", 3, "--price", "-0.6", "--structures", 1, "--note", "half"),
    ("journal", "note", 3, "earnings moved"),
    ("journal", "snapshot"),
    ("journal", "add", "SPY -1 560P 2026-12-18", "--price", "1.2", "--quantity", 2, "--plan", "x"),
    ("journal", "add", "--from", "20261120-1"),
    ("journal", "add", "--position", "11,12"),
    ("journal", "import", "--tws"),
    ("journal", "import", "journal.json"),
    ("journal", "stats", "--by", "strategy"),
    ("prices",),
    ("store", "info"),
    ("store", "check"),
    ("store", "check", "chain.csv"),
    ("config", "show", "--origin"),
    ("config", "set", "ib.port", "7496"),
    ("doctor",),
]


def find(words: list[str]):
    """The command that some words begin with, and the words after it."""
    found = TREE
    while hasattr(found, "commands"):
        found, words = found.commands[words[0]], words[1:]
    return found, words


@pytest.mark.parametrize("name", KNOWS)
def test_each_command_has_the_options_it_is_said_to_have(name):
    """Neither more nor fewer of the options that say where data come from."""
    command, _ = find(name.split())

    assert {one for option in command.params for one in option.opts} & OPTIONS == set(KNOWS[name])


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(map(str, words)))
def test_each_command_can_be_typed(words, tmp_path):
    """What the panel shows is parsed by the command line, also over the demo."""
    source = PanelSource(demo=True, paced=True, config=tmp_path / "tomic.toml")
    line = source.command(*words)
    typed = shlex.split(line, comments=True)

    command, rest = find(typed[1:])

    assert typed[0] == "tomic"
    command.make_context(command.name, rest)


def test_words_that_are_empty_are_left_out():
    """Options that were not given leave no trace."""
    assert PanelSource().command("scan", None, "", "--top", 5) == "tomic scan --top 5"


def test_a_recording_goes_with_the_commands_that_play_one():
    """Others say that they cannot show the same."""
    source = PanelSource(replay=Path("spy.csv"))

    assert source.command("chain", "SPY") == "tomic chain SPY --replay spy.csv"
    assert source.command("portfolio").endswith("# plays no recording")


def test_the_demo_has_a_store_of_its_own():
    """The command shows that of the demo."""
    line = PanelSource(demo=True).command("store", "info")

    assert line == "tomic store info --demo"
