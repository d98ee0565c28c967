"""`tomic doctor`: a line a check on stdout, a document with --json, an exit code for programs."""

from __future__ import annotations

import json
import socket

import pytest

from support.command_line import inside_gateway, run
from tomic.sim import faults

pytestmark = pytest.mark.usefixtures("home")


def test_healthy():
    """On the demo every line is fine, and the tally comes last."""
    result = run("doctor", "--demo")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert all(line.startswith(" ok ") for line in lines[:-1])
    assert lines[-1] == "0 problems, 0 warnings"
    assert "demo market" in result.stderr


def test_without_tws():
    """Without TWS the first rung fails with why and fix, and the exit code is 4."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    result = run("doctor", "--port", port)

    assert result.exit_code == 4
    assert f" fail  socket             127.0.0.1:{port} refuses connections" in result.stdout
    assert "why: TWS or IB Gateway does not run" in result.stdout
    assert "fix: start it" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 problem, 0 warnings"


def test_json():
    """The document lists every check; stderr stays empty."""
    result = run("doctor", "--demo", "--json")

    document = json.loads(result.stdout)
    assert document["schema"] == "tomic.doctor/1"
    assert set(document["checks"][0]) == {"name", "verdict", "found", "cause", "fix", "exit_code"}
    assert {one["verdict"] for one in document["checks"]} == {"ok"}
    assert result.stderr == ""


def test_no_subscription():
    """Data that nobody subscribed to end with exit code 5."""
    with inside_gateway(faults.NotSubscribed(delayed=False)) as gateway:
        result = run("doctor", "--port", gateway.port, "-q")

    assert result.exit_code == 5
    assert "OPRA" in result.stdout
