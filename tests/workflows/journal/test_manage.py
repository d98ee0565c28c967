"""Positions managed on the marks of a small market, kept, and compared when they have ended."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import numpy as np
import pytest

from support.journal_entries import EXPIRY, LATER, at
from support.journal_market import LATE, Quotes, journal
from tomic.config import Settings
from tomic.errors import RequestTimeout, UsageError
from tomic.models import Underlying
from tomic.models.book import AccountSummary, Book, Position
from tomic.models.journal import Held
from tomic.models.moves import MoveKind
from tomic.portfolio.fit import BookFit
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


async def test_a_put_that_will_be_assigned(store):
    """The rule closes or rolls it; taking the shares and writing the call stands beside, priced."""
    quotes = Quotes()
    book = journal(store, quotes, manage={"only_credit": False, "max_delta": 1.0})
    await add(book, PUT, rules={"short_strike_breached": "true", "stop": "none"})
    quotes.spot, quotes.sigma, quotes.at = 545.0, 0.13, at(12)

    (one,) = (await managing.manage(Manager(book))).advice

    assert [signal.rule for signal in one.signals] == ["short_strike_breached"]
    assert one.best.by_rule and one.best.kind in (MoveKind.CLOSE, MoveKind.ROLL)
    assert one.best.locked_in < -3_500.0
    taken = next(move for move in one.moves if move.kind is MoveKind.ASSIGNMENT)
    assert not taken.by_rule and taken.reason.startswith("EV ")
    (call,) = taken.trades
    assert (call.quantity, call.right, call.strike >= 590.0) == (-1, "C", True)
    assert {(leg.sec_type, leg.quantity) for leg in taken.legs} == {("STK", 100), ("OPT", -1)}
    # Half of the shares; 500 came in, 59,000 go out for what is worth 54,500.
    assert taken.margin == pytest.approx(0.5 * 54_500.0)
    premium = 100.0 * taken.mid - taken.spread_cost - taken.commission
    assert taken.net_credit == pytest.approx(499.35 - 4_500.0 + premium, abs=0.01)


async def test_an_assigned_put_writes_the_call(store):
    """Nothing fired: holding wins; the call against the shares is there, with its order."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, PUT)
    quotes.spot, quotes.at = 580.0, at(12)
    (own,) = await managing.open_positions(Manager(book))
    await trades.assign(book, 1, own.held.options[0].model_copy(update={"quantity": 1.0}))

    (one,) = (await managing.manage(Manager(book))).advice

    assert one.held == ("+100 shares",)
    assert one.pnl == pytest.approx(-500.65, abs=0.01)
    assert one.best.kind is MoveKind.HOLD
    write = next(move for move in one.moves if move.kind is MoveKind.WRITE)
    (call,) = write.trades
    assert (call.quantity, call.right, call.expiry) == (-1, "C", LATER)
    assert write.limit > 0.0 and write.margin == pytest.approx(0.5 * 58_000.0)
    assert write.locked_in == pytest.approx(499.35 - write.spread_cost - write.commission, abs=0.01)
    assert "beside holding" in write.reason


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


def fit_of(at, *positions):
    """A book of these alone, as it is saved."""
    accounts = (AccountSummary(account="DU1", net_liquidation=1e5, excess_liquidity=5e4),)
    book = Book(as_of=at, accounts=accounts, positions=positions, marks={}, markets={})
    return BookFit(book, Settings())


def held_of(symbol, quantity=-1.0, strike=590.0, expiry=EXPIRY, **more):
    fields = {
        "account": "DU1", "symbol": symbol, "sec_type": "OPT", "quantity": quantity,
        "right": "P", "strike": strike, "expiry": expiry, "multiplier": 100.0,
        "trading_class": symbol, "average_cost": 5.0,
    }  # fmt: skip
    return Position(**{**fields, **more})


