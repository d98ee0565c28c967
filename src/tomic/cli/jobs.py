"""`tomic run`: the named jobs of the configuration, for cron."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import shlex
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tomic import config as configuration, desk as desks
from tomic.cli import completion, notify as telling, options, streams
from tomic.cli.running import LOOKS_DONE, of_the_system, open_desk, runs, say, worst
from tomic.errors import ConfigError, TomicError, UsageError
from tomic.workflows import jobs as work

_log = logging.getLogger(__name__)

app = typer.Typer()

_NOT_A_STEP = {
    "run": "a job cannot run a job",
    "panel": "the panel needs somebody in front of it",
    "gateway": "it runs until somebody ends it",
}
_RECORD = "record"
"""The command that runs another one."""


@app.command(name="run")
@runs
async def run_(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Table under [jobs].", autocompletion=completion.jobs
        ),
    ] = None,
    skip_holidays: Annotated[
        bool, typer.Option("--skip-holidays", help="Do nothing on days without trading.")
    ] = False,
    *,
    common: Annotated[options.CommonOptions, "demo config verbose quiet"],
) -> int:
    """Run the steps of a job over one connection, or list the jobs."""
    if common.invocation.host is not None:
        raise UsageError(f"run cannot be a step: {_NOT_A_STEP['run']}")
    # Steps run in the folder of the file, so it must not be named relative to this one.
    common = replace(common, config=_file(common.config))
    settings = configuration.load_settings(common.config)
    if name is None:
        typer.echo("\n".join(_listing(settings.jobs)))
        return 0
    job = _job(settings.jobs, name)
    today = dt.date.today()
    if not work.is_due(job, today, skip_holidays=skip_holidays):
        typer.echo(f"{today} is no trading day; nothing done", err=True)
        return 0
    desk, _ = open_desk(common)
    observed: list[Any] = []
    steps = _Steps(common, desk, name, observed, notifies=job.notify)
    # Cron starts in the home folder, and a step's own paths are meant beside the configuration.
    with _in_folder(common.config.parent if common.config else None):
        async with desk:
            reports = await work.run_job(
                name,
                job,
                steps.run,
                store=await desk.store(),
                today=today,
                wait_s=settings.store.lock_wait_s,
                on_done=lambda report: None if common.quiet else _tell(report, len(job.run)),
            )
            if job.notify:
                observed.append(work.observation(name, reports, reached=desk.has_session))
            if observed:
                await telling.tell_all(await desk.store(), settings, observed, common)
    codes = [report.end.exit_code for report in reports]
    return work.INTERRUPTED if work.INTERRUPTED in codes else worst(codes)


@contextlib.contextmanager
def _in_folder(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    try:
        before: Path | None = Path.cwd()
    except OSError:
        # It was deleted; there is no way back, and nobody needs one.
        before = None
    os.chdir(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.chdir(before or folder)


class _Steps:
    """Runs command lines with what all steps of the job have in common, the desk among them."""

    def __init__(
        self,
        common: options.CommonOptions,
        desk: desks.Desk,
        job: str,
        observed: list[Any],
        *,
        notifies: bool,
    ) -> None:
        self._given = {"--demo": common.demo, "--config": common.config, "--quiet": common.quiet}
        self._invocation = replace(
            common.invocation, host=desk, job=job, observed=observed, notifies=notifies
        )

    async def run(self, words: list[str]) -> work.StepEnd:
        """Run one command in this process, on this loop; whatever it raises is its own end."""
        end = await self._end_of(words)
        problem = streams.take_problem()
        if problem and end.exit_code in LOOKS_DONE:
            error = TomicError(problem)
            say(error)
            return work.StepEnd(error.exit_code, error)
        return end

    async def _end_of(self, words: list[str]) -> work.StepEnd:
        try:
            with of_the_system():
                return work.StepEnd(await self._code(words))
        except TomicError as exc:
            say(exc)
            return work.StepEnd(exc.exit_code, exc)
        except typer.Exit as exc:
            return work.StepEnd(exc.exit_code)
        except typer.BadParameter as exc:
            error = UsageError(exc.format_message())
            say(error)
            return work.StepEnd(error.exit_code, error)
        except BrokenPipeError:
            # Who read the output has gone, which is no fault of the step.
            return work.StepEnd(0)
        except Exception as exc:
            # A mistake of the program, whatever it is, must not cost the steps that follow.
            unexpected = TomicError(f"unexpected {type(exc).__name__}: {exc}")
            _log.debug("tomic %s", shlex.join(words), exc_info=exc)
            say(unexpected)
            return work.StepEnd(unexpected.exit_code, unexpected)

    async def _code(self, words: list[str]) -> int:
        from tomic.cli.app import app as whole

        line = self._with_options(typer.main.get_command(whole), words)
        commands: list[Coroutine[Any, Any, int | None]] = []
        try:
            whole(args=line, prog_name="tomic", obj=replace(self._invocation, waiting=commands))
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 1
        for command in commands:
            code = await command or 0
        return code

    def _with_options(self, group: Any, words: list[str]) -> list[str]:
        """The words with the job's own options, where the command has them and they are absent."""
        command, typed = group, []
        for word in words:
            if not hasattr(command, "commands") or word not in command.commands:
                break
            command = command.commands[word]
            typed.append(word)
        if typed:
            _check_step(words)
        known = {name for parameter in command.params for name in parameter.opts}
        if typed and self._given["--demo"] and "--demo" not in known:
            raise UsageError(f"{' '.join(typed)} has no --demo; leave it out of a demo")
        extra: list[str] = []
        for option, value in self._given.items():
            if value and option in known and option not in words:
                extra += [option] if value is True else [option, str(value)]
        return [*words, *extra]


def _check_step(words: list[str]) -> None:
    """Refuse a command that is no step, also as the one that is to be recorded."""
    if words[0] == _RECORD:
        # Its options, if any, come before the file, and the command after that.
        rest = [word for word in words[1:] if word != "--"]
        for word in rest[1:]:
            if word in _NOT_A_STEP:
                _check_step([word])
            if not word.startswith("-"):
                break
    elif words[0] in _NOT_A_STEP:
        raise UsageError(f"{words[0]} cannot be a step: {_NOT_A_STEP[words[0]]}")


def _job(jobs: dict[str, configuration.JobSettings], name: str) -> configuration.JobSettings:
    if name not in jobs:
        raise ConfigError(
            f"no job {name!r}; there are {', '.join(sorted(jobs))}", key=f"jobs.{name}"
        )
    return jobs[name]


def _file(config: Path | None) -> Path | None:
    from tomic.config.loading import project_file

    file = project_file(config)
    return file.resolve() if file is not None else None


def _listing(jobs: dict[str, configuration.JobSettings]) -> list[str]:
    lines = []
    for name, job in sorted(jobs.items()):
        lines.append(f"{name}{'  (trading days only)' if job.skip_holidays else ''}")
        lines += [f"  tomic {command}" for command in job.run]
    return lines


def _tell(report: work.StepReport, steps: int) -> None:
    typer.echo(
        f"{report.job} {report.number}/{steps}: tomic {report.command}: "
        f"code {report.end.exit_code} after {report.seconds:.1f} s",
        err=True,
    )
