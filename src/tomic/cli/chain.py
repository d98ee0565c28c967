"""`tomic chain`: option chains on the screen and in files."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Self

import typer

import tomic
from tomic import files, models
from tomic.cli import completion, options, running, screen
from tomic.errors import BadFile, TomicError, UsageError
from tomic.present import chain as present
from tomic.present.forms import Format, emit
from tomic.workflows.progress import Event, counted

CHAIN = (
    "tomic.valuation",
    "tomic.workflows.volatility.measure",
    "tomic.files",
    "tomic.present.chain",
)
"""What a chain needs once its last quote has come."""
_LONGEST_S = 10.0


class Preloading:
    """
    Imports *modules* in a thread once a fetch says that it waits for the gateway.

    The answers about spot and expiries leave the processor idle for a quarter of a second. Begun
    any earlier, the imports would delay the questions; at the end, scipy would take that long
    while nobody waits for anything else. A watcher of the fetch, and a context manager around it.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._loading: asyncio.Task[None] | None = None

    def __call__(self, event: Event) -> None:
        """Begin at the first event of that kind."""
        if event.kind == "waiting" and self._loading is None:
            work = asyncio.to_thread(_load, self._modules)
            self._loading = asyncio.create_task(work, name="tomic imports")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if self._loading is None:
            return
        await asyncio.wait({self._loading}, timeout=_LONGEST_S)
        if error is None and self._loading.done() and not self._loading.cancelled():
            self._loading.result()


def _load(modules: tuple[str, ...]) -> None:
    for name in modules:
        importlib.import_module(name)


_PARTIAL = 3


class Writer:
    """
    Writes each chain as it finishes, and all of them at the end where the format wants that.

    Args:
        format: Of stdout.
        folder: Where files go; None writes none.
        by_strike: Print open interest by strike instead of the options.
    """

    def __init__(self, format: Format, folder: Path | None, *, by_strike: bool = False) -> None:
        self._format, self._folder, self._by_strike = format, folder, by_strike
        self._paths: dict[str, list[Path]] = {}
        self._unwritten: list[TomicError] = []
        self._text, self._hints = "", list[str]()

    def on_done(self, outcome: tomic.ChainOutcome) -> None:
        """Export the chain and, for NDJSON, print it at once."""
        if outcome.chain is None:
            return
        self._export(outcome.symbol, outcome.chain, outcome.snapshot)
        if self._format is Format.NDJSON and not self._by_strike:
            typer.echo(files.to_ndjson(outcome.chain), nl=False)
            sys.stdout.flush()

    def _export(self, symbol: str, chain: tomic.Chain, snapshot: tomic.VolSnapshot | None) -> None:
        if self._folder is None or self._unwritten:
            return
        stamp = dt.datetime.now().astimezone()
        try:
            self._paths[symbol] = [
                files.write_chain(chain, self._folder, stamp=stamp),
                files.write_snapshot(snapshot, chain, self._folder, stamp=stamp),
            ]
        except BadFile as exc:
            # The chain itself is still printed.
            self._unwritten.append(exc)

    def _overview(self, outcomes: list[tomic.ChainOutcome]) -> None:
        if self._folder is None or self._unwritten:
            return
        both = [(each.snapshot, each.chain) for each in outcomes if each.chain is not None]
        try:
            files.write_overview(both, self._folder, stamp=dt.datetime.now().astimezone())
        except BadFile as exc:
            self._unwritten.append(exc)

    def compose(self, outcomes: list[tomic.ChainOutcome]) -> None:
        """Make what `finish` prints; a thread can do it while the session's cancels leave."""
        chains = [each.chain for each in outcomes if each.chain is not None]
        if self._by_strike:
            self._text = present.open_interests(chains, self._format)
            return
        self._text = emit(
            self._format,
            table=lambda: self._tables(chains),
            json=lambda: files.to_json(chains, as_array=len(outcomes) > 1) if chains else "",
            ndjson=str,  # each was printed when it was done
            csv=lambda: "".join(map(files.to_csv_text, chains)),
        )

    def _tables(self, chains: list[tomic.Chain]) -> str:
        width = screen.width() or present.PIPED_WIDTH
        tables = [present.chain_table(chain, width=width) for chain in chains]
        self._hints = [
            f"{counted(2 * hidden, 'column')} hidden; use a wider terminal"
            for hidden in {hidden for _, hidden in tables if hidden}
        ]
        return "".join(text for text, _ in tables)

    def finish(self, outcomes: list[tomic.ChainOutcome], *, interrupted: bool, quiet: bool) -> int:
        """Print what is composed and what became of each symbol; return the exit code."""
        typer.echo(self._text, nl=False)
        for hint in [] if quiet else self._hints:
            typer.echo(hint, err=True)
        self._overview(outcomes)
        as_json = self._format in (Format.JSON, Format.NDJSON)
        for outcome in outcomes:
            if outcome.error is not None:
                running.say(outcome.error, as_json=as_json)
            elif outcome.chain is not None and not quiet:
                paths = self._paths.get(outcome.symbol, [])
                typer.echo(present.chain_summary(outcome.chain, paths), err=True)
        for error in self._unwritten:
            running.say(error, as_json=as_json)
        if interrupted:
            return running.INTERRUPTED
        return running.worst([exit_code(outcomes), *(_PARTIAL for _ in self._unwritten)])


