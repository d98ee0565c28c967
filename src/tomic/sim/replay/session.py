"""
A gateway that repeats a recorded session, message by message.

It gives each request the answer that the same request got, and makes the remarks (notes of farms,
lost connectivity, garbage, a cut) once everything has passed that passed before them. What was
never asked in the recording is refused; what was met with silence is met with silence.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, cast

from tomic.sim.replay.recordings import RecordedSession, SessionEvent
from tomic.wire import requests
from tomic.wire.answers import ContractData
from tomic.wire.framing import Fields, Hello, RequestStream, WireError, frame_fields, kind_of
from tomic.wire.protocol import ANSWERS, CANCELS, REQUESTS, UNNUMBERED, data_type_of, request_id

Key = tuple[object, ...]

_CONTRACT_DETAILS = 10
_BREAKS = frozenset({"100", "1100", "1101", "1102", "2103", "2110"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of an answer."""

    number: int
    """Place in the recording."""
    after: float
    """Seconds after the request."""
    fields: Fields
    id_at: int | None


@dataclass(slots=True)
class Exchange:
    """One request with all its answers."""

    number: int
    at: float
    key: Key
    answers: list[Answer] = field(default_factory=list)
    ended: bool = False
    """Whether the client had cancelled it: what came then came too late for it."""
    asked: bool = False
    """Whether it has been asked again in the replay."""


@dataclass(frozen=True, slots=True)
class Remark:
    """An unasked message, garbage, or the end of a connection."""

    event: SessionEvent
    number: int
    after: float
    """Seconds since the last thing that passed on the connection."""

    @property
    def is_break(self) -> bool:
        """Whether lines may have ended half-way because of it."""
        code = self.event.fields[3] if len(self.event.fields) > 3 else ""
        return self.event.kind == "closed" or code in _BREAKS


@dataclass(slots=True)
class Conversation:
    """One connection of the recording."""

    handshake: Fields = ()
    """Server version and time; empty when the gateway never answered."""
    exchanges: list[Exchange] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def version(self) -> int:
        """The server version; 0 when the gateway never answered."""
        return int(self.handshake[0]) if self.handshake else 0

    @property
    def was_cut(self) -> bool:
        """Whether the gateway, not the client, ended it."""
        return any(remark.event.kind == "closed" for remark in self.remarks)


class Subjects:
    """Names what a request is about, however its contract was written."""

    def __init__(self) -> None:
        self._known: dict[int, Key] = {}

    def learn(self, fields: Fields, version: int) -> None:
        """Remember the contract that a row of contract details describes."""
        if kind_of(fields) != _CONTRACT_DETAILS:
            return
        try:
            row = ANSWERS.decode(fields, version)
        except WireError:
            return
        if isinstance(row, ContractData):
            option_class = row.trading_class if row.sec_type == "OPT" else ""
            day = row.last_trade[:8]
            described = (row.symbol, row.sec_type, day, row.strike, row.right[:1], option_class)
            self._known[row.con_id] = described

    def key(self, fields: Fields, version: int, data_type: int) -> Key:
        """What is asked; two requests with one key get the same answer."""
        kind, place = kind_of(fields), REQUESTS.id_place(fields, version)
        try:
            request = REQUESTS.decode(fields, version)
        except WireError:
            request = None
        if isinstance(request, requests.ReqMarketData) and not request.legs:
            return (kind, self._contract(request.contract), request.snapshot, data_type)
        if isinstance(request, requests.ReqHistory) and not request.legs:
            span = (request.bar_size, request.duration, request.regular_hours, request.what)
            return (kind, self._contract(request.contract), *span)
        if isinstance(request, requests.ReqContractDetails):
            return (kind, self._contract(request.contract))
        if kind == 71:
            return (kind,)
        return (kind, *fields[1 if place is None else place + 1 :])

    def _contract(self, contract: requests.ContractSpec) -> Key:
        if contract.con_id in self._known:
            return self._known[contract.con_id]
        option_class = contract.trading_class if contract.sec_type == "OPT" else ""
        return (
            contract.symbol,
            contract.sec_type,
            contract.expiry[:8],
            contract.strike,
            contract.right[:1],
            option_class,
        )


