"""
What can go wrong between a client and TWS: faults as data, whom they hit, and what they break.

A fault is a frozen dataclass; any number of them combine. ``Gateway(market, faults=[...])`` starts
with some, ``gateway.add(...)`` brings one in later, :func:`parse` reads one from a command line::

    Silent(share=0.05, first_n=1)         "silent:share=0.05,first_n=1"
    DropAfter(messages=40)                "drop_after:messages=40"

Faults that name a contract or a kind of request are :class:`Aimed`, those that begin after so many
messages :class:`Timed`; one whose effect is not of the whole connection is asked for where it
strikes, with :meth:`Interference.aimed` or :meth:`Interference.of`. Counts named *after* or
*messages* are messages received from one client after its handshake; times end in ``_s`` or are
said to be seconds.
"""

from __future__ import annotations

import random
import re
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

from tomic.errors import UsageError
from tomic.wire.framing import frame_fields, split_fields


@dataclass(frozen=True, slots=True)
class Fault:
    """Base of everything in this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aimed(Fault):
    """
    A fault of single requests.

    Args:
        on: Kind of request (``market_data``, ``contract_details``, ``option_params``,
            ``history``, ``positions``, ``account_summary``, ...); empty means every kind that
            waits for an answer, cancels only by their own name (``cancel_market_data``).
        symbol, expiry, strike, right: Only contracts that fit; empty or zero fits all.
        share: Fraction of the option contracts hit, always the same ones for one seed; below 1
            shares and indices are spared.
        first_n: Only the first so many requests for one contract; None means every one.
        times: Only so many requests altogether.
    """

    on: str = "market_data"
    symbol: str = ""
    expiry: str = ""
    strike: float = 0.0
    right: str = ""
    share: float = 1.0
    first_n: int | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Silent(Aimed):
    """No answer at all; a silent market-data line still counts as a line."""


@dataclass(frozen=True, slots=True)
class Endless(Aimed):
    """The rows of contract details or option parameters come, and their end does not."""


@dataclass(frozen=True, slots=True)
class Late(Aimed):
    """The answer comes *seconds* later than it would."""

    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """Every answer, or every answer to one kind of request, takes *seconds* longer."""

    seconds: float = 0.5
    on: str = ""


@dataclass(frozen=True, slots=True)
class Refuse(Aimed):
    """The request is refused with an error code."""

    code: int = 321
    text: str = ""
    """In other words than TWS's usual ones."""


@dataclass(frozen=True, slots=True)
class Verbatim(Aimed):
    """The request is answered with these very messages, as TWS was once heard to send them."""

    messages: tuple[tuple[str, ...], ...] = ()
    """Their fields, of which ``@`` is the request id."""
    first: bool = False
    """Whether the usual answer follows them."""

    def fields(self, req_id: int) -> Iterator[tuple[str, ...]]:
        """The messages of one request."""
        for message in self.messages:
            yield tuple(str(req_id) if value == "@" else value for value in message)


@dataclass(frozen=True, slots=True)
class NoGreeks(Aimed):
    """Quotes without IV and Greeks, as when the main window of TWS is minimised."""

    sentinel: bool = False
    """Send the "not computed" tick instead of none."""


@dataclass(frozen=True, slots=True)
class NoQuotes(Aimed):
    """Bid and ask are -1: IB says that there is no quote."""


@dataclass(frozen=True, slots=True)
class LateTicks(Aimed):
    """Ticks go on for *seconds* after the subscription was cancelled."""

    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class NotSubscribed(Aimed):
    """No market-data subscription: 354, 10089 or 10168."""

    code: int = 354
    kinds: str = ""
    """``stock``, ``option`` or ``index``; several joined by +; empty means all."""
    delayed: bool = True
    """Whether types 3 and 4 give delayed data (with 10167) instead of the same refusal."""
    repeated: bool = False
    """Whether the code is said again before those delayed data, as of accounts without any live."""


