"""Positions, account values and the what-if question over a real socket."""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
from pathlib import Path

import ib_async
import pytest

from support import virtual_time
from support.simulated import running
from tomic.config import Settings
from tomic.errors import GatewayRefused, RequestTimeout, UnreadableAnswer, UsageError
from tomic.ib import account
from tomic.ib.account import OrderLeg
from tomic.ib.session import Session
from tomic.journal.executions import ON_FUTURE, fault
from tomic.sim.faults import OrderWarned, Refuse, Silent
from tomic.sim.market import Holding
from tomic.sim.market.model import ModelMarket
from tomic.sim.server.gateway import Gateway
from tomic.sim.server.limits import Limits, Profile
from tomic.wire.framing import frame_fields
from tomic.wire.requests import ContractSpec

SYMBOLS = ("SPY", "IWM", "AAPL", "QQQ", "MSFT", "XLF", "TLT")


def gateway_of(**more):
    market = more.pop("market", None) or ModelMarket(seed=1, symbols=SYMBOLS, **more.pop("of", {}))
    return Gateway(market, profile=Profile.instant(), limits=Limits().unpaced(), **more)


def session_to(gateway):
    settings = Settings()
    ib = settings.ib.model_copy(update={"host": "127.0.0.1", "port": gateway.port})
    return Session(ib, settings.limits, pace=1000.0)


async def test_positions_as_they_are_held():
    """The demo account's lines arrive whole, costs per share, symbols as people write them."""
    async with gateway_of() as gateway, session_to(gateway) as session:
        found = await account.positions(session, timeout_s=60.0)

        market = gateway.market
    held = {one.con_id: one for one in market.book().holdings}
    assert {one.con_id: one.quantity for one in found} == {
        key: one.quantity for key, one in held.items()
    }
    condor = [one for one in found if one.symbol == "SPY"]
    assert sorted(one.quantity for one in condor) == [-1, -1, 1, 1]
    assert all(one.is_option and one.multiplier == 100.0 for one in condor)
    for one in found:
        assert one.average_cost * one.multiplier == pytest.approx(held[one.con_id].average_cost)
    assert gateway.orders == 0


def test_a_position_that_cannot_be_read_fails_them_all():
    """It carries no request id: the open question for positions is the one that it belongs to."""

    async def scenario():
        async with running("silent:on=positions,times=1") as run:
            asking = asyncio.create_task(account.positions(run.session, timeout_s=60.0))
            await asyncio.sleep(1.0)
            client = next(iter(run.gateway.clients))
            client.write(frame_fields(["61", "3", "DU1234567", "many"]))
            client.write(frame_fields(["62", "1"]))
            with pytest.raises(UnreadableAnswer) as caught:
                await asking
            return str(caught.value), len(await account.positions(run.session, timeout_s=60.0))

    told, found = virtual_time.run(scenario)
    assert told.startswith("positions: the gateway's answer cannot be read: position: ")
    assert found == 13


async def test_no_end_is_an_error_and_not_an_empty_account():
    """Positions that never end time out; the original took them for none."""
    async with (
        gateway_of(faults=[Silent(on="positions")]) as gateway,
        session_to(gateway) as session,
    ):
        with pytest.raises(RequestTimeout, match="positions"):
            await account.positions(session, timeout_s=0.05)


async def test_silent_values_are_an_error():
    """The same for account values."""
    async with (
        gateway_of(faults=[Silent(on="account_summary")]) as gateway,
        session_to(gateway) as session,
    ):
        with pytest.raises(RequestTimeout, match="account values"):
            await account.summaries(session, timeout_s=0.05)


