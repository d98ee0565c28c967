"""What faults do to a whole connection."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from tomic.sim import Gateway, Profile, faults
from tomic.wire.answers import (
    ContractData,
    CurrentTime,
    Error,
    HistoricalData,
    ManagedAccounts,
    MarketDataType,
    NextValidId,
    TickComputation,
    TickPrice,
    TickSize,
)
from tomic.wire.framing import FrameReader, WireError, split_fields
from tomic.wire.protocol import ANSWERS
from tomic.wire.requests import (
    ContractSpec,
    ReqContractDetails,
    ReqCurrentTime,
    ReqHistory,
    ReqMarketData,
)

STOCK = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
CALL = ContractSpec(0, "SPY", "OPT", "20250718", 600.0, "C", exchange="SMART", currency="USD")
OTHER = replace(CALL, strike=601.0)
DAILY = ReqHistory(1, STOCK, False, "", "1 day", "5 D", True, "TRADES", 1)


async def test_close_on_connect(gateway, connect):
    """The first connection is closed at once, the second is served."""
    gateway.add(faults.CloseOnConnect(times=1))
    assert (await connect(gateway)).closed

    probe = await connect(gateway)
    await probe.until(NextValidId)


async def test_no_handshake(gateway):
    """The socket opens and nothing is said."""
    gateway.add(faults.NoHandshake())
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"API\0\0\0\0\x09v157..178")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.03)
    writer.close()
    await writer.wait_closed()


async def test_no_next_valid_id(gateway, connect):
    """Accounts come, the id does not."""
    gateway.add(faults.NoNextValidId())
    probe = await connect(gateway)
    await probe.until(ManagedAccounts)
    await probe.settle()

    assert probe.got(NextValidId) == []


async def test_client_ids_that_others_hold(gateway, connect):
    """100 and 101 are refused with 326, 102 is served."""
    gateway.add(faults.ClientIdInUse((100, 101)))
    for client_id in (100, 101):
        probe = await connect(gateway, client_id)
        await probe.until_closed()
        assert probe.codes() == [326]

    probe = await connect(gateway, 102)
    await probe.until(NextValidId)


async def test_drop_after_messages_happens_as_often_as_it_says(gateway, connect):
    """The first connection is cut at its third message, the second is not."""
    gateway.add(faults.DropAfter(messages=3))
    probe = await connect(gateway)
    probe.ask(*[ReqMarketData(req_id, STOCK) for req_id in range(1, 6)])
    await probe.until_closed()
    assert gateway.leaked == 0

    probe = await connect(gateway)
    probe.ask(*[ReqCurrentTime()] * 5)
    await probe.until(CurrentTime, 5)


@pytest.mark.parametrize("of", ["quotes", "contract_details"])
async def test_drop_after_rows(gateway, connect, of):
    """Two rows arrive whole, then the line is cut."""
    gateway.add(faults.DropAfterRows(2, of=of))
    probe = await connect(gateway)
    if of == "quotes":
        probe.ask(*[ReqMarketData(n, replace(CALL, strike=595.0 + n)) for n in range(1, 6)])
    else:
        probe.ask(ReqContractDetails(1, replace(CALL, strike=0.0, right="")))
    await probe.until_closed()

    rows = probe.got(TickComputation, tick=13) if of == "quotes" else probe.got(ContractData)
    assert len(rows) == 2


async def test_garbage_in_the_stream_makes_it_unreadable(gateway, connect):
    """After the fault the frames cannot be told apart any more; the socket stays open."""
    gateway.add(faults.Garble(after=3))
    probe = await connect(gateway)
    probe.ask(*[ReqCurrentTime()] * 4)

    with pytest.raises(WireError, match="announces"):
        await probe.until(CurrentTime, 4)
    assert gateway.client_ids() == {1}


async def test_a_garbled_message_spoils_only_itself(gateway, connect):
    """With its length right, the message before and the one after it can be read."""
    gateway.add(faults.Garble(after=3, whole_frame=True))
    probe = await connect(gateway)
    probe.ask(*[ReqCurrentTime()] * 3)
    frames = FrameReader()
    readable = spoilt = 0
    while readable < 7:
        for payload in frames.feed(await probe._reader.read(65536)):
            try:
                readable += split_fields(payload)[0] in {"4", "9", "15", "49"}
            except WireError:
                spoilt += 1

    assert spoilt <= 1


async def test_a_truncated_frame_swallows_what_follows(gateway, connect):
    """Half a frame makes the next bytes part of it; nothing readable comes any more."""
    gateway.add(faults.Truncate(after=2))
    probe = await connect(gateway)
    await probe.until(NextValidId)
    probe.ask(ReqCurrentTime())
    await asyncio.sleep(0.01)
    probe.ask(ReqCurrentTime())

    with pytest.raises((TimeoutError, WireError)):
        await asyncio.wait_for(probe.until(CurrentTime, 2), 0.04)


async def test_a_deaf_gateway_keeps_its_socket_open(gateway, connect):
    """From the third message on nothing is said."""
    gateway.add(faults.Deaf(after=3))
    probe = await connect(gateway)
    probe.ask(ReqCurrentTime())
    await probe.until(CurrentTime)
    probe.ask(ReqCurrentTime())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.until(CurrentTime, 2), 0.03)
    assert (gateway.client_ids(), probe.closed) == ({1}, False)


@pytest.mark.parametrize(("code", "lines"), [(1101, 0), (1102, 1)])
async def test_connectivity_lost_and_restored(market, connect, code, lines):
    """1100, silence, then 1101 without the lines or 1102 with them, which tick again."""
    profile = replace(Profile.instant(), update_s=0.02)
    fault = faults.ConnectivityLost(after=3, restored_after=0.02, code=code)
    async with Gateway(market, profile=profile, faults=[fault]) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqMarketData(1, CALL))
        await probe.until(TickComputation)
        probe.ask(ReqCurrentTime())
        await probe.until(Error, code=code)
        assert probe.got(CurrentTime) == []
        assert (probe.codes(), gateway.lines_open) == ([1100, code], lines)
        if lines:
            count = len(probe.got(TickPrice, tick=1))
            await probe.until(TickPrice, count + 1, tick=1)


async def test_lines_catch_up_after_an_outage(market, connect):
    """Ticks that fell into the outage, generic ones too, come with the next update."""
    profile = replace(Profile.instant(), generic_s=(0.01, 0.01), update_s=0.02)
    fault = faults.ConnectivityLost(after=3, restored_after=0.02)
    async with Gateway(market, profile=profile, faults=[fault]) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqMarketData(1, CALL, generic_ticks="101"), ReqCurrentTime())
        await probe.until(Error, code=1102)
        await probe.until(TickSize, tick=28)
        await probe.until(TickComputation, tick=13)


async def test_connectivity_that_never_comes_back(gateway, connect):
    """With None there is no second message."""
    gateway.add(faults.ConnectivityLost(after=2, restored_after=None))
    probe = await connect(gateway)
    probe.ask(ReqCurrentTime())
    await probe.until(Error, code=1100)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.until(CurrentTime), 0.03)


async def test_server_broken_and_mended(gateway, connect):
    """2110, then 1102."""
    gateway.add(faults.ServerBroken(after=2, restored_after=0.01))
    probe = await connect(gateway)
    probe.ask(ReqCurrentTime())
    await probe.until(Error, code=1102)

    assert probe.codes() == [2110, 1102]


@pytest.mark.parametrize(
    ("code", "repaired", "request_"),
    [
        (2103, 2104, ReqMarketData(1, CALL)),
        (2105, 2106, DAILY),
        (2157, 2158, ReqContractDetails(1, CALL)),
    ],
)
async def test_a_broken_farm_loses_its_own_requests(gateway, connect, code, repaired, request_):
    """Its kind of request is lost until the farm is back; everything else is answered."""
    gateway.add(faults.FarmBroken(code, after=2, restored_after=0.02))
    probe = await connect(gateway)
    probe.ask(request_, ReqCurrentTime())
    await probe.until(CurrentTime)
    await probe.until(Error, 2, code=repaired)
    probe.ask(replace(request_, req_id=2))
    await probe.settle()
    await probe.until(
        {2103: MarketDataType, 2105: HistoricalData, 2157: ContractData}[code], req_id=2
    )

    assert [one for one in probe.answers if getattr(one, "req_id", 0) == 1] == []


async def serves(port):
    """Whether anybody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_a_restart_cuts_everything_and_comes_back(gateway, connect):
    """The connection ends; after a while the same port serves again."""
    gateway.add(faults.Restart(after=2, down_for=0.02))
    port = gateway.port
    probe = await connect(gateway)
    probe.ask(ReqCurrentTime())
    await probe.until_closed()
    gateway.clear()
    assert not await serves(port)
    for _ in range(500):
        if await serves(port):
            break
        await asyncio.sleep(0.01)

    again = await connect(gateway)
    await again.until(NextValidId)
    assert gateway.port == port


