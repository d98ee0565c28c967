"""Positions managed on the marks of a small market, kept, and compared when they have ended."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest

from support.journal_entries import EXPIRY, LATER, at
from support.journal_market import LATE, Quotes, journal
from tomic.errors import RequestTimeout, UsageError
from tomic.models.moves import MoveKind
from tomic.present import journal as presented
from tomic.present.forms import Format
from tomic.store import Bars, Database
from tomic.workflows.journal import manage as managing, statistics, trades
from tomic.workflows.journal.manage import Manager
from tomic.workflows.journal.trades import EntryNotes, TradeTicket


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


async def add(book, text, *, quantity=1, price="5.00", rules=None):
    draft = trades.from_text(text, quantity=quantity)
    say = EntryNotes(rules={"negative_ev": "false", "min_dte": "none", **(rules or {})})
    return (await trades.add(book, draft, TradeTicket(price=price), say)).entry


PUT = "-1 SPY 2025-06-20 590P"


async def test_a_put_at_its_strike_is_rolled_by_rule(store):
    """The rule on a breached strike fires; the advice is what it asks for, with its costs."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, PUT, rules={"short_strike_breached": "true"})
    quotes.spot, quotes.at = 589.0, at(12)

    run = await managing.manage(Manager(book))

    (one,) = run.advice
    assert [signal.rule for signal in one.signals] == ["short_strike_breached"]
    assert one.best.kind in (MoveKind.CLOSE, MoveKind.ROLL)
    assert "short_strike_breached: spot 589.00 is beyond the short 590P" in one.best.reason
    assert one.best.spread_cost + one.best.commission > 0.0
    assert {MoveKind.CLOSE, MoveKind.ROLL} <= {move.kind for move in one.moves}
    assert run.fired and not run.is_partial


async def test_a_winner_at_its_target_is_closed(store):
    """With 55 % of the credit earned and 30 days left the target asks to close it."""
    quotes = Quotes()
    book = journal(store, quotes, costs={"commission": 0.0})
    await add(book, "short_put_spread SPY 560/550 2025-06-20", price="1.50")
    quotes.at, quotes.sigma = at(2), 0.139

    (one,) = (await managing.manage(Manager(book))).advice

    assert [signal.rule for signal in one.signals] == ["profit_target"]
    assert (one.best.kind, one.best.by_rule) == (MoveKind.CLOSE, True)
    assert one.best.locked_in == pytest.approx(one.pnl - one.best.spread_cost, abs=0.01)


async def test_several_positions_of_one_symbol_share_its_quotes(store):
    """One chain is asked for, whatever the number of positions in it."""
    quotes = Quotes()
    book = journal(store, quotes)
    for text in (PUT, "-1 SPY 2025-06-20 600C", "iron_condor SPY 550/560/620/630 2025-06-20"):
        await add(book, text, price="+2.00")
    quotes.asked.clear()

    run = await managing.manage(Manager(book), keep=False)

    assert len(run.advice) == 3
    assert quotes.asked == ["SPY"]


async def test_a_symbol_that_fails_costs_its_own_positions_only(store):
    """The others are judged, the failure is told, and the position says why."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, PUT)
    await add(book, "-1 QQQ 2025-06-20 590P")
    quotes.refusals = {"QQQ": LATE}

    run = await managing.manage(Manager(book))

    good, bad = run.advice
    assert good.best is not None
    assert (bad.moves, bad.problem) == ((), str(LATE))
    assert isinstance(run.errors["QQQ"], RequestTimeout)
    assert run.is_partial


async def test_which(store):
    """By number, by symbol, or not at all."""
    book = journal(store, Quotes())
    await add(book, PUT)
    await add(book, "-1 QQQ 2025-06-20 590P")
    manager = Manager(book)

    for which, ids in (("2", ["2"]), ("J-0002", ["2"]), ("spy", ["1"]), ("", ["1", "2"])):
        found = await managing.open_positions(manager, which)
        assert [one.held.id for one in found] == ids
    with pytest.raises(UsageError, match="no open position IWM"):
        await managing.open_positions(manager, "IWM")


async def test_an_expired_leg_is_to_be_recorded_first(store):
    """What is past its day cannot be traded."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, f"-1 SPY {EXPIRY} 590P, +1 SPY {LATER} 590P", price="-5.00")
    quotes.at, quotes.expiries = at(34), (LATER,)

    (one,) = (await managing.manage(Manager(book), "1")).advice

    assert "590P 2025-06-20 has expired: tomic journal close 1 --expired" in one.problem


