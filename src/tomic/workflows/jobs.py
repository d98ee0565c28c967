"""
Named jobs: command lines run one after the other, under a lock, each step a line in a log.

What runs a step is passed in, because commands live floors above.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tomic import dates, notices
from tomic._version import __version__
from tomic.config import JobSettings
from tomic.errors import BadFile, SessionError, TomicError
from tomic.models.notices import Observation
from tomic.store import Database

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended."""

    exit_code: int
    error: TomicError | None = None
    """What ended it, when something did."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of a job that was run."""

    job: str
    number: int
    """From 1."""
    command: str
    started: dt.datetime
    seconds: float
    end: StepEnd

    def line(self) -> str:
        """The JSON line of the log."""
        error = self.end.error
        return json.dumps(
            {
                "job": self.job,
                "step": self.number,
                "command": self.command,
                "started": self.started.isoformat(timespec="seconds"),
                "seconds": round(self.seconds, 3),
                "exit_code": self.end.exit_code,
                "error": {"code": error.code, "message": str(error)} if error else None,
                "version": __version__,
            },
            ensure_ascii=False,
        )


RunStep: TypeAlias = Callable[[list[str]], Awaitable[StepEnd]]


async def run_job(
    name: str,
    job: JobSettings,
    run_step: RunStep,
    *,
    store: Database,
    today: dt.date,
    wait_s: float,
    on_done: Callable[[StepReport], None] = lambda report: None,
) -> list[StepReport]:
    """
    Run every step of *job*, whatever became of those before it, unless one was interrupted.

    Args:
        run_step: Runs one command, given as words without ``tomic``.
        store: Holds the lock, one per job name.
        today: Takes the place of ``{date}`` in a step.
        wait_s: Seconds to wait for another run of the same job.
        on_done: Told of each step as it ends.

    Raises:
        StoreBusy: Another run of this job holds the lock.
        BadFile: The log could not be written; every step has run.
    """
    reports: list[StepReport] = []
    unwritten: BadFile | None = None
    async with store.run_lock(f"job-{name}", wait_s=wait_s):
        for number, command in enumerate(job.run, 1):
            words = [word.replace("{date}", today.isoformat()) for word in shlex.split(command)]
            started, clock = dt.datetime.now(dt.UTC), time.monotonic()
            end = await run_step(words)
            seconds = time.monotonic() - clock
            report = StepReport(name, number, shlex.join(words), started, seconds, end)
            reports.append(report)
            if job.log is not None:
                try:
                    _append(job.log, report.line())
                except BadFile as exc:
                    # The steps matter more than what is written about them.
                    unwritten = unwritten or exc
            on_done(report)
            if end.exit_code == INTERRUPTED:
                break
    if unwritten is not None:
        raise unwritten
    return reports


_ENDS_WELL = frozenset({0, 3, 10, INTERRUPTED})
"""Codes of a step that is no failure: something may be missing, or a check fired."""


def observation(job: str, reports: Sequence[StepReport], *, reached: bool) -> Observation:
    """Which steps failed, for who is told; *reached* as in `notices.of_job`."""
    failed = [
        notices.FailedStep(
            report.number,
            report.command,
            report.end.exit_code,
            str(report.end.error or ""),
            isinstance(report.end.error, SessionError),
        )
        for report in reports
        if report.end.exit_code not in _ENDS_WELL
    ]
    return notices.of_job(job, failed, reached=reached)


def is_due(job: JobSettings, today: dt.date, *, skip_holidays: bool = False) -> bool:
    """Whether *job* runs on *today*: on any day, or on trading days where that was asked for."""
    return not (job.skip_holidays or skip_holidays) or dates.is_trading_day(today)


def _append(file: Path, line: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(line + "\n")
    except OSError as exc:
        raise BadFile(f"{file} cannot be written: {exc.strerror or exc}") from exc
