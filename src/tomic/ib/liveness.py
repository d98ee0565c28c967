"""Whether the gateway still speaks: a connection that went deaf is found within seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tomic.errors import RequestTimeout, SessionError, SessionLost, UnreadableAnswer
from tomic.ib.link import Link
from tomic.ib.pacing import Pacer
from tomic.ib.reactions import Reactions

_log = logging.getLogger(__name__)

_ANSWER_S = 5.0
"""How long the gateway may take to tell the time."""
_BUSY_S = 2.0
"""Silence, while something is open, after which it is asked for a sign of life."""
_JUST_NOW_S = 0.3


class Liveness:
    """
    Asks for a sign of life after silence, and declares the link lost when none comes.

    Args:
        link: The link that is up now.
        ask_time: Asks the gateway for its time, within so many seconds.
        reactions: Whose clocks stand still during a probe: nobody's timeout runs out because of
            a connection that may be dead.
        pacer: While it is held, TWS has lost IB and is silent for that reason.
        idle_s: Silence to accept while nothing is open.
    """

    def __init__(
        self,
        link: Callable[[], Link],
        ask_time: Callable[[float], Awaitable[int]],
        reactions: Reactions,
        pacer: Pacer,
        idle_s: float,
    ) -> None:
        self._link, self._ask_time = link, ask_time
        self._reactions, self._pacer, self._idle_s = reactions, pacer, idle_s
        self._clock = asyncio.get_running_loop().time
        self._heard_at = self._clock()

    def hear(self) -> None:
        """Note that messages have arrived."""
        self._heard_at = self._clock()

    async def watch(self) -> None:
        """Probe after every silence that is too long; runs until cancelled."""
        while True:
            link = self._link()
            busy = bool(link.callbacks.requests or link.callbacks.lines)
            patience_s = min(_BUSY_S, self._idle_s) if busy else self._idle_s
            quiet_s = self._clock() - self._heard_at
            if not link.alive or self._pacer.held or quiet_s < patience_s:
                await asyncio.sleep(min(max(patience_s - quiet_s, 0.25), 0.5))
                continue
            try:
                await self._probe(link)
            except SessionError as exc:
                _log.debug("no sign of life: %s", exc)

    async def confirm(self) -> None:
        """
        Return once the gateway has said anything just now; it is asked for that if need be.

        Raises:
            SessionLost: It says nothing any more.
        """
        if self._clock() - self._heard_at > _JUST_NOW_S:
            await self._probe(self._link())

    async def _probe(self, link: Link) -> None:
        asked_at = self._clock()
        self._reactions.stop_clocks("probe")
        try:
            await self._ask_time(_ANSWER_S)
        except UnreadableAnswer:
            pass  # it spoke
        except RequestTimeout as exc:
            if self._heard_at < asked_at:
                silence = self._clock() - self._heard_at
                lost = SessionLost(f"the gateway went silent for {silence:.0f} s")
                link.lose(lost)
                raise lost from exc
        finally:
            self._reactions.start_clocks("probe")
