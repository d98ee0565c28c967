"""The journal over a store and a small market: opened, rolled, closed, corrected, kept."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from dataclasses import replace

import pytest

from support.journal_entries import EXPIRY, LATER, OPENED, at
from support.journal_market import LATE, Quotes, journal
from tomic.errors import RequestTimeout, StoreError, UsageError
from tomic.ib import account
from tomic.journal import campaign
from tomic.models.journal import Action, EntryStatus, JournalEntry
from tomic.store import Bars, Database
from tomic.workflows.journal import entries as journals, trades
from tomic.workflows.journal.trades import EntryNotes, TradeTicket

CONDOR = "iron_condor SPY 550/560/620/630 2025-06-20"
SPREAD = "short_put_spread SPY 560/550 2025-06-20"


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


async def add(book, text=SPREAD, *, quantity=1, wish=None, say=None):
    draft = trades.from_text(text, quantity=quantity)
    return await trades.add(book, draft, wish or TradeTicket(), say or EntryNotes())


# -- opening ---------------------------------------------------------------------------------


async def test_positions_become_legs(store, session):
    """Contract ids of what is held, at their average cost; one entry is one symbol."""

    async def opened():
        return session

    book = replace(journal(store, Quotes()), session=opened)
    held = await account.positions(session, timeout_s=60.0)
    option = next(one for one in held if one.is_option)
    other = next(one for one in held if one.symbol != option.symbol)

    draft = await trades.from_positions(book, [option.con_id])

    (leg,) = draft.legs
    assert (draft.symbol, leg.con_id, leg.strike) == (option.symbol, option.con_id, option.strike)
    assert draft.prices == {leg.key: option.average_cost}
    with pytest.raises(UsageError, match=rf"no position with id 1; there are .*{option.con_id}"):
        await trades.from_positions(book, [1])
    with pytest.raises(UsageError, match="one entry is one symbol"):
        await trades.from_positions(book, [option.con_id, other.con_id])


async def test_positions_need_a_gateway(store):
    """Offline there is nobody to say what is held."""
    with pytest.raises(UsageError, match="leave out offline"):
        await trades.from_positions(journal(store, None), [5])


async def test_an_entry_takes_its_context_with_it(store):
    """Marks, Greeks, margin, PoS and EV are there without being typed."""
    book = journal(store, Quotes())

    found = await add(
        book, CONDOR, quantity=2, say=EntryNotes(plan="hold to 21 days", tags=("test",))
    )

    one, context = found.entry, found.entry.context
    assert (one.id, one.strategy, one.symbol) == (1, "iron_condor", "SPY")
    assert (one.plan, one.tags, one.opened_at) == ("hold to 21 days", ("test",), OPENED)
    assert (context.spot, context.source) == (593.0, "live")
    assert 0.6 < context.pos < 0.95
    assert context.margin == pytest.approx(2000.0 - campaign.premium(one) + 5.2, abs=0.1)
    assert context.theta > 0.0 > context.vega
    assert context.max_loss == pytest.approx(context.margin, rel=0.01)
    (seen,) = one.snapshots
    assert seen.at == OPENED
    assert len(seen.legs) == 4
    assert all(leg.price is not None and leg.iv is not None for leg in seen.legs)
    assert {leg.name for leg in campaign.held(one)} == {
        "550P 2025-06-20", "560P 2025-06-20", "620C 2025-06-20", "630C 2025-06-20",
    }  # fmt: skip


async def test_without_a_price_the_market_is_taken(store):
    """Half of each half-spread is given away, and what that cost is known."""
    quotes = Quotes()

    one = (await add(journal(store, quotes))).entry

    at_mid = quotes.price(560, "P") - quotes.price(550, "P")
    assert one.trades[0].price == pytest.approx(at_mid - 2 * 0.5 * 0.05, abs=1e-4)
    assert campaign.slippage(one) == pytest.approx(5.0, abs=0.01)
    assert campaign.commissions(one) == pytest.approx(1.3)


async def test_a_price_that_was_named_counts(store):
    """The sign follows from the structure; the middle of the market is kept beside it."""
    quotes = Quotes()

    one = (await add(journal(store, quotes), wish=TradeTicket(price="1.50"))).entry

    assert one.trades[0].price == 1.5
    assert campaign.premium(one) == 150.0
    assert one.trades[0].fills[0].mid is not None


async def test_prices_of_legs(store):
    """``@3.10`` behind a leg is its price; nobody needs to be asked."""
    book = journal(store, None)

    found = await add(book, "-1 SPY 2025-06-20 560P @3.10, +1 SPY 2025-06-20 550P @1.60")

    assert campaign.premium(found.entry) == pytest.approx(150.0)
    assert found.entry.strategy == "short_put_spread"
    assert "no live marks: nobody was asked (offline)" in found.notes
    assert "margin" in found.entry.context.missing


async def test_without_price_and_market_nothing_is_entered(store):
    """The message says what to pass; nothing is stored."""
    with pytest.raises(UsageError, match="no price of 550P 2025-06-20, 560P"):
        await add(journal(store, None))
    with pytest.raises(RequestTimeout):
        await add(journal(store, Quotes(refusals={"SPY": LATE})))
    with pytest.raises(UsageError, match="no price of 560P"):
        await add(journal(store, Quotes(missing=frozenset({560.0}))))

    assert await store.journal.load_all() == []


async def test_a_price_does_without_a_gateway(store):
    """A silent gateway costs the context, not the entry; what is missing is said."""
    book = journal(store, Quotes(refusals={"SPY": LATE}))

    found = await add(book, wish=TradeTicket(price="1.50"))

    assert campaign.premium(found.entry) == 150.0
    assert "no live marks: SPY quotes: no answer within 3 s" in found.notes
    assert {"spot", "margin", "pos", "ev"} <= set(found.entry.context.missing)


async def test_the_past_is_not_quoted(store):
    """An entry of last week takes no marks of today."""
    quotes = Quotes()

    one = (await add(journal(store, quotes), wish=TradeTicket(price="1.50", at=at(-7)))).entry

    assert quotes.asked == []
    assert one.opened_at == at(-7)
    assert one.snapshots == ()


async def test_rules_of_the_strategy_and_own_ones(store):
    """A calendar gets its own defaults; what the trader names wins; a wrong name is refused."""
    book = journal(store, Quotes())
    calendar = "calendar SPY 590P 2025-06-20/2025-07-18"

    one = (
        await add(book, calendar, say=EntryNotes(rules={"stop": "none", "short_delta": "0.5"}))
    ).entry

    assert (one.rules.profit_target, one.rules.min_dte) == (0.25, 7)
    assert (one.rules.stop, one.rules.short_delta) == (None, 0.5)
    assert campaign.premium(one) < 0.0
    with pytest.raises(UsageError, match="no exit rule stopp"):
        await add(book, say=EntryNotes(rules={"stopp": "2"}))
    with pytest.raises(UsageError, match="stop"):
        await add(book, say=EntryNotes(rules={"stop": "-1"}))


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        (SPREAD, "short_put_spread"),
        ("-1 SPY 2025-06-20 560P", "short_put"),
        ("+100 SPY, -1 SPY 2025-06-20 600C", "covered_call"),
        ("-1 SPY 2025-06-20 560P, +1 SPY 2025-07-18 560P", "calendar"),
    ],
)
async def test_legs_are_named(store, text, strategy):
    """Legs without a name get the one that the portfolio gives them."""
    found = trades.from_text(text)

    assert found.strategy == strategy


async def test_one_entry_is_one_symbol():
    """Legs of two symbols are two entries."""
    with pytest.raises(UsageError, match="one entry is one symbol, got QQQ, SPY"):
        trades.from_text("-1 SPY 2025-06-20 560P, -1 QQQ 2025-06-20 500P")


async def test_a_covered_call(store):
    """Shares stand at the spot and the call keeps a premium of its own."""
    quotes = Quotes()

    one = (await add(journal(store, quotes), "covered_call SPY 600 2025-06-20")).entry

    assert campaign.premium(one) == pytest.approx(100 * (quotes.price(600, "C") - 0.025), abs=0.01)
    assert {leg.name: leg.quantity for leg in campaign.held(one)}["shares"] == 100.0
    assert one.context.delta < 100.0


# -- trading ---------------------------------------------------------------------------------


async def test_a_campaign_from_open_to_close(store):
    """Opened, rolled, half closed, closed: one entry, one result, the cash of its trades."""
    quotes = Quotes()
    book = journal(store, quotes, costs={"commission": 0.0})
    await add(book, quantity=2, wish=TradeTicket(price="1.50"))

    quotes.at = at(10)
    legs = trades.rolled_to(await journals.load(book, 1), LATER)
    rolled = await trades.roll(book, 1, legs, {}, TradeTicket(price="+0.60"))
    quotes.at = at(20)
    half = await trades.close(book, 1, TradeTicket(price="0.90"), structures=1)
    quotes.at = at(30)
    done = await trades.close(book, 1, TradeTicket(price="0.40"))

    assert [one.action for one in done.entry.trades] == [
        Action.OPEN, Action.ROLL, Action.CLOSE, Action.CLOSE,
    ]  # fmt: skip
    assert campaign.premium(rolled.entry) == pytest.approx(420.0)
    assert [leg.quantity for leg in campaign.held(half.entry)] == [1.0, -1.0]
    assert campaign.result(done.entry) == pytest.approx(300.0 + 120.0 - 90.0 - 40.0)
    assert done.entry.status is EntryStatus.CLOSED
    assert done.entry.closed_at == at(30)
    assert [one.at for one in done.entry.snapshots] == [at(0), at(10), at(20), at(30)]
    assert done.entry.snapshots[-1].pnl == pytest.approx(290.0)


async def test_closing_at_what_the_market_asks(store):
    """Without a price the legs are taken back at the market, slippage included."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, wish=TradeTicket(price="1.50"))
    quotes.sigma, quotes.at = 0.15, at(10)

    found = await trades.close(book, 1, TradeTicket())

    back = quotes.price(560, "P") - quotes.price(550, "P") + 2 * 0.025
    assert campaign.result(found.entry) == pytest.approx(150.0 - 100 * back - 4 * 0.65, abs=0.02)


