from __future__ import annotations

import datetime as dt
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tomic.chain import Chain, Fetch
from tomic.models import Carry, OptionQuote, QuoteSource, RowStatus, Spot, SpotSource, Underlying

NOW = dt.datetime(2026, 11, 20, 15, 30, tzinfo=ZoneInfo("America/New_York"))


def a_chain(as_of: dt.datetime = NOW, strikes=(595.0, 600.0, 605.0)) -> Chain:
    quotes = [
        OptionQuote(
            con_id=int(strike),
            expiry=dt.date(2026, 12, 18),
            dte=28,
            strike=strike,
            right=right,
            bid=1.25,
            ask=1.30 if strike > 596 else None,
            iv=0.2,
            status=RowStatus.OK if strike > 596 else RowStatus.NO_QUOTE,
            quote_source=QuoteSource.LIVE,
            greeks_source="ib",
            quoted_at=as_of,
        )
        for strike in strikes
        for right in ("C", "P")
    ]
    return Chain.from_quotes(
        quotes,
        underlying=Underlying(symbol="SPY", con_id=756733),
        spot=Spot(price=600.1, source=SpotSource.LAST, as_of=as_of),
        as_of=as_of,
        rate=0.04,
        notes=("two strikes left out",),
        fetch=Fetch(seconds=3.5, messages=12),
        trading_class="SPY",
    )


async def test_a_chain_comes_back_whole(store):
    """Columns, header and the exchange's time zone survive, missing values included."""
    chain = a_chain()

    await store.chains.save(chain)
    found = await store.chains.load("SPY")

    for name, column in chain.columns.items():
        assert_array_equal(found[name], column)
    for name in ("underlying", "spot", "as_of", "rate", "div_yield", "data_type", "notes"):
        assert getattr(found, name) == getattr(chain, name)
    assert (found.fetch, found.multiplier, found.trading_class) == (chain.fetch, 100, "SPY")
    assert found.as_of.tzinfo == NOW.tzinfo


async def test_an_old_chain_counts_as_none(store):
    """The newest chain is given, and only within the age asked for."""
    await store.chains.save(a_chain(NOW - dt.timedelta(hours=2)))
    await store.chains.save(a_chain(NOW - dt.timedelta(minutes=14)))

    age = dt.timedelta(minutes=15)
    found = await store.chains.load("SPY", max_age=age, now=NOW)
    assert found.as_of == NOW - dt.timedelta(minutes=14)
    assert await store.chains.load("SPY", max_age=age, now=NOW + age) is None
    assert await store.chains.load("QQQ") is None
    with pytest.raises(ValueError, match="no clock"):
        await store.chains.load("SPY", max_age=age)


@pytest.mark.parametrize("status", [RowStatus.TIMEOUT, RowStatus.LOST, RowStatus.NOT_SUBSCRIBED])
async def test_a_cut_chain_is_kept_and_never_counts_as_whole(store, status):
    """The newest chain is given as it is; who wants a whole one gets the last that was."""
    whole = a_chain(NOW - dt.timedelta(minutes=10))
    cut = a_chain(NOW)
    lost = np.where(np.arange(len(cut)) == 2, status.value, cut["status"])
    await store.chains.save(cut.with_columns(status=lost))
    assert await store.chains.load("SPY", whole=True) is None

    await store.chains.save(whole)

    age = {"max_age": dt.timedelta(minutes=15), "now": NOW}
    assert (await store.chains.load("SPY", **age)).as_of == cut.as_of
    assert (await store.chains.load("SPY", **age, whole=True)).as_of == whole.as_of


async def test_a_chain_that_was_stopped_counts_as_cut(store):
    """Also when every row of it found an answer elsewhere."""
    await store.chains.save(replace(a_chain(), fetch=Fetch(cut_short=True)))

    assert await store.chains.load("SPY", whole=True) is None
    assert (await store.chains.load("SPY")).is_cut


async def test_chains_older_than_a_day_go_by_themselves(store):
    """A chain takes the place of those from more than a day before it; the newest always stays."""
    for hours in (60, 30, 20, 10):
        await store.chains.save(a_chain(NOW - dt.timedelta(hours=hours)))

    assert (await store.info()).tables["chains"] == 3
    assert (await store.chains.load("SPY")).as_of == NOW - dt.timedelta(hours=10)


async def test_an_empty_chain_can_be_kept(store):
    """A chain without rows is stored like any other."""
    await store.chains.save(a_chain(strikes=()))

    assert len(await store.chains.load("SPY")) == 0


@pytest.mark.parametrize("column", ["open_interest", "quoted_at", "greeks_source", "dte"])
async def test_a_column_of_a_later_version_is_missing_in_an_earlier_chain(store, path, column):
    """A chain stored before a column existed reads NaN, no moment, no word or 0 there."""
    await store.chains.save(a_chain())
    with sqlite3.connect(path) as db:
        change = "UPDATE chains SET header = replace(header, ?, '\"column_of_the_past\"')"
        db.execute(change, (f'"{column}"',))
    db.close()

    found = await store.chains.load("SPY")

    assert all(value != value or not value for value in found[column].tolist())
    assert found["strike"].tolist() == [595.0, 595.0, 600.0, 600.0, 605.0, 605.0]


async def test_forwards_and_discounts_are_kept(store):
    """What each expiry was carried at comes back; a yield that nobody knew stays unknown."""
    carry = Carry(expiry=dt.date(2026, 12, 18), rate=0.043, discount=0.997, rate_source="curve",
                  rate_error=0.001, forward=601.0, forward_source="parity", pairs=3)  # fmt: skip

    await store.chains.save(replace(a_chain(), carries=(carry,)))
    found = await store.chains.load("SPY")

    assert found.carries == (carry,)
    assert found.div_yield is None


async def test_chains_of_older_versions_still_load(store, path):
    """They state no forwards, and the yield of 0 that they were given was not known."""
    await store.chains.save(a_chain())
    with closing(sqlite3.connect(path)) as db, db:
        (text,) = db.execute("SELECT header FROM chains").fetchone()
        header = {**json.loads(text), "div_yield": 0.0}
        del header["carries"]
        db.execute("UPDATE chains SET header = ?", (json.dumps(header),))

    found = await store.chains.load("SPY")

    assert (found.carries, found.div_yield) == ((), None)
