"""Which alternatives a position has, by its structure and the rules of ``[manage]``."""

from __future__ import annotations

import datetime as dt

import pytest

from support.journal_entries import EXPIRY, LATER, at, condor, entry, option, shares, trade
from support.journal_market import Quotes
from support.managed_positions import (
    assigned,
    attacked_condor,
    attacked_put,
    board_of,
    calendar,
    covered,
    deep_put,
    ground_of,
    past_its_front,
    winner,
)
from tomic.config import ManageSettings
from tomic.journal.manage import moves, standing
from tomic.models.exits import ExitRules
from tomic.models.manage import MoveRefusal
from tomic.models.moves import MoveKind
from tomic.models.review import HeldLeg, PortfolioGreeks, Structure
from tomic.selection import Wanted


def found(script, **market):
    """Drafts and refusals by kind."""
    one, quotes = script
    ground = ground_of(board_of(quotes, **market))
    by_kind: dict[MoveKind, list] = {}
    for draft in moves.drafts(standing.of_entry(one), ground):
        by_kind.setdefault(draft.kind, []).append(draft)
    return by_kind


def legs_of(draft) -> set[tuple[float, float | None, str | None]]:
    return {(leg.quantity, leg.strike, leg.right) for leg in draft.trade}


def reasons(by_kind, kind) -> str:
    return "; ".join(one.reason for one in by_kind[kind] if isinstance(one, MoveRefusal))


def test_a_put_under_attack():
    """It is closed, halved, rolled out at its strike or by delta, or rolled away."""
    by_kind = found(attacked_put())

    (roll,) = by_kind[MoveKind.ROLL]
    assert legs_of(roll) == {(2.0, 590.0, "P"), (-2.0, 590.0, "P")}
    (part,) = by_kind[MoveKind.PART]
    assert legs_of(part) == {(1.0, 590.0, "P")}
    (away,) = by_kind[MoveKind.TESTED_AWAY]
    (new,) = [leg for leg in away.trade if leg.quantity < 0]
    assert new.strike < 590.0
    assert reasons(by_kind, MoveKind.KEEP_LONG) == "no option is held long"
    assert reasons(by_kind, MoveKind.IRON_FLY) == "it has one side only"


def test_assignment_of_a_put_without_time_value():
    """Shares come at the strike, the put goes, and a call is sold no lower than that."""
    by_kind = found(deep_put())

    (draft,) = by_kind[MoveKind.ASSIGNMENT]

    assert [(leg.quantity, leg.is_stock) for leg in draft.given] == [(1.0, False), (100.0, True)]
    assert draft.paid == 100 * 590.0
    (call,) = draft.trade
    assert (call.quantity, call.right) == (-1.0, "C")
    assert call.strike >= 590.0


def test_no_assignment_that_nobody_would_make():
    """Not out of the money, not while time value is given up, and never of an index."""
    one, quotes = attacked_put()
    assert "has a time value of" in reasons(found((one, quotes)), MoveKind.ASSIGNMENT)
    quotes.spot = 591.0
    assert "above 590" in reasons(found((one, quotes)), MoveKind.ASSIGNMENT)

    quotes.spot, quotes.sec_type = 545.0, "IND"
    index = one.model_copy(update={"symbol": "SPX"})
    assert "settles in cash" in reasons(found((index, quotes), symbol="SPX"), MoveKind.ASSIGNMENT)


def test_shares_from_an_assignment():
    """A call is sold against each lot; nothing else is there to do but close."""
    by_kind = found(assigned())

    (write,) = by_kind[MoveKind.WRITE]
    assert {(leg.quantity, leg.right) for leg in write.trade} == {(-1.0, "C")}
    assert reasons(by_kind, MoveKind.ROLL) == "no options are held"


def test_fewer_shares_than_a_lot():
    """Nothing can be sold against 50 shares."""
    one = entry(trade("open", 0, shares(50, 590.0)))

    assert reasons(found((one, Quotes(at=at(1)))), MoveKind.WRITE) == "50 shares are no lot of 100"


def test_a_calendar_past_its_front():
    """A new front month at the strike of the long put that is left."""
    by_kind = found(past_its_front())

    strikes = {leg.strike for draft in by_kind[MoveKind.WRITE] for leg in draft.trade}
    days = [leg.expiry for draft in by_kind[MoveKind.WRITE] for leg in draft.trade]
    assert strikes == {595.0}
    assert len(days) == 2
    assert max(days) < LATER


def test_a_calendar():
    """Its front is rolled between its two expiries, never beyond the option that covers it."""
    by_kind = found(calendar())

    (roll,) = by_kind[MoveKind.ROLL]
    assert {leg.expiry for leg in roll.trade if leg.quantity < 0} < set(calendar()[1].expiries)
    assert all(leg.expiry < LATER for leg in roll.trade)
    (kept,) = by_kind[MoveKind.KEEP_LONG]
    assert legs_of(kept) == {(1.0, 595.0, "P")}


def test_a_condor_under_attack_on_one_side():
    """Its puts go out or away, its calls come in, or both meet at the tested strike."""
    by_kind = found(attacked_condor())

    (inner,) = by_kind[MoveKind.UNTESTED_IN]
    assert {leg.right for leg in inner.trade} == {"C"}
    short, long = sorted(leg.strike for leg in inner.trade if leg.strike < 620.0)
    assert long - short == 10.0
    (fly,) = by_kind[MoveKind.IRON_FLY]
    assert {(-1.0, 560.0, "C"), (1.0, 570.0, "C")} < legs_of(fly)
    outs = [one for one in by_kind[MoveKind.TESTED_OUT] if isinstance(one, moves.DraftMove)]
    assert all({leg.right for leg in draft.trade} == {"P"} for draft in outs)


