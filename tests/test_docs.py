"""The documentation tells the truth: its commands exist, and every command is in it."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from support import command_reference, documented
from support.clean_home import make_clean_home
from support.command_line import TREE, run

ROOT = Path(__file__).parents[1]
TEXT = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
)

LINES = sorted(
    {
        line
        for block in re.findall(r"^```\w*\n(.+?)^```$", TEXT, re.S | re.M)
        for line in block.splitlines()
        if line.startswith("tomic ")
    }
)


def commands(group=None, above=""):
    """Every command with its name as typed, and its parameters."""
    group = group or TREE
    for name, command in group.commands.items():
        typed = f"{above} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, typed)
        else:
            yield typed, command


def test_every_command_is_documented():
    """Each command's name occurs in the README or the docs."""
    missing = []
    for typed, _ in commands():
        group, _, last = typed.rpartition(" ")
        section = (
            TEXT if not group else "".join(re.findall(rf"tomic {group}.*?(?=\n## |\Z)", TEXT, re.S))
        )
        if f"tomic {typed}" not in TEXT and not (group and f"`{last}" in section):
            missing.append(typed)

    assert missing == []


GIVES_NO_DATA = {
    *("config check", "config init", "config path", "config set", "gateway", "notify test"),
    *("panel", "record", "report day", "report journal", "report portfolio", "report proposal"),
    *("report track", "run", "store backup", "store import", "store prune", "store restore"),
    *("journal export", "journal link", "journal note"),
    *("config", "journal", "notify", "report", "store"),
}
"""Groups, and commands that write a file, change something, or run others; all others show data."""


def test_every_command_that_shows_data_has_its_forms_and_a_demo():
    """What the README says of `--format`, `--json` and `--demo` holds for each of them."""
    lacking = {
        typed: {"--format", "--json", "--demo"}
        - {name for each in command.params for name in each.opts}
        for typed, command in command_reference.commands()
        if typed not in GIVES_NO_DATA
    }

    assert {typed: options for typed, options in lacking.items() if options} == {}


@pytest.mark.parametrize(
    "words", ["strategies", "strategies show iron_condor", "explain", "explain pos", "config show"]
)
def test_what_asks_nobody_is_read_in_every_form(words, tmp_path, monkeypatch):
    """JSON is one document, NDJSON a document a line, CSV as many cells a row as it has titles."""
    make_clean_home(tmp_path, monkeypatch)
    given = {
        form: run(*words.split(), "--demo", "--format", form) for form in ("json", "ndjson", "csv")
    }

    assert {result.exit_code for result in given.values()} == {0}
    assert json.loads(given["json"].stdout)
    lines = [json.loads(line) for line in given["ndjson"].stdout.splitlines()]
    titles, *rows = csv.reader(io.StringIO(given["csv"].stdout))
    assert len(lines) == len(rows) > 0
    assert {len(row) for row in rows} == {len(titles)}


def test_every_documented_option_exists():
    """An option named in the docs belongs to some command."""
    known = {"--help", "--version", "--install-completion", "--show-completion"}
    for _, command in commands():
        for parameter in command.params:
            known |= set(parameter.opts) | set(parameter.secondary_opts)
    foreign = {"--cases", "--group", "--headless", "--kinds", "--page", "--write"}
    code = "\n".join(line for line in TEXT.splitlines() if "pip install" not in line)

    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", code))

    assert named - known - foreign == set()


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_docs_can_be_typed(line):
    """A command in a block of the docs is read by the command line as it stands."""
    typed, *words = shlex.split(line, comments=True)
    command = TREE
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]

    command.make_context(typed, words)


SETTING = {line for line in LINES if line.startswith("tomic config")}


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_every_line_of_the_docs_does_what_it_says(slow, tmp_path, monkeypatch):
    """On the demo each ends with code 0, or with the one that `support.documented` has for it."""
    make_clean_home(tmp_path, monkeypatch)
    lines = [line for line in LINES if line not in SETTING and documented.is_slow(line) == slow]

    assert list(documented.problems(lines)) == []


def test_settings_are_made_and_changed_as_the_docs_say(tmp_path, monkeypatch):
    """`config init` first, as it refuses to write over a file; then all others."""
    make_clean_home(tmp_path, monkeypatch)
    first = next(line for line in SETTING if line.startswith("tomic config init"))
    others = {line for line in SETTING if not line.startswith("tomic config init")}

    ends = {line: run(*documented.typed(line)).exit_code for line in (first, *sorted(others))}

    assert set(ends.values()) == {0}, ends


def test_every_command_has_help():
    """Each command and each option says what it does."""
    silent = []
    for typed, command in commands():
        if not command.help:
            silent.append(typed)
        for parameter in command.params:
            if parameter.opts[0].startswith("--") and not getattr(parameter, "help", None):
                silent.append(f"{typed} {parameter.opts[0]}")

    assert silent == []


def test_readme_commands_work_without_a_shell_of_their_own():
    """The two commands of the README make their own environment and use the pins."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for marker in ("demo", "tests"):
        block = re.search(rf"<!-- {marker} -->\n```sh\n(.+?)\n```", readme, re.S)
        assert block is not None
        command = block.group(1)
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && ")
        assert "-c constraints.txt" in command


def without_clock(line: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d UTC", "UTC", line)


def test_readme_shows_what_the_demo_prints(tmp_path, monkeypatch):
    """The sample below the demo's command is its output, apart from the time and the pace."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"and prints:\n\n```\n(.+?)\n…\n(.+?)\n```", readme, re.S)
    table, summary = shown.group(1).splitlines(), shown.group(2)
    make_clean_home(tmp_path, monkeypatch)

    result = run("chain", "SPY", "--demo")

    printed = result.stdout.splitlines()[: len(table)]
    assert [without_clock(line) for line in printed] == [without_clock(line) for line in table]
    last = result.stderr.splitlines()[-1]
    assert last.split(" · ")[:3] == summary.split(" · ")[:3]
    assert last.split(" · ")[5:7] == summary.split(" · ")[5:7]
    paths = re.compile(r"exports/\d{8}/(\w+?_SPY)_")
    assert paths.findall(last) == paths.findall(summary) != []
