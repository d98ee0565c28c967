"""Listening in on a connection, for a recording; the connection itself notices nothing."""

from __future__ import annotations

from typing import Any, Protocol


class Tap(Protocol):
    """Takes a copy of every byte, in the order in which they pass."""

    def sent(self, data: bytes) -> None:
        """Bytes that leave."""
        ...

    def received(self, data: bytes) -> None:
        """Bytes that arrived, before anybody acts on them; none: the other side has closed."""
        ...


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
