"""The pages of portfolio and journal: what they show is what the models say."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import re

import pytest

from support.html_reading import Read
from support.journal_entries import CONDOR, entry, option, trade
from support.made_proposals import bare, whole
from tomic import dates
from tomic.desk import Desk
from tomic.errors import BadFile
from tomic.models import ScanResult, ScanScope, SymbolOutcome
from tomic.models.exits import ExitRules
from tomic.report import collect, html
from tomic.store import Bars, VolSeries
from tomic.workflows import scan
from tomic.workflows.journal.entries import save


def files_in(folder):
    """Settings that keep every file in *folder*."""
    return {
        "store": {"path": folder / "store.db"},
        "portfolio": {"snapshot": folder / "portfolio.json"},
    }


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The page of the demo market's account."""
    folder = tmp_path_factory.mktemp("book")

    async def collected():
        async with Desk(demo=True, **files_in(folder)) as desk:
            return await collect.portfolio(desk)

    return asyncio.run(collected())


def test_numbers_of_the_book_are_those_of_the_review(book):
    """Every cell holds the value that the review has there."""
    read = Read(html.render(book))
    cells = {at: value for at, _, value, _ in read.cells}
    review = read.document["review"]

    assert cells["/review/totals/greeks/theta"] == review["totals"]["greeks"]["theta"]
    for n, one in enumerate(review["structures"]):
        assert cells[f"/review/structures/{n}/pnl"] == one["pnl"]
        assert cells[f"/review/structures/{n}/margin"] == one["margin"]


def test_alerts_come_first_and_remarks_last(book):
    """What asks for attention is on top; what is only context is at the end."""
    titles = [section.title for section in book.sections]

    assert titles[0] == "Alerts"
    assert titles[-1] == "Remarks"
    assert {one["severity"] for one in book.document["alerts"]} == {"alarm", "warning"}
    assert {one["severity"] for one in book.document["remarks"]} == {"info"}
    alerts = book.document["review"]["alerts"]
    assert len(book.document["alerts"]) + len(book.document["remarks"]) == len(alerts)


def test_account_numbers_are_masked(book):
    """A report may be sent to somebody, so an account is only hinted at."""
    text = html.render(book)

    assert "DU1234567" not in text
    assert "DU***567" in text


def test_stress_is_drawn_now_and_later(book):
    """Two days of the grid are drawn, with the moves of the spot that the settings show."""
    text = html.render(book)

    pictures = [given["aria-label"] for tag, given in Read(text).tags if tag == "svg"]
    assert [one.rsplit(", ", 1)[1] for one in pictures] == ["now", "in 7 days"]
    assert ">-20%</text>" in text


def test_a_structure_stands_under_sliders(book):
    """Every stop is a figure of the page; without a script the table says the same as now."""
    text = html.render(book)
    read = Read(text)
    items = read.document["what_if"]

    assert len(items) == len(read.document["review"]["structures"])
    for n, item in enumerate(items):
        as_it_is = item["cells"][item["vols"].index(0.0)]
        assert [row["pnl"] for row in item["rows"]] == as_it_is
        now = as_it_is[item["moves"].index(0.0)][0]
        assert now == pytest.approx(read.document["review"]["structures"][n]["pnl"], abs=0.005)
        assert f'data-item="/what_if/{n}"' in text
    assert text.count('type="range"') == 3 * len(items)
    assert text.count('class="sliders" hidden') == len(items)


