"""Checks, snapshots and attributions of open entries on the marks of a small market."""

from __future__ import annotations

import datetime as dt

import pytest

from support.journal_entries import EXPIRY, LATER, OPENED, at
from support.journal_market import LATE, Quotes, journal
from tomic.errors import RequestTimeout
from tomic.journal import campaign
from tomic.models import QuoteSource, VolSnapshot
from tomic.models.journal import Verdict
from tomic.store import Database, Dividend, Earnings
from tomic.workflows.journal import entries as journals, review, trades
from tomic.workflows.journal.trades import EntryNotes, TradeTicket

SPREAD = "short_put_spread SPY 560/550 2025-06-20"
FREE = {"costs": {"commission": 0.0}}


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


async def add(book, text=SPREAD, *, quantity=1, price="1.50", rules=None):
    draft = trades.from_text(text, quantity=quantity)
    say = EntryNotes(rules={"negative_ev": "false", **(rules or {})})
    return (await trades.add(book, draft, TradeTicket(price=price), say)).entry


async def verdicts(book) -> list[Verdict]:
    return [one.verdict for one in (await review.check(book)).checks]


def fired(found) -> list[str]:
    return [signal.rule for one in found.checks for signal in one.signals]


# -- check -----------------------------------------------------------------------------------


async def test_every_rule_judged_on_fresh_marks_holds(store):
    """Only then the verdict is to hold."""
    book = journal(store, Quotes(), **FREE)
    await add(book)

    found = await review.check(book)

    (one,) = found.checks
    assert (one.verdict, one.signals, one.unjudged) == (Verdict.HOLD, (), ())
    assert (one.dte, one.entry_id, found.as_of) == (32, 1, OPENED)
    assert not found.fired
    assert not found.is_partial


async def test_profit_target_of_two_contracts(store):
    """1.50 on two contracts with a target of half fires from 150 currency of profit."""
    quotes = Quotes(spread=0.02)
    book = journal(store, quotes, **FREE)
    await add(book, quantity=2, rules={"min_dte": "none"})
    quotes.at = at(8)

    quotes.sigma = 0.190
    before = await review.check(book)
    quotes.sigma = 0.150
    after = await review.check(book)

    assert before.checks[0].pnl < 150.0 < after.checks[0].pnl
    assert fired(before) == []
    assert fired(after) == ["profit_target"]
    assert after.checks[0].verdict is Verdict.ACT
    assert after.checks[0].share_of_premium == pytest.approx(after.checks[0].pnl / 300.0)


async def test_stop_and_tested_strike(store):
    """A fall fires the stop and what looks at spot and delta, most urgent first."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    rules = {"short_strike_breached": "true", "short_delta": "0.4", "spot_below": "556"}
    await add(book, price="1.00", rules=rules)
    quotes.spot, quotes.sigma, quotes.at = 552.0, 0.25, at(3)

    found = await review.check(book)

    assert fired(found) == ["stop", "short_strike_breached", "spot_below", "short_delta"]
    stop = found.checks[0].signals[0]
    assert stop.limit == 2.0
    assert stop.observed == pytest.approx(-found.checks[0].pnl / 100.0)


async def test_days_left(store):
    """21 days before expiry the default rule fires; 22 days before it does not."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book, rules={"profit_target": "none"})

    quotes.at = dt.datetime(2025, 5, 29, 15, 0, tzinfo=dt.UTC)
    assert fired(await review.check(book)) == []
    quotes.at = dt.datetime(2025, 5, 30, 15, 0, tzinfo=dt.UTC)
    assert fired(await review.check(book)) == ["min_dte"]


async def test_negative_expected_value_of_holding(store):
    """Held short below the smile, a position loses on average; held long there, it earns."""
    quotes = Quotes(odd={560.0: -1.0})
    book = journal(store, quotes, **FREE)
    rules = {"negative_ev": "true", "profit_target": "none", "stop": "none"}
    await add(book, "-1 SPY 2025-06-20 560P", price="2.00", rules=rules)
    await add(book, "+1 SPY 2025-06-20 560P", price="2.00", rules=rules)

    short, long = (await review.check(book)).checks

    assert [signal.rule for signal in short.signals] == ["negative_ev"]
    assert short.signals[0].observed < -50.0
    assert long.verdict is Verdict.HOLD


