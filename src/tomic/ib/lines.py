"""Market-data lines: opened through a gate, always cancelled, also when a cancel gets lost."""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Self

import ib_async

from tomic.errors import GatewayRefused
from tomic.ib.callbacks import NEVER_OPENED, Interrupted, MarketDataLine
from tomic.ib.link import Link
from tomic.ib.pacing import LineGate, Pacer, Priority, Slot

NO_LINE, NO_LINE_PAUSE_S = 101, 0.25
"""No line is free; pause before the contract that found none is asked for again."""
_ILLEGAL = 321
_REFUSED_TICKS = re.compile(r"generic tick list of ([\d, ]+)(.*)", re.IGNORECASE | re.DOTALL)
"""``… generic tick list of 100,106. Legal ones for (OPT) are: 100(Option Volume),221/220(…)``"""
_IN_PLACE_OF = {"104": "411"}
"""Historical volatility, which newer TWS give under another number."""
_DOUBTFUL = ("104", "456")
"""Generic ticks that one TWS or another refuses, the most doubtful first."""
_LATE_S = 0.5
"""Ticks that still come so long after a cancel show that the gateway never saw it."""
_ARRIVAL_S = 0.1
"""What the last of several cancels may need to arrive before the socket closes."""
_REMEMBERED = 1000
"""Cancelled lines of which late ticks are still recognised."""


@dataclass(frozen=True, slots=True)
class LineRequest:
    """
    What a market-data line asks for: the same on its first line, on a second and on any later one.

    Attributes:
        what: The contract's name in messages.
        generic_ticks: What is wanted besides quotes and Greeks. Those that the gateway is known to
            refuse when the message leaves are left out.
        rank: Of several who wait for a line, the lowest goes first.
    """

    what: str
    contract: ib_async.Contract
    generic_ticks: str = ""
    priority: Priority = Priority.SUBSCRIBE
    rank: int = 0

    def once_more(self) -> Self:
        """The same, ahead of everything that has not been asked yet."""
        return replace(self, priority=Priority.URGENT)

    def beside(self) -> Self:
        """The same on a second line, while the first is silent."""
        return replace(self.once_more(), what=f"{self.what}, asked again")

    def legal_ticks(self, refused: Mapping[object, object]) -> str:
        """The generic ticks, less those that the gateway has *refused*."""
        ticks = self.generic_ticks
        while ticks and self._key(ticks) in refused:
            ticks = str(refused[self._key(ticks)])
        return ticks

    def without_refused(
        self, error: GatewayRefused, refused: MutableMapping[object, object]
    ) -> Self | None:
        """
        The same with the generic ticks that are left after a 321; None when there is nothing left.

        One that is not legal refuses the whole line. The gateway names the legal ones; where it
        does not, one after the other is left out, and in the end all of them. What was found is
        noted in *refused*. Quotes and Greeks need none of them.
        """
        if error.error_code != _ILLEGAL or not self.generic_ticks:
            return None
        match = _REFUSED_TICKS.search(error.text)
        asked = re.findall(r"\d+", match[1]) if match is not None else []
        if match is None or not asked:
            return replace(self, generic_ticks="")
        key = self._key(",".join(asked))
        if key not in refused:
            # What stands in brackets are names, which hold commas and digits of their own.
            legal = set(re.findall(r"\d+", re.sub(r"\([^)]*\)", " ", match[2])))
            attempts = self._leave_one_out(asked, refused)
            refused[key] = ",".join(_legal_of(asked, legal)) if legal else next(attempts, "")
        return replace(self, generic_ticks=str(refused[key]))

    def _leave_one_out(
        self, asked: list[str], refused: MutableMapping[object, object]
    ) -> Iterator[str]:
        """What to ask instead of *asked*, which was refused without a reason: the next attempt."""
        attempts = refused.setdefault(("attempts", self.contract.secType), _each_left_out(asked))
        assert isinstance(attempts, Iterator)
        return attempts

    def _key(self, generic_ticks: str) -> tuple[str, str, str]:
        return "legal ticks", self.contract.secType, generic_ticks


def _legal_of(asked: list[str], legal: set[str]) -> list[str]:
    """What of *asked* is legal, and what serves in place of the rest."""
    serving = [tick if tick in legal else _IN_PLACE_OF.get(tick, "") for tick in asked]
    kept = [tick for tick in serving if tick in legal]
    # A list that holds all of them does not tell what is wrong.
    return [] if kept == asked else kept


def _each_left_out(asked: list[str]) -> Iterator[str]:
    """*asked* without one of them in turn, or with what serves in its place."""
    for worst in sorted(asked, key=lambda tick: (tick not in _DOUBTFUL, tick != _DOUBTFUL[0])):
        serving = [_IN_PLACE_OF.get(tick, "") if tick == worst else tick for tick in asked]
        yield ",".join(filter(None, serving))


