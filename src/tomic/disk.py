"""Files of this computer: read without trusting them, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tomic import outside
from tomic.errors import BadFile, ConfigError

MOST = 64_000_000
"""Bytes of a file of figures; a chain of every option of an index has a hundredth of that."""
_PIECE = 1 << 20
_OWN_FILE, _OWN_FOLDER = 0o600, 0o700
"""Modes of what tells of an account."""
_MOUNTS = Path("/proc/self/mounts")
_OVER_A_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "9p", "glusterfs", "lustre", "davfs",
     "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gvfsd-fuse", "fuse.glusterfs"}
)  # fmt: skip
"""File systems whose locks depend on another computer."""
_AT_ONCE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe without a writer must not keep us waiting where no signal reaches us."""
PATIENCE_S = 30.0
"""For whoever writes into a pipe."""


def read_bytes(path: Path, most: int = MOST, wait_s: float = PATIENCE_S) -> bytes:
    """
    The whole content of a file, or of a pipe that somebody writes into.

    Args:
        wait_s: For whoever writes into a pipe to say something.

    Raises:
        BadFile: It is longer than *most* bytes, a device, or a pipe through which nothing comes.
        OSError: It cannot be read.
    """
    number = os.open(path, _AT_ONCE)
    content = bytearray()
    try:
        found = os.fstat(number)
        is_file = stat.S_ISREG(found.st_mode)
        if stat.S_ISCHR(found.st_mode) and not os.isatty(number):
            raise BadFile(f"{path} is a device; name a file")
        if is_file and found.st_size > most:
            raise _too_long(path, most)
        while len(content) <= most:
            if not is_file and not select.select([number], [], [], wait_s)[0]:
                raise BadFile(f"{path} says nothing for {wait_s:g} s; name a file")
            piece = os.read(number, min(_PIECE, most + 1 - len(content)))
            if not piece:
                return bytes(content)
            content += piece
    finally:
        os.close(number)
    raise _too_long(path, most)


def _too_long(path: Path, most: int) -> BadFile:
    return BadFile(f"{path} is longer than {most / 1e6:g} MB; name the file that was meant")


def read_text(path: Path, most: int = MOST, wait_s: float = PATIENCE_S) -> str:
    """
    The whole text of a file in UTF-8, without a byte-order mark; line ends become ``\\n``.

    Control codes become blanks: what a terminal would do is no business of a file of figures.

    Raises:
        BadFile, OSError: As `read_bytes`.
        UnicodeDecodeError: It is no text.
    """
    text = read_bytes(path, most, wait_s).decode("utf-8-sig")
    return outside.lines(text)


def beginning(path: Path, size: int) -> bytes:
    """
    The first *size* bytes of a file; nothing of a pipe or a device, which can be read only once.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_file():
        path.stat()
        return b""
    with path.open("rb") as file:
        return file.read(size)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """
    A folder of its own for as long as the body runs, removed with all in it.

    Raises:
        ConfigError: None can be made: no place for such files can be written, or the disk is full.
    """
    try:
        held = tempfile.TemporaryDirectory(prefix="tomic-", ignore_cleanup_errors=True)
    except OSError as exc:
        raise ConfigError(
            f"no folder for temporary files can be made ({exc.strerror or exc}); set TMPDIR to a "
            "folder that can be written and has room"
        ) from exc
    with held as folder:
        yield Path(folder)


def read_private(path: Path, most: int, what: str) -> bytes:
    """
    The beginning of a file with a secret, which only its owner may read.

    Args:
        most: Bytes that are read.
        what: Of the secret, for the message: ``the token``.

    Raises:
        ConfigError: It cannot be read, or others may read it.
    """
    try:
        # As in `read_bytes`; a pipe in whose other end nobody writes is empty.
        number = os.open(path, _AT_ONCE)
        with os.fdopen(number, "rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(
                    f"{path}: others may read {what}; chmod 600 {path}", file=str(path)
                )
            return opened.read(most)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}", file=str(path)) from exc


def unzipped(path: Path, packed: bytes, most: int) -> bytes:
    """
    What is inside the gzip data *packed* of *path*.

    Raises:
        BadFile: More than *most* bytes.
        EOFError, zlib.error: Cut short or damaged.
    """
    content = bytearray()
    while packed:
        member = zlib.decompressobj(wbits=31)
        content += member.decompress(packed, most + 1 - len(content))
        if len(content) > most:
            raise BadFile(f"{path} unpacks to more than {most / 1e6:g} MB; it is no recording")
        if not member.eof:
            raise EOFError("the compressed data end too early")
        packed = member.unused_data.lstrip(b"\0")
    return bytes(content)


def parse_json(text: str | bytes) -> Any:
    """
    The document in *text*.

    Raises:
        ValueError: It is no JSON, or nested so deep that nothing can be meant by it.
    """
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def parse_foreign_json(text: str) -> Any:
    """As `parse_json`, of a file that somebody else may have made: no control code comes in."""
    document = parse_json(text)
    return outside.document(document) if outside.may_escape(text) else document


def write_text(path: Path, text: str, *, private: bool = False) -> Path:
    """
    Write *text* as UTF-8; see `write_bytes`.

    Raises:
        BadFile: The folder or file cannot be written.
    """
    return write_bytes(path, text.encode("utf-8"), private=private)


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> Path:
    """
    Write *data* under a temporary name in the same folder, then rename it to *path*.

    Folders are made. An interrupt at any point leaves the old file, or none, and no temporary
    one; a killed process can leave a temporary one behind, whose name starts with a dot. A link
    stays one: the file that it leads to is written. A device or pipe is written into, not
    replaced. Whoever could read the file before still can.

    Args:
        private: Let a file and folders that are new be read by their owner alone.

    Raises:
        BadFile: The folder or file cannot be written.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            _pour(path, data)
        else:
            _replace(path.resolve() if path.is_symlink() else path, data, private)
    except (OSError, RuntimeError, ValueError) as exc:
        raise _unwritten(path, exc) from exc
    return path


