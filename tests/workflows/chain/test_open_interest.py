"""Open interest by strike: sums, walls, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from tomic.workflows.chain.open_interest import by_strike, summary


def with_interest(chain, values):
    """*chain* with an open interest per (strike, right) at its first expiry; NaN elsewhere."""
    first = np.datetime64(chain.expiries[0], "D")
    interest = [
        values.get((strike, right), np.nan) if expiry == first else np.nan
        for strike, right, expiry in zip(
            chain["strike"].tolist(), chain["right"].tolist(), chain["expiry"], strict=True
        )
    ]
    return chain.with_columns(open_interest=np.array(interest, dtype="float64"))


def test_strikes_are_summed_over_expiries(demo_chain):
    """Each side of each strike is the sum of its options; one expiry is a part of it."""
    rows = by_strike(demo_chain)
    first = by_strike(demo_chain, demo_chain.expiries[0])

    known = demo_chain["open_interest"]
    assert sum(row.calls or 0 for row in rows) == np.nansum(known[demo_chain.is_call])
    assert sum(row.puts or 0 for row in rows) == np.nansum(known[~demo_chain.is_call])
    assert [row.strike for row in rows] == sorted({row.strike for row in rows})
    assert sum(row.puts or 0 for row in first) < sum(row.puts or 0 for row in rows)


def test_unknown_is_not_nothing(demo_chain):
    """A side that nobody told is None and in no sum; one with nothing open is 0."""
    chain = with_interest(demo_chain, {(590.0, "P"): 30.0, (590.0, "C"): 0.0, (592.0, "C"): 40.0})

    rows = by_strike(chain)
    total = summary(chain, rows)

    assert [(row.strike, row.puts, row.calls) for row in rows] == [
        (590.0, 30, 0), (592.0, None, 40),
    ]  # fmt: skip
    assert (total.puts, total.calls, total.put_wall, total.call_wall) == (30, 40, 590.0, 592.0)
    assert total.put_call == pytest.approx(0.75)
    assert total.unknown > 0


def test_nothing_open_has_no_wall(demo_chain):
    """Without any number there is no strike, no wall and no ratio."""
    chain = with_interest(demo_chain, {})

    total = summary(chain, by_strike(chain))

    assert by_strike(chain) == []
    assert (total.put_wall, total.call_wall, total.put_call) == (None, None, None)
