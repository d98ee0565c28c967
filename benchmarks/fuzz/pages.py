"""Cases of a hostile web page, and of a Flex Web Service that is not what it should be."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import Case, Command, Conditions

KIND = "pages"
_MB = 1 << 20
_PAGE = b"""<!DOCTYPE html><html><head><title>SPY</title></head><body>
<div class="row"><span>Implied Volatility</span> <span><strong>23.45%</strong></span></div>
<div>Historic Volatility <strong>18.1%</strong></div> <div>IV Rank <strong>45.2%</strong></div>
<div>IV Percentile <strong>61%</strong></div>
<script>{"lastPrice":"590.16","symbol":"SPY"}</script></body></html>
"""
_SENT = b"""<FlexStatementResponse timestamp="03 November, 2025 07:00 AM EST">
<Status>Success</Status>
<ReferenceCode>7711223344</ReferenceCode>
<Url>https://gdcdyn.interactivebrokers.com/AccountManagement/FlexWebService/GetStatement</Url>
</FlexStatementResponse>
"""
_REPORT = b"""<FlexQueryResponse queryName="trades" type="AF"><FlexStatements count="1">
<FlexStatement accountId="U1234567" fromDate="20251103" toDate="20251103"
 period="LastBusinessDay" whenGenerated="20251104;070000"><Trades>
<Trade accountId="U1234567" currency="USD" assetCategory="OPT" symbol="XYZ   251219P00050000"
 conid="12" underlyingSymbol="XYZ" multiplier="100" strike="50" expiry="20251219" putCall="P"
 tradeID="910" dateTime="20251103;100000" transactionType="ExchTrade" quantity="-1" tradePrice="1"
 proceeds="100" ibCommission="-1" ibCommissionCurrency="USD" openCloseIndicator="O" notes=""
 buySell="SELL" ibOrderID="78" transactionID="1001" ibExecID="0000e0d5.69087a01.01.01"
 levelOfDetail="EXECUTION"/></Trades></FlexStatement></FlexStatements></FlexQueryResponse>
"""
_ENTITIES = b"".join(
    b'<!ENTITY a%d "%s">' % (depth, b"&a%d;" % (depth - 1) * 10 if depth else b"ha" * 50)
    for depth in range(12)
)


def case(seed: int, number: int) -> Case:
    """Case *number* of *seed*: page and service in turn, the answer drawn."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    what = sorted(_ANSWERS)[number // 2 % len(_ANSWERS)]
    page = f"{'flex' if number % 2 else 'web'}/{what}/{draw.randrange(1 << 30)}"
    if number % 2:
        commands = (Command(("journal", "import", "--flex")), _LATER)
        # A tenth of the time that IB is given for a report.
        env = {
            "TOMIC_FLEX_TOKEN": "123456789012345678901234", "TOMIC_FLEX__QUERY": '["123456"]',
            "TOMIC_FLEX__REQUEST_TIMEOUT_S": "3", "TOMIC_FLEX__FIRST_WAIT_S": "0.1",
            "TOMIC_FLEX__DEADLINE_S": "6",
        }  # fmt: skip
        gateway = None
    else:
        commands = (Command(("vol", "SPY", "--timeout", "10")), _LATER)
        env = {
            "TOMIC_WEB__ENABLED": "true", "TOMIC_WEB__URL": "https://pages.invalid/{symbol}",
            "TOMIC_WEB__TIMEOUT_S": "3", "TOMIC_WEB__PAUSE_S": "0.1",
        }  # fmt: skip
        gateway = ("no_quotes:share=1",)
    conditions = Conditions(env=env, gateway=gateway, page=page)
    return Case(KIND, f"{seed}/{KIND}/{number}: {page}", commands, conditions=conditions)


_LATER = Command(("store", "info"), codes=(0,))


# -- the server --------------------------------------------------------------------------------


def listen(page: str) -> tuple[socket.socket, Callable[[], None]]:
    """A socket that answers as *page* says, and what serves it for ever."""
    server = socket.create_server(("127.0.0.1", 0))
    service, what, seed = page.split("/")

    def serve() -> None:
        while True:
            client, _ = server.accept()
            threading.Thread(
                target=_answer, args=(client, service, what, seed), daemon=True
            ).start()

    return server, serve


def _answer(client: socket.socket, service: str, what: str, seed: str) -> None:
    draw = random.Random(seed)
    with client:
        client.settimeout(30.0)
        try:
            asked = client.recv(1 << 16)
            sound = service == "flex" and b"SendRequest" in asked and draw.random() < 0.8
            content = _SENT if service == "flex" and b"SendRequest" in asked else _REPORT
            content = _PAGE if service == "web" else content
            pieces = iter([_plain(content)]) if sound else _ANSWERS[what](content, draw)
            for piece in pieces:
                client.sendall(piece)
        except OSError:
            return


