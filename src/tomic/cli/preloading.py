"""Imports that are needed at the end are made at the beginning, while the gateway is thinking."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHAIN = (
    "tomic.valuation",
    "tomic.workflows.volatility",
    "tomic.workflows.chain_volatility",
    "tomic.export",
    "tomic.cli.render",
)
"""What a chain needs once its last quote has come."""
_LONGEST_S = 10.0


@asynccontextmanager
async def preloading(*modules: str) -> AsyncIterator[None]:
    """
    Import *modules* in a thread while the body runs.

    Connecting and asking for parameters leave the processor idle for half a second; imported at
    the end, scipy and rich would take that long while nobody waits for anything else.
    """
    loading = asyncio.create_task(asyncio.to_thread(_load, modules), name="tomic imports")
    try:
        yield
    finally:
        await asyncio.wait({loading}, timeout=_LONGEST_S)
        if loading.done() and not loading.cancelled():
            loading.result()


def _load(modules: tuple[str, ...]) -> None:
    for name in modules:
        importlib.import_module(name)
