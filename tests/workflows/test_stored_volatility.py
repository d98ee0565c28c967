"""Realised volatility and IV's place in its past, from stored series with their gaps."""

from __future__ import annotations

import datetime as dt
import math
import statistics

import numpy as np
import pytest

from tomic import dates
from tomic.quant import realized
from tomic.store import Bars, VolSeries
from tomic.workflows.stored_volatility import by_day, placed, realised

LAST = dt.date(2026, 11, 19)
DAYS = dates.trading_days(LAST - dt.timedelta(days=400), LAST)[-253:]


def bars_of(symbol="SPY", days=DAYS, seed=7) -> Bars:
    """A random walk on these days, with a range around each close."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(len(days))))
    spread = 1.0 + 0.01 * rng.random(len(days))
    rows = zip(days, close, close * spread, close / spread, close, close * 1e4, strict=True)
    return Bars.from_rows(symbol, rows)


def iv_of(days, values, symbol="SPY") -> VolSeries:
    return VolSeries.from_rows(symbol, "ib30", zip(days, values, strict=True))


def test_every_estimator_and_window():
    """252 returns and the close before them fill every window; nothing is missing."""
    stored = bars_of()
    found = realised(["SPY"], {"SPY": stored})["SPY"]

    log_returns = np.diff(np.log(stored.close)).tolist()
    for window in (20, 30, 60, 90, 252):
        expected = statistics.stdev(log_returns[-window:]) * math.sqrt(252)
        assert found.hv["close_to_close"][window] == pytest.approx(expected, rel=1e-12)
    assert {len(levels) for levels in found.hv.values()} == {5}
    assert set(found.hv) == {
        "close_to_close", "ewma", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang",
    }  # fmt: skip
    whole = realized.yang_zhang(stored.open, stored.high, stored.low, stored.close, 30)
    assert found.hv["yang_zhang"][30] == pytest.approx(whole[-1], rel=1e-12)
    atr = realized.atr_wilder(stored.high, stored.low, stored.close)
    assert found.atr14 == pytest.approx(atr[-1], rel=1e-12)
    assert found.missing == {}
    assert (found.last_day, found.close) == (LAST, stored.close[-1])


def test_symbols_do_not_mix():
    """Series that end on different days give each symbol its own numbers."""
    late, early = bars_of("A", seed=1), bars_of("B", days=DAYS[:-40], seed=2)
    both = realised(["A", "B"], {"A": late, "B": early})

    assert both["A"] == realised(["A"], {"A": late})["A"]
    assert both["B"] == realised(["B"], {"B": early})["B"]


def test_an_empty_store_gives_reasons():
    """Nothing stored: no number, and what to do about it."""
    found = realised(["SPY"], {})["SPY"]

    assert found.hv == {}
    assert found.atr14 is None
    assert found.missing["hv30"] == "no bars stored; run tomic prices SPY"
    assert set(found.missing) == {"hv20", "hv30", "hv60", "hv90", "hv252", "atr14"}


def test_one_day_gives_a_close_and_nothing_else():
    """One bar is a price, no volatility."""
    found = realised(["SPY"], {"SPY": bars_of(days=DAYS[-1:])})["SPY"]

    assert found.close is not None
    assert found.hv["close_to_close"] == {}
    assert found.missing["hv20"] == "1 of 21 closes stored, since 2026-11-19"
    assert found.missing["atr14"] == "1 of 14 unbroken bars stored, since 2026-11-19"


def test_a_listing_of_thirty_days():
    """31 closes give HV30, and 60 days only a reason."""
    found = realised(["NEWC"], {"NEWC": bars_of("NEWC", days=DAYS[-31:])})["NEWC"]

    assert set(found.hv["close_to_close"]) == {20, 30}
    assert found.atr14 is not None
    assert found.missing["hv60"] == f"31 of 61 closes stored, since {DAYS[-31]}"


def test_a_gap_is_not_a_return():
    """A missing day takes the windows that hold it, names itself, and leaves the others."""
    days = [day for day in DAYS if day != DAYS[-40]]
    found = realised(["SPY"], {"SPY": bars_of(days=days)})["SPY"]

    assert set(found.hv["close_to_close"]) == {20, 30}
    assert found.missing["hv60"] == f"no bar stored for {DAYS[-40]}"
    assert found.atr14 is not None


def test_closes_alone_give_no_range():
    """Bars as the original kept them, without highs, give close-to-close and no ATR."""
    rows = [(day, None, None, None, 100.0 + at, None) for at, day in enumerate(DAYS)]
    found = realised(["SPY"], {"SPY": Bars.from_rows("SPY", rows)})["SPY"]

    assert set(found.hv["close_to_close"]) == {20, 30, 60, 90, 252}
    assert found.hv["parkinson"] == {}
    assert found.missing["atr14"] == "highs and lows are not stored for the last 14 days"


def test_rank_and_percentile_exclude_today():
    """Today's own close in the store is no history of itself."""
    values = np.linspace(0.10, 0.30, len(DAYS))
    stored = iv_of(DAYS, values)

    tick = placed({"SPY": (0.40, LAST)}, {"SPY": stored})["SPY"]
    last = placed({"SPY": (values[-1], LAST)}, {"SPY": stored})["SPY"]

    assert tick.n == last.n == 252
    assert not tick.is_short
    assert tick.rank == pytest.approx((0.40 - 0.10) / (values[-2] - 0.10))
    assert tick.rank > 1.0
    assert tick.percentile == 1.0
    assert last.rank == pytest.approx((values[-1] - 0.10) / (values[-2] - 0.10))


