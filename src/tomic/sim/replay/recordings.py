"""
The file of a recorded session: JSON lines, a header first; gzip where the name ends in ``.gz``.

It holds every message in both directions as its text fields, with the second at which it passed
and the number of its connection, and bytes that are no message as hex. Account numbers are masked
in all of it, so that the file can be given away.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import logging
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from tomic.disk import beginning, parse_json, read_bytes, unzipped
from tomic.errors import BadFile
from tomic.masking import Masks
from tomic.wire import framing

_log = logging.getLogger(__name__)

SCHEMA = "tomic.session/1"

Kind = Literal["hello", "sent", "received", "garbage", "closed"]
"""``hello`` opens a connection; ``garbage`` was received; ``closed`` was not our doing."""

_GZIP = b"\x1f\x8b"
_MOST = 256_000_000
"""Bytes of a session, unpacked; a scan of a hundred symbols has a tenth of that."""
_NAMING = {"6": (5,), "54": (2,), "61": (2,), "63": (3,), "71": (3,), "73": (3,)}
"""Message to its fields with an account: values, positions and summaries, also by model."""
_MANAGED, _FAMILIES = "15", "78"
_DIGITS = re.compile(r"\d{3}")


def _accounts_in(fields: framing.Fields) -> Iterator[str]:
    """Names of accounts in a received message, whatever they look like."""
    kind = fields[0] if fields else ""
    if kind == _MANAGED:
        yield from ",".join(fields[2:]).split(",")
        return
    named = range(2, len(fields)) if kind == _FAMILIES else _NAMING.get(kind, ())
    # Words such as All are no accounts.
    yield from (fields[at] for at in named if at < len(fields) and _DIGITS.search(fields[at]))


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One thing that passed on a connection."""

    at: float
    """Seconds since the recording began."""
    link: int
    """Number of the connection, from 1."""
    kind: Kind
    fields: framing.Fields = ()
    raw: bytes = b""
    """Of garbage: the bytes as they came, the length in front included."""


@dataclass(frozen=True, slots=True)
class RecordedSpot:
    """A price of an underlying that did not come over the session."""

    symbol: str
    price: float
    source: str
    """As in a chain: ``parity`` or ``web``."""
    as_of: datetime
    """Aware."""


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """What a file holds."""

    command: str
    """What was run, without the program's name; empty when a program recorded."""
    version: str
    """Of the program that recorded."""
    events: tuple[SessionEvent, ...]
    spots: tuple[RecordedSpot, ...]


class Recorder:
    """
    Takes what passes on the sockets of one session, connection after connection.

    Args:
        command, version: What runs, for the header.
        clock: Seconds.
    """

    def __init__(
        self, command: str = "", version: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._header = {"schema": SCHEMA, "version": version, "command": command}
        self._entries: list[dict[str, Any]] = []
        self._clock, self._start = clock, clock()
        self._link = 0
        self._requests, self._answers = framing.RequestStream(), framing.FrameReader()
        self._unreadable = False
        self._messages = 0

    def sent(self, data: bytes) -> None:
        """Bytes that left."""
        if data.startswith(b"API\0"):
            self._flush()
            self._link += 1
            self._requests, self._answers = framing.RequestStream(), framing.FrameReader()
            self._unreadable = False
        for item in self._requests.feed(data):
            if isinstance(item, framing.Hello):
                self._note("hello", (str(item.lowest), str(item.highest)))
            else:
                self._note("sent", item)

    def received(self, data: bytes) -> None:
        """Bytes that arrived; none say that the other side has closed the connection."""
        if not data:
            self._flush()
            self._note("closed")
        elif self._unreadable:
            self._note("garbage", raw=data)
        else:
            try:
                for payload in self._answers.feed(data):
                    self._message(payload)
            except framing.WireError:
                # From here on nobody can tell messages apart, so the bytes go in as they are.
                self._flush()

    @property
    def messages(self) -> int:
        """Messages so far, in both directions; zero while nothing was connected."""
        return self._messages

    def note_spot(self, spot: RecordedSpot) -> None:
        """A price that the session did not give."""
        entry = {"spot": spot.price, "symbol": spot.symbol, "source": spot.source}
        self._entries.append({**entry, "as_of": spot.as_of.isoformat()})

    def to_bytes(self, *, compress: bool) -> bytes:
        """The file's content, masked; nothing can be recorded after it."""
        self._flush()
        # Only at the end it is known which names are accounts, and which of them look alike.
        masks = Masks()
        for entry in self._entries:
            if entry.get("kind") == "received":
                masks.learn(_accounts_in(entry.get("fields", ())))
        for entry in self._entries:
            for text in entry.get("fields", ()):
                masks.learn_from(text)
        header = self._header | {"command": masks.text(self._header["command"])}
        lines = [header, *_masked_entries(self._entries, masks)]
        data = "".join(map(_line, lines)).encode()
        return gzip.compress(data, mtime=0) if compress else data

    def _message(self, payload: bytes) -> None:
        whole = framing.frame(payload)
        try:
            fields = framing.split_fields(payload)
            if framing.frame_fields(fields) == whole:
                self._note("received", fields)
                return
        except framing.WireError as exc:
            _log.debug("recorded as it came: %s", exc)
        self._note("garbage", raw=whole)

    def _flush(self) -> None:
        """Note the bytes that did not, or will not, become a message."""
        if not self._unreadable and self._answers.rest:
            self._note("garbage", raw=self._answers.rest)
        self._unreadable = True

    def _note(self, kind: Kind, fields: framing.Fields = (), raw: bytes = b"") -> None:
        entry: dict[str, Any] = {
            "at": round(self._clock() - self._start, 4),
            "link": self._link,
            "kind": kind,
        }
        self._messages += kind in ("sent", "received")
        if fields:
            entry["fields"] = fields
        if raw:
            entry["raw"] = raw
        self._entries.append(entry)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":")) + "\n"


