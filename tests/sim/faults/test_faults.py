"""Faults as data, and what each of them does to a client."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tomic.errors import UsageError
from tomic.sim import Gateway, Limits, Profile, faults
from tomic.sim.faults import FAULTS, parse
from tomic.wire.answers import (
    ContractData,
    ContractDataEnd,
    CurrentTime,
    Error,
    HistoricalData,
    MarketDataType,
    TickComputation,
    TickPrice,
)
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
        ("garble:after=3,whole-frame=yes", faults.Garble(3, whole_frame=True)),
        ("connectivity_lost:restored_after=none", faults.ConnectivityLost(restored_after=None)),
        ("restart:down_for=0.1", faults.Restart(down_for=0.1)),
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
