"""The gateway for the tests of others: plain ib_async programs against it, in both its ways."""

from __future__ import annotations

import asyncio
import logging
import threading

import ib_async
import pytest

import tomic
from support.made_chains import AS_OF, chain_of, priced
from tomic import testing
from tomic.errors import BadFile, UsageError
from tomic.files.writing import write_chain
from tomic.sim.replay.recordings import Recorder
from tomic.testing import GatewayPort, Limits, faults

SPY = ib_async.Stock("SPY", "SMART", "USD")
QUICK = {"symbols": ["SPY"], "pace": "instant"}


@pytest.fixture(autouse=True)
def quiet(caplog):
    """ib_async writes every error to its log."""
    caplog.set_level(logging.CRITICAL, logger="ib_async")


def against(program, *broken, **options):
    """What *program(ib, port)* returns, connected by ib_async in virtual time; then the port."""

    async def scenario():
        async with testing.gateway(broken, **QUICK | options) as port:
            ib = ib_async.IB()
            await ib.connectAsync(port.host, port, clientId=7)
            try:
                return await program(ib, port), port
            finally:
                ib.disconnect()

    return testing.run(scenario)


async def spy(ib):
    """SPY as the gateway knows it."""
    (found,) = await ib.qualifyContractsAsync(ib_async.Stock("SPY", "SMART", "USD"))
    return found


def test_its_value_is_the_port():
    """A number for whoever connects, with what it was told beside; all of it stays readable."""

    async def qualify(ib, port):
        return (await spy(ib)).primaryExchange

    exchange, port = against(qualify)

    assert isinstance(port, int) and port == port.port > 0
    assert exchange == "ARCA"
    assert port.requests["contract_details"] == 1
    assert port.messages >= port.requests.total() > 1
    assert (port.lines_open, port.lines_leaked, port.violations, port.orders) == (0, 0, [], [])
    port.assert_no_pacing_violations()
    port.assert_no_orders()


@pytest.fixture
def _own_loop():
    """A loop for a program that blocks: ib_async makes one where there is none, and leaves it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("_own_loop")
def test_a_program_that_blocks_has_it_in_a_thread():
    """`with` needs no loop of the caller's, and leaves no thread behind."""
    with testing.gateway(**QUICK) as port:
        ib = ib_async.IB()
        ib.connect(port.host, port, clientId=1)
        details = ib.reqContractDetails(SPY)
        ib.disconnect()

        assert [found.contract.symbol for found in details] == ["SPY"]

    assert not [t for t in threading.enumerate() if t.name == "tomic gateway"]
    assert port.requests["contract_details"] == 1
    port.add("silent")
    with pytest.raises(ConnectionRefusedError):
        ib_async.IB().connect(port.host, int(port), clientId=1, timeout=60)


def test_faults_are_objects_or_what_the_command_line_takes():
    """Both ways of naming a fault bring the same refusal."""

    async def price(ib, port):
        (ticker,) = await ib.reqTickersAsync(await spy(ib))
        return ticker.bid

    for fault in ("refuse:code=10197,symbol=SPY", faults.Refuse(code=10197, symbol="SPY")):
        bid, port = against(price, fault)
        assert not bid > 0
        assert port.codes[10197] == 1
        assert [(error.client_id, error.code) for error in port.errors if error.code == 10197] == [
            (7, 10197)
        ]


def test_answers_to_questions_of_one_moment_keep_their_order():
    """The end of contract details comes after their rows, whatever else is due at the same time."""

    async def details(ib, port):
        puts = [ib_async.Option("SPY", "20261218", k, "P", "SMART") for k in range(560, 580, 5)]
        answers = await asyncio.gather(*map(ib.reqContractDetailsAsync, puts))
        return [[found.contract.tradingClass for found in answer] for answer in answers]

    classes, _ = against(details, pace="quick")

    assert classes == [["SPY", "SPY7"]] * 4


def test_a_fault_can_come_and_go_while_it_runs():
    """What is silent from now on answers again once the fault is out."""

    async def twice(ib, port):
        port.add("silent:on=contract_details")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ib.reqContractDetailsAsync(SPY), 5)
        port.clear()
        return len(await ib.reqContractDetailsAsync(SPY))

    assert against(twice)[0] == 1