async def test_a_book_of_odd_things(store):
    """What cannot be judged is named, with its reason; nothing is guessed, and the rest goes on."""
    quotes = Quotes(at=at(12), missing=frozenset({600.0}))
    shares = {"sec_type": "STK", "multiplier": 1.0, "right": None, "strike": None, "expiry": None}
    future = {"sec_type": "FUT", "right": None, "strike": None, "multiplier": 50.0}
    fit = fit_of(
        quotes.at,
        held_of("KO", 300.0, **{**shares, "average_cost": None}),
        held_of("ES", 1.0, **future),
        held_of("ES", strike=5900.0, sec_type="FOP", multiplier=50.0),
        held_of("ASML@AEB", currency="EUR"),
        held_of("MINI", multiplier=10.0),
        held_of("QQQ", -0.5),
        held_of("SPY", strike=600.0),
        held_of("SPY", expiry=dt.date(2025, 5, 23)),
    )

    run = await managing.manage(Manager(journal(store, quotes), book=fit))

    by_held = {one.held[0]: one for one in run.advice}
    problems = {name: one.problem for name, one in by_held.items()}
    assert problems == {
        "+300 shares": "",
        "+ES FUT": "ES FUT is neither an option nor shares: look at it in TWS",
        "-1 5900P 2025-06-20": "no quote of 5900P 2025-06-20",
        "-1 590P 2025-06-20": "held in EUR, quoted in USD: its money cannot be added",
        "-MINI 2025-06-20 590P": "MINI 2025-06-20 590P: adjusted contract (class MINI, "
        "multiplier 10): what it delivers is unknown",
        "-QQQ 2025-06-20 590P": "QQQ 2025-06-20 590P: -0.5 contracts are no whole number",
        "-1 600P 2025-06-20": "",
    }
    assert all((not one.moves, one.pnl) == (True, None) for one in run.advice if one.problem)
    unpriced, owned = by_held["-1 600P 2025-06-20"], by_held["+300 shares"]
    assert "no quote of 600P 2025-06-20, valued by the smile" in unpriced.notes
    assert {leg.bid for leg in unpriced.moves[0].trades} == {None}
    assert owned.pnl is None and owned.best.locked_in is None
    assert "its cost is not known: no exit rule was judged, and success counts from now" in (
        owned.notes
    )
    assert any(move.kind is MoveKind.WRITE for move in owned.moves)
    assert run.notes[1] == (
        "in no position: -1 SPY 2025-05-23 590P: expired 2025-05-23, still listed"
    )
    assert run.is_partial and not run.errors


async def test_two_classes_of_an_index_are_two_chains(store):
    """SPX of the morning is not SPXW of the afternoon, though day and strike are the same."""
    quotes = Quotes(at=at(12), sec_type="IND")
    asked = []

    async def fetch(symbol, settings, choose):
        asked.append((symbol, settings.chain.trading_class))
        return await quotes.fetch(symbol, settings, choose)

    book = dataclasses.replace(journal(store, quotes), fetch=fetch)
    fit = fit_of(quotes.at, held_of("SPX"), held_of("SPX", strike=580.0, trading_class="SPXW"))

    run = await managing.manage(Manager(book, book=fit), keep=False)

    assert sorted(asked) == [("SPX", "SPX"), ("SPX", "SPXW")]
    assert [one.problem for one in run.advice] == ["", ""]


@pytest.mark.parametrize(
    ("symbol", "sec_type", "currency"),
    [("SPY", "STK", "USD"), ("ASML@AEB", "STK", ""), ("VUSA@LSE", "STK", "USD"),
     ("SPX", "IND", "USD"), ("ES@CME", "FUT", ""), ("HOUSE", "IND", "EUR")],
)  # fmt: skip
async def test_what_an_entry_is_written_on(store, symbol, sec_type, currency):
    """Its currency is that of its listing; where nobody told it, it is not the dollar."""
    market = {"listings": {"VUSA@LSE": "VUSA@LSE USD"}, "indices": {"HOUSE": "HOU@FTA EUR"}}
    if symbol == "VUSA@LSE":
        market["listings"], symbol = {"VUSA": "VUSA@LSE USD"}, "VUSA"
    book = journal(store, None, market=market)

    under = book.underlying(symbol)

    assert (under.sec_type, under.currency) == (sec_type, currency)


async def test_an_entry_keeps_the_currency_of_its_options(store):
    """As the market quotes it, as TWS told it once, or not at all."""
    offline = journal(store, None)
    put = Held(expiry=EXPIRY, strike=590.0, right="P", quantity=-1.0)
    draft = trades.Draft("ASML@AEB", "short_put", (put,))
    unknown = await trades.add(offline, draft, TradeTicket(price="5.00"), EntryNotes())
    told = Underlying(
        symbol="ASML@AEB", con_id=7, currency="EUR", time_zone="Europe/Amsterdam", exchange="AEB"
    )
    await store.contracts.save_underlying(told, at(0).date())
    known = await trades.add(offline, draft, TradeTicket(price="5.00"), EntryNotes())
    await add(journal(store, Quotes()), PUT)

    assert [one.entry.currency for one in (unknown, known)] == ["", "EUR"]
    assert (await offline.known_underlying("ASML@AEB")).time_zone == "Europe/Amsterdam"
    assert (await managing.open_positions(Manager(offline), "SPY"))[0].held.currency == "USD"


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
    close = next(move for move in one.moves if move.kind is MoveKind.CLOSE)
    assert close.locked_in == pytest.approx(
        one.pnl - close.spread_cost - close.commission, abs=0.01
    )
    # A long put of 18 days is worth 45 % more than the calendar cost: the target takes it.
    assert one.best == close
    assert close.reason.startswith("profit_target: profit 45% of the debit")


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
