"""Codes that TWS says beside its data, or instead of them: which is which shows what follows."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from support import virtual_time
from support.simulated import OPTION, WANTED, fetch, quote, running, settings, spy
from tomic.errors import GatewayRefused, NoMarketData
from tomic.ib import convert
from tomic.ib.lines import LineRequest
from tomic.ib.option_quotes import Patience, option_quote
from tomic.models import DataType, QuoteSource, RowStatus
from tomic.sim.faults import Advised, Late, NotSubscribed, PartiallySubscribed, Refuse, Silent

WIDE = {"monthlies": 2, "weeklies": 3, "strike_range": "10"}
"""Some 200 options of SPY."""
CODES = [(10089,), (354, 10167), (10186,), (10276,), (10225,), (10999,), (420,), (10090, 10999)]
SUBSCRIBE = "Subscribe in Client Portal"


@pytest.mark.parametrize("codes", CODES, ids=str)
@pytest.mark.parametrize("data", ["live", "delayed"])
def test_a_code_before_data_is_advice(codes, data):
    """Whatever it is called, known or not: ticks follow, so the option was served."""
    row, seconds, gateway, notes = quote(Advised(**OPTION, codes=codes, data=data))

    source = QuoteSource.LIVE if data == "live" else QuoteSource.DELAYED
    assert (row.status in (RowStatus.OK, RowStatus.NO_GREEKS), row.quote_source) == (True, source)
    assert row.bid is not None
    assert seconds < 1.6
    assert gateway.by_kind["market_data"] == gateway.by_kind["cancel_market_data"] == 1
    assert notes == []


@pytest.mark.parametrize("after_s", [0.4, 0.8, 1.1])
def test_a_code_in_the_midst_of_data_takes_none_of_them_back(after_s):
    """What came before an unknown code stays, and what comes after it is taken too."""
    row, _, _, _ = quote(Advised(**OPTION, codes=(10999,), data="live", after_s=after_s))

    assert (row.status, row.greeks_source) == (RowStatus.OK, "ib")


def test_data_that_take_their_time_after_a_code():
    """Up to two seconds are waited for them."""
    row, _, gateway, _ = quote(
        Advised(**OPTION, codes=(10089,)), Late(**OPTION, seconds=1.6), rules={"silent_s": 0.6}
    )

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)
    assert gateway.by_kind["market_data"] == 1


def test_an_unknown_code_without_data_is_a_verdict():
    """After two seconds of nothing its text is the reason, and the line is cancelled."""

    async def scenario():
        async with running(Advised(**OPTION, codes=(10999,), data="none")) as run:
            underlying, params = await spy(run.session)
            contract = convert.option_contract(underlying, params, WANTED)
            began = run.time()
            with pytest.raises(GatewayRefused) as caught:
                await option_quote(
                    run.session, "one option", contract, WANTED,
                    settings().chain, Patience(1.0),
                )  # fmt: skip
            seconds = run.time() - began
            await run.session.limits.pacer.wait_idle()
            await asyncio.sleep(0.2)
            return caught.value.error_code, seconds, run.gateway.lines_open, run.gateway.by_kind

    code, seconds, still_open, kinds = virtual_time.run(scenario)
    assert code == 10999
    assert seconds == pytest.approx(2.05, abs=0.1)
    assert still_open == 0
    assert kinds["market_data"] == kinds["cancel_market_data"] == 1


@pytest.mark.parametrize("code", [200, 101, 320, 321, 322, 300])
def test_what_was_never_opened_ends_at_once(code):
    """These say that TWS has no such line: nobody waits, and there is nothing to cancel."""

    async def scenario():
        async with running(Refuse(**OPTION, code=code)) as run:
            underlying, params = await spy(run.session)
            contract = convert.option_contract(underlying, params, WANTED)
            began = run.time()
            async with run.session.line(LineRequest("one option", contract)) as line:
                while line.error is None:
                    line.changed.clear()
                    await line.changed.wait()
                seconds = run.time() - began
            await run.session.limits.pacer.wait_idle()
            await asyncio.sleep(0.1)
            return seconds, run.gateway.by_kind["cancel_market_data"]

    seconds, cancels = virtual_time.run(scenario)
    assert seconds < 0.1
    assert cancels == 0


@pytest.mark.parametrize("fault", [
    "advised:codes=10089,data=delayed", "advised:codes=354+10167,data=delayed",
    "advised:codes=10999,data=live", "advised:codes=10276,data=live",
    "not_subscribed:code=10089,repeated=1", "not_subscribed:code=354,repeated=1",
    "not_subscribed:code=10186", "not_subscribed:code=354,kinds=stock",
    "not_subscribed:code=10089,kinds=option", "not_subscribed:code=354,kinds=option,repeated=1",
])  # fmt: skip
def test_a_chain_of_an_account_without_live_data(fault):
    """Every row is there, live or delayed as the account may have it, and no line stays open."""
    got = fetch(fault)

    assert got.status == {"ok": len(got.chain)}
    assert got.gateway.leaked == 0
    assert got.gateway.peak_messages() <= 50
    assert got.gateway.peak_lines <= 90
    # Without the stock alone its options give the price, and nothing has to be asked otherwise.
    asked_otherwise = "not_subscribed" in fault and "kinds=stock" not in fault
    assert any(SUBSCRIBE in note for note in got.notes) == asked_otherwise
    assert got.seconds < 14.0


def test_one_refused_contract_decides_nothing():
    """One 354 among many costs that row alone; nobody is told to subscribe, data stay live."""
    got = fetch(NotSubscribed(strike=590.0, right="C", expiry="20261218"), rules=WIDE)

    assert got.status == {"ok": len(got.chain) - 1, "not_subscribed": 1}
    assert got.chain.data_type is DataType.LIVE
    assert got.gateway.by_kind["market_data_type"] == 1
    assert not any(SUBSCRIBE in note for note in got.notes)
    assert got.gateway.leaked == 0


def test_a_few_refused_contracts_decide_nothing():
    """Five in a hundred are not the account."""
    got = fetch(NotSubscribed(share=0.05), rules=WIDE)

    assert 4 <= got.status["not_subscribed"] <= 20
    assert got.status["ok"] == len(got.chain) - got.status["not_subscribed"]
    assert got.chain.data_type is DataType.LIVE


@pytest.mark.parametrize("code", [354, 10089, 10168, 10186])
def test_a_chain_without_any_data_does_not_stall(code):
    """Two seconds are waited for a few of two hundred options, live and delayed, not for each."""
    got = fetch(NotSubscribed(code=code, delayed=False, kinds="option"), rules=WIDE)

    assert got.status == {"not_subscribed": len(got.chain)}
    assert len(got.chain) > 190
    assert got.gateway.leaked == 0
    assert got.gateway.peak_messages() <= 50
    assert got.seconds < 1.4 * len(got.chain) * 2 / 48.0 + 8.0


def test_unknown_codes_without_data_do_not_stall_a_chain():
    """Nor do two hundred lines of which something is said that nobody knows."""
    got = fetch(Advised(codes=(10999,), data="none", kinds="option"), rules=WIDE)

    assert got.status == {"lost": len(got.chain)}
    assert got.gateway.leaked == 0
    assert got.seconds < 1.4 * len(got.chain) * 2 / 48.0 + 8.0


def test_a_slow_gateway_is_given_its_time():
    """Where every answer takes a second, a code is not taken at its word after half of one."""
    slow = [Advised(codes=(10089,), kinds="option", share=0.5, data="none"), Late(seconds=0.9)]
    got = fetch(*slow, Advised(codes=(10089,), kinds="option"), rules=WIDE)

    assert set(got.status) == {"ok", "not_subscribed"}
    assert got.status["ok"] > 0.35 * len(got.chain)


def test_an_index_that_is_not_subscribed_and_its_options_are():
    """The chain stands on the price inside an option's model, and its quotes are live."""
    got = fetch(
        NotSubscribed(kinds="index", delayed=False), symbols=("SPX",), rules={"strike_range": "20"}
    )

    assert got.status == {"ok": len(got.chain)}
    assert got.chain.spot.source.value == "model"
    assert got.sources == {"live": len(got.chain)}