async def test_rolling_to_other_strikes(store):
    """New strikes stand in the order of the legs; an empty roll is refused."""
    book = journal(store, Quotes())
    one = (await add(book, wish=TradeTicket(price="1.50"))).entry

    legs = trades.rolled_to(one, EXPIRY, (545.0, 555.0))

    assert [(leg.quantity, leg.name[:4]) for leg in legs] == [
        (-1.0, "550P"), (1.0, "560P"), (1.0, "545P"), (-1.0, "555P"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="2 strikes are needed, for 550P"):
        trades.rolled_to(one, LATER, (555.0,))
    with pytest.raises(UsageError, match="would be rolled to itself"):
        trades.rolled_to(one, EXPIRY)


async def test_legs_beside_the_held_ones_adjust(store):
    """What takes nothing back is an adjustment of the same campaign."""
    book = journal(store, Quotes())
    await add(book, wish=TradeTicket(price="1.50"))
    draft = trades.from_text("short_call_spread SPY 620/630 2025-06-20")

    found = await trades.roll(book, 1, draft.legs, draft.prices, TradeTicket(price="0.80"))

    assert found.entry.trades[-1].action is Action.ADJUST
    assert campaign.premium(found.entry) == pytest.approx(230.0)
    assert len(campaign.held(found.entry)) == 4


async def test_expiry_at_the_stored_close(store):
    """What became of expired legs follows from the close of their last day."""
    quotes = Quotes()
    book = journal(store, quotes, costs={"commission": 0.0})
    await add(book, wish=TradeTicket(price="1.50"))
    quotes.at = at(33)
    with pytest.raises(UsageError, match="no price of SPY on 2025-06-20 is stored; run tomic"):
        await trades.settle(book, 1)
    bars = [("2025-06-20", 1.0, 1.0, 1.0, 557.0, 1.0), ("2025-06-23", 1.0, 1.0, 1.0, 560.0, 1.0)]
    await store.history.save_bars(Bars.from_rows("SPY", bars))

    found = await trades.settle(book, 1)

    held = {leg.name: leg.quantity for leg in campaign.held(found.entry)}
    assert held == {"shares": 100.0}
    assert found.notes == ("SPY closed at 557 on 2025-06-20",)
    worth = campaign.worth(found.entry, {leg.key: 557.0 for leg in campaign.held(found.entry)})
    assert worth.pnl == pytest.approx(150.0 - 300.0)


async def test_expiry_of_everything_closes_the_entry(store):
    """Worthless legs end the campaign; before their day nothing is recorded."""
    quotes = Quotes()
    book = journal(store, quotes, costs={"commission": 0.0})
    await add(book, wish=TradeTicket(price="1.50"))
    with pytest.raises(UsageError, match="holds nothing that has expired by 2025-05-19"):
        await trades.settle(book, 1)
    quotes.at = at(33)

    found = await trades.settle(book, 1, spot=590.0)

    assert campaign.result(found.entry) == 150.0
    assert found.entry.trades[-1].action is Action.EXPIRE


async def test_an_index_settles_in_cash(store):
    """An index option pays its intrinsic value; no shares appear."""
    quotes = Quotes()
    book = journal(store, quotes, costs={"commission": 0.0})
    await add(book, "-1 SPX 2025-06-20 560P @2.00")
    quotes.at = at(33)

    found = await trades.settle(book, 1, spot=555.0)

    assert campaign.result(found.entry) == pytest.approx(200.0 - 500.0)


async def test_early_assignment(store):
    """One of two contracts is assigned: shares come at the strike, the other stays."""
    quotes = Quotes()
    book = journal(store, quotes)
    one = (await add(book, "-2 SPY 2025-06-20 560P @2.00")).entry
    leg = campaign.held(one)[0].model_copy(update={"quantity": 1.0})

    found = await trades.assign(book, 1, leg)

    held = {leg.name: leg.quantity for leg in campaign.held(found.entry)}
    assert held == {"560P 2025-06-20": -1.0, "shares": 100.0}


async def test_what_is_closed_stays_closed(store):
    """A closed entry cannot be closed or rolled again."""
    book = journal(store, Quotes())
    await add(book, wish=TradeTicket(price="1.50"))
    await trades.close(book, 1, TradeTicket(price="0.50"))

    with pytest.raises(UsageError, match="journal entry 1 is closed; it holds nothing"):
        await trades.close(book, 1, TradeTicket(price="0.50"))
    with pytest.raises(UsageError, match="no journal entry 2"):
        await trades.close(book, 2, TradeTicket(price="0.50"))


async def test_more_structures_than_held(store):
    """Three of two cannot be closed."""
    book = journal(store, Quotes())
    await add(book, quantity=2, wish=TradeTicket(price="1.50"))

    with pytest.raises(UsageError, match="3 of 2 structures cannot be closed"):
        await trades.close(book, 1, TradeTicket(price="0.50"), structures=3)


# -- keeping ---------------------------------------------------------------------------------


async def test_reopening_the_store_gives_the_same_journal(tmp_path):
    """Closed and opened again, every entry is the same."""
    path = tmp_path / "store.db"
    async with Database(path) as first:
        book = journal(first, Quotes())
        await add(book, CONDOR, wish=TradeTicket(price="2.35"))
        await add(book, wish=TradeTicket(price="1.50"))
        await trades.close(book, 2, TradeTicket(price="0.40"))
        before = [await journals.load(book, number) for number in (1, 2)]

    async with Database(path) as again:
        book = journal(again, None)
        assert [await journals.load(book, number) for number in (1, 2)] == before


async def test_history_grows_by_what_changed(store):
    """A snapshot adds one key to the history, not all snapshots again."""
    quotes = Quotes()
    book = journal(store, quotes)
    await add(book, wish=TradeTicket(price="1.50"))
    quotes.at = at(1)
    await trades.roll(book, 1, trades.from_text("+1 SPY 2025-06-20 540P").legs, {}, TradeTicket())

    changes = await journals.history(book, 1)

    assert [one.event for one in changes] == ["open", "adjust"]
    assert sorted(key[:9] for key in changes[1].values) == ["snapshot ", "trades"]
    with pytest.raises(UsageError, match="no journal entry 9"):
        await journals.history(book, 9)


async def test_notes_are_dated(store):
    """A note is added to those that are there."""
    book = journal(store, Quotes())
    await add(book, wish=TradeTicket(price="1.50"))

    await journals.add_note(book, 1, "looks fine")
    one = await journals.add_note(book, 1, "still does")

    assert [(note.at, note.text) for note in one.notes] == [
        (OPENED, "looks fine"), (OPENED, "still does"),
    ]  # fmt: skip


async def test_entries_of_one_campaign(store):
    """An entry may go on with an earlier one, not with itself or in a circle."""
    book = journal(store, Quotes())
    for _ in range(2):
        await add(book, wish=TradeTicket(price="1.50"))

    linked = await journals.continue_from(book, 2, 1)

    assert linked.continues == 1
    for pair in ((1, 2), (1, 1)):
        with pytest.raises(UsageError, match="already continues"):
            await journals.continue_from(book, *pair)


async def test_an_unreadable_entry_is_named(store):
    """A document that is no entry says which one and where."""
    await store.journal.save({"symbol": "SPY", "opened_at": "whenever"}, event="x", at=OPENED)

    with pytest.raises(StoreError, match="journal entry 1 cannot be read: opened_at"):
        await journals.load(journal(store, None), 1)


async def test_listing(store):
    """Rows come from the summaries: open ones first asked for, with days and share of premium."""
    quotes = Quotes()
    book = journal(store, quotes, costs={"commission": 0.0})
    await add(book, CONDOR, wish=TradeTicket(price="2.35"))
    await add(book, wish=TradeTicket(price="1.50"))
    quotes.at = at(10)
    await trades.close(book, 2, TradeTicket(price="0.40"))

    (row,) = await journals.listing(book, status="open")
    both = await journals.listing(book)

    assert (row["id"], row["strategy"], row["dte"], row["days"]) == (1, "iron_condor", 22, 10)
    assert [(one["id"], one["pnl"], one["share"]) for one in both][1] == (
        2, 110.0, pytest.approx(110 / 150, abs=1e-6),
    )  # fmt: skip
    assert await journals.listing(book, symbol="QQQ") == []


WRITER = """
import asyncio, datetime as dt, sys
from tomic.config import Settings
from tomic.models.journal import JournalEntry
from tomic.store import Database
from tomic.workflows.journal import entries as journals
from tomic.workflows.journal.entries import Journal

FILL = {"expiry": "20250620", "strike": 560, "right": "P", "quantity": -1, "price": 2.0}

async def clock():
    return dt.datetime.now(dt.UTC)

async def work(path, name, count):
    async with Database(path) as store:
        book = Journal(store, Settings(), clock=clock)
        for n in range(count):
            now = await clock()
            trade = {"at": now, "action": "open", "fills": [FILL]}
            one = JournalEntry(symbol="SPY", opened_at=now, trades=[trade])
            saved = await journals.save(book, one, event="open")
            await journals.add_note(book, 1, f"{name}{n}")
            print(saved.id, flush=True)

asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def start(path, name: str, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, path, name, str(count), stdout=asyncio.subprocess.PIPE
    )


async def test_two_writers_lose_nothing(tmp_path):
    """Two programs that add entries and notes at once keep all of them, each with its number."""
    path = tmp_path / "store.db"
    async with Database(path) as store:
        await add(journal(store, None), "-1 SPY 2025-06-20 560P @2.00")
    writers = [await start(path, name, 4) for name in "ab"]
    said = [(await one.communicate())[0].split() for one in writers]

    async with Database(path) as store:
        book = journal(store, None)
        first = await journals.load(book, 1)
        numbers = [row["id"] for row in await journals.listing(book)]

    assert sorted(note.text for note in first.notes) == sorted(
        f"{name}{n}" for name in "ab" for n in range(4)
    )
    assert numbers == list(range(1, 10))
    assert sorted(int(one) for lines in said for one in lines) == numbers[1:]


async def test_a_killed_writer_loses_nothing_finished(tmp_path):
    """Killed in the middle of its work, every entry that was reported is there and whole."""
    path = tmp_path / "store.db"
    async with Database(path) as store:
        await add(journal(store, None), "-1 SPY 2025-06-20 560P @2.00")
    writer = await start(path, "a", 10_000)
    assert writer.stdout is not None
    said = [int(await writer.stdout.readline()) for _ in range(5)]
    writer.kill()
    rest, _ = await writer.communicate()
    said += [int(line) for line in rest.split(b"\n")[:-1]]

    async with Database(path) as store:
        book = journal(store, None)
        numbers = {row["id"] for row in await journals.listing(book)}
        whole = [await journals.load(book, number) for number in said]
        problems = await store.check()

    assert set(said) <= numbers
    assert all(campaign.premium(one) == 200.0 for one in whole)
    assert problems == []


def test_a_document_and_back():
    """An entry through its document is the same, wherever its times were."""
    zone = dt.timezone(dt.timedelta(hours=2))
    one = JournalEntry(symbol="SPY", opened_at=OPENED.astimezone(zone), tags=("a",))

    document = journals.to_document(one)

    assert document["opened_at"] == "2025-05-19T15:00:00+00:00"
    assert (document["status"], document["strategy"]) == ("open", "")
    assert journals.from_document({**document, "id": None}) == one


# -- what cannot be, and what is meant ---------------------------------------------------------


async def _sold(book, text, **more):
    """An entry sold at a price that is written with its legs, asking nobody."""
    ticket = TradeTicket(offline=True, **more)
    return await trades.add(book, trades.from_text(text), ticket, EntryNotes())


async def test_an_index_option_is_never_assigned_early(store):
    """European and settled in cash: no shares of an index change hands, and nothing is recorded."""
    book = journal(store, None)
    await _sold(book, "-1 SPX 2025-06-20 5950P @40")
    (leg,) = campaign.held(await journals.load(book, 1))

    with pytest.raises(UsageError, match="European and settled in cash"):
        await trades.assign(book, 1, leg.model_copy(update={"quantity": 1.0}))

    assert len((await journals.load(book, 1)).trades) == 1


async def test_a_roll_by_legs_keeps_the_multiplier(store):
    """Options of ten shares are rolled to options of ten, and the old leg is gone."""
    book = journal(store, None)
    draft = trades.from_text("-2 XYZ 2025-06-20 52P @60")
    legs = tuple(leg.model_copy(update={"multiplier": 10}) for leg in draft.legs)
    prices = {leg.key: 60.0 for leg in legs}
    await trades.add(book, replace(draft, legs=legs, prices=prices), TradeTicket(offline=True),
                     EntryNotes())  # fmt: skip

    rolled = trades.written(
        await journals.load(book, 1), "+2 XYZ 2025-06-20 52P, -2 XYZ 2025-07-18 51P"
    )
    ticket = TradeTicket(price="+5", offline=True)
    entry = (await trades.roll(book, 1, rolled.legs, rolled.prices, ticket)).entry

    assert entry.trades[-1].action is Action.ROLL
    assert campaign.cash(entry.trades[-1]) == 100.0
    assert [(leg.name, leg.multiplier, leg.quantity) for leg in campaign.held(entry)] == [
        ("51P 2025-07-18", 10, -2.0)
    ]


async def test_strikes_alone_roll_within_the_expiry(store):
    """Each leg stays in its expiry; one whose strike stays is not traded."""
    book = journal(store, None)
    await _sold(book, SPREAD, price="1.50")

    entry = await journals.load(book, 1)
    legs = trades.rolled_to(entry, None, (545.0, 560.0))

    held = [leg.strike for leg in campaign.held(entry)]
    kept = {strike for strike, new in zip(held, (545.0, 560.0), strict=True) if strike == new}
    assert {leg.expiry for leg in legs} == {EXPIRY}
    assert not kept & {leg.strike for leg in legs}
    with pytest.raises(UsageError, match="would be rolled to itself"):
        trades.rolled_to(entry, None, held)
