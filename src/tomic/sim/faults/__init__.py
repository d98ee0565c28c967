"""
What can go wrong between a client and TWS, as data.

A fault is a frozen dataclass; any number of them combine. ``Gateway(market, faults=[...])`` starts
with some, ``gateway.add(...)`` brings one in later, :func:`parse` reads one from a command line::

    Silent(share=0.05, first_n=1)         "silent:share=0.05,first_n=1"
    DropAfter(messages=40)                "drop_after:messages=40"

Faults that name a contract or a kind of request are :class:`Aimed`. Counts named *after* or
*messages* are messages received from one client after its handshake; times end in ``_s`` or are
said to be seconds.
"""

from __future__ import annotations

import re
import types
import typing
from dataclasses import dataclass, fields
from typing import Any

from tomic.errors import UsageError


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
class ClockDrift(Fault):
    """The gateway's clock is *seconds* ahead."""

    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class CloseOnConnect(Fault):
    """The first *times* connections are closed at once; None means every one."""

    times: int | None = None


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


@dataclass(frozen=True, slots=True)
class Garble(Fault):
    """After so many messages one answer is replaced by garbage."""

    after: int = 40
    whole_frame: bool = False
    """True keeps the frame's length right, so that only that one message is lost."""


@dataclass(frozen=True, slots=True)
class Truncate(Fault):
    """After so many messages one frame loses its second half; the stream is unreadable then."""

    after: int = 40


@dataclass(frozen=True, slots=True)
class Mutate(Fault):
    """From then on a share of the answers loses fields, or has one that makes no sense."""

    share: float = 0.02
    after: int = 5


@dataclass(frozen=True, slots=True)
class Deaf(Fault):
    """After so many messages the gateway says nothing more; the socket stays open."""

    after: int = 40


@dataclass(frozen=True, slots=True)
class ConnectivityLost(Fault):
    """1100: TWS has lost IB. Nothing is answered until 1101 (lines lost) or 1102 (kept)."""

    after: int = 40
    restored_after: float | None = 1.0
    """Seconds; None means never."""
    code: int = 1102


@dataclass(frozen=True, slots=True)
class ServerBroken(Fault):
    """2110: the line between TWS and IB's server is broken, and mends itself."""

    after: int = 40
    restored_after: float | None = 1.0


@dataclass(frozen=True, slots=True)
class FarmBroken(Fault):
    """2103, 2105 or 2157: market data, bars or contract details are not answered for a while."""

    code: int = 2103
    after: int = 40
    restored_after: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Restart(Fault):
    """TWS restarts: every connection is cut and nothing listens for *down_for* seconds."""

    after: int = 40
    down_for: float = 0.5


@dataclass(frozen=True, slots=True)
class PortChanged(Fault):
    """1300: TWS listens on another port from now on; every connection is cut."""

    after: int = 40


@dataclass(frozen=True, slots=True)
class Announce(Fault):
    """Any code said to the whole connection, such as 2107, 2108 or 2150, without consequence."""

    code: int = 2108
    after: int = 2


def _kinds_of_fault() -> dict[str, type[Fault]]:
    found: dict[str, type[Fault]] = {}
    for value in list(globals().values()):
        if isinstance(value, type) and issubclass(value, Fault) and value not in (Fault, Aimed):
            found[re.sub(r"(?<!^)(?=[A-Z])", "_", value.__name__).lower()] = value
    return found


FAULTS: dict[str, type[Fault]] = _kinds_of_fault()
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
    for part in filter(None, (one.strip() for one in rest.split(","))):
        key, equals, value = (one.strip() for one in part.partition("="))
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
