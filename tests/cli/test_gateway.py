"""`tomic gateway`: the simulated gateway alone, for any client."""

from __future__ import annotations

import json
import re
import signal
import socket

import pytest

from support.command_line import SMALL, run, start

pytestmark = pytest.mark.usefixtures("home")


def test_serves_and_tells(tmp_path):
    """It says where it listens, serves a chain, and on Ctrl-C what it has counted."""
    server = start(
        "gateway", "--port", "0", "--instant", "--fault", "no_greeks:share=0.5", cwd=tmp_path
    )
    said = server.stderr.readline()
    port = re.search(r"127\.0\.0\.1:(\d+)", said).group(1)

    result = run("chain", "SPY", "--port", port, "--json", *SMALL)
    server.send_signal(signal.SIGINT)
    stdout, stderr = server.communicate(timeout=120)

    rows = json.loads(result.stdout)["rows"]
    assert {row["greeks_source"] for row in rows if row["bid"]} == {"ib", "local"}
    assert server.returncode == 130
    assert stdout == ""
    assert re.search(r"served \d+ messages, at most \d+ in a second", stderr)
    assert "0 left open by clients; orders refused: 0" in stderr
    assert "Traceback" not in stderr


def test_a_port_that_is_taken():
    """A port that somebody has is named, with exit code 4."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("gateway", "--port", port)

    assert result.exit_code == 4
    assert f"cannot listen on port {port}" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fault", "gremlins"), "no fault called 'gremlins'"),
        (("--fault", "silent:sahre=1"), "no setting 'sahre'"),
        (("--replay", "x.csv", "--closed"), "--closed and --synthetic"),
        (("--port", "70000"), "65535"),
    ],
)
def test_bad_input(words, says):
    """What cannot be right ends with exit code 2."""
    result = run("gateway", *words)

    assert result.exit_code == 2
    assert says in result.stderr


def test_a_recording_that_is_missing():
    """A recording that does not exist ends with exit code 5."""
    assert run("gateway", "--replay", "nowhere.csv").exit_code == 5
