"""`tomic portfolio`: what is held, what it risks, and what a trade would change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomic import notices
from tomic.cli import completion, notify as telling, options, screen
from tomic.cli.running import INTERRUPTED, at_desk, runs, worst
from tomic.errors import UsageError
from tomic.portfolio import what_if as work
from tomic.present import chain, portfolio as present, what_if
from tomic.present.forms import Format
from tomic.workflows.portfolio import review

if TYPE_CHECKING:
    from tomic.models.what_if import WhatIf

app = typer.Typer()

WHAT_IF_PANEL = "What if"
_PER_CENT = re.compile(r"([+-]?\d{1,6}(?:\.\d{1,9})?)%", re.ASCII)


def _share(text: str) -> float:
    """``-5%`` as -0.05."""
    match = _PER_CENT.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r}: write it in per cent, such as -5% or +20%")
    return float(match[1]) / 100.0


@dataclass(frozen=True, slots=True)
class WhatIfOptions:
    """One structure, and what may happen to it."""

    what_if: Annotated[
        str,
        typer.Option(
            "--what-if",
            metavar="ID",
            help="P&L of one structure by price and day: its id, symbol or journal entry.",
            rich_help_panel=WHAT_IF_PANEL,
        ),
    ] = ""
    move: Annotated[
        float | None,
        typer.Option(
            parser=_share, metavar="%", help="Of the price: -5%.", rich_help_panel=WHAT_IF_PANEL
        ),
    ] = None
    vol: Annotated[
        float | None,
        typer.Option(
            parser=_share,
            metavar="%",
            help="Of every volatility, relative: +20%.",
            rich_help_panel=WHAT_IF_PANEL,
        ),
    ] = None
    days: Annotated[
        int | None, typer.Option(help="Calendar days to pass.", rich_help_panel=WHAT_IF_PANEL)
    ] = None

    def check(self, with_: str) -> None:
        """
        Refuse what cannot be, before anything is asked.

        Raises:
            UsageError: Options that exclude or need each other, or an impossible move.
        """
        given = {"--move": self.move, "--vol": self.vol, "--days": self.days}
        named = [name for name, value in given.items() if value is not None]
        if not self.what_if.strip():
            if named:
                raise UsageError(f"{named[0]} needs a structure: --what-if ID")
            return
        if with_:
            raise UsageError("--what-if is of what is held, --with of what is not; give one")
        work.check(self.move or 0.0, self.vol or 0.0, self.days or 0)

    def of(self, view: review.PortfolioReview) -> WhatIf:
        """What was asked, of a review."""
        return view.what_if(
            self.what_if, move=self.move or 0.0, vol=self.vol or 0.0, days=self.days or 0
        )


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
    notify: options.NotifyOption = False,
    *,
    asked: WhatIfOptions,
    gateway: options.GatewayOptions,
    realtime_only: options.RealtimeOnlyOption = False,
    common: Annotated[
        options.CommonOptions, "format as_json show_accounts demo paced config verbose quiet"
    ],
) -> int:
    """Show what is held: Greeks, margin, stress and alerts."""
    shape = common.shape
    asked.check(with_)
    market = {"realtime_only": realtime_only or None}
    is_saved = last or file is not None
    async with (
        at_desk(common, gateway, stops=True, quiet=is_saved, market=market) as desk,
        telling.of_loss(desk, common, notify=notify),
    ):
        view = await desk.portfolio(
            with_, each_symbol=stress, ib_margin=ib_margin, file=file, last=last
        )
        interrupted = desk.interrupted
        if telling.is_wanted(common, notify):
            whole = not view.book.unfinished and not interrupted
            look = notices.of_book(view.review, whole=whole)
            await telling.tell_of(desk, look, common)
    if asked.what_if.strip():
        shown = what_if.shown(asked.of(view), shape)
    else:
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
    return present.shown(
        view,
        shape,
        by,
        spots=spots,
        every_alert=every_alert,
        width=screen.width() or chain.PIPED_WIDTH,
    )


def _code(view: review.PortfolioReview, *, exit_code: bool) -> int:
    """3 when asking again may give more, 10 when an alert asks for a decision, else 0."""
    from tomic.models.review import Severity

    unasked = view.considered is not None and bool(view.considered.what_if_problem)
    fired = any(alert.severity is not Severity.INFO for alert in view.review.alerts)
    is_partial = bool(view.book.unfinished) or unasked
    return worst([3 if is_partial else 0, 10 if exit_code and fired else 0])