@dataclass(frozen=True, slots=True)
class PartiallySubscribed(Aimed):
    """10090 or 10091 beside quotes that flow; no Greeks."""

    code: int = 10091


@dataclass(frozen=True, slots=True)
class Advised(Aimed):
    """
    Codes are said to a line that TWS opens all the same, and of which it may send data.

    TWS keeps adding such codes, so a client cannot know them all. Whatever comes, the line counts
    until it is cancelled.
    """

    codes: tuple[int, ...] = (10089,)
    """One after the other: ``354+10167``."""
    text: str = ""
    """In other words than TWS's usual ones."""
    data: str = "delayed"
    """What follows: ``live`` data, ``delayed`` ones, or ``none``."""
    after_s: float = 0.0
    """Seconds after the request at which they are said; 0 is before everything else."""
    kinds: str = ""
    """``stock``, ``option`` or ``index``; several joined by +; empty means all."""

    def __post_init__(self) -> None:
        if self.data not in ("live", "delayed", "none"):
            raise UsageError(f"advised: data cannot be {self.data!r}; live, delayed or none")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWarned(Aimed):
    """Warnings before the margins of a what-if order, which come all the same."""

    on: str = "place_order"
    codes: tuple[int, ...] = (399,)
    """One after the other: ``10349+399``."""
    text: str = ""
    """In other words than TWS's usual ones."""
    margins: bool = True
    """Whether the margins come."""


@dataclass(frozen=True, slots=True)
class Delayed(Aimed):
    """Delayed data with 10167, whatever type was asked for."""


@dataclass(frozen=True, slots=True)
class Competing(Aimed):
    """10197: another login of the same user holds the market data."""


@dataclass(frozen=True, slots=True)
class HistoryPacing(Fault):
    """The first *times* requests for bars are answered with a 162 about pacing."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class BlankFilterIgnored(Fault):
    """A question for executions whose filter names nothing is never answered."""


@dataclass(frozen=True, slots=True)
class LinesTaken(Fault):
    """The user's own TWS holds so many market-data lines."""

    lines: int = 95


@dataclass(frozen=True, slots=True)
class PacingStrike(Fault):
    """Error 100 for no reason: the messages numbered in *at* are lost."""

    at: tuple[int, ...] = (20,)


@dataclass(frozen=True, slots=True)
class Stalls(Fault):
    """
    A gateway on a busy machine: now and then it reads nothing for a while, then all at once.

    What has come meanwhile is counted in the second in which it is read.
    """

    seconds: float = 0.06
    every: float = 0.9
    """Seconds from the beginning of one stall to that of the next."""

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds < self.every:
            raise UsageError("stalls: seconds must be > 0 and less than every")

    def left_s(self, now: float) -> float:
        """How long it reads nothing yet."""
        return max(self.seconds - now % self.every, 0.0)


@dataclass(frozen=True, slots=True)
class IllegalTicks(Fault):
    """Generic ticks that this TWS does not know: newer ones refuse 104 and have 411 instead."""

    ids: tuple[int, ...] = (104,)
    listed: bool = True
    """Whether the refusal lists the legal ones."""


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    """
    A slow link: so many bytes a second towards the client, and a delay in both directions.

    TWS writes ticks as they come and does not know of the link: what cannot leave yet queues, in
    order, and an answer stands behind every tick that was written before it.
    """

    rate: float = 60_000.0
    """Bytes a second towards the client."""
    latency: float = 0.25
    """Seconds that every byte is under way, each way."""
    buffer: int = 0
    """Bytes that may wait to leave. While more do, lines are not updated, and their next update
    has what is new by then; 0 keeps everything."""

    def __post_init__(self) -> None:
        if not (self.rate > 0.0 and self.latency >= 0.0 and self.buffer >= 0):
            raise UsageError("slow: rate must be > 0, latency and buffer not negative")


