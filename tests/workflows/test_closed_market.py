"""What stands in for live quotes while the market is closed, each row labelled."""

from __future__ import annotations

import numpy as np
import pytest

from simulated import fetch
from tomic.workflows.chain_setup import KnownContracts

HISTORY = {"market": {"use_historical_iv_when_closed": True}}


class LastChain:
    """A memory that knows nothing but one earlier chain."""

    def __init__(self, chain):
        self.chain = chain

    async def recall(self, symbol, day):
        return None, ()

    async def load(self, symbol, day, trading_class):
        return KnownContracts({}, frozenset())

    async def save(self, underlying, day, listed, params, known):
        return None

    async def last_chain(self, symbol, trading_class):
        return self.chain


def test_bars_are_inverted():
    """The middle of the last bar gives the IV that IB's frozen model has, without Greeks."""
    frozen = fetch(closed=True).chain
    got = fetch(closed=True, sections=HISTORY)

    rows = (got.chain["quote_source"] == "history") & np.isfinite(got.chain["iv"])
    near = rows & (np.abs(got.chain["strike"] - got.chain.spot.price) < 3.0)
    assert near.sum() >= 10
    assert np.abs(got.chain["iv"][near] - frozen["iv"][near]).max() < 0.02
    assert np.isnan(got.chain["delta"][rows]).all()
    assert set(got.chain["status"][rows]) == {"no_greeks"}


def test_options_have_no_iv_history_and_are_asked_once():
    """OPTION_IMPLIED_VOLATILITY is refused once with 162 and not asked for again."""
    got = fetch(closed=True, sections=HISTORY)

    assert got.gateway.codes()[162] == 1
    assert got.gateway.history_requests == got.sources["history"] + 1


def test_no_more_bars_than_allowed():
    """At most `market.historical_contracts`; the others keep their frozen quotes."""
    sections = {"market": {**HISTORY["market"], "historical_contracts": 5}}

    got = fetch(closed=True, sections=sections)

    assert got.sources["history"] == 5
    assert got.sources["frozen"] > 5


def test_a_bar_that_is_refused_leaves_the_frozen_quote():
    """Pacing (162) costs no row: the option is quoted as usual."""
    got = fetch("history_pacing:times=99", closed=True, sections=HISTORY)

    assert got.sources["history"] == 0
    assert got.chain.completeness == 1.0


def test_an_open_market_asks_for_no_bars():
    """The switch is about closed markets only."""
    assert fetch(sections=HISTORY).gateway.history_requests == 0


def test_greeks_can_be_left_out_while_closed():
    """`market.greeks_only_if_open`: quotes and IV stay, Greeks are empty, and rows say so."""
    sections = {"market": {"greeks_only_if_open": True}}

    got, live = fetch(closed=True, sections=sections), fetch(sections=sections)

    assert np.isnan(got.chain["delta"]).all() and np.isfinite(got.chain["iv"]).any()
    assert got.status["ok"] == 0 and got.status["no_greeks"] > 0
    assert live.status["ok"] > 0


def test_the_stored_chain_comes_before_the_model():
    """Without quotes the last stored chain fills in, labelled and with its own time."""
    earlier = fetch().chain

    got = fetch("no_quotes", closed=True, memory=LastChain(earlier))

    assert got.sources["stored"] == (earlier["status"] == "ok").sum()
    row, was = got.row(590.0, "C"), next(r for r in earlier.rows() if r.strike == 590.0)
    assert (row.bid, row.quoted_at) == (was.bid, was.quoted_at)


def test_the_model_invents_no_quotes():
    """What is stored nowhere gets IV and Greeks of the local model; bid and ask stay empty."""
    got = fetch("no_quotes:right=C", closed=True)

    rows = got.chain["quote_source"] == "model"
    assert rows.any()
    assert np.isnan(got.chain["bid"][rows]).all() and np.isnan(got.chain["ask"][rows]).all()
    assert np.isfinite(got.chain["delta"][rows]).all()
    assert set(got.chain["status"][rows]) == {"no_quote"}
    assert set(got.chain["greeks_source"][rows]) == {"local"}


@pytest.mark.parametrize("fault", ["no_quotes", "silent:right=C"])
def test_an_open_market_is_never_filled(fault):
    """While the market trades nothing stored or modelled stands in for a quote."""
    got = fetch(fault, memory=LastChain(fetch().chain))

    assert not {"stored", "model", "history"} & set(got.sources)
