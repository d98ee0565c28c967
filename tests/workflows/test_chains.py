"""Several symbols share one session and one message budget."""

from __future__ import annotations

import asyncio

import virtual_time
from simulated import SMALL, gateway_with, settings
from tomic.errors import UnknownContract
from tomic.ib.session import Session
from tomic.workflows.chain import fetch_chain
from tomic.workflows.chains import fetch_chains

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
