"""Managing over the simulated gateway: what is asked, and what is said of what did not come."""

from __future__ import annotations

from support.many_positions import entries
from tomic.desk import Desk
from tomic.models.moves import MoveKind
from tomic.workflows.journal import entries as journals

BUDGET = 2_700
"""Messages of a minute, less what a slow minute loses."""


async def test_fifty_positions_stay_within_a_minute_of_messages(tmp_path):
    """Positions of one symbol share its quotes, and only strikes that are needed are asked."""
    async with Desk(demo=True, demo_store=tmp_path / "demo.db") as desk:
        journal = await desk.journal()
        for entry in entries(50, list(desk.settings.market.symbols)):
            await journals.save(journal, entry, event="open")
        session = await desk.session()

        run = await desk.manage(keep=False)

        assert session.messages <= BUDGET
    own = [one for one in run.advice if one.entry_id is not None]
    assert len(own) == 50
    assert sum(bool(one.moves) for one in own) >= 45
    assert run.options < session.messages / 2


async def test_structures_of_the_demo_book(tmp_path):
    """Every structure has its alternatives; a covered call keeps its shares when it is rolled."""
    async with Desk(demo=True, demo_store=tmp_path / "demo.db") as desk:
        run = await desk.manage("AAPL")
        again = await desk.manage(run.advice[0].id, keep=False)
        stored = await (await desk.store()).advice.all()

    (one,) = run.advice
    assert [leg.strategy for leg in run.advice] == ["covered_call"]
    roll = next(move for move in one.moves if move.kind is MoveKind.ROLL)
    assert {leg.sec_type for leg in roll.trades} == {"OPT"}
    assert {leg.sec_type for leg in roll.legs} == {"OPT", "STK"}
    assert one.best.p_target is not None
    assert one.best.buying_power_after is not None
    assert again.advice[0].id == one.id
    # Under its contracts: its number shifts when others of its symbol come and go.
    (kept,) = stored
    assert kept.position == "DU1234567: +AAPL shares, -AAPL 2026-12-18 247.5C"