def test_a_strangle_becomes_an_iron_fly_with_wings():
    """Where none are held protection is bought a standard deviation away."""
    fills = (option(-1, "570P", 3.0), option(-1, "615C", 3.0))
    one = entry(trade("open", 0, *fills), strategy="short_strangle")

    (fly,) = found((one, Quotes(spot=571.0, at=at(5))))[MoveKind.IRON_FLY]

    wings = [leg for leg in fly.trade if leg.quantity > 0 and leg.strike != 615.0]
    assert {leg.right for leg in wings} == {"P", "C"}
    assert min(leg.strike for leg in wings) < 570.0 < max(leg.strike for leg in wings)


def test_nothing_is_tested():
    """Far from every strike only time can be bought."""
    by_kind = found((condor(), Quotes(at=at(2))))

    for kind in (MoveKind.TESTED_OUT, MoveKind.TESTED_AWAY, MoveKind.UNTESTED_IN):
        assert "nothing is tested: delta 560P 2025-06-20 -0.1" in reasons(by_kind, kind)


def test_a_covered_call_keeps_its_shares():
    """Only the call is rolled; closing takes all."""
    by_kind = found(covered())

    (roll,) = by_kind[MoveKind.ROLL]
    assert {leg.right for leg in roll.trade} == {"C"}
    (close,) = by_kind[MoveKind.CLOSE]
    assert {leg.is_stock for leg in close.trade} == {True, False}


# -- rules -------------------------------------------------------------------------------------


def test_no_more_than_so_many_rolls():
    """A campaign that was rolled as often as allowed is rolled no more."""
    one, quotes = attacked_put()
    rolled = one.model_copy(update={"trades": (
        *one.trades,
        trade("roll", 1, option(2, "590P", 6.0), option(-2, "590P", 7.0)),
    )})  # fmt: skip

    by_kind = found((rolled, quotes), manage={"max_rolls": 1})

    for kind in (MoveKind.ROLL, MoveKind.ROLL_DELTA, MoveKind.TESTED_AWAY):
        assert reasons(by_kind, kind) == "rolled 1 times already, at most 1"


def test_never_past_earnings():
    """No roll reaches beyond the next report, unless that is allowed."""
    report = LATER - dt.timedelta(days=3)

    refused = found(attacked_put(), earnings=report)
    allowed = found(attacked_put(), earnings=report, manage={"past_earnings": True})

    assert "past the earnings of 15 Jul" in reasons(refused, MoveKind.ROLL)
    assert isinstance(allowed[MoveKind.ROLL][0], moves.DraftMove)


def test_nothing_deep_in_the_money_is_sold():
    """A strike of more delta than the settings allow is not sold again."""
    one, quotes = attacked_put()
    quotes.spot = 560.0

    assert "more than 0.55" in reasons(found((one, quotes)), MoveKind.ROLL)


def test_no_expiry_in_the_window():
    """The reason names the window."""
    refused = found(attacked_put(), manage={"min_dte": 90, "max_dte": 120})

    assert "90 to 120 days out" in reasons(refused, MoveKind.ROLL)


@pytest.mark.parametrize("count", [1, 2])
def test_monthly_expiries_come_first(count):
    """Of the window as many as asked for, monthly ones before others, near its middle."""
    today = dt.date(2026, 11, 20)
    fridays = [today + dt.timedelta(days=7 * week) for week in range(1, 12)]

    days = moves.targets(fridays, today, ManageSettings(expiries=count))

    assert dt.date(2027, 1, 15) in days
    assert len(days) == count


def test_only_what_is_traded_is_needed():
    """The options of all drafts, without shares."""
    one, quotes = attacked_put()
    ground = ground_of(board_of(quotes))

    wanted = moves.needed(moves.drafts(standing.of_entry(one), ground))

    assert Wanted(EXPIRY, 590.0, "P") in wanted
    assert Wanted(LATER, 590.0, "P") in wanted
    assert len(wanted) < 8


# -- positions ---------------------------------------------------------------------------------


def test_an_entry_with_a_net_price_knows_what_its_legs_cost_by_their_mids():
    """The difference to the mids is shared by all contracts; without mids it is not known."""
    with_mids = entry(
        trade("open", 0, option(-1, "560P", mid=4.0), option(1, "550P", mid=2.5), price=1.40)
    )

    opened = standing.of_entry(with_mids).opened

    assert sorted(opened.values()) == pytest.approx([2.55, 3.95])
    assert standing.of_entry(condor()).opened == {}


def test_a_structure_of_the_book():
    """What its legs cost is what it received; of one without a cost nothing is known."""
    put = HeldLeg(
        contract="SPY 2025-06-20 590P", quantity=-2, right="P", strike=590.0, expiry=EXPIRY,
        multiplier=100.0, cost=5.0,
    )  # fmt: skip
    held = Structure(
        id="SPY-1", strategy="naked_put", symbol="SPY", account="DU1", source="match",
        quantity=2, legs=(put,), greeks=PortfolioGreeks(),
    )  # fmt: skip
    unknown = held.model_copy(update={"legs": (put.model_copy(update={"cost": None}),)})

    assert standing.of_structure(held, ExitRules()).received == 1000.0
    assert standing.of_structure(held, ExitRules()).premium == 1000.0
    assert standing.of_structure(unknown, ExitRules()).received is None


def test_what_has_expired():
    """Options whose day is past, which the journal still has."""
    one, _ = winner()

    held = standing.of_entry(one)

    assert standing.expired(held, EXPIRY) == ()
    assert len(standing.expired(held, EXPIRY + dt.timedelta(days=1))) == 2
