"""On the wire: whatever a session does, nothing that leaves it can be an order."""

from __future__ import annotations

import ib_async
import pytest

from support import virtual_time
from support.simulated import fetch, running, settings
from tomic.errors import GatewayRefused, SessionLost
from tomic.ib import account, contracts, history
from tomic.ib.account import OrderLeg
from tomic.wire.framing import Hello, RequestStream
from tomic.wire.orders import PlaceOrder
from tomic.wire.protocol import REQUESTS

FAULTS = [None, "drop_after:messages=20", "not_subscribed", "lines_taken", "connectivity_lost"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_chain_sends_no_order(fault):
    """Open, closed, dropped or refused: no place-order message of any kind leaves."""
    got = fetch(*[fault] if fault else [])

    assert got.gateway.by_kind["place_order"] == 0
    assert (got.gateway.orders, got.gateway.what_ifs, got.gateway.orders_seen) == (0, 0, [])


def test_the_account_is_only_read():
    """Positions cost a question and nothing else."""

    async def scenario():
        async with running() as run:
            await account.positions(run.session, timeout_s=5.0)
            return run.gateway.by_kind["place_order"], run.gateway.orders

    assert virtual_time.run(scenario) == (0, 0)


VERSIONS = (157, 163, 178)
READS = {7, 9, 20, 25, 49, 59, 61, 62, 63, 64, 71, 78, 81}
"""
What a session may say: executions, details, bars and their cancel, the time, the data type,
positions and account values with their cancels, the start, option parameters, symbols.
"""


class Wire:
    """Listens in on a session: every message that leaves, over all its connections."""

    def __init__(self, version):
        self.version, self.sent_fields, self.links = version, [], 0
        self._stream = RequestStream()

    def sent(self, data):
        if data.startswith(b"API"):
            self._stream, self.links = RequestStream(), self.links + 1
        self.sent_fields += [one for one in self._stream.feed(data) if not isinstance(one, Hello)]

    def received(self, data):
        pass

    @property
    def kinds(self):
        return {int(fields[0]) for fields in self.sent_fields}

    @property
    def orders(self):
        messages = [REQUESTS.decode(fields, self.version) for fields in self.sent_fields]
        return [message for message in messages if isinstance(message, PlaceOrder)]


def ask_all(version, *faults, **options):
    """A session that asks everything but quotes, the margin of a spread last; what came of it."""
    wire = Wire(version)

    async def margin(session):
        held = [
            one for one in await account.positions(session, timeout_s=5.0) if one.symbol == "MSFT"
        ]
        legs = [
            OrderLeg(account.leg_contract(one), -one.quantity, one.contract)
            for one in held
            if one.is_option
        ]
        return await account.what_if(session, legs, account="DU1234567", timeout_s=5.0)

    async def scenario():
        how = {"server_version": version, **options}
        async with running(*faults, session={"tap": wire}, **how) as run:
            session = run.session

            async def everything():
                await session.now()
                under = await contracts.resolve_underlying(session, "SPY", settings().market)
                await contracts.option_params(session, under)
                await history.daily_bars(session, under, 5)
                await account.summaries(session, timeout_s=5.0)
                await account.executions(session, timeout_s=5.0)
                return await margin(session)

            try:
                answer = await session.persistently(everything)
            except (GatewayRefused, SessionLost) as exc:
                answer = exc
            return answer, run.gateway

    return *virtual_time.run(scenario), wire


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("after", [None, 5, 8, 10, 11])
def test_a_margin_is_a_question_on_every_version(version, after):
    """Of all that leaves only what-if orders are orders, also when asked again after a loss."""
    faults = [] if after is None else [f"drop_after:messages={after},times=1"]

    answer, gateway, wire = ask_all(version, *faults)

    assert abs(answer.initial_change) < 1e6
    assert wire.links == len(faults) + 1
    assert wire.kinds - {3} <= READS
    assert wire.orders
    assert all(order.what_if for order in wire.orders)
    assert (gateway.orders, gateway.orders_seen) == (0, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_read_only_mode_gets_no_order_either(version):
    """The question is refused, is not repeated, and nothing else takes its place."""
    answer, gateway, wire = ask_all(version, read_only=True)

    assert isinstance(answer, GatewayRefused)
    assert [order.what_if for order in wire.orders] == [True]
    assert (gateway.what_ifs, gateway.orders) == (1, 0)


def test_the_client_refuses_to_trade():
    """Whatever asks for it: an order, a cancel, an exercise and a global cancel stay here."""

    async def scenario():
        wire = Wire(178)
        async with running(session={"tap": wire}) as run:
            client = run.session._link.client
            stock = ib_async.Contract(secType="STK", symbol="SPY", exchange="SMART", currency="USD")
            for trade in (
                lambda: client.placeOrder(9, stock, ib_async.MarketOrder("BUY", 1)),
                lambda: client.cancelOrder(9, ""),
                lambda: client.exerciseOptions(9, stock, 1, 1, "DU1234567", 0),
                client.reqGlobalCancel,
            ):
                with pytest.raises(AssertionError, match="must never leave"):
                    trade()
            await run.session.now()
        return wire.kinds, run.gateway.orders

    kinds, orders = virtual_time.run(scenario)

    assert kinds <= {71, 49, 59}
    assert orders == 0
