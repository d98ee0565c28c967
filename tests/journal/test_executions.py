"""Executions become trades, and trades find their campaigns."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from support.journal_entries import EXPIRY, LATER, OPENED, at, condor, entry, option, shares, trade
from support.properties import examples
from tomic.journal import campaign, executions
from tomic.journal.executions import Executed
from tomic.models.journal import Action, Contract

COUNT = iter(range(10_000))


def executed(quantity: float, name: str, price: float, day: float = 0.0, **more: Any) -> Executed:
    """One execution; without a name of an option it is shares."""
    expiry = more.pop("expiry", EXPIRY)
    contract = (
        Contract(expiry=expiry, strike=float(name[:-1]), right=name[-1])
        if name
        else Contract(multiplier=1)
    )
    values = {
        "exec_id": f"e{next(COUNT)}",
        "symbol": "SPY",
        "commission": 0.65 * abs(quantity),
        "order": f"o{day}",
        **more,
    }
    return Executed(at=at(day), contract=contract, quantity=quantity, price=price, **values)


def placed(given, entries):
    """What was placed, order by order; nothing may be left over."""
    orders = executions.place(given, entries)
    assert [one.reason for order in orders for one in order.unplaced] == []
    return [one for order in orders for one in order.placed]


def test_partial_fills_become_one():
    """Three parts of one leg are one fill at the mean price; the legs of an order are one trade."""
    parts = [executed(-1, "560P", 2.30), executed(-2, "560P", 2.36), executed(3, "550P", 1.10)]

    ((symbol, found),) = executions.to_trades(parts)

    assert (symbol, found.structures) == ("SPY", 3)
    assert [(fill.quantity, fill.price) for fill in found.fills] == [(-3.0, 2.34), (3.0, 1.10)]
    assert found.fills[0].commission == pytest.approx(1.95)
    assert campaign.cash(found) == pytest.approx(3 * 124.0)


def test_orders_are_told_apart():
    """Different orders are different trades, also at one second; without numbers time tells."""
    same_second = [executed(-1, "560P", 2.3, order="1"), executed(-1, "550P", 1.1, order="2")]
    unnumbered = [
        executed(-1, "560P", 2.3, order=""),
        executed(1, "550P", 1.1, 3 / 86400, order=""),
        executed(-1, "540P", 0.5, 1.0, order=""),
        executed(-1, "540P", 0.5, 1.0, order="", symbol="QQQ"),
    ]

    assert len(executions.to_trades(same_second)) == 2
    assert [len(one.fills) for _, one in executions.to_trades(unnumbered)] == [2, 1, 1]


def test_unknown_commissions_are_those_of_the_settings():
    """Where the broker does not say, a commission per contract is taken; none for shares."""
    parts = [executed(-2, "560P", 2.3, commission=None), executed(100, "", 590.0, commission=None)]

    ((_, found),) = executions.to_trades(parts, commission=lambda _: 0.65)

    assert [fill.commission for fill in found.fills] == [1.3, 0.0]


def test_a_new_trade_opens_an_entry():
    """Legs that close nothing are a campaign of their own."""
    (found,) = placed([executed(-1, "560P", 2.3), executed(1, "550P", 1.1)], [condor()])

    assert (found.how, found.number) == ("opened", 1)
    assert found.entry.id is None
    assert found.entry.opened_at == OPENED
    assert campaign.premium(found.entry) == pytest.approx(120.0)


def test_a_closing_trade_finds_its_entry():
    """What takes legs back belongs to the entry that holds them."""
    own = entry(trade("open", 0, option(-1, "560P", 2.3), option(1, "550P", 1.1)), id=7)
    other = entry(trade("open", 0, option(-1, "600C", 2.3)), id=8)

    (found,) = placed([executed(1, "560P", 0.8, 5), executed(-1, "550P", 0.3, 5)], [other, own])

    assert (found.how, found.entry.id) == ("closed", 7)
    assert campaign.result(found.entry) == pytest.approx(120.0 - 50.0 - 1.3)


def test_a_roll_stays_one_campaign():
    """Closing one leg and opening another in one order is a roll; later trades see it."""
    own = entry(trade("open", 0, option(-1, "560P", 2.0)), id=7)

    rolled, closed = placed(
        [
            executed(1, "560P", 1.5, 10),
            executed(-1, "560P", 2.4, 10, expiry=LATER),
            executed(1, "560P", 0.4, 30, expiry=LATER),
        ],
        [own],
    )

    assert (rolled.how, closed.how) == ("rolled", "closed")
    assert rolled.number == closed.number == 0
    assert [one.action for one in closed.entry.trades] == [Action.OPEN, Action.ROLL, Action.CLOSE]
    assert campaign.result(closed.entry) == pytest.approx(200 + 90 - 40 - 3 * 0.65)


def test_a_close_over_two_entries():
    """Three contracts close one of the first entry and two of the second."""
    one = entry(trade("open", 0, option(-1, "560P", 2.0)), id=1)
    two = entry(trade("open", 1, option(-2, "560P", 2.2)), id=2)

    found = placed([executed(3, "560P", 1.0, 5)], [one, two])

    assert [(each.entry.id, each.how) for each in found] == [(1, "closed"), (2, "closed")]
    assert all(campaign.held(each.entry) == () for each in found)
    assert sum(campaign.commissions(each.entry) for each in found) == pytest.approx(1.95)


def test_more_than_was_held_opens_the_rest():
    """Buying three back where two were short leaves one long, in an entry of its own."""
    own = entry(trade("open", 0, option(-2, "560P", 2.0)), id=1)

    closed, opened = placed([executed(3, "560P", 1.0, 5)], [own])

    assert (closed.how, opened.how) == ("closed", "opened")
    assert [leg.quantity for leg in campaign.held(opened.entry)] == [1.0]


def test_expiry_and_assignment_by_their_codes():
    """What the broker calls expired or assigned is recorded as that, shares included."""
    own = entry(trade("open", 0, option(-1, "560P", 2.0), option(1, "550P", 1.0)), id=1)

    expired, assigned = placed(
        [
            executed(-1, "550P", 0.0, 32, action=Action.EXPIRE, commission=0.0),
            executed(1, "560P", 0.0, 32, action=Action.ASSIGN, commission=0.0),
            executed(100, "", 560.0, 32, action=Action.ASSIGN, commission=0.0),
        ],
        [own],
    )

    assert {expired.how, assigned.how} == {"expired", "assigned"}
    last = assigned if assigned.entry.trades[-1].action is Action.ASSIGN else expired
    assert [(leg.name, leg.quantity) for leg in campaign.held(last.entry)] == [("shares", 100.0)]


def test_a_typed_trade_is_confirmed():
    """A trade that was entered by hand gets the broker's prices, and is not entered twice."""
    typed = condor(id=4)
    fills = [
        executed(-1, "560P", 3.0, 0.1),
        executed(1, "550P", 1.6, 0.1),
        executed(-1, "620C", 1.4, 0.1),
        executed(1, "630C", 0.5, 0.1),
    ]

    (found,) = placed(fills, [typed])

    assert (found.how, found.entry.id, len(found.exec_ids)) == ("confirmed", 4, 4)
    assert campaign.premium(found.entry) == pytest.approx(230.0)
    assert campaign.commissions(found.entry) == pytest.approx(2.6)
    assert found.entry.trades[0].at == typed.trades[0].at


