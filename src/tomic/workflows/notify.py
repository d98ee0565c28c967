"""The trader told: what changed since the last time, in one message, once."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tomic import notices, notify
from tomic.config import Settings
from tomic.masking import named_here
from tomic.models.documents import to_document
from tomic.models.notices import KeptNotice, Notice, Observation
from tomic.notices import Message
from tomic.store import Database

_LOCK = "notify"


class Told(NamedTuple):
    """What came of telling."""

    said: int = 0
    """Notices that a service took."""
    waiting: int = 0
    """Notices for later: it is quiet, or no service took them."""
    deliveries: tuple[notify.Delivery, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """A line per service that did not take the message."""
        return tuple(
            f"not told by {each.scheme}: {each.problem}" for each in self.deliveries if each.problem
        )

    @property
    def text(self) -> str:
        """What happened, in a line; empty where nothing had to be said."""
        if self.said:
            names = ", ".join(each.scheme for each in self.deliveries if not each.problem)
            return f"told {self.said} by {names}"
        if self.waiting:
            return f"{self.waiting} to tell later"
        return ""


async def tell(
    store: Database,
    settings: Settings,
    seen: Sequence[Observation],
    *,
    at: dt.datetime,
    demo: bool = False,
) -> Told:
    """
    Send one message about what is new since the last time, and remember what was told.

    Under a lock of the store, so that two runs at once tell it once. What no service took is tried
    again by the next run. Cancelled while sending, it may be told twice.

    Raises:
        ConfigError: There is no address, one is not understood, or Apprise is not installed.
        StoreError: What was told cannot be read or kept.
    """
    ours = settings.notify
    urls = await asyncio.to_thread(notify.read_urls, ours)
    zone = ZoneInfo(ours.time_zone) if ours.time_zone else None
    quiet = notices.is_quiet(at, ours.quiet, zone)
    masked = [_masked(look) for look in seen]
    async with store.run_lock(_LOCK, wait_s=settings.store.lock_wait_s + ours.timeout_s):
        kept = [KeptNotice.model_validate(document) for document in await store.notices.kept()]
        changes = notices.changed(kept, masked, at=at, quiet=quiet, tell=ours.tell)
        told = Told(waiting=sum(notice.told is None for notice in changes.kept))
        state = changes.kept
        if changes.say:
            services = await notify.open_services(urls, ours.timeout_s)
            told = await _said(services, changes.say, demo=demo)
            state = changes.told(at) if told.said else changes.kept
        if tuple(kept) != state:
            await store.notices.keep((notice.key, to_document(notice)) for notice in state)
    return told


async def test(settings: Settings, *, demo: bool = False) -> tuple[notify.Delivery, ...]:
    """
    Send a message that says it is a test; how each service took it. Quiet hours do not count.

    Raises:
        ConfigError: As `tell`.
    """
    urls = await asyncio.to_thread(notify.read_urls, settings.notify)
    services = await notify.open_services(urls, settings.notify.timeout_s)
    mark = " demo" if demo else ""
    made = Message(f"TOMIC{mark}: test", "A test: what changes will be told here.")
    return await services.send(lambda room, has_title: made)


async def _said(services: notify.Services, say: Sequence[Notice], *, demo: bool) -> Told:
    mark = " demo" if demo else ""

    def compose(room: int, has_title: bool) -> Message:
        whole = notices.message(say, mark=mark)
        # Without a title of its own it becomes the first line.
        return notices.message(say, room=room if has_title else room - len(whole.title), mark=mark)

    deliveries = await services.send(compose)
    taken = any(not each.problem for each in deliveries)
    return Told(len(say) if taken else 0, 0 if taken else len(say), deliveries)


def _masked(look: Observation) -> Observation:
    """Account numbers shortened: a message passes through the hands of others."""
    return look.model_copy(
        update={
            "notices": tuple(
                notice.model_copy(update={"text": named_here.text(notice.text)})
                for notice in look.notices
            )
        }
    )
