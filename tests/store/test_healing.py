"""Stores that an earlier program poisoned are healed when they are opened."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3

import pytest

from tomic.store import Database, Decision, UnreadRow, schema

NOW = dt.datetime(2026, 11, 20, 16, 5, tzinfo=dt.UTC)
BEFORE = 7
"""Schema of the program that stored executions before it looked at them."""
OPTION = {"expiry": "2025-06-20", "strike": 560.0, "right": "P", "multiplier": 100}


def execution(quantity: float = -1.0, price: float = 3.1, **contract: object) -> dict:
    return {
        "contract": {**OPTION, **contract},
        "quantity": quantity,
        "price": price,
        "commission": 0.65,
        "order": "1",
        "action": None,
    }


POISON = {
    "none": execution(0.0),
    "nan": execution(math.nan),
    "infinite": execution(-math.inf),
    "negative": execution(price=-3.1),
    "priceless": execution(price=math.nan),
    "absurd": execution(strike=1e308),
    "empty": {},
}
FILL = {**OPTION, "quantity": -1.0, "price": 3.0}


def old_store(path, executions=(), entries=()):
    """A file as the earlier program wrote it."""
    path.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    for number in range(1, BEFORE + 1):
        schema._apply(db, number)
    for exec_id, document, entry in executions:
        db.execute(
            "INSERT INTO executions VALUES (?, ?, ?, 'SPY', NULL, ?)",
            (exec_id, entry, "2025-05-19T14:30:00.000000+00:00", json.dumps(document)),
        )
    for number, (summary, document) in enumerate(entries, start=1):
        db.execute(
            "INSERT INTO entries VALUES (?, 1, NULL, 'SPY', 'x', 'open', '2025', NULL, ?, ?)",
            (number, json.dumps(summary), json.dumps(document)),
        )
    db.close()


async def test_executions_that_are_none_get_their_reason(path):
    """Each says why it waits; sound ones, and those in an entry, say nothing."""
    rows = [(name, document, None) for name, document in POISON.items()]
    old_store(path, [*rows, ("sound", execution(), None)])

    async with Database(path) as store:
        reasons = {one.exec_id: one.reason for one in await store.load_executions(unlinked=True)}

    assert reasons.pop("sound") == ""
    assert set(reasons) == set(POISON)
    assert all(reasons.values())
    assert reasons["none"] == "a quantity of 0 is no trade"


async def test_marks_of_before_the_last_trade_leave_the_list(path):
    """After an assignment the P&L, the expiry and the legs of before are told by no summary."""
    opened = {"at": "2025-05-19T15:00:00Z", "fills": [FILL]}
    assigned = {
        "at": "2025-05-29T11:00:00-04:00",
        "fills": [
            {**FILL, "quantity": 1.0},
            {"multiplier": 1, "quantity": 100.0, "price": 560.0},
        ],
    }
    summary = {"pnl": 106.35, "pnl_at": "2025-05-29T14:59:00+00:00", "expiry": "2025-06-20"}
    later = {**summary, "pnl_at": "2025-05-29T15:01:00+00:00"}
    trades = {"trades": [opened, assigned]}
    old_store(path, entries=[
        (summary, trades), (later, trades), (summary, {"trades": [opened]}),
    ])  # fmt: skip

    async with Database(path) as store:
        found = [one["summary"] for one in await store.load_summaries()]

    assert found[0] == {"legs_changed": True}
    assert found[1] == {"pnl": 106.35, "pnl_at": later["pnl_at"], "legs_changed": True}
    assert found[2] == summary


async def test_rows_and_decisions_only_grow(path, store):
    """Neither can be deleted, and what was decided cannot be written over."""
    row = UnreadRow("row-1", NOW, "x.csv", 2, "Symbol", "SPY", "quantity is missing")
    assert await store.save_unread_rows([row, row]) == 1
    assert await store.save_unread_rows([row]) == 0
    decisions = [Decision("row-1", NOW, word, "anna", "why") for word in ("ignore", "restore")]
    await store.save_decisions(decisions)

    assert await store.load_unread_rows() == [row]
    assert await store.load_decisions() == {"row-1": decisions}
    db = sqlite3.connect(path)
    for statement in (
        "DELETE FROM unread_rows",
        "DELETE FROM execution_decisions",
        "UPDATE execution_decisions SET who = 'nobody'",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            db.execute(statement)
    db.close()
    await store.resolve_unread_rows({"row-1": "e1"})
    assert await store.load_unread_rows() == []


async def test_an_execution_is_placed_once(store):
    """Of two runs that place one execution the second writes nothing."""
    from tomic.store import Execution

    await store.save_executions([Execution("e1", NOW, "SPY", None, execution())])
    parts = [({"symbol": "SPY"}, ["e1"])]

    first = await store.place_executions(parts, event="executions", at=NOW)
    second = await store.place_executions(parts, event="executions", at=NOW)

    assert (first, second) == ([(1, 1)], None)
    assert len(await store.load_entries()) == 1
