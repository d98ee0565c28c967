"""An account of the test's own: what it holds, has traded and is worth, as ib_async reads it."""

from __future__ import annotations

import datetime as dt

import ib_async
import pytest

from tomic import testing
from tomic.testing import Execution, Position

PUT = {"expiry": dt.date(2026, 12, 18), "strike": 580.0, "right": "P"}
BOOK = [Position("SPY", 100, average_cost=550.0), Position("SPY", -1, average_cost=320.0, **PUT)]


def ask(question, **options):
    """What a question of ib_async brings from a gateway with these options, in virtual time."""

    async def scenario():
        async with testing.gateway(pace="instant", **options) as port:
            ib = ib_async.IB()
            await ib.connectAsync(port.host, port, clientId=1)
            try:
                return await question(ib)
            finally:
                ib.disconnect()

    return testing.run(scenario)


async def positions(ib):
    return [
        (p.account, p.contract.localSymbol, p.position, p.avgCost)
        for p in await ib.reqPositionsAsync()
    ]


def test_what_is_held_is_what_was_said():
    """Shares and an option come with quantity and cost as given, and nothing else does."""
    assert ask(positions, symbols="SPY", positions=BOOK) == [
        ("DU1234567", "SPY", 100.0, 550.0),
        ("DU1234567", "SPY   261218P00580000", -1.0, 320.0),
    ]


def test_an_account_may_hold_nothing():
    """An empty book is a book; the demo's comes only where none is given."""
    assert ask(positions, symbols="SPY", positions=()) == []
    assert len(ask(positions, symbols="SPY")) == 4


def test_a_position_belongs_to_the_account_it_names():
    """The first account has what names none."""
    book = [Position("SPY", 1, account="U2"), Position("SPY", 2)]

    held = ask(positions, symbols="SPY", accounts=["U1", "U2"], positions=book)

    assert [(account, quantity) for account, _, quantity, _ in held] == [("U2", 1.0), ("U1", 2.0)]


def test_a_cost_that_is_not_given_is_the_value_of_now():
    """SPY stands at 590.16, and costs as much."""
    ((_, _, _, cost),) = ask(positions, symbols="SPY", positions=[Position("SPY", 100)])

    assert cost == pytest.approx(590.16, abs=0.01)


def test_values_of_the_account_are_what_was_said():
    """A given tag replaces the figure that follows from the holdings; the others stay."""

    async def summary(ib):
        return {value.tag: float(value.value) for value in await ib.accountSummaryAsync()
                if value.tag in ("NetLiquidation", "TotalCashValue")}  # fmt: skip

    values = ask(summary, symbols="SPY", positions=(), values={"NetLiquidation": 50_000})

    assert values == {"NetLiquidation": 50_000.0, "TotalCashValue": 86_431.27}


def test_trades_of_the_day_are_what_was_said():
    """Side, price, commission and time come as given."""
    sold = Execution(
        "SPY", -1, 3.2, commission=0.65, realized=12.5, exec_id="0001.01", **PUT,
        at=dt.datetime(2026, 11, 20, 16, 5, tzinfo=dt.UTC),
    )  # fmt: skip

    async def fills(ib):
        return ib.fills()

    (fill,) = ask(fills, symbols="SPY", executions=[sold])

    assert (fill.contract.strike, fill.execution.side, fill.execution.price) == (580.0, "SLD", 3.2)
    assert fill.execution.time == sold.at
    assert (fill.commissionReport.commission, fill.commissionReport.realizedPNL) == (0.65, 12.5)
    assert fill.execution.execId == "0001.01"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"positions": [Position("GOOG", 1)]}, "this market lists no GOOG"),
        (
            {"positions": [Position("SPY", 1, **PUT | {"strike": 580.3})]},
            "this market lists no SPY 2026-12-18 580.3P",
        ),
        ({"positions": [Position("SPY", 1, strike=580.0)]}, "an expiry, a strike and a right"),
        ({"positions": [Position("SPY", 1, account="U9")]}, "no account 'U9'; this login has DU"),
        (
            {"executions": [Execution("SPY", 1, 5.0, at=dt.datetime(2026, 11, 20, 12))]},
            "needs a zone",
        ),
        ({"values": {"NetLiq": 1.0}}, "no account value 'NetLiq'; known: AccountType"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(options, said):
    """The message says what is wrong, before anybody connects."""
    with pytest.raises(ValueError, match=said):
        ask(positions, symbols="SPY", **options)


def test_of_two_classes_that_of_the_symbol_is_meant():
    """SPX last trades the day before the third Friday, SPXW on it; SPY7 is an adjusted class."""
    third = {"strike": 6000.0, "right": "P"}

    async def classes(ib):
        return [(p.contract.tradingClass, p.position) for p in await ib.reqPositionsAsync()]

    def held(day, **named):
        return Position("SPX", 1, expiry=dt.date(2026, 12, day), **third, **named)

    assert ask(classes, symbols="SPX", positions=[held(17), held(18)]) == [
        ("SPX", 1.0), ("SPXW", 1.0)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="lists no SPX 2026-12-18 6000P of class SPX"):
        ask(classes, symbols="SPX", positions=[held(18, trading_class="SPX")])
