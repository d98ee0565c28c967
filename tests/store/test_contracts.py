from __future__ import annotations

import datetime as dt

from tomic.models import OptionParams, TradingSession, Underlying
from tomic.store import Database, StoredContract

DAY = dt.date(2026, 11, 20)
EXPIRY = dt.date(2026, 12, 18)
SPY = Underlying(
    symbol="SPY",
    con_id=756733,
    primary_exchange="ARCA",
    sessions=(
        TradingSession(
            opens=dt.datetime(2026, 11, 20, 14, 30, tzinfo=dt.UTC),
            closes=dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC),
        ),
    ),
)
PARAMS = OptionParams(
    exchange="SMART",
    trading_class="SPY",
    multiplier=100,
    expiries=(EXPIRY,),
    strikes=(600.0, 601.5),
)


async def test_contracts_of_the_day_survive_reopening(path):
    """What was saved today is there for the next run of the same day, and for no other day."""
    rows = [StoredContract(n, EXPIRY, 600.0 + n, "C") for n in range(1, 4)]
    async with Database(path) as db:
        await db.contracts.save_underlying(SPY, DAY)
        await db.contracts.save_option_params("SPY", DAY, PARAMS)
        await db.contracts.save("SPY", DAY, "SPY", rows, complete=[EXPIRY])

    async with Database(path) as db:
        assert await db.contracts.underlying("SPY", DAY) == SPY
        assert await db.contracts.option_params("SPY", DAY) == [PARAMS]
        assert await db.contracts.load("SPY", DAY, "SPY") == rows
        assert await db.contracts.complete_expiries("SPY", DAY, "SPY") == {EXPIRY}
        assert await db.contracts.load("SPY", DAY + dt.timedelta(1), "SPY") == []
        assert await db.contracts.load("SPY", DAY, "2SPY") == []


async def test_an_expiry_without_any_contract_is_remembered(path):
    """An expiry that was asked for and lists nothing is complete, so it is not asked for again."""
    async with Database(path) as db:
        await db.contracts.save("SPY", DAY, "SPY", [], complete=[EXPIRY])

        assert await db.contracts.complete_expiries("SPY", DAY, "SPY") == {EXPIRY}


async def test_contracts_older_than_a_week_go_by_themselves(path):
    """Saving a new day forgets what cannot be used any more, of that symbol only."""
    old = DAY - dt.timedelta(days=8)
    row = StoredContract(1, EXPIRY, 600.0, "P")
    async with Database(path) as db:
        await db.contracts.save("SPY", old, "SPY", [row])
        await db.contracts.save("QQQ", old, "QQQ", [row])
        await db.contracts.save("SPY", DAY, "SPY", [row])

        assert await db.contracts.load("SPY", old, "SPY") == []
        assert await db.contracts.load("QQQ", old, "QQQ") == [row]
        assert await db.contracts.load("SPY", DAY, "SPY") == [row]


async def test_reading_creates_nothing(path):
    """A store that was only read leaves neither file nor folder."""
    async with Database(path) as db:
        assert await db.contracts.underlying("SPY", DAY) is None

    assert not path.parent.exists()


async def test_a_store_sees_the_file_that_another_created(path):
    """A store opened before its file existed reads what another run writes afterwards."""
    async with Database(path) as reader, Database(path) as writer:
        assert await reader.contracts.underlying("SPY", DAY) is None
        await writer.contracts.save_underlying(SPY, DAY)

        assert await reader.contracts.underlying("SPY", DAY) == SPY
