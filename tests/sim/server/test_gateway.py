"""The rules that hold for every message: pace, ids, lines, and what is counted."""

from __future__ import annotations

import asyncio

import pytest

from tomic.sim import Gateway, Limits, Profile, faults
from tomic.wire.answers import (
    ContractDataEnd,
    CurrentTime,
    Error,
    FamilyCodes,
    ManagedAccounts,
    NextValidId,
    PositionData,
)
from tomic.wire.framing import frame_fields, hello
from tomic.wire.protocol import REQUESTS
from tomic.wire.requests import (
    CancelAccountUpdatesMulti,
    CancelMarketData,
    CancelPnL,
    CancelPositionsMulti,
    ContractSpec,
    ReqAccountUpdatesMulti,
    ReqContractDetails,
    ReqCurrentTime,
    ReqExecutions,
    ReqFamilyCodes,
    ReqManagedAccounts,
    ReqMarketData,
    ReqMatchingSymbols,
    ReqOptionParams,
    ReqPnL,
    ReqPositions,
    ReqPositionsMulti,
    ReqUserInfo,
    StartApi,
)

SPY = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")


async def test_a_session_starts_with_accounts_id_and_farms(gateway, probe):
    """startApi is answered by the accounts, the next valid id and three farms that are well."""
    await probe.until(Error, code=2158)

    assert [type(one) for one in probe.answers[:2]] == [ManagedAccounts, NextValidId]
    assert probe.answers[0].accounts == "DU12345"
    assert (gateway.connections, gateway.client_ids()) == (1, {1})


async def test_connecting_values_nothing(market, gateway, connect, monkeypatch):
    """The accounts are told without asking what they hold, which would price every position."""
    monkeypatch.setattr(market, "book", lambda: pytest.fail("what the accounts hold was valued"))
    probe = await connect(gateway)
    probe.ask(ReqManagedAccounts(), ReqFamilyCodes())
    await probe.until(FamilyCodes)

    assert [one.accounts for one in probe.got(ManagedAccounts)] == ["DU12345"] * 2


async def test_messages_over_the_limit_are_lost(market, connect):
    """Of 60 messages in one second the first 50 count; each of the others is a 100 and is lost."""
    async with Gateway(market, profile=Profile.instant()) as gateway:
        probe = await connect(gateway)
        probe.ask(*[ReqCurrentTime()] * 59)
        await probe.until(Error, 10, code=100)

    assert len(probe.got(CurrentTime)) == 49
    assert probe.got(Error, code=100)[0].text == (
        "Max rate of messages per second has been exceeded:max=50 rec=51 (1)"
    )
    assert probe.got(Error, code=100)[0].req_id == -1
    assert (gateway.peak_messages(), gateway.messages) == (60, 60)


async def test_the_last_strike_closes_the_connection(market, connect):
    """A client that has used up its warnings is cut off."""
    limits = Limits(messages_per_s=5, strikes=1)
    async with Gateway(market, profile=Profile.instant(), limits=limits) as gateway:
        probe = await connect(gateway)
        probe.ask(*[ReqCurrentTime()] * 9)
        await probe.until_closed()

    assert probe.codes() == [100]


async def test_the_limit_can_be_lifted_by_name_only(market, connect):
    """Limits().unpaced() lets 200 messages through at once; nothing else changes."""
    limits = Limits().unpaced()
    async with Gateway(market, profile=Profile.instant(), limits=limits) as gateway:
        probe = await connect(gateway)
        probe.ask(*[ReqCurrentTime()] * 200)
        await probe.until(CurrentTime, 200)

    assert limits.lines == 100
    assert probe.codes() == []


async def test_client_ids_are_unique(gateway, probe, connect):
    """A second client with the same id gets 326 and is cut; its own id is free once it has gone."""
    second = await connect(gateway)
    await second.until_closed()
    assert second.codes() == [326]

    await probe.close()
    third = await connect(gateway)
    await third.until(NextValidId)


