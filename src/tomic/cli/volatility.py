"""`tomic prices`, `tomic vol` and `tomic explain`: the memory for volatility."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import typer

import tomic
from tomic import figures, files
from tomic.cli import completion, options, running, screen
from tomic.present import text as definitions, volatility as present
from tomic.present.forms import Format


def print_vol(reports: list[tomic.VolReport], shape: Format, *, detail: bool, quiet: bool) -> None:
    """Print the figures on stdout; that columns are hidden is said on stderr."""
    if shape is not Format.TABLE or detail:
        typer.echo(present.vol(reports, shape), nl=False)
        return
    text, hidden = present.vol_table(reports, screen.width())
    typer.echo(text, nl=False)
    if hidden and not quiet:
        typer.echo(hidden, nl=False, err=True)


def export_vol(reports: list[tomic.VolReport], folder: Path | None) -> list[Path]:
    """Write the other data of each symbol, and an overview of several."""
    if folder is None:
        return []
    stamp = dt.datetime.now().astimezone()
    shots = [report.snapshot for report in reports if _has_figures(report)]
    paths = [files.write_snapshot(shot, None, folder, stamp=stamp) for shot in shots]
    overview = files.write_overview([(shot, None) for shot in shots], folder, stamp=stamp)
    return [overview] if overview is not None else paths


def say_all(errors: list[tuple[str, tomic.TomicError | None]], *, as_json: bool) -> None:
    """Say each different error once, with the symbols it hit."""
    hit: dict[str, tuple[tomic.TomicError, list[str]]] = {}
    for symbol, error in errors:
        if error is not None:
            hit.setdefault(str(error), (error, []))[1].append(symbol)
    for error, symbols in hit.values():
        running.say(error, as_json=as_json)
        if not as_json and symbols[0] not in str(error):
            typer.echo(f"       concerns {', '.join(symbols)}", err=True)
    sys.stderr.flush()


def prices_code(run: tomic.HistoryRun) -> int:
    """0 without errors, 3 when something is there all the same, else the worst error's."""
    return _code(list(run.errors), any(each.error is None or each.rows for each in run.symbols))


def vol_code(reports: list[tomic.VolReport]) -> int:
    """As `prices_code`; a symbol of which any figure is known is something."""
    errors = [report.error for report in reports if report.error is not None]
    return _code(errors, any(map(_has_figures, reports)))


def _code(errors: list[tomic.TomicError], anything: bool) -> int:
    if not errors:
        return 0
    return 3 if anything else running.worst([error.exit_code for error in errors])


def _has_figures(report: tomic.VolReport) -> bool:
    snapshot = report.snapshot
    return any(getattr(snapshot, name) is not None for name in ("spot", "iv30", "hv30"))


app = typer.Typer()

HistoryDaysOption = Annotated[
    int | None,
    typer.Option(
        "--days", min=1, max=7560, help="Trading days to keep, and the one before them.  [252]"
    ),
]
_SHOWN_DAYS, _MONTHS_OF_DAYS = 30, 252


@app.command()
@running.runs
async def prices(
    symbols: options.SymbolsArgument = None,
    days: HistoryDaysOption = None,
    ib_hv: Annotated[
        bool, typer.Option("--ib-hv", help="IB's own historical volatility too, to check ours.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch whole series again.")] = False,
    *,
    gateway: options.GatewayOptions,
    common: Annotated[options.CommonOptions, "format as_json demo paced config verbose quiet"],
) -> int:
    """Bring stored bars and IV up to date: asks for what is missing."""
    names = running.checked_symbols(symbols or [])
    shape = common.shape
    async with running.at_desk(common, gateway, stops=True) as desk:
        run = await desk.prices(
            names, days=days, ib_hv=ib_hv, force=force, timeout_s=gateway.timeout
        )
        interrupted = desk.interrupted
    typer.echo(present.prices(run, shape), nl=False)
    errors = [(each.symbol, each.error) for each in run.symbols]
    say_all(errors, as_json=shape is not Format.TABLE)
    common.say(present.prices_summary(run))
    return running.INTERRUPTED if interrupted else prices_code(run)


@app.command()
@running.runs
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
        bool, typer.Option("--history", help="Print stored days, and what each month expected.")
    ] = False,
    plot: options.PlotOption = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="From the store alone; nobody is asked.")
    ] = False,
    *,
    gateway: options.GatewayOptions,
    common: Annotated[
        options.CommonOptions, "format as_json out no_export demo paced config verbose quiet"
    ],
) -> int:
    """Show volatility: implied, rank, realised, skew, terms, moves."""
    names = running.checked_symbols(symbols or [])
    shape, history = common.shape, history or plot is not None
    async with running.at_desk(common, gateway, stops=True, quiet=stored or history) as desk:
        if history:
            return await _show_history(desk, names, days, plot, common)
        folder = running.export_folder(common, desk.settings)
        reports = await desk.vols(names, days=days, chain=chain, smiles=detail, stored=stored)
        interrupted = desk.interrupted
    print_vol(reports, shape, detail=detail, quiet=common.quiet)
    errors = [(report.symbol, report.error) for report in reports]
    say_all(errors, as_json=shape is not Format.TABLE)
    paths = export_vol(reports, folder)
    common.say(present.vol_summary(reports, paths))
    return running.INTERRUPTED if interrupted else vol_code(reports)


@app.command()
def explain(
    metric: Annotated[
        str | None,
        typer.Argument(
            help="Such as iv_rank; without one, all are listed.", autocompletion=completion.metrics
        ),
    ] = None,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
) -> None:
    """Print definition, unit, formula and caveat of a figure."""
    shape = options.chosen_format(format, as_json)
    if metric is None:
        typer.echo(definitions.definitions_table(figures.ALL, shape), nl=False)
    else:
        typer.echo(definitions.definition(figures.find(metric), shape), nl=False)


async def _show_history(
    desk: tomic.Desk,
    names: list[str],
    days: int | None,
    plot: Path | None,
    common: options.CommonOptions,
) -> int:
    """Print or draw what is stored."""
    if desk.demo:
        await desk.prices(names)
    symbols = names or desk.settings.market.symbols
    if plot is not None and len(symbols) > 1:
        raise tomic.UsageError(f"--plot {plot}: one symbol makes one picture; name which")
    reach = max(days or 0, _MONTHS_OF_DAYS)
    rows = {symbol: await desk.vol_history(symbol, reach) for symbol in symbols}
    if plot is not None:
        past = rows[symbols[0]][-days:] if days else rows[symbols[0]]
        running.draw_to(plot, common, "volatility_history", symbols[0], past)
        return 0
    shown = days or _SHOWN_DAYS
    text = present.history(rows, common.shape, days=shown, width=screen.width())
    typer.echo(text, nl=False)
    return 0
