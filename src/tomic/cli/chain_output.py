"""What chains print and write: stdout for data, stderr for people, files for others."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Any

import typer

from tomic.cli.options import Format
from tomic.cli.running import INTERRUPTED, say, worst
from tomic.errors import BadFile, TomicError

if TYPE_CHECKING:
    from pathlib import Path

    from tomic.chain import Chain
    from tomic.models import VolSnapshot
    from tomic.workflows.chains import ChainOutcome

_PARTIAL = 3


class Writer:
    """
    Writes each chain as it finishes, and all of them at the end where the format wants that.

    Args:
        format: Of stdout.
        folder: Where files go; None writes none.
    """

    def __init__(self, format: Format, folder: Path | None) -> None:
        self._format, self._folder = format, folder
        self._paths: dict[str, list[Path]] = {}
        self._unwritten: list[TomicError] = []
        self._text, self._hints = "", list[str]()

    def on_done(self, outcome: ChainOutcome) -> None:
        """Export the chain and, for NDJSON, print it at once."""
        from tomic import export

        if outcome.chain is None:
            return
        self._export(outcome.symbol, outcome.chain, outcome.snapshot)
        if self._format is Format.NDJSON:
            typer.echo(export.to_ndjson(outcome.chain), nl=False)
            sys.stdout.flush()

    def _export(self, symbol: str, chain: Chain, snapshot: VolSnapshot | None) -> None:
        from tomic import export

        if self._folder is None or self._unwritten:
            return
        stamp = dt.datetime.now().astimezone()
        try:
            self._paths[symbol] = [
                export.write_chain(chain, self._folder, stamp=stamp),
                export.write_snapshot(snapshot, chain, self._folder, stamp=stamp),
            ]
        except BadFile as exc:
            # The chain itself is still printed.
            self._unwritten.append(exc)

    def _overview(self, outcomes: list[ChainOutcome]) -> None:
        from tomic import export

        if self._folder is None or self._unwritten:
            return
        both = [(one.snapshot, one.chain) for one in outcomes if one.chain is not None]
        try:
            export.write_overview(both, self._folder, stamp=dt.datetime.now().astimezone())
        except BadFile as exc:
            self._unwritten.append(exc)

    def compose(self, outcomes: list[ChainOutcome]) -> None:
        """Make what `finish` prints; a thread can do it while the session's cancels leave."""
        from tomic import export
        from tomic.cli import render

        chains = [one.chain for one in outcomes if one.chain is not None]
        if self._format is Format.JSON and chains:
            self._text = export.to_json(chains, as_array=len(outcomes) > 1)
        elif self._format is Format.CSV:
            self._text = "".join(map(export.to_csv_text, chains))
        elif self._format is Format.TABLE:
            terminal = sys.stdout.isatty()
            width = render.screen_width(terminal)
            tables = [render.chain_table(one, width=width, color=terminal) for one in chains]
            self._text = "".join(text for text, _ in tables)
            self._hints = [
                f"{2 * hidden} columns hidden; use a wider terminal"
                for hidden in {hidden for _, hidden in tables if hidden}
            ]

    def finish(self, outcomes: list[ChainOutcome], *, interrupted: bool, quiet: bool) -> int:
        """Print what is composed and what became of each symbol; return the exit code."""
        from tomic.cli import render

        typer.echo(self._text, nl=False)
        for hint in [] if quiet else self._hints:
            typer.echo(hint, err=True)
        self._overview(outcomes)
        as_json = self._format in (Format.JSON, Format.NDJSON)
        for outcome in outcomes:
            if outcome.error is not None:
                say(outcome.error, as_json=as_json)
            elif outcome.chain is not None and not quiet:
                paths = self._paths.get(outcome.symbol, [])
                typer.echo(render.chain_summary(outcome.chain, paths), err=True)
        for error in self._unwritten:
            say(error, as_json=as_json)
        if interrupted:
            return INTERRUPTED
        return worst([exit_code(outcomes), *(_PARTIAL for _ in self._unwritten)])


def exit_code(outcomes: list[ChainOutcome]) -> int:
    """0 when every row is final, 3 when rows exist and something is missing, else the error's."""
    errors = [one.error.exit_code for one in outcomes if one.error is not None]
    chains = [one.chain for one in outcomes if one.chain is not None]
    usable = [one for one in chains if any(map(_is_usable, one.counts))]
    if usable:
        whole = not errors and all(one.is_final for one in chains)
        return 0 if whole else _PARTIAL
    return worst([*errors, *(_empty_code(one) for one in chains)])


def _is_usable(status: str) -> bool:
    from tomic.models import RowStatus

    return RowStatus(status).is_final and status != RowStatus.UNKNOWN_CONTRACT


def _empty_code(chain: Chain) -> int:
    """The exit code of a chain without any usable row."""
    counts: dict[str, Any] = chain.counts
    if "lost" in counts:
        return 4
    return 6 if "timeout" in counts else 5