async def test_clients_beyond_the_limit_are_not_served(market, connect):
    """With room for one client the second connection is closed."""
    async with Gateway(market, profile=Profile.instant(), limits=Limits(clients=1)) as gateway:
        await connect(gateway)
        second = await connect(gateway, None)
        await second.until_closed()


async def test_versions_that_do_not_meet_end_the_handshake(gateway):
    """A client of the year 2019 that ends at 151 is not answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(hello(100, 151))

    assert await reader.read() == b""
    assert "no common version" in gateway.unreadable[0]
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("version", [156, 179])
def test_only_versions_that_it_speaks_are_offered(market, version):
    """A server version outside 157 to 178 is refused, not spoken badly."""
    with pytest.raises(ValueError, match="server_version must be 157 to 178"):
        Gateway(market, server_version=version)


TURNED_AWAY = [
    (faults.NoCommonVersion(), []),
    (faults.NoCommonVersion(greeted=True), []),
    (faults.TurnedAway(code=503), [503]),
    (faults.TurnedAway(code=10141, in_use=True), [10141, 326]),
]


@pytest.mark.parametrize(("fault", "codes"), TURNED_AWAY, ids=lambda value: str(value)[:50])
async def test_a_client_that_is_turned_away(market, fault, codes):
    """The codes come, if there are any, and then the end; never an id."""
    async with Gateway(market, faults=[fault]) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(hello(157, 178) + frame_fields(("71", "2", "100", "")))
        data = await reader.read()
        writer.close()

        assert list(gateway.codes()) == codes
    greeted = isinstance(fault, faults.TurnedAway) or fault.greeted
    assert (b"178\0" in data) == greeted
    assert b"\x009\0" not in data


async def test_a_request_is_answered_word_for_word(gateway, probe):
    """The messages of a fault are sent as they are, with the id of the request."""
    row = ("61", "3", "DU1", "1", "QUBT", "STK", "", "0.0", "", "", "", "USD", "QUBT", "SCM", "5",
           "7.1")  # fmt: skip
    gateway.add(faults.Verbatim(on="positions", messages=(row, ("62", "1"))))
    gateway.add(faults.Verbatim(on="contract_details", messages=(("52", "1", "@"),)))

    probe.ask(ReqPositions(), ReqContractDetails(5, SPY))

    await probe.until(ContractDataEnd, req_id=5)
    (position,) = [one for one in probe.answers if isinstance(one, PositionData)]
    assert (position.contract.symbol, position.position) == ("QUBT", 5.0)


async def test_nothing_is_served_before_the_session_starts(gateway, connect):
    """A request before startApi is answered with 504."""
    probe = await connect(gateway, None)
    probe.ask(ReqCurrentTime())

    assert (await probe.until(Error)).code == 504


async def test_a_session_starts_only_once(probe):
    """A second startApi is answered with 501."""
    probe.ask(StartApi(9))

    assert (await probe.until(Error, code=501)).req_id == -1


@pytest.mark.parametrize(
    ("fields", "code", "req_id"),
    [
        (("777", "1", "5"), 505, -1),
        (("10", "5", "12", "rest"), 505, 12),
        (("84", "13", "x"), 505, 13),
        (("9", "8", "14", "no number"), 320, 14),
        (("1", "11", "15"), 320, 15),
        (("71",), 320, -1),
    ],
)
async def test_what_cannot_be_read_is_answered(probe, fields, code, req_id):
    """An unknown message is a 505 and an unreadable one a 320, under its own id if it has one."""
    probe.raw(frame_fields(fields))

    assert (await probe.until(Error, code=code)).req_id == req_id


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"API\0\xff\xff\xff\xff"])
async def test_bytes_that_are_not_the_protocol_close_the_connection(gateway, data):
    """A stray browser or a broken frame is hung up on, and noted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(data)

    assert await reader.read() == b""
    assert len(gateway.unreadable) == 1
    writer.close()
    await writer.wait_closed()


async def test_a_request_id_serves_one_request_at_a_time(probe):
    """The same id for a second subscription is a 322; after the cancel it may be used again."""
    probe.ask(ReqMarketData(5, SPY), ReqMarketData(5, SPY))
    assert (await probe.until(Error, code=322)).req_id == 5

    probe.ask(CancelMarketData(5), ReqMarketData(5, SPY))
    await probe.settle()
    assert probe.codes() == [322]