@dataclass(frozen=True, slots=True)
class ClockDrift(Fault):
    """The gateway's clock is *seconds* ahead."""

    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class CloseOnConnect(Fault):
    """The first *times* connections are closed at once; None means every one."""

    times: int | None = None


@dataclass(frozen=True, slots=True)
class NoCommonVersion(Fault):
    """The connection is closed without a word: no version that the client knows is served."""

    greeted: bool = False
    """Whether the server tells its version first."""


@dataclass(frozen=True, slots=True)
class NewerServer(Fault):
    """The server speaks *version*, whatever the client says it knows."""

    version: int = 203


@dataclass(frozen=True, slots=True)
class TurnedAway(Fault):
    """A code instead of ``nextValidId``; then the connection is closed, or nothing is said."""

    code: int = 10141
    closes: bool = True
    in_use: bool = False
    """Whether TWS says after it that the client id is in use, which is not true."""


@dataclass(frozen=True, slots=True)
class NoHandshake(Fault):
    """The socket opens, and nothing is ever said."""


@dataclass(frozen=True, slots=True)
class NoNextValidId(Fault):
    """The handshake succeeds, but the session never becomes ready."""


@dataclass(frozen=True, slots=True)
class ClientIdInUse(Fault):
    """Other clients hold these ids: 326, then the connection is closed."""

    ids: tuple[int, ...] = (100,)


@dataclass(frozen=True, slots=True)
class DropAfter(Fault):
    """The connection is cut after so many messages, *times* times in all."""

    messages: int = 40
    times: int = 1


@dataclass(frozen=True, slots=True)
class DropAfterRows(Fault):
    """The connection is cut after so many finished rows, *times* times in all."""

    rows: int = 20
    of: str = "quotes"
    """``quotes``: options whose Greeks were sent; ``contract_details``: rows of details."""
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Fault):
    """A fault of a connection that begins after so many messages."""

    after: int = 40

    def begin(self, trouble: Trouble) -> None:
        """Do on a connection what this fault does."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage(Timed):
    """A timed fault that passes."""

    restored_after: float | None = 1.0
    """Seconds; None means never."""


@dataclass(frozen=True, slots=True)
class Garble(Timed):
    """One answer is replaced by garbage."""

    whole_frame: bool = False
    """True keeps the frame's length right, so that only that one message is lost."""

    def begin(self, trouble: Trouble) -> None:
        trouble.spoil_next = self._garbled

    def _garbled(self, data: bytes, noise: random.Random) -> bytes:
        garbage = noise.randbytes(len(data))
        # The high bit makes the length absurd, so that the stream can never be read again.
        return data[:4] + garbage[4:] if self.whole_frame else b"\xff" + garbage[1:]


