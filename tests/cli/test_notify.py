"""`tomic notify test`, jobs that tell what changed, and the secrets in none of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.clean_home import write
from support.command_line import run
from support.message_server import SECRET, serving

SETTINGS = """\
[ib]
port = 1
[jobs.morning]
run = ["prices SPY", "show 20000101-1", "strategies"]
notify = true
log = "jobs.jsonl"
"""


@pytest.fixture
def server(home, monkeypatch):
    """A service, its address in the environment, and a job that cannot reach TWS."""
    write("tomic.toml", SETTINGS)
    with serving() as own:
        monkeypatch.setenv("TOMIC_NOTIFY_URLS", own.url)
        yield own


def test_a_test_message(server):
    """What each service made of it, by its scheme alone; 6 where one did not take it."""
    sent = run("notify", "test", "-vv")
    server.status = 500
    refused = run("notify", "test", "-vv")

    assert (sent.exit_code, sent.stdout) == (0, "1 json: sent\n")
    assert refused.exit_code == 6
    assert refused.stdout.startswith("1 json: not accepted")
    assert [message["title"] for message in server.messages] == ["TOMIC: test"]
    assert SECRET not in sent.stderr + refused.stdout + refused.stderr


def test_without_an_address(home):
    """What to set is said."""
    done = run("notify", "test")

    assert done.exit_code == 2
    assert "no address to notify; put one into TOMIC_NOTIFY_URLS" in done.stderr


def test_without_the_extra(server, monkeypatch):
    """How to install it is said, not a traceback."""
    monkeypatch.setitem(sys.modules, "apprise", None)

    done = run("notify", "test")

    assert done.exit_code == 2
    assert (
        "messages need Apprise (apprise is not installed); in the clone: pip install '.[notify]'"
        in (done.stderr)
    )


def test_a_job_tells_what_failed_once(server):
    """TWS that cannot be reached, and a step that failed: one message, and none the second time."""
    first, second = run("run", "morning"), run("run", "morning")

    assert (first.exit_code, second.exit_code) == (4, 4)
    (message,) = server.messages
    assert message["title"] == "TOMIC: TWS unreachable, 1 failed step"
    lost, failed = message["message"].splitlines()
    assert lost.startswith("TWS unreachable, job morning, step 1: ")
    assert lost.endswith(" → tomic doctor")
    assert failed.startswith(
        "job morning, step 2: tomic show 20000101-1 ended with code 5: no proposal"
    )
    assert "told 2 by json" in first.stderr
    told = first.stdout + first.stderr + second.stderr + Path("jobs.jsonl").read_text()
    assert SECRET not in told


def test_a_command_tells_that_tws_is_gone(server):
    """Once; it ends as it would without a message."""
    first, second = run("portfolio", "--notify"), run("portfolio", "--notify")

    assert (first.exit_code, second.exit_code) == (4, 4)
    (message,) = server.messages
    assert message["title"] == "TOMIC: TWS unreachable"
    assert message["message"].startswith("TWS unreachable: ")


def test_a_message_that_fails_fails_no_job(server):
    """It is said, and the exit code stays that of the steps."""
    write("tomic.toml", SETTINGS.replace('"prices SPY", ', ""))
    server.status = 500
    done = run("run", "morning")

    assert done.exit_code == 5
    assert "tomic: not told by json: not accepted" in done.stderr


def test_no_list_of_settings_shows_an_address(server):
    """It is no setting, and one that is written as a setting is not repeated."""
    for words in (("config", "show"), ("config", "show", "--json"), ("config", "show", "--origin")):
        found = run(*words)
        assert found.exit_code == 0, found.stderr
        assert SECRET not in found.stdout + found.stderr
    write("tomic.toml", f'[notify]\nurls = ["{server.url}"]\n')
    refused = run("config", "check")
    assert refused.exit_code == 2
    assert "[notify] urls: a secret is no setting; put it into TOMIC_NOTIFY_URLS" in refused.stderr
    assert SECRET not in refused.stderr
