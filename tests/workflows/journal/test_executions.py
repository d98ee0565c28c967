"""Executions told in any order and by any road come to what happened."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from support.journal_entries import EXPIRY, at
from support.journal_market import journal
from support.told_histories import ROADS, told
from tomic.config import Settings
from tomic.errors import UsageError
from tomic.journal import campaign
from tomic.journal.executions import ON_FUTURE, Executed, Source
from tomic.models.journal import (
    Action,
    CashFlow,
    CashKind,
    ChangeKind,
    Contract,
    ContractChange,
    JournalEntry,
)
from tomic.store import Database
from tomic.workflows.journal import entries, executions, trades
from tomic.workflows.journal.trades import EntryNotes, TradeTicket

HISTORIES, AT_ONCE = 300, 5
SOAK, SOAK_AT_ONCE = 20_000, 100


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


@pytest.fixture
def book(store):
    """A journal long after everything has happened, which asks nobody."""
    return journal(store, None, now=at(100))


def executed(number: str, quantity: float, name: str, price: float, day: float, **more: Any):
    """One execution of account U1 in dollars; without a name of an option it is shares."""
    contract = Contract(multiplier=1)
    if name:
        contract = Contract(expiry=EXPIRY, strike=float(name[:-1]), right=name[-1])
    contract = contract.model_copy(update=more.pop("terms", {}))
    values = {"symbol": "XYZ", "commission": 1.0, "order": number, "account": "U1",
              "currency": "USD", "source": Source.FLEX, **more}  # fmt: skip
    return Executed(
        exec_id=number, at=at(day), contract=contract, quantity=quantity, price=price, **values
    )


async def results(book) -> dict[int, tuple[str, float | None]]:
    """Status and result of each entry."""
    return {
        entry.id: (entry.status.value, campaign.result(entry))
        for entry in await entries.load_all(book)
    }


async def open_entries(book) -> list[JournalEntry]:
    return [entry for entry in await entries.load_all(book) if entry.is_open]


# -- histories ---------------------------------------------------------------------------------


async def _hold(seeds: range, tmp_path, pace: float) -> None:
    roads = list(ROADS.values())
    for seed in seeds:
        road = roads[seed % len(roads)]
        gaps, waiting = await told(seed, road, tmp_path, pace=pace)

        assert gaps == [], f"history {seed} by {road.name}"
        assert waiting == [], f"history {seed} by {road.name}"


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
async def test_histories_come_to_what_happened(first, tmp_path):
    """Entries, quantities and results equal the truth, whatever the order of overlapping files."""
    await _hold(range(first, first + AT_ONCE), tmp_path, pace=0.2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(HISTORIES, HISTORIES + SOAK, SOAK_AT_ONCE))
async def test_twenty_thousand_histories(first, tmp_path):
    """The same of many more and busier ones."""
    await _hold(range(first, first + SOAK_AT_ONCE), tmp_path, pace=0.5)


# -- whose and of what -------------------------------------------------------------------------


async def test_two_accounts_hold_their_own(book):
    """What one account buys does not close what another sold, whatever the codes say."""
    sold = executed("a", -1, "50P", 2.75, 0)
    bought = executed("b", 1, "50P", 2.50, 1, account="U2")

    await executions.take(book, "x", [sold, bought])

    assert {entry.account: campaign.held(entry)[0].quantity for entry in await open_entries(book)
            } == {"U1": -1.0, "U2": 1.0}  # fmt: skip


async def test_two_currencies_are_two_entries(book):
    """The same words for a contract in euros and in dollars name two contracts."""
    rows = [executed("a", -1, "50P", 2.75, 0), executed("b", 1, "50P", 2.50, 1, currency="EUR")]

    await executions.take(book, "x", rows)

    assert sorted(entry.currency for entry in await open_entries(book)) == ["EUR", "USD"]


@pytest.mark.parametrize("order", ["", "7"])
async def test_classes_of_one_day_are_two_contracts(book, order):
    """SPX and SPXW with the same terms do not come to nothing, in one order or in two."""
    rows = [
        executed("a", -1, "50P", 40.0, 0, order=order or "1", terms={"trading_class": "SPX"}),
        executed("b", 1, "50P", 30.0, 0, order=order or "2", terms={"trading_class": "SPXW"}),
    ]

    await executions.take(book, "x", rows)

    held = [leg for entry in await open_entries(book) for leg in campaign.held(entry)]
    assert sorted((leg.trading_class, leg.quantity) for leg in held) == [
        ("SPX", -1.0), ("SPXW", 1.0),
    ]  # fmt: skip


async def test_a_split_goes_on_with_the_entry(book):
    """The same contract id under a tenth of the strike is ten times as many of the contract."""
    sold = executed("a", -1, "500P", 10.0, 0, terms={"con_id": 12})
    bought = executed("b", 10, "50P", 0.40, 20, opens=False, terms={"con_id": 12})

    await executions.take(book, "x", [bought, sold])

    (entry,) = await entries.load_all(book)
    assert campaign.result(entry) == pytest.approx(1000.0 - 400.0 - 2.0)
    assert entry.trades[1].action is Action.CONVERT
    assert "split 10 for 1" in entry.trades[1].note
    assert campaign.premium(entry) == 1000.0


async def test_a_split_that_is_known_before_a_roll_ahead_of_it(book):
    """The next file goes on in the old terms, and what was rolled is split as well."""
    split = ContractChange(
        id="CA1", at=at(30), kind=ChangeKind.SPLIT, symbol="XYZ", ratio=2.0, account="U1"
    )
    first, other = {"con_id": 12}, {"con_id": 13}
    await executions.take(book, "x", [executed("a", -4, "104P", 3.0, 0, terms=first)], [split])

    await executions.take(
        book,
        "y",
        [
            executed("b", 4, "104P", 4.0, 5, order="r", opens=False, terms=first),
            executed("c", -4, "109P", 5.0, 5, order="r", opens=True, terms=other),
        ],
    )

    (entry,) = await open_entries(book)
    assert [(leg.strike, leg.quantity) for leg in campaign.held(entry)] == [(54.5, -8.0)]


async def test_a_special_dividend_goes_on_with_the_entry(book):
    """A strike that is a little lower is that of as many contracts."""
    sold = executed("a", -2, "500P", 10.0, 0, terms={"con_id": 12})
    bought = executed("b", 2, "495.5P", 4.0, 20, opens=False, terms={"con_id": 12})

    await executions.take(book, "x", [sold, bought])

    (entry,) = await entries.load_all(book)
    assert campaign.result(entry) == pytest.approx(2000.0 - 800.0 - 2.0)
    assert "special dividend" in entry.trades[1].note


async def test_a_split_that_is_told_changes_what_is_held(book):
    """Nothing was traded since: shares and options are more, and the history says why."""
    rows = [executed("a", -1, "500P", 10.0, 0), executed("b", 100, "", 490.0, 1)]
    split = ContractChange(at=at(10), kind=ChangeKind.SPLIT, symbol="XYZ", ratio=10.0)
    await executions.take(book, "x", rows)

    await executions.take(book, "corporate actions", [], [split])
    await executions.take(book, "corporate actions", [], [split])

    held = [leg for entry in await open_entries(book) for leg in campaign.held(entry)]
    assert [(leg.name, leg.quantity) for leg in held] == [
        ("50P 2025-06-20", -10.0), ("shares", 1000.0),
    ]  # fmt: skip


async def test_a_multiplier_that_nobody_told_is_asked_about(book):
    """Nothing is opened at a guess; what is held says it for what closes."""
    sold = executed("a", -2, "50P", 6.0, 0, lacks_multiplier=True)
    other = executed("b", -2, "40P", 6.0, 0, terms={"multiplier": 10})
    bought = executed("c", 2, "40P", 2.0, 5, lacks_multiplier=True)

    taken = await executions.take(book, "x", [sold, other, bought])

    assert (await results(book)) == {1: ("closed", pytest.approx(120.0 - 40.0 - 2.0))}
    assert any("does not say the multiplier of XYZ 50P" in note for note in taken.notes)


# -- in any order ------------------------------------------------------------------------------


async def test_the_past_may_come_last(book):
    """A flip, then what it flipped: the entry that was opened wrongly is taken back and says so."""
    await executions.take(book, "x", [executed("b", 2, "50P", 1.0, 5)])
    await entries.add_note(book, 1, "mine")

    await executions.take(book, "x", [executed("a", -1, "50P", 2.0, 0)])

    stored = await entries.load_all(book)
    assert sorted(
        (entry.status.value, *(leg.quantity for leg in campaign.held(entry))) for entry in stored
    ) == [("closed",), ("open", 1.0)]
    assert [note.text for entry in stored for note in entry.notes] == ["mine"]


async def test_what_was_written_by_hand_stays(book):
    """An entry that somebody typed is not made anew; executions go where they can."""
    await trades.add(
        book, trades.from_text("-1 XYZ 2025-06-20 50P @2.00"), TradeTicket(at=at(0), offline=True),
        EntryNotes(),
    )  # fmt: skip
    await executions.take(book, "x", [executed("c", 1, "50P", 0.5, 9)])

    await executions.take(book, "x", [executed("z", -1, "40P", 1.0, 4)])

    assert (await results(book))[1][0] == "closed"
    assert (await entries.load(book, 1)).trades[0].fills[0].exec_id == ""


async def test_an_order_of_two_days_is_one_entry(book):
    """The rest of an order that comes a day later is no campaign of its own."""
    await executions.take(book, "x", [executed("a", -4, "50P", 2.0, 0, order="77")])
    await executions.take(book, "x", [executed("b", -6, "50P", 2.1, 1, order="77")])

    (entry,) = await entries.load_all(book)
    assert [leg.quantity for leg in campaign.held(entry)] == [-10.0]


# -- taken back and put right ------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
async def test_a_cancellation_takes_back_what_is_placed(book, together):
    """In one file or a day later, a sale that was cancelled leaves nothing open."""
    sold = executed("0002.01", -1, "50P", 2.75, 0, trade_id="910", transaction_id="1")
    cancel = executed("", 1, "50P", 2.75, 0.1, cancels=True, commission=-1.0, order="",
                      transaction_id="2", corrects=("910", "1"))  # fmt: skip

    for rows in [[sold, cancel]] if together else [[sold], [cancel]]:
        await executions.take(book, "x", rows)

    assert await open_entries(book) == []
    rows = await executions.listing(book)
    assert {row.status for row in rows} == {"ignored"}


async def test_a_booking_anew_counts_once_with_all_fees(book):
    """Two contracts were one: the fee of the first booking less what was given back is the cost."""
    sold = executed("x.y.01.01", -2, "50P", 1.00, 0, trade_id="9", transaction_id="1",
                    commission=2.0)  # fmt: skip
    cancel = executed("", 2, "50P", 1.00, 0.1, cancels=True, commission=0.0, order="",
                      transaction_id="2", corrects=("9",))  # fmt: skip
    again = executed("x.y.01.02", -1, "50P", 1.10, 0, trade_id="9", transaction_id="3",
                     commission=-0.7)  # fmt: skip
    await executions.take(book, "x", [sold])

    await executions.take(book, "x", [again, cancel])

    (entry,) = await open_entries(book)
    assert [leg.quantity for leg in campaign.held(entry)] == [-1.0]
    assert campaign.commissions(entry) == pytest.approx(1.3)
    assert campaign.premium(entry) == pytest.approx(110.0)


async def test_a_correction_of_tws_replaces_what_is_placed(book):
    """The last digits of an execution number say which version counts."""
    old = executed("0000e0d5.6561b2a1.01.01", -1, "50P", 1.00, 0)
    await executions.take(book, "TWS", [old])

    await executions.take(book, "TWS", [replace(old, exec_id=old.exec_id[:-1] + "2", price=1.10)])

    (entry,) = await open_entries(book)
    assert [fill.price for fill in entry.trades[0].fills] == [1.10]
    assert entry.id == 1 or entry.revision == 1


async def test_a_later_report_tells_more(book):
    """The account and the contract id that Flex knows are added to what TWS told."""
    told_by_tws = executed("a", -1, "50P", 2.0, 0, account="", currency="", commission=None)
    await executions.take(book, "TWS", [told_by_tws])

    more = executed("a", -1, "50P", 2.0, 0, terms={"con_id": 12})
    again = await executions.take(book, "x", [more])

    (entry,) = await entries.load_all(book)
    assert (entry.account, entry.currency) == ("U1", "USD")
    assert campaign.held(entry)[0].con_id == 12
    assert campaign.commissions(entry) == 1.0
    assert again.known == 1


# -- money beside trades -----------------------------------------------------------------------


async def test_a_dividend_belongs_to_whoever_held_the_shares(book):
    """Two entries share it by their shares, and the parts come to the whole, once."""
    rows = [executed("a", 100, "", 50.0, 0), executed("b", 200, "", 50.0, 1)]
    paid = CashFlow(id="D1", at=at(5), kind=CashKind.DIVIDEND, amount=100.0, currency="USD",
                    account="U1", symbol="XYZ")  # fmt: skip
    await executions.take(book, "x", rows)

    for _ in range(2):
        await executions.take(book, "x", [], [paid])

    stored = await entries.load_all(book)
    assert [campaign.booked(entry) for entry in stored] == [33.33, 66.67]


async def test_an_index_option_is_settled_in_cash(book):
    """Assigned without shares, the entry has the premium less what was paid for the settlement."""
    rows = [
        executed("a", -1, "5900P", 40.0, 0, symbol="SPX"),
        executed("b", 1, "5900P", 0.0, 32, symbol="SPX", action=Action.ASSIGN, commission=0.0),
    ]
    paid = CashFlow(id="S1", at=at(32), kind=CashKind.SETTLEMENT, amount=-5500.0, currency="USD",
                    account="U1", symbol="SPX", contract=rows[0].contract)  # fmt: skip

    await executions.take(book, "x", rows, [paid])

    assert await results(book) == {1: ("closed", pytest.approx(4000.0 - 1.0 - 5500.0))}


async def test_interest_of_the_account_is_listed(book):
    """What belongs to no entry is kept and named, and is no part of any result."""
    paid = CashFlow(id="I1", at=at(5), kind=CashKind.INTEREST, amount=-12.5, currency="USD")

    taken = await executions.take(book, "x", [], [paid])

    rows = await executions.listing(book, unplaced=True)
    assert [(row.id, row.contract) for row in rows] == [("I1", "interest")]
    assert "interest -12.50 USD of the account: no entry held what it is for" in rows[0].reason
    assert taken.aside == 1


async def test_a_covered_call_whose_shares_are_older(book):
    """The call ends with its premium; the shares that go wait, for nobody knows what they cost."""
    rows = [
        executed("a", -1, "60C", 1.5, 0),
        executed("b", 1, "60C", 0.0, 32, action=Action.ASSIGN, commission=0.0),
        executed("c", -100, "", 60.0, 32, action=Action.ASSIGN, opens=False, commission=0.0),
    ]

    taken = await executions.take(book, "x", rows)

    assert await results(book) == {1: ("closed", pytest.approx(149.0))}
    assert any("-100 shares" in note and "import what bought them" in note for note in taken.notes)


async def test_an_option_on_a_future_is_kept_aside_once(book):
    """It belongs to no entry, is listed with the reason, and costs the others nothing."""
    rows = [
        executed("a", -1, "50P", 2.0, 0),
        executed("b", -1, "5000P", 27.5, 0, symbol="ES", terms={"multiplier": 50}, on_future=True),
    ]

    first = await executions.take(book, "TWS", rows)
    again = await executions.take(book, "TWS", rows)

    (row,) = await executions.listing(book, unplaced=True)
    assert (row.status, row.reason) == ("unread", ON_FUTURE)
    assert (first.aside, again.known) == (1, 2)
    assert [entry.symbol for entry in await entries.load_all(book)] == ["XYZ"]


# -- several currencies -------------------------------------------------------------------------


async def test_a_commission_that_nobody_told_is_of_its_currency(store):
    """What the settings say of that currency is taken, and both are named apart."""
    rows = [
        executed("a", -1, "50P", 2.0, 0, commission=None),
        executed("b", -2, "40P", 2.0, 0, symbol="ABC", currency="EUR", commission=None),
    ]
    settings = Settings.model_validate({"costs": {"commissions": {"EUR": 1.1}}})
    book = replace(journal(store, None, now=at(100)), settings=settings)

    taken = await executions.take(book, "x", rows)

    found = {entry.currency: campaign.commissions(entry) for entry in await open_entries(book)}
    assert found == {"USD": 0.65, "EUR": 2.2}
    assert any("1.1 EUR, 0.65 USD a contract" in note for note in taken.notes)


async def test_money_of_another_currency_is_not_linked(book):
    """An entry in dollars takes no execution in euros, whoever asks."""
    await executions.take(book, "x", [executed("a", -1, "50P", 2.0, 0)])
    await executions.take(book, "x", [executed("b", 1, "50P", 1.0, 1, currency="EUR", opens=False)])

    with pytest.raises(UsageError, match="b is in EUR and entry 1 in USD"):
        await executions.link_executions(book, 1, ["b"])


# -- typed by hand under another day ------------------------------------------------------------

SETTLED, LAST_TRADED = dt.date(2025, 6, 20), dt.date(2025, 6, 18)
"""A third Friday, and the trading day before it: the Thursday is Juneteenth."""


@pytest.mark.parametrize("typed_as", [SETTLED, LAST_TRADED])
async def test_an_index_option_typed_by_its_day_is_that_of_tws(book, typed_as):
    """The typed trade is confirmed by its execution and closed by the next: one entry."""
    await trades.add(
        book, trades.from_text(f"-1 SPX {typed_as} 5800P @40.00"),
        TradeTicket(at=at(0), offline=True), EntryNotes(),
    )  # fmt: skip
    terms = {"expiry": LAST_TRADED, "trading_class": "SPX", "con_id": 12}
    sold = executed("a", -1, "5800P", 40.0, 0, symbol="SPX", terms=terms)
    bought = executed("b", 1, "5800P", 10.0, 9, symbol="SPX", terms=terms, opens=False)

    await executions.take(book, "TWS", [sold])
    (confirmed,) = await open_entries(book)
    await executions.take(book, "TWS", [bought])

    assert confirmed.trades[0].fills[0].exec_id == "a"
    assert (await results(book)) == {1: ("closed", pytest.approx(3000.0 - 2.0))}


@pytest.mark.parametrize("typed_as", [SETTLED, LAST_TRADED])
async def test_what_was_typed_days_before_is_closed_by_its_other_day(book, typed_as):
    """Nobody imported the opening: the closing still finds it."""
    await trades.add(
        book, trades.from_text(f"-1 SPX {typed_as} 5800P @40.00"),
        TradeTicket(at=at(0), offline=True, commission=1.0), EntryNotes(),
    )  # fmt: skip
    terms = {"expiry": LAST_TRADED, "trading_class": "SPX", "con_id": 12}

    await executions.take(
        book, "TWS", [executed("b", 1, "5800P", 10.0, 9, symbol="SPX", terms=terms, opens=False)]
    )

    assert (await results(book)) == {1: ("closed", pytest.approx(3000.0 - 2.0))}
