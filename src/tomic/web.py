"""
Volatility figures from a public page: fetching and parsing apart, one visit per symbol and day.

Where the page is and what its fields look like are settings. Per cents of the page become
fractions here; a number that cannot be right is missing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from tomic.config import WebSettings
from tomic.models.documents import to_document

_log = logging.getLogger(__name__)

_MOST_BYTES = 8_000_000
_MOST_REDIRECTS = 5
_PROSE = "style, noscript, template, nav, header, footer, aside, article, p, blockquote, title"
"""Parts of a page that talk about the market instead of showing this symbol's figures."""
_SCRIPTS = "script"
_LABEL = re.compile(r"rank|percentile|pctl|volatility|skew|\bATR|\bVIX|price|\bHV", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_ABSENT = re.compile(r"\bN/A\b|--|—", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_AS_IS = ("spot_price", "atr14")
"""Fields in currency per share; the others are per cents, or index points that are vol too."""
_BOUNDS = {
    "spot_price": (0.0, 1e7),
    "atr14": (0.0, 1e6),
    "implied_volatility": (0.0, 20.0),
    "hv30": (0.0, 20.0),
    "vix": (0.0, 3.0),
}
"""Lowest, not included, and highest value that a field can have."""
_RANGES = {
    "iv_rank": (-2.0, 3.0),
    "iv_percentile": (0.0, 1.0),
    "skew": (-1.0, 1.0),
    "term_m1_m2": (-2.0, 2.0),
    "term_m1_m3": (-2.0, 2.0),
}
"""Lowest and highest value of fields that may be zero or negative."""


class Page(BaseModel):
    """What one visit gave; fractions and currency per share, None where the page has nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    fetched_at: AwareDatetime
    spot_price: float | None = None
    implied_volatility: float | None = None
    iv_rank: float | None = None
    iv_percentile: float | None = None
    hv30: float | None = None
    skew: float | None = None
    atr14: float | None = None
    vix: float | None = None
    term_m1_m2: float | None = None
    term_m1_m3: float | None = None
    problem: str = ""
    """Why there is nothing; empty when the page was read."""


# -- parsing -------------------------------------------------------------------------------


def parse_page(html: str, patterns: Mapping[str, Sequence[str]]) -> dict[str, float | None]:
    """
    Read the fields of *patterns* from a page; the first pattern that matches counts.

    Patterns see the page's source without prose, comments and scripts, then the scripts alone,
    where some pages keep their figures as JSON. Thousands separators are taken out. A match that
    runs over a second label or an "N/A" has found another field's number and does not count. A
    value that the field cannot have (a price of zero, a percentile of 140) is None: what follows
    it is about something else.

    Returns:
        Per cents as fractions, prices per share as they stand, every field of *patterns*.
    """
    shown, scripts = _sources(html)
    return {name: _field(name, patterns[name], (shown, scripts)) for name in patterns}


def _sources(html: str) -> tuple[str, str]:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    scripts = "\n".join(node.text(deep=True) or "" for node in tree.css(_SCRIPTS))
    for node in tree.css(f"{_SCRIPTS}, {_PROSE}"):
        node.decompose()
    # Some pages keep JSON in attributes, where its quotes are written as entities.
    shown = _COMMENT.sub("", tree.html or "").replace("&quot;", '"')
    return _THOUSANDS.sub("", shown), _THOUSANDS.sub("", scripts)


def _field(name: str, patterns: Sequence[str], sources: Sequence[str]) -> float | None:
    for pattern in patterns:
        for source in sources:
            number = _first(re.compile(pattern, re.IGNORECASE | re.DOTALL), source)
            if number is not None:
                return _checked(name, number)
    return None


def _first(pattern: re.Pattern[str], source: str) -> float | None:
    """The number of the first match that stays with its own label."""
    match = pattern.search(source)
    while match is not None:
        words = _TAG.sub(" ", source[match.start() : match.start(1)])
        if len(_LABEL.findall(words)) <= 1 and not _ABSENT.search(words):
            return float(match[1])
        match = pattern.search(source, match.start() + 1)
    return None


def _checked(name: str, number: float) -> float | None:
    value = number if name in _AS_IS else number / 100.0
    if name in _BOUNDS:
        low, high = _BOUNDS[name]
        return value if low < value <= high else None
    low, high = _RANGES[name]
    return value if low <= value <= high else None


# -- fetching ------------------------------------------------------------------------------


class Visits:
    """
    Visits to the page: a few attempts, at most one visit per symbol and day, kept in a folder.

    What the site answered is kept, also a refusal; when nothing could be reached, only this
    object remembers it.

    Args:
        settings: Address, patience and patterns.
        folder: Where visits of the day are kept; None keeps them in memory.
        transport: How requests travel, for a client that is not the network.
        sleep: How to wait between attempts.
        clock: The time, aware.
    """

    def __init__(
        self,
        settings: WebSettings,
        folder: Path | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._settings, self._folder = settings, folder
        self._transport, self._sleep, self._clock = transport, sleep, clock
        self._known: dict[tuple[str, dt.date], Page] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.requests = 0
        """Requests sent."""

    async def page(self, symbol: str) -> Page:
        """
        The figures of *symbol* of today; nothing is asked twice on one day.

        Never raises for what the site or the network does: `Page.problem` says it.
        """
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            day = self._clock().date()
            known = self._known.get((symbol, day)) or self._load(symbol, day)
            if known is None:
                known, is_answer = await self._visit(symbol)
                if is_answer:
                    self._save(known, day)
            self._known[symbol, day] = known
            return known

    async def _visit(self, symbol: str) -> tuple[Page, bool]:
        """The page, and whether the site answered at all."""
        settings = self._settings
        url = settings.url.format(symbol=symbol)
        problem, answered = "", False
        async with httpx.AsyncClient(
            transport=self._transport,
            timeout=settings.timeout_s,
            headers={"User-Agent": settings.user_agent},
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
        ) as client:
            for attempt in range(settings.attempts):
                if attempt:
                    await self._sleep(settings.pause_s)
                self.requests += 1
                try:
                    async with asyncio.timeout(settings.timeout_s):
                        html = await _fetch(client, url)
                except httpx.HTTPStatusError as exc:
                    problem = f"the page answered {exc.response.status_code}"
                    answered = True
                except TimeoutError:
                    problem = f"the page did not answer within {settings.timeout_s:g} s"
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
                    problem = f"the page could not be read: {str(exc) or type(exc).__name__}"
                else:
                    return self._read(symbol, html), True
                _log.info("%s: %s (attempt %d)", symbol, problem, attempt + 1)
        return Page(symbol=symbol, fetched_at=self._clock(), problem=problem), answered

    def _read(self, symbol: str, html: str) -> Page:
        fields = parse_page(html, self._settings.patterns)
        nothing = all(value is None for value in fields.values())
        problem = "the page has none of the fields; it may have changed (web.patterns)"
        return Page(
            symbol=symbol,
            fetched_at=self._clock(),
            problem=problem if nothing else "",
            **fields,
        )

    # -- what is kept ----------------------------------------------------------------------

    def _file(self, symbol: str, day: dt.date) -> Path | None:
        return self._folder / f"{day:%Y%m%d}" / f"{symbol}.json" if self._folder else None

    def _load(self, symbol: str, day: dt.date) -> Page | None:
        file = self._file(symbol, day)
        try:
            return Page.model_validate_json(file.read_text(encoding="utf-8")) if file else None
        except (OSError, ValidationError):
            return None

    def _save(self, page: Page, day: dt.date) -> None:
        file = self._file(page.symbol, day)
        if file is None:
            return
        document = to_document(page, exclude_none=True)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream)
            Path(name).replace(file)
        except OSError as exc:
            _log.warning("%s: not kept for today: %s", file, exc)


async def _fetch(client: httpx.AsyncClient, url: str) -> str:
    """The page as text; HTTPStatusError for an answer that is no page."""
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                raise ValueError(f"longer than {_MOST_BYTES} bytes")
        return body.decode(response.encoding or "utf-8", errors="replace")
