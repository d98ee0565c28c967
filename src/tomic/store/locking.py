"""Locks that a whole run holds, so that two of the same kind never work at the same time."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tomic.errors import StoreBusy, StoreError
from tomic.store.file import BUSY, StoreFile, Worker, make_folder

_SLICE_S = 0.2
"""SQLite's own wait cannot be cancelled, so a long one is made of short ones."""
_STOP_S = 5.0
_NAME = re.compile(r"\w[\w .-]*")
_NO_DATABASE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


@asynccontextmanager
async def run_lock(store: StoreFile, name: str, wait_s: float) -> AsyncIterator[None]:
    """
    Hold the lock *name* beside *store*.

    A lock is SQLite's own exclusive lock on an empty file of its own: it works the same on every
    operating system and ends with the process, however that ends.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} names no lock; use letters, digits, dots, - and _")
    target = store.path.with_name(f"{store.path.name}.{name}.lock")
    make_folder(target)
    lock = await _lock_file(target)
    try:
        if not await _lock_within(lock, target, wait_s):
            raise StoreBusy(
                f"another run holds the lock {name!r}{await _holder(store, name)}, "
                f"still after {wait_s:g} s; let it finish, then try again"
            )
        await _note_run(store, name)
        yield
    finally:
        await lock.stop_within(_STOP_S)


async def _note_run(store: StoreFile, name: str) -> None:
    row = (name, os.getpid(), platform.node())
    await store.write(
        lambda db: db.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, strftime('%Y-%m-%d %H:%M UTC', 'now'))",
            row,
        )
    )


async def _holder(store: StoreFile, name: str) -> str:
    row = await store.read(
        lambda db: db.execute(
            "SELECT pid, host, since FROM runs WHERE name = ?", (name,)
        ).fetchone()
    )
    return f" (process {row[0]} on {row[1]} since {row[2]})" if row else ""


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
            number = exc.sqlite_errorcode & 0xFF
            if number in _NO_DATABASE and await lock.call(lambda _: _emptied(target)):
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
