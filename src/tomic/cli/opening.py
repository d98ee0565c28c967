"""From options to an open desk: settings, logging, the first line on stderr."""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from tomic.errors import ConfigError, UsageError
from tomic.masking import named_here
from tomic.workflows.progress import Event, Watcher, ignore

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from tomic.config import LogSettings, Settings
    from tomic.desk import Desk


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


_FILES = (".csv", ".json", ".ndjson")
_host: ContextVar[Desk | None] = ContextVar("host", default=None)
_recording: ContextVar[tuple[Path | None, str]] = ContextVar("recording", default=(None, ""))


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
    asks: bool = True,
    quiet: bool = False,
    verbose: int = 0,
    **sections: Mapping[str, Any],
) -> tuple[Desk, ProgressLine]:
    """
    The desk for a command and what shows its progress; options that are None change nothing.

    Something is said before the slow imports, so that nobody waits in front of nothing; where
    nobody *asks* the gateway anything, it is not named.
    """
    began = time.monotonic()  # the clock of asyncio's loops
    from tomic.config import load_settings

    overrides = {
        name: given
        for name, values in sections.items()
        if (given := {key: value for key, value in values.items() if value is not None})
    }
    settings = load_settings(config, **overrides)
    configure_logging(settings.log, verbose=verbose, quiet=quiet)
    if asks and not quiet and _host.get() is None:
        typer.echo(_greeting(demo, replay, paced, settings.ib.host, settings.ib.port), err=True)
    from tomic.desk import Desk

    progress = ProgressLine(quiet=quiet)
    shared = _guest(settings, progress, demo=demo, replay=replay, paced=paced)
    if shared is not None:
        return shared, progress
    record, command = _recording.get()
    opened = Desk(
        settings,
        demo=demo,
        replay=replay,
        as_of=as_of,
        paced=paced,
        record=record,
        command=command,
        # Beside the user's own store, so that `tomic show ID --demo` knows what a scan found.
        demo_store=settings.store.path.with_name("demo.db"),
        began=began,
        watch=progress,
    )
    return opened, progress


def export_folder(settings: Settings, out: Path | None, *, no_export: bool) -> Path | None:
    """
    Where a command writes its files; None where it is to write none.

    Raises:
        UsageError: Nothing can be written to *out*.
    """
    if no_export or not settings.export.enabled:
        return None
    if out is None:
        return settings.export.dir
    try:
        if out.suffix in _FILES and not out.is_dir():
            raise UsageError(f"--out {out}: name a folder; the files in it get their own names")
        there = next(one for one in (out, *out.absolute().parents) if one.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise UsageError(f"--out {out}: {there} is no folder that can be written to")
    except OSError as exc:
        raise UsageError(f"--out {out}: cannot be reached ({exc.strerror or exc})") from exc
    return out


@contextmanager
def sharing(host: Desk) -> Iterator[None]:
    """While inside, commands that want the same gateway and store use those of *host*."""
    token = _host.set(host)
    try:
        yield
    finally:
        _host.reset(token)


def is_shared() -> bool:
    """Whether this is inside `sharing`, as a step of a job."""
    return _host.get() is not None


def _guest(
    settings: Settings, progress: ProgressLine, *, demo: bool, replay: Path | None, paced: bool
) -> Desk | None:
    host = _host.get()
    if _recording.get()[0] is not None:
        # A recording holds a session from its first message on.
        return None
    if host is None or replay is not None or (demo, paced) != (host.demo, host.paced):
        return None
    return host.sharing(settings, watch=progress)


@contextmanager
def recording(file: Path, command: str) -> Iterator[None]:
    """While inside, what a command's session receives is written to *file*."""
    token = _recording.set((file, command))
    try:
        yield
    finally:
        _recording.reset(token)


def _greeting(demo: bool, replay: Path | None, paced: bool, host: str, port: int) -> str:
    if replay is not None:
        return f"replaying {replay} through the built-in gateway"
    if demo:
        pace = "at IB's pace" if paced else "without IB's message limit (--paced keeps it)"
        return f"demo market, {pace}; these are not real quotes"
    return f"connecting to {host}:{port}"


def configure_logging(settings: LogSettings, *, verbose: int, quiet: bool) -> None:
    """
    Log to stderr and, if set, to a file; the library itself never configures logging.

    Raises:
        ConfigError: The file cannot be written.
    """
    level: int | str = settings.level
    if quiet:
        level = logging.ERROR
    elif verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
    log_to(level, logging.StreamHandler(), *log_files(settings))


def log_files(settings: LogSettings) -> list[logging.Handler]:
    """
    What logs to the file of the settings; nothing where there is none.

    Raises:
        ConfigError: The file cannot be written.
    """
    if settings.file is None:
        return []
    try:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        return [_LogFile(settings.file)]
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(
            f"log.file: {settings.file} cannot be written ({reason}); name another file, or none",
            key="log.file",
        ) from exc


def log_to(level: int | str, *handlers: logging.Handler) -> None:
    """Log to *handlers* and nowhere else, account numbers shortened."""
    for handler in handlers:
        handler.setFormatter(_Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=handlers, force=True)


class _Masking(logging.Formatter):
    """Shortens the account numbers in what is logged, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return named_here.text(super().format(record))


class _LogFile(logging.FileHandler):
    """A file that gives up when it cannot be written, as on a full disk; the command goes on."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self._file = file
        self._broken = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._broken:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._broken = True
        reason = error.strerror or error
        typer.echo(f"note: {self._file} gets no further lines of the log ({reason})", err=True)

    def close(self) -> None:
        # What could not be written is still waiting, and closing tries once more.
        with suppress(OSError):
            super().close()
