"""Whether a login may have live data of options: judged by many lines, never by a single one."""

from __future__ import annotations

_SEVERAL = 3
"""Lines that must agree while others have not been heard yet."""


class Rights:
    """What a session has learned: how many options were served live, and how many were refused."""

    def __init__(self) -> None:
        self.served = 0
        self.refused = 0

    def lacking(self, awaited: int) -> bool | None:
        """
        Whether most lines are refused; None while *awaited* others may still tell otherwise.

        IB refuses single contracts for reasons of their own, and that says nothing of the rest.
        """
        refused_more = self.refused > self.served
        if awaited == 0 or (self.refused >= _SEVERAL and refused_more):
            return refused_more
        return None if refused_more or self.served < _SEVERAL else False
