"""What a scan prints and writes: stdout for data, stderr for people, files for others."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tomic.cli import machine_forms
from tomic.cli.options import Format
from tomic.models.documents import to_document, to_text, with_flags

if TYPE_CHECKING:
    from tomic.models import ScanResult

_CSV_FIELDS = (
    "rank", "id", "symbol", "strategy", "side", "expiry", "last_expiry", "dte", "spot", "trade",
    "credit", "credit_mid", "credit_natural", "max_profit", "max_loss", "margin",
    "margin_requirement", "rom", "rom_30d", "pos", "pos_market", "ev", "ev_market", "cvar95",
    "risk_reward", "touch", "edge", "edge_error", "delta", "gamma", "vega", "theta", "liquidity",
    "fit", "score", "grade", "as_of",
)  # fmt: skip


def print_scan(result: ScanResult, format: Format, *, explain: bool) -> None:
    """Print the proposals on stdout; with *explain*, the refusals as well."""
    from tomic.cli import render, render_scan

    if format is Format.JSON:
        typer.echo(to_json(result), nl=False)
    elif format is Format.NDJSON:
        for one in result.proposals:
            typer.echo(to_text(one))
    elif format is Format.CSV:
        typer.echo(to_csv(result), nl=False)
    else:
        terminal = sys.stdout.isatty()
        width = render.screen_width(terminal)
        if result.proposals:
            typer.echo(render_scan.ranking(result.proposals, width=width, color=terminal))
            typer.echo(render_scan.why_first(result.proposals[0]))
        if explain:
            typer.echo(render_scan.explanation(result))


def summarise_scan(result: ScanResult, paths: list[Path]) -> None:
    """Say on stderr what was considered, what failed, and where the files went."""
    from tomic.cli import render_scan

    for outcome in result.failed:
        if outcome.error_code == "deadline":
            continue  # as many lines as there are symbols left; the line of what is partial says so
        typer.echo(f"tomic: {outcome.symbol}: {outcome.error}", err=True)
    typer.echo(render_scan.scan_summary(result), err=True)
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
    shown = "; detail: tomic show ID" if any(one.id for one in result.proposals) else ""
    typer.echo(render_scan.NOT_ADVICE + shown, err=True)
    if paths:
        typer.echo(", ".join(map(str, paths)), err=True)


def export_scan(result: ScanResult, folder: Path | None) -> list[Path]:
    """
    Write the proposals as CSV and JSON into the day's folder; nothing when there are none.

    Day and stamp are those of this computer, as for chains; the files say of when the quotes are.
    """
    from tomic import export

    if folder is None or not result.proposals:
        return []
    now = dt.datetime.now().astimezone()
    stamp, day = f"{now:%Y%m%d_%H%M%S_%f}", folder / f"{now:%Y%m%d}"
    return [
        export.write_text(day / f"scan_{stamp}.csv", to_csv(result)),
        export.write_text(day / f"scan_{stamp}.json", to_json(result)),
    ]


def to_json(result: ScanResult) -> str:
    """
    The whole result; an unbounded amount is null, and the flag beside it says so.

    ``complete`` is false when ``partial`` names symbols; ``partial_text`` says what they miss.
    """
    head = {
        "schema": "tomic.scan/1",
        "complete": not result.partial,
        "partial": result.partial,
        "partial_text": result.partial_text,
    }
    return machine_forms.to_json({**head, **to_document(result)})


def to_csv(result: ScanResult) -> str:
    """A row per proposal; an unbounded amount is empty, and the flag beside it says so."""
    from tomic.models import Proposal

    rows = [
        with_flags({name: getattr(one, name) for name in _CSV_FIELDS}, one.unbounded)
        for one in result.proposals
    ]
    names = with_flags(dict.fromkeys(_CSV_FIELDS), Proposal.unbounded)
    return machine_forms.to_csv(rows, list(names))


__all__ = ["export_scan", "print_scan", "summarise_scan", "to_csv", "to_json"]