@pytest.mark.parametrize(
    "request_",
    [
        ReqMatchingSymbols(5, "SPY"),
        ReqExecutions(5),
        ReqUserInfo(5),
        ReqPnL(5, "DU12345"),
        ReqPositionsMulti(5, "DU12345"),
        ReqAccountUpdatesMulti(5, "DU12345"),
    ],
)
async def test_an_id_in_use_serves_no_other_kind_either(probe, request_):
    """The id of an open subscription is a 322 for every request that carries one."""
    probe.ask(ReqMarketData(5, SPY), request_)

    assert (await probe.until(Error, code=322)).req_id == 5


@pytest.mark.parametrize(
    ("ask", "cancel"),
    [
        (ReqPnL(5, "DU12345"), CancelPnL(5)),
        (ReqPositionsMulti(5, "DU12345"), CancelPositionsMulti(5)),
        (ReqAccountUpdatesMulti(5, "DU12345"), CancelAccountUpdatesMulti(5)),
    ],
)
async def test_streams_of_the_account_hold_their_id(probe, ask, cancel):
    """A second stream under one id is a 322 until the first is cancelled."""
    probe.ask(ask, ask)
    assert (await probe.until(Error, code=322)).req_id == 5

    probe.ask(cancel, ask)
    await probe.settle()
    assert probe.codes() == [322]


async def test_lines_left_open_are_leaks(gateway, probe):
    """Three lines, one cancelled: two leaked when the client hangs up, none open afterwards."""
    probe.ask(*[ReqMarketData(req_id, SPY) for req_id in (1, 2, 3)], CancelMarketData(2))
    await probe.settle()
    assert (gateway.lines_open, gateway.peak_lines, gateway.leaked) == (2, 3, 0)

    await probe.close()

    assert (gateway.lines_open, gateway.peak_lines, gateway.leaked) == (0, 3, 2)


async def test_what_is_open_at_once_is_counted_by_kind(market, connect):
    """peak() tells how many details requests were open together."""
    profile = Profile(latency_s=0.0, details_open_s=(0.01, 0.01))
    async with Gateway(market, profile=profile) as gateway:
        probe = await connect(gateway)
        wild = ContractSpec(symbol="SPY", sec_type="OPT", expiry="20250718", exchange="SMART")
        probe.ask(*[ReqContractDetails(req_id, wild) for req_id in (1, 2, 3)])
        await probe.settle()
        assert (gateway.open("contract_details"), gateway.peak("contract_details")) == (3, 3)
        assert gateway.by_kind["contract_details"] == 3


async def test_a_taken_port_is_an_os_error(market, gateway):
    """Listening where somebody listens already fails at once."""
    with pytest.raises(OSError, match="address already in use"):
        async with Gateway(market, port=gateway.port):
            pass


async def test_closing_the_gateway_ends_its_clients(market, connect):
    """Leaving the context closes every connection; those lines are no leak of the client."""
    async with Gateway(market, profile=Profile.instant()) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqMarketData(1, SPY))
        await probe.settle()

    await probe.until_closed()
    assert (gateway.clients, gateway.leaked, gateway.lines_open) == (set(), 0, 0)


async def test_a_client_that_never_reads_does_not_keep_the_gateway(market):
    """Closing gives up on a client whose buffers are full."""
    market.second_exchange = "X" * 12_000_000
    async with Gateway(market, profile=Profile.instant()) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=10)
        writer.transport.pause_reading()
        asked = ReqOptionParams(1, "SPY", "", "STK", 756733)
        writer.write(hello(157, 178))
        writer.write(b"".join(REQUESTS.encode(one, 178) for one in (StartApi(1), asked)))
        for _ in range(100):
            await asyncio.sleep(0.001)

    assert (gateway.clients, gateway.by_kind["option_params"]) == (set(), 1)
    assert not reader.at_eof()
    writer.transport.abort()
    await asyncio.sleep(0)
