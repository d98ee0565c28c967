"""A clock for waits that nobody wants to sit through."""

from __future__ import annotations

import asyncio


class PatientClock:
    """Seconds since 1970 that pass only when somebody sleeps; sleepers wait side by side."""

    def __init__(self, start: float = 1_795_000_000.0) -> None:
        self.start = self._now = start
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self._now

    @property
    def passed(self) -> float:
        """Seconds slept since the start."""
        return self._now - self.start

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait, without taking any time."""
        self.waits.append(seconds)
        until = self._now + seconds
        await asyncio.sleep(0)
        self._now = max(self._now, until)
