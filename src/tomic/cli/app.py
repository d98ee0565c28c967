"""The `tomic` command: every sub-command, and what happens to errors that none of them caught."""

from __future__ import annotations

import gc
import importlib
import os
import shlex
import sys
import traceback
from collections.abc import Iterable, Sequence
from types import ModuleType, TracebackType
from typing import Annotated

import typer

from tomic import outside
from tomic._version import __version__
from tomic.cli import help, screen, streams
from tomic.cli.running import INTERRUPTED, LOOKS_DONE, UNEXPECTED, of_the_system, quiet_pipe, say
from tomic.errors import TomicError
from tomic.masking import named_here

_COMMANDS = {
    "chain": "chain",
    "scan": "scan",
    "show": "scan",
    "why-not": "scan",
    "backtest": "backtest",
    "portfolio": "portfolio",
    "manage": "manage",
    "prices": "volatility",
    "vol": "volatility",
    "explain": "volatility",
    "doctor": "doctor",
    "gateway": "gateway",
    "run": "jobs",
    "record": "record",
    "panel": "panel",
}
"""Commands, and the module that has each."""
_GROUPS = {
    "config": ("config", "app"),
    "report": ("report", "app"),
    "store": ("store", "app"),
    "journal": ("journal", "app"),
    "strategies": ("scan", "strategies_app"),
    "notify": ("notify", "app"),
}
"""Groups of commands: module and name in it."""

_ASKING = frozenset(
    {"chain", "scan", "portfolio", "manage", "prices", "vol", "doctor", "record", "run"}
)
"""Commands that spend their first moments on imports and then on a gateway."""
_WITHOUT_WORDS = frozenset({"-q", "--quiet", "--help", "--json", "json", "ndjson"})


def __getattr__(name: str) -> typer.Typer:
    if name == "app":
        return command_line()
    raise AttributeError(f"module {__name__} has no attribute {name}")


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """
    The command line, or as much of it as *words* need.

    To import and describe every command takes as long as a short command runs.
    """
    first = words[0] if words and "_TOMIC_COMPLETE" not in os.environ else ""
    if first in _COMMANDS:
        return _command_line({_COMMANDS[first]}, ())
    if first in _GROUPS:
        return _command_line((), {first})
    return _command_line(dict.fromkeys(_COMMANDS.values()), _GROUPS)


def _command_line(modules: Iterable[str], groups: Iterable[str]) -> typer.Typer:
    app = typer.Typer(
        name="tomic",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        cls=help.HelpedGroup,
        pretty_exceptions_enable=False,
        help=(
            "Tactical Option Modeling & Insight Console: option chains, volatility, ranked trades "
            "and an honest journal over Interactive Brokers. It never trades: no command can send "
            "an order."
        ),
        epilog="Try it without TWS: tomic chain SPY --demo",
    )
    app.callback()(_options)
    for name in modules:
        app.registered_commands += _module(name).app.registered_commands
    for name in groups:
        module, attribute = _GROUPS[name]
        app.add_typer(getattr(_module(module), attribute), name=name)
    return help.laid_out(app)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"tomic.cli.{name}")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tomic {__version__}")
        raise typer.Exit


def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Shared options follow the sub-command."""
    # Otherwise click takes the colours out of what goes to a pipe, which may be wanted.
    context.color = screen.has_colours()


def first_words(words: Sequence[str]) -> str:
    """
    What is said before anything slow is imported; nothing where a program may read stderr.

    Reading the command line and the settings takes a third of a second by itself. A log also
    learns from it what ran, and which version.
    """
    if not words or words[0] not in _ASKING or not _WITHOUT_WORDS.isdisjoint(words):
        return ""
    return outside.line(f"tomic {__version__}: {shlex.join(words)}")


def main() -> None:
    """Run the command line; errors of TOMIC become one line on stderr and an exit code."""
    # Imports make objects by the ten thousand that all stay: looked through less often.
    gc.set_threshold(20_000, 20, 20)
    # No matrix of ours is large enough for a second thread, and starting them delays numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # None is ours; to look for them, pydantic reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    streams.prepare()
    sys.excepthook = _masked_traceback
    try:
        code = _code_of(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except KeyboardInterrupt:
        # While the last words are said: there is nothing left to stop.
        code = INTERRUPTED
    finally:
        # Everything is closed. Without this, Python searches every object once more at its exit,
        # for as long as a tenth of a second.
        gc.freeze()
    if problem := streams.take_problem():
        say(TomicError(problem))
        code = UNEXPECTED if code in LOOKS_DONE else code
    sys.exit(code)


def _code_of(words: list[str]) -> int:
    """Run the command line of *words*; return the code to end with."""
    try:
        if said := first_words(words):
            typer.echo(said, err=True)
        with quiet_pipe(), of_the_system(), screen.shown():
            command_line(words)()
    except typer.Exit as exc:
        return exc.exit_code
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except TomicError as exc:
        say(exc)
        return exc.exit_code
    except KeyboardInterrupt:
        # Before a command has begun to listen for Ctrl-C itself.
        typer.echo("interrupted", err=True)
        return INTERRUPTED
    return 0


def _masked_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What ends the program unexpectedly is sent to others: account numbers are left out."""
    text = "".join(traceback.format_exception(kind, error, trace))
    typer.echo(named_here.text(text), err=True, nl=False)