def test_nothing_of_a_symbol_that_is_refused():
    """Without data of its options either, the refusal is the answer."""
    got = fetch(NotSubscribed(delayed=False))

    assert isinstance(got.error, NoMarketData)


def test_only_live_data_are_wanted():
    """Then delayed ones that follow an advisory code are refused, and told as such."""
    got = fetch(Advised(kinds="option"), realtime_only=True)

    assert got.status == {"not_subscribed": len(got.chain)}
    assert got.gateway.leaked == 0


def test_a_refused_generic_tick_is_not_asked_again(monkeypatch):
    """After a 321 the second line of a silent option asks for what is legal, as the first does."""
    from tomic.sim.server import market_data

    monkeypatch.setitem(market_data.LEGAL_GENERIC, "OPT", market_data.LEGAL_GENERIC["OPT"] - {106})

    got = fetch(Silent(right="C", first_n=1))

    assert got.status == {"ok": len(got.chain)}
    assert len(got.chain) >= 24
    assert None not in {row.open_interest for row in got.chain.rows()}


def test_a_refused_tick_is_learned_once(monkeypatch):
    """The first 321 spares the options that come later; open interest is still asked for."""
    from tomic.sim.server import market_data

    clean = fetch(rules=WIDE)
    monkeypatch.setitem(market_data.LEGAL_GENERIC, "OPT", market_data.LEGAL_GENERIC["OPT"] - {106})

    got = fetch(rules=WIDE)

    assert got.status == {"ok": len(got.chain)}
    assert got.gateway.codes()[321] <= 10
    assert got.gateway.messages <= clean.gateway.messages + 25


def test_the_model_price_survives_a_refused_tick(monkeypatch):
    """A silent stock is priced by its options also where one generic tick is refused."""
    from tomic.sim.server import market_data

    monkeypatch.setitem(market_data.LEGAL_GENERIC, "OPT", market_data.LEGAL_GENERIC["OPT"] - {106})

    got = fetch(Silent(symbol="SPY", times=2))

    assert got.status == {"ok": len(got.chain)}


@pytest.mark.parametrize("code", [10090, 10091])
@pytest.mark.parametrize("after_s", [0.0, 0.6, 1.5])
def test_a_model_may_follow_a_code_about_a_part(code, after_s):
    """10090 and 10091 before or after IB's model: its Greeks are taken, none computed here."""
    got = fetch(Advised(codes=(code,), data="live", after_s=after_s, kinds="option"))

    assert got.status == {"ok": len(got.chain)}
    assert Counter(row.greeks_source for row in got.chain.rows()) == {"ib": len(got.chain)}


def test_where_no_model_follows_such_a_code_none_is_waited_for_long():
    """After the first lines it is taken at its word: Greeks are computed, in seconds."""
    clean, got = fetch(rules=WIDE), fetch(PartiallySubscribed(), rules=WIDE)

    assert got.status == {"ok": len(got.chain)}
    assert Counter(row.greeks_source for row in got.chain.rows()) == {"local": len(got.chain)}
    assert got.seconds < clean.seconds + 4.0
