"""One TCP connection to the gateway: handshake, client id, what is sent on it, and its end."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
from collections.abc import Callable, Hashable
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

import ib_async
from ib_async.decoder import Decoder

from tomic import outside
from tomic.errors import (
    ClientIdInUse,
    GatewayUnreachable,
    IncompatibleVersion,
    SessionError,
    SessionLost,
)
from tomic.ib import convert
from tomic.ib.callbacks import Callbacks, is_routine
from tomic.ib.fence import Fence
from tomic.ib.pacing import Pacer
from tomic.masking import named_here


class Tap(Protocol):
    """Takes a copy of every byte, in the order in which they pass."""

    def sent(self, data: bytes) -> None:
        """Bytes that leave."""

    def received(self, data: bytes) -> None:
        """Bytes that arrived, before anybody acts on them; none: the other side has closed."""


def listen_in(connection: Any, tap: Tap) -> None:
    """
    Tell *tap* what passes on *connection*, ib_async's asyncio protocol of one socket.

    Its events come too late for this: by then the client has already answered what arrived.
    """
    send, receive = connection.sendMsg, connection.data_received
    end, lose = connection.eof_received, connection.connection_lost
    ended = False

    def sent(data: bytes) -> None:
        tap.sent(data)
        send(data)

    def received(data: bytes) -> None:
        tap.received(data)
        receive(data)

    def closed() -> bool | None:
        nonlocal ended
        ended = True
        tap.received(b"")
        keep: bool | None = end()
        return keep

    def lost(error: Exception | None) -> None:
        # A reset connection has no end of file.
        if error is not None and not ended:
            tap.received(b"")
        lose(error)

    connection.sendMsg, connection.data_received = sent, received
    connection.eof_received, connection.connection_lost = closed, lost


_ID_SECOND = frozenset({1, 2, 4, 12, 13, 45, 46, 47, 50, 51, 52, 55, 56, 57, 58, 63, 64, 71, 72, 73,
                        74})  # fmt: skip
"""Messages whose request id comes after a version."""
_WITHOUT_ID = frozenset({6, 7, 8, 9, 14, 15, 16, 19, 49, 53, 54, 59, 61, 62, 78, 80, 85, 93, 101,
                         102})  # fmt: skip
_NAMES = {1: "tickPrice", 4: "error"}
"""Those that are not called after their handler."""
_EXECUTION_TIME = 15

Handler = Callable[[list[str]], None]


def _whole(text: str) -> int:
    """A whole number of at most 64 bits, as all of IB's are."""
    number = int(text or 0)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{outside.line(text, 40)} is no number that the gateway can send")
    return number


_CONVERT: dict[type, Callable[[str], Any]] = {
    str: str,
    int: _whole,
    float: lambda text: float(text or 0),
    bool: lambda text: bool(int(text or 0)),
}


class StrictDecoder(Decoder):
    """
    Decodes for *callbacks*; whatever cannot be decoded is told to `Callbacks.cannot_read`.

    Times of executions are read here, because ib_async knows neither all of TWS's names for zones
    nor that ``20231214-20:57:37`` is UTC.
    """

    def __init__(self, callbacks: Callbacks) -> None:
        # ib_async takes anything that has the methods of its own wrapper.
        super().__init__(cast(Any, callbacks), 0)
        self._callbacks = callbacks
        self._read: dict[int, Handler] = {
            kind: handler
            for kind, handler in self.handlers.items()
            if callbacks.is_asked(_name(kind, handler))
        }

    def wrap(self, methodName: str, types: list[type], skip: int = 2) -> Handler:
        """A handler that calls a method with the fields after the first *skip*."""
        kinds = [_CONVERT[kind] for kind in types]

        def handler(fields: list[str]) -> None:
            given = [read(text) for read, text in zip(kinds, fields[skip:], strict=False)]
            if len(given) < len(kinds):
                raise ValueError(f"{len(fields)} fields instead of {len(kinds) + skip}")
            getattr(self._callbacks, methodName)(*given)

        handler.__name__ = methodName
        return handler

    def parse(self, obj: object) -> None:
        """Read the numbers of *obj*, as ib_async does; which they are is looked up once a class."""
        for name, read, default in _numbers_of(cast(Hashable, type(obj))):
            text = getattr(obj, name)
            # Most numbers of most rows were not sent.
            if text is not default:
                setattr(obj, name, read(text) if text else default)

    def interpret(self, fields: list[str]) -> None:
        """Decode one message and hand it on; what nobody asked for is not even read."""
        kind = int(fields[0]) if fields and fields[0].isdecimal() and len(fields[0]) < 6 else -1
        handler = self._read.get(kind)
        if handler is None and kind in self.handlers:
            return
        whole = "".join(fields)
        if not whole.isprintable() or len(whole) > outside.LONGEST:
            fields = [outside.line(field) for field in fields]
        try:
            if handler is None:
                raise ValueError("a kind of message that is not known here")
            handler(fields)
        # Whatever a field that makes no sense can lead to, in code that is not ours.
        except Exception as exc:
            name = f"message {kind}" if handler is None else _name(kind, handler)
            req_id = _request_id(kind, fields) if handler is not None else None
            self._callbacks.cannot_read(kind, req_id, name, str(exc))

    def execDetails(self, fields: list[str]) -> None:
        """One execution; its time may be written in any of TWS's forms."""
        if len(fields) > _EXECUTION_TIME:
            moment = convert.to_moment(fields[_EXECUTION_TIME], self._callbacks.login_zone)
            fields[_EXECUTION_TIME] = str(round(moment.timestamp()))
        super().execDetails(fields)  # type: ignore[no-untyped-call]