def test_the_only_script_is_the_page_s_own(book):
    """The policy names it by its hash, so that no other runs, and nothing is fetched by any."""
    text = html.render(book)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)

    (script,) = scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [one["content"] for tag, one in Read(text).tags if one.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith(f"; script-src 'sha256-{digest}'")
    assert not re.search(r"(?:https?:)?//\w|fetch\(|XMLHttp|import\(|WebSocket|sendBeacon", script)


async def test_the_last_book_needs_no_gateway(settings):
    """Without a saved book --last says so; nobody is asked."""
    async with Desk(settings) as desk:
        with pytest.raises(BadFile):
            await collect.portfolio(desk, last=True)
        assert not desk.has_session


async def test_what_now_of_an_entry_whose_rule_fired(settings):
    """Its alternatives are a section of their own, or why there are none; others have none."""
    sold = [option(-1, "560P", 2.35)]
    async with Desk(settings) as desk:
        journal = await desk.journal(offline=True)
        for rules in (ExitRules(min_dte=21), ExitRules()):
            await save(journal, entry(trade("open", 0, *sold), rules=rules), event="open")

        page = await collect.journal(desk)

    (one,) = page.document["what_now"]
    assert one["title"].startswith("1 SPY")
    assert "no chain is stored" in one["problem"]
    assert one["problem"] in html.render(page)


async def test_journal_shows_open_and_closed_trades(settings):
    """An open condor is judged without quotes and says so; a closed one counts."""
    sold = [option(sign, name, 1.0 + 0.1 * n) for n, (name, sign) in enumerate(CONDOR)]
    back = [option(-sign, name, 0.5) for name, sign in CONDOR]
    opened = trade("open", 0, *sold)
    async with Desk(settings) as desk:
        held = await desk.journal(offline=True)
        await save(
            held, entry(opened, strategy="iron_condor", plan="half the credit"), event="open"
        )
        closed = entry(opened, trade("close", 10, *back), strategy="iron_condor")
        await save(held, closed, event="open")
        page = await collect.journal(desk)

    read = Read(html.render(page))
    cells = {at: text for at, _, _, text in read.cells}
    assert cells["/open/0/plan"] == "half the credit"
    assert cells["/journal/overall/n"] == "1"
    assert cells["/journal/groups/0/label"] == "iron condor"
    assert len(read.document["signals"]) == 1
    assert read.document["signals"][0]["fired"]
    assert dt.datetime.fromisoformat(read.document["meta"]["as_of"]).tzinfo is not None


async def test_an_empty_journal_says_so(settings):
    """Without entries the page has no empty tables."""
    async with Desk(settings) as desk:
        text = html.render(await collect.journal(desk))

    assert "No trade is open." in text


# -- the scan of the day -------------------------------------------------------------------


async def kept(store, *symbols, day=20, job="", strategies=19):
    """Keep a scan of *symbols* that found nothing."""
    at = dt.datetime(2026, 11, day, 15, 0, tzinfo=dt.UTC)
    scope = ScanScope(job=job, symbols=symbols, strategies=("iron_condor",) * strategies)
    result = ScanResult(
        scope=scope, as_of=at, outcomes=tuple(SymbolOutcome(symbol=name) for name in symbols)
    )
    return await scan.keep(store, result, at.date())


async def day_of(settings):
    """What the page of the day says it was scanned from."""
    async with Desk(settings) as desk:
        return (await collect.day(desk)).document["scanned"]


async def test_a_question_does_not_replace_the_scan_of_the_job(settings, store):
    """Neither a narrower nor a wider scan that somebody asks for takes its place."""
    await kept(store, "SPY", "QQQ", job="morning")
    await kept(store, "CRM")
    await kept(store, "CRM", "SPY", "XLE")

    assert await day_of(settings) == [
        "scanned: 2 symbols (SPY, QQQ), by the job morning, 2026-11-20 15:00 UTC"
    ]


async def test_without_a_job_the_widest_scan_of_the_day_counts(settings, store):
    """Most symbols, then most strategies, then the newest; yesterday's job is of another day."""
    await kept(store, "SPY", "QQQ", "IWM", day=19, job="morning")
    await kept(store, "SPY", "QQQ")
    await kept(store, "SPY", "QQQ", strategies=1)
    await kept(store, "CRM")

    assert await day_of(settings) == [
        "scanned: 2 symbols (SPY, QQQ), asked for once, 2026-11-20 15:00 UTC"
    ]


async def test_a_scan_kept_before_scopes_still_has_its_symbols(settings, store):
    """Of an older store only the number of its symbols is known."""
    await scan.keep(
        store, ScanResult(outcomes=(SymbolOutcome(symbol="SPY"),)), dt.date(2026, 11, 20)
    )

    assert (await day_of(settings))[0].startswith("scanned: 1 symbol")


# -- one proposal --------------------------------------------------------------------------


async def page_of(settings, store, made):
    """The page of *made*, kept as the third of its day."""
    at = made.as_of
    await scan.keep(store, ScanResult(proposals=(bare(), bare(), made)), at.date())
    async with Desk(settings) as desk:
        return await collect.proposal(desk, "20261120-3")


async def test_a_proposal_can_be_typed_from_its_page(settings, store):
    """The order, the contract ids and its own number stand on it; its rank is no id."""
    page = await page_of(settings, store, whole(rank=31))
    read = Read(html.render(page))
    cells = {at: text for at, _, _, text in read.cells}

    assert page.title.startswith("TOMIC · 20261120-3 SPY iron condor")
    captions = [given["aria-label"] for tag, given in read.tags if tag == "svg"]
    assert captions == ["20261120-3 SPY: P&L; behind it the market's view of the price"]
    assert [cells[f"/proposal/legs/{n}/con_id"] for n in range(4)] == [
        "1001", "1002", "1003", "1004",
    ]  # fmt: skip
    assert "SELL 1  SPY 18 Dec 2026 561 PUT" in html.render(page)
    assert cells["/proposal/legs/0/price_source"] == "quote"


async def test_a_page_shows_all_that_is_known_and_nothing_else(settings, store):
    """Exits, size, view and events have their figures; without them no dash stands there."""
    full = Read(html.render(await page_of(settings, store, whole())))
    cells = {at for at, *_ in full.cells}

    assert {"/proposal/managed/p_target", "/proposal/size/contracts", "/proposal/view/ev",
            "/proposal/percentile", "/proposal/similar/0/trade"} <= cells  # fmt: skip
    assert any(given.get("data-at") == "/proposal/event_texts/0" for _, given in full.tags)
    async with Desk(settings) as desk:
        empty = Read(html.render(await collect.proposal(desk, "20261120-1")))
    shown = {at: text for at, _, _, text in empty.cells}
    assert not [at for at in shown if re.search("managed|/size|/view|percentile|similar", at)]
    assert "–" not in {text for at, text in shown.items() if at.count("/") == 2}


async def test_what_decides_stands_left(settings, store):
    """On a phone score, PoS and EV are seen before days and credit; a wide table is cards."""
    await scan.keep(store, ScanResult(proposals=(whole(),)), dt.date(2026, 11, 20))
    async with Desk(settings) as desk:
        text = html.render(await collect.day(desk))

    columns = [at.split("/")[4] for at, *_ in Read(text).cells if "/proposals/0/" in at]
    places = [columns.index(name) for name in ("score", "pos", "ev", "dte", "limit")]
    assert places == sorted(places)
    cells = {at: text for at, *_, text in Read(text).cells}
    assert cells["/scan/proposals/0/alike"] == "99+"
    assert cells["/scan/proposals/0/flags"] == "E D"  # their sentences would make rows of a page
    assert 'class="scroll wide cards short"' in text
    assert 'data-label="score"' in text


async def test_the_day_draws_months_of_each_symbol(settings, store, demo_chain):
    """Open interest by strike and a year of volatility stand beside smile and cone."""
    days = dates.trading_days(dt.date(2026, 3, 2), dt.date(2026, 11, 19))
    rows = [(day, 600.0, 603.0, 597.0, 600.0 + n % 7, 1e6) for n, day in enumerate(days)]
    await store.history.save_bars(Bars.from_rows("SPY", rows))
    iv = VolSeries.from_rows(
        "SPY", "ib30", [(day, 0.15 + n % 5 / 100) for n, day in enumerate(days)]
    )
    await store.history.save_iv(iv)
    await store.chains.save(demo_chain)
    await scan.keep(store, ScanResult(proposals=(whole(),)), dt.date(2026, 11, 20))

    async with Desk(settings) as desk:
        text = html.render(await collect.day(desk))

    captions = re.findall(r"<figcaption>SPY: (.*?)</figcaption>", text)
    assert [caption.split(",")[0] for caption in captions] == [
        "quotes and smile",
        "open interest by strike",
        "how high realised volatility has been",
        "a year of prices and volatility; move: one sigma",
    ]
