"""Each fault is named with its cause and the next step, and nothing makes the doctor hang."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from conftest import FAST, settings_in
from support import virtual_time
from tomic.ib.callbacks import refusal
from tomic.sim import Gateway, Limits, Profile, faults
from tomic.sim.market.model import ModelMarket
from tomic.store import Bars, Database
from tomic.workflows.doctor.ladder import Check, CheckVerdict, Overheard, examine, masked, remedy_of

IB = {"connect_timeout_s": 3.0, "request_timeout_s": 1.0, "params_timeout_s": 1.0}
RULES = {"silent_s": 0.1, "quote_timeout_s": 0.4}
MUTE = (faults.NoHandshake, faults.NoNextValidId)
"""Faults for which any patience is in vain."""


@asynccontextmanager
async def simulated(*broken, closed=False):
    clock = asyncio.get_running_loop().time
    limits, market = Limits().unpaced(), ModelMarket(seed=1, closed=closed, monotonic=clock)
    async with Gateway(
        market, faults=broken, seed=1, profile=Profile.instant(), limits=limits
    ) as gateway:
        yield gateway


async def checks(folder, port, *, simulated=False, **ib) -> dict[str, Check]:
    """The ladder's checks by name."""
    settings = settings_in(
        folder, ib={**IB, "port": port, **ib}, chain=RULES, market={"spot_timeout_s": 0.4}
    )
    found = [one async for one in examine(settings, pace=FAST, simulated=simulated)]
    return {one.name: one for one in found}


@virtual_time.passing
async def test_a_healthy_gateway(tmp_path):
    """Without a fault every rung stands, and the account is masked."""
    async with simulated() as gateway:
        found = await checks(tmp_path, gateway.port, simulated=True)

    assert list(found) == [
        "socket",
        "handshake",
        "account",
        "clock",
        "market",
        "stock data SPY",
        "option data SPY",
        "pacing",
    ]
    assert {one.verdict for one in found.values()} == {CheckVerdict.OK}
    assert found["account"].found.startswith("DU***567 (paper)")
    assert gateway.leaked == 0
    assert gateway.orders == 0


