"""`tomic portfolio`: what is held, what it risks, and what a trade would change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tomic.cli import completion, options
from tomic.cli.running import INTERRUPTED, at_desk, runs, worst
from tomic.present import chain, portfolio as present
from tomic.present.forms import Format
from tomic.workflows.portfolio import review

app = typer.Typer()

BOOK_PANEL = "Book"


def _grouping(text: str) -> str:
    if text not in present.GROUPINGS:
        raise typer.BadParameter(f"{text!r}: choose one of {', '.join(present.GROUPINGS)}")
    return text


@app.command()
@runs
async def portfolio(
    by: Annotated[
        str, typer.Option("--by", parser=_grouping, metavar="strategy|symbol|expiry", help="Rows.")
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
        bool, typer.Option("--last", help="The last saved book.", rich_help_panel=BOOK_PANEL)
    ] = False,
    exit_code: options.ExitCodeOption = False,
    *,
    gateway: options.GatewayOptions,
    realtime_only: options.RealtimeOnlyOption = False,
    common: Annotated[
        options.CommonOptions, "format as_json show_accounts demo paced config verbose quiet"
    ],
) -> int:
    """Show what is held: strategies, Greeks, margin, stress and alerts."""
    shape = common.shape
    market = {"realtime_only": realtime_only or None}
    is_saved = last or file is not None
    async with at_desk(common, gateway, stops=True, quiet=is_saved, market=market) as desk:
        view = await desk.portfolio(
            with_, each_symbol=stress, ib_margin=ib_margin, file=file, last=last
        )
        interrupted = desk.interrupted
    spots = desk.settings.portfolio.stress.shown_spots if stress else ()
    shown = _text(view, shape, by, spots=spots, every_alert=common.verbose > 0)
    common.give(shown, [account.account for account in view.book.accounts])
    if missing := view.book.unfinished:
        typer.echo(f"tomic: partial: not all was quoted of {', '.join(missing)}", err=True)
    if view.saved is not None:
        common.say(f"book {'read from' if is_saved else 'saved as'} {view.saved}")
    return INTERRUPTED if interrupted else _code(view, exit_code=exit_code)


def _text(
    view: review.PortfolioReview,
    shape: Format,
    by: str,
    *,
    spots: Sequence[float],
    every_alert: bool,
) -> str:
    terminal = sys.stdout.isatty()
    return present.shown(
        view,
        shape,
        by,
        spots=spots,
        every_alert=every_alert,
        width=chain.screen_width(terminal),
        color=terminal,
    )


def _code(view: review.PortfolioReview, *, exit_code: bool) -> int:
    """3 when asking again may give more, 10 when an alert asks for a decision, else 0."""
    from tomic.models.review import Severity

    unasked = view.considered is not None and bool(view.considered.what_if_problem)
    fired = any(alert.severity is not Severity.INFO for alert in view.review.alerts)
    is_partial = bool(view.book.unfinished) or unasked
    return worst([3 if is_partial else 0, 10 if exit_code and fired else 0])
