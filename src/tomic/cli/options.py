"""
What commands share: options of one name and one meaning everywhere, and what they run in.

A parameter of a command that is one of the dataclasses here stands for the options that are its
fields (`tomic.cli.running.runs` expands it); ``Annotated[CommonOptions, "demo quiet"]`` for those
named. Imports nothing heavier than typer, because every command imports this.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

import tomic
from tomic import disk, selection
from tomic.cli import completion
from tomic.errors import UsageError
from tomic.masking import named_here
from tomic.present.forms import Format

GATEWAY_PANEL = "Gateway"
_OUTPUT, _DATA, _PROGRAM = "Output", "Data", "Program"


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a command line runs: on its own, recorded, or as a step of a job. Stands in `ctx.obj`."""

    host: tomic.Desk | None = None
    """The desk of the job; a step that wants the same gateway and store uses its session."""
    job: str = ""
    """The name of that job."""
    record: Path | None = None
    """Where to write what the session receives."""
    words: str = ""
    """The command that *record* says it is a recording of."""
    waiting: list[Coroutine[Any, Any, int | None]] | None = None
    """Commands are put here instead of run, for a loop that already runs."""
    observed: list[Any] | None = None
    """What steps of the job saw, to be told at its end; None where a command tells by itself."""
    notifies: bool = False
    """Whether every step of the job that can tell something does."""
    stops: list[Callable[[], bool]] = field(default_factory=list)
    """What Ctrl-C calls, the innermost last."""

    @contextmanager
    def stoppable(self, stop: Callable[[], bool]) -> Iterator[None]:
        """While inside, the first Ctrl-C calls *stop*; if that returns False, the command ends."""
        self.stops.append(stop)
        try:
            yield
        finally:
            self.stops.remove(stop)


@dataclass(frozen=True, slots=True)
class DteRange:
    """Calendar days to expiry, both ends included."""

    least: int
    most: int | None = None

    @property
    def rules(self) -> dict[str, object]:
        """The same for the settings of a chain, where a None would count as not given."""
        return {"min_dte": self.least, "max_dte": "none" if self.most is None else self.most}


@dataclass(frozen=True, slots=True)
class DeltaRange:
    """Signed deltas, both ends included."""

    least: float
    most: float

    @property
    def rules(self) -> dict[str, object]:
        """The same for the settings of a chain."""
        return {"min_delta": self.least, "max_delta": self.most}


def chosen_format(format: Format, as_json: bool) -> Format:
    """``--json`` is short for ``--format json``; saying both is fine, contradicting is not."""
    if as_json and format not in (Format.TABLE, Format.JSON):
        raise typer.BadParameter(f"--json contradicts --format {format}")
    return Format.JSON if as_json else format