@dataclass(frozen=True, slots=True)
class Truncate(Timed):
    """One frame loses its second half; the stream is unreadable then."""

    def begin(self, trouble: Trouble) -> None:
        trouble.spoil_next = lambda data, _: data[: max(4, len(data) // 2)]


@dataclass(frozen=True, slots=True)
class Mutate(Timed):
    """From then on a share of the answers loses fields, or has one that makes no sense."""

    share: float = 0.02
    only: tuple[int, ...] = ()
    """Numbers of the messages that are hit; empty hits all."""
    evil: bool = False
    """Replace fields alone, also by numbers that can be none and by texts that mean harm."""
    seed: int = 0
    after: int = field(default=5, kw_only=True)

    def begin(self, trouble: Trouble) -> None:
        trouble.draw_from(self.seed)
        trouble.spoil_all = self._mutated

    def _mutated(self, data: bytes, noise: random.Random) -> bytes:
        """Now and then a frame without its tail or with one odd field; its length stays right."""
        if noise.random() >= self.share:
            return data
        parts = list(split_fields(data[4:]))
        if self.only and not (parts[0].isdecimal() and int(parts[0]) in self.only):
            return data
        at = noise.randrange(len(parts))
        if self.evil:
            parts[max(at, 1)] = noise.choice(_NONSENSE + _EVIL)
        elif noise.random() < 0.3:
            del parts[max(at, 1) :]
        else:
            parts[at] = noise.choice(_NONSENSE)
        return frame_fields(parts)


@dataclass(frozen=True, slots=True)
class Flood(Timed):
    """Notes without end, no two of them alike, as fast as they can be sent."""

    at_once: int = 200
    """How many every five milliseconds."""

    def begin(self, trouble: Trouble) -> None:
        self._go_on(trouble, 0)

    def _go_on(self, trouble: Trouble, count: int) -> None:
        for number in range(count, count + self.at_once):
            trouble.connection.error(-1, 9999, text=f"note {number} of a flood")
        trouble.connection.later(0.005, self._go_on, trouble, count + self.at_once)


@dataclass(frozen=True, slots=True)
class Deaf(Timed):
    """The gateway says nothing more; the socket stays open."""

    def begin(self, trouble: Trouble) -> None:
        trouble.deaf = trouble.mute = True


@dataclass(frozen=True, slots=True)
class ConnectivityLost(Outage):
    """1100: TWS has lost IB. Nothing is answered until 1101 (lines lost) or 1102 (kept)."""

    code: int = 1102

    def begin(self, trouble: Trouble) -> None:
        trouble.lose(1100, self.code, self.restored_after)


@dataclass(frozen=True, slots=True)
class ServerBroken(Outage):
    """2110: the line between TWS and IB's server is broken, and mends itself."""

    def begin(self, trouble: Trouble) -> None:
        trouble.lose(2110, 1102, self.restored_after)


@dataclass(frozen=True, slots=True)
class FarmBroken(Outage):
    """2103, 2105 or 2157: market data, bars or contract details are not answered for a while."""

    code: int = 2103

    def begin(self, trouble: Trouble) -> None:
        trouble.break_farm(self.code, self.restored_after)


@dataclass(frozen=True, slots=True)
class Restart(Timed):
    """TWS restarts: every connection is cut and nothing listens for *down_for* seconds."""

    down_for: float = 0.5

    def begin(self, trouble: Trouble) -> None:
        trouble.connection.restart(self.down_for)


@dataclass(frozen=True, slots=True)
class PortChanged(Timed):
    """1300: TWS listens on another port from now on; every connection is cut."""

    def begin(self, trouble: Trouble) -> None:
        trouble.connection.change_port()


@dataclass(frozen=True, slots=True)
class Announce(Timed):
    """Any code said to the whole connection, such as 2107, 2108 or 2150, without consequence."""

    code: int = 2108
    text: str = ""
    """In other words than TWS's usual ones."""
    after: int = field(default=2, kw_only=True)

    def begin(self, trouble: Trouble) -> None:
        trouble.connection.error(-1, self.code, text=self.text)


def _kinds_of_fault() -> Iterator[tuple[str, type[Fault]]]:
    bases = (Fault, Aimed, Timed, Outage)
    for name, value in list(globals().items()):
        if isinstance(value, type) and issubclass(value, Fault) and value not in bases:
            yield re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), value


FAULTS: dict[str, type[Fault]] = dict(_kinds_of_fault())
"""Every fault by the name that :func:`parse` knows."""


def parse(text: str) -> Fault:
    """
    A fault from text: its name, then ``:key=value,key=value``.

    Several whole numbers are joined by ``+``, a range has a dash: ``client_id_in_use:ids=100-131``.

    Raises:
        UsageError: The name, a key or a value cannot be right; the message lists what can.
    """
    name, _, rest = text.strip().partition(":")
    kind = FAULTS.get(name.strip().lower().replace("-", "_"))
    if kind is None:
        raise UsageError(f"no fault called {name.strip()!r}; known: {', '.join(sorted(FAULTS))}")
    hints = typing.get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    values: dict[str, Any] = {}
    for part in filter(None, (text.strip() for text in rest.split(","))):
        key, equals, value = (text.strip() for text in part.partition("="))
        key = key.replace("-", "_")
        if not equals or key not in known:
            raise UsageError(f"{name}: no setting {key!r}; known: {', '.join(known) or 'none'}")
        try:
            values[key] = _value(hints[key], value)
        except ValueError as exc:
            raise UsageError(f"{name}: {key} cannot be {value!r}") from exc
    return kind(**values)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _value(hint: Any, text: str) -> Any:
    if isinstance(hint, types.UnionType):
        if text.lower() in {"none", ""}:
            return None
        hint = next(arg for arg in typing.get_args(hint) if arg is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return tuple(number for part in text.split("+") for number in _range(part))
    if hint is bool:
        if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
            raise ValueError(text)
        return text.lower() in {"true", "1", "yes"}
    return hint(text)


@dataclass(frozen=True, slots=True)
class Subject:
    """The contract a request is about, as far as it is known; all empty when it is about none."""

    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: float = 0.0
    right: str = ""


_UNANSWERED = frozenset({"market_data_type", "other"})

F = TypeVar("F", bound=Fault)
A = TypeVar("A", bound=Aimed)


class Interference:
    """The faults in force, and how often each has struck."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._faults: list[Fault] = list(faults)
        self._seed = seed
        self._struck: Counter[Fault] = Counter()
        self._per_subject: Counter[tuple[Fault, str, Subject]] = Counter()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, fault: Fault) -> None:
        """Bring a fault in, with a fresh count."""
        self._struck.pop(fault, None)
        self._faults.append(fault)

    def remove(self, fault: Fault) -> None:
        """Take a fault out."""
        self._faults.remove(fault)

    def clear(self) -> None:
        """Take every fault out."""
        self._faults.clear()

    def any(self) -> bool:
        """Whether there is any fault at all."""
        return bool(self._faults)

    def of(self, kind: type[F]) -> list[F]:
        """Faults of one class, in the order they were given."""
        return [fault for fault in self._faults if isinstance(fault, kind)]

    def strike(self, fault: Fault, times: int | None = None) -> bool:
        """Count one use of a fault; False when it has been used *times* times already."""
        if times is not None and self._struck[fault] >= times:
            return False
        self._struck[fault] += 1
        return True

    def aimed(self, kind: type[A], on: str, subject: Subject) -> A | None:
        """The first fault of that class that hits this request; the hit is counted."""
        for fault in self.of(kind):
            if self._hits(fault, on, subject):
                return fault
        return None

    def _hits(self, fault: Aimed, on: str, subject: Subject) -> bool:
        if not self._fits(fault, on, subject) or not self._drawn(fault, subject):
            return False
        key = (fault, on, subject)
        if fault.first_n is not None and self._per_subject[key] >= fault.first_n:
            return False
        if not self.strike(fault, fault.times):
            return False
        if fault.first_n is not None:
            self._per_subject[key] += 1
        return True

    @staticmethod
    def _fits(fault: Aimed, on: str, subject: Subject) -> bool:
        # "Every kind" means every kind that waits for an answer.
        any_kind = fault.on == "" and not on.startswith("cancel") and on not in _UNANSWERED
        return (
            (any_kind or fault.on == on)
            and fault.symbol in ("", subject.symbol)
            and fault.expiry.replace("-", "") in ("", subject.expiry)
            and fault.strike in (0.0, subject.strike)
            and fault.right in ("", subject.right)
        )

    def _drawn(self, fault: Aimed, subject: Subject) -> bool:
        if fault.share >= 1.0:
            return True
        if subject.sec_type in ("STK", "IND"):
            return False
        key = f"{self._seed}|{type(fault).__name__}|{subject}"
        return random.Random(key).random() < fault.share


class _Connection(Protocol):
    """What faults need of the connection that they strike; see the server's ``Client``."""

    @property
    def interference(self) -> Interference: ...
    def drop(self) -> None: ...
    def error(self, req_id: int, code: int, *, text: str = "") -> None: ...
    def later(self, delay_s: float, call: Callable[..., None], *args: Any) -> None: ...
    def lose_lines(self) -> None: ...
    def restart(self, down_for_s: float) -> None: ...
    def change_port(self) -> None: ...


_FARMS = {
    2103: (2104, frozenset({"market_data"})),
    2105: (2106, frozenset({"history"})),
    2157: (2158, frozenset({"contract_details", "option_params", "matching_symbols"})),
}
_NONSENSE = ("", "x", "nan", "inf", "1e999", "-", "99999999999999999999", "\u00e9\u2028")
_EVIL = (
    "-1", "-0.0", "1e308", "-1e308", "1.7976931348623157E308", "1e-320", "0", "-560", "2147483648",
    "9223372036854775808", "99999999999999", "\x1b]0;pwn\x07", "\x9b31m", "\u202e", "[/red]",
    "[bold]", "=cmd|'/c calc'!A0", "@SUM(A1)", "../../etc/passwd", "CON", "{0}", "%s%n", "a\nb",
    "<script>alert(1)</script>", "'; DROP TABLE entries;--", "A" * 3_000, "All", "20261399",
    "00010101", "99991231", "20261218 25:00:00 Mars/Olympus", "Mars/Olympus",
    "20261120:2500-9999:1",
)  # fmt: skip
Spoil = Callable[[bytes, random.Random], bytes]


class Trouble:
    """The state of one connection's faults."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self.deaf = False
        """Incoming messages are lost."""
        self.mute = False
        """Outgoing messages are lost."""
        self.spoil_next: Spoil | None = None
        """What becomes of the next frame."""
        self.spoil_all: Spoil | None = None
        """What becomes of all others."""
        self._unanswered: set[str] = set()
        self._rows: Counter[str] = Counter()
        self._noise = random.Random(0)

    def holds(self, kind: str) -> bool:
        """Whether requests of this kind are lost because their farm is broken."""
        return kind in self._unanswered

    def after_message(self, count: int) -> None:
        """Trigger the faults due after message *count*."""
        interference = self.connection.interference
        for fault in interference:
            if isinstance(fault, DropAfter):
                if count >= fault.messages and interference.strike(fault, fault.times):
                    self.connection.drop()
            elif isinstance(fault, Timed) and count == fault.after:
                fault.begin(self)

    def row_done(self, of: str) -> None:
        """A row of quotes or details has been sent."""
        interference = self.connection.interference
        self._rows[of] += 1
        for fault in interference.of(DropAfterRows):
            due = fault.of == of and self._rows[of] >= fault.rows
            if due and interference.strike(fault, fault.times):
                self.connection.drop()

    def lose(self, code: int, restored: int, after_s: float | None) -> None:
        """Hear and say nothing after *code*, until *restored* is said; for ever without a time."""
        self.connection.error(-1, code)
        self.deaf = self.mute = True
        if after_s is not None:
            self.connection.later(after_s, self._restore, restored)

    def _restore(self, code: int) -> None:
        self.deaf = self.mute = False
        if code == 1101:
            self.connection.lose_lines()
        self.connection.error(-1, code)

    def break_farm(self, code: int, after_s: float | None) -> None:
        """Lose the requests that one farm serves; for ever without a time."""
        repaired, kinds = _FARMS.get(code, _FARMS[2103])
        self._unanswered |= kinds
        self.connection.error(-1, code)
        if after_s is not None:
            self.connection.later(after_s, self._repair, repaired, kinds)

    def _repair(self, code: int, kinds: frozenset[str]) -> None:
        self._unanswered -= kinds
        self.connection.error(-1, code)

    def draw_from(self, seed: int) -> None:
        """Draw what is spoiled from *seed* on."""
        self._noise = random.Random(seed)

    def spoil(self, data: bytes) -> bytes:
        """The bytes of a frame as they leave: now and then not what they were."""
        spoil, self.spoil_next = self.spoil_next or self.spoil_all, None
        return data if spoil is None else spoil(data, self._noise)