def test_confirming_happens_once():
    """The same legs again on the same day are a second trade."""
    fills = [executed(-1, "560P", 3.0, 0.1, order="1"), executed(-1, "560P", 3.1, 0.2, order="2")]

    found = placed(fills, [entry(trade("open", 0, option(-1, "560P", 2.9)))])

    assert [one.how for one in found] == ["confirmed", "opened"]


def test_an_entry_of_another_symbol_or_later_is_left_alone():
    """Legs are matched within a symbol, and only with what was open at that moment."""
    later = entry(trade("open", 9, option(-1, "560P", 2.0)))
    other = entry(trade("open", 0, option(-1, "560P", 2.0)), symbol="QQQ")

    (found,) = placed([executed(1, "560P", 1.0, 5)], [later, other])

    assert (found.how, found.number) == ("opened", 2)


def test_numbers_for_executions_without():
    """A made-up number says what the execution was and which of its equals it is."""
    bare = executed(-1, "560P", 2.3, exec_id="")

    one, two = executions.numbered([bare, bare])

    assert one.exec_id == "20250519T150000|SPY|560P_2025-06-20|-1|2.3|0"
    assert two.exec_id != one.exec_id
    assert executions.numbered([one]) == [one]
    assert dt.datetime.strptime(one.exec_id[:15], "%Y%m%dT%H%M%S")


