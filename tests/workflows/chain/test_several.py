"""Several symbols share one session and one message budget."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

import virtual_time
from conftest import FAST, settings_in
from simulated import SMALL, gateway_with, settings
from tomic.chain import Fetch
from tomic.errors import UnknownContract
from tomic.ib.session import Session
from tomic.models import OptionParams, Underlying
from tomic.selection import Wanted
from tomic.workflows.chain.fetch import fetch_chain
from tomic.workflows.chain.setup import KnownContracts
from tomic.workflows.chain.several import StoreMemory, fetch_chains

DAY, EXPIRY = dt.date(2026, 11, 20), dt.date(2026, 12, 18)
SPX = Underlying(symbol="SPX", con_id=416904, sec_type="IND")
RULES = {"monthlies": 1, "weeklies": 1, "strike_range": "3"}


def params(name: str, exchange: str = "SMART") -> OptionParams:
    return OptionParams(
        exchange=exchange, trading_class=name, multiplier=100, expiries=(EXPIRY,), strikes=(5900.0,)
    )


async def fetched(gateway, settings, store, **options):
    """One chain over a session of its own, as a run of its own would fetch it."""
    ib = settings.ib.model_copy(update={"port": gateway.port})
    async with Session(ib, settings.limits, pace=FAST) as session:
        memory = StoreMemory(store, session.note)
        return await fetch_chain(session, "SPY", settings, memory=memory, **options)


async def test_the_second_run_asks_for_no_details(gateway, tmp_path, store):
    """Neither the stock, nor parameters, nor options are asked for twice on one day."""
    settings = settings_in(tmp_path, chain=RULES)
    first = await fetched(gateway, settings, store)
    asked = (gateway.details_exact, gateway.details_open, gateway.by_kind["option_params"])

    second = await fetched(gateway, settings, store)

    again = (gateway.details_exact, gateway.details_open, gateway.by_kind["option_params"])
    assert again == asked
    assert second.counts == first.counts
    assert (second["con_id"] == first["con_id"]).all()


async def test_every_class_is_remembered(store):
    """A run that chose SPXW leaves SPX to be chosen by the next."""
    memory = StoreMemory(store, lambda text: None)
    listed = (params("SPXW", "CBOE"), params("SPXW"), params("SPX"))
    known = KnownContracts({Wanted(EXPIRY, 5900.0, "C"): 7}, frozenset({EXPIRY}))

    await memory.save(SPX, DAY, listed, listed[1], known)

    underlying, remembered = await memory.recall("SPX", DAY)
    assert underlying == SPX
    assert {one.trading_class for one in remembered} == {"SPX", "SPXW"}
    assert {one.exchange for one in remembered} == {"SMART"}
    assert await memory.load("SPX", DAY, "SPXW") == known
    assert await memory.load("SPX", DAY, "SPX") == KnownContracts({}, frozenset())


async def test_the_next_day_begins_anew(store):
    """Contracts change overnight."""
    memory = StoreMemory(store, lambda text: None)
    await memory.save(SPX, DAY, (params("SPX"),), params("SPX"), KnownContracts({}, frozenset()))

    assert await memory.recall("SPX", DAY + dt.timedelta(days=1)) == (None, ())


async def test_an_empty_expiry_is_remembered_as_such(store):
    """That nothing is listed on a day is an answer as well."""
    memory = StoreMemory(store, lambda text: None)
    known = KnownContracts({}, frozenset({EXPIRY}))

    await memory.save(SPX, DAY, (params("SPX"),), params("SPX"), known)

    assert await memory.load("SPX", DAY, "SPX") == known


@pytest.mark.parametrize(("name", "found"), [("SPY", True), ("2SPY", False)])
async def test_the_last_chain_is_of_its_class(store, demo_chain, name, found):
    """An adjusted class delivers something else: its quotes are nobody else's."""
    await store.chains.save(demo_chain)

    chain = await StoreMemory(store, lambda text: None).last_chain("SPY", name)

    assert (chain is not None) is found