def test_an_unknown_fault_is_refused_before_anything_listens():
    """The message lists what there is, as that of the command line."""
    with pytest.raises(UsageError, match=r"no fault called 'silence'; known: .*silent"):
        testing.gateway(["silence"])


def test_an_order_is_refused_and_remembered():
    """Nothing is ever bought, and the test knows that somebody tried."""

    async def buy(ib, port):
        trade = ib.placeOrder(SPY, ib_async.LimitOrder("BUY", 3, 590.0))
        await asyncio.wait_for(trade.cancelledEvent, 60)
        return trade.orderStatus.status

    status, port = against(buy)

    assert status == "Cancelled"
    assert port.codes[201] == 1
    assert [(order.action, order.quantity, order.contract.symbol) for order in port.orders] == [
        ("BUY", 3.0, "SPY")
    ]
    with pytest.raises(AssertionError, match="1 orders were attempted; first: BUY 3 SPY"):
        port.assert_no_orders()


def test_too_many_messages_are_a_violation():
    """What ib_async's own throttle lets through when it is switched off is over IB's 50."""

    async def flood(ib, port):
        ib.client.MaxRequests = 0
        for _ in range(60):
            ib.client.reqCurrentTime()
        await asyncio.sleep(2.0)

    _, port = against(flood)

    assert {violation.limit for violation in port.violations} == {"messages"}
    assert port.codes[100] == len(port.violations) > 0
    with pytest.raises(
        AssertionError, match=r"over IB's limits: \d+ × messages; first: 51 messages"
    ):
        port.assert_no_pacing_violations()


def test_bars_asked_for_twice_within_15_s_are_a_violation():
    """IB calls identical requests for bars a pacing violation."""

    async def bars(ib, port):
        for _ in range(2):
            await ib.reqHistoricalDataAsync(SPY, "", "5 D", "1 day", "TRADES", True)

    _, port = against(bars)

    assert [violation.limit for violation in port.violations] == ["history"]
    assert "bars of SPY (TRADES, 5 D)" in port.violations[0].text


def test_what_a_fault_does_is_no_violation():
    """The program under test did nothing wrong when the fault is in the gateway."""

    async def bars(ib, port):
        await ib.reqHistoricalDataAsync(SPY, "", "5 D", "1 day", "TRADES", True)
        await asyncio.sleep(1.0)

    _, port = against(bars, "history_pacing", "pacing_strike:at=3", "lines_taken:lines=100")

    assert port.codes[162] == 1 and port.codes[100] == 1
    assert port.violations == []


def test_lines_left_open_are_counted():
    """Who hangs up without cancelling leaves a line behind."""

    async def subscribe(ib, port):
        ib.reqMktData(await spy(ib))
        await asyncio.sleep(1.0)
        return port.lines_open

    open_then, port = against(subscribe)

    assert (open_then, port.lines_leaked) == (1, 1)


def test_a_limit_can_be_lifted():
    """A program that has no pacer yet can be tested for everything else."""

    async def flood(ib, port):
        ib.client.MaxRequests = 0
        for _ in range(200):
            ib.client.reqCurrentTime()
        await asyncio.sleep(2.0)

    _, port = against(flood, limits=Limits().unpaced())

    assert port.requests["current_time"] == 200
    assert port.violations == []


def test_dropping_and_restarting_cut_the_client():
    """A program can be tried against TWS's own habits: a cut, and the restart of the night."""

    async def cut(ib, port):
        gone = asyncio.Event()
        ib.disconnectedEvent += gone.set
        port.drop()
        await gone.wait()
        await ib.connectAsync(port.host, port, clientId=7)
        gone.clear()
        port.restart(3.0)
        await gone.wait()
        with pytest.raises(ConnectionRefusedError):
            await ib.connectAsync(port.host, port, clientId=7)
        await asyncio.sleep(3.5)
        await ib.connectAsync(port.host, port, clientId=7)
        return ib.isConnected()

    assert against(cut)[0]


