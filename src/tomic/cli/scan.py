"""`tomic scan`, `show`, `why-not` and `strategies`: the best trades, and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

import tomic
from tomic import config as configuration, files, notices
from tomic.cli import completion, notify as telling, options, screen
from tomic.cli.running import (
    INTERRUPTED,
    at_desk,
    checked_symbols,
    export_folder,
    hand_over,
    runs,
    worst,
)
from tomic.disk import PATIENCE_S, read_text
from tomic.errors import BadFile, TomicError, UsageError
from tomic.models import documents
from tomic.present import forms, proposal as details, scan as present, ticket as orders
from tomic.present.forms import Format
from tomic.present.text import reasons
from tomic.strategies import tickets
from tomic.strategies.catalogue import templates


def print_scan(result: tomic.ScanResult, format: Format, *, explain: bool) -> None:
    """Print the proposals on stdout; with *explain*, the refusals as well."""
    shown = present.shown(result, format, explain=explain, width=screen.width())
    typer.echo(shown, nl=False)


def summarise_scan(result: tomic.ScanResult, paths: list[Path]) -> None:
    """Say on stderr what was considered, what failed, and where the files went."""
    # Those that a deadline left are in the line of what is partial.
    failed = [outcome for outcome in result.failed if outcome.error_code != "deadline"]
    for line in reasons((outcome.symbol, outcome.error) for outcome in failed):
        typer.echo(f"tomic: {line}", err=True)
    typer.echo(present.scan_summary(result), err=True)
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
    shown = "; detail: tomic show ID" if any(proposal.id for proposal in result.proposals) else ""
    typer.echo(forms.NOT_ADVICE + shown, err=True)
    if paths:
        typer.echo(", ".join(map(str, paths)), err=True)


def export_scan(result: tomic.ScanResult, folder: Path | None) -> list[Path]:
    """
    Write the proposals as CSV and JSON into the day's folder; nothing when there are none.

    Day and stamp are those of this computer, as for chains; the files say of when the quotes are.
    """
    if folder is None or not result.proposals:
        return []
    now = dt.datetime.now().astimezone()
    stamp, day = f"{now:%Y%m%d_%H%M%S_%f}", folder / f"{now:%Y%m%d}"
    return [
        files.write_text(day / f"scan_{stamp}.csv", present.to_csv(result)),
        files.write_text(day / f"scan_{stamp}.json", present.to_json(result)),
    ]


app = typer.Typer()

StrategyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="Only these strategies; may be repeated, or joined by commas.",
        autocompletion=completion.strategies,
    ),
]
ChainFilesOption = Annotated[
    list[Path] | None,
    typer.Option("--chain", metavar="FILE", help="Search exported chains instead; repeatable."),
]


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What a trade must keep to; named as in the settings."""

    max_loss: Annotated[
        float | None, typer.Option(min=0, help="Most that one structure may lose.")
    ] = None
    min_pos: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least probability of success, 0 to 1.")
    ] = None
    min_ev: Annotated[float | None, typer.Option(help="Least expected value.")] = None


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the user expects of every symbol that is scanned, named as in the settings."""

    view_vol: Annotated[
        float | None,
        typer.Option(min=0.1, max=10, help="Your volatility, times the market's: 0.9."),
    ] = None
    view_drift: Annotated[
        float | None,
        typer.Option(min=-10, max=10, help="Your drift beside the forward's, a year: 0.02."),
    ] = None

    def of(self, symbols: list[str], views: configuration.ViewSettings) -> dict[str, tomic.View]:
        """The views of *symbols*, over those of the settings; none where no option is given."""
        given = {"volatility": self.view_vol, "drift": self.view_drift}
        said = {name: value for name, value in given.items() if value is not None}
        if not said:
            return {}
        own = views.by_symbol
        return {symbol: own.get(symbol, tomic.View()).model_copy(update=said) for symbol in symbols}


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What is searched, and how thoroughly."""

    strategy: StrategyOption = None
    profile: Annotated[
        str | None, typer.Option(metavar="seller|all", help="Which strategies, in which days.")
    ] = None
    by_strategy: Annotated[
        bool, typer.Option("--by-strategy", help="The best of each strategy.")
    ] = False
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Ask for every listed option of the windows.")
    ] = False