async def test_a_changed_port_is_told(gateway, connect):
    """1300 names the new port; the old one serves nobody."""
    gateway.add(faults.PortChanged(after=2))
    old = gateway.port
    probe = await connect(gateway)
    probe.ask(ReqCurrentTime())
    await probe.until_closed()
    assert probe.codes() == [1300]
    assert probe.got(Error, code=1300)[0].text.endswith(str(gateway.port))

    gateway.clear()
    again = await connect(gateway)
    await again.until(NextValidId)
    assert gateway.port != old
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", old)


async def test_an_announcement_changes_nothing(gateway, connect):
    """2108 is said, and the next request is answered."""
    gateway.add(faults.Announce(2108))
    probe = await connect(gateway)
    probe.ask(ReqCurrentTime())
    await probe.until(CurrentTime)

    assert probe.codes() == [2108]


async def test_mutated_answers_stay_well_framed(gateway, connect):
    """With half the answers mutated every frame can still be cut; some fields make no sense."""
    gateway.add(faults.Mutate(share=0.5, after=1))
    probe = await connect(gateway)
    probe.ask(*[ReqContractDetails(req_id, STOCK) for req_id in range(1, 41)])
    frames, payloads = FrameReader(), []
    while len(payloads) < 80:
        payloads += frames.feed(await asyncio.wait_for(probe._reader.read(65536), 2.0))

    whole = 0
    for payload in payloads:
        with contextlib.suppress(WireError):
            whole += type(ANSWERS.decode(split_fields(payload), 178)) is ContractData
    assert 10 < whole < 40
