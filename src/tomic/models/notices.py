"""Notices: what is so now and should be told once, and what has been told."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from tomic.models.market import Model

NoticeKind = Literal["gateway", "job", "assignment", "dividend", "exit", "alert", "proposal"]
"""Most urgent first."""


class Notice(Model):
    """Something that is so now, and that the trader should hear of once."""

    kind: NoticeKind
    key: str
    """The same for as long as it is the same thing: ``exit:31:profit_target``."""
    text: str
    """What was seen against which limit, in plain words."""
    more: str = ""
    """The command that shows more."""


class Observation(Model):
    """What one look saw, and how far it looked."""

    notices: tuple[Notice, ...] = ()
    covers: tuple[str, ...] = ()
    """Beginnings of the keys that were looked at: what is not among *notices* is over."""
    unknown: tuple[str, ...] = ()
    """Beginnings of keys that could not be judged: they stay as they are."""


class KeptNotice(Notice):
    """A notice that still holds, with when it began and when it was told."""

    since: AwareDatetime
    told: AwareDatetime | None = None
    """None while it waits: for the end of the quiet hours, or for a service that takes it."""
