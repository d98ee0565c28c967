"""Imports are made while the gateway is thinking."""

from __future__ import annotations

import asyncio
import importlib
import sys

import pytest

from tomic.cli import preloading


@pytest.mark.parametrize("name", preloading.CHAIN)
def test_every_module_is_there(name):
    """What is to be imported early exists; a renamed module would only fail at its use."""
    assert importlib.import_module(name)


async def test_all_are_imported_when_the_body_ends():
    """Leaving waits for the imports, so that no thread outlives the command."""
    sys.modules.pop("colorsys", None)

    async with preloading.preloading("colorsys"):
        await asyncio.sleep(0)

    assert "colorsys" in sys.modules


async def test_a_module_that_fails_says_so():
    """An import that cannot work is a defect, and no secret."""
    with pytest.raises(ModuleNotFoundError):
        async with preloading.preloading("tomic.no_such_module"):
            await asyncio.sleep(0)


async def test_an_error_of_the_body_comes_first():
    """What went wrong in the body is raised, whatever becomes of the imports."""
    with pytest.raises(KeyError):
        async with preloading.preloading("colorsys"):
            raise KeyError
