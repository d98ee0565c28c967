"""
Messages through the services of Apprise. The only module that imports it, at its first use.

An address is a secret as a whole: Apprise's own masking leaves topics, users and chats readable,
and it logs what it sends. So its loggers, and those of what it sends with, say nothing here; what
is told of a service is the scheme of its address. A service works in a thread of its own that never
keeps the process from ending, as nothing can end a thread that waits for a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from tomic import disk
from tomic.config.notify import NotifySettings
from tomic.errors import ConfigError
from tomic.masking import named_here
from tomic.notices import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

URLS_VARIABLE, _SECOND_NAME = "TOMIC_NOTIFY_URLS", "TOMIC_NOTIFY__URLS"
_MOST = 65536
"""Bytes of a file of addresses."""
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)|\s+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,15})://")
_TALKATIVE = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib", "markdown")
"""Loggers whose lines hold addresses or what is sent to them."""
_LEAST_SECRET = 6
"""Letters of a part of an address that is hidden wherever it stands."""
_MISSING = "messages need Apprise ({name} is not installed); in the clone: pip install '.[notify]'"

Compose = Callable[[int, bool], Message]
"""What to send, by the letters that a service takes, and whether it has titles."""


class Delivery(NamedTuple):
    """How one service took a message."""

    scheme: str
    problem: str = ""
    """Why it did not; empty where it did."""


def read_urls(
    settings: NotifySettings, environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """
    The addresses, from the environment or from a file that only its owner may read.

    Raises:
        ConfigError: There is none, one is no address, or others may read the file. No message
            holds any part of one but its scheme.
    """
    given = environment.get(URLS_VARIABLE, "") or environment.get(_SECOND_NAME, "")
    text, place = given.strip(), URLS_VARIABLE
    if not text and settings.urls_file is not None:
        text, place = _in_file(settings.urls_file), str(settings.urls_file)
    urls = tuple(url for url in _BETWEEN.split(text) if url)
    if not urls:
        raise ConfigError(
            f"no address to notify; put one into {URLS_VARIABLE}, or one a line into a file that "
            "only you may read, and name that in notify.urls_file (docs/notifications.md has some)",
            key="notify.urls_file",
        )
    for number, url in enumerate(urls, 1):
        _hide(url)
        if not _SCHEME.match(url):
            raise ConfigError(
                f"{place}: address {number} of {len(urls)} has no scheme; write it as ntfy://TOPIC",
                key="notify.urls_file",
            )
    return urls


def scheme_of(url: str) -> str:
    """What of an address may be shown."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else "?"


def _in_file(file: Path) -> str:
    text = disk.read_private(file, _MOST, "the addresses").decode("utf-8-sig", "replace")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if not line.startswith("#"))


def _hide(url: str) -> None:
    """Keep an address and the parts that make it a secret out of all that is said here."""
    named_here.hide(url)
    _, _, rest = url.partition("://")
    for part in re.split(r"[/?&=@:,]", rest):
        # A name in the network is no secret; the topic or the token in its place is.
        if len(part) >= _LEAST_SECRET and "." not in part and part != "localhost":
            named_here.hide(part)
            named_here.hide(unquote(part))
    with contextlib.suppress(ValueError):
        password = urlsplit(url).password
        if password and len(password) >= _LEAST_SECRET:
            named_here.hide(password)


class Services:
    """
    The services of some addresses, ready to be sent to.

    Args:
        made: A service per address; see `open_services`.
        timeout_s: Seconds that one of them may take.
    """

    def __init__(self, made: Sequence[tuple[str, NotifyBase]], timeout_s: float) -> None:
        self._made, self._timeout_s = made, timeout_s

    @property
    def schemes(self) -> tuple[str, ...]:
        """What may be shown of each."""
        return tuple(scheme for scheme, _ in self._made)

    async def send(self, compose: Compose) -> tuple[Delivery, ...]:
        """
        Send to all of them at once; how each took it, in order. Never raises.

        Safe to cancel: what a service has been given it may still send.

        Args:
            compose: See `Compose`; called in the thread of each service.
        """
        tasks = [
            asyncio.ensure_future(self._sent(scheme, service, compose))
            for scheme, service in self._made
        ]
        try:
            return tuple([await task for task in tasks])
        finally:
            for task in tasks:
                task.cancel()

    async def _sent(self, scheme: str, service: NotifyBase, compose: Compose) -> Delivery:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def settle(problem: str) -> None:
            if not answer.done():
                answer.set_result(problem)

        def work() -> None:
            problem = _problem_of(service, compose)
            # The loop may be gone: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, problem)

        threading.Thread(target=work, name=f"notify {scheme}", daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_s):
                return Delivery(scheme, await answer)
        except TimeoutError:
            return Delivery(scheme, f"no answer within {self._timeout_s:g} s")


def _problem_of(service: NotifyBase, compose: Compose) -> str:
    from apprise import NotifyFormat

    try:
        has_title = service.title_maxlen > 0
        made = compose(service.body_maxlen, has_title)
        title = made.title if not has_title else made.title[: service.title_maxlen]
        taken = service.notify(title=title, body=made.body, body_format=NotifyFormat.TEXT)
    except Exception as exc:
        # Whatever a service raises may hold its address.
        return f"unexpected {type(exc).__name__}"
    return "" if taken else "not accepted; look at the address, or whether the service is up"


async def open_services(urls: Sequence[str], timeout_s: float) -> Services:
    """
    Services for *urls*; nothing is sent. Apprise is imported in a thread, as it takes a while.

    Raises:
        ConfigError: Apprise is not installed, or does not understand an address.
    """
    made = await asyncio.to_thread(_made, urls)
    return Services(made, timeout_s)


def _made(urls: Sequence[str]) -> list[tuple[str, NotifyBase]]:
    silence()
    try:
        from apprise import Apprise, AppriseAsset
    except ModuleNotFoundError as exc:
        raise ConfigError(_MISSING.format(name=exc.name), key="notify") from None
    # No pictures from elsewhere: a message would fetch them.
    asset = AppriseAsset(app_id="TOMIC", app_desc="TOMIC", app_url="", image_url_mask="")
    made: list[tuple[str, NotifyBase]] = []
    for number, url in enumerate(urls, 1):
        service = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise ConfigError(
                f"address {number} of {len(urls)} to notify ({scheme_of(url)}) is not understood; "
                "write it as docs/notifications.md and the pages of Apprise do",
                key="notify.urls_file",
            )
        made.append((scheme_of(url), service))
    # Once more, for what was imported on the way.
    silence()
    return made


def silence() -> None:
    """
    Let nothing be logged by what sends: addresses and messages are in it, at every level.

    For the whole process, and for good: a thread that is still waiting may log much later.
    """
    for name in _TALKATIVE:
        log = logging.getLogger(name)
        log.propagate = False
        if not log.handlers:
            # Without any, what is a warning would go to stderr.
            log.addHandler(logging.NullHandler())
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _TALKATIVE:
            logging.getLogger(name).disabled = True
