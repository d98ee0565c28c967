"""`tomic notify`, and telling at the end of a command or job what changed."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tomic import config as configuration, desk as desks, notices
from tomic.cli import options
from tomic.cli.running import configure_logging, runs
from tomic.errors import SessionError, TomicError
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
    looks: Sequence[Observation],
    common: options.CommonOptions,
) -> None:
    """Tell what was seen, or leave that to the job that this is a step of."""
    if common.invocation.observed is not None:
        common.invocation.observed.extend(looks)
    else:
        await tell_all(store, settings, looks, common)


async def tell_of(desk: desks.Desk, look: Observation, common: options.CommonOptions) -> None:
    """Tell what was seen at *desk*, and that TWS was there where it was asked."""
    looks = [look, *([notices.of_gateway()] if desk.has_session else [])]
    await tell(await desk.store(), desk.settings, looks, common)


@contextlib.asynccontextmanager
async def of_loss(
    desk: desks.Desk, common: options.CommonOptions, *, notify: bool
) -> AsyncIterator[None]:
    """Tell that TWS cannot be reached, where that ends what is inside; a job tells it itself."""
    try:
        yield
    except SessionError as exc:
        if notify:
            look = notices.of_gateway(str(exc))
            await tell(await desk.store(), desk.settings, [look], common)
        raise


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