async def test_the_last_chain_is_a_whole_one_where_there_is_one(store, demo_chain):
    """What a deadline left of a later one has fewer quotes; alone it is better."""
    later = demo_chain.as_of + dt.timedelta(minutes=5)
    cut = replace(demo_chain, as_of=later, fetch=Fetch(complete=False))
    memory = StoreMemory(store, lambda text: None)
    await store.chains.save(cut)
    assert (await memory.last_chain("SPY", "SPY")).as_of == later

    await store.chains.save(demo_chain)

    assert (await memory.last_chain("SPY", "SPY")).as_of == demo_chain.as_of


async def test_a_broken_store_costs_only_the_memory(gateway, tmp_path, store):
    """The chain goes on, and the user is told why nothing is remembered."""
    settings = settings_in(tmp_path, chain=RULES)
    await store.contracts.save_underlying(SPX, DAY)
    with closing(sqlite3.connect(settings.store.path)) as other, other:
        other.execute("DROP TABLE underlyings")

    chain = await fetched(gateway, settings, store)

    assert chain.completeness == 1.0
    assert any("not remembered" in note for note in chain.notes)


FIVE = ("SPY", "QQQ", "IWM", "AAPL", "TSLA")


def fetch_all(*faults, symbols=FIVE, rules=SMALL, timeout=120.0):
    """The outcomes of several symbols at once, when each came, and the gateway."""

    async def scenario():
        clock, given = asyncio.get_running_loop().time, settings(chain=rules)
        async with gateway_with(*faults) as gateway:
            began, done = clock(), []
            ib = given.ib.model_copy(update={"port": gateway.port})
            async with Session(ib, given.limits, deadline=began + timeout) as session:

                async def fetch(symbol, rank):
                    chain = await fetch_chain(
                        session, symbol, given, deadline=began + timeout, rank=rank
                    )
                    return chain, None

                found = await fetch_chains(
                    fetch, symbols, on_done=lambda one: done.append((one.symbol, clock() - began))
                )
            await asyncio.sleep(0.2)
            return found, done, gateway, clock() - began

    return virtual_time.run(scenario)


def test_five_symbols_take_the_time_of_their_messages():
    """1.05 (E + 2N + 3 + 4 a symbol) / 50 s and a second and a half, over one connection."""
    found, _, gateway, seconds = fetch_all()

    chains = [one.chain for one in found]
    listed = sum(len(c) - c.counts.get("unknown_contract", 0) for c in chains)
    expiries = sum(len(c.expiries) for c in chains)
    floor = 1.05 * (expiries + 2 * listed + 3 + 4 * len(FIVE)) / 50.0
    assert seconds <= floor + 2.0
    assert all(c.completeness == 1.0 for c in chains)
    assert gateway.peak_messages() <= 50
    assert (gateway.connections, gateway.leaked) == (1, 0)


def test_the_first_symbol_is_whole_first():
    """Symbols finish in the order in which they were named, the first long before the last."""
    rules = {"monthlies": 2, "weeklies": 2, "strike_range": "5"}
    _, done, _, seconds = fetch_all(symbols=FIVE[:3], rules=rules)

    assert [symbol for symbol, _ in done] == list(FIVE[:3])
    assert done[0][1] < 0.7 * seconds


def test_one_bad_symbol_never_stops_the_others():
    """An unknown symbol is an error in its own place; the rest is whole."""
    found, _, _, _ = fetch_all(symbols=("SPY", "SPPY", "QQQ"))

    assert [one.symbol for one in found] == ["SPY", "SPPY", "QQQ"]
    assert isinstance(found[1].error, UnknownContract)
    assert found[0].chain.completeness == found[2].chain.completeness == 1.0


def test_a_silent_symbol_holds_up_nobody():
    """One symbol without a word costs its own time, not that of the others."""
    found, done, _, _ = fetch_all("silent:symbol=QQQ", symbols=("SPY", "QQQ"))

    assert found[0].chain.completeness == 1.0
    assert found[1].error is not None
    assert done[0][0] == "SPY"


def test_a_lost_connection_is_mended_once_for_all():
    """Three symbols in flight share one new connection."""
    found, _, gateway, _ = fetch_all("drop_after:messages=60", symbols=("SPY", "QQQ", "IWM"))

    assert gateway.connections == 2
    assert all(one.chain.completeness == 1.0 for one in found)


def test_symbols_are_asked_for_once():
    """The same symbol twice is one outcome."""
    found, _, _, _ = fetch_all(symbols=("SPY", "SPY"))

    assert [one.symbol for one in found] == ["SPY"]
