"""`tomic report`: one HTML file to read, print and send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

import tomic
from tomic.cli import completion, options
from tomic.cli.options import help_when_alone
from tomic.cli.running import at_desk, runs
from tomic.report import collect, html as pages, layout

app = typer.Typer(name="report", help="Write a report as one HTML file that needs nothing else.")

HtmlOption = Annotated[
    Path,
    typer.Option(
        "--html",
        dir_okay=False,
        metavar="FILE",
        callback=options.target,
        help="Where to; replaced when it exists.",
    ),
]
ReportOptions = Annotated[options.CommonOptions, "demo config verbose quiet"]


app.callback(invoke_without_command=True)(help_when_alone)


@app.command()
@runs
async def day(html: HtmlOption, *, common: ReportOptions) -> int:
    """The last scan, volatility, open trades, what was refused."""
    return await _write(collect.day, html, common)


@app.command()
@runs
async def proposal(
    proposal: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Such as 20261120-3.", autocompletion=completion.proposals
        ),
    ],
    html: HtmlOption,
    *,
    common: ReportOptions,
) -> int:
    """One saved trade: payoff, figures, legs, Greeks, score."""

    async def collected(desk: tomic.Desk) -> layout.ReportPage:
        return await collect.proposal(desk, proposal)

    return await _write(collected, html, common)


@app.command()
@runs
async def portfolio(
    html: HtmlOption,
    last: Annotated[
        bool, typer.Option("--last", help="The last saved book; nobody is asked.")
    ] = False,
    *,
    common: ReportOptions,
) -> int:
    """What is held: alerts, totals, structures, stress grid."""

    async def collected(desk: tomic.Desk) -> layout.ReportPage:
        return await collect.portfolio(desk, last=last)

    return await _write(collected, html, common, asks=not last)


@app.command()
@runs
async def journal(html: HtmlOption, *, common: ReportOptions) -> int:
    """Open trades, signals, results, and how honest forecasts were."""
    return await _write(collect.journal, html, common)


@app.command()
@runs
async def track(html: HtmlOption, *, common: ReportOptions) -> int:
    """What saved proposals came to: promised and realised by grade."""
    return await _write(collect.track, html, common)


async def _write(
    collected: Callable[[tomic.Desk], Awaitable[layout.ReportPage]],
    file: Path,
    common: options.CommonOptions,
    *,
    asks: bool = False,
) -> int:
    """Collect the page from a desk and write it; where it went is said on stderr. 3 if partial."""
    async with at_desk(common, quiet=not (common.demo or asks)) as desk:
        page = await collected(desk)
    path = pages.write(page, file)
    common.say(f"{page.title}: written to {path}")
    if page.partial:
        typer.echo(f"tomic: partial: {page.partial}", err=True)
    return 3 if page.partial else 0