def _masked_entries(entries: Iterable[dict[str, Any]], masks: Masks) -> Iterator[dict[str, Any]]:
    """
    What the lines of the file say. Garbage keeps its length.

    A number may begin in one piece of it and end in the next, so pieces are masked once more
    together.
    """

    def pieces(entry: dict[str, Any]) -> tuple[bool, object]:
        return "raw" in entry, entry.get("link")

    for (is_garbage, _), group in itertools.groupby(entries, pieces):
        if not is_garbage:
            for entry in group:
                if "fields" in entry:
                    entry = entry | {"fields": [masks.text(text) for text in entry["fields"]]}
                yield entry
            continue
        parts = list(group)
        whole = "".join(masks.same_length(entry["raw"].decode("latin-1")) for entry in parts)
        shown = io.BytesIO(masks.same_length(whole).encode("latin-1"))
        for entry in parts:
            yield entry | {"raw": shown.read(len(entry["raw"])).hex()}


def is_session(path: Path) -> bool:
    """
    Whether a file is a recorded session, by its content; also when its rest is damaged.

    Raises:
        BadFile: The file cannot be read.
    """
    try:
        start = beginning(path, 4096)
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist; check the path of the recording") from None
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror}; check its permissions") from exc
    if start.startswith(_GZIP):
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, 4096)
        except zlib.error as exc:
            raise BadFile(f"{path} is damaged ({exc}); record the session again") from exc
    first = start.partition(b"\n")[0]
    return first.startswith(b"{") and b'"tomic.session/' in first


def read_session(path: Path) -> RecordedSession:
    """
    Read a recorded session.

    Raises:
        BadFile: Missing, damaged, cut short, or written by a newer program.
    """
    lines = _lines(path)
    number, header = next(lines, (0, {}))
    schema = header.get("schema", "")
    if not number or schema != SCHEMA:
        raise BadFile(f"{path} is not a recording of this version: {schema or 'no header'}")
    events: list[SessionEvent] = []
    spots: list[RecordedSpot] = []
    for number, entry in lines:
        try:
            if "spot" in entry:
                spots.append(_spot(entry))
            else:
                events.append(_event(entry))
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise BadFile(f"{path} line {number} is no event of a session ({exc})") from exc
    if not events:
        raise BadFile(f"{path} holds no message; record the session again")
    return RecordedSession(
        command=str(header.get("command", "")),
        version=str(header.get("version", "")),
        events=tuple(events),
        spots=tuple(spots),
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        data = read_bytes(path, _MOST)
        text = (unzipped(path, data, _MOST) if data.startswith(_GZIP) else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
        raise BadFile(f"{path} is damaged or cut short ({exc}); record the session again") from exc
    for number, line in enumerate(text.rstrip("\n").split("\n"), start=1):
        try:
            entry = parse_json(line)
        except ValueError as exc:
            raise BadFile(f"{path} line {number} is damaged or cut short ({exc})") from exc
        if not isinstance(entry, dict):
            raise BadFile(f"{path} line {number} is no object")
        yield number, entry


def _spot(entry: dict[str, Any]) -> RecordedSpot:
    as_of = datetime.fromisoformat(entry["as_of"])
    return RecordedSpot(str(entry["symbol"]), float(entry["spot"]), str(entry["source"]), as_of)


def _event(entry: dict[str, Any]) -> SessionEvent:
    kind = entry["kind"]
    if kind not in get_args(Kind):
        raise ValueError(f"unknown kind {kind!r}")
    return SessionEvent(
        at=float(entry["at"]),
        link=int(entry["link"]),
        kind=kind,
        fields=tuple(str(text) for text in entry.get("fields", ())),
        raw=bytes.fromhex(entry.get("raw", "")),
    )