async def test_nobody_listens(tmp_path):
    """A closed port says what to start and which settings to tick, with exit code 4."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    found = await checks(tmp_path, port)

    assert list(found) == ["socket", "database"]
    assert (found["socket"].verdict, found["socket"].exit_code) == (CheckVerdict.FAIL, 4)
    assert "refuses connections" in found["socket"].found
    assert "Enable ActiveX and Socket Clients" in found["socket"].fix


FAILURES = [
    (faults.CloseOnConnect(), "handshake", 4, "closed the connection", "Trusted IPs"),
    (faults.NoHandshake(), "handshake", 4, "does not answer the API handshake", "restart TWS"),
    (faults.NoNextValidId(), "handshake", 4, "never sent nextValidId", "finish the login"),
    (faults.ClientIdInUse(ids=tuple(range(90, 140))), "handshake", 4, "100 to 131", "--client-id"),
    (faults.Silent(on="current_time"), "clock", 6, "no answer", "restart it"),
    (faults.ConnectivityLost(after=2, restored_after=None), "clock", 4, "1100", "internet"),
    (faults.ServerBroken(after=2, restored_after=None), "clock", 4, "2110", "internet"),
    (faults.FarmBroken(code=2157, after=2, restored_after=None), "contract details", 6, "2157",
     "IB says that it is back"),
    (faults.FarmBroken(code=2103, after=2, restored_after=None), "stock data SPY", 6, "2103",
     "IB says that it is back"),
    (faults.Silent(on="contract_details"), "contract details", 6, "no answer", "data farms"),
    (faults.Competing(), "stock data SPY", 4, "10197", "log out"),
    (faults.NotSubscribed(code=10168, kinds="option", delayed=False), "option data SPY", 5,
     "not subscribed", "OPRA"),
    (faults.LinesTaken(lines=100), "stock data SPY", 5, "101", "close watchlists"),
    (faults.Silent(on="market_data"), "stock data SPY", 5, "no price of SPY", "TWS itself shows"),
    (faults.TurnedAway(code=10141), "handshake", 4, "Paper trading disclaimer", "accept it in"),
    (faults.TurnedAway(code=10141, in_use=True), "handshake", 4, "disclaimer", "accept it in"),
    (faults.TurnedAway(code=503), "handshake", 4, "out of date", "update TWS"),
    (faults.NewerServer(version=203), "handshake", 4, "needs a newer API client", "update the"),
    (faults.NoCommonVersion(), "handshake", 4, "needs a newer API client", "update TOMIC"),
    (faults.NoCommonVersion(greeted=True), "handshake", 4, "needs a newer API client",
     "update TOMIC"),
    (faults.Silent(on="option_params"), "option data SPY", 6, "no answer", "data farms"),
    (faults.DropAfter(messages=4, times=9), "stock data SPY", 4, "closed the connection",
     "restarts"),
    (faults.Deaf(after=3), "contract details", 6, "no answer", "restart it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "name", "code", "found", "fix"), FAILURES, ids=lambda value: str(value)[:40]
)
@virtual_time.passing
async def test_a_fault_that_stops_the_ladder(tmp_path, fault, name, code, found, fix):
    """The rung that breaks says what was found, why, what to do, and how the command ends."""
    mute = {"connect_timeout_s": 0.5} if isinstance(fault, MUTE) else {}
    async with simulated(fault) as gateway:
        seen = await checks(tmp_path, gateway.port, **mute)

    broken = [one for one in seen.values() if one.verdict is CheckVerdict.FAIL]
    assert [one.name for one in broken] == [name]
    assert broken[0].exit_code == code
    assert found in broken[0].found
    assert broken[0].cause
    assert fix in broken[0].fix
    assert "1234567" not in str(seen)


WARNINGS = [
    (faults.NotSubscribed(code=354), "stock data SPY", "delayed", "OPRA"),
    (faults.Delayed(), "stock data SPY", "delayed", "OPRA"),
    (faults.NoGreeks(), "option data SPY", "no Greeks", "restore the main window"),
    (faults.PartiallySubscribed(code=10091), "option data SPY", "10091", "subscribe"),
    (faults.PartiallySubscribed(code=10090), "option data SPY", "10090", "subscribe"),
    (faults.Silent(on="market_data", share=0.999), "option data SPY", "no quote",
     "TWS itself shows"),
    (faults.NoQuotes(right="P"), "option data SPY", "no quote came", "TWS itself shows"),
    (faults.Announce(code=10999, after=3), "the gateway says", "10999: Error 10999", "TWS itself"),
    (faults.Announce(code=2172, after=1), "the gateway says", "needs to be upgraded", "update TWS"),
    (faults.ClockDrift(seconds=90.0), "clock", "drift", "set its clock"),
    (faults.PacingStrike(at=(3,)), "the gateway says", "100", "limits.messages_per_s"),
    (faults.FarmBroken(code=2105, after=3, restored_after=None), "the gateway says", "2105",
     "wait"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "name", "found", "fix"), WARNINGS, ids=lambda value: str(value)[:40]
)
@virtual_time.passing
async def test_a_fault_that_costs_something(tmp_path, fault, name, found, fix):
    """What only makes the data worse is a warning, and the ladder goes on to its top."""
    async with simulated(fault) as gateway:
        seen = await checks(tmp_path, gateway.port)

    assert seen[name].verdict is CheckVerdict.WARN
    assert found in seen[name].found
    assert seen[name].cause
    assert fix in seen[name].fix
    assert "pacing" in seen
    assert not [one for one in seen.values() if one.verdict is CheckVerdict.FAIL]


@virtual_time.passing
async def test_a_stock_without_data_of_its_own(tmp_path):
    """Options are looked at all the same: an account may have them and not the stock."""
    refused = {"code": 354, "delayed": False}
    async with simulated(faults.NotSubscribed(**refused)) as gateway:
        neither = await checks(tmp_path, gateway.port)
    async with simulated(faults.NotSubscribed(**refused, kinds="stock")) as gateway:
        options = await checks(tmp_path, gateway.port)
    async with simulated(faults.Silent(symbol="SPY", times=2)) as gateway:
        silent = await checks(tmp_path, gateway.port)

    verdicts = [
        (seen["stock data SPY"].verdict, seen["option data SPY"].verdict)
        for seen in (neither, options, silent)
    ]
    fail, fine = CheckVerdict.FAIL, CheckVerdict.OK
    assert verdicts == [(fail, fail), (fail, fine), (fail, fine)]
    assert "354" in neither["stock data SPY"].found
    assert "OPRA" in neither["option data SPY"].fix


@virtual_time.passing
async def test_an_open_market_is_never_blamed(tmp_path):
    """What is silent while SPY trades has another cause than the hours; on a Saturday it may be."""
    async with simulated(faults.Silent(on="market_data")) as gateway:
        trading = await checks(tmp_path, gateway.port)
    async with simulated(faults.Silent(on="market_data"), closed=True) as gateway:
        closed = await checks(tmp_path, gateway.port)

    assert trading["market"].found == "SPY is open"
    assert "while the market is open" not in str(trading)
    for name in ("stock data SPY", "option data SPY"):
        assert "while the market is open" in closed[name].fix


@pytest.mark.parametrize("fault", [
    faults.NoQuotes(), faults.NoQuotes(share=0.999), faults.NoGreeks(),
    faults.NoGreeks(sentinel=True), faults.Silent(), faults.Advised(codes=(10999,), data="none"),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("closed", [False, True])
@virtual_time.passing
async def test_nothing_of_python_reaches_the_user(tmp_path, fault, closed):
    """What IB did not send is said in words."""
    async with simulated(fault, closed=closed) as gateway:
        seen = await checks(tmp_path, gateway.port)

    text = " ".join(f"{one.found} {one.cause} {one.fix}" for one in seen.values())
    assert "None" not in text
    assert "nan" not in text.split()


@virtual_time.passing
async def test_one_connection_is_enough(tmp_path):
    """TWS asks its user about each connection from a computer it does not trust."""
    async with simulated() as gateway:
        seen = await checks(tmp_path, gateway.port)
        connections = gateway.connections

    assert connections == 1
    assert seen["socket"].found.startswith(f"127.0.0.1:{gateway.port} open, ")


@virtual_time.passing
async def test_faults_that_are_over_are_not_mentioned(tmp_path):
    """A farm that broke and came back needs nobody's attention."""
    fault = faults.FarmBroken(code=2105, after=2, restored_after=0.0)
    async with simulated(fault) as gateway:
        seen = await checks(tmp_path, gateway.port)

    assert "the gateway says" not in seen


