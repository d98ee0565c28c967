"""The public page: what is read from it, and how often it is visited."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import time

import httpx
import pytest

from tomic import web
from tomic.config import WebSettings
from tomic.config.market import DEFAULT_PATTERNS
from tomic.web import Visits, parse_page

NOW = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)

PAGE = """
<html><head><title>SPY volatility: VIX 99.9</title>
<style>.x { content: "IV Rank 11%"; }</style>
<script>window.page = {"symbol": "SPY", "lastPrice": "601.20", "priceChange": "-1.1"};</script>
</head><body>
<nav><a>IV Rank</a><a>IV Percentile</a><span>VIX: 88.8</span></nav>
<article><p>The VIX: 35.20 was the headline, and the IV Rank of others is 99%.</p></article>
<!-- <span>Skew</span><strong>77%</strong> -->
<div class="bc-header">
 <span>Implied &nbsp;Volatility:</span><span><strong>18.5%</strong></span>
 <span>Historic &nbsp;Volatility:</span><span><strong>15.3%</strong></span>
 <span>IV &nbsp;Rank:</span><span><strong>45.2%</strong></span>
 <span>IV &nbsp;Percentile:</span><span><strong>60%</strong></span>
 <span>Skew</span><span><strong>-2.5%</strong></span>
 <span>VIX:</span><span><strong>17.49</strong></span>
</div>
<table><tr><td>ATR (14)</td><td>7.1</td></tr></table>
</body></html>
"""
TRUTH = {
    "spot_price": 601.2,
    "implied_volatility": 0.185,
    "hv30": 0.153,
    "iv_rank": 0.452,
    "iv_percentile": 0.60,
    "skew": -0.025,
    "vix": 0.1749,
    "atr14": 7.1,
    "term_m1_m2": None,
    "term_m1_m3": None,
}


def read(html: str) -> dict[str, float]:
    """What the default patterns find."""
    found = parse_page(html, DEFAULT_PATTERNS)
    return {name: value for name, value in found.items() if value is not None}


# -- parsing -------------------------------------------------------------------------------


def test_a_page_is_read_whole():
    """Every figure comes from its own label; prose, menus, comments and styles do not count."""
    assert parse_page(PAGE, DEFAULT_PATTERNS) == pytest.approx(TRUTH)


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("IV &nbsp;Rank:</span> <span><strong>45.2%", {"iv_rank": 0.452}),
        ("Implied Volatility:</span> x <strong>18.5%", {"implied_volatility": 0.185}),
        ("IV Pctl:</span> <strong>60%", {"iv_percentile": 0.60}),
        ('"lastPrice": 601.2', {"spot_price": 601.2}),
        ("Skew -2.5%", {"skew": -0.025}),
        ("ATR (14) 7.1", {"atr14": 7.1}),
        ("Historic Volatility 15.3%", {"hv30": 0.153}),
        ("30-Day Historical Volatility <b>15.3%</b>", {"hv30": 0.153}),
        ("Last Price <b>5,912.17</b>", {"spot_price": 5912.17}),
        ('<script>{"lastPrice":"5,912.17"}</script>', {"spot_price": 5912.17}),
        ('<div data-init="{&quot;lastPrice&quot;:601.2}"></div>', {"spot_price": 601.2}),
    ],
)
def test_each_way_a_figure_is_written(html, found):
    """Bare text, nested tags, JSON in a script or an attribute, thousands separators."""
    assert read(html) == pytest.approx(found)


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<html>",
        "nothing here",
        "IV Rank",
        "<b>IV Rank:</b> N/A",
        '{"lastPrice": null}',
        "\x00\xff<<<>>>&&&",
    ],
)
def test_what_is_missing_is_none(html):
    """No figure, no exception."""
    assert read(html) == {}


def test_a_missing_figure_does_not_borrow_its_neighbours():
    """An IV rank that is not available does not become the percentile beside it."""
    html = (
        "<span>IV Rank:</span><b>N/A</b><span>IV Pctl:</span><b>60%</b><span>VIX:</span><b>18</b>"
    )

    assert read(html) == pytest.approx({"iv_percentile": 0.60, "vix": 0.18})


def test_an_empty_label_does_not_borrow_either():
    """A label without any value before the next label has no value."""
    assert read("<i>ATR (14)</i><i></i><i>VIX:</i><i>18.2</i>") == pytest.approx({"vix": 0.182})


def test_zero_is_a_rank_and_no_price():
    """A rank of 0 % is a number; a price, volatility or index of 0 is a page without one."""
    ranks = "<i>IV Rank:</i><b>0%</b><i>IV Percentile:</i><b>0%</b><i>Skew</i><b>0%</b>"
    levels = "<i>VIX:</i><b>0</b><i>ATR (14)</i><b>0</b><i>Implied Volatility:</i><b>0%</b>"

    assert read(ranks) == {"iv_rank": 0.0, "iv_percentile": 0.0, "skew": 0.0}
    assert read(levels) == {}


def test_a_rank_may_leave_its_range_and_a_percentile_not():
    """At a new extreme the rank is beyond 100 %; a percentile of 140 is another number."""
    assert read("IV Rank: 112%") == pytest.approx({"iv_rank": 1.12})
    assert read("IV Percentile: 140%") == {}


def test_own_patterns_replace_the_default():
    """A site that writes something else needs one pattern, no program."""
    patterns = {"term_m1_m2": (r"M1-M2:\s*(-?\d+\.\d+)",)}

    assert parse_page("M1-M2: -0.80", patterns) == pytest.approx({"term_m1_m2": -0.008})


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 200_000,
        "<div>Implied Volatility " * 40_000,
        "IV Rank N/A 5% " * 60_000,
        "".join(f"<b a={number}>" for number in range(40_000)) + "<p>" * 100_000,
        "<select>" + "<option>" * 110_000,
        "<a " + " ".join(f"a{number}" for number in range(140_000)) + ">",
        "<div><table><td></div>" * 45_000,
        "<!--" * 250_000,
        "<" * 1_000_000,
        '<a ="' * 160_000,
    ],
    ids=lambda html: html[:24],
)
def test_no_page_holds_the_program_up(html):
    """Whatever a page of a megabyte is made of, its reader asks again and again whether to stop."""
    asked = [time.thread_time()]

    def is_over() -> bool:
        asked.append(time.thread_time())
        return False

    parse_page(html[:1_000_000], DEFAULT_PATTERNS, is_over)

    gaps = [later - before for before, later in itertools.pairwise((*asked, time.thread_time()))]
    assert max(gaps) < 30.0
    assert sum(gaps) < 60.0


def test_reading_stops_when_it_is_told_to():
    """A thread cannot be ended from outside, so it asks."""
    with pytest.raises(TimeoutError):
        parse_page("<div>Implied Volatility " * 40_000, DEFAULT_PATTERNS, lambda: True)


def test_a_figure_far_into_a_page_is_found():
    """Parts and windows have no edges: wherever a figure stands, it is read whole."""
    for length in (0, 3_980, 7_990, 8_020, 15_990, 40_000):
        html = "<ul>" + "<li>x" * (length // 5) + "<table><tr><td>IV Rank:</td><td>45.25%</td>"
        assert read(html) == pytest.approx({"iv_rank": 0.4525}), length


# -- visits --------------------------------------------------------------------------------


class Site:
    """A server that answers in turn, and counts."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.urls: list[str] = []
        self.agents: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        self.agents.append(request.headers["User-Agent"])
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        # As it comes over a socket: not read yet.
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