def check_target(path: Path) -> None:
    """
    Refuse a file that `write_bytes` could not write, before the work whose result goes there.

    Raises:
        BadFile: It is a folder, or its folder cannot be made or written to.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        check_folder((path.resolve() if path.is_symlink() else path.absolute()).parent)
    except (OSError, RuntimeError, ValueError) as exc:
        raise _unwritten(path, exc) from exc


def check_folder(folder: Path) -> None:
    """
    Look whether files can be made in *folder*, or in one that it can be made in.

    Raises:
        OSError: They cannot.
    """
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    problem = 0 if above.is_dir() else errno.ENOTDIR
    if not os.access(above, os.W_OK | os.X_OK):
        problem = problem or errno.EACCES
    if problem:
        raise OSError(problem, os.strerror(problem), str(above))


def _unwritten(path: Path, exc: Exception) -> BadFile:
    reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return BadFile(f"{path} cannot be written: {reason}; choose another folder")


def _replace(target: Path, data: bytes, private: bool) -> None:
    # A long name leaves no room for one that is longer still.
    temporary = target.with_name(f".{target.name[:40]}.{os.urandom(4).hex()}.tmp")
    make_folder(target.parent, private=private)
    try:
        with open(temporary, "xb", opener=private_opener if private else None) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def private_opener(path: str, flags: int) -> int:
    """An opener for `open`: what it makes can be read and written by its owner alone."""
    return os.open(path, flags, _OWN_FILE)


def make_private(path: Path) -> None:
    """
    Make an empty file that only its owner can read; one that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWN_FILE))


def make_folder(folder: Path, *, private: bool = False) -> None:
    """
    Make *folder* and those above it that are missing; *private* ones are their owner's alone.

    Raises:
        OSError: It cannot be made.
    """
    if private:
        missing = [above for above in (folder, *folder.parents) if not above.exists()]
        for above in reversed(missing):
            above.mkdir(mode=_OWN_FOLDER, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


def open_to_others(path: Path) -> bool:
    """Whether others of this computer may read *path*, as far as its mode tells."""
    if os.name == "nt":
        return False
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _pour(device: Path, data: bytes) -> None:
    # Without waiting for somebody to read at the other end of a pipe.
    number = os.open(device, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(number, "wb") as stream:
        os.set_blocking(stream.fileno(), True)
        stream.write(data)


def network_drive(path: Path, mounts: Path = _MOUNTS) -> str:
    """
    The kind of network drive that *path* lies on, such as ``nfs4``; empty where it is on none.

    Told where the system lists its mounts, and of a Windows path that names a computer.
    """
    whole = str(path.absolute())
    if whole.startswith(("\\\\", "//")):
        return "a share"
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for _, where, name, *_ in (line.split() for line in lines if line.count(" ") >= 2):
        folder = where.replace("\\040", " ").rstrip("/")
        inside = whole == folder or whole.startswith(f"{folder}/")
        # Of two on one folder the later one hides the other.
        if inside and len(folder) >= len(best):
            best, kind = folder, name
    return kind if kind in _OVER_A_NETWORK else ""
