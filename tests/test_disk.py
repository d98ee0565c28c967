"""A file is there in full or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tomic.disk import (
    beginning,
    check_target,
    network_drive,
    open_to_others,
    read_bytes,
    read_private,
    temporary_folder,
    write_text,
)
from tomic.errors import BadFile, ConfigError

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


@pytest.mark.parametrize("name", ["exports/a.csv", "exports/b/c.csv", "", "x" * 300])
def test_what_could_not_be_written_is_refused_before(tmp_path, name):
    """Whatever the writing would refuse, and without making anything."""
    write_text(tmp_path / "exports", "a file")

    for refused in (check_target, lambda path: write_text(path, "text")):
        with pytest.raises(BadFile, match=r"cannot be written: .*; choose another folder"):
            refused(tmp_path / name)

    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


def test_what_can_be_written_is_not(tmp_path):
    """A new file, one in folders that are still to be made, an old one, a link and a device."""
    (tmp_path / "old").touch()
    (tmp_path / "link").symlink_to("new")

    for name in ("new", "a/b/c", "old", "link"):
        check_target(tmp_path / name)
    check_target(Path(os.devnull))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old"]


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_what_tells_of_an_account_is_its_owners_alone(tmp_path):
    """New folders and files of that kind are private; what was there keeps its mode."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)

    public = write_text(tmp_path / "exports" / "chain.csv", "x")
    private = write_text(tmp_path / "data" / "books" / "book.json", "{}", private=True)
    beside = write_text(shared / "book.json", "{}", private=True)

    def mode(path):
        return path.stat().st_mode & 0o777

    assert (mode(private), mode(private.parent), mode(private.parent.parent)) == (
        0o600, 0o700, 0o700,
    )  # fmt: skip
    assert (mode(beside), mode(shared)) == (0o600, 0o755)
    assert [*map(open_to_others, (public, private, tmp_path / "none"))] == [True, False, False]
    private.chmod(0o640)
    assert mode(write_text(private, "{1}", private=True)) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/me/data/x.db", ""),
        ("/mnt/nas/data/x.db", "cifs"),
        ("/mnt/nas box/x.db", "nfs4"),
        ("/mnt/nas/local/x.db", ""),
        ("/mnt/nasty/x.db", ""),
        ("/cloud/x.db", "fuse.sshfs"),
        ("//server/share/x.db", "a share"),
    ],
)
def test_a_network_drive_is_known_by_its_mount(tmp_path, path, kind):
    """The innermost mount counts, and a share that is named needs none."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n//nas/a /mnt/nas cifs rw 0 0\n"
        "nas:/b /mnt/nas\\040box nfs4 rw 0 0\n/dev/sdb1 /mnt/nas/local xfs rw 0 0\n"
        "me@host:/ /cloud fuse.sshfs rw 0 0\nodd\n"
    )

    assert network_drive(Path(path), mounts) == kind
    assert network_drive(Path(path), tmp_path / "none") in ("", "a share")


def test_a_device_and_a_file_too_long_are_refused_unread(tmp_path):
    """A device may never end, and the length of a file is known before its content."""
    long = tmp_path / "long"
    with long.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(BadFile, match="longer than 64 MB"):
        read_bytes(long)
    if Path("/dev/zero").is_char_device():
        with pytest.raises(BadFile, match="is a device; name a file"):
            read_bytes(Path("/dev/zero"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_without_a_writer_keeps_nobody_waiting(tmp_path):
    """It is not looked into, and a secret is not in it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)

    assert beginning(pipe, 16) == b""
    assert read_private(pipe, 16, "the token") == b""
    with pytest.raises(FileNotFoundError):
        beginning(tmp_path / "none", 16)


def test_a_temporary_folder_is_gone_at_the_end():
    """With all in it."""
    with temporary_folder() as folder:
        (folder / "file").write_text("x")

    assert not folder.exists()


def test_no_temporary_folder_is_said(tmp_path, monkeypatch):
    """What to do about it as well."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with (
        pytest.raises(ConfigError, match=r"no folder for temporary files can be made.*TMPDIR"),
        temporary_folder(),
    ):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_whoever_says_nothing_is_waited_for_as_long_as_is_wanted(tmp_path):
    """A command with a deadline has no more time for a pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(BadFile, match=r"says nothing for 0\.05 s; name a file"):
            read_bytes(pipe, wait_s=0.05)
    finally:
        os.close(writer)
