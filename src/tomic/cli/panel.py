"""`tomic panel`: the control panel."""

from __future__ import annotations

import sys
from logging import NullHandler
from typing import Annotated

import typer

from tomic import config as configuration
from tomic.cli import options
from tomic.cli.running import log_files, log_to
from tomic.errors import UsageError

app = typer.Typer()


@app.command()
def panel(
    demo: options.DemoOption = False,
    paced: options.PacedOption = False,
    replay: options.ReplayOption = None,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Draw with plain letters, whatever the terminal says.")
    ] = False,
    config: options.ConfigOption = None,
) -> None:
    """Open the control panel: all of it on one screen."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("the panel needs a terminal; every view has a command, see tomic --help")
    if demo and replay is not None:
        raise UsageError("--demo and --replay exclude each other; give one of them")
    try:
        if replay is not None and not replay.is_file():
            raise UsageError(f"{replay}: no such file")
    except OSError as exc:
        raise UsageError(f"{replay}: cannot be read ({exc.strerror or exc})") from exc
    settings = configuration.load_settings(config)
    try:
        from tomic.panel import app as control
        from tomic.panel.widgets.plot import ASCII
    except ModuleNotFoundError as exc:
        if (exc.name or "").split(".")[0] != "textual":
            raise
        raise UsageError(
            f"the panel needs textual ({exc.name} is not installed); "
            "in the clone: pip install '.[panel]'"
        ) from exc
    # The screen belongs to the panel, so nothing is logged to stderr.
    log_to(settings.log.level, *(log_files(settings.log) or [NullHandler()]))
    source = control.PanelSource(demo=demo, replay=replay, config=config, paced=paced)
    raise typer.Exit(control.run(source, glyphs=ASCII if ascii_only else None))
