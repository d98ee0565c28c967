"""`tomic record FILE COMMAND`: the command as it is, and a file that replays it."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path

import pytest

from support.command_line import SMALL, inside_gateway, run, start
from tomic.sim import faults

pytestmark = pytest.mark.usefixtures("home")


def test_record_and_replay():
    """The recorded command prints what it prints, and its recording gives the same rows."""
    made = run("record", "bug.jsonl.gz", "chain", "SPY", "--demo", "--json", *SMALL)
    again = run("chain", "SPY", "--replay", "bug.jsonl.gz", "--json", *SMALL)

    header = json.loads(gzip.decompress(Path("bug.jsonl.gz").read_bytes()).split(b"\n")[0])
    assert (made.exit_code, again.exit_code) == (0, 0)
    assert header["schema"] == "tomic.session/1"
    assert header["command"].startswith("chain SPY --demo --json")
    assert "in bug.jsonl.gz, account numbers masked" in made.stderr
    rows, replayed = json.loads(made.stdout)["rows"], json.loads(again.stdout)["rows"]
    for row in [*rows, *replayed]:
        del row["quoted_at"]
    assert rows == replayed


def test_exit_code_of_the_command():
    """A recording ends as the recorded command does, and so does its replay."""
    with inside_gateway(faults.Refuse(on="contract_details", code=200)) as gateway:
        made = run("record", "bug.jsonl", "chain", "SPY", "--port", gateway.port, *SMALL)
    again = run("chain", "SPY", "--replay", "bug.jsonl", *SMALL)

    assert (made.exit_code, again.exit_code) == (5, 5)
    assert made.stderr.splitlines()[-1] == again.stderr.splitlines()[-1]


def test_a_doctor_can_be_recorded():
    """The doctor's ladder replays too."""
    with inside_gateway(faults.PartiallySubscribed(code=10091)) as gateway:
        run("record", "bug.jsonl", "--", "doctor", "--port", gateway.port)

    again = run("doctor", "--replay", "bug.jsonl")

    assert "no Greeks from IB (10091)" in again.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("record", "bug.jsonl"), 2),
        (("record", ".", "doctor"), 2),
        (("record", "a", "record", "b", "doctor"), 2),
        (("record", "bug.jsonl", "chain", "SP Y"), 2),
        (("record", "bug.jsonl", "fly"), 2),
    ],
)
def test_what_cannot_be_recorded(words, code):
    """Wrong input is refused, and no file is left behind."""
    result = run(*words)

    assert result.exit_code == code
    assert not Path("bug.jsonl").exists()


def test_nothing_to_record():
    """A command without a session leaves no file, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    result = run("record", "bug.jsonl", "chain", "SPY", "--port", port)

    assert result.exit_code == 4
    assert "nothing was recorded" in result.stderr
    assert not Path("bug.jsonl").exists()


def test_a_recorded_session_behind_a_port(tmp_path):
    """`tomic gateway --replay` serves a recorded session to any client."""
    run("record", tmp_path / "bug.jsonl", "chain", "SPY", "--demo", *SMALL)
    server = start("gateway", "--port", "0", "--replay", "bug.jsonl", cwd=tmp_path)
    said = [server.stderr.readline() for _ in range(2)]
    port = said[1].split(":")[1].split(";")[0]

    result = run("chain", "SPY", "--port", port, "--json", *SMALL)
    server.kill()
    server.communicate()

    assert "a session of tomic chain SPY --demo" in said[0]
    assert result.exit_code == 0
    assert json.loads(result.stdout)["meta"]["spot"] == 590.16
