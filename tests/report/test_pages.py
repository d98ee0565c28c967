"""The pages of portfolio and journal: what they show is what the models say."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from support.html_reading import Read
from support.journal_entries import CONDOR, entry, option, trade
from tomic.desk import Desk
from tomic.errors import BadFile
from tomic.report import collect, html
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


async def test_the_last_book_needs_no_gateway(settings):
    """Without a saved book --last says so; nobody is asked."""
    async with Desk(settings) as desk:
        with pytest.raises(BadFile):
            await collect.portfolio(desk, last=True)
        assert not desk.has_session


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