async def test_values_of_several_accounts_in_their_currency():
    """Each account has its figures and the rate that turns dollars into its base currency."""
    of = {"accounts": ("DU1", "DU2"), "currency": "EUR"}
    async with gateway_of(of=of) as gateway, session_to(gateway) as session:
        found = await account.summaries(session, timeout_s=60.0)

        values = gateway.market.book().values
    assert [one.account for one in found] == ["DU1", "DU2"]
    for one in found:
        said = values[one.account]
        assert one.currency == "EUR"
        assert one.rates == {"EUR": 1.0, "USD": float(said["ExchangeRate"][0])}
        assert one.cash_by_currency == {}  # that of the login, of which nobody says whose it is
        assert one.net_liquidation == float(said["NetLiquidation"][0])
        assert one.initial_margin == float(said["InitMarginReq"][0])


async def test_many_questions_leave_no_summary_open():
    """IB allows two summaries at once; each of ours is cancelled, so five in a row work."""
    async with gateway_of() as gateway, session_to(gateway) as session:
        for _ in range(5):
            assert await account.summaries(session, timeout_s=60.0)


async def test_refused_values_are_an_error():
    """A refusal names what was asked."""
    async with (
        gateway_of(faults=[Refuse(on="account_summary", code=321)]) as gateway,
        session_to(gateway) as session,
    ):
        with pytest.raises(GatewayRefused, match="account values"):
            await account.summaries(session, timeout_s=60.0)


def test_ledger_rows_give_rates_and_cash():
    """Rows of $LEDGER:ALL carry a currency; those of BASE repeat the base currency."""
    (found,) = account.to_summaries(
        [
            ("U1", "NetLiquidation", "48210.5", "EUR"),
            ("U1", "Cushion", "0.61", ""),
            ("U1", "CashBalance", "100.0", "EUR"),
            ("U1", "CashBalance", "-2000", "USD"),
            ("U1", "CashBalance", "-1680", "BASE"),
            ("U1", "ExchangeRate", "1.00", "EUR"),
            ("U1", "ExchangeRate", "0.89", "USD"),
            ("U1", "InitMarginReq", "1.7976931348623157E308", "EUR"),
        ]
    )

    assert (found.currency, found.net_liquidation, found.cushion) == ("EUR", 48210.5, 0.61)
    assert found.rates == {"EUR": 1.0, "USD": 0.89}
    assert found.cash_by_currency == {"EUR": 100.0, "USD": -2000.0}
    assert found.initial_margin is None


async def test_the_ledger_of_the_login_is_no_account():
    """TWS reports rates and cash under the account All: one account of that base is left."""
    of = {"accounts": ("DU3352788",), "currency": "EUR"}
    async with gateway_of(of=of) as gateway, session_to(gateway) as session:
        (found,) = await account.summaries(session, timeout_s=60.0)

        ledger = gateway.market.book().ledger
    assert (found.account, found.currency) == ("DU3352788", "EUR")
    assert found.rates == {"EUR": 1.0, "USD": 0.92}
    cash = {name: float(ledger[name]["TotalCashBalance"]) for name in ("EUR", "USD")}
    assert found.cash_by_currency == cash
    assert found.net_liquidation is not None


_LEDGER = [
    ("All", "RealCurrency", "BASE", "BASE"),
    ("All", "NetLiquidationByCurrency", "51000", "BASE"),
    ("All", "ExchangeRate", "1.00", "EUR"),
    ("All", "ExchangeRate", "0.80", "USD"),
    ("All", "TotalCashBalance", "300", "USD"),
]


@pytest.mark.parametrize("name", ["All", "", "F7700ALL"])
def test_rows_of_the_login_are_recognised_by_what_they_lack(name):
    """Neither All nor anything without net liquidation that the login does not manage counts."""
    rows = [("U1", "NetLiquidation", "48210.5", "EUR"), *((name, *row[1:]) for row in _LEDGER)]

    (found,) = account.to_summaries(rows, ("U1",))

    assert (found.account, found.currency) == ("U1", "EUR")
    assert (found.rates, found.cash_by_currency) == ({"EUR": 1.0, "USD": 0.8}, {"USD": 300.0})


