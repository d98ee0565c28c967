"""A small server that takes messages as Apprise's json:// sends them, with faults to order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "s3cr3t-topic-9f2"
"""In the address: neither it nor a part of it may show anywhere."""


@dataclass(slots=True)
class MessageServer:
    """Its address, what it was sent, and how it answers."""

    port: int
    status: int = 200
    hangs: bool = False
    """Nothing is answered until the server ends."""
    messages: list[dict[str, str]] = field(default_factory=list)
    was_asked: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address with its secret, for Apprise."""
        return f"json://127.0.0.1:{self.port}/{SECRET}"


@contextmanager
def serving() -> Iterator[MessageServer]:
    """A server on a free port of this computer, ended at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            own.was_asked.set()
            if own.hangs:
                own.ended.wait()
                return
            if own.status == 200:
                own.messages.append(json.loads(body))
            self.send_response(own.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: what is sent is kept instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    own = MessageServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield own
    finally:
        own.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