@functools.cache
def _numbers_of(kind: type) -> tuple[tuple[str, Callable[[str], Any], Any], ...]:
    """Fields of a dataclass that are no text by their defaults: name, reader and default."""
    defaults = ((field.name, field.default) for field in dataclasses.fields(kind))
    return tuple(
        (name, _CONVERT[type(default)], default)
        for name, default in defaults
        if type(default) in (int, float, bool)
    )


def _name(kind: int, handler: Handler) -> str:
    """The callback's name, as IB calls it."""
    return _NAMES.get(kind) or str(getattr(handler, "__name__", kind))


def _request_id(kind: int, fields: list[str]) -> int | None:
    if kind < 0 or kind in _WITHOUT_ID:
        return None
    place = 2 if kind in _ID_SECOND else 1
    text = fields[place] if len(fields) > place else ""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 11 else None


_log = logging.getLogger(__name__)

_READ_AT_ONCE = 32_768
"""Bytes; asyncio's own 256 kB are seven thousand messages, which can take seconds."""
_GREETING = 4096
"""No greeting is longer: a length, the server version and the time."""
_DISCLAIMER, _TOO_OLD = 10141, 503
_DISCLAIMER_HINT = (
    "accept the disclaimer in the window of TWS or IB Gateway, which shows it after each start of "
    "a paper account, then run again"
)
_ACCOUNTS_CAME = "<<< 15,"
"""How ib_async logs the message that names the accounts of the login."""


class _Quietly(logging.Handler):
    """Errors reach the user through ours; what libraries log would only repeat them on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it among our own details."""
        text = outside.line(record.getMessage())
        if text.startswith(_ACCOUNTS_CAME):
            # It is logged before it is decoded, and nobody knows yet what to mask in it.
            named_here.learn(text.split(",")[2:])
        _log.debug("%s: %s", record.name, text, exc_info=record.exc_info)


for _library in ("ib_async", "eventkit"):
    logging.getLogger(_library).handlers = [_Quietly()]
    logging.getLogger(_library).propagate = False


_TRADES = frozenset({4, 21, 58})
"""Messages that cancel an order, exercise an option, or cancel every order."""


class _Client(ib_async.Client):
    """
    ib_async's client, which remembers what kind of message it sent last, and never trades.

    Whoever asks for it: of the messages about orders only what-if questions leave.
    """

    def __init__(self, callbacks: Callbacks) -> None:
        super().__init__(callbacks)  # type: ignore[no-untyped-call]
        self.decoder = StrictDecoder(callbacks)
        self.last_kind = 0

    def send(self, *fields: Any, makeEmpty: bool = True) -> None:
        """Send one message."""
        self.last_kind = int(fields[0])
        if self.last_kind in _TRADES:
            raise AssertionError(f"message {self.last_kind} trades, and must never leave")
        super().send(*fields, makeEmpty=makeEmpty)  # type: ignore[no-untyped-call]

    def placeOrder(self, orderId: int, contract: Any, order: Any) -> None:
        """Send the question what an order would change; any other order must never leave."""
        if order.whatIf is not True:
            raise AssertionError("an order without its what-if flag must never leave")
        super().placeOrder(orderId, contract, order)  # type: ignore[no-untyped-call]


