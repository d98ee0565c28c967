"""Pages of what rules came to: a backtest, two beside each other."""

from __future__ import annotations

import math

import pytest

from support.html_reading import Read
from support.made_backtests import GAIN, ZERO, empty, whole
from support.made_followed import record
from tomic.desk import Desk
from tomic.errors import DataError
from tomic.models.backtest import BacktestDifference, Comparison, Sweep, SweepRow
from tomic.present import track as told
from tomic.report import collect, html, pages, pictures, records


@pytest.fixture
def desk(tmp_path):
    """A desk of which nothing is asked."""
    return Desk(demo=True, store={"path": tmp_path / "store.db"})


async def test_the_page_of_a_backtest(desk):
    """The verdict is first, every cell is in the document, three pictures are drawn."""
    page = await collect.backtest(desk, whole())
    read = Read(html.render(page))
    cells = {at: value for at, _, value, _ in read.cells}

    assert [section.title for section in page.sections[:3]] == [
        "What came of it", "Promised against realised", "Beside it",
    ]  # fmt: skip
    assert read.document["backtest"]["sentences"][0].startswith("The interval per margin holds")
    assert cells["/backtest/overall/margin_text"] == "+0.4 (-1.2 to +2.1)"
    assert cells["/backtest/by_symbol/1/label"] == "QQQ"
    assert cells["/backtest/worst_week/pnl"] == -190.5
    assert html.render(page).count("<figure>") == 3
    assert not page.partial


async def test_what_every_trade_was_counts_nothing_to_a_phone(desk):
    """No table is wider than the six columns that a phone shows."""
    text = html.render(await collect.backtest(desk, whole()))

    assert 'class="scroll wide' not in text


async def test_a_backtest_without_trades_has_a_page(desk):
    """Nothing is drawn and nothing is made up; a run that was cut says so."""
    page = await collect.backtest(desk, empty().model_copy(update={"partial": "interrupted"}))
    text = html.render(page)

    assert "<figure>" not in text
    assert "Nothing was opened." in text
    assert page.partial == "interrupted"


async def test_the_page_of_two_backtests(desk):
    """Differences with their intervals, and the configurations that differ."""
    compared = Comparison(
        base=whole(), other=whole(), other_name="mine.toml", changed={"score.x": ("1", "2")},
        days=26, verdict="No difference is shown.",
        differences=(BacktestDifference(name="per CVaR", base=0.01, other=0.02, difference=ZERO),),
    )  # fmt: skip

    read = Read(html.render(await collect.comparison(desk, compared)))
    cells = {at: value for at, _, value, _ in read.cells}

    assert cells["/comparison/differences/0/text"] == "+0.4 (-1.2 to +2.1)"
    assert "score.x: 1 > 2" in read.document["comparison"]["scope"]


def test_deciles_are_drawn_where_they_are():
    """A point a decile at what was promised and what came, with its interval."""
    ax = pictures.backtest_promises(whole())
    points = next(line for line in ax.lines if line.get_marker() == "o")

    assert points.get_xdata().tolist() == [-0.03, 0.02]
    assert points.get_ydata().tolist() == [0.004, GAIN.value]
    low, high = ax.get_xlim()
    assert low < -0.03 < 0.02 < high < 0.1


def test_the_total_is_drawn_with_its_fall():
    """The line is the weekly total; below it lies how far it is under its peak."""
    ax = pictures.backtest_equity(whole())
    (line,) = (line for line in ax.lines if line.get_label() == "total")
    depth = min(path.vertices[:, 1].min() for path in ax.collections[0].get_paths())

    assert line.get_ydata().tolist() == [70.0, -120.5, -120.5]
    assert math.isclose(depth, -190.5)


@pytest.mark.parametrize(
    "picture", ["backtest_calibration", "backtest_promises", "backtest_equity"]
)
def test_nothing_is_drawn_of_nothing(picture):
    """Without candidates or weeks a picture says so instead of being empty."""
    with pytest.raises(DataError):
        getattr(pictures, picture)(empty())


async def test_the_page_of_the_track_record(tmp_path):
    """Last month's grades are first; without a proposal the page says what to do."""
    async with Desk(demo=True, store={"path": tmp_path / "store.db"}) as opened:
        page = await collect.track(opened)
    whole_page = records.track(
        {**page.document, "track": told.page_document(record())}
        | {"meta": {**page.document["meta"], "last_month": "2026-10"}}
    )
    cells = {at: value for at, _, value, _ in Read(html.render(whole_page)).cells}

    assert "No proposal is saved; run tomic scan." in html.render(page)
    assert whole_page.sections[0].title == "What the proposals of 2026-10 came to"
    assert cells["/track/last_month/0/won_text"] == "50 (9 to 91)"
    assert cells["/track/proposals/1/per_margin"] == -0.2


async def test_the_page_of_a_sweep(desk):
    """Every value with what is left after the looks; the base has no difference to itself."""
    rows = (
        SweepRow(value="5", trades=40, per_cvar=ZERO, is_base=True),
        SweepRow(value="3", trades=24, per_cvar=GAIN, difference=GAIN, p_value=0.04,
                 p_adjusted=0.12),
    )  # fmt: skip
    swept = Sweep(
        key="scan.top", base=whole(), rows=rows, correction="corrected", verdict="Chance.",
    )  # fmt: skip

    page = await collect.sweep(desk, swept)
    cells = {at: value for at, _, value, _ in Read(html.render(page)).cells}

    assert page.title == "TOMIC · Backtests over scan.top"
    assert cells["/sweep/rows/0/value_text"] == "5 (base)"
    assert cells["/sweep/rows/1/adjusted_text"] == "0.120"
    assert not cells.get("/sweep/rows/0/difference_text")
    assert page.document["sweep"]["sentences"][0] == "Chance."


def test_the_day_shows_what_last_month_s_proposals_came_to():
    """Grade by grade, promised and realised; without any that is over there is no section."""
    told_ = told.page_document(record())
    document = {
        "scan": None, "signals": [], "what_now": [], "book": None, "missing": [], "scanned": [],
        "volatility": [], "meta": {"as_of": None, "kind": "day"},
        "track": {"month": "2026-10", **{name: told_[name] for name in
                                         ("groups", "last_month", "notes")}},
    }  # fmt: skip

    titles = [section.title for section in pages.day(document).sections]

    assert "What the proposals of 2026-10 came to" in titles
    without = pages.day({**document, "track": None}).sections
    assert len(without) == len(titles) - 1