def test_the_window_is_trading_days_before_today():
    """A value of the next session sees all 252 days before it, and none older."""
    friday = dt.date(2026, 11, 20)
    values = np.full(len(DAYS), 0.2)
    values[0], values[1] = 9.9, 0.1

    found = placed({"SPY": (0.15, friday)}, {"SPY": iv_of(DAYS, values)})["SPY"]

    assert found.n == 252
    assert found.rank == pytest.approx(0.5)
    assert found.percentile == pytest.approx(1 / 252)


@pytest.mark.parametrize(("days", "shown"), [(59, False), (60, True), (251, True)])
def test_short_histories_are_absent_or_flagged(days, shown):
    """Under 60 days there is no rank; under 252 it says over how many."""
    values = np.linspace(0.1, 0.3, days)
    today = dt.date(2026, 11, 20)

    found = placed({"SPY": (0.2, today)}, {"SPY": iv_of(DAYS[-days:], values)})["SPY"]

    assert found.n == days
    assert found.is_short
    assert (found.rank is not None) == (found.percentile is not None) == shown
    assert found.reason == ("" if shown else "59 of at least 60 days stored")


def test_gaps_lessen_the_count():
    """Missing days are left out of the window, not replaced by older ones."""
    kept = DAYS[::2]
    found = placed(
        {"SPY": (0.2, dt.date(2026, 11, 20))},
        {"SPY": iv_of(kept, np.linspace(0.1, 0.3, len(kept)))},
    )["SPY"]

    assert found.n == 126


def test_a_volatility_that_never_moved_has_no_rank():
    """Lowest equals highest: a percentile exists, a rank does not."""
    found = placed({"SPY": (0.2, LAST)}, {"SPY": iv_of(DAYS, np.full(len(DAYS), 0.2))})["SPY"]

    assert found.rank is None
    assert found.percentile == 0.0
    assert found.reason == "IV did not move in the 252 days stored"


def test_nothing_stored_places_nothing():
    """A value without a past has no place in it."""
    found = placed({"SPY": (0.2, LAST)}, {})["SPY"]

    assert (found.rank, found.percentile, found.n) == (None, None, 0)
    assert placed({}, {}) == {}


def test_day_by_day_matches_today():
    """The last row of the history equals what is said of today."""
    stored, values = bars_of(), np.linspace(0.10, 0.30, len(DAYS))
    empty = VolSeries.from_rows("SPY", "chain30", ())

    rows = by_day(stored, iv_of(DAYS, values), empty, 5)

    now = realised(["SPY"], {"SPY": stored})["SPY"]
    assert [row.day for row in rows] == list(DAYS[-5:])
    assert rows[-1].hv30 == pytest.approx(now.hv["close_to_close"][30], rel=1e-12)
    assert rows[-1].close == now.close
    assert rows[-1].iv30 == 0.30
    assert rows[-1].iv_percentile == 1.0
    assert rows[-1].chain_iv30 is None


def test_day_by_day_of_nothing_is_nothing():
    """An empty store has no days."""
    empty = VolSeries.from_rows("SPY", "ib30", ())

    assert by_day(Bars.from_rows("SPY", ()), empty, empty, 5) == []
