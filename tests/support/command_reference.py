"""
The page docs/reference.md, made from the command line itself.

``python tests/support/command_reference.py`` writes it anew; a test keeps it current.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from tomic.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"

OPENING = """# Reference

Every command with its arguments and options, made from the program itself by
`python tests/support/command_reference.py`. What the commands are for stands in
[commands.md](commands.md).
"""


def text() -> str:
    """The whole page."""
    parts = [OPENING]
    for typed, command in sorted(commands(), key=lambda one: one[0]):
        parts.append(section(typed, command))
    return "\n".join(parts)


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its name as typed."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        typed = f"{above} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, typed)
            if getattr(command, "invoke_without_command", False):
                yield typed, command
        else:
            yield typed, command


def section(typed: str, command: Any) -> str:
    """One command."""
    lines = [f"## tomic {typed}", "", (command.help or "").strip(), ""]
    rows = [row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        lines += ["| argument or option | meaning |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def row(parameter: Any) -> str:
    """One argument or option."""
    if parameter.param_type_name == "argument":
        name = (parameter.metavar or parameter.name or "").upper()
    else:
        name = ", ".join([*parameter.opts, *parameter.secondary_opts])
        if parameter.metavar and not getattr(parameter, "is_flag", False):
            name += f" {parameter.metavar}"
    meaning = (getattr(parameter, "help", None) or "").strip()
    cells = (f"`{name}`", meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
