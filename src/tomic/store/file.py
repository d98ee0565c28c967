"""One SQLite file: opening, transactions, what its errors mean, locks for whole runs, closing."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

import aiosqlite

from tomic import disk
from tomic.errors import StoreBusy, StoreError, UsageError
from tomic.store import schema

_log = logging.getLogger(__name__)

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

_ROWS_AT_ONCE = 64
_SLICE_S = 0.2
"""SQLite's own wait cannot be cancelled, so a long one is made of short ones."""
_STOP_S = 5.0
_LOCK_NAME = re.compile(r"\w[\w .-]*")


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


def code_of(error: sqlite3.Error) -> int:
    """SQLite's own code; 0 of what Python's module says by itself, of a text that is not UTF-8."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNUSABLE = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
)


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
        self, path: str | Path, *, busy_timeout_s: float = 10.0, operation_timeout_s: float = 120.0
    ) -> None:
        self.path = Path(path)
        self.busy_timeout_s = busy_timeout_s
        self.operation_timeout_s = operation_timeout_s
        self._connection: Worker | None = None
        self._is_stand_in = False
        self._opening = asyncio.Lock()
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        if is_there(self.path):
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
        self._is_open = False
        await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.stop_within(self.operation_timeout_s)

    async def read(self, work: Work[T]) -> T:
        """Run *work* inside one read transaction: all its queries see the same state."""
        connection = await self._connected(create=False)
        return await self._run(connection, lambda db: _transaction(db, "BEGIN", work))

    async def write(self, work: Work[T], *, durable: bool = False) -> T:
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

    async def outside_transaction(self, work: Work[T]) -> T:
        """Run *work* on what is there, without a transaction around it."""
        return await self._run(await self._connected(create=False), work)

    @asynccontextmanager
    async def run_lock(self, name: str, *, wait_s: float = 5.0) -> AsyncIterator[None]:
        """
        Hold the lock *name* for a whole run, against other processes and other stores of this one.

        A lock is SQLite's own exclusive lock on an empty file of its own: it works the same on
        every operating system and ends with the process, however that ends.

        Raises:
            StoreBusy: Another run still holds it after *wait_s* seconds.
            StoreError: The name is none, or the file cannot be locked.
        """
        if not _LOCK_NAME.fullmatch(name):
            raise StoreError(f"{name!r} names no lock; use letters, digits, dots, - and _")
        target = self.path.with_name(f"{self.path.name}.{name}.lock")
        _make_private(target)
        lock = await _lock_file(target)
        try:
            if not await _lock_within(lock, target, wait_s):
                raise StoreBusy(
                    f"another run holds the lock {name!r}{await self._lock_holder(name)}, "
                    f"still after {wait_s:g} s; let it finish, then try again"
                )
            run = (name, os.getpid(), platform.node())
            await self.write(
                lambda db: db.execute(
                    "INSERT OR REPLACE INTO runs"
                    " VALUES (?, ?, ?, strftime('%Y-%m-%d %H:%M UTC', 'now'))",
                    run,
                )
            )
            yield
        finally:
            await lock.stop_within(_STOP_S)

    async def _lock_holder(self, name: str) -> str:
        query = "SELECT pid, host, since FROM runs WHERE name = ?"
        row = await self.read(lambda db: db.execute(query, (name,)).fetchone())
        return f" (process {row[0]} on {row[1]} since {row[2]})" if row else ""

    async def _run(self, connection: Worker, work: Work[T]) -> T:
        try:
            async with asyncio.timeout(self.operation_timeout_s):
                return await connection.call(work)
        except TimeoutError as exc:
            connection.interrupt_now()
            raise StoreBusy(
                f"{self.path}: not done within {self.operation_timeout_s:g} s; try again later"
            ) from exc
        except UnicodeEncodeError as exc:
            # Half a character, as a terminal of another encoding may hand over.
            raise UsageError(f"{exc.object[:40]!r} is no text that can be stored") from exc
        except sqlite3.DatabaseError as exc:
            error = self._explained(exc)
            if error is None:
                raise
            raise error from exc
        except UnicodeDecodeError as exc:
            raise StoreError(f"{self.path}: damaged, a text is not UTF-8 ({exc})") from exc
        except OverflowError as exc:
            # Nothing was written: the transaction has been rolled back.
            raise UsageError(f"this cannot be stored: {exc}; correct what was given") from exc

    def _explained(self, exc: sqlite3.DatabaseError) -> StoreError | None:
        """Translate what the user can act on; None for what is a mistake of the program."""
        number = code_of(exc)
        if number in BUSY:
            return StoreBusy(
                f"{self.path}: another program has been writing for {self.busy_timeout_s:g} s; "
                "try again when it has finished"
            )
        if number == sqlite3.SQLITE_INTERRUPT:
            return StoreBusy(f"{self.path}: given up to close in time; try again")
        if number in _DAMAGED:
            return StoreError(
                f"{self.path}: damaged ({exc}) and left as it is; move it and its -wal file away, "
                "then put a backup in its place or let tomic prices build a new one"
            )
        if number in _UNUSABLE:
            return StoreError(
                f"{self.path}: {exc}; look whether file and folder can be written and the disk "
                "has room"
            )
        if str(exc).endswith(" already exists"):
            return StoreError(
                f"{self.path}: {exc}, and its schema number says that it does not; put a backup in "
                "its place"
            )
        if getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            return StoreError(
                f"{self.path}: refused by a rule in the file itself ({exc}); tomic store check "
                "tells whether it is sound"
            )
        # The text itself, which follows, may be long and is nobody's business.
        if undecodable := re.match(r"Could not decode to UTF-8 column '[^']*'", str(exc)):
            return StoreError(
                f"{self.path}: damaged ({undecodable[0][0].lower()}{undecodable[0][1:]}) and left "
                "as it is; tomic store check tells what else is, tomic store restore takes a backup"
            )
        if str(exc).startswith("no such "):
            return StoreError(f"{self.path}: {exc}; tomic store check tells what is missing")
        return None

    async def _connected(self, *, create: bool) -> Worker:
        async with self._opening:
            if not self._is_open:
                raise RuntimeError("the store is not open; use it inside async with")
            if self._connection is not None and self._is_stand_in:
                if not create and not is_there(self.path):
                    return self._connection
                await self._disconnect()
            if self._connection is None:
                self._is_stand_in = not create and not is_there(self.path)
                self._connection = await self._open(create=create)
            return self._connection

    async def _open(self, *, create: bool) -> Worker:
        if create:
            _make_private(self.path)
        target = ":memory:" if self._is_stand_in else self.path
        if not self._is_stand_in and (kind := disk.network_drive(self.path)):
            _log.warning(
                "%s lies on a network drive (%s), where locks may not hold and the journal can be "
                "damaged; set store.path to a folder of this computer",
                self.path,
                kind,
            )
        try:
            connection = await Worker.open(
                lambda: sqlite3.connect(target, timeout=self.busy_timeout_s, isolation_level=None)
            )
        except sqlite3.DatabaseError as exc:
            raise self._explained(exc) or exc from exc
        try:
            await self._run(connection, self._prepare)
        except BaseException:
            await connection.stop_within(self.operation_timeout_s)
            raise
        return connection

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA foreign_keys = ON")
        if self._is_stand_in:
            schema.fill_stand_in(db)
        else:
            schema.migrate(db, str(self.path))
            _use_wal(db, self.busy_timeout_s)
            # From its first read on, SQLite tells others that somebody has the file open.
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()


class TableGroup:
    """Tables of one subject in the open *file*; each method is one transaction."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    async def _rows(self, query: str, values: Any = ()) -> list[Any]:
        """Every row of one query."""
        rows: list[Any] = await self._file.read(lambda db: db.execute(query, values).fetchall())
        return rows

    async def _write_rows(
        self, statement: str, rows: Sequence[Any], *, durable: bool = False
    ) -> int:
        """Run *statement* with each of *rows*; return how many rows of the table it touched."""
        if not rows:
            return 0

        def work(db: sqlite3.Connection) -> int:
            before = db.total_changes
            db.executemany(statement, rows)
            return db.total_changes - before

        return await self._file.write(work, durable=durable)


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
            if code_of(exc) not in BUSY or time.monotonic() >= ends:
                raise
            time.sleep(0.01)
        else:
            return