@app.command()
@runs
async def scan(
    symbols: options.SymbolsArgument = None,
    top: Annotated[int | None, typer.Option(min=1, help="How many proposals.")] = None,
    universe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with one symbol per line.")
    ] = None,
    *,
    search: SearchOptions,
    limits: LimitOptions,
    views: ViewOptions,
    score: Annotated[
        str | None, typer.Option(metavar="tomic|original", help="Definition of the score.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what each rule refused, and its nearest miss.")
    ] = False,
    chain: ChainFilesOption = None,
    notify: options.NotifyOption = False,
    gateway: options.GatewayOptions,
    common: options.CommonOptions,
) -> int:
    """Find the best trades over many symbols, rank them, say why."""
    patience_s = min(gateway.timeout or PATIENCE_S, PATIENCE_S)
    names = checked_symbols([*(symbols or []), *_universe(universe, patience_s)])
    async with (
        at_desk(
            common,
            gateway,
            stops=True,
            asks=not chain,
            scan={
                **asdict(limits),
                "profile": search.profile,
                "method": "exhaustive" if search.exhaustive else None,
            },
            score={"definition": score},
        ) as desk,
        telling.of_loss(desk, common, notify=notify),
    ):
        folder = export_folder(common, desk.settings)
        names = names or checked_symbols(_universe(desk.settings.scan.universe, patience_s))
        chains = _loaded(chain, names)
        searched = [given.symbol for given in chains] or names or list(desk.settings.market.symbols)
        result = await desk.scan(
            names,
            top=top,
            strategies=_split(search.strategy),
            by_strategy=search.by_strategy,
            chains=chains,
            views=views.of(searched, desk.settings.view),
            job=common.invocation.job,
        )
        interrupted = desk.interrupted
        if telling.is_wanted(common, notify):
            look = notices.of_scan(result)
            await telling.tell_of(desk, look, common)
    paths = export_scan(result, folder)
    print_scan(result, common.shape, explain=explain)
    if not common.quiet:
        summarise_scan(result, paths)
    if result.partial:
        # Also to who wants results and errors only: what is missing changes what the best are.
        typer.echo(f"tomic: partial: {result.partial_text}", err=True)
    return INTERRUPTED if interrupted else exit_code(result)


@app.command()
@runs
async def show(
    proposal: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Such as 20261120-3.", autocompletion=completion.proposals
        ),
    ],
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Quote its legs again and judge it anew.")
    ] = False,
    *,
    ticket: options.TicketOptions,
    common: Annotated[options.CommonOptions, "format as_json demo config quiet"],
) -> None:
    """Print one proposal whole: legs, payoff, reasons, order to type."""
    async with at_desk(common, quiet=not refresh) as desk:
        saved = await desk.proposal(proposal)
        review = await desk.refreshed(saved) if refresh else None
        rules = desk.settings.journal.exits_for(saved.strategy)
    now = review.proposal if review is not None else None
    made = tickets.of_proposal(now or saved, rules, quantity=ticket.quantity)
    if ticket.wanted:
        hand_over(made, ticket, common)
        return
    shown = forms.emit_single(
        common.shape,
        lambda: details.proposal_text(now or saved, width=screen.width(), order=made),
        lambda: documents.to_document(now or saved) | {"ticket": orders.ticket_document(made)},
    )
    typer.echo(shown, nl=False)
    if common.shape is not Format.TABLE:
        return
    if now is not None:
        typer.echo(f"\n{details.beside(saved, now)}")
    if review is not None and not review.accepted:
        typer.echo(details.review_text(review), err=True)


