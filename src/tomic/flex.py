"""
The Flex Web Service of Interactive Brokers: a report of one's own account, by token and query.

Two questions: SendRequest gives a reference code, GetStatement by that code the report, or an
answer that it is not ready yet. The token stands in the address of both, so an address is never
logged, raised or shown, nor followed to another host.

Source: Interactive Brokers, "Flex Web Service"; PyPI ibflex 1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from urllib.parse import urljoin, urlsplit

import httpx

from tomic import disk, outside
from tomic.config import FlexSettings
from tomic.errors import BadFile, ConfigError, FlexError, FlexRefused, FlexUnavailable
from tomic.journal.broker import flexxml
from tomic.masking import named_here

TOKEN_VARIABLE = "TOMIC_FLEX_TOKEN"  # nosec B105 # a name
_TOKEN = re.compile(r"[A-Za-z0-9]{6,128}")
_HOSTS = ("ndcdyn.interactivebrokers.com", "gdcdyn.interactivebrokers.com")
_LEGACY = "/universal/servlet/"
"""Where the service was; its answers still name it, and it only answers with errors."""
_VERSION = "3"
_MOST_TOKEN = 4096
_MOST_BYTES = 48 << 20
"""Fifty thousand executions have less."""
_MOST_REDIRECTS = 3
_APART_S = 1.05
"""Between two requests: IB allows one a second …"""
_WINDOW_S, _IN_WINDOW = 60.0, 10
"""… and ten a minute."""
_WAITS_S = (5.0, 8.0, 12.0, 20.0)
"""Before each new question for a report; then always the last."""
_BUSY_WAIT_S = 30.0
"""After the answer that too much was asked."""
_FAILURES = 3
"""How often in a row the network may fail."""

_LATER: Mapping[int, str] = {
    1001: "the report cannot be made now",
    1004: "the report is incomplete",
    1005: "settlement data are not ready",
    1006: "FIFO profits and losses are not ready",
    1007: "mark-to-market profits and losses are not ready",
    1008: "profits and losses are not ready",
    1009: "the service is under heavy load",
    1018: "too many requests with this token",
    1019: "the report is being made",
    1021: "the report cannot be fetched now",
}
_TOO_MANY = 1018
_NEW_TOKEN = (
    "make a new token in Client Portal (Settings > Flex Web Service) and put it into "
    f"{TOKEN_VARIABLE} or the file of flex.token_file"
)
_QUERY = "look at it in Client Portal (Performance & Reports > Flex Queries)"
_REMEDIES: Mapping[int, tuple[str, str]] = {
    1011: ("the Flex Web Service is not active for this user", "switch it on in Client Portal "
           "(Settings > Flex Web Service)"),
    1012: ("the token has expired", _NEW_TOKEN),
    1013: ("the token may not be used from this address", "widen its IP restriction in Client "
           "Portal (Settings > Flex Web Service), or make a token without one"),
    1015: ("the token is not valid", _NEW_TOKEN),
    1016: ("the account is not valid", "the token must belong to a user of that account; "
           + _NEW_TOKEN),
    1020: ("the request is not valid", "the token or the number of the query is mistyped: check "
           f"{TOKEN_VARIABLE} and flex.query"),
    1003: ("the report is not available", "its period may have no business day yet, or the query "
           "may be another user's: " + _QUERY),
    1010: ("the query is of the old kind", "make it anew as an Activity Flex Query, "
           "and put its number into flex.query"),
    1014: ("there is no such query", "flex.query must be the number of the query, which belongs to "
           "the user of the token: " + _QUERY),
    1017: ("the reference code is not valid", "the report was fetched or has lapsed; repeat the "
           "command"),
}  # fmt: skip
"""What each code means, and what the trader does about it."""


def read_token(settings: FlexSettings, environment: Mapping[str, str] = os.environ) -> str:
    """
    The token, from the environment or from a file that only its owner may read.

    Raises:
        ConfigError: There is none, it cannot be one, or others may read the file.
    """
    text, place = environment.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
    if not text and settings.token_file is not None:
        content = disk.read_private(settings.token_file, _MOST_TOKEN, "the token")
        text, place = content.decode("ascii", "replace").strip(), str(settings.token_file)
    if not text:
        raise ConfigError(
            f"no Flex token; put it into {TOKEN_VARIABLE}, or into a file that only you may read "
            "and name that in flex.token_file (Client Portal > Settings > Flex Web Service gives "
            "one)",
            key="flex.token_file",
        )
    if not _TOKEN.fullmatch(text):
        raise ConfigError(f"{place}: this is no Flex token: it must be letters and digits alone")
    named_here.hide(text)
    return text


class FlexService:
    """
    Reports by one token, asked for as politely as IB wants it.

    Args:
        settings: Address and patience.
        token: See `read_token`.
        transport: How requests travel, for a client that is not the network.
        sleep: How to wait.
        clock: Seconds that never run back.
    """

    def __init__(
        self,
        settings: FlexSettings,
        token: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        named_here.hide(token)
        self._settings, self._token = settings, token
        self._transport, self._sleep, self._clock = transport, sleep, clock
        self._sent: deque[float] = deque(maxlen=_IN_WINDOW)

    async def report(self, query: str) -> str:
        """
        The report of a query, as text: XML or CSV, as the query says.

        Safe to cancel; nothing is kept.

        Raises:
            FlexRefused: Token, account or query are not taken.
            FlexUnavailable: No report within the deadline, or no service.
        """
        until = self._clock() + self._settings.deadline_s
        async with httpx.AsyncClient(
            transport=self._transport,
            timeout=self._settings.request_timeout_s,
            headers={
                "User-Agent": f"Python/{sys.version_info[0]}.{sys.version_info[1]}",
                "Accept-Encoding": outside.PACKINGS,
            },
            follow_redirects=False,
        ) as client:
            with _quiet():
                where, code = await self._reference(client, query, until)
                return await self._statement(client, query, where, code, until)

    async def _reference(
        self, client: httpx.AsyncClient, query: str, until: float
    ) -> tuple[str, str]:
        """Where the report will be, and its reference code."""
        own = f"{self._settings.url}/GetStatement"
        for attempt in _counted():
            text = await self._get(client, f"{self._settings.url}/SendRequest", query, query, until)
            answer = _answer(text)
            if answer is not None and answer.get("status", "").lower() == "success":
                code = answer.get("referencecode", "")
                if not _TOKEN.fullmatch(code):
                    raise FlexUnavailable(f"Flex query {query}: the answer has no reference code")
                given = answer.get("url", "")
                return given if self._is_trusted(given) else own, code
            await self._wait_or_raise(query, answer, text, attempt, until)
        raise AssertionError("unreachable")

    async def _statement(
        self, client: httpx.AsyncClient, query: str, where: str, code: str, until: float
    ) -> str:
        await self._pause(self._settings.first_wait_s, query, "the report is being made", until)
        for attempt in _counted():
            text = await self._get(client, where, query, code, until)
            answer = _answer(text)
            if answer is None and not _is_page(text) and text.strip():
                if _is_whole(text):
                    return text
                await self._pause(_wait(attempt), query, "the report was cut off", until)
                continue
            await self._wait_or_raise(query, answer, text, attempt, until)
        raise AssertionError("unreachable")

    async def _wait_or_raise(
        self, query: str, answer: Mapping[str, str] | None, text: str, attempt: int, until: float
    ) -> None:
        """Wait where the answer is that it takes longer. FlexRefused where somebody has to act."""
        if answer is None:
            what = "a page" if _is_page(text) else "something else" if text.strip() else "nothing"
            if attempt >= _FAILURES:
                raise FlexUnavailable(
                    f"Flex query {query}: the service sends {what} instead of an answer; it may be "
                    "down for maintenance: repeat the command later"
                )
            await self._pause(_wait(attempt), query, f"the service sent {what}", until)
            return
        told = answer.get("errorcode", "")
        number = int(told) if told.isdecimal() and len(told) < 7 else 0
        is_warning = not number and answer.get("status", "").lower() == "warn"
        if number in _LATER or is_warning:
            busy = _BUSY_WAIT_S if number == _TOO_MANY else 0.0
            why = f"{_LATER.get(number, 'the report is being made')} ({told or 'Warn'})"
            await self._pause(max(busy, _wait(attempt)), query, why, until, number)
            return
        if number in _REMEDIES:
            meaning, remedy = _REMEDIES[number]
            raise FlexRefused(
                f"Flex query {query}: {meaning} ({number}); {remedy}", error_code=number
            )
        words = self._shown(answer.get("errormessage", "") or answer.get("status", ""))
        raise FlexRefused(
            f"Flex query {query}: refused with {self._shown(told) or 'no code'}: "
            f"{words or 'no reason'}; {_QUERY}",
            error_code=number or None,
        )

    async def _pause(
        self, seconds: float, query: str, why: str, until: float, code: int = 0
    ) -> None:
        if self._clock() + seconds >= until:
            limit = self._settings.deadline_s
            raise FlexUnavailable(
                f"Flex query {query}: no report within {limit:g} s: {why}; repeat the command "
                "later",
                error_code=code or None,
            )
        await self._sleep(seconds)

    async def _get(
        self, client: httpx.AsyncClient, where: str, query: str, key: str, until: float
    ) -> str:
        """The text of an answer; the network may fail a few times in a row."""
        for failure in range(1, _FAILURES + 1):
            try:
                async with asyncio.timeout(self._settings.request_timeout_s):
                    return await self._fetch(client, where, query, key, until)
            except TimeoutError:
                why = f"no whole answer within {self._settings.request_timeout_s:g} s"
            # An address that is none is no HTTPError, and httpx looks at that of every redirect.
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
                # Some of httpx's messages hold the address, and with it the token.
                why = self._shown(str(exc)) or type(exc).__name__
            except _Transient as exc:
                why = str(exc)
            if failure == _FAILURES:
                break
            await self._pause(_wait(failure - 1), query, why, until)
        raise FlexUnavailable(
            f"Flex query {query}: the service cannot be used: {why}; check the network and repeat "
            "the command"
        )

    async def _fetch(
        self, client: httpx.AsyncClient, where: str, query: str, key: str, until: float
    ) -> str:
        parameters: Mapping[str, str] | None = {"t": self._token, "q": key, "v": _VERSION}
        for _ in range(_MOST_REDIRECTS + 1):
            await self._in_turn(query, until)
            async with client.stream("GET", where, params=parameters) as response:
                if response.is_redirect:
                    target = urljoin(where, response.headers.get("location", ""))
                    if not self._is_trusted(target):
                        host = urlsplit(target).hostname or "nowhere"
                        raise FlexRefused(
                            f"Flex query {query}: the service points to {self._shown(host)}, where "
                            "the token is not sent; check flex.url"
                        )
                    where, parameters = target, None if "t=" in target else parameters
                    continue
                return await self._body(response, query)
        raise _Transient("the service points from one place to the next")

    async def _body(self, response: httpx.Response, query: str) -> str:
        status = response.status_code
        if status == httpx.codes.FORBIDDEN:
            raise FlexRefused(
                f"Flex query {query}: the service answered 403; it may be closed to this network, "
                "or a proxy changes the requests"
            )
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _Transient(f"the service answered {status}")
        if status != httpx.codes.OK:
            raise FlexError(f"Flex query {query}: the service answered {status}; check flex.url")
        packing = response.headers.get("content-encoding", "")
        try:
            body = await outside.unpacked(response.aiter_raw(), packing, _MOST_BYTES)
        except outside.TooLong as exc:
            raise FlexError(
                f"Flex query {query}: more than {_MOST_BYTES >> 20} MB; shorten its period"
            ) from exc
        except ValueError as exc:
            raise _Transient(f"the answer cannot be read: {exc}") from exc
        return outside.lines(body.decode("utf-8-sig", "replace"))

    async def _in_turn(self, query: str, until: float) -> None:
        """Wait until IB's limits allow a request."""
        now = self._clock()
        due = now
        if self._sent:
            due = max(due, self._sent[-1] + _APART_S)
        if len(self._sent) == _IN_WINDOW:
            due = max(due, self._sent[0] + _WINDOW_S)
        if due > now:
            await self._pause(due - now, query, _LATER[_TOO_MANY], until)
        self._sent.append(self._clock())

    def _is_trusted(self, address: str) -> bool:
        """Whether the token may go there: to IB over https, or where the settings point."""
        own = urlsplit(self._settings.url)
        try:
            parts = urlsplit(address)
            is_own = (parts.scheme, parts.hostname, parts.port) == (
                own.scheme, own.hostname, own.port,
            )  # fmt: skip
            is_ib = parts.scheme == "https" and parts.hostname in _HOSTS and not parts.port
        except ValueError:
            return False
        has_login = parts.username is not None or parts.password is not None
        return (is_own or is_ib) and not has_login and _LEGACY not in parts.path.lower()

    def _shown(self, text: str) -> str:
        return outside.line(text.replace(self._token, "***"), 200).strip()


class _Transient(Exception):
    """An answer that another attempt may better."""


def _counted() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _wait(attempt: int) -> float:
    return _WAITS_S[min(attempt, len(_WAITS_S) - 1)]


def _is_page(text: str) -> bool:
    start = text.lstrip()[:2000].lower()
    return start.startswith("<") and "<html" in start


def _is_whole(text: str) -> bool:
    """Whether a report has its end: XML the last element, CSV with a beginning its end record."""
    stripped = text.strip()
    if stripped.startswith("<"):
        return stripped.endswith(">") and "</FlexQueryResponse" in stripped[-200:]
    first = stripped.partition("\n")[0].strip('"')
    return not first.startswith("BOF") or "EOF" in stripped[-200:]


def _answer(text: str) -> Mapping[str, str] | None:
    """What the service says about a report; None where this is the report, or no answer at all."""
    if "<FlexStatementResponse" not in text[:2000]:
        return None
    try:
        return flexxml.answer(text)
    except BadFile:
        # It was cut off, and is asked for again.
        return {"status": "Warn"}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep httpx from logging addresses: the token is in them."""
    log = logging.getLogger("httpx")
    log.addFilter(_drop)
    try:
        yield
    finally:
        log.removeFilter(_drop)


def _drop(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO
