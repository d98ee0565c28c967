"""
A gateway that says again what a recorded session heard, message by message.

It gives each request the answer that the same request got, and makes the remarks (notes of farms,
lost connectivity, garbage, a cut) once everything has passed that passed before them. What was
never asked in the recording is refused; what was met with silence is met with silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self, cast

from tomic.sim.session_asks import (
    CANCELS,
    Answer,
    Asks,
    Conversation,
    Remark,
    conversations,
    data_type_of,
    kind_of,
    request_id,
)
from tomic.sim.session_file import RecordedSession
from tomic.sim.wire import Fields, Hello, RequestStream, WireError, frame_fields

_IDLE_S = 1.5
"""Without a message for so long, the next remark is due whatever is missing before it."""
_NOT_RECORDED = "not in this recording"
_REFUSALS = {
    9: (200, f"No security definition has been found for the request: {_NOT_RECORDED}"),
    20: (162, f"Historical Market Data Service error message:no data, {_NOT_RECORDED}"),
}


class SessionReplay:
    """
    An asyncio server on a recorded session; a context manager, as the simulated gateway is.

    Args:
        recorded: The session.
        host, port: Where to listen; port 0 takes a free one, see :attr:`port`.
        speed: How many times faster than recorded answers come.

    Raises:
        OSError: The port is taken (on entering the context).
    """

    def __init__(
        self,
        recorded: RecordedSession,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 10.0,
    ) -> None:
        self.recorded, self.host, self.port, self.speed = recorded, host, port, speed
        self.refused: list[Fields] = []
        """Requests that the recording does not hold."""
        self._talks, self.subjects = conversations(recorded.events)
        self.asks = Asks(self._talks)
        self._next = 0
        self._server: asyncio.Server | None = None
        self._clients: set[_ReplayClient] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _ReplayClient(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.abort()
        await self._empty.wait()

    def next_conversation(self) -> Conversation | None:
        """What the next connection goes through; None when nobody listened any more."""
        if self._next < len(self._talks):
            self._next += 1
            return self._talks[self._next - 1]
        last = self._talks[-1]
        return None if last.was_cut else Conversation(handshake=last.handshake)

    def joined(self, client: _ReplayClient) -> None:
        """A client has connected."""
        self._clients.add(client)
        self._empty.clear()

    def left(self, client: _ReplayClient) -> None:
        """A client has gone; after the last cut nobody listens, as when it was recorded."""
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()
        if self._next >= len(self._talks) and self._talks[-1].was_cut and self._server is not None:
            self._server.close()


class _ReplayClient(asyncio.Protocol):
    """One connection to the replayed gateway."""

    def __init__(self, replay: SessionReplay) -> None:
        self._replay = replay
        self._talk = Conversation()
        self._stream = RequestStream()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pending: dict[asyncio.TimerHandle, int] = {}
        self._of_request: dict[str, list[asyncio.TimerHandle]] = {}
        self._data_type = 1
        self._said = 0
        self._since = -1
        self._idle: asyncio.TimerHandle | None = None
        self._remark: asyncio.TimerHandle | None = None

    # the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._replay.joined(self)
        talk = self._replay.next_conversation()
        if talk is None:
            transport.close()
        else:
            self._talk = talk
            self._since = min((one.number for one in talk.exchanges), default=0) - 1

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        for timer in (*self._pending, self._idle, self._remark):
            if timer is not None:
                timer.cancel()
        self._pending.clear()
        self._transport = None
        self._replay.left(self)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            for item in self._stream.feed(data):
                if isinstance(item, Hello):
                    self._greet()
                else:
                    self._asked(item)
        except WireError:
            self.abort()

    def _greet(self) -> None:
        if self._talk.handshake:
            self._write(frame_fields(self._talk.handshake))
        self._see_remarks()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # requests

    def _asked(self, fields: Fields) -> None:
        kind, ident = kind_of(fields), request_id(fields)
        if kind == 59:
            self._data_type = data_type_of(fields)
        elif kind in CANCELS:
            for timer in self._of_request.pop(ident or "", []):
                timer.cancel()
                self._pending.pop(timer, None)
        else:
            key = self._replay.subjects.key(fields, self._talk.version, self._data_type)
            exchange = self._replay.asks.next(key, self._since)
            if exchange is not None and exchange.ended:
                self._later(exchange.answers, ident, 0)
            elif exchange is not None:
                for place, answer in enumerate(exchange.answers):
                    self._later([answer], ident, place)
            elif kind != 71 and not self._to_be_cut:
                self._refuse(fields, ident)
        self._see_remarks()

    @property
    def _to_be_cut(self) -> bool:
        """Whether a cut is to come: it, not this program, ended what was never asked then."""
        return self._talk.was_cut and self._said < len(self._talk.remarks)

    def _later(self, answers: Sequence[Answer], ident: str | None, place: int) -> None:
        """
        Plan answers, in one piece when the last of them was recorded.

        What a client had before it cancelled comes in one piece, or it would cancel before the
        last of it: the client decides by what has come, and all of this had come.
        """
        if not answers:
            return
        data = b"".join(frame_fields(_with_id(answer, ident)) for answer in answers)
        timer: asyncio.TimerHandle

        def deliver() -> None:
            self._pending.pop(timer, None)
            self._write(data)
            self._see_remarks()

        # Timers of one moment fire in any order; parts of an answer must keep theirs.
        delay_s = answers[-1].after / self._replay.speed + 1e-6 * place
        timer = self._loop.call_later(delay_s, deliver)
        self._pending[timer] = answers[-1].number
        if ident is not None:
            self._of_request.setdefault(ident, []).append(timer)

    def _refuse(self, fields: Fields, ident: str | None) -> None:
        self._replay.refused.append(fields)
        code, text = _REFUSALS.get(kind_of(fields), (321, _NOT_RECORDED))
        error = ("4", "2", ident or "-1", str(code), text)
        self._write(frame_fields((*error, "") if self._talk.version >= 166 else error))

    # remarks

    def _see_remarks(self) -> None:
        """Plan the next remark when all that was recorded before it has passed."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._said >= len(self._talk.remarks) or self._remark is not None:
            return
        remark = self._talk.remarks[self._said]
        if self._is_due(remark):
            self._plan(remark, remark.after / self._replay.speed)
        else:
            self._idle = self._loop.call_later(_IDLE_S, self._plan, remark, 0.0)

    def _is_due(self, remark: Remark) -> bool:
        asked = all(one.asked for one in self._talk.exchanges if one.number < remark.number)
        return asked and not any(number < remark.number for number in self._pending.values())

    def _plan(self, remark: Remark, delay_s: float) -> None:
        self._remark = self._loop.call_later(delay_s, self._say, remark)

    def _say(self, remark: Remark) -> None:
        self._remark = None
        self._said += 1
        self._since = remark.number
        event = remark.event
        if event.kind == "closed":
            if self._transport is not None:
                self._transport.close()
            return
        self._write(event.raw or frame_fields(event.fields))
        self._see_remarks()


def _with_id(answer: Answer, ident: str | None) -> Fields:
    if ident is None or answer.id_at is None:
        return answer.fields
    return (*answer.fields[: answer.id_at], ident, *answer.fields[answer.id_at + 1 :])
