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
    one; a killed process can leave a temporary one behind, whose name starts with a dot.

    Raises:
        BadFile: The folder or file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise BadFile(f"{path} cannot be written: {reason}; choose another folder") from exc
    return path
