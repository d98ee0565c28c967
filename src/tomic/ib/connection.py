"""
How a session gets its connection and keeps it: dialing, signs of life, and what TWS says by itself.

Codes that end a single request go to that request (see `callbacks`); each code that concerns a
session has one reaction here. Source of the meanings: IB "Message Codes".
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import logging
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from tomic import dates, errors
from tomic.config import IbSettings
from tomic.ib.callbacks import OF_THE_SESSION, Interrupted, is_routine
from tomic.ib.clocks import BROKEN, RESTORED, Farm, StoppableClock, matters
from tomic.ib.lines import Lines
from tomic.ib.link import Link, Tap, listen_in
from tomic.ib.pacing import CAREFUL_RATE, RequestLimits
from tomic.masking import named_here

_log = logging.getLogger(__name__)

_STRIKES, _PAUSE_S = 3, 1.5
_CONNECTIVITY = "connectivity"
_HOLD_S = 20.0
"""How long a broken farm is waited for. Its return may go unsaid, or be said of another name."""
_FEWER_LINES = 10
"""What is given up at once when TWS refuses lines before it has served any."""


class Reactions:
    """
    Reacts for a session. ``fatal`` is set once the session must not be used any more.

    Args:
        limits: Whose pacer is held, slowed down, and whose lines shrink.
        note: Tells the user something that is not an error.
    """

    def __init__(self, limits: RequestLimits, note: Callable[[str], None]) -> None:
        self.limits, self.note = limits, note
        self._loop = asyncio.get_running_loop()
        self.clocks = {farm: StoppableClock(self._loop.time) for farm in Farm}
        self.fatal: errors.SessionError | None = None
        self.new_port: int | None = None
        """Where TWS listens from now on, once it has said so."""
        self._strikes, self._struck_at = 0, -_PAUSE_S
        self._holds: dict[tuple[Farm, str], asyncio.TimerHandle] = {}

    @property
    def cut_off(self) -> bool:
        """Whether TWS has lost its connection to IB."""
        return any(clock.stopped_by(_CONNECTIVITY) for clock in self.clocks.values())

    def to_error(self, link: Link, lines: Lines, code: int, text: str) -> None:
        """React to *code*, said on *link*."""
        if code == 100:
            self._slow_down(link, lines)
        elif code == 101:
            self._take_fewer_lines(link, lines)
        elif code in (1100, 2110):
            self._hold(code)
        elif code in (1101, 1102):
            self._go_on(link, code)
        elif code == 10197:
            self.fatal = errors.CompetingSession(
                "another session of this user holds the live market data (10197); "
                "log out there, or use its own session, then run again"
            )
            link.callbacks.fail_all(self.fatal)
        elif code in (502, 504):
            link.lose(errors.SessionLost(f"not connected ({code}): {text}"))
        elif code == 1300:
            self._move(link, text)
        elif code in (320, 505):
            self.note(f"the gateway did not understand a message ({code}): {text}")
        elif code in BROKEN:
            self._farm_broken(link, code, text)
        elif code in RESTORED:
            farm, named = RESTORED[code], _farm_name(text)
            # Without a name, all of that kind are back.
            broken = [name for of, name in self._holds if of is farm]
            for name in [named] if named else broken:
                self._farm_works(link, farm, name, f"IB's {farm} farm {name} is back ({code})")
        elif link.alive:
            self.to_words(code, text)

    def to_words(self, code: int, text: str) -> None:
        """Hand on what TWS says to nobody in particular; new codes of that kind keep coming."""
        if code not in OF_THE_SESSION and not is_routine(code, text):
            self.note(f"the gateway says: {named_here.text(text.strip())} ({code})")

    def stop_clocks(self, reason: str) -> None:
        """Let no timeout run out because of *reason*."""
        for clock in self.clocks.values():
            clock.stop(reason)

    def start_clocks(self, reason: str) -> None:
        """*reason* is over."""
        for clock in self.clocks.values():
            clock.start(reason)

    def forget(self) -> None:
        """A new connection: what was broken on the old one need not be on this one."""
        for hold in self._holds.values():
            hold.cancel()
        self._holds.clear()
        for clock in self.clocks.values():
            clock.restart()

    def _slow_down(self, link: Link, lines: Lines) -> None:
        now = self._loop.time()
        # TWS says 100 to each message of a burst; until the pause works they are one strike.
        if now - self._struck_at >= _PAUSE_S:
            self._strikes, self._struck_at = self._strikes + 1, now
        if self._strikes >= _STRIKES:
            self.fatal = errors.SessionLost(
                "the gateway said three times that messages come too fast (100); "
                "is another program using this TWS? Lower limits.messages_per_s"
            )
            link.lose(self.fatal)
            return
        self.note("the gateway says messages come too fast (100); slowing down")
        self.limits.pacer.slow_down(CAREFUL_RATE, pause_s=_PAUSE_S)
        # The victim is unknown. A lost question is asked again; a lost subscribe shows by its
        # silence; a lost cancel would leak its line.
        for request in list(link.callbacks.requests.values()):
            if request.sent_at is not None and now - request.sent_at < 1.0 and not request.parts:
                request.fail(Interrupted())
        lines.cancel_recent_again(within_s=0.3)
        link.fence.message_lost()

    def _take_fewer_lines(self, link: Link, lines: Lines) -> None:
        """
        Keep to what TWS has free: the lines that it took before the one it refused.

        Several lines are refused at once when there is no room, so each refusal must not cost
        lines of its own.
        """
        sent = [line for line in link.callbacks.lines.values() if line.sent_at is not None]
        refused_at = max(
            (line.sent_at or 0.0 for line in sent if line.error is not None), default=0
        )
        taken = sum(line.error is None and (line.sent_at or 0.0) < refused_at for line in sent)
        gate = self.limits.lines
        gate.shrink_to(taken or gate.limit - _FEWER_LINES)
        lines.requeue_unsent()
        self.note("the gateway has no market-data line free (101); using fewer")

    def _hold(self, code: int) -> None:
        self.limits.pacer.hold()
        self.stop_clocks(_CONNECTIVITY)
        self.note(f"TWS lost its connection to IB ({code}); waiting until it is back")

    def _go_on(self, link: Link, code: int) -> None:
        """After 1101 all data are lost; after 1102 what was in flight often is: ask again."""
        self.note(f"TWS is connected to IB again ({code}); asking again what was open")
        for request in [*link.callbacks.requests.values(), *link.callbacks.named.values()]:
            if request.sent_at is not None:
                request.fail(Interrupted())
        for line in list(link.callbacks.lines.values()):
            line.fail(Interrupted())
        self.start_clocks(_CONNECTIVITY)
        self.limits.pacer.release()

    def _move(self, link: Link, text: str) -> None:
        match = re.search(r"(\d{2,5})\D*$", text)
        self.new_port = int(match[1]) if match else None
        link.lose(errors.SessionLost(f"TWS changed its port (1300): {text}"))

    def _farm_broken(self, link: Link, code: int, text: str) -> None:
        farm, name = BROKEN[code], _farm_name(text)
        if not matters(name) or self.clocks[farm].stopped_by(name):
            return
        self.clocks[farm].stop(name)
        self.note(f"IB's {farm} farm {name} is broken ({code}); holding such requests")
        trial = f"IB's {farm} farm {name} was broken for {_HOLD_S:g} s ({code}); trying it again"
        self._holds[farm, name] = self._loop.call_later(
            _HOLD_S, self._farm_works, link, farm, name, trial
        )

    def _farm_works(self, link: Link, farm: Farm, name: str, why: str) -> None:
        """Serve again, or try to, what waits for that farm."""
        clock = self.clocks[farm]
        if not clock.stopped_by(name):
            return
        self._holds.pop((farm, name)).cancel()
        self.note(why)
        for request in list(link.callbacks.requests.values()):
            if request.farm is farm and request.sent_at is not None:
                request.fail(Interrupted())
        if farm is Farm.MARKET:
            for line in list(link.callbacks.lines.values()):
                if line.sent_at is not None and line.ticks.silent:
                    line.fail(Interrupted())
        clock.start(name)


def _farm_name(text: str) -> str:
    """
    ``Market data farm connection is OK:usfarm`` is about ``usfarm``; empty when not said.

    So is ``… is inactive but should be available upon demand.usfarm``.
    """
    match = re.search(r"(?::|demand\.)\s*([\w.]*)\s*$", text)
    return match[1] if match else ""


_LEAST_S = 0.2
"""Even a deadline that has passed leaves so long for a gateway on the same computer."""


def restart_hint(now: dt.datetime, window: str) -> str:
    """What to say when the connection drops inside IB's nightly *window* (``00:15-01:45``)."""
    first, last = (dt.time.fromisoformat(part) for part in window.split("-"))
    time = now.astimezone(dates.NEW_YORK).time().replace(second=0, microsecond=0)
    inside = first <= time <= last if first <= last else time >= first or time <= last
    return f"; IB restarts its servers between {window} New York time" if inside else ""