async def test_iv_up_since_entry(store):
    """Implied volatility at entry is kept, so a rise of five points is seen."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    one = await add(book, rules={"iv_rise": "0.05", "stop": "none"})
    assert one.context.iv == pytest.approx(0.17, abs=0.003)

    quotes.sigma = 0.215
    assert fired(await review.check(book)) == []
    quotes.sigma = 0.225
    assert fired(await review.check(book)) == ["iv_rise"]


async def test_earnings_and_dividends_of_the_calendar(store):
    """Dates from the store count; a call that pays to be exercised is named."""
    quotes = Quotes(spot=612.0)
    book = journal(store, quotes, **FREE)
    await add(book, "short_call_spread SPY 600/610 2025-06-20", price="6.00",
              rules={"stop": "none", "min_dte": "none"})  # fmt: skip
    await store.calendar.save_earnings([Earnings("SPY", at(11).date(), "csv")])
    await store.calendar.save_dividends([Dividend("SPY", at(11).date(), 20.0, "csv")])

    assert fired(await review.check(book)) == []
    quotes.at = at(9)
    found = await review.check(book)

    assert fired(found) == ["dividend_days", "earnings_days"]
    assert found.checks[0].notes == ()


async def test_an_unknown_earnings_date_is_said_once(store):
    """It keeps nothing from being held, and no entry repeats it."""
    book = journal(store, Quotes(), **FREE)
    await add(book)
    await add(book)

    found = await review.check(book)

    assert [one.notes for one in found.checks] == [(), ()]
    assert found.lack_earnings == ("SPY",)


@pytest.mark.parametrize(("stock_type", "lacking"), [("ETF", ()), ("COMMON", ("SPY",))])
async def test_funds_have_no_earnings(store, stock_type, lacking):
    """What IB calls a fund is not named among those whose date is unknown."""
    book = journal(store, Quotes(stock_type=stock_type), **FREE)
    await add(book)

    assert (await review.check(book)).lack_earnings == lacking


async def test_a_trade_on_its_day_of_entry_is_held(store):
    """Taken at the middle of quotes 10 cents wide: their noise is no reason to close."""
    quotes = Quotes()
    book = journal(store, quotes)
    price = round(quotes.price(560.0, "P") - quotes.price(550.0, "P"), 2)
    await add(book, price=f"{price}", rules={"negative_ev": "true"})

    assert fired(await review.check(book)) == []


async def test_a_check_says_what_to_type(store):
    """Half of a credit of 1.50, and three times of it; 21 days before 20 June is 30 May."""
    book = journal(store, Quotes(), **FREE)
    await add(book)

    levels = (await review.check(book)).checks[0].levels

    assert (levels.take, levels.stop) == (-0.75, -4.50)
    assert levels.last_day == dt.date(2025, 5, 30)


@pytest.mark.parametrize("source", [QuoteSource.FROZEN, QuoteSource.CLOSE, QuoteSource.STORED])
async def test_old_marks_are_never_a_reason_to_hold(store, source):
    """Where nothing fires on marks that are not live, the verdict is stale, and why is said."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.source = source

    (one,) = (await review.check(book)).checks

    assert one.verdict is Verdict.STALE
    assert f"marks are {source.value}, not live" in one.notes


async def test_old_marks_still_fire(store):
    """A stop that is broken on yesterday's close is broken."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book, price="1.00")
    quotes.spot, quotes.source = 545.0, QuoteSource.CLOSE

    found = await review.check(book)

    assert fired(found) == ["stop"]
    assert found.checks[0].verdict is Verdict.ACT


async def test_delayed_marks_are_fresh_enough_and_said(store):
    """A quarter of an hour matters to no rule of days or halves, but the trader is told."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.source = QuoteSource.DELAYED

    (one,) = (await review.check(book)).checks

    assert one.verdict is Verdict.HOLD
    assert "marks are delayed by some 15 minutes" in one.notes


async def test_a_leg_that_nobody_quotes_is_valued_and_said(store):
    """The smile stands in for a missing quote; that is no reason to hold."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.missing = frozenset({550.0})

    (one,) = (await review.check(book)).checks

    assert one.verdict is Verdict.STALE
    assert one.pnl is not None
    assert "no quote of 550P 2025-06-20, valued by the smile" in one.notes


async def test_a_silent_gateway_leaves_days_to_be_judged(store):
    """Without any mark P&L rules are unjudged, the clock's are not, and the error is kept."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.refusals, quotes.at = {"SPY": LATE}, at(1)

    found = await review.check(book)
    (one,) = found.checks

    assert one.verdict is Verdict.UNJUDGED
    assert {signal.rule for signal in one.unjudged} == {"stop", "profit_target"}
    assert one.notes[0] == "no marks: SPY quotes: no answer within 3 s"
    assert isinstance(found.errors["SPY"], RequestTimeout)
    assert found.is_partial
    quotes.at = at(15)
    assert fired(await review.check(book)) == ["min_dte"]


