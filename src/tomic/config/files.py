"""Settings of what is written: the store, exports, the log, and named jobs."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tomic.config.section import Location, NotEmpty, Section

_LONGEST_NAME = 64
_JOB_NAME = re.compile(rf"\w[\w .-]{{,{_LONGEST_NAME - 1}}}")
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
)


class StoreSettings(Section):
    """The one database file."""

    path: Location = Field(default="data/volatility.db", validate_default=True)
    """SQLite file with bars, volatility, chains of the day, scans and the journal."""
    lock_wait_s: float = Field(default=10.0, ge=0.0, le=3600.0)
    """Seconds to wait for another run before giving up with exit code 7."""


class ExportSettings(Section):
    """Files written for others to read."""

    dir: Location = Field(default="exports", validate_default=True)
    """Folder that gets a folder per day."""
    enabled: bool = True
    """Whether `chain`, `vol` and `scan` write files without being asked."""


LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class LogSettings(Section):
    """What the command line logs, and where."""

    level: Annotated[
        LogLevel, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
    ] = "WARNING"
    """DEBUG, INFO, WARNING, ERROR or CRITICAL; -v and -q override it."""
    file: Location | None = None
    """File that gets the log as well, or "none"."""


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} cannot be split into words: {exc}") from exc
    if not words:
        raise ValueError("a step must not be empty")
    return value


class JobSettings(Section):
    """Commands that `tomic run NAME` runs one after the other over one connection."""

    run: Annotated[tuple[Annotated[str, AfterValidator(_command)], ...], NotEmpty]
    """Commands without the leading `tomic`; {date} becomes today's date."""
    skip_holidays: bool = False
    """Do nothing on days without trading."""
    log: Location | None = None
    """File that gets one JSON line per step, or "none"."""


MORNING = JobSettings(
    run=(
        "prices",
        "vol",
        "scan --top 5",
        "journal check --exit-code",
        "report day --html reports/{date}.html",
    )
)


def _check_name(name: str) -> None:
    """A job's lock is a file of its name, on any operating system."""
    if not _JOB_NAME.fullmatch(name) or name.endswith((".", " ")):
        raise ValueError(
            f"{name!r} cannot name a job: use letters, digits, dots, - and _, a letter or digit "
            f"first, at most {_LONGEST_NAME} of them"
        )
    if name.partition(".")[0].upper() in _DEVICES:
        raise ValueError(f"{name!r} cannot name a job: Windows has a device of that name")


def _with_morning(value: Any) -> Any:
    """Join the jobs that are named with the one that exists by default."""
    if not isinstance(value, dict):
        return value
    for name in value:
        _check_name(str(name))
    given = value.get("morning", {})
    return value | {"morning": MORNING.model_dump() | given} if isinstance(given, dict) else value


Jobs = Annotated[dict[str, JobSettings], BeforeValidator(_with_morning)]