def exit_code(outcomes: list[tomic.ChainOutcome]) -> int:
    """0 when every row is final, 3 when rows exist and something is missing, else the error's."""
    errors = [outcome.error.exit_code for outcome in outcomes if outcome.error is not None]
    chains = [outcome.chain for outcome in outcomes if outcome.chain is not None]
    usable = [chain for chain in chains if any(map(_is_usable, chain.counts))]
    if usable:
        whole = not errors and all(chain.is_final for chain in chains)
        return 0 if whole else _PARTIAL
    return running.worst([*errors, *(_empty_code(chain) for chain in chains)])


def _is_usable(status: str) -> bool:
    return models.RowStatus(status).is_final and status != models.RowStatus.UNKNOWN_CONTRACT


def _empty_code(chain: tomic.Chain) -> int:
    """The exit code of a chain without any usable row."""
    counts: dict[str, Any] = chain.counts
    if "lost" in counts:
        return 4
    return 6 if "timeout" in counts else 5


@dataclass(frozen=True, slots=True)
class Selection:
    """Which options to fetch, instead of what [chain] says."""

    dte: options.DteOption = None
    monthlies: Annotated[int | None, typer.Option(min=0, help="Third-Friday expiries to take.")] = (
        None
    )
    weeklies: Annotated[
        int | None, typer.Option(min=0, help="Expiries of other weeks to take.")
    ] = None
    expiries: Annotated[
        str | None, typer.Option(metavar="selected|all", help="All: dailies and quarter ends too.")
    ] = None
    strike_range: Annotated[
        str | None,
        typer.Option(metavar="10|5%|2s", help="Strikes around spot: points, per cent or sigmas."),
    ] = None
    delta: options.DeltaOption = None
    side: Annotated[str | None, typer.Option(metavar="both|calls|puts", help="Which rights.")] = (
        None
    )
    trading_class: Annotated[
        str | None,
        typer.Option(help="For example SPX (AM settled) instead of SPXW; ASM:100 with its size."),
    ] = None

    @property
    def rules(self) -> dict[str, object]:
        """The same for the settings of a chain."""
        given = {member.name: getattr(self, member.name) for member in fields(self)}
        dte, delta = given.pop("dte"), given.pop("delta")
        return {**given, **(dte.rules if dte else {}), **(delta.rules if delta else {})}


@dataclass(frozen=True, slots=True)
class Shown:
    """What to print or draw of a chain."""

    open_interest: Annotated[
        bool, typer.Option("--open-interest", help="Print open interest by strike instead.")
    ] = False
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw smile or open interest: FILE.svg, .png or .pdf; - prints SVG.",
        ),
    ] = None


app = typer.Typer()


@app.command()
@running.runs
async def chain(
    symbols: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL...",
            help="Underlyings, for example SPY QQQ.",
            autocompletion=completion.symbols,
        ),
    ],
    realtime_only: options.RealtimeOnlyOption = False,
    *,
    wanted: Selection,
    shown: Shown,
    gateway: options.GatewayOptions,
    common: options.CommonOptions,
) -> int:
    """Fetch option chains: print them and export them."""
    symbols = running.checked_symbols(symbols)
    if shown.plot is not None and len(symbols) > 1:
        raise UsageError(f"--plot {shown.plot}: one symbol makes one picture; name which")
    market = {"realtime_only": realtime_only or None}
    loading = Preloading(*CHAIN)
    async with (
        running.at_desk(
            common,
            gateway,
            stops=True,
            then=loading,
            brief=False,
            chain=wanted.rules,
            market=market,
        ) as desk,
        loading,
    ):
        writer = Writer(
            common.shape,
            running.export_folder(common, desk.settings),
            by_strike=shown.open_interest,
        )
        outcomes = await desk.chains(symbols, on_done=writer.on_done)
        interrupted = desk.interrupted
        if shown.plot is None:
            await asyncio.to_thread(writer.compose, outcomes)
    for outcome in outcomes:
        if shown.plot is not None and outcome.chain is not None:
            picture = "chain_open_interest" if shown.open_interest else "chain_smile"
            running.draw_to(shown.plot, common, picture, outcome.chain)
    return writer.finish(outcomes, interrupted=interrupted, quiet=common.quiet)
