"""
Volatility figures from a public page: fetching and parsing apart, one visit per symbol and day.

Where the page is and what its fields look like are settings. Percentages of the page become
fractions here; an impossible number counts as missing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import faulthandler
import json
import logging
import re
import string
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict
from selectolax.lexbor import LexborHTMLParser

from tomic import outside
from tomic.config import WebSettings
from tomic.config.market import DEFAULT_PATTERNS
from tomic.disk import read_bytes, write_text
from tomic.errors import BadFile
from tomic.models.documents import to_text

_log = logging.getLogger(__name__)

_MOST_BYTES = 1_000_000
_MOST_REDIRECTS = 5
_PARSING_S = 5.0
"""Far more than any page needs."""
_APART_S = 10.0
"""The same, with the start of a process."""
_PROSE = frozenset(
    {
        "style", "noscript", "template", "nav", "header", "footer", "aside", "article", "p",
        "blockquote", "title",
    }
)  # fmt: skip
"""Parts of a page that talk about the market instead of showing this symbol's figures."""
_SCRIPT = "script"
_RAW = frozenset(
    {_SCRIPT, "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
)
"""Elements whose content is text up to their own end."""
_VOID = frozenset(
    {
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
        "source", "track", "wbr",
    }
)  # fmt: skip
_INLINE = frozenset(
    {
        "a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "label", "nobr", "s", "small",
        "span", "strike", "strong", "sub", "sup", "tt", "u",
    }
)  # fmt: skip
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "center", "details", "dialog", "dir", "div",
        "dl", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5",
        "h6", "header", "hr", "li", "main", "menu", "nav", "ol", "p", "pre", "section", "table",
        "ul",
    }
)  # fmt: skip
"""Tags that end an unclosed paragraph. Source: the HTML standard, "in body"."""
_ENDED_BY = {
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "option": ("option",),
    "optgroup": ("option", "optgroup"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "tr": ("td", "th", "tr"),
    "tbody": ("td", "th", "tr", "tbody", "thead"),
    "tfoot": ("td", "th", "tr", "tbody", "thead"),
}
_DEEPEST = 128
"""Elements within each other; pages have a few dozen."""
_PART = 8_000
"""Characters that the parser sees at a time, a long text or tag apart."""
_MOST_ATTRIBUTES = 500
_ATTRIBUTE = re.compile(r"""[^\s"'=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'))?+""")
_CHECKED_EVERY = 2_000
_REACH = 4_000
"""Characters within which a label has its number."""
_LONGEST_NUMBER = 40
_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_DIGIT = re.compile(r"\d")
_SIGNS = re.compile(r"<{1,100}(?=<)")
"""Each before another opens nothing."""
_NAME = re.compile(r"<(/?)([a-z][^\s/>]*)")
_REST_OF_TAG = re.compile(r"""(?:[^>"'=]++|=\s*+"[^"]*+"|=\s*+'[^']*+'|[="'])*+>""")
_CHARSET = re.compile(
    r"utf-?(8|16|32).*|(us-)?ascii|latin.*|iso-?8859.*|cp\d+|windows-?\d+|koi8.*|gb.*|big5.*"
    r"|shift_?jis.*|euc.*|mac.*"
)
"""Charsets of pages; Python knows others that are not text, or take forever."""
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
)
_LABEL = re.compile(r"rank|percentile|pctl|volatility|skew|\bATR|\bVIX|price|\bHV", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_ABSENT = re.compile(r"\bN/A\b|--|—", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_AS_IS = ("spot_price", "atr14")
"""Fields in currency per share; the others are percentages, or index points that are vol too."""
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


_DEFAULTS = frozenset(pattern for several in DEFAULT_PATTERNS.values() for pattern in several)


class Page(BaseModel):
    """Result of one visit; fractions and currency per share, None where the page has nothing."""

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


def parse_page(
    html: str, patterns: Mapping[str, Sequence[str]], is_over: Callable[[], bool] = lambda: False
) -> dict[str, float | None]:
    """
    Read the fields of *patterns* from a page; the first pattern that matches counts.

    Patterns see the page's source without prose, comments and scripts, then the scripts alone,
    where some pages keep their figures as JSON. Thousands separators are taken out. A match that
    runs over a second label or an "N/A" has found another field's number and does not count. A
    value that the field cannot have (a price of zero, a percentile of 140) is None: what follows
    it is about something else. A label and its number stand within 4,000 characters.

    The time grows with the length of the page alone, whatever is in it.

    Args:
        html: The page's source.
        patterns: Regular expressions by field.
        is_over: Called repeatedly, from this thread; true means give up.

    Returns:
        Percentages as fractions, prices per share as they stand, every field of *patterns*.

    Raises:
        TimeoutError: *is_over* said so.
    """
    sources = [_Searched.of(text) for text in _sources(html, is_over)]
    return {name: _field(name, patterns[name], sources, is_over) for name in patterns}


class _Searched(NamedTuple):
    """A text and where the windows begin in which a figure can be: those that hold a digit."""

    text: str
    starts: list[int]

    @classmethod
    def of(cls, text: str) -> _Searched:
        """That no digit is in a window is seen far sooner than that no label is."""
        starts = range(0, len(text), _REACH)
        return cls(text, [at for at in starts if _DIGIT.search(text, at, at + 2 * _REACH)])


def _sources(html: str, is_over: Callable[[], bool]) -> tuple[str, str]:
    flat = _Flattened(html, is_over)
    normal: list[str] = []
    for part in flat.parts:
        if is_over():
            raise TimeoutError
        tree = LexborHTMLParser(part.encode("utf-8", "replace"))
        normal += [node.inner_html or "" for node in (tree.head, tree.body) if node is not None]
    # Some pages keep JSON in attributes, where its quotes are written as entities.
    shown = "".join(normal).replace("&quot;", '"')
    return _THOUSANDS.sub("", shown), _THOUSANDS.sub("", "\n".join(flat.scripts))


class _Flattened:
    """
    A page without prose, comments and scripts, in small parts that are each a page of their own.

    What the parser takes grows with the square of what stands inside each other, and of options
    and attributes beside each other: for a whole page of them it would take minutes. Elements
    nested deeper than in any page keep only their text.
    """

    def __init__(self, html: str, is_over: Callable[[], bool]) -> None:
        self.parts: list[str] = []
        """Well-formed: elements that go on in the next part are closed, and opened there again."""
        self.scripts: list[str] = []
        self._shown: list[str] = []
        self._length = 0
        self._html, self._lower, self._is_over = html, html.translate(_TO_LOWER), is_over
        self._open: list[str] = []
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._prose = 0
        """Elements open around here that are prose."""
        self._read()

    def _read(self) -> None:
        at, count = 0, 0
        while (mark := self._html.find("<", at)) >= 0:
            count += 1
            if not count % _CHECKED_EVERY and self._is_over():
                raise TimeoutError
            self._show(self._html[at:mark])
            at = self._mark(mark)
        self._show(self._html[at:])
        while self._open:
            self._close()
        self.parts.append("".join(self._shown))

    def _mark(self, mark: int) -> int:
        """Take what begins with the ``<`` at *mark*; return where the text goes on."""
        if self._html.startswith("<!--", mark):
            return self._after("-->", mark + 4)
        if self._html[mark + 1 : mark + 2] in ("!", "?"):
            return self._after(">", mark)
        name = _NAME.match(self._lower, mark)
        if name is None:
            # Signs that stand for themselves.
            signs = _SIGNS.match(self._html, mark)
            length = signs.end() - mark if signs else 1
            self._show("&lt;" * length)
            return mark + length
        tag = _REST_OF_TAG.match(self._html, name.end())
        if tag is None:
            return len(self._html)
        if name[1]:
            self._end(name[2])
        else:
            return self._start(name[2], self._html[mark : tag.end()], tag.end())
        return tag.end()

    def _after(self, sign: str, at: int) -> int:
        end = self._html.find(sign, at)
        return len(self._html) if end < 0 else end + len(sign)

    def _start(self, name: str, tag: str, after: int) -> int:
        if name in _RAW:
            end = self._lower.find(f"</{name}", after)
            text = self._html[after : end if end >= 0 else len(self._html)]
            if name == _SCRIPT:
                self.scripts.append(text)
            elif name not in _PROSE:
                self._show(f"{tag}{text}</{name}>")
            return len(self._html) if end < 0 else self._after(">", end)
        self._close_implied(name)
        if name in _VOID or tag.endswith("/>"):
            if _is_plausible(tag):
                self._show(tag if name in _VOID else f"{tag}</{name}>")
        elif len(self._open) >= _DEEPEST:
            self._dropped[name] += 1
        else:
            self._prose += name in _PROSE
            self._show(tag if _is_plausible(tag) else f"<{name}>")
            self._open.append(name)
            self._counts[name] += 1
        return after

    def _close_implied(self, name: str) -> None:
        """An item ends the item before it, and a block the paragraph before it."""
        if name in _BLOCKS:
            for depth, around in enumerate(reversed(self._open)):
                if around == "p":
                    self._close(depth + 1)
                if around not in _INLINE:
                    break
        while self._open and self._open[-1] in _ENDED_BY.get(name, ()):
            self._close()

    def _end(self, name: str) -> None:
        if self._dropped[name]:
            self._dropped[name] -= 1
            return
        if self._counts[name]:
            while self._open[-1] != name:
                self._close()
            self._close()

    def _close(self, count: int = 1) -> None:
        for _ in range(count):
            name = self._open[-1]
            self._show(f"</{name}>")
            self._open.pop()
            self._counts[name] -= 1
            self._prose -= name in _PROSE

    def _show(self, text: str) -> None:
        if not text or self._prose:
            return
        if self._length > _PART:
            ends = (f"</{name}>" for name in reversed(self._open))
            self.parts.append("".join((*self._shown, *ends)))
            self._shown, self._length = [f"<{name}>" for name in self._open], 0
        self._shown.append(text)
        self._length += len(text)


def _is_plausible(tag: str) -> bool:
    """Whether a tag has no more attributes than a person would write."""
    return len(tag) < _PART or len(_ATTRIBUTE.findall(tag)) <= _MOST_ATTRIBUTES


def _field(
    name: str, patterns: Sequence[str], sources: Sequence[_Searched], is_over: Callable[[], bool]
) -> float | None:
    for pattern in patterns:
        for source in sources:
            compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL)
            number = _first(compiled, source, is_over)
            if number is not None:
                return _checked(name, number)
    return None


def _first(
    pattern: re.Pattern[str], searched: _Searched, is_over: Callable[[], bool]
) -> float | None:
    """The number of the first match that stays with its own label."""
    source = searched.text
    for start in searched.starts:
        # A pattern looks no further than its window, or a page of labels without a number would
        # be read from each of them to the end.
        end = min(start + 2 * _REACH, len(source))
        at = start
        while (match := pattern.search(source, at, end)) is not None:
            if is_over():
                raise TimeoutError
            if match.start() >= start + _REACH and end < len(source):
                break
            number = _own_number(match, source)
            # What touches the end of a window may go on behind it.
            if number is not None and (end == len(source) or match.end() < end - _LONGEST_NUMBER):
                return number
            at = match.start() + 1
        if is_over():
            raise TimeoutError
    return None


def _own_number(match: re.Match[str], source: str) -> float | None:
    words = _TAG.sub(" ", source[match.start() : match.start(1)])
    if len(_LABEL.findall(words)) > 1 or _ABSENT.search(words):
        return None
    try:
        return float(match[1])
    except (TypeError, ValueError):
        # A user's pattern may match what is not a number, or nothing.
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

    Every answer of the site is kept, refusals included; a failure to reach it is remembered by
    this object only.

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
            headers={"User-Agent": settings.user_agent, "Accept-Encoding": outside.PACKINGS},
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
                    return await self._read(symbol, html), True
                _log.info("%s: %s (attempt %d)", symbol, problem, attempt + 1)
        return Page(symbol=symbol, fetched_at=self._clock(), problem=problem), answered

    async def _read(self, symbol: str, html: str) -> Page:
        patterns = self._settings.patterns
        own = {pattern for name in patterns for pattern in patterns[name]} - _DEFAULTS
        try:
            fields = await (_parsed_apart if own else _parsed)(html, patterns)
        except TimeoutError:
            problem = "the page could not be read in time"
            if own:
                problem += f"; a pattern may never end (web.patterns): {', '.join(sorted(own))}"
            return Page(symbol=symbol, fetched_at=self._clock(), problem=problem)
        nothing = all(value is None for value in fields.values())
        problem = "the page has none of the fields; it may have changed (web.patterns)"
        return Page(
            symbol=symbol, fetched_at=self._clock(), problem=problem if nothing else "", **fields
        )

    # -- what is kept ----------------------------------------------------------------------

    def _file(self, symbol: str, day: dt.date) -> Path | None:
        if self._folder is None:
            return None
        # On Windows a file CON.json is the console.
        name = f"_{symbol}" if symbol.partition(".")[0] in _DEVICES else symbol
        return self._folder / f"{day:%Y%m%d}" / f"{name}.json"

    def _load(self, symbol: str, day: dt.date) -> Page | None:
        file = self._file(symbol, day)
        try:
            return Page.model_validate_json(read_bytes(file, _MOST_BYTES)) if file else None
        except (OSError, ValueError, BadFile):
            return None

    def _save(self, page: Page, day: dt.date) -> None:
        file = self._file(page.symbol, day)
        if file is None:
            return
        try:
            write_text(file, to_text(page, exclude_none=True))
        except BadFile as exc:
            _log.warning("%s: not kept for today: %s", file, exc)


async def _fetch(client: httpx.AsyncClient, url: str) -> str:
    """The page as text; HTTPStatusError for an answer that is not a page."""
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        packing = response.headers.get("content-encoding", "")
        body = await outside.unpacked(response.aiter_raw(), packing, _MOST_BYTES)
    return _text(bytes(body), response.encoding or "utf-8")


def _text(body: bytes, charset: str) -> str:
    known = _CHARSET.fullmatch(charset.lower().replace("_", "-"))
    try:
        return body.decode(charset if known else "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


async def _parsed(html: str, patterns: Mapping[str, Sequence[str]]) -> dict[str, float | None]:
    """
    As `parse_page`, in a thread and within its time.

    A thread cannot be ended from outside: it asks, and ends itself within a moment when nobody
    waits for it any more.

    Raises:
        TimeoutError: It took too long.
    """
    given_up = threading.Event()
    ends = time.monotonic() + _PARSING_S

    def is_over() -> bool:
        return given_up.is_set() or time.monotonic() >= ends

    try:
        async with asyncio.timeout(_PARSING_S):
            return await asyncio.to_thread(parse_page, html, patterns, is_over)
    finally:
        given_up.set()


async def _parsed_apart(
    html: str, patterns: Mapping[str, Sequence[str]]
) -> dict[str, float | None]:
    """
    As `parse_page`, in a process of its own, which is ended after its time.

    The pattern of a user can take for ever, during which `re` neither asks whether to stop nor
    lets any other thread run.

    Raises:
        TimeoutError: It took too long, or the process ended without an answer.
    """
    question = json.dumps({"html": html, "patterns": patterns}).encode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", __name__),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_APART_S):
            answer, _ = await process.communicate(question)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise TimeoutError
    fields: dict[str, float | None] = json.loads(answer)
    return fields


def _answer() -> None:
    """What the process apart does; it ends itself too, should nobody be left to end it."""
    faulthandler.dump_traceback_later(2.0 * _APART_S, exit=True)
    json.dump(parse_page(**json.load(sys.stdin.buffer)), sys.stdout)


if __name__ == "__main__":
    _answer()
