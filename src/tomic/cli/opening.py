"""From options to an open desk: settings, logging, the first line on stderr."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tomic.cli.progress import ProgressLine

if TYPE_CHECKING:
    from tomic.config import LogSettings
    from tomic.desk import Desk


def checked_symbols(symbols: Sequence[str]) -> list[str]:
    """The symbols as TOMIC writes them, refused before anything is connected."""
    from tomic.models import normalize_symbol

    return [normalize_symbol(one) for one in symbols]


def desk(
    *,
    config: Path | None,
    demo: bool,
    replay: Path | None,
    as_of: dt.datetime | None = None,
    paced: bool = False,
    quiet: bool = False,
    verbose: int = 0,
    **sections: Mapping[str, Any],
) -> tuple[Desk, ProgressLine]:
    """
    The desk for a command and what shows its progress; options that are None change nothing.

    Something is said before the slow imports, so that nobody waits in front of nothing.
    """
    from tomic.config import load_settings

    overrides = {
        name: given
        for name, values in sections.items()
        if (
            given := {
                key: value for key, value in values.items() if value is not None or key == "max_dte"
            }
        )
    }
    settings = load_settings(config, **overrides)
    configure_logging(settings.log, verbose=verbose, quiet=quiet)
    if not quiet:
        typer.echo(_greeting(demo, replay, paced, settings.ib.host, settings.ib.port), err=True)
    from tomic.desk import Desk

    progress = ProgressLine(quiet=quiet)
    opened = Desk(settings, demo=demo, replay=replay, as_of=as_of, paced=paced, watch=progress)
    return opened, progress


def _greeting(demo: bool, replay: Path | None, paced: bool, host: str, port: int) -> str:
    if replay is not None:
        return f"replaying {replay} through the built-in gateway"
    if demo:
        pace = "at IB's pace" if paced else "without IB's message limit (--paced keeps it)"
        return f"demo market, {pace}; these are not real quotes"
    return f"connecting to {host}:{port}"


def configure_logging(settings: LogSettings, *, verbose: int, quiet: bool) -> None:
    """Log to stderr and, if set, to a file; the library itself never configures logging."""
    level: int | str = settings.level
    if quiet:
        level = logging.ERROR
    elif verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if settings.file is not None:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(settings.file, encoding="utf-8"))
    logging.basicConfig(
        level=level,
        handlers=handlers,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