async def _lock_file(target: Path) -> Worker:
    try:
        return await Worker.open(
            lambda: sqlite3.connect(target, timeout=_SLICE_S, isolation_level=None)
        )
    except sqlite3.DatabaseError as exc:
        raise StoreError(f"{target}: cannot be locked ({exc})") from exc


async def _lock_within(lock: Worker, target: Path, wait_s: float) -> bool:
    ends = time.monotonic() + wait_s
    while True:
        try:
            await lock.call(lambda db: db.execute("BEGIN EXCLUSIVE"))
        except sqlite3.DatabaseError as exc:
            number = code_of(exc)
            if number in _DAMAGED and await lock.call(lambda _: _emptied(target)):
                continue
            if number not in BUSY:
                raise StoreError(f"{target}: cannot be locked ({exc})") from exc
            if time.monotonic() >= ends:
                return False
        else:
            return True


def _emptied(target: Path) -> bool:
    """Empty a lock file that is no database; deleted, it would be another file to who waits."""
    try:
        with target.open("rb+") as file:
            return bool(file.read(1)) and file.truncate(0) == 0
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """
    Whether a store lies at *path*; its folder need not exist either.

    Raises:
        StoreError: Nobody can tell, or none could be made there: a folder that may not be looked
            into, a file where a folder should be, or a link that leads nowhere.
    """
    try:
        path.stat()
    except FileNotFoundError:
        if not os.path.lexists(path):
            return False
        reason = "is a link to a file that is not there"
    except NotADirectoryError:
        reason = "lies below a file"
    except (OSError, ValueError) as exc:
        reason = f"cannot be reached ({getattr(exc, 'strerror', None) or exc})"
    else:
        return True
    raise StoreError(f"{path}: {reason}; set store.path to a folder you own")


def _make_private(path: Path) -> None:
    """Make the folder that *path* lies in, and an empty file there; new ones are private."""
    try:
        disk.make_folder(path.parent, private=True)
        disk.make_private(path)
    except OSError as exc:
        where = path.parent if not path.parent.is_dir() else path
        raise StoreError(
            f"{where}: cannot be created ({exc.strerror}); set store.path to a folder you own"
        ) from exc