class Lines:
    """
    The lines of one link.

    Args:
        refused: What earlier lines have shown of generic ticks that are not legal.
    """

    def __init__(self, link: Link, pacer: Pacer, refused: Mapping[object, object]) -> None:
        self._link, self._pacer, self._refused = link, pacer, refused
        self._clock = asyncio.get_running_loop().time
        self._recent: deque[tuple[float, MarketDataLine]] = deque(maxlen=20)
        self._unsent: dict[int, Slot] = {}
        self._at_gateway: set[int] = set()
        """Subscribed, and no cancel has left."""
        link.callbacks.on_late_tick = self._on_late_tick

    async def subscribe(self, request: LineRequest, gate: LineGate) -> MarketDataLine | None:
        """
        Open a line; None when it must queue at *gate* once more, because lines ran out meanwhile.

        The permit of *gate*, already entered, is given back when the cancel has left.

        Raises:
            ConnectionError: The connection went away before the message left.
        """
        client, contract = self._link.client, request.contract
        line = MarketDataLine(self._link.next_id(), request.what, contract.right)
        self._link.callbacks.lines[line.req_id] = line

        def subscribe() -> None:
            ticks = request.legal_ticks(self._refused)
            client.reqMktData(line.req_id, contract, ticks, False, False, [])
            line.sent_at = self._clock()
            self._at_gateway.add(line.req_id)

        slot = self._unsent[line.req_id] = self._pacer.post(
            self._link.send(subscribe), request.priority, request.rank
        )
        try:
            await slot.sent
        except BaseException as exc:
            slot.withdraw()
            self.close(line, gate)
            if isinstance(exc, Interrupted):
                return None
            raise
        finally:
            self._unsent.pop(line.req_id, None)
        return line

    def requeue_unsent(self) -> None:
        """Send everybody back to the gate whose subscription has not left yet."""
        for slot in list(self._unsent.values()):
            slot.withdraw(Interrupted())

    def close(self, line: MarketDataLine, gate: LineGate) -> None:
        """Cancel *line* if the gateway may have it; its permit comes back by itself."""
        line.dispel()
        if line.req_id in self._at_gateway and _open_at_gateway(line):
            self.cancel(line, gate)
        else:
            self._at_gateway.discard(line.req_id)
            self._forget(line, gate)

    def cancel(self, line: MarketDataLine, gate: LineGate | None = None) -> None:
        """
        Post the cancel of *line*, behind everything that asks for something.

        Until it has left, ticks count as before; they cost nothing.
        """
        line.parting = True
        if not self._link.alive:
            self._forget(line, gate)
            return
        slot = self._post_cancel(line)
        # Also when the cancel never leaves because the socket is gone: then no line is open.
        slot.sent.add_done_callback(lambda _: self._forget(line, gate))

    def _forget(self, line: MarketDataLine, gate: LineGate | None) -> None:
        self._link.callbacks.lines.pop(line.req_id, None)
        line.leave()
        if gate is not None:
            gate.leave()

    def cancel_all(self) -> None:
        """Post the cancel of every open line."""
        for line in list(self._link.callbacks.lines.values()):
            if not line.parting:
                self.cancel(line)

    async def abandon(self) -> None:
        """
        Cancel what is left of a link that was declared lost, as far as its socket still takes it.

        A gateway that can no longer be understood may understand us all the same.
        """
        for req_id in sorted(self._at_gateway):
            if not self._link.client.isConnected():
                return
            self._link.client.cancelMktData(req_id)
            self._pacer.note_sent()
            await asyncio.sleep(1.0 / self._pacer.rate)
        if self._at_gateway:
            self._at_gateway.clear()
            await asyncio.sleep(_ARRIVAL_S)

    def cancel_recent_again(self, within_s: float) -> None:
        """
        Cancel once more what was cancelled in the last *within_s*.

        When the gateway says 100 it has lost a message without saying which; a lost cancel leaks
        its line, and a doubled one is harmless (error 300).
        """
        now = self._clock()
        recent = [line for at, line in self._recent if now - at < within_s]
        self._recent.clear()
        for line in recent:
            self._post_cancel(line)

    def _post_cancel(self, line: MarketDataLine) -> Slot:
        closed, req_id = self._link.callbacks.closed_lines, line.req_id

        def send() -> None:
            self._link.client.cancelMktData(req_id)
            self._at_gateway.discard(req_id)
            self._link.callbacks.lines.pop(req_id, None)
            line.closed_at = self._clock()
            if len(closed) > 2 * _REMEMBERED:
                for old in list(closed)[:_REMEMBERED]:
                    del closed[old]
            closed[req_id] = line
            self._recent.append((line.closed_at, line))

        return self._pacer.post(self._link.send(send), Priority.CANCEL)

    def _on_late_tick(self, line: MarketDataLine) -> None:
        """
        Cancel *line* again when the gateway has not seen its cancel.

        On a slow link its ticks may have been under way for long. They show a lost cancel only
        once something has been answered that was sent after it.
        """
        due = line.closed_at + _LATE_S
        if self._clock() <= due:
            return
        if self._link.fence.read_up_to < due:
            self._link.fence.ask()
            return
        self._post_cancel(line)
        line.closed_at = math.inf


def _open_at_gateway(line: MarketDataLine) -> bool:
    """
    Whether the gateway may still count *line*: it does, unless it said that it never had it.

    After a code that means less, such as 354 or one that nobody knows, data may yet come, and a
    line that nobody cancels counts until the connection ends.
    """
    error = line.error
    return not (isinstance(error, GatewayRefused) and error.error_code in NEVER_OPENED)