class _Reader:
    """Reads one connection's events into exchanges and remarks."""

    def __init__(self, subjects: Subjects) -> None:
        self.conversation = Conversation()
        self._subjects = subjects
        self._numbered: dict[str, Exchange] = {}
        self._unnumbered: dict[int, Exchange] = {}
        self._data_type = 1
        self._last = 0.0

    def take(self, number: int, event: SessionEvent) -> None:
        after = event.at - self._last
        self._last = event.at
        if event.kind == "hello":
            return
        if event.kind == "sent":
            self._ask(number, event)
        elif event.kind == "received" and not self.conversation.handshake:
            known = bool(event.fields) and event.fields[0].isdecimal()
            self.conversation.handshake = event.fields if known else ("0",)
        elif event.kind != "received" or not self._answer(number, event):
            self.conversation.remarks.append(Remark(event, number, after))

    def _ask(self, number: int, event: SessionEvent) -> None:
        kind, ident = kind_of(event.fields), request_id(event.fields)
        if kind == 59:
            self._data_type = data_type_of(event.fields)
        elif kind in CANCELS and ident in self._numbered:
            self._numbered[ident].ended = True
        if kind == 59 or kind in CANCELS:
            return
        key = self._subjects.key(event.fields, self.conversation.version, self._data_type)
        exchange = Exchange(number, event.at, key)
        self.conversation.exchanges.append(exchange)
        if ident is not None:
            self._numbered[ident] = exchange
        for answer in UNNUMBERED.get(kind, ()):
            self._unnumbered[answer] = exchange

    def _answer(self, number: int, event: SessionEvent) -> bool:
        place = ANSWERS.id_place(event.fields, self.conversation.version)
        if place is None:
            exchange = self._unnumbered.get(kind_of(event.fields))
        else:
            exchange = self._numbered.get(event.fields[place])
        if exchange is None:
            return False
        if not exchange.ended:
            answer = Answer(number, event.at - exchange.at, event.fields, place)
            exchange.answers.append(answer)
        return True


def conversations(events: Sequence[SessionEvent]) -> tuple[list[Conversation], Subjects]:
    """Part a recording into its connections, and learn what its contract ids mean."""
    subjects = Subjects()
    version = 0
    for event in events:
        if event.kind == "hello":
            version = 0
        elif event.kind == "received":
            if not version:
                version = max(kind_of(event.fields), 0)
            subjects.learn(event.fields, version)
    readers: dict[int, _Reader] = {}
    for number, event in enumerate(events):
        readers.setdefault(event.link, _Reader(subjects)).take(number, event)
    return [readers[link].conversation for link in sorted(readers)], subjects


class Asks:
    """Every exchange of a recording, handed out in the order in which it was recorded."""

    def __init__(self, talks: Sequence[Conversation]) -> None:
        self._by_key: defaultdict[Key, list[Exchange]] = defaultdict(list)
        self._alike: defaultdict[Key, list[Exchange]] = defaultdict(list)
        self._breaks = [
            remark.number for talk in talks for remark in talk.remarks if remark.is_break
        ]
        for talk in talks:
            for exchange in talk.exchanges:
                self._by_key[exchange.key].append(exchange)
                self._alike[_loose(exchange.key)].append(exchange)

    def next(self, key: Key, since: int) -> Exchange | None:
        """
        The next exchange about *key*, the last one again when all were had; None if none.

        An exchange begun before event *since*, where the connection broke or was lost, may have
        been cut short by that; it counts only while there is no later one.
        """
        exchanges = self._by_key.get(key) or self._alike.get(_loose(key))
        if not exchanges:
            return None
        later = [exchange for exchange in exchanges if exchange.number > since] or exchanges
        exchange = next((exchange for exchange in later if not exchange.asked), later[-1])
        exchange.asked = True
        if key[0] == 1:
            exchange = self._whole(exchange, exchanges)
            exchange.asked = True
        return exchange

    def _whole(self, exchange: Exchange, exchanges: Sequence[Exchange]) -> Exchange:
        """The line itself, or the later one that took its place after a break."""
        for later in exchanges:
            broken = any(exchange.number < number < later.number for number in self._breaks)
            if broken and len(later.answers) >= len(exchange.answers):
                return later
        return exchange


def _loose(key: Key) -> Key:
    """
    The key of requests that are near enough: another data type, another span of bars.

    The client may change the data type earlier or later than when this was recorded, and needs
    other days when its store holds others.
    """
    if key[0] == 1:
        return key[:-1]
    return (*key[:3], *key[4:]) if key[0] == 20 and len(key) == 6 else key


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

    async def __aexit__(self, *_: object) -> None:
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
            self._since = min((exchange.number for exchange in talk.exchanges), default=0) - 1

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
        asked = all(
            exchange.asked for exchange in self._talk.exchanges if exchange.number < remark.number
        )
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
