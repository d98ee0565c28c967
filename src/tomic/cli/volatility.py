"""`tomic prices`, `tomic vol` and `tomic explain`: the memory for volatility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tomic.cli import completion, options
from tomic.cli.options import Format
from tomic.cli.running import INTERRUPTED, runs, stoppable

if TYPE_CHECKING:
    from tomic.desk import Desk

app = typer.Typer()

HistoryDaysOption = Annotated[
    int | None,
    typer.Option(
        "--days", min=1, max=7560, help="Trading days to keep, and the one before them.  [252]"
    ),
]
_SHOWN_DAYS = 30


@app.command()
@runs
async def prices(
    symbols: options.SymbolsArgument = None,
    days: HistoryDaysOption = None,
    ib_hv: Annotated[
        bool, typer.Option("--ib-hv", help="IB's own historical volatility too, to check ours.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch whole series again.")] = False,
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    timeout: options.TimeoutOption = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    paced: options.PacedOption = False,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Bring stored bars and implied volatility up to date: only what is missing is asked for."""
    from tomic.cli import opening, render_volatility, volatility_output

    names = opening.checked_symbols(symbols or [])
    gateway = {"host": host, "port": port, "client_id": client_id}
    desk, progress = opening.desk(
        config=config, demo=demo, replay=None, paced=paced, quiet=quiet, verbose=verbose, ib=gateway
    )
    shape = options.chosen_format(format, as_json)
    with progress, stoppable(desk.interrupt):
        async with desk:
            run = await desk.prices(names, days=days, ib_hv=ib_hv, force=force, timeout_s=timeout)
            interrupted = desk.interrupted
    typer.echo(render_volatility.prices(run, shape), nl=False)
    errors = [(one.symbol, one.error) for one in run.symbols]
    volatility_output.say_all(errors, as_json=shape is not Format.TABLE)
    if not quiet:
        typer.echo(render_volatility.prices_summary(run), err=True)
    return INTERRUPTED if interrupted else volatility_output.prices_code(run)


@app.command()
@runs
async def vol(
    symbols: options.SymbolsArgument = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="Every figure with its source, age and reason.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(min=2, max=2520, help="Window of rank and percentile; rows of --history."),
    ] = None,
    chain: Annotated[
        bool, typer.Option("--chain", help="Take the chain of the day: skew, terms, moves.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Print stored closes and volatilities instead.")
    ] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="From the store alone; nobody is asked.")
    ] = False,
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    timeout: options.TimeoutOption = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    out: options.OutOption = None,
    no_export: options.NoExportOption = False,
    demo: options.DemoOption = False,
    paced: options.PacedOption = False,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Show volatility: implied, rank, realised, skew, terms, moves, each with its source."""
    from tomic.cli import opening, render_volatility, volatility_output

    names = opening.checked_symbols(symbols or [])
    desk, progress = opening.desk(
        config=config,
        demo=demo,
        replay=None,
        paced=paced,
        quiet=quiet or stored or history,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
        chain={"deadline_s": timeout},
    )
    shape = options.chosen_format(format, as_json)
    with progress, stoppable(desk.interrupt):
        async with desk:
            if history:
                text = await _history(desk, names, days or _SHOWN_DAYS, shape)
                typer.echo(text, nl=False)
                return 0
            reports = await desk.vols(names, days=days, chain=chain, smiles=detail, stored=stored)
            interrupted = desk.interrupted
    volatility_output.print_vol(reports, shape, detail=detail, quiet=quiet)
    named = [(one.symbol, one.error) for one in reports]
    volatility_output.say_all(named, as_json=shape is not Format.TABLE)
    folder = opening.export_folder(desk.settings, out, no_export=no_export)
    paths = volatility_output.export_vol(reports, folder)
    if not quiet:
        typer.echo(render_volatility.vol_summary(reports, paths), err=True)
    return INTERRUPTED if interrupted else volatility_output.vol_code(reports)


@app.command()
def explain(
    metric: Annotated[
        str | None,
        typer.Argument(
            help="Such as iv_rank; without one, all are listed.",
            autocompletion=completion.metrics,
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Print definition, unit, formula, source and caveat of a metric."""
    from tomic import definitions
    from tomic.cli import render_definitions

    if metric is None:
        typer.echo(render_definitions.definitions_table(definitions.ALL, as_json=as_json), nl=False)
    else:
        found = definitions.find(metric)
        typer.echo(render_definitions.definition(found, as_json=as_json), nl=False)


async def _history(desk: Desk, names: list[str], days: int, shape: Format) -> str:
    from tomic.cli import render_volatility

    if desk.demo:
        await desk.prices(names)
    symbols = names or desk.settings.market.symbols
    rows = {symbol: await desk.vol_history(symbol, days) for symbol in symbols}
    return render_volatility.history(rows, shape)
