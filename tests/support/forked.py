"""
`tomic` in a fork of a process that has imported it: milliseconds instead of a second's imports.

Run as a script it is what a shell starts in the place of the program: it hands over its streams,
folder, variables and words, and ends as the fork ends. Limits and rights do not go with them, so
who sets those starts the program itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_MOST_BYTES = 1 << 20


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Path]:
    """The process that forks, and the socket at which it is asked to."""
    path = folder / "fork"
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    asked = [sys.executable, __file__, "--serve", str(path)]
    with subprocess.Popen(asked, env=environment, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield path
        finally:
            process.kill()


def program(at: Path) -> list[str]:
    """What a shell starts in the place of ``python -m tomic``; *at* is the server's socket."""
    return [sys.executable, "-I", "-S", __file__, str(at)]


# -- the program's place -------------------------------------------------------------------


def _hand_over(path: str, words: list[str]) -> int:
    """Have the server run *words* with all that is this process's own; the status it ended with."""
    streams = [number for number in range(3) if _is_open(number)]
    folder = os.open(".", os.O_RDONLY)
    document = {"words": words, "streams": streams, "variables": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        text = json.dumps(document).encode()
        socket.send_fds(connection, [len(text).to_bytes(4, "big")], [folder, *streams])
        connection.sendall(text)
        for number in streams:
            # A reader must hear of the end from the fork alone.
            os.close(number)
        return int.from_bytes(_exactly(connection, 4), "big")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError("the server has gone")
        data += part
    return data


# -- the server ----------------------------------------------------------------------------


def _serve(path: str) -> list[str]:
    """Fork for whoever asks; returns in the fork alone, with its words."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        os.write(1, b"ready\n")
        while True:
            connection, _ = listening.accept()
            with connection:
                head, (folder, *streams), _, _ = socket.recv_fds(connection, 4, 4)
                size = int.from_bytes(head, "big")
                assert size < _MOST_BYTES
                given = json.loads(_exactly(connection, size))
                child = os.fork()
                if not child:
                    _become(given, folder, streams)
                    return list(given["words"])
                for number in (folder, *streams):
                    os.close(number)
                _, status = os.waitpid(child, 0)
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(status.to_bytes(4, "big"))


def _become(given: dict[str, object], folder: int, streams: list[int]) -> None:
    """Take the place of the process that asked."""
    os.environ.clear()
    os.environ.update(given["variables"])
    os.fchdir(folder)
    os.close(folder)
    passed = dict(zip(given["streams"], streams, strict=True))
    for number in range(3):
        if number in passed:
            os.dup2(passed[number], number)
            os.close(passed[number])
        else:
            os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number) if number in passed else None
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(number: int) -> TextIO:
    """A standard stream as Python makes it at its start."""
    raw = io.FileIO(number, "w" if number else "r", closefd=False)
    buffer = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
    errors = "backslashreplace" if number == 2 else "strict"
    lines = number == 2 or os.isatty(number)
    return io.TextIOWrapper(buffer, encoding="utf-8", errors=errors, line_buffering=lines)


def _import_all() -> None:
    """All that a command may need; the panel and pictures take as long as the rest together."""
    import importlib
    import pkgutil

    import tomic

    for found in pkgutil.walk_packages(tomic.__path__, "tomic."):
        if not found.name.startswith(("tomic.panel", "tomic._drawing", "tomic.__main__")):
            importlib.import_module(found.name)


def _main() -> None:
    if sys.argv[1] != "--serve":
        status = _hand_over(sys.argv[1], sys.argv[2:])
        if os.WIFSIGNALED(status):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            os.kill(os.getpid(), os.WTERMSIG(status))
        os._exit(os.waitstatus_to_exitcode(status))
    # The folder of this file is no place to import from.
    del sys.path[0]
    _import_all()
    words = _serve(sys.argv[2])
    from tomic.cli.app import main

    sys.argv = ["tomic", *words]
    main()


if __name__ == "__main__":
    _main()
