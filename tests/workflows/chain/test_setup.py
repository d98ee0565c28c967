"""What is remembered of contracts for the rest of the day, and of the last chain."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from conftest import FAST, settings_in
from tomic.chain import Fetch
from tomic.ib.session import Session
from tomic.models import OptionParams, Underlying
from tomic.selection import Wanted
from tomic.workflows.chain.fetch import fetch_chain
from tomic.workflows.chain.setup import ChainRequest, ContractMemory, KnownContracts

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
        memory = ContractMemory(store, session.note)
        return await fetch_chain(ChainRequest(session, "SPY", settings, memory=memory, **options))


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
    memory = ContractMemory(store, lambda text: None)
    listed = (params("SPXW", "CBOE"), params("SPXW"), params("SPX"))
    known = KnownContracts({Wanted(EXPIRY, 5900.0, "C"): 7}, frozenset({EXPIRY}))

    await memory.save(SPX, DAY, listed, listed[1], known)

    underlying, remembered = await memory.recall("SPX", DAY)
    assert underlying == SPX
    assert {one.trading_class for one in remembered} == {"SPX", "SPXW"}
    assert {one.exchange for one in remembered} == {"SMART"}
    assert await memory.load("SPX", DAY, "SPXW") == known
    assert await memory.load("SPX", DAY, "SPX") == KnownContracts()


async def test_the_next_day_begins_anew(store):
    """Contracts change overnight."""
    memory = ContractMemory(store, lambda text: None)
    await memory.save(SPX, DAY, (params("SPX"),), params("SPX"), KnownContracts())

    assert await memory.recall("SPX", DAY + dt.timedelta(days=1)) == (None, ())


async def test_an_empty_expiry_is_remembered_as_such(store):
    """That nothing is listed on a day is an answer as well."""
    memory = ContractMemory(store, lambda text: None)
    known = KnownContracts({}, frozenset({EXPIRY}))

    await memory.save(SPX, DAY, (params("SPX"),), params("SPX"), known)

    assert await memory.load("SPX", DAY, "SPX") == known


@pytest.mark.parametrize(("name", "found"), [("SPY", True), ("2SPY", False)])
async def test_the_last_chain_is_of_its_class(store, demo_chain, name, found):
    """An adjusted class delivers something else: its quotes are nobody else's."""
    await store.chains.save(demo_chain)

    chain = await ContractMemory(store, lambda text: None).last_chain("SPY", name)

    assert (chain is not None) is found


async def test_the_last_chain_is_a_whole_one_where_there_is_one(store, demo_chain):
    """What a deadline left of a later one has fewer quotes; alone it is better."""
    later = demo_chain.as_of + dt.timedelta(minutes=5)
    cut = replace(demo_chain, as_of=later, fetch=Fetch(cut_short=True))
    memory = ContractMemory(store, lambda text: None)
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
