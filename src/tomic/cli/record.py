"""`tomic record`: run another command and keep what its session received."""

from __future__ import annotations

import shlex
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from tomic.cli.running import postponed
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
    try:
        if file.is_dir():
            raise UsageError(f"{file} is a folder; name a file in it")
    except OSError as exc:
        raise UsageError(f"{file}: cannot be reached ({exc.strerror or exc})") from exc
    words = shlex.join(command)
    waiting = postponed()
    first = len(waiting or ())
    with opening.recording(file, words):
        code = whole(args=command, prog_name="tomic", standalone_mode=False)
    if waiting is not None:
        # As a step of a job, it only runs after this.
        waiting[first:] = [_recorded(one, file, words) for one in waiting[first:]]
    raise typer.Exit(code if isinstance(code, int) else 0)


async def _recorded(command: Coroutine[Any, Any, int | None], file: Path, words: str) -> int | None:
    from tomic.cli import opening

    with opening.recording(file, words):
        return await command
