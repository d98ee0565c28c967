"""What is computed from a chain, and that IB's own numbers are never replaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from made_chains import VOL, chain_of, priced, row
from tomic import valuation
from tomic.config import ChainSettings, MarketSettings
from tomic.models import (
    DataType,
    OptionQuote,
)


def test_parity_deviation_as_in_the_original():
    """Fact 18: mids of 6.1 and 5.1, spot 600.5, strike 600, 30 days, 5 % give 1.9607."""
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2), row(600.0, "P", bid=5.0, ask=5.2))

    found = valuation.with_parity_deviation(chain, 0.05)["parity_deviation"]

    assert found.tolist() == [1.9607, 1.9607]


def test_parity_needs_both_quotes():
    """A missing quote leaves the deviation empty for both."""
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2), row(600.0, "P", ask=5.2))

    assert np.isnan(valuation.with_parity_deviation(chain, 0.05)["parity_deviation"]).all()


@pytest.mark.parametrize("sec_type", ["STK", "IND"])
def test_local_greeks_invert_the_mid(sec_type):
    """IV comes back from its own price: American for shares, European for indices."""
    chain = valuation.with_local_greeks(chain_of(*priced(sec_type), sec_type=sec_type))

    assert chain["iv"] == pytest.approx([VOL] * len(chain), abs=0.004)
    assert set(chain["greeks_source"]) == {"local"}
    assert set(chain["status"]) == {"ok"}
    assert (np.sign(chain["delta"]) == np.where(chain.is_call, 1.0, -1.0)).all()


def test_numbers_of_ib_stay():
    """Where IB gave IV and Greeks nothing is computed."""
    given = {"iv": 0.3, "delta": 0.4, "gamma": 0.01, "vega": 0.5, "theta": -0.1}
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2, greeks_source="ib", **given))

    found = valuation.with_local_greeks(chain)

    assert (found["iv"][0], found["greeks_source"][0]) == (0.3, "ib")


@pytest.mark.parametrize(("delta", "status"), [(0.8, "ok"), (0.81, "delta_out_of_range")])
def test_the_delta_range_is_inclusive(delta, status):
    """Fact 14: outside -0.8 to 0.8 a row is marked; the ends are inside."""
    given = {"iv": 0.3, "delta": delta, "gamma": 0.01, "vega": 0.5, "theta": -0.1}
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2, greeks_source="ib", **given))

    assert valuation.complete(chain, MarketSettings(), ChainSettings())["status"][0] == status


def pairs(count: int, apart: float = 0.0) -> list[OptionQuote]:
    given = {"bid": 6.0, "ask": 6.2, "greeks_source": "ib"}
    return [
        row(580.0 + n, right, iv=0.2 + (apart if right == "P" else 0.0), **given)
        for n in range(count)
        for right in "CP"
    ]


@pytest.mark.parametrize(
    ("confirmed", "frozen"),
    [(DataType.LIVE, DataType.FROZEN), (DataType.DELAYED, DataType.DELAYED_FROZEN)],
)
def test_identical_ivs_are_frozen_data(confirmed, frozen):
    """Twenty pairs with the same IV on both sides, and no open market: frozen, and said so."""
    chain = valuation.label_frozen(chain_of(*pairs(20), is_open=False, data_type=confirmed))

    assert chain.data_type is frozen
    assert "identical in all 20 pairs" in chain.notes[0]


def test_nineteen_pairs_prove_nothing():
    """Nor do twenty with a single one that differs."""
    few = chain_of(*pairs(19), is_open=False)
    live = chain_of(*pairs(20, apart=0.001), is_open=False)

    assert valuation.label_frozen(few).data_type is DataType.LIVE
    assert valuation.label_frozen(live).data_type is DataType.LIVE


def test_identical_ivs_in_open_hours_are_only_noted():
    """While the market trades the confirmed type stands."""
    chain = valuation.label_frozen(chain_of(*pairs(20)))

    assert chain.data_type is DataType.LIVE
    assert chain.notes[0].endswith("although the market is open")


def test_an_empty_chain_stays_empty():
    """Nothing is computed from nothing."""
    chain = chain_of()

    found = valuation.complete(replace(chain), MarketSettings(), ChainSettings())

    assert len(found) == 0
