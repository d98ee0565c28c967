"""The desk in a notebook: verbs on what it gives, and every result as a DataFrame."""

from __future__ import annotations

import asyncio
import datetime as dt

import numpy as np
import pandas as pd
import pytest

import tomic
from conftest import settings_in
from tomic.config import Settings
from tomic.desk import Desk
from tomic.errors import DataError, UsageError
from tomic.models.frames import Rows, frame_of
from tomic.models.journal import EntryStatus

MINE = tomic.Template(
    name="mine",
    outlook="a short put spread of my own",
    side="bullish",
    dte=(20, 60),
    credit_required=True,
    legs=(
        tomic.LegRule("short_put", "P", -1, tomic.DeltaBand(-0.40, -0.10)),
        tomic.LegRule("long_put", "P", +1, tomic.Below("short_put", sigmas=(0.25, 2.0))),
    ),
)
SMALL = {"method": "thinned", "max_contracts": 60, "keep_to_exits": False}


def small(folder) -> Settings:
    return settings_in(folder, scan=SMALL)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """One scan of a strategy of one's own, kept and taken into the journal."""
    folder = tmp_path_factory.mktemp("notebook")

    async def scan():
        async with Desk(small(folder), demo=True, demo_store=folder / "demo.db") as desk:
            result = await desk.scan("SPY", strategies=[MINE], top=3)
            assert desk.settings.strategies == {}
            kept = await desk.proposal(result.proposals[0].id)
            journal = await desk.journal()
            recorded = await journal.add(result.proposals[0], plan="hold", tags="own, test")
            return result, kept, recorded

    return asyncio.run(scan())


def test_a_template_is_searched(scanned):
    """The scan finds trades of it, keeps them, and the journal calls them by its name."""
    result, kept, recorded = scanned

    assert {proposal.strategy for proposal in result.proposals} == {"mine"}
    assert result.scope.strategies == ("mine",)
    assert kept == result.proposals[0]
    assert (recorded.entry.strategy, recorded.entry.tags) == ("mine", ("own", "test"))


def test_a_scan_as_a_frame(scanned):
    """A row a proposal, days as days, parts of a proposal under their own name."""
    result, _, _ = scanned

    frame = result.to_frame()

    assert list(frame["rank"]) == [1, 2, 3][: len(frame)]
    assert frame.expiry.dtype.kind == "M" and frame.ev.dtype == np.float64
    assert list(frame.trade) == [proposal.trade for proposal in result.proposals]
    assert frame.managed_p_target.tolist() == [p.managed.p_target for p in result.proposals]
    frame["ev"] = 0.0
    assert result.to_frame().ev.tolist() == [proposal.ev for proposal in result.proposals]


async def test_verbs_of_the_journal(tmp_path):
    """Opened, rolled, closed in part and whole, counted: without a function of any other module."""
    day = dt.datetime(2026, 11, 2, 18, 0, tzinfo=dt.UTC)
    async with Desk(small(tmp_path), demo=True) as desk:
        journal = await desk.journal(offline=True)
        text = "SPY short_put_spread 560/550 2026-12-18"
        first = await journal.add(text, price=1.10, quantity=2, at=day, rules={"stop": 1.5})
        number = first.entry.id
        rolled = await journal.roll(
            number, to="2027-01-15", price="+0.35", at=day + dt.timedelta(days=1)
        )
        part = await journal.close(number, price=0.60, structures=1, at=day + dt.timedelta(days=2))
        noted = await journal.note(number, "half is out")
        done = await journal.close(number, price="-0.40", at=day + dt.timedelta(days=3))
        second = await journal.add("-1 SPY 2026-12-18 540P", price=1.0, at=day, strategy="hope")
        stats = await journal.stats("strategy")
        rows = await journal.summaries()
        open_only = await journal.entries("open")

        assert await journal.entry(number) == done.entry

    assert rolled.entry.trades[-1].action == "roll"
    assert part.entry.status is EntryStatus.OPEN
    assert noted.notes[-1].text == "half is out"
    assert done.entry.status is EntryStatus.CLOSED
    assert second.entry.strategy == "hope"
    assert [entry.id for entry in open_only] == [second.entry.id]
    frame = rows.to_frame().set_index("id")
    assert frame.status.to_dict() == {1: "closed", 2: "open"}
    # Twice 1.10 and .35 received, .60 and .40 paid, less commissions.
    assert frame.result[1] == pytest.approx(100 * (2 * 1.45 - 1.0) - frame.commissions[1])
    assert frame.expiry[1] == pd.Timestamp("2026-12-18") or frame.expiry[1].year == 2027
    assert stats.to_frame().label.tolist() == ["all", "short_put_spread"]
    assert "closed campaigns" in stats._repr_html_()


