"""Settings of messages to the trader."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

from tomic.config.section import Location, Seconds, Section
from tomic.models.notices import NoticeKind

_WINDOW = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _window(value: str) -> str:
    if not _WINDOW.fullmatch(value):
        raise ValueError(f"{value!r} must be two times of day, such as 22:00-07:00")
    if value[:5] == value[6:]:
        raise ValueError(f"{value!r} begins when it ends; write two times, or none")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{value!r} is no time zone; write one such as Europe/Amsterdam") from exc
    return value


def _split(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


class NotifySettings(Section):
    """
    Messages about what changed, for jobs and for `--notify`.

    The addresses are no setting, as they are secrets: they come from $TOMIC_NOTIFY_URLS or
    from urls_file.
    """

    urls_file: Location | None = None
    """File with one Apprise address a line that only its owner may read, or "none";
    TOMIC_NOTIFY_URLS wins."""
    tell: Annotated[tuple[NoticeKind, ...], BeforeValidator(_split)] = (
        "gateway", "job", "assignment", "dividend", "exit", "alert", "proposal",
    )  # fmt: skip
    """What is told."""
    quiet: Annotated[str, AfterValidator(_window)] | None = None
    """Hours without messages, such as 22:00-07:00, or "none"; what comes up is told after."""
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    """Of the quiet hours, such as Europe/Amsterdam; "none": that of this computer."""
    timeout_s: Seconds = 20.0
    """Seconds that one service may take."""
