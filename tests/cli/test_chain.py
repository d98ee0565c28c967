"""Imports are made while the gateway is thinking."""

from __future__ import annotations

import asyncio
import importlib
import sys

import pytest

from tomic.cli import chain
from tomic.cli.chain import Preloading
from tomic.workflows.progress import Event

WAITS = Event("waiting", "SPY", "spot and expiries")


@pytest.mark.parametrize("name", chain.CHAIN)
def test_every_module_is_there(name):
    """What is to be imported early exists; a renamed module would only fail at its use."""
    assert importlib.import_module(name)


async def test_all_are_imported_when_the_body_ends():
    """Leaving waits for the imports, so that no thread outlives the command."""
    sys.modules.pop("colorsys", None)

    async with Preloading("colorsys") as preload:
        preload(WAITS)
        preload(WAITS)
        await asyncio.sleep(0)

    assert "colorsys" in sys.modules


async def test_nothing_is_imported_before_the_gateway_thinks():
    """The first questions are not delayed, and a command that fails at them imports nothing."""
    sys.modules.pop("colorsys", None)

    async with Preloading("colorsys") as preload:
        preload(Event("stage", "SPY", "contract and hours"))
        await asyncio.sleep(0)

    assert "colorsys" not in sys.modules


async def test_a_module_that_fails_says_so():
    """An import that cannot work is a defect, and no secret."""
    with pytest.raises(ModuleNotFoundError):
        async with Preloading("tomic.no_such_module") as preload:
            preload(WAITS)
            await asyncio.sleep(0)


async def test_an_error_of_the_body_comes_first():
    """What went wrong in the body is raised, whatever becomes of the imports."""
    with pytest.raises(KeyError):
        async with Preloading("tomic.no_such_module") as preload:
            preload(WAITS)
            raise KeyError
