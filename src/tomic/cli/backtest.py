"""`tomic backtest`: prove the rules of a configuration on history before risking money on them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tomic import config as configuration
from tomic.cli import options, running
from tomic.cli.scan import StrategyOption
from tomic.errors import UsageError
from tomic.present import backtest as present
from tomic.report import collect, html as pages, layout

app = typer.Typer()


def parse_day(text: str) -> dt.date:
    """ISO date."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: write a date such as 2022-01-03") from None


def parse_every(text: str) -> str:
    """``week`` or ``day``."""
    if text not in ("week", "day"):
        raise typer.BadParameter(f"{text!r}: write week or day")
    return text


@dataclass(frozen=True, slots=True)
class PeriodOptions:
    """Which days are walked over, and how trades end."""

    since: Annotated[
        dt.date | None,
        typer.Option("--from", parser=parse_day, metavar="DAY", help="First day of entry."),
    ] = None
    until: Annotated[
        dt.date | None,
        typer.Option("--to", parser=parse_day, metavar="DAY", help="Last day of entry."),
    ] = None
    every: Annotated[
        str,
        typer.Option("--every", parser=parse_every, metavar="week|day", help="When trades open."),
    ] = "week"
    hold: Annotated[
        bool, typer.Option("--hold/--managed", help="Hold to expiry, or close by [journal].")
    ] = False


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """Where the days come from; without any, from the store's closes and volatilities."""

    surface: Annotated[
        Path | None,
        typer.Option("--surface", metavar="FILE", help="Daily surfaces: CSV or iv_daily_summary."),
    ] = None
    chains: Annotated[
        list[Path] | None,
        typer.Option("--chains", metavar="PATH", help="Recorded chains, a folder too; repeatable."),
    ] = None
    kept: Annotated[
        bool, typer.Option("--kept", help="Chains that the store kept of each day.")
    ] = False


@app.command()
@running.runs
async def backtest(
    symbols: options.SymbolsArgument = None,
    strategy: StrategyOption = None,
    *,
    period: PeriodOptions,
    history: HistoryOptions,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="FILE.toml", help="Another configuration beside this."),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", metavar="KEY=A,B,C", help="One setting at several values."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            dir_okay=False,
            metavar="FILE",
            callback=options.target,
            help="Write the report there too.",
        ),
    ] = None,
    common: Annotated[
        options.CommonOptions, "format as_json out no_export demo config verbose quiet"
    ],
) -> int:
    """Say what the scan's own choice would have brought in history."""
    names = running.checked_symbols(symbols or [])
    if compare is not None and sweep is not None:
        raise UsageError("--compare and --sweep exclude each other; give one of them")
    shape = common.shape
    async with running.at_desk(common, stops=True, asks=False) as desk:
        asked: dict[str, Any] = {
            "symbols": names,
            "since": period.since,
            "until": period.until,
            "strategies": strategy and [each for text in strategy for each in text.split(",")],
            "every": period.every,
            "run": "hold" if period.hold else "managed",
            "surface": history.surface,
            "chains": history.chains or (),
            "kept": history.kept,
        }
        page: layout.ReportPage | None = None
        if compare is not None:
            other = configuration.load_settings(compare)
            compared = await desk.compare(other, str(compare), **asked)
            partial = compared.base.partial or compared.other.partial
            text = present.comparison(compared, shape)
            if html is not None:
                page = await collect.comparison(desk, compared)
        elif sweep is not None:
            key, values = _swept(sweep)
            swept = await desk.sweep(key, values, **asked)
            partial, text = swept.base.partial, present.sweep(swept, shape)
            if html is not None:
                page = await collect.sweep(desk, swept)
        else:
            result = await desk.backtest(**asked)
            partial, text = result.partial, present.report(result, shape)
            if html is not None:
                page = await collect.backtest(desk, result)
        interrupted = desk.interrupted
    typer.echo(text, nl=False)
    if html is not None and page is not None:
        common.say(f"{page.title}: written to {pages.write(page, html)}")
    if partial:
        typer.echo(f"tomic: partial: {partial}", err=True)
    if interrupted:
        return running.INTERRUPTED
    return 3 if partial else 0


def _swept(text: str) -> tuple[str, list[str]]:
    """``score.ev_scale=0.01,0.02``; a semicolon separates values that hold commas."""
    key, equals, values = text.partition("=")
    parts = [part.strip() for part in values.split(";" if ";" in values else ",")]
    if not equals or not key.strip() or not all(parts):
        raise UsageError(f"--sweep {text}: write KEY=A,B,C, as in score.ev_scale=0.01,0.02")
    return key.strip(), parts