def test_each_account_gets_the_rates_in_its_own_base():
    """The login's rates are in its base; an account with another one has them turned into that."""
    rows = [
        ("U1", "NetLiquidation", "48210.5", "EUR"),
        ("U2", "NetLiquidation", "1000", "USD"),
        ("U3", "InitMarginReq", "5", ""),
        *_LEDGER,
    ]

    first, second, third = account.to_summaries(rows, ("U1", "U2", "U3"))

    assert (first.currency, first.rates) == ("EUR", {"EUR": 1.0, "USD": 0.8})
    assert (second.currency, second.rates) == ("USD", {"EUR": 1.25, "USD": 1.0})
    assert (third.currency, third.initial_margin) == ("EUR", 5.0)
    assert [one.cash_by_currency for one in (first, second, third)] == [{}, {}, {}]


def test_lines_that_cannot_be_read_keep_their_name():
    """A future, a share class and an option without expiry or size stay what they are."""
    future = ib_async.Contract(secType="FUT", symbol="ES", localSymbol="ESZ6", multiplier="50")
    share = ib_async.Contract(secType="STK", symbol="BRK B", currency="USD")
    broken = ib_async.Contract(secType="OPT", symbol="SPY", right="C", multiplier="")

    found = [account.to_position("U1", one, 1.0, 5.0) for one in (future, share, broken)]

    assert [one.contract for one in found] == ["ESZ6 FUT", "BRK.B shares", "SPY OPT"]
    assert [one.average_cost for one in found] == [0.1, 5.0, None]
    assert not found[2].is_option


# -- what-if ---------------------------------------------------------------------------------


def spread_of(found):
    """The legs of the put spread on MSFT, taken off."""
    return [
        OrderLeg(account.leg_contract(one), -one.quantity, one.contract)
        for one in found
        if one.symbol == "MSFT"
    ]


async def test_spread_is_asked_as_one_combination():
    """A two-leg spread held twice is one BAG order of 2, with the what-if flag; none is placed."""
    async with gateway_of() as gateway, session_to(gateway) as session:
        found = await account.positions(session, timeout_s=60.0)
        legs = spread_of(found)
        margin = await account.what_if(session, legs, account="DU1234567", timeout_s=60.0)

        expected = gateway.market.whatif_margin(
            "DU1234567", [(leg.contract.conId, leg.quantity) for leg in legs]
        )
        assert (gateway.what_ifs, gateway.orders) == (1, 0)
    assert (margin.initial_change, margin.maintenance_change) == expected
    assert margin.initial_change < 0.0
    assert margin.initial_after == pytest.approx(margin.initial_before + margin.initial_change)


async def test_combination_costs_less_than_its_legs():
    """Legs one by one add up to far more than the spread, which is what the original summed."""
    async with gateway_of() as gateway, session_to(gateway) as session:
        found = await account.positions(session, timeout_s=60.0)
        # Opened once more: the same spread on top of the one that is held.
        legs = [OrderLeg(leg.contract, -leg.quantity, leg.name) for leg in spread_of(found)]
        together = await account.what_if(session, legs, account="DU1234567", timeout_s=60.0)
        alone = [
            await account.what_if(session, [leg], account="DU1234567", timeout_s=60.0)
            for leg in legs
        ]

    assert together.initial_change < sum(one.initial_change for one in alone)
    assert gateway.orders == 0


@pytest.mark.parametrize(
    "codes",
    [(399,), (404,), (10311,), (10349,), (105,), (110,), (165,), (329,), (383,), (434,), (492,),
     (10233,), (10329,), (10347,), (2109,), (12345,), (10349, 399)],
    ids=str,
)  # fmt: skip
async def test_a_warning_ends_no_what_if(codes):
    """The order stands, whatever code is said about it: the margins that follow are the answer."""
    async with (
        gateway_of(faults=[OrderWarned(codes=codes)]) as gateway,
        session_to(gateway) as session,
    ):
        found = await account.positions(session, timeout_s=60.0)
        margin = await account.what_if(
            session, spread_of(found), account="DU1234567", timeout_s=60.0
        )

    assert abs(margin.initial_change) < 1e6
    assert margin.maintenance_after is not None


