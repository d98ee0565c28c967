"""How a command runs: options, settings, an open desk, one event loop, one end for every error."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Never, Self, get_args, get_origin, get_type_hints

import typer

from tomic import _drawing, config as configuration, desk as desks, disk, models, outside
from tomic.cli.options import STDOUT, CommonOptions, GatewayOptions, Invocation, TicketOptions
from tomic.disk import make_folder, make_private
from tomic.errors import ConfigError, TomicError, UsageError
from tomic.masking import named_here
from tomic.present import ticket as orders
from tomic.workflows.progress import Event, Watcher, ignore

if TYPE_CHECKING:
    from rich import progress

    from tomic.models import Ticket

_log = logging.getLogger(__name__)

INTERRUPTED = 130
UNEXPECTED = 1
LOOKS_DONE = frozenset({0, 3, 10})
"""Codes with which a command says that what it wrote can be used."""
_WORST_FIRST = (1, 4, 6, 5, 7, 2, 3, 10, 0)
_FILES = (".csv", ".json", ".ndjson")
_CONTEXT = "context"
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def worst(codes: list[int]) -> int:
    """The exit code that several outcomes end with."""
    return next((code for code in _WORST_FIRST if code in codes), 0)


def runs(command: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., None]:
    """
    Turn a coroutine into a command; its return value is the exit code.

    A parameter that is a dataclass of options becomes these options. A `TomicError` becomes one
    message on stderr and its exit code. Ctrl-C stops what is being fetched, so that what is there
    is still written; a second one ends at once.
    """
    signature, groups = _expanded(command)

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        context: typer.Context | None = options.pop(_CONTEXT, None)
        invocation = context.ensure_object(Invocation) if context else Invocation()
        _check_text(options)
        as_json = bool(options.get("as_json")) or str(options.get("format")) in ("json", "ndjson")
        for name, (kind, members) in groups.items():
            values = {member: options.pop(member) for member in members if member in options}
            if kind is CommonOptions:
                values["invocation"] = invocation
            options[name] = kind(**values)
        if invocation.waiting is not None:
            invocation.waiting.append(command(*args, **options))
            return
        with quiet_pipe():
            try:
                with of_the_system():
                    code = asyncio.run(_interruptible(command(*args, **options), invocation.stops))
            except TomicError as exc:
                fail(exc, as_json=as_json)
            except (KeyboardInterrupt, asyncio.CancelledError):
                typer.echo("interrupted", err=True)
                raise typer.Exit(INTERRUPTED) from None
            raise typer.Exit(code or 0)

    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    return run


def _expanded(
    command: Callable[..., object],
) -> tuple[inspect.Signature, dict[str, tuple[type, list[str]]]]:
    """
    The signature that Typer reads; and the groups of options in it, each with kind and members.

    All is by keyword there, as Typer calls it, so that options without a default may follow others.
    """
    parameters = [inspect.Parameter(_CONTEXT, _KEYWORD, annotation=typer.Context)]
    groups: dict[str, tuple[type, list[str]]] = {}
    hints = get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters.values():
        hint = hints.get(parameter.name, parameter.annotation)
        kind, wanted = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            members = _members(kind, wanted)
            parameters += members
            groups[parameter.name] = (kind, [member.name for member in members])
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            parameters.append(parameter.replace(kind=_KEYWORD, annotation=hint))
    return inspect.Signature(parameters), groups


def _members(kind: Any, wanted: str) -> list[inspect.Parameter]:
    """The fields of *kind* that are options; those *wanted*, if any are named."""
    names = wanted.split()
    return [
        inspect.Parameter(member.name, _KEYWORD, default=member.default, annotation=hint)
        for member, hint in _options_of(kind)
        if not names or member.name in names
    ]


@functools.cache
def _options_of(kind: Any) -> list[tuple[Any, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    pairs = [(member, hints[member.name]) for member in dataclasses.fields(kind)]
    return [(member, hint) for member, hint in pairs if get_origin(hint) is Annotated]


def _check_text(options: Mapping[str, object]) -> None:
    """
    Refuse bytes that are no UTF-8, and control codes, in what is stored and printed.

    Paths may have them.
    """
    for name, value in options.items():
        for word in value if isinstance(value, list | tuple) else (value,):
            if isinstance(word, str) and not _is_text(word):
                shown = word.encode("utf-8", "backslashreplace").decode()
                raise UsageError(f"{name} {shown}: not UTF-8; type it again")
            if isinstance(word, str) and outside.lines(word) != word.replace("\r\n", "\n"):
                raise UsageError(f"{name} {word[:40]!r}: holds a control code; type it again")


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def say(error: TomicError, *, as_json: bool = False) -> None:
    """Say on stderr what went wrong and what to do, account numbers shortened."""
    message = outside.lines(named_here.text(str(error)))
    if as_json:
        document = {"code": error.code, "message": message, "retryable": error.retryable}
        typer.echo(json.dumps({"error": document}, ensure_ascii=False), err=True)
    else:
        typer.echo(f"tomic: {message}", err=True)


def fail(error: TomicError, *, as_json: bool = False) -> Never:
    """Say what went wrong and end with the error's exit code."""
    say(error, as_json=as_json)
    raise typer.Exit(error.exit_code)