def help_when_alone(context: typer.Context) -> None:
    """What a group of commands does without one: it prints its help and ends with 0."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def parse_dte(text: str) -> DteRange:
    """``15`` (fewest days) or ``15:60``."""
    try:
        return DteRange(*selection.parse_dte(text))
    except UsageError as exc:
        raise typer.BadParameter(str(exc)) from None


def parse_delta(text: str) -> DeltaRange:
    """``-0.8:0.8``; an end left out is -1 or 1."""
    try:
        return DeltaRange(*selection.parse_delta(text))
    except UsageError as exc:
        raise typer.BadParameter(str(exc)) from None


def parse_moment(text: str) -> dt.datetime:
    """ISO date or date and time, with or without a zone."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}: write a date or time such as 2025-05-19 or 2025-05-19T16:00"
        ) from None


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file instead of ./tomic.toml.",
        rich_help_panel=_PROGRAM,
    ),
]
DemoOption = Annotated[
    bool,
    typer.Option(
        "--demo", help="Use the built-in demo market; needs no TWS.", rich_help_panel=_DATA
    ),
]
PacedOption = Annotated[
    bool,
    typer.Option(
        "--paced", help="Keep IB's message limit in the demo as well.", rich_help_panel=_DATA
    ),
]
ReplayOption = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        dir_okay=False,
        metavar="FILE",
        help="Replay a recorded chain or session.",
        rich_help_panel=_DATA,
    ),
]
AsOfOption = Annotated[
    dt.datetime | None,
    typer.Option(
        "--as-of",
        parser=parse_moment,
        metavar="TIME",
        help="Moment that recorded data belong to, such as 2025-05-19T16:00-04:00.",
        rich_help_panel=_DATA,
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        case_sensitive=False,
        metavar="FORM",
        help="Form of the result: table, json, ndjson or csv.",
        rich_help_panel=_OUTPUT,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Short for --format json.", rich_help_panel=_OUTPUT)
]
ShowAccountsOption = Annotated[
    bool,
    typer.Option("--show-accounts", help="Print account numbers in full.", rich_help_panel=_OUTPUT),
]


def target(context: typer.Context, path: Path | None) -> Path | None:
    """
    Refuse a file that cannot be written while the command line is read, not when all is done.

    Raises:
        BadFile: It cannot be written.
    """
    if path is not None and path != STDOUT and not context.resilient_parsing:
        disk.check_target(path)
    return path


STDOUT = Path("-")
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder for exported files, or a file.",
        rich_help_panel=_OUTPUT,
    ),
]
NoExportOption = Annotated[
    bool, typer.Option("--no-export", help="Write no files.", rich_help_panel=_OUTPUT)
]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        help="Log more; -vv logs everything.",
        rich_help_panel=_PROGRAM,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print the result and errors only.", rich_help_panel=_PROGRAM
    ),
]
ExitCodeOption = Annotated[
    bool,
    typer.Option(
        "--exit-code", help="End with code 10 when a check fires.", rich_help_panel=_PROGRAM
    ),
]
NotifyOption = Annotated[
    bool,
    typer.Option(
        "--notify", help="Tell what changed by the services of [notify].", rich_help_panel=_PROGRAM
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option("--host", help="Computer of TWS or IB Gateway.", rich_help_panel=GATEWAY_PANEL),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=1,
        max=65535,
        help="TWS paper 7497, live 7496; Gateway paper 4002, live 4001.",
        rich_help_panel=GATEWAY_PANEL,
    ),
]
ClientIdOption = Annotated[
    int | None,
    typer.Option(
        "--client-id",
        min=1,
        help="First client id to try; the next ones when it is in use.",
        rich_help_panel=GATEWAY_PANEL,
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        metavar="SECONDS",
        help="Deadline of the whole command; what arrived is kept.",
        rich_help_panel=GATEWAY_PANEL,
    ),
]
RealtimeOnlyOption = Annotated[
    bool,
    typer.Option("--realtime-only", help="Refuse delayed and frozen data.", rich_help_panel=_DATA),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw it instead: FILE.svg, .png or .pdf; - prints SVG.",
        rich_help_panel=_OUTPUT,
    ),
]
DteOption = Annotated[
    DteRange | None,
    typer.Option("--dte", parser=parse_dte, metavar="DAYS", help="Fewest days, or 15:60."),
]
DeltaOption = Annotated[
    DeltaRange | None,
    typer.Option("--delta", parser=parse_delta, metavar="A:B", help="Deltas to keep: -0.8:0.8."),
]
SymbolsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SYMBOL",
        help="Underlyings, for example SPY QQQ.",
        show_default=False,
        autocompletion=completion.symbols,
    ),
]


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Where TWS is, and how long to ask it."""

    host: HostOption = None
    port: PortOption = None
    client_id: ClientIdOption = None
    timeout: TimeoutOption = None


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """What most commands take; each says which."""

    format: FormatOption = Format.TABLE
    as_json: JsonOption = False
    show_accounts: ShowAccountsOption = False
    out: OutOption = None
    no_export: NoExportOption = False
    demo: DemoOption = False
    paced: PacedOption = False
    replay: ReplayOption = None
    as_of: AsOfOption = None
    config: ConfigOption = None
    verbose: VerboseOption = 0
    quiet: QuietOption = False
    invocation: Invocation = field(default_factory=Invocation)
    """How this command runs; no option."""

    @property
    def shape(self) -> Format:
        """
        Form of the result on stdout.

        Raises:
            typer.BadParameter: The options contradict each other.
        """
        return chosen_format(self.format, self.as_json)

    def give(self, text: str, accounts: Iterable[str] = ()) -> None:
        """Print the result on stdout; of *accounts* and the like no more than the last digits."""
        if not self.show_accounts:
            named_here.learn(accounts)
            text = named_here.text(text)
        typer.echo(text, nl=False)

    def say(self, *lines: str) -> None:
        """Say *lines* on stderr, beside the result; nothing where only that is wanted."""
        for line in () if self.quiet else lines:
            typer.echo(line, err=True)


@dataclass(frozen=True, slots=True)
class TicketOptions:
    """Where a ticket goes, for another program to read."""

    ticket: Annotated[
        Path | None,
        typer.Option(
            "--ticket",
            metavar="FILE",
            callback=target,
            help="Write its legs for the What-If of TWS's Risk Navigator; - prints them.",
        ),
    ] = None
    link: Annotated[
        bool, typer.Option("--link", help="Print its link to OptionStrat, and no more.")
    ] = False
    quantity: Annotated[
        int, typer.Option("--quantity", min=1, max=10_000, help="How many structures.")
    ] = 1

    @property
    def wanted(self) -> bool:
        """Whether a ticket is asked for, instead of what the command prints."""
        return self.ticket is not None or self.link
