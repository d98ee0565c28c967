"""Imports that are needed at the end are made early, while the gateway is thinking."""

from __future__ import annotations

import asyncio
import importlib
from types import TracebackType
from typing import Self

from tomic.workflows.progress import THINKING, Event

CHAIN = (
    "tomic.valuation",
    "tomic.workflows.volatility",
    "tomic.workflows.chain_volatility",
    "tomic.export",
    "tomic.cli.render",
)
"""What a chain needs once its last quote has come."""
_LONGEST_S = 10.0


class Preloading:
    """
    Imports *modules* in a thread once a fetch says that it waits for the gateway.

    The answers about spot and expiries leave the processor idle for a quarter of a second. Begun
    any earlier, the imports would delay the questions; at the end, scipy would take that long
    while nobody waits for anything else. A watcher of the fetch, and a context manager around it.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._loading: asyncio.Task[None] | None = None

    def __call__(self, event: Event) -> None:
        """Begin at the first event that says so."""
        if event.text == THINKING and self._loading is None:
            work = asyncio.to_thread(_load, self._modules)
            self._loading = asyncio.create_task(work, name="tomic imports")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loading is None:
            return
        await asyncio.wait({self._loading}, timeout=_LONGEST_S)
        if error is None and self._loading.done() and not self._loading.cancelled():
            self._loading.result()


def _load(modules: tuple[str, ...]) -> None:
    for name in modules:
        importlib.import_module(name)
