"""On the wire: whatever a session does, nothing that leaves it can be an order."""

from __future__ import annotations

import pytest

from support import virtual_time
from support.simulated import fetch, running
from tomic.ib import account

FAULTS = [None, "drop_after:messages=20", "not_subscribed", "lines_taken", "connectivity_lost"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_chain_sends_no_order(fault):
    """Open, closed, dropped or refused: no place-order message of any kind leaves."""
    got = fetch(*[fault] if fault else [])

    assert got.gateway.by_kind["place_order"] == 0
    assert (got.gateway.orders, got.gateway.what_ifs, got.gateway.orders_seen) == (0, 0, [])


def test_the_account_is_only_read():
    """Positions cost a question and nothing else."""

    async def scenario():
        async with running() as run:
            await account.positions(run.session, timeout_s=5.0)
            return run.gateway.by_kind["place_order"], run.gateway.orders

    assert virtual_time.run(scenario) == (0, 0)