@app.command(name="why-not")
@runs
async def why_not(
    symbol: Annotated[
        str,
        typer.Argument(
            metavar="SYMBOL", help="Underlying, for example SPY.", autocompletion=completion.symbols
        ),
    ],
    trade: Annotated[
        str,
        typer.Argument(metavar="TRADE", help="For example 'short_put_spread 560/550 2025-06-20'."),
    ],
    chain: Annotated[
        Path | None, typer.Option("--chain", metavar="FILE", help="Look in an exported chain.")
    ] = None,
    *,
    common: Annotated[options.CommonOptions, "format as_json demo replay as_of config quiet"],
) -> int:
    """Say which rule refuses a given trade, or where it stands."""
    (name,) = checked_symbols([symbol])
    given = _loaded([chain], [name])[0] if chain is not None else None
    async with at_desk(common, asks=chain is None) as desk:
        review = await desk.why_not(name, trade, chain=given)
    shown = forms.emit_single(
        common.shape, lambda: details.review_text(review), lambda: documents.to_document(review)
    )
    typer.echo(shown, nl=False)
    if review.cut:
        typer.echo(f"tomic: partial: {name} ({review.cut})", err=True)
    return 3 if review.cut else 0


strategies_app = typer.Typer(name="strategies", help="The catalogue of strategies.")


@strategies_app.callback(invoke_without_command=True)
def strategies(
    context: typer.Context,
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
) -> None:
    """List every strategy with its window of days and its gates."""
    if context.invoked_subcommand is not None:
        return
    known = templates.effective(configuration.load_settings(config))
    described = [templates.describe(template) for template in known.values()]
    shape = options.chosen_format(format, as_json)
    typer.echo(present.strategies(described, shape), nl=False)


@strategies_app.command(name="show")
def show_strategy(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Such as iron_condor.", autocompletion=completion.strategies
        ),
    ],
    format: options.FormatOption = Format.TABLE,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
) -> None:
    """Print one strategy as it is searched, and its settings."""
    (chosen,) = templates.choose(configuration.load_settings(config), [name])
    described = templates.describe(chosen)
    shape = options.chosen_format(format, as_json)
    shown = forms.emit_single(shape, lambda: present.strategy(described) + "\n", lambda: described)
    typer.echo(shown, nl=False)


def exit_code(result: tomic.ScanResult) -> int:
    """
    0 also when nothing qualifies; 3 when a symbol failed or a part of its chain is missing; its
    own code when all failed.
    """
    if not result.failed or len(result.failed) < len(result.outcomes):
        return 3 if result.partial else 0
    codes = _exit_codes(TomicError)
    return worst([codes.get(outcome.error_code, 5) for outcome in result.failed])


def _exit_codes(kind: type[TomicError]) -> dict[str, int]:
    """Machine code to exit code of *kind* and all errors below it."""
    below = [_exit_codes(error) for error in kind.__subclasses__()]
    return {name: code for some in below for name, code in some.items()} | {
        kind.code: kind.exit_code
    }


def _split(names: list[str] | None) -> list[str] | None:
    if names is None:
        return None
    words = [word.strip().replace("-", "_") for text in names for word in text.split(",")]
    return [word for word in words if word]


def _universe(path: Path | None, patience_s: float) -> list[str]:
    if path is None:
        return []
    try:
        lines = read_text(path, wait_s=patience_s).splitlines()
    except OSError as exc:
        raise BadFile(f"{path}: {exc.strerror}; --universe wants a symbol per line") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(
            f"{path}: byte {exc.start} is not UTF-8; --universe wants a symbol per line"
        ) from exc
    names = [line.partition("#")[0].strip() for line in lines]
    if not any(names):
        raise UsageError(f"{path} holds no symbol; write one per line")
    return [name for name in names if name]


def _loaded(paths: list[Path] | None, names: list[str]) -> list[tomic.Chain]:
    """The chains in *paths*; a file that does not name its symbol takes the one given."""
    symbol = names[0] if len(names) == 1 else None
    return [files.load_chain(path, symbol=symbol) for path in paths or ()]