@pytest.mark.parametrize("code", [200, 201, 202, 321])
async def test_a_rejection_ends_a_what_if_at_once(code):
    """No margins follow it, so nobody waits for them."""
    async with (
        gateway_of(faults=[Refuse(on="place_order", code=code)]) as gateway,
        session_to(gateway) as session,
    ):
        found = await account.positions(session, timeout_s=60.0)

        with pytest.raises(GatewayRefused) as caught:
            await account.what_if(session, spread_of(found), account="DU1234567", timeout_s=60.0)

    assert caught.value.error_code == code


@virtual_time.passing
async def test_a_warning_without_margins_is_the_reason():
    """When the time is over, what TWS said is told, and not that it said nothing."""
    fault = OrderWarned(codes=(10349, 12345), margins=False)
    async with gateway_of(faults=[fault]) as gateway, session_to(gateway) as session:
        found = await account.positions(session, timeout_s=60.0)

        with pytest.raises(GatewayRefused, match="12345"):
            await account.what_if(session, spread_of(found), account="DU1234567", timeout_s=0.3)


async def test_read_only_mode_is_explained():
    """TWS in read-only mode refuses; the message says which setting, and how to go without."""
    async with gateway_of(read_only=True) as gateway, session_to(gateway) as session:
        found = await account.positions(session, timeout_s=60.0)

        with pytest.raises(GatewayRefused, match=r"read-only mode.*leave out --ib-margin"):
            await account.what_if(session, spread_of(found), account="DU1234567", timeout_s=60.0)


def option(con_id=1, **more):
    return ib_async.Contract(
        secType="OPT", conId=con_id, symbol="SPY", currency="USD", right="P", strike=560.0,
        lastTradeDateOrContractMonth="20261218", **more,
    )  # fmt: skip


