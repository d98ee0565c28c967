"""
ib_async's decoder, made to say what it cannot read.

Its own logs such a message and goes on: a question whose answer has a row that makes no sense then
ends well, without that row. Here the message fails what it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ib_async.decoder import Decoder

from tomic.ib import convert
from tomic.ib.callbacks import Callbacks

_ID_SECOND = frozenset({1, 2, 4, 12, 13, 45, 46, 47, 50, 51, 52, 55, 56, 57, 58, 63, 64, 71, 72, 73,
                        74})  # fmt: skip
"""Messages whose request id comes after a version."""
_WITHOUT_ID = frozenset({6, 7, 8, 9, 14, 15, 16, 19, 49, 53, 54, 59, 61, 62, 78, 80, 85, 93, 101,
                         102})  # fmt: skip
_NAMES = {1: "tickPrice", 4: "error"}
"""Those that are not called after their handler."""
_EXECUTION_TIME = 15

Handler = Callable[[list[str]], None]

_CONVERT: dict[type, Callable[[str], Any]] = {
    str: str,
    int: lambda text: int(text or 0),
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

    def interpret(self, fields: list[str]) -> None:
        """Decode one message and hand it on; what nobody asked for is not even read."""
        kind = int(fields[0]) if fields and fields[0].isdecimal() and len(fields[0]) < 6 else -1
        handler = self._read.get(kind)
        if handler is None and kind in self.handlers:
            return
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


def _name(kind: int, handler: Handler) -> str:
    """The callback's name, as IB calls it."""
    return _NAMES.get(kind) or str(getattr(handler, "__name__", kind))


def _request_id(kind: int, fields: list[str]) -> int | None:
    if kind < 0 or kind in _WITHOUT_ID:
        return None
    place = 2 if kind in _ID_SECOND else 1
    text = fields[place] if len(fields) > place else ""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 11 else None