def test_a_recorded_chain_stands_behind_it(tmp_path):
    """A chain, or its file, is served quote for quote."""
    chain = chain_of(*priced("STK"))
    written = write_chain(chain, tmp_path, stamp=AS_OF)

    async def listed(ib, port):
        return len(
            await ib.reqContractDetailsAsync(ib_async.Option(chain.symbol, exchange="SMART"))
        )

    for recorded in (chain, written):
        found, _ = against(listed, chain=recorded, symbols=None)
        assert found == len(chain)


def test_a_recorded_session_is_repeated(tmp_path):
    """What a session was answered is answered again; what it was never asked is refused."""
    recorder = Recorder("a program", "1")

    async def record(ib, port):
        (details,) = await ib.reqContractDetailsAsync(SPY)
        return details.longName

    async def session(port, question):
        ib = ib_async.IB()
        connection = ib.client.conn
        sent = connection.sendMsg
        connection.sendMsg = lambda data: (recorder.sent(data), sent(data))
        connection.hasData += recorder.received
        await ib.connectAsync("127.0.0.1", port, clientId=7, fetchFields=ib_async.StartupFetchNONE)
        try:
            return await question(ib, port)
        finally:
            ib.disconnect()

    async def first():
        async with testing.gateway(**QUICK) as port:
            return await session(port, record)

    name = testing.run(first)
    path = tmp_path / "session.jsonl"
    path.write_bytes(recorder.to_bytes(compress=False))

    async def again():
        async with testing.replay(path) as port:
            repeated = await session(port, record)
            return repeated, port

    repeated, port = testing.run(again)
    assert repeated == name == "SPDR S&P 500 ETF TRUST"
    assert (port.unknown, port.port) == ([], int(port))

    async def other(ib, port):
        await ib.reqContractDetailsAsync(ib_async.Stock("QQQ", "SMART", "USD"))
        return port.unknown

    async def once_more():
        async with testing.replay(path) as port:
            return await session(port, other)

    ((kind, *_),) = testing.run(once_more)
    assert kind == "9"


def test_a_recording_that_cannot_be_used_is_named(tmp_path):
    """As everywhere: the file and what is wrong with it."""
    path = tmp_path / "empty.jsonl"
    path.write_text("{}\n", encoding="utf-8")

    with pytest.raises(BadFile, match=r"empty\.jsonl is not a recording"):
        testing.replay(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"symbols": ["NOPE"]}, "NOPE"),
        ({"server_version": 1}, "server_version must be 157 to 178"),
        ({"currency": "XYZ"}, "currency cannot be 'XYZ'; one of USD"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_thread(options, said):
    """The message names it, in a thread too."""
    with pytest.raises(ValueError, match=said), testing.gateway(**options):
        pass

    assert not [t for t in threading.enumerate() if t.name == "tomic gateway"]


def test_an_unknown_pace_is_refused():
    """At once, and with the three there are."""
    with pytest.raises(ValueError, match="tws, quick, instant, got 'fast'"):
        testing.gateway(pace="fast")


@pytest.mark.parametrize(
    "option", [{"symbols": "SPY"}, {"positions": ()}, {"values": {}}, {"closed": True},
               {"accounts": ["U1"]}, {"currency": "EUR"}],
)  # fmt: skip
def test_a_recorded_chain_is_not_shaped(option):
    """What would be ignored is refused by its name."""
    with pytest.raises(
        ValueError, match=f"its own market and account; leave out {next(iter(option))}"
    ):
        testing.gateway(chain="spy.csv", **option)


def test_several_symbols_may_stand_in_one_text():
    """As everywhere in tomic, ``"SPY, QQQ"`` are two."""
    with testing.gateway(symbols="SPY, QQQ") as port:
        assert sorted(port.gateway.market.symbols) == ["QQQ", "SPY"]


def test_it_is_offered_by_the_package():
    """`tomic.testing` is there without an import of its own."""
    assert tomic.testing.gateway is testing.gateway
    assert tomic.testing.GatewayPort is GatewayPort
