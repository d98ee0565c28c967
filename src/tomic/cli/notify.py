"""`tomic notify`, and telling at the end of a command or job what changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tomic import config as configuration
from tomic.cli import options
from tomic.cli.running import configure_logging, runs
from tomic.errors import TomicError
from tomic.masking import named_here
from tomic.workflows import notify as work

if TYPE_CHECKING:
    from tomic.models.notices import Observation
    from tomic.store import Database

app = typer.Typer(name="notify", help="Messages about what changed.")
app.callback(invoke_without_command=True)(options.help_when_alone)

_NOT_TAKEN = 6
"""Exit code where a service took no message: the same command may do it later."""


@app.command()
@runs
async def test(common: Annotated[options.CommonOptions, "config verbose quiet"]) -> int:
    """Send a test message to every service of [notify]."""
    settings = configuration.load_settings(common.config)
    configure_logging(settings.log, verbose=common.verbose, quiet=common.quiet)
    deliveries = await work.test(settings)
    for number, each in enumerate(deliveries, 1):
        typer.echo(f"{number} {each.scheme}: {each.problem or 'sent'}")
    return _NOT_TAKEN if any(each.problem for each in deliveries) else 0


def is_wanted(common: options.CommonOptions, notify: bool) -> bool:
    """Whether a command tells what changed: it was asked to, or its job tells everything."""
    return notify or common.invocation.notifies


async def tell(
    store: Database,
    settings: configuration.Settings,
    look: Observation,
    common: options.CommonOptions,
) -> None:
    """Tell what *look* saw, or leave that to the job that this is a step of."""
    if common.invocation.observed is not None:
        common.invocation.observed.append(look)
    else:
        await tell_all(store, settings, [look], common)


async def tell_all(
    store: Database,
    settings: configuration.Settings,
    looks: Sequence[Observation],
    common: options.CommonOptions,
) -> None:
    """Tell in one message what is new; what goes wrong is said, and changes no exit code."""
    try:
        told = await work.tell(store, settings, looks, at=dt.datetime.now(dt.UTC), demo=common.demo)
    except TomicError as exc:
        typer.echo(f"tomic: not told: {named_here.text(str(exc))}", err=True)
        return
    for problem in told.problems:
        typer.echo(f"tomic: {problem}", err=True)
    if told.text:
        common.say(told.text)
