"""What every part of the suite may stand on: a market, a gateway, a session, settings, a store."""

from __future__ import annotations

import os

# Before NumPy is imported: threads of several workers would wait for each other's processors.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
import gc
import itertools
import random
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from support import properties  # noqa: F401  (it registers the profiles)
from tomic.chain import Chain
from tomic.config import Settings
from tomic.ib.session import Session
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market.model import ModelMarket
from tomic.store import Database

FAST = 20_000.0
"""Messages a second towards a gateway whose limit is lifted."""

hypothesis.settings.load_profile("suite")

# Many tests start the program anew, and every worker imports it: it shall be compiled but once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Of the screen of whoever runs the tests, or of the runner itself.
for _name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
    os.environ.pop(_name, None)


_IN_MEMORY, _ROOM = Path("/dev/shm"), 2 << 30
"""Where files of tests need not wait for a disk, and the bytes that have to be free there."""


def pytest_configure() -> None:
    """Keep temporary folders in memory, unless PYTEST_DEBUG_TEMPROOT or TMPDIR says where."""
    if {"PYTEST_DEBUG_TEMPROOT", "TMPDIR"} & os.environ.keys() or not os.access(
        _IN_MEMORY, os.W_OK
    ):
        return
    if shutil.disk_usage(_IN_MEMORY).free > _ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_IN_MEMORY)


LONGEST = ("tests/test_fuzz.py", "tests/test_docs.py", "tests/cli/test_streams.py")
"""Files with tests that take long and cannot be shared out; begun first, so that none is last."""


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as there are cores: many tests wait for sockets and processes."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `nox -s stress` asks for."""
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="Shuffle files, and the tests of each."
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle files, and the tests of each, where a seed is given; every worker does the same."""
    seed = config.getoption("--shuffle")
    if seed is None:
        first = {config.rootpath / name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: first.get(item.path, len(first)))
        return
    chance = random.Random(seed)
    files = [list(tests) for _, tests in itertools.groupby(items, lambda item: item.path)]
    chance.shuffle(files)
    for tests in files:
        chance.shuffle(tests)
    items[:] = itertools.chain.from_iterable(files)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """
    Collect with the garbage collector off.

    Syntax trees and test items are many objects and no garbage: walking over them again and again
    takes half the time of collecting, and afterwards a part of every test.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def settings_in(folder: Path, **sections: dict[str, object]) -> Settings:
    """
    The defaults, with every file in *folder*; *sections* change keys of sections.

    Unless they say something of limits, messages leave as fast as they come: gateways of tests in
    real time have no limit either.
    """
    given = {
        "store": {"path": folder / "store.db"},
        "export": {"dir": folder / "exports"},
        "portfolio": {"snapshot": folder / "portfolio.json"},
        "web": {"enabled": False},
    }
    for name, values in sections.items():
        given[name] = {**given.get(name, {}), **values}
    settings = Settings.model_validate(given)
    if "limits" in sections:
        return settings
    # No file can say so.
    limits = settings.limits.model_copy(update={"messages_per_s": FAST})
    return settings.model_copy(update={"limits": limits})


@pytest.fixture
def market() -> ModelMarket:
    """The demo market on a Friday at 15:00 in New York."""
    return ModelMarket(seed=1)


@pytest.fixture
async def gateway(market) -> AsyncIterator[Gateway]:
    """A gateway that answers at once and does not count messages; its other limits hold."""
    limits = Limits().unpaced()
    async with Gateway(market, seed=1, profile=Profile.instant(), limits=limits) as running:
        yield running


@pytest.fixture
def settings(tmp_path) -> Settings:
    """The defaults, with every file in a folder of the test's own."""
    return settings_in(tmp_path)


@pytest.fixture
async def session(gateway, settings) -> AsyncIterator[Session]:
    """A session on the gateway."""
    ib = settings.ib.model_copy(update={"port": gateway.port})
    async with Session(ib, settings.limits, pace=FAST) as running:
        yield running


@pytest.fixture
async def store(settings) -> AsyncIterator[Database]:
    """An open, empty store."""
    async with Database(settings.store.path) as db:
        yield db


@pytest.fixture(scope="session")
def demo_chain(tmp_path_factory) -> Chain:
    """SPY of the demo market: two monthlies and two weeklies, six points around spot."""
    from tomic.desk import Desk

    rules = {"monthlies": 2, "weeklies": 2, "strike_range": "6"}
    settings = settings_in(tmp_path_factory.mktemp("demo"), chain=rules)

    async def fetch() -> Chain:
        async with Desk(settings, demo=True) as desk:
            return await desk.chain("SPY")

    return asyncio.run(fetch())
