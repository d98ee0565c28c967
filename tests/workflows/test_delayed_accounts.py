"""An account without live data gets delayed ones everywhere, and is told so once."""

from __future__ import annotations

import asyncio

import pytest

from conftest import settings_in
from support import virtual_time
from support.simulated import fetch, gateway_with, running, settings
from tomic.desk import Desk
from tomic.models import DataType, SpotSource
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import Advised, NotSubscribed
from tomic.sim.market.model import ModelMarket
from tomic.workflows.doctor.ladder import CheckVerdict, examine
from tomic.workflows.volatility import measure

ACCOUNTS = [
    NotSubscribed(code=10089, repeated=True),
    NotSubscribed(code=354, repeated=True),
    NotSubscribed(code=10186),
    Advised(codes=(10089,)),
    Advised(codes=(354, 10167)),
]


@pytest.mark.parametrize("account", ACCOUNTS, ids=str)
def test_a_volatility_report_of_many_symbols(account):
    """Every symbol and the VIX are quoted, whichever of them was refused first."""
    symbols = ["SPY", "QQQ", "IWM", "AAPL", "MSFT", "XLF"]

    async def scenario():
        async with running(account) as run:

            async def session():
                return run.session

            now = await measure.observe(session, symbols, settings())
            await run.session.limits.pacer.wait_idle()
            await asyncio.sleep(0.2)
            return now, run.gateway.lines_open, run.notes

    now, still_open, notes = virtual_time.run(scenario)
    assert now.errors == {}
    assert {one.spot.data_type for one in now.ticks.values()} == {DataType.DELAYED}
    assert set(now.ticks) == {*symbols, "VIX"}
    assert still_open == 0
    assert len([note for note in notes if "Subscribe in Client Portal" in note]) <= 1


@pytest.mark.parametrize("account", ACCOUNTS, ids=str)
def test_the_doctor_finds_delayed_data(account, tmp_path):
    """A warning that names the subscription, and the ladder goes on to its top."""

    async def scenario():
        async with gateway_with(account) as gateway:
            given = settings_in(tmp_path, ib={"port": gateway.port})
            found = {one.name: one async for one in examine(given, simulated=True)}
            await asyncio.sleep(0.2)
            return found, gateway.leaked

    found, leaked = virtual_time.run(scenario)
    stock, option = found["stock data SPY"], found["option data SPY"]
    assert (stock.verdict, option.verdict) == (CheckVerdict.WARN, CheckVerdict.OK)
    assert "delayed" in stock.found and "delayed" in option.found
    assert "OPRA" in stock.fix
    assert "pacing" in found
    assert leaked == 0


@pytest.mark.parametrize("account", ACCOUNTS, ids=str)
def test_chains_of_several_symbols(account):
    """The second symbol does not pay for what the first has shown."""
    got = fetch(account, symbols=("SPY", "QQQ"))

    for chain in got.chains:
        assert set(chain["status"].tolist()) == {"ok"}
        assert set(chain["quote_source"].tolist()) == {"delayed"}
        assert chain.spot.source in (SpotSource.LAST, SpotSource.MID)
    assert got.gateway.leaked == 0
    assert len([note for note in got.notes if "Subscribe" in note]) <= 1


@pytest.mark.parametrize("account", [ACCOUNTS[0], ACCOUNTS[3]], ids=str)
async def test_a_scan(account, tmp_path):
    """Proposals come from delayed quotes, and the symbol is not lost."""
    profile, limits = Profile.demo(), Limits().unpaced()
    async with Gateway(
        ModelMarket(1), faults=[account], seed=1, profile=profile, limits=limits
    ) as gateway:
        given = settings_in(tmp_path, ib={"port": gateway.port})
        lines = given.limits.model_copy(update={"lines": 80})
        given = given.model_copy(update={"limits": lines})
        async with Desk(given) as desk:
            result = await desk.scan(["SPY"], strategies=["short_put_spread"])

    assert gateway.connections >= 1
    assert result.proposals
    assert {one.data_type for one in result.proposals} == {DataType.DELAYED}