@dataclass(slots=True)
class Dialer:
    """
    Opens links for a session, one at a time.

    Attributes:
        ib: Where the gateway is, and how patient to be.
        reactions: What errors on a new link lead to.
        now: The gateway's time, or the best guess at it.
        on_message: Called whenever messages have arrived.
        tap: Told of everything that passes on every link.
        refused_ticks: Generic ticks that lines have shown to be illegal.
        unreadable: Messages that could not be decoded, by name, over all links.
    """

    ib: IbSettings
    reactions: Reactions
    now: Callable[[], dt.datetime]
    on_message: Callable[[], None]
    tap: Tap | None
    refused_ticks: Mapping[object, object]
    unreadable: Counter[str] = field(default_factory=Counter)

    @property
    def hint(self) -> str:
        """What to add to a message about a lost connection: the nightly restart, while it is on."""
        return restart_hint(self.now(), self.ib.reset_window)

    async def dial(self, deadline: float | None = None) -> tuple[Link, Lines]:
        """
        Connect with the first client id that is free.

        Raises:
            ClientIdInUse: None of the ids is free.
            GatewayUnreachable: No gateway, or it does not get ready in time.
        """
        ib, pacer, reactions = self.ib, self.reactions.limits.pacer, self.reactions
        port = reactions.new_port or ib.port
        last_id = max(ib.client_id, ib.last_client_id)
        for client_id in range(ib.client_id, last_id + 1):
            link = Link(pacer, on_message=self.on_message, on_lost=pacer.clear)
            lines = Lines(link, pacer, self.refused_ticks)
            link.on_error = partial(reactions.to_error, link, lines)
            link.callbacks.on_unreadable = self._count_unreadable
            link.fence.on_lag, link.fence.on_stall = reactions.limits.follow, pacer.bunched
            link.callbacks.is_serving = lambda: reactions.clocks[Farm.MARKET].running
            if self.tap is not None:
                listen_in(link.client.conn, self.tap)
            patience_s = max(min(ib.connect_timeout_s, _left(deadline)), _LEAST_S)
            try:
                await link.open(ib.host, port, client_id, patience_s)
            except BaseException as exc:
                await link.close()
                if isinstance(exc, errors.ClientIdInUse):
                    reactions.note(f"client id {client_id} is in use; trying the next one")
                    continue
                if type(exc) is errors.GatewayUnreachable:
                    raise errors.GatewayUnreachable(f"{exc}{self.hint}") from exc
                raise
            for code, text in link.words.items():
                reactions.to_words(code, text)
            return link, lines
        raise errors.ClientIdInUse(
            f"client ids {ib.client_id} to {last_id} are all in use at {ib.host}:{port}; close "
            "another program, or pass --client-id"
        )

    async def redial(self, deadline: float | None = None) -> tuple[Link, Lines]:
        """
        Connect again: after the settings' pauses, the last of them repeated up to *deadline*.

        Raises:
            SessionLost: No attempt succeeded.
        """
        self.reactions.note("connection lost; reconnecting" + self.hint)
        error: errors.SessionError = errors.SessionLost("no attempt was made")
        for attempt, pause_s in enumerate(self._pauses(deadline), start=1):
            await asyncio.sleep(pause_s)
            self.reactions.limits.pacer.clear()
            self.reactions.forget()
            try:
                link, lines = await self.dial(deadline)
            except errors.SessionError as exc:
                error = exc
                continue
            note = f"reconnected with client id {link.client_id} at attempt {attempt}"
            self.reactions.note(note)
            return link, lines
        raise errors.SessionLost(f"connection lost and no new one made: {error}")

    def _pauses(self, deadline: float | None) -> Iterator[float]:
        pauses: Iterable[float] = self.ib.reconnect_pauses_s
        if deadline is not None and self.ib.reconnect_pauses_s:
            pauses = itertools.chain(pauses, itertools.repeat(self.ib.reconnect_pauses_s[-1]))
        return itertools.takewhile(lambda pause_s: pause_s < _left(deadline), pauses)

    def _count_unreadable(self, name: str, fault: str) -> None:
        """Count a message that could not be decoded; the first of each kind is told."""
        self.unreadable[name] += 1
        if self.unreadable[name] == 1:
            self.reactions.note(f"a message of the gateway cannot be read: {name}: {fault}")

    def tell_unreadable(self) -> None:
        """Tell how many messages could not be read, if more than the ones told of already."""
        total = self.unreadable.total()
        if total > len(self.unreadable):
            names = ", ".join(f"{name} {count}" for name, count in sorted(self.unreadable.items()))
            self.reactions.note(f"{total} messages of the gateway cannot be read: {names}")


