"""The recording of a session: what it receives and asks, written when the desk closes."""

from __future__ import annotations

from pathlib import Path

from tomic._version import __version__
from tomic.disk import write_bytes
from tomic.models import Spot, SpotSource
from tomic.sim.replay.recordings import RecordedSpot, Recorder


class SessionRecording:
    """
    A recorder and the file it ends in.

    Args:
        file: A name ending in ``.gz`` is compressed.
        command: What the recording says was run.
    """

    def __init__(self, file: Path, command: str) -> None:
        self.file = file
        self.recorder = Recorder(command, __version__)

    def note_spot(self, symbol: str, spot: Spot) -> None:
        """Keep a price that the session's messages do not tell."""
        if spot.source in (SpotSource.PARITY, SpotSource.WEB):
            recorded = RecordedSpot(symbol, spot.price, spot.source.value, spot.as_of)
            self.recorder.note_spot(recorded)

    def write(self) -> str:
        """Write the file, unless no session was opened; return what became of it."""
        if not self.recorder.messages:
            return "nothing was recorded: no session was opened"
        content = self.recorder.to_bytes(compress=self.file.suffix == ".gz")
        write_bytes(self.file, content, private=True)
        return f"{self.recorder.messages} messages in {self.file}, account numbers masked"