@contextlib.contextmanager
def of_the_system() -> Iterator[None]:
    """Make an error of what the operating system refused, and nobody inside has explained."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        if exc.errno is None:
            # No refusal but a mistake of ours, such as a timeout that nobody waited for.
            raise
        _log.debug("refused by the operating system", exc_info=exc)
        where = f"{exc.filename}: " if exc.filename else ""
        raise TomicError(
            f"{where}{(exc.strerror or str(exc)).lower()}; look whether it can be read and "
            "written, and whether the disk has room"
        ) from exc


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """Let ``tomic … | head`` end without a traceback when the reader has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would complain again.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


async def _interruptible(
    main: Coroutine[Any, Any, int | None], stops: Sequence[Callable[[], bool]]
) -> int | None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def on_interrupt() -> None:
        if not (stops and stops[-1]()):
            task.cancel()

    try:
        loop.add_signal_handler(signal.SIGINT, on_interrupt)
    except NotImplementedError:  # Windows: signals reach Python between two loop turns
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(on_interrupt))
    return await main


class ProgressLine:
    """
    Shows the events of a workflow; a context manager, and callable as its watcher.

    Args:
        quiet: Show none.
        brief: Where nobody watches a terminal, show of each symbol what came of it, and no step.
    """

    def __init__(self, *, quiet: bool, brief: bool = False) -> None:
        self._quiet = quiet
        # Read later, if at all: steps on the way are for who watches them.
        self._brief = brief and not sys.stderr.isatty()
        self._bar: progress.Progress | None = None
        self._tasks: dict[str, progress.TaskID] = {}
        self.then: Watcher = ignore
        """Told of each event as well."""

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich import console, progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(bar_width=30),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                console=console.Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not self._quiet:
            self._show(event)
        self.then(event)

    def _show(self, event: Event) -> None:
        if self._brief and event.symbol and event.kind not in ("done", "note"):
            return
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


def checked_symbols(symbols: Sequence[str]) -> list[str]:
    """The symbols as TOMIC writes them, refused before anything is connected."""
    return [models.normalize_symbol(symbol) for symbol in symbols]


def open_desk(
    common: CommonOptions,
    gateway: GatewayOptions | None = None,
    *,
    asks: bool = True,
    quiet: bool = False,
    brief: bool = True,
    **sections: Mapping[str, Any],
) -> tuple[desks.Desk, ProgressLine]:
    """
    The desk for a command and what shows its progress; options that are None change nothing.

    Something is said before the slow imports, so that nobody waits in front of nothing; where
    nobody *asks* the gateway anything, it is not named. *brief* is that of `ProgressLine`.
    """
    began = time.monotonic()  # the clock of asyncio's loops
    invocation, quiet = common.invocation, common.quiet or quiet
    if gateway is not None:
        place = {"host": gateway.host, "port": gateway.port, "client_id": gateway.client_id}
        rules = {**sections.get("chain", {}), "deadline_s": gateway.timeout}
        sections = {**sections, "ib": place, "chain": rules}
    overrides = {
        name: given
        for name, values in sections.items()
        if (given := {key: value for key, value in values.items() if value is not None})
    }
    settings = configuration.load_settings(common.config, **overrides)
    configure_logging(settings.log, verbose=common.verbose, quiet=quiet)
    if asks and not quiet and invocation.host is None:
        typer.echo(_greeting(common, settings.ib.host, settings.ib.port), err=True)
    progress = ProgressLine(quiet=quiet, brief=brief)
    shared = _guest(common, settings, progress)
    if shared is not None:
        return shared, progress
    desk = desks.Desk(
        settings,
        demo=common.demo,
        replay=common.replay,
        as_of=common.as_of,
        paced=common.paced,
        record=invocation.record,
        command=invocation.words,
        demo_store=settings.store.demo_path,
        replay_store=settings.store.replay_path,
        began=began,
        watch=progress,
    )
    return desk, progress


