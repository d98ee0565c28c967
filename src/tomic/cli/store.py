"""`tomic store`: what is stored, whether it is sound, a copy of it, and files taken into it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tomic import config as configuration, store
from tomic.cli.options import ConfigOption, FormatOption, JsonOption, chosen_format, help_when_alone
from tomic.cli.running import runs
from tomic.present import store as present
from tomic.present.forms import Format
from tomic.workflows import surfaces

_FAULTS_SHOWN = 5
"""Rows of one file whose faults are printed."""

app = typer.Typer(name="store", help="Look after the database of prices, scans and journal.")


app.callback(invoke_without_command=True)(help_when_alone)


StoreOfDemo = Annotated[
    bool, typer.Option("--demo", help="The store of the demo instead of your own.")
]


@app.command()
@runs
async def info(
    format: FormatOption = Format.TABLE,
    as_json: JsonOption = False,
    demo: StoreOfDemo = False,
    config: ConfigOption = None,
) -> None:
    """Print size, version, rows and the span of each series."""
    async with _open(config, demo=demo) as db:
        described = await db.info()
    typer.echo(present.info(described, chosen_format(format, as_json)), nl=False)


@app.command()
@runs
async def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes.")],
    demo: StoreOfDemo = False,
    config: ConfigOption = None,
) -> None:
    """Copy the store to a file, replacing an earlier backup there."""
    async with _open(config, demo=demo) as db:
        size = await db.backup(file)
    typer.echo(f"{file}: {present.megabytes(size)}, checked", err=True)


@app.command()
@runs
async def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What tomic store backup made.")],
    demo: StoreOfDemo = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup in the store's place; what was there is kept."""
    db = _open(config, demo=demo)
    done = await db.restore(file)
    typer.echo(
        f"{db.path}: restored from {file}, {present.megabytes(done.size)}, checked", err=True
    )
    if done.aside is not None:
        typer.echo(f"the former store is kept as {done.aside}", err=True)
    if done.lost:
        typer.echo(f"it alone has {' and '.join(done.lost)}", err=True)


@app.command()
@runs
async def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="CSV files of chains to judge instead of the store."
        ),
    ] = None,
    format: FormatOption = Format.TABLE,
    as_json: JsonOption = False,
    demo: StoreOfDemo = False,
    config: ConfigOption = None,
) -> int:
    """Look for damage in the store, or in exported CSV files."""
    shape = chosen_format(format, as_json)
    if files:
        _judge(files, shape)
        return 0
    async with _open(config, demo=demo) as db:
        problems = await db.check()
    typer.echo(present.problems(problems, shape), nl=False)
    typer.echo(present.verdict(db.path, problems), err=True)
    return 1 if problems else 0


@app.command()
@runs
async def prune(demo: StoreOfDemo = False, config: ConfigOption = None) -> None:
    """Delete kept chains older than store.keep_chains."""
    keep = configuration.load_settings(config).store.keep_chains
    today = dt.datetime.now(ZoneInfo("America/New_York")).date()
    before = today - keep if keep else None
    async with _open(config, demo=demo) as db:
        count = await db.kept.prune(before or dt.date.max)
    typer.echo(present.pruned(db.path, count, before), err=True)


def _judge(files: list[Path], shape: Format) -> None:
    """Print what is usable and what is wrong in each file."""
    from tomic.files.quality import check_file

    judged = [(file, check_file(file)) for file in files]
    typer.echo(present.quality(judged, shape), nl=False)


@app.command(name="import")
@runs
async def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="The original's volatility.db, a calendar of earnings or dividends, or daily "
            "surfaces: a CSV, or the original's iv_daily_summary.",
        ),
    ],
    demo: StoreOfDemo = False,
    config: ConfigOption = None,
) -> None:
    """Take files into the store; what kind each is, its content tells. Repeating adds nothing."""
    async with _open(config, demo=demo) as db:
        for file in files:
            taken = await surfaces.import_file(db, file)
            counts = ", ".join(f"{count} {what}" for what, count in taken.counts.items())
            rows = f", {len(taken.left_out)} rows left out" if taken.left_out else ""
            typer.echo(f"{file}: {taken.kind}: {counts}{rows}", err=True)
            if taken.cleaned:
                told = "; ".join(taken.cleaned)
                typer.echo(f"  a backtest will not believe: {told}", err=True)
            for fault in taken.left_out[:_FAULTS_SHOWN]:
                typer.echo(f"  {fault}", err=True)
            if len(taken.left_out) > _FAULTS_SHOWN:
                typer.echo(f"  and {len(taken.left_out) - _FAULTS_SHOWN} more", err=True)


def _open(config: Path | None, *, demo: bool) -> store.Database:
    settings = configuration.load_settings(config).store
    path = settings.demo_path if demo else settings.path
    return store.Database(path, busy_timeout_s=settings.lock_wait_s)
