"""The pytest plugin in a project of its own, which has nothing but ib_async and pytest."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

PROGRAM = '''
import ib_async


def last_price(port, symbol):
    """A plain program of ib_async that blocks."""
    ib = ib_async.IB()
    ib.connect("127.0.0.1", port, clientId=1)
    try:
        (contract,) = ib.qualifyContracts(ib_async.Stock(symbol, "SMART", "USD"))
        (ticker,) = ib.reqTickers(contract)
        return ticker.last
    finally:
        ib.disconnect()


async def positions(port):
    """The same library, awaited."""
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=1)
    try:
        return [position.position for position in await ib.reqPositionsAsync()]
    finally:
        ib.disconnect()
'''
TESTS = """
import asyncio

import pytest
from program import last_price, positions
from tomic.testing import Position


@pytest.mark.tomic_gateway(symbols=["SPY"])
def test_a_program_that_blocks(tomic_gateway):
    assert last_price(tomic_gateway, "SPY") == pytest.approx(590, abs=1)
    tomic_gateway.assert_no_pacing_violations()
    tomic_gateway.assert_no_orders()


@pytest.mark.tomic_gateway(["silent:on=positions"], symbols=["SPY"])
def test_a_fault_by_name(tomic_gateway):
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(positions(tomic_gateway), 1))


def test_a_loop_of_ones_own(tomic_gateways):
    held = [Position("SPY", 100, average_cost=550.0)]
    first = tomic_gateways(symbols=["SPY"], positions=held)
    second = tomic_gateways(symbols=["SPY"], positions=())
    assert (asyncio.run(positions(first)), asyncio.run(positions(second))) == ([100], [])
"""
AWAITED = """
import pytest
from program import positions


@pytest.mark.asyncio
@pytest.mark.tomic_gateway(symbols=["SPY"], pace="instant")
async def test_a_test_that_awaits(tomic_gateway):
    assert len(await positions(tomic_gateway)) == 4
"""


@pytest.fixture
def project(tmp_path):
    """A folder with a program, its tests, and strict settings of pytest."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "test_program.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers --strict-config\n"
        "asyncio_default_fixture_loop_scope = function\n",
        encoding="utf-8",
    )
    return tmp_path


def pytest_in(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=250
    )


def test_the_package_brings_the_plugin():
    """After a change of pyproject.toml an editable install must be made again to know of it."""
    names = {entry.name: entry.value for entry in metadata.entry_points(group="pytest11")}

    remedy = "install it again: .venv/bin/python -m pip install --no-deps -e ."
    assert names.get("tomic") == "tomic.testing.plugin", remedy


def test_a_project_with_nothing_but_ib_async_uses_it(project):
    """Blocking and awaiting tests, with pytest-asyncio, find the fixtures and all pass."""
    (project / "test_awaited.py").write_text(AWAITED, encoding="utf-8")

    done = pytest_in(project)

    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_it_needs_no_pytest_asyncio_and_costs_nothing_unasked(project):
    """Pytest starts without the gateway, without numpy and without ib_async."""
    (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    (project / "test_program.py").write_text(
        "import sys\n\n"
        "def test_light():\n"
        "    heavy = {'numpy', 'pandas', 'pydantic', 'ib_async', 'tomic.sim.server.gateway'}\n"
        "    assert 'tomic.testing.plugin' in sys.modules and not heavy & sys.modules.keys()\n\n"
        "def test_fixture(tomic_gateway):\n"
        "    assert tomic_gateway > 0\n",
        encoding="utf-8",
    )

    done = pytest_in(project, "-p", "no:asyncio")

    assert "2 passed" in done.stdout, done.stdout + done.stderr
