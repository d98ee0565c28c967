"""Getting a connection: client ids in turn, pauses between attempts, all within a deadline."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from tomic import dates
from tomic.config import IbSettings
from tomic.errors import ClientIdInUse, GatewayUnreachable, SessionError, SessionLost
from tomic.ib.clocks import Farm
from tomic.ib.lines import Lines
from tomic.ib.link import Link
from tomic.ib.pacing import Pacer
from tomic.ib.reactions import Reactions
from tomic.ib.tap import Tap, listen_in

_LEAST_S = 0.2
"""Even a deadline that has passed leaves so long for a gateway on the same computer."""


def restart_hint(now: dt.datetime, window: str) -> str:
    """What to say when the connection drops inside IB's nightly *window* (``00:15-01:45``)."""
    first, last = (dt.time.fromisoformat(part) for part in window.split("-"))
    time = now.astimezone(dates.NEW_YORK).time().replace(second=0, microsecond=0)
    inside = first <= time <= last if first <= last else time >= first or time <= last
    return f"; IB restarts its servers between {window} New York time" if inside else ""


class Dialer:
    """
    Opens links for a session, one at a time.

    Args:
        ib: Where the gateway is, and how patient to be.
        reactions: What errors on the new link lead to.
        pacer: What is sent on it passes this.
        note: Tells the user something that is no error.
        now: The gateway's time, or the best guess at it.
        on_message: Called whenever messages have arrived.
        tap: Told of everything that passes on every link.
    """

    def __init__(
        self,
        ib: IbSettings,
        reactions: Reactions,
        pacer: Pacer,
        *,
        note: Callable[[str], None],
        now: Callable[[], dt.datetime],
        on_message: Callable[[], None],
        tap: Tap | None,
    ) -> None:
        self._ib, self._reactions, self._pacer = ib, reactions, pacer
        self._note, self._now = note, now
        self._on_message, self._tap = on_message, tap
        self.unreadable: Counter[str] = Counter()
        """Messages that could not be decoded, by name, over all links."""
        self._clock = asyncio.get_running_loop().time

    @property
    def hint(self) -> str:
        """What to add to a message about a lost connection: the nightly restart, while it is on."""
        return restart_hint(self._now(), self._ib.reset_window)

    async def dial(self, deadline: float | None = None) -> tuple[Link, Lines]:
        """
        Connect with the first client id that is free.

        Raises:
            ClientIdInUse: None of the ids is free.
            GatewayUnreachable: No gateway, or it does not get ready in time.
        """
        ib, first = self._ib, self._ib.client_id
        port = self._reactions.new_port or ib.port
        for client_id in range(first, max(first, ib.last_client_id) + 1):
            link = Link(self._pacer, on_message=self._on_message, on_lost=self._pacer.clear)
            lines = Lines(link, self._pacer)
            link.on_error = partial(self._reactions.to_error, link, lines)
            link.on_unreadable = self._count_unreadable
            link.callbacks.is_serving = lambda: self._reactions.clocks[Farm.MARKET].running
            if self._tap is not None:
                listen_in(link.client.conn, self._tap)
            try:
                await link.open(ib.host, port, client_id, self._patience(deadline))
            except ClientIdInUse:
                await link.close()
                self._note(f"client id {client_id} is in use; trying the next one")
                continue
            except GatewayUnreachable as exc:
                await link.close()
                raise GatewayUnreachable(f"{exc}{self.hint}") from exc
            except BaseException:
                await link.close()
                raise
            return link, lines
        raise ClientIdInUse(
            f"client ids {first} to {max(first, ib.last_client_id)} are all in use at "
            f"{ib.host}:{port}; close another program, or pass --client-id"
        )

    async def redial(self, deadline: float | None = None) -> tuple[Link, Lines]:
        """
        Connect again: after the settings' pauses, the last of them repeated up to *deadline*.

        Raises:
            SessionLost: No attempt succeeded.
        """
        self._note("connection lost; reconnecting" + self.hint)
        error: SessionError = SessionLost("no attempt was made")
        for attempt, pause_s in enumerate(self._pauses(deadline), start=1):
            await asyncio.sleep(pause_s)
            self._pacer.clear()
            self._reactions.forget()
            try:
                link, lines = await self.dial(deadline)
            except SessionError as exc:
                error = exc
                continue
            self._note(f"reconnected with client id {link.client_id} at attempt {attempt}")
            return link, lines
        raise SessionLost(f"connection lost and no new one made: {error}")

    def _count_unreadable(self, name: str, fault: str) -> None:
        """Count a message that could not be decoded; the first of each kind is told."""
        self.unreadable[name] += 1
        if self.unreadable[name] == 1:
            self._note(f"a message of the gateway cannot be read: {name}: {fault}")

    def _pauses(self, deadline: float | None) -> Iterator[float]:
        pauses: Iterator[float] = iter(self._ib.reconnect_pauses_s)
        if deadline is not None and self._ib.reconnect_pauses_s:
            pauses = itertools.chain(pauses, itertools.repeat(self._ib.reconnect_pauses_s[-1]))
        for pause_s in pauses:
            if self._left(deadline) <= pause_s:
                return
            yield pause_s

    def _patience(self, deadline: float | None) -> float:
        return max(min(self._ib.connect_timeout_s, self._left(deadline)), _LEAST_S)

    def _left(self, deadline: float | None) -> float:
        return math.inf if deadline is None else deadline - self._clock()
