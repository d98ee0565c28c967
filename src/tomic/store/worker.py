"""A SQLite connection on aiosqlite's thread, started and stopped so that nothing is left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from threading import Thread
from typing import Any, Self, TypeAlias, TypeVar, cast

import aiosqlite

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

_ROWS_AT_ONCE = 64


class Worker(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread, between two requests."""

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> Self:
        """
        Start the thread and open the connection; cancelled, it closes what it opened.

        Raises:
            sqlite3.Error: What *connect* raised.
        """
        failed: list[sqlite3.Error] = []

        def connect_or_note() -> sqlite3.Connection:
            # aiosqlite does not wait for its thread when opening fails; it does when closing.
            try:
                return connect()
            except sqlite3.Error as exc:
                failed.append(exc)
                return sqlite3.connect(":memory:")

        worker = cls(connect_or_note, _ROWS_AT_ONCE)
        worker._let_the_process_end()
        opening = asyncio.ensure_future(_opened(worker))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await opening
            await worker.close()
            raise
        if failed:
            await worker.close()
            raise failed[0]
        return worker

    def _let_the_process_end(self) -> None:
        """
        Make the thread one that no process waits for, as of a script that forgot to close.

        SQLite keeps what was committed, and rolls back what was not.
        """
        # Until 0.21 of aiosqlite the connection is a thread, from 0.22 on it has one.
        thread = cast(Thread, getattr(self, "_thread", self))
        thread.daemon = True

    async def call(self, work: Work[T]) -> T:
        """
        Run *work* with the plain connection, after everything queued before it.

        A function is not interrupted by cancellation of its caller: a transaction written as one
        function is therefore done whole or not at all.
        """
        execute = cast(Callable[..., Any], self._execute)
        return cast(T, await execute(work, self._conn))

    def interrupt_now(self) -> None:
        """Make the statement that runs at this moment fail."""
        self._conn.interrupt()

    async def stop_within(self, timeout_s: float) -> None:
        """Finish what is queued and close, also when cancelled; interrupt it after *timeout_s*."""
        closing = asyncio.ensure_future(self.close())
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(closing)
        except TimeoutError:
            self.interrupt_now()
            await closing
        except asyncio.CancelledError:
            await closing
            raise


async def _opened(worker: Worker) -> None:
    await worker
