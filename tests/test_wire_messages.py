"""What becomes of messages that real gateways were seen to send."""

from __future__ import annotations

import pytest

from support import wire_messages
from support.clean_home import make_clean_home
from support.wire_messages import MESSAGES


def test_every_message_is_on_the_page():
    """docs/faults.md is current; `python tests/support/wire_messages.py` writes it."""
    outcomes = wire_messages.stated()

    assert len(outcomes) == len(MESSAGES) == 48
    mend = "docs/faults.md is out of date; run: python tests/support/wire_messages.py"
    assert wire_messages.PAGE.read_text(encoding="utf-8") == wire_messages.page(outcomes), mend


@pytest.mark.parametrize("number", range(1, 49))
def test_a_message_of_a_real_gateway(number, tmp_path, monkeypatch):
    """It is understood, or the user is told what to do, as the page says."""
    make_clean_home(tmp_path, monkeypatch)
    message = MESSAGES[number - 1]

    outcome = message.play()

    assert message.good in outcome
    assert wire_messages.cell(outcome) == wire_messages.stated()[number - 1]