async def test_one_symbol_without_marks_leaves_the_others(store):
    """A broken symbol costs its own entries only."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    await add(book, "short_put_spread QQQ 560/550 2025-06-20")
    quotes.refusals = {"QQQ": LATE}

    assert await verdicts(book) == [Verdict.HOLD, Verdict.UNJUDGED]


async def test_an_expired_entry_is_to_be_recorded(store):
    """Options past their day are not asked for; the rule of days says what to do."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.at = at(40)

    found = await review.check(book)

    assert fired(found) == ["min_dte"]
    assert found.checks[0].signals[0].advice == "expired: record what became of it"
    assert "lists none of the expiries held" in str(found.errors["SPY"])


async def test_closed_entries_are_not_checked(store):
    """Only what is open is judged, also when it is named."""
    book = journal(store, Quotes(), **FREE)
    await add(book)
    await trades.close(book, 1, TradeTicket(price="0.50"))

    assert (await review.check(book)).checks == ()
    assert (await review.check(book, [1])).checks == ()


async def test_a_calendar_is_judged_over_both_expiries(store):
    """The expected value of holding revalues the later leg when the first expires."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    text = "calendar SPY 595P 2025-06-20/2025-07-18"
    await add(book, text, price="5.00", rules={"negative_ev": "true"})

    (one,) = (await review.check(book)).checks

    assert one.unjudged == ()
    assert one.dte == 32


async def test_marks_of_each_day_are_kept_once(store):
    """A check in cron leaves a snapshot a day, so that yesterday can be looked back on."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)

    for day in (1.0, 1.1, 2.0):
        quotes.at = at(day)
        await review.check(book)
    await review.check(book, keep=False)

    one = await journals.load(book, 1)
    assert [shot.at for shot in one.snapshots] == [at(0), at(1), at(2)]
    assert all(shot.pnl is not None for shot in one.snapshots)


# -- after an assignment ---------------------------------------------------------------------


async def assigned(book, quotes, *, spot=535.0, rules=None):
    """A put sold for 3.00, assigned at 560 ten days later."""
    await add(
        book, "-1 SPY 2025-06-20 560P", price="3.00", rules={"min_dte": "none", **(rules or {})}
    )
    quotes.at, quotes.spot = at(10), spot
    (leg,) = campaign.held(await journals.load(book, 1))
    await trades.assign(book, 1, leg)


async def test_assigned_shares_count(store):
    """A put sold for 3.00, assigned at 560 with the shares at 535: a loss of 2,200, and a stop."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await assigned(book, quotes)

    found = await review.check(book)

    (one,) = found.checks
    assert one.pnl == pytest.approx(-2200.0)
    assert one.share_of_premium == pytest.approx(-2200.0 / 300.0)
    assert fired(found) == ["stop"]
    assert (one.dte, one.verdict) == (None, Verdict.ACT)


async def test_unmarked_shares_leave_the_rules_unjudged(store):
    """Without a price of the shares neither the profit target nor the stop is judged."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await assigned(book, quotes)
    quotes.refusals = {"SPY": LATE}

    (one,) = (await review.check(book)).checks

    assert one.signals == ()
    assert (one.verdict, one.pnl, one.share_of_premium) == (Verdict.UNJUDGED, None, None)
    assert {signal.text for signal in one.unjudged} == {
        "stop not judged: no marks of shares", "profit_target not judged: no marks of shares",
    }  # fmt: skip


async def test_a_profit_on_assigned_shares_is_one(store):
    """Where the shares have risen since, the target is met by what everything together made."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await assigned(book, quotes, spot=561.0)

    found = await review.check(book)

    assert found.checks[0].pnl == pytest.approx(400.0)
    assert fired(found) == ["profit_target"]


async def test_a_list_shows_no_marks_of_other_legs(store):
    """After an assignment or a roll, also of an earlier hour, old P&L, PoS and DTE are gone."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book, "-1 SPY 2025-06-20 560P", price="3.00")
    await add(book, "-1 SPY 2025-06-20 560P", price="3.00")
    before = await journals.listing(book)
    quotes.at = at(10)
    await review.check(book)
    marked = await journals.listing(book)
    quotes.at = at(10.1)
    (leg,) = campaign.held(await journals.load(book, 1))
    await trades.assign(book, 1, leg)
    rolled = trades.rolled_to(await journals.load(book, 2), LATER)
    await trades.roll(book, 2, rolled, {}, TradeTicket(price="+0.50", at=at(9)))

    after = await journals.listing(book)

    assert all(one["pos"] is not None and one["dte"] == 32 for one in before)
    assert all(one["pnl"] is not None for one in marked)
    assert [one["pnl"] for one in after] == [None, None]
    assert [one["pos"] for one in after] == [None, None]
    assert [one["dte"] for one in after] == [None, (LATER - at(10.1).date()).days]
    await review.check(book)
    assert all(one["pnl"] is not None for one in await journals.listing(book))