# -- one order over several entries ------------------------------------------------------------


def short(name: str, quantity: float = -1, price: float = 1.0, day: float = 0.0, **more: Any):
    """An entry that sold one option."""
    return entry(trade("open", day, option(quantity, name, price)), **more)


def test_one_order_closes_every_entry_that_it_takes_back():
    """Two equal entries are both closed by one order of two, and every cent is counted."""
    book = [short("560P", price=1.0, id=1), short("560P", price=1.2, day=2, id=2)]

    found = placed([executed(2, "560P", 0.4, 17, commission=2.0)], book)

    assert [(one.entry.id, one.how) for one in found] == [(1, "closed"), (2, "closed")]
    assert [campaign.result(one.entry) for one in found] == pytest.approx([59.0, 79.0])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 1), (1, 2), (3, 1), (1, 1, 1, 1)])
def test_no_contract_is_lost_over_entries(sizes):
    """However many entries share what expires, nothing is left of any of them."""
    book = [short("560P", -size, day=day, id=day) for day, size in enumerate(sizes)]
    gone = executed(sum(sizes), "560P", 0.0, 32, action=Action.EXPIRE, commission=0.0, order="")

    found = placed([gone], book)

    assert len(found) == len(sizes)
    assert all(campaign.held(one.entry) == () for one in found)
    assert sum(fill.quantity for one in found for fill in one.fills) == sum(sizes)


def test_options_that_expire_together_go_each_to_its_own():
    """At one second, of two strikes: each entry gets its own, and results are the premiums."""
    book = [short("560P", price=1.0, id=1), short("550P", price=0.6, day=2, id=2)]
    more = {"action": Action.EXPIRE, "order": "", "commission": 0.0}

    found = placed(
        [executed(1, "550P", 0.0, 32, **more), executed(1, "560P", 0.0, 32, **more)], book
    )

    assert {one.entry.id: campaign.result(one.entry) for one in found} == {1: 100.0, 2: 60.0}
    assert {one.how for one in found} == {"expired"}


def test_a_strangle_legged_in_is_closed_as_one_order():
    """A call and a put that were sold apart are both closed: nothing is rolled."""
    book = [short("560P", price=1.0, id=1), short("620C", price=0.6, day=1, id=2)]

    legs = [executed(1, "560P", 0.3, 17, order="72"), executed(1, "620C", 0.2, 17, order="72")]
    found = placed(legs, book)

    assert {one.how for one in found} == {"closed"}
    assert {one.entry.id: campaign.result(one.entry) for one in found} == pytest.approx(
        {1: 100.0 - 30.0 - 0.65, 2: 60.0 - 20.0 - 0.65}
    )


def test_a_strangle_legged_in_is_rolled_as_one_order():
    """Each new leg goes with the leg of its own right."""
    book = [short("620C", id=1), short("560P", day=1, id=2)]
    legs = [
        executed(1, "560P", 0.3, 17, order="72"),
        executed(1, "620C", 0.2, 17, order="72"),
        executed(-1, "555P", 0.9, 17, order="72", expiry=LATER),
        executed(-1, "625C", 0.8, 17, order="72", expiry=LATER),
    ]

    found = placed(legs, book)

    assert {one.how for one in found} == {"rolled"}
    assert {one.entry.id: [leg.name for leg in campaign.held(one.entry)] for one in found} == {
        1: [f"625C {LATER}"], 2: [f"555P {LATER}"],
    }  # fmt: skip


