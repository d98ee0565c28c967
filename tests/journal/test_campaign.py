"""Results of campaigns, by hand."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import ValidationError

from support.journal_entries import CONDOR, EXPIRY, LATER, at, condor, entry, option, shares, trade
from tomic.errors import UsageError
from tomic.journal import campaign
from tomic.models.journal import (
    Action,
    CashFlow,
    CashKind,
    Contract,
    EntryStatus,
    Fill,
    JournalEntry,
    Trade,
)

NO_MARKS: dict[object, float] = {}


def result(one: JournalEntry) -> float:
    found = campaign.result(one)
    assert found is not None
    return round(found, 2)


def spread(day: float = 0, action: str = "open", quantity: int = 1, **more: object) -> Trade:
    return trade(
        action, day, option(-quantity, "560P", 3.10), option(quantity, "550P", 1.60), **more
    )


HISTORIES = {
    # (3.10 - 1.60) x 100 = 150; bought back for (1.20 - .50) x 100 = 70.
    "spread closed early": (
        [spread(), trade("close", 9, option(1, "560P", 1.20), option(-1, "550P", 0.50))],
        80.0,
    ),
    # Both expire: the credit is kept.
    "spread expired worthless": (
        [spread(), trade("expire", 32, option(1, "560P", 0.0), option(-1, "550P", 0.0))],
        150.0,
    ),
    # 150 in, 10 points out.
    "spread at maximum loss": (
        [spread(), trade("close", 30, option(1, "560P", 12.0), option(-1, "550P", 2.0))],
        -850.0,
    ),
    # 5 spreads: 5 x 150 - 5 x 70.
    "five spreads": (
        [
            spread(quantity=5),
            trade("close", 9, option(5, "560P", 1.20), option(-5, "550P", 0.50)),
        ],
        400.0,
    ),
    # 4 spreads: 600 in; one closed for 70, three for 40 each.
    "partial close, then the rest": (
        [
            spread(quantity=4),
            trade("close", 5, option(1, "560P", 1.20), option(-1, "550P", 0.50)),
            trade("close", 8, option(3, "560P", 0.60), option(-3, "550P", 0.20)),
        ],
        410.0,
    ),
    # 150, less 0.65 x 2 twice.
    "commissions both ways": (
        [
            trade(
                "open",
                0,
                option(-1, "560P", 3.10, commission=0.65),
                option(1, "550P", 1.60, commission=0.65),
            ),
            trade(
                "close",
                3,
                option(1, "560P", 1.20, commission=0.65),
                option(-1, "550P", 0.50, commission=0.65),
            ),
        ],
        77.4,
    ),
    # Exchange rebates are negative commissions.
    "rebate": (
        [
            trade("open", 0, option(-1, "560P", 2.0, commission=-0.2)),
            trade("close", 1, option(1, "560P", 1.0, commission=0.7)),
        ],
        99.5,
    ),
    # A net credit of 2.35, closed at a net debit of .90: (2.35 - .90) x 100.
    "condor by net price": (
        [
            condor().trades[0],
            trade(
                "close",
                10,
                *[option(-sign, name) for name, sign in CONDOR],
                price=-0.90,
            ),
        ],
        145.0,
    ),
    # 3 condors: 3 x (2.35 - .90) x 100.
    "three condors by net price": (
        [
            condor(3).trades[0],
            trade(
                "close",
                10,
                *[option(-3 * sign, name) for name, sign in CONDOR],
                price=-0.90,
            ),
        ],
        435.0,
    ),
    # Put side closed for .20, call side expires: 235 - 20.
    "condor, one side at a time": (
        [
            condor().trades[0],
            trade("close", 10, option(1, "560P"), option(-1, "550P"), price=-0.20),
            trade("expire", 32, option(1, "620C", 0.0), option(-1, "630C", 0.0)),
        ],
        215.0,
    ),
    # 200 in; rolled for a net credit of .80; closed for 1.10: 200 + 80 - 110.
    "naked put rolled out": (
        [
            trade("open", 0, option(-1, "560P", 2.0)),
            trade("roll", 20, option(1, "560P", 1.5), option(-1, "560P", 2.3, LATER)),
            trade("close", 40, option(1, "560P", 1.1, LATER)),
        ],
        170.0,
    ),
    # Rolled twice: 200; + (2.0 - 2.6) = -60; + (2.1 - 1.4) = 70; expires.
    "naked put rolled down, then out": (
        [
            trade("open", 0, option(-1, "560P", 2.0)),
            trade("roll", 10, option(1, "560P", 2.6), option(-1, "550P", 2.0)),
            trade("roll", 20, option(1, "550P", 1.4), option(-1, "550P", 2.1, LATER)),
            trade("expire", 60, option(1, "550P", 0.0, LATER)),
        ],
        210.0,
    ),
    # 2 spreads: 300; the shorts rolled from 560 to 555 for a debit of (2.5 - 2.1): -80; then
    # everything for 2 x (.9 - .4): -100.
    "short legs rolled alone": (
        [
            spread(quantity=2),
            trade("roll", 7, option(2, "560P", 2.5), option(-2, "555P", 2.1)),
            trade("close", 12, option(2, "555P", 0.9), option(-2, "550P", 0.4)),
        ],
        120.0,
    ),
    # Two spreads; one is added: 3 x 150; all closed for 3 x 70.
    "adjusted by one more spread": (
        [
            spread(quantity=2),
            spread(4, "adjust"),
            trade("close", 9, option(3, "560P", 1.20), option(-3, "550P", 0.50)),
        ],
        240.0,
    ),
    # A call spread is sold beside the put spread: 150 + 90; both expire.
    "put spread turned into a condor": (
        [
            spread(),
            trade("adjust", 4, option(-1, "620C", 1.4), option(1, "630C", 0.5)),
            trade(
                "expire",
                32,
                option(1, "560P", 0.0),
                option(-1, "550P", 0.0),
                option(1, "620C", 0.0),
                option(-1, "630C", 0.0),
            ),
        ],
        240.0,
    ),
    # 200 for the put; assigned at 560; shares sold at 557: 200 - 300.
    "short put assigned, shares sold": (
        [
            trade("open", 0, option(-1, "560P", 2.0)),
            trade("assign", 32, option(1, "560P", 0.0), shares(100, 560.0)),
            trade("close", 35, shares(-100, 557.0)),
        ],
        -100.0,
    ),
    # Assigned early on one of two, the other expires: 400; shares 560 -> 566: +600.
    "half of it assigned": (
        [
            trade("open", 0, option(-2, "560P", 2.0)),
            trade("assign", 25, option(1, "560P", 0.0), shares(100, 560.0)),
            trade("expire", 32, option(1, "560P", 0.0)),
            trade("close", 33, shares(-100, 566.0)),
        ],
        1000.0,
    ),
    # Wheel: put 200, assigned at 560, call 300 sold on the shares, called away at 570:
    # 200 + 300 + 1000.
    "the wheel": (
        [
            trade("open", 0, option(-1, "560P", 2.0)),
            trade("assign", 32, option(1, "560P", 0.0), shares(100, 560.0)),
            trade("adjust", 33, option(-1, "570C", 3.0, LATER)),
            trade("assign", 60, option(1, "570C", 0.0, LATER), shares(-100, 570.0)),
        ],
        1500.0,
    ),
    # Covered call: shares 590, call 2.50; expires; shares sold at 594.
    "covered call, call expires": (
        [
            trade("open", 0, shares(100, 590.0), option(-1, "600C", 2.5)),
            trade("expire", 32, option(1, "600C", 0.0)),
            trade("close", 33, shares(-100, 594.0)),
        ],
        650.0,
    ),
    # Covered call called away: 250 + 10 x 100.
    "covered call, called away": (
        [
            trade("open", 0, shares(100, 590.0), option(-1, "600C", 2.5)),
            trade("assign", 32, option(1, "600C", 0.0), shares(-100, 600.0)),
        ],
        1250.0,
    ),
    # Both legs in the money: assigned at 560, exercised at 550: 150 - 1000.
    "spread settled in shares": (
        [
            spread(),
            trade(
                "assign",
                32,
                option(1, "560P", 0.0),
                shares(100, 560.0),
                option(-1, "550P", 0.0),
                shares(-100, 550.0),
            ),
        ],
        -850.0,
    ),
    # Cash settlement of an index spread at 553: short leg 7 in the money: 150 - 700.
    "spread settled in cash": (
        [spread(), trade("assign", 32, option(1, "560P", 7.0), option(-1, "550P", 0.0))],
        -550.0,
    ),
    # Calendar: 3.00 received, 4.20 paid; near expires, far sold at 4.00: -420 + 300 + 400.
    "calendar": (
        [
            trade("open", 0, option(-1, "590P", 3.0), option(1, "590P", 4.2, LATER)),
            trade("expire", 32, option(1, "590P", 0.0)),
            trade("close", 33, option(-1, "590P", 4.0, LATER)),
        ],
        280.0,
    ),
    # Calendar closed as one at 1.50 received: (1.50 - 1.20) x 100.
    "calendar by net price": (
        [
            trade("open", 0, option(-1, "590P"), option(1, "590P", None, LATER), price=-1.2),
            trade("close", 20, option(1, "590P"), option(-1, "590P", None, LATER), price=1.5),
        ],
        30.0,
    ),
    # Calendar whose near leg is rolled a week: -120; + (2.2 - .4) x 100; then 1.9 - 2.6 the other
    # way: sold far at 2.6, bought near at 1.9.
    "calendar with its near leg rolled": (
        [
            trade("open", 0, option(-1, "590P", 3.0), option(1, "590P", 4.2, LATER)),
            trade(
                "roll",
                31,
                option(1, "590P", 0.4),
                option(-1, "590P", 2.2, dt.date(2025, 6, 27)),
            ),
            trade(
                "close",
                35,
                option(1, "590P", 1.9, dt.date(2025, 6, 27)),
                option(-1, "590P", 2.6, LATER),
            ),
        ],
        130.0,
    ),
    # Two diagonals: 2 x (-3.5 + 2.0) x 100; closed for 2 x (3.9 - 1.1) x 100.
    "two diagonals": (
        [
            trade("open", 0, option(2, "580C", 3.5, LATER), option(-2, "600C", 2.0)),
            trade("close", 15, option(-2, "580C", 3.9, LATER), option(2, "600C", 1.1)),
        ],
        260.0,
    ),
    # Ratio 1:2: +1 at 3.0, -2 at 1.8; closed: 2.0 and 1.0: 60 + (200 - 200).
    "ratio spread": (
        [
            trade("open", 0, option(1, "570P", 3.0), option(-2, "560P", 1.8)),
            trade("close", 9, option(-1, "570P", 2.0), option(2, "560P", 1.0)),
        ],
        60.0,
    ),
    # Long straddle: -1100; sold for 900.
    "long straddle": (
        [
            trade("open", 0, option(1, "590C", 5.6), option(1, "590P", 5.4)),
            trade("close", 5, option(-1, "590C", 7.5), option(-1, "590P", 1.5)),
        ],
        -200.0,
    ),
    # A mini contract of 10 shares: (2.0 - .5) x 10 x 3.
    "another multiplier": (
        [
            trade("open", 0, option(-3, "560P", 2.0, multiplier=10)),
            trade("close", 3, option(3, "560P", 0.5, multiplier=10)),
        ],
        45.0,
    ),
    # Jade lizard: 1.2 + .9 - .3 = 1.80; put bought at .5, call spread expires.
    "jade lizard": (
        [
            trade(
                "open", 0, option(-1, "560P", 1.2), option(-1, "610C", 0.9), option(1, "620C", 0.3)
            ),
            trade("close", 20, option(1, "560P", 0.5)),
            trade("expire", 32, option(1, "610C", 0.0), option(-1, "620C", 0.0)),
        ],
        130.0,
    ),
    # Collar: shares 590, put 4.0, call 3.5; exercised at 570: -59000 - 50 + 57000.
    "collar, put exercised": (
        [
            trade(
                "open",
                0,
                shares(100, 590.0),
                option(1, "570P", 4.0),
                option(-1, "610C", 3.5),
            ),
            trade(
                "assign",
                32,
                option(-1, "570P", 0.0),
                shares(-100, 570.0),
            ),
            trade("expire", 32, option(1, "610C", 0.0)),
        ],
        -2050.0,
    ),
    # A broken-wing butterfly closed leg by leg: .40 in; wings out 0.30 + .10, body back at .25 x 2.
    "butterfly closed leg by leg": (
        [
            trade(
                "open",
                0,
                option(1, "560P", 1.4),
                option(-2, "550P", 1.1),
                option(1, "535P", 0.4),
            ),
            trade("close", 10, option(2, "550P", 0.25)),
            trade("close", 11, option(-1, "560P", 0.3)),
            trade("close", 12, option(-1, "535P", 0.1)),
        ],
        30.0,
    ),
}  # fmt: skip


def test_thirty_histories_are_scripted():
    """There are at least thirty different histories below."""
    assert len(HISTORIES) >= 30


@pytest.mark.parametrize("name", HISTORIES)
def test_results_by_hand(name):
    """A closed campaign has the one result that its cash says, whatever its history."""
    trades, expected = HISTORIES[name]

    one = entry(*trades)

    assert one.status is EntryStatus.CLOSED
    assert one.closed_at == trades[-1].at
    assert result(one) == expected
    assert campaign.held(one) == ()


@pytest.mark.parametrize("name", HISTORIES)
def test_an_open_campaign_has_no_result(name):
    """Before its last trade a campaign is open, and what it is worth needs marks."""
    trades, _ = HISTORIES[name]

    one = entry(*trades[:-1])

    assert one.is_open
    assert campaign.result(one) is None
    assert campaign.worth(one, {}).pnl is None
    assert campaign.worth(one, {}).missing == tuple(leg.name for leg in campaign.held(one))


@pytest.mark.parametrize("name", HISTORIES)
def test_closing_at_the_marks_gives_the_marked_result(name):
    """P&L at marks is the result of closing at those marks."""
    trades, _ = HISTORIES[name]
    one = entry(*trades[:-1])
    marks = {leg.key: 1.25 for leg in campaign.held(one)}

    worth = campaign.worth(one, marks)
    fills = campaign.closing_fills(campaign.held(one), prices=marks)
    closed = campaign.with_trade(one, Trade(at=at(99), action=Action.CLOSE, fills=fills))

    assert campaign.result(closed) == pytest.approx(worth.pnl)


def test_open_profit_of_several_contracts():
    """Two condors sold at 2.35 that cost 0.90 now have earned 290."""
    one = condor(2)
    marks = dict(zip((leg.key for leg in campaign.held(one)), (0.8, 0.3, 0.7, 0.3), strict=True))

    worth = campaign.worth(one, marks)

    assert worth.cash == 470.0
    assert worth.value == pytest.approx(-180.0)
    assert worth.pnl == pytest.approx(290.0)


def test_premium_grows_with_rolls_and_not_with_closes():
    """Targets are measured against what opening and rolling brought; a partial close is not."""
    one = entry(
        spread(quantity=2),
        trade("close", 5, option(1, "560P", 1.2), option(-1, "550P", 0.5)),
        trade("roll", 7, option(1, "560P", 2.5), option(-1, "555P", 2.9)),
    )

    assert campaign.premium(one) == pytest.approx(340.0)


def test_premium_leaves_shares_out():
    """The premium of a covered call is that of the call; with one net price nobody can tell."""
    one = entry(trade("open", 0, shares(100, 590.0), option(-1, "600C", 2.5)))
    net = Trade(
        at=at(0),
        action=Action.OPEN,
        fills=(Fill(multiplier=1, quantity=100), option(-1, "600C")),
        price=-587.5,
    )

    assert campaign.premium(one) == 250.0
    assert campaign.cash(net) == -58750.0
    assert campaign.premium(entry(net)) is None
    assert campaign.option_pnl(entry(net), {}) is None


def test_option_pnl_leaves_shares_out():
    """A covered call whose shares fell has earned what the call lost."""
    one = entry(trade("open", 0, shares(100, 590.0), option(-1, "600C", 2.5, commission=1.0)))
    call = option(-1, "600C").key

    assert campaign.option_pnl(one, {call: 1.0}) == pytest.approx(149.0)
    assert campaign.option_pnl(one, {}) is None


def test_slippage_against_mid():
    """Sold 0.05 under mid and bought back 0.03 over it: 8 currency given away on one contract."""
    one = entry(
        trade("open", 0, option(-1, "560P", 2.0, mid=2.05)),
        trade("close", 5, option(1, "560P", 1.0, mid=0.97)),
    )

    assert campaign.slippage(one) == pytest.approx(8.0)


def test_slippage_of_a_net_price():
    """A condor sold for 2.35 whose mids come to 2.45 gave 10 away; without mids nobody knows."""
    mids = {"560P": 2.0, "550P": 1.0, "620C": 1.9, "630C": 0.45}
    opening = condor().trades[0]
    fills = tuple(
        fill.model_copy(update={"mid": mids[f"{fill.strike:g}{fill.right}"]})
        for fill in opening.fills
    )

    marked = entry(opening.model_copy(update={"fills": fills}))

    assert campaign.slippage(marked) == pytest.approx(10.0)
    assert campaign.slippage(condor()) is None


def test_more_than_is_held_cannot_be_closed():
    """A close that is larger than the position, on the wrong side, or of another leg is refused."""
    one = entry(spread())

    for wrong in (option(2, "560P", 1.0), option(-1, "560P", 1.0), option(1, "565P", 1.0)):
        with pytest.raises(UsageError, match="cannot close"):
            campaign.with_trade(one, trade("close", 5, wrong))


def test_nothing_is_traded_after_the_end_or_before_the_start():
    """A closed campaign takes no trade, and none happens before it was opened."""
    closed = entry(*HISTORIES["spread closed early"][0])

    with pytest.raises(UsageError, match="is closed"):
        campaign.with_trade(closed, spread(20, "adjust"))
    with pytest.raises(UsageError, match="before the entry was opened"):
        campaign.with_trade(entry(spread()), spread(-1, "adjust"))


def test_part_of_a_position_is_closed_in_whole_contracts():
    """Half of four is two; half of three is refused."""
    four, three = entry(spread(quantity=4)), entry(spread(quantity=3))

    fills = campaign.closing_fills(campaign.held(four), share=0.5, commission=0.65)

    assert [fill.quantity for fill in fills] == [2.0, -2.0]
    assert [fill.commission for fill in fills] == [1.3, 1.3]
    with pytest.raises(UsageError, match="cannot be closed by 50%"):
        campaign.closing_fills(campaign.held(three), share=0.5)


def test_worthless_options_expire_and_others_are_assigned():
    """At 555 the short 560 put is assigned and the long 550 put expires."""
    legs = campaign.held(entry(spread()))

    found = campaign.settlement(legs, expired_by=EXPIRY, spot=555.0, in_cash=False)

    assert [fill.name for fill in found[Action.EXPIRE]] == ["550P 2025-06-20"]
    assert [(f.quantity, f.price) for f in found[Action.ASSIGN]] == [(1.0, 0.0), (100.0, 560.0)]


def test_an_index_settles_in_cash():
    """At 555 a cash-settled short 560 put costs 5.00 and no share changes hands."""
    legs = campaign.held(entry(spread()))

    found = campaign.settlement(legs, expired_by=EXPIRY, spot=555.0, in_cash=True)

    assert [(f.quantity, f.price) for f in found[Action.ASSIGN]] == [(1.0, 5.0)]


def test_at_the_strike_an_option_expires():
    """Exactly at the strike nothing is in the money."""
    legs = campaign.held(entry(trade("open", 0, option(-1, "560P", 2.0))))

    assert list(campaign.settlement(legs, expired_by=EXPIRY, spot=560.0, in_cash=False)) == [
        Action.EXPIRE
    ]


def test_later_legs_do_not_settle():
    """Only what has expired by the day is settled."""
    legs = campaign.held(
        entry(trade("open", 0, option(-1, "590P", 3.0), option(1, "590P", 4.2, LATER)))
    )

    assert (
        campaign.settlement(legs, expired_by=dt.date(2025, 6, 19), spot=500.0, in_cash=False) == {}
    )
    found = campaign.settlement(legs, expired_by=EXPIRY, spot=600.0, in_cash=False)
    assert [fill.quantity for fill in found[Action.EXPIRE]] == [1.0]


@pytest.mark.parametrize(
    ("quantity", "name", "sold"),
    [(-1, "560P", 100.0), (1, "560P", -100.0), (-1, "560C", -100.0), (1, "560C", 100.0)],
)
def test_exercise_moves_shares_the_right_way(quantity, name, sold):
    """A short put and a long call bring shares; a short call and a long put take them."""
    leg = campaign.held(entry(trade("open", 0, option(2 * quantity, name, 2.0))))[0]

    gone, stock = campaign.exercise(leg, 1)

    assert gone.quantity == -quantity
    assert (stock.quantity, stock.price) == (sold, 560.0)
    with pytest.raises(UsageError, match="cannot be assigned"):
        campaign.exercise(leg, 3)


@pytest.mark.parametrize(
    ("quantities", "names", "text", "expected"),
    [
        ((-1, 1), ("560P", "550P"), "1.50", 1.5),
        ((1, -1), ("560P", "550P"), "1.50", -1.5),
        ((-1,), ("560P",), "2,10", 2.1),
        ((1, 1), ("590C", "590P"), "11", -11.0),
        ((1, -2, 1), ("560P", "550P", "540P"), "0.8", -0.8),
        ((-1, 1, -1), ("560P", "620C", "610C"), "1.8", 1.8),
        ((1, -2), ("570P", "560P"), "+0.60", 0.6),
        ((1, -2), ("570P", "560P"), "-0.60", -0.6),
        ((-1, 1), ("560P", "550P"), "-0.10", -0.1),
        ((-1, 1), ("560P", "550P"), "0", 0.0),
    ],
)
def test_a_price_finds_its_sign(quantities, names, text, expected):
    """What can only pay out is bought and what can only cost is sold; a sign settles the rest."""
    fills = [option(q, n) for q, n in zip(quantities, names, strict=True)]

    assert campaign.signed_price(text, fills) == expected


def test_a_calendar_is_bought():
    """The later leg has more time value, so a calendar at one strike costs money."""
    bought = [option(-1, "590P"), option(1, "590P", None, LATER)]
    sold = [option(1, "590P"), option(-1, "590P", None, LATER)]

    assert campaign.signed_price("1.20", bought) == -1.2
    assert campaign.signed_price("1.20", sold) == 1.2


def test_an_unclear_price_needs_a_sign():
    """A ratio spread may trade for a credit or a debit, and the message shows how to say which."""
    fills = [option(1, "570P"), option(-2, "560P")]

    with pytest.raises(UsageError, match=r"write \+0\.6 for received"):
        campaign.signed_price("0.60", fills)
    with pytest.raises(UsageError, match="what one structure trades for"):
        campaign.signed_price("cheap", fills)


def test_the_market_tells_an_unclear_price():
    """Where its middle is clearly on one side, a price without a sign is on that side."""
    fills = [option(1, "570P"), option(-2, "560P")]

    assert campaign.signed_price("0.60", fills, market=0.45) == 0.6
    assert campaign.signed_price("0.60", fills, market=-0.45) == -0.6
    with pytest.raises(UsageError, match="could be bought or sold"):
        campaign.signed_price("0.60", fills, market=0.05)


def test_structures_are_counted():
    """The greatest common divisor of the legs says how many structures there are."""
    assert campaign.count_structures([option(-6, "560P"), option(6, "550P")]) == 6
    assert campaign.count_structures([option(2, "570P"), option(-4, "560P")]) == 2
    assert campaign.count_structures([shares(100, 1.0)]) == 1
    assert campaign.count_structures([shares(200, 1.0), option(-2, "600C")]) == 2


def test_expiries_of_a_campaign():
    """The next expiry is that of what is held; the opening one is where the forecast ends."""
    one = entry(*HISTORIES["naked put rolled out"][0][:2])

    assert campaign.first_expiry(one) == LATER
    assert campaign.opening_expiry(one) == EXPIRY
    assert campaign.first_expiry(entry(*HISTORIES["naked put rolled out"][0])) == EXPIRY


def test_days_in_trade_stop_at_the_close():
    """Calendar days from opening to today, or to the close."""
    closed = entry(*HISTORIES["spread closed early"][0])

    assert campaign.days_in_trade(closed, dt.date(2025, 12, 31)) == 9
    assert campaign.days_in_trade(entry(spread()), dt.date(2025, 5, 29)) == 10


def test_both_ways_to_write_an_expiry_are_the_same_contract():
    """``2025-07-18`` and ``20250718`` are the same day, as text and as number."""
    written = [
        Contract(expiry=day, strike=560.0, right="P").key
        for day in ("2025-07-18", "20250718", 20250718, dt.date(2025, 7, 18))
    ]

    assert len(set(written)) == 1


def test_half_an_option_is_no_contract():
    """An option needs expiry, strike and right; a trade needs its prices."""
    with pytest.raises(ValidationError, match="an option needs expiry, strike and right"):
        Contract(strike=560.0)
    with pytest.raises(ValidationError, match="a price is missing for 560P 2025-06-20"):
        trade("open", 0, option(-1, "560P"))
    with pytest.raises(ValidationError, match="must not be 0"):
        option(0, "560P", 1.0)


def test_an_entry_survives_its_document():
    """Through JSON and back an entry is the same, an unbounded loss included."""
    one = entry(*HISTORIES["calendar"][0]).model_copy(
        update={"context": condor().context.model_copy(update={"max_loss": float("inf")})}
    )

    again = JournalEntry.model_validate(one.model_dump(mode="json", exclude_defaults=True))

    assert again == one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.35", 2.35),
        ("2,35", 2.35),
        ("1,250.50", 1250.5),
        ("0,125", 0.125),
        ("-1,250,000", -1.25e6),
    ],
)
def test_a_price_as_people_write_it(text, value):
    """A comma of decimals and commas of thousands are told apart by what stands behind them."""
    assert campaign.plain_price(text) == value


@pytest.mark.parametrize("text", ["1,250", "+12,500", "-1,250"])
def test_a_comma_that_could_be_either_is_asked_about(text):
    """1,250 is 1250 to some and 1.25 to others: neither is taken."""
    with pytest.raises(UsageError, match="for it could be either"):
        campaign.plain_price(text)


def test_classes_and_ids_tell_contracts_apart():
    """SPX is not SPXW, an unknown class may be either, and ids count before terms."""
    plain = option(-1, "560P", 1.0)
    am, pm = (plain.model_copy(update={"trading_class": name}) for name in ("SPX", "SPXW"))
    first, split = (
        option(-1, name, 1.0).model_copy(update={"con_id": 12}) for name in ("500P", "50P")
    )

    assert not campaign.is_same(am, pm)
    assert campaign.is_same(plain, am)
    assert campaign.is_same(first, split)
    assert not campaign.is_same(first, first.model_copy(update={"con_id": 13}))


def test_what_was_booked_is_part_of_the_result():
    """A dividend and a settlement in cash count; the premium stays what it was."""
    own = entry(
        trade("open", 0, option(-1, "560P", 1.0)), trade("close", 5, option(1, "560P", 0.0))
    )
    paid = CashFlow(id="1", at=at(5), kind=CashKind.SETTLEMENT, amount=-40.0)

    booked = own.model_copy(update={"flows": (paid,)})

    assert campaign.result(booked) == pytest.approx(60.0)
    assert campaign.worth(booked, {}).pnl == pytest.approx(60.0)
    assert campaign.premium(booked) == 100.0


# -- days that name an index option -------------------------------------------------------------

THURSDAY, FRIDAY = dt.date(2026, 12, 17), dt.date(2026, 12, 18)
TUESDAY, WEDNESDAY = dt.date(2026, 12, 15), dt.date(2026, 12, 16)


def _index(expiry: dt.date, of_class: str = "", **more: object) -> Contract:
    values = {"strike": 5800.0, "right": "P", "trading_class": of_class, **more}
    return Contract(expiry=expiry, **values)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (_index(FRIDAY), _index(THURSDAY, "SPX"), True),
        (_index(THURSDAY), _index(THURSDAY, "SPX"), True),
        (_index(FRIDAY, "SPX"), _index(THURSDAY, "SPX"), True),
        (_index(WEDNESDAY), _index(TUESDAY, "VIX"), True),
        (_index(FRIDAY), _index(THURSDAY, "SPXW"), False),
        (_index(FRIDAY, "SPXW"), _index(THURSDAY, "SPX"), False),
        (_index(FRIDAY, strike=5790.0), _index(THURSDAY, "SPX"), False),
        (_index(dt.date(2026, 11, 20)), _index(THURSDAY, "SPX"), False),
        (_index(FRIDAY), _index(THURSDAY), False),
    ],
)
def test_an_option_that_settles_at_the_open_has_two_days(one, other, same):
    """TWS names it by its last trading day, people by the day of its settlement."""
    assert campaign.is_same(one, other) is same
    assert campaign.is_same(other, one) is same
