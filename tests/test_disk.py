"""A file is there in full or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tomic.disk import write_private, write_text
from tomic.errors import BadFile

WRITER = """
import sys
from pathlib import Path
from tomic.disk import write_text

path, turn = Path(sys.argv[1]), 0
while True:
    write_text(path, f"{turn}\\n" * 20_000)
    if turn == 0:
        print("ready", flush=True)
    turn += 1
"""


def test_writes_folders_and_replaces(tmp_path):
    """Missing folders are made, an older file is replaced, nothing else is left."""
    path = tmp_path / "a" / "b.csv"

    write_text(path, "one\n")
    write_text(path, "é\r\n")

    assert path.read_bytes() == "é\r\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_private_file_is_its_owners_alone(tmp_path):
    """Nobody else may read it, also where an older file let everybody."""
    path = write_text(tmp_path / "a.csv", "old")
    path.chmod(0o644)

    write_private(path, "new")

    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, "new")


def test_failure_leaves_the_old_file(tmp_path):
    """A text that cannot be encoded leaves the old file and no temporary one."""
    path = write_text(tmp_path / "a.csv", "old")

    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_folder_is_said(tmp_path):
    """A folder that is a file cannot be written, and the error names the way out."""
    blocker = write_text(tmp_path / "exports", "a file")

    with pytest.raises(BadFile, match="choose another folder"):
        write_text(blocker / "a.csv", "text")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL does not exist on Windows")
def test_killed_writer_leaves_a_whole_file(tmp_path):
    """A writer killed in the middle leaves the last complete version."""
    path = tmp_path / "a.csv"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer, writer.stdout:
        assert writer.stdout.readline() == "ready\n"
        writer.send_signal(signal.SIGKILL)

    lines = path.read_text().splitlines()
    assert len(lines) == 20_000
    assert len(set(lines)) == 1
