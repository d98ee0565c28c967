"""What stands in for quotes on a closed market, and that it is labelled."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from support.made_chains import AS_OF, RATE, SPOT, VOL, chain_of, priced, row
from tomic import valuation
from tomic.config import ChainSettings, MarketSettings
from tomic.models import DataType, OptionQuote, QuoteSource, RowStatus
from tomic.quant import american


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


def test_stored_quotes_fill_only_what_is_missing():
    """A row with a quote of its own keeps it, and rows cut off by a lost line stay lost."""
    stored = chain_of(*priced("STK"))
    chain = chain_of(
        row(590.0, "C", bid=1.0, ask=2.0),
        row(600.0, "C", RowStatus.NO_QUOTE, quote_source=None),
        row(610.0, "C", RowStatus.LOST, quote_source=None),
        row(620.0, "C", RowStatus.NO_QUOTE, quote_source=None),
        is_open=False,
    )

    found = valuation.with_stored(chain, stored)

    assert found["quote_source"].tolist() == ["live", "stored", "", ""]
    assert found["status"].tolist() == ["ok", "no_greeks", "lost", "no_quote"]
    assert found["bid"][0] == 1.0


def test_stored_quotes_are_as_old_as_they_say():
    """The note tells when the stored rows were quoted, not when their chain was stored last."""
    early = dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)
    late = early + dt.timedelta(minutes=5)
    missing = [row(k, "C", RowStatus.NO_QUOTE, quote_source=None) for k in (590.0, 600.0)]
    times = [(early, early), (early, late), (None, None)]

    notes = []
    for first, second in times:
        quotes = {"bid": 1.0, "ask": 2.0}
        stored = chain_of(
            row(590.0, "C", quoted_at=first, **quotes), row(600.0, "C", quoted_at=second, **quotes)
        )
        notes.append(valuation.with_stored(chain_of(*missing), stored).notes[-1])

    assert notes[0] == "2 quotes are stored ones, of 2026-11-20 15:30 UTC"
    assert notes[1] == "2 quotes are stored ones, of 2026-11-20 15:30 to 2026-11-20 15:35 UTC"
    assert notes[2] == f"2 quotes are stored ones, of {stored.as_of:%Y-%m-%d %H:%M} UTC"


def test_the_model_reads_iv_off_its_neighbours():
    """Between two strikes linearly, beyond the last one flat, and without any the usual one."""
    known = {"bid": 1.0, "ask": 2.0, "greeks_source": "ib", "delta": 0.5}
    missing = [row(k, "C", RowStatus.NO_QUOTE, quote_source=None) for k in (595.0, 650.0)]
    chain = chain_of(row(590.0, "C", iv=0.2, **known), row(600.0, "C", iv=0.3, **known), *missing)

    found = valuation.with_model(chain, None)
    alone = valuation.with_model(chain_of(*missing), 0.25)

    assert found["iv"].tolist() == pytest.approx([0.2, 0.25, 0.3, 0.3])
    assert found["quote_source"].tolist() == ["live", "model", "live", "model"]
    assert alone["iv"].tolist() == [0.25, 0.25]
    assert valuation.with_model(chain_of(*missing), None)["quote_source"].tolist() == ["", ""]


def test_bars_keep_the_time_that_was_left_at_their_close():
    """A close of yesterday is inverted with yesterday's time to expiry."""
    closes = AS_OF - dt.timedelta(days=1)
    tau = float(chain_of(row(600.0, "C"))["tau"][0]) + 1.0 / 365.0
    rows = [
        row(600.0, right, RowStatus.NO_GREEKS, quote_source=QuoteSource.HISTORY, quoted_at=closes,
            close=float(american.price(SPOT, 600.0, tau, RATE, 0.0, VOL, right == "C")))
        for right in "CP"
    ]  # fmt: skip

    found = valuation.with_historical_iv(chain_of(*rows, is_open=False))

    assert found["iv"] == pytest.approx([VOL, VOL], abs=0.002)
    assert np.isnan(found["delta"]).all()
