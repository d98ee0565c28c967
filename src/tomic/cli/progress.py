"""Progress on stderr: a bar on a terminal, a line per stage elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from tomic.workflows.progress import Event, Watcher, ignore

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressLine:
    """Shows the events of a workflow; a context manager, and callable as its watcher."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self.then: Watcher = ignore
        """Told of each event as well."""

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeElapsedColumn as Elapsed

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                Elapsed(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not self._quiet:
            self._show(event)
        self.then(event)

    def _show(self, event: Event) -> None:
        if event.kind == "count":
            self._count(event)
        elif event.kind == "spot":
            self._say(f"{event.symbol}: spot {event.text}")
        elif event.kind == "note":
            self._say(f"note: {event.text}")
        else:
            self._say(f"{event.symbol}: {event.text}" if event.symbol else event.text)

    def _count(self, event: Event) -> None:
        if self._bar is None:
            if event.done == 1:
                self._say(
                    f"{event.symbol}: first of {event.total} {event.text or 'contracts'} done"
                )
            return
        if event.symbol not in self._tasks:
            self._tasks[event.symbol] = self._bar.add_task(event.symbol, total=event.total)
        self._bar.update(self._tasks[event.symbol], completed=event.done, total=event.total)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            typer.echo(text, err=True)
