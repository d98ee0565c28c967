"""`tomic record`: run another command and keep what its session received."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tomic import disk
from tomic.cli.options import Invocation
from tomic.errors import UsageError

app = typer.Typer()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def record(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; a name ending in .gz is compressed.")
    ],
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND…", help="What to run, as in: chain SPY --dte 15")
    ],
) -> None:
    """Run a command and record its session, for --replay FILE."""
    from tomic.cli.app import app as whole

    if command[0] == "record":
        raise UsageError("a recording cannot be recorded; name another command")
    try:
        if file.is_dir():
            raise UsageError(f"{file} is a folder; name a file in it")
    except OSError as exc:
        raise UsageError(f"{file}: cannot be reached ({exc.strerror or exc})") from exc
    disk.check_target(file)
    # As a step of a job it is only put where the job's steps wait, and records when it runs.
    recorded = replace(context.ensure_object(Invocation), record=file, words=shlex.join(command))
    code = whole(args=command, prog_name="tomic", standalone_mode=False, obj=recorded)
    raise typer.Exit(code if isinstance(code, int) else 0)
