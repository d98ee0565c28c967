"""A backup put in the store's place: looked at whole first, and what was there is kept aside."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tomic import disk
from tomic.errors import StoreError
from tomic.store import schema, upkeep
from tomic.store.file import is_there


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    size: int
    """Bytes of the store now."""
    aside: Path | None
    """Where the former store is; None where there was none."""
    lost: tuple[str, ...]
    """What the former store holds that this one does not, such as ``executions (2)``."""


def restore(path: Path, source: Path) -> Restored:
    """
    Put a copy of the backup *source* in the place of the store *path*.

    The backup stays as it is. The copy is brought up to date and checked as `problems` does before
    anything else happens. The former store, damaged or not, keeps its content under another name
    beside it; killed at any moment, the store is the former one or the restored one, whole.

    Raises:
        StoreError: *source* is no sound store, or the store is in use or cannot be written.
    """
    if not is_there(source) or not source.is_file():
        raise StoreError(f"{source}: no such backup; name a file that tomic store backup made")
    there = is_there(path)
    if there and not path.is_file():
        raise StoreError(f"{path}: is a folder or a device; set store.path to a file")
    if there and path.resolve().samefile(source):
        raise StoreError(f"{source}: is the store itself; name a backup")
    real = path.resolve()
    part = real.with_name(f".{real.name}.{os.getpid()}.part")
    with _naming(real):
        try:
            disk.make_folder(real.parent, private=True)
            disk.make_private(part)
            _copy(source, part)
            aside = _set_aside(real) if there else None
            lost = _lost(aside, part) if aside is not None else ()
            if there:
                part.chmod(stat.S_IMODE(real.stat().st_mode))
            part.replace(real)
        finally:
            for suffix in ("", *upkeep.BESIDE):
                Path(f"{part}{suffix}").unlink(missing_ok=True)
    return Restored(real.stat().st_size, aside, lost)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StoreError(f"{path}: cannot be restored ({reason}); nothing was replaced") from exc


def _copy(source: Path, part: Path) -> None:
    """Copy a backup, bring the copy up to date and check it; StoreError where it is not sound."""
    address = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=0.0)) as old:
            (application,) = old.execute("PRAGMA application_id").fetchone()
            if application != schema.APPLICATION_ID:
                raise StoreError(f"{source}: is no store of TOMIC; name another file")
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                old.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                schema.migrate(copy, str(source))
                # It is no backup any longer, which `store backup` may replace.
                copy.execute("DELETE FROM runs WHERE name = ?", (upkeep.BACKUP,))
                problems = list(upkeep.problems(copy))
    except sqlite3.DatabaseError as exc:
        raise StoreError(
            f"{source}: cannot be read as a backup ({exc}); name another file"
        ) from exc
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise StoreError(f"{source}: is not sound: {problems[0]}{more}; name another file")
    with part.open("rb+") as file:
        os.fsync(file.fileno())


def _lost(former: Path, part: Path) -> tuple[str, ...]:
    """What the former store has and the copy has not; nothing where it cannot be read."""
    lost = []
    try:
        with closing(_untouched(former)) as old, closing(sqlite3.connect(part)) as new:
            for name, query in upkeep.IRREPLACEABLE:
                if count := len(upkeep.keys(old, query) - upkeep.keys(new, query)):
                    lost.append(f"{name} ({count})")
    except sqlite3.DatabaseError:
        return ()
    return tuple(lost)


def _untouched(path: Path) -> sqlite3.Connection:
    """A connection that reads the file alone, and neither reads nor tidies what is beside it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _can_be_read(path: Path) -> bool:
    try:
        with closing(_untouched(path)) as db:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError:
        return False
    return True


def _set_aside(path: Path) -> Path:
    """Give the store a second name, and leave no log beside the first; StoreError while in use."""
    aside = _free_name(path)
    if _can_be_read(path):
        try:
            upkeep.free(path)
        except StoreError as exc:
            raise StoreError(f"{path}: another program has it open; close that first") from exc
    else:
        # What can be saved of it may be in its log, so that it goes with it.
        for suffix in upkeep.BESIDE:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    try:
        os.link(path, aside)
    except OSError:
        # Some file systems have no second names.
        disk.make_private(aside)
        shutil.copyfile(path, aside)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
    return aside


def _free_name(path: Path) -> Path:
    stamp = dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    names = (f"{path.name}.before-{stamp}{more}" for more in ("", *(f"-{n}" for n in range(2, 99))))
    return next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))
