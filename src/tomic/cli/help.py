"""
What ``--help`` prints: commands and options in groups, every summary whole.

Laid out by hand in the plain text of typer: rich takes longer to import than a help to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tomic import outside

_COMMANDS: Mapping[str, Mapping[str, str]] = {
    "tomic": {
        "Market": "prices vol chain explain",
        "Trades": "scan show why-not strategies backtest",
        "Book": "portfolio manage report panel",
        "Journal": "journal",
        "Setup": "doctor config store run notify gateway record",
    },
    "journal": {
        "Look": "list show history check attribute stats",
        "Write": "add close roll note snapshot link correct",
        "Files": "import executions export",
    },
}
"""Of a group the names of its commands, by what they are about, in the order shown."""
_PLAIN_TYPES = {
    "<int range>": "N", "<int>": "N", "<float range>": "X", "<float>": "X", "<str>": "TEXT",
    "<list[str]>": "", "<path>": "PATH", "<list[path]>": "",
}  # fmt: skip
"""What an option without a metavar takes."""
_MANY = 10
"""Options from which on they stand in groups."""
_LAST = ("Output", "Data", "Gateway", "Program")
"""Groups that many commands have, in the order in which they stand below their own."""


class HelpedCommand(TyperCommand):
    """A command whose many options stand in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, each group under its name."""
        _write_options(self, ctx, formatter)


@contextmanager
def _fit_for_a_terminal() -> Iterator[None]:
    """What is wrong with an argument is told without the control codes that it may hold."""
    try:
        yield
    except typer.BadParameter as exc:
        exc.message = outside.lines(exc.message)
        raise


class HelpedGroup(TyperGroup):
    """A group whose commands stand under what they are about."""

    def make_context(self, *args: Any, **further: Any) -> Any:
        """Read the words before a command."""
        with _fit_for_a_terminal():
            return super().make_context(*args, **further)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the words name, its own words read first."""
        with _fit_for_a_terminal():
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options first, as in a command, and the commands below them."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its whole summary."""
        names = [
            name
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        titles = _COMMANDS.get(self.name or "", {})
        panels = {title: words.split() for title, words in titles.items()}
        placed = {name for words in panels.values() for name in words}
        panels["Commands"] = [name for name in names if name not in placed]
        widest = max(map(len, names), default=0)
        for title, words in panels.items():
            # One column for all of them, which a formatter would measure for each.
            rows = [
                (name.ljust(widest), summary(self.commands[name].help or ""))
                for name in words
                if name in names
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def summary(text: str) -> str:
    """The first sentence of a command's help."""
    first = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return first.split(". ")[0].removesuffix(".")


def laid_out(app: typer.Typer) -> typer.Typer:
    """*app*, its commands and all below them with the help of this module."""
    for command in app.registered_commands:
        if command.cls is None or not issubclass(command.cls, HelpedCommand):
            command.cls = HelpedCommand
    for group in app.registered_groups:
        group.cls = HelpedGroup
        if group.typer_instance is not None:
            laid_out(group.typer_instance)
    return app


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    arguments: list[tuple[str, str]] = []
    panels: dict[str, list[tuple[str, str]]] = {"Options": []}
    shown = [param for param in command.get_params(ctx) if param.get_help_record(ctx)]
    grouped = len(shown) > _MANY
    for param in shown:
        name, text = param.get_help_record(ctx)
        row = (_in_plain_types(name), text)
        if param.param_type_name == "argument":
            arguments.append(row)
            continue
        panel = "Program" if param.name == "help" else getattr(param, "rich_help_panel", None)
        panels.setdefault((grouped and panel) or "Options", []).append(row)
    order = [name for name in panels if name not in _LAST] + [n for n in _LAST if n in panels]
    for title, rows in (("Arguments", arguments), *((name, panels[name]) for name in order)):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _in_plain_types(name: str) -> str:
    text = re.sub(r"<[^<>]+>$", lambda found: _PLAIN_TYPES.get(found[0], found[0]), name)
    return text.rstrip()
