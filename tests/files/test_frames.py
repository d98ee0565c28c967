"""Chains out of DataFrames."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tomic
from support import random_chains
from tomic.errors import BadFile

ENOUGH = ["strike", "right", "bid", "ask", "expiry"]


@pytest.fixture(scope="module")
def chain():
    """S = 100, volatility 40 %, two expiries, no gaps, on an index."""
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=15, gaps=False)


def bare(chain, columns=ENOUGH):
    frame = chain.to_frame()[list(columns)]
    frame.attrs.clear()
    return frame


def as_yfinance(chain):
    """The columns of yfinance's option chains, which name contracts and not their expiry."""
    frame = chain.to_frame()
    names = [
        f"SPY{expiry:%y%m%d}{right}{round(1000 * strike):08d}"
        for expiry, right, strike in zip(frame.expiry, frame.right, frame.strike, strict=True)
    ]
    return pd.DataFrame({
        "contractSymbol": names, "lastTradeDate": pd.Timestamp("2026-03-02", tz="UTC"),
        "strike": frame.strike, "lastPrice": frame["last"], "bid": frame.bid, "ask": frame.ask,
        "change": 0.0, "volume": frame.volume, "openInterest": frame.open_interest,
        "impliedVolatility": 0.4, "inTheMoney": False, "contractSize": "REGULAR", "currency": "USD",
    })  # fmt: skip


def test_a_frame_is_the_callers_own(chain):
    """What is done to one changes neither the chain nor the next frame."""
    first = chain.to_frame()
    first["bid"] = -1.0
    first["mine"] = 1

    assert list(chain.frame.columns) == list(chain.columns)
    assert_array_equal(chain.frame.bid, chain["bid"])
    assert chain.frame is not chain.frame


def test_a_frame_of_a_chain_makes_it_again(chain):
    """All of it, or the rows that were kept, without an argument."""
    frame = chain.to_frame()

    again, calls = tomic.Chain.from_frame(frame), tomic.load_chain(frame[frame.right == "C"])

    assert (again.symbol, again.as_of, again.rate) == (chain.symbol, chain.as_of, chain.rate)
    assert (again.spot.price, again.data_type) == (chain.spot.price, chain.data_type)
    assert again.counts == chain.counts
    for name in ("strike", "bid", "ask", "iv", "delta", "open_interest"):
        assert_allclose(again[name], chain[name], rtol=1e-9)
    assert set(calls["right"]) == {"C"} and len(calls) == len(chain) // 2


def test_five_columns_are_enough(chain):
    """The spot comes from parity and volatilities from the quotes."""
    made = tomic.Chain.from_frame(bare(chain), symbol="SPX", as_of=chain.as_of, rate=chain.rate)

    assert made.spot.source is tomic.Spot.model_fields["source"].annotation.PARITY
    assert made.spot.price == pytest.approx(chain.spot.price, rel=2e-3)
    assert np.isfinite(made["iv"]).mean() > 0.9
    assert len(made) == len(chain)


def test_columns_of_yfinance_are_understood(chain):
    """Symbol, expiry and right come from the contracts; Greeks at the volatility that is stated."""
    made = tomic.Chain.from_frame(as_yfinance(chain), as_of="2026-03-02", spot=100.0)

    assert (made.symbol, made.expiries) == ("SPY", chain.expiries)
    assert made.as_of == dt.datetime(2026, 3, 2, 21, 0, tzinfo=dt.UTC)
    assert_array_equal(made["iv"], 0.4)
    assert np.isfinite(made["delta"]).all()
    assert set(made["greeks_source"]) == {"local"}
    assert_array_equal(made["open_interest"], chain["open_interest"])


def test_other_spellings(chain):
    """Names of other programs, rights as booleans, contracts in the index."""
    plain = bare(chain)
    named = plain.rename(columns={"expiry": "Expiration", "right": "option_type"})
    flagged = plain.assign(is_call=plain.right == "C").drop(columns="right")
    indexed = plain.set_index(["expiry", "strike", "right"])

    expected = tomic.Chain.from_frame(plain, symbol="X", as_of=chain.as_of)
    for frame in (named, flagged, indexed):
        made = tomic.Chain.from_frame(frame, symbol="X", as_of=chain.as_of)
        assert_array_equal(made["strike"], expected["strike"])
        assert_array_equal(made["right"], expected["right"])


def test_what_is_ambiguous_is_refused(chain):
    """Two columns of one meaning, and contracts that cannot be read."""
    twice = bare(chain).assign(type="C")
    odd = as_yfinance(chain).assign(contractSymbol="SPY")

    with pytest.raises(BadFile, match="several columns that mean right; drop all but one"):
        tomic.Chain.from_frame(twice, symbol="X", as_of=chain.as_of)
    with pytest.raises(BadFile, match="contractSymbol 'SPY' is not as"):
        tomic.Chain.from_frame(odd, as_of=chain.as_of)


def test_a_chain_writes_itself(chain, tmp_path):
    """As CSV and as JSON, to a file or only as text; `load_chain` reads both back."""
    for write, name in ((chain.to_csv, "chain.csv"), (chain.to_json, "chain.json")):
        text = write(tmp_path / name)

        assert (tmp_path / name).read_text(encoding="utf-8") == text == write()
        back = tomic.load_chain(str(tmp_path / name))
        assert (back.symbol, back.as_of, len(back)) == (chain.symbol, chain.as_of, len(chain))