def test_ratios_are_in_lowest_terms():
    """Four bought and eight sold are a 1:2 combination, bought four times."""
    bag, action, count = account.combination(
        [OrderLeg(option(1), 4, "a"), OrderLeg(option(2), -8, "b")]
    )

    assert (bag.secType, action, count) == ("BAG", "BUY", 4)
    assert [(leg.conId, leg.ratio, leg.action) for leg in bag.comboLegs] == [
        (1, 1, "BUY"), (2, 2, "SELL"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("legs", "said"),
    [
        ([], "no legs"),
        ([OrderLeg(option(0), 1, "a")], "no contract id"),
        ([OrderLeg(option(), 0.5, "a")], "no whole number"),
        ([OrderLeg(option(), 0, "a")], "no whole number"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_leaves(legs, said):
    """Half a contract, no contract, or no legs at all."""
    with pytest.raises(UsageError, match=said):
        account.combination(legs)


def test_only_one_place_in_the_program_can_send_an_order():
    """`placeOrder` is called once, the guard passes it on, and every Order has its what-if flag."""
    source = Path(account.__file__).parents[1]
    calls, orders = [], []
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "Order" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and node.attr in ("placeOrder", "placeOrderAsync"):
                calls.append((path.name, ast.unparse(node)))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ib_async.Order":
                orders.append({word.arg: ast.unparse(word.value) for word in node.keywords})

    assert sorted(calls) == [("account.py", "client.placeOrder"), ("link.py", "super().placeOrder")]
    assert [one.get("whatIf") for one in orders] == ["True"]


async def test_holdings_of_quantity_zero_arrive():
    """What was closed today is still listed, with quantity 0."""
    market = ModelMarket(seed=1, symbols=SYMBOLS)
    book = market.book()
    closed = Holding(
        "DU1234567", market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id, 0.0, 0.0
    )
    object.__setattr__(book, "holdings", (*book.holdings, closed))
    async with gateway_of(market=market) as gateway, session_to(gateway) as session:
        found = await account.positions(session, timeout_s=60.0)

    assert [one.contract for one in found if one.quantity == 0.0] == ["SPY shares"]
    assert all(one.expiry is None or isinstance(one.expiry, dt.date) for one in found)


# -- executions ----------------------------------------------------------------------------

FILLED_AT = dt.datetime(2025, 5, 19, 14, 31, 2, tzinfo=dt.UTC)


def listed_option(**changes: object) -> ib_async.Contract:
    values = {
        "secType": "OPT", "conId": 712345, "symbol": "SPY", "right": "P", "strike": 560.0,
        "lastTradeDateOrContractMonth": "20250620", "multiplier": "100", "tradingClass": "SPY",
        **changes,
    }  # fmt: skip
    return ib_async.Contract(**values)


def execution(**changes: object) -> ib_async.Execution:
    values = {
        "execId": "0001.1", "time": FILLED_AT, "side": "SLD", "shares": 2.0, "price": 2.35,
        "permId": 88,
        **changes,
    }  # fmt: skip
    return ib_async.Execution(**values)


def test_an_option_sold():
    """Side and size become a signed quantity; the order's permanent number keeps legs together."""
    trade = account.to_executed(listed_option(), execution())

    assert (trade.exec_id, trade.symbol, trade.quantity, trade.price) == ("0001.1", "SPY", -2, 2.35)
    assert (trade.contract.name, trade.contract.con_id) == ("560P 2025-06-20", 712345)
    assert (trade.at, trade.order, trade.commission) == (FILLED_AT, "88", None)


def test_shares_bought():
    """A share class is written with a dot; a share is one share."""
    stock = ib_async.Contract(secType="STK", conId=5, symbol="BRK B")

    trade = account.to_executed(stock, execution(side="BOT", shares=100.0, permId=0))

    assert (trade.symbol, trade.quantity, trade.order) == ("BRK.B", 100.0, "")
    assert trade.contract.is_stock
    assert trade.contract.multiplier == 1


def test_an_option_on_a_future():
    """It is read, so that it can be named, and told from an option on shares of that symbol."""
    contract = listed_option(secType="FOP", symbol="ES", tradingClass="EW3", multiplier="50")

    trade = account.to_executed(contract, execution())

    assert (trade.symbol, trade.contract.multiplier, trade.on_future) == ("ES", 50, True)
    assert fault(trade) == ON_FUTURE


@pytest.mark.parametrize(
    ("contract", "given"),
    [
        (listed_option(secType="BAG"), execution()),
        (listed_option(secType="FUT"), execution()),
        (listed_option(strike=0.0), execution()),
        (listed_option(lastTradeDateOrContractMonth="soon"), execution()),
        (listed_option(), execution(shares=0.0)),
        (listed_option(), execution(price=float("nan"))),
    ],
)
def test_what_is_no_fill_of_a_stock_or_listed_option(contract, given):
    """Combinations, other instruments and rows without sense are left out."""
    assert account.to_executed(contract, given) is None


def test_a_time_without_a_zone_is_new_york():
    """Old gateways send times without a zone."""
    trade = account.to_executed(listed_option(), execution(time=dt.datetime(2025, 5, 19, 10, 31)))

    assert trade.at.utcoffset() == dt.timedelta(hours=-4)


async def test_a_gateway_without_executions():
    """No executions today is an answer, not an error."""
    async with gateway_of(of={"fills": ()}) as gateway, session_to(gateway) as session:
        assert await account.executions(session, timeout_s=60.0) == ((), 0)


async def test_the_demo_account_has_traded_today():
    """A calendar opened as one order, a leg of it corrected later, and shares sold."""
    async with gateway_of() as gateway, session_to(gateway) as session:
        found, left_out = await account.executions(session, timeout_s=60.0)

    assert [trade.exec_id.split(".", 2)[2] for trade in found] == ["02.01", "03.02", "01.01"]
    assert [trade.symbol for trade in found] == ["QQQ", "QQQ", "TLT"]
    assert [trade.commission for trade in found] == [0.65, 0.65, 1.0]
    assert left_out == 1  # the combination as a whole
