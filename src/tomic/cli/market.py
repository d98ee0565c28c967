"""`tomic chain`: option chains on the screen and in files."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from tomic.cli import completion, options
from tomic.cli.options import Format
from tomic.cli.running import runs, stoppable

app = typer.Typer()


@app.command()
@runs
async def chain(
    symbols: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL...",
            help="Underlyings, for example SPY QQQ.",
            autocompletion=completion.symbols,
        ),
    ],
    dte: options.DteOption = None,
    monthlies: Annotated[
        int | None, typer.Option(min=0, help="Third-Friday expiries to take.")
    ] = None,
    weeklies: Annotated[
        int | None, typer.Option(min=0, help="Expiries of other weeks to take.")
    ] = None,
    expiries: Annotated[
        str | None, typer.Option(metavar="selected|all", help="All: dailies and quarter ends too.")
    ] = None,
    strike_range: Annotated[
        str | None,
        typer.Option(metavar="10|5%|2s", help="Strikes around spot: points, per cent or sigmas."),
    ] = None,
    delta: options.DeltaOption = None,
    side: Annotated[
        str | None, typer.Option(metavar="both|calls|puts", help="Which rights.")
    ] = None,
    trading_class: Annotated[
        str | None, typer.Option(help="For example SPX (AM settled) instead of SPXW.")
    ] = None,
    realtime_only: options.RealtimeOnlyOption = False,
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
    replay: options.ReplayOption = None,
    as_of: options.AsOfOption = None,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Fetch option chains, print them and write them to the export folder."""
    from tomic.cli import chain_output, opening, preloading

    symbols = opening.checked_symbols(symbols)
    rules: dict[str, object] = {
        "monthlies": monthlies,
        "weeklies": weeklies,
        "expiries": expiries,
        "strike_range": strike_range,
        "side": side,
        "trading_class": trading_class,
        "deadline_s": timeout,
        "min_delta": delta.least if delta else None,
        "max_delta": delta.most if delta else None,
    }
    desk, progress = opening.desk(
        config=config,
        demo=demo,
        replay=replay,
        as_of=as_of,
        paced=paced,
        quiet=quiet,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
        chain=rules,
        market={"realtime_only": realtime_only or None},
    )
    shape = options.chosen_format(format, as_json)
    folder = opening.export_folder(desk.settings, out, no_export=no_export)
    writer = chain_output.Writer(shape, folder)
    with progress, stoppable(desk.interrupt):
        async with desk, preloading.Preloading(*preloading.CHAIN) as progress.then:
            days = (dte.least, dte.most) if dte else None
            outcomes = await desk.chains(symbols, dte=days, on_done=writer.on_done)
            interrupted = desk.interrupted
            await asyncio.to_thread(writer.compose, outcomes)
    return writer.finish(outcomes, interrupted=interrupted, quiet=quiet)
