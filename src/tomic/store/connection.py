"""One SQLite file behind aiosqlite: opening, transactions, the lock of a run, errors, closing."""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import aiosqlite

from tomic.errors import StoreBusy, StoreError
from tomic.store import schema

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNUSABLE = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
)
_LOCK_SLICE_S = 0.2
"""SQLite's own wait cannot be cancelled, so a long one is made of short ones."""


class _Thread(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread, between two requests."""

    async def run(self, work: Work[T]) -> T:
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


class StoreFile:
    """
    The open file that every group of tables writes through.

    The file and its folder come into being with the first write; until then reads see an empty
    store. Other processes may read and write the same file at the same time.

    Args:
        path: The SQLite file.
        busy_timeout_s: How long a write waits for another program's write.
        operation_timeout_s: How long any single read or write may take in all.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout_s: float = 10.0,
        operation_timeout_s: float = 120.0,
    ) -> None:
        self.path = Path(path)
        self.busy_timeout_s = busy_timeout_s
        self.operation_timeout_s = operation_timeout_s
        self._connection: _Thread | None = None
        self._is_stand_in = False
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        if self.path.exists():
            # A damaged or newer file is reported here, before anything is fetched in vain.
            await self._connected(create=False)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is queued and close the file. Closing twice is allowed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._close(connection)

    async def _close(self, connection: _Thread) -> None:
        closing = asyncio.ensure_future(connection.close())
        try:
            async with asyncio.timeout(self.operation_timeout_s):
                await asyncio.shield(closing)
        except TimeoutError:
            connection.interrupt_now()
            await closing
        except asyncio.CancelledError:
            await closing
            raise

    async def _read(self, work: Work[T]) -> T:
        """Run *work* inside one read transaction: all its queries see the same state."""
        connection = await self._connected(create=False)
        return await self._run(connection, lambda db: _transaction(db, "BEGIN", work))

    async def _write(self, work: Work[T], *, durable: bool = False) -> T:
        """
        Run *work* inside one write transaction, whole or not at all.

        With *durable* the transaction survives a power failure too, not only the end of the
        process: for what cannot be fetched again.
        """
        connection = await self._connected(create=True)

        def transact(db: sqlite3.Connection) -> T:
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            return _transaction(db, "BEGIN IMMEDIATE", work)

        return await self._run(connection, transact)

    async def _run(
        self, connection: _Thread, work: Work[T], *, timeout_s: float | None = None
    ) -> T:
        allowed = timeout_s or self.operation_timeout_s
        try:
            async with asyncio.timeout(allowed):
                return await connection.run(work)
        except TimeoutError as exc:
            connection.interrupt_now()
            raise StoreBusy(f"{self.path}: not done within {allowed:g} s; try again later") from exc
        except sqlite3.DatabaseError as exc:
            error = self._explained(exc)
            if error is None:
                raise
            raise error from exc

    def _explained(self, exc: sqlite3.DatabaseError) -> StoreError | None:
        """Translate what the user can act on; None for what is a mistake of the program."""
        number = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if number in _BUSY:
            return StoreBusy(
                f"{self.path}: another program has been writing for {self.busy_timeout_s:g} s; "
                "try again when it has finished"
            )
        if number == sqlite3.SQLITE_INTERRUPT:
            return StoreBusy(f"{self.path}: given up to close in time; try again")
        if number in _DAMAGED:
            return StoreError(
                f"{self.path}: damaged ({exc}) and left as it is; put a backup in its place, or "
                "move it away and let tomic prices build a new one"
            )
        if number in _UNUSABLE:
            return StoreError(
                f"{self.path}: {exc}; look whether file and folder can be written and the disk "
                "has room"
            )
        if str(exc).startswith("no such "):
            return StoreError(f"{self.path}: {exc}; tomic store check tells what is missing")
        return None

    async def _connected(self, *, create: bool) -> _Thread:
        async with self._opening:
            if self._connection is not None and self._is_stand_in:
                if not create and not self.path.exists():
                    return self._connection
                await self.close()
            if self._connection is None:
                self._is_stand_in = not create and not self.path.exists()
                self._connection = await self._open(create=create)
            return self._connection

    async def _open(self, *, create: bool) -> _Thread:
        if self._is_stand_in:
            target = ":memory:"
        else:
            target = f"{self.path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        if create:
            _make_folder(self.path)
        connection = _Thread(lambda: self._connect(target), 64)
        try:
            async with asyncio.timeout(self.operation_timeout_s):
                await connection
        except sqlite3.DatabaseError as exc:
            raise self._explained(exc) or exc from exc
        try:
            await self._run(connection, self._prepare)
        except BaseException:
            await self._close(connection)
            raise
        return connection

    def _connect(self, target: str) -> sqlite3.Connection:
        return sqlite3.connect(
            target, timeout=self.busy_timeout_s, isolation_level=None, uri=target != ":memory:"
        )

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA foreign_keys = ON")
        schema.migrate(db, str(self.path))
        if not self._is_stand_in:
            _use_wal(db, self.busy_timeout_s)

    @asynccontextmanager
    async def run_lock(self, name: str, *, wait_s: float = 5.0) -> AsyncIterator[None]:
        """
        Hold the lock *name* for a whole run, against other processes and other stores of this one.

        The lock is the operating system's, on a file beside the store: it ends with the process,
        however that ends.

        Raises:
            StoreBusy: Another run still holds it after *wait_s* seconds.
        """
        target = self.path.with_name(f"{self.path.name}.{name}.lock")
        _make_folder(target)
        lock = _Thread(
            lambda: sqlite3.connect(target, timeout=_LOCK_SLICE_S, isolation_level=None), 64
        )
        await lock
        try:
            if not await _lock_within(lock, wait_s):
                raise StoreBusy(
                    f"another run holds the lock {name!r}{await self._holder(name)}, "
                    f"still after {wait_s:g} s; let it finish, then try again"
                )
            await self._note_run(name)
            yield
        finally:
            await self._close(lock)

    async def _note_run(self, name: str) -> None:
        row = (name, os.getpid(), platform.node())
        await self._write(
            lambda db: db.execute(
                "INSERT OR REPLACE INTO runs"
                " VALUES (?, ?, ?, strftime('%Y-%m-%d %H:%M UTC', 'now'))",
                row,
            )
        )

    async def _holder(self, name: str) -> str:
        row = await self._read(
            lambda db: db.execute(
                "SELECT pid, host, since FROM runs WHERE name = ?", (name,)
            ).fetchone()
        )
        return f" (process {row[0]} on {row[1]} since {row[2]})" if row else ""


def _transaction(db: sqlite3.Connection, begin: str, work: Work[T]) -> T:
    db.execute(begin)
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def _use_wal(db: sqlite3.Connection, wait_s: float) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself when another switches too."""
    ends = time.monotonic() + wait_s
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() >= ends:
                raise
            time.sleep(0.01)
        else:
            return


async def _lock_within(lock: _Thread, wait_s: float) -> bool:
    ends = time.monotonic() + wait_s
    while True:
        try:
            await lock.run(lambda db: db.execute("BEGIN EXCLUSIVE"))
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF not in _BUSY:
                raise StoreError(f"cannot lock: {exc}") from exc
            if time.monotonic() >= ends:
                return False
        else:
            return True


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreError(
            f"{path.parent}: cannot be created ({exc.strerror}); set store.path to a folder you own"
        ) from exc
