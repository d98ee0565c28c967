"""
The TWS wire without any input or output: bytes on one side, lists of text fields on the other.

A connection starts with "API", a NUL and a range of versions; after that both sides send frames, a
four-byte length followed by fields, each closed by a NUL. Nothing here knows asyncio, a socket or
a market; what the fields mean is the business of :mod:`tomic.wire.layout`.

Source: the "enhanced handshake" protocol of the TWS API, server versions 157 to 178.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from tomic.errors import DataError

MIN_VERSION = 157
MAX_VERSION = 178
MAX_FRAME = 0xFFFFFF
"""Longest frame the official client accepts, in bytes."""
_PREFIX = b"API\0"

Fields = tuple[str, ...]


class WireError(DataError):
    """Bytes or fields are not a message of this protocol; the only error the codec raises."""

    code = "sim.wire"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client says first: the server versions it understands, and its options."""

    lowest: int
    highest: int
    options: str = ""

    def negotiate(self, lowest: int = MIN_VERSION, highest: int = MAX_VERSION) -> int | None:
        """The highest version both sides speak, None when there is none."""
        agreed = min(self.highest, highest)
        return agreed if agreed >= max(self.lowest, lowest) else None


def frame(payload: bytes) -> bytes:
    """A payload with its length in front."""
    if len(payload) > MAX_FRAME:
        raise WireError(f"a frame holds at most {MAX_FRAME} bytes, got {len(payload)}")
    return struct.pack(">I", len(payload)) + payload


def frame_fields(parts: Iterable[str]) -> bytes:
    """Fields as one frame; each is closed by a NUL, so none may contain one."""
    texts = tuple(parts)
    text = "\0".join(texts)
    if texts and text.count("\0") != len(texts) - 1:
        raise WireError("a field cannot contain NUL")
    payload = text.encode("utf-8", "backslashreplace") + b"\0" if texts else b""
    return frame(payload)


def hello(lowest: int, highest: int, options: str = "") -> bytes:
    """What a client sends first."""
    text = f"v{lowest}..{highest}" + (f" {options}" if options else "")
    return _PREFIX + frame(text.encode("ascii", "replace"))


def split_fields(payload: bytes) -> Fields:
    """The fields of a payload; bytes that are no UTF-8 are kept as backslash escapes."""
    if not payload.endswith(b"\0"):
        raise WireError("a message does not end with NUL")
    return tuple(payload[:-1].decode("utf-8", "backslashreplace").split("\0"))


def kind_of(fields: Fields) -> int:
    """The number of a message's kind; -1 where there is none."""
    return int(fields[0]) if fields and fields[0].isdecimal() and len(fields[0]) < 6 else -1


class FrameReader:
    """Cuts a byte stream, fed in any chunks, into payloads."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def rest(self) -> bytes:
        """What has come in and is no part of a complete payload, or can never be."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take bytes in, give the payloads that are complete.

        Raises:
            WireError: A length above :data:`MAX_FRAME`; the stream cannot be read any further.
        """
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        start = 0
        while len(buffer) - start >= 4:
            (length,) = struct.unpack_from(">I", buffer, start)
            if length > MAX_FRAME:
                raise WireError(f"a frame announces {length} bytes; at most {MAX_FRAME} are read")
            stop = start + 4 + length
            if len(buffer) < stop:
                break
            payloads.append(bytes(buffer[start + 4 : stop]))
            start = stop
        del buffer[:start]
        return payloads


class RequestStream:
    """The server's side of a connection: the client's hello first, then field lists."""

    def __init__(self) -> None:
        self._prefix = bytearray()
        self._frames = FrameReader()
        self._greeted = False

    def feed(self, data: bytes) -> list[Hello | Fields]:
        """
        Take bytes in, give what they complete.

        Raises:
            WireError: The prefix, the version range or a frame cannot be read.
        """
        if len(self._prefix) < len(_PREFIX):
            missing = len(_PREFIX) - len(self._prefix)
            self._prefix += data[:missing]
            data = data[missing:]
            if not _PREFIX.startswith(self._prefix):
                raise WireError("a connection must start with 'API' and NUL")
        out: list[Hello | Fields] = []
        for payload in self._frames.feed(data):
            if self._greeted:
                out.append(split_fields(payload))
            else:
                out.append(_parse_hello(payload))
                self._greeted = True
        return out


def _parse_hello(payload: bytes) -> Hello:
    text = payload.decode("ascii", "replace").rstrip("\0")
    versions, _, options = text.partition(" ")
    lowest, _, highest = versions.removeprefix("v").partition("..")
    if not (versions.startswith("v") and lowest.isdecimal() and len(lowest) < 6):
        raise WireError(f"no version range: {text[:40]!r}")
    if highest and not (highest.isdecimal() and len(highest) < 6):
        raise WireError(f"no version range: {text[:40]!r}")
    return Hello(int(lowest), int(highest or lowest), options)
