"""Which codes a gateway said, for whoever wants to explain them."""

from __future__ import annotations

from tomic.ib.link import Tap
from tomic.sim.session_asks import kind_of
from tomic.sim.wire import FrameReader, WireError, split_fields
from tomic.workflows.remedies import CURED_BY

_ERROR = 4


class Overheard:
    """
    A tap that notes codes with their texts and passes everything on.

    Args:
        other: A further tap, for a recording.
    """

    def __init__(self, other: Tap | None = None) -> None:
        self.codes: dict[int, str] = {}
        """The last text of each code."""
        self.greeted = False
        """Whether the gateway has said anything."""
        self.was_closed = False
        """Whether the gateway, not we, ended a connection."""
        self._other = other
        self._frames = FrameReader()

    @property
    def uncured(self) -> dict[int, str]:
        """Codes of faults that were not said to be over."""
        said = list(self.codes)
        return {
            code: text
            for at, (code, text) in enumerate(self.codes.items())
            if not CURED_BY.get(code, frozenset()) & set(said[at:])
        }

    def sent(self, data: bytes) -> None:
        """Pass on; a new connection starts a new stream."""
        if data.startswith(b"API\0"):
            self._frames = FrameReader()
        if self._other is not None:
            self._other.sent(data)

    def received(self, data: bytes) -> None:
        """Note codes, and pass on."""
        if self._other is not None:
            self._other.received(data)
        if not data:
            self.was_closed = True
            return
        self.greeted = True
        try:
            for payload in self._frames.feed(data):
                self._note(payload)
        except WireError:
            # The session finds out by itself that nothing can be read any more.
            self._frames = FrameReader()

    def _note(self, payload: bytes) -> None:
        try:
            fields = split_fields(payload)
        except WireError:
            return
        if kind_of(fields) == _ERROR and len(fields) > 4 and fields[3].isdecimal():
            code = int(fields[3])
            self.codes.pop(code, None)
            self.codes[code] = fields[4]
