"""Executions become trades, and trades find their campaigns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from journal_entries import EXPIRY, LATER, OPENED, at, condor, entry, option, trade
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


def test_partial_fills_become_one():
    """Three parts of one leg are one fill at the mean price; the legs of an order are one trade."""
    parts = [
        executed(-1, "560P", 2.30),
        executed(-2, "560P", 2.36),
        executed(3, "550P", 1.10),
    ]

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

    ((_, found),) = executions.to_trades(parts, commission=0.65)

    assert [fill.commission for fill in found.fills] == [1.3, 0.0]


def test_a_new_trade_opens_an_entry():
    """Legs that close nothing are a campaign of their own."""
    (found,) = executions.place([executed(-1, "560P", 2.3), executed(1, "550P", 1.1)], [condor()])

    assert (found.how, found.number) == ("opened", 1)
    assert found.entry.id is None
    assert found.entry.opened_at == OPENED
    assert campaign.premium(found.entry) == pytest.approx(120.0)


def test_a_closing_trade_finds_its_entry():
    """What takes legs back belongs to the entry that holds them."""
    own = entry(trade("open", 0, option(-1, "560P", 2.3), option(1, "550P", 1.1)), id=7)
    other = entry(trade("open", 0, option(-1, "600C", 2.3)), id=8)

    (found,) = executions.place(
        [executed(1, "560P", 0.8, 5), executed(-1, "550P", 0.3, 5)], [other, own]
    )

    assert (found.how, found.entry.id) == ("closed", 7)
    assert campaign.result(found.entry) == pytest.approx(120.0 - 50.0 - 1.3)


def test_a_roll_stays_one_campaign():
    """Closing one leg and opening another in one order is a roll; later trades see it."""
    own = entry(trade("open", 0, option(-1, "560P", 2.0)), id=7)

    rolled, closed = executions.place(
        [
            executed(1, "560P", 1.5, 10),
            executed(-1, "560P", 2.4, 10, expiry=LATER),
            executed(1, "560P", 0.4, 30, expiry=LATER),
        ],
        [own],
    )

    assert (rolled.how, closed.how) == ("rolled", "closed")
    assert rolled.number == closed.number == 0
    assert [one.action for one in closed.entry.trades] == [
        Action.OPEN,
        Action.ROLL,
        Action.CLOSE,
    ]
    assert campaign.result(closed.entry) == pytest.approx(200 + 90 - 40 - 3 * 0.65)


def test_a_close_over_two_entries():
    """Three contracts close one of the first entry and two of the second."""
    one = entry(trade("open", 0, option(-1, "560P", 2.0)), id=1)
    two = entry(trade("open", 1, option(-2, "560P", 2.2)), id=2)

    found = executions.place([executed(3, "560P", 1.0, 5)], [one, two])

    assert [(each.entry.id, each.how) for each in found] == [(1, "closed"), (2, "closed")]
    assert all(campaign.held(each.entry) == () for each in found)
    assert sum(campaign.commissions(each.entry) for each in found) == pytest.approx(1.95)


def test_more_than_was_held_opens_the_rest():
    """Buying three back where two were short leaves one long, in an entry of its own."""
    own = entry(trade("open", 0, option(-2, "560P", 2.0)), id=1)

    closed, opened = executions.place([executed(3, "560P", 1.0, 5)], [own])

    assert (closed.how, opened.how) == ("closed", "opened")
    assert [leg.quantity for leg in campaign.held(opened.entry)] == [1.0]


def test_expiry_and_assignment_by_their_codes():
    """What the broker calls expired or assigned is recorded as that, shares included."""
    own = entry(trade("open", 0, option(-1, "560P", 2.0), option(1, "550P", 1.0)), id=1)

    expired, assigned = executions.place(
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

    (found,) = executions.place(fills, [typed])

    assert (found.how, found.entry.id, len(found.exec_ids)) == ("confirmed", 4, 4)
    assert campaign.premium(found.entry) == pytest.approx(230.0)
    assert campaign.commissions(found.entry) == pytest.approx(2.6)
    assert found.entry.trades[0].at == typed.trades[0].at


def test_confirming_happens_once():
    """The same legs again on the same day are a second trade."""
    fills = [executed(-1, "560P", 3.0, 0.1, order="1"), executed(-1, "560P", 3.1, 0.2, order="2")]

    found = executions.place(fills, [entry(trade("open", 0, option(-1, "560P", 2.9)))])

    assert [one.how for one in found] == ["confirmed", "opened"]


def test_an_entry_of_another_symbol_or_later_is_left_alone():
    """Legs are matched within a symbol, and only with what was open at that moment."""
    later = entry(trade("open", 9, option(-1, "560P", 2.0)))
    other = entry(trade("open", 0, option(-1, "560P", 2.0)), symbol="QQQ")

    (found,) = executions.place([executed(1, "560P", 1.0, 5)], [later, other])

    assert (found.how, found.number) == ("opened", 2)


def test_numbers_for_executions_without():
    """A made-up number says what the execution was and which of its equals it is."""
    bare = executed(-1, "560P", 2.3, exec_id="")

    one, two = executions.with_number(bare, 0), executions.with_number(bare, 1)

    assert one.exec_id == "20250519T150000|SPY|560P_2025-06-20|-1|2.3|0"
    assert two.exec_id != one.exec_id
    assert executions.with_number(one, 5) is one
    assert dt.datetime.strptime(one.exec_id[:15], "%Y%m%dT%H%M%S")
