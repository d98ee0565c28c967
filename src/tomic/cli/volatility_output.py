"""What `tomic prices` and `tomic vol` print, say and write, and the code they end with."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from typing import TYPE_CHECKING

import typer

from tomic.cli.options import Format
from tomic.cli.running import say, worst

if TYPE_CHECKING:
    from pathlib import Path

    from tomic.errors import TomicError
    from tomic.workflows.history import HistoryRun
    from tomic.workflows.volatility import VolReport


def print_vol(reports: list[VolReport], shape: Format, *, detail: bool, quiet: bool) -> None:
    """Print the figures on stdout; that columns are hidden is said on stderr."""
    from tomic.cli import render_volatility

    if shape is not Format.TABLE or detail:
        typer.echo(render_volatility.vol(reports, shape), nl=False)
        return
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None
    text, hidden = render_volatility.vol_table(reports, width)
    typer.echo(text, nl=False)
    if hidden and not quiet:
        typer.echo(hidden, nl=False, err=True)


def export_vol(reports: list[VolReport], folder: Path | None) -> list[Path]:
    """Write the other data of each symbol, and an overview of several."""
    from tomic import export

    if folder is None:
        return []
    stamp = dt.datetime.now().astimezone()
    found = [one.snapshot for one in reports if _has_figures(one)]
    paths = [export.write_snapshot(one, None, folder, stamp=stamp) for one in found]
    overview = export.write_overview([(one, None) for one in found], folder, stamp=stamp)
    return [overview] if overview is not None else paths


def say_all(errors: list[tuple[str, TomicError | None]], *, as_json: bool) -> None:
    """Say each different error once, with the symbols it hit."""
    hit: dict[str, tuple[TomicError, list[str]]] = {}
    for symbol, error in errors:
        if error is not None:
            hit.setdefault(str(error), (error, []))[1].append(symbol)
    for error, symbols in hit.values():
        say(error, as_json=as_json)
        if not as_json and symbols[0] not in str(error):
            typer.echo(f"       concerns {', '.join(symbols)}", err=True)
    sys.stderr.flush()


def prices_code(run: HistoryRun) -> int:
    """0 without errors, 3 when something is there all the same, else the worst error's."""
    return _code(list(run.errors), any(one.error is None or one.rows for one in run.symbols))


def vol_code(reports: list[VolReport]) -> int:
    """As `prices_code`; a symbol of which any figure is known is something."""
    errors = [one.error for one in reports if one.error is not None]
    return _code(errors, any(map(_has_figures, reports)))


def _code(errors: list[TomicError], anything: bool) -> int:
    if not errors:
        return 0
    return 3 if anything else worst([error.exit_code for error in errors])


def _has_figures(report: VolReport) -> bool:
    snapshot = report.snapshot
    return any(getattr(snapshot, name) is not None for name in ("spot", "iv30", "hv30"))