async def test_a_calendar_past_its_front(store):
    """With its front recorded as expired the back is sold against, kept or closed."""
    quotes = Quotes(spot=596.0)
    book = journal(store, quotes)
    await add(book, f"-1 SPY {EXPIRY} 590P, +1 SPY {LATER} 590P", price="-5.00")
    weekly = LATER - dt.timedelta(days=7)
    quotes.at, quotes.expiries = at(34), (weekly, LATER)
    await trades.settle(book, 1, spot=596.0)

    (one,) = (await managing.manage(Manager(book), "1")).advice

    assert one.problem == ""
    write = next(move for move in one.moves if move.kind is MoveKind.WRITE)
    assert [(leg.quantity, leg.strike, leg.expiry) for leg in write.trades] == [(-1, 590.0, weekly)]


async def test_offline_without_a_stored_chain(store):
    """It says so, and what to do."""
    book = journal(store, Quotes())
    await add(book, PUT)

    run = await managing.manage(Manager(journal(store, None, now=at(1))))

    assert "no chain is stored" in str(run.errors["SPY"])


async def test_what_was_shown_is_kept_and_compared(store):
    """When all alternatives have expired the history says what each would have brought."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, PUT, quantity=2)
    quotes.spot, quotes.at = 589.0, at(12)
    await managing.manage(Manager(book))
    await managing.manage(Manager(book))
    before = await statistics.alternatives(book)
    assert (before.records, before.waiting) == ((), 2)
    waiting = presented.report(await statistics.report(book), Format.TABLE)
    assert "alternatives shown: none has ended yet, 2 wait for their last expiry" in waiting

    quotes.at = dt.datetime(2025, 7, 21, 15, 0, tzinfo=dt.UTC)
    unpriced = await statistics.alternatives(book)
    assert unpriced.unpriced == ("SPY",)
    closes = {EXPIRY: 580.0, LATER: 600.0, LATER + dt.timedelta(days=1): 600.0}
    await store.history.save_bars(_bars(closes))

    after = await statistics.alternatives(book)

    assert (after.settled, after.waiting) == (2, 0)
    ended = {record.kind: record for record in after.records}
    assert ended[MoveKind.HOLD].n == 1
    assert ended[MoveKind.CLOSE].change > 0.0
    assert ended[MoveKind.ROLL].change > ended[MoveKind.CLOSE].change
    assert ended[MoveKind.ROLL].better == 1.0
    report = await statistics.report(book)
    assert report.alternatives == after
    text = presented.report(report, Format.TABLE)
    roll = ended[MoveKind.ROLL]
    assert "alternatives shown: 2 looks have ended" in text
    assert f"  hold: result {ended[MoveKind.HOLD].result:+,.2f} USD · first" in text
    assert f"beside holding {roll.change:+,.2f} (expected {roll.expected:+,.2f})" in text
    stated = json.loads(presented.report(report, Format.JSON))["alternatives"]["records"]
    assert {(one["kind"], one["change"]) for one in stated} >= {(roll.kind, roll.change)}


def _bars(closes: dict[dt.date, float]) -> Bars:
    close = np.array(list(closes.values()))
    days = np.array(list(closes), dtype="datetime64[D]")
    return Bars("SPY", days, close, close, close, close, np.full(close.size, np.nan))