async def test_bars_and_volatility_of_a_symbol(tmp_path):
    """Brought up to date first, then from the store alone; indexed by day."""
    async with Desk(small(tmp_path), demo=True, demo_store=tmp_path / "demo.db") as desk:
        bars = await desk.bars("spy", days=60)
        again = await desk.bars("SPY", days=60, stored=True)
        volatility = await desk.iv("SPY", days=20, stored=True)
        with pytest.raises(DataError, match=r"no chain30 of SPY stored"):
            await desk.iv("SPY", kind="chain30", stored=True)
        reports = await desk.vols("SPY", stored=True)
        past = await desk.vol_history("SPY", 5)

    frame = bars.to_frame()
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert isinstance(frame.index, pd.DatetimeIndex) and len(frame) == 60
    pd.testing.assert_frame_equal(frame, again.to_frame())
    frame["close"] = 0.0
    assert (bars.to_frame().close > 0.0).all()
    series = volatility.to_series()
    assert (series.name, len(series)) == ("SPY", 20)
    assert list(volatility.to_frame()) == ["ib30"]
    row = reports.to_frame().iloc[0]
    assert (row.symbol, row.iv30) == ("SPY", reports[0].snapshot.iv30)
    assert list(past.to_frame().columns)[:3] == ["day", "close", "hv30"]
    assert "volatilities and ranks are fractions" in reports[0]._repr_html_()


async def test_the_portfolio_as_frames(tmp_path):
    """A row a structure; stress over moves of spot by days and volatility, whole or by symbol."""
    async with Desk(small(tmp_path), demo=True) as desk:
        review = await desk.portfolio(each_symbol=True)

    frame, grid = review.to_frame(), review.stress()
    assert list(frame.id) == [structure.id for structure in review.review.structures]
    assert frame.greeks_delta.tolist() == [s.greeks.delta for s in review.review.structures]
    cells = grid.to_frame()
    assert cells.index.names == ["days", "vol"] and cells.columns.name == "spot"
    assert cells.loc[(grid.days[1], grid.vol_moves[2]), grid.spot_moves[3]] == grid.pnl[3][2][1]
    assert review.stress("spy").name == "SPY"
    with pytest.raises(UsageError, match="no stress grid of IBM; there are"):
        review.stress("IBM")
    for shown in (review, review.review, grid):
        assert "<table" in shown._repr_html_()


def test_frames_of_anything():
    """Missing numbers are NaN, days are days, and what has no rows is an empty frame."""
    rows = Rows([
        {"day": dt.date(2026, 1, 2), "value": 1, "tags": ("a", "b"), "none": None},
        {"day": None, "value": None, "tags": (), "none": None},
    ])  # fmt: skip

    frame = rows.to_frame()

    assert frame.day.dtype.kind == "M" and pd.isna(frame.day[1])
    assert frame.value.isna().tolist() == [False, True]
    assert frame.none.isna().all() and frame.tags.tolist() == ["a; b", ""]
    assert frame_of([]).empty
    assert rows[0]["value"] == 1 and "<table" in rows._repr_html_()


def test_public_names_hold_what_a_desk_gives():
    """Every type that a method of the desk returns can be named from `tomic`."""
    given = {
        "DeskJournal", "Bars", "VolSeries", "StressGrid", "BookReview", "JournalReport", "CheckRun",
        "ManageRun", "HistoryRun", "VolReport", "PastDay", "PortfolioReview", "Rows", "Template",
        "LegRule", "DeltaBand", "Below", "Above", "AtTheMoney", "Moneyness", "SameStrike", "Mirror",
        "Wider", "catalogue", "Book", "Position", "book_of", "review_book",
    }  # fmt: skip

    assert given <= set(tomic.__all__)
    assert all(getattr(tomic, name).__doc__ for name in given)