class Link:
    """
    A connected client. ``link.client`` is ib_async's; its own throttle is off.

    Args:
        pacer: Told of the message that the handshake sends by itself.
        on_message: Called whenever messages have arrived. Bytes alone are no sign of life: after
            a truncated frame they keep coming, and never make a message again.
        on_lost: Called once when the socket closes without us having closed it.
    """

    def __init__(
        self, pacer: Pacer, *, on_message: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        self._pacer, self._on_message, self._on_lost = pacer, on_message, on_lost
        self.on_error: Callable[[int, str], None] = lambda code, text: None
        """Called with (code, text) for errors that concern the session."""
        self.callbacks = Callbacks(self._on_error, self._on_packet)
        self._client = _Client(self.callbacks)
        self.client: ib_async.Client = self._client
        self._greeting, self._greeted = b"", False
        self.client.conn.hasData += self._read_greeting
        # One queue only: with ib_async's own throttle, timeouts would start while queueing.
        self.client.MaxRequests = 0
        self.callbacks.on_close = self._on_close
        self.fence = Fence(pacer, self.send(self.client.reqCurrentTime))
        self.callbacks.on_first_word = self.fence.spoke
        self.callbacks.on_reply = self.fence.replied
        self.callbacks.on_time = self.fence.time_told
        self.client.apiError += self._on_api_error
        self.client.conn.disconnected += self._on_disconnected
        self.alive = False
        self.words: dict[int, str] = {}
        """What the gateway said of itself before it was ready, and not as usual: text by code."""
        self.lost_by: SessionLost | None = None
        """Why the link is dead, once it is and we did not close it."""
        self._received = 0
        self._closing = False
        self._refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def client_id(self) -> int:
        """The id under which the gateway knows us."""
        return int(self.client.clientId)

    @property
    def server_version(self) -> int:
        """The protocol version both sides agreed on."""
        return int(self.client.serverVersion())

    @property
    def last_kind(self) -> int:
        """Number of the message that was sent last."""
        return self._client.last_kind

    @property
    def received(self) -> int:
        """Bytes that have come."""
        return int(self.client.connectionStats().numBytesRecv)

    def next_id(self) -> int:
        """A request id that was never used on this connection."""
        return int(self.client.getReqId())

    async def open(self, host: str, port: int, client_id: int, timeout_s: float) -> None:
        """
        Connect and wait until the gateway says ``nextValidId``.

        Raises:
            ClientIdInUse: The gateway said 326.
            IncompatibleVersion: It is older or newer than what is known here.
            GatewayUnreachable: No listener, no handshake, or no ``nextValidId`` in time.
        """
        # Ours ends first: when its own time is over, ib_async forgets how far it had come.
        ready = asyncio.ensure_future(
            self.client.connectAsync(host, port, client_id, timeout_s + 1.0)
        )
        try:
            done, _ = await asyncio.wait(
                {ready, self._refused}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if self._refused in done and (ready not in done or ready.exception() is not None):
                self._refused.result()
            if not done:
                raise self._never_ready(host, port, timeout_s)
            await ready
        except ConnectionRefusedError as exc:
            raise GatewayUnreachable(
                f"no gateway at {host}:{port}; start TWS or IB Gateway and enable its API, "
                "or pass --demo"
            ) from exc
        except TimeoutError as exc:
            raise self._never_ready(host, port, timeout_s) from exc
        except OSError as exc:
            raise GatewayUnreachable(
                f"cannot reach {host}:{port}: {exc.strerror or exc}; check host and port"
            ) from exc
        except UnicodeError as exc:
            # Letters beyond ASCII, and parts of a name that are too long, go through "idna".
            raise GatewayUnreachable(f"{host!r} can be no name of a computer") from exc
        finally:
            if not ready.done():
                ready.cancel()
            await asyncio.wait({ready}, timeout=1.0)
            if not ready.cancelled():
                ready.exception()
        self._pacer.note_sent()  # startApi
        # Deadlines are looked at between two readings, and a gateway may never stop talking.
        cast(Any, self.client.conn.transport).max_size = _READ_AT_ONCE
        self.alive = True

    def _never_ready(self, host: str, port: int, timeout_s: float) -> GatewayUnreachable:
        if self.words:
            return GatewayUnreachable(f"the gateway at {host}:{port} is not ready: {self._said}")
        if self.client.serverVersion():
            return GatewayUnreachable(
                f"the gateway at {host}:{port} accepted the connection but never sent "
                f"nextValidId within {timeout_s:g} s; is TWS still logging in, or is a dialog open?"
            )
        return GatewayUnreachable(
            f"{host}:{port} does not answer the API handshake within {timeout_s:g} s; "
            "is it TWS or IB Gateway, with the API enabled?"
        )

    def send(self, message: Callable[[], None]) -> Callable[[], None]:
        """Wrap *message* so that it raises ``ConnectionError`` when this link is gone."""

        def guarded() -> None:
            if not self.alive:
                raise ConnectionError("socket closed")
            message()

        return guarded

    def lose(self, error: SessionLost) -> None:
        """Declare the connection dead: every request and line ends with *error*."""
        if not self.alive:
            return
        self.alive, self.lost_by = False, error
        self.callbacks.fail_all(error)
        self._on_lost()

    async def close(self, timeout_s: float = 1.0) -> None:
        """Close the socket and wait until it is closed, so that the client id is free again."""
        self._closing = True
        self.alive = False
        connection = self.client.conn
        if connection.transport is None:
            return
        closed = asyncio.Event()

        def note(*_: object) -> None:
            closed.set()

        connection.disconnected += note
        self.client.disconnect()
        try:
            async with asyncio.timeout(timeout_s):
                await closed.wait()
        except TimeoutError:
            _log.debug("the socket did not close within %g s", timeout_s)
            if connection.transport is not None:
                connection.transport.abort()

    def _read_greeting(self, data: bytes) -> None:
        """Learn the login's time zone from the greeting, which ib_async does not hand on."""
        self._greeting += data
        end = 4 + int.from_bytes(self._greeting[:4])
        if len(self._greeting) < max(end, 5) and len(self._greeting) < _GREETING:
            return
        self.client.conn.hasData -= self._read_greeting
        parts = self._greeting[4:end].decode(errors="replace").split("\0")
        if len(parts) != 3 or not parts[0].isdecimal():
            return
        self._greeting, self._greeted = b"", True
        if int(parts[0]) > self.client.MaxClientVersion:
            self._refuse(self._too_new(f"speaks version {parts[0]} of the API"))
        zone = convert.to_login_zone(parts[1], dt.datetime.now(dt.UTC))
        self.callbacks.login_zone = zone
        self.callbacks.ib.TimezoneTWS = zone.key if isinstance(zone, ZoneInfo) else ""

    def _on_error(self, code: int, text: str) -> None:
        where = f"the gateway at {self.client.host}:{self.client.port}"
        text = text.strip()
        if not self.alive and not is_routine(code, text):
            self.words[code] = text
        if code == 326:
            self._refuse(ClientIdInUse(f"client id in use: {text}"))
        elif code == _DISCLAIMER:
            # TWS closes the connection after it, now and then with a 326 that is not true.
            self._refuse(GatewayUnreachable(f"{where} says {self._said}; {_DISCLAIMER_HINT}"))
        elif code == _TOO_OLD:
            self._refuse(
                IncompatibleVersion(f"{where} says {self._said}; update TWS or IB Gateway")
            )
        self.on_error(code, text)

    @property
    def _said(self) -> str:
        """The gateway's own words, with their codes."""
        return ", ".join(f"{text!r} ({code})" for code, text in self.words.items())

    def _too_new(self, what: str) -> IncompatibleVersion:
        client = self.client
        return IncompatibleVersion(
            f"{client.host}:{client.port} {what}, and TOMIC knows {client.MinClientVersion} to "
            f"{client.MaxClientVersion}: this TWS needs a newer API client; update TOMIC, or use "
            "an older TWS or IB Gateway"
        )

    def _on_api_error(self, text: str) -> None:
        if "version" in text:
            self._refuse(
                IncompatibleVersion(
                    f"{self.client.host}:{self.client.port} speaks a protocol that is too old "
                    f"({text}); update TWS or IB Gateway"
                )
            )

    def _on_packet(self) -> None:
        if not self.client.isReady():
            return
        received = self.client.connectionStats().numMsgRecv
        if received != self._received:
            self._received = received
            self._on_message()

    def _on_disconnected(self, _reason: str) -> None:
        client = self.client
        where = f"{client.host}:{client.port}"
        newest = f"version {client.MaxClientVersion}"
        if self.words:
            error = GatewayUnreachable(f"{where} closed the connection and says {self._said}")
        elif self._greeted:
            error = GatewayUnreachable(
                f"{where} closed the connection after the handshake, without a word; does TWS show "
                "a dialog? If it does not, this TWS needs a newer API client than TOMIC's "
                f"({newest}): update TOMIC, or use an older TWS or IB Gateway"
            )
        elif self._greeting:
            error = GatewayUnreachable(
                f"{where} answers, but not in the API protocol; is the port that of TWS?"
            )
        else:
            error = GatewayUnreachable(
                f"{where} closed the connection at once; does TWS trust this computer (API > "
                "Settings > Trusted IPs)? If it does, this TWS needs a newer API client than "
                f"TOMIC's ({newest})"
            )
        self._refuse(error)

    def _refuse(self, error: SessionError) -> None:
        """End :meth:`open` with *error*, if it is still under way."""
        if not self.alive and not self._closing and not self._refused.done():
            self._refused.set_exception(error)
            self._refused.exception()  # nobody may be waiting

    def _on_close(self) -> None:
        if not self._closing:
            self.lose(SessionLost("the gateway closed the connection; is TWS restarting?"))
