from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import sqlite3
import tarfile
import zlib
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.store.test_chains import NOW, a_chain

from support import recorded_chains
from tomic.chain import Chain, Fetch
from tomic.errors import StoreError
from tomic.models import OptionQuote, QuoteSource, RowStatus, Spot, SpotSource, Underlying
from tomic.store import Database
from tomic.store.kept_chains import MOST_BYTES

DAY = dt.date(2026, 11, 20)
KEEP = dt.timedelta(days=90)
EXACT = (
    "expiry", "dte", "tau", "strike", "right", "bid", "ask", "volume", "open_interest", "status",
    "quote_source", "greeks_source",
)  # fmt: skip


def assert_kept(found: Chain, chain: Chain) -> None:
    for name in EXACT:
        assert_array_equal(found[name], chain[name])
    for name in ("iv", "delta"):
        assert_allclose(found[name], chain[name], atol=5.1e-5)
    for name in ("underlying", "spot", "as_of", "rate", "div_yield", "data_type", "notes"):
        assert getattr(found, name) == getattr(chain, name)
    assert found.fetch == chain.fetch
    assert found.trading_class == chain.trading_class


async def test_what_is_kept_comes_back(store):
    """Quotes, labels and header are those of the chain; the second of the quote too."""
    chain = a_chain()

    assert await store.kept.save(chain, day=DAY, keep=KEEP)
    found = await store.kept.load("SPY", DAY)

    assert_kept(found, chain)
    assert_array_equal(found["quoted_at"], chain["quoted_at"].astype("datetime64[s]"))
    assert not found["con_id"].any()
    assert np.isnan(found["gamma"]).all()
    (kept,) = await store.kept.days()
    assert kept == ("SPY", DAY, "SPY", 6, True)


async def test_odd_prices_come_back_exactly(store):
    """A price that is no multiple of a small fraction is kept with all its digits."""
    chain = a_chain()
    bid = chain["bid"].copy()
    bid[:4] = [1 / 3, 1e-9, np.nan, 123456.78]
    chain = chain.with_columns(bid=bid, ask=np.full(len(chain), 1.0))

    await store.kept.save(chain, day=DAY, keep=KEEP)

    assert_kept(await store.kept.load("SPY", DAY), chain)


async def test_only_quotes_of_the_day_are_kept(store):
    """What was filled in from elsewhere, or never quoted, is not a quote of that day."""
    chain = a_chain()
    source = chain["quote_source"].copy()
    source[0], source[1] = QuoteSource.STORED.value, QuoteSource.MODEL.value
    bid, ask = chain["bid"].copy(), chain["ask"].copy()
    bid[2] = ask[2] = np.nan
    chain = chain.with_columns(quote_source=source, bid=bid, ask=ask)

    await store.kept.save(chain, day=DAY, keep=KEEP)

    assert_kept(await store.kept.load("SPY", DAY), chain.where(np.arange(6) > 2))


async def test_nothing_is_kept_when_it_is_switched_off(store):
    """No time means that no chain is kept, and an unquoted chain never is."""
    assert not await store.kept.save(a_chain(), day=DAY, keep=dt.timedelta(0))
    assert not await store.kept.save(a_chain(strikes=()), day=DAY, keep=KEEP)
    assert await store.kept.days() == []
    assert await store.kept.load("SPY", DAY) is None


async def test_a_later_chain_of_the_day_replaces_an_earlier(store):
    """Unless it is a part of what was whole, or has far fewer options."""
    first, later = a_chain(NOW), a_chain(NOW + dt.timedelta(minutes=9))
    few = a_chain(NOW + dt.timedelta(minutes=20), strikes=(600.0,))
    sample = replace(a_chain(NOW + dt.timedelta(minutes=30)), fetch=Fetch(sampled=True))

    assert await store.kept.save(sample, day=DAY, keep=KEEP)
    assert await store.kept.save(first, day=DAY, keep=KEEP)
    assert await store.kept.save(later, day=DAY, keep=KEEP)
    assert not await store.kept.save(few, day=DAY, keep=KEEP)
    assert not await store.kept.save(sample, day=DAY, keep=KEEP)
    assert not await store.kept.save(first, day=DAY, keep=KEEP)

    assert (await store.kept.load("SPY", DAY)).as_of == later.as_of


async def test_chains_go_after_their_time(store):
    """Keeping a chain deletes those that are older than the time, of every symbol."""
    other = replace(a_chain(), underlying=Underlying(symbol="QQQ", con_id=7))
    for age, chain in ((91, a_chain()), (91, other), (90, a_chain()), (0, a_chain())):
        await store.kept.save(chain, day=DAY - dt.timedelta(days=age), keep=dt.timedelta(days=999))

    await store.kept.save(a_chain(NOW + dt.timedelta(hours=1)), day=DAY, keep=KEEP)

    assert [kept.day for kept in await store.kept.days()] == [DAY - KEEP, DAY]
    assert await store.kept.days("QQQ") == []
    assert await store.kept.days(last=DAY - KEEP, first=DAY - KEEP) != []
    assert await store.kept.prune(DAY) == 1
    assert (await store.info()).kept.chains == 1


