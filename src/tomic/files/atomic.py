"""Writing a file so that it is there in full or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tomic.errors import BadFile


def write_text(path: Path, text: str) -> Path:
    """
    Write *text* as UTF-8; see :func:`write_bytes`.

    Raises:
        BadFile: The folder or file cannot be written.
    """
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> Path:
    """
    Write *data* under a temporary name in the same folder, then rename it to *path*.

    Folders are made. An interrupt at any point leaves the old file, or none, and no temporary
    one; a killed process can leave a temporary one behind, whose name starts with a dot. A link
    stays one: the file that it leads to is written. A device or pipe is written into, not
    replaced.

    Raises:
        BadFile: The folder or file cannot be written.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            _pour(path, data)
        else:
            _replace(path.resolve() if path.is_symlink() else path, data)
    except (OSError, RuntimeError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise BadFile(f"{path} cannot be written: {reason}; choose another folder") from exc
    return path


def _replace(target: Path, data: bytes) -> None:
    # A long name leaves no room for one that is longer still.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _pour(device: Path, data: bytes) -> None:
    # Without waiting for somebody to read at the other end of a pipe.
    number = os.open(device, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(number, "wb") as stream:
        os.set_blocking(stream.fileno(), True)
        stream.write(data)
