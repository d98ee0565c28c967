"""The `tomic` command itself: help, version, and what it loads."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import typer.main

from support.command_line import run
from support.command_reference import commands
from tomic import __version__
from tomic.cli.app import app, command_line, first_words

WHOLE = typer.main.get_command(app).commands
HEAVY = ("numpy", "pandas", "scipy", "ib_async", "pydantic", "textual", "matplotlib", "httpx")


def test_version():
    """`--version` prints name and version on stdout."""
    result = run("--version")

    assert (result.exit_code, result.stdout) == (0, f"tomic {__version__}\n")


def test_help_names_every_command_and_the_promise():
    """The help lists the commands and says that none of them trades."""
    result = run("--help")

    assert result.exit_code == 0
    for name in WHOLE:
        assert f"  {name} " in result.stdout
    assert "no command can send an order" in " ".join(result.stdout.split())
    assert "tomic chain SPY --demo" in result.stdout


@pytest.mark.parametrize("name", WHOLE)
def test_a_command_is_built_without_its_neighbours(name):
    """Named first on the line, each command is found where it lives, with all its options."""
    quick = typer.main.get_command(command_line([name, "--help"])).commands

    assert len(quick) < len(WHOLE)
    assert options_of(quick[name]) == options_of(WHOLE[name])


def options_of(command):
    """Names of a command's parameters, and those of its sub-commands."""
    below = {name: options_of(one) for name, one in getattr(command, "commands", {}).items()}
    return [one.name for one in command.params], below


def test_no_command_declares_more_than_a_dozen_parameters():
    """What commands share is a group of options, declared once."""
    longest = max(len(declared(command)) for _, command in commands())

    assert longest <= 12


def declared(command):
    """Parameters in the source of a command, a group of options counting as one."""
    return inspect.signature(inspect.unwrap(command.callback)).parameters


@pytest.mark.parametrize("words", [(), ("chian",), ("--help",), ("--version",)])
def test_other_words_need_the_whole_command_line(words):
    """Help, wrong names and completion know every command."""
    assert list(typer.main.get_command(command_line(words)).commands) == list(WHOLE)


def test_nothing_asked():
    """Without a command the help is shown, and the exit code says that one was missing."""
    result = run()

    assert result.exit_code == 2
    assert "Usage: tomic" in result.stdout + result.stderr


@pytest.mark.parametrize("words", [("fly",), ("chain", "SPY", "--hurry"), ("--demo", "chain")])
def test_unknown_words(words):
    """An unknown command or option ends with exit code 2 and a usage line."""
    result = run(*words)

    assert result.exit_code == 2
    assert "Usage: tomic" in result.stderr
    assert result.stdout == ""


def test_errors_of_plain_commands(tmp_path):
    """An error of a command without a loop of its own is a line too, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tomic", "config", "check", "--config", "nowhere.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("tomic: ")
    assert "Traceback" not in done.stderr


def test_help_loads_nothing_heavy():
    """`tomic --help` imports neither arrays nor models nor any edge's library."""
    code = (
        "import sys; from tomic.cli.app import main; sys.argv = ['tomic', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


BUDGETS = {
    "strategies iron_condor": {"pydantic"},
    "explain delta": {"pydantic"},
    "config show": {"pydantic"},
    "strategies": {"pydantic", "numpy"},
    "store info": {"pydantic", "numpy", "aiosqlite"},
    "journal list": {"pydantic", "numpy", "aiosqlite"},
    "journal stats": {"pydantic", "numpy", "aiosqlite"},
    "chain SPY --demo --strike-range 1": {"pydantic", "numpy", "scipy", "aiosqlite", "ib_async"},
}
"""What a command may load of what takes long to load."""


@pytest.mark.parametrize("line", BUDGETS)
def test_a_command_loads_what_it_needs(line, tmp_path):
    """Start-up is paid by every command of cron: nothing that one does not use."""
    costly = {*HEAVY, "aiosqlite", "selectolax", "apprise", "tomic.evidence", "tomic.report.pages"}
    code = (
        f"import sys; from tomic.cli.app import main; sys.argv = ['tomic', *{line.split()!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('\\nloaded', *sorted({costly!r} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    loaded = done.stdout.splitlines()[-1].split()
    assert loaded[0] == "loaded"
    assert set(loaded[1:]) <= BUDGETS[line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chain", "SPY", "--dte", "15:60"], f"tomic {__version__}: chain SPY --dte 15:60"),
        (["chain", "SP Y"], f"tomic {__version__}: chain 'SP Y'"),
        (["scan", "--demo"], f"tomic {__version__}: scan --demo"),
        (["chain", "\u202e\x1b[31m"], f"tomic {__version__}: chain ' [31m'"),
        (["chain", "SPY", "-q"], ""),
        (["chain", "SPY", "--json"], ""),
        (["chain", "SPY", "--format", "ndjson"], ""),
        (["chain", "--help"], ""),
        (["store", "info"], ""),
        (["--version"], ""),
        ([], ""),
    ],
)
def test_first_words(words, said):
    """A command that will ask a gateway says at once what it is; programs that read it do not."""
    assert first_words(words) == said


def test_first_words_come_first():
    """They are the first line on stderr, before a word of the command line is judged."""
    done = subprocess.run(
        [sys.executable, "-m", "tomic", "chain", "SP Y"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    first, second, *_ = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert (first, second[:8]) == (f"tomic {__version__}: chain 'SP Y'", "tomic: '")


INTERRUPTED_WORDS = """\
import io, sys
class Interrupted(io.StringIO):
    def write(self, text):
        raise KeyboardInterrupt
sys.argv = ["tomic", "config", "show", "--config", "missing.toml"]
sys.stderr = Interrupted()
from tomic.cli.app import main
main()
"""


def test_an_interrupt_of_the_last_words_is_no_traceback():
    """Ctrl-C while an error is said ends the program as anywhere else."""
    words = [sys.executable, "-c", INTERRUPTED_WORDS]

    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
