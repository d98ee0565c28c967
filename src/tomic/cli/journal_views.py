"""`tomic journal list`, `show`, `check`, `stats` and the other commands that look."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from tomic.cli import options
from tomic.cli.journal_opening import (
    EntriesArgument,
    EntryArgument,
    OfflineOption,
    StatusOption,
    opened,
)
from tomic.cli.options import Format
from tomic.cli.running import runs, worst
from tomic.errors import UsageError

if TYPE_CHECKING:
    from tomic.workflows.journal_review import CheckRun

app = typer.Typer()

SymbolOption = Annotated[
    str | None, typer.Option("--symbol", "-s", help="Only of this one.", show_default=False)
]


@app.command(name="list")
@runs
async def list_(
    every: Annotated[bool, typer.Option("--all", help="Closed and cancelled ones too.")] = False,
    status: StatusOption = None,
    symbol: SymbolOption = None,
    strategy: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(parser=options.parse_moment, metavar="DAY", help="Opened on it or later."),
    ] = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
    quiet: options.QuietOption = False,
) -> None:
    """List entries, the open ones unless told otherwise."""
    from tomic.cli import render_journal
    from tomic.workflows.journal import listing

    wanted = status or (None if every else "open")
    async with opened(config, demo=demo, quiet=quiet, asks=False) as journal:
        rows = await listing(
            journal,
            status=wanted,
            symbol=symbol.upper() if symbol else None,
            strategy=strategy,
            since=since.date() if since else None,
        )
    typer.echo(render_journal.listing(rows, options.chosen_format(format, as_json)), nl=False)
    if not rows and not quiet:
        what = f"{wanted} entries" if wanted else "entries"
        typer.echo(f"no {what}; tomic journal add opens one", err=True)


@app.command()
@runs
async def show(
    entry: EntryArgument,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
    quiet: options.QuietOption = False,
) -> None:
    """Print one entry whole: trades, result, context, rules, notes."""
    from tomic.cli import render_journal
    from tomic.workflows.journal import load

    async with opened(config, demo=demo, quiet=quiet, asks=False) as journal:
        one = await load(journal, entry)
    typer.echo(render_journal.whole(one, as_json=as_json), nl=False)


@app.command()
@runs
async def history(
    entry: EntryArgument,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
    quiet: options.QuietOption = False,
) -> None:
    """Print every change of an entry, oldest first: nothing is ever lost."""
    from tomic.cli import render_journal
    from tomic.workflows import journal as journals

    async with opened(config, demo=demo, quiet=quiet, asks=False) as journal:
        changes = await journals.history(journal, entry)
    typer.echo(render_journal.history(changes, options.chosen_format(format, as_json)), nl=False)


@app.command()
@runs
async def check(
    entries: EntriesArgument = None,
    exit_code: options.ExitCodeOption = False,
    no_keep: Annotated[
        bool, typer.Option("--no-keep", help="Do not keep today's marks with the entries.")
    ] = False,
    offline: OfflineOption = False,
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    timeout: options.TimeoutOption = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    replay: options.ReplayOption = None,
    as_of: options.AsOfOption = None,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Judge the exit rules of open entries on live marks, or on those of a recording."""
    from tomic.cli import render_journal
    from tomic.workflows import journal_review as review

    async with opened(
        config,
        demo=demo,
        replay=replay,
        as_of=as_of,
        quiet=quiet,
        asks=not offline,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
        timeout=timeout,
    ) as journal:
        found = await review.check(journal, entries or (), keep=not no_keep)
    shape = options.chosen_format(format, as_json)
    typer.echo(render_journal.checks(found, shape), nl=False)
    for name, error in found.errors.items():
        typer.echo(f"tomic: {name}: {error}", err=True)
    if not quiet:
        typer.echo(render_journal.check_summary(found), err=True)
    return check_code(found, exit_code=exit_code)


def check_code(found: CheckRun, *, exit_code: bool) -> int:
    """10 when a rule fired and that was asked for; 3 when part of it could not be judged."""
    codes = [10] if exit_code and found.fired else []
    if found.is_partial or found.errors:
        marked = any(one.pnl is not None for one in found.checks)
        codes.append(
            3 if marked else worst([one.exit_code for one in found.errors.values()] or [3])
        )
    return worst(codes)


@app.command()
@runs
async def snapshot(
    entries: EntriesArgument = None,
    note: Annotated[str, typer.Option(help="Kept with each.")] = "",
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    timeout: options.TimeoutOption = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Keep the marks of this moment with open entries: what attributions start from."""
    from tomic.cli import render_journal
    from tomic.workflows import journal_review as review

    gateway = {"host": host, "port": port, "client_id": client_id}
    async with opened(
        config, demo=demo, quiet=quiet, verbose=verbose, ib=gateway, timeout=timeout
    ) as journal:
        taken = await review.snapshot(journal, entries or (), note=note)
    typer.echo(render_journal.snapshots(taken, options.chosen_format(format, as_json)), nl=False)
    for one in taken:
        if one.problem:
            typer.echo(f"tomic: entry {one.entry.id}: {one.problem}", err=True)
    return 3 if any(one.problem for one in taken) else 0


@app.command()
@runs
async def attribute(
    entries: EntriesArgument = None,
    offline: OfflineOption = False,
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    timeout: options.TimeoutOption = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    replay: options.ReplayOption = None,
    as_of: options.AsOfOption = None,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Say where the P&L came from, by Greeks and by revaluation, since entry and yesterday."""
    from tomic.cli import render_journal_report
    from tomic.workflows import journal_review as review

    async with opened(
        config,
        demo=demo,
        replay=replay,
        as_of=as_of,
        quiet=quiet,
        asks=not offline,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
        timeout=timeout,
    ) as journal:
        found = await review.attribute(journal, entries or ())
    shape = options.chosen_format(format, as_json)
    typer.echo(render_journal_report.attributions(found, shape), nl=False)
    if not quiet:
        for one in found:
            for text in one.notes:
                typer.echo(f"entry {one.entry.id}: {text}", err=True)
    return 0 if all(one.since_entry or one.since_yesterday for one in found) else 3


@app.command()
@runs
async def stats(
    by: Annotated[
        str | None, typer.Option(metavar="strategy|symbol|month|grade", help="A line for each.")
    ] = None,
    symbol: SymbolOption = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
    quiet: options.QuietOption = False,
) -> None:
    """Win rate, expectancy, drawdown, and how honest the forecasts and the score have been."""
    from tomic.cli import render_journal_report
    from tomic.workflows import journal_statistics as statistics

    if by is not None and by not in statistics.BY:
        raise UsageError(f"--by {by}: there are {', '.join(statistics.BY)}")
    async with opened(config, demo=demo, quiet=quiet, asks=False) as journal:
        found = await statistics.report(
            journal, by=statistics.BY.get(by or ""), symbol=symbol.upper() if symbol else None
        )
    typer.echo(
        render_journal_report.report(found, options.chosen_format(format, as_json)), nl=False
    )
    if not quiet:
        for text in found.notes:
            typer.echo(f"note: {text}", err=True)