def _plain(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


Answer = Callable[[bytes, random.Random], Iterator[bytes]]


def _mutated(content: bytes, draw: random.Random) -> Iterator[bytes]:
    yield _plain(mutations.mutate("a.xml", content, draw)[0])


def _mutated_whole(content: bytes, draw: random.Random) -> Iterator[bytes]:
    yield mutations.mutate("a.txt", _plain(content), draw)[0]


def _nested(content: bytes, draw: random.Random) -> Iterator[bytes]:
    tag = draw.choice(
        (b"<div>", b"<span>", b"<table>", b"<b><i>", b'<a x="1">', b"<!--", b"<![CDATA[")
    )
    yield _plain(tag * draw.choice((1_000, 40_000, 400_000)) + content)


def _repeated(content: bytes, draw: random.Random) -> Iterator[bytes]:
    word = draw.choice((b"<div>Implied Volatility ", b"IV Rank ", b"&amp;", b"<Trade ", b" " * 99))
    yield _plain(word * draw.choice((1_000, 64_000)) + content)


def _huge(content: bytes, draw: random.Random) -> Iterator[bytes]:
    yield _plain(content + draw.choice((b"a", b"\0", b"<", b"\n")) * (60 * _MB))


def _endless(content: bytes, draw: random.Random) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
    for _ in range(2_000):
        yield b"x" * _MB


def _drip(content: bytes, draw: random.Random) -> Iterator[bytes]:
    for byte in _plain(content):
        yield bytes([byte])
        time.sleep(draw.choice((0.05, 0.5)))


def _bomb(content: bytes, draw: random.Random) -> Iterator[bytes]:
    packed = gzip.compress(bytes(200 * _MB), 9)
    if draw.random() < 0.5:
        packed = gzip.compress(packed, 9)
        yield _plain(packed, "Content-Encoding: gzip, gzip")
    else:
        yield _plain(packed, f"Content-Encoding: {draw.choice(('gzip', 'x-gzip'))}")


def _encoded(content: bytes, draw: random.Random) -> Iterator[bytes]:
    name = draw.choice(("gzip", "deflate", "br", "zstd", "identity, gzip", "odd", "gzip" * 99))
    body = draw.choice((content, zlib.compress(content), gzip.compress(content)[:-5], b""))
    yield _plain(body, f"Content-Encoding: {name}")


def _charset(content: bytes, draw: random.Random) -> Iterator[bytes]:
    name = draw.choice((
        "hex", "zlib", "rot13", "base64", "utf-7", "utf-16", "idna", "punycode", "odd", "\"'",
        "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "a" * 5_000,
    ))  # fmt: skip
    kind = draw.choice(("text/html", "text/xml", "image/png", ""))
    yield _plain(content, f"Content-Type: {kind}; charset={name}")


def _redirect(content: bytes, draw: random.Random) -> Iterator[bytes]:
    goal = draw.choice((
        "/again", "https://pages.invalid/SPY", "file:///etc/passwd", "ftp://pages.invalid/x", "",
        "javascript:alert(1)", "//", "http://[::1", "http://a:99999/", "/" + "a" * 70_000,
        "https://user:secret@pages.invalid/", "data:text/html,x", "\udcff",
    ))  # fmt: skip
    status = draw.choice(("301 Moved", "302 Found", "303 See Other", "307 Again", "308 Again"))
    yield _plain(b"", f"Location: {goal}", status=status)


def _status(content: bytes, draw: random.Random) -> Iterator[bytes]:
    status = draw.choice((
        "204 None", "304 Same", "401 No", "403 No", "404 No", "418 Tea", "429 Slow", "500 Broken",
        "503 Busy", "599 Odd", "999 Odd", "000 Odd", "-1 Odd", "2x0 Odd", "200", "101 Switch",
        "200 \x1b]0;pwn\x07", "200 " + "a" * 70_000,
    ))  # fmt: skip
    yield _plain(content, status=status)


def _headers(content: bytes, draw: random.Random) -> Iterator[bytes]:
    header = draw.choice((
        "X: " + "a" * 200_000, "Set-Cookie: " + "a=b; " * 5_000, "Content-Length: 5",
        "Content-Length: -1", "Transfer-Encoding: chunked", "Transfer-Encoding: odd", ": empty",
        "no colon", "X: \x00\x1b[31m", "Refresh: 0; url=file:///etc/passwd", "X: \udcff",
    ))  # fmt: skip
    yield _plain(content, header)


def _lengths(content: bytes, draw: random.Random) -> Iterator[bytes]:
    length = draw.choice(("-1", "0", "99999999999999999999", "1e9", "", " 5 ", "0x10", "7, 7"))
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + content


def _chunks(content: bytes, draw: random.Random) -> Iterator[bytes]:
    size = draw.choice(("zz", "ffffffffffff", "-5", "5;" + "a" * 9_000, "", "5\r\nabcdeX\r\n5"))
    yield (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size.encode() + b"\r\n" + content
    )


def _silent(content: bytes, draw: random.Random) -> Iterator[bytes]:
    yield _plain(content)[: draw.choice((0, 5, 30, 200))]
    time.sleep(draw.choice((0.0, 20.0)))


def _interim(content: bytes, draw: random.Random) -> Iterator[bytes]:
    for _ in range(draw.choice((1, 50_000))):
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
    yield _plain(content)


def _entities(content: bytes, draw: random.Random) -> Iterator[bytes]:
    outside = b'<!ENTITY a SYSTEM "file:///etc/passwd">'
    head = b"<?xml version='1.0'?><!DOCTYPE x [" + draw.choice((_ENTITIES, outside)) + b"]>"
    yield _plain(head + content.replace(b"SPY", b"&a11;&a;").replace(b"XYZ", b"&a11;&a;"))


def _numbers(content: bytes, draw: random.Random) -> Iterator[bytes]:
    odd = draw.choice(mutations.CELLS).encode("utf-8", "surrogatepass")
    for number in (b"23.45", b"45.2", b"590.16", b"50", b"20251103", b"100", b"-1"):
        if draw.random() < 0.5:
            content = content.replace(number, odd)
    yield _plain(content)


_ANSWERS: dict[str, Answer] = {
    "bomb": _bomb, "charset": _charset, "chunks": _chunks, "drip": _drip, "encoded": _encoded,
    "endless": _endless, "entities": _entities, "headers": _headers, "huge": _huge,
    "interim": _interim, "lengths": _lengths, "mutated": _mutated, "mutated_whole": _mutated_whole,
    "nested": _nested, "numbers": _numbers, "redirect": _redirect, "repeated": _repeated,
    "silent": _silent, "status": _status,
}  # fmt: skip