async def test_the_store_tells_what_is_kept(store):
    """Number, span and bytes; nothing where no chain is kept."""
    assert (await store.info()).kept is None
    await store.kept.save(a_chain(), day=DAY, keep=KEEP)

    kept = (await store.info()).kept

    assert (kept.chains, kept.symbols, kept.first, kept.last) == (1, 1, DAY, DAY)
    assert 0 < kept.size == kept.largest < 3000


async def rewrite(path, change) -> None:
    with closing(sqlite3.connect(path)) as db:
        header, columns = db.execute("SELECT header, columns FROM kept_chains").fetchone()
        db.execute("UPDATE kept_chains SET header = ?, columns = ?", change(header, columns))
        db.commit()


def _header(**changes):
    return lambda header, columns: (json.dumps(json.loads(header) | changes), columns)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, columns: (header, columns[:-5]),
        lambda header, columns: (header, b""),
        lambda header, columns: (header, columns + b"more"),
        lambda header, columns: (header, zlib.compress(bytes(50_000_000))),
        lambda header, columns: (header, zlib.compress(zlib.decompress(columns)[:-1])),
        lambda header, columns: (header, zlib.compress(b"\xff" * len(zlib.decompress(columns)))),
        lambda header, columns: ("[]", columns),
        _header(form=2),
        _header(rows=10**12),
        _header(rows="6"),
        _header(rows=-1),
        _header(numbers=[["bid", 100.0, 9]]),
        _header(numbers=None),
        _header(expiries=[]),
        _header(expiries=[["yesterday", 1, 0.1]]),
        _header(names={}),
        _header(as_of=7),
        _header(zone="Nowhere/At_all"),
        _header(underlying={}),
        _header(fetch=[]),
    ],
)
async def test_a_garbled_chain_is_an_error_with_its_name(store, path, change):
    """Whatever was done to it: cut, swollen, of another length, or with a header of nonsense."""
    await store.kept.save(a_chain(), day=DAY, keep=KEEP)
    await rewrite(path, change)

    with pytest.raises(StoreError, match="kept chain of SPY on 2026-11-20 is damaged"):
        await store.kept.load("SPY", DAY)
    (problem,) = await store.check()
    assert "SPY on 2026-11-20" in problem


async def test_random_damage_is_never_a_crash(store, path):
    """Flipped bytes of the columns give an error or a chain, and nothing else."""
    await store.kept.save(a_chain(), day=DAY, keep=KEEP)
    dice = random.Random(3)

    def flip(header: str, columns: bytes) -> tuple[str, bytes]:
        plain = bytearray(zlib.decompress(columns))
        plain[dice.randrange(len(plain))] ^= 1 << dice.randrange(8)
        return header, zlib.compress(bytes(plain))

    for _ in range(60):
        await rewrite(path, flip)
        try:
            assert len(await store.kept.load("SPY", DAY)) == 6
        except StoreError as exc:
            assert "SPY on 2026-11-20" in str(exc)


def spxw_2019() -> Chain:
    """Every option of SPXW on 2019-07-22: the largest chain there is."""
    if reason := recorded_chains.missing(recorded_chains.SPX_2019):
        pytest.skip(reason)
    with tarfile.open(recorded_chains.DATA / recorded_chains.SPX_2019) as archive:
        member = max(archive.getmembers(), key=lambda one: (one.isfile(), one.name))
        text = io.TextIOWrapper(archive.extractfile(member), encoding="utf-8", newline="")
        rows = [row for row in csv.DictReader(text) if row["optionroot"].startswith("SPXW")]
    quotes = {}
    for row in rows:
        day, expiry = map(recorded_chains.day_of, (row["quotedate"], row["expiration"]))
        quote = OptionQuote(
            expiry=expiry,
            dte=(expiry - day).days,
            strike=float(row["strike"]),
            right=row["type"][0].upper(),
            bid=float(row["bid"]),
            ask=float(row["ask"]),
            iv=float(row["impliedvol"]),
            delta=min(max(float(row["delta"]), -1.0), 1.0),
            volume=int(row["volume"]),
            open_interest=int(row["openinterest"]),
            status=RowStatus.OK,
            quote_source=QuoteSource.LIVE,
            greeks_source="ib",
        )
        quotes[quote.expiry, quote.strike, quote.right] = quote
    as_of = dt.datetime(2019, 7, 22, 20, 0, tzinfo=dt.UTC)
    spot = Spot(price=float(rows[0]["underlying_last"]), source=SpotSource.LAST, as_of=as_of)
    return Chain.from_quotes(
        quotes.values(),
        underlying=Underlying(symbol="SPX", con_id=416904, sec_type="IND"),
        spot=spot,
        as_of=as_of,
        rate=0.024,
        trading_class="SPXW",
    )


async def test_the_largest_chain_takes_no_more_than_40_kb(store: Database):
    """10,108 options of SPXW: the expiries that fit come back equal, and a note says so."""
    chain, day = spxw_2019(), dt.date(2019, 7, 22)

    await store.kept.save(chain, day=day, keep=KEEP)
    found = await store.kept.load("SPX", day)
    kept = (await store.info()).kept

    assert 0.8 * MOST_BYTES < kept.largest <= MOST_BYTES
    assert found.notes[-1].startswith("kept up to ")
    # Whatever a scan looks at is there.
    assert found["dte"].max() > 75
    part = chain.where(chain["expiry"] <= found["expiry"].max())
    assert_kept(replace(found, notes=()), part)