def test_a_flip_closes_and_opens():
    """Buying two where one was short closes the entry and opens one that holds one."""
    closed, opened = placed([executed(2, "560P", 1.0, 5)], [short("560P", id=1)])

    assert (closed.how, closed.entry.id, opened.how) == ("closed", 1, "opened")
    assert [leg.quantity for leg in campaign.held(opened.entry)] == [1.0]


# -- assignment --------------------------------------------------------------------------------


def delivered(*rows: tuple[float, str, float], **more: Any) -> list[Executed]:
    """Rows of one evening's assignments, which have no order number."""
    values = {"action": Action.ASSIGN, "order": "", "commission": 0.0, **more}
    return [executed(quantity, name, price, 32, **values) for quantity, name, price in rows]


def test_two_strikes_assigned_together():
    """Each entry gets the shares of its own strike, at that strike."""
    book = [short("156P", -2, id=1), short("157P", -4, day=2, id=2)]
    rows = delivered((200, "", 156.0), (400, "", 157.0), (2, "156P", 0.0), (4, "157P", 0.0))

    found = placed(rows, book)

    got = {
        one.entry.id: [(fill.quantity, fill.price) for fill in one.fills if fill.is_stock]
        for one in found
    }
    assert got == {1: [(200.0, 156.0)], 2: [(400.0, 157.0)]}
    assert {one.how for one in found} == {"assigned"}


def test_one_strike_of_two_entries_assigned_together():
    """Shares that come in one row are parted as the contracts are."""
    book = [short("560P", -2, id=1), short("560P", -1, day=2, id=2)]

    found = placed(delivered((3, "560P", 0.0), (300, "", 560.0)), book)

    held = {one.entry.id: [leg.quantity for leg in campaign.held(one.entry)] for one in found}
    assert held == {1: [200.0], 2: [100.0]}


def test_a_call_and_a_put_of_one_strike():
    """Shares bought are the put's, shares sold are the call's."""
    book = [short("560P", id=1), short("560C", day=2, id=2)]
    rows = delivered((1, "560P", 0.0), (1, "560C", 0.0), (100, "", 560.0), (-100, "", 560.0))

    found = placed(rows, book)

    held = {one.entry.id: [leg.quantity for leg in campaign.held(one.entry)] for one in found}
    assert held == {1: [100.0], 2: [-100.0]}


def test_shares_called_away_leave_the_entry_that_holds_them():
    """The call's entry is closed, and so is that of the shares, at the strike."""
    own = entry(trade("open", 0, shares(100, 590.0)), id=1)
    call = short("600C", price=2.0, day=1, id=2)

    found = placed(delivered((1, "600C", 0.0), (-100, "", 600.0), opens=False), [own, call])

    assert {one.entry.id: campaign.result(one.entry) for one in found} == {1: 1000.0, 2: 200.0}


def test_an_option_that_nobody_holds_keeps_its_shares():
    """Both wait: shares alone would be a position without a past."""
    (order,) = executions.place(delivered((1, "560P", 0.0), (100, "", 560.0)), [])

    assert order.placed == ()
    assert len(order.unplaced[0].exec_ids) == 2
    assert "+1 560P 2025-06-20 is assigned, which no open entry holds" in order.unplaced[0].reason


# -- what belongs nowhere ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"action": Action.EXPIRE}, "is expired"),
        ({"action": Action.ASSIGN}, "is assigned"),
        ({"opens": False}, "is closed"),
        ({"cancels": True}, "takes an execution back that is not known here"),
    ],
)
def test_what_closes_nothing_opens_nothing(row, word):
    """What only takes back waits until what opened it is known."""
    (order,) = executions.place([executed(1, "560P", 0.4, 5, **row)], [short("550P", id=1)])

    assert order.placed == ()
    assert word in order.unplaced[0].reason


