"""`tomic portfolio`: what is held, what it risks, and what a trade would change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomic.cli import completion, options
from tomic.cli.running import INTERRUPTED, runs, stoppable, worst
from tomic.present.forms import Format

if TYPE_CHECKING:
    from tomic.workflows.portfolio.review import PortfolioView

app = typer.Typer()

BOOK_PANEL = "Book"


def _grouping(text: str) -> str:
    from tomic.present.portfolio import GROUPINGS

    if text not in GROUPINGS:
        raise typer.BadParameter(f"{text!r}: choose one of {', '.join(GROUPINGS)}")
    return text


@app.command()
@runs
async def portfolio(
    by: Annotated[
        str,
        typer.Option("--by", parser=_grouping, metavar="strategy|symbol|expiry", help="Rows."),
    ] = "strategy",
    stress: Annotated[
        bool, typer.Option("--stress", help="Show stress tables and known events as well.")
    ] = False,
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="ID|LEGS",
            help='A proposal or legs beside the book: "SPY short_put_spread 560/550 2026-12-18".',
            autocompletion=completion.proposals,
        ),
    ] = "",
    ib_margin: Annotated[
        bool,
        typer.Option(
            "--ib-margin",
            help="Ask TWS for the what-if margin of that trade: one combo order that is never "
            "placed. TWS in read-only mode refuses it; the rest is shown then too.",
        ),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A saved book, without TWS.", rich_help_panel=BOOK_PANEL),
    ] = None,
    last: Annotated[
        bool,
        typer.Option("--last", help="The last saved book.", rich_help_panel=BOOK_PANEL),
    ] = False,
    exit_code: options.ExitCodeOption = False,
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    timeout: options.TimeoutOption = None,
    realtime_only: options.RealtimeOnlyOption = False,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    paced: options.PacedOption = False,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Show what is held: strategies, Greeks, margin, stress and alerts."""
    from tomic.cli import opening

    shape = options.chosen_format(format, as_json)
    desk, progress = opening.desk(
        config=config,
        demo=demo,
        replay=None,
        paced=paced,
        quiet=quiet or last or file is not None,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
        chain={"deadline_s": timeout},
        market={"realtime_only": realtime_only or None},
    )
    with progress, stoppable(desk.interrupt):
        async with desk:
            view = await desk.portfolio(
                with_, each_symbol=stress, ib_margin=ib_margin, file=file, last=last
            )
            interrupted = desk.interrupted
    spots = desk.settings.portfolio.stress.shown_spots if stress else ()
    _print(view, shape, by, spots=spots, every_alert=verbose > 0)
    if missing := view.book.unfinished:
        typer.echo(f"tomic: partial: not all was quoted of {', '.join(missing)}", err=True)
    if not quiet and view.saved is not None:
        verb = "read from" if last or file is not None else "saved as"
        typer.echo(f"book {verb} {view.saved}", err=True)
    return INTERRUPTED if interrupted else _code(view, exit_code=exit_code)


def _print(
    view: PortfolioView, shape: Format, by: str, *, spots: Sequence[float], every_alert: bool
) -> None:
    from tomic.present import chain, portfolio

    terminal = sys.stdout.isatty()
    shown = portfolio.shown(
        view,
        shape,
        by,
        spots=spots,
        every_alert=every_alert,
        width=chain.screen_width(terminal),
        color=terminal,
    )
    typer.echo(shown, nl=False)


def _code(view: PortfolioView, *, exit_code: bool) -> int:
    """3 when asking again may give more, 10 when an alert asks for a decision, else 0."""
    from tomic.models.review import Severity

    unasked = view.considered is not None and bool(view.considered.what_if_problem)
    fired = any(one.severity is not Severity.INFO for one in view.review.alerts)
    is_partial = bool(view.book.unfinished) or unasked
    return worst([3 if is_partial else 0, 10 if exit_code and fired else 0])
