"""What stands in for quotes on a closed market, and that it is labelled."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from made_chains import AS_OF, RATE, SPOT, VOL, chain_of, priced, row
from tomic import substitutes
from tomic.models import QuoteSource, RowStatus
from tomic.quant import american


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

    found = substitutes.with_stored(chain, stored)

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
        notes.append(substitutes.with_stored(chain_of(*missing), stored).notes[-1])

    assert notes[0] == "2 quotes are stored ones, of 2026-11-20 15:30 UTC"
    assert notes[1] == "2 quotes are stored ones, of 2026-11-20 15:30 to 2026-11-20 15:35 UTC"
    assert notes[2] == f"2 quotes are stored ones, of {stored.as_of:%Y-%m-%d %H:%M} UTC"


def test_the_model_reads_iv_off_its_neighbours():
    """Between two strikes linearly, beyond the last one flat, and without any the usual one."""
    known = {"bid": 1.0, "ask": 2.0, "greeks_source": "ib", "delta": 0.5}
    missing = [row(k, "C", RowStatus.NO_QUOTE, quote_source=None) for k in (595.0, 650.0)]
    chain = chain_of(row(590.0, "C", iv=0.2, **known), row(600.0, "C", iv=0.3, **known), *missing)

    found = substitutes.with_model(chain, None)
    alone = substitutes.with_model(chain_of(*missing), 0.25)

    assert found["iv"].tolist() == pytest.approx([0.2, 0.25, 0.3, 0.3])
    assert found["quote_source"].tolist() == ["live", "model", "live", "model"]
    assert alone["iv"].tolist() == [0.25, 0.25]
    assert substitutes.with_model(chain_of(*missing), None)["quote_source"].tolist() == ["", ""]


def test_bars_keep_the_time_that_was_left_at_their_close():
    """A close of yesterday is inverted with yesterday's time to expiry."""
    closes = AS_OF - dt.timedelta(days=1)
    tau = float(chain_of(row(600.0, "C"))["tau"][0]) + 1.0 / 365.0
    rows = [
        row(600.0, right, RowStatus.NO_GREEKS, quote_source=QuoteSource.HISTORY, quoted_at=closes,
            close=float(american.price(SPOT, 600.0, tau, RATE, 0.0, VOL, right == "C")))
        for right in "CP"
    ]  # fmt: skip

    found = substitutes.with_historical_iv(chain_of(*rows, is_open=False))

    assert found["iv"] == pytest.approx([VOL, VOL], abs=0.002)
    assert np.isnan(found["delta"]).all()