def test_what_opens_closes_nothing():
    """An opening purchase is another position, such as that of a second account."""
    (found,) = placed([executed(1, "560P", 2.5, 1, opens=True)], [short("560P", id=1)])

    assert found.how == "opened"


def test_more_expires_than_is_known():
    """Two expire and one is known: the row waits whole, and says how much is held."""
    (order,) = executions.place(
        [executed(2, "560P", 0.0, 32, action=Action.EXPIRE)], [short("560P", id=1)]
    )

    assert order.placed == ()
    assert "of which open entries hold 1" in order.unplaced[0].reason


def test_one_row_that_waits_keeps_no_other():
    """Of two that expire together the known one is placed."""
    more = {"action": Action.EXPIRE, "order": ""}
    rows = [executed(1, "560P", 0.0, 32, **more), executed(1, "550P", 0.0, 32, **more)]

    orders = executions.place(rows, [short("560P", id=1)])

    assert [one.entry.id for order in orders for one in order.placed] == [1]
    waiting = [one.exec_ids for order in orders for one in order.unplaced]
    assert waiting == [(rows[1].exec_id,)]


def test_what_closes_may_stand_before_what_opens():
    """Of two orders of one second the closing one is placed too, whichever comes first."""
    closing = executed(1, "560P", 0.4, order="2", opens=False)
    opening = executed(-1, "560P", 1.0, order="1", opens=True)

    found = placed([closing, opening], [])

    assert [one.how for one in found] == ["opened", "closed"]


def test_typed_closings_are_confirmed_one_by_one():
    """Expiries that were recorded entry by entry are confirmed by what the broker says at once."""
    book = [
        entry(
            trade("open", 0, option(-1, name, 1.0)), trade("expire", 32, option(1, name, 0.0)), id=n
        )
        for n, name in ((1, "560P"), (2, "550P"))
    ]
    more = {"action": Action.EXPIRE, "order": "", "commission": 0.0}

    found = placed(
        [executed(1, "560P", 0.0, 32, **more), executed(1, "550P", 0.0, 32, **more)], book
    )

    assert [(one.entry.id, one.how) for one in found] == [(1, "confirmed"), (2, "confirmed")]
    assert all(one.entry.trades[1].fills[0].exec_id for one in found)


names = st.sampled_from(["560P", "550P", "620C", ""])
rows = st.lists(
    st.tuples(
        st.sampled_from([-3, -2, -1, 1, 2, 3]),
        names,
        st.sampled_from([0.0, 0.5, 17.0, 32.0]),
        st.sampled_from([None, Action.EXPIRE, Action.ASSIGN]),
        st.sampled_from([None, True, False]),
        st.sampled_from(["", "1", "2"]),
    ),
    max_size=8,
)


@given(rows, st.lists(st.tuples(st.sampled_from([-2, -1, 1]), names), max_size=4))
@examples(100)
def test_placed_and_unplaced_are_all_there_was(given_rows, held):
    """Whatever comes in whatever order, each contract is placed once or waits, and none is lost."""
    book = [
        entry(trade("open", 0, option(q, name, 1.0) if name else shares(100 * q, 590.0)), id=n)
        for n, (q, name) in enumerate(held)
    ]
    incoming = [
        executed(q * (1 if name else 100), name, 1.0, day, action=action, opens=opens, order=order)
        for q, name, day, action, opens, order in given_rows
    ]

    orders = executions.place(incoming, book)

    waiting = [number for order in orders for one in order.unplaced for number in one.exec_ids]
    assert (
        len(waiting) == len(set(waiting)) == len(set(waiting) & {one.exec_id for one in incoming})
    )
    expected: dict[Any, float] = {}
    for one in incoming:
        if one.exec_id not in waiting:
            expected[one.contract.key] = expected.get(one.contract.key, 0.0) + one.quantity
    got: dict[Any, float] = {}
    for fill in (fill for order in orders for one in order.placed for fill in one.fills):
        got[fill.key] = got.get(fill.key, 0.0) + fill.quantity
    assert {key: value for key, value in got.items() if value} == pytest.approx(
        {key: value for key, value in expected.items() if value}
    )
    after = dict(enumerate(book))
    after |= {one.number: one.entry for order in orders for one in order.placed}
    total: dict[Any, float] = {}
    for fill in (fill for one in after.values() for each in one.trades for fill in each.fills):
        total[fill.key] = total.get(fill.key, 0.0) + fill.quantity
    for one in book:
        for fill in one.trades[0].fills:
            total[fill.key] = total.get(fill.key, 0.0) - fill.quantity
    typed = any(one.how == "confirmed" for order in orders for one in order.placed)
    if not typed:
        assert {key: value for key, value in total.items() if value} == pytest.approx(
            {key: value for key, value in expected.items() if value}
        )


