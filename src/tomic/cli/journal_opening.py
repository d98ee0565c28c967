"""What the commands of the journal share: how it is opened, and options of their own."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from tomic.cli import completion, options
from tomic.errors import UsageError

if TYPE_CHECKING:
    from tomic.workflows.journal import Journal

_FIRST_YEAR = 1970
_MOST_DIGITS = 15
_STATUSES = ("open", "closed", "cancelled")
COMMISSION = "For the whole trade; else that of the settings."


def parse_entry(text: str) -> int:
    """``31`` or ``J-0031``."""
    bare = text.strip().upper().removeprefix("J").lstrip("-")
    if not bare.isascii() or not bare.isdigit() or len(bare) > _MOST_DIGITS:
        raise typer.BadParameter(f"{text!r}: write the number of an entry, such as 31")
    return int(bare)


def parse_price(text: str) -> str:
    """A number as typed: its sign says received or paid, and having none is a choice too."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(f"{text!r}: write what one structure trades for, such as 2.35")
    return text


def parse_rules(texts: Sequence[str] | None) -> dict[str, Any]:
    """``stop=2.5`` and the like; "none" switches a rule off."""
    found: dict[str, Any] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"--rule {text}: write it as stop=2.5 or min_dte=none")
        found[name.strip()] = value.strip()
    return found


def parse_expiry(text: str) -> dt.date:
    """``2027-01-15`` or ``20270115``."""
    from tomic import dates
    from tomic.errors import DataError

    try:
        return dates.parse_expiry(text)
    except DataError as exc:
        raise typer.BadParameter(str(exc)) from None


def _status(text: str) -> str:
    if text not in _STATUSES:
        raise typer.BadParameter(f"{text!r}: choose one of {', '.join(_STATUSES)}")
    return text


def _moment(text: str) -> dt.datetime:
    """A moment; without a zone that of New York, a day alone at noon."""
    from tomic.dates import NEW_YORK

    found = options.parse_moment(text)
    if found.year < _FIRST_YEAR:
        raise typer.BadParameter(f"{text!r}: nothing was traded then; write a year such as 2026")
    if found.time() == dt.time() and ":" not in text:
        found = found.replace(hour=12)
    return found if found.tzinfo is not None else found.replace(tzinfo=NEW_YORK)


class LegsCommand(TyperCommand):
    """A command whose legs may begin with a minus: ``"-1 SPY 2026-12-18 580P"`` is no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a blank before such a text, which keeps it from being taken for an option."""
        return super().parse_args(ctx, [_as_text(one) for one in args])


def _as_text(word: str) -> str:
    is_legs = word[:1] == "-" and word[1:2].isdigit() and " " in word
    return f" {word}" if is_legs else word


EntryArgument = Annotated[
    int,
    typer.Argument(
        parser=parse_entry,
        metavar="ENTRY",
        help="Number of the entry: 31.",
        autocompletion=completion.entries,
    ),
]
EntriesArgument = Annotated[
    list[int] | None,
    typer.Argument(
        parser=parse_entry,
        metavar="[ENTRY]...",
        help="Numbers of entries; all open ones without.",
        show_default=False,
        autocompletion=completion.entries,
    ),
]
PriceOption = Annotated[
    str | None,
    typer.Option(
        "--price",
        parser=parse_price,
        metavar="X",
        help="What one structure traded for; +X received, -X paid, X where that is clear.",
    ),
]
StatusOption = Annotated[
    str | None,
    typer.Option("--status", parser=_status, metavar="|".join(_STATUSES), help="Only these."),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Ask nobody for marks; needs a price.")
]
WhenOption = Annotated[
    dt.datetime | None,
    typer.Option(
        "--at", parser=_moment, metavar="TIME", help="When it was, such as 2026-11-20T15:45."
    ),
]


@asynccontextmanager
async def opened(
    config: Path | None,
    *,
    demo: bool = False,
    replay: Path | None = None,
    as_of: dt.datetime | None = None,
    quiet: bool = False,
    asks: bool = True,
    verbose: int = 0,
    ib: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> AsyncIterator[Journal]:
    """
    The journal for a command.

    Where nobody is asked the store is opened alone, which spares the imports of a session.
    """
    from tomic.cli import opening

    if not asks and not demo and replay is None:
        async with _alone(config) as journal:
            yield journal
        return
    desk, progress = opening.desk(
        config=config,
        demo=demo,
        replay=replay,
        as_of=as_of,
        quiet=quiet or not asks,
        verbose=verbose,
        ib=dict(ib or {}),
        chain={"deadline_s": timeout},
    )
    with progress:
        async with desk:
            yield await desk.journal(offline=not asks)


@asynccontextmanager
async def _alone(config: Path | None) -> AsyncIterator[Journal]:
    from tomic.config import load_settings
    from tomic.store import Database
    from tomic.workflows.journal import Journal

    async def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    settings = load_settings(config)
    wait_s = settings.store.lock_wait_s
    async with Database(settings.store.path, busy_timeout_s=wait_s) as store:
        yield Journal(store, settings, clock=now)
