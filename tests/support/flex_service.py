"""A small server that behaves as the Flex Web Service is documented to, with faults to order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "123456789012345678901234"
REFERENCE = "7711223344"
REPORT = """\
<FlexQueryResponse queryName="trades" type="AF">
<FlexStatements count="1">
<FlexStatement accountId="U1234567" fromDate="20251103" toDate="20251103" period="LastBusinessDay" \
whenGenerated="20251104;070000">
<Trades>
<Trade accountId="U1234567" currency="USD" assetCategory="OPT" symbol="XYZ   251219P00050000" \
conid="12" underlyingSymbol="XYZ" multiplier="100" strike="50" expiry="20251219" putCall="P" \
tradeID="910" dateTime="20251103;100000" transactionType="ExchTrade" quantity="-1" tradePrice="1" \
proceeds="100" ibCommission="-1" ibCommissionCurrency="USD" openCloseIndicator="O" notes="" \
buySell="SELL" ibOrderID="78" transactionID="1001" ibExecID="0000e0d5.69087a01.01.01" \
levelOfDetail="EXECUTION"/>
</Trades>
</FlexStatement>
</FlexStatements>
</FlexQueryResponse>
"""
PAGE = "<!DOCTYPE html>\n<html><body><h1>System maintenance</h1></body></html>"


def answer(status: str, code: int | None = None, text: str = "", *, url: str = "") -> str:
    """What the service says instead of a report."""
    parts = [f"<Status>{status}</Status>"]
    if status == "Success":
        parts += [f"<ReferenceCode>{REFERENCE}</ReferenceCode>", f"<Url>{url}</Url>"]
    if code is not None:
        parts += [f"<ErrorCode>{code}</ErrorCode>", f"<ErrorMessage>{text}</ErrorMessage>"]
    inner = "\n".join(parts)
    stamp = "03 November, 2025 07:00 AM EST"
    return f'<FlexStatementResponse timestamp="{stamp}">\n{inner}\n</FlexStatementResponse>'


SUCCESS = answer("Success", url="https://gdcdyn.interactivebrokers.com/Universal/servlet/"
                 "FlexStatementService.GetStatement")  # fmt: skip
NOT_YET = answer("Warn", 1019, "Statement generation in progress. Please try again shortly.")


@dataclass(slots=True)
class Reply:
    """What is sent back to one request."""

    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    """Bytes that the length promises and that never come."""
    hangs: bool = False
    """Nothing is sent until the server ends."""


@dataclass(slots=True)
class FlexServer:
    """Its address, what it was asked, and what it still has to answer to each of both questions."""

    url: str
    send: list[str | Reply] = field(default_factory=lambda: [SUCCESS])
    get: list[str | Reply] = field(default_factory=lambda: [REPORT])
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    """Path, parameters and User-Agent of every request."""
    was_asked: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def reply(self, path: str, parameters: dict[str, str], agent: str) -> Reply:
        """The next answer; the last one stands for all that follow."""
        self.asked.append((path, parameters, agent))
        self.was_asked.set()
        if not agent or parameters.get("v") != "3":
            return Reply("", 403)
        if parameters.get("t") != TOKEN:
            return Reply(answer("Fail", 1015, "Token is invalid."))
        if path.endswith("/SendRequest"):
            script = self.send
        elif path.endswith("/GetStatement"):
            script = self.get
            if parameters.get("q") != REFERENCE:
                return Reply(answer("Fail", 1017, "Reference code is invalid."))
        else:
            return Reply("", 404)
        given = script.pop(0) if len(script) > 1 else script[0]
        return given if isinstance(given, Reply) else Reply(given)


@contextmanager
def serving() -> Iterator[FlexServer]:
    """A server on a free port of this computer, ended at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
            reply = own.reply(parts.path, parameters, self.headers.get("User-Agent", ""))
            if reply.hangs:
                own.ended.wait()
                return
            body = reply.body.encode()
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(body) + reply.cut))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: what is asked is kept instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    own = FlexServer(f"http://127.0.0.1:{server.server_address[1]}/FlexWebService")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield own
    finally:
        own.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