def _left(deadline: float | None) -> float:
    return math.inf if deadline is None else deadline - asyncio.get_running_loop().time()


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
            a connection that may be dead. While their pacer is held, TWS has lost IB and is silent
            for that reason.
        idle_s: Silence to accept while nothing is open.
    """

    def __init__(
        self,
        link: Callable[[], Link],
        ask_time: Callable[[float], Awaitable[int]],
        reactions: Reactions,
        idle_s: float,
    ) -> None:
        self._link, self._ask_time = link, ask_time
        self._reactions, self._idle_s = reactions, idle_s
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
            if not self._reactions.limits.pacer.held:
                link.fence.check(busy=self._reactions.limits.lines.coming > 0)
            patience_s = min(_BUSY_S, self._idle_s) if busy else self._idle_s
            quiet_s = self._clock() - self._heard_at
            if not link.alive or self._reactions.limits.pacer.held or quiet_s < patience_s:
                await asyncio.sleep(min(max(patience_s - quiet_s, 0.25), 0.5))
                continue
            try:
                await self._probe(link)
            except errors.SessionError as exc:
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
        except errors.UnreadableAnswer:
            pass  # it spoke
        except errors.RequestTimeout as exc:
            if self._heard_at < asked_at:
                silence = self._clock() - self._heard_at
                lost = errors.SessionLost(f"the gateway went silent for {silence:.0f} s")
                link.lose(lost)
                raise lost from exc
        finally:
            self._reactions.start_clocks("probe")