@contextlib.asynccontextmanager
async def at_desk(
    common: CommonOptions,
    gateway: GatewayOptions | None = None,
    *,
    stops: bool = False,
    then: Watcher = ignore,
    **how: Any,
) -> AsyncIterator[desks.Desk]:
    """
    The desk of `open_desk`, open, with its progress shown.

    Args:
        stops: Let the first Ctrl-C stop what is fetched, and keep what is there.
        then: Told of each event as well.
        **how: As `open_desk`.
    """
    desk, progress = open_desk(common, gateway, **how)
    progress.then = then
    stop = common.invocation.stoppable(desk.interrupt) if stops else contextlib.nullcontext()
    with progress, stop:
        async with desk:
            yield desk


def export_folder(common: CommonOptions, settings: configuration.Settings) -> Path | None:
    """
    Where a command writes its files; None where it is to write none.

    Raises:
        UsageError: Nothing can be written to the folder of ``--out``.
        BadFile: Nothing can be written to that of the settings.
    """
    out = common.out
    if common.no_export or not settings.export.enabled:
        return None
    if out is None:
        disk.check_target(settings.export.dir / "x")
        return settings.export.dir
    try:
        if out.suffix in _FILES and not out.is_dir():
            raise UsageError(f"--out {out}: name a folder; the files in it get their own names")
    except OSError as exc:
        raise UsageError(f"--out {out}: cannot be reached ({exc.strerror or exc})") from exc
    try:
        disk.check_folder(out)
    except OSError as exc:
        raise UsageError(
            f"--out {out}: {exc.filename} is no folder that can be written to"
        ) from exc
    return out


def draw_to(file: Path, common: CommonOptions, picture: str, *of: Any, **options: Any) -> None:
    """
    Draw *picture* of `tomic.report.pictures` into *file*; ``-`` prints it as SVG.

    Raises:
        UsageError: matplotlib is not installed, or *file* names no form of picture.
        DataError: There is nothing to draw.
        BadFile: The file cannot be written.
    """
    if file == STDOUT:
        typer.echo(_drawing.svg(_drawing.draw(picture, *of, **options)), nl=False)
        return
    _drawing.save(file, _drawing.draw(picture, *of, theme="light", **options))
    common.say(f"{file}: written")


def hand_over(
    made: Ticket, wanted: TicketOptions, common: CommonOptions, *, shown: Ticket | None = None
) -> None:
    """
    Write or print a ticket as it was asked for; what its file cannot say goes to stderr.

    Args:
        shown: What the link shows where that is not the ticket: what is held after it.

    Raises:
        UsageError: OptionStrat does not know such options.
        BadFile: The file cannot be written.
    """
    line = orders.optionstrat(shown or made)
    if wanted.link and not line.text:
        raise UsageError(f"no link: {line.why_none}")
    if wanted.ticket is not None:
        text = orders.what_if_csv(made)
        if wanted.ticket == STDOUT:
            typer.echo(text, nl=False)
        else:
            common.say(f"{disk.write_text(wanted.ticket, text, private=True)}: written")
        common.say(*(f"note: {note}" for note in orders.what_if_notes(made)))
    if wanted.link:
        typer.echo(line.text)


def _guest(
    common: CommonOptions, settings: configuration.Settings, progress: ProgressLine
) -> desks.Desk | None:
    """The desk of the job that this is a step of, if it fits."""
    host = common.invocation.host
    # A recording holds a session from its first message on.
    if host is None or common.invocation.record is not None or common.replay is not None:
        return None
    if (common.demo, common.paced) != (host.demo, host.paced):
        return None
    return host.sharing(settings, watch=progress)


def _greeting(common: CommonOptions, host: str, port: int) -> str:
    if common.replay is not None:
        return f"replaying {common.replay} through the built-in gateway"
    if common.demo:
        limit = "at IB's pace" if common.paced else "without IB's message limit (--paced keeps it)"
        return f"demo market, {limit}; these are not real quotes"
    return f"connecting to {host}:{port}"


def configure_logging(settings: configuration.LogSettings, *, verbose: int, quiet: bool) -> None:
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


def log_files(settings: configuration.LogSettings) -> list[logging.Handler]:
    """
    What logs to the file of the settings; nothing where there is none.

    Raises:
        ConfigError: The file cannot be written.
    """
    if settings.file is None:
        return []
    try:
        make_folder(settings.file.parent, private=True)
        make_private(settings.file)
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
        return named_here.text(outside.lines(super().format(record)))


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
        with contextlib.suppress(OSError):
            super().close()
