"""
A desk on an event loop of its own, in a thread of its own.

A chain of a thousand options is valued in one go, and a first request imports half a program: on
the panel's own loop every key would wait for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from tomic.desk import Desk
from tomic.errors import SessionError
from tomic.workflows.progress import Event, Watcher, ignore

P = ParamSpec("P")
T = TypeVar("T")

_RECONNECT_S = 10.0
"""How long a request waits for a connection that went away before."""

_listener: ContextVar[Watcher] = ContextVar("listener", default=ignore)


def _tell(event: Event) -> None:
    """Pass an event to whoever asked for the work that it belongs to."""
    _listener.get()(event)


_TURN_S = 0.001
"""How long the desk's thread may go on while the panel's waits for its turn."""


@contextlib.contextmanager
def prompt() -> Iterator[None]:
    """
    Let this process answer keys before anything else, as long as it shows a panel.

    The interpreter's turns are shortened, and what is loaded is left out of the search for garbage,
    which would hold up every key for as long as it takes to look through half a million objects.
    """
    turn = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(turn)


@dataclass(frozen=True, slots=True)
class LinkState:
    """How things stand with the gateway."""

    opened: bool = False
    """Whether anything has been asked of it."""
    alive: bool = False
    client_id: int | None = None


class Background:
    """
    Where the panel's work is done.

    Args:
        open_desk: Makes a desk that tells its events to the watcher it is given.
    """

    def __init__(self, open_desk: Callable[[Watcher], Desk]) -> None:
        self._open_desk = open_desk
        self._desk: Desk | None = None
        self._opening: asyncio.Lock | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(
        self, work: Callable[[Desk], Awaitable[T]], *, watch: Watcher = ignore, online: bool = True
    ) -> T:
        """
        Do *work* on the desk, which is opened on first need; safe to cancel.

        Args:
            watch: Told of the events of this work, on the desk's thread.
            online: Whether the gateway is needed; a connection that went away is then renewed.

        Raises:
            TomicError: Whatever the desk raises.
        """
        if self._closed:
            raise SessionError("the panel is closing")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="tomic desk", daemon=True)
            self._thread.start()
        asked = asyncio.run_coroutine_threadsafe(self._do(work, watch, online), self._loop)
        return await asyncio.wrap_future(asked)

    async def compute(self, kernel: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something slow that needs no desk, away from both loops."""
        return await asyncio.to_thread(partial(kernel, *args, **kwargs))

    async def connection(self) -> LinkState:
        """How things stand; asks nothing of the gateway."""
        return await self.run(_connection, online=False) if self._desk else LinkState()

    async def reopen(self) -> None:
        """Close the desk; the next request opens another one, with the settings of that moment."""
        if self._thread is not None and not self._closed:
            closing = asyncio.run_coroutine_threadsafe(self._close_desk(), self._loop)
            await asyncio.wrap_future(closing)

    async def close(self) -> None:
        """Cancel what runs, close the session with all its lines, and end the thread."""
        if self._closed:
            return
        await self.reopen()
        self._closed = True
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
        self._loop.close()

    # -- on the desk's thread --------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _do(self, work: Callable[[Desk], Awaitable[T]], watch: Watcher, online: bool) -> T:
        _listener.set(watch)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            desk = await self._opened()
            if online:
                desk = await self._renewed(desk)
            return await work(desk)
        finally:
            self._tasks.discard(task)

    async def _opened(self) -> Desk:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._desk is None:
                desk = self._open_desk(_tell)
                await desk.open()
                # The deadline of a command runs from its start; a panel lives as long as it likes.
                await desk.chains([])
                self._desk = desk
            return self._desk

    async def _renewed(self, desk: Desk) -> Desk:
        """The same desk with a living session or, where that cannot be had, another one."""
        if not desk.has_session:
            return desk
        session = await desk.session()
        if session.alive:
            return desk
        try:
            await session.reconnect(self._loop.time() + _RECONNECT_S)
        except SessionError:
            if len(self._tasks) > 1:
                raise
            await self._leave_desk()
            return await self._opened()
        return desk

    async def _close_desk(self) -> None:
        others = {task for task in self._tasks if not task.done()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)
        await self._leave_desk()

    async def _leave_desk(self) -> None:
        desk, self._desk = self._desk, None
        if desk is not None:
            await desk.close()


async def _connection(desk: Desk) -> LinkState:
    if not desk.has_session:
        return LinkState()
    session = await desk.session()
    return LinkState(opened=True, alive=session.alive, client_id=session.client_id)
