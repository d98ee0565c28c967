"""`tomic record`: run another command and keep what its session received."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tomic.errors import UsageError

app = typer.Typer()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def record(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; a name ending in .gz is compressed.")
    ],
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND…", help="What to run, as in: chain SPY --dte 15")
    ],
) -> None:
    """Run a command and record its session: a bug report that can be run with --replay FILE."""
    from tomic.cli import opening
    from tomic.cli.app import app as whole

    if command[0] == "record":
        raise UsageError("a recording cannot be recorded; name another command")
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it")
    with opening.recording(file, shlex.join(command)):
        code = whole(args=command, prog_name="tomic", standalone_mode=False)
    raise typer.Exit(code if isinstance(code, int) else 0)