@virtual_time.passing
async def test_a_client_id_that_is_taken(tmp_path):
    """The next id is taken, and the check says so."""
    async with simulated(faults.ClientIdInUse(ids=(100,))) as gateway:
        seen = await checks(tmp_path, gateway.port)

    assert "client id 101 (100 was in use)" in seen["handshake"].found
    assert "the gateway says" not in seen


@virtual_time.passing
async def test_a_closed_market(tmp_path):
    """On a Saturday the check says when trading begins; frozen data are no failure."""
    async with simulated(closed=True) as gateway:
        seen = await checks(tmp_path, gateway.port, simulated=True)

    assert seen["market"].verdict is CheckVerdict.WARN
    assert "SPY is closed; opens Mon 23 Nov" in seen["market"].found
    assert "frozen" in seen["stock data SPY"].found
    assert seen["option data SPY"].verdict is CheckVerdict.OK


async def test_the_database(tmp_path):
    """The store's path, size, schema and coverage are looked at even without a gateway."""
    async with Database(tmp_path / "store.db") as store:
        await store.history.save_bars(
            Bars.from_rows("SPY", [("2026-11-20", 1.0, 2.0, 0.5, 1.5, 9.0)])
        )

    seen = await checks(tmp_path, 1)

    assert seen["database"].verdict is CheckVerdict.OK
    assert str(tmp_path / "store.db") in seen["database"].found
    assert "bars of 1 symbols to 2026-11-20" in seen["database"].found


async def test_a_database_that_is_none(tmp_path):
    """A store that cannot be opened is a failure of its own."""
    (tmp_path / "store.db").write_bytes(b"this is no database at all" * 50)

    seen = await checks(tmp_path, 1)

    assert seen["database"].verdict is CheckVerdict.FAIL
    assert seen["database"].exit_code == 1


def test_masking():
    """Of an account number only its kind and its last three digits can be read."""
    assert masked("DU1234567") == "DU***567"
    assert masked("U12") == "***"


def test_garbage_is_overheard_without_harm():
    """Whatever arrives, codes are noted where there are any."""
    heard = Overheard()

    heard.received(b"\xff\xff\xff\xff")
    heard.received(b"\0\0\0\4abcd")
    heard.received(b"\0\0\0\x0e4\x002\x00-1\x001100\x00x\x00")

    assert heard.codes == {1100: "x"}


IP = "Trading TWS session is connected from a different IP address"


@pytest.mark.parametrize(("code", "text", "fix"), [
    (162, IP, "log out"), (420, IP, "log out"),
    (162, "No market data permissions for NYSE STK", "Market Data Subscriptions"),
    (162, "HMDS query returned no data: AAPL@SMART Trades", "wait a minute"),
    (10089, "Requested market data requires additional subscription", "OPRA"),
])  # fmt: skip
def test_a_remedy_goes_by_the_words_as_well(code, text, fix):
    """TWS says very different things with one code."""
    assert fix in remedy_of(refusal("bars", code, text)).fix
