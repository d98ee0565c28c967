"""What faults do to a whole connection: cut it, spoil its bytes, or make it fall silent."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from tomic.sim import faults
from tomic.wire.framing import frame_fields, split_fields

if TYPE_CHECKING:
    from tomic.sim.server.connection import Connection


_FARMS = {
    2103: (2104, frozenset({"market_data"})),
    2105: (2106, frozenset({"history"})),
    2157: (2158, frozenset({"contract_details", "option_params", "matching_symbols"})),
}
_NONSENSE = ("", "x", "nan", "inf", "1e999", "-", "99999999999999999999", "\u00e9\u2028")


class Trouble:
    """The state of one connection's faults."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.deaf = False
        """Nothing is heard: messages in are lost."""
        self.mute = False
        """Nothing is said: messages out are lost."""
        self._held: set[str] = set()
        self._rows: Counter[str] = Counter()
        self._spoil: faults.Garble | faults.Truncate | None = None
        self._mutate: faults.Mutate | None = None
        self._noise = random.Random(0)

    def holds(self, kind: str) -> bool:
        """Whether requests of this kind are lost because their farm is broken."""
        return kind in self._held

    def after_message(self, count: int) -> None:
        """Let strike what strikes after the message numbered *count*."""
        interference = self._connection.gateway.interference
        for fault in interference:
            if isinstance(fault, faults.DropAfter):
                if count >= fault.messages and interference.strike(fault, fault.times):
                    self._connection.drop()
            elif count == getattr(fault, "after", None):
                self._begin(fault)

    def row_done(self, of: str) -> None:
        """A row of quotes or details has been sent."""
        interference = self._connection.gateway.interference
        self._connection.gateway.rows[of] += 1
        self._rows[of] += 1
        for fault in interference.of(faults.DropAfterRows):
            due = fault.of == of and self._rows[of] >= fault.rows
            if due and interference.strike(fault, fault.times):
                self._connection.drop()

    def _begin(self, fault: faults.Fault) -> None:
        if isinstance(fault, (faults.Garble, faults.Truncate)):
            self._spoil = fault
        elif isinstance(fault, faults.Mutate):
            self._mutate = fault
        elif isinstance(fault, faults.Deaf):
            self.deaf = self.mute = True
        elif isinstance(fault, faults.ConnectivityLost):
            self._lose(1100, fault.code, fault.restored_after)
        elif isinstance(fault, faults.ServerBroken):
            self._lose(2110, 1102, fault.restored_after)
        elif isinstance(fault, faults.FarmBroken):
            self._break_farm(fault)
        elif isinstance(fault, faults.Restart):
            self._connection.gateway.restart(fault.down_for)
        elif isinstance(fault, faults.PortChanged):
            self._connection.gateway.change_port()
        elif isinstance(fault, faults.Announce):
            self._connection.error(-1, fault.code)

    def _lose(self, code: int, restored: int, after_s: float | None) -> None:
        self._connection.error(-1, code)
        self.deaf = self.mute = True
        if after_s is not None:
            self._connection.later(after_s, self._restore, restored)

    def _restore(self, code: int) -> None:
        self.deaf = self.mute = False
        if code == 1101:
            self._connection.lines.lose_all()
        self._connection.error(-1, code)

    def _break_farm(self, fault: faults.FarmBroken) -> None:
        repaired, kinds = _FARMS.get(fault.code, (2104, frozenset({"market_data"})))
        self._held |= kinds
        self._connection.error(-1, fault.code)
        if fault.restored_after is not None:
            self._connection.later(fault.restored_after, self._repair, repaired, kinds)

    def _repair(self, code: int, kinds: frozenset[str]) -> None:
        self._held -= kinds
        self._connection.error(-1, code)

    def spoil(self, data: bytes) -> bytes:
        """The bytes of a frame as they leave: now and then not what they were."""
        fault, self._spoil = self._spoil, None
        if fault is None:
            hit = self._mutate is not None and self._noise.random() < self._mutate.share
            return self._mutated(data) if hit else data
        if isinstance(fault, faults.Truncate):
            return data[: max(4, len(data) // 2)]
        noise = self._noise.randbytes(len(data))
        # The high bit makes the length absurd, so that the stream can never be read again.
        return data[:4] + noise[4:] if fault.whole_frame else b"\xff" + noise[1:]

    def _mutated(self, data: bytes) -> bytes:
        """The frame with its tail cut off or one field replaced; its length stays right."""
        parts = list(split_fields(data[4:]))
        at = self._noise.randrange(len(parts))
        if self._noise.random() < 0.3:
            del parts[max(at, 1) :]
        else:
            parts[at] = self._noise.choice(_NONSENSE)
        return frame_fields(parts)
