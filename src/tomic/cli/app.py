"""The `tomic` command: every sub-command, and what happens to errors that none of them caught."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tomic import __version__
from tomic.cli import (
    config,
    doctor,
    gateway,
    jobs,
    journal,
    market,
    panel,
    portfolio,
    record,
    report,
    scan,
    store,
    volatility,
)
from tomic.cli.running import fail, quiet_pipe
from tomic.errors import TomicError

app = typer.Typer(
    name="tomic",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=(
        "Tactical Option Modeling & Insight Console: option chains, volatility, ranked trades and "
        "an honest journal over Interactive Brokers. It never trades: no command can send an order."
    ),
    epilog="Try it without TWS: tomic chain SPY --demo",
)
app.registered_commands += market.app.registered_commands
app.registered_commands += scan.app.registered_commands
app.registered_commands += portfolio.app.registered_commands
app.registered_commands += volatility.app.registered_commands
app.registered_commands += doctor.app.registered_commands
app.registered_commands += gateway.app.registered_commands
app.registered_commands += jobs.app.registered_commands
app.registered_commands += record.app.registered_commands
app.registered_commands += panel.app.registered_commands
app.add_typer(config.app, name="config")
app.add_typer(report.app, name="report")
app.add_typer(store.app, name="store")
app.add_typer(journal.app, name="journal")
app.add_typer(scan.strategies_app, name="strategies")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tomic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Shared options follow the sub-command."""


def main() -> None:
    """Run the command line; errors of TOMIC become one line on stderr and an exit code."""
    try:
        with quiet_pipe():
            app()
    except typer.Exit as exc:
        sys.exit(exc.exit_code)
    except TomicError as exc:
        try:
            fail(exc)
        except typer.Exit as done:
            sys.exit(done.exit_code)