async def test_an_old_rank_judges_nothing(store):
    """IV rank of a fortnight ago is no IV rank of today."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book, rules={"iv_rank_below": "0.5"})
    await store.history.save_snapshots(VolSnapshot(symbol="SPY", as_of=at(0), iv_rank=0.3))
    quotes.refusals = {"SPY": LATE}

    assert "iv_rank_below" in fired(await review.check(book))
    quotes.at = at(14)
    (one,) = (await review.check(book)).checks

    assert "iv_rank_below" in {signal.rule for signal in one.unjudged}


# -- snapshots -------------------------------------------------------------------------------


async def test_snapshots_keep_what_is_seen(store):
    """Marks, volatility around them, Greeks and P&L; a note goes with it."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.at, quotes.sigma = at(2), 0.2

    (taken,) = await review.snapshot(book, note="after the fall")

    assert taken.problem == ""
    assert taken.snapshot.note == "after the fall"
    assert taken.snapshot.iv30 == pytest.approx(0.2, abs=0.003)
    value = quotes.price(550, "P") - quotes.price(560, "P")
    assert taken.snapshot.pnl == pytest.approx(150.0 + 100 * value, abs=0.01)
    assert (await journals.load(book, 1)).snapshots[-1] == taken.snapshot


async def test_snapshots_without_marks_say_so(store):
    """What cannot be quoted is a problem of its entry alone."""
    quotes = Quotes()
    book = journal(store, quotes, **FREE)
    await add(book)
    quotes.refusals = {"SPY": LATE}

    (taken,) = await review.snapshot(book)

    assert taken.snapshot is None
    assert taken.problem == "SPY quotes: no answer within 3 s"


# -- attribution -----------------------------------------------------------------------------


async def test_since_entry_and_since_yesterday(store):
    """Both accounts add up to the P&L, from the fill and from yesterday."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, quantity=2)
    quotes.at, quotes.spot = at(3), 588.0
    await review.snapshot(book)
    quotes.at, quotes.spot, quotes.sigma = at(4), 597.0, 0.16

    (found,) = await review.attribute(book)

    whole, last = found.since_entry, found.since_yesterday
    pnl = (await review.check(book, keep=False)).checks[0].pnl
    assert whole.total == pytest.approx(pnl, abs=1e-6)
    assert whole.costs == pytest.approx(-2.6)
    for part in (whole, last):
        rest = part.traded + part.costs
        greeks = part.delta + part.gamma + part.vega + part.theta + part.residual
        assert greeks + rest == pytest.approx(part.total, abs=1e-9)
        assert part.time + part.volatility + part.spot + rest == pytest.approx(part.total, abs=1e-9)
    assert (last.since, last.until) == (at(3), at(4))
    assert last.spot > 0.0
    assert last.volatility > 0.0
    assert last.time > 0.0


async def test_what_is_missing_for_an_attribution(store):
    """Without marks at entry or of an earlier day the lines are missing, and it is said."""
    quotes = Quotes(refusals={"SPY": LATE})
    book = journal(store, quotes, **FREE)
    await add(book)
    nothing = (await review.attribute(book))[0]
    quotes.refusals = {}

    (found,) = await review.attribute(book)

    assert nothing.since_entry is None
    assert "no snapshot with marks is stored" in nothing.notes
    assert found.since_entry is found.since_yesterday is None
    assert found.notes == ("no marks were taken at entry", "no snapshot of an earlier day")


async def test_a_closed_entry_is_accounted_for(store):
    """The snapshots of its trades suffice: the total is its result."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book)
    quotes.at, quotes.spot = at(5), 600.0
    legs = trades.rolled_to(await journals.load(book, 1), LATER)
    await trades.roll(book, 1, legs, {}, TradeTicket(price="+0.80"))
    quotes.at, quotes.sigma = at(9), 0.15
    done = (await trades.close(book, 1, TradeTicket(price="1.10"))).entry

    (found,) = await review.attribute(book, [1])

    from tomic.journal import campaign

    assert found.since_entry.total == pytest.approx(campaign.result(done), abs=1e-6)
    assert found.since_entry.costs == pytest.approx(-8 * 0.65)


def test_expiries_of_the_small_market():
    """The fixtures quote the two expiries that these tests hold."""
    assert Quotes().expiries == (EXPIRY, LATER)
