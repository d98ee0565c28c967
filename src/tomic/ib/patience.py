"""When a market-data line has said enough, and when its silence means that it was forgotten."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tomic.config import ChainSettings
from tomic.ib.callbacks import MarketDataLine
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.convert import Ticks
from tomic.ib.session import Session

_EXTRAS_S = 0.6
"""Grace for volume and open interest once quotes and Greeks are there."""
_BURST_S = 0.06
"""Grace for the last trade and the close, which may follow in the same burst of messages."""
_HOPELESS, _GREEKS_S = 20, 1.3
"""After so many options without Greeks they are waited for no longer than they usually take."""
_LAST_MESSAGES = 12
"""A quarter of a second of messages."""
_LOOK_S = 0.05
"""How often is looked whether waiting has become dear."""


@dataclass(slots=True)
class Patience:
    """
    How long silence is normal on this session, and whether waiting costs anybody anything.

    A served line speaks within some 50 ms. After five times what nine in ten lines needed, but
    never under 0.6 s, a line without any message is taken for forgotten. Where some lines of the
    run did speak later than that, the last ones are given as long as the latest needed.
    """

    silent_s: float
    cap_s: float = 3.0
    latest_s: float = 0.0
    without_greeks: int = 0
    """Options whose Greeks were waited for in vain since the last that had some."""
    _first: deque[float] = field(default_factory=lambda: deque(maxlen=200))

    @property
    def expects_no_greeks(self) -> bool:
        """Whether so many options in a row had none that the next will hardly have any."""
        return self.without_greeks >= _HOPELESS

    def learn(self, seconds: float) -> None:
        """Note how long a line was silent before its first message."""
        self._first.append(seconds)
        self.latest_s = max(self.latest_s, seconds)

    def note_greeks(self, line: MarketDataLine) -> None:
        """Note whether a line that was quoted had Greeks."""
        if line.ticks.mid is not None and not line.no_greeks:
            self.without_greeks = 0 if _is_modelled(line) else self.without_greeks + 1

    @property
    def seconds(self) -> float:
        """Silence after which to ask again."""
        if len(self._first) < 20:
            return self.silent_s
        slow = sorted(self._first)[int(0.9 * (len(self._first) - 1))]
        return min(max(0.6, 5.0 * slow), self.cap_s)

    @property
    def last_s(self) -> float:
        """Silence since the first attempt after which nothing more is expected."""
        return min(max(2.0 * self.seconds, 1.1 * self.latest_s), self.cap_s)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The waiting for one option's lines."""

    session: Session
    rules: ChainSettings
    patience: Patience

    @property
    def clock(self) -> StoppableClock:
        """The clock that stands still while nothing can be served."""
        return self.session.clocks[Farm.MARKET]

    async def first_words(self, line: MarketDataLine, since: float) -> bool:
        """Whether *line*, open *since*, speaks in the usual time, or something is said of it."""
        until = since + self.patience.seconds
        while line.mute:
            line.changed.clear()
            if not await self.clock.wait_for(line.changed, until):
                return False
        self._learn(line, since)
        return True

    def _learn(self, line: MarketDataLine, since: float) -> None:
        if not line.ticks.silent:
            self.patience.learn(self.clock.now() - since)

    async def last_words(
        self, lines: Sequence[MarketDataLine], since: float
    ) -> MarketDataLine | None:
        """
        The one of *lines* that speaks first; None when nothing more is expected of any.

        While other options wait to be asked, or cancels wait to be sent, waiting longer costs
        nobody anything, so it goes on up to the quote timeout.

        Raises:
            SessionLost: It is the whole connection that is silent.
        """
        either, asked_again = asyncio.Event(), self.clock.now()
        for line in lines:
            line.changed = either
            line.ticks.on_change = either.set
        while True:
            for line in lines:
                if not line.mute:
                    if line is lines[0]:
                        self._learn(line, since)
                    return line
            if self._is_over(since, asked_again):
                await self.session.confirm_alive()
                if self._is_over(since, asked_again):
                    return None
            either.clear()
            await self.clock.wait_for(either, self.clock.now() + _LOOK_S)

    def _is_over(self, since: float, asked_again: float) -> bool:
        now, patience = self.clock.now(), self.patience
        limits = self.session.limits
        # Given up while some messages still wait, their own cancels follow those without a gap.
        others_wait = limits.lines.coming > 0 or limits.pacer.waiting > _LAST_MESSAGES
        usual = max(since + patience.last_s, asked_again + patience.seconds)
        most = asked_again + self.rules.quote_timeout_s
        return now >= (most if others_wait else min(usual, most))

    async def all_words(self, line: MarketDataLine, since: float) -> Ticks:
        """
        Wait until the ticks of *line* are complete, or waiting longer has no point.

        Raises:
            What ended the line, or what the gateway said of one that had no tick until the end.
        """
        ticks, patience_s = line.ticks, self.rules.quote_timeout_s
        if self.patience.expects_no_greeks:
            patience_s = min(patience_s, _GREEKS_S)
        until = since + patience_s
        extras_until: float | None = None
        burst_until: float | None = None
        while line.error is None:
            if ticks.quoted and (line.no_greeks or ticks.model is not None):
                extras_until = extras_until or min(self.clock.now() + _EXTRAS_S, until)
                if {"open_interest", "volume"} <= ticks.answered and _is_modelled(line):
                    if {"last", "close"} <= ticks.answered:
                        break
                    burst_until = burst_until or min(self.clock.now() + _BURST_S, until)
                    extras_until = burst_until
            elif ticks.quoted and ticks.bid is None and ticks.ask is None:
                # There is no quote to go with the Greeks, which then rarely come.
                until = min(until, self.clock.now() + _GREEKS_S)
            line.changed.clear()
            limit = extras_until or until
            if line.doubt is not None and not line.ticked:
                limit = since + self.rules.quote_timeout_s
            if not await self.clock.wait_for(line.changed, limit):
                break
        raise_verdict(line)
        self.patience.note_greeks(line)
        return ticks


def raise_verdict(line: MarketDataLine) -> None:
    """
    Raise what ended *line*, once nobody waits for it any longer.

    An advisory code counts as that when no tick has come; data that came are never given up.
    """
    if line.error is not None:
        raise line.error
    if line.doubt is not None and not line.ticked:
        raise line.doubt


def _is_modelled(line: MarketDataLine) -> bool:
    return line.no_greeks or (line.ticks.model is not None and line.ticks.model.complete)
