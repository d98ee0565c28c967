"""
What the gateway says by itself, and the one reaction to each error code that concerns a session.

Codes that end a single request go to that request (see `callbacks`). Source of the meanings: IB
"Message Codes".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tomic.errors import CompetingSession, SessionError, SessionLost
from tomic.ib.callbacks import Interrupted
from tomic.ib.clocks import BROKEN, RESTORED, Farm, StoppableClock, matters
from tomic.ib.lines import Lines
from tomic.ib.link import Link
from tomic.ib.pacing import CAREFUL_RATE, RequestLimits

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
        note: Tells the user something that is no error.
    """

    def __init__(self, limits: RequestLimits, note: Callable[[str], None]) -> None:
        self._limits, self._note = limits, note
        self._loop = asyncio.get_running_loop()
        self.clocks = {farm: StoppableClock(self._loop.time) for farm in Farm}
        self.fatal: SessionError | None = None
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
            self.fatal = CompetingSession(
                "another session of this user holds the live market data (10197); "
                "log out there, or use its own session, then run again"
            )
            link.callbacks.fail_all(self.fatal)
        elif code in (502, 504):
            link.lose(SessionLost(f"not connected ({code}): {text}"))
        elif code == 1300:
            self._move(link, text)
        elif code in (320, 505):
            self._note(f"the gateway did not understand a message ({code}): {text}")
        elif code in BROKEN:
            self._farm_broken(link, code, text)
        elif code in RESTORED:
            farm, named = RESTORED[code], _farm_name(text)
            # Without a name, all of that kind are back.
            broken = [name for of, name in self._holds if of is farm]
            for name in [named] if named else broken:
                self._farm_works(link, farm, name, f"IB's {farm} farm {name} is back ({code})")

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
            self.fatal = SessionLost(
                "the gateway said three times that messages come too fast (100); "
                "is another program using this TWS? Lower limits.messages_per_s"
            )
            link.lose(self.fatal)
            return
        self._note("the gateway says messages come too fast (100); slowing down")
        self._limits.pacer.slow_down(CAREFUL_RATE, pause_s=_PAUSE_S)
        # The victim is unknown. A lost question is asked again; a lost subscribe shows by its
        # silence; a lost cancel would leak its line.
        for request in list(link.callbacks.requests.values()):
            if request.sent_at is not None and now - request.sent_at < 1.0 and not request.parts:
                request.fail(Interrupted())
        lines.cancel_recent_again(within_s=0.3)

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
        gate = self._limits.lines
        gate.shrink_to(taken or gate.limit - _FEWER_LINES)
        lines.requeue_unsent()
        self._note("the gateway has no market-data line free (101); using fewer")

    def _hold(self, code: int) -> None:
        self._limits.pacer.hold()
        self.stop_clocks(_CONNECTIVITY)
        self._note(f"TWS lost its connection to IB ({code}); waiting until it is back")

    def _go_on(self, link: Link, code: int) -> None:
        """After 1101 all data are lost; after 1102 what was in flight often is: ask again."""
        self._note(f"TWS is connected to IB again ({code}); asking again what was open")
        for request in [*link.callbacks.requests.values(), *link.callbacks.named.values()]:
            if request.sent_at is not None:
                request.fail(Interrupted())
        for line in list(link.callbacks.lines.values()):
            line.fail(Interrupted())
        self.start_clocks(_CONNECTIVITY)
        self._limits.pacer.release()

    def _move(self, link: Link, text: str) -> None:
        match = re.search(r"(\d{2,5})\D*$", text)
        self.new_port = int(match[1]) if match else None
        link.lose(SessionLost(f"TWS changed its port (1300): {text}"))

    def _farm_broken(self, link: Link, code: int, text: str) -> None:
        farm, name = BROKEN[code], _farm_name(text)
        if not matters(name) or self.clocks[farm].stopped_by(name):
            return
        self.clocks[farm].stop(name)
        self._note(f"IB's {farm} farm {name} is broken ({code}); holding such requests")
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
        self._note(why)
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