# -- numbers -----------------------------------------------------------------------------------


def test_a_correction_replaces_what_it_corrects():
    """IB's numbers of one execution differ after the last period; others are apart."""
    ids = ["0000e0d5.6561b2a1.01.01", "0000e0d5.6561b2a1.01.02", "0000e0d5.6561b2a1.02.01"]
    ids += ["0001.1", "0001.2"]

    assert executions.corrections(ids) == {ids[0]: ids[1]}


def test_a_cancellation_and_its_execution():
    """A row that takes back is paired with the execution it takes back, once."""
    sold = executed(-1, "560P", 2.75, 0)
    again = executed(-1, "560P", 2.75, 0.1)
    cancel = executed(1, "560P", 2.75, 0, cancels=True)
    foreign = executed(1, "550P", 2.75, 0, cancels=True)

    assert executions.taken_back([sold, cancel, again, foreign]) == [(cancel, sold)]


def test_one_trade_told_by_two_reports():
    """Parts of an execution report are one row of a statement; another price is another trade."""
    parts = [
        executed(-1, "560P", 1.00, 0, order="7"),
        executed(-2, "560P", 1.03, 10 / 86400, order="7"),
    ]
    row = executed(-3, "560P", 1.02, 0, order="", exec_id="20250519|x")
    other = executed(-3, "560P", 1.20, 0, order="", exec_id="20250519|y")
    late = executed(-3, "560P", 1.02, 1, order="", exec_id="20250520|z")

    assert executions.told_before([row, other, late], parts) == {row.exec_id: parts[0].exec_id}
    assert set(executions.told_before(parts, [row])) == {one.exec_id for one in parts}


def test_equal_trades_are_told_once_each():
    """Two equal rows of a statement are two trades; one known execution tells one of them."""
    rows = [executed(-1, "560P", 1.0, 0, order="", exec_id=f"20250519|{n}") for n in range(2)]
    known = [executed(-1, "560P", 1.0, 0, order="1")]

    assert len(executions.told_before(rows, known)) == 1
    assert executions.told_before(known, known) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": 0.0}, "a quantity of 0"),
        ({"quantity": math.nan}, "quantity nan is no number"),
        ({"price": math.inf}, "price inf is no number"),
        ({"price": -3.1}, "below 0"),
        ({"commission": math.nan}, "commission nan is no number"),
        ({"at": dt.datetime(1, 1, 1, tzinfo=dt.UTC)}, "no year to trade in"),
        ({"contract": Contract(expiry=EXPIRY, strike=1e308, right="P")}, "beyond reason"),
        ({"contract": Contract(expiry=dt.date.max, strike=1.0, right="P")}, "beyond reason"),
        ({"contract": Contract(multiplier=10**9)}, "multiplier"),
        ({"contract": Contract(multiplier=1, con_id=2**63)}, "no contract id"),
    ],
)
def test_what_nobody_can_have_traded(changes, reason):
    """It is named before it is kept."""
    assert reason in executions.fault(replace(executed(-1, "560P", 2.3), **changes))
    assert executions.fault(executed(-1, "560P", 2.3)) == ""
