"""`tomic manage`: what to do with open positions, each alternative with its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from tomic.cli import completion, options, screen
from tomic.cli.running import at_desk, hand_over, runs, worst
from tomic.errors import UsageError
from tomic.journal.manage import orders
from tomic.present import chain, manage as present
from tomic.present.forms import Format
from tomic.present.text import reasons
from tomic.workflows.journal import manage as managing, statistics

if TYPE_CHECKING:
    from tomic.models.manage import Advice, Move

app = typer.Typer()


@app.command()
@runs
async def manage(
    position: Annotated[
        str,
        typer.Argument(
            metavar="[ID|SYMBOL]",
            help="A journal entry, a structure of the book, or a symbol; all open ones without.",
            show_default=False,
            autocompletion=completion.entries,
        ),
    ] = "",
    pick: Annotated[
        int | None,
        typer.Option("--pick", min=1, metavar="N", help="Only that alternative, by its number."),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="What alternatives shown earlier would have brought.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody: the last stored chain has to do.")
    ] = False,
    no_keep: Annotated[
        bool, typer.Option("--no-keep", help="Do not keep what is shown for --history.")
    ] = False,
    exit_code: options.ExitCodeOption = False,
    *,
    ticket: Annotated[options.TicketOptions, "ticket link"],
    gateway: options.GatewayOptions,
    common: Annotated[
        options.CommonOptions, "format as_json demo paced replay as_of config verbose quiet"
    ],
) -> int:
    """Say what to do with each position: hold, close or roll."""
    async with at_desk(common, gateway, stops=True, asks=not (offline or history)) as desk:
        if history:
            symbol = position.upper() or None
            journal = await desk.journal(offline=True)
            known = await statistics.alternatives(journal, symbol=symbol)
            typer.echo(present.history(known, common.shape), nl=False)
            common.say(*present.history_notes(known))
            return 0
        run = await desk.manage(position, offline=offline, keep=not no_keep)
    if ticket.wanted:
        advice, move = _picked(run, pick)
        shown = orders.afterwards(advice, move) if ticket.link else None
        made = orders.ticket(advice, move) if ticket.ticket is not None else shown
        if made is not None:
            hand_over(made, ticket, common, shown=shown)
        return code_of(run, exit_code=exit_code)
    width = screen.width() or chain.PIPED_WIDTH
    run = run if pick is None else _only(run, pick)
    typer.echo(present.shown(run, common.shape, whole=bool(position), width=width), nl=False)
    if pick is not None and common.shape is Format.TABLE:
        advice, move = _picked(run, None)
        if move.trades:
            typer.echo(present.order_text(advice, move), nl=False)
    for line in reasons(run.errors.items()):
        typer.echo(f"tomic: {line}", err=True)
    common.say(*(f"note: {note}" for note in run.notes), present.summary(run))
    return code_of(run, exit_code=exit_code)


def _picked(run: managing.ManageRun, pick: int | None) -> tuple[Advice, Move]:
    """
    The position, and the alternative of a number, or the first.

    Raises:
        UsageError: Several positions, or no such alternative.
    """
    if len(run.advice) != 1:
        raise UsageError("a ticket is of one position: name it, as in tomic manage 31 --ticket -")
    (advice,) = run.advice
    wanted = 1 if pick is None and advice.moves else pick
    for move in advice.moves:
        if move.rank == wanted or len(advice.moves) == 1:
            return advice, move
    why = advice.problem or f"it has {len(advice.moves)}"
    raise UsageError(f"no alternative {wanted or ''} of {advice.id}: {why}".replace("  ", " "))


def _only(run: managing.ManageRun, pick: int) -> managing.ManageRun:
    advice, move = _picked(run, pick)
    return replace(run, advice=(advice.model_copy(update={"moves": (move,), "refused": ()}),))


def code_of(run: managing.ManageRun, *, exit_code: bool) -> int:
    """10 when a rule fired and that was asked for; 3 when a position could not be judged."""
    codes = [10] if exit_code and run.fired else []
    if run.is_partial or run.errors:
        judged = any(advice.moves for advice in run.advice)
        failed = worst([error.exit_code for error in run.errors.values()] or [3])
        codes.append(3 if judged else failed)
    return worst(codes)
