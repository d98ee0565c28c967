"""Questions to the gateway: asked, answered or refused, asked again when they got lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ib_async

from tomic.errors import RequestTimeout, SessionLost, UnreadableAnswer
from tomic.ib.callbacks import Garbled, Interrupted, Request
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.link import Link
from tomic.ib.pacing import Pacer, Priority, Slot

_log = logging.getLogger(__name__)

Send = Callable[[ib_async.Client, int], None]

ANSWERED_BY: dict[int, frozenset[int]] = {
    3: frozenset({5}),  # the margins of a what-if order
    7: frozenset({11, 55, 59}),  # executions
    9: frozenset({10, 18, 52}),  # contract details
    20: frozenset({17}),  # bars
    49: frozenset({49}),  # the time
    61: frozenset({61, 62}),  # positions
    62: frozenset({63, 64}),  # account values
    78: frozenset({75, 76}),  # option parameters
    81: frozenset({79}),  # symbols
    96: frozenset({96, 97, 98}),  # historical ticks
}
"""Numbers of the messages that answer each kind of question."""
_GARBLED = 3
"""How often an answer among which something made no sense is asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """
    One question, however often it has to be asked.

    Args:
        what: Its name in messages.
        send: Sends it, given the client and a fresh request id.
        timeout_s: For the whole answer, from the moment the message left.
        farm: Whose trouble stops the clock.
        on_part: Called with each part of the answer as it comes.
        cancel: Tells the gateway that the answer is no longer waited for.
        patient: Whether codes of unknown meaning end the question only with its timeout.
    """

    what: str
    send: Send
    timeout_s: float
    farm: Farm = Farm.DETAILS
    priority: Priority = Priority.URGENT
    on_part: Callable[[Any], None] | None = None
    cancel: Send | None = None
    patient: bool = False


class Questions:
    """
    Asks over whatever link is up.

    Args:
        link: The link that is up now; raises SessionError when there is none.
    """

    def __init__(
        self, link: Callable[[], Link], clocks: Mapping[Farm, StoppableClock], pacer: Pacer
    ) -> None:
        self._link, self._clocks, self._pacer = link, clocks, pacer

    async def ask(self, question: Question) -> list[Any]:
        """The parts of the answer; see `Session.ask`."""
        clock = self._clocks[question.farm]
        garbled = 0
        while True:
            self._link()
            await clock.wait_running()
            link = self._link()
            request = Request(
                link.next_id(), question.what, question.on_part, question.farm, question.patient
            )
            link.callbacks.requests[request.req_id] = request
            try:
                return await self._answer(link, request, question)
            except Interrupted as exc:
                garbled = _counted(exc, garbled, question.what)
                _log.info("%s: asked again", question.what)
            finally:
                link.callbacks.requests.pop(request.req_id, None)

    async def _answer(self, link: Link, request: Request, question: Question) -> list[Any]:
        clock = self._clocks[question.farm]
        message = partial(question.send, link.client, request.req_id)
        slot = self._pacer.post(link.send(_noted(message, link, request)), question.priority)
        try:
            request.sent_at = await self._sent(slot)
            if await clock.wait_for(request.done, clock.now() + question.timeout_s):
                return request.done.result()
        finally:
            slot.withdraw()
            if question.cancel is not None and not request.done.done() and request.sent_at:
                self._cancel(link, partial(question.cancel, link.client, request.req_id))
        raise request.reason or RequestTimeout(question.what, question.timeout_s)

    def _cancel(self, link: Link, message: Callable[[], None]) -> None:
        if link.alive:
            self._pacer.post(link.send(message), Priority.CANCEL)

    async def ask_named(
        self, name: str, send: Callable[[ib_async.Client], None], timeout_s: float
    ) -> list[Any]:
        """As :meth:`ask`, for answers without a request id; the caller asks one at a time."""
        garbled = 0
        while True:
            link, request = self._link(), Request(-1, name)
            link.callbacks.named[name] = request
            try:
                return await self._unnumbered(link, request, partial(send, link.client), timeout_s)
            except Interrupted as exc:
                garbled = _counted(exc, garbled, name)
                _log.info("%s: asked again", name)
            finally:
                link.callbacks.named.pop(name, None)

    async def ask_time(self, timeout_s: float) -> int:
        """The gateway's clock; every answer serves all who wait, so a probe never queues."""
        link, request = self._link(), Request(-1, "current time")
        link.callbacks.time_requests.append(request)
        try:
            answer = await self._unnumbered(link, request, link.client.reqCurrentTime, timeout_s)
        finally:
            if request in link.callbacks.time_requests:
                link.callbacks.time_requests.remove(request)
        return int(answer[0])

    async def _unnumbered(
        self, link: Link, request: Request, message: Callable[[], None], timeout_s: float
    ) -> list[Any]:
        slot = self._pacer.post(link.send(_noted(message, link, request)), Priority.URGENT)
        try:
            request.sent_at = await self._sent(slot)
            await asyncio.wait({request.done}, timeout=timeout_s)
        finally:
            slot.withdraw()
        if not request.done.done():
            raise request.reason or RequestTimeout(request.what, timeout_s)
        return request.done.result()

    async def _sent(self, slot: Slot) -> float:
        try:
            return await slot.sent
        except ConnectionError as exc:
            self._link()
            raise SessionLost("connection lost before the request left") from exc


def _noted(message: Callable[[], None], link: Link, request: Request) -> Callable[[], None]:
    """Send *message*, and note which messages answer it."""

    def send() -> None:
        message()
        request.messages = ANSWERED_BY.get(link.last_kind, frozenset())

    return send


def _counted(error: Interrupted, garbled: int, what: str) -> int:
    """
    How often the answer was garbled, *error* included.

    Raises:
        UnreadableAnswer: Too often.
    """
    if not isinstance(error, Garbled):
        return garbled
    if garbled + 1 >= _GARBLED:
        raise UnreadableAnswer(what, "garbage", "again and again") from error
    return garbled + 1