class Day:
    """A clock that stands until told otherwise, and sleeps that take no time."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def __call__(self) -> dt.datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def visits(site: Site, day: Day, folder=None) -> Visits:
    transport = httpx.MockTransport(site)
    return Visits(WebSettings(), folder, transport=transport, clock=day, sleep=day.sleep)


async def test_a_visit_gives_the_figures():
    """The address and the browser's name are the settings'; figures arrive as fractions."""
    site = Site(httpx.Response(200, text=PAGE))

    page = await visits(site, Day()).page("SPY")

    assert site.urls == ["https://www.barchart.com/etfs-funds/quotes/SPY/volatility-charts"]
    assert site.agents == ["Mozilla/5.0"]
    assert {name: getattr(page, name) for name in TRUTH} == pytest.approx(TRUTH)
    assert (page.symbol, page.fetched_at, page.problem) == ("SPY", NOW, "")


async def test_own_patterns_are_used_on_a_visit():
    """They are tried in a process apart; the figures are the same."""
    settings = WebSettings(patterns={"term_m1_m2": [r"M1-M2:\s*(-?\d+\.\d+)"]})
    site = httpx.MockTransport(Site(httpx.Response(200, text=PAGE + "M1-M2: -0.80")))

    page = await Visits(settings, transport=site, clock=Day()).page("SPY")

    assert page.problem == ""
    assert (page.term_m1_m2, page.vix) == pytest.approx((-0.008, TRUTH["vix"]))


async def test_a_pattern_that_never_ends_does_not_hold_the_program_up(monkeypatch):
    """It is given up in time, and meanwhile everything else goes on."""
    monkeypatch.setattr(web, "_APART_S", 3.0)
    settings = WebSettings(patterns={"vix": [r"(?:\w+\s?)+:(\d)"]})
    site = httpx.MockTransport(Site(httpx.Response(200, text="<ul>1" + "volatility" * 12)))
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            gaps.append(time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    async with asyncio.timeout(60.0):
        page = await Visits(settings, transport=site, clock=Day()).page("SPY")
    ticking.cancel()

    assert "may never end" in page.problem
    assert max(gaps) < 30.0


async def test_one_visit_per_symbol_and_day(tmp_path):
    """The same symbol is asked once a day, also by the next run; the next day again."""
    site, day = Site(httpx.Response(200, text=PAGE)), Day()

    first = await visits(site, day, tmp_path).page("SPY")
    second = await visits(site, day, tmp_path).page("SPY")
    await visits(site, day, tmp_path).page("QQQ")
    day.now += dt.timedelta(days=1)
    await visits(site, day, tmp_path).page("SPY")

    assert second == first
    assert len(site.urls) == 3


async def test_two_at_once_make_one_visit():
    """Who comes while a visit is under way waits for it."""
    site = Site(httpx.Response(200, text=PAGE))
    shared = visits(site, Day())

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(shared.page("SPY"))

    assert len(site.urls) == 1


async def test_a_second_attempt_after_a_pause():
    """A site that fails once is asked once more, a second later."""
    site, day = Site(httpx.Response(503), httpx.Response(200, text=PAGE)), Day()

    page = await visits(site, day).page("SPY")

    assert page.spot_price == 601.2
    assert day.slept == [1.0]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(403), "the page answered 403"),
        (httpx.ReadTimeout(""), "the page could not be read: ReadTimeout"),
        (httpx.ConnectError("no route"), "the page could not be read: no route"),
    ],
)
async def test_failure_is_empty_after_two_attempts(answer, problem):
    """Whatever goes wrong, there is a page without figures that says why."""
    site = Site(answer)

    page = await visits(site, Day()).page("SPY")

    assert len(site.urls) == 2
    assert all(getattr(page, name) is None for name in TRUTH)
    assert page.problem == problem


async def test_a_slow_site_is_given_up():
    """Two attempts of their time-out each, no more."""

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    settings = WebSettings(timeout_s=0.01)
    slow = Visits(settings, transport=httpx.MockTransport(never), sleep=Day().sleep)

    assert (await slow.page("SPY")).problem == "the page did not answer within 0.01 s"


async def test_a_refusal_counts_as_a_visit_and_silence_does_not(tmp_path):
    """A site that says no is left alone for the day; one that was not reached is asked again."""
    refusing, dead = Site(httpx.Response(403)), Site(httpx.ConnectError("down"))
    for _ in range(2):
        await visits(refusing, Day(), tmp_path / "a").page("SPY")
        await visits(dead, Day(), tmp_path / "b").page("SPY")

    assert len(refusing.urls) == 2
    assert len(dead.urls) == 4


async def test_a_page_of_something_else_says_so():
    """A robot check has none of the fields."""
    site = Site(httpx.Response(200, text="<h1>Are you a robot?</h1>"))

    assert "may have changed" in (await visits(site, Day()).page("SPY")).problem


async def test_a_damaged_cache_is_visited_again(tmp_path):
    """A file that is no page is as good as none."""
    site, day = Site(httpx.Response(200, text=PAGE)), Day()
    await visits(site, day, tmp_path).page("SPY")
    (file,) = tmp_path.rglob("SPY.json")
    file.write_text("{", encoding="utf-8")

    page = await visits(site, day, tmp_path).page("SPY")

    assert page.spot_price == 601.2
    assert len(site.urls) == 2


async def test_an_endless_page_is_cut_off():
    """Eight million bytes are no page."""
    site = Site(httpx.Response(200, text="x" * 8_000_001))

    assert "longer than" in (await visits(site, Day()).page("SPY")).problem


@pytest.mark.parametrize(
    "charset", ["hex", "zlib", "base64", "rot13", "punycode", "idna", "nonsense"]
)
async def test_a_charset_that_is_none(charset):
    """A page that names no charset of pages is read as UTF-8."""
    kind = {"Content-Type": f"text/html; charset={charset}"}
    site = Site(httpx.Response(200, content=PAGE.encode(), headers=kind))

    page = await visits(site, Day()).page("SPY")

    assert (page.spot_price, page.problem) == (601.2, "")


async def test_the_loop_goes_on_while_a_page_is_read(monkeypatch):
    """Others have their turn meanwhile, and who no longer waits for the page is free at once."""

    def read_on(html, patterns, is_over):
        while True:
            parse_page(html, patterns, is_over)

    monkeypatch.setattr(web, "parse_page", read_on)
    monkeypatch.setattr(web, "_PARSING_S", 60.0)
    site = Site(httpx.Response(200, text="<div>Implied Volatility " * 40_000))
    reading = asyncio.create_task(visits(site, Day()).page("SPY"))

    turns = 0
    while not reading.done() and turns < 50:
        turns += 1
        await asyncio.sleep(0.001)
    reading.cancel()
    await asyncio.wait({reading})

    assert turns == 50
    assert reading.cancelled()


async def test_a_megabyte_is_the_most():
    """One byte more is no page."""
    site = Site(httpx.Response(200, text="x" * 1_000_001))

    assert "longer than" in (await visits(site, Day()).page("SPY")).problem


async def test_a_page_that_cannot_be_kept_leaves_nothing(tmp_path):
    """A folder stands where the file would: the figures are there, and no temporary file."""
    site = Site(httpx.Response(200, text=PAGE))
    (tmp_path / "20261120" / "SPY.json" / "x").mkdir(parents=True)

    page = await visits(site, Day(), tmp_path).page("SPY")

    assert page.spot_price == 601.2
    assert [file.name for file in (tmp_path / "20261120").iterdir()] == ["SPY.json"]
