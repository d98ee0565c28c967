"""
What a recorded session asked and what it got: exchanges, found again by what was asked.

Ids and the order of requests differ from run to run. So an answer is known by its request: the
kind, and the contract as what it is rather than as it was written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tomic.sim import requests
from tomic.sim.answers import ContractData
from tomic.sim.protocol import ANSWERS, REQUESTS
from tomic.sim.session_file import SessionEvent
from tomic.sim.wire import Fields, WireError

Key = tuple[object, ...]

_ANSWERS_WITH_VERSION = frozenset({1, 2, 4, 45, 46, 52, 55, 57, 58, 63, 64, 71, 72, 73, 74})
_ANSWERS_WITHOUT = frozenset({5, 11, 17, 21, 75, 76, 79, 81, 94, 107})
_CONTRACT_DATA = 10
_BREAKS = frozenset({"100", "1100", "1101", "1102", "2103", "2110"})
_REQUESTS_WITH_VERSION = frozenset({1, 2, 7, 9, 25, 62, 63, 74, 75, 76, 77})
_REQUESTS_WITHOUT = frozenset({3, 20, 78, 81, 92, 93, 104})
CANCELS = frozenset({2, 25, 63, 75, 77, 93})
_UNNUMBERED = {
    5: (3, 5, 53),
    6: (6, 7, 8, 54),
    7: (59,),
    8: (9,),
    16: (3, 5, 53),
    17: (15,),
    49: (49,),
    61: (61, 62),
    71: (9, 15),
    91: (93,),
    99: (101, 102),
}
"""Requests whose answers do not carry the id of the request, and the kinds of those answers."""


def kind_of(fields: Fields) -> int:
    """The number of a message's kind; -1 where there is none."""
    return int(fields[0]) if fields and fields[0].isdecimal() and len(fields[0]) < 6 else -1


def id_place(fields: Fields, version: int) -> int | None:
    """Which field of an answer holds the id of its request; None where no field does."""
    kind = kind_of(fields)
    if kind == _CONTRACT_DATA:
        place = 2 if version < 164 else 1
    elif kind in _ANSWERS_WITH_VERSION:
        place = 2
    elif kind in _ANSWERS_WITHOUT:
        place = 1
    else:
        return None
    return place if len(fields) > place else None


def request_id(fields: Fields) -> str | None:
    """The id of a request as text; None for requests without one."""
    kind = kind_of(fields)
    place = 2 if kind in _REQUESTS_WITH_VERSION else 1 if kind in _REQUESTS_WITHOUT else len(fields)
    return fields[place] if len(fields) > place else None


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
    """One request with everything that was said to it."""

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
    """What was said, garbled or ended on a connection without being asked for."""

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
        if kind_of(fields) != _CONTRACT_DATA:
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
        kind, place = kind_of(fields), request_id(fields)
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
        start = 0 if place is None else fields.index(place, 1) + 1
        return (kind, *fields[max(start, 1) :])

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
            version = event.fields[0]
            self.conversation.handshake = event.fields if version.isdecimal() else ("0",)
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
        for answer in _UNNUMBERED.get(kind, ()):
            self._unnumbered[answer] = exchange

    def _answer(self, number: int, event: SessionEvent) -> bool:
        place = id_place(event.fields, self.conversation.version)
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


def data_type_of(fields: Fields) -> int:
    """The type that a request for live, frozen or delayed data names; 1 where it cannot be read."""
    return int(fields[2]) if len(fields) > 2 and fields[2].isdecimal() else 1


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
        self._breaks = [one.number for talk in talks for one in talk.remarks if one.is_break]
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
        found = self._by_key.get(key) or self._alike.get(_loose(key))
        if not found:
            return None
        later = [one for one in found if one.number > since] or found
        exchange = next((one for one in later if not one.asked), later[-1])
        exchange.asked = True
        if key[0] == 1:
            exchange = self._whole(exchange, found)
            exchange.asked = True
        return exchange

    def _whole(self, exchange: Exchange, found: Sequence[Exchange]) -> Exchange:
        """The line itself, or the later one that took its place after a break."""
        for later in found:
            broken = any(exchange.number < one < later.number for one in self._breaks)
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
