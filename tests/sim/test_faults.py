"""Faults as data, whom they hit, and what each of them does to a client or its connection."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import fields, replace

import pytest

from sim.conftest import Probe
from support import virtual_time
from tomic.errors import UsageError
from tomic.sim import Gateway, Limits, Profile, faults
from tomic.sim.faults import FAULTS, Interference, Subject, parse
from tomic.wire.answers import (
    ContractData,
    ContractDataEnd,
    CurrentTime,
    Error,
    HistoricalData,
    ManagedAccounts,
    MarketDataType,
    NextValidId,
    TickComputation,
    TickGeneric,
    TickPrice,
    TickSize,
)
from tomic.wire.framing import FrameReader, WireError, split_fields
from tomic.wire.protocol import ANSWERS
from tomic.wire.requests import (
    CancelMarketData,
    ContractSpec,
    ReqContractDetails,
    ReqCurrentTime,
    ReqHistory,
    ReqMarketData,
    ReqMarketDataType,
)

STOCK = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
CALL = ContractSpec(0, "SPY", "OPT", "20250718", 600.0, "C", exchange="SMART", currency="USD")
OTHER = replace(CALL, strike=601.0)
DAILY = ReqHistory(1, STOCK, False, "", "1 day", "5 D", True, "TRADES", 1)


# reading faults from text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("silent", faults.Silent()),
        ("silent:share=0.05,first_n=1", faults.Silent(share=0.05, first_n=1)),
        ("Silent: symbol=QQQ, strike=600", faults.Silent(symbol="QQQ", strike=600.0)),
        ("refuse:code=200,on=contract_details", faults.Refuse(200, on="contract_details")),
        ("client-id-in-use:ids=100+101", faults.ClientIdInUse((100, 101))),
        ("client_id_in_use:ids=7+100-102", faults.ClientIdInUse((7, 100, 101, 102))),
        ("garble:after=3,whole-frame=yes", faults.Garble(after=3, whole_frame=True)),
        ("connectivity_lost:restored_after=none", faults.ConnectivityLost(restored_after=None)),
        ("restart:down_for=0.1", faults.Restart(down_for=0.1)),
        ("slow:rate=60000,latency=.25", faults.Slow(60_000.0, 0.25)),
    ],
)  # fmt: skip
def test_a_fault_is_read_from_text(text, fault):
    """Name, colon, settings; dashes and underscores are the same."""
    assert parse(text) == fault


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_has_a_name_a_default_and_a_sentence(name):
    """Each can be named alone, can be compared and hashed, and says what it does."""
    fault = parse(name)

    assert fault == FAULTS[name]()
    assert isinstance(hash(fault), int)
    assert len(FAULTS[name].__doc__ or "") > 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gremlin", "no fault called 'gremlin'; known: .*silent"),
        ("silent:volume=3", "silent: no setting 'volume'; known: on, symbol"),
        ("silent:share", "silent: no setting 'share'"),
        ("silent:share=most", "silent: share cannot be 'most'"),
        ("garble:whole_frame=perhaps", "whole_frame cannot be 'perhaps'"),
        ("client_id_in_use:ids=a", "ids cannot be 'a'"),
    ],
)
def test_a_fault_that_cannot_be_read_names_what_can(text, message):
    """The message lists the known names or settings."""
    with pytest.raises(UsageError, match=message):
        parse(text)


# faults of single requests


async def test_a_silent_option_holds_a_line_and_says_nothing(gateway, probe):
    """Its neighbour is served; its cancel is no error; asked once more it answers."""
    gateway.add(faults.Silent(strike=600.0, first_n=1))
    probe.ask(ReqMarketData(1, CALL), ReqMarketData(2, OTHER))
    await probe.until(TickComputation, req_id=2, tick=13)
    await probe.settle()

    assert [one for one in probe.answers if getattr(one, "req_id", 0) == 1] == []
    assert gateway.lines_open == 2
    probe.ask(CancelMarketData(1), ReqMarketData(3, CALL))
    await probe.until(TickComputation, req_id=3, tick=13)
    assert (probe.codes(), gateway.lines_open) == ([], 2)


@pytest.mark.parametrize("by_id", [True, False])
async def test_silence_reaches_other_requests_too(gateway, probe, by_id):
    """Details of an option stay unanswered, however the option is named."""
    gateway.add(faults.Silent(on="contract_details", strike=595.0, right="P"))
    contract = ContractSpec(con_id=700000003) if by_id else replace(CALL, strike=595.0, right="P")
    probe.ask(ReqContractDetails(1, contract), ReqContractDetails(2, CALL))
    await probe.until(ContractDataEnd, req_id=2)
    await probe.settle()

    assert [one.req_id for one in probe.got(ContractData)] == [2]


async def test_a_late_answer_comes_after_the_others(gateway, probe):
    """What was asked first comes last."""
    gateway.add(faults.Late(0.02, strike=600.0))
    gateway.add(faults.Late(0.02, on="contract_details", strike=600.0))
    probe.ask(ReqMarketData(1, CALL), ReqMarketData(2, OTHER))
    probe.ask(ReqContractDetails(3, CALL), ReqContractDetails(4, OTHER))
    await probe.until(MarketDataType, req_id=1)
    await probe.until(ContractDataEnd, req_id=3)

    assert [one.req_id for one in probe.got(MarketDataType)] == [2, 1]
    assert [one.req_id for one in probe.got(ContractDataEnd)] == [4, 3]


async def test_a_delay_of_one_kind_leaves_the_others(gateway, probe):
    """The clock, asked after the details, answers before them."""
    gateway.add(faults.Delay(0.02, on="contract_details"))
    probe.ask(ReqContractDetails(1, STOCK), ReqCurrentTime())
    await probe.until(ContractDataEnd, req_id=1)

    kinds = [type(one) for one in probe.answers]
    assert kinds.index(CurrentTime) < kinds.index(ContractData)


@pytest.mark.parametrize("code", [200, 321, 354])
async def test_a_refusal_has_the_code_it_was_given(gateway, probe, code):
    """Market data and details, refused so many times."""
    gateway.add(faults.Refuse(code, on="", times=2))
    probe.ask(ReqMarketData(1, CALL), ReqContractDetails(2, CALL), ReqContractDetails(3, CALL))
    await probe.until(ContractDataEnd, req_id=3)

    assert [(one.req_id, one.code) for one in probe.got(Error) if one.req_id > 0] == [
        (1, code),
        (2, code),
    ]
    assert gateway.lines_open == 0


@pytest.mark.parametrize("sentinel", [True, False])
async def test_no_greeks(gateway, probe, sentinel):
    """Quotes flow; the model is absent, or says that it is not computed."""
    gateway.add(faults.NoGreeks(sentinel=sentinel))
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(TickPrice, tick=2)
    await probe.settle()

    assert [one.iv for one in probe.got(TickComputation)] == ([-1.0] if sentinel else [])


async def test_no_quotes(gateway, probe):
    """Bid and ask are -1."""
    gateway.add(faults.NoQuotes())
    probe.ask(ReqMarketData(1, CALL))

    assert (await probe.until(TickPrice, tick=1)).price == -1.0
    assert (await probe.until(TickPrice, tick=2)).price == -1.0


async def test_late_ticks_follow_a_cancel(gateway, probe):
    """Ticks of the cancelled id go on for a while."""
    gateway.add(faults.LateTicks(0.02))
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(TickPrice, tick=1)
    probe.ask(CancelMarketData(1))
    await probe.until(TickPrice, 4, tick=1)

    assert gateway.lines_open == 0


@pytest.mark.parametrize("code", [354, 10089, 10168])
async def test_not_subscribed(gateway, probe, code):
    """Types 1 and 2 are refused; 3 as well when delayed data are not allowed."""
    gateway.add(faults.NotSubscribed(code, kinds="option", delayed=False))
    probe.ask(ReqMarketData(1, CALL), ReqMarketData(2, STOCK))
    await probe.until(Error, code=code)
    probe.ask(ReqMarketDataType(3), ReqMarketData(3, CALL))
    await probe.until(Error, 2, code=code)
    await probe.until(TickPrice, req_id=2)


@pytest.mark.parametrize("code", [10090, 10091])
async def test_partially_subscribed(gateway, probe, code):
    """The error comes, the quotes flow, the Greeks do not."""
    gateway.add(faults.PartiallySubscribed(code))
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(TickPrice, tick=1, price=6.0)
    await probe.settle()

    assert probe.codes() == [code]
    assert probe.got(TickComputation) == []


async def test_delayed_although_live_was_asked(gateway, probe):
    """10167, type 3 and delayed tick numbers."""
    gateway.add(faults.Delayed())
    probe.ask(ReqMarketData(1, CALL))
    await probe.until(TickPrice, tick=66)

    assert (probe.codes(), probe.got(MarketDataType)[0].data_type) == ([10167], 3)


async def test_a_competing_session_holds_the_data(gateway, probe):
    """10197, and no line."""
    gateway.add(faults.Competing())
    probe.ask(ReqMarketData(1, CALL))

    assert (await probe.until(Error, code=10197)).req_id == 1
    assert gateway.lines_open == 0


async def test_history_pacing_for_no_reason(gateway, probe):
    """The first request is refused with a 162 about pacing, the second answered."""
    gateway.add(faults.HistoryPacing(times=1))
    probe.ask(DAILY)
    assert "pacing" in (await probe.until(Error, code=162)).text
    probe.ask(DAILY)
    await probe.until(HistoricalData)


async def test_lines_that_tws_itself_holds(gateway, probe):
    """With 99 taken there is room for one."""
    gateway.add(faults.LinesTaken(99))
    probe.ask(ReqMarketData(1, STOCK), ReqMarketData(2, STOCK))

    assert (await probe.until(Error, code=101)).req_id == 2


async def test_a_spurious_100_loses_its_message(gateway, probe):
    """The third message is lost: its answer never comes."""
    gateway.add(faults.PacingStrike(at=(3,)))
    probe.ask(*[ReqContractDetails(req_id, STOCK) for req_id in (1, 2, 3)])
    await probe.until(ContractDataEnd, req_id=3)

    assert [one.req_id for one in probe.got(ContractDataEnd)] == [1, 3]
    assert probe.codes() == [100]


async def test_a_clock_that_is_ahead(gateway, probe):
    """reqCurrentTime is a minute off."""
    gateway.add(faults.ClockDrift(60.0))
    probe.ask(ReqCurrentTime())

    assert (await probe.until(CurrentTime)).epoch == 1750258860


async def test_faults_combine_and_can_be_taken_out(market, connect):
    """Two faults hold together; removed, they leave a gateway that is well."""
    silent, taken = faults.Silent(strike=600.0), faults.LinesTaken(99)
    limits = Limits().unpaced()
    async with Gateway(
        market, profile=Profile.instant(), limits=limits, faults=[silent, taken]
    ) as gateway:
        probe = await connect(gateway)
        probe.ask(ReqMarketData(1, CALL), ReqMarketData(2, OTHER))
        await probe.until(Error, code=101)
        gateway.remove(silent)
        gateway.remove(taken)
        probe.ask(ReqMarketData(3, CALL))
        await probe.until(TickPrice, req_id=3)


def test_settings_of_aimed_faults_are_named_alike():
    """Every aimed fault has the same eight ways of aiming."""
    names = {item.name for item in fields(faults.Aimed)}

    aimed = [kind for kind in FAULTS.values() if issubclass(kind, faults.Aimed)]
    assert all(names <= {item.name for item in fields(kind)} for kind in aimed)
    assert len(aimed) >= 9


# whom a fault hits, and how often


def _subject(strike: float) -> Subject:
    return Subject("SPY", "OPT", "20250718", strike, "C")


def test_a_share_hits_the_same_contracts_every_time():
    """A share of 5 % hits about one option in twenty, the same for one seed, others for another."""
    chain = [_subject(float(strike)) for strike in range(2000)]

    def hit(seed: int) -> list[int]:
        box = Interference([faults.Silent(share=0.05)], seed)
        return [at for at, one in enumerate(chain) if box.aimed(faults.Silent, "market_data", one)]

    assert hit(1) == hit(1) != hit(2)
    assert 60 < len(hit(1)) < 140


def test_a_share_spares_the_underlying():
    """Shares and indices are hit only when they are all hit."""
    box = Interference([faults.Silent(share=0.99)], 1)

    assert box.aimed(faults.Silent, "market_data", Subject("SPY", "STK")) is None


def test_first_n_counts_per_contract_and_times_altogether():
    """first_n=1 hits each contract once; times=2 hits two requests and no third."""
    one, other = _subject(600.0), _subject(601.0)

    first = Interference([faults.Silent(first_n=1)], 1)
    hits = [bool(first.aimed(faults.Silent, "market_data", who)) for who in (one, one, other)]
    assert hits == [True, False, True]

    twice = Interference([faults.Silent(times=2)], 1)
    hits = [bool(twice.aimed(faults.Silent, "market_data", who)) for who in (one, one, other)]
    assert hits == [True, True, False]


@pytest.mark.parametrize(
    ("aim", "hit"),
    [
        ({"symbol": "SPY", "expiry": "2025-07-18", "strike": 600.0, "right": "C"}, True),
        ({"symbol": "QQQ"}, False),
        ({"expiry": "20250815"}, False),
        ({"right": "P"}, False),
        ({"on": "history"}, False),
        ({"on": ""}, True),
    ],
)
def test_a_fault_hits_what_it_is_aimed_at(aim, hit):
    """Every field that is given must fit; empty ones fit all."""
    box = Interference([faults.Silent(**aim)], 1)

    assert bool(box.aimed(faults.Silent, "market_data", _subject(600.0))) is hit


# what faults do to a whole connection


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
    for _ in range(6000):
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
        payloads += frames.feed(await asyncio.wait_for(probe._reader.read(65536), 60.0))

    whole = 0
    for payload in payloads:
        with contextlib.suppress(WireError):
            whole += type(ANSWERS.decode(split_fields(payload), 178)) is ContractData
    assert 10 < whole < 40


def _in_virtual_time(market, slow, scenario):
    """A gateway that answers at once, but for that fault, in virtual time."""

    async def whole():
        limits = Limits(messages_per_s=10_000)
        profile = Profile.instant()
        async with Gateway(market, profile=profile, limits=limits, faults=[slow]) as gateway:
            client = await Probe.open(gateway)
            try:
                await client.until(NextValidId)
                return await scenario(gateway, client)
            finally:
                await client.close()

    return virtual_time.run(whole)


def test_a_slow_link_delays_both_ways(market):
    """An answer takes the latency twice."""

    async def scenario(_gateway, client):
        clock = asyncio.get_running_loop().time
        began = clock()
        await client.settle()
        return clock() - began

    assert _in_virtual_time(market, faults.Slow(1e9, 0.25), scenario) == pytest.approx(
        0.5, abs=0.01
    )


def test_a_slow_link_delivers_so_many_bytes_a_second(market):
    """The details of an expiry take their size over the rate."""

    async def scenario(_gateway, client):
        clock = asyncio.get_running_loop().time
        began = clock()
        client.ask(ReqContractDetails(1, replace(CALL, strike=0.0, right="")))
        await client.until(ContractDataEnd)
        rows = client.got(ContractData, req_id=1)
        size = sum(len(ANSWERS.encode(row, client.version)) for row in rows)
        return len(rows), size / 2000.0, clock() - began

    rows, least_s, took_s = _in_virtual_time(market, faults.Slow(2000.0, 0.0), scenario)
    assert rows == 22
    assert least_s < took_s < 1.1 * least_s + 0.1


@pytest.mark.parametrize(("buffer", "most_s"), [(0, 60.0), (5_000, 3.5)])
def test_ticks_queue_in_virtual_time(market, buffer, most_s):
    """A line writes more than the link takes: the answer stands behind all, unless updates wait."""

    async def scenario(_gateway, client):
        clock = asyncio.get_running_loop().time
        for at in range(20):
            client.ask(ReqMarketData(at + 1, STOCK))
        await asyncio.sleep(10.0)
        began = clock()
        client.ask(ReqCurrentTime())
        await client.until(CurrentTime)
        return clock() - began

    waited = _in_virtual_time(market, faults.Slow(2000.0, 0.0, buffer), scenario)
    assert waited < most_s
    assert buffer or waited > 10.0


def test_what_was_said_before_a_cut_still_arrives(market):
    """The reason of a refusal stands in the queue of the link, and the end behind it."""

    async def scenario(gateway, client):
        other = await Probe.open(gateway)
        await other.until_closed()
        await other.close()
        await client.settle()
        return other.codes(), len(gateway.clients)

    assert _in_virtual_time(market, faults.Slow(2000.0, 0.2), scenario) == ([326], 1)


@pytest.mark.parametrize("text", ["slow:rate=0", "slow:latency=-1", "slow:buffer=-1"])
def test_a_link_has_a_rate(text):
    """A link that carries nothing, or into the past, is none."""
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize("listed", [True, False])
async def test_a_tws_that_does_not_know_a_generic_tick(gateway, connect, listed):
    """It refuses the line, with or without a list of the legal ones; 411 gives what 104 did."""
    gateway.add(faults.IllegalTicks(listed=listed))
    client = await connect(gateway)

    client.ask(ReqMarketData(1, STOCK, generic_ticks="104,106"))
    refusal = await client.until(Error, code=321)
    client.ask(ReqMarketData(2, STOCK, generic_ticks="106,411"))

    assert "generic tick list of 104,106" in refusal.text
    assert ("Legal ones for (STK) are" in refusal.text) is listed
    assert (await client.until(TickGeneric, req_id=2, tick=58)).value == 0.15


def test_a_gateway_that_stands_still_reads_all_at_once(market):
    """What comes during a stall is read at its end, and counts in that second."""

    async def scenario(gateway, client):
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(2.0 - clock() + 0.001)
        for _ in range(30):
            client.ask(ReqCurrentTime())
            await asyncio.sleep(0.01)
        await client.until(CurrentTime, 30)
        return clock(), gateway.peak_messages(0.001)

    ended, at_once = _in_virtual_time(market, faults.Stalls(seconds=0.5, every=2.0), scenario)
    assert ended == pytest.approx(2.5, abs=0.01)
    assert at_once == 30


@pytest.mark.parametrize("text", ["stalls:seconds=0", "stalls:seconds=2,every=1"])
def test_a_stall_ends(text):
    """A gateway that never reads is none of a busy machine."""
    with pytest.raises(UsageError):
        parse(text)
